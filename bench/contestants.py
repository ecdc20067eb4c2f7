"""How the orchestrating benchmarks call `morelike` and the peers: one after another, two threads each, same data."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MORELIKE = Path(sys.executable).parent / "morelike"


@dataclass(frozen=True)
class Arena:
    """Where and how long everybody trains."""

    folder: Path
    minutes: float
    peer_python: Path
    clean: bool
    reuse: bool


def arena(description: str, minutes: float) -> Arena:
    """The command line that both orchestrators share."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="data, runs and samples go here")
    parser.add_argument(
        "--peer-python", type=Path, required=True, help="interpreter that has torch, TensorFlow, pythae"
    )
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--clean", action="store_true", help="peers count clean-equivalent time (see peers/contest.py)")
    parser.add_argument("--reuse", action="store_true", help="skip a contestant whose result is already in the folder")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    return Arena(given.folder.resolve(), given.minutes, given.peer_python.absolute(), given.clean, given.reuse)


def call(*command: object) -> float:
    """Run one contestant with two threads; returns its wall seconds.

    Peers' threads do not spin while they wait, which suits their large steps; `morelike` makes its own setting.
    """
    words = [str(word) for word in command]
    print("$", " ".join(words), flush=True)
    waiting = {} if words[0] == str(MORELIKE) else {"OMP_WAIT_POLICY": "PASSIVE"}
    environment = os.environ | {"OMP_NUM_THREADS": "2"} | waiting
    started = time.perf_counter()
    subprocess.run(words, env=environment, check=True)
    return time.perf_counter() - started


def train_ours(arena: Arena, name: str, data: Path, *options: str) -> Path:
    """`morelike fit` into the run folder `name`; returns it. The wall time is kept beside it, in `name`.json."""
    run = arena.folder / name
    if not (arena.reuse and run.with_suffix(".json").exists()):
        call_fit = (MORELIKE, "fit", data, *options, "--minutes", f"{arena.minutes:g}", "--out", run)
        run.with_suffix(".json").write_text(json.dumps({"wall_s": round(call(*call_fit), 1)}))
    return run


def train_peer(arena: Arena, script: str, name: str, data: Path, *options: object) -> tuple[Path, dict[str, float]]:
    """Run bench/peers/`script`.py; returns its samples and the figures that it printed."""
    out = arena.folder / f"{name}.npy"
    if not (arena.reuse and out.exists()):
        clean = ("--clean",) if arena.clean else ()
        peer = HERE / "peers" / f"{script}.py"
        call(arena.peer_python, peer, "--data", data, "--minutes", arena.minutes, "--out", out, *clean, *options)
    return out, json.loads(out.with_suffix(".json").read_text())
