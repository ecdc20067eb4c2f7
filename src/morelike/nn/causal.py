"""Stacks of blocks over embedded tokens in which a position sees only what came before it, and their caches.

Every stack has one interface, whether it attends or recurs:

    stack(design)(x, segments, memory)    training: all positions at once, (B, T, width) -> same
    cache = stack.cache(B, room, memory)  writing: room for so many positions
    stack.read(x, cache)                  the next positions, (B, T, width), or one, (B, width) -> same

`segments` (B, T) numbers the documents of a row; nothing passes from one number to another. None: one in each row.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import unknown
from morelike.nn.attention import Attention, Cross, Sight, norm
from morelike.nn.design import Design
from morelike.nn.onestep import Weights, prepared
from morelike.nn.past import Memory, Past, remember

ROPE = 10_000.0  # slowest wave of the rotations, in positions (Su et al. 2021)


class Cache(Protocol):
    """What a stack remembers of the positions it has read."""

    length: int  # positions read so far

    def forget(self) -> None: ...  # begin again with nothing read
    def select(self, rows: Tensor) -> None: ...  # go on with these rows, (n,)


class Stack(Protocol):
    """A stack of blocks, as described above."""

    def __call__(self, x: Tensor, segments: Tensor | None = None, memory: Memory | None = None) -> Tensor: ...
    def cache(self, rows: int, room: int, memory: Memory | None = None) -> Cache: ...
    def read(self, x: Tensor, cache: Cache, segments: Tensor | None = None) -> Tensor: ...


def stack(design: Design) -> nn.Module:
    """The stack (a `Stack`) of a design."""
    if design.net == "transformer":
        return Transformer(design)
    if design.net in ("lstm", "gru"):
        from morelike.nn.recurrence import Recurrent

        return Recurrent(design)
    raise unknown("net", design.net, ("transformer", "lstm", "gru"))


class Perceptron(nn.Module):
    """down(f(up(x))) with f = relu(x)^2 (So et al. 2021), silu(x) x' (Shazeer 2020) or gelu: (.., width) -> same."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        gated = design.mlp == "swiglu"
        hidden = design.hidden or (round(design.width / 6) * 16 if gated else 4 * design.width)
        self.kind = design.mlp
        self.up = nn.Linear(design.width, hidden * (2 if gated else 1), design.bias)
        self.down = nn.Linear(hidden, design.width, design.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)
        if self.kind == "relu2":
            return self.down(h.relu().square())
        if self.kind == "gelu":
            return self.down(F.gelu(h, approximate="tanh"))
        gate, h = h.chunk(2, -1)
        return self.down(F.silu(gate) * h)


