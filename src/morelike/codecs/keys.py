"""Columns that refer to the rows of a table by its key: which they are, and how well they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from morelike.codecs._columns import missing, texts
from morelike.core.errors import DataError, OptionError, unknown

NEARLY, ALIKE = 0.9, 0.01  # share of cells that are keys, where links are looked for; of keys that may come twice
SPREAD, LEAST = 0.5, 20  # share of the keys that plain numbers have to reach to be taken for keys, and number of these
LOOK, LOOSE = 1_000, 0.1  # cells by which most columns are told not to fit, and how much less these may do so
_WHOLE, _DECIMAL = re.compile(r"-?\d+"), re.compile(r"[-+]?\d*[.,]\d+(?:[eE][-+]?\d+)?")
_NAMES_ROWS = re.compile(
    r"(?:^|[\W_])(?:id|uid|uuid|key|code|no|nr|number|ref|fk)$|[a-z](?:I[dD]|No|Nr|Key)$|编号", re.I
)
_GENERIC = {"id", "key", "code", "no", "nr", "number", "index", "name", "uid", "uuid"}
HEAD, FEWEST, OFTEN = 20_000, 20, 0.7  # rows by which groups are sought; groups, and share of the rows, for a hint


@dataclass(frozen=True)
class Link:
    """A column of one table, the child, whose cells are keys of rows of another one, the parent.

    column, key  names of both columns
    share        of the column's cells that are keys, among those that are not missing
    reach        share of the keys that are referred to
    hint         how much the names speak for it: 2 | 1 | 0
    """

    column: str
    key: str
    share: float
    reach: float
    hint: int = 0


def as_keys(cells: Any) -> Any:
    """A polars column as texts by which rows are named, null for missing ones; 17.0 is 17, as numbers with gaps are
    often written."""
    import polars

    if cells.dtype.is_float():
        cells = cells.fill_nan(None)
    text = texts(cells)
    if text.str.contains(".0", literal=True).any():
        text = text.str.replace(r"^(-?\d+)\.0+$", "$1")
    return text.to_frame("key").select(polars.when(~missing(text)).then(polars.col("key"))).to_series()


def links(child: Any, parent: Any, name: str, least: float = NEARLY) -> list[Link]:
    """The columns of a child, a polars frame, that may refer to a column of its parent, the best first.

    name   of the parent's table: customer_id is likely to refer to customers
    least  share of the cells of a column that have to be keys
    """
    import polars

    found = list[Link]()
    named = [one for one in child.columns if _may_name(child[one])]
    firsts = {one: as_keys(some(child[one])).drop_nulls() for one in named}
    sought = polars.concat([polars.Series([], dtype=polars.String), *firsts.values()]).unique().implode()
    for key in parent.columns:
        keys = keys_of(parent[key])
        if keys is None:
            continue
        known = set(keys.filter(keys.is_in(sought)).to_list())
        plain = all(_WHOLE.fullmatch(one) for one in keys.head(1_000).to_list())
        for column, first in firsts.items():
            if not len(first) or sum(one in known for one in first.to_list()) < (least - LOOSE) * len(first):
                continue
            if child is parent and column == key:
                continue
            if plain and not _hint(column, key, name) and child[column].n_unique() < SPREAD * len(keys):
                continue  # too few of the keys, whichever they are
            one = _link(as_keys(child[column]), keys, column, key, name)
            if one.share >= least and (one.hint or not plain or (one.reach >= SPREAD and len(keys) >= LEAST)):
                found.append(one)
    return sorted(found, key=lambda one: (-one.hint, -one.share, -one.reach))


def told(child: Any, parent: Any, column: str, key: str, names: tuple[str, str]) -> Link:
    """The link that a user has named; a three-part error says why it is none.

    names  of the child's and the parent's table
    """
    for table, wanted, which in ((child, column, names[0]), (parent, key, names[1])):
        if wanted not in table.columns:
            raise unknown(f"column of {which}", wanted, table.columns)
    keys = as_keys(parent[key]).drop_nulls()
    twice = len(keys) - keys.n_unique()
    if twice > ALIKE * len(keys):
        found = f'{names[1]}: "{key}" has {keys.n_unique():,} different values in {parent.height:,} rows'
        raise DataError(found, "A key: one value for each row", f"Name another column: --link {column}=KEY, or keep "
                        "one row for each")  # fmt: skip
    one = _link(as_keys(child[column]), keys.unique(), column, key, names[1])
    if one.share == 0:
        some = ", ".join(as_keys(child[column]).drop_nulls().head(3).to_list()) or "nothing"
        found = f'{names[0]}: no value of "{column}" ({some} …) is among those of "{key}" in {names[1]}'
        raise DataError(found, f"Keys such as {', '.join(keys.head(3).to_list())}", "Name other columns: --link "
                        "COLUMN=KEY")  # fmt: skip
    return one


def own(table: Any) -> list[Link]:
    """The columns of a table that refer to its own key, as manager_id does."""
    found = [Link(one.column, one.key, one.share, one.reach) for one in links(table, table, "")]
    return [one for one in found if as_keys(table[one.column]).drop_nulls().n_unique() < table.height]


def read(words: str) -> tuple[str, str]:
    """The column and the key of "column=key"; "" for a key that is not said."""
    column, _, key = words.partition("=")
    if not column.strip():
        raise OptionError(f'--link is "{words}"', "Two columns, COLUMN=KEY", "Write for example: --link customer_id=id")
    return column.strip(), key.strip()


def keys_of(cells: Any) -> Any | None:
    """The different keys in a polars column that has a value of its own for each row, and none that are measured; None
    where it is no such column."""
    if not _may_name(cells):
        return None
    first = as_keys(some(cells)).drop_nulls()
    if any(_DECIMAL.fullmatch(one) for one in first.to_list()) or first.n_unique() < (1 - LOOSE) * len(first):
        return None
    there = as_keys(cells).drop_nulls()
    keys = there.unique() if len(there) >= max(2, (1 - ALIKE) * len(cells)) else there.head(0)
    return keys if len(keys) >= max(1, (1 - ALIKE) * len(there)) else None


def _may_name(cells: Any) -> bool:
    """Whether the cells of a polars column are of a type that names rows."""
    kind = cells.dtype
    return not (kind.is_nested() or kind.is_temporal() or str(kind) in ("Boolean", "Binary", "Object"))


def some(cells: Any) -> Any:
    """At most about `LOOK` cells of a polars column, evenly chosen: enough to tell most columns that do not fit."""
    return cells.gather_every(max(1, len(cells) // LOOK))


def _link(cells: Any, keys: Any, column: str, key: str, name: str) -> Link:
    """How well cells, as keys, fit the different keys of a parent."""
    there = cells.drop_nulls()
    inside = there.filter(there.is_in(keys.implode()))
    share = len(inside) / len(there) if len(there) else 0.0
    return Link(column, key, share, inside.n_unique() / max(1, len(keys)), _hint(column, key, name))


def _hint(column: str, key: str, name: str) -> int:
    """How much names speak for a link: customer_id for id of customers, or the same name that is no usual one."""
    one, other, table = _plain(column), _plain(key), _plain(name)
    stems = {stem for stem in _stems(table) if len(stem) > 1}
    if (one == other and one not in _GENERIC) or any(one in (stem + other, stem) for stem in stems):
        return 2
    return int(bool(_NAMES_ROWS.search(column)) and one not in _GENERIC or any(stem in one for stem in stems))


def _stems(table: str) -> Iterator[str]:
    yield from (table, table.removesuffix("s"), table.removesuffix("es"))
    if table.endswith("ies"):
        yield table.removesuffix("ies") + "y"


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def groups(table: Any) -> str:
    """What several rows of a table, a polars frame, belong to, in a line; "" where nothing says so.

    A column that is called like a name of things, has several rows of most of its values, and two others that never
    differ among these though they have many values.
    """
    import polars as pl

    some = table.head(HEAD)
    for name in [one for one in table.columns if _NAMES_ROWS.search(one)]:
        count = some[name].n_unique()
        if not FEWEST <= count <= OFTEN * some.height or some[name].null_count():
            continue
        each = some.group_by(name).agg(pl.all().n_unique()).drop(name).max().row(0, named=True)
        same = [other for other, most in each.items() if most == 1 and some[other].n_unique() > 1]
        if sum(some[other].n_unique() > FEWEST for other in same) and len(same) >= 2 and len(same) < table.width - 1:
            shared = ", ".join(f'"{one}"' for one in same[:4]) + (" …" if len(same) > 4 else "")
            learnt = f"--link {name} learns them so (--codec series, where they follow each other in time)"
            return f'several rows belong to one "{name}", with the same {shared}: {learnt}'
    return ""
