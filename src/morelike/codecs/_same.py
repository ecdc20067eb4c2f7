"""Columns that mostly say the same as another one, as the towns of a delivery and a bill: learnt as whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from morelike.codecs._columns import Column, missing, texts
from morelike.codecs._rules import MOST, Rule

SAME = "\0same"  # the value that stands for that of the other column
OFTEN, VALUES, LOOK = 0.5, 3, 5_000  # agreement, and number of values, from which it is learnt so; rows looked at


def pairs(
    columns: Sequence[Column], table: Any, rules: Sequence[Rule], given: frozenset[int], near: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """Numbers of columns of many words that mostly have the value of an earlier one, or one that is always known, and
    of these: of, to.

    given  numbers of columns that are never drawn
    near   columns that are told to be learnt so, by name, and what they are near
    """
    follow = {rule.to for rule in rules if rule.derives}
    known = [place for place, one in enumerate(columns) if often(one) and place not in follow][:MOST]
    step = max(1, table.height // LOOK)
    codes = dict(zip(known, _codes([table[columns[place].name].gather_every(step) for place in known]), strict=True))
    for at, b in enumerate(known):
        if b in given:
            continue
        told = near.get(columns[b].name)
        before = [a for a in known if columns[a].name == told] or [a for a in known if a in given or a in known[:at]]
        agree = {a: _kappa(codes[a], codes[b]) for a in before}
        best = max(agree, key=lambda a: agree[a], default=-1)
        if best >= 0 and agree[best] >= OFTEN:
            yield best, b


def often(column: Column) -> bool:
    """Whether a column has so many words that a model hardly learns which of them are equal to which."""
    return column.kind == "category" and column.single and len(column.values) + len(column.rare) >= VALUES


def agreement(a: Any, b: Any) -> float:
    """How much more often two polars columns are equal, of the rows that have both, than by chance.

        kappa = (p - q) / (1 - q),    q = sum_v p_a(v) p_b(v)

    Source: Cohen 1960.
    """
    return _kappa(*_codes([a, b]))


def _codes(cells: Sequence[Any]) -> list[np.ndarray]:
    """Polars columns as numbers of their words, int64 (N,), the same in all of them, -1 for missing."""
    known, found = dict[str, int](), list[np.ndarray]()
    for one in map(texts, cells):
        own = {word: known.setdefault(word, len(known)) for word in one.filter(~missing(one)).unique().to_list()}
        found.append(np.array([own.get(word, -1) for word in one.to_list()], np.int64))
    return found


def _kappa(a: np.ndarray, b: np.ndarray) -> float:
    both = (a >= 0) & (b >= 0)
    if not both.any():
        return 0.0
    a, b = a[both], b[both]
    counts = [np.bincount(one, minlength=1 + max(a.max(), b.max())) for one in (a, b)]
    chance = float(counts[0] @ counts[1]) / len(a) ** 2
    return (float((a == b).mean()) - chance) / max(1 - chance, 1e-9)


def marked(a: Any, b: Any) -> Any:
    """The second of two polars columns as texts, with `SAME` where it is equal to the first."""
    import polars

    frame = polars.DataFrame({"a": texts(a), "b": texts(b)})
    equal = (frame["a"] == frame["b"]) & ~missing(frame["b"])
    return frame.select(polars.when(equal.fill_null(False)).then(polars.lit(SAME)).otherwise("b")).to_series()


def followed(column: Column, of: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Values (N,) of the other column and what was drawn (N,) -> those of the column."""
    known = {column.say(value): value for value in (*column.values, *column.rare)}
    own = np.array([known.get(one, one) for one in told.tolist()], object)
    return np.where(told == SAME, of, own)
