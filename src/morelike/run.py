"""A trained run: draw items from it, walk between them, encode and reconstruct. Loading it executes no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morelike.core.errors import OptionError, RunError, unknown
from morelike.core.family import Family, HasInterpolation, HasLatent
from morelike.core.spec import Batch
from morelike.recipes import build_family, load_codec
from morelike.train.budget import read_plan
from morelike.train.folder import Folder, load_tensors, not_together, read_json, write_bytes
from morelike.train.recipe import read_recipe

CHUNK = 64  # items made at once: always this many, so that an item does not depend on how many are asked for
SHEET = 64  # items on a preview
FRAME = 360  # pixels, longest side of a frame of the film


@dataclass(frozen=True)
class Samples:
    """Items that were made: array uint8 (N, H, W, C), and the seed of each where it has one."""

    array: np.ndarray
    seeds: tuple[int, ...]
    codec: Any
    columns: int | None = None

    def __len__(self) -> int:
        return len(self.array)

    def sheet(self) -> Image.Image:
        """All items side by side."""
        return self.codec.sheet(self.array, self.columns)

    def save(self, target: str | Path) -> list[Path]:
        """Write a sheet (.png), a film (.gif), an array (.npy, .npz), or one file each (a folder)."""
        if Path(target).suffix == ".png":
            return _save_sheet(self.sheet(), Path(target))
        return self.codec.write(self.array, Path(target))


@dataclass
class Run:
    """A run folder with its trained model.

    family, codec  the model with its weights, and what turns its numbers into files
    labels         codecs of what the model is conditioned on, by name
    recipe         what was asked and what was planned
    """

    path: Path
    family: Family
    codec: Any
    labels: Mapping[str, Any]
    recipe: Mapping[str, Any]
    trained: Mapping[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run folder; a `RunError` says which file is missing, cut short or altered."""
        folder = Folder(Path(path))
        if not folder.path.is_dir():
            raise RunError(
                f"{path}: there is no such folder", "A run folder", "Give the folder that `morelike fit` printed"
            )
        recipe, (codec, labels) = read_recipe(folder.recipe), load_codec(read_json(folder.codec))
        tensors, trained = load_tensors(folder.weights)
        try:
            family = build_family(recipe["family"], recipe["config"], codec, labels, 0)
            family.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError, OptionError) as error:
            raise not_together(folder.path, folder.weights, error) from None
        return cls(folder.path, family.eval(), codec, labels, recipe, trained)

    def sample(
        self, n: int = 64, *, seed: int = 0, given: Mapping[str, str] | None = None, label: str | None = None
    ) -> Samples:
        """Make n items; item i has seed `seed + i` and depends on that and its condition alone.

        given  condition by name, such as {"label": "cat"}; without it the labels take turns, seed by seed.
               label=... is short for it.
        """
        _check_count(n)
        if not 0 <= seed < 2**63 - n:
            raise OptionError(f"The seed is {seed}", "A whole number from 0 to 2^63", "Choose another one")
        seeds = range(seed, seed + n)
        conditions = self.conditions(seeds, self._named(label) if label is not None else given or {})
        return Samples(
            self._make(lambda part, c: self.family.sample(part, c), seeds, conditions), tuple(seeds), self.codec
        )

    def interpolate(self, a: int, b: int, steps: int = 8, *, label: str | None = None) -> Samples:
        """Items on the great circle between the noise of seed a and that of seed b (White 2016)."""
        if not isinstance(self.family, HasInterpolation):
            raise OptionError(
                f'The family "{self.recipe["family"]}" has no noise to walk in', "gan or vae", "Use sample"
            )
        ends = self.family.noise([a, b])
        path = torch.stack([slerp(ends[0], ends[1], t) for t in np.linspace(0, 1, max(2, steps))])
        if label is None and self.labels:
            label = next(iter(self.labels.values())).config.vocabulary[0]
        conditions = self.conditions(range(len(path)), self._named(label) if label is not None else {})
        generate = self.family.generate
        array = self._make(lambda part, c: generate(path[list(part)], c), range(len(path)), conditions)
        return Samples(array, (a, b), self.codec, columns=len(array))

    def reconstruct(self, source: str | Path, n: int = 32) -> Samples:
        """Items of a source and, beside each, what the model makes of its code: original, copy, original, copy …"""
        x, given = self._read(source, n)
        z = self._latent(x, given)
        with torch.no_grad():
            made = cast(HasLatent, self.family).decode(z, given).mean
        pairs = np.stack([self.codec.decode(x), self.codec.decode(made)], 1)
        return Samples(pairs.reshape(-1, *pairs.shape[2:]), (), self.codec, columns=8)

    def encode(self, source: str | Path, n: int | None = None) -> np.ndarray:
        """Codes of the items of a source: (N, latent) float32."""
        return self._latent(*self._read(source, n)).numpy()

    def info(self) -> dict[str, Any]:
        """What was asked, how it was planned, how far it is, and how large it is."""
        plan = read_plan(Folder(self.path).plan)
        return {
            "run": str(self.path), "source": self.recipe["source"], "family": self.recipe["family"],
            "settings": self.recipe["config"], "shape": list(self.family.spec.shape), "given": self.recipe["given"],
            "labels": {name: list(one.config.vocabulary) for name, one in self.labels.items()},
            "parameters": {name: sum(map(torch.numel, p.parameters())) for name, p in self.family.players().items()},
            "step": self.trained.get("step"), "steps": plan.steps if plan else None,
            "seconds": round(self.trained.get("seconds", 0.0), 1), "seed": self.recipe["seed"],
            "data": {k: v for k, v in self.recipe["data"].items() if k in ("items", "train", "held_out", "skipped")},
            "plan": (self.recipe.get("plan") or {}).get("said"),
        }  # fmt: skip

    def _make(self, make: Callable[..., Tensor], seeds: Sequence[int], given: Mapping[str, Tensor]) -> np.ndarray:
        """Items in chunks of one fixed size, the last one filled up and cut."""
        made = []
        with torch.no_grad():
            for begin in range(0, len(seeds), CHUNK):
                part = [seeds[min(begin + i, len(seeds) - 1)] for i in range(CHUNK)]
                rows = torch.tensor([min(begin + i, len(seeds) - 1) for i in range(CHUNK)])
                x = make(part, {name: value[rows] for name, value in given.items()})
                made.append(self.codec.decode(x)[: len(seeds) - begin])
        return np.concatenate(made)

    def conditions(self, seeds: Sequence[int], given: Mapping[str, str]) -> dict[str, Tensor]:
        """The conditions of some seeds as numbers, by name: (len(seeds),) each; what is not given takes turns."""
        for name in given:
            if name not in self.labels:
                if not self.labels:
                    raise OptionError(
                        f"This model was asked for {name}={given[name]}", "It was trained without conditions",
                        "Leave it out, or train with --given label",
                    )  # fmt: skip
                raise unknown("condition", name, self.labels)
        turns = torch.tensor(seeds)
        return {name: torch.from_numpy(codec.encode([given[name]] * len(seeds))) if name in given
                else turns % len(codec.config.vocabulary) for name, codec in self.labels.items()}  # fmt: skip

    def _named(self, label: str) -> dict[str, str]:
        """The condition that a bare label stands for."""
        return {next(iter(self.labels), "label"): label}

    def _read(self, source: str | Path, n: int | None) -> tuple[Tensor, dict[str, Tensor]]:
        from morelike.data.cache import build
        from morelike.data.sources import open_source

        _check_count(1 if n is None else n)
        if not isinstance(self.family, HasLatent):
            raise OptionError(
                f'The family "{self.recipe["family"]}" has no encoder', "A family with a latent space, such as vae",
                "Train with --family vae",
            )  # fmt: skip
        data = build(open_source(source), self.codec)
        rows = slice(0, n)
        x = self.codec.encode(torch.from_numpy(np.array(data.x[rows])))
        missing = [""] * len(data)
        given = {name: codec.encode(data.fields.get(name, missing)[rows]) for name, codec in self.labels.items()}
        return x, {name: torch.from_numpy(value) for name, value in given.items()}

    def _latent(self, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        encode = cast(HasLatent, self.family).encode
        with torch.no_grad():
            return torch.cat([encode(Batch(x, given).slice(at, at + 256)) for at in range(0, len(x), 256)])


def _check_count(n: int) -> None:
    if n < 1:
        raise OptionError(f"{n} items were asked for", "At least 1", "Use -n 64, say")


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """(sin((1-t) w) a + sin(t w) b) / sin(w), where w is the angle between a and b (Shoemake 1985)."""
    w = torch.acos(torch.nn.functional.cosine_similarity(a, b, dim=0).clamp(-0.9999, 0.9999))
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)


