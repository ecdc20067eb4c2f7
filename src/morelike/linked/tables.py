"""Two tables made ready to be learnt: parents with the number of their children, children with what their parents are.

    p(parents, counts) p(children | parents, children before)

A parent is a row of the table whose key is referred to. It is learnt with one more column, how many children it has; a
child is learnt as a row joined with the columns of its parent, and what is remembered of the rows before of this parent
(`memory`), given these. Source: a plain case of the hierarchical models of Patki, Wedge & Veeramachaneni 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from morelike.codecs import keys
from morelike.codecs._bins import resolution
from morelike.codecs._kinds import guess
from morelike.codecs._seen import Wish
from morelike.codecs.keys import Link, as_keys
from morelike.core.errors import DataError, OptionError
from morelike.data.frame import PART, is_url, open_frame
from morelike.linked.groups import Table, cut
from morelike.linked.memory import Memory, is_first, remembered, with_memory
from morelike.linked.order import order_of

NAMED, HALF = 5, 0.5  # orphans that are named; share of keys in a column that is named though it is no link


@dataclass(frozen=True)
class Pair:
    """Two tables and the link between them.

    parent, child  as they are used: parents without a key of their own, and orphans, are left out
    counts         parents, children, childless, orphans, nulls, without_key: how many there are
    notes          what was found, in sentences
    whole          columns of the one table in which both are, () for two tables
    order          the date by which the children stand in their file (`order_of`); here the first one comes first
    """

    parent: Table
    child: Table
    link: Link
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    whole: tuple[str, ...] = ()
    order: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """How the names of a parent's columns begin among those of its children."""
        dots = (f"{self.parent.name}{'.' * n}" for n in range(1, 99))
        return next(one for one in dots if not any(name.startswith(one) for name in self.child.frame.columns))

    @property
    def count(self) -> str:
        """Name of the column of a parent that says how many children it has."""
        names = (f"number of {self.child.name}{' *' * n}" for n in range(99))
        return next(name for name in names if name not in self.parent.frame.columns)

    @property
    def hole(self) -> str:
        """How a missing reference is written."""
        import polars

        cells = self.child.frame[self.link.column]
        gone = cells.filter(as_keys(cells).is_null()).cast(polars.String).drop_nulls()
        return str(gone[0]) if len(gone) else ""

    def parents(self) -> Any:
        """The parents with the number of their children, as a polars frame."""
        import polars

        each = as_keys(self.child.frame[self.link.column]).drop_nulls().alias("key").value_counts(name="times")
        keyed = as_keys(self.parent.frame[self.link.key]).alias("key").to_frame()
        times = keyed.join(each, "key", "left", maintain_order="left")["times"].fill_null(0).cast(polars.Int64)
        return self.parent.frame.with_columns(times.alias(self.count))

    def owner(self) -> np.ndarray:
        """The parent of each child, int64 (N,), -1 for none."""
        place = {key: row for row, key in enumerate(as_keys(self.parent.frame[self.link.key]).to_list())}
        refer = as_keys(self.child.frame[self.link.column]).to_list()
        return np.array([place.get(one, -1) for one in refer], np.int64)

    def children(self, columns: Sequence[str]) -> Any:
        """The children, each joined with these columns of its parent, which are null where it has none."""
        wanted = {name: f"{self.prefix}{name}" for name in columns}
        owners = self.parents().select(as_keys(self.parent.frame[self.link.key]).alias("\0key"), *wanted)
        owners = owners.rename(wanted)
        refer = self.child.frame.select(as_keys(self.child.frame[self.link.column]).alias("\0key"))
        joined = refer.join(owners, "\0key", "left", maintain_order="left").drop("\0key")
        return joined.hstack(self.child.frame)

    def first(self, columns: Sequence[str]) -> Any:
        """The first child of each parent, and those of none, likewise."""
        return self.children(columns).filter(is_first(self.owner()))

    def later(self, columns: Sequence[str], memories: Sequence[Memory]) -> Any:
        """The other children, likewise, and with what is remembered of those before."""
        owner = self.owner()
        return with_memory(self.children(columns), owner, memories, self.prefix, not self.child.mark).filter(
            ~is_first(owner)
        )

    def identifiers(self) -> list[str]:
        """The columns that name each child, which those of some children alone would hardly be taken for."""
        frame = self.child.frame.drop(self.link.column)
        wish, names = Wish(resolution(frame.height, frame.width), 2), frame.columns
        names = [name for name in names if frame[name].n_unique() == frame.height]
        return [name for name in names if guess(name, frame[name], wish).kind == "identifier"]

    def memories(self) -> tuple[Memory, ...]:
        """What is remembered of the children before of the same parent."""
        key, column = self.link.key, self.link.column
        names = [name for name in (*self.parent.frame.columns, self.count) if name != key]
        return remembered(self.children(names).drop(column), self.owner(), self.prefix, not self.child.mark)


def open_pair(sources: Sequence[str], told: str | None) -> Pair:
    """Two tables and their link, found or told as "column=key", which may be told for either order of the two; or one
    table, and the column that names what several of its rows belong to.

    Raises a three-part error where there are not two tables, or none of them refers to the other.
    """
    if len(sources) == 1 and told:
        return _cut(_table(sources[0]), keys.read(told)[0])
    if len(sources) != 2:
        found = f"{len(sources)} tables: {', '.join(sources)[:200]}"
        raise OptionError(found, "Two, the second of which refers to the first", "Join two of them, or fit pairs")
    for one in sources:
        place = one.partition(PART)[0]
        if not is_url(place) and not Path(place).expanduser().is_file():
            found = f"Two sources, {' and '.join(sources)}, and {one} is no file"
            raise DataError(found, "Two tables, the second of which refers to the first", "Check the names")
    first, second = map(_table, sources)
    if first.name == second.name:
        second = replace(second, name=f"{second.name}-2")
    return _told(first, second, told) if told else _found(first, second)


