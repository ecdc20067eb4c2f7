"""Antialiased shapes on many pictures at once, by signed distance (Quilez 2008; Loop & Blinn 2005).

Arrays end in the picture axis: a plane is (height, width, N), so that one number per picture, an (N,) row, broadcasts
along contiguous memory and a shape touches only the rows and columns where it is on some picture. Only + - * / and
square roots act on pixels: they round alike at every N, so that a picture does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from morelike.data.menagerie.shapes import Ellipse, Rows, Shape

Window = tuple[slice, slice]
Shade = Callable[[np.ndarray, np.ndarray], np.ndarray]
MARGIN = 2.0  # pixels beyond a shape's outline after which its coverage is exactly 0


@dataclass(frozen=True, eq=False)
class Frame:
    """A place to draw at on each picture: origin x, y (N,) in pixels, angle (radians, clockwise), unit in pixels."""

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    unit: np.ndarray

    def at(self, x: Rows, y: Rows, angle: Rows = 0.0, stretch: Rows = 1.0) -> Frame:
        """Return the frame whose origin is at x (right), y (down) of this one, turned and stretched."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return Frame(
            self.x + (x * c - y * s) * self.unit, self.y + (x * s + y * c) * self.unit,
            self.angle + angle, self.unit * stretch,
        )  # fmt: skip


class Canvas:
    """N pictures being painted: planes (channels, size, size, N) of float32 about 0..1, and one stencil plane."""

    def __init__(self, n: int, size: int, channels: int) -> None:
        self.size = size
        self.planes = np.zeros((channels, size, size, n), np.float32)
        self.stencil = np.zeros((size, size, n), np.float32)

    def window(self, frame: Frame, a: Rows, b: Rows) -> Window:
        """Return the rows and columns outside which the shape covers no pixel of any picture."""
        c, s = np.abs(np.cos(frame.angle)), np.abs(np.sin(frame.angle))
        spans = []
        for centre, reach in ((frame.y, s * a + c * b), (frame.x, c * a + s * b)):
            reach = reach * frame.unit * 1.15 + MARGIN  # an egg is up to 1.12 times as wide as its axis
            low, high = np.floor((centre - reach).min()), np.ceil((centre + reach).max())
            spans.append(slice(*np.clip((low, high), 0, self.size).astype(int)))
        return spans[0], spans[1]

    def local(self, frame: Frame, window: Window, a: Rows, b: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates p, q (h, w, N) of the window's pixel centres, -1..1 within half axes a, b (pixels)."""
        c, s = np.cos(frame.angle), np.sin(frame.angle)
        dy, dx = (
            np.arange(span.start, span.stop)[:, None] + 0.5 - origin
            for span, origin in zip(window, (frame.y, frame.x), strict=True)
        )
        row = (dx * (c / a)).astype(np.float32), (dx * (-s / b)).astype(np.float32)
        column = (dy * (s / a)).astype(np.float32), (dy * (c / b)).astype(np.float32)
        return row[0][None] + column[0][:, None], row[1][None] + column[1][:, None]

    def paint(
        self, frame: Frame, shape: Shape, colour: np.ndarray, *, opacity: Rows = 1.0, inside: bool = False,
        shade: Shade | None = None, rim: Rows | None = None, stencil: bool = False,
    ) -> None:  # fmt: skip
        """Paint a shape in `colour` (channels, N).

        opacity (N,)   0..1, over all of the shape
        inside         paint only where the stencil is
        shade(p, q)    factor on the colour over the shape's box
        rim (N,)       the colour's relative change at the outline, fading inwards over a tenth of the unit
        stencil        make this shape's coverage the stencil
        """
        a, b = (np.broadcast_to(axis * frame.unit, frame.x.shape) for axis in shape.axes())
        wide, high = np.maximum(a, 0.5), np.maximum(b, 0.5)  # thinner than a pixel: a pixel wide, but fainter
        window = self.window(frame, *shape.axes())
        p, q = self.local(frame, window, wide, high)
        d = shape.distance(p, q, wide.astype(np.float32), high.astype(np.float32))
        tone = shade(p, q) if shade else None
        if rim is not None:
            edge = np.clip(d * (1.0 / np.maximum(0.1 * frame.unit, 1.2)).astype(np.float32) + 1.0, 0.0, 1.0)
            edge = edge * np.asarray(rim, np.float32) + 1.0
            tone = edge if tone is None else tone * edge
        cover = np.clip(0.5 - d, 0.0, 1.0, out=d)
        cover *= (opacity * (a / wide) * (b / high)).astype(np.float32)
        if stencil:
            self.stencil[window] = cover
        self.blend(window, cover * self.stencil[window] if inside else cover, colour, tone)

    def glow(self, frame: Frame, shape: Ellipse, colour: np.ndarray, opacity: Rows = 1.0, inside: bool = False) -> None:
        """Paint an ellipse that fades from `opacity` at its centre to nothing at its outline."""
        a, b = (np.maximum(axis * frame.unit, 1.0) for axis in shape.axes())
        window = self.window(frame, *shape.axes())
        p, q = self.local(frame, window, a, b)
        cover = np.maximum(1.0 - p * p - q * q, 0.0)
        cover *= cover * np.asarray(opacity, np.float32)
        np.minimum(cover, 1.0, out=cover)
        self.blend(window, cover * self.stencil[window] if inside else cover, colour)

    def blend(self, window: Window, cover: np.ndarray, colour: np.ndarray, tone: np.ndarray | None = None) -> None:
        """Mix `colour`, times `tone` if given, into the window by `cover` (h, w, N), 0..1."""
        for plane, value in zip(self.planes, colour, strict=True):
            view = plane[window]
            view += cover * ((value if tone is None else value * tone) - view)

    def pixels(self) -> np.ndarray:
        """Return the pictures as uint8 (N, size, size, channels)."""
        levels = np.clip(self.planes, 0.0, 1.0) * np.float32(255.0) + np.float32(0.5)
        return levels.astype(np.uint8).transpose(3, 1, 2, 0)
