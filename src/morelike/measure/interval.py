"""What the measures share: which features can be compared at all, and 95 % intervals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from morelike.core.errors import DataError
from morelike.measure.figure import Estimate

Z = 1.959964  # 97.5 % point of the normal law
GROUPS, T = 20, 2.093  # groups of a jackknife, and the 97.5 % point of Student's t with one degree of freedom fewer
HUGE = 1e15  # squares of larger numbers leave the range of float32


def unusable(made: Tensor, real: Tensor, least: int = 2, real_least: int | None = None) -> str:
    """Why two sets of features cannot be compared, or "" when they can.

    made, real         (N, d) and (M, d)
    least, real_least  the fewest items of each that the measure needs; the same for both when only one is given
    """
    for kind, one, few in (("made", made, least), ("real", real, least if real_least is None else real_least)):
        if len(one) < few:
            return f"there are {len(one)} {kind} items; at least {few} are needed"
        good = int((one.flatten(1).abs() <= HUGE).all(1).sum())
        if good < len(one):
            return f"{len(one) - good} of {len(one)} {kind} items have features that are not finite or beyond {HUGE:g}"
    if made[0].numel() != real[0].numel():
        return f"made items have {made[0].numel()} features and real ones {real[0].numel()}"
    return "" if made[0].numel() else "the items have no features"


def doubles(a: Tensor, b: Tensor, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets as double precision (N, d) on the CPU; raises `DataError` where `unusable` has something to say."""
    if reason := unusable(a, b, least):
        raise DataError(f"Two sets cannot be compared: {reason}", "Two sets of finite features of one width",
                        "Use more items, or leave out those that are not finite")  # fmt: skip
    return a.detach().cpu().flatten(1).double(), b.detach().cpu().flatten(1).double()


def around(value: float, error: float, low: float = -math.inf, high: float = math.inf) -> Estimate:
    """A value with the interval value +- error, all three brought into [low, high]."""
    value, left, right = (min(max(one, low), high) for one in (value, value - error, value + error))
    return Estimate(value, left, right)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share: (p + z^2/2n +- z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n) (Wilson 1927).

    p = hits / trials; n = trials, at least 1.
    """
    share, z2 = hits / trials, Z * Z / trials
    half = Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials))
    low, high = (share + z2 / 2 - half) / (1 + z2), (share + z2 / 2 + half) / (1 + z2)
    return max(0.0, low) if hits else 0.0, min(1.0, high) if hits < trials else 1.0


def groups(count: int, seed: int, parts: int = GROUPS) -> Tensor:
    """A random group from 0 to parts - 1 for each of `count` items, int64 (count,); sizes differ by at most one."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % parts


def jackknife(left_out: Tensor) -> float:
    """Variance of a statistic from its values without one group each, (g,): (g - 1)/g sum (t_-i - mean)^2.

    For groups of about equal size (Quenouille 1956; Efron & Stein 1981: it errs upwards on average).
    """
    return float((len(left_out) - 1) * left_out.double().var(correction=0))
