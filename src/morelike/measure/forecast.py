"""What more time would probably buy, from the trail of samples that a run has left."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from morelike.core.family import Optim
from morelike.measure.distances import kernel_distance
from morelike.measure.figure import Estimate
from morelike.train.optim import rate
from morelike.train.trail import read_trail

FACTORS = {"twice": 2.0, "ten_times": 10.0}  # how much longer
FEWEST = 5  # moments without which there is no curve
LIMIT = 2_000  # held-out items that a moment is compared with
Z90, Z95 = 1.645, 1.960  # ends of the middle 90 and 95 % of a normal law, in standard deviations

# Curves that are tried: v(t) = s (f + (1 - f) (t / T)^-c) (1 - g h(t)), T the length of the run
FALLS = torch.linspace(0.0, 3.0, 31, dtype=torch.float64)  # c
FLOORS = torch.linspace(0.0, 0.9, 10, dtype=torch.float64)  # f, share of the value at T that no time takes away
COOLED = torch.tensor([0.0, 0.15, 0.3, 0.45, 0.6], dtype=torch.float64)  # g, what cooling down takes away in the end
SCATTER = torch.tensor(
    [0.05, 0.1, 0.2, 0.3, 0.45, 0.6], dtype=torch.float64
)  # of runs about their curve, in logarithms
USUAL_FALL = (1.2, 0.6)  # mean and standard deviation of c before anything is seen of this run,
RARE = (6.0, 4.0)  # and powers of 1 - f and 1 - g in what is thought of them: both are rather small than large
DRIFT = 0.65  # by which a run leaves its curve when it is made twice as long, in logarithms

METHOD = (
    "Samples drawn by the averaged weights at {moments} moments of this run, from the same seeds, were compared with "
    "held-out items (unbiased kernel distance). Power laws with a floor were weighed by how well they fit; what lies "
    "further back counts less. While the learning rate is being lowered a run improves faster than it would go on "
    "doing, and moments before that are worse than the end of a shorter run would have been: the fit gives this "
    "cooling down a factor of its own, so that it is not taken for progress. Longer means planned to be longer, with "
    "the same settings and machine."
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A moment of a run: time since it began in any unit, distance of its samples and its standard error, and how much
    of its learning rate had been taken away, from 0 to 1."""

    time: float
    value: float
    error: float
    cooled: float = 0.0


