"""The tree of the cells that tell most about each other."""

from __future__ import annotations

import torch
from torch import Tensor

from morelike.nn.rows import OneHot

WORK, FEWEST, MOST = 2e10, 500, 20_000  # multiplications, and rows that are looked at


def information(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Mutual information of every pair of cells in nats, from their frequencies: (n, T) -> (T, T).

    Where either is unknown the pair is left out. The expected excess of independent cells, (V - 1)(W - 1) / 2n (Miller
    1955), is taken off, or cells of many values would seem related to everything.
    """
    x = x[: int(min(MOST, max(FEWEST, WORK / sum(sizes) ** 2)))]
    hot, known = OneHot(sizes)(x), (x >= 0).float()  # (n, sum sizes), (n, T)
    cell = torch.repeat_interleave(torch.tensor(sizes, device=x.device))
    found = []
    for own in hot.split(sizes, 1):  # (n, V)
        both, first = own.T @ hot, own.T @ known  # how often with each value (V, sum sizes), with each cell (V, T)
        n, second = first.sum(0).clamp_min(1), both.sum(0)
        excess = both * (both.clamp_min(1) * n[cell] / (first[:, cell] * second).clamp_min(1)).log()
        parts = torch.zeros(2, len(sizes), device=x.device)
        parts.index_add_(1, cell, torch.stack([excess.sum(0), (second > 0).float()]))
        free = ((first > 0).sum(0) - 1).clamp_min(0) * (parts[1] - 1).clamp_min(0)
        found.append((parts[0] / n - free / (2 * n)).clamp_min(0))
    return torch.stack(found).fill_diagonal_(0)


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
