"""Weights from elsewhere: a GPT-2 checkpoint as others keep it, or a run folder, to begin from; and back again.

Files are read as JSON, text and safetensors: nothing is unpickled, no code is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from morelike.codecs import _tokenizer
from morelike.core.errors import DataError, OptionError, RunError
from morelike.core.family import Family
from morelike.data.listing import Reading
from morelike.families import _gpt2
from morelike.recipes import Request, build_family, configure, load_codec, module
from morelike.train.config import Config as TrainConfig
from morelike.train.folder import Folder, load_tensors, read_json, save_tensors, write_bytes, write_json
from morelike.train.recipe import read_recipe

TUNING = {"optimizer": "adamw", "lr": 3e-4}  # of a text model that has learned: gentler than the first time
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
POSITIONS = "stack.positions.weight"


@dataclass(frozen=True)
class Weights:
    """A model to begin from.

    folder    where it came from
    family    its kind, and `settings` those of the family
    codec     what codec.json holds
    given     the fields it is conditioned on, with commas between them, or "none"
    tensors   its state, by name
    """

    folder: Path
    family: str
    settings: Mapping[str, Any]
    codec: Mapping[str, Any]
    given: str
    tensors: Mapping[str, Tensor]

    def asked(self, request: Request, codec: str) -> Request:
        """The request, with what the weights settle; an `OptionError` where it asks for something else.

        codec  kind of the items
        """
        given = self.given if request.given == "auto" else request.given
        wanted = [
            ("--family", request.family, ("auto", self.family)), ("--net", request.net, (None,)),
            ("--size", request.size, ("auto",)), ("--given", given, (self.given,)),
            ("SOURCE", codec, (self.codec["codec"],)),
        ]  # fmt: skip
        for option, value, fitting in wanted:
            if value not in fitting:
                settled = fitting[-1] if fitting[-1] not in (None, "auto") else "what they were made with"
                raise OptionError(
                    f"{option} is {value}", f"The weights of {self.folder} settle it: {settled}",
                    "Leave it out, or train without --weights",
                )  # fmt: skip
        return replace(request, family=self.family, given=given)

    def under(self, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The user's settings for family, codec and train, and below them those of the weights."""
        train = TUNING if self.codec["codec"] == "text" else {}
        own = {"family": self.settings, "codec": self.codec["config"], "train": train}
        return {kind: {**own[kind], **settings[kind]} for kind in own}

    def fitting(self, codec: Any, given: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Tensor]:
        """The state for a model of these settings; a `RunError` names a tensor that does not fit.

        Of learned positions those are taken that the model has.
        """
        with torch.device("meta"):
            family = build_family(self.family, settings, codec, given, 0)
        return _fitting(family, self.tensors, self.folder)


def open_weights(folder: Path) -> Weights:
    """The weights in a run folder, or in a folder with config.json, model.safetensors and a tokenizer."""
    if (folder / "recipe.json").is_file():
        run = Folder(folder)
        recipe, codec = read_recipe(run.recipe), read_json(run.codec)
        given = ",".join(codec.get("given", {})) or "none"
        return Weights(folder, recipe["family"], recipe["config"], codec, given, load_tensors(run.weights)[0])
    if not (folder / "config.json").is_file():
        raise DataError(
            f"{folder}: there is no model", "A run folder, or one with config.json, model.safetensors and a tokenizer",
            "Give such a folder",
        )  # fmt: skip
    sizes = _gpt2.checked(told := _json(folder / "config.json"))
    codec, end = _tokenizer.read(folder, sizes["vocab_size"], told.get("eos_token_id"))
    state = _gpt2.read(_tensors(folder), sizes, end)
    config = {**codec, "context": sizes["n_positions"]}
    stored = {"codec": "text", "config": config, "given": {}}
    return Weights(folder, "autoregressive", _gpt2.settings(sizes), stored, "none", state)


def begin(folder: Folder, state: Mapping[str, Tensor]) -> None:
    """Let a new run go on from this state, as if it had been saved before its first step."""
    both = {f"{kind}.{name}": value for kind in ("live", "average") for name, value in state.items()}
    folder.save_state(both, {"step": 0, "seconds": 0.0, "steps": 0})


