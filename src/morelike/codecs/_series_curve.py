"""What a smooth number of a series is told from beside a line: products of its level and of its changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

DEGREE, DEEP = 3, 3  # factors of a product at most; steps before of which level and changes are factors


@dataclass(frozen=True)
class Curve:
    """Products of level, change, and change of the change: c = sum_k v_k b_(i_k) b_(j_k) .. (Gabor et al. 1961).

        b = M z + s, kept within [-1, 1], where all of the data lay

    mix      M, a row for each b; of z, the numbers of the track one, two, .. steps before
    shift    s
    factors  which b are multiplied, from 1; 0 for none
    weights  v of each product
    """

    mix: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]
    factors: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]

    def value(self, z: np.ndarray) -> np.ndarray:
        """c (N,) of z (steps, N)."""
        b = np.clip(np.array(self.mix) @ z + np.array(self.shift)[:, None], -1, 1)
        total = np.zeros(z.shape[1])
        for factors, weight in zip(self.factors, self.weights, strict=True):
            total += weight * product(b, factors)
        return total


def product(b: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """The product (N,) of those of b (I, N) that are named, from 1."""
    first, *more = (one - 1 for one in factors if one)
    found = b[first]
    for one in more:
        found = found * b[one]
    return found


def turned(x: np.ndarray) -> np.ndarray:
    """Columns (N, M) turned so that only the first M rows are not 0, (M, M): least squares find the same there."""
    return np.asarray(np.linalg.qr(x, mode="r"))


def changes(steps: int) -> np.ndarray:
    """The matrix by which numbers one, two, .. steps before become the last one, its change, the change of that, ..."""
    rows = [np.eye(1, steps)[0]]
    for order in range(1, steps):
        row = np.zeros(steps)
        row[: order + 1] = np.array([(-1.0) ** k * _choose(order, k) for k in range(order + 1)])
        rows.append(row)
    return np.stack(rows)


def _choose(n: int, k: int) -> float:
    return float(np.prod([(n - i) / (i + 1) for i in range(k)]))


def fitted(z: np.ndarray, more: np.ndarray, y: np.ndarray) -> tuple[Curve, np.ndarray, float] | None:
    """By least squares a curve, the weights of a line through z and more, and its constant: y ~ curve + line.

    z     (steps, N) of the track one, two, .. steps before
    more  (M, N) what else the line goes through
    y     (N,)
    """
    steps = len(z)
    mix = changes(steps)
    low, high = (mix @ z).min(1), (mix @ z).max(1)
    if (high <= low).any():
        return None
    mix, shift = mix * (2 / (high - low))[:, None], -(high + low) / (high - low)
    b = mix @ z + shift[:, None]
    index = np.array([(*one, *[0] * (DEGREE - len(one))) for size in range(2, DEGREE + 1)
                      for one in combinations_with_replacement(range(1, steps + 1), size)])  # fmt: skip
    middle, size = more.mean(1), more.std(1)
    other = (more - middle[:, None]) / np.where(size > 0, size, np.inf)[:, None]
    design = np.concatenate([np.ones((1, len(y))), b, other, np.stack([product(b, one) for one in index.tolist()])])
    if len(y) < 20 * len(design):
        return None
    whole = turned(np.column_stack([design.T, y]))
    beta = np.linalg.lstsq(whole[:, :-1], whole[:, -1], rcond=1e-12)[0]
    own, others, weights = np.split(beta[1:], np.cumsum([steps, len(more)]))
    others = others / np.where(size > 0, size, np.inf)
    line = np.concatenate([own @ mix, others])
    constant = float(beta[0] + own @ shift - others @ middle)
    return Curve(*_plain(mix, shift, index, weights)), line, constant


def _plain(*arrays: np.ndarray) -> tuple:
    return tuple(tuple(map(tuple, one.tolist())) if one.ndim > 1 else tuple(one.tolist()) for one in arrays)
