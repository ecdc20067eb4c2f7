"""What series are like over time, each statistic pooled over all windows (N, T, C) of a set; NaN is a missing value."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from morelike.measure.table.shape import average, shapes
from morelike.measure.table.sheet import Column

LAGS = 40  # of an autocorrelation, at most
WAVES = 48  # frequencies of a spectrum, at most
LEAST = 1e-6  # of all power: what is below is rounding


def changes(x: Tensor) -> Tensor:
    """x_{t+1} - x_t, (N, T - 1, C)."""
    return x[:, 1:] - x[:, :-1]


def likeness(made: Tensor, real: Tensor) -> np.ndarray:
    """1 - KS of all values of each column, whatever their time, (C,); NaN where either side has none."""
    a, b = (one.reshape(-1, one.shape[2]) for one in (made, real))
    return shapes(a, b, [Column(str(at), "number", at, True) for at in range(a.shape[1])])


def autocorrelation(x: Tensor, lags: int) -> Tensor:
    """r_k = mean (x_t - m)(x_{t+k} - m) / mean (x_t - m)^2 for k = 1, ..., lags, double (lags, C).

    m and the means are over all windows and steps of a column, so that slow changes between windows count; NaN where a
    column does not vary. Of an AR(1), x_t = a x_{t-1} + e_t, r_k = a^k (Box & Jenkins 1970).
    """
    z, there, power = _centred(x)
    found = [(z[:, k:] * z[:, :-k]).sum((0, 1)) / (there[:, k:] & there[:, :-k]).sum((0, 1)) / power
             for k in range(1, lags + 1)]  # fmt: skip
    return torch.stack(found) if found else torch.zeros(0, x.shape[2], dtype=x.dtype)


def cross_correlation(x: Tensor, lag: int = 0) -> Tensor:
    """r_ij = mean (x_ti - m_i)(x_{t+lag, j} - m_j) / (s_i s_j), (C, C), lag >= 0; NaN where a column does not vary."""
    z, there, power = _centred(x)
    early, late = (slice(None, -lag), slice(lag, None)) if lag else (slice(None), slice(None))
    a, b = z[:, early].reshape(-1, z.shape[2]), z[:, late].reshape(-1, z.shape[2])
    m, n = (there[:, part].reshape(-1, z.shape[2]).double() for part in (early, late))
    return a.T @ b / (m.T @ n).clamp_min(1) / (power[:, None] * power[None]).sqrt()


def spectrum(x: Tensor, waves: int) -> Tensor:
    """Power in decibels at `waves` frequencies, evenly from 1 / T to 1/2 of a step, (waves, C).

        P(f) = mean over windows of |sum_t w_t (x_t - mean) e^(-2 pi i f t)|^2 / sum_t w_t^2

    w is Hann's window; gaps are bridged by straight lines (Welch 1967, with the windows that there are).
    """
    size, total, count = x.shape[1], torch.zeros(waves, x.shape[2], dtype=torch.float64), 0
    grid = np.linspace(1 / max(size, 2), 0.5, waves)
    ends = (~x.isnan().all(2) * torch.arange(1, size + 1)).amax(1) if size else torch.zeros(len(x))
    for length in torch.unique(ends).int().tolist():
        own = x[ends == length, :length]
        if length < 4:
            continue
        own = bridged(own)
        hann = torch.hann_window(length, periodic=False, dtype=torch.float64)[:, None]
        power = torch.fft.rfft(hann * (own - own.mean(1, keepdim=True)), dim=1).abs().square() / hann.square().sum()
        at, mean = np.fft.rfftfreq(length), power.sum(0).numpy()
        total += torch.from_numpy(np.stack([np.interp(grid, at, mean[:, c]) for c in range(mean.shape[1])], 1))
        count += len(own)
    if not count:
        return torch.full_like(total, torch.nan)
    mean_power = total / count
    return 10 * mean_power.clamp_min(LEAST * mean_power.mean(0)).clamp_min(1e-300).log10()


def bridged(x: Tensor) -> Tensor:
    """Windows whose gaps are bridged by straight lines, and by the next value at either end; 0 where none is."""
    if not bool(x.isnan().any()):
        return x
    found, at = x.numpy().copy(), np.arange(x.shape[1])
    for i, c in zip(*np.nonzero(np.isnan(found).any(1)), strict=True):
        known = ~np.isnan(found[i, :, c])
        found[i, :, c] = np.interp(at, at[known], found[i, known, c]) if known.any() else 0.0
    return torch.from_numpy(found)


def difference(a: Tensor, b: Tensor) -> float:
    """mean |a - b| over all entries that both have; where only the made one, a, is undefined, it counts as 0."""
    gap = (a.nan_to_num() - b).abs()[~b.isnan()]
    return float(gap.mean()) if len(gap) else math.nan


def lags_of(x: Tensor) -> int:
    """Up to which lag windows (N, T, C) tell an autocorrelation: half of a window."""
    return min(LAGS, x.shape[1] // 2)


def waves_of(x: Tensor) -> int:
    """How many frequencies windows (N, T, C) tell apart."""
    return min(WAVES, x.shape[1] // 2)


def marginals(made: Tensor, real: Tensor) -> float:
    """1 - KS, averaged over columns."""
    return average(likeness(made, real))


def memory(made: Tensor, real: Tensor) -> float:
    """mean |r_made - r_real| / 2 over lags and columns, of values and of changes."""
    lags = lags_of(real)
    pairs = ((made, real), (changes(made), changes(real)))
    found = [difference(*(autocorrelation(one, lags) for one in pair)) / 2 for pair in pairs]
    return average(np.array(found))


def ties(made: Tensor, real: Tensor) -> float:
    """mean |r_made - r_real| / 2 over pairs of different columns at lags -1, 0 and 1, of values and of changes."""
    other = ~torch.eye(real.shape[2], dtype=torch.bool)
    pairs, found = ((made, real), (changes(made), changes(real))), []
    for a, b in pairs:
        found += [
            difference(*(cross_correlation(one, lag)[other] for one in (a, b))) / 2 for lag in (0, 1, 1)
        ]  # 1: and -1
    return average(np.array(found))


def waves(made: Tensor, real: Tensor) -> float:
    """mean |10 log10 P_made - 10 log10 P_real| over frequencies and columns, in decibels."""
    count = waves_of(real)
    return difference(*(spectrum(one, count) for one in (made, real)))


def _centred(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x less the mean of its column and 0 where it is missing, what is there, and the variance, (C,)."""
    there = ~x.isnan()
    count = there.sum((0, 1)).clamp_min(1)
    z = torch.where(there, x - x.nansum((0, 1)) / count, 0.0)
    power = z.square().sum((0, 1)) / count
    scale = torch.where(there, x, 0.0).abs().amax((0, 1)) if x.numel() else power
    return z, there, torch.where(power > (1e-9 * scale).square(), power, torch.nan)
