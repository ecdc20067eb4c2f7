"""What is measured of series: against closed forms, and on sets whose verdict is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Estimate, Evidence, Figure, Measured
from morelike.measure.page import over
from morelike.measure.record import Report, as_dict
from morelike.measure.series import evaluate as heart
from morelike.measure.series import figures as kinds
from morelike.measure.series import recurrent, statistics
from morelike.measure.series.arrange import arrange
from morelike.measure.series.copies import window_novelty
from morelike.measure.series.features import features
from morelike.measure.series.portrait import drawn
from morelike.measure.series.windows import Series, blocks, lengths, stacked, stride, thinned
from morelike.measure.table import trees
from morelike.recipes import Request, fit
from morelike.reporting import Asked, report
from morelike.run import Run

NAN = float("nan")
BRIEF = recurrent.Net(hidden=4, layers=1, steps=15, batch=32, rate=2e-2)
QUICK = recurrent.Net(hidden=8, layers=1, steps=60, batch=32, rate=2e-2)
Items = list[np.ndarray]


def walk(n: int, size: int = 12, memory: float = 0.8, columns: int = 2, seed: int = 0) -> Items:
    """Windows of an AR(1), x_t = a x_{t-1} + e_t, begun in its own law."""
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, size, columns))
    x[:, 0] /= math.sqrt(1 - memory**2)
    for t in range(1, size):
        x[:, t] += memory * x[:, t - 1]
    return list(x)


def sines(n: int, size: int, frequency: float, seed: int = 0) -> Tensor:
    """One column, sin(2 pi f t + phase)."""
    phase = np.random.default_rng(seed).uniform(-np.pi, np.pi, size=(n, 1))
    return torch.from_numpy(np.sin(2 * np.pi * frequency * np.arange(size) + phase)[:, :, None])


def cut(series: np.ndarray, size: int, step: int = 1) -> Items:
    return [series[at : at + size] for at in range(0, len(series) - size + 1, step)]


def block(items: Items) -> Tensor:
    return torch.from_numpy(np.stack(items))


def evidence(made: Items, train: Items, held: Items) -> Evidence:
    none = (torch.zeros(len(one), 1, dtype=torch.long) for one in (made, train, held))
    names = tuple(f"window {row}" for row in range(len(train)))
    columns = tuple("abcdef"[: train[0].shape[1]])
    return Evidence(*none, Spec((1,)), train_names=names, series=Series(columns, made, train, held))


def figures(found: Measured) -> dict[str, Figure]:
    return {one.name: one for one in [*found.figures, *(found.novelty.figures if found.novelty else ())]}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that learn for a moment only."""
    for name in ("tell_apart", "predictive"):
        of: Callable = getattr(recurrent, name)
        monkeypatch.setattr(kinds, name, lambda made, real, of=of, **more: of(made, real, BRIEF, **more))
    monkeypatch.setattr(kinds, "FEWEST", 10)
    monkeypatch.setattr(trees, "TREES", 12)


# --- windows


def test_items_of_any_length_become_windows_with_gaps_behind_their_end() -> None:
    x = stacked([np.ones((2, 1)), np.array([[1.0], [np.inf], [NAN]])], 1, 3)
    assert torch.equal(x[:, :, 0].isnan(), torch.tensor([[False, False, True], [False, True, True]]))
    assert lengths(x).tolist() == [2, 1]


def test_windows_of_one_series_are_known_by_what_they_share() -> None:
    series = np.random.default_rng(0).normal(size=(200, 2))
    for step in (1, 3, 8):
        x = block(cut(series, 8, step))
        assert stride(x) == step
    kept, run = thinned(block(cut(series, 8)), 1000)
    assert torch.equal(kept, block(cut(series, 8, 2))) and run == 4
    assert stride(block(walk(50))) == 12 and thinned(block(walk(50)), 1000)[1] == 1
    assert stride(torch.zeros(9, 5, 1)) == 5  # a column that never changes says nothing


def test_blocks_of_windows_share_no_step() -> None:
    found = blocks(100, 4)
    for name in range(int(found.max())):
        last, first = int((found == name).nonzero().max()), int((found == name + 1).nonzero().min())
        assert first - last >= 4
    assert blocks(100, 1).min() == 0 and len(blocks(100, 1).unique()) > 10


