"""What is drawn of two tables: each column as a histogram, and how much each pair of columns shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from morelike.measure.table.shape import information, matrix, shapes
from morelike.measure.table.sheet import Column, written

BARS, SHOWN, MATRIX = 24, 60, 40  # bars of a histogram, columns that are drawn, and columns of the matrix
EDGE = 0.005  # of the real values at either end that share the outermost bar with what lies beyond


@dataclass(frozen=True)
class Histogram:
    """One column, as shares of the rows that have a value.

    edges       (B + 1,) of a number's bars; () of a category
    names       (B,) of a category's bars or of single numbers; the last may stand for all others
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
    single = np.unique(b)
    if not column.numeric or len(single) <= BARS:
        names, counts = _single(a, b, column, single)
        return Histogram(column.name, column.kind, (), names, *counts, gone, score)
    low, high = np.quantile(b, [EDGE, 1 - EDGE])
    if high <= low:
        low, high = float(b.min()), float(b.max())
    edges = np.linspace(low, high, BARS + 1)
    if np.all(b == np.round(b)) and high - low >= BARS:  # whole numbers: bars of equal content
        edges = np.arange(BARS + 1) * np.ceil((high - low + 1) / BARS) + np.floor(low) - 0.5
        edges = edges[: int(np.searchsorted(edges, high)) + 1]
    shares = [tuple((np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] / max(len(one), 1)).tolist())
              for one in (b, a)]  # fmt: skip
    return Histogram(column.name, column.kind, tuple(edges.tolist()), (), shares[0], shares[1], gone, score)


def _single(
    a: np.ndarray, b: np.ndarray, column: Column, single: np.ndarray
) -> tuple[tuple[str, ...], tuple[tuple[float, ...], tuple[float, ...]]]:
    """Names and shares (real, made) of single values; of many, the most frequent and all others together."""
    values = single if column.numeric else np.arange(len(column.values), dtype=float)
    kept = values[:BARS] if column.numeric else values[: BARS // 2]
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
