"""A run from its first event to its last: collect and prepare, plan, train, finish."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image

from morelike import assemble, collect
from morelike.auditing import quick
from morelike.conditions import family_of, fitted
from morelike.core.errors import OptionError, RunError, missing_extra, unknown
from morelike.core.family import HasFinish
from morelike.data.augment import Augment
from morelike.data.cache import Dataset
from morelike.data.listing import Reading
from morelike.data.ragged import take
from morelike.data.sources import open_source
from morelike.measure.audit.amount import parted
from morelike.measure.likelihood import HasLogZ
from morelike.preview import Preview, film, write_picture
from morelike.recipes import (
    RACE,
    SIZES,
    Request,
    build_family,
    configure,
    held_share,
    load_codec,
    module,
    reading,
    save_codec,
    sort_settings,
    spec_of,
    suited,
)  # fmt: skip
from morelike.train.budget import read_plan
from morelike.train.config import Config as TrainConfig
from morelike.train.folder import Folder, not_together, read_json, write_json
from morelike.train.game import HasBeginning
from morelike.train.heldout import HeldOut, fitting_number
from morelike.train.loop import Progress, step_seed, stop
from morelike.train.recipe import read_recipe
from morelike.train.session import Clock, Session
from morelike.weights import Weights, begin, open_weights

VERSION = 1  # of recipe.json
BEGINNING, FINISHING = 50_000, 6_000  # items that are looked at before and after training, by families that want it
FIRST_STATE = "state/000000000.safetensors"  # of a run that begins with weights from elsewhere


def fit(request: Request, began: float) -> Iterator[Progress]:
    """Train what the request asks for in a new run folder; the last event has stage "done".

    began  the `time.perf_counter` from which the minutes count
    """
    clock, read, augment = Clock(began=began), reading(request), collect.augmentation(request.augment)
    if request.out is not None:
        refuse_folder(Path(request.out))
    if request.family not in ("auto", RACE):
        module("family", request.family)  # names the nearest one before anything is read
    stop.clear()
    yield Progress("collect", note=f"Collecting from {request.source}")
    source = open_source(request.source, read)
    brought = None if request.weights is None else open_weights(Path(request.weights))
    request = brought.asked(request, source.codec) if brought else replace(request, family=family_of(request, source))
    folder, settings = Folder(new_folder(request)), _settings(request, source.codec, brought)
    codec = fitted(collect.new_codec(request, source.codec, settings["codec"]), source.items, request.given)
    ready: list[Dataset] = []
    yield from collect.prepare(source, codec, clock, ready)
    del source  # which may hold all of a large text
    twins = quick.twins_for(codec, ready[0], minutes_of(request))
    request = replace(request, held_out=(share := held_share(request, len(ready[0]))))
    prepared = collect.arrange(ready[0], codec, request.given, share, together=twins.alike)
    yield _event("prepare", clock, folder, collect.counted(prepared))
    findings = quick.shortened(prepared, twins)
    if said := quick.told(findings):
        yield _event("prepare", clock, folder, said)
    about = {"findings": quick.short(findings), "together": twins.alike}
    if request.family != RACE:
        yield from begin_run(Ready(request, prepared, augment, about, brought), folder, clock)
        return
    from morelike.racing import race

    yield from race(Ready(request, prepared, augment, about, brought), folder, clock)


@dataclass(frozen=True)
class Ready:
    """A request whose items are prepared and split; all that is left is to train.

    about    what the recipe says of the items: findings, and rows that stay together
    brought  weights to begin from
    """

    request: Request
    prepared: collect.Prepared
    augment: Augment
    about: Mapping[str, Any]
    brought: Weights | None = None


def begin_run(ready: Ready, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Plan, train and finish in a new folder."""
    request, prepared, augment = ready.request, ready.prepared, ready.augment
    codec, chosen = prepared.codec, module("family", request.family)
    settings = _settings(request, codec.natural, ready.brought)
    own = _family_settings(request, chosen, settings["family"])
    suiting = suited(request.family, own, len(prepared.kept), None if ready.brought else codec)
    _refuse(chosen, prepared, suiting)
    state = ready.brought.fitting(codec, prepared.conditions, own) if ready.brought else None
    folder.create()
    write_json(folder.codec, save_codec(codec, prepared.conditions))
    if state is not None:
        begin(folder, state)
    recipe = _recipe(request, configure(TrainConfig, settings["train"]), suiting, prepared, augment)
    recipe["findings"], recipe["data"]["together"] = ready.about["findings"], ready.about["together"]
    write_json(folder.recipe, recipe)
    if augment:
        x = codec.encode(take(prepared.data.x, prepared.kept[:8]))
        write_picture(folder.augmentation, Image.fromarray(augment.sheet(x).squeeze()))
        yield _event("prepare", clock, folder, f"What augmentation does: {folder.augmentation}")
    yield from _plan(recipe, prepared, folder, clock)
    yield from _train(recipe, prepared, folder, clock)


