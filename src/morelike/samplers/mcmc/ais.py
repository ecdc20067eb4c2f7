"""Annealed importance sampling: the ratio of two normalising constants, and a bound on it from either side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.kernel import Density, Kernel, Tuning

S = TypeVar("S")


class Path(Protocol[S]):
    """Unnormalised densities f_beta, from one that is known (beta = 0) to one that is wanted (beta = 1).

    The state S of the chains may hold whatever spares work, as long as `move` renews it.
    """

    def log_prob(self, beta: float, state: S) -> Tensor:
        """log f_beta of every chain: (C,)."""

    def move(self, beta: float, state: S, rng: Any) -> S:
        """A transition that leaves f_beta as it is."""


@dataclass(frozen=True)
class Annealed(Generic[S]):
    """What the chains of one annealing tell.

    log_weights  (C,) float64, log w with E[w] = Z_end / Z_begin
    state        where the chains ended
    """

    log_weights: Tensor
    state: S

    @property
    def log_ratio(self) -> Tensor:
        """log of the mean weight, an estimate of log Z_end / Z_begin that is below it in expectation: ()."""
        return torch.logsumexp(self.log_weights, 0) - math.log(len(self.log_weights))

    @property
    def ess(self) -> Tensor:
        """Effective number of chains, (sum w)^2 / sum w^2 (Kong 1992): ()."""
        return 1 / torch.softmax(self.log_weights, 0).square().sum()

    @property
    def error(self) -> Tensor:
        """Standard error of `log_ratio` by the delta method, sd(w) / (mean(w) sqrt(C)): ().

        With an `ess` of a few chains it is too small, for the weights that matter have not been seen.
        """
        n = len(self.log_weights)
        return ((n / self.ess - 1) / max(n - 1, 1)).clamp_min(0).sqrt()


def anneal(path: Path[S], state: S, betas: Sequence[float], rng: Any) -> Annealed[S]:
    """Carry chains along a path and weigh them, log w = sum_t log f_t(x_t-1) - log f_t-1(x_t-1) (Neal 2001, eq. 11).

    state   chains drawn from f at betas[0]; exactly, or E[w] is no longer the ratio
    betas   from 0 to 1 for the wanted constant. From 1 to 0, with samples of the target to begin from, for 1 / it: then
            -log_ratio is above the log of the constant in expectation (Grosse et al. 2015, section 3)
    """
    total = torch.zeros_like(path.log_prob(betas[0], state), dtype=torch.float64)
    for now, then in zip(betas[:-1], betas[1:], strict=True):
        total += path.log_prob(then, state).double() - path.log_prob(now, state).double()
        state = path.move(then, state, rng)
    return Annealed(total, state)


def resampled(up: Annealed[Any], n: int, rng: Generator | None = None) -> Tensor:
    """Which chains to take as samples of the target, each as often as its weight says (Rubin 1987): (n,) indices."""
    return torch.multinomial(torch.softmax(up.log_weights, 0), n, replacement=True, generator=rng)


class Bracket(NamedTuple):
    """log Z between two numbers, in nats: `low` from annealing up and `high` from annealing down, each () or (K,)."""

    low: Tensor
    high: Tensor


def bracket(up: Annealed[Any], downs: Sequence[Annealed[Any]], log_z0: Tensor, errors: float = 2.0) -> Bracket:
    """log Z of the target from both sides, each moved outwards by some standard errors.

    up      annealed from the base to the target
    downs   annealed from samples of the target to the base, each from samples of another kind: the highest counts, for
            samples in which a part of the target is missing make the estimate too low
    log_z0  log Z of the base: ()
    """
    low = log_z0 + up.log_ratio - errors * up.error
    highs = [log_z0 - down.log_ratio + errors * down.error for down in downs]
    return Bracket(low, torch.stack([low, *highs]).amax(0))


@dataclass(frozen=True)
class Standard:
    """log N(q; 0, I), normalised: a base to anneal from, of chains (C, D)."""

    def __call__(self, q: Tensor) -> Tensor:
        return -0.5 * (q.square() + math.log(2 * math.pi)).sum(1)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return self(q), -q


@dataclass(frozen=True)
class Blend:
    """The density (1 - beta) log base + beta log target: a `Density` of chains (C, D)."""

    base: Density
    target: Density
    beta: float

    def __call__(self, q: Tensor) -> Tensor:
        return _mix(self.beta, self.base(q), self.target(q))

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        (base, base_grad), (target, target_grad) = self.base.grad(q), self.target.grad(q)
        return _mix(self.beta, base, target), _mix(self.beta, base_grad, target_grad)


def _mix(beta: float, base: Tensor, target: Tensor) -> Tensor:
    """(1 - beta) a + beta b, which at the ends does not look at the other: it may be infinite there."""
    return base if beta == 0 else target if beta == 1 else (1 - beta) * base + beta * target


class Place(NamedTuple):
    """Positions (C, D) and both log densities there (C,)."""

    q: Tensor
    base: Tensor
    target: Tensor


@dataclass(frozen=True)
class Geometric:
    """The geometric path f_beta = base^(1 - beta) target^beta, along which any kernel moves (Neal 2001, eq. 3).

    base, target  densities of real vectors; chains begin from samples of the base
    steps         transitions of the kernel at each beta
    """

    base: Density
    target: Density
    kernel: Kernel
    tuning: Tuning
    steps: int = 1

    def place(self, q: Tensor) -> Place:
        """The state of chains that stand at q: (C, D)."""
        return Place(q, self.base(q), self.target(q))

    def log_prob(self, beta: float, state: Place) -> Tensor:
        return _mix(beta, state.base, state.target)

    def move(self, beta: float, state: Place, rng: Generator) -> Place:
        density = Blend(self.base, self.target, beta)
        inner = self.kernel.init(density, state.q)
        for _ in range(self.steps):
            inner, _ = self.kernel.step(density, inner, self.tuning, rng)
        return self.place(inner.q)
