"""Whether a set of samples lies nearer to the items that a model was trained on than to others of the same source.

Three measures on features, none of which needs to call any single sample a copy. For each of them, samples that do not
depend on the training set, however bad, treat training and held-out items alike.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from morelike.measure import interval
from morelike.measure.figure import Estimate
from morelike.measure.interval import unusable
from morelike.measure.nearest import nearest

FEW = 50
CENTRES, ITEMS = 4_000, 5_000  # most samples and most items of a kind in the likelihood
_CLOSE, _STEPS, _DRAWS = 16, 20, 400
_NEXT = 4  # neighbours kept, so that the nearest outside any group of the jackknife is among them


def distance_ratio(made: Tensor, train: Tensor, held: Tensor, *, seed: int = 0) -> Estimate:
    """How far samples are from training items over how far from as many held-out ones; 1 is as far from both.

        (1 + c) / (1 - c),   c = mean over samples of (t - h) / (t + h)

    made, train, held  features (N, d), (M, d), (H, d)
    t, h               distance to the nearest of min(M, H) training items, and of as many held-out ones

    The larger of both sets is thinned at random, since more items lie nearer. The mean of contrasts, other than the
    median of ratios, still notices copies of items of which most were thinned out: where the training set is r times
    as large, a copy machine gets (r - 1) / (r + 1). The interval is a jackknife over groups of all three sets.
    """
    if reason := _unusable(made, train, held):
        return Estimate(reason=reason)
    generator, size = torch.Generator().manual_seed(seed), min(len(train), len(held))
    part = interval.groups(size, seed)
    near = []
    for one in (train, held):
        rows = torch.randperm(len(one), generator=generator)[:size]
        distance, index = nearest(made, one[rows], _NEXT)
        near.append((distance.double(), part[index]))
    own = interval.groups(len(made), seed + 1)

    def ratio(without: int) -> Tensor:
        t, h = (_first(distance, group != without) for distance, group in near)
        apart = torch.where(t + h > 0, (t - h) / (t + h), 0.0)[own != without].mean()
        return (1 + apart) / (1 - apart).clamp_min(1e-6)

    left_out = torch.stack([ratio(one) for one in range(interval.GROUPS)])
    return interval.around(float(ratio(-1)), interval.T * interval.jackknife(left_out) ** 0.5, 0)


def copying_test(made: Tensor, fresh: Tensor) -> Estimate:
    """How often a sample is farther from the training set than a held-out item is; 0.5 for new samples, 0 for copies.

        A = number of pairs with made > fresh, ties counting half, over N H

    made, fresh  (N,) and (H,) distances of samples and of held-out items to the nearest training item

    The statistic of Mann & Whitney, as Meehan, Chaudhuri & Dasgupta 2020 use it against copying, without their cells
    and as a share, which does not grow with the number of samples. Samples off the data's manifold are far from
    everything, so a large share does not exclude copies. The interval is that of DeLong et al. 1988.
    """
    n, h = len(made), len(fresh)
    if min(n, h) < FEW:
        return Estimate(reason=f"there are {min(n, h)} items to compare, and {FEW} are needed")
    above, below = _below(made, fresh), 1 - _below(fresh, made)  # of each: share of the other set that it is beyond
    error = math.sqrt(float(above.var()) / n + float(below.var()) / h)
    return interval.around(float(above.mean()), interval.Z * error, 0, 1)


def likelihood_gap(made: Tensor, train: Tensor, held: Tensor, *, seed: int = 0) -> Estimate:
    """How much likelier samples make training items than held-out ones, in nats per feature; 0 when they generalise.

        gap = mean over held-out x of -log p(x) / d  -  the same over training items,
        p(x) = 1/N sum_i N(x; m_i, s_i^2 I)

    made, train, held  features (N, d), (M, d), (H, d)

    The mixture of Jiralerspong et al. 2023 (feature likelihood divergence): a Gaussian around each sample m_i, whose
    width is fitted to training items. Each half of these fits the widths with which the other half, and the held-out
    items, are judged, so that fitting alone makes no gap. The interval is a bootstrap over items.
    """
    if reason := _unusable(made, train, held):
        return Estimate(reason=reason)
    generator = torch.Generator().manual_seed(seed)
    centres, known, fresh = (
        one[torch.randperm(len(one), generator=generator)[:most]]
        for one, most in ((made, CENTRES), (train, ITEMS), (held, ITEMS))
    )
    mixture = _Mixture(centres)
    first, second, others = (mixture.near(one) for one in (*known.tensor_split(2), fresh))
    if not float(first[0].mean() + second[0].mean()) > 0:
        return Estimate(reason="all samples and training items are alike")
    widths = mixture.fit(*first), mixture.fit(*second)
    inside = torch.cat([mixture.nats(*second, widths[0]), mixture.nats(*first, widths[1])])
    outside = (mixture.nats(*others, widths[0]) + mixture.nats(*others, widths[1])) / 2
    draws = torch.sort(_means(outside, generator) - _means(inside, generator)).values
    low, high = float(draws[int(0.025 * _DRAWS)]), float(draws[-1 - int(0.025 * _DRAWS)])
    return Estimate(float(outside.mean() - inside.mean()), low, high)


class _Mixture:
    """p(x) = 1/N sum_i N(x; m_i, s_i^2 I), summed over the 16 components with the nearest centres.

    The others are left out of the fit and of the likelihood alike (truncated expectation maximisation; Lucke & Eggert
    2010), which in tens of dimensions changes nothing that can be seen.
    """

    def __init__(self, centres: Tensor) -> None:
        self.centres, self.dims = centres, centres.shape[1]

    def near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances, in double precision, and numbers of the nearest components: (n, k) each."""
        distance, index = nearest(x, self.centres, min(_CLOSE, len(self.centres)))
        return distance.double().square(), index

    def fit(self, squares: Tensor, index: Tensor) -> Tensor:
        """Variances of all components by expectation maximisation: (N,).

            r_ki = p(i | x_k),   s_i^2 = (sum_k r_ki ||x_k - m_i||^2 / d + s^2) / (sum_k r_ki + 1)

        s^2 is the variance that all components would have in common. It counts as one more item, because hardly any
        component has more than one of its own.
        """
        count, flat = len(self.centres), index.flatten()
        least = 1e-6 * float(squares.mean()) / self.dims  # a component on top of an item would become infinitely narrow
        variance = torch.full((count,), float(squares[:, 0].mean()) / self.dims, dtype=torch.float64).clamp_min(least)
        for _ in range(_STEPS):
            r = self._terms(squares, variance[index]).softmax(1)
            common = float((r * squares).sum()) / (self.dims * len(squares))
            mass = torch.zeros(count, dtype=torch.float64).index_add_(0, flat, r.flatten())
            spread = torch.zeros(count, dtype=torch.float64).index_add_(0, flat, (r * squares).flatten())
            variance = ((spread / self.dims + common) / (mass + 1)).clamp_min(least)
        return variance

    def nats(self, squares: Tensor, index: Tensor, variance: Tensor) -> Tensor:
        """-log p(x) / d of items with these nearest components: (n,)."""
        terms = self._terms(squares, variance[index]).logsumexp(1) - math.log(len(self.centres))
        return -terms / self.dims

    def _terms(self, squares: Tensor, variance: Tensor) -> Tensor:
        return -0.5 * (self.dims * torch.log(2 * math.pi * variance) + squares / variance)


def _below(x: Tensor, others: Tensor) -> Tensor:
    """The share of others below each x, ties counting half: (n,)."""
    others = others.sort().values
    below, upto = (torch.searchsorted(others, x.contiguous(), right=right).double() for right in (False, True))
    return (below + upto) / (2 * len(others))


def _unusable(made: Tensor, train: Tensor, held: Tensor) -> str:
    """Why samples cannot be compared with these real items, or ""."""
    for kind, one in (("training", train), ("held-out", held)):
        if len(one) < FEW:
            return f"there are {len(one)} {kind} items; at least {FEW} are needed"
    return unusable(made, train, FEW) or unusable(made, held, FEW)


def _first(distance: Tensor, allowed: Tensor) -> Tensor:
    """The smallest allowed of ascending distances (n, k), or the last where none is: (n,)."""
    place = torch.where(allowed.any(1), allowed.long().argmax(1), distance.shape[1] - 1)
    return distance.gather(1, place[:, None])[:, 0]


def _means(values: Tensor, generator: torch.Generator) -> Tensor:
    """Means of values drawn with replacement, (draws,)."""
    rows = torch.randint(len(values), (_DRAWS, len(values)), generator=generator)
    return values[rows].mean(1)