# --- statistics over time


def test_autocorrelation_of_an_autoregression_is_a_power_of_its_coefficient() -> None:
    found = statistics.autocorrelation(block(walk(6000, 12, 0.8, 1)), 4)[:, 0]
    assert np.allclose(found, 0.8 ** np.arange(1, 5), atol=0.02)


def test_autocorrelation_by_hand_and_over_gaps() -> None:
    x = torch.tensor([[1.0, -1.0, 1.0, -1.0]], dtype=torch.float64)[:, :, None]
    assert statistics.autocorrelation(x, 2)[:, 0].tolist() == [-1.0, 1.0]
    gap = torch.tensor([[1.0, NAN, 1.0, -1.0, 1.0, -1.0, -1.0]], dtype=torch.float64)[:, :, None]
    assert statistics.autocorrelation(gap, 2)[1, 0] == pytest.approx((1 + 1 + 1 - 1) / 4)
    assert statistics.autocorrelation(torch.ones(3, 4, 1), 1).isnan().all()


def test_cross_correlation_finds_a_column_that_follows_another() -> None:
    x = block(walk(4000, 12, 0.0, 1))
    both = torch.cat([x[:, 1:], x[:, :-1]], 2)  # the second is the first, a step later
    assert statistics.cross_correlation(both, 1)[0, 1] == pytest.approx(1, abs=0.02)
    assert abs(statistics.cross_correlation(both, 0)[0, 1]) < 0.03
    alone = torch.cat([x[:, 1:], block(walk(4000, 11, 0.0, 1, seed=1))], 2)
    assert statistics.ties(alone, both) > 0.1 > statistics.ties(both, both)


def test_a_spectrum_has_its_peak_where_a_sine_is_and_tells_other_frequencies() -> None:
    found = statistics.spectrum(sines(200, 48, 0.25), 24)[:, 0]
    grid = np.linspace(1 / 48, 0.5, 24)
    assert abs(grid[int(found.argmax())] - 0.25) < 0.02
    same, other = (statistics.waves(sines(200, 48, f, 1), sines(200, 48, 0.25)) for f in (0.25, 0.1))
    assert same < 1 and other > 10


def test_white_noise_has_as_much_power_everywhere() -> None:
    found = statistics.spectrum(block(walk(4000, 32, 0.0, 1)), 16)[2:, 0]
    assert float(found.max() - found.min()) < 0.6 and abs(float(found.mean())) < 0.3  # variance 1 is 0 decibels


def test_shuffled_steps_keep_all_values_and_lose_all_memory() -> None:
    x = block(walk(800))
    mixed = torch.stack([one[torch.randperm(len(one), generator=torch.Generator().manual_seed(i))]
                         for i, one in enumerate(x)])  # fmt: skip
    assert statistics.marginals(mixed, x) == 1
    assert statistics.memory(mixed, x) > 10 * statistics.memory(block(walk(800, seed=1)), x)


def test_bridges_are_straight_and_flat_at_the_ends() -> None:
    x = torch.tensor([NAN, 1.0, NAN, 3.0, NAN], dtype=torch.float64)[None, :, None]
    assert statistics.bridged(x)[0, :, 0].tolist() == [1, 1, 2, 3, 3]
    assert statistics.bridged(torch.full((1, 2, 1), NAN)).tolist() == [[[0.0], [0.0]]]


def test_features_are_finite_and_as_many_with_gaps_as_without() -> None:
    x = block(walk(30, columns=3))
    holes = x.clone()
    holes[::2, 3:5, 1] = NAN
    assert features(x).shape == features(holes).shape and bool(features(holes).isfinite().all())
    assert bool(features(torch.ones(4, 2, 1, dtype=torch.float64)).isfinite().all())


# --- nets


