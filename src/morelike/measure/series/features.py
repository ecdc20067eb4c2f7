"""Numbers by which windows can be told apart: values, changes, their moments and memory, ties of columns."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from morelike.measure.series.statistics import bridged, changes
from morelike.measure.series.windows import lengths
from morelike.measure.table.sheet import Column

PLACES, COLUMNS = 8, 6  # steps of which the values are features, and columns whose ties are
LAGS = (1, 2, 4)
MOST = 200  # features; of more, values and changes are taken at fewer places


def features(x: Tensor) -> Tensor:
    """Windows (N, T, C) as features (N, F), double: F depends on T and C alone; NaN where one is undefined.

    Of each column: values and changes at some steps, and of both least, most, mean, spread, skewness, kurtosis and
    autocorrelations; what share of the changes is 0. Of each pair of columns: how they differ, and the correlation of
    their values and of their changes, also a step later. Of the window: length and missing values.
    """
    size, width = x.shape[1:]
    whole = bridged(x)
    gaps = x.isnan()
    step = changes(whole)
    parts = [*_moments(whole), *_moments(step), (step == 0).double().mean(1), whole[:, -1] - whole[:, 0]]
    places = max(2, min(PLACES, (MOST // width - 20) // 2))
    for one in (whole, step):
        at = torch.linspace(0, max(one.shape[1] - 1, 0), min(places, one.shape[1])).round().long()
        parts.append(one[:, at].flatten(1))
    parts += [gaps.double().mean(1), lengths(x).double()[:, None] / max(size, 1)]
    parts += _pairs(whole[:, :, :COLUMNS], step[:, :, :COLUMNS]) if width > 1 else []
    return torch.cat(parts, 1)


def columns(found: Tensor) -> list[Column]:
    """Features as columns of a table of numbers."""
    return [Column(str(at), "number", at, True) for at in range(found.shape[1])]


def _moments(x: Tensor) -> list[Tensor]:
    """(N, C) each."""
    if not x.shape[1]:
        return []
    mean = x.mean(1)
    z = x - mean[:, None]
    power = z.square().mean(1)
    scale = power.sqrt().clamp_min(1e-300)
    found = [x.amin(1), x.amax(1), mean, power.sqrt(), (z / scale[:, None]).pow(3).mean(1),
             (z / scale[:, None]).pow(4).mean(1)]  # fmt: skip
    found += [(z[:, k:] * z[:, :-k]).mean(1) / power.clamp_min(1e-300) for k in LAGS if k < x.shape[1]]
    return found


def _pairs(x: Tensor, step: Tensor) -> list[Tensor]:
    """Differences and correlations of pairs of columns, of all steps of a window: (N, P) each."""
    i, j = (torch.tensor(one) for one in np.array(list(combinations(range(x.shape[2]), 2))).T)
    gap = x[:, :, i] - x[:, :, j]
    found = [gap.amin(1), gap.amax(1), gap.mean(1), gap.std(1, correction=0)]
    for one in (x, step):
        if one.shape[1] < 3:
            continue
        z = one - one.mean(1, keepdim=True)
        z = z / z.square().mean(1, keepdim=True).sqrt().clamp_min(1e-300)
        found.append((z[:, :, i] * z[:, :, j]).mean(1))
    z = step - step.mean(1, keepdim=True)
    z = z / z.square().mean(1, keepdim=True).sqrt().clamp_min(1e-300)
    if step.shape[1] > 2:
        found += [(z[:, 1:, i] * z[:, :-1, j]).mean(1), (z[:, :-1, i] * z[:, 1:, j]).mean(1)]
    return found
