"""Who makes rows in bench/tables.py, each in a process of its own, and what that takes: wall and CPU seconds, memory.

CPU seconds are what can be compared where others use the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
HELD_OUT = 0.25
WATCH = """
import json, os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
spent = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss
json.dump(spent, open(sys.argv[1], "w"))
"""  # a small process in between: a child's peak is never told as less than what its parent had when it was begun
CLEAN = "import time; time.perf_counter = time.process_time; from morelike.cli import main; main()"
MIB = 1024 if sys.platform == "darwin" else 1  # by which ru_maxrss is too large


@dataclass(frozen=True)
class Spent:
    """What a process said, and what it and its children took; the memory is the peak of the largest of them."""

    said: str
    seconds: float
    cpu: float
    mib: float


def spent(*words: object, python: Path | str = sys.executable) -> Spent:
    """Run Python with these words to its end. Exits with what the process said where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        told, began = Path(folder) / "told.json", time.perf_counter()
        command = [sys.executable, "-c", WATCH, str(told), str(python), *map(str, words)]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        seconds = time.perf_counter() - began
        code, cpu, memory = json.loads(told.read_text())
    if code:
        raise SystemExit(said[-2000:])
    return Spent(said, seconds, cpu, memory / 1024 / MIB)


def divide(source: Path, folder: Path) -> tuple[Path, Path]:
    """The rows to train on and those held out, a quarter and always the same, every cell as it is written."""
    import polars

    frame = polars.read_csv(source, infer_schema=False)
    order = np.random.default_rng(0).permutation(frame.height)
    out = round(HELD_OUT * frame.height)
    paths = folder / "train.csv", folder / "held.csv"
    for path, rows in zip(paths, (order[out:], order[:out]), strict=True):
        frame[np.sort(rows)].write_csv(path)
    return paths


def ours(train: Path, rows: int, asked: tuple[float, int], made: Path, clean: bool) -> dict[str, Any]:
    """`morelike fit` and `morelike sample`, from the start of the process to its end.

    asked  minutes and seed of training
    clean  count the minutes of `fit` in CPU seconds, as if nobody else used the machine
    """
    run = made.with_suffix("")
    minutes, seed = asked
    how = ("--minutes", f"{minutes:g}", "--seed", seed, "--out", run)
    fit = spent(*(("-c", CLEAN) if clean else ("-m", "morelike")), "fit", train, *how)
    draw = spent("-m", "morelike", "sample", run, "-n", rows, "--seed", seed * rows, "--out", made)  # other rows each
    heats = json.loads((run / "race.json").read_text())
    won = json.loads((run / "recipe.json").read_text())["family"]
    nats = next(one["nats"] for one in [*heats["final"], *heats["heats"]] if one["family"] == won)
    return _costs(fit, draw) | {"family": won, "nats": round(nats, 3)}


def peer(python: Path, who: str, train: Path, rows: int, made: Path, *options: object) -> dict[str, Any]:
    """One of SDV's: fitting, sampling and the start of the process together."""
    script = (HERE / "peers" / "table_synthesizer.py", "--who", who, "--data", train, "--rows", rows, "--out", made)
    whole = spent(*script, "--kinds", train.with_name("kinds.json"), *options, python=python)
    return json.loads(whole.said.strip().splitlines()[-1]) | {"cpu_s": round(whole.cpu, 1), "mib": round(whole.mib)}


def _costs(fit: Spent, draw: Spent) -> dict[str, Any]:
    return {"fit_s": round(fit.seconds, 1), "sample_s": round(draw.seconds, 1),
            "cpu_s": round(fit.cpu + draw.cpu, 1), "mib": round(max(fit.mib, draw.mib))}  # fmt: skip
