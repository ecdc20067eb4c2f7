"""What is seen of a raw picture: its size, light, contrast and sharpness, and what its file says of itself."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from morelike.codecs import _pixels
from morelike.core.codec import Item, Look

WORK = 128  # pixels of the longest side at which a picture is measured, so that figures of all sizes compare
_LEAST = 8  # pixels of the shortest side below which sharpness means nothing
_FORMATS = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG",
    ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".pbm": "PPM",
    ".pgm": "PPM", ".ppm": "PPM",
}  # fmt: skip
_ALIASES = {"MPO": "JPEG", "DIB": "BMP"}
_FLAT, _SAME, _INK = 2, 6, 20  # grey levels: within a flat row, between rows of one shade, from black or white


def look(item: Item) -> Look:
    """Measure one picture as it is, before it is prepared; raises whatever its decoder raises.

    width, height  in pixels, as it would be shown
    brightness     mean grey, 0 black to 1 white
    darkest        grey below which 5 % of the pixels lie
    lightest       grey below which 99 % of them lie
    contrast       standard deviation of grey
    burnt          share of pixels that are white, or nearly
    sharpness      mean |Laplacian| / mean |gradient|: what a blur lowers, whatever is on the picture

    Notes: misnamed (the name promises another format), cut_short (the end of a JPEG is one flat grey).
    """
    raw, notes = item.load(), dict[str, str]()
    if isinstance(raw, np.ndarray):
        (height, width), grey = raw.shape[:2], _small(_from_array(raw))
    else:
        with raw:
            (width, height), grey, notes = _opened(raw, item.name)
    return Look({"width": float(width), "height": float(height), **measures(grey)}, notes)


def _from_array(pixels: np.ndarray) -> Image.Image:
    _pixels.refuse_bomb(*pixels.shape[1::-1])
    pixels = _pixels.eight_bits(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    return _pixels.flatten(Image.fromarray(pixels))


def _opened(raw: Image.Image, name: str) -> tuple[tuple[int, int], np.ndarray, dict[str, str]]:
    """Size as shown, grey values at the working size, and notes, of a picture file."""
    _pixels.refuse_bomb(*raw.size)
    size, kind = (raw.size[::-1] if _pixels.turns(raw) else raw.size), _ALIASES.get(raw.format or "", raw.format or "")
    expected = _FORMATS.get(os.path.splitext(name)[1].lower(), "")
    notes = {"misnamed": f"a {kind} file"} if kind and os.path.splitext(name)[1] and expected != kind else {}
    raw.draft("L", (WORK, WORK))  # of JPEG files: the grey alone, at a reduced scale
    raw.load()
    grey = _small(_pixels.flatten(raw))
    if kind == "JPEG" and (share := _tail(grey)) >= 0.05:
        notes["cut_short"] = f"the lowest {100 * share:.0f} % is one flat grey"
    return size, grey, notes


def _small(picture: Image.Image) -> np.ndarray:
    """Grey values at the working size: uint8 (h, w), at most `WORK` pixels a side."""
    picture = picture if picture.mode == "L" else picture.convert("L")
    shrink = max(picture.size) / WORK
    if shrink > 1:
        size = max(1, round(picture.width / shrink)), max(1, round(picture.height / shrink))
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.asarray(picture)


def measures(grey: np.ndarray) -> dict[str, float]:
    """The figures of `look` from grey values uint8 (h, w)."""
    share = np.cumsum(np.bincount(grey.reshape(-1), minlength=256)) / grey.size
    return {
        "brightness": float(grey.mean()) / 255,
        "darkest": int(np.searchsorted(share, 0.05)) / 255,
        "lightest": int(np.searchsorted(share, 0.99)) / 255,
        "contrast": float(grey.std()) / 255,
        "burnt": float(1 - share[249]),
        "sharpness": sharpness(grey),
    }


def sharpness(grey: np.ndarray) -> float:
    """mean |Laplacian| / mean |gradient| of grey values (h, w); nan where there is too little to tell.

    A blur of standard deviation s lowers it like 1/s; where there are few edges both means fall alike.
    """
    if min(grey.shape) < _LEAST:
        return float("nan")
    y = grey.astype(np.float32)
    across, down = y[1:-1, 2:] - y[1:-1, 1:-1], y[2:, 1:-1] - y[1:-1, 1:-1]
    slope = float(np.sqrt(across * across + down * down).mean())
    bend = float(np.abs(4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]).mean())
    return bend / slope if slope > 0.1 else float("nan")


def _tail(grey: np.ndarray) -> float:
    """Share of the height at the bottom that is one flat grey, as where the end of a JPEG is missing; 0 for a border.

    A decoder fills what is missing with grey. Black or white below, or the same shade above, is how people frame
    pictures.
    """
    y = grey.astype(np.int16)
    flat = np.ptp(y, axis=1) <= _FLAT
    flat &= np.abs(y[:, 0] - y[-1, 0]) <= _FLAT
    count = len(flat) if flat.all() else int(np.argmin(flat[::-1]))
    shade = int(y[-1, 0])
    framed = np.ptp(y[0]) <= _FLAT and abs(int(y[0, 0]) - shade) <= _SAME
    return 0.0 if count == len(flat) or framed or not _INK <= shade <= 255 - _INK else count / len(flat)