def forecast(
    moments: Sequence[tuple[float, Tensor]], held: Tensor, *, cooled: Sequence[float] = (), live: Tensor | None = None,
    seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What twice and ten times the time would probably buy.

    moments  (time, features (n, d) of what was drawn then), at least `FEWEST`; the unit of time does not matter
    held     features of held-out items (m, d), of which the first `LIMIT` are used
    cooled   for each moment, the share of the learning rate that had been taken away; without it, none
    live     features of what the weights that are not averaged drew at the last moment

    sentences      what to tell a reader
    twice, ten_times   each {gain, gain_low, gain_high, value, low, high}: share by which the distance would fall, with
                   the 90 % interval, and the distance that would be left, likewise
    now            distance at the end of this run, as fitted, with its 90 % interval
    fall           how steeply it falls: half the distance is left after 2^(1/fall) times the time, floor aside
    curve          [{time, value, low, high}]: the moments with their 95 % intervals
    average, live  distance of the last samples, by averaged weights and by the others, each {value, low, high}
    reason         why there is no answer, or ""
    """
    held = held[:LIMIT]
    found = [(time, kernel_distance(x, held, seed=seed)) for time, x in moments]
    known = [(i, time, one) for i, (time, one) in enumerate(found) if one.value is not None and time > 0]
    points = [Point(time, one.value or 0.0, _error(one), cooled[i] if cooled else 0.0) for i, time, one in known]
    answer: dict[str, Any] = {"reason": refused(points), "sentences": []}
    if not answer["reason"]:
        answer |= extrapolate(points)
    answer["sentences"] = told(answer)
    answer["curve"] = [{"time": time, **_plain(one)} for _, time, one in known]
    if live is not None and known:
        answer |= {"average": _plain(known[-1][2]), "live": _plain(kernel_distance(live, held, seed=seed))}
    return answer | {"method": METHOD.format(moments=len(points))}


def forecast_of(run: Path, features: Callable[[Tensor], Tensor], held: Tensor, *, seed: int = 0) -> dict[str, Any]:
    """The `forecast` of a run folder; `features` maps items (n, *shape) to (n, d), and `held` is (m, d) of it."""
    trail = read_trail(run)
    optims = _optims(run / "cost.json")
    cooled = [max((_cooled(one, moment.fraction) for one in optims), default=0.0) for moment in trail]
    moments = [(float(moment.step), features(moment.x)) for moment in trail]
    live = features(trail[-1].live) if trail and trail[-1].live is not None else None
    return forecast(moments, held, cooled=cooled, live=live, seed=seed)


def refused(points: Sequence[Point]) -> str:
    """Why nothing can be said, or ""."""
    if len(points) < FEWEST:
        return f"the run left samples of {len(points)} moments only, and {FEWEST} are needed"
    last = points[-1]
    if last.value < Z95 * last.error:
        return "the samples are already as near to held-out items as can be measured with so few of them"
    third = len(points) // 3
    early = torch.tensor([one.value for one in points[:third]]).median()
    late = torch.tensor([one.value for one in points[-third:]]).median()
    if late >= early:
        return "the distance has not fallen during this run: more of the same would not help"
    return ""


def extrapolate(points: Sequence[Point]) -> dict[str, Any]:
    """Weigh all curves by how well they fit the points, and read off what they say of longer runs.

    In logarithms, y_i = log v_i = log s + log m_i + e_i with e_i normal, of variance (error_i / v_i)^2 + r^2 (1 + log2
    (T / t_i)): what lies further back says less. log s is integrated out, the other parameters are summed over grids,
    and a run k times as long is thought to be off its curve with variance r^2 + d^2 log2 k.
    """
    end = points[-1].time
    t, v, error, cooled = (
        torch.tensor([getattr(one, name) for one in points], dtype=torch.float64)
        for name in ("time", "value", "error", "cooled")
    )
    v = torch.maximum(v, error.clamp_min(1e-12))
    c, f, g, r = (one.flatten() for one in torch.meshgrid(FALLS, FLOORS, COOLED, SCATTER, indexing="ij"))
    curve = (f[:, None] + (1 - f[:, None]) * (t / end) ** -c[:, None]) * (1 - g[:, None] * cooled)  # (curves, points)
    weight = 1 / ((error / v).square() + r[:, None].square() * (1 + torch.log2(end / t)))
    off = v.log() - curve.log()
    scale = (weight * off).sum(1) / weight.sum(1)  # log s
    fit = -0.5 * (weight * (off - scale[:, None]).square()).sum(1) + 0.5 * weight.log().sum(1)
    fit = fit - 0.5 * weight.sum(1).log() - 0.5 * ((c - USUAL_FALL[0]) / USUAL_FALL[1]).square()
    fit = fit + RARE[0] * (1 - f).log() + RARE[1] * (1 - g).log()
    share = (fit - fit.max()).softmax(0)
    last, unsure = scale + (1 - g * cooled[-1]).log(), 1 / weight.sum(1)  # of log v(T), and its variance
    answer: dict[str, Any] = {"now": _levels(*spread(last, unsure.sqrt(), share)), "fall": float((share * c).sum())}
    for name, factor in FACTORS.items():
        change, off_curve = (f + (1 - f) * factor**-c).log(), r.square() + DRIFT**2 * math.log2(factor)
        low, middle, high = (math.exp(one) for one in spread(change, off_curve.sqrt(), share))
        level = _levels(*spread(last + change, (unsure + off_curve).sqrt(), share))
        answer[name] = {"gain": 1 - middle, "gain_low": 1 - high, "gain_high": 1 - low, **level}
    return answer


def spread(middles: Tensor, widths: Tensor, shares: Tensor) -> tuple[float, float, float]:
    """The 5, 50 and 95 % points of a mixture of normal laws: means, standard deviations and shares (n,) each."""
    low, high = float((middles - 4 * widths).min()), float((middles + 4 * widths).max())
    ends = []
    for level in (0.05, 0.5, 0.95):
        a, b = low, high
        for _ in range(50):
            middle = (a + b) / 2
            below = float((shares * torch.special.ndtr((middle - middles) / widths)).sum())
            a, b = (middle, b) if below < level else (a, middle)
        ends.append((a + b) / 2)
    return ends[0], ends[1], ends[2]


def told(answer: Mapping[str, Any]) -> list[str]:
    """Sentences for a reader who knows no statistics."""
    if answer["reason"]:
        return [f"There is no forecast: {answer['reason']}."]
    return [_sentence(words, answer[name]) for name, words in (("twice", "Twice"), ("ten_times", "Ten times"))]


def _sentence(words: str, gain: Mapping[str, float]) -> str:
    low, high = (round(100 * gain[end]) for end in ("gain_low", "gain_high"))
    if high <= 0:
        return f"{words} the time would probably bring the samples no nearer to the data."
    if low <= 0:
        return f"{words} the time might lower the distance to the data by up to {high} %, or not at all."
    return f"{words} the time would probably lower the distance to the data by {low} to {high} %."


def _error(found: Estimate) -> float:
    """Standard error of an estimate with a 95 % interval; as large as the value itself where there is none."""
    if found.low is None or found.high is None:
        return abs(found.value or 0.0)
    return (found.high - found.low) / (2 * Z95)


def _plain(found: Estimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _levels(low: float, middle: float, high: float) -> dict[str, float]:
    return {"value": math.exp(middle), "low": math.exp(low), "high": math.exp(high)}


def _cooled(optim: Optim, fraction: float) -> float:
    """Share of the peak learning rate that has been taken away at a fraction of the budget; none in the warm-up."""
    return 0.0 if fraction < optim.warmup else 1 - rate(optim, fraction) / optim.lr


def _optims(path: Path) -> list[Optim]:
    """How the players were optimised; nothing where cost.json is missing, older or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["optimizers"].values()
        return [Optim(**one) for one in kept if one["lr"] > 0]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
