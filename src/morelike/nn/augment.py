"""Random changes to batches of items, drawn for each example, differentiable, cheap on a CPU.

Every function takes x: (B, C, *space) with values about [-1, 1] and returns the same shape; at strength 0 it returns
the values unchanged. Numbers are drawn from `generator`, or from torch's global one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.errors import OptionError, unknown

POLICY = ("colour", "translation", "cutout")  # the words of DiffAugment
MOST = 0.8  # below this share of augmented examples a generator learns no augmentation (Karras et al. 2020, fig. 4)


def _uniform(x: Tensor, low: float, high: float, generator: torch.Generator | None = None) -> Tensor:
    """One number for each example, in x's rank: (B, 1, .., 1)."""
    shape, device = (len(x), *[1] * (x.ndim - 1)), x.device if generator is None else generator.device
    return torch.empty(shape, device=device).uniform_(low, high, generator=generator).to(x)


def _integers(x: Tensor, low: int, high: int, generator: torch.Generator | None = None) -> Tensor:
    """One integer for each example, low <= n <= high: (B,)."""
    device = x.device if generator is None else generator.device
    return torch.randint(low, high + 1, (len(x),), generator=generator, device=device).to(x.device)


def recolour(x: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor | None = None) -> Tensor:
    """y = k (m + s (x - m) - M) + M + b, with m the mean over channels and M the mean over everything of one example.

    brightness b, contrast k, saturation s: (B, 1, .., 1), where 0, 1 and 1 change nothing. All three are one affine
    map of x and of its means, so they cost two passes over the data instead of six.
    """
    mean = x.flatten(1).mean(1).reshape(brightness.shape)
    offset = torch.addcmul(mean + brightness, contrast, mean, value=-1)
    if saturation is None or x.shape[1] == 1:
        return torch.addcmul(offset, x, contrast)
    grey = torch.addcmul(offset, x.mean(1, keepdim=True), contrast * (1 - saturation))  # (B, 1, *space)
    return torch.addcmul(grey, x, contrast * saturation)


