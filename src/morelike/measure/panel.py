"""The standard measures on features, with their intervals, and the sentence that goes with each figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from morelike.core.codec import Metric
from morelike.measure import interval
from morelike.measure.anchors import Anchored, Measure, checked
from morelike.measure.coverage import clipped_coverage, clipped_density
from morelike.measure.distances import frechet_interval, kernel_distance, sliced_wasserstein
from morelike.measure.figure import Estimate, Figure
from morelike.measure.kinds import missing
from morelike.measure.nearest import nearest
from morelike.measure.twosample import two_sample

GROUPS = 8  # parts of the jackknife
_T95 = 2.365  # 97.5 % point of Student's t with GROUPS - 1 degrees of freedom
SEEN = 500  # items whose own numbers, not features, are compared


@dataclass(frozen=True)
class Scale:
    """How a measure is named and read.

    better  lower | higher | even, and `ideal` the value of a perfect model where it is known beforehand
    words   one sentence for readers who know no statistics: {value}, {floor} and {place} are filled in; see `told`
    """

    name: str
    title: str
    better: Literal["lower", "higher", "even"] = "lower"
    words: str = "On a scale from 0 (real items) to 100 (each number drawn on its own) the samples are at {place}."
    ideal: float | None = None


SCALES = {
    one.name: one
    for one in (
        Scale("frechet", "Fréchet distance"),
        Scale("kernel_distance", "Kernel distance", ideal=0.0),
        Scale("sliced_wasserstein", "Sliced Wasserstein distance"),
        Scale("density", "Clipped density", "higher",
              "About {value} of 100 samples look like real items; of real items themselves about {floor} do.", 1.0),
        Scale("coverage", "Clipped coverage", "higher",
              "Of what real items show, the samples show about {value} of 100 parts; other real items {floor}.", 1.0),
        Scale("missing", "Missing kinds", "lower",
              "Kinds that make up about {value} of 100 real items are missing among the samples.", 0.0),
        Scale("two_sample", "Two-sample test", "lower",
              "A classifier tells samples from real items in {value} of 100 cases; 50 is chance.", 0.5),
        Scale("variety", "Variety", "even",
              "A sample's nearest twin is {value} % as far away as the nearest twin of a real item.", 1.0),
        Scale("class_accuracy", "Class accuracy", "higher",
              "A net that learned the real items sees the class asked for in {value} of 100 samples; "
              "in real items it is right in {floor} of 100."),
    )
}  # fmt: skip


def measures(seed: int = 0) -> dict[str, Measure]:
    """The measures on features (n, d), by name: (one set, real items) -> Estimate."""
    return {
        "frechet": lambda a, b: frechet_interval(a, b, seed=seed),
        "kernel_distance": lambda a, b: kernel_distance(a, b, seed=seed),
        "sliced_wasserstein": lambda a, b: jackknife(lambda x, y: sliced_wasserstein(x, y, seed=seed), a, b),
        "density": clipped_density,
        "coverage": clipped_coverage,
        "missing": lambda a, b: missing(a, b, seed=seed),
        "two_sample": lambda a, b: two_sample(a, b, seed=seed),
    }


def variety(a: Tensor, b: Tensor) -> Estimate:
    """Median distance of an item of a to the nearest other one, over the same of b: 0 for a model that repeats itself.

    a, b (n, *shape) with at least 3 items each, of which the first `SEEN` are looked at.
    """

    def ratio(x: Tensor, y: Tensor) -> float:
        one, other = (nearest(z, z, 1, skip_self=True)[0].double().median() for z in (x, y))
        return float(one / other) if other > 0 else math.nan

    if min(len(a), len(b)) < 3:
        return Estimate(reason="fewer than three items")
    return jackknife(ratio, a[:SEEN], b[:SEEN])


def of_metric(metric: Metric, name: str) -> Measure:
    """One figure of a codec's metric as a measure on items, of which the first `SEEN` are looked at."""
    return lambda a, b: jackknife(lambda x, y: float(metric(x, y)[name]), a[:SEEN], b[:SEEN])


def jackknife(
    of: Callable[[Tensor, Tensor], float], a: Tensor, b: Tensor, groups: int = GROUPS, least: float = 0.0
) -> Estimate:
    """A statistic of two sets with a 95 % interval: value +- t s, s^2 = (g-1)/g sum_i (value_-i - mean)^2.

    a, b    (n, *) and (m, *); value_-i is the statistic without the i-th of g parts of both sets, which keeps the sizes
            and with them the bias of distances such as Fréchet's nearly the same, where resampling with replacement
            would raise it (Quenouille 1956; Efron & Stein 1981)
    groups  g; below two items a part there is no interval
    least   what the statistic cannot fall below, nor its interval
    """
    if reason := interval.unusable(a, b):
        return Estimate(reason=reason)
    value = of(a, b)
    if groups < 2 or min(len(a), len(b)) < 2 * groups or not math.isfinite(value):
        return checked(Estimate(value))
    parts = [torch.arange(len(one)) % groups for one in (a, b)]
    without = torch.tensor([of(a[parts[0] != i], b[parts[1] != i]) for i in range(groups)], dtype=torch.float64)
    half = _T95 * math.sqrt(interval.jackknife(without))
    return checked(Estimate(value, max(value - half, least), value + half))


def figure(scale: Scale, found: Anchored, *, suffix: str = "", label: str | None = None) -> Figure:
    """A figure with everything that it stands beside, and its sentence.

    suffix  of the name, for features other than the learned ones
    """
    title = scale.title + (f" ({suffix.strip('_')} features)" if suffix else "")
    blank = Figure(scale.name + suffix, title, scale.better, ideal=scale.ideal, label=label)
    value = found.value
    if value.value is None:
        return replace(blank, reason=value.reason)
    return replace(
        blank, value=value.value, low=value.low, high=value.high, floor=found.floor.value, copies=found.copies.value,
        baseline=found.trivial.value, says=told(scale, found, label),
    )  # fmt: skip


def told(scale: Scale, found: Anchored, label: str | None = None) -> str:
    """The sentence of a figure, shares as numbers out of 100, distances as a place between real and trivial.

    There is no such place where the trivial model is not at least twice as far off as real items are.
    """
    value, floor, alone = found.value.value or 0.0, found.floor.value, found.trivial.value
    words, place = scale.words, ""
    if "{place}" in words:
        if floor is None or alone is None or alone <= 2 * max(floor, 0.0):
            words = "The samples are at {raw}" + ("." if floor is None else "; real items at {raw_floor}.")
        else:
            at = max(0.0, 100 * (value - floor) / (alone - floor))
            place = "0" if at < 0.05 else f"{at:.1f}" if at < 9.95 else f"{at:.0f}"
    elif floor is None:
        words = words.split(";")[0].rstrip(".") + "."
    said = words.format(value=hundred(value), floor=hundred(floor or 0.0), place=place, raw=f"{value:.3g}",
                        raw_floor=f"{floor or 0.0:.3g}")  # fmt: skip
    return f"{label}: {said}" if label else said


def hundred(share: float) -> str:
    """A share as a number out of 100, at least 0; one below 1 with its first figure."""
    many = max(0.0, 100 * share)
    return f"{many:.0f}" if many >= 0.95 or many == 0 else f"{many:.1g}"
