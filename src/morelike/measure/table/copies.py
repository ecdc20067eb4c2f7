"""Made rows that stand in the training set, and how near others are to it. It finds copies; it proves no privacy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from morelike.measure.figure import Estimate, Figure, Neighbours, Novelty
from morelike.measure.generalisation import copying_test, distance_ratio
from morelike.measure.interval import wilson
from morelike.measure.nearest import nearest
from morelike.measure.novelty import LEANINGS, RANDOM, SUSPECTS
from morelike.measure.table.sheet import Column
from morelike.measure.table.support import spread

CLOSE = 0.005  # of the ranks between which two numbers may lie that count as the same in a near copy
SOUGHT, KNOWN, ANCHORS = 4_000, 50_000, 1_000  # rows whose nearest is looked for, among so many; of the anchors
RULE = (
    "An exact copy is equal to a training row in every column that is compared. A near copy has the same categories, "
    "and no number with more than 0.5 of 100 real rows between. Real rows stand for what a perfect model would get: "
    "each training row against all others, since a row that occurs twice is a copy by nature. Distances count every "
    "column alike: a number by its rank, a category by whether it is the same. They find copies, and say nothing about "
    "whether a person can be recognised."
)


@dataclass(frozen=True)
class Near:
    """Of some rows, the nearest training row of each: its index, its distance, and whether it is a copy, (n,) each."""

    train: Tensor
    distance: Tensor
    exact: Tensor
    near: Tensor


class Known:
    """Training rows (M, C), M >= 2, to look for copies in; of many, a random part of `KNOWN` for near ones."""

    def __init__(self, train: Tensor, columns: Sequence[Column], seed: int = 0) -> None:
        self.points, self.numeric = spread(train, columns), torch.tensor([one.numeric for one in columns])
        self.some = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:KNOWN].sort().values
        self.train, self.seen = train, self.points(train[self.some])
        self.ranks = _ranks(train, train)
        self.first = {key: row for row, key in reversed(list(enumerate(_keys(train))))}

    def near(self, x: Tensor) -> Near:
        """For rows that are no training rows."""
        distance, place = nearest(self.points(x), self.seen)
        return self._judged(x, self.some[place[:, 0]], distance[:, 0])

    def among(self, rows: Tensor) -> Near:
        """For some places of `some`, each against all other training rows."""
        x = self.train[self.some[rows]]
        distance, place = nearest(self.seen[rows], self.seen, 2)
        other = (place[:, 0] == rows).long()
        found = [one.gather(1, other[:, None])[:, 0] for one in (distance, place)]
        return self._judged(x, self.some[found[1]], found[0], own=self.some[rows])

    def _judged(self, x: Tensor, train: Tensor, distance: Tensor, own: Tensor | None = None) -> Near:
        gap = (_ranks(x, self.train) - self.ranks[train]).abs()
        alike = (x == self.train[train]) | (torch.isnan(x) & torch.isnan(self.train[train]))
        if own is None:
            twin = torch.tensor([self.first.get(key, -1) for key in _keys(x)], dtype=torch.long)
        else:
            twin = torch.where(alike.all(1), train, -1)
        exact = twin >= 0
        close = torch.where(self.numeric, (gap <= CLOSE) & (torch.isnan(x) == torch.isnan(self.train[train])), alike)
        return Near(torch.where(exact, twin, train), torch.where(exact, 0.0, distance), exact, close.all(1) & ~exact)


def row_novelty(sets: Mapping[str, Tensor], columns: Sequence[Column], seed: int = 0) -> Novelty:
    """Copies among made rows, and whether these lie nearer to training rows than to others.

    sets  coded rows by kind: made, train, held (which may be empty) and trivial, (N, C) each

    Figures: copy_rate (exact and near), exact_rate, distance_ratio and copying_test, beside real rows, a copy machine
    and independent columns. The nearest rows are of `SOUGHT` samples, the most suspicious first.
    """
    made, train, held = sets["made"][:SOUGHT], sets["train"], sets["held"]
    if len(made) < 1 or len(train) < 2:
        why = "there are too few rows to compare"
        return Novelty((Figure("copy_rate", "Copies", reason=why),), Neighbours((), (), (), (), ()), "")
    known = Known(train, columns, seed)
    draw = torch.Generator().manual_seed(seed)
    own = torch.randperm(len(known.some), generator=draw)[:SOUGHT]
    judged = {
        "made": known.near(made), "real": known.among(own),
        "copies": known.near(train[torch.randint(len(train), (ANCHORS,), generator=draw)]),
        "trivial": known.near(sets["trivial"][:ANCHORS]),
    }  # fmt: skip
    figures = [rate("copy_rate", judged), rate("exact_rate", judged), *leanings(sets, judged, known, seed)]

    def far(shown: Tensor) -> Tensor:
        return nearest(known.points(made[shown]), known.points(held))[0][:, 0]

    shown = neighbours(judged["made"], torch.arange(len(train)), far if len(held) else None, seed)
    return Novelty(tuple(figures), shown, RULE)


def rate(name: str, judged: Mapping[str, Near], item: str = "row") -> Figure:
    """The share of copies, all of them ("copy_rate") or the exact ones ("exact_rate"), with Wilson's interval."""
    exact = name == "exact_rate"
    hits = {key: one.exact if exact else one.exact | one.near for key, one in judged.items()}
    made, floor, copies, alone = (float(hits[key].double().mean()) for key in ("made", "real", "copies", "trivial"))
    low, high = wilson(int(hits["made"].sum()), len(hits["made"]))
    what, like = ("equal to", "equal") if exact else ("copies of", "equal or as near")
    says = (f"{_hundred(made)} samples are {what} a training {item}; of real {item}s, {_hundred(floor)} are {like} to "
            "another one.")  # fmt: skip
    return Figure(
        name, "Exact copies" if exact else "Copies", "lower", made, low, high, floor, copies, alone, says=says
    )


