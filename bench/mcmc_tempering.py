"""Parallel tempering beside the kernels that it is made of, on two hills with a valley of 32 nats between them.

    OMP_NUM_THREADS=1 python bench/mcmc_tempering.py [--steps 4000] [--chains 16]

p = 0.3 N(-8, 1) + 0.7 N(8, 1) in the first of two dimensions, N(0, 1) in the other; all chains begin on the smaller
hill. One step is one round of swaps. A crossing is a step after which the chain stands on the other hill.
"""

from __future__ import annotations

import argparse
import math
import time

import torch
from machine import Watch, table, tell, verdict
from torch import Tensor

from morelike.samplers.mcmc import hmc, metropolis, nuts, tempering
from morelike.samplers.mcmc.adaptation import Warmup, warm
from morelike.samplers.mcmc.density import Fast, Layout, Posterior
from morelike.samplers.mcmc.kernel import Kernel


def two_hills(q: Tensor) -> Tensor:
    left, right = -0.5 * (q[:, 0] + 8) ** 2 + math.log(0.3), -0.5 * (q[:, 0] - 8) ** 2 + math.log(0.7)
    return torch.logaddexp(left, right) - 0.5 * q[:, 1] ** 2


@torch.no_grad()
def crossed(kernel: Kernel, steps: int, chains: int) -> tuple[float, float, float]:
    """Crossings for each chain and 1,000 steps, the share of the larger hill, steps per second."""
    density = Fast(Posterior(two_hills, Layout({"x": (2,)}, named=False), batched=True))
    start, rng = torch.tensor([[-8.0, 0.0]], dtype=torch.float64).repeat(chains, 1), torch.Generator().manual_seed(0)
    *_, (state, tuning, _) = warm(kernel, density, kernel.init(density, start), rng, Warmup(300, metric="unit"))
    begin, right = time.perf_counter(), []
    for _ in range(steps):
        state, _ = kernel.step(density, state, tuning, rng)
        right.append(state.q[:, 0] > 0)
    side = torch.stack(right)
    changes = float((side[1:] != side[:-1]).double().sum(0).mean())
    return changes / steps * 1000, float(side.double().mean()), steps / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--chains", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    watch = Watch()
    kernels = {
        "metropolis": metropolis.Kernel(),
        "hmc": hmc.Kernel(),
        "nuts": nuts.Kernel(),
        "tempering of metropolis": tempering.Kernel(),
        "tempering of metropolis, 5 rungs": tempering.Kernel(rungs=5),
        "tempering of hmc": tempering.Kernel(hmc.Kernel()),
    }
    found = {}
    for name, kernel in kernels.items():
        steps = args.steps if "metropolis" in name else args.steps // 4
        found[name] = crossed(kernel, steps, args.chains)
    table(
        ["kernel", "crossings / 1,000", "share (0.7)", "steps/s"], [[name, *figures] for name, figures in found.items()]
    )
    for name in ("tempering of metropolis", "tempering of hmc"):
        print(f"{name}, at least 50 for each 1,000 rounds of swaps:", verdict(found[name][0] >= 50))
    print("hmc alone never:", verdict(found["hmc"][0] == 0))
    tell("mcmc_tempering", crossings={n: round(f[0], 1) for n, f in found.items()}, others=watch.others())


if __name__ == "__main__":
    main()
