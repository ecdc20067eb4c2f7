"""Molecules as SMILES: an atom in brackets or a numbered ring is one token, and what is opened is closed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from morelike.codecs._vocabulary import ALL, Characters, characters

SPLIT = re.compile(r"\[[^][]*\]|Cl|Br|%\d\d|.", re.DOTALL)
ONE = r"(?:\[\d*[A-Za-z*][a-z]?[@A-Z\d+:-]*\]|Cl|Br|[BCNOPSFI*bcnops])"  # atom
SHAPE = re.compile(rf"{ONE}(?:{ONE}|[-=#$:/\\().]|%\d\d|\d)*")
MOSTLY = 0.95  # share of the texts that have to be SMILES
JOINED = 0.5  # share that has to have a bond, branch, ring or bracket written: words such as "BIN" have none
# What a token is. A row of FOLLOWS says what may come after: atom, bond, ring, (, ), dot or end, anything else.
ATOM, BOND, RING, OPEN, CLOSE, DOT, OTHER = range(7)
FOLLOWS = {
    **dict.fromkeys((ATOM, RING, CLOSE, OTHER), (1, 1, 1, 1, 1, 1, 1)),
    BOND: (1, 0, 1, 0, 0, 0, 1), OPEN: (1, 1, 0, 0, 0, 0, 1), DOT: (1, 0, 0, 0, 0, 0, 1),
}  # fmt: skip


def are_smiles(texts: Sequence[str], most: int = 2_000) -> bool:
    """Whether nearly all of some texts have the shape of SMILES; their rings and valences are not looked at."""
    seen = [text for text in texts[:: max(1, len(texts) // most)] if text]
    fits = sum(SHAPE.fullmatch(text) is not None and text.count("(") == text.count(")") for text in seen)
    joined = sum(any(sign in text for sign in "([=#1") for text in seen)
    return fits >= MOSTLY * len(seen) > 0 and joined >= JOINED * len(seen)


class Smiles(Characters):
    """One token for each known piece of SMILES; others are spelt in characters, or as these are.

    known   the characters, as in `Characters`
    pieces  the pieces of several characters that are tokens too
    """

    kind = "smiles"

    def __init__(self, known: str, pieces: Sequence[str], spelling: bool) -> None:
        super().__init__(known, spelling)
        self.named, last = tuple(pieces), len(self.pieces)
        self.number = {piece: last + place for place, piece in enumerate(pieces)}
        self.pieces += [piece.encode() for piece in pieces]
        self.lengths = np.array([len(piece) for piece in self.pieces], dtype=np.int64)

    def encode(self, text: str) -> np.ndarray:
        found = list[np.ndarray]()
        for piece in SPLIT.findall(text):
            token = self.number.get(piece)
            found.append(super().encode(piece) if token is None else np.array([token], np.int32))
        return np.concatenate(found) if found else np.zeros(0, np.int32)


def smiles(texts: Sequence[str]) -> Smiles:
    """The pieces of some SMILES, the commonest first."""
    letters, count = characters(texts), Counter[str]()
    for text in texts:
        count.update(piece for piece in SPLIT.findall(text) if len(piece) > 1)
    order = sorted(count, key=lambda piece: (-count[piece], piece))
    return Smiles(letters.known, order[:ALL], letters.first is not None)


class Closed:
    """For `Spec.allowed`: no branch or ring is closed that is not open, and no end comes before all are closed.

    pieces  UTF-8 of each token; pieces[0] is empty and ends the text
    also    what else has to hold
    """

    def __init__(self, pieces: Sequence[bytes], also: Callable[[Tensor], Tensor] | None = None) -> None:
        names, self.also = [piece.decode("utf-8", "replace") for piece in pieces], also
        self.kinds = torch.tensor([_kind(name) for name in names])
        self.follows = torch.tensor([FOLLOWS[kind] for kind in range(OTHER + 1)], dtype=torch.bool)[:, self.kinds]
        self.deeper = (self.kinds == OPEN).long() - (self.kinds == CLOSE).long()
        self.rings = (self.kinds == RING).nonzero()[:, 0]
        self.brackets = torch.tensor([(name == "[") - (name == "]") for name in names])
        self.close = self.kinds == CLOSE

    def __call__(self, tokens: Tensor) -> Tensor:
        """(B, t) tokens so far -> (B, tokens), which may follow."""
        tokens = tokens.cpu()
        last = self.kinds[tokens[:, -1]] if tokens.shape[1] else torch.full((len(tokens),), DOT)
        within = self.brackets[tokens].cumsum(1)  # of an atom that is spelt
        outside = within == 0
        depth = (self.deeper[tokens] * outside).sum(1)
        odd = ((tokens[..., None] == self.rings) & outside[..., None]).sum(1) % 2
        allowed = self.follows[last]
        allowed[:, self.close] &= (depth > 0)[:, None]
        inside = ~outside[:, -1] if tokens.shape[1] else torch.zeros(len(tokens), dtype=torch.bool)
        allowed[inside] = True
        allowed[:, 0] &= (depth == 0) & ~odd.any(1) & ~inside
        return allowed if self.also is None else allowed & self.also(tokens)


def _kind(name: str) -> int:
    if name in ("", "."):
        return DOT
    if name.isdigit() or name[0] == "%":
        return RING
    if name in ("(", ")"):
        return OPEN if name == "(" else CLOSE
    if len(name) == 1 and name in "-=#$:/\\":
        return BOND
    return ATOM if SHAPE.fullmatch(name) else OTHER
