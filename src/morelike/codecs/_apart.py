"""Columns that stay near another one, as the day a patient leaves to the day they came: learnt as the difference, or of
words as whether they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from morelike.codecs import _same
from morelike.codecs._calendar import as_numbers
from morelike.codecs._columns import Column, as_cells
from morelike.codecs._kinds import guess
from morelike.codecs._moments import DAY, DAYS
from morelike.codecs._rules import HUGE, MOST, Facts, Rule
from morelike.codecs._seen import Wish
from morelike.codecs._settled import ends, within
from morelike.core.errors import OptionError

NEAR = {"date": 1 / 3, "number": 1 / 8}  # spread of the difference in that of the column, below which it is learnt
LEAST, LOOK = 50, 5_000  # rows that have both; rows by which spreads are told
UNITS = {86_400: "days", 3_600: "hours", 60: "minutes", 1: "seconds"}


@dataclass(frozen=True)
class Apart:
    """A column that is learnt as what it is apart from another: to = of + difference.

    of, to  numbers of the columns
    column  the differences, a column of numbers; or of words a category of these, and one more for the same
    unit    seconds of one of them; 0 for differences of numbers
    working whether they are counted in working days, as none of the dates is on a weekend
    """

    of: int
    to: int
    column: Column
    unit: int = 0
    working: bool = False

    @property
    def same(self) -> bool:
        """Whether it is learnt whether both are the same."""
        return self.column.kind == "category"

    def codes(self, columns: Sequence[Column], table: Any) -> np.ndarray:
        """The rows of a polars frame -> int64 (N, cells of the difference)."""
        if self.same:
            return self.column.encode(_same.marked(*(table[columns[place].name] for place in (self.of, self.to))))
        a, b = (_floats(columns[place], table[columns[place].name]) for place in (self.of, self.to))
        return self.column.encode(_series(self.between(columns, a, b), self.column))

    def between(self, columns: Sequence[Column], a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Values float64 (N,) of both columns, dates in seconds -> differences (N,), NaN where one is missing."""
        return _between(columns[self.of], columns[self.to], a, b, self.unit, self.working)

    def cells(self, columns: Sequence[Column], of: Any, to: Any) -> np.ndarray:
        """The cells int64 (cells of the difference,) of a value of each column; `OptionError` for a difference that was
        never seen."""
        if self.same:
            return self.column.one(_same.SAME if of == to else columns[self.to].say(to))
        apart = self.between(columns, *(as_numbers(np.array([one], object)) for one in (of, to)))
        if not within(self.column, apart)[0]:
            (low, high), say = ends(self.column), self.column.style.say
            found = f'"{columns[self.to].name}" is {say(apart[0])}{self._name} from "{columns[self.of].name}"'
            raise OptionError(found, f"What was seen: {say(low)} to {say(high)}", "Give other values")
        return self.column.encode(_series(apart, self.column))[0]

    def follow(self, columns: Sequence[Column], of: np.ndarray, apart: np.ndarray) -> np.ndarray:
        """Values objects (N,) of the other column and differences (N,) -> those of the column, None for missing."""
        if self.same:
            return _same.followed(columns[self.to], of, apart)
        a, d = as_numbers(of), as_numbers(apart)
        if self.working:
            return as_cells(columns[self.to], _worked(a, d))
        if self.unit:
            a, d = _whole_days(columns[self.to], a), d * self.unit
        return as_cells(columns[self.to], a + d)

    def good(self, columns: Sequence[Column], rows: np.ndarray, given: np.ndarray, strict: bool) -> np.ndarray:
        """Which of decoded rows (B, C) have a difference that was seen, and a value that is not beyond all others.

        given   cells that are not drawn, bool (B, C): what is near one of these may be beyond
        strict  whether differences count both of whose columns are known
        """
        if self.same:
            return np.ones(len(rows), bool)
        a, b = (as_numbers(rows[:, place]) for place in (self.of, self.to))
        apart = self.between(columns, a, b)
        good = within(self.column, apart) & ~(np.isnan(a) & ~np.isnan(b))
        good |= given[:, [self.of, self.to]].all(1) & (not strict)
        return good & (within(columns[self.to], rows[:, self.to]) | given[:, [self.of, self.to]].any(1))

    @property
    def _name(self) -> str:
        return " working days" if self.working else f" {UNITS.get(self.unit, '')}".rstrip()

    def said(self, columns: Sequence[Column]) -> str:
        """What is learnt, in words."""
        if self.same:
            return f'"{columns[self.to].name}" is learnt as whether it is the same as "{columns[self.of].name}"'
        names = columns[self.to].name, columns[self.of].name
        what = f"how many{self._name}" if self.unit else "how far"
        return f'"{names[0]}" is learnt as {what} it is from "{names[1]}": {self.column.said.partition(", ")[2]}'


