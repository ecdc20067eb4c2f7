"""The classifier two-sample test: can a classifier tell samples from real items that it has not seen?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

from morelike.measure.figure import Estimate
from morelike.measure.interval import unusable, wilson
from morelike.nn.optimizers import LBFGS, AdamW

FEWEST = 20  # items of each kind
MOST = 10_000  # items of each kind that are looked at
PENALTIES = (1.0, 0.1, 0.01, 0.001)  # of logistic regression, times half the squared weights
UNITS, NETS_FROM = 64, 200  # hidden units of the nets, and the items of each kind from which they are tried
EPOCHS, LEAST_STEPS, LOOKS = 48, 200, 48  # of a net; LOOKS is how often it is judged while it trains
BATCH, RATE, DECAY = 256, 3e-3, 0.05
WIDE = 512  # features above which they are scaled one by one instead of whitened
_FARTHEST = 10.0  # standard deviations beyond which a feature counts no further

Labelled = tuple[Tensor, Tensor]  # features (n, d), and 1 for made or 0 for real (n,); as many of either


class _Split(NamedTuple):
    """What the classifiers are trained on, chosen by, and judged on."""

    train: Labelled
    choose: Labelled
    test: Labelled


class _Found(NamedTuple):
    """A trained classifier: its loss on what it is chosen by, its weights, and whether it looks at squares too."""

    loss: float
    weights: list[Tensor]
    squares: bool


def two_sample(made: Tensor, real: Tensor, *, seed: int = 0) -> Estimate:
    """Accuracy with which a classifier tells made items from real ones: 0.5 when it cannot, 1 when it always can.

    made, real  (N, d) and (M, d), at least `FEWEST` each; as many of either are looked at, up to `MOST`, chosen by
                `seed`, which also divides them and starts the nets

    Half of the items train logistic regressions and, where there are enough, nets with one hidden layer; both on
    whitened features with and without their squares, which show a wrong spread soonest. A fifth of this half chooses
    among them by their loss. The accuracy is that of the chosen one on the other half, and the interval is Wilson's.
    Given the classifier its answers are independent, so for equal laws the interval holds 0.5 in about 95 % of draws,
    whatever was trained or chosen. That is why the halves do not change places as in cross-validation: the two
    accuracies would rise and fall together, and the interval of their mean would be too narrow.

    Both sets must be independent draws: an item that is in both is taught with one answer and asked for with the
    other, which brings the accuracy below 0.5. Without a value, the reason says why. Source: Lopez-Paz & Oquab 2017,
    section 3.
    """
    if reason := unusable(made, real, FEWEST):
        return Estimate(reason=reason)
    draw = torch.Generator().manual_seed(seed)
    parts = _split(made, real, draw)
    best = min(_trained(parts, draw), key=lambda one: one.loss)
    x, y = parts.test
    right = int(((_logit(best.weights, _given(x, best.squares)) > 0) == (y > 0)).sum())
    return Estimate(right / len(y), *wilson(right, len(y)))


def _split(made: Tensor, real: Tensor, draw: torch.Generator) -> _Split:
    count = min(len(made), len(real), MOST)
    chosen = [one[torch.randperm(len(one), generator=draw)[:count]].cpu().flatten(1).double() for one in (made, real)]
    half, fifth = count // 2, count // 10
    mean, whiten = _whitening(torch.cat([one[:half] for one in chosen]))
    scaled = [((one - mean) @ whiten).clamp(-_FARTHEST, _FARTHEST).float() for one in chosen]

    def part(start: int, end: int) -> Labelled:
        answers = torch.cat([torch.ones(end - start), torch.zeros(end - start)])
        return torch.cat([one[start:end] for one in scaled]), answers

    return _Split(part(fifth, half), part(0, fifth), part(half, count))


def _whitening(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and map (d, d) to features of about unit variance, uncorrelated unless there are more than `WIDE`.

    Variances are raised by 0.01 + d/n of their mean, so that directions in which few rows hardly differ do not shout.
    """
    n, d = rows.shape
    mean, spread = rows.mean(0), rows.std(0)
    scale = torch.where(spread > 1e-9 * (1 + mean.abs()), 1 / spread, 0.0)  # constant features are left out
    if d > WIDE:
        return mean, scale.diag()
    scaled = (rows - mean) * scale
    values, vectors = torch.linalg.eigh(scaled.T @ scaled / n)
    return mean, scale[:, None] * vectors / (values.clamp(min=0) + 0.01 + d / n).sqrt()


