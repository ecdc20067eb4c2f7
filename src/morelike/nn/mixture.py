"""A Gaussian mixture fitted by expectation-maximisation: a density on latents, trained in seconds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOG_2PI = math.log(2 * math.pi)


class GaussianMixture(nn.Module):
    """p(z) = sum_k w_k N(z; m_k, L_k L_k^T), by EM (Dempster et al. 1977) with full covariances.

    A new one is the standard normal. parts: largest number of components; features: length of z.
    """

    weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, features: int, parts: int = 10) -> None:
        super().__init__()
        self.register_buffer("weights", torch.zeros(parts).index_fill_(0, torch.tensor(0), 1.0))  # (K,)
        self.register_buffer("means", torch.zeros(parts, features))  # (K, F)
        self.register_buffer("factors", torch.eye(features).repeat(parts, 1, 1))  # (K, F, F), lower triangular

    @torch.no_grad()
    def fit(self, z: Tensor, rounds: int = 40, generator: torch.Generator | None = None) -> GaussianMixture:
        """Fit to rows of z (N, F); uses fewer components where N is small: each needs some 10 F rows."""
        z = z.double().cpu()
        count, features = z.shape
        parts = max(1, min(len(self.weights), count // (10 * features)))
        share = (1 / parts) * torch.ones(parts, dtype=z.dtype)
        means, factors = self._start(z, parts, generator)
        last = -math.inf
        for _ in range(rounds):
            joint = share.log() + _log_normal(z, means, factors)  # (N, K)
            total = joint.logsumexp(1, keepdim=True)
            owned = (joint - total).exp()
            if float(total.mean()) - last < 1e-4:
                break
            last = float(total.mean())
            mass = owned.sum(0).clamp_min(1e-3)
            share, means = mass / mass.sum(), owned.T @ z / mass[:, None]
            factors = torch.stack([_factor(z - means[k], owned[:, k], mass[k]) for k in range(parts)])
        for buffer, value in ((self.weights, share), (self.means, means), (self.factors, factors)):
            buffer.zero_()
            buffer[:parts] = value.to(buffer)
        self.factors[parts:] = torch.eye(features).to(self.factors)
        return self

    def _start(self, z: Tensor, parts: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """k-means++ seeding (Arthur & Vassilvitskii 2007) and the common covariance."""
        centres = [z[torch.randint(len(z), (), generator=generator)]]
        for _ in range(parts - 1):
            near = torch.cdist(z, torch.stack(centres)).min(1).values.square()
            centres.append(z[torch.multinomial((near + 1e-12) / (near + 1e-12).sum(), 1, generator=generator)[0]])
        common = _factor(z - z.mean(0), torch.ones(len(z), dtype=z.dtype), torch.tensor(float(len(z)), dtype=z.dtype))
        return torch.stack(centres), common.repeat(parts, 1, 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of rows: (N, F) -> (N,)."""
        used = self.weights > 0
        return (self.weights[used].log() + _log_normal(z, self.means[used], self.factors[used])).logsumexp(1)

    def transform(self, noise: Tensor) -> Tensor:
        """Turn standard normal noise (N, 1 + F) into samples (N, F): its first column picks the component."""
        u = (torch.special.ndtr(noise[:, 0])).clamp(1e-7, 1 - 1e-7)
        k = torch.searchsorted(self.weights.cumsum(0), u).clamp_max(int((self.weights > 0).sum()) - 1)
        return self.means[k] + (self.factors[k] @ noise[:, 1:, None]).squeeze(2)


def _factor(centred: Tensor, owned: Tensor, mass: Tensor) -> Tensor:
    """Cholesky factor of the weighted covariance, with a ridge of a thousandth of its mean variance."""
    covariance = (centred * owned[:, None]).T @ centred / mass
    ridge = 1e-3 * covariance.diagonal().mean().clamp_min(1e-6)
    return torch.linalg.cholesky(covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype))


def _log_normal(z: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """log N(z; m_k, L_k L_k^T): (N, F) -> (N, K)."""
    rows = []
    for mean, factor in zip(means, factors, strict=True):
        white = torch.linalg.solve_triangular(factor, (z - mean).T, upper=False)  # (F, N)
        rows.append(-0.5 * (white.square().sum(0) + z.shape[1] * LOG_2PI) - factor.diagonal().log().sum())
    return torch.stack(rows, 1)
