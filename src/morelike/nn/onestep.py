"""One position through a Transformer without autograd, in as few operations as there are.

At one position the arithmetic is nothing and calling is all, so that modules, reshapes and separate additions cost more
than the products. This computes what nn/causal.py computes; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from morelike.nn.attention import Sight
    from morelike.nn.causal import Past, Transformer


class Weights(NamedTuple):
    """What one block multiplies by: matrices transposed, (into, out), with their biases."""

    skip: Tensor | None
    mix: Tensor | None
    norm1: tuple[Tensor | None, Tensor | None]
    norm2: tuple[Tensor | None, Tensor | None]
    qkv: tuple[Tensor, Tensor | None]
    out: tuple[Tensor, Tensor | None]
    up: tuple[Tensor, Tensor | None]
    down: tuple[Tensor, Tensor | None]


def suits(stack: Transformer) -> bool:
    """Whether a stack's blocks are of the usual kind."""
    return stack.design.norm != "rms" and not stack.design.memory


def added(x: Tensor, y: Tensor, linear: tuple[Tensor, Tensor | None]) -> Tensor:
    """x + y W + b."""
    x = torch.addmm(x, y, linear[0])
    return x if linear[1] is None else x + linear[1]


def mapped(x: Tensor, linear: tuple[Tensor, Tensor | None]) -> Tensor:
    """x W + b."""
    return torch.mm(x, linear[0]) if linear[1] is None else torch.addmm(linear[1], x, linear[0])


class OneStep:
    """(B, width) of one position, which the cache takes in -> (B, width)."""

    def __init__(self, stack: Transformer) -> None:
        self.design, self.scale = stack.design, cast(Any, stack.blocks[0]).attention.scale
        self.shape = (self.design.width,)
        self.size = (self.design.width // self.design.heads,)
        self.blocks = [self._weights(block) for block in stack.blocks]

    def _weights(self, block: Any) -> Weights:
        def linear(one: nn.Linear) -> tuple[Tensor, Tensor | None]:
            return one.weight.t(), one.bias

        def norm(one: nn.Module) -> tuple[Tensor | None, Tensor | None]:
            return getattr(one, "weight", None), getattr(one, "bias", None)

        return Weights(
            block.skip, block.attention.mix, norm(block.norm1), norm(block.norm2), linear(block.attention.qkv),
            linear(block.attention.out), linear(block.mlp.up), linear(block.mlp.down),
        )  # fmt: skip

    def __call__(self, x: Tensor, sight: Sight, past: Past) -> Tensor:
        x0, first = x, None
        for number, w in enumerate(self.blocks):
            if w.skip is not None:
                x = torch.addcmul(x, x0, w.skip)
            y, v = self._attended(F.layer_norm(x, self.shape, *w.norm1), w, number, first, sight, past)
            first = v if first is None else first
            x = added(x, y, w.out)
            x = added(x, self._hidden(mapped(F.layer_norm(x, self.shape, *w.norm2), w.up)), w.down)
        return x

    def _attended(
        self, x: Tensor, w: Weights, number: int, first: Tensor | None, sight: Sight, past: Past
    ) -> tuple[Tensor, Tensor]:
        """What the heads see of the past, (B, width), and the values before they are mixed."""
        qk, v = mapped(x, w.qkv).view(len(x), 3, self.design.heads, -1).split_with_sizes((2, 1), 1)
        if self.design.qk_norm:
            qk = F.layer_norm(qk, self.size)
        if sight.turn is not None:
            cos, sin = sight.turn
            qk = torch.addcmul(qk * cos, qk.roll(self.size[0] // 2, -1), sin)
        q, k = qk.unsqueeze(3).unbind(1)  # (B, heads, 1, d) each
        v = v.transpose(1, 2)
        mixed = v if w.mix is None or first is None else torch.lerp(v, first, w.mix)
        k, values = past.extend(number, k, mixed)
        y = F.scaled_dot_product_attention(q, k, values, sight.mask, scale=self.scale)
        return y.reshape(len(x), -1), v

    def _hidden(self, h: Tensor) -> Tensor:
        if self.design.mlp == "relu2":
            return h.relu_().square()
        if self.design.mlp == "gelu":
            return F.gelu(h, approximate="tanh")
        gate, h = h.chunk(2, -1)
        return F.silu(gate) * h
