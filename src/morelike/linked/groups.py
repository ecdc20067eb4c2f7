"""One table in which several rows belong to one owner, as two: the owners, and what else each row says.

The lines of a bill share its date and its customer; the visits of a patient share sex and date of birth. Learnt row by
row each would come out with a bill or a patient of its own, who is a man at one visit and a woman at the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from morelike.codecs.keys import as_keys
from morelike.core.errors import DataError, unknown
from morelike.data.frame import PART

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Table:
    """A table as it was found.

    source  what the user calls it
    name    of its run and of the file that is made
    frame   its rows, of polars
    mark    what stands between its cells, "" for nothing
    """

    source: str
    name: str
    frame: Any
    mark: str = ""

    @property
    def file(self) -> str:
        """Name of the file that is made: of the same kind, where such files can be written."""
        suffix = Path(self.source.partition(PART)[0]).suffix.lower()
        return self.name + (suffix if suffix in SUFFIXES else ".csv")


def cut(table: Table, column: str) -> tuple[Table, Table, tuple[str, ...]]:
    """Owners, rows without what is the same in all rows of one owner, and what was found, in sentences.

    column  that names the owner of each row; rows without a name are left out

    Raises a three-part error for a column that is not there, and one that names no groups of rows.
    """
    frame = table.frame
    if column not in frame.columns:
        raise unknown(f"column of {table.source}", column, frame.columns)
    names = as_keys(frame[column])
    whole = frame.filter(names.is_not_null())
    shared = _shared(whole, column)
    others = [name for name in frame.columns if name not in (column, *shared)]
    owners = whole.select(column, *shared).unique(column, keep="first", maintain_order=True)
    if owners.height == whole.height or not others:
        once = owners.height == whole.height
        found = f'each "{column}" is there once' if once else f'all rows with one "{column}" are equal'
        raise DataError(f"{table.source}: {found}", "A column that several rows share, which differ in another one",
                        "Name another: --link COLUMN, or leave --link out")  # fmt: skip
    said = [f'"{column}" names {owners.height:,} groups of {whole.height:,} rows, with the same '
            f"{_listed(shared)} in each"]  # fmt: skip
    if whole.height < frame.height:
        said.append(f'{frame.height - whole.height:,} rows have no "{column}": left out')
    name = re.sub(r"\W+", "-", column).strip("-").lower() or "owner"
    name = f"{name}-owners" if name == table.name else name
    return replace(table, name=name, frame=owners), replace(table, frame=whole.drop(shared)), tuple(said)


def _shared(frame: Any, column: str) -> list[str]:
    """The columns that never differ between rows of one owner, but do between owners."""
    import polars as pl

    each = frame.group_by(column).agg(pl.all().n_unique()).drop(column).max().row(0, named=True)
    return [name for name, most in each.items() if most == 1 and frame[name].n_unique() > 1]


def _listed(names: list[str]) -> str:
    some = [f'"{name}"' for name in names[:8]] + ["…"] * (len(names) > 8)
    return ", ".join(some) if some else "values in no other column"
