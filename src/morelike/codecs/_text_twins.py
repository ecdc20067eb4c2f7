"""Two versions of one text, told from two texts, by the runs of characters that they share.

The sketch of a text is a sum of random directions, one for each different run of five letters (three of Chinese): of
two sketches the cosine is about that of the sets of their runs (Charikar 2002).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

WIDTH = 256  # numbers of a sketch
SAME = 0.2  # 1 - cosine of two versions at most
_RUN, _HAN_RUN = 5, 3
_PRIME = np.uint64(0x9E3779B97F4A7C15)


def sketch(texts: Iterable[str]) -> Tensor:
    """Texts -> float32 (B, 256) of length 1; zeros for one without a letter or a sign."""
    return torch.from_numpy(np.stack([_sketched(text) for text in texts]))


def _sketched(text: str) -> np.ndarray:
    points = np.frombuffer("".join(text.lower().split()).encode("utf-32-le", "replace"), "<u4").astype(np.uint64)
    run = _HAN_RUN if len(points) and (points > 0x3000).mean() > 0.5 else _RUN
    run = max(1, min(run, len(points)))
    keys = np.zeros(max(0, len(points) - run + 1), np.uint64)
    for place in range(run):
        keys = (keys ^ points[place : place + len(keys)]) * _PRIME
        keys ^= keys >> np.uint64(29)
    keys = np.unique(keys)
    drawn = ((keys * _PRIME) >> np.uint64(55)).astype(np.int64)  # the upper 9 bits: 256 places, two signs
    found = np.bincount(drawn // 2, weights=1.0 - 2.0 * (drawn % 2), minlength=WIDTH).astype(np.float32)
    return found / max(1e-6, float(np.linalg.norm(found)))


def signature(sketches: Tensor) -> Tensor:
    """Sketches (B, 256) -> (B, 256), less than 1 apart for versions of one text: ||a - b||^2 = 2 (1 - cos)."""
    return sketches / (2 * SAME) ** 0.5


def difference(a: Tensor, b: Tensor) -> Tensor:
    """Pairs of sketches -> (P,): below 1 for versions of one text."""
    return (1 - (a * b).sum(-1)).clamp_min(0) / SAME
