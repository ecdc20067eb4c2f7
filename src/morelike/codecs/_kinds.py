"""What a column of a table is: number, category, boolean, date, text, identifier or constant; guessed, or as told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from morelike.codecs._bins import Resolution, places
from morelike.codecs._columns import KINDS, UNITS, Column, Value, key, missing, texts
from morelike.codecs._numerals import Style, date_format, dates, decimals_of, numbers, style_of
from morelike.core.errors import DataError, OptionError, unknown

DROP = "drop"
ZERO_ONE = ({"0", "1"}, {"0.0", "1.0"})
PAIRS = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"on", "off"}, {"是", "否"}, {"ja", "nein"})
SOFT = ("-", "--", "---", ".", "none", "None", "NONE", "missing", "unknown", "inf", "-inf", "Infinity", "-Infinity")
WORDS, MOST, POOL = 8, 255, 1_000  # words among numbers; values of a category; values that are kept of the rare ones
NUMERIC, UNIQUE, LEAST = 0.9, 0.95, 20  # shares of numbers, and of different cells; rows from which a key is one
WORDY = re.compile(r"[^\W\d_]{2,}")
HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_NAMES = re.compile(
    r"(?:^|[\W_])(?:id|uid|zip|zipcode|plz|postcode|编号)$|[a-z]I[dD]$", re.I
)  # of what numbers only name
_ID = re.compile(
    r"(?:^|[\W_])(?:id|ids|uid|uuid|guid|key|index|idx|no|nr|rowid|udi|code|number)$|[a-z]I[dD]$|编号|序号", re.I
)


@dataclass(frozen=True)
class Wish:
    """How columns are to be fitted.

    resolution  how finely numbers are told apart
    rare        times that a value is there, below which it shares a number with others
    kind        that the user has named, "" to guess
    """

    resolution: Resolution
    rare: int
    kind: str = ""


@dataclass(frozen=True)
class Seen:
    """Different cells of a column, as text, most frequent first, without the missing ones, and how often each is there.

    cells    the column itself; `rows`, how many it has
    hole     how missing cells are written, and `holes`, how many there are
    """

    name: str
    cells: Any
    text: Any
    counts: np.ndarray
    hole: str
    holes: int

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def written(self) -> bool:
        return str(self.cells.dtype) == "String"


def guess(name: str, cells: Any, wish: Wish) -> Column:
    """A column fitted to its cells, a polars column. Raises `OptionError` where it cannot be of the kind that is named,
    and `DataError` where it has a type that is not known."""
    if cells.dtype.is_nested() or str(cells.dtype) in ("Binary", "Object", "Duration", "Null"):
        cells = cells.is_null().replace_strict([True, False], [None, None], return_dtype=_polars().String)
    if str(cells.dtype).startswith(("Categorical", "Enum")):
        cells = cells.cast(_polars().String)
    if str(cells.dtype).startswith("Decimal"):
        cells = cells.cast(_polars().Float64)
    seen = see(name, cells)
    if not len(seen.text):
        return replace(_base(seen, "constant", ""), said="empty: every cell is missing; written back so")
    if wish.kind:
        return _told(seen, wish)
    makers = (_constant, _boolean, _number, _date, _worded)
    return next(found for make in makers if (found := make(seen, wish)) is not None)


def see(name: str, cells: Any) -> Seen:
    """What is in a column."""
    pl = _polars()
    if cells.dtype in (pl.Float32, pl.Float64):
        cells = cells.fill_nan(None)
    text = texts(cells) if cells.dtype.is_(pl.String) or not cells.dtype.is_numeric() else cells
    found = text.rename("text").value_counts(sort=True)
    if text.dtype != pl.String:
        found = found.with_columns(found["text"].cast(pl.String))
    bad = missing(found["text"])
    gone = found.filter(bad)
    hole = (gone["text"].drop_nulls().to_list() or [""])[0]
    found = found.filter(~bad).sort(["count", "text"], descending=[True, False])
    return Seen(name, cells, found["text"], found["count"].to_numpy().astype(np.int64), hole, int(gone["count"].sum()))


def _polars() -> Any:
    import polars

    return polars


def _base(seen: Seen, kind: str, said: str, dtype: str = "") -> Column:
    dtype = dtype or (str(seen.cells.dtype) if not seen.written else "String")
    gone = f", {seen.holes:,} missing" if seen.holes else ""
    return Column(seen.name, kind, re.sub(r"\(.*", "", dtype), seen.written, holes=seen.holes > 0, hole=seen.hole,
                  said=f"{said}{gone}")  # fmt: skip


def _told(seen: Seen, wish: Wish) -> Column:
    """As the kind that the user has named."""
    if wish.kind == "text":
        return _text(seen)
    if wish.kind == "identifier":
        return _identifier(seen)
    if wish.kind == "constant":
        return _base(seen, "constant", f'always "{seen.text[0]}", as told')
    found = {"number": _number, "date": _date, "boolean": _category, "category": _category}[wish.kind](seen, wish)
    if found is None or (wish.kind == "boolean" and len(found.values) != 2):
        some = ", ".join(seen.text.head(3).to_list())
        raise OptionError(f'The column "{seen.name}" holds {some}', f"Cells that are each a {wish.kind}",
                          f'Leave "{seen.name}={wish.kind}" out of --set columns')  # fmt: skip
    return replace(found, kind=wish.kind)


def _constant(seen: Seen, wish: Wish) -> Column | None:
    if len(seen.text) > 1 or seen.holes:
        return None
    column = _base(seen, "constant", f'always "{seen.text[0][:40]}"; written back')
    return replace(column, values=(_value(seen, seen.text[0]),))


def _value(seen: Seen, text: str) -> Value:
    """A cell from its text, of the column's type."""
    kind = str(seen.cells.dtype)
    if kind == "Boolean":
        return text == "true"
    if kind.startswith(("Int", "UInt")):
        return int(text)
    return float(text) if kind.startswith("Float") else text


