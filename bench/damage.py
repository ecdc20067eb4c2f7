"""Known damage on real data: does the measure that is meant for it tell damaged from undamaged sets?

    python bench/damage.py --cache FOLDER [SOURCE ...]

The self-test of the report on each source (`morelike.measure.selftest`), with features learned on its training items:
noise of a fifth of the spread, averaging over neighbours, one of ten kinds dropped, one item in ten of independent
pixels, one item in ten a training item. Ten damaged and ten undamaged sets of up to 500 items each.

Expected: area under the ROC curve at least 0.95 for each damage by the measure meant for it, on every source.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import morelike  # noqa: F401, isort: skip - its thread settings must come before torch

from machine import table, tell, verdict
from real import features, real

from morelike.measure.scene import Remembered
from morelike.measure.selftest import SURE, try_damage

SOURCES = ("menagerie", "fashion_mnist", "mnist", "quickdraw_animals", "animal_photos")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the learned features")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("sources", nargs="*", default=SOURCES)
    given = parser.parse_args()
    missed, least = 0, 1.0
    for source in given.sources:
        found = real(source)
        look = Remembered(features(found, given.cache)[0])
        evidence = found.evidence(found.held[:0])
        look(found.train), look(found.held)  # the report has looked at them before
        began = time.perf_counter()
        damages = try_damage(evidence, look, seed=given.seed)
        seconds = time.perf_counter() - began
        names = list(damages[0].auc)
        rows = [[f"{one.kind}: {one.amount}", one.meant, *(f"{one.auc[name]:.2f}" for name in names),
                 verdict(one.meant in one.noticed)] for one in damages]  # fmt: skip
        print(f"\n{source}: {len(found.train):,} + {len(found.held):,} items, {seconds:.1f} s")
        table(["damage", "meant", *names, ""], rows)
        missed += sum(one.meant not in one.noticed for one in damages)
        least = min(least, *(one.auc[one.meant] for one in damages))
        tell("damage", source=source, seconds=round(seconds, 1), auc={one.kind: one.auc[one.meant] for one in damages})
    print(f"\nleast area under the curve: {least:.3f} (target >= {SURE}): {verdict(not missed)}")


if __name__ == "__main__":
    main()
