"""Augmentation: what each word does, that it is drawn for each picture, and that it can be shown."""

from __future__ import annotations

import pytest
import torch

from morelike.core.errors import OptionError
from morelike.data.augment import Augment


def seed(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def ramp(count: int = 200, side: int = 32) -> torch.Tensor:
    """Pictures whose value is the place from left to right, -1 to 1: a pixel's value tells where it came from."""
    across = (torch.arange(side) + 0.5) / side * 2 - 1
    return across.expand(count, 1, side, side).contiguous()


def test_words_and_numbers() -> None:
    assert Augment.parse("flip, crop=0.1,rotate=10") == Augment(crop=0.1, rotate=10, flip=True)
    assert Augment.parse("color=0.3") == Augment(colour=0.3)
    assert Augment.parse("") == Augment()
    assert not Augment()
    assert Augment.parse("rotate").rotate > 0


@pytest.mark.parametrize("words", ["rotat=3", "crop=much", "crop=2", "rotate=-1", "scale=nan"])
def test_wrong_words_and_numbers(words: str) -> None:
    with pytest.raises(OptionError) as caught:
        Augment.parse(words)
    assert caught.value.found
    assert caught.value.action
    if words == "rotat=3":
        assert '"rotate"' in caught.value.action


def test_nothing_changes_by_default() -> None:
    x = torch.rand(4, 3, 8, 8) * 2 - 1
    assert torch.equal(Augment().apply(x, seed()), x)


def test_flip_mirrors_half_of_the_pictures() -> None:
    x = torch.rand(400, 3, 4, 4) * 2 - 1
    y = Augment(flip=True).apply(x, seed())
    same, mirrored = (y == x).flatten(1).all(1), (y == x.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 140 < mirrored.sum() < 260  # six standard deviations


def test_crops_show_a_window_at_full_size() -> None:
    y = Augment(crop=0.5).apply(ramp(), seed())
    left, right = y[:, 0, 16, 0], y[:, 0, 16, -1]
    width = (right - left) / (ramp(1)[0, 0, 0, -1] - ramp(1)[0, 0, 0, 0])
    assert 0.49 < width.min() < 0.55
    assert 0.95 < width.max() < 1.001
    assert left.min() < -0.9
    assert right.max() > 0.9
    assert torch.allclose(y, y[:, :, :1], atol=1e-5)  # straight, as it was


def test_scale_is_as_often_larger_as_smaller() -> None:
    y = Augment(scale=0.25).apply(ramp(), seed())
    zoom = (y[:, 0, 16, 20] - y[:, 0, 16, 12]) / (ramp(1)[0, 0, 0, 20] - ramp(1)[0, 0, 0, 12])
    assert 0.79 < zoom.min() < 0.83
    assert 1.2 < zoom.max() < 1.26
    assert abs(zoom.log().mean()) < 0.05


def test_rotation_turns_by_up_to_the_angle_and_keeps_its_shape() -> None:
    side = torch.linspace(-1, 1, 33)
    wide = torch.zeros(200, 1, 33, 65)
    wide[:] = side[
        :, None
    ]  # the value is the height: after a turn by a, it changes along a row by sin a for each pixel
    y = Augment(rotate=20).apply(wide, seed())
    step = (y[:, 0, 16, 36] - y[:, 0, 16, 28]) / 8 / (side[1] - side[0])
    angle = torch.rad2deg(torch.asin(step))
    assert 18 < angle.max() < 20.5
    assert -20.5 < angle.min() < -18


def test_colour_changes_each_picture_in_its_own_way_and_stays_in_range() -> None:
    x = (torch.rand(100, 3, 1, 1) * 2 - 1).expand(-1, -1, 4, 4).contiguous()
    y = Augment(colour=0.3).apply(x, seed())
    assert y.abs().max() <= 1
    assert (y - x).abs().max() > 0.2
    assert y.flatten(2).std(2).max() < 1e-5
    assert len({round(float(v), 5) for v in (y - x)[:, 0, 0, 0]}) > 90


def test_the_same_seed_gives_the_same_changes() -> None:
    x, augment = torch.rand(8, 3, 16, 12) * 2 - 1, Augment(0.2, 15, 0.1, True, 0.2)
    y = augment.apply(x, seed(5))
    assert y.shape == x.shape
    assert torch.equal(y, augment.apply(x, seed(5)))
    assert not torch.equal(y, augment.apply(x, seed(6)))
    assert y.abs().max() <= 1.001


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_shows_the_originals_first(channels: int) -> None:
    x = torch.rand(3, channels, 10, 12) * 2 - 1
    sheet = Augment(rotate=30).sheet(x, copies=4)
    assert sheet.shape == (3 * 12, 5 * 14, channels)
    expected = (x[1].permute(1, 2, 0) + 1).mul(127.5).round().to(torch.uint8).numpy()
    assert (sheet[13:23, 1:13] == expected).all()
    assert not (sheet[13:23, 15:27] == expected).all()
