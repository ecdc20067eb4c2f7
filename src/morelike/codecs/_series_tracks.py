"""Columns over time as cells: a level, or how far a number is from what tells it best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from morelike.codecs._bins import Resolution, places
from morelike.codecs._columns import Column, nearest
from morelike.codecs._numerals import Style
from morelike.codecs._rules import Rule
from morelike.codecs._series_reference import CLOSER, LAGS, LOOSE, SOME, Reference, Scales, chosen, earlier, steady

UNIT_ROOT = -2.86  # of the statistic, below which a level returns: 5 %, with a constant (Dickey & Fuller 1979)
TAKEN_BACK = -0.3  # correlation of neighbouring changes, which is -1/2 for pure noise
BEFORE = 4  # changes before that explain the next, in the test of a unit root
LEVELS, CHANGES = 64, 32  # groups of numbers at least, of levels and of what is left beside a reference
SINGLE, WITHIN = 256, 32  # most of them in one cell; parts of a group that are drawn
SURE = 0.4  # of the spread of a level, below which others tell at the first step where it is
GRID, OFTEN = 2_000, 10  # values of a grid at most; how often each is there at least, on average


@dataclass(frozen=True)
class Told:
    """How a track is told at a step.

    coder      the values, or how far they are from the reference, as cells
    reference  None for the values
    fine       whether the second cell is learnt; or else free: all of its values are equally likely
    """

    coder: Column
    reference: Reference | None = None
    fine: bool = False

    @property
    def learnt(self) -> int:
        """How many cells are learnt, the first ones."""
        return len(self.coder.sizes) if self.fine else 1

    @cached_property
    def parts(self) -> np.ndarray:
        """How many parts each value of the first cell has, (V,)."""
        ends = np.diff([*self.coder.groups, len(self.coder.low)])
        return np.concatenate([np.ones(self.coder.sizes[0] - len(ends), np.int64), ends]).astype(np.int64)


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

    def encode(self, values: np.ndarray, told: Told, reference: np.ndarray | None) -> np.ndarray:
        """Values and references float64 (N,) -> int64 (N, cells)."""
        import polars

        if reference is not None:
            with np.errstate(all="ignore"):
                values = self.scaled(values) - reference
        codes = told.coder.encode(polars.Series(values, dtype=polars.Float64))
        if codes.shape[1] > 1 and not told.fine:  # as many values as the group of most parts has, in each
            codes[:, 1] = -(-codes[:, 1] * told.coder.sizes[1] // told.parts[codes[:, 0]])
        return codes

    def decode(self, codes: np.ndarray, u: np.ndarray, told: Told, reference: np.ndarray | None) -> np.ndarray:
        """Cells (N, cells), draws (N,) and references (N,) -> float64 (N,), NaN for missing."""
        coder = told.coder
        if codes.shape[1] > 1 and not told.fine:
            part = codes[:, 1] * told.parts[codes[:, 0]] // coder.sizes[1]
            codes = np.stack([codes[:, 0], part], 1)
        found = coder.decode(codes, u).astype(np.float64)
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

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values (N,) on the scale of the track; NaN where they have no logarithm."""
        with np.errstate(all="ignore"):
            return np.where(values > 0, np.log(values), np.nan) if self.log else values


def filled(values: np.ndarray, begins: np.ndarray, usual: float) -> np.ndarray:
    """Missing values (N,) as the last known one of their piece, or else the usual one."""
    at = np.where(np.isnan(values), -1, np.arange(len(values)))
    start = np.maximum.accumulate(np.where(begins, np.arange(len(values)), 0))
    last = np.maximum.accumulate(at)
    return np.where((last >= start) & (last >= 0), values[np.maximum(last, 0)], usual)


def within(begins: np.ndarray) -> np.ndarray:
    """How many rows of its piece come before each row, (N,)."""
    at = np.arange(len(begins))
    return at - np.maximum.accumulate(np.where(begins, at, 0))


def unit_root(x: np.ndarray, begins: np.ndarray) -> float:
    """The statistic of Said & Dickey (1984): t of rho in dx_t = a + rho x_(t-1) + sum_i c_i dx_(t-i) + e_t.

    x: (N,); pieces begin where `begins`. -inf where there is too little to tell.
    """
    d = np.diff(x)
    inside = ~begins[1:]
    rows = np.arange(BEFORE, len(d))
    sound = np.lib.stride_tricks.sliding_window_view(inside, BEFORE + 1).all(1) if len(d) > BEFORE else rows > 0
    rows = rows[sound]
    if len(rows) < 10 * (BEFORE + 2) or np.std(d[rows]) == 0:
        return -np.inf
    rows = rows[-SOME:]
    design = np.stack([np.ones(len(rows)), x[rows], *(d[rows - lag] for lag in range(1, BEFORE + 1))], 1)
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


