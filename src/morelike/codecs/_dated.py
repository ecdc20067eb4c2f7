"""What follows from dates: their year, month or weekday, the days between two of them, how old somebody was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from morelike.codecs._calendar import as_numbers
from morelike.codecs._columns import Column, as_cells
from morelike.codecs._later import laters
from morelike.codecs._moments import DAY, LATER, MONTHS, PARTS, SPANS, STARTS, Seconds, month_days, start, whole
from morelike.codecs._rules import MOST, SHOWN, SURE, VARIED, Facts, Rule, by_chance, equal

LEAST, LONG = 20, 1e9  # rows from which a span is told; a number that is no time any more


def dated(facts: Facts) -> Iterator[Rule]:
    """Columns that are a part of a date, the time between two dates, or the time since one at some day."""
    dates = [place for place in sorted(facts.floats) if facts.columns[place].kind == "date" and _dated(facts, place)]
    seconds = {place: facts.floats[place] / 1e6 for place in dates[:MOST]}
    numbers = [place for place in sorted(facts.floats) if facts.columns[place].kind == "number"]
    numbers = [place for place in numbers if np.nanmax(np.abs(facts.floats[place]), initial=0) < LONG][:MOST]
    starts = [rule for place in seconds for rule in _starts(facts, place, seconds)]
    yield from starts
    yield from laters(facts, seconds, numbers)
    for place in sorted(seconds.keys() - {rule.to for rule in starts}):
        yield from _parts(facts, place, seconds[place])
    for to in numbers:
        if len(np.unique(facts.floats[to][~np.isnan(facts.floats[to])][:SHOWN])) >= VARIED:
            yield from _spans(facts, to, seconds)


def _dated(facts: Facts, place: int) -> bool:
    return bool(facts.columns[place].span) and bool((~np.isnan(facts.floats[place])).any())


def _starts(facts: Facts, to: int, seconds: Mapping[int, Seconds]) -> Iterator[Rule]:
    """A date that is the day, or the first of the month, of another one."""
    there = ~np.isnan(seconds[to])
    fine = sorted(seconds, key=lambda one: facts.columns[one].dtype == "Date")  # first those with a time of day
    for of in [one for one in fine if one != to and (np.isnan(seconds[one]) == ~there).all()]:
        for name, unit in STARTS.items():
            if (start(seconds[of][there], unit) == seconds[to][there]).all() and (seconds[of] != seconds[to]).any():
                said = f'"{facts.columns[to].name}" is the {name} of "{facts.columns[of].name}"'
                yield Rule("part", (of,), to, said=said, unit=unit)
                return


def _parts(facts: Facts, of: int, seconds: Seconds) -> Iterator[Rule]:
    there = ~np.isnan(seconds)
    known, step = seconds[there], max(1, int(there.sum()) // SHOWN)
    some = {name: part(known[::step]) for name, part in PARTS.items()}
    for to, codes in facts.codes.items():
        column, own = facts.columns[to], codes[there]
        if (~there).any() and not (column.holes and not codes[~there].any()):
            continue  # it is there where the date is not
        for name, part in PARTS.items():
            if name == "weekday" and not facts.columns[of].weekly:
                continue  # what hangs on weekdays would be lost
            if (name == MONTHS and column.kind == "number") or _table(some[name], own[::step]) is None:
                continue
            values = part(known)
            table = _table(values, own)
            if table is not None and by_chance(values - values.min(), own) < -SURE:
                rule = Rule("part", (of,), to, tuple(table.tolist()), offset=int(values.min()), unit=name)
                yield replace(rule, said=f'"{column.name}" follows from the {name} of "{facts.columns[of].name}"')
                break


def _table(values: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
    """The code for each value from the least on, that of the one before for a value that is not there; None where one
    has several."""
    first = int(values.min())
    table = np.full(int(values.max()) - first + 1, -1)
    table[values - first] = codes
    if (table[values - first] != codes).any():
        return None
    return table[np.maximum.accumulate(np.where(table >= 0, np.arange(len(table)), 0))]


def _spans(facts: Facts, to: int, seconds: Mapping[int, Seconds]) -> Iterator[Rule]:
    column, number = facts.columns[to], facts.floats[to]
    for a in seconds:
        for b in [one for one in seconds if one != a]:
            both = ~np.isnan(seconds[a] + seconds[b])
            if both.sum() < LEAST or (both == np.isnan(number)).any() or np.median((seconds[b] - seconds[a])[both]) < 0:
                continue
            if fits := _fitting(seconds[a][both], seconds[b][both], number[both], column):
                name, offset = fits
                ends = [f'"{facts.columns[place].name}"' for place in (a, b)]
                said = f'"{column.name}" = {name} from {ends[0]} to {ends[1]}' + (f" + {offset:g}" if offset else "")
                yield Rule("span", (a, b), to, offset=offset, said=said, unit=name)
        there = ~np.isnan(seconds[a])
        if there.sum() >= LEAST and not (there == np.isnan(number)).any():
            yield from _since(facts, a, to, seconds[a][there], number[there])


def _since(facts: Facts, of: int, to: int, a: Seconds, number: np.ndarray) -> Iterator[Rule]:
    """A number that tells how long ago a date was at some day, such as an age: first by some of the rows."""
    for name, by in (("days", 0), ("years", 12), ("months", 1)):
        for step in (max(1, len(a) // SHOWN), 1):
            until = _until(a[::step], number[::step], by)
            made = SPANS[name](a[::step], np.full(len(a[::step]), until))
            if not _agree(made, number[::step], facts.columns[to]):
                break
        else:
            day = np.datetime64(int(until), "s").astype("datetime64[D]")
            said = f'"{facts.columns[to].name}" = {name} from "{facts.columns[of].name}" to {day}'
            yield Rule("span", (of,), to, offset=0.0, scales=(until,), said=said, unit=name)
            return


def _fitting(a: Seconds, b: Seconds, number: np.ndarray, column: Column) -> tuple[str, float] | None:
    """The unit, and what is to be added, 0 or 1, by which a number tells how far two moments are apart."""
    for name, span in SPANS.items():
        for offset in (0.0, 1.0):
            some = (a[:SHOWN], b[:SHOWN], number[:SHOWN])
            if all(_agree(offset + span(x, y), n, column) for x, y, n in (some, (a, b, number))):
                return name, offset
    return None


def _agree(made: np.ndarray, real: np.ndarray, column: Column) -> bool:
    """Whether what is made is the number, and not all the same."""
    return bool(np.ptp(made) > 0) and equal(made.astype(np.float64), real, column)


def _until(a: Seconds, number: np.ndarray, months: int) -> float:
    """The first day at which so many days, or times so many months, were over since all of the moments."""
    days, count = whole(a, "D"), np.rint(number).astype(np.int64)
    if not months:
        return float((days + count).max()) * DAY
    later = (whole(a, "M") + months * count).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return float((later + np.floor(month_days(a)).astype(np.int64)).max()) * DAY


def moved(rule: Rule, columns: Sequence[Column], date: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Dates (B,), and the days or months that they are to begin with -> the same so long after these."""
    seconds = as_numbers(date)
    return as_cells(columns[rule.of[0]], as_numbers(begin) + seconds - start(seconds, rule.unit))


