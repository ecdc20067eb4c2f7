"""Tables that are written as JSON: a record on each line, a list of records, or an object of columns."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morelike.core.errors import DataError, missing_extra
from morelike.data.listing import printable, why
from morelike.data.text_encoding import decode
from morelike.data.text_rows import rows_of

RECORDS = (".jsonl", ".ndjson", ".json")
EXPECTED = 'A record such as {"age": 31, "group": "b"} on each line, or a list of them'
Read = tuple[Any, list[tuple[str, str]], np.ndarray | None]


def read_json(path: Path, most: int | None = None) -> Read:
    """A polars frame, the records that could not be read with the reason, and the line of each row.

    Records within a record become columns: {"user": {"age": 31}} is "user.age". A list is its JSON. A column holds the
    type that its values have: whole numbers, numbers, true and false, or text where they differ.

    most  rows to read; None for all

    Raises `DataError` where there are no records.
    """
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            text = decode(file.read()).text
    except (OSError, EOFError) as error:
        raise DataError(f"{printable(path)} cannot be read: {why(error)}", EXPECTED, "Copy it again") from None
    name, problems = printable(path.name), list[tuple[str, str]]()
    records, lines = list[dict[str, Any]](), list[int]()
    whole = _whole(text)
    found = _of_lines(text) if whole is None else enumerate(whole, start=1)
    unit = "line" if whole is None else "record"
    for number, value in found:
        if isinstance(value, Mapping):
            records.append(unfolded(value))
            lines.append(number)
        else:
            problems.append((f"{name}, {unit} {number}", value if isinstance(value, str) else "no record"))
        if most is not None and len(records) >= most:
            break
    if not records:
        raise DataError(f"{printable(path)} holds no records", EXPECTED, "Write it again")
    return frame(records), problems, np.array(lines) if whole is None else None


def unfolded(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A record without records within it."""
    cells = dict[str, Any]()
    for key, value in record.items():
        cells |= unfolded(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return cells


def frame(records: Sequence[Mapping[str, Any]]) -> Any:
    """Records as a polars frame, null where one lacks a column."""
    try:
        import polars
    except ImportError:
        raise missing_extra("polars", "table", "Reading tables") from None
    names = dict.fromkeys(name for record in records for name in record)
    return polars.DataFrame([_column(name, [record.get(name) for record in records]) for name in names])


def _column(name: str, cells: Sequence[Any]) -> Any:
    import polars

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {bool}:
        return polars.Series(name, cells, polars.Boolean)
    if kinds == {int} and max(abs(cell) for cell in cells if cell is not None) < 2**63:
        return polars.Series(name, cells, polars.Int64)
    if kinds and kinds <= {int, float}:
        return polars.Series(name, [None if cell is None else float(cell) for cell in cells], polars.Float64)
    told = [cell if cell is None or isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in cells]
    return polars.Series(name, told, polars.String)


def _whole(text: str) -> list[Any] | None:
    """The records of a text that is one JSON value, None for one that is not."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = rows_of(value) if isinstance(value, Mapping) else value
    return value if isinstance(value, list) else None


def _of_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, f"not JSON: {error}"