def told(near: str, names: Sequence[str]) -> dict[str, str]:
    """{"left": "came"} of "left=came", of columns with these names, in which there may be any sign."""
    found, rest = dict[str, str](), near.strip()
    while rest:
        pairs = ((b, a) for b in names if rest.startswith(f"{b}=") for a in names if f"{rest},".startswith(f"{b}={a},"))
        b, a = max(pairs, key=lambda pair: len("=".join(pair)), default=("", ""))
        if not b:
            raise OptionError(f'near is "{near}"', f"Two columns, COLUMN=COLUMN, of {', '.join(names)[:200]}",
                              "Write for example: --set near=discharged=admitted")  # fmt: skip
        found[b], rest = a, rest[len(a) + len(b) + 2 :].strip()
    return found


def find(
    facts: Facts, table: Any, rules: Sequence[Rule], given: frozenset[int], wish: Wish, near: Mapping[str, str]
) -> Iterator[Apart]:
    """Columns of a polars frame that stay near an earlier one of the same kind, or one that is always known: dates and
    numbers, and words that mostly are the same.

    given  numbers of columns that are never drawn
    near   columns that are told to be learnt so, by name, and what they are near; the others are found
    """
    follow = {rule.to for rule in rules if rule.derives}
    led = {rule.of[0] for rule in rules if rule.derives and len(rule.of) == 1}  # known from what follows
    known = [place for place in sorted(facts.floats) if place not in follow and many(facts.columns[place])][:MOST]
    names = {facts.columns[place].name: place for place in known}
    for at, b in enumerate(known):
        before = [a for a in known if a in given or a in known[:at]] if b not in led | given else []
        said = names.get(near.get(facts.columns[b].name, ""))
        shares = {a: _share(facts, a, b) for a in before} if said is None or b in led | given else {said: 0.0}
        close = [a for a in sorted(shares, key=lambda a: shares[a]) if shares[a] < 1 and _given(facts, a, b)]
        if close:
            yield _fitted(facts, close[0], b, lambda one: guess(one.name, one, replace(wish, kind="number")))
    for of, to in _same.pairs(facts.columns, table, rules, given, near):
        one, two = (facts.columns[place].name for place in (of, to))
        yield Apart(of, to, guess(two, _same.marked(table[one], table[two]), replace(wish, kind="category")))


def many(column: Column) -> bool:
    """Whether a column has many dates or numbers and no words or masses among these, which a difference would blur."""
    if column.kind == "date":
        return bool(column.span) and sum(len(part) > 1 for part in column.parts) > 1
    if not column.low or column.values or max(-column.low[0], column.high[-1]) >= HUGE:
        return False
    return len(column.low) > len(column.groups) > 1


