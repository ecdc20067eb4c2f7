"""How usual the runs of tokens of a sequence are, going by how often they stand in the training items."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

ORDERS = (1, 2, 3, 4, 6)  # lengths of runs that are counted
USUAL = 2 * len(ORDERS) + 2  # features
MOST = 255  # as often as this is as often as can be
LEAST, FAR = 0.03, 10.0  # smallest deviation of a feature, and the deviations at which it is cut off
_BUCKETS = 20  # bits of a hash


class Runs(nn.Module):
    """Hashes of runs of tokens by tabulation, h = T_1[a] xor T_2[b] xor ... with random tables (Zobrist 1970).

    tokens  size of the vocabulary, with room for one token more
    end     of sequences; runs that reach beyond it do not count
    """

    tables: Tensor

    def __init__(self, tokens: int, longest: int, end: int, generator: Generator) -> None:
        super().__init__()
        self.end = end
        self.register_buffer("tables", torch.randint(0, 2**31, (longest, tokens + 1), generator=generator))

    def forward(self, x: Tensor, order: int) -> tuple[Tensor, Tensor]:
        """x: (B, T) -> hashes (B, T - order + 1) of runs, and which of them are there.

        A run may begin with the end of what came before, or close with an end, but not hold one within.
        """
        width = x.shape[1] - order + 1
        if width < 1:
            return x[:, :0], x[:, :0].bool()
        hashes, there = torch.zeros_like(x[:, :width]), torch.ones_like(x[:, :width], dtype=torch.bool)
        for place in range(order):
            part = x[:, place : place + width]
            hashes = hashes ^ self.tables[place][part]
            if 0 < place < order - 1 or order == 1:
                there = there & (part != self.end)
        if order > 1:
            there = there & ((x[:, :width] != self.end) | (x[:, order - 1 :] != self.end))
        return hashes, there


class Usual(nn.Module):
    """For runs of 1, 2, 3, 4 and 6 tokens, the mean of log(1 + count) and the share that never occurs; two of length.

    The counts are those of training items, so that these items look more usual than others: compare samples with items
    that were not counted. (B, T) -> (B, 12); the last two are the logarithm of the length, and the share of different
    tokens.

    own  1 while items are looked at that were counted, once each, which is taken off again
    """

    counts: Tensor
    own: int = 0

    def __init__(self, tokens: int, end: int, generator: Generator) -> None:
        super().__init__()
        self.runs = Runs(tokens, max(ORDERS), end, generator)
        self.register_buffer("counts", torch.zeros(len(ORDERS), 2**_BUCKETS, dtype=torch.uint8))

    @torch.no_grad()
    def count(self, x: Tensor) -> None:
        """Count the runs of these items, (N, T), and forget all others."""
        for place, order in enumerate(ORDERS):
            total = torch.zeros(2**_BUCKETS, dtype=torch.int64)
            for part in x.split(2048):
                hashes, there = self.runs(part.long(), order)
                total += torch.bincount(hashes[there] % 2**_BUCKETS, minlength=2**_BUCKETS)
            self.counts[place] = total.clamp_max(MOST).to(torch.uint8)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        parts = []
        for place, order in enumerate(ORDERS):
            hashes, there = self.runs(x, order)
            often = self.counts[place][hashes % 2**_BUCKETS].float().sub(self.own).clamp_min(0)
            size = there.sum(1).clamp_min(1)
            parts += [(often.log1p() * there).sum(1) / size, ((often == 0) & there).sum(1) / size]
        there = x != self.runs.end
        length = there.sum(1)
        ordered = x.masked_fill(~there, -1).sort(1).values
        different = (ordered[:, 1:] != ordered[:, :-1]).sum(1) + (ordered[:, 0] >= 0)
        parts += [length.float().log1p(), different / length.clamp_min(1)]
        return torch.stack(parts, 1)


class Bag(nn.Module):
    """Sequences by the runs of 1 to 4 tokens that they hold, wherever: (B, T) -> (B, width).

    The mean of an embedding for each hashed run (Joulin et al. 2017), without the runs that hold a blank, and the
    logarithm of the length.
    """

    def __init__(self, tokens: int, end: int, width: int, normalise: type[nn.Module]) -> None:
        super().__init__()
        self.blank = tokens
        self.runs = Runs(tokens, 4, end, Generator().manual_seed(0))
        self.table = nn.Parameter(torch.randn(2**14, 64))
        self.rest = nn.Sequential(normalise(65), nn.LeakyReLU(0.1), nn.Linear(65, width))

    def forward(self, x: Tensor) -> Tensor:
        keys, kept = [], []
        gone = x == self.blank
        for order in range(1, 5):
            hashes, there = self.runs(x, order)
            for place in range(order):
                there = there & ~gone[:, place : place + there.shape[1]]
            keys.append(hashes % len(self.table))
            kept.append(there)
        weight = torch.cat(kept, 1).float()
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1).sqrt()
        bag = nn.functional.embedding_bag(torch.cat(keys, 1), self.table, per_sample_weights=weight, mode="sum")
        return self.rest(torch.cat([bag, (x != self.runs.end).sum(1, keepdim=True).float().log1p()], 1))
