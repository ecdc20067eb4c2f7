"""Known damage to real items: noise, blur, a kind left out, junk mixed in, copies of training items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.anchors import trivial
from morelike.measure.features import Features
from morelike.measure.kinds import kinds, kmeans

NOISE = 0.2  # standard deviations of all numbers; share of the tokens
JUNK, COPIED = 0.1, 0.1  # share of the items
MODES = 10  # kinds of items, of which one is left out


@dataclass(frozen=True)
class Bag:
    """Some items as features (n, d), and which of them are copies of known items, (n,), where that was looked for."""

    seen: Tensor
    copied: Tensor | None = None

    def __len__(self) -> int:
        return len(self.seen)

    def __getitem__(self, rows: Tensor | slice) -> Bag:
        return Bag(self.seen[rows], None if self.copied is None else self.copied[rows])

    def with_some(self, other: Bag, share: float) -> Bag:
        """The same number of items, the given share of them the first ones of another bag."""
        n = round(share * len(self))
        neither = self.copied is None or other.copied is None
        copied = None if neither else torch.cat([other.copied[:n], self.copied[n:]])  # type: ignore[index]
        return Bag(torch.cat([other.seen[:n], self.seen[n:]]), copied)


@dataclass(frozen=True)
class Known:
    """One sort of damage: its name, how much of it in words, the measure meant to notice it, and the doing of it.

    damaged  subjects (n,) and a generator -> a bag of as many damaged items
    """

    kind: str
    amount: str
    meant: str
    damaged: Callable[[Tensor, torch.Generator], Bag]


def damages(
    x: Tensor, whole: Bag, originals: Bag, features: Features, spec: Spec, generator: torch.Generator
) -> list[Known]:
    """The damage that can be done to items of this kind; blurring needs real numbers side by side.

    x          (n, *shape) items to damage; whole: the same as they are
    originals  items that stand for training items, to copy from
    """
    noisy = Bag(features(noise(x, spec, generator)))
    chance = int(torch.randint(2**31, (1,), generator=generator))
    junk = Bag(features(trivial(x, None, torch.zeros(len(x), dtype=torch.long), chance, spec.end)))
    left = (~mode(whole.seen, generator)).nonzero()[:, 0]
    words = "a fifth of the tokens drawn at random" if spec.tokens else "a fifth of their spread added to all numbers"

    def without(rows: Tensor, g: torch.Generator) -> Bag:
        return whole[left[torch.randperm(len(left), generator=g)[: len(rows)]]]

    def copying(rows: Tensor, g: torch.Generator) -> Bag:
        return whole[rows].with_some(originals[torch.randint(len(originals), (len(rows),), generator=g)], COPIED)

    sorts = [
        Known("noise", words, "frechet", lambda rows, g: noisy[rows]),
        Known("dropped modes", f"one of {MODES} kinds of items left out", "missing", without),
        Known("junk", "one item in 10 made of independent numbers", "density",
              lambda rows, g: whole[rows].with_some(junk[rows], JUNK)),
        Known("copies", "one item in 10 is a training item", "copy_rate", copying),
    ]  # fmt: skip
    if spec.tokens is None and spec.dims:
        smooth = Bag(features(blur(x, spec.dims)))
        words = "each number averaged with its neighbours"
        sorts.insert(1, Known("blur", words, "frechet", lambda rows, g: smooth[rows]))
    return sorts


def noise(x: Tensor, spec: Spec, generator: torch.Generator) -> Tensor:
    """x + 0.2 s e, e ~ N(0, 1), s the standard deviation of all numbers, cut to the range of x; tokens drawn anew.

    In sequences of varying length a token is drawn from all that there are, and ends stay where they are.
    """
    if spec.end is not None:
        there = x != spec.end
        other = x[there][torch.randint(max(1, int(there.sum())), x.shape, generator=generator)] if there.any() else x
        return torch.where((torch.rand(x.shape, generator=generator) < NOISE) & there, other, x)
    if spec.tokens is not None or not x.is_floating_point():
        other = torch.randint(spec.tokens or int(x.max()) + 1, x.shape, generator=generator).to(x.dtype)
        return torch.where(torch.rand(x.shape, generator=generator) < NOISE, other, x)
    return (x + NOISE * x.std() * torch.randn(x.shape, generator=generator)).clamp(x.min(), x.max())


def blur(x: Tensor, dims: int) -> Tensor:
    """Each number averaged with those around it, three along every axis: (B, C, *space) as x, of rank 1, 2 or 3."""
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]
    return pool(x, 3, stride=1, padding=1, count_include_pad=False)


def mode(x: Tensor, generator: torch.Generator) -> Tensor:
    """Which rows of x (n, d) belong to the one of ten clusters whose size is nearest to a tenth of all: (n,) bool."""
    centres = kmeans(x, MODES, generator)
    cluster = kinds(x, centres)
    size = torch.bincount(cluster, minlength=MODES)
    return cluster == int((size - len(x) / MODES).abs().argmin())
