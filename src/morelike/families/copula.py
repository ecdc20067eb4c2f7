"""A Gaussian copula: each column's own law, and one correlation for every two of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.rows import cells, offsets, uniforms
from morelike.nn.tables import Labels
from morelike.nn.variables import counted, paired

MOST = 200  # variables: every two of them have a correlation, and each is drawn given all before it
EDGE = 1e-12  # probabilities are kept so far from 0 and 1
FAR = 100.0  # beyond what a normal number comes to: not infinity, whose gradient is none
LOOKED, ROUNDS, DRAWN = 2_000, 20, 8  # rows by which correlations are told at first, in rounds of so many draws
SEEN, SWEEPS = 5.0, 3  # rows by which the mean scores of a rare value are drawn to nothing; rounds of ordering
AT_ONCE = 256  # rows of which the likelihood is computed together


@dataclass(frozen=True)
class Config:
    """Settings of a Gaussian copula.

    width   the one dial of size, which changes nothing here
    draws   points by which the probability of a row is estimated
    learnt  the same in training
    prior   rows of independent columns that the first correlations have seen before
    """

    width: Count = 32
    draws: Count = 32
    learnt: Count = 4
    prior: Annotated[float, Field(gt=0)] = 1.0


class Model(Family):
    """p(x) = P(a_t(x_t) < z_t <= b_t(x_t) for all t) with z ~ N(0, R), where a and b are such that each column has the
    frequencies of the data (Nelsen 2006, chapter 2). The two cells of a number are one variable.

    The probability of the box is estimated without bias by drawing z one after another within it (Geweke 1991;
    Hajivassiliou & Ruud 1994), and its logarithm from below. Values of a category stand in the order of their codes.
    """

    exact = False
    watched = True
    batch = 128
    examples = 50_000
    law: Tensor
    rank: Tensor
    value: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.spec, self.config, self.sizes = spec, config, cells(spec, "copula")
        pairs = paired(self.sizes, spec.columns)
        self.first, self.second = ([pair[place] for pair in pairs] for place in (0, 1))  # cells of each variable
        if len(self.first) > MOST:
            raise OptionError(
                f"The table has {len(self.first):,} columns", f"At most {MOST} for the family copula",
                "Use --family circuit",
            )  # fmt: skip
        self.parts = [self.sizes[two] if two >= 0 else 1 for two in self.second]
        self.values = [self.sizes[one] * parts for one, parts in zip(self.first, self.parts, strict=True)]
        self.factor = nn.Parameter(torch.eye(len(self.first)) + 0.05 * torch.randn(len(self.first), len(self.first)))
        self.labels = Labels(spec, "copula")
        if self.labels.count > 1:  # how far a class moves each variable
            self.shift = nn.Parameter(0.1 * torch.randn(self.labels.count, len(self.first)))
        even = [torch.arange(size + 1, dtype=torch.float64) / size for size in self.values]
        self.register_buffer("law", torch.cat(even))  # P(value of variable t < v), side by side
        same = torch.cat([torch.arange(size) for size in self.sizes])
        self.register_buffer("rank", same)  # in which place each value of each cell stands, side by side
        self.register_buffer("value", same.clone())  # and the value in each place

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adam", 0.01, schedule="cosine")}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in the law of every column, and the correlations of normal scores drawn within the cells."""
        x = torch.cat([batch.x for batch in batches])
        z = torch.stack([self._scored(x, t) for t in range(len(self.first))], 1)
        for t in [t for t, parts in enumerate(self.parts) if parts == 1 and self.values[t] > 2] * SWEEPS:
            self._order(x, z, t)
        low, high = self.box(x[:LOOKED])
        z = z[:LOOKED]
        self._correlated(z.T @ z, len(z))
        for _ in range(ROUNDS):
            self._correlated(self._expected(low, high), len(z))

    def looked(self, x: Tensor, table: Tensor) -> Tensor:
        """Cells as a table of all their values says, which is `rank` or `value`: (B, T) -> (B, T)."""
        return torch.where(x >= 0, table[x.clamp_min(0) + offsets(self.sizes).to(x.device)], x)

    def _scored(self, x: Tensor, t: int) -> Tensor:
        """Take in the law of one variable, and draw normal scores within its cells: (B,)."""
        law = self._counted(self.looked(x, self.rank), t)
        self.law.split([size + 1 for size in self.values])[t].copy_(law)
        low, high = self._bounds(self.looked(x, self.rank), t, law)
        return scores(low + (high - low) * torch.rand_like(low))

    def _order(self, x: Tensor, z: Tensor, t: int) -> None:
        """Order the values of a cell by what goes with them: by the first axis of the other variables' mean scores."""
        cell = self.first[t]
        hot = torch.arange(self.sizes[cell], device=x.device).eq(x[:, cell, None]).double()  # (n, V)
        count = hot.sum(0)[:, None]
        means = hot.T @ torch.cat([z[:, :t], z[:, t + 1 :]], 1) / (count + SEEN)
        axis = torch.linalg.svd(count.sqrt() * means, full_matrices=False)[2][:1]
        order = (means @ axis.T).sum(1).argsort(stable=True)
        self.value.split(self.sizes)[cell].copy_(order)
        self.rank.split(self.sizes)[cell].copy_(order.argsort())
        z[:, t] = self._scored(x, t)

    def _correlated(self, total: Tensor, n: int) -> None:
        """Take in the correlations of n rows with this sum of z z^T."""
        spread = (total.diagonal() / n).sqrt()
        r = (total / spread / spread[:, None] + self.config.prior * torch.eye(len(total)).to(total)) / (
            n + self.config.prior
        )
        self.factor.copy_(torch.linalg.cholesky(r))

    def _expected(self, low: Tensor, high: Tensor) -> Tensor:
        """Sum over rows of E[z z^T | z in the row's box], from weighted draws: the E-step (Dempster et al. 1977)."""
        triangle, total = self.triangle(), torch.zeros(len(self.first), len(self.first)).to(low)
        for a, b in zip(low.split(AT_ONCE), high.split(AT_ONCE), strict=True):
            u = torch.rand(len(a), DRAWN, len(self.first), device=a.device, dtype=a.dtype)
            e, logs = self.inside(a, b, torch.zeros_like(a), u, triangle)
            z = (e @ triangle.T) * logs.softmax(1).sqrt()[:, :, None]
            total += torch.einsum("bki,bkj->ij", z, z)
        return total

    def _counted(self, x: Tensor, t: int) -> Tensor:
        """P(value < v) of one variable."""
        one, parts = x[:, self.first[t]], self.parts[t]
        two = x[:, self.second[t]] if parts > 1 else torch.zeros_like(one)
        p = counted(one, two, self.values[t], parts)
        return torch.cat([p.new_zeros(1), (p / p.sum()).cumsum(0)]).clamp_max(1)

    def triangle(self) -> Tensor:
        """L with R = L L^T: rows of length 1, and a positive diagonal."""
        factor = self.factor.double()
        lower = factor.tril(-1) + torch.diag_embed(factor.diagonal().abs().clamp_min(1e-3))
        return lower / lower.norm(dim=1, keepdim=True)

    def centre(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """Mean of z given the class: (n, variables)."""
        y = self.labels(given, n).to(self.factor.device)
        return self.shift.double()[y] if self.labels.count > 1 else self.law.new_zeros(n, len(self.first))

    def box(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(z_t < a_t) and P(z_t < b_t) of each variable, 0 and 1 where it is not known: (B, T) -> 2 of (B, variables).

        Where only the first cell of a number is known, they are those of all its parts.
        """
        x, laws = self.looked(x, self.rank), self.law.split([size + 1 for size in self.values])
        low, high = zip(*(self._bounds(x, t, law) for t, law in enumerate(laws)), strict=True)
        return torch.stack(low, 1), torch.stack(high, 1)

    def _bounds(self, x: Tensor, t: int, law: Tensor) -> tuple[Tensor, Tensor]:
        """The same of one variable, from cells in their places and its law."""
        one, parts = x[:, self.first[t]], self.parts[t]
        two = x[:, self.second[t]] if parts > 1 else torch.zeros_like(one)
        begin = one.clamp_min(0) * parts + two.clamp_min(0)
        end = begin + torch.where(two >= 0, 1, parts)
        return torch.where(one >= 0, law[begin], 0.0), torch.where(one >= 0, law[end], 1.0)

    def inside(self, low: Tensor, high: Tensor, centre: Tensor, u: Tensor, triangle: Tensor) -> tuple[Tensor, Tensor]:
        """Independent normal e such that z = centre + L e lies in a box, and log of the probability that it would.

        low, high (B, t) as of `box`, centre (B, t), u (B, K, t) in [0, 1) -> (B, K, t), (B, K)
        """
        a, b, e, total = scores(low), scores(high), list[Tensor](), u.new_zeros(u.shape[:2])
        a, b = a.masked_fill(low <= 0, -FAR), b.masked_fill(high >= 1, FAR)
        for t in range(low.shape[1]):
            mean = centre[:, t, None] + (torch.stack(e, -1) @ triangle[t, :t] if t else torch.zeros_like(total))
            start, end = (torch.special.ndtr((one[:, t, None] - mean) / triangle[t, t]) for one in (a, b))
            p = (end - start).clamp_min(EDGE)
            e.append(scores(start + p * u[:, :, t]))
            total = total + p.log()
        return torch.stack(e, -1), total

    def estimate(self, x: Tensor, centre: Tensor, u: Tensor) -> Tensor:
        """log of the mean over K draws: x (B, T), centre (B, variables), u (B or 1, K, variables) -> (B,)."""
        low, high = self.box(x)
        with torch.autocast(x.device.type, enabled=False):
            logs = self.inside(low, high, centre, u.expand(len(x), -1, -1), self.triangle())[1]
        return logs.logsumexp(1) - math.log(logs.shape[1])

    def play(self, batch: Batch) -> Iterator[Move]:
        u = torch.rand(len(batch.x), self.config.learnt, len(self.first), device=batch.x.device, dtype=torch.float64)
        yield Move("model", -self.estimate(batch.x, self.centre(batch.given, len(batch.x)), u).float())

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, estimated by points that are the same for all rows; cells of -1 are summed over."""
        u = uniforms(range(self.config.draws), len(self.first), batch.x.device).double()[None]
        parts = zip(batch.x.split(AT_ONCE), self.centre(batch.given, len(batch.x)).split(AT_ONCE), strict=True)
        made = [self.estimate(x, centre, u) for x, centre in parts]
        return torch.cat(made).float() if made else u.new_zeros(0)

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.factor.device)
        return self._filled(x, self.centre(given, len(x)), self._points(seeds, 1))

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere."""
        points = self._points(seeds, self.config.draws)
        return torch.where(mask, x, self._filled(torch.where(mask, x, -1), self.centre(given, len(x)), points))

    def _points(self, seeds: Sequence[int], draws: int) -> Tensor:
        """Numbers in [0, 1) of each row, and one to choose among them by in the last place: (B, K, variables + 1)."""
        spread = even if draws == 1 else uniforms
        u = spread(seeds, draws * (len(self.first) + 1), self.factor.device).double()
        return u.view(len(seeds), draws, len(self.first) + 1)

    def _filled(self, x: Tensor, centre: Tensor, u: Tensor) -> Tensor:
        """All cells, drawn for rows with the same known cells together: (B, T), (B, variables), of `_points`."""
        made, (kinds, kind) = x.clone(), (x[:, self.first] >= 0).unique(dim=0, return_inverse=True)
        for number, known in enumerate(kinds):
            for part in (kind == number).nonzero().squeeze(1).split(AT_ONCE):
                made[part] = self._drawn(x[part], known, centre[part], u[part, :, :-1], u[part, 0, -1])
        return made

    def _drawn(self, x: Tensor, known: Tensor, centre: Tensor, u: Tensor, which: Tensor) -> Tensor:
        """All cells, one of the draws that lie in what is known chosen by its weight, and the rest given that."""
        order, fixed = (~known).long().argsort(stable=True), int(known.sum())
        full = self.triangle()
        triangle = torch.linalg.cholesky((full @ full.T)[order][:, order])
        low, high = (one[:, order] for one in self.box(x))
        e = torch.zeros_like(u[:, 0])
        if fixed:
            first = order[:fixed]
            inside, logs = self.inside(low[:, :fixed], high[:, :fixed], centre[:, first], u[:, :, first], triangle)
            chosen = torch.searchsorted(logs.softmax(1).cumsum(1), which[:, None]).clamp_max(logs.shape[1] - 1)
            e[:, :fixed] = inside.gather(1, chosen[:, :, None].expand(-1, 1, fixed)).squeeze(1)
        e[:, fixed:] = scores(u[:, 0][:, order[fixed:]])
        p = torch.special.ndtr(centre + (e @ triangle.T)[:, order.argsort()])
        made = torch.empty_like(x)
        for t, law in enumerate(self.law.split([size + 1 for size in self.values])):
            value = torch.searchsorted(law[1:-1].contiguous(), p[:, t].contiguous(), right=True)
            made[:, self.first[t]] = value // self.parts[t]
            if self.second[t] >= 0:
                made[:, self.second[t]] = value % self.parts[t]
        return self.looked(made, self.value)


def scores(p: Tensor) -> Tensor:
    """The normal numbers below which shares p lie."""
    return torch.special.ndtri(p.clamp(EDGE, 1 - EDGE))


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config())
