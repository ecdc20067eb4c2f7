"""A race: several families get a part of the time, and the best of them all the rest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from morelike.assemble import training_end
from morelike.collect import Prepared
from morelike.core.errors import MorelikeError, TrainingError
from morelike.core.family import Family, HasLogProb
from morelike.core.spec import Batch
from morelike.data.ragged import take
from morelike.data.sequences import chosen
from morelike.fitting import Ready, begin_run, minutes_of
from morelike.run import Run
from morelike.train.folder import Folder, write_json
from morelike.train.loop import Progress, stop
from morelike.train.session import Clock

RUNNERS = ("independent", "mixture", "circuit")  # the quickest first
SHARE, LONGEST, SHORTEST = 0.12, 120.0, 3.0  # of the time that a trial takes, and seconds of it
STEPS = 0.1  # of the steps asked for, where no time is
JUDGED, AT_ONCE = 5_000, 512  # held-out rows that a trial is judged by, and of those at once


@dataclass(frozen=True)
class Trial:
    """What a family reached in a part of the time.

    nats     mean -log p of a held-out row: less is better
    seconds  that it took
    """

    family: str
    nats: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.family} {self.nats:.2f} nats a row after {self.seconds:.0f} s"


def race(ready: Ready, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Train each runner for a while, tell what it reaches on held-out rows, and train the best for all that is left."""
    trials: list[Trial] = []
    place = folder.path / "race"
    for name in RUNNERS:
        began = clock()
        try:
            yield from _quiet(begin_run(_short(ready, name, clock), Folder(place / name), Clock()), name, folder, clock)
        except MorelikeError as error:  # of one family: the others may do
            yield Progress("plan", seconds=clock(), note=f"{name} does not run: {error}", run=str(folder.path))
            continue
        if stop.is_set():
            yield Progress("stopped", seconds=clock(), note="Stopped before anything was kept", run=None)
            return
        trials.append(Trial(name, held_out(Run.load(place / name).family, ready.prepared), clock() - began))
        yield Progress("plan", seconds=clock(), note=f"Race: {trials[-1]}", run=str(folder.path))
    if not trials:
        raise TrainingError("No family could be trained on these rows", "At least one", "Name one with --family")
    best = min(trials, key=lambda one: one.nats)
    shutil.rmtree(place, ignore_errors=True)
    write_json(folder.path / "race.json", [vars(one) for one in trials])
    yield Progress("plan", seconds=clock(), note=f"Race: won by {best.family}", run=str(folder.path))
    yield from begin_run(replace(ready, request=replace(ready.request, family=best.family)), folder, clock)


def _short(ready: Ready, name: str, clock: Clock) -> Ready:
    """The same, for one family and a part of the time."""
    request = replace(ready.request, family=name)
    minutes = minutes_of(request)
    if minutes is None:
        return replace(ready, request=replace(request, steps=max(1, round(STEPS * (request.steps or 1)))))
    left = (training_end(minutes) or 0.0) - clock()
    seconds = float(np.clip(SHARE * left, SHORTEST, LONGEST))
    return replace(ready, request=replace(request, minutes=seconds / 60))


def _quiet(events: Iterator[Progress], name: str, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """The events of a trial, as part of the race."""
    for event in events:
        if event.stage == "train":
            yield replace(event, note=None, seconds=clock(), run=str(folder.path))


@torch.no_grad()
def held_out(family: Family, prepared: Prepared) -> float:
    """Mean -log p of held-out rows, in nats; of training rows where none are held out."""
    assert isinstance(family, HasLogProb)
    rows = (prepared.held if len(prepared.held) else prepared.kept)[:JUDGED]
    total = 0.0
    for part in np.array_split(rows, max(1, len(rows) // AT_ONCE)):
        given = {name: chosen(value, part) for name, value in prepared.given.items()}
        batch = Batch(prepared.codec.encode(take(prepared.data.x, part)), given)
        total -= float(family.log_prob(batch).double().sum())
    return total / len(rows)
