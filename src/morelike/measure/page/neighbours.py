"""Samples beside the training items that they are nearest to, and how many are copies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from morelike.measure.figure import Novelty
from morelike.measure.page.html import number
from morelike.measure.page.tables import by_label, listing
from morelike.measure.record import Pair

COPIES = {"exact": "exact copy", "near": "near copy"}


def neighbours(pairs: Sequence[Pair]) -> str:
    """Pairs of a sample and its nearest training item, suspicious ones first."""
    suspects, others = ("".join(card(one) for one in pairs if one.random == random) for random in (False, True))
    found = f'<ul class="pairs">{suspects}</ul>' if suspects else ""
    return found + (f'<h3>Some more, at random</h3><ul class="pairs">{others}</ul>' if others else "")


def card(pair: Pair) -> str:
    """One pair: sample left, training item right, their distance, and where both come from."""
    made, real = pair.pictures
    copy = COPIES.get(pair.copy, "")
    mark = f'<b class="bad">✗ {copy}</b>' if copy else '<b class="good">✓ no copy</b>'
    if pair.ratio is not None:
        near = f"{number(pair.ratio, 2)} × as far as the nearest held-out item"
    else:
        near = f"distance {number(pair.distance, 2)}"
    asked = f", {escape(pair.asked)}" if pair.asked else ""
    times = f" <b>({pair.times} times in the training set)</b>" if pair.times > 1 else ""
    return (
        f'<li class="{"bad" if copy else "good"}"><div class="items"><figure>{made}<figcaption>sample</figcaption>'
        f"</figure><figure>{real}<figcaption>training item</figcaption></figure></div>"
        f"<p>{mark}, {near}</p><p><small>seed {pair.seed}{asked}; {escape(pair.name)}{times}</small></p></li>"
    )


def novelty(found: Novelty | None, classes: Collection[str]) -> str:
    """All figures on novelty: of all samples, then per class and per density decile."""
    if found is None:
        return ""
    whole = listing([one for one in found.figures if one.label is None])
    own = [one for one in found.figures if one.label in classes]
    rest = [one for one in found.figures if one.label is not None and one.label not in classes]
    parts = "".join(
        f"<div><h3>{title}</h3>{table}</div>"
        for title, table in (("Class by class", by_label(own, "Class")),
                             ("By how dense the training items lie", by_label(rest, "Tenth of them")))
        if table
    )  # fmt: skip
    rule = f"<p>{escape(found.rule)}</p>" if found.rule else ""
    return whole + rule + (f'<div class="beside">{parts}</div>' if parts else "")
