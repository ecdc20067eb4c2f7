"""Where values are missing: how many in each column, and in which columns together."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def missing_shares(made: Tensor, real: Tensor) -> float:
    """mean over columns of |share missing in made - share missing in real|; NaN where nothing is missing in either.

    made, real  coded rows (N, C) and (M, C); columns with a missing value on either side count
    """
    a, b = _gaps(made, real)
    return float((a.mean(0) - b.mean(0)).abs().mean()) if a.shape[1] else math.nan


def missing_ties(made: Tensor, real: Tensor) -> float:
    """mean over pairs of columns of |r_made - r_real| / 2; NaN where fewer than two columns have missing values.

    r is Pearson's between being missing in one and in the other, 0 where a column is always or never missing.
    """
    a, b = _gaps(made, real)
    if a.shape[1] < 2:
        return math.nan
    i, j = torch.triu_indices(a.shape[1], a.shape[1], offset=1)
    return float((_correlation(a) - _correlation(b))[i, j].abs().mean()) / 2


def _gaps(made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """1 where a value is missing, else 0: (N, G) and (M, G) for the columns in which any is."""
    a, b = torch.isnan(made), torch.isnan(real)
    which = a.any(0) | b.any(0)
    return a[:, which].double(), b[:, which].double()


def _correlation(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    scale = centred.square().sum(0).sqrt()
    unit = centred / torch.where(scale > 0, scale, 1.0)
    return unit.T @ unit
