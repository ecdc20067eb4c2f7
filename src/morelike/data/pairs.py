"""Sources of baskets and ratings in a table: each row names a basket, or a user, and one thing in it, perhaps rated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from morelike.core.codec import Item
from morelike.core.errors import DataError, unknown
from morelike.data.frame import BASES, BOOKS, PART, WRITTEN, first_rows, has_polars, is_url, library, open_frame
from morelike.data.listing import Lazy, Source, fingerprint
from morelike.data.shards import SHARDS

ENDINGS = (*WRITTEN, *SHARDS)
FORMAT = 1  # raised when the same table comes to give other baskets
AGAIN, ALIKE = 0.8, 0.1  # baskets for a row at most; things that are called as baskets are, at most
GRADES = 20  # different ratings at most
EXPECTED = "A row for each thing in a basket: the basket and the thing, or the user, the thing and its rating"
_BREAK = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
OWNERS = frozenset((
    "user", "member", "customer", "client", "patient", "visitor", "order", "basket", "cart", "transaction", "invoice",
    "bill", "receipt", "ticket", "session",
))  # fmt: skip
THINGS = frozenset((
    "item", "product", "article", "description", "sku", "stock", "asin", "isbn", "movie", "film", "book", "song",
    "track", "artist", "place", "restaurant", "drug",
))  # fmt: skip
TIMES = frozenset(["date", "time", "timestamp", "day", "at"])
RATINGS = frozenset(["rating", "ratings", "score", "stars", "star", "grade"])


class Baskets(Lazy):
    """Baskets that a table names row by row; `load` gives the names of the things, or a rating for each.

    header  columns of the basket, the thing and, where there is one, the rating
    """

    def __init__(self, owners: Sequence[str], things: Sequence[Any], header: Sequence[str]) -> None:
        super().__init__(len(owners), lambda row: Item(f"{header[0]} {owners[row]}", _said(things[row])))
        self.header = tuple(header)


def is_pairs(source: str) -> bool:
    """Whether a file is a table of two columns that are called as a basket and a thing, and look so."""
    path = Path(source).expanduser()
    table = first_rows(path) if has_polars() and path.is_file() and source.lower().endswith(ENDINGS) else None
    header = header_of(table) if table is not None and table.width == 2 else None
    return header is not None and _is_owner(header[0]) and _is_thing(header[1])


def open_pairs(source: str) -> Source | None:
    """The baskets of a table; None where it is no list of pairs.

    source  a table as `open_frame` takes it; of a file of text or Parquet also "ratings.csv::user,film,rating", which
            names the columns

    Raises `DataError` where it cannot be read, and `OptionError` for a column that is not there.
    """
    place, _, part = source.partition(PART)
    named = bool(part) and not is_url(place) and not place.lower().endswith((*BOOKS, *BASES))
    try:
        found = open_frame(place if named else source)
    except DataError:
        if named:
            raise
        return None
    table = found.items.table  # type: ignore[attr-defined]
    header = [one.strip() for one in part.split(",")] if named else header_of(table)
    if header is None:
        return None
    for name in header:
        if name not in table.columns:
            raise unknown("column", name, table.columns)
    if len(header) not in (2, 3):
        raise DataError(f"{source} names {len(header)} columns", EXPECTED, "Write FILE::BASKET,THING or …,RATING")
    if len(header) > 2 and not _is_rating(table[header[2]]):
        said = f'"{header[2]}" holds {", ".join(map(str, table[header[2]].unique().head(3).to_list()))} …'
        raise DataError(said, f"Up to {GRADES} different numbers, as ratings", "Name the basket and the thing alone")
    return _gathered(table, header, found)


def header_of(table: Any) -> list[str] | None:
    """The columns of a polars frame that name baskets, things and ratings, by what they are called and how often what
    is in them comes again; the first two where nothing is called so. None where they do not look like it."""
    table = table.select(one for one in table.get_columns() if _is_plain(one.dtype))
    numbers = {name: table[name].n_unique() for name in table.columns}
    owners = [name for name in table.columns if _is_owner(name) and numbers[name] <= AGAIN * table.height]
    things = [name for name in table.columns if _is_thing(name)]
    if table.width < 2 or (not owners and not things and table.width > 3):
        return None
    owner = max(owners, key=numbers.__getitem__, default=table.columns[0])
    others = [name for name in things if name != owner] or [name for name in table.columns[:2] if name != owner]
    thing = min(others, key=_is_numeric_in(table), default="")
    if not thing or numbers[owner] > AGAIN * table.height or numbers[thing] < 2:
        return None
    one, two = (set(_texts(table[name]).drop_nulls().unique().to_list()) for name in (owner, thing))
    if not (owners and things) and len(one & two) > ALIKE * min(len(one), len(two)):
        return None  # lines of baskets, in which things stand in any column; numbers of users may be those of films
    rated = [name for name in table.columns if _words(name) & RATINGS and name not in (owner, thing)]
    return [owner, thing, *[name for name in rated if _is_rating(table[name])][:1]]


def _gathered(table: Any, header: Sequence[str], found: Source) -> Source:
    """The rows of one basket together, in the order of the table."""
    pl = library()
    cells = table.select(_texts(table[name]).alias(f"{place}") for place, name in enumerate(header))
    whole = cells.filter(pl.all_horizontal(pl.all().is_not_null() & (pl.all() != "")))
    problems = list(found.problems)
    if lost := cells.height - whole.height:
        problems.append((found.name, f"{lost:,} rows lack a basket, a thing or a rating"))
    both = whole.unique(["0", "1"], keep="last", maintain_order=True).group_by("0", maintain_order=True).agg(pl.all())
    if both.height < 2:
        raise DataError(f"{found.name} holds {both.height} baskets", "At least two", f"Name its columns: {EXPECTED}")
    things = both["1"].to_list()
    if len(header) > 2:
        things = [dict(zip(*one, strict=True)) for one in zip(things, both["2"].to_list(), strict=True)]
    stamp = fingerprint("pairs", (FORMAT, found.fingerprint, tuple(header)))
    items = Baskets(both["0"].to_list(), things, header)
    items.mark = getattr(found.items, "mark", "")
    return Source(found.name, items, stamp, problems, codec="baskets")


def _texts(cells: Any) -> Any:
    return cells.cast(library().String).str.strip_chars()


def _words(name: str) -> set[str]:
    """The words of a column's name: {"user", "id"} of userID."""
    return {word.casefold() for word in _BREAK.split(name)}


def _is_owner(name: str) -> bool:
    return bool(_words(name) & OWNERS) and not _words(name) & TIMES


def _is_thing(name: str) -> bool:
    return bool(_words(name) & THINGS) and not _words(name) & OWNERS


def _is_plain(kind: Any) -> bool:
    return kind.is_numeric() or str(kind).startswith(("String", "Categorical", "Enum"))


def _is_numeric_in(table: Any) -> Callable[[str], bool]:
    """Whether the cells of a column of this table are numbers: names of things say more."""
    return lambda name: _texts(table[name]).cast(library().Float64, strict=False).null_count() < 0.5 * table.height


def _is_rating(cells: Any) -> bool:
    text = _texts(cells).drop_nulls()
    return (
        bool(len(text)) and text.n_unique() <= GRADES and text.cast(library().Float64, strict=False).null_count() == 0
    )


def _said(things: Sequence[str] | Mapping[str, str]) -> Callable[[], Sequence[str] | Mapping[str, str]]:
    return lambda: things
