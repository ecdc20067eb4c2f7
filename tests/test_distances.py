"""Fréchet, kernel and sliced Wasserstein distance: closed forms, enumeration, and sets that cannot be compared."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from morelike.core.errors import DataError
from morelike.measure.distances import (
    MOST,
    _across,
    _own,
    _variance,
    frechet,
    frechet_interval,
    kernel_distance,
    sliced_wasserstein,
)


def exactly(mean: Tensor, cov: Tensor, n: int) -> Tensor:
    """Rows whose sample mean and covariance are those given."""
    x = torch.randn(n, len(mean), dtype=torch.float64)
    x -= x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / (n - 1))).T
    return mean + x @ torch.linalg.cholesky(cov).T


def spread(d: int) -> Tensor:
    root = torch.randn(d, d, dtype=torch.float64)
    return root @ root.T / d + 0.1 * torch.eye(d)


# --- Fréchet ---------------------------------------------------------------------------------------------------------


def test_frechet_of_commuting_covariances() -> None:
    a, b = torch.tensor([1.0, 4, 9]).double(), torch.tensor([4.0, 1, 16]).double()
    found = frechet(exactly(torch.zeros(3), a.diag(), 50), exactly(torch.ones(3), b.diag(), 40))
    assert found == pytest.approx(3 + float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-10)


def test_frechet_against_a_general_matrix_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = spread(6), spread(6)
    expected = 6 * 0.25 + float(a.trace() + b.trace()) - 2 * linalg.sqrtm((a @ b).numpy()).real.trace()
    found = frechet(exactly(torch.zeros(6), a, 60) + 1e4, exactly(torch.full((6,), 0.5), b, 30) + 1e4)
    assert found == pytest.approx(expected, rel=1e-8)


def test_frechet_with_fewer_rows_than_features() -> None:
    x = torch.randn(12, 300)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + 1) == pytest.approx(300, rel=1e-5)
    assert math.isfinite(frechet(x[:2], torch.randn(5, 300)))


def test_frechet_of_constants() -> None:
    assert frechet(torch.zeros(5, 3), torch.full((4, 3), 2.0)) == pytest.approx(12)
    assert frechet_interval(torch.ones(50, 3), torch.ones(60, 3)).high == pytest.approx(0, abs=1e-9)


def test_frechet_interval_is_that_of_the_left_out_groups_by_hand() -> None:
    from morelike.measure.interval import groups

    a, b = torch.randn(63, 4), torch.randn(80, 4) * 1.5
    variance = 0.0
    for left in (True, False):
        parts = groups(len(a if left else b), 3)
        values = [frechet(a[parts != g] if left else a, b if left else b[parts != g]) for g in range(20)]
        variance += 19 / 20 * sum((v - sum(values) / 20) ** 2 for v in values)
    found = frechet_interval(a, b, seed=3)
    assert found.value == pytest.approx(frechet(a, b))
    assert found.high - found.value == pytest.approx(2.093 * math.sqrt(variance), rel=1e-6)
    assert found.low == pytest.approx(max(0, 2 * found.value - found.high), abs=1e-9)


def test_frechet_interval_holds_what_other_draws_give() -> None:
    draws = torch.Generator().manual_seed(0)
    pairs = [(torch.randn(200, 4, generator=draws), torch.randn(150, 4, generator=draws) + 0.7) for _ in range(60)]
    found = [frechet_interval(a, b) for a, b in pairs]
    typical = sum(one.value for one in found) / len(found)
    assert sum(one.low <= typical <= one.high for one in found) >= 53


def test_few_items_or_wide_features_have_a_value_without_an_interval() -> None:
    for a in (torch.randn(30, 3), torch.randn(45, 600)):
        found = frechet_interval(a, a + 1)
        assert found.value is not None and found.low is None and not found.reason


# --- kernel ----------------------------------------------------------------------------------------------------------


def enumerated(a: Tensor, b: Tensor) -> float:
    def k(x: Tensor, y: Tensor) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    within = [sum(k(x, y) for x, y in itertools.permutations(s, 2)) / (len(s) * (len(s) - 1)) for s in (a, b)]
    return sum(within) - 2 * sum(k(x, y) for x in a for y in b) / (len(a) * len(b))


def test_kernel_distance_is_the_enumerated_one() -> None:
    a, b = torch.randn(7, 4).double(), torch.randn(9, 4).double() + 0.5
    assert kernel_distance(a, b).value == pytest.approx(enumerated(a, b), rel=1e-11)
    assert kernel_distance(a[:2], b[:3]).value == pytest.approx(enumerated(a[:2], b[:3]), rel=1e-11)


def test_kernel_distance_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.randn(50, 4), torch.randn(37, 4)
    whole = kernel_distance(a, b)
    monkeypatch.setattr("morelike.measure.distances.BLOCK", 120)
    parts = kernel_distance(a, b)
    assert (parts.value, parts.low) == pytest.approx((whole.value, whole.low), rel=1e-9)


def test_kernel_distance_is_unbiased_and_so_is_its_variance() -> None:
    """Over all draws from small laws: mean = 0 for equal ones, mean of the estimate = variance of the value."""
    for a_points, b_points in (([[-1.0], [2.0]], [[-1.0], [2.0]]), ([[0.0], [1.5]], [[-1.0], [1.0]])):
        values, guesses = [], []
        for chosen in itertools.product((0, 1), repeat=8):
            a, b = torch.tensor(a_points)[list(chosen[:4])].double(), torch.tensor(b_points)[list(chosen[4:])].double()
            values.append(kernel_distance(a, b).value)
            guesses.append(sum(_variance(_own(a), _own(b), _across(a, b))))
        values, guesses = torch.tensor(values), torch.tensor(guesses)
        assert float(guesses.mean()) == pytest.approx(float(values.double().var(correction=0)), rel=1e-5)
        if a_points == b_points:
            assert float(values.mean()) == pytest.approx(0, abs=1e-5)
        else:
            assert float(values.mean()) > 0.01


def test_real_against_real_is_within_two_errors_of_zero() -> None:
    draws = torch.Generator().manual_seed(1)
    found = [kernel_distance(torch.randn(100, 8, generator=draws), torch.randn(140, 8, generator=draws))
             for _ in range(200)]  # fmt: skip
    errors = torch.tensor([(one.high - one.value) / 1.96 for one in found])
    values = torch.tensor([one.value for one in found])
    assert (values.abs() <= 2 * errors).float().mean() >= 0.95
    assert abs(values.mean()) <= 3 * values.std() / math.sqrt(len(values))
    assert kernel_distance(torch.randn(100, 8), torch.randn(140, 8) + 1).low > 0


def test_large_sets_are_thinned_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST >= 10_000
    monkeypatch.setattr("morelike.measure.distances.MOST", 30)
    a, b = torch.randn(50, 3), torch.randn(20, 3)
    assert kernel_distance(a, b, seed=1) == kernel_distance(a, b, seed=1) != kernel_distance(a, b, seed=2)


# --- sliced Wasserstein ----------------------------------------------------------------------------------------------


def test_sliced_wasserstein_of_a_shift_in_one_dimension() -> None:
    x = torch.randn(40, 1)
    assert sliced_wasserstein(x, x[torch.randperm(40)] + 3) == pytest.approx(3, rel=1e-6)
    assert sliced_wasserstein(x, x) == 0


def test_sliced_wasserstein_of_unlike_sizes_is_that_of_repeated_items() -> None:
    a, b = torch.randn(6, 5), torch.randn(15, 5) + 1
    repeated = sliced_wasserstein(a.repeat(5, 1), b.repeat(2, 1), seed=4)
    assert sliced_wasserstein(a, b, seed=4) == pytest.approx(repeated, rel=1e-12)


def test_sliced_wasserstein_along_given_directions() -> None:
    a, b = torch.zeros(3, 2), torch.tensor([[3.0, 4.0]])
    assert sliced_wasserstein(a, b, projections=torch.eye(2)) == pytest.approx(math.sqrt((9 + 16) / 2))


def test_sliced_wasserstein_of_a_shift_approaches_its_expectation() -> None:
    x = torch.randn(30, 8)
    found = sliced_wasserstein(x, x + 1, projections=4000)  # |shift|^2 = 8, and E u_i^2 = 1/8
    assert found == pytest.approx(1, rel=0.05)
    assert found == sliced_wasserstein(x, x + 1, projections=4000)


# --- bad input -------------------------------------------------------------------------------------------------------

WRONG = {
    "empty": (torch.empty(0, 3), torch.randn(9, 3)),
    "not finite": (torch.tensor([[1.0, math.nan], [0, 0], [1, 1]]), torch.randn(9, 2)),
    "infinite": (torch.randn(9, 2), torch.full((9, 2), math.inf)),
    "huge": (torch.full((9, 2), 1e30), torch.randn(9, 2)),
    "widths": (torch.randn(9, 2), torch.randn(9, 3)),
    "no features": (torch.empty(9, 0), torch.empty(9, 0)),
}


@pytest.mark.parametrize("case", WRONG)
def test_sets_that_cannot_be_compared_have_a_reason(case: str) -> None:
    for measure in (frechet_interval, kernel_distance):
        found = measure(*WRONG[case])
        assert found.value is None and found.reason
    for measure in (frechet, sliced_wasserstein):
        with pytest.raises(DataError, match="cannot be compared"):
            measure(*WRONG[case])