def _boolean(seen: Seen, wish: Wish) -> Column | None:
    words = {text.casefold() for text in seen.text.head(3).to_list()}
    if len(seen.text) != 2 or words not in (*PAIRS, *ZERO_ONE):
        return None
    if words in ZERO_ONE:
        column = _base(seen, "boolean", " or ".join(sorted(words)), "String" if seen.written else "")
        whole = words == {"0", "1"}
        if seen.written:
            style = Style(decimals=0, places=0 if whole else 1)
            column = replace(column, dtype="Int64" if whole else "Float64", style=style)
        return replace(column, values=(0, 1) if whole else (0.0, 1.0))
    column = _base(seen, "boolean", " or ".join(seen.text.to_list()))
    return replace(column, values=tuple(_value(seen, text) for text in sorted(seen.text.to_list())))


def _number(seen: Seen, wish: Wish) -> Column | None:
    """Numbers, with some words among them perhaps; None where there are none, or codes such as 007."""
    pl = _polars()
    style, words, gone = Style(), list[str](), 0
    if seen.written:
        found = _style(seen, wish)
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
    if not sound.any() or np.abs(values[sound]).max() >= 2**53:
        return None
    known, where = np.unique(values[sound], return_inverse=True)
    counts = np.bincount(where, weights=seen.counts[sound]).astype(np.int64)
    whole = (style.decimals == 0 and style.places == 0) if seen.written else seen.cells.dtype.is_integer()
    dtype = ("Int64" if whole else "Float64") if seen.written else ""
    if whole and not wish.kind and not words and (_is_key(seen, known, counts) or _NAMES.search(seen.name)):
        return _identifier(seen) if len(known) == seen.rows else _category(seen, wish)
    column = replace(_base(seen, "number", _said(known, counts, style, whole, words, gone), dtype),
                     style=style, holes=seen.holes + gone > 0)  # fmt: skip
    few = tuple(int(one) if whole else float(one) for one in known) if len(known) <= wish.resolution.few else ()
    if few:
        return replace(column, values=(*words, *few))
    low, high, groups = places(known, counts, wish.resolution)
    return replace(column, values=tuple(words), low=tuple(low.tolist()), high=tuple(high.tolist()),
                   groups=tuple(groups.tolist()))  # fmt: skip


