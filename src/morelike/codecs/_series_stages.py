"""What a number of a series is told from at the first step, the second, and so on: of smooth ones, from more steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from morelike.codecs._series_curve import DEEP, fitted
from morelike.codecs._series_reference import CLOSER, LAGS, SOME, Reference, Scales, chosen, offered, straight

MORE = 8  # steps before of which smooth numbers are told, at most
SMOOTH = 0.5  # spread, relative to that of one step before, that two or three leave of smooth numbers at most
FEW = 500  # pieces from which the first steps are told apart from later ones
RUNS, LENGTH, ASTRAY = 500, 100, 0.02  # tries of a curve, how many steps of each, and what share may run away


def stages(scales: Scales, track: int, drawn: Sequence[int], *, lines: bool) -> list[Reference | None]:
    """What a track is told from at the first step of a piece, the second, and so on; the last from there on.

    One step before is looked at, for of more, what a net draws would be added up again and again. Smooth numbers, of
    which two steps or three tell much more than one, are told by as many as leave less: then so little is left that it
    may be.
    """
    found = [chosen(scales, track, drawn, order, lines=lines) for order in range(LAGS + 1)]
    longest = int(scales.within.max(initial=0)) // 2
    for order in range(LAGS + 1, min(MORE, longest) + 1 if lines else 0):
        best = _best(scales, track, _through(track, found[LAGS], order), order)
        if best is None:
            break
        found.append(best)
        if order == DEEP and (best.curve or not smooth(scales, track, found)):
            break
    while len(found) > LAGS + 2 and _spread(scales, track, found, -1) >= CLOSER * _spread(scales, track, found, -2):
        found.pop()
    if not smooth(scales, track, found):
        return found[: LAGS + 1]
    return _begun(scales, track, drawn, found) if scales.whole else found


def _begun(
    scales: Scales, track: int, drawn: Sequence[int], found: Sequence[Reference | None]
) -> list[Reference | None]:
    """The same with what tells most at just the first step, just the second, and so on."""
    first = straight(scales, track, offered(scales, drawn, 0), 0, only=True)
    near, level = (scales.spread(track, one, 0, only=True) for one in (first, None))
    begun = [_best(scales, track, _through(track, found[LAGS], order), order, only=True) or found[order]
             for order in range(LAGS, len(found) - 1)]  # fmt: skip
    return [first if near < CLOSER * level else None, *begun, found[-1]]


def smooth(scales: Scales, track: int, found: Sequence[Reference | None]) -> bool:
    """Whether more steps before than one leave half of what one leaves."""
    few = _spread(scales, track, found[: LAGS + 1], -1)
    return len(found) > LAGS + 1 and _spread(scales, track, found, -1) < SMOOTH * few


def _spread(scales: Scales, track: int, found: Sequence[Reference | None], stage: int) -> float:
    order = range(len(found))[stage]
    return scales.spread(track, found[order], order)


def _through(track: int, near: Reference | None, order: int) -> list[tuple[int, int]]:
    """What a line through so many steps may go through: (track, steps before) of itself, and of what tells it if one
    step is known."""
    terms = sorted(near.terms if near else (), key=lambda term: -term[1])
    first = {one: before for one, before, _ in terms if one != track}  # the last step of each
    others = [(one, back) for one, before in first.items() for back in range(before, order + 1)]
    return [(track, back) for back in range(1, order + 1)] + others


def _best(
    scales: Scales, track: int, through: Sequence[tuple[int, int]], order: int, *, only: bool = False
) -> Reference | None:
    """A line of so many steps before, or a curve beside it, where that leaves less by half."""
    line = straight(scales, track, through, order, only=only)
    if line is None:
        return None
    best, least = line, scales.spread(track, line, order, only=only)
    for terms, enough in ((), SMOOTH), (line.terms, CLOSER):
        curve = bent(scales, track, terms, order, only=only)
        if curve is None:
            continue
        left = scales.spread(track, curve, order, only=only)
        if left < enough * least and (only or holds(scales, track, curve, order)):
            best, least = curve, left
    return best


def bent(
    scales: Scales, track: int, terms: Sequence[tuple[int, int, float]], order: int, *, only: bool = False
) -> Reference | None:
    """A curve of the last steps of a track beside a line through these and all that another line goes through."""
    own = [(track, before) for before in range(1, min(order, DEEP) + 1)]
    more = [(one, before) for one, before, _ in terms if (one, before) not in own]
    rows = scales.rows(track, order, only=only)[-SOME:]
    z, other = (np.stack([scales.before(*one)[rows] for one in some]) if some else np.zeros((0, len(rows)))
                for some in (own, more))  # fmt: skip
    found = fitted(z, other, scales.own[track][rows])
    if found is None:
        return None
    curve, weights, constant = found
    through = tuple((*one, float(w)) for one, w in zip([*own, *more], weights, strict=True))
    return Reference(through, constant, curve=curve)


def holds(scales: Scales, track: int, curve: Reference, order: int) -> bool:
    """Whether what a curve predicts from predictions, with what it leaves added at random, stays about where the data
    are, over a hundred steps or the longest piece, all other tracks being as they were."""
    own, longest = scales.z[track], int(scales.within.max(initial=0)) + 1
    length = min(LENGTH, longest - order)
    first = np.flatnonzero(scales.within >= order)
    first = first[first + length <= len(own)]
    first = first[scales.within[first + length - 1] == scales.within[first] + length - 1]
    draw = np.random.default_rng(0)
    first = draw.permutation(first)[:RUNS]
    rest = scales.left(track, curve, draw.permutation(scales.rows(track, order))[:SOME])
    made = [own[first - before] for before in range(order, 0, -1)]  # (runs,) each
    for at in range(length):
        known = partial(_known, scales, track, made, first + at)
        with np.errstate(all="ignore"):
            made.append(curve.value(known) + draw.choice(rest, len(first)))
    room = np.ptp(own) / 2
    with np.errstate(invalid="ignore"):
        inside = ((np.stack(made) > own.min() - room) & (np.stack(made) < own.max() + room)).all(0)
    return len(first) > 0 and float(1 - inside.mean()) <= ASTRAY


def _known(
    scales: Scales, track: int, made: Sequence[np.ndarray], rows: np.ndarray, one: int, before: int
) -> np.ndarray:
    """Numbers (N,) so many steps before some rows: of the track itself what has been made, of others what was there."""
    return made[-before] if one == track and before else scales.z[one][rows - before]
