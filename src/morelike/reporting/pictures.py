"""Which items a page shows, as HTML: a first look, some of each class, and samples beside their nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from morelike.measure.figure import Evidence, Measured
from morelike.measure.novelty import SUSPECTS
from morelike.measure.page.cells import cells
from morelike.measure.page.texts import block, marked
from morelike.measure.record import Pair, Pictures
from morelike.measure.table.sheet import Sheet

STRIP, CLASSES, ALL = 12, 40, 60  # items in a strip, classes, items without classes
ROWS, COLUMNS = 6, 40  # of a table
SHOWN = 30  # texts that something was made for
MOST_LIKE, AT_RANDOM = 12, 8  # pairs of a sample and its nearest training item


def gallery(codec: Any, evidence: Evidence, seed: int) -> Pictures:
    """Real items and samples for a first look, and some samples of each class."""
    if evidence.rows is not None:
        return sheets(evidence.rows.held if len(evidence.held) else evidence.rows.train, evidence.rows.made, seed)
    real = evidence.held if len(evidence.held) else evidence.train
    labels = evidence.held_labels if len(evidence.held) else evidence.train_labels
    if evidence.made_labels is None or labels is None:
        shown = some(len(real), STRIP, seed), torch.arange(min(STRIP, len(evidence.made)))
    else:
        shown = in_turn(labels, evidence.classes, seed), in_turn(evidence.made_labels, evidence.classes, seed)
    above, below = (shown_items(codec, x[rows]) for x, rows in zip((real, evidence.made), shown, strict=True))
    return Pictures(tuple(above), tuple(below), by_class(codec, evidence), answered(evidence))


def sheets(real: Sheet | None, made: Sheet, seed: int) -> Pictures:
    """Some real rows and some samples of a table, the first columns where there are many."""
    above = [] if real is None else [real.cells[row] for row in some(len(real), ROWS, seed).tolist()]
    more = len(made.columns) - COLUMNS
    names = (*made.columns[:COLUMNS], *([f"and {more:,} more"] if more > 0 else []))
    shown, below = (tuple(cells(row[:COLUMNS]) for row in rows) for rows in (above, made.cells[:ROWS]))
    return Pictures(shown, below, columns=names)


def answered(evidence: Evidence) -> tuple[tuple[str, str, str], ...]:
    """For some texts what was made for them, and what belongs to them, as HTML."""
    found = evidence.documents.answers if evidence.documents is not None else None
    rows = zip(found.asked, found.made, found.right, strict=True) if found is not None else ()
    return tuple(tuple(block(escape(str(text))) for text in row) for row in islice(rows, SHOWN))  # type: ignore[misc]


def by_class(codec: Any, evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """Some samples of each class, by its name; of all under "" where there are no classes."""
    if evidence.made_labels is None:
        return {"": tuple(shown_items(codec, evidence.made[:ALL]))}
    names = evidence.classes[:CLASSES]
    each = max(6, min(24, 288 // max(len(names), 1)))
    rows = ((evidence.made_labels == number).nonzero()[:each, 0] for number in range(len(names)))
    return {name: tuple(shown_items(codec, evidence.made[own])) for name, own in zip(names, rows, strict=True)}


def in_turn(labels: Tensor, classes: Sequence[str], seed: int) -> Tensor:
    """Rows of `STRIP` items whose classes take turns, in the same order for every set that has them."""
    order = some(len(labels), len(labels), seed)
    of = [order[labels[order] == number] for number in range(len(classes))]
    chosen = [of[i % len(of)][i // len(of)] for i in range(STRIP) if i // len(of) < len(of[i % len(of)])] if of else []
    return torch.stack(chosen) if chosen else order[:0]


def some(n: int, most: int, seed: int) -> Tensor:
    """At most so many of n rows, at random."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]


def shown_items(codec: Any, x: Tensor) -> list[str]:
    """Encoded items as HTML, one fragment each."""
    return codec.html(codec.decode(x)) if len(x) else []


def beside(codec: Any, made: Tensor, train: Tensor) -> list[tuple[str, str]]:
    """Samples and training items as HTML, pair by pair; what two texts share is marked."""
    if codec.natural != "text" or not len(made):
        return list(zip(shown_items(codec, made), shown_items(codec, train), strict=True))
    return [marked(str(a), str(b)) for a, b in zip(codec.decode(made), codec.decode(train), strict=True)]


def pairs(codec: Any, evidence: Evidence, measured: Measured, times: Mapping[int, int]) -> tuple[Pair, ...]:
    """The most suspicious samples, and some at random, beside the training items that they are nearest to.

    times  how often each training item is in the training set, by its row in the source, where that is more than once
    """
    if measured.novelty is None:
        return ()
    near, places = measured.novelty.neighbours, range(len(measured.novelty.neighbours.made))
    chosen = [*places[:SUSPECTS][:MOST_LIKE], *places[SUSPECTS:][:AT_RANDOM]]
    made, train = (torch.tensor([rows[at] for at in chosen], dtype=torch.long) for rows in (near.made, near.train))
    if evidence.rows is not None:
        sides = evidence.rows.made.cells[made.numpy()], evidence.rows.train.cells[train.numpy()]
        few = (one[:, :COLUMNS] for one in sides)
        shown = [(cells(a, b), cells(b, a)) for a, b in zip(*few, strict=True)]
    else:
        shown = beside(codec, evidence.made[made], evidence.train[train])
    found = []
    for place, i, j, both in zip(chosen, made.tolist(), train.tolist(), shown, strict=True):
        row = int(evidence.train_rows[j])
        asked = None if evidence.made_labels is None else evidence.classes[int(evidence.made_labels[i])]
        found.append(
            Pair(evidence.seeds[i], asked, evidence.train_names[j], row, near.distance[place], near.ratio[place],
                 near.copy[place], times.get(row, 1), place >= SUSPECTS, both)
        )  # fmt: skip
    return tuple(found)
