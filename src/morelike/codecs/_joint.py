"""Decoded rows of which some cells are known: what follows from these, and whether all of it agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.codecs import _dated, _later
from morelike.codecs._apart import Apart, shifted
from morelike.codecs._columns import Column
from morelike.codecs._rules import Rule
from morelike.codecs._settled import as_floats, ends, near
from morelike.core.errors import OptionError


def sources(rule: Rule, columns: Sequence[Column]) -> dict[Any, list[Any]]:
    """Of a lookup, the values of the column it follows from, by the value that they give."""
    (a,), b = rule.of, columns[rule.to]
    told = dict(enumerate((*b.values, *b.rare), start=int(b.holes)))
    found: dict[Any, list[Any]] = {}
    for code, value in enumerate((*columns[a].values, *columns[a].rare), start=int(columns[a].holes)):
        if code < len(rule.table):
            found.setdefault(told.get(rule.table[code]), []).append(value)
    return found


def codes_of(rule: Rule, columns: Sequence[Column]) -> dict[Any, list[int]]:
    """Of a lookup, the codes of the cell it follows from, by the value that they give, where there are several."""
    column = columns[rule.of[0]]
    first = {value: place + int(column.holes) for place, value in enumerate((*column.values, *column.rare))}
    found = {to: sorted({min(first[one], column.sizes[0] - 1) for one in values})
             for to, values in sources(rule, columns).items()}  # fmt: skip
    return {to: codes for to, codes in found.items() if len(codes) > 1}


def source(rule: Rule, columns: Sequence[Column], value: Any) -> Any:
    """The one value of the column it follows from that gives this one; None where there are several or none."""
    if rule.kind == "lookup":
        found = sources(rule, columns).get(value, [])
        return found[0] if len(found) == 1 else None
    if rule.kind == "sum" and len(rule.of) == 1 and isinstance(value, int | float):
        plain = columns[rule.of[0]].plain(np.array([(value - rule.offset) / rule.scales[0]]))
        return plain[0]
    return None


def sole(rule: Rule, columns: Sequence[Column], value: Any) -> Any:
    """The same; an `OptionError` for a value to which nothing leads."""
    if rule.kind == "lookup" and value not in sources(rule, columns):
        found = f'"{columns[rule.to].name}" is {value}, to which nothing leads ({rule.said})'
        raise OptionError(found, "A value that was seen", "Give another one")
    return source(rule, columns, value)


def led_back(
    cells: Tensor, rows: np.ndarray, rules: Sequence[Rule], columns: Sequence[Column], places: Mapping[int, slice]
) -> Tensor:
    """Cells int64 (N, T) of rows (N, C), those that are -1 though what follows from them settles them filled in."""
    for rule in rules:
        if not rule.derives or len(rule.of) > 1 or rule.of[0] not in places:
            continue
        column, place = columns[rule.of[0]], places[rule.of[0]]
        at = np.flatnonzero((cells[:, place.start] < 0).numpy() & (rows[:, rule.to] != None))  # noqa: E711
        if rule.kind == "part":
            known = {value: torch.from_numpy(_dated.partly(rule, columns, value)) for value in set(rows[at, rule.to])}
            for row in at.tolist() if place.stop - place.start == len(column.sizes) else ():
                cells[row, place] = torch.maximum(cells[row, place], known[rows[row, rule.to]])
            continue
        codes = {value: _code(column, source(rule, columns, value)) for value in set(rows[at, rule.to].tolist())}
        for row in at.tolist():
            if (code := codes[rows[row, rule.to]]) is not None:
                cells[row, place] = code
    return cells


def _code(column: Column, value: Any) -> Tensor | None:
    return None if value is None else torch.from_numpy(column.one(column.say(value)))


def joined(
    rows: np.ndarray,
    known: np.ndarray,
    rules: Sequence[Rule],
    columns: Sequence[Column],
    strict: bool,
    aparts: Sequence[Apart] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded rows (n, C) with the cells that are known (n, C), None elsewhere, in them, and what follows from both;
    and which of the rows agree with what is known, bool (n,).

    strict  whether rules count all of whose columns are known
    aparts  columns that are learnt as what they are apart from others, and move along with these
    """
    there, drawn = known != None, rows  # noqa: E711  (element by element)
    rows, good = np.where(there, known, rows), np.ones(len(rows), bool)
    for rule in reversed(rules):  # from what follows back to what it follows from
        told = np.flatnonzero(there[:, rule.to] & ~there[:, list(rule.of)].all(1)) if rule.derives else ()
        if len(told) and rule.kind in ("sum", "product"):
            _solve(rule, columns, rows, there, np.asarray(told))
        elif len(told) and rule.kind == "later":
            for first in (True, False):  # where the other date is known the number is worked out, else that date
                some = told[there[told, rule.of[0]] == first]
                part, found = _later.solved(rule, columns, rows[some], first)
                rows[some, part] = found
        elif len(told) and rule.unit in _dated.STARTS.values():
            told = told[rows[told, rule.of[0]] != None]  # noqa: E711
            rows[told, rule.of[0]] = _dated.moved(rule, columns, rows[told, rule.of[0]], rows[told, rule.to])
        elif len(told) and rule.kind == "lookup":
            for row in told:
                one = source(rule, columns, rows[row, rule.to])
                rows[row, rule.of[0]] = rows[row, rule.of[0]] if one is None else one
    rows = shifted(aparts, columns, drawn, rows, there) if aparts else rows
    for rule in rules:
        if rule.derives:
            made = followed(rule, columns, rows)
            given, whole = there[:, rule.to], there[:, [*rule.of, rule.to]].all(1) & (not strict)
            good[given] &= whole[given] | _same(made[given], rows[given, rule.to], columns[rule.to])
            rows[~given, rule.to] = made[~given]
    return rows, good


