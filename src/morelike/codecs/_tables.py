"""Rows as files, piece by piece, and as HTML."""

from __future__ import annotations

import ast
import csv
import datetime
import json
import re
import tempfile
from collections.abc import Sequence
from html import escape
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np

from morelike.codecs._columns import Column, fresh
from morelike.core.errors import OptionError, missing_extra

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
MOST_XLSX = 1_048_575  # rows of a sheet below its header
MARKS = ",;\t|"  # what may stand between the cells of a .csv
SHOWN = 40  # columns of a row that is shown
_FORMULA = re.compile(r"^(?:[=@\t\r]|[+-](?=.*(?:[^\W\d_][\w.]*\s*\(|[|!])))")  # a phone number is none


class Writer:
    """Writes rows into one file, as many as there come, in constant memory; nothing is left behind when it fails.

    Identifiers are numbered through, so that no two rows of a file have the same, unless `renamed` is false.
    mark  what stands between the cells of a .csv, one of `MARKS`, else a comma
    """

    def __init__(self, columns: Sequence[Column], target: Path, renamed: bool = True, mark: str = "") -> None:
        self.columns, self.target, self.rows, self.renamed = columns, target, 0, renamed
        self.mark = mark if mark in MARKS else ""
        self.kind = target.suffix.lower()
        if self.kind not in SUFFIXES:
            found, expected = f'Rows cannot be written as "{target.name}"', f"A name that ends in {', '.join(SUFFIXES)}"
            raise OptionError(found, expected, "Choose one of these, such as rows.csv")

    def __enter__(self) -> Writer:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.folder = tempfile.TemporaryDirectory(dir=self.target.parent, prefix=".writing-")
            self.part = Path(self.folder.name) / f"rows{self.kind}"
            makers = {".parquet": Shards, ".xlsx": Sheet, ".jsonl": Records}
            self.out: Any = (
                Lines(self.columns, self.part, self.mark if self.kind == ".csv" else "")
                if self.kind not in makers
                else makers[self.kind](self.columns, self.part)
            )
        except OSError as error:
            expected, action = "A folder that can be written to", "Choose another place"
            raise OptionError(f"{self.target} cannot be written: {error.strerror}", expected, action) from None
        return self

    def add(self, rows: np.ndarray) -> None:
        """Append rows (N, C)."""
        if not len(rows):
            return
        rows = renamed(self.columns, rows, self.rows) if self.renamed else np.array(rows, dtype=object)
        self.rows += len(rows)
        self.out.add(rows)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.out.close()
            if kind is None:
                self.part.replace(self.target)
        finally:
            self.folder.cleanup()


class Lines:
    """A file of comma-separated or tab-separated values."""

    def __init__(self, columns: Sequence[Column], path: Path | StringIO, mark: str = "") -> None:
        self.columns = columns
        self.file = path if isinstance(path, StringIO) else path.open("w", encoding="utf-8", newline="")
        mark = mark or ("\t" if isinstance(path, Path) and path.suffix == ".tsv" else ",")
        self.out = csv.writer(self.file, delimiter=mark, lineterminator="\n")
        self.out.writerow([defused(column.name) for column in columns])

    def add(self, rows: np.ndarray) -> None:
        """Append rows (N, C)."""
        told = [self._told(column, rows[:, place].tolist()) for place, column in enumerate(self.columns)]
        self.out.writerows(zip(*told, strict=True))

    def _told(self, column: Column, cells: list[Any]) -> list[str]:
        """Cells as they are written, each different one worked out once."""
        known = {cell: defused(column.say(cell)) if isinstance(cell, str) else column.say(cell) for cell in set(cells)}
        return [known[cell] for cell in cells]

    def close(self) -> None:
        """Write what is left."""
        self.file.close()


