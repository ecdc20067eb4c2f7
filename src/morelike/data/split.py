"""Which items are held out, decided by their content alone."""

from __future__ import annotations

import numpy as np

from morelike.core.errors import OptionError


def split(hashes: np.ndarray, held_out: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and indices to hold out: two int64 arrays that share none.

    hashes    (N,) uint64 content hashes, uniform over their range
    held_out  share to hold out, 0 <= held_out < 1; an item is held out when hash / 2^64 < held_out

    Each item is placed by its own content: equal items are on the same side, and adding items moves no other. In a
    small set the held-out part can be empty; should the other part be, everything is trained on instead.
    """
    if not 0 <= held_out < 1:
        raise OptionError(f"The share to hold out is {held_out}", "At least 0 and less than 1", "For example 0.1")
    out = np.asarray(hashes, dtype=np.uint64) < np.uint64(int(held_out * 2**64))
    if out.all():
        out[:] = False
    return np.flatnonzero(~out), np.flatnonzero(out)
