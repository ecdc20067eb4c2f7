"""Rows of a table as cells: their law given a net's output, one-hot vectors to read them, numbers to draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.spec import Batch, Spec

TEMPERATURE = 0.2  # of relaxed one-hots: low enough to be nearly hard (Xu et al. 2019, section 4.2)
BELOW_ONE = 1 - 2.0**-22  # so much that its product with a sum cannot be rounded up to the sum
WAVES = 6  # of the curves by which neighbouring values are embedded at first
NEVER = -1e4  # log-probability of what a cell cannot be: finite, so that it can be averaged and saved


def cells(spec: Spec, family: str) -> tuple[int, ...]:
    """How many values each cell takes, of a row or of tokens in fixed places; an `OptionError` for other data."""
    if spec.sizes is not None:
        return spec.sizes
    if spec.tokens is not None and spec.end is None and len(spec.shape) == 1:
        return (spec.tokens,) * spec.shape[0]
    what = "real numbers" if spec.tokens is None else "tokens of varying length"
    other = "vae" if spec.tokens is None else "autoregressive"
    raise OptionError(
        f"The data are {what} of shape {spec.shape}", f"The family {family} models the cells of a table's rows",
        f"Use --family {other} for such data",
    )  # fmt: skip


def parts(batch: Batch, size: int) -> list[Batch]:
    """The rows of a batch, at most so many at once; one part at least."""
    return [batch.slice(at, at + size) for at in range(0, max(1, len(batch.x)), size)]


@lru_cache(maxsize=64)
def offsets(sizes: tuple[int, ...]) -> Tensor:
    """Where the values of each cell begin among those of all cells: (T,)."""
    return torch.tensor([0, *accumulate(sizes)][:-1])


@lru_cache(maxsize=64)
def _places(sizes: tuple[int, ...]) -> Tensor:
    """The place of value v of cell t among all, or the one behind them where there is none: (T, max size)."""
    values = torch.arange(max(sizes))
    there = values < torch.tensor(sizes)[:, None]
    return torch.where(there, offsets(sizes)[:, None] + values, sum(sizes))


def padded(flat: Tensor, sizes: tuple[int, ...], fill: float = NEVER) -> Tensor:
    """Numbers for all values (.., sum sizes) cell by cell, filled up: (.., T, max size)."""
    more = torch.cat([flat, flat.new_full((*flat.shape[:-1], 1), fill)], -1)
    return more[..., _places(sizes).to(flat.device)]


def uniforms(seeds: Sequence[int], count: int, device: torch.device | str = "cpu") -> Tensor:
    """Numbers in [0, 1) of which row i depends on seeds[i] alone: (len(seeds), count).

    SplitMix64 of (seed, place) (Steele et al. 2014): no generator is set up for each seed, which costs more than a row.
    """
    start = np.array([int(seed) % 2**64 for seed in seeds], np.uint64)[:, None]
    z = mixed(start * np.uint64(0x9E3779B97F4A7C15)) + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    return torch.from_numpy((mixed(z) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).to(device)


_GOLDEN = np.uint64(0xD1B54A32D192ED03)


def mixed(z: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: uint64 whose bits have nothing to do with those of z."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def chunks(at: Tensor, most: int) -> tuple[Tensor, ...]:
    """Places (n,), so many at once: none where there are none, of which `split` makes an empty one."""
    return at.split(most) if len(at) else ()


def drawn(weights: Tensor, u: Tensor) -> Tensor:
    """Values as likely as their weights >= 0: (.., V), u (..) in [0, 1) -> (..)."""
    return placed(weights.cumsum(-1), u)


def placed(sums: Tensor, u: Tensor) -> Tensor:
    """Values drawn by inversion of the running sums of their weights: (.., V), u (..) in [0, 1) -> (..)."""
    at = u.to(sums.dtype).clamp_max(BELOW_ONE) * sums[..., -1]
    return torch.searchsorted(sums, at.unsqueeze(-1), right=True).squeeze(-1)


@dataclass(frozen=True)
class Row:
    """Independent categoricals, one for each cell of a row: log p(x) = sum_t log softmax(l_t)[x_t] over known cells.

    logits       (B, sum sizes), those of all cells side by side
    sizes        how many values each of the T cells takes
    temperature  of relaxed samples

    Events are int64 (B, T); a cell of -1 is unknown, and summed over.
    """

    logits: Tensor
    sizes: tuple[int, ...]
    temperature: float = TEMPERATURE

    @property
    def log_probs(self) -> Tensor:
        """Log-probability of each value of each cell, next to nothing behind its last one: (B, T, max size)."""
        logits = self.logits.float() if self.logits.dtype != torch.float64 else self.logits
        return padded(logits, self.sizes).log_softmax(-1)

    @property
    def mean(self) -> Tensor:
        return self.log_probs.argmax(-1)  # the mode: values of a cell have no mean

    def log_prob(self, x: Tensor) -> Tensor:
        picked = self.log_probs.gather(-1, x.long().clamp_min(0).unsqueeze(-1)).squeeze(-1)
        return (picked * (x >= 0)).sum(-1)

    def sample(self) -> Tensor:
        return self.at(torch.rand(len(self.logits), len(self.sizes), device=self.logits.device))

    def at(self, u: Tensor) -> Tensor:
        """The row that numbers u (B, T) in [0, 1) draw: int64 (B, T)."""
        return drawn(self.log_probs.exp(), u)

    def rsample(self) -> Tensor:
        """Relaxed one-hot vectors side by side, softmax((l_t + g) / temperature) with Gumbel noise g
        (Jang et al. 2017, eq. 2): (B, sum sizes)."""
        log_p = self.log_probs
        noise = -torch.log(-torch.log(torch.rand(*log_p.shape, device=log_p.device).clamp(1e-9, 1 - 1e-7)))
        soft = ((log_p + noise) / self.temperature).softmax(-1)
        return soft[..., _places(self.sizes).to(soft.device) < sum(self.sizes)]


class OneHot(nn.Module):
    """Cells as one-hot vectors side by side, zeros for an unknown one: (B, T) -> (B, sum sizes).

    What is that already, such as relaxed samples, goes through as it is.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_floating_point():
            return x
        known = x >= 0
        out = torch.zeros(len(x), sum(self.sizes), device=x.device)
        places = x.clamp_min(0) + offsets(self.sizes).to(x.device)
        return out.scatter_(1, places, known.float())


