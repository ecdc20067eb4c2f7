"""Underdamped Langevin dynamics: a momentum that is rubbed and pushed, and survives from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.kernel import Density, Info, Tuning, uniform
from morelike.samplers.mcmc.leapfrog import LOST, energy, leapfrog


class State(NamedTuple):
    """Positions (C, D), log density (C,) and gradient (C, D) there, and whitened momenta (C, D)."""

    q: Tensor
    logp: Tensor
    grad: Tensor
    r: Tensor


@dataclass(frozen=True)
class Kernel:
    """dq = L r dt, dr = L' g dt - gamma r dt + sqrt(2 gamma) dW, by the splitting O B A B O.

    O: r <- a r + sqrt(1 - a^2) xi with a = exp(-gamma e / 2), exact. B A B: one leapfrog step. O leaves exp(-H) as it
    is, so that refusing B A B, with r turned back, makes the whole exact (Horowitz 1991; Bussi & Parrinello
    2007). Without that the error is of the order of e^2.

    friction  gamma, for units of the metric: 2 is critical; a small one keeps a course, a large one is Langevin's
    adjusted  accept or refuse

    A refusal sends a chain back on its way, so that few of them should occur: hence the target of .9.
    """

    friction: float = 1.0
    adjusted: bool = True

    target: ClassVar[float | None] = 0.9
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = False

    def init(self, density: Density, q: Tensor) -> State:
        """At rest; friction and noise make the momentum forget it."""
        logp, grad = density.grad(q)
        return State(q, logp, grad, torch.zeros_like(q))

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        begin = self._rub(state.r, tuning, rng)
        before, eps = energy(state.logp, begin), tuning.step.to(state.q).expand(len(begin), 1)
        q, r, grad, logp = call(leapfrog, density, state.q, begin, state.grad, eps, tuning.metric.scale)
        change = before - energy(logp, r)
        accept = change.exp().clamp(max=1)
        taken = uniform(rng, accept) < accept if self.adjusted else torch.ones_like(accept, dtype=torch.bool)
        row = taken[:, None]
        r = self._rub(torch.where(row, r, -begin), tuning, rng)
        q, grad = torch.where(row, q, state.q), torch.where(row, grad, state.grad)
        info = Info(accept, before - torch.where(taken, change, 0.0), change < -LOST, torch.ones_like(accept))
        return State(q, torch.where(taken, logp, state.logp), grad, r), info

    def _rub(self, r: Tensor, tuning: Tuning, rng: Generator) -> Tensor:
        a = torch.exp(-0.5 * self.friction * tuning.step.to(r))
        return a * r + (1 - a * a).sqrt() * tuning.metric.draw(r, rng)
