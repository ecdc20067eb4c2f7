"""Every cell of a table's row by trees that look at the cells before it: exact likelihood, and close dependence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Count, Spec
from morelike.nn.cart import Limits, Tree, grow, seen
from morelike.nn.evenly import even
from morelike.nn.rows import cells, chunks, drawn, uniforms
from morelike.nn.tables import Labels, Tables

PART, FEWEST, MOST = 0.8, 2_000, 20_000  # of the rows from which a tree grows: share of all, and how many
WORK = 12_000_000  # cells that trees look at while they grow
SELDOM = 3.0  # standard deviations by which splits of the second cell of a number have to beat chance
ROOM = 2**24  # numbers in all laws
AT_ONCE = 2**19  # cells of all trees that are looked at together
TRIES, CHANCE = (8, 32, 128), 1 / 256  # draws by which chance may make what is known, and how likely that has to be


@dataclass(frozen=True)
class Config:
    """Settings of a forest.

    width   the one dial of size, which changes nothing here
    trees   for every cell
    leaves  of a tree at most. A run sets it by the number of rows
    least   rows in a leaf
    prior   rows, of the law of what a leaf was split from, that it has seen before
    share   of the cells before it, those that are looked at for a split
    rate    share of what leaves know that comes from the newest batch, at first
    draws   of what is not known of a row, by which it is summed over
    """

    width: Count = 32
    trees: Count = 2
    leaves: Count = 64
    least: Count = 20
    prior: Annotated[float, Field(gt=0)] = 10.0
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    draws: Count = 32


class Model(Family):
    """p(x) = prod_t 1/M sum_m p_m(x_t | leaf of tree m, t that x_1 .. x_t-1 lead to).

    Each tree is grown from most of the rows, and looks at some of the cells at each level (Breiman 2001); that tables
    can be drawn from trees, column by column: Reiter 2005. Of the two of a number, others look at the first; the second
    is nearly even, and split no further than it gains. What leaves hold is learnt from all rows, and smoothed towards
    what they were split from.
    """

    exact = True
    batch = 2048
    examples = 1_000_000
    feature: Tensor
    cut: Tensor
    child: Tensor

    def __init__(self, spec: Spec, config: Config) -> None:
        super().__init__()
        self.sizes = cells(spec, "forest")
        self.spec, self.config, self.labels = spec, config, Labels(spec, "forest")
        t = len(self.sizes)
        self.leaves = max(1, min(config.leaves, ROOM // (config.trees * sum(self.sizes))))
        self.tables = Tables(self.sizes, config.trees * self.leaves, noise=0.1)  # of tree m leaf n is m leaves + n
        for group, law in enumerate(self.tables.laws):
            self.register_buffer(f"behind_{group}", law.detach().exp().half())
        for name, value in (("feature", -1), ("cut", 0), ("child", 0)):
            node = torch.full((config.trees, t, 2 * self.leaves), value, dtype=torch.int16)
            self.register_buffer(name, node)
        for c in range(min(self.labels.count, self.leaves) - 1):  # before rows are seen, each class has its own leaf
            self.feature[:, :, 2 * c], self.cut[:, :, 2 * c], self.child[:, :, 2 * c] = 0, c, 2 * c + 1
            self.child[:, :, 2 * c + 1], self.child[:, :, 2 * c + 2] = c, c + 1
        begins = list(accumulate(spec.columns or (1,) * t, initial=0))
        self.begins = begins
        first = [max(begin for begin in begins if begin <= one) for one in range(t)]  # first cell of its column
        self.seen = [[0, *(1 + s for s in range(one) if s in begins or s >= first[one])] for one in range(t)]
        groups = sorted(set(self.sizes))
        self.place = [(groups.index(size), self.sizes[:at].count(size)) for at, size in enumerate(self.sizes)]

    def optimizers(self) -> dict[str, Optim]:
        return {"model": Optim("em", self.config.rate, schedule="linear", warmup=0.0, cooldown=0.9)}

    @torch.no_grad()
    def begin(self, batches: Iterable[Batch], rows: int) -> None:
        """Grow the trees, and take in what is in their leaves."""
        kept, config = list(batches), self.config
        self.tables.rows.fill_(rows)
        x, y = torch.cat([one.x for one in kept]), torch.cat([self.labels(one.given, len(one.x)) for one in kept])
        told = self.told(x, y.to(x.device)).T.to(torch.uint8).cpu().numpy()  # (1 + T, n)
        random = np.random.default_rng(int(torch.randint(2**31, ())))
        work = config.trees * sum(len(one) for one in self.seen)
        each = min(max(1, round(PART * len(x))), MOST, max(FEWEST, round(WORK / (config.share * work))))
        least, share = max(1, round(config.least * each / len(x))), min(config.share, WORK / (each * work))
        limits = Limits(self.leaves, least, config.prior, share)
        for t, size in enumerate(self.sizes):
            known = np.flatnonzero((value := x[:, t].cpu().numpy()) >= 0)
            value, own = value[known], told[self.seen[t]].take(known, 1)
            limits = replace(limits, gain=0.0 if t in self.begins else by_chance(value, size))
            for m in range(config.trees if len(known) else 0):
                some = random.permutation(len(known))[:each]
                tree = grow(own.take(some, 1), value[some], size, limits, random)
                held = np.bincount(tree.leaf(own) * size + value, minlength=tree.laws.size)
                self._take(m, t, tree, held.reshape(-1, size))

    def _take(self, m: int, t: int, tree: Tree, held: np.ndarray) -> None:
        """Keep tree m of a cell, and in its leaves what they hold of all rows (leaves, V), smoothed."""
        own, (group, place) = np.array(self.seen[t]), self.place[t]
        feature = np.where(tree.feature >= 0, own[tree.feature], -1)
        for to, one in ((self.feature, feature), (self.cut, tree.cut), (self.child, tree.child)):
            to[m, t] = torch.from_numpy(one).short()
        states = slice(m * self.leaves, (m + 1) * self.leaves)
        self.behind(group)[place, states] = torch.from_numpy(tree.behind).half()
        law = torch.from_numpy(held + self.config.prior * tree.behind)
        self.tables.laws[group][place, states] = law.log().log_softmax(1).to(self.feature.device).float()

    def behind(self, group: int) -> Tensor:
        """The laws of what leaves were split from, of cells of one size: (cells, M leaves, size)."""
        return getattr(self, f"behind_{group}")

    def seen_before(self) -> Tensor:
        """Zero, with the gradient of the rows that leaves have seen before."""
        parts = [(law * self.behind(group)).sum() for group, law in enumerate(self.tables.laws)]
        total = self.config.prior * torch.stack(parts).sum() / self.tables.rows
        return total - total.detach()

    def told(self, x: Tensor, y: Tensor) -> Tensor:
        """What trees look at, the class and all cells: (B, 1 + T)."""
        cells_ = zip((y, *x.unbind(1)), (self.labels.count, *self.sizes), strict=True)
        return torch.stack([seen(*one).clamp_min(0) for one in cells_], 1)

    def leaf(self, told: Tensor, m: Tensor, t: Tensor) -> Tensor:
        """Leaves of trees m and cells t, that go together and with (B, 1, 1) rows told (B, 1 + T), as states."""
        base = (m * len(self.sizes) + t) * self.feature.shape[2]
        row = torch.arange(len(told), device=told.device)[:, None, None] * told.shape[1]
        node = base + torch.zeros_like(row)
        feature, cut, child = (one.flatten() for one in (self.feature, self.cut, self.child))
        base, told = base.expand(node.shape), told.flatten()
        while True:
            at = feature[node].long()
            if not bool((at >= 0).any()):
                return child[node].long() + m * self.leaves
            right = told[row + at.clamp_min(0)] > cut[node]
            node = torch.where(at >= 0, base + child[node].long() + right, node)

    def each(self, x: Tensor, y: Tensor, flat: Tensor) -> Tensor:
        """log p_m(x_t | those before it) of known cells, 0 for others: (B, T), (B,) -> (B, M, T)."""
        m, t = torch.arange(self.config.trees, device=x.device)[:, None], torch.arange(x.shape[1], device=x.device)
        state = self.leaf(self.told(x, y), m, t)  # (B, M, T)
        return flat.flatten()[self.tables.places(x)[:, None] * flat.shape[1] + state]

    def log_prob(self, batch: Batch) -> Tensor:
        """(B,) in nats, exact; where cells of -1 are to be summed over, by draws that are the same for all rows."""
        y, flat = self.labels(batch.given, len(batch.x)).to(batch.x.device), self.tables.flat()
        found, whole = flat.new_zeros(len(batch.x)), (batch.x >= 0).all(1)
        for rows in chunks(whole.nonzero()[:, 0], self._together(self.config.trees)):
            each = self.each(batch.x[rows], y[rows], flat)
            found[rows] = (each.logsumexp(1) - math.log(self.config.trees)).sum(1)
        for rows in chunks((~whole).nonzero()[:, 0], self._together(self.config.draws)):
            u = self._numbers([0] * len(rows), self.config.draws, batch.x.device)
            found[rows] = self._walk(batch.x[rows], y[rows], u)[1][:, 0]
        return found

    def play(self, batch: Batch) -> Iterator[Move]:
        y, flat = self.labels(batch.given, len(batch.x)).to(batch.x.device), self.tables.flat()
        n = self._together(self.config.trees)
        each = torch.cat([self.each(*two, flat) for two in zip(batch.x.split(n), y.split(n), strict=True)])
        together = (each.detach().logsumexp(1) - math.log(self.config.trees)).sum(1)
        # each tree has the gradient of its own likelihood, and the loss that is told is that of their mean
        yield Move("model", -together - (each - each.detach()).sum((1, 2)) - self.seen_before())

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        x = torch.full((len(seeds), len(self.sizes)), -1, device=self.tables.rows.device)
        return self.infill(x, x >= 0, seeds, given)

    @torch.no_grad()
    def infill(self, x: Tensor, mask: Tensor, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        """x (B, T) where the mask is true, and drawn given that elsewhere.

        What comes before the last known cell is that of the first of some draws by which chance would have made what is
        known (rejection; von Neumann 1951), or, where that is too unlikely, of one of several, which are chosen again
        at every known cell by how likely it is behind each. The rest is drawn after it.
        """
        made, y = torch.where(mask, x, -1), self.labels(given, len(x)).to(x.device)
        left, rest = (made[:, 1:] >= 0).any(1).nonzero()[:, 0], list[Tensor]()
        for turn, draws in enumerate(TRIES, 1):
            left, p = self._tried(made, y, [seed + (turn << 56) for seed in seeds], left, draws)
            rest.append(left[p < CHANCE])
            left = left[p >= CHANCE]
        draws = self.config.draws
        for part in chunks(torch.cat([*rest, left]), self._together(draws)):
            u = self._numbers([seeds[row] - (1 << 56) for row in part.tolist()], draws, x.device)
            made[part] = _chosen(self._walk(made[part], y[part], u)[0], (u[:, -1, 0] * draws).long())
        for part in torch.arange(len(x), device=x.device).split(self._together(1)):
            u = self._numbers([seeds[row] for row in part.tolist()], 1, x.device)
            made[part] = self._walk(made[part], y[part], u, choose=False, whole=True)[0][:, 0]
        return torch.where(mask, x, made)

    def _tried(self, made: Tensor, y: Tensor, seeds: Sequence[int], rows: Tensor, draws: int) -> tuple[Tensor, Tensor]:
        """Draw some rows (R,) of `made` until chance makes what is known, at most so many times; those in which it did
        not, and how likely it was."""
        left, likely = [rows[:0]], [y.new_zeros(0, dtype=torch.float32)]
        for part in chunks(rows, self._together(draws)):
            u = self._numbers([seeds[row] for row in part.tolist()], draws, made.device)
            found, p = self._walk(made[part], y[part], u, choose=False)
            p = p.exp().expand(-1, draws)
            good = u[:, -1, :draws] < p
            kept = good.any(1)
            made[part[kept]] = _chosen(found, good.int().argmax(1))[kept]
            left.append(part[~kept])
            likely.append(p.mean(1)[~kept])
        return torch.cat(left), torch.cat(likely)

    def _together(self, each: int) -> int:
        """How many rows are looked at together, each so many times."""
        return max(1, AT_ONCE // (each * len(self.sizes)))

    def _numbers(self, seeds: Sequence[int], draws: int, device: torch.device) -> Tensor:
        """Numbers in [0, 1) by which rows are drawn: (B, T + 1, 2 draws), the first of the last ones spare."""
        count = len(self.sizes) + 1
        if draws == 1:  # those that choose the values come first, before those that choose the trees
            return even(seeds, 2 * count, device).view(len(seeds), 2, count).flip(1).mT
        return uniforms(seeds, count * 2 * draws, device).view(len(seeds), count, 2 * draws)

    @torch.no_grad()
    def _walk(self, x: Tensor, y: Tensor, u: Tensor, choose: bool = True, whole: bool = False) -> tuple[Tensor, Tensor]:
        """Rows drawn cell by cell up to the last that is known, and the logarithm of how likely what is known is behind
        the draws (a particle filter; Gordon et al. 1993): x (B, T), u (B, T + 1, 2 K) -> (B, K, T), (B, 1).

        choose  draws again at what is known; if not, each goes its own way, and has its own likelihood of what is known
                after the first cell that is not, (B, K)
        whole   go on to the last cell
        """
        (b, t), k, count = x.shape, u.shape[2] // 2, self.config.trees
        told = self.told(x, y)[:, None].repeat(1, k, 1).flatten(0, 1)  # (B K, 1 + T)
        made, total, own = x[:, None].repeat(1, k, 1), u.new_zeros(b, 1), torch.arange(k, device=x.device)
        known = x >= 0
        counts = known if choose else known & ~known.cumprod(1).bool()  # known after what is not
        for at in range(t if whole else 1 + max(known.any(0).nonzero()[:, 0].tolist(), default=-1)):
            group, place = self.place[at]
            law = self.tables.laws[group][place]  # (M leaves, V)
            if not bool(known[:, at].all()):
                which = (u[:, at, :k] * count).long().view(-1, 1, 1)
                value = drawn(law[self.leaf(told, which, torch.tensor(at))[:, 0, 0]].softmax(1), u[:, at, k:].flatten())
                made[:, :, at] = torch.where(known[:, at, None], x[:, at, None], value.view(b, k))
            if bool(counts[:, at].any()):
                state = self.leaf(told, torch.arange(count, device=x.device)[:, None], torch.tensor(at))[:, :, 0]
                p = law[state].softmax(2).mean(1).gather(1, made[:, :, at].reshape(-1, 1)).view(b, k)
                mean = p.mean(1, keepdim=True) if choose else p
                total = total + torch.where(counts[:, at, None], mean.log(), 0)
                if choose:
                    heir = drawn(p[:, None].expand(-1, k, -1), (own + u[:, at, :1]) / k).clamp_max(k - 1)
                    heir = torch.where(known[:, at, None], heir, own)
                    made = made.gather(1, heir[:, :, None].expand(-1, -1, t))
                    told = told.view(b, k, -1).gather(1, heir[:, :, None].expand(-1, -1, t + 1)).flatten(0, 1)
            told[:, 1 + at] = seen(made[:, :, at].flatten(), self.sizes[at])
        return made, total


def _chosen(rows: Tensor, which: Tensor) -> Tensor:
    """One of several rows: (B, K, T), (B,) -> (B, T)."""
    return rows[torch.arange(len(rows), device=rows.device), which]


def by_chance(y: np.ndarray, size: int) -> float:
    """What a split gains that has nothing to do with y (N,) of `size` values, seldom more.

    Of what two parts of the rows say apart, each value brings p (1 - p) in the mean and about 2 p^2 to the variance.
    """
    same = float(((np.bincount(y, minlength=size) / len(y)) ** 2).sum())
    return 1 - same + SELDOM * math.sqrt(2 * same)


def limited(settings: Mapping[str, Any], items: int) -> dict[str, Any]:
    """As many leaves as so many rows can fill."""
    least = settings.get("least", Config.least)
    return {"leaves": max(2, min(1024, items // least)), **settings}


def tiny(spec: Spec) -> Model:
    """A model small enough for contract tests."""
    return Model(spec, Config(trees=2, leaves=4, least=2))
