"""What a trained energy is asked beyond samples: other kernels, and its normalising constant."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.ais import Bracket, Geometric, Standard, anneal, bracket
from morelike.samplers.mcmc.compose import Boltzmann
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.langevin import Kernel as Langevin
from morelike.samplers.mcmc.metric import Metric
from morelike.samplers.mcmc.walk import kernel_of


@torch.no_grad()
def wander(density: Boltzmann, x: Tensor, kernel: str, steps: int, size: float, seed: int) -> Tensor:
    """Where one item comes to by another kernel, whose steps are of the length of Langevin's: (1, *shape) -> same."""
    mover, q = kernel_of(kernel), x.flatten(1)
    length = (2 * size * density.temperature) ** 0.5
    tuning, rng = Tuning(Metric.unit(q), torch.tensor(length).to(q)), Generator(q.device).manual_seed(seed)
    state = mover.init(density, q)
    for _ in range(steps):
        state, _ = mover.step(density, state, tuning, rng)
    return density.join(state.q)


def evidence(density: Boltzmann, end: Tensor, steps: int, size: float, seed: int) -> Bracket:
    """log Z of exp(-V / T) between two bounds, by annealing from a Gaussian and back (Grosse et al. 2015).

    end    (C, D), samples of the density: the upper bound holds as far as they are
    steps  temperatures, one step of adjusted Langevin each
    """
    base, rng = Standard(), Generator(end.device).manual_seed(seed)
    length = torch.tensor((2 * size * density.temperature) ** 0.5).to(end)
    path = Geometric(base, density, Langevin(), Tuning(Metric.unit(end), length))
    betas = torch.linspace(0, 1, steps + 1).pow(3).tolist()  # slow where the density is wide
    begin = torch.randn(end.shape, generator=rng, device=end.device, dtype=end.dtype)
    up = anneal(path, path.place(begin), betas, rng)
    down = anneal(path, path.place(end), betas[::-1], rng)
    return bracket(up, [down], torch.zeros((), dtype=torch.float64, device=end.device))
