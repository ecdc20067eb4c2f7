"""Real against real, and x % of junk mixed in: do the measures say nothing where there is nothing, and how much else?

    python bench/real_vs_real.py --cache FOLDER [SOURCE ...]

Two disjoint sets of N held-out items, N = 100 to 1,000, forty times each: the mean of the unbiased kernel distance in
standard errors of that mean, its interval's hit rate, and whether Fréchet's distance is a number where N is below the
number of features. Then 1,000 held-out items of which a share is replaced by independent pixels: clipped density and
coverage against that share.

Expected: mean kernel distance within 2 standard errors of zero from N = 100 to 1,000; Fréchet always finite, with 40
items and 64 features too; clipped density and coverage within 0.05 of the true share from 0 to 100 %.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import morelike  # noqa: F401, isort: skip - its thread settings must come before torch

import torch
from machine import table, tell, verdict
from real import Real, features, real
from torch import Tensor

from morelike.measure.anchors import trivial
from morelike.measure.coverage import balls_of, clipped
from morelike.measure.distances import frechet, kernel_distance

SOURCES = ("menagerie", "fashion_mnist")
SIZES, LEAST, DRAWS, SET = (40, 100, 200, 500, 1000), 100, 40, 1_000
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def nothing(seen: Tensor, rng: torch.Generator) -> bool:
    """Kernel and Fréchet distance between disjoint halves of random draws; whether they are as they should be."""
    rows, good = [], True
    for n in SIZES:
        parts = [seen[torch.randperm(len(seen), generator=rng)[: 2 * n]].split(n) for _ in range(DRAWS)]
        found = [kernel_distance(a, b) for a, b in parts]
        kernel = torch.tensor([one.value for one in found], dtype=torch.float64)
        off = float(kernel.mean() / (kernel.std() / math.sqrt(DRAWS)))
        inside = sum((one.low or 0) <= 0 <= (one.high or 0) for one in found) / DRAWS
        apart = [frechet(a, b) for a, b in parts]
        fine = all(math.isfinite(one) for one in apart)
        met = fine and (abs(off) <= 2 or n < LEAST)
        good &= met
        rows.append([n, f"{off:+.2f}", f"{inside:.0%}", f"{sum(apart) / DRAWS:.4g}", verdict(met)])
    table(["N", "kernel, standard errors from 0", "intervals that hold 0", "Fréchet, mean", ""], rows)
    return good


def junk(found: Real, look: object, seen: Tensor, rng: torch.Generator) -> float:
    """Clipped density and coverage of a mixture; the largest error."""
    order = torch.randperm(len(seen), generator=rng)
    n = min(SET, len(seen) // 2)
    made, around = seen[order[:n]], balls_of(seen[order[n : 2 * n]])
    alone = look(trivial(found.train, None, torch.zeros(n, dtype=torch.long)))  # type: ignore[operator]
    rows, worst = [], 0.0
    for share in SHARES:
        cut = round(share * n)
        density, coverage = clipped(torch.cat([alone[:cut], made[cut:]]), around)
        errors = [abs((one.value or 0.0) - (1 - share)) for one in (density, coverage)]
        worst = max(worst, *errors)
        rows.append([f"{share:.0%}", f"{density.value:.3f}", f"{coverage.value:.3f}", verdict(max(errors) <= 0.05)])
    table(["junk", "density", "coverage", ""], rows)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the learned features")
    parser.add_argument("sources", nargs="*", default=SOURCES)
    given = parser.parse_args()
    good, worst = True, 0.0
    for source in given.sources:
        found = real(source, 0.2)
        look, rng = features(found, given.cache)[0], torch.Generator().manual_seed(0)
        seen = look(found.held)
        print(f"\n{source}: {len(seen):,} held-out items, {seen.shape[1]} features")
        good &= nothing(seen, rng)
        worst = max(worst, junk(found, look, seen, rng))
    print(f"\nreal against real: {verdict(good)}")
    print(f"junk: largest error {worst:.3f} (target <= 0.05): {verdict(worst <= 0.05)}")
    tell("real_vs_real", real=good, junk=round(worst, 4))


if __name__ == "__main__":
    main()
