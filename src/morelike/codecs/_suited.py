"""Which vocabulary suits some text: measured by how well a quick model predicts a part that was held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from morelike.codecs import _ngram
from morelike.codecs._vocabulary import Bpe, Characters, Vocabulary, characters, merges
from morelike.core.errors import OptionError

SIZES = (512, 1024, 2048, 4096, 8192)  # of BPE vocabularies that are tried
SAMPLE = 600_000  # bytes on which vocabularies are compared
TAUGHT = 4 << 20  # bytes from which merges are learnt
LEAST = 20_000  # bytes below which there is nothing to compare: characters
HELD = 0.1  # share of the sample that is held out
COST = 8.0  # bits that a token of the vocabulary costs, as its share of the text has to pay for what it is to be learnt
WORTH = 0.03  # share of the bits by which another has to be better than characters
ORDERS = {"bytes": 7, "characters": 7, "bpe": 4}
FOREIGN = 0.05  # share of bytes beyond ASCII from which bytes differ from characters enough to be tried


class Trial(NamedTuple):
    """A vocabulary, and what it costs: bits per byte of the held-out part, and with the cost of its tokens."""

    vocabulary: Vocabulary
    bits: float
    cost: float

    @property
    def words(self) -> str:
        kind, size = self.vocabulary.kind, len(self.vocabulary)
        return f"{kind} {self.bits:.2f}" if kind == "bytes" else f"{size:,} {kind} {self.bits:.2f}"


def suited(texts: Sequence[str], part: float = 1.0) -> tuple[Vocabulary, str]:
    """The vocabulary that suits some texts, which are this part of all, and why, in one line.

    Characters are kept unless another one needs 3 % fewer bits per byte on a held-out part, with 8 bits for each of
    its tokens.
    """
    total = sum(len(text) for text in texts) / part
    own = characters(texts)
    sample = _drawn(texts, SAMPLE)
    size = sum(len(text.encode()) for text in sample)
    if size < LEAST or len(sample) < 20:
        return own, f"Vocabulary: {len(own):,} characters (too little text to compare others)."
    held, train = sample[: max(2, round(HELD * len(sample)))], sample[max(2, round(HELD * len(sample))) :]
    share = max(1.0, total / max(1, sum(map(len, sample))))
    trials = [_tried(one, train, held, share) for one in _candidates(texts, own, train)]
    first, best = trials[0], min(trials, key=lambda one: one.cost)
    if best.cost > (1 - WORTH) * first.cost:
        best = first
    others = ", ".join(one.words for one in trials if one is not best)
    chosen = best.vocabulary
    if isinstance(chosen, Bpe):
        larger = len(chosen) * 2 ** int(math.log(share, 4))  # more text pays for more tokens
        chosen = learnt(texts, min(SIZES[-1], larger))
    return chosen, f"Vocabulary: {best.words} bits per byte by a quick model; others: {others}."


def learnt(texts: Sequence[str], size: int) -> Bpe:
    """A BPE vocabulary of this size at most, learnt from the texts, or from 4 MiB of them."""
    if size < 258:
        raise OptionError(f"The vocabulary has {size} tokens", "At least 258 for bpe, which has all bytes", "Say 1024")
    return Bpe(merges(_drawn(texts, TAUGHT), size))


def _candidates(texts: Sequence[str], own: Characters, train: Sequence[str]) -> list[Vocabulary]:
    found: list[Vocabulary] = [own]
    size, letters = sum(len(text.encode()) for text in train), sum(map(len, train))
    if size > (1 + FOREIGN) * letters:
        found.append(by_bytes())
    try:
        learnt_merges = merges(train, SIZES[-1])
    except OptionError:  # without the library there is one candidate less
        return found
    sizes = [one for one in SIZES if one <= 256 + len(learnt_merges)]
    return [*found, *(Bpe(learnt_merges[: one - 257]) for one in sizes)]


def by_bytes() -> Vocabulary:
    """The vocabulary of bytes: each is its own token, as text holds no NUL."""
    return Vocabulary([b"", *(bytes([byte]) for byte in range(1, 256))])


def _tried(vocabulary: Vocabulary, train: Sequence[str], held: Sequence[str], share: float) -> Trial:
    """share: how many times as large as the sample all of the text is"""
    taught, kept = (vocabulary.encode_all(part) for part in (train, held))
    nats = _ngram.nats(taught, kept, len(vocabulary), ORDERS[vocabulary.kind])
    bits = nats / math.log(2) / sum(len(text.encode()) for text in held)
    used = len(np.unique(np.concatenate(taught))) if isinstance(vocabulary, Characters) else len(vocabulary)
    return Trial(vocabulary, bits, bits + COST * used / (share * sum(len(text.encode()) for text in train)))


def _drawn(texts: Sequence[str], most: int) -> list[str]:
    """Texts in an order of chance that is always the same, until they have so many bytes; long ones are cut."""
    found, total = [], 0
    for place in np.random.default_rng(0).permutation(len(texts)).tolist():
        text = texts[place][: most // 20]
        found.append(text)
        total += len(text.encode())
        if total >= most:
            break
    return found
