"""A U-shaped net: from an item to another of the same shape, by way of a short code."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from morelike.nn.cnn import _conv, _crop, _pad_even, check_rank, pyramid
from morelike.nn.condition import FiLM

WIDEST = 4  # channels double with every halving, up to this multiple of the width
CODE = 1024  # most numbers of the code


class Smooth(nn.Module):
    """x + W2 f(film(W1 f(x), c)) with f = SiLU, so that slopes of slopes exist; W2 is 0 at first: (B, C, *space)."""

    def __init__(self, channels: int, dims: int, given: int) -> None:
        super().__init__()
        conv = _conv(dims)
        self.first, self.second = (conv(channels, channels, 3, padding=1) for _ in range(2))
        self.film = FiLM(given, channels)
        for value in self.second.parameters():
            nn.init.zeros_(value)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        return x + self.second(F.silu(self.film(self.first(F.silu(x)), c)))


class UNet(nn.Module):
    """(B, C, *space), c: (B, given) -> an item (B, C, *space) and the code in the middle (B, `code`).

    Every scale keeps a way of its own to the other side (Ronneberger et al. 2015); at the coarsest, a linear map lets
    all places see each other.

    width  channels at half resolution
    """

    def __init__(self, shape: tuple[int, ...], width: int = 32, given: int = 0) -> None:
        super().__init__()
        dims, self.sizes = check_rank(shape, "unet"), pyramid(shape[1:])
        conv, up = _conv(dims), (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
        wide = [shape[0], *(width * min(2**level, WIDEST) for level in range(len(self.sizes) - 1))]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.before, self.after = nn.ModuleList(), nn.ModuleList()
        for fine, coarse in zip(wide, wide[1:], strict=False):
            self.down.append(conv(fine, coarse, 4, stride=2, padding=1))
            self.before.append(Smooth(coarse, dims, given))
            self.after.append(Smooth(coarse, dims, given))
            self.up.append(up(coarse, fine, 4, stride=2, padding=1))
        if len(wide) == 1:  # an item that is small already
            wide.append(width)
            self.down.append(conv(shape[0], width, 3, padding=1))
            self.up.append(conv(width, shape[0], 3, padding=1))
            self.before.append(Smooth(width, dims, given))
            self.after.append(Smooth(width, dims, given))
        places = math.prod(self.sizes[-1])
        channels = max(1, min(wide[-1] // 4, CODE // places))
        self.code = channels * places
        self.squeeze, self.widen = conv(wide[-1], channels, 1), conv(channels, wide[-1], 1)
        self.mix = nn.Linear(self.code, self.code)

    def forward(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        kept: list[Tensor] = []
        for i, (down, block) in enumerate(zip(self.down, self.before, strict=True)):
            x = block(down(_pad_even(F.silu(x) if i else x) if len(self.sizes) > 1 else x), c)
            kept.append(x)
        small = self.squeeze(F.silu(x))  # (B, channels, *coarsest)
        mixed = self.mix(small.flatten(1)).reshape(small.shape)
        x = x + self.widen(F.silu(mixed))
        sizes = [*self.sizes[-2::-1], self.sizes[0]]
        levels = zip(self.up[::-1], self.after[::-1], sizes, strict=False)
        for i, (up, block, size) in enumerate(levels):
            x = _crop(up(F.silu(block(x if not i else x + kept[-1 - i], c))), size)
        return x, small.flatten(1)
