"""Text: documents <-> tokens, by bytes, by characters or by pieces of words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from morelike.chemistry.lines import are_smiles
from morelike.codecs import _text_blemishes, _text_looks, _text_twins, _texts
from morelike.codecs._pattern import Pattern
from morelike.codecs._reading import read
from morelike.codecs._smiles import Smiles, smiles
from morelike.codecs._suited import by_bytes, learnt, suited
from morelike.codecs._vocabulary import KINDS, Bpe, Characters, Vocabulary, characters
from morelike.codecs._whole import Whole, whole
from morelike.core.codec import Blemish, Item, Look, Metric
from morelike.core.distribution import Categorical
from morelike.core.errors import DataError, OptionError, unknown
from morelike.core.spec import Spec

VOCABULARIES = ("auto", *KINDS)
FORMS = ("NFC", "NFKC", "as is")
END = 0
SHORT, COVERED = 512, 0.98  # context up to which short documents are held whole, and the share of them that are
LONG = 256  # context where documents are longer
_MEASURED = 2 << 20  # characters of the documents whose length in tokens is measured
_SIZE = 2048  # of a BPE vocabulary where none is named


@dataclass(frozen=True)
class Config:
    """How documents become tokens.

    vocabulary  auto (measured on the data) | bytes | characters | bpe | smiles (atoms, bonds and rings of molecules)
    size        of the vocabulary at most; None to measure it
    context     tokens that a model sees at once; None to measure it: short documents whole, 256 of long ones
    form        NFC | NFKC (wide letters and ligatures made plain) | as is

    Found by `fit`: known (the characters), spelling (whether others are spelt in bytes), merges (of bpe); pieces are
    tokens of several characters in smiles, and those of a bpe vocabulary that was brought, in their order.
    """

    vocabulary: str = "auto"
    size: int | None = None
    context: int | None = None
    form: str = "NFC"
    known: str = ""
    spelling: bool = False
    merges: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "merges", tuple(self.merges))
        object.__setattr__(self, "pieces", tuple(self.pieces))
        for kind, name, known in (("vocabulary", self.vocabulary, VOCABULARIES), ("form", self.form, FORMS)):
            if name not in known:
                raise unknown(kind, name, known)
        for name, value in (("size", self.size), ("context", self.context)):
            if value is not None and not 2 <= value <= 1 << 20:
                raise OptionError(
                    f"The {name} is {value}", "A whole number of at least 2", "Leave it out to measure it"
                )


class Codec:
    """Documents <-> tokens.

    Stored as (T,) of the smallest unsigned type, all tokens of a document, without 0; encoded as int64 (B, T) with a
    0 before and after each document; decoded to an array (B,) of str. Decoding the encoded gives back the text in its
    normal form, up to the context, and but for characters that a vocabulary without bytes has never seen.
    """

    natural, suffix, ragged = "text", ".txt", True
    versions = "alike but for some words, signs or spaces"
    metrics: Sequence[Metric] = ()
    disguises: Mapping[str, Callable[[Tensor], Tensor]] = {}

    def __init__(self, config: Config = Config(), said: str = "") -> None:
        self.config, self.said = config, said
        self._vocabulary: Vocabulary | None = None
        self._allowed: Whole | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens. Raises `OptionError` before `fit`."""
        if self._vocabulary is None:
            self._vocabulary = _vocabulary(self.config)
        return self._vocabulary

    @property
    def context(self) -> int:
        """Tokens that a model sees at once."""
        if self.config.context is None:
            raise _unsettled()
        return self.config.context

    @property
    def covered(self) -> float:
        """Share of short documents that the context should hold whole; more of molecules, as a part of one is none."""
        return 0.999 if self.vocabulary.kind == "smiles" else COVERED

    @property
    def shape(self) -> tuple[int]:
        """(T,) of an encoded document: the context and one token more, which is predicted."""
        return (self.context + 1,)

    @property
    def strings(self) -> list[bytes]:
        """UTF-8 of each token; that of 0 is empty."""
        return self.vocabulary.pieces

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on; the context may change without preparing the documents again."""
        config = self.config
        known = (config.known, config.merges, *((config.pieces,) if config.pieces else ()))
        digest = blake2b(repr(known).encode("utf-8", "replace"), digest_size=16).hexdigest()
        return ("text", self.vocabulary.kind, config.spelling, config.form, digest)

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec with vocabulary and context settled by reading the items; `said` tells what was chosen and why.

        Raises `DataError` when none of them holds text.
        """
        found = read(items)
        codec = self.fit_texts(found.texts, found.share)
        others = set(self.normal("".join(sorted(found.letters)))) - set(codec.config.known)
        if codec.config.vocabulary not in ("characters", "smiles") or (found.whole and not others):
            return codec
        return Codec(replace(codec.config, spelling=True), codec.said)  # what was not read may have more characters

    def fit_texts(self, texts: Iterable[str], share: float = 1.0) -> Codec:
        """The same for texts that are there already, such as the values of a field; they are a share of all."""
        kept = [text for text in map(self.normal, texts) if text]
        if not kept:
            raise DataError("There is no text in any item", "At least two documents", "Look at the files")
        config, said = _settled(self.config, kept, share)
        codec = Codec(config, said)
        if config.context is not None:
            return codec
        step = max(1, sum(min(len(text), 8 * SHORT) for text in kept) // _MEASURED)
        lengths = [len(one) for one in codec.vocabulary.encode_all([text[: 8 * SHORT] for text in kept[::step]])]
        return Codec(replace(config, context=fitting_context(lengths, codec.covered)), said)

    def normal(self, text: str) -> str:
        """A text in the normal form of the codec, without NUL and halves of characters."""
        form = self.config.form
        if form != "as is" and not unicodedata.is_normalized(form, text):  # type: ignore[arg-type]
            text = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        text = text if text.isprintable() else text.replace("\0", "")
        return text.encode("utf-8", "replace").decode() if not text.isascii() else text

    def tokens(self, text: str) -> np.ndarray:
        """Text -> (T,) of the smallest unsigned type that holds the vocabulary, never 0."""
        found = self.vocabulary.encode(self.normal(text))
        size = len(self.vocabulary)
        return found.astype(np.uint8 if size <= 256 else np.uint16 if size <= 1 << 16 else np.int32)

    def instead(self, text: str) -> dict[str, str]:
        """The characters of a text that the vocabulary does not have, and what is written in their place."""
        return self.vocabulary.instead(self.normal(text))

    def prepare(self, item: Item) -> np.ndarray:
        """Read one document: (T,) tokens. Raises `DataError` where it is empty, or whatever its reader raises."""
        found = self.tokens(str(item.load()))
        if not len(found):
            raise DataError("empty", "some text", "Leave it out")
        return found

    def encode(self, stored: Sequence[np.ndarray | Tensor]) -> Tensor:
        """Documents, one in a row -> int64 (B, T): 0, the document up to the context, 0 where there is room."""
        rows = [np.concatenate([[END], np.asarray(one)[: self.context], [END]]) for one in stored]
        return padded(rows, self.context + 1)

    def windows(self, stored: Sequence[np.ndarray | Tensor]) -> tuple[Tensor, Tensor]:
        """Whole documents, in as many rows as they need -> int64 (R, T), and int64 (R,) the document of each row.

        Every token is predicted once: a row that goes on with a document begins with the token before.
        """
        rows, owners = [], []
        for owner, one in enumerate(stored):
            whole = np.concatenate([[END], np.asarray(one), [END]])
            for begin in range(0, len(whole) - 1, self.context):
                rows.append(whole[begin : begin + self.context + 1])
                owners.append(owner)
        return padded(rows, self.context + 1), torch.tensor(owners, dtype=torch.int64)

    def decode(self, x: Tensor) -> np.ndarray:
        """int (B, T) -> (B,) of str; several documents in a row are set apart by a blank line."""
        texts = np.empty(len(x), dtype=object)
        for place, row in enumerate(x.detach().cpu().tolist()):
            texts[place] = "\n\n".join(self.vocabulary.decode(one) for one in _documents(row))
        return texts

    def kept(self, texts: np.ndarray) -> np.ndarray:
        """Which of some whole texts (B,) could be, bool (B,): of SMILES those that are molecules, of others all."""
        return np.array([self.vocabulary.lawful(text) for text in texts.tolist()], bool)

    def byte_counts(self, x: Tensor) -> Tensor:
        """int (B, T) -> int64 (B,): bytes of UTF-8 that the tokens after the first stand for, which are predicted."""
        lengths = torch.from_numpy(self.vocabulary.lengths).to(x.device)
        return lengths[x[:, 1:].long()].sum(1)

    def pattern(self, regex: str, begin: int = 1) -> Callable[[Tensor], Tensor]:
        """For `Manner.allowed`: only tokens by which the text can still match; the end where it does.

        begin  tokens at the head of each row that are given: the leading 0 and those of a prompt
        """
        return Pattern(regex, self.strings, begin)

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of an encoded document. Raises `OptionError` for a family that needs gradients through samples."""
        if needs == "rsample":
            raise OptionError(
                "Text is made of separate tokens, through which there is no gradient",
                "A family that predicts the next token",
                "Choose autoregressive",
            )
        size = len(self.vocabulary)
        return Spec(
            self.shape, tokens=size, head_shape=(*self.shape, size), head=Categorical, end=END, allowed=self._whole()
        )

    def _whole(self) -> Whole | None:
        """What keeps characters whole that are spelt in several tokens; one for all that ask."""
        if self._allowed is None:
            self._allowed = whole(self.strings)
        return self._allowed

    def look(self, item: Item) -> Look:
        """Length, script, language, repetition, odd characters and personal data of a text."""
        return _text_looks.look(item)

    def judge(self, looks: Sequence[Look]) -> list[Blemish]:
        """Texts that are short, broken, repetitive, in another language, or hold boilerplate or personal data."""
        return _text_blemishes.judge(looks)

    def sketch(self, stored: Sequence[np.ndarray | Tensor]) -> Tensor:
        """Documents -> float32 (B, 256), alike where they share their wording."""
        return _text_twins.sketch(self.vocabulary.decode(np.asarray(one).tolist()) for one in stored)

    def signature(self, sketch: Tensor) -> Tensor:
        """Sketches -> (B, 256), less than 1 apart for two versions of one text."""
        return _text_twins.signature(sketch)

    def difference(self, a: Tensor, b: Tensor) -> Tensor:
        """Pairs of sketches -> (P,): below 1 for two versions of one text."""
        return _text_twins.difference(a, b)

    def html(self, items: np.ndarray) -> list[str]:
        """Texts (N,) as `<pre class="item">` each, escaped."""
        return _texts.html(items)

    def joined(self, items: np.ndarray) -> str:
        """Texts (N,) one after another."""
        return _texts.joined(items)

    def write(self, items: np.ndarray, target: Path) -> list[Path]:
        """Write texts (N,) one after another (.txt), as JSON lines (.jsonl), or into a folder of .txt files."""
        return _texts.write(items, Path(target))


def padded(rows: Sequence[np.ndarray], most: int) -> Tensor:
    """Rows of tokens, cut to `most` -> int64 (B, T), as long as the longest, filled up with 0."""
    found = torch.zeros(len(rows), min(most, max((len(row) for row in rows), default=0)), dtype=torch.int64)
    for place, row in enumerate(rows):
        found[place, : min(most, len(row))] = torch.from_numpy(row[:most].astype(np.int64))
    return found


def fitting_context(lengths: Sequence[int], covered: float = COVERED) -> int:
    """Long enough for this share of documents with these numbers of tokens, if that is 512 at most; a multiple of 8."""
    wanted = int(np.quantile(np.asarray(lengths), covered, method="inverted_cdf")) + 1 if len(lengths) else SHORT
    return max(16, -(-wanted // 8) * 8) if wanted <= SHORT else LONG


def _documents(row: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = [[]]
    for token in row:
        if token != END:
            found[-1].append(token)
        elif found[-1]:
            found.append([])
    return found[:-1] if len(found) > 1 and not found[-1] else found


def _settled(config: Config, texts: Sequence[str], share: float) -> tuple[Config, str]:
    """With the vocabulary that is named, or that suits the texts."""
    if config.vocabulary == "bytes" or config.known or config.merges:
        return config, ""
    found: Vocabulary
    if config.vocabulary == "smiles" or (config.vocabulary == "auto" and config.size is None and are_smiles(texts)):
        found = smiles(texts)
        said = f"Vocabulary: {len(found):,} pieces of SMILES, as the texts are molecules."
    elif config.vocabulary == "auto" and config.size is None:
        found, said = suited(texts, share)
    elif config.vocabulary == "bpe" or (config.vocabulary == "auto" and len(characters(texts)) > (config.size or 0)):
        found, said = learnt(texts, config.size or _SIZE), ""
    else:
        found, said = characters(texts, config.size), ""
    config = replace(config, vocabulary=found.kind)
    if isinstance(found, Characters):
        pieces = found.named if isinstance(found, Smiles) else ()
        return replace(config, known=found.known, pieces=pieces, spelling=found.first is not None), said
    return replace(config, merges=found.merges) if isinstance(found, Bpe) else config, said


def _vocabulary(config: Config) -> Vocabulary:
    if config.vocabulary == "bytes":
        return by_bytes()
    if config.vocabulary == "characters" and config.known:
        return Characters(config.known, config.spelling)
    if config.vocabulary == "smiles" and config.known:
        return Smiles(config.known, config.pieces, config.spelling)
    if config.vocabulary == "bpe" and config.merges:
        return Bpe(config.merges, config.pieces)
    raise _unsettled()


def _unsettled() -> OptionError:
    found, expected = "The vocabulary and context are not settled", "A codec that has read documents"
    return OptionError(found, expected, "Call fit first")


def tiny() -> Codec:
    """A small codec that is ready to use, for tests."""
    return Codec(Config("characters", context=16, known=" abcdefg"))
