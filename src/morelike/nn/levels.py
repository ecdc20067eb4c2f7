"""What the cells of a series amount to: the numbers of its columns so far, which a net sees beside the cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

FAR = 6.0  # standard deviations beyond which a number is no farther for the net
RIDGE = 1e-4  # of the variance, so that numbers that follow from others are no trouble


@dataclass(frozen=True)
class Cell:
    """What a cell says of a number z, on the scale of its column.

        z = v + constant + sum_i w_i z_i   or   v + the largest (bound 1) or least (bound -1) of all z_i

    number  which; -1: of none
    step    of the series; behind the last one, cells are of the first step again
    values  (V,) v by cell, or (U, V) by the cell before and this one; NaN leaves the number as it was
    terms   (number, steps before, w) of each z_i; none: z = v
    """

    number: int = -1
    step: int = 0
    values: Tensor = torch.zeros(0)
    terms: tuple[tuple[int, int, float], ...] = ()
    constant: float = 0.0
    bound: int = 0


class Levels(nn.Module):
    """Numbers (K,) after each cell of a window, apart from one another: u = L^-1 (z - m), where L L' is the covariance
    of z (Cholesky whitening, Kessy et al. 2018), so that a small difference between two columns is as plain as a level.

    cells   (T,) what each says
    starts  (K,) each number before anything is said
    steps   how many the series has
    lags    steps before to which cells refer, at most
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, cells: Sequence[Cell], starts: Sequence[float], steps: int, lags: int = 1) -> None:
        super().__init__()
        self.cells, self.starts, self.steps, self.lags = tuple(cells), tuple(starts), steps, lags
        self.register_buffer("mean", torch.tensor(self.starts))
        self.register_buffer("whiten", torch.eye(len(starts)))
        for place, one in enumerate(cells):
            self.register_buffer(f"values{place}", one.values.float(), persistent=False)

    @torch.no_grad()
    def learn(self, windows: Iterable[Tensor]) -> None:
        """Take m and L from the cells (B, T) of some windows, without those of the first step that come last."""
        count = sum(one.step < self.steps for one in self.cells)
        z = torch.cat([self.raw(one[:, :count]).flatten(0, 1) for one in windows]).double()
        self.mean = z.mean(0).float()
        cov = torch.cov(z.T).view(len(self.starts), -1)
        scale = cov.diag().clamp_min(1e-30).sqrt()
        tied = cov / scale / scale[:, None] + RIDGE * torch.eye(len(scale), dtype=cov.dtype, device=cov.device)
        root = torch.linalg.cholesky(tied) * scale[:, None]
        self.whiten = torch.linalg.inv(root).float()

    def seen(self, z: Tensor) -> Tensor:
        """u (.., K) of numbers z (.., K)."""
        return ((z - self.mean) @ self.whiten.T).clamp(-FAR, FAR)

    @torch.no_grad()
    def raw(self, x: Tensor) -> Tensor:
        """z after each of the first t cells of windows, -1 for unknown ones: (B, t) -> (B, t, K)."""
        walk = Walk(self, len(x))
        return torch.stack([walk.step(one) for one in x.unbind(1)], 1) if x.shape[1] else walk.numbers()[:, :0]

    def walk(self, rows: int) -> Walk:
        """A walk through so many windows, cell by cell."""
        return Walk(self, rows)

    def forward(self, x: Tensor) -> Tensor:
        """u after each of the first t cells of windows: (B, t) -> (B, t, K)."""
        with torch.autocast(x.device.type, enabled=False):
            return self.seen(self.raw(x))


class Walk:
    """The numbers of some windows, one cell after another."""

    def __init__(self, levels: Levels, rows: int) -> None:
        self.levels, self.place, self.at = levels, 0, 0
        self.now = [levels.mean.new_full((rows,), start) for start in levels.starts]
        self.past: list[list[Tensor]] = []  # the numbers of the steps before, the newest first
        self.first: list[Tensor] = []
        self.last: Tensor | None = None
        self.start = self.numbers()

    def numbers(self) -> Tensor:
        """z now, (B, K)."""
        return torch.stack(self.now, 1)

    def step(self, cell: Tensor) -> Tensor:
        """z after one more cell (B,): (B, K)."""
        one = self.levels.cells[self.place]
        self._reach(one.step)
        if one.number >= 0:
            self.now[one.number] = self._told(one, cell.clamp_min(0), cell < 0)
        self.last, self.place = cell.clamp_min(0), self.place + 1
        return self.numbers()

    def seen(self, cell: Tensor) -> Tensor:
        """u after one more cell (B,): (B, K)."""
        return self.levels.seen(self.step(cell))

    def _reach(self, step: int) -> None:
        """Go to another step of the series, if it is one."""
        if step == self.at:
            return
        if not self.at:
            self.first = list(self.now)
        self.past = [list(self.now), *self.past][: self.levels.lags]
        if step == self.levels.steps:
            self.now = list(self.first)
        self.at = step

    def _told(self, one: Cell, cell: Tensor, unknown: Tensor) -> Tensor:
        values, before = getattr(self.levels, f"values{self.place}"), self.now[one.number]
        value = values[cell] if values.dim() == 1 else values[self.last, cell]
        if one.terms:
            parts = [self.now[n] if not back else self.past[min(back, len(self.past)) - 1][n] if self.past
                     else self.now[n] for n, back, _ in one.terms]  # fmt: skip
            both = torch.stack(parts)  # (terms, B)
            if one.bound:
                value = value + (both.amax(0) if one.bound > 0 else both.amin(0))
            else:
                value = value + one.constant + both.new_tensor([w for *_, w in one.terms]) @ both
        return torch.where(unknown | value.isnan(), before, value)
