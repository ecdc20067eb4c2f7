"""Features that a small net learns on the user's own training split, without a download and with or without labels.

Three things are asked of the 64 features at once. Two views of an item must have the same features, while no two
features repeat each other (Zbontar et al. 2021, eq. 1; Bardes et al. 2022, eqs. 1-4). The kind and the strength of a
damage must be readable from them, or noise and blur would be invisible. And so must the class, where there are labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from morelike.core.errors import DataError, OptionError
from morelike.core.spec import Spec
from morelike.measure.featurenet import WIDTH, FeatureNet
from morelike.measure.usual import LEAST
from morelike.measure.views import Changes, changes, damaged
from morelike.nn.optimizers import AdamW

Tell = Callable[[str, float], None]

BATCH, MOST_NUMBERS = 96, 3_000_000  # items in a step, and numbers in a step above which there are fewer
SEEN, FEWEST = 12, 60  # a run shows each item at most so often, but has at least so many steps
LABELLED = 3  # a run learns as much from labels as if it had seen each of them so often at full weight
SPARE, MOST_SPARE = 0.1, 1000  # labelled items on which the accuracy is measured, and which nothing is learnt from
RATE, DECAY, SMOOTHING = 4e-3, 0.05, 0.1  # peak learning rate, weight decay, label smoothing
ALIKE, APART, SPREAD, DAMAGE, CLASS = 1.0, 0.2, 0.1, 4.0, 2.0  # weights of the losses
SPEED, PER_NUMBER, PER_STEP = 6e10, 6e-9, 4e-3  # of one slow core: FLOP/s, seconds per number and per step
PER_RUNS, PER_TABLE = 2e-7, 5e-3  # the same where runs of tokens are looked up in a table
SAFETY = 0.8  # share of the seconds that are asked for which the steps would take on that core
LOOKED_AT = 4096  # training items from which means and deviations are taken
CHUNK, CHUNK_NUMBERS = 256, 2**21  # items, and numbers, that are looked at together


@dataclass(frozen=True)
class Lesson:
    """How long a net learns, by a fixed rule: batch, steps, and the weight of the labels."""

    batch: int
    steps: int
    label_weight: float


def lesson(net: FeatureNet, spec: Spec, items: int, seconds: float) -> Lesson:
    """As many steps as one slow core does in `seconds`, and few enough for the items not to be learnt by heart.

    The number follows from the FLOPs of a step and from constants, never from a clock, so that it can be repeated.
    """
    numbers = math.prod(spec.shape)
    batch = min(items, BATCH, max(16, MOST_NUMBERS // (3 * numbers)))
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        net.eval()(torch.zeros(1, *spec.shape))
    flops = 9 * batch * counted.get_total_flops()  # three versions of each item, forward once and backward twice
    per_number, more = (PER_NUMBER, 0.0) if spec.end is None else (PER_RUNS, PER_TABLE)
    step = PER_STEP + more + 3 * batch * numbers * per_number + flops / SPEED
    steps = max(1, min(int(SAFETY * seconds / step), max(FEWEST, SEEN * items // batch)))
    return Lesson(batch, steps, min(1.0, LABELLED * items / (steps * batch)))


class Learned:
    """Features of a net that has been trained; standardised, so that each has mean 0 and variance 1 on training items.

    about  how it was trained, for JSON
    alike  the first so many features see no difference between training items and new ones as such
    """

    name = "learned"
    width = WIDTH

    def __init__(self, net: FeatureNet, spec: Spec, about: dict[str, Any]) -> None:
        self.net, self.spec, self.about, self.alike = net.eval(), spec, about, net.learnt

    def __call__(self, x: Tensor) -> Tensor:
        """(N, *shape) -> (N, 64) float32. Raises `DataError` for items of another shape."""
        return look(self.net, x, self.spec, WIDTH)

    def classify(self, x: Tensor) -> Tensor | None:
        """(N, *shape) -> logits (N, classes), or None where there were no labels to learn."""
        classes = self.net.classes
        if classes is None:
            return None
        with torch.no_grad():
            return classes(self(x)[:, : self.net.learnt])

    def described(self) -> dict[str, Any]:
        """How the net was trained and how well it tells the classes, as plain data."""
        return dict(self.about)


@torch.no_grad()
def look(net: Callable[[Tensor], Tensor], x: Tensor, spec: Spec, width: int) -> Tensor:
    """A net's features, in chunks that always have the same size: (N, *shape) -> (N, width) float32 on the CPU.

    The last chunk is filled up, because the last digits of a matrix product depend on the number of its rows, and
    copies of an item should have exactly its features.
    """
    check_shape(x, spec)
    size = max(1, min(CHUNK, CHUNK_NUMBERS // max(1, math.prod(spec.shape))))
    out = torch.empty(len(x), width)
    for start in range(0, len(x), size):
        part = x[start : start + size].cpu()
        lacks = size - len(part)
        full = torch.cat([part, part.new_zeros(lacks, *part.shape[1:])]) if lacks else part
        out[start : start + size] = net(full)[: len(part)]
    return out


def check_shape(x: Tensor, spec: Spec) -> None:
    """Raise `DataError` where items do not have the shape that the features were made for."""
    if tuple(x.shape[1:]) != tuple(spec.shape):
        raise DataError(
            f"The items have the shape {tuple(x.shape[1:])}",
            f"These features were made for items of shape {tuple(spec.shape)}",
            "Prepare them with the codec of the run, which gives all items one shape",
        )


def learn(
    x: Tensor, labels: Tensor | None, spec: Spec, *, classes: int = 0, seed: int = 0, seconds: float = 20.0,
    tell: Tell | None = None,
) -> Learned:  # fmt: skip
    """Train a small net on training items, and return its features.

    x        (N, *shape), N >= 2
    labels   int64 (N,), negative where an item has none; None without labels
    classes  number of classes; 0 to take it from the labels
    seconds  about how long one slow core may take; the number of steps follows from it by a rule, not by a clock
    tell     called with "features" and the share that is done

    The same arguments give the same features to the last bit on the same machine with as many threads. The global
    random state is left as it was. Raises `DataError` for fewer than two items or labels that do not fit, and
    `OptionError` for a number of seconds that is not positive.
    """
    _check(x, labels, spec, seconds)
    labels, classes = _classes(labels, classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FeatureNet(spec, classes)
    taught, spare = _spared(labels, len(x), generator)
    _standardise_inputs(net, x[taught if spec.end is not None else taught[:LOOKED_AT]])
    plan = lesson(net, spec, len(taught), seconds)
    _train(net, x, labels, _Run(plan, taught, changes(spec), generator, tell or (lambda stage, share: None)))
    _standardise_features(net, x, taught)
    about = {"kind": Learned.name, "seed": seed, "width": WIDTH, "items": len(x), "classes": classes, **asdict(plan)}
    found = Learned(net, spec, about)
    about.update(_accuracy(found, x[spare], None if labels is None else labels[spare]))
    return found


def _check(x: Tensor, labels: Tensor | None, spec: Spec, seconds: float) -> None:
    check_shape(x, spec)
    if len(x) < 2:
        raise DataError(f"{len(x)} items to learn features from", "At least two", "Name a source that holds more")
    if labels is not None and labels.shape != (len(x),):
        found = f"Labels of shape {tuple(labels.shape)} for {len(x):,} items"
        raise DataError(found, "One label for each item", "Pass labels=None where there are none")
    if not 0 < seconds < math.inf:
        raise OptionError(f"The time for features is {seconds} seconds", "A number above 0", "For example 20")


def _classes(labels: Tensor | None, classes: int) -> tuple[Tensor | None, int]:
    """Labels with -1 where there is none, and the number of classes; (None, 0) for fewer than two classes."""
    if labels is None:
        return None, 0
    labels = labels.long()
    classes = classes or int(labels.max()) + 1
    labels = labels.masked_fill((labels < 0) | (labels >= classes), -1)
    return (labels, classes) if len(labels[labels >= 0].unique()) > 1 else (None, 0)


def _spared(labels: Tensor | None, items: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows to learn from, in random order, and labelled rows on which only the accuracy is measured."""
    order = torch.randperm(items, generator=generator)
    if labels is None:
        return order, order[:0]
    labelled = order[labels[order] >= 0]
    spare = labelled[: min(int(SPARE * len(labelled)), MOST_SPARE)]
    return order[~torch.isin(order, spare)], spare


