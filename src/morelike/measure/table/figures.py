"""Everything that is measured of tables, each figure beside real rows, a copy machine and independent columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from morelike.measure.anchors import Anchored, Fold, Measure, Sets, anchored, checked, folds
from morelike.measure.coverage import clipped_coverage, clipped_density
from morelike.measure.figure import Estimate, Figure
from morelike.measure.panel import Scale, figure, jackknife
from morelike.measure.table import gaps, shape
from morelike.measure.table.arrange import Tables
from morelike.measure.table.few import both
from morelike.measure.table.prediction import skill, targets
from morelike.measure.table.sheet import Column
from morelike.measure.table.support import precision_recall, scaled, spread
from morelike.measure.table.trees import grown, two_sample_score

POINTS = 4_000  # rows of a kind for precision and recall
LABEL, OTHERS, JUDGED = 10_000, 4_000, 4_000  # rows that the first and other predictions learn from, and are judged on
FIELDS = ("made", "real", "fresh", "copies", "trivial")
HEADLINE = Scale(
    "two_sample_score", "Two-sample score", "higher",
    "Boosted trees that look for differences leave about {value} of 100 samples that could pass for real rows; of real "
    "rows themselves {floor}.", 1.0,
)  # fmt: skip
ALIKE = {
    "shape": Scale("shape", "Shape of columns", "higher",
                   "Column by column, samples and real rows have {value} of 100 parts in common; real rows among "
                   "themselves {floor}.", 1.0),
    "trend": Scale("trend", "Trend of pairs", "higher",
                   "Pair by pair of columns they have {value} of 100 parts in common; real rows {floor}.", 1.0),
    "mutual_information_error": Scale(
        "mutual_information_error", "Mutual information error", "lower",
        "What one column tells of another is off by {raw}, where 1 is everything; between real rows by {raw_floor}.",
        0.0,
    ),
    "missingness": Scale("missingness", "Missing values", "lower",
                         "The share of missing values of a column is off by {value} of 100 on average; between real "
                         "rows by {floor}.", 0.0),
    "missing_ties": Scale("missingness_trend", "Missing together", "lower",
                          "How values are missing together is off by {value} of 100; between real rows by {floor}.",
                          0.0),
}  # fmt: skip
SUPPORT = {
    "alpha_precision": Scale("alpha_precision", "α-precision", "higher",
                             "Samples lie as near to the middle of the data as real rows do to {value} of 100; real "
                             "ones among themselves {floor}.", 1.0),
    "beta_recall": Scale("beta_recall", "β-recall", "higher",
                         "A sample is the nearest to {value} of 100 real rows; other real rows are to {floor}, since "
                         "half of the time the other one is nearer."),
}  # fmt: skip


def headline(tables: Tables) -> Anchored:
    """The two-sample score with what it stands beside; against real rows stand fewer, as there are no more of these."""
    real = tables.pool.real[: tables.wanted]
    return Anchored(
        value=passing(tables, tables.many("made"), real),
        floor=passing(tables, tables.rows("fresh"), tables.rows("real")),
        copies=passing(tables, tables.many("copies"), real),
        trivial=passing(tables, tables.many("trivial"), real),
    )


def passing(tables: Tables, made: Tensor, real: Tensor) -> Estimate:
    """The two-sample score of some rows (n, C) beside real ones, of which the held-out ones are the first (m, C)."""
    new = None if tables.flatters else min(len(tables.held), len(real))
    judge = both if tables.few else grown
    return checked(two_sample_score(made, real, tables.columns, new=new, seed=tables.seed, judge=judge))


def columns_and_pairs(tables: Tables) -> list[Figure]:
    """Shape, trend, mutual information, and what is missing."""
    columns = tables.columns
    of: dict[str, Callable[[Tensor, Tensor], float]] = {
        "shape": lambda a, b: shape.average(shape.shapes(a, b, columns)),
        "trend": lambda a, b: shape.average(shape.trends(a, b, columns, tables.seed)),
        "mutual_information_error": lambda a, b: shape.information_error(
            *shape.information(a, b, columns, tables.seed)
        ),
        "missingness": gaps.missing_shares, "missing_ties": gaps.missing_ties,
    }  # fmt: skip
    found = []
    for name, measure in of.items():
        one = beside(measure, tables.pool, tables.fold)
        if one.value.value is not None or name in ("shape", "trend", "mutual_information_error"):
            found.append(figure(ALIKE[name], one))
    return found


def beside(
    of: Callable[[Tensor, Tensor], float], sets: Sets, fold: Sequence[Fold], most: float | None = 1.0
) -> Anchored:
    """A statistic from 0 to `most` with what it stands beside; the interval, which takes eight times as long, for the
    samples alone."""
    plain = anchored(lambda a, b: checked(Estimate(of(a, b))), sets, fold)
    if plain.value.value is None:
        return plain
    made, real = fold[0].made.double()[:, None], fold[0].real.double()[:, None]  # which rows, as rows may lack values
    again = jackknife(lambda a, b: of(sets.made[a[:, 0].long()], sets.real[b[:, 0].long()]), made, real)
    return replace(plain, value=_within(again, most))


def _within(one: Estimate, most: float | None) -> Estimate:
    """The same with an interval that does not leave [0, most], as none of these statistics does."""
    end = math.inf if most is None else most
    low, high = (None if each is None else min(max(each, 0.0), end) for each in (one.low, one.high))
    return replace(one, low=low, high=high)


def support(tables: Tables) -> list[Figure]:
    """α-precision and β-recall beside real rows of the fold; clipped density and coverage beside held-out ones."""
    few = [Fold(*(getattr(one, name)[:POINTS] for name in FIELDS)) for one in tables.fold]
    sets = tables.pool.map(scaled(tables.rows("real"), tables.columns))
    measured = (beside(partial(_support, place), sets, few) for place in range(len(SUPPORT)))
    return [figure(scale, one) for scale, one in zip(SUPPORT.values(), measured, strict=True)]


def _support(place: int, made: Tensor, real: Tensor) -> float:
    return precision_recall(made, real)[place]


def nearness(tables: Tables, seed: int = 0) -> dict[str, Anchored]:
    """Clipped density and coverage beside held-out rows, over two folds; or training rows where few are held out."""
    real = tables.train if tables.flatters else tables.held
    sets = Sets(tables.pool.made, real, tables.train, tables.pool.trivial).map(spread(tables.train, tables.columns))
    pair = folds(sets.map(lambda one: torch.arange(len(one))), seed=seed)
    measures: dict[str, Measure] = {"density": clipped_density, "coverage": clipped_coverage}
    return {name: anchored(measure, sets, pair) for name, measure in measures.items()}


def predictions(tables: Tables, tell: Callable[[float], None] = lambda share: None) -> list[Figure]:
    """How well each column is predicted by trees that learned from samples, and how much of it is kept altogether."""
    columns, chosen, test = tables.columns, targets(tables.columns), tables.test(JUDGED)
    found, kept = [], list[tuple[float, Anchored]]()
    for done, target in enumerate(chosen):
        most = OTHERS if done else LABEL
        sides = {"value": tables.rows("made", most), "floor": tables.fresh(most), "copies": tables.rows("copies", most),
                 "trivial": tables.rows("trivial", most)}  # fmt: skip
        skills = {name: skill(rows, test, columns, target, tables.seed) for name, rows in sides.items()}
        one = Anchored(**{name: each.estimate for name, each in skills.items()})
        found.append(_prediction(columns[target], one, skills["value"].floor))
        kept.append((skills["value"].floor, one))
        tell((done + 1) / len(chosen))
    return [efficacy(kept), *found] if found else []


def _prediction(column: Column, found: Anchored, floor: float) -> Figure:
    what = "R²" if column.numeric else "AUC"
    scale = Scale(f"prediction_{column.name}", f"Prediction of {column.name} ({what})", "higher",
                  f"Trees that learned from samples predict it with {what} {{raw}}; from real rows with {{raw_floor}}; "
                  f"a constant with {floor:g}.", 1.0)  # fmt: skip
    return figure(scale, found)


def efficacy(found: Sequence[tuple[float, Anchored]]) -> Figure:
    """How much of what real rows teach samples teach: sum_j w_j (s_j - c_j) / sum_j w_j (r_j - c_j), w = 1 / (1 - c).

    found  of each column predicted what a constant gets, c, and what was found: s from samples, r from real rows
    """

    def total(name: str) -> float:
        values = [(floor, getattr(one, name).value) for floor, one in usable]
        # what is below a constant by chance makes up for what is above it: else columns alone would seem to teach much
        return max(0.0, sum((value - floor) / (1 - floor) for floor, value in values if value is not None))

    title = "Predictions kept"
    usable = [(floor, one) for floor, one in found if one.value.value is not None and one.floor.value is not None]
    real = total("floor")
    if real < 0.02 * max(1, len(usable)):
        why = next((one.value.reason for _, one in found if one.value.reason), "no column could be predicted")
        why = "real rows teach no prediction either" if usable else why
        return Figure("efficacy", title, "higher", reason=why)
    value, copies, alone = (total(name) / real for name in ("value", "copies", "trivial"))
    halves = [((one.value.high or 0.0) - (one.value.low or 0.0)) / 2 / (1 - floor) for floor, one in usable]
    half = math.hypot(*halves) / real
    says = (f"Of what {len(usable)} columns can be predicted from real rows, samples teach {100 * value:.0f} of 100 "
            f"parts; independent columns {100 * alone:.0f}.")  # fmt: skip
    return Figure(
        "efficacy", title, "higher", value, max(0.0, value - half), value + half, 1.0, copies, alone, 1.0, says
    )
