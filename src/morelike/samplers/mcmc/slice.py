"""Slice sampling along the axes of the metric: no step to tune, no rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin, uniform

LEFT, RIGHT, SHRINK = 0, 1, 2


class _Search(NamedTuple):
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
        nought = torch.zeros_like(state.logp, dtype=torch.int64)
        search = self._begin(state.q, state.logp, nought, rng)
        for _ in range(1000 * dims):  # an interval halves about once a round, so this ends none but broken densities
            going = search.axis < dims
            if not going.any():
                break
            evals = evals + going
            search = self._round(density, search, axes, going, rng)
        state = State(search.q, search.logp)
        calm = torch.zeros_like(going)
        return state, Info(torch.ones_like(state.logp), -state.logp, calm, evals)

    def _begin(self, q: Tensor, logp: Tensor, axis: Tensor, rng: Generator) -> _Search:
        """A new level, and an interval that lies at random around q."""
        level = logp + (1 - uniform(rng, logp)).log()
        low = -self.width * uniform(rng, logp)
        left = (uniform(rng, logp) * (self.out + 1)).long()
        phase = torch.full_like(axis, LEFT)
        return _Search(q, logp, axis, phase, level, low, low + self.width, left, self.out - left)

    def _round(self, density: Density, s: _Search, axes: Tensor, going: Tensor, rng: Generator) -> _Search:
        """One point for each chain that still goes: an end of its interval, or a draw inside it."""
        leftwards, rightwards, inwards = s.phase == LEFT, s.phase == RIGHT, s.phase == SHRINK
        within = s.low + (s.high - s.low) * uniform(rng, s.low)
        t = torch.where(leftwards, s.low, torch.where(rightwards, s.high, within))
        q = s.q + t[:, None] * axes[s.axis.clamp_max(len(axes) - 1)]
        logp = density(q)
        inside = logp >= s.level

        further_left, further_right = leftwards & inside & (s.left > 0), rightwards & inside & (s.right > 0)
        miss = inwards & ~inside
        low = torch.where(miss & (t < 0), t, s.low - self.width * further_left)
        high = torch.where(miss & (t >= 0), t, s.high + self.width * further_right)
        phase = s.phase + (leftwards & ~further_left).long() + (rightwards & ~further_right).long()
        same = s._replace(phase=phase, low=low, high=high, left=s.left - further_left.long(),
                          right=s.right - further_right.long())  # fmt: skip
        found = going & inwards & inside
        fresh = self._begin(q, logp, s.axis + 1, rng)
        rows = [found[:, None] if a.dim() == 2 else found for a in same]
        return _Search(*(torch.where(row, a, b) for row, a, b in zip(rows, fresh, same, strict=True)))
