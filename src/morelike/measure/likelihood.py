"""How probable a model finds items that it has not seen, beside those that it has: bits or nats per number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from morelike.core.distribution import Bernoulli, Categorical, DiscretisedLogistic, Distribution
from morelike.core.family import Family, HasLogProb
from morelike.core.spec import Batch, Spec
from morelike.measure.anchors import reference
from morelike.measure.figure import Estimate, Evidence, Figure

ITEMS, FEWEST = 256, 64  # of each kind; a bound by importance sampling decodes every item dozens of times, so
NUMBERS = 400_000  # that fewer are looked at where they are larger than this altogether
_CHUNK = 64
_HISTOGRAM = 2_000  # training items that the trivial model learns from
_BITS = math.log(2)


@runtime_checkable
class HasLaw(Protocol):
    """Takes the numbers of an item for draws from a law of its own, whatever the data's head."""

    law: Distribution


@runtime_checkable
class HasLogZ(Protocol):
    """Has a normalising constant, known to lie between two numbers of nats; `log_prob` counts with the larger one."""

    log_z: tuple[float, float]


@dataclass(frozen=True)
class Unit:
    """What log p(x) of a model counts.

    name, word  key of the figure, and the unit in words
    per         nats in one of it
    levels      values that a number can take; 0 for a density of real numbers
    remark      what the figure can be compared with
    """

    name: str
    word: str
    per: float
    levels: int
    remark: str


