"""Draws in order: their normal scores and quantiles, and the quantiles of a beta distribution."""

from __future__ import annotations

import functools

import numpy as np
import torch

Array = np.ndarray


def split(x: Array) -> Array:
    """Halves of chains as chains; the middle draw of an odd number is left out: (P, C, N) -> (P, 2C, N // 2)."""
    half = x.shape[2] // 2
    return np.concatenate([x[..., :half], x[..., -half:]], 1)


class Ranked:
    """Draws in order, which most figures need: (P, C, N)."""

    def __init__(self, x: Array) -> None:
        self.split = split(x)
        flat = self.split.reshape(len(x), -1)
        self.order = flat.argsort(1)
        self.sorted = np.take_along_axis(flat, self.order, 1)  # (P, S)
        whole = flat.shape[1] == x[0].size
        self.all = self.sorted if whole else np.sort(x.reshape(len(x), -1), 1)

    def z(self) -> Array:
        """Normal scores of the ranks, Phi^-1((r - 3/8) / (S + 1/4)) (eq. 14): (P, 2C, N // 2)."""
        return _scores(self.order, self.sorted).reshape(self.split.shape)

    def folded(self) -> Array:
        """The same of |x - median|, which tells chains of different width."""
        flat = self.split.reshape(len(self.order), -1)
        middle = (flat.shape[1] - 1) // 2, flat.shape[1] // 2
        median = (self.sorted[:, middle[0]] + self.sorted[:, middle[1]]) / 2
        away = np.abs(flat - median[:, None])
        order = away.argsort(1)
        return _scores(order, np.take_along_axis(away, order, 1)).reshape(self.split.shape)


def _scores(order: Array, ordered: Array) -> Array:
    size = ordered.shape[1]
    table, inner = _table(size), np.zeros(ordered.shape, bool)
    scores = np.broadcast_to(table[2::2], ordered.shape)
    np.equal(ordered[:, 1:], ordered[:, :-1], out=inner[:, :-1])  # that a draw equals the next one
    tied = np.flatnonzero(inner)
    if len(tied):
        breaks = np.flatnonzero(np.diff(tied) > 1)
        first, last = tied[np.r_[0, breaks + 1]], tied[np.r_[breaks, -1]] + 1
        length = last - first + 1
        at = np.arange(length.sum()) + np.repeat(first - (length.cumsum() - length), length)
        scores = scores.copy()
        scores.reshape(-1)[at] = np.repeat(table[(first + last) - first // size * (2 * size) + 2], length)
    found = np.empty(ordered.shape)
    np.put_along_axis(found, order, scores, 1)
    return found


@functools.lru_cache(16)
def _table(size: int) -> Array:
    """Normal scores of all ranks and half ranks, by twice the rank."""
    rank = torch.arange(2 * size + 1, dtype=torch.float64) / 2
    return torch.special.ndtri((rank - 3 / 8) / (size + 1 / 4)).numpy()


def at_quantile(ordered: Array, p: float) -> Array:
    """The quantile at p of rows in order, between two draws in proportion (Hyndman & Fan 1996, type 7): (P, S)."""
    at = (ordered.shape[1] - 1) * p
    below, t = int(at), at - int(at)
    low, high = ordered[:, below], ordered[:, min(below + 1, ordered.shape[1] - 1)]
    return low + (high - low) * t if t < 0.5 else high - (high - low) * (1 - t)


def beta_quantile(q: float, a: Array, b: Array) -> Array:
    """The quantile of Beta(a, b) at q, for a and b of at least 1: (P,).

    In t = log(x / (1 - x)) the density is proportional to exp(a log s(t) + b log s(-t)), s the logistic function. It is
    integrated by Gauss and Legendre's rule on both sides of its mode, and the quantile found by Newton's method.
    """
    nodes, weights = _legendre()
    mode, sd = np.log(a / b), np.sqrt((a + b) / (a * b))

    def density(t: Array) -> Array:
        up, down = -np.logaddexp(0, -t), -np.logaddexp(0, t)
        return np.exp((a * (up - top[0]) + b * (down - top[1])).T).T

    def mass(low: Array, high: Array) -> Array:
        t = low + np.multiply.outer(nodes, high - low)  # (nodes, P)
        return (weights[:, None] * density(t)).sum(0) * (high - low)

    top = -np.logaddexp(0, -mode), -np.logaddexp(0, mode)
    left, right = mass(mode - 9 * sd - 40 / a, mode), mass(mode, mode + 9 * sd + 40 / b)
    t = mode + sd * float(torch.special.ndtri(torch.tensor(q, dtype=torch.float64)))
    for _ in range(20):
        t = t - ((left + mass(mode, t)) - q * (left + right)) / density(t)
    return 1 / (1 + np.exp(-t))


@functools.lru_cache(1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(128)
    return (nodes + 1) / 2, weights / 2
