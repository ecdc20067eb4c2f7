"""Columns and pairs of columns: how much alike they are in two tables, from 0 (nothing in common) to 1 (the same)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from torch import Tensor

from morelike.measure.table.sheet import Column

BINS = 10  # of equal width, for numbers beside categories
_DENSE = 4  # cells of a table of counts, over the rows that are counted, from which it is counted by sorting
PAIRS = 2_000  # pairs of columns that are looked at


def shapes(made: Tensor, real: Tensor, columns: Sequence[Column]) -> np.ndarray:
    """1 - KS of each numeric column, 1 - TV of each other one, (C,); NaN where either side has no values.

        KS = max_x |F_made(x) - F_real(x)|,    TV = 1/2 sum_v |p_made(v) - p_real(v)|

    made, real  coded rows (N, C) and (M, C); missing values are left out

    Source: "column shapes" of SDMetrics (KSComplement and TVComplement), with which it agrees.
    """
    found = []
    for at, column in enumerate(columns):
        a, b = (one[:, at].numpy() for one in (made, real))
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        if not len(a) or not len(b):
            found.append(np.nan)
        else:
            found.append(1 - (ks(a, b) if column.numeric else tv(a.astype(int), b.astype(int))))
    return np.array(found)


def trends(made: Tensor, real: Tensor, columns: Sequence[Column], seed: int = 0) -> np.ndarray:
    """How much alike each pair of columns is tied, (P,); NaN where that is not defined.

        two numbers     1 - |r_made - r_real| / 2, with Pearson's r over the rows that have both
        any other pair  1 - TV of the tables of counts, a missing value being one of the values

    Numbers beside categories are binned: `BINS` of equal width between the smallest and the largest real one. A made
    column that does not vary has r = 0. Source: "column pair trends" of SDMetrics (CorrelationSimilarity and
    ContingencySimilarity), which bins both tables by their own range each and so agrees where these are the same.
    """
    a, b = binned(made, real, columns), binned(real, real, columns)
    correlations = correlated(made, columns, 0.0), correlated(real, columns, np.nan)
    found = []
    for i, j in pairs(len(columns), seed):
        if columns[i].numeric and columns[j].numeric:
            found.append(1 - abs(correlations[0][i, j] - correlations[1][i, j]) / 2)
        else:
            width = 1 + max(int(one[:, j].max()) for one in (a, b))
            found.append(1 - tv(*(one[:, i] * width + one[:, j] for one in (a, b))))
    return np.array(found)


def information(made: Tensor, real: Tensor, columns: Sequence[Column], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normalised mutual information of pairs of columns in either table, (P,) each: 2 I(X; Y) / (H(X) + H(Y))."""
    chosen = pairs(len(columns), seed)
    a, b = (_information(binned(one, real, columns), chosen) for one in (made, real))
    return a, b


def information_error(made: np.ndarray, real: np.ndarray) -> float:
    """sum_p w_p |made_p - real_p| / sum_p w_p with w_p = made_p + real_p; NaN where no pair shares any.

    made, real  (P,) normalised mutual information of pairs of columns

    Weighted by what either table ties, since most pairs of a wide table share nothing in both. Source: the weighted
    error of Mutual information of TabPC 2026 (arXiv 2603.23016), with their bins.
    """
    weight = made + real
    return float((weight * np.abs(made - real)).sum() / weight.sum()) if weight.sum() > 0 else np.nan


def pairs(columns: int, seed: int = 0) -> list[tuple[int, int]]:
    """Pairs of columns in order, at most `PAIRS`: of more a random part."""
    if columns * (columns - 1) // 2 <= PAIRS:
        return list(combinations(range(columns), 2))
    random = np.random.default_rng(seed)
    drawn = random.integers(columns, size=(4 * PAIRS, 2)).tolist()
    return sorted(list(dict.fromkeys((min(i, j), max(i, j)) for i, j in drawn if i != j))[:PAIRS])


