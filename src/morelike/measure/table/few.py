"""How few rows are told apart: boosted trees, and beside them a regression on all products of two columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from morelike.measure.table.sheet import Column
from morelike.measure.table.support import spread
from morelike.measure.table.trees import TREES, categorical, one_thread

LEAVES, BINS = 16, 64  # of a tree; more of either tell nothing more where rows are few, and take longer
MOST, RIDGE, FARTHEST = 1_000, 0.003, 4.0  # rows of a kind in the regression, and standard deviations of a column


def both(x: np.ndarray, y: np.ndarray, asked: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """How real rows look to trees and to a regression together, each on a scale of its own spread: (K,).

        (t - mean t) / sd t + (r - mean r) / sd r

    x, y   rows to learn from, as trees want them, (N, C); 1 for a real row and 0 for a made one, (N,)
    asked  rows to be judged, (K, C)

    Trees need many rows to see that two columns go together, and the regression sees little else. Nothing is chosen by
    what they tell, so that equal laws stay as hard to tell as they are. Made and real rows weigh the same altogether.
    """
    return _standard(_trees(x, y, asked, columns, seed)) + _standard(by_pairs(x, y, asked, columns))


def by_pairs(x: np.ndarray, y: np.ndarray, asked: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Ridge regression of y in {-1, 1} on all columns, squares and products of two: (K,).

        f(z) = sum_i a_i k(z_i, z),  k(u, v) = (1 + u . v)^2 / mean k(z_i, z_i),
        a minimises sum_i w_i (y_i - f(z_i))^2 + 0.003 |f|^2

    z are ranks among the real rows and indicators of categories, each with mean 0 and variance 1 in the real rows; the
    weights of made and of real rows add up to 1/2 each. For a Gaussian copula, and for categories that go together in
    pairs, the logarithm of the ratio to independent columns is of this form. Source: Saunders et al. 1998.
    """
    some = np.concatenate([np.flatnonzero(y == kind)[:MOST] for kind in (0, 1)])
    rows, answers = (torch.from_numpy(one[some]) for one in (x, y))
    place = spread(rows[answers == 1], columns)
    centre, scale = _scale(place(rows[answers == 1]))
    a, b = (((place(one) - centre) * scale).clamp(-FARTHEST, FARTHEST)
            for one in (rows, torch.from_numpy(asked)))  # fmt: skip
    root = torch.from_numpy(weights(y[some])).div(len(some)).sqrt()
    kernel = (1 + a @ a.T).double().square()
    size = kernel.diagonal().mean()
    lower = torch.linalg.cholesky(root[:, None] * kernel * root / size + RIDGE * torch.eye(len(a), dtype=kernel.dtype))
    found = torch.cholesky_solve((root * (2 * answers - 1))[:, None], lower)[:, 0] * root
    return ((1 + b @ a.T).double().square() @ found / size).numpy()


def weights(y: np.ndarray) -> np.ndarray:
    """Of each row, so that those of either kind add up to half of all rows: (N,)."""
    return np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))


def _trees(x: np.ndarray, y: np.ndarray, asked: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=TREES, max_leaf_nodes=LEAVES, max_bins=BINS, categorical_features=categorical(columns),
        early_stopping=False, random_state=seed,
    )  # fmt: skip
    weight, places = weights(y), categorical(columns)
    x, asked = (_fewer(one, places) for one in (x, asked))
    for at in set(range(x.shape[1])) - set(places):
        bounds = _bounds(x[:, at], weight)
        x[:, at], asked[:, at] = (_binned(one[:, at], bounds) for one in (x, asked))
    with one_thread():
        return np.asarray(trees.fit(x, y, sample_weight=weight).decision_function(asked))


def _bounds(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The largest value of each of `BINS` bins but the last, which weigh alike; the library takes a hundred times as
    long for these where rows have weights. NaN is in none."""
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    total = weight[order].cumsum()
    at = np.searchsorted(total, np.arange(1, BINS) / BINS * total[-1]) if len(order) else order
    return np.unique(values[order[at]])


def _binned(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The number of the bin of each value; NaN stays."""
    return np.where(np.isnan(values), np.nan, np.searchsorted(bounds, values))


def _fewer(x: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """Rows in which no category has more values than trees have bins: the rare ones, of the largest codes, are one."""
    found = x.copy()
    found[:, places] = np.minimum(found[:, places], BINS - 2)  # NaN stays
    return found


def _scale(real: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of each column, and one over its standard deviation, 0 where it does not vary."""
    sd = real.std(0)
    return real.mean(0), torch.where(sd > 1e-9, 1 / sd, 0.0)


def _standard(told: np.ndarray) -> np.ndarray:
    return (told - told.mean()) / max(float(told.std()), 1e-12)
