"""Molecules as SMILES: an atom in brackets, such as [C@@H], is one token, and so are Cl, Br and %12."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from morelike.chemistry.valence import fault
from morelike.codecs._vocabulary import ALL, Characters, characters

SPLIT = re.compile(r"\[[^][]*\]|Cl|Br|%\d\d|.", re.DOTALL)


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
        self.number |= {char: 1 + place for place, char in enumerate(known)}
        self.pieces += [piece.encode() for piece in pieces]
        self.lengths = np.array([len(piece) for piece in self.pieces], dtype=np.int64)

    def lawful(self, text: str) -> bool:
        """Whether a text is a molecule that could be."""
        return not fault(text)

    def encode(self, text: str) -> np.ndarray:
        found = list[int]()
        for piece in SPLIT.findall(text):
            token = self.number.get(piece)
            found += super().encode(piece).tolist() if token is None else [token]
        return np.array(found, np.int32)


def smiles(texts: Sequence[str]) -> Smiles:
    """The pieces of some SMILES, the commonest first."""
    letters, count = characters(texts), Counter[str]()
    for text in texts:
        count.update(piece for piece in SPLIT.findall(text) if len(piece) > 1)
    order = sorted(count, key=lambda piece: (-count[piece], piece))
    return Smiles(letters.known, order[:ALL], letters.first is not None)
