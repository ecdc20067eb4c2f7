"""Copy rates as figures: of all samples, by class, by density; each beside what new real items get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure.copies import LIMIT, Judged, Rule
from morelike.measure.figure import Figure
from morelike.measure.interval import wilson

TITLES = {"copy_rate": "Copies", "exact_rate": "Exact copies"}
TENTHS = 10  # parts of equal size by density


@dataclass(frozen=True)
class Scene:
    """What is known of the copies in all sets.

    rule    what decided it
    judged  made, copies (of the copy machine), trivial, held, and fresh: the items that calibrated the rule
    labels  int64 classes of made, train and held items; None without
    times   (M,) how often each training item occurs
    left    made items that were left out because they are not finite
    """

    rule: Rule
    judged: Mapping[str, Judged]
    labels: Mapping[str, Tensor | None]
    times: Tensor
    left: int = 0


def rate(scene: Scene, name: str) -> Figure:
    """The share of copies, all of them ("copy_rate") or the exact ones ("exact_rate"), with Wilson's interval."""
    if name == "copy_rate" and scene.rule.limit is None:
        return Figure(name, TITLES[name], reason=scene.rule.why)
    hits = {key: one.copy if name == "copy_rate" else one.exact for key, one in scene.judged.items()}
    made, floor = hits["made"], _floor(scene, hits["fresh"])
    low, high = wilson(int(made.sum()), len(made))
    return Figure(
        name, TITLES[name], "lower", _share(made), low, high, floor, _share(hits["copies"]), _share(hits["trivial"]),
        says=_said(scene, name, made, floor),
    )  # fmt: skip


def by_class(scene: Scene, names: tuple[str, ...]) -> list[Figure]:
    """Copies by class: the one asked for, or where nothing was asked for that of the nearest training item."""
    known, asked = scene.labels["train"], scene.labels["made"]
    if known is None:
        return []
    of = {name: known[judged.train] for name, judged in scene.judged.items()}
    if asked is not None:
        of["made"], of["trivial"] = asked, asked[: len(of["trivial"])]
        own = scene.labels["held"] if scene.rule.own is None else known[scene.rule.own]
        of["fresh"] = own if own is not None else of["fresh"]
    labels = [int(one) for one in of["made"].unique() if one >= 0]
    if len(labels) < 2:
        return []
    named = {label: names[label] if label < len(names) else str(label) for label in labels}
    return [_part(scene, {name: one == label for name, one in of.items()}, title) for label, title in named.items()]


def by_density(scene: Scene) -> list[Figure]:
    """Copies by how densely training items lie around the one that a sample is nearest to, in tenths of those."""
    if min(len(scene.times), len(scene.judged["made"].train)) < TENTHS * TENTHS:
        return []
    around = scene.rule.features.around
    tenth = torch.empty(len(around), dtype=torch.long)
    tenth[around.argsort(stable=True)] = torch.arange(len(around)) * TENTHS // len(around)
    names = [f"{i + 1} of {TENTHS} by density" for i in range(TENTHS)]
    names[0], names[-1] = f"{names[0]} (densest)", f"{names[-1]} (sparsest)"
    of = {name: tenth[judged.train] for name, judged in scene.judged.items()}
    return [_part(scene, {name: one == i for name, one in of.items()}, title) for i, title in enumerate(names)]


def words(rule: Rule, tokens: bool) -> str:
    """How near "near" is."""
    exact = "An exact copy differs from a training item by at most half a grey level anywhere."
    if tokens:
        exact = "An exact copy is equal to a training item."
    if rule.limit is None:
        return f"{exact} Near copies cannot be told: {rule.why}."
    by = f"{len(rule.fresh.score):,} held-out items"
    if rule.own is not None:
        by = f"{len(rule.own):,} training items, each against all the others, for want of held-out ones"
    moved = ", perhaps shifted or mirrored," if rule.spectrum is not None else ""
    strict = "" if rule.limit >= LIMIT else f" (here {rule.limit:.3f}, as real items are so much alike)"
    return (
        f"{exact} A near copy{moved} is less than {LIMIT:g} times as far from a training item as real items that were "
        f"not trained on usually are{strict}; features that agree make up for part of it. Calibrated by {by}."
    )


def _floor(scene: Scene, fresh: Tensor) -> float | None:
    """What new real items would get: those that were not trained on, and items that occur more than once.

    Equal items are on the same side of the split, so held-out ones alone would hide how often an item recurs.
    """
    share, twins = _share(fresh), _share(scene.times > 1) or 0.0
    return share if share is None or scene.rule.own is not None else twins + (1 - twins) * share


def _said(scene: Scene, name: str, hits: Tensor, floor: float | None) -> str:
    what = "are copies of training items" if name == "copy_rate" else "are equal to a training item"
    says = f"{_per_hundred(_share(hits))} samples {what}"
    says += "." if floor is None else f"; of new real items, {_per_hundred(floor)} would be called so."
    often = int((scene.times[scene.judged["made"].train[hits]] > 1).sum())
    if often:
        says += f" {often:,} of these {int(hits.sum()):,} are copies of items that occur several times."
    if scene.left and name == "copy_rate":
        says += f" {scene.left:,} samples that are not finite were left out."
    return says


def _part(scene: Scene, rows: Mapping[str, Tensor], label: str) -> Figure:
    """The copy rate of one part of the samples."""
    title = TITLES["copy_rate"]
    if scene.rule.limit is None:
        return Figure("copy_rate", title, reason=scene.rule.why, label=label)
    hits = {key: scene.judged[key].copy[inside] for key, inside in rows.items()}
    made = hits["made"]
    if not len(made):
        return Figure("copy_rate", title, reason="no sample belongs here", label=label)
    low, high = wilson(int(made.sum()), len(made))
    floor, copies, alone = (_share(hits[key]) for key in ("fresh", "copies", "trivial"))
    return Figure("copy_rate", title, "lower", _share(made), low, high, floor, copies, alone, label=label)


def _share(hits: Tensor) -> float | None:
    return float(hits.double().mean()) if len(hits) else None


def _per_hundred(share: float | None) -> str:
    """A share in words: "99.1 of 100", "0.25 of 100"."""
    many = 100 * (share or 0.0)
    return f"{many:.{3 if many >= 10 else 2}g} of 100"
