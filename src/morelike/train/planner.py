"""Measures this machine for a few seconds and chooses size, precision, threads and the number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from morelike.core.family import Family
from morelike.core.spec import Batch
from morelike.train.game import Game

FEWEST = 5  # steps in a measurement, where they fit into three times its seconds


@dataclass(frozen=True)
class Choice:
    """What the planner settled: width of the nets, precision, CPU threads, steps, and examples per second."""

    width: int
    precision: str
    threads: int
    steps: int
    rate: float

    def sentence(self, seconds: float, batch: int) -> str:
        return (
            f"Plan: width {self.width}, batch {batch}, {self.precision}, {self.threads} thread(s), {self.steps:,} "
            f"steps at {self.rate:,.0f} examples/s, to end after {seconds:.0f} s."
        )


@dataclass
class Planner:
    """Times real steps of real games on real batches.

    build    makes the family for a width
    batch    a batch of the data
    seconds  how long measuring may take in all
    """

    build: Callable[[int], Family]
    batch: Batch
    seconds: float

    def rate(self, width: int, precision: str, threads: int, seconds: float) -> float:
        """Examples per second of training steps, the first of which is not counted if there is time for more."""
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        game = Game(self.build(width), precision=precision, average=0.1)
        ticks = [time.perf_counter()]
        while len(ticks) < FEWEST or ticks[-1] - ticks[0] < seconds:
            game.turn(self.batch, len(ticks), 0.0)
            if game.device.type == "cuda":
                torch.cuda.synchronize()
            ticks.append(time.perf_counter())
            if ticks[-1] - ticks[0] > 3 * seconds:
                break
        first = 1 if len(ticks) > 2 else 0
        return len(self.batch.x) * (len(ticks) - 1 - first) / (ticks[-1] - ticks[first])

    def choose(self, widths: Sequence[int], left: Callable[[], float], wanted: int, fixed: Mapping[str, Any]) -> Choice:
        """The widest net that still sees `wanted` examples in the seconds left; the narrowest if none does.

        fixed  precision and threads that the user has set
        """
        began, each = time.perf_counter(), self.seconds / (len(widths) + 2)
        trial = widths[min(1, len(widths) - 1)]
        most = torch.get_num_threads()
        threads = int(fixed.get("threads") or most)
        precision, rate = fixed.get("precision"), None
        if precision is None:
            precision, rate = self._faster_precision(trial, threads, each)
        if rate is None or time.perf_counter() - began < self.seconds:  # or a step takes so long that one has to do
            if fixed.get("threads") is None and most > 1:  # a second one can cost more than it brings
                threads = max((most, 1), key=lambda count: self.rate(trial, precision, count, each / 2))
            rate = self.rate(widths[0], precision, threads, each)
        width = widths[0]
        for wider in widths[1:]:
            if time.perf_counter() - began > self.seconds:
                break
            slower = self.rate(wider, precision, threads, each)
            if slower * left() < wanted:
                break
            width, rate = wider, slower
        torch.set_num_threads(threads)
        return Choice(width, precision, threads, max(1, int(rate * left() / len(self.batch.x))), rate)

    def _faster_precision(self, width: int, threads: int, seconds: float) -> tuple[str, float]:
        """bfloat16 where it is at least a tenth faster, since it costs some precision; and its examples per second."""
        began = time.perf_counter()
        plain = self.rate(width, "float32", threads, seconds)
        if time.perf_counter() - began > self.seconds:
            return "float32", plain
        half = self.rate(width, "bfloat16", threads, seconds)
        return ("bfloat16", half) if half > 1.1 * plain else ("float32", plain)
