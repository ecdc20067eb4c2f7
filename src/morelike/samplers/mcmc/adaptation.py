"""Warm-up: the step, the metric and the length of trajectories are learnt from all chains together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp, log, sqrt
from typing import Any

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.kernel import Density, Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric

UPDATES = (0.025, 0.05, 0.1, 0.175, 0.3, 0.5, 0.8)  # shares of the warm-up after which the metric is learnt anew
SEEN = 1 / 3  # a metric is learnt from what came after this share of the steps before it
DENSE = 1000  # most dimensions of a dense metric, where the choice is left to us
ENOUGH = 1.3  # draws for every dimension that a dense metric takes, beside as many gradients


@dataclass(frozen=True)
class Warmup:
    """How a run is warmed up.

    steps   of every chain
    metric  auto | dense | diag | unit
    target  mean probability of acceptance to aim at; None: what suits the kernel
    step    first size of a step; kernels without a target keep it
    """

    steps: int = 1000
    metric: str = "auto"
    target: float | None = None
    step: float = 0.1

    def __post_init__(self) -> None:
        if self.metric not in ("auto", "dense", "diag", "unit"):
            raise OptionError(f'The metric is "{self.metric}"', "auto, dense, diag or unit", "Choose one of these")
        if self.target is not None and not 0 < self.target < 1:
            raise OptionError(
                f"target is {self.target}", "A probability between 0 and 1", "Try 0.8, or 0.95 to be careful"
            )


class DualAveraging:
    """Nesterov's dual averaging of the log of a step (Hoffman & Gelman 2014, eq. 6; gamma .05, t_0 10, kappa .75)."""

    def __init__(self, step: float, target: float) -> None:
        self.target, self.mu = target, log(10 * max(step, 1e-30))
        self.error = self.mean = 0.0
        self.t = 0

    def update(self, accept: float) -> float:
        """The next step to try, after one with this probability of acceptance."""
        self.t += 1
        self.error += (self.target - accept - self.error) / (self.t + 10)
        now = self.mu - sqrt(self.t) / 0.05 * self.error
        self.mean += self.t**-0.75 * (now - self.mean)
        return exp(now)

    def final(self) -> float:
        return exp(self.mean)


class Ascent:
    """Adam on the log of a trajectory's length (Hoffman, Radul & Sountsov 2021, algorithm 1)."""

    def __init__(self, rate: float = 0.025) -> None:
        self.rate, self.first, self.second, self.t, self.mean = rate, 0.0, 0.0, 0, 0.0

    def update(self, length: float, slope: float) -> float:
        self.t += 1
        self.first += 0.1 * (slope - self.first)
        self.second += 0.05 * (slope**2 - self.second)
        first, second = self.first / (1 - 0.9**self.t), self.second / (1 - 0.95**self.t)
        now = log(length) + self.rate * first / (sqrt(second) + 1e-12)
        self.mean += self.t**-0.5 * (now - self.mean)
        return exp(now)


@torch.no_grad()
def warm(
    kernel: Kernel, density: Density, state: Any, rng: Generator, plan: Warmup
) -> Iterator[tuple[Any, Tuning, Any]]:
    """Walk `plan.steps` steps, and yield after each the state, what has been learnt, and the info of the step."""
    tuning = Tuning(Metric.unit(state.q), torch.tensor(plan.step).to(state.q), centre=state.q.mean(0))
    target = plan.target or kernel.target
    if target is not None:
        tuning = first_step(kernel, density, state, tuning, rng, target)
    shaped = plan.metric != "unit" and not kernel.discrete
    updates = {max(2, round(plan.steps * share)) for share in UPDATES} if shaped else set()
    tuner = DualAveraging(float(tuning.step), target or 0.5)
    longer, seen = Ascent(), list[tuple[Tensor, Tensor]]()
    for i in range(1, plan.steps + 1):
        if hasattr(kernel, "step_and_slope"):
            state, info, slope = kernel.step_and_slope(density, state, tuning, rng)
            tuning = replace(tuning, length=torch.tensor(longer.update(float(tuning.length), slope)).to(state.q))
        else:
            state, info = kernel.step(density, state, tuning, rng)
        seen.append((state.q, state.grad if kernel.gradient else state.q[:0]))
        if target is not None:
            step = tuner.update(float(info.accept.nan_to_num(0.0).mean()))
            tuning = replace(tuning, step=torch.tensor(step).to(state.q))
        if i in updates:
            tuning = learnt(seen[int(i * SEEN) :], tuning, plan.metric)
            if target is not None:
                tuning = first_step(kernel, density, state, tuning, rng, target)
                tuner = DualAveraging(float(tuning.step), target)
        if i == plan.steps:
            tuning = _settled(tuning, tuner if target is not None else None, longer)
        yield state, tuning, info


