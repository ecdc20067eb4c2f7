"""Random changes to training pictures that leave what they show unchanged."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.errors import OptionError, unknown
from morelike.nn.augment import flip, recolour

_USUAL = {"crop": 0.15, "rotate": 10.0, "scale": 0.1, "flip": True, "colour": 0.2}
_MOST = {"crop": 0.9, "rotate": 180.0, "scale": 0.9, "colour": 1.0}


@dataclass(frozen=True)
class Augment:
    """How strongly pictures are changed, anew in every batch; by default not at all.

    crop    a window whose sides are cut by up to this share, at a random place, is shown at full size
    rotate  degrees to either side
    scale   magnification or reduction by up to this share
    flip    mirror half of the pictures
    colour  brightness, contrast and saturation by up to this share

    The model learns to imitate what it is shown, so use what keeps a picture as likely as before: no mirrored digits.
    """

    crop: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    flip: bool = False
    colour: float = 0.0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise OptionError(
                    f"The augmentation {name} is {getattr(self, name)}",
                    f"A number from 0 to {most:g}",
                    f"For example {name}={_USUAL[name]:g}",
                )

    @classmethod
    def parse(cls, words: str) -> Augment:
        """Read "flip,crop=0.1,rotate=10"; a word without a number gets its usual strength. Raises `OptionError`."""
        found: dict[str, float] = {}
        for word in filter(None, (part.strip() for part in words.split(","))):
            name, _, value = (part.strip() for part in word.partition("="))
            name = "colour" if name == "color" else name
            if name not in _USUAL:
                raise unknown("augmentation", name, _USUAL)
            try:
                found[name] = float(value) if value else _USUAL[name]
            except ValueError:
                raise OptionError(
                    f'The augmentation {name} is "{value}"', "A number", f"For example {name}={_USUAL[name]:g}"
                ) from None
        mirror = bool(found.pop("flip", False))
        return cls(**found, flip=mirror)

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))

    def apply(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Change every picture by numbers of its own: (B, C, H, W) from -1 to 1 -> the same shape and range."""
        if self.flip:
            x = flip(x, 0.5, generator)
        if self.crop or self.rotate or self.scale:
            x = self._move(x, generator)
        if self.colour:
            draws = 1 + self.colour * _draw(x, 3, generator)
            b, k, s = (draws[:, i].reshape(-1, 1, 1, 1) for i in range(3))
            x = recolour(x, b - 1, k, s).clamp(-1, 1)
        return x

    def _move(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Crop, turn and scale in one bilinear look-up, so that the picture is blurred once and not three times."""
        angle, size, side, across, down = _draw(x, 5, generator).unbind(1)
        window = 1 - self.crop * (side + 1) / 2  # share of the sides that is shown
        room = 1 - window
        zoom = window * torch.exp(size * math.log1p(self.scale))
        cos, sin = (
            zoom * torch.cos(angle * math.radians(self.rotate)),
            zoom * torch.sin(angle * math.radians(self.rotate)),
        )
        height, width = x.shape[2:]
        rows = (cos, -sin * height / width, across * room, sin * width / height, cos, down * room)
        grid = F.affine_grid(torch.stack(rows, 1).reshape(-1, 2, 3), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)

    def sheet(self, x: Tensor, copies: int = 7, seed: int = 0) -> np.ndarray:
        """Each picture beside augmented copies of it: (B, C, H, W) -> one uint8 picture (H', W', C)."""
        generator = torch.Generator().manual_seed(seed)
        shown = torch.stack([x, *(self.apply(x, generator) for _ in range(copies))], 1)  # (B, 1 + copies, C, H, W)
        tiles = F.pad(shown, (1, 1, 1, 1), value=1.0).permute(0, 3, 1, 4, 2)  # (B, H, 1 + copies, W, C)
        pixels = tiles.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return pixels.reshape(pixels.shape[0] * pixels.shape[1], -1, pixels.shape[4]).numpy()


def _draw(x: Tensor, numbers: int, generator: torch.Generator | None) -> Tensor:
    """U(-1, 1): (B, numbers)."""
    return (torch.rand(len(x), numbers, generator=generator) * 2 - 1).to(x)
