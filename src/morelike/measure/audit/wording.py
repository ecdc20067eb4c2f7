"""Small pieces of sentences."""

from __future__ import annotations

from collections.abc import Sequence


def some(count: int, one: str, many: str) -> str:
    """A number with its noun: "1 picture is dark", "1,200 pictures are dark"."""
    return f"{count:,} {one if count == 1 else many}"


def cut(words: Sequence[str], most: int) -> str:
    """The first few of a list, and how many more there are."""
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return f"{'; '.join(words[:most])}{more}"


def share(count: int, total: int) -> str:
    """How often something comes up: "about 1 in 50"."""
    return "most of them" if 2 * count > total else f"about 1 in {round(total / max(count, 1)):,}"