class Records:
    """A file with a JSON record on each line."""

    def __init__(self, columns: Sequence[Column], path: Path) -> None:
        self.columns, self.names = columns, [column.name for column in columns]
        self.file = path.open("w", encoding="utf-8")

    def add(self, rows: np.ndarray) -> None:
        """Append rows (N, C)."""
        for row in typed(self.columns, rows).tolist():
            record = dict(zip(self.names, row, strict=True))
            self.file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        """Write what is left."""
        self.file.close()


class Shards:
    """A file of Parquet, put together at the end from one for each piece."""

    def __init__(self, columns: Sequence[Column], path: Path) -> None:
        self.columns, self.path, self.numbers = columns, path, count()
        try:
            import polars
        except ImportError:
            raise missing_extra("polars", "table", "Writing Parquet") from None
        self.polars = polars

    def add(self, rows: np.ndarray) -> None:
        """Append rows (N, C)."""
        framed(self.columns, rows).write_parquet(self.path.with_name(f"part-{next(self.numbers):09d}.parquet"))

    def close(self) -> None:
        """Join the pieces."""
        parts = sorted(self.path.parent.glob("part-*.parquet"))
        if parts:
            self.polars.scan_parquet(parts, glob=False).sink_parquet(self.path)
        else:
            self.add(np.empty((0, len(self.columns)), object))
            next(iter(self.path.parent.glob("part-*.parquet"))).replace(self.path)


def framed(columns: Sequence[Column], rows: np.ndarray) -> Any:
    """Rows (N, C) as a polars frame, of the types that their table has."""
    import polars

    made, rows = [], typed(columns, rows)
    for place, column in enumerate(columns):
        cells, text = rows[:, place].tolist(), column.stored == "String"
        if column.kind == "number" and any(isinstance(one, str) for one in column.values):
            cells, text = [one if one is None or isinstance(one, str) else column.say(one) for one in cells], True
        kind = polars.String if text else getattr(polars, column.dtype, polars.String)
        made.append(stored(polars.Series(column.name, cells, dtype=kind, strict=False), "" if text else column.stored))
    return polars.DataFrame(made)


def typed(columns: Sequence[Column], rows: np.ndarray) -> np.ndarray:
    """Rows (N, C) in which numbers and dates are text where they are so in a table that has types."""
    rows = np.array(rows, dtype=object)
    for place, column in enumerate(columns):
        if column.stored == "String":
            own = rows[:, place].tolist()
            rows[:, place] = [column.say(one) if one is not None or column.hole else None for one in own]
    return rows


def stored(series: Any, kind: str) -> Any:
    """A polars column of the type that its table had: a time zone, decimals, spans of time, categories."""
    import polars

    if (listed := _listed(kind)) is not None:
        return polars.Series(series.name, [None if one is None else json.loads(one) for one in series], dtype=listed)
    if parts := re.match(r"Datetime\(time_unit='(\w+)', time_zone=(?:None|'(.*)')\)", kind):
        series = series.cast(polars.Datetime(cast(Any, parts[1])))
        return series.dt.replace_time_zone(parts[2], ambiguous="earliest", non_existent="null") if parts[2] else series
    if parts := re.match(r"Duration\(time_unit='(\w+)'\)", kind):
        return (series * 1e6).round().cast(polars.Int64).cast(polars.Duration("us")).cast(
            polars.Duration(cast(Any, parts[1])))  # fmt: skip
    if parts := re.match(r"Decimal\(precision=(\d+), scale=(\d+)\)", kind):
        return series.cast(polars.Decimal(int(parts[1]), int(parts[2])), strict=False)
    if parts := re.match(r"Enum\(categories=(\[.*\])\)", kind):
        return series.cast(polars.Enum(ast.literal_eval(parts[1])), strict=False)
    return series.cast(polars.Categorical) if kind.startswith(("Categorical", "Enum")) else series


