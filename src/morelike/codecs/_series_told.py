"""One column of a series: how its values are told at a step, as cells."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from morelike.codecs._columns import Column, nearest
from morelike.codecs._series_reference import Reference


@dataclass(frozen=True)
class Told:
    """How a track is told at a step.

    coder      the values, or how far they are from the reference, as cells
    reference  None for the values
    fine       whether the second cell is learnt; or else free: all of its values are equally likely
    stays      whether the first value of the first cell says that the value is the one of the step before
    """

    coder: Column
    reference: Reference | None = None
    fine: bool = False
    stays: bool = False

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many values each of its cells takes."""
        first, *more = self.coder.sizes
        return (first + self.stays, *more)

    @property
    def learnt(self) -> int:
        """How many cells are learnt, the first ones."""
        return len(self.coder.sizes) if self.fine else 1

    @cached_property
    def parts(self) -> np.ndarray:
        """How many parts each value of the first cell has, (V,)."""
        ends = np.diff([*self.coder.groups, len(self.coder.low)])
        return np.concatenate([np.ones(self.sizes[0] - len(ends), np.int64), ends]).astype(np.int64)


@dataclass(frozen=True)
class Track:
    """One column over time.

    column  number of the column of the table
    told    how it is told at the first step of a window, at the second, and so on; the last from there on
    plain   whether its values are many numbers and nothing else
    log     whether references are to the logarithms of its values
    late    whether the cells of the first step come after those of all others
    usual   a value that is common
    ends    between which values lie, where the level returns
    smooth  whether the steps before tell nearly all, so that any value that is moved would be seen as a kink
    grid    all values there are, where these are few and every one is there again and again
    """

    column: int
    told: tuple[Told, ...]
    plain: bool = False
    log: bool = False
    late: bool = False
    usual: float = 0.0
    ends: tuple[float, float] = (-math.inf, math.inf)
    grid: tuple[float, ...] = ()
    smooth: bool = False

    def index(self, step: int) -> int:
        """Which of `told` is how it is told at a step."""
        return min(step, len(self.told) - 1)

    def at(self, step: int) -> Told:
        """How it is told at a step."""
        return self.told[self.index(step)]

    @property
    def learnt(self) -> int:
        """How many cells are learnt at most steps."""
        return self.told[-1].learnt

    def coarse(self) -> Track:
        """The same with one cell that is learnt at a step."""
        return replace(self, told=tuple(replace(one, fine=False) for one in self.told))

    def encode(self, values: np.ndarray, told: Told, reference: np.ndarray | None, before: np.ndarray) -> np.ndarray:
        """Values, references and values of the step before float64 (N,) -> int64 (N, cells)."""
        import polars

        rest = values
        if reference is not None:
            with np.errstate(all="ignore"):
                rest = self.scaled(values) - reference
        codes = told.coder.encode(polars.Series(rest, dtype=polars.Float64))
        codes[:, 0] += told.stays
        if codes.shape[1] > 1 and not told.fine:  # as many values as the group of most parts has, in each
            codes[:, 1] = -(-codes[:, 1] * told.coder.sizes[1] // told.parts[codes[:, 0]])
        if told.stays:
            codes[values == before] = 0
        return codes

    def decode(self, codes: np.ndarray, u: np.ndarray, told: Told, reference: np.ndarray | None) -> np.ndarray:
        """Cells (N, cells), draws (N,) and references (N,) -> float64 (N,), NaN for missing and for what stays."""
        coder, own = told.coder, np.maximum(codes[:, :1] - told.stays, 0)
        if codes.shape[1] > 1:
            part = codes[:, 1] if told.fine else codes[:, 1] * told.parts[codes[:, 0]] // coder.sizes[1]
            own = np.stack([own[:, 0], part], 1)
        found = np.where(codes[:, 0] < told.stays, np.nan, coder.decode(own, u).astype(np.float64))
        if reference is None:
            return found
        with np.errstate(over="ignore", invalid="ignore"):
            return np.exp(found + reference) if self.log else found + reference

    def snapped(self, values: np.ndarray) -> np.ndarray:
        """Values (N,) on the grid, if there is one; those beyond its ends stay as they are."""
        if not self.grid:
            return values
        grid = np.array(self.grid)
        inside = (values >= grid[0]) & (values <= grid[-1])
        return np.where(inside, grid[nearest(np.where(inside, values, grid[0]), grid)], values)

    def apart(self, values: np.ndarray, raw: np.ndarray, before: np.ndarray, unit: float) -> np.ndarray:
        """Values (N,); those that rounding `raw` has made equal to the step before, one place or one unit further."""
        up = np.where(raw >= before, 1, -1)
        if self.grid:
            grid = np.array(self.grid)
            at = nearest(np.nan_to_num(before), grid) + up
            other = grid[np.where((at < 0) | (at >= len(grid)), at - 2 * up, at)]
        else:
            other = before + up * unit
        return np.where(values == before, other, values)

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values (N,) on the scale of the track; NaN where they have no logarithm."""
        with np.errstate(all="ignore"):
            return np.where(values > 0, np.log(values), np.nan) if self.log else values
