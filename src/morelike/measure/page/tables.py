"""All figures with what they stand beside, per class too, and whether the measures noticed known damage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from morelike.measure.figure import Damage, Figure
from morelike.measure.page.html import grid, number
from morelike.measure.page.scale import bar, interval, legend, place, scale

BETTER = {"lower": "less is better", "higher": "more is better", "even": "nearest to {ideal} is best"}
BESIDE = ("Real", "Copy machine", "Trivial model")


def figures(found: Sequence[Figure]) -> str:
    """The figures of all samples together: those of the main features, then those of the others as a cross-check."""
    whole = [one for one in found if one.label is None]
    main = [one for one in whole if not crosscheck(one, whole)]
    other = [one for one in whole if crosscheck(one, whole)]
    if not main:
        return ""
    check = "<h3>The same through other features, as a cross-check</h3>" + listing(other) if other else ""
    return legend() + listing(main) + check


def crosscheck(figure: Figure, found: Sequence[Figure]) -> bool:
    """Whether a figure repeats another one through other features: "frechet_random" beside "frechet"."""
    return any(figure.name.startswith(f"{one.name}_") and figure.title.startswith(one.title) for one in found)


def listing(found: Sequence[Figure]) -> str:
    """One row for each figure: what it means, its value and interval, where it stands, and what beside."""
    rows = []
    for one in found:
        way = BETTER[one.better].format(ideal=number(one.ideal))
        says = f'<span class="says">{escape(one.says)}</span>' if one.says else ""
        name = f'{escape(one.title)}<span class="way">{escape(way)}</span>{says}'
        if one.value is None:
            value, drawn = "–", f'<span class="reason">{escape(one.reason or "not measured")}</span>'
        else:
            value, drawn = f"<b>{number(one.value)}</b><small>{escape(interval(one))}</small>", scale(one)
        rows.append([name, value, drawn, *(number(each) for each in (one.floor, one.copies, one.baseline))])
    return grid(("Figure", "Samples", "On a scale", *BESIDE), rows, "figures")


def by_label(found: Sequence[Figure], head: str) -> str:
    """Figures that have a label as one table: a row for each label, a column for each figure, real items' in small."""
    labels = list(dict.fromkeys(one.label for one in found if one.label is not None))
    titles = dict.fromkeys((one.name, one.title) for one in found if one.label is not None)
    cells = {(one.label, one.name): one for one in found if one.label is not None}
    rows = [[escape(label), *(small(cells.get((label, name))) for name, _ in titles)] for label in labels]
    table = grid([head, *(title for _, title in titles)], rows)
    if not table:
        return ""
    reasons = dict.fromkeys(one.reason for one in cells.values() if one.value is None and one.reason)
    notes = "".join(f'<p class="reason">–: {escape(reason)}</p>' for reason in reasons)
    folded = len(rows) > 12
    table = f"<details open><summary>{len(rows)} rows</summary>{table}</details>" if folded else table
    return f'<div class="wide">{table}</div>{notes}'


def small(figure: Figure | None) -> str:
    """A figure in one cell: value, interval, a bar where more is better, and the value of real items."""
    if figure is None:
        return ""
    if figure.value is None:
        return f'<span title="{escape(figure.reason)}">–</span>'
    range_ = f"<small>{escape(interval(figure).strip(' ()'))}</small>" if interval(figure) else ""
    real = f"<small>real {number(figure.floor)}</small>" if figure.floor is not None else ""
    at, low, high = (place(figure, value) for value in (figure.value, figure.low, figure.high))
    drawn = bar(at, low, high, figure.title) if at is not None and figure.better == "higher" else ""
    return f"{number(figure.value)}{range_}{drawn}{real}"


def selftest(damages: Sequence[Damage], titles: Mapping[str, str]) -> str:
    """Known damage, one row each, against the measures: how surely each one tells it, and which ones noticed.

    titles  of measures by name; those without one are shown by name
    """
    names = list(dict.fromkeys(name for one in damages for name in one.auc))
    rows = []
    for one in damages:
        cells = [probe(one, name) for name in names]
        seen = one.meant in one.noticed
        told = "noticed" if seen else "missed"
        meant = f'<b class="{"good" if seen else "bad"}">{"✓" if seen else "✗"} {told}</b>'
        kind = f"{escape(one.kind)} <small>{escape(one.amount)}</small>"
        rows.append([kind, f"{meant} <small>by {escape(titles.get(one.meant, one.meant))}</small>", *cells])
    head = ["Damage", "By the measure meant for it", *(titles.get(name, name) for name in names)]
    return f'<div class="wide">{grid(head, rows)}</div>' if rows else ""


def probe(damage: Damage, name: str) -> str:
    """How surely one measure tells one damage, in words and as the area under its curve."""
    auc = damage.auc.get(name)
    if auc is None:
        return "–"
    mark, tone = ("✓", "good") if name in damage.noticed else ("·", "none")
    strong = " meant" if name == damage.meant else ""
    return f'<span class="{tone}{strong}">{mark} {auc:.2f}</span>'
