"""Attention to one's own past or to a memory, and the normalisations around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.nn.design import Design

if TYPE_CHECKING:
    from morelike.nn.past import Past

MOST_SCORES = 2**25  # of attention that is written out
SHARP = 7.0  # largest logit of attention between normalised queries and keys


class Plain(nn.Module):
    """(x - mean) / deviation over the last axis, without parameters: (.., width) -> same.

    The mean goes too, though root mean squares would do (Zhang & Sennrich 2019): torch has one kernel for this on the
    CPU, which takes a third of the time.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shape = (width,)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape)


def norm(kind: str, width: int) -> nn.Module:
    """One of the three normalisations over the last axis."""
    if kind == "plain":
        return Plain(width)
    return nn.LayerNorm(width) if kind == "layer" else nn.RMSNorm(width, eps=1e-6)


class Sight(NamedTuple):
    """Where the positions are and what each may attend to.

    turn    cosines and signed sines of the rotations, (T, 1, 1, d) or (B, T, 1, 1, d) each; None without
    mask    bool, broadcast to (B, heads, T, S); None for all, or for all before where `causal`
    """

    turn: tuple[Tensor, Tensor] | None
    mask: Tensor | None
    causal: bool


class Attention(nn.Module):
    """Multi-head self-attention softmax(q k' scale) v (Vaswani et al. 2017, eq. 1): (B, T, width) -> same.

    From the second block on the values are mixed with those of the first (Zhou et al. 2024).
    """

    def __init__(self, design: Design, block: int) -> None:
        super().__init__()
        width, self.heads, self.block = design.width, design.heads, block
        size = width // design.heads
        self.qkv = nn.Linear(width, 3 * width, design.bias)
        self.out = nn.Linear(width, width, design.bias)
        self.norm = Plain(size) if design.qk_norm else None
        self.scale = SHARP / size if design.qk_norm else size**-0.5
        self.mix = nn.Parameter(torch.tensor(0.5)) if design.skips and block else None

    def forward(self, x: Tensor, sight: Sight, first: Tensor | None, past: Past | None) -> tuple[Tensor, Tensor]:
        """-> what attention adds, and the values before they are mixed, (B, T, heads, d)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, heads, d)
        qk, v = qkv[:, :, :2], qkv[:, :, 2]
        if self.norm is not None:
            qk = self.norm(qk)
        if sight.turn is not None:
            qk = rotate(qk, *sight.turn)
        q, k = qk.transpose(1, 3).unbind(2)  # (B, heads, T, d) each
        mixed = v if self.mix is None else torch.lerp(v, first, self.mix.to(v.dtype))  # type: ignore[arg-type]
        seen = mixed.transpose(1, 2)
        if past is not None:
            k, seen = past.extend(self.block, k, seen)
        y = attend(q, k, seen, sight, self.scale)
        return self.out(y.transpose(1, 2).flatten(2)), v


def attend(q: Tensor, k: Tensor, v: Tensor, sight: Sight, scale: float) -> Tensor:
    """softmax(q k' scale) v over what may be seen: (B, heads, T, d), (B, heads, S, d) twice -> (B, heads, T, d).

    In bfloat16 on the CPU it is written out as long as the scores are few: three to six times as fast as torch's fused
    kernel there, at 64 to 256 positions.
    """
    half = q.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    scores = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    if q.is_cuda or not half or q.shape[2] == 1 or scores > MOST_SCORES:
        return F.scaled_dot_product_attention(q, k, v, sight.mask, is_causal=sight.causal, scale=scale)
    unseen = q.new_zeros(q.shape[2], k.shape[2], dtype=torch.bfloat16)
    if sight.causal:
        unseen = unseen.fill_(-torch.inf).triu_(1)
    elif sight.mask is not None:
        unseen = unseen.masked_fill(~sight.mask, -torch.inf).expand(*q.shape[:2], -1, -1).flatten(0, 1)
    q3, k3, v3 = (one.to(torch.bfloat16).flatten(0, 1) for one in (q, k, v))
    p = torch.baddbmm(unseen, q3, k3.mT, alpha=scale).softmax(-1)  # (B heads, T, S)
    return (p @ v3).unflatten(0, q.shape[:2])


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + d/2) of the last axis by the angles of their position (Su et al. 2021, eq. 34)."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


class Cross(nn.Module):
    """Multi-head attention to a memory: (B, T, width), keys and values of the memory -> (B, T, width)."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        width, self.heads = design.width, design.heads
        size = width // design.heads
        self.q, self.kv = nn.Linear(width, width, design.bias), nn.Linear(width, 2 * width, design.bias)
        self.out = nn.Linear(width, width, design.bias)
        self.norm = Plain(size) if design.qk_norm else None
        self.scale = SHARP / size if design.qk_norm else size**-0.5

    def remember(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a memory: (B, S, width) -> (B, heads, S, d) each."""
        k, v = self.kv(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return k if self.norm is None else self.norm(k), v

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q = q if self.norm is None else self.norm(q)
        y = attend(q, *memory, Sight(None, mask, False), self.scale)
        return self.out(y.transpose(1, 2).flatten(2))
