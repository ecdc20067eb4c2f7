"""Plots of Markov chains as small inline SVGs: no script, no font; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from morelike.measure.curves import COLOURS, number, padded, ticks
from morelike.samplers.mcmc.diagnostics import autocovariance

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300, 160, 40, 8, 8, 20
POINTS = 200  # of a trace
DOTS = 500  # of a scatter plot
BINS = 20  # of a rank plot, as Vehtari et al. 2021 have it
LAGS = 40
Array = np.ndarray


@dataclass(frozen=True)
class Frame:
    """The inside of a plot and its axes; `log` axes hold logarithms and are labelled with what they are of."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: tuple[bool, bool] = (False, False)
    width: int = WIDTH
    height: int = HEIGHT
    labels: tuple[bool, bool] = (True, True)

    def at(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Points in tenths of a unit, whole numbers, which keeps the page small."""
        across = (np.asarray(x) - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = np.clip((np.asarray(y) - self.y[0]) / ((self.y[1] - self.y[0]) or 1), -0.02, 1.02)
        a = LEFT + across * (self.width - LEFT - RIGHT)
        b = self.height - BOTTOM - up * (self.height - TOP - BOTTOM)
        return np.rint(a * 10).astype(int), np.rint(b * 10).astype(int)

    def line(self, x: Array, y: Array, kind: str) -> str:
        """A line through points."""
        a, b = self.at(x, y)
        steps = "".join(f"{dx} {dy} " for dx, dy in zip(np.diff(a), np.diff(b), strict=True)).replace(" -", "-")
        return f'<path class="{kind}" d="M{a[0]} {b[0]}l{steps.rstrip()}"/>' if len(a) > 1 else ""

    def dots(self, x: Array, y: Array, kind: str) -> str:
        """A dot for each point: strokes without length and with round ends."""
        a, b = self.at(x, y)
        points = "".join(f"M{p} {q}h0" for p, q in zip(a, b, strict=True))
        return f'<path class="{kind}" d="{points}"/>' if points else ""

    def band(self, low: float, high: float) -> str:
        """A strip from the left to the right."""
        (x0, x1), (y1, y0) = self.at(np.array(self.x), np.array([low, high]))
        return f'<rect class="band" x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}"/>'

    def axes(self) -> str:
        """Lines across with their values, and values below."""
        parts = []
        for tick, text in marks(self.y, self.log[1]) if self.labels[1] else ():
            (x0, x1), (y, _) = self.at(np.array(self.x), np.array([tick, tick]))
            parts.append(f'<path class="grid" d="M{x0} {y}H{x1}"/>')
            parts.append(f'<text class="end" x="{x0 - 40}" y="{y + 40}">{text}</text>')
        for tick, text in marks(self.x, self.log[0], 3) if self.labels[0] else ():
            (x, _), _ = self.at(np.array([tick, tick]), np.array(self.y))
            place = "end" if x > 10 * (self.width - RIGHT - 12) else "middle"
            parts.append(f'<text class="{place}" x="{x}" y="{10 * self.height - 45}">{text}</text>')
        return "".join(parts)


def figure(frame: Frame, title: str, parts: Iterable[str]) -> str:
    """A plot with its title below."""
    inside = frame.axes() + "".join(parts)
    box, label = f"0 0 {10 * frame.width} {10 * frame.height}", escape(title)
    svg = f'<svg viewBox="{box}" role="img" aria-label="{label}">{inside}</svg>'
    return f"<figure>{svg}<figcaption>{label}</figcaption></figure>"


def marks(ends: tuple[float, float], log: bool, about: int = 5) -> list[tuple[float, str]]:
    """Places of an axis that are labelled, and their labels: of a logarithmic one, powers of ten or round numbers."""
    if not log:
        return [(tick, number(tick)) for tick in ticks(*ends, about=about)]
    found: list[float] = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        tens = range(math.floor(ends[0] / math.log(10)), math.ceil(ends[1] / math.log(10)) + 1)
        found = [step * 10.0**ten for ten in tens for step in steps]
        found = [value for value in found if ends[0] <= math.log(value) <= ends[1]]
        if len(found) >= 3:
            break
    short = (f"{value:g}" if 1e-3 < value < 1e3 else f"{value:.0e}" for value in found)
    return list(zip(map(math.log, found), short, strict=True))[:: -(-len(found) // 5) or 1]


def trace(x: Array, title: str = "Trace") -> str:
    """Draws in the order in which they came, a line for each chain: (C, N)."""
    x, log = spread(x)
    step = max(1, x.shape[1] // POINTS)
    frame = Frame((0, x.shape[1]), padded(float(x.min()), float(x.max())), (False, log))
    when = np.arange(x.shape[1])[::step]
    return figure(frame, title, (frame.line(when, one[::step], colour(c, "thin")) for c, one in enumerate(x)))


def ranks(x: Array, title: str = "Ranks") -> str:
    """How often each chain holds the lowest, …, the highest draws: (C, N); even where chains agree."""
    chains, n = x.shape
    order = x.reshape(-1).argsort(kind="stable").argsort(kind="stable").reshape(chains, n)
    counts = np.stack([np.bincount(one * BINS // x.size, minlength=BINS) for one in order])  # (C, BINS)
    even = n / BINS
    room = 2.5 * math.sqrt(even * (1 - 1 / chains)) if chains > 1 else 1.0
    frame = Frame((0, BINS), (0, 1.05 * max(float(counts.max()), even + room)), labels=(False, True))
    edge = np.repeat(np.arange(BINS + 1), 2)[1:-1]
    lines = (frame.line(edge, np.repeat(one, 2), colour(c)) for c, one in enumerate(counts))
    return figure(frame, title, (frame.band(max(0.0, even - room), even + room), *lines))


def densities(x: Array, title: str = "Density") -> str:
    """The density of the draws of each chain, or of their logarithms, smoothed: (C, N)."""
    x, log = spread(x)
    low, high = padded(*map(float, np.quantile(x, [0.005, 0.995])))
    grid = np.linspace(max(low, x.min()), min(high, x.max()), 90)
    found = [smooth(one, grid) for one in x]
    frame = Frame((grid[0], grid[-1]), (0, 1.05 * max(map(np.max, found)) or 1.0), (log, False), labels=(True, False))
    return figure(frame, title, (frame.line(grid, one, colour(c)) for c, one in enumerate(found)))


def autocorrelations(x: Array, title: str = "Autocorrelation") -> str:
    """The correlation of each draw with the one so many draws later: (C, N)."""
    lags = min(LAGS, x.shape[1] - 1)
    gamma = autocovariance(x[:, None])[:, : lags + 1]  # (C, lags + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rho = np.nan_to_num(gamma / gamma[:, :1], nan=1.0)
    frame = Frame((0, lags), (min(-0.1, float(rho.min())), 1.05))
    noise = 2 / math.sqrt(x.shape[1])
    lines = (frame.line(np.arange(lags + 1), one, colour(c)) for c, one in enumerate(rho))
    return figure(frame, title, (frame.band(-noise, noise), *lines))


def energies(energy: Array, title: str) -> str:
    """The energy about its mean, and its change from step to step, as densities: (C, N)."""
    level = (energy - energy.mean(1, keepdims=True)).reshape(-1)
    change = np.diff(energy, axis=1).reshape(-1)
    ends = np.quantile(np.concatenate([level, change]), [0.002, 0.998])
    grid = np.linspace(*padded(*map(float, ends)), 120)
    found = [smooth(one, grid) for one in (level, change)]
    frame = Frame((grid[0], grid[-1]), (0, 1.05 * max(map(np.max, found)) or 1.0), labels=(True, False), width=480)
    return figure(frame, title, (frame.line(grid, one, colour(c)) for c, one in enumerate(found)))


def pair(x: Array, y: Array, diverging: Array, names: tuple[str, str]) -> str:
    """Two numbers against each other, (C, N) each; the draws of lost trajectories marked."""
    (a, across), (b, up) = spread(x), spread(y)
    ends = [padded(*map(float, np.quantile(one, [0.001, 0.999]))) for one in (a, b)]
    frame = Frame(ends[0], ends[1], (across, up), height=230)
    kept, lost = (np.flatnonzero(one.reshape(-1)) for one in (~diverging, diverging))
    kept, lost = (one[:: -(-len(one) // DOTS) or 1] for one in (kept, lost))
    a, b = a.reshape(-1), b.reshape(-1)
    inside = [one[(a[one] >= ends[0][0]) & (a[one] <= ends[0][1])] for one in (kept, lost)]
    parts = (frame.dots(a[inside[0]], b[inside[0]], "dot"), frame.dots(a[inside[1]], b[inside[1]], "dot lost"))
    return figure(frame, f"{names[1]} against {names[0]}", parts)


def spread(x: Array) -> tuple[Array, bool]:
    """Logarithms of positive numbers that span several sizes, and whether they are."""
    log = bool((x > 0).all() and np.quantile(x, 0.95) > 8 * np.quantile(x, 0.05))
    return (np.log(x) if log else x), log


def colour(c: int, *more: str) -> str:
    """The classes of a chain's line."""
    return " ".join(("curve", f"c{c % COLOURS}", *more))


def smooth(x: Array, grid: Array) -> Array:
    """A density from draws by a Gaussian kernel of Silverman's width (1986, eq. 3.31), on an even grid."""
    sd = min(x.std(), np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.34) or x.std()
    gap = grid[1] - grid[0]
    width = max(0.9 * sd * len(x) ** -0.2, 0.6 * gap)
    fine = np.histogram(x, np.append(grid - gap / 2, grid[-1] + gap / 2))[0] / len(x) / gap
    kernel = np.exp(-(((grid[:, None] - grid) / width) ** 2) / 2)
    return kernel @ fine / (width / gap * math.sqrt(2 * math.pi))


def legend(chains: Sequence[int]) -> str:
    """Chains beside a stroke in the colour of their lines."""
    keys = (f'<span class="key"><i class="c{i % COLOURS}"></i>chain {c}</span>' for i, c in enumerate(chains))
    return f'<p class="legend">{" ".join(keys)}</p>'
