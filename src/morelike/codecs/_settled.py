"""Rules that a user has told, and the columns of a table: what kinds these must be, and which rows break them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from morelike.codecs._calendar import seconds_of
from morelike.codecs._columns import Column
from morelike.codecs._found import natural
from morelike.codecs._rules import Rule, majority
from morelike.codecs._told_rules import Told
from morelike.core.errors import OptionError

DERIVE = ("sum", "product", "lookup")  # kinds of rules by which a column is worked out
NAMED = 5  # rows that are named of those that break a rule
Where = Callable[[int], str]
Guess = Callable[[str, str], Column]  # name and kind, "" to guess -> column


def fitting(columns: Sequence[Column], rules: Sequence[Told], guess: Guess) -> tuple[Column, ...]:
    """The columns, those of another kind that rules ask for: numbers for sums, values that can be looked up for a -> b.

    Raises `OptionError` where a column cannot be of such a kind.
    """
    found = {column.name: column for column in columns}
    for rule in rules:
        for name in (*rule.of, rule.to):
            try:
                found[name] = _kind_for(rule, found[name], guess)
            except OptionError as error:
                expected = f"{error.expected}, for the rule {in_words(rule)}"
                raise OptionError(error.found, expected, "Correct --set rules") from None
    return tuple(found.values())


def _kind_for(rule: Told, column: Column, guess: Guess) -> Column:
    if rule.kind == "unique":
        return column if column.kind == "identifier" else guess(column.name, "identifier")
    if rule.kind == "lookup":
        return column if column.single else guess(column.name, "category")
    if column.kind == "number" or (column.kind == "date" and rule.kind not in ("sum", "product")) or _is_binary(column):
        return column
    return guess(column.name, "number")


def _is_binary(column: Column) -> bool:
    return column.kind == "boolean" and not any(isinstance(one, str) for one in column.values)


def settle(rules: Sequence[Told], columns: Sequence[Column], table: Any) -> tuple[Rule, ...]:
    """The rules with numbers in the place of names, those that others need first.

    Raises `OptionError` for rules that contradict each other, or that every row of the table, a polars frame, breaks.
    """
    number = {column.name: place for place, column in enumerate(columns)}
    found = list[Rule]()
    for told in _in_order(rules):
        rule = Rule(told.kind, tuple(number[name] for name in told.of), number[told.to], scales=told.scales,
                    offset=told.offset, said=in_words(told), told=True,
                    ends=(told.low, told.high), strict=told.strict)  # fmt: skip
        if rule.kind == "lookup":
            codes = (columns[place].full(table[columns[place].name]) for place in (*rule.of, rule.to))
            rule = replace(rule, table=majority(*codes))
        if breaks(rule, columns, table).all():
            raise OptionError(f"Every row breaks the rule {rule.said}", "A rule that rows keep", "Correct --set rules")
        found.append(rule)
    return tuple(found)


def broken(rules: Sequence[Rule], columns: Sequence[Column], table: Any) -> dict[str, np.ndarray]:
    """The rows that break rules which were told, by rule, where there are some."""
    found = {rule.said: np.flatnonzero(breaks(rule, columns, table)) for rule in rules if rule.told}
    return {said: rows for said, rows in found.items() if len(rows)}


def counted(rows: np.ndarray, where: Where) -> str:
    """How many rows break a rule, and the first ones."""
    places = [where(row) for row in rows[:NAMED].tolist()]
    some = ", ".join([places[0], *(one.split(", ")[-1] for one in places[1:])]) + " …" * (len(rows) > NAMED)
    return f"{len(rows):,} rows break it ({some})" if len(rows) > 1 else f"1 row breaks it ({some})"


def beside(told: Sequence[Rule], found: Sequence[Rule]) -> Iterator[Rule]:
    """Rules that were found and do not meddle with those that were told."""
    gone = {rule.to for rule in told if rule.derives}
    used = {place for rule in told if rule.derives for place in rule.of}
    same = {(rule.of, rule.to) for rule in told}
    for rule in found:
        if (rule.of, rule.to) not in same and not gone & {rule.to, *rule.of} and not (rule.derives and rule.to in used):
            yield rule


def _in_order(rules: Sequence[Told]) -> Iterator[Told]:
    """Rules by which columns are worked out, each after those that it needs; then the others."""
    derive = {rule.to: rule for rule in rules if rule.kind in DERIVE}
    several = [rule for rule in rules if rule.kind in DERIVE and derive[rule.to] is not rule]
    if several:
        found = f'"{several[0].to}" follows from two rules'
        raise OptionError(found, "One for each column that is worked out", "Leave one out of --set rules")
    done = list[str]()

    def need(name: str, path: tuple[str, ...]) -> Iterator[Told]:
        if name in path:
            raise OptionError(f'"{name}" would follow from itself', "Rules that do not go round", "Leave one out")
        if name in derive and name not in done:
            for one in derive[name].of:
                yield from need(one, (*path, name))
            done.append(name)
            yield derive[name]

    for name in derive:
        yield from need(name, ())
    yield from (rule for rule in rules if rule.kind not in DERIVE)


def in_words(rule: Told) -> str:
    """The rule as a line of text."""
    if rule.kind == "lookup":
        return f'"{rule.of[0]}" settles "{rule.to}"'
    if rule.kind == "unique":
        return f'"{rule.to}" is unique'
    if rule.kind == "range":
        if rule.strict:
            return f'"{rule.to}" is {f"above {rule.low}" if rule.low else f"below {rule.high}"}'
        return f'"{rule.to}" is {f"from {rule.low} " if rule.low else ""}{f"up to {rule.high}" if rule.high else "on"}'
    if rule.kind == "product":
        return f'"{rule.to}" = "{rule.of[0]}" × "{rule.of[1]}"'
    if rule.kind != "sum":
        return f'"{rule.of[0]}" {"≤" if rule.kind == "order" else "<"} "{rule.to}"'
    terms = [f'{"" if abs(s) == 1 else f"{abs(s):g} "}"{name}"' for s, name in zip(rule.scales, rule.of, strict=True)]
    signs = ["-" if s < 0 else "+" for s in rule.scales]
    body = " ".join(f"{sign} {term}" for sign, term in zip(signs, terms, strict=True)).removeprefix("+ ")
    return f'"{rule.to}" = {body}' + (f" {'+-'[rule.offset < 0]} {abs(rule.offset):g}" if rule.offset else "")


def breaks(rule: Rule, columns: Sequence[Column], table: Any) -> np.ndarray:
    """Which rows of a table break a rule, bool (N,); where something is missing, none does."""
    names = [columns[place].name for place in (*rule.of, rule.to)]
    if rule.kind == "unique":
        cells = table[names[-1]]
        return (cells.is_duplicated() & cells.is_not_null()).to_numpy() & ~cells.is_first_distinct().to_numpy()
    if rule.kind == "lookup":
        a, b = (columns[place].full(table[columns[place].name]) for place in (*rule.of, rule.to))
        gone = columns[rule.to].holes & (b == 0)
        return (np.array(rule.table, np.int64)[a] != b) & ~gone
    rows = {place: natural(columns[place], table[columns[place].name]) for place in {*rule.of, rule.to}}
    if rule.kind not in DERIVE:
        return ~keeps(rule, columns, rows, table.height)
    column, sound = columns[rule.to], np.ones(table.height, bool)
    total, values = (as_floats(one) for one in (rows[rule.to], np.stack([rows[place] for place in rule.of])))
    sound &= ~np.isnan(total) & ~np.isnan(values).any(0)
    values = np.nan_to_num(values)
    made = values.prod(0) if rule.kind == "product" else rule.offset + np.array(rule.scales) @ values
    return sound & ~near(made, np.nan_to_num(total), column)


def near(made: np.ndarray, real: np.ndarray, column: Column) -> np.ndarray:
    """Which numbers are the same when they are rounded as the column's are, bool (N,)."""
    digits = column.style.decimals
    if digits is None:
        return np.isclose(made, real, rtol=1e-9, atol=1e-9)
    return np.abs(made - real) <= 0.5 * 10.0**-digits + 1e-9 * np.abs(real)


