"""Hamiltonian Monte Carlo with a trajectory of fixed or jittered length."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin, choose
from morelike.samplers.mcmc.leapfrog import LOST, energy, leapfrog


class Probe:
    """One leapfrog step as a trajectory: what a first step size is tried with."""

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        new, _, info = trajectory(density, state, tuning, rng, 1)
        return new, info


@dataclass(frozen=True)
class Kernel:
    """Follow Hamilton's equations for a while, then accept or stay (Neal 2011, section 2.3).

    length     integration time in units of the metric; pi / 2 makes draws of a Gaussian independent
    jitter     share by which the length varies at random, so that no orbit is in step with it
    max_steps  most steps of a trajectory
    """

    length: float = pi / 2
    jitter: float = 0.5
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
        length = self.length * (1 + self.jitter * (2 * u - 1))
        steps = min(max(1, round(length / float(tuning.step))), self.max_steps)
        new, _, info = trajectory(density, state, tuning, rng, steps)
        return new, info


def trajectory(
    density: Density, state: State, tuning: Tuning, rng: Generator, steps: int
) -> tuple[State, tuple[State, Tensor], Info]:
    """One accepted or refused trajectory of `steps` steps; the proposal and its final momentum are given as well."""
    r = tuning.metric.draw(state.q, rng)
    before = energy(state.logp, r)
    q, grad, logp = state.q, state.grad, state.logp
    eps = tuning.step.to(q).expand(len(q), 1)
    for _ in range(steps):
        q, r, grad, logp = call(leapfrog, density, q, r, grad, eps, tuning.metric.scale)
    change = before - energy(logp, r)
    accept = change.exp().clamp(max=1)
    proposal = State(q, logp, grad)
    u = torch.rand(accept.shape, dtype=q.dtype, device=q.device, generator=rng)
    new = choose(u < accept, proposal, state)
    evals = torch.full_like(accept, steps)
    info = Info(accept, torch.where(u < accept, before - change, before), change < -LOST, evals)
    return new, (proposal, r), info
