"""Cells that hold several numbers, or numbers of several units: 120/80, 5m 3s, 3 x 4 cm, 12 mg among 3 ml."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from morelike.codecs._columns import Column, missing, texts
from morelike.codecs._found import natural
from morelike.codecs._numeric import number
from morelike.codecs._seen import Seen, Wish, base, library, see
from morelike.codecs._template import ABSENT, divided
from morelike.codecs._worded import LEAST, UNIQUE

POOLED = 0.1  # share of the rows that a category would pool as rare, from which numbers are looked for
MOST, FIELDS = 40, 6  # templates, and numbers in one
COVERED, SELDOM = 0.98, 0.002  # share of the rows that templates have to cover; of one that is kept
LONG = 4  # digits that all numbers of a field have, from which they name a thing
_TRIPLE, _COMMA, _POINT = re.compile(r"\d\.\d+\.\d"), re.compile(r"\d,\d{1,2}(?:\D|$)"), re.compile(r"\d\.\d")
_CODE = re.compile(rf"(?:^|[^{ABSENT}\w])[^\W\d_]+{ABSENT}")  # letters that lead up to a number, as in E11
_SPAN = re.compile(rf"^-?P[{ABSENT}YMWDTHS]+$")  # a span of time of ISO 8601


def compound(seen: Seen, wish: Wish) -> Column | None:
    """Numbers between words and signs that are nearly always the same; None where a category or a name says more."""
    text, counts = seen.text, seen.counts
    rare = counts[counts < wish.rare].sum() > POOLED * seen.rows
    differ = len(text) >= max(LEAST, UNIQUE * seen.rows)
    if not seen.written or (not wish.kind and not (rare or differ)) or len(text) < 2:
        return None
    mark = _mark(text.head(2_000).to_list())
    cells = texts(seen.cells)
    cells = cells.filter(~missing(cells))
    templates, tokens = divided(cells, mark)
    kept = _kept(templates)
    if kept is None:
        return None
    width = max(one.count(ABSENT) for one in kept)
    fields = [_field(f"{seen.name} {place + 1}", _tokens(templates, tokens, kept, place), wish)
              for place in range(width)]  # fmt: skip
    found = [one for one in fields if one is not None]
    if len(found) < width or (differ and not wish.kind and _names_rows(tokens, width, len(cells))):
        return None
    head = Column("", "category", values=tuple(kept), holes=seen.holes > 0)
    gone = int((~templates.is_in(kept)).sum())
    order = _order(tokens, width) if len(kept) == 1 and width == 2 else ""
    pattern = mark + order + ",".join(str(pad) for _, pad in found)
    said = f'numbers in cells such as "{text[0][:40]}": ' + "; ".join(one.said for one, _ in found)
    said += f"; {len(kept)} patterns" if len(kept) > 1 else ""
    said += f", {gone:,} of no such pattern, read as missing" if gone else ""
    return replace(base(seen, "compound", said), fields=(replace(head, holes=head.holes or gone > 0),
                   *(one for one, _ in found)), pattern=pattern, holes=head.holes or gone > 0)  # fmt: skip


def spread(
    columns: Sequence[Column], kinds: Sequence[str], cells: Sequence[np.ndarray]
) -> tuple[list[str], list[str], list[np.ndarray]]:
    """Names, kinds and rows (n, C) in which each number of a compound is a column of its own, so that it is measured.

    kinds  of the columns; `cells` are several sets of rows, objects (n, C)
    """
    names, told, made = list[str](), list[str](), [list[np.ndarray]() for _ in cells]
    for place, column in enumerate(columns):
        parts = column.fields if kinds[place] == "compound" else ()
        names += [one.name or column.name for one in parts] or [column.name]
        told += [one.kind for one in parts] or [kinds[place]]
        for own, rows in zip(made, cells, strict=True):
            if parts:
                text = library().Series(rows[:, place].tolist(), dtype=library().String)
                own += [natural(one, some) for one, some in zip(parts, column.parted(text), strict=True)]
            else:
                own.append(rows[:, place])
    return names, told, [np.stack(own, 1) for own in made]


def _mark(some: Sequence[str]) -> str:
    """What stands before decimals: a point, a comma, or nothing where points stand between whole numbers."""
    if any(_TRIPLE.search(one) for one in some):
        return "n"
    return "," if any(_COMMA.search(one) for one in some) and not any(map(_POINT.search, some)) else "."


def _kept(templates: Any) -> list[str] | None:
    """The templates, most frequent first; None where they do not tell of several numbers, or look like codes."""
    found = templates.rename("text").value_counts(sort=True)
    least = max(2, SELDOM * len(templates)) if len(templates) > 100 else 1
    some = found.filter(found["count"] >= least).head(MOST + 1)
    kept, rows = some["text"].to_list(), some["count"].to_list()
    numeric = [one for one in kept if ABSENT in one]
    if not numeric or len(kept) > MOST or sum(rows) < COVERED * len(templates):
        return None
    width = max(one.count(ABSENT) for one in kept)
    if width > FIELDS or (width < 2 and len(numeric) < 2) or sum(rows) < 5 * len(kept):
        return None
    return None if any(_CODE.search(one) and not _SPAN.match(one) for one in kept) else kept


def _tokens(templates: Any, tokens: Any, kept: Sequence[str], place: int) -> Any:
    """The numbers at one place of the cells that follow a template, null where it has none there."""
    return library().select(
        library().when(templates.is_in(kept)).then(tokens.list.get(place, null_on_oob=True)).otherwise(None)
    ).to_series()  # fmt: skip


def _field(name: str, cells: Any, wish: Wish) -> tuple[Column, int] | None:
    """A column of numbers, and how many digits they have at least: 2 where 05 stands for 5; None where they vary."""
    text = cells.drop_nulls()
    zeros = text.filter(text.str.contains(r"^0\d"))
    pad = 0
    if len(zeros):
        sizes = set(zeros.str.len_chars().unique().to_list())
        pad = max(sizes)
        if len(sizes) > 1 or int(text.str.len_chars().min()) < pad:
            return None
        cells = cells.str.replace(r"^0+(\d)", "$1")
    found = number(see(name, cells), replace(wish, kind="number")) if len(text) else None
    return None if found is None else (found, pad)


def _names_rows(tokens: Any, width: int, rows: int) -> bool:
    """Whether a whole number in cells that all differ names the rows: it has many digits, or differs itself."""
    for place in range(width):
        text = tokens.list.get(place, null_on_oob=True).drop_nulls()
        if not len(text) or text.str.contains(r"[.,]").any():
            continue
        sizes = text.str.len_chars()
        if int(sizes.min()) >= LONG or bool(text.str.contains(r"^0\d\d").any()):
            return True
        if rows >= 50 and text.n_unique() >= 0.9 * rows:
            return True
    return False


def _order(tokens: Any, width: int) -> str:
    """< where the first of two numbers is never above the second, > where it is never below."""
    a, b = (tokens.list.get(place, null_on_oob=True).str.replace(",", ".").cast(float, strict=False).to_numpy()
            for place in range(width))  # fmt: skip
    good = ~(np.isnan(a) | np.isnan(b))
    if good.sum() < 30 or a[good].max() < b[good].min() or b[good].max() < a[good].min():
        return ""
    return "<" if (a <= b)[good].all() else ">" if (a >= b)[good].all() else ""
