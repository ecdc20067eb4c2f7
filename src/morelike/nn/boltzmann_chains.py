"""Samples of a restricted Boltzmann machine that persist while it is trained, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from morelike.nn.boltzmann import Machine, Tempered, swap
from morelike.nn.noise import Noise

FORGETS = 0.01  # share of a running mean that a round renews


@dataclass(frozen=True)
class Sizes:
    """How many units there are, classes of items, chains of the model itself (or a few more, as many of each class),
    and temperatures; `bits` says what a visible unit is."""

    visible: int
    hidden: int
    classes: int
    chains: int
    temperatures: int
    bits: bool


class Chains(nn.Module):
    """Chains at one temperature or at several, those of the model itself last; their classes take turns.

    v       (T n, V) where they stand
    mean    (classes, V) running means of the visible units of the model, and `spread` their variances
    active  (H,) running means of its hidden units
    moved   () how far the last round went, where 1 is the distance of two samples that do not know each other
    """

    v: Tensor
    mean: Tensor
    spread: Tensor
    active: Tensor
    moved: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.temperatures = sizes.temperatures
        classes, visible = sizes.classes, sizes.visible
        each = -(-sizes.chains // classes)
        first = torch.rand(sizes.temperatures * each * classes, visible)
        self.bits = sizes.bits
        self.register_buffer("v", (first < 0.5).float() if self.bits else first - 0.5)
        self.register_buffer("mean", torch.full((classes, visible), 0.5 if self.bits else 0.0))
        self.register_buffer("spread", torch.full((classes, visible), 0.3))
        self.register_buffer("active", torch.full((sizes.hidden,), 0.5))
        self.register_buffer("moved", torch.ones(()))

    @property
    def own(self) -> Tensor:
        """Samples of the model itself: (n, V)."""
        return self.v[-(len(self.v) // self.temperatures) :]

    def classes(self, n: int) -> Tensor:
        """Classes of n chains: (n,)."""
        return torch.arange(n, device=self.v.device) % len(self.mean)

    @torch.no_grad()
    def restart(self, mean: Tensor, noise: Noise) -> None:
        """Independent bits with these means (V,)."""
        self.mean.copy_(mean.expand_as(self.mean))
        self.v.copy_(noise.uniform(self.v) < mean)

    @torch.no_grad()
    def walk(self, machine: Machine, v: Tensor, noise: Noise, steps: int, dtype: torch.dtype) -> Tensor:
        """Gibbs steps from v (n, V), in which matrices are multiplied in dtype; the means take in where they end."""
        half = Machine(machine.w.to(dtype), machine.eta, machine.c, machine.precision)
        made, h = half.gibbs(v, noise, steps)
        made = made.to(v.dtype)
        self.remember(v, made, h.to(v.dtype))
        return made

    @torch.no_grad()
    def round(self, machine: Machine, noise: Noise, steps: int, dtype: torch.dtype) -> None:
        """Some Gibbs steps of all chains, at the temperature of the model."""
        self.v.copy_(self.walk(machine, self.v, noise, steps, dtype))

    @torch.no_grad()
    def tempered_round(self, path: Callable[[Tensor], Tempered], noise: Noise, steps: int, odd: bool) -> None:
        """The same at all temperatures, with neighbours that trade places; path: classes of chains -> their path."""
        betas = torch.linspace(0, 1, self.temperatures, device=self.v.device)
        n, before = len(self.own), self.own.clone()
        one = path(self.classes(len(self.v)))
        state = one.stand(self.v)
        for i in range(steps):
            state = one.move(betas.repeat_interleave(n)[:, None], state, noise)
            state = swap(one, betas, state, (i % 2 == 1) != odd, noise)
        self.v.copy_(state.v)
        self.remember(before, self.own, torch.sigmoid(state.inputs + one.machine.c)[-n:])

    def remember(self, before: Tensor, after: Tensor, h: Tensor) -> None:
        """Take samples of the model into what is known of it: (n, V), (n, V), (n, H)."""
        if len(self.v) or len(self.mean) == 1:  # the classes of chains take turns, those of data do not
            parts = after.view(-1, *self.mean.shape)
            self.mean.lerp_(parts.mean(0), FORGETS)
            self.spread.lerp_((parts - self.mean).square().mean(0).clamp(1e-4, 1e2), FORGETS)
        self.active.lerp_(h.mean(0), FORGETS)
        mean = self.mean.mean(0)
        apart = mean * (1 - mean) if self.bits else self.spread.mean(0)
        self.moved.copy_((before - after).square().mean() / (2 * apart.mean()).clamp_min(1e-6))

    @torch.no_grad()
    def learn(self, v: Tensor, y: Tensor) -> None:
        """Take the means of the data in place of those of the model: (n, V), classes (n,)."""
        for k in range(len(self.mean)):
            own = v[y == k]
            if len(own) > 1:
                self.mean[k], self.spread[k] = own.mean(0), own.var(0).clamp(1e-4, 1e2)
