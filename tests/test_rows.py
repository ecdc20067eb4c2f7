"""The law of a row, one-hot vectors and seeded numbers, against enumeration and torch's own."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from morelike.core.distribution import Distribution
from morelike.core.errors import OptionError
from morelike.core.spec import Spec
from morelike.nn.evenly import LOW, PLACES, even
from morelike.nn.rows import OneHot, Row, cells, drawn, uniforms

SIZES = (2, 3, 1, 4)


def row(n: int = 1) -> Row:
    return Row(torch.randn(n, sum(SIZES), generator=torch.Generator().manual_seed(0)), SIZES)


def test_probabilities_of_all_rows_sum_to_one() -> None:
    every = torch.tensor(list(product(*(range(size) for size in SIZES))))
    law = row()
    assert isinstance(law, Distribution)
    p = Row(law.logits.expand(len(every), -1), SIZES).log_prob(every).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(law.mean[0], every[p.argmax()])


def test_an_unknown_cell_is_summed_over() -> None:
    law = row(4)
    x = torch.tensor([[1, 2, 0, 3]]).repeat(4, 1)
    rest = torch.stack([law.log_prob(x.index_fill(1, torch.tensor([1]), value)) for value in range(3)]).logsumexp(0)
    torch.testing.assert_close(law.log_prob(torch.tensor([[1, -1, 0, 3]]).repeat(4, 1)), rest)
    assert torch.equal(law.log_prob(torch.full((4, 4), -1)), torch.zeros(4))


def test_log_prob_agrees_with_torch() -> None:
    law, x = row(3), torch.tensor([[0, 0, 0, 0], [1, 2, 0, 3], [0, 1, 0, 2]])
    parts = law.logits.split(SIZES, 1)
    expected = sum(torch.distributions.Categorical(logits=one).log_prob(x[:, t]) for t, one in enumerate(parts))
    torch.testing.assert_close(law.log_prob(x), expected)


def test_samples_are_as_frequent_as_likely() -> None:
    torch.manual_seed(0)
    law = Row(row().logits.expand(50_000, -1), SIZES)
    made = law.sample()
    assert made.shape == (50_000, 4) and made.dtype == torch.int64
    for t, logits in enumerate(row().logits[0].split(SIZES)):
        share = torch.bincount(made[:, t], minlength=SIZES[t]) / len(made)
        torch.testing.assert_close(share, logits.softmax(0), atol=0.01, rtol=0)


def test_relaxed_samples_are_nearly_one_hot_and_have_a_gradient() -> None:
    torch.manual_seed(0)
    logits = row().logits.expand(2000, -1).clone().requires_grad_()
    soft = Row(logits, SIZES).rsample()
    assert soft.shape == logits.shape
    for t, part in enumerate(soft.split(SIZES, 1)):
        torch.testing.assert_close(part.sum(1), torch.ones(2000))
        share = torch.bincount(part.argmax(1), minlength=SIZES[t]) / 2000
        torch.testing.assert_close(share, row().logits[0].split(SIZES)[t].softmax(0), atol=0.05, rtol=0)
    soft.square().sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.abs().sum() > 0


def test_one_hot_vectors() -> None:
    read = OneHot(SIZES)
    assert read(torch.tensor([[1, 2, 0, 0], [0, -1, -1, 3]])).tolist() == [
        [0, 1, 0, 0, 1, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    soft = torch.rand(2, 10)
    assert read(soft) is soft


def test_a_seed_means_the_same_numbers_whatever_stands_beside_it() -> None:
    many = uniforms(range(2000), 50)
    assert torch.equal(uniforms([7, 1999], 50), many[[7, 1999]])
    assert torch.equal(uniforms([7], 20), many[[7], :20])
    assert many.min() >= 0 and many.max() < 1
    assert float(many.mean()) == pytest.approx(0.5, abs=0.005) and float(many.var()) == pytest.approx(1 / 12, abs=0.002)
    both = torch.corrcoef(many.T) - torch.eye(50)
    assert both.abs().max() < 0.1 and torch.corrcoef(many[:, :2].T)[0, 1].abs() < 0.06
    assert uniforms([-1, 2**64 - 1], 2).diff(dim=0).abs().max() == 0
    assert uniforms([], 3).shape == (0, 3)


def test_even_numbers_depend_on_their_seed_alone() -> None:
    many = even(range(2000), 50)
    assert torch.equal(even([7, 1999], 50), many[[7, 1999]])
    assert torch.equal(even([7], 20), many[[7], :20])
    assert torch.equal(many[:, PLACES:], uniforms(range(2000), 50)[:, PLACES:])  # independent from there on
    assert many.min() >= 0 and many.max() < 1
    assert even([-1, 2**64 - 1], 2).diff(dim=0).abs().max() == 0
    assert even([], 3).shape == (0, 3)


@pytest.mark.parametrize("first", [0, 512 * 37, 2**LOW])
def test_seeds_that_follow_one_another_fill_every_two_places_evenly(first: int) -> None:
    u = even(range(first, first + 512), PLACES)
    assert (u * 512).long().sort(0).values.eq(torch.arange(512)[:, None]).all()  # one in each of 512 intervals
    quarter = torch.nn.functional.one_hot((u * 4).long(), 4).double().flatten(1)  # (512, 4 places)
    together = (quarter.T @ quarter).view(PLACES, 4, PLACES, 4)
    for one in range(PLACES):
        for other in range(one):
            assert (together[one, :, other] == 32).all(), (one, other)


def test_a_mean_over_even_numbers_is_nearer_than_chance_and_not_beside() -> None:
    wrong: dict[str, list[float]] = {"even": [], "uniforms": []}
    for turn in range(40):  # each with a scrambling of its own
        seeds = range(turn << LOW, (turn << LOW) + 300)
        for name, draw in (("even", even), ("uniforms", uniforms)):
            u = draw(seeds, 6).double()
            wrong[name].append(float((1 + (u - 0.5) / torch.arange(1, 7)).prod(1).mean()) - 1)
    error = {name: torch.tensor(of).square().mean().sqrt() for name, of in wrong.items()}
    assert error["even"] < error["uniforms"] / 8
    assert abs(sum(wrong["even"]) / 40) < 3 * error["even"] / 40**0.5


def test_seeds_far_from_one_another_are_independent() -> None:
    u = even([turn << LOW for turn in range(4000)], PLACES)
    assert (u.mean(0) - 0.5).abs().max() < 0.02 and (torch.corrcoef(u.T) - torch.eye(PLACES)).abs().max() < 0.08
    beside = even([(turn << LOW) + 1 for turn in range(4000)], PLACES)
    assert beside.mean() == pytest.approx(0.5, abs=0.005)


def test_inversion_never_draws_the_impossible() -> None:
    weights = torch.tensor([[0.0, 3.0, 0.0, 1.0, 0.0]])
    u = torch.tensor([0.0, 0.5, 0.7499, 0.7501, 1 - 2.0**-24])
    assert drawn(weights.expand(5, -1), u).tolist() == [1, 1, 1, 3, 3]


def test_what_is_no_row_is_refused() -> None:
    assert cells(Spec((4,), tokens=4, sizes=SIZES), "mixture") == SIZES
    assert cells(Spec((3,), tokens=4), "mixture") == (4, 4, 4)
    for spec in (Spec((3, 8, 8)), Spec((9,), tokens=4, end=0)):
        with pytest.raises(OptionError, match="--family"):
            cells(spec, "mixture")
