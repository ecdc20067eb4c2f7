"""A guess at a posterior made better: latents carried from q(z|x) to p(z|x), with a bound on log p(x) on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from morelike.samplers.mcmc.ais import Geometric, Place, Standard, anneal
from morelike.samplers.mcmc.hmc import Kernel
from morelike.samplers.mcmc.kernel import Tuning, differentiated
from morelike.samplers.mcmc.metric import Metric

ACCEPT = 0.8  # the probability of acceptance that the pilot looks for


class Refined(NamedTuple):
    """What `refine` finds.

    z      (k, B, L) latents close to p(z|x), k of each item
    bound  (B,) log of the mean of k weights: below log p(x) in expectation, in nats
    """

    z: Tensor
    bound: Tensor


@dataclass(frozen=True)
class Whitened:
    """log p(x, z) at z = mean + scale q, the change of variables included; rows may be of different items."""

    joint: Callable[[Tensor], Tensor]
    mean: Tensor
    scale: Tensor

    def __call__(self, q: Tensor) -> Tensor:
        return self.joint(self.mean + self.scale * q) + self.scale.log().sum(1)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return differentiated(self, q)


@torch.no_grad()
def refine(
    joint: Callable[[Tensor], Tensor], mean: Tensor, scale: Tensor, rng: Generator, k: int = 4, levels: int = 50
) -> Refined:
    """Annealed importance sampling from a Gaussian guess to the posterior, by HMC (Wu et al. 2017, section 3).

    joint        log p(x, z) of k copies of a batch, one after the other: (k B, L) -> (k B,)
    mean, scale  (B, L) of q(z|x)
    k            chains for each item
    levels       densities between the guess and the posterior; more make the bound tighter
    """
    mean_k, scale_k = mean.repeat(k, 1), scale.repeat(k, 1)
    target = Whitened(joint, mean_k, scale_k)
    tuning = Tuning(Metric.unit(mean), torch.tensor(0.3).to(mean))
    path = Geometric(Standard(), target, Kernel(length=0.6), tuning)
    betas = [(1 - math.cos(math.pi * i / levels)) / 2 for i in range(levels + 1)]
    path = _tuned(path, betas[:: max(1, levels // 10)], torch.randn(mean_k.shape, generator=rng).to(mean), rng)
    end = anneal(path, path.place(torch.randn(mean_k.shape, generator=rng).to(mean)), betas, rng)
    bound = end.log_weights.view(k, -1).logsumexp(0) - math.log(k)
    return Refined((mean_k + scale_k * end.state.q).view(k, *mean.shape), bound.to(mean.dtype))


def _tuned(path: Geometric, betas: list[float], u: Tensor, rng: Generator) -> Geometric:
    """The same path with a step that a pilot run finds; a run that changed it on its way would not be a bound."""
    state: Place = path.place(u)
    step = path.tuning.step
    for beta in betas[1:]:
        before = state.q
        state = path.move(beta, state, rng)
        moved = (state.q != before).any(1).double().mean()
        step = step * math.exp(float(moved) - ACCEPT)
        path = replace(path, tuning=replace(path.tuning, step=step))
    return path
