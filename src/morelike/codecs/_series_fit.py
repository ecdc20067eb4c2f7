"""How a series becomes cells is settled: time, columns, tracks, windows, and which of these are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike.codecs._bins import Resolution, places, resolution
from morelike.codecs._columns import Column
from morelike.codecs._kinds import DROP, asked, guess
from morelike.codecs._rules import find, gather
from morelike.codecs._seen import Wish, see
from morelike.codecs._series_shape import SERIES, STEP, Shape, shape_of, still
from morelike.codecs._series_time import Clock, Ordered, calendar, found_time, ordered, pace
from morelike.codecs._series_told import Told, Track
from morelike.codecs._series_tracks import WHOLE, shifted, tracks
from morelike.codecs._series_week import DAY, opened
from morelike.codecs._series_week import said as week_said
from morelike.codecs._worded import identifier
from morelike.core.errors import DataError, unknown

if TYPE_CHECKING:
    from morelike.codecs.series import Config

STEPS, MOST = 24, 1_200  # of a window where nothing is said; cells of one
WINDOWS, STARTS = 60_000, 500  # windows that are cut at most; times at which they begin that are kept
FEW_SERIES, STRETCH, STRETCHES = 10, 3, 8  # series from which whole ones are held out; windows in a stretch; of these
SHOWN = 60


def fitted(config: Config, table: Any, name: str) -> tuple[Config, str]:
    """The configuration with all that is settled by the data, and what was found in words."""
    kinds = asked(config.columns)
    for one in kinds:
        if one not in table.columns:
            raise unknown("column", one, table.columns)
    table = table.select([one for one in table.columns if kinds.get(one) != DROP])
    when, entity = found_time(table, config.time, config.entity)
    shape = Shape() if config.entity else shape_of(table, when, entity)
    if shape.said:
        table = shape.of(table)
        when, entity = found_time(table, STEP if shape.steps else config.time, SERIES)
    rows = ordered(table, when, entity)
    dated = bool(when) and when[0].kind == "date"
    even = pace(rows, dated) if when else (1.0, 0)
    if dated and even is None and (week := opened(rows.times, rows.begins)):
        rows = replace(rows, week=week)  # without holidays steps are even; with some, cutting there would leave little
        even = (1.0, 0) if np.isclose(rows.ahead[~rows.begins[1:]], 1).all() else None
    time, hour, *_ = (*(one.name for one in when), "", "")
    clock = Clock(time, entity, dated, *(even or (0.0, 0)), hour=hour, week=rows.week)
    rows = ordered(table, when, entity, even, rows.week)
    if not len(rows.times):
        raise DataError(f"{name} has no row whose time can be read", "Dates or numbers", "Name another: --set time=…")
    own = _columns(rows, (when, entity), kinds, config.bins)
    rules = find(gather([_plain(one, clock) for one in own], rows.table)) if config.rules else ()
    config = replace(config, found=own, kept=tuple(rules), clock=clock, shape=shape, still=still(own, rows))
    config = _tracked(config, rows, even is None)
    _refuse(config, name)
    config, note = _windowed(config, rows)
    return config, said(config, rows, note)


def _plain(column: Column, clock: Clock) -> Column:
    """A column as rules are sought among; time and series follow none."""
    return replace(column, kind="constant") if column.name in clock.named else column


def _columns(
    rows: Ordered, named: tuple[Sequence[Column], str], kinds: Mapping[str, str], bins: int | None
) -> tuple[Column, ...]:
    """All columns, in their order."""
    when, entity = named
    times = {one.name: one for one in when}
    count, width = len(rows.times), rows.table.width
    fitting = resolution(count, width)
    wish = Wish(Resolution(bins or fitting.coarse, fitting.fine, fitting.few), int(np.clip(count / 2_000, 2, 10)))
    found = []
    for name in rows.table.columns:
        if name in times:
            found.append(times[name])
        elif name == entity:
            found.append(identifier(see(name, rows.table[name])))
        else:
            column = guess(name, rows.table[name], replace(wish, kind=kinds.get(name, "")))
            whole = column.kind == "identifier" and name not in kinds and column.low and not _steady(rows, name)
            column = guess(name, rows.table[name], replace(wish, kind="number")) if whole else column
            found.append(_left_out(column))
    return tuple(found)


def _steady(rows: Ordered, name: str) -> bool:
    """Whether a column of whole numbers counts the rows."""
    values = rows.table[name].cast(float, strict=False).to_numpy()
    return len(set(np.diff(values).tolist())) == 1


def _left_out(column: Column) -> Column:
    """Dates beside the time are not learnt."""
    if column.kind != "date":
        return column
    said = "dates beside the time, not learnt: they come out empty"
    return replace(column, kind="text", holes=True, said=said)


def _tracked(config: Config, rows: Ordered, gaps: bool) -> Config:
    """With its tracks, the gap to the step before being the first where that varies."""
    follow = {rule.to for rule in config.kept if rule.derives}
    columns = list(config.found)
    for place, column in enumerate(columns):
        if place in follow or column.name in config.clock.named:
            columns[place] = replace(column, kind="constant")
    values = {
        place: column.floats(rows.table[column.name])
        for place, column in enumerate(columns)
        if column.kind == "number" and column.low and not any(isinstance(one, str) for one in column.values)
    }
    found = tracks(columns, values, rows.begins, config.bins, config.kept)
    if gaps:
        found = [_gap(rows, config.clock), *(shifted(one) for one in found)]
    return replace(config, tracks=tuple(found))


def _gap(rows: Ordered, clock: Clock) -> Track:
    ahead = rows.ahead[~rows.begins[1:]]
    known, counts = np.unique(ahead, return_counts=True)
    wanted = Resolution(FEW_SERIES * 3, 8, 0)
    low, high, groups = places(known, counts, wanted)
    whole = bool((known % 1 == 0).all())
    style = replace(Column("", "number").style, decimals=0 if whole else None)
    column = Column("time since the last", "number", "Float64", False, low=tuple(low.tolist()), style=style,
                    high=tuple(high.tolist()), groups=tuple(groups.tolist()))  # fmt: skip
    return Track(-1, (Told(column, fine=True),), plain=True, usual=float(np.median(ahead)))


def _refuse(config: Config, name: str) -> None:
    if not any(config.found[track.column].kind == "number" for track in config.tracks if track.column >= 0):
        kinds = "; ".join(f"{column.name}: {column.said}" for column in config.found[:5])
        raise DataError(f"{name} has no column of numbers that vary ({kinds})", "One at least",
                        "Name its kind: --set columns=NAME=number, or learn it as a table: --codec table")  # fmt: skip


def _windowed(config: Config, rows: Ordered) -> tuple[Config, str]:
    """With the length of windows, and a note where it is not what was asked for."""
    sizes = np.array([end - begin for begin, end in rows.pieces])
    if len(rows.times) < 4 or sizes.max() < 3:
        raise DataError(f"The longest series has {sizes.max():,} rows", "At least three", "Name a longer one")
    per_step = sum(track.learnt for track in config.tracks)
    if per_step * STEPS > MOST:  # very many columns: parts of groups are drawn, not learnt
        config = replace(config, tracks=tuple(one.coarse() for one in config.tracks))
        per_step = len(config.tracks)
    most, note = max(2, MOST // (per_step + 1)), ""
    whole = (
        len(sizes) >= FEW_SERIES
        and config.length is None
        and sizes.max() <= (most if config.shape.steps else min(most, WHOLE))
    )
    if whole and sizes.min() < sizes.max():
        least = max(1, int(sizes.min()))
        return _started(replace(config, steps=int(sizes.max()), least=least), rows), ""
    wanted = int(sizes.max()) if whole else config.length or STEPS
    room = max(2, int(sizes.max()) if len(sizes) > 1 else int(sizes.max()) // 2)
    steps = min(wanted, room, most)
    if steps < wanted:
        why = "the series are short" if room < most else f"{per_step} cells make a step"
        note = f"windows have {steps} steps instead of {wanted}, since {why}"
    return _started(replace(config, steps=steps, least=steps), rows), note


def _started(config: Config, rows: Ordered) -> Config:
    """With what tells when a window begins, as far as it varies, and in how many windows a row is."""
    begins, lengths = windows(rows, config.steps, config.least)
    times = rows.times[begins] if len(begins) else rows.times[:1]
    own = sum(end - begin for begin, end in rows.pieces if end - begin >= config.least)
    config = replace(config, overlap=float(max(1.0, lengths.sum() / max(1, own))))
    some = np.random.default_rng(0).permutation(len(times))[:STARTS]  # every n-th one may be of few hours or weekdays
    clock = replace(config.clock, starts=tuple(times[np.sort(some)].tolist()))
    if not config.clock.time:
        return replace(config, clock=clock)
    span, steps = float(np.ptp(rows.times)), np.diff(rows.times)[~rows.begins[1:]]
    usual = float(np.median(steps)) if len(steps) else 1.0
    if config.clock.dated:
        told = calendar(times)
        wanted = (span > 300 * DAY and usual < 100 * DAY, span > 20 * DAY and usual < 7 * DAY, usual < DAY)
        parts = [tuple(np.unique(told[:, i]).tolist()) if ok else () for i, ok in enumerate(wanted)]
    elif config.clock.entity and np.ptp(times) > 0:
        parts = [tuple(np.unique(np.quantile(times, np.linspace(0, 1, 17)[:-1], method="lower")).tolist())]
    else:
        parts = []
    return replace(config, clock=clock, parts=tuple(parts))


def windows(rows: Ordered, steps: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    """First rows (M,) and lengths (M,) of windows: whole pieces where these may be shorter, or else all that overlap,
    of very many each second one, say."""
    begins, lengths = list[np.ndarray](), list[np.ndarray]()
    stride = max(1, len(rows.times) // WINDOWS)
    for begin, end in rows.pieces:
        if least < steps:
            ok = least <= end - begin <= steps
            begins.append(np.array([begin][:ok], np.int64))
            lengths.append(np.array([end - begin][:ok], np.int64))
        elif end - begin >= steps:
            begins.append(np.arange(begin, end - steps + 1, stride))
            lengths.append(np.full(len(begins[-1]), steps))
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *begins]), np.concatenate([none, *lengths])


def split(fields: Mapping[str, Sequence[str]], held_out: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows to train on and windows held out, which share no row: two int64 arrays.

    Of ten series or more some are held out as a whole, chosen by their number; of fewer, stretches of time in each, the
    last of which is its end. Windows that lie across the edge of a stretch are in neither part.
    """
    series, first, end = (np.array(fields[name], np.int64) for name in ("series", "first", "end"))
    numbers, where = np.unique(series, return_inverse=True)
    if not held_out:
        return np.arange(len(series)), np.arange(0)
    if len(numbers) >= FEW_SERIES:
        order = np.random.default_rng(0).permutation(len(numbers))
        out = np.isin(where, order[: max(1, round(held_out * len(numbers)))])
        return np.flatnonzero(~out), np.flatnonzero(out)
    inside, touched = np.zeros(len(series), bool), np.zeros(len(series), bool)
    for one in range(len(numbers)):
        own = where == one
        low, high = int(first[own].min()), int(end[own].max())
        for begin, stop in stretches(low, high, held_out, steps):
            inside |= own & (first >= begin) & (end <= stop)
            touched |= own & (first < stop) & (end > begin)
    if touched.all():
        return np.arange(len(series)), np.arange(0)
    return np.flatnonzero(~touched), np.flatnonzero(inside)