class Vocabularies(nn.Module):
    """Cells as tokens of one vocabulary, in which those of each kind have a range of their own.

    `count` is the number of tokens; token `count` stands for a cell that is unknown.
    """

    begin: Tensor  # (T,) the first token of each cell
    places: Tensor  # (T, max size) the token of each value, `count` where there is none

    def __init__(self, sizes: Sequence[int], kinds: Sequence[int] | None = None) -> None:
        super().__init__()
        kinds = range(len(sizes)) if kinds is None else kinds
        widest: dict[int, int] = {}
        for kind, size in zip(kinds, sizes, strict=True):
            widest[kind] = max(size, widest.get(kind, 0))
        first = dict(zip(widest, offsets(tuple(widest.values())).tolist(), strict=True))
        self.sizes, self.count, self.widths = tuple(sizes), sum(widest.values()), tuple(widest.values())
        begin = torch.tensor([first[kind] for kind in kinds])
        values = torch.arange(max(sizes))
        there = values < torch.tensor(self.sizes)[:, None]
        self.register_buffer("begin", begin, persistent=False)
        self.register_buffer("places", torch.where(there, begin[:, None] + values, self.count), persistent=False)

    def tokens(self, x: Tensor) -> Tensor:
        """The first t cells of rows, -1 for unknown ones -> tokens: (B, t) -> (B, t)."""
        return torch.where(x < 0, self.count, x + self.begin[: x.shape[1]])

    def apart(self, logits: Tensor) -> Tensor:
        """Logits of all tokens -> of the values of each cell, next to nothing behind the last: (B, T, max size)."""
        more = torch.cat([logits, logits.new_full((*logits.shape[:-1], 1), NEVER)], -1)
        return more.gather(-1, self.places.expand(len(logits), -1, -1))

    def curves(self, width: int) -> Tensor:
        """A random smooth curve through the values of each kind, so that neighbours begin alike: (count, width)."""
        waves = torch.arange(1, WAVES + 1)
        parts = []
        for size in self.widths:
            angles = torch.pi * torch.outer((torch.arange(size) + 0.5) / size, waves)  # (size, WAVES)
            parts.append((angles.cos() / waves.sqrt()) @ torch.randn(WAVES, width))
        return torch.cat(parts)
