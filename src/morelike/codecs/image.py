"""Pictures: files <-> float tensors (C, H, W) with values from -1 to 1."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from morelike.codecs import _blemishes, _looks, _metrics, _pixels, _sheets, _twins
from morelike.core.codec import Blemish, Item, Look, Metric
from morelike.core.distribution import Bernoulli, DiscretisedLogistic, Distribution, Normal, Point
from morelike.core.errors import DataError, OptionError, unknown
from morelike.core.spec import Spec

COLOURS = ("auto", "grey", "rgb")
FITS = ("crop", "random_crop", "pad", "stretch")
LIKELIHOODS = ("auto", "gaussian", "bernoulli", "logistic", "mse", "point")
LARGER = 1.15  # random crops are cut from pictures stored this much larger
SIZES = (8, 16, 24, 32, 48, 64)  # sizes chosen by `fit` where the pictures differ: they halve well
MSE_SCALE = 0.1  # standard deviation of "mse", on the scale from -1 to 1
_LOOK, _LOOK_CLOSER = 128, 32  # pictures that `fit` measures, and prepares


@dataclass(frozen=True)
class Config:
    """How pictures become tensors.

    size        (height, width); None to measure it: the common size of the pictures up to 64, else one of `SIZES`
    colour      auto | grey | rgb
    fit         crop (the centre) | random_crop (another one in every batch) | pad | stretch
    likelihood  auto | gaussian | bernoulli | logistic | mse | point: the law of a pixel given the network's output
    """

    size: tuple[int, int] | None = None
    colour: str = "auto"
    fit: str = "crop"
    likelihood: str = "auto"

    def __post_init__(self) -> None:
        for kind, name, known in (("colour", self.colour, COLOURS), ("fit", self.fit, FITS),
                                  ("likelihood", self.likelihood, LIKELIHOODS)):  # fmt: skip
            if name not in known:
                raise unknown(kind, name, known)
        if self.size is not None:
            size = (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)
            if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= 4096 for side in size):
                raise OptionError(f"The size is {self.size}", "Height and width from 1 to 4096", "For example 64")
            object.__setattr__(self, "size", size)


class Codec:
    """Pictures <-> tensors of one size and colour.

    Stored as uint8 (C, H, W); encoded as float32 (C, H, W) from -1 to 1; decoded to uint8 (H, W, C). Decoding the
    encoded gives back the stored values exactly.
    """

    natural = "image"
    versions = "resaved, resized, cropped, lighter or darker"
    suffix = ".png"  # of a preview
    disguises = {"mirrored": _twins.mirrored}
    metrics: Sequence[Metric] = _metrics.METRICS

    def __init__(self, config: Config = Config()) -> None:
        self.config = config

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an encoded picture."""
        if self.config.size is None or self.config.colour == "auto":
            raise OptionError("The size and colour are not settled", "A codec that has seen pictures", "Call fit first")
        return (1 if self.config.colour == "grey" else 3, *self.config.size)

    @property
    def said(self) -> str:
        """What was settled by looking at the items, in a sentence."""
        return ""

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on; other settings may change without preparing the pictures again."""
        return ("image", self.shape, self.config.fit)

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec with size, colour and likelihood settled by looking at a sample of the items.

        Raises `DataError` when none of them can be read.
        """
        rows = {round(i * (len(items) - 1) / _LOOK) for i in range(_LOOK + 1)} if len(items) else ()
        sample, config = [items[row] for row in sorted(rows)], self.config
        with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
            warnings.filterwarnings("ignore", module=r"PIL\.")  # damaged pictures are named when they are prepared
            if config.size is None or config.colour == "auto":
                config = _settled(config, list(pool.map(_measured, sample)))
            if config.likelihood == "auto":
                stored = pool.map(partial(_prepared, Codec(config)), sample[:: max(len(sample) // _LOOK_CLOSER, 1)])
                binary = all(bool(((one == 0) | (one == 255)).all()) for one in stored if one is not None)
                config = replace(config, likelihood="bernoulli" if binary else "logistic")
        return Codec(config)

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of an encoded picture, with the head that a family needs."""
        shape = self.shape
        if needs == "rsample":
            return Spec(shape, head_shape=shape, head=_point)
        wide = (2 * shape[0], *shape[1:])
        heads = {"gaussian": (wide, _gaussian), "logistic": (wide, _logistic), "auto": (wide, _logistic),
                 "bernoulli": (shape, Bernoulli), "mse": (shape, _fixed)}  # fmt: skip
        if self.config.likelihood not in heads:
            raise OptionError(
                'The likelihood is "point", which has no density',
                "gaussian, logistic, bernoulli or mse",
                "Choose one of these, or a family such as gan that needs none",
            )
        head_shape, head = heads[self.config.likelihood]
        return Spec(shape, head_shape=head_shape, head=head)

    def prepare(self, item: Item) -> np.ndarray:
        """Read one picture: uint8 (C, H, W), a little larger where it will be cropped for every batch.

        Raises `DataError` or whatever the decoder raises when it cannot be read.
        """
        channels, height, width = self.shape
        loose = self.config.fit == "random_crop"
        size = (math.ceil(height * LARGER), math.ceil(width * LARGER)) if loose else (height, width)
        return _pixels.fitted(item.load(), size, channels == 1, "crop" if loose else self.config.fit)

    def crop(self, stored: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Windows of the encoded size, at random places or in the centre: (B, C, H', W') -> (B, C, H, W)."""
        height, width = self.shape[1:]
        room = stored.shape[2] - height, stored.shape[3] - width
        if room == (0, 0):
            return stored
        if generator is None:
            return stored[:, :, room[0] // 2 : room[0] // 2 + height, room[1] // 2 : room[1] // 2 + width]
        tops, lefts = (torch.randint(0, side + 1, (len(stored),), generator=generator).tolist() for side in room)
        return torch.stack(
            [one[:, y : y + height, x : x + width] for one, y, x in zip(stored, tops, lefts, strict=True)]
        )

    def encode(self, stored: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> float32 (B, C, H, W), v / 127.5 - 1; larger pictures are cropped to their centre."""
        return self.crop(stored).mul(1 / 127.5).sub_(1)

    def decode(self, x: Tensor) -> np.ndarray:
        """float (B, C, H, W) -> uint8 (B, H, W, C), clipped to the range of pictures."""
        pixels = x.detach().float().nan_to_num(0.0).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def sheet(self, items: np.ndarray, columns: int | None = None, scale: int | None = None) -> Image:
        """Pictures uint8 (N, H, W, C) side by side, as one PIL image."""
        return _sheets.sheet(items, columns, scale)

    def html(self, items: np.ndarray) -> list[str]:
        """Pictures uint8 (N, H, W, C) as `<img class="item">` each, with the picture itself inside."""
        return _sheets.html(items)

    def look(self, item: Item) -> Look:
        """Size, light, contrast and sharpness of a raw picture; raises whatever its decoder raises."""
        return _looks.look(item)

    def judge(self, looks: Sequence[Look]) -> list[Blemish]:
        """Pictures that are dark, over-exposed, blurred, empty, of an odd size or shape, or misnamed."""
        return _blemishes.judge(looks, self.shape[1:], self.config.fit)

    def sketch(self, stored: Tensor) -> Tensor:
        """uint8 (B, C, H, W) -> uint8 (B, C, h, w), at most 32 pixels a side."""
        return _twins.sketch(stored)

    def signature(self, sketch: Tensor) -> Tensor:
        """Sketches -> (B, 64 C), less than 1 apart for two versions of one picture."""
        return _twins.signature(sketch)

    def difference(self, a: Tensor, b: Tensor) -> Tensor:
        """Pairs of sketches -> (P,): below 1 for two versions of one picture."""
        return _twins.difference(a, b)

    def write(self, items: np.ndarray, target: Path) -> list[Path]:
        """Write uint8 (N, H, W, C) as a sheet (.png), a film (.gif), an array (.npy, .npz), or a folder of .png.

        Every file appears whole or not at all. Raises `OptionError` for another suffix or a place that is not writable.
        """
        return _sheets.write(items, Path(target))


def _settled(config: Config, seen: Sequence[tuple[tuple[int, int], bool] | None]) -> Config:
    measured = [one for one in seen if one]
    if not measured:
        found = f"None of the {len(seen)} pictures looked at can be read"
        raise DataError(found, "At least two pictures", "Open one of them with another program to see what is wrong")
    colour = "grey" if all(grey for _, grey in measured) else "rgb"
    size = config.size or common_size([size for size, _ in measured])
    return replace(config, size=size, colour=colour if config.colour == "auto" else config.colour)


def common_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The pictures' own size where they share one from 8 to 64, else the largest of `SIZES` that most of them fill."""
    if len(set(sizes)) == 1 and min(sizes[0]) >= SIZES[0] and max(sizes[0]) <= SIZES[-1]:
        return sizes[0]
    short = median(min(size) for size in sizes)
    side = max((one for one in SIZES if one <= short), default=SIZES[0])
    return side, side


def _measured(item: Item) -> tuple[tuple[int, int], bool] | None:
    try:
        return _pixels.measure(item.load())
    except Exception:  # decoders raise anything for broken files, which are named when they are prepared
        return None


def _prepared(codec: Codec, item: Item) -> np.ndarray | None:
    try:
        return codec.prepare(item)
    except Exception:
        return None


def _limited(raw: Tensor, low: float, high: float) -> Tensor:
    """A smooth map onto (low, high) with slope 1 in the middle, so that gradients never vanish as in a clamp."""
    return low + (high - low) * torch.sigmoid(raw * (4 / (high - low)))


def _point(out: Tensor) -> Distribution:
    return Point(torch.tanh(out))


def _gaussian(out: Tensor) -> Distribution:
    loc, raw = out.chunk(2, dim=1)
    return Normal(loc, _limited(raw, -6, 2).exp())


def _logistic(out: Tensor) -> Distribution:
    loc, raw = out.chunk(2, dim=1)
    return DiscretisedLogistic(loc, _limited(raw, -7, 2))


def _fixed(out: Tensor) -> Distribution:
    return Normal(out, torch.full_like(out, MSE_SCALE))


def tiny() -> Codec:
    """A small codec that is ready to use, for tests."""
    return Codec(Config(size=(8, 8), colour="rgb", likelihood="logistic"))
