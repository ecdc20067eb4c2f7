"""Tables of text, row by row: JSON lines, a JSON list, CSV, TSV, Parquet, Arrow; every cell becomes clean text."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from morelike.core.errors import DataError
from morelike.data.shards import read_shard
from morelike.data.text_cells import flat
from morelike.data.text_files import File

_ROWS = 2_000  # of a file of Parquet, where only its beginning is read
_WIDEST = 4  # bytes of a character at most


class Row(NamedTuple):
    """One row of a table: where it stands ("poems.jsonl, line 3") and its cells by column."""

    where: str
    cells: dict[str, str]


class Table(NamedTuple):
    """The rows of a file, its columns in their order, and (place, reason) of what could not be read."""

    rows: list[Row]
    columns: list[str]
    problems: list[tuple[str, str]]


def read_table(file: File, most: int | None = None) -> Table:
    """The rows of a table in a file.

    most  characters to read; None for all

    Raises `DataError` where it is no table, and `OSError`.
    """
    if file.kind == "shard":
        found = read_shard(file.place, None if most is None else _ROWS)
        return table((f"{file.name}, row {number}", row) for number, row in enumerate(found, start=1))
    decoded = file.decoded(None if most is None else _WIDEST * most)
    text = decoded.text if most is None else decoded.text[:most].rsplit("\n", 1)[0]
    problems = [(f"{file.name} (encoding)", decoded.problem)] if decoded.problem else []
    if file.kind in ("csv", "tsv"):
        return table(_cells(text, file), problems)
    return table(_json(decoded.text, file) if file.kind == "json" else _lines(text, file), problems)


def table(found: Iterable[tuple[str, Any]], problems: Sequence[tuple[str, str]] = ()) -> Table:
    """A table of records, texts and errors, each with the place where it was found."""
    rows, columns, problems = list[Row](), dict[str, None](), list(problems)
    for where, value in found:
        if isinstance(value, DataError):
            problems.append((where, value.found))
            continue
        cells = flat(value)
        rows.append(Row(where, cells))
        columns.update(dict.fromkeys(cells))
    return Table(rows, list(columns), problems)


def _lines(text: str, file: File) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                value = _bad(f"not JSON: {error}")
            yield f"{file.name}, line {number}", value if isinstance(value, dict | str | DataError) else _bad(_ROW)


_ROW = 'neither a record such as {"text": "..."} nor a text'


def _bad(reason: str) -> DataError:
    return DataError(reason, "One JSON value on each line", "Mend the line")


def _json(text: str, file: File) -> Iterator[tuple[str, Any]]:
    """The rows of a list, of the only list in an object, or of an object of columns."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [value for _, value in _lines(text[: 1 << 16], file)][:2]
        if len(lines) == 2 and not any(isinstance(one, DataError) for one in lines):
            yield from _lines(text, file)  # JSON lines by another name
            return
        raise DataError(f"not JSON: {error}", "a list of records, or one on each line", "Write it again") from None
    if isinstance(value, dict):
        value = rows_of(value)
    if not isinstance(value, list):
        raise DataError("no list of records", 'a list such as [{"text": "..."}, ...]', "Put the records into a list")
    for number, one in enumerate(value, start=1):
        yield f"{file.name}, record {number}", one if isinstance(one, dict | str) else _bad(_ROW)


def rows_of(value: Mapping[str, Any]) -> Any:
    """The rows of an object: its only list of records, its columns, or its only list; None where it has none."""
    lists = {key: one for key, one in value.items() if isinstance(one, list) and one}
    records = [one for one in lists.values() if isinstance(one[0], dict)]
    if len(records) == 1:
        return records[0]
    if len(lists) == len(value) and len({len(one) for one in lists.values()}) == 1:
        return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
    return next(iter(lists.values())) if len(lists) == 1 else None


def _cells(text: str, file: File) -> Iterator[tuple[str, Any]]:
    """The rows of a table that is separated by commas, semicolons or tabs."""
    first = text.split("\n", 1)[0]
    separator = "\t" if file.kind == "tsv" and "\t" in first else max(",;\t", key=first.count)
    rows = _split(text, separator)
    if not rows:
        return
    header = [cell.strip() for cell in rows[0][1]]
    if headed(header):
        rows = rows[1:]
    else:
        header = [f"column {number}" for number in range(1, 1 + max(len(row) for _, row in rows))]
    for number, row in rows:
        yield f"{file.name}, line {number}", dict(zip(header, row, strict=False))


def headed(header: Sequence[str]) -> bool:
    """True where the first row looks like names of columns: all there, different, short and no sentences."""
    if not all(header) or len(set(header)) < len(header):
        return False
    return not any(len(name) > 40 or name.count(" ") > 4 or name[-1] in ".!?。！？" for name in header)


def _split(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Cells of each row that is not blank, and the number of its first line.

    Tables of tabs are often written without quoting: where a quotation mark would swallow lines, it is plain text.
    """
    csv.field_size_limit(sys.maxsize)
    quoted = _parsed(text, separator, csv.QUOTE_MINIMAL)
    if separator == "\t" and '"' in text:
        plain = _parsed(text, separator, csv.QUOTE_NONE)
        if plain and all(len(row) == len(plain[0][1]) for _, row in plain):
            unquote = re.compile(r'^"((?:[^"]|"")*)"$')
            return [(n, [unquote.sub(lambda m: m[1].replace('""', '"'), c) for c in row]) for n, row in plain]
    return quoted


def _parsed(text: str, separator: str, quoting: Any) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
    found, line = [], 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                found.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"no table: {error} in line {line}", "a CSV file", "Save it again as CSV") from None
    return found
