"""How alike rows of one owner are: the visits of a patient, the bookings of an account."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from morelike.measure.table.sheet import Column

LEVELS = 20  # of a category, the most frequent ones, that are looked at


def scores(cells: Tensor, column: Column) -> np.ndarray:
    """A column as it is coded, (N,) with NaN for missing, as what correlates, (N, L): ranks of numbers, in which equal
    ones share theirs, or for each value of a category whether it is there; each with a mean of 0, and 0 for missing."""
    x = cells.numpy()
    there = ~np.isnan(x)
    if column.numeric:
        _, place, times = np.unique(x[there], return_inverse=True, return_counts=True)
        found = np.zeros((len(x), 1))
        found[there, 0] = (np.cumsum(times) - (times + 1) / 2)[place] / max(1, there.sum())
    else:
        found = (x[:, None] == np.arange(min(LEVELS, len(column.values)))).astype(float)
    found[there] -= found[there].mean(0) if there.any() else 0
    return found


def pairs_of(owner: np.ndarray, lag: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Owners (N,) of rows, -1 for none -> places of rows and of those that come `lag` before among the same owner's."""
    order = np.argsort(owner, kind="stable")
    order = order[owner[order] >= 0]
    here, before = order[lag:], order[:-lag]
    same = owner[here] == owner[before]
    return here[same], before[same]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of scores (N, L) with a mean of 0, all columns of scores together; 0 where one side does not vary.

    r = Σ a b / √(Σ a² Σ b²)
    """
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0


def alike(rows: Tensor, owner: np.ndarray, columns: Sequence[Column], lags: Sequence[int]) -> np.ndarray:
    """How each column of rows (N, C) goes with itself in rows before of the same owner: (C, lags), NaN where there are
    none. Owners (N,), the rows of each in their order."""
    found = np.full((len(columns), len(lags)), np.nan)
    places = [pairs_of(owner, lag) for lag in lags]
    for at, column in enumerate(columns):
        own = scores(rows[:, at], column)
        for lag, (here, before) in enumerate(places):
            if len(here):
                found[at, lag] = correlation(own[here], own[before])
    return found
