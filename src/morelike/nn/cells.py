"""Cells in fixed places as a net reads them: which it is asked for, their tokens, the numbers that they add up to."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.spec import Spec
from morelike.nn.rows import Vocabularies


class Cells(nn.Module):
    """The cells (T,) of a row of a table, or of a window of a series, of which a net is asked for A.

    Those that are free, of which all values are equally likely, it is not asked for; of numbers of a series it sees
    what all cells before, free ones too, add up to, so that it need not remember what has led to a level.

    `count` is the number of tokens.
    """

    asked: Tensor

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        assert spec.sizes is not None, "these are cells"
        self.sizes, self.levels = spec.sizes, spec.levels() if spec.levels else None
        free = self.levels.free if self.levels else (False,) * len(spec.sizes)
        self.free = free
        kinds = spec.kinds or range(len(free))
        own = [(size, kind) for size, kind, one in zip(spec.sizes, kinds, free, strict=True) if not one]
        self.words = Vocabularies(*zip(*own, strict=True))
        self.count = self.words.count
        first = iter(self.words.begin.tolist())
        self.begins = tuple(0 if one else next(first) for one in free)  # the first token of each that is asked for
        self.register_buffer("asked", torch.tensor([at for at, one in enumerate(free) if not one]), persistent=False)
        cost = torch.tensor(spec.sizes).double().log().float() * torch.tensor(free)
        self.register_buffer("cost", cost, persistent=False)
        if self.levels is not None:
            self.sight = nn.Sequential(nn.Linear(len(self.levels.starts), width), nn.SiLU(), nn.Linear(width, width))

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens of those cells that are asked for among the first t of rows, -1 for unknown: (B, t) -> (B, a)."""
        return self.words.tokens(x[:, self.asked[self.asked < x.shape[1]]])

    def seen(self, x: Tensor) -> Tensor | None:
        """What the net sees of the numbers before each cell that it is asked for: (B, T) -> (B, A, width), or None."""
        if self.levels is None:
            return None
        return self.sight(F.pad(self.levels(x[:, :-1]), (0, 0, 1, 0))[:, self.asked])

    def surprise(self, x: Tensor, nats: Tensor) -> Tensor:
        """-log p of every cell (B, T), from that of those that are asked for (B, A); 0 for unknown ones."""
        found = torch.where(x >= 0, self.cost, 0.0).to(nats.dtype)
        found[:, self.asked] = nats
        return found
