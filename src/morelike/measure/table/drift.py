"""What has moved between two tables of the same columns: each column by itself, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from morelike.measure.table.shape import ks, tv
from morelike.measure.table.sheet import Column, Rows, Sheet, coded, columns_of
from morelike.measure.table.trees import auc, categorical, has_trees, one_thread, table

RATE = 0.001  # share of false alarms among what is told, and chance of any where nothing has moved
LEAST, GAP = 0.03, 0.01  # distance of values, and change of a missing share, below which nobody is told
APART = 0.98  # distance from which a column only says which table a row is of, as a date in a file in order does
TREES, ROWS, FEWEST = 60, 5_000, 100  # trees that tell the tables apart; rows of each that they see; fewest rows
SURE, SEEN = 3.3, 0.53  # standard errors by which the trees are better than chance, and the least AUC that is told
EXPECTED = 5  # rows that a category is expected to have, below which it counts with others in a test


@dataclass(frozen=True)
class Moved:
    """One thing that has moved.

    kind      values | missing | new: its law, the share of missing values, a category that was not there
    distance  Kolmogorov-Smirnov of numbers and dates, total variation of categories, or difference of shares
    p         of the test by itself, before it is judged beside the others
    change    in words: "share of b 12 % → 31 %"
    """

    column: str
    kind: str
    distance: float
    p: float
    change: str = ""


@dataclass(frozen=True)
class Whole:
    """How well trees tell the two tables apart: AUC, its standard error, and the columns that they go by, with what
    the AUC loses without each."""

    auc: float
    error: float
    by: tuple[tuple[str, float], ...] = ()

    @property
    def sure(self) -> bool:
        """Whether that is more than chance."""
        return self.auc > max(SEEN, 0.5 + SURE * self.error)


@dataclass(frozen=True)
class Drift:
    """What has moved, what lies apart altogether and so only tells the order of a file, and all columns together."""

    moved: tuple[Moved, ...]
    apart: tuple[str, ...]
    whole: Whole | None
    tested: int


def drift(new: Sheet, old: Sheet, seed: int = 0, ordered: bool = False) -> Drift:
    """What has moved from an old table to a new one, with a test that counts for the many columns.

    ordered  whether both are parts of one file: columns that lie apart then tell its order, and are left out

    Each column gives a test of its values (Kolmogorov-Smirnov, or chi-square of the counts of categories), one of its
    missing share (chi-square) and one of the commonest value that was not there. Those are told that pass Benjamini &
    Hochberg (1995) at `RATE`. All together: trees learn on one half which table a row is of, and are judged on the
    other (classifier two-sample test, Lopez-Paz & Oquab 2017; its standard error is that of DeLong et al. 1988).
    """
    empty = replace(old, cells=old.cells[:0])
    columns = columns_of(Rows(new, old, empty))
    a, b = coded(new, columns), coded(old, columns)
    if min(len(a), len(b)) < FEWEST or not columns:
        return Drift((), (), None, 0)
    found = [one for at, column in enumerate(columns) for one in _column(a[:, at].numpy(), b[:, at].numpy(), column)]
    apart = {one.column for one in found if ordered and one.kind == "values" and one.distance >= APART}
    tests = [one for one in found if one.column not in apart]
    kept = [one for one in told(tests) if one.distance >= (LEAST if one.kind == "values" else 0)]
    kept = [one for one in kept if one.kind != "missing" or one.distance >= GAP]
    left = [at for at, one in enumerate(columns) if one.name not in apart]
    whole = together(a[:, left], b[:, left], [columns[at] for at in left], seed) if left else None
    return Drift(tuple(sorted(kept, key=lambda one: -one.distance)), tuple(sorted(apart)), whole, len(tests))


def told(tests: Sequence[Moved]) -> list[Moved]:
    """Those that pass: the largest k with p_(k) <= k / m RATE, and all below it (Benjamini & Hochberg 1995)."""
    order = sorted(tests, key=lambda one: one.p)
    passed = [k for k, one in enumerate(order, start=1) if one.p <= RATE * k / len(order)]
    return order[: max(passed, default=0)]


def _column(a: np.ndarray, b: np.ndarray, column: Column) -> list[Moved]:
    """The tests of one column, coded cells of the new (N,) and the old table (M,)."""
    gone, x, y = (np.isnan(a), np.isnan(b)), a[~np.isnan(a)], b[~np.isnan(b)]
    found = []
    if gone[0].any() or gone[1].any():
        share, before = (float(one.mean()) for one in gone)
        p = homogeneous(np.array([[one.sum(), (~one).sum()] for one in gone]))
        change = f"{_share(before)} → {_share(share)} missing"
        found.append(Moved(column.name, "missing", abs(share - before), p, change))
    if not len(x) or not len(y):
        return found
    if column.numeric:
        distance = ks(x, y)
        p = kolmogorov(distance * math.sqrt(len(x) * len(y) / (len(x) + len(y))))
        middle = (float(np.median(one)) for one in (y, x))
        change = "" if column.kind == "date" else "median {} → {}".format(*(f"{one:.4g}" for one in middle))
        return [*found, Moved(column.name, "values", distance, p, change)]
    counts = np.stack([np.bincount(one.astype(int), minlength=len(column.values)) for one in (x, y)])
    shares = counts / counts.sum(1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    change = f'share of "{column.values[most]}" {_share(shares[1, most])} → {_share(shares[0, most])}'
    found.append(Moved(column.name, "values", tv(x.astype(int), y.astype(int)), homogeneous(counts), change))
    fresh = np.flatnonzero((counts[1] == 0) & (counts[0] > 0))
    if len(fresh):
        many = int(counts[0, fresh].max())
        p = min(1.0, len(column.values) * (len(x) / (len(x) + len(y))) ** many)  # all of them on one side by chance
        names = [f'"{column.values[one]}" {_share(shares[0, one])}' for one in fresh[np.argsort(-counts[0, fresh])][:3]]
        found.append(Moved(column.name, "new", float(shares[0, fresh].sum()), p, ", ".join(names)))
    return found


def kolmogorov(x: float) -> float:
    """P(K > x) = 2 sum_k (-1)^(k-1) exp(-2 k^2 x^2) of the Kolmogorov law; ties make it larger than it need be."""
    if x < 0.3:
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 40))))


def homogeneous(counts: np.ndarray) -> float:
    """p of Pearson's chi-square test that rows of counts (2, K) follow one law; rare categories count together."""
    total, rows = counts.sum(0), counts.sum(1)
    common = total * rows.min() / max(1, rows.sum()) >= EXPECTED
    merged = np.column_stack([counts[:, common], counts[:, ~common].sum(1)])
    merged = merged[:, merged.sum(0) * rows.min() / max(1, rows.sum()) >= 1]
    if merged.shape[1] < 2 or not rows.min():
        return 1.0
    expected = np.outer(merged.sum(1), merged.sum(0)) / merged.sum()
    square = float(((merged - expected) ** 2 / expected).sum())
    half = torch.tensor([(merged.shape[1] - 1) / 2, square / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))


