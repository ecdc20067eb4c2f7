"""The restricted Boltzmann machine: bits or numbers that share hidden causes, drawn by Gibbs sampling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from morelike.core.distribution import Bernoulli, DiscretisedLogistic, Distribution, Normal
from morelike.core.errors import OptionError
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.boltzmann import Machine, Offsets, Stand, Tempered, centred_energy
from morelike.nn.boltzmann_chains import Chains, Sizes
from morelike.nn.condition import missing
from morelike.nn.noise import Noise, Stream, Streams
from morelike.samplers.mcmc.ais import Annealed, Bracket, anneal, bracket, resampled

CLASSES = 100  # most kinds that it can be conditioned on
STUCK = 0.01  # of the way to another sample; chains that move less in a round hardly mix
CHAINS, FEWEST, MOST = 100, 200, 5000  # chains that estimate log Z; temperatures, one for EACH steps of training
EACH = 30


@dataclass(frozen=True)
class Config:
    """Settings of a restricted Boltzmann machine.

    width         the dial of size
    hidden        hidden units; None: 16 times the width
    visible       auto | bernoulli (numbers from -1 to 1 are how likely a bit is on) | gaussian (real numbers)
    training      where samples of the model come from: pcd (chains that persist, Tieleman 2008) | cd (k steps from the
                  data, Hinton 2002) | pt (chains at several temperatures, Desjardins et al. 2010)
    k             Gibbs steps for each step of training
    chains        of pcd and pt
    temperatures  of pt
    centre        whether bits train with the gradient of the centred machine, which wants plain sgd
    walk          Gibbs steps behind a sample, the first half of them annealed from independent units
    """

    width: Count = 32
    hidden: Count | None = None
    visible: Literal["auto", "bernoulli", "gaussian"] = "auto"
    training: Literal["pcd", "cd", "pt"] = "pcd"
    k: Count = 1
    chains: Count = 200
    temperatures: Count = 8
    centre: bool = True
    walk: Count = 300


class Model(Family):
    """p(v, h) = exp(v.eta + c.h + v w h) / Z with hidden bits h (Smolensky 1986; Hinton & Salakhutdinov 2006).

    d log p(v) = -dF(v) + E_model[dF(v')] with the free energy F: samples v' of the model stand for the mean. A label
    is a visible unit that is always held: it adds to the biases.
    """

    needs = "log_prob"
    batch = 200
    draw_cost = 500.0

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        self.kinds = _kinds(spec)
        self.bits, self.grey = _bits(spec, config)
        size, hidden = math.prod(spec.shape), config.hidden or 16 * config.width
        classes = math.prod(self.kinds)
        self.weight = nn.Parameter(0.01 * torch.randn(size, hidden))
        self.bias, self.hidden_bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(hidden))
        self.log_sigma = None if self.bits else nn.Parameter(torch.full((size,), -0.7))
        self.class_bias = nn.Parameter(torch.zeros(classes, size)) if self.kinds else None
        self.class_hidden = nn.Parameter(torch.zeros(classes, hidden)) if self.kinds else None
        chains = 0 if config.training == "cd" else config.chains
        temperatures = config.temperatures if config.training == "pt" else 1
        self.chains = Chains(Sizes(size, hidden, classes, chains, temperatures, self.bits))
        self.register_buffer("log_z_bounds", torch.zeros(2, classes))
        self.register_buffer("fitted", torch.zeros(()))
        self.register_buffer("fresh", torch.ones(()))
        self._advanced = -1

    log_z_bounds: Tensor
    fitted: Tensor
    fresh: Tensor

    def optimizers(self) -> dict[str, Optim]:
        if self.bits:
            return {"model": Optim("sgd", 0.1, (0.5, 0.99), schedule="linear", cooldown=0.9)}
        return {"model": Optim("adam", 1e-2, (0.9, 0.99), schedule="linear", cooldown=0.9, clip=100.0)}

    @cached_property
    def law(self) -> Distribution:
        """What the numbers of an item are to it."""
        if self.spec.tokens is not None:
            return self.spec.head(torch.zeros(1, *self.spec.head_shape))
        like = torch.zeros(1, *self.spec.shape)
        return Bernoulli(like) if self.bits else Normal(like, like + 1)

    @property
    def exact(self) -> bool:
        return self.machine().exact

    def machine(self, y: Tensor | None = None) -> Machine:
        """The machine, with a row of biases for each of the classes y (n,) where there are classes."""
        w: Tensor = self.weight
        eta: Tensor = self.bias
        c: Tensor = self.hidden_bias
        if y is not None and self.class_bias is not None and self.class_hidden is not None:
            eta, c = eta + self.class_bias[y], c + self.class_hidden[y]
        if self.log_sigma is None:
            return Machine(w, eta, c)
        precision = (-2 * self.log_sigma).exp()
        return Machine(w * (-self.log_sigma).exp()[:, None], eta * precision, c, precision)

    def path(self, y: Tensor, dtype: torch.dtype, known: tuple[Tensor, Tensor] | None = None) -> Tempered:
        """From independent units with the means that the data have, or the chains, to the machine; rows as in y."""
        mean = self.chains.mean[y].to(dtype)
        if self.bits:
            eta, precision = torch.logit(mean, 1e-3), None
        else:
            precision = 1 / self.chains.spread[y].to(dtype)
            eta = mean * precision
        machine = self.machine(y).cast(dtype)
        return Tempered(machine, Machine(machine.w, eta, machine.c, precision), known)

    def read(self, x: Tensor, noise: Noise) -> Tensor:
        """Items as visible units: (B, *shape) -> (B, V)."""
        x = x.flatten(1)
        if not self.bits or self.spec.tokens is not None:
            return x.float()
        return (noise.uniform(x) < (x.float() + 1) / 2).float()

    def classes(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """The class of each item, a number for all its labels together: (n,)."""
        y = torch.zeros(n, dtype=torch.long, device=self.bias.device)
        for name, kinds in zip(self.spec.given, self.kinds, strict=True):
            if name not in given:
                raise missing(name, given, self.spec.given)
            y = y * kinds + given[name].expand(n)
        return y

    def free_energy(self, v: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)): (n, V) -> (n,)."""
        if not self.bits:
            return -self.machine(y).log_prob(v)
        at = Offsets(self.chains.mean.mean(0), self.chains.active)
        at = at if self.config.centre else Offsets(0 * at.mu, 0 * at.lam)
        rows = [None if one is None else one[y] for one in (self.class_bias, self.class_hidden)]
        return centred_energy(self.machine(), v, at, dtype, (rows[0], rows[1]))

    def play(self, batch: Batch) -> Iterator[Move]:
        half = torch.is_autocast_enabled(batch.x.device.type)
        with torch.autocast(batch.x.device.type, enabled=False):
            loss, log = self.gap(batch, torch.bfloat16 if half and self.bits else torch.float32)
        yield Move("model", loss, log)

    @torch.no_grad()
    def place_chains(self, x: Tensor) -> None:
        """Bits begin as independent ones with the means of the first items, so that no weight has to learn these."""
        self.fresh.zero_()
        if self.bits:
            mean = (x if self.spec.tokens is not None else (x + 1) / 2).mean(0).clamp(0.01, 0.99)
            self.bias.copy_(torch.logit(mean))
            self.chains.restart(mean, self.noise())

    def noise(self) -> Stream:
        """Numbers that depend on torch's own seed."""
        return Stream(int(torch.randint(2**62, ())), self.bias.device)

    def gap(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, Tensor]]:
        """F(x) less the mean free energy of samples of the model, of the same class: (B,)."""
        self.fitted.zero_()
        if self.fresh:
            self.place_chains(batch.x.flatten(1).float())
        y, noise = self.classes(batch.given, len(batch.x)), self.noise()
        if self.config.training != "cd" and self._advanced != self.step:  # once, however many microbatches there are
            self.advance(Stream(torch.initial_seed() ^ (self.step + 1), self.bias.device), dtype)
            self._advanced = self.step
        v = self.read(batch.x, noise)
        if self.config.training == "cd":
            made, theirs = self.chains.walk(self.machine(y), v, noise, self.config.k, dtype), y
        else:
            made, theirs = self.chains.own, self.chains.classes(len(self.chains.own))
        both = self.free_energy(torch.cat([v, made]), torch.cat([y, theirs]), dtype)
        data, model = both.split([len(v), len(made)])
        if self.config.training != "cd":
            model = model.view(-1, len(self.chains.mean)).mean(0)[y]
        return data - model, {"moved": self.chains.moved.clone()}

    def advance(self, noise: Noise, dtype: torch.dtype) -> None:
        """One round of the chains."""
        if self.config.training == "pt":
            odd = self.step % 2 == 1
            self.chains.tempered_round(lambda y: self.path(y, torch.float32), noise, self.config.k, odd)
        else:
            y = self.chains.classes(len(self.chains.v))
            self.chains.round(self.machine(y), noise, self.config.k, dtype)

    def labelled_log_z(self) -> Tensor:
        """log Z of each class from below and from above, in nats, as far as it is known: (2, classes)."""
        if self.fitted:
            return self.log_z_bounds
        return self.bounds(FEWEST)

    @torch.no_grad()
    def bounds(self, temperatures: int, chains: int = CHAINS, seed: int = 0) -> Tensor:
        """log Z of each class between two numbers, equal where all states can be gone through: (2, classes) float64.

        Else the first is by annealed importance sampling, the second by the same from samples of the model back to
        independent units (Grosse et al. 2015), both moved outwards by two standard errors. The second takes it that the
        samples are good: the larger one counts of what annealed samples give, and chains that have persisted.

        temperatures  between independent units and the machine
        chains        in each direction, of all classes together
        """
        classes = range(len(self.chains.mean))
        if self.exact:
            exact = [self.machine(torch.tensor([k], device=self.bias.device)) for k in classes]
            plain = [Machine(m.w, m.eta.view(-1), m.c.view(-1), m.precision) for m in exact]
            return torch.stack([one.log_z() for one in plain]).expand(2, -1)
        noise = Stream(seed, self.bias.device)
        found = [self.annealed(k, max(20, chains // len(classes)), temperatures, noise)[1] for k in classes]
        return torch.stack([torch.stack([one.low for one in found]), torch.stack([one.high for one in found])])

    @torch.no_grad()
    def annealed(self, k: int, n: int, temperatures: int, noise: Noise) -> tuple[Annealed[Stand], Bracket]:
        """Annealing of n chains of class k: what those going up tell, and log Z between two numbers."""
        dtype = torch.float32 if self.bits else torch.float64
        path = self.path(torch.full((1,), k, device=self.bias.device), dtype)
        betas = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64).tolist()
        up = anneal(path, path.start(n, noise), betas, noise)
        rng = Generator(self.bias.device).manual_seed(k)
        starts = [up.state.v[resampled(up, n, rng)]]
        own = self.chains.own[k :: len(self.chains.mean)].to(dtype)
        if len(own):
            starts.append(own[torch.arange(n, device=own.device) % len(own)])
        ends = (path.machine.gibbs(v, noise, self.config.walk)[0] for v in starts)
        downs = [anneal(path, path.stand(v), betas[::-1], noise) for v in ends]
        return up, bracket(up, downs, path.log_z0.squeeze().double())

    @property
    def log_z(self) -> tuple[float, float]:
        """log Z from below and from above, the mean over the classes, in nats."""
        low, high = self.labelled_log_z().double().mean(1).tolist()
        return low, high

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """log p(x | given), with log Z from above where it is not known exactly; grey pixels are drawn: (B,)."""
        y = self.classes(batch.given, len(batch.x))
        v = self.read(batch.x, self.noise()).double()
        log_z = self.labelled_log_z()[1].double()
        return (self.machine(y).cast(torch.float64).log_prob(v) - log_z[y]).float()

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch]) -> None:
        """Learn the means of the data, from which annealing begins, and estimate log Z along it."""
        parts = [(self.read(b.x, self.noise()), self.classes(b.given, len(b.x))) for b in batches]
        v, y = torch.cat([v for v, _ in parts]), torch.cat([y for _, y in parts])
        self.chains.learn(v, y)
        self.log_z_bounds.copy_(self.bounds(min(MOST, max(FEWEST, self.step // EACH))))
        self.fitted.fill_(1)

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return self._drawn(seeds, self.classes(given, len(seeds)), None)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """Items (B, *shape) like x where the mask is true, and drawn given that elsewhere, one for each seed."""
        noise = Streams(seeds)
        held = mask.expand_as(x).flatten(1)
        made = self._drawn(seeds, self.classes(given, len(x)), (held, self.read(x, noise).double()))
        return torch.where(mask, x, made)

    def _drawn(self, seeds: Sequence[int], y: Tensor, known: tuple[Tensor, Tensor] | None) -> Tensor:
        """The ends of chains that begin from independent units, in float64: a rounding would grow in a long chain."""
        noise, half = Streams(seeds), self.config.walk // 2
        path = self.path(y, torch.float64, known)
        state = path.start(len(seeds), noise)
        for i in range(self.config.walk):
            state = path.move(min(1.0, (i + 1) / max(1, half)), state, noise)
        return self._shown(path, state, noise).reshape(-1, *self.spec.shape)

    def _shown(self, path: Tempered, state: Stand, noise: Noise) -> Tensor:
        """Visible units as an item: (n, V). The grey of a pixel is how likely it is, as in the data."""
        v = state.v
        if self.grey:
            v = path.machine.mean(path.machine.hidden(state.inputs, noise))
        if self.spec.tokens is not None:
            return v.long()
        return (2 * v - 1 if self.bits else v).float()

    def diagnose(self, history: History) -> str | None:
        gap, moved = history.recent("model", 10), history.recent("moved", 10)
        if len(gap) < 10 or self.config.training == "cd":
            return None
        if abs(sum(gap) / 10) > 0.1 * self.bias.numel() and self.bits:
            return (
                f"The free energies of the data and of its own samples are {abs(sum(gap) / 10):.0f} nats apart: the "
                "chains do not follow the model. Try a smaller --set lr=0.02, or --set k=5."
            )
        if self.fraction > 0.3 and sum(moved) / 10 < STUCK:
            return (
                f"A round takes the chains only {sum(moved) / 10:.2%} of the way to another sample: they hardly mix. "
                "Try --set training=pt, or --set k=5, or a smaller --set lr=0.02."
            )
        return None


def _kinds(spec: Spec) -> list[int]:
    """How many kinds there are of each label."""
    kinds = [one.tokens or 0 for one in spec.given.values()]
    plain = all(one.shape == () and one.tokens for one in spec.given.values())
    if not plain or math.prod(kinds) > CLASSES:
        raise OptionError(
            f"The family rbm was given conditions that are no labels, such as tokens: {', '.join(spec.given)}",
            f"It takes labels, of at most {CLASSES} kinds in all",
            "Use --family vae, or --given none",
        )
    return kinds


def _bits(spec: Spec, config: Config) -> tuple[bool, bool]:
    """Whether visible units are bits, and whether they are the greys of the data drawn."""
    if spec.tokens is not None:
        if spec.tokens == 2 and spec.end is None:
            return True, False
        raise OptionError(
            f"The family rbm was given tokens of {spec.tokens} kinds",
            "Bits or real numbers",
            "Use --family autoregressive, or vae",
        )
    law = spec.head(torch.zeros(1, *spec.head_shape))
    usual = "bernoulli" if isinstance(law, Bernoulli | DiscretisedLogistic) else "gaussian"
    bits = (usual if config.visible == "auto" else config.visible) == "bernoulli"
    return bits, bits and not isinstance(law, Bernoulli)


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(hidden=8, chains=60, walk=40))
