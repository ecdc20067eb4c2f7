"""The tree of the cells that tell most about each other."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS, PAIRS = 20_000, 2**31  # rows that are looked at, at most, and entries of the table of all pairs of values


def information(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Mutual information of every pair of cells in nats, from their frequencies: (n, T) -> (T, T).

    Where either is unknown the pair is left out. The expected excess of independent cells, (V - 1)(W - 1) / 2n (Miller
    1955), is taken off, or cells of many values would seem related to everything.
    """
    found = torch.zeros(len(sizes), len(sizes))
    for i in range(len(sizes)):
        for j in range(i):
            both = (x[:, i] >= 0) & (x[:, j] >= 0)
            n = torch.bincount(x[both, i] * sizes[j] + x[both, j], minlength=sizes[i] * sizes[j]).double()
            n = n.view(sizes[i], sizes[j])
            p = n / n.sum().clamp_min(1)
            expected = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
            excess = (int((n.sum(1) > 0).sum()) - 1) * (int((n.sum(0) > 0).sum()) - 1) / (2 * max(1.0, float(n.sum())))
            value = float(torch.xlogy(p, p / expected.clamp_min(1e-300)).sum()) - excess
            found[i, j] = found[j, i] = max(0.0, value)
    return found


def spanning(weights: Tensor) -> tuple[list[int], list[int]]:
    """The tree with the greatest sum of weights (T, T), as an order of its nodes, and the place in it of each one's
    parent, -1 for the root (Prim 1957; Chow & Liu 1968). The root is the node with the greatest sum of weights."""
    root = int(weights.sum(0).argmax())
    order, parents = [root], [-1]
    best, place = weights[root].clone(), torch.zeros(len(weights), dtype=torch.long)
    best[root] = -torch.inf
    while len(order) < len(weights):
        node = int(best.argmax())
        order.append(node)
        parents.append(int(place[node]))
        closer = (weights[node] > best) & (best > -torch.inf)
        best[node] = -torch.inf
        best[closer], place[closer] = weights[node][closer], len(order) - 1
    return order, parents
