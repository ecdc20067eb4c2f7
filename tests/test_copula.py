"""A Gaussian copula against one of which all is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.core.spec import Batch, Spec
from morelike.families import copula
from morelike.train.game import Game

RHO = 0.8
SPEC = Spec((5,), tokens=4, sizes=(4, 3, 4, 3, 2), columns=(2, 2, 1))  # two numbers of 12 parts each, and a flag


def rows(n: int, seed: int = 0) -> Tensor:
    """Normal numbers of which the first two have correlation RHO, in parts of equal share; the flag goes with them."""
    e = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = torch.stack([e[:, 0], RHO * e[:, 0] + math.sqrt(1 - RHO**2) * e[:, 1], e[:, 0]], 1)
    parts = (torch.special.ndtr(z) * 12).long().clamp_max(11)
    return torch.stack([parts[:, 0] // 3, parts[:, 0] % 3, parts[:, 1] // 3, parts[:, 1] % 3, (z[:, 2] > 0).long()], 1)


@pytest.fixture(scope="module")
def trained() -> copula.Model:
    torch.manual_seed(0)
    family, x = copula.tiny(SPEC), rows(4000)
    family.begin([Batch(x)], len(x))
    game = Game(family)
    for step in range(60):
        game.turn(Batch(x[torch.randint(len(x), (256,))]), step, step / 60)
    family.load_state_dict(game.weights())
    return family.eval()


@pytest.fixture(scope="module")
def known() -> copula.Model:
    """Two even cells of two values each, the latent correlation of which is RHO."""
    family = copula.tiny(Spec((2,), tokens=2, sizes=(2, 2)))
    with torch.no_grad():
        family.factor.copy_(torch.tensor([[1.0, 0.0], [RHO, math.sqrt(1 - RHO**2)]]))
    return family


def test_the_correlation_of_what_was_made_with_it_is_found(trained: copula.Model) -> None:
    with torch.no_grad():
        r = trained.triangle() @ trained.triangle().T
    torch.testing.assert_close(r.diagonal(), torch.ones(3, dtype=torch.float64))
    assert float(r[0, 1]) == pytest.approx(RHO, abs=0.02) and float(r[0, 2]) > 0.85
    assert trained.values == [12, 12, 2]


def test_the_probability_of_a_quarter_of_the_plane_is_the_arcsine(known: copula.Model) -> None:
    """P(z_1 < 0, z_2 < 0) = 1/4 + asin(rho) / 2 pi (Sheppard 1899)."""
    x = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1], [-1, 0], [-1, -1]])
    same = 0.25 + math.asin(RHO) / (2 * math.pi)
    u = torch.rand(1, 4000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        p = known.estimate(x, known.centre({}, 6), u).exp()
        rough = known.log_prob(Batch(x)).exp()
    expected = torch.tensor([same, 0.5 - same, 0.5 - same, same, 0.5, 1.0])
    torch.testing.assert_close(p.float(), expected, atol=0.005, rtol=0)
    torch.testing.assert_close(rough, expected, atol=0.05, rtol=0)


def test_cells_are_drawn_given_others_as_by_bayes_rule(known: copula.Model) -> None:
    n, same = 20_000, 0.5 + math.asin(RHO) / math.pi
    for t in (0, 1):  # what is known may stand before or behind what is drawn
        x = torch.zeros(n, 2, dtype=torch.long)
        made = known.infill(x, (torch.arange(2) == t).expand(n, -1), range(n))
        assert not made[:, t].any() and float((made[:, 1 - t] == 0).double().mean()) == pytest.approx(same, abs=0.015)


def test_samples_have_the_columns_laws_and_go_together_as_the_data_do(trained: copula.Model) -> None:
    real, made = rows(4000), trained.sample(range(4000))
    assert torch.equal(trained.sample(range(5, 9)), made[5:9])
    for t, size in enumerate(SPEC.sizes or ()):
        shares = [torch.bincount(one[:, t], minlength=size) / 4000 for one in (real, made)]
        torch.testing.assert_close(*shares, atol=0.03, rtol=0)
    numbers = [torch.stack([3 * one[:, 0] + one[:, 1], 3 * one[:, 2] + one[:, 3]]).double() for one in (real, made)]
    assert float(torch.corrcoef(numbers[0])[0, 1]) == pytest.approx(float(torch.corrcoef(numbers[1])[0, 1]), abs=0.03)


def test_a_group_without_its_part_is_all_its_parts(trained: copula.Model) -> None:
    each = torch.tensor([[2, part, -1, -1, -1] for part in range(3)])
    with torch.no_grad():
        parts, whole = (trained.log_prob(Batch(one)).exp() for one in (each, torch.tensor([[2, -1, -1, -1, -1]])))
    assert float(parts.sum()) == pytest.approx(float(whole), abs=1e-4)


def test_very_many_columns_are_refused() -> None:
    with pytest.raises(OptionError, match="201 columns"):
        copula.tiny(Spec((201,), tokens=2, sizes=(2,) * 201))


def test_values_of_a_category_stand_in_the_order_in_which_they_go_with_the_rest() -> None:
    """The codes of five values are shuffled: the order that is found is theirs, or its reverse."""
    z = torch.randn(3000, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    z[:, 1] = RHO * z[:, 0] + math.sqrt(1 - RHO**2) * z[:, 1]
    parts, code = (torch.special.ndtr(z) * 5).long().clamp_max(4), torch.tensor([3, 0, 4, 1, 2])
    x = torch.stack([code[parts[:, 0]], parts[:, 1]], 1)
    torch.manual_seed(0)
    family = copula.tiny(Spec((2,), tokens=5, sizes=(5, 5), columns=(1, 1)))
    family.begin([Batch(x)], len(x))
    found = family.value[:5].tolist()
    assert found in (code.tolist(), code.tolist()[::-1])
    made = family.sample(range(3000))
    tables = [torch.bincount(5 * one[:, 0] + one[:, 1], minlength=25) / 3000 for one in (x, made)]
    torch.testing.assert_close(*tables, atol=0.03, rtol=0)
