"""Series: what time and series are taken for, windows, the way there and back, the split, and bad files."""

from __future__ import annotations

import csv
import datetime
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs.series import Codec, Config, tiny
from morelike.core.codec import Item
from morelike.core.errors import DataError, MorelikeError, OptionError
from morelike.data.cache import build
from morelike.data.listing import Reading, Source
from morelike.data.sources import open_source

pytest.importorskip("polars")
START = datetime.datetime(2024, 1, 1)


def written(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def hourly(count: int = 400, seed: int = 0) -> list[list[object]]:
    """A wave over the day with noise, in 2 decimals, and a state."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        load = 20 + 5 * math.sin(i * math.pi / 12) + draw.gauss(0, 0.5)
        rows.append([str(START + datetime.timedelta(hours=i)), f"{load:.2f}", "high" if load > 20 else "low"])
    return rows


def prices(count: int = 600, seed: int = 0) -> list[list[object]]:
    """A random walk of the logarithm, and the highest of each day."""
    draw, level, rows = random.Random(seed), 100.0, []
    for _ in range(count):
        level *= math.exp(draw.gauss(0.003, 0.02))
        rows.append([f"{level:.3f}", f"{level * math.exp(abs(draw.gauss(0, 0.01))):.3f}"])
    return rows


def opened(path: Path, **settings: object) -> tuple[Source, Codec]:
    source = open_source(path, Reading("series"))
    return source, Codec(Config(**settings)).fit(source.items)


def test_a_date_is_the_time_and_the_calendar_is_learnt(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly()))
    assert codec.config.clock.time == "when" and codec.config.clock.step == 3600 and codec.config.steps == 24
    assert codec.columns == ("load", "state")
    windows = codec.cut(source.items)
    assert len(windows) == 400 - 24 + 1
    stored = np.concatenate(list(codec.prepare_all(windows)))
    again = codec.decode(codec.encode(torch.from_numpy(stored[:50])))
    values = codec.values(again)
    real = np.array([float(row[1]) for row in hourly()])
    off = np.array([values[i][:, 0] - real[i : i + 24] for i in range(50)])
    assert np.abs(off).mean() < 0.15 * real.std() and values[0].shape == (24, 2)
    assert (np.diff(again[0].times) == 3600).all()
    lines = codec.joined(again[:2]).splitlines()
    assert lines[0] == "series,when,load,state" and len(lines) == 49
    begin = datetime.datetime.strptime(lines[1].split(",")[1], "%Y-%m-%d %H:%M:%S")
    assert begin.hour == again[0].times[0] // 3600 % 24
    assert len(lines[1].split(",")[2].split(".")[1]) == 2


def test_a_price_is_told_by_its_change_and_keeps_the_order(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "price.csv", ["close", "high"], prices()))
    close, high = codec.config.tracks
    assert close.change is not None and close.ratio and not close.now
    assert high.change is not None and high.of == 0 and high.now
    x = torch.stack([torch.randint(0, size, (300,)) for size in codec.sizes], 1)  # any cells can be decoded
    for one in codec.values(codec.decode(x)):
        assert np.isfinite(one).all() and (one[:, 0] <= one[:, 1]).all()


def test_a_level_that_returns_is_told_by_itself(tmp_path: Path) -> None:
    _, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly(1000)))
    assert codec.config.tracks[0].change is None


@pytest.mark.parametrize("order", ["blocks", "mixed"])
def test_engines_are_told_apart(tmp_path: Path, order: str) -> None:
    draw = random.Random(0)
    rows = [[unit, cycle, f"{100 + cycle + draw.gauss(0, 3):.1f}"] for unit in range(1, 31)
            for cycle in range(1, 41 + unit % 7)]  # fmt: skip
    if order == "mixed":
        rows.sort(key=lambda row: (row[1], row[0]))
    source, codec = opened(written(tmp_path / "engines.csv", ["engine", "cycle", "heat"], rows))
    clock = codec.config.clock
    assert (clock.time, clock.entity) == ("cycle", "engine")
    assert codec.config.least == 40 and codec.config.steps == 46  # whole ones, of which each ends by itself
    windows = codec.cut(source.items)
    assert len(windows) == 30 and sorted(set(windows.lengths.tolist())) == list(range(40, 47))
    stored = torch.from_numpy(np.concatenate(list(codec.prepare_all(windows))))
    again = codec.decode(codec.encode(stored))
    assert [len(one) for one in again] == windows.lengths.tolist()
    lines = [line.split(",") for line in codec.joined(again).splitlines()]
    assert lines[0] == ["engine", "cycle", "heat"] and len({line[0] for line in lines[1:]}) == 30
    assert [int(line[1]) for line in lines[1:41]] == list(range(1, 41))


def test_what_is_held_out_shares_no_row(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly(1500)))
    data = build(source, codec, root=tmp_path / "cache")
    kept, held = codec.split(data.fields, 0.1)
    first, end = (np.array(data.fields[name], int) for name in ("first", "end"))
    seen = np.zeros(1500, bool)
    for one in kept:
        seen[first[one] : end[one]] = True
    assert len(held) > 20 and len(kept) > 1000
    assert not any(seen[first[one] : end[one]].any() for one in held)
    assert len(codec.split(data.fields, 0.0)[1]) == 0


def test_steps_that_vary_are_learnt(tmp_path: Path) -> None:
    draw, at, rows = random.Random(1), START, []
    for _ in range(500):
        at += datetime.timedelta(minutes=draw.choice([1, 2, 7]))
        rows.append([str(at), f"{draw.gauss(0, 1):.3f}"])
    source, codec = opened(written(tmp_path / "odd.csv", ["time", "x"], rows))
    assert codec.config.clock.step == 0 and codec.layout.gap
    x = torch.stack([torch.randint(0, size, (40,)) for size in codec.sizes], 1)
    gaps = np.concatenate([np.diff(one.times) for one in codec.decode(x)])
    assert set(np.unique(gaps)) == {60, 120, 420}
    assert "irregular_steps" in {one.kind for one in codec.survey(source.items)}


def test_missing_cells_come_out_as_often(tmp_path: Path) -> None:
    rows = [["" if i % 5 == 0 else row[1], row[0]] for i, row in enumerate(hourly(500))]
    source, codec = opened(written(tmp_path / "holes.csv", ["load", "when"], rows))
    stored = torch.from_numpy(np.concatenate(list(codec.prepare_all(source.items))))
    values = np.stack(codec.values(codec.decode(codec.encode(stored))))
    assert np.isnan(values).mean() == pytest.approx(0.2, abs=0.01)


def test_faults_of_time_are_counted(tmp_path: Path) -> None:
    rows = hourly(300)
    rows[10], rows[11] = rows[11], rows[10]
    rows.insert(50, rows[50])
    rows[100] = ["soon", *rows[100][1:]]
    rows[120][1] = "inf"
    source, codec = opened(written(tmp_path / "faulty.csv", ["when", "load", "state"], rows))
    found = {one.kind: one.title for one in codec.survey(source.items)}
    assert found["unsorted_times"].startswith("time goes back 1 times")
    assert found["duplicate_times"].startswith("1 rows") and found["unreadable_times"].startswith("1 rows")
    assert "gaps" in found and "1 no number" in codec.said


def test_settings_decide(tmp_path: Path) -> None:
    path = written(tmp_path / "load.csv", ["when", "load", "state"], hourly())
    _, codec = opened(path, time="none", length=10, columns="state=drop,when=drop")
    assert codec.columns == ("load",) and codec.config.steps == 10 and not codec.config.clock.time
    with pytest.raises(OptionError, match="when"):
        opened(path, time="whenn")
    with pytest.raises(OptionError, match="length"):
        opened(path, length=1)


@pytest.mark.parametrize(
    "rows",
    [[["2024-01-01", "1.5"]], [["2024-01-01", "1.5"], ["2024-01-02", "2.5"]],
     [[f"2024-01-{i:02d}", "same"] for i in range(1, 20)], [[f"2024-01-{i:02d}", "xy"[i % 2]] for i in range(1, 20)]],
    ids=["one row", "two rows", "constant", "no number"],
)  # fmt: skip
def test_what_cannot_be_learnt_is_said(tmp_path: Path, rows: list[list[object]]) -> None:
    with pytest.raises(MorelikeError) as caught:
        source, codec = opened(written(tmp_path / "bad.csv", ["when", "x"], rows))
        build(source, codec, root=tmp_path / "cache")
    assert caught.value.found and caught.value.expected and caught.value.action


def test_a_short_series_has_shorter_windows(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "short.csv", ["when", "load", "state"], hourly(30)))
    assert codec.config.steps == 15 and "instead of 24" in codec.said and len(codec.cut(source.items)) == 16


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    _, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly()))
    other = open_source(written(tmp_path / "less.csv", ["when", "load"], [r[:2] for r in hourly()]), Reading("series"))
    with pytest.raises(DataError, match="state"):
        codec.cut(other.items)


def test_the_tiny_codec_goes_there_and_back() -> None:
    codec = tiny()
    rows = [{"size": str(i), "price": str(3 + i), "kind": "cat"} for i in range(4)]
    stored = codec.prepare(Item("rows", lambda: rows))
    assert stored.shape == codec.shape and (stored >= 0).all() and (stored < np.array(codec.sizes)).all()
    (values,) = codec.values(codec.decode(codec.encode(torch.from_numpy(stored)[None])))
    assert np.abs(values[:, 0] - range(4)).max() <= 1 and (values[:, 2] == 0).all()
