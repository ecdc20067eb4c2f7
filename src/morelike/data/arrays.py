"""Pictures in NumPy files: one array for each class, or one array with its labels beside it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from morelike.core.errors import DataError
from morelike.data.listing import Entry, Source, fingerprint, listed, mark, printable, why
from morelike.data.rows import ACTION, Rows, array_source, memory_rows, npy_rows

_IMAGES = ("x", "images", "image", "x_train", "train_images", "data", "arr_0")
_LABELS = ("y", "labels", "label", "y_train", "train_labels", "targets", "target", "arr_1")
_MOST = 4 << 30  # bytes of a compressed array, which has to be unpacked into memory whole


def open_array(path: Path) -> Source:
    """A .npy or .npz file of pictures; an .npz may hold their labels too."""
    name = printable(path.name)
    rows = _npz_rows(path, name) if zipfile.is_zipfile(path) else npy_rows(str(path), name)
    return array_source(printable(path), [rows], fingerprint("array", (name, *mark(os.stat(path)))))


def open_class_arrays(root: Path, entries: Sequence[Entry], problems: list[tuple[str, str]]) -> Source:
    """A folder of .npy files, each of which holds the pictures of one class and is named after it."""
    parts, problems = [], list(problems)
    for entry in entries:
        try:
            parts.append(npy_rows(entry.path, entry.name, os.path.splitext(printable(entry.parts[0]))[0]))
        except DataError as error:
            problems.append((entry.name, why(error)))
    if not parts:
        found = f"None of the {len(entries)} .npy files in {printable(root)} can be used: {problems[-1][1]}"
        raise DataError(found, "One array of pictures for each class", ACTION)
    return array_source(printable(root), parts, fingerprint("arrays", listed(entries)), problems)


def _npz_rows(path: Path, name: str) -> Rows:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        found = _unpacked(path) if size <= _MOST else {}
    except Exception as error:  # damaged members are parsed as zip, as deflate and as Python, with errors to match
        raise DataError(f"{name} cannot be read: {why(error)}", "A file that np.savez has written", ACTION) from None
    if size > _MOST:
        action = "Save the pictures as .npy, which is read piece by piece"
        raise DataError(f"{name} unpacks to {size / 2**30:.1f} GiB", f"At most {_MOST >> 30} GiB in an .npz", action)
    key = next((one for one in (*_IMAGES, *found) if one in found and found[one].ndim > 1), None)
    if key is None or found[key].dtype.kind not in "buif":
        held = ", ".join(f"{one} {array.shape}" for one, array in found.items()) or "no array of numbers"
        raise DataError(f"{name} holds {held}", 'An array of pictures, best named "x"', ACTION)
    return memory_rows(name, found[key], _labels(name, found, key))


def _unpacked(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            try:
                found[key] = arrays[key]
            except ValueError:  # objects, which would have to be unpickled
                continue
    return found


def _labels(name: str, found: Mapping[str, np.ndarray], key: str) -> list[str] | None:
    others = {other: array for other, array in found.items() if other != key}
    labels = next((others[one] for one in _LABELS if one in others), None)
    if labels is None:
        labels = next((array for array in others.values() if array.shape == found[key].shape[:1]), None)
    if labels is not None and labels.size != len(found[key]):
        pictures = f"{name} has {len(found[key]):,} pictures and labels of shape {labels.shape}"
        action = "Save them with np.savez(path, x=pictures, y=labels)"
        raise DataError(pictures, "One label for each picture", action)
    return None if labels is None else [str(label) for label in labels.reshape(-1).tolist()]
