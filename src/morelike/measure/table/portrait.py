"""What is drawn of two tables: each column as a histogram, and how much each pair of columns shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from morelike.measure.table.shape import information, matrix, shapes
from morelike.measure.table.sheet import Column, written

BARS, NAMES = 24, 7  # of a histogram, and of one of categories, beside one for all others
SHOWN, MATRIX = 60, 40  # columns that are drawn, and columns of the matrix
SPIKE = 0.4  # share of a single number from which it is told in words, and the others are drawn
EDGE = 0.005  # of the real values at either end that share the outermost bar with what lies beyond


@dataclass(frozen=True)
class Histogram:
    """One column, as shares of the rows that have a value.

    edges       (B + 1,) of a number's bars, in which values beyond the ends count as well; () of a category
    names       (B,) of a category's bars or of single numbers; the last may stand for all others
    ends        of a number, between which nearly all real values lie
    spike       a single number that is frequent, real and made, and not among the bars
    real, made  (B,)
    missing     shares of rows without a value, real and made
    alike       1 - KS or 1 - TV; None where there is nothing to compare
    """

    column: str
    kind: str
    edges: tuple[float, ...]
    names: tuple[str, ...]
    real: tuple[float, ...]
    made: tuple[float, ...]
    missing: tuple[float, float]
    alike: float | None
    ends: tuple[float, float] | None = None
    spike: tuple[str, float, float] | None = None


@dataclass(frozen=True)
class Portrait:
    """Columns, and normalised mutual information of their pairs, (C, C) with None where it was not looked at."""

    columns: tuple[Histogram, ...]
    names: tuple[str, ...]
    real: tuple[tuple[float | None, ...], ...]
    made: tuple[tuple[float | None, ...], ...]


def portrait(made: Tensor, real: Tensor, columns: Sequence[Column]) -> Portrait:
    """Coded rows (N, C) and (M, C) as what can be drawn of them, the first columns where there are many."""
    alike = shapes(made, real, columns)
    drawn = tuple(_histogram(made[:, at], real[:, at], one, float(alike[at]))
                  for at, one in enumerate(columns[:SHOWN]))  # fmt: skip
    few = columns[:MATRIX]
    tables = information(made[:, : len(few)], real[:, : len(few)], few)
    a, b = (_plain(matrix(one, len(few))) for one in tables)
    return Portrait(drawn, tuple(one.name for one in few), b, a)


def _histogram(made: Tensor, real: Tensor, column: Column, alike: float) -> Histogram:
    gone = _missing(real), _missing(made)
    a, b = (one[~one.isnan()].numpy() for one in (made, real))
    score = None if np.isnan(alike) else alike
    values, counts = np.unique(b, return_counts=True)
    if not column.numeric or len(values) <= BARS:
        names, shares = _single(a, b, column, values)
        return Histogram(column.name, column.kind, (), names, *shares, gone, score)
    spike, most = None, values[counts.argmax()]
    if counts.max() >= SPIKE * len(b):
        spike = (written(float(most)), float((b == most).mean()), float((a == most).mean()) if len(a) else 0.0)
        drawn = a[a != most], b[b != most]
    else:
        drawn = a, b
    low, high, edges = _bars(drawn[1])
    made_bars, real_bars = (
        tuple((np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] / max(len(whole), 1)).tolist())
        for one, whole in zip(drawn, (a, b), strict=True)
    )
    return Histogram(column.name, column.kind, tuple(edges.tolist()), (), real_bars, made_bars, gone, score,
                     (low, high), spike)  # fmt: skip


def _bars(values: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The ends between which nearly all values lie, and edges of bars, which hold as many whole numbers each."""
    low, high = (float(one) for one in np.quantile(values, [EDGE, 1 - EDGE]))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if np.all(values == np.round(values)) and high - low >= 1:
        low, high = float(np.floor(low)), float(np.ceil(high))
        step = np.ceil((high - low + 1) / BARS)
        return low, high, low - 0.5 + step * np.arange(np.ceil((high - low + 1) / step) + 1)
    return low, high, np.linspace(low, high if high > low else low + 1, BARS + 1)


def _single(
    a: np.ndarray, b: np.ndarray, column: Column, single: np.ndarray
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], tuple[float, ...]]]:
    """Names and shares (real, made) of single values; of many, the most frequent and all others together."""
    values = single if column.numeric else np.arange(len(column.values), dtype=float)
    kept = values[:BARS] if column.numeric else values[: NAMES + (len(values) == NAMES + 1)]
    names = [written(float(one)) if column.numeric else written(column.values[int(one)]) for one in kept]
    shares = [[float((x == one).mean()) if len(x) else 0.0 for one in kept] for x in (b, a)]
    rest = [max(0.0, 1 - sum(one)) if len(x) else 0.0 for one, x in zip(shares, (b, a), strict=True)]
    if max(rest) > 1e-9:
        names.append("any other")
        shares = [[*one, left] for one, left in zip(shares, rest, strict=True)]
    return tuple(names), (tuple(shares[0]), tuple(shares[1]))


def _missing(values: Tensor) -> float:
    return float(values.isnan().double().mean()) if len(values) else 0.0


def _plain(table: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if np.isnan(one) else float(one) for one in row) for row in table)
