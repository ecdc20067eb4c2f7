"""Sources of baskets: a file in which each line names the things of one set, with no header and no fixed columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from morelike.core.codec import Item
from morelike.core.errors import DataError
from morelike.data.listing import Lazy, Source, fingerprint, mark, printable
from morelike.data.text_files import single

ENDINGS = (".csv", ".tsv", ".txt", ".basket", ".dat")
FORMAT = 1  # raised when the same file comes to give other baskets
HEAD = 1 << 18  # bytes of a file by which it is told
FEWEST = 50  # lines that it takes to tell baskets from a table with faults
MOSTLY = 0.95  # of the lines that begin with how many things follow
_NUMBER = re.compile(r"\d+$")
ALIKE, TWICE, NEW, MOVING = 0.8, 0.02, 0.25, 0.5
# Of the lines: with the same number of cells at most, that name a thing twice at most. Of the cells: that differ from
# all others at most. Of the things that come back: that do so in another place at least.


def is_baskets(path: Path) -> bool:
    """Whether lines differ in length, and name things that come back in other lines and places, but not in one line."""
    name = path.name.lower().removesuffix(".gz")
    if not name.endswith(ENDINGS) or not path.is_file():
        return False
    try:
        text = single(path).decoded(HEAD).text
        lines = [line for line in _bare(cells(text.rsplit("\n", 1)[0], _separator(text))) if line]
    except (DataError, OSError, EOFError):
        return False
    if len(lines) < FEWEST or max(map(len, lines)) < 2:
        return False
    lengths = Counter(map(len, lines))
    if len(lengths) < 3 or lengths.most_common(1)[0][1] > ALIKE * len(lines):
        return False
    places: dict[str, list[int]] = {}
    for line in lines:
        for place, thing in enumerate(line):
            places.setdefault(thing, []).append(place)
    again = [found for found in places.values() if len(found) > 1]
    twice = sum(len(set(line)) < len(line) for line in lines)
    total = sum(map(len, lines))
    return (
        twice <= TWICE * len(lines) and len(places) <= NEW * total
        and sum(len(set(found)) > 1 for found in again) >= MOVING * len(again) > 0
    )  # fmt: skip


def open_baskets(path: Path) -> Source:
    """The baskets of a file: `load()` of each item returns the names of its things. Raises `DataError` without any."""
    if not path.is_file():
        raise DataError(
            f"There is no file at {printable(path)}", "A CSV with one basket on each line", "Check the name"
        )
    text = single(path).decoded().text
    lines = _bare(cells(text, _separator(text)))
    kept = [number for number, line in enumerate(lines) if line]
    if len(kept) < 2:
        found = f"{printable(path)} holds {len(kept)} baskets"
        raise DataError(found, "At least two lines, which name things", "Name another file")
    stamp = fingerprint("baskets", (FORMAT, path.name, *mark(path.stat())))
    items = Lazy(len(kept), lambda row: Item(f"line {kept[row] + 1}", _said(lines[kept[row]])))
    items.mark = _separator(text)
    return Source(printable(path), items, stamp, codec="baskets")


def _bare(lines: list[list[str]]) -> list[list[str]]:
    """Baskets without a header, "Item 1, Item 2, …", and without how many things they name before these.

    The places of lines stay: a header becomes an empty one.
    """
    stems = Counter(_NUMBER.sub("", name) for name in lines[0] if _NUMBER.search(name)) if lines else Counter[str]()
    headed = bool(stems) and max(stems.values()) >= max(2, len(lines[0]) - 1)
    body = [[], *lines[1:]] if headed else lines
    counted = sum(bool(line) and line[0] == str(len(line) - 1) for line in body)
    return [line[1:] for line in body] if counted > MOSTLY * sum(map(bool, body)) else body


def cells(text: str, separator: str) -> list[list[str]]:
    """The cells of each line, without white space around them; empty ones are left out. Raises `DataError`."""
    if separator == " ":
        return [line.split() for line in text.splitlines()]
    read = csv.reader(text.splitlines(), delimiter=separator, skipinitialspace=True)
    try:
        return [[one for cell in line if (one := cell.strip())] for line in read]
    except csv.Error as error:
        raise DataError(f"Line {read.line_num} is no CSV: {error}", "Things with commas between", "Mend it") from None


def _separator(text: str) -> str:
    """The sign between things: the one of comma, semicolon and tab that is there most, else a blank."""
    head = text[:HEAD]
    best = max(",;\t", key=head.count)
    return best if head.count(best) else " "


def _said(line: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: line