def _listed(kind: str) -> Any | None:
    """The type of lists of numbers, words, truths or lists that is called so; None for another one."""
    import polars

    if parts := re.fullmatch(r"List\((.*)\)", kind):
        inner = _listed(parts[1])
        plain = re.fullmatch(r"U?Int\d+|Float\d+|String|Boolean", parts[1])
        return polars.List(inner or getattr(polars, parts[1])) if plain or inner is not None else None
    if parts := re.fullmatch(r"Array\((U?Int\d+|Float\d+|String|Boolean), shape=\((\d+),\)\)", kind):
        return polars.Array(getattr(polars, parts[1]), int(parts[2]))
    return None


class Sheet:
    """A workbook with one sheet."""

    def __init__(self, columns: Sequence[Column], path: Path) -> None:
        try:
            import xlsxwriter
        except ImportError:
            raise missing_extra("xlsxwriter", "table", "Writing Excel files") from None
        options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        self.book = xlsxwriter.Workbook(str(path), options)
        self.sheet, self.rows = self.book.add_worksheet(), 0
        for place, column in enumerate(columns):
            self.sheet.write_string(0, place, column.name)

    def add(self, rows: np.ndarray) -> None:
        """Append rows (N, C)."""
        if self.rows + len(rows) > MOST_XLSX:
            expected = f"At most {MOST_XLSX:,} in a sheet"
            raise OptionError(f"{self.rows + len(rows):,} rows", expected, "Write .csv or .parquet instead")
        for row in rows.tolist():
            self.rows += 1
            for place, cell in enumerate(row):
                self._cell(place, cell)

    def _cell(self, place: int, cell: Any) -> None:
        if isinstance(cell, bool):
            self.sheet.write_boolean(self.rows, place, cell)
        elif isinstance(cell, int | float):
            self.sheet.write_number(self.rows, place, cell)
        elif isinstance(cell, datetime.date) and cell.year >= 1900:
            self.sheet.write_datetime(self.rows, place, cell)
        elif cell is not None:
            self.sheet.write_string(self.rows, place, str(cell))  # a text is never taken for a formula

    def close(self) -> None:
        """Write what is left."""
        self.book.close()


def renamed(columns: Sequence[Column], rows: np.ndarray, first: int = 0) -> np.ndarray:
    """Rows (N, C) with identifiers made up afresh, those of rows `first`, `first` + 1, … of a file."""
    rows = np.array(rows, dtype=object)
    for place, column in enumerate(columns):
        if column.kind == "identifier":
            rows[:, place] = fresh(column, range(first, first + len(rows)))
    return rows


def unnamed(columns: Sequence[Column], rows: np.ndarray) -> np.ndarray:
    """Rows (N, C) with identifiers in the place of missing ones, each of which is nowhere else."""
    rows = rows.copy()
    for place, column in enumerate(columns):
        if column.kind == "identifier":
            own, lacking = set(rows[:, place].tolist()), np.flatnonzero(rows[:, place] == None)  # noqa: E711
            new = [one for one in fresh(column, range(len(rows) + len(own))).tolist() if one not in own]
            rows[lacking, place] = new[: len(lacking)]
    return rows


def defused(text: str) -> str:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it."""
    return "'" + text if _FORMULA.match(text) else text


def joined(columns: Sequence[Column], rows: np.ndarray) -> str:
    """Rows as lines of text, with their header."""
    out = StringIO()
    Lines(columns, out).add(rows)
    return out.getvalue().rstrip("\n")


def html(columns: Sequence[Column], rows: np.ndarray) -> list[str]:
    """Each row as `<table class="item">`, a line for each column."""
    found = []
    for row in rows:
        cells = zip(columns[:SHOWN], row.tolist(), strict=False)
        lines = "".join(f"<tr><th>{escape(c.name)}</th><td>{escape(c.say(cell))}</td></tr>" for c, cell in cells)
        more = f'<tr><td colspan="2">and {len(columns) - SHOWN:,} more</td></tr>' if len(columns) > SHOWN else ""
        found.append(f'<table class="item">{lines}{more}</table>')
    return found
