"""What there is to know about each animal of the menagerie: its true factors, drawn from a seed.

Every factor is a pure function of (seed, item, column): item 17 is the same animal however many are asked for. All
factors are independent of each other, with one exception: the background keeps away from the lightness of the fur, so
that no animal vanishes into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from morelike.core.errors import OptionError, unknown

SPECIES = ("cat", "dog", "rabbit")
PATTERNS = ("plain", "blaze", "stripes", "patch")
EARS = ("even", "left", "right")
EYES = ("open", "sleepy", "closed")
EYE_COLOURS = {"amber": (0.93, 0.66, 0.20), "green": (0.52, 0.76, 0.38), "blue": (0.48, 0.72, 0.93)}
COLLARS = {"none": (0.0, 0.0, 0.0), "red": (0.82, 0.17, 0.20), "blue": (0.16, 0.33, 0.72), "yellow": (0.96, 0.80, 0.25)}
BACKGROUNDS = ("plain", "glow", "hill", "dots")
FURS = {
    "white": (0.94, 0.93, 0.91), "cream": (0.91, 0.80, 0.62), "golden": (0.84, 0.64, 0.33),
    "ginger": (0.86, 0.50, 0.20), "brown": (0.53, 0.36, 0.24), "chocolate": (0.34, 0.22, 0.17),
    "grey": (0.58, 0.60, 0.64), "black": (0.16, 0.15, 0.18),
}  # fmt: skip
HUES = {
    "blue": (0.36, 0.60, 0.88), "green": (0.44, 0.72, 0.44), "pink": (0.93, 0.55, 0.62),
    "yellow": (0.95, 0.80, 0.36), "purple": (0.60, 0.48, 0.84), "teal": (0.26, 0.66, 0.66),
}  # fmt: skip
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: the grey picture is this mixture of the colour one
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, the step of SplitMix64
DARKEST, LIGHTEST = 0.15, 0.94  # of the background
CONTRAST = 0.26  # least distance in lightness between fur and background


@dataclass(frozen=True, eq=False)
class Factors:
    """The true factors of N animals, one array of length N each (colours: (N, 3) red, green, blue in 0..1).

    Left and right are those of the picture. "Head" as a unit is half the width of the animal's own head.
    """

    species: np.ndarray  # 0..2: SPECIES
    fur: np.ndarray  # 0..7: FURS
    fur_rgb: np.ndarray  # (N, 3): the named colour, each channel up to 0.04 off
    pattern: np.ndarray  # 0..3: PATTERNS
    ear_length: np.ndarray  # 0.75..1.25 of what is usual in the species
    ear_tilt: np.ndarray  # -0.25..0.25 radians, both ears; positive: outwards
    ear_droop: np.ndarray  # 0..2: EARS; the ear that a cat turns aside, a dog pricks up, a rabbit folds
    eye_kind: np.ndarray  # 0..2: EYES
    eye_size: np.ndarray  # 0.8..1.2 of what is usual in the species
    eye_colour: np.ndarray  # 0..2: EYE_COLOURS
    gaze: np.ndarray  # -1..1: looks to the left .. to the right
    mouth: np.ndarray  # 0 closed, 1 open: tongue of cats and dogs, long teeth of rabbits
    whiskers: np.ndarray  # 0 (none) or 0.6..1.1 heads long
    collar: np.ndarray  # 0..3: COLLARS
    head_tilt: np.ndarray  # -0.35..0.35 radians; positive: clockwise
    x: np.ndarray  # -0.12..0.12 picture widths/2 from the usual place; positive: right
    y: np.ndarray  # -0.08..0.08 picture heights/2; positive: down
    scale: np.ndarray  # 0.85..1.15 of the usual size
    light: np.ndarray  # -1..1: lit from the left .. from the right
    background: np.ndarray  # 0..3: BACKGROUNDS
    background_hue: np.ndarray  # 0..5: HUES
    background_rgb: np.ndarray  # (N, 3): the hue at a lightness at least 0.26 from the fur's

    def __len__(self) -> int:
        return len(self.species)

    def __getitem__(self, item: int | slice | Sequence[int] | np.ndarray) -> Factors:
        """Return the chosen animals; a single number gives Factors of length one."""
        rows = np.arange(len(self))[item] if isinstance(item, int | np.integer | slice) else np.asarray(item)
        return Factors(**{f.name: np.atleast_1d(getattr(self, f.name)[np.atleast_1d(rows)]) for f in fields(self)})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Factors):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]

    def replace(self, **changes: np.ndarray | float) -> Factors:
        """Return the same animals with some factors set, each to one value for all or to an array of length N."""
        arrays = {name: np.broadcast_to(value, getattr(self, name).shape).copy() for name, value in changes.items()}
        return replace(self, **arrays)

    def table(self) -> dict[str, np.ndarray]:
        """Return one column (N,) per factor: int64 where it names a kind, float64 where it measures."""
        columns: dict[str, np.ndarray] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            parts = zip(("red", "green", "blue"), value.T, strict=True) if value.ndim == 2 else [("", value)]
            columns |= {f.name.replace("rgb", part): column for part, column in parts}
        return columns


def splitmix64(z: np.ndarray) -> np.ndarray:
    """Return the finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection of uint64 whose bits look random."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Dice:
    """Uniform numbers that depend on (seed, item, column) alone; each throw takes the next column."""

    def __init__(self, seed: int, items: np.ndarray) -> None:
        self.key = splitmix64(np.array([seed & (2**64 - 1)], np.uint64) + GOLDEN)
        self.items = items.astype(np.uint64)
        self.column = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Return one float64 per item in low..high."""
        self.column += 1
        key = splitmix64(self.key + np.array([self.column], np.uint64) * GOLDEN)
        bits = splitmix64(splitmix64(self.items * GOLDEN + key) ^ key)
        return low + (high - low) * (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def choice(self, probabilities: int | Sequence[float]) -> np.ndarray:
        """Return one int64 per item: 0..k-1, equally likely when a number k is given."""
        p = [1.0 / probabilities] * probabilities if isinstance(probabilities, int) else probabilities
        return np.searchsorted(np.cumsum(p)[:-1], self.uniform(), side="right").astype(np.int64)


def at_lightness(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return colours (N, 3) darkened towards black or mixed with white until their luma is `light` (N,)."""
    luma = rgb @ LUMA
    darker = rgb * (light / luma)[:, None]
    paler = rgb + (1.0 - rgb) * ((light - luma) / (1.0 - luma))[:, None]
    return np.where((light < luma)[:, None], darker, paler)


