"""Labels: names <-> one whole number each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from morelike.core.codec import Metric
from morelike.core.errors import DataError, OptionError, unknown
from morelike.core.spec import Spec


@dataclass(frozen=True)
class Config:
    """vocabulary: the labels, in the order of their numbers."""

    vocabulary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "vocabulary", tuple(self.vocabulary))
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise OptionError("A label stands twice in the vocabulary", "Different labels", "Remove one of them")


class Codec:
    """Labels <-> whole numbers 0 .. len(vocabulary) - 1."""

    natural = "label"
    metrics: Sequence[Metric] = ()

    def __init__(self, config: Config = Config()) -> None:
        self.config = config
        self._number = {label: number for number, label in enumerate(config.vocabulary)}

    def fit(self, values: Iterable[str]) -> Codec:
        """A codec for all labels among the values, numbers in their own order, then names; "" is no label."""
        found = sorted({value for value in values if value}, key=_order)
        if not found:
            raise DataError(
                "No item has a label",
                "A label for each item",
                "Put the pictures of each kind into a sub-folder of its own",
            )
        return Codec(Config(tuple(found)))

    def encode(self, labels: Sequence[str]) -> np.ndarray:
        """Labels -> int64 (N,). Raises `OptionError` for an unknown label and `DataError` for a missing one."""
        try:
            return np.array([self._number[label] for label in labels], dtype=np.int64)
        except KeyError:
            row = next(row for row, label in enumerate(labels) if label not in self._number)
        if labels[row]:
            raise unknown("label", labels[row], self.config.vocabulary)
        missing = sum(not label for label in labels)
        raise DataError(
            f"{missing:,} of {len(labels):,} items have no label, the first of them number {row}",
            "A label for each item",
            "Move them into labelled sub-folders, or train without --given label",
        )

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Whole numbers -> labels."""
        return [self.config.vocabulary[int(number)] for number in numbers]

    @property
    def said(self) -> str:
        """The labels, in a few words."""
        return ", ".join(self.config.vocabulary[:12]) + (" …" if len(self.config.vocabulary) > 12 else "")

    def spec(self, needs: str = "log_prob") -> Spec:
        return Spec(shape=(), tokens=len(self.config.vocabulary))


def _order(label: str) -> tuple[int, int, str]:
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)


def tiny() -> Codec:
    """A small codec that is ready to use, for tests."""
    return Codec(Config(("cat", "dog", "rabbit")))
