"""What is measured: how many samples, of which classes, beside which real items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from morelike.collect import Prepared
from morelike.measure.figure import Evidence
from morelike.measure.text.documents import Documents
from morelike.reporting.items import MOST, Items
from morelike.reporting.samples import in_proportion
from morelike.run import Run

FEWEST, ENOUGH = 1_000, 10_000  # samples that are drawn unless the user says how many


def number(run: Run, samples: int | None, items: int) -> int:
    """How many samples to draw: what was asked for, else about as many as there are training items."""
    if samples is not None:
        return samples
    fits = max(2, MOST // (4 * max(1, torch.Size(run.family.spec.shape).numel())))
    return min(max(FEWEST, min(items, ENOUGH)), fits)


def conditions(run: Run, labels: Tensor | None, n: int, seed: int) -> dict[str, Tensor]:
    """What each of n samples is asked to be, by name: classes in the proportions of the training items."""
    sizes = {name: len(one.config.vocabulary) for name, one in run.labels.items()}
    return {
        name: in_proportion(torch.arange(size) if labels is None else labels, size, n, seed)
        for name, size in sizes.items()
    }


def gathered(run: Run, made: Tensor, given: Mapping[str, Tensor], train: Items, real: Items, seed: int) -> Evidence:
    """The evidence, as the measures want it."""
    name = next(iter(run.labels), None)
    documents = None
    if train.whole is not None and real.whole is not None:
        documents = Documents(run.codec.decode, run.codec.byte_counts, train.whole, real.whole)
    return Evidence(
        made, train.x, real.x, run.family.spec, given.get(name) if name else None, train.labels, real.labels,
        run.labels[name].config.vocabulary if name else (), train.names, torch.from_numpy(train.rows).long(),
        tuple(range(seed, seed + len(made))), real.about, documents,
    )  # fmt: skip


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
