"""Pictures in NumPy files: one array for each class, or one array with its labels beside it."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import DataError
from morelike.data.listing import Entry, Source, fingerprint, mark, printable, why

_IMAGES = ("x", "images", "image", "x_train", "train_images", "data", "arr_0")
_LABELS = ("y", "labels", "label", "y_train", "train_labels", "targets", "target", "arr_1")
_MOST = 4 << 30  # bytes of a compressed array, which has to be unpacked into memory whole
_LOOK = 2048  # rows that are read to recognise the range of the values
ACTION = "Save the pictures as uint8 of shape (N, H, W) or (N, H, W, C) with np.save"


@dataclass(frozen=True)
class Rows:
    """Rows of a stored array that are read one by one.

    name   of the file, for the names of the items
    shape  (N, ...)
    dtype  of the values
    read   row number -> array of shape[1:]
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int], np.ndarray]

    def __len__(self) -> int:
        return self.shape[0]


class Items(Sequence[Item]):
    """The rows of several arrays as items that are made when they are asked for.

    parts   the arrays, one after the other
    fields  for each of them, row number -> fields
    scale   values of one row -> uint8 (H, W) or (H, W, C)
    """

    def __init__(
        self, parts: Sequence[Rows], fields: Sequence[Callable[[int], dict[str, str]]], scale: Callable
    ) -> None:
        self.parts, self.fields, self.scale = parts, fields, scale
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = index + len(self) if index < 0 else index
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = int(np.searchsorted(self.ends, index, side="right"))
        row = index - (int(self.ends[which - 1]) if which else 0)
        part = self.parts[which]
        return Item(f"{part.name}[{row}]", partial(self._load, part, row), self.fields[which](row))

    def _load(self, part: Rows, row: int) -> np.ndarray:
        return self.scale(as_picture(part.read(row)))


def open_array(path: Path) -> Source:
    """A .npy or .npz file of pictures; an .npz may hold their labels too."""
    marks = [printable(path.name), *mark(os.stat(path))]
    if _kind(path) == "npz":
        rows, labels = _npz(path)
        fields = (lambda row: {"label": labels[row]}) if labels is not None else (lambda row: {})
    else:
        rows, fields = npy_rows(str(path), printable(path.name)), lambda row: {}
    return source(printable(path), [rows], [fields], fingerprint("array", marks))


def open_class_arrays(root: Path, entries: Sequence[Entry], problems: list[tuple[str, str]]) -> Source:
    """A folder of .npy files, each of which holds the pictures of one class and is named after it."""
    parts, fields, problems = [], [], list(problems)
    for entry in entries:
        try:
            rows = npy_rows(entry.path, entry.name)
            picture_shape(rows)
        except DataError as error:
            problems.append((entry.name, why(error)))
            continue
        parts.append(rows)
        label = {"label": os.path.splitext(printable(entry.parts[0]))[0]}
        fields.append(lambda row, label=label: label)
    if not parts:
        raise DataError(
            f"None of the {len(entries)} .npy files in {printable(root)} can be used: {problems[-1][1]}",
            "One array of pictures for each class",
            ACTION,
        )
    marks = (part for entry in entries for part in ("/".join(entry.parts), *entry.mark))
    return source(printable(root), parts, fields, fingerprint("arrays", marks), problems)


def source(
    name: str, parts: Sequence[Rows], fields: Sequence[Callable], mark: str, problems: list | None = None
) -> Source:
    """A source of the rows of some arrays, whose common range of values is recognised here."""
    for part in parts:
        picture_shape(part)
    return Source(name, Items(parts, fields, scaling(name, parts)), mark, problems or [])


