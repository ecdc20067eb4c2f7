"""From pictures of any kind to uint8 arrays of one size and colour."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from morelike.core.errors import DataError

MOST_PIXELS = 64_000_000  # a larger picture is refused by its header, before it is decoded
_MARGIN = 2  # JPEG may be decoded at a reduced scale, but no closer than this to the size wanted
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_UPRIGHT = {  # value of the EXIF tag -> what makes the picture stand upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def refuse_bomb(width: int, height: int) -> None:
    """Raise `DataError` for a picture too large to be decoded safely."""
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{width:,} x {height:,} pixels", f"at most {MOST_PIXELS // 10**6} megapixels", "Make it smaller"
        )


def measure(raw: Any) -> tuple[tuple[int, int], bool]:
    """Height and width of a picture as it would be shown, and whether it is grey; decodes at a reduced scale."""
    if isinstance(raw, np.ndarray):
        return raw.shape[:2], raw.ndim == 2 or raw.shape[2] == 1 or _is_grey(raw[..., :3])
    with raw:
        refuse_bomb(*raw.size)
        size = raw.size if turns(raw) else raw.size[::-1]
        if raw.mode in ("1", "L", "LA", "La") or raw.mode.startswith(("I", "F")):
            return size, True
        raw.draft("RGB", (64, 64))
        small = flatten(raw)
        return size, small.mode == "L" or _is_grey(np.asarray(small))


def _is_grey(pixels: np.ndarray) -> bool:
    # JPEG and resizing leave differences of one or two between the channels of a grey picture
    return bool((np.ptp(pixels, axis=2) <= 3).all())


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block must not cost the picture
        return 1


def turns(image: Image.Image) -> bool:
    """Whether width and height change places when the picture is shown; a TIFF has them changed already."""
    return image.format != "TIFF" and _orientation(image) in _TURNED


def flatten(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB, 8 bits, with whatever is transparent shown on white."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Integers or floats of a picture file as uint8: 0..1, 0..255 and 0..65535 are told apart by the largest value."""
    if pixels.dtype == np.uint8:
        return pixels
    top = float(pixels.max(initial=0))
    if (pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2) or top > 255:
        return np.clip(np.rint(pixels / 257), 0, 255).astype(np.uint8)
    scale = 255 if pixels.dtype.kind == "f" and top <= 1 else 1
    return np.clip(np.rint(np.nan_to_num(pixels) * scale), 0, 255).astype(np.uint8)


def fitted(raw: Any, size: tuple[int, int], grey: bool, fit: str) -> np.ndarray:
    """The picture as uint8 (C, *size); fit is crop (the centre), pad or stretch."""
    if isinstance(raw, np.ndarray):
        pixels = eight_bits(raw)
        pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
        refuse_bomb(*pixels.shape[1::-1])
        if pixels.shape[:2] == size and (pixels.ndim == 2 and grey or pixels.shape[2:] == (3,) and not grey):
            return planes(pixels)
        return _fit(flatten(Image.fromarray(pixels)), size, grey, fit)
    with raw:
        refuse_bomb(*raw.size)
        _reduce(raw, size[::-1] if turns(raw) else size, grey, fit)
        raw.load()
        turn = _UPRIGHT.get(_orientation(raw))  # read after decoding: Pillow has turned a TIFF then and dropped the tag
        image = flatten(raw)
        return _fit(image if turn is None else image.transpose(turn), size, grey, fit)


def planes(pixels: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _reduce(image: Image.Image, size: tuple[int, int], grey: bool, fit: str) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its scale where that is enough; other formats ignore it."""
    width, height = image.size
    ratios = (size[1] / width, size[0] / height)
    ratio = (min if fit == "pad" else max)(ratios) * _MARGIN
    if ratio < 1:
        image.draft("L" if grey else None, (math.ceil(width * ratio), math.ceil(height * ratio)))


def _fit(image: Image.Image, size: tuple[int, int], grey: bool, fit: str) -> np.ndarray:
    mode = "L" if grey else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    (height, width), (w, h) = size, image.size
    if fit == "pad":
        ratio = min(width / w, height / h)
        inner = max(1, round(w * ratio)), max(1, round(h * ratio))
        canvas = Image.new(mode, (width, height), _border(image))
        canvas.paste(_resize(image, inner, (0, 0, w, h)), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return planes(np.asarray(canvas))
    ratio = min(w / width, h / height)
    wide, high = (w, h) if fit == "stretch" else (width * ratio, height * ratio)
    box = ((w - wide) / 2, (h - high) / 2, (w + wide) / 2, (h + high) / 2)
    return planes(np.asarray(_resize(image, (width, height), box)))


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    if size == image.size and box == (0, 0, *size):
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _border(image: Image.Image) -> Any:
    """The median colour along the border, with which padding shows least."""
    pixels = np.asarray(image)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    middle = np.median(edge, axis=0).astype(int)
    return tuple(middle.tolist()) if middle.ndim else int(middle)
