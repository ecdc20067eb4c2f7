"""A training run on disk: iterates the loop, logs, saves, draws, keeps the deadline, and tells how it goes."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from morelike.core.errors import TrainingError
from morelike.core.family import Family, HasDiagnosis, History
from morelike.core.spec import Batch
from morelike.train.budget import Pace, Plan, record
from morelike.train.folder import Folder, save_tensors
from morelike.train.game import Game
from morelike.train.heldout import HeldOut
from morelike.train.ledger import Ledger
from morelike.train.loop import Progress, train
from morelike.train.meters import processor_seconds
from morelike.train.optim import rate
from morelike.train.trail import DrawsItems, Peeking, Trail

DRAWS_LIKE_FINISHING = 8  # finishing takes about as long as this many pictures; on a busy machine both take longer
FLUSH = 0.5  # seconds between two progress events
PATIENCE = 30  # training takes at least this many times as long as saving it, or drawing from it


@dataclass
class Clock:
    """Seconds that the run has taken, those before a resume included.

    before  seconds of the parts before a resume
    began   `time.perf_counter()` when this part began, and `cpu` the processor's seconds then
    """

    before: float = 0.0
    began: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=processor_seconds)

    def __call__(self) -> float:
        return self.before + time.perf_counter() - self.began


@dataclass
class Session:
    """All that one run needs, and what it remembers between two events.

    preview        draws the fixed seeds with a family into a file, which has its `suffix` or is a picture; if it
                   `DrawsItems`, the run leaves a trail
    deadline       seconds at which training must be over; None for a number of steps
    batch          examples per step
    step           steps taken so far
    picture_every  seconds between two pictures, and save_every between two saves
    drawing        seconds that the last picture took
    held           watches the loss on held-out items, and keeps the weights with which it was smallest
    """

    game: Game
    folder: Folder
    plan: Plan
    seed: int
    clock: Clock
    preview: Callable[[Family, Path], None]
    deadline: float | None = None
    batch: int = 1
    step: int = 0
    picture_every: float = 10.0
    save_every: float = 20.0
    history: History = field(default_factory=History)
    picture: str | None = None
    drawing: float = 0.0
    said: set[str] = field(default_factory=set)
    held: HeldOut | None = None

    def __post_init__(self) -> None:
        path, draws = self.folder.path, self.preview if isinstance(self.preview, DrawsItems) else None
        draws = None if self.game.family.watched else draws  # its held-out loss tells how fast it improves
        self.ledger = Ledger(path / "cost.json", self.game, self.batch, self.clock.began, self.clock.cpu)
        self.trail = Trail(path / "trail", draws, self.game, self.plan, self.batch, self.step)

    def run(self, batches: Iterator[Batch]) -> Iterator[Progress]:
        """Train to the end of the plan, or until stopped; every event is a moment at which the run can be left."""
        pace = Pace(self.deadline) if self.deadline is not None else None
        replayed = self.plan.revisions[-1].step if self.plan.revisions[-1].step >= self.step else -1
        notes: list[str] = []
        told = self.plan.steps

        def revise(step: int) -> None:
            nonlocal told
            if pace is not None and self.deadline is not None:
                spare = max(0.0, DRAWS_LIKE_FINISHING * self.drawing - 1.5) + 2 * self.trail.last
                pace.deadline = self.deadline - spare
            if pace is not None and step > replayed and (end := pace.revised_end(self.clock(), step, self.plan)):
                record(self.folder.plan, [self.plan.revise(step, end)])
                if abs(end - told) > 0.25 * told:
                    notes.append(f"The machine's speed has changed: about {end:,} steps to the deadline, not {told:,}.")
                    told = end

        ahead = Peeking(batches)
        pending: list[tuple[int, dict[str, Tensor]]] = []
        flushed, drawn, saved, first = self.clock(), self.clock(), self.clock(), self.step
        for turn in train(self.game, ahead, self.plan, self.seed, self.step, revise):
            self.step = turn.step
            if self.held is not None and (loss := self.held.look(turn.step)) is not None:
                turn.log["held_out"] = torch.tensor(loss)
            pending.append((turn.step, turn.log))
            self.trail.look(turn.step, self.clock, ahead)
            now = self.clock()
            if now - flushed < FLUSH and turn.step - first > 1 and turn.step < self.plan.steps:
                continue
            log = self._flush(pending)
            self.ledger.update()
            pace_rate = len(pending) / max(now - flushed, 1e-9)
            pending, flushed = [], now
            if now - drawn > self.picture_every:
                self.draw()
                drawn = self.clock()
            if now - saved > self.save_every:
                self.save()
                saved = self.clock()
                self.save_every = max(self.save_every, PATIENCE * (saved - now))
            yield self._progress(log, pace_rate, notes.pop() if notes else self._diagnosis())
        if pending:
            self._flush(pending)
        self.save()

    def _flush(self, pending: list[tuple[int, dict[str, Tensor]]]) -> dict[str, float]:
        """Means of the pending logs, written to log.jsonl; a `TrainingError` at the first loss that is not finite."""
        names = list(dict.fromkeys(name for _, log in pending for name in log))
        values = {name: torch.stack([log[name] for _, log in pending if name in log]) for name in names}
        if not all(bool(value.isfinite().all()) for value in values.values()):
            step, log = next((step, log) for step, log in pending if not all(v.isfinite() for v in log.values()))
            name = next(name for name, value in log.items() if not value.isfinite())
            self._not_finite(f'the loss of player "{name}"' if name in self.game.players else f'"{name}"', step, name)
        means = {name: float(value.mean()) for name, value in values.items()}
        self.history.add(means)
        line = {"step": self.step, "seconds": round(self.clock(), 3), **{k: round(v, 6) for k, v in means.items()}}
        with self.folder.log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return means

    def _not_finite(self, what: str, step: int, name: str = "") -> None:
        optim = self.game.optims.get(name) or next(iter(self.game.optims.values()))
        lr = rate(optim, self.plan.fraction(step - 1))
        good = sorted(self.folder.states.glob("*.safetensors"))
        last = f"the last good state is {good[-1]}" if good else "no state had been saved yet"
        raise TrainingError(
            f"At step {step:,} {what} was not a finite number (learning rate {lr:.3g}); {last}",
            "Every loss and every weight has to stay finite",
            f"Train again with --set lr={lr / 3:.1g}, or with --set precision=float32",
        )

    def settle(self) -> str | None:
        """Go back to the weights with the smallest held-out loss, if the last ones are worse; a sentence says so."""
        best = None if self.held is None else self.held.better()
        if self.held is None or best is None:
            return None
        self.game.adopt(best)
        loss, step = self.held.best
        return (
            f"Kept the weights of step {step:,}: on held-out items their loss was {loss:.4g}, and {self.held.last:.4g} "
            "in the end, when the model had begun to learn its items by heart."
        )

    def draw(self) -> None:
        began, path = self.clock(), self.folder.samples / f"{self.step:09d}{getattr(self.preview, 'suffix', '.png')}"
        with self.game.averaged() as family:
            self.preview(family, path)
        self.picture, self.drawing = str(path), self.clock() - began
        self.picture_every = max(self.picture_every, PATIENCE * self.drawing)

    def save(self) -> None:
        """Write the state, from which training goes on, then the weights, which are sampled from, and what it cost."""
        note = {"step": self.step, "seconds": self.clock(), "steps": self.plan.steps}
        state = self.game.state()
        for name, value in state.items():  # a finite loss can still leave weights that are not
            if not bool(value.isfinite().all()):
                self._not_finite(f'the weight "{name.removeprefix("live.")}"', self.step)
        self.folder.save_state(state, note)
        save_tensors(self.folder.weights, self.game.weights(), note)
        self.ledger.write(self.step)

    def _progress(self, log: dict[str, float], games: float, note: str | None) -> Progress:
        seconds, fraction = self.clock(), self.plan.fraction(self.step)
        left = (self.plan.steps - self.step) / games if math.isfinite(games) and games else 0.0
        if self.deadline is not None:
            left = max(0.0, self.deadline - seconds)
        return Progress(
            "train", self.step, self.plan.steps, fraction, seconds, left, games * self.batch, log, note, self.picture
        )

    def _diagnosis(self) -> str | None:
        """A sentence from the family about what is going wrong, once each."""
        family = self.game.family
        said = family.diagnose(self.history) if isinstance(family, HasDiagnosis) else None
        if said is None or (kind := re.sub(r"[\d.,%]+", "", said)[:40]) in self.said:  # whatever the numbers in it are
            return None
        self.said.add(kind)
        return said
