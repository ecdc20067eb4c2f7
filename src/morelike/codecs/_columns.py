"""One column of a table: what is known of it, and its cells <-> small whole numbers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from morelike.codecs._bins import locate
from morelike.codecs._calendar import EPOCH, UNITS, WEEKLY, as_date, as_day, part, seconds_of
from morelike.codecs._dates import dates, is_pattern, say_date
from morelike.codecs._identifiers import capacity, counted, spelt
from morelike.codecs._numerals import Style, numbers
from morelike.codecs._template import in_order, parted, put
from morelike.core.errors import OptionError, unknown

KINDS = ("number", "category", "boolean", "date", "compound", "text", "identifier", "constant")
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "NAN", "null", "NULL", "<NA>")
ENDS = tuple(seconds_of(datetime.date(*day)) for day in ((1, 1, 1), (9999, 12, 31)))  # of Python's dates
LAST = 86_400 - 1e-6  # second of a day
Value = bool | int | float | str


@dataclass(frozen=True)
class Column:
    """A column of a table.

    name, kind  as it is called, and one of `KINDS`
    dtype       polars' name of the type of its cells, Int64 or String, say; of what text stands for in a written table
    written     whether the cells of the table are text, to be written as they were
    values      the values that have a number each, of a category, boolean, constant, number of few values; words among
                the numbers of a column of numbers
    rare        values that share one number, most frequent first, and `counts`, how often each was there
    holes       whether cells are missing, and `hole`, how that is written
    low, high   (P,) lowest and highest number of each place, and `groups`, the first place of each coarse group
    step        what all of these numbers are apart by multiples of, 0 for numbers of many decimals
    parts       of dates, the values of year, month, day, hour, minute, second that occur; of seven, weekday and which
                one in its month stand in the place of the day
    span        of dates, the first and the last one, in seconds since 1970; `whole`: none has a part of one
    style       how its numbers are written; `pattern`: the same of dates, identifiers and compounds
    fields      of cells that hold several numbers, such as 120/80: a category of what stands around them, and each
    said        what was found, in a line
    stored      the type of its cells with all that belongs to it, a time zone, say, where `dtype` lacks something
    """

    name: str
    kind: str
    dtype: str = "String"
    written: bool = True
    values: tuple[Value, ...] = ()
    rare: tuple[Value, ...] = ()
    counts: tuple[int, ...] = ()
    holes: bool = False
    hole: str = ""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    groups: tuple[int, ...] = ()
    step: float = 0.0
    parts: tuple[tuple[int, ...], ...] = ()
    span: tuple[float, ...] = ()
    whole: bool = False
    style: Style = Style()
    pattern: str = ""
    said: str = ""
    stored: str = ""
    fields: tuple[Column, ...] = ()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many values each of its cells takes; () for a column that is not learnt."""
        if self.kind in ("text", "identifier", "constant"):
            return ()
        if self.kind == "compound":
            return tuple(size for field in self.fields for size in field.sizes)
        if self.kind == "date":
            varied = [len(values) for values in self.parts if len(values) > 1]
            return (varied[0] + self.holes, *varied[1:]) if varied else (1 + self.holes,)
        first = self.holes + len(self.values) + bool(self.rare) + len(self.groups)
        finest = int(np.diff([*self.groups, len(self.low)]).max(initial=1))
        return (first, finest) if finest > 1 else (first,)

    @property
    def weekly(self) -> bool:
        """Whether cells of dates tell weekdays, not days of the month."""
        return len(self.parts) == len(WEEKLY)

    @property
    def single(self) -> bool:
        """Whether it is one cell whose number says everything but a rare value."""
        return bool(self.values) and not self.low and self.kind != "constant"

    def encode(self, cells: Any) -> np.ndarray:
        """A polars column -> int64 (N, cells of a row), by the values that were seen when this was fitted."""
        if self.kind == "date":
            return self._of_dates(self.moments(cells))
        if self.kind == "number":
            return self._of_numbers(cells)
        if self.kind == "compound":
            return np.concatenate(
                [one.encode(own) for one, own in zip(self.fields, self.parted(cells), strict=True)], 1
            )
        return np.minimum(self.full(cells), self.sizes[0] - 1)[:, None]

    def parted(self, cells: Any) -> list[Any]:
        """The cells of a compound as polars columns of text, one for each field, null where nothing is there."""
        return parted(texts(cells), self.pattern, [str(one) for one in self.fields[0].values], len(self.fields) - 1)

    def one(self, told: str) -> np.ndarray:
        """The cells int64 (cells of a row,) of a value as text; `OptionError` for one that was never seen."""
        import polars

        cells = polars.Series([told], dtype=polars.String)
        if self.holes and missing(texts(cells))[0]:
            return self.encode(polars.Series([None], dtype=polars.String))[0]
        if self.kind == "number" and told not in self.values:
            numeric = [value for value in self.values if not isinstance(value, str)]
            low, high = (self.low[0], self.high[-1]) if self.low else (numeric[0], numeric[-1])
            value = float(self.floats(cells)[0])
            if not low <= value <= high or (numeric and value not in numeric):
                some = ", ".join(map(str, numeric[:20])) if numeric else f"{self.say(low)} to {self.say(high)}"
                raise OptionError(f'"{self.name}" is {told}', f"What was seen: {some}", "Give one of these")
        elif self.kind == "date":
            moment = self.moments(cells)[0]
            if moment is None:
                raise OptionError(f'"{self.name}" is {told}', f"A date such as {self.said[:10]}", "Write it so")
            if self.span and not self._fits(moment):
                raise OptionError(f'"{self.name}" is {told}', f"What was seen: {self.said}", "Give one of these")
        elif self.kind == "compound" and self.parted(cells)[0][0] is None:
            some = self.said.partition('"')[2].partition('"')[0]
            raise OptionError(f'"{self.name}" is {told}', f"A cell such as {some}", "Write it so")
        elif self.kind in ("category", "boolean"):
            seen = [self.say(value) for value in (*self.values, *self.rare)]
            if told not in seen:
                raise unknown(f'value of "{self.name}"', told, seen)
            told = key((*self.values, *self.rare)[seen.index(told)])
        return self.encode(polars.Series([told], dtype=polars.String))[0]

    def full(self, cells: Any) -> np.ndarray:
        """The numbers int64 (N,) of categories, in which rare values have one each, after the others."""
        import polars

        if self.kind == "number":
            return self._of_numbers(cells)[:, 0]
        known = [key(value) for value in (*self.values, *self.rare)]
        codes = list(range(self.holes, self.holes + len(known)))
        other = self.holes + len(self.values) if self.rare else 0
        text = texts(cells)
        found = text.replace_strict(known, codes, default=other, return_dtype=polars.Int64).fill_null(other).to_numpy()
        return np.where(missing(text).to_numpy(), 0, found) if self.holes else found

    def floats(self, cells: Any) -> np.ndarray:
        """A polars column -> float64 (N,), NaN for what is missing or no number."""
        import polars

        found = numbers(cells, self.style) if cells.dtype == polars.String else in_seconds(cells).cast(polars.Float64)
        plain = found.fill_null(float("nan")).to_numpy()
        return np.where(np.isfinite(plain), plain, np.nan)

    def moments(self, cells: Any) -> Any:
        """A polars column -> polars column of datetimes, null for what is missing or no date."""
        import polars

        if cells.dtype == polars.String:
            plain = {"Date": "%Y-%m-%d", "Time": "%H:%M:%S"}.get(self.dtype, "%Y-%m-%d %H:%M:%S%.f")
            return dates(cells, self.pattern if is_pattern(self.pattern) else plain)
        if cells.dtype == polars.Time:
            day = polars.lit(datetime.date(1970, 1, 1))
            return cells.to_frame("time").select(day.dt.combine(polars.col("time"), "us")).to_series()
        plain = cells.dt.replace_time_zone(None) if cells.dtype == polars.Datetime else cells
        return plain.cast(polars.Datetime("us"))

    def _of_numbers(self, cells: Any) -> np.ndarray:
        found = self.floats(cells)
        bad = np.isnan(found)
        values = [one for one in self.values if not isinstance(one, str)]
        first, at = len(self.values) - len(values) + self.holes, np.where(bad, 0.0, found)
        codes = np.zeros((len(found), len(self.sizes)), np.int64)
        if self.low:
            place = locate(at, np.array(self.low))
            group = np.searchsorted(np.array(self.groups), place, side="right") - 1
            codes[:, 0] = first + group
            if len(self.sizes) > 1:
                codes[:, 1] = np.where(bad, 0, place - np.array(self.groups)[group])
        else:
            codes[:, 0] = first + nearest(at, np.array(values, np.float64))
        codes[bad, 0] = 0
        words = [one for one in self.values if isinstance(one, str)]
        if words and bad.any():
            import polars

            which = texts(cells).replace_strict(words, list(range(self.holes, first)), default=-1,
                                                return_dtype=polars.Int64).fill_null(-1).to_numpy()  # fmt: skip
            codes[:, 0] = np.where(which >= 0, which, codes[:, 0])
        return codes

    def _of_dates(self, found: Any) -> np.ndarray:
        codes = np.zeros((len(found), len(self.sizes)), np.int64)
        bad, place = found.is_null().to_numpy(), 0
        found = found.fill_null(EPOCH)
        for unit, values in zip(WEEKLY if self.weekly else UNITS, self.parts, strict=True):
            if len(values) > 1:
                codes[:, place] = nearest(part(found, unit), np.array(values)) + (self.holes if place == 0 else 0)
                place += 1
        if place == 0:
            codes[:, 0] = int(self.holes)
        codes[bad, :] = 0
        return codes

    def cells_of(self, date: datetime.datetime, units: Sequence[str]) -> np.ndarray:
        """The cells int64 (cells of a row,) of some units of a date, -1 for others and for what was never seen."""
        import polars

        found, codes = polars.Series([date], dtype=polars.Datetime("us")), list[int]()
        for unit, values in zip(WEEKLY if self.weekly else UNITS, self.parts, strict=True):
            if len(values) > 1:
                value = int(part(found, unit)[0])
                known = unit in units and value in values
                codes.append(values.index(value) + (self.holes if not codes else 0) if known else -1)
        return np.array(codes or [-1], np.int64)

    def decode(self, codes: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Numbers (N, cells) and uniform draws (N,) for what they leave open -> objects (N,), None for missing."""
        if self.kind == "identifier":
            room = self.high[0] - self.low[0] + 1 if self.low else capacity(self.pattern)
            return fresh(self, (u * min(room, 2.0**53)).astype(np.int64).tolist())
        if not self.sizes:
            return filled(len(u), self.values[0] if self.values else None)
        if self.kind == "date":
            return self._dates(codes, u)
        if self.kind == "compound":
            return self._compounds(codes, u)
        first = codes[:, 0]
        table = np.empty(self.sizes[0], object)
        table[self.holes : self.holes + len(self.values)] = self.values
        found = table[first]
        if self.rare:
            chosen = np.searchsorted(np.cumsum(self.counts), u * sum(self.counts), side="right")
            pool = np.empty(len(self.rare), object)
            pool[:] = self.rare
            drawn = pool[np.minimum(chosen, len(self.rare) - 1)]
            found = np.where(first == self.sizes[0] - 1, drawn, found)
        if self.low:
            begin = self.holes + len(self.values)
            numeric = first >= begin
            fine = codes[:, 1] if codes.shape[1] > 1 else np.zeros_like(first)
            found[numeric] = self._drawn(first[numeric] - begin, fine[numeric], u[numeric])
        return found

    def _drawn(self, group: np.ndarray, fine: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Numbers drawn uniformly within their place, of the decimals of the column."""
        starts = np.array([*self.groups, len(self.low)])
        place = np.minimum(starts[group] + fine, starts[group + 1] - 1)
        low, high = np.array(self.low)[place], np.array(self.high)[place]
        if self.style.decimals is None:
            return np.clip((1 - u) * low + u * high, low, high).astype(object)
        step = self.step or 10.0**-self.style.decimals
        steps = np.rint((high - low) / step)
        found = np.clip(np.round(low + np.floor(u * (steps + 1)) * step, self.style.decimals), low, high)
        return self.plain(found)

    def plain(self, found: np.ndarray) -> np.ndarray:
        """float64 (N,) as objects of the column's type, rounded to its decimals, None for NaN."""
        if self.style.decimals is not None:
            found = np.round(found, self.style.decimals)
        bad = np.isnan(found)
        whole = "Int" in self.dtype
        told = np.where(bad, 0, found).astype(np.int64 if whole else np.float64).astype(object)
        told[bad] = None
        return told

    def _compounds(self, codes: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Numbers drawn field by field, in the pattern that the first cell tells."""
        ends = np.cumsum([0, *(len(one.sizes) for one in self.fields)])
        head = self.fields[0].decode(codes[:, : ends[1]], u)
        parts = []
        for place, field in enumerate(self.fields[1:], start=1):
            own = codes[:, ends[place] : ends[place + 1]].copy()
            own[:, 0] = np.where(own[:, 0] < field.holes, field.holes + (field.sizes[0] - field.holes) // 2, own[:, 0])
            parts.append(field.decode(own, u * (2 * place + 1) * 2.0**20 % 1))
        told = [[field.say(one) for one in some]
                for field, some in zip(self.fields[1:], in_order(parts, self.pattern), strict=True)]  # fmt: skip
        return put(head.tolist(), told, self.pattern)

    def _dates(self, codes: np.ndarray, u: np.ndarray) -> np.ndarray:
        columns, place = [], 0
        for values in self.parts:
            number = np.full(len(codes), values[0])
            if len(values) > 1:
                code = codes[:, place] - (self.holes if place == 0 else 0)
                number, place = np.array(values)[np.clip(code, 0, len(values) - 1)], place + 1
            columns.append(number)
        bad = (codes[:, 0] == 0) if self.holes else np.zeros(len(codes), bool)
        made = np.empty(len(codes), object)
        whole = self.whole or "%." not in self.pattern
        micro = np.zeros(len(u), np.int64) if whole else (u * 1e6).astype(np.int64)
        for row, parts in enumerate(zip(*(one.tolist() for one in columns), micro.tolist(), strict=True)):
            if not bad[row]:
                made[row] = self._within(parts)
        return made

    def _within(self, parts: tuple[int, ...]) -> Any:
        """The date of year, month … microsecond; one before or after all others in the nearest year that fits."""
        found = self._date(parts)
        if not self.span or self._fits(found):
            return found
        years = sorted(range(self.parts[0][0], self.parts[0][-1] + 1), key=lambda year: abs(year - parts[0]))
        dates = [one for year in years if self._fits(one := self._date((year, *parts[1:])))]
        return dates[0] if dates else moment(self.dtype, self.span[seconds_of(found) > self.span[1]])

    def _date(self, parts: tuple[int, ...]) -> Any:
        return as_date(as_day(parts) if self.weekly else parts, self.dtype)

    def _fits(self, date: Any) -> bool:
        return self.span[0] <= int(seconds_of(date)) and seconds_of(date) < self.span[1] + 1

    def say(self, value: Any) -> str:
        """A cell as it is written in a table of text."""
        if value is None:
            return self.hole
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float) and self.written:
            return self.style.say(value)
        if isinstance(value, datetime.date | datetime.time):
            return say_date(value, self.pattern) if is_pattern(self.pattern) else str(value)
        return str(value)


def in_seconds(cells: Any) -> Any:
    """A polars column, one of spans of time as seconds."""
    return cells.dt.total_microseconds() / 1e6 if str(cells.dtype).startswith("Duration") else cells


def key(value: Value) -> str:
    """A value as polars writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def texts(cells: Any) -> Any:
    """A polars column as texts without white space around them; a list as its JSON."""
    import polars

    if cells.dtype.is_nested():
        told = [None if one is None else json.dumps(one, ensure_ascii=False, default=str) for one in cells.to_list()]
        return polars.Series(cells.name, told, dtype=polars.String)
    return cells.cast(polars.String).str.strip_chars() if cells.dtype != polars.String else cells.str.strip_chars()


def missing(text: Any) -> Any:
    """Which of some texts stand for a missing cell, bool polars column."""
    return text.is_null() | text.is_in(MISSING)


def nearest(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Index of the known value, of sorted ones, that is nearest to each."""
    right = np.clip(np.searchsorted(known, values), 1, max(1, len(known) - 1))
    if len(known) == 1:
        return np.zeros(len(values), np.int64)
    return right - (values - known[right - 1] <= known[right] - values)


def as_cells(column: Column, values: np.ndarray) -> np.ndarray:
    """float64 (N,) -> objects (N,) of a column of numbers or dates, None for NaN."""
    if column.kind == "number":
        return column.plain(values)
    found = np.empty(len(values), object)
    found[:] = [moment(column.dtype, one) if one == one else None for one in values.tolist()]
    return found


def moment(dtype: str, seconds: float) -> Any:
    """A date, a time of day or both of so many seconds since 1970 or midnight; the first or last that can be told."""
    low, high = (0.0, LAST) if dtype == "Time" else ENDS
    found = EPOCH + datetime.timedelta(seconds=min(max(seconds, low), high))
    return found.date() if dtype == "Date" else found.time() if dtype == "Time" else found


def filled(count: int, value: Any) -> np.ndarray:
    """The same object again and again."""
    found = np.empty(count, object)
    found[:] = value
    return found


def fresh(column: Column, numbers: Sequence[int]) -> np.ndarray:
    """Made-up identifiers (N,) in the pattern of a column, different for different numbers."""
    whole = "Int" in column.dtype
    if column.low:
        made: list[int] | list[str] = counted(numbers, int(column.low[0]), int(column.high[0]), column.pattern == "row")
    else:
        made = spelt(numbers, column.pattern)
    found = np.empty(len(numbers), object)
    found[:] = [int(one) % 2**63 for one in made] if whole else [str(one) for one in made]
    return found
