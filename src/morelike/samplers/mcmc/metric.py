"""The metric of a kernel: how wide a density is in each direction, as far as warm-up has found out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Metric:
    """A guess S = L L' at the covariance of a density; a momentum has covariance M = S^-1 (Neal 2011, 4.1).

    With p = L^-T r and r standard normal, a step moves q by S p = L r. Kernels keep r ("whitened"), so that their
    kinetic energy is r.r / 2 whatever the metric.

    scale  (D,) standard deviations, or (D, D) a lower triangular L
    """

    scale: Tensor

    @property
    def dense(self) -> bool:
        return self.scale.dim() == 2

    def forth(self, r: Tensor) -> Tensor:
        """L r, from whitened to real directions: (C, D) -> (C, D)."""
        return r @ self.scale.T if self.dense else r * self.scale

    def back(self, grad: Tensor) -> Tensor:
        """L' g, a gradient with respect to whitened coordinates: (C, D) -> (C, D)."""
        return grad @ self.scale if self.dense else grad * self.scale

    def draw(self, like: Tensor, rng: Generator) -> Tensor:
        """Whitened momenta: standard normal, (C, D)."""
        return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=rng)

    @classmethod
    def unit(cls, q: Tensor) -> Metric:
        """No knowledge: the identity; q: (C, D)."""
        return cls(torch.ones(q.shape[1], dtype=q.dtype, device=q.device))
