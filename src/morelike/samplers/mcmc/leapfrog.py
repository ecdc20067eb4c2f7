"""The leapfrog integrator in whitened momenta, which HMC and its kin share."""

from __future__ import annotations

from torch import Tensor

from morelike.samplers.mcmc.kernel import Density
from morelike.samplers.mcmc.metric import Metric

LOST = 1000.0  # an error of the energy from which on a trajectory counts as lost (Betancourt 2017, 6.2), in nats


def leapfrog(density: Density, q: Tensor, r: Tensor, grad: Tensor, step: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
    """One step of Hamilton's equations, reversible and volume preserving (Neal 2011, eq. 2.28-2.30).

    With M = (L L')^-1 and p = L^-T r: r += e/2 L' g; q += e L r; r += e/2 L' g. Kinetic energy is r.r / 2.

    q, r, grad  (C, D) positions, whitened momenta, gradient of log p at q
    step        (C, 1), negative for backwards
    scale       L, as in `Metric`
    gives       q, r, grad and log p (C,) after the step
    """
    metric = Metric(scale)
    half = r + 0.5 * step * metric.back(grad)
    q = q + step * metric.forth(half)
    logp, grad = density.grad(q)
    return q, half + 0.5 * step * metric.back(grad), grad, logp


def energy(logp: Tensor, r: Tensor) -> Tensor:
    """H = -log p(q) + r.r / 2: (..., C), (..., C, D) -> (..., C); infinite where log p is not a number."""
    return (0.5 * r.square().sum(-1) - logp).nan_to_num(nan=float("inf"), posinf=float("inf"), neginf=-float("inf"))
