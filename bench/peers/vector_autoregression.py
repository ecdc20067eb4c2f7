"""Windows by a vector autoregression VAR(p), least squares, residuals drawn again: a classical peer of bench/series.py.

    x_t = c + A_1 x_{t-1} + ... + A_p x_{t-p} + e_t

Fitted on all windows (Luetkepohl 2005, ch. 3); p is that with the least AIC. A made window begins as a real one does,
with p steps of it, and goes on with residuals of one window and time after another, each drawn with replacement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ORDERS = 4


@dataclass(frozen=True)
class Fitted:
    """Coefficients (1 + p C, C), residuals (R, C), and AIC."""

    order: int
    weights: np.ndarray
    residuals: np.ndarray
    aic: float


def fit(windows: np.ndarray, order: int) -> Fitted:
    """VAR(order) of windows (N, T, C)."""
    x, y = _past(windows, order), windows[:, order:].reshape(-1, windows.shape[2])
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    residuals = y - x @ weights
    sign, determinant = np.linalg.slogdet(np.cov(residuals.T).reshape(y.shape[1], -1) + 1e-12 * np.eye(y.shape[1]))
    return Fitted(order, weights, residuals, float(determinant) + 2 * weights.size / len(y))


def best(windows: np.ndarray) -> Fitted:
    """The order with the least AIC, of `ORDERS`."""
    return min((fit(windows, order) for order in range(1, ORDERS + 1)), key=lambda one: one.aic)


def sample(model: Fitted, windows: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Windows (count, T, C) that begin as some of the given ones (N, T, C)."""
    draw = np.random.default_rng(seed)
    made = np.empty((count, *windows.shape[1:]))
    made[:, : model.order] = windows[draw.integers(len(windows), size=count), : model.order]
    for t in range(model.order, windows.shape[1]):
        shocks = model.residuals[draw.integers(len(model.residuals), size=count)]
        made[:, t] = _past(made[:, t - model.order : t + 1], model.order) @ model.weights + shocks
    return made


def _past(windows: np.ndarray, order: int) -> np.ndarray:
    """One, and the `order` steps before each step from there on, the nearest first: (N (T - order), 1 + order C)."""
    size = windows.shape[1]
    parts = [windows[:, order - lag : size - lag] for lag in range(1, order + 1)]
    flat = np.concatenate(parts, 2).reshape(-1, order * windows.shape[2])
    return np.concatenate([np.ones((len(flat), 1)), flat], 1)
