"""A probabilistic circuit on the tree of a table's cells: exact likelihood, and any cells given any others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.rows import cells, drawn, placed, uniforms
from morelike.nn.tables import Labels, Tables, normalised
from morelike.nn.tree import information, spanning

PER_WIDTH, FOR_ALL = 4, 2**16  # states for each unit of width, and where no limit is set
AT_ONCE = 2048  # rows that are drawn together


@dataclass(frozen=True)
class Config:
    """Settings of a circuit.

    width   the one dial of size: 4 x width states of each cell's hidden cause
    most    states at most; None: as many as the width says. A run sets it by the number of rows
    prior   rows, of the data's own law by column, that every state has seen before
    even    rows that have gone from every state to all others alike
    loose   share of the first transitions that leads to another state than the parent's
    """

    width: Count = 32
    most: Count | None = None
    prior: Annotated[float, Field(ge=0)] = 1.0
    even: Annotated[float, Field(ge=0)] = 1.0
    loose: Annotated[float, Field(gt=0, le=1)] = 0.3


class Model(Family):
    """p(x) = sum_z p(z_root) prod_t p(z_t | z_parent(t)) p(x_t | z_t): every cell has a hidden cause of K states, and
    these form the Chow-Liu tree of the cells (Liu & Van den Broeck 2021; arXiv 2603.23016).

    One pass up the tree sums over all causes and unknown cells, one pass down draws them.
    """

    exact = True
    watched = True
    batch = 512
    examples = 1_000_000
    order: Tensor
    parents: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "circuit")
        self.spec, self.config, self.labels = spec, config, Labels(spec, "circuit")
        k, t = min(PER_WIDTH * config.width, config.most or FOR_ALL), len(self.sizes)
        self.tables = Tables(self.sizes, k)
        self.root = nn.Parameter((0.1 * torch.randn(self.labels.count, k)).log_softmax(1))
        start = (1 - config.loose) * torch.eye(k) + config.loose * torch.rand(t - 1, k, k).mul(2 / k)
        self.transitions = nn.Parameter(start.log().log_softmax(2))  # (T - 1, parent's states, states)
        self.register_buffer("order", torch.arange(t))
        self.register_buffer("parents", torch.arange(t) - 1)

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("em", 0.3, schedule="cosine", warmup=0.0)}

    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        kept = list(batches)
        self.tables.learn(kept, rows)
        order, parents = spanning(information(torch.cat([batch.x for batch in kept]), self.sizes))
        self.order.copy_(torch.tensor(order))
        self.parents.copy_(torch.tensor(parents))

    def upward(self, x: Tensor) -> list[Tensor]:
        """log p(x below and at t | z_t) for each node, in the tree's order: T times (B, K)."""
        own = F.embedding(self.tables.places(x)[:, self.order], self.tables.flat()).unbind(1)
        up, law = list(own), normalised(self.transitions).exp()
        with torch.autocast(x.device.type, enabled=False):  # logarithms of a rounded sum would not be exact
            for t in range(len(up) - 1, 0, -1):
                parent = int(self.parents[t])
                most = up[t].detach().amax(1, keepdim=True)
                up[parent] = up[parent] + ((up[t] - most).exp() @ law[t - 1].T).log() + most
        return up

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; cells of -1 are summed over."""
        y = self.labels(batch.given, len(batch.x)).to(batch.x.device)
        return (self.upward(batch.x)[0] + normalised(self.root)[y]).logsumexp(1)

    def play(self, batch: Batch) -> Iterator[Move]:
        yield Move(
            "model", -self.log_prob(batch) - self.tables.prior(self.config.prior * self.tables.marginal) - self.even()
        )

    def even(self) -> Tensor:
        """Zero, with the gradient of one row of every class or state that has gone to all states alike."""
        total = self.config.even * (self.root.sum() + self.transitions.sum()) / self.root.shape[1] / self.tables.rows
        return total - total.detach()

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.root.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere."""
        u, y = uniforms(seeds, 2 * len(self.sizes), x.device), self.labels(given, len(x)).to(x.device)
        known = torch.where(mask, x, -1)
        parts = zip(known.split(AT_ONCE), y.split(AT_ONCE), u.split(AT_ONCE), strict=True)
        made = [self._downward(*part) for part in parts]
        return torch.where(mask, x, torch.cat(made) if made else x)

    def _downward(self, x: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """All cells drawn given those that are known, causes first: (B, T), (B,), (B, 2T) -> (B, T)."""
        root, law, t = normalised(self.root)[y], normalised(self.transitions), len(self.sizes)
        if not bool((x >= 0).any()):  # the running sums of every transition once, not for every row
            sums = law.exp().cumsum(2)
            z = [drawn(root.exp(), u[:, 0])]
            for i in range(1, t):
                z.append(placed(sums[i - 1][z[int(self.parents[i])]], u[:, i]))
        else:
            up = self.upward(x)
            z = [drawn((up[0] + root).softmax(1), u[:, 0])]
            for i in range(1, t):
                z.append(drawn((up[i] + law[i - 1][z[int(self.parents[i])]]).softmax(1), u[:, i]))
        return self.tables.draw(torch.stack(z, 1)[:, self.order.argsort()], u[:, t:])


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """No more states than so many rows can tell apart: their square root."""
    return {"most": max(8, round(items**0.5)), **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=1))
