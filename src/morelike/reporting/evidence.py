"""What is measured: how many samples, of which classes, beside which real items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.collect import Prepared
from morelike.data.sources import open_source
from morelike.measure.figure import Evidence
from morelike.measure.series.windows import Series
from morelike.measure.table.sheet import Rows, Sheet
from morelike.measure.text.documents import Answers, Documents, Whole
from morelike.measure.text.figures import HELD_OUT
from morelike.reporting.items import MOST, Items
from morelike.reporting.samples import in_proportion
from morelike.run import Run

COLUMNS = 200  # of a table, that are measured at most
FEWEST, ENOUGH = 1_000, 10_000  # samples that are drawn unless the user says how many
PAIRS = 20_000  # training pairs that a translation memory is made of


def number(run: Run, samples: int | None, items: int) -> int:
    """How many samples to draw: what was asked for, else about as many as there are training items."""
    if samples is not None:
        return samples
    fits = max(2, MOST // (4 * max(1, torch.Size(run.family.spec.shape).numel())))
    return min(max(FEWEST, min(items, ENOUGH)), fits)


@dataclass(frozen=True)
class Wishes:
    """What samples are asked to be.

    n      how many
    given  conditions by name, (n, ...) each
    rows   (n,) the real item whose conditions each sample has, where they are texts; None where they are labels alone
    """

    n: int
    given: Mapping[str, Tensor]
    rows: np.ndarray | None = None


def wishes(run: Run, asked: int | None, train: Items, real: Items, seed: int) -> Wishes:
    """Classes in the proportions of the training items; where there are texts, the conditions of real items in turn.

    asked  how many samples the user wants; None for as many as suit, and at most one for each text
    """
    n = number(run, asked, len(train))
    source = real if len(real) else train
    if len(run.fields) == len(run.labels) or not len(source) or source.given is None:
        return Wishes(n, conditions(run, train.labels, n, seed))
    n = n if asked is not None else min(n, len(source))
    rows = np.random.default_rng(seed).permutation(len(source))[np.arange(n) % len(source)]
    return Wishes(n, source.given(rows), rows if source is real else None)


def conditions(run: Run, labels: Tensor | None, n: int, seed: int) -> dict[str, Tensor]:
    """What each of n samples is asked to be, by name: classes in the proportions of the training items."""
    sizes = {name: len(one.config.vocabulary) for name, one in run.labels.items()}
    return {
        name: in_proportion(torch.arange(size) if labels is None else labels, size, n, seed)
        for name, size in sizes.items()
    }


def answered(run: Run, made: Tensor, rows: np.ndarray, train: Items, real: Items) -> Answers:
    """What was made for the conditions of these real items, beside what belongs to them, and the training pairs."""
    assert real.whole is not None and train.whole is not None
    known = np.arange(len(train))
    if len(known) > PAIRS:
        known = np.random.default_rng(0).choice(len(train), PAIRS, replace=False)

    def pairs(whole: Whole, wanted: np.ndarray) -> tuple[list[str], list[str]]:
        texts = [str(text) for row in wanted.tolist() for text in run.codec.decode(whole_row(whole, row))]
        return asked(run, whole, wanted), texts

    (sources, targets), (given, right) = pairs(train.whole, known), pairs(real.whole, rows)
    return Answers(given, run.codec.decode(made).tolist(), right, sources, targets)


def whole_row(whole: Whole, row: int) -> Tensor:
    """All tokens of one document as a row of its own."""
    return torch.from_numpy(np.asarray(whole.tokens[row]).astype(np.int64))[None]


def asked(run: Run, whole: Whole, rows: np.ndarray) -> list[str]:
    """The texts that documents are conditioned on, several of one document with a blank between them."""
    found: list[str] = []
    for part in np.array_split(rows, max(1, len(rows) // 1_000)):
        given = whole.given(part) if whole.given is not None else {}
        texts = [run.fields[name].decode(value) for name, value in given.items() if run.fields[name].natural == "text"]
        found += [" ".join(map(str, one)) for one in zip(*texts, strict=True)]
    return found


def gathered(
    run: Run, made: Tensor, wishes: Wishes, train: Items, real: Items, seed: int, columns: int = COLUMNS
) -> Evidence:
    """The evidence, as the measures want it.

    columns  of a table, that are measured at most
    """
    name, documents = next(iter(run.labels), None), None
    if train.whole is not None and real.whole is not None:
        found = answered(run, made, wishes.rows, train, real) if wishes.rows is not None else None
        documents = Documents(run.codec.decode, run.codec.byte_counts, train.whole, real.whole, found)
    return Evidence(
        made, train.x, real.x, run.family.spec, wishes.given.get(name) if name else None, train.labels, real.labels,
        run.labels[name].config.vocabulary if name else (), train.names, torch.from_numpy(train.rows).long(),
        tuple(range(seed, seed + len(made))), real.about, documents, rows_of(run, made, train, real, columns, seed),
        series_of(run, made, train, real),
    )  # fmt: skip


def rows_of(run: Run, made: Tensor, train: Items, real: Items, columns: int, seed: int) -> Rows | None:
    """Rows of a table as a user reads them, of very many columns some at random; None where items are something
    else."""
    codec = run.codec
    if codec.natural != "table":
        return None
    total = len(codec.columns)
    places = np.sort(np.random.default_rng(seed).permutation(total)[:columns])
    cells, tables = [codec.decode(made)[:, places]], dict[str, Sequence[Any]]()
    for items in (train, real):  # as they are there, since encoded ones lack what the codec leaves out
        source = table_name(run, items, train)
        if len(items) and source not in tables:
            tables[source] = open_source(source, run.reading).items
        cells.append(codec.natural_rows(tables[source], items.rows, places.tolist()) if len(items) else cells[0][:0])
    names, kinds, cells = codec.spread(cells, places.tolist())
    return Rows(*(Sheet(tuple(names), tuple(kinds), one) for one in cells))


def series_of(run: Run, made: Tensor, train: Items, real: Items) -> Series | None:
    """Windows of series as numbers, real ones as they are in their table; None where items are something else."""
    codec = run.codec
    if codec.natural != "series":
        return None
    drawn = codec.values(codec.decode(made)) if len(made) else []
    return Series(codec.columns, drawn, *(codec.natural_values(table_of(run, items, train), items.rows) if len(items)
                                          else [] for items in (train, real)))  # fmt: skip


def table_of(run: Run, items: Items, train: Items) -> Sequence[Any]:
    """The table that real items were read from."""
    return open_source(table_name(run, items, train), run.reading).items


def table_name(run: Run, items: Items, train: Items) -> str:
    """The source that real items were read from."""
    return str(run.recipe["source"]) if items.about in (train.about, HELD_OUT) else items.about


def duplicates(known: Prepared, groups: Sequence[Sequence[int]]) -> dict[int, int]:
    """How often each training item is there that is there more than once, by its row in the source.

    groups  rows of items that an audit took for versions of one thing
    """
    own = [int(known.data.hashes[row]) for row in known.kept]
    count, kept = Counter(own), {int(row) for row in known.kept}
    times = {row: count[content] for row, content in zip(sorted(kept), own, strict=True) if count[content] > 1}
    for group in groups:
        inside = kept.intersection(group)
        times |= {row: len(inside) for row in inside if len(inside) > times.get(row, 1)}
    return times
