"""Effective draws per second of morelike and of other MCMC libraries, one after another on the same machine.

    python bench/mcmc_speed.py --peers /path/to/python [--rounds 3] [--only pyro,nutpie] [--many] [--problem schools]

A Gaussian of 100 dimensions (covariance eigenvalues 1 to 1,000, turned at random) and eight schools, non-centred: 4
chains of 1,000 draws after 1,000 steps of warm-up, by NUTS with each library's own settings. `--many`: 256 chains of
300 draws after 300 steps, by `chees` here and by NUTS, vectorised over chains, there. Every run is a process of its own
(`peers/mcmc_sampler.py`), told to use two threads; ours comes before every peer's, and ratios are of neighbours. The
peers' Python has any of pyro-ppl, numpyro, blackjax, pymc and nutpie; what it lacks is left out.

ESS is the smallest bulk ESS of all unconstrained numbers. Seconds begin at the model, in a process that has imported
its library; "with" counts compiling and tracing, "without" does not. Figures are medians over the rounds.

Expected with compiling: >= 25 x Pyro, and above every one of them; with 256 chains >= 3 x NumPyro and BlackJAX.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from machine import Watch, table, verdict

from morelike.samplers.mcmc.diagnostics import figures

RUNNER = Path(__file__).parent / "peers" / "mcmc_sampler.py"
PEERS = ("pyro", "pyro_jit", "numpyro", "blackjax", "pymc", "nutpie")
MANY = ("numpyro", "blackjax")
LEAST = {"pyro": 25.0, "pyro_jit": 25.0}  # times as fast as the peer; else 1, or 3 with 256 chains


class Speed(NamedTuple):
    """ESS per second, compiling counted and not, worst R-hat, and seconds of the run."""

    counted: float
    not_counted: float
    rhat: float
    seconds: float


def measure(python: str, library: str, problem: str, size: tuple[int, int, int], seed: int) -> Speed:
    threads = dict.fromkeys((f"{name}_NUM_THREADS" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")), "2")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "draws.npz"
        command = [python, str(RUNNER), library, problem, *map(str, (*size, seed)), str(out)]
        done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{library} on {problem} failed:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout.strip().splitlines()[-1])
        found = figures(torch.from_numpy(np.load(out)["draws"]).double())
    ess, seconds = float(np.min(found.ess_bulk)), told["seconds"]
    sampling = max(1e-9, seconds - told["compiling"])
    return Speed(ess / seconds, ess / sampling, float(np.max(found.rhat)), seconds)


def importable(python: str, library: str) -> bool:
    return subprocess.run([python, "-c", f"import {library}"], capture_output=True, check=False).returncode == 0


def median(runs: list[Speed]) -> Speed:
    return Speed(*(statistics.median(column) for column in zip(*runs, strict=True)))


def compare(options: argparse.Namespace, problem: str, peers: list[str]) -> bool:
    size = (256, 300, 300) if options.many else (4, 1000, 1000)
    rows, met, all_ours = [], True, []
    for peer in peers:
        pairs = []
        for seed in range(options.rounds):
            ours = measure(sys.executable, "morelike", problem, size, seed)
            pairs.append((ours, measure(options.peers, peer, problem, size, seed)))
            print(f"{problem} {seed}: morelike {ours.counted:.0f}, {peer} {pairs[-1][1].counted:.0f}", flush=True)
        all_ours += [a for a, _ in pairs]
        theirs = median([b for _, b in pairs])
        ratio = [statistics.median(a[k] / b[k] for a, b in pairs) for k in (0, 1)]
        met &= ratio[0] >= (3.0 if options.many else LEAST.get(peer, 1.0))
        rows.append([peer, *cells(theirs), f"{ratio[0]:.2f}", f"{ratio[1]:.2f}"])
    rows.insert(0, ["morelike", *cells(median(all_ours)), "", ""])
    print(f"{problem}, {size[0]} chains of {size[1]} + {size[2]}")
    table(["library", "with", "without", "R-hat", "seconds", "ratio with", "without"], rows)
    return met


def cells(speed: Speed) -> list[str]:
    return [f"{speed.counted:.0f}", f"{speed.not_counted:.0f}", f"{speed.rhat:.4f}", f"{speed.seconds:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="the Python that the peers are installed for")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--problem", default="gaussian,schools")
    parser.add_argument("--many", action="store_true", help="256 chains")
    options = parser.parse_args()
    asked = [p for p in options.only.split(",") if not options.many or p in MANY]
    peers = [peer for peer in asked if importable(options.peers, peer.removesuffix("_jit"))]
    watch, met = Watch(), True
    for problem in options.problem.split(","):
        met &= compare(options, problem, peers)
    print(f"{verdict(met)}; others used {watch.others():.0%}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
