"""The no-U-turn sampler: Hamiltonian Monte Carlo that finds the length of each trajectory itself.

All chains double their trajectories together. The steps of a doubling are followed first and looked at afterwards, all
at once: that takes a tenth of the operations of a look after every step, at the price of some steps of a chain which
would have stopped within a doubling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.hmc import Probe
from morelike.samplers.mcmc.kernel import Density, State, Tuning, begin
from morelike.samplers.mcmc.leapfrog import LOST, energy, leapfrog

BLOCK = 4  # 2^4 steps are looked at together; longer trajectories may stop between such blocks


class Tree(NamedTuple):
    """A stretch of trajectory, from its first point to its last in the order in which it was followed.

    first, last  whitened momenta at its ends: (C, D)
    total        their sum over all its points: (C, D)
    weight       log of the sum of exp(H_0 - H): (C,)
    q, logp, grad  a point drawn from it in proportion to exp(-H): (C, D), (C,), (C, D)
    going        whether no part of it turns back: (C,)
    lost         whether the integrator lost it: (C,)
    accept       sum of min(1, exp(H_0 - H)) over its steps: (C,)
    steps        their number: (C,)
    """

    first: Tensor
    last: Tensor
    total: Tensor
    weight: Tensor
    q: Tensor
    logp: Tensor
    grad: Tensor
    going: Tensor
    lost: Tensor
    accept: Tensor
    steps: Tensor


FIELDS = len(Tree._fields)


class NutsInfo(NamedTuple):
    """`kernel.Info`, the number of doublings, and whether these were as many as there may be; all (C,)."""

    accept: Tensor
    energy: Tensor
    diverging: Tensor
    evals: Tensor
    depth: Tensor
    saturated: Tensor


@dataclass(frozen=True)
class Kernel:
    """Double a trajectory until it turns back; draw from its points (Hoffman & Gelman 2014; Betancourt 2017, A.3-A.4).

    Points are weighted by exp(-H), with a bias towards the newer half; the criterion is rho.p > 0 at both ends, of the
    whole and of where two halves meet.

    max_depth  most doublings
    """

    max_depth: int = 10

    target: ClassVar[float | None] = 0.9
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = False

    @property
    def probe(self) -> Probe:
        return Probe()

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, q, gradient=True)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, NutsInfo]:
        r = tuning.metric.draw(state.q, rng)
        start = energy(state.logp, r)
        zero, yes = torch.zeros_like(start), torch.ones_like(start, dtype=torch.bool)
        tree, depth = Tree(r, r, r, zero, *state, yes, ~yes, zero, zero), zero
        backward = forward = (state.q, r, state.grad)  # the ends of the trajectory, in time
        path = Path(density, start, tuning, rng)
        for j in range(self.max_depth):
            u = torch.rand((2, len(r)), dtype=r.dtype, device=r.device, generator=rng)
            depth = depth + tree.going
            *here, sign = call(turning, density, u, *backward, *forward)
            new, end = path.follow(j, here, sign, tree.going)
            *grows, backward, forward = _parts(call(grown, density, u, *tree, *new, *backward, *forward, *end))
            tree = Tree(*grows)
            if not bool(tree.going.any()):
                break
        info = NutsInfo(tree.accept / tree.steps, start, tree.lost, tree.steps, depth, tree.going)
        return State(tree.q, tree.logp, tree.grad), info


class Path:
    """Trajectories followed step by step, and looked at in blocks."""

    def __init__(self, density: Density, start: Tensor, tuning: Tuning, rng: Generator) -> None:
        self.density, self.start, self.tuning, self.rng = density, start, tuning, rng

    def follow(self, j: int, here: Sequence[Tensor], sign: Tensor, growing: Tensor) -> tuple[Tree, tuple]:
        """2^j steps on from q, r, grad; the tree of them, and where they end."""
        if j <= BLOCK:
            return self._block(1 << j, here, sign)
        tree, end = self.follow(j - 1, here, sign, growing)
        if not bool((tree.going & growing).any()):
            return tree, end
        more, end = self.follow(j - 1, end, sign, growing)
        u = torch.rand(self.start.shape, dtype=sign.dtype, device=sign.device, generator=self.rng)
        return Tree(*call(joined, self.density, u, *tree, *more)), end

    def _block(self, n: int, here: Sequence[Tensor], sign: Tensor) -> tuple[Tree, tuple]:
        q, r, grad = here
        eps, scale, points = self.tuning.step.to(q) * sign, self.tuning.metric.scale, []
        for _ in range(n):
            q, r, grad, logp = call(leapfrog, self.density, q, r, grad, eps, scale)
            points += [q, r, grad, logp]
        u = torch.rand((n, len(q)), dtype=q.dtype, device=q.device, generator=self.rng)
        return Tree(*call(leaves, self.density, u, self.start, *points)), (q, r, grad)


def _parts(flat: Sequence[Tensor]) -> list:
    """A tree and the two ends of its trajectory, from `grown`."""
    return [*flat[:FIELDS], tuple(flat[FIELDS : FIELDS + 3]), tuple(flat[FIELDS + 3 :])]


def turning(_: Density, u: Tensor, *ends: Tensor) -> tuple[Tensor, ...]:
    """The end from which each chain goes on, and 1 or -1 for forwards or backwards (C, 1)."""
    ahead = u[0, :, None] < 0.5
    here = [torch.where(ahead, f, b) for b, f in zip(ends[:3], ends[3:], strict=True)]
    return (*here, torch.where(ahead, 1.0, -1.0).to(u))


def leaves(_: Density, u: Tensor, start: Tensor, *points: Tensor) -> tuple[Tensor, ...]:
    """The `Tree` of n = 2^j points followed one after another.

    u: (n, C) uniform, start: (C,) the energy at the beginning, points: q, r, grad (C, D) and logp (C,) of each.
    """
    n = len(u)
    if n == 1:
        q, r, grad, logp = points
        gain = start - energy(logp, r)  # (C,)
        lost = gain < -LOST
        return (r, r, r, gain, q, logp, grad, ~lost, lost, gain.exp().clamp(max=1), torch.full_like(gain, 1))
    q, r, grad, logp = (torch.stack(points[k::4]) for k in range(4))  # (n, C, D) or (n, C)
    gain = start - energy(logp, r)  # (n, C)
    chosen = (gain - (-u.clamp(min=1e-30).log()).log()).argmax(0)[None]  # a draw from softmax(gain), by Gumbel's trick
    row = chosen[..., None].expand(1, *q.shape[1:])
    picked = (q.gather(0, row)[0], logp.gather(0, chosen)[0], grad.gather(0, row)[0])
    accept = gain.exp().clamp(max=1).sum(0)
    number = torch.full_like(accept, n)
    straight, lost = ending(r, gain < -LOST)
    return (r[0], r[-1], r.sum(0), gain.logsumexp(0), *picked, straight, lost, accept, number)


def ending(r: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """Whether 2^j points go straight on, and whether they are lost before any part of them turns back.

    r: (n, C, D) momenta, lost: (n, C) points with too large an error -> (C,), (C,).
    """
    n = len(r)
    first, middle, last = (torch.tensor(x, device=r.device) for x in stretches(n))
    upto = torch.cat([torch.zeros_like(r[:1]), r.cumsum(0)])  # sums of all before: (n + 1, C, D)
    left, right = upto[middle + 1] - upto[first], upto[last + 1] - upto[middle + 1]  # (n - 1, C, D)
    onward = _onward(r[first], r[middle], r[middle + 1], r[last], left + right, left, right)
    turned_at = torch.where(onward, n, last[:, None]).amin(0)  # what lies behind was only followed because of the block
    lost_at = torch.where(lost, torch.arange(n, device=r.device)[:, None], n).amin(0)
    return torch.minimum(turned_at, lost_at) == n, (lost_at < n) & (lost_at <= turned_at)


def _onward(first, before, after, last, total, left, right) -> Tensor:
    """Whether two halves and the gap between them go on: momenta at the four ends; sums of all, left and right."""
    near, far = left + after, right + before
    ends = torch.stack([first, last, first, after, before, last])  # (6, .., D)
    sums = torch.stack([total, total, near, near, far, far])
    return ((ends * sums).sum(-1) > 0).all(0)


@cache
def stretches(n: int) -> tuple[list[int], list[int], list[int]]:
    """First, middle and last index of all halvings of n = 2^j points: stretches of 2, 4, .. n."""
    found = [(a, a + size // 2 - 1, a + size - 1) for size in _powers(n) for a in range(0, n, size)]
    first, middle, last = zip(*found, strict=True)
    return list(first), list(middle), list(last)


def _powers(n: int) -> list[int]:
    return [1 << k for k in range(1, n.bit_length())]


def joined(_: Density, u: Tensor, *both: Tensor) -> tuple[Tensor, ...]:
    """Two trees, one followed after the other; the point is drawn in proportion to their weights."""
    left, right = Tree(*both[:FIELDS]), Tree(*both[FIELDS:])
    weight = torch.logaddexp(left.weight, right.weight)
    take = u.log() < right.weight - weight
    return _merge(left, right, take)._replace(weight=weight)


def grown(_: Density, u: Tensor, *args: Tensor) -> tuple[Tensor, ...]:
    """A trajectory after a doubling forwards or backwards, and its new ends; those which go no further stay.

    A point of the new half is taken with probability min(1, its weight / the old one), if it goes straight on.
    """
    old, new, ends = Tree(*args[:FIELDS]), Tree(*args[FIELDS : 2 * FIELDS]), args[2 * FIELDS :]
    ahead, going = u[0, :, None] < 0.5, old.going
    take = (u[1].log() < new.weight - old.weight) & new.going & going
    # seen in the direction of the doubling, the old trajectory comes first
    facing = old._replace(first=torch.where(ahead, old.first, old.last), last=torch.where(ahead, old.last, old.first))
    tree = _merge(facing, new, take)
    tree = tree._replace(
        first=torch.where(ahead, tree.first, tree.last),
        last=torch.where(ahead, tree.last, tree.first),
        weight=torch.logaddexp(old.weight, new.weight),
        going=tree.going & going,
        lost=old.lost | (new.lost & going),
        accept=old.accept + new.accept * going,
        steps=old.steps + new.steps * going,
    )
    back = [torch.where(ahead, b, e) for b, e in zip(ends[:3], ends[6:], strict=True)]
    forth = [torch.where(ahead, e, f) for f, e in zip(ends[3:6], ends[6:], strict=True)]
    return (*tree, *back, *forth)


def _merge(left: Tree, right: Tree, take: Tensor) -> Tree:
    """Two halves as one, which has its point from the right one where `take`; without a weight."""
    row, total = take[:, None], left.total + right.total
    onward = _onward(left.first, left.last, right.first, right.last, total, left.total, right.total)
    return Tree(
        left.first,
        right.last,
        total,
        left.weight,
        torch.where(row, right.q, left.q),
        torch.where(take, right.logp, left.logp),
        torch.where(row, right.grad, left.grad),
        left.going & right.going & onward,
        left.lost | (right.lost & left.going),
        left.accept + right.accept,
        left.steps + right.steps,
    )
