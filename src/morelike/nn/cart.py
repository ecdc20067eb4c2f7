"""A classification tree of cells, grown level by level: which rows go together in what one cell is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CODES = 40  # values of a cell that splits tell apart: neighbouring ones of more go together
TOLD = 16  # numbers by which what is predicted is told while a tree grows
LEAST = 1e-6  # of what a split has to gain


@dataclass(frozen=True)
class Limits:
    """How far a tree grows.

    leaves  at most
    least   rows in each of them
    prior   rows, of the law of what a node was split from, that it has seen before
    share   of the cells, those that are looked at for the splits of a level
    """

    leaves: int
    least: int
    prior: float
    share: float


@dataclass
class Tree:
    """From node i one goes on to child[i] where x[feature[i]] <= cut[i], and else to the next one.

    feature, cut, child  (nodes,); of a leaf feature is -1, and child its number
    laws, behind         (leaves, V) the law of what is predicted in each leaf, and in what it was split from
    """

    feature: np.ndarray
    cut: np.ndarray
    child: np.ndarray
    laws: np.ndarray
    behind: np.ndarray


def grow(x: np.ndarray, y: np.ndarray, size: int, limits: Limits, random: np.random.Generator) -> Tree:
    """The tree by which cells x (F, N), of less than `CODES` values, tell y (N,) of `size` values.

    A split is the one that takes most off the squared distances of one-hot y from their mean, the Gini index (Breiman
    et al. 1984); where y has many values, in `TOLD` random directions (Joly et al. 2014). Laws are smoothed towards
    those that were split.
    """
    found = Tree(*(np.full(2 * limits.leaves, -1) for _ in range(3)),
                 *(np.full((limits.leaves, size), 1 / size) for _ in range(2)))  # fmt: skip
    told, at, ids = _told(y, size, random), np.zeros_like(y), np.zeros(1, np.int64)  # (D, N), node of a row, nodes
    nodes, done = 1, 0
    behind = (np.bincount(y, minlength=size)[None] + 0.5) / (len(y) + 0.5 * size)
    while len(ids):
        counts = np.bincount(at * size + y, minlength=len(ids) * size).reshape(-1, size)
        law = (counts + limits.prior * behind) / (counts.sum(1, keepdims=True) + limits.prior)  # (nodes, V)
        gain, feature, cut = _best(x, at, told, len(ids), limits, random)
        split = np.zeros(len(ids), bool)
        split[np.argsort(-gain)[: max(0, limits.leaves - done - len(ids))]] = True
        split &= gain > LEAST
        ends = done + np.arange((~split).sum())
        found.child[ids[~split]] = ends
        found.laws[ends], found.behind[ends] = law[~split], behind[~split]
        children = nodes + 2 * np.arange(split.sum())
        found.feature[ids[split]], found.cut[ids[split]], found.child[ids[split]] = feature[split], cut[split], children
        nodes, done = nodes + 2 * len(children), done + len(ends)
        rows = np.flatnonzero(split[at])
        x, y, told, at = x[:, rows], y[rows], told[:, rows], at[rows]
        right = x[feature[at], np.arange(len(at))] > cut[at]
        at = 2 * (split.cumsum() - 1)[at] + right
        behind, ids = law[split].repeat(2, 0), np.stack([children, children + 1], 1).ravel()
    return found


def _told(y: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """What is predicted, as numbers around 0: (D, N)."""
    hot = np.eye(size) if size <= TOLD else random.choice([-1.0, 1.0], (size, TOLD))
    told = hot[y].T
    return np.ascontiguousarray(told - told.mean(1, keepdims=True))


def _best(
    x: np.ndarray, at: np.ndarray, told: np.ndarray, nodes: int, limits: Limits, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the best split of each node gains, the cell that it looks at, and its last value on the left: (nodes,)."""
    able = np.flatnonzero(np.bincount(at, minlength=nodes) >= 2 * limits.least)
    best, feature, cut = np.zeros(nodes), np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    if len(able) and len(able) < nodes:
        place = np.full(nodes, -1)
        place[able] = np.arange(len(able))
        rows = np.flatnonzero(place[at] >= 0)
        found = _best(x[:, rows], place[at[rows]], told[:, rows], len(able), limits, random)
        best[able], feature[able], cut[able] = found
    if len(able) < nodes:
        return best, feature, cut
    looked = random.permutation(len(x))[: max(1, round(limits.share * len(x)))]
    counts = np.bincount(at, minlength=nodes)[:, None]
    base = (np.stack([np.bincount(at, one, nodes) for one in told]) ** 2).sum(0) / np.maximum(counts[:, 0], 1)
    for one in looked:
        place = at * CODES + x[one]
        n = np.bincount(place, minlength=nodes * CODES).reshape(nodes, CODES).cumsum(1)
        left = np.stack([np.bincount(place, part, nodes * CODES) for part in told]).reshape(-1, nodes, CODES).cumsum(2)
        right = left[:, :, -1:] - left
        gain = (left**2).sum(0) / np.maximum(n, 1) + (right**2).sum(0) / np.maximum(counts - n, 1)
        gain[(n < limits.least) | (counts - n < limits.least)] = 0
        where = gain.argmax(1)
        most = gain[np.arange(nodes), where] - base
        better = most > best
        best[better], feature[better], cut[better] = most[better], one, where[better]
    return best, feature, cut
