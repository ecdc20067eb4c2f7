"""What is measured of tables: against sums by hand, against SDMetrics, and against sets whose verdict is known."""

from __future__ import annotations

import builtins
import csv
import json
import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.core.spec import Batch, Spec
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Evidence, Figure, Measured
from morelike.measure.page import rows as page
from morelike.measure.record import Report, as_dict
from morelike.measure.report import write
from morelike.measure.table import gaps, shape
from morelike.measure.table.arrange import arrange
from morelike.measure.table.copies import Known, row_novelty
from morelike.measure.table.figures import columns_and_pairs, predictions
from morelike.measure.table.likelihood import independent, row_likelihood
from morelike.measure.table.portrait import portrait
from morelike.measure.table.prediction import skill, targets
from morelike.measure.table.sheet import Column, Rows, Sheet, coded, columns_of, written
from morelike.measure.table.support import precision_recall, scaled, spread
from morelike.measure.table.trees import auc, two_sample_score
from morelike.reporting.pictures import gallery, pairs

NAN = float("nan")
XYCD = ("x", "y", "c", "d")
KINDS = ("number", "number", "category", "category")
NUMBER = [Column("x", "number", 0, True)]


def sheet(columns: tuple[str, ...], kinds: tuple[str, ...], *values: Any) -> Sheet:
    cells = np.empty((len(values[0]), len(columns)), dtype=object)
    for at, one in enumerate(values):
        cells[:, at] = one.tolist() if isinstance(one, np.ndarray) else one
    return Sheet(columns, kinds, cells)


def toy(seed: int, n: int = 300, tied: bool = True) -> Sheet:
    """Two numbers and two categories; y and c follow from x, but y only where they are tied."""
    r = np.random.default_rng(seed)
    x = np.clip(r.normal(size=n), -3.0, 3.0)
    x[:2] = -3.0, 3.0
    y = (x if tied else r.permutation(x)) + 0.3 * r.normal(size=n)
    y = np.clip(y, -3.0, 3.0)
    y[:2] = -3.0, 3.0
    c = np.where(x > 0.5, "high", np.where(r.random(n) < 0.3, "odd", "low"))
    d = r.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    return sheet(XYCD, KINDS, x, y, c, d)


def alone(real: Sheet, n: int, seed: int = 9) -> Sheet:
    """Independent columns."""
    r = np.random.default_rng(seed)
    cells = [real.cells[r.integers(len(real), size=n), at] for at in range(len(real.columns))]
    return Sheet(real.columns, real.kinds, np.stack(cells, 1))


def part(of: Sheet, rows: Any) -> Sheet:
    return Sheet(of.columns, of.kinds, of.cells[rows])


def both(made: Sheet, real: Sheet) -> tuple[Tensor, Tensor, list[Column]]:
    columns = columns_of(Rows(made, real, part(real, slice(0, 0))))
    return coded(made, columns), coded(real, columns), columns


def evidence(made: Sheet, train: Sheet, held: Sheet) -> Evidence:
    made_x, train_x, held_x = (torch.zeros(len(one), 1, dtype=torch.long) for one in (made, train, held))
    names = tuple(f"toy.csv, row {row}" for row in range(len(train)))
    return Evidence(made_x, train_x, held_x, Spec((1,)), train_names=names, train_rows=torch.arange(len(train)),
                    seeds=tuple(range(len(made))), rows=Rows(made, train, held))  # fmt: skip


def figures(found: Measured) -> dict[str, Figure]:
    return {one.name: one for one in [*found.figures, *(found.novelty.figures if found.novelty else ())]}


# --- cells as numbers


def test_cells_become_numbers_codes_and_gaps() -> None:
    values = ([1, 2.5, None, True, "x", math.inf], ["b", "a", "b", None, "b", "c"], ["u"] * 6,
              [date(1970, 1, 2), datetime(1970, 1, 1, 1), None, None, None, None])  # fmt: skip
    real = sheet(("n", "c", "id", "t"), ("number", "category", "identifier", "date"), *values)
    x, _, columns = both(part(real, slice(0, 6)), real)
    assert [one.name for one in columns] == ["n", "c", "t"]
    assert columns[1].values == ("b", "a", "c")
    expected = [[1, 0, 86400], [2.5, 1, 3600], [NAN, 0, NAN], [1, NAN, NAN], [NAN, 0, NAN], [NAN, 2, NAN]]
    assert torch.equal(x.nan_to_num(-9), torch.tensor(expected, dtype=torch.float64).nan_to_num(-9))


