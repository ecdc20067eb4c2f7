"""Exact Euclidean nearest neighbours and ball counts, in blocks, so that no table of distances grows large."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from morelike.core.errors import DataError

BLOCK = 2**20  # distances at a time, 4 MiB of float32: larger blocks leave the processor's cache and are slower
_SPARE = 4  # candidates beyond k whose distances are computed exactly: float32 may order near ties wrongly
_FOLD = 16  # columns that share one running minimum


def nearest(a: Tensor, b: Tensor, k: int = 1, *, skip_self: bool = False) -> tuple[Tensor, Tensor]:
    """The k rows of b nearest to each row of a: distances (N, k) float32 ascending, and indices (N, k) int64.

    a, b       (N, *shape) and (M, *shape), finite; rows are flattened
    k          from 1 to M, or to M - 1 with `skip_self`
    skip_self  a and b are the same set: no row is its own neighbour

    Candidates come from ||a - b||^2 = ||a||^2 - 2 a.b + ||b||^2 in float32 after both are centred on the mean of b;
    their distances are then computed again as sqrt(sum (a - b)^2) in double precision, so that equal rows are at
    exactly 0. Raises `DataError` when b has too few rows or another width.
    """
    a, b = _rows(a, b)
    most = len(b) - skip_self
    if not 1 <= k <= most:
        raise DataError(f"There are {most} items to search", f"At least {max(k, 1)}, the neighbours asked for",
                        "Use more items, or ask for fewer neighbours")  # fmt: skip
    if not len(a):
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.long)
    found = []
    for start, squared in _tables(a, b):  # squared (n, M): ||a - b||^2 up to a constant of the row
        if skip_self:
            squared[torch.arange(len(squared)), torch.arange(start, start + len(squared))] = torch.inf
        candidates = _smallest(squared, min(k + _SPARE, most))
        found.append(_ordered(a[start : start + len(squared)], b, candidates, k))
    return torch.cat([one for one, _ in found]), torch.cat([one for _, one in found])


def balls(a: Tensor, b: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """How many balls around b hold each a, and how many a each ball holds: int64 (N,) and (M,).

    a, b    (N, *shape) and (M, *shape), finite
    radius  (M,) of the closed ball around each b: ||a - b|| <= radius

    Pairs too close to a radius for float32 are decided in double precision and rounded as `nearest` rounds, so that an
    item at exactly the distance that `nearest` gave lies inside.
    """
    a, b = _rows(a, b)
    per_a, per_b = torch.zeros(len(a), dtype=torch.long), torch.zeros(len(b), dtype=torch.long)
    if not len(a) or not len(b):
        return per_a, per_b
    radius = radius.to(torch.float32)
    centre = b.mean(0, dtype=torch.float64).to(b.dtype)
    sizes, others = (a - centre).float().square().sum(1), (b - centre).float().square().sum(1)
    unsure = 4e-6 * (sizes.max() + others)  # (M,), well above the rounding error of the table
    for start, excess in _tables(a, b, radius.square()):
        rows = slice(start, start + len(excess))
        inside = excess.add_(sizes[rows, None]) <= 0  # (n, M)
        i, j = (excess.abs_() < unsure).nonzero(as_tuple=True)
        inside[i, j] = _distances(a[rows], b, i, j).float() <= radius[j]
        per_a[rows] = inside.sum(1)
        per_b += torch.from_numpy(inside.numpy().sum(0))  # numpy counts columns six times faster
    return per_a, per_b


def within(a: Tensor, b: Tensor, radius: Tensor) -> Tensor:
    """How many balls around b, of `radius` (M,), hold each a: int64 (N,)."""
    return balls(a, b, radius)[0]


def _rows(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = (one.detach().cpu().reshape(len(one), -1 if one.numel() else 0) for one in (a, b))
    a, b = (one if one.dtype == torch.float32 else one.to(torch.float64) for one in (a, b))
    if len(a) and len(b) and a.shape[1] != b.shape[1]:
        raise DataError(f"Items of {a.shape[1]} and of {b.shape[1]} numbers", "Items of one size", "Compare like sets")
    return a, b


def _tables(a: Tensor, b: Tensor, less: Tensor | float = 0.0) -> Iterator[tuple[int, Tensor]]:
    """First row, and ||b||^2 - 2 a.b - less of centred rows, float32 (n, M), block by block."""
    centre = b.mean(0, dtype=torch.float64).to(b.dtype)
    b = (b - centre).float()
    sizes, rows = b.square().sum(1) - less, max(1, BLOCK // len(b))
    for start in range(0, len(a), rows):
        yield start, torch.addmm(sizes, (a[start : start + rows] - centre).float(), b.T, alpha=-2)


def _smallest(table: Tensor, k: int) -> Tensor:
    """Columns of the k smallest of each row, (n, k), in no order.

    The k smallest lie in the k groups with the smallest minima, and a minimum over groups is cheaper than a partial
    sort of everything.
    """
    n, m = table.shape
    groups = m // _FOLD
    if groups <= 2 * k:
        return table.topk(k, dim=1, largest=False, sorted=False).indices
    whole = groups * _FOLD
    minima = table[:, :whole].view(n, _FOLD, groups).amin(1)  # (n, groups): group g holds the columns g + i * groups
    best = minima.topk(k, dim=1, largest=False, sorted=False).indices
    columns = (best[:, :, None] + groups * torch.arange(_FOLD)).flatten(1)  # (n, k * FOLD)
    columns = torch.cat([columns, torch.arange(whole, m).expand(n, -1)], 1)
    return columns.gather(1, table.gather(1, columns).topk(k, dim=1, largest=False, sorted=False).indices)


def _ordered(a: Tensor, b: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of the candidates (n, c) by exact distance."""
    candidates = candidates.sort(1).values
    n, c = candidates.shape
    exact = _distances(a, b, torch.arange(n).repeat_interleave(c), candidates.flatten()).view(n, c)
    distances, order = exact.sort(dim=1, stable=True)
    return distances[:, :k].float(), candidates.gather(1, order[:, :k])


def _distances(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """||a_i - b_j|| in double precision, (pairs,)."""
    size = max(1, BLOCK // max(a.shape[1], 1))
    pairs = zip(i.split(size), j.split(size), strict=True)
    return torch.cat([(a[p].double() - b[q].double()).square().sum(1).sqrt() for p, q in pairs])
