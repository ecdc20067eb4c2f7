"""The small pieces that every part of a page is made of: text that is safe, tables, pictures, numbers for people."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from PIL import Image

SHOWN = 50  # rows of a list that may be long


def section(title: str, content: str, says: str = "") -> str:
    """A titled part of the page with a sentence on what it is about, or nothing where there is no content."""
    if not content:
        return ""
    lead = f'<p class="says">{escape(says)}</p>\n' if says else ""
    return f'<section id="{anchor(title)}"><h2>{escape(title)}</h2>\n{lead}{content}\n</section>'


def anchor(title: str) -> str:
    """The name by which a section is linked to."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def table(values: Mapping[str, Any]) -> str:
    """Names and values below one another; what is empty or was left at nothing is not shown."""
    shown = {name: value for name, value in values.items() if not empty(value)}
    rows = "".join(f"<tr><th>{escape(readable(name))}</th><td>{cell(value)}</td></tr>" for name, value in shown.items())
    return f"<table>{rows}</table>" if rows else ""


def empty(value: Any) -> bool:
    """True for what is not worth a row."""
    return value is None or (isinstance(value, str | Mapping | list | tuple) and not value)


def readable(name: str) -> str:
    """A field's name in words."""
    return str(name).replace("_", " ")


def cell(value: Any) -> str:
    """A value as HTML: nested mappings as tables, numbers with separators."""
    if isinstance(value, Mapping):
        return table(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(each) for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else escape(str(value))


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "grid") -> str:
    """A table with a head, of cells that are HTML already; on a narrow screen each cell carries its column's name.

    The first column is the head of its row. Nothing without rows.
    """
    lines = []
    for first, *others in rows:
        cells = (f'<td data-label="{escape(name)}">{one}</td>' for name, one in zip(head[1:], others, strict=True))
        lines.append(f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>')
    if not lines:
        return ""
    titles = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return f'<table class="{kind}"><thead><tr>{titles}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def listed(notes: Iterable[str]) -> str:
    """Sentences as a list."""
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes if note)
    return f"<ul>{lines}</ul>" if lines else ""


def figure(data: bytes, kind: str, caption: str) -> str:
    """A picture inside the page itself, with its caption."""
    source, text = f"data:{kind};base64,{base64.b64encode(data).decode()}", escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: so many digits at most, separators from a thousand on, an exponent only far from 1."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value) if abs(value) > 1e-12 else 0.0  # what rounding leaves is nought
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 10.0 ** -(digits + 1):
        return f"{value:.{digits - 1}g}"
    text = f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}" if size else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage: a digit more near 0, and neither 0 nor 100 unless it is."""
    value = 100 * share
    if 0 < value < 0.05:
        return "under 0.1 %"
    if 99.5 <= value < 100:
        return "over 99 %"
    return f"{value:.1f} %" if 0 < abs(value) < 2 else f"{value:.0f} %"
