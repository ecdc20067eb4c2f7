"""What is wrong, in the data or in the model: a sentence, its evidence, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from morelike.measure.figure import Finding

SIGNS = {"stop": ("bad", "✗", "stop"), "warn": ("fair", "!", "look at this"), "note": ("none", "·", "note")}
NAMED = 8  # files or items that a finding names; the rest is counted


def findings(found: Sequence[Finding]) -> str:
    """The findings as a list, the gravest first."""
    order = list(SIGNS)
    graver = sorted(found, key=lambda one: order.index(one.severity))
    return f'<ul class="findings">{"".join(map(item, graver))}</ul>' if graver else ""


def item(found: Finding) -> str:
    """One finding."""
    tone, sign, words = SIGNS[found.severity]
    head = (
        f'<h3><span class="symbol" aria-hidden="true">{sign}</span> {escape(found.title)} <small>{words}</small></h3>'
    )
    lines = (("", found.evidence), ("What it does", found.consequence), ("What to do", found.action),
             ("Otherwise", found.default))  # fmt: skip
    told = "".join(f"<p>{f'<b>{title}:</b> ' if title else ''}{escape(text)}</p>" for title, text in lines if text)
    return f'<li class="{tone}">{head}{told}{names(found)}</li>'


def names(found: Finding) -> str:
    """The files or items that a finding concerns, as many as one cares to read."""
    if not found.names:
        return ""
    shown, count = found.names[:NAMED], max(found.count, len(found.names))
    rest = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return f"<p><small>{escape(', '.join(shown))}{rest}</small></p>"
