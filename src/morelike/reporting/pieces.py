"""Pieces of documents that are longer than a model reads at once, which stand beside samples of that length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from morelike.data.ragged import Ragged

LONG = 2.0  # times the context that documents have on the middle, where pieces take their place
MOST = 20_000  # pieces of a kind
BREAKS = (b"\n\n", b"\n", b". ", "。".encode(), b" ")  # after which a piece may begin, the best first
_AHEAD = 0.5  # share of a piece within which its beginning may be moved


def long(x: Ragged, context: int) -> bool:
    """Whether documents are so long that a sample is only a part of one."""
    return bool(len(x)) and float(np.median(x.lengths)) > LONG * context


def cut(documents: Sequence[np.ndarray], codec: Any, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pieces of at most a context, and the document of each, (n,) in order: at most `MOST`.

    Each begins where a document might: at a blank line, else at a line, else at a sentence, else at a word, if there
    is one within half a piece; the first begins with its document. What follows after the last full piece is left out.
    Of more pieces a random part is taken.
    """
    owners, found = list[int](), list[np.ndarray]()
    for owner, tokens in enumerate(documents):
        at, size = 0, int(codec.context)
        while at == 0 or at + size <= len(tokens):
            owners.append(owner)
            found.append(tokens[at : at + size])
            at = beginning(tokens, at + size, codec.strings, size)
    kept = np.arange(len(found))
    if len(kept) > MOST:
        kept = np.sort(np.random.default_rng(seed).choice(len(found), MOST, replace=False))
    return np.array(owners, dtype=np.int64)[kept], [found[place] for place in kept.tolist()]


def beginning(tokens: np.ndarray, at: int, strings: Sequence[bytes], size: int) -> int:
    """The first place from `at` on that stands behind a break, of the best kind that there is within half a piece."""
    ahead = [strings[token] for token in tokens[at - 1 : at + int(_AHEAD * size)].tolist()]
    ends = {int(place): number for number, place in enumerate(np.cumsum([len(one) for one in ahead]))}
    joined = b"".join(ahead)
    for kind in BREAKS:
        place = joined.find(kind)
        while place >= 0:
            if place + len(kind) in ends:
                return at + ends[place + len(kind)]
            place = joined.find(kind, place + 1)
    return at
