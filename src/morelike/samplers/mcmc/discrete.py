"""Gibbs with gradients: the gradient of a discrete density tells which variable is worth changing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.graph import Function, call
from morelike.samplers.mcmc.kernel import Density, Info, State, Tuning, begin


@dataclass(frozen=True)
class Grid:
    """V variables of K levels each, as floating-point numbers, so that the density has a gradient with respect to them.

    levels  K
    onehot  False: q is (C, V), whole numbers 0 .. K-1 whose order means something (K = 2: bits). True: q is (C, V K), a
            block of K noughts with a single one for each variable, for levels without an order
    """

    levels: int = 2
    onehot: bool = False

    def index(self, q: Tensor) -> Tensor:
        """Which level each variable has: (C, D) -> (C, V) whole numbers."""
        return q.unflatten(1, (-1, self.levels)).argmax(2) if self.onehot else q.round().long()

    def place(self, index: Tensor, like: Tensor) -> Tensor:
        """The way back: (C, V) -> (C, D)."""
        if not self.onehot:
            return index.to(like)
        return (index[:, :, None] == torch.arange(self.levels, device=like.device)).to(like).flatten(1)

    def slopes(self, grad: Tensor) -> Tensor:
        """A linear guess at log p for each level of each variable, up to a constant for each: (C, D) -> (C, V, K)."""
        if self.onehot:
            return grad.unflatten(1, (-1, self.levels))
        return grad[:, :, None] * torch.arange(self.levels, dtype=grad.dtype, device=grad.device)

    def checked(self, q: Tensor) -> Tensor:
        """The same q: (C, D), or an error where it is none of these."""
        fits = not self.onehot or q.shape[1] % self.levels == 0
        if not fits or not q.is_floating_point() or not torch.equal(q, self.place(self.index(q), q)):
            kind = f"blocks of {self.levels} noughts with a single one" if self.onehot else "whole numbers"
            raise OptionError(
                f"The chains start at {q.dtype} numbers such as {q[0, : self.levels].tolist()}",
                f"Floating-point {kind}" + ("" if self.onehot else f" from 0 to {self.levels - 1}"),
                f"Start them so, or say how many levels a variable has (it is levels={self.levels})",
            )
        if not self.onehot and not ((q >= 0) & (q < self.levels)).all():
            raise OptionError(
                f"The chains start at numbers from {float(q.min()):g} to {float(q.max()):g}",
                f"Whole numbers from 0 to {self.levels - 1}",
                f"Say levels={int(q.max()) + 1}, or count from 0",
            )
        return q


def options(levels: int, onehot: bool) -> Grid:
    """The grid of these options, checked."""
    if levels < 2:
        raise OptionError(f"levels is {levels}", "A whole number from 2", "Say how many levels a variable has")
    return Grid(levels, onehot)


def pick(logits: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """One entry of each row with probability softmax(logits), by inversion, and its log: (C, n), (C,) in (0, 1]."""
    top = logits.max(1, keepdim=True).values
    reached = (logits - top).exp().cumsum(1)
    total = reached[:, -1:]
    choice = (reached < u[:, None] * total).sum(1, keepdim=True)
    return choice[:, 0], (logits.gather(1, choice) - top - total.log())[:, 0]


def changes(grid: Grid, q: Tensor, grad: Tensor) -> Tensor:
    """(f(q') - f(q)) / 2 of every change of one variable, guessed by the slopes: (C, n).

    Bits have one change each; variables of K levels have K, of which staying is given -inf.
    """
    if grid == Grid():
        return (0.5 - q) * grad
    index, slope = grid.index(q)[:, :, None], grid.slopes(grad)
    half = (slope - slope.gather(2, index)) / 2
    return half.masked_fill(torch.arange(grid.levels, device=grad.device) == index, -torch.inf).flatten(1)


def changed(grid: Grid, q: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """q after a change, and which change leads back: (C, D), (C,) -> (C, D), (C,)."""
    if grid == Grid():
        here = torch.arange(q.shape[1], device=q.device) == choice[:, None]
        return torch.where(here, 1 - q, q), choice
    index, variable = grid.index(q), (choice // grid.levels)[:, None]
    here = torch.arange(index.shape[1], device=q.device) == variable
    back = variable * grid.levels + index.gather(1, variable)
    return grid.place(torch.where(here, (choice % grid.levels)[:, None], index), q), back[:, 0]


@cache
def flip(grid: Grid) -> Function:
    """One transition as a function of tensors alone."""

    def run(density: Density, q: Tensor, logp: Tensor, grad: Tensor, u: Tensor) -> tuple[Tensor, ...]:
        choice, there = pick(changes(grid, q, grad), 1 - u[0])
        new, back = changed(grid, q, choice)
        new_logp, new_grad = density.grad(new)
        log_q = torch.log_softmax(changes(grid, new, new_grad), 1)
        again = log_q.gather(1, back[:, None])[:, 0]
        return decided(q, logp, grad, new, new_logp, new_grad, again - there, u[1])

    return run


def decided(
    q: Tensor, logp: Tensor, grad: Tensor, new: Tensor, new_logp: Tensor, new_grad: Tensor, log_q: Tensor, u: Tensor
) -> tuple[Tensor, ...]:
    """Metropolis-Hastings among tensors: the next q, logp, grad, and the probability; log_q: backwards - forwards."""
    accept = (new_logp - logp + log_q).clamp_max(0).exp().nan_to_num(0.0)
    yes = u < accept
    row = yes[:, None]
    return torch.where(row, new, q), torch.where(yes, new_logp, logp), torch.where(row, new_grad, grad), accept


@dataclass(frozen=True)
class Kernel:
    """Change one variable, drawn from q(q' | q) ~ exp((q' - q) . grad log p(q) / 2), then accept or stay (Grathwohl et
    al. 2021, algorithm 1 and eq. 3).

    Gibbs sampling asks each variable in turn, and most want to stay as they are; this asks the gradient which one wants
    to change, for the price of one gradient.

    levels  of each variable: q is floating-point whole numbers, 0 .. levels - 1
    onehot  q is blocks of `levels` noughts with a single one, for levels without an order
    flips   such changes in one step
    """

    levels: int = 2
    onehot: bool = False
    flips: int = 1

    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        options(self.levels, self.onehot)
        if self.flips < 1:
            raise OptionError(f"flips is {self.flips}", "A whole number from 1", "Leave it out for one")

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, Grid(self.levels, self.onehot).checked(q), gradient=True)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        run, total = flip(Grid(self.levels, self.onehot)), torch.zeros_like(state.logp)
        u = torch.rand(self.flips, 2, len(total), dtype=total.dtype, device=total.device, generator=rng)
        q, logp, grad = state.q, state.logp, state.grad
        assert grad is not None
        for one in u:
            q, logp, grad, accept = call(run, density, q, logp, grad, one)
            total = total + accept
        calm = torch.zeros_like(total, dtype=torch.bool)
        info = Info(total / self.flips, -logp, calm, torch.full_like(total, self.flips))
        return State(q, logp, grad), info
