"""Pictures in IDX files, the format of MNIST."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from morelike.core.errors import DataError
from morelike.data.listing import Source, fingerprint, mark, printable, why
from morelike.data.rows import array_source, memory_rows

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_MOST = 4 << 30  # bytes, since a compressed file has to be unpacked into memory
AGAIN = "Copy or download it again"


def is_images(name: str) -> bool:
    """True for the names under which IDX pictures are handed round."""
    return "idx3" in name.lower() or "idx4" in name.lower()


def open_idx(files: Sequence[Path], name: str, problems: Sequence[tuple[str, str]] = ()) -> Source:
    """IDX picture files, each with the labels file beside it where there is one.

    Raises `DataError` for a damaged file, and for labels that are not as many as the pictures.
    """
    parts, marks = [], []
    for path in files:
        pictures, beside = read_idx(path), labels_beside(path)
        labels = _labels(beside, pictures) if beside else None
        parts.append(memory_rows(printable(path.name), pictures, labels))
        marks += [part for one in (path, beside) if one for part in (printable(one.name), *mark(os.stat(one)))]
    return array_source(name, parts, fingerprint("idx", marks), problems)


def _labels(path: Path, pictures: np.ndarray) -> list[str]:
    labels = read_idx(path)
    if labels.shape != pictures.shape[:1]:
        found = f"{printable(path.name)} has shape {labels.shape}"
        expected = f"{len(pictures):,} labels, one for each picture"
        raise DataError(found, expected, "Use the labels that belong to the pictures, or move them away")
    return [str(label) for label in labels.tolist()]


def labels_beside(path: Path) -> Path | None:
    """The labels file that belongs to a file of pictures, if it is there: train-images-idx3 -> train-labels-idx1."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    bare = name.removesuffix(".gz")
    found = (path.with_name(one) for one in (bare + ".gz", bare) if one != path.name)
    return next((one for one in found if one.is_file()), None)


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not: two zero bytes, a type, the rank, the sizes, then the values.

    Raises `DataError` when it is damaged or too large.
    """
    name = printable(path.name)
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as content:
            shape, dtype = _header(content, name)
            size = math.prod(shape) * dtype.itemsize
            data = content.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {why(error)}", "A whole IDX file", AGAIN) from None
    if len(data) < size:
        raise DataError(f"{name} ends after {len(data):,} bytes of values", f"{size:,} bytes for shape {shape}", AGAIN)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(file: gzip.GzipFile | IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    head = file.read(4).ljust(4, b"\xff")
    if head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 4:
        raise DataError(f"{name} does not begin as an IDX file", "Two zero bytes, a type and a rank", AGAIN)
    sizes = file.read(4 * head[3])
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * head[3], 4))
    dtype = np.dtype(_TYPES[head[2]])
    if math.prod(shape) * dtype.itemsize > _MOST:
        raise DataError(f"{name} announces shape {shape}", f"At most {_MOST >> 30} GiB", "Convert it to .npy")
    return shape, dtype
