"""Which column of a table is its time and which names the series, and how time goes on."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from morelike.codecs._bins import Resolution
from morelike.codecs._calendar import as_date
from morelike.codecs._columns import Column, texts
from morelike.codecs._dates import date_format
from morelike.codecs._kinds import guess
from morelike.codecs._numerals import Style
from morelike.codecs._seen import Wish
from morelike.codecs._series_week import DAY, Open, counted, moment
from morelike.core.errors import DataError, unknown

NONE = "none"
PLAIN_STYLE, FINE = Style(), 4  # digits of a usual step to which steps of decimal numbers are told apart
PLAIN = Wish(Resolution(32, 1, 12), 2)
NAMED = re.compile(
    r"(?:^|[\W_])(?:date|datetime|time|timestamp|ds|day|week|month|year|cycle|step|t|ts|epoch|seconds?|elapsed|zeit|日期|时间)"
    r"(?:$|[\W_])", re.I
)  # fmt: skip
ALIKE = 1.1  # as many names as the fewest, up to which a column that is called a name is taken
CALLED = re.compile(r"(?:^|[\W_])(?:series|unit|id|entity|name|run|编号)(?:$|[\W_])", re.I)
FEWEST = 4  # blocks of rows that name series where there is no time
UNIQUE, EVEN, HOLES = 0.999, 0.95, 0.98  # shares: of times that differ; of steps of one, in a counter; of equal steps
BACK = 0.3  # share of steps, of a counter, that may be jumps back


@dataclass(frozen=True)
class Clock:
    """How time goes on.

    time, entity  names of the columns, "" where there is none
    hour          the column of times of day beside one of days, "" where there is none
    dated         whether times are dates, counted in seconds since 1970, and not numbers
    step          time between two rows; 0 where it varies
    months        the same in months, where these are what is equal; 0 elsewhere
    starts        times at which windows began, at most some thousand
    week          the moments of a week that have rows, in seconds since Monday: steps are counted in them; () for all
    """

    time: str = ""
    entity: str = ""
    dated: bool = False
    step: float = 1.0
    months: int = 0
    starts: tuple[float, ...] = ()
    hour: str = ""
    week: Open = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that say when and of what, which are not learnt."""
        return tuple(filter(None, (self.time, self.hour, self.entity)))

    def after(self, start: np.ndarray, steps: int) -> np.ndarray:
        """Times (B, steps) that go on evenly from some starts (B,)."""
        if self.week:
            return moment(counted(start, self.week)[:, None] + self.step * np.arange(steps), self.week)
        if not self.months:
            return start[:, None] + self.step * np.arange(steps)
        months = start.astype("datetime64[s]").astype("datetime64[M]")
        rest = start - months.astype("datetime64[s]").astype(float)
        later = months[:, None] + self.months * np.arange(steps)
        return later.astype("datetime64[s]").astype(float) + rest[:, None]

    def later(self, times: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Some times (B,), each by a drawn step later."""
        if self.week:
            return moment(counted(times, self.week) + np.maximum(np.rint(ahead), 1), self.week)
        return times + ahead


@dataclass
class Ordered:
    """Rows in the order of their series and times.

    table   polars frame
    times   (N,) seconds since 1970, or numbers
    series  (N,) number of the series, from 0
    begins  bool (N,) where a piece begins in which time goes on without a hole
    notes   what was found on the way, in words by kind
    week    as in `Clock`
    """

    table: Any
    times: np.ndarray
    series: np.ndarray
    begins: np.ndarray
    notes: dict[str, str] = field(default_factory=dict)
    week: Open = ()

    @property
    def ahead(self) -> np.ndarray:
        """The steps (N - 1,) from each row to the next, across pieces as well."""
        return _plain(np.diff(counted(self.times, self.week) if self.week else self.times))

    @property
    def pieces(self) -> Iterator[tuple[int, int]]:
        """First row and end of each piece."""
        at = np.flatnonzero(self.begins)
        return zip(at.tolist(), [*at[1:].tolist(), len(self.times)], strict=True)


def time_of(column: Column, cells: Any) -> np.ndarray:
    """A polars column as times (N,), NaN for what cannot be read."""
    if column.kind == "date":
        seconds = column.moments(cells).dt.epoch("us").cast(float) / 1e6
        return seconds.fill_null(float("nan")).to_numpy()
    return column.floats(texts(cells) if column.written else cells)


def moments(columns: Sequence[Column], table: Any) -> np.ndarray:
    """The times (N,) of rows by a column, or one of days and one of times of day: the order of the rows without any.

    Times of day alone go on with the next day where they fall.
    """
    if not columns:
        return np.arange(table.height, dtype=float)
    found = sum((time_of(one, table[one.name]) for one in columns), np.zeros(table.height))
    if columns[0].dtype == "Time":
        found[1:] += DAY * np.cumsum(np.diff(found) < 0)
    return found


def times_as(column: Column, times: np.ndarray) -> np.ndarray:
    """Times (N,) as objects of the column's type."""
    found = np.empty(len(times), object)
    if column.kind != "date":
        whole, digits = "Int" in column.dtype, column.style.decimals
        found[:] = [int(round(one)) if whole else float(one if digits is None else round(one, digits))
                    for one in times.tolist()]  # fmt: skip
        return found
    for row, one in enumerate(times.tolist()):
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=round(one, 6))
        found[row] = as_date((at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond), column.dtype)
    return found


