"""The variational autoencoder: an encoder guesses the causes of an item, a decoder makes items from causes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from morelike.core.distribution import Distribution, Normal, seeded_noise
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn import net
from morelike.nn.condition import Condition
from morelike.nn.mixture import GaussianMixture
from morelike.nn.rows import OneHot, Row
from morelike.samplers.mcmc.refine import Refined, refine


@dataclass(frozen=True)
class Config:
    """Settings of a VAE.

    net          mlp | cnn | rnn | transformer, for encoder and decoder
    width        base number of channels, the one dial of size
    latent       length of the code z
    beta         weight of the Kullback-Leibler term (Higgins et al. 2017); 1 is the evidence lower bound
    warmup       share of the budget over which beta grows from 0 to its value
    free_bits    nats per latent that cost nothing (Kingma et al. 2016)
    importance   samples of z in the bound; above 1 it is the importance-weighted one (Burda et al. 2016)
    components   Gaussians fitted to the latents of each class after training; 0 samples from N(0, I)
    """

    net: str = "cnn"
    width: Count = 32
    latent: Count = 32
    beta: float = 1.0
    warmup: float = 0.1
    free_bits: float = 0.0
    importance: Count = 1
    components: int = 10


class Model(Family):
    """log p(x) >= E_q[log p(x|z)] - beta KL(q(z|x) || p(z)) (Kingma & Welling 2014, eq. 3).

    The likelihood p(x|z) is the data's own head: with a Gaussian of constant variance the first term is the mean
    squared error, with a Bernoulli it is the cross-entropy, with the discretised logistic it counts bits.
    """

    needs = "log_prob"
    exact = False

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        chosen = net(config.net)
        self.condition = Condition(spec.given, config.latent)
        given = self.condition.width
        self.one_hot = OneHot(spec.sizes) if spec.sizes else None
        shape, tokens = ((sum(spec.sizes),), None) if spec.sizes else (spec.shape, spec.tokens)
        self.encoder = chosen.Encoder(shape, 2 * config.latent, config.width, given, tokens=tokens)
        self.decoder = chosen.Decoder(config.latent, spec.head_shape, config.width, given)
        self.classes = self._classes()
        self.density = nn.ModuleList(
            GaussianMixture(config.latent, max(1, config.components)) for _ in range(max(1, self.classes))
        )

    def _classes(self) -> int:
        """Number of classes when the only condition is a label; each of them gets a density of its own."""
        given = list(self.spec.given.values())
        return given[0].tokens or 0 if len(given) == 1 and given[0].shape == () and (given[0].tokens or 0) <= 100 else 0

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adamw", 1e-3, (0.9, 0.99), weight_decay=1e-4, schedule="cosine", clip=100.0)}

    def posterior(self, batch: Batch) -> Normal:
        """q(z|x), its scale kept between e^-6 and e^2."""
        x = self.one_hot(batch.x) if self.one_hot else batch.x
        mean, log_scale = self.encoder(x, self.condition(batch.given, len(x))).float().chunk(2, 1)
        return Normal(mean, log_scale.clamp(-6, 2).exp())

    def likelihood(self, z: Tensor, given: Mapping[str, Tensor]) -> Distribution:
        return self.spec.head(self.decoder(z, self.condition(given, len(z))).float())

    def play(self, batch: Batch) -> Iterator[Move]:
        q = self.posterior(batch)
        if self.config.importance > 1:
            yield Move("model", -self.bound(batch, q, self.config.importance))
            return
        p = self.likelihood(q.rsample(), batch.given)
        reconstruction, kl = p.log_prob(batch.x), q.kl_parts()  # (B,), (B, latent)
        beta = self.config.beta * min(1.0, self.fraction / self.config.warmup if self.config.warmup else 1.0)
        log = {"kl": kl.detach().sum(1).mean(), "nll": -reconstruction.detach().mean()}
        yield Move("model", beta * kl.clamp_min(self.config.free_bits).sum(1) - reconstruction, log)

    def bound(self, batch: Batch, q: Normal, k: int) -> Tensor:
        """log 1/k sum_i p(x, z_i) / q(z_i|x), a lower bound on log p(x), tighter with k (Burda et al. 2016, eq. 8)."""
        terms = []
        for _ in range(k):
            z = q.rsample()
            prior = Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z)
            terms.append(self.likelihood(z, batch.given).log_prob(batch.x) + prior - q.log_prob(z))
        return torch.stack(terms).logsumexp(0) - math.log(k)

    @torch.no_grad()
    def log_prob(self, batch: Batch, k: int = 64) -> Tensor:
        """The importance-weighted bound with k samples: (B,) in nats."""
        return self.bound(batch, self.posterior(batch), k)

    def refine(self, batch: Batch, k: int = 4, levels: int = 50, seed: int = 0) -> Refined:
        """Codes carried from q(z|x) to p(z|x) by Hamiltonian Monte Carlo, and a better bound on log p(x)."""
        given = {name: value.repeat(k, *[1] * (value.dim() - 1)) for name, value in batch.given.items()}
        x, q = batch.x.repeat(k, *[1] * (batch.x.dim() - 1)), self.posterior(batch)

        def joint(z: Tensor) -> Tensor:
            return Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z) + self.likelihood(z, given).log_prob(x)

        return refine(joint, q.mean.detach(), q.scale.detach(), torch.Generator().manual_seed(seed), k, levels)

    def encode(self, batch: Batch) -> Tensor:
        return self.posterior(batch).mean

    def decode(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Distribution:
        return self.likelihood(z, given)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch]) -> None:
        """Fit the density of the codes that the data really have, per class, so that sampling avoids empty regions
        (Ghosh et al. 2020, section 3.3)."""
        if not self.config.components:
            return
        codes, labels = [], []
        for batch in batches:
            codes.append(self.posterior(batch).sample().cpu())
            labels += [next(iter(batch.given.values())).cpu()] if self.classes else []
        z = torch.cat(codes)
        for label, density in enumerate(self.density):
            own = z[torch.cat(labels) == label] if self.classes else z
            if len(own) >= 2 * self.config.latent and isinstance(density, GaussianMixture):
                density.fit(own, generator=torch.Generator().manual_seed(0))

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Standard normal noise (B, 1 + latent); the first column picks a component of the density. For a row of a
        table one number more for each cell, which draws it."""
        columns = 1 + self.config.latent + len(self.spec.sizes or ())
        return seeded_noise(seeds, (columns,), next(self.parameters()).device)

    def generate(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
        """The most likely look of the items whose noise is z, the mean of p(x|z); a table's rows are drawn from it."""
        z, cells = z.split([1 + self.config.latent, z.shape[1] - 1 - self.config.latent], 1)
        codes = torch.empty_like(z[:, 1:])
        label = torch.zeros(1, dtype=torch.long, device=z.device)
        if self.classes:
            label = given.get(next(iter(self.spec.given)), label)
        label = label.expand(len(z))  # one condition may serve all
        for value in label.unique().tolist():
            codes[label == value] = self.density[value].transform(z[label == value])
        law = self.likelihood(codes, given)
        return law.at(torch.special.ndtr(cells)) if isinstance(law, Row) else law.mean

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return self.generate(self.noise(seeds), given)

    def diagnose(self, history: History) -> str | None:
        recent = history.recent("kl", 10)
        if self.fraction > 0.3 and len(recent) == 10 and sum(recent) / 10 < 0.5:
            return (
                f"The code carries only {sum(recent) / 10:.2f} nats: the decoder ignores it (posterior collapse). "
                "Try --set free_bits=0.1, or --set beta=0.5, or --set warmup=0.5."
            )
        return None


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(net="cnn" if spec.dims in (1, 2, 3) else "mlp", width=8, latent=4, components=2))
