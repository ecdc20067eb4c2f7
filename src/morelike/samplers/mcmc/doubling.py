"""Trees of the no-U-turn sampler: what a stretch of trajectory amounts to, and how two of them become one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.samplers.mcmc.kernel import Density
from morelike.samplers.mcmc.leapfrog import LOST, energy


class Tree(NamedTuple):
    """A stretch of trajectory, from its first point to its last in the order in which it was followed.

    A point is q, r, grad in one: (3, C, D).

    first, last  whitened momenta at its ends: (C, D)
    total        their sum over all its points: (C, D)
    weight       log of the sum of exp(H_0 - H): (C,)
    point, logp  drawn from it in proportion to exp(-H): (3, C, D), (C,)
    going        whether no part of it turns back: (C,)
    lost         whether the integrator lost it: (C,)
    accept       sum of min(1, exp(H_0 - H)) over its steps: (C,)
    steps        their number: (C,)
    """

    first: Tensor
    last: Tensor
    total: Tensor
    weight: Tensor
    point: Tensor
    logp: Tensor
    going: Tensor
    lost: Tensor
    accept: Tensor
    steps: Tensor


FIELDS = len(Tree._fields)


def leaves(_: Density, u: Tensor, start: Tensor, *points: Tensor) -> tuple[Tensor, ...]:
    """The `Tree` of n = 2^j points followed one after another.

    u: (n, C) uniform, start: (C,) the energy at the beginning, points: q, r, grad (C, D) and logp (C,) of each.
    """
    return _leaves(u, start, *_stacked(points))


def _stacked(points: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Points (n, 3, C, D), and their log densities (n, C)."""
    path = torch.stack([x for i, x in enumerate(points) if i % 4 < 3])
    return path.view(-1, 3, *path.shape[1:]), torch.stack(list(points[3::4]))


def _leaves(u: Tensor, start: Tensor, path: Tensor, logp: Tensor) -> Tree:
    n, r = len(u), path[:, 1]
    gain = start - energy(logp, r)  # (n, C)
    lost, accept = gain < -LOST, gain.exp().clamp(max=1).sum(0)
    number = torch.full_like(accept, n)
    if n == 1:
        return Tree(r[0], r[0], r[0], gain[0], path[0], logp[0], ~lost[0], lost[0], accept, number)
    chosen = (gain - (-u.clamp(min=1e-30).log()).log()).argmax(0)[None]  # a draw from softmax(gain), by Gumbel's trick
    point = path.gather(0, chosen[:, None, :, None].expand(1, *path.shape[1:]))[0]
    straight, cut = ending(r, lost)
    weight = gain.logsumexp(0)
    return Tree(r[0], r[-1], r.sum(0), weight, point, logp.gather(0, chosen)[0], straight, cut, accept, number)


