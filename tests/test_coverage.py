"""Clipped density and coverage: by hand, against scikit-learn, calibrated in [0, 1], and with ties and bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.measure.coverage import balls_of, before, clipped, clipped_coverage, clipped_density


def mixed(n: int, m: int, share: float, d: int = 8) -> tuple[Tensor, Tensor]:
    """Made items of which `share` follow the law of the real ones and the others lie far away."""
    made = torch.randn(m, d)
    made[round(share * m) :] = torch.randn(m - round(share * m), d) * 0.5 + 15
    return made, torch.randn(n, d)


# --- the calibration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("made", "real", "rank", "most"), [(4, 5, 2, 3), (3, 4, 4, 4), (0, 3, 1, 2), (5, 1, 1, 2)])
def test_before_counts_all_orders(made: int, real: int, rank: int, most: int) -> None:
    orders = itertools.combinations(range(made + real), real)  # where the real ones are
    found = [min(most, places[rank - 1] - (rank - 1)) for places in orders]
    counts = (torch.tensor(one) for one in (made, real, rank, most))
    assert float(before(*counts)) == pytest.approx(sum(found) / len(found), rel=1e-12)


def test_before_is_the_beta_binomial_law() -> None:
    stats = pytest.importorskip("scipy.stats")
    n, k = 400, 5
    m = torch.tensor([0, 1, 17, 400, 900])
    found = before(m, torch.tensor(n - 1), torch.tensor(k), torch.tensor(k))
    for one, size in zip(found.tolist(), m.tolist(), strict=True):
        j = np.arange(size + 1)
        assert one == pytest.approx(float((np.minimum(j, k) * stats.betabinom.pmf(j, size, k, n - k)).sum()), abs=1e-8)


def test_before_with_nothing_to_fill() -> None:
    made, none = torch.tensor([3, 0]), torch.tensor(0)
    assert before(made, torch.tensor(4), torch.tensor(1), none).tolist() == [0, 0]


# --- the scores ------------------------------------------------------------------------------------------------------


def test_density_by_hand() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0]])  # k = 1: radii 1, 1, 1, 8, of which 8 is cut to 1
    made = torch.tensor([[0.5], [3.0], [5.0], [10.5]])  # within balls: 2, 1, 0, 1 -> 1, 1, 0, 1
    known = balls_of(real, 1)
    assert known.radius.tolist() == [1, 1, 1, 8] and known.short.tolist() == [1, 1, 1, 1]
    assert known.ideal.tolist() == [1, 1, 1, 0]
    assert clipped_density(made, known).value == pytest.approx(0.75 / 0.75)
    assert clipped_density(made[1:3], known).value == pytest.approx(0.5 / 0.75)


def test_both_against_scikit_learn() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    made, real = mixed(150, 220, 0.7)
    k, n, m = 4, 150, 220
    reach = neighbors.NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    short = np.minimum(reach, np.median(reach))
    apart, own = (neighbors.NearestNeighbors(n_neighbors=size).fit(one).kneighbors(real)
                  for size, one in ((m, made), (n, real)))  # fmt: skip

    def held(found: tuple[np.ndarray, np.ndarray], radius: np.ndarray, size: int) -> np.ndarray:
        return np.bincount(found[1][found[0] <= radius[:, None] * (1 + 1e-6)], minlength=size)

    expected = np.minimum(held(apart, short, m) / k, 1).mean() / np.minimum((held(own, short, n) - 1) / k, 1).mean()
    density, coverage = clipped(made, real, k)
    assert density.value == pytest.approx(expected, rel=1e-6)
    filled = np.minimum((apart[0] < reach[:, None]).sum(1), k).mean() / k
    share = coverage.value * m  # the score, put back through the calibration
    low, high = (
        float(before(torch.tensor(int(c)), torch.tensor(n - 1), torch.tensor(k), torch.tensor(k))) / k
        for c in (math.floor(share), math.floor(share) + 1)
    )
    assert low + (share % 1) * (high - low) == pytest.approx(filled, rel=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
@pytest.mark.parametrize(("n", "m"), [(500, 500), (300, 1500), (900, 300)])
def test_scores_are_the_share_of_good_items(share: float, n: int, m: int) -> None:
    found = [clipped(*mixed(n, m, share)) for _ in range(4)]
    for scores in zip(*found, strict=True):
        mean = sum(one.value for one in scores) / len(scores)
        assert mean == pytest.approx(share, abs=0.05)
        assert all(0 <= one.low <= one.value <= one.high <= 1 for one in scores)


def test_intervals_hold_the_share() -> None:
    found = [clipped(*mixed(200, 200, 0.6)) for _ in range(60)]
    for scores in zip(*found, strict=True):
        assert sum(one.low <= 0.6 <= one.high for one in scores) >= 52


def test_coverage_sees_a_collapse_that_density_does_not() -> None:
    real = torch.cat([torch.randn(300, 4), torch.randn(300, 4) + 20])
    density, coverage = clipped(torch.randn(600, 4), real)
    assert density.value > 0.85
    assert coverage.value == pytest.approx(0.5, abs=0.1)


def test_an_outlier_among_real_items_welcomes_nothing() -> None:
    real = torch.cat([torch.randn(200, 3), torch.full((1, 3), 100.0)])
    assert clipped_density(torch.full((50, 3), 60.0) + torch.randn(50, 3), real).value == 0


def test_known_balls_give_the_same() -> None:
    made, real = mixed(80, 90, 0.5)
    known = balls_of(real, 3)
    assert (
        clipped(made, real, 3)
        == clipped(made, known)
        == (clipped_density(made, real, 3), clipped_coverage(made, real, 3))
    )


# --- repeated items --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_repeated_items_leave_the_scores_calibrated(share: float) -> None:
    """Eight states that all repeat: every radius is 0, and lots decide who is nearer."""
    states = torch.randn(8, 4)
    scores = []
    for _ in range(6):
        made = states[torch.randint(8, (400,))]
        made[: round((1 - share) * 400)] = 50.0
        scores.append(clipped(made, states[torch.randint(8, (400,))]))
    for one in zip(*scores, strict=True):
        assert sum(each.value for each in one) / len(one) == pytest.approx(share, abs=0.05)


def test_constants() -> None:
    for where, value in ((1.0, 1.0), (2.0, 0.0)):
        density, coverage = clipped(torch.full((30, 2), where), torch.ones(20, 2))
        assert density.value == value
        assert coverage.value == pytest.approx(value)


def test_copies_of_the_real_items_cover_them() -> None:
    real = torch.randn(60, 3)
    density, coverage = clipped(real.clone(), real)
    assert density.value == 1 and coverage.value == 1


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "real"),
    [
        (torch.randn(10, 2), torch.randn(6, 2)),
        (torch.empty(0, 2), torch.randn(20, 2)),
        (torch.randn(10, 2), torch.empty(0, 2)),
        (torch.full((10, 2), math.nan), torch.randn(20, 2)),
        (torch.randn(10, 3), torch.randn(20, 2)),
    ],
)
def test_sets_that_cannot_be_compared_have_a_reason(made: Tensor, real: Tensor) -> None:
    for found in (*clipped(made, real), clipped_density(made, real), clipped_coverage(made, real)):
        assert found.value is None and found.low is None and found.reason


def test_the_smallest_sets() -> None:
    for made in (torch.randn(1, 2), torch.randn(3, 2)):
        for found in clipped(made, torch.randn(7, 2)):
            assert found.value is not None and 0 <= found.low <= found.value <= found.high <= 1
