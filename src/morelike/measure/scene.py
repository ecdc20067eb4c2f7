"""What an evaluation compares: clean items, real ones to hold them against, both folds, and classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from morelike.core.errors import DataError
from morelike.measure.anchors import LIMIT, Fold, Sets, folds, match, reference, trivial
from morelike.measure.classes import Labels
from morelike.measure.features import Features
from morelike.measure.figure import Evidence


class Remembered:
    """Features that look at each set only once, for several measures ask for them.

    alike  the first so many see no difference between training items and new ones as such
    plain  only these are looked at, which is fair where training items stand in for new ones
    """

    def __init__(self, features: Features, plain: bool = False) -> None:
        self.alike: int = getattr(features, "alike", features.width)
        self.features, self.name, self.width = features, features.name, self.alike if plain else features.width
        self._seen: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Tensor) -> Tensor:
        for known, found in self._seen:
            if known is x:
                return found
        found = self.features(x)[:, : self.width] if len(x) else torch.empty(0, self.width)
        self._seen.append((x, found))
        return found

    def classify(self, x: Tensor) -> Tensor | None:
        """Logits (N, classes) of features that can tell classes, else None."""
        return self.features.classify(x)

    def described(self) -> dict[str, Any]:
        """What these features are, for the JSON."""
        return self.features.described()


@dataclass(frozen=True)
class Scene:
    """What is compared: the items of every set, the rows of both folds, and classes where the samples have some.

    flatters  the real items are the training items, for want of held-out ones
    """

    items: Sets
    pair: tuple[Fold, ...]
    labels: Labels | None
    flatters: bool
    seed: int


@dataclass(frozen=True)
class Kept:
    """Rows of the evidence that hold no NaN and no infinity, in order: int64 indices of each set."""

    made: Tensor
    held: Tensor
    train: Tensor


def finite(evidence: Evidence) -> tuple[Evidence, Kept]:
    """The evidence without items that are not finite, and which rows were kept.

    Raises `DataError` where samples and real items differ in shape.
    """
    for name, x in (("training items", evidence.train), ("held-out items", evidence.held)):
        if len(x) and len(evidence.made) and x.shape[1:] != evidence.made.shape[1:]:
            raise DataError(f"Samples of shape {tuple(evidence.made.shape[1:])} and {name} of {tuple(x.shape[1:])}",
                            "Items of one shape", "Prepare them as the training items were")  # fmt: skip
    given = evidence.made, evidence.held, evidence.train
    kept = Kept(*(_finite_rows(one) for one in given))
    if [len(kept.made), len(kept.held), len(kept.train)] == [len(one) for one in given]:
        return evidence, kept
    cleaned = replace(
        evidence, made=evidence.made[kept.made], held=evidence.held[kept.held], train=evidence.train[kept.train],
        made_labels=_rows(evidence.made_labels, kept.made), held_labels=_rows(evidence.held_labels, kept.held),
        train_labels=_rows(evidence.train_labels, kept.train), seeds=_names(evidence.seeds, kept.made),
        train_names=_names(evidence.train_names, kept.train), train_rows=_train_rows(evidence, kept.train),
    )  # fmt: skip
    return cleaned, kept


def arrange(evidence: Evidence, seed: int = 0) -> Scene:
    """Real items, folds of equal size, the trivial model's items, and classes where all sets have them.

    Classes of the trivial model follow those of the real items, and samples are chosen so that theirs do.
    """
    real, real_labels, flatters = reference(evidence)
    n = 2 * min(len(evidence.made) // 2, len(real) // 2, LIMIT) if len(evidence.train) else 0
    classes, asked = None, torch.zeros(n, dtype=torch.long)
    if evidence.made_labels is not None and evidence.train_labels is not None and real_labels is not None and n:
        asked = real_labels[torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))[:n]]
        classes = Labels(Sets(evidence.made_labels, real_labels, evidence.train_labels, asked), evidence.classes)
    alone = trivial(evidence.train, evidence.train_labels if classes else None, asked, seed,
                    evidence.spec.end) if n else real[:0]  # fmt: skip
    items = Sets(evidence.made, real, evidence.train, alone)
    weights = match(classes.sets.made, classes.sets.real) if classes else None
    rows = items.map(lambda one: torch.arange(len(one)))
    return Scene(items, folds(rows, weights=weights, seed=seed), classes, flatters, seed)


def _finite_rows(x: Tensor) -> Tensor:
    if not x.is_floating_point() or not len(x):
        return torch.arange(len(x))
    return torch.cat([part.flatten(1).isfinite().all(1) for part in x.split(1024)]).nonzero()[:, 0]


def _rows(values: Tensor | None, kept: Tensor) -> Tensor | None:
    return None if values is None else values[kept]


def _names(values: tuple[Any, ...], kept: Tensor) -> tuple[Any, ...]:
    return tuple(values[i] for i in kept.tolist()) if values else values


def _train_rows(evidence: Evidence, kept: Tensor) -> Tensor:
    """Rows of the source; without any, the training items were all of it."""
    return evidence.train_rows[kept] if len(evidence.train_rows) else kept
