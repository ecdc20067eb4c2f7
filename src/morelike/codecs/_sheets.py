"""Pictures to files: sheets, films, arrays, one file each; every file appears whole or not at all."""

from __future__ import annotations

import base64
import io
import math
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from morelike.core.errors import OptionError

_GAP = 2  # pixels between the pictures of a sheet
_TILE = 80  # a picture smaller than this is magnified by a whole number
_THUMBNAIL = 160  # a picture larger than this is made smaller on a page
_SECONDS = 0.25  # each frame of a film


def sheet(items: np.ndarray, columns: int | None = None, scale: int | None = None) -> Image.Image:
    """Pictures uint8 (N, H, W, C), C = 1 or 3, in rows; a single one is given back at its own size.

    columns  pictures in a row; None for about as many rows as columns
    scale    whole-number magnification; None to make small pictures easy to see
    """
    items = _checked(items)
    count, height, width = items.shape[:3]
    if count == 1:
        return _picture(items[0], scale or 1)
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    scale = scale or max(1, round(_TILE / max(height, width)))
    tiles = items.repeat(scale, 1).repeat(scale, 2)
    high, wide = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    board = np.full((math.ceil(count / columns) * high + _GAP, columns * wide + _GAP, items.shape[3]), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * high + _GAP, i % columns * wide + _GAP
        board[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return _picture(board)


def html(items: np.ndarray) -> list[str]:
    """Pictures uint8 (N, H, W, C) as one `<img class="item">` each, large ones made smaller, small ones shown larger.

    The class `small` asks for crisp pixels.
    """
    fragments = []
    for pixels in _checked(items) if len(items) else ():
        picture = _picture(pixels)
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        scale, kind = max(1, round(_TILE / max(picture.size))), "item small" if max(picture.size) < _TILE else "item"
        data = base64.b64encode(_encoded(picture, "PNG")).decode()
        size = f'width="{scale * picture.width}" height="{scale * picture.height}"'
        fragments.append(f'<img class="{kind}" {size} alt="" src="data:image/png;base64,{data}">')
    return fragments


def write(items: np.ndarray, target: Path) -> list[Path]:
    """Write pictures uint8 (N, H, W, C) in the way that the target's suffix tells; returns the files written."""
    items, suffix = _checked(items), target.suffix.lower()
    if not suffix or target.is_dir():
        files = [target / f"{i:05d}.png" for i in range(len(items))]
        for file, item in zip(files, items, strict=True):
            _save(file, _encoded(_picture(item), "PNG"))
        return files
    if suffix not in (".png", ".gif", ".npy", ".npz"):
        raise OptionError(
            f'Pictures cannot be written as "{target.name}"',
            "A name that ends in .png, .gif, .npy or .npz, or a folder",
            "Choose one of these",
        )
    _save(target, _contents(items, suffix))
    return [target]


def _contents(items: np.ndarray, suffix: str) -> bytes:
    if suffix == ".png":
        return _encoded(sheet(items), "PNG")
    if suffix == ".gif":
        scale = max(1, round(_TILE / max(items.shape[1:3])))
        first, *rest = (_picture(item, scale) for item in items)
        return _encoded(first, "GIF", save_all=True, append_images=rest, duration=int(_SECONDS * 1000), loop=0)
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, items, allow_pickle=False)
    else:
        np.savez_compressed(buffer, x=items)
    return buffer.getvalue()


def _checked(items: np.ndarray) -> np.ndarray:
    items = np.asarray(items)
    items = items[..., None] if items.ndim == 3 else items
    if items.ndim != 4 or items.dtype != np.uint8 or items.shape[3] not in (1, 3) or not len(items):
        raise OptionError(
            f"The pictures have shape {items.shape} and type {items.dtype}",
            "At least one picture, uint8 (N, H, W, 1) or (N, H, W, 3)",
            "Decode them with the codec first",
        )
    return items


def _picture(pixels: np.ndarray, scale: int = 1) -> Image.Image:
    pixels = pixels.repeat(scale, 0).repeat(scale, 1) if scale > 1 else pixels
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _save(path: Path, data: bytes) -> None:
    """Write beside the target and rename, so that whoever looks sees the old file or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise OptionError(
            f"{path} cannot be written: {error.strerror}",
            "A place with room that you may write to",
            "Free some space or choose another --out",
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
