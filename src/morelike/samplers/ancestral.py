"""Ancestral sampling: tokens are drawn one after another, each from its law given all before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from morelike.core.spec import Spec
from morelike.core.tokens import Manner

BLOCK = 64  # uniform numbers drawn at a time; another number would change what a seed means


class Dice:
    """A stream of uniform numbers for each seed, drawn on the CPU, so that a seed means the same on every machine."""

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self.device = device
        self.ahead: list[Tensor] = []

    def roll(self) -> Tensor:
        """The next number of every stream, in (0, 1]: (B, 1)."""
        if not self.ahead:
            rows = [torch.rand(BLOCK, generator=generator) for generator in self.generators]
            self.ahead = list((1 - torch.stack(rows, 1).to(self.device))[..., None].flip(0).unbind(0))
        return self.ahead.pop()


def lawful(spec: Spec, manner: Manner) -> Manner:
    """The manner, in which no token follows that may follow in no item either."""
    own, wished = spec.allowed, manner.allowed
    if own is None:
        return manner
    return replace(manner, allowed=own if wished is None else lambda tokens: own(tokens) & wished(tokens))


def narrowed(logits: Tensor, manner: Manner) -> Tensor:
    """Logits of the `top_k` likeliest tokens, of those the likeliest that together have probability `top_p`.

    logits: (B, tokens), divided by the temperature -> same, -inf where a token is out of question.
    """
    if 0 < manner.top_k < logits.shape[-1]:
        least = logits.topk(manner.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if manner.top_p < 1:
        p, order = logits.softmax(-1).sort(descending=True, stable=True)
        out = p.cumsum(-1) - p >= manner.top_p  # the token that crosses the line stays
        logits = logits.masked_fill(out.gather(-1, order.argsort()), -torch.inf)
    return logits


def invert(logits: Tensor, u: Tensor) -> Tensor:
    """The token at which the cumulative probability comes up to u in (0, 1]: (B, tokens), (B, 1) -> (B,)."""
    mass = logits.float().softmax(-1).cumsum(-1)
    return torch.searchsorted(mass, mass.narrow(-1, mass.shape[-1] - 1, 1) * u).squeeze(-1)


@dataclass
class Pen:
    """Draws one token for every sequence in a given manner, and remembers what has been written.

    written  (B, t) tokens so far, the prompt included
    end      the token that ends a sequence; None where all have the same length

    `ended` tells of each sequence whether it has, `over` whether all have.
    """

    manner: Manner
    dice: Dice
    written: Tensor
    end: int | None = None

    def __post_init__(self) -> None:
        self.used: Tensor | None = None
        self.ended = torch.zeros(len(self.written), dtype=torch.bool, device=self.written.device)
        self.over = self.begun = False  # whether all, and whether any have ended

    def draw(self, logits: Tensor) -> Tensor:
        """(B, tokens) -> (B,); `end` again and again after an end."""
        manner = self.manner
        if manner.repetition != 1:
            logits = self._less_repeated(logits)
        if manner.allowed is not None:
            logits = self._allowed(logits)
        if manner.temperature == 0:
            token = logits.argmax(-1)
        else:
            logits = logits if manner.temperature == 1 else logits / manner.temperature
            token = invert(narrowed(logits, manner), self.dice.roll())
        if self.end is not None:
            token = self._ending(token, self.end)
        if manner.allowed is not None:
            self.written = torch.cat([self.written, token[:, None]], 1)
        if self.used is not None:
            self.used.scatter_(1, token[:, None], True)
        return token

    def _ending(self, token: Tensor, end: int) -> Tensor:
        """`end` where a sequence has ended before. The tokens are looked at as a list, which takes less time."""
        if self.begun or end in token.tolist():
            self.begun = True
            token = torch.where(self.ended, end, token)
            self.ended = token.eq(end)
            self.over = bool(self.ended.all())
        return token

    def _less_repeated(self, logits: Tensor) -> Tensor:
        """Logits of the tokens that have been written, an end excepted, are made smaller (Keskar et al. 2019, 4.1)."""
        if self.used is None:
            self.used = torch.zeros_like(logits, dtype=torch.bool).scatter_(1, self.written, True)
        if self.end is not None:
            self.used[:, self.end] = False
        smaller = torch.where(logits > 0, logits / self.manner.repetition, logits * self.manner.repetition)
        return torch.where(self.used, smaller, logits)

    def _allowed(self, logits: Tensor) -> Tensor:
        """-inf where a token may not follow; where none may, the sequence ends, or is free if it cannot."""
        assert self.manner.allowed is not None
        lawful = logits.masked_fill(~self.manner.allowed(self.written).to(logits.device), -torch.inf)
        stuck = (lawful == -torch.inf).all(-1)
        if self.end is None:
            return torch.where(stuck[:, None], logits, lawful)
        lawful[:, self.end] = torch.where(stuck, 0.0, lawful[:, self.end])
        return lawful


def ancestral(begin: Callable[[], Tensor], step: Callable[[Tensor], Tensor], pen: Pen, length: int) -> Iterator[Tensor]:
    """Draw x_t ~ p(x_t | x_<t) for t = 1, 2, .. until every sequence has ended or has `length` tokens.

    begin   -> (B, tokens), the logits of the first token
    step    the token just drawn (B,) -> (B, tokens), the logits of the next
    yields  (B,) tokens
    """
    token: Tensor | None = None
    for _ in range(length):
        with torch.inference_mode():
            token = pen.draw(begin() if token is None else step(token))
        yield token
        if pen.over:
            return
