"""Tables that are written as text: their separator, quotes, header and encoding are told, ragged rows are named."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from morelike.core.errors import DataError, missing_extra
from morelike.data.frame_head import below_names, is_note, is_total, is_value, lead
from morelike.data.listing import printable, why
from morelike.data.text_encoding import decode

SEPARATORS = ",;\t|\x1f"
DOUBLE = "::"  # the separator of MovieLens, which is two signs; read as the unit separator of ASCII, which is one
_UNIT = b"\x1f"
MOST = 4 << 30  # bytes of a table once it is unpacked
_LOOK, _FEET = 200, 20  # rows by which it is told whether units stand below the names; rows below a table at most
_HEAD = 1 << 18  # bytes by which the separator is told
_PIECE = 1 << 18  # bytes that are scanned at once: what is made of them stays in a core's own cache


class Dialect(NamedTuple):
    """How a table is written: its separator, whether " quotes, the cells of its first row, and if that is a header."""

    separator: str
    quoted: bool
    first: list[str]
    headed: bool


class Lines(NamedTuple):
    """Where the rows of a text are.

    begins, ends  (R,) places in the text
    cells         (R,) how many there are in each
    lines         (R,) the number of the line in which each begins, from 1
    """

    begins: np.ndarray
    ends: np.ndarray
    cells: np.ndarray
    lines: np.ndarray


def read_csv(path: Path, most: int | None = None) -> tuple[Any, list[tuple[str, str]], np.ndarray]:
    """The rows of a table with text in all cells: a polars frame, ragged rows with the reason, and the line of each.

    most  rows to read; None for all

    Raises `DataError` where it is no table.
    """
    data, problems = _text(path, None if most is None else _HEAD)
    data, above = _headed(data)
    if above:
        problems.append((f"{printable(path.name)}, line 1{f' to {above}' if above > 1 else ''}", "above the table"))
    dialect, data = _dialect(data, path)
    found = scan(data, dialect.separator, dialect.quoted)
    size = len(dialect.first)
    full = (found.ends > found.begins) | (found.cells > 1)
    bare = full & (found.cells > 1) & _is_bare(data, found)
    if bare.sum() > 0:
        first, more = int(np.flatnonzero(bare)[0]), f" and {bare.sum() - 1:,} more" if bare.sum() > 1 else ""
        problems.append((f"{printable(path.name)}, line {above + found.lines[first]}{more}", "all cells are empty"))
    full &= ~bare
    right = found.cells == size
    if size > 1 and right.sum() < 0.5 * full.sum():
        raise _no_table(path, f"its rows have from {found.cells[full].min():,} to {found.cells.max():,} cells")
    for row in np.flatnonzero(full & ~right).tolist():
        where = f"{printable(path.name)}, line {above + found.lines[row]}"
        problems.append((where, f"{found.cells[row]:,} cells where {size:,} are expected"))
    kept = np.flatnonzero(full & right)
    names = dialect.first if dialect.headed else [f"column {number}" for number in range(1, size + 1)]
    kept = kept[1:] if dialect.headed else kept
    units = below_names([_row(data, found, row, dialect) for row in kept[:_LOOK].tolist()]) if dialect.headed else 0
    out = [(row, "units or names, no data") for row in kept[:units].tolist()]
    kept = kept[units:]
    out += _below(data, found, kept, dialect) if most is None else []
    problems += [(f"{printable(path.name)}, line {above + found.lines[row]}", reason) for row, reason in out]
    kept = kept[: len(kept) - (len(out) - units)]
    kept = kept if most is None else kept[:most]
    return _frame(data, found, kept, dialect, names), problems, above + found.lines[kept]


def separator_of(path: Path) -> str:
    """What stands between the cells of a table: one of , ; tab | or space."""
    dialect, _ = _dialect(_headed(_text(path, _HEAD)[0])[0], path)
    return dialect.separator


def _headed(data: bytes) -> tuple[bytes, int]:
    """A text from the names of its columns on, and how many lines it was made shorter by."""
    above, names = lead(data[:_HEAD], SEPARATORS)
    if not above:
        return data, 0
    at = 0
    for _ in range(above):
        at = data.index(b"\n", at) + 1
    return (names + b"\n" if names else b"") + data[at:], above - bool(names)


def _below(data: bytes, found: Lines, kept: np.ndarray, dialect: Dialect) -> list[tuple[int, str]]:
    """The last rows of a table that are totals and remarks below it, and which of both."""
    out = list[tuple[int, str]]()
    while len(kept) - len(out) > 2 and len(out) < _FEET:
        at, row = len(kept) - len(out) - 1, _row(data, found, int(kept[len(kept) - len(out) - 1]), dialect)
        apart = int(kept[at] - kept[at - 1]) > 1 or is_total(_row(data, found, int(kept[at - 1]), dialect))
        if not is_total(row) and not is_note(row, apart):
            break
        out.append((int(kept[at]), "a row of totals" if is_total(row) else "a remark below the table"))
    return out


