"""Columns over time as cells: a level, or the change from what tells it best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from morelike.codecs._bins import Resolution, places
from morelike.codecs._columns import Column
from morelike.codecs._numerals import Style

UNIT_ROOT = -2.86  # of the statistic, below which a level returns: 5 %, with a constant (Dickey & Fuller 1979)
TAKEN_BACK = -0.3  # correlation of neighbouring changes, which is -1/2 for pure noise
LAGS, SOME = 4, 20_000  # changes before that explain the next; rows that are looked at
FEWEST, SINGLE, WITHIN = 64, 256, 32  # groups of numbers; most of them in one cell; parts of a group that are drawn
CLOSER = 0.95  # spread, relative to that of the best so far, by which another reference is preferred


@dataclass(frozen=True)
class Track:
    """One column over time.

    column  number of the column of the table
    level   how its values are told by themselves, and `change` relative to the reference; None where never
    of      number of the track that is the reference, and `now`, whether at the same time, or else one step before
    ratio   whether the change is the logarithm of a ratio, and no difference
    fine    whether the second cell of level and change is learnt; or else drawn
    """

    column: int
    level: Column
    change: Column | None = None
    of: int = -1
    now: bool = False
    ratio: bool = False
    fine: bool = False

    @property
    def plain(self) -> bool:
        """Whether its values are many numbers and nothing else."""
        return bool(self.level.low) and not any(isinstance(one, str) for one in self.level.values)

    @property
    def begun(self) -> bool:
        """Whether its first value in a window is told by its level, since the one before is not there."""
        return self.change is not None and not self.now

    @property
    def cells(self) -> tuple[int, ...]:
        """Sizes of the cells that are learnt at a step."""
        sizes = (self.change or self.level).sizes
        return sizes if self.fine else sizes[:1]

    def encode(self, values: np.ndarray, coder: Column) -> np.ndarray:
        """float64 (N,) -> int64 (N, cells)."""
        import polars

        return coder.encode(polars.Series(values, dtype=polars.Float64))

    def decode(self, codes: np.ndarray, u: np.ndarray, coder: Column) -> np.ndarray:
        """Cells (N, 1 or 2) and draws (N,) -> objects (N,), None for missing; parts that are not learnt are drawn."""
        if coder.low and codes.shape[1] < len(coder.sizes):
            ends = np.array([*coder.groups, len(coder.low)])
            group = codes[:, 0] - coder.holes - len(coder.values)
            parts = np.where(group >= 0, np.diff(ends)[np.maximum(group, 0)], 1)
            place = np.floor(u * parts)
            codes, u = np.stack([codes[:, 0], place.astype(np.int64)], 1), u * parts - place
        return coder.decode(codes, u)

    def relative(self, values: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """The change of values (N,) from what they refer to."""
        return np.log(values / reference) if self.ratio else values - reference

    def absolute(self, change: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """The values (N,) that some changes lead to."""
        return reference * np.exp(change) if self.ratio else reference + change


def filled(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Missing values (N,) as the last known one of their piece, or the first one that is known."""
    at = np.where(np.isnan(values), -1, np.arange(len(values)))
    start = np.maximum.accumulate(np.where(begins, np.arange(len(values)), 0))
    last = np.maximum.accumulate(at)
    known = values[~np.isnan(values)]
    usual = float(np.median(known)) if len(known) else 0.0
    return np.where((last >= start) & (last >= 0), values[np.maximum(last, 0)], usual)


def unit_root(x: np.ndarray, begins: np.ndarray) -> float:
    """The statistic of Said & Dickey (1984): t of rho in dx_t = a + rho x_(t-1) + sum_i c_i dx_(t-i) + e_t.

    x: (N,); pieces begin where `begins`. -inf where there is too little to tell.
    """
    d = np.diff(x)
    inside = ~begins[1:]
    rows = np.arange(LAGS, len(d))
    sound = np.lib.stride_tricks.sliding_window_view(inside, LAGS + 1).all(1) if len(d) > LAGS else np.zeros(0, bool)
    rows = rows[sound]
    if len(rows) < 10 * (LAGS + 2) or np.std(d[rows]) == 0:
        return -np.inf
    rows = rows[-SOME:]
    design = np.stack([np.ones(len(rows)), x[rows], *(d[rows - lag] for lag in range(1, LAGS + 1))], 1)
    scale = np.maximum(np.abs(design).max(0), 1e-300)
    design = design / scale
    beta, *_ = np.linalg.lstsq(design, d[rows], rcond=None)
    rest = d[rows] - design @ beta
    inverse = np.linalg.pinv(design.T @ design)
    error = np.sqrt(max(inverse[1, 1], 0) * rest.var() * len(rows) / max(1, len(rows) - design.shape[1]))
    return float(beta[1] / error) if error > 0 else -np.inf


def wanders(x: np.ndarray, begins: np.ndarray) -> bool:
    """Whether a level (N,) does not return, and its changes do not take back what those before have added, as they do
    where noise lies over a trend."""
    d, inside = np.diff(x), ~begins[1:]
    pairs = inside[1:] & inside[:-1]
    a, b = d[1:][pairs], d[:-1][pairs]
    taken = float(np.mean(a * b) / np.mean(b * b)) if len(b) and np.any(b) else 0.0
    return taken > TAKEN_BACK and unit_root(x, begins) > UNIT_ROOT


