"""Kinds of items: groups that lie together, and whether samples have them as often as real items do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure import interval
from morelike.measure.figure import Estimate
from morelike.measure.interval import unusable

KINDS, WAYS, ROUNDS = 20, 4, 12
EACH = 5  # real items that a kind should have on average; with fewer of them there are fewer kinds
FEWEST = 50  # items with less than that say nothing about frequencies


def kmeans(x: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """k centres of x (n, d), n >= k, by twelve rounds from distinct rows (Lloyd 1982): (k, d); an empty one stays."""
    centres = x[torch.randperm(len(x), generator=generator)[:k]].clone()
    for _ in range(ROUNDS):
        own = kinds(x, centres)
        size = torch.bincount(own, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, own, x)
        centres = torch.where(size[:, None] > 0, sums / size[:, None].clamp_min(1), centres)
    return centres


def kinds(x: Tensor, centres: Tensor) -> Tensor:
    """Which centre (k, d) is the nearest to each row of x (n, d): (n,)."""
    return torch.cdist(x, centres).argmin(1)


@dataclass(frozen=True)
class Kinds:
    """The kinds of some real items, in several ways of telling them apart.

    centres  (k, d) of each way
    shares   (k,) of the real items that are of each kind, smoothed
    items    number of real items
    """

    centres: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]
    items: int


def kinds_of(real: Tensor, seed: int = 0) -> Kinds:
    """Four ways of telling twenty kinds of real items (N, d) apart, fewer kinds where the items are few."""
    generator, k = torch.Generator().manual_seed(seed), min(KINDS, max(2, len(real) // EACH))
    centres = tuple(kmeans(real, k, generator) for _ in range(WAYS))
    counts = [torch.bincount(kinds(real, one), minlength=k).double() for one in centres]
    return Kinds(centres, tuple((one + 0.5) / (len(real) + k / 2) for one in counts), len(real))


def missing(made: Tensor, real: Tensor | Kinds, *, seed: int = 0) -> Estimate:
    """Which share of the real items is of kinds that the samples lack: 0 on average for equal laws, at most 1.

        m = X / (1 + X),   X = sum_c (p_c - q_c)^2 / p_c - (K - 1) (1/M + 1/N)

    made      (M, d)
    real      (N, d), or the `Kinds` that they have
    p_c, q_c  shares of kind c of K among real and made items

    X is Pearson's divergence less what two sets of one law have on average; its mean over four ways of telling kinds
    apart is taken. Where kinds of share m are missing and the others as frequent among themselves as they should be,
    X = m / (1 - m); kinds that are merely rarer count in part. It sees a missing kind long before coverage does
    (counting kinds as Richardson & Weiss 2018 do; the rest is ours). The interval is a jackknife over made items in 20
    groups, with the kinds held fixed.
    """
    if reason := unusable(made, real if isinstance(real, Tensor) else made, FEWEST):
        return Estimate(reason=reason)
    known = kinds_of(real, seed) if isinstance(real, Tensor) else real
    own = [kinds(made, centres) for centres in known.centres]
    part = interval.groups(len(made), seed)
    without = torch.stack([_lacking([one[part != group] for one in own], known) for group in range(interval.GROUPS)])
    error = interval.T * interval.jackknife(without) ** 0.5
    return interval.around(float(_lacking(own, known)), error, high=1)


def _lacking(own: Sequence[Tensor], known: Kinds) -> Tensor:
    """m for made items of the given kinds, (n,) by each way of telling them apart."""
    found = []
    for kind, shares in zip(own, known.shares, strict=True):
        seen = torch.bincount(kind, minlength=len(shares)).double() / len(kind)
        chance = (len(shares) - 1) * (1 / len(kind) + 1 / known.items)
        found.append(((seen - shares).square() / shares).sum() - chance)
    return 1 - 1 / (1 + torch.stack(found).mean().clamp_min(-0.5))
