"""Frames of pandas as frames of polars: names, index and types are kept, as far as polars has them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

_NUMERIC = re.compile(r"(?:Sparse\[)?(u?int|float|double)(8|16|32|64|)\b", re.I)
_SPOKEN = ("Datetime", "Period", "Timedelta")  # indices that say when, and not only in which row
_PLAIN = (str, int, float, bool, bytes, datetime.date, datetime.time, datetime.timedelta, Decimal, list, dict)


def of_pandas(frame: Any) -> Any:
    """A polars frame of the columns of a pandas frame, before which stand those of its index that are named, or hold
    dates or words; a column with several names has them joined, "Sales Net", and equal names are told apart later.

    Categories of words become an Enum; integers, also those that may lack, and floats keep their width. Cells of a type
    that polars has not, such as intervals, and cells of several types become text.
    """
    import polars

    index = frame.index
    levels = [(name, index.get_level_values(place)) for place, name in enumerate(index.names)]
    levels = [(name, cells) for name, cells in levels if name is not None or len(levels) > 1 or _speaks(cells)]
    found = [("index" if name is None else _name(name), cells) for name, cells in levels]
    found += [(_name(name), frame.iloc[:, place]) for place, name in enumerate(frame.columns)]
    made, seen = list[Any](), dict[str, int]()
    for name, cells in found:
        seen[name] = seen.get(name, -1) + 1
        made.append(_column(cells).alias(name + "\0" * seen[name]))  # as in tables of text
    return polars.DataFrame(made)


def _speaks(cells: Any) -> bool:
    return type(cells).__name__.startswith(_SPOKEN) or any(isinstance(one, str) for one in cells[:1].tolist())


def _name(name: Any) -> str:
    return " ".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name)


def _column(series: Any) -> Any:
    import polars

    kind, cells = series.dtype, [bare(one) for one in series.tolist()]
    if str(kind) == "category":
        known = [bare(one) for one in kind.categories.tolist()]
        if known and all(isinstance(one, str) and one for one in known):
            return polars.Series(cells, dtype=polars.Enum(known))
    elif numeric := _NUMERIC.match(str(kind)):
        name = "Float" if numeric[1] in ("float", "double", "Float") else numeric[1].replace("u", "U").replace("i", "I")
        name = "UInt" if name.upper() == "UINT" else name
        width = numeric[2] or ("64" if numeric[1] != "float" or "pyarrow" not in str(kind) else "32")
        return polars.Series(cells, dtype=getattr(polars, name + width), strict=False)
    return plain(cells)


def plain(cells: Sequence[Any]) -> Any:
    """Cells of Python as a polars column: text where they are of several types, or of one that polars has not."""
    import polars

    kinds = {type(one) for one in cells if one is not None}
    if kinds <= {int, float} and float in kinds:
        return polars.Series([None if one is None else float(one) for one in cells], dtype=polars.Float64)
    if kinds == {datetime.date, datetime.datetime}:
        cells = [midnight(one) for one in cells]
        kinds = {datetime.datetime}
    if len(kinds) <= 1 and all(issubclass(one, _PLAIN) for one in kinds):
        try:
            found = polars.Series(list(cells), strict=False)
            if found.dtype != polars.Object and found.null_count() == sum(one is None for one in cells):
                return found
        except (TypeError, OverflowError, ValueError, polars.exceptions.PolarsError):
            pass  # such as numbers too long for it
    return polars.Series([None if one is None else str(one) for one in cells], dtype=polars.String)


def midnight(cell: Any) -> Any:
    """A day as its first moment; others as they are."""
    plain_day = isinstance(cell, datetime.date) and not isinstance(cell, datetime.datetime)
    return datetime.datetime.combine(cell, datetime.time()) if plain_day else cell


def bare(cell: Any) -> Any:
    """A cell of pandas or numpy as Python's own, None where it is missing."""
    if isinstance(cell, np.generic | np.ndarray):
        cell = cell.tolist()
    if type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell):
        return None
    for name in ("to_pydatetime", "to_pytimedelta"):
        if hasattr(cell, name):
            return getattr(cell, name)()
    return cell
