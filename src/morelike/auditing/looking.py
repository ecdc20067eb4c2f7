"""What is seen of every item: by its codec before it is prepared, and by nets that have not learnt from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from morelike.core.codec import Blemish, Inspectable, Item, Look
from morelike.data.cache import Dataset
from morelike.data.listing import Source
from morelike.data.store import prepared as read_all
from morelike.measure.audit import Audit
from morelike.measure.audit.labels import agreement, wrong_labels
from morelike.measure.audit.seen import LEAST, see
from morelike.measure.audit.strangers import outliers
from morelike.measure.figure import Finding

CLASSES = 20  # items of a class, on average, below which labels are not doubted
Tell = Callable[[str, float], None]


@dataclass
class Watch:
    """A function of stage and fraction that passes both on and adds up the seconds of each stage."""

    tell: Tell
    seconds: dict[str, float] = field(default_factory=dict)
    last: float = field(default_factory=time.perf_counter)

    def __call__(self, stage: str, fraction: float) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + now - self.last, 2)
        self.last = now
        self.tell(stage, min(max(fraction, 0.0), 1.0))

    def of(self, stage: str) -> Callable[[float], None]:
        """The same for one stage."""
        return lambda fraction: self(stage, fraction)


def blemishes(codec: Inspectable, source: Source, data: Dataset, watch: Watch) -> list[Finding]:
    """What the codec says of the items as they are before they are prepared."""
    looks, rows = looked(codec, source, data, watch)
    return [as_finding(one, data, rows) for one in codec.judge(looks)]


def as_finding(one: Blemish, data: Dataset, rows: Sequence[int]) -> Finding:
    """A fault as a finding; its rows count those given."""
    return Finding(one.kind, one.severity, one.title, one.evidence, one.consequence, one.action,
                   tuple(data.names[rows[place]] for place in one.rows), tuple(rows[place] for place in one.rows),
                   count=len(one.rows), default=one.default)  # fmt: skip


@runtime_checkable
class Surveys(Protocol):
    """A codec that looks at all items at once, as at the columns of a table, and says in `said` what they are."""

    said: str

    def survey(self, items: Sequence[Item]) -> list[Blemish]: ...


def surveyed(codec: Surveys, faults: Sequence[Blemish], data: Dataset) -> list[Finding]:
    """What the columns are taken for, and what is wrong with them and with rows."""
    title, _, lines = codec.said.partition("\n")
    return [Finding("columns", "note", title, lines), *(as_finding(one, data, range(len(data))) for one in faults)]


def looked(codec: Inspectable, source: Source, data: Dataset, watch: Watch) -> tuple[list[Look], list[int]]:
    """A look at each prepared item that can be read once more, and its row."""
    left_out = {name for name, _ in data.problems}
    looks, rows = list[Look](), list[int]()
    row, total = 0, len(source.items)
    for done, (item, found) in enumerate(read_all(source, cast(Any, Looking(codec))), start=1):
        if done % 64 == 0 or done == total:
            watch("Looking", done / total)
        if item.name in left_out or row >= len(data) or data.names[row] != item.name:
            continue
        if isinstance(found, Look):
            looks.append(found)
            rows.append(row)
        row += 1
    return looks, rows


class Looking:
    """Stands in the place of a codec where items are read, and looks at them instead of preparing them."""

    def __init__(self, codec: Inspectable) -> None:
        self.prepare: Any = codec.look


def doubts(
    found: Audit, sketches: Tensor, labels: Sequence[str], names: Sequence[str], seed: int, watch: Watch
) -> None:
    """Add what nets see in items that they have not learnt from: strangers, and labels that are probably wrong."""
    if len(sketches) < LEAST:
        found.notes.append(f"Fewer than {LEAST} items: too few to tell strangers and wrong labels.")
        return
    classes = sorted(found.classes)
    known = 1 < len(classes) <= len(labels) // CLASSES
    number = {label: place for place, label in enumerate(classes)}
    numbers = torch.tensor([number.get(label, -1) for label in labels]) if known else None
    seen = see(sketches, numbers, len(classes) if known else 0, seed, watch.of("Learning what is usual"))
    found.findings += outliers(seen, names)
    if numbers is None:
        found.notes.append("Labels were not checked: that takes two classes or more, of 20 items or more.")
        return
    wrong, found.suggested = wrong_labels(seen, numbers, classes, names)
    found.labels = {row: classes[int(numbers[row])] for row in found.suggested}
    found.findings += wrong
    agreed = f"{100 * agreement(seen, numbers):.0f} %"
    found.notes.append(f"A net that learnt from one half gives {agreed} of the labels of the other half; the lower "
                       "this is, the fewer wrong labels can be told.")  # fmt: skip
