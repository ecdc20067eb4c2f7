"""Curves as inline SVG: no script, no font, no library; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 680, 240, 56, 12, 10, 34
COLOURS = 6  # classes c0 to c5 in the style sheet
POINTS = 240  # a curve is averaged down to this many; the screen shows no more
SAME_SCALE = 12.0  # curves whose typical sizes differ by more than this factor get charts of their own

Curve = tuple[np.ndarray, np.ndarray]  # x and y, both (n,)


def charts(curves: Mapping[str, Curve], x_title: str = "step") -> str:
    """SVG charts of named curves, those of one scale together, each with a legend; "" if there is nothing to draw."""
    kept = {name: finite(curve) for name, curve in curves.items()}
    kept = {name: curve for name, curve in kept.items() if len(curve[0]) > 1}
    return "\n".join(chart({name: kept[name] for name in group}, x_title) for group in by_scale(kept))


def finite(curve: Curve) -> Curve:
    """Without the points that cannot be drawn, averaged down to `POINTS` bins."""
    x, y = (np.asarray(values, dtype=float) for values in curve)
    there = np.isfinite(x) & np.isfinite(y)
    x, y = x[there], y[there]
    if len(x) > POINTS:
        bins = np.linspace(0, len(x), POINTS + 1).astype(int)[:-1]
        count = np.diff([*bins, len(x)])
        x, y = np.add.reduceat(x, bins) / count, np.add.reduceat(y, bins) / count
    return x, y


def by_scale(curves: Mapping[str, Curve]) -> list[list[str]]:
    """Names grouped so that the typical size of the values in a group differs by `SAME_SCALE` at most."""
    size = {name: float(np.median(np.abs(y))) + 1e-12 for name, (_, y) in curves.items()}
    groups: list[list[str]] = []
    for name in sorted(curves, key=lambda each: size[each], reverse=True):
        if groups and size[groups[-1][0]] <= SAME_SCALE * size[name] and len(groups[-1]) < COLOURS:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def chart(curves: Mapping[str, Curve], x_title: str) -> str:
    """One chart with axes and a legend; the outermost percent of the values may leave the frame."""
    x_low, x_high = (f(f(x) for x, _ in curves.values()) for f in (min, max))
    values = np.concatenate([y for _, y in curves.values()])
    y_low, y_high = padded(*np.percentile(values, [1, 99]))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / ((x_high - x_low) or 1)
        up = min(max((y - y_low) / (y_high - y_low), -0.02), 1.02)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in ticks(y_low, y_high):
        x, y = at(x_low, tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{number(tick)}</text>')
    for tick in ticks(x_low, x_high):
        x, _ = at(tick, y_low)
        parts.append(f'<text class="middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}">{number(tick)}</text>')
    parts.append(f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}">{escape(x_title)}</text>')
    for index, (xs, ys) in enumerate(curves.values()):
        points = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline class="curve c{index % COLOURS}" points="{points}"/>')
    title = f"Curves of {', '.join(curves)} over {x_title}"
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return f'<figure class="chart">{svg}<figcaption>{legend(list(curves))}</figcaption></figure>'


def legend(names: Sequence[str]) -> str:
    """Names beside a stroke in the colour of their curve."""
    return " ".join(
        f'<span class="key"><i class="c{i % COLOURS}"></i>{escape(name)}</span>' for i, name in enumerate(names)
    )


def padded(low: float, high: float) -> tuple[float, float]:
    """A little room above and below, and some height for a curve that is flat."""
    room = (high - low) * 0.06 or max(abs(high) * 0.1, 1e-6)
    return float(low - room), float(high + room)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from low to high, about so many: 1, 2 or 5 times a power of ten apart."""
    span = (high - low) or 1.0
    power = 10.0 ** math.floor(math.log10(span / about))
    gap = next(power * step for step in (1, 2, 5, 10) if span / (power * step) <= about)
    first = math.ceil(low / gap - 1e-9)
    return [round(i * gap, 12) for i in range(first, math.floor(high / gap + 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's label: three digits, or a whole number with separators."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