def test_values_that_only_samples_have_are_codes_after_the_real_ones() -> None:
    made, real = (sheet(("c",), ("category",), one) for one in (["new", "a"], ["b", "b", "a"]))
    x, _, columns = both(made, real)
    assert columns[0].values == ("b", "a", "new") and x[:, 0].tolist() == [2, 1]


def test_cells_are_written_for_people() -> None:
    told = [written(one) for one in (None, True, 3, 2.0, 0.1234567, datetime(2020, 1, 2), "a")]
    assert told == ["", "yes", "3", "2", "0.123457", "2020-01-02", "a"]


# --- columns and pairs


def test_the_same_table_is_alike_in_everything_and_a_different_one_in_nothing() -> None:
    a, b, columns = both(toy(0), toy(0))
    assert np.allclose(shape.shapes(a, b, columns), 1) and np.allclose(shape.trends(a, b, columns), 1)
    assert shape.information_error(*shape.information(a, b, columns)) == 0
    far = sheet(XYCD[::2], KINDS[::2], [10.0, 11.0], ["z", "z"])
    near = sheet(XYCD[::2], KINDS[::2], [0.0, 1.0], ["y", "y"])
    a, b, columns = both(far, near)
    assert np.allclose(shape.shapes(a, b, columns), 0) and np.allclose(shape.trends(a, b, columns), 0)


def test_shape_and_trend_are_those_of_sdmetrics() -> None:
    a, b, columns = both(toy(1, tied=False), toy(0))  # numbers of SDMetrics 0.32, without its thresholds
    assert np.allclose(shape.shapes(a, b, columns), [0.9, 0.9133333, 0.92, 0.97], atol=1e-6)
    expected = [0.553822, 0.853333, 0.843333, 0.680000, 0.850000, 0.910000]
    assert np.allclose(shape.trends(a, b, columns), expected, atol=1e-6)


def test_missing_values_are_left_out_of_shape_and_are_a_value_in_trend() -> None:
    real = sheet(("a", "b"), ("category", "category"), ["u", "u", None, None], ["v"] * 4)
    made = sheet(("a", "b"), ("category", "category"), ["u"] * 4, ["v"] * 4)
    a, b, columns = both(made, real)
    assert shape.shapes(a, b, columns).tolist() == [1, 1] and shape.trends(a, b, columns).tolist() == [0.5]


def test_correlation_is_that_of_numpy_where_values_are_missing() -> None:
    r = np.random.default_rng(0)
    x = 1e6 + r.normal(size=(200, 2)) @ np.array([[1.0, 0.7], [0.0, 0.5]])
    x[r.random((200, 2)) < 0.2] = np.nan
    there = ~np.isnan(x).any(1)
    columns = [Column(name, "number", at, True) for at, name in enumerate("ab")]
    found = shape.correlated(torch.from_numpy(x), columns, 0.0)
    assert found[0, 1] == pytest.approx(np.corrcoef(x[there].T)[0, 1], abs=1e-8)


def test_mutual_information_by_hand() -> None:
    real = sheet(("a", "b", "c"), ("category",) * 3, list("uuvv"), list("uuvv"), list("wxwx"))
    a, b, columns = both(real, real)
    made, _ = shape.information(a, b, columns)
    assert np.allclose(made, [1, 0, 0])  # ab, ac, bc
    half = sheet(("a", "b"), ("category",) * 2, list("uuuv"), list("uuvv"))
    a, b, columns = both(half, half)
    joint = {"uu": 0.5, "uv": 0.25, "vv": 0.25}
    h = [-sum(p * math.log(p) for p in one) for one in ((0.75, 0.25), (0.5, 0.5), joint.values())]
    assert shape.information(a, b, columns)[0][0] == pytest.approx(2 * (h[0] + h[1] - h[2]) / (h[0] + h[1]))


def test_mutual_information_errors_weigh_by_what_is_shared() -> None:
    assert shape.information_error(np.array([0.5, 0.0]), np.array([0.5, 0.0])) == 0
    assert shape.information_error(np.array([0.0, 0.2]), np.array([0.8, 0.2])) == pytest.approx(0.8 * 0.8 / 1.2)


