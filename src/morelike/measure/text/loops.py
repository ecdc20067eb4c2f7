"""Texts that go round in a loop: the same words again and again, as of a model that has lost its thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SHARE = 0.25  # of the words of a text that a loop takes up at least
ROUNDS = 3  # times that it is gone round at least
LEAST = 12  # words of a loop at least: short ones, such as "ha ha ha", are in every chat
LONGEST = 40  # words of one round at most


def loops(words: Sequence[str]) -> bool:
    """Whether a quarter of a text, and twelve words at least, is one run of words three times over or more.

    A loop of rounds of p words is a stretch in which each word is the one p words before it (the degeneration of
    Holtzman et al. 2020).
    """
    least = max(LEAST, SHARE * len(words))
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    own = np.array([numbers[word] for word in words], dtype=np.int64)
    for p in range(1, min(LONGEST, len(own) // ROUNDS) + 1):
        stretch = _longest(own[p:] == own[:-p]) + p
        if stretch >= max(least, ROUNDS * p):
            return True
    return False


def _longest(same: np.ndarray) -> int:
    """Length of the longest run of True."""
    ends = np.flatnonzero(~np.concatenate([[False], same, [False]]))
    return int(np.diff(ends).max()) - 1
