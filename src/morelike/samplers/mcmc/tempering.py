"""Parallel tempering: hot chains cross the valleys of a density, and hand what they find to the cold one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import metropolis
from morelike.samplers.mcmc.bridge import Bridge
from morelike.samplers.mcmc.kernel import NONE, Density, Info, State, Tuning, uniform


class Ladder(NamedTuple):
    """The cold chains as in `State`, and all R rungs beneath.

    inner     the inner kernel's state of R C chains, rung after rung, in coordinates of their own
    odd       whether the next swaps are of odd pairs: ()
    accepted  sum of the probabilities of acceptance of swaps, for each pair of rungs: (R - 1,)
    tried     how many chains tried: (R - 1,)
    """

    q: Tensor
    logp: Tensor
    grad: Tensor
    inner: Any
    odd: Tensor
    accepted: Tensor
    tried: Tensor

    @property
    def rejection(self) -> Tensor:
        """Share of swaps between neighbours that were refused: (R - 1,)."""
        return 1 - self.accepted / self.tried.clamp_min(1)


@dataclass(frozen=True)
class Kernel:
    """Every chain is a ladder of R, with densities p^beta, 1 = beta_1 > .. > beta_R. All take a step of the inner
    kernel, in one batch; then neighbours swap positions with probability min(1, exp((beta_i - beta_j)(l_j - l_i))),
    l = log p, even and odd pairs in turn (Okabe et al. 2001; Syed et al. 2022, algorithm 1, not reversible: a position
    that climbs goes on climbing). A density with a `base`, such as a prior, is tempered to base^(1 - beta) p^beta.

    inner    kernel that moves the rungs; its step and metric are those of the cold rung, times beta^-1/2 in hotter ones
    rungs    R, spaced so that beta falls by a constant factor
    hottest  beta_R
    betas    instead of both; see `fitted`
    """

    inner: Any = field(default_factory=metropolis.Kernel)
    rungs: int = 8
    hottest: float = 0.02
    betas: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        falling = all(a > b for a, b in zip(self.ladder, self.ladder[1:], strict=False))
        if len(self.ladder) < 2 or self.ladder[0] != 1 or not falling or self.ladder[-1] < 0:
            raise OptionError(
                f"The temperatures are beta = {self.ladder}",
                "At least two, which fall from 1 and are not below 0",
                "Give for instance rungs=8, hottest=0.02",
            )

    @property
    def target(self) -> float | None:
        return self.inner.target

    @property
    def gradient(self) -> bool:
        return self.inner.gradient

    @property
    def discrete(self) -> bool:
        return self.inner.discrete

    @property
    def ladder(self) -> tuple[float, ...]:
        """beta of every rung, the coldest first."""
        if self.betas or self.rungs < 2 or not 0 < self.hottest < 1:
            return self.betas
        return tuple(self.hottest ** (i / (self.rungs - 1)) for i in range(self.rungs))

    def init(self, density: Density, q: Tensor) -> Ladder:
        bridge = self._bridge(density, q)
        inner = self.inner.init(bridge, bridge.back(q.repeat(len(bridge.beta), 1)))
        none = torch.zeros(len(bridge.beta) - 1, dtype=q.dtype, device=q.device)
        return self._state(inner, len(q), torch.zeros((), dtype=torch.bool, device=q.device), none, none)

    def step(self, density: Density, state: Ladder, tuning: Tuning, rng: Generator) -> tuple[Ladder, Info]:
        bridge, chains = self._bridge(density, state.q), len(state.q)
        inner, told = self.inner.step(bridge, state.inner, tuning, rng)
        rungs = len(bridge.beta)
        q = bridge.forth(inner.q)
        height = self._height(bridge, inner, q).unflatten(0, (rungs, chains))
        accept = ((bridge.beta[:-1] - bridge.beta[1:])[:, None] * (height[1:] - height[:-1])).clamp_max(0).exp()
        accept = accept.nan_to_num(0.0)  # (R - 1, C)
        turn = (torch.arange(rungs - 1, device=q.device) % 2 == state.odd)[:, None]
        swap = (uniform(rng, accept) < accept) & turn
        inner = self._swapped(bridge, inner, q, height, swap)
        tried = state.tried + chains * turn[:, 0]
        accepted = state.accepted + (accept * turn).sum(1)
        new = self._state(inner, chains, ~state.odd, accepted, tried)
        rows = (rungs, chains)
        evals = told.evals.unflatten(0, rows).sum(0)
        return new, Info(told.accept.unflatten(0, rows).mean(0), -new.logp, told.diverging[:chains], evals)

    def _bridge(self, density: Density, q: Tensor) -> Bridge:
        beta, base = torch.tensor(self.ladder).to(q), getattr(density, "base", None)
        if base is None and self.ladder[-1] == 0:
            raise OptionError(
                "The hottest rung has beta = 0, and the density has no base to fall back on",
                "A beta above 0: p^0 has no end",
                "Give for instance hottest=0.02, or a density with a `base`",
            )
        plain = self.discrete or base is not None
        return Bridge(density, base, beta, (torch.ones_like(beta) if plain else beta.rsqrt())[:, None, None])

    def _state(self, inner: Any, chains: int, odd: Tensor, accepted: Tensor, tried: Tensor) -> Ladder:
        grad = inner.grad[:chains] if self.gradient else NONE
        return Ladder(inner.q[:chains], inner.logp[:chains], grad, inner, odd, accepted, tried)

    def _height(self, bridge: Bridge, inner: Any, q: Tensor) -> Tensor:
        """log p - log base of every chain, out of what the inner kernel knows where that will do: (R C,)."""
        if bridge.base is None:
            return inner.logp / bridge.beta.repeat_interleave(len(q) // len(bridge.beta))
        return bridge.likelihood(q)

    def _swapped(self, bridge: Bridge, inner: Any, q: Tensor, height: Tensor, swap: Tensor) -> Any:
        """The inner state after swaps of rung i and i + 1; swap: (R - 1, C)."""
        rungs, chains = height.shape
        none = torch.zeros_like(swap[:1])
        rung = torch.arange(rungs, device=q.device)[:, None]
        source = rung + torch.cat([swap, none]).long() - torch.cat([none, swap]).long()  # (R, C): which rung it was on
        row = (source * chains + torch.arange(chains, device=q.device)).flatten()
        z = bridge.back(q[row])
        if bridge.base is not None or type(inner) is not State:
            return self.inner.init(bridge, z)
        logp = height.flatten()[row] * bridge.beta.repeat_interleave(chains)
        if not self.gradient:
            return State(z, logp)
        width = (bridge.beta * bridge.scale[:, 0, 0]).repeat_interleave(chains)[:, None]
        return State(z, logp, (inner.grad / width)[row] * width)


def fitted(kernel: Kernel, density: Density, q: Tensor, tuning: Tuning, rng: Generator, steps: int = 200) -> Kernel:
    """The kernel with as many temperatures, spaced for equally frequent swaps (Syed et al. 2022, algorithm 4).

    The sum of the rates of rejection from 1 to beta, a barrier, hardly depends on the spacing: it is cut into equal
    parts, three times over. To be called before warm-up ends: temperatures that follow the chains for ever would bend
    their law.

    q      (C, D) where chains stand
    steps  of each of the three rounds
    """
    for _ in range(3):
        state = kernel.init(density, q)
        for _ in range(steps):
            state, _ = kernel.step(density, state, tuning, rng)
        kernel, q = replace(kernel, betas=_even(kernel.ladder, state.rejection.tolist())), state.q
    return kernel


def _even(betas: tuple[float, ...], rejection: list[float]) -> tuple[float, ...]:
    """Betas between which the barrier is cut into equal parts; along log beta, where the hottest is above 0."""
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejection, 1e-3))])
    cuts = np.linspace(0, barrier[-1], len(barrier))
    between = np.exp(np.interp(cuts, barrier, np.log(betas))) if betas[-1] > 0 else np.interp(cuts, barrier, betas)
    return (1.0, *map(float, between[1:-1]), betas[-1])
