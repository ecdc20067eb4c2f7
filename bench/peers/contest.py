"""What every peer shares: its command line, the clock that says when to stop, and the line that it prints.

The machine of a benchmark is seldom idle. `--clean` counts the budget in clean-equivalent seconds, steps times the
10th percentile of the step times so far, so that a neighbour's load takes no training away from a peer: the percentile
is what a step takes when nobody disturbs. Where the neighbours never rest even that is too long; `--step-ms` then
gives the step time measured on the idle machine, and the smaller of the two counts. Without `--clean` the budget is
wall time. Both are reported.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

THREADS = 2


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all peers understand."""
    options = argparse.ArgumentParser(description=description.splitlines()[0])
    options.add_argument("--data", type=Path, required=True, help="training images, .npy of uint8 (N, 28, 28)")
    options.add_argument("--minutes", type=float, required=True)
    options.add_argument("--out", type=Path, required=True, help="samples are written here, .npy of uint8 (N, 28, 28)")
    options.add_argument("--samples", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--clean", action="store_true", help="count clean-equivalent seconds, not wall time")
    options.add_argument("--step-ms", type=float, help="with --clean: step time measured on the idle machine")
    options.add_argument("--cap", type=float, default=2.5, help="stop at the latest after CAP x minutes of wall time")
    return options


@dataclass
class Clock:
    """Counts steps of one training run; `tick()` after each step is True once the budget is spent."""

    options: argparse.Namespace
    times: list[float] = field(default_factory=list)
    fast_step: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.last = self.looked = time.perf_counter()
        self.others_started = self._machine_busy() - time.process_time()

    @staticmethod
    def _machine_busy() -> float:
        """Busy CPU seconds of the whole machine since it started (Linux; nought elsewhere)."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return 0.0
        user, nice, system = (int(v) for v in stat.read_text().split("\n", 1)[0].split()[1:4])
        return (user + nice + system) / os.sysconf("SC_CLK_TCK")

    @property
    def wall(self) -> float:
        return self.last - self.started

    @property
    def clean_seconds(self) -> float:
        return len(self.times) * self.fast_step

    def tick(self) -> bool:
        """Record one step; the percentile is taken anew twice a second, for it costs more than a small step."""
        now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now
        if now - self.looked > 0.5 or len(self.times) < 20:
            self.looked = now
            self.fast_step = min(float(np.percentile(self.times, 10)), (self.options.step_ms or math.inf) / 1000)
        spent = self.clean_seconds if self.options.clean else self.wall
        return spent >= 60 * self.options.minutes or self.capped

    @property
    def capped(self) -> bool:
        return self.wall >= 60 * self.options.minutes * self.options.cap

    def result(self, peer: str, batch: int) -> dict[str, object]:
        """Steps, rates and the share of the machine that others used meanwhile."""
        others = self._machine_busy() - time.process_time() - self.others_started
        return {
            "peer": peer,
            "steps": len(self.times),
            "batch": batch,
            "wall_s": round(self.wall, 1),
            "clean_s": round(self.clean_seconds, 1),
            "step_ms_clean": round(1000 * self.fast_step, 2),
            "step_ms_p10": round(1000 * float(np.percentile(self.times, 10)), 2),
            "step_ms_median": round(1000 * float(np.median(self.times)), 2),
            "images_per_s_wall": round(batch * len(self.times) / self.wall, 1),
            "images_per_s_clean": round(batch / self.fast_step, 1),
            "capped": self.capped,
            "others_share": round(max(0.0, others) / (self.wall * (os.cpu_count() or 1)), 3),
        }


def finish(samples: np.ndarray, out: Path, result: dict[str, object]) -> None:
    """Write uint8 (N, 28, 28) to `out` and the result as one line of JSON, on the screen and beside the samples."""
    assert samples.dtype == np.uint8 and samples.shape[1:] == (28, 28), (samples.dtype, samples.shape)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.save(out, samples)
    line = json.dumps(result)
    out.with_suffix(".json").write_text(line + "\n")
    print(line, flush=True)
