"""What an OpenMP setting does to a small training step on two threads, on an idle and on a busy machine.

    python bench/threads.py [--rounds 4] [--seconds 1.0] [--quick]

Compared: how long OpenMP threads spin before they sleep at a barrier, GOMP_SPINCOUNT = 0, 1,000, 20,000, 300,000, with
libgomp's own choice (300,000), OMP_WAIT_POLICY=PASSIVE, and a single thread. The step is one of the modern GAN at
28x28, width 24, batch 64. Every setting has a process of its own, since the setting must precede torch; they take
turns, one measuring while the others sleep, so that all see the same machine. Busy means 0, 1 and 2 spinning
neighbours. This decides what src/morelike/threads.py sets.

Expected (two Zen 4 cores): alone all settings lie within about 15 %; with two neighbours the default takes several
times as long as a short spin, because a thread that spins holds the core that the other one needs.
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
    game = Game(gan.Model(codec.spec("rsample"), gan.Config(width=WIDTH)))
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

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--quick", action="store_true", help="one short round, no neighbours: a smoke test")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work()
    rounds, seconds, loads = (1, 0.1, (0,)) if given.quick else (given.rounds, given.seconds, (0, 1, 2))
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
    report(contestants, loads)


def report(contestants: list[Contestant], loads: tuple[int, ...]) -> None:
    columns = ["setting", *(f"{kind}, {load} busy" for load in loads for kind in ("median ms", "mean ms"))]
    rows: list[list[object]] = []
    figures: dict[str, dict[str, list[float]]] = {}
    for one in contestants:
        row: list[object] = [one.setting]
        for load in loads:
            median, mean = float(np.median(one.times[load])), float(np.mean(one.times[load]))
            row += [f"{median:.1f}", f"{mean:.1f}"]
            figures.setdefault(one.setting, {})[str(load)] = [round(median, 2), round(mean, 2)]
        rows.append(row)
    table(columns, rows)
    tell("threads", median_and_mean_ms=figures, load_average=os.getloadavg()[0])


if __name__ == "__main__":
    main()
