"""Hugging Face data sets: a folder written by `save_to_disk`, or a name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from morelike.core.codec import Item
from morelike.core.errors import DataError, missing_extra
from morelike.data.listing import Lazy, Source, fingerprint, listed, open_picture, printable, walk, why
from morelike.data.tablefile import LABELS

ACTION = "Name another data set, or save its pictures into a folder"


def open_saved(path: Path) -> Source:
    """A data set that `datasets.save_to_disk` has written."""
    datasets = _library()
    stamp = fingerprint("hub", listed(walk(str(path))[0]))
    return _source(printable(path), lambda: datasets.load_from_disk(str(path)), stamp)


def open_hub(name: str) -> Source:
    """A data set by the name under which it is shared, for example ylecun/mnist; it is downloaded once."""
    if os.path.exists(name):
        return open_saved(Path(name))
    datasets = _library()
    return _source(f"hf:{name}", lambda: datasets.load_dataset(name), None)


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise missing_extra("datasets", "hf", "Reading a Hugging Face data set") from None
    return datasets


def _source(name: str, load: Callable[[], Any], stamp: str | None) -> Source:
    try:
        data = load()
    except Exception as error:  # the library raises errors of many kinds for a missing or damaged set
        found = f"{name} cannot be opened: {why(error)}"
        raise DataError(found, "A data set with a column of pictures", ACTION) from None
    if hasattr(data, "keys"):  # several splits: the one for training, as the held-out part is split off later
        data = data["train" if "train" in data else next(iter(data))]
    kinds = {column: type(feature).__name__ for column, feature in data.features.items()}
    image = next((column for column, kind in kinds.items() if kind == "Image"), None)
    if image is None:
        raise DataError(f"{name} has the columns {', '.join(kinds)}", "A column of pictures (feature Image)", ACTION)
    stamp = stamp or fingerprint("hub", (name, data._fingerprint))
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
