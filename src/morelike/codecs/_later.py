"""Dates that are as much later than others as a number says: a loan is due so many months after it was paid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from morelike.codecs._calendar import as_numbers
from morelike.codecs._columns import Column, as_cells
from morelike.codecs._moments import DAY, LATER, SPANS, Seconds, month, month_days
from morelike.codecs._rules import SHOWN, Facts, Rule

LEAST = 20  # rows by which it is told
BETWEEN = {  # what tells how much later a moment is, where it is called otherwise
    "months, on the first": "months on the calendar", "months, on the last": "months on the calendar",
    "hours": "full hours", "minutes": "full minutes", "weeks": "full weeks",
}  # fmt: skip


def laters(facts: Facts, seconds: Mapping[int, Seconds], numbers: Sequence[int]) -> Iterator[Rule]:
    """Dates, in seconds by column, that are so long after others as one of some numbers says, if that is whole."""
    wholes = [place for place in numbers if facts.columns[place].style.decimals == 0]
    for to, b in seconds.items():
        for of, a in ((one, at) for one, at in seconds.items() if one != to):
            for n in wholes:
                number = facts.floats[n]
                there = ~np.isnan(a + number)
                if there.sum() < LEAST or (there == np.isnan(b)).any() or not np.ptp(number[there]):
                    continue
                if np.median((b - a)[there]) < 0:
                    break
                if fits := _later(a[there], number[there], b[there]):
                    (unit, _, when), offset = fits[0].partition(","), fits[1]
                    one, two, three = (f'"{facts.columns[place].name}"' for place in (to, n, of))
                    said = f"{one} is {two}{f' - {-offset:g}' if offset else ''} {unit} after {three}{when}"
                    yield Rule("later", (of, n), to, offset=offset, said=said, unit=fits[0])


def _later(a: Seconds, number: np.ndarray, b: Seconds) -> tuple[str, float] | None:
    """The unit, and what is to be added to a number, 0 or -1, by which it tells how much later b is than a."""
    some = slice(SHOWN)
    for name, later in LATER.items():
        for offset in (0.0, -1.0):
            if (later(a[some], number[some] + offset) == b[some]).all() and (later(a, number + offset) == b).all():
                return name, offset
    return None


def solved(rule: Rule, columns: Sequence[Column], rows: np.ndarray, first: bool) -> tuple[int, np.ndarray]:
    """Of decoded rows (B, C) whose later date is known, which column is worked out from it, and its values (B,): how
    much later that is, if the first date is known too; else the first date."""
    of, n = rule.of
    b, a, number = (as_numbers(rows[:, place]) for place in (rule.to, of, n))
    made, there = np.full(len(rows), np.nan), ~np.isnan(a + b + (0 if first else number))
    x, y, m = (one[there] for one in (a, b, number + rule.offset))
    if first:
        made[there] = SPANS[BETWEEN.get(rule.unit, rule.unit)](x, y) - rule.offset
        return n, columns[n].plain(made)
    if rule.unit.startswith("months,"):  # its day is open
        made[there] = month(y, -m) + month_days(x) * DAY
    else:
        made[there] = LATER[rule.unit](y, -m)
    return of, as_cells(columns[of], made)
