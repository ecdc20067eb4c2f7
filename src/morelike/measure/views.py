"""Two kinds of change to items of any kind: views, which keep what an item is, and damages, which do not.

All classes have the same two methods. Numbers are expected with mean 0 and variance 1, so that 0 is "nothing
there"; for tokens, `blank` is a number of its own. Every draw comes from the generator that is passed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from morelike.core.spec import Spec
from morelike.nn.augment import contrast, cutout, shift

KINDS = ("noise", "smoothing", "mixture")  # what was done to an item; its strength from 0 to 1 is what a net predicts
WEAKEST = 0.2  # strength at which a damage is called the weakest, so that none at all stands apart


class Changes(Protocol):
    """How items of one kind are changed."""

    def view(self, x: Tensor, generator: Generator) -> Tensor: ...  # (B, *shape) -> the same
    def damage(self, x: Tensor, kind: str, share: Tensor, generator: Generator) -> Tensor: ...  # share (B,), 0 to 1


def changes(spec: Spec) -> Changes:
    """The changes for items of this kind: tokens, plain vectors, or numbers in space."""
    if spec.tokens is not None:
        return TokenChanges(spec.tokens) if spec.end is None else TextChanges(spec.tokens, spec.end)
    return SpaceChanges() if spec.dims else VectorChanges()


def damaged(x: Tensor, how: Changes, generator: Generator) -> tuple[Tensor, Tensor]:
    """One kind of damage for each quarter of a batch, and none for the last: (B, *shape) -> the same, (B, 3).

    The second result holds how strong each kind of damage is: 0, or `WEAKEST` to 1 on the scale of that damage.
    """
    parts, quarter = [], len(x) // (len(KINDS) + 1)
    strength = torch.zeros(len(x), len(KINDS))
    for i, kind in enumerate(KINDS):
        rows = slice(i * quarter, (i + 1) * quarter)
        share = torch.rand(quarter, generator=generator)
        strength[rows, i] = WEAKEST + (1 - WEAKEST) * share
        parts.append(how.damage(x[rows], kind, share, generator) if quarter else x[rows])
    return torch.cat([*parts, x[len(KINDS) * quarter :]]), strength


def between(low: float, high: float, share: Tensor) -> Tensor:
    """Geometric interpolation: low at share 0, high at share 1; (B,) -> (B,)."""
    return low * (high / low) ** share


def smooth(x: Tensor, width: float) -> Tensor:
    """Convolve every spatial axis with a Gaussian of this standard deviation in steps: (B, C, *space) -> the same."""
    for axis in range(2, x.ndim):
        reach = min(max(1, math.ceil(2.5 * width)), x.shape[axis] - 1)
        if not reach:
            continue
        place = torch.arange(-reach, reach + 1, dtype=x.dtype)
        kernel = torch.exp(-place.square() / (2 * width * width))
        rows = x.movedim(axis, -1)
        padded = F.pad(rows.reshape(-1, 1, rows.shape[-1]), (reach, reach), mode="replicate")
        x = F.conv1d(padded, (kernel / kernel.sum()).reshape(1, 1, -1)).reshape(rows.shape).movedim(-1, axis)
    return x


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))  # (B,) -> (B, 1, .., 1)


class SpaceChanges:
    """Sound, pictures, video: (B, C, *space)."""

    def view(self, x: Tensor, generator: Generator) -> Tensor:
        """Move by up to an eighth of each side, stretch the contrast a little, blank a box of a third of the sides."""
        return cutout(contrast(self._moved(x, generator), 0.2, generator), 1 / 3, generator)

    def _moved(self, x: Tensor, generator: Generator) -> Tensor:
        """What comes in at an edge repeats it, so that no seam gives the move away."""
        reach = [round(side / 8) for side in x.shape[2:]]
        if not any(reach):
            return x
        moves = [torch.randint(-r, r + 1, (len(x),), generator=generator) for r in reach]
        moved = shift(_framed(x, reach), torch.stack(moves, 1), reach)
        for axis, (r, side) in enumerate(zip(reach, x.shape[2:], strict=True), start=2):
            moved = moved.narrow(axis, r, side)
        return moved

    def damage(self, x: Tensor, kind: str, share: Tensor, generator: Generator) -> Tensor:
        """White noise of 0.05 to 1, a blur of 0.4 to 3 steps, or 10 to 50 % of another item behind a straight cut."""
        if kind == "noise":
            return x + _column(between(0.05, 1, share), x) * torch.randn(x.shape, generator=generator)
        if kind == "mixture":
            axis = int(torch.randint(2, x.ndim, (), generator=generator))
            place = torch.arange(x.shape[axis]).reshape(-1, *[1] * (x.ndim - axis - 1)) / x.shape[axis]
            return torch.where(place < _column(0.1 + 0.4 * share, x), x.roll(1, 0), x)
        order = share.argsort()  # a few groups of about equal share, since each needs a kernel of its own
        out = torch.empty_like(x)
        for rows in order.chunk(4):
            width = float(between(0.4, 3, share[rows].mean()))
            out[rows] = smooth(x[rows], width)
        return out


def _framed(x: Tensor, reach: Sequence[int]) -> Tensor:
    return F.pad(x, [r for one in reversed(reach) for r in (one, one)], mode="replicate")


class VectorChanges:
    """Plain vectors (B, F), such as rows of a table."""

    def view(self, x: Tensor, generator: Generator) -> Tensor:
        """A quarter of the columns, other ones for each item, are set to their mean."""
        return x * (torch.rand(x.shape, generator=generator) >= 0.25)

    def damage(self, x: Tensor, kind: str, share: Tensor, generator: Generator) -> Tensor:
        """White noise of 0.05 to 1, 10 to 90 % of the way to the mean, or 10 to 50 % of the columns of another item."""
        if kind == "noise":
            return x + _column(between(0.05, 1, share), x) * torch.randn(x.shape, generator=generator)
        if kind == "smoothing":
            return x * _column(0.9 - 0.8 * share, x)
        return torch.where(torch.rand(x.shape, generator=generator) < _column(0.1 + 0.4 * share, x), x.roll(1, 0), x)


class TokenChanges:
    """Tokens in one sequence or grid, (B, *shape), and `blank`, the number after the last of them."""

    def __init__(self, tokens: int) -> None:
        self.blank = tokens

    def view(self, x: Tensor, generator: Generator) -> Tensor:
        """Blank a stretch of a third of the sequence, which may run round its end, and a tenth of what is left."""
        flat = x.reshape(len(x), -1)
        length = flat.shape[1]
        start = torch.randint(0, length, (len(x), 1), generator=generator)
        gone = (torch.arange(length) - start) % length < length // 3
        gone |= torch.rand(flat.shape, generator=generator) < 0.1
        return flat.masked_fill(gone, self.blank).reshape(x.shape)

    def damage(self, x: Tensor, kind: str, share: Tensor, generator: Generator) -> Tensor:
        """5 to 50 % other tokens, as many repeats of the token before, or 10 to 50 % of another item after a cut."""
        flat = x.reshape(len(x), -1)
        if kind == "mixture":
            place = torch.arange(flat.shape[1]) / flat.shape[1]
            changed = torch.where(place < 0.1 + 0.4 * share.unsqueeze(1), flat.roll(1, 0), flat)
        else:
            hit = torch.rand(flat.shape, generator=generator) < between(0.05, 0.5, share).unsqueeze(1)
            other = torch.randint(0, self.blank, flat.shape, generator=generator)
            changed = torch.where(hit, other if kind == "noise" else flat.roll(1, 1), flat)
        return changed.reshape(x.shape)


class TextChanges:
    """Sequences of varying length, (B, T), with an `end` around them, and `blank`, the number after the last token."""

    def __init__(self, tokens: int, end: int) -> None:
        self.blank, self.end = tokens, end

    def view(self, x: Tensor, generator: Generator) -> Tensor:
        """Blank a stretch of a third of the sequence, which may run round its end, and a tenth of what is left."""
        there = x != self.end
        length = there.sum(1, keepdim=True).clamp_min(1)
        start = (torch.rand(len(x), 1, generator=generator) * length).long()
        gone = (torch.arange(x.shape[1]) - start) % length < length // 3
        gone |= torch.rand(x.shape, generator=generator) < 0.1
        return x.masked_fill(gone & there, self.blank)

    def damage(self, x: Tensor, kind: str, share: Tensor, generator: Generator) -> Tensor:
        """5 to 50 % tokens of other places, as many repeats of the one before, or 10 to 50 % of another sequence."""
        there = x != self.end
        if not bool(there.any()):
            return x
        if kind == "mixture":
            place = torch.arange(x.shape[1]) / there.sum(1, keepdim=True).clamp_min(1)
            return torch.where((place < 0.1 + 0.4 * share.unsqueeze(1)) & (x.roll(1, 0) != self.end), x.roll(1, 0), x)
        tokens = x[there]
        other = tokens[torch.randint(len(tokens), x.shape, generator=generator)]
        before = x.roll(1, 1)
        other = other if kind == "noise" else torch.where(before != self.end, before, x)
        hit = torch.rand(x.shape, generator=generator) < between(0.05, 0.5, share).unsqueeze(1)
        return torch.where(hit & there, other, x)
