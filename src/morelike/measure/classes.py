"""Figures of each class, and whether a net sees the class that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from morelike.measure.anchors import Anchored, Sets, anchored, folds
from morelike.measure.features import Features
from morelike.measure.figure import Estimate, Figure
from morelike.measure.interval import wilson
from morelike.measure.panel import SCALES, figure, hundred, measures

LEAST = 25  # items of a class in a fold; with fewer there is a reason in place of a figure
MOST = 30  # classes that get figures of their own, the most frequent ones
SEEN = 2_000  # items of a kind that are classified
BY_CLASS = ("kernel_distance", "density", "coverage", "two_sample")
SLOW = "two_sample"  # trains nets each time: not on what the others stand beside as well


@dataclass(frozen=True)
class Labels:
    """Class of every item of each set, int64; negative where it is not known.

    sets   (N,), (R,), (M,), (T,): asked for, real, training, trivial
    names  of the classes by number
    """

    sets: Sets
    names: tuple[str, ...]

    def name(self, label: int) -> str:
        return self.names[label] if label < len(self.names) else str(label)


def by_class(labels: Labels, seen: Sets, *, seed: int = 0,
             tell: Callable[[float], None] = lambda fraction: None) -> list[Figure]:  # fmt: skip
    """Kernel distance, density, coverage and two-sample accuracy of each of the most frequent classes.

    seen  features of each set
    tell  called with the share that is done
    """
    of, figures = measures(seed), []
    real = labels.sets.real[labels.sets.real >= 0]
    if not len(real):
        return []
    count = torch.bincount(real)
    chosen = [int(label) for label in count.argsort(descending=True, stable=True)[:MOST] if count[label]]
    for done, label in enumerate(sorted(chosen)):
        rows = labels.sets.map(lambda one: (one == label).nonzero()[:, 0])  # noqa: B023 - used at once
        pair = folds(rows, seed=seed + label)
        if pair and len(pair[0].real) >= LEAST:
            found = {name: anchored(of[name], seen, pair, anchors=name != SLOW) for name in BY_CLASS}
        else:
            found = dict.fromkeys(BY_CLASS, _too_few(len(rows.made), len(rows.real)))
        figures += [figure(SCALES[name], one, label=labels.name(label)) for name, one in found.items()]
        tell((done + 1) / len(chosen))
    return figures


def class_accuracy(labels: Labels, items: Sets, features: Features) -> list[Figure]:
    """The share of samples in which the class asked for is seen, for all and for each class; empty without a reader."""
    shares = []
    for x, y in zip(_each(items), _each(labels.sets), strict=True):
        some = (y >= 0).nonzero()[:, 0]
        some = some[torch.linspace(0, len(some) - 1, min(SEEN, len(some))).round().long()]
        logits = features.classify(x[some]) if len(some) else None
        if logits is None:
            return []
        shares.append((logits.argmax(1) == y[some], y[some]))
    every = figure(SCALES["class_accuracy"], Anchored(*(share(right) for right, _ in shares)))
    figures = [_judged(every, shares[1][1])]
    for label in shares[0][1].unique().tolist():
        own = Anchored(*(share(right[y == label]) for right, y in shares))
        figures.append(figure(SCALES["class_accuracy"], own, label=labels.name(label)))
    return figures


def _judged(of: Figure, real: Tensor) -> Figure:
    """The figure, or a doubt: a net that is less than half way from guessing to always right is a poor judge."""
    guess = float(torch.bincount(real).max()) / len(real) if len(real) else 1.0
    if of.value is None or of.floor is None or of.floor >= (1 + guess) / 2:
        return of
    return replace(of, doubtful=True, says=f"{of.says} So it is a poor judge: guessing gets {hundred(guess)}.")


def share(right: Tensor) -> Estimate:
    """The share of True in (n,) with its 95 % interval (Wilson 1927)."""
    if not len(right):
        return Estimate(reason="there are no items of this class")
    hits = int(right.sum())
    low, high = wilson(hits, len(right))
    return Estimate(hits / len(right), low, max(high, hits / len(right)))


def _each(sets: Sets) -> Sequence[Tensor]:
    return sets.made, sets.real, sets.train, sets.trivial


def _too_few(made: int, real: int) -> Anchored:
    why = Estimate(reason=f"{made} samples and {real} real items of this class, {2 * LEAST} of each are needed")
    return Anchored(why, why, why, why)
