"""Series as the measures see them: windows of several columns over time, which may share steps with the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SHARED = 0.75  # of a window that it may share with the next one among those that are compared
BLOCKS, TIMES = 24, 3  # blocks that windows in order are cut into, at most; and how many windows without a common step
_LOOKED = 40  # pairs of neighbours that tell how windows overlap


@dataclass(frozen=True)
class Series:
    """Series as a codec decodes them: items (T, C), float64, NaN where a value is missing; lengths may differ.

    columns            (C,) names
    made, train, held  items; real ones in the order of their source, for neighbours may share steps
    """

    columns: tuple[str, ...]
    made: Sequence[np.ndarray]
    train: Sequence[np.ndarray]
    held: Sequence[np.ndarray]


def stacked(items: Sequence[np.ndarray], columns: int, length: int) -> Tensor:
    """Items (T_i, C) as doubles (N, length, C): NaN after the end and for what is not finite; longer ones are cut."""
    found = np.full((len(items), length, columns), np.nan)
    for place, item in enumerate(items):
        found[place, : len(item)] = item[:length]
    found[~np.isfinite(found)] = np.nan
    return torch.from_numpy(found)


def lengths(x: Tensor) -> Tensor:
    """Steps up to the last one that has a value, int64 (N,), of windows (N, T, C)."""
    there = ~x.isnan().all(2)
    return torch.where(there, torch.arange(1, x.shape[1] + 1), 0).amax(1) if x.shape[1] else torch.zeros(len(x)).long()


def stride(x: Tensor) -> int:
    """By how many steps each window (N, T, C) begins after the one before, if it begins within that; else T.

    Windows next to each other that are cut from one series have x_i[s:] = x_{i+1}[:-s]. The usual s of some pairs.
    """
    n, size = x.shape[:2]
    found = []
    for i in np.unique(np.linspace(0, max(n - 2, 0), _LOOKED).astype(int)).tolist() if n > 1 else []:
        one, other = x[i].nan_to_num(torch.inf), x[i + 1].nan_to_num(torch.inf)
        varies = bool((one[1:] != one[:-1]).any())
        found.append(next((s for s in range(1, size) if varies and torch.equal(one[s:], other[:-s])), size))
    return int(np.median(found)) if found else size


def thinned(x: Tensor, most: int) -> tuple[Tensor, int]:
    """Windows that share at most `SHARED` with the next one, at most so many, and how many lie within one window."""
    step, size = stride(x), max(x.shape[1], 1)
    every = max(1, round((1 - SHARED) * size / step), -(-len(x) // max(most, 1)))
    kept = x[::every]
    return kept, max(1, -(-size // max(1, min(step * every, size))))


def blocks(n: int, run: int) -> Tensor:
    """A block for each of n windows in order, int64 (n,); -1 for windows that share steps with the next block.

    run  so many windows next to each other share steps; 1 if none do
    """
    size = max(TIMES * run, -(-n // BLOCKS))
    at = torch.arange(n)
    kept = (at % size < size - (run - 1)) | (at // size == (n - 1) // size)
    return torch.where(kept, at // size, -1)
