"""Recurrent nets as judges: whether one can tell made windows from real ones, and what one learns from made windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.measure.figure import Estimate
from morelike.measure.interval import Z, around
from morelike.measure.series.statistics import bridged
from morelike.measure.series.windows import blocks, lengths
from morelike.measure.table.trees import auc
from morelike.nn.optimizers import Adam

STEPS = 128  # of a window that nets read
FEWEST = 20  # windows of a kind


@dataclass(frozen=True)
class Net:
    """A recurrent net and how long it learns.

    hidden, layers  of its GRU
    steps, batch    of Adam, with so many windows (of either kind, where there are two)
    rate            of learning, and whether it falls to 0 along a line
    judged          share of the windows that it is judged on and does not learn from
    """

    hidden: int = 16
    layers: int = 2
    steps: int = 200
    batch: int = 64
    rate: float = 1e-2
    falls: bool = True
    judged: float = 1 / 3


def published(columns: int, goal: Literal["tell", "predict"]) -> Net:
    """The net of TimeGAN's code: one GRU of half as many units as columns, 128 windows, Adam at 0.001.

    goal  to tell windows apart, in 2,000 steps, or to predict, in 5,000
    """
    return Net(max(columns // 2, 1), 1, {"tell": 2_000, "predict": 5_000}[goal], 128, 1e-3, falls=False, judged=0.2)


@dataclass(frozen=True)
class Told:
    """How well a net told made windows from real ones: the share it got right, and AUC with its standard error."""

    accuracy: float
    area: float
    error: float

    @property
    def discriminative(self) -> float:
        """|accuracy - 1/2|: 0 where the net guesses, 1/2 where it is always right (Yoon et al. 2019)."""
        return abs(self.accuracy - 0.5)


def scale(real: Tensor) -> Callable[[Tensor], Tensor]:
    """A function of windows (N, T, C) that maps the least and largest real value of each column to 0 and 1."""
    flat = real.reshape(-1, real.shape[2])
    known = flat.isnan()
    low, high = flat.masked_fill(known, torch.inf).amin(0), flat.masked_fill(known, -torch.inf).amax(0)
    low, high = (torch.where(low <= high, one, 0.0) for one in (low, high))
    return lambda x: (x - low) / torch.where(high > low, high - low, 1.0)


def tell_apart(made: Tensor, real: Tensor, net: Net = Net(), *, run: int = 1, seed: int = 0) -> Told:
    """Train a net to tell made windows (N, T, C) from real ones (M, T, C), and judge it on a part of both.

    Scaled by the caller. The net sees values, what is missing, and the state after the last step of a window.

    run  so many windows next to each other share steps, and never stand on both sides; 1 if none do
    """
    draw = np.random.default_rng(seed)
    sides = [_parts(len(one), net.judged, run, draw) for one in (made, real)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = _Reader(2 * made.shape[2] if _gaps(made, real) else made.shape[2], 1, net)
        inputs = [_inputs(one, judge.width > made.shape[2]) for one in (made, real)]
        known = [_pick(one, learn) for one, (learn, _) in zip(inputs, sides, strict=True)]
        label = torch.cat([torch.zeros(net.batch), torch.ones(net.batch)])
        for rows in _batches([len(one[0]) for one in known], net, draw):
            steps, ends = (
                torch.cat(part)
                for part in zip(*(_pick(one, at) for one, at in zip(known, rows, strict=True)), strict=True)
            )
            judge.learn(F.binary_cross_entropy_with_logits(judge.last(steps, ends), label))
        with torch.no_grad():
            a, b = (judge.last(*_pick(one, test)).numpy() for one, (_, test) in zip(inputs, sides, strict=True))
    right = float(((a <= 0).sum() + (b > 0).sum()) / (len(a) + len(b)))
    return Told(right, *auc(b, a))


def recurrent_score(made: Tensor, real: Tensor, net: Net = Net(), *, run: int = 1, seed: int = 0) -> Estimate:
    """1 - 2 |AUC - 1/2| of a recurrent net: how little it tells made windows from real ones, 1 when it cannot.

    The interval is DeLong's (1988), wider by sqrt(run) where windows share steps.
    """
    if min(len(made), len(real)) < FEWEST * run:
        return Estimate(
            reason=f"there are {min(len(made), len(real))} windows of a kind, and {FEWEST * run} are needed"
        )
    return as_score(tell_apart(made, real, net, run=run, seed=seed), run)


def as_score(told: Told, run: int = 1) -> Estimate:
    """1 - 2 |AUC - 1/2| with its interval."""
    return around(1 - 2 * abs(told.area - 0.5), 2 * Z * told.error * math.sqrt(run), 0.0, 1.0)


def discriminative(told: Told, judged: int, run: int = 1) -> Estimate:
    """|accuracy - 1/2| with the interval of a share of `judged` windows, of which `run` count as one."""
    half = Z * math.sqrt(max(told.accuracy * (1 - told.accuracy), 0.0) * run / max(judged, 1))
    return around(told.discriminative, half, 0.0, 0.5)


def predictive(made: Tensor, real: Tensor, net: Net = Net(), *, seed: int = 0) -> Estimate:
    """Mean absolute error of the last column one step ahead, on real windows, by a net that learned from made ones.

    made, real  scaled windows (N, T, C) and (M, T, C)

    As published, the net reads all other columns up to a step and predicts the last one of the next step (Yoon et al.
    2019); where there is only one column, it reads that.
    """
    others = slice(None, -1) if made.shape[2] > 1 else slice(None)
    if made.shape[1] < 2:
        return Estimate(reason="a window has one step only")
    draw = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sets = []
        for one in (made[:, :, others], made), (real[:, :, others], real):
            goal = one[1][:, 1:, -1].float()
            sets.append((bridged(one[0])[:, :-1].float(), goal.nan_to_num(), (~goal.isnan()).float()))
        reader = _Reader(sets[0][0].shape[2], 1, net)
        for (rows,) in _batches([len(made)], net, draw):
            x, y, there = (part[rows] for part in sets[0])
            wrong = (reader.each(x).sigmoid() - y).abs() * there
            reader.learn(wrong.sum() / there.sum().clamp_min(1))
        with torch.no_grad():
            x, y, there = sets[1]
            wrong = (reader.each(x).sigmoid() - y).abs() * there
    each = (wrong.sum(1) / there.sum(1).clamp_min(1))[there.sum(1) > 0].double()
    if len(each) < 2:
        return Estimate(reason="the last column has no values")
    return around(float(each.mean()), Z * float(each.std()) / math.sqrt(len(each)), 0.0)


def straight(made: Tensor, real: Tensor) -> float:
    """The same error of a straight line, by least squares, from all columns of a step to the last one of the next."""
    a, b = (bridged(one) for one in (made, real))
    x, y = (torch.cat([one[:, :-1].flatten(0, 1), torch.ones(len(one) * (one.shape[1] - 1), 1)], 1) for one in (a, b))
    weights = torch.linalg.lstsq(x, a[:, 1:, -1].reshape(-1, 1), driver="gelsd").solution
    return float((y @ weights - b[:, 1:, -1].reshape(-1, 1)).abs().mean())


class _Reader(nn.Module):
    """A GRU with a linear layer behind it, and its optimizer."""

    def __init__(self, width: int, out: int, net: Net) -> None:
        super().__init__()
        self.width = width
        self.gru = nn.GRU(width, net.hidden, net.layers, batch_first=True)
        self.head = nn.Linear(net.hidden, out)
        self.optimizer = Adam(self.parameters(), net.rate)
        last = 0.0 if net.falls else 1.0
        self.pace = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, last, total_iters=net.steps)

    def each(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T)."""
        return self.head(self.gru(x)[0])[:, :, 0]

    def last(self, x: Tensor, ends: Tensor) -> Tensor:
        """(N, T, width), and where each ends -> (N,)."""
        states = self.gru(x)[0]
        return self.head(states[torch.arange(len(x)), ends])[:, 0]

    def learn(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 5.0)
        self.optimizer.step()
        self.pace.step()


