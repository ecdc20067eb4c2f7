"""Runs of tables: the race, rows with columns given, what is filled in, predicted and judged, and the verbs for it."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from morelike import racing, rows
from morelike.cli import main
from morelike.core.errors import OptionError
from morelike.recipes import Request, fit, held_share, resume
from morelike.reporting import SEEN, Asked, report
from morelike.run import Run
from morelike.train.folder import load_tensors

pytest.importorskip("polars")
COLOURS = {"apple": "red", "banana": "yellow", "plum": "blue"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fruit of which the colour nearly always follows, and the weight depends on the kind."""
    rng, path = random.Random(1), tmp_path_factory.mktemp("table") / "fruit.csv"
    with path.open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["fruit", "colour", "weight", "day"])
        for _ in range(600):
            fruit = rng.choice(list(COLOURS))
            colour = COLOURS[fruit] if rng.random() < 0.97 else "red"
            weight = "" if rng.random() < 0.1 else f"{rng.gauss(100 + 50 * list(COLOURS).index(fruit), 5):.1f}"
            write.writerow([fruit, colour, weight, rng.randint(1, 5)])
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("run") / "fruit"
    *_, last = fit(Request(str(table), "circuit", steps=60, size="8", out=out, settings={"batch": "100"}))
    assert last.stage == "done"
    return Run.load(out)


def test_without_a_family_several_race_and_the_best_is_kept(table: Path, tmp_path: Path) -> None:
    notes = [event.note for event in fit(Request(str(table), steps=20, size="8", out=tmp_path / "run")) if event.note]
    told = json.loads((tmp_path / "run" / "race.json").read_text())
    assert [one["family"] for one in told["heats"]] == list(racing.OF_FEW)
    best = min(told["final"], key=lambda one: one["nats"])
    kept = Run.load(tmp_path / "run")
    assert kept.recipe["family"] == best["family"] != "independent"
    assert any(f"won by {best['family']}" in note for note in notes)
    assert not (tmp_path / "run" / "race").exists() and (tmp_path / "run" / "report.html").exists()
    assert kept.sample(3).array.shape == (3, 4)


def test_the_winner_among_few_rows_is_trained_on_all_and_judged_by_what_it_was_before(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "OF_FEW", ("circuit",))
    *_, last = fit(Request(str(table), steps=20, size="8", out=tmp_path / "run"))
    run, before = Run.load(tmp_path / "run"), Run.load(tmp_path / "run" / "before")
    counts = [(one.recipe["data"]["train"], one.recipe["data"]["held_out"]) for one in (before, run)]
    assert last.stage == "done" and counts[0][1] > 30 and counts[1] == (sum(counts[0]), 0)
    assert not all(map(torch.equal, run.family.parameters(), before.family.parameters()))
    found = report(run, Asked(samples=300, selftest=False))
    assert found.run == run.path and found.measured.counts["held_out"] == counts[0][1] and SEEN in found.notes
    prepared = SimpleNamespace(kept=np.arange(1_800), held=np.arange(199))
    assert racing._few(prepared) and not racing._few(SimpleNamespace(kept=prepared.kept, held=np.arange(200)))
    assert not racing._few(SimpleNamespace(kept=prepared.kept, held=np.arange(0)))


