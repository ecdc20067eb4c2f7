"""Muon: momentum whose every matrix is made orthogonal, for hidden matrices, many of one shape at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from morelike.nn.layers import takes_half
from morelike.nn.optimizers import Optimizer

QUINTIC = (3.4445, -4.7750, 2.0315)  # steepest at zero, so that small singular values grow fast (Jordan et al. 2024)
ROUNDS = 5


def orthogonal(x: Tensor) -> Tensor:
    """About U V' for every x = U S V', singular values between 0.7 and 1.2: (n, rows, columns) -> same.

    Newton-Schulz iteration X <- a X + (b A + c A^2) X with A = X X' (Jordan et al. 2024). In bfloat16, whose rounding
    is smaller than what the iteration leaves, where that is quicker.
    """
    a, b, c = QUINTIC
    tall = x.shape[-2] > x.shape[-1]
    y = x.mT if tall else x
    y = y / y.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None]
    y = y.bfloat16() if takes_half(y) else y
    for _ in range(ROUNDS):
        gram = y @ y.mT
        y = torch.baddbmm(y, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
    return (y.mT if tall else y).to(x.dtype)


class Muon(Optimizer):
    """theta <- theta - lr 0.2 sqrt(max(rows, columns)) orthogonal(g + mu m), m <- mu m + g (Jordan et al. 2024).

    The factor gives updates the size of AdamW's (Liu et al. 2025, eq. 4), so that rates can be compared. torch's own
    goes through the matrices one by one; here those of one shape go together, which matters where they are small.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(tuple(p.shape), []).append(p)
            for shape, params in shapes.items():
                self._step(params, group, 0.2 * max(shape) ** 0.5)

    def _step(self, params: list[Tensor], group: dict[str, Any], scale: float) -> None:
        lr, mu, grads = group["lr"], group["momentum"], [p.grad for p in params if p.grad is not None]
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        memories = [self.state[p]["momentum_buffer"] for p in params]
        torch._foreach_lerp_(memories, grads, 1 - mu)
        update = orthogonal(torch.stack(torch._foreach_lerp(grads, memories, mu)))
        if group["weight_decay"]:
            torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
        torch._foreach_add_(params, list(update.unbind()), alpha=-lr * scale)
