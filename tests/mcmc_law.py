"""A density for tests of samplers."""

from __future__ import annotations

from torch import Tensor

from morelike.samplers.mcmc.kernel import differentiated


class Law:
    """A log density and its gradient; with a base, as a posterior has its prior."""

    def __init__(self, log_prob, base=None) -> None:
        self.log_prob = log_prob
        if base is not None:
            self.base = base

    def __call__(self, q: Tensor) -> Tensor:
        return self.log_prob(q)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return differentiated(self.log_prob, q)