def _trained(parts: _Split, draw: torch.Generator) -> Iterator[_Found]:
    """All classifiers to choose from."""
    for squares in (False, True):
        train, choose = ((_given(x, squares), y) for x, y in (parts.train, parts.choose))
        for penalty in PENALTIES:
            weights = _regression(train, penalty)
            yield _Found(_judged(weights, choose), weights, squares)
        if len(parts.test[0]) >= NETS_FROM:
            yield _Found(*_net(train, choose, draw), squares)


def _given(x: Tensor, squares: bool) -> Tensor:
    """What a classifier looks at: (n, d), or (n, 2 d) with squares of about mean 0 and variance 1."""
    return torch.cat([x, (x.square() - 1).clamp(max=_FARTHEST) / 2**0.5], 1) if squares else x


def _regression(train: Labelled, penalty: float) -> list[Tensor]:
    """Weights of logistic regression: mean loss + penalty/2 |w|^2 brought to its least."""
    x, y = train
    weights = [torch.zeros(x.shape[1]), torch.zeros(1)]
    optimizer = LBFGS(weights, max_iter=40, line_search_fn="strong_wolfe")

    def closure() -> float:
        w, logit = weights[0], _logit(weights, x)
        over = (logit.sigmoid() - y) / len(y)  # dL/dlogit by hand, (n,)
        weights[0].grad, weights[1].grad = over @ x + penalty * w, over.sum().view(1)
        return float(loss_of(logit, y) + penalty / 2 * w.square().sum())

    with torch.no_grad():
        optimizer.step(closure)
    return weights


def _net(train: Labelled, choose: Labelled, draw: torch.Generator) -> tuple[float, list[Tensor]]:
    """Least loss on the items to choose by, and the weights of a net with one hidden layer at that moment."""
    x, y = train
    weights = [one.requires_grad_() for one in _started(x.shape[1], draw)]
    steps = max(EPOCHS * -(-len(x) // BATCH), LEAST_STEPS)
    optimizer = AdamW(weights, RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    best = (_judged(weights, choose), [one.detach().clone() for one in weights])
    for step, some in zip(range(1, steps + 1), _batches(len(x), draw), strict=False):
        optimizer.zero_grad()
        loss_of(_logit(weights, x[some]), y[some]).backward()
        optimizer.step()
        schedule.step()
        if step % (steps // LOOKS) == 0 and (loss := _judged(weights, choose)) < best[0]:
            best = (loss, [one.detach().clone() for one in weights])
    return best


def _batches(count: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Rows of one batch after another without end, each row once in every pass."""
    while True:
        yield from torch.randperm(count, generator=draw).split(BATCH)


def _started(width: int, draw: torch.Generator) -> list[Tensor]:
    into = torch.randn(width, UNITS, generator=draw) * (2 / width) ** 0.5
    return [torch.zeros(width), torch.zeros(1), into, torch.zeros(UNITS), torch.zeros(UNITS)]


def _logit(weights: list[Tensor], x: Tensor) -> Tensor:
    """x.w + c, plus relu(x U + b).v where there are hidden units: (n, d) -> (n,)."""
    w, c, *hidden = weights
    straight = x @ w + c
    if not hidden:
        return straight
    into, bias, out = hidden
    return straight + torch.relu(x @ into + bias) @ out


@torch.no_grad()
def _judged(weights: list[Tensor], on: Labelled) -> float:
    return float(loss_of(_logit(weights, on[0]), on[1]))
