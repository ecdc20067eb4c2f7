"""Hugging Face data sets: a folder written by `save_to_disk`, or a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from morelike.core.codec import Item
from morelike.core.errors import DataError, missing_extra
from morelike.data.listing import Source, fingerprint, open_picture, printable, walk, why
from morelike.data.tablefile import LABELS

ACTION = "Name another data set, or save its pictures into a folder"


class Items(Sequence[Item]):
    """Rows of a data set as items; pictures are read when they are asked for."""

    def __init__(self, data: Any, image: str, label: Callable[[Any], str] | None, column: str | None) -> None:
        self.pictures, self.label = data.select_columns([image]), label
        self.image = image
        self.labels = data[column][:] if label and column else None

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = index % len(self)
        value = self.labels[row] if self.labels is not None else None
        fields = {} if value is None else {"label": printable(self.label(value))}
        return Item(f"row {row}", lambda: self._picture(row), fields)

    def _picture(self, row: int):
        value = self.pictures[row][self.image]  # {"bytes": ..., "path": ...}: not yet decoded
        if value is None or not (value.get("bytes") or value.get("path")):
            raise DataError("no picture", "a picture in every row", ACTION)
        return open_picture(value["bytes"] or value["path"])


def open_saved(path: Path) -> Source:
    """A data set that `datasets.save_to_disk` has written."""
    datasets = _library()
    entries, _ = walk(str(path))
    marks = [part for entry in entries for part in ("/".join(entry.parts), *entry.mark)]
    return _source(printable(path), lambda: datasets.load_from_disk(str(path)), fingerprint("hub", marks))


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
        raise DataError(
            f"{name} cannot be opened: {why(error)}", "A data set with a column of pictures", ACTION
        ) from None
    if hasattr(data, "keys"):  # several splits: the one for training, as morelike holds out its own
        data = data["train" if "train" in data else next(iter(data))]
    features = dict(data.features)
    image = next((key for key, kind in features.items() if type(kind).__name__ == "Image"), None)
    if image is None:
        raise DataError(f"{name} has the columns {', '.join(features)}", "A column of pictures (feature Image)", ACTION)
    column = next((key for key in LABELS + tuple(features) if type(features.get(key)).__name__ == "ClassLabel"), None)
    column = column or next((key for key in LABELS if key in features), None)
    label = getattr(features.get(column), "int2str", str) if column else None
    data = data.cast_column(image, type(features[image])(decode=False))
    return Source(name, Items(data, image, label, column), stamp or fingerprint("hub", (name, data._fingerprint)))
