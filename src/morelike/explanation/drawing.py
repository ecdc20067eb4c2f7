"""Sheets with words beside their rows and above their columns, and maps laid over pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT, PAD = 13, 8  # pixels: size of the letters, and the room around them
INK, SOFT, PAPER = (29, 33, 38), (91, 100, 112), (255, 255, 255)
WARM = np.array([214, 64, 24], np.float32)  # where a map is high


def labelled(sheet: Image.Image, rows: Sequence[str], columns: Sequence[str] = ()) -> Image.Image:
    """A sheet of equal rows and columns with words to the left of each row, and above each column if given.

    The first line of a row's words is dark, the others are softer. Rows grow where the words need more room than the
    pictures.
    """
    font = ImageFont.load_default(TEXT)
    lines = max(row.count("\n") + 1 for row in rows)
    high, need = sheet.height / len(rows), lines * (TEXT + 3) + 4
    wide = max(int(font.getlength(line)) for row in rows for line in row.split("\n")) + 2 * PAD
    top, step = (TEXT + PAD if columns else 0), max(high, need)
    board = Image.new("RGB", (wide + sheet.width, round(top + step * len(rows))), PAPER)
    pen = ImageDraw.Draw(board)
    for i, row in enumerate(rows):
        y = top + step * i
        strip = sheet.crop((0, round(high * i), sheet.width, round(high * (i + 1))))
        board.paste(strip, (wide, round(y + (step - high) / 2)))
        first = y + (step - lines * (TEXT + 3)) / 2
        for n, line in enumerate(row.split("\n")):
            pen.text((PAD, first + n * (TEXT + 3)), line, fill=SOFT if n else INK, font=font)
    for j, column in enumerate(columns):
        middle = wide + (j + 0.5) * sheet.width / len(columns)
        pen.text((middle, top / 2), column, fill=SOFT, font=font, anchor="mm")
    return board


def overlay(pictures: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Pictures uint8 (N, H, W, C) with maps (N, h, w) laid over them in red: uint8 (N, H, W, 3).

    Each map is stretched from 1 (nothing is drawn) to its own highest value or 2, whichever is more (red), and smoothly
    enlarged to the picture; the picture itself is paled, so that the red can be told from its colours.
    """
    drawn = []
    for picture, map_ in zip(pictures, maps, strict=True):
        excess = np.maximum(map_ - 1, 0)
        excess = excess / max(float(excess.max()), 1.0)
        size = picture.shape[1], picture.shape[0]
        heat = np.array(Image.fromarray(excess.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        grey = np.broadcast_to(picture.mean(2, keepdims=True), (*picture.shape[:2], 3)) * 0.7 + 70
        mixed = grey + (WARM - grey) * (0.85 * heat[..., None])
        drawn.append(mixed.round().clip(0, 255).astype(np.uint8))
    return np.stack(drawn)
