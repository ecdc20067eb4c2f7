"""Cells in fixed places as a net reads them: which it is asked for, in which groups, and what they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.spec import Spec
from morelike.nn.causal import Perceptron, started
from morelike.nn.design import Design
from morelike.nn.rows import Vocabularies


class Cells(nn.Module):
    """The cells (T,) of a row of a table, or of a window of a series, of which a net is asked for A, in G groups.

    A group is a cell of a row, or all cells of one step of a series: the stack reads group after group, and what it
    says of one is told apart cell by cell by a small block, which also sees the cells before within the group (as the
    temporal and the depth model of Lee et al. 2022). Cells that are free, of which all values are equally likely, the
    net is not asked for; of numbers of a series it sees what all cells before, free ones too, add up to.

    `count` is the number of tokens, and stands for a cell that is unknown.
    """

    asked: Tensor  # (A,) places of those that are asked for
    group: Tensor  # (A,) the group of each
    first: Tensor  # (A,) the first of its group, among those that are asked for
    cost: Tensor  # (T,) -log p of each that is free, 0 of others
    kind: Tensor  # (A,)

    def __init__(self, spec: Spec, design: Design) -> None:
        super().__init__()
        assert spec.sizes is not None, "these are cells"
        self.sizes, self.levels = spec.sizes, spec.levels() if spec.levels else None
        self.free = self.levels.free if self.levels else (False,) * len(spec.sizes)
        places = [at for at, one in enumerate(self.free) if not one]
        kinds = [at if spec.kinds is None else spec.kinds[at] for at in places]
        self.words = Vocabularies([spec.sizes[at] for at in places], kinds)
        self.count, begins = self.words.count, dict(zip(places, self.words.begin.tolist(), strict=True))
        self.begins = [begins.get(at, 0) for at in range(len(self.free))]  # the first token of each
        steps = range(len(places)) if self.levels is None else [self.levels.cells[at].step for at in places]
        group, first = _grouped(steps)
        self.groups = group[-1] + 1
        self.group_of = dict(zip(places, group, strict=True))
        self.number_of = {at: number for number, at in enumerate(places)}  # among those that are asked for
        self._keep(places, group, first, kinds)
        self.sight, self.block, self.blur = None, None, design.dropout**2
        if self.levels is not None:
            count, width = self.levels.count, design.width
            self.sight = nn.Sequential(nn.Linear(count, width), nn.SiLU(), nn.Linear(width, width))
        if self.groups < len(places):
            self.which = nn.Embedding(max(kinds) + 1, design.width)
            nn.init.normal_(self.which.weight, std=0.1)
            self.block = Inner(design)

    def _keep(self, places: Sequence[int], group: Sequence[int], first: Sequence[int], kinds: Sequence[int]) -> None:
        cost = torch.tensor(self.sizes).double().log().float() * torch.tensor(self.free)
        numbers = {"asked": places, "group": group, "first": first, "kind": kinds}
        kept = {**{name: torch.tensor(one) for name, one in numbers.items()}, "cost": cost}
        for name, one in kept.items():
            self.register_buffer(name, one, persistent=False)
        found: dict[tuple[int, int], list[int]] = {}
        for number, at in enumerate(places):
            found.setdefault((self.begins[at], self.sizes[at]), []).append(number)
        self.alike = [(torch.tensor(own), begin, size) for (begin, size), own in found.items()]

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens of those cells that are asked for, -1 for unknown: (B, T) -> (B, A)."""
        return self.words.tokens(x[:, self.asked])

    def seen(self, x: Tensor) -> Tensor | None:
        """What the net sees of the numbers before each cell that it is asked for: (B, T) -> (B, A, width), or None.

        In training they are blurred where much is dropped elsewhere, too, which is where rows are few: by exact
        numbers, each window of a short series would be known again.
        """
        if self.levels is None or self.sight is None:
            return None
        u = self.levels(x, self.asked)
        return self.sight(u + self.blur * torch.randn_like(u) if self.training else u)

    def read(self, e: Tensor, start: Tensor, seen: Tensor | None) -> Tensor:
        """What the stack reads before each group: embedded cells (B, A, width) -> (B, G, width).

        start  (width,) stands before the first one
        """
        x = e.new_zeros(len(e), self.groups, e.shape[2]).index_add(1, self.group, e)
        x = torch.cat([start.to(e.dtype).expand(len(e), 1, -1), x[:, :-1]], 1)
        return x if seen is None else x + seen[:, self.first.unique_consecutive()].to(e.dtype)

    def apart(self, h: Tensor, e: Tensor, seen: Tensor | None) -> Tensor:
        """What the stack says of groups, told apart for each cell: (B, G, width) -> (B, A, width)."""
        h = h[:, self.group]
        if self.block is None:
            return h
        before = F.pad(e.float().cumsum(1), (0, 0, 1, 0))  # (B, A + 1, width)
        inside = before[:, :-1] - before[:, self.first]  # of the cells before within the group
        return self.inner(h, self.kind, inside, seen)

    def inner(self, h: Tensor, kind: Tensor, inside: Tensor, seen: Tensor | None) -> Tensor:
        """The same where the cells before within the group are added up already: (.., width) -> same."""
        if self.block is None:
            return h
        x = h + self.which(kind).to(h.dtype) + inside.to(h.dtype)
        return self.block(x if seen is None else x + seen.to(h.dtype))

    def nats(self, h: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """-log p of those cells that are asked for, 0 for unknown ones: (B, A, width), (B, T) -> (B, A).

        weight  (count, width) of the logits of all tokens
        """
        x, found = x[:, self.asked], h.new_zeros(h.shape[:2], dtype=torch.float32)
        for own, begin, size in self.alike:
            logits = F.linear(h[:, own], weight[begin : begin + size]).float()
            nats = F.cross_entropy(logits.flatten(0, 1), x[:, own].flatten(), ignore_index=-1, reduction="none")
            found[:, own] = nats.view(len(x), -1)
        return found

    def surprise(self, x: Tensor, nats: Tensor) -> Tensor:
        """-log p of every cell (B, T), from that of those that are asked for (B, A); 0 for unknown ones."""
        found = torch.where(x >= 0, self.cost, 0.0).to(nats.dtype)
        found[:, self.asked] = nats
        return found


class Inner(nn.Module):
    """x + mlp(norm(x)), the identity at first: (.., width) -> same."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.width, self.mlp = design.width, Perceptron(design)
        self.drop = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        started(self, design.width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.mlp(F.rms_norm(x, (self.width,))))


def _grouped(steps: Sequence[int]) -> tuple[list[int], list[int]]:
    """The group of each cell, those of one step being one, and the first cell of its group."""
    group, first = [0], [0]
    for at, (one, other) in enumerate(pairwise(steps), 1):
        new = one != other
        group.append(group[-1] + new)
        first.append(at if new else first[-1])
    return group, first
