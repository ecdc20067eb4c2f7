"""Gradient-boosted trees on coded rows: whether they can tell two tables apart, and what can be predicted from one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import missing_extra
from morelike.measure.figure import Estimate
from morelike.measure.interval import Z, around
from morelike.measure.table.sheet import Column

FOLDS, TREES = 3, 100
MOST = 400_000  # cells of a table that trees learn from; more rows take longer and change little
CATEGORIES = 250  # values of a category that trees tell apart, the most frequent ones
FEWEST = 20  # rows of each kind

Judge = Callable[[np.ndarray, np.ndarray, np.ndarray, Sequence[Column], int], np.ndarray]


def grown(x: np.ndarray, y: np.ndarray, asked: np.ndarray, columns: Sequence[Column], seed: int) -> np.ndarray:
    """How real rows (K, C) look to trees that learned from rows x (N, C), of which those with y = 1 are real: (K,)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=TREES, categorical_features=categorical(columns), early_stopping=False, random_state=seed
    )
    with one_thread():
        return np.asarray(trees.fit(x, y).decision_function(asked))


def two_sample_score(
    made: Tensor, real: Tensor, columns: Sequence[Column], *, new: int | None = None, run: int = 1, seed: int = 0,
    judge: Judge = grown,
) -> Estimate:  # fmt: skip
    """How little a classifier tells made rows from real ones: 1 when it cannot, 0 when it always can.

        1 - 2 (max(AUC, 1/2) - 1/2),  AUC the mean over folds

    made, real  coded rows (N, C) and (M, C)
    new         so many real rows, the first ones, that the model never saw: the classifier is judged on these alone
                and learns from the others as well; None for all
    run         so many rows next to each other belong together: they are judged in one fold, and count as one
    judge       the classifier: (rows, 1 for real ones, rows to be judged, columns, seed) -> how real these look

    Three folds. Were a share s of the rows drawn from the law of the data and every other one recognised, the score
    would be s. The interval is DeLong's (1988). An AUC below 1/2 is chance, and counts as 1/2 once it is averaged: of
    equal laws each fold has one half of the time. Source: the formula of SDMetrics' detection metrics, with trees as
    in TabPC 2026 in the place of their logistic regression on columns alone, which independent columns pass.
    """
    if not has_trees():
        return lacking()
    judged = len(real) if new is None else min(new, len(real))
    if min(len(made), judged) < FEWEST:
        return Estimate(reason=f"there are {min(len(made), judged)} rows of a kind, and {FEWEST} are needed")
    x = table(torch.cat([made, real]), columns)
    y = np.concatenate([np.zeros(len(made)), np.ones(len(real))])
    fold = _folds(len(made), judged, len(real) - judged, run, seed)
    areas, variance = [], 0.0
    for one in range(FOLDS):
        p, own = judge(x[fold != one], y[fold != one], x[fold == one], columns, seed), y[fold == one]
        area, error = auc(p[own == 1], p[own == 0])
        areas.append(area)
        variance += (2 * error) ** 2
    told = 2 * max(sum(areas) / FOLDS, 0.5) - 1
    return around(1 - told, Z * math.sqrt(variance * run) / FOLDS, 0.0, 1.0)


def auc(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """P(positive > negative) + P(equal) / 2 over scores (n,) and (m,), and its standard error (DeLong et al. 1988)."""

    def below(these: np.ndarray, those: np.ndarray) -> np.ndarray:
        those = np.sort(those)
        left, right = (np.searchsorted(those, these, side=side) for side in ("left", "right"))
        return (left + right) / (2 * len(those))

    above, beaten = below(positive, negative), 1 - below(negative, positive)
    spread = sum(one.var(ddof=1) / len(one) if len(one) > 1 else 0.25 for one in (above, beaten))
    return float(above.mean()), math.sqrt(spread)


def table(x: Tensor, columns: Sequence[Column]) -> np.ndarray:
    """Coded rows as trees want them, float64 (N, C): rare categories, which have the largest codes, as one."""
    found = x.numpy().copy()
    for at, column in enumerate(columns):
        if not column.numeric:
            found[:, at] = np.minimum(found[:, at], CATEGORIES)  # NaN stays
    return found


def categorical(columns: Sequence[Column]) -> list[int]:
    """Places of the columns whose numbers are only names."""
    return [at for at, one in enumerate(columns) if not one.numeric]


def one_thread() -> Any:
    """A context in which trees grow on one thread: two wait for each other at every level, long on a busy machine."""
    from threadpoolctl import threadpool_limits  # a part of every scikit-learn

    return threadpool_limits(1, "openmp")


def has_trees() -> bool:
    """Whether scikit-learn is installed."""
    try:
        import sklearn.ensemble  # noqa: F401
    except ImportError:
        return False
    return True


def lacking() -> Estimate:
    """What there is to say without scikit-learn."""
    error: Any = missing_extra("scikit-learn", "metrics", "This figure")
    return Estimate(reason=f"{error.found}: {error.action}")


def _folds(made: int, judged: int, known: int, run: int, seed: int) -> np.ndarray:
    """The fold in which each row is judged, (made + judged + known,); -1 for known rows, which are never judged."""
    random = np.random.default_rng(seed)
    if run > 1:  # in whole blocks, which hold several times what belongs together
        sizes = [max(2 * run, -(-count // (4 * FOLDS))) for count in (made, judged)]
        parts = [np.arange(count) // size % FOLDS for count, size in zip((made, judged), sizes, strict=True)]
    else:
        parts = [random.permutation(count) % FOLDS for count in (made, judged)]
    return np.concatenate([*parts, np.full(known, -1)])
