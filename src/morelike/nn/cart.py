"""A classification tree of cells, grown level by level: which rows go together in what one cell is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CODES = 40  # values of a cell that splits tell apart: neighbouring ones of more go together
DENSE = 8  # times as many numbers as rows, up to which values are counted and not sorted
LEAST = 1e-6  # of what a split has to gain
AT_ONCE = 2**14  # rows of all cells that are looked at together


@dataclass(frozen=True)
class Limits:
    """How far a tree grows.

    leaves  at most
    least   rows in each of them
    prior   rows, of the law of what a node was split from, that it has seen before
    share   of the cells, those that are looked at for the splits of a level
    gain    that a split has at least, in rows: what the squared distances of one-hot y from their mean lose by it
    """

    leaves: int
    least: int
    prior: float
    share: float
    gain: float = 0.0


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

    def leaf(self, x: np.ndarray) -> np.ndarray:
        """The leaf that each row leads to: (F, N) -> (N,)."""
        node, rows = np.zeros(x.shape[1], np.int64), np.arange(x.shape[1])
        while len(rows := rows[self.feature[node[rows]] >= 0]):
            at = node[rows]
            node[rows] = self.child[at] + (x[self.feature[at], rows] > self.cut[at])
        return self.child[node]


def seen(x: Any, size: int) -> Any:
    """The values of a cell, which takes so many, as trees see them: of many neighbouring ones together."""
    return x if size <= CODES else x * CODES // size


def grow(x: np.ndarray, y: np.ndarray, size: int, limits: Limits, random: np.random.Generator) -> Tree:
    """The tree by which cells x (F, N), of less than `CODES` values, tell y (N,) of `size` values.

    A split is the one that takes most off the squared distances of one-hot y from their mean, the Gini index (Breiman
    et al. 1984). Laws are smoothed towards those that were split.
    """
    found = Tree(*(np.full(2 * limits.leaves, -1) for _ in range(3)),
                 *(np.full((limits.leaves, size), 1 / size) for _ in range(2)))  # fmt: skip
    x, at, ids = x.astype(np.uint8, copy=False), np.zeros_like(y), np.zeros(1, np.int64)  # node of each row, nodes
    nodes, done = 1, 0
    behind = (np.bincount(y, minlength=size)[None] + 0.5) / (len(y) + 0.5 * size)
    while len(ids):
        counts = np.bincount(at * size + y, minlength=len(ids) * size).reshape(-1, size)
        law = (counts + limits.prior * behind) / (counts.sum(1, keepdims=True) + limits.prior)  # (nodes, V)
        gain, feature, cut = _best(x, at, y, size, len(ids), limits, random)
        split = np.zeros(len(ids), bool)
        split[np.argsort(-gain)[: max(0, limits.leaves - done - len(ids))]] = True
        split &= gain > max(limits.gain, LEAST)
        ends = done + np.arange((~split).sum())
        found.child[ids[~split]] = ends
        found.laws[ends], found.behind[ends] = law[~split], behind[~split]
        children = nodes + 2 * np.arange(split.sum())
        found.feature[ids[split]], found.cut[ids[split]], found.child[ids[split]] = feature[split], cut[split], children
        nodes, done = nodes + 2 * len(children), done + len(ends)
        rows = np.flatnonzero(split[at])
        x, y, at = x.take(rows, 1), y[rows], at[rows]
        right = x[feature[at], np.arange(len(at))] > cut[at]
        at = 2 * (split.cumsum() - 1)[at] + right
        behind, ids = law[split].repeat(2, 0), np.stack([children, children + 1], 1).ravel()
    return found


class _Level:
    """Rows of a level as the search for its splits needs them.

    at, y     (N,) node of each row, of which there are so many, and its value, which is less than `size`
    together  cells that are looked at together: as if each were of rows and nodes of its own
    """

    def __init__(self, at: np.ndarray, y: np.ndarray, size: int, nodes: int, together: int) -> None:
        self.together, self.at = together, (at + nodes * np.arange(together)[:, None]).ravel()
        nodes = nodes * together
        self.shape, at = (nodes, CODES, size), self.at
        kinds = at * size + np.tile(y, together)  # node and value together
        self.place = kinds + at * (CODES - 1) * size
        alike = np.bincount(kinds, minlength=nodes * size)
        self.count, self.square = np.bincount(at, minlength=nodes), (alike.reshape(nodes, size) ** 2).sum(1)
        there = alike > 0
        self.kind, self.alike = _small((there.cumsum() - 1)[kinds]), alike[there]
        within = np.arange(len(at)) - np.repeat(self.alike.cumsum() - self.alike, self.alike)
        self.grows = 2 * within + 1

    def split(self, x: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
        """What the best split of each node by each cell gains, and its last value on the left: (cells N,) -> (cells,
        nodes)."""
        count, square = self.count[:, None], self.square[:, None]
        quick = np.prod(self.shape) <= DENSE * len(x)
        n, left, cross = self._counted(x) if quick else self._sorted(x)  # (nodes, CODES)
        rest = count - n
        gain = left / np.maximum(n, 1) + (square - 2 * cross + left) / np.maximum(rest, 1)
        gain[(n < least) | (rest < least)] = 0
        where = gain.argmax(1)
        most = gain[np.arange(len(gain)), where] - self.square / self.count
        return most.reshape(self.together, -1), where.reshape(self.together, -1)

    def _counted(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """For rows left of each cut: how many, the sum over values of L_v^2 for L_v of a value, and that of L_v N_v
        for N_v in the node: (nodes, CODES) each."""
        place = self.place + np.multiply(x, self.shape[2], dtype=np.int64)
        left = np.bincount(place, minlength=np.prod(self.shape)).reshape(self.shape).cumsum(1)
        both = (np.einsum("ncv,ncv->nc", left, left), np.einsum("ncv,nv->nc", left, left[:, -1]))
        return left.sum(2), *both

    def _sorted(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """The same for many nodes: in order, L_v^2 grows by 2 c + 1 with a row of whose value there were c; cuts behind
        which no row lies are left at 0."""
        key = _small(self.at * CODES + x)
        order = key.argsort(kind="stable")  # of 16 bits by radix
        key, kind = key[order], self.kind[order]
        grows = np.empty_like(self.grows)
        grows[kind.argsort(kind="stable")] = self.grows
        last = np.flatnonzero(np.append(key[1:] != key[:-1], True))  # of those at each cut
        cut = key[last]
        begin = (self.count.cumsum() - self.count)[cut // CODES]
        found = np.zeros((3, self.shape[0] * CODES), np.int64)
        found[0, cut] = last + 1 - begin
        for to, numbers in zip(found[1:], (grows, self.alike[kind]), strict=True):
            sums = np.append(0, numbers.cumsum())
            to[cut] = sums[last + 1] - sums[begin]
        return tuple(found.reshape(3, *self.shape[:2]))


def _small(x: np.ndarray) -> np.ndarray:
    """Whole numbers >= 0 in as few bytes as they need, which sorts them quicker."""
    return x.astype(np.min_scalar_type(int(x.max(initial=0))))


def _best(
    x: np.ndarray, at: np.ndarray, y: np.ndarray, size: int, nodes: int, limits: Limits, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the best split of each node gains, the cell that it looks at, and its last value on the left: (nodes,)."""
    best, feature, cut = np.zeros(nodes), np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    able = np.bincount(at, minlength=nodes) >= 2 * limits.least
    if not able.any():
        return best, feature, cut
    rows, nodes = np.flatnonzero(able[at]), int(able.sum())
    at, y = (able.cumsum() - 1)[at[rows]], y[rows]
    looked = random.permutation(len(x))[: max(1, round(limits.share * len(x)))]
    room = min(AT_ONCE // len(rows), 2**16 // (nodes * max(CODES, size)))  # numbers of 16 bits
    together = min(len(looked), max(1, room))
    gain, by, last = best[able], feature[able], cut[able]
    level = _Level(at, y, size, nodes, together)
    for some in (looked[i : i + together] for i in range(0, len(looked), together)):
        if len(some) < together:
            level = _Level(at, y, size, nodes, len(some))
        most, where = level.split(x[some].take(rows, 1).ravel(), limits.least)  # (cells, nodes)
        first = most.argmax(0)
        most, where = (np.take_along_axis(one, first[None], 0)[0] for one in (most, where))
        better = most > gain
        gain[better], by[better], last[better] = most[better], some[first[better]], where[better]
    best[able], feature[able], cut[able] = gain, by, last
    return best, feature, cut
