"""Texts as files and as HTML: one after another, JSON lines, or a file for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

from morelike.codecs._sheets import _save
from morelike.core.errors import OptionError

SEPARATOR = "\n" + "-" * 40 + "\n"  # between texts of several lines


def html(items: Iterable[object]) -> list[str]:
    """Texts as `<pre class="item">` each, read from the side that their script is."""
    return [f'<pre class="item" dir="auto">{escape(str(one))}</pre>' for one in items]


def joined(items: Iterable[object]) -> str:
    """Texts one after another, with a line between them where any has several lines."""
    texts = [str(one) for one in items]
    return ("\n" if all("\n" not in text for text in texts) else SEPARATOR).join(texts)


def write(items: Iterable[object], target: Path) -> list[Path]:
    """Write texts in the way that the target's suffix tells; returns the files written.

    .txt is one after another, with a line between them where any has several lines; .jsonl a record {"text": ...} for
    each; a folder a .txt for each. Every file appears whole or not at all. Raises `OptionError` for another suffix.
    """
    texts, suffix = [str(one) for one in items], target.suffix.lower()
    if not suffix or target.is_dir():
        files = [target / f"{place:05d}.txt" for place in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            _save(file, f"{text}\n".encode("utf-8", "replace"))
        return files
    if suffix not in (".txt", ".text", ".md", ".jsonl"):
        expected = "A name that ends in .txt or .jsonl, or a folder"
        raise OptionError(f'Texts cannot be written as "{target.name}"', expected, "Choose one of these")
    if suffix == ".jsonl":
        said = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    else:
        said = joined(texts) + "\n"
    _save(target, said.encode("utf-8", "replace"))
    return [target]
