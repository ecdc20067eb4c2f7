"""Rules that hold in every row of a table: one column follows from others, or is never above another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from morelike.codecs._columns import Column
from morelike.codecs._each import each

SURE = 30.0  # nats by which a rule is less likely to hold by chance
MOST, SHOWN = 60, 256  # columns among which rules are sought; rows on which they are tried first
SHUFFLED = 50_000  # rows that are shuffled
OVERLAP = 0.05  # share of rows that would break a <= b if the columns had nothing to do with each other
MANY, MOSTLY = 20, 0.98  # values of a column, and share of the rows, from which it is settled though not everywhere
LONGEST = 12  # columns of a sum
SCALES = (1.0, 0.01, -1.0, -0.01)  # of products
FEW = 5  # rows in which a part of a sum is not 0
VARIED = 4  # values of a sum or product at least, among these rows
HUGE = 1e100  # numbers whose squares are none
LINEAR = 0.5  # r squared below which a column is no other one in other units, however coarsely it is rounded


@dataclass(frozen=True)
class Rule:
    """A rule of a table.

    kind    lookup (a table of what follows from each value) | sum (to = offset + sum of scales times columns) |
            product (to = scale of[0] of[1]) | part (of the date of[0], such as its year) | span (the time from the
            date of[0] to of[1], or to scales[0]) | later (of[1] days, say, after the date of[0]) | order (of[0] <= to);
            if told, also below (of[0] < to), range, unique
    of, to  numbers of the columns
    table   of a lookup: the full code of `to` for each full code of of[0]; of a part for each from `offset` on
    said    the rule in words
    told    whether the user has given it: all that is made has to keep it
    ends    of a range, the lowest and highest value as text, "" for none; `strict`: whether these are left out
    unit    of a part or span of dates
    """

    kind: str
    of: tuple[int, ...]
    to: int
    table: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    offset: float = 0.0
    said: str = ""
    told: bool = False
    ends: tuple[str, str] = ("", "")
    strict: bool = False
    unit: str = ""

    @property
    def derives(self) -> bool:
        """Whether `to` need not be learnt."""
        return self.kind not in ("order", "below", "range", "unique")


@dataclass
class Facts:
    """The cells of a table by which rules are sought.

    columns  as they were fitted
    codes    full codes (N,) of the columns that have few values, by number
    floats   values (N,) of the columns of numbers and dates, NaN for missing
    """

    columns: Sequence[Column]
    codes: dict[int, np.ndarray] = field(default_factory=dict)
    floats: dict[int, np.ndarray] = field(default_factory=dict)


def gather(columns: Sequence[Column], table: Any) -> Facts:
    """The facts of a table; of one with very many columns, of the first ones."""
    known = [place for place, column in enumerate(columns) if column.sizes][: 2 * MOST]
    found = each(lambda place: _cells(columns[place], table[columns[place].name]), known)
    codes = {place: one for place, (one, _) in zip(known, found, strict=True) if one is not None}
    floats = {place: one for place, (_, one) in zip(known, found, strict=True) if one is not None}
    return Facts(columns, codes, floats)


def _cells(column: Column, cells: Any) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The full codes and the values (N,) of a column, as far as it has them."""
    codes = floats = None
    if column.kind == "number" and not any(isinstance(one, str) for one in column.values):
        floats = column.floats(cells)
    elif column.kind == "date":
        moments = column.moments(cells)
        floats = moments.dt.epoch("us").cast(float).fill_null(float("nan")).to_numpy()
    if column.single and len(column.values) + len(column.rare) > 1:
        codes = column.full(cells)
    return codes, floats


def find(facts: Facts, given: frozenset[int] = frozenset(), first: Iterable[Rule] = ()) -> tuple[Rule, ...]:
    """The rules of a table: what follows from what, each column once, and then what is never above what.

    given  numbers of columns that are never drawn: rules among these alone are not sought, and none of them follows
    first  rules that were found elsewhere, and come before others
    """
    found = dict[int, Rule]()
    for rule in (*first, *lookups(facts), *lines(facts), *sums(facts), *products(facts), *nearly(facts)):
        if rule.to not in found.keys() | given and rule.to not in needed(rule.of, found):
            found[rule.to] = rule
    others = (rule for rule in orders(facts) if not {rule.to, *rule.of} <= given)
    order = dict.fromkeys(place for to in found for place in (*needed(found[to].of, found), to) if place in found)
    return (*(found[to] for to in order), *(rule for rule in others if not {rule.to, *rule.of} & found.keys()))


