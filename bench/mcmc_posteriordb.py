"""NUTS against the reference draws of posteriordb: means and second moments of every parameter.

    python bench/mcmc_posteriordb.py --data posteriordb [--only kidiq] [--kernel nuts] [--seed 0]

z = (ours - reference) / sqrt(MCSE_ours^2 + MCSE_reference^2); 4 chains of 1,000 draws after 1,000 steps of warm-up.

Expected: every |z| below 4 and R-hat below 1.05; eight schools non-centred with R-hat < 1.01, bulk and tail ESS > 400
and no divergences; centred with divergences, and a verdict that is not "good".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from machine import Watch, table, verdict
from posteriors import PROBLEMS, numbers, schools_centred

from morelike import mcmc
from morelike.samplers.mcmc.diagnostics import figures


def reference(folder: Path) -> dict[str, torch.Tensor]:
    """Draws by name, as in "beta[1]": (chains, draws)."""
    with zipfile.ZipFile(folder / "draws.json.zip") as archive:
        chains = json.loads(archive.read(archive.namelist()[0]))
    return {name: torch.tensor([chain[name] for chain in chains]) for name in chains[0]}


def numbered(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every number of every parameter by the reference's name, which counts from 1."""
    found = {}
    for name, x in values.items():
        for i in range(x[0, 0].numel()):
            found[f"{name}[{i + 1}]" if x.dim() > 2 else name] = x.flatten(2)[..., i] if x.dim() > 2 else x
    return found


def scores(ours: dict[str, torch.Tensor], known: dict[str, torch.Tensor], power: int) -> dict[str, float]:
    """z of the means of x^power by parameter."""
    found = {}
    for name, x in ours.items():
        a, b = figures(x**power), figures(known[name] ** power)
        found[name] = float((a.mean - b.mean) / np.hypot(a.mcse, b.mcse))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--kernel", default="nuts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    watch, rows, met = Watch(), [], True
    for name, build in PROBLEMS.items():
        if options.only not in name:
            continue
        problem, began = build(numbers(options.data / name)), time.perf_counter()
        draws = mcmc.sample(
            problem.log_prob, problem.init, options.kernel, supports=problem.supports, seed=options.seed
        )
        seconds = time.perf_counter() - began
        ours, known = numbered(dict(problem.report(dict(draws.values)))), reference(options.data / name)
        z = [max((abs(v), k) for k, v in scores(ours, known, power).items()) for power in (1, 2)]
        told = [figures(x) for x in ours.values()]
        lost = int(draws.stats["diverging"].sum())
        met &= max(z)[0] < 4
        worst = max(float(f.rhat) for f in told)
        met &= worst < 1.05  # a chain that is stuck makes every standard error large, and every z small
        bulk, tail = min(float(f.ess_bulk) for f in told), min(float(f.ess_tail) for f in told)
        if "eight_schools" in name:
            met &= worst < 1.01 and min(bulk, tail) > 400 and lost == 0
        scored = [f"{v:.2f} {k}" for v, k in z]
        print(f"{name}: {seconds:.1f} s", flush=True)
        rows.append([name.split("-")[1], *scored, f"{worst:.4f}", f"{bulk:.0f}", f"{tail:.0f}", lost, f"{seconds:.1f}"])
    table(["posterior", "|z| mean", "|z| square", "R-hat", "bulk", "tail", "lost", "seconds"], rows)
    if not options.only:
        problem = schools_centred(numbers(options.data / "eight_schools-eight_schools_noncentered"))
        draws = mcmc.sample(
            problem.log_prob, problem.init, options.kernel, supports=problem.supports, seed=options.seed
        )
        lost = int(draws.stats["diverging"].sum())
        met &= lost > 0 and draws.verdict().level != "good"
        print(f"eight schools centred: {lost} divergences. {draws.verdict().sentence}")
    print(f"{verdict(met)}; others used {watch.others():.0%}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
