"""What is wrong with a table: equal rows, keys, columns that are others in disguise, outliers, gaps, personal data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from morelike.codecs._columns import Column, missing, texts
from morelike.codecs._each import each
from morelike.codecs._personal import KINDS as PERSONAL
from morelike.codecs._personal import personal
from morelike.codecs._rules import Rule
from morelike.codecs._settled import broken
from morelike.codecs.keys import own
from morelike.core.codec import Blemish

RARE = 0.01  # share of the rows that have one of two values, below which it is told
GAPS, FAR, LOOK = 0.3, 10.0, 5_000  # share of missing cells that is told; spreads of an outlier; cells that are read
INDEX = "\0row"  # no column is called so
NAMED, TOLD = 100, 12  # rows that are named of a finding; columns


def survey(columns: Sequence[Column], rules: Sequence[Rule], table: Any) -> list[Blemish]:
    """What is wrong with a table, a polars frame, whose columns have been fitted."""
    return [*kinds(columns), *repeated(columns, table), *followed(rules), *untrue(columns, rules, table),
            *references(columns, table), *gaps(columns, table), *rare(columns, table), *outliers(columns, table),
            *private(columns, table)]  # fmt: skip


def kinds(columns: Sequence[Column]) -> Iterator[Blemish]:
    """Columns that are not learnt, and what comes out instead."""
    for kind, title, consequence, action in (
        ("identifier", "names the rows", "It is not learnt; new ones are made up in the same pattern.",
         "If it means something, say so: --set columns=NAME=category, or NAME=number."),
        ("text", "holds free text", "It is not learnt and comes out empty.",
         "Learn it by itself: morelike fit SOURCE --make NAME."),
        ("constant", "is always the same", "It is put aside and written back.", "Nothing."),
    ):  # fmt: skip
        found = [column.name for column in columns if column.kind == kind]
        if found:
            names = ", ".join(f'"{name}"' for name in found[:5]) + (f" and {len(found) - 5}" if len(found) > 5 else "")
            whole = f"{names} {title}" if len(found) == 1 else f"{names}: each {title}"
            yield Blemish(f"{kind}_columns", "note", whole, consequence=consequence, action=action)  # fmt: skip


def repeated(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Rows that are there more than once, identifiers aside."""
    names = [column.name for column in columns if column.sizes]
    rows = table.select(names)
    rows = rows.with_row_index(INDEX).filter(rows.hash_rows().is_duplicated())  # few: only these are compared
    again = np.setdiff1d(rows[INDEX], rows.unique(names, keep="first")[INDEX])
    if len(again):
        share = len(again) / table.height
        with_key = len(names) < len(columns)
        yield _told("repeated_rows", "warn" if share >= 0.05 else "note", again,
                    f"{len(again):,} rows repeat an earlier one{' but for its identifier' if with_key else ''}",
                    f"{100 * share:.1f} % of {table.height:,}.", "The model makes such rows more often.",
                    "Remove them, unless the same thing did happen again.")  # fmt: skip


def followed(rules: Sequence[Rule]) -> Iterator[Blemish]:
    """Columns that are another one in disguise."""
    found = [rule.said for rule in rules if rule.derives]
    if found:
        yield Blemish("derived_columns", "note", f"{len(found)} columns follow from others" if len(found) > 1 else
                      "1 column follows from others", evidence="; ".join(found[:12]) + ".",
                      consequence="Each is worked out from the others, exactly; as a thing to predict, it is given "
                      "away.", action="Leave one of them out if you mean to predict the other.")  # fmt: skip


def untrue(columns: Sequence[Column], rules: Sequence[Rule], table: Any) -> Iterator[Blemish]:
    """Rows that break rules which the user has told."""
    for rule, rows in broken(rules, columns, table).items():
        title = f"{len(rows):,} rows break a rule" if len(rows) > 1 else "1 row breaks a rule"
        evidence = f"{rule}, but not in {100 * len(rows) / table.height:.2g} % of the rows."
        yield _told("broken_rule", "warn", rows, title, evidence, "They are learnt as they are; what is made keeps it.",
                    "Correct them, or the rule.")  # fmt: skip


