"""The built-in world: the same animals every time, whatever is drawn with them, and every factor shows."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from morelike.core.errors import OptionError
from morelike.data import menagerie
from morelike.data.menagerie.canvas import Canvas, Frame
from morelike.data.menagerie.shapes import Almond, Bar, Ellipse
from morelike.data.menagerie.wording import FACTS, visible
from morelike.data.menagerie.world import BACKGROUNDS, COLLARS, EARS, EYE_COLOURS, EYES, FURS, HUES, LUMA, PATTERNS

CHINESE = {"cat": "猫", "dog": "狗", "rabbit": "兔子"}
KINDS = {
    "species": menagerie.SPECIES, "fur": FURS, "pattern": PATTERNS, "ear_droop": EARS, "eye_kind": EYES,
    "eye_colour": EYE_COLOURS, "mouth": (0, 1), "collar": COLLARS, "background": BACKGROUNDS, "background_hue": HUES,
}  # fmt: skip
RANGES = {
    "ear_length": (0.75, 1.25), "ear_tilt": (-0.25, 0.25), "eye_size": (0.8, 1.2), "gaze": (-1, 1),
    "whiskers": (0, 1.1), "head_tilt": (-0.35, 0.35), "x": (-0.12, 0.12), "y": (-0.08, 0.08),
    "scale": (0.85, 1.15), "light": (-1, 1),
}  # fmt: skip


def test_an_animal_is_a_function_of_seed_and_number() -> None:
    world = menagerie.factors(10, seed=3)
    assert world[5] == menagerie.factors(1, seed=3, start=5)
    assert world[2:7] == menagerie.factors(5, seed=3, start=2)
    assert world[-1] == world[9] == world[[9]]
    assert world == menagerie.factors(10, seed=3) != menagerie.factors(10, seed=4)
    assert len(menagerie.factors(0)) == 0
    assert menagerie.factors(2, seed=-1, start=2**62)[1] == menagerie.factors(1, seed=-1, start=2**62 + 1)


def test_choosing_the_species_leaves_the_other_factors() -> None:
    anyone, dogs = menagerie.factors(50, seed=1), menagerie.factors(50, seed=1, species="dog")
    assert set(dogs.species) == {1}
    assert anyone.replace(species=1) == dogs


def test_factors_cover_their_stated_ranges_and_are_independent() -> None:
    table = menagerie.factors(20_000, seed=2).table()
    for name, kinds in KINDS.items():
        assert table[name].dtype == np.int64
        assert set(table[name]) == set(range(len(kinds)))
    for name, (low, high) in RANGES.items():
        assert low <= table[name].min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < table[name].max() <= high
    names = [*KINDS, *RANGES]
    correlation = np.corrcoef([table[name] for name in names]) - np.eye(len(names))
    assert np.abs(correlation).max() < 0.04  # 5.6 standard errors


def test_fur_and_background_differ_in_lightness_both_ways() -> None:
    f = menagerie.factors(5000)
    gap = f.background_rgb @ LUMA - f.fur_rgb @ LUMA
    assert np.abs(gap).min() > 0.259
    assert 0.3 < (gap > 0).mean() < 0.7
    assert f.background_rgb.min() >= 0.0
    assert f.background_rgb.max() <= 1.0


@pytest.mark.parametrize("size", [8, 28, 47, 128])
@pytest.mark.parametrize("colour", [False, True])
def test_pictures_do_not_depend_on_what_is_drawn_with_them(size: int, colour: bool) -> None:
    n = 60 if size < 100 else 40
    images, true = menagerie.pictures(n, size, colour, seed=5)
    assert images.dtype == np.uint8
    assert images.shape == (n, size, size, 3)[: 4 if colour else 3]
    assert true == menagerie.factors(n, seed=5)
    later, _ = menagerie.pictures(7, size, colour, seed=5, start=11)
    np.testing.assert_array_equal(images[11:18], later)
    for i in (0, n - 1):
        np.testing.assert_array_equal(images[i : i + 1], menagerie.draw(true[i], size, colour))
    assert np.ptp(images.reshape(n, -1), axis=1).min() > 60


def test_grey_is_the_luma_of_colour() -> None:
    f = menagerie.factors(60, seed=6)
    grey, colour = menagerie.draw(f, 32).astype(float), menagerie.draw(f, 32, colour=True) @ LUMA
    assert np.abs(grey - colour).mean() < 0.5
    assert np.quantile(np.abs(grey - colour), 0.999) < 3.0  # only colours brighter than white are clipped apart


def test_a_linear_classifier_tells_the_species() -> None:
    images, true = menagerie.pictures(4000, seed=7)
    x = np.diff(images.astype(np.float32), axis=1).reshape(len(images), -1) / 255.0  # edges: fur is light or dark
    x = np.concatenate([np.abs(x), x, np.ones((len(x), 1), np.float32)], 1)
    target, fit = np.eye(3, dtype=np.float32)[true.species], slice(0, 3000)
    weights = np.linalg.solve(x[fit].T @ x[fit] + 30.0 * np.eye(x.shape[1], dtype=np.float32), x[fit].T @ target[fit])
    assert ((x[3000:] @ weights).argmax(1) == true.species[3000:]).mean() >= 0.95


@pytest.mark.parametrize("species", menagerie.SPECIES)
def test_every_factor_shows(species: str) -> None:
    f = menagerie.factors(24, seed=8, species=species).replace(eye_kind=0, whiskers=0.8)
    before = menagerie.draw(f, 28, colour=True).astype(int)
    changed = {name: (getattr(f, name) + 1) % len(kinds) for name, kinds in KINDS.items()}
    for name, (low, high) in RANGES.items():
        value = getattr(f, name)
        changed[name] = np.where(value > (low + high) / 2, low, high)
    changed["fur_rgb"], changed["background_rgb"] = 1.0 - f.fur_rgb, 1.0 - f.background_rgb
    assert set(changed) == {field.name for field in fields(f)}
    for name in set(changed) - {"fur", "background_hue"}:  # names of the colours in fur_rgb and background_rgb
        after = menagerie.draw(f.replace(**{name: changed[name]}), 28, colour=True)
        assert np.abs(after - before).reshape(len(f), -1).max(1).min() >= 8, name


@pytest.mark.parametrize(("shape", "area"), [
    (Ellipse(0.6, 0.4), np.pi * 0.24), (Bar(0.5, 0.1), 0.2 + np.pi * 0.01), (Almond(0.3, 0.3), np.pi * 0.09),
    (Bar(0.5, 0.004), 0.008),  # a quarter of a pixel wide: it fades
])  # fmt: skip
def test_shapes_cover_their_area(shape: Ellipse | Bar | Almond, area: float) -> None:
    canvas, row = Canvas(5, 64, 1), np.arange(5.0)
    canvas.paint(Frame(32 + row / 7, 32 - row / 9, row, 0 * row + 30.0), shape, np.ones((1, 5), np.float32))
    covered = canvas.planes[0].sum((0, 1)) / 30.0**2
    np.testing.assert_allclose(covered, area, rtol=0.05)


def test_captions_tell_the_species_and_only_what_is_seen() -> None:
    f = menagerie.factors(600, seed=9)
    seen = visible(f)
    english, chinese = menagerie.captions(f), menagerie.captions(f, "zh")
    assert len(english) == len(chinese) == 600
    assert len(set(english)) > 550
    for i, kind in enumerate(f.species):
        name, fur = menagerie.SPECIES[kind], list(FURS)[f.fur[i]]
        assert f" {fur} {name} " in english[i]
        assert CHINESE[name] in chinese[i]
        for language, caption in (("en", english[i]), ("zh", chinese[i])):
            told = {words for words in FACTS[language].values() if words in caption}
            true_words = {FACTS[language][fact] for fact in seen if seen[fact][i]}
            whole = {words for words in told if not any(words != other and words in other for other in told)}
            assert len(whole) == 2
            assert whole <= true_words
    assert menagerie.captions(f[17:20], "zh") == chinese[17:20]


@pytest.mark.parametrize("size", [7, 129, 0, -28, 28.0, "28"])
def test_bad_sizes_are_refused(size: object) -> None:
    with pytest.raises(OptionError) as error:
        menagerie.pictures(1, size=size)  # type: ignore[arg-type]
    assert repr(size) in error.value.found
    assert "8 to 128" in error.value.expected
    assert error.value.action


def test_other_bad_options_are_refused() -> None:
    for options in ({"n": -1}, {"n": 1, "start": -1}, {"n": 1, "start": 2**64}, {"n": 1, "species": "rabit"}):
        with pytest.raises(OptionError):
            menagerie.factors(**options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="rabbit"):
        menagerie.factors(1, species="rabit")
    with pytest.raises(OptionError, match="zh"):
        menagerie.captions(menagerie.factors(1), "fr")
