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
from morelike.nn.rows import cells, uniforms

JOINED = 4096  # values of a number's two cells up to which they are one variable
EDGE = 1e-12  # probabilities are kept so far from 0 and 1
FAR = 100.0  # beyond what a normal number comes to: not infinity, whose gradient is none
AT_ONCE = 256  # rows of which the likelihood is computed together


@dataclass(frozen=True)
class Config:
    """Settings of a Gaussian copula.

    width   the one dial of size, which changes nothing here
    draws   points by which the probability of a row is estimated
    learnt  the same in training
    shrink  share of the first correlations that is left out
    """

    width: Count = 32
    draws: Count = 64
    learnt: Count = 4
    shrink: Annotated[float, Field(ge=0, lt=1)] = 0.05


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

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        if spec.given:
            raise OptionError(
                f"The family copula was given conditions: {', '.join(spec.given)}", "It takes none",
                "Use --family circuit, or --given none",
            )  # fmt: skip
        self.spec, self.config, self.sizes = spec, config, cells(spec, "copula")
        widths = spec.columns or (1,) * len(self.sizes)
        self.first, self.second, at = list[int](), list[int](), 0  # cells of each variable, the second -1 where none is
        for width in widths:
            pair = width == 2 and self.sizes[at] * self.sizes[at + 1] <= JOINED
            for cell in range(at, at + width, 2 if pair else 1):
                self.first.append(cell)
                self.second.append(cell + 1 if pair else -1)
            at += width
        self.parts = [self.sizes[two] if two >= 0 else 1 for two in self.second]
        self.values = [self.sizes[one] * parts for one, parts in zip(self.first, self.parts, strict=True)]
        self.factor = nn.Parameter(torch.eye(len(self.first), dtype=torch.float64))
        even = [torch.arange(size + 1, dtype=torch.float64) / size for size in self.values]
        self.register_buffer("law", torch.cat(even))  # P(value of variable t < v), side by side

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adam", 0.01, schedule="cosine")}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in the law of every column, and the correlations of normal scores drawn within the cells."""
        x = torch.cat([batch.x for batch in batches])
        laws = [self._counted(x, t) for t in range(len(self.first))]
        self.law.copy_(torch.cat(laws))
        low, high = self.box(x)
        z = scores(low + (high - low) * torch.rand_like(low))
        r = torch.corrcoef(z.T).nan_to_num(0.0).reshape(len(laws), len(laws))
        r = (1 - self.config.shrink) * r.fill_diagonal_(1) + self.config.shrink * torch.eye(len(laws)).to(r)
        self.factor.copy_(torch.linalg.cholesky(r))

    def _counted(self, x: Tensor, t: int) -> Tensor:
        """P(value < v) of one variable: half a row is added to each first cell, one in all to its parts."""
        one, parts = x[:, self.first[t]], self.parts[t]
        two = x[:, self.second[t]] if parts > 1 else torch.zeros_like(one)
        there = (one >= 0) & (two >= 0)
        counts = torch.bincount(one[there] * parts + two[there], minlength=self.values[t]).double().view(-1, parts)
        usual = (counts.sum(0) + 0.5) / (counts.sum() + 0.5 * parts)
        within = (counts + usual) / (counts.sum(1, keepdim=True) + 1)
        p = (counts.sum(1, keepdim=True) + 0.5) * within
        return torch.cat([p.new_zeros(1), (p.flatten() / p.sum()).cumsum(0)]).clamp_max(1)

    def triangle(self) -> Tensor:
        """L with R = L L^T: rows of length 1, and a positive diagonal."""
        lower = self.factor.tril(-1) + torch.diag_embed(self.factor.diagonal().abs().clamp_min(1e-3))
        return lower / lower.norm(dim=1, keepdim=True)

    def box(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(z_t < a_t) and P(z_t < b_t) of each variable, 0 and 1 where it is not known: (B, T) -> 2 of (B, variables).

        Where only the first cell of a number is known, they are those of all its parts.
        """
        low, high = [], []
        for t, law in enumerate(self.law.split([size + 1 for size in self.values])):
            one, parts = x[:, self.first[t]], self.parts[t]
            two = x[:, self.second[t]] if parts > 1 else torch.zeros_like(one)
            begin = one.clamp_min(0) * parts + two.clamp_min(0)
            low.append(torch.where(one >= 0, law[begin], 0.0))
            high.append(torch.where(one >= 0, law[begin + torch.where(two >= 0, 1, parts)], 1.0))
        return torch.stack(low, 1), torch.stack(high, 1)

    def inside(self, low: Tensor, high: Tensor, u: Tensor, triangle: Tensor) -> tuple[Tensor, Tensor]:
        """Independent normal e within a box such that z = L e lies in it, and log of the probability that they would.

        low, high (B, t) as of `box`, u (B, K, t) in [0, 1) -> (B, K, t), (B, K)
        """
        a, b, e, total = scores(low), scores(high), list[Tensor](), u.new_zeros(u.shape[:2])
        a, b = a.masked_fill(low <= 0, -FAR), b.masked_fill(high >= 1, FAR)
        for t in range(low.shape[1]):
            mean = torch.stack(e, -1) @ triangle[t, :t] if t else torch.zeros_like(total)
            start, end = (torch.special.ndtr((one[:, t, None] - mean) / triangle[t, t]) for one in (a, b))
            p = (end - start).clamp_min(EDGE)
            e.append(scores(start + p * u[:, :, t]))
            total = total + p.log()
        return torch.stack(e, -1), total

    def estimate(self, x: Tensor, u: Tensor) -> Tensor:
        """log of the mean over K draws: x (B, T), u (B or 1, K, variables) -> (B,)."""
        low, high = self.box(x)
        with torch.autocast(x.device.type, enabled=False):
            logs = self.inside(low, high, u.expand(len(x), -1, -1), self.triangle())[1]
        return logs.logsumexp(1) - math.log(logs.shape[1])

    def play(self, batch: Batch) -> Iterator[Move]:
        u = torch.rand(len(batch.x), self.config.learnt, len(self.first), device=batch.x.device, dtype=torch.float64)
        yield Move("model", -self.estimate(batch.x, u).float())

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, estimated by points that are the same for all rows; cells of -1 are summed over."""
        u = uniforms(range(self.config.draws), len(self.first), batch.x.device).double()[None]
        made = [self.estimate(part, u) for part in batch.x.split(AT_ONCE)]
        return torch.cat(made).float() if made else u.new_zeros(0)

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.factor.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere: rows with the same known cells together."""
        known, count = torch.where(mask, x, -1), len(self.first)
        u = uniforms(seeds, self.config.draws * count + 1, x.device).double() if len(x) else x.new_zeros(0, 1)
        made, patterns = x.clone(), (known[:, self.first] >= 0).unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns[0]):
            rows = (patterns[1] == number).nonzero().squeeze(1)
            for part in rows.split(AT_ONCE):
                points = u[part, :-1].view(len(part), self.config.draws, count)
                made[part] = self._drawn(known[part], pattern, points, u[part, -1])
        return torch.where(mask, x, made)

    def _drawn(self, x: Tensor, known: Tensor, u: Tensor, which: Tensor) -> Tensor:
        """All cells, one of the draws that lie in what is known chosen by its weight, and the rest given that."""
        order, fixed = (~known).long().argsort(stable=True), int(known.sum())
        full = self.triangle()
        triangle = torch.linalg.cholesky((full @ full.T)[order][:, order])
        low, high = (one[:, order] for one in self.box(x))
        e = torch.zeros_like(u[:, 0])
        if fixed:
            inside, logs = self.inside(low[:, :fixed], high[:, :fixed], u[:, :, :fixed], triangle)
            chosen = torch.searchsorted(logs.softmax(1).cumsum(1), which[:, None]).clamp_max(logs.shape[1] - 1)
            e[:, :fixed] = inside.gather(1, chosen[:, :, None].expand(-1, 1, fixed)).squeeze(1)
        e[:, fixed:] = scores(u[:, 0, fixed:])
        p = torch.special.ndtr((e @ triangle.T)[:, order.argsort()])
        made = torch.empty_like(x)
        for t, law in enumerate(self.law.split([size + 1 for size in self.values])):
            value = torch.searchsorted(law[1:-1].contiguous(), p[:, t].contiguous(), right=True)
            made[:, self.first[t]] = value // self.parts[t]
            if self.second[t] >= 0:
                made[:, self.second[t]] = value % self.parts[t]
        return made


def scores(p: Tensor) -> Tensor:
    """The normal numbers below which shares p lie."""
    return torch.special.ndtri(p.clamp(EDGE, 1 - EDGE))


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config())
