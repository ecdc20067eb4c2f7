"""Tables that hold series in another form, brought into a row for each moment: a series in each row, several names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from morelike.codecs._columns import Column, texts
from morelike.codecs._series_time import UNIQUE, Ordered, moments, with_hour

SERIES, STEP, VALUE = "series", "step", "value"  # columns that are made
LEAST, BESIDE = 16, 4  # steps in a row from which it may be a series; other columns at most
ALIKE, MORE = 0.5, 0.2  # correlation of neighbours in a row at least, and by how much more than from row to row
MOST = 8  # columns among which names are sought
FEW, RISING = 30, 0.9  # rows from which a hint is given; share of rows that are later than the one before
LOOK = 1_000  # rows by which most tables that do not go on in time are told
OFTEN, DENSE, LONG = 1.5, 3.0, 4  # rows of one time; moments of all series for a row; rows of a series


@dataclass(frozen=True)
class Shape:
    """How a table is brought into a row for each moment.

    keys   columns that name a series together, where none does alone: they get a number, in a column of its own
    steps  columns that are steps of a series, so that each row is one: they become rows
    """

    keys: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What is done, in words; "" for nothing."""
        if self.steps:
            return (
                f'each row is a series of {len(self.steps):,} steps: it is read, and written, as "{STEP}" and "{VALUE}"'
            )
        names = " and ".join(f'"{one}"' for one in self.keys)
        return f'a series is named by {names} together, and gets a number, "{SERIES}"' if names else ""

    def of(self, table: Any) -> Any:
        """The polars frame in that form; itself where nothing is to be done, or has been."""
        import polars as pl

        if self.keys and SERIES not in table.columns:
            both = pl.concat_str([pl.col(one).cast(pl.String).fill_null("") for one in self.keys], separator="\x1f")
            return table.with_columns(both.rank("dense").cast(pl.Int64).alias(SERIES))
        if not self.steps or STEP in table.columns:
            return table
        beside = [one for one in table.columns if one not in self.steps]
        number = {name: place for place, name in enumerate(self.steps, 1)}
        long = table.with_row_index(SERIES, 1).unpivot(
            list(self.steps), index=[SERIES, *beside], variable_name=STEP, value_name=VALUE
        )
        long = long.with_columns(
            pl.col(SERIES).cast(pl.Int64), pl.col(STEP).replace_strict(number, return_dtype=pl.Int64)
        )
        there = long[VALUE].is_not_null() & (texts(long[VALUE]) != "")
        return long.filter(there).sort(SERIES, STEP)


def shape_of(table: Any, when: Sequence[Column], entity: str) -> Shape:
    """The form of a table in which these columns of time and names were found."""
    if not when and not entity:
        return Shape(steps=_steps(table))
    return Shape(keys=_keys(table, when)) if when and not entity else Shape()


def still(columns: Sequence[Column], rows: Ordered) -> tuple[int, ...]:
    """Numbers of the columns that differ from series to series, and never within one: a shop, a class, a ward."""
    import polars as pl

    if rows.series.max(initial=0) < 1:
        return ()
    both = rows.table.select(texts(rows.table[one.name]).alias(one.name) for one in columns)
    each = both.with_columns(pl.Series("\0series", rows.series)).group_by("\0series").n_unique().max()
    return tuple(n for n, one in enumerate(columns) if each[one.name][0] == 1 < both[one.name].n_unique())


def hint(columns: Sequence[Column], table: Any) -> str:
    """What a table says that may rather be learnt as series, in a line; "" where it may not."""
    if table.height >= FEW and (steps := _steps(table)):
        return f"each row looks like a series of {len(steps):,} steps: --codec series learns it so"
    for column in columns:
        if column.kind != "date" or column.dtype == "Time" or table.height < FEW:
            continue
        if _rises(column, table.head(LOOK)) and _rises(column, table):  # most that do not are told by a few rows
            return f'rows go on in time by "{column.name}": --codec series learns what follows what, and forecasts'
    return ""


def _rises(column: Column, table: Any) -> bool:
    """Whether nearly every row is later than the one before."""
    return bool((np.diff(moments(with_hour(table, column), table)) > 0).mean() >= RISING)


def _keys(table: Any, when: Sequence[Column]) -> tuple[str, ...]:
    """Columns that together name series in which no time comes twice, of which there are fewest; () without any."""
    import polars as pl

    t, names = moments(when, table), [one.name for one in when]
    rows, times = table.height, len(np.unique(t[~np.isnan(t)]))
    if not times or rows < OFTEN * times or SERIES in table.columns:
        return ()
    able = {one: count for one in table.columns if one not in names and 1 < (count := table[one].n_unique()) < rows / 3}
    able = {one: n for one, n in able.items() if not texts(table[one]).head(50).str.contains(r"\.").any()}
    some, best = sorted(able, key=able.__getitem__)[:MOST], ((), rows / LONG)
    for size in (2, 3):
        for both in combinations(some, size):
            count = table.select(both).n_unique()
            if count < best[1] and count * times <= DENSE * rows:
                whole = table.select(both).with_columns(pl.Series("\0time", t)).n_unique()
                best = (both, count) if whole >= UNIQUE * rows else best
        if best[0]:
            break
    return best[0]


def _steps(table: Any) -> tuple[str, ...]:
    """Columns that are called alike but for a number, if neighbours among them go together and rows do not; else ()."""
    import polars as pl

    stems = [re.sub(r"\d+", "", one) if re.search(r"\d", one) else None for one in table.columns]
    usual = max(set(stems) - {None}, key=stems.count, default=None)
    named = [name for name, stem in zip(table.columns, stems, strict=True) if stem == usual and usual is not None]
    if len(named) < LEAST or table.width - len(named) > BESIDE:
        return ()
    cells = table.select(pl.col(named).cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False))
    steps = [one for one in named if cells[one].null_count() < table.height]
    few = [one for one in steps if cells[one].n_unique() <= 12]
    steps = [one for one in steps if one not in few[:BESIDE] or len(few) > BESIDE]
    x = cells.select(steps).head(500).to_numpy().astype(float)
    x = (x - np.nanmean(x, 0)) / np.maximum(np.nanstd(x, 0), 1e-12)  # heartbeats are cut alike: what differs counts
    along, across = (np.nanmean(a * b) for a, b in ((x[:, 1:], x[:, :-1]), (x[1:], x[:-1])))
    return tuple(steps) if len(steps) >= LEAST and along > ALIKE and along > across + MORE else ()