def _row(data: bytes, found: Lines, row: int, dialect: Dialect) -> list[str]:
    """The cells of one row."""
    text = data[found.begins[row] : found.ends[row]].decode("utf-8", "replace")
    return next(_cells(text, dialect.separator, dialect.quoted), [])


def _text(path: Path, most: int | None) -> tuple[bytes, list[tuple[str, str]]]:
    """The text of a file as UTF-8 in which lines end in a line feed, and what is wrong with its encoding."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            data = file.read((most or MOST) + 1)
    except (OSError, EOFError) as error:
        raise _no_table(path, why(error)) from None
    if most is not None:
        data = data[: most + 1].rpartition(b"\n")[0] if len(data) > most else data
    elif len(data) > MOST:
        raise DataError(f"{printable(path)} has more than {MOST >> 30} GiB", "less", "Write it as Parquet")
    if _is_plain(data):
        return data, []
    found = decode(data)
    said = [(f"{printable(path.name)} (encoding)", found.problem)] if found.problem else []
    return found.text.encode("utf-8", "replace"), said


def _is_plain(data: bytes) -> bool:
    """True for UTF-8 that needs nothing done to it: the usual case, in which a large file is not copied."""
    if b"\0" in data or data.startswith(b"\xef\xbb\xbf") or (b"\r" in data and b"\n" not in data):
        return False
    try:
        return data.isascii() or bool(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _dialect(data: bytes, path: Path) -> tuple[Dialect, bytes]:
    """How a table is written, told from its beginning; and its text, single spaces for many where these separate."""
    head = data[:_HEAD]
    head = head if len(data) <= _HEAD else head.rpartition(b"\n")[0]
    if is_double(head.decode("utf-8", "ignore")):
        data, head = data.replace(DOUBLE.encode(), _UNIT), head.replace(DOUBLE.encode(), _UNIT)
    ways = [(_regular(head, one, quoted), one, quoted) for one in SEPARATORS for quoted in (True, False)]
    (_, share, cells, _), separator, quoted = max(ways, key=lambda way: (way[0], way[2]))
    if cells < 2 or share < 0.5:
        lines = [b" ".join(line.split()) for line in head.split(b"\n")]
        spaced = _regular(b"\n".join(lines), " ", True)
        if spaced[1] >= 0.9 and spaced[2] > 2 and any(map(is_value, head.decode("utf-8", "ignore").split())):
            data = b"\n".join(b" ".join(line.split()) for line in data.split(b"\n"))
            separator, quoted, head = " ", True, data[:_HEAD]
    rows = list(_cells(head.decode("utf-8", "ignore"), separator, quoted))
    if not rows:
        raise _no_table(path, "it is empty")
    return Dialect(separator, quoted, rows[0], has_header(rows)), data


def is_double(head: str) -> bool:
    """Whether each line of a text has two colons side by side, and equally often."""
    counts = {line.count(DOUBLE) for line in head.splitlines()[:200] if line}
    return len(counts) == 1 and counts != {0}


def _regular(head: bytes, separator: str, quoted: bool) -> tuple[bool, float, int, int]:
    """How well a text falls into rows: whether the first has as many cells as most, the share that has, that number,
    and how many rows there are: where quotation marks are no quotes, taking them for some joins lines."""
    found = scan(head, separator, quoted)
    cells = found.cells[(found.ends > found.begins) | (found.cells > 1)]
    usual = int(np.bincount(cells).argmax()) if len(cells) else 1
    if usual < 2:
        return False, 0.0, 1, 0
    return bool(cells[0] == usual), round(float((cells == usual).mean()), 2), usual, len(cells)


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no number among them, or words where numbers stand below."""
    first, below = rows[0], rows[1:200]
    if len(first) != len(set(first)) and any(is_value(cell) for cell in first):
        return False
    if not any(is_value(cell) for cell in first):
        own = [{row[place] for row in below if place < len(row)} for place in range(len(first))]
        numeric = any(values and all(is_value(v) for v in values if v) for values in own)
        again = sum(cell in values for cell, values in zip(first, own, strict=True) if cell)
        return numeric or not again
    if _are_years(first, below):
        return True
    words = [place for place, cell in enumerate(first) if cell and not is_value(cell)]
    valued = [place for place in words if below and all(is_value(r[place]) for r in below if place < len(r))]
    return len(valued) > 0.5 * len(first)


def _are_years(first: list[str], below: list[list[str]]) -> bool:
    """Whether words and years that go on evenly name the columns, with other numbers below these."""
    places = [place for place, cell in enumerate(first) if re.fullmatch(r"(1[6-9]|20|21)\d\d", cell.strip())]
    years = np.array([int(first[place]) for place in places])
    steps = set(np.diff(years).tolist())
    if (
        len(years) < 3
        or len(steps) != 1
        or steps == {0}
        or any(first[p] and is_value(first[p]) for p in range(places[0]))
    ):
        return False
    cells = [row[place].strip() for row in below for place in places if place < len(row)]
    return sum(cell in {str(year) for year in years.tolist()} for cell in cells) < 0.1 * len(cells)


