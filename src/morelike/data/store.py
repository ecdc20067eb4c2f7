"""Writing prepared items to disk, piece by piece, so that the whole is never in memory."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np

from morelike.core.codec import Codec, Item, Varies
from morelike.core.errors import DataError
from morelike.data.listing import Source, quiet, shorten, why

TABLE, ARRAY, HASHES, OFFSETS = "items.json", "x.npy", "hashes.npy", "offsets.npy"
_HEADER = 256  # bytes: room for the shape, which is known last
_GROUP, _PENDING = 8, 8  # items that a thread takes at once, and groups of them under way
_PIECE = 8 << 20  # bytes collected between two writes
_OFTEN = 32  # items between two reports of progress


@runtime_checkable
class Bulk(Protocol):
    """A codec that prepares many items at once, each of which can be read: (n, *stored) after (n, *stored)."""

    def prepare_all(self, items: Sequence[Item]) -> Iterator[np.ndarray]: ...


@runtime_checkable
class Cuts(Protocol):
    """A codec whose items are cut out of rows, as windows out of a series; they have names, and fields each."""

    def cut(self, items: Sequence[Item]) -> Sequence[Item]: ...


@runtime_checkable
class Groups(Protocol):
    """A codec that knows of items at once which of them belong together: a field `TOGETHER` of each, or [] for none."""

    def fields(self, items: Sequence[Item]) -> list[dict[str, str]]: ...


def fill(folder: Path, source: Source, codec: Codec, progress: Callable[[int, int], None]) -> None:
    """Prepare all items of a source in their order and write them into a folder.

    Items of different length, which are one-dimensional, stand one behind another, and a file says where each begins.
    Raises `DataError` when fewer than two can be read, and `OSError` when the disk is full.
    """
    if isinstance(codec, Bulk):
        _fill_at_once(folder, source, codec, progress)
        return
    names: list[str] = []
    rows: list[dict[str, str]] = []
    hashes: list[int] = []
    offsets, ragged = [0], isinstance(codec, Varies)
    problems = list(source.problems)
    with open(folder / ARRAY, "wb", buffering=_PIECE) as file:
        file.write(b"\0" * _HEADER)
        for done, (item, stored) in enumerate(prepared(source, codec), start=1):
            if isinstance(stored, str):
                problems.append((item.name, stored))
            else:
                names.append(item.name)
                rows.append(dict(item.fields))
                data, shape, dtype = stored.tobytes(), stored.shape, stored.dtype
                offsets.append(offsets[-1] + len(stored))
                hashes.append(int.from_bytes(blake2b(data, digest_size=8).digest(), "little"))
                file.write(data)
            if done % _OFTEN == 0 or done == len(source.items):
                progress(done, len(source.items))
        if len(names) < 2:
            raise _too_few(source, len(names), problems)
        file.seek(0)
        file.write(_header((offsets[-1],) if ragged else (len(names), *shape), dtype))
        _settle(file)
    _save(folder / HASHES, np.array(hashes, dtype=np.uint64))
    if ragged:
        _save(folder / OFFSETS, np.array(offsets))
    _write_table(folder, {"fingerprint": source.fingerprint, "names": names, "problems": problems}, rows)


def _fill_at_once(folder: Path, source: Source, codec: Bulk, progress: Callable[[int, int], None]) -> None:
    """The same for a codec that takes many items at once and leaves none out."""
    hashes, done = list[np.ndarray](), 0
    items = codec.cut(source.items) if isinstance(codec, Cuts) else source.items
    with open(folder / ARRAY, "wb", buffering=_PIECE) as file:
        file.write(b"\0" * _HEADER)
        for part in ahead(codec.prepare_all(items)):
            data, size = part.tobytes(), max(1, part.nbytes // max(1, len(part)))
            file.write(data)
            starts = range(0, len(data), size)
            digests = [blake2b(data[begin : begin + size], digest_size=8).digest() for begin in starts]
            hashes.append(np.frombuffer(b"".join(digests), "<u8"))
            done += len(part)
            progress(done, len(items))
        if done < 2:
            raise _too_few(source, done, list(source.problems))
        file.seek(0)
        file.write(_header((done, *part.shape[1:]), part.dtype))
        _settle(file)
    _save(folder / HASHES, np.concatenate(hashes).astype(np.uint64))
    names = getattr(items, "names", None) or [item.name for item in items]
    table = {"fingerprint": source.fingerprint, "names": names, "problems": source.problems}
    fields = codec.fields(items) if isinstance(codec, Groups) else getattr(items, "fields", [])
    _write_table(folder, table, fields)


def ahead(parts: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same parts, the next of which is made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        after = pool.submit(next, parts, None)
        while (part := after.result()) is not None:
            after = pool.submit(next, parts, None)
            yield part


def prepared(source: Source, codec: Codec) -> Iterator[tuple[Item, np.ndarray | str]]:
    """Each item, in order, with what it became or why it cannot be read; decoders release the interpreter's lock."""

    def attempt(items: list[Item]) -> list[tuple[Item, np.ndarray | str]]:
        return [(item, _attempt(codec, item)) for item in items]

    rest, pending = iter(source.items), deque[Future]()
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    with quiet():
        try:
            while group := list(islice(rest, _GROUP)):
                pending.append(pool.submit(attempt, group))
                if len(pending) >= _PENDING:
                    yield from pending.popleft().result()
            for future in pending:
                yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(codec: Codec, item: Item) -> np.ndarray | str:
    try:
        return codec.prepare(item)
    except Exception as error:  # decoders raise anything when a file is broken, and one file must not end the rest
        return why(error)


def _write_table(folder: Path, table: dict[str, Any], rows: list[dict[str, str]]) -> None:
    keys = sorted({key for row in rows for key in row})
    table["fields"] = {key: [row.get(key, "") for row in rows] for key in keys}
    with open(folder / TABLE, "w", encoding="ascii") as file:
        file.write(json.dumps(table))  # at once: piece by piece takes five times as long
        _settle(file)


def _save(path: Path, array: np.ndarray) -> None:
    with open(path, "wb") as file:
        np.save(file, array)
        _settle(file)


def _header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """The .npy header (version 1.0) of an array, padded to a fixed length."""
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape})
    length = _HEADER - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.ljust(length - 1).encode() + b"\n"


def _settle(file: IO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _too_few(source: Source, usable: int, problems: list[tuple[str, str]]) -> DataError:
    causes = shorten([f"{name}: {reason}" for name, reason in problems]) or "there are no more"
    found = f"{usable} of {len(source.items):,} items in {source.name} can be used ({causes})"
    return DataError(found, "At least two", "Look at the files named, or name another source")
