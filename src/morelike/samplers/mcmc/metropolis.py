"""Random-walk Metropolis: a step in a random direction, taken if the density says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin, choose, normal, uniform


def decide(state: State, new: State, log_ratio: Tensor, rng: Generator, evals: int = 1) -> tuple[State, Info]:
    """The new state with probability min(1, exp(log_ratio)), else the old one (Hastings 1970); log_ratio: (C,).

    A ratio that is not a number, of a proposal where the density is none, counts as nought.
    """
    accept = log_ratio.clamp_max(0).exp().nan_to_num(0.0)
    state = choose(uniform(rng, accept) < accept, new, state)
    return state, Info(accept, -state.logp, torch.zeros_like(accept, dtype=torch.bool), torch.full_like(accept, evals))


@dataclass(frozen=True)
class Kernel:
    """q' = q + step L r, r ~ N(0, I), accepted with probability min(1, p(q') / p(q)) (Metropolis et al. 1953).

    With a metric that warm-up takes from the chains it is the adaptive Metropolis of Haario et al. 2001. 0.234 is the
    best rate of acceptance in many dimensions (Roberts, Gelman and Gilks 1997); between 0.15 and 0.5 little is lost.
    """

    target: ClassVar[float | None] = 0.234
    gradient: ClassVar[bool] = False
    discrete: ClassVar[bool] = False

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, self.gradient)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        q = state.q + tuning.step * tuning.metric.forth(normal(rng, state.q))
        new = State(q, density(q))
        return decide(state, new, new.logp - state.logp, rng)