def _inputs(x: Tensor, gaps: bool) -> tuple[Tensor, Tensor]:
    """What a net reads of windows, float (N, T, C) or (N, T, 2 C) with what is missing, and their last step, (N,)."""
    x = x[:, :STEPS]
    shown = x.nan_to_num().clamp(-10.0, 10.0)
    shown = torch.cat([shown, x.isnan().double()], 2) if gaps else shown
    return shown.float(), (lengths(x) - 1).clamp_min(0)


def _gaps(made: Tensor, real: Tensor) -> bool:
    return bool(made.isnan().any()) or bool(real.isnan().any())


def _pick(of: tuple[Tensor, Tensor], rows: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
    return of[0][rows], of[1][rows]


def _parts(n: int, share: float, run: int, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Windows to learn from and to be judged on, by whole blocks where neighbours share steps."""
    block = blocks(n, run) if run > 1 else torch.arange(n)
    names = block.unique()
    names = names[names >= 0].numpy()
    chosen = draw.permutation(names)[: max(1, round(share * len(names)))]
    judged = torch.from_numpy(np.isin(block.numpy(), chosen))
    return ((block >= 0) & ~judged).nonzero()[:, 0], judged.nonzero()[:, 0]


def _batches(sizes: list[int], net: Net, draw: np.random.Generator) -> Iterator[list[np.ndarray]]:
    for _ in range(net.steps):
        yield [draw.integers(size, size=net.batch) for size in sizes]
