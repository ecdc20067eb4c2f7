"""Texts side by side, with what they share marked."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape

from morelike.measure.figure import Passage

LEAST, HAN_LEAST = 8, 3  # characters of a run that is marked, and where most of a text is Chinese


def answers(found: Sequence[tuple[str, str, str]], against: str) -> str:
    """Texts that were given, beside what was made for each and what belongs to it."""
    head = "".join(f"<div><strong>{title}</strong> {escape(says)}</div>" for title, says in
                   (("Asked", against), ("Made", "by the model"), ("Real", "what belongs to it")))  # fmt: skip
    rows = "".join("".join(f"<div>{text}</div>" for text in row) for row in found)
    return f'<div class="answers">{head}{rows}</div>' if found else ""


def passages(found: Sequence[Passage], seed: str = "0") -> str:
    """Passages that samples share with training documents, one beside the other."""
    return f'<ul class="pairs texts">{"".join(card(one, int(seed)) for one in found)}</ul>' if found else ""


def card(one: Passage, seed: int) -> str:
    """One passage: the sample left, the training document right."""
    run = f"<mark>{escape(one.run)}</mark>"
    made = block(escape(one.before) + run + escape(one.after))
    there = block(escape(one.there_before) + run + escape(one.there_after))
    return (
        f'<li><div class="items"><figure>{made}<figcaption>sample</figcaption></figure>'
        f"<figure>{there}<figcaption>training document</figcaption></figure></div>"
        f"<p><b>{one.length:,} characters</b></p>"
        f"<p><small>seed {seed + one.made}; {escape(one.name)}</small></p></li>"
    )


def block(inside: str) -> str:
    """HTML as one text."""
    return f'<pre class="item" dir="auto">{inside}</pre>'


def marked(a: str, b: str) -> tuple[str, str]:
    """Two texts as HTML, with the runs marked that they share, in the same order in both."""
    chinese = sum(c > "\u3000" for c in a) > len(a) / 2
    least = HAN_LEAST if chinese else LEAST
    runs = [one for one in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks() if one.size >= least]
    return _spans(a, [(one.a, one.size) for one in runs]), _spans(b, [(one.b, one.size) for one in runs])


def _spans(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, last = [], 0
    for at, size in spans:
        parts.append(f"{escape(text[last:at])}<mark>{escape(text[at : at + size])}</mark>")
        last = at + size
    return block("".join(parts) + escape(text[last:]))
