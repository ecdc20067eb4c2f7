"""A trail of samples: what the model would have drawn at some moments of its training, to see how fast it improves.

Losses of a game say nothing about quality, so the forecast needs items. They are drawn from the same seeds every time,
by the averaged weights, at moments spaced evenly on a logarithmic scale, and are kept with 8 bits a number.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from morelike.core.errors import RunError
from morelike.core.family import Family, HasFinish
from morelike.core.spec import Batch
from morelike.train.budget import Plan
from morelike.train.folder import load_tensors, save_tensors
from morelike.train.game import Game

MOMENTS, FIRST = 12, 1 / 16  # how many in a run, and the fraction of it at which the first is
FRACTIONS = tuple(FIRST ** (1 - i / (MOMENTS - 1)) for i in range(MOMENTS))
FEWEST, MOST = 64, 512  # items drawn at a moment
BYTES = 2_000_000  # of the items of one moment, at most, above the fewest
SHARE = 0.04  # of the number of examples trained on is drawn in all; each costs a tenth to a fifth of one trained on
FIT = 640  # items for what a family fits after training; where it fits something, only every second moment is drawn
PATIENCE = (1.0, 0.02)  # seconds, and share of the run so far, after which drawing is given up but for the last moment


@runtime_checkable
class DrawsItems(Protocol):
    """Draws the first n items of a family, encoded: (n, *shape); item i has seed i."""

    def items(self, family: Family, n: int) -> Tensor: ...


@runtime_checkable
class DrawsSlowly(Protocol):
    """Needs as long for an item as for `draw_cost` examples of training, because its items come from long chains.

    They can be drawn without what is fitted after training.
    """

    draw_cost: float


@dataclass(frozen=True)
class Moment:
    """What was drawn after `step` steps, `seconds` after the run began, with `fraction` of its budget spent.

    x     by the averaged weights, (n, *shape)
    live  by the weights as they were, (n, *shape); at the last moment only
    """

    step: int
    seconds: float
    fraction: float
    x: Tensor
    live: Tensor | None = None


class Trail:
    """Draws when a moment has come; which moments there are depends on the plan alone, not on the clock.

    folder  `trail` in the run folder; moments after `step`, which a resumed run comes to again, are removed from it
    draws   draws the items; None for no trail
    """

    def __init__(
        self, folder: Path, draws: DrawsItems | None, game: Game, plan: Plan, batch: int, step: int
    ) -> None:  # fmt: skip
        self.folder, self.draws, self.game, self.plan, self.batch = folder, draws, game, plan, batch
        self.spent = self.last = 0.0
        for path in folder.glob("*.safetensors"):
            if not path.stem.isdigit() or int(path.stem) > step:
                path.unlink(missing_ok=True)
        self.fractions = FRACTIONS[1::2] if isinstance(game.family, HasFinish) else FRACTIONS
        self._await(step)

    def look(self, step: int, clock: Callable[[], float], ahead: Peeking) -> None:
        """Draw if the next moment has come with this step; `ahead` are the batches to come."""
        if self.draws is None or self.plan.fraction(step) < self.next - 1e-9:
            return
        self._await(step)
        seconds = clock()
        if self.spent > PATIENCE[0] + PATIENCE[1] * seconds and step < self.plan.steps:
            return
        began = time.perf_counter()
        torch.manual_seed(step)  # for what is fitted; the next step has a seed of its own
        with suppress(RuntimeError, ValueError):  # weights not finite, or no room: said when saving
            self._draw(step, seconds, ahead)
        self.last = time.perf_counter() - began
        self.spent += self.last

    def _draw(self, step: int, seconds: float, ahead: Peeking) -> None:
        game = self.game
        with game.averaged() as family:
            drawn = {"x": pack(self._drawn(family, ahead))}
        if step >= self.plan.steps and game.average:
            with game.still() as family:
                drawn["live"] = pack(self._drawn(family, ahead))
        scales = {name: scale for name, (_, scale) in drawn.items()}
        note = {"step": step, "seconds": seconds, "fraction": self.plan.fraction(step), "scales": scales}
        save_tensors(self.folder / f"{step:09d}.safetensors", {name: x for name, (x, _) in drawn.items()}, note)

    def _await(self, step: int) -> None:
        """Settle which fraction of the budget is waited for next."""
        now = self.plan.fraction(step) + 1e-9
        self.next = next((fraction for fraction in self.fractions if fraction > now), math.inf)

    def _drawn(self, family: Family, ahead: Peeking) -> Tensor:
        """Items of the family, or of a copy with all that is fitted to the data after training."""
        assert self.draws is not None
        if isinstance(family, HasFinish) and not isinstance(family, DrawsSlowly):
            family = copy.deepcopy(family)
            cast(HasFinish, family).finish(ahead.peek(max(1, FIT // self.batch)))
        room = BYTES // max(1, math.prod(family.spec.shape))
        cost = family.draw_cost if isinstance(family, DrawsSlowly) else 1.0
        paid = int(SHARE * self.plan.revisions[0].steps * self.batch / MOMENTS / cost)
        return self.draws.items(family, max(FEWEST, min(MOST, room, paid) // 32 * 32))


class Peeking(Iterator[Batch]):
    """Batches, of which the next few can be looked at before it is their turn."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.batches = batches
        self.waiting: deque[Batch] = deque()

    def __next__(self) -> Batch:
        return self.waiting.popleft() if self.waiting else next(self.batches)

    def peek(self, n: int) -> list[Batch]:
        """The next n batches, which stay where they are."""
        while len(self.waiting) < n and (batch := next(self.batches, None)) is not None:
            self.waiting.append(batch)
        return list(self.waiting)[:n]


def pack(x: Tensor) -> tuple[Tensor, float]:
    """Real numbers with 8 bits each, round(127.5 (x / scale + 1)), and their scale, 1 for pictures; tokens as int32.

    x: (n, *shape) -> the same shape.
    """
    if not x.is_floating_point():
        return x.to("cpu", torch.int32), 0.0
    x = x.detach().float().cpu().nan_to_num(0.0)
    scale = max(1.0, float(x.abs().max())) if x.numel() else 1.0
    return ((x / scale + 1) * 127.5).round().to(torch.uint8), scale


def unpack(packed: Tensor, scale: float) -> Tensor:
    """What `pack` packed, as float32 or int64."""
    return (packed.float() / 127.5 - 1) * scale if packed.dtype == torch.uint8 else packed.long()


def read_trail(run: Path) -> list[Moment]:
    """The moments of a run, first to last; one that is damaged is left out."""
    moments = []
    for path in sorted((run / "trail").glob("*.safetensors")):
        try:
            tensors, note = load_tensors(path)
            items = {name: unpack(value, note["scales"][name]) for name, value in tensors.items()}
            moments.append(Moment(note["step"], note["seconds"], note["fraction"], items["x"], items.get("live")))
        except (RunError, KeyError, TypeError):
            continue
    return moments
