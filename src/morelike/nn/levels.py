"""What the cells of a series amount to: the numbers of its columns so far, which a net sees beside the cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FAR = 6.0  # standard deviations beyond which a number is no farther for the net
RIDGE = 1e-6  # of the variance, so that numbers that follow from others are no trouble
BACK, MOST = 3, 160  # steps before that are seen beside this one, and numbers of all these steps


@dataclass(frozen=True)
class Cell:
    """What a cell says of a number z, on the scale of its column.

        z = v + constant + sum_i w_i z_i + curve(z)   or   v + the largest (bound 1) or least (bound -1) of all z_i

    number  which; -1: of none
    step    of the series; behind the last one, cells are of the first step again
    values  (V,) v by cell, or (U, V) by the cell before and this one; NaN leaves the number as it was
    terms   (number, steps before, w) of each z_i; none: z = v
    curve   of the first J of these z, or None
    """

    number: int = -1
    step: int = 0
    values: Tensor = torch.zeros(0)
    terms: tuple[tuple[int, int, float], ...] = ()
    constant: float = 0.0
    bound: int = 0
    curve: Curve | None = None


@dataclass(frozen=True)
class Curve:
    """Products of b = M z + s, kept within [-1, 1]: c = sum_k v_k prod_f b_(i_kf), where b_0 = 1.

    mix      M (J, J), and `shift`, s (J,)
    factors  i (K, F), and `weights`, v (K,)
    """

    mix: Tensor
    shift: Tensor
    factors: Tensor
    weights: Tensor

    def value(self, z: Tensor) -> Tensor:
        """c (B,) of z (J, B)."""
        b = (self.mix @ z + self.shift[:, None]).clamp(-1, 1)
        return self.weights @ F.pad(b, (0, 0, 1, 0), value=1.0)[self.factors].prod(1)


class Levels(nn.Module):
    """Numbers (K,) of this step of a window and of up to three before, apart from one another: u = L^-1 (z - m), where
    L L' is the covariance of all these z, the oldest first (Cholesky whitening, Kessy et al. 2018). So a small
    difference between two columns, or a small change of a change, is as plain as a level.

    cells   (T,) what each says
    starts  (K,) each number before anything is said
    steps   how many the series has
    free    (T,) whether all values of each are equally likely, so that nothing of them is learnt
    dates   int64 (values of each of the first cells .., steps, D): what these cells, which tell when a window begins,
            say of when each step is, such as hour and weekday, each a number below `dates.max() + 1`; u has a 1 for
            each behind the numbers, so that no net has to count the hours

    All z that there ever are of a window, K at first and one for each cell that says something, are in one list. Of
    each cell, `_before` tells what was known of its number, `_after` which of them (K,) are known behind it, `_terms`
    to which it refers, and `_seen` which (S K,) of S steps a net sees before it: where there are fewer steps, the first
    one again. `_told` are those of this step that are said already; u of the others is 0. `_ends` are those of S whole
    steps.
    """

    mean: Tensor
    whiten: Tensor
    _known: Tensor
    _sight: Tensor
    _fresh: Tensor
    _step: Tensor
    dates: Tensor

    def __init__(
        self, cells: Sequence[Cell], starts: Sequence[float], steps: int, free: Sequence[bool] = (),
        dates: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.free = tuple(free) or (False,) * len(cells)
        self.cells, self.starts, self.steps = tuple(cells), tuple(starts), steps
        self.back = max(0, min(BACK, steps - 1, MOST // max(1, len(starts)) - 1))
        size = (self.back + 1) * len(starts)
        dates = torch.zeros(steps, 0, dtype=torch.long) if dates is None else dates
        self.begin, self.kinds = dates.dim() - 2, int(dates.max()) + 1 if dates.numel() else 0
        self.count = size + self.kinds  # of u
        self.missing = tuple(bool(one.values.isnan().any()) for one in cells)
        self._terms, self._before, self._after = list[list[int]](), list[int](), list[list[int]]()
        self._seen, self._told, self._ends = list[list[int]](), list[list[bool]](), list[list[int]]()
        self._settle()
        self.register_buffer("mean", torch.tensor(self.starts).repeat(self.back + 1))
        self.register_buffer("whiten", torch.eye(size))
        at = [one.step % steps for one in cells]
        self.register_buffer("dates", dates, persistent=False)
        for name, kept in (("_known", self._after), ("_sight", self._seen), ("_fresh", self._told), ("_step", at)):
            self.register_buffer(name, torch.tensor(kept), persistent=False)
        for place, one in enumerate(cells):
            self.register_buffer(f"values{place}", one.values.float(), persistent=False)
            self.register_buffer(f"weights{place}", torch.tensor([w for *_, w in one.terms]), persistent=False)

    def _settle(self) -> None:
        """Find for each cell what is known before and after it, and to what it refers."""
        now = list(range(len(self.starts)))
        past, first, at, size, told = [now], now, 0, len(now), [False] * len(now)
        for one in self.cells:
            if one.step != at:
                self._ends += [self._row(past[:at], now)] if self.back <= at < self.steps else []
                first = now if at == 0 else first
                past, at = [now, *past], one.step
                now, told = first if at == self.steps else now, [at == self.steps] * len(now)
            older = past[:at] if at < self.steps else []
            self._seen.append(self._row(older, now))
            self._told.append([True] * (self.back * len(now)) + told)
            self._terms.append([past[min(back, len(past)) - 1][n] if back else now[n] for n, back, _ in one.terms])
            self._before.append(now[one.number])
            if one.number >= 0:
                now, size = [size if n == one.number else z for n, z in enumerate(now)], size + 1
                told = [known or n == one.number for n, known in enumerate(told)]
            self._after.append(now)
        self._ends += [self._row(past[:at], now)] if self.back <= at < self.steps else []

    def _row(self, past: Sequence[list[int]], now: list[int]) -> list[int]:
        """Places of the numbers of some steps, the oldest first, in the list of all: (S K,)."""
        shown = [now, *past][: self.back + 1]
        shown += shown[-1:] * (self.back + 1 - len(shown))
        return [at for step in reversed(shown) for at in step]

    @torch.no_grad()
    def learn(self, windows: Iterable[Tensor]) -> None:
        """Take m and L from the cells (B, T) of some windows, from what is known at the end of each step."""
        z = torch.cat([self._list(one)[:, torch.tensor(self._ends)].flatten(0, 1) for one in windows]).double()
        scale = z.std(0).clamp_min(1e-30)
        tied = torch.cov((z / scale).T).view(len(scale), -1) + RIDGE * torch.eye(len(scale), device=z.device)
        self.mean.copy_(z.mean(0))
        self.whiten.copy_(torch.linalg.inv(torch.linalg.cholesky(tied) * scale[:, None]))

    def _list(self, x: Tensor) -> Tensor:
        """All z of windows by their first t cells: (B, t) -> (B, numbers)."""
        walk = Walk(self, len(x))
        for one in x.unbind(1):
            walk.read(one)
        return torch.stack(walk.list, 1)

    @torch.no_grad()
    def raw(self, x: Tensor) -> Tensor:
        """z of this step after each of the first t cells of windows, -1 for unknown ones: (B, t) -> (B, t, K)."""
        return self._list(x)[:, self._known[: x.shape[1]]]

    def seen(self, z: Tensor, told: Tensor) -> Tensor:
        """u (.., S K) of numbers z (.., S K), where they are told (S K,)."""
        return ((z - self.mean) @ self.whiten.T).clamp(-FAR, FAR) * told

    def dated(self, begun: Tensor, steps: Tensor) -> Tensor:
        """A 1 for all that is told of when some steps are, by the first cells: (B, cells), (A,) -> (B, A, kinds)."""
        own = self.dates[tuple(begun.clamp_min(0).unbind(1))] if self.begin else self.dates.expand(len(begun), -1, -1)
        own = own[:, steps]  # (B, A, D)
        return self.mean.new_zeros(*own.shape[:2], self.kinds).scatter_(2, own, 1.0)

    @torch.no_grad()
    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """u before some cells of windows, zeros until they have begun: (B, T), (A,) -> (B, A, u)."""
        with torch.autocast(x.device.type, enabled=False):
            u = self.seen(self._list(x[:, :-1])[:, self._sight[places]], self._fresh[places])
            u = torch.cat([u, self.dated(x[:, : self.begin], self._step[places])], 2)
            return u * (places >= max(1, self.begin))[:, None]

    def walk(self, rows: int) -> Walk:
        """A walk through so many windows, cell by cell."""
        return Walk(self, rows)


class Walk:
    """The numbers of some windows (B,), one cell after another."""

    def __init__(self, levels: Levels, rows: int) -> None:
        self.levels, self.place, self.last = levels, 0, torch.zeros(0)
        self.begun = list[Tensor]()
        self.list = [levels.mean.new_full((rows,), start) for start in levels.starts]

    def read(self, cell: Tensor) -> None:
        """Take in the next cell (B,); what is behind an end, -1, says nothing that counts."""
        place, levels, own = self.place, self.levels, cell.clamp_min(0)
        one, last = levels.cells[place], self.last
        self.place, self.last = place + 1, own
        if place < levels.begin:
            self.begun.append(own)
        if one.number < 0:
            return
        values = getattr(levels, f"values{place}")
        value = values[own] if values.dim() == 1 else values[last, own]
        if one.terms:
            z = torch.stack([self.list[at] for at in levels._terms[place]])  # (terms, B)
            if one.bound:
                value = value + (z.amax(0) if one.bound > 0 else z.amin(0))
            else:
                value = value + one.constant + getattr(levels, f"weights{place}") @ z
            if one.curve is not None:
                value = value + one.curve.value(z[: len(one.curve.mix)])
        if levels.missing[place]:
            value = torch.where(value.isnan(), self.list[levels._before[place]], value)
        self.list.append(value)

    def seen(self) -> Tensor:
        """u before the next cell, zeros until the windows have begun: (B, u)."""
        levels, place = self.levels, self.place
        z = torch.stack([self.list[at] for at in levels._seen[place]], 1)
        if place < max(1, levels.begin):
            return z.new_zeros(len(z), levels.count)
        begun = torch.stack(self.begun, 1) if self.begun else z.new_zeros(len(z), 0, dtype=torch.long)
        dated = levels.dated(begun, levels._step[place : place + 1])[:, 0]
        return torch.cat([levels.seen(z, levels._fresh[place]), dated], 1)
