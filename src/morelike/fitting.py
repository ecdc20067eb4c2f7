"""The product's three steps in order: collect and prepare, train, generate; each told as `Progress` events."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from morelike.core.errors import DataError, OptionError, RunError, unknown
from morelike.core.family import Family, HasFinish, Optim
from morelike.data.augment import Augment
from morelike.data.cache import Dataset, build
from morelike.data.listing import Source
from morelike.data.loader import Loader
from morelike.data.sources import open_source
from morelike.data.split import split
from morelike.recipes import (
    CODEC, SIZES, WIDTHS, Request, build_family, configure, load_codec, module, save_codec, sort_settings, spec_of,
)  # fmt: skip
from morelike.run import preview_film, preview_writer
from morelike.train.budget import Plan, read_plan, record
from morelike.train.config import Config as TrainConfig
from morelike.train.folder import Folder, read_json, save_tensors, write_json
from morelike.train.game import Game, override
from morelike.train.loop import Progress, stop
from morelike.train.planner import Planner
from morelike.train.session import Clock, Session
from morelike.train.stepper import Accumulated

VERSION = 1  # of recipe.json
FINISHING = (1.5, 0.012)  # seconds, and share of the budget, kept for what comes after training


@dataclass
class Prepared:
    """A source made ready: codecs, items, their conditions, and which of them to train on."""

    codec: Any
    labels: Mapping[str, Any]
    data: Dataset
    given: Mapping[str, np.ndarray]
    kept: np.ndarray
    held: np.ndarray


def fit(request: Request) -> Iterator[Progress]:
    """Train what the request asks for in a new run folder; the last event has stage "done"."""
    clock, folder = Clock(), Folder(_new_folder(request))
    stop.clear()
    chosen = module("family", request.family)
    settings = sort_settings(
        request.settings, {"family": chosen.Config, "codec": module("codec", CODEC).Config, "train": TrainConfig}
    )
    training = configure(TrainConfig, settings["train"])
    family_settings = _family_settings(request, chosen, settings["family"])
    yield Progress("collect", note=f"Collecting from {request.source}")
    codec = _codec(request, settings["codec"])
    source = open_source(request.source)
    codec = codec.fit(source.items)
    ready: list[Dataset] = []
    yield from _prepare(source, codec, clock, ready)
    prepared = _arrange(ready[0], codec, request.given, request.held_out)
    augment = _augment(request.augment, request.family)
    _refuse(chosen, prepared, family_settings)
    yield _event("prepare", clock, folder, _counted(prepared))
    folder.create()
    write_json(folder.codec, save_codec(codec, CODEC, prepared.labels))
    recipe = _recipe(request, training, family_settings, prepared, augment)
    write_json(folder.recipe, recipe)
    yield from _plan(recipe, prepared, folder, clock)
    yield from _train(recipe, prepared, folder, clock)


def resume(path: Path) -> Iterator[Progress]:
    """Go on with a run from its newest good state, following its recorded plan."""
    stop.clear()
    folder = Folder(Path(path))
    recipe = _read_recipe(folder)
    codec, labels = load_codec(read_json(folder.codec))
    source = open_source(recipe["source"])
    clock = Clock()
    ready: list[Dataset] = []
    yield from _prepare(source, codec, clock, ready)
    prepared = _arrange(ready[0], codec, recipe["given"] or "none", recipe["held_out"], labels)
    if _digest(prepared) != recipe["data"]["digest"]:
        raise RunError(
            f"{recipe['source']} has changed since this run began",
            f"The {recipe['data']['items']:,} items of then",
            "Restore them, or begin a new run with the new data",
        )
    folder.create()
    if recipe.get("plan") is None:  # the run ended before it was planned
        yield from _plan(recipe, prepared, folder, clock)
    yield from _train(recipe, prepared, folder, clock)


def _new_folder(request: Request) -> Path:
    if request.out is None:
        stem = Path(request.source.split(":")[0].rstrip("/")).stem or "data"
        numbers = (n for n in range(1, 10**6) if not Path(f"runs/{stem}-{request.family}-{n}").exists())
        return Path(f"runs/{stem}-{request.family}-{next(numbers)}")
    out = Path(request.out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OptionError(
            f"{out} already exists", "A new folder for the run", "Name another one, or go on with this run: --resume --out"
            f" {out}",
        )  # fmt: skip
    return out


def _family_settings(request: Request, chosen: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The family's settings, with net and size among them; the width stays open when the planner is to choose it."""
    values = dict(given)
    if request.net is not None:
        from morelike.nn import net

        net(request.net)  # names the nearest one if there is none of this name
        values["net"] = request.net
    if request.size != "auto":
        values["width"] = SIZES.get(request.size) or int(request.size)
    configure(chosen.Config, values)
    return values


