"""Where chains are: which of them lie apart, whether they drift, separate heaps of draws, where divergences gather."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from morelike.samplers.mcmc._ranks import Array, Ranked, split

APART = 0.8  # between normal scores of two groups of chains, so that they are said to lie apart
DRIFT = 0.5  # between normal scores of first and second halves
VALLEY, LEAST_SHARE = 0.4, 0.05  # a valley's height to the lower peak's, and the share of draws in the lesser heap
CHANCE, STRONG = 0.05, 0.5  # of a false alarm; and normal scores by which divergent draws differ from all


class Groups(NamedTuple):
    """Two groups of chains that lie in different places.

    few, rest      indices of chains, the smaller group first
    centres        median of the draws of either
    separate       whether hardly a draw of one group lies among those of the other
    """

    few: tuple[int, ...]
    rest: tuple[int, ...]
    centres: tuple[float, float]
    separate: bool


class Heaps(NamedTuple):
    """Two separate heaps of draws: their modes, the share of draws in each, and how often chains crossed between."""

    modes: tuple[float, float]
    shares: tuple[float, float]
    crossings: int


class Gathering(NamedTuple):
    """Divergences at small or large values of a parameter.

    low       whether at small values
    edge      the value on whose one side four fifths of the divergent draws are
    others    the share of the other draws on that side
    strength  how far normal scores differ
    """

    low: bool
    edge: float
    others: float
    strength: float


def groups(x: Array, folded: bool = False) -> Groups | None:
    """Two groups of chains, cut at the widest gap between their means, or None where no gap is wide; x: (C, N).

    folded  look at how far the draws are from the median, instead of where they are; `centres` are sds then
    """
    count = len(x)
    if count < 2:
        return None
    ranked = Ranked(x[None])
    means = (ranked.folded() if folded else ranked.z())[0].reshape(2, count, -1).mean((0, 2))
    order = means.argsort()
    gaps = np.diff(means[order])
    cut = int(gaps.argmax()) + 1
    inside = max(np.ptp(means[order[:cut]]), np.ptp(means[order[cut:]]))
    if gaps[cut - 1] < APART or gaps[cut - 1] < 2 * inside:
        return None
    few, rest = sorted((order[:cut], order[cut:]), key=len)
    low, high = x[order[:cut]], x[order[cut:]]
    separate = bool(np.quantile(low, 0.95) < np.quantile(high, 0.05))
    of = np.std if folded else np.median
    centres = float(of(x[few])), float(of(x[rest]))
    return Groups(tuple(sorted(map(int, few))), tuple(sorted(map(int, rest))), centres, separate)


def drifting(x: Array) -> bool:
    """Whether the second halves of all chains lie on the same side of the first ones; x: (C, N)."""
    z = Ranked(x[None]).z()[0].reshape(2, len(x), -1).mean(2)
    moved = z[1] - z[0]
    return bool(abs(moved.mean()) > DRIFT and (np.sign(moved) == np.sign(moved.mean())).all())


def heaps(x: Array) -> Heaps | None:
    """Two heaps of draws with a valley between, or None; x: (C, N).

    The highest peak of a smoothed histogram, and the peak that the deepest valley divides from it.
    """
    low, high = np.quantile(x, [0.002, 0.998])
    if not high > low:
        return None
    bins = int(np.clip(x.size**0.5 / 2, 12, 60))
    count, edges = np.histogram(x, bins, (low, high))
    smooth = np.convolve(count, [0.25, 0.5, 0.25], "same")
    top = int(smooth.argmax())
    found = max((_across(smooth, top, other) for other in range(bins)), default=None)
    if found is None or found[0] <= 0:
        return None
    _, other, valley = found
    middle = (edges + (edges[1] - edges[0]) / 2)[:-1]
    side = x > middle[valley]  # (C, N)
    share = float(side.mean())
    if smooth[valley] > VALLEY * smooth[other] or min(share, 1 - share) < LEAST_SHARE:
        return None
    a, b = sorted((float(middle[top]), float(middle[other])))
    return Heaps((a, b), (1 - share, share), int((side[:, 1:] != side[:, :-1]).sum()))


def _across(smooth: Array, top: int, other: int) -> tuple[float, int, int]:
    """How far a peak rises above the valley between it and the highest one; that peak, and the valley."""
    a, b = sorted((top, other))
    valley = a + int(smooth[a : b + 1].argmin())
    return float(smooth[other] - smooth[valley]), other, valley


def gatherings(x: Array, diverging: Array) -> dict[int, Gathering]:
    """Parameters at whose small or large values divergences gather, the most striking first; (P, C, N) and (C, N).

    Normal scores of k divergent draws have mean 0 and variance 1/k where divergences lie anywhere (van der Waerden);
    `CHANCE` is shared among all parameters (Bonferroni).
    """
    flags = split(diverging[None].astype(bool))[0]
    k = int(flags.sum())
    if not k or not len(x):
        return {}
    shift = np.array([Ranked(one[None]).z()[0][flags].mean() for one in x])
    sure = float(torch.special.ndtri(torch.tensor(1 - CHANCE / 2 / len(x), dtype=torch.float64)))
    found = {}
    for i in np.argsort(-np.abs(shift), kind="stable"):
        if abs(shift[i]) < STRONG or abs(shift[i]) * k**0.5 < sure:
            break
        here, others = x[i][diverging], x[i][~diverging]
        low = bool(shift[i] < 0)
        edge = float(np.quantile(here, 0.8 if low else 0.2))
        share = float((others < edge).mean() if low else (others > edge).mean())
        found[int(i)] = Gathering(low, edge, share, float(abs(shift[i])))
    return found


def companion(x: Array, energy: Array) -> tuple[int, float]:
    """The parameter that goes most with the energy, and the correlation of normal scores; (P, C, N) and (C, N)."""
    e = Ranked(energy[None]).z().reshape(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.nan_to_num([np.corrcoef(Ranked(one[None]).z().reshape(-1), e)[0, 1] for one in x])
    i = int(np.abs(r).argmax())
    return i, float(r[i])
