"""Sequences of tokens: where they end, what counts in them, and the manner in which new ones are written.

A sequence of varying length begins with `Spec.end`, or with the token before it where it was cut out of a longer one;
`end` closes it, and fills the room that is left. A row may hold several of them. An end after an end costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from morelike.core.spec import Batch, Spec


@dataclass(frozen=True)
class Manner:
    """How tokens are drawn from p(next | before).

    temperature  logits are divided by it; 0 takes the likeliest token
    top_k        only the k likeliest; 0 for all
    top_p        only the likeliest that together have this probability (Holtzman et al. 2020)
    repetition   logits of tokens that have been written are made smaller by this factor (Keskar et al. 2019)
    length       most tokens; None for as many as the model was trained on
    beam         sequences kept in a search for the likeliest; 1 draws instead; None for what the family does
    penalty      exponent of the length in the score of such a search (Wu et al. 2016, eq. 14); None as for the beam
    allowed      tokens so far (B, t) -> which may follow, bool (B, tokens); None for all
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition: float = 1.0
    length: int | None = None
    beam: int | None = None
    penalty: float | None = None
    allowed: Callable[[Tensor], Tensor] | None = None


@runtime_checkable
class Writes(Protocol):
    """Writes sequences token by token, and knows how surprising each token of a sequence is."""

    # after a prompt (B, P), the next tokens (B,); `end` again and again after an end
    def write(
        self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}, prompt: Tensor | None = None,
        manner: Manner = Manner(),
    ) -> Iterator[Tensor]: ...  # fmt: skip

    def token_log_probs(self, batch: Batch) -> Tensor: ...  # (B, T) in nats, 0 where nothing is predicted


def counted(spec: Spec, before: Tensor, after: Tensor) -> Tensor:
    """Which predictions count, bool like `after`: all but that an end is followed by an end.

    before, after  (B, T) tokens, `after` being those one place further on
    """
    if spec.end is None:
        return torch.ones_like(after, dtype=torch.bool)
    return (after != spec.end) | (before != spec.end)
