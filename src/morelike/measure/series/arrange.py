"""Which windows are compared with which: as many of each kind, real ones that share no step, and new ones first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure.anchors import FEW, Fold, Sets, trivial
from morelike.measure.series.windows import Series, blocks, stacked, thinned

WINDOWS, NUMBERS = 1_000, 1_000_000  # windows of a kind that are compared, and numbers in them
LONG = 2_000_000_000  # bytes of all windows of a kind


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
