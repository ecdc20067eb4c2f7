"""Tempered sequential Monte Carlo: a population carried from a known distribution to a wanted one, and the evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError, TrainingError
from morelike.samplers.mcmc import metropolis
from morelike.samplers.mcmc.bridge import Bridge
from morelike.samplers.mcmc.kernel import Density, Tuning, normal
from morelike.samplers.mcmc.metric import Metric

MOST = 500  # temperatures before a run is given up
HALVINGS = 50  # of the interval in which the next temperature is sought


class Base(Protocol):
    """A normalised distribution to begin from: a `Density` that can be drawn from."""

    def __call__(self, q: Tensor) -> Tensor:
        """log base(q), with its constant: (n, D) -> (n,)."""

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The same and its gradient: (n, D) -> (n,), (n, D)."""

    def draw(self, n: int, rng: Generator) -> Tensor:
        """Independent draws: (n, D)."""


@dataclass(frozen=True)
class Gaussian:
    """N(mean, diag(sd^2)); mean, sd: (D,)."""

    mean: Tensor
    sd: Tensor

    def __call__(self, q: Tensor) -> Tensor:
        z = (q - self.mean) / self.sd
        return -0.5 * z.square().sum(1) - self.sd.log().sum() - 0.5 * math.log(2 * math.pi) * len(self.mean)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return self(q), (self.mean - q) / self.sd**2

    def draw(self, n: int, rng: Generator) -> Tensor:
        return self.mean + self.sd * normal(rng, self.mean.expand(n, -1))


class Particles(NamedTuple):
    """What a run gives.

    q             (I N, D) positions, island after island
    log_weights   (I N,) float64, normalised: the logsumexp is nought
    log_evidence  log of the integral of the density: ()
    error         its standard error, out of the differences between islands: (); nan for a single one
    islands       (I,) log evidence of each island
    betas         temperatures of each island, one tensor (I,) for each stage
    accept        (I,) mean acceptance of the last stage
    """

    q: Tensor
    log_weights: Tensor
    log_evidence: Tensor
    error: Tensor
    islands: Tensor
    betas: list[Tensor]
    accept: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """The weighted mean of values of every particle: (I N, *) -> (*)."""
        weights = self.log_weights.exp().unflatten(0, (-1, *[1] * (values.dim() - 1)))
        return (weights * values.double()).sum(0)


@dataclass(frozen=True)
class Plan:
    """How a run is made.

    particles  of each island
    islands    independent populations
    kernel     that moves the particles; its step follows its rate of acceptance, its metric their covariance
    moves      steps of the kernel at each temperature
    ess        share of the particles that the weights of a new temperature leave effective
    """

    particles: int = 512
    islands: int = 8
    kernel: Any = field(default_factory=metropolis.Kernel)
    moves: int = 10
    ess: float = 0.5

    def __post_init__(self) -> None:
        if self.particles < 2 or self.islands < 1 or self.moves < 1 or not 0 < self.ess < 1 or self.kernel.discrete:
            raise OptionError(
                f"A run of {self.islands} islands of {self.particles} particles, moves={self.moves}, ess={self.ess}",
                "At least two particles, one island and one move of a kernel of real numbers, ess between 0 and 1",
                "Leave them out, or choose for instance particles=512, islands=8, moves=10, ess=0.5",
            )


@torch.no_grad()
def smc(density: Density, base: Base, rng: Generator, plan: Plan | None = None) -> Particles:
    """Weighted draws of a density and the log of its integral, along base^(1 - beta) density^beta (Del Moral, Doucet
    and Jasra 2006, section 3.1.1; temperatures as in Jasra et al. 2011).

    Each island for itself: the next beta is where the weights' effective size falls to a share of the particles; these
    are drawn anew by their weights (systematic resampling) and moved. E[Z] is the product of the mean weights.

    density  unnormalised, of (I N, D) at once
    """
    plan = plan or Plan()
    q = base.draw(plan.islands * plan.particles, rng)
    walk = _Walk(density, base, plan, _step(plan, q.shape[1]), q, rng)
    while bool((walk.beta < 1).any()):
        if len(walk.betas) == MOST:
            raise TrainingError(
                f"After {MOST} temperatures beta is {float(walk.beta.min()):.3g}, not 1",
                "A base that covers the density, and a kernel that moves the particles",
                "Widen the base, give more particles, or look for places where the density is nan",
            )
        walk.stage()
    return walk.result()


def _step(plan: Plan, dims: int) -> float:
    return 2.38 / dims**0.5 if not plan.kernel.gradient else 0.5 * dims**-0.25


