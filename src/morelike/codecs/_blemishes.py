"""What is wrong with some pictures of a set, by their looks: too dark, too bright, blurred, empty, of an odd size.

A picture is faulty when it is beyond an absolute bound and also far from the others of its set. So a set that is dark
or soft by nature, such as sketches in white on black, is not faulty as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from morelike.core.codec import Blemish, Look

FAR = 4.5  # robust standard deviations from the median, on a logarithmic scale, beyond which a picture is odd
LEAST_SPREAD = 0.03  # of the logarithm: pictures that differ by less than FAR of these are alike in any set
DARK = 0.38  # of white: the lightest parts of a dark picture are below
WASHED, WHITE, BURNT = 0.7, 0.9, 0.6  # a bright one: darkest parts above; or brightness and share of white above
SOFT = 1.1  # sharpness of a blurred one
EMPTY = 0.012  # contrast of an empty one: three grey levels of 255
ENLARGED, HUGE = 1.5, 10.0  # times that a small one is enlarged; times the typical side of a huge one
LEFT, LESS = 0.5, 0.6  # share of an odd-shaped one that the crop leaves, and that over what it leaves of most
MANY = 0.01  # share of the set from which a fault matters for the whole model


@dataclass(frozen=True)
class Fault:
    """A kind of fault in words; {share} becomes how often the model will show it."""

    kind: str
    one: str
    many: str
    consequence: str
    action: str
    grave: bool = True


CUT = Fault("cut_short", "seems cut short", "seem cut short", "The model will draw the flat part too: {share}.",
            "Copy or download them again.")  # fmt: skip
DARKNESS = Fault("dark", "is dark", "are dark", "The model will draw dark pictures too: {share}.",
                 "Brighten them, or take them out.")  # fmt: skip
GLARE = Fault("bright", "is over-exposed", "are over-exposed",
              "The model will draw washed-out pictures too: {share}.", "Darken them, or take them out.")  # fmt: skip
BLUR = Fault("blurred", "is blurred", "are blurred",
             "The model learns blur as one of its styles: {share} will be soft.", "Take them out.")  # fmt: skip
VOID = Fault("low_information", "shows next to nothing", "show next to nothing",
             "The model will draw empty pictures too: {share}.", "Take them out.")  # fmt: skip
SMALL = Fault("too_small", "is too small", "are too small",
              "Enlarged, they are soft, and the model learns that: {share}.",
              "Put larger versions in their place, or train at a smaller size: --image {side}.")  # fmt: skip
LARGE = Fault("too_large", "is far larger than the others", "are far larger than the others",
              "None for the model, since all are brought to one size; they may come from another place.",
              "Look at whether they belong here.", grave=False)  # fmt: skip
SHAPE = Fault("odd_aspect", "has an odd shape", "have an odd shape",
              "The model sees only a part of them, perhaps without what matters.",
              "Crop them yourself, or show them whole: --set fit=pad.")  # fmt: skip
NAME = Fault("misnamed", "is not what its name says", "are not what their names say",
             "None for the model: files are read by what is in them. Other programs may stumble.",
             "Rename them.", grave=False)  # fmt: skip


def judge(looks: Sequence[Look], size: tuple[int, int], fit: str) -> list[Blemish]:
    """What is wrong with which pictures; rows count the looks.

    size  height and width to which they are prepared
    fit   crop, random_crop, pad or stretch
    """
    if not looks:
        return []
    field = {name: np.array([one.measures[name] for one in looks]) for name in looks[0].measures}
    return [*noted(looks, CUT), *light(field), *sizes(field, size), *shapes(field, size, fit), *noted(looks, NAME)]


def strays(values: np.ndarray, far: float = FAR) -> np.ndarray:
    """Which values are far below the median: log v < median - far * sd, bool (N,).

    The standard deviation is that of the quantile at 20 %, (q50 - q20) / 0.842, so that it holds until a fifth of the
    values are faulty. Values that are not finite are not far.
    """
    logs = np.log(np.maximum(values, 1e-3))
    known = logs[np.isfinite(logs)]
    if not len(known):
        return np.zeros(len(values), bool)
    middle, near = np.quantile(known, [0.5, 0.2])
    return np.isfinite(logs) & (logs < middle - far * max((middle - near) / 0.842, LEAST_SPREAD))


def light(field: Mapping[str, np.ndarray]) -> Iterator[Blemish]:
    """Pictures that are much darker, brighter, softer or emptier than the others."""
    lightest, brightness, sharpness = field["lightest"], field["brightness"], field["sharpness"]
    empty = field["contrast"] < EMPTY
    dark = (lightest < DARK) & strays(lightest)
    washed = (field["darkest"] > WASHED) & strays(1 - field["darkest"])
    burnt = (brightness > WHITE) & (field["burnt"] > BURNT) & strays(1 - brightness)
    soft = (sharpness < SOFT) & strays(sharpness) & ~empty
    yield from told(DARKNESS, dark, f"Their lightest parts reach {span(lightest, dark)} (1 is white).")
    yield from told(GLARE, (washed | burnt) & ~dark, f"Brightness {span(brightness, (washed | burnt) & ~dark)}.")
    yield from told(BLUR, soft, f"Sharpness {span(sharpness, soft)}.")
    yield from told(VOID, empty & ~(empty.mean() > 0.5), f"Contrast {span(field['contrast'], empty)}.")


def sizes(field: Mapping[str, np.ndarray], size: tuple[int, int]) -> Iterator[Blemish]:
    """Pictures that have to be enlarged, and those that are far larger than the others."""
    enlarged = np.maximum(size[0] / field["height"], size[1] / field["width"])
    small, side = enlarged >= ENLARGED, np.sqrt(field["width"] * field["height"])
    least = int(np.minimum(field["width"], field["height"]).min())
    words = f"Enlarged {enlarged[small].max():.1f} times at most, to {size[1]} x {size[0]}." if small.any() else ""
    yield from told(SMALL, small, words, side=max(8, least))
    huge = side > HUGE * np.median(side)
    words = f"{side[huge].max():,.0f} pixels a side at most, typically {np.median(side):,.0f}." if huge.any() else ""
    yield from told(LARGE, huge, words)


def shapes(field: Mapping[str, np.ndarray], size: tuple[int, int], fit: str) -> Iterator[Blemish]:
    """Pictures of which the crop leaves little, unlike of the others."""
    ratio = (field["width"] / field["height"]) / (size[1] / size[0])
    left = np.minimum(ratio, 1 / ratio)  # share of the picture that the largest window of the right shape holds
    odd = (left < LEFT) & (left < LESS * np.median(left)) & (fit != "pad")
    words = f"{100 * left[odd].min():.0f} % of one is left, usually {100 * np.median(left):.0f} %." if odd.any() else ""
    yield from told(SHAPE, odd, words)


def noted(looks: Sequence[Look], fault: Fault) -> Iterator[Blemish]:
    """Pictures with a note of this kind, with what the first one says."""
    faulty = np.array([fault.kind in one.notes for one in looks])
    said = next((one.notes[fault.kind] for one in looks if fault.kind in one.notes), "")
    yield from told(fault, faulty, f"The first: {said}.")


def told(fault: Fault, faulty: np.ndarray, evidence: str, **words: object) -> Iterator[Blemish]:
    """The fault of the faulty ones (N,) bool, if there are any."""
    rows = np.flatnonzero(faulty)
    if not len(rows):
        return
    count, total = len(rows), len(faulty)
    share = "most of them" if 2 * count > total else f"about 1 in {round(total / count):,}"
    title = f"1 picture {fault.one}" if count == 1 else f"{count:,} pictures {fault.many}"
    severity: Literal["warn", "note"] = "warn" if fault.grave and count >= MANY * total else "note"
    yield Blemish(
        fault.kind, severity, title, tuple(rows.tolist()), evidence, fault.consequence.format(share=share),
        fault.action.format(**words), "They are trained on as they are.",
    )  # fmt: skip


def span(values: np.ndarray, faulty: np.ndarray) -> str:
    """From the smallest to the largest of the faulty ones, beside the median of all."""
    if not faulty.any():
        return ""
    low, high, middle = f"{values[faulty].min():.2f}", f"{values[faulty].max():.2f}", f"{np.nanmedian(values):.2f}"
    return f"{low if low == high else f'{low} to {high}'}, where the median is {middle}"
