"""The tree of the cells that tell most about each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from morelike.nn.rows import OneHot

WORK, FEWEST, MOST = 2e10, 500, 20_000  # multiplications, and rows that are looked at
ROOM = 2**24  # numbers in the largest array


def information(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Mutual information of every pair of cells in nats, from their frequencies: (n, T) -> (T, T).

    Where either is unknown the pair is left out. The expected excess of independent cells, (V - 1)(W - 1) / 2n (Miller
    1955), is taken off, or cells of many values would seem related to everything. Of very many cells each is told by
    fewer values.
    """
    fewest = min(len(x), FEWEST)
    if fewest * sum(sizes) ** 2 > WORK:
        x, sizes = coarser(x, sizes, max(2, int((WORK / fewest) ** 0.5 / len(sizes))))
    x = x[: int(min(MOST, max(FEWEST, WORK / sum(sizes) ** 2)))]
    hot, known = OneHot(sizes)(x), (x >= 0).float()  # (n, sum sizes), (n, T)
    cell = torch.repeat_interleave(torch.tensor(sizes, device=x.device))
    step = max(1, ROOM // (max(sizes) * sum(sizes)))
    parts = torch.arange(len(sizes), device=x.device).split(step)
    return torch.cat([_informed(hot, known, cell, part) for part in parts]).fill_diagonal_(0)


def _informed(hot: Tensor, known: Tensor, cell: Tensor, part: Tensor) -> Tensor:
    """That of some neighbouring cells (t,) with all others: (t, T)."""
    values = ((cell >= part[0]) & (cell <= part[-1])).nonzero().squeeze(1)
    own, mine = hot[:, values], cell[values] - part[0]  # (n, V), (V,)
    both, first = own.T @ hot, own.T @ known  # how often with each value (V, sum sizes), with each cell (V, T)
    t, cells = len(part), known.shape[1]
    second = both.new_zeros(t, len(cell)).index_add_(0, mine, both)
    n = first.new_zeros(t, cells).index_add_(0, mine, first).clamp_min(1)
    even = (first[:, cell] * second[mine]).clamp_min(1)
    excess = both * (both.clamp_min(1) * n[mine][:, cell] / even).log()
    nats = excess.new_zeros(t, len(cell)).index_add_(0, mine, excess)
    nats = nats.new_zeros(t, cells).index_add_(1, cell, nats)
    there = (second > 0).float()
    other = there.new_zeros(t, cells).index_add_(1, cell, there)
    here = first.new_zeros(t, cells).index_add_(0, mine, (first > 0).float())
    free = (here - 1).clamp_min(0) * (other - 1).clamp_min(0)
    return (nats / n - free / (2 * n)).clamp_min(0)


def coarser(x: Tensor, sizes: tuple[int, ...], most: int) -> tuple[Tensor, tuple[int, ...]]:
    """Cells (n, T) of at most so many values each: neighbouring ones together, in about equal shares."""
    x, made = x.clone(), list(sizes)
    for t, size in enumerate(sizes):
        if size > most:
            known = x[:, t] >= 0
            count = torch.bincount(x[known, t], minlength=size)
            middle = (count.cumsum(0) - count / 2) / count.sum().clamp_min(1)
            x[known, t] = (middle * most).long().clamp_max(most - 1)[x[known, t]]
            made[t] = most
    return x, tuple(made)


def spanning(weights: Tensor) -> tuple[list[int], list[int]]:
    """The tree with the greatest sum of weights (T, T), as an order of its nodes, level by level, and the place in it
    of each one's parent, -1 for the root (Prim 1957; Chow & Liu 1968). The root is the node with the greatest sum of
    weights."""
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
    return _levelled(order, parents)


def _levelled(order: list[int], parents: list[int]) -> tuple[list[int], list[int]]:
    """The same tree with its nodes from the root downwards, those that are equally far from it together."""
    depth = depths(parents)
    new = sorted(range(len(order)), key=depth.__getitem__)
    place = {old: number for number, old in enumerate(new)}
    return [order[old] for old in new], [place[parents[old]] if parents[old] >= 0 else -1 for old in new]


def depths(parents: Sequence[int]) -> list[int]:
    """How far each node of a tree is from its root, whose parent is -1; parents come first."""
    found = list[int]()
    for parent in parents:
        found.append(0 if parent < 0 else found[parent] + 1)
    return found
