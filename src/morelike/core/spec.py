"""All that a family may know about the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from torch import Tensor

from morelike.core.distribution import Distribution, Point

Count = Annotated[int, Field(ge=1)]  # for settings: a whole number of at least 1


@dataclass(frozen=True)
class Spec:
    """Shape and kind of one encoded item.

    shape       (C, *space) | (T,) | (F,); () for a single token such as a label
    tokens      size of the vocabulary; None for real numbers, about [-1, 1]
    head_shape  shape of the raw network output for one item
    head        raw network output (B, *head_shape) -> distribution over (B, *shape)
    given       what the item is conditioned on, by name: label, text, another modality
    end         of sequences that vary in length, the token at their beginning and end and in the room that is left
    allowed     tokens so far (B, t) -> which may follow in any item, bool (B, tokens); None for all
    sizes       (T,) of a row of cells: how many values each takes; -1 in a cell is one that is unknown
    kinds       (T,) of such a row: cells of one kind take the same values; None where each is its own
    columns     of a table, how many cells each has; of the two of a number one is its group, the other the part of it
    known       (T,) of a row: which cells are only ever given, never drawn; None for none
    levels      of cells that tell numbers step by step, what makes the module that adds them up: (B, t) -> (B, t, K)
    """

    shape: tuple[int, ...]
    tokens: int | None = None
    head_shape: tuple[int, ...] = ()
    head: Callable[[Tensor], Distribution] = Point
    given: Mapping[str, Spec] = field(default_factory=dict)
    end: int | None = None
    allowed: Callable[[Tensor], Tensor] | None = None
    sizes: tuple[int, ...] | None = None
    kinds: tuple[int, ...] | None = None
    columns: tuple[int, ...] | None = None
    known: tuple[bool, ...] | None = None
    levels: Callable[[], Any] | None = None

    @property
    def dims(self) -> int:
        """Spatial rank: 1 for sound, 2 for pictures, 3 for video, 0 for a vector."""
        return max(len(self.shape) - 1, 0)


class Batch(NamedTuple):
    """Encoded items (B, *shape) and what they are conditioned on."""

    x: Tensor
    given: Mapping[str, Tensor] = {}

    def slice(self, begin: int, end: int) -> Batch:
        return Batch(self.x[begin:end], {name: value[begin:end] for name, value in self.given.items()})
