"""Small parts that several nets share: normalisation, embedded tokens, and patches of any spatial rank."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import unknown


def takes_half(x: Tensor) -> bool:
    """Whether bfloat16 pays where x is: without AVX-512 a processor takes six times as long as in float32."""
    return x.device.type != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C) or (B, C, *space) alike (Ioffe & Szegedy 2015)."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # any rank will do: the statistics are taken for each channel


def normalisation(kind: str, channels: int) -> nn.Module:
    """A layer over the channels of (B, channels, *space): "none", "batch" or "group" (Wu & He 2018).

    Only "batch" lets the examples of a batch influence each other. Raises `OptionError` for another word.
    """
    if kind == "batch":
        return BatchNorm(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    if kind == "none":
        return nn.Identity()
    raise unknown("normalisation", kind, ("none", "batch", "group"))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2)) times a learned gain, over the last axis (Zhang & Sennrich 2019): (.., width) -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype))  # torch's module warns under autocast


class TokenEmbedding(nn.Module):
    """Integers to vectors with unit variance, the vector's entries as channels: (B, *shape) -> (B, width, *shape)."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.table(x.long()).movedim(-1, 1)


class Patches:
    """An item as a sequence of equal patches, in reading order, and back.

    shape  (C, *space); a vector (F,) is read as one channel of length F
    patch  sides of one patch, one for each spatial axis; sides that do not divide are padded with zeros at the end
    grid   number of patches along each axis
    count  number of patches
    size   numbers in one patch, C * prod(patch)
    """

    def __init__(self, shape: Sequence[int], patch: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.channels, *self.space = self.shape if len(self.shape) > 1 else (1, *self.shape)
        self.patch = tuple(patch)
        self.grid = tuple(math.ceil(side / p) for side, p in zip(self.space, self.patch, strict=True))
        self.count, self.size = math.prod(self.grid), self.channels * math.prod(self.patch)

    def split(self, x: Tensor) -> Tensor:
        """(B, *shape) -> (B, count, size)."""
        x = x.reshape(x.shape[0], self.channels, *self.space)
        lacks = [g * p - side for g, p, side in zip(self.grid, self.patch, self.space, strict=True)]
        if any(lacks):
            x = F.pad(x, [n for lack in reversed(lacks) for n in (0, lack)])
        x = x.reshape(x.shape[0], self.channels, *self._pairs())  # (B, C, g1, p1, g2, p2, ..)
        rank = len(self.grid)
        order = [0, *range(2, 2 + 2 * rank, 2), 1, *range(3, 3 + 2 * rank, 2)]
        return x.permute(order).reshape(x.shape[0], self.count, self.size)

    def join(self, patches: Tensor) -> Tensor:
        """(B, count, size) -> (B, *shape), the inverse of `split`."""
        rank = len(self.grid)
        padded = [g * p for g, p in zip(self.grid, self.patch, strict=True)]
        x = patches.reshape(patches.shape[0], *self.grid, self.channels, *self.patch)
        order = [0, 1 + rank, *(axis for i in range(rank) for axis in (1 + i, 2 + rank + i))]
        x = x.permute(order).reshape(x.shape[0], self.channels, *padded)
        for axis, side in enumerate(self.space, start=2):
            x = x.narrow(axis, 0, side)
        return x.reshape(x.shape[0], *self.shape)

    def _pairs(self) -> list[int]:
        return [n for pair in zip(self.grid, self.patch, strict=True) for n in pair]


def even_patches(space: Sequence[int], most: int = 64) -> tuple[int, ...]:
    """Sides of patches that cut space into at most `most` pieces, about equally many along each axis.

    28x28 gives 4x4 (49 patches), 64x64 gives 8x8 (64), 1000 samples of sound give 16 (63). Short axes are settled
    first, so that what they leave unused goes to the long ones.
    """
    sides, left = [1] * len(space), float(most)
    axes = sorted(range(len(space)), key=lambda axis: space[axis])
    for done, axis in enumerate(axes):
        pieces = min(space[axis], int(left ** (1 / (len(axes) - done)) + 1e-9))
        sides[axis] = math.ceil(space[axis] / pieces)
        left /= math.ceil(space[axis] / sides[axis])
    return tuple(sides)
