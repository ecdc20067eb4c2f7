"""Where a text file is cut into documents: at its lines, at its blank lines, or into sections.

Items are shuffled and held out one by one, so a book has to become many of them, and a list of names one for each line.
"""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from morelike.core.errors import unknown

UNITS = ("auto", "file", "line", "paragraph")
SECTION = 4_000  # characters of a section, where there is enough text
LEAST_SECTION = 200  # characters of a section where there is little
SECTIONS = 64  # into which a small source is cut at least, so that some can be held out
FILES = 16  # of a source, from which each is long enough to be one document
SHORT = 250  # characters that a line of a list has at most, but for 1 %
BLANK, DIFFERENT, INDENTED = 0.02, 0.5, 0.3  # shares of the lines, of a list: at most, at least, at most
_LOOK = 20_000  # lines from which a list is told


def section_size(characters: int, files: int) -> int:
    """Characters after which a text is cut, for a source of so many in so many files."""
    return SECTION if files >= FILES else min(SECTION, max(LEAST_SECTION, characters // SECTIONS))


def cut(text: str, unit: str = "auto", section: int = SECTION) -> np.ndarray:
    """Where the documents of a text begin and end: int64 (n, 2), blank ones left out.

    unit     auto | file | line | paragraph
    section  characters of a piece of a long text

    "auto" takes each line for a document where the file is a list (few blank lines, short lines that mostly differ);
    otherwise all of it up to one and a half sections, and beyond that sections: cut at blank lines, else at line
    ends, else after a sentence, else anywhere.
    """
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    if unit == "auto":
        unit = "line" if is_list(text) else "file" if len(text) <= 1.5 * section else "section"
    if unit == "file":
        return _trimmed(text, np.array([[0, len(text)]]))
    if unit == "section":
        return _trimmed(text, np.array(_sections(text, section)))
    separator = re.compile(r"\n" if unit == "line" else r"\n[ \t]*\n\s*")
    ends = np.array([place for found in separator.finditer(text) for place in found.span()], dtype=np.int64)
    return _trimmed(text, np.concatenate([[0], ends, [len(text)]]).reshape(-1, 2))


def is_list(text: str) -> bool:
    """True for one thing on each line: names, molecules, sentences; not for prose, wrapped or not, nor for verse."""
    lines = text[: _LOOK * 2 * SHORT].split("\n", _LOOK)[:_LOOK]
    kept = [line for line in lines if line.strip()]
    while lines and not lines[-1].strip():
        lines.pop()
    if len(kept) < 2 or len(lines) - len(kept) > BLANK * len(lines):
        return False
    lengths = np.array([len(line) for line in kept])
    indented = sum(line[0].isspace() for line in kept)
    if np.quantile(lengths, 0.99) > SHORT or len(set(kept)) < DIFFERENT * len(kept) or indented > INDENTED * len(kept):
        return False
    words = np.median([line.count(" ") + 1 for line in kept[:1000]])
    wrapped = (lengths > 0.8 * np.quantile(lengths, 0.95)).mean() > 0.5
    return not (wrapped and words >= 6 and len(kept) >= 10)


def line_numbers(text: str, places: np.ndarray) -> list[int]:
    """The number of the line, from 1, in which each of the ascending places lies."""
    numbers, line, before = [], 1, 0
    for place in places.tolist():
        line += text.count("\n", before, place)
        numbers.append(line)
        before = place
    return numbers


def in_bytes(text: str, spans: np.ndarray) -> np.ndarray:
    """The same ascending spans (n, 2) as places in the text's UTF-8."""
    if text.isascii():
        return spans
    ends = [0, *spans.ravel().tolist()]
    sizes = [len(text[a:b].encode("utf-8", "surrogatepass")) for a, b in pairwise(ends)]
    return np.cumsum(sizes, dtype=np.int64).reshape(-1, 2)


def _sections(text: str, size: int) -> list[tuple[int, int]]:
    found, begin = [], 0
    while len(text) - begin > 1.5 * size:
        end = _break(text, begin + size // 2, begin + size)
        found.append((begin, end))
        begin = end
    return [*found, (begin, len(text))]


def _break(text: str, least: int, most: int) -> int:
    """The best place to cut between two: after a blank line, a line, a sentence, a word, or at the last one."""
    for sign in ("\n\n", "\n", "。", ". ", " "):
        place = text.rfind(sign, least, most)
        if place >= 0:
            return place + len(sign)
    return most


def _trimmed(text: str, spans: np.ndarray) -> np.ndarray:
    """Without the blank lines around each span; spans of white space alone are left out."""
    kept = []
    for begin, end in spans.tolist():
        piece = text[begin:end]
        body = piece.strip()
        if body:
            first = len(piece) - len(piece.lstrip())
            first = piece.rfind("\n", 0, first) + 1  # the white space before the first word of a line belongs to it
            kept.append((begin + first, begin + len(piece.rstrip())))
    return np.array(kept, dtype=np.int64).reshape(-1, 2)
