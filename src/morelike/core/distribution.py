"""The distributions that the product needs, batch first, with torch's method names.

Every class keeps the batch as its first dimension and treats all others as one event: `log_prob` of a (B, *shape)
tensor is (B,). `torch.distributions` costs milliseconds per call on image batches; these cost microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


@runtime_checkable
class Distribution(Protocol):
    """A law over events of one shape, one for each item of a batch."""

    @property
    def mean(self) -> Tensor: ...  # (B, *shape)
    def log_prob(self, x: Tensor) -> Tensor: ...  # (B, *shape) -> (B,)
    def sample(self) -> Tensor: ...  # exact, no gradient
    def rsample(self) -> Tensor: ...  # differentiable, or a clear error


def per_item(x: Tensor) -> Tensor:
    """Sum everything but the batch: (B, *shape) -> (B,), in float32 or better."""
    return (x.float() if x.dtype in (torch.bfloat16, torch.float16) else x).flatten(1).sum(1) if x.ndim > 1 else x


@dataclass(frozen=True)
class Normal:
    """Gaussian with diagonal covariance, log N(x; mu, s^2) = -1/2 sum(((x - mu) / s)^2 + 2 log s + log 2 pi).

    loc, scale: (B, *shape); scale > 0. Where the scale is constant, this is the squared error up to scale and offset.
    """

    loc: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, x: Tensor) -> Tensor:
        z = (x - self.loc) / self.scale
        return per_item(-0.5 * (z.square() + LOG_2PI) - self.scale.log())

    def sample(self) -> Tensor:
        return self.rsample().detach()

    def rsample(self) -> Tensor:
        return self.loc + self.scale * torch.randn_like(self.loc)

    def kl_parts(self) -> Tensor:
        """Kullback-Leibler divergence to N(0, I) by coordinate (Kingma & Welling 2014, appendix B): (B, *shape)."""
        return 0.5 * (self.loc.square() + self.scale.square() - 1) - self.scale.log()


@dataclass(frozen=True)
class Bernoulli:
    """Bernoulli over values coded -1 and 1; its negative log-likelihood is the binary cross-entropy.

    logits: (B, *shape). Values between -1 and 1 are read as probabilities, so grey pixels give the cross-entropy
    that is often trained on, which is not a density of them.
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.tanh(self.logits / 2)  # 2 sigmoid(l) - 1

    def log_prob(self, x: Tensor) -> Tensor:
        logits = self.logits.float()
        return -per_item(F.binary_cross_entropy_with_logits(logits, ((x + 1) / 2).to(logits.dtype), reduction="none"))

    def sample(self) -> Tensor:
        return torch.bernoulli(torch.sigmoid(self.logits)) * 2 - 1

    def rsample(self) -> Tensor:
        raise TypeError("A Bernoulli has no differentiable sample; use .mean, or a family that needs only log_prob.")


@dataclass(frozen=True)
class DiscretisedLogistic:
    """Logistic law integrated over the bins of 8-bit values: P(x) = s((x + h - mu) / b) - s((x - h - mu) / b).

    loc, log_scale: (B, *shape) on the scale [-1, 1]; s is the sigmoid and h = 1 / (levels - 1) half a bin; the two
    outermost bins reach to infinity. A true probability of 8-bit data, in such bits (Salimans et al. 2017, eq. 2).
    """

    loc: Tensor
    log_scale: Tensor
    levels: int = 256

    @property
    def mean(self) -> Tensor:
        return self.loc.clamp(-1, 1)

    def log_prob(self, x: Tensor) -> Tensor:
        loc, log_scale = self.loc.float(), self.log_scale.float()
        half = 1 / (self.levels - 1)
        inverse = torch.exp(-log_scale)
        high, low = (x - loc + half) * inverse, (x - loc - half) * inverse
        # log(s(high) - s(low)) = logsig(high) + logsig(-low) + log(1 - exp(low - high)): stable in both tails
        middle = F.logsigmoid(high) + F.logsigmoid(-low) + torch.log(-torch.expm1(-2 * half * inverse))
        inner = torch.where(x < -1 + half, F.logsigmoid(high), middle)
        return per_item(torch.where(x > 1 - half, F.logsigmoid(-low), inner))

    def sample(self) -> Tensor:
        u = torch.rand_like(self.loc).clamp(1e-5, 1 - 1e-5)
        x = self.loc + self.log_scale.exp() * (u.log() - (-u).log1p())
        return (((x + 1) / 2 * (self.levels - 1)).round() / (self.levels - 1) * 2 - 1).clamp(-1, 1)

    def rsample(self) -> Tensor:
        u = torch.rand_like(self.loc).clamp(1e-5, 1 - 1e-5)
        return (self.loc + self.log_scale.exp() * (u.log() - (-u).log1p())).clamp(-1, 1)


@dataclass(frozen=True)
class Categorical:
    """Categorical over tokens; log-likelihood summed over positions.

    logits: (B, *shape, tokens); events are integer tensors (B, *shape).
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        return self.logits.argmax(-1)  # the mode: tokens have no mean

    def log_prob(self, x: Tensor) -> Tensor:
        picked = self.logits.float().log_softmax(-1).gather(-1, x.long().unsqueeze(-1)).squeeze(-1)
        return per_item(picked)

    def sample(self) -> Tensor:
        flat = self.logits.float().softmax(-1).flatten(0, -2)
        return torch.multinomial(flat, 1).reshape(self.logits.shape[:-1])

    def rsample(self) -> Tensor:
        """A relaxed one-hot sample (B, *shape, tokens) at temperature 1 (Jang et al. 2017, eq. 2)."""
        return F.gumbel_softmax(self.logits, dim=-1)


@dataclass(frozen=True)
class Point:
    """All mass on one value, loc (B, *shape): the law of an implicit model, which can be sampled but has no density."""

    loc: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    def log_prob(self, x: Tensor) -> Tensor:
        raise TypeError("An implicit model has no density; use a family with log_prob, such as vae.")

    def sample(self) -> Tensor:
        return self.loc.detach()

    def rsample(self) -> Tensor:
        return self.loc


def seeded_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Standard normal noise in which item i depends on seeds[i] alone: (len(seeds), *shape).

    It is drawn on the CPU, so that a seed means the same on every machine.
    """
    generator = torch.Generator()
    rows = [torch.randn(*shape, generator=generator.manual_seed(int(seed))) for seed in seeds]
    return torch.stack(rows).to(device) if rows else torch.empty(0, *shape, device=device)
