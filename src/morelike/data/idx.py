"""Pictures in IDX files, the format of MNIST."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from morelike.core.errors import DataError
from morelike.data.arrays import memory_rows, source
from morelike.data.listing import Entry, Source, fingerprint, mark, printable, why

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_MOST = 4 << 30  # bytes, since a compressed file has to be unpacked into memory


def is_images(name: str) -> bool:
    """True for the names under which IDX pictures are handed round."""
    return "idx3" in name.lower() or "idx4" in name.lower()


def open_idx(files: Sequence[Path | Entry], name: str, problems: list[tuple[str, str]]) -> Source:
    """IDX picture files, each with the labels file beside it where there is one."""
    parts, fields, marks, problems = [], [], [], list(problems)
    for path in (Path(one.path if isinstance(one, Entry) else one) for one in files):
        pictures = read_idx(path)
        beside = labels_beside(path)
        labels = read_idx(beside) if beside else None
        if labels is not None and labels.shape != pictures.shape[:1]:
            raise DataError(
                f"{printable(beside.name)} has shape {labels.shape}",
                f"{len(pictures):,} labels, one for each picture",
                f"Use the labels that belong to {printable(path.name)}",
            )
        names = None if labels is None else [str(one) for one in labels.tolist()]
        parts.append(memory_rows(printable(path.name), pictures))
        fields.append(lambda row, names=names: {"label": names[row]} if names else {})
        marks += [part for one in (path, beside) if one for part in (printable(one.name), *mark(os.stat(one)))]
    return source(name, parts, fields, fingerprint("idx", marks), problems)


def labels_beside(path: Path) -> Path | None:
    """The labels file that belongs to a file of pictures, if it is there: train-images-idx3 -> train-labels-idx1."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    bare = name[:-3] if name.endswith(".gz") else name
    found = (path.with_name(one) for one in (bare + ".gz", bare) if one != path.name)
    return next((one for one in found if one.is_file()), None)


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file, gzipped or not: two zero bytes, a type, the rank, the sizes, then the values."""
    name = printable(path.name)
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rb") as file:
            zeros, kind, rank = file.read(2), *(file.read(1) or b"\0" for _ in range(2))
            if zeros != b"\0\0" or kind[0] not in _TYPES or not 1 <= rank[0] <= 4:
                raise DataError(
                    f"{name} does not begin as an IDX file", "Two zero bytes, a type and a rank", "Download it again"
                )
            shape = tuple(np.frombuffer(file.read(4 * rank[0]), ">u4").astype(int).tolist())
            dtype = np.dtype(_TYPES[kind[0]])
            size = math.prod(shape) * dtype.itemsize
            if size > _MOST or len(shape) != rank[0]:
                raise DataError(
                    f"{name} announces an array of shape {shape}", f"At most {_MOST >> 30} GiB", "Convert it to .npy"
                )
            data = file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name} cannot be read: {why(error)}", "A whole IDX file", "Copy or download it again"
        ) from None
    if len(data) < size:
        raise DataError(
            f"{name} ends after {len(data):,} bytes of values",
            f"{size:,} bytes for shape {shape}",
            "The file is truncated: copy or download it again",
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("=")) if dtype.itemsize > 1 else array
