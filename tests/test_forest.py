"""Forests of trees, cell by cell, against tables of which all is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.core.spec import Batch, Spec
from morelike.families import forest
from morelike.measure.table.passing import passing
from morelike.nn import cart
from morelike.nn.cart import Limits, grow
from morelike.train.game import Game

SPEC = Spec((3,), tokens=3, sizes=(3, 2, 2))
LIMITS = Limits(leaves=8, least=5, prior=1.0, share=1.0)


def rows(n: int, seed: int = 0, noise: float = 0.1) -> Tensor:
    """a of three values, b a coin, and whether exactly one of a > 0 and b holds, wrong once in ten: what no two of the
    three cells tell is told by all of them."""
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randint(0, 3, (n,), generator=g), torch.randint(0, 2, (n,), generator=g)
    wrong = (torch.rand(n, generator=g) < noise).long()
    return torch.stack([a, b, (a > 0).long() ^ b ^ wrong], 1)


def grown(x: Tensor, spec: Spec = SPEC, given: Tensor | None = None, steps: int = 0) -> forest.Model:
    torch.manual_seed(0)
    family = forest.Model(spec, forest.Config(trees=2, leaves=16, least=10, share=1.0))
    batch = Batch(x, {} if given is None else {"label": given})
    family.begin([batch], len(x))
    game = Game(family)
    for step in range(steps):
        game.turn(batch, step, step / steps)
    return family.eval()


def all_rows() -> Tensor:
    return torch.tensor(list(itertools.product(*map(range, SPEC.sizes or ()))))


@pytest.fixture(scope="module")
def known() -> forest.Model:
    return grown(rows(4000))


def test_a_tree_splits_where_it_gains_most() -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 6, (4, 500))
    tree = grow(x, (x[2] > 3).astype(np.int64), 2, LIMITS, random)
    assert (tree.feature[0], tree.cut[0]) == (2, 3)
    assert (tree.feature[1:] == -1).all(), "what is told for certain is split no further"
    counts = np.bincount(x[2] > 3)
    law = (counts + 0.5) / (counts.sum() + 1)
    np.testing.assert_allclose(tree.laws[0], (np.array([counts[0], 0]) + _smoothed(counts, law)) / (counts[0] + 1))


def _smoothed(counts: np.ndarray, law: np.ndarray) -> np.ndarray:
    return (counts + law) / (counts.sum() + 1)


def test_no_leaf_has_fewer_rows_and_no_tree_more_leaves_than_allowed() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 30, (5, 900)), random.integers(0, 40, 900)  # more values than there are directions
    for leaves in (1, 7, 200):
        tree = grow(x, y, 40, Limits(leaves, 20, 1.0, 0.5), random)
        inner = tree.feature >= 0
        assert inner.sum() + 1 <= min(leaves, 900 // 20)
        np.testing.assert_allclose(tree.laws.sum(1), 1)


def test_values_counted_and_rows_in_order_tell_the_same_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 30, (5, 900))
    y = (x[0] // 10 + x[3] // 6 + random.integers(0, 3, 900)) % 7
    trees = []
    for dense, rows_ in ((1e9, 1), (0, 1), (0, 2**14)):  # counted, in order, and several cells together
        monkeypatch.setattr(cart, "DENSE", dense)
        monkeypatch.setattr(cart, "AT_ONCE", rows_)
        trees.append(grow(x, y, 7, Limits(60, 5, 1.0, 1.0), np.random.default_rng(1)))
    assert (trees[0].feature >= 0).sum() > 20
    for one in trees[1:]:
        for name in ("feature", "cut", "child", "laws"):
            np.testing.assert_array_equal(getattr(one, name), getattr(trees[0], name))


def test_probabilities_of_all_rows_sum_to_one_and_are_those_of_the_data(known: forest.Model) -> None:
    x = all_rows()
    with torch.no_grad():
        p = known.log_prob(Batch(x)).exp()
    right = ((x[:, 0] > 0).long() ^ x[:, 1]) == x[:, 2]
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(p, torch.where(right, 0.9, 0.1) / 6, atol=0.02, rtol=0)


def test_parts_of_rows_are_sums_over_the_rest(known: forest.Model) -> None:
    x, some = all_rows(), torch.tensor([[2, -1, -1], [-1, 1, 0], [0, -1, 1], [-1, -1, -1]])
    with torch.no_grad():
        p, found = known.log_prob(Batch(x)).exp(), known.log_prob(Batch(some)).exp()
    exact = torch.stack([p[((one < 0) | (x == one)).all(1)].sum() for one in some])
    torch.testing.assert_close(found, exact, atol=0.05, rtol=0.1)


def test_what_is_drawn_has_the_law_and_what_is_known_last_is_behind_what_comes_first(known: forest.Model) -> None:
    made = known.sample(range(4000))
    agree = (((made[:, 0] > 0).long() ^ made[:, 1]) == made[:, 2]).float().mean()
    assert float(agree) == pytest.approx(0.9, abs=0.03)
    x = torch.tensor([[-1, 1, 0]]).expand(2000, -1)
    a = known.infill(x, x >= 0, range(2000))
    assert (a[:, 1:] == x[:, 1:]).all()
    assert float((a[:, 0] > 0).float().mean()) == pytest.approx(18 / 19, abs=0.04)  # p(a > 0 | b, both alike)


def test_rows_behind_what_is_known_have_their_exact_law_whatever_the_number_of_draws(known: forest.Model) -> None:
    x, n = all_rows(), 6000
    x_known = torch.tensor([[-1, -1, 1]]).expand(n, -1)
    few = forest.Model(SPEC, forest.Config(trees=2, leaves=16, draws=1))  # one draw chosen again would be none
    few.load_state_dict(known.state_dict())
    made = few.infill(x_known, x_known >= 0, range(n))
    with torch.no_grad():
        p = known.log_prob(Batch(x)).exp() * (x[:, 2] == 1)
    counts = torch.stack([(made == one).all(1).float().mean() for one in x])
    torch.testing.assert_close(counts, p / p.sum(), atol=0.02, rtol=0)


def test_training_takes_in_all_rows_and_keeps_what_was_learnt() -> None:
    x = rows(3000)
    before, after = grown(x), grown(x, steps=30)
    with torch.no_grad():
        held = Batch(rows(3000, seed=1))
        assert float(after.log_prob(held).mean()) == pytest.approx(float(before.log_prob(held).mean()), abs=0.02)


def test_a_label_is_looked_at_like_a_cell() -> None:
    x, label = rows(3000), torch.arange(3000) % 2
    x[label == 1, 0] = 2
    spec = Spec((3,), tokens=3, sizes=(3, 2, 2), given={"label": Spec((), tokens=2)})
    family = grown(x, spec, label)
    made = family.sample(range(500), {"label": torch.ones(500, dtype=torch.long)})
    assert float((made[:, 0] == 2).float().mean()) > 0.97


def test_a_numbers_second_cell_is_looked_at_by_its_own_column_alone() -> None:
    family = forest.tiny(Spec((4,), tokens=4, sizes=(4, 4, 4, 4), columns=(2, 2)))
    assert family.seen == [[0], [0, 1], [0, 1], [0, 1, 3]]


def test_trees_tell_rows_apart_as_far_as_they_differ() -> None:
    random = np.random.default_rng(0)
    a, b, c = (rows(3000, seed).numpy() for seed in range(3))
    mixed = np.where(random.random((3000, 1)) < 0.5, b, np.stack([random.permutation(one) for one in b.T], 1))
    alone = np.stack([random.permutation(one) for one in b.T], 1)
    same, half, none = (passing(one, a, 1000, (3, 2, 2)) for one in (c, mixed, alone))
    assert same.score > 1 - 3 * same.error
    assert none.score < half.score - 3 * half.error < same.score - 0.1
    assert 0 < same.error < 0.1
    more = passing(c, a, 400, (3, 2, 2), drawn=1600)  # of which a quarter are the same rows
    fewer = passing(c, a, 400, (3, 2, 2))
    assert more.error < 0.9 * fewer.error and abs(more.score - fewer.score) < 3 * fewer.error


def test_unknown_cells_are_a_value_by_which_rows_are_told_apart() -> None:
    a = rows(1000).numpy()
    assert passing(np.where([True, False, False], -1, a), a, 400, (3, 2, 2)).score < 0.01
