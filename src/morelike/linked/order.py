"""The order in which rows stand in a file: that of their days, where those of several owners lie mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from morelike.codecs._bins import resolution
from morelike.codecs._found import natural
from morelike.codecs._kinds import guess
from morelike.codecs._seen import Wish
from morelike.measure.table.sheet import numbers

MIXED = 0.1  # share of rows behind one of another owner, beyond one for each owner, from which they lie mixed
SORTED = 0.99  # share of rows that do not go back
LOOK = 20_000  # rows, at the beginning, by which that is told


def order_of(frame: Any, owner: np.ndarray) -> dict[str, Any]:
    """The date or moment by which rows stand, {"column", "falling"}; {} where each owner's stand together, or there is
    none.

    frame  rows as a polars frame
    owner  (N,) whose each is, -1 for nobody's
    """
    frame, owner = frame[:LOOK], owner[:LOOK]
    turns = np.count_nonzero(np.diff(owner)) + 1 - len(np.unique(owner))
    if turns < MIXED * len(owner):
        return {}
    wish = Wish(resolution(frame.height, frame.width), 2)
    for name in frame.columns:
        column = guess(name, frame[name], wish)
        if column.kind == "date":
            steps = np.diff(numbers(natural(column, frame[name])))
            for falling, way in ((False, steps), (True, -steps)):
                if (way > 0).any() and (way >= 0).sum() >= SORTED * len(frame):
                    return {"column": name, "falling": falling}
    return {}


def said(order: Mapping[str, Any]) -> tuple[str, ...]:
    """The order in words; none for nothing."""
    way = ", the last one first" if order and order["falling"] else ""
    return (f'Rows stand in order of "{order["column"]}"{way}: new ones do, too',) if order else ()


def placed(cells: np.ndarray, falling: bool) -> np.ndarray:
    """The places of rows in order of these dates (N,), those of one date as they were made, or all the other way round;
    those without one come last."""
    value = numbers(cells)
    at = np.argsort(value, kind="stable")
    known, rest = np.split(at, [np.count_nonzero(~np.isnan(value))])
    return np.concatenate([known[::-1], rest]) if falling else at
