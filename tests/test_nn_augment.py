"""Augmentations: right values, drawn for each example, differentiable twice, unchanged at strength 0."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.nn import augment
from morelike.nn.augment import NonLeaking, recolour, shift, turn

CHANGES = [augment.brightness, augment.contrast, augment.saturation, augment.flip, augment.translate, augment.cutout]
SHAPES = [(3, 20), (1, 12, 16), (3, 12, 16), (2, 4, 6, 8)]
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@each_change
@each_shape
def test_strength_zero_changes_nothing(change: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    x = torch.randn(5, *shape)
    assert torch.equal(change(x, 0.0), x)


@each_change
def test_each_example_draws_for_itself_and_from_the_generator(change: Callable[..., Tensor]) -> None:
    x = torch.rand(1, 3, 16, 16).expand(32, -1, -1, -1)  # the same picture 32 times
    seeded = [change(x, 0.5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(seeded[0], seeded[1])
    assert not torch.equal(seeded[0], seeded[2])
    assert len({row.numpy().tobytes() for row in seeded[0]}) >= (2 if change is augment.flip else 16)
    torch.manual_seed(5)
    first = change(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(first, change(x, 0.5))


@each_change
def test_the_slope_is_exact_and_can_be_differentiated(change: Callable[..., Tensor]) -> None:
    x = torch.randn(3, 2, 4, 5, dtype=torch.double, requires_grad=True)

    def fixed(x: Tensor) -> Tensor:
        return change(x, 0.5, generator=torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(fixed, x)
    assert torch.autograd.gradgradcheck(lambda x: fixed(x) ** 2, x)


def test_recolour_is_brightness_saturation_and_contrast_in_turn() -> None:
    x = torch.randn(4, 3, 5, 6)
    b, k, s = torch.randn(3, 4, 1, 1, 1).unbind()
    y = x + b
    y = (y - y.mean(1, keepdim=True)) * s + y.mean(1, keepdim=True)
    y = (y - y.mean((1, 2, 3), keepdim=True)) * k + y.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(recolour(x, b, k, s), y)


@each_shape
def test_shift_moves_by_whole_steps_and_fills_with_zeros(shape: tuple[int, ...]) -> None:
    x, reach = torch.randn(6, *shape), [2, 1, 3][: len(shape) - 1]
    steps = torch.stack([torch.randint(-r, r + 1, (6,)) for r in reach], 1)
    moved = shift(x, steps, reach)
    padded = F.pad(x, [n for r in reversed(reach) for n in (r, r)])
    for row, wide, step in zip(moved, padded, steps.tolist(), strict=True):
        for axis, (r, n) in enumerate(zip(reach, step, strict=True)):
            wide = wide.narrow(axis + 1, r - n, shape[axis + 1])
        assert torch.equal(row, wide)


def test_translations_are_uniform_over_the_whole_range() -> None:
    x = torch.zeros(4000, 1, 16, 16)
    x[:, :, 8, 8] = 1
    where = augment.translate(x, 0.125).flatten(1).argmax(1)  # up to 2 either way: 25 places
    places, counts = where.unique(return_counts=True)
    assert sorted({int(place) // 16 for place in places}) == [6, 7, 8, 9, 10]
    assert len(places) == 25
    assert ((counts - 160.0).square() / 160).sum() < 53  # chi-square with 24 degrees of freedom, p = 0.0006


def test_cutout_hides_one_box() -> None:
    kept = augment.cutout(torch.ones(2000, 2, 12, 20), 0.5)
    assert torch.equal(kept[:, 0], kept[:, 1])
    hidden = 1 - kept[:, 0]
    rows, columns = hidden.amax(2).sum(1), hidden.amax(1).sum(1)
    torch.testing.assert_close(hidden.sum((1, 2)), rows * columns)  # a box is as large as its shadows say
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 6, 5, 10)  # up to half of it sticks out


def test_a_quarter_turn_and_a_magnification() -> None:
    x, ones = torch.randn(2, 3, 8, 8), torch.ones(2)
    torch.testing.assert_close(turn(x, ones * math.pi / 2, ones), x.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    half = turn(x, 0 * ones, ones / 2, fill="zeros")
    torch.testing.assert_close(half[:, :, 2:6, 2:6], F.avg_pool2d(x, 2), atol=1e-5, rtol=0)
    bar = torch.zeros(1, 1, 8, 16)
    bar[..., 4:8] = 1  # left of the middle, so below it afterwards, as thick and as long as before
    lying = turn(bar, torch.tensor([math.pi / 2]), torch.ones(1), fill="zeros")
    expected = torch.zeros_like(bar)
    expected[..., 4:8, 4:12] = 1
    torch.testing.assert_close(lying, expected, atol=1e-4, rtol=0)


def test_affine_stays_within_its_bounds() -> None:
    x = torch.randn(1, 1, 16, 16)
    assert augment.affine(x) is x
    same = x.expand(8, -1, -1, -1)
    turned = augment.affine(same, degrees=10, scale=0.1)
    assert turned.shape == same.shape
    assert len({row.numpy().tobytes() for row in turned}) == 8
    slightly = augment.affine(same, degrees=1e-4, scale=1e-6)
    torch.testing.assert_close(slightly, same, atol=1e-3, rtol=0)


# --- the critic's


@each_shape
def test_critic_sees_the_same_shape_twice_differentiable(shape: tuple[int, ...]) -> None:
    x = torch.randn(6, *shape, requires_grad=True)
    y = NonLeaking(0.8)(x)
    assert y.shape == x.shape
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.square().sum(), x)
    assert curvature.isfinite().all()
    assert curvature.any()


@pytest.mark.parametrize("p", [0.2, 0.8])
@pytest.mark.parametrize(("policy", "draws"), [("colour", 3), ("cutout", 1), ("colour,cutout", 4)])
def test_each_transformation_touches_its_share_of_the_examples(p: float, policy: str, draws: int) -> None:
    x = torch.rand(2000, 3, 8, 8) + 0.1
    untouched = (NonLeaking(p, policy)(x) == x).flatten(1).all(1).float().mean()
    expected = (1 - p) ** draws
    assert abs(untouched - expected) < 4.5 * math.sqrt(expected * (1 - expected) / 2000)


def test_translation_touches_its_share_of_the_examples() -> None:
    x = torch.rand(2000, 1, 16, 16) + 0.1
    untouched = (NonLeaking(0.5, "translation")(x) == x).flatten(1).all(1).float().mean()
    expected = 0.5 + 0.5 / 25  # some of those that are moved are moved by nothing
    assert abs(untouched - expected) < 4.5 * math.sqrt(expected * (1 - expected) / 2000)


def test_the_strength_can_be_set_while_training() -> None:
    change, x = NonLeaking(0.8), torch.randn(8, 3, 8, 8)
    assert not torch.equal(change(x), x)
    change.strength = 0.0
    assert change(x) is x


def test_vectors_have_no_colours_and_no_places() -> None:
    x = torch.randn(4, 7)
    assert NonLeaking(0.8)(x) is x


def test_leaking_strengths_and_unknown_words_are_refused() -> None:
    for strength in (0.81, 1.0, -0.1, math.nan):
        with pytest.raises(OptionError, match=r"0 to 0\.8"):
            NonLeaking(strength)
    with pytest.raises(OptionError, match='"translation"'):
        NonLeaking(0.5, "colour,translate")
    assert NonLeaking(0.5, " colour , cutout ").policy == ["colour", "cutout"]
