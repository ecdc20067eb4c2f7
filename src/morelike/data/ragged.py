"""Items of different length, one behind another in one array: texts, melodies, strings of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor


class Ragged:
    """N one-dimensional arrays of one type.

    values   (M,) all of them, one behind another; may be a memory map
    offsets  int64 (N + 1,) where each begins, and where the last one ends
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray) -> None:
        self.values, self.offsets = values, np.asarray(offsets, dtype=np.int64)

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray]) -> Ragged:
        """The same arrays, copied into one."""
        lengths = [len(one) for one in arrays]
        values = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)
        return cls(values, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Numbers in each array, (N,)."""
        return np.diff(self.offsets)

    @overload
    def __getitem__(self, rows: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> list[np.ndarray]: ...
    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            return [self[row] for row in range(*rows.indices(len(self)))]
        if np.ndim(rows):
            return [self[row] for row in np.asarray(rows).tolist()]
        row = int(rows) + (len(self) if rows < 0 else 0)
        return np.asarray(self.values[self.offsets[row] : self.offsets[row + 1]])


def take(x: np.ndarray | Ragged, rows: Any) -> Tensor | list[np.ndarray]:
    """Some stored items as a codec encodes them: a tensor (n, *stored), or a list of n arrays of different length."""
    return x[rows] if isinstance(x, Ragged) else torch.from_numpy(np.array(x[rows]))
