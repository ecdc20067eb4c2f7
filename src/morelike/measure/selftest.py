"""Do the measures notice known damage on this user's data?

Real items are drawn again and again, some of them are damaged, and every measure is asked which sets are which. A
measure that cannot see noise in these data says nothing by being silent about a model. Three parts that share no item:

    subjects  real items that are damaged, or left as they are
    real      those that both are compared with
    known     those that stand for a training set; copies are taken from them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.anchors import checked, trivial
from morelike.measure.copies import Items, Rule
from morelike.measure.coverage import Balls, balls_of, clipped
from morelike.measure.distances import frechet, kernel_distance, sliced_wasserstein
from morelike.measure.features import Features
from morelike.measure.figure import Damage, Estimate, Evidence
from morelike.measure.kinds import Kinds, kinds, kinds_of, kmeans, missing
from morelike.measure.panel import SCALES
from morelike.measure.twosample import two_sample

REPEATS, SIZE, LEAST = 10, 800, 25  # sets of each kind, items in a set, and the fewest that are worth a try
SLOW = 4  # sets of each kind for the two-sample test, which trains two nets each time
SURE = 0.95  # area under the curve from which a damage counts as noticed
NOISE, JUNK, COPIED, MODES = 0.2, 0.1, 0.1, 10
_POOL, _ORIGINALS = 6_000, 200


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
class Yard:
    """What sets are held against: the real items' features (R, d), with the balls around them and their kinds."""

    seen: Tensor
    balls: Balls
    kinds: Kinds


@dataclass(frozen=True)
class Known:
    """One sort of damage: its name, how much of it in words, the measure meant to notice it, and the doing of it.

    damaged  subjects (n,) and a generator -> a bag of as many damaged items
    """

    kind: str
    amount: str
    meant: str
    damaged: Callable[[Tensor, torch.Generator], Bag]


def try_damage(evidence: Evidence, features: Features, *, seed: int = 0,
               tell: Callable[[float], None] = lambda share: None) -> list[Damage]:  # fmt: skip
    """How surely each measure tells damaged from undamaged sets of real items, by damage; empty for too few items.

    evidence  of which only the real items are used, training and held-out ones alike
    features  what the measures look through
    tell      called with the share that is done

    There are ten sets of each kind with n <= 800 items, and one real set that all are compared with. The area under the
    ROC curve is the share of pairs in which the damaged set has the worse value, ties counting half (Hanley & McNeil
    1982): 0.5 is chance, and below it a measure takes the damaged set for the better one.
    """
    generator = torch.Generator().manual_seed(seed)
    subjects, real, known = divide(evidence, features, generator)
    n = min(SIZE, int(0.75 * min(len(subjects), len(real))))
    if n < LEAST:
        return []
    rule = Rule(known, real, evidence.spec, seed)
    whole = Bag(subjects.seen, rule.judge(subjects).copy)
    originals = Bag(known.seen[:_ORIGINALS], rule.judge(known[:_ORIGINALS]).copy)
    sorts = damages(subjects.x, whole, originals, features, evidence.spec, generator)
    yard = Yard(real.seen, balls_of(real.seen), kinds_of(real.seen, seed))
    good: dict[str, list[float]] = {}
    bad: list[dict[str, list[float]]] = [{} for _ in sorts]
    for repeat in range(REPEATS):
        rows = torch.randperm(len(whole), generator=generator)[:n]
        for bag, kept in [
            (whole[rows], good),
            *((one.damaged(rows, generator), bad[i]) for i, one in enumerate(sorts)),
        ]:
            for name, value in values(bag, yard, seed + repeat, repeat < SLOW).items():
                kept.setdefault(name, []).append(value)
        tell((repeat + 1) / REPEATS)
    return [_judged(one, kept, good) for one, kept in zip(sorts, bad, strict=True)]


def divide(evidence: Evidence, features: Features, generator: torch.Generator) -> tuple[Items, Items, Items]:
    """Subjects, real and known items: at most 6,000 of all, of which as many are known as are needed for copies."""
    train, held = evidence.train, evidence.held
    seen = torch.cat([features(one) if len(one) else torch.empty(0, features.width) for one in (train, held)])
    rows = torch.randperm(len(train) + len(held), generator=generator)[:_POOL]
    parts = []
    known = min(len(rows) // 3, max(_ORIGINALS, len(rows) // 4))
    for part in [*rows[known:].tensor_split(2), rows[:known]]:
        mine = part.sort().values
        first = int((mine < len(train)).sum())
        parts.append(Items(torch.cat([train[mine[:first]], held[mine[first:] - len(train)]]), seen[mine]))
    return parts[0], parts[1], parts[2]


def damages(
    x: Tensor, whole: Bag, originals: Bag, features: Features, spec: Spec, generator: torch.Generator
) -> list[Known]:
    """The damage that can be done to items (n, *shape) of this kind; blurring needs real numbers side by side."""
    noisy = Bag(features(noise(x, spec, generator)))
    alone = trivial(
        x, None, torch.zeros(len(x), dtype=torch.long), int(torch.randint(2**31, (1,), generator=generator))
    )
    junk, dropped = Bag(features(alone)), mode(whole.seen, generator)
    words = "a fifth of the tokens drawn at random" if spec.tokens else "a fifth of their spread added to all numbers"

    left = (~dropped).nonzero()[:, 0]

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
        sorts.insert(
            1, Known("blur", "each number averaged with its neighbours", "frechet", lambda rows, g: smooth[rows])
        )
    return sorts


def values(bag: Bag, yard: Yard, seed: int, slow: bool = True) -> dict[str, float]:
    """Every measure on one set of items, by name; those that cannot be taken, or take too long, are left out."""
    density, coverage = clipped(bag.seen, yard.balls)
    found = {
        "frechet": Estimate(frechet(bag.seen, yard.seen)),
        "kernel_distance": kernel_distance(bag.seen, yard.seen, seed=seed),
        "sliced_wasserstein": Estimate(sliced_wasserstein(bag.seen, yard.seen, seed=seed)),
        "density": density, "coverage": coverage, "missing": missing(bag.seen, yard.kinds),
    }  # fmt: skip
    if slow:
        found["two_sample"] = two_sample(bag.seen, yard.seen, seed=seed)
    if bag.copied is not None:
        found["copy_rate"] = Estimate(float(bag.copied.double().mean()))
    measured = {name: checked(estimate).value for name, estimate in found.items()}
    return {name: value for name, value in measured.items() if value is not None}


def noise(x: Tensor, spec: Spec, generator: torch.Generator) -> Tensor:
    """x + 0.2 s e, e ~ N(0, 1), s the standard deviation of all numbers, cut to the range of x; tokens drawn anew."""
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


def curve(damaged: Sequence[float], whole: Sequence[float]) -> float:
    """Area under the ROC curve: the share of pairs in which the damaged one is larger, ties counting half."""
    wins = [(a > b) + 0.5 * (a == b) for a in damaged for b in whole]
    return sum(wins) / len(wins)


def _judged(known: Known, damaged: Mapping[str, list[float]], whole: Mapping[str, list[float]]) -> Damage:
    """Areas under the curve, with the sign by which each measure calls a set worse."""
    signs = {name: -1 if name in SCALES and SCALES[name].better == "higher" else 1 for name in whole}
    areas = {
        name: round(curve([signs[name] * v for v in damaged[name]], [signs[name] * v for v in whole[name]]), 4)
        for name in whole
        if damaged.get(name)
    }
    return Damage(known.kind, known.amount, known.meant, areas, tuple(n for n, area in areas.items() if area >= SURE))
