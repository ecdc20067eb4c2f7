"""Rows of a table on a page: some to look at, columns as histograms, pairs of columns as heat maps, nearest rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import combinations

from morelike.measure.page.html import grid, number, percent
from morelike.measure.page.neighbours import COPIES
from morelike.measure.record import Pair
from morelike.measure.table.portrait import Histogram, Portrait

WIDTH, HEIGHT, BASE, SIDE = 300, 156, 138, 6  # of a histogram of numbers, its base line, and room at the sides
LINE, NAMES = 19, 108  # height of a category's bars, and room for their names
CELL, MARGIN = 18, 112  # of a heat map, and room for the names
LETTERS, TIPS, WORST, SHOWN = 15, 20, 8, 5  # letters of a name; columns with tips; pairs that are told; rows of a kind


def strips(columns: Sequence[str], real: Sequence[str], made: Sequence[str], against: str) -> str:
    """Real rows above samples, each as its cells."""
    parts = (("Real", against, real), ("Made", "by the model", made))
    body = "".join(
        f'<tbody><tr><th colspan="{len(columns)}" class="part"><strong>{title}</strong> {escape(says)}</th></tr>'
        f"{''.join(f'<tr>{one}</tr>' for one in rows)}</tbody>"
        for title, says, rows in parts if rows
    )  # fmt: skip
    return _sheet(columns, body) if made else ""


def nearest(pairs: Sequence[Pair], columns: Sequence[str]) -> str:
    """Made rows above the training rows that they are nearest to, with the cells marked in which they differ."""
    found = ""
    for title, random in (("The nearest of all", False), ("Some at random", True)):
        some = [one for one in pairs if one.random == random][:SHOWN]
        if some:
            found += f"<h3>{title}</h3>{_sheet(['', *columns], ''.join(map(_pair, some)))}"
    return found


def _pair(one: Pair) -> str:
    made, train = one.pictures
    copy = COPIES.get(one.copy, "")
    mark = f'<b class="bad">✗ {copy}</b>' if copy else '<b class="good">✓ no copy</b>'
    ratio = "" if one.ratio is None else f", {number(one.ratio, 2)} × as far as the nearest held-out row"
    times = f" ({one.times} times in the training set)" if one.times > 1 else ""
    head = f"{mark}, distance {number(one.distance, 2)}{ratio}; seed {one.seed}; {escape(one.name)}{times}"
    return (
        f'<tbody><tr><th colspan="99" class="part">{head}</th></tr><tr><th scope="row">sample</th>{made}</tr>'
        f'<tr><th scope="row">training</th>{train}</tr></tbody>'
    )


def _sheet(columns: Sequence[str], body: str) -> str:
    names = (escape(name).replace("_", "_<wbr>") for name in columns)
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="spread"><table class="rows"><thead><tr>{head}</tr></thead>{body}</table></div>'


def columns(found: Portrait | None) -> str:
    """A card for each column: real and made values."""
    if found is None:
        return ""
    keys = '<span class="key"><i class="real"></i>real</span> <span class="key"><i class="made"></i>made</span>'
    cards = "".join(map(card, found.columns))
    return f'<p class="legend">{keys}</p><ul class="columns">{cards}</ul>'


def card(one: Histogram) -> str:
    """One column: its name, how much alike it is, its histogram, and what is missing."""
    alike = "" if one.alike is None else f'<span class="alike">{percent(one.alike)} alike</span>'
    drawn = _numbers(one) if one.edges or one.kind in ("number", "date") else _categories(one)
    notes = [("missing", *one.missing)] if max(one.missing) > 0 else []
    notes += [(f"exactly {one.spike[0]}, not drawn", *one.spike[1:])] if one.spike else []
    told = "; ".join(f"{what}: real {percent(real)}, made {percent(made)}" for what, real, made in notes)
    told = f"<p><small>{escape(told)}</small></p>" if told else ""
    return f"<li><p><strong>{escape(one.column)}</strong>{alike}</p>{drawn}{told}</li>"


def _numbers(one: Histogram) -> str:
    """Real values as an area and made ones as a line above the same bars."""
    top, bars = max(*one.real, *one.made, 1e-9), len(one.real)
    step = (WIDTH - 2 * SIDE) / max(bars, 1)

    def outline(shares: Sequence[float]) -> str:
        parts = [f"M{SIDE},{BASE}"]
        for place, share in enumerate(shares):
            parts.append(f"V{BASE - share / top * (BASE - 8):.1f} H{SIDE + (place + 1) * step:.1f}")
        return " ".join([*parts, f"V{BASE}"])

    ends = (one.names[0], one.names[-1]) if one.names else _ends(one)
    words = (f'<text x="{SIDE}" y="{HEIGHT - 3}">{escape(ends[0])}</text>'
             f'<text class="end" x="{WIDTH - SIDE}" y="{HEIGHT - 3}">{escape(ends[1])}</text>')  # fmt: skip
    body = f'<path class="real" d="{outline(one.real)}"/><path class="made" d="{outline(one.made)}"/>'
    axis = f'<path class="axis" d="M{SIDE},{BASE} H{WIDTH - SIDE}"/>'
    return _svg(f"Histogram of {one.column}", WIDTH, HEIGHT, body + axis + words)


def _ends(one: Histogram) -> tuple[str, str]:
    """What stands below the ends of a histogram of numbers."""
    low, high = one.ends or (0.0, 0.0)
    if one.kind == "date":
        zero = datetime(1970, 1, 1)
        return str((zero + timedelta(seconds=low)).date()), str((zero + timedelta(seconds=high)).date())
    return number(low), number(high)


def _categories(one: Histogram) -> str:
    """Two bars for each category, real above made."""
    top, room = max(*one.real, *one.made, 1e-9), WIDTH - NAMES - 44
    parts = []
    for place, (name, real, made) in enumerate(zip(one.names, one.real, one.made, strict=True)):
        y = place * LINE + 3
        tip = f"<title>{escape(name)}: real {percent(real)}, made {percent(made)}</title>"
        parts.append(
            f'<g>{tip}<text class="end" x="{NAMES - 5}" y="{y + 11}">{escape(_short(name))}</text>'
            f'<rect class="real" x="{NAMES}" y="{y}" width="{max(room * real / top, 0.8):.1f}" height="6"/>'
            f'<rect class="made" x="{NAMES}" y="{y + 7}" width="{max(room * made / top, 0.8):.1f}" height="6"/>'
            f'<text x="{NAMES + room * max(real, made) / top + 5:.1f}" y="{y + 11}">{percent(made)}</text></g>'
        )
    return _svg(f"Categories of {one.column}", WIDTH, len(one.names) * LINE + 4, "".join(parts))


def pairs(found: Portrait | None) -> str:
    """How much each column tells of each other one, in real rows, in made ones, and the difference."""
    if found is None or len(found.names) < 2:
        return ""
    gap = [[None if a is None or b is None else b - a for a, b in zip(real, made, strict=True)]
           for real, made in zip(found.real, found.made, strict=True)]  # fmt: skip
    maps = (("Real", found.real), ("Made", found.made), ("Made less real", gap))
    drawn = "".join(f"<figure>{_map(title, table, found.names)}<figcaption>{title}</figcaption></figure>"
                    for title, table in maps)  # fmt: skip
    keys = ('<span class="key"><i class="more"></i>made rows tie them too closely</span> '
            '<span class="key"><i class="less"></i>too loosely</span>')  # fmt: skip
    return f'<div class="maps">{drawn}</div><p class="legend">{keys}</p>{_worst(found)}'


def _worst(found: Portrait) -> str:
    """The pairs that are furthest off."""
    off = []
    for i, j in combinations(range(len(found.names)), 2):
        real, made = found.real[i][j], found.made[i][j]
        if real is not None and made is not None:
            off.append((abs(made - real), f"{escape(found.names[i])} and {escape(found.names[j])}", real, made))
    rows = [[name, number(real, 2), number(made, 2)] for _, name, real, made in sorted(off, reverse=True)[:WORST]]
    return f"<h3>Pairs that are furthest off</h3>{grid(('Pair', 'Real', 'Made'), rows)}" if rows else ""


def _map(title: str, table: Sequence[Sequence[float | None]], names: Sequence[str]) -> str:
    size, parts = len(names), []
    for i, name in enumerate(names):
        at = MARGIN + i * CELL + CELL * 0.7
        parts.append(f'<text class="end" x="{MARGIN - 5}" y="{at:.1f}">{escape(_short(name))}</text>')
        parts.append(f'<text transform="translate({at:.1f} {MARGIN - 5}) rotate(-90)">{escape(_short(name))}</text>')
        for j, value in enumerate(table[i]):
            parts.append(_cell(i, j, value, f"{name}, {names[j]}: " if size <= TIPS else ""))
    whole = MARGIN + size * CELL + 2
    return _svg(f"{title}: how much each column tells of each other one", whole, whole, "".join(parts), "map")


def _cell(i: int, j: int, value: float | None, tip: str) -> str:
    """A square whose depth is the root of the value, so that weak ties are seen."""
    square = f'x="{MARGIN + j * CELL}" y="{MARGIN + i * CELL}" width="{CELL - 1}" height="{CELL - 1}"'
    if value is None:
        return f'<rect class="blank" {square}/>'
    told = f"<title>{escape(tip)}{value:.3f}</title>" if tip else ""
    kind = "more" if value >= 0 else "less"
    return f'<rect class="{kind}" {square} fill-opacity="{min(abs(value), 1) ** 0.5:.3f}">{told}</rect>'


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _svg(title: str, width: float, height: float, body: str, kind: str = "histogram") -> str:
    view = f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}"'
    return f'<svg class="{kind}" {view}>{body}</svg>'
