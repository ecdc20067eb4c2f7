"""Items decoded once into a memory-mapped array that is used until the source changes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from morelike.core.codec import Codec
from morelike.core.errors import DataError
from morelike.data.listing import Source, fingerprint, printable, why
from morelike.data.ragged import Ragged
from morelike.data.store import ARRAY, HASHES, OFFSETS, TABLE, fill

FORMAT = 2  # raised when stored arrays come to mean something else
_STALE = 24 * 3600  # seconds after which a folder that was left half-built is removed


@dataclass
class Dataset:
    """Prepared items, as many as could be read.

    x            (N, *stored) memory map, or items of different length
    names        where each came from
    fields       other columns by name; "" where an item lacks one
    hashes       uint64 (N,) of the content of each
    problems     (name, reason) of everything that was left out
    fingerprint  of the source
    path         folder of the cache
    """

    x: np.ndarray | Ragged
    names: list[str]
    fields: dict[str, list[str]]
    hashes: np.ndarray
    problems: list[tuple[str, str]]
    fingerprint: str
    path: Path

    def __len__(self) -> int:
        return len(self.x)

    @property
    def warnings(self) -> list[str]:
        """What is odd about the items as a whole."""
        return ["all items are identical"] if (self.hashes == self.hashes[:1]).all() else []


def default_root() -> Path:
    """Where caches are kept: $MORELIKE_CACHE, else ~/.cache/morelike."""
    return Path(os.environ.get("MORELIKE_CACHE") or Path.home() / ".cache" / "morelike")


def build(
    source: Source, codec: Codec, root: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """The items of a source as the codec prepares them, from the cache if they have not changed.

    root      folder of caches; None for `default_root`
    progress  called with the number of items done and their total

    Items that cannot be read are left out and named in `problems`. Raises `DataError` when fewer than two remain, or
    when the cache cannot be written; nothing half-built is left behind.
    """
    root = Path(root) if root is not None else default_root()
    settings = getattr(codec, "preparation", None) or getattr(codec, "config", None)
    path = root / fingerprint("cache", (FORMAT, source.fingerprint, type(codec).__module__, repr(settings)))
    found = _read(path)
    if found is not None:
        return found
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        folder = Path(tempfile.mkdtemp(dir=root, prefix=".building-"))
        try:
            fill(folder, source, codec, progress or (lambda done, total: None))
            _publish(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise _unwritable(root, error) from None
    built = _read(path)
    if built is None:
        changed = f"The cache {printable(path)} changed while it was written"
        raise DataError(changed, "A folder that nobody else writes to", "Run it again")
    return built


def _publish(folder: Path, path: Path) -> None:
    """Give the finished folder its name; whatever has it is damaged, or was built by somebody else meanwhile."""
    try:
        os.rename(folder, path)
    except OSError:
        if _read(path) is None:
            shutil.rmtree(path, ignore_errors=True)
            os.rename(folder, path)


def _read(path: Path) -> Dataset | None:
    """A finished cache, or None where there is none or it is damaged."""
    try:
        table = json.loads((path / TABLE).read_text(encoding="ascii"))
        x: np.ndarray | Ragged = np.load(path / ARRAY, mmap_mode="r", allow_pickle=False)
        if (path / OFFSETS).exists():
            x = Ragged(np.asarray(x), np.load(path / OFFSETS, allow_pickle=False))
        hashes = np.load(path / HASHES, allow_pickle=False)
        problems = [(name, reason) for name, reason in table["problems"]]
        found = Dataset(x, table["names"], table["fields"], hashes, problems, table["fingerprint"], path)
        lengths = {len(x), len(hashes), len(found.names), *(len(column) for column in found.fields.values())}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    return found if len(lengths) == 1 else None


def _sweep(root: Path) -> None:
    for folder in root.glob(".building-*"):
        if time.time() - folder.stat().st_mtime > _STALE:
            shutil.rmtree(folder, ignore_errors=True)


def _unwritable(root: Path, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    place = printable(root)
    found = f"The disk of the cache {place} is full" if full else f"The cache {place} cannot be written: {why(error)}"
    action = "Free some space, or set MORELIKE_CACHE to another folder"
    return DataError(found, "Room for the prepared items", action)
