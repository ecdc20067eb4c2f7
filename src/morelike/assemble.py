"""From a recipe to the parts of a run: batches, device, game, and the plan that is made before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import torch

from morelike.collect import Prepared
from morelike.core.errors import OptionError
from morelike.core.family import Family, Optim
from morelike.core.spec import Batch
from morelike.data.augment import Augment
from morelike.data.loader import Loader
from morelike.data.ragged import Ragged
from morelike.data.sequences import Sequences, chosen
from morelike.recipes import SIZES, WIDTHS, build_family, configure, module
from morelike.train.budget import Plan, record
from morelike.train.config import Config as TrainConfig
from morelike.train.folder import Folder, write_json
from morelike.train.game import Game, override
from morelike.train.planner import Choice, Planner
from morelike.train.stepper import Accumulated

EPOCHS = 60  # more passes than this over a small set do less for it than a wider net
LOOK = 500  # items in a batch that a family looks at before or after training
FINISHING = (1.5, 0.012)  # seconds, and share of the budget, kept for what comes after training


def training_end(minutes: float | None) -> float | None:
    """Second of the run's clock at which training must be over, so that finishing fits into the minutes."""
    return None if minutes is None else 60 * minutes * (1 - FINISHING[1]) - FINISHING[0]


def loader(recipe: Mapping[str, Any], prepared: Prepared, batch: int) -> Loader | Sequences:
    """Batches of the training part, augmented as asked."""
    return batches(prepared, prepared.kept, batch, recipe["seed"], configure(Augment, recipe["augment"]) or None)


def batches(
    prepared: Prepared, rows: np.ndarray, batch: int, seed: int, augment: Augment | None = None
) -> Loader | Sequences:
    """Batches of some of the items."""
    x, codec = prepared.data.x, prepared.codec
    if isinstance(x, Ragged):
        return Sequences(x, prepared.given, rows, batch, seed, codec.context)
    given = {name: chosen(value, np.arange(len(value))).numpy() for name, value in prepared.given.items()}
    return Loader(x, given, rows, batch, seed, codec, augment)


def some_rows(recipe: Mapping[str, Any], prepared: Prepared, device: torch.device, most: int) -> Iterator[Batch]:
    """Training items in random order, not augmented, so many at most: for what a family learns before or after."""
    rows = min(len(prepared.kept), most)
    chunks = -(-rows // LOOK)
    source = loader({**recipe, "augment": asdict(Augment())}, prepared, rows // chunks)
    for step in range(chunks):
        yield on(device, source.batch(step))


def device_of(training: TrainConfig) -> torch.device:
    """The device that was asked for, or a GPU where there is one."""
    if training.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("No GPU can be used here by torch", "device cpu or auto", "Leave out --set device=cuda")
    if training.device != "auto":
        return torch.device(training.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def on(device: torch.device, batch: Batch) -> Batch:
    """The batch on a device."""
    if device.type == "cpu":
        return batch
    return batch._replace(x=batch.x.to(device), given={name: value.to(device) for name, value in batch.given.items()})


def family_of(recipe: Mapping[str, Any], prepared: Prepared, width: int, device: torch.device) -> Family:
    """The model at its first weights."""
    config = {**recipe["config"], "width": width}
    return build_family(recipe["family"], config, prepared.codec, prepared.conditions, recipe["seed"]).to(device)


def game_of(recipe: Mapping[str, Any], family: Family) -> Game:
    """The family with its optimizers, as the family recommends and the user has changed it."""
    training = configure(TrainConfig, recipe["train"])
    shared = {one.name for one in fields(Optim)} & {one.name for one in fields(TrainConfig)}
    changes = {name: getattr(training, name) for name in shared}
    optims = family.optimizers()
    if training.optimizer and any(one.name == "em" for one in optims.values()):
        raise OptionError(
            f"The optimizer of the family {recipe['family']} was set to {training.optimizer}",
            "Its tables are counted, by expectation-maximisation", "Leave out --set optimizer=...",
        )  # fmt: skip
    optims = override(optims, name=training.optimizer, **changes)
    average = training.average if training.average is not None else (0.0 if family.mixes else 0.1)
    if training.compile:
        for player in family.players().values():
            for part in player.children():
                part.compile()
    return Game(family, optims, recipe["plan"]["precision"], average, Accumulated(training.accumulate))


def make_plan(recipe: dict[str, Any], prepared: Prepared, folder: Folder, left: Callable[[], float] | None) -> str:
    """Settle width, precision, threads and steps, record them before the first step, and say so in a line.

    left  seconds until training must be over, when minutes were asked for
    """
    training = configure(TrainConfig, recipe["train"])
    device = device_of(training)
    batch = training.batch or family_of(recipe, prepared, 8, torch.device("cpu")).batch
    batch = min(batch, max(2, loader(recipe, prepared, batch).count))
    if left is None:
        choice = Choice(
            width=int(recipe["config"].get("width") or SIZES["medium"]),
            precision="float32" if training.precision == "auto" else training.precision,
            threads=training.threads or torch.get_num_threads(), steps=recipe["steps"], rate=0.0,
        )  # fmt: skip
        said = f"Plan: width {choice.width}, batch {batch}, {choice.precision}, {choice.steps:,} steps, as asked."
    else:
        choice = _measured(recipe, prepared, training, batch, left)
        said = choice.sentence(60 * recipe["minutes"], batch)
    recipe["config"] = {**recipe["config"], "width": choice.width}
    chosen = module("family", recipe["family"])
    if hasattr(chosen, "suited"):
        epochs = choice.steps * batch / max(1, loader(recipe, prepared, batch).count)
        epochs *= getattr(prepared.codec, "overlap", 1.0)
        recipe["config"] = chosen.suited(recipe["config"], epochs)
    recipe["plan"] = {
        "batch": batch, "precision": choice.precision, "threads": choice.threads, "device": str(device), "said": said,
    }  # fmt: skip
    record(folder.plan, Plan.of(choice.steps).revisions)
    write_json(folder.recipe, recipe)
    return said


def _measured(
    recipe: Mapping[str, Any], prepared: Prepared, training: TrainConfig, batch: int, left: Callable[[], float]
) -> Choice:
    """The planner's choice, on a real batch of the data."""
    device = device_of(training)
    source = loader(recipe, prepared, batch)
    sample = on(device, source.typical())
    planner = Planner(lambda width: family_of(recipe, prepared, width, device), sample, min(12.0, 0.08 * left()))
    fixed = {"precision": None if training.precision == "auto" else training.precision, "threads": training.threads}
    asked = recipe["config"].get("width")
    # longer runs get wider nets, but most of their time goes into more examples
    wanted = family_of(recipe, prepared, 8, device).examples * (max(0.0, left()) / 180) ** 0.8
    wanted = min(int(wanted), int(EPOCHS * source.count / getattr(prepared.codec, "overlap", 1.0)))
    return planner.choose([int(asked)] if asked else list(WIDTHS), left, wanted, fixed)
