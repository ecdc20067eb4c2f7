"""What a run folder tells by itself: what was asked, how training went, the film, the data, commands to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from morelike.measure.audit.amount import parted
from morelike.measure.curves import Curve, charts, finite
from morelike.measure.figure import Finding
from morelike.measure.page.findings import SIGNS
from morelike.measure.page.html import SHOWN, figure, listed, table

NOT_CURVES = {"step", "steps", "seconds", "seconds_left", "fraction", "rate"}
SECRET = {
    "version",
    "data",
    "plan",
    "findings",
}  # parts of a recipe that are shown elsewhere, or say nothing to a reader
HIDDEN = {"digest", "skipped", "mended", "warnings", "together"}  # of its data


def sheet(run: Path) -> str:
    """The newest sheet of samples, if there is one."""
    newest = sorted((run / "samples").glob("*.png"))[-1:]
    return "".join(figure(path.read_bytes(), "image/png", f"samples/{path.name}") for path in newest)


def film(run: Path) -> str:
    """The film of the training, if there is one."""
    path = run / "film.gif"
    if not path.exists():
        return ""
    return figure(path.read_bytes(), "image/gif", "The same seeds, from the first step to the last")


def training(run: Path) -> str:
    """The curves of the log, and what the planner said."""
    plan = read_recipe(run).get("plan") or {}
    return listed([plan.get("said", ""), *revisions(run)]) + charts(curves(records(run / "log.jsonl")))


def curves(lines: Iterable[Mapping[str, Any]]) -> dict[str, Curve]:
    """Every named figure of the log against the step."""
    points: dict[str, list[tuple[float, float]]] = {}
    for record in lines:
        for name, value in record.items():
            if name not in NOT_CURVES and isinstance(value, int | float) and not isinstance(value, bool):
                points.setdefault(name, []).append((float(record.get("step", 0)), float(value)))
    return {name: (np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])) for name, pairs in points.items()}


def revisions(run: Path) -> list[str]:
    """One sentence on how often the end of the run was moved to keep its deadline."""
    ends = [record["steps"] for record in records(run / "plan.jsonl") if isinstance(record.get("steps"), int)]
    if len(ends) < 2:
        return []
    times = "once" if len(ends) == 2 else f"{len(ends) - 1} times"
    return [f"To end on time, the number of steps was changed {times}, from {ends[0]:,} to {ends[-1]:,}."]


def history(run: Path) -> dict[str, Any]:
    """The recipe, and the curves of training as steps and values, for JSON."""
    recipe = read_recipe(run)
    shown = {name: finite(curve) for name, curve in curves(records(run / "log.jsonl")).items()}
    log = {name: {"step": x.tolist(), "value": y.tolist()} for name, (x, y) in shown.items()}
    return {"recipe": recipe, "notes": revisions(run), "log": log}


def data(run: Path) -> str:
    """What was trained on: how many items, how many of each are held out, and which could not be read."""
    found = dict(read_recipe(run).get("data") or {})
    problems, count = found.pop("problems", []), found.get("skipped", 0)
    labels = found.pop("labels", None) or {}
    shown = {name: value for name, value in found.items() if name not in HIDDEN}
    lost, mended = parted(problems)
    counted = skipped(lost, count, "skipped") + skipped(mended, found.get("mended", 0), "mended")
    return table(shown | labels) + listed(found.get("warnings") or []) + counted


def audited(run: Path) -> list[Finding]:
    """What was found in the data before training, as the recipe keeps it."""
    known = [one.name for one in fields(Finding)]
    found = []
    for one in read_recipe(run).get("findings") or ():
        with suppress(TypeError, AttributeError):  # a recipe that somebody has changed
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in one.items()
            }
            found.append(Finding(**{name: value for name, value in values.items() if name in known}))
    return [one for one in found if one.severity in SIGNS]


def skipped(problems: Sequence[Sequence[str]], count: int, word: str) -> str:
    """The items that could not be read, or only in part, by name, as many as one cares to read."""
    if not problems:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(why)}</td></tr>" for name, why in problems[:SHOWN])
    count = max(count, len(problems))
    rest = f"<p>and {count - SHOWN:,} more</p>" if count > SHOWN else ""
    return f"<details open><summary>{count:,} {word}</summary><table>{rows}</table>{rest}</details>"


def quick_cost(run: Path) -> str:
    """What the run took, from its log alone: time, steps, examples, bytes, and the settings that the planner chose."""
    last: Mapping[str, Any] = {}
    for last in records(run / "log.jsonl"):  # noqa: B007 (the last one is what is wanted)
        pass
    plan = {name: value for name, value in (read_recipe(run).get("plan") or {}).items() if name != "said"}
    steps, seconds = last.get("step", 0), last.get("seconds", 0.0)
    examples, weights = steps * plan.get("batch", 0), run / "weights.safetensors"
    return table(
        {
            "minutes of training": seconds / 60,
            "steps": steps,
            "examples seen": examples,
            "examples per second": round(examples / seconds) if seconds else None,
            "weights, MB": weights.stat().st_size / 1e6 if weights.exists() else None,
            **plan,
        }
    )


def asked(run: Path) -> str:
    """What the user asked for."""
    return table({name: value for name, value in read_recipe(run).items() if name not in SECRET})


def commands(run: Path, measured: bool) -> str:
    """What to type next."""
    labels = (read_recipe(run).get("data") or {}).get("labels") or {}
    given = "".join(f" --given {shlex.quote(f'{name}={values[0]}')}" for name, values in labels.items() if values)
    folder = shlex.quote(str(run))
    kinds = {path.suffix for path in (run / "samples").glob("*.*")}
    out = " -n 64 --out sheet.png" if ".png" in kinds else " -n 64 --out new.csv" if ".csv" in kinds else ""
    lines = [f"morelike sample {folder}{given}{out}", *([f"morelike explain {folder}"] * (".csv" not in kinds))]
    shown = "".join(f"<pre>{escape(line)}</pre>" for line in [*lines, f"morelike info {folder}"])
    return shown if measured else measuring(run) + shown


def measuring(run: Path) -> str:
    """What to type to have a run measured."""
    return f"<pre>{escape(f'morelike report {shlex.quote(str(run))}')}</pre>"


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file with one on each line; a line that a crash cut off is passed over."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def read_recipe(run: Path) -> dict[str, Any]:
    """What was asked, or nothing where recipe.json cannot be read."""
    try:
        recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return recipe if isinstance(recipe, dict) else {}
