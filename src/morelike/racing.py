"""A race: several families get a part of the time, and the best of them all the rest.

Held-out rows choose: by their likelihood, and among families that are near in it by how well samples pass for them,
since what is likeliest is not always what looks most like the data. Where rows are few the winner is then trained anew
on these as well; what it was before that is kept in the folder `before` of the run, and the report goes by it: it has
held-out rows that it never saw.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.collect import Prepared
from morelike.core.errors import MorelikeError, RunError, TrainingError
from morelike.core.family import Family, HasLogProb
from morelike.core.spec import Batch
from morelike.data.ragged import take
from morelike.data.sequences import chosen
from morelike.fitting import Ready, begin_run, minutes_of
from morelike.measure.table.passing import Passing, passing
from morelike.recipes import FEW, Request
from morelike.run import Run
from morelike.train.folder import BEFORE, Folder, damaged, load_tensors, read_json, write_json
from morelike.train.loop import Progress, stop
from morelike.train.session import Clock

RUNNERS = ("independent", "mixture", "circuit", "forest", "anyorder")  # the quickest first
OF_FEW = ("independent", "circuit", "regressions")  # of few rows
OF_FEW_AND_WIDE = ("independent", "regressions", "circuit")  # whose circuits are slow to begin
SHARE, LONGEST, SHORTEST = 0.06, 60.0, 3.0  # of the time that a trial takes, and seconds of it
LEAST = 1.0  # second that a trial is given where there is no time
FINALISTS, NEAR = 2, 1.5  # how many of the best share what is left, if they come within so many nats of the best,
GROWING, PART = 0.4, 0.25  # or within this part of what it has gained on independent columns, after short trials (what
# grows longest is slow at first) and in the end
STEPS = 0.1  # of the steps asked for that a trial takes, where no time is
PLACE, KEPT = "race", "race.json"  # folder of the trials, and how far the race is, in it
SOON = ("forest",)  # of which more time makes no more: their trial is all there is
GROWS, WIDE = 30.0, 200  # seconds that have to be left for a forest to race, which grows in some of them; cells at most
CONTENDERS, ENOUGH = 3, 300  # how many of the best are judged by samples, and held-out rows from which they are
LEARNT, SPARE = 8_000, 2.0  # rows that judges learn from, and seconds that are kept for each judgement
AGAIN, DRAWN = 4, 8_000  # samples to judge by: for each held-out row, and how many at most, or one for each
WHOLE = "whole"  # place of the winner that has seen all rows
CHANCE = 2.0  # standard errors up to which a difference may be chance
JUDGED, AT_ONCE = 5_000, 512  # held-out rows that a trial is judged by, and of those at once


@dataclass(frozen=True)
class Trial:
    """What a family reached in a part of the time.

    nats     mean -log p of a held-out row: less is better
    seconds  that it took, and `given`, that it was to take
    passes   how well its samples pass for held-out rows, of 1, where that was asked, and the standard error of this
    """

    family: str
    nats: float
    seconds: float
    given: float | None = None
    passes: float | None = None
    error: float = 0.0

    @property
    def beyond(self) -> float:
        """Seconds that it took beyond what it was given: of very many columns, most of them."""
        return 0.0 if self.given is None else max(0.0, self.seconds - self.given)

    def __str__(self) -> str:
        said = f"{self.family} {self.nats:.2f} nats a row after {self.seconds:.0f} s"
        return said if self.passes is None else f"{said}; its samples pass for {self.passes:.2f} of 1"


@dataclass
class Standing:
    """How far a race is, as it is kept in the folder, so that it can be gone on with.

    request       what was asked for
    heats, final  trials that are over
    """

    folder: Folder
    request: Request
    heats: list[Trial] = field(default_factory=list)
    final: list[Trial] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Folder, request: Request) -> Standing:
        """That of an earlier part of the race, or of one that begins."""
        try:
            told = read_json(folder.path / PLACE / KEPT)
            found = cls(folder, request, *([Trial(**one) for one in told[name]] for name in ("heats", "final")))
        except (RunError, KeyError, TypeError):
            found = cls(folder, request)
        found.write()
        return found

    def write(self) -> None:
        plain = {**asdict(self.request), "out": str(self.folder.path)}
        write_json(self.folder.path / PLACE / KEPT, {"request": plain, **self.told()})

    def last(self) -> list[Trial]:
        """The last trial of each family."""
        longer = {one.family for one in self.final}
        return [*self.final, *(one for one in self.heats if one.family not in longer)]

    def judge(self, trial: Trial, found: Passing) -> Trial:
        """Keep how well the samples of a trial pass."""
        told = replace(trial, passes=found.score, error=found.error)
        for trials in (self.heats, self.final):
            trials[:] = [told if one is trial else one for one in trials]
        self.write()
        return told

    def told(self) -> dict[str, list[dict[str, Any]]]:
        return {"heats": [vars(one) for one in self.heats], "final": [vars(one) for one in self.final]}


def near(trials: Sequence[Trial], part: float = PART) -> list[Trial]:
    """Those that are near the likeliest, the likeliest first.

    part  of what that has gained on independent columns, which they may be behind it

    What learns rows by heart is not: on rows that it has not seen it falls behind.
    """
    order = sorted(trials, key=lambda one: one.nats)
    plain = next((one for one in order if one.family == RUNNERS[0]), order[-1])
    return [one for one in order if one.nats <= order[0].nats + max(NEAR, part * (plain.nats - order[0].nats))]


def interrupted(path: Path) -> Request | None:
    """What the race in a folder was asked for, where it is not over."""
    kept = path / PLACE / KEPT
    if (path / "recipe.json").exists() or not kept.exists():
        return None
    try:
        request = read_json(kept)["request"]
        return Request(**{**request, "family": "auto", "out": path})
    except (KeyError, TypeError):
        raise damaged(kept, "it does not hold a request") from None


def race(ready: Ready, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Train each runner for a while, the best of them for longer, and keep the one that is best on held-out rows."""
    standing = Standing.of(folder, ready.request)
    again = _few(ready.prepared)
    runners = RUNNERS if not again else OF_FEW if ready.prepared.codec.shape[0] <= WIDE else OF_FEW_AND_WIDE
    for place, name in enumerate(runners):
        if name == "forest" and (_left(ready, clock) < GROWS or not _grows(ready.prepared)):
            continue
        if all(one.family != name for one in standing.heats):
            fair = _left(ready, clock) / (len(runners) - place + FINALISTS - 1 + again)
            # of few rows regressions are the best in most cases
            patience = _left(ready, clock) / 2 if name == "regressions" else fair / 2
            yield from _heat(_short(ready, name, clock, fair), standing.heats, standing, clock, patience)
        if stop.is_set():
            return
    if not standing.heats:
        raise TrainingError("No family could be trained on these rows", "At least one", "Name one with --family")
    growing, judged = [one for one in standing.heats if one.family not in SOON], _judged(ready.prepared)
    best = near(growing, GROWING)[:FINALISTS] if growing else []
    spare = SPARE * CONTENDERS if judged else 0.0
    for place, heat in enumerate(best):
        if all(one.family != heat.family for one in standing.final):
            shares = len(best) - place + again
            if (_left(ready, clock) - spare) / shares > heat.seconds:  # else it would come no further
                yield from _heat(_long(ready, heat, clock, shares, spare), standing.final, standing, clock)
        if stop.is_set():
            return
    won = near(standing.last())[0]
    if judged:
        won = yield from _compared(ready, standing, clock)
    elif again:
        won = _of_few(ready, standing)
    winner, seen = won.family, False
    yield Progress("finish", seconds=clock(), note=f"Race: won by {winner}", run=str(folder.path))
    if again and _left(ready, clock) > won.beyond:
        seen = yield from _trained(_whole(ready, won, folder.path / PLACE / winner, clock), WHOLE, folder, clock)
    if stop.is_set():
        return
    write_json(folder.path / "race.json", {**standing.told(), "minutes": minutes_of(standing.request)})
    _settle(folder.path, winner, seen)
    yield Progress("done", seconds=clock(), fraction=1.0, run=str(folder.path))


