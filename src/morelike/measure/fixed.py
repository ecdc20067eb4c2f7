"""Features that nobody trains: random filters, projections and hashed counts, as a cross-check on what a net learnt."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.spec import Spec
from morelike.measure.featurenet import OUTLIER, shrinking, shrunk
from morelike.measure.learned import look
from morelike.measure.usual import FAR, Usual
from morelike.measure.usual import LEAST as COUNTED_LEAST
from morelike.measure.usual import USUAL as COUNTED

LEAST, USUAL = 16, 64  # features
MOST_SCALES, SMALLEST = 6, 7  # scales at which an item is filtered; its longest side at the coarsest of them
THUMBNAIL = (16, 4, 3)  # sides of the coarse picture of an item, by spatial rank
GRAMS = 3  # longest run of tokens that is counted


class Energies(nn.Module):
    """How strongly random filters respond at several scales, and a random view of the coarse layout.

    For each filter w of unit norm and mean zero and each scale s, the mean and the deviation over space of
    |w * x_s|, where x_s is the item averaged down by 2^s; then cos(W t + b) of a thumbnail t. The first part is
    the first order of a scattering transform (Mallat 2012, section 2) with random filters for wavelets.
    (B, C, *space) -> (B, width).
    """

    filters: Tensor
    layout: Tensor
    bias: Tensor

    def __init__(self, shape: tuple[int, ...], width: int, generator: Generator) -> None:
        super().__init__()
        channels, space = shape[0], shape[1:]
        self.factors, rank = shrinking(space), len(space)
        longest = max(math.ceil(side / f) for side, f in zip(space, self.factors, strict=True))
        self.scales = 1 + max(0, min(MOST_SCALES - 1, int(math.log2(longest / SMALLEST)) if longest > SMALLEST else 0))
        count = max(1, 3 * width // 4 // (2 * self.scales))
        w = torch.randn(self.scales * count, channels, *[3] * rank, generator=generator).flatten(1)
        w = w - w.mean(1, keepdim=True)
        self.register_buffer("filters", (w / w.norm(dim=1, keepdim=True)).reshape(-1, channels, *[3] * rank))
        self.small = tuple(min(side, THUMBNAIL[rank - 1]) for side in space)
        rest, size = width - 2 * len(w), channels * math.prod(self.small)
        self.register_buffer("layout", torch.randn(rest, size, generator=generator) / math.sqrt(size))
        self.register_buffer("bias", 2 * math.pi * torch.rand(rest, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        rank = x.ndim - 2
        conv = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        small: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[rank - 1]
        x = shrunk(x.float().nan_to_num(0.0, OUTLIER, -OUTLIER).clamp(-OUTLIER, OUTLIER), self.factors)
        parts = [F.linear(small(x, self.small).flatten(1), self.layout, self.bias).cos()]
        if rank == 2:
            x = x.contiguous(memory_format=torch.channels_last)  # so few channels are four times faster this way
        for w in self.filters.chunk(self.scales):
            energy = conv(F.pad(x, [1, 1] * rank, mode="replicate"), w).flatten(2)  # (B, count, positions)
            mean = energy.abs().mean(2)
            square = torch.linalg.vector_norm(energy, dim=2).square() / energy.shape[2]
            parts += [mean, (square - mean.square()).clamp_min(0).sqrt()]  # many times faster than torch's deviation
            x = pool(x, tuple(2 if side > 1 else 1 for side in x.shape[2:]))
        return torch.cat(parts, 1)


class Projections(nn.Module):
    """Random Fourier features cos(W x + b), b ~ U(0, 2 pi) (Rahimi & Recht 2007, alg. 1): (B, F) -> (B, width)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, shape: tuple[int, ...], width: int, generator: Generator) -> None:
        super().__init__()
        size = math.prod(shape)
        self.register_buffer("weight", torch.randn(width, size, generator=generator) / math.sqrt(size))
        self.register_buffer("bias", 2 * math.pi * torch.rand(width, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float().nan_to_num(0.0, OUTLIER, -OUTLIER).clamp(-OUTLIER, OUTLIER)
        return F.linear(x.flatten(1), self.weight, self.bias).cos()


class Grams(nn.Module):
    """Signed counts of hashed runs of 1, 2 and 3 tokens, over the root of their number: (B, *shape) -> (B, width).

    A run's bucket and sign come from tabulation hashing, h = T_1[a] xor T_2[b] xor T_3[c] with random tables (Zobrist
    1970), and each length of run has a third of the buckets (feature hashing: Weinberger et al. 2009, eq. 1). Where
    sequences differ in length, what is beyond their end does not count, and twelve of the features tell how usual their
    runs are in the items on which the features are standardised.
    """

    tables: Tensor

    def __init__(self, tokens: int, width: int, generator: Generator, end: int | None = None) -> None:
        super().__init__()
        self.usual = None if end is None or width <= COUNTED + GRAMS else Usual(tokens, end, generator)
        width -= 0 if self.usual is None else COUNTED
        self.tokens, self.end, self.widths = tokens, end, [len(part) for part in torch.arange(width).chunk(GRAMS)]
        self.register_buffer("tables", torch.randint(0, 2**31, (GRAMS, tokens), generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), -1).long().clamp(0, self.tokens - 1)
        parts, runs = [], torch.zeros_like(x)
        for n, width in enumerate(self.widths):
            ends = x[:, n:]
            runs = runs[:, : ends.shape[1]] ^ self.tables[n][ends]  # (B, T - n) hashes of runs of n + 1 tokens
            sign = (2 * (runs & 1) - 1).float()
            there = torch.ones_like(sign) if self.end is None else (ends != self.end).float()
            sign = sign * there / there.sum(1, keepdim=True).clamp_min(1).sqrt()
            parts.append(torch.zeros(len(x), width).scatter_add_(1, (runs >> 1) % width, sign))
        if self.usual is not None:
            parts.append(self.usual(x))
        return torch.cat(parts, 1)


class Random:
    """Features of a fixed random net.

    about  how it was made, for JSON
    alike  the first so many features see no difference between items on which it was standardised and others as such
    net    its random numbers
    mean, deviation  of the features of the items on which it was standardised; 0 and 1 where it was not
    """

    name = "random"

    def __init__(self, spec: Spec, seed: int = 0, width: int = USUAL) -> None:
        if width < LEAST:
            raise OptionError(f"{width} random features", f"At least {LEAST}", f"{USUAL} suit most data")
        generator = torch.Generator().manual_seed(seed)
        if spec.tokens is not None:
            self.net: nn.Module = Grams(spec.tokens, width, generator, spec.end)
        else:
            kind = Energies if spec.dims else Projections
            self.net = kind(tuple(spec.shape), width, generator)
        self.net.register_buffer("mean", torch.zeros(width))
        self.net.register_buffer("deviation", torch.ones(width))
        self.spec, self.width = spec, width
        self.alike = width - COUNTED if isinstance(self.net, Grams) and self.net.usual is not None else width
        self.about: dict[str, Any] = {"kind": self.name, "seed": seed, "width": width}

    def __call__(self, x: Tensor) -> Tensor:
        """(N, *shape) -> (N, width) float32. Raises `DataError` for items of another shape."""
        found = look(self.net, x, self.spec, self.width)
        found.sub_(self.net.get_buffer("mean")).div_(self.net.get_buffer("deviation"))
        found[:, self.alike :].clamp_(-FAR, FAR)
        return found

    def classify(self, x: Tensor) -> Tensor | None:
        """None: nothing was learnt."""
        return None

    def described(self) -> dict[str, Any]:
        """How the net was made, as plain data."""
        return dict(self.about)

    def standardise(self, x: Tensor) -> None:
        """Give each feature mean 0 and variance 1 on these items, (N, *shape); one that hardly varies is left small."""
        usual = self.net.usual if isinstance(self.net, Grams) else None
        if usual is not None:
            usual.count(x)
            usual.own = 1
        found = self(x)
        if usual is not None:
            usual.own = 0
        deviation = found.std(0, correction=0)
        least = 0.01 * float(deviation.square().mean().sqrt()) or 1.0
        self.net.get_buffer("mean").copy_(found.mean(0))
        self.net.get_buffer("deviation").copy_(deviation.clamp_min(least))
        self.net.get_buffer("deviation")[self.alike :].clamp_min_(COUNTED_LEAST)
        self.about["standardised_on"] = len(x)


def random_features(spec: Spec, seed: int = 0, width: int = USUAL, on: Tensor | None = None) -> Random:
    """Features of a fixed random net for items of this kind, the same for the same seed.

    on  training items (N, *shape) to standardise on; without them the features keep their own scales

    Raises `OptionError` for fewer than 16 features.
    """
    features = Random(spec, seed, width)
    if on is not None and len(on):
        features.standardise(on)
    return features
