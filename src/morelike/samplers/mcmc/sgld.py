"""Stochastic gradient Langevin dynamics: Langevin steps whose gradient comes from a part of the data."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import Density, Info, Tuning


class State(NamedTuple):
    """Positions (C, D), estimates of log density (C,) and gradient (C, D) there, and how many steps were taken."""

    q: Tensor
    logp: Tensor
    grad: Tensor
    t: int = 0


@dataclass(frozen=True)
class Kernel:
    """q' = q + e_t/2 S g(q) + sqrt(e_t) L xi, where g may be an unbiased estimate (Welling & Teh 2011, eq. 4).

    With a constant step it errs by the order of e (Vollmer, Zygalakis & Teh 2016) and by the noise of g, as nothing is
    refused; with a decaying one both vanish, slowly.

    decay   e_t = step^2 (1 + t / 1000)^-decay; 0: constant; between 1/2 and 1 the mean of the draws converges
    cycle   steps of a cycle over which e_t falls from its start to 0 as a cosine and begins again, so that chains leave
            a mode and then look at another closely (Zhang et al. 2020, eq. 1); 0: none
    warm    share of a cycle that only climbs, without noise
    """

    decay: float = 0.0
    cycle: int = 0
    warm: float = 0.0

    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, wrong, wanted in (
            ("decay", not 0 <= self.decay <= 1, "A number between 0 and 1"),
            ("cycle", self.cycle < 0, "A number of steps, or 0 for no cycle"),
            ("warm", not 0 <= self.warm < 1, "A share of a cycle, below 1"),
        ):
            if wrong:
                raise OptionError(f"{name} is {getattr(self, name)}", wanted, "Correct it and run again")

    def init(self, density: Density, q: Tensor) -> State:
        return State(q, *density.grad(q))

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        share, noise = self._schedule(state.t)
        eps, metric = tuning.step.to(state.q).square() * share, tuning.metric
        xi = metric.draw(state.q, rng)
        drift = metric.forth(metric.back(state.grad))
        q = state.q + 0.5 * eps * drift + noise * eps.sqrt() * metric.forth(xi)
        new = State(q, *density.grad(q), state.t + 1)
        one = torch.ones_like(new.logp)
        return new, Info(one, -new.logp, ~new.logp.isfinite(), one)

    def _schedule(self, t: int) -> tuple[float, float]:
        """The size of step t beside the first one, and whether it is noisy."""
        share = (1 + t / 1000) ** -self.decay
        if not self.cycle:
            return share, 1.0
        along = t % self.cycle / self.cycle
        return share * (cos(pi * along) + 1) / 2, float(along >= self.warm)