def as_time(name: str, cells: Any) -> Column | None:
    """The column, if it holds dates or numbers that may be times."""
    column = guess(name, cells, PLAIN)
    if column.kind == "date" and column.dtype != "Time":
        return column
    numbers = time_of(column, cells)
    if np.isnan(numbers).mean() > 0.02 or column.kind in ("date", "boolean"):
        return None
    whole = bool((numbers[~np.isnan(numbers)] % 1 == 0).all())
    style = column.style if column.kind == "number" else PLAIN_STYLE
    return Column(name, "number", "Int64" if whole else "Float64", column.written, style=style)


def found_time(table: Any, time: str, entity: str) -> tuple[tuple[Column, ...], str]:
    """The columns of time and the name of that of series, as told or guessed; (), "" where there is none.

    Time is what is sorted within each series: dates, what is called so, or a counter; times of day go with days. Series
    are told apart by the column of fewest values within each of which no time comes twice; without a time, by one that
    names blocks of rows.
    """
    for name in (time, entity):
        if name not in ("", NONE, *table.columns):
            raise unknown("column", name, table.columns)
    told = "" if entity == NONE else entity
    if time == NONE:
        return (), told
    if time:
        column = as_time(time, table[time]) or clock_of(table, time)
        if column is None:
            some = ", ".join(map(str, table[time].head(3).to_list()))
            raise DataError(f'The column "{time}" holds {some}', "Dates or numbers", "Name another one: --set time=…")
        when = with_hour(table, column)
        return when, told if entity else parted_by(table, when)[0]
    for column in _candidates(table):
        when = with_hour(table, column)
        t = moments(when, table)
        ahead = np.diff(t[~np.isnan(t)])
        called = bool(NAMED.search(column.name))
        if not entity and _sorted(ahead) and (column.kind == "date" or called or _counts(ahead)):
            return when, ""
        if entity:
            if told and (column.kind == "date" or _twice(table[told], t) < 1 - UNIQUE):
                return when, told
            continue
        by, restarts = parted_by(table, when)
        if by and (column.kind == "date" or restarts or (called and (ahead >= 0).all())):
            return when, by
        if column.kind == "date":
            return when, ""
    for name in table.columns:
        column = clock_of(table, name)
        if column is not None and not told and _sorted(np.diff(moments((column,), table))):
            return (column,), ""
    return (), told if entity else blocks(table)


def clock_of(table: Any, name: str) -> Column | None:
    """The column, if it holds times of day."""
    head = guess(name, table[name].head(2_000), PLAIN)
    return guess(name, table[name], PLAIN) if head.kind == "date" and head.dtype == "Time" else None


def with_hour(table: Any, column: Column) -> tuple[Column, ...]:
    """A column of time, with that of times of day where it holds days, several rows of which differ by it."""
    if column.dtype != "Date" or not table[column.name].is_duplicated().any():
        return (column,)
    alone = _twice(table[column.name], moments((column,), table))
    for name in table.columns:
        hour = clock_of(table, name)
        if hour is not None and _twice(table[column.name], moments((column, hour), table)) < 0.1 * alone:
            return column, hour
    return (column,)


