"""Whether lines of text are molecules: the shape of SMILES, by which a file is told before any of it is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

ONE = r"(?:\[\d*[A-Za-z*][a-z]?[@A-Z\d+:-]*\]|Cl|Br|[BCNOPSFI*bcnops])"  # atom
SHAPE = re.compile(rf"{ONE}(?:{ONE}|[-=#$:/\\().]|%\d\d|\d)*")
MOSTLY = 0.95  # share of the texts that have to be SMILES
JOINED = 0.5  # share that has to have a bond, branch, ring or bracket written: words such as "BIN" have none
_BRACKET, _RING = re.compile(r"\[[^]]*\]"), re.compile(r"%\d\d|\d")


def are_smiles(texts: Sequence[str], most: int = 2_000) -> bool:
    """Whether nearly all of some texts have the shape of SMILES; what rings join and valences are not looked at."""
    seen = [text for text in texts[:: max(1, len(texts) // most)] if text]
    fits = sum(SHAPE.fullmatch(text) is not None and text.count("(") == text.count(")") and _closed(text)
               for text in seen)  # fmt: skip
    joined = sum(any(sign in text for sign in "([=#1") for text in seen)
    return fits >= MOSTLY * len(seen) > 0 and joined >= JOINED * len(seen)


def _closed(text: str) -> bool:
    """Whether every ring that is opened is closed: its number is there twice, which those of codes, P10027, are not."""
    return all(count % 2 == 0 for count in Counter(_RING.findall(_BRACKET.sub("", text))).values())


def only_smiles(text: str) -> str:
    """The first word of each line of a .smi file, behind which stand names, and no line that is a header."""
    first = [words[0] for line in text.split("\n") if (words := line.split())]
    return "\n".join(first[1:] if first and "smiles" in first[0].lower() else first) + "\n"
