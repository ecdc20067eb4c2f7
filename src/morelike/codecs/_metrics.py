"""What is natural to compare in pictures without any net: their spectrum, and their brightness and colours."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 2**22  # numbers at a time
_GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue in brightness (ITU-R BT.601)
_QUANTUM = (2 / 255) ** 2 / 12  # variance of rounding to 256 levels, on the scale from -1 to 1


def spectrum_distance(samples: Tensor, real: Tensor) -> dict[str, float]:
    """How far the two sets differ in coarse and fine structure: {"spectrum_distance": decibels}, 0 when not at all.

        ( mean_r (10 log10 S(r) - 10 log10 R(r))^2 )^1/2

    samples, real  (N, C, H, W) and (M, C, H, W) from -1 to 1, C = 1 or 3, at least one picture each

    S and R are the mean power |FFT|^2 of the brightness in rings of equal spatial frequency r = 1, 2, ..., half of the
    shorter side; r = 0, the mean brightness, is left out. Power below that of rounding to 256 levels counts as that.
    Blurred samples lack power in the outer rings, and nets that enlarge badly have too much. {} for pictures of fewer
    than two pixels a side. Source: Durall et al. 2020, eq. 5, here as a distance.
    """
    if min(real.shape[2:]) < 2:
        return {}
    gap = _rings(samples) - _rings(real)
    return {"spectrum_distance": float(gap.square().mean().sqrt())}


def colour_distance(samples: Tensor, real: Tensor) -> dict[str, float]:
    """Wasserstein distance of order 1 between the pixel values of two sets, in levels from 0 to 255.

        W = sum_v |F(v) - G(v)|,    F and G the cumulated shares of pixels with value at most v

    samples, real  (N, C, H, W) and (M, C, H, W) from -1 to 1, C = 1 or 3, at least one picture each

    {"brightness_distance"} for grey pictures; for colour also {"red_distance", "green_distance", "blue_distance"}. 10
    means that a pixel is off by 10 levels on average once both sets are sorted. Values are rounded as for writing.
    Source: Villani 2009, remark 2.19 (the distance on a line).
    """
    made, true = _histograms(samples), _histograms(real)
    names = ("brightness",) if samples.shape[1] == 1 else ("brightness", "red", "green", "blue")
    gaps = (made - true).cumsum(1).abs().sum(1)
    return {f"{name}_distance": float(gap) for name, gap in zip(names, gaps, strict=True)}


METRICS = (spectrum_distance, colour_distance)


def _brightness(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, W) from -1 to 1, whatever a model made."""
    x = _shown(x)
    return x[:, 0] if x.shape[1] == 1 else torch.einsum("nchw,c->nhw", x, x.new_tensor(_GREY))


def _shown(x: Tensor) -> Tensor:
    return x.detach().cpu().double().nan_to_num(0.0).clamp(-1, 1)


def _blocks(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(max(1, _BLOCK // max(1, x[0].numel())))


def _rings(x: Tensor) -> Tensor:
    """Mean power of every ring in decibels, double (R,)."""
    height, width = x.shape[2:]
    power = sum(torch.fft.rfft2(_brightness(some), norm="ortho").abs().square().sum(0) for some in _blocks(x)) / len(x)
    rows, columns = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    side = min(height, width)
    ring = (torch.hypot(rows[:, None], columns) * side).round().long()  # (H, W // 2 + 1)
    twice = torch.full((len(columns),), 2.0, dtype=torch.float64)  # columns whose mirror image rfft2 leaves out
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    weight, rings = twice.expand(ring.shape).flatten(), ring.flatten()
    size = int(ring.max()) + 1
    total = torch.zeros(size, dtype=torch.float64).index_add_(0, rings, power.flatten() * weight)
    count = torch.zeros(size, dtype=torch.float64).index_add_(0, rings, weight)
    return 10 * (total / count)[1 : side // 2 + 1].clamp(min=_QUANTUM).log10()


def _histograms(x: Tensor) -> Tensor:
    """Share of pixels at each of 256 levels: brightness first, then the channels if there are three; (1 or 4, 256)."""
    counts = torch.zeros(1 if x.shape[1] == 1 else 1 + x.shape[1], 256, dtype=torch.float64)
    for some in _blocks(x):
        planes = [_brightness(some), *(_shown(some).unbind(1) if len(counts) > 1 else ())]
        for row, plane in zip(counts, planes, strict=True):
            row += plane.add(1).mul(127.5).round().long().flatten().bincount(minlength=256)
    return counts / counts.sum(1, keepdim=True)