def _codec(request: Request, settings: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {"colour": request.colour, **settings}
    if request.image:
        sides = request.image.lower().split("x")
        if not (all(side.isdigit() for side in sides) and len(sides) in (1, 2)):
            raise OptionError(f'The picture size is "{request.image}"', 'Pixels, such as 28 or 64x48', "Correct --image")
        values["size"] = (int(sides[0]), int(sides[-1]))
    chosen = module("codec", CODEC)
    return chosen.Codec(configure(chosen.Config, values))


def _prepare(source: Source, codec: Any, clock: Clock, ready: list[Dataset]) -> Iterator[Progress]:
    """Build the cache in a thread of its own, so that its progress can be told; the result goes into `ready`."""
    told: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    fault: list[BaseException] = []

    def work() -> None:
        try:
            ready.append(build(source, codec, progress=lambda done, total: told.put((done, total))))
        except BaseException as error:  # raised again below, in the thread that can tell the user
            fault.append(error)

    thread = threading.Thread(target=work, name="prepare")
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        latest = None
        with contextlib.suppress(queue.Empty):
            while True:
                latest = told.get_nowait()
        if latest:
            done, total = latest
            yield Progress("prepare", done, total, done / max(1, total), clock(), note=None)
    if fault:
        raise fault[0]


def _arrange(data: Dataset, codec: Any, given: str, held_out: float, labels: Mapping[str, Any] | None = None) -> Prepared:
    """Split by content, and number the labels that the model is conditioned on."""
    kept, held = split(data.hashes, held_out)
    if not len(kept):
        kept, held = np.arange(len(data)), np.arange(0)
    if labels is None:
        labels = _conditions(data, given)
    numbers = {name: one.encode(data.fields.get(name, [""] * len(data))) for name, one in labels.items()}
    return Prepared(codec, labels, data, numbers, kept, held)


def _conditions(data: Dataset, given: str) -> dict[str, Any]:
    label = module("codec", "label").Codec
    if given == "none":
        return {}
    if given == "auto":
        values = data.fields.get("label", [])
        return {"label": label().fit(values)} if len(set(values)) > 1 and "" not in values else {}
    if given not in data.fields:
        known = ", ".join(data.fields) or "none"
        if not data.fields:
            raise DataError(f'The items have no field "{given}"', "Labels, such as sub-folders", "Leave out --given")
        raise unknown("field", given, data.fields) if known else OptionError(given, known, "")
    return {given: label().fit(data.fields[given])}


def _augment(words: str, family: str) -> Augment:
    """What to do to training pictures; a family that copies the data's law gets none unless asked."""
    return Augment() if words in ("auto", "none") else Augment.parse(words)


def _refuse(chosen: Any, prepared: Prepared, settings: Mapping[str, Any]) -> None:
    """Build the smallest model, so that data that a family cannot take is refused before anything is written."""
    spec = spec_of(prepared.codec, prepared.labels, chosen.Model.needs)
    chosen.Model(spec, configure(chosen.Config, {**settings, "width": 8}))


def _counted(prepared: Prepared) -> str:
    data = prepared.data
    said = f"{len(data):,} items of shape {prepared.codec.shape}: {len(prepared.kept):,} to train on, {len(prepared.held):,} held out"
    if prepared.labels:
        said += "; " + ", ".join(f"{name}: {', '.join(one.config.vocabulary[:12])}" for name, one in prepared.labels.items())
    if data.problems:
        shown = "; ".join(f"{name} ({why})" for name, why in data.problems[:3])
        said += f". Skipped {len(data.problems):,}: {shown}{' …' if len(data.problems) > 3 else ''}"
    return said + "".join(f". Warning: {warning}" for warning in data.warnings)


def _digest(prepared: Prepared) -> str:
    from hashlib import blake2b

    total = blake2b(prepared.data.hashes.tobytes(), digest_size=16)
    for name, numbers in sorted(prepared.given.items()):
        total.update(name.encode() + numbers.tobytes())
    return total.hexdigest()


def _recipe(
    request: Request, training: TrainConfig, settings: Mapping[str, Any], prepared: Prepared, augment: Augment
) -> dict[str, Any]:
    data = prepared.data
    minutes = request.minutes if request.minutes or request.steps else 5.0
    return {
        "version": VERSION, "source": str(request.source), "family": request.family, "config": dict(settings),
        "given": next(iter(prepared.labels), None), "minutes": minutes, "steps": request.steps, "seed": request.seed,
        "held_out": request.held_out, "augment": asdict(augment), "train": asdict(training),
        "data": {
            "items": len(data), "train": len(prepared.kept), "held_out": len(prepared.held), "digest": _digest(prepared),
            "labels": {name: list(one.config.vocabulary) for name, one in prepared.labels.items()},
            "problems": data.problems[:1000], "skipped": len(data.problems), "warnings": data.warnings,
        },
        "plan": None,
    }  # fmt: skip


def _read_recipe(folder: Folder) -> dict[str, Any]:
    recipe = read_json(folder.recipe)
    needed = {"version", "source", "family", "config", "given", "minutes", "steps", "seed", "held_out", "augment", "train"}
    if not isinstance(recipe, dict) or (lacking := needed - recipe.keys()):
        lacking = lacking if isinstance(recipe, dict) else needed
        raise RunError(f"{folder.recipe} lacks {', '.join(sorted(lacking))}", "What `morelike fit` wrote", "Restore it")
    return recipe


def _loader(recipe: Mapping[str, Any], prepared: Prepared, batch: int) -> Loader:
    augment = configure(Augment, recipe["augment"])
    return Loader(prepared.data.x, prepared.given, prepared.kept, batch, recipe["seed"], prepared.codec, augment or None)


def _device(training: TrainConfig) -> torch.device:
    if training.device != "auto":
        return torch.device(training.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _plan(recipe: dict[str, Any], prepared: Prepared, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Choose width, precision, threads and steps; record them before the first step."""
    training = configure(TrainConfig, recipe["train"])
    batch = min(training.batch, max(2, len(prepared.kept)))
    device = _device(training)

    def family(width: int) -> Family:
        config = {**recipe["config"], "width": width}
        return build_family(recipe["family"], config, prepared.codec, prepared.labels, recipe["seed"]).to(device)

    width = recipe["config"].get("width")
    if recipe["steps"] is not None:
        width, threads, why = int(width or SIZES["medium"]), training.threads or torch.get_num_threads(), "as asked"
        precision = "float32" if training.precision == "auto" else training.precision
        steps, said = recipe["steps"], f"Plan: width {width}, batch {batch}, {precision}, {recipe['steps']:,} steps ({why})."
    else:
        seconds = 60 * recipe["minutes"]
        loader = _loader(recipe, prepared, batch)
        sample = _to(loader.batch(0), device)
        end = seconds - FINISHING[0] - FINISHING[1] * seconds
        planner = Planner(family, sample, min(12.0, 0.08 * seconds))
        fixed = {"precision": None if training.precision == "auto" else training.precision, "threads": training.threads}
        widths = [int(width)] if width else list(WIDTHS)
        choice = planner.choose(widths, lambda: end - clock(), module("family", recipe["family"]).Model.examples, fixed)
        width, precision, threads, steps = choice.width, choice.precision, choice.threads, choice.steps
        said = choice.sentence(seconds, batch, f"to end within {recipe['minutes']:g} min")
    recipe["config"] = {**recipe["config"], "width": width}
    recipe["plan"] = {"batch": batch, "precision": precision, "threads": threads, "device": str(device), "said": said}
    record(folder.plan, Plan.of(steps).revisions)
    write_json(folder.recipe, recipe)
    yield _event("plan", clock, folder, said)


def _to(batch: Any, device: torch.device) -> Any:
    if device.type == "cpu":
        return batch
    return batch._replace(x=batch.x.to(device), given={k: v.to(device) for k, v in batch.given.items()})


def _game(recipe: Mapping[str, Any], family: Family) -> Game:
    training = configure(TrainConfig, recipe["train"])
    shared = {one.name for one in fields(Optim)} & {one.name for one in fields(TrainConfig)}
    optims = override(family.optimizers(), name=training.optimizer, **{name: getattr(training, name) for name in shared})
    average = training.average if training.average is not None else (0.0 if family.mixes else 0.1)
    if training.compile:
        for player in family.players().values():
            for part in player.children():
                part.compile()
    return Game(family, optims, recipe["plan"]["precision"], average, Accumulated(training.accumulate))


def _train(recipe: Mapping[str, Any], prepared: Prepared, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Train, finish, and draw the last pictures."""
    plan = read_plan(folder.plan)
    if plan is None:
        raise RunError(f"{folder.plan} is missing or damaged", "The plan that was recorded before training", "Restore it")
    settled, training = recipe["plan"], configure(TrainConfig, recipe["train"])
    torch.set_num_threads(settled["threads"])
    device = torch.device(settled["device"])
    family = build_family(recipe["family"], recipe["config"], prepared.codec, prepared.labels, recipe["seed"]).to(device)
    game, step = _game(recipe, family), 0
    if (saved := folder.newest_state()) is not None:
        game.load_state({name: value.to(device) for name, value in saved[0].items()})
        step, clock.before = saved[1]["step"], saved[1]["seconds"]
        yield _event("train", clock, folder, f"Going on from step {step:,} of {plan.steps:,}")
    folder.cut_log(step)
    seconds = 60 * recipe["minutes"] if recipe["minutes"] else None
    end = None if seconds is None else seconds - FINISHING[0] - FINISHING[1] * seconds
    preview = preview_writer(prepared.codec, prepared.labels, device)
    session = Session(game, folder, plan, recipe["seed"], clock, preview, end, settled["batch"], step)
    session.picture_every = training.picture or max(2.0, (seconds or 300) / 30)
    with _loader(recipe, prepared, settled["batch"]).iterate(step) as batches:
        moved = (_to(batch, device) for batch in batches) if device.type != "cpu" else batches
        for event in session.run(moved):
            yield replace(event, run=str(folder.path))
    if stop.is_set():
        yield _event("stopped", clock, folder, f"Stopped and saved at step {session.step:,} of {plan.steps:,}")
        return
    yield _event("finish", clock, folder, None)
    _finish(session, prepared, recipe)
    yield replace(_event("done", clock, folder, _stall(batches, clock)), step=session.step, steps=plan.steps, fraction=1.0)


def _stall(batches: Any, clock: Clock) -> str:
    return f"Waited {batches.stall:.1f} s for data"


def _finish(session: Session, prepared: Prepared, recipe: Mapping[str, Any]) -> None:
    """Fit what is fitted after training, save, and write pictures, film and report."""
    game, folder = session.game, session.folder
    if isinstance(game.family, HasFinish):
        with game.averaged() as family:
            chunks = _loader({**recipe, "augment": asdict(Augment())}, prepared, min(500, len(prepared.kept)))
            few = max(1, min(len(prepared.kept), 10_000) // chunks.size)
            family.finish(_to(chunks.batch(i), game.device) for i in range(few))  # type: ignore[attr-defined]
    session.save()
    session.draw()
    preview_film(folder)
    from morelike.measure.report import write

    write(folder.path)


def _event(stage: str, clock: Clock, folder: Folder, note: str | None) -> Progress:
    return Progress(stage, seconds=clock(), note=note, run=str(folder.path))