def as_floats(cells: np.ndarray) -> np.ndarray:
    """Objects of any shape as float64, NaN for what is no number."""
    flat = [float(one) if isinstance(one, int | float) else np.nan for one in cells.ravel().tolist()]
    return np.array(flat, np.float64).reshape(cells.shape)


def within(column: Column, cells: np.ndarray) -> np.ndarray:
    """Which cells objects (n,) are no numbers or dates beyond all that were seen, bool (n,)."""
    if column.kind == "date" and column.span:
        found = np.array([np.nan if one is None else seconds_of(one) for one in cells.tolist()], np.float64)
        return np.isnan(found) | ((found >= column.span[0]) & (found < column.span[1] + 1))
    if column.kind != "number" or any(isinstance(one, str) for one in column.values):
        return np.ones(len(cells), bool)
    (low, high), found = ends(column), cells.astype(np.float64)  # None becomes NaN
    return np.isnan(found) | ((found >= low) & (found <= high))


def ends(column: Column) -> tuple[float, float]:
    """The lowest and highest number that was seen."""
    values = [float(one) for one in column.values if not isinstance(one, str)]
    every = [*values, *(column.low[:1]), *(column.high[-1:])]
    return (min(every), max(every)) if every else (0.0, 0.0)


def keeps(rule: Rule, columns: Sequence[Column], rows: Mapping[int, np.ndarray], n: int) -> np.ndarray:
    """Which of n decoded rows keep an order or a range, bool (n,).

    rows  cells (n,) of each column, by its number
    """
    good = np.ones(n, bool)
    b, there = rows[rule.to], np.ones(n, bool)
    for place in (*rule.of, rule.to):
        there &= rows[place] != None  # noqa: E711  (element by element)
        if any(isinstance(one, str) for one in columns[place].values):  # words among numbers
            there &= [not isinstance(one, str) for one in rows[place].tolist()]
    if rule.kind in ("order", "below"):
        a = rows[rule.of[0]]
        if columns[rule.of[0]].dtype != columns[rule.to].dtype and columns[rule.to].kind == "date":
            a, b = _in_seconds(a), _in_seconds(b)  # days beside moments
        good[there] = ((a[there] <= b[there]) if rule.kind == "order" else (a[there] < b[there])).astype(bool)
    elif rule.kind == "range":
        low, high = (bound(columns[rule.to], end) for end in rule.ends)
        above, below = (operator.gt, operator.lt) if rule.strict else (operator.ge, operator.le)
        good[there] &= True if low is None else above(b[there], low).astype(bool)
        good[there] &= True if high is None else below(b[there], high).astype(bool)
    return good


