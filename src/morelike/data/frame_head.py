"""What stands around the rows of a written table: titles and comments above the names, units below them, notes and
totals at the end."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

TOTALS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "gesamtsumme", "somme", "totale", "total general",
          "suma", "合计", "总计")  # fmt: skip
WORD = re.compile(r"[^\W\d_]{2,}")
_NUMBER = re.compile(r"^\s*[-+\u2212(<>]?[^\w\s]?\d[\d.,' ]*(?:[eE][-+]?\d+)?\s*[-%)]?\s*$")
_DATE = re.compile(r"^\s*\d{1,4}[-/.:]\d{1,2}[-/.:]\d{1,4}")
_COMMENT = re.compile(rb"[ \t]*(?:#|%|//|!)")
_EXCEL = re.compile(rb'"?sep=.?"?\s*$', re.I)  # a line that tells Excel what stands between cells
_NOTE = re.compile(r"\s*(?:source|notes?|remarks?|quelle|hinweis|anmerkung|generated|exported|created|copyright|"
                   r"©|\*|†|来源|注)", re.I)  # fmt: skip
_GONE = ("na", "n/a", "?", "nan", "null", "none", "missing", "unknown", ".")
_LOOK, _MOST, _UNITS = 300, 40, 3  # lines that are looked at, lines above the names, rows below them that are no data
_SHARE, _FULL = 0.8, 0.8  # of lines with as many cells as most; of the cells of a usual row that names have to fill


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number or a date."""
    return bool(_NUMBER.match(cell) or _DATE.match(cell))


def is_total(row: Sequence[Any]) -> bool:
    """Whether the cells of the last row of a table are sums of those above: its first one says so, others are
    numbers."""
    filled = [cell for cell in row if cell not in ("", None)]
    if len(filled) < 2 or not isinstance(filled[0], str) or filled[0].strip(" :").casefold() not in TOTALS:
        return False
    return all(
        isinstance(cell, int | float) or is_value(str(cell)) or not WORD.search(str(cell)) for cell in filled[1:]
    )


def is_note(row: Sequence[Any], apart: bool) -> bool:
    """Whether the last row of a table is a remark below it: of three cells or more the first alone is filled.

    apart  whether an empty row or a total stands above it, so that it need not begin as remarks do
    """
    first, rest = str(row[0] or "") if row else "", row[1:]
    return len(row) > 2 and bool(first.strip()) and not any(rest) and (apart or bool(_NOTE.match(first)))


def lead(head: bytes, separators: str) -> tuple[int, bytes]:
    """How many lines stand above the names of the columns, comments, titles, what the file was made by; and the names
    where a comment holds them, as in "# time volts".

    head  the beginning of a table; (0, b"") is given where nothing tells that its first line is not its header
    """
    lines = head.split(b"\n")[:_LOOK]
    bare = next((n for n, line in enumerate(lines) if line.strip() and not _skipped(line)), 0)
    ways = [(mark, *_cells(lines, mark)) for mark in (*separators, " ")]
    mark, cells, usual, share = max(ways, key=lambda way: way[3] * (way[2] > 1) * (0.9 if way[0] == " " else 1))
    if usual < 2 or share < _SHARE:
        return bare, b""
    if bare and (names := _named_by(lines[bare - 1], cells[bare], mark)):
        return bare, names
    rows = [(n, row) for n, row in enumerate(cells) if n >= bare and any(row) and not _skipped(lines[n])]
    if not rows or mark == " " or not (bare or _is_title(rows[0][1], usual)):
        return bare, b""
    full = sorted(sum(map(bool, row)) for _, row in rows)[len(rows) // 2]
    least = max(2, _FULL * min(full, usual))
    found = next((n for n, row in rows if len(row) == usual and sum(map(bool, row)) >= least), bare)
    return (found if found <= _MOST else bare), b""


def _skipped(line: bytes) -> bool:
    return bool(_COMMENT.match(line) or _EXCEL.match(line))


def _is_title(row: Sequence[str], usual: int) -> bool:
    """Whether the first row of a table is a line above it: of fewer cells, or with its first cell alone filled."""
    return len(row) < usual - 1 or len(row) == 1 or (bool(row[0]) and not any(row[1:]) and usual > 2)


def _cells(lines: Sequence[bytes], mark: str) -> tuple[list[list[str]], int, float]:
    """The cells of lines; how many most of those have that are no comments, and the share that has."""
    texts = [line.decode("utf-8", "ignore").strip("\r") for line in lines]
    rows = [one.split() if mark == " " else next(csv.reader([one], delimiter=mark), []) for one in texts]
    found = [[cell.strip() for cell in row] for row in rows]
    counts = Counter(len(row) for row, line in zip(found, lines, strict=True) if any(row) and not _skipped(line))
    usual, times = counts.most_common(1)[0] if counts else (1, 0)
    return found, usual, times / max(1, sum(counts.values()))


def _named_by(comment: bytes, below: Sequence[str], mark: str) -> bytes:
    """The names of the columns in a comment right above the rows: as many words as there are cells below, some of which
    are numbers. `#CHROM` keeps its mark; empty if it holds none."""
    found = _COMMENT.match(comment)
    if not found:
        return b""
    apart = comment[found.end() :][:1].isspace()
    bare = (comment[found.end() :] if apart else comment).strip()
    names = _cells([bare], mark)[0][0]
    if 1 < len(names) == len(below) and any(map(is_value, below)) and not any(map(is_value, names)):
        return bare
    return b""


def below_names(rows: Sequence[Sequence[str]]) -> int:
    """How many rows below the names hold no data but units, or names of a second kind.

    rows  the first ones below the names

    In such a row the cells of all columns that hold numbers or dates are empty or words that never come again.
    """
    for count in range(_UNITS):
        if len(rows) < count + 5 or not _is_units(rows[count], rows[count + 1 :], count > 0):
            return count
    return _UNITS


def _is_units(row: Sequence[str], below: Sequence[Sequence[str]], again: bool) -> bool:
    if any(is_value(one) and is_value(two) for one, two in zip(row, below[0], strict=False)):
        return False  # the usual case: numbers in both
    valued = [place for place in range(len(row)) if _is_valued([r[place] for r in below if place < len(r)])]
    told = [place for place in valued if row[place].strip(" -")]
    if all(row[place].strip().casefold() in _GONE for place in told) or any(
        is_value(row[place]) or len(row[place]) > 24 for place in told
    ):
        return False
    if any(row[place] == r[place] for place in told for r in below if place < len(r)):
        return False
    others = [place for place in range(len(row)) if place not in valued and row[place].strip(" -")]
    if len(valued) < 2 and any(row[place] == r[place] for place in others for r in below if place < len(r)):
        return False
    return again or len(told) >= max(1, 0.5 * len(valued))


def _is_valued(cells: Sequence[str]) -> bool:
    """Whether the cells of a column are numbers or dates, but for missing ones; a word or two may be among many."""
    filled = [cell for cell in cells if cell.strip()]
    return len(filled) >= 0.2 * len(cells) and sum(map(is_value, filled)) >= 0.95 * len(filled) > 0