def _candidates(table: Any) -> list[Column]:
    """Columns that may be times: dates first, then those that are called so, then counters."""
    found = list[tuple[int, Column]]()
    for name in table.columns:
        head = guess(name, table[name].head(2_000), PLAIN)
        named = bool(NAMED.search(name))
        if head.kind == "date" and head.dtype != "Time":
            found.append((-1 - named, guess(name, table[name], PLAIN)))
        elif (head.kind in ("number", "identifier", "category")) and (column := as_time(name, table[name])):
            ahead = np.diff(time_of(column, table[name]))
            risen = named and len(ahead) > 0 and bool((ahead >= 0).all())
            if (column.dtype == "Int64" or named) and (_counts(ahead) or risen):
                found.append((1 - named, column))
    return [column for _, column in sorted(found, key=lambda one: one[0]) if column.kind in ("date", "number")]


def _sorted(ahead: np.ndarray) -> bool:
    return len(ahead) > 0 and ((ahead > 0).mean() >= UNIQUE or (ahead < 0).mean() >= UNIQUE)


def _counts(ahead: np.ndarray) -> bool:
    """Whether steps are nearly all of one size, up or down, but for jumps back, with which short series begin."""
    ahead = _plain(ahead[~np.isnan(ahead)])
    ahead = ahead[ahead >= 0] if (ahead < 0).mean() < BACK else ahead
    if not len(ahead):
        return False
    sizes, times = np.unique(ahead, return_counts=True)
    return bool(sizes[times.argmax()] != 0 and times.max() >= EVEN * len(ahead))


def _plain(ahead: np.ndarray) -> np.ndarray:
    """Steps between decimal numbers without what their binary fractions leave: 0.1 between 0.2 and 0.3."""
    usual = np.median(np.abs(ahead)) if len(ahead) else 0.0
    if not usual or not np.isfinite(usual) or (ahead % 1 == 0).all():
        return ahead
    return np.round(ahead, FINE - 1 - int(np.floor(np.log10(usual))))


def _twice(names: Any, times: np.ndarray) -> float:
    """Share of rows whose time is there before in the same series."""
    import polars

    both = polars.DataFrame({"name": texts(names), "time": times})
    return 1 - both.n_unique() / max(1, len(both))


def parted_by(table: Any, when: Sequence[Column]) -> tuple[str, bool]:
    """The column of fewest values within which times differ, "" for none, and whether time goes up evenly there.

    Where all times differ, it is one whose values name blocks of rows, within each of which time goes on.
    """
    t, names = moments(when, table), [one.name for one in when]
    others = [name for name in table.columns if name not in names]
    if _twice(texts(table[names[0]]).is_null().cast(int).cast(str), t) < 1 - UNIQUE:
        return next(((one, True) for one in others if _goes_on(table[one], t)), ("", False))
    counts = {name: texts(table[name]).n_unique() for name in others}
    able = [name for name in others if 1 < counts[name] < len(t) / 3 and _names(texts(table[name]), t)]
    if not able:
        return "", False
    fewest = min(counts[name] for name in able)
    best = min(able, key=lambda name: (counts[name] > (ALIKE if CALLED.search(name) else 1) * fewest, counts[name]))
    order = np.lexsort((t, texts(table[best]).fill_null("").cast(str).rank("dense").to_numpy()))
    return best, _counts(np.diff(t[order]))


def _names(cells: Any, times: np.ndarray) -> bool:
    """Whether texts may name series: within each times differ, and they are no dates or measurements."""
    some = cells.drop_nulls().unique(maintain_order=True)
    if _twice(cells, times) >= 1 - UNIQUE or any("." in one for one in some.head(50).to_list()):
        return False
    return not len(some) or date_format(some) is None


def _goes_on(names: Any, times: np.ndarray) -> bool:
    """Whether the values of a column name blocks of rows, and time goes back only where one begins, often enough."""
    cells = texts(names)
    begins = (cells[1:] != cells[:-1]).fill_null(True).to_numpy()
    back = np.diff(times) < 0
    count = int(begins.sum()) + 1
    return cells.n_unique() == count <= len(times) / FEWEST and back.sum() >= 0.2 * count and not back[~begins].any()


