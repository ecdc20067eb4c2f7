"""Pictures in a folder; the first sub-folder of each is its label."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from morelike.core.codec import Item
from morelike.data.listing import (
    Entry,
    Source,
    fingerprint,
    is_companion,
    listed,
    open_picture,
    picture_problem,
    printable,
)


def open_folder(root: Path, entries: Sequence[Entry], problems: list[tuple[str, str]]) -> Source:
    """The pictures among the entries of `walk(root)`; anything else but plain companions becomes a problem."""
    kept, problems = [], list(problems)
    for entry in entries:
        if is_companion(entry.parts[-1]):
            continue
        problem = picture_problem(entry)
        if problem:
            problems.append((entry.name, problem))
        else:
            kept.append(entry)
    return Source(printable(root), [_item(entry) for entry in kept], fingerprint("folder", listed(kept)), problems)


def _item(entry: Entry) -> Item:
    fields = {"label": printable(entry.parts[0])} if len(entry.parts) > 1 else {}
    return Item(entry.name, partial(open_picture, entry.path), fields)
