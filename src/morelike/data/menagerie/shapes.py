"""Shapes by the distance to their outline, in arrays of pixels (height, width, N) for N pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Rows = np.ndarray | float  # one number per picture, (N,), or one for all


class Shape(Protocol):
    """A shape around its frame's origin, with half axes in the frame's units."""

    def axes(self) -> tuple[Rows, Rows]:
        """Return half the width and half the height of the box around the shape."""

    def distance(self, p: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return about the distance to the outline in pixels, negative inside.

        p, q (h, w, N) run over -1..1 in the box, a, b (N,) are its half axes in pixels.
        """


@dataclass(frozen=True, eq=False)
class Ellipse:
    """An ellipse, or with taper > 0 an egg that is broad below (-0.5..0.5)."""

    a: Rows
    b: Rows
    taper: float = 0.0

    def axes(self) -> tuple[Rows, Rows]:
        return self.a, self.b

    def distance(self, p: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """First-order distance f / |grad f| with f = p^2 + q^2 - 1 (Taubin 1994)."""
        if self.taper:
            p = p * (1.0 - self.taper * q)
        p2, q2 = p * p, q * q
        f = p2 + q2
        f -= 1.0
        p2 *= 4.0 / (a * a)
        q2 *= 4.0 / (b * b)
        p2 += q2
        np.sqrt(p2, out=p2)
        p2 += np.float32(1e-6)
        f /= p2
        return f


@dataclass(frozen=True, eq=False)
class Almond:
    """A pointed lens, the overlap of two discs; its points lie on the vertical axis; a <= b."""

    a: Rows
    b: Rows

    def axes(self) -> tuple[Rows, Rows]:
        return self.a, self.b

    def distance(self, p: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        radius = (a * a + b * b) / (2.0 * a)
        x = np.abs(p)
        x *= a
        x += radius - a
        x *= x
        y = q * b
        y *= y
        x += y
        np.sqrt(x, out=x)
        x -= radius
        return x


@dataclass(frozen=True, eq=False)
class Bar:
    """A line with round ends along the horizontal axis: half its length without the ends, half its width."""

    length: Rows
    width: Rows

    def axes(self) -> tuple[Rows, Rows]:
        return self.length + self.width, self.width

    def distance(self, p: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        x = np.abs(p)
        x *= a
        x -= a - b
        np.maximum(x, 0.0, out=x)
        x *= x
        y = q * b
        y *= y
        x += y
        np.sqrt(x, out=x)
        x -= b
        return x


@dataclass(frozen=True, eq=False)
class Arc:
    """The lower half of a ring: the radius of its middle line, half its width."""

    radius: Rows
    width: Rows

    def axes(self) -> tuple[Rows, Rows]:
        return self.radius + self.width, self.radius + self.width

    def distance(self, p: np.ndarray, q: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        half = a * (self.width / (self.radius + self.width))
        y = q * b
        d = p * a
        d *= d
        d += y * y
        np.sqrt(d, out=d)
        d -= a - half
        np.abs(d, out=d)
        d -= half
        np.negative(y, out=y)
        return np.maximum(d, y, out=d)