def followed(rule: Rule, columns: Sequence[Column], rows: np.ndarray) -> np.ndarray:
    """The values (B,) of a column that follow from those of others."""
    column = columns[rule.to]
    if rule.kind in ("part", "span", "later"):
        return _dated.followed(rule, columns, rows)
    if rule.kind == "lookup":
        source = columns[rule.of[0]]
        values = (*source.values, *source.rare)
        code = {value: place + source.holes for place, value in enumerate(values)}
        told = np.empty(column.holes + len(column.values) + len(column.rare), object)
        told[column.holes : column.holes + len(column.values) + len(column.rare)] = (*column.values, *column.rare)
        of = [code.get(value, 0) for value in rows[:, rule.of[0]]]
        return told[np.array(rule.table, np.int64)[of]]
    numbers = rows[:, list(rule.of)].astype(np.float64)  # None becomes NaN
    if rule.kind == "product":
        return column.plain(numbers.prod(1) * (rule.scales or (1.0,))[0])
    return column.plain(rule.offset + numbers @ np.array(rule.scales))


def _solve(rule: Rule, columns: Sequence[Column], rows: np.ndarray, there: np.ndarray, told: np.ndarray) -> None:
    """Work out one part of a sum or product that is known: of those that are not, the one that ranges most."""
    product = rule.kind == "product"
    scales = np.ones(len(rule.of)) if product else np.array(rule.scales)
    spread = np.array([_spread(columns[place]) for place in rule.of]) * np.abs(scales)
    free = np.where(there[told][:, list(rule.of)], -1.0, spread)  # (n, parts)
    part = free.argmax(1)
    for at in np.unique(part).tolist():
        some, place = told[part == at], rule.of[at]
        rest = [one for one in range(len(rule.of)) if one != at]
        others, total = as_floats(rows[some][:, [rule.of[one] for one in rest]]), as_floats(rows[some, rule.to])
        if product:
            factor = others.prod(1) * (rule.scales or (1.0,))[0]
            left = np.divide(total, factor, out=np.full(len(total), np.nan), where=factor != 0)
        else:
            left = (total - rule.offset - others @ scales[rest]) / scales[at]
        found = columns[place].plain(left)
        low, high = ends(columns[place])
        fits = [one is not None and low <= one <= high for one in found.tolist()]
        rows[some[fits], place] = found[fits]


def _spread(column: Column) -> float:
    low, high = ends(column)
    return high - low


def _same(a: np.ndarray, b: np.ndarray, column: Column) -> np.ndarray:
    """Which cells are equal, bool (n,); numbers as far as they are written."""
    equal = np.array([x == y for x, y in zip(a.tolist(), b.tolist(), strict=True)], bool)
    if column.kind != "number":
        return equal
    return equal | near(as_floats(a), as_floats(b), column)
