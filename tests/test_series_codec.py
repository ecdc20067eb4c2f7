"""Series: what time and series are taken for, windows, the way there and back, the split, and bad files."""

from __future__ import annotations

import csv
import datetime
import math
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs import table
from morelike.codecs._series_curve import fitted
from morelike.codecs._series_reference import Reference, Scales, steady, straight
from morelike.codecs._series_stages import holds
from morelike.codecs._series_time import found_time, time_of, times_as
from morelike.codecs._series_told import Track
from morelike.codecs._series_tracks import references, repeated, scaled, within
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
    assert "--codec series" in table.Codec().fit(source.items).said
    windows = codec.cut(source.items)
    assert len(windows) == 400 - 24 + 1
    stored = np.concatenate(list(codec.prepare_all(windows)))
    again = codec.decode(codec.encode(torch.from_numpy(stored[:50])))
    values = codec.values(again)
    real = np.array([float(row[1]) for row in hourly()])
    made, known = np.stack(values)[:, :, 0], np.lib.stride_tricks.sliding_window_view(real, 24)[:50]
    assert np.corrcoef(made.reshape(-1), known.reshape(-1))[0, 1] > 0.9 and values[0].shape == (24, 2)
    assert np.abs(made - known).mean(0)[:3].max() < 0.2 * real.std()  # what a cell leaves open adds up over steps
    assert (np.diff(again[0].times) == 3600).all()
    lines = codec.joined(again[:2]).splitlines()
    assert lines[0] == "series,when,load,state" and len(lines) == 49
    begin = datetime.datetime.strptime(lines[1].split(",")[1], "%Y-%m-%d %H:%M:%S")
    assert begin.hour == again[0].times[0] // 3600 % 24
    assert len(lines[1].split(",")[2].split(".")[1]) == 2


def test_whole_series_are_seen_once_each(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[series, step, f"{draw.gauss(step, 1):.3f}"] for series in range(30) for step in range(20)]
    _, codec = opened(written(tmp_path / "many.csv", ["series", "step", "x"], rows))
    assert codec.config.steps == codec.config.least == 20 and codec.overlap == 1


def waves(series: int = 600, steps: int = 16, noise: float = 0.0) -> np.ndarray:
    """(series, steps): a piece of a wave each, of one height, as far as six decimals tell it."""
    draw = np.random.default_rng(0)
    speed, phase = draw.uniform(0.05, 0.15, (series, 1)), draw.uniform(0, 0.5, (series, 1))
    x = np.sin(speed * np.arange(steps) + phase)
    return np.asarray((x + draw.normal(0, noise, x.shape)).round(6))


def long(x: np.ndarray) -> list[list[object]]:
    return [[at, step, f"{value:.6f}"] for at, row in enumerate(x) for step, value in enumerate(row.tolist())]


def test_smooth_numbers_are_told_by_more_steps_and_stay_smooth(tmp_path: Path) -> None:
    want = waves()
    source, codec = opened(written(tmp_path / "waves.csv", ["series", "step", "x"], long(want)))
    (track,) = codec.config.tracks
    last = track.told[-1].reference
    assert track.smooth and len(track.told) == 4 and last is not None and last.curve is not None
    x = torch.from_numpy(np.concatenate(list(codec.prepare_all(source.items)))).long()
    draw = torch.Generator().manual_seed(0)
    for place, (step, *_) in enumerate(codec.layout.slots):  # what a net that knows nothing of later steps would draw
        if 3 <= step < codec.layout.steps or codec.layout.free[place]:
            x[:, place] = torch.randint(0, codec.sizes[place], (len(x),), generator=draw)
    made = np.stack(codec.values(codec.decode(x)))[..., 0]
    for times in (1, 2, 3):
        a, b = (np.abs(np.diff(one, times)).mean() for one in (made, want))
        assert a == pytest.approx(b, rel=0.1), times
    ended = Codec(replace(codec.config, tracks=(replace(track, ends=(0.2, 0.9)),)))  # cut, and no kink behind that
    assert np.array_equal(np.stack(ended.values(ended.decode(x)))[..., 0], made.clip(0.2, 0.9))
    _, noisy = opened(written(tmp_path / "noisy.csv", ["series", "step", "x"], long(waves(noise=0.05))))
    assert not noisy.config.tracks[0].smooth and len(noisy.config.tracks[0].told) <= 2


