"""`--minutes` is a promise: minutes asked against seconds taken, from the start of the process to its end.

    python bench/deadline.py [--minutes 1 3 10] [--family gan vae] [--busy] [--quick]

Whole `morelike fit` processes on the built-in world, one after the other, each with an empty cache, so that importing,
collecting, preparing, planning, training and finishing all count. With --busy one Python process for each core spins
meanwhile, started and stopped by this script. The JSON tells when each stage last reported, to see where time went.

Expected: every fit within 10 % of the minutes asked, on the idle and on the busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import CORES, Watch, neighbours, table, tell, verdict

MORELIKE = Path(sys.executable).parent / "morelike"
TOLERANCE = 0.10


def fit(minutes: float, family: str, source: str) -> tuple[float, str, dict[str, float]]:
    """Seconds from start to exit, what the planner said, and the run's own second at the last event of each stage."""
    with tempfile.TemporaryDirectory(prefix="deadline-") as folder:
        run = Path(folder) / "run"
        command = [str(MORELIKE), "fit", source, "--family", family, "--minutes", f"{minutes:g}", "--out", str(run)]
        environment = os.environ | {"MORELIKE_CACHE": str(Path(folder) / "cache")}
        begin = time.perf_counter()
        done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}: {done.stdout[-500:]}{done.stderr}")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        reached = {one["stage"]: round(one["seconds"], 1) for one in events if "stage" in one}
        return seconds, json.loads((run / "recipe.json").read_text())["plan"]["said"], reached


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3, 10])
    parser.add_argument("--family", nargs="+", default=["gan", "vae"])
    parser.add_argument("--source", default="menagerie")
    parser.add_argument("--busy", action="store_true", help="spin one Python process for each core meanwhile")
    parser.add_argument("--quick", action="store_true", help="one fit of 15 seconds: a smoke test")
    given = parser.parse_args()
    cases = [(minutes, family) for family in given.family for minutes in given.minutes]
    cases = [(0.25, given.family[0])] if given.quick else cases
    machine = "busy" if given.busy else "idle"
    rows, worst = [], 0.0
    with neighbours(CORES if given.busy else 0):
        for minutes, family in cases:
            watch = Watch()
            seconds, plan, reached = fit(minutes, family, given.source)
            error = seconds / (60 * minutes) - 1
            worst = max(worst, abs(error))
            rows.append([family, f"{minutes:g}", f"{seconds:.1f}", f"{100 * error:+.1f}", watch.others()])
            print(plan, flush=True)
            tell("deadline", machine=machine, family=family, minutes=minutes, seconds=round(seconds, 2),
                 error_percent=round(100 * error, 2), reached=reached, others=watch.others())  # fmt: skip
    table([f"family ({machine})", "minutes asked", "seconds taken", "error %", "others' share"], rows)
    print(f"within {TOLERANCE:.0%}: {verdict(worst <= TOLERANCE)} (worst {worst:.1%})")


if __name__ == "__main__":
    main()