def _settings(request: Request, codec: str, brought: Weights | None) -> dict[str, dict[str, str]]:
    """The settings of family, codec and training, all of them checked; a race takes none of a family."""
    chosen = None if request.family == RACE else module("family", request.family)
    configs = {} if chosen is None else {"family": chosen.Config}
    settings = sort_settings(
        request.settings, {**configs, "codec": module("codec", codec).Config, "train": TrainConfig}
    )
    settings = brought.under(settings) if brought else settings
    assemble.device_of(configure(TrainConfig, settings["train"]))
    if chosen is not None:
        _family_settings(request, chosen, settings["family"])
    elif request.net is not None:
        found, expected = f"--net is {request.net}", "A family that has nets; tables race without"
        raise OptionError(found, expected, "Name one: --family vae")
    return settings


def resume(path: Path, began: float) -> Iterator[Progress]:
    """Go on with a run from its newest good state, following its recorded plan."""
    from morelike.racing import interrupted

    if (asked := interrupted(Path(path))) is not None:
        yield from fit(asked, began)
        return
    stop.clear()
    folder = Folder(Path(path))
    recipe = read_recipe(folder.recipe)
    codec, conditions = load_codec(read_json(folder.codec))
    source = open_source(recipe["source"], Reading(**recipe.get("reading", {})))
    clock = Clock(began=began)
    ready: list[Dataset] = []
    yield from collect.prepare(source, codec, clock, ready)
    del source  # which may hold all of a large text
    prepared = collect.again(recipe, ready[0], codec, conditions)
    if collect.digest(prepared) != recipe["data"]["digest"]:
        raise RunError(
            f"{recipe['source']} has changed since this run began",
            f"The {recipe['data']['items']:,} items of then",
            "Restore them, or begin a new run with the new data",
        )
    folder.create()
    if recipe.get("plan") is None:  # the run ended before it was planned
        yield from _plan(recipe, prepared, folder, clock)
    yield from _train(recipe, prepared, folder, clock)


def new_folder(request: Request) -> Path:
    """The folder that was asked for, or a new one named after the source and the family."""
    if request.out is None:
        stem = Path(request.source.split(":")[0].rstrip("/")).stem or "data"
        numbers = (n for n in range(1, 10**6) if not Path(f"runs/{stem}-{request.family}-{n}").exists())
        return Path(f"runs/{stem}-{request.family}-{next(numbers)}")
    return Path(request.out)


def refuse_folder(out: Path) -> None:
    """Raise an `OptionError` where a run, or anything else, is in the place of the new one."""
    if out.is_file() or (out.is_dir() and not _only_begun(out)):
        raise OptionError(
            f"{out} already exists", "A new folder for the run",
            f"Name another one, or go on with this run: morelike resume {shlex.quote(str(out))}",
        )  # fmt: skip


