"""What a source is, and the careful reading of folders and picture files that the sources share."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, NamedTuple, overload

from PIL import Image

from morelike.core.codec import Item
from morelike.core.errors import DataError

FORMATS = (
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "PPM",
)  # none starts another program, as EPS does; MPO is read as JPEG
PICTURES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm"),
)
COMPANIONS = (
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".yaml", ".yml", ".html", ".log", ".ini"),
    *(".db", ".license", ".sha256"),
)
COMPANION_NAMES = ("readme", "license", "licence", "notice", "copying", "authors", "sha256sums", "md5sums")
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6")


@dataclass(frozen=True)
class Reading:
    """How a source is to be read, where its files leave that open.

    codec  auto | image | text | table: what its items are
    make   the column that is learnt, of several
    unit   auto | file | paragraph | line: how much of a text is one item
    """

    codec: str = "auto"
    make: str | None = None
    unit: str = "auto"


AS_FOUND = Reading()


@dataclass
class Source:
    """Items to learn from.

    name         what the user calls it
    items        one `Item` per picture, some of which may turn out to be unreadable
    fingerprint  changes when the content changes
    problems     (name, reason) of what was left out while listing
    codec        name of the codec that reads the items
    """

    name: str
    items: Sequence[Item]
    fingerprint: str
    problems: list[tuple[str, str]] = field(default_factory=list)
    codec: str = "image"


class Lazy(Sequence[Item]):
    """As many items as are announced, each made when it is asked for.

    mark  what stands between the cells of the file in which they are, "" where nothing does
    """

    mark = ""

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self.rows, self.make = range(count), make

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self.make(row) for row in self.rows[index]]
        return self.make(self.rows[index])


class Entry(NamedTuple):
    """A regular file below a folder: where it is, its names from that folder down, and what identifies its content."""

    path: str
    parts: tuple[str, ...]
    mark: tuple[int, int, int]  # size, time of last change in ns, permissions

    @property
    def name(self) -> str:
        return printable("/".join(self.parts))

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.parts[-1])[1].lower()


def printable(name: str | PurePath) -> str:
    """The name with bytes that are not UTF-8 spelt out, so that it can be printed and stored anywhere."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shorten(found: Sequence[object], most: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(str(one) for one in found[:most]) + more


def fingerprint(kind: str, parts: Iterable[object]) -> str:
    """A digest of whatever identifies the content of a source; names may hold undecodable bytes."""
    digest = blake2b(kind.encode(), digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def listed(entries: Iterable[Entry]) -> Iterator[object]:
    """What identifies the content of some files, for `fingerprint`."""
    return (part for entry in entries for part in ("/".join(entry.parts), *entry.mark))


def mark(status: os.stat_result) -> tuple[int, int, int]:
    """Size, time of last change and permissions: a file with the same three is taken to be unchanged."""
    return status.st_size, status.st_mtime_ns, status.st_mode


def why(error: BaseException) -> str:
    """The cause of an unreadable item in a few plain words, whatever the decoder raised."""
    if isinstance(error, DataError):
        return f"{error.found} (expected: {error.expected})"
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a picture in a known format"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels to be decoded safely"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return printable(" ".join(str(error).split())[:200]) or type(error).__name__


def is_hidden(name: str) -> bool:
    """True for what file managers leave behind."""
    return name.startswith(".") or name == "__MACOSX" or name.lower() in ("thumbs.db", "desktop.ini")


def is_companion(name: str) -> bool:
    """True for the papers that come with a data set: quietly left out."""
    stem, suffix = os.path.splitext(name.lower())
    return suffix in COMPANIONS or (not suffix and stem in COMPANION_NAMES)


def has_signature(head: bytes) -> bool:
    """True when the first 16 bytes are those of a picture, whatever the file is called."""
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def open_picture(file: str | bytes) -> Any:
    """A PIL image from a path or from its bytes, with only its header read; it is decoded when it is first used."""
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings: a damaged picture becomes a problem, and a huge one is refused by the codec.

    Warnings are set for the whole process, so this belongs around a pool of threads and not inside one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def picture_problem(entry: Entry) -> str | None:
    """Why a file cannot be a picture, judged by its name or, where that says nothing, by its first bytes."""
    if entry.suffix in PICTURES:
        return None
    try:
        with open(entry.path, "rb") as file:
            return None if has_signature(file.read(16)) else "not a picture"
    except OSError as error:
        return why(error)


def walk(root: str) -> tuple[list[Entry], list[tuple[str, str]]]:
    """All regular files below a folder in the order of their names, and what could not be looked at.

    Links are followed, but no folder is read twice, so that loops end. Hidden files are left out. Raises `OSError`
    when the folder itself cannot be read.
    """
    os.scandir(root).close()
    found: list[Entry] = []
    problems: list[tuple[str, str]] = []
    seen, folders = {_identity(os.stat(root))}, [(root, ())]
    while folders:  # a list and no recursion, whatever the depth
        within = _look(*folders.pop(), seen, found, problems)
        folders += reversed(within)
    return sorted(found, key=lambda entry: [os.fsencode(part) for part in entry.parts]), problems


def _look(
    folder: str, above: tuple[str, ...], seen: set, found: list[Entry], problems: list
) -> list[tuple[str, tuple]]:
    """Add the files of one folder to `found`; returns the folders within that were not seen before."""
    try:
        with os.scandir(folder) as there:
            names = sorted((one.name for one in there if not is_hidden(one.name)), key=os.fsencode)
    except OSError as error:
        problems.append((printable("/".join(above)), why(error)))
        return []
    within = []
    for name in names:
        path, parts = os.path.join(folder, name), (*above, name)
        try:
            status = os.stat(path)
        except OSError as error:
            problems.append((printable("/".join(parts)), why(error)))
            continue
        if stat.S_ISREG(status.st_mode):
            found.append(Entry(path, parts, mark(status)))
        elif not stat.S_ISDIR(status.st_mode):
            problems.append((printable("/".join(parts)), "neither a file nor a folder"))
        elif _identity(status) in seen:
            problems.append((printable("/".join(parts)), "a link to a folder that is read already"))
        else:
            seen.add(_identity(status))
            within.append((path, parts))
    return within


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