def together(a: Tensor, b: Tensor, columns: Sequence[Column], seed: int) -> Whole | None:
    """How well trees tell rows of two tables apart that they have not seen; None without scikit-learn."""
    if not has_trees():
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(seed)
    n = min(len(a), len(b), ROWS)
    some = [one[torch.from_numpy(np.sort(random.permutation(len(one))[:n]))] for one in (a, b)]
    x, y = table(torch.cat(some), columns), np.repeat([1, 0], n)
    learn = np.concatenate([random.permutation(n) < n // 2 for _ in some])
    trees = HistGradientBoostingClassifier(
        max_iter=TREES, categorical_features=categorical(columns), early_stopping=False, random_state=seed
    )
    with one_thread():
        trees.fit(x[learn], y[learn])
        seen, own = x[~learn], y[~learn]

        def area(rows: np.ndarray) -> tuple[float, float]:
            p = trees.decision_function(rows)
            return auc(p[own == 1], p[own == 0])

        found = Whole(*area(seen))
        if not found.sure:
            return found
        losses = dict[str, float]()
        for at, column in enumerate(columns):
            mixed = seen.copy()
            mixed[:, at] = mixed[random.permutation(len(mixed)), at]
            losses[column.name] = found.auc - area(mixed)[0]
    by = sorted(((name, loss) for name, loss in losses.items() if loss > 2 * found.error), key=lambda one: -one[1])
    return replace(found, by=tuple(by[:5]))


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"
