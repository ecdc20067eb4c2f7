"""Features: what the measures look through, so that they compare what items are rather than their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from morelike.core.errors import RunError
from morelike.core.spec import Spec
from morelike.measure.featurenet import FeatureNet
from morelike.measure.fixed import Random, random_features
from morelike.measure.learned import Learned, learn
from morelike.train.folder import load_tensors, save_tensors

__all__ = ["Features", "learn", "load", "random_features", "save"]
FORMAT = 1  # raised when stored features come to mean something else


class Features(Protocol):
    """A way to look at items.

    name   learned | random | inception | dinov2
    width  number of features
    """

    @property
    def name(self) -> str: ...
    @property
    def width(self) -> int: ...
    def __call__(self, x: Tensor) -> Tensor: ...  # (N, *shape) -> (N, width) float32 on the CPU, finite
    def classify(self, x: Tensor) -> Tensor | None: ...  # (N, *shape) -> logits (N, classes)
    def described(self) -> dict[str, Any]: ...  # plain data


def save(features: Learned | Random, path: Path) -> None:
    """Write learned or random features as safetensors, with their description as JSON in its metadata.

    Raises `RunError` where the file cannot be written.
    """
    note = {"format": FORMAT, "shape": list(features.spec.shape), "tokens": features.spec.tokens}
    save_tensors(Path(path), features.net.state_dict(), {**note, "about": features.described()})


def load(path: Path, spec: Spec) -> Learned | Random:
    """The features in a file, for items of this kind; nothing in the file is executed.

    Raises `RunError` where the file is missing, damaged, or made for items of another shape.
    """
    path = Path(path)
    try:
        tensors, note = load_tensors(path)
        if note["format"] != FORMAT:
            raise _unusable(f"{path}: features of format {note['format']}", f"Format {FORMAT}")
        if (tuple(note["shape"]), note["tokens"]) != (tuple(spec.shape), spec.tokens):
            made_for = f"shape {tuple(note['shape'])} and tokens {note['tokens']}"
            raise _unusable(f"{path}: features for items of {made_for}", f"{tuple(spec.shape)} and {spec.tokens}")
        return _rebuilt(tensors, note["about"], spec)
    except RunError as error:
        raise _unusable(error.found, error.expected) from None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise _unusable(f"{path}: these are no features ({why})", "A file that morelike wrote") from None


def _rebuilt(tensors: dict[str, Tensor], about: dict[str, Any], spec: Spec) -> Learned | Random:
    if about["kind"] == Random.name:
        fixed = Random(spec, width=len(tensors["mean"]))
        fixed.net.load_state_dict(tensors)
        fixed.about = dict(about)
        return fixed
    net = FeatureNet(spec, len(tensors.get("classes.bias", ())))
    net.load_state_dict(tensors)
    return Learned(net, spec, dict(about))


def _unusable(found: str, expected: str) -> RunError:
    return RunError(found, expected, "Delete the file: features can be trained again from the run's own data")
