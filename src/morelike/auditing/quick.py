"""What `fit` looks for in its data: only what takes a few seconds, and always the same for the same source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from morelike.collect import Prepared
from morelike.core.codec import Inspectable
from morelike.core.errors import DataError, unknown
from morelike.data.cache import Dataset
from morelike.data.ragged import Ragged
from morelike.measure.audit.amount import FEW_HELD, SCARCE, amount, balance, parted, skipped
from morelike.measure.audit.repeats import repeats
from morelike.measure.audit.twins import Twins, equals, find, sketched
from morelike.measure.figure import Finding
from morelike.measure.record import plain

FEW_CANDIDATES = 3  # neighbours of each item that `fit` looks at, where `check` looks at more
PER_MINUTE = 1_000  # items in which `fit` looks for versions, for each of its minutes: less than 2 % of them
MOST = 5_000  # and in all, which takes some seconds
PIECE = 256  # tokens of a long text that count as much as a short one
NAMED = 20  # rows of a finding that a recipe keeps


def search_fits(items: int, minutes: float | None) -> bool:
    """Whether `fit` looks for versions of items: a rule of numbers alone, so that a resumed run does the same."""
    return items <= (MOST if minutes is None else min(MOST, PER_MINUTE * minutes))


def twins_for(codec: Any, data: Dataset, minutes: float | None) -> Twins:
    """What is there more than once, as far as `fit` looks for it: versions only where that takes 2 % of the minutes."""
    if not isinstance(codec, Inspectable) or not search_fits(len(data), minutes):
        return Twins(equals(data.hashes), [], {})
    return find(codec, sketched(codec, data.x), data.hashes, FEW_CANDIDATES)


def shortened(prepared: Prepared, twins: Twins) -> list[Finding]:
    """The findings that need no look at single items and no training, for `fit`; those that matter most first."""
    labels = labels_of(prepared.data, next(iter(prepared.labels), "label"))
    found = plain_findings(prepared.data, labels, twins, (prepared.kept, prepared.held), prepared.codec)
    order = ("stop", "warn", "note")
    return sorted(found, key=lambda one: order.index(one.severity))


def short(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as a recipe keeps them: at most 20 names and rows of each."""
    cut = (replace(one, names=one.names[:NAMED], rows=one.rows[:NAMED], groups=one.groups[:NAMED]) for one in findings)
    return [plain(one) for one in cut]


def told(findings: Sequence[Finding]) -> str:
    """What `fit` says of the findings in a line: those that matter, and where to see more; "" where nothing does."""
    grave = [one for one in findings if one.severity != "note"]
    if not grave:
        return ""
    more = f" and {len(grave) - 3} more" if len(grave) > 3 else ""
    return f"Look at the data: {'; '.join(one.title for one in grave[:3])}{more}. More: morelike check"


def labels_of(data: Dataset, given: str) -> list[str]:
    """The label of each item, "" where it has none."""
    if given not in data.fields and given not in ("label", "auto", "none"):
        if not data.fields:
            raise DataError(f'The items have no field "{given}"', "Labels, such as sub-folders", "Leave out --given")
        raise unknown("field", given, data.fields)
    missing = [""] * len(data)
    return missing if given == "none" else data.fields.get("label" if given == "auto" else given, missing)


def plain_findings(
    data: Dataset, labels: Sequence[str], twins: Twins, sides: tuple[np.ndarray, np.ndarray], codec: Any
) -> list[Finding]:
    """What can be said without looking at single items: what was left out, how much there is, what is there twice."""
    versions, pictures = getattr(codec, "versions", ""), codec.natural == "image"
    total = len(data) + len(parted(data.problems)[0])
    distinct = 1 + int(np.count_nonzero(np.diff(np.sort(data.hashes))))
    train, held = enough(data, sides[0], SCARCE), enough(data, sides[1], FEW_HELD)
    found = [*skipped(data.problems, total), *amount(train, held, distinct, pictures),
             *balance(labels, data.names)]  # fmt: skip
    return found if distinct == 1 else found + repeats(twins, data.names, labels, versions, getattr(codec, "usual", ""))


def enough(data: Dataset, rows: np.ndarray, wanted: int) -> int:
    """How many items there are, or pieces of 256 tokens where long texts make as many of these as are wanted."""
    pieces = int(data.x.lengths[rows].sum()) // PIECE if isinstance(data.x, Ragged) else 0
    return pieces if len(rows) < wanted <= pieces else len(rows)