def test_a_curve_is_found_again_and_kept_only_if_it_holds() -> None:
    draw = np.random.default_rng(0)
    z = draw.uniform(0.2, 0.8, (2, 3_000))
    y = 0.1 + 2 * z[0] - z[1] + 3 * (z[0] - z[1]) * z[0] ** 2
    found = fitted(z, np.zeros((0, 3_000)), y)
    assert found is not None
    curve, line, constant = found
    assert np.abs(curve.value(z) + line @ z + constant - y).max() < 1e-9
    assert fitted(z[:, :50], np.zeros((0, 50)), y[:50]) is None  # too few rows
    turn = np.cos(0.1 * np.arange(2_000))
    scales = scaled({0: turn}, np.arange(2_000) == 0)
    assert holds(scales, 0, Reference(((0, 1, 2 * math.cos(0.1)), (0, 2, -1.0))), 2)
    assert not holds(scales, 0, Reference(((0, 1, 2.1), (0, 2, -1.0))), 2)


def test_numbers_that_stay_have_a_cell_of_their_own(tmp_path: Path) -> None:
    draw, rows, load, state = random.Random(0), list[list[object]](), 50.0, 0
    for _ in range(3_000):  # a meter that stands still now and then, beside one that it follows
        state = draw.random() < (0.9 if state else 0.03)
        load += 0 if state else 0.2 * (50 - load) + draw.gauss(0, 3)
        rows.append([f"{load:.2f}", f"{0.7 * load + draw.gauss(0, 1):.2f}"])
    source, codec = opened(written(tmp_path / "meter.csv", ["meter", "other"], rows))
    meter, other = codec.config.tracks
    assert [one.stays for one in meter.told] == [False, True] and not any(one.stays for one in other.told)
    x = torch.from_numpy(np.concatenate(list(codec.prepare_all(codec.cut(source.items))))).long()[::10]
    want = np.diff([float(str(row[0])) for row in rows])
    want = np.lib.stride_tricks.sliding_window_view(want, 23)[::10][: len(x)] == 0
    cells = x[:, [codec.layout.where[step, 0][0] for step in range(1, 24)]].numpy()
    assert want.mean() > 0.1 and ((cells == 0) == want).all()
    made = np.stack(codec.values(codec.decode(x)))[..., 0]
    assert ((np.diff(made) == 0) == want).all()  # and nothing else comes out as it was
    draws = np.random.default_rng(0).integers(0, 5, 1_000)
    assert not repeated(draws.astype(float), np.arange(1_000) == 0).any()  # few values meet anyhow


def test_windows_begin_when_their_cells_tell(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly(10_000)))
    cells = torch.from_numpy(np.concatenate(list(codec.prepare_all(source.items)))[::7]).long()
    begun = codec.begun(np.array([one.times[0] for one in codec.decode(cells)]))
    told = cells[:, : begun.shape[1]].numpy()
    assert np.array_equal(begun[:, -1], told[:, -1]) and (begun == told).mean() > 0.95  # the hour always
    assert codec.overlap == pytest.approx(24, rel=0.01)


def test_a_price_is_told_by_its_change_and_keeps_the_order(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "price.csv", ["close", "high"], prices()))
    close, high = codec.config.tracks
    assert close.late and close.log and [one.reference for one in close.told] == [None, Reference(((0, 1, 1.0),))]
    assert [one.reference for one in high.told] == [Reference(((0, 0, 1.0),), bound=1)]
    x = torch.stack([torch.randint(0, size, (300,)) for size in codec.sizes], 1)  # any cells can be decoded
    for one in codec.values(codec.decode(x)):
        assert np.isfinite(one).all() and (one[:, 0] <= one[:, 1]).all()


