"""What the rows before of the same owner tell of the next one: the last visit of a patient, the balance until now.

    p(rows of an owner) = Π_t p(row_t | owner, m_t),    m_t = the last value, or the mean or the most frequent so far

A column is remembered where rows of one owner are alike in it beyond what the owner's columns say, by its last value,
or where this says more, by what was usual until then. Sources: autoregressive factorisation; sequential synthesis of
linked rows is that of "REaLTabFormer" (Solatorio & Dupriez 2023), which remembers all columns of all rows before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from morelike.codecs._apart import many
from morelike.codecs._found import as_texts, natural
from morelike.codecs._same import OFTEN, agreement, often
from morelike.codecs.table import Codec, Config
from morelike.data.frame import Frame
from morelike.measure.table.sheet import Rows, Sheet, coded, columns_of, numbers
from morelike.measure.table.siblings import correlation, pairs_of, scores

ROWS, PAIRS = 30_000, 100  # rows by which is told what is remembered; pairs of rows of one owner that it takes
LEAST, SURE = 0.1, 4.0  # correlation with rows before from which it is remembered, and in its standard errors
LESS = 0.95  # variance that the usual leaves open, in that of the last, below which it is what is remembered
NEAR = 0.6  # spread of the difference from what is remembered, in that of the column, below which this is learnt


@dataclass(frozen=True)
class Memory:
    """A column that is remembered.

    column  of the children
    name    of the column that holds what is remembered of it
    kind    number | category | boolean | date
    usual   whether it is the mean of the numbers so far, or the most frequent value, and not the last one
    start   what stands there where nothing is known yet, as it is written; "" for nothing
    near    whether the column is learnt as what it is apart from this, or whether it is the same
    """

    column: str
    name: str
    kind: str
    usual: bool = False
    start: str = ""
    near: bool = False

    @property
    def said(self) -> str:
        """What is remembered, in words."""
        usual = "mean" if self.kind == "number" else "most frequent"
        return f'the {usual if self.usual else "last"} "{self.column}"'


def said(memories: Sequence[Memory]) -> tuple[str, ...]:
    """What is remembered, in a sentence; none for nothing."""
    some = ", ".join(one.said for one in memories)
    told = "Rows of one owner: the first is learnt by itself, each other one given "
    return (f"{told}{some}, in the rows before it",) if some else ()


class Recall:
    """What is remembered of the rows until now, of so many owners."""

    def __init__(self, memories: Sequence[Memory], columns: Sequence[Any], owners: int) -> None:
        self.memories, self.columns = memories, columns
        self.value = np.full((owners, len(memories)), None, object)
        for at, (one, column) in enumerate(zip(memories, columns, strict=True)):
            if one.start:
                self.value[:, at] = natural(column, as_texts([one.start]))
        self.total, self.count = np.zeros(self.value.shape), np.zeros(self.value.shape)
        self.times = defaultdict[tuple[int, int], Counter[Any]](Counter)

    def add(self, owner: np.ndarray, rows: np.ndarray) -> None:
        """One more row (n, M) of each of some owners (n,), all different: the columns that are remembered."""
        for at, one in enumerate(self.memories):
            there = rows[:, at] != None  # noqa: E711  (element by element)
            who, new = owner[there], rows[there, at]
            if one.usual and one.kind == "number":
                self.total[who, at] += numbers(new)
                self.count[who, at] += 1
                digits = (self.columns[at].style.decimals or 0) + 1
                new = np.round(self.total[who, at] / self.count[who, at], digits).astype(object)
            elif one.usual:
                for each, value in zip(who.tolist(), new.tolist(), strict=True):
                    self.times[each, at][value] += 1
                new = np.array([self.times[each, at].most_common(1)[0][0] for each in who.tolist()], object)
            self.value[who, at] = new


def turns(owner: np.ndarray) -> Iterator[np.ndarray]:
    """The places of the first rows of all owners (N,), then of the second ones, and so on; those of none are first."""
    order = np.argsort(owner, kind="stable")
    turn = np.empty(len(owner), np.int64)
    turn[order] = np.arange(len(owner)) - np.searchsorted(owner[order], owner[order])
    turn[owner < 0] = 0
    order = np.argsort(turn, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(turn))[:-1]) if len(owner) else ()


def is_first(owner: np.ndarray) -> np.ndarray:
    """Which rows have none before them of the same owner (N,), bool (N,); those of no owner have none."""
    first = owner < 0
    first[np.unique(owner, return_index=True)[1]] = True
    return first


def with_memory(frame: Any, owner: np.ndarray, memories: Sequence[Memory], prefix: str, typed: bool = False) -> Any:
    """A frame of children with what is remembered before each row of its owner (N,), before their own columns."""
    names = [one.column for one in memories]
    codec = Codec(Config(rules=False)).fit(_items(frame.select(list(dict.fromkeys(names))), typed))
    columns = [codec.found[codec.columns.index(name)] for name in names]
    rows = np.stack([natural(one, frame[one.name]) for one in columns], 1)
    own = np.where(owner < 0, owner.max(initial=-1) + 1 + np.arange(len(owner)), owner)
    recall, found = Recall(memories, columns, int(own.max(initial=-1)) + 1), np.empty(rows.shape, object)
    for at in turns(own):
        found[at] = recall.value[own[at]]
        recall.add(own[at], rows[at])
    known = [_series(one, column, found[:, at]) for at, (one, column) in enumerate(zip(memories, columns, strict=True))]
    given = [name for name in frame.columns if name.startswith(prefix)]
    return frame.select(*given, *known, *(name for name in frame.columns if not name.startswith(prefix)))


def _series(memory: Memory, column: Any, cells: np.ndarray) -> Any:
    import polars

    if memory.kind == "number":
        return polars.Series(memory.name, numbers(cells)).fill_nan(None)
    return texts_of(column.say, cells.tolist()).rename(memory.name)


def _items(frame: Any, typed: bool) -> Frame:
    items = Frame(frame, "children")
    items.typed = typed
    return items


def remembered(frame: Any, owner: np.ndarray, prefix: str, typed: bool = False) -> tuple[Memory, ...]:
    """What is remembered of the rows before.

    frame   children joined with the columns of their parents, which begin with `prefix`
    owner   (N,) the parent of each row, -1 for none
    typed   whether cells have types, so that text is text
    """
    rows = _some(owner)
    here, _ = pairs_of(owner[rows])
    if len(here) < PAIRS:
        return ()
    items = _items(frame[rows], typed)
    codec = Codec(Config(rules=False)).fit(items)
    sheet = Sheet(codec.columns, codec.kinds, codec.natural_rows(items, np.arange(len(rows))))
    columns = columns_of(Rows(sheet, sheet, sheet))
    values = coded(sheet, columns)
    every = [scores(values[:, at], one) for at, one in enumerate(columns)]
    given = [one for one, column in zip(every, columns, strict=True) if column.name.startswith(prefix)]
    basis = np.linalg.qr(np.hstack([np.ones((len(rows), 1)), *given]))[0]
    found = list[Memory]()
    for own, column in zip(every, columns, strict=True):
        if column.name.startswith(prefix) or column.kind == "constant":
            continue
        known, cells = codec.found[column.place], sheet.cells[:, column.place]
        usual = _remembered(own - basis @ (basis.T @ own), owner[rows], column.kind)
        if usual is not None:
            near = often(known) and _agreement(known, cells, owner[rows]) >= OFTEN
            usual = usual and not near
            start = _start(known, cells, owner[rows], usual)
            name = f"{prefix}{'usual' if usual else 'last'} {column.name}"
            name += " *" * (name in frame.columns)
            found.append(Memory(column.name, name, column.kind, usual, start, near or bool(start)))
    return tuple(found)


def _agreement(column: Any, cells: np.ndarray, owner: np.ndarray) -> float:
    """How much more often values (N,) are those of the row before of the same owner than by chance."""
    return agreement(*(texts_of(column.say, cells[rows].tolist()) for rows in pairs_of(owner)))


def texts_of(say: Callable[[Any], str], cells: Sequence[Any]) -> Any:
    """Cells as a polars column of texts, null for missing ones; each different one is worked out once."""
    import polars

    known = {one: None if one is None else say(one) for one in set(cells)}
    return polars.Series([known[one] for one in cells], dtype=polars.String)


def _some(owner: np.ndarray) -> np.ndarray:
    """The rows, in their order, of so many owners that they are not too many."""
    if len(owner) <= ROWS:
        return np.arange(len(owner))
    count = np.bincount(owner[owner >= 0])
    order = np.random.default_rng(0).permutation(len(count))
    chosen = np.zeros(len(count) + 1, bool)  # its last one is that of -1
    chosen[order[: max(1, int(np.searchsorted(np.cumsum(count[order]), ROWS)))]] = True
    return np.flatnonzero(chosen[owner])


def _remembered(own: np.ndarray, owner: np.ndarray, kind: str) -> bool | None:
    """Whether the usual or the last is remembered of scores (N, L); None for neither."""
    here, _ = pairs_of(owner)
    last, usual = (correlation(own[here], _before(own, owner, usual)[here]) for usual in (False, True))
    least = max(LEAST, SURE / np.sqrt(len(here)))
    if max(abs(last), usual) < least:
        return None
    return kind != "date" and usual > 0 and 1 - usual**2 < (1 - last**2) * LESS


def _before(own: np.ndarray, owner: np.ndarray, usual: bool) -> np.ndarray:
    """Of values (N, L) those of the row before of the same owner, or the mean over all rows before; NaN for none."""
    found = np.full(own.shape, np.nan)
    if not usual:
        here, before = pairs_of(owner)
        found[here] = own[before]
        return found
    total, count = np.zeros((2, int(owner.max()) + 2, own.shape[1]))  # the last row is that of no owner
    with np.errstate(invalid="ignore"):
        for at in turns(owner):
            found[at] = np.where(owner[at, None] < 0, np.nan, total[owner[at]] / count[owner[at]])
            there = ~np.isnan(own[at])
            total[owner[at]] += np.where(there, own[at], 0)
            count[owner[at]] += there
    return found


def _start(column: Any, cells: np.ndarray, owner: np.ndarray, usual: bool) -> str:
    """What stands for what is remembered where there are no rows before, if the column stays near it: the median of
    numbers, the first of dates; "" where it does not, so that nothing has to stand there."""
    if not many(column):
        return ""
    x = numbers(cells)
    before = _before(x[:, None], owner, usual)[:, 0]
    both = ~np.isnan(x + before)
    spread = [np.abs(one - np.median(one)).mean() for one in (x[both] - before[both], x[both])]
    if both.sum() < PAIRS or spread[0] > NEAR * spread[1]:
        return ""
    there = np.flatnonzero(~np.isnan(x))
    order = there[np.argsort(x[there], kind="stable")]
    return str(column.say(cells[order[0 if column.kind == "date" else len(order) // 2]]))