def _settled(tuning: Tuning, tuner: DualAveraging | None, longer: Ascent) -> Tuning:
    if tuner is not None and tuner.t:
        tuning = replace(tuning, step=torch.tensor(tuner.final()).to(tuning.step))
    if longer.t:
        tuning = replace(tuning, length=torch.tensor(exp(longer.mean)).to(tuning.step))
    return tuning


def first_step(kernel: Kernel, density: Density, state: Any, tuning: Tuning, rng: Generator, target: float) -> Tuning:
    """The tuning with a step that is accepted about as often as it should be, found by doubling or halving.

    Kernels of long trajectories try theirs with one step of the integrator (Hoffman & Gelman 2014, algorithm 4).
    """
    up: bool | None = None
    probe = getattr(kernel, "probe", kernel)
    for _ in range(60):
        accept = float(probe.step(density, state, tuning, rng)[1].accept.nan_to_num(0.0).mean())
        if up is None:
            up = accept > target
        elif up != (accept > target):
            return tuning
        tuning = replace(tuning, step=tuning.step * (2.0 if up else 0.5))
    return tuning


def learnt(seen: list[tuple[Tensor, Tensor]], tuning: Tuning, kind: str) -> Tuning:
    """The tuning with the metric and centre of these positions and gradients; empty gradients are none."""
    q, grad = torch.cat([a for a, _ in seen]), torch.cat([b for _, b in seen])
    if len(grad):
        fine = grad.isfinite().all(1)
        q, grad = q[fine], grad[fine]
    if len(q) < 4:
        return tuning
    return replace(tuning, metric=estimate(q, grad if len(grad) else None, kind), centre=q.mean(0))


def estimate(q: Tensor, grad: Tensor | None, kind: str) -> Metric:
    """The metric in which positions and gradients vary alike: (n, D), (n, D) or None.

    Sigma cov(g) Sigma = cov(q) has the solution Sigma = cov(q) # cov(g)^-1, a geometric mean. It minimises the Fisher
    divergence to a Gaussian, and is exact on a Gaussian however few the draws (Seyboldt, Carlson & Carpenter 2026).
    Without gradients it is cov(q).
    """
    n, dim = q.shape
    spread = q.std(0).clamp(min=1e-10)
    if grad is not None:
        steep = grad.std(0)
        spread = torch.where(steep > 0, (spread / steep.clamp(min=1e-20)).sqrt(), spread)
    spread = torch.where(spread.isfinite(), spread, 1.0)
    enough = n >= ENOUGH * dim and dim <= DENSE
    if dim == 1 or kind == "diag" or (kind == "auto" and not enough):
        return Metric(spread)
    few = min(1.0, dim / n) * (1e-3 if enough else 0.5)  # how much of the diagonal a covariance of few draws is given
    a = _covariance(q / spread, few)
    b = _covariance(grad * spread, few) if grad is not None else None
    if not bool(a.isfinite().all()) or (b is not None and not bool(b.isfinite().all())):
        return Metric(spread)
    root, failed = torch.linalg.cholesky_ex(a if b is None else mean_of(a, b))
    return Metric(spread if bool(failed) else spread[:, None] * root)  # chains that run away have no covariance


def _covariance(x: Tensor, few: float) -> Tensor:
    a = torch.atleast_2d(torch.cov(x.T))
    return (1 - few) * a + few * torch.diag(a.diagonal().clamp(min=1e-10))


def mean_of(a: Tensor, b: Tensor) -> Tensor:
    """The geometric mean a # b^-1 of positive definite matrices, the solution x of x b x = a: (D, D)."""
    value, vector = torch.linalg.eigh(b)
    value = value.clamp(min=value.max() * 1e-12)
    root, inverse = (vector * value.sqrt()) @ vector.T, (vector / value.sqrt()) @ vector.T
    value, vector = torch.linalg.eigh(root @ a @ root)
    value = value.clamp(min=value.max() * 1e-12)
    x = inverse @ (vector * value.sqrt()) @ vector.T @ inverse
    return 0.5 * (x + x.T)