def test_a_level_that_returns_is_told_by_itself(tmp_path: Path) -> None:
    _, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly(1000)))
    load = codec.config.tracks[0]
    assert not load.late and load.told[0].reference is None
    assert [load.index(step) for step in (0, 1, 2, 3)] == [0, 1, 1, 1] and load.ends[0] > 10


def scales(seed: int = 0, count: int = 4_000) -> Scales:
    """y_t = 0.6 y_(t-1) + 0.3 x_t - 0.2 x_(t-1) + 1 + e_t after x_t = 0.8 x_(t-1) + noise, in pieces of 100."""
    draw, begins = np.random.default_rng(seed), np.arange(count) % 100 == 0
    x, y = np.zeros(count), np.zeros(count)
    for t in range(1, count):
        x[t] = 0.8 * x[t - 1] + draw.normal()
        y[t] = 0.6 * y[t - 1] + 0.3 * x[t] - 0.2 * x[t - 1] + 1 + 0.02 * draw.normal()
    return scaled({0: x - x.min() - 3, 1: y - y.mean()}, begins)


def test_a_line_is_found_with_its_weights() -> None:
    line = straight(scales(), 1, [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2)], 2)
    assert line is not None
    found = {(track, before): weight for track, before, weight in line.terms}
    assert set(found) == {(0, 0), (0, 1), (1, 1)}
    assert found[0, 0] == pytest.approx(0.3, abs=0.01) and found[0, 1] == pytest.approx(-0.2, abs=0.01)
    assert found[1, 1] == pytest.approx(0.6, abs=0.01)
    rest = scales().rest(1, line)
    assert np.nanstd(rest) == pytest.approx(0.02, rel=0.05) and abs(np.nanmean(rest)) < 0.001
    assert np.isnan(rest[::100]).all() and np.isfinite(rest[1::100]).all()  # nothing is known before a piece


def test_a_number_between_others_comes_first_and_the_others_keep_to_it() -> None:
    draw = np.random.default_rng(0)
    begins = np.arange(2_000) == 0
    price = np.exp(np.cumsum(0.01 * draw.normal(size=2_000)))
    low, high = price * np.exp(-np.abs(draw.normal(size=2_000)) / 50), price * np.exp(draw.exponential(size=2_000) / 50)
    found = references(scaled({0: price, 1: low, 2: high}, begins), 2, {(0, 2), (1, 0), (1, 2)}, lines=True)
    assert found == (Reference(((0, 0, 1.0), (1, 0, 1.0)), bound=1),)
    top = found[0]
    assert top is not None
    assert top.value(lambda track, before: np.array([[1.0, 5.0], [3.0, 2.0]][track])).tolist() == [3.0, 5.0]


def test_a_line_that_would_run_away_is_known() -> None:
    walk, grown = Reference(((0, 1, 1.0),)), Reference(((0, 1, 1.1),))
    assert steady({0: walk}, 100_000) and not steady({0: grown}, 100) and steady({0: grown}, 20)
    chain = {0: Reference(((1, 1, 1.2),)), 1: Reference(((0, 0, 0.8),))}  # x_t = 1.2 y_(t-1), y_t = 0.8 x_t
    assert steady(chain, 10_000) and not steady({**chain, 1: Reference(((0, 0, 0.9),))}, 10_000)
    assert steady({0: Reference(((0, 1, 1.5), (0, 2, -0.5)))}, 1_000) and steady({0: None}, 10)


def test_values_that_come_again_and_again_are_the_only_ones(tmp_path: Path) -> None:
    draw, level, rows = random.Random(0), 50, list[list[object]]()
    for _ in range(1_500):
        level = min(90, max(10, level + draw.choice((-3, -1, 0, 0, 1, 3))))
        rows.append([f"{level * 0.122:.6f}", f"{math.sin(level) + draw.gauss(0, 1):.5f}"])
    source, codec = opened(written(tmp_path / "steps.csv", ["meter", "noise"], rows))
    real = {float(str(row[0])) for row in rows}
    x = torch.from_numpy(np.concatenate(list(codec.prepare_all(codec.cut(source.items))))[:200])
    made = np.stack(codec.values(codec.decode(x)))
    assert set(made[:, :, 0].reshape(-1).tolist()) <= real and len(set(made[:, :, 1].reshape(-1).tolist())) > 2_000
    still = (np.diff(np.array([float(str(row[0])) for row in rows])) == 0).mean()
    assert (np.diff(made[:, :, 0]) == 0).mean() == pytest.approx(still, abs=0.08)