def binned(x: Tensor, real: Tensor, columns: Sequence[Column]) -> np.ndarray:
    """Rows as whole numbers, int64 (N, C): categories by their codes, numbers by bins of the real ones, last: missing.

    Numbers below all real ones are in bin 0, and the largest real one is in a bin with what lies beyond it.
    """
    found = np.empty(x.shape, dtype=np.int64)
    for at, column in enumerate(columns):
        values, size = x[:, at].numpy(), len(column.values)
        gone = np.isnan(values)
        if column.numeric:
            known = real[:, at].numpy()
            known = known[~np.isnan(known)]
            edges, size = np.histogram_bin_edges(known, BINS) if len(known) else np.zeros(1), BINS + 2
            values = np.digitize(values, edges)
        found[:, at] = np.where(gone, size, np.where(gone, 0, values).astype(np.int64))
    return found


def correlated(x: Tensor, columns: Sequence[Column], otherwise: float) -> np.ndarray:
    """Pearson's r of all pairs of numeric columns over the rows that have both, (C, C); NaN for other columns.

    otherwise  where a column does not vary
    """
    found = np.full((len(columns), len(columns)), np.nan)
    which = [at for at, one in enumerate(columns) if one.numeric]
    if not which or not len(x):
        return found
    values = x[:, which].numpy()
    there = ~np.isnan(values)
    middle = np.where(there.any(0), np.nanmean(np.where(there.any(0), values, 0.0), 0), 0.0)
    z, m = np.where(there, values - middle, 0.0), there.astype(float)
    z = z / np.maximum(np.abs(z).max(0), 1e-300)
    n, sum_i, sum_ii, sum_ij = m.T @ m, z.T @ m, (z * z).T @ m, z.T @ z
    n1 = np.maximum(n, 1)
    cov = sum_ij / n1 - sum_i * sum_i.T / n1**2
    var = sum_ii / n1 - (sum_i / n1) ** 2
    var = np.where(var > 1e-12 * np.maximum(sum_ii / n1, 1e-300), var, 0.0)
    scale = np.sqrt(var * var.T)
    found[np.ix_(which, which)] = np.where(scale > 0, np.clip(cov / np.where(scale > 0, scale, 1), -1, 1), otherwise)
    return found


def matrix(values: np.ndarray, columns: int, seed: int = 0) -> np.ndarray:
    """Values of pairs (P,) as a symmetric table (C, C) with NaN elsewhere."""
    found = np.full((columns, columns), np.nan)
    for value, (i, j) in zip(values, pairs(columns, seed), strict=True):
        found[i, j] = found[j, i] = value
    return found


def _information(x: np.ndarray, chosen: Sequence[tuple[int, int]]) -> np.ndarray:
    sizes = x.max(0) + 1 if len(x) else np.ones(x.shape[1], dtype=np.int64)
    alone = [_entropy(x[:, at]) for at in range(x.shape[1])]
    found = []
    for i, j in chosen:
        both = _entropy(x[:, i] * sizes[j] + x[:, j])
        whole = alone[i] + alone[j]
        found.append(max(0.0, 2 * (whole - both) / whole) if whole > 0 else 0.0)
    return np.array(found)


def _entropy(codes: np.ndarray) -> float:
    """Entropy in nats of codes (N,) by how often each comes up."""
    count = _counts(codes)
    share = count[count > 0] / max(len(codes), 1)
    return float(-(share * np.log(share)).sum())


def _counts(codes: np.ndarray) -> np.ndarray:
    if len(codes) and codes.max() > _DENSE * len(codes):
        return np.unique(codes, return_counts=True)[1]
    return np.bincount(codes) if len(codes) else np.zeros(0)


def ks(a: np.ndarray, b: np.ndarray) -> float:
    """max_x |F_a(x) - F_b(x)| of two samples of numbers, (N,) and (M,), with at least one each (Kolmogorov-Smirnov)."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    below = (np.searchsorted(one, at, side="right") / len(one) for one in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def tv(a: np.ndarray, b: np.ndarray) -> float:
    """Total variation between two samples of codes >= 0, (N,) and (M,), with at least one each."""
    if max(a.max(), b.max()) > _DENSE * (len(a) + len(b)):
        place = np.unique(np.concatenate([a, b]), return_inverse=True)[1]
        a, b = place[: len(a)], place[len(a) :]
    size = int(max(a.max(), b.max())) + 1
    p, q = (np.bincount(one, minlength=size) / len(one) for one in (a, b))
    return float(np.abs(p - q).sum() / 2)


def average(values: np.ndarray) -> float:
    """The mean of those that are defined; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