def ending(r: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """Whether 2^j points go straight on, and whether they are lost before any part of them turns back.

    All products r_i.r_k are computed at once; what is looked at are sums of them.

    r: (n, C, D) momenta, lost: (n, C) points with too large an error -> (C,), (C,).
    """
    n, number = len(r), torch.arange(len(r), device=r.device)[:, None]
    sums, last = (torch.tensor(x, device=r.device) for x in stretches(n))
    rows = torch.where(lost[..., None], 0.0, r).transpose(0, 1)  # (C, n, D); infinite ones would spoil all sums
    looks = (rows @ rows.transpose(1, 2)).flatten(1) @ sums.to(r)  # (C, K)
    turned_at = torch.where(looks > 0, n, last).amin(1)  # what lies behind was only followed because of the block
    lost_at = torch.where(lost, number, n).amin(0)
    return torch.minimum(turned_at, lost_at) == n, (lost_at < n) & (lost_at <= turned_at)


@cache
def stretches(n: int) -> tuple[list[list[float]], list[int]]:
    """What is to be positive in all halvings of n = 2^j points: which r_i.r_k are summed (n n, K), and the last point.

    Of a stretch with halves a..m and m+1..b: r_a.rho and r_b.rho, of the whole, of a..m+1 and of m..b.
    """
    found, last = [], []
    for size in (1 << k for k in range(1, n.bit_length())):
        for a in range(0, n, size):
            m, b = a + size // 2 - 1, a + size - 1
            for first, end in {(a, b), (a, m + 1), (m, b)}:
                for at in (first, end):
                    found.append([float(i == at and first <= k <= end) for i in range(n) for k in range(n)])
                    last.append(b)
    return [list(row) for row in zip(*found, strict=True)], last


def _onward(first, before, after, last, total, left, right) -> Tensor:
    """Whether two halves and the gap between them go on: momenta at the four ends; sums of all, left and right."""
    near, far = left + after, right + before
    ends = torch.stack([first, last, first, after, before, last])  # (6, .., D)
    sums = torch.stack([total, total, near, near, far, far])
    return ((ends * sums).sum(-1) > 0).all(0)


def joined(_: Density, u: Tensor, *both: Tensor) -> tuple[Tensor, ...]:
    """Two trees, one followed after the other; the point is drawn in proportion to their weights."""
    left, right = Tree(*both[:FIELDS]), Tree(*both[FIELDS:])
    weight = torch.logaddexp(left.weight, right.weight)
    take = u.log() < right.weight - weight
    return _merge(left, right, take)._replace(weight=weight)


def grown_by_points(_: Density, u: Tensor, ahead: Tensor, start: Tensor, *args: Tensor) -> tuple[Tensor, ...]:
    """`grown`; args are the old tree, back, forth, uniform numbers (n, C) and points as in `leaves`."""
    old, back, forth, v, *points = Tree(*args[:FIELDS]), *args[FIELDS:]
    path, logp = _stacked(points)
    return grown(u, ahead, old, back, forth, _leaves(v, start, path, logp), path[-1])


def grown_by_tree(_: Density, u: Tensor, ahead: Tensor, start: Tensor, *args: Tensor) -> tuple[Tensor, ...]:
    """`grown`; args are the old tree, back, forth, the new tree and its last point."""
    old, back, forth, *new, end = Tree(*args[:FIELDS]), *args[FIELDS:]
    return grown(u, ahead, old, back, forth, Tree(*new), end)


def grown(
    u: Tensor, ahead: Tensor, old: Tree, back: Tensor, forth: Tensor, new: Tree, end: Tensor
) -> tuple[Tensor, ...]:
    """A trajectory after a doubling, its two ends, and q, r, grad of that from which the next doubling goes on.

    A point of the new half is taken with probability min(1, its weight / the old one), if it goes straight on.

    u            (C,) uniform
    ahead        (2, C) whether this doubling goes forwards, and the next one
    back, forth  the first and the last point in time; `end`: the last one of the new half, (3, C, D)
    """
    now, onward = ahead[0, :, None], ahead[1, :, None]
    going = old.going
    take = (u.log() < new.weight - old.weight) & new.going & going
    # seen in the direction of the doubling, the old trajectory comes first
    facing = old._replace(first=torch.where(now, old.first, old.last), last=torch.where(now, old.last, old.first))
    tree = _merge(facing, new, take)
    back, forth = torch.where(now, back, end), torch.where(now, end, forth)
    tree = tree._replace(
        first=back[1],
        last=forth[1],
        weight=torch.logaddexp(old.weight, new.weight),
        going=tree.going & going,
        lost=old.lost | (new.lost & going),
        accept=old.accept + new.accept * going,
        steps=old.steps + new.steps * going,
    )
    return (*tree, back, forth, *torch.where(onward, forth, back).unbind())


def _merge(left: Tree, right: Tree, take: Tensor) -> Tree:
    """Two halves as one, which has its point from the right one where `take`; without a weight."""
    row, total = take[:, None], left.total + right.total
    onward = _onward(left.first, left.last, right.first, right.last, total, left.total, right.total)
    return Tree(
        left.first,
        right.last,
        total,
        left.weight,
        torch.where(row, right.point, left.point),
        torch.where(take, right.logp, left.logp),
        left.going & right.going & onward,
        left.lost | (right.lost & left.going),
        left.accept + right.accept,
        left.steps + right.steps,
    )
