"""Which rows are compared with which, as numbers: as many of each kind, and rows that the model never saw first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure.anchors import FEW, Fold, Sets, trivial
from morelike.measure.table.sheet import Column, Rows, coded, columns_of

ROWS, CELLS = 15_000, 600_000  # of a kind that are compared, and their cells
ENOUGH = 2_000  # rows of a kind below which a two-sample test wants all that there are, and more made ones than real


@dataclass(frozen=True)
class Tables:
    """Coded rows of every set, and what stands against what.

    columns  those that are compared
    sets     made, held (which may be empty), train and trivial, (N, C) each; trivial are independent columns
    pool     sets of one comparison: `real` are held-out rows first and then training rows, all in random order
    fold     made, fresh, copies and trivial rows that stand against as many real ones, which are the first of the pool;
             fresh ones follow these
    new      so many of the real rows, the first, are held out
    flatters too few rows are held out to be judged on
    seed     of every random choice
    """

    columns: Sequence[Column]
    held: Tensor
    train: Tensor
    pool: Sets
    fold: tuple[Fold, ...]
    new: int
    flatters: bool
    seed: int

    def rows(self, name: str, most: int | None = None) -> Tensor:
        """Rows of one side of the fold, coded (n, C): made | real | fresh | copies | trivial."""
        one = {"made": self.pool.made, "copies": self.pool.train, "trivial": self.pool.trivial}
        return one.get(name, self.pool.real)[getattr(self.fold[0], name)[:most]]

    @property
    def few(self) -> bool:
        """Whether so few rows are compared that a two-sample test has to make the most of them."""
        return len(self.fold[0].real) < ENOUGH

    @property
    def wanted(self) -> int:
        """Rows of a kind that a two-sample test looks at, if there are so many."""
        return max(len(self.fold[0].real), min(ENOUGH, CELLS // len(self.columns)))

    def many(self, name: str) -> Tensor:
        """Rows of one side, made | copies | trivial: more of them than real ones where few are compared, (n, C)."""
        if not self.few:
            return self.rows(name)
        made = self.pool.made[: self.wanted]
        draw = torch.Generator().manual_seed(self.seed)
        drawn = {"copies": lambda: self.train[torch.randint(len(self.train), (len(made),), generator=draw)],
                 "trivial": lambda: trivial(self.train, None, torch.zeros(len(made)), self.seed)}  # fmt: skip
        return drawn[name]() if name in drawn else made

    def fresh(self, most: int) -> Tensor:
        """Training rows that are not among the real ones, to learn from beside samples."""
        first = max(len(self.fold[0].real), 0 if self.flatters else len(self.held))
        return self.pool.real[first : first + min(most, len(self.fold[0].made))]

    def test(self, most: int) -> Tensor:
        """Rows to be judged on: held-out ones, or for want of them the real ones of the fold."""
        return self.rows("real", most) if self.flatters else self.pool.real[: min(most, len(self.held))]


def arrange(rows: Rows, seed: int = 0) -> Tables:
    """Rows of sheets as numbers, at most `ROWS` of a kind; the fold is empty where there are too few."""
    columns = columns_of(rows)
    draw = torch.Generator().manual_seed(seed)
    made, train, held = (
        one[torch.randperm(len(one), generator=draw)]
        for one in (coded(sheet, columns) for sheet in (rows.made, rows.train, rows.held))
    )
    real = torch.cat([held, train])
    n = min(len(made), len(real) // 2, ROWS, CELLS // max(len(columns), 1))
    alone = trivial(train, None, torch.zeros(n), seed) if n and len(train) and columns else train[:0]
    fold: tuple[Fold, ...] = ()
    if len(alone):
        at = torch.arange(n)
        drawn = torch.randint(len(train), (n,), generator=draw)
        fold = (Fold(made=at, real=at, fresh=at + n, copies=drawn, trivial=at),)
    flatters = len(held) < FEW
    return Tables(columns, held, train, Sets(made, real, train, alone), fold, min(n, len(held)), flatters, seed)
