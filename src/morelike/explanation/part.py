"""One part of an explanation: figures for programs, a picture or a table for people, and a sentence that says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL.Image import Image
from torch import Tensor

from morelike.explanation.drawing import labelled
from morelike.measure.figure import Estimate
from morelike.measure.page.html import grid

TITLES = {
    "traversal": "What the latent space changes", "directions": "Principal directions",
    "interpolation": "From seed to seed", "disentanglement": "True causes and codes",
    "provenance": "What samples resemble", "attention": "Where the net looks",
}  # fmt: skip


@runtime_checkable
class HasSheet(Protocol):
    """A codec whose items can be drawn side by side."""

    def decode(self, x: Tensor) -> np.ndarray: ...
    def sheet(self, items: np.ndarray, columns: int | None = None) -> Image: ...


@dataclass(frozen=True)
class Part:
    """What one way of explaining found.

    name     key in the JSON, name of its files, and of `TITLES`
    says     a sentence or two for readers who know no statistics
    figures  plain data
    picture  what is seen, where items are pictures
    html     what is read on the page
    reason   why there is nothing to see, where there is nothing
    """

    name: str
    says: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    picture: Image | None = None
    html: str = ""
    reason: str = ""

    @property
    def title(self) -> str:
        """Heading on the page."""
        return TITLES[self.name]


@dataclass(frozen=True)
class Unit:
    """What a change of 1 in an encoded item means to people: `scale` of `name`, such as 127.5 grey levels."""

    scale: float = 1.0
    name: str = "units"

    def words(self, effect: Estimate) -> str:
        """An effect size with its interval, in these units; for tokens, the share that changes."""
        values = [value or 0.0 for value in (effect.value, effect.low, effect.high)]
        if self.name == "tokens":
            middle, low, high = (f"{value**2:.0%}" for value in values)
        else:
            middle, low, high = (f"{value * self.scale:.3g}" for value in values)
        return f"{middle} {self.name} per sd ({low} to {high})"


def unit_of(codec: Any, x: Tensor) -> Unit:
    """The unit of a codec: how much more its natural items vary than the encoded items (N, *shape) that they are of."""
    if not x.dtype.is_floating_point:
        return Unit(1.0, "tokens")
    x = x.float() / (2 * x.abs().max().clamp_min(1e-6))  # well inside of what the codec would clip
    natural, spread = codec.decode(x), float(x.std(correction=0))
    if (
        not isinstance(natural, np.ndarray)
        or natural.size != x.numel()
        or natural.dtype.kind not in "uif"
        or not spread
    ):
        return Unit()
    scale = float(natural.astype(np.float64).std()) / spread
    return Unit(scale, "grey levels" if natural.dtype == np.uint8 else "units")


def cells(codec: Any, x: Tensor | np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> tuple[Image | None, str]:
    """Items in rows and columns, as one picture, or as an HTML table where they cannot be drawn.

    x  encoded (rows * columns, *shape), or decoded already
    """
    items = codec.decode(x) if isinstance(x, Tensor) else x
    if isinstance(codec, HasSheet):
        return labelled(codec.sheet(items, len(columns)), rows, columns), ""
    written = iter(codec.html(items))
    heads = [escape(row).replace("\n", "<br>") for row in rows]
    return None, grid(["", *columns], [[head, *(next(written) for _ in columns)] for head in heads])
