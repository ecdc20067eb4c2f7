"""The classifier two-sample test: chance for equal laws, certainty for unlike ones, the same for the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.measure.interval import wilson
from morelike.measure.twosample import FEWEST, two_sample


def kinds(n: int, first: int = 0) -> Tensor:
    """Items of one of five kinds, or of those from `first` on."""
    places = torch.randn(5, 16, generator=torch.Generator().manual_seed(7)) * 3
    return places[torch.randint(first, 5, (n,))] + torch.randn(n, 16)


def test_wilson_interval() -> None:
    low, high = wilson(7, 10)
    assert (low, high) == pytest.approx((0.39678, 0.89221), abs=1e-4)
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-12) and wilson(10, 10)[1] == pytest.approx(1)


def test_level_for_equal_laws() -> None:
    found = [two_sample(torch.randn(60, 4), torch.randn(80, 4), seed=seed) for seed in range(40)]
    assert sum(one.low <= 0.5 <= one.high for one in found) >= 34
    assert sum(one.value for one in found) / len(found) == pytest.approx(0.5, abs=0.03)


def test_unlike_laws_are_told_apart() -> None:
    found = two_sample(torch.randn(300, 5) + 2, torch.randn(400, 5))
    assert found.low > 0.94
    assert two_sample(torch.zeros(50, 3), torch.ones(50, 3)).value == 1


@pytest.mark.parametrize("damage", ["dropped kind", "noise", "mirrored"])
def test_damage_is_noticed(damage: str) -> None:
    made, real = kinds(1500, first=int(damage == "dropped kind")), kinds(1500)
    if damage == "noise":
        made = made + 0.6 * torch.randn_like(made)
    if damage == "mirrored":  # equal means and covariances, which no straight line tells apart
        made, real = torch.randn(1500, 3) ** 3, torch.randn(1500, 3)
        made, real = made / made.std(0), real / real.std(0)
    assert two_sample(made, real).low > 0.5


def test_same_seed_same_answer_and_no_global_random_numbers() -> None:
    made, real = kinds(90), kinds(70)
    state = torch.get_rng_state()
    first = two_sample(made, real, seed=3)
    assert torch.equal(state, torch.get_rng_state())
    assert two_sample(made, real, seed=3) == first


def test_constants_cannot_be_told_apart() -> None:
    assert two_sample(torch.ones(50, 3), torch.ones(60, 3)).value == 0.5


def test_more_features_than_items() -> None:
    for width in (200, 600):
        found = two_sample(torch.randn(30, width), torch.randn(30, width) + 3)
        assert found.value == 1


def test_reasons() -> None:
    few = two_sample(torch.randn(FEWEST - 1, 3), torch.randn(100, 3))
    assert few.value is None and str(FEWEST) in few.reason
    bad = torch.randn(50, 3)
    bad[7, 1] = torch.nan
    assert "1 of 50 real" in two_sample(torch.randn(50, 3), bad).reason
