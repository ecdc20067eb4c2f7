"""Real items of a source for the benchmarks of the report: encoded, split and numbered as `fit` would do it.

Features of a source are learned once and kept in a folder, so that what is timed is the measuring.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from data import SHARED
from torch import Tensor

from morelike.collect import arrange
from morelike.core.spec import Spec
from morelike.data.cache import build
from morelike.data.sources import open_source
from morelike.measure import features as looks
from morelike.measure.features import Features
from morelike.measure.figure import Evidence
from morelike.recipes import module


class Real(NamedTuple):
    """Training and held-out items (N, *shape) in [-1, 1] with their classes, and what else evidence needs."""

    train: Tensor
    held: Tensor
    train_labels: Tensor | None
    held_labels: Tensor | None
    classes: tuple[str, ...]
    spec: Spec
    codec: Any

    def evidence(self, made: Tensor, labels: Tensor | None = None, held: slice = slice(None)) -> Evidence:
        """Samples beside these items; `held` chooses the held-out items that are compared with."""
        known = labels is not None and self.held_labels is not None
        return Evidence(
            made, self.train, self.held[held], self.spec, labels, self.train_labels if known else None,
            self.held_labels[held] if known and self.held_labels is not None else None, self.classes if known else (),
        )  # fmt: skip


def real(source: str, held_out: float = 0.1) -> Real:
    """The items of a source: a name of the shared data, or anything that `fit` takes."""
    where = SHARED / source
    opened = open_source(str(where) if where.is_dir() else source)
    codec = module("codec", "image").Codec().fit(opened.items)
    prepared = arrange(build(opened, codec), codec, "auto", held_out)
    x = codec.encode(torch.from_numpy(np.array(prepared.data.x)))
    y = next((torch.from_numpy(one) for one in prepared.given.values()), None)
    names = next((one.config.vocabulary for one in prepared.labels.values()), ())
    kept, held = torch.from_numpy(prepared.kept), torch.from_numpy(prepared.held)
    labels = (None, None) if y is None else (y[kept], y[held])
    return Real(x[kept], x[held], *labels, names, codec.spec("log_prob"), codec)


def features(found: Real, cache: Path, seconds: float = 20.0) -> list[Features]:
    """Learned features, from the cache if they are there, and random ones."""
    key = hashlib.sha256(found.train.numpy().tobytes()).hexdigest()[:12]
    path = cache / f"learned-{key}.safetensors"
    if path.exists():
        learned = looks.load(path, found.spec)
    else:
        cache.mkdir(parents=True, exist_ok=True)
        learned = looks.learn(found.train, found.train_labels, found.spec, classes=len(found.classes), seconds=seconds)
        looks.save(learned, path)
    return [learned, looks.random_features(found.spec, on=found.train)]
