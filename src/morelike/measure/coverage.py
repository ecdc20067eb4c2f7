"""Clipped density and clipped coverage: which share of the samples is good, and which share of the data they cover.

Salvy, Talbot & Thirion 2025 (arXiv 2507.01761). Both look at balls around the real items that reach to the k-th
nearest other real item. Their scores are calibrated: a set of which a share s was drawn from the law of the data while
the rest lies elsewhere scores about s on both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.measure.figure import Estimate
from morelike.measure.interval import Z, around, unusable
from morelike.measure.nearest import balls, nearest


@dataclass(frozen=True)
class Balls:
    """Real items and the balls around them, which serve any number of comparisons.

    real    (N, d)
    k       other real items that a ball reaches
    radius  (N,) distance to the k-th nearest other real item
    short   (N,) the same, but no longer than its median over all items
    ideal   (N,) what real items score themselves: min(1, balls of other real items that hold it / k), with short radii
    reaches (N,) balls that an item helps to bound, being one of the k nearest to their centre
    tied    (t,) items that have more than one other real item at exactly the radius
    ranks   (t, 2) of those: how many are on the edge, and which of them, counted from 1, the k-th nearest is
    """

    real: Tensor
    k: int
    radius: Tensor
    short: Tensor
    ideal: Tensor
    reaches: Tensor
    tied: Tensor
    ranks: Tensor


def balls_of(real: Tensor, k: int = 5) -> Balls:
    """The balls around real items (N, d), N >= k + 2: one search for neighbours and one count."""
    reach, whom = nearest(real, real, k + 1, skip_self=True)  # (N, k + 1) each
    radius = reach[:, k - 1]
    short = radius.clamp(max=float(radius.double().quantile(0.5)))
    ideal = (balls(real, real, short)[0] - 1).double().div(k).clamp(max=1)  # less the ball around the item itself
    tied = (reach[:, k] == radius).nonzero()[:, 0]
    inside = (_strictly(real, real[tied], radius[tied]) - 1).clamp(min=0)  # less the item itself, if there is an inside
    held = balls(real, real[tied], radius[tied])[1] - 1
    reaches = whom[:, :k].flatten().bincount(minlength=len(real))
    return Balls(real, k, radius, short, ideal, reaches, tied, torch.stack([held - inside, k - inside], 1))


def clipped(made: Tensor, real: Tensor | Balls, k: int = 5) -> tuple[Estimate, Estimate]:
    """`clipped_density` and `clipped_coverage` of made items (M, d), with one search for the neighbours of real ones.

    real  (N, d), or the `Balls` around them, which bring their own k
    """
    known = _known(made, real, k)
    if isinstance(known, str):
        return Estimate(reason=known), Estimate(reason=known)
    return clipped_density(made, known), clipped_coverage(made, known)


def clipped_density(made: Tensor, real: Tensor | Balls, k: int = 5) -> Estimate:
    """The share of made items that look like real ones, from 0 to 1.

        D = min(1, mean_j min(1, n_j / k) / mean_i min(1, n_i / k))

    made  (M, d), M >= 1
    real  (N, d), N >= k + 2, or the `Balls` around them, which bring their own k
    n_j   balls that hold made item j; radii longer than the median are cut to it, so that the wide balls of outliers
          do not welcome everything
    n_i   balls of the other real items that hold real item i: what a perfect sample would get

    The interval is that of a ratio of two means (delta method). Without a value, the reason says why. Source: Salvy,
    Talbot & Thirion 2025, clipped density.
    """
    known = _known(made, real, k)
    if isinstance(known, str):
        return Estimate(reason=known)
    got = balls(made, known.real, known.short)[0].double().div(known.k).clamp(max=1)
    ideal = float(known.ideal.mean())
    ratio = float(got.mean()) / ideal
    variance = _of_mean(got) + ratio**2 * _of_mean(known.ideal)
    return around(ratio, Z * math.sqrt(variance) / ideal, 0.0, 1.0)


def clipped_coverage(made: Tensor, real: Tensor | Balls, k: int = 5) -> Estimate:
    """The share of the law of the data that made items cover, from 0 to 1.

        C = f^-1(mean_i min(k, m_i) / k),    f(s) = E min(k, J_s) / k,    at most 1

    made  (M, d), M >= 1
    real  (N, d), N >= k + 2, or the `Balls` around them, which bring their own k
    m_i   made items nearer to real item i than its k-th nearest other real item
    J_s   the same for s M items drawn from the law of the data. Whatever that law, the mass of a ball follows
          Beta(k, N - k), so that J_s is beta-binomial: how many of s M made items precede the k-th of N - 1 real ones
          in random order (`before`)

    With M of 2 N or more, nearly every ball is full and f is flat: then the made items are dealt into parts of N to
    2 N, over which min(k, m_i) is averaged. Items at exactly equal distances count as if lots were drawn for their
    order, so that repeated items do no harm. The interval adds the variances over made items (delete-one jackknife) and
    over real ones (the same, with what a ball would gain by a longer radius put at its expectation); it is rather too
    wide than too narrow. Source: Salvy, Talbot & Thirion 2025, clipped coverage; parts, lots and interval are ours.
    """
    known = _known(made, real, k)
    if isinstance(known, str):
        return Estimate(reason=known)
    parts = max(1, len(made) // len(known.real))
    size = len(made) / parts
    found = [_filled(made[part::parts], known) for part in range(parts)]
    filled = torch.stack([one for one, _ in found]).mean(0) / known.k  # (N,)
    curve, longer = (_expected(math.ceil(size), known, known.k + more) for more in (0, 1))
    share, slope = _inverse(curve, float(filled.mean()), size)
    at = round(min(max(share, 0), 1) * size)
    gain = float(longer[at] - curve[at])  # of each ball that loses one of its k nearest
    variance = _of_mean(filled - gain * known.reaches) + sum(one for _, one in found) / parts**2
    return around(share, Z * math.sqrt(variance) / slope, 0.0, 1.0)


def before(made: Tensor, real: Tensor, rank: Tensor, most: Tensor) -> Tensor:
    """E min(most, J), where J made items precede the rank-th real one when all are put in random order.

        P(J = j) = C(j + rank - 1, j) C(made - j + real - rank, made - j) / C(made + real, made)

    All four are counts of shapes that go together, 1 <= rank <= real. J is negative hypergeometric, which is the
    beta-binomial law of `made` trials with success ~ Beta(rank, real - rank + 1).
    """
    made, real, rank, most = (one[..., None] for one in torch.broadcast_tensors(made, real, rank, most))
    j = torch.arange(max(1, int(most.max())) if most.numel() else 1)
    rest = (made - j).clamp(min=0)
    log = _choose(j + rank - 1, j) + _choose(rest + real - rank, rest) - _choose(made + real, made)
    short = torch.where(j <= made, (most - j).clamp(min=0) * log.exp(), 0.0)  # what is missing from `most` after j
    return most[..., 0] - short.sum(-1)


def _choose(n: Tensor, k: Tensor) -> Tensor:
    """Logarithm of the binomial coefficient, double."""
    n, k = n.double(), k.double()
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)


def _known(made: Tensor, real: Tensor | Balls, k: int) -> Balls | str:
    """The balls, or why there can be none."""
    known = real if isinstance(real, Balls) else None
    if reason := unusable(made, known.real if known else real, 1, (known.k if known else k) + 2):  # type: ignore[arg-type]
        return reason
    return known or balls_of(real, k)  # type: ignore[arg-type]


def _expected(made: int, known: Balls, rank: int) -> Tensor:
    """E min(k, J) / k for 0 to `made` items from the law of the data, where balls reach the rank-th real item."""
    others, reached, most = (torch.tensor(one) for one in (len(known.real) - 1, rank, known.k))
    return before(torch.arange(made + 1), others, reached, most) / known.k


def _filled(made: Tensor, known: Balls) -> tuple[Tensor, float]:
    """min(k, m_i), (N,), and the variance of its mean / k over draws of the made items (Efron & Stein 1981)."""
    k, tied = known.k, known.tied
    held = balls(made, known.real, known.radius)[1]  # (N,)
    filled = held.clamp(max=k).double()
    if len(tied):
        inside = _strictly(made, known.real[tied], known.radius[tied])
        edge, rank = known.ranks.T
        filled[tied] = inside.clamp(max=k) + before(held[tied] - inside, edge, rank, (k - inside).clamp(min=0))
    room = held <= k  # balls that would miss an item
    missed = balls(made, known.real[room], known.radius[room])[0].double() / (k * len(held))
    return filled, float(missed.var(correction=0)) * (len(made) - 1)


def _strictly(items: Tensor, centres: Tensor, radius: Tensor) -> Tensor:
    """How many items each open ball holds: distance < radius."""
    held = balls(items, centres, torch.nextafter(radius, torch.zeros(())))[1]
    return torch.where(radius > 0, held, 0)


def _of_mean(values: Tensor) -> float:
    """Variance of a mean of independent values (n,); 0 for a single one."""
    return float(values.var(correction=0)) / max(len(values) - 1, 1)


def _inverse(curve: Tensor, value: float, size: float) -> tuple[float, float]:
    """Share s with curve(s size) = value, and the slope there; straight lines join the steps of a rising curve."""
    i = int(torch.searchsorted(curve, value).clamp(1, len(curve) - 1))
    slope = float(curve[i] - curve[i - 1])
    return (i - 1 + (value - float(curve[i - 1])) / slope) / size, slope * size
