"""Sketches of seven animals: our energy model beside our VAE and our GAN, at the same minutes.

    python bench/energy_animals.py --folder OUT [--minutes 10] [--families energy,vae,gan]

`morelike fit quickdraw_animals --given label --family F` trains for the minutes; the report then compares samples with
held-out sketches through features learnt on the data (the same for all, of the same seed). A run that is in OUT already
is not trained again. Beside Fréchet's distance stand that of real sketches to real ones and that of the trivial model
(every pixel on its own). Look at OUT/*.png too: no figure says whether a sketch looks like a rabbit.

Expected: the energy model's sketches look like the animals; its distance lies far below the trivial model's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

from data import SHARED
from machine import Watch, table, tell

import morelike
from morelike.reporting import Asked, report

MORELIKE = [sys.executable, "-m", "morelike"]


def fit(family: str, minutes: float, threads: int | None, run: Path) -> float:
    """Train a run unless it is there; the share of the machine that others used meanwhile."""
    if (run / "weights.safetensors").exists():
        return float("nan")
    watch, source = Watch(), SHARED / "quickdraw_animals"
    command = [*MORELIKE, "fit", str(source), "--family", family, "--given", "label", "--minutes", f"{minutes:g}"]
    command += ["--out", str(run), *(["--set", f"threads={threads}"] if threads else [])]
    print("$", " ".join(command), flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return watch.others()


def measure(family: str, run: Path, samples: int, others: float) -> list[object]:
    """A row of the table, from the run's report."""
    made = morelike.load(run)
    made.sample(64).save(run.with_suffix(".png"))
    found = report(made, Asked(samples=samples, selftest=False))
    figures = {name: found.figure(name) for name in ("frechet", "class_accuracy", "coverage")}
    distance = figures["frechet"]
    assert distance is not None
    steps = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"]
    told = {name: one.value for name, one in figures.items() if one is not None}
    tell(
        "energy_animals",
        family=family,
        steps=steps,
        floor=distance.floor,
        trivial=distance.baseline,
        others=others,
        **told,
    )
    cells = [distance.value, distance.low, distance.high, distance.floor, distance.baseline]
    return [family, steps, *(f"{value:.2f}" if value is not None else "" for value in cells), f"{others:.0%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--families", default="energy,vae,gan")
    parser.add_argument("--threads", type=int, help="threads of training; the planner's choice if not said")
    parser.add_argument("--samples", type=int, default=2000)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for family in given.families.split(","):
        run = given.folder / family
        others = fit(family, given.minutes, given.threads, run)
        rows.append(measure(family, run, given.samples, others))
    table(["family", "steps", "Fréchet", "low", "high", "real", "trivial", "others"], rows)


if __name__ == "__main__":
    main()