def _compared(ready: Ready, standing: Standing, clock: Clock) -> Generator[Progress, None, Trial]:
    """The one of the likeliest whose samples pass best for held-out rows; of those that pass as well, the likelier."""
    found = near(standing.last())[:CONTENDERS]
    for place, one in enumerate(found if len(found) > 1 else ()):
        if one.passes is None:
            family = Run.load(standing.folder.path / PLACE / one.family).family
            found[place] = standing.judge(one, passes(family, ready.prepared))
            yield Progress("plan", seconds=clock(), note=f"Race: {found[place]}", run=str(standing.folder.path))
    return best_of(found)


def _of_few(ready: Ready, standing: Standing) -> Trial:
    """The likeliest, or that which comes last in `OF_FEW` where what is between them on held-out rows may be
    chance: of few rows these tell no more, and its samples are the better ones."""
    found = near(standing.last())
    last = max(found, key=lambda one: OF_FEW.index(one.family) if one.family in OF_FEW else -1)
    if last is found[0]:
        return last
    first, other = (
        each_held_out(Run.load(standing.folder.path / PLACE / one.family).family, ready.prepared)
        for one in (found[0], last)
    )
    return last if as_likely(first, other) else found[0]


def as_likely(first: Tensor, other: Tensor) -> bool:
    """Whether rows (n,) of -log p by another law are above those by the first one by no more than chance may do."""
    more = other - first
    return len(more) > 1 and bool(more.mean() <= CHANCE * more.std() / len(more) ** 0.5)


