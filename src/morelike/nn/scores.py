"""Score matching: losses, one for each item, by which a potential V learns a density exp(-V / T) without samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

WIDEST = 1.0  # noise from which on nothing of an item is left


def shaped(values: Tensor, like: Tensor) -> Tensor:
    """(B,) -> (B, 1, ..), to be multiplied with items."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def mean_square(x: Tensor) -> Tensor:
    """(B, *shape) -> (B,)."""
    return x.float().square().flatten(1).mean(1)


def denoising(slope: Callable[[Tensor], Tensor], x: Tensor, heat: float) -> Tensor:
    """|x~ - x - grad V(x~)|^2 / s^2 with x~ = x + s xi, s from T^(1/2) to 1 (Li, Chen & Sommer 2019): (B,).

    With one s it is the denoising score matching of Vincent (2011, eq. 9), grad V = -T times the score at s^2 = T.

    slope  x -> grad V(x), a function of the weights: (B, *shape) -> same
    heat   the temperature T
    """
    low = math.sqrt(heat)
    s = shaped(low * (WIDEST / low) ** torch.rand(len(x), device=x.device), x)
    away = s * torch.randn_like(x)
    return mean_square((away - slope(x + away)) / s)


def sliced(potential: Callable[[Tensor], Tensor], x: Tensor, heat: float) -> Tensor:
    """|grad V|^2 / 2 - T v' hess(V) v, v = +-1 at random: T^2 times sliced score matching (Song et al. 2019, eq. 8).

    Items get a little noise, of a tenth of the temperature, as a density on a thin sheet has no score.

    potential  (B, *shape) -> (B,)
    """
    x = (x + math.sqrt(0.1 * heat) * torch.randn_like(x)).requires_grad_(True)
    with torch.enable_grad():
        v = torch.randn_like(x).sign()
        (slope,) = torch.autograd.grad(potential(x).sum(), x, create_graph=True)
        (curve,) = torch.autograd.grad((slope * v).sum(), x, create_graph=True)
    return 0.5 * mean_square(slope) - heat * (v * curve).float().flatten(1).mean(1)
