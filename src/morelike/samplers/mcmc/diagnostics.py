"""Whether draws of Markov chains can be believed: R-hat, effective sample sizes, Monte Carlo errors, BFMI.

All of Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021 ("Rank-normalization, folding, and localization: an improved
R-hat"), for all parameters at once and in float64. Values are (C, N, *shape): chains, draws of each, a parameter; what
comes back is (*shape). It is NaN where a draw is NaN, or where there are too few draws or chains to say anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from morelike.samplers.mcmc._ranks import Array, Ranked, at_quantile, beta_quantile, split

Values = Tensor | np.ndarray

LEAST = 4  # draws of a chain: two in each half
BFMI = 0.3  # below which it is bad
MOMENTUM = {"", "hmc", "nuts", "chees"}  # kernels that draw a new momentum at each step, as BFMI presumes; or unknown
BLOCK = 1 << 18  # numbers that are worked on at a time, so that they stay near the processor
LIVE = 1 << 19  # numbers that a live display may look at; of more, only every k-th draw is


class Figures(NamedTuple):
    """What a table says of each parameter, all (*shape).

    mean, sd            of all draws
    mcse                Monte Carlo standard error of the mean
    q5, q50, q95        quantiles
    rhat                1 where chains agree
    ess_bulk, ess_tail  how many independent draws they are worth: in the middle, and at the 5 % and 95 % quantiles
    """

    mean: Array
    sd: Array
    mcse: Array
    q5: Array
    q50: Array
    q95: Array
    rhat: Array
    ess_bulk: Array
    ess_tail: Array


class Running(NamedTuple):
    """How far chains have come: the worst R-hat and the least bulk ESS, each with the name of its parameter."""

    rhat: float
    rhat_of: str
    ess: float
    ess_of: str


def figures(values: Values) -> Figures:
    """All figures of a table; values: (C, N, *shape)."""
    return Figures(*_each(values, _figures, len(Figures._fields)))


def rhat(values: Values, least_chains: int = 2) -> Array:
    """R-hat = sqrt((n - 1) / n + B / (n W)), the worse one of rank-normalised and of folded draws (eq. 4, 14).

    Chains are split into halves, so that one that drifts disagrees with itself.

    values        (C, N, *shape)
    least_chains  NaN for fewer; with 1, a single chain is compared with itself
    """
    return _each(values, lambda x: (_rhat(x, Ranked(x), least_chains),))[0]


def ess_bulk(values: Values) -> Array:
    """Effective sample size of rank-normalised draws, S / (1 + 2 sum_t rho_t) (eq. 10); values: (C, N, *shape)."""
    return _each(values, lambda x: (_guarded(x, _ess(Ranked(x).z())),))[0]


def ess_tail(values: Values) -> Array:
    """The lesser effective sample size of the 5 % and the 95 % quantile (section 4.3); values: (C, N, *shape)."""
    return _each(values, lambda x: (_ess_tail(x, Ranked(x)),))[0]


def ess_mean(values: Values) -> Array:
    """Effective sample size for the mean: of the draws as they are; values: (C, N, *shape)."""
    return _each(values, lambda x: (_guarded(x, _ess(split(x))),))[0]


def ess_quantile(values: Values, p: float) -> Array:
    """Effective sample size for a quantile: of I(x <= Q_p) (eq. 15); values: (C, N, *shape)."""
    return _each(values, lambda x: (_ess_quantile(x, Ranked(x), p),))[0]


def mcse_mean(values: Values) -> Array:
    """Monte Carlo standard error of the mean, sd / sqrt(ESS); values: (C, N, *shape)."""
    return _each(values, lambda x: (x.std((1, 2), ddof=1) / _guarded(x, _ess(split(x))) ** 0.5,))[0]


def mcse_sd(values: Values) -> Array:
    """Monte Carlo standard error of the sd, sqrt(var(y) / (4 mean(y) ESS(y))) of y = (x - mean)^2, by the delta method.

    values: (C, N, *shape). ArviZ before its version 1 takes the ESS of x instead, which is too large for slow chains.
    """

    def error(x: Array) -> tuple[Array]:
        y = (x - x.mean((1, 2), keepdims=True)) ** 2
        return ((y.var((1, 2)) / y.mean((1, 2)) / 4 / _guarded(x, _ess(split(y)))) ** 0.5,)

    return _each(values, error)[0]


def mcse_quantile(values: Values, p: float) -> Array:
    """Monte Carlo standard error of a quantile: half the width of its one-sigma interval.

    The ends are order statistics at the 16 % and 84 % quantiles of Beta(ESS p + 1, ESS (1 - p) + 1) (section 4.4).
    """

    def error(x: Array) -> tuple[Array]:
        ranked = Ranked(x)
        ess, size = _ess_quantile(x, ranked, p), x[0].size
        known = np.where(np.isfinite(ess), ess, 1.0)
        low, high = (beta_quantile(q, known * p + 1, known * (1 - p) + 1) * size - 1 for q in (0.1586553, 0.8413447))
        ends = np.stack([np.floor(low.clip(min=0)), np.ceil(high.clip(max=size - 1))], 1).astype(int)  # (P, 2)
        below, above = np.take_along_axis(ranked.all, ends, 1).T
        return (np.where(np.isfinite(ess), (above - below) / 2, np.nan),)

    return _each(values, error)[0]


def bfmi(energy: Values) -> Array:
    """E-BFMI = sum (E_n - E_{n-1})^2 / sum (E_n - mean E)^2 of each chain (Betancourt 2016, eq. 6); (C, N) -> (C,).

    Below 0.3, momenta carry too little energy to bring a chain through the whole density.
    """
    e = plain(energy)
    if e.shape[1] < 2:
        return np.full(len(e), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.diff(e, axis=1) ** 2).mean(1) / e.var(1, ddof=1)


def has_momentum(about: Mapping[str, Any]) -> bool:
    """Whether BFMI means anything for the kernel that made draws, as far as is known."""
    return str(about.get("kernel") or "").rpartition(".")[2] in MOMENTUM


def running(values: Mapping[str, Values]) -> Running:
    """The worst R-hat and the least bulk ESS so far, of draws as they come; values: name -> (C, n, *shape).

    Of very many numbers only every k-th draw is looked at; the ESS is that of those, a lower bound.
    """
    names, x = columns(values)
    x = x[..., -(x.shape[2] // 2 * 2) :]
    x = np.ascontiguousarray(x[..., :: -(-x.size // LIVE) or 1])
    if x.shape[2] < LEAST or not len(names):
        return Running(np.nan, "", np.nan, "")

    def both(block: Array) -> tuple[Array, Array]:
        ranked = Ranked(block)
        return _rhat(block, ranked, 1), _guarded(block, _ess(ranked.z()))

    r, ess = _blocks(x, both, 2)
    worst, least = int(np.argmax(np.nan_to_num(r, nan=-1))), int(np.argmin(np.nan_to_num(ess, nan=np.inf)))
    return Running(float(r[worst]), names[worst], float(ess[least]), names[least])


def columns(values: Mapping[str, Values]) -> tuple[list[str], Array]:
    """Every number of every parameter by name, as in theta[2] or L[0,1], and its draws in float64: (P, C, N)."""
    names, rows = [], []
    for name, value in values.items():
        x = plain(value)
        names += [name if not at else f"{name}[{','.join(map(str, at))}]" for at in np.ndindex(*x.shape[2:])]
        rows.append(_rows(x))
    return names, np.concatenate(rows) if rows else np.empty((0, 0, 0))


def autocovariance(x: Array) -> Array:
    """Autocovariance at every lag, averaged over chains: (P, C, n) -> (P, n)."""
    n = x.shape[2]
    m = 1 << (2 * n - 1).bit_length()
    f = torch.fft.rfft(torch.from_numpy(x - x.mean(2, keepdims=True)), n=m)
    power = (f.real**2 + f.imag**2).mean(1)  # the transform is linear, so one way back serves all chains
    return torch.fft.irfft(power, n=m).numpy()[:, :n] / n


def plain(values: Values) -> Array:
    """As an array of float64."""
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    return array.astype(np.float64, copy=False)


def _rows(x: Array) -> Array:
    """(C, N, *shape) -> (P, C, N), each row in one piece."""
    return np.ascontiguousarray(np.moveaxis(x.reshape(*x.shape[:2], math.prod(x.shape[2:])), 2, 0))


def _each(values: Values, f: Callable[[Array], tuple[Array, ...]], count: int = 1) -> list[Array]:
    x = plain(values)
    return [found.reshape(x.shape[2:]) for found in _blocks(_rows(x), f, count)]


def _blocks(x: Array, f: Callable[[Array], tuple[Array, ...]], count: int) -> list[Array]:
    """f of a few rows at a time; NaN for all where there are no chains or too few draws."""
    if not len(x) or x.shape[1] < 1 or x.shape[2] < LEAST:
        return [np.full(len(x), np.nan) for _ in range(count)]
    step = max(1, BLOCK // x[0].size)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [f(x[i : i + step]) for i in range(0, len(x), step)]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _guarded(x: Array, found: Array) -> Array:
    return np.where(np.isnan(x).any((1, 2)), np.nan, found)


def _rhat(x: Array, ranked: Ranked, least_chains: int) -> Array:
    if x.shape[1] < least_chains:
        return np.full(len(x), np.nan)
    bulk, tail = _potential(ranked.z()), _potential(ranked.folded())
    return _guarded(x, np.where(tail > bulk, tail, bulk))


def _potential(x: Array) -> Array:
    n = x.shape[2]
    between, within = n * x.mean(2).var(1, ddof=1), x.var(2, ddof=1).mean(1)
    return np.sqrt((between / within + n - 1) / n)


def _ess(x: Array) -> Array:
    """S / tau with Geyer's initial monotone sequence (1992, section 3.3): (P, C, n) -> (P,)."""
    n, size = x.shape[2], x[0].size
    gamma = autocovariance(x)
    within = gamma[:, :1] * n / (n - 1)
    variance = gamma[:, :1] + (x.mean(2).var(1, ddof=1)[:, None] if x.shape[1] > 1 else 0.0)
    rho = 1 - (within - gamma) / variance
    rho[:, 0] = 1
    pairs = rho[:, : n // 2 * 2].reshape(len(x), -1, 2).sum(2)  # (P, n // 2)
    last = max(0, (n - 3) // 2)
    stop = ~(pairs[:, : last + 1] > 0)
    stop[:, last] = True
    k = stop.argmax(1)  # the first pair that is not counted
    kept = np.arange(pairs.shape[1]) < k[:, None]
    row = np.arange(len(x))
    even = rho[row, 2 * k]
    even = np.where(pairs[row, k] < 0, even.clip(min=0), even)
    tau = 2 * (np.minimum.accumulate(pairs, 1) * kept).sum(1) - 1 + even
    ess = size / np.maximum(tau, 1 / np.log10(size))  # antithetic chains are worth more draws than they have
    still = x.max((1, 2)) - x.min((1, 2)) < np.finfo(float).resolution
    return np.where(still, float(size), np.where(np.isnan(pairs[:, 0]), np.nan, ess))


def _ess_quantile(x: Array, ranked: Ranked, p: float) -> Array:
    below = x <= at_quantile(ranked.all, p)[:, None, None]
    return _guarded(x, _ess(split(below).astype(float)))


def _ess_tail(x: Array, ranked: Ranked) -> Array:
    low, high = _ess_quantile(x, ranked, 0.05), _ess_quantile(x, ranked, 0.95)
    return np.where(high < low, high, low)


def _figures(x: Array) -> tuple[Array, ...]:
    ranked = Ranked(x)
    sd, ess = x.std((1, 2), ddof=1), _guarded(x, _ess(split(x)))
    quantiles = (_guarded(x, at_quantile(ranked.all, p)) for p in (0.05, 0.5, 0.95))
    bulk = _guarded(x, _ess(ranked.z()))
    return (x.mean((1, 2)), sd, sd / ess**0.5, *quantiles, _rhat(x, ranked, 2), bulk, _ess_tail(x, ranked))
