"""Regressions in several orders, against tables of which all is known."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.core.spec import Batch, Spec
from morelike.families import regressions
from morelike.nn.evidence import ridges
from morelike.nn.variables import Variable, counted, log_between, paired
from morelike.train.game import Game

RHO = 0.8
SPEC = Spec((5,), tokens=4, sizes=(4, 3, 4, 3, 3), columns=(2, 2, 1))  # two numbers of 12 parts each, and a category


def rows(n: int, seed: int = 0) -> Tensor:
    """Normal numbers of correlation RHO, in parts of equal share; the category is the third of the first one."""
    e = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = torch.stack([e[:, 0], RHO * e[:, 0] + math.sqrt(1 - RHO**2) * e[:, 1]], 1)
    parts = (torch.special.ndtr(z) * 12).long().clamp_max(11)
    return torch.stack([parts[:, 0] // 3, parts[:, 0] % 3, parts[:, 1] // 3, parts[:, 1] % 3, parts[:, 0] // 4], 1)


def trained(spec: Spec, x: Tensor, steps: int = 100, given: Tensor | None = None) -> regressions.Model:
    torch.manual_seed(0)
    family = regressions.tiny(spec)
    batch = Batch(x, {} if given is None else {"label": given})
    family.begin([batch], len(x))
    game = Game(family)
    for step in range(steps):
        game.turn(batch, step, step / steps)
    family.load_state_dict(game.weights())
    return family.eval()


@pytest.fixture(scope="module")
def known() -> regressions.Model:
    return trained(SPEC, rows(1500))


def all_rows(sizes: tuple[int, ...]) -> Tensor:
    return torch.tensor(list(itertools.product(*(range(size) for size in sizes))))


def test_probabilities_of_all_rows_sum_to_one_and_parts_of_rows_are_sums_of_them(known: regressions.Model) -> None:
    x = all_rows(SPEC.sizes or ())
    with torch.no_grad():
        p = known.log_prob(Batch(x)).exp()
        some = torch.tensor([[2, -1, -1, -1, -1], [-1, -1, 1, 2, -1], [-1, -1, -1, -1, 0]])
        found = known.log_prob(Batch(some)).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-4)
    exact = torch.stack([p[((one < 0) | (x == one)).all(1)].sum() for one in some])
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0)


def test_samples_go_together_as_the_data_do(known: regressions.Model) -> None:
    real, made = rows(4000, 1), known.sample(range(4000))
    assert torch.equal(known.sample(range(5, 9)), made[5:9])
    numbers = [torch.stack([3 * one[:, 0] + one[:, 1], 3 * one[:, 2] + one[:, 3]]).double() for one in (real, made)]
    correlation = [float(torch.corrcoef(one)[0, 1]) for one in numbers]
    assert correlation[1] == pytest.approx(correlation[0], abs=0.03)
    third = (3 * made[:, 0] + made[:, 1]) // 4
    assert float((made[:, 4] == third).double().mean()) > 0.75  # not 1: a third of a normal law is no normal law
    with torch.no_grad():
        nats = [float(-known.log_prob(Batch(one)).mean()) for one in (real, made)]
    assert nats[1] == pytest.approx(nats[0], abs=0.3)


def test_cells_are_drawn_given_others_as_by_bayes_rule(known: regressions.Model) -> None:
    x = all_rows(SPEC.sizes or ())
    given = torch.tensor([-1, -1, 3, 1, 2])
    with torch.no_grad():
        there = x[((given < 0) | (x == given)).all(1)]
        exact = known.log_prob(Batch(there)).softmax(0)
    made = known.infill(given.expand(6000, -1), given.expand(6000, -1) >= 0, range(6000))
    assert torch.equal(made[:, [2, 3, 4]], given[[2, 3, 4]].expand(6000, -1))
    shares = torch.bincount(3 * made[:, 0] + made[:, 1], minlength=12) / 6000
    torch.testing.assert_close(shares, exact, atol=0.03, rtol=0)


def test_a_mass_is_told_apart_from_the_numbers_around_it() -> None:
    """Half of the rows lack a number, which only a category tells; the others go with a second number."""
    x = rows(1500)
    gone = torch.rand(1500, generator=torch.Generator().manual_seed(2)) < torch.tensor([0.9, 0.5, 0.1])[x[:, 4]]
    x = torch.stack([torch.where(gone, 0, x[:, 2] + 1), torch.where(gone, 0, x[:, 3]), x[:, 4]], 1)
    spec = Spec((3,), tokens=5, sizes=(5, 3, 3), columns=(2, 1))
    family = trained(spec, x)
    assert family.variables[0].kind.tolist() == [1, 1, 1, *[0] * 12]
    made = family.sample(range(6000))
    for value in range(3):
        share = [float((one[one[:, 2] == value, 0] == 0).double().mean()) for one in (x, made)]
        assert share[1] == pytest.approx(share[0], abs=0.04)


def test_what_tells_much_is_hardly_drawn_to_nothing() -> None:
    """Of two columns that agree in all rows but a few; with N(0, 1 / 16) as the prior it is 0.94 of them."""
    n, random = 200, torch.Generator().manual_seed(5)
    one = torch.randint(0, 2, (n,), generator=random)
    two = torch.where(torch.arange(n) < 4, 1 - one, one)
    family = trained(Spec((2,), tokens=2, sizes=(2, 2), columns=(1, 1)), torch.stack([one, two], 1), steps=200)
    made = family.sample(range(4000))
    assert float((made[:, 0] == made[:, 1]).double().mean()) > 0.955  # of the data 0.98


def test_a_label_moves_what_is_drawn() -> None:
    y = torch.arange(1000) % 2
    u = torch.rand(1000, generator=torch.Generator().manual_seed(3))
    x = torch.stack([(u < 0.2 + 0.6 * y).long(), (u * 7919 % 1 < 0.5).long()], 1)
    spec = Spec((2,), tokens=2, sizes=(2, 2), columns=(1, 1), given={"label": Spec((), tokens=2)})
    family = trained(spec, x, given=y)
    for label, share in ((0, 0.2), (1, 0.8)):
        made = family.sample(range(4000), {"label": torch.full((4000,), label)})
        assert float(made[:, 0].double().mean()) == pytest.approx(share, abs=0.04)


def test_intervals_far_out_on_either_side_have_a_finite_logarithm() -> None:
    a = torch.tensor([-1.0, 9.0, -9.5, 40.0, -100.0], dtype=torch.float64)
    b = torch.tensor([1.0, 9.5, -9.0, 41.0, 100.0], dtype=torch.float64)
    found = log_between(a, b)
    assert float(found[0]) == pytest.approx(math.log(math.erf(1 / math.sqrt(2))))
    assert float(found[1]) == pytest.approx(float(found[2])) and -45 < float(found[1]) < -43
    assert -805 < float(found[3]) < -804 and float(found[4]) == pytest.approx(0)


def test_a_number_that_nothing_is_told_of_has_the_frequencies_of_the_data() -> None:
    x = torch.stack([torch.arange(60) % 4, torch.arange(60) % 3], 1)
    x[:15] = torch.tensor([4, 0])
    one = Variable((5, 3), 0, 1)
    one.learn(x)
    expected = counted(x[:, 0], x[:, 1], 15, 3)
    torch.testing.assert_close(one.law(one.starts()).exp(), expected / expected.sum())
    assert paired((5, 3, 70, 70, 2), (2, 2, 1)) == [(0, 1), (2, -1), (3, -1), (4, -1)]


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(OptionError, match="weights"):
        regressions.tiny(Spec((60,), tokens=100, sizes=(100,) * 60))


def test_numbers_come_before_categories_in_every_order() -> None:
    family = regressions.Model(Spec((5,), tokens=6, sizes=(3, 6, 4, 2, 5), columns=(1, 2, 1, 1)), regressions.Config())
    assert [one.number for one in family.variables] == [False, True, False, False]
    assert (family.rank[:, 1] == 0).all() and (family.rank.sort(1).values == torch.arange(4)).all()


def test_many_columns_that_are_mostly_empty_stay_so_after_few_steps() -> None:
    torch.manual_seed(1)
    x = torch.where(torch.rand(120, 150) < 0.05, torch.randint(1, 4, (120, 150)), 0)
    family = trained(Spec((150,), tokens=4, sizes=(4,) * 150), x, steps=10)
    made = (family.sample(range(300)) > 0).sum(1).float().mean()
    assert float(made) == pytest.approx(float((x > 0).sum(1).float().mean()), rel=0.3)


def test_ridges_tell_columns_that_say_nothing_of_each_other() -> None:
    rng = torch.Generator().manual_seed(0)
    sizes = (120, 6, 5)  # what leads, what follows from it, and what has nothing to do with either
    lead = torch.randint(120, (1_200,), generator=rng)
    follows = torch.where(torch.rand(1_200, generator=rng) < 0.6, lead % 6, torch.randint(6, (1_200,), generator=rng))
    x = torch.stack([lead, follows, torch.randint(5, (1_200,), generator=rng)], 1)
    variables = [Variable(sizes, place, -1) for place in range(3)]
    for one in variables:
        one.learn(x)
    phi = torch.cat([one.traits[one.value(x)] for one in variables], 1).double()
    found = ridges(variables, x, phi, 24.0)
    assert found.shape == (sum(one.traits.shape[1] for one in variables), sum(one.outputs for one in variables))
    hot, six, five = slice(1, 121), slice(122, 128), slice(129, None)  # traits
    tied, free = slice(121, 127), slice(128, 133)  # classes
    assert found[hot, tied].max() < 100 and found[hot, free].min() > 2_000
    assert found[five, :120].min() > 500 and found[six, :120].max() < 100
    assert (found[six, free] == 24).all()  # so few weights are left as they are


def test_what_is_only_ever_given_comes_first_and_costs_no_draws() -> None:
    family = trained(replace(SPEC, known=(False, False, False, False, True)), rows(800), steps=30)
    assert (family.rank[:, 2] == 0).all() and regressions.tiny(SPEC).rank[:, 2].min() == 2  # else categories are last
    every, known = all_rows(SPEC.sizes or ()), torch.full((3, 5), -1)
    known[:, 4] = torch.arange(3)
    p = family.log_prob(Batch(every)).double().exp()
    sums = torch.stack([p[every[:, 4] == c].sum() for c in range(3)])
    assert torch.allclose(family.log_prob(Batch(known)).double().exp(), sums, atol=1e-5)
    made = family.infill(known.repeat(500, 1), known.repeat(500, 1) >= 0, range(1500))
    assert torch.equal(made[:, 4], known[:, 4].repeat(500))
    third = (made[:, 0] * 3 + made[:, 1]) // 4
    assert (third == made[:, 4]).double().mean() > 0.8