def _standardise_inputs(net: FeatureNet, x: Tensor) -> None:
    """Mean and deviation of each channel or column, of finite numbers; what hardly varies is not blown up."""
    if net.end is not None:
        net.usual.count(x)
    if net.tokens is not None:
        return
    x = x.float().nan_to_num(0.0, 0.0, 0.0)
    axes = (0, *range(2, x.ndim))
    deviation = x.std(axes, correction=0)
    net.centre.copy_(x.mean(axes).reshape(net.centre.shape))
    least = 0.05 * float(deviation.square().mean().sqrt()) or 1.0  # constant items have no scale of their own
    net.scale.copy_(deviation.clamp_min(least).reshape(net.scale.shape))


@dataclass(frozen=True)
class _Run:
    """What a training run needs beside net and data."""

    plan: Lesson
    rows: Tensor
    how: Changes
    generator: Generator
    tell: Tell

    def batches(self) -> Iterator[tuple[int, Tensor]]:
        """Step and rows: every item once before any of them comes again."""
        order = self.rows[:0]
        for step in range(self.plan.steps):
            while len(order) < self.plan.batch:
                order = torch.cat([order, self.rows[torch.randperm(len(self.rows), generator=self.generator)]])
            yield step, order[: self.plan.batch]
            order = order[self.plan.batch :]


