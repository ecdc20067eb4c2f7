"""Convolutional encoder and decoder for any spatial rank: sound (1-d), pictures (2-d), video (3-d)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.nn.layers import normalisation

WIDEST = 8  # channels double with every halving, up to this multiple of the width


def _conv(dims: int) -> type[nn.Module]:
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]


def pyramid(space: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sizes of space from full to coarsest, each half (rounded up) of the one before: 28x28, 14x14, 7x7."""
    sizes = [space]
    while max(sizes[-1]) > 7:
        sizes.append(tuple(max(1, math.ceil(side / 2)) for side in sizes[-1]))
    return sizes


def check_rank(shape: tuple[int, ...], name: str = "cnn") -> int:
    """The spatial rank of (C, *space); an `OptionError` where there is no space to convolve."""
    dims = len(shape) - 1
    if dims not in (1, 2, 3):
        raise OptionError(
            f'The net "{name}" cannot read items of shape {tuple(shape)}',
            "It needs 1 to 3 spatial dimensions after the channels",
            "Use --net mlp, or --net transformer",
        )
    return dims


class Block(nn.Module):
    """Residual block y = x + g W2 f(W1 f(x) + V c), with g = 0 at the start (Bachlechner et al. 2021, eq. 2).

    x: (B, C, *space), c: (B, given) or None. Without normalisation layers the zero start keeps deep stacks stable.
    """

    def __init__(self, channels: int, dims: int, given: int = 0, norm: str = "none") -> None:
        super().__init__()
        conv = _conv(dims)
        self.norm1, self.norm2 = normalisation(norm, channels), normalisation(norm, channels)
        self.conv1 = conv(channels, channels, 3, padding=1)
        self.conv2 = conv(channels, channels, 3, padding=1)
        self.shift = nn.Linear(given, channels) if given else None
        self.gain = nn.Parameter(torch.zeros(1))
        for name, value in self.named_parameters():
            if name.startswith("conv"):
                nn.init.kaiming_normal_(value, 0.2) if value.ndim > 1 else nn.init.zeros_(value)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.conv1(F.leaky_relu(self.norm1(x), 0.2))
        if self.shift is not None and c is not None:
            h = h + self.shift(c).to(h.dtype).reshape(*h.shape[:2], *[1] * (h.ndim - 2))
        h = self.conv2(F.leaky_relu(self.norm2(h), 0.2))
        return x + self.gain.to(h.dtype) * h


