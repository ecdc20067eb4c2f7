"""One position through a Transformer without autograd, in as few operations as there are.

At one position the arithmetic is nothing and calling is all, so that modules, reshapes and separate additions cost more
than the products. This computes what nn/causal.py computes; a test holds the two together.

The numbers i and i + d/2 of a query or key, which are turned together, stand side by side here, so that they are one
complex number and turning is one product (Su et al. 2021, eq. 13): the rows of the weights are put in this order, and
so are the keys that are already there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.nn.design import Design

if TYPE_CHECKING:
    from morelike.nn.causal import Transformer
    from morelike.nn.past import Past

Linear = tuple[Tensor, Tensor | None]  # matrix (into, out), bias
Norm = tuple[Tensor | None, Tensor | None]  # gain, bias


class Weights(NamedTuple):
    """What one block multiplies by."""

    skip: Tensor | None
    mix: Tensor | None
    norm1: Norm
    norm2: Norm
    qkv: Linear
    out: Linear
    up: Linear
    down: Linear


def suits(stack: Transformer) -> bool:
    """Whether a stack's blocks are of the usual kind."""
    return stack.design.norm != "rms" and not stack.design.memory and next(stack.parameters()).dtype == torch.float32


def prepared(stack: Transformer) -> list[Weights]:
    """The weights of every block, matrices the other way round, so that products find their numbers in a row."""
    return [_prepared(cast(Any, block), stack.design) for block in stack.blocks]


def _prepared(block: Any, design: Design) -> Weights:
    most, size = 2 * design.width, design.width // design.heads
    qkv, bias = _linear(block.attention.qkv)
    if design.positions == "rope":
        qkv = torch.cat([paired(qkv[:, :most], size), qkv[:, most:]], 1)
        bias = None if bias is None else torch.cat([paired(bias[:most], size), bias[most:]])
    return Weights(
        block.skip, block.attention.mix, _norm(block.norm1), _norm(block.norm2), (qkv, bias),
        _linear(block.attention.out), _linear(block.mlp.up), _linear(block.mlp.down),
    )  # fmt: skip


def paired(x: Tensor, size: int) -> Tensor:
    """The numbers i and i + size/2 side by side: (.., k * size) -> same."""
    return x.unflatten(-1, (-1, 2, size // 2)).mT.flatten(-3)


def added(x: Tensor, y: Tensor, linear: Linear, inside: bool) -> Tensor:
    """x + y W + b, in the place of x or elsewhere."""
    x = x.addmm_(y, linear[0]) if inside else torch.addmm(x, y, linear[0])
    return x if linear[1] is None else x.add_(linear[1])


def mapped(x: Tensor, linear: Linear, out: Tensor) -> Tensor:
    """x W + b."""
    if linear[1] is None:
        return torch.mm(x, linear[0], out=out)
    return torch.addmm(linear[1], x, linear[0], out=out)


class OneStep:
    """(B, width) of one position, which the cache takes in -> (B, width).

    room  positions at most
    """

    def __init__(self, stack: Transformer, room: int) -> None:
        design, scale = stack.design, cast(Any, stack.blocks[0]).attention.scale
        size = design.width // design.heads
        self.design, self.shape, self.size, self.rows = design, (design.width,), (size,), 0
        self.turns = design.positions == "rope"
        # by which queries and keys are multiplied at every position, (2, 1, d/2) each
        sharp = stack.cos.new_tensor([scale, 1.0])[:, None, None]
        self.factors: tuple[Tensor, ...] = room * (sharp,)
        if self.turns:
            cos, sin = (table[:room, 0, :, size // 2 :].contiguous() for table in (stack.cos, stack.sin))
            self.factors = (torch.complex(cos, sin)[:, None] * sharp).unbind(0)
        self.norm = _norm(stack.norm)
        self.blocks = stack.ready()

    def _prepare(self, x: Tensor) -> None:
        """Room for what is computed at one position of so many rows, and views of it."""
        self.rows, width = x.shape
        self.qkv = [x.new_empty(self.rows, 3 * width) for _ in range(2)]  # of the first block, and of the others
        parts = [one.view(self.rows, 3, -1, *self.size) for one in self.qkv]
        self.qk, self.v = [one[:, :2] for one in parts], [one[:, 2] for one in parts]
        self.h = x.new_empty(self.rows, self.blocks[0].up[0].shape[1])
        self.heads = x.new_empty(self.rows * self.design.heads, 1, *self.size)
        self.y = self.heads.view(self.rows, width)

    def __call__(self, x: Tensor, past: Past) -> Tensor:
        if len(x) != self.rows:
            self._prepare(x)
        x0, shape, first = x, self.shape, self.v[0]
        unseen = None if past.there is None else past.unseen()
        factor = self.factors[past.length]
        for number, (w, q, keys, values, slot, value) in enumerate(zip(self.blocks, *past.opened(), strict=True)):
            if w.skip is not None:
                x = x.addcmul_(x0, w.skip)
            at = int(number > 0)
            mapped(torch.layer_norm(x, shape, *w.norm1), w.qkv, self.qkv[at])
            self._write(self.qk[at], factor, slot)
            value.copy_(self.v[at]) if w.mix is None else torch.lerp(self.v[at], first, w.mix, out=value)
            scores = torch.bmm(q, keys)  # (B heads, 1, L)
            if unseen is not None:
                scores += unseen
            torch.bmm(scores.softmax(-1), values, out=self.heads)
            x = added(x, self.y, w.out, number > 0)
            h = mapped(torch.layer_norm(x, shape, *w.norm2), w.up, self.h)
            x = added(x, self._hidden(h), w.down, True)
        past.length += 1
        return torch.layer_norm(x, shape, *self.norm)

    def _write(self, qk: Tensor, factor: Tensor, slot: Tensor) -> None:
        """Queries and keys (B, 2, heads, d), normalised, turned and scaled, into their places in the cache."""
        if self.design.qk_norm:
            qk = torch.layer_norm(qk, self.size)
        torch.mul(qk.view(torch.complex64) if self.turns else qk, factor, out=slot)

    def _hidden(self, h: Tensor) -> Tensor:
        if self.design.mlp == "relu2":
            return h.relu_().square_()
        if self.design.mlp == "gelu":
            return F.gelu(h, approximate="tanh")
        gate, h = h.chunk(2, -1)
        return F.silu(gate).mul_(h)


def _linear(one: nn.Linear) -> Linear:
    return one.weight.t().contiguous(), one.bias


def _norm(one: nn.Module) -> Norm:
    return getattr(one, "weight", None), getattr(one, "bias", None)
