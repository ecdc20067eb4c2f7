"""What can be predicted from made rows: train on synthetic, test on real, with each column in turn as the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from morelike.measure.figure import Estimate
from morelike.measure.interval import Z
from morelike.measure.table.sheet import Column
from morelike.measure.table.trees import auc, categorical, has_trees, lacking, one_thread, table

TARGETS, TREES, RIDGE = 12, 60, 1.0
CLASSES = 6  # values of a category that are told apart as a target, the most frequent ones; all others count as one
LIKELY = 20  # values of a category up to which it may be what the table is about
FEWEST, RARE = 50, 5  # rows to learn from and to be judged on; of a class, fewer than which it is left out
ROUNDS, T = 8, 2.365  # parts of the jackknife, and the 97.5 % point of Student's t for them

Labelled = tuple[np.ndarray, np.ndarray]  # rows of the other columns (N, C - 1), and the target (N,)


@dataclass(frozen=True)
class Skill:
    """How well a column was predicted: AUC of a category, R2 of a number; `floor` is what a constant gets."""

    estimate: Estimate
    floor: float


def targets(columns: Sequence[Column]) -> list[int]:
    """Columns to predict, at most `TARGETS`: first the last category with few values, which often is the label."""
    usable = [at for at, one in enumerate(columns) if one.numeric or len(one.values) > 1]
    labels = [at for at in usable if not columns[at].numeric and len(columns[at].values) <= LIKELY]
    first = labels[-1:]
    return (first + [at for at in usable if at not in first])[:TARGETS]


def skill(made: Tensor, real: Tensor, columns: Sequence[Column], target: int, seed: int = 0) -> Skill:
    """How well trees that learned from made rows (N, C) predict one column of real rows (M, C) from all others.

    A category: AUC, weighted over its values, each against all others (Fawcett 2006). A number: R2 = 1 - sum (y - f)^2
    / sum (y - mean)^2 on real rows, cut off at 0, which a constant gets; outliers count no further than the 1st and the
    99th hundredth of the real ones. Rows in which the target is missing are left out.
    """
    floor = 0.0 if columns[target].numeric else 0.5
    rest = [at for at in range(len(columns)) if at != target]
    if not rest:
        return Skill(Estimate(reason="there is nothing to predict it from"), floor)
    if not has_trees():
        return Skill(lacking(), floor)
    others = [columns[at] for at in rest]
    (x, y), (u, v) = (_known(one, rest, others, target) for one in (made, real))
    if min(len(x), len(u)) < FEWEST:
        return Skill(Estimate(reason=f"there are fewer than {FEWEST} rows in which it is known"), floor)
    if columns[target].numeric:
        return Skill(_regress((x, y), (u, v), others, seed), floor)
    return Skill(_classify((x, y), (u, v), others, seed), floor)


def _known(rows: Tensor, rest: list[int], others: Sequence[Column], target: int) -> Labelled:
    """The other columns and the target, of rows in which this is known."""
    y = rows[:, target].numpy()
    there = ~np.isnan(y)
    return table(rows[:, rest], others)[there], y[there]


def _regress(train: Labelled, test: Labelled, columns: Sequence[Column], seed: int) -> Estimate:
    from sklearn.ensemble import HistGradientBoostingRegressor

    low, high = np.quantile(test[1], [0.01, 0.99])
    scale = max(abs(low), abs(high), 1e-300)
    y, truth = (np.clip(one, low, high) / scale for one in (train[1], test[1]))
    if truth.std() < 1e-9:
        return Estimate(reason="it hardly varies")
    trees = HistGradientBoostingRegressor(
        max_iter=TREES, categorical_features=categorical(columns), early_stopping=False, random_state=seed
    )
    with one_thread():
        wrong = (truth - trees.fit(train[0], y).predict(test[0])) ** 2
    right = (truth - truth.mean()) ** 2
    part = np.random.default_rng(seed).permutation(len(truth)) % ROUNDS
    left = np.array([1 - wrong[part != i].mean() / max(right[part != i].mean(), 1e-300) for i in range(ROUNDS)])
    value, half = 1 - float(wrong.mean() / right.mean()), T * math.sqrt((ROUNDS - 1) * float(left.var()))
    return Estimate(*(max(0.0, one) for one in (value, value - half, value + half)))  # type: ignore[arg-type]


def _classify(train: Labelled, test: Labelled, columns: Sequence[Column], seed: int) -> Estimate:
    from sklearn.ensemble import HistGradientBoostingClassifier

    y, truth = (np.minimum(one, CLASSES).astype(int) for one in (train[1], test[1]))
    judged = [one for one in np.unique(truth) if RARE <= (truth == one).sum() <= len(truth) - RARE]
    if not judged:
        return Estimate(reason="it hardly varies")
    if len(np.unique(y)) < 2:
        return Estimate(0.5, 0.5, 0.5)
    trees = HistGradientBoostingClassifier(
        max_iter=TREES, l2_regularization=RIDGE, categorical_features=categorical(columns), early_stopping=False,
        random_state=seed,
    )  # fmt: skip
    with one_thread():
        found = trees.fit(train[0], y).predict_proba(test[0])
    known = {one: at for at, one in enumerate(trees.classes_.tolist())}
    weight = np.array([(truth == one).mean() for one in judged])
    areas = []
    for one in judged:
        p = found[:, known[one]] if one in known else np.zeros(len(truth))
        areas.append(auc(p[truth == one], p[truth != one]))
    value, error = (weight / weight.sum()) @ np.array(areas)  # errors add up as if all were made together
    return Estimate(float(value), max(0.0, float(value - Z * error)), min(1.0, float(value + Z * error)))
