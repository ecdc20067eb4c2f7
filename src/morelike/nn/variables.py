"""Columns of a table as variables: what a value tells others, and how likely it is given what a regression says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor, nn

from morelike.nn.rows import NEVER, drawn

JOINED = 4096  # values of a number's two cells up to which they are one variable
MASSES, ALONE = 4, 5  # groups of a number that are one value each: how many are told apart, and rows that make one
EDGE, FAR = 1e-9, 100.0  # shares are kept so far from 0 and 1; beyond what a normal number comes to
RARE = 0.1  # added to the spread of what says that a value is there, so that a rare one has less of a say
NARROW = -6.0  # the least log sigma


def paired(sizes: Sequence[int], columns: Sequence[int] | None) -> list[tuple[int, int]]:
    """The cells of each variable, the second -1 where there is none: the two cells of a number are one variable."""
    found, at = list[tuple[int, int]](), 0
    for width in columns or (1,) * len(sizes):
        pair = width == 2 and sizes[at] * sizes[at + 1] <= JOINED
        found += [(cell, cell + 1 if pair else -1) for cell in range(at, at + width, 2 if pair else 1)]
        at += width
    return found


def slices(widths: Sequence[int], first: int = 0) -> tuple[list[slice], int]:
    """Where parts of these widths lie side by side behind the first places, and where the last one ends."""
    ends = list(accumulate(widths, initial=first))
    return [slice(begin, end) for begin, end in pairwise(ends)], ends[-1]


def counted(one: Tensor, two: Tensor, values: int, parts: int) -> Tensor:
    """How often each value of a variable is there: half a row is added to each first cell, one in all to its parts.

    one, two  (n,) cells, -1 for unknown; two is 0 where there is but one -> (values,)
    """
    there = (one >= 0) & (two >= 0)
    counts = torch.bincount(one[there] * parts + two[there], minlength=values).double().view(-1, parts)
    usual = (counts.sum(0) + 0.5) / (counts.sum() + 0.5 * parts)
    within = (counts + usual) / (counts.sum(1, keepdim=True) + 1)
    return ((counts.sum(1, keepdim=True) + 0.5) * within).flatten()


class Variable(nn.Module):
    """One column, of V values: a category, whose classes are its values, or a number in two cells.

    The classes of a number are 0, all values that are an interval of a normal score z, and up to `MASSES` more: first
    cells that are a single value, such as missing, or a mass at 0. Given outputs of a regression, in this order the
    logits l of the classes c, a line r and, of a number, log sigma:

        p(v) = softmax(l + r s)_v                                                                   of a category
        p(v) = softmax(l)_0 [Phi((b_v - r) / sigma) - Phi((a_v - r) / sigma)]                       of a number
        p(v) = softmax(l)_c q_v                                                                     of one of its masses

    where a_v, b_v are such that with r = 0 and sigma = 1 the number has the frequencies of the data. What it tells
    others, `traits` (V, d), are its mean normal score s, and which value it is; of a number s, the second Hermite
    polynomial (s^2 - 1) / sqrt 2, which varies as much, and which of its masses it is.
    """

    traits: Tensor
    kind: Tensor
    low: Tensor
    high: Tensor
    within: Tensor
    score: Tensor
    shares: Tensor

    def __init__(self, sizes: Sequence[int], first: int, second: int) -> None:
        super().__init__()
        self.first, self.second, self.number = first, second, second >= 0
        self.parts = sizes[second] if self.number else 1
        self.values = sizes[first] * self.parts
        self.classes = 1 + MASSES if self.number else self.values
        self.outputs = self.classes + 1 + self.number
        wide = 2 + MASSES if self.number else 1 + self.values
        for name, shape in (("low", self.values), ("high", self.values), ("within", self.values),
                            ("score", self.values), ("shares", self.classes)):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("traits", torch.zeros(self.values, wide))
        self.register_buffer("kind", torch.zeros(self.values, dtype=torch.long))
        kind = self.kind if self.number else torch.arange(self.values)
        self._take(torch.ones(self.values, dtype=torch.float64), kind)

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        """Take in how often each value is there, and which of a number's first cells are one value: x (n, T)."""
        one = x[:, self.first]
        two = x[:, self.second] if self.number else torch.zeros_like(one)
        count = counted(one, two, self.values, self.parts)
        if not self.number:
            self._take(count, torch.arange(self.values, device=x.device))
            return
        seen = torch.bincount((one * self.parts + two)[(one >= 0) & (two >= 0)], minlength=self.values)
        seen = seen.view(-1, self.parts)
        often = seen.sum(1) * (((seen > 0).sum(1) == 1) & (seen.sum(1) >= ALONE))
        most = often.argsort(descending=True, stable=True)[:MASSES]
        most = most[often[most] > 0]
        if int(seen.sum()) == int(often[most].sum()):  # nothing would be left for the score
            most = most[1:]
        kind = torch.zeros(len(seen), dtype=torch.long, device=x.device)
        kind[most] = torch.arange(1, len(most) + 1, device=x.device)
        self._take(count, kind.repeat_interleave(self.parts))

    def _take(self, count: Tensor, kind: Tensor) -> None:
        """All that follows from how often each value is there, (V,), and of which class it is, (V,)."""
        device = count.device
        p = count / count.sum()
        shares = torch.zeros(self.classes, dtype=p.dtype, device=device).index_add_(0, kind, p)
        free = torch.where(kind == 0, p, 0.0) if self.number else p
        share = free / free.sum()
        ends = torch.cat([share.new_zeros(1), share.cumsum(0)]).clamp(0, 1)
        cut = torch.special.ndtri(ends.clamp(EDGE, 1 - EDGE))
        height = (-cut.square() / 2).exp() / math.sqrt(2 * math.pi)
        score = torch.where(share > 0, (height[:-1] - height[1:]) / share.clamp_min(EDGE), 0.0)
        cut = torch.where(ends <= EDGE, -FAR, torch.where(ends >= 1 - EDGE, FAR, cut))
        inside = (kind == 0) & self.number
        self.low.copy_(torch.where(inside, cut[:-1], -FAR))
        self.high.copy_(torch.where(inside, cut[1:], FAR))
        self.within.copy_(torch.where(inside, 0.0, (p / shares[kind]).log()))
        self.kind.copy_(kind)
        self.score.copy_(score)
        self.shares.copy_(shares)
        hot = nn.functional.one_hot(kind, self.classes).double()[:, self.number :]
        own = shares[self.number :]
        hot = torch.where(own > 0, (hot - own) / (own.sqrt() + RARE), 0.0)
        bent = ((score.square() - 1) / math.sqrt(2) * inside)[:, None]
        self.traits.copy_(torch.cat([score[:, None], *([bent] if self.number else []), hot], 1))

    def starts(self) -> Tensor:
        """Outputs under which it has the frequencies of the data: (outputs,)."""
        logits = torch.where(self.shares > 0, self.shares.log(), NEVER)
        return torch.cat([logits, logits.new_zeros(self.outputs - self.classes)])

    def value(self, x: Tensor) -> Tensor:
        """The values of rows (B, T) in which its cells are known: (B,)."""
        return x[:, self.first] * self.parts + (x[:, self.second] if self.number else 0)

    def span(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first value that rows (B, T) allow, and the one behind the last: all where the first cell is unknown."""
        one = x[:, self.first]
        two = x[:, self.second] if self.number else torch.zeros_like(one)
        begin = one.clamp_min(0) * self.parts + two.clamp_min(0)
        end = begin + torch.where(two >= 0, 1, self.parts)
        return torch.where(one >= 0, begin, 0), torch.where(one >= 0, end, self.values)

    def log_prob(self, out: Tensor, value: Tensor) -> Tensor:
        """log p of values (...) given outputs (..., outputs), double; the shapes before the last are broadcast."""
        kind, low, high, within = (table[value] for table in (self.kind, self.low, self.high, self.within))
        return log_law(out, self.score, kind, low, high, within, self.number)

    def law(self, out: Tensor) -> Tensor:
        """log p of every value given outputs (..., outputs): (..., V)."""
        return self.log_prob(out[..., None, :], torch.arange(self.values, device=out.device))

    def drawn_within(self, out: Tensor, begin: Tensor, end: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Values drawn from `begin` up to, not including, `end` (B,), and log p of being there: both (B, K).

        out (B, K, outputs), u (B, K) in [0, 1)

        Where one value alone is left its own law says all, at a fraction of the cost.
        """
        value, log_p = begin[:, None].expand_as(u).clone(), u.new_empty(u.shape, dtype=torch.float64)
        sure = end - begin == 1
        if bool(sure.any()):
            log_p[sure] = self.log_prob(out[sure], value[sure])
        if not bool(sure.all()):
            law, at = self.law(out[~sure]), torch.arange(self.values, device=out.device)  # (b, K, V)
            there = (at >= begin[~sure, None]) & (at < end[~sure, None])
            law = law.masked_fill(~there[:, None], -torch.inf)
            log_p[~sure], value[~sure] = law.logsumexp(2), drawn(law.softmax(2), u[~sure])
        return value, log_p

    def write(self, value: Tensor, x: Tensor) -> None:
        """Write the cells of values (B,) into rows (B, T)."""
        x[:, self.first] = value // self.parts
        if self.number:
            x[:, self.second] = value % self.parts


def log_law(
    out: Tensor, score: Tensor, kind: Tensor, low: Tensor, high: Tensor, within: Tensor, number: bool
) -> Tensor:
    """log p of one value given outputs (..., outputs), by what a `Variable` has of it (...): double (...).

    score  (..., V) of a category, of all its values
    """
    out = out.double()
    logits = out[..., : out.shape[-1] - 1 - number]
    if not number:
        logits = logits + out[..., -1:] * score
    shape = np.broadcast_shapes(logits.shape[:-1], kind.shape)  # torch's own takes as long as the rest
    log_p = logits.log_softmax(-1).expand(*shape, -1).gather(-1, kind.expand(shape)[..., None])[..., 0]
    if not number:
        return log_p
    scale, line = out[..., -1].clamp_min(NARROW).exp(), out[..., -2]
    between = log_between((low - line) / scale, (high - line) / scale)
    return log_p + torch.where(kind == 0, between, within)


def log_laws(variables: Sequence[Variable], out: Tensor, x: Tensor) -> Tensor:
    """log p of each of some variables of one size in rows x (B, T), given outputs (..., variables, B, outputs):
    (..., variables, B), double."""
    at = torch.stack([one.value(x) for one in variables])
    score, *rest = (
        torch.stack([getattr(one, name) for one in variables]) for name in ("score", "kind", "low", "high", "within")
    )
    kind, low, high, within = (table.gather(1, at) for table in rest)
    return log_law(out, score[:, None], kind, low, high, within, variables[0].number)


def log_between(a: Tensor, b: Tensor) -> Tensor:
    """log(Phi(b) - Phi(a)) for a < b, in both tails: of the two intervals alike by symmetry the one on the left."""
    right = a + b > 0
    a, b = torch.where(right, -b, a), torch.where(right, -a, b)
    low, high = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    return high + torch.log(-torch.expm1((low - high).clamp_max(-1e-12)))
