"""Columns over time as cells: a level, or how far a number is from what tells it best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from morelike.codecs._bins import Resolution, places
from morelike.codecs._columns import Column
from morelike.codecs._numerals import Style
from morelike.codecs._rules import Rule
from morelike.codecs._series_reference import CLOSER, LAGS, LOOSE, SOME, Reference, Scales, earlier, steady
from morelike.codecs._series_stages import FEW, stages
from morelike.codecs._series_told import Told, Track

UNIT_ROOT = -2.86  # of the statistic, below which a level returns: 5 %, with a constant (Dickey & Fuller 1979)
TAKEN_BACK = -0.3  # correlation of neighbouring changes, which is -1/2 for pure noise
BEFORE = 4  # changes before that explain the next, in the test of a unit root
LEVELS, CHANGES = 64, 32  # groups of numbers at least, of levels and of what is left beside a reference
SINGLE, WITHIN = 256, 32  # most of them in one cell; parts of a group that are drawn
SURE = 0.4  # of the spread of a level, below which others tell at the first step where it is
AGAIN, SELDOM = 30, 0.002  # rows, and share of them, that repeat the one before, from which that is told by itself
WHOLE = 96  # rows of a series at most that is a window as a whole
GRID, OFTEN = 2_000, 10  # values of a grid at most; how often each is there at least, on average


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
    of levels and of what is left beside a reference; `same` (N,), where a value is told as that of the step before."""

    plan: Sequence[Reference | None]
    need: float
    most: int
    few: int
    same: np.ndarray


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
    last = {at: steps[-1] for at, steps in plan.items() if not (steps[-1] and steps[-1].curve)}  # these hold, tried out
    if not steady(last, int(scales.within.max(initial=0)) + 1):
        plan = {at: references(scales, at, kept, lines=False) for at in scales.own}
    most = (bins or max(4, len(begins) // 30), bins or max(6, round(len(begins) ** 0.5 / 5)))
    found, seen = list[Track](), list[np.ndarray]()
    for at, place in enumerate(order):
        track = Track(place, (Told(columns[place]),))
        if at in plan:
            rest = _ranks(scales.rest(at, plan[at][-1]))
            same = repeated(values[place], begins)
            steps = plan[at] * 2 if same.any() and len(plan[at]) == 1 else plan[at]
            wish = Wish(steps, fineness(rest, seen, begins), *most, same)
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
    bent = any(one.reference and one.reference.curve for one in track.told)  # what happens depends on the level
    late = wander and begun and not bent and first != track.told[-1].reference
    return replace(track, plain=True, log=at in scales.logs, late=late, usual=float(np.nanmedian(values)), ends=ends,
                   grid=grid, smooth=len(track.told) > LAGS + 1)  # fmt: skip


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
    z, whole = {}, {}
    for at, (track, own) in enumerate(zip(tracks, numbers, strict=True)):
        if own is not None:
            whole[at] = filled(own, begins, track.usual)
            z[at] = filled(track.scaled(own), begins, float(track.scaled(np.array(track.usual))))

    def known(track: int, before: int) -> np.ndarray:
        return earlier(z[track], before)

    found = list[list[np.ndarray]]()
    for at, (track, own) in enumerate(zip(tracks, numbers, strict=True)):
        found.append([])
        for one in track.told if own is not None else ():
            assert own is not None, "only these are told"
            reference = None if one.reference is None else one.reference.value(known)
            found[-1].append(track.encode(own, one, reference, earlier(whole[at], 1)))
    return found


def scaled(values: Mapping[int, np.ndarray], begins: np.ndarray) -> Scales:
    """Numbers (N,) by track on their scales."""
    whole = {at: filled(one, begins, float(np.nanmedian(one))) for at, one in sorted(values.items())}
    logs = frozenset(at for at, one in whole.items() if in_proportion(one, begins))
    z = {at: np.log(one) if at in logs else one for at, one in whole.items()}
    own = {at: np.where(np.isnan(values[at]), np.nan, one) for at, one in z.items()}
    place = within(begins)
    short = int(begins.sum()) >= FEW and int(place.max()) < WHOLE
    return Scales(z, own, logs, frozenset(at for at, one in z.items() if wanders(one, begins)), place, short)


def references(scales: Scales, at: int, kept: Set[tuple[int, int]], *, lines: bool) -> tuple[Reference | None, ...]:
    """To what a track refers at the first step of a window, the second, and so on; None: it is told by itself.

    kept  pairs of tracks of which the first is never above the second
    """
    drawn = [one for one in scales.own if one < at]
    alike = [one for one in drawn if (one in scales.logs) == (at in scales.logs)]
    steps = stages(scales, at, drawn, lines=lines)
    least, level = scales.spread(at, steps[-1], len(steps) - 1), scales.spread(at, None, 0)
    under, over = [one for one in alike if (one, at) in kept], [one for one in alike if (at, one) in kept]
    if bool(under) != bool(over):
        bound = Reference(tuple((one, 0, 1.0) for one in under or over), bound=1 if under else -1)
        if scales.spread(at, bound, 0) <= LOOSE * least:
            return (bound,)
    if at not in scales.wander and least > CLOSER * level:
        return (None,)
    apart = scales.whole and len(steps) > LAGS + 1  # the first step has been looked at by itself
    if not apart and scales.spread(at, steps[0], 0) > CLOSER * level:
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
    for step, reference in enumerate(wish.plan):
        stays = step > 0 and bool(wish.same.any())
        rest = scales.rest(at, reference) if reference else values
        rest = np.where(wish.same, np.nan, rest) if stays else rest
        if scales.whole and LAGS < len(wish.plan) - 1 > step:  # of smooth numbers, whose first steps are told apart
            own = rest[scales.within == step]
            rest = own if reference else np.concatenate([rest, np.repeat(own, len(rest) // len(own))])
        if reference is None:
            begun = wish.plan[-1] is not None  # what comes after adds to it, so it need not be fine
            parts = int(np.clip(np.ceil(8 * (1 if begun else wish.need)), LEVELS, 32 * 32))
            fine = parts > SINGLE
            coarse = min(32 if fine else parts, wish.most)
            resolution = Resolution(coarse, min(int(np.ceil(parts / coarse)), 32, wish.most) if fine else WITHIN, 0)
            found.append(Told(spread(column, rest, resolution, fine=fine), fine=fine, stays=stays))
            continue
        resolution = Resolution(int(min(np.clip(np.ceil(8 * wish.need), CHANGES, SINGLE), wish.few)), WITHIN, 0)
        found.append(Told(spread(base, rest, resolution, fine=False), reference, stays=stays))
    return replace(track, told=tuple(found))


def repeated(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Where values (N,) are those of the row before, if that is twice as often as by chance: as often as changes by
    less than a place either way, or as the same values would meet anyhow. Nowhere, if not."""
    change = np.abs(np.diff(values))[~begins[1:]]
    change = change[~np.isnan(change)]
    same = np.append(False, values[1:] == values[:-1]) & ~begins
    count, moved = int(same.sum()), np.sort(change[change > 0])
    if count < max(AGAIN, SELDOM * len(change)) or not len(moved):
        return np.zeros(len(values), bool)
    near = moved[: max(count, len(moved) // 10)]
    places = len(np.unique(np.round(near / near[-1], 6)))
    shares = np.unique(values[~np.isnan(values)], return_counts=True)[1] / len(values)
    chance = max(len(near) / (2 * places), float(shares @ shares) * len(change))
    return same if count > 2 * chance else np.zeros(len(values), bool)


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
