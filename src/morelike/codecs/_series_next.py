"""How a series is gone on with: its last rows as a window that is not full, and what is drawn as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike.codecs import _tables
from morelike.codecs._columns import Column
from morelike.codecs._found import natural
from morelike.codecs._series_draw import State
from morelike.codecs._series_time import Ordered, times_as

if TYPE_CHECKING:
    from morelike.codecs.series import Codec

PATH, STEP = "path", "step"  # columns that are added: the number of a continuation; of a step, where there is no time


@dataclass(frozen=True)
class History:
    """The rows of a series from `begin` to `end`, among those of all series, and its name, None where it has none."""

    rows: Ordered
    begin: int
    end: int
    name: object
    codes: Sequence[Sequence[np.ndarray]]


def settled(codec: Codec, history: History, rows: np.ndarray) -> None:
    """What never changes within a series is, in rows (…, C) that go on with one, as it is there."""
    for number in codec.config.still:
        column = codec.found[number]
        if column.name not in codec.config.clock.named:
            rows[..., number] = natural(column, history.rows.table[column.name][history.begin : history.begin + 1])[0]


def histories(codec: Codec, rows: Ordered, fewest: int) -> tuple[list[History], list[tuple[str, str]]]:
    """The last piece of each series, and (name, reason) of those that are too short."""
    last = {int(rows.series[begin]): (begin, end) for begin, end in rows.pieces}
    codes = codec.codes(rows) if len(rows.times) else []
    found, skipped, clock = list[History](), list[tuple[str, str]](), codec.config.clock
    column = next((one for one in codec.found if one.name == clock.entity), None)
    names = natural(column, rows.table[clock.entity]) if column is not None else None
    for begin, end in last.values():
        name = None if names is None else names[begin]
        if end - begin < fewest:
            skipped.append((f"series {name}" if name is not None else "the series", f"has {end - begin} rows"))
        else:
            found.append(History(rows, begin, end, name, codes))
    return found, skipped


def opened(codec: Codec, history: History, most: int, count: int) -> tuple[np.ndarray, State]:
    """The cells (count, T) of windows that begin with the last rows of a history, and what is known of them."""
    begin = max(history.begin, history.end - max(1, most))
    length, rows = history.end - begin, history.rows
    cells = codec.layout.windows(np.array([begin]), np.array([length]), codec.begun(rows.times[[begin]]), history.codes)
    state = State.empty(codec, count)
    state.known = length
    state.times[:, :length] = rows.times[begin : history.end]
    part = replace(rows, table=rows.table[begin : history.end], times=rows.times[begin : history.end],
                   begins=rows.begins[begin : history.end], series=rows.series[begin : history.end])  # fmt: skip
    for number, values in enumerate(codec.numbers(part)):
        if values is not None:
            state.floats[:, :length, number] = values
        else:
            column = codec.found[codec.config.tracks[number].column]
            state.objects[number][:, :length] = natural(column, part.table[column.name])
    return np.repeat(cells, count, 0), state


def write(codec: Codec, found: Any, target: Path, level: float) -> Path:
    """A row for each series and step: the median of each column, and the ends of the interval below and above it.

    Of a category, the value that is drawn most, and how often that is.
    """
    low, middle, high = found.quantile([(1 - level) / 2, 0.5, (1 + level) / 2])  # (E, steps, C) each
    count, steps = found.times.shape
    columns, cells = _named(codec, found)
    percent = [f"{100 * (1 - level) / 2:g}%", f"{100 * (1 + level) / 2:g}%"]
    for place, number in enumerate(codec.valued):
        column = codec.found[number]
        if column.kind == "number" and not any(isinstance(one, str) for one in column.values):
            parts = [
                (column.name, middle),
                *((f"{column.name} {p}", one) for p, one in zip(percent, (low, high), strict=True)),
            ]
            for name, one in parts:
                columns.append(replace(column, name=name))
                cells.append(column.plain(one[..., place].reshape(-1)))
        else:
            best, share = _usual(found.paths[..., number])
            columns += [column, Column(f"{column.name} share", "number", "Float64", False)]
            cells += [best, share]
    with _tables.Writer(columns, target, mark=codec.config.mark) as out:
        out.add(np.stack([np.asarray(one, object) for one in cells], 1).reshape(count * steps, len(columns)))
    return target


def write_paths(codec: Codec, found: Any, target: Path) -> Path:
    """All continuations (E, P, steps, C) in the columns of the table, with the number of each before them."""
    columns = [Column(PATH, "number", "Int64", False), *(_written(one) for one in codec.found)]
    with _tables.Writer(columns, target, mark=codec.config.mark) as out:
        for name, paths in zip(found.names, found.paths, strict=True):
            count, steps, width = paths.shape
            rows = np.concatenate([np.repeat(np.arange(1, count + 1), steps).astype(object)[:, None],
                                   paths.reshape(-1, width)], 1)  # fmt: skip
            if codec.config.clock.entity:
                rows[:, 1 + [one.name for one in codec.found].index(codec.config.clock.entity)] = name
            out.add(rows)
    return target


def _written(column: Column) -> Column:
    return replace(column, kind="category") if column.kind == "identifier" else column


def _named(codec: Codec, found: Any) -> tuple[list[Column], list[np.ndarray]]:
    """The columns that tell series and time, in the order of the table, and their cells."""
    (count, steps), clock = found.times.shape, codec.config.clock
    columns, cells = list[Column](), list[np.ndarray]()
    for column in codec.found:
        if column.name == clock.entity:
            names = np.empty(count, object)
            names[:] = list(found.names)
            columns.append(replace(column, kind="category"))
            cells.append(np.repeat(names, steps))
        elif column.name in (clock.time, clock.hour):
            columns.append(column)
            cells.append(times_as(column, found.times.reshape(-1)))
    if not codec.when:
        columns.append(Column(STEP, "number", "Int64", False))
        cells.append(np.tile(np.arange(1, steps + 1), count).astype(object))
    return columns, cells


def _usual(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of values (E, P, steps) over P the commonest, and its share: (E steps,) each."""
    best, share = list[object](), list[float]()
    for one in values.transpose(0, 2, 1).reshape(-1, values.shape[1]).tolist():
        top = max(dict.fromkeys(one), key=one.count)
        best.append(top)
        share.append(round(one.count(top) / len(one), 4))
    found = np.empty(len(best), object)
    found[:] = best
    return found, np.array(share, object)
