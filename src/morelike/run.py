"""A trained run: draw items from it, walk between them, encode and reconstruct. Loading it executes no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from morelike.conditions import numbers
from morelike.core.errors import OptionError, RunError, unknown
from morelike.core.family import Family, HasInterpolation, HasLatent
from morelike.core.spec import Batch
from morelike.data.listing import Reading
from morelike.data.ragged import take
from morelike.data.sequences import chosen
from morelike.preview import CHUNK, write_picture
from morelike.recipes import LINKED, build_family, labels_among, load_codec
from morelike.train.budget import read_plan
from morelike.train.folder import Folder, load_tensors, not_together, read_json
from morelike.train.recipe import read_recipe

if TYPE_CHECKING:
    from PIL import Image

    from morelike.forecasting import Forecast
    from morelike.writing import Wish


TRIES = 8  # draws until an item keeps the rules of its codec


@dataclass(frozen=True)
class Samples:
    """Items that were made: array uint8 (N, H, W, C) or of str (N,), and the seed of each where it has one."""

    array: np.ndarray
    seeds: tuple[int, ...]
    codec: Any
    columns: int | None = None

    def __len__(self) -> int:
        return len(self.array)

    def sheet(self) -> Image.Image:
        """All pictures side by side."""
        if self.codec.natural != "image":
            raise OptionError(f"These items are {self.codec.natural}", "Pictures", "Use .save, or str() of the samples")
        return self.codec.sheet(self.array, self.columns)

    def __str__(self) -> str:
        """Texts one after another, with a line between them; rows of a table, as lines below its header."""
        return self.codec.joined(self.array) if hasattr(self.codec, "joined") else f"{len(self)} {self.codec.natural}s"

    @property
    def frame(self) -> Any:
        """Rows of a table as a frame of polars, of the types that they were learnt in; `.to_pandas()` makes one of
        pandas."""
        if not hasattr(self.codec, "framed"):
            raise OptionError(f"These items are {self.codec.natural}", "Rows of a table", "Use .array, or .save")
        return self.codec.framed(self.array)

    def save(self, target: str | Path) -> list[Path]:
        """Write a sheet (.png), a film (.gif), an array (.npy, .npz), one text (.txt, .jsonl), or a folder of files."""
        if Path(target).suffix == ".png" and self.columns is not None:
            write_picture(Path(target), self.sheet())
            return [Path(target)]
        return self.codec.write(self.array, Path(target))


@dataclass
class Run:
    """A run folder with its trained model.

    family, codec  the model with its weights, and what turns its numbers into files
    fields         codecs of what the model is conditioned on, by name
    recipe         what was asked and what was planned
    """

    path: Path
    family: Family
    codec: Any
    fields: Mapping[str, Any]
    recipe: Mapping[str, Any]
    trained: Mapping[str, Any]

    @property
    def labels(self) -> Mapping[str, Any]:
        """Codecs of those conditions that are labels."""
        return labels_among(self.fields)

    @property
    def reading(self) -> Reading:
        """How the source of the run was read."""
        return Reading(**self.recipe.get("reading", {}))

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run folder; a `RunError` says which file is missing, cut short or altered."""
        folder = Folder(Path(path))
        if not folder.path.is_dir():
            raise RunError(
                f"{path}: there is no such folder", "A run folder", "Give the folder that `morelike fit` printed"
            )
        if (folder.path / LINKED).exists():
            found = f"{path} holds the runs of two tables"
            raise RunError(found, "The run of one", "Name a folder in it; sample, report and info take both")
        recipe, (codec, fields) = read_recipe(folder.recipe), load_codec(read_json(folder.codec))
        tensors, trained = load_tensors(folder.weights)
        try:
            family = build_family(recipe["family"], recipe["config"], codec, fields, 0)
            family.load_state_dict(tensors)
        except (KeyError, TypeError, RuntimeError, OptionError) as error:
            raise not_together(folder.path, folder.weights, error) from None
        return cls(folder.path, family.eval(), codec, fields, recipe, trained)

    def sample(
        self, n: int = 64, *, seed: int = 0, given: Mapping[str, str | Sequence[str]] | None = None,
        label: str | None = None, wish: Wish | None = None, balance: str | None = None,
    ) -> Samples:  # fmt: skip
        """Make n items; item i has seed `seed + i` and depends on that and its condition alone.

        given  condition by name, such as {"label": "cat"}; without it the labels take turns, seed by seed.
               label=... is short for it. Of a table any columns, such as {"income": ">50K"}
        wish   how a text is to be written: its beginning, temperature, length …
        balance  a column of a table whose values take turns, so that each comes equally often
        """
        _check_count(n)
        if not 0 <= seed < 2**63 - n:
            raise OptionError(f"The seed is {seed}", "A whole number from 0 to 2^63", "Choose another one")
        seeds = range(seed, seed + n)
        if self.codec.natural == "table":
            from morelike.rows import drawn, turns

            known = {**(self._named(label) if label else given or {}), **turns(self, seeds, balance)}
            return Samples(drawn(self, seeds, known), tuple(seeds), self.codec)
        if balance is not None:
            found = f'"{balance}" is to be balanced among items that are {self.codec.natural}'
            raise OptionError(found, "A run of a table", "Leave it out: labels take turns by themselves")
        conditions = self.conditions(seeds, self._named(label) if label is not None else given or {})

        def make(seeds: Sequence[int], rows: np.ndarray) -> np.ndarray:
            some = {name: value[rows] for name, value in conditions.items()}
            if wish is None:
                return self._make(lambda part, c: self.family.sample(part, c), seeds, some)
            from morelike.writing import written

            return written(self, seeds, some, wish)

        whole = wish is None or wish.whole
        return Samples(until_kept(self.codec, seeds, make) if whole else make(seeds, np.arange(n)), tuple(seeds),
                       self.codec)  # fmt: skip

    def forecast(self, source: str | Path, steps: int = 24, *, paths: int = 200, seed: int = 0) -> Forecast:
        """How the series of a table go on after their last row; see `forecasting.forecast`."""
        from morelike.forecasting import forecast

        return forecast(self, source, steps, paths=paths, seed=seed)

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

    def conditions(self, seeds: Sequence[int], given: Mapping[str, str | Sequence[str]]) -> dict[str, Tensor]:
        """The conditions of some seeds as numbers, by name: (len(seeds), ...) each; labels not given take turns.

        given  a value for all seeds by name, or a list with one for each
        """
        for name in given:
            if name not in self.fields:
                if not self.fields:
                    raise OptionError(
                        f"This model was asked for {name}={given[name]}", "It was trained without conditions",
                        "Leave it out, or train with --given label",
                    )  # fmt: skip
                raise unknown("condition", name, self.fields)
        return {name: self._condition(name, codec, seeds, given.get(name)) for name, codec in self.fields.items()}

    def _condition(self, name: str, codec: Any, seeds: Sequence[int], value: str | Sequence[str] | None) -> Tensor:
        if value is None and codec.natural == "label":
            return torch.tensor(seeds) % len(codec.config.vocabulary)
        if value is None:
            raise OptionError(
                f'The model was given no "{name}"', f"It was trained to make an item from {', '.join(self.fields)}",
                f'Give for example: --given {name}="…"',
            )  # fmt: skip
        values = [value] * len(seeds) if isinstance(value, str) else [value[i % len(value)] for i in range(len(seeds))]
        return chosen(numbers(name, codec, values), np.arange(len(values)))

    def _named(self, label: str) -> dict[str, str]:
        """The condition that a bare label stands for."""
        return {next(iter(self.fields), "label"): label}

    def _read(self, source: str | Path, n: int | None) -> tuple[Tensor, dict[str, Tensor]]:
        from morelike.data.cache import build
        from morelike.data.sources import open_source

        _check_count(1 if n is None else n)
        if not isinstance(self.family, HasLatent):
            raise OptionError(
                f'The family "{self.recipe["family"]}" has no encoder', "A family with a latent space, such as vae",
                "Train with --family vae",
            )  # fmt: skip
        data = build(open_source(source, self.reading), self.codec)
        rows = np.arange(len(data))[:n]
        missing = [""] * len(data)
        given = {name: numbers(name, codec, data.fields.get(name, missing)) for name, codec in self.fields.items()}
        return self.codec.encode(take(data.x, rows)), {name: chosen(value, rows) for name, value in given.items()}

    def _latent(self, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        encode = cast(HasLatent, self.family).encode
        with torch.no_grad():
            return torch.cat([encode(Batch(x, given).slice(at, at + 256)) for at in range(0, len(x), 256)])


def until_kept(codec: Any, seeds: Sequence[int], make: Callable[[Sequence[int], np.ndarray], np.ndarray]) -> np.ndarray:
    """Items (n, ...) of some seeds; those that break the rules of the codec are drawn again, `TRIES` times in all.

    make  seeds, and the places of the items among all -> items

    What is left is drawn from p(x | x keeps the rules), as far as so many tries go (von Neumann 1951).
    """
    made = make(seeds, np.arange(len(seeds)))
    for attempt in range(1, TRIES if hasattr(codec, "kept") else 1):
        broken = np.flatnonzero(~codec.kept(made))
        if not len(broken):
            break
        made[broken] = make([other(seeds[i], attempt) for i in broken.tolist()], broken)
    return made


def other(seed: int, attempt: int) -> int:
    """A seed for another attempt, far from its neighbours in the 32 bits, too, that torch's generator looks at."""
    return seed ^ (attempt * 0x9E3779B97F4A7C15 % 2**63)


def _check_count(n: int) -> None:
    if n < 1:
        raise OptionError(f"{n} items were asked for", "At least 1", "Use -n 64, say")


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """(sin((1-t) w) a + sin(t w) b) / sin(w), where w is the angle between a and b (Shoemake 1985)."""
    w = torch.acos(torch.nn.functional.cosine_similarity(a, b, dim=0).clamp(-0.9999, 0.9999))
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
