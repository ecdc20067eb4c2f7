"""Batches of items that differ in length: several in a row, or with conditions those of like length together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import DataError
from morelike.core.spec import Batch
from morelike.data.loader import Prefetch
from morelike.data.packing import Packer, Piece
from morelike.data.ragged import Ragged

POOL = 50  # batches within which items are sorted by length: rows of a batch are alike, batches are not


class Sequences:
    """Rows of tokens, laid out as `core.tokens` says.

    x        items of different length
    given    conditions by name: int64 (N,), or items of different length
    indices  which of the N items to draw from
    batch    rows in a batch
    seed     of the order
    context  tokens that are predicted in a row, at most

    Without conditions, short items share a row and long ones are cut into rows that follow one another. With them,
    each row holds one item, cut off where it is longer. An epoch shows every item once, in an order of its own.
    """

    def __init__(
        self, x: Ragged, given: Mapping[str, np.ndarray | Ragged], indices: np.ndarray, batch: int, seed: int,
        context: int,
    ) -> None:  # fmt: skip
        if not len(indices):
            raise DataError("There is no item to train on", "At least one", "Hold out a smaller share")
        self.x, self.given = x, given
        self.indices, self.size, self.seed, self.room = np.asarray(indices), batch, seed, context + 1
        self._epoch = lru_cache(maxsize=2)(self._alone if not given else self._together)
        self.count = len(self._epoch(0))  # rows of every epoch, for a step to mean the same however far it is

    def batch(self, step: int) -> Batch:
        """The batch of a step, the same whenever it is asked for."""
        return self._batch(self._rows(step))

    def typical(self) -> Batch:
        """The first batch whose rows are about as long as rows are on average, for measuring."""
        sizes = [sum(piece.end - piece.begin for row in self._rows(step) for piece in row) for step in range(POOL)]
        return self.batch(int(np.argmin(np.abs(np.array(sizes) - np.mean(sizes)))))

    def iterate(self, start_step: int = 0) -> Prefetch:
        """The batches from a step on, without end, prepared ahead by one background thread."""
        return Prefetch(self, start_step)

    def _rows(self, step: int) -> list[list[Piece]]:
        places = (divmod(step * self.size + i, self.count) for i in range(self.size))
        epochs = [(self._epoch(epoch), place) for epoch, place in places]
        return [rows[place % len(rows)] for rows, place in epochs]

    def _batch(self, rows: list[list[Piece]]) -> Batch:
        x = filled(self.x, rows, min(self.room, max(sum(p.end - p.begin for p in row) for row in rows) + 1))
        first = np.array([row[0].row for row in rows])
        return Batch(x, {name: chosen(value, first) for name, value in self.given.items()})

    def _alone(self, epoch: int) -> list[list[Piece]]:
        """Rows that are filled with items, in random order."""
        random = np.random.default_rng((self.seed, epoch))
        order = self.indices[random.permutation(len(self.indices))].tolist()
        rows = Packer(self.x.lengths, self.room, int(random.integers(self.room // 2))).pack(order)
        return [rows[i] for i in random.permutation(len(rows)).tolist()]

    def _together(self, epoch: int) -> list[list[Piece]]:
        """One item in each row; batches hold items of like length."""
        random = np.random.default_rng((self.seed, epoch))
        order, lengths = self.indices[random.permutation(len(self.indices))], self._sizes()
        pools = [order[at : at + POOL * self.size] for at in range(0, len(order), POOL * self.size)]
        order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        groups = [order[at : at + self.size] for at in range(0, len(order), self.size)]
        full = groups[: len(order) // self.size] or groups  # a few items wait for the next epoch, so that batches stay
        mixed = [full[i] for i in random.permutation(len(full)).tolist()]
        return [[Piece(row, 0, min(int(self.x.lengths[row]) + 1, self.room))] for row in np.concatenate(mixed).tolist()]

    def _sizes(self) -> np.ndarray:
        """Tokens of each item and its conditions, (N,)."""
        return self.x.lengths + sum(one.lengths for one in self.given.values() if isinstance(one, Ragged))


def filled(x: Ragged, rows: list[list[Piece]], room: int) -> Tensor:
    """Rows of tokens from their pieces, with 0 wherever no token stands: int64 (B, room)."""
    out = np.zeros((len(rows), room), dtype=np.int64)
    for line, row in zip(out, rows, strict=True):
        at = 0
        for piece in row:
            if piece.row < 0:
                at = piece.end
                continue
            begin = max(piece.begin - 1, 0)  # of the tokens, which the boundary stands before
            tokens = x[piece.row][begin : piece.end - 1]
            at += piece.begin == 0
            line[at : at + len(tokens)] = tokens
            at += len(tokens)
    return torch.from_numpy(out)


def chosen(value: np.ndarray | Ragged, rows: np.ndarray) -> Tensor:
    """Conditions of some items: int64 (n, ...), texts laid out like rows of one item each."""
    if not isinstance(value, Ragged):
        return torch.from_numpy(value[rows])
    pieces = [[Piece(int(row), 0, int(value.lengths[row]) + 1)] for row in rows]
    return filled(value, pieces, int(value.lengths[rows].max(initial=0)) + 2)