class _Walk:
    """The populations as they are; all per-island numbers are (I,)."""

    def __init__(self, density: Density, base: Base, plan: Plan, step: float, q: Tensor, rng: Generator) -> None:
        self.density, self.base, self.plan, self.q, self.rng = density, base, plan, q, rng
        self.tuning = Tuning(Metric.unit(q), torch.tensor(step).to(q), torch.tensor(1.0).to(q))
        self.beta = torch.zeros(plan.islands, dtype=torch.float64, device=q.device)
        self.log_z, self.accept = torch.zeros_like(self.beta), torch.ones_like(self.beta)
        self.width = torch.ones_like(self.beta)
        self.betas = [self.beta]

    def stage(self) -> None:
        """One temperature: weigh, draw anew, move."""
        flat = Bridge(self.density, self.base, self.beta.to(self.q), self.q.new_ones(len(self.beta), 1, 1))
        height = flat.likelihood(self.q).double().nan_to_num(-torch.inf, neginf=-torch.inf)
        height = height.unflatten(0, (len(self.beta), -1))  # (I, N)
        if bool((height == -torch.inf).all(1).any()):
            raise TrainingError(
                "The density is 0 (or not a number) at every particle of an island",
                "A base of which some draws have a positive density",
                "Choose a base nearer to it, or more particles",
            )
        self.beta, log_w = _next(self.beta, height, self.plan.ess * height.shape[1])
        self.betas.append(self.beta)
        self.log_z = self.log_z + log_w.logsumexp(1) - math.log(height.shape[1])
        self.q = self.q[_systematic(log_w, self.rng)]
        self._move()

    def _move(self) -> None:
        scale, shift = _shape(self.q.unflatten(0, (len(self.beta), -1)))
        wide = scale * self.width.to(scale)[:, None, None]
        bridge = Bridge(self.density, self.base, self.beta.to(scale), wide, shift)
        state, told = self.plan.kernel.init(bridge, bridge.back(self.q)), []
        for _ in range(self.plan.moves):
            state, info = self.plan.kernel.step(bridge, state, self.tuning, self.rng)
            told.append(info.accept.double().nan_to_num(0.0).unflatten(0, (len(self.beta), -1)).mean(1))
        self.q, self.accept = bridge.forth(state.q), torch.stack(told).mean(0)
        if self.plan.kernel.target is not None:
            self.width = (self.width * (2 * (self.accept - self.plan.kernel.target)).exp()).clamp(1e-4, 1e2)

    def result(self) -> Particles:
        """The islands together: each weighs as much as the evidence that it found."""
        islands = len(self.log_z)
        together = self.log_z.logsumexp(0) - math.log(islands)
        error = (self.log_z - together).exp().std() / islands**0.5 if islands > 1 else together * torch.nan
        weights = torch.log_softmax(self.log_z, 0).repeat_interleave(self.plan.particles) - math.log(
            self.plan.particles
        )
        return Particles(self.q, weights, together, error, self.log_z, self.betas, self.accept)


def _next(beta: Tensor, height: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """The next beta of each island and the log weights of its particles: (I,), (I, N)."""
    low, high = torch.zeros_like(beta), 1 - beta

    def weigh(by: Tensor) -> Tensor:
        return torch.where(by[:, None] > 0, by[:, None] * height, 0.0)

    def enough(by: Tensor) -> Tensor:
        return 1 / torch.softmax(weigh(by), 1).square().sum(1) >= least

    whole = enough(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fine = enough(middle)
        low, high = torch.where(fine, middle, low), torch.where(fine, high, middle)
    by = torch.where(whole, 1 - beta, high)
    return torch.where(whole, 1.0, beta + by), weigh(by)


def _systematic(log_w: Tensor, rng: Generator) -> Tensor:
    """Rows of a new population, drawn with one random number for each island (Kitagawa 1996): (I, N) -> (I N,)."""
    islands, n = log_w.shape
    u = torch.rand(islands, 1, dtype=log_w.dtype, device=log_w.device, generator=rng)
    reached = torch.softmax(log_w, 1).cumsum(1)
    picked = torch.searchsorted(reached, (u + torch.arange(n, device=log_w.device)) / n * reached[:, -1:], right=True)
    return (picked.clamp_max(n - 1) + n * torch.arange(islands, device=log_w.device)[:, None]).flatten()


def _shape(q: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in which an island is round: (I, N, D) -> scale (I, D, D) or (I, 1, D), shift (I, 1, D)."""
    shift = q.mean(1, keepdim=True)
    sd = q.std(1, keepdim=True).clamp_min(1e-10 * (1 + shift.abs()))
    if q.shape[1] < 5 * q.shape[2] or q.shape[2] == 1:
        return sd, shift
    z = (q - shift) / sd
    corr = z.mT @ z / (q.shape[1] - 1)
    ridge = 1e-3 * torch.eye(q.shape[2], dtype=q.dtype, device=q.device)
    return sd.mT * torch.linalg.cholesky(corr * (1 - 1e-3) + ridge), shift
