"""Slice sampling along the axes of the metric: no step to tune, no rejection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.graph import Function, call
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin

LEFT, RIGHT, SHRINK = 0, 1, 2


class Search(NamedTuple):
    """Where every chain stands in its sweep; all entries (C,) but q (C, D).

    axis        the one that it searches
    phase       LEFT, RIGHT: steps out; SHRINK: draws between the ends
    level       log height of the slice
    low, high   ends of the interval, as multiples of the axis
    left, right steps out that are allowed yet
    """

    q: Tensor
    logp: Tensor
    axis: Tensor
    phase: Tensor
    level: Tensor
    low: Tensor
    high: Tensor
    left: Tensor
    right: Tensor


@dataclass(frozen=True)
class Kernel:
    """A sweep over the axes L_k of the metric: u ~ U(0, p(q)), then q' uniform on the slice {t: p(q + t L_k) > u},
    whose ends are found by stepping out and whose misses shrink the interval (Neal 2003, figures 3 and 5).

    Axes, not random directions: if p is normal with covariance L L', one sweep of D axes gives an independent draw, but
    D random directions leave a correlation of (1 - 1/D)^D = 1/e, hence (1 + 1/e) / (1 - 1/e) = 2.2 times the work.
    Each round evaluates one point of each chain, and a chain that has found its point goes on to its own next axis:
    chains wait for each other once in a sweep, not once for each axis.

    width  of the first interval, in units of the metric
    out    most steps out, over both sides
    """

    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = False
    discrete: ClassVar[bool] = False
    width: float = 3.0
    out: int = 32

    def __post_init__(self) -> None:
        if not self.width > 0 or self.out < 0:
            raise OptionError(
                f"slice has width={self.width} and out={self.out}",
                "The width is positive, and the steps out are a whole number from 0",
                "Leave them out, or choose for instance width=3.0, out=32",
            )

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, self.gradient)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        dims = state.q.shape[1]
        axes = tuning.metric.forth(torch.eye(dims, dtype=state.q.dtype, device=state.q.device))  # (D, D), row k is L_k
        evals = torch.zeros_like(state.logp)
        axis = torch.zeros_like(state.logp, dtype=torch.int64)
        search = begun(self.width, self.out, state.q, state.logp, axis, self._uniform(state.logp, rng))
        run = onward(self.width, self.out)
        for _ in range(1000 * dims):  # an interval halves about once a round, so this ends none but broken densities
            going = search[2] < dims
            if not going.any():
                break
            evals = evals + going
            search = call(run, density, *search, axes, self._uniform(state.logp, rng))
        q, logp = search[:2]
        calm = torch.zeros_like(logp, dtype=torch.bool)
        return State(q, logp), Info(torch.ones_like(logp), -logp, calm, evals)

    def _uniform(self, like: Tensor, rng: Generator) -> Tensor:
        return torch.rand(4, len(like), dtype=like.dtype, device=like.device, generator=rng)


def begun(width: float, out: int, q: Tensor, logp: Tensor, axis: Tensor, u: Tensor) -> tuple[Tensor, ...]:
    """A `Search` with a new level, and an interval that lies at random around q; u: (4, C), of which three are used."""
    level = logp + (1 - u[0]).log()
    low = -width * u[1]
    left = (u[2] * (out + 1)).long()
    return q, logp, axis, torch.full_like(axis, LEFT), level, low, low + width, left, out - left


@cache
def onward(width: float, out: int) -> Function:
    """One round as a function of tensors alone: an end of the interval, or a draw inside it."""

    def run(density: Density, *args: Tensor) -> tuple[Tensor, ...]:
        s, (axes, u) = Search(*args[:-2]), args[-2:]
        leftwards, rightwards, inwards = s.phase == LEFT, s.phase == RIGHT, s.phase == SHRINK
        within = s.low + (s.high - s.low) * u[3]
        t = torch.where(leftwards, s.low, torch.where(rightwards, s.high, within))
        q = s.q + t[:, None] * axes[s.axis.clamp_max(len(axes) - 1)]
        logp = density(q)
        inside = logp >= s.level

        further_left, further_right = leftwards & inside & (s.left > 0), rightwards & inside & (s.right > 0)
        miss = inwards & ~inside
        low = torch.where(miss & (t < 0), t, s.low - width * further_left)
        high = torch.where(miss & (t >= 0), t, s.high + width * further_right)
        phase = s.phase + (leftwards & ~further_left).long() + (rightwards & ~further_right).long()
        left, right = s.left - further_left.long(), s.right - further_right.long()
        same = Search(s.q, s.logp, s.axis, phase, s.level, low, high, left, right)
        found = (s.axis < len(axes)) & inwards & inside
        fresh = begun(width, out, q, logp, s.axis + 1, u)
        rows = [found[:, None] if a.dim() == 2 else found for a in same]
        return tuple(torch.where(row, a, b) for row, a, b in zip(rows, fresh, same, strict=True))

    return run