def best_of(found: Sequence[Trial]) -> Trial:
    """Of trials that are judged, the likeliest first: the first one that passes as well as any, up to its error."""
    least = max((one.passes or 0.0) - one.error for one in found)
    return next(one for one in found if (one.passes or 0.0) >= least)


def _settle(path: Path, winner: str, seen: bool) -> None:
    """Make the winner the run; where it has seen all rows, what it was before that is kept beside it."""
    won = path / PLACE / (WHOLE if seen else winner)
    for part in sorted(won.iterdir(), key=lambda part: part.name == "recipe.json"):  # the recipe last: all is there
        os.replace(part, path / part.name)
    if seen:
        os.replace(path / PLACE / winner, path / BEFORE)
    shutil.rmtree(path / PLACE, ignore_errors=True)


def _heat(
    ready: Ready, trials: list[Trial], standing: Standing, clock: Clock, patience: float = np.inf
) -> Iterator[Progress]:
    """Train one family in a folder of its own, and add what it reaches to the trials."""
    name, began, folder = ready.request.family, clock(), standing.folder
    patience = patience if standing.heats else np.inf  # the first one is trained in any case
    if not (yield from _trained(ready, name, folder, clock, patience)):
        return
    nats = float(each_held_out(Run.load(folder.path / PLACE / name).family, ready.prepared).mean())
    minutes = minutes_of(ready.request)
    trials.append(Trial(name, nats, clock() - began, None if minutes is None else 60 * minutes))
    standing.write()
    yield Progress("plan", seconds=clock(), note=f"Race: {trials[-1]}", run=str(folder.path))


def _trained(
    ready: Ready, place: str, folder: Folder, clock: Clock, patience: float = np.inf
) -> Generator[Progress, None, bool]:
    """Train one family in this place of the race; whether it came to its end.

    patience  seconds of planning after which it is given up: what is slow to plan is slow to train
    """
    path, run, own = folder.path / PLACE / place, str(folder.path), Clock()
    shutil.rmtree(path, ignore_errors=True)
    try:
        for event in begin_run(ready, Folder(path), own):
            if event.stage == "stopped":
                yield replace(event, run=run, note="Stopped in the middle of the race")
                return False
            if event.stage == "plan" and own() > patience:
                said = f"{ready.request.family} is left out: a step of it takes too long for the time that there is"
                yield Progress("plan", seconds=clock(), note=said, run=run)
                return False
            if event.stage == "train":
                yield replace(event, note=None, seconds=clock(), run=run)
    except MorelikeError as error:  # of one family: the others may do
        yield Progress("plan", seconds=clock(), note=f"{ready.request.family} does not run: {error}", run=run)
        return False
    return True


def _left(ready: Ready, clock: Clock) -> float:
    """Seconds that are left of those that were asked for; without end where steps were."""
    minutes = minutes_of(ready.request)
    return np.inf if minutes is None else 60 * minutes - clock()


def _short(ready: Ready, name: str, clock: Clock, fair: float) -> Ready:
    """For one family and a small part of the time, at most so many seconds."""
    request = replace(ready.request, family=name)
    if minutes_of(request) is None:
        return replace(ready, request=replace(request, steps=max(1, round(STEPS * (request.steps or 1)))))
    seconds = min(float(np.clip(SHARE * _left(ready, clock), SHORTEST, LONGEST)), max(LEAST, fair))
    return replace(ready, request=replace(request, minutes=seconds / 60))


