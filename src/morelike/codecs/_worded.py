"""Columns of words: categories, what names the rows, and free text."""

from __future__ import annotations

import re
from dataclasses import replace

from morelike.codecs._columns import Column, key, texts
from morelike.codecs._identifiers import pattern_of
from morelike.codecs._seen import Seen, Wish, base, library, value_of

MOST, POOL = 255, 1_000  # values of a category; values that are kept of the rare ones
UNIQUE, LEAST = 0.95, 20  # share of different cells, and number of rows, from which a column names the rows
WORDY = re.compile(r"[^\W\d_]{2,}")
HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def worded(seen: Seen, wish: Wish) -> Column:
    """Text that is learnt as a category, names the rows, or is too long for a cell."""
    some = seen.text.gather_every(max(1, len(seen.text) // 2_000)).to_list()
    wordy = sum(_is_said(one[:400]) for one in some) > 0.5 * len(some)
    if wordy and len(seen.text) > max(0.3 * seen.rows, 2):
        return free_text(seen)
    if len(seen.text) >= max(LEAST, UNIQUE * seen.rows):
        return identifier(seen)
    return category(seen, wish)


def _is_said(text: str) -> bool:
    """Whether a cell is some words; an address of a page is none, since no blank stands in it."""
    return (" " in text.strip() and len(WORDY.findall(text)) >= 4) or len(HAN.findall(text)) >= 8


def category(seen: Seen, wish: Wish) -> Column:
    """A number for each value, the most frequent first, and one for all rare ones, drawn as often as they were."""
    kept = int((seen.counts >= wish.rare).sum())
    kept = len(seen.text) if len(seen.text) - kept < 2 else kept
    kept = min(kept, MOST)
    values = [value_of(seen, one) for one in seen.text.head(kept + POOL).to_list()]
    left = seen.counts[kept:]
    said = f"{len(seen.text):,} values"
    if len(seen.text) <= 4:
        said = " ".join(", ".join(map(key, values)).split())[:80]
    if len(left):
        said += f", {len(left):,} of them rare and pooled ({left.sum():,} rows)"
        if len(left) > POOL:
            said += f", of which the first {POOL:,} are made again"
    return replace(base(seen, "category", said), values=tuple(values[:kept]), rare=tuple(values[kept:]),
                   counts=tuple(left[:POOL].tolist()))  # fmt: skip


def free_text(seen: Seen) -> Column:
    """A column that is not learnt."""
    said = f'free text, not learnt: it comes out empty; "morelike fit … --make {seen.name}" learns it as text'
    return replace(base(seen, "text", said), holes=True)


def identifier(seen: Seen) -> Column:
    """What names the rows: made up afresh in the same pattern."""
    if seen.text.str.contains("^(?:0|[1-9][0-9]*)$").all():
        numbers = seen.text.cast(library().Int64, strict=False)
        if numbers.null_count() == 0 and int(numbers.max()) < 2**53:
            order = texts(seen.cells).cast(library().Int64, strict=False).drop_nulls()
            low, high = int(numbers.min()), int(numbers.max())
            column = base(seen, "identifier", f"{low} to {high}, one for each row; made up afresh",
                           "Int64" if seen.written else "")  # fmt: skip
            kept = "row" if order.is_sorted() else "any"
            return replace(column, low=(float(low),), high=(float(high),), pattern=kept)
    values = seen.text.to_list()
    pattern = pattern_of(values)
    shown = re.sub(r"=(.)", r"\1", pattern)
    said = f'{len(values):,} different ones, such as "{values[0][:24]}"; made up afresh as {shown[:40]}'
    return replace(base(seen, "identifier", said), pattern=pattern)
