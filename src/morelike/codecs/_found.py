"""Cells of a table as they are there, in the kinds of values that samples have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from morelike.codecs._calendar import as_date
from morelike.codecs._columns import Column, missing, texts
from morelike.core.codec import Item
from morelike.core.errors import missing_extra


def natural(column: Column, cells: Any) -> np.ndarray:
    """A polars column -> objects (N,): int, float, str, bool or date, None for what is missing or cannot be read."""
    if column.kind == "number":
        return column.plain(column.floats(cells))
    if column.kind == "date":
        return _dates(column, column.moments(cells).to_list())
    text = texts(cells)
    found = np.array(text.to_list() or [None], dtype=object)[: len(text)]
    if column.kind in ("category", "boolean"):
        known = {column.say(value): value for value in (*column.values, *column.rare)}
        found[:] = [known.get(one, one) for one in found.tolist()]
    found[missing(text).to_numpy()] = None
    return found


def natural_rows(columns: Sequence[Column], table: Any, rows: np.ndarray) -> np.ndarray:
    """Some rows (n,) of a polars frame as they are there, objects (n, C), None in columns that it lacks."""
    found, there = np.full((len(rows), len(columns)), None, object), set(table.columns)
    for number, column in enumerate(columns):
        if column.name in there:
            found[:, number] = natural(column, table[column.name][rows])
    return found


def _dates(column: Column, moments: list[Any]) -> np.ndarray:
    """Moments (N,) of which some are None, as dates, times or both."""
    found = np.empty(len(moments), dtype=object)
    for row, one in enumerate(moments):
        if one is not None:
            parts = (one.year, one.month, one.day, one.hour, one.minute, one.second, one.microsecond)
            found[row] = as_date(parts, column.dtype)
    return found


def as_table(items: Sequence[Item]) -> Any:
    """The rows of some items as a polars frame. Raises `OptionError` where polars is missing."""
    try:
        import polars
    except ImportError:
        raise missing_extra("polars", "table", "Reading tables") from None
    whole = getattr(items, "table", None)
    if isinstance(whole, polars.DataFrame):
        return whole
    return polars.DataFrame([dict(item.load()) for item in items], infer_schema_length=None, strict=False)


def as_texts(cells: Sequence[str | None]) -> Any:
    """A polars column of texts."""
    import polars

    return polars.Series(cells, dtype=polars.String)