def _long(ready: Ready, heat: Trial, clock: Clock, shares: int, spare: float = 0.0) -> Ready:
    """For the family of an earlier trial and its share of what is left but what is kept, less what it takes beyond its
    time."""
    request = replace(ready.request, family=heat.family)
    if minutes_of(request) is None:
        return replace(ready, request=request)
    seconds = max(LEAST, (_left(ready, clock) - spare) / shares - heat.beyond)
    return replace(ready, request=replace(request, minutes=seconds / 60))


def _few(prepared: Prepared) -> bool:
    """Whether so few rows are there that those held out are worth more in training."""
    return len(prepared.held) > 0 and len(prepared.kept) + len(prepared.held) < FEW


def _judged(prepared: Prepared) -> bool:
    """Whether enough rows are held out to judge samples by, all of whose cells are made."""
    return len(prepared.held) >= ENOUGH and not _owned(prepared).any()


def _grows(prepared: Prepared) -> bool:
    """Whether a forest grows in seconds on such rows, and knows their likelihood without draws."""
    return prepared.codec.shape[0] <= WIDE and not _owned(prepared).any()


def _owned(prepared: Prepared) -> Tensor:
    """Which cells are only ever given: bool (T,), or a single no."""
    return getattr(prepared.codec, "owner_cells", torch.zeros((), dtype=torch.bool))


def _whole(ready: Ready, won: Trial, trial: Path, clock: Clock) -> Ready:
    """For the winner, all rows, and the time that is left.

    What is counted has few states, which learn no rows by heart, and is trained to the end: its samples get better even
    where its likelihood does not. So is what is not watched, for the same reason. What else is descended takes the
    steps after which held-out rows were the likeliest.
    """
    run, kept = Run.load(trial), ready.prepared
    rows = np.sort(np.concatenate([kept.kept, kept.held]))
    prepared = replace(kept, kept=rows, held=rows[:0])
    request = replace(_long(ready, won, clock, 1).request, held_out=0.0)
    if run.family.watched and all(one.name != "em" for one in run.family.optimizers().values()):
        steps = load_tensors(trial / "best.safetensors")[1]["step"]
        request = replace(request, minutes=None, steps=steps, size=str(run.recipe["config"]["width"]))
    return replace(ready, request=request, prepared=prepared)


@torch.no_grad()
def each_held_out(family: Family, prepared: Prepared) -> Tensor:
    """-log p of each held-out row, in nats, given those cells that are only ever given; of training rows where none
    are held out: (n,), double."""
    assert isinstance(family, HasLogProb)
    rows = (prepared.held if len(prepared.held) else prepared.kept)[:JUDGED]
    known, found = _owned(prepared), list[Tensor]()
    for batch in _batches(prepared, rows):
        log_p = family.log_prob(batch).double()
        if known.any():
            log_p = log_p - family.log_prob(batch._replace(x=torch.where(known, batch.x, -1))).double()
        found.append(-log_p)
    return torch.cat(found)


@torch.no_grad()
def passes(family: Family, prepared: Prepared) -> Passing:
    """How well samples pass for held-out rows, by trees that know training rows and other samples; conditions are drawn
    as these rows have them.

    There are more samples than held-out rows, which leaves less of the outcome to luck.
    """
    known = np.random.default_rng(0).permutation(prepared.kept)[:LEARNT]
    held, pairs = prepared.held[:JUDGED], []
    again = min(AGAIN, max(1, DRAWN // len(held)))
    for number, batch in enumerate(_batches(prepared, np.concatenate([*[held] * again, known]))):
        begin = number * 2 * AT_ONCE  # so that no seed comes twice
        drawn = family.sample(range(begin, begin + len(batch.x)), batch.given)
        labels = [one[:, None] for one in batch.given.values() if one.dim() == 1]
        pairs.append([torch.cat([one, *labels], 1) for one in (drawn, batch.x)])
    made, found = (torch.cat(one).cpu().numpy() for one in zip(*pairs, strict=True))
    kinds = [one.tokens or 0 for one in family.spec.given.values() if one.shape == ()]
    spare = (again - 1) * len(held)  # real rows that would come twice
    return passing(made, found[spare:], len(held), (*(family.spec.sizes or ()), *kinds), drawn=spare + len(held))


def _batches(prepared: Prepared, rows: np.ndarray) -> Iterator[Batch]:
    """Some rows in their order, encoded, with their conditions."""
    for part in np.array_split(rows, max(1, len(rows) // AT_ONCE)):
        given = {name: chosen(value, part) for name, value in prepared.given.items()}
        yield Batch(prepared.codec.encode(take(prepared.data.x, part)), given)
