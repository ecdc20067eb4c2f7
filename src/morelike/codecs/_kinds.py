"""What a column of a table is: number, category, boolean, date, text, identifier or constant; guessed, or as told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from morelike.codecs._calendar import EPOCH, parts_of
from morelike.codecs._columns import KINDS, Column, in_seconds
from morelike.codecs._compound import compound
from morelike.codecs._dates import SEVERAL, date_format, dates, has_clock
from morelike.codecs._numerals import Style
from morelike.codecs._numeric import number
from morelike.codecs._seen import Seen, Wish, base, library, see, value_of
from morelike.codecs._worded import category, free_text, identifier, worded
from morelike.core.errors import DataError, OptionError, unknown

DROP = "drop"
ZERO_ONE = ({"0", "1"}, {"0.0", "1.0"})
PAIRS = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"on", "off"}, {"是", "否"}, {"ja", "nein"})


def guess(name: str, cells: Any, wish: Wish) -> Column:
    """A column fitted to its cells, a polars column. Raises `OptionError` where it cannot be of the kind that is named,
    and `DataError` where it has a type that is not known."""
    whole = str(cells.dtype)
    if whole.startswith("Enum"):  # of which polars shows only the first ones
        whole = f"Enum(categories={cells.dtype.categories.to_list()!r})"
    found = _guess(name, cells, wish)
    if whole.startswith(("List", "Array")):
        return replace(found, dtype="String", stored=whole)
    typed = wish.typed and whole == "String" and found.dtype != "String"
    kept = whole.startswith(("Datetime(", "Decimal", "Categorical", "Enum", "Duration"))
    return replace(found, stored=whole) if kept or typed else found


def _guess(name: str, cells: Any, wish: Wish) -> Column:
    if str(cells.dtype).startswith(("Struct", "Binary", "Object", "Null")):
        empty = library().Series(name, [None] * len(cells), dtype=library().String)
        what = (
            "empty: every cell is missing" if cells.null_count() == len(cells) else f"of type {cells.dtype}, not learnt"
        )
        return replace(base(see(name, empty), "constant", ""), said=f"{what}; comes out empty")
    if str(cells.dtype).startswith(("Categorical", "Enum")):
        cells = cells.cast(library().String)
    if str(cells.dtype).startswith("Decimal"):
        cells = cells.cast(library().Float64)
    seen = see(name, in_seconds(cells))
    if not len(seen.text):
        return replace(base(seen, "constant", ""), said="empty: every cell is missing; written back so")
    if wish.kind:
        return _told(seen, wish)
    makers = (_constant, _boolean, number, _date, *((compound,) if wish.parts else ()), worded)
    return next(found for make in makers if (found := make(seen, wish)) is not None)


def _told(seen: Seen, wish: Wish) -> Column:
    """As the kind that the user has named."""
    if wish.kind == "text":
        return free_text(seen)
    if wish.kind == "identifier":
        return identifier(seen)
    if wish.kind == "constant":
        return base(seen, "constant", f'always "{seen.text[0]}", as told')
    found = {"number": number, "date": _date, "boolean": category, "category": category,
             "compound": compound}[wish.kind](seen, wish)  # fmt: skip
    if found is None or (wish.kind == "boolean" and len(found.values) != 2):
        some = ", ".join(seen.text.head(3).to_list())
        raise OptionError(f'The column "{seen.name}" holds {some}', f"Cells that are each a {wish.kind}",
                          f'Leave "{seen.name}={wish.kind}" out of --set columns')  # fmt: skip
    return replace(found, kind=wish.kind)


def _constant(seen: Seen, wish: Wish) -> Column | None:
    if len(seen.text) > 1 or seen.holes:
        return None
    column = base(seen, "constant", f'always "{seen.text[0][:40]}"; written back')
    return replace(column, values=(value_of(seen, seen.text[0]),))


def _boolean(seen: Seen, wish: Wish) -> Column | None:
    words = {text.casefold() for text in seen.text.head(3).to_list()}
    if len(seen.text) != 2 or words not in (*PAIRS, *ZERO_ONE):
        return None
    if words in ZERO_ONE:
        column = base(seen, "boolean", " or ".join(sorted(words)), "String" if seen.written else "")
        whole = words == {"0", "1"}
        if seen.written:
            style = Style(decimals=0, places=0 if whole else 1)
            column = replace(column, dtype="Int64" if whole else "Float64", style=style)
        return replace(column, values=(0, 1) if whole else (0.0, 1.0))
    column = base(seen, "boolean", " or ".join(seen.text.to_list()))
    return replace(column, values=tuple(value_of(seen, text) for text in sorted(seen.text.to_list())))


def _date(seen: Seen, wish: Wish) -> Column | None:
    kind, pattern, gone, lost = str(seen.cells.dtype), "", 0, seen.text
    if seen.written:
        found = date_format(seen.text)
        if found is None:
            return None
        pattern, dated = found
        kind = "Time" if not dated else "Datetime" if has_clock(pattern) else "Date"
        moments, counts = dates(seen.text, pattern), seen.counts
        gone, lost = int(counts[moments.is_null().to_numpy()].sum()), seen.text.filter(moments.is_null())
    elif not kind.startswith(("Date", "Time")):
        return None
    else:
        times = seen.cells.drop_nulls().rename("at").value_counts()
        moments, counts = Column(seen.name, "date").moments(times["at"]), times["count"].to_numpy()
        kind = re.sub(r"\(.*", "", kind)
        pattern = "%.f" if kind == "Datetime" and (moments.dt.microsecond() != 0).any() else ""
    counts, moments = counts[moments.is_not_null().to_numpy()], moments.drop_nulls()
    if not len(moments):
        return None
    parts = parts_of(moments, counts)
    ends = [moments.min(), moments.max()]
    said = " to ".join(str(one.date() if kind == "Date" else one.time() if kind == "Time" else one) for one in ends)
    said += f", {gone:,} no date, read as missing" if gone else ""
    said += ", written in two ways" if SEVERAL in pattern else ""
    span = tuple((one - EPOCH).total_seconds() for one in ends)
    whole = not (moments.dt.microsecond() != 0).any()
    column = replace(base(seen, "date", said, kind), parts=parts, pattern=pattern, span=span, whole=whole)
    hole = str(lost[0]) if gone and not seen.holes else seen.hole  # 0000-00-00 of MySQL
    return replace(column, holes=seen.holes + gone > 0, hole=hole)


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
