"""How new samples are: copies of training items, and whether samples lie nearer to those than to held-out items."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from morelike.measure.anchors import trivial
from morelike.measure.copies import FEW, Items, Judged, Rule
from morelike.measure.features import Features
from morelike.measure.figure import Estimate, Evidence, Figure, Neighbours, Novelty
from morelike.measure.generalisation import CENTRES, copying_test, distance_ratio, likelihood_gap
from morelike.measure.nearest import nearest
from morelike.measure.rates import TITLES, Scene, by_class, by_density, rate, words

SUSPECTS, RANDOM = 24, 24  # samples that are shown beside their nearest training items
ANCHORS = 1_000  # items of the copy machine and of the trivial model
HELD_OUT = "held out"  # in `Evidence.against`

LEANINGS = {
    "distance_ratio": (
        "Distance to training items over others", 1.0, "Samples are {} times as far from training items as from others."
    ),
    "generalisation_gap": (
        "Generalisation gap", 0.0, "Going by the samples, new real items are {} nats per feature less likely than "
        "those that were trained on."
    ),
    "copying_test": (
        "Data-copying test", 0.5, "In a share of {} of all pairs, a sample is farther from the training items than a "
        "new real item is; copies pull that below one half."
    ),
}  # fmt: skip  # name: title, ideal, words


def novelty(
    evidence: Evidence, features: Features, *, seed: int = 0, duplicates: Mapping[int, int] | None = None
) -> Novelty:
    """Copies among made items, exact and near, by class and by density; and how made items lie between real ones.

    features    what distances are measured in, beside the items themselves
    duplicates  row in the source -> how many items are in the group of duplicates that an audit found it in

    Figures: copy_rate and exact_rate (shares), distance_ratio, generalisation_gap, copying_test; copy_rate again with a
    label for each class and for each tenth of the training items by density. Items that are not finite are left out and
    counted. What cannot be measured is a figure with a reason. The rules are those of `morelike.measure.copies` and
    `morelike.measure.generalisation`. The same seed gives the same numbers.
    """
    sets, rows = {}, {}
    for name in ("made", "train", "held"):
        sets[name], rows[name] = _finite(getattr(evidence, name), features)
    if not len(sets["made"]) or not len(sets["train"]):
        return _nothing("samples" if not len(sets["made"]) else "training items")
    labels = {name: _at(getattr(evidence, f"{name}_labels"), rows[name]) for name in sets}
    fresh = sets["held"] if evidence.against == HELD_OUT else sets["held"][:0]
    rule = Rule(sets["train"], fresh, evidence.spec, seed)
    sets |= _anchors(sets, labels, features, (seed, evidence.spec.end))
    judged = {name: rule.judge(sets[name]) for name in ("made", "copies", "trivial")} | {"fresh": rule.fresh}
    judged["held"] = rule.fresh if len(fresh) >= FEW else rule.judge(sets["held"])
    times = _times(evidence, rows["train"], duplicates or {})
    scene = Scene(rule, judged, labels, times, len(evidence.made) - len(rows["made"]))
    figures = [rate(scene, "copy_rate"), rate(scene, "exact_rate"), *_leanings(sets, judged, seed)]
    parts = [*by_class(scene, evidence.classes), *by_density(scene)]
    found = _neighbours(sets, judged["made"], rows, seed)
    return Novelty((*figures, *parts), found, words(rule, evidence.spec.tokens is not None))


def _finite(x: Tensor, features: Features) -> tuple[Items, Tensor]:
    """Items that are finite and have finite features, and their rows."""
    seen = plain(features, x) if len(x) else torch.empty(0, features.width)
    good = seen.isfinite().all(1)
    if x.is_floating_point() and len(x):
        good &= torch.cat([part.flatten(1).isfinite().all(1) for part in x.split(1024)])
    rows = good.nonzero()[:, 0]
    return (Items(x, seen) if len(rows) == len(x) else Items(x[rows], seen[rows])), rows


def plain(features: Features, x: Tensor) -> Tensor:
    """Those features that see no difference between training items and new ones as such, (n, *shape) -> (n, d)."""
    return features(x)[:, : getattr(features, "alike", features.width)].float()


def _at(labels: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if labels is None else labels[rows]


def _nothing(what: str) -> Novelty:
    """All figures, with the reason why there are none."""
    why, titles = f"there are no {what} that are finite", TITLES | {name: one[0] for name, one in LEANINGS.items()}
    figures = tuple(Figure(name, title, reason=why) for name, title in titles.items())
    return Novelty(figures, Neighbours((), (), (), (), ()), "")


def _anchors(
    sets: Mapping[str, Items], labels: Mapping[str, Tensor | None], features: Features, how: tuple[int, int | None]
) -> dict[str, Items]:
    """The copy machine's items and the trivial model's, of the classes that were asked for."""
    train, n = sets["train"], min(ANCHORS, len(sets["made"]))
    drawn = torch.randint(len(train), (n,), generator=torch.Generator().manual_seed(how[0]))
    asked, known = labels["made"], labels["train"]
    if asked is None or known is None:
        asked, known = torch.zeros(n, dtype=torch.long), None
    alone = trivial(train.x, known, asked[:n], *how)
    return {"copies": train[drawn], "trivial": Items(alone, plain(features, alone))}


def _times(evidence: Evidence, kept: Tensor, duplicates: Mapping[int, int]) -> Tensor:
    """How often each training item occurs, by what an audit found or by its own content, (M,)."""
    rows = (evidence.train[row].contiguous().numpy().tobytes() for row in kept.tolist())
    keys = [hashlib.blake2b(row, digest_size=8).digest() for row in rows]
    count, source = Counter(keys), evidence.train_rows[kept] if len(evidence.train_rows) else kept
    pairs = zip(keys, source.tolist(), strict=True)
    return torch.tensor([max(count[key], duplicates.get(row, 1)) for key, row in pairs])


def _leanings(sets: Mapping[str, Items], judged: Mapping[str, Judged], seed: int) -> list[Figure]:
    """The measures that call no single sample a copy; real items are cut into halves for what a perfect model gets."""
    half, drawn = len(sets["held"]) // 2, torch.Generator().manual_seed(seed)
    rows = torch.randint(len(sets["train"]), (min(len(sets["made"]), CENTRES),), generator=drawn)
    seen = {name: one.seen for name, one in sets.items()} | {"copies": sets["train"].seen[rows]}
    found: dict[str, dict[str, Estimate]] = {name: {} for name in LEANINGS}
    for name, of in {"value": "made", "floor": "held", "copies": "copies", "trivial": "trivial"}.items():
        mine = slice(0, half) if name == "floor" else slice(None)
        other = slice(half, None) if name == "floor" else slice(None)
        made, train, held = seen[of][mine], seen["train"], seen["held"][other]
        found["distance_ratio"][name] = distance_ratio(made, train, held, seed=seed)
        found["generalisation_gap"][name] = likelihood_gap(made, train, held, seed=seed)
        found["copying_test"][name] = copying_test(judged[of].closest[mine], judged["held"].closest[other])
    return [_leaning(name, one) for name, one in found.items()]


def _leaning(name: str, found: Mapping[str, Estimate]) -> Figure:
    title, ideal, says = LEANINGS[name]
    value, floor, copies, alone = (found[key] for key in ("value", "floor", "copies", "trivial"))
    if value.value is None:
        return Figure(name, title, "even", ideal=ideal, reason=value.reason)
    return Figure(
        name, title, "even", value.value, value.low, value.high, floor.value, copies.value, alone.value, ideal,
        says.format(f"{round(value.value, 2) + 0.0:.2f}"),  # never -0.00
    )  # fmt: skip


def _neighbours(sets: Mapping[str, Items], made: Judged, rows: Mapping[str, Tensor], seed: int) -> Neighbours:
    """The samples that are most like a training item, and some at random."""
    suspects = torch.where(made.exact, -1.0, made.score).argsort(stable=True)[:SUSPECTS]
    order = torch.randperm(len(made.train), generator=torch.Generator().manual_seed(seed))
    shown = torch.cat([suspects, order[~torch.isin(order, suspects)][:RANDOM]])
    ratio: list[float | None] = [None] * len(shown)
    if len(sets["held"]):
        far = nearest(sets["made"].seen[shown], sets["held"].seen)[0][:, 0].tolist()
        ratio = [near / one if one > 0 else None for near, one in zip(made.distance[shown].tolist(), far, strict=True)]
    flags = zip(made.exact[shown].tolist(), made.near[shown].tolist(), strict=True)
    return Neighbours(
        tuple(rows["made"][shown].tolist()), tuple(rows["train"][made.train[shown]].tolist()),
        tuple(made.distance[shown].tolist()), tuple(ratio),
        tuple("exact" if exact else "near" if near else "" for exact, near in flags),
    )  # fmt: skip
