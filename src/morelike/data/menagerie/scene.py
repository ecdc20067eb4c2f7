"""What all animals share: the colours of one animal, the setting, eyes, mouths, whiskers and markings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from morelike.data.menagerie.canvas import Canvas, Frame
from morelike.data.menagerie.shapes import Almond, Arc, Bar, Ellipse, Rows, Shape
from morelike.data.menagerie.world import COLLARS, EYE_COLOURS, LUMA, Factors, at_lightness

SIDES = (-1.0, 1.0)  # left and right in the picture; EARS[1:] and SIDES are in the same order
WHITE, INK, PINK, BRASS = (0.99, 0.97, 0.94), (0.09, 0.07, 0.09), (0.93, 0.58, 0.60), (0.97, 0.83, 0.35)

FOREHEAD = ((-0.24, 0.15), (0.0, 0.24), (0.24, 0.15))  # stripes: where, half as long as
DOTS = ((-0.78, -0.72), (0.0, -0.86), (0.78, -0.72), (-0.84, 0.0), (0.84, 0.0), (-0.78, 0.72), (0.78, 0.72))


@dataclass(frozen=True, eq=False)
class Coat:
    """The colours of N animals, each (channels, N): one channel of luma in grey, red, green and blue in colour."""

    fur: np.ndarray
    marking: np.ndarray  # stripes, patches, a dog's ears
    pale: np.ndarray  # muzzle, chest, blaze
    pink: np.ndarray  # inside of ears, tongue, cheeks
    line: np.ndarray  # closed eyes: dark on light fur, light on dark fur
    whisker: np.ndarray
    iris: np.ndarray
    collar: np.ndarray
    nose: np.ndarray
    brass: np.ndarray
    white: np.ndarray
    ink: np.ndarray
    rim: np.ndarray  # (N,) relative change of a colour towards its outline
    socket: np.ndarray  # (N,) the same for eyes, which must stand out from dark fur

    def patched(self, f: Factors, side: float) -> np.ndarray:
        """Return the colour of the ear on one side: that of the patch if there is one."""
        return np.where((f.pattern == 3) & (side > 0), self.marking, self.fur)


def tones(rgb: np.ndarray | tuple[float, ...], channels: int, n: int) -> np.ndarray:
    """Return colours (N, 3) or (3,) as (channels, N) float32."""
    rows = np.broadcast_to(np.asarray(rgb), (n, 3))
    return np.ascontiguousarray((rows @ LUMA)[None] if channels == 1 else rows.T, dtype=np.float32)


def coat(f: Factors, channels: int) -> Coat:
    """Return the colours that follow from the factors."""
    fur, luma = f.fur_rgb, f.fur_rgb @ LUMA
    dark = luma < 0.3
    is_dark = dark[:, None]
    pink = np.array(PINK) * np.where(is_dark, 0.80, 0.96)
    colours = {
        "fur": fur,
        "marking": at_lightness(fur, np.where(dark, luma + 0.20, luma * 0.60)),
        "pale": fur + (np.array(WHITE) - fur) * np.where(is_dark, 0.62, 0.78),
        "pink": pink,
        "nose": pink * 0.8,
        "line": np.where(is_dark, (0.80, 0.76, 0.70), INK),
        "whisker": np.where((luma < 0.55)[:, None], (0.97, 0.95, 0.92), (0.20, 0.17, 0.18)),
        "iris": np.array(list(EYE_COLOURS.values()))[f.eye_colour],
        "collar": np.array(list(COLLARS.values()))[f.collar],
        "brass": BRASS, "white": WHITE, "ink": INK,
    }  # fmt: skip
    return Coat(
        **{name: tones(colour, channels, len(f)) for name, colour in colours.items()},
        rim=np.where(dark, 0.55, -0.30),
        socket=np.where(dark, -0.15, -0.75),
    )


class Scene:
    """N animals of one species on a canvas: their factors, colours, and the frames of head and body."""

    def __init__(self, f: Factors, size: int, channels: int, usual: tuple[float, float]) -> None:
        """`usual`: half the width of a head, and its centre's height, in half pictures."""
        self.f, self.coat, self.canvas = f, coat(f, channels), Canvas(len(f), size, channels)
        half, zero = size / 2.0, np.zeros(len(f))
        self.picture = Frame(zero + half, zero + half, zero, zero + half)
        self.body = self.picture.at(f.x, f.y + usual[1], 0.0, usual[0] * f.scale)
        self.head = self.body.at(0.0, 0.0, f.head_tilt)
        self.lit = (0.18 * f.light).astype(np.float32)

    def round(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Shade a solid: lighter on the lit side and above, darker towards the outline below."""
        tone = p * self.lit
        tone += 1.04
        tone -= (q * np.float32(0.08) + np.float32(0.07)) * (q + 1.0)
        return tone

    def furry(self, frame: Frame, shape: Shape, colour: np.ndarray, opacity: Rows = 1.0, stencil: bool = False) -> None:
        """Paint a solid with fur: shaded round, with a rim that sets it off from what is behind."""
        self.canvas.paint(frame, shape, colour, opacity=opacity, shade=self.round, rim=self.coat.rim, stencil=stencil)

    def setting(self) -> None:
        """Paint the background: a gradient, with a glow, a hill or dots on it."""
        f, canvas, size = self.f, self.canvas, self.canvas.size
        luma, fur = f.background_rgb @ LUMA, f.fur_rgb @ LUMA
        paler = np.where(luma > fur, luma < 0.87, luma < fur - 0.36)  # keep what stands on it visible
        step = np.where(paler, 0.12, -0.10)
        channels = len(canvas.planes)
        base = tones(f.background_rgb, channels, len(f))
        other = tones(at_lightness(f.background_rgb, luma + step), channels, len(f))
        fall = np.linspace(1.05, 0.93, size, dtype=np.float32)[:, None, None]
        canvas.planes[:] = base[:, None, None, :] * fall
        is_kind = [(f.background == kind).astype(float) for kind in range(4)]
        canvas.glow(self.picture.at(0.0, -0.1), Ellipse(1.3, 1.3), other, 2.0 * is_kind[1])
        canvas.paint(self.picture.at(0.25, 1.35), Ellipse(1.9, 0.95), other, opacity=is_kind[2])
        if is_kind[3].any():
            for x, y in DOTS:
                canvas.paint(self.picture.at(x, y), Ellipse(0.13, 0.13), other, opacity=is_kind[3])

    def shoulders(self, a: float, b: float, y: float) -> None:
        """Paint the body below the head, its pale chest, and the collar with its bell."""
        coat, canvas, chest = self.coat, self.canvas, self.body.at(0.0, y)
        self.furry(chest, Ellipse(a, b, 0.15), coat.fur * np.float32(0.90), stencil=True)
        canvas.glow(chest.at(0.0, 0.1), Ellipse(a * 0.75, b * 1.2), coat.pale, 1.3, inside=True)
        worn = (self.f.collar > 0).astype(float)
        top = y - b
        canvas.paint(self.body.at(0.0, top - 0.32), Arc(0.72, 0.085), coat.collar, opacity=worn, inside=True)
        bell = self.body.at(0.0, top + 0.45)
        canvas.paint(bell, Ellipse(0.13, 0.13), coat.brass, opacity=worn, rim=-0.4)

    def eyes(
        self, place: tuple[float, float], shape: Ellipse | Almond, slant: float, pupil: tuple[float, float]
    ) -> None:
        """Paint both eyes: iris, pupil and light; half-closed by a lid; or closed and smiling."""
        f, coat, canvas = self.f, self.coat, self.canvas
        a, b = (shape.b, shape.a) if isinstance(shape, Almond) else (shape.a, shape.b)
        shown, sleepy, closed = (f.eye_kind != 2) * 1.0, (f.eye_kind == 1) * 1.0, (f.eye_kind == 2) * 1.0
        for side in SIDES:
            eye = self.head.at(side * place[0], place[1], side * slant, f.eye_size)
            lying = eye.at(0.0, 0.0, np.pi / 2) if isinstance(shape, Almond) else eye
            canvas.paint(lying, shape, coat.iris, opacity=shown, rim=coat.socket)
            look = eye.at(f.gaze * (a - pupil[0]) * 0.75, 0.0, -side * slant)
            canvas.paint(look, Ellipse(*pupil), coat.ink, opacity=shown)
            canvas.paint(look.at(-0.3 * pupil[0], -0.42 * b), Ellipse(0.24 * b, 0.24 * b), coat.white, opacity=shown)
            canvas.paint(look.at(0.4 * pupil[0], 0.4 * b), Ellipse(0.12 * b, 0.12 * b), coat.white, opacity=shown * 0.8)
            lid = eye.at(0.0, -0.70 * b), Ellipse(a * 1.12, b * 0.75)
            canvas.paint(*lid, coat.fur * np.float32(0.94), opacity=sleepy, rim=coat.rim)
            canvas.paint(eye.at(0.0, 0.35 * b, np.pi - side * slant), Arc(a * 0.8, 0.05), coat.line, opacity=closed)

    def smile(self, y: float, radius: float, opacity: Rows = 1.0) -> None:
        """Paint the two arcs of a mouth below the nose."""
        for side in SIDES:
            self.canvas.paint(self.head.at(side * radius, y), Arc(radius, 0.035), self.coat.ink, opacity=opacity)

    def whiskers(self, place: tuple[float, float], length: float, opacity: float = 0.95) -> None:
        """Paint three whiskers on each side; `length` is the usual one of the species."""
        half = 0.5 * length * np.maximum(self.f.whiskers, 0.1)
        for side in SIDES:
            for spread in (-0.22, 0.0, 0.22):
                start = self.head.at(side * place[0], place[1] + 0.4 * spread, side * spread)
                self.canvas.paint(start.at(side * half, 0.0), Bar(half, 0.022), self.coat.whisker,
                                  opacity=opacity * (self.f.whiskers > 0))  # fmt: skip

    def markings(self, eye: tuple[float, float]) -> None:
        """Paint the pattern of the fur inside the head: a blaze, stripes, or a patch over the right eye."""
        f, coat, canvas, head = self.f, self.coat, self.canvas, self.head
        blaze, stripes, patch = ((f.pattern == k) * 1.0 for k in (1, 2, 3))
        canvas.paint(head.at(0.0, -0.25), Ellipse(0.17, 0.75, 0.3), coat.pale, opacity=blaze, inside=True)
        around = head.at(eye[0] + 0.05, eye[1] - 0.02, 0.3)
        canvas.paint(around, Ellipse(0.36, 0.42), coat.marking, opacity=patch, inside=True)
        bars = [(head.at(x, -0.68 + long / 3, np.pi / 2), Bar(long, 0.055)) for x, long in FOREHEAD]
        bars += [(head.at(side * 0.92, y, side * -0.2), Bar(0.14, 0.05)) for side in SIDES for y in (0.08, 0.32)]
        for place, bar in bars:
            canvas.paint(place, bar, coat.marking, opacity=stripes, inside=True)
