"""Series on a page: of each column its values, how it goes with earlier values, and its slow and fast movements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from morelike.measure.page.html import number
from morelike.measure.page.rows import card
from morelike.measure.series.portrait import Line, Over

WIDTH, HEIGHT, BASE, SIDE, TOP = 300, 112, 94, 26, 8


def over(found: Sequence[Over]) -> str:
    """A card for each column: real and made."""
    if not found:
        return ""
    keys = '<span class="key"><i class="real"></i>real</span> <span class="key"><i class="made"></i>made</span>'
    return f'<p class="legend">{keys}</p><ul class="columns">{"".join(map(_column, found))}</ul>'


def _column(one: Over) -> str:
    lags = tuple(float(lag) for lag in range(1, len(one.autocorrelation[0]) + 1))
    after = lags[: len(one.changes[0])]
    parts = [
        _lines("Autocorrelation of values, by steps between", lags, one.autocorrelation, (-1.0, 1.0)),
        _lines("Autocorrelation of changes, by steps between", after, one.changes, (-1.0, 1.0)),
        _lines("Power in decibels, from slow to fast (cycles a step)", one.frequencies, one.spectrum, None),
    ]
    return card(one.values).removesuffix("</li>") + "".join(parts) + "</li>"


def _lines(title: str, x: Line, pair: tuple[Line, Line], ends: tuple[float, float] | None) -> str:
    """Two lines over the same places; nothing where neither has two points."""
    known = [value for one in pair for value in one if value is not None]
    at = [value for value in x if value is not None]
    if len(at) < 2 or not known:
        return ""
    low, high = ends or (min(known), max(known))
    low, high = (low, high) if high > low else (low - 1, high + 1)
    step = (WIDTH - 2 * SIDE) / ((at[-1] - at[0]) or 1)

    def height(value: float) -> float:
        return BASE - (value - low) / (high - low) * (BASE - TOP)

    body = "".join(f'<path class="{kind}" d="{_path(at, one, step, height)}"/>'
                   for kind, one in zip(("real", "made"), pair, strict=True))  # fmt: skip
    zero = height(0.0) if low < 0 < high and ends else BASE
    axis = f'<path class="axis" d="M{SIDE},{zero:.1f} H{WIDTH - SIDE}"/>'
    words = "".join(f'<text class="end" x="{SIDE - 3}" y="{height(value) + 4:.1f}">{number(value, 2)}</text>'
                    for value in (low, high))  # fmt: skip
    words += f'<text x="{SIDE}" y="{HEIGHT - 4}">{number(at[0], 2)}</text>'
    words += f'<text class="end" x="{WIDTH - SIDE}" y="{HEIGHT - 4}">{number(at[-1], 2)}</text>'
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
    return f'<p><small>{escape(title)}</small></p><svg class="lines" {view}>{axis}{body}{words}</svg>'


def _path(x: Sequence[float], y: Line, step: float, height: Callable[[float], float]) -> str:
    """A line through the points that there are."""
    parts, down = [], False
    for place, value in zip(x, y, strict=True):
        if value is None:
            down = False
            continue
        parts.append(f"{'L' if down else 'M'}{SIDE + (place - x[0]) * step:.1f},{height(value):.1f}")
        down = True
    return " ".join(parts)
