"""Forecasts of series: continuations that keep to what was learnt, intervals, files, and bad histories."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import numpy as np
import pytest

from morelike import recipes
from morelike.cli import obey
from morelike.core.errors import DataError, OptionError
from morelike.forecasting import forecast
from morelike.run import Run

pytest.importorskip("polars")


def engines(first: int, last: int, seed: int = 0) -> list[list[object]]:
    """Blocks of a counter, a walk in one decimal with its double above it, and a wave."""
    draw, rows = random.Random(seed), list[list[object]]()
    for unit in range(first, last):
        level = 50.0
        for cycle in range(1, 61 + unit % 5):
            level += draw.gauss(0, 1)
            rows.append([f"E{unit:03d}", cycle, f"{level:.1f}", f"{math.sin(cycle / 2) + draw.gauss(0, 0.1):.3f}"])
    return rows


def written(path: Path, rows: list[list[object]], header: tuple[str, ...] = ("unit", "cycle", "heat", "wave")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a few steps on windows of eight rows of twelve engines."""
    folder = tmp_path_factory.mktemp("series")
    source = str(written(folder / "engines.csv", engines(1, 13)))
    request = recipes.Request(source, codec="series", steps=60, size="8", out=folder / "run", settings={"length": "8"})
    for _ in recipes.fit(request):
        pass
    return Run.load(folder / "run")


def test_samples_are_windows_of_new_series(run: Run, tmp_path: Path) -> None:
    run.sample(5).save(tmp_path / "new.csv")
    rows = list(csv.reader((tmp_path / "new.csv").open(encoding="utf-8")))
    assert rows[0] == ["unit", "cycle", "heat", "wave"] and len(rows) == 1 + 5 * 8
    assert len({row[0] for row in rows[1:]}) == 5 and all(row[0].startswith("E") for row in rows[1:])
    cycles = np.array([int(row[1]) for row in rows[1:]]).reshape(5, 8)
    assert (np.diff(cycles) == 1).all()
    again = run.sample(3, seed=2)
    assert str(run.sample(1, seed=2)).splitlines()[1:] == str(again).splitlines()[1:9]


def test_every_series_goes_on_after_its_last_row(run: Run, tmp_path: Path) -> None:
    history = engines(20, 23, seed=5)
    found = forecast(run, written(tmp_path / "history.csv", history), 21, paths=40)
    assert found.paths.shape == (3, 40, 21, 4) and list(found.names) == ["E020", "E021", "E022"]
    last = {str(row[0]): row for row in history}
    for name, times, paths in zip(found.names, found.times, found.paths, strict=True):
        assert times.tolist() == list(range(int(str(last[name][1])) + 1, int(str(last[name][1])) + 22))
        first = np.array([float(one[0, 2]) for one in paths])
        assert abs(np.median(first) - float(str(last[name][2]))) < 3  # a walk goes on where it is
    low, middle, high = found.quantile([0.05, 0.5, 0.95])
    assert (low <= middle).all() and (middle <= high).all()
    assert (high - low)[:, -1, 0].mean() > 2 * (high - low)[:, 0, 0].mean()  # and is the less certain the later
    target = found.write(tmp_path / "next.csv")
    rows = list(csv.reader(target.open(encoding="utf-8")))
    assert rows[0] == ["unit", "cycle", "heat", "heat 5%", "heat 95%", "wave", "wave 5%", "wave 95%"]
    assert len(rows) == 1 + 3 * 21 and len(rows[1][2].split(".")[1]) == 1
    rows = list(csv.reader(found.write_paths(tmp_path / "paths.csv").open(encoding="utf-8")))
    assert rows[0] == ["path", "unit", "cycle", "heat", "wave"] and len(rows) == 1 + 3 * 40 * 21
    assert {row[1] for row in rows[1:]} == {"E020", "E021", "E022"}


def test_the_same_seed_draws_the_same(run: Run, tmp_path: Path) -> None:
    history = written(tmp_path / "history.csv", engines(20, 21))
    one, two, three = (forecast(run, history, 4, paths=6, seed=seed) for seed in (3, 3, 4))
    assert (one.paths == two.paths).all() and not (one.paths == three.paths).all()


def test_a_level_that_was_never_seen_is_gone_on_with(run: Run, tmp_path: Path) -> None:
    if run.codec.own[0].told[-1].reference is None:
        pytest.fail("a walk should be told by its change")
    rows = [[row[0], row[1], f"{float(str(row[2])) + 1000:.1f}", row[3]] for row in engines(20, 21)]
    found = forecast(run, written(tmp_path / "high.csv", rows), 10, paths=30)
    assert np.abs(found.quantile(0.5)[0, :, 0] - float(rows[-1][2])).max() < 20


def test_a_history_shorter_than_a_window_does(run: Run, tmp_path: Path) -> None:
    rows = [*engines(20, 21)[:3], *engines(21, 22)[:1]]
    found = forecast(run, written(tmp_path / "short.csv", rows), 12, paths=5)
    assert list(found.names) == ["E020"] and found.skipped == [("series E021", "has 1 rows")]


def test_what_cannot_be_forecast(run: Run, tmp_path: Path) -> None:
    history = written(tmp_path / "history.csv", engines(20, 21))
    with pytest.raises(OptionError, match="--steps is 0"):
        forecast(run, history, 0)
    with pytest.raises(OptionError, match="--draws"):
        forecast(run, history, 1, paths=0)
    with pytest.raises(DataError, match="heat"):
        less = [[*row[:2], row[3]] for row in engines(20, 21)]
        forecast(run, written(tmp_path / "less.csv", less, ("unit", "cycle", "wave")), 4)
    single = written(tmp_path / "single.csv", [*engines(20, 21)[:1], *engines(21, 22)[:1]])
    with pytest.raises(DataError, match="long enough"):
        forecast(run, single, 4)


def test_the_command_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = written(tmp_path / "history.csv", engines(20, 22))
    words = ["forecast", str(run.path), str(history), "--steps", "3", "--draws", "9"]
    words += ["--out", str(tmp_path / "next.csv")]
    assert obey([*words, "--paths", str(tmp_path / "paths.csv")]) == 0
    assert "3 steps of 2 series, from 9" in capsys.readouterr().out and (tmp_path / "paths.csv").exists()
    with pytest.raises(OptionError, match="exists already"):
        obey(words)
    with pytest.raises(OptionError, match="--level"):
        obey([*words, "--force", "--level", "1.5"])
