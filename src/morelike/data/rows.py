"""Arrays of pictures, read row by row, and the range of their values."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from morelike.core.codec import Item
from morelike.core.errors import DataError
from morelike.data.listing import Lazy, Source, why

_LOOK = 2048  # rows that are read to recognise the range of the values
_CHANNELS = (1, 3, 4)
ACTION = "Save the pictures as uint8 of shape (N, H, W) or (N, H, W, C) with np.save"


@dataclass(frozen=True)
class Rows:
    """Rows of a stored array that are read one by one.

    name    of the file, for the names of the items
    shape   (N, ...)
    dtype   of the values
    read    row number -> array of shape[1:]
    fields  row number -> the other columns of the row
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int], np.ndarray]
    fields: Callable[[int], dict[str, str]] = lambda row: {}

    def __post_init__(self) -> None:
        """Raise `DataError` unless every row is a picture."""
        if not _is_pictures(self.shape):
            expected = "Pictures: (N, H, W), (N, H, W, C), (N, C, H, W) or (N, H*H)"
            raise DataError(f"{self.name} has shape {self.shape}", expected, ACTION)

    def __len__(self) -> int:
        return self.shape[0]


def _is_pictures(shape: tuple[int, ...]) -> bool:
    if len(shape) < 2 or not math.prod(shape[1:]):
        return False
    square = len(shape) == 2 and math.isqrt(shape[1]) ** 2 == shape[1]
    return square or len(shape) == 3 or (len(shape) == 4 and (shape[3] in _CHANNELS or shape[1] in _CHANNELS))


def as_picture(row: np.ndarray) -> np.ndarray:
    """One row as (H, W) or (H, W, C)."""
    if row.ndim == 1:
        side = math.isqrt(row.size)
        return row.reshape(side, side)
    return np.moveaxis(row, 0, 2) if row.ndim == 3 and row.shape[2] not in _CHANNELS else row


def array_source(name: str, parts: Sequence[Rows], stamp: str, problems: Sequence[tuple[str, str]] = ()) -> Source:
    """A source of the rows of several arrays, one after the other, whose common range of values is recognised here."""
    scale, ends = scaling(name, parts), np.cumsum([len(part) for part in parts])

    def load(part: Rows, row: int) -> np.ndarray:
        return scale(as_picture(part.read(row)))

    def make(index: int) -> Item:
        which = int(np.searchsorted(ends, index, side="right"))
        part, row = parts[which], index - (int(ends[which - 1]) if which else 0)
        return Item(f"{part.name}[{row}]", partial(load, part, row), part.fields(row))

    return Source(name, Lazy(int(ends[-1]), make), stamp, list(problems))


def memory_rows(name: str, array: np.ndarray, labels: Sequence[str] | None = None) -> Rows:
    """The rows of an array in memory, with a label for each where there are labels."""
    fields = (lambda row: {}) if labels is None else (lambda row: {"label": labels[row]})
    return Rows(name, array.shape, array.dtype, array.__getitem__, fields)


def npy_rows(path: str, name: str, label: str | None = None) -> Rows:
    """The rows of a .npy file, read by position: a mapped file that shrinks would end the process.

    Raises `DataError` for a damaged file and for values that are not numbers.
    """
    shape, dtype, begin, size = _npy_header(path, name)
    stride = math.prod(shape[1:]) * dtype.itemsize
    end = begin + math.prod(shape) * dtype.itemsize
    if end > size:
        expected = f"{end:,} bytes, as its header says"
        raise DataError(f"{name} ends after {size:,} bytes", expected, "It is truncated: copy or download it again")

    def read(row: int) -> np.ndarray:
        with open(path, "rb", buffering=0) as file:
            file.seek(begin + row * stride)
            data = file.read(stride)
        if len(data) < stride:
            raise DataError("the file became shorter while it was read", "a file at rest", "Run it again")
        return np.frombuffer(data, dtype).reshape(shape[1:])

    fields = {} if label is None else {"label": label}
    return Rows(name, shape, dtype, read, lambda row: fields)


def _npy_header(path: str, name: str) -> tuple[tuple[int, ...], np.dtype, int, int]:
    """Shape, type, where the values begin and where the file ends."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
            begin, size = file.tell(), os.fstat(file.fileno()).st_size
    except Exception as error:  # a damaged header is parsed as Python, with errors to match
        raise DataError(f"{name} cannot be read: {why(error)}", "A file that np.save has written", ACTION) from None
    if dtype.kind not in "buif":
        raise DataError(f"{name} holds values of type {dtype}", "Numbers", ACTION)
    if fortran and len(shape) > 1:
        expected = "Rows one after the other (C order)"
        raise DataError(f"{name} is stored in Fortran order", expected, "Save np.ascontiguousarray(array)")
    return shape, dtype, begin, size


def scaling(name: str, parts: Sequence[Rows]) -> Callable[[np.ndarray], np.ndarray]:
    """The map from the values of the arrays to 0..255, by the range of a sample of them.

    Known ranges: 0..1 and -1..1 of any type, 0..255, 0..65535 of integers. Raises `DataError` for any other.
    """
    low, high = _range(parts)
    whole = all(part.dtype.kind in "bui" for part in parts)
    sound = (high <= 1.001 if low < 0 else high <= (65535 if whole else 255.5)) and low >= -1.001
    if not sound:
        expected = "0 to 1, -1 to 1, 0 to 255, or 16-bit integers"
        raise DataError(f"{name} holds values from {low:g} to {high:g}", expected, ACTION)
    if low < 0:
        return partial(_scaled, shift=1.0, top=2.0)
    return partial(_scaled, shift=0.0, top=1.0 if high <= 1.001 else 255.0 if high <= 255.5 else 65535.0)


def _scaled(row: np.ndarray, shift: float, top: float) -> np.ndarray:
    if row.dtype == np.uint8 and top == 255:
        return row
    if not np.isfinite(row).all():
        raise DataError("values that are not finite", "numbers", "Clean the array")
    return np.clip(np.rint((row.astype(np.float32) + shift) * (255 / top)), 0, 255).astype(np.uint8)


def _range(parts: Sequence[Rows]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for part in parts:
        rows = np.linspace(0, len(part) - 1, min(len(part), max(_LOOK // len(parts), 1)))
        for row in np.unique(rows.astype(int)).tolist():
            values = part.read(row)
            values = values[np.isfinite(values)]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)
