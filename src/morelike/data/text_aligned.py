"""Aligned files, such as `train.en` and `train.de`: line i of each says the same, and is one row with all of them."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from morelike.core.errors import DataError
from morelike.data.listing import fingerprint, is_hidden, mark, printable
from morelike.data.text_encoding import clean
from morelike.data.text_files import is_paper, kind_of, single
from morelike.data.text_rows import Row, Table

_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?$|src$|tgt$|source$|target$")
_NOT_LANGUAGES = {"py", "js", "css", "xml", "gz", "zip", "tar", "bz2", "xz", "pdf", "log", "ini", "cfg", "bin", "png",
                  "jpg", "gif", "bmp", "wav", "mp3", "ogg", "mid", "mp4", "avi", "mpg", "npy", "npz", "pkl", "pt",
                  "doc", "rtf", "tex", "bib", "sh", "bat", "exe", "cpp", "h", "c", "rs", "go", "rb", "db"}  # fmt: skip


def aligned_files(path: Path) -> dict[str, Path]:
    """The files at a common stem, or in a folder, by their language: {"de": train.de, "en": train.en}; {} where none.

    Of several stems in a folder it is the one that is called train, else the one with the largest files.
    """
    if path.is_dir():
        stems = _stems(path, strict=True)
        if sum(map(len, stems.values())) < 0.5 * sum(not is_hidden(e.name) and not is_paper(e.name)
                                                     for e in os.scandir(path)):  # fmt: skip
            return {}
        best = max(stems, key=lambda stem: (stem == "train", _size(stems[stem])), default=None)
        return stems[best] if best is not None else {}
    if path.exists() or not path.parent.is_dir():
        return {}
    return _stems(path.parent, strict=False).get(path.name, {})


def _stems(folder: Path, strict: bool) -> dict[str, dict[str, Path]]:
    """The groups of two files or more in a folder that differ in their last suffix alone.

    strict  whether that suffix has to look like a language
    """
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    with os.scandir(folder) as there:
        names = sorted(one.name for one in there if one.is_file() and not is_hidden(one.name))
    for name in names:
        stem, suffix = os.path.splitext(name.removesuffix(".gz"))
        language = suffix[1:]
        known = kind_of(name) is not None or language.lower() in _NOT_LANGUAGES
        if language and not known and (not strict or _LANGUAGE.match(language)):
            found[stem][printable(language)] = folder / name
    return {stem: files for stem, files in found.items() if len(files) > 1}


def _size(files: Mapping[str, Path]) -> int:
    return sum(file.stat().st_size for file in files.values())


def read_aligned(files: Mapping[str, Path]) -> Table:
    """Row i holds line i of each file; blank lines are problems.

    Raises `DataError` where the files have different numbers of lines, or one is no text, and `OSError`.
    """
    lines, problems = dict[str, list[str]](), list[tuple[str, str]]()
    for language, path in files.items():
        try:
            decoded = single(path).decoded()
        except DataError as error:
            found, expected = f"{printable(path)} is {error.found}", f"It is to be {error.expected}"
            raise DataError(found, expected, error.action) from None
        if decoded.problem:
            problems.append((f"{printable(path.name)} (encoding)", decoded.problem))
        lines[language] = decoded.text.removesuffix("\n").split("\n")
    counts = {language: len(found) for language, found in lines.items()}
    if len(set(counts.values())) > 1:
        raise _unequal(files, counts)
    rows = list[Row]()
    for number, cells in enumerate(_rows(lines), start=1):
        empty = [language for language, cell in cells.items() if not cell]
        where = f"{_stem(files)}, line {number}"
        if empty:
            problems.append((where, f"{', '.join(printable(files[one].name) for one in empty)}: blank"))
        else:
            rows.append(Row(where, cells))
    return Table(rows, list(files), problems)


def _rows(lines: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    for cells in zip(*lines.values(), strict=True):
        yield {language: clean(cell.strip())[0] for language, cell in zip(lines, cells, strict=True)}


def _stem(files: Mapping[str, Path]) -> str:
    return printable(os.path.splitext(next(iter(files.values())).name.removesuffix(".gz"))[0])


def _unequal(files: Mapping[str, Path], counts: Mapping[str, int]) -> DataError:
    short, long = min(counts, key=lambda one: counts[one]), max(counts, key=lambda one: counts[one])
    said = ", ".join(f"{printable(files[one].name)} {count:,}" for one, count in counts.items())
    return DataError(
        f"The aligned files have different numbers of lines: {said}. Line {counts[short] + 1:,} of "
        f"{printable(files[long])} is the first that has no counterpart",
        "Line i of each file says the same as line i of the others",
        f"Look for a line that is missing in {printable(files[short].name)}, or broken in two in the other",
    )


def stamp_of(files: Mapping[str, Path]) -> str:
    """A fingerprint of the files as they are."""
    return fingerprint("aligned", (part for file in files.values() for part in (file.name, *mark(file.stat()))))
