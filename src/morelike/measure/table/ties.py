"""Two tables that belong together: whether references hold, how many children parents have, how both go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from morelike.measure.figure import Figure
from morelike.measure.table.shape import average, information, information_error, ks, pairs, trends
from morelike.measure.table.sheet import Column, Rows, Sheet, coded, columns_of
from morelike.measure.table.siblings import alike

TITLES = {
    "integrity": ("References that hold", "higher",
                  "Of 100 made references {value} name a row that was made, the only one with its key."),
    "children": ("Children of a parent", "higher",
                 "How many children a parent has is the same in {value} of 100 parts; among real ones {floor}; were "
                 "children given to parents at random {baseline}."),
    "tie_trend": ("Trend of pairs across the tables", "higher",
                  "Pair by pair, a column of each table, made and real rows have {value} of 100 parts in common; real "
                  "rows {floor}; children given to parents at random {baseline}."),
    "tie_information": ("Mutual information across the tables", "lower",
                        "What a column of the parents tells of one of the children is off by {value} of 100; between "
                        "real rows by {floor}; of children given to parents at random by {baseline}."),
    "siblings": ("Rows of one owner", "higher",
                 "How alike rows of one owner are, column by column, to each of the two before is the same in {value} "
                 "of 100 parts; real rows {floor}; rows independent of each other {baseline}."),
}  # fmt: skip
LAGS = (1, 2)  # rows before with which one is compared


@dataclass(frozen=True)
class Kin:
    """Parents and their children.

    times     (P,) how many children each parent has
    owner     (N,) the parent of each child, -1 for none
    children  (N, D) cells as they are decoded, those of the parents first
    """

    times: np.ndarray
    owner: np.ndarray
    children: np.ndarray

    def only(self, parents: np.ndarray) -> Kin:
        """Some parents (p,) with their children."""
        number = np.full(len(self.times) + 1, -1)  # its last one is that of -1
        number[parents] = np.arange(len(parents))
        owner = number[self.owner]
        return Kin(self.times[parents], owner[owner >= 0], self.children[owner >= 0])

    def shuffled(self, seed: int, first: int) -> Kin:
        """Children given to parents at random: the cells of parents, the first ones, are those of another row."""
        random = np.random.default_rng(seed)
        children = self.children.copy()
        children[:, :first] = children[random.permutation(len(children)), :first]
        times = np.bincount(random.integers(len(self.times), size=len(self.owner)), minlength=len(self.times))
        return Kin(times, self.owner, children)


def ties(made: Kin, real: Kin, columns: Sequence[str], kinds: Sequence[str], first: int, seed: int) -> list[Figure]:
    """Children of a parent, and both measures of pairs of a column of each table, beside real rows and chance.

        children         1 - KS of the numbers of children
        tie_trend        the mean over pairs of `shape.trends`
        tie_information  `shape.information_error` over these pairs

    made, real  all that were made, and all real ones; children that refer to nothing are left out
    columns     names of the columns of the children, the first ones those of their parents, and their kinds

        siblings         1 - the mean of |r - r of real rows| over the own columns of children and `LAGS`,
                         r that of `siblings.alike`

    Made rows are compared with a random half of the real parents and their children, as is the other half; the trivial
    model gives the children of that half to its parents at random, in which r is 0. Source: "cardinality shape
    similarity" and "inter-table trends" of SDMetrics; real rows beside them and `siblings` are our addition.
    """
    half = np.random.default_rng(seed).permutation(len(real.times))
    one, other = (real.only(np.sort(part)) for part in np.array_split(half, 2))
    sides = {"value": made.only(np.arange(len(made.times))), "floor": one, "baseline": one.shuffled(seed, first)}
    count = {name: 1 - ks(each.times, other.times) for name, each in sides.items()}
    found = [_figure("children", count)]
    if min(len(each.children) for each in (*sides.values(), other)) < 2:
        return found
    sheets = {name: Sheet(tuple(columns), tuple(kinds), each.children) for name, each in sides.items()}
    against = Sheet(tuple(columns), tuple(kinds), other.children)
    compared = columns_of(Rows(sheets["value"], sheets["floor"], against))
    across = _across(compared, first, seed)
    real_rows = coded(against, compared)
    rows = {name: coded(sheet, compared) for name, sheet in sheets.items()}
    found.append(_siblings(sides | {"real": other}, rows | {"real": real_rows}, compared, first))
    if not len(across):
        return found
    each_pair = {name: _pairs(one, real_rows, compared, across, seed) for name, one in rows.items()}
    return [*found, _figure("tie_trend", {name: trend for name, (trend, _) in each_pair.items()}),
            _figure("tie_information", {name: error for name, (_, error) in each_pair.items()})]  # fmt: skip


def integrity(keys: Sequence[object], references: Sequence[object]) -> Figure:
    """The share of references that name one row, and one alone, among those that are no gaps."""
    there = [one for one in references if one is not None]
    once = dict.fromkeys(keys, True) if len(set(keys)) == len(keys) else _once(keys)
    share = sum(once.get(one, False) for one in there) / len(there) if there else 1.0
    return _figure("integrity", {"value": share, "floor": 1.0})


def _once(keys: Sequence[object]) -> dict[object, bool]:
    found = dict[object, bool]()
    for key in keys:
        found[key] = key not in found
    return found


def _across(columns: Sequence[Column], first: int, seed: int) -> np.ndarray:
    """Places, among all pairs of columns, of those that are a column of either table."""
    inside = [one.place < first for one in columns]
    return np.flatnonzero([inside[i] != inside[j] for i, j in pairs(len(columns), seed)])


def _pairs(a: Tensor, b: Tensor, columns: Sequence[Column], across: np.ndarray, seed: int) -> tuple[float, float]:
    tied = information(a, b, columns, seed)
    return average(trends(a, b, columns, seed)[across]), information_error(*(one[across] for one in tied))


def _siblings(sides: dict[str, Kin], rows: dict[str, Tensor], columns: Sequence[Column], first: int) -> Figure:
    own = [at for at, one in enumerate(columns) if one.place >= first]
    each = {name: alike(rows[name][:, own], kin.owner, [columns[at] for at in own], LAGS)
            for name, kin in sides.items()}  # fmt: skip
    each["baseline"] = np.zeros_like(each["real"])
    off = {name: np.abs(found - each["real"]) for name, found in each.items()}
    there = ~np.isnan(sum(off.values()))
    return _figure("siblings", {name: float(1 - off[name][there].mean()) if there.any() else np.nan
                                for name in ("value", "floor", "baseline")})  # fmt: skip


def _figure(name: str, values: dict[str, float]) -> Figure:
    title, better, words = TITLES[name]
    known = {one: None if value is None or not np.isfinite(value) else float(value) for one, value in values.items()}
    if known["value"] is None:
        tied = "no two columns of the tables tell anything of each other"
        return Figure(name, title, better, reason="no owner has two rows" if name == "siblings" else tied)  # type: ignore[arg-type]
    told = {one: "–" if value is None else f"{100 * value:.3g}" for one, value in {"baseline": None, **known}.items()}
    ideal = 1.0 if better == "higher" else 0.0
    return Figure(name, title, better, ideal=ideal, says=words.format(**told), **known)  # type: ignore[arg-type]
