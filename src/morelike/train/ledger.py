"""The ledger of a run: what it has cost so far, over all its parts, kept in `cost.json`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # what pydantic asks for on Python 3.11

from morelike.train.flops import per_step
from morelike.train.folder import write_json
from morelike.train.game import Game
from morelike.train.meters import (
    Meter,
    gpu_meters,
    peak_memory,
    processor_meters,
    processor_name,
    processor_seconds,
)

SUMS = ("seconds", "cpu_seconds")  # what the parts of a resumed run add up to
JOULES = ("processor_joules", "gpu_joules")  # likewise, where every part was metered
PEAKS = ("peak_memory", "gpu_peak_memory")  # of which the highest part counts


class Spent(TypedDict, total=False):
    """What earlier parts of a run have left in cost.json, as far as a later one needs it."""

    seconds: float
    cpu_seconds: float
    processor_joules: float | None
    gpu_joules: float | None
    peak_memory: int | None
    gpu_peak_memory: int | None
    parts: int
    flops_of_steps: dict[int, int]


class Ledger:
    """Adds up what a run costs and writes it down; what a killed part spent after its last save is lost to it.

    path    of cost.json, which may hold what earlier parts of the run have cost
    game    whose steps are counted
    batch   examples in a step
    began   `time.perf_counter()` when this part of the run began, and
    cpu     `processor_seconds()` then
    """

    def __init__(self, path: Path, game: Game, batch: int, began: float, cpu: float) -> None:
        self.path, self.game, self.batch, self.began, self.cpu = path, game, batch, began, cpu
        self.before = _read(path)
        game.flops = dict(self.before.get("flops_of_steps", {}))
        self.meters: dict[str, Sequence[Meter]] = {
            "processor_joules": processor_meters(), "gpu_joules": gpu_meters(game.device),
        }  # fmt: skip

    def update(self) -> None:
        """Look at the energy meters, which start again from nought now and then."""
        for meters in self.meters.values():
            for meter in meters:
                meter.update()

    def write(self, step: int) -> None:
        """Write down what `step` steps have cost."""
        part, before = self._part(), dict[str, Any](self.before)
        spent = {name: part[name] + before.get(name, 0.0) for name in SUMS}
        spent |= {name: _both(part[name], before.get(name, 0.0)) for name in JOULES}
        spent |= {name: max(filter(None, (part[name], before.get(name))), default=None) for name in PEAKS}
        counts = self.game.flops or {}
        spent |= {
            "parts": before.get("parts", 0) + 1, "step": step, "batch": self.batch, "flops_per_step": per_step(counts),
            "flops_of_steps": counts, "threads": torch.get_num_threads(), "cores": os.cpu_count(),
            "processor": processor_name(),
            "gpu": torch.cuda.get_device_name(self.game.device) if self.game.device.type == "cuda" else None,
            "optimizers": {player: asdict(optim) for player, optim in self.game.optims.items()},
        }  # fmt: skip
        write_json(self.path, spent)

    def _part(self) -> dict[str, Any]:
        """What this part has cost so far."""
        device = self.game.device
        part: dict[str, Any] = {
            "seconds": time.perf_counter() - self.began, "cpu_seconds": processor_seconds() - self.cpu,
            "peak_memory": peak_memory(),
            "gpu_peak_memory": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        }  # fmt: skip
        for name, meters in self.meters.items():
            part[name] = sum(meter.update() for meter in meters) if meters else None
        return part


def _read(path: Path) -> Spent:
    """What cost.json says; nothing where there is none yet or it is damaged, for no run should fail over its cost."""
    try:
        return TypeAdapter(Spent).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}


def _both(one: float | None, other: float | None) -> float | None:
    """The sum of two parts; None where either is not known."""
    return None if one is None or other is None else one + other
