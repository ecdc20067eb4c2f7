"""Optimizers from torch, learning-rate schedules over the fraction of the budget, and an average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from morelike.core.errors import unknown
from morelike.core.family import Optim
from morelike.nn.optimizers import SGD, Adam, AdamW, Optimizer
from morelike.train.em import EM
from morelike.train.muon import Muon

OPTIMIZERS = ("sgd", "adam", "adamw", "muon", "em")
SCHEDULES = ("constant", "cosine", "linear")


def rate(optim: Optim, fraction: float) -> float:
    """Learning rate at a fraction of the budget: linear warm-up, then constant, cosine (Loshchilov & Hutter 2017,
    eq. 5) or constant with a linear cool-down to zero."""
    if optim.schedule not in SCHEDULES:
        raise unknown("schedule", optim.schedule, SCHEDULES)
    if fraction < optim.warmup:
        return optim.lr * (0.01 + 0.99 * fraction / optim.warmup)
    if optim.schedule == "constant":
        return optim.lr
    if optim.schedule == "cosine":
        return optim.lr * (1 + math.cos(math.pi * (fraction - optim.warmup) / max(1e-9, 1 - optim.warmup))) / 2
    return optim.lr * min(1.0, (1 - fraction) / max(1e-9, optim.cooldown))


def build(optim: Optim, player: nn.Module) -> list[Optimizer]:
    """torch's optimizers for one player; Muon takes the hidden matrices and AdamW the rest, since Muon is for matrices.

    Adam is fused: on two CPU cores a step of eight million weights takes a third of the time.
    """
    params = [p for p in player.parameters() if p.requires_grad]
    lr, betas, decay = optim.lr, optim.betas, optim.weight_decay
    if optim.name == "sgd":
        return [SGD(params, lr, momentum=betas[0], weight_decay=decay)]
    if optim.name == "adam":
        return [Adam(params, lr, betas, weight_decay=decay, fused=True)]
    if optim.name == "adamw":
        return [AdamW(params, lr, betas, weight_decay=decay, fused=True)]
    if optim.name == "em":
        return [EM(params, lr)]
    if optim.name != "muon":
        raise unknown("optimizer", optim.name, OPTIMIZERS)
    hidden = hidden_matrices(player)
    matrices, others = [p for p in params if id(p) in hidden], [p for p in params if id(p) not in hidden]
    both: list[Optimizer] = []
    if matrices:
        both.append(Muon(matrices, lr, betas[0] or 0.95, decay))
    if others:  # decay is for matrices whose scale is not their meaning
        both.append(AdamW([{"params": others, "scale": optim.rest}], lr, (0.9, betas[1]), weight_decay=0.0, fused=True))
    return both


def hidden_matrices(player: nn.Module) -> set[int]:
    """The ids of the matrices between hidden features: not of embeddings, nor of modules with `edge = True`.

    A module says so if it reads the data or writes the prediction, where the axes of a matrix have a meaning each.
    """
    edges: set[int] = set()
    hidden: set[int] = set()
    for module in player.modules():
        at_edge = isinstance(module, nn.Embedding) or getattr(module, "edge", False)
        for p in module.parameters(recurse=False):
            if p.ndim == 2 and min(p.shape) > 1:
                (edges if at_edge else hidden).add(id(p))
    return hidden - edges


def set_rate(optimizers: Iterable[Optimizer], lr: float) -> None:
    """Give all groups one learning rate, times their own scale if they have one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr * group.get("scale", 1.0)


class Average:
    """Power-law average of the weights, theta_t <- b theta_t-1 + (1 - b) theta with b = (1 - 1/t)^(g + 1).

    Its memory is a fixed share of the run so far, not a number of steps, so it is right for a run of any length and
    at any moment of it: width 0.1 remembers about the last tenth (Karras et al. 2024, eq. 123-127).
    """

    def __init__(self, module: nn.Module, width: float) -> None:
        self.names = [name for name, _ in module.named_parameters()]
        self.values = [p.detach().clone() for p in module.parameters()]
        self.live: list[Tensor] = list(module.parameters())
        self.module = module
        self.exponent = power(width)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps (from 1)."""
        torch._foreach_lerp_(self.values, self.live, 1 - (1 - 1 / step) ** (self.exponent + 1))

    def tensors(self) -> dict[str, Tensor]:
        """Averaged parameters, under every name that they have, and buffers as they are."""
        averaged = {id(live): value for live, value in zip(self.live, self.values, strict=True)}
        state = self.module.state_dict(keep_vars=True)
        return {name: averaged.get(id(value), value.detach()) for name, value in state.items()}


def power(width: float) -> float:
    """The exponent g whose average has relative standard deviation `width`: (g + 1) / ((g + 2)^2 (g + 3)) = width^2."""
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        wider = (middle + 1) / ((middle + 2) ** 2 * (middle + 3)) > width**2
        low, high = (middle, high) if wider else (low, middle)
    return (low + high) / 2
