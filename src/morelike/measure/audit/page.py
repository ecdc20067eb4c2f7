"""The page of an audit: one HTML file that needs nothing else, with the items beside what is said of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from morelike.measure.figure import Finding
from morelike.measure.page.findings import SIGNS
from morelike.measure.page.html import SHOWN, listed, section, table
from morelike.measure.style import STYLE

if TYPE_CHECKING:
    from morelike.measure.audit.audit import Audit

GROUPS, EACH, SINGLES = 12, 8, 24  # groups that are shown, items of each, and items of a finding without groups
OWN = """
.shown { display: flex; flex-wrap: wrap; gap: 8px; align-items: flex-start; margin: .5rem 0; }
.shown.group { display: inline-flex; margin-right: 1.6rem; }
.shown figure { margin: 0; max-width: 8rem; } .shown figcaption { font-size: .72rem; line-height: 1.25; }
.shown figure:has(pre) { width: 14.5rem; max-width: 100%; } .shown.group:has(pre) { display: flex; }
.shown .item { display: block; }
.findings details { font-size: .85rem; margin-top: .3rem; }
"""
TONES = {"stop": "bad", "warn": "fair"}


def shown_rows(found: Finding) -> tuple[int, ...]:
    """The rows that the page shows of a finding."""
    if found.groups:
        return tuple(row for group in found.groups[:GROUPS] for row in group[:EACH])
    return found.rows[:SINGLES]


def page(audit: Audit) -> str:
    """The whole page."""
    title = f"{audit.source}: {audit.verdict}"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join([banner(audit), *sections(audit)])
    head += f"<title>{escape(title)}</title><style>{STYLE}{OWN}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def banner(audit: Audit) -> str:
    """The verdict in large words, and how much there is."""
    tone = next((TONES[one.severity] for one in audit.findings if one.severity in TONES), "good")
    sign = {"bad": "✗", "fair": "!", "good": "✓"}[tone]
    word = audit.verdict[:1].upper() + audit.verdict[1:]
    return (
        f'<header class="verdict {tone}"><p class="kicker"><strong>{escape(audit.source)}</strong> '
        f"before training</p>\n"
        f'<h1><span class="symbol" aria-hidden="true">{sign}</span> {escape(word)}</h1>\n'
        f'<p class="use">{escape(audit.sentence)}</p></header>'
    )


def sections(audit: Audit) -> Iterator[str]:
    """The parts of the page that have something to say."""
    found = "".join(item(one, audit) for one in audit.findings)
    yield section("What was found", f'<ul class="findings">{found}</ul>' if found else "<p>No fault.</p>",
                  f"{'The gravest first. ' if found else ''}Your files are never changed.")  # fmt: skip
    if audit.counts["train"] > 1:
        command = f"morelike fit {shlex.quote(audit.source)} --minutes 5"
        yield section("How to go on", f"<pre>{escape(command)}</pre>", "This trains a model on what can be used.")
    yield section("Classes", table(dict(sorted(audit.classes.items(), key=lambda one: -one[1])[:SHOWN])))
    yield section("Left out", left_out(audit))
    yield section("How it was looked at", listed(audit.notes) + table(dict(audit.seconds)), "Seconds by stage.")


def item(found: Finding, audit: Audit) -> str:
    """One finding, with the items that it is about."""
    tone, sign, words = SIGNS[found.severity]
    symbol = f'<span class="symbol" aria-hidden="true">{sign}</span>'
    head = f"<h3>{symbol} {escape(found.title)} <small>{words}</small></h3>"
    lines = (("", found.evidence), ("What it does to the model", found.consequence), ("What to do", found.action),
             ("If you do nothing", found.default))  # fmt: skip
    told = "".join(
        f"<p>{f'<b>{title}:</b> ' if title else ''}{escape(text).replace(chr(10), '<br>')}</p>"
        for title, text in lines
        if text
    )
    return f'<li class="{tone}">{head}{told}{shown(found, audit)}{named(found)}</li>'


def broken(text: str) -> str:
    """A text with its lines, escaped."""
    return escape(text).replace("\n", "<br>")


def shown(found: Finding, audit: Audit) -> str:
    """The items of a finding side by side, each group in a row of its own."""
    names = dict(zip(found.rows, found.names, strict=False))

    def tile(row: int) -> str:
        label = ""
        if found.kind == "wrong_labels" and row in audit.suggested:
            label = f": {audit.labels.get(row, '')} → {audit.suggested[row]}"
        return f"<figure>{audit.pictures[row]}<figcaption>{escape(names.get(row, '') + label)}</figcaption></figure>"

    if found.groups:
        rows = [[row for row in group[:EACH] if row in audit.pictures] for group in found.groups[:GROUPS]]
        return "".join(f'<div class="shown group">{"".join(map(tile, row))}</div>' for row in rows if row)
    singles = [row for row in shown_rows(found) if row in audit.pictures]
    return f'<div class="shown">{"".join(map(tile, singles))}</div>' if singles else ""


def named(found: Finding) -> str:
    """The names of what a finding is about, folded away where there are many."""
    if not found.names:
        return ""
    rest = f" and {len(found.names) - SHOWN:,} more, all of them in the JSON" if len(found.names) > SHOWN else ""
    listing = escape(", ".join(found.names[:SHOWN])) + rest
    return f"<details><summary>{len(found.names):,} by name</summary>{listing}</details>"


def left_out(audit: Audit) -> str:
    """What could not be used, and why."""
    rest = f"<p>and {len(audit.skipped) - SHOWN:,} more</p>" if len(audit.skipped) > SHOWN else ""
    return table(dict(audit.skipped[:SHOWN])) + rest if audit.skipped else ""
