"""What is in a column of a table, and how it is to be fitted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from morelike.codecs._bins import Resolution
from morelike.codecs._columns import Column, Value, missing, texts


@dataclass(frozen=True)
class Wish:
    """How columns are to be fitted.

    resolution  how finely numbers are told apart
    rare        times that a value is there, below which it shares a number with others
    kind        that the user has named, "" to guess
    parts       whether a cell may be taken for several numbers
    typed       whether the source has types, so that its text stays text where it holds numbers or dates
    """

    resolution: Resolution
    rare: int
    kind: str = ""
    parts: bool = False
    typed: bool = False


@dataclass(frozen=True)
class Seen:
    """Different cells of a column, as text, most frequent first, without the missing ones, and how often each is there.

    cells    the column itself; `rows`, how many it has
    hole     how missing cells are written, and `holes`, how many there are
    """

    name: str
    cells: Any
    text: Any
    counts: np.ndarray
    hole: str
    holes: int

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def written(self) -> bool:
        return str(self.cells.dtype) == "String"


def see(name: str, cells: Any) -> Seen:
    """What is in a column."""
    pl = library()
    if cells.dtype in (pl.Float32, pl.Float64):
        cells = cells.fill_nan(None)
    text = texts(cells) if cells.dtype.is_(pl.String) or not cells.dtype.is_numeric() else cells
    found = text.rename("text").value_counts(sort=True)
    if text.dtype != pl.String:
        found = found.with_columns(found["text"].cast(pl.String))
    bad = missing(found["text"])
    gone = found.filter(bad)
    hole = (gone["text"].drop_nulls().to_list() or [""])[0]
    found = found.filter(~bad).sort(["count", "text"], descending=[True, False])
    return Seen(name, cells, found["text"], found["count"].to_numpy().astype(np.int64), hole, int(gone["count"].sum()))


def library() -> Any:
    """The module polars."""
    import polars

    return polars


def base(seen: Seen, kind: str, said: str, dtype: str = "") -> Column:
    """A column with what all kinds have in common."""
    dtype = dtype or (str(seen.cells.dtype) if not seen.written else "String")
    gone = f", {seen.holes:,} missing" if seen.holes else ""
    return Column(seen.name, kind, re.sub(r"\(.*", "", dtype), seen.written, holes=seen.holes > 0, hole=seen.hole,
                  said=f"{said}{gone}")  # fmt: skip


def value_of(seen: Seen, text: str) -> Value:
    """A cell from its text, of the column's type."""
    kind = str(seen.cells.dtype)
    if kind == "Boolean":
        return text == "true"
    if kind.startswith(("Int", "UInt")):
        return int(text)
    return float(text) if kind.startswith("Float") else text
