"""Steps of one training loop, timed, with the memory that they take: shared by the scripts beside it."""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

KINDS = 65


def arguments() -> tuple[str, int, tuple[int, int, int, int]]:
    """Who runs, how many steps, and (blocks, units, rows, tokens in a row)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--who", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--size", type=int, nargs=4, required=True)
    given = parser.parse_args()
    return given.who, given.steps, tuple(given.size)


def resident() -> int:
    """Resident bytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(step: Callable[[], object], steps: int, size: tuple[int, ...], parameters: int, before: int) -> None:
    """Print tokens per second (median of the steps after the first three) and the memory beyond `before`, in MiB."""
    ticks = []
    for number in range(steps + 3):
        begin = time.perf_counter()
        step()
        ticks.append(time.perf_counter() - begin)
        if number == 2:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    median = sorted(ticks[3:])[steps // 2]
    rate = size[2] * size[3] / median
    print(json.dumps({"rate": round(rate), "parameters": parameters, "mib": round((peak - before) / 2**20)}))