def test_a_net_tells_nothing_of_one_law_and_all_of_two() -> None:
    real, same = block(walk(400)), block(walk(400, seed=1))
    to = recurrent.scale(real)
    assert float(to(real).min()) == 0 and float(to(real).max()) == 1
    told = recurrent.tell_apart(to(same), to(real), QUICK)
    assert told.discriminative < 0.12 and abs(told.area - 0.5) < 0.15
    other = recurrent.tell_apart(to(block(walk(400, memory=0.0, seed=2)) + 4), to(real), QUICK)
    assert other.discriminative > 0.45 and other.area > 0.98
    assert recurrent.as_score(other).value == pytest.approx(2 - 2 * other.area)


def test_the_same_seed_tells_the_same() -> None:
    real, same = block(walk(60)), block(walk(60, seed=1))
    net = recurrent.Net(4, 1, 5, 16)
    assert recurrent.tell_apart(same, real, net, seed=3) == recurrent.tell_apart(same, real, net, seed=3)


def test_the_published_net_is_half_as_wide_as_the_data() -> None:
    assert recurrent.published(5, "tell") == recurrent.Net(2, 1, 2000, 128, 1e-3, falls=False, judged=0.2)


def test_windows_that_share_steps_never_stand_on_both_sides() -> None:
    learn, judge = recurrent._parts(200, 0.3, 4, np.random.default_rng(0))
    assert len(judge) and min(abs(int(a) - int(b)) for a in learn for b in judge) >= 4


def test_what_is_learned_from_samples_predicts_real_windows_as_well_as_they_deserve() -> None:
    r = np.random.default_rng(0)

    def pair(n: int, tied: bool) -> Tensor:  # the second column is what the first was a step before
        x = r.random((n, 9, 1))
        late = x[:, :-1] if tied else r.random((n, 8, 1))
        return torch.from_numpy(np.concatenate([x[:, 1:], late], 2))

    real, net = pair(200, True), recurrent.Net(8, 1, 150, 64, 2e-2)
    good, bad = (recurrent.predictive(pair(300, tied), real, net).value for tied in (True, False))
    assert good is not None and bad is not None and good < 0.15 < 0.22 < bad
    assert recurrent.straight(pair(300, True), real) < 1e-6  # a straight line knows it


# --- the whole


@pytest.mark.usefixtures("quick")
def test_windows_of_the_same_law_are_close_and_shuffled_ones_are_poor() -> None:
    pytest.importorskip("sklearn")
    train, held = walk(160, 8, seed=1), walk(120, 8, seed=2)
    good = evaluate(evidence(walk(160, 8, seed=3), train, held), [])
    assert good.verdict.word in ("close", "usable with care", "indistinguishable"), good.verdict
    found = figures(good)
    assert found["autocorrelation"].value < 0.05 < found["autocorrelation"].baseline
    assert found["two_sample_score"].baseline < 0.3 < found["two_sample_score"].value
    assert found["copy_rate"].copies == 1 and found["copy_rate"].value == 0
    assert "straight line" in found["predictive_score"].says
    r = np.random.default_rng(4)
    mixed = [one[r.permutation(8)] for one in walk(160, 8, 0.97, seed=3)]
    assert evaluate(evidence(mixed, walk(160, 8, 0.97, seed=1), walk(120, 8, 0.97, seed=2)), []).verdict.word == "poor"


@pytest.mark.usefixtures("quick")
def test_a_copy_machine_is_told_and_so_are_too_few_windows() -> None:
    pytest.importorskip("sklearn")
    train = walk(150, 8, seed=1)
    assert evaluate(evidence(train, train, walk(80, 8, seed=2)), []).verdict.word == "copies"
    found = evaluate(evidence(train[:3], train, []), [])
    assert found.verdict.word == "unmeasured" and not found.figures


@pytest.mark.usefixtures("quick")
def test_a_price_that_has_risen_since_is_no_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(heart, "prediction", lambda scene: Figure("predictive_score", ""))
    r = np.random.default_rng(0)
    price = np.cumsum(r.normal(0.05, 1, size=(1400, 1)), 0)
    price += np.where(np.arange(1400) < 1000, 0, 200)[:, None]
    windows = cut(price, 8, 2)
    train, held = windows[:490], windows[505:]
    jitter = [one + 0.4 * r.normal() + 0.3 * np.cumsum(r.normal(size=one.shape), 0) for one in train]
    found = evaluate(evidence(jitter, train, held), [])
    assert [one.kind for one in found.findings] == ["drift"] and "100 of 100 held-out values" in found.findings[
        0
    ].evidence
    assert found.verdict.word not in ("unmeasured", "poor", "collapsed")
    later = figures(found)["held_out_score"]
    assert later.value < 0.2 and later.floor < 0.2
    assert figures(found)["distance_ratio"].reason


