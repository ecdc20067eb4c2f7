"""What a Transformer remembers while it writes: keys and values of its own past, and of a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from morelike.nn.attention import Cross
from morelike.nn.onestep import OneStep, suits

if TYPE_CHECKING:
    from morelike.nn.causal import Transformer


class Memory(NamedTuple):
    """What a stack may attend to beside its own past: (B, S, width), and which of it is there, bool (B, S)."""

    x: Tensor
    mask: Tensor | None = None


def remember(stack: nn.Module, memory: Memory | None) -> tuple[list[tuple[Tensor, Tensor]], Tensor | None]:
    """Every block's keys and values of a memory, and its mask (B, 1, 1, S)."""
    if memory is None:
        return [], None
    mask = None if memory.mask is None else memory.mask[:, None, None]
    return [part.remember(memory.x) for part in stack.modules() if isinstance(part, Cross)], mask


class Past:
    """Keys and values of every block for the positions read so far: (blocks, B, heads, room, d) each.

    Where positions are read one by one, the queries stand before the keys, so that both are written at once.
    """

    def __init__(self, stack: Transformer, rows: int, room: int, memory: Memory | None) -> None:
        design = stack.design
        self.step = None if torch.is_grad_enabled() or not suits(stack) else OneStep(stack, room)
        shape = (rows, design.heads, room, design.width // design.heads)
        self.queries_keys = stack.cos.new_empty(design.depth, 1 if self.step is None else 2, *shape)
        self.values = stack.cos.new_empty(design.depth, *shape)
        self.memory, self.mask = remember(stack, memory)
        self.there: Tensor | None = None  # (B, room), once some position is not
        self.length, self.room = 0, room
        self.paired = False  # whether keys are in the order of the step
        self.views: tuple[Tensor, ...] = ()

    def extend(self, block: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Take in a block's newest keys and values (B, heads, T, d); returns all of them."""
        keys, values, begin, count = self.queries_keys[block, -1], self.values[block], self.length, k.shape[2]
        keys.narrow(2, begin, count).copy_(k)
        values.narrow(2, begin, count).copy_(v)
        return keys.narrow(2, 0, begin + count), values.narrow(2, 0, begin + count)

    def opened(self) -> tuple[tuple[Tensor, ...], ...]:
        """For one more position, of every block: its queries (B heads, 1, d), all keys (B heads, d, L) and all values
        (B heads, L, d); and places for new queries and keys (B, 2, heads, d), complex where turned, and new values."""
        if not self.views:
            q, k, v = (one.flatten(1, 2) for one in (*self.queries_keys.unbind(1), self.values))
            both = self.queries_keys.transpose(1, 2)
            turns = self.step is not None and self.step.turns
            self.views = q, k.mT, v, both.view(torch.complex64) if turns else both
        q, k, v, both = self.views
        begin, end = self.length, self.length + 1
        return (
            q.narrow(2, begin, 1).unbind(0), k.narrow(3, 0, end).unbind(0), v.narrow(2, 0, end).unbind(0),
            both.select(4, begin).unbind(0), self.values.select(3, begin).unbind(0),
        )  # fmt: skip

    def order(self, pairs: bool) -> None:
        """Put the keys into the order of the step, in which what is turned together stands side by side, or back."""
        if pairs != self.paired and self.step is not None and self.step.turns:
            self.paired, keys = pairs, self.queries_keys[:, -1, ..., : self.length, :]
            halves = keys.unflatten(-1, (2, -1) if pairs else (-1, 2))
            keys.copy_(halves.mT.flatten(-2))

    def unseen(self) -> Tensor:
        """0 for the positions that are there, the next one included, -inf for others: (B heads, 1, L)."""
        assert self.there is not None
        there = self.there[:, : self.length + 1].repeat_interleave(self.values.shape[2], 0)
        return self.values.new_zeros(there.shape).masked_fill_(~there, -torch.inf)[:, None]

    def forget(self) -> None:
        """Begin again with nothing read."""
        self.length, self.there = 0, None

    def select(self, rows: Tensor) -> None:
        self.queries_keys, self.values, self.views = self.queries_keys[:, :, rows], self.values[:, rows], ()
        self.memory = [(k[rows], v[rows]) for k, v in self.memory]
        self.mask = None if self.mask is None else self.mask[rows]
        self.there = None if self.there is None else self.there[rows]