def in_proportion(x: np.ndarray, begins: np.ndarray) -> bool:
    """Whether values are all positive, and changes larger where they are larger: |dx| ~ x^b with b > 1/2."""
    if (x <= 0).any() or x.max() < 1.5 * x.min():
        return False
    d, inside = np.abs(np.diff(x)), ~begins[1:]
    good = inside & (d > 0)
    if good.sum() < 30:
        return False
    level = np.log(x[:-1][good])
    return bool(np.polyfit(level - level.mean(), np.log(d[good]), 1)[0] > 0.5)


def tracks(columns: Sequence[Column], values: dict[int, np.ndarray], begins: np.ndarray, wanted: int) -> list[Track]:
    """How each column that is learnt is told; `values` holds the numbers (N,) of those of many, by column.

    wanted  groups into which numbers are put at most

    A level that wanders, so that it may leave the range that was seen, is told by its change from the column, at this
    step or the one before, from which it is least far.
    """
    found, whole = list[Track](), {place: filled(one, begins) for place, one in values.items()}
    wander = {place: wanders(_scaled(one, begins), begins) for place, one in whole.items()}
    usable = [place for place in columns_learnt(columns) if wander.get(place)]
    numbers = {place: number for number, place in enumerate(columns_learnt(columns))}
    seen = list[np.ndarray]()
    for place in columns_learnt(columns):
        track = Track(place, columns[place])
        if place in values:
            own = values[place]
            if wander[place]:
                track, own = referred(track, place, whole, own, usable, begins, numbers)
            need = fineness(_ranks(own), seen, begins)
            track = binned(track, values[place], own, need, wanted)
            seen.append(_ranks(own))
        found.append(track)
    return found


def columns_learnt(columns: Sequence[Column]) -> list[int]:
    """Numbers of the columns of which cells are learnt."""
    return [place for place, column in enumerate(columns) if column.sizes and column.kind != "date"]


def _scaled(x: np.ndarray, begins: np.ndarray) -> np.ndarray:
    return np.log(x) if in_proportion(x, begins) else x


def referred(
    track: Track, place: int, whole: dict[int, np.ndarray], own: np.ndarray, usable: Sequence[int],
    begins: np.ndarray, numbers: dict[int, int],
) -> tuple[Track, np.ndarray]:  # fmt: skip
    """The track with its reference, and its changes (N,), NaN at the beginning of pieces."""
    ratio = in_proportion(whole[place], begins)
    best, spread, change = track, np.inf, own
    for other in (place, *(one for one in usable if one != place)):
        for now in (False, True) if other < place else (False,):
            if ratio and (whole[other] <= 0).any():
                continue
            one = replace(track, of=numbers[other], now=now, ratio=ratio)
            reference = whole[other] if now else np.concatenate([[np.nan], whole[other][:-1]])
            z = one.relative(own, reference)
            z[begins] = z[begins] if now else np.nan
            far = float(np.nanmean(np.abs(z - np.nanmedian(z))))
            if far < CLOSER * spread or other == place:
                best, spread, change = one, far, z
    return best, change


def _ranks(x: np.ndarray) -> np.ndarray:
    """Mid-ranks from 0 to 1, 1/2 for what is missing."""
    known = np.sort(x[~np.isnan(x)])
    both = np.searchsorted(known, x, "left") + np.searchsorted(known, x, "right")
    return np.where(np.isnan(x), 0.5, both / (2 * max(1, len(known))))


def fineness(u: np.ndarray, seen: Sequence[np.ndarray], begins: np.ndarray) -> float:
    """How many equal parts of the ranks (N,) are as wide as what is left of them given the two steps before and the
    columns seen at this step, by least squares."""
    rows = np.arange(2, len(u))
    rows = rows[~begins[rows] & ~begins[rows - 1]][-SOME:]
    if len(rows) < 50:
        return 1.0
    design = [np.ones(len(rows)), u[rows - 1], u[rows - 2], *(one[rows] for one in seen[-8:])]
    design += [one[rows - 1] for one in seen[-8:]]
    matrix = np.stack(design, 1)
    beta, *_ = np.linalg.lstsq(matrix, u[rows], rcond=None)
    rest = np.abs(u[rows] - matrix @ beta)
    return 1 / max(float(np.median(rest)) * 2, 1e-6)


def binned(track: Track, values: np.ndarray, own: np.ndarray, need: float, wanted: int) -> Track:
    """The track with numbers put into groups and parts, as fine as what the steps before leave open."""
    parts = int(np.clip(np.ceil(8 * need), FEWEST, 32 * 32))
    fine = parts > SINGLE
    coarse = min(32 if fine else parts, wanted)
    resolution = Resolution(coarse, min(int(np.ceil(parts / coarse)), 32, wanted) if fine else WITHIN, 0)
    track = replace(track, level=spread(track.level, values, resolution), fine=fine)
    if track.of >= 0:
        style = Style(decimals=None)
        base = Column(track.level.name, "number", "Float64", False, holes=track.level.holes, style=style)
        track = replace(track, change=spread(base, own, resolution))
    return track


def spread(column: Column, values: np.ndarray, resolution: Resolution) -> Column:
    """The column with places for these numbers (N,)."""
    known, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    low, high, groups = places(known, counts, resolution)
    return replace(column, low=tuple(low.tolist()), high=tuple(high.tolist()), groups=tuple(groups.tolist()))
