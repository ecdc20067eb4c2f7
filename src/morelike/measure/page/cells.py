"""Rows of a table as the cells of an HTML table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from morelike.measure.table.sheet import written

LETTERS = 20  # of a cell


def cells(row: Sequence[Any], other: Sequence[Any] | None = None) -> str:
    """One row; cells that differ from those of the other one are marked."""
    found = []
    for place, value in enumerate(row):
        told = written(value)
        told = (
            escape(told if len(told) <= LETTERS else told[: LETTERS - 1] + "…") or '<span class="gone">missing</span>'
        )
        if other is not None and value != other[place]:
            told = f"<mark>{told}</mark>"
        right = isinstance(value, int | float) and not isinstance(value, bool)
        found.append(f'<td class="number">{told}</td>' if right else f"<td>{told}</td>")
    return "".join(found)
