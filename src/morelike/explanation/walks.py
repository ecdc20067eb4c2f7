"""Sheets of walks through a latent space: along single directions, at several seeds, and from seed to seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.explanation.directions import Direction, walk
from morelike.explanation.part import HasSheet, Part, Unit, cells
from morelike.explanation.space import Space
from morelike.measure.page.html import percent

STOPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # standard deviations
FEW = (-2.0, 0.0, 2.0)


@dataclass(frozen=True)
class Walker:
    """Where walks begin, and how items are shown.

    space  the latent space; its first points are those of `seeds`
    shape  of an encoded item
    codec  what decodes items, and draws or describes them
    unit   what a change means to people
    seeds  whose items the walks begin at
    """

    space: Space
    shape: tuple[int, ...]
    codec: Any
    unit: Unit
    seeds: tuple[int, ...]


def traversal(walker: Walker, directions: Sequence[Direction], meanings: Mapping[str, str]) -> Part:
    """One row for each direction, from -3 to +3 standard deviations, through the item of the first seed.

    meanings  what a direction stands for, by its name, where that is known
    """
    items = walk(walker.space, 0, directions, STOPS)
    rows = [_words(one, walker.unit, meanings.get(one.name, "")) for one in directions]
    picture, html = cells(walker.codec, items, rows, [f"{stop:+g} sd" if stop else "0" for stop in STOPS])
    what = "one number of the code" if walker.space.coded else "one direction of the noise"
    says = (
        f"Each row changes {what} of seed {walker.seeds[0]} from unusually low to unusually high (3 standard "
        "deviations, sd, to either side) and leaves all else as it was. The rows with the largest effect come first."
    )
    idle = sum((one.effect.value or 0.0) * walker.unit.scale < 1 for one in directions)
    if walker.unit.name == "grey levels" and idle:
        says += f" {idle} of these {len(directions)} change less than one grey level: the model does not use them."
    return Part("traversal", says, _figures(directions, walker, meanings), picture, html)


def principal_sheet(walker: Walker, directions: Sequence[Direction], meanings: Mapping[str, str]) -> Part:
    """One row for each principal direction, at three seeds, and where the mean change is."""
    three = range(min(3, len(walker.seeds)))
    walks = [walk(walker.space, i, directions, FEW).unflatten(0, (-1, len(FEW))) for i in three]
    items = torch.cat(walks, 1)  # (directions, stops of all seeds, *shape)
    columns = [f"{stop:+g} sd" if stop else f"seed {walker.seeds[i]}" for i in three for stop in FEW]
    if walker.space.tokens is None and isinstance(walker.codec, HasSheet):
        peaks = [one.change / one.change.abs().max().clamp_min(1e-12) for one in directions]
        items = torch.cat([items, torch.stack(peaks).reshape(-1, 1, *walker.shape)], 1)
        columns.append("change")
    rows = [_words(one, walker.unit, meanings.get(one.name, "")) for one in directions]
    picture, html = cells(walker.codec, items.flatten(0, 1), rows, columns)
    covered = sum(one.share or 0.0 for one in directions)
    says = (
        f"The {len(directions)} directions along which items change most; together they make up {percent(covered)} of "
        "all that the latent space changes, to first order. Each is shown at three seeds: a direction that is steady "
        "(1) changes the same thing in all of them, one near 0 something else in each. Columns are positions along the "
        "direction, so the middle one is an average there, not the seed's own item. The last column is the mean "
        "change, grey where there is none."
    )
    return Part("directions", says, _figures(directions, walker, meanings), picture, html)


def paths(codec: Any, x: Tensor, names: Sequence[str]) -> Part:
    """Items on the way between seeds, (len(names) * steps, *shape), one row for each pair of seeds."""
    steps = len(x) // len(names)
    columns = [f"{t:.0%}" for t in np.linspace(0, 1, steps)]
    picture, html = cells(codec, x, names, columns)
    figures = {name.replace("\n", ", "): {"largest_step_over_mean": _unevenness(one)}
               for name, one in zip(names, x.split(steps), strict=True)}  # fmt: skip
    says = (
        "Each row goes from one seed to another through the latent space, on a great circle. A space that was learned "
        "well has plausible items all the way; sudden jumps mean that it is made of separate pieces."
    )
    return Part("interpolation", says, {"paths": figures}, picture, html)


def _words(one: Direction, unit: Unit, meaning: str = "") -> str:
    """A direction's name and effect size, in three or four short lines."""
    share = "" if one.share is None else f"{percent(one.share)} of all change"
    steady = "" if one.steady is None else f", steady {one.steady:.2f}"
    return "\n".join(filter(None, [one.name, meaning, unit.words(one.effect), share + steady]))


def _figures(directions: Sequence[Direction], walker: Walker, meanings: Mapping[str, str]) -> dict[str, Any]:
    """The directions as plain data, effects in the unit of the codec."""

    def plain(one: Direction) -> dict[str, Any]:
        effects = {"effect": one.effect.value, "low": one.effect.low, "high": one.effect.high}
        scaled = {key: None if value is None else value * walker.unit.scale for key, value in effects.items()}
        about = {"share": one.share, "steady": one.steady, "meaning": meanings.get(one.name)}
        return {"name": one.name, **scaled, **about}

    return {"unit": walker.unit.name, "seed": walker.seeds[0], "rows": [plain(one) for one in directions]}


def _unevenness(x: Tensor) -> float | None:
    """The largest step of a path (steps, *shape) over its mean step; 1 is perfectly even. None where nothing moves."""
    lengths = x.float().flatten(1).diff(dim=0).norm(dim=1)
    return float(lengths.max() / lengths.mean()) if lengths.mean() > 0 else None
