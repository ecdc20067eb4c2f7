"""Tempered densities of many groups of chains in one batch, each group in coordinates that suit it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.samplers.mcmc.kernel import Density


@dataclass(frozen=True)
class Bridge:
    """log f_beta(q) = beta log p(q) + (1 - beta) log base(q), of q = shift + scale z, as a `Density` of z: (G N, D).

    A kernel has one step and one metric for all its chains; the coordinates make them fit every group. f_beta of a base
    that is the prior is prior times likelihood^beta. Without a base it is p^beta.

    beta   (G,) one for each group
    scale  (G, 1, 1), (G, 1, D), or (G, D, D) lower triangular
    shift  (G, 1, D); None: nought
    """

    density: Density
    base: Density | None
    beta: Tensor
    scale: Tensor
    shift: Tensor | None = None

    def forth(self, z: Tensor) -> Tensor:
        """q of z: (G N, D) -> (G N, D)."""
        grouped = z.unflatten(0, (len(self.beta), -1))
        q = grouped @ self.scale.mT if self._dense else grouped * self.scale
        return (q if self.shift is None else self.shift + q).flatten(0, 1)

    def back(self, q: Tensor) -> Tensor:
        """z of q: (G N, D) -> (G N, D)."""
        away = q.unflatten(0, (len(self.beta), -1))
        away = away if self.shift is None else away - self.shift
        z = torch.linalg.solve_triangular(self.scale, away.mT, upper=False).mT if self._dense else away / self.scale
        return z.flatten(0, 1)

    def slope(self, grad: Tensor) -> Tensor:
        """The gradient with respect to z of one with respect to q: (G N, D) -> (G N, D)."""
        grouped = grad.unflatten(0, (len(self.beta), -1))
        return (grouped @ self.scale if self._dense else grouped * self.scale).flatten(0, 1)

    def likelihood(self, q: Tensor) -> Tensor:
        """d log f / d beta = log p - log base: (G N, D) -> (G N,)."""
        return self.density(q) if self.base is None else self.density(q) - self.base(q)

    def __call__(self, z: Tensor) -> Tensor:
        q = self.forth(z)
        return self._mix(self.density(q), None if self.base is None else self.base(q))

    def grad(self, z: Tensor) -> tuple[Tensor, Tensor]:
        q = self.forth(z)
        value, slope = self.density.grad(q)
        base, base_slope = (None, None) if self.base is None else self.base.grad(q)
        return self._mix(value, base), self.slope(self._mix(slope, base_slope))

    @property
    def _dense(self) -> bool:
        return self.scale.shape[1] > 1

    def _mix(self, a: Tensor, b: Tensor | None) -> Tensor:
        """beta a + (1 - beta) b, where a weight of nought outdoes an infinity."""
        beta = self.beta.repeat_interleave(len(a) // len(self.beta)).unflatten(0, (-1, *[1] * (a.dim() - 1)))
        mixed = torch.where(beta > 0, beta * a, 0.0)
        return mixed if b is None else mixed + torch.where(beta < 1, (1 - beta) * b, 0.0)