@dataclass(frozen=True)
class Wish:
    """How a track is to be told: references, into how many parts by what is left open, and in how many groups at most,
    of levels and of what is left beside a reference."""

    plan: Sequence[Reference | None]
    need: float
    most: int
    few: int


def tracks(
    columns: Sequence[Column],
    values: dict[int, np.ndarray],
    begins: np.ndarray,
    bins: int | None,
    rules: Sequence[Rule],
) -> list[Track]:
    """How each column that is learnt is told, in the order in which they are drawn at a step; `values` holds the
    numbers (N,) of those of many, by column.

    bins    groups into which numbers are put at most; None: as many as the rows allow
    rules   of which orders such as a <= b decide what comes last: numbers that are never between others

    A level that wanders, so that it may leave the range that was seen, and one of which other numbers tell something,
    are told by how far they are from a reference.
    """
    orders = [rule for rule in rules if rule.kind == "order"]
    ends = {rule.of[0] for rule in orders} ^ {rule.to for rule in orders}
    order = sorted(columns_learnt(columns), key=lambda place: place in ends)
    number = {place: at for at, place in enumerate(order)}
    scales = scaled({number[place]: one for place, one in values.items()}, begins)
    kept = {(number[rule.of[0]], number[rule.to]) for rule in orders if {rule.of[0], rule.to} <= set(number)}
    plan = {at: references(scales, at, kept, lines=True) for at in scales.own}
    last = {at: steps[-1] for at, steps in plan.items()}
    if not steady(last, int(scales.within.max(initial=0)) + 1):
        plan = {at: references(scales, at, kept, lines=False) for at in scales.own}
    most = (bins or max(4, len(begins) // 30), bins or max(6, round(len(begins) ** 0.5 / 5)))
    found, seen = list[Track](), list[np.ndarray]()
    for at, place in enumerate(order):
        track = Track(place, (Told(columns[place]),))
        if at in plan:
            rest = _ranks(scales.rest(at, plan[at][-1]))
            wish = Wish(plan[at], fineness(rest, seen, begins), *most)
            seen.append(rest)
            track = _settled(_binned(track, values[place], scales, at, wish), values[place], scales, at)
        found.append(track)
    return found


def _settled(track: Track, values: np.ndarray, scales: Scales, at: int) -> Track:
    """The track with all that is known of its values (N,) beside their cells."""
    wander, first = at in scales.wander, track.told[0].reference
    begun = scales.spread(at, first, 0) > SURE * scales.spread(at, None, 0)
    ends = (-math.inf, math.inf) if wander else (float(np.nanmin(values)), float(np.nanmax(values)))
    known = np.unique(values[~np.isnan(values)])
    grid = tuple(known.tolist()) if len(known) <= min(GRID, len(values) // OFTEN) else ()
    return replace(track, plain=True, log=at in scales.logs, late=len(track.told) > 1 and wander and begun,
                   usual=float(np.nanmedian(values)), ends=ends, grid=grid)  # fmt: skip


def columns_learnt(columns: Sequence[Column]) -> list[int]:
    """Numbers of the columns of which cells are learnt."""
    return [place for place, column in enumerate(columns) if column.sizes and column.kind != "date"]


def shifted(track: Track) -> Track:
    """The track where another one has been put before all."""
    told = []
    for one in track.told:
        if one.reference is not None:
            terms = tuple((at + 1, before, weight) for at, before, weight in one.reference.terms)
            one = replace(one, reference=replace(one.reference, terms=terms))
        told.append(one)
    return replace(track, told=tuple(told))


def coded(tracks: Sequence[Track], numbers: Sequence[np.ndarray | None], begins: np.ndarray) -> list[list[np.ndarray]]:
    """For each track its cells (N, cells) as told at the first step, the second, and so on; none for categories.

    numbers  (N,) of each track of plain numbers, NaN for missing, or None
    """
    z = {}
    for at, (track, own) in enumerate(zip(tracks, numbers, strict=True)):
        if own is not None:
            z[at] = filled(track.scaled(own), begins, float(track.scaled(np.array(track.usual))))

    def known(track: int, before: int) -> np.ndarray:
        return earlier(z[track], before)

    found = list[list[np.ndarray]]()
    for track, own in zip(tracks, numbers, strict=True):
        found.append([])
        for one in track.told if own is not None else ():
            assert own is not None, "only these are told"
            reference = None if one.reference is None else one.reference.value(known)
            found[-1].append(track.encode(own, one, reference))
    return found


def scaled(values: Mapping[int, np.ndarray], begins: np.ndarray) -> Scales:
    """Numbers (N,) by track on their scales."""
    whole = {at: filled(one, begins, float(np.nanmedian(one))) for at, one in sorted(values.items())}
    logs = frozenset(at for at, one in whole.items() if in_proportion(one, begins))
    z = {at: np.log(one) if at in logs else one for at, one in whole.items()}
    own = {at: np.where(np.isnan(values[at]), np.nan, one) for at, one in z.items()}
    return Scales(z, own, logs, frozenset(at for at, one in z.items() if wanders(one, begins)), within(begins))


def references(scales: Scales, at: int, kept: Set[tuple[int, int]], *, lines: bool) -> tuple[Reference | None, ...]:
    """To what a track refers at the first step of a window, the second, and so on; None: it is told by itself.

    kept  pairs of tracks of which the first is never above the second
    """
    drawn = [one for one in scales.own if one < at]
    alike = [one for one in drawn if (one in scales.logs) == (at in scales.logs)]
    steps = [chosen(scales, at, drawn, order, lines=lines) for order in range(LAGS + 1)]
    least, level = scales.spread(at, steps[-1], LAGS), scales.spread(at, None, 0)
    under, over = [one for one in alike if (one, at) in kept], [one for one in alike if (at, one) in kept]
    if bool(under) != bool(over):
        bound = Reference(tuple((one, 0, 1.0) for one in under or over), bound=1 if under else -1)
        if scales.spread(at, bound, 0) <= LOOSE * least:
            return (bound,)
    if at not in scales.wander and least > CLOSER * level:
        return (None,)
    if scales.spread(at, steps[0], 0) > CLOSER * level:
        steps[0] = None
    while len(steps) > 2 and steps[-1] == steps[-2]:
        steps.pop()
    return tuple(steps)


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


def _binned(track: Track, values: np.ndarray, scales: Scales, at: int, wish: Wish) -> Track:
    """The track with numbers put into groups, as fine as what the steps before leave open."""
    column, found = track.told[0].coder, list[Told]()
    base = Column(column.name, "number", "Float64", False, holes=column.holes, style=Style(decimals=None))
    for reference in wish.plan:
        if reference is None:
            begun = len(wish.plan) > 1  # what comes after adds to it, so it need not be fine
            parts = int(np.clip(np.ceil(8 * (1 if begun else wish.need)), LEVELS, 32 * 32))
            fine = parts > SINGLE
            coarse = min(32 if fine else parts, wish.most)
            resolution = Resolution(coarse, min(int(np.ceil(parts / coarse)), 32, wish.most) if fine else WITHIN, 0)
            found.append(Told(spread(column, values, resolution, fine=fine), fine=fine))
            continue
        resolution = Resolution(int(min(np.clip(np.ceil(8 * wish.need), CHANGES, SINGLE), wish.few)), WITHIN, 0)
        found.append(Told(spread(base, scales.rest(at, reference), resolution, fine=False), reference))
    return replace(track, told=tuple(found))


def spread(column: Column, values: np.ndarray, resolution: Resolution, *, fine: bool) -> Column:
    """The column with places for these numbers (N,).

    Parts of a group that are not learnt hold equally many of them, for they are drawn equally often, and reach to the
    next one, so that what is drawn need not have been there; a number that fills a part is one by itself.
    """
    own = np.sort(values[np.isfinite(values)])
    known, counts = np.unique(own, return_counts=True)
    low, high, groups = places(known, counts, resolution)
    if not fine:
        ends = np.append(np.searchsorted(own, low[groups]), len(own))
        parts = [np.unique(np.linspace(a, b, min(b - a, resolution.fine) + 1).astype(int)) for a, b in pairwise(ends)]
        groups = np.cumsum([0, *(len(one) - 1 for one in parts)])[:-1]
        first, last = (np.concatenate([one[end] for one in parts]) for end in (slice(None, -1), slice(1, None)))
        low, high = own[first], own[last - 1]
        unit = 0.0 if column.style.decimals is None else 10.0**-column.style.decimals
        following = own[np.minimum(last, len(own) - 1)] - unit
        high = np.where((low == high) & (last > first + 1), high, np.maximum(high, following))
    return replace(column, low=tuple(low.tolist()), high=tuple(high.tolist()), groups=tuple(groups.tolist()))