class Block(nn.Module):
    """x + s x0, then x + attention(norm(x)), x + cross(norm(x)) if there is a memory, x + mlp(norm(x)).

    x0 are the embedded tokens and s is learned. The last map of every branch starts at zero, so that a new block is
    nearly the identity, however many are stacked.
    """

    def __init__(self, design: Design, block: int) -> None:
        super().__init__()
        self.skip = nn.Parameter(torch.tensor(0.1)) if design.skips and block else None
        self.norm1, self.attention = norm(design.norm, design.width), Attention(design, block)
        self.norm3 = norm(design.norm, design.width) if design.memory else None
        self.cross = Cross(design) if design.memory else None
        self.norm2, self.mlp = norm(design.norm, design.width), Perceptron(design)
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        started(self, design.width)

    def forward(
        self, x: Tensor, x0: Tensor, sight: Sight, first: Tensor | None, past: Past | None,
        memory: tuple[Tensor, Tensor] | None, mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        if self.skip is not None:
            x = torch.addcmul(x, x0, self.skip)
        added, v = self.attention(self.norm1(x), sight, first, past)
        x = x + self.drop(added)
        if self.cross is not None:
            assert self.norm3 is not None and memory is not None, "this stack was built with a memory"
            x = x + self.drop(self.cross(self.norm3(x), memory, mask))
        return x + self.drop(self.mlp(self.norm2(x))), v


def started(block: nn.Module, width: int) -> None:
    """Matrices that keep variance, the last of each branch zero."""
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            last = name.endswith(("out", "down"))
            nn.init.zeros_(module.weight) if last else nn.init.normal_(module.weight, std=width**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Transformer(nn.Module):
    """Pre-norm Transformer over embedded tokens, as a `Stack` (Vaswani et al. 2017)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.positions = nn.Embedding(design.context, design.width) if design.positions == "learned" else None
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(design, block) for block in range(design.depth))
        self.norm = norm(design.norm, design.width)
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        self._turned(design.context)
        self._ready: tuple[object, list[Weights]] = None, []

    def train(self, mode: bool = True) -> Transformer:
        """What is ready for writing is made anew, as weights may be others now."""
        self._ready = None, []
        return super().train(mode)

    def ready(self) -> list[Weights]:
        """The blocks' weights as one step needs them, kept as long as the weights are the same."""
        key = [(p.data_ptr(), 0 if p.is_inference() else p._version) for p in self.parameters()]
        if self._ready[0] != key:
            self._ready = key, prepared(self)
        return self._ready[1]

    def _turned(self, count: int) -> None:
        """Tables of the rotations for at least so many positions: (count, 1, 1, d)."""
        size = self.design.width // self.design.heads
        with torch.inference_mode(False):  # training reads them too
            self._turn(count, size)

    def _turn(self, count: int, size: int) -> None:
        waves = ROPE ** (-torch.arange(size // 2) / max(1, size // 2))
        angles = torch.outer(torch.arange(count), waves)[:, None, None]
        device = next(self.parameters()).device
        self.register_buffer("cos", torch.cat([angles.cos()] * 2, -1).to(device), persistent=False)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], -1).to(device), persistent=False)

    def forward(self, x: Tensor, segments: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """(B, T, width) -> same."""
        mask = None
        if segments is not None:
            mask = (segments[:, :, None] == segments[:, None]).unsqueeze(1)  # (B, 1, T, T)
            mask = mask.tril() if self.design.causal else mask
        x = self._placed(x, 0, segments)
        remembered, heard = remember(self, memory)
        return self._through(x, self._sight(0, x.shape[1], mask), None, remembered, heard)

    def cache(self, rows: int, room: int, memory: Memory | None = None) -> Past:
        if room > len(self.cos):
            self._turned(room)
        return Past(self, rows, room, memory)

    def read(self, x: Tensor, cache: Past, segments: Tensor | None = None) -> Tensor:
        """The next positions, (B, T, width), or one, (B, width) -> same. Negative `segments` are padding, which nothing
        else attends to; it may stand before the first position only."""
        if x.ndim == 2:
            return self._read_one(x, cache)
        if x.shape[1] == 1 and segments is None:
            return self._read_one(x[:, 0], cache)[:, None]
        return self._read_many(x, cache, segments)

    def _read_one(self, x: Tensor, cache: Past) -> Tensor:
        if cache.step is None or torch.is_grad_enabled():
            return self._read_many(x[:, None], cache, None)[:, 0]
        cache.order(True)
        if self.positions is not None:
            x = self._placed(x[:, None], cache.length, None, cache.there)[:, 0]
        return cache.step(x, cache)

    def _read_many(self, x: Tensor, cache: Past, segments: Tensor | None) -> Tensor:
        cache.order(False)
        begin, end, mask = cache.length, cache.length + x.shape[1], None
        if segments is not None:
            cache.there = torch.ones(len(x), cache.room, dtype=torch.bool, device=x.device)
            cache.there[:, begin:end] = segments >= 0
        if cache.there is not None or (begin and end - begin > 1):
            order = torch.arange(end, device=x.device)
            mask = (order <= order[begin:, None])[None, None]  # (1, 1, T, S)
            if cache.there is not None:  # padding sees itself, so that it has something to attend to
                mask = (mask & cache.there[:, None, None, :end]) | (order == order[begin:, None])
        x = self._placed(x, begin, segments, cache.there)
        sight = self._sight(begin, end, mask)._replace(causal=mask is None and end - begin > 1)
        x = self._through(x, sight, cache, cache.memory, cache.mask)
        cache.length = end
        return x

    def _placed(self, x: Tensor, begin: int, segments: Tensor | None, there: Tensor | None = None) -> Tensor:
        """With learned positions, which count from the beginning of each document."""
        if self.positions is not None:
            place = torch.arange(begin, begin + x.shape[1], device=x.device).expand(x.shape[:2])
            if there is not None:
                place = (place - (~there).sum(1, keepdim=True)).clamp_min(0)
            elif segments is not None:
                new = F.pad(segments[:, 1:] != segments[:, :-1], (1, 0))
                place = place - torch.where(new, place, 0).cummax(1).values
            x = x + self.positions(place)
        return self.drop(x)

    def _sight(self, begin: int, end: int, mask: Tensor | None) -> Sight:
        if self.design.positions != "rope":
            return Sight(None, mask, mask is None and self.design.causal)
        if end > len(self.cos):
            self._turned(2 * end)
        return Sight((self.cos[begin:end], self.sin[begin:end]), mask, mask is None and self.design.causal)

    def _through(
        self, x: Tensor, sight: Sight, past: Past | None, memory: list[tuple[Tensor, Tensor]], mask: Tensor | None
    ) -> Tensor:
        x0, first = x, None
        for number, block in enumerate(self.blocks):
            x, v = block(x, x0, sight, first, past, memory[number] if memory else None, mask)
            first = v if first is None else first
        return self.norm(x)
