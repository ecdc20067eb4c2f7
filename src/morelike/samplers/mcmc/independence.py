"""Independence Metropolis-Hastings: proposals from one fixed distribution, weighed by how much it over-proposes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import NONE, Density, Info, State, Tuning, normal
from morelike.samplers.mcmc.metropolis import decide


class Located(NamedTuple):
    """A `State` with the place that proposals spread around: location (D,)."""

    q: Tensor
    logp: Tensor
    grad: Tensor
    location: Tensor


@dataclass(frozen=True)
class Kernel:
    """q' ~ g, accepted with probability min(1, w(q') / w(q)), w = p / g (Tierney 1994, 2.3.3; Hastings 1970).

    g is a multivariate Student t, location + width L r sqrt(df / chi^2_df). Where its tails are lighter than those of
    p, w has no bound and a chain may sit still for ever (Mengersen and Tweedie 1996); hence the heavy tails. Good in
    few dimensions and with a metric that fits; the rate of acceptance tells how well it does.

    df        degrees of freedom, a whole number; None: normal proposals
    width     of the proposals, in units of the metric
    location  (D,); None: the mean of the chains where they begin
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

    def init(self, density: Density, q: Tensor) -> Located:
        where = q.mean(0) if self.location is None else self.location.to(q)
        return Located(q, density(q), NONE, where)

    def step(self, density: Density, state: Located, tuning: Tuning, rng: Generator) -> tuple[Located, Info]:
        r = self._draw(state.q, rng)
        q = state.location + self.width * tuning.metric.forth(r)
        new = State(q, density(q))
        old_r = self._whiten(tuning, state.q - state.location)
        log_ratio = new.logp - state.logp - self._log_g(r) + self._log_g(old_r)
        kept, info = decide(State(state.q, state.logp), new, log_ratio, rng)
        return Located(*kept, state.location), info

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
