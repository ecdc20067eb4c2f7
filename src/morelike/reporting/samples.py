"""Drawing what is to be measured: as many samples of each class as the data have, each with a seed of its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from morelike.preview import CHUNK
from morelike.reporting.items import Tell
from morelike.run import Run


def in_proportion(labels: Tensor, classes: int, n: int, seed: int) -> Tensor:
    """n classes in the proportions of `labels` (N,), in random order: int64 (n,).

    Class c comes up floor(n p_c) times, and the largest remainders get what is left (Hamilton's method).
    """
    share = torch.bincount(labels, minlength=classes).double() / max(len(labels), 1) * n
    counts = share.floor().long()
    left = n - int(counts.sum())
    counts[(share - counts).argsort(descending=True, stable=True)[:left]] += 1
    asked = torch.arange(classes).repeat_interleave(counts)
    return asked[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]


def draw(run: Run, n: int, seed: int, asked: Mapping[str, Tensor], tell: Tell) -> Tensor:
    """n samples as they would be read back from files: (n, *shape); sample i has seed `seed + i`.

    asked  int64 (n,) what each sample is conditioned on, by name

    They are made in chunks of the same size as `Run.sample` makes them, so they are the same. A sample with a number
    that is not finite stays as it is.
    """
    made = []
    with torch.no_grad():
        for begin in range(0, n, CHUNK):
            tell("Drawing samples", begin / n)
            rows = torch.arange(begin, begin + CHUNK).clamp_max(n - 1)
            x = run.family.sample([seed + int(row) for row in rows], {name: one[rows] for name, one in asked.items()})
            made.append(read_back(run, x)[: n - begin])
    tell("Drawing samples", 1.0)
    return torch.cat(made) if made else torch.empty(0, *run.family.spec.shape)


def read_back(run: Run, x: Tensor) -> Tensor:
    """Items (B, *shape) after a way through files, which hold fewer different numbers than tensors do."""
    if run.codec.natural != "image":
        return x
    natural = torch.from_numpy(np.ascontiguousarray(run.codec.decode(x)))
    back = run.codec.encode(natural.movedim(-1, 1))  # pictures are decoded with their colours last
    whole = x.isfinite().flatten(1).all(1)
    return torch.where(whole.view(-1, *[1] * (x.dim() - 1)), back, x)
