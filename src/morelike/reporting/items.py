"""The real items of a report: those that the run was trained on, and those to compare its samples with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from morelike import collect
from morelike.core.codec import Varies
from morelike.core.errors import DataError, RunError
from morelike.data.cache import Dataset, build
from morelike.data.ragged import Ragged, take
from morelike.data.sequences import chosen
from morelike.data.sources import open_source
from morelike.measure.text.documents import Whole
from morelike.reporting import pieces
from morelike.run import Run

MOST = 1 << 30  # bytes of encoded items of a kind; a larger training set is looked at in part, and the report says so
ROWS = 200_000  # rows of a table of a kind, for their cells are objects
Given = Callable[[np.ndarray], Mapping[str, Tensor]]
Tell = Callable[[str, float], None]  # (stage, share of it that is done)


@dataclass
class Items:
    """Encoded items of one kind.

    x       (N, *shape)
    rows    (N,) index of each in its source
    labels  int64 (N,) class of each by the numbers of the run's codec, or None
    names   where each came from
    about   "held out", "training items", or the name of another source
    notes   what a reader should know about them
    whole   the documents that they were cut from, where they differ in length
    given   places among these items -> what they are conditioned on, by name: (n, ...) each; None where it is not known
    """

    x: Tensor
    rows: np.ndarray
    labels: Tensor | None
    names: tuple[str, ...]
    about: str
    notes: list[str] = field(default_factory=list)
    whole: Whole | None = None
    given: Given | None = None

    def __len__(self) -> int:
        return len(self.x)


def prepared(run: Run, tell: Tell) -> collect.Prepared:
    """The source of a run as it was when the run began, split as it was then.

    Raises a three-part error where the source is gone or has changed.
    """
    recipe = run.recipe
    data = read(str(recipe["source"]), run, tell, "Reading the data")
    found = collect.again(recipe, data, run.codec, run.fields)
    if collect.digest(found) != recipe["data"]["digest"]:
        raise RunError(
            f"{recipe['source']} has changed since this run began",
            f"The {recipe['data']['items']:,} items of then",
            "Restore them, or train a new run on what is there now",
        )
    return found


def read(source: str, run: Run, tell: Tell, stage: str) -> Dataset:
    """The items of a source as the run's codec prepares them."""
    tell(stage, 0.0)
    data = build(
        open_source(source, run.reading), run.codec, progress=lambda done, total: tell(stage, done / max(total, 1))
    )
    tell(stage, 1.0)
    return data


def trained_on(found: collect.Prepared, seed: int) -> Items:
    """The training items, a random part of them where they would not fit into memory."""
    items = encoded(found, found.kept, "training items", seed)
    if len(items) < len(found.kept):
        items.notes.append(
            f"The training set is large: {len(items):,} of its {len(found.kept):,} items were looked at, so copies of "
            "the others would not have been found."
        )
    return items


def held_out(found: collect.Prepared, seed: int) -> Items:
    """The items that were kept out of training."""
    return encoded(found, found.held, "held out", seed)