@dataclass(frozen=True)
class Preview:
    """Draws seeds from 0 on with a model that is being trained, the labels taking turns."""

    codec: Any
    labels: Mapping[str, Any]
    device: torch.device

    def __call__(self, family: Family, path: Path) -> None:
        """A sheet of seeds 0 to 63, into a picture file."""
        _save_sheet(self.codec.sheet(self.codec.decode(self.items(family, SHEET))), path)

    def items(self, family: Family, n: int) -> Tensor:
        """Items of seeds 0 to n - 1, encoded: (n, *shape); always in chunks of `CHUNK`, as `Run.sample` makes them."""
        chunks = [range(begin, begin + CHUNK) for begin in range(0, n, CHUNK)]
        return torch.cat([family.sample(part, self._turns(part)) for part in chunks])[:n]

    def _turns(self, seeds: range) -> dict[str, Tensor]:
        turns = torch.tensor(seeds, device=self.device)
        return {name: turns % len(one.config.vocabulary) for name, one in self.labels.items()}


def preview_writer(codec: Any, labels: Mapping[str, Any], device: torch.device) -> Preview:
    """What draws the pictures of a run while it is trained."""
    return Preview(codec, labels, device)


def preview_film(folder: Folder, frames: int = 40) -> None:
    """All previews of a run, oldest first, as an animated GIF; the last one stays longer."""
    paths = sorted(folder.samples.glob("*.png"))
    chosen = [paths[i] for i in sorted(set(np.linspace(0, len(paths) - 1, min(frames, len(paths))).astype(int)))]
    pictures = [_frame(path) for path in chosen]
    times = [150] * (len(pictures) - 1) + [2000]
    write_picture(folder.film, pictures[0], save_all=True, append_images=pictures[1:], duration=times, loop=0)


def _frame(path: Path) -> Image.Image:
    """A preview small enough for a film."""
    with Image.open(path) as picture:
        shrink = max(1.0, max(picture.size) / FRAME)
        size = round(picture.width / shrink), round(picture.height / shrink)
        return picture.resize(size, Image.Resampling.BOX).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)


def _save_sheet(picture: Image.Image, path: Path) -> list[Path]:
    write_picture(path, picture)
    return [path]


def write_picture(path: Path, picture: Image.Image, **options: Any) -> None:
    """Write a picture in the format of its name, atomically."""
    from io import BytesIO

    buffer = BytesIO()
    picture.save(buffer, format=path.suffix[1:].upper(), **options)
    write_bytes(path, buffer.getvalue())
