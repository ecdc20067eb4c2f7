"""An autoregressive net over a table's cells in any order: each cell from those that are known, whichever they are."""

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
from morelike.nn.condition import Condition
from morelike.nn.evenly import even
from morelike.nn.layers import RMSNorm
from morelike.nn.rows import cells, drawn, offsets, parts

PER_WIDTH = 4  # units for each unit of width
AT_ONCE = 1024  # rows that are drawn together
CELLS_PER_STEP = 4096  # in training, so that what lies between the layers fits into a cache
ROOM = 2**25  # pairs of cells of all rows that are looked at together


@dataclass(frozen=True)
class Config:
    """Settings of an any-order net.

    width    the one dial of size: there are 4 x width units
    blocks   hidden layers, each of them residual
    dropout  share of units dropped in training, against over-fitting
    natural  share of rows that are learnt in the order of their cells, in which they are drawn; the rest in random ones
    """

    width: Count = 32
    blocks: Count = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    natural: Annotated[float, Field(ge=0, le=1)] = 0.5


class Block(nn.Module):
    """h + V relu(U norm(h))^2: (.., width) -> same."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.up, self.down = RMSNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = dropout
        nn.init.zeros_(self.down.weight)

    def forward(self, h: Tensor) -> Tensor:
        inner = F.dropout(F.relu(self.up(self.norm(h))).square(), self.dropout, self.training)
        return h + self.down(inner)


class Model(Family):
    """log p(x) = sum_t log p(x_t | x_s for s before t), where any order of the cells will do (Uria et al. 2014;
    Tiwald et al. 2025).

    What is known adds up to one vector, so that it may come in any order; a net shared by all cells reads it.
    """

    exact = True
    watched = True
    examples = 500_000
    marginal: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "anyorder")
        self.spec, self.config = spec, config
        self.room = max(2, ROOM // len(self.sizes) ** 2)  # rows at once, of thousands of columns
        self.batch = min(max(16, CELLS_PER_STEP // len(self.sizes)), self.room)
        width, count = PER_WIDTH * config.width, sum(self.sizes)
        self.embed = nn.Embedding(count + 1, width, padding_idx=count)  # the last one, zero, is of what is unknown
        self.condition = Condition(spec.given, width)
        self.target = nn.Embedding(len(self.sizes), 2 * width)
        self.blocks = nn.Sequential(*(Block(width, config.dropout) for _ in range(config.blocks)), RMSNorm(width))
        self.head = nn.Linear(width, count)
        self.head.edge = True  # type: ignore[assignment]
        nn.init.normal_(self.embed.weight[:count], std=0.3)
        nn.init.normal_(self.target.weight, std=0.3)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def optimizers(self) -> dict[str, Optim]:
        clip = float(len(self.sizes))  # losses are sums over cells
        return {"model": Optim("muon", 0.01, (0.95, 0.95), schedule="linear", cooldown=0.8, clip=clip, rest=0.4)}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Before anything is learnt, each cell is as frequent as in the data."""
        counts = torch.full_like(self.head.bias, 0.5)
        for batch in batches:
            counts += torch.bincount(self.places(batch.x).flatten(), minlength=len(counts) + 1)[:-1]
        self.head.bias.copy_(torch.cat([(part / part.sum()).log() for part in counts.split(self.sizes)]))

    def places(self, x: Tensor) -> Tensor:
        """The number of each cell's value among all values: (B, T) -> (B, T)."""
        return torch.where(x >= 0, x + offsets(self.sizes).to(x.device), sum(self.sizes))

    def start(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """What is known before any cell: (n, width)."""
        c = self.condition(given, n)
        width = self.embed.embedding_dim
        return self.embed.weight.new_zeros(n, width) if c is None else c.unflatten(1, (-1, width)).sum(1)

    def read(self, known: Tensor, t: Tensor) -> Tensor:
        """What the cells t are predicted from: (.., width), (..) -> (.., width)."""
        scale, shift = self.target(t).chunk(2, -1)
        return self.blocks(torch.addcmul(known + shift, known, scale))

    def cell_log_probs(self, batch: Batch, rank: Tensor) -> Tensor:
        """log p(x_t | cells of lower rank), 0 for unknown cells: x, rank (B, T) -> (B, T)."""
        before = (rank[:, None, :] < rank[:, :, None]).to(self.embed.weight.dtype)  # (B, T, T)
        known = before @ self.embed(self.places(batch.x)) + self.start(batch.given, len(batch.x))[:, None]
        h = self.read(known, torch.arange(len(self.sizes), device=batch.x.device))
        parts = zip(h.unbind(1), self.head.weight.split(self.sizes), self.head.bias.split(self.sizes), strict=True)
        picked = [
            -F.cross_entropy(F.linear(one, w, b).float(), x, ignore_index=-1, reduction="none")
            for (one, w, b), x in zip(parts, batch.x.unbind(1), strict=True)
        ]
        return torch.stack(picked, 1)

    def in_order(self, x: Tensor) -> Tensor:
        return torch.arange(x.shape[1], device=x.device, dtype=torch.float32).expand(x.shape)

    def play(self, batch: Batch) -> Iterator[Move]:
        random = torch.rand(len(batch.x), len(self.sizes), device=batch.x.device)
        natural = torch.rand(len(batch.x), 1, device=batch.x.device) < self.config.natural
        rank = torch.where(natural, self.in_order(batch.x), random) if self.training else self.in_order(batch.x)
        yield Move("model", -self.cell_log_probs(batch, rank).sum(1))

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact in the order of the cells; of the known ones alone, where some are unknown."""
        found = [self.cell_log_probs(one, self.in_order(one.x)).sum(1) for one in parts(batch, self.room)]
        return torch.cat(found)

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.head.bias.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere, one cell after another."""
        u, start = even(seeds, len(self.sizes), x.device), self.start(given, len(x))
        parts = zip(torch.where(mask, x, -1).split(AT_ONCE), start.split(AT_ONCE), u.split(AT_ONCE), strict=True)
        made = [self._filled(*part) for part in parts]
        return torch.cat(made) if made else x

    def _filled(self, x: Tensor, start: Tensor, u: Tensor) -> Tensor:
        """Unknown cells drawn from left to right: x (B, T), start (B, width), u (B, T) -> (B, T)."""
        x, begins = x.clone(), offsets(self.sizes).to(x.device)
        known = start + F.embedding_bag(self.places(x), self.embed.weight, mode="sum")
        heads = list(zip(self.head.weight.split(self.sizes), self.head.bias.split(self.sizes), strict=True))
        for t in range(len(self.sizes)):
            unknown = x[:, t] < 0
            rows = slice(None) if bool(unknown.all()) else unknown.nonzero().squeeze(1)
            h = self.read(known[rows], torch.tensor(t, device=x.device))
            x[rows, t] = drawn(F.linear(h, *heads[t]).float().softmax(1), u[rows, t])
            known[rows] += self.embed(x[rows, t] + begins[t])
        return x


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """More dropout where there are few rows, which are seen often and learnt by heart."""
    return {"dropout": 0.5 if items < 1000 else 0.3 if items < 5000 else 0.2 if items < 50_000 else 0.1, **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(width=4, dropout=0.0))
