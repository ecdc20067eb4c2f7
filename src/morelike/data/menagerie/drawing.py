"""Factors to pictures."""

from __future__ import annotations

import numpy as np

from morelike.core.errors import OptionError
from morelike.data.menagerie.animals import cat, dog, rabbit
from morelike.data.menagerie.world import Factors, factors

SIZES = range(8, 129)
BLOCK_PIXELS = 250_000  # painted at once: enough to outweigh numpy's cost per call, and still near the core's cache


def draw(factors: Factors, size: int = 28, colour: bool = False) -> np.ndarray:
    """Draw N animals: uint8 (N, size, size) in grey, (N, size, size, 3) in colour; the grey is the colour's luma.

    Each picture depends on its own factors alone, whatever else is drawn with it. Raises OptionError unless size is a
    whole number of 8..128.
    """
    if not isinstance(size, int | np.integer) or size not in SIZES:
        raise OptionError(f"size={size!r}", "a whole number, 8 to 128", "Use size=28, or resize the pictures.")
    channels = 3 if colour else 1
    out = np.empty((len(factors), size, size, channels), np.uint8)
    block = max(BLOCK_PIXELS // size**2, 16)
    for kind, paint in enumerate((cat, dog, rabbit)):
        rows = np.flatnonzero(factors.species == kind)
        for part in (rows[i : i + block] for i in range(0, len(rows), block)):
            out[part] = paint(factors[part], size, channels).canvas.pixels()
    return out if colour else out[..., 0]


def pictures(n: int, size: int = 28, colour: bool = False, seed: int = 0, start: int = 0) -> tuple[np.ndarray, Factors]:
    """Return pictures start .. start+n-1 of the world `seed` as `draw` gives them, and their true factors."""
    true = factors(n, seed, start)
    return draw(true, size, colour), true