def test_what_moves_to_the_front_is_told_anew(tmp_path: Path) -> None:
    source, codec = opened(written(tmp_path / "load.csv", ["when", "load", "state"], hourly(1_000)))
    history = codec.histories(source.items, 2)[0][0]
    cells, state = codec.opened(history, 24, 3)
    moved, later = codec.slid(cells, state, 6)
    again, known = codec.opened(history, 18, 3)
    whole = again >= 0
    assert (moved[whole] == again[whole]).all() and later.known == known.known == 18
    assert np.array_equal(later.floats[:, :18], known.floats[:, :18], equal_nan=True)


def test_rows_before_a_row_are_counted_and_values_kept_on_their_scale() -> None:
    assert within(np.array([True, False, False, True, False])).tolist() == [0, 1, 2, 0, 1]
    assert np.isnan(Track(0, (), log=True).scaled(np.array([1.0, 0.0, -3.0]))).tolist() == [False, True, True]
    assert Track(0, (), grid=(1.0, 2.0, 4.0)).snapped(np.array([0.5, 1.6, 3.1, 9.0])).tolist() == [0.5, 2.0, 4.0, 9.0]


def test_blocks_of_rows_name_series_without_a_time() -> None:
    import polars

    value = [(i * 0.37) % 1.0 for i in range(120)]

    def entity(names: list[object]) -> str:
        return found_time(polars.DataFrame({"name": names, "value": value}), "", "")[1]

    assert entity([i // 24 for i in range(120)]) == "name"
    assert entity([f"w{i // 24}" for i in range(120)]) == "name"
    assert entity([i // 60 for i in range(120)]) == ""  # two blocks may be anything
    assert entity([i // 12 % 5 for i in range(120)]) == ""  # they come again
    assert found_time(polars.DataFrame({"year": [i // 12 for i in range(120)], "value": value}), "", "")[1] == ""


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


def test_days_and_times_of_day_are_one_time(tmp_path: Path) -> None:
    rows = [[f"{1 + i // 48}/3/2004", f"{i % 48 // 2:02}.{i % 2 * 30:02}.00", i * 7 % 31] for i in range(480)]
    source, codec = opened(written(tmp_path / "air.csv", ["Date", "Time", "load"], rows))
    assert codec.config.clock.named == ("Date", "Time") and codec.config.clock.step == 1800
    window = codec.prepare(Item("w", source.items.table[40:64].to_dicts))
    lines = codec.joined(codec.decode(torch.from_numpy(window[None]))).splitlines()
    assert lines[0] == "Date,Time,load" and len(lines) == 25
    assert all(re.fullmatch(r"\d+/3/2004,\d\d\.[03]0\.00,\d+", one.strip()) for one in lines[1:])


def test_times_of_day_alone_go_on_with_the_next_day(tmp_path: Path) -> None:
    rows = [[f"{i % 24:02}:00", i * 7 % 31] for i in range(72)]
    _, codec = opened(written(tmp_path / "beats.csv", ["time", "load"], rows))
    assert codec.config.clock.time == "time" and codec.config.clock.step == 3600


def test_series_follow_each_other_at_times_of_their_own(tmp_path: Path) -> None:
    days = [f"{2100 + 17 * k % 40}-01-{1 + i:02}" for k in range(12) for i in range(20)]
    rows = [[9000 + 37 * (i // 20), day, 60 + i * 7 % 31] for i, day in enumerate(days)]
    _, codec = opened(written(tmp_path / "beds.csv", ["patient", "day", "pulse"], rows))
    assert (codec.config.clock.time, codec.config.clock.entity) == ("day", "patient")


def test_a_series_in_each_row_is_read_as_one(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[f"H{i}", *(f"{math.sin(k / 5 + i) + draw.gauss(0, 0.05):.3f}" for k in range(30 - i % 3)), *[""] * (i % 3)]
            for i in range(40)]  # fmt: skip
    source, codec = opened(written(tmp_path / "beats.csv", ["name", *(f"V{k}" for k in range(30))], rows))
    assert codec.config.clock.named == ("step", "series") and codec.config.steps == 30 and codec.config.least == 28
    assert "--codec series" in table.Codec().fit(source.items).said
    windows = codec.cut(source.items)
    assert len(windows) == 40 and windows[1].load()["name"][0] == "H1"
    assert [str(one) for one in windows[1].load()["value"]] == rows[1][1:30]


def test_columns_beside_each_other_are_no_series_in_a_row(tmp_path: Path) -> None:
    draw, level, rows = random.Random(0), [0.0] * 20, []
    for _ in range(90):
        level = [0.95 * one + draw.gauss(0, 1) for one in level]
        rows.append([f"{one:.3f}" for one in level])
    _, codec = opened(written(tmp_path / "channels.csv", [f"ch{k}" for k in range(20)], rows))
    assert len(codec.columns) == 20 and not codec.config.shape.said


def test_two_columns_name_series_together(tmp_path: Path) -> None:
    rows = [[str(START.date() + datetime.timedelta(days=d)), shop, thing, 5 * shop + d % 7]
            for shop in (1, 2, 3) for thing in "abc" for d in range(40)]  # fmt: skip
    source, codec = opened(written(tmp_path / "sales.csv", ["date", "shop", "thing", "sold"], rows))
    assert codec.config.shape.keys == ("shop", "thing") and codec.config.clock.step == 86_400
    noise = torch.stack([torch.randint(0, size, (50,)) for size in codec.sizes], 1)
    assert all(len({tuple(row[1:3]) for row in one.rows}) == 1 for one in codec.decode(noise))
    assert len(set(codec.rows(source.items).series.tolist())) == 9 and len(codec.rows(source.items).times) == 360


def test_series_of_the_uea_archive_are_read(tmp_path: Path) -> None:
    lines = [":".join(",".join(f"{math.sin(k + d + i):.2f}" for k in range(12)) for d in range(2)) + f":{'ab'[i % 2]}"
             for i in range(30)]  # fmt: skip
    (tmp_path / "a.ts").write_text("\n".join(["#note", "@classLabel true a b", "@data", *lines, "1,2:3:a"]))
    source = open_source(tmp_path / "a.ts")
    codec = Codec().fit(source.items)
    assert source.codec == "series" and codec.config.clock.named == ("step", "series") and codec.config.steps == 12
    assert codec.columns[:2] == ("channel 1", "channel 2") and source.problems[0][0] == "a.ts, line 34"
    (tmp_path / "b.ts").write_text("@data\n")
    with pytest.raises(DataError, match="no series"):
        open_source(tmp_path / "b.ts")


def test_series_keep_to_the_days_and_hours_that_have_rows() -> None:
    from morelike.codecs._series_week import counted, moment, opened, said

    day = np.datetime64("2022-01-03T00:00:00")
    every = (day + np.arange(300).astype("timedelta64[D]")).astype("datetime64[s]").astype(float)
    times = every[np.arange(300) % 7 < 5]
    begins = np.arange(len(times)) == 0
    week = opened(times, begins)
    assert said(week) == "Mon to Fri" and (np.diff(counted(times, week)) == 1).all()
    assert (moment(counted(times, week), week) == times).all()
    assert opened(every, np.arange(300) == 0) == () and opened(every[::7], np.arange(43) == 0) == ()
    market = np.concatenate([one + 1800.0 * np.arange(19, 33) for one in times])
    hours = opened(market, np.arange(len(market)) == 0)
    assert said(hours) == "Mon to Fri, 09:30 to 16:00"
    ahead = moment(counted(market[[13]], hours) + [1, 14, 15], hours)
    assert (ahead == market[[14, 27, 28]]).all()


def test_curves_of_a_page_are_drawn_to_scale() -> None:
    """Without a viewBox a style sheet that sets their width cuts them off."""
    from morelike.codecs._series_files import HIGH, WIDE, curve

    assert f'viewBox="0 0 {WIDE} {HIGH}"' in curve(np.array([1.0, np.nan, 3.0]))


def test_a_holiday_is_a_longer_step_and_no_gap() -> None:
    draw, days = (
        random.Random(1),
        [datetime.date(2021, 1, 4) + datetime.timedelta(days=i) for i in range(400) if i % 31],
    )
    rows = [{"day": str(one), "price": f"{draw.gauss(50, 5):.2f}"} for one in days if one.weekday() < 5]
    codec = Codec().fit([Item(f"row {i}", lambda row=row: row) for i, row in enumerate(rows)])
    assert "Mon to Fri, with days or hours left out" in codec.said and "gaps" not in codec.said
    cut = codec.cut([Item(f"row {i}", lambda row=row: row) for i, row in enumerate(rows)])
    assert len(cut) == len(rows) - codec.config.steps + 1
    cells = np.concatenate(list(codec.prepare_all(cut)))
    for window in codec.decode(torch.from_numpy(cells[:40].astype(np.int64))):
        assert all(row[0].weekday() < 5 for row in window.rows) and (np.diff(window.times) > 0).all()


def test_patients_name_series_though_fewer_were_born_on_different_days() -> None:
    rng, rows = np.random.default_rng(0), []
    for patient in range(60):
        born = f"19{40 + patient % 50}-0{1 + patient % 5}-11"
        for visit, day in enumerate(np.cumsum(rng.integers(1, 60, rng.integers(3, 8)))):
            rows.append((f"P{patient}", born, str(np.datetime64("2022-01-01") + day), 60 + 5 * np.sin(visit)))
    frame = pytest.importorskip("polars").DataFrame(rows, schema=["patient", "born", "date", "weight"], orient="row")
    when, entity = found_time(frame, "", "")
    assert [one.name for one in when] == ["date"] and entity == "patient"


@pytest.mark.parametrize(
    ("name", "write", "step"),
    [
        ("Time [s]", lambda i: f"{i * 0.02:.2f}", 0.02),
        ("time", lambda i: f"{1_700_000_000 + i * 0.1:.1f}", 0.1),
        ("Zeit", lambda i: f"{i * 0.1:.1f}".replace(".", ","), 0.1),
        ("elapsed", lambda i: f"{i + (i * 7 % 10) / 20:.2f}", 0),
        ("ts", lambda i: 1_700_000_000 + 10 * i + i * 7 % 9, 0),
    ],
)
def test_decimal_numbers_and_uneven_counters_are_times(name: str, write, step: float, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[write(i), f"{math.sin(i / 5) + draw.gauss(0, 0.1):.2f}"] for i in range(200)]
    source, codec = opened(written(tmp_path / "a.csv", [name, "v"], rows))
    assert codec.config.clock.time == name and codec.config.clock.step == pytest.approx(step)
    (time,) = codec.when
    assert [time.say(one) for one in times_as(time, time_of(time, source.items.table[name]))] == [
        str(r[0]) for r in rows
    ]


def test_what_never_changes_within_a_series_stays_in_a_forecast(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[f"u{k}", i, f"{draw.gauss(k, 1):.2f}", "abc"[k]] for k in range(3) for i in range(60)]
    source, codec = opened(written(tmp_path / "a.csv", ["unit", "cycle", "v", "kind"], rows))
    names = [one.name for one in codec.found]
    place, v = names.index("kind"), names.index("v")
    for history, kind in zip(codec.histories(source.items, 2)[0], "abc", strict=True):
        drawn = np.full((5, 4, len(names)), "z", object)
        codec.settled(history, drawn)
        assert set(drawn[..., place].reshape(-1)) == {kind} and set(drawn[..., v].reshape(-1)) == {"z"}
