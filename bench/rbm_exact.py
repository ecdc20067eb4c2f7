"""Annealing and Gibbs sampling against enumeration: log Z, visible states of a small machine, an Ising model.

    OMP_NUM_THREADS=1 python bench/rbm_exact.py

Targets: |annealed - exact| at most 0.1 nat, with the truth between the two bounds; total variation at most 0.02. What
as many exact samples get is printed beside it, for no sampler can do better.
"""

from __future__ import annotations

import data
import numpy as np
import torch
import torch.nn.functional as F
from machine import table, tell, verdict
from torch import Tensor

from morelike.core.distribution import Bernoulli
from morelike.core.spec import Batch, Spec
from morelike.families.rbm import Config, Model
from morelike.nn.boltzmann import states
from morelike.nn.noise import Stream
from morelike.samplers.mcmc import gibbs
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.metric import Metric
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import train

STEPS, CHAINS, TEMPERATURES = 4000, 1000, 4000


def digits() -> Tensor:
    """MNIST at half its size, in shades from -1 to 1: (16000, 1, 14, 14)."""
    x = torch.from_numpy(np.ascontiguousarray(data.mnist().train)).float().div(127.5).sub(1).unsqueeze(1)
    return F.avg_pool2d(x, 2)


def trained(x: Tensor, hidden: int, walk: int = 300) -> Model:
    """A machine trained on items x (N, *shape), so that its modes are as sharp as real ones."""
    torch.manual_seed(0)
    shape = tuple(x.shape[1:])
    model = Model(Spec(shape, head_shape=shape, head=Bernoulli), Config(hidden=hidden, walk=walk))
    game = Game(model)
    rows = torch.Generator().manual_seed(0)
    batches = iter(lambda: Batch(x[torch.randint(len(x), (200,), generator=rows)]), None)
    for _ in train(game, batches, Plan.of(STEPS), seed=0):
        pass
    model.load_state_dict(game.weights())
    model.finish([Batch(x[:4000])])
    return model.eval()


def annealed(model: Model) -> tuple[str, ...]:
    """log Z: exact, annealed, its bounds."""
    up, bounds = model.annealed(0, CHAINS, TEMPERATURES, Stream(0))
    base = model.path(torch.zeros(1, dtype=torch.long), torch.float64).log_z0.squeeze()
    with torch.no_grad():
        found = model.machine().log_z(), base + up.log_ratio, bounds.low, bounds.high
    return tuple(f"{float(one):.3f}" for one in found)


def variation(v: Tensor, exact: Tensor) -> tuple[float, float]:
    """Total variation of the bits v (n, V) to exact probabilities in the order of `states`, and of exact samples."""
    n, size = len(v), len(exact)
    codes = (v.long() << torch.arange(v.shape[1])).sum(1)
    direct = torch.multinomial(exact, n, replacement=True, generator=torch.Generator().manual_seed(1))
    found = [0.5 * (torch.bincount(one, minlength=size) / n - exact).abs().sum() for one in (codes, direct)]
    return float(found[0]), float(found[1])


def ising(q: Tensor) -> Tensor:
    """log f = J sum of neighbours' products on a 4 x 4 torus, critical J = log(1 + sqrt 2) / 2: (C, 16) -> (C,)."""
    s = (2 * q - 1).view(-1, 4, 4)
    return 0.440687 * ((s * s.roll(1, 1)).sum((1, 2)) + (s * s.roll(1, 2)).sum((1, 2)))


def ising_draws(chains: int, warm: int, draws: int) -> Tensor:
    kernel, q = gibbs.Kernel(), torch.rand(chains, 16, generator=torch.Generator().manual_seed(0)).round()
    state, rng, tuning = kernel.init(ising, q), torch.Generator().manual_seed(2), Tuning(Metric.unit(q))
    kept = []
    for step in range(warm + draws):
        state, _ = kernel.step(ising, state, tuning, rng)
        if step >= warm:
            kept.append(state.q)
    return torch.cat(kept)


def main() -> None:
    x = digits()
    rows = [(f"{hidden} hidden", *annealed(trained(x, hidden))) for hidden in (5, 10, 15)]
    table(("log Z, MNIST", "exact", "annealed", "from below", "from above"), rows)
    exact, found, low, high = (np.array([float(one[i]) for one in rows]) for i in range(1, 5))
    near, inside = float(abs(found - exact).max()), bool(((low <= exact) & (exact <= high)).all())
    print(f"|annealed - exact| {near:.3f}: {verdict(near <= 0.1)}; truth between the bounds: {verdict(inside)}")

    small = trained(x[:, :, 6:8, 4:9].contiguous(), 10, 60)  # ten pixels of the middle
    every = torch.cat(states(10, small.bias.double()))
    exact = torch.softmax(small.machine().cast(torch.float64).log_prob(every), 0).detach()
    seeds = range(400_000)
    made = torch.cat([small.sample(seeds[at : at + 20_000]) for at in range(0, len(seeds), 20_000)])
    machine = variation((made.flatten(1) + 1) / 2, exact)
    spins = torch.softmax(ising(torch.cat(states(16, every))), 0)
    q = ising_draws(20_000, 100, 200)
    states_tv = variation(q, spins)
    levels = ising(torch.cat(states(16, every))).mul(100).round().unique(return_inverse=True)
    weight = torch.zeros(len(levels[0]), dtype=spins.dtype).index_add_(0, levels[1], spins)
    seen = torch.searchsorted(levels[0].contiguous(), ising(q).double().mul(100).round())
    energy = float(0.5 * (torch.bincount(seen, minlength=len(weight)) / len(q) - weight).abs().sum())
    told = [
        ("sampler of a machine, 10 visible", machine[0], machine[1], len(made)),
        ("Ising 4 x 4, all 65,536 states", *states_tv, len(q)),
        ("Ising 4 x 4, its energies", energy, 0.0, len(q)),
    ]
    table(("total variation", "found", "exact samples", "draws"), told)
    print(f"at most 0.02: {verdict(all(one[1] <= 0.02 for one in told))}")
    tell("rbm_exact", log_z=rows, variation=told)


if __name__ == "__main__":
    main()
