"""Rows of which several belong to one owner, whose columns stand in all of them: visits of a patient, say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from morelike.codecs._columns import Column
from morelike.codecs._seen import Wish, library
from morelike.core.codec import TOGETHER
from morelike.core.errors import unknown

EACH = 17  # owners that have each part of a date, on average
RARE = 5  # owners that have a value, below which it shares a cell's value with others


def owned(columns: Sequence[Column], prefix: str) -> frozenset[int]:
    """Numbers of the columns that tell of an owner: those whose names begin so; none for ""."""
    return frozenset(place for place, one in enumerate(columns) if prefix and one.name.startswith(prefix))


def owners(table: Any, together: str) -> Any:
    """One row of each owner, by the column that names it; the table itself, a polars frame, for ""."""
    return table if not together else table.unique(_known(table, together), keep="first", maintain_order=True)


def alike(table: Any, together: str, prefix: str) -> frozenset[str]:
    """The columns that tell of an owner and are the same in all its rows: not what is remembered of those before."""
    names = [name for name in table.columns if prefix and name.startswith(prefix)]
    if not names or not together:
        return frozenset(names)
    most = table.select(_known(table, together), *names).group_by(together).n_unique().max()
    return frozenset(name for name in names if most[name][0] in (None, 1))


def coarser(wish: Wish) -> Wish:
    """How columns of owners are fitted: rows of one owner are alike in them all, and fine parts would only name it."""
    return replace(wish, resolution=replace(wish.resolution, fine=1), rare=max(RARE, wish.rare))


def coarse_date(column: Column, count: int) -> Column:
    """A column of dates of so many owners with as many parts, the year first, as do not name them; others as they are.

    The others are those of one date: a column of an owner is given, never made.
    """
    if column.kind != "date":
        return column
    parts, room = list[tuple[int, ...]](), count / EACH
    for values in column.parts:
        told = len(values) <= room or all(len(one) == 1 for one in parts)
        room = room / len(values) if told else 0
        parts.append(values if told else values[len(values) // 2 :][:1])
    return replace(column, parts=tuple(parts))


def shared(table: Any, together: str) -> list[dict[str, str]]:
    """Of each row the field `TOGETHER`, the name of its owner; [] for ""."""
    if not together:
        return []
    return [{TOGETHER: one or ""} for one in table[_known(table, together)].cast(library().String).to_list()]


def _known(table: Any, name: str) -> str:
    if name not in table.columns:
        raise unknown("column", name, table.columns)
    return name
