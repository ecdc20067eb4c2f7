"""What a diagnosis can look at: the log and the recipe of a run, what was measured of it, and what could be changed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from morelike.measure.figure import Figure, Measured

MARKS = 19  # values from which a curve has a shape: a run looks at held-out items twenty times


@dataclass(frozen=True)
class Case:
    """One run, as far as a check may look at it.

    log      lines of log.jsonl, oldest first; recipe, optimizers: what was asked, and how each player was optimised
    options  present values of what can be changed with --set, by name
    """

    measured: Measured
    log: list[dict[str, Any]] = field(default_factory=list)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pictures(self) -> bool:
        """Whether items are pictures, which can be augmented; so they are where a recipe does not say."""
        return part(self.recipe, "reading").get("codec", "image") in ("image", "auto")

    def figure(self, name: str) -> Figure | None:
        """A measured figure of the whole set, or of its novelty."""
        known = [*self.measured.figures, *(self.measured.novelty.figures if self.measured.novelty else ())]
        return next((one for one in known if one.name == name and one.label is None and one.value is not None), None)

    def share(self, name: str) -> float | None:
        """A figure as a share of what real items get."""
        one = self.figure(name)
        return one.value / one.floor if one and one.value is not None and one.floor and one.floor > 0 else None

    def logged(self, name: str) -> tuple[float, float] | None:
        """A logged scalar in the first line, and its mean over the last fifth of them."""
        values = [float(line[name]) for line in self.log if is_number(line.get(name))]
        if len(values) < 5:
            return None
        last = values[-(len(values) // 5) :]
        return values[0], sum(last) / len(last)

    def objective(self) -> list[tuple[float, float]]:
        """Step and loss of a model with a single player, [] for several: what tells most clearly how far it is.

        That is the loss on held-out items, else nats per token, else the loss with the code weighed as at the end:
        while its weight is raised, the loss grows by that.
        """
        names, beta = list(self.optimizers), self.options.get("beta", 1.0)
        if len(names) != 1:
            return []
        lines = [{**line, "whole": _sum(line, beta)} for line in self.log if is_number(line.get("step"))]
        for name in ("held_out", "nats", "whole", names[0]):
            found = [(float(line["step"]), float(line[name])) for line in lines if is_number(line.get(name))]
            if len(found) >= MARKS:
                return found
        return []

    def lower_rate(self, by: float) -> str:
        """The option that divides the learning rate."""
        rates = [one["lr"] for one in self.optimizers.values() if isinstance(one, dict) and is_number(one.get("lr"))]
        return f"--set lr={max(rates) / by:.2g}" if rates else "a smaller learning rate (--set lr)"

    def longer(self, by: float) -> str:
        """The option that makes the run so many times as long."""
        steps, minutes = self.recipe.get("steps"), self.recipe.get("minutes")
        if is_number(steps):
            return f"--steps {max(1, round(steps * by))}"
        return f"--minutes {(minutes if is_number(minutes) else 5) * by:.3g}"

    def wider(self, by: float) -> str:
        """The option that changes the width of the nets."""
        width = self.options.get("width")
        if is_number(width) and width * by >= 1:
            return f"--size {round(width * by)}"
        return "--size large" if by > 1 else "--size small"


def read_case(run: Path, measured: Measured, options: Mapping[str, Any] | None) -> Case:
    """The case of a run folder, whose files may be missing or damaged; without options, those in recipe.json."""
    recipe, race = (_json(run / name) for name in ("recipe.json", "race.json"))
    if "minutes" in race:
        recipe = {
            **recipe,
            "minutes": race["minutes"],
        }  # of all families that were tried, not what was left for the best
    known = {**part(recipe, "train"), **part(recipe, "config")} if options is None else options
    return Case(measured, list(_lines(run / "log.jsonl")), recipe, part(_json(run / "cost.json"), "optimizers"), known)


def _sum(line: Mapping[str, Any], beta: Any) -> float | None:
    """-log p(x | z) + beta KL of a line of the log, None where it has none."""
    nll, kl = line.get("nll"), line.get("kl")
    return nll + beta * kl if is_number(nll) and is_number(kl) and is_number(beta) else None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value that was read from a file is a number that can be reckoned with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def part(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within an object; an empty one where there is none."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """A JSON object in a file; nothing where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file with one on each line, but for those that are damaged."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