def followed(rule: Rule, columns: Sequence[Column], rows: np.ndarray) -> np.ndarray:
    """The values (B,) of a column that follows from the dates of decoded rows (B, C)."""
    column, found = columns[rule.to], np.empty(len(rows), object)
    moments = [as_numbers(rows[:, place]) for place in rule.of]
    there = ~np.isnan(np.sum(moments, 0))
    some, made = [one[there] for one in moments], np.full(len(rows), np.nan)
    if rule.kind == "later":
        made[there] = LATER[rule.unit](some[0], some[1] + rule.offset)
        return as_cells(column, made)
    if rule.kind == "span":
        until = some[1] if len(some) > 1 else np.full(there.sum(), (rule.scales or (0.0,))[0])
        made[there] = rule.offset + SPANS[rule.unit](some[0], until)
        return column.plain(made)
    if rule.unit in STARTS.values():
        made[there] = start(some[0], rule.unit)
        return as_cells(column, made)
    told: list[Any] = [None] * column.holes + [*column.values, *column.rare]
    at = PARTS[rule.unit](some[0]) - int(rule.offset)
    known = np.array(rule.table)
    codes = np.where((at >= 0) & (at < len(known)), known[np.clip(at, 0, len(known) - 1)], -1)
    found[there] = [None if code < 0 else told[code] for code in codes.tolist()]
    return found


def partly(rule: Rule, columns: Sequence[Column], value: Any) -> np.ndarray:
    """The cells int64 of a date that a value of its part settles, -1 for the others: the year, say."""
    column, to = columns[rule.of[0]], columns[rule.to]
    if rule.unit in STARTS.values():
        moment = as_numbers(np.array([value], object))
        names: Sequence[str] = ("year", "month", "day", "weekday", "nth", "hour")[
            : {"Y": 1, "M": 2, "D": 5, "h": 6}[rule.unit]
        ]
    else:
        codes = {one: code for code, one in enumerate((*to.values, *to.rare), start=int(to.holes))}
        at = [place for place, code in enumerate(rule.table) if code == codes.get(value, -1)]
        if len(at) != 1:
            return np.full(len(column.sizes), -1)
        place = at[0] + int(rule.offset)
        month = {"year": place * 12, "month": place, MONTHS: place}.get(rule.unit, 0)
        day = {"weekday": place + 4, "day of the month": place}.get(rule.unit, 0)  # 5 January 1970 was a Monday
        moment = np.array([month]).astype("datetime64[M]").astype("datetime64[s]").astype(float) + day * DAY
        moment += 3_600 * place if rule.unit == "hour" else 0
        names = {"day of the month": ("day",), MONTHS: ("year", "month")}.get(rule.unit, (rule.unit,))
    return column.cells_of(as_cells(replace(column, dtype="Datetime"), moment)[0], names)
