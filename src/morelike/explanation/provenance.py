"""What samples resemble: the training items nearest to each, beside how near training items are to one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from morelike.measure.nearest import nearest

SCALE = 1000  # training items whose nearest neighbour sets the scale


class Named(Protocol):
    """Turns items (N, *shape) into features (N, width), and has a name."""

    @property
    def name(self) -> str: ...
    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Resembled:
    """Of n made items, the k training items nearest to each in feature space, nearest first.

    train     (n, k) their numbers among the training items
    distance  (n, k)
    typical   (3,) distance from a training item to its nearest other: 5th percentile, median, 95th percentile
    nearer    (n,) share of training items that have a neighbour as near as this, or nearer
    features  what the features are called
    """

    train: Tensor
    distance: Tensor
    typical: Tensor
    nearer: Tensor
    features: str


def resembled(features: Named, made: Tensor, train: Tensor, k: int = 5, seed: int = 0) -> Resembled | str:
    """What made items (n, *shape) are similar to, among the features (M, width) of training items; or why not.

    Similar is not causal: the model learned from all items at once, and nothing here says that it made this one from
    those.
    """
    if len(train) < 2:
        return f"There is {len(train)} training item, and at least 2 are needed to say what near means."
    distance, indices = nearest(features(made), train, min(k, len(train)))
    drawn = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:SCALE]
    others, _ = nearest(train[drawn], train, 2)
    own = others[:, 1]  # the first is the item itself, or its equal
    typical = torch.quantile(own.double(), torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64))
    return Resembled(indices, distance, typical, (own <= distance[:, :1]).float().mean(1), features.name)
