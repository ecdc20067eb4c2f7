"""Numbers that fill the cube evenly, each row a function of its seed: few samples are then more like their law."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from morelike.nn.rows import mixed, uniforms

PLACES = 24  # of Sobol's sequence: of 64 points or more any two of these are even, any two of many more are not
LOW = 30  # bits of a seed that say which point it is; those above say of which sequence


def even(seeds: Sequence[int], count: int, device: torch.device | str = "cpu") -> Tensor:
    """As `uniforms`, (len(seeds), count), but rows of seeds that follow one another are spread evenly over the cube.

    Points of a Sobol sequence, with direction numbers of Joe & Kuo (2008), scrambled so that each by itself is uniform
    (Owen 1995; by a hash, Laine & Karras 2011). The mean of a smooth function over n of them has an error of about 1/n
    where independent ones leave 1/sqrt(n). Numbers beyond the first `PLACES` are independent.
    """
    some = min(count, PLACES)
    whole = np.array([int(seed) % 2**64 for seed in seeds], np.uint64)[:, None]
    key = mixed(mixed(whole >> np.uint64(LOW)) + np.arange(1, some + 1, dtype=np.uint64))  # of the scrambling
    point = np.zeros((len(whole), some), np.uint32)
    low = (whole & np.uint64(2**LOW - 1)).astype(np.uint32)
    for bit in range(int(low.max(initial=0)).bit_length()):
        point ^= (low >> np.uint32(bit) & np.uint32(1)) * _directions()[:some, bit]
    u = (_scrambled(point, (key >> np.uint64(32)).astype(np.uint32)) >> np.uint32(8)).astype(np.float32)
    first = torch.from_numpy(u * np.float32(2.0**-24)).to(device)
    return torch.cat([first, uniforms(seeds, count, device)[:, some:]], 1) if count > some else first


@cache
def _directions() -> np.ndarray:
    """What each bit of a point's number is worth: uint32 (places, bits)."""
    numbers = torch.quasirandom.SobolEngine(PLACES).sobolstate.numpy()
    return numbers.astype(np.uint32) << np.uint32(32 - LOW)


def _scrambled(x: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Every bit turned or not by those above it and a key (Burley 2020, section 3): uint32, both of one shape."""
    x = _reversed(x) + key
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        x ^= x * np.uint32(factor)
    return _reversed(x)


def _reversed(x: np.ndarray) -> np.ndarray:
    """The bits of uint32 from the last to the first."""
    for width, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF)):
        low = np.uint32(mask)
        x = (x & low) << np.uint32(width) | (x >> np.uint32(width)) & low
    return x
