"""Rows as points in a space with distances, and whether made rows lie where real ones do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from morelike.measure.nearest import nearest
from morelike.measure.table.sheet import Column

STEPS = 30  # of alpha and beta
WIDE = 30  # values of a category that have a place of their own, the most frequent ones; all others share one


def spread(real: Tensor, columns: Sequence[Column]) -> Callable[[Tensor], Tensor]:
    """A function from coded rows (N, C) to points, float32 (N, d), in which every column has the same say.

    A number is its rank among the real ones, from 0 to 1, which no long tail can stretch; two values of a category are
    1 apart, and so are a missing value and any other.
    """
    known = [_sorted(real[:, at]) for at in range(len(columns))]

    def points(x: Tensor) -> Tensor:
        parts = [_ranked(x[:, at], known[at]) if one.numeric else _one_hot(x[:, at], one) / 2**0.5
                 for at, one in enumerate(columns)]  # fmt: skip
        return torch.cat(parts, 1).float() if parts else torch.zeros(len(x), 0)

    return points


def scaled(real: Tensor, columns: Sequence[Column]) -> Callable[[Tensor], Tensor]:
    """A function from coded rows to points as TabSyn takes them: numbers from 0 to 1 by the real ones', and one-hots.

    A missing number stands in the middle of the real ones, with a column of its own that says so.
    """
    known = [_sorted(real[:, at]) for at in range(len(columns))]

    def points(x: Tensor) -> Tensor:
        parts = [_ranged(x[:, at], known[at]) if one.numeric else _one_hot(x[:, at], one, len(one.values))
                 for at, one in enumerate(columns)]  # fmt: skip
        return torch.cat(parts, 1).float() if parts else torch.zeros(len(x), 0)

    return points


def precision_recall(made: Tensor, real: Tensor) -> tuple[float, float]:
    """alpha-precision and beta-recall of made points (N, d) against real ones (N, d), N >= 2; of both, more is better.

        alpha-precision = 1 - sum_a |a - P(a)| / sum_a a,  P(a): made points within the a-quantile of real ones'
                                                           distances from their mean
        beta-recall     = 1 - sum_b |b - C(b)| / sum_b b,  C(b): real points that have a made one as near as their
                                                           nearest real one, of which this made one is within the
                                                           b-quantile of such ones' distances from the made mean

    over 30 values of a and b from 0 to 1. About 1 and about 1/2 for real against real: of two strangers from one law
    each is the nearer one half of the time. Source: Alaa et al. 2022, in the version without a learned embedding of
    synthcity that TabSyn reports ("naive").
    """
    at = np.linspace(0, 1, STEPS)
    middle, centre = real.double().mean(0), made.double().mean(0)
    inside = _from(real, middle)
    precise = np.searchsorted(np.sort(_from(made, middle)), np.quantile(inside, at), side="right") / len(made)
    own = nearest(real, real, 1, skip_self=True)[0][:, 0].numpy()
    distance, index = nearest(real, made)
    out = _from(made, centre)[index[:, 0].numpy()]
    near = np.sort(out[distance[:, 0].numpy() <= own])
    covered = np.searchsorted(near, np.quantile(out, at), side="right") / len(real)
    alpha, beta = (1 - float(np.abs(at - curve).sum() / at.sum()) for curve in (precise, covered))
    return alpha, beta


def _from(x: Tensor, centre: Tensor) -> np.ndarray:
    return (x.double() - centre).square().sum(1).sqrt().numpy()


def _sorted(values: Tensor) -> Tensor:
    return values[~torch.isnan(values)].sort().values


def _ranked(values: Tensor, known: Tensor) -> Tensor:
    """Middle ranks among known values as shares, and whether a value is missing: (N, 2)."""
    gone, values = torch.isnan(values), values.nan_to_num().contiguous()
    ranks = torch.searchsorted(known, values) + torch.searchsorted(known, values, right=True)
    return torch.stack([torch.where(gone, 0.5, ranks / (2 * max(len(known), 1))), gone.double()], 1)


def _ranged(values: Tensor, known: Tensor) -> Tensor:
    """(x - least) / (most - least) of known values, and whether a value is missing: (N, 2), or (N, 1) if none is."""
    low, high = (float(known[0]), float(known[-1])) if len(known) else (0.0, 0.0)
    gone = torch.isnan(values)
    middle = float(known.mean()) if len(known) else 0.0
    found = (torch.where(gone, middle, values) - low) / (high - low if high > low else 1.0)
    return torch.stack([found, gone.double()], 1)


def _one_hot(values: Tensor, column: Column, most: int = WIDE) -> Tensor:
    """(N, K + 1), the last for a missing value; rare categories share a place."""
    size = min(len(column.values), most) + 1
    code = torch.where(torch.isnan(values), size - 1, values.clamp(max=max(size - 2, 0))).long()
    return torch.nn.functional.one_hot(code, size).double()
