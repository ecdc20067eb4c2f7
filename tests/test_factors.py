"""Factors behind many columns, and regressions that hear them, against tables of which all is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from morelike.core.spec import Batch, Spec
from morelike.families import regressions
from morelike.nn.factors import FOLDS, Factors, factored, fold_of, log_likely, related, strongest
from morelike.train.game import Game


def scores(n: int, columns: int, seed: int = 0, law: int = 1) -> tuple[Tensor, Tensor]:
    """Rows of variance 1 with two factors, and the loadings."""
    loading = torch.randn(columns, 2, generator=torch.Generator().manual_seed(law), dtype=torch.float64)
    loading = 0.8 * loading / loading.norm(dim=1, keepdim=True)
    random = torch.Generator().manual_seed(seed)
    f, e = (torch.randn(n, size, generator=random, dtype=torch.float64) for size in (2, columns))
    return f @ loading.T + 0.6 * e, loading


def trained(spec: Spec, x: Tensor, steps: int, most: int | None) -> regressions.Model:
    torch.manual_seed(0)
    family = regressions.Model(spec, regressions.Config(orders=2, most=most))
    family.begin([Batch(x)], len(x))
    game = Game(family)
    for step in range(steps):
        game.turn(Batch(x), step, step / steps)
    family.load_state_dict(game.weights())
    return family.eval()


def nats(family: regressions.Model, x: Tensor) -> float:
    with torch.no_grad():
        return float(-family.log_prob(Batch(x)).mean())


def likert(n: int, seed: int) -> Tensor:
    """Sixty questions of five answers on two factors; the last one is 0 wherever the one before it is not."""
    z, _ = scores(n, 60, seed)
    x = (z[:, :, None] > torch.tensor([-1.0, -0.3, 0.3, 1.0])).sum(2)
    x[:, 59] = torch.where(x[:, 58] > 0, 0, x[:, 59])
    return x


def test_forecasts_are_the_means_of_a_normal_law_given_what_comes_before() -> None:
    z, loading = scores(20_000, 12)
    rank = torch.stack([torch.arange(12), torch.arange(12).flip(0)])
    factors = Factors(12, 2)
    factors.learn(z, fold_of(torch.arange(len(z))[:, None]), rank)
    covariance = loading @ loading.T + 0.36 * torch.eye(12).double()
    some = z[:50].float()
    found = factors.forecast(some, rank)
    for m, order in enumerate((list(range(12)), list(range(11, -1, -1)))):
        before, last = order[:-1], order[-1]
        weight = torch.linalg.solve(covariance[before][:, before], covariance[before, last])
        torch.testing.assert_close(found[m, :, last], some[:, before] @ weight.float(), atol=0.08, rtol=0)
        assert not found[m, :, order[0]].any()  # nothing comes before it


def test_rows_learnt_from_are_forecast_no_better_than_new_ones() -> None:
    """Forty rows of 200 columns: factors that have seen a row know its noise."""
    (z, _), (new, _) = scores(40, 200), scores(500, 200, seed=2)
    rank, fold = torch.arange(200)[None], torch.arange(40) % FOLDS
    factors = Factors(200, 1)
    factors.learn(z, fold, rank)
    z, new = z.float(), new.float()
    seen, apart = (float((z - factors.forecast(z, rank, one)[0]).square().mean()) for one in (None, fold))
    fresh = float((new - factors.forecast(new, rank)[0]).square().mean())
    assert seen < fresh < apart < 1.25 * fresh


def test_the_likelihood_of_factors_is_that_of_a_normal_law() -> None:
    z, _ = scores(300, 8)
    loading, psi = factored(z, 2)
    law = torch.distributions.MultivariateNormal(torch.zeros(8).double(), loading @ loading.T + psi.diag())
    constant = 4 * math.log(2 * math.pi)
    torch.testing.assert_close(log_likely(z, loading, psi) - constant, law.log_prob(z))


def test_what_goes_most_with_a_column_is_heard_where_it_comes_before() -> None:
    random = torch.Generator().manual_seed(0)
    told = torch.randn(400, 6, generator=random)
    said = torch.stack([told[:, 3] + 0.1 * torch.randn(400, generator=random), told[:, 0]], 1)
    square = related(told, said, torch.tensor([0, 1]), 2)
    assert square[0].argmax() == 3 and square[1].argmax() == 0 and float(square[0, 3]) > 0.95
    owner = torch.tensor([-1, 0, 0, 1, 1, 1])
    heard = strongest(square, torch.tensor([[1, 0], [0, 1]]), owner, 2, least=0.5)
    assert heard[0].tolist() == [[3, 6], [0, 6]]  # what is said before all may always be heard
    assert heard[1].tolist() == [[6, 6], [0, 6]]  # trait 3 is of a column that comes later


def test_probabilities_of_a_table_with_factors_sum_to_one_and_samples_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regressions, "USUAL", 0)
    z, _ = scores(1500, 4)
    parts = (torch.special.ndtr(z) * 6).long().clamp_max(5)
    x = torch.stack([parts[:, 0] // 3, parts[:, 0] % 3, parts[:, 1] // 2, parts[:, 2] // 2, parts[:, 3] // 3], 1)
    spec = Spec((5,), tokens=3, sizes=(2, 3, 3, 3, 2), columns=(2, 1, 1, 1))
    family = trained(spec, x, 30, most=3)
    assert family.sparse and (family.heard < family.wide).any() and family.factors.pull.abs().sum() > 0
    every = torch.tensor(list(itertools.product(*(range(size) for size in spec.sizes or ()))))
    with torch.no_grad():
        p = family.log_prob(Batch(every)).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-4)
    made, index = family.sample(range(8000)), torch.tensor([54, 18, 6, 2, 1])
    shares = torch.bincount((made * index).sum(1), minlength=108) / 8000
    torch.testing.assert_close(shares, p, atol=0.01, rtol=0)
    given = torch.tensor([-1, -1, 2, -1, 1]).expand(4000, -1)
    there = ((given[0] < 0) | (every == given[0])).all(1)
    filled = family.infill(given, given >= 0, range(4000))
    first = torch.bincount(3 * filled[:, 0] + filled[:, 1], minlength=6) / 4000
    exact = torch.zeros(6).index_add_(0, 3 * every[there, 0] + every[there, 1], p[there] / p[there].sum())
    torch.testing.assert_close(first, exact, atol=0.04, rtol=0)


def test_of_many_columns_factors_and_a_few_traits_are_likelier_than_all_traits() -> None:
    x, new, spec = likert(200, 3), likert(500, 4), Spec((60,), tokens=5, sizes=(5,) * 60)
    family, whole = trained(spec, x, 15, most=10), trained(spec, x, 15, most=None)
    assert family.sparse and not whole.sparse and nats(family, new) < nats(whole, new) - 2
    made = family.sample(range(400))
    assert float(((made[:, 58] > 0) & (made[:, 59] > 0)).double().mean()) < 0.06  # never in the data
    assert nats(family, made) == pytest.approx(nats(family, new), abs=3)


def test_a_model_of_many_columns_is_whole_after_it_was_kept() -> None:
    x, spec = likert(120, 5), Spec((60,), tokens=5, sizes=(5,) * 60)
    family = trained(spec, x, 2, most=5)
    other = regressions.Model(spec, regressions.Config(orders=2, most=5))
    other.load_state_dict(family.state_dict())
    assert torch.equal(other.eval().sample(range(8)), family.sample(range(8))) and nats(other, x) == nats(family, x)
