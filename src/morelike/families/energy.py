"""Energy models: a net that gives every item an energy, and likely items a low one; sampled by Markov chains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.chains import Chains
from morelike.nn.potential import Potential
from morelike.nn.scores import denoising, mean_square, shaped, sliced
from morelike.nn.transport import paired
from morelike.samplers.descent import Held, SeededNoise, Step, cooled, downhill, walk
from morelike.samplers.mcmc.ais import Bracket
from morelike.samplers.mcmc.compose import Boltzmann
from morelike.samplers.mcmc.energies import evidence, wander

AT_ONCE = 250  # items that are drawn together
MARGIN = 20.0  # nats for each number by which samples become less likely than data, at most
FRESH = 0.05  # share of the chains that begin anew in each turn (Du & Mordatch 2019, section 3.2)
CHAINS, NUMBERS = 2048, 4_000_000  # most chains that persist, and most numbers in all of them


@dataclass(frozen=True)
class Config:
    """Settings of an energy model.

    training     matching | pcd | denoising | sliced; auto: matching for what has space, pcd for vectors
    net          unet | mlp | cnn | rnn | transformer; auto: unet for what has space, mlp for vectors
    width        base number of channels, the one dial of size
    temperature  T of p(x) ~ exp(-V(x) / T)
    size         of Langevin's steps
    k            steps of the chains that persist, in each turn of training
    sharpen      of matching: share of the budget, at its end, that also contrasts with samples of the model; None: 0.2,
                 and 0 for what has space, where its chains are too short to help
    contrast     of matching: weight of that contrast
    magnitude    of pcd: weight of the squares of the energies
    steps        from noise to an item
    settle       further steps at the temperature of the model; None: 20, and 0 where a flow makes what has space
    kernel       what takes them: langevin, or any kernel that uses gradients
    polish       last steps without noise; None: 10 for what has space, where noise would be seen
    """

    training: Literal["auto", "matching", "pcd", "denoising", "sliced"] = "auto"
    net: str = "auto"
    width: Count = 32
    temperature: float = 0.01
    size: float = 0.05
    k: Count = 10
    sharpen: float | None = None
    contrast: float = 0.01
    magnitude: float = 0.001
    steps: Count = 50
    settle: int | None = None
    kernel: str = "langevin"
    polish: int | None = None


class Model(Family):
    """p(x | c) ~ exp(-V(x | c) / T) (LeCun et al. 2006, eq. 2), V a net."""

    needs = "log_prob"
    examples = 70_000  # a slope of a slope costs three times as much as a slope, and says more

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        if not 0 < config.temperature < 1:
            raise OptionError(f"temperature is {config.temperature}", "Between 0 and 1", "Try 0.01")
        self.spec, self.config = spec, (config := _settled(spec, config))
        self.potential = Potential(spec, config.net, config.width)
        contrasts = config.training == "pcd" or (config.training == "matching" and config.sharpen)
        self.chains = Chains(spec, max(64, min(CHAINS, NUMBERS // math.prod(spec.shape))) if contrasts else 0)
        self.mixes = config.training in ("matching", "pcd")  # noise is paired within a batch, chains are shared

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adamw", 2e-3, (0.9, 0.99), schedule="cosine", clip=1.0)}

    def energy(self, batch: Batch) -> Tensor:
        """-log p(x | c) up to a constant, in nats: (B,)."""
        return self.potential(batch.x, batch.given) / self.config.temperature

    def density(self, given: Mapping[str, Tensor] = {}, held: tuple[Tensor, Tensor] | None = None) -> Boltzmann:
        """The density of flat items, (C, D), for any kernel; one condition for all chains, or one for each."""
        energy = lambda x: self.potential(x, given)  # noqa: E731
        return Boltzmann(energy, self.spec.shape, self.config.temperature, held)

    @torch.no_grad()
    def bracket(self, given: Mapping[str, Tensor] = {}, steps: int = 2000, chains: int = 200, seed: int = 0) -> Bracket:
        """log Z, so that log p(x | c) = -energy - log Z, between two bounds: tight in a few dimensions, loose in many.

        given  one condition, (1, *shape) each
        """
        samples = self.sample(range(seed, seed + chains), given).flatten(1)
        return evidence(self.density(given), samples, steps, self.config.size, seed)

    def play(self, batch: Batch) -> Iterator[Move]:
        x, heat = batch.x, self.config.temperature
        if self.config.training == "denoising":
            yield Move("model", denoising(lambda x: self.potential.slope(x, batch.given, learn=True), x, heat))
        elif self.config.training == "sliced":
            yield Move("model", sliced(lambda x: self.potential(x, batch.given), x, heat))
        elif self.config.training == "pcd":
            yield self.persistent(batch)
        else:
            yield self.matching(batch)

    def persistent(self, batch: Batch) -> Move:
        """E(x) - E(x-) + a (E(x)^2 + E(x-)^2), x- from chains that persist (Tieleman 2008; Du & Mordatch 2019)."""
        made, _ = self.negatives(batch, torch.randn_like(batch.x))
        real, fake = self.energy(batch), self.energy(made)
        loss = real - fake + self.config.magnitude * (real.square() + fake.square())
        return Move("model", loss, _told(batch.x, made.x, real, fake))

    def matching(self, batch: Batch) -> Move:
        """|-grad V(x_t) - (x_1 - x_0)|^2 with x_t = (1 - t) x_0 + t x_1, paired by optimal transport; at the end of
        training also w (E(x) - E(x-)), which makes exp(-V / T) the density near the data (Balcerak et al. 2025).
        """
        x_1, given = batch.x, batch.given
        x_0 = paired(torch.randn_like(x_1), x_1, given)
        t = shaped(torch.rand(len(x_1), device=x_1.device), x_1)
        flow = mean_square(self.potential.slope((1 - t) * x_0 + t * x_1, given, learn=True) + x_1 - x_0)
        log = {"flow": flow.detach().mean()}
        if self.fraction < 1 - (self.config.sharpen or 0.0):
            return Move("model", flow, log)
        made, arrived = self.negatives(batch, x_1)
        real, fake = self.energy(batch), self.energy(made)
        size = x_1[0].numel()
        gap = (real - fake).clamp_min(-MARGIN * size)  # a sample that is far less likely teaches nothing more
        contrast = self.config.contrast * gap * arrived / size
        return Move("model", flow + contrast, {**log, **_told(x_1, made.x, real, fake)})

    @torch.no_grad()
    def negatives(self, batch: Batch, first: Tensor) -> tuple[Batch, Tensor]:
        """Samples of the model by chains that persist, one for each example, and which of them have arrived, (B,).

        With `matching`, a chain that begins anew comes down the flow first, some steps in each turn.

        first  where the chains that never moved stand
        """
        c, n = self.config, min(len(batch.x), len(self.chains.x))
        rows = torch.randperm(len(self.chains.x), device=first.device)[:n]
        x, given, age = self.chains.read(rows)
        way = c.steps if c.training == "matching" else 0
        fresh = (torch.rand(len(batch.x), device=first.device) < FRESH)[:n]
        x = torch.where(shaped(fresh, x), torch.randn_like(x), torch.where(shaped(age < 0, x), first[:n], x))
        given = {k: torch.where(shaped(fresh | (age < 0), v), batch.given[k][:n], v) for k, v in given.items()}
        age = torch.where(fresh, 0, torch.where(age < 0, way, age))
        for _ in range(c.k):
            flows = shaped(age < way, x)
            size = torch.where(flows, 1 / c.steps, c.size)
            noise = (2 * size * c.temperature).sqrt() * torch.randn_like(x)
            x = x - size * self.potential.slope(x, given) + torch.where(flows, 0.0, noise)
            age = age + 1
        self.chains.write(rows, x, given, age)
        return Batch(x, given), age > way

    def schedule(self) -> list[Step]:
        """The steps from noise to an item."""
        c = self.config
        settle = c.settle or 0 if c.kernel == "langevin" else 0
        way = downhill if c.training == "matching" else cooled
        return way(c.steps, settle, c.size, c.temperature)

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return self._drawn(seeds, given, None)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """Items that agree with x (B, *shape) where mask is true, one for each seed; mask (B, *shape) or (*shape)."""
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
        keeping = [keep] if keep else []
        x = walk(slope, start, self.schedule(), noise, *keeping)
        if self.config.kernel != "langevin":
            x = self._wandered(x, seeds, given, held)
        polish = (10 if self.spec.dims else 0) if self.config.polish is None else self.config.polish
        return walk(slope, x, [Step(self.config.size, 0.0)] * polish, noise, *keeping)

    def _wandered(
        self, x: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor], held: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Each item moved on by the other kernel, alone, so that it depends on its seed only."""
        rows = []
        for i, seed in enumerate(seeds):
            one = {name: value if len(value) == 1 else value[i : i + 1] for name, value in given.items()}
            density = self.density(one, None if held is None else (held[0][i : i + 1], held[1][i : i + 1]))
            rows.append(
                wander(density, x[i : i + 1], self.config.kernel, self.config.settle or 0, self.config.size, seed)
            )
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


