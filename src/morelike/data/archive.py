"""Pictures in zip and tar files, read from where they lie: nothing is unpacked to disk."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from PIL import Image

from morelike.core.codec import Item
from morelike.core.errors import DataError
from morelike.data.listing import (
    PICTURES,
    Source,
    fingerprint,
    is_companion,
    is_hidden,
    mark,
    open_picture,
    printable,
    why,
)

_MOST = 512 << 20  # bytes of one member; a picture that unpacks to more is refused
_PASSED = 64  # members of a compressed tar that are kept when they are passed over
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ACTION = "Copy or download it again, or unpack it and name the folder"


class Member(NamedTuple):
    """One file in an archive: its name, its unpacked size in bytes, and how to read it."""

    name: str
    size: int
    read: Callable[[], bytes]


def is_archive(name: str) -> bool:
    """True for the name of a zip or tar file."""
    return name.lower().endswith((".zip", *_TAR))


def open_archive(path: Path) -> Source:
    """The pictures in a .zip or .tar(.gz, .bz2, .xz); the first folder of each is its label.

    A single folder around everything is not a label. Members that lie outside the archive by their name, links and
    devices are not read. Raises `DataError` when the archive is damaged.
    """
    kept, problems = [], []
    for member in members(path):
        parts = names_of(member)
        if any(is_hidden(part) for part in parts if part != "..") or is_companion(parts[-1]):
            continue
        problem = unsafe(member, parts) or _not_picture(parts)
        if problem:
            problems.append((printable(member.name), problem))
        else:
            kept.append((member, parts))
    depth = shared([parts for _, parts in kept])
    items = [_item(member, parts[depth:]) for member, parts in kept]
    return Source(printable(path), items, fingerprint("archive", (path.name, *mark(os.stat(path)))), problems)


def members(path: Path) -> list[Member]:
    """All regular files in an archive. Raises `DataError` when it is damaged."""
    try:
        return _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path)
    except Exception as error:  # damaged archives are parsed by half a dozen modules, with errors to match
        raise DataError(f"{printable(path)} cannot be read: {why(error)}", "A zip or tar file", ACTION) from None


def names_of(member: Member) -> list[str]:
    """The folders that a member is in, and its own name."""
    return [part for part in member.name.replace("\\", "/").split("/") if part != "."]


def unsafe(member: Member, parts: Sequence[str]) -> str | None:
    """Why a member with these names is not read, whatever it holds; None where it is."""
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        return "its name leads out of the archive"
    if member.size > _MOST:
        return f"unpacks to {member.size / 2**20:,.0f} MiB, more than {_MOST >> 20}"
    return None


def _not_picture(parts: Sequence[str]) -> str | None:
    return None if os.path.splitext(parts[-1])[1].lower() in PICTURES else "not a picture"


def shared(names: Sequence[Sequence[str]]) -> int:
    """How many folders all items are in together, leaving at least one to be their label."""
    depth = 0
    while names and all(len(parts) > depth + 2 for parts in names) and len({parts[depth] for parts in names}) == 1:
        depth += 1
    return depth


def _item(member: Member, parts: Sequence[str]) -> Item:
    fields = {"label": printable(parts[0])} if len(parts) > 1 else {}
    return Item(printable(member.name), partial(_load, member.read), fields)


def _load(read: Callable[[], bytes]) -> Image.Image:
    return open_picture(read())


def _zip_members(path: Path) -> list[Member]:
    archive = zipfile.ZipFile(path)  # its reads are safe in several threads
    found = [info for info in archive.infolist() if not info.is_dir()]
    read = [partial(_zip_read, archive, info) for info in found]
    return [Member(*one) for one in zip(_zip_names(found), (info.file_size for info in found), read, strict=True)]


def _zip_read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 1:
        raise DataError("encrypted", "a picture without a password", ACTION)
    return archive.read(info)


def _zip_names(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The members' names; without the UTF-8 flag they are in the code page of whoever packed them, often Chinese."""
    unmarked = "\n".join(info.filename for info in members if not info.flag_bits & 0x800)
    for encoding in ("utf-8", "gb18030"):
        try:
            unmarked.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
        return [
            info.filename if info.flag_bits & 0x800 else info.filename.encode("cp437").decode(encoding)
            for info in members
        ]
    return [info.filename for info in members]


def _tar_members(path: Path) -> list[Member]:
    with tarfile.open(path) as archive:
        found = [info for info in archive if info.isreg()]
        plain = isinstance(archive.fileobj, io.BufferedReader)
    if plain:
        return [Member(info.name, info.size, partial(_slice, path, info.offset_data, info.size)) for info in found]
    stream = _Stream(path)
    return [Member(info.name, info.size, partial(stream.read, info.offset_data)) for info in found]


def _slice(path: Path, begin: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(begin)
        return file.read(size)


class _Stream:
    """Members of a compressed tar, which can only be read forwards.

    The last ones that were passed over are kept, so that threads may ask a little out of order; asking for an earlier
    one starts again at the beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, Lock()
        self.passed: OrderedDict[int, bytes] = OrderedDict()
        self.archive: tarfile.TarFile | None = None
        self.place = -1

    def read(self, offset: int) -> bytes:
        """The member whose content begins at `offset` of the unpacked tar."""
        with self.lock:
            if offset in self.passed:
                return self.passed.pop(offset)
            if self.archive is None or offset <= self.place:
                self.archive, self.place = tarfile.open(self.path, "r|*"), -1  # noqa: SIM115  (it stays open for later calls)
            for begin, data in self._forward(self.archive):
                if begin == offset:
                    return data
                self.passed[begin] = data
                if len(self.passed) > _PASSED:
                    self.passed.popitem(last=False)
        raise DataError("no longer in the archive", "an archive at rest", "Run it again")

    def _forward(self, archive: tarfile.TarFile) -> Iterator[tuple[int, bytes]]:
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # or every header would be kept
            self.place = info.offset_data
            file = archive.extractfile(info) if info.isreg() and info.size <= _MOST else None
            if file is not None:
                yield info.offset_data, file.read()