def needed(of: Sequence[int], rules: Mapping[int, Rule]) -> list[int]:
    """These columns and all that they follow from by rules, which are given by what follows, the first ones first."""
    return [one for place in of for one in (*(needed(rules[place].of, rules) if place in rules else ()), place)]


def lookups(facts: Facts) -> Iterator[Rule]:
    """Columns whose value is settled by that of another: education and its number, a town and its country."""
    places = sorted(facts.codes)[:MOST]
    rows = np.linspace(0, len(next(iter(facts.codes.values()), [])) - 1, SHOWN).astype(int)
    for a in sorted(places, key=lambda place: -int(facts.codes[place].max())):  # a town before its state
        for b in places:
            if a == b or not _settles(facts.codes[a][rows], facts.codes[b][rows]):
                continue
            one, two = facts.codes[a], facts.codes[b]
            if not _settles(one, two) or by_chance(one, two) > -SURE:
                continue
            table = np.zeros(int(one.max()) + 1, np.int64)
            table[one] = two
            mutual = b < a and _settles(two, one)
            if not mutual:
                names = facts.columns[a].name, facts.columns[b].name
                yield Rule("lookup", (a,), b, tuple(table.tolist()), said=f'"{names[0]}" settles "{names[1]}"')


def nearly(facts: Facts) -> Iterator[Rule]:
    """Columns of many values of which nearly all rows have the one that another column settles: a code of goods and its
    name, which is sometimes written otherwise. No model learns so many pairs; what is made has the usual one."""
    places = [place for place in sorted(facts.codes) if facts.codes[place].max() >= MANY][:MOST]
    for b in places:
        shares = {a: _usual(facts.codes[a], facts.codes[b]) for a in places if a != b}
        a = max(shares, key=lambda place: shares[place], default=b)
        if a == b or shares[a] < MOSTLY or (b < a and _usual(facts.codes[b], facts.codes[a]) >= MOSTLY):
            continue  # the first of two that settle each other is learnt
        one, two = facts.codes[a], facts.codes[b]
        chance = _usual(one, np.random.default_rng(0).permutation(two))
        if 1 - shares[a] < 0.1 * (1 - chance):
            said = f'"{facts.columns[a].name}" settles "{facts.columns[b].name}" in {100 * shares[a]:.1f} % of the rows'
            yield Rule("lookup", (a,), b, majority(one, two), said=f"{said}, as in all that are made")


