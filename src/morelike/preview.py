"""What a run shows of itself while it is trained: the same seeds again and again, and a film of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morelike.collect import Prepared
from morelike.core.family import Family
from morelike.core.tokens import Writes
from morelike.data.sequences import chosen
from morelike.train.folder import Folder, write_bytes

CHUNK = 64  # items made at once: always this many, so that an item does not depend on how many are asked for
SHEET = {"image": 64, "table": 64}  # items in a preview, by codec
FEW = 4  # where nothing is said: writing is slow, and nobody reads more
FRAME = 360  # pixels, longest side of a frame of the film


@dataclass(frozen=True)
class Preview:
    """Draws seeds from 0 on with a model that is being trained; labels take turns, other conditions are held-out ones.

    conditions  int64 (n, ...) by name, one for each of the first n seeds; seed i has that of i modulo n
    """

    codec: Any
    conditions: Mapping[str, Tensor]
    device: torch.device

    @classmethod
    def of(cls, prepared: Prepared, device: torch.device) -> Preview:
        """The preview of a run on these items."""
        rows = (prepared.held if len(prepared.held) else prepared.kept)[:CHUNK]
        given = {
            name: torch.arange(len(prepared.labels[name].config.vocabulary)) if name in prepared.labels
            else chosen(value, rows) for name, value in prepared.given.items()
        }  # fmt: skip
        return cls(prepared.codec, given, device)

    @property
    def suffix(self) -> str:
        """Of the files that are drawn."""
        return self.codec.suffix

    def __call__(self, family: Family, path: Path) -> None:
        """The first seeds, into a file."""
        x = self.items(family, SHEET.get(self.codec.natural, FEW))
        self.codec.write(self.codec.decode(x), path)

    def items(self, family: Family, n: int) -> Tensor:
        """Items of seeds 0 to n - 1, encoded: (n, *shape), in the chunks in which `Run.sample` makes them."""
        whole = isinstance(family, Writes)  # what is written token by token does not depend on what is beside it
        chunks = [range(n)] if whole else [range(begin, begin + CHUNK) for begin in range(0, n, CHUNK)]
        return torch.cat([family.sample(part, self._given(part)) for part in chunks])[:n]

    def _given(self, seeds: range) -> dict[str, Tensor]:
        turns = torch.tensor(seeds)
        return {name: value[turns % len(value)].to(self.device) for name, value in self.conditions.items()}


def film(folder: Folder, frames: int = 40) -> None:
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


def write_picture(path: Path, picture: Image.Image, **options: Any) -> None:
    """Write a picture in the format of its name, atomically."""
    from io import BytesIO

    buffer = BytesIO()
    picture.save(buffer, format=path.suffix[1:].upper(), **options)
    write_bytes(path, buffer.getvalue())
