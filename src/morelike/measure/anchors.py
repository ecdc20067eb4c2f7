"""What every figure stands beside: real against real, the copy machine, and the trivial model.

All of them are measured at the size at which the samples are, because most measures depend on it. The real items that
were held out of training are cut into two halves, and the samples into two parts of that size:

    fold   value          floor           copy machine       trivial model
    1      made 1 : A     half B : A      copies 1 : A       trivial 1 : A
    2      made 2 : B     half A : B      copies 2 : B       trivial 2 : B

A figure is the mean of both folds. The floor is one half of the held-out items against the other, not training items
against held-out ones: a net whose features were learned on the training items may tell those from new ones, and a
perfect model makes new ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from morelike.measure.figure import Estimate, Evidence

FEW = 50  # held-out items below which the training items take their place
LIMIT = 2_000  # items of a kind in a fold; more cost time and change little
_NUMBERS = 4 * 2**20  # drawn at a time for the trivial model, 32 MiB of indices

Measure = Callable[[Tensor, Tensor], Estimate]  # (one set, real items) -> a number with its interval


@dataclass(frozen=True)
class Sets:
    """Everything that is compared, as items or as their features; `real` is what the others are held against.

    made (N, *), real (R, *), train (M, *), trivial (T, *): samples, held-out items, training items, independent columns
    """

    made: Tensor
    real: Tensor
    train: Tensor
    trivial: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> Sets:
        """The same sets seen through a function, such as features."""
        return Sets(*(function(one) for one in (self.made, self.real, self.train, self.trivial)))


@dataclass(frozen=True)
class Fold:
    """Rows of each set for one comparison, (n,) each: `made`, `fresh`, `copies` and `trivial` stand against `real`.

    fresh and real index the real items and share none; copies index the training items.
    """

    made: Tensor
    real: Tensor
    fresh: Tensor
    copies: Tensor
    trivial: Tensor


@dataclass(frozen=True)
class Anchored:
    """One measure on the samples, and on what they stand beside."""

    value: Estimate
    floor: Estimate
    copies: Estimate
    trivial: Estimate


def reference(evidence: Evidence) -> tuple[Tensor, Tensor | None, bool]:
    """Real items to compare with, their labels, and whether they are the training items for want of held-out ones."""
    if len(evidence.held) >= FEW or len(evidence.held) >= len(evidence.train):
        return evidence.held, evidence.held_labels, False
    return evidence.train, evidence.train_labels, True


def trivial(train: Tensor, labels: Tensor | None, asked: Tensor, seed: int = 0, end: int | None = None) -> Tensor:
    """What a model makes that draws each number on its own from the training items' values there: (n, *shape).

    train   (M, *shape), M >= 1
    labels  (M,) classes of the training items; with them, numbers come from items of the class asked for alone
    asked   int64 (n,) classes asked for; only its length counts without labels
    end     for sequences of varying length, the token around them: see below

    x_ij = t_kj with k uniform over the training items (of the class), anew for every i and j: each column keeps its own
    law and loses every tie to the others. Places mean nothing in sequences of varying length: these take their length
    from one training item, and each token from all that there are.
    """
    generator = torch.Generator().manual_seed(seed)
    flat = train.flatten(1)
    made = torch.empty(len(asked), flat.shape[1], dtype=flat.dtype)
    if labels is None:
        labels, asked = torch.zeros(len(flat)), torch.zeros(len(asked))
    for label in asked.unique().tolist():
        wanted, own = ((one == label).nonzero()[:, 0] for one in (asked, labels))
        own = own if len(own) else torch.arange(len(flat))
        for part in wanted.split(max(1, _NUMBERS // max(flat.shape[1], 1))):
            if end is not None:
                made[part] = _shuffled(flat[own], len(part), end, generator)
                continue
            rows = torch.randint(len(own), (len(part), flat.shape[1]), generator=generator)
            made[part] = flat.gather(0, own[rows])
    return made.reshape(len(asked), *train.shape[1:])


def _shuffled(train: Tensor, n: int, end: int, generator: torch.Generator) -> Tensor:
    """n sequences as long as training sequences (M, T), whose tokens are drawn from all tokens of these: (n, T)."""
    made = train[torch.randint(len(train), (n,), generator=generator)]
    tokens, there = train[train != end], made != end
    if len(tokens):
        made[there] = tokens[torch.randint(len(tokens), (int(there.sum()),), generator=generator)]
    return made


def folds(rows: Sets, *, weights: Tensor | None = None, limit: int = LIMIT, seed: int = 0) -> tuple[Fold, ...]:
    """Two folds of equal size over the given rows of each set; none where there are fewer than two of a kind.

    rows     int64 rows that may be used, by set
    weights  (len(rows.made),) how gladly each made item is taken, to match the classes of the real ones
    limit    largest number of items of a kind in a fold
    """
    n = min(len(rows.made) // 2, len(rows.real) // 2, limit)
    if n < 1 or not len(rows.train) or not len(rows.trivial):
        return ()
    generator = torch.Generator().manual_seed(seed)
    even = torch.ones(len(rows.made)) if weights is None else weights
    made = rows.made[torch.multinomial(even, 2 * n, generator=generator)].split(n)
    real = rows.real[torch.randperm(len(rows.real), generator=generator)[: 2 * n]].split(n)
    copies = rows.train[torch.randint(len(rows.train), (2 * n,), generator=generator)].split(n)
    places = torch.randperm(len(rows.trivial), generator=generator).repeat(-(-2 * n // len(rows.trivial)))[: 2 * n]
    alone = rows.trivial[places].split(n)
    return tuple(Fold(made[i], real[i], real[1 - i], copies[i], alone[i]) for i in (0, 1))


def match(labels: Tensor, real: Tensor) -> Tensor:
    """Weights (N,) under which classes `labels` (N,) appear as often as in `real` (R,), strictly positive.

    Unknown classes, numbered below 0, count as one class.
    """
    labels, real = labels.clamp_min(-1) + 1, real.clamp_min(-1) + 1
    classes = int(max(labels.max(), real.max())) + 1
    have, want = (torch.bincount(one, minlength=classes).double() / len(one) for one in (labels, real))
    return (want / have.clamp_min(1e-12))[labels].clamp_min(1e-9)


def anchored(measure: Measure, sets: Sets, pair: Sequence[Fold], *, anchors: bool = True) -> Anchored:
    """One measure on the samples and on the three anchors; without `anchors` on the samples and the floor alone.

    Made items of both folds, and what they are held against, share none, so the halves of their intervals add up as
    sqrt(h1^2 + h2^2) / 2; the two floors are nearly the same comparison, so theirs are averaged.
    """
    none = Estimate(reason="not measured")
    if not pair:
        few = Estimate(reason="there are fewer than two items of a kind to compare")
        return Anchored(few, few, few, few)

    def both(pick: Callable[[Fold], Tensor], alone: bool) -> Estimate:
        return mean([checked(measure(pick(fold), sets.real[fold.real])) for fold in pair], alone)

    return Anchored(
        value=both(lambda fold: sets.made[fold.made], True),
        floor=both(lambda fold: sets.real[fold.fresh], False),
        copies=both(lambda fold: sets.train[fold.copies], True) if anchors else none,
        trivial=both(lambda fold: sets.trivial[fold.trivial], True) if anchors else none,
    )


def mean(parts: Sequence[Estimate], independent: bool) -> Estimate:
    """The mean of estimates with its interval; of those that have a value, or else the first reason."""
    there = [one for one in parts if one.value is not None]
    if not there:
        return parts[0] if parts else Estimate(reason="nothing was measured")
    value = sum(one.value for one in there if one.value is not None) / len(there)
    if any(one.low is None or one.high is None for one in there):
        return Estimate(value)
    below = [(one.value or 0.0) - (one.low or 0.0) for one in there]
    above = [(one.high or 0.0) - (one.value or 0.0) for one in there]
    join = (lambda h: math.hypot(*h) / len(h)) if independent else (lambda h: sum(h) / len(h))
    return Estimate(value, value - join(below), value + join(above))


def checked(estimate: Estimate) -> Estimate:
    """The same estimate, with a reason in place of a value that is not finite and no bounds that are not."""
    if estimate.value is None:
        return estimate if estimate.reason else replace(estimate, reason="it could not be measured")
    if not math.isfinite(estimate.value):
        return Estimate(reason="the items are too alike, or too large, for this measure")
    bounds = (estimate.low, estimate.high)
    if any(one is None or not math.isfinite(one) for one in bounds):
        return Estimate(estimate.value)
    return estimate
