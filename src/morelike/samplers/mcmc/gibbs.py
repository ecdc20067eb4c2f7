"""Gibbs sampling: one part after another is drawn from its law given all the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin

Draw = Callable[[Tensor, Generator], Tensor]  # (C, D) -> (C, D), with some coordinates drawn given the others


@dataclass(frozen=True)
class Kernel:
    """q_i ~ p(q_i | q_-i) for each block i in turn (Geman & Geman 1984); every draw is accepted.

    draws   how each block is drawn; with none, every coordinate is a block and takes one of the `values`, whose
            probabilities are found by asking the density for each of them: D x len(values) evaluations a step
    values  what a coordinate can be, such as 0 and 1, or -1 and 1
    sweeps  rounds through all blocks in one step
    """

    draws: tuple[Draw, ...] = ()
    values: tuple[float, ...] = (0.0, 1.0)
    sweeps: int = 1
    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = False
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.sweeps < 1 or (not self.draws and len(set(self.values)) < 2):
            raise OptionError(
                f"Gibbs sampling was given {len(self.draws)} draws, the values {self.values} and {self.sweeps} sweeps",
                "At least one sweep, and draws or two different values",
                "Give draws=(q, rng) -> q, or values=(0, 1)",
            )

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, gradient=False)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        q, logp, evals = state.q, state.logp, 0
        for _ in range(self.sweeps):
            if self.draws:
                for draw in self.draws:
                    q = draw(q, rng)
            else:
                q, logp = self._each(density, q, rng)
                evals += q.shape[1] * len(self.values)
        if self.draws:
            logp, evals = density(q), 1
        one = torch.ones_like(logp)
        return State(q, logp), Info(one, -logp, one == 0, evals * one)

    def _each(self, density: Density, q: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Every coordinate once, from the left to the right."""
        n, dims = q.shape
        values = torch.tensor(self.values, dtype=q.dtype, device=q.device)
        rows = torch.arange(n, device=q.device)
        q = q.clone()
        for i in range(dims):
            tried = q.repeat(len(values), 1, 1)  # (values, C, D)
            tried[:, :, i] = values[:, None]
            logp = density(tried.flatten(0, 1)).view(len(values), n)
            shares = torch.softmax(logp, 0).cumsum(0)[:-1]
            u = torch.rand(n, generator=rng, dtype=shares.dtype, device=q.device)
            picked = (u >= shares).sum(0)  # (C,)
            q[:, i] = values[picked]
        return q, logp[picked, rows]
