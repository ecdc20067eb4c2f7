"""A latent space to walk in: where items lie in it, and what each place looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.core.family import Family, HasInterpolation, HasLatent
from morelike.core.spec import Batch

CHUNK = 128  # items decoded at once
FLAT = 1e-6  # a spread below this share of the largest is rounding, and no direction


@dataclass(frozen=True)
class Space:
    """Latent points z, what they look like, and how they are spread: z = mean + factor u, where u has covariance I.

    points  (n, latent) places where items lie
    given   condition of each point, by name, (n, ...)
    mean    (latent,) of such places
    factor  (latent, latent), factor factor' is their covariance
    look    (B, latent), conditions -> items (B, *shape), the most likely ones
    tokens  size of the vocabulary where items are tokens, or None
    coded   True where items can be encoded, so that single coordinates are worth looking at
    """

    points: Tensor
    given: Mapping[str, Tensor]
    mean: Tensor
    factor: Tensor
    look: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
    tokens: int | None
    coded: bool

    @property
    def spread(self) -> Tensor:
        """Standard deviation of each coordinate, (latent,)."""
        return self.factor.square().sum(1).sqrt()

    @torch.no_grad()
    def items(self, z: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """Items (B, *shape) at places z (B, latent), with conditions (B, ...), in chunks."""
        parts = range(0, len(z), CHUNK)
        return torch.cat([self.look(z[i : i + CHUNK], Batch(z, given).slice(i, i + CHUNK).given).cpu() for i in parts])

    def numbers(self, z: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """Items as flat rows (B, D) whose squared distance counts: real numbers as they are, tokens as 1/sqrt(2) at
        their place of the vocabulary, so that each changed token adds 1."""
        x = self.items(z, given)
        if self.tokens is None:
            return x.float().flatten(1)
        return F.one_hot(x.long(), self.tokens).flatten(1).float() / 2**0.5


def space_of(family: Family, batch: Batch, seeds: Sequence[int]) -> Space:
    """The space of codes of a family with an encoder, or of noise for one that can walk between seeds.

    batch  items, real or made, and their conditions: their codes say how the space is used
    seeds  as many as there are items: their noise, where there is no encoder

    Raises `OptionError` for a family with neither.
    """
    points, given, tokens = places_of(family, batch, seeds), batch.given, family.spec.tokens
    if isinstance(family, HasLatent):
        decode = family.decode
        return Space(points, given, points.mean(0), _factor(points), lambda z, c: decode(z, c).mean, tokens, True)
    assert isinstance(family, HasInterpolation)
    latent = points.shape[1]  # noise is standard normal
    return Space(points, given, torch.zeros(latent), torch.eye(latent), family.generate, tokens, False)


def places_of(family: Family, batch: Batch, seeds: Sequence[int]) -> Tensor:
    """Places (N, latent) of items in the latent space of a family: codes where it can encode, else the seeds' noise."""
    if isinstance(family, HasLatent):
        return codes_of(family, batch)
    if isinstance(family, HasInterpolation):
        return family.noise(seeds)
    raise OptionError(
        "This family has no latent space", "A family that can encode items, or walk between seeds, such as vae or gan",
        "Train with --family vae",
    )  # fmt: skip


def great_circle(space: Space, ends: Tensor, steps: int) -> Tensor:
    """Places (steps, latent) from ends[0] to ends[1], both (latent,), on the great circle between them.

    (sin((1 - t) w) u_0 + sin(t w) u_1) / sin(w), where w is the angle between the ends in coordinates u in which the
    space is spread evenly (Shoemake 1985; for latent spaces: White 2016).
    """
    u = (ends - space.mean) @ torch.linalg.pinv(space.factor).T
    w = torch.acos(F.cosine_similarity(u[0], u[1], dim=0).clamp(-0.9999, 0.9999))
    t = torch.linspace(0, 1, steps)[:, None]
    path = (torch.sin((1 - t) * w) * u[0] + torch.sin(t * w) * u[1]) / torch.sin(w)
    return space.mean + path @ space.factor.T


@torch.no_grad()
def codes_of(family: HasLatent, batch: Batch) -> Tensor:
    """Codes (N, latent) float32 of items (N, *shape), in chunks."""
    parts = range(0, len(batch.x), CHUNK)
    return torch.cat([family.encode(batch.slice(i, i + CHUNK)).float().cpu() for i in parts])


def _factor(points: Tensor) -> Tensor:
    """A square root of the covariance of points (n, latent): Q sqrt(w) of its eigenvectors Q and eigenvalues w."""
    centred = points.double() - points.double().mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / max(1, len(points) - 1))
    values = torch.where(values > FLAT**2 * values.max().clamp_min(1e-300), values, 0.0)
    return (vectors * values.sqrt()).float()
