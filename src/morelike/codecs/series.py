"""Series: several columns over time <-> cells of windows, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from morelike.codecs import _series_files, _series_fit, _series_next
from morelike.codecs._columns import Column
from morelike.codecs._found import as_table
from morelike.codecs._kinds import asked
from morelike.codecs._numerals import Style
from morelike.codecs._rules import Rule
from morelike.codecs._series_draw import Piece, State, drawn, pieces, slid, unrolled
from morelike.codecs._series_layout import Layout
from morelike.codecs._series_levels import dates, levels
from morelike.codecs._series_next import History
from morelike.codecs._series_reference import Reference
from morelike.codecs._series_shape import Shape
from morelike.codecs._series_time import Clock, Ordered, calendar, ordered
from morelike.codecs._series_told import Told, Track
from morelike.codecs._series_tracks import coded
from morelike.core.codec import Blemish, Item, Metric
from morelike.core.errors import DataError, OptionError
from morelike.core.spec import Spec
from morelike.nn.rows import Row

_PART = 2_000  # windows that are prepared at once


@dataclass(frozen=True)
class Config:
    """How series become cells.

    columns  kinds of columns, as text: "state=category,note=drop"; the others are guessed
    time     column of the time, "none" for the order of the rows; guessed
    entity   column that names the series, "none" for just one; guessed
    length   steps of a window; None: 24, or whole series where these are short
    bins     groups of neighbouring numbers; None: as fine as the data tell
    rules    whether columns that follow from others, and orders such as a <= b, are looked for and kept

    Found by `fit`: found (the columns), kept (the rules), clock, tracks, parts (of the calendar), steps, least, shape,
    still (columns that stay as they are within a series), overlap (windows in which a row is, on average), mark (what
    stands between the cells of a .csv).
    """

    columns: str = ""
    time: str = ""
    entity: str = ""
    length: int | None = None
    bins: int | None = None
    rules: bool = True
    found: tuple[Column, ...] = ()
    kept: tuple[Rule, ...] = ()
    clock: Clock = Clock()
    shape: Shape = Shape()
    still: tuple[int, ...] = ()
    tracks: tuple[Track, ...] = ()
    parts: tuple[tuple[int, ...], ...] = ()
    steps: int = 0
    least: int = 0
    overlap: float = 1.0
    mark: str = ""

    def __post_init__(self) -> None:
        for name, least, most in (("bins", 4, 4096), ("length", 2, 4096)):
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise OptionError(f"{name} is {value}", f"A whole number from {least} to {most}", "Correct --set")
        asked(self.columns)


class Windows(Sequence[Item]):
    """Pieces of some series that are one item each.

    rows    the rows in order
    begins  (M,) first row of each, and `lengths` (M,), how many
    """

    def __init__(self, name: str, rows: Ordered, begins: np.ndarray, lengths: np.ndarray) -> None:
        self.name, self.rows, self.begins, self.lengths = name, rows, begins, lengths

    def __len__(self) -> int:
        return len(self.begins)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        begin, length = int(self.begins[index]), int(self.lengths[index])
        return Item(self.names[index], lambda: self.rows.table[begin : begin + length])

    @cached_property
    def names(self) -> list[str]:
        """Where each came from."""
        ends = self.begins + self.lengths
        return [f"{self.name}, rows {a + 1}–{b} in time" for a, b in zip(self.begins, ends, strict=True)]

    @property
    def fields(self) -> list[dict[str, str]]:
        """By which a split is made: the number of the series, and the first row and the end of the window."""
        ends = self.begins + self.lengths
        series = self.rows.series[self.begins]
        both = zip(series.tolist(), self.begins.tolist(), ends.tolist(), strict=True)
        return [{"series": str(one), "first": str(a), "end": str(b)} for one, a, b in both]


class Codec:
    """Windows of series <-> cells, in the order of time.

    Stored as int16 (T,); encoded as int64 (B, T), cell t in [0, sizes[t]), -1 behind the end of a shorter window;
    decoded to an array (B,) of `Piece`. What a cell leaves open is drawn by a generator whose seed is the cells.
    """

    natural, suffix, sheets = "series", ".csv", ".csv"
    versions = "equal in all that is learnt"
    metrics: Sequence[Metric] = ()

    def __init__(self, config: Config = Config(), said: str = "") -> None:
        self.config, self.said = config, said

    @property
    def found(self) -> tuple[Column, ...]:
        """All columns but time and entity. Raises `OptionError` before `fit`."""
        if not self.config.tracks:
            raise OptionError("The columns are not settled", "A codec that has read a series", "Call fit first")
        return self.config.found

    @cached_property
    def valued(self) -> tuple[int, ...]:
        """Numbers of those of the columns that `values` gives: learnt ones, and those that follow from them."""
        follow = {rule.to for rule in self.config.kept if rule.derives}
        learnt = {track.column for track in self.config.tracks}
        return tuple(number for number in range(len(self.found)) if number in follow | learnt)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `values`."""
        return tuple(self.found[number].name for number in self.valued)

    @cached_property
    def layout(self) -> Layout:
        """What each cell stands for."""
        config, begin = self.config, tuple(len(part) for part in self.config.parts if len(part) > 1)
        gap = bool(config.tracks) and config.tracks[0].column < 0
        return Layout(begin, config.tracks, gap, config.steps, config.least)

    @property
    def overlap(self) -> float:
        """In how many windows a row is: so much more often than windows are the rows seen in training."""
        return self.config.overlap

    @property
    def learnt(self) -> int:
        """How many cells of a window are learnt; all values of the others are equally likely."""
        return len(self.layout.free) - sum(self.layout.free)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each cell takes, (T,)."""
        return self.layout.sizes

    @property
    def shape(self) -> tuple[int]:
        """(T,) of an encoded window."""
        self.found  # noqa: B018  (raises before fit)
        return (len(self.layout.slots),)

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on."""
        return (
            "series",
            blake2b(repr((self.config, self.layout.slots)).encode("utf-8", "replace"), digest_size=16).hexdigest(),
        )

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec with time, columns, cells and windows settled by reading all rows; `said` tells what was found.

        Raises `DataError` where there is nothing to learn, and `OptionError` for a setting that does not fit.
        """
        config = replace(self.config, mark=getattr(items, "mark", ""))
        config, said = _series_fit.fitted(config, as_table(items), getattr(items, "name", "The table"))
        return Codec(config, said)

    def rows(self, items: Sequence[Item]) -> Ordered:
        """The rows of a table in order. Raises `DataError` where columns are missing."""
        table, clock = self.config.shape.of(as_table(items)), self.config.clock
        wanted = [*clock.named, *(self.found[t.column].name for t in self.own)]
        if lacking := [name for name in wanted if name not in table.columns]:
            found, expected = f"There is no column {', '.join(lacking)[:200]}", f"All of {', '.join(wanted)[:300]}"
            raise DataError(found, expected, "Add what is missing")
        if clock.entity and not len(table):
            raise DataError("There are no rows", "Some, in the order of time", "Name another file")
        step = None if self.layout.gap else (clock.step, clock.months)
        return ordered(table, self.when, clock.entity, step, clock.week)

    @property
    def own(self) -> tuple[Track, ...]:
        """The tracks that are columns of the table."""
        return self.config.tracks[self.layout.gap :]

    @cached_property
    def when(self) -> tuple[Column, ...]:
        """The columns of time, of what `fit` keeps beside the learnt ones: one, or days and times of day, or none."""
        known = {one.name: one for one in self.config.found}
        return tuple(known[name] for name in (self.config.clock.time, self.config.clock.hour) if name)

    def cut(self, items: Sequence[Item]) -> Windows:
        """The windows of some rows, each of which is one item."""
        rows = self.rows(items)
        begins, lengths = _series_fit.windows(rows, self.config.steps, self.config.least)
        if len(begins) < 2:
            raise DataError(f"The series have {len(begins)} windows of {self.config.steps} steps", "At least two",
                            "Name a longer one, or shorten windows: --set length=8")  # fmt: skip
        return Windows(getattr(items, "name", "series"), rows, begins, lengths)

    def prepare(self, item: Item) -> np.ndarray:
        """One window, read as rows of a table: int16 (T,)."""
        read = item.load()
        rows = self.rows(_Rows([read] if isinstance(read, Mapping) else read))
        return self._prepared(rows, np.zeros(1, np.int64), np.array([len(rows.times)]), self.codes(rows))[0]

    def prepare_all(self, items: Sequence[Item]) -> Iterator[np.ndarray]:
        """All windows, some at a time: int16 (n, T) each."""
        cut = items if isinstance(items, Windows) else self.cut(items)
        codes = self.codes(cut.rows)
        for at in range(0, len(cut), _PART):
            yield self._prepared(cut.rows, cut.begins[at : at + _PART], cut.lengths[at : at + _PART], codes)

    def _prepared(self, rows: Ordered, begins: np.ndarray, lengths: np.ndarray, codes: Sequence) -> np.ndarray:
        return self.layout.windows(begins, lengths, self.begun(rows.times[begins]), codes)

    def begun(self, times: np.ndarray) -> np.ndarray:
        """The cells (B, cells) that tell when windows begin."""
        numbers = calendar(times) if self.config.clock.dated else times[:, None]
        found = []
        for place, part in enumerate(self.config.parts):
            if len(part) > 1:
                edges = np.array(part)
                found.append(np.clip(np.searchsorted(edges, numbers[:, place], "right") - 1, 0, len(part) - 1))
        return np.stack(found, 1) if found else np.zeros((len(times), 0), np.int64)

    def numbers(self, rows: Ordered) -> list[np.ndarray | None]:
        """The values float64 (N,) of each track of numbers, None for categories."""
        found = list[np.ndarray | None]()
        if self.layout.gap:
            found.append(np.concatenate([[np.nan], rows.ahead]))
        for track in self.own:
            column = self.found[track.column]
            found.append(column.floats(rows.table[column.name]) if track.plain else None)
        return found

    def codes(self, rows: Ordered) -> list[list[np.ndarray]]:
        """For each track its cells (N, cells) as told at the first step of a window, the second, and so on."""
        found = coded(self.config.tracks, self.numbers(rows), rows.begins)
        for place, track in enumerate(self.config.tracks):
            if not found[place]:
                column = self.found[track.column]
                found[place] = [column.encode(rows.table[column.name])]
        return found

    def told(self, floats: np.ndarray) -> list[list[np.ndarray]]:
        """The same of the numbers (B, T, K) of windows, (B T, cells) each; none for categories."""
        flat = floats.reshape(-1, floats.shape[2])
        begins = np.arange(len(flat)) % floats.shape[1] == 0
        return coded(self.config.tracks, [flat[:, n] if track.plain else None
                                          for n, track in enumerate(self.config.tracks)], begins)  # fmt: skip

    def encode(self, stored: Tensor) -> Tensor:
        return stored.long()  # (B, T)

    def decode(self, x: Tensor) -> np.ndarray:
        """int (B, T) -> objects (B,), a `Piece` each."""
        return unrolled(self, x.detach().cpu().long().numpy())

    def values(self, decoded: Sequence[Piece]) -> list[np.ndarray]:
        """The numbers of each piece, float64 (T, C) in the order of `columns`; categories by their number, NaN for
        what is missing."""
        return [self.numeric(one.rows) for one in decoded]

    def numeric(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, all columns) as numbers (N, C) in the order of `columns`."""
        return _series_files.numeric([self.found[n] for n in self.valued], rows[:, list(self.valued)])

    def histories(self, items: Sequence[Item], fewest: int) -> tuple[list[History], list[tuple[str, str]]]:
        """The last rows of each series without a hole in time, and those that are too short, with the reason."""
        return _series_next.histories(self, self.rows(items), fewest)

    def opened(self, history: History, most: int, count: int) -> tuple[np.ndarray, State]:
        """The cells (count, T) and state of a window that begins with the last `most` rows of a history."""
        return _series_next.opened(self, history, most, count)

    def joined_states(self, states: Sequence[State]) -> State:
        """The windows of several states of which as much is known."""
        return State.joined(states)

    def blank(self, count: int, steps: int) -> State:
        """Nothing drawn, of so many steps."""
        return State.empty(self, count, steps)

    def drawn(self, cells: np.ndarray, state: State, until: int) -> State:
        """The state with steps drawn from their cells."""
        return drawn(self, cells, state, until)

    def slid(self, cells: np.ndarray, state: State, by: int) -> tuple[np.ndarray, State]:
        """The same windows, some steps later."""
        return slid(self, cells, state, by)

    def rows_of(self, state: State) -> np.ndarray:
        """All that has been drawn as the table has it: objects (B, L, all columns)."""
        count, steps = state.times.shape
        return np.stack([one.rows for one in pieces(self, state, np.full(count, steps))])

    def settled(self, history: History, rows: np.ndarray) -> None:
        """Rows (…, C) that go on with a history, with what never changes within a series as it is there."""
        _series_next.settled(self, history, rows)

    def write_forecast(self, found: Any, target: Path, level: float) -> Path:
        """Median and interval, a row for each series and step."""
        return _series_next.write(self, found, target, level)

    def write_paths(self, found: Any, target: Path) -> Path:
        """All continuations, each with its number."""
        return _series_next.write_paths(self, found, target)

    def natural_values(self, items: Sequence[Item], rows: np.ndarray) -> list[np.ndarray]:
        """The numbers of some windows (n,) as they are in the table, float64 (T, C) each, as `values` gives them."""
        cut = self.cut(items)
        whole = _series_files.read([self.found[number] for number in self.valued], cut.rows.table)
        return [whole[a : a + n] for a, n in zip(cut.begins[rows], cut.lengths[rows], strict=True)]

    def split(self, fields: Mapping[str, Sequence[str]], held_out: float) -> tuple[np.ndarray, np.ndarray]:
        """Windows to train on and to hold out, of which none overlap: whole series, or stretches of time."""
        return _series_fit.split(fields, held_out, self.config.steps)

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of an encoded window."""
        sizes, config = self.sizes, self.config
        known = dates(config.clock, config.parts, config.steps)
        return Spec(self.shape, tokens=max(sizes), head_shape=(sum(sizes),), head=partial(Row, sizes=sizes),
                    sizes=sizes, kinds=self.layout.kinds, levels=levels(self.layout, known))  # fmt: skip

    def survey(self, items: Sequence[Item]) -> list[Blemish]:
        """What is wrong with the series as a whole."""
        return _series_files.survey(self, self.rows(items))

    def html(self, items: Sequence[Piece]) -> list[str]:
        """Windows (N,) as small curves."""
        return _series_files.html(self, items)

    def joined(self, items: Sequence[Piece]) -> str:
        """Windows (N,) as lines of a CSV file with its header."""
        return _series_files.joined(self, items)

    def write(self, items: Sequence[Piece], target: Path) -> list[Path]:
        """Write windows (N,) one after another as .csv, .tsv, .jsonl, .parquet or .xlsx, whole or not at all."""
        return _series_files.write(self, items, Path(target))


class _Rows(list):
    """Rows as a sequence of items whose table is known."""

    def __init__(self, rows: Any) -> None:
        import polars

        whole = isinstance(rows, polars.DataFrame)
        self.table = rows if whole else polars.DataFrame([dict(one) for one in rows], infer_schema_length=None)
        super().__init__()


def tiny() -> Codec:
    """A small codec that is ready to use, for tests: a level, a change and a category over four steps."""
    low = tuple(float(one) for one in range(0, 24, 2))
    size = Column("size", "number", "Int64", low=low, high=tuple(one + 1 for one in low), groups=(0, 4, 8))
    near = Column("price", "number", "Float64", False, low=(-3.0, -1.0, 1.0), high=(-1.0, 1.0, 3.0), groups=(0, 1, 2),
                  style=Style(decimals=None))  # fmt: skip
    price, kind = replace(size, name="price"), Column("kind", "category", values=("cat", "dog"))
    changes = (Told(price), Told(near, Reference(((1, 1, 1.0),))))
    tracks = (Track(0, (Told(size, fine=True),), True), Track(1, changes, True, late=True), Track(2, (Told(kind),)))
    return Codec(Config(found=(size, price, kind), tracks=tracks, steps=4, least=4))