def _only_begun(out: Path) -> bool:
    """Whether a folder is empty, or a run in it ended before there was anything that could be resumed."""
    known = {"race.json", "codec.json", ".codec.json.part", ".recipe.json.part", "state", "samples", FIRST_STATE}
    found = (path.relative_to(out) for path in out.rglob("*"))
    return all(path.as_posix() in known or path.parts[0] == "race" for path in found)


def _family_settings(request: Request, chosen: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The family's settings, with net and size among them; the width stays open when the planner is to choose it."""
    values = dict(given)
    if request.net is not None:
        from morelike.nn import names

        known = getattr(chosen, "NETS", None) or names()
        if request.net not in known:
            raise unknown("net", request.net, known)
        values["net"] = request.net
    if request.size != "auto":
        values["width"] = SIZES.get(request.size) or int(request.size)
    configure(chosen.Config, values)
    return values


def _refuse(chosen: Any, prepared: collect.Prepared, settings: Mapping[str, Any]) -> None:
    """Build the smallest model, so that data that a family cannot take is refused before anything is written."""
    spec = spec_of(prepared.codec, prepared.conditions, chosen.Model.needs)
    chosen.Model(spec, configure(chosen.Config, {**settings, "width": 8}))


def minutes_of(request: Request) -> float | None:
    """The minutes that a run has: five unless minutes or steps were asked for."""
    return request.minutes if request.minutes or request.steps else 5.0


def _recipe(
    request: Request, training: TrainConfig, settings: Mapping[str, Any], prepared: collect.Prepared, augment: Augment
) -> dict[str, Any]:
    data = prepared.data
    lost, mended = parted(data.problems)
    return {
        "version": VERSION, "source": str(request.source), "family": request.family, "config": dict(settings),
        "weights": None if request.weights is None else str(request.weights),
        "reading": asdict(replace(reading(request), codec=prepared.codec.natural)),
        "given": ",".join(prepared.conditions) or None, "minutes": minutes_of(request), "steps": request.steps,
        "seed": request.seed, "held_out": request.held_out, "augment": asdict(augment), "train": asdict(training),
        "data": {
            "items": len(data), "train": len(prepared.kept), "held_out": len(prepared.held),
            "digest": collect.digest(prepared), "speakers": collect.speakers(data.fields),
            "labels": {name: list(one.config.vocabulary) for name, one in prepared.labels.items()},
            "problems": data.problems[:1000], "skipped": len(lost), "mended": len(mended), "warnings": data.warnings,
        },
        "plan": None,
    }  # fmt: skip


def _plan(recipe: dict[str, Any], prepared: collect.Prepared, folder: Folder, clock: Clock) -> Iterator[Progress]:
    end = assemble.training_end(recipe["minutes"])
    said = assemble.make_plan(recipe, prepared, folder, None if end is None else lambda: end - clock())
    yield _event("plan", clock, folder, said)


def _train(recipe: Mapping[str, Any], prepared: collect.Prepared, folder: Folder, clock: Clock) -> Iterator[Progress]:
    """Train, finish, and draw the last pictures."""
    plan = read_plan(folder.plan)
    if plan is None:
        raise RunError(
            f"{folder.plan} is missing or damaged", "The plan that was recorded before training", "Restore it"
        )
    settled, training = recipe["plan"], configure(TrainConfig, recipe["train"])
    torch.set_num_threads(settled["threads"])
    device = torch.device(settled["device"])
    made = build_family(recipe["family"], recipe["config"], prepared.codec, prepared.conditions, recipe["seed"])
    family, saved = made.to(device), folder.newest_state()
    if saved is None and isinstance(family, HasBeginning):
        family.begin(assemble.some_rows(recipe, prepared, device, BEGINNING), len(prepared.kept))
    game, step = assemble.game_of(recipe, family), 0
    if saved is not None:
        try:
            game.load_state({name: value.to(device) for name, value in saved[0].items()})
        except (KeyError, RuntimeError, ValueError) as error:
            raise not_together(folder.path, folder.states, error) from None
        step, clock.before = saved[1]["step"], saved[1]["seconds"]
        begun = f"step {step:,} of {plan.steps:,}" if step else f"the weights of {recipe['weights']}"
        yield _event("train", clock, folder, f"Going on from {begun}")
    folder.cut_log(step)
    seconds = 60 * recipe["minutes"] if recipe["minutes"] else None
    end = assemble.training_end(recipe["minutes"])
    preview = Preview.of(prepared, device)
    session = Session(game, folder, plan, recipe["seed"], clock, preview, end, settled["batch"], step)
    session.picture_every = training.picture or max(2.0, (seconds or 300) / 30)
    session.save_every = training.save
    session.held = _held_out(recipe, prepared, session)
    with assemble.loader(recipe, prepared, settled["batch"]).iterate(step) as batches:
        moved = (assemble.on(device, batch) for batch in batches) if device.type != "cpu" else batches
        with _tensorboard(folder, training.tensorboard) as write:
            for event in session.run(moved):
                write(event)
                yield replace(event, run=str(folder.path))
    if stop.is_set():
        yield _event("stopped", clock, folder, f"Stopped and saved at step {session.step:,} of {plan.steps:,}")
        return
    yield _event("finish", clock, folder, session.settle())
    _finish(session, prepared, recipe)
    if isinstance(game.family, HasLogZ):
        yield _event("finish", clock, folder, _constant(*game.family.log_z))
    yield replace(
        _event("done", clock, folder, _stall(batches, clock)), step=session.step, steps=plan.steps, fraction=1.0
    )


def _held_out(recipe: Mapping[str, Any], prepared: collect.Prepared, session: Session) -> HeldOut | None:
    """What watches the loss on held-out items, for a family that asks for it."""
    game = session.game
    if not game.family.watched or not len(prepared.held):
        return None
    source = assemble.batches(prepared, prepared.held, session.batch, recipe["seed"])
    few = min(fitting_number(session.plan.revisions[0].steps), max(1, source.count // session.batch))
    batches = [assemble.on(game.device, source.batch(i)) for i in range(few)]
    return HeldOut(session.folder.path / "best.safetensors", game, session.plan, batches, session.step)


@contextmanager
def _tensorboard(folder: Folder, wanted: bool) -> Iterator[Callable[[Progress], None]]:
    """A function that writes an event's figures for TensorBoard, or does nothing."""
    if not wanted:
        yield lambda event: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise missing_extra("tensorboard", "log", "Writing TensorBoard events") from None
    with SummaryWriter(str(folder.path / "tensorboard")) as writer:

        def write(event: Progress) -> None:
            for name, value in {**event.log, "rate": event.rate}.items():
                writer.add_scalar(name, value, event.step)

        yield write


def _constant(low: float, high: float) -> str:
    if low == high:
        return f"log Z is {low:.2f} nats, exactly"
    return f"log Z lies between {low:.2f} and {high:.2f} nats, by annealing from both sides"


def _stall(batches: Any, clock: Clock) -> str:
    return f"Waited {batches.stall:.1f} s for data"


def _finish(session: Session, prepared: collect.Prepared, recipe: Mapping[str, Any]) -> None:
    """Fit what is fitted after training, save, and write pictures, film and report."""
    game, folder = session.game, session.folder
    if isinstance(game.family, HasFinish):
        torch.manual_seed(step_seed(recipe["seed"], session.step))  # the same after a resume
        with game.averaged() as family:
            cast(HasFinish, family).finish(assemble.some_rows(recipe, prepared, game.device, FINISHING))
    session.save()
    session.draw()
    if prepared.codec.natural == "image":
        film(folder)
    from morelike.measure.report import write

    write(folder.path)


def _event(stage: str, clock: Clock, folder: Folder, note: str | None) -> Progress:
    return Progress(stage, seconds=clock(), note=note, run=str(folder.path))
