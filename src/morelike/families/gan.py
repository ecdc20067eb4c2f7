"""Generative adversarial networks: a generator plays against a critic that learns to tell its work from the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.distribution import seeded_noise
from morelike.core.errors import OptionError, unknown
from morelike.core.family import Family, History, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn import net
from morelike.nn.augment import NonLeaking
from morelike.nn.condition import Condition
from morelike.nn.rows import OneHot, Row

# What each published variant settles, beside what is plain; anything the user sets wins over it.
PLAIN: dict[str, Any] = {
    "net": "cnn", "style": "residual", "norm": "none", "gamma": 0.0, "penalty_every": 1, "critic_steps": 1,
    "augment": 0.0, "classify": 0.0, "batch": 64, "optim": Optim("adam", 2e-4, (0.5, 0.999), schedule="constant"),
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    # Goodfellow et al. 2014, algorithm 1 with the non-saturating generator loss of section 3; multilayer perceptrons
    "goodfellow": {"net": "mlp", "loss": "nonsaturating"},
    # Radford, Metz & Chintala 2016: strided convolutions, batch normalisation, Adam 2e-4 with beta1 0.5
    "dcgan": {"loss": "nonsaturating", "style": "plain", "norm": "batch"},
    # Gulrajani et al. 2017, algorithm 1: five critic steps, gradient penalty 10, Adam with betas 0 and 0.9
    "wasserstein": {
        "loss": "wasserstein", "gamma": 10.0, "critic_steps": 5,
        "optim": Optim("adam", 2e-4, (0.0, 0.9), schedule="constant"),
    },
    # Huang et al. 2024 (R3GAN): relativistic pairing, R1 and R2, no normalisation; lazy penalty: Karras et al. 2020
    "modern": {
        "loss": "relativistic", "gamma": None, "penalty_every": 8, "classify": 0.4, "batch": 32,
        "optim": Optim("adam", 2.5e-3, (0.0, 0.99), schedule="linear"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Settings of a GAN; None means: as the variant says.

    variant        goodfellow | dcgan | wasserstein | modern
    net            mlp | cnn | rnn | transformer, for both players
    width          base number of channels, the one dial of size
    latent         length of the noise vector z
    loss           nonsaturating | wasserstein | relativistic
    gamma          weight of the gradient penalty (R1 and R2, or the one of WGAN-GP)
    penalty_every  apply the penalty in every n-th critic step, n times as strong
    critic_steps   critic steps for each generator step
    augment        probability of the non-leaking augmentation before the critic, 0 to 0.8
    classify       weight of telling the label from the item, where a label is the condition (Odena et al. 2017)
    norm, style    none | batch | group and residual | plain, handed to the net
    """

    variant: str = "modern"
    net: str | None = None
    width: Count = 32
    latent: Count = 64
    loss: str | None = None
    gamma: float | None = None
    penalty_every: int | None = None
    critic_steps: int | None = None
    augment: float | None = None
    classify: float | None = None
    norm: str | None = None
    style: str | None = None

    def settled(self, name: str) -> Any:
        """The user's value, else the variant's, else the plain one."""
        chosen = getattr(self, name, None)
        return chosen if chosen is not None else {**PLAIN, **VARIANTS[self.variant]}[name]


