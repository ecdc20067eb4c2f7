"""Text files where they lie: alone, in a folder, in an archive, packed with gzip; and what kind each of them is."""

from __future__ import annotations

import gzip
import io
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from morelike.chemistry.lines import only_smiles
from morelike.core.errors import DataError
from morelike.data import archive
from morelike.data.listing import COMPANION_NAMES, fingerprint, is_hidden, listed, mark, printable, walk
from morelike.data.shards import has_card, laid_out
from morelike.data.text_encoding import Decoded, decode
from morelike.data.text_markup import declared, html_text, markdown_text

KINDS = {
    ".txt": "plain", ".text": "plain", ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html",
    ".xhtml": "html", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv",
    ".parquet": "shard", ".arrow": "shard", ".smi": "smiles", ".smiles": "smiles",
}  # fmt: skip
TABLES = ("jsonl", "json", "csv", "tsv", "shard")
MOST = 2 << 30  # bytes of a file once it is unpacked
_KEPT = 64 << 20  # bytes of texts that are kept for the items that are read next


class File(NamedTuple):
    """A file with text in it.

    name   as the user would find it
    parts  the folders it is in, and its own name
    size   in bytes, as it lies there
    read   returns its bytes
    path   of a file that is not in an archive
    """

    name: str
    parts: Sequence[str]
    size: int
    read: Callable[[], bytes]
    path: str = ""

    @property
    def kind(self) -> str | None:
        """plain, markdown, html, smiles, jsonl, json, csv, tsv or shard; None where the name says nothing."""
        return kind_of(self.parts[-1])

    @property
    def label(self) -> str:
        """The first folder that it is in, "" where it is in none, or one that only holds a part of a data set."""
        return printable(self.parts[0]) if len(self.parts) > 1 and self.kind != "shard" else ""

    def content(self) -> bytes:
        """Its bytes, unpacked. Raises `DataError` where there are too many, and `OSError`."""
        if self.size > MOST:
            raise DataError(f"{self.size / 2**30:.1f} GiB", f"at most {MOST >> 30} GiB", "Split it")
        data = self.read()
        if not self.parts[-1].lower().endswith(".gz"):
            return data
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            data = packed.read(MOST + 1)
        if len(data) > MOST:
            raise DataError(f"more than {MOST >> 30} GiB unpacked", "less", "Unpack and split it")
        return data

    @property
    def place(self) -> str | bytes:
        """Its path, or its bytes where it has none."""
        return self.path or self.content()

    def decoded(self, most: int | None = None) -> Decoded:
        """Its text without markup, or that of its first bytes. Raises `DataError` where it is none."""
        data = self.content()[:most]
        found = decode(data, declared(data) if self.kind == "html" else None)
        strip = {"html": html_text, "markdown": markdown_text, "smiles": only_smiles}.get(self.kind or "")
        return found._replace(text=strip(found.text)) if strip else found


def kind_of(name: str) -> str | None:
    """The kind of text that a file name promises, or None."""
    return KINDS.get(os.path.splitext(name.lower().removesuffix(".gz"))[1])


def is_paper(name: str) -> bool:
    """True for what comes with a data set and is not part of it: its read-me, licence and checksums."""
    return os.path.splitext(name.lower())[0] in COMPANION_NAMES


def single(path: Path) -> File:
    """One file by its path."""
    return File(printable(path.name), (path.name,), path.stat().st_size, path.read_bytes, str(path))


def gather(path: Path) -> tuple[list[File], list[tuple[str, str]], str]:
    """The files at a path, be it a file, a folder or an archive; what cannot be read; and a fingerprint of it all.

    Papers such as a read-me are left out where there is anything else, and so is what is not for training in a data
    set of Hugging Face. Raises `DataError` for a damaged archive and
    `OSError`.
    """
    problems: list[tuple[str, str]] = []
    if path.is_dir():
        entries, problems = walk(str(path))
        files = [File(e.name, e.parts, e.mark[0], partial(Path(e.path).read_bytes), e.path) for e in entries]
        stamp = fingerprint("text folder", listed(entries))
    elif archive.is_archive(path.name):
        files, problems = _members(path)
        stamp = fingerprint("text archive", (path.name, *mark(os.stat(path))))
    else:
        return [single(path)], problems, fingerprint("text", (path.name, *mark(os.stat(path))))
    files = laid_out(files, has_card(path))
    kept = [file for file in files if not is_paper(file.parts[-1])]
    return kept or files, problems, stamp


def _members(path: Path) -> tuple[list[File], list[tuple[str, str]]]:
    kept, problems = [], []
    for member in archive.members(path):
        parts = archive.names_of(member)
        if any(is_hidden(part) for part in parts if part != ".."):
            continue
        problem = archive.unsafe(member, parts)
        if problem:
            problems.append((printable(member.name), problem))
        else:
            kept.append((member, parts))
    kept = [one for one in kept if not is_paper(one[1][-1])] or kept
    depth = archive.shared([parts for _, parts in kept])
    return [File(printable(one.name), parts[depth:], one.size, one.read) for one, parts in kept], problems


class Texts:
    """The texts of some files, of which the last ones that were asked for are kept.

    They are kept in UTF-8, as one rare sign in a text of Python's makes each of its letters four bytes long.
    """

    def __init__(self, files: Iterable[File]) -> None:
        self.files, self.lock = list(files), Lock()
        self.kept: OrderedDict[int, bytes] = OrderedDict()

    def put(self, place: int, text: str) -> bytes:
        """Keep a text, and let go of those that were not asked for lately where that is too much."""
        data = text.encode("utf-8", "surrogatepass")
        with self.lock:
            self.kept[place] = data
            self.kept.move_to_end(place)
            while len(self.kept) > 1 and sum(map(len, self.kept.values())) > _KEPT:
                self.kept.popitem(last=False)
        return data

    def piece(self, place: int, begin: int, end: int) -> str:
        """The text of one file between two places, counted in bytes of UTF-8."""
        with self.lock:
            data = self.kept.get(place)
            if data is not None:
                self.kept.move_to_end(place)
        data = self.put(place, self.files[place].decoded().text) if data is None else data
        return data[begin:end].decode("utf-8", "surrogatepass")