def _usual(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the rows whose b is the most frequent one of their a; of many rows, of some."""
    step = max(1, len(a) // SHUFFLED)
    pairs, counts = np.unique(a[::step] * (b.max() + 1) + b[::step], return_counts=True)
    most = np.zeros(int(a.max()) + 1, np.int64)
    np.maximum.at(most, pairs // (b.max() + 1), counts)
    return float(most.sum() / counts.sum())


def majority(a: np.ndarray, b: np.ndarray) -> tuple[int, ...]:
    """The most frequent code of b for each code of a."""
    pairs, counts = np.unique(a * (b.max(initial=0) + 1) + b, return_counts=True)
    order = np.argsort(counts, kind="stable")
    table = np.zeros(int(a.max(initial=0)) + 1, np.int64)
    table[pairs[order] // (b.max(initial=0) + 1)] = pairs[order] % (b.max(initial=0) + 1)  # the last one stays
    return tuple(table.tolist())


def _settles(a: np.ndarray, b: np.ndarray) -> bool:
    table = np.zeros(int(a.max(initial=0)) + 1, b.dtype)
    table[a] = b
    return bool((table[a] == b).all())


def by_chance(a: np.ndarray, b: np.ndarray) -> float:
    """Log of the probability that a settles b if they had nothing to do with each other: sum_a log sum_b p_b^n_a."""
    share = np.bincount(b) / len(b)
    logs = np.log(share[share > 0])
    sizes, times = np.unique(np.bincount(a), return_counts=True)
    each = [
        n * np.logaddexp.reduce(size * logs) for size, n in zip(sizes.tolist(), times.tolist(), strict=True) if size
    ]
    return float(np.sum(each))


def lines(facts: Facts) -> Iterator[Rule]:
    """Columns of numbers that are another one in other units: to = scale * of + offset, after rounding."""
    known = [one for one in _numbers(facts) if np.nanmax(np.abs(facts.floats[one])) < HUGE]
    for place, b in enumerate(known):
        for a in known[:place]:
            one, two = facts.floats[a], facts.floats[b]
            bad = np.isnan(one)
            if (bad != np.isnan(two)).any() or bad.mean() > 0.5:
                continue
            x, y = one[~bad], two[~bad]
            step = max(1, len(x) // SHOWN)
            if _r2(x[::step], y[::step]) < LINEAR or x.max() == x.min() or y.max() == y.min():
                continue
            scale = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
            for digits in (3, 6, 12):  # a factor such as 1.8 is rather a round one than one that fits as well
                slope = round(scale, digits)
                rest = y - slope * x
                middle, places = (float(rest.max()) + float(rest.min())) / 2, facts.columns[b].style.decimals
                shift = round(middle, digits if places is None or digits > 3 else min(digits, places))
                if all(
                    equal(slope * x[part] + shift, y[part], facts.columns[b]) for part in (slice(SHOWN), slice(None))
                ):
                    said = _equation(facts, b, [a], [slope], shift)
                    yield Rule("sum", (a,), b, scales=(slope,), offset=shift, said=said)
                    break


def _r2(x: np.ndarray, y: np.ndarray) -> float:
    """Squared correlation of x and y (n,), 1 where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    total = float((x**2).sum() * (y**2).sum())
    return float((x * y).sum()) ** 2 / total if total else 1.0


def sums(facts: Facts) -> Iterator[Rule]:
    """Columns that are the sum of two others, or of a run of those before or after them, or make up a constant with
    such a run; then sums to which a constant is added, such as a fee."""
    known, some = _whole(facts)
    for fee in (False, True):
        for to in range(len(known)):
            for group in _groups(to, some) if len(np.unique(some[to])) >= VARIED else ():
                whole = float(some[group, 0].sum())
                for sign, shift in ((1.0, some[to, 0] - whole),) if fee else ((1.0, 0.0), (-1.0, some[to, 0] + whole)):
                    if rule := _sum(facts, known, to, group, sign, float(shift), some):
                        yield rule


def _groups(to: int, some: np.ndarray) -> Iterator[list[int]]:
    """Columns, of rows (columns, rows), that may add up to one of them: pairs that do in the first row, and runs."""
    n, first = len(some), some[:, 0]
    for i in range(n):
        for j in range(i):
            if to not in (i, j) and abs(first[i] + first[j] - first[to]) < 1e-6 * (1 + abs(first[to])):
                yield [j, i]
    yield from (list(range(begin, to)) for begin in range(max(0, to - LONGEST), to - 1))
    yield from (list(range(to + 1, end)) for end in range(to + 3, min(n, to + 1 + LONGEST) + 1))


def _whole(facts: Facts) -> tuple[list[int], np.ndarray]:
    """Columns of numbers none of which is missing, and some rows of them (columns, rows); nothing of two or one."""
    known = [one for one in sorted(facts.floats) if facts.columns[one].kind == "number"]
    known = [one for one in known if not np.isnan(facts.floats[one]).any() and np.ptp(facts.floats[one]) > 0][:MOST]
    if len(known) < 3:
        return [], np.zeros((0, SHOWN))
    rows = np.linspace(0, len(facts.floats[known[0]]) - 1, SHOWN).astype(int)
    return known, np.stack([facts.floats[one][rows] for one in known])


def _sum(
    facts: Facts, known: Sequence[int], to: int, group: Sequence[int], sign: float, shift: float, some: np.ndarray
) -> Rule | None:
    column = facts.columns[known[to]]
    if not equal(shift + sign * some[list(group)].sum(0), some[to], column):
        return None
    of = [known[one] for one in group]
    said = [(facts.floats[one] != 0).mean() for one in of]
    if sum(share >= 0.05 for share in said) < 2 or min(said) * len(facts.floats[of[0]]) < FEW:
        return None  # a sum with what is nearly always 0 says little
    if not equal(shift + sign * np.sum([facts.floats[one] for one in of], 0), facts.floats[known[to]], column):
        return None
    scales = [sign] * len(of)
    return Rule("sum", tuple(of), known[to], scales=tuple(scales), offset=round(shift, 9),
                said=_equation(facts, known[to], of, scales, shift))  # fmt: skip


def products(facts: Facts) -> Iterator[Rule]:
    """Columns that are the product of two others, as pieces times price are, or a hundredth of it, as of a percentage;
    or what is to be taken away."""
    known, some = _whole(facts)
    for to in range(len(known)):
        if len(np.unique(some[to])) < VARIED:
            continue
        column = facts.columns[known[to]]
        row = np.abs(some[to]).argmax()  # where least is a product by chance
        pairs, slack = np.outer(some[:, row], some[:, row]), 1e-6 * abs(some[to, row]) + _half(column)
        for scale in SCALES:
            close = np.triu(np.abs(scale * pairs - some[to, row]) <= slack, 1)
            for i, j in zip(*np.nonzero(close), strict=True):
                fits = to not in (i, j) and equal(scale * some[i] * some[j], some[to], column)
                if fits and (rule := _product(facts, known[to], (known[i], known[j]), scale)):
                    yield rule


def _product(facts: Facts, to: int, of: tuple[int, int], scale: float) -> Rule | None:
    column, whole, (a, b) = facts.columns[to], facts.floats[to], (facts.floats[one] for one in of)
    apart = min((scale * one != whole).mean() for one in (a, b, np.zeros(1)))
    if apart < OVERLAP or not equal(scale * a * b, whole, column):
        return None
    names = " × ".join(f'"{facts.columns[one].name}"' for one in of)
    factor = "" if scale == 1 else "-" if scale == -1 else f"{scale:g} × "
    return Rule("product", of, to, scales=(scale,), said=f'"{column.name}" = {factor}{names}')


def _half(column: Column) -> float:
    """Half a unit of the last decimal of a column."""
    return 0.0 if column.style.decimals is None else 0.5 * 10.0**-column.style.decimals


def orders(facts: Facts) -> Iterator[Rule]:
    """Pairs of columns of which one is never above the other, though it would be if its rows were shuffled."""
    known = [one for one in sorted(facts.floats) if len(facts.floats) <= MOST]
    found = list[tuple[int, int]]()
    for a in known:
        for b in known:
            one, two = facts.floats[a], facts.floats[b]
            if a == b or facts.columns[a].kind != facts.columns[b].kind or (one[:SHOWN] > two[:SHOWN]).any():
                continue
            if (one > two).any():
                continue
            both = ~(np.isnan(one) | np.isnan(two))
            x, y = one[both], two[both]
            if not len(x) or (x == y).all():
                continue
            step = max(1, len(x) // SHUFFLED)
            x, y = x[::step], y[::step]
            broken = x > np.random.default_rng(0).permutation(y)
            if broken.mean() >= OVERLAP and broken.sum() >= SURE:
                found.append((a, b))
    for a, b in found:
        if not any((a, c) in found and (c, b) in found for c in known):  # the others follow
            said = f'"{facts.columns[a].name}" ≤ "{facts.columns[b].name}"'
            yield Rule("order", (a,), b, said=said)


def _numbers(facts: Facts) -> list[int]:
    """Columns of numbers of more than a few values."""
    return [one for one in sorted(facts.floats) if facts.columns[one].kind == "number" and facts.columns[one].low][
        :MOST
    ]


def equal(made: np.ndarray, real: np.ndarray, column: Column) -> bool:
    """Whether numbers (N,) are those of a column, when they are rounded as it is."""
    digits = column.style.decimals
    if digits is None:
        return bool(np.allclose(made, real, rtol=1e-9, atol=1e-12))
    rest = 0.5 * 10.0**-digits + 1e-9 * (1 + np.abs(real))  # half a cent may have been rounded up or down
    return bool((np.abs(made - real) <= rest).all())


def _equation(facts: Facts, to: int, of: Sequence[int], scales: Sequence[float], offset: float) -> str:
    terms = [f'{"" if s == 1 else "-" if s == -1 else f"{s:g} "}"{facts.columns[one].name}"'
             for one, s in zip(of, scales, strict=True)]  # fmt: skip
    terms = [f"{offset:g}", *terms] if offset else terms
    return f'"{facts.columns[to].name}" = {" + ".join(terms).replace("+ -", "- ")}'
