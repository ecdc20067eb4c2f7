"""Downhill on a potential from noise, then about in its valleys: Langevin's equation in steps with a schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

Slope = Callable[[Tensor], Tensor]  # (B, *shape) -> gradient of V, (B, *shape)
Noise = Callable[[int], Tensor]  # number of a step -> standard normal (B, *shape)


@dataclass(frozen=True)
class Step:
    """x <- x - size grad V(x) + sqrt(2 size heat) xi: an Euler step of Langevin's equation at a temperature `heat`.

    along  how much of what is held has emerged from the noise by then: 0 to 1
    """

    size: float
    heat: float
    along: float = 1.0


Held = Callable[[Tensor, float], Tensor]  # x, along -> x with what is known put back


def _free(x: Tensor, along: float) -> Tensor:
    return x


@torch.no_grad()
def walk(slope: Slope, x: Tensor, steps: Sequence[Step], noise: Noise, held: Held = _free) -> Tensor:
    """Where x comes to by these steps: (B, *shape) -> same."""
    for i, step in enumerate(steps):
        x = held(x, step.along)
        x = x - step.size * slope(x)
        if step.heat:
            x = x + (2 * step.size * step.heat) ** 0.5 * noise(i)
    return held(x, 1.0)


class SeededNoise:
    """Standard normal noise for step after step, of which row i depends on seeds[i] alone: (B, *shape)."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> None:
        self.shape, self.device = tuple(shape), device
        self.rows = [Generator().manual_seed(int(seed)) for seed in seeds]

    def __call__(self, step: int = 0) -> Tensor:
        if not self.rows:
            return torch.empty(0, *self.shape, device=self.device)
        return torch.stack([torch.randn(self.shape, generator=row) for row in self.rows]).to(self.device)


def downhill(flow: int, settle: int, size: float, heat: float) -> list[Step]:
    """A way of length 1 along the flow, without noise, then steps at the model's temperature."""
    flows = [Step(1 / flow, 0.0, i / flow) for i in range(flow)]
    return flows + [Step(size, heat)] * settle


def cooled(steps: int, settle: int, size: float, heat: float) -> list[Step]:
    """Steps whose temperature falls from 1, that of the noise that they begin with, to the model's."""
    return [Step(size, heat ** (i / steps)) for i in range(steps)] + [Step(size, heat)] * settle
