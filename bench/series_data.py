"""The series of bench/series.py as files and as windows: a file as it is, sines by the published recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars

LENGTH, SINES, COLUMNS = 24, 10_000, 5  # steps of a window, and of the sines how many there are and their columns
SERIES = "series"  # the column that tells windows apart


def sines(count: int = SINES, seed: int = 0) -> np.ndarray:
    """(sin(eta t + theta) + 1) / 2 with eta, theta uniform on [0, 0.1] for each window and column (Yoon et al. 2019).

    float64 (count, 24, 5). Their text has eta on [0, 1]; this is what their code does, by which others compare.
    """
    draw = np.random.default_rng(seed)
    eta, theta = (draw.uniform(0, 0.1, size=(count, 1, COLUMNS)) for _ in range(2))
    return (np.sin(eta * np.arange(LENGTH)[:, None] + theta) + 1) / 2


def write(windows: np.ndarray, target: Path) -> None:
    """Windows (N, T, C) as a CSV file, one after another."""
    size = windows.shape[1]
    frame: dict[str, Any] = {SERIES: np.repeat(np.arange(1, len(windows) + 1), size)}
    frame |= {f"x{c + 1}": windows[:, :, c].reshape(-1).round(6) for c in range(windows.shape[2])}
    polars.DataFrame(frame).write_csv(target)


def read(path: Path, step: int = 1) -> tuple[np.ndarray, tuple[str, ...]]:
    """Windows (N, 24, C) of a file, and the names of its columns of numbers; every `step`-th one of a single series."""
    frame = polars.read_csv(path, infer_schema_length=None)
    names = tuple(name for name, kind in frame.schema.items() if kind.is_numeric() and name != SERIES)
    values = frame.select(names).to_numpy().astype(np.float64)
    if SERIES in frame.columns:
        return values[: len(values) // LENGTH * LENGTH].reshape(-1, LENGTH, len(names)), names
    begins = np.arange(0, len(values) - LENGTH + 1, step)
    return values[begins[:, None] + np.arange(LENGTH)], names
