"""Columns of numbers: how they are written, how many values they take, and whether they only name the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from morelike.codecs._bins import places
from morelike.codecs._columns import Column, texts
from morelike.codecs._numerals import Style, decimals_of, numbers, style_of
from morelike.codecs._seen import Seen, Wish, base, library
from morelike.codecs._worded import LEAST, MOST, category, identifier

SOFT = ("-", "--", "---", ".", "none", "None", "NONE", "missing", "unknown", "inf", "-inf", "Infinity", "-Infinity")
LOOK = 1_500  # different cells by which it is told how numbers are written
WORDS, NUMERIC = 8, 0.9  # words among numbers at most; share of numbers from which they are numbers
_POINTED = re.compile(r"\d+\.\d+$")
MANY = 30  # different numbers beside which a few words are not most of what there is, however often they come
# what numbers do that only name things: often, and where all of them differ
_NAMES = re.compile(r"(?:^|[\W_])(?:id|uid|zip|zipcode|plz|postcode|编号)$|[a-z]I[dD]$", re.I)
_ID = re.compile(
    r"(?:^|[\W_])(?:id|ids|uid|uuid|guid|key|index|idx|no|nr|rowid|udi|code|number)$|[a-z]I[dD]$|编号|序号", re.I
)


def number(seen: Seen, wish: Wish) -> Column | None:
    """Numbers, with some words among them perhaps; None where there are none, or codes such as 007."""
    pl = library()
    style, words, gone = Style(), list[str](), 0
    if seen.written:
        found = style_in(seen, wish)
        if found is None:
            return None
        style, (values, words, gone) = found
    elif not seen.cells.dtype.is_numeric():
        return None
    else:
        values = seen.text.cast(pl.Float64).to_numpy()
        whole = seen.cells.dtype.is_integer()
        gone = int(seen.counts[~np.isfinite(values)].sum())
        finite = values[np.isfinite(values)]
        style = Style(decimals=0 if whole else decimals_of(finite))
    sound = np.isfinite(values)
    whole = (style.decimals == 0 and style.places == 0) if seen.written else seen.cells.dtype.is_integer()
    if not sound.any() or (seen.written and not wish.kind and _are_versions(seen, values)):
        return None
    if np.abs(values[sound]).max() >= 2**53:
        if whole:
            return None  # too long to be reckoned with: names of rows
        style = replace(style, decimals=None)
    known, where = np.unique(values[sound], return_inverse=True)
    counts = np.bincount(where, weights=seen.counts[sound]).astype(np.int64)
    dtype = ("Int64" if whole else "Float64") if seen.written else ""
    if whole and not wish.kind and not words and (is_key(seen, known, counts) or _NAMES.search(seen.name)):
        return identifier(seen) if len(known) == seen.rows else category(seen, wish)
    if whole and not wish.kind and not words and _are_long_codes(known):
        return identifier(seen) if len(known) == seen.rows else category(seen, wish)
    column = replace(base(seen, "number", told(known, counts, style, whole, words, gone), dtype),
                     style=style, holes=seen.holes + gone > 0)  # fmt: skip
    if gone and not seen.holes and seen.written:
        column = replace(column, hole=next((one for one in seen.text.to_list() if one in SOFT), ""))  # "." of SAS
    few = tuple(int(one) if whole else float(one) for one in known) if len(known) <= wish.resolution.few else ()
    if few:
        return replace(column, values=(*words, *few))
    low, high, groups = places(known, counts, wish.resolution)
    return replace(column, values=tuple(words), low=tuple(low.tolist()), high=tuple(high.tolist()),
                   groups=tuple(groups.tolist()), step=step_of(known, style.decimals))  # fmt: skip


def _are_versions(seen: Seen, values: np.ndarray) -> bool:
    """Whether few different numbers are written as versions are, so that 1.1 and 1.10 are two of them."""
    if not 1 < len(values) <= MOST:
        return False
    texts = {
        text: value for text, value in zip(seen.text.to_list(), values.tolist(), strict=True) if _POINTED.match(text)
    }
    twice = len(texts) - len(set(texts.values()))
    return len(texts) >= 0.9 * len(values) and twice > 0 and len({len(one.partition(".")[2]) for one in texts}) > 1


def _are_long_codes(known: np.ndarray) -> bool:
    """Whether whole numbers, sorted, name things by their length: cards, phones, goods; moments since 1970 do not."""
    if len(known) < LEAST or known[0] < 10**9 or len(str(int(known[0]))) != len(str(int(known[-1]))):
        return False
    return not any(6e8 * unit <= known[0] and known[-1] <= 2.6e9 * unit for unit in (1, 1e3, 1e6, 1e9))


def step_of(known: np.ndarray, decimals: int | None) -> float:
    """What sorted numbers are apart by multiples of: 100 for loans, 1 for prices such as 4.99; 0 for many decimals."""
    if decimals is None or np.abs(known).max() * 10.0**decimals >= 2**53:
        return 0.0
    apart = np.diff(np.rint(known * 10.0**decimals).astype(np.int64))
    return float(np.gcd.reduce(apart)) / 10.0**decimals


def style_in(seen: Seen, wish: Wish) -> tuple[Style, tuple[np.ndarray, list[str], int]] | None:
    """How the numbers are written, what they are, the words among them, and how many cells are neither."""
    step = max(1, len(seen.text) // LOOK)
    some = [one for one in seen.text.gather_every(step).to_list() if one not in SOFT]
    style = style_of(some, 0.5 if wish.kind else NUMERIC)
    if style is None:
        return None
    values = numbers(seen.text, style).fill_null(float("nan")).to_numpy()
    sound = np.isfinite(values)
    others = seen.text.filter(library().Series(~sound))
    words = [one for one in others.to_list()[: 2 * WORDS] if one not in SOFT]
    few = len(words) <= WORDS and sound.sum() > MANY  # such as <0.5 in half of the cells: below what can be measured
    if not wish.kind and seen.counts[~sound].sum() > (1 - NUMERIC) * seen.rows and words and not few:
        return None
    if len(words) > WORDS:
        if not wish.kind and sum(any(char.isdigit() for char in one) for one in words) > 0.9 * len(words):
            return None  # codes, most of which happen to be digits alone, such as C536379 among 536378
        words = []
    gone = int(
        sum(n for text, n in zip(others.to_list(), seen.counts[~sound].tolist(), strict=True) if text not in words)
    )
    if style.decimals is not None and len(values) > LOOK:  # cells that were not looked at may have more
        finer = decimals_of(values[sound])
        style = replace(style, decimals=None if finer is None else max(style.decimals, finer))
    return style, (values, words, gone)


def told(known: np.ndarray, counts: np.ndarray, style: Style, whole: bool, words: Sequence[str], gone: int) -> str:
    """What kind of number, in words."""
    kind = (
        "whole" if whole or style.decimals == 0 else f"{style.decimals or 'many'} decimal{'s' * (style.decimals != 1)}"
    )
    money = f", written {style.say(float(known[-1]))}" if style.before or style.after or style.thousands else ""
    low, high = (style.say(float(known[at])) for at in (0, -1))
    said = (
        f"{kind}, {low} to {high}, {len(known):,} values{money}" if len(known) > 1 else f"{kind}, always {low}{money}"
    )
    most, total = int(counts.argmax()), counts.sum()
    if counts[most] > 0.1 * total and len(known) > 20:
        said += f", {100 * counts[most] / total:.0f} % are {style.say(float(known[most]))}"
    low, middle, high = np.interp([0.05 * total, 0.5 * total, 0.999 * total], np.cumsum(counts), known)
    if len(known) > 20 and high - middle > 10 * (middle - low) > 0:
        said += ", heavy-tailed"
    if words:
        said += f", and the words {', '.join(words)}"
    return said + (f", {gone:,} no number, read as missing" if gone else "")


def is_key(seen: Seen, known: np.ndarray, counts: np.ndarray) -> bool:
    """Whether whole numbers count or name the rows: all differ, and they are called so, are dense, or grow evenly."""
    if len(known) < LEAST or len(known) < seen.rows:
        return False
    if _ID.search(seen.name) or known[-1] - known[0] < 1.5 * len(known):
        return True
    values = texts(seen.cells).cast(library().Float64, strict=False).drop_nulls().to_numpy()
    return bool((np.diff(values) > 0).all()) and len(set(np.diff(values).tolist())) == 1
