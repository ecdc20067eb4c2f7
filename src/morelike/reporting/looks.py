"""What the measures look through: a net trained on the user's own items, fixed random features, or pretrained ones."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from morelike.collect import Prepared
from morelike.measure.features import Features, learn, load, random_features, save
from morelike.reporting.items import Items, Tell, numbered
from morelike.run import Run

KINDS = ("learned", "random", "inception", "dinov2")
EACH = 10  # items of a class, on average, with which its name is worth learning


class Wanted(Protocol):
    """The part of a request that is about features."""

    @property
    def features(self) -> str: ...
    @property
    def seed(self) -> int: ...


def features_for(run: Run, train: Items, known: Prepared, asked: Wanted, tell: Tell) -> list[Features]:
    """The features that were asked for, and fixed random ones as a cross-check.

    Learned features are kept in the run folder, one file for each seed, so that a number can be repeated.
    """
    spec, kind = run.family.spec, asked.features
    random = random_features(spec, seed=asked.seed, on=train.x)
    if kind == "random":
        return [random]
    if kind == "learned":
        return [learned(run, train, known, asked.seed, tell), random]
    from morelike.measure.pretrained import pretrained

    return [pretrained(kind, spec), random]


def learned(run: Run, train: Items, known: Prepared, seed: int, tell: Tell) -> Features:
    """The net that was trained on the training items, from the run folder or trained now."""
    path = run.path / "measure" / ("learned.safetensors" if seed == 0 else f"learned-{seed}.safetensors")
    if path.exists():
        return load(path, run.family.spec)
    tell("Learning features", 0.0)
    labels = train.labels if train.labels is not None else labels_of(known, train)
    found = learn(train.x, labels, run.family.spec, seed=seed, tell=lambda _, done: tell("Learning features", done))
    save(found, path)
    tell("Learning features", 1.0)
    return found


def labels_of(known: Prepared, train: Items) -> Tensor | None:
    """Labels that the data have although the run was not conditioned on them: what they tell apart is worth seeing."""
    values = known.data.fields.get("label", [])
    own = [values[row] for row in train.rows] if values else []
    names = tuple(sorted(set(own) - {""}))
    numbers = numbered(own, names)
    return torch.from_numpy(numbers) if numbers is not None and 2 <= len(names) <= len(own) / EACH else None
