"""What each cell of a window stands for: its calendar, and the columns of one step after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from morelike.codecs._series_told import Track


@dataclass(frozen=True)
class Layout:
    """Cells of a window in their order: those of its beginning, then for each step whether it is the end, and tracks.

    Levels that wander, from which changes are added up, come last: what happens at a price of 100 is learnt for one of
    1,000, too.

    begin   sizes of the cells that tell when it begins
    tracks  columns, in their order; the gap to the step before, where it varies, is the first of them
    gap     whether it is
    steps   how many there are
    least   steps that every window has; from there on each has a cell that tells whether it is over
    """

    begin: tuple[int, ...]
    tracks: tuple[Track, ...]
    gap: bool
    steps: int
    least: int

    @cached_property
    def slots(self) -> list[tuple[int, int, int, int, int]]:
        """(step, track, cell, size, kind) of each cell; track is -1 for the beginning and -2 for an end."""
        kinds: dict[tuple, int] = {}
        found = []

        def add(step: int, track: int, cell: int, size: int, kind: tuple) -> None:
            found.append((step, track, cell, size, kinds.setdefault(kind, len(kinds))))

        for number, size in enumerate(self.begin):
            add(0, -1, number, size, ("begin", number))
        for step in range(self.steps):
            if step >= self.least:
                add(step, -2, 0, 2, ("end",))
            for number, track in enumerate(self.tracks):
                if step == 0 and (track.late or (self.gap and number == 0)):
                    continue
                for cell, size in enumerate(track.at(step).sizes):
                    add(step, number, cell, size, (number, track.index(step), cell))
        for number, track in enumerate(self.tracks):
            for cell, size in enumerate(track.told[0].sizes if track.late else ()):
                add(self.steps, number, cell, size, (number, 0, cell))
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each cell takes."""
        return tuple(slot[3] for slot in self.slots)

    @property
    def kinds(self) -> tuple[int, ...]:
        """The kind of each: cells of one kind take the same values."""
        return tuple(slot[4] for slot in self.slots)

    @cached_property
    def free(self) -> tuple[bool, ...]:
        """Whether all values of each are equally likely, whatever comes before."""
        tracks, steps = self.tracks, self.steps
        return tuple(n >= 0 and cell >= tracks[n].at(step % steps).learnt for step, n, cell, *_ in self.slots)

    @cached_property
    def where(self) -> dict[tuple[int, int], list[int]]:
        """Places of the cells of a track at a step, in their order."""
        found: dict[tuple[int, int], list[int]] = {}
        for place, (step, track, *_) in enumerate(self.slots):
            found.setdefault((step, track), []).append(place)
        return found

    @cached_property
    def ends(self) -> list[int]:
        """For each number of steps, how many cells come before the next one: (steps + 1,)."""
        first = [len(self.slots)] * (self.steps + 1)
        for place in range(len(self.slots) - 1, -1, -1):
            first[self.slots[place][0]] = place
        return first

    def windows(self, rows: np.ndarray, lengths: np.ndarray, begin: np.ndarray, codes: Sequence) -> np.ndarray:
        """The cells int16 (B, T) of windows that begin at some rows (B,), -1 behind the end of a shorter one.

        lengths  (B,) steps of each
        begin    (B, cells) of the beginning
        codes    for each track its cells (N, cells) as told at the first step, the second, and so on
        """
        found = np.full((len(rows), len(self.slots)), -1, np.int16)
        last = len(codes[0][0]) - 1
        for place, (step, track, cell, *_) in enumerate(self.slots):
            if track == -1:
                found[:, place] = begin[:, cell]
            elif track == -2:
                found[:, place] = np.where(step <= lengths, step == lengths, -1)
            elif step == self.steps:
                found[:, place] = codes[track][0][rows, cell]
            else:
                table = codes[track][self.tracks[track].index(step)]
                found[:, place] = np.where(step < lengths, table[np.minimum(rows + step, last), cell], -1)
        return found

    def lengths(self, x: np.ndarray) -> np.ndarray:
        """How many steps each window (B, T) has."""
        found = np.full(len(x), self.steps)
        for step in range(self.steps - 1, self.least - 1, -1):
            found[x[:, self.where[step, -2][0]] == 1] = step
        return found
