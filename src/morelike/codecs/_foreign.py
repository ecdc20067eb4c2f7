"""A table of another hand: its columns and cells, as the table that was learnt calls and writes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from morelike.codecs._calendar import EPOCH
from morelike.codecs._columns import Column, in_seconds, missing, texts
from morelike.codecs._dates import date_format, dates
from morelike.codecs._found import natural, natural_rows
from morelike.codecs._numerals import decimals_of, numbers, style_of
from morelike.codecs._numeric import SOFT
from morelike.codecs._seen import library
from morelike.codecs._worded import POOL
from morelike.core.errors import DataError

YES = ("yes", "y", "true", "t", "on", "1", "1.0", "ja", "oui", "si", "sí", "sì", "sim", "tak", "да", "是")
NO = ("no", "n", "false", "f", "off", "0", "0.0", "nein", "non", "não", "nie", "нет", "否")
_SIGNS = re.compile(r"[\W_]+")


class Foreign(NamedTuple):
    """A table that is not the one that was learnt, read as if it were.

    table    polars frame of all columns that are learnt, those that it lacks empty; cells spelt as those that were
    columns  (C,) of the codec, numbers with as many decimals as they have here
    names    what the table calls those of these columns that it has, by their number
    own      the table as it is
    unseen   which cells hold what was never seen, bool (N,), by number of the column
    said     what was taken for what, a line each
    """

    table: Any
    columns: tuple[Column, ...]
    names: Mapping[int, str]
    own: Any
    unseen: Mapping[int, np.ndarray]
    said: tuple[str, ...]

    def rows(self) -> np.ndarray:
        """The rows in the columns that were learnt, objects (N, C), None for a cell that is missing."""
        return natural_rows(self.columns, self.table, np.arange(self.table.height))

    def whole(self, rows: np.ndarray) -> tuple[tuple[Column, ...], np.ndarray]:
        """Columns and rows (N, ·) as the table has them, with those that were not learnt; then those that it lacks.

        rows  (N, C) in the columns that were learnt
        """
        places = {name: place for place, name in self.names.items()}
        columns, cells = list[Column](), list[np.ndarray]()
        for name in self.own.columns:
            place = places.get(name)
            columns.append(replace(self.columns[place], name=name) if place is not None else _as_is(self.own[name]))
            cells.append(rows[:, place] if place is not None else _objects(self.own[name]))
        for place in sorted(set(range(len(self.columns))) - self.names.keys()):
            columns.append(self.columns[place])
            cells.append(rows[:, place])
        return tuple(columns), np.stack(cells, 1)


def foreign(columns: Sequence[Column], learnt: Collection[int], table: Any) -> Foreign:
    """A table, a polars frame, in terms of columns that were learnt, some of which it may lack.

    learnt  the numbers of those that have cells of their own

    Raises `DataError` where it has none of these.
    """
    names = _matched(columns, table.columns)
    if not names.keys() & set(learnt):
        raise DataError(
            f"The table has the columns {', '.join(table.columns)[:200]}",
            f"Some of those that were learnt: {', '.join(one.name for one in columns)[:300]}", "Name another table",
        )  # fmt: skip
    others = [f'"{name}" for "{columns[at].name}"' for at, name in names.items() if columns[at].name != name]
    said = [f"taken by a like name: {', '.join(others)[:300]}"] if others else []
    made, found, unseen = dict[str, Any](), list(columns), dict[int, np.ndarray]()
    for place, column in enumerate(columns):
        if place in names:
            cells, lines = spelt(column, table[names[place]])
            found[place], new = _finer(column, cells), beyond(column, cells)
            made[column.name], said = cells.alias(column.name), [*said, *lines]
            if new.any():
                unseen[place] = new
                said.append(_told_unseen(column, table[names[place]], new))
        elif place in learnt:
            made[column.name] = library().Series(column.name, [""]).new_from_index(0, table.height)
    if left := [name for name in table.columns if name not in names.values()]:
        said.append(f"{', '.join(left)[:200]}: not learnt")
    return Foreign(library().DataFrame(made), tuple(found), names, table, unseen, tuple(said))


def _matched(columns: Sequence[Column], names: Sequence[str]) -> dict[int, str]:
    """What a table calls each column, by number: the same, or the same but for capitals and signs."""
    found = {place: one.name for place, one in enumerate(columns) if one.name in names}
    plain: dict[str, list[str]] = {}
    for name in names:
        if name not in found.values():
            plain.setdefault(_plain(name), []).append(name)
    alike = [_plain(one.name) for one in columns]
    for place, one in enumerate(alike):
        if place not in found and alike.count(one) == 1 and len(plain.get(one, ())) == 1:
            found[place] = plain[one][0]
    return dict(sorted(found.items()))


def _plain(name: str) -> str:
    return _SIGNS.sub("", name).casefold() or name


def spelt(column: Column, cells: Any) -> tuple[Any, list[str]]:
    """Cells, a polars column, as the column that was learnt writes them, and what is to be said of it."""
    if column.kind == "number":
        return _as_numbers(column, cells)
    if column.kind == "date":
        return _as_dates(column, cells)
    return (_as_words(column, cells), []) if column.kind in ("category", "boolean") else (cells, [])


def one_spelt(column: Column, told: str) -> str:
    """A single value as the column that was learnt writes it."""
    cells, _ = spelt(column, library().Series([told], dtype=library().String))
    return told if cells[0] is None else str(cells[0])


def _as_numbers(column: Column, cells: Any) -> tuple[Any, list[str]]:
    pl = library()
    if not (cells.dtype.is_numeric() or cells.dtype in (pl.String, pl.Boolean, pl.Duration)):
        cells = cells.cast(pl.String, strict=False)
    if cells.dtype != pl.String:
        return cells, []
    words = [one for one in column.values if isinstance(one, str)]

    def unread(found: Any) -> Any:
        text = texts(found)
        plain = pl.Series(np.isnan(column.floats(found)))
        return text.filter(plain & ~missing(text) & ~text.is_in([*words, *SOFT]))

    lost, said = unread(cells), list[str]()
    if not len(lost):
        return cells, said
    text = texts(cells)
    told = text.filter(~missing(text) & ~text.is_in([*words, *SOFT])).unique(maintain_order=True)
    style = style_of(told.head(2_000).to_list())
    if style and numbers(lost, style).null_count() < len(lost):
        found = numbers(text, style)
        other = pl.Series([None if one is None else column.style.say(one) for one in found.to_list()], dtype=pl.String)
        cells = pl.select(pl.coalesce(pl.lit(other), pl.lit(text))).to_series()
        some = lost.filter(numbers(lost, style).is_not_null())[0]
        said.append(f'"{column.name}": {some} is read as {texts(cells).filter(text == some)[0]}')
        lost = unread(cells)
    if len(lost):
        said.append(f'"{column.name}": {_cells(len(lost))} no number, such as "{lost[0][:40]}": taken as missing')
    return cells, said


def _as_dates(column: Column, cells: Any) -> tuple[Any, list[str]]:
    pl = library()
    if cells.dtype.is_numeric():
        cells = cells.cast(pl.String)
    if cells.dtype != pl.String:
        return cells, []
    text = texts(cells)
    lost = text.filter(column.moments(cells).is_null() & ~missing(text) & ~text.is_in(SOFT))
    if not len(lost):
        return cells, []
    said = list[str]()
    told = text.filter(~missing(text) & ~text.is_in(SOFT)).unique(maintain_order=True)
    if pattern := date_format(told):
        said.append(f'"{column.name}": dates are written otherwise here, such as {lost[0]}')
        found = natural(column, dates(text, pattern[0])).tolist()
        cells = pl.Series([None if one is None else column.say(one) for one in found], dtype=pl.String)
        lost = text.filter(cells.is_null() & ~missing(text) & ~text.is_in(SOFT))
    if len(lost):
        said.append(f'"{column.name}": {_cells(len(lost))} no date, such as "{lost[0][:40]}": taken as missing')
    return cells, said


def _as_words(column: Column, cells: Any) -> Any:
    """Values but for their capitals, whole numbers that became 1.0, and yes and no in the words of the column."""
    text, known = texts(cells), [column.say(value) for value in (*column.values, *column.rare)]
    new = set(text.drop_nulls().unique().to_list()) - set(known)
    if not new:
        return cells
    folded: dict[str, list[str]] = {}
    for one in known:
        folded.setdefault(one.casefold(), []).append(one)
    ways = {one: folded[one.casefold()][0] for one in new if len(folded.get(one.casefold(), ())) == 1}
    ways |= {one: one[:-2] for one in new if one.endswith(".0") and one[:-2] in known}
    truths = [{word: one for one in known if one.casefold() in words for word in words} for words in (YES, NO)]
    if len(known) == 2 and all(truths):
        ways |= {one: both[one.casefold()] for both in truths for one in new if one.casefold() in both}
    return text.replace(ways) if ways else cells


def beyond(column: Column, cells: Any) -> np.ndarray:
    """Which cells hold what was never seen, bool (N,): other words, numbers and dates outside the range."""
    none = np.zeros(len(cells), bool)
    if column.kind == "number":
        found = column.floats(cells)
        ends = [*column.low[:1], *column.high[-1:], *(one for one in column.values if not isinstance(one, str))]
        return (found < min(ends)) | (found > max(ends)) if ends else none
    if column.kind == "date" and column.span:
        moments = column.moments(cells)
        found = ((moments - EPOCH).dt.total_microseconds() / 1e6).fill_null(column.span[0]).to_numpy()
        return (found < column.span[0]) | (found >= column.span[1] + 1)
    if column.kind in ("category", "boolean") and len(column.rare) < POOL:
        text = texts(cells)
        known = [column.say(value) for value in (*column.values, *column.rare)]
        return (~missing(text) & ~text.is_in(known)).to_numpy()
    if column.kind == "compound":
        return (~missing(texts(cells)) & column.parted(cells)[0].is_null()).to_numpy()
    return none


def _told_unseen(column: Column, cells: Any, new: np.ndarray) -> str:
    some = str(cells.filter(library().Series(new))[0])[:40]
    if column.kind in ("category", "boolean", "compound"):
        return f'"{column.name}": {_cells(int(new.sum()))} what was never seen, such as "{some}"'
    return f'"{column.name}": {_cells(int(new.sum()))} what lies beyond all that was seen, such as {some}'


def _cells(count: int) -> str:
    return f"{count:,} cells hold" if count != 1 else "1 cell holds"


def _finer(column: Column, cells: Any) -> Column:
    """The column with as many decimals as its numbers have here, so that none is rounded that is there."""
    if column.kind != "number" or column.style.decimals is None:
        return column
    values = column.floats(cells)
    need = decimals_of(values[np.isfinite(values)])
    if need is not None and need <= column.style.decimals:
        return column
    dtype = "Float64" if "Int" in column.dtype else column.dtype
    return replace(column, dtype=dtype, style=replace(column.style, decimals=need))


def _as_is(cells: Any) -> Column:
    """A column that is written back as it is."""
    dtype = re.sub(r"\(.*", "", str(cells.dtype))
    return Column(cells.name, "constant", dtype, cells.dtype == library().String, stored=str(cells.dtype))


def _objects(cells: Any) -> np.ndarray:
    found = np.empty(len(cells), object)
    found[:] = in_seconds(cells).to_list()
    return found