def _settled(spec: Spec, config: Config) -> Config:
    """The settings with what was left open."""
    training = ("matching" if spec.dims else "pcd") if config.training == "auto" else config.training
    flows = spec.dims > 0 and training == "matching"
    sharpen = (0.0 if flows else 0.2) if config.sharpen is None else config.sharpen
    settle = (0 if flows and config.kernel == "langevin" else 20) if config.settle is None else config.settle
    return replace(config, training=training, sharpen=sharpen, settle=settle)


def _told(x: Tensor, made: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """What a contrast has to show."""
    gap, energy = (fake - real).detach().mean(), real.detach().abs().mean()
    return {"gap": gap, "energy": energy, "diversity": spread(made) / spread(x)}


def spread(x: Tensor) -> Tensor:
    """Mean absolute difference between neighbours in a batch: (B, *shape) -> ()."""
    return (x - x.roll(1, 0)).abs().float().mean().detach() + 1e-6


def _kept(start: Tensor, mask: Tensor, known: Tensor) -> Held:
    """What is known comes out of the noise along with the rest: x_t = (1 - t) x_0 + t x_1."""

    def keep(x: Tensor, along: float) -> Tensor:
        return torch.where(mask, (1 - along) * start + along * known.to(x), x)

    return keep


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(training="matching", width=8, steps=20, settle=10, k=3))