def _share(facts: Facts, a: int, b: int) -> float:
    """Mean distance of b - a from its median, in that of b and in what makes them near; 1 where they are not."""
    one, two = facts.columns[a], facts.columns[b]
    step = max(1, len(facts.floats[b]) // LOOK)
    x, y = facts.floats[a][::step], facts.floats[b][::step]
    both = ~(np.isnan(x) | np.isnan(y))
    if one.kind != two.kind or both.sum() < LEAST:
        return 1.0
    x, y = x[both], y[both]
    apart = np.round(y - (_whole_days(two, x / 1e6) * 1e6 if two.kind == "date" else x), 9)
    if len(np.unique(apart)) > (1 if two.kind == "date" else 1.1) * len(np.unique(y)):
        return 1.0  # one day of each month, say, whenever the bill was written
    spread = [np.abs(one - np.median(one)).mean() for one in (apart, y)]
    return float(spread[0] / (NEAR[two.kind] * spread[1])) if spread[1] else 1.0


def _given(facts: Facts, a: int, b: int) -> bool:
    """Whether a is there wherever b is."""
    return not (np.isnan(facts.floats[a]) & ~np.isnan(facts.floats[b])).any()


def _fitted(facts: Facts, of: int, to: int, guess: Callable[[Any], Column]) -> Apart:
    one, two = facts.columns[of], facts.columns[to]
    scale = 1e6 if two.kind == "date" else 1.0  # facts hold microseconds
    a, b = (facts.floats[place] / scale for place in (of, to))
    unit, working = 0, two.dtype == "Date" and two.weekly and max(two.parts[2]) <= 5
    if two.kind == "date":
        apart = _between(one, two, a, b, 1)
        apart = apart[~np.isnan(apart)]
        unit = next((one for one in UNITS if not np.any(apart % one)), 1)
    apart = _between(one, two, a, b, unit, working)
    return Apart(of, to, guess(_series(apart).rename(f"{two.name} - {one.name}")), unit, working)


def _between(one: Column, two: Column, a: np.ndarray, b: np.ndarray, unit: int, working: bool = False) -> np.ndarray:
    if working:
        there = ~np.isnan(a + b)
        found = np.full(len(a), np.nan)
        found[there] = np.busday_count(_days(a[there]), _days(b[there]))
        return found
    if unit:
        return np.round((b - _whole_days(two, a)) / unit, 6)
    digits = [column.style.decimals for column in (one, two)]
    apart = b - a
    return apart if None in digits else np.round(apart, max(digit for digit in digits if digit is not None))


def _days(seconds: np.ndarray) -> np.ndarray:
    """Moments (N,) as days of numpy."""
    return np.floor(seconds / DAY).astype(np.int64).astype(DAYS)


def _worked(a: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Moments (N,) in seconds and working days -> so many after each, of which one on a weekend is a Monday."""
    found, there = np.full(len(a), np.nan), ~np.isnan(a + n)
    days = np.busday_offset(_days(a[there]), n[there].astype(np.int64), roll="forward")
    found[there] = days.astype(np.int64).astype(np.float64) * DAY
    return found


def _whole_days(to: Column, seconds: np.ndarray) -> np.ndarray:
    """Moments (N,) from which dates without a time of day are counted: the beginnings of their days."""
    return np.floor(seconds / DAY) * DAY if to.dtype == "Date" else seconds


def _floats(column: Column, cells: Any) -> np.ndarray:
    if column.kind == "number":
        return column.floats(cells)
    moments = column.moments(cells)
    return moments.dt.epoch("us").cast(float).fill_null(float("nan")).to_numpy() / 1e6


def _series(apart: np.ndarray, like: Column | None = None) -> Any:
    """Differences as a polars column, whole ones as such, None for NaN."""
    import polars

    found = polars.Series("", apart).fill_nan(None)
    there = apart[~np.isnan(apart)]
    whole = "Int" in like.dtype if like else not np.any(there % 1)
    return found.round().cast(polars.Int64) if whole else found


def shifted(
    aparts: Sequence[Apart], columns: Sequence[Column], drawn: np.ndarray, rows: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """Rows (n, C), some cells of which differ from those that were drawn, with what stays near these moved along.

    there  which cells are known, bool (n, C); nothing of these is moved
    """
    rows, fixed = rows.copy(), there | (rows != drawn)
    for one, back in (*((one, True) for one in reversed(aparts)), *((one, False) for one in aparts)):
        of, to = (one.to, one.of) if back else (one.of, one.to)
        at = np.flatnonzero(fixed[:, of] & ~fixed[:, to] & (rows[:, of] != None))  # noqa: E711
        if not len(at):
            continue
        if one.same:
            rows[at, to] = np.where(drawn[at, one.of] == drawn[at, one.to], rows[at, of], rows[at, to])
            fixed[at, to] = True
            continue
        pair = [as_numbers(drawn[at, place]) for place in (one.of, one.to)]
        apart = one.between(columns, *pair)
        if back and one.working:
            rows[at, to] = as_cells(columns[to], _worked(as_numbers(rows[at, of]), -apart))
        elif back:
            moved = pair[0] + as_numbers(rows[at, of]) - pair[1]
            rows[at, to] = as_cells(columns[to], _whole_days(columns[to], moved))
        else:
            rows[at, to] = one.follow(columns, rows[at, of], apart)
        fixed[at, to] = True
    return rows