def test_of_many_columns_a_part_of_the_pairs_is_looked_at() -> None:
    chosen = shape.pairs(300)
    assert len(set(chosen)) == len(chosen) == shape.PAIRS and all(i < j for i, j in chosen)


def test_missing_values_alone_and_together() -> None:
    gone, here = torch.tensor([[NAN, NAN], [0.0, 0.0]] * 4), torch.zeros(8, 2)
    assert gaps.missing_shares(gone, gone) == 0 and gaps.missing_shares(here, gone) == 0.5
    crossed = torch.tensor([[NAN, 0.0], [0.0, NAN]] * 4)
    assert gaps.missing_ties(gone, gone) == 0 and gaps.missing_ties(crossed, gone) == pytest.approx(1)
    assert math.isnan(gaps.missing_shares(here, here)) and math.isnan(gaps.missing_ties(here, here))


# --- rows as points


def test_precision_and_recall_of_the_same_and_of_distant_points() -> None:
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    assert precision_recall(points, points) == pytest.approx((1, 1), abs=0.03)
    assert precision_recall(points + 100, points) == pytest.approx((0, 0), abs=1e-9)


def test_precision_and_recall_against_the_definition() -> None:
    r = np.random.default_rng(0)
    real, made = r.normal(size=(60, 2)), 0.6 * r.normal(size=(60, 2)) + 0.2
    at = np.linspace(0, 1, 30)
    from_real = np.linalg.norm(real - real.mean(0), axis=1)
    far = np.linalg.norm(made - real.mean(0), axis=1)
    cross = np.linalg.norm(real[:, None] - made[None], axis=2)
    within = np.linalg.norm(real[:, None] - real[None], axis=2) + np.diag([np.inf] * 60)
    out = np.linalg.norm(made[cross.argmin(1)] - made.mean(0), axis=1)
    p = np.array([(far <= np.quantile(from_real, one)).mean() for one in at])
    c = np.array([((cross.min(1) <= within.min(1)) & (out <= np.quantile(out, one))).mean() for one in at])
    expected = [1 - abs(at - curve).sum() / at.sum() for curve in (p, c)]
    found = precision_recall(torch.from_numpy(made), torch.from_numpy(real))
    assert found == pytest.approx(expected, abs=1e-6)


def test_in_space_every_column_has_the_same_say() -> None:
    real = sheet(("n", "c"), ("number", "category"), [1.0, 2.0, 3.0, 1e9], ["a", "b", "a", "a"])
    _, x, columns = both(real, real)
    points = spread(x, columns)(x).double()
    assert float((points[0] - points[3]).norm()) == pytest.approx(0.75)  # ranks 1/8 and 7/8; 1e9 is only the largest
    assert float((points[0] - points[1]).norm()) == pytest.approx(math.hypot(0.25, 1))
    assert scaled(x, columns)(x)[:, 0].tolist() == pytest.approx([0, 1e-9, 2e-9, 1], abs=1e-7)


# --- trees


def test_auc_by_hand() -> None:
    assert auc(np.array([3.0, 2.0]), np.array([1.0, 2.0]))[0] == (1 + 1 + 1 + 0.5) / 4
    r = np.random.default_rng(0)
    draws = [auc(r.normal(1, 1, 80), r.normal(0, 1, 60)) for _ in range(300)]
    assert np.mean([one for one, _ in draws]) == pytest.approx(0.760, abs=0.01)  # Phi(1 / sqrt 2)
    assert np.mean([error for _, error in draws]) == pytest.approx(np.std([one for one, _ in draws]), rel=0.15)


def test_trees_cannot_tell_real_rows_and_can_tell_independent_columns() -> None:
    real = toy(0, 1200)
    a, b, columns = both(toy(1, 600), real)
    score = two_sample_score(a, b[:600], columns)
    assert score.value is not None and score.value > 0.85 and score.high == 1
    a, b, columns = both(alone(real, 600), real)
    apart = two_sample_score(a, b[:600], columns)
    assert apart.value is not None and apart.value < 0.6


def test_a_share_of_samples_from_the_data_is_the_score() -> None:
    r = np.random.default_rng(0)
    real, made = r.normal(size=3000), r.normal(size=3000)
    made[:1500] += 50  # every other sample is recognised
    score = two_sample_score(torch.from_numpy(made)[:, None], torch.from_numpy(real)[:, None], NUMBER)
    assert score.value == pytest.approx(0.5, abs=0.06)


