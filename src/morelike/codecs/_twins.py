"""Two versions of one picture, told from two pictures: saved again, resized, cropped, shifted, lighter, darker, noisy.

Pictures are compared without their brightness and contrast, the second one warped onto the first. Two versions differ
a little everywhere; two pictures of like things differ much somewhere, so the place where they differ most decides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE, COARSE, GRID = 32, 16, 8  # pixels: of a sketch at most, while it is warped, of a signature
REACH = 0.95  # distance of signatures within which two versions of a picture lie
SAME = 0.04  # share of the contrast that two versions may differ by at the worst place
STEPS = 8  # of the registration, half of them on smoothed pictures
FAR = 0.25  # furthest shift or change of scale, of half the picture's side
LEVELS = 2.0  # grey levels of contrast below which there is nothing to compare
_CELLS = 6  # places in a row where the difference is looked at
_EDGE = 0.94  # of half the side: the outermost pixels are not compared, since a shift leaves them empty


def sketch(stored: Tensor) -> Tensor:
    """Pictures made small: uint8 (B, C, H, W) -> uint8 (B, C, h, w), at most 32 pixels a side."""
    height, width = stored.shape[2:]
    shrink = max(height, width) / SIDE
    if shrink <= 1:
        return stored
    size = max(1, round(height / shrink)), max(1, round(width / shrink))
    return F.interpolate(stored.float(), size, mode="bilinear", antialias=True).round().to(torch.uint8)


def mirrored(sketches: Tensor) -> Tensor:
    """The same pictures, left and right exchanged."""
    return sketches.flip(3)


def signature(sketches: Tensor) -> Tensor:
    """What is left of a picture when it is out of focus: (B, C, h, w) -> (B, 64 C).

    Its means over a grid of 8 by 8, less their mean, of length 1 / REACH.
    """
    coarse = F.adaptive_avg_pool2d(sketches.float(), GRID).flatten(1)
    coarse = coarse - coarse.mean(1, keepdim=True)
    return coarse / (REACH * coarse.norm(dim=1, keepdim=True).clamp_min(LEVELS))


def difference(a: Tensor, b: Tensor) -> Tensor:
    """How unlike pairs of pictures are, (P, C, h, w) twice -> (P,): below 1 they are versions of one picture.

    b is warped onto a, both are brought to mean 0 and variance 1, smoothed over 3 pixels, and the largest mean squared
    difference among overlapping cells, divided by 2 SAME, is returned. Where one of them has no contrast it is inf.
    """
    if not len(a):
        return torch.empty(0)
    a, b = a.float(), b.float()
    unlike = _residual(a, b, register(_grey(a), _grey(b)))
    blank = torch.minimum(a.flatten(1).std(1), b.flatten(1).std(1)) < LEVELS
    return unlike.masked_fill(blank, torch.inf)


def _grey(x: Tensor) -> Tensor:
    """(P, C, h, w) -> (P, 1, 16, 16) or smaller."""
    grey = x.mean(1, keepdim=True)
    return F.adaptive_avg_pool2d(grey, (min(COARSE, grey.shape[2]), min(COARSE, grey.shape[3])))


def register(a: Tensor, b: Tensor) -> Tensor:
    """Scales and shifts that warp b onto a: (P, 1, h, w) twice -> (P, 4), of half the side: sx, sy, tx, ty.

    Inverse compositional Gauss-Newton on normalised correlation: the gradient of a, with what brightness and contrast
    explain projected out, is inverted once (Baker & Matthews 2004, figure 4; Evangelidis & Psarakis 2008).
    """
    height, width = a.shape[2:]
    x, y = _axes(height, width)
    p = torch.zeros(len(a), 4)
    for smooth in (True, False):
        one, other = (_smoothed(a), _smoothed(b)) if smooth else (a, b)
        target, size = _unit(one)
        across = F.pad(one[..., 2:] - one[..., :-2], (1, 1)) * (width - 1) / 4
        down = F.pad(one[..., 2:, :] - one[..., :-2, :], (0, 0, 1, 1)) * (height - 1) / 4
        slopes = torch.stack([across * x, down * y, across, down], -1).flatten(1, 3) / size[..., None]  # (P, hw, 4)
        slopes = slopes - slopes.mean(1, keepdim=True)
        slopes = slopes - target[..., None] * (target[:, None] @ slopes)
        bend = slopes.mT @ slopes
        bend = bend + torch.diag_embed(0.01 * bend.diagonal(dim1=1, dim2=2) + 1e-6)
        step = torch.linalg.solve(bend, slopes.mT)  # (P, 4, hw)
        for _ in range(STEPS // 2):
            warped = _unit(F.grid_sample(other, _grid(p, x, y), padding_mode="border", align_corners=True))[0]
            p = (p - (step @ (warped - target)[..., None])[..., 0].clamp(-0.15, 0.15)).clamp(-FAR, FAR)
    return p


def _residual(a: Tensor, b: Tensor, p: Tensor) -> Tensor:
    """The largest mean squared difference of a cell, over 2 SAME, once b is warped by p (P, 4): (P,)."""
    x, y = _axes(*a.shape[2:])
    grid = _grid(p, x, y)
    b = F.grid_sample(b, grid, padding_mode="border", align_corners=True)
    seen = ((grid.abs() <= _EDGE).all(-1) & (x.abs() <= _EDGE) & (y.abs() <= _EDGE)).float()[:, None]  # (P, 1, h, w)
    apart = _standard(a, seen) - _standard(b, seen)
    grey = apart.mean(1, keepdim=True)
    colour = _smoothed(_smoothed(apart - grey)) if apart.shape[1] > 1 else 0.0  # JPEG keeps colours at half the scale
    apart = (_smoothed(grey) + colour).square().mean(1, keepdim=True)
    cell = max(3, max(a.shape[2:]) // _CELLS)
    cell = min(cell, *a.shape[2:])
    return F.avg_pool2d(apart, cell, max(1, cell // 2)).flatten(1).amax(1) / (2 * SAME)


def _standard(x: Tensor, seen: Tensor) -> Tensor:
    """Mean 0 and variance 1 over all that is seen, and 0 elsewhere."""
    count = seen.sum((1, 2, 3), keepdim=True).clamp_min(1) * x.shape[1]
    x = (x - (x * seen).sum((1, 2, 3), keepdim=True) / count) * seen
    return x / (x.square().sum((1, 2, 3), keepdim=True) / count).sqrt().clamp_min(1e-3)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """(P, 1, h, w) -> (P, hw) with mean 0 and length 1, and the length before."""
    x = x.flatten(1)
    x = x - x.mean(1, keepdim=True)
    size = x.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return x / size, size


def _smoothed(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def _axes(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Coordinates from -1 to 1: (1, w) and (h, 1)."""
    return torch.linspace(-1, 1, width)[None], torch.linspace(-1, 1, height)[:, None]


def _grid(p: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Where each pixel is taken from: (P, h, w, 2)."""
    sx, sy, tx, ty = (one[:, None, None] for one in p.T)
    across = (x * (1 + sx) + tx).expand(-1, y.shape[0], -1)
    return torch.stack([across, (y * (1 + sy) + ty).expand(-1, -1, x.shape[1])], -1)