def _style(seen: Seen, wish: Wish) -> tuple[Style, tuple[np.ndarray, list[str], int]] | None:
    """How the numbers are written, what they are, the words among them, and how many cells are neither."""
    step = max(1, len(seen.text) // 4_000)
    some = [one for one in seen.text.gather_every(step).to_list() if one not in SOFT]
    style = style_of(some, 0.5 if wish.kind else NUMERIC)
    if style is None:
        return None
    values = numbers(seen.text, style).fill_null(float("nan")).to_numpy()
    sound = np.isfinite(values)
    others = seen.text.filter(_polars().Series(~sound))
    words = [one for one in others.to_list()[: 2 * WORDS] if one not in SOFT]
    if not wish.kind and seen.counts[~sound].sum() > (1 - NUMERIC) * seen.rows and words:
        return None
    if len(words) > WORDS:
        words = []
    gone = int(
        sum(n for text, n in zip(others.to_list(), seen.counts[~sound].tolist(), strict=True) if text not in words)
    )
    if sound.any() and style.decimals is None:
        style = replace(style, decimals=None)
    return style, (values, words, gone)


def _said(known: np.ndarray, counts: np.ndarray, style: Style, whole: bool, words: Sequence[str], gone: int) -> str:
    """What kind of number, in words."""
    kind = (
        "whole" if whole or style.decimals == 0 else f"{style.decimals or 'many'} decimal{'s' * (style.decimals != 1)}"
    )
    money = f", written {style.say(float(known[-1]))}" if style.before or style.after or style.thousands else ""
    said = f"{kind}, {style.say(float(known[0]))} to {style.say(float(known[-1]))}, {len(known):,} values{money}"
    most, total = int(counts.argmax()), counts.sum()
    if counts[most] > 0.1 * total and len(known) > 20:
        said += f", {100 * counts[most] / total:.0f} % are {style.say(float(known[most]))}"
    low, middle, high = np.interp([0.05 * total, 0.5 * total, 0.999 * total], np.cumsum(counts), known)
    if high - middle > 10 * (middle - low) > 0:
        said += ", heavy-tailed"
    if words:
        said += f", and the words {', '.join(words)}"
    return said + (f", {gone:,} no number, read as missing" if gone else "")


def _is_key(seen: Seen, known: np.ndarray, counts: np.ndarray) -> bool:
    """Whether whole numbers count or name the rows: all differ, and they are called so, grow row by row, or are dense."""
    if len(known) < LEAST or len(known) < seen.rows:
        return False
    if _ID.search(seen.name) or known[-1] - known[0] < 1.5 * len(known):
        return True
    values = texts(seen.cells).cast(_polars().Float64, strict=False).drop_nulls().to_numpy()
    return bool((np.diff(values) > 0).all()) and len(set(np.diff(values).tolist())) == 1


def _date(seen: Seen, wish: Wish) -> Column | None:
    pl = _polars()
    kind, pattern, gone = str(seen.cells.dtype), "", 0
    if seen.written:
        found = date_format(seen.text)
        if found is None:
            return None
        pattern, dated = found
        kind = "Time" if not dated else "Datetime" if "%H" in pattern else "Date"
        moments = dates(seen.text, pattern)
        gone = int(seen.counts[moments.is_null().to_numpy()].sum())
    elif not kind.startswith(("Date", "Time")):
        return None
    else:
        moments = Column(seen.name, "date").moments(seen.cells.drop_nulls().unique())
        kind = re.sub(r"\(.*", "", kind)
        pattern = "%.f" if kind == "Datetime" and (moments.dt.microsecond() != 0).any() else ""
    moments = moments.drop_nulls()
    parts = tuple(tuple(getattr(moments.dt, unit)().unique().sort().cast(pl.Int64).to_list()) for unit in UNITS)
    if not len(moments):
        return None
    ends = [moments.min(), moments.max()]
    said = " to ".join(str(one.date() if kind == "Date" else one.time() if kind == "Time" else one) for one in ends)
    said += f", {gone:,} no date, read as missing" if gone else ""
    return replace(_base(seen, "date", said, kind), parts=parts, pattern=pattern, holes=seen.holes + gone > 0)


def _worded(seen: Seen, wish: Wish) -> Column:
    """Text that is learnt as a category, names the rows, or is too long for a cell."""
    some = seen.text.gather_every(max(1, len(seen.text) // 2_000)).to_list()
    wordy = sum(len(WORDY.findall(one[:400])) >= 4 or len(HAN.findall(one[:400])) >= 8 for one in some) > 0.5 * len(
        some
    )
    if wordy and len(seen.text) > max(0.3 * seen.rows, 2):
        return _text(seen)
    if len(seen.text) >= max(LEAST, UNIQUE * seen.rows):
        return _identifier(seen)
    return _category(seen, wish)


def _category(seen: Seen, wish: Wish) -> Column:
    """A number for each value, the most frequent first, and one for all rare ones, which are drawn as often as they were."""
    kept = int((seen.counts >= wish.rare).sum())
    kept = len(seen.text) if len(seen.text) - kept < 2 else kept
    kept = min(kept, MOST)
    values = [_value(seen, one) for one in seen.text.head(kept + POOL).to_list()]
    left = seen.counts[kept:]
    said = f"{len(seen.text):,} values"
    if len(seen.text) <= 4:
        said = ", ".join(map(key, values))[:80]
    if len(left):
        said += f", {len(left):,} of them rare and pooled ({left.sum():,} rows)"
        if len(left) > POOL:
            said += f", of which the first {POOL:,} are made again"
    return replace(_base(seen, "category", said), values=tuple(values[:kept]), rare=tuple(values[kept:]),
                   counts=tuple(left[:POOL].tolist()))  # fmt: skip


def _text(seen: Seen) -> Column:
    said = f'free text, not learnt: it comes out empty; "morelike fit … --make {seen.name}" learns it as text'
    return replace(_base(seen, "text", said), holes=True)


def _identifier(seen: Seen) -> Column:
    """What names the rows: made up afresh in the same pattern."""
    values = seen.text.to_list()
    if all(one.isdigit() and (one[0] != "0" or len(one) == 1) for one in values):
        numbers = seen.text.cast(_polars().Int64, strict=False)
        if numbers.null_count() == 0 and int(numbers.max()) < 2**53:
            order = texts(seen.cells).cast(_polars().Int64, strict=False).drop_nulls()
            low, high = int(numbers.min()), int(numbers.max())
            column = _base(seen, "identifier", f"{low} to {high}, one for each row; made up afresh",
                           "Int64" if seen.written else "")  # fmt: skip
            kept = "row" if order.is_sorted() else "any"
            return replace(column, low=(float(low),), high=(float(high),), pattern=kept)
    pattern = pattern_of(values)
    shown = re.sub(r"=(.)", r"\1", pattern)
    said = f'{len(values):,} different ones, such as "{values[0][:24]}"; made up afresh as {shown[:40]}'
    return replace(_base(seen, "identifier", said), pattern=pattern)


def pattern_of(values: Sequence[str]) -> str:
    """What stands at each place of identifiers of the usual length: %d a digit, %u %l a letter, %x %X a digit of base
    16, =c always c."""
    lengths = np.array([len(one) for one in values])
    usual = int(np.bincount(lengths).argmax())
    found = []
    for place in range(min(usual, 200)):
        here = {one[place] for one in values if len(one) == usual}
        if len(here) == 1:
            found.append("=" + here.pop())
        elif all(char in "0123456789" for char in here):
            found.append("%d")
        elif all(char in "0123456789abcdef" for char in here):
            found.append("%x")
        elif all(char in "0123456789ABCDEF" for char in here):
            found.append("%X")
        else:
            letters = "".join(here)
            found.append("%l" if letters.lower() == letters and not letters.upper() == letters else "%u")
    return "".join(found)


def refuse(columns: Sequence[Column], name: str) -> None:
    """Raise `DataError` where no column can be learnt."""
    if not any(column.sizes for column in columns):
        kinds = "; ".join(f"{column.name}: {column.said}" for column in columns[:5])
        raise DataError(f"{name} has no column to learn ({kinds})", "One number, category or date at least",
                        "Name its kind: --set columns=NAME=category")  # fmt: skip


def asked(columns: str) -> dict[str, str]:
    """{"age": "number"} of "age=number,zip=category". Raises `OptionError` for a kind that is not known."""
    kinds, name = dict[str, str](), ""
    for part in columns.split(",") if columns.strip() else ():
        name = f"{name},{part}" if name else part
        head, equals, kind = name.rpartition("=")
        if not equals:
            continue  # a comma within a name
        if kind.strip() not in (*KINDS, DROP):
            raise unknown("kind of column", kind.strip(), (*KINDS, DROP))
        kinds[head.strip()], name = kind.strip(), ""
    if name:
        raise OptionError(f'columns ends with "{name}"', "Names and kinds, NAME=KIND,NAME=KIND", "Write for example: "
                          "--set columns=age=number,id=drop")  # fmt: skip
    return kinds
