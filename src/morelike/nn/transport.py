"""Optimal transport between two small sets: which of the one goes with which of the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def assign(cost: np.ndarray) -> np.ndarray:
    """The permutation p that minimises sum_i cost[i, p_i]: (n, n) -> (n,).

    Shortest augmenting paths with dual prices (Jonker & Volgenant 1987; Crouse 2016, algorithm of section III).
    """
    n = len(cost)
    price, offer = cost.min(0), np.zeros(n)  # of columns v and rows u, with cost - u - v >= 0
    column_of, row_of = _greedy(cost - price)
    for free in np.flatnonzero(column_of < 0):
        best, via = np.full(n, np.inf), np.full(n, -1)  # shortest path to a column, and the row that it came from
        seen, row, length, visited = np.zeros(n, bool), int(free), 0.0, []
        while True:
            visited.append(row)
            reach = length + cost[row] - offer[row] - price
            nearer = ~seen & (reach < best)
            best[nearer], via[nearer] = reach[nearer], row
            column = int(np.where(seen, np.inf, best).argmin())
            length, seen[column] = best[column], True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        offer[free] += length
        inner = np.array(visited[1:], int)
        offer[inner] += length - best[column_of[inner]]
        price[seen] -= length - best[seen]
        while True:  # turn the path round: its rows take the next column
            row = int(via[column])
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == free:
                break
    return column_of


def _greedy(reduced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that get a column of reduced cost 0 without a quarrel: column of each row and row of each column, or -1."""
    n = len(reduced)
    column_of, row_of = np.full(n, -1), np.full(n, -1)
    for column, row in enumerate(reduced.argmin(0)):
        if column_of[row] < 0 and reduced[row, column] <= 0:
            column_of[row], row_of[column] = column, row
    return column_of, row_of


@torch.no_grad()
def paired(noise: Tensor, x: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
    """The rows of noise in the order that brings each nearest to its x, by squared distance: (B, *shape) -> same.

    It is the coupling of straighter flows (Tong et al. 2024, 3.2). Each noise keeps a condition, that of the x it came
    with, and only goes to an x of the same one: else some conditions would see some noise only, and others in sampling.
    """
    cost = torch.cdist(x.flatten(1).float(), noise.flatten(1).float()).square()  # (B, B)
    alike = torch.ones_like(cost, dtype=torch.bool)
    for value in given.values():
        rows = value.reshape(len(value), -1)
        alike &= (rows[:, None] == rows).all(2)
    cost = cost + (~alike) * (float(cost.max()) * len(x) + 1)
    return noise[torch.from_numpy(assign(cost.double().cpu().numpy())).to(noise.device)]
