"""Table: rows of numbers, categories and dates <-> cells, each of which takes a few values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from morelike.codecs import _apart, _foreign, _table_blemishes
from morelike.codecs._apart import Apart
from morelike.codecs._bins import Resolution, resolution
from morelike.codecs._columns import Column
from morelike.codecs._dated import dated, partly
from morelike.codecs._each import each
from morelike.codecs._found import as_table, as_texts, natural
from morelike.codecs._hashing import hashed, mixed, uniform
from morelike.codecs._joint import codes_of, followed, joined, led_back, sole
from morelike.codecs._kinds import DROP, asked, guess, refuse
from morelike.codecs._owned import alike, coarse_date, coarser, owned, owners, shared
from morelike.codecs._rules import Rule, find, gather
from morelike.codecs._seen import Wish
from morelike.codecs._series_shape import hint
from morelike.codecs._settled import beside, broken, counted, fitting, keeps, said, settle, within
from morelike.codecs._told_rules import looks, told
from morelike.codecs._written import Written
from morelike.codecs.keys import groups
from morelike.core.codec import Blemish, Item, Metric
from morelike.core.errors import DataError, OptionError, unknown
from morelike.core.spec import Spec

TRIES = 8  # draws within the cells of a row until it keeps the rules
_PART = 100_000  # rows that are prepared at once


@dataclass(frozen=True)
class Config:
    """How rows become cells.

    columns  kinds of columns, as text: "age=number,zip=category,id=drop"; the others are guessed
    bins     groups of neighbouring numbers in a first cell; None: by the number of rows, 32 from 3,000 on
    fine     parts of each group in a second cell; None: the same
    rare     times that a value of a category is there, below which it shares a cell's value with others; None: likewise
    rules    whether columns that follow from others, and orders such as a <= b, are looked for and kept; or rules:
             "start<=end,total=a+b,zip->city,age in 0..120,unique(email)", beside those that are found, or with "false"
             among them without
    together a column, rows with the same value of which stay on one side when some are held out: visits of a patient
    near     columns that are learnt as what they are apart from another, beside those that are found: "left=came"
    owner    how names of columns begin that are only ever given, never drawn: what a row belongs to, in another table

    Found by `fit`: found (the columns), kept (the rules), apart (what is learnt as a difference), mark (between cells).
    """

    columns: str = ""
    bins: int | None = None
    fine: int | None = None
    rare: int | None = None
    rules: bool | str = True
    together: str = ""
    near: str = ""
    owner: str = ""
    found: tuple[Column, ...] = ()
    kept: tuple[Rule, ...] = ()
    apart: tuple[Apart, ...] = ()
    mark: str = ""

    def __post_init__(self) -> None:
        for name, least in (("bins", 2), ("fine", 1), ("rare", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= 1 << 12:
                raise OptionError(f"{name} is {value}", f"A whole number from {least} to 4096", f"Correct --set {name}")
        asked(self.columns)


class Codec(Written):
    """Rows <-> cells.

    Stored as (T,) of the smallest unsigned type; encoded as int64 (B, T), cell t in [0, sizes[t]); decoded to objects
    (B, C), each a Python int, float, str, bool or date, None for missing, in the order of the table's columns. What a
    cell leaves open, such as where in its bin a number lies, is drawn by a generator whose seed is the row's cells.
    """

    natural, suffix, sheets = "table", ".csv", ".csv"
    versions = "equal in all that is learnt"
    metrics: Sequence[Metric] = ()

    def __init__(self, config: Config = Config(), said: str = "") -> None:
        self.config, self.said = config, said

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that go in and come out."""
        return tuple(column.name for column in self.found)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Their kinds: number, category, boolean, date, text, identifier or constant; owner for what is only given."""
        given = owned(self.found, self.config.owner)
        return tuple("owner" if place in given else column.kind for place, column in enumerate(self.found))

    @property
    def found(self) -> tuple[Column, ...]:
        """What is known of them. Raises `OptionError` before `fit`."""
        if not self.config.found:
            raise OptionError("The columns are not settled", "A codec that has read a table", "Call fit first")
        return self.config.found

    @cached_property
    def places(self) -> dict[int, slice]:
        """Where the cells of each column are that is learnt, by the number of the column."""
        follow = {rule.to for rule in self.config.kept if rule.derives}
        places, at = {}, 0
        for number, column in enumerate(self.found):
            if column.sizes and number not in follow:
                places[number] = slice(at, at + len(self.coder(number).sizes))
                at = places[number].stop
        return places

    def coder(self, number: int) -> Column:
        """What makes the cells of a column: itself, or the column of what it is apart from another."""
        return self.aparts[number].column if number in self.aparts else self.found[number]

    @cached_property
    def aparts(self) -> dict[int, Apart]:
        """The columns that are learnt as what they are apart from another, by number."""
        return {one.to: one for one in self.config.apart}

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many values each cell takes, (T,)."""
        return tuple(size for number in self.places for size in self.coder(number).sizes)

    @property
    def shape(self) -> tuple[int]:
        """(T,) of an encoded row."""
        return (len(self.sizes),)

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on."""
        told = repr((self.found, self.config.kept, self.config.together, *self.config.apart)).encode("utf-8", "replace")
        return ("table", blake2b(told, digest_size=16).hexdigest())

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec with kinds, bins and rules settled by reading all items; `said` tells what each column was taken for.

        Raises `DataError` where there is nothing to learn, and `OptionError` for a column that cannot be what is named.
        """
        table, kinds = as_table(items), asked(self.config.columns)
        for name in kinds:
            if name not in table.columns:
                raise unknown("column", name, table.columns)
        names = [name for name in table.columns if kinds.get(name) != DROP]
        wish, wanted = self._wish(table.height, len(names)), told(self.config.rules, names)
        pairs = _apart.told(self.config.near, names)
        wish = replace(wish, typed=getattr(items, "typed", False))
        own = owners(table, self.config.together)
        same = alike(table, self.config.together, self.config.owner)
        coarse = coarser(self._wish(own.height, len(names)))

        def column(name: str, kind: str = "") -> Column:
            kind = kind or kinds.get(name, "")
            if name in same:
                return coarse_date(guess(name, own[name], replace(coarse, kind=kind)), own.height)
            return guess(name, table[name], replace(wish, kind=kind))

        found = fitting(each(column, names), wanted, column)
        refuse(found, getattr(items, "name", "The table"))
        rules = settle(wanted, found, table)
        where = getattr(items, "where", lambda row: f"row {row + 1}")
        faults = {rule: counted(rows, where) for rule, rows in broken(rules, found, table).items()}
        apart = tuple[Apart, ...]()
        if looks(self.config.rules):
            given, facts = owned(found, self.config.owner), gather(found, table)
            rules = (*rules, *beside(rules, find(facts, given, dated(facts))))
            apart = tuple(_apart.find(facts, table, rules, given, wish, pairs))
        near = "".join(f"\n  near: {one.said(found)}" for one in apart)
        series = "" if self.config.together else hint(found, table) or groups(table)
        config = replace(self.config, found=found, kept=rules, apart=apart, mark=getattr(items, "mark", ""))
        return Codec(config, said(found, rules, faults) + near + (f"\n  hint: {series}" if series else ""))

    @cached_property
    def owner_cells(self) -> Tensor:
        """Which cells are only ever given, bool (T,)."""
        mask = torch.zeros(self.shape, dtype=torch.bool)
        for number in owned(self.found, self.config.owner) & self.places.keys():
            mask[self.places[number]] = True
        return mask

    def fields(self, items: Sequence[Item]) -> list[dict[str, str]]:
        """Of each row what it shares with those that stay on its side when some are held out; [] where none do."""
        return shared(as_table(items), self.config.together)

    def _wish(self, rows: int, columns: int) -> Wish:
        fitting = resolution(rows, columns)
        finer = Resolution(self.config.bins or fitting.coarse, self.config.fine or fitting.fine, fitting.few)
        return Wish(finer, self.config.rare or int(np.clip(rows / 2_000, 2, 10)), parts=True)

    def prepare(self, item: Item) -> np.ndarray:
        """One row, read as a mapping of columns to cells: (T,)."""
        return next(self.prepare_all([item]))[0]

    def prepare_all(self, items: Sequence[Item]) -> Iterator[np.ndarray]:
        """All rows, some at a time: (n, T) each."""
        table = as_table(items)
        lacking = [self.found[number].name for number in self.places if self.found[number].name not in table.columns]
        if lacking:
            found = f"There is no column {', '.join(lacking)[:200]}"
            raise DataError(
                found, f"The columns that were learnt: {', '.join(self.columns)[:300]}", "Add what is missing"
            )
        kind = np.min_scalar_type(max(self.sizes) - 1)
        for begin in range(0, table.height, _PART):
            yield self.codes(table[begin : begin + _PART]).astype(kind)

    def codes(self, table: Any) -> np.ndarray:
        """The cells int64 (N, T) of the rows of a polars frame."""

        def own(number: int) -> np.ndarray:
            if number in self.aparts:
                return self.aparts[number].codes(self.found, table)
            return self.found[number].encode(table[self.found[number].name])

        return np.concatenate(each(own, self.places), 1)

    def encode(self, stored: Tensor) -> Tensor:
        return stored.long()  # (B, T)

    def known(self, given: Mapping[str, Any]) -> Tensor:
        """The cells of a row of which only some columns are known, int64 (T,), -1 for what is not.

        given  cells by column, as text or as they are decoded, such as {"sex": "Male"}

        A column that follows from others settles these where only one value of them gives it; else it is left to
        whoever draws again. Raises `OptionError` for a column or a value of a category that was not seen.
        """
        cells, settled = torch.full(self.shape, -1, dtype=torch.int64), dict[int, Any]()
        for name, value in given.items():
            number, value = self.native(name, value)
            while number not in self.places and value is not None:
                rule = self._rule_of(number)
                if rule.kind == "part" and rule.of[0] in self.places.keys() - self.aparts.keys():
                    own = self.places[rule.of[0]]
                    cells[own] = torch.maximum(cells[own], torch.from_numpy(partly(rule, self.found, value)))
                number, value = rule.of[0], sole(rule, self.found, value)
                number = -1 if value is None else number  # not settled
            settled[number] = value
        for number in settled.keys() & self.places.keys():
            column, value, near = self.found[number], settled[number], self.aparts.get(number)
            if near is None or (value is None and column.holes):
                cells[self.places[number]] = torch.from_numpy(self.coder(number).one(column.say(value)))
            elif settled.get(near.of) is not None:
                cells[self.places[number]] = torch.from_numpy(near.cells(self.found, settled[near.of], value))
        return cells

    def native(self, name: str, value: Any) -> tuple[int, Any]:
        """The number of a column, and a value of it as it is decoded; an `OptionError` for one that is not learnt."""
        if name not in self.columns:
            raise unknown("column", name, self.columns)
        number = self.columns.index(name)
        column = self.found[number]
        if not column.sizes:
            raise OptionError(f'"{name}" is not learnt ({column.said})', "A column that is", "Give another column")
        if value is None:
            return number, value
        value = _foreign.one_spelt(column, value if isinstance(value, str) else column.say(value))
        if number in self.places:
            column.one(value)  # raises where it was never seen
        return number, natural(column, as_texts([value]))[0]

    def led_back(self, cells: Tensor, rows: np.ndarray) -> Tensor:
        """Cells int64 (N, T) of rows (N, C), those that are -1 though what follows from them settles them filled in."""
        places = {number: place for number, place in self.places.items() if number not in self.aparts}
        return led_back(cells, rows, self.config.kept, self.found, places)

    def choices(self, name: str) -> list[str]:
        """All values of a column as text; an `OptionError` where it has none to choose from."""
        number, _ = self.native(name, None)
        column = self.found[number]
        if not column.single:
            raise OptionError(f'"{name}" has no few values ({column.said})', "A category", "Choose another column")
        return [column.say(value) for value in (*column.values, *column.rare)]

    def ways(self, known: np.ndarray) -> Iterator[tuple[int, int, dict[Any, list[int]]]]:
        """Of rows (B, C), None for unknown: places of cells, the column that is looked up by each, and its codes."""
        for rule in reversed(self.config.kept):
            there = rule.kind == "lookup" and rule.of[0] in self.places.keys() - self.aparts.keys()
            if there and (known[:, rule.to] != None).any():  # noqa: E711
                yield self.places[rule.of[0]].start, rule.to, codes_of(rule, self.found)

    def _rule_of(self, number: int) -> Rule:
        """The rule by which a column is worked out."""
        return next(rule for rule in self.config.kept if rule.to == number and rule.derives)

    def joined_with(self, rows: np.ndarray, known: np.ndarray, strict: bool) -> tuple[np.ndarray, np.ndarray]:
        """Decoded rows (B, C) with cells that are known (B, C) in them, None for those that are not, and what follows
        from these; and which rows keep the rules, bool (B,).

        strict  whether rules count all of whose columns are known
        """
        rows, good = joined(rows, known, self.config.kept, self.found, strict, self.config.apart)
        return rows, good & self.kept(rows, known=known != None, strict=strict)  # noqa: E711  (element by element)

    def against(self, rows: np.ndarray, known: np.ndarray) -> list[str]:
        """The rules that some decoded rows (B, C) break, or would if cells that are known were in them: those that all
        of them break, if there are such."""
        shares = {}
        for rule in self.config.kept:
            agree = joined(rows, known, (rule,), self.found, True)[1]
            alone = Codec(replace(self.config, kept=(rule,), apart=()))
            shares[rule.said] = 1 - float((agree & alone.kept(rows)).mean())
        for one in self.config.apart:
            good = one.good(self.found, rows, np.zeros(rows.shape, bool), True)
            shares[one.said(self.found)] = 1 - float(good.mean())
        return [said for said, share in shares.items() if share > (0.99 if max(shares.values()) > 0.99 else 0)]

    def decode(self, x: Tensor) -> np.ndarray:
        """int (B, T) -> objects (B, C)."""
        cells = x.detach().cpu().long().numpy()
        seeds = hashed(cells)
        rows = self._drawn(cells, seeds)
        for attempt in range(1, TRIES):
            broken = np.flatnonzero(~self.kept(rows))
            if not len(broken):
                break
            rows[broken] = self._drawn(cells[broken], mixed(seeds[broken] + np.uint64(attempt)))
        return rows

    def foreign(self, items: Sequence[Item]) -> _foreign.Foreign:
        """The rows of another table, in which columns may lack, and cells be written in another way."""
        return _foreign.foreign(self.found, self.places, as_table(items))

    def _drawn(self, cells: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        rows = np.empty((len(cells), len(self.found)), object)
        none = np.zeros((len(cells), 0), np.int64)
        for number, column in enumerate(self.found):
            if number in self.places or not column.sizes:
                own = cells[:, self.places[number]] if number in self.places else none
                rows[:, number] = self.coder(number).decode(own, uniform(seeds, number))
        for one in self.config.apart:
            rows[:, one.to] = one.follow(self.found, rows[:, one.of], rows[:, one.to])
        for rule in self.config.kept:
            if rule.derives:
                rows[:, rule.to] = followed(rule, self.found, rows)
        return rows

    def kept(
        self, rows: np.ndarray, only_told: bool = False, known: np.ndarray | None = None, strict: bool = True
    ) -> np.ndarray:
        """Which of some decoded rows (B, C) keep the rules, or those that a user told, bool (B,); what follows from
        others does, but where it is a number that is beyond all that were seen.

        known   cells that are not drawn, bool (B, C): what follows from these alone may be any number
        strict  whether other rules count all of whose columns are known
        """
        good, given = np.ones(len(rows), bool), np.zeros(rows.shape, bool) if known is None else known.copy()
        for one in () if only_told else self.config.apart:
            good &= one.good(self.found, rows, given, strict)
        for rule in self.config.kept:
            if rule.derives and not only_told:
                given[:, rule.to] |= given[:, list(rule.of)].all(1)
                good &= within(self.found[rule.to], rows[:, rule.to]) | given[:, rule.to]
            if not rule.derives and (rule.told or not only_told):
                cells = {place: rows[:, place] for place in (*rule.of, rule.to)}
                good &= keeps(rule, self.found, cells, len(rows)) | (given[:, list(cells)].all(1) & (not strict))
        return good

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of an encoded row: a head of `Row`, independent categories given the network's output."""
        from morelike.nn.rows import Row

        sizes = self.sizes
        head = partial(Row, sizes=sizes)
        columns = tuple(len(self.coder(number).sizes) for number in self.places)
        known = tuple(self.owner_cells.tolist()) if self.owner_cells.any() else None
        return Spec(self.shape, max(sizes), (sum(sizes),), head, sizes=sizes, columns=columns, known=known)

    def survey(self, items: Sequence[Item]) -> list[Blemish]:
        """What is wrong with a table as a whole, and with which of its rows."""
        return _table_blemishes.survey(self.found, self.config.kept, as_table(items))


def tiny() -> Codec:
    """A small codec that is ready to use, for tests: a number in two cells, one of few values, and a category."""
    low = tuple(float(one) for one in range(0, 24, 2))
    number = Column(
        "size", "number", "Int64", low=low, high=tuple(one + 1 for one in low), groups=(0, 4, 8), holes=True
    )
    few = Column("count", "number", "Int64", values=(1, 2, 3))
    kind = Column("kind", "category", values=("cat", "dog"))
    return Codec(Config(found=(number, few, kind)))