def _enlarge(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Linear enlargement of every axis that is halved, cropped to size: (B, C, *space) -> (B, C, *size).

    Repeating values instead would leave their squares visible in short runs.
    """
    factors = [2.0 if side != now else 1.0 for side, now in zip(size, x.shape[2:], strict=True)]
    mode = ("linear", "bilinear", "trilinear")[len(size) - 1]
    return _crop(F.interpolate(x, scale_factor=factors, mode=mode, align_corners=False), size)


def _crop(x: Tensor, space: tuple[int, ...]) -> Tensor:
    """Cut what rounding up has added: (B, C, *larger) -> (B, C, *space)."""
    for axis, side in enumerate(space, start=2):
        x = x.narrow(axis, 0, side)
    return x


def _pad_even(x: Tensor) -> Tensor:
    """Repeat the last row where a side is odd, so that stride 2 loses nothing."""
    pads = [n for side in reversed(x.shape[2:]) for n in (0, side % 2)]
    return F.pad(x, pads, mode="replicate") if any(pads) else x


class Encoder(nn.Module):
    """Strided convolutions from an item to features: (B, C, *space), c: (B, given) -> (B, out).

    width  channels at half resolution; they double with every further halving, up to 8 x width
    style  "residual" (no normalisation needed) or "plain" (one 4-wide strided convolution per halving: DCGAN,
           Radford et al. 2016)
    """

    def __init__(
        self, shape: tuple[int, ...], out: int, width: int = 32, given: int = 0, tokens: int | None = None,
        norm: str = "none", style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        dims = check_rank(shape)
        conv, sizes = _conv(dims), pyramid(shape[1:])
        if tokens is not None:
            raise OptionError("The net cnn was given tokens", "It reads real numbers", "Use --net transformer or rnn")
        self.layers = nn.ModuleList()
        channels = shape[0]
        for level in range(1, len(sizes)):
            wider = width * min(2 ** (level - 1), WIDEST)
            self.layers.append(conv(channels, wider, 4, stride=2, padding=1))
            channels = wider
            if style == "plain":
                self.layers.append(
                    nn.Sequential(normalisation(norm if level > 1 else "none", wider), nn.LeakyReLU(0.2))
                )
            else:
                self.layers.append(Block(wider, dims, given, norm))
        if len(sizes) == 1:
            self.layers.append(nn.Sequential(conv(channels, width, 3, padding=1), nn.LeakyReLU(0.2)))
            channels = width
        self.head = nn.Linear(channels * math.prod(sizes[-1]) + (given if style == "plain" else 0), out)
        self.given_at_head = bool(given) and style == "plain"

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            if isinstance(layer, Block):
                x = layer(x, c)
            else:
                x = layer(_pad_even(x) if not isinstance(layer, nn.Sequential) else x)
        h = F.leaky_relu(x, 0.2).flatten(1)  # (B, channels * coarsest space)
        return self.head(torch.cat([h, c.to(h.dtype)], 1) if self.given_at_head and c is not None else h)


class Decoder(nn.Module):
    """Convolutions and enlargements from features to an item: h: (B, features), c: (B, given) -> (B, *shape).

    "residual": linear enlargement and residual blocks up to half resolution, then one more enlargement
    and two narrow convolutions. "plain": transposed convolutions (DCGAN).
    """

    def __init__(
        self, features: int, shape: tuple[int, ...], width: int = 32, given: int = 0, norm: str = "none",
        style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.dims, self.style = check_rank(shape), style
        self.sizes = pyramid(shape[1:])
        deepest = len(self.sizes) - 1
        wide = [width * min(2 ** max(level - 1, 0), WIDEST) for level in range(deepest + 1)]
        self.start = nn.Linear(features + given, wide[-1] * math.prod(self.sizes[-1]))
        self.start_norm = normalisation(norm, wide[-1])
        self.layers = nn.ModuleList()
        for level in range(deepest, 0, -1):
            self.layers.append(self._level(wide, level, given, norm))
        self.head = self._head(wide[0] if deepest else width, shape[0], enlarge=deepest > 0)

    def _level(self, wide: list[int], level: int, given: int, norm: str) -> nn.Module:
        conv = _conv(self.dims)
        if self.style == "plain":
            if level == 1:
                return nn.Identity()  # the last enlargement is the head's
            up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[self.dims - 1]
            layer = up(wide[level], wide[level - 1], 4, stride=2, padding=1)
            return nn.Sequential(layer, normalisation(norm, wide[level - 1]), nn.ReLU())
        block = Block(wide[level], self.dims, given, norm)
        narrower = (
            conv(wide[level], wide[level - 1], 1) if level > 1 and wide[level] != wide[level - 1] else nn.Identity()
        )
        return nn.ModuleList([block, narrower])

    def _head(self, channels: int, out: int, enlarge: bool) -> nn.Module:
        conv = _conv(self.dims)
        if not enlarge:
            return conv(channels, out, 3, padding=1)
        if self.style == "plain":
            up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[self.dims - 1]
            return up(channels, out, 4, stride=2, padding=1)
        fine = max(8, channels // 2)
        shapes = ((channels, fine), (fine, fine), (fine, out))
        layers = nn.ModuleList(conv(before, after, 3, padding=1) for before, after in shapes)
        for value in layers.parameters():  # torch's own scale shrinks from layer to layer
            nn.init.kaiming_normal_(value, 0.2) if value.ndim > 1 else nn.init.zeros_(value)
        return layers

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.start(torch.cat([h, c.to(h.dtype)], 1) if c is not None else h)
        x = h.reshape(h.shape[0], -1, *self.sizes[-1])  # (B, C, *coarsest)
        x = self.start_norm(x)
        if self.style == "plain":
            x = F.relu(x)
            for layer, size in zip(self.layers, self.sizes[-2:0:-1], strict=False):
                x = _crop(layer(x), size)
            return _crop(self.head(x), self.sizes[0])
        return self._residual(x, c)

    def _residual(self, x: Tensor, c: Tensor | None) -> Tensor:
        for level, size in zip(self.layers, [*self.sizes[-2:0:-1], None], strict=False):
            assert isinstance(level, nn.ModuleList)
            block, narrower = level
            x = narrower(block(x, c))
            if size is not None:
                x = _enlarge(x, size)
        x = F.leaky_relu(x, 0.2)
        if not isinstance(self.head, nn.ModuleList):
            return self.head(x)
        coarse, fine, last = self.head
        x = _enlarge(F.leaky_relu(coarse(x), 0.2), self.sizes[0])
        return last(F.leaky_relu(fine(x), 0.2))
