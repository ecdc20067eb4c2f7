"""What every Markov chain kernel is: `init` and `step`, pure functions over a batch of chains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.metric import Metric

NONE = torch.empty(0)


class Density(Protocol):
    """An unnormalised log density of real vectors (or whole numbers), of many chains at once."""

    def __call__(self, q: Tensor) -> Tensor:
        """log p(q) + constant: (C, D) -> (C,)."""

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The same and its gradient: (C, D) -> (C,), (C, D)."""


class State(NamedTuple):
    """What must survive from one step to the next.

    q     (C, D) positions, one row for each chain
    logp  (C,) log density there
    grad  (C, D) its gradient; empty for kernels that use none
    """

    q: Tensor
    logp: Tensor
    grad: Tensor = NONE


class Info(NamedTuple):
    """What a step may tell, and a user may drop; every entry (C,).

    accept     probability of acceptance, the mean over a trajectory where there is one
    energy     H = -log p(q) + kinetic energy; of kernels without a momentum -log p(q)
    diverging  whether the integrator lost the trajectory
    evals      evaluations of the density or of its gradient
    """

    accept: Tensor
    energy: Tensor
    diverging: Tensor
    evals: Tensor


@dataclass(frozen=True)
class Tuning:
    """What warm-up finds out and a step is told.

    step    size of a step, in units of the metric: ()
    metric  the shape of the density, as far as it is known
    length  integration time of kernels that have one: ()
    centre  where the chains have been, on average: (D,); empty where that is unknown
    """

    metric: Metric
    step: Tensor = field(default_factory=lambda: torch.tensor(0.1))
    length: Tensor = field(default_factory=lambda: torch.tensor(1.0))
    centre: Tensor = NONE


class Kernel(Protocol):
    """A way to move many chains so that their density stays what it is.

    target    mean probability of acceptance that suits it; None: its step is not adapted
    gradient  whether it needs `Density.grad`
    discrete  whether it moves whole numbers instead of real ones
    """

    target: ClassVar[float | None]
    gradient: ClassVar[bool]
    discrete: ClassVar[bool]

    def init(self, density: Density, q: Tensor) -> Any:
        """The state of chains that stand at q: (C, D)."""

    def step(self, density: Density, state: Any, tuning: Tuning, rng: Generator) -> tuple[Any, Info]:
        """One transition of every chain."""


def differentiated(log_prob: Callable[[Tensor], Tensor], q: Tensor) -> tuple[Tensor, Tensor]:
    """A log density of rows that do not depend on each other, and its gradient: q (C, D) -> (C,), (C, D)."""
    with torch.inference_mode(False), torch.enable_grad():
        q = q.clone().detach().requires_grad_()  # a tensor of inference mode cannot be differentiated, its copy can
        value = log_prob(q)
        (slope,) = torch.autograd.grad(value.sum(), q)
    return value.detach(), slope


def begin(density: Density, q: Tensor, gradient: bool) -> State:
    """The state of chains that stand at q: (C, D)."""
    return State(q, *density.grad(q)) if gradient else State(q, density(q))


def choose(accepted: Tensor, new: State, old: State) -> State:
    """New where accepted, else old: the states of chains one by one; accepted: (C,)."""
    row = accepted[:, None]
    grad = torch.where(row, new.grad, old.grad) if new.grad.numel() else new.grad
    return State(torch.where(row, new.q, old.q), torch.where(accepted, new.logp, old.logp), grad)


def uniform(rng: Generator, like: Tensor) -> Tensor:
    """Numbers in [0, 1), one for every entry of `like`."""
    return torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=rng)


def normal(rng: Generator, like: Tensor) -> Tensor:
    """Standard normal numbers, one for every entry of `like`."""
    return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=rng)
