"""Numbers <-> places among what was seen: groups of neighbouring values, by mid-ranks, ties kept together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Resolution:
    """How finely numbers are told apart.

    coarse, fine  groups of about equal share, and parts of each of them
    few           different values up to which each is a value of its own
    """

    coarse: int
    fine: int
    few: int


def resolution(rows: int, columns: int) -> Resolution:
    """Fewer and wider groups for a small table: about 17 rows in each at first, then 8 in each part of one.

    Of very many columns each has fewer parts, so that what is stored stays small.
    """
    coarse = int(np.clip(np.sqrt(rows) / 1.7, 4, 32))
    fine = int(np.clip(rows / (8 * coarse), 2, 32))
    most = max(2, 400_000 // max(1, coarse * columns))
    return Resolution(coarse, min(fine, most), int(np.clip(rows / 30, 12, 100)))


def places(values: np.ndarray, counts: np.ndarray, wanted: Resolution) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of sorted different values (D,) with their counts: lowest and highest value of each place, (P,) each,
    and the first place of each group, (G,).

    A value that would fill a group is one by itself, such as a mass at 0, whatever lies on both sides of it.
    """
    spike = counts >= max(2.0, counts.sum() / wanted.coarse)
    rest = np.where(spike, 0, counts)
    group = _ranked(rest, wanted.coarse)
    new = np.ones(len(values), bool)
    new[1:] = (group[1:] != group[:-1]) | spike[1:] | spike[:-1]
    starts = np.flatnonzero(new)
    fine = np.zeros(len(values), np.int64)
    for begin, end in zip(starts, [*starts[1:], len(values)], strict=True):
        fine[begin:end] = _ranked(counts[begin:end], wanted.fine)
    fresh = new.copy()
    fresh[1:] |= fine[1:] != fine[:-1]
    at = np.flatnonzero(fresh)
    last = np.append(at[1:], len(values)) - 1
    return values[at], values[last], np.searchsorted(at, starts)


def _ranked(counts: np.ndarray, parts: int) -> np.ndarray:
    """Which of `parts` equal shares the mid-rank of each value falls into."""
    if len(counts) <= parts:
        return np.arange(len(counts))
    total = max(1, counts.sum())
    middle = (np.cumsum(counts) - counts / 2) / total
    return np.minimum((middle * parts).astype(np.int64), parts - 1)


def locate(values: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The place of each value: the last whose lowest value is not above it; values out of range are at the ends."""
    return np.clip(np.searchsorted(low, values, side="right") - 1, 0, len(low) - 1)
