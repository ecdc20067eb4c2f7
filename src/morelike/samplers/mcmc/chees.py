"""HMC for many chains, which learn the length of their trajectories from one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.hmc import Probe, trajectory
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin


@dataclass(frozen=True)
class Kernel:
    """HMC whose length maximises the change in the estimator of the expected square (Hoffman et al. 2021, eq. 5).

    ChEES = E[(|q' - m|^2 - |q - m|^2)^2] / 4, in whitened coordinates; m is the mean of all chains. Each trajectory
    goes on for a random share of twice `tuning.length`, the same for all chains, so that none waits for another.

    max_steps  most steps of a trajectory
    """

    max_steps: int = 1024

    target: ClassVar[float | None] = 0.8
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = False

    @property
    def probe(self) -> Probe:
        return Probe()

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, gradient=True)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        u = float(torch.rand((), generator=rng, device=rng.device))
        new, _, info = trajectory(density, state, tuning, rng, self._steps(tuning, u))
        return new, info

    def step_and_slope(
        self, density: Density, state: State, tuning: Tuning, rng: Generator
    ) -> tuple[State, Info, float]:
        """A step, and the slope of the criterion in the log of the length, which warm-up climbs."""
        u = float(torch.rand((), generator=rng, device=rng.device))
        new, (proposal, r), info = trajectory(density, state, tuning, rng, self._steps(tuning, u))
        away, back = _centred(tuning, proposal.q), _centred(tuning, state.q)
        change = away.square().sum(1) - back.square().sum(1)
        slope = u * float(tuning.length) * change * (away * r).sum(1)  # d/dT of half the squared distance is away.r
        weight = info.accept.nan_to_num(0.0)
        fine = slope.isfinite() & (weight > 0)
        total = weight[fine].sum()
        return new, info, float((weight * slope)[fine].sum() / total) if total > 0 else 0.0

    def _steps(self, tuning: Tuning, u: float) -> int:
        return min(max(1, round(2 * u * float(tuning.length) / float(tuning.step))), self.max_steps)


def _centred(tuning: Tuning, q: Tensor) -> Tensor:
    """Positions around their mean, in whitened coordinates: (C, D)."""
    x, scale = q - q.mean(0), tuning.metric.scale
    return torch.linalg.solve_triangular(scale, x.T, upper=False).T if tuning.metric.dense else x / scale
