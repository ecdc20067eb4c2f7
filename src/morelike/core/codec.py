"""What every modality is to the rest of the house: files <-> tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from morelike.core.spec import Spec

Metric = Callable[[Tensor, Tensor], Mapping[str, float]]  # (samples, real) -> named figures


@dataclass(frozen=True)
class Item:
    """One thing of the user's: where it came from, what it is conditioned on, and how to read it.

    name    file name, or archive member, or row, as the user would find it
    load    reads and returns the raw thing (for pictures a uint8 or uint16 array, or a PIL image)
    fields  its other columns, such as {"label": "cat"}
    """

    name: str
    load: Callable[[], Any]
    fields: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Codec(Protocol):
    """Files <-> tensors for one modality.

    Items are prepared once (decoded, resized, stored compactly in the cache) and encoded for every batch (cast,
    normalised), so that the costly part is never repeated.
    """

    metrics: Sequence[Metric]

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec: ...
    def prepare(self, item: Item) -> np.ndarray: ...  # one item, of fixed shape and compact dtype
    def encode(self, stored: Tensor) -> Tensor: ...  # (B, *stored) -> (B, *shape)
    def decode(self, x: Tensor) -> np.ndarray: ...  # (B, *shape) -> (B, *natural)
    def write(self, items: np.ndarray, target: Path) -> list[Path]: ...
