"""Independence Metropolis-Hastings: proposals from one fixed distribution, weighed by how much it over-proposes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin, normal
from morelike.samplers.mcmc.metropolis import decide


@dataclass(frozen=True)
class Kernel:
    """q' ~ g, accepted with probability min(1, w(q') / w(q)), w = p / g (Tierney 1994, 2.3.3; Hastings 1970).

    g is a multivariate Student t, location + width L r sqrt(df / chi^2_df). Where its tails are lighter than those of
    p, w has no bound and a chain may sit still for ever (Mengersen and Tweedie 1996); hence the heavy tails. Good in
    few dimensions and with a metric that fits; the rate of acceptance tells how well it does.

    df        degrees of freedom, a whole number; None: normal proposals
    width     of the proposals, in units of the metric
    location  (D,); None: where warm-up has seen the chains, or nought without one
    """

    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = False
    discrete: ClassVar[bool] = False
    df: int | None = 5
    width: float = 1.1
    location: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.df is not None and self.df < 1) or not self.width > 0:
            raise OptionError(
                f"independence has df={self.df} and width={self.width}",
                "df is a whole number from 1, or None for normal proposals; width is positive",
                "Leave them out, or choose for instance df=5, width=1.1",
            )

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, self.gradient)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        location = self._location(tuning, state.q)
        r = self._draw(state.q, rng)
        q = location + self.width * tuning.metric.forth(r)
        new = State(q, density(q))
        old_r = self._whiten(tuning, state.q - location)
        return decide(state, new, new.logp - state.logp - self._log_g(r) + self._log_g(old_r), rng)

    def _location(self, tuning: Tuning, q: Tensor) -> Tensor:
        if self.location is not None:
            return self.location.to(q)
        return tuning.centre if tuning.centre.numel() else torch.zeros_like(q[0])

    def _draw(self, like: Tensor, rng: Generator) -> Tensor:
        r = normal(rng, like)
        if self.df is None:
            return r
        chi2 = normal(rng, like.new_empty(len(like), self.df)).square().sum(1, keepdim=True)
        return r * (self.df / chi2).sqrt()

    def _log_g(self, r: Tensor) -> Tensor:
        """log g up to a constant, in whitened coordinates: (C, D) -> (C,)."""
        square = r.square().sum(1)
        if self.df is None:
            return -0.5 * square
        return -0.5 * (self.df + r.shape[1]) * (square / self.df).log1p()

    def _whiten(self, tuning: Tuning, away: Tensor) -> Tensor:
        """(width L)^-1 away: (C, D) -> (C, D)."""
        scale = self.width * tuning.metric.scale
        if not tuning.metric.dense:
            return away / scale
        return torch.linalg.solve_triangular(scale, away.T, upper=False).T
