"""Expectation-maximisation, batch by batch, as an optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from morelike.nn.optimizers import Optimizer

LEAST = 1e-30  # of a count


class EM(Optimizer):
    """s <- (1 - lr) s + lr n and theta = log(s / sum s), for log-probabilities over the last axis.

    n = -dL/dtheta is how often each entry is expected to be used, where L is the mean of -log p: what is seldom used in
    this batch changes little, and lr = 1 on all data is plain EM (Dempster et al. 1977). Batches with a falling lr:
    Cappe & Moulines 2009, eq. 13-15; in circuits, Peharz et al. 2017.
    """

    def __init__(self, params: Iterable[Tensor], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                n = theta.grad.neg().clamp_min_(0)
                state = self.state[theta]
                if "counts" not in state:  # as if what theta says had been seen as often as this batch says
                    state["counts"] = theta.softmax(-1) * n.sum(-1, keepdim=True)
                s = state["counts"].lerp_(n, group["lr"])
                theta.copy_(s.clamp_min(LEAST).log_().log_softmax(-1))
