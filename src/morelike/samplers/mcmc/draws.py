"""What sampling leaves: the draws of every chain, what each step told, and how they came about."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from morelike.core.errors import DataError, OptionError, missing_extra, unknown
from morelike.samplers.mcmc.summary import Summary, summarise
from morelike.samplers.mcmc.verdict import Verdict, judge

ARVIZ = {  # names of per-step statistics that ArviZ and its plots look for
    "accept": "acceptance_rate", "evals": "n_steps", "depth": "tree_depth", "saturated": "reached_max_treedepth",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of several Markov chains of one density; `draws["tau"]` is a parameter.

    values  name -> (chains, draws, *shape)
    stats   what each step told, name -> (chains, draws): accept (mean probability of acceptance), energy, diverging
            (bool), evals (evaluations of the density), and where there are trees depth and saturated (bool)
    about   how they came about, plain data: kernel, seed, warmup, step size, seconds …
    """

    values: Mapping[str, Tensor]
    stats: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = {name: tuple(one.shape) for name, one in [*self.values.items(), *self.stats.items()]}
        if not self.values:
            raise OptionError("Draws of no parameter", "At least one", "Give values, name -> (chains, draws, *shape)")
        size = next(iter(shapes.values()))[:2]
        wrong = [f'"{name}" is {shape}' for name, shape in shapes.items() if shape[:2] != size or len(shape) < 2]
        if wrong:
            raise OptionError(
                f"The draws do not belong together: {wrong[0]}",
                f"Every parameter as (chains, draws, *shape), every statistic as (chains, draws), here {size}",
                "Stack the chains along the first axis, and their draws along the second",
            )

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.values:
            raise unknown("parameter", name, self.values)
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __len__(self) -> int:
        """How many parameters there are."""
        return len(self.values)

    def keys(self) -> Iterator[str]:
        """Names of the parameters."""
        return iter(self.values)

    @property
    def chains(self) -> int:
        return next(iter(self.values.values())).shape[0]

    @property
    def draws(self) -> int:
        """How many of each chain."""
        return next(iter(self.values.values())).shape[1]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(one.shape[2:]) or ''}".strip() for name, one in self.values.items())
        return f"Draws({self.chains} chains x {self.draws:,} draws of {shapes})"

    def summary(self) -> Summary:
        """Mean, sd, quantiles and what they are worth, a row for each number; `print` it."""
        return summarise(self.values)

    def verdict(self, precision: float | Mapping[str, float] | None = None) -> Verdict:
        """Whether the draws can be used, in plain language; `print` it.

        precision  the largest standard error of a mean that will do: as a share of the sd, or by name of the parameter
        """
        return judge(self.values, self.stats, self.about, precision)

    def save(self, path: str | Path) -> Path:
        """Write all of it as safetensors, whole or not at all, and return where."""
        note = json.dumps({"values": list(self.values), "stats": list(self.stats), "about": dict(self.about)})
        tensors = {f"{kind}/{name}": one.detach().cpu().contiguous().clone()
                   for kind in ("values", "stats") for name, one in getattr(self, kind).items()}  # fmt: skip
        target = Path(path)
        write_whole(target, save(tensors, {"draws": note}))
        return target

    @classmethod
    def load(cls, path: str | Path) -> Draws:
        """What `save` wrote; nothing in it is executed."""
        try:
            with safe_open(str(path), "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
                note = json.loads((file.metadata() or {})["draws"])
            values, stats = ({name: tensors[f"{kind}/{name}"] for name in note[kind]} for kind in ("values", "stats"))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{path}: these are no draws that can be read ({error})", "A file that Draws.save wrote",
                "Name that file, restore it from a copy, or sample again",
            ) from None  # fmt: skip
        return cls(values, stats, note["about"])

    def arviz(self) -> Any:
        """The same for ArviZ: an `InferenceData`, or from its version 1 on a `DataTree`."""
        try:
            import arviz
        except ImportError:
            raise missing_extra("arviz", "mcmc", "An InferenceData of draws") from None
        stats = {ARVIZ.get(name, name): one.detach().cpu().numpy() for name, one in self.stats.items()}
        groups = {
            "posterior": {name: one.detach().cpu().numpy() for name, one in self.values.items()},
            **({"sample_stats": stats} if stats else {}),
        }
        return arviz.from_dict(groups) if int(arviz.__version__.split(".")[0]) else arviz.from_dict(**groups)


def write_whole(path: Path, data: bytes) -> None:
    """Write beside the target first, so that whoever looks sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise OptionError(
            f"{path} cannot be written: {error.strerror}", "A place with room that you may write to",
            "Free some space or choose another path",
        ) from None  # fmt: skip


def as_draws(values: Mapping[str, Any], stats: Mapping[str, Any] | None = None, **about: Any) -> Draws:
    """Draws of another library's arrays, name -> (chains, draws, *shape)."""
    tensors = [{name: torch.as_tensor(one) for name, one in each.items()} for each in (values, stats or {})]
    return Draws(tensors[0], tensors[1], about)
