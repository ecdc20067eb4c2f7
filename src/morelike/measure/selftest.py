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
from torch import Tensor

from morelike.measure.anchors import checked
from morelike.measure.copies import Items, Rule
from morelike.measure.coverage import Balls, balls_of, clipped
from morelike.measure.damage import Bag, Known, damages
from morelike.measure.distances import frechet, kernel_distance, sliced_wasserstein
from morelike.measure.features import Features
from morelike.measure.figure import Damage, Estimate, Evidence
from morelike.measure.kinds import Kinds, kinds_of, missing
from morelike.measure.panel import SCALES
from morelike.measure.twosample import two_sample

REPEATS, SIZE, LEAST = 10, 800, 25  # sets of each kind, items in a set, and the fewest that are worth a try
SLOW = 4  # sets of each kind for the two-sample test, which trains two nets each time
SURE = 0.95  # area under the curve from which a damage counts as noticed
_POOL, _ORIGINALS = 6_000, 200


@dataclass(frozen=True)
class Yard:
    """What sets are held against: the real items' features (R, d), with the balls around them and their kinds."""

    seen: Tensor
    balls: Balls
    kinds: Kinds


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
        bags = [whole[rows], *(one.damaged(rows, generator) for one in sorts)]
        for bag, kept in zip(bags, [good, *bad], strict=True):
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
