"""What an item is conditioned on, as one vector, and how that vector enters a net."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.spec import Spec
from morelike.nn.layers import TokenEmbedding


def _embed(spec: Spec, width: int) -> nn.Module:
    """One condition to a vector: (B, *spec.shape) -> (B, width)."""
    if spec.tokens is not None and not spec.shape:
        return TokenEmbedding(spec.tokens, width)
    reads = [] if spec.tokens is None else [TokenEmbedding(spec.tokens, width)]
    numbers = math.prod(spec.shape) * (width if reads else 1)
    return nn.Sequential(*reads, nn.Flatten(), nn.Linear(numbers, width), nn.GELU(), nn.Linear(width, width))


def missing(name: str, given: Iterable[str], wanted: Iterable[str]) -> OptionError:
    """An `OptionError` for a condition that was not given."""
    have = ", ".join(f'"{other}"' for other in given) or "nothing"
    return OptionError(
        f"The model was given {have}",
        f"It was trained with {', '.join(wanted)}",
        f"Add --given {name}=VALUE, or {name}=... in Python",
    )


class Condition(nn.Module):
    """All conditions of an item side by side in one vector c: (B, self.width).

    given  what the item is conditioned on, by name; a token such as a label is embedded, all else goes through a
           small perceptron
    width  numbers for each condition, so that self.width = width * len(given), and 0 without conditions
    """

    def __init__(self, given: Mapping[str, Spec], width: int) -> None:
        super().__init__()
        self.specs = dict(given)
        self.width = width * len(given)
        # a list, because a column may have a name that nn.ModuleDict refuses, such as "type" or "a.b"
        self.parts = nn.ModuleList(_embed(spec, width) for spec in given.values())

    def forward(self, given: Mapping[str, Tensor], batch: int) -> Tensor | None:
        """given: (batch, *shape) each, or (1, *shape) for all -> (batch, self.width), or None without conditions.

        Raises `OptionError` where a condition is missing or has another shape.
        """
        if not self.specs:
            return None
        rows = [part(self._checked(name, given, batch)) for name, part in zip(self.specs, self.parts, strict=True)]
        return torch.cat([row.expand(batch, -1) for row in rows], 1)

    def _checked(self, name: str, given: Mapping[str, Tensor], batch: int) -> Tensor:
        wanted, end = self.specs[name].shape, self.specs[name].end
        if name not in given:
            raise missing(name, given, self.specs)
        value = given[name]
        if end is not None and value.ndim == 2:  # texts of a batch are cut to the longest of them, or to what is read
            value = F.pad(value[:, : wanted[0]], (0, max(0, wanted[0] - value.shape[1])), value=end)
        if tuple(value.shape[1:]) != wanted or len(value) not in (1, batch):
            raise OptionError(
                f'The condition "{name}" has shape {tuple(value.shape)}',
                f"Expected {(batch, *wanted)} or {(1, *wanted)}",
                f'Give one "{name}" for each item, or one for all',
            )
        return value


class FiLM(nn.Module):
    """Feature-wise linear modulation h (1 + gamma(c)) + beta(c) (Perez et al. 2018, eq. 2).

    h: (B, channels, *space), or the channels on another axis; c: (B, given) -> same shape as h. Before a critic's last
    linear layer this contains the projection of Miyato & Koyama (2018, eq. 5). With given = 0 it returns h, whatever c.
    """

    def __init__(self, given: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(given, 2 * channels) if given else None
        if self.affine is not None:  # a spread of about one half for c with unit variance: felt from the first step
            nn.init.normal_(self.affine.weight, std=0.5 / math.sqrt(given))
            nn.init.zeros_(self.affine.bias)

    def forward(self, h: Tensor, c: Tensor | None = None, axis: int = 1) -> Tensor:
        if self.affine is None:
            return h
        assert c is not None, "this net was built with conditions"
        shape = [1] * h.ndim
        shape[0], shape[axis] = h.shape[0], h.shape[axis]
        gamma, beta = (part.reshape(shape) for part in self.affine(c).to(h.dtype).chunk(2, 1))
        return torch.addcmul(h + beta, h, gamma)


def joined(h: Tensor, c: Tensor | None) -> Tensor:
    """Features and condition side by side: (B, features), (B, given) -> (B, features + given)."""
    return h if c is None else torch.cat([h, c.to(h.dtype)], 1)
