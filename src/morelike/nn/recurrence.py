"""Recurrent stacks over embedded tokens, with the interface of nn/causal.py: the cache is the state."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from morelike.nn.attention import Cross, norm
from morelike.nn.causal import Memory, remember, started
from morelike.nn.design import Design
from morelike.nn.layers import takes_half


class State:
    """The last states of every layer, (1, B, width) each: two for an LSTM, one for a GRU; None at first."""

    def __init__(self, layers: int, remembered: list[tuple[Tensor, Tensor]], mask: Tensor | None) -> None:
        self.layers: list[tuple[Tensor, ...] | None] = [None] * layers
        self.memory, self.mask, self.length = remembered, mask, 0

    def forget(self) -> None:
        self.layers, self.length = [None] * len(self.layers), 0

    def select(self, rows: Tensor) -> None:
        self.layers = [None if one is None else tuple(part[:, rows] for part in one) for one in self.layers]
        self.memory = [(k[rows], v[rows]) for k, v in self.memory]
        self.mask = None if self.mask is None else self.mask[rows]


class Pieces:
    """The documents of a batch as rows of their own, since a recurrent net has to begin each of them anew.

    segments  (B, T), a new number where a document begins
    """

    def __init__(self, segments: Tensor) -> None:
        self.shape = segments.shape
        new = F.pad(segments[:, 1:] != segments[:, :-1], (1, 0), value=True).flatten()
        self.row = new.cumsum(0) - 1  # (B T), the piece of every position
        place = torch.arange(len(new), device=new.device)
        self.place = place - place[new][self.row]
        self.lengths = torch.bincount(self.row)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (pieces, longest, width)."""
        out = x.new_zeros(len(self.lengths), int(self.lengths.max()), x.shape[-1])
        return out.index_put((self.row, self.place), x.flatten(0, 1))

    def join(self, x: Tensor) -> Tensor:
        """(pieces, longest, width) -> (B, T, width)."""
        return x[self.row, self.place].unflatten(0, self.shape)


class Layer(nn.Module):
    """x + out(cell(norm(x))), then x + cross(norm(x)) if there is a memory: (B, T, width) -> same."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        kind = nn.LSTM if design.net == "lstm" else nn.GRU
        width = design.width
        self.norm1, self.out = norm(design.norm, width), nn.Linear(width, width, design.bias)
        self.norm3 = norm(design.norm, width) if design.memory else None
        self.cross = Cross(design) if design.memory else None
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        started(self, width)
        size = width if design.causal else width // 2
        self.cell = kind(width, size, batch_first=True, bidirectional=not design.causal)
        self._gates()

    def _gates(self) -> None:
        """Orthogonal recurrence, inputs that keep variance, an LSTM that starts by remembering (Gers et al. 2000)."""
        for name, weight in self.cell.named_parameters():
            if weight.ndim == 1:
                nn.init.zeros_(weight)
                if isinstance(self.cell, nn.LSTM) and "bias_ih" in name:
                    nn.init.ones_(weight.data.chunk(4)[1])
            for gate in weight.chunk(4 if isinstance(self.cell, nn.LSTM) else 3) if weight.ndim == 2 else ():
                (nn.init.orthogonal_ if "_hh_" in name else nn.init.xavier_normal_)(gate)

    def recur(
        self, x: Tensor, state: tuple[Tensor, ...] | None, pieces: Pieces | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(B, T, width) -> same, and the last states."""
        if not takes_half(x):  # torch's LSTM refuses it
            with torch.autocast(x.device.type, enabled=False):
                return self._recur(x.float(), state, pieces)
        return self._recur(x, state, pieces)

    def _recur(
        self, x: Tensor, state: tuple[Tensor, ...] | None, pieces: Pieces | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if pieces is None:
            y, last = self.cell(x, state if state is None or len(state) == 2 else state[0])
            return y, last if isinstance(last, tuple) else (last,)
        x = pieces.split(x)
        if not self.cell.bidirectional:
            return pieces.join(self.cell(x)[0]), ()
        packed = pack_padded_sequence(x, pieces.lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pieces.join(pad_packed_sequence(self.cell(packed)[0], batch_first=True, total_length=x.shape[1])[0]), ()

    def forward(
        self, x: Tensor, state: tuple[Tensor, ...] | None, pieces: Pieces | None,
        memory: tuple[Tensor, Tensor] | None, mask: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
        y, last = self.recur(self.norm1(x), state, pieces)
        x = x + self.drop(self.out(y.to(x.dtype)))
        if self.cross is not None:
            assert self.norm3 is not None and memory is not None, "this stack was built with a memory"
            x = x + self.drop(self.cross(self.norm3(x), memory, mask))
        return x, last


class Recurrent(nn.Module):
    """Residual layers of LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014), as a `Stack`."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.design = design
        self.blocks = nn.ModuleList(Layer(design) for _ in range(design.depth))
        self.norm = norm(design.norm, design.width)
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()

    def forward(self, x: Tensor, segments: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """(B, T, width) -> same."""
        pieces = None if segments is None else Pieces(segments)
        remembered, mask = remember(self, memory)
        x = self.drop(x)
        for number, layer in enumerate(self.blocks):
            x, _ = layer(x, None, pieces, remembered[number] if remembered else None, mask)
        return self.norm(x)

    def cache(self, rows: int, room: int, memory: Memory | None = None) -> State:
        """`room` is not needed: a state has one size, however much was read."""
        return State(len(self.blocks), *remember(self, memory))

    def read(self, x: Tensor, cache: State, segments: Tensor | None = None) -> Tensor:
        """The next positions, (B, T, width), or one, (B, width) -> same. Negative `segments` are padding, which may
        stand before the first position only: the states begin after it."""
        if x.ndim == 2:
            return self.read(x[:, None], cache)[:, 0]
        if segments is not None:
            return self._after_padding(x, cache, segments)
        for number, layer in enumerate(self.blocks):
            memory = cache.memory[number] if cache.memory else None
            x, cache.layers[number] = layer(x, cache.layers[number], None, memory, cache.mask)
        cache.length += x.shape[1]
        return self.norm(x)

    def _after_padding(self, x: Tensor, cache: State, segments: Tensor) -> Tensor:
        """Step by step, with the states set to zero while there is padding."""
        out = []
        for t in range(x.shape[1]):
            out.append(self.read(x[:, t : t + 1], cache))
            keep = (segments[:, t] >= 0)[None, :, None]
            cache.layers = [None if one is None else tuple(part * keep for part in one) for one in cache.layers]
        return torch.cat(out, 1)
