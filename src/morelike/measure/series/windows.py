"""Windows of series as the measures see them, and which of them are compared with which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from morelike.measure.anchors import FEW, Fold, Sets, trivial

WINDOWS, NUMBERS = 2_000, 2_000_000  # windows of a kind that are compared, and numbers in them
LONG = 2_000_000_000  # bytes of all windows of a kind
SHARED = 0.75  # of a window that it may share with the next one among those that are compared
BLOCKS, TIMES = 24, 3  # blocks that windows in order are cut into, at most; and how many windows without a common step
_LOOKED = 40  # pairs of neighbours that tell how windows overlap


@dataclass(frozen=True)
class Series:
    """Series as a codec decodes them: items (T, C), float64, NaN where a value is missing; lengths may differ.

    columns            (C,) names
    made, train, held  items; real ones in the order of their source, for neighbours may share steps
    """

    columns: tuple[str, ...]
    made: Sequence[np.ndarray]
    train: Sequence[np.ndarray]
    held: Sequence[np.ndarray]


@dataclass(frozen=True)
class Scene:
    """Windows (N, T, C) of every set, NaN where there is none, and what stands against what.

    held, train    real windows in their order, thinned until neighbours share at most `SHARED`
    sets           made, real, train and trivial, of one comparison
    fold           as many made, fresh, copies and trivial windows as real ones; real and fresh share no step
    pair           two comparisons with half as many, in which everything is told apart by other blocks
    new            so many of the real windows of the fold, the first, are held out; None: all are judged on
    run            so many windows next to each other belong together
    flatters       real windows are training windows, for want of held-out ones that can be compared
    """

    columns: tuple[str, ...]
    held: Tensor
    train: Tensor
    sets: Sets
    fold: tuple[Fold, ...]
    pair: tuple[Fold, ...]
    new: int | None
    run: int
    flatters: bool
    seed: int

    def side(self, name: str) -> Tensor:
        """The windows of one side of the fold: made | real | fresh | copies | trivial."""
        one = {"made": self.sets.made, "copies": self.sets.train, "trivial": self.sets.trivial}
        return one.get(name, self.sets.real)[getattr(self.fold[0], name)]


def stacked(items: Sequence[np.ndarray], columns: int, length: int) -> Tensor:
    """Items (T_i, C) as doubles (N, length, C): NaN after the end and for what is not finite; longer ones are cut."""
    found = np.full((len(items), length, columns), np.nan)
    for place, item in enumerate(items):
        found[place, : len(item)] = item[:length]
    found[~np.isfinite(found)] = np.nan
    return torch.from_numpy(found)


def lengths(x: Tensor) -> Tensor:
    """Steps up to the last one that has a value, int64 (N,), of windows (N, T, C)."""
    there = ~x.isnan().all(2)
    return torch.where(there, torch.arange(1, x.shape[1] + 1), 0).amax(1) if x.shape[1] else torch.zeros(len(x)).long()


def stride(x: Tensor) -> int:
    """By how many steps each window (N, T, C) begins after the one before, if it begins within that; else T.

    Windows next to each other that are cut from one series have x_i[s:] = x_{i+1}[:-s]. The usual s of some pairs.
    """
    n, size = x.shape[:2]
    found = []
    for i in np.unique(np.linspace(0, max(n - 2, 0), _LOOKED).astype(int)).tolist() if n > 1 else []:
        one, other = x[i].nan_to_num(torch.inf), x[i + 1].nan_to_num(torch.inf)
        varies = bool((one[1:] != one[:-1]).any())
        found.append(next((s for s in range(1, size) if varies and torch.equal(one[s:], other[:-s])), size))
    return int(np.median(found)) if found else size


def thinned(x: Tensor, most: int) -> tuple[Tensor, int]:
    """Windows that share at most `SHARED` with the next one, at most so many, and how many lie within one window."""
    step, size = stride(x), max(x.shape[1], 1)
    every = max(1, round((1 - SHARED) * size / step), -(-len(x) // max(most, 1)))
    kept = x[::every]
    return kept, max(1, -(-size // max(1, min(step * every, size))))


def blocks(n: int, run: int) -> Tensor:
    """A block for each of n windows in order, int64 (n,); -1 for windows that share steps with the next block.

    run  so many windows next to each other share steps; 1 if none do
    """
    size = max(TIMES * run, -(-n // BLOCKS))
    at = torch.arange(n)
    kept = (at % size < size - (run - 1)) | (at // size == (n - 1) // size)
    return torch.where(kept, at // size, -1)


def arrange(series: Series, seed: int = 0, *, known: bool = False) -> Scene:
    """What is compared; the folds are empty where there are too few windows.

    known  compare with training windows although there are others
    """
    width, every = len(series.columns), (*series.train, *series.held)
    longest = max((len(one) for one in (*every, *series.made)), default=0)
    most = max(4, min(WINDOWS, NUMBERS // max(1, longest * width), len(series.made)))
    draw = torch.Generator().manual_seed(seed)
    limit = max(4, LONG // max(1, 8 * longest * width))
    made, train, held = (stacked(one[:limit], width, longest) for one in (series.made, series.train, series.held))
    made = made[torch.randperm(len(made), generator=draw)]
    (held, one), (train, other) = thinned(held, most), thinned(train, 2 * most)
    run = max(one, other)
    flatters = known or len(held) < FEW
    first, second = (part.nonzero()[:, 0] for part in _halves(train, run))
    if flatters:
        real, fresh, new = train[first], train[second], None
    else:
        real, fresh, new = torch.cat([held, train[first]]), train[second], len(held)
    n = min(len(made), len(real), len(fresh), most)
    if n < 4 or not width:
        return Scene(series.columns, held, train, Sets(made, real, train, made[:0]), (), (), new, run, flatters, seed)
    alone = trivial(train, None, torch.zeros(n), seed)
    sets = Sets(made, torch.cat([real[:n], fresh[:n]]), train, alone)
    at = torch.arange(n)
    drawn = torch.randint(len(train), (n,), generator=draw)
    fold = (Fold(made=at, real=at, fresh=at + n, copies=drawn, trivial=at),)
    new = None if new is None or new >= n else new
    return Scene(series.columns, held, train, sets, fold, _pair(sets, n, run, flatters, len(held), drawn),
                 new, run, flatters, seed)  # fmt: skip


def _halves(x: Tensor, run: int) -> tuple[Tensor, Tensor]:
    """Every other block of windows in order, as two masks (N,)."""
    block = blocks(len(x), run)
    return (block >= 0) & (block % 2 == 0), (block >= 0) & (block % 2 == 1)


def _pair(sets: Sets, n: int, run: int, flatters: bool, held: int, drawn: Tensor) -> tuple[Fold, ...]:
    """Two folds over real windows alone that the model never saw, or over training windows for want of them."""
    if flatters:
        a, b = torch.arange(n), torch.arange(n, 2 * n)
    else:
        a, b = (one.nonzero()[:, 0] for one in _halves(sets.real[: min(held, n)], run))
    m = min(len(a), len(b), len(sets.made) // 2)
    if m < 2:
        return ()
    a, b, at = a[:m], b[:m], torch.arange(m)
    far = min(m, len(sets.trivial) - m)
    return (Fold(at, a, b, drawn[:m], at), Fold(at + m, b, a, drawn[-m:], at + far))