class Critic(nn.Module):
    """Scores how real an item looks, given its condition: w f(x) + <V c, f(x)> (Miyato & Koyama 2018, eq. 3).

    Where the condition is a label, it also guesses the label from the item: its second output is -log p(label | x),
    (B,), which keeps a generator to its label where few examples would not (Odena et al. 2017).
    """

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        features = 4 * config.width
        self.condition = Condition(spec.given, features)
        shape = (sum(spec.sizes),) if spec.sizes else spec.shape
        self.features = net(config.settled("net")).Encoder(
            shape, features, config.width, norm=config.settled("norm"), style=config.settled("style"),
        )  # fmt: skip
        self.score = nn.Linear(features, 1)
        labels = [name for name, one in spec.given.items() if one.tokens and one.shape == ()]
        self.label = labels[0] if labels and config.settled("classify") else None
        self.guess = nn.Linear(features, spec.given[self.label].tokens or 1) if self.label else None

    def forward(self, x: Tensor, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        f = F.leaky_relu(self.features(x), 0.2)  # (B, features)
        score = self.score(f).squeeze(1)  # (B,)
        c = self.condition(given, len(x))  # (B, conditions * features)
        if c is not None:
            score = score + (c.to(f.dtype).unflatten(1, (-1, f.shape[1])).sum(1) * f).sum(1) / f.shape[1] ** 0.5
        if self.guess is None:
            return score.float(), torch.zeros_like(score, dtype=torch.float32)
        label = given[self.label or ""].expand(len(x))
        return score.float(), F.cross_entropy(self.guess(f).float(), label, reduction="none")


class Generator(nn.Module):
    """Turns noise into an item: z (B, latent), given -> raw network output (B, *head_shape)."""

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.condition = Condition(spec.given, config.latent)
        self.decoder = net(config.settled("net")).Decoder(
            config.latent, spec.head_shape, config.width, self.condition.width, norm=config.settled("norm"),
            style=config.settled("style"),
        )  # fmt: skip

    def forward(self, z: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        return self.decoder(z, self.condition(given, len(z)))


class Model(Family):
    """The minimax game min_G max_D of Goodfellow et al. 2014, with the losses and penalties that came after."""

    needs = "rsample"

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        if config.variant not in VARIANTS:
            raise unknown("GAN variant", config.variant, VARIANTS)
        if spec.tokens is not None and spec.sizes is None:
            raise OptionError(
                f"A GAN was given tokens (of {spec.tokens} kinds)",
                "It learns through its samples, which must be real numbers, or rows of a table",
                "Use --family vae for tokens",
            )  # fmt: skip
        self.spec, self.config = spec, config
        self.loss = config.settled("loss")
        if self.loss not in LOSSES:
            raise unknown("GAN loss", self.loss, LOSSES)
        self.generator, self.critic = Generator(spec, config), Critic(spec, config)
        self.one_hot = OneHot(spec.sizes) if spec.sizes else None
        self.augment = NonLeaking(config.settled("augment"))
        gamma = config.settled("gamma")
        # good at 28x28; larger items need a stronger penalty, as their slopes are sums (Karras et al. 2020, table 6)
        self.gamma = 0.01 * math.prod(spec.shape) ** 0.5 if gamma is None else gamma
        self.batch = config.settled("batch")
        self.mixes = config.settled("norm") == "batch"

    def players(self) -> dict[str, nn.Module]:
        return {"critic": self.critic, "generator": self.generator}

    def optimizers(self) -> dict[str, Optim]:
        optim = self.config.settled("optim")
        if self.config.variant == "modern":  # steps as long as a wide layer bears: Adam's, as one over its inputs
            weights = list(self.generator.decoder.parameters())
            layers = [p for p in weights if p.ndim > 2] or [p for p in weights if p.ndim == 2]  # kernels, or matrices
            scale = min(1.0, 64 / max(p.shape[1] for p in layers))  # Yang et al. 2021, table 3
            optim = replace(optim, lr=optim.lr * scale)
        return dict.fromkeys(self.players(), optim)

    def play(self, batch: Batch) -> Iterator[Move]:
        (critic_loss, generator_loss), classify = LOSSES[self.loss], self.config.settled("classify")
        real = self.one_hot(batch.x) if self.one_hot else batch.x
        fake = self.made(self.prior(batch), batch.given)
        # (1) critic: tell real from fake
        for turns_left in reversed(range(self.config.settled("critic_steps"))):
            made = fake.detach() if turns_left == 0 else self.fresh(batch)
            seen, made = self.augment(real), self.augment(made)
            (real_score, misread), (fake_score, _) = self.critic(seen, batch.given), self.critic(made, batch.given)
            loss = critic_loss(real_score, fake_score) + classify * misread + self.penalty(seen, made, batch.given)
            yield Move("critic", loss, {} if turns_left else {"diversity": spread(fake) / spread(real)})
        # (2) generator: fool the critic that has just improved, and be read as the label that was asked for
        fake_score, misread = self.critic(self.augment(fake), batch.given)
        yield Move("generator", generator_loss(real_score.detach(), fake_score) + classify * misread)

    @torch.no_grad()
    def fresh(self, batch: Batch) -> Tensor:
        """New fakes for a critic step that the generator will not learn from."""
        return self.made(self.prior(batch), batch.given)

    def penalty(self, real: Tensor, fake: Tensor, given: Mapping[str, Tensor]) -> Tensor | float:
        """Gradient penalty, one value per example (B,); lazily, every n-th step and n times as strong."""
        every, gamma = self.config.settled("penalty_every"), self.gamma
        if not gamma or self.step % every:
            return 0.0
        if self.loss == "wasserstein":  # Gulrajani et al. 2017, eq. 3
            mix = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
            norm = squared_slope(self.critic, mix * real + (1 - mix) * fake, given).add(1e-12).sqrt()
            return every * gamma * (norm - 1).square()
        r1, r2 = squared_slope(self.critic, real, given), squared_slope(self.critic, fake, given)
        return every * gamma / 2 * (r1 + r2)  # Mescheder et al. 2018, eq. 9; both needed: Huang et al. 2024

    def prior(self, batch: Batch) -> Tensor:
        return torch.randn(len(batch.x), self.config.latent, device=batch.x.device)

    def made(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
        """What the critic sees: items, or for rows of a table their relaxed one-hot vectors."""
        return self.spec.head(self.generator(z, given)).rsample()

    def generate(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
        if not self.spec.sizes:
            return self.made(z, given)
        z, cells = z.split([self.config.latent, len(self.spec.sizes)], 1)
        law = self.spec.head(self.generator(z, given))
        assert isinstance(law, Row), "rows have the law of a row"
        return law.at(torch.special.ndtr(cells))

    def judge(self, batch: Batch) -> Tensor:
        return self.critic(self.one_hot(batch.x) if self.one_hot else batch.x, batch.given)[0]

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Standard normal (B, latent); for a row of a table one number more for each cell, which draws it."""
        columns = self.config.latent + len(self.spec.sizes or ())
        return seeded_noise(seeds, (columns,), next(self.parameters()).device)

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return self.generate(self.noise(seeds), given)

    def diagnose(self, history: History) -> str | None:
        recent = history.recent("diversity", 10)
        if self.fraction > 0.1 and len(recent) == 10 and sum(recent) / 10 < 0.4:
            return (
                f"The generator is collapsing: its samples differ from one another {sum(recent) / 10:.0%} as much as "
                f"the data do. Try --set gamma={4 * self.gamma or 1.0:.2g}, or --set lr="
                f"{self.optimizers()['critic'].lr / 2:.2g}, or --family vae, which cannot collapse this way."
            )
        return None


def squared_slope(critic: Critic, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Squared norm of the critic's gradient at x: (B, *shape) -> (B,); needs second derivatives."""
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(x, given)[0].sum(), x, create_graph=True)
    return slope.float().square().flatten(1).sum(1)


def spread(x: Tensor) -> Tensor:
    """Mean absolute difference between neighbours in a batch: (B, *shape) -> ()."""
    return (x - x.roll(1, 0)).abs().float().mean().detach() + 1e-6


# name -> (critic loss, generator loss) of the scores of real and fake, each (B,) -> (B,)
LOSSES = {
    "nonsaturating": (lambda r, f: F.softplus(-r) + F.softplus(f), lambda r, f: F.softplus(-f)),
    "wasserstein": (lambda r, f: f - r, lambda r, f: -f),  # Arjovsky et al. 2017, eq. 2
    "relativistic": (lambda r, f: F.softplus(f - r), lambda r, f: F.softplus(r - f)),  # Jolicoeur-Martineau 2019
}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=8, latent=8, net="cnn" if spec.dims in (1, 2, 3) else "mlp"))
