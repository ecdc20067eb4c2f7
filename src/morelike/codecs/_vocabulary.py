"""Vocabularies: text <-> whole numbers from 1 on, by bytes, by characters, or by pieces of words (BPE).

Token 0 is no text: it is what stands between documents. Every other token stands for some bytes of UTF-8, so that
decoding is the same for all: put the bytes side by side.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from morelike.core.errors import missing_extra

KINDS = ("bytes", "characters", "bpe", "smiles")
RARE = 2  # times that a character has to be there to be a token, in a vocabulary with bytes to spell others
ALL = 512  # different characters up to which none is left out
_MOST_UNICODE = 0x110000
_INSTEAD = ("\ufffd", "?", "？", "_", "□", " ")  # what may stand for a character that cannot be written
_PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "–": "-", "—": "-",
                        "…": "...", "·": ".", "•": "*", "\t": " ", "\xa0": " "})  # fmt: skip


class Vocabulary:
    """Text <-> tokens.

    pieces  UTF-8 that each token stands for; pieces[0] is empty
    """

    kind = "bytes"

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        self.lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> np.ndarray:
        """Text -> int32 (T,), never 0."""
        tokens = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        return tokens[tokens > 0].astype(np.int32)

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Many texts at once."""
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens -> text; bytes that are no UTF-8 become U+FFFD, and 0 nothing."""
        pieces = self.pieces
        return b"".join([pieces[token] for token in tokens]).decode("utf-8", "replace")

    def instead(self, text: str) -> dict[str, str]:
        """The characters of a text that cannot be written, and what is written in their place."""
        return {}

    def lawful(self, text: str) -> bool:
        """Whether a whole text could be one of those that this vocabulary is for."""
        return True


class Characters(Vocabulary):
    """One token for each known character; others are spelt in bytes, or written in the nearest known way.

    known     the characters, in the order of their tokens
    spelling  whether there are 256 more tokens for the bytes of others
    """

    kind = "characters"

    def __init__(self, known: str, spelling: bool) -> None:
        single = [bytes([byte]) for byte in range(256)] if spelling else []
        super().__init__([b"", *(char.encode() for char in known), *single])
        self.known, self.first = known, 1 + len(known) if spelling else None
        points = np.frombuffer(known.encode("utf-32-le"), "<u4")
        self.table = np.zeros(1 + int(points.max(initial=0)), np.int32)
        self.table[points] = np.arange(1, 1 + len(points))

    def encode(self, text: str) -> np.ndarray:
        points = np.frombuffer(text.encode("utf-32-le", "replace"), "<u4")
        tokens = self.table[np.minimum(points, len(self.table) - 1)]
        tokens = np.where(points < len(self.table), tokens, 0)
        missing = np.flatnonzero(tokens == 0)
        if not len(missing):
            return tokens
        found, before = [], 0
        for place in missing.tolist():
            found += [tokens[before:place], np.array(self._spelt(chr(points[place])), np.int32)]
            before = place + 1
        return np.concatenate([*found, tokens[before:]]).astype(np.int32)

    def _spelt(self, char: str) -> list[int]:
        if self.first is not None:
            return [self.first + byte for byte in char.encode("utf-8", "replace") if byte]
        return [self.known.index(one) + 1 for one in self._nearest(char)]

    def _nearest(self, char: str) -> str:
        """The character in another form that is known, else what stands for all unknown ones, else nothing."""
        bare = "".join(one for one in unicodedata.normalize("NFKD", char) if not unicodedata.combining(one))
        for form in (unicodedata.normalize("NFKC", char), bare, char.translate(_PLAIN), char.swapcase(), bare.lower()):
            if form and all(one in self.known for one in form):
                return form
        return next((one for one in _INSTEAD if one in self.known), "")

    def instead(self, text: str) -> dict[str, str]:
        if self.first is not None:
            return {}
        return {char: self._nearest(char) for char in dict.fromkeys(text) if char not in self.known}


class Bpe(Vocabulary):
    """Pieces of words, found by merging the pair of pieces that is there most often (Sennrich et al. 2016), in bytes.

    merges  "left right" in the order in which they were found, bytes written as GPT-2 does
    pieces  what the tokens from 1 on stand for, written in the same way, in the order of a vocabulary from elsewhere;
            nothing, or what is not written so, where no text has the token
    """

    kind = "bpe"

    def __init__(self, merges: Sequence[str], pieces: Sequence[str] = ()) -> None:
        back = {letter: byte for byte, letter in enumerate(letters())}
        number = {piece: place for place, piece in enumerate(pieces or back) if piece}
        for merge in () if pieces else merges:
            number.setdefault(merge.replace(" ", ""), len(number))
        ordered = pieces or list(number)
        super().__init__([b"", *(_spelt(piece, back) for piece in ordered)])
        self.merges, self.written = tuple(merges), tuple(ordered)
        self.coder = _coder(number, [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)])

    def encode(self, text: str) -> np.ndarray:
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [tokens for some in _batches(texts) for tokens in self._encode_some(some)]

    def _encode_some(self, texts: Sequence[str]) -> list[np.ndarray]:
        found = self.coder.encode_batch_fast([text.replace("\0", "") for text in texts], add_special_tokens=False)
        return [np.array(one.ids, dtype=np.int32) + 1 for one in found]


def _batches(texts: Sequence[str], most: int = 1 << 16) -> Iterator[list[str]]:
    """Texts in batches of some characters: until it is an array, the library needs a hundred bytes for a token."""
    some, size = list[str](), 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= most:
            yield some
            some, size = [], 0
    if some:
        yield some


def _spelt(piece: str, back: Mapping[str, int]) -> bytes:
    return bytes(back[letter] for letter in piece) if all(letter in back for letter in piece) else b""


def letters() -> list[str]:
    """The visible character by which GPT-2 writes each byte (Radford et al. 2019)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise missing_extra("tokenizers", "text", "A vocabulary of pieces of words") from None
    return tokenizers


def _coder(number: dict[str, int], merges: list[tuple[str, str]]) -> Any:
    tokenizers = _library()
    coder = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=number, merges=merges))
    coder.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return coder


def characters(texts: Iterable[str], most: int | None = None) -> Characters:
    """The characters of some texts, the commonest first; rare ones of many are spelt in bytes.

    most  size of the vocabulary at most; None for all that are there twice or more
    """
    count = Counter[str]()
    for text in texts:
        count.update(text)
    order = sorted(count, key=lambda char: (-count[char], char))
    kept = order if len(order) <= ALL else [char for char in order if count[char] >= RARE]
    if most is not None and len(kept) + 1 > most:
        kept = kept[: max(1, most - 257)]
    return Characters("".join(kept), spelling=len(kept) < len(order))


def merges(texts: Iterable[str], size: int) -> list[str]:
    """The merges of a BPE vocabulary of this size, learnt from some texts; fewer where there is no pair left."""
    tokenizers = _library()
    coder = tokenizers.Tokenizer(tokenizers.models.BPE())
    coder.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=max(256, size - 1), initial_alphabet=letters(), min_frequency=2, show_progress=False
    )
    coder.train_from_iterator(_pieces(texts), trainer)
    found = json.loads(coder.to_str())["model"]["merges"]
    return [one if isinstance(one, str) else " ".join(one) for one in found]


def _pieces(texts: Iterable[str], most: int = 1 << 16) -> Iterator[str]:
    """Long texts in pieces, so that they are worked on side by side."""
    for text in texts:
        yield from (text[begin : begin + most] for begin in range(0, len(text), most))
