"""Which runs of characters of some texts stand in others, found by hashes of runs in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

BLOCK = 1 << 21  # characters that are hashed at a time
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_MIX = np.uint64(0xD6E8FEB86659FD93)
_FILTER = 24  # bits of a hash by which most runs that are not sought are put aside at once


class Texts:
    """Texts one behind another as code points, each closed by a mark of its own that stands in no text.

    mark  code point that stands behind each text; two that differ never match
    """

    def __init__(self, texts: Sequence[str], mark: int) -> None:
        joined = chr(mark).join([*texts, ""])
        self.points = np.frombuffer(joined.encode("utf-32-le", "replace"), "<u4")
        self.sizes = np.array([len(one) for one in texts], dtype=np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes + 1)])

    def __len__(self) -> int:
        return len(self.sizes)

    def keys(self, run: int) -> np.ndarray:
        """Hashes of the runs that begin at each place, uint64 (places - run + 1,)."""
        return keys(self.points, run)

    def blocks(self, run: int) -> Iterator[np.ndarray]:
        """The same a block at a time, with runs that lie across two blocks."""
        for begin in range(0, max(1, len(self.points) - run + 1), BLOCK):
            yield keys(self.points[begin : begin + BLOCK + run - 1], run)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums over each text of values at its places, (places,) -> (n,)."""
        total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
        return total[self.offsets[:-1] + self.sizes] - total[self.offsets[:-1]]


def keys(points: np.ndarray, run: int) -> np.ndarray:
    """Hashes of all runs of a length: (n,) code points -> uint64 (n - run + 1,).

    h_i = sum_{j < run} m(c_{i+j}) B^j modulo 2^64, as the difference of two prefix sums over B^i (Karp & Rabin 1987),
    with characters mixed before and the sum after; equal runs have equal hashes, and others hardly ever.
    """
    n = len(points)
    if n < run:
        return np.empty(0, np.uint64)
    with np.errstate(over="ignore"):
        mixed = (points.astype(np.uint64) + np.uint64(1)) * _MIX
        mixed ^= mixed >> np.uint64(32)
        mixed *= _BASE
        powers = np.cumprod(np.concatenate([[np.uint64(1)], np.full(n - 1, _BASE)]), dtype=np.uint64)
        total = np.concatenate([[np.uint64(0)], np.cumsum(mixed * powers, dtype=np.uint64)])
        back = np.cumprod(np.concatenate([[np.uint64(1)], np.full(n - run, _INVERSE)]), dtype=np.uint64)
        found = (total[run:] - total[:-run]) * back
        found ^= found >> np.uint64(31)
        found *= _MIX
        return found ^ (found >> np.uint64(29))


def found(texts: Texts, known: Texts, run: int) -> np.ndarray:
    """Whether the run that begins at each place of some texts stands in known ones too: bool (places,)."""
    mine = texts.keys(run)
    sought = np.unique(mine)
    there = np.zeros(len(sought), dtype=bool)
    shift = np.uint64(64 - _FILTER)
    perhaps = np.zeros(1 << _FILTER, dtype=bool)
    perhaps[(sought >> shift).astype(np.int64)] = True
    for block in known.blocks(run):
        block = block[perhaps[(block >> shift).astype(np.int64)]]
        at = np.minimum(np.searchsorted(sought, block), len(sought) - 1) if len(sought) else np.empty(0, np.int64)
        there[at[sought[at] == block]] = True
    out = np.zeros(len(texts.points), dtype=bool)
    if len(sought):
        out[: len(mine)] = there[np.searchsorted(sought, mine)]
    return out


def covered(begins: np.ndarray, run: int) -> np.ndarray:
    """Which places lie in a run that begins at a marked place: bool (places,) -> bool (places,)."""
    change = begins.astype(np.int32)
    change[run:] -= begins[:-run].astype(np.int32) if run < len(begins) else 0
    return np.cumsum(change) > 0