def stretches(low: int, high: int, share: float, steps: int) -> list[tuple[int, int]]:
    """Rows of a series that are held out: up to eight stretches, each of some windows' length."""
    rows = round((high - low) * share)
    count = int(np.clip(rows // (STRETCH * steps), 1, STRETCHES))
    size = max(rows // count, min(steps + 1, (high - low) // 4))
    ends = [low + (high - low) * (k + 1) // count for k in range(count)]
    return [(max(low, end - size), end) for end in ends]


def said(config: Config, rows: Ordered, note: str) -> str:
    """What was found, in lines."""
    clock, count = config.clock, len(set(rows.series.tolist()))
    pieces = [end - begin for begin, end in rows.pieces]
    times = " and ".join(f'"{one}"' for one in (clock.time, clock.hour) if one)
    lines = [f"  time: {f'{times}, {stepped(clock)}' if times else 'the order of the rows'}"]
    if clock.entity:
        lines.append(f'  series: {count:,}, named by "{clock.entity}", {min(pieces):,} to {max(pieces):,} rows long')
    lines.append(
        f"  windows of {config.steps} steps" + (f", from {config.least}" if config.least < config.steps else "")
    )
    lines += [f"  note: {one}" for one in (config.shape.said, *rows.notes.values(), note) if one]
    tracked = {track.column: track for track in config.tracks}
    for place, column in enumerate(config.found[:SHOWN]):
        if column.name not in clock.named:
            how = _how(config, tracked[place]) if place in tracked else ""
            lines.append(f"  {column.name}: {column.kind}, {column.said}{how}")
    lines += [f"  rule: {rule.said}" for rule in config.kept[:SHOWN]]
    return f"{len(config.found):,} columns:\n" + "\n".join(lines)


def _how(config: Config, track: Track) -> str:
    reference = track.told[-1].reference
    if reference is None:
        return ""
    parts, way = list[str](), "ratio to" if track.log else "difference from"
    for at, before, _ in reference.terms:
        name = "itself" if config.tracks[at] is track else f'"{config.found[config.tracks[at].column].name}"'
        parts.append(name + (f" {before} before" if before else ""))
    among = {1: "the largest of ", -1: "the least of "}.get(reference.bound, "") if len(parts) > 1 else ""
    line = "a line through " if len(parts) > 1 and not among or reference.constant else ""
    more = f" and {len(parts) - 4} more" if len(parts) > 4 else ""
    return f"; told by its {way} {among}{line}{', '.join(parts[:4])}{more}"


def stepped(clock: Clock) -> str:
    """The step of time in words."""
    if clock.week:
        return f"{week_said(clock.week)}{'' if clock.step else ', with days or hours left out'}"
    if clock.months:
        return f"every {clock.months} months" if clock.months > 1 else "every month"
    if not clock.step:
        return "in steps that vary"
    if not clock.dated:
        return f"in steps of {clock.step:g}"
    for name, size in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if clock.step % size == 0:
            return f"every {clock.step / size:g} {name}s" if clock.step > size else f"every {name}"
    return f"every {clock.step:g} seconds"