def test_rows_that_the_model_knew_are_learnt_from_but_not_judged_on() -> None:
    new, known = torch.zeros(300, 1), torch.full((300, 1), 5.0)  # held-out rows are like samples, known ones are not
    made = torch.zeros(300, 1)
    score = two_sample_score(made.double(), torch.cat([new, known]).double(), NUMBER, new=300)
    assert score.value == pytest.approx(1, abs=1e-6)
    assert two_sample_score(made.double(), torch.cat([new, known]).double(), NUMBER).value == pytest.approx(
        0.5, abs=0.1
    )


def test_without_scikit_learn_the_reason_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    measured = evaluate(evidence(toy(2, 150), toy(0, 300), toy(1, 120)), [])
    assert "morelike[metrics]" in figures(measured)["two_sample_score"].reason
    assert "morelike[metrics]" in figures(measured)["efficacy"].reason
    assert measured.verdict.word == "unmeasured" and "scikit-learn" in measured.verdict.sentence
    assert figures(measured)["shape"].value is not None


def test_what_follows_from_other_columns_is_predicted_and_chance_is_not() -> None:
    a, b, columns = both(toy(0, 500), toy(1, 400))
    assert targets(columns)[0] == 3  # d, the last category
    x, y, c, d = (skill(a, b, columns, at) for at in range(4))
    assert x.estimate.value is not None and x.estimate.value > 0.8 and x.floor == 0
    assert y.estimate.value is not None and y.estimate.value > 0.8
    assert c.estimate.value is not None and c.estimate.value > 0.7 and c.floor == 0.5
    assert d.estimate.value == pytest.approx(0.5, abs=0.1)


# --- copies


def test_copies_are_found_and_rows_that_recur_by_nature_are_not_held_against_a_model() -> None:
    train = toy(0, 200)
    made, x, columns = both(part(train, np.arange(100)), train)
    near = Known(x, columns).near(made)
    assert near.exact.all() and near.train.tolist() == list(range(100))
    moved = made.clone()
    moved[:, 0] += 1e-9
    near = Known(x, columns).near(moved)
    assert not near.exact[2:].any() and near.near[2:].all()  # the first two are at the ends
    twins = torch.cat([x, x])
    assert Known(twins, columns).among(torch.arange(50)).exact.all()
    assert not Known(x, columns).among(torch.arange(50)).exact.any()


def test_novelty_of_new_rows_and_of_a_copy_machine() -> None:
    train, held = toy(0, 400), toy(1, 200)  # the first two rows of a toy are the same in all
    for made, rate, test in ((part(toy(2, 302), slice(2, None)), 0, 0.5), (part(train, np.arange(300)), 1, 0)):
        a, x, columns = both(made, train)
        sets = {"made": a, "train": x, "held": coded(held, columns), "trivial": coded(alone(train, 300), columns)}
        found = {one.name: one for one in row_novelty(sets, columns).figures}
        assert found["exact_rate"].value == rate and found["exact_rate"].copies == 1
        assert found["copying_test"].value == pytest.approx(test, abs=0.08)


# --- likelihood


class Half(nn.Module):
    """Every row costs log 6 nats."""

    exact = True

    def __init__(self) -> None:
        super().__init__()
        self.spec = Spec((2,), tokens=3, sizes=(2, 3))

    def log_prob(self, batch: Batch) -> Tensor:
        return torch.full((len(batch.x),), -math.log(6))

    play = sample = log_prob  # parts of a family that nobody calls here


def test_likelihood_beside_independent_cells() -> None:
    train = torch.tensor([[0, 0], [0, 1], [1, 2]])
    p = [(2 + 0.5) / 4, (1 + 1 / 3) / 4]
    assert independent(train, torch.tensor([[0, 1]]), (2, 3)) == pytest.approx(-sum(map(math.log, p)))
    assert independent(train, torch.tensor([[0, -1]]), (2, 3)) == pytest.approx(-math.log(p[0]))
    rows = evidence(toy(0, 5), toy(0, 5), toy(0, 5))
    known = Evidence(train, train, train, Half().spec, rows=rows.rows)
    cost, gap = row_likelihood(known, Half())  # type: ignore[arg-type]
    assert (cost.name, gap.name) == ("nats_per_row", "likelihood_gap")
    assert cost.value == pytest.approx(math.log(6)) and gap.value == pytest.approx(0)


# --- altogether