def brightness(x: Tensor, strength: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Add a number from U(-strength, strength) to each example (Zhao et al. 2020: 0.5)."""
    return x + _uniform(x, -strength, strength, generator)


def contrast(x: Tensor, strength: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Multiply each example's deviations from its mean by U(1 - strength, 1 + strength) (Zhao et al. 2020: 0.5)."""
    k = _uniform(x, 1 - strength, 1 + strength, generator)
    return recolour(x, torch.zeros_like(k), k)


def saturation(x: Tensor, strength: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Multiply each pixel's deviations from its grey by U(1 - strength, 1 + strength) (Zhao et al. 2020: 1)."""
    s = _uniform(x, 1 - strength, 1 + strength, generator)
    return recolour(x, torch.zeros_like(s), torch.ones_like(s), s)


def flip(x: Tensor, strength: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Mirror the last axis of each example with probability `strength`."""
    return torch.where(_uniform(x, 0, 1, generator) < strength, x.flip(-1), x)


def _windows(padded: Tensor, corner: Tensor, space: Sequence[int]) -> Tensor:
    """Cut one window out of each example: padded (B, C, *larger), corner (B, rank) -> (B, C, *space).

    A window is a set of contiguous rows, so its rows are selected from the overlapping view of all possible rows:
    a copy of memory, many times faster than gathering numbers by index.
    """
    strides = [math.prod(padded.shape[axis + 1 :]) for axis in range(padded.ndim)]
    starts = torch.arange(len(padded), device=padded.device) * strides[0]
    starts = starts + (corner * torch.tensor(strides[2:], device=padded.device)).sum(1)  # (B,)
    for side, stride in zip((padded.shape[1], *space[:-1]), strides[1:-1], strict=True):
        starts = starts.unsqueeze(-1) + torch.arange(side, device=padded.device) * stride  # (B, C, *space[:-1])
    width = space[-1]
    rows = padded.reshape(-1).as_strided((padded.numel() - width + 1, width), (1, 1))
    return rows.index_select(0, starts.reshape(-1)).reshape(*padded.shape[:2], *space)


class _Shift(torch.autograd.Function):
    """Move the content of each example by whole steps and fill with zeros; the adjoint moves it back."""

    @staticmethod
    def forward(x: Tensor, steps: Tensor, reach: tuple[int, ...]) -> Tensor:
        pads = [n for r in reversed(reach) for n in (r, r)]
        return _windows(F.pad(x, pads), torch.tensor(reach, device=x.device) - steps, x.shape[2:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, ...]], output: Tensor) -> None:
        ctx.steps, ctx.reach = inputs[1], inputs[2]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Shift.apply(grad, -ctx.steps, ctx.reach), None, None  # can itself be differentiated, for R1


def shift(x: Tensor, steps: Tensor, reach: Sequence[int]) -> Tensor:
    """Move each example by `steps` (B, rank), integers in -reach..reach for each spatial axis, filling with zeros."""
    return _Shift.apply(x, steps, tuple(reach))


def _steps(x: Tensor, reach: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
    return torch.stack([_integers(x, -r, r, generator) for r in reach], 1)  # (B, rank)


def translate(x: Tensor, strength: float = 0.125, generator: torch.Generator | None = None) -> Tensor:
    """Move each example along each axis by up to strength x side and fill with zeros (Zhao et al. 2020: 1/8)."""
    reach = [int(side * strength + 0.5) for side in x.shape[2:]]
    return shift(x, _steps(x, reach, generator), reach) if any(reach) else x


def _outside(x: Tensor, strength: float, active: Tensor, generator: torch.Generator | None) -> Tensor:
    """1 outside a box with sides strength times x's, at a random place, and 0 inside it: (B, 1, *space)."""
    inside = active.reshape(-1, *[1] * (x.ndim - 1))
    for axis, side in enumerate(x.shape[2:], start=2):
        length = int(side * strength + 0.5)
        # the box may stick out, so that the border is hidden as often as the middle
        centre = _integers(x, 0, side - length % 2, generator).unsqueeze(1)
        place = torch.arange(side, device=x.device) - centre + length // 2
        within = (place >= 0) & (place < length)  # (B, side)
        inside = inside & within.reshape(len(x), *[side if a == axis else 1 for a in range(1, x.ndim)])
    return (~inside).to(x.dtype)


def cutout(x: Tensor, strength: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Set a box with sides strength times x's to zero (DeVries & Taylor 2017; Zhao et al. 2020: 1/2)."""
    return x * _outside(x, strength, torch.ones(len(x), dtype=torch.bool, device=x.device), generator)


def turn(x: Tensor, angle: Tensor, factor: Tensor, fill: str = "border") -> Tensor:
    """Turn pictures (B, C, H, W) by angle (B,) in radians, anticlockwise, and magnify by factor (B,), bilinearly.

    fill  what appears at the edges: "border", "reflection" or "zeros"
    """
    height, width = x.shape[2:]
    cos, sin, zero = angle.cos() / factor, angle.sin() / factor, torch.zeros_like(angle)
    # grid coordinates run from -1 to 1 on every axis, whatever the sides, hence their ratio
    rows = (cos, -sin * height / width, zero, sin * width / height, cos, zero)
    grid = F.affine_grid(torch.stack(rows, 1).reshape(-1, 2, 3).to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode=fill, align_corners=False)


def affine(
    x: Tensor, degrees: float = 0.0, scale: float = 0.0, generator: torch.Generator | None = None, fill: str = "border"
) -> Tensor:
    """Turn pictures by U(-degrees, degrees) and magnify them by (1 + scale) ** U(-1, 1); x and fill as in `turn`."""
    if not degrees and not scale:
        return x
    angle = _uniform(x, -math.radians(degrees), math.radians(degrees), generator).flatten()
    exponent = _uniform(x, -1, 1, generator).flatten()
    return turn(x, angle, (1 + scale) ** exponent, fill)


class NonLeaking:
    """Augmentation of what a critic sees, real and generated alike, so that a small set is not learnt by heart.

    strength  probability that an example undergoes each of the transformations, drawn apart for each; it can be set
              during training. Up to 0.8 the generator does not learn to imitate the transformations
              (Karras et al. 2020, section 2.2)
    policy    which of "colour", "translation" and "cutout" to use, separated by commas; their sizes are those of
              Zhao et al. (2020)

    x: (B, C, *space) -> same shape; vectors (B, F) are returned as they are. Raises `OptionError` for another
    strength or word.
    """

    def __init__(self, strength: float = 0.8, policy: str = ",".join(POLICY)) -> None:
        if not 0 <= strength <= MOST:
            found = f"The strength of the critic's augmentation is {strength}"
            raise OptionError(found, f"Expected 0 to {MOST}: above, it leaks into the samples", f"Use {MOST}")
        self.strength, self.policy = strength, [word.strip() for word in policy.split(",") if word.strip()]
        for word in self.policy:
            if word not in POLICY:
                raise unknown("augmentation of the critic", word, POLICY)

    def __call__(self, x: Tensor) -> Tensor:
        if x.ndim < 3 or not self.strength:
            return x
        if "colour" in self.policy:
            x = self._recolour(x)
        if "translation" in self.policy:
            x = self._translate(x)
        return x * _outside(x, 0.5, self._active(x).flatten(), None) if "cutout" in self.policy else x

    def _active(self, x: Tensor) -> Tensor:
        return _uniform(x, 0, 1) < self.strength

    def _recolour(self, x: Tensor) -> Tensor:
        b = _uniform(x, -0.5, 0.5) * self._active(x)
        k = 1 + _uniform(x, -0.5, 0.5) * self._active(x)
        s = 1 + _uniform(x, -1, 1) * self._active(x)
        return recolour(x, b, k, s)

    def _translate(self, x: Tensor) -> Tensor:
        reach = [int(side / 8 + 0.5) for side in x.shape[2:]]
        return shift(x, _steps(x, reach) * self._active(x).reshape(-1, 1), reach) if any(reach) else x
