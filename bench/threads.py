"""What an OpenMP setting does to a small training step on two threads, on an idle and on a busy machine.

    python bench/threads.py [--rounds 4] [--seconds 1.0] [--neighbours 0 1 2] [--quick]

Compared: how long OpenMP threads spin at a barrier before they sleep, GOMP_SPINCOUNT from 0 to 300,000, with libgomp's
own choice (300,000 while it sees a core for every thread), OMP_WAIT_POLICY=PASSIVE (no spinning), and a single thread.
The step is one of the modern GAN without its penalty, at 28x28, width 24, batch 64. Every setting has a process of its
own, since it must precede torch; they take turns, one measuring while the others sleep, so that all see the same
machine. Busy means so many spinning neighbours. This decides what src/morelike/threads.py sets.

A thread that spins holds the core that the one it waits for may need. Spinning is worth about the cost of falling
asleep and waking, some ten microseconds or a thousand spins; 300,000 are milliseconds, a whole slice of the scheduler.

Expected (two Zen 4 cores): alone all settings lie within about 20 % of each other; beside neighbours, 20,000 spins and
more take several times as long as 1,000 or none. The table has medians; means and 10th percentiles are in the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from machine import neighbours, table, tell

SETTINGS: dict[str, dict[str, str]] = {
    "default": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spin 0": {"GOMP_SPINCOUNT": "0"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "spin 5000": {"GOMP_SPINCOUNT": "5000"},
    "spin 20000": {"GOMP_SPINCOUNT": "20000"},
    "spin 300000": {"GOMP_SPINCOUNT": "300000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
WIDTH, BATCH = 24, 64


def work() -> None:
    """The process of one setting: reads a number of seconds from each line, answers with its step times in ms."""
    import torch  # before morelike, whose own setting then comes too late

    from morelike.codecs import image
    from morelike.core.spec import Batch
    from morelike.families import gan
    from morelike.train.game import Game

    torch.manual_seed(0)
    codec = image.Codec(image.Config(size=(28, 28), colour="grey"))
    game = Game(gan.Model(codec.spec("rsample"), gan.Config(width=WIDTH, gamma=0.0)))
    batch = Batch(torch.rand(BATCH, 1, 28, 28) * 2 - 1)
    step = 0
    for line in sys.stdin:
        times: list[float] = []
        begin = time.perf_counter()
        while time.perf_counter() - begin < float(line) or not times:
            tick = time.perf_counter()
            game.turn(batch, step, 0.5)
            times.append(1000 * (time.perf_counter() - tick))
            step += 1
        print(json.dumps(times), flush=True)


@dataclass
class Contestant:
    """A process with its setting, and the step times of it by number of neighbours."""

    setting: str
    process: subprocess.Popen[str]
    times: dict[int, list[float]] = field(default_factory=dict)

    @classmethod
    def start(cls, setting: str) -> Contestant:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
        environment |= {"OMP_NUM_THREADS": "2"} | SETTINGS[setting]
        command = [sys.executable, __file__, "--work"]
        pipe = subprocess.PIPE
        return cls(setting, subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True))

    def measure(self, seconds: float) -> list[float]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return list(json.loads(self.process.stdout.readline()))

    def told(self, load: int) -> list[float]:
        """Median, mean and 10th percentile of the step times beside `load` neighbours."""
        times = self.times[load]
        return [round(float(value), 2) for value in (np.median(times), np.mean(times), np.percentile(times, 10))]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2], help="spinning processes")
    parser.add_argument("--quick", action="store_true", help="one short round, no neighbours: a smoke test")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work()
    elif given.quick:
        compete(1, 0.1, [0])
    else:
        compete(given.rounds, given.seconds, given.neighbours)


def compete(rounds: int, seconds: float, loads: list[int]) -> None:
    """Let all settings take turns beside every number of neighbours, and tell."""
    with ExitStack() as stack:
        contestants = []
        for setting in SETTINGS:
            contestants.append(Contestant.start(setting))
            stack.callback(contestants[-1].stop)
            contestants[-1].measure(0.1)  # imports and first steps, one process after the other
        for load in loads:
            with neighbours(load):
                for one in contestants * rounds:
                    one.times.setdefault(load, []).extend(one.measure(seconds))
    columns = ["setting", *(f"{kind}, {load} busy" for load in loads for kind in ("median ms", "mean ms"))]
    table(columns, [[one.setting, *(f"{value:.1f}" for load in loads for value in one.told(load)[:2])]
                    for one in contestants])  # fmt: skip
    told = {one.setting: {str(load): one.told(load) for load in loads} for one in contestants}
    tell("threads", median_mean_p10_ms=told, load_average=round(os.getloadavg()[0], 1))


if __name__ == "__main__":
    main()
