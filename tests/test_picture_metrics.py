"""Spectrum and colour distances of pictures: known waves, known histograms, whatever a model may make."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from morelike.codecs import image
from morelike.codecs._metrics import colour_distance, spectrum_distance


def test_the_image_codec_lists_them() -> None:
    assert list(image.Codec().metrics) == [spectrum_distance, colour_distance]


def test_equal_sets_are_at_zero() -> None:
    x = torch.rand(5, 3, 8, 12) * 2 - 1
    assert set(colour_distance(x, x.flip(0)).values()) == {0}
    assert spectrum_distance(x, x.flip(0))["spectrum_distance"] == pytest.approx(0, abs=1e-9)


def test_half_the_amplitude_is_six_decibels() -> None:
    x = torch.rand(40, 1, 16, 16) - 0.5
    assert spectrum_distance(x / 2, x)["spectrum_distance"] == pytest.approx(20 * math.log10(2), rel=1e-4)


def test_one_wave_is_in_one_ring() -> None:
    """A wave of amplitude 0.5 against flat pictures: ring 2 alone differs, from the floor of rounding."""
    phase = 2 * math.pi * 2 * torch.arange(8) / 8
    wave = (0.5 * phase.cos()).expand(1, 1, 8, 8)
    cells = 12  # of the 8x8 frequencies, with round(radius) = 2: 4 + 8
    power = 2 * (0.25 * 8) ** 2 / cells
    floor = (2 / 255) ** 2 / 12
    expected = math.sqrt((10 * math.log10(power / floor)) ** 2 / 4)  # rings 1 to 4
    assert spectrum_distance(wave, torch.zeros(2, 1, 8, 8))["spectrum_distance"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (5, 8), (8, 5)])
def test_rings_of_white_noise_are_flat_at_every_size(size: tuple[int, int]) -> None:
    from morelike.codecs._metrics import _rings

    noise = (torch.randn(4000, 1, *size) * 0.2).clamp(-1, 1)
    assert _rings(noise) == pytest.approx(10 * math.log10(0.04), abs=0.3)


def test_blur_moves_the_spectrum_more_than_another_draw_does() -> None:
    x, y = torch.rand(2, 60, 3, 12, 12) * 2 - 1
    floor = spectrum_distance(x, y)["spectrum_distance"]
    assert spectrum_distance(F.avg_pool2d(x, 3, 1, 1), y)["spectrum_distance"] > 10 * floor


def test_shift_of_one_channel() -> None:
    x = torch.randint(0, 200, (6, 3, 4, 4)) / 127.5 - 1
    y = x.clone()
    y[:, 1] += 20 / 127.5
    found = colour_distance(y, x)
    assert found["green_distance"] == pytest.approx(20)
    assert found["red_distance"] == found["blue_distance"] == 0
    assert found["brightness_distance"] == pytest.approx(20 * 0.587, abs=0.6)


def test_grey_pictures_have_brightness_only() -> None:
    assert colour_distance(torch.ones(2, 1, 3, 3), -torch.ones(5, 1, 3, 3)) == {"brightness_distance": 255}


def test_whatever_a_model_makes_gives_numbers() -> None:
    wild = torch.tensor([math.nan, math.inf, -math.inf, 7.0]).reshape(1, 1, 2, 2)
    for metric in (spectrum_distance, colour_distance):
        assert all(math.isfinite(value) for value in metric(wild, torch.zeros(3, 1, 2, 2)).values())
    assert spectrum_distance(torch.zeros(2, 1, 1, 5), torch.zeros(2, 1, 1, 5)) == {}
