"""Random numbers that are a function of a row's own cells."""

from __future__ import annotations

import numpy as np


def hashed(cells: np.ndarray) -> np.ndarray:
    """uint64 (B,) of the cells of each row (B, T)."""
    found = np.full(len(cells), 0x9E3779B97F4A7C15, np.uint64)
    for place in range(cells.shape[1]):
        found = mixed(found ^ (cells[:, place].astype(np.uint64) + np.uint64(place << 32)))
    return found


def mixed(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014), which turns a counter into random numbers: uint64 (B,)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seeds: np.ndarray, number: int) -> np.ndarray:
    """float64 (B,) from 0 up to 1, independent for each number."""
    salt = np.uint64((number + 1) * 0xD1342543DE82EF95 % 2**64)
    return (mixed(seeds ^ salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53
