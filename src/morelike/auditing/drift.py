"""Whether a table has moved: against an older one, or its first half against its second."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from morelike.codecs.table import as_table
from morelike.core.errors import OptionError
from morelike.data.frame import Frame
from morelike.data.listing import Source
from morelike.data.sources import open_source
from morelike.measure.audit.wording import some
from morelike.measure.figure import Finding
from morelike.measure.table.drift import FEWEST, RATE, Drift, Moved, Whole, drift
from morelike.measure.table.sheet import Sheet
from morelike.recipes import Request, reading

ROWS = 20_000  # rows of each side that are compared
TOLD = 12  # things that have moved that are told


def moved(codec: Any, items: Source, against: str | None, request: Request) -> list[Finding]:
    """What has moved, as findings; nothing where nothing has, unless there is an older table to compare with.

    against  an older source of the same columns; None to compare the first half of the rows with the second
    request  how sources are read, which column is the label, and the seed of what is chosen at random

    Raises `OptionError` where items are no rows of a table and there is something to compare them with.
    """
    if codec.natural != "table":
        if against is not None:
            found = f"--against is {against}, and these items are {codec.natural}"
            raise OptionError(found, "A table to compare with an older one", "Leave it out")
        return []
    table, seed = Frame(as_table(items.items), items.name), request.seed
    if against is None:
        cut = len(table) // 2
        new, old = (_sheet(codec, table, rows, seed) for rows in (np.arange(cut, len(table)), np.arange(cut)))
        findings = _told(drift(new, old, seed, ordered=True), "the first half of the file to the second", request)
    else:
        older = as_table(open_source(against, reading(request)).items)
        lacking = [one.name for one in codec.found if one.sizes and one.name not in older.columns]
        kept = [place for place, name in enumerate(codec.columns) if name in older.columns]
        full = Frame(codec.foreign(Frame(older, against)).table, against)
        new, old = (_only(_sheet(codec, one, np.arange(len(one)), seed), kept) for one in (table, full))
        result = drift(new, old, seed)
        told = _told(result, f"{against} to {items.name}", request, "warn") or [_still(result, against)]
        findings = [*_columns(lacking, against), *told]
    return findings


def _sheet(codec: Any, table: Frame, rows: np.ndarray, seed: int) -> Sheet:
    """Some of these rows, as they are there."""
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
    return Sheet(codec.columns, codec.kinds, codec.natural_rows(table, rows))


def _only(sheet: Sheet, places: list[int]) -> Sheet:
    names, kinds = ([one[place] for place in places] for one in (sheet.columns, sheet.kinds))
    return Sheet(tuple(names), tuple(kinds), sheet.cells[:, places])


def _told(found: Drift, way: str, request: Request, severity: Literal["warn", "note"] = "note") -> list[Finding]:
    whole = found.whole if found.whole and found.whole.sure else None
    if not found.moved and whole is None:
        return []
    names = list(dict.fromkeys(one.column for one in found.moved))
    title = f"{some(len(names), 'column has', 'columns have')} moved from {way}"
    title = title if names else f"Columns together have moved from {way}"
    first = sorted(found.moved, key=lambda one: one.column != request.given)
    lines = [_line(one, one.column == request.given) for one in first[:TOLD]]
    lines += [f"and {len(found.moved) - TOLD:,} more"] if len(found.moved) > TOLD else []
    lines += [_whole(found.whole)] if found.whole else []
    lines += [f"Not compared, for the file is in their order: {', '.join(found.apart)[:200]}"] if found.apart else []
    consequence = "A model of the one is no model of the other, and one of both makes rows like both together."
    action = "Train on rows like those that are to come, or find out what has changed."
    return [Finding("drift", severity, title, "\n".join(lines), consequence, action, tuple(names))]


def _line(one: Moved, label: bool) -> str:
    name = f"{one.column} (the label)" if label else one.column
    if one.kind == "new":
        return f"{name}: not there before: {one.change}"
    distance = f"moved by {100 * one.distance:.2g} of 100" if one.kind == "values" else ""
    return f"{name}: {', '.join(part for part in (distance, one.change) if part)}"


def _whole(whole: Whole) -> str:
    said = f"Of a row of each, trees tell which is which in {100 * whole.auc:.0f} of 100 cases; 50 is chance"
    by = ", ".join(f"{name} ({100 * loss:.0f})" for name, loss in whole.by)
    return f"{said}; without a column they lose: {by}" if by else said


def _still(found: Drift, against: str) -> Finding:
    """That nothing has moved, where somebody has asked."""
    if not found.tested:
        return Finding("drift", "note", f"Too few rows to compare with {against}", f"{FEWEST} of each are needed.")
    said = f"{found.tested:,} tests of columns, at a rate of {100 * RATE:g} % false alarms."
    said += f" {_whole(found.whole)}." if found.whole else ""
    return Finding("drift", "note", f"Nothing has moved since {against}", said)


def _columns(lacking: list[str], against: str) -> list[Finding]:
    if not lacking:
        return []
    title = f"{some(len(lacking), 'column is', 'columns are')} not in {against}"
    return [Finding("drift_columns", "note", title, ", ".join(lacking)[:300], "They are not compared.")]
