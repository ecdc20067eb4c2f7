"""Made windows that stand in the training set, and how near others are to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure.figure import Figure, Neighbours, Novelty
from morelike.measure.generalisation import copying_test, distance_ratio
from morelike.measure.novelty import LEANINGS
from morelike.measure.series.recurrent import scale
from morelike.measure.series.statistics import bridged
from morelike.measure.series.windows import Series, stacked, stride
from morelike.measure.table.copies import Near, leaning, neighbours, rate

SOUGHT, KNOWN, ANCHORS = 2_000, 20_000, 500  # windows whose nearest is looked for, among so many; of the anchors
NUMBERS = 2_000_000  # of the known windows, and in a table of distances
CLOSE, SAME = 0.25, 1e-4  # of the distance to the next training window; and in units of a column's range
RULE = (
    "An exact copy is a training window, but for 0.01 of 100 of the range of each column. A near copy is four times "
    "nearer to a training window than to any other that shares no step with that one. Real windows stand for what a "
    "perfect model would get: each training window against all others that share no step with it. Distances count "
    "every column alike, by its range."
)


@dataclass(frozen=True)
class Known:
    """Training windows as points (M, d), and how many before and after each share steps with it."""

    points: Tensor
    reach: int

    def near(self, x: Tensor, own: Tensor | None = None) -> Near:
        """The nearest training window to each point (N, d), and whether it is a copy.

        own  (N,) the rows of the points among the training windows, if they are such: these and what shares steps with
             them are no neighbours
        """
        found = [self._block(x[rows], None if own is None else own[rows])
                 for rows in torch.arange(len(x)).split(max(1, NUMBERS // max(len(self.points), 1)))]  # fmt: skip
        place, first, second, far = (torch.cat(one) for one in zip(*found, strict=True))
        exact = far <= SAME
        return Near(place, first, exact, (first < CLOSE * second) & ~exact)

    def _block(self, x: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        table, at = torch.cdist(x, self.points), torch.arange(len(self.points))
        if own is not None:
            table[(at[None] - own[:, None]).abs() <= self.reach] = torch.inf
        first, place = table.min(1)
        table[(at[None] - place[:, None]).abs() <= self.reach] = torch.inf
        return place, first, table.amin(1), (x - self.points[place]).abs().amax(1)


def window_novelty(series: Series, alone: Tensor, seed: int = 0) -> Novelty:
    """Copies among made windows, and whether these lie nearer to training windows than to others.

    alone  windows (N, T, C) of independent numbers

    Figures as of tables: copy_rate, exact_rate, distance_ratio, copying_test.
    """
    draw, width = torch.Generator().manual_seed(seed), len(series.columns)
    longest = max((len(one) for one in (*series.train, *series.held, *series.made)), default=0)
    most = max(4, min(KNOWN, NUMBERS // max(1, longest * width)))
    every = max(1, -(-len(series.train) // most))
    places = torch.arange(0, len(series.train), every)
    made = stacked(series.made[:SOUGHT], width, longest)
    train = stacked([series.train[at] for at in places.tolist()], width, longest)
    held = stacked(series.held[:most], width, longest)
    step = stride(stacked(series.train[: most // 2], width, longest))
    reach = 0 if step >= longest else (longest - 1) // step // every
    if len(made) < 1 or len(train) < 2 * reach + 3:
        why = "there are too few windows to compare"
        return Novelty((Figure("copy_rate", "Copies", reason=why),), Neighbours((), (), (), (), ()), "")
    to = scale(train)

    def points(x: Tensor) -> Tensor:
        return bridged(to(x)).nan_to_num().flatten(1).clamp(-1e6, 1e6)

    known = Known(points(train), reach)
    own = torch.randperm(len(train), generator=draw)[:SOUGHT]
    copies = known.points[torch.randint(len(train), (ANCHORS,), generator=draw)]
    sets = {"made": points(made), "copies": copies, "trivial": points(alone[:ANCHORS])}
    judged = {name: known.near(one) for name, one in sets.items()}
    judged["real"] = known.near(known.points[own], own)
    beside = points(held) if len(held) and not reach else known.points[:0]
    figures = [rate("copy_rate", judged, "window"), rate("exact_rate", judged, "window"), *_leanings(
        sets, judged, known, beside, seed)]  # fmt: skip

    def far(shown: Tensor) -> Tensor:
        return torch.cdist(sets["made"][shown], beside).amin(1)

    return Novelty(tuple(figures), neighbours(judged["made"], places, far if len(beside) else None, seed), RULE)


def _leanings(sets: dict[str, Tensor], judged: dict[str, Near], known: Known, held: Tensor, seed: int) -> list[Figure]:
    """Measures that call no single window a copy; distances to held-out windows count where these share no steps."""
    test = _tests(judged)
    if known.reach:
        why = "windows share steps, so that held-out ones lie at a few places only"
        return [Figure("distance_ratio", LEANINGS["distance_ratio"][0], "even", reason=why), test]
    half = len(held) // 2
    of = {"value": (sets["made"], held), "floor": (held[:half], held[half:]), "copies": (sets["copies"], held),
          "trivial": (sets["trivial"], held)}  # fmt: skip
    ratio = {name: distance_ratio(one, known.points, other, seed=seed) for name, (one, other) in of.items()}
    return [leaning("distance_ratio", ratio), test]


def _tests(judged: dict[str, Near]) -> Figure:
    """Distances to training windows beside those of training windows to others of them."""
    real = judged["real"].distance
    test = {"value": copying_test(judged["made"].distance, real), "floor": copying_test(real[::2], real[1::2]),
            "copies": copying_test(judged["copies"].distance, real),
            "trivial": copying_test(judged["trivial"].distance, real)}  # fmt: skip
    return leaning("copying_test", test)
