"""Multilayer perceptron as encoder and decoder: for vectors and tables, and for anything else that fits into one."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from morelike.nn.condition import FiLM, joined
from morelike.nn.layers import TokenEmbedding, normalisation

HIDDEN = 16  # hidden units per unit of width


class Layer(nn.Module):
    """Linear map, normalisation, modulation by the condition, leaky ReLU: (B, before), (B, given) -> (B, after)."""

    def __init__(self, before: int, after: int, given: int = 0, norm: str = "none") -> None:
        super().__init__()
        self.linear = nn.Linear(before, after)
        self.norm, self.film = normalisation(norm, after), FiLM(given, after)
        nn.init.kaiming_normal_(self.linear.weight, 0.2)  # keeps the scale of the signal through leaky ReLUs (He 2015)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        return F.leaky_relu(self.film(self.norm(self.linear(h)), c), 0.2)


class Encoder(nn.Module):
    """Two hidden layers of 16 x width units from an item to features: (B, *shape), c: (B, given) -> (B, out).

    tokens  size of the vocabulary where items are integers, which are embedded first
    norm    "none", "batch" or "group", after each hidden linear map
    style   a perceptron has only one; accepted so that nets can be exchanged
    """

    def __init__(
        self, shape: tuple[int, ...], out: int, width: int = 32, given: int = 0, tokens: int | None = None,
        norm: str = "none", style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        channels = max(8, width // 2) if tokens is not None else 1
        self.embed = nn.Identity() if tokens is None else TokenEmbedding(tokens, channels)
        self.first = Layer(channels * math.prod(shape), HIDDEN * width, given, norm)
        self.second = Layer(HIDDEN * width, HIDDEN * width, given, norm)
        self.head = nn.Linear(HIDDEN * width, out)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.embed(x).flatten(1)
        return self.head(self.second(self.first(h, c), c))


class Decoder(nn.Module):
    """Two hidden layers of 16 x width units from features to an item: (B, features), c: (B, given) -> (B, *shape)."""

    def __init__(
        self, features: int, shape: tuple[int, ...], width: int = 32, given: int = 0, norm: str = "none",
        style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape = tuple(shape)
        self.first = Layer(features + given, HIDDEN * width, norm=norm)
        self.second = Layer(HIDDEN * width, HIDDEN * width, norm=norm)
        self.head = nn.Linear(HIDDEN * width, math.prod(shape))

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        return self.head(self.second(self.first(joined(h, c)))).reshape(h.shape[0], *self.shape)
