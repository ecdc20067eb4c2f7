"""Energy models: a net that gives every item an energy, and likely items a low one; sampled by Markov chains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.families._energy_net import Potential
from morelike.families._energy_training import TRAININGS
from morelike.families._energy_walk import Held, SeededNoise, Step, cooled, downhill, walk, wander
from morelike.samplers.mcmc.compose import Boltzmann

AT_ONCE = 250  # items that are drawn together
CHAINS, NUMBERS = 2048, 4_000_000  # most chains that persist, and most numbers in all of them


@dataclass(frozen=True)
class Config:
    """Settings of an energy model.

    training     matching | pcd | denoising | sliced
    net          unet | mlp | cnn | rnn | transformer; auto: unet for what has space, mlp for vectors
    width        base number of channels, the one dial of size
    temperature  T of p(x) ~ exp(-V(x) / T)
    size         of Langevin's steps
    k            steps of the chains that persist, in each turn of training
    sharpen      of matching: share of the budget, at its end, that also contrasts with samples of the model
    contrast     of matching: weight of that contrast
    magnitude    of pcd: weight of the squares of the energies
    steps        from noise to an item
    settle       further steps at the temperature of the model
    kernel       what takes them: langevin, or any kernel that uses gradients
    """

    training: Literal["matching", "pcd", "denoising", "sliced"] = "matching"
    net: str = "auto"
    width: Count = 32
    temperature: float = 0.01
    size: float = 0.05
    k: Count = 10
    sharpen: float = 0.2
    contrast: float = 0.01
    magnitude: float = 0.001
    steps: Count = 50
    settle: int = 20
    kernel: str = "langevin"


class Chains(nn.Module):
    """Markov chains that persist from turn to turn, each with its conditions; part of the state of training."""

    def __init__(self, spec: Spec, n: int) -> None:
        super().__init__()
        self.names = list(spec.given)
        self.register_buffer("x", torch.zeros(n, *spec.shape))
        self.register_buffer("born", torch.zeros(n, dtype=torch.bool))
        for i, one in enumerate(spec.given.values()):
            kind = torch.long if one.tokens is not None else torch.float32
            self.register_buffer(f"given{i}", torch.zeros(n, *one.shape, dtype=kind))

    def read(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Positions, conditions, and which of them have ever moved."""
        given = {name: self.get_buffer(f"given{i}")[rows] for i, name in enumerate(self.names)}
        return self.x[rows], given, self.born[rows]

    def write(self, rows: Tensor, x: Tensor, given: Mapping[str, Tensor]) -> None:
        self.x[rows], self.born[rows] = x.to(self.x.dtype), True
        for i, name in enumerate(self.names):
            self.get_buffer(f"given{i}")[rows] = given[name]


class Model(Family):
    """p(x | c) ~ exp(-V(x | c) / T) (LeCun et al. 2006, eq. 2), V a net."""

    needs = "log_prob"

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        if not 0 < config.temperature < 1:
            raise OptionError(f"temperature is {config.temperature}", "Between 0 and 1", "Try 0.01")
        self.spec, self.config = spec, config
        self.potential = Potential(spec, config.net, config.width)
        contrasts = config.training == "pcd" or (config.training == "matching" and config.sharpen > 0)
        n = max(64, min(CHAINS, NUMBERS // math.prod(spec.shape))) if contrasts else 0
        self.chains = Chains(spec, n)
        self.mixes = config.training in ("matching", "pcd")  # noise is paired within a batch, chains are shared

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adamw", 2e-3, (0.9, 0.99), schedule="cosine", clip=1.0)}

    def players(self) -> dict[str, nn.Module]:
        return {"model": self}

    def energy(self, batch: Batch) -> Tensor:
        """-log p(x | c) up to a constant, in nats: (B,)."""
        return self.potential(batch.x, batch.given) / self.config.temperature

    def density(self, given: Mapping[str, Tensor] = {}, held: tuple[Tensor, Tensor] | None = None) -> Boltzmann:
        """The density of flat items, (C, D), for any kernel; one condition for all chains, or one for each."""
        energy = lambda x: self.potential(x, given)  # noqa: E731
        return Boltzmann(energy, self.spec.shape, self.config.temperature, held)

    def play(self, batch: Batch) -> Iterator[Move]:
        loss, log = TRAININGS[self.config.training](self, batch)
        yield Move("model", loss, log)

    def schedule(self) -> list[Step]:
        """The steps from noise to an item."""
        c = self.config
        settle = c.settle if c.kernel == "langevin" else 0
        way = downhill if c.training == "matching" else cooled
        return way(c.steps, settle, c.size, c.temperature)

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return self._drawn(seeds, given, None)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """Items that agree with x where mask is true, one for each seed: x (B, *shape), mask (B, *shape) or (*shape)."""
        return self._drawn(seeds, given, (mask.bool().expand_as(x), x))

    def _drawn(self, seeds: Sequence[int], given: Mapping[str, Tensor], held: tuple[Tensor, Tensor] | None) -> Tensor:
        parts = []
        for begin in range(0, max(len(seeds), 1), AT_ONCE):
            now = slice(begin, begin + AT_ONCE)
            some = {name: value if len(value) == 1 else value[now] for name, value in given.items()}
            parts.append(self._some(seeds[now], some, None if held is None else (held[0][now], held[1][now])))
        return torch.cat(parts)

    def _some(self, seeds: Sequence[int], given: Mapping[str, Tensor], held: tuple[Tensor, Tensor] | None) -> Tensor:
        device = next(self.parameters()).device
        noise = SeededNoise(seeds, self.spec.shape, device)
        start = noise()
        keep = _kept(start, *held) if held is not None else None
        slope = lambda x: self.potential.slope(x, given)  # noqa: E731
        x = walk(slope, start, self.schedule(), noise, *([keep] if keep else []))
        if self.config.kernel == "langevin" or not self.config.settle:
            return x
        rows = []
        for i, seed in enumerate(seeds):
            one = {name: value if len(value) == 1 else value[i : i + 1] for name, value in given.items()}
            density = self.density(one, None if held is None else (held[0][i : i + 1], held[1][i : i + 1]))
            rows.append(wander(density, x[i : i + 1], self.config.kernel, self.config.settle, self.config.size, seed))
        return torch.cat(rows)

    def diagnose(self, history: History) -> str | None:
        gap, energy, diversity = (history.recent(name, 10) for name in ("gap", "energy", "diversity"))
        if len(gap) < 10:
            return None
        if sum(energy) / 10 > 1e5 or not all(map(math.isfinite, energy + gap)):
            return (
                f"The energies explode (mean {sum(energy) / 10:.2g} nats). Try --set magnitude="
                f"{10 * self.config.magnitude:.2g}, or --set lr={self.optimizers()['model'].lr / 4:.2g}, or "
                "--set training=denoising, which draws no samples."
            )
        if sum(diversity) / 10 < 0.4:
            return (
                f"The model's samples collapse: they differ from one another {sum(diversity) / 10:.0%} as much as the "
                f"data do. Try --set k={2 * self.config.k}, or --set temperature={2 * self.config.temperature:.2g}."
            )
        return None


def _kept(start: Tensor, mask: Tensor, known: Tensor) -> Held:
    """What is known comes out of the noise along with the rest: x_t = (1 - t) x_0 + t x_1."""

    def keep(x: Tensor, along: float) -> Tensor:
        return torch.where(mask, (1 - along) * start + along * known.to(x), x)

    return keep


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=8, steps=20, settle=10, k=3))
