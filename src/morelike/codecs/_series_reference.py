"""What a number of a series is told from: a bound that it keeps, another number, or a straight line through several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from morelike.codecs._series_curve import Curve, turned

LAGS = 1  # steps before of which numbers are looked at: of two, what a net draws would be added up twice
TERMS, SOME = 12, 20_000  # numbers in a line; rows by which it is fitted
BETTER = 0.99  # what is left of the squares after a further term, relative to before, that is worth it
CLOSER = 0.95  # spread, relative to that of one reference, by which a less simple one is preferred
LOOSE = 2.0  # spread, relative to that of the best reference, up to which a bound is preferred
GROWTH = 10.0  # times by which what is predicted from predictions may grow over the longest piece


@dataclass(frozen=True)
class Reference:
    """A number r from what is known of a step, on the scale of the track that refers to it.

        r = constant + sum_i w_i z_i + curve(z)   or   the largest (bound 1) or least (bound -1) of all z_i

    terms  (track, steps before, w) of each z, which is on the scale of its own track
    curve  of the first of these z, those of the track that refers to it, or None
    """

    terms: tuple[tuple[int, int, float], ...]
    constant: float = 0.0
    bound: int = 0
    curve: Curve | None = None

    def value(self, known: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """r (N,) where known(track, steps before) is z (N,)."""
        parts = [known(track, before) for track, before, _ in self.terms]
        if self.bound:
            return np.max(parts, 0) if self.bound > 0 else np.min(parts, 0)
        total = np.full_like(parts[0], self.constant)
        for (*_, weight), part in zip(self.terms, parts, strict=True):
            total += weight * part
        return total if self.curve is None else total + self.curve.value(np.stack(parts[: len(self.curve.mix)]))


@dataclass(frozen=True)
class Scales:
    """The numbers of a series on their scales.

    z, own   by track (N,), with the last known one where one is missing, and NaN there
    logs     tracks that are on the logarithmic scale
    wander   tracks whose level does not return
    within   (N,) how many rows of its piece come before each
    whole    whether pieces are so short that windows are whole ones
    """

    z: Mapping[int, np.ndarray]
    own: Mapping[int, np.ndarray]
    logs: frozenset[int]
    wander: frozenset[int]
    within: np.ndarray
    whole: bool = False

    def before(self, track: int, steps: int) -> np.ndarray:
        """Its numbers so many steps before, (N,); those of another piece where there are too few."""
        return earlier(self.z[track], steps)

    def rest(self, track: int, reference: Reference | None) -> np.ndarray:
        """What is left of a track beside its reference, (N,); NaN where it is missing or too little is known before."""
        if reference is None:
            return self.own[track]
        order = max(before for _, before, _ in reference.terms)
        return np.where(self.within >= order, self.left(track, reference, np.arange(len(self.within))), np.nan)

    def left(self, track: int, reference: Reference | None, rows: np.ndarray) -> np.ndarray:
        """The same of some rows (N,)."""
        if reference is None:
            return self.own[track][rows]
        return self.own[track][rows] - reference.value(lambda one, before: self.z[one][np.maximum(rows - before, 0)])

    def rows(self, track: int, order: int, *, only: bool = False) -> np.ndarray:
        """Rows in which a track is there and so many steps before are known, or, if `only`, no more."""
        there = self.within == order if only else self.within >= order
        return np.flatnonzero(there & ~np.isnan(self.own[track]))

    def spread(self, track: int, reference: Reference | None, order: int, *, only: bool = False) -> float:
        """Mean distance from the median of what is left, where so many steps are known before, or `only` these."""
        rows = self.rows(track, order, only=only)
        rest = self.left(track, reference, rows[:: -(-len(rows) // (2 * SOME)) or 1])
        return float(np.mean(np.abs(rest - np.median(rest)))) if len(rest) else np.inf


def earlier(z: np.ndarray, steps: int) -> np.ndarray:
    """Numbers (N,) so many rows before, (N,); the first ones, of which nothing is known before, as they are."""
    return z if not steps else np.concatenate([z[:steps], z[:-steps]])[: len(z)]


def chosen(scales: Scales, track: int, drawn: Sequence[int], order: int, *, lines: bool) -> Reference | None:
    """What a track is told from given `order` steps before and the tracks drawn at this one: one of these as it is, or,
    if that leaves less by a twentieth, a line; None where there is nothing."""
    alike = [one for one in scales.z if (one in scales.logs) == (track in scales.logs)]
    near = [(track, 1)] if order else []
    near += [(one, 0) for one in drawn if one in alike] + [(one, 1) for one in alike if order and one != track]
    best, least = None, np.inf
    for one, before in near:
        if track in scales.wander and one not in scales.wander:
            continue
        reference = Reference(((one, before, 1.0),))
        far = scales.spread(track, reference, order)
        if far < CLOSER * least:
            best, least = reference, far
    line = straight(scales, track, offered(scales, drawn, order), order) if lines else None
    return line if line is not None and scales.spread(track, line, order) < CLOSER * least else best


def offered(scales: Scales, drawn: Sequence[int], order: int) -> list[tuple[int, int]]:
    """What a line may go through: (track, steps before) of what is known."""
    return [(one, 0) for one in drawn] + [(one, back) for back in range(1, order + 1) for one in scales.z]


def straight(
    scales: Scales, track: int, through: Sequence[tuple[int, int]], order: int, *, only: bool = False
) -> Reference | None:
    """A line by least squares through the few numbers that are worth it, the most useful first (Efroymson 1960).

    through  (track, steps before) of each number
    order    steps before each row that are known at least, or, if `only`, exactly
    """
    own, rows = scales.own[track], scales.rows(track, order, only=only)[-SOME:]
    if len(rows) < 50 or not through:
        return None
    x = np.stack([scales.before(*one)[rows] for one in through], 1)  # (n, M)
    y = own[rows]
    middle, size = x.mean(0), x.std(0)
    whole = turned(np.column_stack([(x - middle) / np.where(size > 0, size, np.inf), y - y.mean()]))
    x, y = whole[:, :-1], whole[:, -1]
    rest, left, taken = y, float(y @ y), list[int]()
    while len(taken) < min(TERMS, len(rows) // 20):
        gain = np.abs(_apart(x, x[:, taken], len(rows)).T @ rest)
        gain[taken] = -1
        after = _unexplained(x[:, [*taken, int(np.argmax(gain))]], y)
        if not float(after @ after) < BETTER * left:
            break
        taken, rest, left = [*taken, int(np.argmax(gain))], after, float(after @ after)
    for one in list(taken):  # what later ones have made needless
        without = [other for other in taken if other != one]
        after = _unexplained(x[:, without], y)
        if BETTER * float(after @ after) <= left:
            taken, left = without, max(left, float(after @ after))
    if not taken:
        return None
    weights = np.linalg.lstsq(x[:, taken], y, rcond=1e-12)[0] / size[taken]
    constant = float(own[rows].mean() - weights @ middle[taken])
    return Reference(tuple((*through[at], float(w)) for at, w in zip(taken, weights, strict=True)), constant)


def _unexplained(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What is left of y (n,) beside the best line through columns (n, m)."""
    return y - x @ np.linalg.lstsq(x, y, rcond=1e-12)[0]


