"""Tables of log-probabilities that are counted, not descended: their gradient is an expected count.

EM for a model of such tables needs no code of its own: backpropagation of log p gives for every entry how often it is
expected to be used (Darwiche 2003, theorem 1), and the optimizer "em" turns counts into new tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.spec import Batch, Spec
from morelike.nn.condition import missing
from morelike.nn.rows import NEVER, offsets, padded, placed

CLASSES = 100  # most kinds of labels, all together
AT_ONCE = 2**23  # numbers in the largest array that drawing makes


class _Normalised(torch.autograd.Function):
    """log softmax in value, but its gradient is that of the table itself: the expected counts."""

    @staticmethod
    def forward(ctx: Any, theta: Tensor) -> Tensor:
        return theta.log_softmax(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def normalised(theta: Tensor) -> Tensor:
    """A table whose last axis is a law, log-probabilities: same shape. Its gradient is not taken through the norm."""
    return _Normalised.apply(theta)


class Labels:
    """Conditions that are labels, as one class: there are `count` of them, and just one without conditions."""

    def __init__(self, spec: Spec, family: str) -> None:
        self.kinds = {name: one.tokens or 0 for name, one in spec.given.items()}
        self.count = math.prod(self.kinds.values())
        if any(one.shape or not one.tokens for one in spec.given.values()) or self.count > CLASSES:
            raise OptionError(
                f"The family {family} was given conditions that are no labels, such as tokens: {', '.join(spec.given)}",
                f"It takes labels, of at most {CLASSES} kinds in all", "Use --family vae, or --given none",
            )  # fmt: skip

    def __call__(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """The class of each item: (n,)."""
        y = torch.zeros(n, dtype=torch.long)
        for name, kinds in self.kinds.items():
            if name not in given:
                raise missing(name, given, self.kinds)
            y = y.to(given[name].device) * kinds + given[name].expand(n)
        return y

    def traits(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """Traits that say which class: (n, classes), or none (n, 0) where there is just one."""
        hot = nn.functional.one_hot(self(given, n), self.count).float()
        return hot if self.count > 1 else hot[:, :0]


class Tables(nn.Module):
    """For each of K states the law of every cell, log-probabilities: `laws` holds those of all cells of one size
    together, (cells, K, size), so that two thousand columns are a few tensors.

    Begins as the law of the data with noise, where `learn` has seen them, and else as an even one with noise.
    """

    marginal: Tensor
    rows: Tensor
    begins: Tensor  # (T,) where the values of each cell begin in `flat`
    order: Tensor  # (sum sizes,) which of all values, cell by cell, stands in each place of it

    def __init__(self, sizes: tuple[int, ...], states: int, noise: float = 0.5) -> None:
        super().__init__()
        self.sizes, self.states = sizes, states
        alike = [[t for t, one in enumerate(sizes) if one == size] for size in sorted(set(sizes))]
        first = [noise * torch.randn(states, size) for size in sizes]
        self.laws = nn.ParameterList(torch.stack([first[t] for t in some]).log_softmax(-1) for some in alike)
        self.register_buffer("marginal", torch.cat([torch.full((size,), 1 / size) for size in sizes]))
        self.register_buffer("rows", torch.tensor(1000.0))
        cells = torch.tensor([t for some in alike for t in some])
        widths, begins = torch.tensor(sizes)[cells], torch.empty(len(sizes), dtype=torch.long)
        begins[cells] = widths.cumsum(0) - widths
        order = torch.arange(sum(sizes)) + torch.repeat_interleave(offsets(sizes)[cells] - begins[cells], widths)
        self.register_buffer("begins", begins, persistent=False)
        self.register_buffer("order", order, persistent=False)

    @torch.no_grad()
    def learn(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in the law of each cell over the data, with half a count added, and how many rows there are."""
        counts = torch.full_like(self.marginal, 0.5)
        for batch in batches:
            places = (batch.x + offsets(self.sizes).to(batch.x.device))[batch.x >= 0]
            counts += torch.bincount(places, minlength=len(counts))
        self.rows.fill_(rows)
        self.marginal.copy_(torch.cat([part / part.sum() for part in counts.split(self.sizes)]))
        for law, part in zip(self.laws, self._parted(self.marginal), strict=True):
            law.copy_((law + part.log()).log_softmax(-1))

    def _parted(self, values: Tensor) -> list[Tensor]:
        """Numbers for all values, cell by cell (sum sizes,), as those of each size: (cells, 1, size) each."""
        parts = values[self.order].split([len(law) * law.shape[2] for law in self.laws])
        return [part.view(len(law), 1, -1) for law, part in zip(self.laws, parts, strict=True)]

    def flat(self) -> Tensor:
        """All laws, those of cells of one size after those of another, and zeros for what is unknown:
        (sum sizes + 1, K)."""
        both = torch.cat([normalised(law).transpose(1, 2).flatten(0, 1) for law in self.laws])
        return F.pad(both, (0, 0, 0, 1))

    def places(self, x: Tensor) -> Tensor:
        """Where in `flat` the values of some cells are: (B, T) -> (B, T)."""
        return torch.where(x >= 0, x + self.begins, sum(self.sizes))

    def forward(self, x: Tensor) -> Tensor:
        """log p(x | k) for each state, over known cells: (B, T) -> (B, K)."""
        return F.embedding_bag(self.places(x), self.flat(), mode="sum")

    def prior(self, counts: Tensor) -> Tensor:
        """Zero, with the gradient of so many rows of each value (sum sizes,) that every state has seen before."""
        parts = self._parted(counts / self.rows)
        total = torch.stack([(law * part).sum() for law, part in zip(self.laws, parts, strict=True)]).sum()
        return total - total.detach()

    @torch.no_grad()
    def draw(self, states: Tensor, u: Tensor) -> Tensor:
        """Values of all cells given their states (B, T) or (B, 1), from numbers u (B, T) in [0, 1)."""
        flat = self.flat()[self.order.argsort()]  # cell by cell
        table = padded(flat.T, self.sizes, NEVER).transpose(0, 1).exp().cumsum(-1)  # (T, K, size)
        cell, step = torch.arange(len(self.sizes), device=u.device), max(1, AT_ONCE // table[:, 0].numel())
        return torch.cat(
            [placed(table[cell, k], one) for k, one in zip(states.split(step), u.split(step), strict=True)]
            or [torch.empty(0, len(self.sizes), dtype=torch.long)]
        )