@pytest.fixture(scope="module")
def judged() -> dict[str, Measured]:
    train, held = toy(0, 400), toy(1, 160)
    made = {"real": toy(2, 300), "independent": alone(train, 300), "copies": part(train, np.arange(300))}
    return {name: evaluate(evidence(one, train, held), []) for name, one in made.items()}


def test_the_word_for_real_rows_and_for_copies(judged: dict[str, Measured]) -> None:
    assert judged["copies"].verdict.word == "copies"
    assert judged["real"].verdict.word in ("indistinguishable", "close")


def test_independent_columns_are_poor_although_each_of_them_is_right() -> None:
    r = np.random.default_rng(0)
    cause = r.normal(size=(700, 1))
    x = cause + 0.2 * r.normal(size=(700, 5))
    train, held = (sheet(tuple("abcde"), ("number",) * 5, *rows.T) for rows in (x[:500], x[500:]))
    found = evaluate(evidence(alone(train, 400), train, held), [])
    assert found.verdict.word == "poor"
    score, likeness = (figures(found)[name] for name in ("two_sample_score", "shape"))
    assert score.high is not None and score.high < 0.25 and likeness.value is not None and likeness.value > 0.9
    assert not found.findings  # such as that they cannot be told


def test_every_figure_stands_beside_its_anchors(judged: dict[str, Measured]) -> None:
    found = figures(judged["independent"])
    names = {"two_sample_score", "shape", "trend", "mutual_information_error", "density", "coverage",
             "alpha_precision", "beta_recall", "efficacy", "prediction_x", "prediction_c", "copy_rate",
             "exact_rate"}  # fmt: skip
    assert names <= set(found)
    for name in names:
        one = found[name]
        beside = (one.value, one.floor, one.copies, one.baseline)
        assert all(each is not None and math.isfinite(each) for each in beside), name
    assert "missingness" not in found  # nothing is missing
    assert found["efficacy"].value == pytest.approx(found["efficacy"].baseline, abs=0.1)
    assert found["shape"].value is not None and found["shape"].value > 0.9


def test_the_same_seed_gives_the_same_numbers() -> None:
    given = Rows(toy(2, 150), toy(0, 200), toy(1, 100))
    first, again = (columns_and_pairs(arrange(given, 3)) + predictions(arrange(given, 3)) for _ in range(2))
    assert first == again


def test_the_page_shows_columns_pairs_and_nearest_rows(judged: dict[str, Measured], tmp_path: Path) -> None:
    train, held = toy(0, 400), toy(1, 160)
    given, found = evidence(part(train, np.arange(300)), train, held), judged["copies"]
    report = Report(
        tmp_path, found, {"against": "held out"}, [], pairs(None, given, found, {}), gallery(None, given, 0)
    )
    html = write(tmp_path, report).read_text()
    for said in (
        "Pairs that are furthest off",
        "Nearest rows",
        "exact copy",
        "Two-sample score",
        "How useful",
        "alike",
    ):
        assert said in html
    assert html.count('<svg class="map"') == 3 and html.count('<svg class="histogram"') == 4
    data = json.loads(json.dumps(as_dict(report)))
    assert [one["column"] for one in data["columns"]["columns"]] == list(XYCD)
    assert "privacy" not in html.lower() and "private" not in html.lower()


def test_names_and_cells_are_text_on_the_page() -> None:
    evil = sheet(("<b>",), ("category",), ["<i>", "<i>", "<script>"])
    a, b, columns = both(evil, evil)
    drawn = portrait(a, b, columns)
    assert "<b>" not in page.columns(drawn) and "<script>" not in page.columns(drawn)
    pictures = gallery(None, evidence(evil, evil, evil), 0)
    told = page.strips(pictures.columns, pictures.real, pictures.made, "held out")
    assert "<b>" not in told and "&lt;script&gt;" in told


def test_a_mass_at_one_value_is_told_and_the_rest_is_drawn() -> None:
    r = np.random.default_rng(0)
    values = np.where(r.random(1000) < 0.9, 0.0, r.integers(1, 5000, 1000))
    one = sheet(("gain",), ("number",), values)
    a, b, columns = both(one, one)
    drawn = portrait(a, b, columns).columns[0]
    assert drawn.spike is not None and drawn.spike[0] == "0" and drawn.spike[1] == (values == 0).mean()
    assert sum(drawn.real) == pytest.approx((values != 0).mean()) and "exactly 0" in page.card(drawn)