def encoded(found: collect.Prepared, rows: np.ndarray, about: str, seed: int) -> Items:
    """Some rows of the data as numbers, at most `MOST` bytes of them, with their classes and names."""
    data, codec = found.data, found.codec
    if isinstance(data.x, Ragged) and not found.conditions and pieces.long(data.x, codec.context):
        return excerpts(found, rows, about, seed)
    one = laid_out(codec, take(data.x, slice(0, 1)))
    most = ROWS if codec.natural == "table" else max(2, MOST // max(1, one.numel() * one.element_size()))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    x = laid_out(codec, take(data.x, rows)) if len(rows) else one[:0]
    name = next((name for name in found.given if name in found.labels), None)
    labels = chosen(found.given[name], rows).long() if name is not None else None
    names = tuple(data.names[row] for row in rows)
    return Items(x, rows, labels, names, about, whole=whole(found, rows), given=given_of(found, rows))


def excerpts(found: collect.Prepared, rows: np.ndarray, about: str, seed: int) -> Items:
    """Pieces of documents that are longer than a model reads at once, each about as long as that."""
    data, codec = found.data, found.codec
    owners, stored = pieces.cut([data.x[int(row)] for row in rows], codec, seed)
    own = rows[owners]
    x = laid_out(codec, stored) if stored else laid_out(codec, [data.x[0]])[:0]
    name = next((name for name in found.given if name in found.labels), None)
    labels = chosen(found.given[name], own).long() if name is not None else None
    notes = [f"Documents are longer than the model reads at once, so {len(stored):,} pieces of {len(rows):,} documents "
             f"({about}) were looked at."]  # fmt: skip
    return Items(x, own, labels, tuple(data.names[row] for row in own), about, notes, whole(found, rows))


def laid_out(codec: Any, stored: Tensor | list[np.ndarray]) -> Tensor:
    """Stored items as the model sees them, all of one shape: shorter sequences are filled up with their end."""
    x = codec.encode(stored)
    return F.pad(x, (0, codec.context + 1 - x.shape[1])) if isinstance(codec, Varies) else x


def whole(found: collect.Prepared, rows: np.ndarray) -> Whole | None:
    """The documents in some rows of the data, and what they are conditioned on; None where items have one shape."""
    x = found.data.x
    if not isinstance(x, Ragged):
        return None
    return Whole([x[int(row)] for row in rows], [found.data.names[row] for row in rows], given_of(found, rows))


def given_of(found: collect.Prepared, rows: np.ndarray) -> Given | None:
    """From places among some rows of the data to what these are conditioned on; None where that is not known."""
    if found.given.keys() != found.conditions.keys():
        return None
    return lambda some: {name: chosen(value, rows[some]) for name, value in found.given.items()}


def other(run: Run, source: str, known: collect.Prepared, tell: Tell, seed: int) -> Items:
    """The items of another source, read with the run's codec, in the place of held-out ones.

    Items that are training items too are left out, and so are those of classes that the run does not know. Raises
    `DataError` when none remain.
    """
    data = read(source, run, tell, f"Reading {source}")
    notes, rows = [], np.arange(len(data))
    fresh = ~np.isin(data.hashes, known.data.hashes[known.kept])
    if not fresh.all():
        notes.append(f"{int((~fresh).sum()):,} items of {source} are training items too, and were left out.")
    name = next(iter(run.labels), None)
    numbers = None if name is None else numbered(data.fields.get(name), run.labels[name].config.vocabulary)
    if name is not None and numbers is None:
        notes.append(f'{source} has no field "{name}", so there are no figures class by class.')
    elif numbers is not None and (numbers[fresh] < 0).any():
        notes.append(f"{int((numbers[fresh] < 0).sum()):,} items of {source} are of no class that the model knows, "
                     "and were left out.")  # fmt: skip
        fresh &= numbers >= 0
    rows = rows[fresh]
    if not len(rows):
        raise DataError(f"{source} holds nothing to compare with. {' '.join(notes)}".strip(),
                        "New items of the kinds that the model was trained on", "Name another source")  # fmt: skip
    given: dict[str, np.ndarray | Ragged] = {} if name is None or numbers is None else {name: numbers}
    given |= texts_of(run, data, source)
    found = encoded(collect.Prepared(run.codec, run.fields, data, given, rows, rows[:0]), rows, source, seed)
    found.notes += notes
    return found


def texts_of(run: Run, data: Dataset, source: str) -> dict[str, Ragged]:
    """The texts that items of another source are conditioned on. Raises `DataError` for a field that it lacks."""
    found = {}
    for name, codec in run.fields.items():
        if codec.natural != "text":
            continue
        if name not in data.fields:
            raise DataError(f'{source} has no field "{name}"', f'The model makes items from "{name}"',
                            "Name a source that has it")  # fmt: skip
        found[name] = Ragged.of([codec.tokens(value) for value in data.fields[name]])
    return found


def numbered(values: list[str] | None, vocabulary: tuple[str, ...]) -> np.ndarray | None:
    """The number of each label, -1 for those that are not in the vocabulary; None without any known label."""
    known = {label: number for number, label in enumerate(vocabulary)}
    numbers = np.array([known.get(value, -1) for value in values or ()], dtype=np.int64)
    return numbers if (numbers >= 0).any() else None