def _train(net: FeatureNet, x: Tensor, labels: Tensor | None, run: _Run) -> None:
    net.train()
    optimizer = AdamW(net.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=DECAY)
    for step, rows in run.batches():
        done = step / run.plan.steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 20) * (0.5 + 0.5 * math.cos(math.pi * done))
        loss = _loss(net, net.prepared(x[rows].cpu()), None if labels is None else labels[rows], run)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.tell("features", done)
    run.tell("features", 1.0)


def _loss(net: FeatureNet, x: Tensor, labels: Tensor | None, run: _Run) -> Tensor:
    """ALIKE |a - b|^2 / d + APART sum_{i != j} C_ij^2 / d + SPREAD mean(log^2 var) + DAMAGE and CLASS losses.

    a and b are the features of two views, standardised over the batch, and C is their correlation matrix (d, d).
    """
    worse, strength = damaged(x, run.how, run.generator)
    z = net.raw(torch.cat([run.how.view(x, run.generator), run.how.view(x, run.generator), worse]))
    views = z[: 2 * len(x)]
    variance = views.var(0) + 1e-4
    z = (z - views.mean(0)) / variance.sqrt()
    a, b, c = z.split(len(x))
    correlation = z[: 2 * len(x)].T @ z[: 2 * len(x)] / (2 * len(x) - 1)
    repeats = (correlation.square().sum() - correlation.diagonal().square().sum()) / WIDTH
    loss = ALIKE * F.mse_loss(a, b) + APART * repeats + SPREAD * variance.log().square().mean()
    loss = loss + DAMAGE * F.mse_loss(net.damage(c[:, : net.learnt]), strength)
    if labels is None or net.classes is None:
        return loss
    whole = strength.sum(1) == 0  # undamaged items teach the classes as well: they are what will be classified
    seen, known = torch.cat([a, b, c[whole]]), torch.cat([labels, labels, labels[whole]])
    if not bool((known >= 0).any()):
        return loss
    fault = F.cross_entropy(net.classes(seen[:, : net.learnt]), known, ignore_index=-1, label_smoothing=SMOOTHING)
    return loss + CLASS * run.plan.label_weight * fault


@torch.no_grad()
def _standardise_features(net: FeatureNet, x: Tensor, rows: Tensor) -> None:
    """Take all running means and deviations from undamaged training items, in place of those seen while learning."""
    parts = [part for part in rows[:LOOKED_AT].split(CHUNK) if len(part) > 1]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    for part in parts:
        net.train().raw(net.prepared(x[part].cpu()))
    if net.end is not None:
        net.usual.own = 1
    z = torch.cat([net.eval().raw(net.prepared(x[part].cpu())) for part in parts])
    if net.end is not None:
        net.usual.own = 0
    net.mean.copy_(z.mean(0))
    net.deviation.copy_(z.std(0, correction=0).clamp_min(1e-3))
    net.deviation[net.learnt :].clamp_min_(LEAST)


def _accuracy(features: Learned, x: Tensor, labels: Tensor | None) -> dict[str, Any]:
    """Share of spared items whose class is told rightly; None where there are no labels or no item could be spared."""
    if labels is None or not len(x):
        return {"accuracy": None, "accuracy_items": 0}
    logits = features.classify(x)
    assert logits is not None
    return {"accuracy": float((logits.argmax(1) == labels).float().mean()), "accuracy_items": len(x)}
