"""Items that are unlike all others: far from their nearest neighbours in what a net has learnt to see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morelike.measure.audit.seen import Seen
from morelike.measure.audit.wording import some
from morelike.measure.figure import Finding

FAR = 7.0  # robust standard deviations of the logarithm of the distance
TIMES = 2.0  # and at least so many times as far as is typical
SHOWN = 0.01  # share of the items that may be strangers; where there are more, they are no strangers


def strange(distance: Tensor) -> Tensor:
    """Places of the items that are too far off, (n,) -> int64 (k,), farthest first.

    log d > median + FAR sd, where sd = (q80 - q50) / 0.842 is that of the upper side, and d > TIMES the median.
    """
    logs = distance.clamp_min(1e-6).log()
    middle, above = logs.quantile(0.5), logs.quantile(0.8)
    bound = middle + max(float(FAR * (above - middle) / 0.842), float(torch.tensor(TIMES).log()))
    found = torch.nonzero(logs > bound).flatten()
    return found[distance[found].argsort(descending=True, stable=True)]


def outliers(seen: Seen, names: Sequence[str]) -> list[Finding]:
    """The finding about items that are unlike all others, or none; `names` are those of all items."""
    places = strange(seen.distance)
    if not len(places) or len(places) > max(1, SHOWN * len(seen.rows)):
        return []
    rows, farthest = seen.rows[places].tolist(), float(seen.distance[places[0]])
    return [
        Finding(
            "outliers", "note", some(len(rows), "item is unlike all others", "items are unlike all others"),
            f"Up to {farthest:.1f} times as far from the nearest ones as is typical.",
            "Alone of its kind, an item is either ignored or learnt by heart.",
            "Look at whether they belong here.", tuple(names[row] for row in rows), tuple(rows), (), len(rows),
            "They are trained on as they are.",
        )
    ]  # fmt: skip
