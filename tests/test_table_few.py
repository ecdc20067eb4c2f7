"""Tables of few rows: what trees and pairs of columns tell together, and how independent columns are graded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("sklearn")

from morelike.core.spec import Spec
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Estimate, Evidence, Measured
from morelike.measure.table import few
from morelike.measure.table.arrange import ENOUGH, arrange
from morelike.measure.table.evaluate import as_test
from morelike.measure.table.few import both
from morelike.measure.table.figures import headline
from morelike.measure.table.sheet import Column, Rows, Sheet
from morelike.measure.table.trees import auc, two_sample_score
from morelike.measure.verdict import NOTICED, TOLD, poor_above

WIDTH = 8
NUMBERS = [Column(f"x{at}", "number", at, True) for at in range(WIDTH)]


def tied(n: int, seed: int, share: float = 0.4) -> np.ndarray:
    """Normal numbers (n, 8) of which any two correlate by `share`."""
    r = np.random.default_rng(seed)
    return share**0.5 * r.normal(size=(n, 1)) + (1 - share) ** 0.5 * r.normal(size=(n, WIDTH))


def apart(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    r = np.random.default_rng(seed)
    return np.stack([r.choice(column, n) for column in x.T], 1)


def sheet(x: np.ndarray) -> Sheet:
    return Sheet(tuple(f"x{at}" for at in range(x.shape[1])), ("number",) * x.shape[1], x.astype(object))


def report(made: np.ndarray, real: np.ndarray, held: int = 80) -> Measured:
    rows = Rows(*(sheet(one) for one in (made, real[held:], real[:held])))
    x = [torch.zeros(len(one), 1, dtype=torch.long) for one in (rows.made, rows.train, rows.held)]
    names = tuple(f"row {row}" for row in range(len(x[1])))
    return evaluate(Evidence(*x, Spec((1,)), train_names=names, train_rows=torch.arange(len(x[1])),
                             seeds=tuple(range(len(made))), rows=rows), [])  # fmt: skip


def tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(x)


def test_two_judges_see_in_few_rows_what_trees_alone_do_not() -> None:
    real = tied(240, 0)
    made = apart(real, 1000, 1)
    trees = two_sample_score(tensor(made[:120]), tensor(real[:120]), NUMBERS).value  # as many of each, as before
    found = two_sample_score(tensor(made), tensor(real), NUMBERS, judge=few.both).value
    assert trees is not None and found is not None and found < trees - 0.15


def test_a_regression_sees_a_product_that_no_column_shows() -> None:
    r = np.random.default_rng(0)
    codes = r.integers(2, size=(600, 3)).astype(float)
    codes[:300, 2] = np.where(codes[:300, 0] == codes[:300, 1], codes[:300, 0], codes[:300, 2])
    codes[:300, 1] = codes[:300, 0]  # in real rows two categories agree
    y, columns = np.repeat([1.0, 0.0], 300), [Column(str(at), "category", at, False, ("a", "b")) for at in range(3)]
    half = np.arange(600) % 2 == 0
    told = few.by_pairs(codes[half], y[half], codes[~half], columns)
    area, _ = auc(told[y[~half] == 1], told[y[~half] == 0])
    assert area == pytest.approx(0.75, abs=0.1)  # the half that differs is told, and the other one by chance


def test_both_kinds_weigh_the_same_however_many_there_are() -> None:
    y = np.array([1.0] + [0.0] * 4)
    weights = few.weights(y)
    assert weights[y == 1].sum() == pytest.approx(2.5) and weights[y == 0].sum() == pytest.approx(2.5)


def test_missing_values_and_columns_that_do_not_vary_are_no_obstacle() -> None:
    x = tied(300, 0)
    x[:, 0], x[::3, 1] = 1.0, np.nan
    y = np.repeat([1.0, 0.0], 150)
    assert np.isfinite(few.both(x, y, x[:50], NUMBERS, 0)).all()


def test_real_rows_stay_hard_to_tell_where_many_stand_against_few() -> None:
    found = [two_sample_score(tensor(tied(600, 10 + seed)), tensor(tied(240, seed)), NUMBERS, new=60, judge=few.both)
             for seed in range(5)]  # fmt: skip
    values = [one.value or 0.0 for one in found]
    assert np.mean(values) > 0.92 and sum((one.high or 0.0) < 1 for one in found) <= 1


def test_more_made_rows_than_real_ones_are_looked_at_where_there_are_few() -> None:
    tables = arrange(Rows(sheet(tied(900, 2)), sheet(tied(180, 0)), sheet(tied(60, 1))))
    assert [len(tables.many(name)) for name in ("made", "copies", "trivial")] == [900] * 3 and tables.few
    known = {tuple(row) for row in tables.train.tolist()}
    assert {tuple(row) for row in tables.many("copies").tolist()} <= known
    assert not {tuple(row) for row in tables.many("trivial").tolist()} & known


def test_of_many_rows_as_many_of_each_kind_are_compared() -> None:
    tables = arrange(Rows(sheet(tied(ENOUGH, 2)), sheet(tied(ENOUGH + 500, 0)), sheet(tied(ENOUGH, 1))))
    assert not tables.few and tables.wanted == ENOUGH == len(tables.many("trivial"))


# --- how they are graded


@pytest.mark.parametrize(
    ("alone", "expected"),
    [
        (None, TOLD),
        (Estimate(1.0, 1.0, 1.0), TOLD),
        (Estimate(0.8, 0.75, 0.85), 0.725),
        (Estimate(0.64, NOTICED, 0.7), TOLD),
        (Estimate(reason="none"), TOLD),
    ],
)
def test_poor_begins_three_quarters_of_the_way_to_independent_columns(alone: Estimate | None, expected: float) -> None:
    assert poor_above(alone) == pytest.approx(expected)


def test_independent_columns_are_poor_where_no_classifier_tells_most_of_them_and_real_rows_are_not() -> None:
    real = tied(320, 0, 0.5)
    found = headline(arrange(Rows(sheet(apart(real, 800, 1)), sheet(real[80:]), sheet(real[:80]))))
    test = as_test(found)
    assert found.value.high is not None and found.value.high > 0.25  # a quarter could pass for real, and yet
    assert (test.value.low or 0.0) > poor_above(test.trivial) < TOLD
    assert (test.floor.low or 0.0) < poor_above(test.trivial)


def test_the_report_says_where_independent_columns_cannot_be_told() -> None:
    real = tied(300, 0, 0.0)[:, :3]
    found = report(apart(real[80:], 400, 1), real)
    weak = next(one for one in found.findings if one.kind == "weak_test")
    assert "50 is chance" in weak.evidence and found.verdict.word != "poor"


def test_many_words_are_no_fault_of_trees() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(np.stack([rng.integers(150, size=400).astype(float), rng.normal(size=400)], 1))
    columns = [Column("word", "category", 0, False, tuple(f"w{one}" for one in range(150))),
               Column("size", "number", 1, True)]  # fmt: skip
    found = two_sample_score(x[:200], x[200:], columns, judge=both)
    assert found.value is not None and found.value > 0.8
