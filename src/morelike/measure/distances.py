"""Distances between the laws of two sets of features: Fréchet, kernel and sliced Wasserstein, in double precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.measure.figure import Estimate
from morelike.measure.interval import GROUPS, T, Z, around, doubles, groups, jackknife, unusable

BLOCK = 2**20  # kernel values at a time, 8 MiB
MOST = 25_000  # items of each set that the kernel distance looks at: its cost grows with the square
WIDE = 512  # features above which 40 more Fréchet distances for an interval take minutes


# --- Fréchet ---------------------------------------------------------------------------------------------------------


class _Sums(NamedTuple):
    """Count, sum (d,) and sum of outer products (d, d) of some rows."""

    size: int
    total: Tensor
    outer: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _Sums:
        return cls(len(rows), rows.sum(0), rows.T @ rows)

    def less(self, other: _Sums) -> _Sums:
        return _Sums(self.size - other.size, self.total - other.total, self.outer - other.outer)


class _Normal(NamedTuple):
    """Mean (d,) and a root (d, d) of the covariance: root.T @ root."""

    mean: Tensor
    root: Tensor

    @classmethod
    def of(cls, sums: _Sums) -> _Normal:
        mean = sums.total / sums.size
        values, vectors = torch.linalg.eigh((sums.outer - sums.size * mean.outer(mean)) / (sums.size - 1))
        return cls(mean, values.clamp(min=0).sqrt()[:, None] * vectors.T)

    def distance(self, other: _Normal) -> float:
        apart = (self.mean - other.mean).square().sum() + self.root.square().sum() + other.root.square().sum()
        return max(0.0, float(apart - 2 * torch.linalg.svdvals(self.root @ other.root.T).sum()))


def frechet(a: Tensor, b: Tensor) -> float:
    """The squared Fréchet distance between normal laws with the means and covariances of two sets.

        |m_a - m_b|^2 + tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2

    a, b  (N, d) and (M, d), at least two rows each. Covariances are divided by N - 1, as usual, and not shrunk.

    The last trace is the sum of the singular values of A^1/2 B^1/2, so there is no root of a negative rounding error:
    the value is finite and at least 0 for N < d as well, and two equal sets are at 0. Raises `DataError` for sets that
    cannot be compared. Source: Dowson & Landau 1982, eq. 4; Heusel et al. 2017, eq. 6.

    It grows as N and M fall, even between two halves of the same set; compare only values of equal N and M.
    """
    a, b = _centred(*doubles(a, b))
    return _Normal.of(_Sums.of(a)).distance(_Normal.of(_Sums.of(b)))


def frechet_interval(a: Tensor, b: Tensor, *, seed: int = 0) -> Estimate:
    """`frechet` with a 95 % interval from a jackknife that leaves out one of 20 random groups of a set at a time.

    a, b  (N, d) and (M, d); without an interval for fewer than 40 rows, or more than `WIDE` features, and without a
          value, but with a reason, for sets that cannot be compared

    The covariances without a group are those of all less that group's, so that it costs 40 small decompositions. The
    interval tells how far the value would move with other items of the same number, not where its limit for infinitely
    many is: with few items the value is too high, and the interval is so with it.
    """
    if reason := unusable(a, b):
        return Estimate(reason=reason)
    sets = _centred(*doubles(a, b))
    sums = [_Sums.of(one) for one in sets]
    laws = [_Normal.of(one) for one in sums]
    value = laws[0].distance(laws[1])
    if min(len(a), len(b)) < 2 * GROUPS or sets[0].shape[1] > WIDE:
        return Estimate(value)
    variance = 0.0
    for rows, whole, other in zip(sets, sums, laws[::-1], strict=True):
        left_out = [_Normal.of(whole.less(part)).distance(other) for part in _parts(rows, seed)]
        variance += jackknife(torch.tensor(left_out))
    return around(value, T * math.sqrt(variance), 0.0)


def _parts(rows: Tensor, seed: int) -> Iterator[_Sums]:
    chosen = groups(len(rows), seed)
    return (_Sums.of(rows[chosen == group]) for group in range(GROUPS))


def _centred(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets less the mean of b, so that sums of squares lose nothing to a common offset."""
    centre = b.mean(0)
    return a - centre, b - centre


# --- kernel ----------------------------------------------------------------------------------------------------------


class _Kernel(NamedTuple):
    """Sums over a table of kernel values: of each row (N,), of each column (M,), of all squares."""

    rows: Tensor
    columns: Tensor
    squares: float


def kernel_distance(a: Tensor, b: Tensor, *, seed: int = 0) -> Estimate:
    """The unbiased squared maximum mean discrepancy with the kernel k(x, y) = (x.y/d + 1)^3, on all rows.

        mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean_{ij} k(a_i, b_j)

    a, b  (N, d) and (M, d), at least two rows each and four for the interval; of sets larger than `MOST`, a random
          part of that size

    Its mean over draws is exactly 0 for equal laws, whatever N and M, so half of such values are negative. The interval
    is value +- 1.96 s, s^2 the unbiased estimate of its variance, in which the part that is 0 for equal laws is not
    let below 0 (see `_variance`). Without a value, the reason says why. Source: Gretton et al. 2012, eq. 3; Binkowski
    et al. 2018, section 4 (the kernel).
    """
    if reason := unusable(a, b):
        return Estimate(reason=reason)
    a, b = (_thinned(one, seed) for one in doubles(a, b))
    own_a, own_b, cross = _own(a), _own(b), _across(a, b)
    n, m = len(a), len(b)
    within = own_a.rows.sum() / (n * (n - 1)) + own_b.rows.sum() / (m * (m - 1))
    value = float(within - 2 * cross.rows.sum() / (n * m))
    if min(n, m) < 4:
        return Estimate(value)
    first, second = _variance(own_a, own_b, cross)
    return around(value, Z * math.sqrt(max(0.0, first) + max(0.0, second)))


