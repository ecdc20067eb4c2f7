"""Tables out of databases and workbooks: SQLite, whatever SQLAlchemy reaches, Excel."""

from __future__ import annotations

import datetime
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

from morelike.core.errors import DataError, missing_extra, unknown
from morelike.data.frame_head import below_names, is_note, is_total
from morelike.data.frame_pandas import midnight, of_pandas, plain
from morelike.data.listing import printable, why

Read = tuple[Any, list[tuple[str, str]]]
_LOOK = 50  # rows of a sheet among which the widest tells how wide a header is
_FAULTS = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!")  # what a formula gives in vain
MARK = "morelike.mark"  # in a file of Parquet: what stands between the cells of the table of text that it was
_PART = 50_000  # rows that are fetched at once


def read_sqlite(path: Path, part: str, most: int | None = None) -> Read:
    """A table of a SQLite file, or what a query gives; the file is opened for reading only.

    part  name of a table, or a query; "" for the only table
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            every = "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%'"
            query = _query(part, [name for (name,) in base.execute(every)], printable(path))
            cursor = base.execute(query)
            if cursor.description is None:
                raise DataError(f'"{query[:80]}" gives no rows', "A query that reads", "Begin it with select")
            return _rows(cursor, [one[0] for one in cursor.description], most), []
    except sqlite3.Error as error:
        found = f"{printable(path)} cannot be read: {error}"
        raise DataError(found, "A SQLite file, and a table or query in it", f"{path.name}::select * from …") from None


def read_url(url: str, part: str) -> Read:
    """What a query gives at a database that SQLAlchemy knows.

    url  may name variables of the environment, such as $CLINIC_URL: a password is not kept with the run then
    """
    try:
        import sqlalchemy
    except ImportError:
        raise missing_extra("sqlalchemy", "sql", "Reading from a database") from None
    try:
        base = sqlalchemy.create_engine(os.path.expandvars(url))
        names = sqlalchemy.inspect(base).get_table_names() if " " not in part else []
        with base.connect().execution_options(stream_results=True) as connection:
            result = connection.execute(sqlalchemy.text(_query(part, names, url.split("@")[-1])))
            return _rows(result, list(result.keys()), None), []
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        found = f"The database cannot be read: {why(error)}"
        raise DataError(found, "A URL and a query: URL::select * from …", "Check both") from None


def read_book(path: Path, part: str, most: int | None = None) -> Read:
    """A sheet of a workbook: the header is its first row that has half as many cells as its widest one, two at least;
    where names are there twice, with what stands above them in merged cells. A row of totals at the end is left out.

    part  name of the sheet; "" for the first that has rows
    """
    try:
        import python_calamine
    except ImportError:
        raise missing_extra("python-calamine", "table", "Reading Excel files") from None
    try:
        with python_calamine.CalamineWorkbook.from_path(str(path)) as book:
            if part and part not in book.sheet_names:
                raise unknown("sheet", part, book.sheet_names)
            sheets = [part] if part else book.sheet_names
            bodies = (book.get_sheet_by_name(name).to_python() for name in sheets)
            rows = max((body for body in bodies if body), key=lambda body: min(3, sum(map(_several, body))), default=[])
    except python_calamine.CalamineError as error:
        found = f"{printable(path)} cannot be read: {why(error)}"
        raise DataError(found, "A workbook of Excel or LibreOffice", "Save it again as .xlsx") from None
    least = max(2, max(map(_filled, rows[:_LOOK]), default=0) / 2)
    begin = next((place for place, row in enumerate(rows) if _filled(row) >= least), 0)
    header = _header(rows[begin], rows[begin - 1] if begin else []) if rows else []
    below, problems = _data([row for row in rows[begin + 1 :] if _filled(row)], printable(path.name))
    return _rows(below, header, most, True), problems


def _data(rows: Sequence[Sequence[Any]], name: str) -> tuple[Sequence[Sequence[Any]], list[tuple[str, str]]]:
    """The rows of a sheet without units below the names, and totals and remarks at the end; and these, named."""
    units = below_names([["" if cell is None else str(cell) for cell in row] for row in rows[:_LOOK]])
    problems = [(f"{name} (row {number} below the names)", "units or names, no data") for number in range(1, units + 1)]
    while len(rows) - units > 2 and (
        is_total(rows[-1]) or is_note(rows[-1], is_total(rows[-2]) or _filled(rows[-2]) == 1 < _filled(rows[units]))
    ):
        problems.append((f"{name} (last row)", "a row of totals" if is_total(rows[-1]) else "a remark below the table"))
        rows = rows[:-1]
    return rows[units:], problems


def _filled(row: Sequence[Any]) -> int:
    return sum(cell not in ("", None) for cell in row)


def _several(row: Sequence[Any]) -> bool:
    return _filled(row) > 1


def _header(names: Sequence[Any], above: Sequence[Any]) -> list[str]:
    """Names of columns; one that is there twice with the last text above or before it: "Sales Net"."""
    plain = [str(int(one) if isinstance(one, float) and one.is_integer() else one).strip() for one in names]
    if len(set(filter(None, plain))) == sum(map(bool, plain)) or not _filled(above):
        return plain
    group, found = "", list[str]()
    for name, over in zip(plain, above, strict=False):
        group = str(over).strip() if over not in ("", None) else group
        found.append(f"{group} {name}".strip() if plain.count(name) > 1 else name)
    return found


def keep_frame(frame: Any, name: str = "frame", mark: str = "") -> Path:
    """A frame of polars or pandas as a file of Parquet in the cache, so that a run made from it can be resumed.

    name  with which that of the file begins, and by which a report calls it; what it ends with tells the content
    mark  what stands between the cells of the written table from which it is, whose cells are text of no type
    """
    from morelike.data.cache import default_root
    from morelike.data.frame import library

    pl = library()
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        frame = of_pandas(frame)
    objects = [one.name for one in frame.get_columns() if one.dtype == pl.Object]
    frame = frame.with_columns(plain(frame[name].to_list()).alias(name) for name in objects)
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="lz4")
    folder = default_root() / "frames"
    path = folder / f"{name}-{blake2b(buffer.getvalue(), digest_size=6).hexdigest()}.parquet"
    if mark:
        buffer = BytesIO()
        frame.write_parquet(buffer, compression="lz4", metadata={MARK: mark})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)
    except OSError as error:
        found = f"The frame cannot be kept in {printable(folder)}: {why(error)}"
        raise DataError(found, "Room for it", "Set MORELIKE_CACHE to another folder") from None
    return path


def _query(part: str, names: Sequence[str], where: str) -> str:
    if " " in part.strip() and part not in names:
        return part
    if part and part not in names:
        raise unknown("table", part, names)
    if not part and len(names) != 1:
        action = f"Name one: {where}::{names[0]}" if names else "Name another file"
        action += f", or two that belong together: fit {where}::{names[0]} {where}::{names[1]}" if names[1:] else ""
        raise DataError(f"{where} holds {len(names)} tables: {', '.join(names)[:200]}", "One of them", action)
    name = (part or names[0]).replace('"', '""')
    return f'select * from "{name}"'


def _rows(found: Iterable[Sequence[Any]], names: Sequence[str], most: int | None, loose: bool = False) -> Any:
    """Rows as a polars frame whose types are those of the cells; cells of several types become text.

    loose  whether whole numbers may be written as 3.0, as workbooks do
    """
    from morelike.data.frame import library

    pl = library()
    columns: list[list[Any]] = [[] for _ in names]
    for number, row in enumerate(found):
        if most is not None and number >= most:
            break
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    made = [_column(pl, str(place), column, loose) for place, column in enumerate(columns)]
    frame = pl.DataFrame(made)
    frame.columns = [name + "\0" * list(names[:place]).count(name) for place, name in enumerate(names)]
    return frame


def _column(pl: Any, name: str, cells: list[Any], loose: bool) -> Any:
    gone = _FAULTS if loose else ()
    cells = [None if isinstance(cell, str) and (not cell.strip() or cell in gone) else cell for cell in cells]
    kinds = {type(cell) for cell in cells if cell is not None}
    numbers = [cell for cell in cells if isinstance(cell, int | float)] if loose else []
    if loose and float in kinds and all(float(one).is_integer() and abs(one) < 2**53 for one in numbers):
        cells = [int(cell) if isinstance(cell, float) else cell for cell in cells]
        kinds = kinds - {float} | {int}
    if kinds <= {int, float} and float in kinds:
        return pl.Series(name, [None if cell is None else float(cell) for cell in cells], dtype=pl.Float64)
    if kinds == {datetime.date, datetime.datetime}:  # a workbook tells midnight as a day alone
        return pl.Series(name, [midnight(cell) for cell in cells])
    if len(kinds) <= 1:
        return pl.Series(name, cells, strict=False)
    told = [cell.decode("utf-8", "replace") if isinstance(cell, bytes) else cell for cell in cells]
    return pl.Series(name, [None if cell is None else str(cell) for cell in told], dtype=pl.String)
