"""Tables as the measures see them: cells as a user reads them, and the same as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import torch
from torch import Tensor

NUMERIC, CATEGORICAL = ("number", "date"), ("category", "boolean", "constant")  # the other kinds are not compared


@dataclass(frozen=True)
class Sheet:
    """Rows of a table as a codec decodes them.

    columns  (C,) names
    kinds    (C,) of each: number | category | boolean | date | text | identifier | constant
    cells    (N, C) objects: int, float, str, bool, date or datetime; None where a value is missing
    """

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True)
class Rows:
    """The rows that are compared: what was made, what was trained on, and what was held out."""

    made: Sheet
    train: Sheet
    held: Sheet

    def only(self, made: Tensor, train: Tensor, held: Tensor) -> Rows:
        """Some rows of each, by int64 indices."""
        kept = zip((self.made, self.train, self.held), (made, train, held), strict=True)
        return Rows(*(replace(one, cells=one.cells[rows.numpy()]) for one, rows in kept))


@dataclass(frozen=True)
class Column:
    """One column that is compared.

    place    among the columns of the sheet
    numeric  whether its values are numbers or points in time; else they are categories
    values   of a category, the one that each code stands for, the most frequent of the real ones first
    """

    name: str
    kind: str
    place: int
    numeric: bool
    values: tuple[Any, ...] = ()


def columns_of(rows: Rows) -> list[Column]:
    """The columns that can be compared: all but identifiers, free text, and those of which no real row has a value."""
    sheet, found = rows.train, []
    for place, (name, kind) in enumerate(zip(sheet.columns, sheet.kinds, strict=True)):
        real = np.concatenate([rows.train.cells[:, place], rows.held.cells[:, place]])
        if kind in NUMERIC and np.isfinite(numbers(real)).any():
            found.append(Column(name, kind, place, True))
        elif kind in CATEGORICAL and any(one is not None for one in real):
            count = Counter(one for one in real.tolist() if one is not None)
            new = dict.fromkeys(one for one in rows.made.cells[:, place].tolist() if one is not None)
            known = [value for value, _ in sorted(count.items(), key=lambda pair: (-pair[1], str(pair[0])))]
            found.append(Column(name, kind, place, False, (*known, *(one for one in new if one not in count))))
    return found


def coded(sheet: Sheet, columns: Sequence[Column]) -> Tensor:
    """A sheet as doubles (N, C): numbers, seconds since 1970, or codes of categories; NaN where one is missing."""
    found = [numbers(sheet.cells[:, one.place]) if one.numeric else codes(sheet.cells[:, one.place], one.values)
             for one in columns]  # fmt: skip
    return torch.from_numpy(np.stack(found, 1) if found else np.zeros((len(sheet), 0)))


def numbers(cells: np.ndarray) -> np.ndarray:
    """Cells (N,) as doubles; NaN for those that are missing, no numbers, or infinite."""
    try:
        found = cells.astype(np.float64)
    except (TypeError, ValueError):
        found = np.array([_number(one) for one in cells.tolist()], dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def codes(cells: np.ndarray, values: Sequence[Any]) -> np.ndarray:
    """Cells (N,) as numbers of their values, double; NaN for those that are missing or unknown."""
    known = {value: float(code) for code, value in enumerate(values)}
    return np.array([known.get(one, np.nan) for one in cells.tolist()], dtype=np.float64)


def written(value: Any, digits: int = 6) -> str:
    """A cell for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{digits}g}" if abs(value) < 1e15 and value != int(value) else f"{value:.0f}"
    if isinstance(value, datetime) and value.time() == time():
        return str(value.date())
    return str(value)


def _number(value: Any) -> float:
    """A number or a point in time as a float; NaN where it is neither."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan
