"""How the numbers were made, so that somebody else can make them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from morelike.measure.page.html import listed, table

SHOWN_ELSEWHERE = ("command", "source", "family", "run")
COUNTS = {"made": "samples", "train": "training items", "held_out": "real items to compare with",
          "compared": "samples in each comparison", "made_not_finite": "samples that are no numbers",
          "real_not_finite": "real items that are no numbers"}  # fmt: skip


def method(
    about: Mapping[str, Any], features: Mapping[str, Any], counts: Mapping[str, int], notes: Sequence[str]
) -> str:
    """Sizes, seed, features and time, the notes, and the command that gives the same numbers."""
    told = {name: value for name, value in about.items() if name not in SHOWN_ELSEWHERE}
    sizes = {COUNTS.get(name, name): count for name, count in counts.items() if count}
    again = about.get("command")
    repeat = f"<p>The same numbers again, on the same kind of machine:</p><pre>{escape(again)}</pre>" if again else ""
    return listed(notes) + table({**sizes, **told, "features": features}) + repeat
