"""Tables of numbers and categories: CSV, Parquet, Excel, databases, frames; an item is a row."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import DataError, missing_extra
from morelike.data.frame_base import MARK
from morelike.data.frame_csv import read_csv, separator_of
from morelike.data.frame_head import is_value
from morelike.data.frame_json import RECORDS, read_json
from morelike.data.frame_ts import ENDING, read_ts
from morelike.data.listing import Lazy, Source, fingerprint, has_signature, mark, printable, why
from morelike.data.text_columns import is_molecules, is_short, is_wordy, named_text

FORMAT = 1  # raised when the same files come to give other rows
WRITTEN = (".csv", ".tsv", ".txt", ".tab", ".data", ".dat")
BOOKS, BASES = (".xlsx", ".xlsm", ".xls", ".ods"), (".db", ".sqlite", ".sqlite3", ".db3")
EXPECTED = "A table: .csv, .tsv, .jsonl, .parquet, .xlsx, a SQLite file, or a database's URL and a query: URL::QUERY"
PART = "::"  # between a file or database, and the table, sheet or query in it
_MANY = 3  # columns beside text from which a file that could be read as text is a table
_WIDE = 6  # such columns from which notes in whole sentences beside them are no more what the table is about
_LOOK = 2_000  # rows by which it is told whether a file is a table of numbers and categories


class Frame(Lazy):
    """The rows of a table, each an item whose `load` gives its cells by column.

    table  polars frame, in which cells are text or of the types that the file has
    name   of the file, for the names of the rows
    lines  (N,) line of the file in which each row begins; None where a file has no lines
    mark   what stands between its cells, with which new rows are written too; "" where nothing does
    typed  whether its cells have types, so that text is text
    """

    typed = False

    def __init__(self, table: Any, name: str, lines: np.ndarray | None = None) -> None:
        super().__init__(table.height, lambda row: Item(self.where(row), partial(self.table.row, row, named=True)))
        self.table, self.name, self.lines = table, name, lines

    def where(self, row: int) -> str:
        """Name of a row: "adult.csv, line 17"."""
        return f"{self._prefix}{row + 1 if self.lines is None else int(self.lines[row])}"

    @property
    def names(self) -> list[str]:
        """Names of all rows."""
        numbers = range(1, 1 + len(self)) if self.lines is None else self.lines.tolist()
        prefix = self._prefix
        return [prefix + str(number) for number in numbers]

    @property
    def _prefix(self) -> str:
        return f"{self.name}, {'row' if self.lines is None else 'line'} "


def library() -> Any:
    """The module polars; an `OptionError` that names the extra where it is missing."""
    try:
        import polars
    except ImportError:
        raise missing_extra("polars", "table", "Reading tables") from None
    return polars


def is_url(place: str) -> bool:
    """Whether a place is the URL of a database, or a variable of the environment that holds one."""
    return "://" in place or (place.startswith("$") and "://" in os.path.expandvars(place))


def has_polars() -> bool:
    """Whether tables can be read."""
    return find_spec("polars") is not None


def is_frame(path: Path, text: bool = False) -> bool:
    """True for a file that is a table, none of whose columns is text to learn or holds pictures, by its beginning;
    names and titles are no such text.

    text  whether it could be read as text as well: it is a table then where `_MANY` columns or more are beside those of
          text, and half of these hold numbers or dates
    """
    frame = first_rows(path)
    if frame is None:
        return False
    wordy = [one for one in frame.get_columns() if _is_text(one)]
    others = frame.width - len(wordy)
    names = not set(named_text(frame.columns)) & {one.name for one in wordy}
    names &= all(_is_names(one) or (others >= _WIDE and _is_prose(one)) for one in wordy)
    if not text:
        return frame.width > 1 and names
    numeric = sum(_is_numeric(one) for one in frame.get_columns())
    return names and others >= _MANY and numeric >= 0.5 * others


def first_rows(path: Path) -> Any | None:
    """Some rows of a file, a polars frame; None where it is no table."""
    try:
        return _read(path, "", _LOOK)[0]
    except (DataError, OSError):
        return None


def _is_text(column: Any) -> bool:
    """Whether a column holds text to learn, or files or turns of dialogues."""
    pl = library()
    if column.dtype == pl.String:
        cells = column.drop_nulls().to_list()
        return is_wordy(cells) or is_molecules(cells)
    listed = isinstance(column.dtype, pl.List | pl.Array)
    inner = column.dtype.inner if listed else column.dtype
    if inner == pl.Struct:  # turns of a dialogue, or a file of another kind
        return listed or "bytes" in [one.name for one in inner.fields]
    return inner == pl.Binary and any(map(has_signature, column.drop_nulls().head(20).to_list()))


def _is_names(column: Any) -> bool:
    if column.dtype != library().String:
        return False
    cells = column.drop_nulls().to_list()
    return is_short(cells) and not is_molecules(cells)


def _is_prose(column: Any) -> bool:
    return column.dtype == library().String and not is_molecules(column.drop_nulls().to_list())


def _is_numeric(column: Any) -> bool:
    """Whether the cells of a column are numbers, dates or times."""
    pl = library()
    if column.dtype != pl.String:
        return not column.dtype.is_nested()
    cells = column.drop_nulls().head(200).to_list()
    return sum(map(is_value, cells)) >= 0.9 * len(cells)


def open_frame(source: str | Path, least: int = 2) -> Source:
    """The rows of a table, each of which gives its cells by column.

    least   rows that it has to hold
    source  a file; "book.xlsx::Sheet2", "clinic.db::visits" or "clinic.db::select * from visits"; the URL of a
            database that SQLAlchemy knows, or a variable that holds it ("$CLINIC"), with "::" and a query

    Raises `DataError` where there are fewer rows or no columns, and `OptionError` for a missing library.
    """
    place, _, part = str(source).partition(PART)
    if is_url(place):
        from morelike.data.frame_base import read_url

        table, problems, lines, stamp = *read_url(place, part), None, fingerprint("url", (place, part))
    else:
        path = Path(place).expanduser()
        if not path.is_file():
            raise DataError(f"There is no file {printable(path)}", EXPECTED, "Check the name")
        table, problems, lines = _read(path, part)
        stamp = fingerprint("frame", (FORMAT, path.name, part, *mark(os.stat(path))))
    name, path = printable(source), Path(place)
    if table.height < least:
        rows = "one row" if table.height else "no rows"
        more = f" ({len(problems):,} left out: {problems[0][1]})" if problems else ""
        expected = "At least two, and better a thousand" if least > 1 else "At least one below the names of the columns"
        raise DataError(f"{name} holds {rows}{more}", expected, "Name another table")
    table, renamed = unique_names(unfolded(table))
    problems += [(f"{name} (header)", said) for said in renamed]
    frame = Frame(table, printable(path.name), lines)
    if lines is not None and not path.name.lower().removesuffix(".gz").endswith(RECORDS):
        frame.mark = separator_of(path.expanduser())
    elif path.suffix == ".parquet":
        frame.mark = library().read_parquet_metadata(path.expanduser()).get(MARK, "")
    frame.typed = not frame.mark
    return Source(name, frame, stamp, problems, codec="table")


def unfolded(table: Any) -> Any:
    """The table with a column for each field of a record: "user.age"."""
    pl = library()
    while folded := [one.name for one in table.get_columns() if one.dtype == pl.Struct]:
        for name in folded:
            fields = [(field.name, f"{name}.{field.name}") for field in table[name].dtype.fields]
            place = table.columns.index(name)
            for at, (inner, outer) in enumerate(fields, start=place + 1):
                while outer in table.columns:
                    outer += "\0"  # told apart by `unique_names`
                table.insert_column(at, table[name].struct.field(inner).alias(outer))
            table = table.drop(name)
    return table


def unique_names(table: Any) -> tuple[Any, list[str]]:
    """The table with a name of its own for each column, and what was changed; names that differ stay as they are."""
    names, told = list[str](), list[str]()
    for number, name in enumerate(table.columns, start=1):
        plain = name.strip().replace("\0", "")
        new, count = plain or f"column {number}", 1
        while new in names:
            count += 1
            new = f"{plain or 'column'} {count}"
        names.append(new)
        if new != plain:
            told.append(f'column {number} has {"no name" if not plain else "the name of another"}: now "{new}"')
    table.columns = names
    return table, told


def _read(path: Path, part: str, most: int | None = None) -> tuple[Any, list[tuple[str, str]], np.ndarray | None]:
    """The rows of a file, what could not be read, and where each row begins."""
    polars, name = library(), path.name.lower()
    with open(path, "rb") as file:
        head = file.read(16)
    readers: Mapping[str, Callable[[], Any]] = {
        "parquet": lambda: polars.read_parquet(path, n_rows=most),
        "ipc": lambda: polars.read_ipc(path, n_rows=most),
    }
    kind = "parquet" if head.startswith(b"PAR1") else "ipc" if head.startswith(b"ARROW1") else ""
    if kind:
        try:
            return readers[kind](), [], None
        except Exception as error:  # the library raises errors of many kinds for a damaged file
            found = f"{printable(path)} cannot be read: {why(error)}"
            raise DataError(found, "A whole file of Parquet or Arrow", "Copy or write it again") from None
    if head.startswith(b"SQLite format 3") or name.endswith(BASES):
        from morelike.data.frame_base import read_sqlite

        return *read_sqlite(path, part, most), None
    if name.endswith(BOOKS):
        from morelike.data.frame_base import read_book

        return *read_book(path, part, most), None
    if name.endswith(ENDING):
        return read_ts(path, most)
    if name.removesuffix(".gz").endswith(RECORDS):
        return read_json(path, most)
    return read_csv(path, most)
