"""A regression of every column on those before it, in several orders: exact likelihood, for tables of few rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.evenly import even
from morelike.nn.evidence import ridges
from morelike.nn.factors import Factors, alike, fold_of, lines, related, strongest
from morelike.nn.rows import cells, chunks, drawn, uniforms
from morelike.nn.tables import Labels
from morelike.nn.variables import EDGE, NARROW, Variable, log_laws, paired, slices

MOST = 50_000_000  # weights: every column's law hangs on every value of every other one
USUAL = 200  # traits up to which prior and steps are as the settings say: of more, each may say less
SWEEPS = 3  # of the first regression of a number and of its sigma
AT_ONCE = 2**21  # numbers in the largest array that drawing makes
ROWS_EACH, STRONGEST = 20, 32  # rows for each trait that is heard, and how many are at most, where columns are many
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of what factors say, that are tried
MANY, AMPLE = 200, 2  # columns above which so many orders do
LOOKED, LEAST = 2_000, 0.02  # rows by which these are chosen; of a score's variance, what is left at least
WORK = 3e10  # multiplications by which they are chosen
ROOM = 2**25  # numbers that columns hear in all rows of a batch
FILLED = 64  # rows in which cells are filled in at once where columns are many, each of which takes long


@dataclass(frozen=True)
class Config:
    """Settings of regressions.

    width   the one dial of size, which changes nothing here
    orders  orders of the columns, of which the law is the mean
    ridge   the prior of every weight is Cauchy's, of scale sqrt(2 / ridge): near 0 it bends as N(0, 1 / ridge) does,
            and what tells much is hardly drawn to 0; it is more between columns that take many values and seem to
            say little of each other (`ridges`), and where columns tell more than 200 traits as many times the ridge
    draws   points for each order by which what is not known of a row is summed over
    most    traits that a column hears where there are more than 200, and what factors say of it; None: all of them. A
            run sets it by the number of rows
    """

    width: Count = 32
    orders: Count = 4
    ridge: Annotated[float, Field(gt=0)] = 24.0
    draws: Count = 32
    most: Count | None = None


class Model(Family):
    """p(x) = 1/M sum_m prod_t p_m(x_t | those x_s that come before it in order m) (Frey 1998, chapter 5).

    A category is a softmax of traits of what comes before it. A number of many values is first one of its masses, such
    as missing or 0, or none of these, by a softmax, and then an interval of a normal score z ~ N(mu, sigma^2), mu
    linear in the traits (ordered probit; McCullagh 1980). Traits are those of `Variable`. In every order all
    numbers come before all categories: which class a row is of hangs on its numbers and their squares, and so tells how
    wide a number is in each class, where a number given the class would be moved alone. What is only ever given comes
    before all others, so that nothing has to be summed over or drawn to be rejected. Each order is learnt by
    itself, its weights w with a penalty of sum log(1 + ridge w^2 / 2), a Cauchy prior (Gelman et al. 2008).

    Of many columns none hears all others. It hears what `Factors` of all scores say of its own, and the few traits that
    go most with what these leave to say, of those that do so by more than the best of as many would by chance.
    """

    exact = True
    batch = 512
    examples = 200_000
    rank: Tensor
    rows: Tensor
    ridge: Tensor
    owner: Tensor
    scale: Tensor
    spread: Tensor
    base: Tensor
    heard: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.spec, self.config, self.sizes = spec, config, cells(spec, "regressions")
        self.labels = Labels(spec, "regressions")
        pairs = paired(self.sizes, spec.columns)
        self.variables = cast(Sequence[Variable], nn.ModuleList(Variable(self.sizes, *pair) for pair in pairs))
        first = self.labels.count if self.labels.count > 1 else 0  # traits that say which class
        self.tells, wide = slices([one.traits.shape[1] for one in self.variables], first)  # traits of each variable
        self.outputs, outs = slices([one.outputs for one in self.variables])
        self.wide, self.sparse = wide, config.most is not None and wide > USUAL
        slots = 1 + min(config.most or wide, wide) if self.sparse else wide
        orders = min(config.orders, AMPLE) if self.sparse and len(pairs) > MANY else config.orders
        count = orders * slots * outs
        if count > MOST:
            raise OptionError(
                f"Regressions of {len(self.variables):,} columns have {count:,} weights", f"At most {MOST:,}",
                "Use --family circuit",
            )  # fmt: skip
        self.much = 1.0 if self.sparse else max(1.0, wide / USUAL)
        self.register_buffer("ridge", torch.full((1, 1) if self.sparse else (wide, outs), self.much * config.ridge))
        self.weight = nn.Parameter(0.01 / self.much**0.5 * torch.randn(orders, slots, outs))
        self.bias = nn.Parameter(torch.zeros(orders, outs))
        known = spec.known or (False,) * len(self.sizes)
        late = torch.tensor([(not one.number) - 2 * known[one.first] for one in self.variables])
        rank = (torch.rand(orders, len(late)) + late).argsort(1).argsort(1)  # numbers first, categories last
        self.register_buffer("rank", rank)  # (M, variables) the place of each in an order
        self.register_buffer("rows", torch.tensor(1000.0))
        self.register_buffer("scale", torch.ones(orders, outs))  # in which unit weights and biases are
        parts = [(number, one) for own in (self.tells, self.outputs) for number, one in enumerate(own)]
        owner = [0] * first + [number for number, one in parts for _ in range(one.stop - one.start)]
        self.register_buffer("owner", torch.tensor(owner), persistent=False)  # variable of each trait, of each output
        if self.sparse:
            self.together = FILLED
            self.factors = Factors(len(late), orders)
            self.register_buffer("spread", torch.ones(len(late)))  # of scores
            self.register_buffer("base", torch.zeros(orders, outs))  # how much what factors say counts
            self.register_buffer("heard", torch.full((orders, len(late), slots - 1), wide))  # `wide` for none
            self.alike = alike([(one.outputs, one.number, one.values) for one in self.variables])
            self.batch = max(16, min(self.batch, ROOM // (self.rank.numel() * slots)))

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("adam", 0.05 / self.much, schedule="cosine")}  # a step moves every weight by as much

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Take in the law of each column, as if no other told anything of it."""
        kept = list(batches)
        x, told = torch.cat([one.x for one in kept]), torch.cat([self._told(one.given, len(one.x)) for one in kept])
        self.rows.fill_(rows)
        for one, own in zip(self.variables, self.outputs, strict=True):
            one.learn(x)
            self.bias[:, own] = one.starts().float()
        x, told = x[(x >= 0).all(1)], told[(x >= 0).all(1)]
        if self.sparse:
            self._choose(x[:LOOKED], told[:LOOKED])
            self._lines(x[:LOOKED], told[:LOOKED])
            return
        phi, sieve = nn.functional.pad(self.traits(x, told).double(), (0, 1), value=1.0), self.sieve() > 0
        self.ridge[self.tells[0].start :] = ridges(self.variables, x, phi[:, self.tells[0].start : -1],
                                                   self.much * self.config.ridge)  # fmt: skip
        for one, own in zip(self.variables, self.outputs, strict=True):
            value = one.value(x)
            some = one.kind[value] == 0
            if one.number and bool(some.any()):
                both = torch.cat([phi[some], one.score[value[some], None]], 1)
                moments = both.T @ both / len(both)
                for m in range(len(self.rank)):
                    self._line(m, own.stop - 2, sieve[m, :, own.stop - 2], moments, len(both))

    def _choose(self, x: Tensor, told: Tensor) -> None:
        """Take in the factors of all scores, and which traits each column hears beside what these say."""
        n, first = len(x), self.tells[0].start
        self.spread.copy_(torch.stack([one.score[one.value(x)] for one in self.variables]).square().mean(1).sqrt())
        self.spread.clamp_min_(LEAST)
        z, fold, phi = self.scores(x), fold_of(x), self.traits(x, told)
        self.factors.learn(z, fold, self.rank)
        hat = self.factors.forecast(z, self.rank, fold)
        for t, (one, own) in enumerate(zip(self.variables, self.outputs, strict=True)):
            if one.number:
                self.base[:, own.stop - 2] = self.spread[t]
            else:
                for m in range(len(self.rank)):
                    self._curve(m, t, hat[m, :, t], one.value(x))
        owner, of = self.owner[: self.wide].clone(), torch.arange(first, self.wide, device=x.device)
        if n * self.wide**2 > WORK:  # of very many, each is told by its score alone
            of = torch.tensor([own.start for own in self.tells], device=x.device)
        hat, said = hat.mean(0)[:, owner[of]], phi[:, of]
        said = said - hat * (said * hat).sum(0) / hat.square().sum(0).clamp_min(EDGE)
        square = related(phi, said, owner[of], len(self.variables))
        owner[:first] = -1
        chance = 2 * math.log(self.wide**2 / len(self.variables)) / max(1, n)
        self.heard.copy_(strongest(square, self.rank, owner, self.heard.shape[2], chance))

    def _curve(self, m: int, t: int, hat: Tensor, value: Tensor) -> None:
        """Begin a category as if its scores s were normal around what factors say, m (n,), with what that leaves, c:
        log p(v) = log p_v + share (s_v m / c - s_v^2 (1 / c - 1) / 2), for the share that is likeliest of its values.
        """
        own, score = self.outputs[t], self.variables[t].score / self.spread[t]
        rest = float((score[value] - hat).square().mean().clamp_min(LEAST))
        bent = -score.square() * (1 / rest - 1) / 2
        plain, said = self.bias[m, own][:-1], hat[:, None] * score / rest + bent  # (n, V)
        share = max(SHARES, key=lambda c: float((plain + c * said).log_softmax(1).gather(1, value[:, None]).mean()))
        self.base[m, own.stop - 1] = share / rest / self.spread[t]
        self.bias[m, own.start : own.stop - 1] += (share * bent).float()

    def scores(self, x: Tensor) -> Tensor:
        """Mean normal scores of rows (B, T), of variance 1: (B, variables)."""
        return torch.stack([one.score[one.value(x)] for one in self.variables], 1).to(self.weight) / self.spread

    def hears(self, x: Tensor, told: Tensor, fold: Tensor | None = None) -> Tensor:
        """What each column hears, of many: (M, variables, 1 + most, B). Rows to learn from are of these folds (B,)."""
        phi = nn.functional.pad(self.traits(x, told), (0, 1)).T.contiguous()
        hat = self.factors.forecast(self.scores(x), self.rank, fold)
        return torch.cat([hat.mT[:, :, None], phi[self.heard]], 2)

    def _line(self, m: int, at: int, heard: Tensor, moments: Tensor, n: int) -> None:
        """Begin a number as a ridge regression of its scores on those traits that are heard, of n rows.

        moments  mean products of traits, 1 and score, side by side: (traits + 2, traits + 2)

        From there on its weights are in units of sigma: a number that follows closely is moved by small steps.
        """
        own = torch.cat([heard.nonzero()[:, 0], torch.tensor([len(heard)], device=heard.device)])
        a, b = moments[own][:, own], moments[own, -1]
        ridge = nn.functional.pad(self.ridge[heard, at].double() / n, (0, 1), value=EDGE)
        sigma, w = moments[-1, -1].sqrt(), b
        for _ in range(SWEEPS):
            w = torch.linalg.solve(a + (sigma.square() * ridge).diag(), b)
            sigma = (moments[-1, -1] - 2 * w @ b + w @ a @ w).clamp_min(math.exp(2 * NARROW)).sqrt()
        self.weight[m, heard, at] = (w[:-1] / sigma).float()
        self.bias[m, at], self.bias[m, at + 1], self.scale[m, at] = w[-1] / sigma, sigma.log(), sigma

    def _lines(self, x: Tensor, told: Tensor) -> None:
        """The same for all numbers at once, of what each hears of many columns and beyond what factors say."""
        numbers = [t for t, one in enumerate(self.variables) if one.number]
        if not numbers:
            return
        some = [self.variables[t] for t in numbers]
        value = torch.stack([one.value(x) for one in some])  # (t, n)
        kind, score = (torch.stack([getattr(one, name)[own] for one, own in zip(some, value, strict=True)])
                       for name in ("kind", "score"))  # fmt: skip
        count, at = (kind == 0).sum(1), torch.tensor([self.outputs[t].stop - 2 for t in numbers], device=x.device)
        hears, n, good = self.hears(x, told, fold_of(x)), count.clamp_min(1)[:, None, None], count > 0
        for m in range(len(self.rank)):
            phi = nn.functional.pad(hears[m, numbers].double(), (0, 0, 0, 2), value=1.0)  # (t, 1 + most + 2, n)
            phi[:, -1] = score - self.base[m, at, None] * phi[:, 0]
            phi *= (kind == 0)[:, None]
            w, sigma = lines(phi @ phi.mT / n, self.ridge[0] / n[:, 0, 0])
            self.weight[m][:, at[good]] = (w[:, :-1] / sigma[:, None])[good].T.float()
            self.bias[m, at[good]] = (w[:, -1] / sigma)[good].float()
            self.bias[m, at[good] + 1] = sigma.log()[good].float()
            self.scale[m, at[good]] = sigma[good].float()

    def sieve(self) -> Tensor:
        """Which traits each output hears, those of what comes before it: (M, traits, outputs)."""
        hears, first = self.owner[self.wide :], self.tells[0].start
        if self.sparse:
            heard = nn.functional.pad(self.heard < self.wide, (1, 0), value=True)[:, hears].mT.to(self.weight.dtype)
        else:
            before = self.rank[:, :, None] < self.rank[:, None, :]  # (M, variables, variables)
            told = self.owner[first : self.wide]
            heard = before.index_select(1, told).index_select(2, hears).to(self.weight.dtype)
        heard[:, :, [own.stop - 1 for own, one in zip(self.outputs, self.variables, strict=True) if one.number]] = 0
        whole = self.sparse or not first
        return heard if whole else torch.cat([heard.new_ones(len(heard), first, heard.shape[2]), heard], 1)

    def _told(self, given: Mapping[str, Tensor], n: int) -> Tensor:
        return self.labels.traits(given, n).to(self.weight)

    def each(self, x: Tensor, told: Tensor, fold: Tensor | None = None) -> Tensor:
        """log p_m(x) by each order, of rows (B, T) all of whose cells are known: (M, B), double."""
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.linear()
            if self.sparse:
                return self._each_of_many(x, self.hears(x, told, fold), weight, bias)
            out = self.traits(x, told) @ weight + bias[:, None]  # (M, B, outputs)
            parts = zip(self.variables, self.outputs, strict=True)
            return torch.stack([one.log_prob(out[:, :, own], one.value(x)) for one, own in parts]).sum(0)

    def _each_of_many(self, x: Tensor, hears: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The same of what columns hear: those of one size are looked at together."""
        total = torch.zeros(len(self.rank), len(x), dtype=torch.float64, device=x.device)
        for group in self.alike:
            some = [self.variables[t] for t in group]
            at = torch.tensor([list(range(self.outputs[t].start, self.outputs[t].stop)) for t in group])
            w, b = weight[:, :, at].permute(0, 2, 3, 1), bias[:, at][..., None]  # (M, t, outputs, traits), (.., 1)
            own = hears if len(group) == hears.shape[1] else hears[:, group]
            total = total + log_laws(some, (w @ own + b).mT, x).sum(1)
        return total

    def traits(self, x: Tensor, told: Tensor) -> Tensor:
        """All that rows (B, T) tell, those of the classes first: (B, traits)."""
        return torch.cat([told, *(one.traits[one.value(x)] for one in self.variables)], 1)

    def linear(self) -> tuple[Tensor, Tensor]:
        """From traits to outputs: weights (M, traits, outputs), 0 for what is not heard, and biases (M, outputs)."""
        weight = self.own()
        if self.sparse:  # what factors say counts as it is, unless rows say otherwise
            weight = torch.cat([weight[:, :1] + self.base[:, None], weight[:, 1:]], 1)
        return weight, self.bias * self.scale

    def own(self) -> Tensor:
        """Weights that a prior draws to nothing: (M, traits, outputs)."""
        return self.weight * self.sieve() * self.scale[:, None]

    def play(self, batch: Batch) -> Iterator[Move]:
        fold = fold_of(batch.x) if self.training else None
        log_p = self.each(batch.x, self._told(batch.given, len(batch.x)), fold)
        prior = torch.log1p(self.ridge / 2 * self.own().square()).sum() / self.rows
        together = log_p.detach().logsumexp(0) - math.log(len(log_p))
        # each order has the gradient of its own likelihood and prior, and the loss told is that of their mean
        yield Move("model", (-together - (log_p - log_p.detach()).sum(0) + prior - prior.detach()).float())

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; where cells of -1 are to be summed over, by points that are the same for all rows."""
        whole, told = (batch.x >= 0).all(1), self._told(batch.given, len(batch.x))
        log_p = batch.x.new_zeros(len(self.rank), len(batch.x), dtype=torch.float64)
        for rows in chunks(whole.nonzero()[:, 0], self.batch if self.sparse else max(1, len(whole))):
            log_p[:, rows] = self.each(batch.x[rows], told[rows])
        u = uniforms(range(self.config.draws), self.rank.numel(), batch.x.device)
        u = (u.argsort(0).argsort(0) + 0.5) / len(u)  # a Latin hypercube (McKay et al. 1979)
        u, leads = u.view(-1, *self.rank.shape), self._leads(batch.x)
        for rows, draws in ((~whole & leads, 1), (~whole & ~leads, self.config.draws)):
            for part in chunks(rows.nonzero()[:, 0], self._together(draws)):
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
        known, told, made = torch.where(mask, x, -1), self._told(given, len(x)), x.clone()
        free, leads = ~mask.any(1), self._leads(known)
        for rows, draws in ((free, 0), (~free & leads, 1), (~free & ~leads, self.config.draws)):
            for part in chunks(rows.nonzero()[:, 0], self._together(max(1, draws))):
                fill = partial(self._filled, draws=draws) if draws else self._free
                values = fill(known[part], told[part], [seeds[row] for row in part.tolist()])
                found = made[part]
                for one, value in zip(self.variables, values.unbind(1), strict=True):
                    one.write(value, found)
                made[part] = found
        return torch.where(mask, x, made)

    def _together(self, draws: int) -> int:
        """How many rows are drawn at once."""
        most = ROOM if self.sparse else AT_ONCE
        return max(1, most // (draws * max(self.wide, *(one.values for one in self.variables))))

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
        phi = u.new_zeros(*u.shape[:2], self.wide + self.sparse)  # what comes later stays 0, and what is not heard
        phi[:, :, : told.shape[1]] = told[:, None]
        known = phi.new_zeros(*u.shape[:2], self.factors.pull.shape[2]) if self.sparse else phi  # what factors are told
        made, total = torch.empty_like(u, dtype=torch.long), u.new_zeros(u.shape[:2], dtype=torch.float64)
        weight, bias = (one[m] for one in self.linear())
        for t in self.rank[m].argsort().tolist():
            one, (begin, end), hears = self.variables[t], self.variables[t].span(x), self.outputs[t]
            own = phi
            if self.sparse:
                hat = known @ self.factors.push[-1, m, t]
                own = torch.cat([hat[:, :, None], phi[:, :, self.heard[m, t]]], 2)
            made[:, :, t], log_p = one.drawn_within(own @ weight[:, hears] + bias[hears], begin, end, u[:, :, t])
            total = total + log_p
            phi[:, :, self.tells[t]] = one.traits[made[:, :, t]]
            if self.sparse:
                score = (one.score[made[:, :, t]] / self.spread[t]).to(known)
                known = known + score[:, :, None] * self.factors.pull[-1, t]
        return made, total


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """Of many columns each hears no more than so many rows can tell."""
    return {"most": max(4, min(STRONGEST, items // ROWS_EACH)), **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(orders=2))
