"""Texts as the measures see them: rows of tokens that can be read, and the whole documents that they were cut from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

MOST = 12_000_000  # characters of training documents that are searched


@dataclass(frozen=True)
class Whole:
    """Documents of one kind, in the order of the items that were cut from them.

    tokens  of each document, all of them, without the ends
    names   where each came from
    given   what documents with these rows are conditioned on, by name: (n, ...) each; None where that is not known
    """

    tokens: Sequence[np.ndarray]
    names: Sequence[str] = ()
    given: Callable[[np.ndarray], Mapping[str, Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Answers:
    """What was made for which text, and what belongs to it.

    asked, made, right  (n,) the text that was given, the sample, and the real one
    sources, targets    (M,) the same pairs of the training set
    """

    asked: Sequence[str]
    made: Sequence[str]
    right: Sequence[str]
    sources: Sequence[str]
    targets: Sequence[str]


@dataclass(frozen=True)
class Documents:
    """All that is known of texts beyond their tokens.

    read   rows of tokens (n, T) -> n texts
    count  rows of tokens (n, T) -> int64 (n,) bytes of UTF-8 that the tokens after the first stand for
    train  whole documents behind the training items
    held   and behind the held-out ones
    answers  where items are conditioned on texts, what was made for which
    """

    read: Callable[[Tensor], Sequence[str]]
    count: Callable[[Tensor], Tensor]
    train: Whole
    held: Whole
    answers: Answers | None = None


def some(whole: Whole, most: int, seed: int) -> list[int]:
    """Rows of documents in random order, as many as have `most` tokens together, one at least."""
    order = np.random.default_rng(seed).permutation(len(whole)).tolist()
    sizes = np.cumsum([len(whole.tokens[row]) for row in order])
    return order[: max(1, int(np.searchsorted(sizes, most, side="right")))]
