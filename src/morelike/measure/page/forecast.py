"""What more time would probably buy: sentences, and the run's own curve with its continuation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from morelike.measure.curves import ticks
from morelike.measure.page.html import listed, number

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 680, 240, 64, 16, 12, 38
LONGER = (("now", 1.0), ("twice", 2.0), ("ten_times", 10.0))


def forecast(values: Mapping[str, Any]) -> str:
    """The forecast in sentences, the curve behind it, and how it was made; "" where nothing was tried."""
    said = listed(values.get("sentences") or ())
    method = f'<p class="says">{escape(values["method"])}</p>' if said and not values.get("reason") else ""
    return said + curve(values) + method


def curve(values: Mapping[str, Any]) -> str:
    """Distance to the data against time, both logarithmic: moments of the run, and what longer ones would leave."""
    past = [one for one in values.get("curve") or () if (one.get("value") or 0) > 0 and one.get("time", 0) > 0]
    if values.get("reason") or len(past) < 2:
        return ""
    end = past[-1]["time"]
    seen = [(one["time"] / end, one["value"], one["low"], one["high"]) for one in past]
    ahead = [(at, *(values[name][key] for key in ("value", "low", "high"))) for name, at in LONGER if name in values]
    across, up = frame(seen + ahead)
    parts = [*grid(across, up, seen + ahead)]
    for points, kind in ((seen, "c0"), (ahead, "c1")):
        way = " ".join(f"{across(at):.1f},{up(value):.1f}" for at, value, _, _ in points)
        parts.append(f'<polyline class="curve {kind}{" ahead" if kind == "c1" else ""}" points="{way}"/>')
        parts += [bars(across(at), up(low), up(high), kind) for at, _, low, high in points if None not in (low, high)]
    title = "Distance to the data against the time of training, with a forecast"
    keys = '<span class="key"><i class="c0"></i>this run, 95 % intervals</span>'
    keys += '<span class="key"><i class="c1"></i>forecast, 90 % intervals</span>'
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"'
    return f'<figure class="chart"><svg {view}>{"".join(parts)}</svg><figcaption>{keys}</figcaption></figure>'


def frame(points: Sequence[tuple[float, Any, Any, Any]]) -> tuple[Any, Any]:
    """Functions from time and value to pixels; what is below the smallest value stands at the lower edge."""
    values = [value for _, value, _, _ in points]
    highs = [high for _, _, _, high in points if high is not None]
    low, high = math.log10(min(values)) - 0.15, math.log10(max(values + highs)) + 0.05
    first, last = math.log10(points[0][0]), math.log10(max(at for at, *_ in points))

    def across(time: float) -> float:
        return LEFT + (math.log10(time) - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        share = (math.log10(max(value, 10**low)) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    return across, up


def grid(across: Any, up: Any, points: Sequence[tuple[float, Any, Any, Any]]) -> list[str]:
    """Lines and numbers of the axes."""
    values = [value for _, value, _, _ in points]
    parts = []
    for power in ticks(math.log10(min(values)), math.log10(max(values)), 4) or [math.log10(values[0])]:
        y = up(10**power)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{y + 4:.1f}">{number(10**power, 2)}</text>')
    for at in (0.01, 0.1, 0.5, 1, 2, 10):
        if points[0][0] <= at:
            said = "now" if at == 1 else f"{at:g} ×"
            parts.append(f'<text class="middle" x="{across(at):.1f}" y="{HEIGHT - BOTTOM + 16}">{said}</text>')
    return [*parts, f'<text class="end" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}">time of training</text>']


def bars(x: float, low: float, high: float, kind: str) -> str:
    """An interval as an upright line."""
    return f'<line class="curve {kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
