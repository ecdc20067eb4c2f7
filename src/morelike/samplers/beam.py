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
    """The best finished sequence of each source so far: its score (n,), its tokens (n, length)."""

    def __init__(self, rows: int, search: Search, device: torch.device) -> None:
        self.score = torch.full((rows,), -torch.inf, device=device)
        self.tokens = torch.full((rows, search.length), search.end, device=device)

    def offer(self, rows: Tensor, scores: Tensor, tokens: Tensor) -> None:
        """Sequences (m, k, t) of the sources `rows` (m,) with their scores (m, k), -inf where there is none."""
        score, place = scores.max(1)
        better = score > self.score[rows]
        chosen = tokens[torch.arange(len(rows), device=rows.device), place]
        self.score[rows[better]] = score[better]
        self.tokens[rows[better], : tokens.shape[2]] = chosen[better]


def beam_search(
    begin: Callable[[], Tensor], step: Callable[[Tensor], Tensor], select: Callable[[Tensor], None], search: Search,
    prompt: Tensor,
) -> Tensor:  # fmt: skip
    """The sequence of the highest score for each source, without its prompt: (n, length), filled up with the end.

    begin   -> (n * beam, tokens), the logits of the first token; the rows of a source stand together
    step    the tokens just taken (m * beam,) -> (m * beam, tokens), the logits of the next
    select  go on with these rows of the cache, (m * beam,): m sources are left
    prompt  (n, P) what each sequence begins with, for `allowed`

    An ending counts where it is among the `beam` best continuations, so that a beam of 1 is the greedy text. The
    search of a source is over when no beginning can overtake its best finished sequence: log-probabilities only fall.
    """
    k, n, device, before = search.beam, len(prompt), prompt.device, prompt.shape[1]
    sums = torch.full((n, k), -torch.inf, device=device)
    sums[:, 0] = 0.0  # all beginnings are still the same
    best, left, tokens, logits = Best(n, search, device), torch.arange(n, device=device), prompt[:, None], begin()
    tokens = tokens.expand(-1, k, -1)
    for t in range(1, search.length + 1):
        total = sums[..., None] + _log_probs(logits, tokens, search).unflatten(0, (len(left), k))
        sums, longer, _ = _likeliest(total, tokens, k)
        sums = sums.masked_fill(longer[..., -1] != search.end, -torch.inf)
        best.offer(left, sums / search.norm(t), longer[..., before:])
        total[..., search.end] = -torch.inf
        sums, tokens, parent = _likeliest(total, tokens, k)
        if t == search.length:
            best.offer(left, sums / search.norm(t), tokens[..., before:])
            break
        open_ = sums[:, 0] / search.norm(search.length) > best.score[left]
        if not bool(open_.any()):
            break
        first = torch.arange(len(left), device=device)[:, None] * k
        select((first + parent)[open_].flatten())
        sums, tokens, left = sums[open_], tokens[open_], left[open_]
        logits = step(tokens[..., -1].flatten())
    return best.tokens


def _likeliest(total: Tensor, tokens: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """The k likeliest continuations: log p (m, k), tokens (m, k, t + 1), and which beginning they continue (m, k).

    total: (m, k, tokens) log p of all of them; tokens: (m, k, t) the beginnings.
    """
    sums, place = total.flatten(1).topk(k, 1)
    parent, token = place // total.shape[-1], place % total.shape[-1]
    kept = tokens.gather(1, parent[..., None].expand(-1, -1, tokens.shape[2]))
    return sums, torch.cat([kept, token[..., None]], -1), parent


def _log_probs(logits: Tensor, tokens: Tensor, search: Search) -> Tensor:
    """log p of the next token, -inf where it may not follow; a sequence that nothing may follow ends."""
    if search.allowed is not None:
        logits = logits.masked_fill(~search.allowed(tokens.flatten(0, 1)).to(logits.device), -torch.inf)
        logits[:, search.end] = torch.where((logits == -torch.inf).all(-1), 0.0, logits[:, search.end])
    return logits.float().log_softmax(-1)
