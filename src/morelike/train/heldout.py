"""Loss on items that are not trained on, at fixed moments of the budget; the weights with the smallest one are kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from morelike.core.errors import RunError
from morelike.core.spec import Batch
from morelike.train.budget import Plan
from morelike.train.folder import load_tensors, save_tensors
from morelike.train.game import Game

MOMENTS = 20  # looks in a run, evenly spaced over the budget
SHARE = 0.02  # of the training steps is spent on them, a look at a batch costing a third of a step
MOST = 24  # batches
CLEAR = 0.003  # by how much, as a share, the last weights must be worse for the best ones to take their place


def fitting_number(steps: int) -> int:
    """How many batches to look at in a run of so many steps."""
    return max(1, min(MOST, int(3 * SHARE * steps / MOMENTS)))


class HeldOut:
    """Watches a game of one player, so that what learns its items by heart is stopped in time.

    path     where the best weights are kept; those of a step that a resumed run has not come to yet are forgotten
    batches  those to look at, always the same
    step     taken so far
    """

    def __init__(self, path: Path, game: Game, plan: Plan, batches: Sequence[Batch], step: int) -> None:
        self.path, self.game, self.plan, self.batches = path, game, plan, batches
        self.best, self.last = (float("inf"), 0), float("inf")
        with suppress(RunError, KeyError):
            note = load_tensors(path)[1]
            if note["step"] <= step:
                self.best = note["loss"], note["step"]
        self.next = self._after(step)

    def look(self, step: int) -> float | None:
        """The loss if a moment has come with this step: nats per token, or what the game calls its loss."""
        if not self.batches or self.plan.fraction(step) < self.next - 1e-9:
            return None
        self.next, self.last = self._after(step), self.loss()
        if self.last < self.best[0]:
            self.best = self.last, step
            save_tensors(self.path, self.game.weights(), {"step": step, "loss": self.last})
        return self.last

    def loss(self) -> float:
        """Mean loss of the averaged weights on the held-out batches."""
        with self.game.averaged() as family, self.game.autocast():
            moves = [next(family.play(batch)) for batch in self.batches]
        return float(torch.stack([move.log.get("nats", move.loss.mean()).float() for move in moves]).mean())

    def better(self) -> dict[str, Tensor] | None:
        """The best weights of the run, where they are clearly better than the last ones."""
        if self.best[0] > self.last * (1 - CLEAR):
            return None
        with suppress(RunError):
            return load_tensors(self.path)[0]
        return None

    def _after(self, step: int) -> float:
        return (int(self.plan.fraction(step) * MOMENTS + 1e-9) + 1) / MOMENTS
