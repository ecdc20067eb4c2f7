"""Hugging Face data sets: a folder written by `save_to_disk`, files of pictures, or a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from morelike.core.codec import Item
from morelike.core.errors import DataError, missing_extra
from morelike.data.listing import (
    AS_FOUND,
    Lazy,
    Reading,
    Source,
    fingerprint,
    listed,
    mark,
    open_picture,
    printable,
    walk,
    why,
)
from morelike.data.shards import features, records
from morelike.data.tablefile import LABELS
from morelike.data.text import of_tables
from morelike.data.text_rows import table

EXPECTED = "A column of pictures (feature Image), or of text"
ACTION = "Name another data set, save its pictures into a folder, or name its column of text: --make COLUMN"
_ROWS = 1_000  # rows of text that are read at once


def open_saved(path: Path) -> Source:
    """The pictures of a data set that `datasets.save_to_disk` has written."""
    datasets = _library()
    data = _loaded(printable(path), lambda: datasets.load_from_disk(str(path)))
    return _pictures(printable(path), data, fingerprint("hub", listed(walk(str(path))[0])))


def open_files(path: Path, files: Sequence[Path]) -> Source:
    """The pictures in Parquet or Arrow files of one kind."""
    datasets = _library()
    stamp = fingerprint("hub files", (part for one in files for part in (one.name, *mark(one.stat()))))
    kind, names = files[0].suffix.lower()[1:], [str(one) for one in files]
    data = _loaded(printable(path), lambda: datasets.load_dataset(kind, data_files=names))
    return _pictures(printable(path), data, stamp)


def open_hub(name: str, reading: Reading = AS_FOUND) -> Source:
    """A data set by the name under which it is shared, "ylecun/mnist" or "wmt/wmt14:de-en"; it is downloaded once.

    Pictures where it has a column of them and nobody asks for text, otherwise texts.
    """
    datasets, said = _library(), f"hf:{name}"
    data = _loaded(said, lambda: datasets.load_dataset(*name.split(":", 1)))
    stamp, image = fingerprint("hub", (said, data._fingerprint)), _image(data)
    if reading.codec == "image" or (reading.codec == "auto" and image and reading.make in (None, image)):
        return _pictures(said, data, stamp)
    known = features(data.features.arrow_schema)
    found = records(data.with_format("arrow").iter(_ROWS), known)
    rows = table((f"row {number}", row) for number, row in enumerate(found, start=1))
    return replace(of_tables([rows], reading.make, said, stamp, guess=False), codec="text")


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise missing_extra("datasets", "hf", "Reading a Hugging Face data set") from None
    return datasets


def _loaded(name: str, load: Callable[[], Any]) -> Any:
    try:
        data = load()
    except Exception as error:  # the library raises errors of many kinds for a missing or damaged set
        raise DataError(f"{name} cannot be opened: {why(error)}", EXPECTED, ACTION) from None
    if hasattr(data, "keys"):  # several splits: the one for training, as the held-out part is split off later
        data = data["train" if "train" in data else next(iter(data))]
    return data


def _kinds(data: Any) -> dict[str, str]:
    return {column: type(feature).__name__ for column, feature in data.features.items()}


def _image(data: Any) -> str | None:
    return next((column for column, kind in _kinds(data).items() if kind == "Image"), None)


def _pictures(name: str, data: Any, stamp: str) -> Source:
    kinds, image = _kinds(data), _image(data)
    if image is None:
        raise DataError(f"{name} has the columns {', '.join(kinds)}", EXPECTED, ACTION)
    labels = _labels(data, kinds)
    pictures = data.select_columns([image]).cast_column(image, type(data.features[image])(decode=False))

    def make(row: int) -> Item:
        return Item(f"row {row}", partial(_load, pictures, row, image), {"label": labels[row]} if labels else {})

    return Source(name, Lazy(len(pictures), make), stamp)


def _labels(data: Any, kinds: dict[str, str]) -> list[str] | None:
    """The labels of all rows by name; a column that is declared as classes comes before one that is called so."""
    classes = [column for column, kind in kinds.items() if kind == "ClassLabel"]
    column = next((one for one in (*LABELS, *classes) if one in classes), None)
    column = column or next((one for one in LABELS if one in kinds), None)
    if column is None:
        return None
    named = getattr(data.features[column], "int2str", str)
    return ["" if value in (None, -1) else printable(named(value)) for value in data[column][:]]


def _load(pictures: Any, row: int, image: str) -> Any:
    value = pictures[row][image] or {}  # {"bytes": ..., "path": ...}: not yet decoded
    if not (value.get("bytes") or value.get("path")):
        raise DataError("no picture", "a picture in every row", ACTION)
    return open_picture(value["bytes"] or value["path"])
