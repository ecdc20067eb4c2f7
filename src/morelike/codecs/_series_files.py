"""Windows of series as files, numbers and curves; what is wrong with a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from morelike.codecs import _tables
from morelike.codecs._columns import Column, fresh
from morelike.codecs._found import natural
from morelike.codecs._series_draw import Piece
from morelike.codecs._series_time import Ordered
from morelike.core.codec import Blemish

if TYPE_CHECKING:
    from morelike.codecs.series import Codec

NUMBER = "series"  # the column that tells windows apart, where the table has none
WIDE, HIGH, CURVES = 220, 36, 8  # pixels of a curve; curves of one window that are shown
ROWS = 50_000  # rows that are written at once


def numeric(columns: Sequence[Column], rows: np.ndarray) -> np.ndarray:
    """Objects (T, C) as float64: numbers as they are, other values by their number among those known, else NaN."""
    found = np.full(rows.shape, np.nan)
    for place, column in enumerate(columns):
        known = {value: float(number) for number, value in enumerate((*column.values, *column.rare))}
        plain = column.kind in ("number", "boolean", "constant")
        for row, one in enumerate(rows[:, place].tolist()):
            if one is not None:
                number = isinstance(one, int | float) and plain
                found[row, place] = float(one) if number else known.get(one, np.nan)
    return found


def read(columns: Sequence[Column], table: Any) -> np.ndarray:
    """Columns of a table as float64 (N, C), as `numeric` gives them."""
    found = np.full((table.height, len(columns)), np.nan)
    for place, column in enumerate(columns):
        if column.kind == "number":
            found[:, place] = column.floats(table[column.name])
        else:
            found[:, place] = numeric([column], natural(column, table[column.name])[:, None])[:, 0]
    return found


def laid_out(codec: Codec, items: Sequence[Piece], begin: int = 0) -> tuple[list[Column], np.ndarray]:
    """The columns of a file that holds some windows, and its rows (N, C): each window has a name of its own."""
    columns, clock = list(codec.found), codec.config.clock
    names = [one.name for one in columns]
    rows = np.concatenate([np.array(one.rows, object) for one in items])
    lengths = [len(one) for one in items]
    if clock.entity:
        at = names.index(clock.entity)
        made = fresh(columns[at], range(begin, begin + len(items)))
        columns[at] = replace(columns[at], kind="category")
    else:
        at, made = 0, np.array(range(begin + 1, begin + 1 + len(items)), object)
        if len(items) > 1 or begin:
            columns.insert(0, Column(_free(names), "number", "Int64", False))
            rows = np.concatenate([np.full((len(rows), 1), None, object), rows], 1)
        else:
            return columns, rows
    own = [made[number] if one.name is None else one.name for number, one in enumerate(items)]
    rows[:, at] = np.repeat(np.array([*own, None], object)[:-1], lengths)
    return columns, rows


def _free(names: Sequence[str]) -> str:
    return (
        NUMBER
        if NUMBER not in names
        else next(f"{NUMBER} {n}" for n in range(2, 10**6) if f"{NUMBER} {n}" not in names)
    )


def write(codec: Codec, items: Sequence[Piece], target: Path) -> list[Path]:
    """Write windows one after another into one file, whole or not at all."""
    columns, rows = laid_out(codec, items)
    with _tables.Writer(columns, target, mark=codec.config.mark) as out:
        for at in range(0, len(rows), ROWS):
            out.add(rows[at : at + ROWS])
    return [target]


def joined(codec: Codec, items: Sequence[Piece]) -> str:
    """The same as text."""
    columns, rows = laid_out(codec, items)
    out = StringIO()
    _tables.Lines(columns, out).add(rows)
    return out.getvalue().rstrip("\n")


def html(codec: Codec, items: Sequence[Piece]) -> list[str]:
    """Each window as a small table of curves, one for each column."""
    found = []
    for numbers in codec.values(items):
        lines = "".join(
            f"<tr><th>{escape(name)}</th><td>{curve(numbers[:, place])}</td></tr>"
            for place, name in enumerate(codec.columns[:CURVES])
        )
        more = len(codec.columns) - CURVES
        lines += f'<tr><td colspan="2">and {more:,} more</td></tr>' if more > 0 else ""
        found.append(f'<table class="item">{lines}</table>')
    return found


def curve(values: np.ndarray) -> str:
    """Numbers (T,) as a line in SVG, broken where some are missing."""
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    low, span = float(known.min()), float(np.ptp(known)) or 1.0
    x = np.linspace(2, WIDE - 2, len(values))
    path, pen = "", "M"
    for at, value in zip(x, values, strict=True):
        if np.isfinite(value):
            path += f"{pen}{at:.1f} {HIGH - 3 - (value - low) / span * (HIGH - 6):.1f}"
        pen = "L" if np.isfinite(value) else "M"
    ends = " … ".join(f"{one:.5g}" if abs(one) < 1e5 else f"{one:,.0f}" for one in (low, float(known.max())))
    return (f'<svg width="{WIDE}" height="{HIGH}" viewBox="0 0 {WIDE} {HIGH}">'
            f'<path d="{path}" fill="none" stroke="currentColor"/></svg> {ends}')  # fmt: skip


def survey(codec: Codec, rows: Ordered) -> list[Blemish]:
    """What is wrong with a series: order and gaps of its times, columns without a change, missing cells."""
    told = {
        "unsorted times": "Rows are sorted by time before anything is learnt.",
        "duplicate times": "Only the first of them is learnt. If they are several series, name the column that tells "
        "them apart: --set entity=NAME.",
        "unreadable times": "These rows are not learnt.",
        "gaps": "What is learnt does not reach across; nothing is filled in.",
    }
    found = [Blemish(kind.replace(" ", "_"), "warn", note, consequence=told[kind]) for kind, note in rows.notes.items()]
    return [*found, *_still(codec), *_missing(codec, rows), *_irregular(codec, rows)]


def _still(codec: Codec) -> Iterator[Blemish]:
    clock = codec.config.clock
    names = [one.name for one in codec.found if one.kind == "constant" and one.name not in clock.named]
    if names:
        shown = ", ".join(f'"{name}"' for name in names[:8]) + (f" and {len(names) - 8} more" if names[8:] else "")
        yield Blemish(
            "constant_columns", "note", f"Always the same: {shown}", consequence="Put aside and written back."
        )


def _missing(codec: Codec, rows: Ordered) -> Iterator[Blemish]:
    for track in codec.own:
        column = codec.found[track.column]
        if column.kind == "number" and column.holes and not any(isinstance(one, str) for one in column.values):
            share = float(np.isnan(column.floats(rows.table[column.name])).mean())
            title = f'"{column.name}": {share:.1%} are missing'
            yield Blemish("missing_cells", "warn" if share > 0.3 else "note", title,
                          consequence="That is learnt like a value, and comes out as often.")  # fmt: skip


def _irregular(codec: Codec, rows: Ordered) -> Iterator[Blemish]:
    ahead = np.diff(rows.times)[~rows.begins[1:]]
    if codec.layout.gap and len(ahead):
        low, middle, high = np.quantile(ahead, [0, 0.5, 1])
        unit = " seconds" if codec.config.clock.dated else ""
        title = f"Steps of time vary, from {low:g} to {high:g}{unit}, {middle:g} as a rule"
        yield Blemish("irregular_steps", "note", title,
                      consequence="The time to the next row is learnt like a column.")  # fmt: skip
