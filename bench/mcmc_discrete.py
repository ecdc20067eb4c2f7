"""Gibbs with gradients and the discrete Langevin proposal beside Gibbs sampling, on an Ising model of 20 x 20 spins.

    OMP_NUM_THREADS=1 python bench/mcmc_discrete.py [--seconds 20] [--chains 16] [--side 20]

Effective draws per second of the worse one of energy and |magnetisation|, all chains together, after a tenth of the
time as warm-up. All samplers walk on one traced density. Gibbs sampling asks the density for one flipped spin at a
time; a second one is told the model, and reads the probability off the four neighbours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from machine import Watch, table, tell, verdict
from torch import Generator, Tensor

from morelike.samplers.mcmc import diagnostics, discrete, discrete_langevin
from morelike.samplers.mcmc.adaptation import Warmup, warm
from morelike.samplers.mcmc.density import Fast, Layout, Posterior
from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.kernel import Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric

Move = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # q (C, D), logp (C,) -> the same, later


def ising(side: int, coupling: float) -> Fast:
    def law(q: Tensor) -> Tensor:
        s = (2 * q - 1).unflatten(1, (side, side))
        return coupling * (s * (s.roll(1, 1) + s.roll(1, 2))).sum((1, 2))

    return Fast(Posterior(law, Layout({"x": (side * side,)}, named=False), batched=True))


def asked(density, q: Tensor, logp: Tensor, here: Tensor, u: Tensor) -> tuple[Tensor, ...]:
    """One spin drawn given all others, by the density of the state with that spin flipped."""
    other = torch.where(here, 1 - q, q)
    other_logp = density(other)
    yes = u < torch.sigmoid(other_logp - logp)
    return torch.where(yes[:, None], other, q), torch.where(yes, other_logp, logp)


def gibbs(density: Fast, rng: Generator) -> Move:
    """A sweep of Gibbs sampling that knows nothing but the density."""

    def sweep(q: Tensor, logp: Tensor) -> tuple[Tensor, Tensor]:
        spins = torch.eye(q.shape[1], dtype=torch.bool)
        for here, u in zip(spins, torch.rand(q.shape[1], len(q), generator=rng), strict=True):
            q, logp = call(asked, density, q, logp, here, u)
        return q, logp

    return sweep


def told(density: Fast, side: int, coupling: float, rng: Generator) -> Move:
    """A sweep of Gibbs sampling that knows the neighbours of a spin and the coupling."""
    site = torch.arange(side * side).unflatten(0, (side, side))
    around = torch.stack([site.roll(k, d) for k in (1, -1) for d in (0, 1)]).flatten(1).T  # (D, 4)

    def sweep(q: Tensor, logp: Tensor) -> tuple[Tensor, Tensor]:
        q = q.T.contiguous()  # (D, C), so that a spin of all chains lies together
        u = torch.rand(q.shape, generator=rng).logit() / (2 * coupling)
        for i, near in enumerate(around):
            q[i] = 2 * q[near].sum(0) - 4 > u[i]
        q = q.T.contiguous()
        return q, density(q)

    return sweep


def kernel(chosen: Kernel, density: Fast, start: Tensor, rng: Generator) -> Move:
    """Ten steps of a kernel, its step adapted beforehand."""
    tuning = Tuning(Metric.unit(start))
    if chosen.target is not None:
        *_, (_, tuning, _) = warm(chosen, density, chosen.init(density, start), rng, Warmup(300, metric="unit"))

    def some(q: Tensor, logp: Tensor) -> tuple[Tensor, Tensor]:
        state = chosen.init(density, q)
        for _ in range(10):
            state, _ = chosen.step(density, state, tuning, rng)
        return state.q, state.logp

    return some


@torch.no_grad()
def worth(move: Move, density: Fast, start: Tensor, seconds: float) -> tuple[float, float]:
    """Effective draws per second, and moves per second."""
    q, logp = move(start, density(start))  # traces what is traced
    begin, seen = time.perf_counter(), []
    while (spent := time.perf_counter() - begin) < seconds:
        q, logp = move(q, logp)
        if spent > seconds / 10:
            seen.append(torch.stack([logp, (2 * q - 1).mean(1).abs()], 1))
    ess = diagnostics.ess_mean(torch.stack(seen, 1).double().numpy())
    return float(ess.min()) / (seconds * 0.9), len(seen) / (seconds * 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--side", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    watch = Watch()
    for coupling in (0.2, 0.35, 0.42):
        density, rng = ising(args.side, coupling), torch.Generator().manual_seed(0)
        start = torch.randint(2, (args.chains, args.side**2), generator=rng).float()
        movers = {
            "Gibbs, asks the density": gibbs(density, rng),
            "Gibbs, told the model": told(density, args.side, coupling, rng),
            "discrete, one flip a step": kernel(discrete.Kernel(flips=1), density, start, rng),
            "discrete": kernel(discrete.Kernel(), density, start, rng),
            "discrete_langevin": kernel(discrete_langevin.Kernel(), density, start, rng),
        }
        found = {name: worth(move, density, start, args.seconds) for name, move in movers.items()}
        base = found["Gibbs, asks the density"][0]
        print(f"coupling {coupling}")
        table(["sampler", "ESS/s", "moves/s", "ratio"], [[n, e, m, e / base] for n, (e, m) in found.items()])
        ratios = {name: round(e / base, 2) for name, (e, _) in found.items()}
        print("at least 3 times Gibbs:", {n: verdict(r >= 3) for n, r in ratios.items() if n.startswith("discrete")})
        tell("mcmc_discrete", coupling=coupling, side=args.side, ratios=ratios, others=watch.others())


if __name__ == "__main__":
    main()