def npy_rows(path: str, name: str) -> Rows:
    """The rows of a .npy file, read by position: nothing is mapped, so a file that shrinks is an error and not a crash."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
            begin, size = file.tell(), os.fstat(file.fileno()).st_size
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise DataError(f"{name} cannot be read: {why(error)}", "A file that np.save has written", ACTION) from None
    if dtype.hasobject or dtype.kind not in "buif":
        raise DataError(f"{name} holds values of type {dtype}", "Numbers", ACTION)
    if fortran and len(shape) > 1:
        raise DataError(
            f"{name} is stored column by column (Fortran order)",
            "Rows one after the other (C order)",
            "Save np.ascontiguousarray(array)",
        )
    if begin + math.prod(shape) * dtype.itemsize > size:
        raise DataError(
            f"{name} ends after {size:,} bytes",
            f"{begin + math.prod(shape) * dtype.itemsize:,} bytes, as its header says",
            "The file is truncated: copy or download it again",
        )
    stride = math.prod(shape[1:]) * dtype.itemsize

    def read(row: int) -> np.ndarray:
        with open(path, "rb", buffering=0) as file:
            file.seek(begin + row * stride)
            data = file.read(stride)
        if len(data) < stride:
            raise DataError("the file became shorter while it was read", "a file at rest", "Run it again")
        return np.frombuffer(data, dtype).reshape(shape[1:])

    return Rows(name, shape, dtype, read)


def memory_rows(name: str, array: np.ndarray) -> Rows:
    return Rows(name, array.shape, array.dtype, array.__getitem__)


def picture_shape(rows: Rows) -> None:
    """Raise `DataError` unless every row is a picture: (H, W), (H, W, C), (C, H, W) or a square vector."""
    shape = rows.shape
    sound = (
        len(shape) >= 2
        and math.prod(shape[1:]) > 0
        and (
            len(shape) == 3
            or (len(shape) == 2 and math.isqrt(shape[1]) ** 2 == shape[1])
            or (len(shape) == 4 and (shape[3] in (1, 3, 4) or shape[1] in (1, 3, 4)))
        )
    )
    if not sound:
        raise DataError(
            f"{rows.name} has shape {shape}", "Pictures: (N, H, W), (N, H, W, C), (N, C, H, W) or (N, H*H)", ACTION
        )


def as_picture(row: np.ndarray) -> np.ndarray:
    """One row as (H, W) or (H, W, C)."""
    if row.ndim == 1:
        side = math.isqrt(row.size)
        return row.reshape(side, side)
    if row.ndim == 3 and row.shape[2] not in (1, 3, 4):
        return np.moveaxis(row, 0, 2)
    return row


def scaling(name: str, parts: Sequence[Rows]) -> Callable[[np.ndarray], np.ndarray]:
    """The map from the values of the arrays to 0..255, by the range of a sample of them.

    Known ranges: bool, 0..1 and -1..1 of any type, 0..255, 0..65535. Raises `DataError` for any other.
    """
    if all(part.dtype == np.bool_ for part in parts):
        return lambda row: row.astype(np.uint8) * 255
    low, high = _range(parts)
    whole = all(part.dtype.kind in "bui" for part in parts)
    if whole and low >= 0 and 1 < high <= 255:
        return lambda row: np.clip(row, 0, 255).astype(np.uint8)
    if not (low >= -1.001 and high <= 65535.5) or (low < 0 and high > 1.001) or (high > 255.5 and not whole):
        raise DataError(
            f"{name} holds values from {low:g} to {high:g}", "0 to 1, -1 to 1, 0 to 255, or 16-bit integers", ACTION
        )
    shift, top = (1.0, 2.0) if low < 0 else (0.0, 1.0 if high <= 1.001 else 255.0 if high <= 255.5 else 65535.0)

    def scale(row: np.ndarray) -> np.ndarray:
        if not np.isfinite(row).all():
            raise DataError("holds values that are not finite", "numbers", "Clean the array")
        return np.clip(np.rint((row.astype(np.float32) + shift) * (255.0 / top)), 0, 255).astype(np.uint8)

    return scale


def _range(parts: Sequence[Rows]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for part in parts:
        for row in np.unique(np.linspace(0, len(part) - 1, min(len(part), max(_LOOK // len(parts), 1))).astype(int)):
            values = part.read(int(row))
            values = values[np.isfinite(values)]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _kind(path: Path) -> str:
    return "npz" if zipfile.is_zipfile(path) else "npy"


def _npz(path: Path) -> tuple[Rows, list[str] | None]:
    name = printable(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > _MOST:
            raise DataError(
                f"{name} unpacks to {size / 2**30:.1f} GiB",
                f"At most {_MOST >> 30} GiB in an .npz",
                "Save the pictures as .npy, which is read piece by piece",
            )
        with np.load(path, allow_pickle=False) as arrays:
            found = dict(_readable(arrays))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} cannot be read: {why(error)}", "A file that np.savez has written", ACTION) from None
    key = next((one for one in _IMAGES if one in found), None) or next(
        (k for k, a in found.items() if a.ndim > 1), None
    )
    if key is None or found[key].dtype.kind not in "buif":
        raise DataError(f"{name} holds {shorten_keys(found)}", 'An array of pictures, best named "x"', ACTION)
    labels = next((found[one] for one in _LABELS if one in found and one != key), None)
    if labels is None:
        labels = next((a for k, a in found.items() if k != key and a.shape == found[key].shape[:1]), None)
    if labels is not None and labels.reshape(-1).shape != found[key].shape[:1]:
        raise DataError(
            f"{name} has {len(found[key]):,} pictures and labels of shape {labels.shape}",
            "One label for each picture",
            "Save them with np.savez(path, x=pictures, y=labels)",
        )
    return memory_rows(name, found[key]), None if labels is None else [str(one) for one in labels.reshape(-1).tolist()]


def _readable(arrays) -> Iterator[tuple[str, np.ndarray]]:
    for key in arrays.files:
        try:
            yield key, arrays[key]
        except ValueError:  # objects, which would have to be unpickled
            continue


def shorten_keys(found: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{key} {array.shape}" for key, array in found.items()) or "no array of numbers"