def likelihood(evidence: Evidence, family: Family, *, items: int | None = None, seed: int = 0) -> list[Figure]:
    """-log p(x) / (D u) on held-out items, and the gap to training items; empty for a family without a likelihood.

    D is the number of numbers in an item and u the nats of a unit: log 2 where p is a probability of discrete values
    (8-bit pixels, tokens), 1 where it is a density, whose figure depends on the scale of the data and can fall below
    nought. The trivial model is one histogram, or one Gaussian, for each number. `items` of each kind are looked at, by
    default 256, or fewer where they are large.
    """
    if not isinstance(family, HasLogProb):
        return []
    spec, (held, held_labels, flatters) = family.spec, reference(evidence)
    unit = unit_of(spec, evidence.train, family.law if isinstance(family, HasLaw) else None)
    figures = (Figure(unit.name, f"{unit.word.capitalize()} per number"),
               Figure("likelihood_gap", "Likelihood gap, new against known items", "even", ideal=0.0))  # fmt: skip
    reason = _missing(spec, evidence, held, flatters)
    if reason:
        return [Figure(one.name, one.title, one.better, reason=reason) for one in figures]
    items = items or min(ITEMS, max(FEWEST, NUMBERS // max(1, math.prod(spec.shape))))
    generator = torch.Generator().manual_seed(seed)
    picks = [torch.randperm(len(x), generator=generator)[:items] for x in (held, evidence.train)]
    scale = unit.per * max(1, math.prod(spec.shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new, known = (
            -log_probs(family, Batch(x[rows], _given(spec, labels, rows))) / scale
            for x, labels, rows in zip((held, evidence.train), (held_labels, evidence.train_labels), picks, strict=True)
        )
    alone = float(-trivial_log_probs(evidence.train, held[picks[0]], unit.levels).mean()) / scale
    low, high = family.log_z if isinstance(family, HasLogZ) else (0.0, 0.0)
    return [_bits(unit, _mean(new), alone, family.exact, (high - low) / scale), _gap(unit, _mean(new), _mean(known))]


def unit_of(spec: Spec, x: Tensor, law: Distribution | None = None) -> Unit:
    """What the head of a spec counts, or another law in its place, on items x (N, *shape)."""
    law = law or spec.head(torch.zeros(1, *spec.head_shape))
    if isinstance(law, DiscretisedLogistic):
        return Unit("bits_per_dimension", "bits", _BITS, law.levels, "")
    if isinstance(law, Categorical):
        return Unit("bits_per_dimension", "bits", _BITS, law.logits.shape[-1], "")
    if isinstance(law, Bernoulli):
        if bool((x.abs() == 1).all()):
            return Unit("bits_per_dimension", "bits", _BITS, 2, "")
        remark = " The data are not black and white, so this is a loss and no likelihood: compare it with no other law."
        return Unit("cross_entropy", "bits of cross-entropy", _BITS, 0, remark)
    remark = " This is a density: it depends on the scale of the data and cannot be compared with bits."
    return Unit("nats_per_dimension", "nats", 1.0, 0, remark)


def log_probs(family: Family, batch: Batch) -> Tensor:
    """log p(x) of every item in nats: (B,) in double precision, a few at a time on the family's own device."""
    if not isinstance(family, HasLogProb):
        raise TypeError("This family has no likelihood.")
    device = next((one.device for one in family.parameters()), torch.device("cpu"))
    found = []
    with torch.no_grad():
        for at in range(0, len(batch.x), _CHUNK):
            part = batch.slice(at, at + _CHUNK)
            given = {name: value.to(device) for name, value in part.given.items()}
            found.append(family.log_prob(Batch(part.x.to(device), given)).double().cpu())
    return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


def trivial_log_probs(train: Tensor, x: Tensor, levels: int) -> Tensor:
    """log p of x (N, *shape) under numbers that are independent of one another, learned from train (M, *shape): (N,).

    levels > 0: p_j(v) = (count_j(v) + q(v)) / (M + 1), where q is the histogram of all numbers together, plus one each;
    levels = 0: a Gaussian for each number, with the mean and variance of the training items.
    """
    known, new = train[:_HISTOGRAM].flatten(1), x.flatten(1)
    if not levels:
        mean, variance = known.double().mean(0), known.double().var(0, correction=0).clamp_min(1e-6)
        return (-0.5 * ((new.double() - mean).square() / variance + variance.log() + math.log(2 * math.pi))).sum(1)
    known, new = (_level(one, levels) for one in (known, new))
    columns = torch.arange(known.shape[1])
    counts = torch.bincount((columns * levels + known).flatten(), minlength=levels * len(columns))
    counts = counts.view(len(columns), levels).double()
    prior = (counts.sum(0) + 1) / (counts.sum() + levels)
    return ((counts[columns, new] + prior[new]) / (len(known) + 1)).log().sum(1)


def _level(x: Tensor, levels: int) -> Tensor:
    """Numbers from -1 to 1 as the number of their level; tokens as they are."""
    if not x.is_floating_point():
        return x.long()
    return ((x + 1) / 2 * (levels - 1)).round().long().clamp(0, levels - 1)


def _given(spec: Spec, labels: Tensor | None, rows: Tensor) -> Mapping[str, Tensor]:
    return dict.fromkeys(spec.given, labels[rows]) if labels is not None else {}


def _missing(spec: Spec, evidence: Evidence, held: Tensor, flatters: bool) -> str:
    """Why there can be no figure, or ""."""
    if flatters or len(held) < 2:
        return f"there are only {len(evidence.held)} held-out items"
    if len(spec.given) > 1 or (spec.given and (evidence.train_labels is None or evidence.held_labels is None)):
        return "the model is conditioned on something that the items do not say"
    return ""


def _mean(values: Tensor) -> Estimate:
    """Mean with its normal 95 % interval, of the values that are finite."""
    kept = values[values.isfinite()]
    if len(kept) < 2:
        return Estimate(reason="the model gives these items no probability at all")
    middle, half = float(kept.mean()), 1.96 * float(kept.std()) / math.sqrt(len(kept))
    return Estimate(middle, middle - half, middle + half)


def _bits(unit: Unit, new: Estimate, alone: float, exact: bool, slack: float) -> Figure:
    """slack: by how much the figure would fall if the constant that it counts with is as small as it can be."""
    title = f"{unit.word.capitalize()} per number"
    if new.value is None:
        return Figure(unit.name, title, reason=new.reason)
    bound = "exactly" if exact else "at most, for the model knows a bound only,"
    says = f"New items cost {bound} {new.value:.3g} {unit.word} per number; a histogram of each number {alone:.3g}."
    if slack:
        says += f" The estimate from the other side is {new.value - slack:.4g}."
    baseline = alone if math.isfinite(alone) and unit.name != "cross_entropy" else None
    return Figure(unit.name, title, value=new.value, low=(new.low or 0.0) - slack, high=new.high, baseline=baseline,
                  says=says + unit.remark)  # fmt: skip


def _gap(unit: Unit, new: Estimate, known: Estimate) -> Figure:
    """The difference of two means with its interval; nought for a model that has learned nothing by heart."""
    name, title = "likelihood_gap", "Likelihood gap, new against known items"
    if new.value is None or known.value is None:
        return Figure(name, title, "even", reason=new.reason or known.reason)
    gap = new.value - known.value
    half = math.hypot(new.value - (new.low or 0.0), known.value - (known.low or 0.0))
    if gap - half > 0:
        says = (
            f"New items cost {gap:.3g} {unit.word} per number more than those it was trained on, which it fits closer."
        )
    else:
        says = "New items cost no more than those it was trained on: it has not learned them by heart."
    return Figure(name, title, "even", value=gap, low=gap - half, high=gap + half, floor=0.0, ideal=0.0, says=says)
