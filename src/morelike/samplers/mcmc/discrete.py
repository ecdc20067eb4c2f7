"""Gibbs with gradients: the gradient of a discrete density tells which variable is worth changing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

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


class Change(NamedTuple):
    """What variables might become: weights are exp((f(q') - f(q)) / 2) for f = log p, guessed by its slopes.

    each    (C, V, K) log weight of every level of a variable, -inf for the one that it has; (C, V, 1) for bits
    total   (C, V) log weight of a change of the variable
    """

    each: Tensor
    total: Tensor


def changes(grid: Grid, q: Tensor, grad: Tensor) -> Change:
    """The weights of all changes of one variable at q: (C, D)."""
    if grid == Grid():
        half = (0.5 - q) * grad
        return Change(half[:, :, None], half)
    index, slope = grid.index(q)[:, :, None], grid.slopes(grad)
    half = (slope - slope.gather(2, index)) / 2
    half = half.masked_fill(torch.arange(grid.levels, device=grad.device) == index, -torch.inf)
    return Change(half, half.logsumexp(2))


def log_path(change: Change, chosen: Tensor, level: Tensor, used: Tensor) -> Tensor:
    """log probability of changing these variables to these levels, one after another, each at most once: (C,).

    chosen, level, used  (C, R): the variables in their order, their entries of `change.each`, and which of them count
    """
    weight = change.total.gather(1, chosen).masked_fill(~used, -torch.inf)
    kept = torch.where(used, -torch.inf, change.total.gather(1, chosen))
    rest = change.total.scatter(1, chosen, kept).logsumexp(1, keepdim=True)
    left = torch.cat([rest, weight.flip(1)], 1).logcumsumexp(1)[:, 1:].flip(1)  # weight of all that could yet be chosen
    rows = chosen[:, :, None].expand(-1, -1, change.each.shape[2])
    taken = change.each.gather(1, rows).gather(2, level[:, :, None])[:, :, 0]
    return torch.where(used, taken - left, 0.0).sum(1)


def drawn(change: Change, noise: Tensor, u: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Variables, the first ones by the Gumbel trick (Kool et al. 2019), and a level for each: (C, R), (C, R)."""
    chosen = (change.total - noise.log()).topk(most, 1).indices
    if change.each.shape[2] == 1:
        return chosen, torch.zeros_like(chosen)
    options = change.each.gather(1, chosen[:, :, None].expand(-1, -1, change.each.shape[2]))
    reached = options.softmax(2).cumsum(2)
    return chosen, (reached < (1 - u)[:, :, None] * reached[:, :, -1:]).sum(2)


def changed(grid: Grid, q: Tensor, chosen: Tensor, level: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
    """q with these variables changed, and the levels that lead back: (C, D), (C, R)."""
    if grid == Grid():
        return q.scatter(1, chosen, (q.gather(1, chosen) - used.to(q)).abs()), level
    index = grid.index(q)
    before = index.gather(1, chosen)
    return grid.place(index.scatter(1, chosen, torch.where(used, level, before)), q), before


@cache
def jump(grid: Grid, most: int) -> Function:
    """One transition as a function of tensors alone."""

    def run(
        density: Density, q: Tensor, logp: Tensor, grad: Tensor, noise: Tensor, u: Tensor, used: Tensor, v: Tensor
    ) -> tuple[Tensor, ...]:
        change = changes(grid, q, grad)
        chosen, level = drawn(change, noise, u, most)
        new, back = changed(grid, q, chosen, level, used)
        new_logp, new_grad = density.grad(new)
        there = log_path(change, chosen, level, used)
        again = log_path(changes(grid, new, new_grad), chosen, back, used)
        return decided(q, logp, grad, new, new_logp, new_grad, again - there, v)

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
    """Change a variable, drawn from q(q' | q) ~ exp((q' - q) . grad log p(q) / 2), then accept or stay (Grathwohl et
    al. 2021, algorithm 1 and eq. 3); or a path of several, all drawn by one gradient (after Sun et al. 2022, who carry
    the path along as an auxiliary variable). The path back changes the same variables in the same order.

    Gibbs sampling asks each variable in turn, and most want to stay as they are; this asks the gradient which ones want
    to change. How many change is random, from 1 to `flips`: after an even number always, some states are out of reach.

    levels  of each variable: q is floating-point whole numbers, 0 .. levels - 1
    onehot  q is blocks of `levels` noughts with a single one, for levels without an order
    flips   most variables that change in one step, and never more than a quarter of them, for what the gradient says of
            each holds while the others stay; 1 is the algorithm of Grathwohl et al.
    """

    levels: int = 2
    onehot: bool = False
    flips: int = 32

    target: ClassVar[float | None] = None
    gradient: ClassVar[bool] = True
    discrete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        options(self.levels, self.onehot)
        if self.flips < 1:
            raise OptionError(f"flips is {self.flips}", "A whole number from 1", "Leave it out, or say 1")

    def init(self, density: Density, q: Tensor) -> State:
        return begin(density, Grid(self.levels, self.onehot).checked(q), gradient=True)

    def step(self, density: Density, state: State, tuning: Tuning, rng: Generator) -> tuple[State, Info]:
        q, logp, grad = state.q, state.logp, state.grad
        variables = q.shape[1] // (self.levels if self.onehot else 1)
        most = min(self.flips, max(1, variables // 4))
        noise = q.new_empty(len(q), variables).exponential_(generator=rng)
        u = torch.rand(len(q), most + 2, dtype=q.dtype, device=q.device, generator=rng)
        used = torch.arange(most, device=q.device) <= u[:, :1] * most
        run = jump(Grid(self.levels, self.onehot), most)
        q, logp, grad, accept = call(run, density, q, logp, grad, noise, u[:, 2:], used, u[:, 1])
        return State(q, logp, grad), Info(accept, -logp, accept < 0, torch.ones_like(accept))
