"""What every modality is to the rest of the house: files <-> tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:  # listing files needs no torch, which takes seconds to load
    from torch import Tensor

    from morelike.core.spec import Spec

TOGETHER = "\0together"  # a field of items: those that have the same value of it are held out together
Metric = Callable[["Tensor", "Tensor"], Mapping[str, float]]  # (samples, real) -> named figures


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
    def html(self, items: np.ndarray) -> list[str]: ...  # (B, *natural) -> a fragment each that needs nothing else


@runtime_checkable
class Varies(Protocol):
    """A codec whose items differ in length: `prepare` gives (length,), and `encode` takes a list of such arrays."""

    context: int  # tokens that a model reads at most


@dataclass(frozen=True)
class Look:
    """What is seen of one item before it is prepared.

    measures  named numbers, such as width, brightness or sharpness: the same names for every item of a modality
    notes     what else is odd about it, in words by kind: {"misnamed": "a JPEG"}
    """

    measures: Mapping[str, float]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Blemish:
    """A fault that some items share, as their codec tells it; the fields mean the same as those of a finding."""

    kind: str
    severity: Literal["stop", "warn", "note"]
    title: str
    rows: tuple[int, ...] = ()
    evidence: str = ""
    consequence: str = ""
    action: str = ""
    default: str = ""


@runtime_checkable
class Inspectable(Protocol):
    """A codec that tells good items from bad ones, and two versions of one thing from two things.

    disguises  ways in which an item may return, by name: {"mirrored": sketch -> sketch}
    """

    disguises: Mapping[str, Callable[[Tensor], Tensor]]

    def look(self, item: Item) -> Look: ...  # measures the raw item
    def judge(self, looks: Sequence[Look]) -> list[Blemish]: ...  # what is wrong with which of them
    def sketch(self, stored: Any) -> Tensor: ...  # (B, *stored) -> (B, *sketch), small enough to keep all of them
    def signature(self, sketch: Tensor) -> Tensor: ...  # -> (B, S); versions of one thing lie less than 1 apart
    def difference(self, a: Tensor, b: Tensor) -> Tensor: ...  # sketches (P, *sketch) -> (P,): below 1, one thing
