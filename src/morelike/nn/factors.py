"""A few causes behind many numbers: what they say of each number from those before it, and what else goes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from morelike.nn.variables import EDGE, NARROW

RANKS, SHARE = (1, 2, 3, 5, 8, 12, 16, 24, 32), 4  # numbers of factors that are tried, at most a quarter of the columns
FOLDS = 4  # parts of the rows, of which each is forecast by what the others have taught
ROUNDS, LEAST = 40, 0.02  # of expectation-maximisation, and of a column's variance, what is its own at least
SWEEPS = 3  # of a regression and of its sigma
AT_ONCE, FLAT = 2**25, 1e-3  # numbers in the largest array; deviation below which a trait is taken not to vary


class Factors(nn.Module):
    """z = L f + e with f ~ N(0, I) of R factors and e ~ N(0, diag(psi)) (factor analysis; Rubin & Thayer 1982).

    In an order of the columns, each of them given those before it has the mean (Kalman 1960)

        m_t = u_t . sum_{s before t} z_s L_s / psi_s        u_t = (I + sum_{s before t} L_s L_s^T / psi_s)^-1 L_t

    The rows that it has learnt from are forecast by factors that have not seen them: those of the other folds, to which
    a row belongs by its own cells. Of few rows and many columns it would else seem that factors say more than they do.
    """

    pull: Tensor
    push: Tensor

    def __init__(self, columns: int, orders: int) -> None:
        super().__init__()
        most = max(1, min(RANKS[-1], columns // SHARE))
        self.register_buffer("pull", torch.zeros(FOLDS + 1, columns, most))  # L / psi; the last are those of all rows
        self.register_buffer("push", torch.zeros(FOLDS + 1, orders, columns, most))  # u

    @torch.no_grad()
    def learn(self, z: Tensor, fold: Tensor, rank: Tensor) -> None:
        """Take in rows z (n, p) of variance 1 that are of these folds (n,), for orders in which columns have `rank`."""
        tried = [r for r in RANKS if r <= min(self.pull.shape[2], len(z) // 4)] or [1]
        own, parts = fold == 0, [fold != one for one in range(FOLDS)] + [fold >= 0]
        if not 1 < int(own.sum()) < len(z) - 1:
            return
        likely = {r: float(log_likely(z[own], *factored(z[~own], r)).mean()) for r in tried}
        best = max(tried, key=likely.__getitem__)
        for one, some in enumerate(parts):
            loading, psi = factored(z[some], best)
            pull = loading / psi[:, None]
            self.pull[one, :, :best] = pull.float()
            for m, place in enumerate(rank):
                order = place.argsort()
                known = (pull[order, :, None] * loading[order, None]).cumsum(0)
                known = torch.cat([torch.zeros_like(known[:1]), known[:-1]]) + torch.eye(best).to(known)
                self.push[one, m, order, :best] = torch.linalg.solve(known, loading[order]).float()

    def forecast(self, z: Tensor, rank: Tensor, fold: Tensor | None = None) -> Tensor:
        """m of rows z (n, p) in each order, by factors of other folds than theirs (n,), or of all rows: (M, n, p)."""
        made = z.new_zeros(len(rank), *z.shape)
        parts = [(FOLDS, None)] if fold is None else [(one, fold == one) for one in range(FOLDS)]
        for m, place in enumerate(rank):
            before = place[:, None] < place
            for one, own in parts:
                weight = torch.where(before, self.pull[one] @ self.push[one, m].T, 0.0)  # (p, p)
                if own is None:
                    made[m] = z @ weight
                else:
                    made[m, own] = z[own] @ weight
        return made


def fold_of(x: Tensor) -> Tensor:
    """Which fold rows of whole numbers (n, T) belong to: equal ones to the same."""
    by = (torch.arange(1, x.shape[1] + 1, device=x.device) * 0x9E3779B1) % 1_000_003
    return (x * by).sum(1) % 1_000_003 * 0x85EBCA6B % 1_000_003 % FOLDS


def factored(z: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """Loadings (p, r) and own variances (p,) of rows z (n, p), the former as if one row of noise had been seen."""
    z, n = z.double(), len(z)
    variance = z.square().mean(0).clamp_min(LEAST)
    _, spread, axes = torch.linalg.svd(z / n**0.5, full_matrices=False)
    loading = axes[:r].T * (spread[:r].square() - 0.5).clamp_min(LEAST).sqrt()
    psi = (variance - loading.square().sum(1)).clamp_min(LEAST * variance)
    one = torch.eye(r).to(z)
    for _ in range(ROUNDS):
        pull = loading / psi[:, None]
        v = torch.linalg.inv(one + loading.T @ pull)
        f = z @ pull @ v
        both = z.T @ f
        loading = torch.linalg.solve(n * v + f.T @ f + one, both.T).T
        psi = (variance - (loading * both).sum(1) / n).maximum(LEAST * variance)
    return loading, psi


def log_likely(z: Tensor, loading: Tensor, psi: Tensor) -> Tensor:
    """log N(z; 0, L L^T + diag(psi)) of rows (n, p), but for a constant: (n,)."""
    z, pull = z.double(), loading / psi[:, None]
    inner = torch.eye(loading.shape[1]).to(loading) + loading.T @ pull
    told = z @ pull
    square = (z.square() / psi).sum(1) - (told * torch.linalg.solve(inner, told.T).T).sum(1)
    return -0.5 * (square + psi.log().sum() + torch.logdet(inner))


def related(told: Tensor, said: Tensor, owner: Tensor, columns: int) -> Tensor:
    """How much traits (n, W) go with each column, the largest squared correlation with what is left to say of it:
    (columns, W).

    said  (n, Y) what is to be said, and `owner` (Y,), of which column; those of one column follow each other
    """
    told, said = unit(told), unit(said)
    made = told.new_zeros(columns, told.shape[1])
    for part in torch.arange(said.shape[1], device=said.device).split(max(1, AT_ONCE // told.shape[1])):
        square = (said[:, part].T @ told).square()
        made.scatter_reduce_(0, owner[part, None].expand_as(square), square, "amax")
    return made


def unit(one: Tensor) -> Tensor:
    """Columns (n, W) of mean 0 and length 1; near 0 where they hardly vary."""
    away = one - one.mean(0)
    return away / away.norm(dim=0).clamp_min(FLAT * len(one) ** 0.5)


def strongest(square: Tensor, rank: Tensor, owner: Tensor, most: int, least: float) -> Tensor:
    """Which traits each column hears in each order: at most so many of those before it, none below the least square:
    (M, columns, most), as many as there are traits for none.

    square  (columns, W) of `related`; owner (W,) the column of each trait, -1 where it is before all
    """
    first = torch.nn.functional.pad(rank, (1, 0), value=-1)[:, owner + 1]  # (M, W)
    found = list[Tensor]()
    for place, begins in zip(rank, first, strict=True):
        seen = torch.where(begins < place[:, None], square, -1.0)
        value, index = seen.topk(most, 1)
        found.append(torch.where(value > least, index, square.shape[1]))
    return torch.stack(found)


def lines(moments: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge regressions with N(0, 1 / ridge) as the prior of weights: those and that of 1 (t, k + 1), and sigma (t,).

    moments  mean products of k traits, 1 and what is to be said, side by side: (t, k + 2, k + 2)
    ridge    (t,) for one row each
    """
    a, b, square = moments[:, :-1, :-1], moments[:, :-1, -1], moments[:, -1, -1]
    weak = ridge[:, None].expand(b.shape).clone()
    weak[:, -1] = EDGE
    sigma, w = square.sqrt(), b
    for _ in range(SWEEPS):
        w = torch.linalg.solve(a + (sigma.square()[:, None] * weak + EDGE).diag_embed(), b)
        left = square - 2 * (w * b).sum(1) + (w * (a @ w[:, :, None])[:, :, 0]).sum(1)
        sigma = left.clamp_min(math.exp(2 * NARROW)).sqrt()
    return w, sigma


def alike(sizes: Sequence[tuple[object, ...]]) -> list[list[int]]:
    """The places of things of one size together."""
    return [[at for at, one in enumerate(sizes) if one == size] for size in dict.fromkeys(sizes)]
