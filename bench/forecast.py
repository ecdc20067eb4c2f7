"""How often a longer run ends within the 90 % interval that a shorter run's own trail foretold for it.

    OMP_NUM_THREADS=1 nice python bench/forecast.py [--steps 300 600 3000] [--seed 1] [--folder OUT]

Every contestant is trained from the start for each number of steps (small nets, 16x16 pictures; the menagerie, and two
of the shared data sets where they are). Of every pair whose factor is 2 to 10, the shorter run foretells the distance
of the longer one, and the longer one's last samples decide. Runs that are already in OUT are not trained again.

Expected: 80 % or more of the pairs inside (90 % is meant; pairs that share a run are not independent). The intervals
are wide: twice the time leaves a third to three times the best guess. Runs that have hardly begun to learn are foretold
worst: they improve faster than any power law says.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import SHARED
from machine import table, tell, verdict

from morelike import collect
from morelike.data.cache import build
from morelike.data.sources import open_source
from morelike.measure import forecast as subject
from morelike.measure.distances import kernel_distance
from morelike.measure.learned import learn
from morelike.recipes import Request, fit, resume
from morelike.run import Run
from morelike.train.trail import read_trail

CONTESTANTS: dict[str, dict[str, Any]] = {
    "gan-menagerie": {"source": "menagerie:3000:16", "family": "gan"},
    "vae-menagerie": {"source": "menagerie:3000:16", "family": "vae"},
    "dcgan-mnist": {"source": SHARED / "mnist", "family": "gan", "image": "16", "settings": {"variant": "dcgan"}},
    "gan-sketches": {"source": SHARED / "quickdraw_animals", "family": "gan", "image": "16"},
}


def trained(name: str, steps: int, seed: int, folder: Path) -> Path:
    """The folder of a finished run."""
    out, asked = folder / f"{name}-{seed}-{steps}", dict(CONTESTANTS[name])
    if not (out / "report.html").exists():
        settings = {"picture": "1000000", **asked.pop("settings", {})}
        source = str(asked.pop("source"))
        request = Request(source, **asked, steps=steps, seed=seed, size="8", out=out, settings=settings)
        for _ in resume(out) if (out / "recipe.json").exists() else fit(request):
            pass
    return out


def eyes(run: Path, seconds: float) -> tuple[Any, torch.Tensor]:
    """A feature net that learned the training items of a run's source, and its features of held-out ones."""
    loaded = Run.load(run)
    data = build(open_source(loaded.recipe["source"]), loaded.codec)
    parts = collect.arrange(data, loaded.codec, loaded.recipe["given"] or "none", loaded.recipe["held_out"],
                            loaded.labels)  # fmt: skip
    x = loaded.codec.encode(torch.from_numpy(np.array(data.x)))
    labels = torch.from_numpy(np.array(parts.given["label"])) if "label" in parts.given else None
    known = None if labels is None else labels[parts.kept]
    net = learn(x[parts.kept], known, loaded.family.spec, seed=0, seconds=seconds)
    return net, net(x[parts.held])


def pairs(name: str, options: argparse.Namespace, folder: Path) -> Iterator[tuple[Any, ...]]:
    """One row for each pair of lengths: what was foretold, and what came."""
    runs = {steps: trained(name, steps, options.seed, folder) for steps in sorted(options.steps)}
    net, held = eyes(next(iter(runs.values())), options.seconds)
    for short, long in itertools.combinations(runs, 2):
        factor = long / short
        if not 2 <= factor <= 10:
            continue
        subject.FACTORS = {"longer": factor}
        said = subject.forecast_of(runs[short], net, held)
        came = kernel_distance(net(read_trail(runs[long])[-1].x), held[: subject.LIMIT]).value
        if said["reason"] or came is None:
            yield name, short, factor, said["reason"], "", "", "", ""
            continue
        told = said["longer"]
        inside = told["low"] <= came <= told["high"]
        yield name, short, factor, said["now"]["value"], told["low"], told["high"], came, "in" if inside else "OUT"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 600, 3000])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15.0, help="to learn the features of a source")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(CONTESTANTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    subject.told = lambda answer: []  # the factors are not those of its sentences
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only or CONTESTANTS:
            source = CONTESTANTS[name]["source"]
            if isinstance(source, Path) and not source.exists():
                print(f"{name} is left out: {source} is missing")
                continue
            rows += list(pairs(name, options, options.folder or Path(scratch)))
    table(["run", "steps", "times", "now", "foretold from", "to", "came", ""], rows)
    judged = [row for row in rows if row[-1]]
    inside = sum(row[-1] == "in" for row in judged)
    share = inside / len(judged) if judged else math.nan
    tell("forecast", pairs=len(judged), inside=inside, refused=len(rows) - len(judged), seed=options.seed)
    print(f"{inside} of {len(judged)} pairs inside the 90 % interval: {verdict(share >= 0.8)}")
    sys.exit(not share >= 0.8)


if __name__ == "__main__":
    main()
