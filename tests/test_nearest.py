"""Nearest neighbours and ball counts against scikit-learn and plain double precision."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from morelike.core.errors import DataError
from morelike.measure import nearest as module
from morelike.measure.nearest import balls, nearest, within


def cloud(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n", "m", "d", "k"), [(7, 5, 3, 5), (300, 1000, 16, 1), (200, 1203, 2, 7), (50, 400, 784, 3)])
def test_it_agrees_with_scikit_learn(n: int, m: int, d: int, k: int) -> None:
    from sklearn.neighbors import NearestNeighbors

    a, b = cloud(n, d), cloud(m, d, seed=1) * 3 + 5
    distances, indices = nearest(a, b, k)
    wanted, where = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(b.double()).kneighbors(a.double())
    assert distances.dtype == torch.float32 and indices.dtype == torch.int64 and distances.shape == (n, k)
    assert np.allclose(distances, wanted, rtol=1e-6)
    assert np.array_equal(indices, where)


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, radius = cloud(100, 8), cloud(333, 8, seed=1), torch.full((333,), 3.0)
    whole, counts = nearest(a, b, 4), balls(a, b, radius)
    monkeypatch.setattr(module, "BLOCK", 500)
    assert all(torch.equal(x, y) for x, y in zip(nearest(a, b, 4), whole, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(balls(a, b, radius), counts, strict=True))


def test_equal_rows_are_at_exactly_nought_far_from_the_origin() -> None:
    b = cloud(500, 32) + 1000
    distances, indices = nearest(b, b, 1)
    assert (distances == 0).all() and torch.equal(indices[:, 0], torch.arange(500))


def test_a_row_is_not_its_own_neighbour_but_its_twin_is() -> None:
    b = cloud(200, 8)
    b[17] = b[3]
    distances, indices = nearest(b, b, 2, skip_self=True)
    assert (indices != torch.arange(200)[:, None]).all()
    assert indices[17, 0] == 3 and indices[3, 0] == 17 and distances[3, 0] == 0


def test_ball_counts_agree_with_plain_double_precision() -> None:
    a, b = cloud(150, 6), cloud(260, 6, seed=1)
    radius = nearest(b, b, 5, skip_self=True)[0][:, -1]
    inside = (a.double()[:, None] - b.double()).square().sum(2).sqrt().float() <= radius
    per_a, per_b = balls(a, b, radius)
    assert torch.equal(per_a, inside.sum(1)) and torch.equal(per_b, inside.sum(0))
    assert torch.equal(within(a, b, radius), per_a)


def test_an_item_at_exactly_the_radius_is_inside() -> None:
    b = cloud(400, 64) + 30
    radius = nearest(b, b, 5, skip_self=True)[0][:, -1]
    assert torch.equal(balls(b, b, radius)[1], torch.full((400,), 6))  # itself and its five neighbours


def test_identical_items_all_share_a_ball() -> None:
    b = torch.full((300, 4), 0.3)
    per_a, per_b = balls(b, b, torch.zeros(300))
    assert (per_a == 300).all() and (per_b == 300).all()
    assert (nearest(b, b, 3, skip_self=True)[0] == 0).all()


def test_any_shape_and_whole_numbers_are_taken() -> None:
    pictures = torch.randint(0, 255, (20, 1, 4, 4), dtype=torch.uint8)
    assert (nearest(pictures, pictures)[0] == 0).all()
    assert nearest(pictures[:0], pictures)[0].shape == (0, 1)
    assert balls(pictures[:0], pictures, torch.ones(20))[1].sum() == 0


def test_bad_input_is_named() -> None:
    b = cloud(5, 3)
    with pytest.raises(DataError, match="There are 4 items to search"):
        nearest(b, b, 5, skip_self=True)
    with pytest.raises(DataError, match="There are 0 items"):
        nearest(b, b[:0])
    with pytest.raises(DataError, match="Items of 3 and of 2 numbers"):
        nearest(b, b[:, :2])


def test_it_is_fast() -> None:
    """10,000 x 10,000 x 64 in 1.5 s of processor time on one thread, so on two as well."""
    a, b = cloud(10_000, 64), cloud(10_000, 64, seed=1)
    began = time.process_time()
    nearest(a, b, 5)
    assert time.process_time() - began < 1.5
