"""The training loop: one for every family."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from morelike.core.spec import Batch
from morelike.train.budget import Plan
from morelike.train.game import Game

stop = threading.Event()  # set it, from a signal handler or another thread, to end training after the step in progress


@dataclass(frozen=True)
class Turn:
    """One step that has been taken: how many there are now, and its mean losses and logs, still as tensors."""

    step: int
    log: dict[str, Tensor]


def train(
    game: Game, batches: Iterator[Batch], plan: Plan, seed: int, begin: int = 0,
    revise: Callable[[int], None] | None = None,
) -> Iterator[Turn]:  # fmt: skip
    """Take the plan's steps from `begin` on, yielding after each; whoever iterates logs, saves, draws and stops.

    Randomness is a function of (seed, step), so a run resumed at any step repeats the uninterrupted one.
    `revise` may change the plan before a step.
    """
    step = begin
    while step < plan.steps and not stop.is_set():
        if revise is not None:
            revise(step)
        batch = next(batches)
        torch.manual_seed(step_seed(seed, step))
        log = game.turn(batch, step, plan.fraction(step))
        step += 1
        yield Turn(step, log)


def step_seed(seed: int, step: int) -> int:
    """A well-mixed 63-bit seed for one step (SplitMix64, Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + (step + 1) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    z = ((z ^ (z >> 30)) * 0x94D049BB133111EB) & (2**64 - 1)
    return (z ^ (z >> 31)) >> 1


@dataclass(frozen=True)
class Progress:
    """What a run has to tell at one moment.

    seconds, seconds_left  on the run's own clock, resumed parts included
    rate                   examples per second
    log                    recent mean of each loss and logged scalar
    note                   something worth a line: the plan, a change of it, a diagnosis, a save
    picture                the newest sheet of samples
    run                    the run folder
    stage                  collect | prepare | plan | train | finish | done
    """

    stage: str
    step: int = 0
    steps: int = 0
    fraction: float = 0.0
    seconds: float = 0.0
    seconds_left: float = 0.0
    rate: float = 0.0
    log: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    picture: str | None = None
    run: str | None = None
