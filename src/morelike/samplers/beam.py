"""Beam search: the likeliest sequence, as far as following a few of the likeliest beginnings finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Search:
    """What a search is to find.

    beam     beginnings that are followed for each source
    length   most tokens, the end included
    end      the token that ends a sequence
    penalty  exponent a of the length in the score log p(x) / ((5 + |x|) / 6)^a (Wu et al. 2016, eq. 14)
    allowed  tokens so far (B, t) -> which may follow, bool (B, tokens); None for all
    """

    beam: int
    length: int
    end: int
    penalty: float = 0.6
    allowed: Callable[[Tensor], Tensor] | None = None

    def norm(self, length: int) -> float:
        """What the log-probability of so many tokens is divided by."""
        return float(((5 + length) / 6) ** self.penalty)


class Best:
    """The best finished sequence of each source so far."""

    def __init__(self, rows: int, search: Search, device: torch.device) -> None:
        self.score = torch.full((rows,), -torch.inf, device=device)
        self.tokens = torch.full((rows, search.length), search.end, device=device)

    def offer(self, scores: Tensor, tokens: Tensor) -> None:
        """Sequences (n, k, t) of every source with their scores (n, k), -inf where there is none."""
        score, place = scores.max(1)
        better = score > self.score
        chosen = tokens[torch.arange(len(tokens)), place]
        self.score = torch.where(better, score, self.score)
        self.tokens[better, : chosen.shape[1]] = chosen[better]


def beam_search(
    begin: Callable[[], Tensor], step: Callable[[Tensor], Tensor], select: Callable[[Tensor], None], search: Search
) -> Tensor:
    """The sequence of the highest score for each source, without its beginning: (n, length), filled up with the end.

    begin   -> (n * beam, tokens), the logits of the first token; the rows of a source stand together
    step    the tokens just taken (n * beam,) -> (n * beam, tokens), the logits of the next
    select  go on with these rows of the cache, (n * beam,)

    A search ends when no beginning can overtake the best finished sequence: log-probabilities only fall.
    """
    k, logits = search.beam, begin()
    n, device = len(logits) // k, logits.device
    sums = torch.full((n, k), -torch.inf, device=device)
    sums[:, 0] = 0.0  # all beginnings are still the same
    tokens = torch.empty(n, k, 0, dtype=torch.long, device=device)
    best, first = Best(n, search, device), torch.arange(n, device=device)[:, None] * k
    for t in range(1, search.length + 1):
        total = sums[..., None] + _log_probs(logits, tokens, search).unflatten(0, (n, k))
        ended = total[..., search.end] / search.norm(t)
        best.offer(ended, torch.cat([tokens, torch.full_like(tokens[..., :1], search.end)], -1))
        total[..., search.end] = -torch.inf
        sums, place = total.flatten(1).topk(k, 1)
        parent, token = place // total.shape[-1], place % total.shape[-1]
        tokens = torch.cat([tokens.gather(1, parent[..., None].expand(-1, -1, t - 1)), token[..., None]], -1)
        if t == search.length:
            best.offer(sums / search.norm(t), tokens)
            break
        if bool((sums[:, 0] / search.norm(search.length) <= best.score).all()):
            break
        select((first + parent).flatten())
        logits = step(token.flatten())
    return best.tokens


def _log_probs(logits: Tensor, tokens: Tensor, search: Search) -> Tensor:
    """log p of the next token, -inf where it may not follow; a sequence that nothing may follow ends."""
    if search.allowed is not None:
        mask = search.allowed(tokens.flatten(0, 1)).to(logits.device).clone()
        mask[:, search.end] |= ~mask.any(-1)
        logits = logits.masked_fill(~mask, -torch.inf)
    return logits.float().log_softmax(-1)
