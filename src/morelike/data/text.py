"""Sources of text: files, folders and archives of them, tables, aligned files. Every item is a document."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import DataError, unknown
from morelike.data.archive import is_archive
from morelike.data.frame_csv import is_double
from morelike.data.listing import PICTURES, Lazy, Source, fingerprint, printable, shorten, why
from morelike.data.shards import media_columns
from morelike.data.text_aligned import aligned_files, read_aligned, stamp_of
from morelike.data.text_cells import TEXT
from morelike.data.text_columns import chosen, label_column, only_text, text_column
from morelike.data.text_cut import UNITS, cut, in_bytes, line_numbers, section_size
from morelike.data.text_encoding import not_text
from morelike.data.text_files import TABLES, File, Texts, gather, single
from morelike.data.text_rows import Row, Table, read_table

FORMAT = 1  # raised when the same files come to give other documents
OTHERS = (
    ".wav", ".mp3", ".ogg", ".flac", ".m4a", ".aac", ".opus", ".mid", ".midi", ".mp4", ".mpg", ".mpeg", ".avi", ".mov",
    ".webm", ".mkv", ".npy", ".npz", ".pt", ".safetensors", ".h5", ".pdf", ".doc", ".docx", ".xlsx",
)  # fmt: skip
EXPECTED = (
    "Text: .txt, .md, .html, .jsonl, .json, .csv, .tsv (also .gz), .parquet or .arrow, a folder or archive of them, "
    "aligned files"
)
_HEAD = 1 << 18  # bytes of a file by which it is told whether it is text
_NUMBER = re.compile(r"^[-+]?[\d.,]+(?:[eE][-+]?\d+)?%?$")


def is_text(path: str | Path, make: str | None = None) -> bool:
    """True where there is text to learn from, and not pictures, sounds, arrays or a table of numbers and categories.

    make  the column to make, if the user has named one: a table that has it is text
    """
    path = Path(path).expanduser()
    try:
        if aligned_files(path):
            return True
        if path.is_dir() or (path.is_file() and is_archive(path.name)):
            return _among(gather(path)[0], make)
        return path.is_file() and _is_text_file(single(path), make)
    except (DataError, OSError, EOFError):
        return False


def open_text(path: str | Path, make: str | None = None, unit: str = "auto") -> Source:
    """The documents at a path: `load()` of each item returns clean text, `fields` are the other columns of its row.

    make  column that is made of each row; None for the one that is called so, or has the longest text. "reply" makes
          each turn of a dialogue after the first, with the field "before".
    unit  auto | file | line | paragraph: what is a document in a plain file

    Raises `DataError` where there are fewer than two documents, or aligned files of different length, and
    `OptionError` for a column or unit that is not there.
    """
    path = Path(path).expanduser()
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    try:
        files = aligned_files(path)
        if files:
            stem = path / _stem(files) if path.is_dir() else path
            table = read_aligned(files)
            return _enough(of_tables([table], make, printable(stem), stamp_of(files)), unit)
        if not path.exists():
            raise DataError(f"There is nothing at {printable(path)}", EXPECTED, "Check the name")
        return _enough(_opened(path, make, unit), unit)
    except OSError as error:
        found = f"{printable(path)} cannot be read: {why(error)}"
        raise DataError(found, EXPECTED, "Check the name and the permissions") from None


def _opened(path: Path, make: str | None, unit: str) -> Source:
    files, problems, stamp = gather(path)
    name, alone = printable(path), len(files) == 1
    tables, texts = list[Table](), list[File]()
    for file in files:
        if file.kind not in TABLES:
            texts.append(file)
            continue
        try:
            tables.append(_labelled(read_table(file), file))
        except (DataError, OSError, EOFError) as error:
            _named(path, error, alone)
            problems.append((file.name, why(error)))
    plain = _plain(texts, unit, problems, path) if texts else Source(name, [], "")
    if texts and make not in (None, TEXT):
        rows = [Row(item.name, {TEXT: item.load(), **item.fields}) for item in plain.items]
        tables, plain = [*tables, Table(rows, [TEXT], [])], Source(name, [], "")
    guess = not any(file.kind == "shard" for file in files)
    source = of_tables(tables, make, name, stamp, guess) if tables else Source(name, [], stamp)
    items = [*source.items, *plain.items] if source.items and plain.items else source.items or plain.items
    stamp = fingerprint("documents", (FORMAT, stamp, make, unit))
    return Source(name, items, stamp, [*problems, *source.problems])


def _named(path: Path, error: Exception, alone: bool) -> None:
    """Raise the error of the only file with its name in it."""
    if alone:
        expected = error.expected if isinstance(error, DataError) else "A file that can be read"
        action = error.action if isinstance(error, DataError) else "Copy it again"
        found = error.found if isinstance(error, DataError) else why(error)
        raise DataError(f"{printable(path)}: {found}", f"Expected: {expected}", action) from None


def _labelled(table: Table, file: File) -> Table:
    """With the folder of the file as label, where its rows have none."""
    if file.label:
        for row in table.rows:
            row.cells.setdefault("label", file.label)
    return table


def _plain(files: Sequence[File], unit: str, problems: list[tuple[str, str]], path: Path) -> Source:
    """The documents of text files; those that are none become problems."""
    texts = Texts(files)
    section = section_size(sum(file.size * (4 if file.name.endswith(".gz") else 1) for file in files), len(files))
    spans, places, lines = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for place, file in enumerate(files):
        try:
            if file.parts[-1].lower().endswith(OTHERS + PICTURES):
                raise not_text()
            found = file.decoded()
        except (DataError, OSError, EOFError) as error:
            _named(path, error, len(files) == 1)
            problems.append((file.name, why(error)))
            continue
        if found.problem:
            problems.append((f"{file.name} (encoding)", found.problem))
        texts.put(place, found.text)
        mine = cut(found.text, unit, section)
        if not len(mine):
            problems.append((file.name, "empty"))
        spans.append(np.concatenate([in_bytes(found.text, mine), mine[:, :1]], 1))
        places.append(np.full(len(mine), place))
        lines.append(np.array(line_numbers(found.text, mine[:, 0]), dtype=np.int64))
    if not spans:
        return Source(printable(path), [], "")
    make = _Pieces(texts, np.concatenate(spans), np.concatenate(places), np.concatenate(lines))
    return Source(printable(path), Lazy(len(make.spans), make), "")


class _Pieces:
    """Makes the item of each piece of some files when it is asked for.

    spans  (n, 3) where it begins and ends in its file, in bytes of UTF-8, and where it begins in characters
    files  (n,) which file that is
    lines  (n,) the number of its first line
    """

    def __init__(self, texts: Texts, spans: np.ndarray, files: np.ndarray, lines: np.ndarray) -> None:
        self.texts, self.spans, self.files, self.lines = texts, spans, files, lines
        count = np.bincount(files, minlength=len(texts.files))
        self.whole = count[files] == 1
        same = np.zeros(len(files) + 1, bool)
        same[1:-1] = (files[1:] == files[:-1]) & (lines[1:] == lines[:-1])
        self.shared = same[1:] | same[:-1]  # whether another piece begins on the same line

    def __call__(self, row: int) -> Item:
        file, begin, end = int(self.files[row]), int(self.spans[row, 0]), int(self.spans[row, 1])
        name, label = self.texts.files[file].name, self.texts.files[file].label
        if not self.whole[row]:
            name += f", line {self.lines[row]}"
            name += f", character {self.spans[row, 2] + 1}" if self.shared[row] else ""
        return Item(name, lambda: self.texts.piece(file, begin, end), {"label": label} if label else {})


def of_tables(tables: Sequence[Table], make: str | None, name: str, stamp: str, guess: bool = True) -> Source:
    """The rows of all tables together, as documents with fields.

    guess  whether the longest of several columns of text is made, when nobody says; otherwise that is a `DataError`
    """
    found = [row for table in tables for row in table.rows]
    columns = list(dict.fromkeys(column for table in tables for column in table.columns))
    problems = [problem for table in tables for problem in table.problems]
    if not found:
        return Source(name, [], stamp, problems)
    if make is None and not guess:
        only_text(found, columns, name)
    rows, column = chosen(found, columns, make, name)
    label = label_column([one for one in columns if one != column])
    kept = [row for row in rows if row.cells.get(column, "").strip()]
    problems += [(row.where, f'no "{column}"') for row in rows if not row.cells.get(column, "").strip()]

    def item(place: int) -> Item:
        where, cells = kept[place]
        fields = {key: cell.strip() for key, cell in cells.items() if key and key != column and cell.strip()}
        if label in fields:
            fields["label"] = fields[label]
        return Item(where, _said(cells[column]), fields)

    return Source(name, Lazy(len(kept), item), fingerprint("rows", (FORMAT, stamp, make)), problems)


def _said(text: str) -> Callable[[], Any]:
    return lambda: text.strip("\n")


def _stem(files: dict[str, Path]) -> str:
    return os.path.splitext(next(iter(files.values())).name.removesuffix(".gz"))[0]


def _among(files: Sequence[File], make: str | None) -> bool:
    """Whether some files are text as a whole; where there are pictures, text has to be three times as many."""
    others = sum(file.parts[-1].lower().endswith(PICTURES + OTHERS) for file in files)
    texts = [file for file in files if file.kind and file.kind not in TABLES]
    if others:
        return len(texts) > 3 * others
    tables = [file for file in files if file.kind in TABLES]
    loose = [file for file in files if not file.kind][:5] if not texts and not tables else []
    return any(_reads_as_text(file, make) for file in [*texts[:5], *tables[:5], *loose])


def _reads_as_text(file: File, make: str | None) -> bool:
    try:
        return _is_text_file(file, make)
    except (DataError, OSError, EOFError):
        return False


def _is_text_file(file: File, make: str | None) -> bool:
    """Whether one file is text, by its beginning; tables, by what is in their columns."""
    if file.parts[-1].lower().endswith(OTHERS + PICTURES):
        return False
    if file.kind in TABLES:
        whole = file.kind == "json"
        rows, columns, _ = read_table(file, None if whole else _HEAD)
        if make is not None and make in columns:
            return True
        if file.kind == "shard" and media_columns(file.place):
            return False  # its texts are captions
        names_files = any(
            sum(row.cells.get(one, "").lower().endswith(PICTURES + OTHERS) for row in rows[:50]) > len(rows[:50]) / 2
            for one in columns
        )
        return not names_files and text_column(rows, columns) is not None
    head = file.decoded(_HEAD).text
    if is_double(head.rpartition("\n")[0]):
        return False
    words = head.split()
    return not words or sum(bool(_NUMBER.match(word)) for word in words) < 0.7 * len(words)


def _enough(source: Source, unit: str) -> Source:
    if len(source.items) >= 2:
        return source
    found = "one document" if len(source.items) else "no text"
    if source.problems:
        found += f" ({shorten([f'{name}: {reason}' for name, reason in source.problems], 2)})"
    action = "Add text, or cut it at its lines: --set unit=line" if unit != "line" else "Add text, one on each line"
    expected = "At least two documents, to train on one and hold out another"
    raise DataError(f"{source.name} holds {found}", expected, action)
