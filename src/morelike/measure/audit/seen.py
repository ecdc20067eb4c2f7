"""What a net sees in items that it has not learnt from: the ground for doubting labels and for finding strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.features import learn
from morelike.measure.nearest import nearest

SECONDS = 8.0  # that each of the two nets may learn on one slow core
NEIGHBOURS = 20  # that vote on a class
CLOSE = 10  # neighbours whose mean distance says how far off an item is
LEAST, MOST = 100, 20_000  # items with fewer tell nothing; of more, a part is looked at


@dataclass(frozen=True)
class Seen:
    """What was seen of the items with these rows, (n,), each by a net that learnt from the other half only.

    odds      (n, classes) probability of each class by the net, or None without classes
    votes     (n, classes) share of each class among the nearest items of the other half, or None
    distance  (n,) to the nearest items of the other half, over what is typical
    """

    rows: Tensor
    odds: Tensor | None
    votes: Tensor | None
    distance: Tensor


def see(
    sketches: Tensor,
    labels: Tensor | None,
    classes: int,
    seed: int = 0,
    tell: Callable[[float], None] = lambda done: None,
) -> Seen:
    """Two nets, each trained on one half of the sketches (N, *sketch), look at the other half.

    labels  int64 (N,), -1 where an item has none; or None

    Features are those of `measure.features.learn`. Of more than 20,000 items, as many are drawn at random.
    """
    order = torch.randperm(len(sketches), generator=torch.Generator().manual_seed(seed))[:MOST]
    halves, parts = (order[::2], order[1::2]), []
    for turn, (taught, other) in enumerate((halves, halves[::-1])):
        known = None if labels is None else labels[taught]
        spec = Spec(tuple(sketches.shape[1:]))
        net = learn(sketches[taught], known, spec, classes=classes, seed=seed, seconds=SECONDS, tell=_half(tell, turn))
        mine, theirs = net(sketches[taught]), net(sketches[other])
        distances, found = nearest(theirs, mine, min(NEIGHBOURS, len(taught)))
        away = distances[:, :CLOSE].mean(1)
        logits = net.classify(sketches[other])
        odds = None if logits is None else logits.softmax(1)
        votes = None if known is None else _votes(known[found], classes)
        parts.append(Seen(other, odds, votes, away / away.median().clamp_min(1e-6)))
        tell((turn + 1) / 2)
    return _joined(*parts)


def _votes(labels: Tensor, classes: int) -> Tensor:
    """Share of each class among the neighbours' labels (n, k), those without one left out: (n, classes)."""
    cast = F.one_hot(labels.clamp_min(0), classes) * (labels >= 0)[..., None]
    return cast.sum(1) / cast.sum((1, 2)).clamp_min(1)[:, None]


def _half(tell: Callable[[float], None], turn: int) -> Callable[[str, float], None]:
    return lambda stage, done: tell((turn + 0.9 * done) / 2)


def _joined(a: Seen, b: Seen) -> Seen:
    """Both halves, in the order of their rows."""
    rows = torch.cat([a.rows, b.rows])
    order = rows.argsort()
    odds = None if a.odds is None or b.odds is None else torch.cat([a.odds, b.odds])[order]
    votes = None if a.votes is None or b.votes is None else torch.cat([a.votes, b.votes])[order]
    return Seen(rows[order], odds, votes, torch.cat([a.distance, b.distance])[order])