def _table(source: str) -> Table:
    rows: Any = open_frame(source).items
    return Table(source, _name(source), rows.table, rows.mark)


def _cut(table: Table, column: str) -> Pair:
    parent, child, said = cut(table, column)
    link = keys.told(child.frame, parent.frame, column, column, (child.source, parent.source))
    found = _pair(parent, child, link, ())
    return replace(found, notes=said, whole=tuple(table.frame.columns))


def _told(parent: Table, child: Table, words: str) -> Pair:
    column, key = keys.read(words)
    here = column in child.frame.columns and (not key or key in parent.frame.columns)
    there = column in parent.frame.columns and (not key or key in child.frame.columns)
    if there and not here:
        parent, child = child, parent
    if not key:
        known = [one for one in keys.links(child.frame, parent.frame, parent.name) if one.column == column]
        same = column in parent.frame.columns and keys.keys_of(parent.frame[column]) is not None
        key = column if same or not known else known[0].key
    return _pair(parent, child, keys.told(child.frame, parent.frame, column, key, (child.source, parent.source)), ())


def _found(first: Table, second: Table) -> Pair:
    ways = [(keys.links(child.frame, parent.frame, parent.name), parent, child)
            for parent, child in ((first, second), (second, first))]  # fmt: skip
    if not any(links for links, _, _ in ways):
        raise _none(first, second)
    links, parent, child = max(ways, key=lambda way: way[0][0].hint if way[0] else -1)  # of equals the first
    others = [f'"{one.column}" = "{one.key}"' for one in links[1:4] if one.hint == links[0].hint]
    notes = (f"{', '.join(others)} would fit as well: --link tells which",) if others else ()
    return _pair(parent, child, links[0], notes)


def _none(first: Table, second: Table) -> DataError:
    """No link was found; the nearest one is named, if there is one."""
    expected = "A column all of whose values are in a column of the other table, where each is there once"
    near = keys.links(second.frame, first.frame, first.name, HALF)
    found = f"No column of {second.source} holds keys of {first.source}, nor the other way round"
    if not near:
        return DataError(found, expected, "Name them: --link customer_id=id")
    one = near[0]
    found += f'; of "{one.column}" {100 * one.share:.0f} % are a "{one.key}"'
    return DataError(found, expected, f"To leave the other rows out: --link {one.column}={one.key}")


def _pair(parent: Table, child: Table, link: Link, notes: tuple[str, ...]) -> Pair:
    key, refer = as_keys(parent.frame[link.key]), as_keys(child.frame[link.column])
    sound = key.is_first_distinct() & key.is_not_null()
    known = set(key.drop_nulls().to_list())
    inside = refer.is_in(list(known))
    orphans = refer.filter(~inside.fill_null(True))
    kept, whole = child.frame.filter(inside.fill_null(True)), parent.frame.filter(sound)
    owned = refer.filter(inside.fill_null(False)).n_unique()
    counts = {"parents": whole.height, "children": kept.height, "childless": whole.height - owned,
              "orphans": len(orphans), "nulls": int(refer.null_count()),
              "without_key": parent.frame.height - whole.height}  # fmt: skip
    found = Pair(replace(parent, frame=whole), replace(child, frame=kept), link, counts, ())
    order = order_of(kept.drop(link.column), found.owner())
    if order.get("falling"):  # the last one first, as banks write: rows go on from those before them in time
        found = replace(found, child=replace(child, frame=kept.reverse()))
    return replace(found, notes=(*_said(found, orphans.to_list()), *notes), order=order)


def _said(pair: Pair, orphans: Sequence[str]) -> list[str]:
    """What was found, in sentences."""
    n, link, (parent, child) = pair.counts, pair.link, (pair.parent, pair.child)
    owned = n["children"] - n["nulls"]
    said = [f'Link: "{link.column}" of {child.name} refers to "{link.key}" of {parent.name}: {owned:,} rows to '
            f'{n["parents"]:,}, {n["childless"]:,} of which have none']  # fmt: skip
    if orphans:
        named = list(dict.fromkeys(orphans))
        some = ", ".join(named[:NAMED]) + (" …" if len(named) > NAMED else "")
        said.append(f'{len(orphans):,} orphans: rows of {child.name} whose "{link.column}" is no "{link.key}" of '
                    f"{parent.name} ({some}); left out")  # fmt: skip
    if n["nulls"]:
        said.append(f'{n["nulls"]:,} rows of {child.name} have no "{link.column}": new ones are made at the same rate')
    if n["without_key"]:
        said.append(f'{n["without_key"]:,} rows of {parent.name} have no "{link.key}" or that of another: left out')
    for table in (parent, child):
        said += [f'"{one.column}" of {table.name} refers to "{one.key}" of the same table: learnt as an ordinary '
                 "column, so new rows do not refer to each other" for one in keys.own(table.frame)]  # fmt: skip
    return said


def _name(source: str) -> str:
    """What a table is called: its file without the suffixes, or the table of a database."""
    place, _, part = source.partition(PART)
    if part and " " not in part.strip():
        return part.strip()
    return Path(place).name.split(".")[0] or "table"
