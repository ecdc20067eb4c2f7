"""A regression of every column on those before it, in several orders: exact likelihood, for tables of few rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.rows import cells, drawn, uniforms
from morelike.nn.tables import Labels
from morelike.nn.variables import EDGE, NARROW, Variable, paired

MOST = 50_000_000  # weights: every column's law hangs on every value of every other one
USUAL = 200  # traits up to which prior and steps are as the settings say: of more, each may say less
SWEEPS = 3  # of the first regression of a number and of its sigma
AT_ONCE = 2**21  # numbers in the largest array that drawing makes


@dataclass(frozen=True)
class Config:
    """Settings of regressions.

    width   the one dial of size, which changes nothing here
    orders  orders of the columns, of which the law is the mean
    ridge   the prior of every weight is Cauchy's, of scale sqrt(2 / ridge): near 0 it bends as N(0, 1 / ridge) does,
            and what tells much is hardly drawn to 0; where columns tell more than 200 traits, it is as many times
            the ridge, so that all of them together say no more
    draws   points for each order by which what is not known of a row is summed over
    """

    width: Count = 32
    orders: Count = 4
    ridge: Annotated[float, Field(gt=0)] = 24.0
    draws: Count = 32


class Model(Family):
    """p(x) = 1/M sum_m prod_t p_m(x_t | those x_s that come before it in order m) (Frey 1998, chapter 5).

    A category is a softmax of traits of what comes before it. A number of many values is first one of its masses, such
    as missing or 0, or none of these, by a softmax, and then an interval of a normal score z ~ N(mu, sigma^2), mu
    linear in the traits (ordered probit; McCullagh 1980). Traits are those of `Variable`. In every order all
    numbers come before all categories: which class a row is of hangs on its numbers and their squares, and so tells how
    wide a number is in each class, where a number given the class would be moved alone. What is only ever given comes
    before all others, so that nothing has to be summed over or drawn to be rejected. Each order is learnt by
    itself, its weights w with a penalty of sum log(1 + ridge w^2 / 2), a Cauchy prior (Gelman et al. 2008).
    """

    exact = True
    batch = 512
    examples = 200_000
    rank: Tensor
    rows: Tensor
    owner: Tensor
    scale: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.spec, self.config, self.sizes = spec, config, cells(spec, "regressions")
        self.labels = Labels(spec, "regressions")
        pairs = paired(self.sizes, spec.columns)
        self.variables = cast(Sequence[Variable], nn.ModuleList(Variable(self.sizes, *pair) for pair in pairs))
        first = self.labels.count if self.labels.count > 1 else 0  # traits that say which class
        self.tells, wide = slices([one.traits.shape[1] for one in self.variables], first)  # traits of each variable
        self.outputs, outs = slices([one.outputs for one in self.variables])
        count = config.orders * wide * outs
        if count > MOST:
            raise OptionError(
                f"Regressions of {len(self.variables):,} columns have {count:,} weights", f"At most {MOST:,}",
                "Use --family circuit",
            )  # fmt: skip
        self.much = max(1.0, wide / USUAL)
        self.ridge = self.much * config.ridge
        self.weight = nn.Parameter(0.01 / self.much**0.5 * torch.randn(config.orders, wide, outs))
        self.bias = nn.Parameter(torch.zeros(config.orders, outs))
        known = spec.known or (False,) * len(self.sizes)
        late = torch.tensor([(not one.number) - 2 * known[one.first] for one in self.variables])
        rank = (torch.rand(config.orders, len(late)) + late).argsort(1).argsort(1)  # numbers first, categories last
        self.register_buffer("rank", rank)  # (M, variables) the place of each in an order
        self.register_buffer("rows", torch.tensor(1000.0))
        self.register_buffer("scale", torch.ones(config.orders, outs))  # in which unit weights and biases are
        parts = [(number, one) for own in (self.tells, self.outputs) for number, one in enumerate(own)]
        owner = [0] * first + [number for number, one in parts for _ in range(one.stop - one.start)]
        self.register_buffer("owner", torch.tensor(owner), persistent=False)  # variable of each trait, of each output

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adam", 0.05 / self.much, schedule="cosine")}  # a step moves every weight by as much

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in the law of each column, as if no other told anything of it."""
        kept = list(batches)
        x, told = torch.cat([one.x for one in kept]), torch.cat([self.told(one.given, len(one.x)) for one in kept])
        self.rows.fill_(rows)
        for one, own in zip(self.variables, self.outputs, strict=True):
            one.learn(x)
            self.bias[:, own] = one.starts().float()
        x, told = x[(x >= 0).all(1)], told[(x >= 0).all(1)]
        phi, sieve = torch.nn.functional.pad(self.traits(x, told).double(), (0, 1), value=1.0), self.sieve() > 0
        for one, own in zip(self.variables, self.outputs, strict=True):
            value = one.value(x)
            some = one.kind[value] == 0
            if one.number and bool(some.any()):
                both = torch.cat([phi[some], one.score[value[some], None]], 1)
                moments = both.T @ both / len(both)
                for m in range(len(self.rank)):
                    self._line(m, own.stop - 2, sieve[m, :, own.stop - 2], moments, len(both))

    def _line(self, m: int, at: int, heard: Tensor, moments: Tensor, n: int) -> None:
        """Begin a number as a ridge regression of its scores on those traits that are heard, of n rows.

        moments  mean products of traits, 1 and score, side by side: (traits + 2, traits + 2)

        From there on its weights are in units of sigma: a number that follows closely is moved by small steps.
        """
        own = torch.cat([heard.nonzero()[:, 0], torch.tensor([len(heard)], device=heard.device)])
        a, b = moments[own][:, own], moments[own, -1]
        ridge = torch.full_like(b, self.ridge / n)
        ridge[-1] = EDGE
        sigma, w = moments[-1, -1].sqrt(), b
        for _ in range(SWEEPS):
            w = torch.linalg.solve(a + (sigma.square() * ridge).diag(), b)
            sigma = (moments[-1, -1] - 2 * w @ b + w @ a @ w).clamp_min(math.exp(2 * NARROW)).sqrt()
        self.weight[m, heard, at] = (w[:-1] / sigma).float()
        self.bias[m, at], self.bias[m, at + 1], self.scale[m, at] = w[-1] / sigma, sigma.log(), sigma

    def sieve(self) -> Tensor:
        """Which traits each output hears, those of what comes before it: (M, traits, outputs)."""
        before = self.rank[:, :, None] < self.rank[:, None, :]  # (M, variables, variables)
        hears, told = self.owner[self.weight.shape[1] :], self.owner[: self.weight.shape[1]]
        first = self.tells[0].start
        heard = before.index_select(1, told[first:]).index_select(2, hears).to(self.weight.dtype)
        heard[:, :, [own.stop - 1 for own, one in zip(self.outputs, self.variables, strict=True) if one.number]] = 0
        return torch.cat([heard.new_ones(len(heard), first, heard.shape[2]), heard], 1) if first else heard

    def told(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        """Traits that say which class: (n, classes), or none (n, 0)."""
        y = self.labels(given, n).to(self.weight.device)
        hot = nn.functional.one_hot(y, self.labels.count).to(self.weight)
        return hot if self.labels.count > 1 else hot[:, :0]

    def each(self, x: Tensor, told: Tensor) -> Tensor:
        """log p_m(x) by each order, of rows (B, T) all of whose cells are known: (M, B), double."""
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.linear()
            out = self.traits(x, told) @ weight + bias[:, None]  # (M, B, outputs)
            parts = zip(self.variables, self.outputs, strict=True)
            return torch.stack([one.log_prob(out[:, :, own], one.value(x)) for one, own in parts]).sum(0)

    def traits(self, x: Tensor, told: Tensor) -> Tensor:
        """All that rows (B, T) tell, those of the classes first: (B, traits)."""
        return torch.cat([told, *(one.traits[one.value(x)] for one in self.variables)], 1)

    def linear(self) -> tuple[Tensor, Tensor]:
        """From traits to outputs: weights (M, traits, outputs), 0 for what is not heard, and biases (M, outputs)."""
        return self.weight * self.sieve() * self.scale[:, None], self.bias * self.scale

    def play(self, batch: Batch) -> Iterator[Move]:
        log_p = self.each(batch.x, self.told(batch.given, len(batch.x)))
        prior = torch.log1p(self.ridge / 2 * self.linear()[0].square()).sum() / self.rows
        together = log_p.detach().logsumexp(0) - math.log(len(log_p))
        # each order has the gradient of its own likelihood and prior, and the loss told is that of their mean
        yield Move("model", (-together - (log_p - log_p.detach()).sum(0) + prior - prior.detach()).float())

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; where cells of -1 are to be summed over, by points that are the same for all rows."""
        whole, told = (batch.x >= 0).all(1), self.told(batch.given, len(batch.x))
        log_p = batch.x.new_zeros(len(self.rank), len(batch.x), dtype=torch.float64)
        log_p[:, whole] = self.each(batch.x[whole], told[whole])
        u = uniforms(range(self.config.draws), self.rank.numel(), batch.x.device)
        u = (u.argsort(0).argsort(0) + 0.5) / len(u)  # a Latin hypercube (McKay et al. 1979)
        u, leads = u.view(-1, *self.rank.shape), self._leads(batch.x)
        for rows, draws in ((~whole & leads, 1), (~whole & ~leads, self.config.draws)):
            for part in rows.nonzero()[:, 0].split(self._together(draws)):
                for m in range(len(self.rank)):
                    weights = self._walk(m, batch.x[part], told[part], u[:draws, m].expand(len(part), -1, -1))[1]
                    log_p[m, part] = weights.logsumexp(1) - math.log(draws)
        return (log_p.logsumexp(0) - math.log(len(log_p))).float()

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.weight.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere: of several draws in each order one is chosen
        by how likely what is known is behind it."""
        known, told, made = torch.where(mask, x, -1), self.told(given, len(x)), x.clone()
        free, leads = ~mask.any(1), self._leads(known)
        for rows, draws in ((free, 0), (~free & leads, 1), (~free & ~leads, self.config.draws)):
            for part in rows.nonzero()[:, 0].split(self._together(max(1, draws))):
                own = [seeds[row] for row in part.tolist()]
                fill = partial(self._filled, draws=draws) if draws else self._free
                values = fill(known[part], told[part], own)
                found = made[part]
                for one, value in zip(self.variables, values.unbind(1), strict=True):
                    one.write(value, found)
                made[part] = found
        return torch.where(mask, x, made)

    def _together(self, draws: int) -> int:
        """How many rows are drawn at once."""
        return max(1, AT_ONCE // (draws * max(self.weight.shape[1], *(one.values for one in self.variables))))

    def _free(self, x: Tensor, told: Tensor, seeds: Sequence[int]) -> Tensor:
        """Rows of which nothing is known, each in one of the orders: values (B, variables)."""
        u = even(seeds, 1 + len(self.variables), x.device)
        made, order = torch.empty_like(u[:, 1:], dtype=torch.long), (u[:, 0] * len(self.rank)).long()
        for m in range(len(self.rank)):
            own = order == m
            made[own] = self._walk(m, x[own], told[own], u[own, None, 1:])[0][:, 0]
        return made

    def _leads(self, x: Tensor) -> Tensor:
        """In which rows (B, T) all that is known comes before all that is not, in every order, bool (B,): there what is
        known is as likely behind any draw."""
        size = torch.stack([end - begin for begin, end in (one.span(x) for one in self.variables)], 1)  # (B, variables)
        values = torch.tensor([one.values for one in self.variables], device=x.device)
        last = torch.where(size == 1, self.rank[:, None], -1).amax(2)  # (M, B)
        first = torch.where(size == 1, len(values), self.rank[:, None]).amin(2)
        return (last < first).all(0) & ((size == 1) | (size == values)).all(1)

    def _filled(self, x: Tensor, told: Tensor, seeds: Sequence[int], draws: int) -> Tensor:
        """Rows of which something is known, by so many draws in each order: values (B, variables)."""
        numbers = uniforms(seeds, draws * self.rank.numel() + 1, x.device)
        u, which = numbers[:, :-1].view(len(x), draws, *self.rank.shape), numbers[:, -1]
        drawn_, weights = zip(*(self._walk(m, x, told, u[:, :, m]) for m in range(len(self.rank))), strict=True)
        chosen = drawn(torch.cat(weights, 1).softmax(1), which)  # (B,) among M K draws
        return torch.cat(drawn_, 1)[torch.arange(len(x), device=x.device), chosen]

    @torch.no_grad()
    def _walk(self, m: int, x: Tensor, told: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Values drawn one after another in order m within what is known, and log p of this given those before it.

        x (B, T), told (B, classes), u (B, K, variables) in [0, 1) -> (B, K, variables), (B, K)
        """
        phi = u.new_zeros(*u.shape[:2], self.weight.shape[1])  # what comes later stays 0
        phi[:, :, : told.shape[1]] = told[:, None]
        made, total = torch.empty_like(u, dtype=torch.long), u.new_zeros(u.shape[:2], dtype=torch.float64)
        weight, bias = (one[m] for one in self.linear())
        for t in self.rank[m].argsort().tolist():
            one, (begin, end), hears = self.variables[t], self.variables[t].span(x), self.outputs[t]
            law = one.law(phi @ weight[:, hears] + bias[hears])  # (B, K, V)
            at = torch.arange(one.values, device=x.device)
            law = law.masked_fill(((at < begin[:, None]) | (at >= end[:, None]))[:, None], -torch.inf)
            total = total + law.logsumexp(2)
            made[:, :, t] = drawn(law.softmax(2), u[:, :, t])
            phi[:, :, self.tells[t]] = one.traits[made[:, :, t]]
        return made, total


def slices(widths: Sequence[int], first: int = 0) -> tuple[list[slice], int]:
    """Where parts of these widths lie side by side behind the first places, and where the last one ends."""
    ends = list(accumulate(widths, initial=first))
    return [slice(begin, end) for begin, end in pairwise(ends)], ends[-1]


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(orders=2))
