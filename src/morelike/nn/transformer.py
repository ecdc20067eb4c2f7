"""Transformer over patches of any spatial rank, as encoder and decoder (Vaswani 2017; Dosovitskiy et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from morelike.nn.condition import FiLM, joined
from morelike.nn.layers import Patches, RMSNorm, TokenEmbedding, even_patches, normalisation

DEPTH = 3  # blocks


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention softmax(q k' / sqrt(d)) v (Vaswani et al. 2017, eq. 1): (B, heads, T, d) -> same.

    Written out, because torch's fused kernel for the CPU has no second derivative, which gradient penalties need; at
    the 64 patches of these nets it is no slower.
    """
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v


class PatchNorm(nn.Module):
    """Normalisation of each patch's channels, (B, T, width) -> same: root mean square, or "batch" or "group"."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width) if kind == "none" else normalisation(kind, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, 1)).reshape(x.shape)


class Attention(nn.Module):
    """Multi-head self-attention with normalised queries and keys (Henry et al. 2020): (B, T, width) -> same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.norm = RMSNorm(width // heads)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, T, d) each
        return self.out(attend(self.norm(q), self.norm(k), v).transpose(1, 2).flatten(2))

    def weights(self, x: Tensor) -> Tensor:
        """What each patch attends to, for looking at: (B, T, width) -> (B, heads, T, T), rows that sum to 1."""
        q, k, _ = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return (self.norm(q) @ self.norm(k).transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), the norms modulated by the condition: (B, T, width) -> same.

    The last linear map of both branches starts at zero, so a new block is the identity, however many are stacked.
    """

    def __init__(self, width: int, heads: int, given: int, norm: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(PatchNorm(norm, width) for _ in range(2))
        self.films = nn.ModuleList(FiLM(given, width) for _ in range(2))
        self.attention = Attention(width, heads)
        last = nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), last)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        x = x + self.attention(self.films[0](self.norms[0](x), c, -1))
        return x + self.mlp(self.films[1](self.norms[1](x), c, -1))


class Positions(nn.Module):
    """A learned vector for every patch, the sum of one for each axis: (B, T, width) -> same."""

    def __init__(self, grid: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.grid = grid
        self.axes = nn.ParameterList(torch.randn(count, width) / math.sqrt(len(grid)) for count in grid)

    def forward(self, x: Tensor) -> Tensor:
        where, *others = self.axes
        for vectors in others:
            where = where.unsqueeze(-2) + vectors  # (count, .., count, width)
        return x + where.reshape(x.shape[1:])


def patch_code(width: int) -> int:
    """Numbers per patch in which features become patches and patches features, beside what all patches share."""
    return max(4, width // 2)


def stack(width: int, given: int, norm: str) -> tuple[int, nn.ModuleList]:
    """The width of the patches' vectors, 3 x width in heads of about 32, and the blocks."""
    heads = max(1, round(3 * width / 32))
    wide = heads * math.ceil(3 * width / heads)
    return wide, nn.ModuleList(Block(wide, heads, given, norm) for _ in range(DEPTH))


class Encoder(nn.Module):
    """Patches, three blocks of attention, features: (B, *shape), c: (B, given) -> (B, out).

    width   patches become vectors of 3 x width numbers; there are about 50 to 64 of them
    tokens  size of the vocabulary where items are integers, which are embedded first
    norm    "none" (root mean square of each patch, which mixes no examples), "batch" or "group"
    style   this net has only one; accepted so that nets can be exchanged
    """

    def __init__(
        self, shape: tuple[int, ...], out: int, width: int = 32, given: int = 0, tokens: int | None = None,
        norm: str = "none", style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Identity() if tokens is None else TokenEmbedding(tokens, width)
        shape = shape if tokens is None else (width, *shape)
        self.patches = Patches(shape, even_patches(shape[1:] or shape))
        wide, self.blocks = stack(width, given, norm)
        self.start, self.positions = nn.Linear(self.patches.size, wide), Positions(self.patches.grid, wide)
        self.norm, self.film = PatchNorm(norm, wide), FiLM(given, wide)
        self.per_patch = nn.Linear(wide, patch_code(width))
        self.head = nn.Linear(wide + patch_code(width) * self.patches.count, out)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        x = self.positions(self.start(self.patches.split(self.embed(x))))  # (B, T, wide)
        for block in self.blocks:
            x = block(x, c)
        x = self.film(self.norm(x), c, -1)
        return self.head(torch.cat([x.mean(1), self.per_patch(x).flatten(1)], 1))


class Decoder(nn.Module):
    """Features, three blocks of attention modulated by them, patches: (B, features), c: (B, given) -> (B, *shape).

    The features enter twice: as a short code for each patch, and as scale and shift of every normalisation
    (Peebles & Xie 2023).
    """

    def __init__(
        self, features: int, shape: tuple[int, ...], width: int = 32, given: int = 0, norm: str = "none",
        style: str = "residual",
    ) -> None:  # fmt: skip
        super().__init__()
        self.patches = Patches(shape, even_patches(shape[1:] or shape))
        wide, self.blocks = stack(width, 3 * width, norm)
        self.per_patch = nn.Linear(features + given, patch_code(width) * self.patches.count)
        self.start, self.positions = nn.Linear(patch_code(width), wide), Positions(self.patches.grid, wide)
        self.modulation = nn.Sequential(nn.Linear(features + given, 3 * width), nn.SiLU())
        self.norm, self.film = PatchNorm(norm, wide), FiLM(3 * width, wide)
        self.head = nn.Linear(wide, self.patches.size)

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        h = joined(h, c)
        style = self.modulation(h)
        x = self.positions(self.start(self.per_patch(h).unflatten(1, (self.patches.count, -1))))  # (B, T, wide)
        for block in self.blocks:
            x = block(x, style)
        return self.patches.join(self.head(self.film(self.norm(x), style, -1)))
