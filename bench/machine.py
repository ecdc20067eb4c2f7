"""The machine under the measurements: who else uses it, neighbours that keep it busy, and how results are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# A neighbour ends with the script that started it, even where that is killed.
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(100_000):\n        pass"


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """`count` Python processes that spin as long as the block lasts."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
        for process in spinning:
            process.wait()


def busy_seconds() -> float:
    """Busy CPU seconds of the whole machine since it started (Linux; nought elsewhere)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system = (int(value) for value in stat.read_text().split("\n", 1)[0].split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class Watch:
    """Share of the machine that others have used since the watch was made; children count once they have ended."""

    def __init__(self) -> None:
        self.wall, self.busy, self.own = time.perf_counter(), busy_seconds(), own_seconds()

    def others(self) -> float:
        wall = max(time.perf_counter() - self.wall, 1e-9)
        theirs = busy_seconds() - self.busy - (own_seconds() - self.own)
        return round(max(0.0, theirs) / (wall * (os.cpu_count() or 1)), 3)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows in aligned columns, the first one to the left."""
    cells = [list(columns)] + [[f"{one:.3g}" if isinstance(one, float) else str(one) for one in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for first, *others in cells:
        right = (cell.rjust(wide) for cell, wide in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *right]))


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def tell(bench: str, **figures: Any) -> None:
    """The result as one line of JSON."""
    print(json.dumps({"bench": bench, **figures}), flush=True)
