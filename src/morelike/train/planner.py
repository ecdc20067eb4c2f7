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

WARM, SHORTEST = 2, 3  # steps thrown away, and fewest steps counted, in a measurement


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
        """Examples per second of training steps; the median step, so that one hiccup does not count."""
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        game = Game(self.build(width), precision=precision, average=0.1)
        times: list[float] = []
        begin = time.perf_counter()
        step = 0
        while step < WARM + SHORTEST or time.perf_counter() - begin < seconds:
            tick = time.perf_counter()
            game.turn(self.batch, step, 0.0)
            if game.device.type == "cuda":
                torch.cuda.synchronize()
            step += 1
            if step > WARM:
                times.append(time.perf_counter() - tick)
            if step > WARM and time.perf_counter() - begin > 3 * seconds:
                break
        return len(self.batch.x) * len(times) / sum(times)

    def choose(self, widths: Sequence[int], left: Callable[[], float], wanted: int, fixed: Mapping[str, Any]) -> Choice:
        """The widest net that still sees `wanted` examples in the seconds left; the narrowest if none does.

        fixed: precision and threads that the user has set.
        """
        each = self.seconds / (len(widths) + 2)
        most = torch.get_num_threads()
        precision, threads = fixed.get("precision"), fixed.get("threads")
        width, wide = widths[0], widths[min(1, len(widths) - 1)]
        threads = int(threads or most)
        if precision is None:
            plain, half = (self.rate(wide, kind, threads, each) for kind in ("float32", "bfloat16"))
            precision = "bfloat16" if half > 1.1 * plain else "float32"
        if fixed.get("threads") is None and most > 1:
            both, one = self.rate(wide, str(precision), most, each / 2), self.rate(wide, str(precision), 1, each / 2)
            threads = most if both > one else 1
        rate = self.rate(width, str(precision), threads, each)
        for wider in widths[1:]:
            faster = self.rate(wider, str(precision), threads, each)
            if faster * left() < wanted:
                break
            width, rate = wider, faster
        torch.set_num_threads(threads)
        return Choice(width, str(precision), threads, max(1, int(rate * left() / len(self.batch.x))), rate)
