"""The no-U-turn sampler: Hamiltonian Monte Carlo that finds the length of each trajectory itself.

All chains double their trajectories together. The steps of a doubling are followed first and looked at afterwards, all
at once: that takes a tenth of the operations of a look after every step, at the price of some steps of a chain which
would have stopped within a doubling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.doubling import FIELDS, Tree, grown_by_points, grown_by_tree, joined, leaves
from morelike.samplers.mcmc.graph import call
from morelike.samplers.mcmc.hmc import Probe
from morelike.samplers.mcmc.kernel import Density, State, Tuning, begin
from morelike.samplers.mcmc.leapfrog import energy, leapfrog

BLOCK = 4  # 2^4 steps are looked at together; longer trajectories may stop between such blocks


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
        point = torch.stack([state.q, r, state.grad])
        tree, depth = Tree(r, r, r, zero, point, state.logp, yes, ~yes, zero, zero), zero
        ends: Sequence[Tensor] = (point, point)
        here: Sequence[Tensor] = (state.q, r, state.grad)
        path = Path(density, start, tuning, rng)
        ahead = torch.rand((self.max_depth + 1, len(r)), device=r.device, generator=rng) < 0.5
        sign = torch.where(ahead, 1.0, -1.0).to(r)[..., None]
        for j in range(self.max_depth):
            depth = depth + tree.going
            new = path.follow(j, here, sign[j], tree.going)
            u = torch.rand(start.shape, dtype=r.dtype, device=r.device, generator=rng)
            found = call(new.grown, density, u, ahead[j : j + 2], start, *tree, *ends, *new.parts)
            tree, ends, here = Tree(*found[:FIELDS]), found[FIELDS : FIELDS + 2], found[FIELDS + 2 :]
            if not tree.going.any():
                break
        info = NutsInfo(tree.accept / tree.steps, start, tree.lost, tree.steps, depth, tree.going)
        return State(tree.point[0], tree.logp, tree.point[2]), info


class Path:
    """Trajectories followed step by step, and looked at in blocks."""

    def __init__(self, density: Density, start: Tensor, tuning: Tuning, rng: Generator) -> None:
        self.density, self.start, self.rng = density, start, rng
        self.step, self.scale = tuning.step.to(start), tuning.metric.scale

    def follow(self, j: int, here: Sequence[Tensor], sign: Tensor, growing: Tensor) -> Stretch:
        """2^j steps on from q, r, grad."""
        if j <= BLOCK:
            return Stretch(grown_by_points, self._points(1 << j, here, sign))
        tree, end = self._tree(j, here, sign, growing)
        return Stretch(grown_by_tree, (*tree, torch.stack(list(end))))

    def _tree(self, j: int, here: Sequence[Tensor], sign: Tensor, growing: Tensor) -> tuple[Tree, Sequence[Tensor]]:
        """The tree of 2^j steps, and q, r, grad where they end."""
        if j <= BLOCK:
            u, *points = self._points(1 << j, here, sign)
            return Tree(*call(leaves, self.density, u, self.start, *points)), points[-4:-1]
        tree, end = self._tree(j - 1, here, sign, growing)
        if not bool((tree.going & growing).any()):
            return tree, end
        more, end = self._tree(j - 1, end, sign, growing)
        u = torch.rand(self.start.shape, dtype=sign.dtype, device=sign.device, generator=self.rng)
        return Tree(*call(joined, self.density, u, *tree, *more)), end

    def _points(self, n: int, here: Sequence[Tensor], sign: Tensor) -> list[Tensor]:
        """Uniform numbers (n, C), then q, r, grad, log p of each of n steps."""
        q, r, grad = here
        eps = self.step * sign
        points = [torch.rand((n, len(q)), dtype=q.dtype, device=q.device, generator=self.rng)]
        for _ in range(n):
            q, r, grad, logp = call(leapfrog, self.density, q, r, grad, eps, self.scale)
            points += [q, r, grad, logp]
        return points


class Stretch(NamedTuple):
    """What has been followed in a doubling: parts, and the function by which a trajectory grows by them."""

    grown: Callable[..., tuple[Tensor, ...]]
    parts: Sequence[Tensor]
