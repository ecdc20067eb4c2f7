"""Independent columns: the histogram of each cell of a table's row, and nothing of what goes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.rows import cells
from morelike.nn.tables import Labels, Tables


@dataclass(frozen=True)
class Config:
    """Settings of independent columns.

    width  the one dial of size, which changes nothing here
    count  added to how often each value was seen
    """

    width: Count = 32
    count: float = 0.5


class Model(Family):
    """p(x) = prod_t p_t(x_t) with p_t(v) = (n_t(v) + 1/2) / (n + V_t / 2) (Krichevsky & Trofimov 1981).

    The least that a model of a table must beat. A label gives every class histograms of its own.
    """

    exact = True
    batch = 4096

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "independent")
        self.spec, self.config, self.labels = spec, config, Labels(spec, "independent")
        self.tables = Tables(self.sizes, self.labels.count, noise=0.01)

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("em", 0.5, schedule="linear", warmup=0.0, cooldown=0.9)}

    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        self.tables.learn(batches, rows)  # so that it knows them before the first step

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; cells of -1 are summed over."""
        y = self.labels(batch.given, len(batch.x))
        return self.tables(batch.x).gather(1, y[:, None].to(batch.x.device)).squeeze(1)

    def play(self, batch: Batch) -> Iterator[Move]:
        counts = torch.full_like(self.tables.marginal, self.config.count)
        yield Move("model", -self.log_prob(batch) - self.tables.prior(counts))

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        y = self.labels(given, len(seeds))
        return self.tables.draw(y[:, None], even(seeds, len(self.sizes), self.tables.marginal.device))

    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn elsewhere."""
        return torch.where(mask, x, self.sample(seeds, given))


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config())
