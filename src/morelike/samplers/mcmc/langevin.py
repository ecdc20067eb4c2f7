"""Langevin diffusion in steps: unadjusted, or corrected by Metropolis and Hastings' rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin, choose, uniform
from morelike.samplers.mcmc.leapfrog import LOST, energy, leapfrog

UNADJUSTED = 0.95


@dataclass(frozen=True)
class Kernel:
    """q' = q + e^2/2 S g(q) + e L xi with S = L L', xi ~ N(0, I) (Roberts & Tweedie 1996).

    It is one leapfrog step from a fresh momentum xi, so that the ratio of Hastings is that of H before and after it
    (Neal 2011, section 5.2).

    adjusted  accept or refuse; else every step is taken, which leaves an error of the order of e^2

    `accept` of an unadjusted step is what the adjusted one would accept it with; warm-up keeps it at .95, where the
    error is small, and that of the adjusted one at the optimum, .574 (Roberts & Rosenthal 1998, theorem 2).
    """

    adjusted: bool = True

    target: ClassVar[float | None] = 0.574
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.adjusted:
            object.__setattr__(self, "target", UNADJUSTED)  # as the dataclass is frozen

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, gradient=True)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        new, change = propose(density, state, tuning, tuning.metric.draw(state.q, rng))
        accept = change.exp().clamp(max=1)
        if self.adjusted:
            new = choose(uniform(rng, accept) < accept, new, state)
        return new, Info(accept, -new.logp, change < -LOST, torch.ones_like(accept))


def propose(density: Density, state: State, tuning: Tuning, xi: Tensor) -> tuple[State, Tensor]:
    """Where a step with this noise leads, and the log of its ratio of Hastings: (C, D) -> state, (C,)."""
    eps = tuning.step.to(state.q).expand(len(xi), 1)
    assert state.grad is not None
    q, r, grad, logp = call(leapfrog, density, state.q, xi, state.grad, eps, tuning.metric.scale)
    return State(q, logp, grad), energy(state.logp, xi) - energy(logp, r)
