"""What is read of a source, so that a vocabulary can be settled: some of its texts, and all their characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from morelike.core.codec import Item

_READ, _KEPT = 64 << 20, 16 << 20  # characters that `fit` reads at most, and holds at once


class Found(NamedTuple):
    """What `fit` has read: evenly chosen texts, their share of all, the characters seen, and if it is all."""

    texts: list[str]
    share: float
    letters: set[str]
    whole: bool


def read(items: Sequence[Item]) -> Found:
    """The items, or as many of them, evenly chosen, as is worth the time; of their texts, those there is room for."""
    texts, letters = list[str](), set[str]()
    seen, kept, step, apart = 0, 0, 1, 1  # step and apart: of how many items one is read, or kept
    for place, item in enumerate(items):
        if place % step:
            continue
        try:
            text = str(item.load())
        except Exception:  # readers raise anything for broken files, which are named when they are prepared
            continue
        letters.update(text)
        seen += len(text)
        if place % apart == 0:
            texts.append(text)
            kept += len(text)
        if kept > _KEPT:
            texts, apart = texts[::2], 2 * apart
            kept = sum(map(len, texts))
        if seen > _READ:
            seen, step, apart = seen // 2, 2 * step, max(apart, 2 * step)
    return Found(texts, kept / max(1, seen * step), letters, step == 1)
