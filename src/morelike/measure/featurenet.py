"""The small net behind learned features: strided convolutions for what has space, a perceptron for what has none."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.spec import Spec
from morelike.measure.usual import FAR, USUAL, Bag, Usual
from morelike.measure.views import KINDS
from morelike.nn import mlp
from morelike.nn.layers import BatchNorm, TokenEmbedding

WIDTH = 64  # features: enough to tell items apart, few enough for the covariance of a few hundred of them
CHANNELS, WIDEST = (24, 24, 16), 4  # of the first convolution, by spatial rank; the last has at most 4 times as many
HIDDEN = 12  # width of the perceptron for vectors, in units of `nn.mlp`
COARSEST = 7  # sides are shrunk until none is longer
STRIDES = ((COARSEST, 1), (47, 2), (1023, 4), (math.inf, 16))  # longest side for each stride
LARGEST = 2**15  # positions of an item that are looked at; larger items are averaged down
OUTLIER = 50.0  # where inputs are cut off, in standard deviations, so that features are finite whatever comes
EMBEDDED = 16  # channels of an embedded token


def shrinking(space: tuple[int, ...]) -> tuple[int, ...]:
    """By how much each axis is averaged down, so that at most `LARGEST` positions are left: 256x256 gives 2, 2."""
    factors, sides = [1] * len(space), list(space)
    while math.prod(sides) > LARGEST:
        longest = max(sides)
        for axis, side in enumerate(sides):
            if side == longest:
                factors[axis], sides[axis] = 2 * factors[axis], math.ceil(side / 2)
    return tuple(factors)


def shrunk(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Averages over blocks of this size: (B, C, *space) -> (B, C, *smaller)."""
    if max(factors, default=1) == 1:
        return x
    return (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(factors) - 1](x, factors, ceil_mode=True)


def _trunk(channels: int, space: tuple[int, ...]) -> nn.Sequential:
    """Strided convolutions with batch normalisation until no side is above 7: (B, C, *space) -> (B, 64)."""
    conv: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(space) - 1]
    width = CHANNELS[len(space) - 1]
    layers: list[nn.Module] = []
    while not layers or max(space) > COARSEST:
        stride = tuple(next(by for longest, by in STRIDES if side <= longest) for side in space)
        kernel = tuple(step + 2 if step > 1 else 3 for step in stride)
        wider = width * min(2 ** (len(layers) // 3), WIDEST)
        layers += [conv(channels, wider, kernel, stride, 1, bias=False), BatchNorm(wider), nn.LeakyReLU(0.1)]
        channels = wider
        space = tuple((side + 2 - k) // step + 1 for side, k, step in zip(space, kernel, stride, strict=True))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * math.prod(space), WIDTH))


class FeatureNet(nn.Module):
    """Items to 64 features, and features to classes and damages: (B, *shape) -> (B, 64).

    Of sequences of varying length, the last twelve features are not learnt: they tell how usual their runs are.

    centre, scale     of the inputs, for each channel or column
    mean, deviation   of the features of undamaged training items
    """

    centre: Tensor
    scale: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, spec: Spec, classes: int = 0) -> None:
        super().__init__()
        self.tokens = spec.tokens
        self.factors: tuple[int, ...] = ()
        self.end, self.learnt = spec.end, WIDTH if spec.end is None else WIDTH - USUAL
        embedded = spec.tokens is not None and len(spec.shape) > 0 and spec.end is None
        self.embed: nn.Module = TokenEmbedding(spec.tokens + 1, EMBEDDED) if embedded else nn.Identity()  # type: ignore[operator]
        channels, *space = (EMBEDDED, *spec.shape) if embedded else spec.shape or (1,)
        if spec.end is not None and spec.tokens is not None:
            self.trunk: nn.Module = Bag(spec.tokens, spec.end, self.learnt, BatchNorm)
            self.usual = Usual(spec.tokens, spec.end, torch.Generator().manual_seed(0))
        elif space:
            if spec.tokens is None:
                self.factors = shrinking(tuple(space))
                space = [math.ceil(side / by) for side, by in zip(space, self.factors, strict=True)]
            self.trunk = _trunk(channels, tuple(space))
        else:
            vocabulary = None if spec.tokens is None else spec.tokens + 1
            self.trunk = mlp.Encoder(spec.shape, WIDTH, HIDDEN, tokens=vocabulary, norm="batch")
        self.classes = nn.Linear(self.learnt, classes) if classes else None
        self.damage = nn.Linear(self.learnt, len(KINDS))
        places = () if spec.tokens is not None else (spec.shape[0], *[1] * spec.dims)
        self.register_buffer("centre", torch.zeros(places))
        self.register_buffer("scale", torch.ones(places))
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("deviation", torch.ones(WIDTH))
        if len(space) == 2 and spec.tokens is None:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def prepared(self, x: Tensor) -> Tensor:
        """Items as the net wants them: finite, standardised and not too large, or tokens that it knows."""
        if self.tokens is not None:
            return x.long().clamp(0, self.tokens - 1)
        x = ((x.float() - self.centre) / self.scale).nan_to_num(0.0, OUTLIER, -OUTLIER).clamp(-OUTLIER, OUTLIER)
        return shrunk(x, self.factors)

    def raw(self, prepared: Tensor) -> Tensor:
        """Features before they are standardised: (B, *shape) -> (B, 64)."""
        found = self.trunk(self.embed(prepared))
        return found if self.end is None else torch.cat([found, self.usual(prepared)], 1)

    def forward(self, x: Tensor) -> Tensor:
        found = (self.raw(self.prepared(x)) - self.mean) / self.deviation
        return torch.cat([found[:, : self.learnt], found[:, self.learnt :].clamp(-FAR, FAR)], 1)