def away_from(luma: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Map u in 0..1 evenly onto the lightnesses of backgrounds that lie at least CONTRAST from `luma` (N,)."""
    below = np.maximum(luma - CONTRAST - DARKEST, 0.0)
    above = np.maximum(LIGHTEST - luma - CONTRAST, 0.0)
    t = u * (below + above)
    return np.where(t < below, DARKEST + t, luma + CONTRAST + t - below)


def check(n: int, start: int, species: str | None) -> None:
    """Raise an `OptionError` for a number or a species that there cannot be."""
    if n < 0:
        raise OptionError(f"{n} animals asked for", "a number of animals of 0 or more", "Ask for n=1 or more.")
    if not 0 <= start <= 2**63:
        raise OptionError(f"start={start}", "the number of the first animal, 0 to 2^63", "Use start=0.")
    if species is not None and species not in SPECIES:
        raise unknown("species", species, SPECIES)


def factors(n: int, seed: int = 0, start: int = 0, species: str | None = None) -> Factors:
    """Return the true factors of animals start .. start+n-1 of the world `seed`.

    `species` makes all of them cats, dogs or rabbits and leaves every other factor as it was. Raises OptionError for a
    negative n or start and for an unknown species.
    """
    check(n, start, species)
    dice = Dice(seed, start + np.arange(n, dtype=np.uint64))
    kind, fur = dice.choice(3), dice.choice(len(FURS))
    fur_rgb = np.array(list(FURS.values()))[fur] + np.stack([dice.uniform(-0.04, 0.04) for _ in range(3)], 1)
    hue = dice.choice(len(HUES))
    light = away_from(fur_rgb @ LUMA, dice.uniform())
    return Factors(
        species=kind if species is None else np.full(n, SPECIES.index(species)), fur=fur, fur_rgb=fur_rgb,
        pattern=dice.choice((0.34, 0.22, 0.22, 0.22)),
        ear_length=dice.uniform(0.75, 1.25), ear_tilt=dice.uniform(-0.25, 0.25),
        ear_droop=dice.choice((0.7, 0.15, 0.15)),
        eye_kind=dice.choice((0.7, 0.15, 0.15)), eye_size=dice.uniform(0.8, 1.2), eye_colour=dice.choice(3),
        gaze=dice.uniform(-1.0, 1.0), mouth=dice.choice((0.55, 0.45)),
        whiskers=dice.uniform(0.6, 1.1) * dice.choice((0.25, 0.75)), collar=dice.choice((0.52, 0.16, 0.16, 0.16)),
        head_tilt=dice.uniform(-0.35, 0.35), x=dice.uniform(-0.12, 0.12), y=dice.uniform(-0.08, 0.08),
        scale=dice.uniform(0.85, 1.15), light=dice.uniform(-1.0, 1.0), background=dice.choice(len(BACKGROUNDS)),
        background_hue=hue, background_rgb=at_lightness(np.array(list(HUES.values()))[hue], light),
    )  # fmt: skip