def blocks(table: Any) -> str:
    """The first column whose values name blocks of rows, all of one length or as it says by its own name, "" for none.

    Each value, a whole number or text, stands in rows next to each other and never again.
    """
    for name in table.columns:
        cells = texts(table[name])
        begins = np.flatnonzero(np.append(True, (cells[1:] != cells[:-1]).fill_null(True).to_numpy()))
        long = np.diff(np.append(begins, len(cells)))
        if not FEWEST <= len(begins) <= len(cells) / 3 or cells.n_unique() != len(begins) or NAMED.search(name):
            continue
        if ((long == long[0]).all() or CALLED.search(name)) and not cells.str.contains(r"\.").any():
            return str(name)
    return ""


def ordered(
    table: Any, when: Sequence[Column], entity: str, step: tuple[float, int] | None = None, week: Open = ()
) -> Ordered:
    """Rows sorted by series and time, those of equal time and those without one left out, and counted.

    step  what `pace` found before; None to leave out no hole
    week  the moments in which steps are counted
    """
    notes = dict[str, str]()
    if entity:
        names = texts(table[entity]).fill_null("").to_numpy()
        _, first, series = np.unique(names.astype(str), return_index=True, return_inverse=True)
        series = np.argsort(np.argsort(first))[series]  # numbered as they come
    else:
        series = np.zeros(table.height, np.int64)
    times = moments(when, table)
    bad = np.isnan(times)
    if bad.any():
        notes["unreadable times"] = f"{int(bad.sum()):,} rows whose time cannot be read are left out"
    order = np.lexsort((times, series))
    order = order[~bad[order]]
    back = np.diff(times[~bad])[np.diff(series[~bad]) == 0] < 0
    if back.any():
        notes["unsorted times"] = f"time goes back {int(back.sum()):,} times; rows are sorted"
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(times[order]) != 0) | (np.diff(series[order]) != 0)
    if not new.all():
        notes["duplicate times"] = f"{int((~new).sum()):,} rows have the time of another one and are left out"
    order = order[new]
    found = Ordered(table[order], times[order], series[order], np.ones(len(order), bool), notes, week)
    found.begins[1:] = np.diff(found.series) != 0
    if step is not None:
        holes = ~_even(found, *step) & ~found.begins
        if holes.any():
            notes["gaps"] = f"{int(holes.sum()):,} gaps in time; no window lies across one"
        found.begins |= holes
    return found


def pace(rows: Ordered, dated: bool) -> tuple[float, int] | None:
    """Time between two rows and the same in months, one of them 0; None where steps are not nearly all equal."""
    ahead = rows.ahead[~rows.begins[1:]]
    if not len(ahead):
        return 1.0, 0
    sizes, count = np.unique(ahead, return_counts=True)
    usual = float(sizes[count.argmax()])
    if count.max() >= HOLES * len(ahead):
        return usual, 0
    months = np.diff(_months(rows.times))[~rows.begins[1:]] if dated and 27 * DAY < usual < 400 * DAY else np.zeros(0)
    if len(months):
        several, count = np.unique(months, return_counts=True)
        if count.max() >= HOLES * len(months) and several[count.argmax()] > 0:
            return 0.0, int(several[count.argmax()])
    return None


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)


def _even(rows: Ordered, step: float, months: int) -> np.ndarray:
    """Which rows come one step after the one before, bool (N,)."""
    found = np.ones(len(rows.times), bool)
    ahead = np.diff(_months(rows.times)) == months if months else np.isclose(rows.ahead, step, rtol=1e-6)
    found[1:] = ahead
    return found


def calendar(times: np.ndarray) -> np.ndarray:
    """Month, weekday and hour of some times, int64 (N, 3)."""
    at = times.astype("datetime64[s]")
    months = at.astype("datetime64[M]").astype(np.int64) % 12
    days = np.floor(times / DAY).astype(np.int64)
    return np.stack([months, (days + 3) % 7, ((times - days * DAY) // 3600).astype(np.int64)], 1)