def gaps(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Columns of which much is missing."""
    shares = {column.name: float(missing(texts(table[column.name])).mean()) for column in columns if column.holes}
    many = {name: share for name, share in shares.items() if share >= GAPS}
    if many:
        most = sorted(many.items(), key=lambda one: -one[1])
        said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in most[:TOLD])
        said += f" and {len(most) - TOLD:,} more" if len(most) > TOLD else ""
        yield Blemish("missing_cells", "note", f"Much is missing in {len(many)} columns" if len(many) > 1 else
                      f'Much is missing in "{next(iter(many))}"', evidence=said + ".",
                      consequence="The gaps are learnt, and new rows have as many.",
                      action="Drop what is nearly empty: --set columns=NAME=drop.")  # fmt: skip


def rare(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Columns of two values, one of which is in less than 1 % of the rows: frauds, failures, deaths."""
    for column in columns:
        if column.single and len(column.values) == 2 and not column.rare:
            text = texts(table[column.name])
            counts = text.filter(~missing(text)).value_counts(sort=True)
            least, total = int(counts["count"][-1]), int(counts["count"].sum())
            if len(counts) == 2 and least < RARE * total:
                said = f'"{column.name}" is {counts[column.name][-1]} in {least:,} of {total:,} rows'
                action = f"Have as many of each made: sample --balance {column.name}; and look at those by themselves."
                consequence = "What goes with it is learnt from these alone, and new rows have as few."
                yield Blemish("rare_value", "note", said, consequence=consequence, action=action)


def outliers(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Numbers far from all others: more than ten times the distance of the outermost 1 % from the middle."""
    numeric = [column for column in columns if column.low]
    for column, values in zip(numeric, each(lambda one: one.floats(table[one.name]), numeric), strict=True):
        low, middle, high = np.nanquantile(values, [0.01, 0.5, 0.99])
        far = np.flatnonzero(
            (values > middle + FAR * max(high - middle, 1e-12)) | (values < middle - FAR * max(middle - low, 1e-12))
        )
        if 0 < len(far) <= 0.005 * len(values) and high > low:
            shown = ", ".join(column.style.say(float(one)) for one in values[far[:3]])
            yield _told("outliers", "note", far, f'{len(far):,} far-off numbers in "{column.name}"',
                        f"Such as {shown}, where 98 % lie from {column.style.say(float(low))} to "
                        f"{column.style.say(float(high))}.", "They are learnt as they are.",
                        "Correct or remove what is an error of entry.")  # fmt: skip


def references(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Columns that refer to rows of the same table, as manager_id does."""
    for link in own(table.select([column.name for column in columns])):
        title = f'"{link.column}" refers to "{link.key}" of the same table'
        yield Blemish("own_reference", "note", title, evidence=f"{100 * link.share:.3g} % of its values are there.",
                      consequence="It is learnt as an ordinary column: new rows do not refer to each other.",
                      action="Leave it out, if that would mislead: --set columns=NAME=drop.")  # fmt: skip


def private(columns: Sequence[Column], table: Any) -> Iterator[Blemish]:
    """Columns with personal data; nothing of it is repeated here."""
    for column in columns:
        if not column.written and column.dtype != "String":
            continue
        if column.kind in ("number", "date", "boolean", "constant"):
            continue
        text = texts(table[column.name])
        some = text.gather_every(max(1, len(text) // LOOK)).drop_nulls().unique()
        total = dict.fromkeys(PERSONAL, 0)
        for cell in some.to_list():
            for kind, count in personal(cell).items():
                total[kind] += count
        said = ", ".join(f"{count:,} {PERSONAL[kind][count != 1]}" for kind, count in total.items() if count)
        if said:
            made_up = column.kind == "identifier"
            yield Blemish("personal_data", "note" if made_up else "warn", f'"{column.name}" holds personal data',
                          evidence=f"{said} in {len(some):,} different cells.",
                          consequence="It is made up afresh." if made_up else "New rows can hold the same ones.",
                          action="Drop it, if its pattern tells too much: --set columns=NAME=drop." if made_up else
                          "Drop it: --set columns=NAME=drop, or have it made up: NAME=identifier.")  # fmt: skip


def _told(
    kind: str, severity: Literal["warn", "note"], rows: np.ndarray, title: str, evidence: str, consequence: str,
    action: str,
) -> Blemish:  # fmt: skip
    return Blemish(kind, severity, title, tuple(rows[:NAMED].tolist()), evidence, consequence, action)