def _in_seconds(cells: np.ndarray) -> np.ndarray:
    found = np.empty(len(cells), object)
    found[:] = [None if one is None else seconds_of(one) for one in cells.tolist()]
    return found


def bound(column: Column, end: str) -> Any:
    """The end of a range as a value of its column; an `OptionError` for one that is none."""
    if not end:
        return None
    import polars

    found = natural(column, polars.Series([end], dtype=polars.String))[0]
    if found is None and column.kind != "date":
        found = float(end) if end.replace(".", "", 1).lstrip("+-").isdigit() else None
    if found is None or isinstance(found, str):
        said = f'"{end}" is no {column.kind}, as the column "{column.name}" is'
        raise OptionError(said, f"Such as {column.said[:40]}", "Correct --set rules")
    return found


def said(columns: Sequence[Column], rules: Sequence[Rule], faults: Mapping[str, str], most: int = 60) -> str:
    """A line for each column and rule, with what is wrong with it in the data."""
    lines = [f"  {column.name}: {column.kind}, {column.said}" for column in columns[:most]]
    lines += [f"  and {len(columns) - most:,} more columns"] if len(columns) > most else []
    lines += [f"  {'told' if rule.told else 'rule'}: {': '.join([rule.said, *one])}"
              for rule in rules[:most] for one in [[faults[rule.said]] if rule.said in faults else []]]  # fmt: skip
    return f"{len(columns):,} columns:\n" + "\n".join(lines)
