"""Pictures named by a table: a CSV with a column of files and, where there is one, a column of labels."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from morelike.core.codec import Item
from morelike.core.errors import DataError
from morelike.data.listing import Source, fingerprint, mark, open_picture, printable, why

FILES = ("file", "filename", "file_name", "image", "path", "img")
LABELS = ("label", "class", "category", "species")
_MOST = 256 << 20  # bytes of a table


def picture_column(path: Path) -> str | None:
    """The column of a table that names pictures, or None where there is no such column."""
    try:
        with open(path, "rb") as file:
            head = file.read(64 << 10)
        return _column(_rows(head, path)[0], FILES)
    except (DataError, OSError):
        return None


def open_table(path: Path) -> Source:
    """The pictures that a CSV names in its column file, filename, image or path, relative to the CSV.

    The column label, class or category becomes the label; the others keep their names. Each row is an item. Rows
    without a file, and files that are missing, are problems. Raises `DataError` when there is no column of files.
    """
    name = printable(path)
    if path.stat().st_size > _MOST:
        raise DataError(f"{name} has {path.stat().st_size / 2**20:,.0f} MiB", f"At most {_MOST >> 20} MiB", "Split it")
    data = path.read_bytes()
    header, *rows = _rows(data, path)
    files = _column(header, FILES)
    if files is None:
        raise DataError(
            f"{name} has the columns {printable(', '.join(header))[:200]}",
            "A column file, filename, image or path",
            "Name the column of picture files so in the first line",
        )
    items, problems = [], []
    marks: list[object] = [data]
    for number, row in enumerate(rows, start=2):
        record = dict(zip(header, row, strict=False))
        file = record.pop(files, "").strip()
        problem = _problem(path, file)
        if problem:
            problems.append((f"{printable(path.name)} row {number}: {printable(file)}", problem))
            continue
        target = path.parent / file
        items.append(Item(printable(file), partial(open_picture, str(target)), _fields(record, header)))
        marks += mark(os.stat(target))
    return Source(name, items, fingerprint("table", marks), problems)


def _problem(path: Path, file: str) -> str | None:
    if not file:
        return "no file is named"
    if "://" in file:
        return "a web address; only files on this machine are read"
    try:
        return None if (path.parent / file).is_file() else "there is no such file"
    except (OSError, ValueError) as error:
        return why(error)


def _fields(record: dict[str, str], header: Sequence[str]) -> dict[str, str]:
    label = _column(header, LABELS)
    fields = {printable(key): printable(value.strip()) for key, value in record.items() if key and value.strip()}
    if label is not None and fields.get(printable(label)):
        fields["label"] = fields[printable(label)]
    return fields


def _column(header: Sequence[str], known: Sequence[str]) -> str | None:
    """The first of the known names, in their order, that the header has."""
    lower = {name.strip().lower(): name for name in reversed(header)}
    return next((lower[name] for name in known if name in lower), None)


def _rows(data: bytes, path: Path) -> list[list[str]]:
    """The cells of a table that is separated by commas, semicolons or tabs; the header is never missing."""
    text = data.decode("utf-8-sig", "surrogateescape")
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise DataError(
            f"{printable(path)} cannot be read as a table: {error}", "A CSV file", "Save it again as CSV"
        ) from None
    if not rows:
        raise DataError(
            f"{printable(path)} is empty", "A line of column names, then one line for each picture", "Fill it"
        )
    return rows
