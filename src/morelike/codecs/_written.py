"""Rows of a table as they are there, as a page shows them, with new identifiers, and in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from morelike.codecs import _found, _tables
from morelike.codecs._columns import Column
from morelike.codecs._compound import spread
from morelike.codecs._found import as_table
from morelike.core.codec import Item


class Written:
    """The part of a codec of tables that needs no more than its columns, and what stands between cells."""

    config: Any

    @property
    def found(self) -> Sequence[Column]:
        """The columns."""
        raise NotImplementedError

    @property
    def kinds(self) -> Sequence[str]:
        """Their kinds."""
        raise NotImplementedError

    def natural_rows(self, items: Sequence[Item], rows: np.ndarray, places: Sequence[int] | None = None) -> np.ndarray:
        """Some rows (n,) and columns, None for all, as they are in a table: objects (n, C) of the kinds that `decode`
        gives."""
        columns = self.found if places is None else [self.found[place] for place in places]
        return _found.natural_rows(columns, as_table(items), rows)

    def spread(self, rows: Sequence[np.ndarray], places: Sequence[int]) -> tuple:
        """Names, kinds and sets of rows (n, ·) of some columns, in which each number of 120/80 is a column."""
        return spread([self.found[place] for place in places], [self.kinds[place] for place in places], rows)

    def html(self, items: np.ndarray) -> list[str]:
        """Rows (N, C) as a small table each."""
        return _tables.html(self.found, items)

    def joined(self, items: np.ndarray, columns: Sequence[Column] = ()) -> str:
        """Rows (N, C) as lines of a CSV file with its header; `columns` where they are others than were learnt."""
        return _tables.joined(columns or self.found, items)

    def framed(self, items: np.ndarray) -> Any:
        """Rows (N, C) as a polars frame of the types that the table has."""
        return _tables.framed(self.found, items)

    def unnamed(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, C) with new identifiers where they lack."""
        return _tables.unnamed(self.found, rows)

    def renamed(self, rows: np.ndarray, first: int = 0) -> np.ndarray:
        """Rows (N, C) with identifiers made up afresh: those of rows `first`, `first` + 1, … of a file."""
        return _tables.renamed(self.found, rows, first)

    def write(
        self, items: np.ndarray, target: Path, renamed: bool = True, columns: Sequence[Column] = ()
    ) -> list[Path]:
        """Write rows (N, C) as .csv, .tsv, .jsonl, .parquet or .xlsx, whole or not at all.

        renamed  whether identifiers are made up afresh, so that all differ
        columns  those of the rows, where they are others than were learnt
        """
        with _tables.Writer(columns or self.found, Path(target), renamed, self.config.mark) as out:
            out.add(items)
        return [Path(target)]

    def writer(self, target: Path, renamed: bool = True) -> _tables.Writer:
        """A context in which rows are added piece by piece, so that any number of them can be written."""
        return _tables.Writer(self.found, target, renamed, self.config.mark)
