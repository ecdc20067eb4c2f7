"""Which parts of which documents share a row: rows are filled, short documents stay whole, nothing is left out.

A document of n tokens is laid out in n + 2 places: the boundary 0, its tokens, 0. A `Piece` is a part of these. A row
may begin with the end of a long document and end with the beginning of one; between them stand whole documents, the
first 0 of each ending the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

AHEAD = 64  # documents among which one is sought that still fits into a row
LEAST = 3  # places that are worth beginning a long document in: the boundary and two tokens


class Piece(NamedTuple):
    """Places `begin` to `end` of a document, laid out between its two boundaries; row -1 is empty room."""

    row: int
    begin: int
    end: int


class Packer:
    """Fills rows of `room` places, so that every token of every document is predicted exactly once.

    lengths  tokens of each document, (N,)
    empty    places of the first row that stay empty, so that long documents are cut elsewhere in every epoch
    """

    def __init__(self, lengths: np.ndarray, room: int, empty: int = 0) -> None:
        self.lengths, self.room, self.left = lengths, room, room - empty
        self.rows: list[list[Piece]] = [[Piece(-1, 0, empty)] if empty else []]

    def pack(self, order: Sequence[int]) -> list[list[Piece]]:
        """Pieces by row, the documents being taken in this order, but for those that fit into a row first."""
        rest, waiting = deque(order), deque[int]()
        while rest or waiting:
            while rest and len(waiting) < AHEAD:
                waiting.append(rest.popleft())
            row = next((one for one in waiting if self._fits(one)), None)
            if row is None:
                row = next((one for one in waiting if self.lengths[one] + 2 > self.room), None)
                if row is None or self.left < LEAST:
                    self._new_row()
                    continue
            waiting.remove(row)
            self._place(row)
        return [row for row in self.rows if row and row[-1].row >= 0]

    def _fits(self, row: int) -> bool:
        return int(self.lengths[row]) + 2 <= self.left

    def _new_row(self) -> None:
        self.rows.append([])
        self.left = self.room

    def _place(self, row: int) -> None:
        """A whole document, or a long one in pieces; each begins with the token that the one before ended with."""
        last, at = int(self.lengths[row]) + 1, 0  # place of the closing boundary
        while at + self.left <= last:
            self.rows[-1].append(Piece(row, at, at + self.left))
            at += self.left - 1
            self._new_row()
        self.rows[-1].append(Piece(row, at, last))  # the boundary is left to the next document, or to the room there is
        self.left -= last - at
