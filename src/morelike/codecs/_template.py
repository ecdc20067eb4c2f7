"""Texts <-> the numbers in them and what stands around these, the template: 120/80, 5m 3s.

A pattern says how it is done: . or , for what stands before decimals, n where all numbers are whole; < or > where the
first of two numbers is never above, or never below, the second; then the least digits of each, with commas between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ABSENT = "\x00"  # where a number was, in a template
_MINUS = "\x01"  # a sign that belongs to a number, and is no stroke between two
_NUMBERS = {
    ".": r"\x01?\d{1,3}(?:,\d{3})+(?:\.\d+)?|\x01?\d+(?:\.\d+)?",
    ",": r"\x01?\d{1,3}(?:\.\d{3})+(?:,\d+)?|\x01?\d+(?:,\d+)?",
    "n": r"\x01?\d+",
}


def divided(text: Any, mark: str) -> tuple[Any, Any]:
    """A polars column of texts -> the template of each, and lists of the numbers in it.

    mark  what stands before decimals, . or ,; n where all numbers are whole
    """
    import polars

    signed = text.str.replace_all(r"(^|[\s,;(\[/:=])-(\d)", "${1}" + _MINUS + "${2}")
    tokens = signed.str.extract_all(_NUMBERS[mark])
    plain = polars.element().str.replace(_MINUS, "-", literal=True)
    return signed.str.replace_all(_NUMBERS[mark], ABSENT), tokens.list.eval(plain)


def parted(text: Any, pattern: str, known: Sequence[str], width: int) -> list[Any]:
    """Templates, and the numbers at each of `width` places, polars columns of text: null where a template is not known
    or has no number there."""
    import polars

    templates, tokens = divided(text, pattern[0])
    there = templates.is_in(known).fill_null(False)
    parts = [tokens.list.get(place, null_on_oob=True) for place in range(width)]
    parts = [one.str.replace(r"^0+(\d)", "$1") if pad else one for one, pad in zip(parts, _pads(pattern), strict=True)]
    nothing = polars.Series([None], dtype=polars.String).new_from_index(0, len(text))
    return [one.zip_with(there, nothing) for one in (templates, *parts)]


def in_order(parts: Sequence[np.ndarray], pattern: str) -> Sequence[np.ndarray]:
    """Numbers (N,) of each place, two of them exchanged where they are not in the order that they always had."""
    order = pattern[1:2]
    if order not in ("<", ">"):
        return parts
    a, b = parts[0].astype(float), parts[1].astype(float)
    turned = a > b if order == "<" else a < b
    return [np.where(turned, parts[1], parts[0]), np.where(turned, parts[0], parts[1])]


def put(templates: Sequence[str | None], numbers: Sequence[Sequence[str]], pattern: str) -> np.ndarray:
    """Templates (N,) with numbers, (N,) for each place, in their gaps: objects (N,), None where there is none."""
    padded = [[one.zfill(pad) for one in some] for some, pad in zip(numbers, _pads(pattern), strict=True)]
    found = np.empty(len(templates), object)
    for row, (template, *own) in enumerate(zip(templates, *padded, strict=True)):
        if template is not None:
            first, *rest = template.split(ABSENT)
            found[row] = first + "".join(one + after for one, after in zip(own, rest, strict=False))
    return found


def _pads(pattern: str) -> list[int]:
    return [int(one) for one in pattern.lstrip(".,n<>").split(",")]