def _apart(x: np.ndarray, taken: np.ndarray, rows: int) -> np.ndarray:
    """What is left of columns (n, M), of length one, once those that are taken (n, m) are accounted for."""
    if taken.shape[1]:
        basis, _ = np.linalg.qr(taken)
        x = x - basis @ (basis.T @ x)
    length = np.linalg.norm(x, axis=0)
    return x / np.where(length > 1e-9 * np.sqrt(rows), length, np.inf)


def steady(references: Mapping[int, Reference | None], longest: int) -> bool:
    """Whether what the last reference of each track predicts from predictions stays in bounds over so many steps.

    rho^longest <= `GROWTH`, rho being the spectral radius of the companion matrix (Luetkepohl 2005, eq. 2.1.8).
    """
    size, place = len(references), {track: at for at, track in enumerate(references)}
    terms = [(track, *term) for track, one in references.items() if one and not one.bound for term in one.terms
             if term[0] in place]  # fmt: skip
    lags = max((before for _, _, before, _ in terms), default=1) or 1
    now, past = np.zeros((size, size)), np.zeros((size, lags * size))
    for track, other, before, weight in terms:
        target = now if not before else past
        target[place[track], place[other] + max(0, before - 1) * size] += weight
    top = np.linalg.solve(np.eye(size) - now, past)
    companion = np.concatenate([top, np.eye(lags * size)[: (lags - 1) * size]])
    radius = np.abs(np.linalg.eigvals(companion)).max(initial=0.0)
    return bool(np.log(max(radius, 1e-9)) * longest <= np.log(GROWTH))