def bring(source: Path, out: Path) -> Path:
    """A run folder with the weights of a checkpoint, as they are."""
    if out.exists():
        raise OptionError(f"{out} already exists", "A new folder for the run", "Name another one with --out")
    weights, folder = open_weights(source), Folder(out)
    if (source / "recipe.json").is_file():
        raise OptionError(f"{source} is a run already", "A checkpoint of GPT-2", "Use the run, or copy its folder")
    codec, given = load_codec(weights.codec)
    state = weights.fitting(codec, given, weights.settings)
    folder.create()
    write_json(folder.codec, {**weights.codec, "config": asdict(codec.config)})
    save_tensors(folder.weights, state, {"step": 0, "seconds": 0.0, "steps": 0})
    write_json(folder.recipe, {
        "version": 1, "source": str(source), "weights": str(source), "family": weights.family,
        "config": dict(weights.settings), "reading": asdict(Reading("text")), "given": None, "minutes": None,
        "steps": None, "seed": 0, "held_out": 0.0, "augment": {}, "train": asdict(TrainConfig()),
        "data": {"items": 0, "train": 0, "held_out": 0, "skipped": 0, "mended": 0, "digest": "", "labels": {},
                 "problems": [], "warnings": []},
        "plan": None,
    })  # fmt: skip
    return out


def export(run: Path, out: Path) -> list[Path]:
    """Write a run of the layout of GPT-2 into a folder that others can open; returns the files."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OptionError(f"{out} already exists", "A new or an empty folder", "Name another one")
    weights = open_weights(run)
    codec, given = load_codec(weights.codec)
    config = configure(module("family", weights.family).Config, weights.settings)
    if getattr(config, "layout", "own") != "gpt2" or given or codec.vocabulary.kind != "bpe":
        raise OptionError(
            f"{run} is a model of kind {weights.family} with a layout of its own",
            "A run that began from a checkpoint of GPT-2, or with its layout, a bpe vocabulary and no conditions",
            "Train with --set layout=gpt2 --set vocabulary=bpe --given none",
        )  # fmt: skip
    state = weights.fitting(codec, given, weights.settings)
    context, units = state[POSITIONS].shape
    depth = sum(name.endswith("norm1.weight") for name in state)
    heads = config.design(context).heads
    sizes = dict(zip(_gpt2.SIZES, (len(codec.vocabulary), context, units, depth, heads), strict=True))
    sizes["tied"] = config.tied
    files = {"config.json": _gpt2.config(sizes)} | _tokenizer.written(
        list(codec.vocabulary.written), list(codec.config.merges), codec.config.form, context
    )
    for name, told in files.items():
        write_json(out / name, told)
    write_bytes(out / "model.safetensors", save(_gpt2.written(state, sizes), {"format": "pt"}))
    return [out / name for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")]


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error})", "A JSON object", "Restore the file") from None
    return told if isinstance(told, dict) else {}


def _tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors; a `DataError` for what is missing, damaged, or kept as a pickle."""
    path = folder / "model.safetensors"
    if not path.is_file():
        pickled = sorted(one.name for one in folder.iterdir() if one.suffix in PICKLED)
        if pickled:
            raise DataError(
                f"{folder}: the weights are in {pickled[0]}, a pickle, which may run any program when it is opened",
                "model.safetensors, which holds numbers and nothing else",
                "Take the safetensors of this model, or let its source convert it",
            )
        raise DataError(f"{path}: there is no such file", "All weights in one file", "Copy it into the folder")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: the file is damaged ({error})", "Safetensors", "Copy it again") from None


def _fitting(family: Family, tensors: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    wanted, found = family.state_dict(), dict(tensors)
    if POSITIONS in wanted and POSITIONS in found:
        found[POSITIONS] = found[POSITIONS][: len(wanted[POSITIONS])]
    for name in sorted(wanted.keys() | found.keys()):
        there, needed = (tuple(one[name].shape) if name in one else None for one in (found, wanted))
        if there != needed:
            raise RunError(
                f"{folder}: the tensor {name} has shape {there}" if there else f"{folder}: there is no tensor {name}",
                f"{needed} for this data and these settings" if needed else "Only those that the model has",
                "Leave out the settings that change the model, or train without --weights",
            )
    return found
