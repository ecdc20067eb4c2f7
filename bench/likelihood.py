"""Importance-weighted log-likelihood of a latent-variable model with a diagonal Gaussian encoder and prior N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]
LogPx = Callable[[Tensor, Tensor], Tensor]


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, exp(log_variance)), summed over the last axis: (..., d) -> (...)."""
    squares = (z - mean) ** 2 / log_variance.exp()
    return -0.5 * (math.log(2 * math.pi) + log_variance + squares).sum(-1)


@torch.no_grad()
def importance_weighted(x: Tensor, encode: Encode, log_px: LogPx, k: int = 200, seed: int = 0) -> Tensor:
    """log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x) with z_i ~ q(z|x), in nats: (B, ...) -> (B,).

    `encode(x)` gives mean and log-variance of q, each (B, d); `log_px(x, z)` gives log p(x|z), (B,), for z (B, d).
    k = 1 is a one-draw ELBO; the bound tightens with k. Source: Burda, Grosse & Salakhutdinov 2016, eq. 8.
    """
    rng = torch.Generator().manual_seed(seed)
    mean, log_variance = encode(x)
    nought = torch.zeros(())
    log_weights = []
    for _ in range(k):
        z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=rng)
        log_ratio = log_normal(z, nought, nought) - log_normal(z, mean, log_variance)
        log_weights.append((log_px(x, z) + log_ratio).double())
    return torch.logsumexp(torch.stack(log_weights), 0) - math.log(k)