def test_a_window_that_is_there_twice_is_a_copy_and_its_neighbours_in_time_are_not() -> None:
    series = np.cumsum(np.random.default_rng(0).normal(size=(600, 2)), 0)
    train = cut(series, 12)
    found = figures_of(window_novelty(Series(("a", "b"), train[::20], train, []), block(walk(50))))
    assert found["exact_rate"].value == 1 and found["copy_rate"].floor < 0.05
    shifted = [one + 1e-3 for one in train[::20]]
    found = figures_of(window_novelty(Series(("a", "b"), shifted, train, []), block(walk(50))))
    assert found["copy_rate"].value == 1


def figures_of(news) -> dict[str, Figure]:  # type: ignore[no-untyped-def]
    return {one.name: one for one in news.figures}


def test_the_harder_judge_makes_the_headline() -> None:
    from morelike.measure.anchors import Anchored

    def score(value: float | None) -> Anchored:
        return Anchored(*(Estimate(value, value, value, reason="" if value else "none") for _ in range(4)))

    found = kinds.Judged({"trees": score(0.8), "recurrent": score(0.3)}, score(0.1))
    assert found.harder() == "recurrent" and kinds.headline(found).value == 0.3
    assert kinds.Judged({"trees": score(0.8), "recurrent": score(None)}, score(None)).harder() == "trees"


def test_lengths_are_measured_where_they_vary() -> None:
    r = np.random.default_rng(0)
    items = [one[: 4 + r.integers(8)] for one in walk(200)]
    scene = arrange(Series(("a", "b"), walk(80), items[:120], items[120:]))
    found = {one.name: one for one in kinds.over_time(scene)}
    assert found["lengths"].value < 0.3 and found["lengths"].floor > 0.7


def test_pictures_show_real_and_made_lines_and_the_data_behind_them_are_plain() -> None:
    real, made = (block(walk(60, seed=seed)) for seed in (0, 1))
    shown = drawn(made, real, ("a", "<b>"))
    page = over.over(shown)
    assert page.count('class="lines"') == 6 and "&lt;b&gt;" in page and "nan" not in page
    assert over.over(()) == ""
    flat = drawn(torch.ones(9, 6, 1), torch.ones(9, 6, 1), ("flat",))
    assert "nan" not in over.over(flat)


def test_a_report_on_series_is_written_as_data(tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = Measured(
        heart.Verdict("unmeasured", ""), [], None, over=drawn(block(walk(20)), block(walk(20)), ("a", "b"))
    )
    assert [one["column"] for one in as_dict(Report(tmp_path, found))["columns"]] == ["a", "b"]


@pytest.mark.usefixtures("quick")
def test_a_run_on_a_series_is_measured_by_the_windows_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("polars")
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "cache"))
    r = np.random.default_rng(0)
    price = 50 + np.cumsum(r.normal(size=500)).round(2)
    lines = [f"{a:.2f},{b}" for a, b in zip(price, r.integers(100, 200, 500), strict=True)]
    (tmp_path / "price.csv").write_text("\n".join(["price,volume", *lines]) + "\n")
    asked = Request(str(tmp_path / "price.csv"), codec="series", steps=2, out=tmp_path / "run", size="8",
                    settings={"length": "8"})  # fmt: skip
    assert [event.stage for event in fit(asked)][-1] == "done"
    found = report(Run.load(tmp_path / "run"), Asked(samples=60))
    assert found.verdict.word != "unmeasured" and found.figure("two_sample_score").value is not None
    assert found.figure("nats_per_window").value > 0 and found.figure("exact_rate").floor == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="over-time"' in page and "price" in page and len(found.pairs) > 5
