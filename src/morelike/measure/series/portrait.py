"""What is drawn of series: values, memory and spectrum of each column, real and made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from morelike.measure.series.statistics import autocorrelation, changes, lags_of, likeness, spectrum, waves_of
from morelike.measure.table.portrait import Histogram, portrait
from morelike.measure.table.sheet import Column

SHOWN = 24  # columns that are drawn
Line = tuple[float | None, ...]


@dataclass(frozen=True)
class Over:
    """One column over time.

    values           as a histogram
    alike            1 - KS of values and of changes; None where there is nothing to compare
    autocorrelation  at lags from 1 on, real and made; of changes likewise
    frequencies      cycles a step, and decibels of either there
    """

    column: str
    values: Histogram
    alike: tuple[float | None, float | None]
    autocorrelation: tuple[Line, Line]
    changes: tuple[Line, Line]
    frequencies: Line
    spectrum: tuple[Line, Line]


def drawn(made: Tensor, real: Tensor, columns: Sequence[str]) -> tuple[Over, ...]:
    """Windows (N, T, C) and (M, T, C) as what can be drawn of them, the first columns where there are many."""
    made, real, names = made[:, :, :SHOWN], real[:, :, :SHOWN], columns[:SHOWN]
    flat = [one.reshape(-1, one.shape[2]) for one in (made, real)]
    bars = portrait(flat[0], flat[1], [Column(name, "number", at, True) for at, name in enumerate(names)]).columns
    lags, count = lags_of(real), waves_of(real)
    memory = [autocorrelation(one, lags) for one in (real, made)]
    after = [autocorrelation(changes(one), max(lags - 1, 0)) for one in (real, made)]
    waves = [spectrum(one, count) for one in (real, made)]
    grid = tuple(np.linspace(1 / max(real.shape[1], 2), 0.5, count).tolist())
    near = likeness(made, real), likeness(changes(made), changes(real))
    return tuple(
        Over(name, bars[at], (_plain(near[0][at]), _plain(near[1][at])), _both(memory, at), _both(after, at), grid,
             _both(waves, at))
        for at, name in enumerate(names)
    )  # fmt: skip


def _both(of: Sequence[Tensor], at: int) -> tuple[Line, Line]:
    real, made = (tuple(_plain(value) for value in one[:, at].tolist()) for one in of)
    return real, made


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def picked(items: Sequence[np.ndarray], most: int, seed: int) -> list[int]:
    """Places of some items at random, at most so many."""
    return torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))[:most].tolist()
