"""Items decoded once into a memory-mapped array that is used until the source changes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np
from PIL import Image

from morelike.core.codec import Codec, Item
from morelike.core.errors import DataError
from morelike.data.listing import Source, fingerprint, printable, shorten, why

FORMAT = 1  # raised when stored arrays come to mean something else
_HEADER = 256  # bytes: room for the final shape, which is known last
_PENDING = 64  # items under way at once
_CHUNK = 8 << 20  # bytes collected between two writes
_STALE = 24 * 3600  # seconds after which a folder that was left half-built is removed
_TABLE, _ARRAY, _HASHES = "items.json", "x.npy", "hashes.npy"


@dataclass
class Dataset:
    """Prepared items, as many as could be read.

    x            (N, *stored) memory map
    names        where each came from
    fields       other columns by name; "" where an item lacks one
    hashes       uint64 (N,) of the content of each
    problems     (name, reason) of everything that was left out
    fingerprint  of the source
    path         folder of the cache
    """

    x: np.ndarray
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
        return ["all pictures are identical"] if len(np.unique(self.hashes)) == 1 else []


def default_root() -> Path:
    """Where caches are kept: $MORELIKE_CACHE, else ~/.cache/morelike."""
    return Path(os.environ.get("MORELIKE_CACHE") or Path.home() / ".cache" / "morelike")


def build(
    source: Source, codec: Codec, root: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Dataset:
    """The items of a source as the codec prepares them, from the cache if they have not changed.

    root      folder of caches; None for `default_root`
    progress  called with the number of items done and their total

    Items that cannot be read are left out and named in `problems`. Raises `DataError` when fewer than two remain, or when
    the cache cannot be written; nothing half-built is left behind.
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
            _fill(folder, source, codec, progress or (lambda done, total: None))
            _publish(folder, path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise _unwritable(root, error) from None
    built = _read(path)
    if built is None:
        raise DataError(
            f"The cache in {printable(path)} changed while it was written", "A folder of its own", "Run it again"
        )
    return built


def _fill(folder: Path, source: Source, codec: Codec, progress: Callable[[int, int], None]) -> None:
    """Prepare all items in order, a few at a time, and write them piece by piece: the whole is never in memory."""
    names, rows, hashes, problems, chunk = [], [], [], list(source.problems), []
    total, shape = len(source.items), None
    with open(folder / _ARRAY, "wb") as file:
        file.write(b"\0" * _HEADER)
        for done, (item, stored) in enumerate(_prepared(source, codec), start=1):
            if isinstance(stored, str):
                problems.append((item.name, stored))
            else:
                shape = stored.shape
                names.append(item.name)
                rows.append(dict(item.fields))
                hashes.append(int.from_bytes(blake2b(stored.tobytes(), digest_size=8).digest(), "little"))
                chunk.append(stored.tobytes())
            if done == total or len(chunk) * len(chunk[0] if chunk else b"") >= _CHUNK:
                file.write(b"".join(chunk))
                chunk.clear()
            if done == total or not done % 32:
                progress(done, total)
        if len(names) < 2:
            raise _too_few(source, len(names), problems)
        file.seek(0)
        file.write(_header((len(names), *shape)))
        _settle(file)
    with open(folder / _HASHES, "wb") as file:
        np.save(file, np.array(hashes, dtype=np.uint64))
        _settle(file)
    keys = sorted({key for row in rows for key in row})
    table = {"fingerprint": source.fingerprint, "names": names, "problems": problems,
             "fields": {key: [row.get(key, "") for row in rows] for key in keys}}  # fmt: skip
    with open(folder / _TABLE, "w", encoding="ascii") as file:
        json.dump(table, file)
        _settle(file)


def _prepared(source: Source, codec: Codec) -> Iterator[tuple[Item, np.ndarray | str]]:
    """Each item, in order, with what it became or why it could not be read; decoders release the interpreter's lock."""
    pending: deque[tuple[Item, Future]] = deque()
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the codec has a lower limit of its own
        try:
            for item in source.items:
                pending.append((item, pool.submit(partial(_attempt, codec), item)))
                if len(pending) >= _PENDING:
                    item, future = pending.popleft()
                    yield item, future.result()
            while pending:
                item, future = pending.popleft()
                yield item, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(codec: Codec, item: Item) -> np.ndarray | str:
    try:
        return codec.prepare(item)
    except Exception as error:  # decoders raise anything when a file is broken, and one file must not end the rest
        return why(error)


def _header(shape: tuple[int, ...]) -> bytes:
    """The .npy header (version 1.0) of a uint8 array, padded to a fixed length."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape})
    length = _HEADER - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


def _settle(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _publish(folder: Path, path: Path) -> None:
    """Give the finished folder its name; whatever already has it is broken, or was built by somebody else meanwhile."""
    try:
        os.rename(folder, path)
    except OSError:
        if _read(path) is None:
            shutil.rmtree(path, ignore_errors=True)
            os.rename(folder, path)


def _read(path: Path) -> Dataset | None:
    """A finished cache, or None where there is none or it is damaged."""
    try:
        table = json.loads((path / _TABLE).read_text(encoding="ascii"))
        x = np.load(path / _ARRAY, mmap_mode="r", allow_pickle=False)
        hashes = np.load(path / _HASHES, allow_pickle=False)
        problems = [(name, reason) for name, reason in table["problems"]]
        found = Dataset(x, table["names"], table["fields"], hashes, problems, table["fingerprint"], path)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    lengths = {len(x), len(found.names), len(hashes), *map(len, found.fields.values())}
    return found if len(lengths) == 1 else None


def _sweep(root: Path) -> None:
    for folder in root.glob(".building-*"):
        if time.time() - folder.stat().st_mtime > _STALE:
            shutil.rmtree(folder, ignore_errors=True)


def _too_few(source: Source, usable: int, problems: list[tuple[str, str]]) -> DataError:
    causes = shorten([f"{name}: {reason}" for name, reason in problems])
    return DataError(
        f"{usable} of {len(source.items):,} items in {source.name} can be used ({causes})",
        "At least two",
        "Look at the files named, or name another source",
    )


def _unwritable(root: Path, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    found = (
        f"The disk of the cache {printable(root)} is full"
        if full
        else f"The cache {printable(root)} cannot be written: {why(error)}"
    )
    return DataError(
        found, "Room for the prepared pictures", "Free some space, or set MORELIKE_CACHE to another folder"
    )