def _variance(a: _Kernel, b: _Kernel, cross: _Kernel) -> tuple[float, float]:
    """Unbiased estimates of the two parts of the variance of the kernel distance.

    With the witness g(x) = E k(x, a) - E k(x, b), and with k~ the kernel less its means over either argument
    (Hoeffding 1948: what no function of one item explains), the variance is exactly

        4 Var g(a) / n + 4 Var g(b) / m  +  2 E k~(a, a')^2 / (n (n - 1)) + 2 E k~(b, b')^2 / (m (m - 1))
                                         +  4 E k~(a, b)^2 / (n m).

    The first two terms are 0 for equal laws. E k~^2 within a set is the mean square of its U-centred table (Szekely &
    Rizzo 2014, section 3), across sets that of the table less its row and column means; Var g(a) is the variance of
    the rows' means less what the noise of these means adds to it.
    """
    n, m = len(a.rows), len(b.rows)
    inner = (_interaction(a), _interaction(b))
    table = cross.squares - cross.rows.square().sum() / m - cross.columns.square().sum() / n
    outer = float(table + cross.rows.sum() ** 2 / (n * m)) / ((n - 1) * (m - 1))
    first = 0.0
    for own, there, within, other in ((a, cross.rows, inner[0], m), (b, cross.columns, inner[1], n)):
        size = len(own.rows)
        witness = own.rows / (size - 2) - there / other
        first += 4 * (float(witness.var()) - within / (size - 2) - outer / other) / size
    return first, 2 * inner[0] / (n * (n - 1)) + 2 * inner[1] / (m * (m - 1)) + 4 * outer / (n * m)


def _interaction(own: _Kernel) -> float:
    """E k~^2 within a set, without bias, from the sums over i != j."""
    n, total = len(own.rows), own.rows.sum()
    squares = own.squares - 2 * own.rows.square().sum() / (n - 2) + total**2 / ((n - 1) * (n - 2))
    return float(squares) / (n * (n - 3)) if n > 3 else 0.0


def _across(a: Tensor, b: Tensor) -> _Kernel:
    rows, columns, squares = a.new_empty(len(a)), a.new_zeros(len(b)), 0.0
    for some in torch.arange(len(a)).split(max(1, BLOCK // len(b))):
        block = _cubes(a[some], b)
        rows[some] = block.sum(1)
        columns += block.sum(0)
        squares += float(block.flatten().dot(block.flatten()))
    return _Kernel(rows, columns, squares)


def _own(x: Tensor) -> _Kernel:
    """The same of a set with itself, without the diagonal; each pair is computed once."""
    rows, squares = x.new_zeros(len(x)), 0.0
    for some in torch.arange(len(x)).split(max(1, BLOCK // len(x))):
        start, size = int(some[0]), len(some)
        block = _cubes(x[some], x[start:])
        square, rest = block[:, :size].fill_diagonal_(0.0), block[:, size:]
        rows[some] += block.sum(1)
        rows[start + size :] += rest.sum(0)
        squares += 2 * float(block.flatten().dot(block.flatten())) - float(square.square().sum())
    return _Kernel(rows, rows, squares)


def _cubes(x: Tensor, y: Tensor) -> Tensor:
    block = torch.addmm(x.new_ones(1), x / x.shape[1], y.T)
    return block.mul_(block.square())


def _thinned(rows: Tensor, seed: int) -> Tensor:
    if len(rows) <= MOST:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:MOST]]


# --- sliced Wasserstein ----------------------------------------------------------------------------------------------


def sliced_wasserstein(a: Tensor, b: Tensor, *, projections: int | Tensor = 128, seed: int = 0) -> float:
    """The sliced Wasserstein distance of order 2, with the root: in the units of the features.

        ( mean_u integral_0^1 (F_u^-1(t) - G_u^-1(t))^2 dt )^1/2

    a, b         (N, d) and (M, d), at least one row each
    projections  number of directions u, drawn evenly from the unit sphere by `seed`, or the directions as (d, L)

    F_u and G_u are the empirical laws of a.u and b.u. Both quantile functions are steps, so the integral is a finite
    sum and exact for N unlike M as well. Raises `DataError` for sets that cannot be compared. Source: Rabin et al.
    2011; Bonneel et al. 2015, eq. 11.
    """
    a, b = doubles(a, b, 1)
    if isinstance(projections, int):
        draw = torch.Generator().manual_seed(seed)
        projections = torch.randn(a.shape[1], projections, generator=draw, dtype=torch.float64)
        projections /= projections.norm(dim=0)
    width, left, right = _steps(len(a), len(b))
    total, directions = 0.0, projections.T.double()  # (L, d)
    for some in directions.split(max(1, BLOCK // len(width))):
        x, y = ((some @ one.T).sort(1).values for one in (a, b))  # (l, N), (l, M)
        gaps = x - y if len(a) == len(b) else x[:, left] - y[:, right]
        total += float((gaps.square() @ width).sum())
    return math.sqrt(total / len(directions))


def _steps(n: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
    """Widths of the intervals on which both of two step functions are constant, and the step of each there.

    The steps of one end at i/n, those of the other at j/m; in units of 1/(n m) these are whole numbers.
    """
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()  # ascending, up to n m
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return (ends - starts).double() / (n * m), starts // m, starts // n
