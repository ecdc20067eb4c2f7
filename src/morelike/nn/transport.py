"""Optimal transport between two small sets: which of the one goes with which of the other."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SHARPNESS, ROUNDS = 20.0, 50  # entropy costs 1 / 20 of the spread of the distances


@torch.no_grad()
def plan(cost: Tensor, sharpness: float = SHARPNESS, rounds: int = ROUNDS) -> Tensor:
    """P = diag(u) exp(-cost / e) diag(v) whose rows and columns sum to 1, by Sinkhorn's iteration (Cuturi 2013).

    e is 1 / sharpness of the standard deviation of the finite costs; an infinite cost forbids a pair.

    cost  (*, n, n) -> (*, n, n) float64
    """
    cost = cost.double()
    finite = cost[cost.isfinite()]
    e = finite.std(correction=0).clamp_min(1e-12) / sharpness
    kernel = torch.exp(-(cost - cost.amin(-1, keepdim=True)) / e).clamp_min(1e-200) * cost.isfinite()
    v = torch.ones_like(kernel[..., :1])  # (*, n, 1)
    for _ in range(rounds):
        u = 1 / (kernel @ v)
        v = 1 / (kernel.mT @ u)
    return u * kernel * v.mT


@torch.no_grad()
def paired(noise: Tensor, x: Tensor, given: Mapping[str, Tensor] = {}, most: int = 64) -> Tensor:
    """For each x one of the rows of noise, drawn from the plan that brings near ones together: (B, *shape) -> same.

    It is the coupling of straighter flows (Tong et al. 2024, 3.2). Each noise keeps a condition, that of the x it came
    with, and only goes to an x of the same one: else some conditions would see some noise only, and others in sampling.
    Sets of more than `most` are paired in parts.
    """
    parts = []
    for i, (a, b) in enumerate(zip(x.split(most), noise.split(most), strict=True)):
        cost = torch.cdist(a.flatten(1).double(), b.flatten(1).double()).square()  # (n, n)
        for value in given.values():
            rows = value[i * most :][: len(a)].reshape(len(a), -1)
            cost = cost.masked_fill((rows[:, None] != rows).any(2), torch.inf)
        parts.append(b[torch.multinomial(plan(cost), 1).squeeze(1)])
    return torch.cat(parts)