def scan(data: bytes, separator: str, quoted: bool) -> Lines:
    """Where the rows are and how many cells they have: a line feed within quotation marks ends no row."""
    array, mark = np.frombuffer(data, np.uint8), ord(separator)
    quoted = quoted and b'"' in data
    ends, counts, feeds = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    inside = seen = passed = 0
    for begin in range(0, len(array), _PIECE):
        piece = array[begin : begin + _PIECE]
        feed, cut = piece == 10, piece == mark
        every = feed
        if quoted:
            within = (np.cumsum(piece == 34, dtype=np.int32) + inside) & 1
            inside = int(within[-1])
            feed, cut = feed & (within == 0), cut & (within == 0)
        at = np.flatnonzero(feed)
        ends.append(at + begin)
        counts.append(np.cumsum(cut, dtype=np.int32)[at] + seen)
        feeds.append(np.cumsum(every, dtype=np.int32)[at] + passed)
        seen, passed = seen + int(np.count_nonzero(cut)), passed + int(np.count_nonzero(every))
    if len(array) and array[-1] != 10:
        for found, last in ((ends, len(array)), (counts, seen), (feeds, passed + 1)):
            found.append(np.array([last]))
    stop = np.concatenate([*ends, []]).astype(np.int64)
    start = np.concatenate([[0], stop[:-1] + 1]).astype(np.int64)[: len(stop)]
    cells = np.diff(np.concatenate([[0], *counts]).astype(np.int64)) + 1
    lines = np.concatenate([[1], *(np.asarray(one) + 1 for one in feeds)]).astype(np.int64)[:-1]
    blank = (stop - start == 1) & (array[np.minimum(start, max(0, len(array) - 1))] == 13) if len(array) else stop > 0
    return Lines(np.where(blank, stop, start), stop, cells, lines)


def _is_bare(data: bytes, found: Lines) -> np.ndarray:
    """Which rows are separators and nothing else, bool (R,)."""
    last = np.frombuffer(data, np.uint8)[np.maximum(found.ends - 1, 0)] if data else found.ends
    return found.ends - found.begins - (last == 13) == found.cells - 1


def _frame(data: bytes, found: Lines, kept: np.ndarray, dialect: Dialect, names: list[str]) -> Any:
    """The rows kept as a polars frame of text; Python's own reader takes what polars refuses."""
    try:
        import polars
    except ImportError:
        raise missing_extra("polars", "table", "Reading tables") from None
    inner = [f"{place}" for place in range(len(names))]
    if not len(kept):
        return _named(polars.DataFrame({name: [] for name in inner}), names)
    body = _joined(data, found, kept)
    try:
        frame = polars.read_csv(
            body, separator=dialect.separator, quote_char='"' if dialect.quoted else None, has_header=False,
            infer_schema=False, new_columns=inner, raise_if_empty=False,
        )  # fmt: skip
        if frame.shape == (len(kept), len(names)):
            return _named(frame, names)
    except polars.exceptions.PolarsError:
        pass
    rows = [row for row in _cells(body.decode(), dialect.separator, dialect.quoted) if row]
    rows = [(row + [""] * len(names))[: len(names)] for row in rows]
    columns = dict(zip(inner, zip(*rows, strict=True), strict=True))
    return _named(polars.DataFrame(columns, schema=dict.fromkeys(inner, polars.String)), names)


def _named(frame: Any, names: list[str]) -> Any:
    """With the names of the header, of which two may be the same: these are told apart later."""
    seen = dict[str, int]()
    spelt = []
    for name in names:  # trailing NUL keep equal names apart until `unique_names` sees them
        seen[name] = seen.get(name, -1) + 1
        spelt.append(name + "\0" * seen[name])
    frame.columns = spelt
    return frame


def _joined(data: bytes, found: Lines, kept: np.ndarray) -> bytes:
    """The text of the rows kept; the same bytes, but for what is left out."""
    breaks = np.flatnonzero(np.diff(kept) > 1)
    first, last = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(kept) - 1]])
    spans = zip(found.begins[kept[first]].tolist(), found.ends[kept[last]].tolist(), strict=True)
    return b"\n".join(data[begin:end] for begin, end in spans)


def _cells(text: str, separator: str, quoted: bool) -> Any:
    csv.field_size_limit(sys.maxsize)
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting) if row)


def _no_table(path: Path, reason: str) -> DataError:
    found, action = f"{printable(path)} is no table: {reason}", "Save it again as CSV, or name the right file"
    return DataError(found, "Rows with the same number of cells, between , ; tabs or spaces", action)