def leanings(sets: Mapping[str, Tensor], judged: Mapping[str, Near], known: Known, seed: int) -> list[Figure]:
    """The measures that call no single row a copy: distances to training rows beside those to held-out ones."""
    draw = torch.Generator().manual_seed(seed)
    copies = sets["train"][torch.randint(len(sets["train"]), (ANCHORS,), generator=draw)]
    held = known.points(sets["held"])
    half = len(held) // 2
    of = {"value": (known.points(sets["made"][:SOUGHT]), held), "floor": (held[:half], held[half:]),
          "copies": (known.points(copies), held),
          "trivial": (known.points(sets["trivial"][:ANCHORS]), held)}  # fmt: skip
    ratio = {name: distance_ratio(one, known.seen, other, seed=seed) for name, (one, other) in of.items()}
    real = judged["real"].distance
    test = {name: copying_test(judged[key].distance, real)
            for name, key in (("value", "made"), ("copies", "copies"), ("trivial", "trivial"))}  # fmt: skip
    test["floor"] = copying_test(*real.tensor_split(2))
    return [leaning("distance_ratio", ratio), leaning("copying_test", test)]


def leaning(name: str, found: Mapping[str, Estimate]) -> Figure:
    """A measure that calls no single item a copy, by what it was measured on."""
    title, ideal, says = LEANINGS[name]
    value, floor, copies, alone = (found[key] for key in ("value", "floor", "copies", "trivial"))
    if value.value is None:
        return Figure(name, title, "even", ideal=ideal, reason=value.reason)
    return Figure(name, title, "even", value.value, value.low, value.high, floor.value, copies.value, alone.value,
                  ideal, says.format(f"{value.value:.2f}"))  # fmt: skip


def neighbours(found: Near, train: Tensor, far: Callable[[Tensor], Tensor] | None, seed: int) -> Neighbours:
    """The made items that are most like a training item, and some at random.

    train  (M,) the numbers by which the training items are known
    far    some of the made items (n,) -> their distances to the nearest held-out one (n,); None without any
    """
    score = torch.where(found.exact, -2.0, torch.where(found.near, -1.0, 0.0)) + found.distance / 1e3
    suspects = score.argsort(stable=True)[:SUSPECTS]
    order = torch.randperm(len(found.distance), generator=torch.Generator().manual_seed(seed))
    shown = torch.cat([suspects, order[~torch.isin(order, suspects)][:RANDOM]])
    near, ratio = found.distance[shown].tolist(), list[float | None]([None] * len(shown))
    if far is not None:
        ratio = [one / other if other > 0 else None for one, other in zip(near, far(shown).tolist(), strict=True)]
    flags = zip(found.exact[shown].tolist(), found.near[shown].tolist(), strict=True)
    return Neighbours(tuple(shown.tolist()), tuple(train[found.train[shown]].tolist()), tuple(near), tuple(ratio),
                      tuple("exact" if exact else "near" if close else "" for exact, close in flags))  # fmt: skip


def _keys(x: Tensor) -> list[bytes]:
    """Rows as bytes that are equal when the rows are, missing values and all."""
    whole = np.ascontiguousarray(x.nan_to_num(np.inf).numpy()) + 0.0  # -0 is 0
    return [row.tobytes() for row in whole]


def _ranks(x: Tensor, train: Tensor) -> Tensor:
    """Middle ranks of each column among the training rows as shares, (N, C); 0 where a value is missing."""
    found = torch.zeros_like(x)
    for at in range(x.shape[1]):
        known = train[:, at][~torch.isnan(train[:, at])].sort().values
        values = x[:, at].contiguous()
        both = torch.searchsorted(known, values) + torch.searchsorted(known, values, right=True)
        found[:, at] = torch.where(torch.isnan(values), 0.0, both / (2 * max(len(known), 1)))
    return found


def _hundred(share: float) -> str:
    return f"{100 * share:.{3 if share >= 0.1 else 2}g} of 100"
