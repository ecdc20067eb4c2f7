"""The report of a run as one HTML file that needs nothing else: what was asked, what happened, what came out.

It shows and judges nothing: the measured report, in which every figure stands beside the value that held-out data
would get, is to follow.
"""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from morelike.measure.curves import Curve, charts
from morelike.measure.style import STYLE
from morelike.train.folder import write_bytes

NOT_CURVES = {"step", "steps", "seconds", "seconds_left", "fraction", "rate"}
SAMPLES, SHOWN_LABELS, SHOWN_PROBLEMS = 36, 12, 50


class Sheet(Protocol):
    """Some samples, which can be drawn on one picture."""

    def sheet(self) -> Image.Image: ...


class Sampler(Protocol):
    """A loaded run, as far as a report needs it."""

    def sample(self, n: int, *, seed: int, given: Mapping[str, str]) -> Sheet: ...


def write(run: Path, loaded: Sampler | None = None) -> Path:
    """Write `report.html` into a run folder, whole or not at all, and return its path.

    loaded  the same run, to draw a sheet for each label; without it the newest sheet in the folder is shown
    """
    target = run / "report.html"
    write_bytes(target, page(run, loaded).encode())
    return target


def page(run: Path, loaded: Sampler | None = None) -> str:
    """The whole page; parts of the run folder that are missing are left out."""
    recipe = read_recipe(run)
    lines = list(records(run / "log.jsonl"))
    data, plan = dict(recipe.pop("data", None) or {}), dict(recipe.pop("plan", None) or {})
    problems, labels = data.pop("problems", []), data.pop("labels", {})
    title = f"{recipe.get('source', run.name)} → {recipe.get('family', 'model')}"
    notes = [plan.pop("said", ""), *revisions(run), *data.pop("warnings", [])]
    sections = [
        section("Samples", samples(run, loaded, labels)),
        section("How they came about", film(run)),
        section("Training", charts(curves(lines)) + listed([note for note in notes if note])),
        section("Data", table(without(data, "digest", "skipped") | labels) + skipped(problems, data.get("skipped", 0))),
        section("Cost", table(cost(run, lines, plan))),
        section("What was asked", table(without(recipe, "version"))),
        section("How to go on", commands(run, labels)),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    lead = f"<h1>{escape(title)}</h1><p>What was asked of this run and what happened. Nothing here is a verdict.</p>"
    body = "\n".join([lead, *filter(None, sections)])
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The same values, some left out."""
    return {name: value for name, value in values.items() if name not in names}


def section(title: str, content: str) -> str:
    """A titled part of the page, or nothing where there is no content."""
    return f"<section><h2>{escape(title)}</h2>\n{content}\n</section>" if content else ""


def samples(run: Path, loaded: Sampler | None, labels: Mapping[str, Sequence[str]]) -> str:
    """A sheet for each label where the run can draw them, or else the newest sheet in the run folder."""
    if loaded is not None:
        asked = [{name: value} for name, values in labels.items() for value in values][:SHOWN_LABELS] or [{}]
        drawn = ((each, loaded.sample(SAMPLES, seed=0, given=each).sheet()) for each in asked)
        return "".join(figure(png(sheet), "image/png", ", ".join(each.values())) for each, sheet in drawn)
    newest = sorted((run / "samples").glob("*.png"))[-1:]
    return "".join(figure(path.read_bytes(), "image/png", f"samples/{path.name}") for path in newest)


def film(run: Path) -> str:
    """The film of the training, if there is one."""
    path = run / "film.gif"
    return (
        figure(path.read_bytes(), "image/gif", "The same seeds, from the first step to the last")
        if path.exists()
        else ""
    )


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def figure(data: bytes, kind: str, caption: str) -> str:
    """A picture inside the page itself, with its caption."""
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


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


def cost(run: Path, lines: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> dict[str, Any]:
    """What the run took: time, steps, examples, bytes, and the settings that the planner chose."""
    last = lines[-1] if lines else {}
    steps, seconds = last.get("step", 0), last.get("seconds", 0.0)
    examples = steps * plan.get("batch", 0)
    weights = run / "weights.safetensors"
    return {
        "minutes of training": seconds / 60,
        "steps": steps,
        "examples seen": examples,
        "examples per second": round(examples / seconds) if seconds else None,
        "weights, MB": weights.stat().st_size / 1e6 if weights.exists() else None,
        **plan,
    }


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


def table(values: Mapping[str, Any]) -> str:
    """Names and values below one another; what is empty or was left at nothing is not shown."""
    shown = {name: value for name, value in values.items() if value not in (None, "", {}, [])}
    rows = "".join(f"<tr><th>{escape(readable(name))}</th><td>{cell(value)}</td></tr>" for name, value in shown.items())
    return f"<table>{rows}</table>" if rows else ""


def readable(name: str) -> str:
    """A field's name in words."""
    return name.replace("_", " ")


def cell(value: Any) -> str:
    """A value as HTML: nested mappings as tables, numbers with separators."""
    if isinstance(value, Mapping):
        return table(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else escape(str(value))


def listed(notes: Sequence[str]) -> str:
    """Sentences as a list."""
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def skipped(problems: Sequence[Sequence[str]], count: int) -> str:
    """The items that could not be read, by name, as many as one cares to read."""
    if not problems:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(why)}</td></tr>" for name, why in problems[:SHOWN_PROBLEMS])
    count = max(count, len(problems))
    rest = f"<p>and {count - SHOWN_PROBLEMS:,} more</p>" if count > SHOWN_PROBLEMS else ""
    return f"<details open><summary>{count:,} skipped</summary><table>{rows}</table>{rest}</details>"


def commands(run: Path, labels: Mapping[str, Sequence[str]]) -> str:
    """What to type next."""
    asked = "".join(f" --given {shlex.quote(f'{name}={values[0]}')}" for name, values in labels.items() if values)
    folder = shlex.quote(str(run))
    lines = (f"morelike sample {folder} -n 64{asked} --out sheet.png", f"morelike info {folder}")
    return "".join(f"<pre>{escape(line)}</pre>" for line in lines)
