"""Where a figure stands between the worst and the best that it could be, as inline SVG; told in words as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from morelike.measure.figure import Figure
from morelike.measure.page.html import number

WIDTH, HEIGHT, EDGE = 220, 34, 8
FAR = 25.0  # marks that lie further apart than this many times the nearest two stand on a logarithmic scale
MARKS = (  # what a figure stands beside: attribute, words, shape; told by shape and not by colour alone
    ("floor", "real against real", "M0,-6 L6,5 L-6,5 Z"),
    ("copies", "copy machine", "M-5,-5 H5 V5 H-5 Z"),
    ("baseline", "each number on its own", "M-5,-5 L5,5 M5,-5 L-5,5"),
)


def place(figure: Figure, value: float | None) -> float | None:
    """How far a value has come from the worst, 0, to what real items get, 1: (value - worst) / (real - worst).

    The worst is the trivial model; for copies it is the copy machine, and for class accuracy none right, since numbers
    drawn on their own within a class can still tell which class it is. None where there is no value, or where the worst
    is no worse than real items. It is not cut off, so worse than the worst is below 0.
    """
    worst, real = figure.baseline, figure.floor
    if figure.name in ("copy_rate", "exact_rate", "verbatim"):
        all_copied, none = (0.0, 1.0) if figure.better == "higher" else (1.0, 0.0)  # as a share of what is new, or not
        worst, real = (all_copied if figure.copies is None else figure.copies), (none if real is None else real)
    elif figure.name == "class_accuracy" or (worst is None and figure.better == "higher"):
        worst = 0.0
    if value is None or worst is None or real is None or figure.better == "even":
        return None
    room = (real - worst) if figure.better == "higher" else (worst - real)
    return (value - worst) / (real - worst) if room > 0 else None


def bar(at: float | None, low: float | None = None, high: float | None = None, title: str = "") -> str:
    """A bar that is filled from 0 to `at`, with its interval as a line; empty and dashed where there is no value."""
    if at is None:
        return _bar('<rect class="unknown" x="1" y="3" width="198" height="10" rx="5"/>', title)
    inside = min(max(at, 0.0), 1.0)
    parts = ['<rect class="track" x="1" y="3" width="198" height="10" rx="5"/>']
    parts.append(f'<rect class="fill" x="1" y="3" width="{max(198 * inside, 4):.1f}" height="10" rx="5"/>')
    if low is not None and high is not None:
        ends = sorted(1 + 198 * min(max(end, 0.0), 1.0) for end in (low, high))
        parts.append(f'<path class="whisker" d="M{ends[0]:.1f},8 H{ends[1]:.1f}"/>')
    return _bar("".join(parts), title)


def _bar(drawn: str, title: str) -> str:
    view = 'viewBox="0 0 200 16" preserveAspectRatio="none" role="img"'
    return f'<svg class="bar" {view} aria-label="{escape(title)}">{drawn}</svg>'


def scale(figure: Figure) -> str:
    """A figure with its interval on a line, with marks for what it stands beside; "" without a value."""
    if figure.value is None:
        return ""
    known = [one for one in (getattr(figure, name) for name, _, _ in MARKS) if one is not None]
    ends = [end for end in (figure.low, figure.high) if end is not None]
    across, logarithmic = axis([figure.value, *known], ends, bend=figure.better != "higher")
    parts = [f'<path class="axis" d="M{EDGE},17 H{WIDTH - EDGE}"/>']
    if figure.low is not None and figure.high is not None:
        parts.append(f'<path class="whisker" d="M{across(figure.low):.1f},17 H{across(figure.high):.1f}"/>')
    for name, _, shape in MARKS:
        value = getattr(figure, name)
        if value is not None:
            parts.append(f'<path class="mark {name}" transform="translate({across(value):.1f} 17)" d="{shape}"/>')
    parts.append(f'<circle class="value" cx="{across(figure.value):.1f}" cy="17" r="5"/>')
    if logarithmic:
        parts.append(f'<text class="end" x="{WIDTH - EDGE}" y="32">log</text>')
    title = f"{figure.title}: {told(figure)}"
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
    return f'<svg class="scale" {view}><title>{escape(title)}</title>{"".join(parts)}</svg>'


def axis(
    marks: Sequence[float], ends: Sequence[float] = (), bend: bool = True
) -> tuple[Callable[[float], float], bool]:
    """A function from values to pixels that holds all marks and ends, and whether it is logarithmic.

    Linear, unless some marks would fall together at that; then asinh(value / u), which is linear near 0 and logarithmic
    far from it, with u the smallest size of a mark. Without `bend`, as for shares, it is always linear.
    """
    values = [*marks, *ends]
    gaps = sorted(abs(a - b) for i, a in enumerate(marks) for b in marks[:i] if a != b)
    sizes = sorted(abs(mark) for mark in marks if mark)
    logarithmic = bend and len(gaps) > 1 and gaps[-1] / gaps[0] > FAR and sizes[-1] / sizes[0] > FAR
    unit = sizes[0] if logarithmic else 1.0

    def bent(value: float) -> float:
        return math.asinh(value / unit) if logarithmic else value

    low, high = (bent(end) for end in (min(values), max(values)))
    if high - low < 1e-12:
        low, high = low - 1.0, high + 1.0

    def across(value: float) -> float:
        return EDGE + (bent(value) - low) / (high - low) * (WIDTH - 2 * EDGE)

    return across, logarithmic


def told(figure: Figure) -> str:
    """The figure and what it stands beside, in words."""
    beside = [(words, getattr(figure, name)) for name, words, _ in MARKS]
    parts = [f"{words} {number(value)}" for words, value in beside if value is not None]
    return ", ".join([number(figure.value) + interval(figure), *parts])


def interval(figure: Figure) -> str:
    """The 95 % interval in words, or nothing where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    return f" ({number(figure.low)} to {number(figure.high)})"


def legend() -> str:
    """What the marks on a scale mean."""
    keys = [('<circle class="value" cx="8" cy="8" r="5"/>', "samples, with their 95 % interval")]
    keys += [(f'<path class="mark {name}" transform="translate(8 8)" d="{shape}"/>', words)
             for name, words, shape in MARKS]  # fmt: skip
    shown = (f'<span class="key"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{drawn}</svg>'
             f"{escape(words)}</span>" for drawn, words in keys)  # fmt: skip
    return f'<p class="legend">{" ".join(shown)}</p>'
