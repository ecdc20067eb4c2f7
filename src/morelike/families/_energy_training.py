"""Ways to train an energy: each gives a loss for every example, (B,), and what is worth showing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from morelike.core.spec import Batch
from morelike.families._energy_walk import Step, downhill, walk
from morelike.nn.transport import paired

if TYPE_CHECKING:
    from morelike.families.energy import Model

Loss = tuple[Tensor, Mapping[str, Tensor]]
FRESH = 0.05  # share of the chains that begin anew (Du & Mordatch 2019, section 3.2)
WIDEST = 1.0  # noise from which on nothing of an item is left


def shaped(values: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..), to be multiplied with items."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def mean_square(x: Tensor) -> Tensor:
    return x.float().square().flatten(1).mean(1)


def denoising(model: Model, batch: Batch) -> Loss:
    """|x~ - x - grad V(x~)|^2 / s^2 with x~ = x + s xi and s from `temperature`^(1/2) to 1 (Li, Chen & Sommer 2019, eq. 8).

    With one s it is the denoising score matching of Vincent (2011, eq. 9), grad V = -T times the score at s^2 = T.
    """
    x = batch.x
    low = math.sqrt(model.config.temperature)
    s = shaped(low * (WIDEST / low) ** torch.rand(len(x), device=x.device), x)
    away = s * torch.randn_like(x)
    slope = model.potential.slope(x + away, batch.given, learn=True)
    loss = mean_square((away - slope) / s)
    return loss, {"slope": mean_square(slope.detach()).mean()}


def sliced(model: Model, batch: Batch) -> Loss:
    """|grad V|^2 / 2 - T v' hess(V) v, v = +-1 at random: T^2 times sliced score matching (Song et al. 2019, eq. 8).

    Items get a little noise, of a tenth of the temperature, as a density on a thin sheet has no score.
    """
    heat = model.config.temperature
    x = (batch.x + math.sqrt(0.1 * heat) * torch.randn_like(batch.x)).requires_grad_(True)
    with torch.enable_grad():
        v = torch.randn_like(x).sign()
        (slope,) = torch.autograd.grad(model.potential(x, batch.given).sum(), x, create_graph=True)
        (curve,) = torch.autograd.grad((slope * v).sum(), x, create_graph=True)
    along = (v * curve).float().flatten(1).mean(1)
    return 0.5 * mean_square(slope) - heat * along, {"slope": mean_square(slope.detach()).mean()}


def pcd(model: Model, batch: Batch) -> Loss:
    """E(x) - E(x-) + a (E(x)^2 + E(x-)^2), x- from chains that persist (Tieleman 2008; Du & Mordatch 2019, alg. 1)."""
    made, given = _negatives(model, batch, torch.randn_like(batch.x))
    real, fake = model.energy(batch), model.energy(Batch(made, given))
    loss = real - fake + model.config.magnitude * (real.square() + fake.square())
    return loss, _told(model, batch, made, real, fake)


def matching(model: Model, batch: Batch) -> Loss:
    """|-grad V(x_t) - (x_1 - x_0)|^2, x_t = (1 - t) x_0 + t x_1, paired by optimal transport; near the end of training
    also w (E(x) - E(x-)), which makes exp(-V / T) the density near the data (Balcerak et al. 2025, algorithms 1 and 2).
    """
    x_1, given = batch.x, batch.given
    x_0 = paired(torch.randn_like(x_1), x_1, given)
    t = shaped(torch.rand(len(x_1), device=x_1.device), x_1)
    slope = model.potential.slope((1 - t) * x_0 + t * x_1, given, learn=True)
    flow = mean_square(slope + x_1 - x_0)
    if model.fraction < 1 - model.config.sharpen:
        return flow, {"flow": flow.detach().mean()}
    made, theirs = _negatives(model, batch, x_1)
    real, fake = model.energy(batch), model.energy(Batch(made, theirs))
    told = {"flow": flow.detach().mean(), **_told(model, batch, made, real, fake)}
    return flow + model.config.contrast * (real - fake) / x_1[0].numel(), told


def _told(model: Model, batch: Batch, made: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    return {
        "gap": (fake - real).detach().mean(),
        "energy": real.detach().abs().mean(),
        "diversity": spread(made) / spread(batch.x),
    }


@torch.no_grad()
def _negatives(model: Model, batch: Batch, first: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Samples of the model, by chains that persist: (B, *shape), and their conditions.

    first  where a chain stands that has never moved
    """
    n, chains, config = len(batch.x), model.chains, model.config
    chosen = torch.randperm(len(chains.x), device=first.device)[:n]
    rows = torch.arange(n, device=first.device) % len(chosen)
    x, given, born = chains.read(chosen)
    x = torch.where(shaped(born, first), x[rows] if n > len(chosen) else x, first[: len(x)])
    here = {name: value[: len(x)] for name, value in batch.given.items()}
    given = {name: torch.where(shaped(born, value), value, here[name]) for name, value in given.items()}
    fresh = max(1, round(FRESH * len(x)))
    x[:fresh] = torch.randn_like(x[:fresh])
    given = {name: torch.cat([here[name][:fresh], value[fresh:]]) for name, value in given.items()}
    if config.training == "matching":
        flow = downhill(config.steps, 0, config.size, 0.0)
        x[:fresh] = move(model, x[:fresh], {name: value[:fresh] for name, value in given.items()}, flow)
    x = move(model, x, given, [Step(config.size, config.temperature)] * config.k)
    chains.write(chosen, x, given)
    return x, given


def move(model: Model, x: Tensor, given: Mapping[str, Tensor], steps: list[Step]) -> Tensor:
    return walk(lambda x: model.potential.slope(x, given), x, steps, lambda i: torch.randn_like(x))


def spread(x: Tensor) -> Tensor:
    """Mean absolute difference between neighbours in a batch: (B, *shape) -> ()."""
    return (x - x.roll(1, 0)).abs().float().mean().detach() + 1e-6


TRAININGS: dict[str, Callable[[Model, Batch], Loss]] = {
    "matching": matching, "pcd": pcd, "denoising": denoising, "sliced": sliced,
}  # fmt: skip
