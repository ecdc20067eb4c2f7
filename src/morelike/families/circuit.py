"""Probabilistic circuits on trees of a table's cells: exact likelihood, and any cells given any others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.rows import cells, drawn, parts, placed
from morelike.nn.tables import Labels, Tables, normalised
from morelike.nn.tree import depths, information, spanning

PER_WIDTH, FOR_ALL = 4, 2**16  # states for each unit of width, and where no limit is set
WIDE = 32  # width that a batch has room for
BATCH = 512
AT_ONCE, ROOM = 2048, 2**25  # rows that are drawn together, and numbers for every cell's every state that may be held
SEVERAL, FEW = 4, 2_000  # trees, and rows from which there is but one


@dataclass(frozen=True)
class Config:
    """Settings of a circuit.

    width   the one dial of size: 4 x width states of each cell's hidden cause
    most    states at most; None: as many as the width says. A run sets it by the number of rows
    trees   circuits that are learnt, of which the law is the mean. A run takes several where rows are few
    prior   rows, of the data's own law by column, that every state has seen before
    even    rows that have gone from every state to all others alike
    loose   share of the first transitions that leads to another state than the parent's
    rate    at first, share of what is known that comes from the newest batch. A run takes more where rows are few and a
            batch holds most of them: 1 is plain expectation-maximisation
    """

    width: Count = 32
    most: Count | None = None
    trees: Count = 1
    prior: Annotated[float, Field(ge=0)] = 1.0
    even: Annotated[float, Field(ge=0)] = 1.0
    loose: Annotated[float, Field(gt=0, le=1)] = 0.3
    rate: Annotated[float, Field(gt=0, le=1)] = 0.3


class Tree(nn.Module):
    """p(x) = sum_z p(z_root) prod_t p(z_t | z_parent(t)) p(x_t | z_t): every cell has a hidden cause of K states, and
    these form a tree of the cells.

    One pass up the tree sums over all causes and unknown cells, one pass down draws them.
    """

    order: Tensor
    parents: Tensor

    def __init__(self, sizes: tuple[int, ...], classes: int, states: int, loose: float) -> None:
        super().__init__()
        self.tables, t = Tables(sizes, states), len(sizes)
        self.root = nn.Parameter((0.1 * torch.randn(classes, states)).log_softmax(1))
        start = (1 - loose) * torch.eye(states) + loose * torch.rand(t - 1, states, states).mul(2 / states)
        self.transitions = nn.Parameter(start.log().log_softmax(2))  # (T - 1, parent's states, states)
        self.register_buffer("order", torch.arange(t))
        self.register_buffer("parents", torch.arange(t).sub(1).div(2, rounding_mode="floor"))

    def begin(self, batches: Sequence[Batch], rows: int, x: Tensor) -> None:
        """Begin as the law of the data, on the Chow-Liu tree of the rows x (n, T)."""
        self.tables.learn(batches, rows)
        order, parents = spanning(information(x, self.tables.sizes))
        self.order.copy_(torch.tensor(order))
        self.parents.copy_(torch.tensor(parents))

    def upward(self, x: Tensor) -> Tensor:
        """log p(x below and at t | z_t) for each node, in the tree's order: (T, B, K)."""
        parents = self.parents.tolist()
        levels = [len(list(some)) for _, some in groupby(depths(parents))]
        own = F.embedding(self.tables.places(x)[:, self.order].T, self.tables.flat()).split(levels)  # (t, B, K) each
        ways = (None, *normalised(self.transitions).exp().split(levels[1:]))
        up, above = [own[-1]], len(parents)
        with torch.autocast(x.device.type, enabled=False):  # logarithms of a rounded sum would not be exact
            for level in range(len(levels) - 1, 0, -1):
                above -= levels[level]
                most = up[-1].detach().amax(2, keepdim=True)
                told = ((up[-1] - most).exp() @ ways[level].transpose(1, 2)).log() + most
                place = self.parents[above : above + levels[level]] - (above - levels[level - 1])
                up.append(own[level - 1].index_add(0, place, told))
        return torch.cat(up[::-1])

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(x | y) over known cells: (B, T), (B,) -> (B,)."""
        return (self.upward(x)[0] + normalised(self.root)[y]).logsumexp(1)

    def prior(self, prior: float, even: float) -> Tensor:
        """Zero, with the gradient of rows that were seen before: by every state, and on the way between any two."""
        total = even * (self.root.sum() + self.transitions.sum()) / self.root.shape[1] / self.tables.rows
        return self.tables.prior(prior * self.tables.marginal) + total - total.detach()

    def downward(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """All cells drawn given those that are known, causes first: (B, T), (B,), (B, 2T) -> (B, T)."""
        root, law, t = normalised(self.root)[y], normalised(self.transitions), x.shape[1]
        parents = self.parents.tolist()
        if not bool((x >= 0).any()):  # the running sums of every transition once, not for every row
            sums = law.exp().cumsum(2)
            z = [drawn(root.exp(), u[:, 0])]
            for i in range(1, t):
                z.append(placed(sums[i - 1][z[parents[i]]], u[:, i]))
        else:
            up = self.upward(x)
            z = [drawn((up[0] + root).softmax(1), u[:, 0])]
            for i in range(1, t):
                z.append(drawn((up[i] + law[i - 1][z[parents[i]]]).softmax(1), u[:, i]))
        return self.tables.draw(torch.stack(z, 1)[:, self.order.argsort()], u[:, t:])


class Model(Family):
    """p(x) = 1/M sum_m p_m(x), of hidden Chow-Liu trees p_m (Liu & Van den Broeck 2021; arXiv 2603.23016).

    Each tree is learnt by itself: the first one is that of the cells, the others those of rows drawn with replacement
    (Breiman 1996). What one of them has learnt by heart the others have not, so that their mean is nearer to the truth.
    """

    exact = True
    watched = True
    examples = 1_000_000

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "circuit")
        self.spec, self.config, self.labels = spec, config, Labels(spec, "circuit")
        states = min(PER_WIDTH * config.width, config.most or FOR_ALL)
        each = (Tree(self.sizes, self.labels.count, states, config.loose) for _ in range(config.trees))
        self.trees = cast(Sequence[Tree], nn.ModuleList(each))
        widest = min(config.most or FOR_ALL, PER_WIDTH * max(WIDE, config.width))
        self.room = max(16, ROOM // (len(self.sizes) * widest))  # rows at once, of thousands of columns
        self.batch = min(BATCH, self.room)

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("em", self.config.rate, schedule="cosine", warmup=0.0)}

    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        kept = list(batches)
        x = torch.cat([batch.x for batch in kept])
        for number, tree in enumerate(self.trees):
            tree.begin(kept, rows, x[torch.randint(len(x), (len(x),))] if number else x)

    def each(self, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """log p_m(x) by each tree: (M, B)."""
        y = self.labels(given, len(x)).to(x.device)
        return torch.stack([tree(x, y) for tree in self.trees])

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; cells of -1 are summed over."""
        found = [self.each(part.x, part.given).logsumexp(0) for part in parts(batch, self.room)]
        return torch.cat(found) - math.log(len(self.trees))

    def play(self, batch: Batch) -> Iterator[Move]:
        log_p = self.each(batch.x, batch.given)
        seen = torch.stack([tree.prior(self.config.prior, self.config.even) for tree in self.trees]).sum()
        together = log_p.detach().logsumexp(0) - math.log(len(log_p))
        # each tree has the gradient of its own likelihood, and the loss that is told is that of their mean
        yield Move("model", -together - (log_p - log_p.detach()).sum(0) - seen)

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.trees[0].root.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere."""
        u, y = even(seeds, 2 * len(self.sizes) + 1, x.device), self.labels(given, len(x)).to(x.device)
        known = torch.where(mask, x, -1)
        n = min(AT_ONCE, self.room)
        made = [self._filled(*part) for part in zip(known.split(n), y.split(n), u.split(n), strict=True)]
        return torch.where(mask, x, torch.cat(made) if made else x)

    def _filled(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """Every row by one tree, drawn given the cells that are known: (B, T), (B,), (B, 2T + 1) -> (B, T)."""
        if len(self.trees) == 1:
            return self.trees[0].downward(x, y, u[:, :-1])
        which = drawn(torch.stack([tree(x, y) for tree in self.trees], 1).softmax(1), u[:, -1])
        x = x.clone()
        for number, tree in enumerate(self.trees):
            if len(rows := (which == number).nonzero().squeeze(1)):
                x[rows] = tree.downward(x[rows], y[rows], u[rows, :-1])
        return x


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """No more states than so many rows can tell apart, their square root; of few rows, several trees, learnt faster."""
    rate = min(1.0, max(0.3, BATCH / items))
    return {"most": max(8, round(items**0.5)), "trees": SEVERAL if items < FEW else 1, "rate": rate, **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=1))
