"""Faults provoked on purpose in small real runs, and whether the diagnosis names them.

    OMP_NUM_THREADS=1 nice python bench/diagnosis.py [--folder OUT] [--only NAME ...]

Each run is trained on the built-in world, or on Fashion-MNIST where that is, measured like any report, and diagnosed;
what was provoked has to be among the findings. Runs that are already in OUT are not trained again.

Expected: every provoked fault is named; of the healthy runs, the VAE is also told that it has stopped improving short
of the data, since its blur looks like too small a net from outside (8 of 9 right). About two minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from data import SHARED
from machine import table, tell, verdict

from morelike import collect
from morelike.data.cache import build
from morelike.data.sources import open_source
from morelike.measure.diagnosis import diagnose
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Evidence, Finding
from morelike.measure.forecast import forecast_of
from morelike.measure.learned import learn
from morelike.preview import Preview
from morelike.recipes import Request, fit, resume
from morelike.run import Run

HARMLESS = {"under_trained", "few_held_out"}  # what a healthy run that is short and small may be told


class Fault(NamedTuple):
    """A run that goes wrong on purpose; `expected` are the findings of which one has to be made."""

    expected: tuple[str, ...]
    source: str
    family: str
    size: str
    steps: int
    settings: dict[str, str]
    held_out: float = 0.1
    image: str | None = None


FAULTS = {
    "vae-ok": Fault((), "menagerie:1500:12", "vae", "16", 800, {}),
    "gan-ok": Fault((), str(SHARED / "fashion_mnist"), "gan", "8", 2000, {}, image="16"),
    "vae-beta": Fault(("posterior_collapse",), "menagerie:600:12", "vae", "8", 300, {"beta": "50"}),
    "gan-lr": Fault(("diverged", "collapse"), "menagerie:600:12", "gan", "8", 300, {"lr": "0.1"}),
    "gan-20": Fault(("under_trained",), "menagerie:600:12", "gan", "8", 20, {}),
    "vae-4": Fault(("too_small", "under_trained"), "menagerie:1500:12", "vae", "4", 2500, {}),
    "vae-60": Fault(("memorised",), "menagerie:120:12", "vae", "32", 1500, {"components": "2"}, 0.5),
    "gan-strong": Fault(
        ("critic_too_strong",), "menagerie:600:12", "gan", "8", 400,
        {"variant": "goodfellow", "critic_steps": "5"},
    ),
    "gan-average": Fault(
        ("average_too_long",), "menagerie:600:12", "gan", "8", 400, {"average": "0.28", "schedule": "constant"},
    ),
}  # fmt: skip


def trained(name: str, fault: Fault, folder: Path) -> Path:
    """The folder of the finished run."""
    out = folder / name
    if not (out / "report.html").exists():
        settings = {"picture": "1000000", **fault.settings}
        request = Request(
            fault.source, fault.family, size=fault.size, steps=fault.steps, out=out, settings=settings,
            held_out=fault.held_out, image=fault.image,
        )  # fmt: skip
        for _ in resume(out) if (out / "recipe.json").exists() else fit(request):
            pass
    return out


def diagnosed(path: Path) -> list[Finding]:
    """All findings about a run, measured as its report would be."""
    run = Run.load(path)
    data = build(open_source(run.recipe["source"]), run.codec)
    parts = collect.arrange(data, run.codec, run.recipe["given"] or "none", run.recipe["held_out"], run.labels)
    x = run.codec.encode(torch.from_numpy(np.array(data.x)))
    labels = torch.from_numpy(np.array(parts.given["label"])) if "label" in parts.given else None
    of = {"train": parts.kept, "held": parts.held}
    given = {name: torch.arange(len(one.config.vocabulary)) for name, one in run.labels.items()}
    made = Preview(run.codec, given, torch.device("cpu")).items(run.family, 500)
    net = learn(x[parts.kept], None if labels is None else labels[parts.kept], run.family.spec, seed=0, seconds=10.0)
    known: dict[str, Any] = {} if labels is None else {f"{name}_labels": labels[rows] for name, rows in of.items()}
    if labels is not None:
        known["made_labels"] = torch.arange(len(made)) % (int(labels.max()) + 1)
    evidence = Evidence(made, x[parts.kept], x[parts.held], run.family.spec, **known)
    measured = evaluate(evidence, [net], family=run.family, selftest=False)
    measured.forecast = forecast_of(path, net, net(x[parts.held]))
    settings = asdict(run.family.config) if is_dataclass(run.family.config) else {}
    return diagnose(path, measured, {**run.recipe["train"], **settings})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, right = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only or FAULTS:
            fault = FAULTS[name]
            if fault.source.startswith("/") and not Path(fault.source).exists():
                print(f"{name} is left out: {fault.source} is missing")
                continue
            found = diagnosed(trained(name, fault, options.folder or Path(scratch)))
            kinds = [one.kind for one in found]
            good = bool({*fault.expected} & {*kinds}) if fault.expected else {*kinds} <= HARMLESS
            right += good
            rows.append((name, " or ".join(fault.expected) or "nothing", ", ".join(kinds) or "nothing", verdict(good)))
            for one in found:
                print(f"  {name}: {one.title}. {one.evidence} {one.action}", flush=True)
    table(["run", "provoked", "found", ""], rows)
    tell("diagnosis", runs=len(rows), right=right)
    sys.exit(right < len(rows))


if __name__ == "__main__":
    main()
