"""Whether made rows pass for real ones, by trees that look at cells: quick, and without what a report needs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from morelike.measure.table.trees import auc
from morelike.nn.cart import Limits, grow, seen

TREES, SHARE = 12, 0.4  # of the cells that each level of a tree looks at
LEAVES, LEAST, PRIOR = 256, 5, 2.0  # of a tree, rows in each, and rows that it has seen before


class Passing(NamedTuple):
    """The score, and its standard error, which is that of the rows on which trees were judged."""

    score: float
    error: float


def passing(
    made: np.ndarray, real: np.ndarray, new: int, sizes: tuple[int, ...], seed: int = 0, drawn: int | None = None
) -> Passing:
    """How little trees tell made rows from real ones: 1 when they cannot, 0 when they always can.

        1 - (2 max(AUC, 1/2) - 1)

    made, real  cells (N, T) and (M, T) of so many values each, -1 for what is unknown
    new         so many real rows, the first ones, are those by which the trees are judged; they learn from the others
    drawn       the same of made rows, of which more can be had; None for as many

    Each of the trees is grown from rows drawn with replacement (Breiman 1996), and looks at some of the cells at each
    level (Breiman 2001). The error is DeLong's (1988).
    """
    own = min(new if drawn is None else drawn, len(made)), min(new, len(real))  # made and real rows to be judged
    random, x = np.random.default_rng(seed), np.concatenate([made[: own[0]], real[:new], made[own[0] :], real[new:]])
    told = np.stack([seen(x[:, t] + 1, size + 1) for t, size in enumerate(sizes)]).astype(np.uint8)  # (T, N + M)
    y = np.repeat([0, 1], [len(made) - own[0], len(real) - own[1]])
    votes, known = np.zeros(sum(own)), told[:, sum(own) :]
    for _ in range(TREES):
        some = random.integers(0, len(y), len(y))
        tree = grow(known.take(some, 1), y[some], 2, Limits(LEAVES, LEAST, PRIOR, SHARE), random)
        votes += tree.laws[tree.leaf(told[:, : sum(own)]), 1]
    area, error = auc(votes[own[0] :], votes[: own[0]])
    return Passing(1 - (2 * max(area, 0.5) - 1), 2 * error)