def test_a_net_is_trained_on_all_rows_for_the_steps_that_were_best(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(racing, "OF_FEW", ("anyorder",))
    rough = {"lr": "0.3"}
    *_, _ = fit(Request(str(table), steps=40, size="8", out=tmp_path / "run", held_out=0.1, settings=rough))
    best = load_tensors(tmp_path / "run" / "before" / "best.safetensors")[1]["step"]
    assert 0 < best < 40 and Run.load(tmp_path / "run").info()["steps"] == best


def test_a_race_that_was_interrupted_goes_on_with_what_is_left(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for event in fit(Request(str(table), steps=20, size="8", out=out)):
        if event.note and "Race: circuit" in event.note:
            break
    notes = [event.note for event in resume(out) if event.note and "Race:" in event.note]
    told = json.loads((out / "race.json").read_text())
    assert [one["family"] for one in told["heats"]] == list(racing.OF_FEW)
    assert "regressions" in notes[0] and Run.load(out).sample(2).array.shape == (2, 4)


def test_of_families_that_are_near_in_likelihood_samples_choose(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FEW": 0, "RUNNERS": ("independent", "circuit", "forest"), "ENOUGH": 100, "NEAR": 1e6}.items():
        monkeypatch.setattr(racing, name, value)
    asked = Request(str(table), steps=40, size="8", out=tmp_path / "run", held_out=0.3)
    notes = [event.note for event in fit(asked) if event.note and "Race:" in event.note]
    told = json.loads((tmp_path / "run" / "race.json").read_text())
    last = {one["family"]: one for one in [*told["heats"], *told["final"]]}
    assert set(last) == {"independent", "circuit", "forest"}
    assert all(0 < one["error"] < 0.2 for one in last.values())
    assert last["independent"]["passes"] < last["circuit"]["passes"] - 0.2
    assert sum("its samples pass for" in note for note in notes) == 3
    assert Run.load(tmp_path / "run").recipe["family"] in ("circuit", "forest")


def test_samples_that_pass_as_well_are_no_reason_against_the_likelier() -> None:
    a, b, c = (racing.Trial(name, nats, 1.0) for name, nats in (("a", 9.0), ("b", 9.5), ("c", 10.0)))
    assert racing.best_of([a]) is a
    a, b, c = (racing.replace(one, passes=p, error=0.02) for one, p in ((a, 0.5), (b, 0.69), (c, 0.7)))
    assert racing.best_of([a, b, c]) is b and racing.best_of([a, c]) is c


def test_rows_that_are_as_likely_up_to_chance_are_told_from_those_that_are_not() -> None:
    first = torch.tensor([20.0, 22.0, 24.0, 26.0])
    assert racing.as_likely(first, first - 1)
    assert racing.as_likely(first, first + torch.tensor([2.0, -1.0, 1.0, -1.5]))  # 0.1 more, the error is 0.8
    assert not racing.as_likely(first, first + torch.tensor([0.1, 0.12, 0.1, 0.08]))  # as little more, of every row
    assert not racing.as_likely(first[:1], first[:1] + 0.1)


def test_of_few_rows_regressions_are_kept_where_a_circuit_is_likelier_by_chance(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = SimpleNamespace(prepared=None)
    trials = [racing.Trial("circuit", 20.0, 1.0), racing.Trial("regressions", 20.1, 1.0)]
    standing = racing.Standing(racing.Folder(tmp_path), Request(str(table)), trials)
    rows = {"circuit": torch.tensor([19.0, 21.0, 20.0]), "regressions": torch.tensor([20.0, 20.4, 19.9])}
    monkeypatch.setattr(racing.Run, "load", lambda path: SimpleNamespace(family=path.name))
    monkeypatch.setattr(racing, "each_held_out", lambda family, prepared: rows[family])
    assert racing._of_few(ready, standing).family == "regressions"
    rows["regressions"] = rows["circuit"] + 0.1
    assert racing._of_few(ready, standing).family == "circuit"


def test_what_learns_by_heart_is_not_near() -> None:
    nats = {"independent": 30.0, "circuit": 20.0, "forest": 22.6, "x": 21.9}
    heats = [racing.Trial(name, value, 1.0) for name, value in nats.items()]
    assert [one.family for one in racing.near(heats)] == ["circuit", "x"]
    standing = racing.Standing(SimpleNamespace(), Request("rows.csv"), heats, [racing.Trial("circuit", 20.2, 9.0)])
    assert [one.nats for one in racing.near(standing.last())] == [20.2, 21.9, 22.6]


def test_rows_are_drawn_with_columns_given_and_by_seed(run: Run) -> None:
    plums = run.sample(200, given={"fruit": "plum"}).array
    assert set(plums[:, 0]) == {"plum"} and (plums[:, 1] == "blue").mean() > 0.8
    weights = [one for one in plums[:, 2] if one is not None]
    assert 190 < np.mean(weights) < 210
    assert np.array_equal(run.sample(5, seed=7, given={"fruit": "plum"}).array, plums[7:12])
    many = run.sample(1500).array
    assert np.array_equal(run.sample(3, seed=1100).array, many[1100:1103])
    mixed = run.sample(4, given={"fruit": ["plum", "apple"]}).array
    assert mixed[:, 0].tolist() == ["plum", "apple"] * 2


def test_values_of_a_column_are_balanced(run: Run, tmp_path: Path) -> None:
    found = run.sample(90, seed=5, balance="colour").array[:, 1].tolist()
    assert {found.count(one) for one in set(found)} == {30} and len(set(found)) == 3
    with pytest.raises(OptionError, match="no few values"):
        run.sample(2, balance="weight")
    with pytest.raises(OptionError, match='Did you mean "colour"'):
        run.sample(2, balance="color")


def test_rows_are_not_augmented_and_their_page_speaks_of_rows(run: Run, table: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--augment is flip. Pictures; these items are table"):
        list(fit(Request(str(table), "circuit", steps=1, augment="flip", out=tmp_path / "run")))
    page = (run.path / "report.html").read_text()
    assert "--out new.csv" in page and "sheet.png" not in page and "--augment" not in page


def test_what_nobody_has_seen_is_named(run: Run) -> None:
    with pytest.raises(OptionError, match='Did you mean "fruit"'):
        run.sample(2, given={"fruits": "plum"})
    with pytest.raises(OptionError, match='Did you mean "plum"'):
        run.sample(2, given={"fruit": "plumb"})


def test_missing_cells_are_filled_and_the_others_stay(run: Run, table: Path, tmp_path: Path) -> None:
    before = list(csv.reader(table.open()))[1:]
    filled, new = rows.filled(run, table)
    holes = np.array([row[2] == "" for row in before])
    assert new[:, 2].tolist() == holes.tolist() and new.sum() == holes.sum()
    assert [f"{row[2]}" for row, hole in zip(filled, holes, strict=True) if not hole] == [
        row[2] for row in before if row[2]
    ]
    plums = (filled[:, 0] == "plum") & holes
    assert 180 < np.median(filled[plums, 2].astype(float)) < 220
    (tmp_path / "less.csv").write_text("fruit\nplum\napple\n")
    whole, added = rows.filled(run, tmp_path / "less.csv")
    assert whole[:, 0].tolist() == ["plum", "apple"] and added[:, 1:].all() and not added[:, 0].any()


def test_a_column_is_predicted_and_odd_rows_score_low(run: Run, table: Path, tmp_path: Path) -> None:
    found = rows.predicted(run, table, "fruit")
    truth = np.array([row[0] for row in csv.reader(table.open())][1:], object)
    assert (found["value"] == truth).mean() > 0.95 and (found["probability"] <= 1).all()
    weights = rows.predicted(run, table, "weight")
    assert (weights["low"] <= weights["value"]).all() and (weights["value"] <= weights["high"]).all()
    told = rows._interval(
        np.array([20.0, 10.0, 30.0]), np.array([[0.5, 0.04, 0.46], [0.0, 1.0, 0.0], [0.02, 0.02, 0.96]])
    )
    assert np.allclose(told["value"], [24.2, 10, 29.4])
    assert told["low"].tolist() == [20, 10, 30] and told["high"].tolist() == [30, 10, 30]
    (tmp_path / "odd.csv").write_text("fruit,colour,weight,day\nplum,blue,200.0,3\nplum,yellow,100.0,3\n")
    usual, odd = rows.scored(run, tmp_path / "odd.csv")
    assert usual > odd + 2


def test_the_verbs_write_files(run: Run, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main([*words])
        assert not end.value.code, capsys.readouterr()
        return capsys.readouterr().out

    where = str(run.path)
    assert "cells of" in told("fill", where, str(table), "--out", str(tmp_path / "whole.csv"))
    assert ",," not in (tmp_path / "whole.csv").read_text()
    said = told("predict", where, str(table), "--column", "fruit", "--out", str(tmp_path / "p.csv"))
    assert "Right in 9" in said and (tmp_path / "p.csv").read_text().startswith("row,value,probability\n1,")
    assert "least likely" in told("score", where, str(table), "--out", str(tmp_path / "s.csv"))
    told("sample", where, "-n", "21000", "--given", "fruit=apple", "--out", str(tmp_path / "new.csv"))
    lines = (tmp_path / "new.csv").read_text().splitlines()
    assert len(lines) == 21_001 and all(line.startswith("apple,") for line in lines[1:])


def test_a_run_of_something_else_has_no_rows(tmp_path: Path, table: Path) -> None:
    *_, _ = fit(Request("menagerie:60:12", "vae", steps=2, size="8", out=tmp_path / "run"))
    with pytest.raises(OptionError, match="A run of a table"):
        rows.scored(Run.load(tmp_path / "run"), table)


def test_more_of_few_rows_that_race_are_held_out() -> None:
    asked = Request("rows.csv", family="race")
    assert held_share(asked, 300) == pytest.approx(65 / 300) and held_share(asked, 100) == 0.25
    assert held_share(asked, 700) == held_share(asked, 2_000) == held_share(Request("x", family="vae"), 300) == 0.1
    assert held_share(Request("rows.csv", family="race", held_out=0.0), 300) == 0.0
