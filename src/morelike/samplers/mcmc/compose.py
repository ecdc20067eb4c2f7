"""Energies of trained models put together: both, either, not; and the densities that kernels sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from morelike.core.spec import Batch
from morelike.samplers.mcmc.kernel import differentiated

Energy = Callable[[Tensor], Tensor]  # (C, *shape) -> (C,), log p(x) = -E(x) + constant


def product(energies: Sequence[Energy], weights: Sequence[float] | None = None) -> Energy:
    """E(x) = sum_i w_i E_i(x): what all of them find likely, p(x) ~ prod_i p_i(x)^w_i (Hinton 2002, eq. 1).

    A negative weight is a negation: likely for the others and unlikely for that one (Du, Li & Mordatch 2020, 3.2). It
    can be normalised only where the others outweigh it.
    """
    shares = _shares(energies, weights)

    def energy(x: Tensor) -> Tensor:
        return torch.stack([w * one(x) for w, one in zip(shares, energies, strict=True)]).sum(0)

    return energy


def mixture(energies: Sequence[Energy], weights: Sequence[float] | None = None) -> Energy:
    """E(x) = -log sum_i w_i exp(-E_i(x)): what any of them finds likely (Du, Li & Mordatch 2020, 3.2).

    w_i is the share of a model only where energies are normalised, E_i = -log p_i; a constant in E_i changes it.
    """
    shares = _shares(energies, weights)

    def energy(x: Tensor) -> Tensor:
        return -torch.stack([math.log(w) - one(x) for w, one in zip(shares, energies, strict=True)]).logsumexp(0)

    return energy


def negation(energy: Energy, other: Energy, weight: float = 0.1) -> Energy:
    """E(x) = E_1(x) - w E_2(x): like the one and unlike the other (Du, Li & Mordatch 2020, 3.2)."""
    return product([energy, other], [1.0, -weight])


def _shares(energies: Sequence[Energy], weights: Sequence[float] | None) -> Sequence[float]:
    return [1.0] * len(energies) if weights is None else weights


@dataclass(frozen=True)
class Boltzmann:
    """p(x) ~ exp(-E(x) / T) as a density of flat vectors, of which some entries may be held.

    energy       (C, *shape) -> (C,)
    shape        of one x
    temperature  T
    held         (mask, x), of shape (C, *shape) or (*shape) each: entries that are known. The law of the others is then
                 p(free | held), exactly; in place of the held ones kernels move standard normal numbers that nothing
                 depends on (`join` puts x back)
    """

    energy: Energy
    shape: tuple[int, ...]
    temperature: float = 1.0
    held: tuple[Tensor, Tensor] | None = None

    def join(self, q: Tensor) -> Tensor:
        """(C, D) -> (C, *shape), with what is held in its place."""
        x = q.reshape(len(q), *self.shape)
        return x if self.held is None else torch.where(self.held[0].bool(), self.held[1].to(x), x)

    def __call__(self, q: Tensor) -> Tensor:
        logp = -self.energy(self.join(q)) / self.temperature
        if self.held is None:
            return logp
        idle = q.reshape(len(q), *self.shape) * self.held[0]
        return logp - 0.5 * idle.square().flatten(1).sum(1)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return differentiated(self, q)


@runtime_checkable
class HasEnergy(Protocol):
    """Knows -log p(x) up to a constant."""

    def energy(self, batch: Batch) -> Tensor: ...  # (B,) in nats


@runtime_checkable
class HasInfill(Protocol):
    """Can fill in what is missing of an item."""

    def infill(
        self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}
    ) -> Tensor: ...  # x, mask (B, *shape), true where x is known -> (B, *shape)
