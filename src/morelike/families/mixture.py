"""A mixture of independent columns, by expectation-maximisation: a table's rows come in so many kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.rows import cells, drawn
from morelike.nn.tables import Labels, Tables, normalised

PER_WIDTH, FOR_ALL = 16, 2**16  # components for each unit of width, and where no limit is set
ROWS_EACH = 100  # rows for each component
EVEN = 1.0  # rows of each class that every component has seen before


@dataclass(frozen=True)
class Config:
    """Settings of a mixture.

    width  the one dial of size: 16 x width components
    most   components at most; None: as many as the width says. A run sets it by the number of rows
    prior  rows, of the data's own law by column, that every component has seen before
    """

    width: Count = 32
    most: Count | None = None
    prior: Annotated[float, Field(ge=0)] = 1.0


class Model(Family):
    """p(x | c) = sum_k w_ck prod_t p_kt(x_t): what is known of x says which k, and k draws what is not known.

    A label c sets how frequent each of the components is.
    """

    exact = True
    watched = True
    batch = 512
    examples = 1_000_000

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "mixture")
        self.spec, self.config, self.labels = spec, config, Labels(spec, "mixture")
        self.components = min(PER_WIDTH * config.width, config.most or FOR_ALL)
        self.weights = nn.Parameter(torch.zeros(self.labels.count, self.components).log_softmax(1))
        self.tables = Tables(self.sizes, self.components)

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("em", 0.3, schedule="cosine", warmup=0.0)}

    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        self.tables.learn(batches, rows)

    def joint(self, x: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """log p(k, x | c) over known cells: (B, K)."""
        y = self.labels(given, len(x)).to(x.device)
        return self.tables(x) + normalised(self.weights)[y]

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; cells of -1 are summed over."""
        return self.joint(batch.x, batch.given).logsumexp(1)

    def play(self, batch: Batch) -> Iterator[Move]:
        even = EVEN / float(self.tables.rows) * (self.weights - self.weights.detach()).sum() / self.components
        yield Move("model", -self.log_prob(batch) - self.tables.prior(self.config.prior * self.tables.marginal) - even)

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.weights.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere."""
        u = even(seeds, 1 + len(self.sizes), x.device)
        posterior = self.joint(torch.where(mask, x, -1), given).softmax(1)
        return torch.where(mask, x, self.tables.draw(drawn(posterior, u[:, 0])[:, None], u[:, 1:]))


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """No more components than so many rows can tell apart."""
    return {"most": max(4, items // ROWS_EACH), **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(most=4))
