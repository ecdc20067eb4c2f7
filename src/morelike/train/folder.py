"""The run folder: written atomically, checked when read, loaded without executing anything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from morelike.core.errors import RunError

KEPT_STATES = 2
LONG = 1_000_000  # letters of JSON from which it is written without line breaks, many times as fast
BEFORE = "before"  # folder in a run of what it was before it was trained on the held-out items as well


def write_bytes(path: Path, data: bytes) -> None:
    """Write through a temporary file, so that a crash or a full disk leaves the old file as it was."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(
            f"{path}: could not be written ({error.strerror})",
            "The disk needs room, and the folder the right to write",
            "Free some space; what was saved before is intact, and --resume goes on from it",
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically; readable, unless it is so long that nobody would read it."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) < LONG:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """The JSON in a file of a run, or a `RunError` that says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except (ValueError, OSError) as error:
        raise damaged(path, str(error)) from None


def missing(path: Path) -> RunError:
    """The error for a file of a run that is not there."""
    return RunError(
        f"{path}: there is no such file",
        "A run folder holds recipe.json, codec.json, plan.jsonl and weights.safetensors",
        "Give the folder that `morelike fit` printed, or train again",
    )


def damaged(path: Path, why: str) -> RunError:
    """The error for a file of a run that is not as it was written."""
    return RunError(
        f"{path}: the file is damaged ({why})",
        "It was written whole, with a checksum",
        "Continue from the last good state with `morelike fit --resume --out RUN`, or restore the file from a copy",
    )


def not_together(run: Path, tensors: Path, error: Exception) -> RunError:
    """The error for files that do not belong to one run."""
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RunError(
        f"{run}: recipe.json, codec.json and {tensors.relative_to(run)} do not belong together ({why})",
        "Files of one run", "Restore the one that was changed",
    )  # fmt: skip


def digest(tensors: Mapping[str, Tensor], note: str) -> str:
    """A checksum of names, types, shapes, values and note."""
    total = hashlib.blake2b(note.encode(), digest_size=16)
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any] | None = None) -> None:
    """Write tensors and a JSON note as safetensors, atomically and with a checksum."""
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    text = json.dumps(note or {})
    write_bytes(path, save(plain, {"note": text, "digest": digest(plain, text)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and note; a `RunError` if the file is missing, cut short or altered."""
    if not path.is_file():
        raise missing(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            about = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(path, str(error)) from None
    if about.get("digest") != digest(tensors, about.get("note", "")):
        raise damaged(path, "its checksum does not match")
    return tensors, json.loads(about["note"])


class Folder:
    """Paths of a run folder, and its states: `state/00001200.safetensors`, the newest two of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe, self.codec = path / "recipe.json", path / "codec.json"
        self.plan, self.log = path / "plan.jsonl", path / "log.jsonl"
        self.weights, self.states, self.samples = path / "weights.safetensors", path / "state", path / "samples"
        self.augmentation = path / "augmentation.png"
        self.film, self.report = path / "film.gif", path / "report.html"

    def create(self) -> None:
        try:
            for folder in (self.path, self.states, self.samples):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: the run folder could not be made ({error.strerror})",
                "A place with room that you may write to", "Choose another --out",
            ) from None  # fmt: skip

    def save_state(self, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> Path:
        path = self.states / f"{note['step']:09d}.safetensors"
        save_tensors(path, tensors, note)
        for old in sorted(self.states.glob("*.safetensors"))[:-KEPT_STATES]:
            old.unlink(missing_ok=True)
        return path

    def newest_state(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest state that can be read; a damaged one falls back on the one before it."""
        fault: RunError | None = None
        for path in sorted(self.states.glob("*.safetensors"), reverse=True):
            try:
                return load_tensors(path)
            except RunError as error:
                fault = fault or error
        if fault is not None:
            raise RunError(
                fault.found, "One of the states in this folder has to be whole",
                f"Restore one from a copy, or remove {self.states} to train again from the first step",
            )  # fmt: skip
        return None

    def cut_log(self, step: int) -> None:
        """Drop what was logged from `step` on: a resumed run writes it again."""
        if not self.log.exists():
            return
        kept = []
        for line in self.log.read_bytes().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + b"\n")
            except (ValueError, KeyError, TypeError):
                continue
        write_bytes(self.log, b"".join(kept))