@pytest.mark.parametrize("kinds", [("identifier",) * 4, KINDS])
def test_too_little_to_compare_is_said(kinds: tuple[str, ...]) -> None:
    few = Sheet(XYCD, kinds, toy(0, 60).cells[: 1 if kinds is KINDS else 60])
    found = evaluate(evidence(few, few, part(few, slice(0, 0))), [])
    assert found.verdict.word == "unmeasured" and not any(math.isnan(one.value or 0) for one in found.figures)


def test_odd_columns_break_nothing() -> None:
    n = 120
    r = np.random.default_rng(0)
    odd = sheet(
        ("same", "none", "mostly", "big", "when", "flag"),
        ("number", "number", "category", "number", "date", "boolean"),
        [1.0] * n, [None] * n, [None] * (n - 1) + ["x"], r.normal(size=n) * 1e300,
        [datetime(1850, 1, 1 + at % 28) for at in range(n)], [bool(at % 2) for at in range(n)],
    )  # fmt: skip
    found = evaluate(evidence(odd, odd, part(odd, slice(0, 60))), [])
    assert all(one.value is None or math.isfinite(one.value) for one in figures(found).values())
    assert page.columns(found.portrait) and page.pairs(found.portrait)


def test_rows_are_compared_with_held_out_ones_first() -> None:
    tables = arrange(Rows(toy(2, 100), toy(0, 300), part(toy(1, 62), slice(2, None))))
    held = {tuple(row) for row in tables.held.tolist()}
    real = [tuple(row) in held for row in tables.rows("real").tolist()]
    assert tables.new == 60 and real == [True] * 60 + [False] * 40
    assert not any(tuple(row) in held for row in tables.fresh(100).tolist())


def test_a_run_on_a_table_is_reported_beside_the_cells_of_its_file(tmp_path: Path) -> None:
    pytest.importorskip("polars")
    from morelike.recipes import Request, fit
    from morelike.reporting import Asked, report
    from morelike.run import Run

    whole = toy(0, 400)
    with open(tmp_path / "toy.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["id", *XYCD], *([f"p{at:04d}", *row] for at, row in enumerate(whole.cells.tolist()))]
        )
    *_, last = fit(Request(str(tmp_path / "toy.csv"), "mixture", steps=5, out=tmp_path / "run", held_out=0.2))
    assert last.stage == "done"
    run = Run.load(tmp_path / "run")
    found = report(run, Asked(samples=120))
    assert found.figure("nats_per_row") is not None and found.figure("prediction_c") is not None
    assert found.figure("two_sample_score").value is not None  # type: ignore[union-attr]
    data = json.loads((run.path / "report.json").read_text())
    assert [one["column"] for one in data["columns"]["columns"]] == list(XYCD)  # no identifier
    kept = set(map(tuple, whole.cells.tolist()))
    there = gathered_rows(run)
    assert {tuple(row[1:]) for row in there.cells.tolist()} <= kept


def gathered_rows(run: Any) -> Sheet:
    """The training rows that a report on a run compares with."""
    from morelike.reporting.evidence import rows_of
    from morelike.reporting.items import held_out, prepared, trained_on

    known = prepared(run, lambda stage, share: None)
    train, real = trained_on(known, 0), held_out(known, 0)
    found = rows_of(run, train.x[:1], train, real, 100, 0)
    assert found is not None and len(found.train) == len(train)
    return found.train


def test_on_adult_independent_columns_are_poor_and_new_rows_are_not(shared: Path) -> None:
    with open(shared / "data" / "adult_census" / "adult.csv", newline="") as file:
        head, *lines = list(csv.reader(file))
    numeric = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
    kinds = tuple("number" if name in numeric else "category" for name in head)
    order = np.random.default_rng(0).permutation(len(lines))[:6000]
    cells = np.array([lines[row] for row in order], dtype=object)
    cells[cells == "?"] = None
    whole = Sheet(tuple(head), kinds, cells)
    train, new = part(whole, slice(0, 3000)), part(whole, slice(3000, None))
    a, b, columns = both(alone(train, 3000), train)
    apart = two_sample_score(a, b, columns)
    a, b, columns = both(new, train)
    same = two_sample_score(a, b, columns)
    assert apart.value is not None and apart.value <= 0.05
    assert same.value is not None and same.value >= 0.95
    assert shape.average(shape.shapes(a, b, columns)) > 0.98
