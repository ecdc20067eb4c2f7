"""The project's own distributions against closed forms, exact sums, and torch's."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor, distributions

from morelike.core.distribution import (
    Bernoulli,
    Categorical,
    DiscretisedLogistic,
    Distribution,
    Normal,
    Point,
    per_item,
    seeded_noise,
)

SHAPE = (5, 2, 3, 4)


def normal() -> Normal:
    return Normal(torch.randn(SHAPE), torch.rand(SHAPE) + 0.1)


def logistic() -> DiscretisedLogistic:
    return DiscretisedLogistic(torch.rand(SHAPE) * 2.4 - 1.2, torch.rand(SHAPE) * 9 - 7)


MAKE = {
    "normal": normal,
    "bernoulli": lambda: Bernoulli(3 * torch.randn(SHAPE)),
    "logistic": logistic,
    "categorical": lambda: Categorical(torch.randn(*SHAPE, 7)),
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_keeps_the_batch_first_and_sums_the_rest(make) -> None:
    law: Distribution = make()
    x = law.sample()
    assert x.shape == law.mean.shape == SHAPE and not x.requires_grad
    total = law.log_prob(x)
    assert total.shape == SHAPE[:1] and total.isfinite().all()
    rows = [
        type(law)(*[getattr(law, name)[i : i + 1] for name in tensors(law)]).log_prob(x[i : i + 1]) for i in range(5)
    ]
    torch.testing.assert_close(total, torch.cat(rows))


def tensors(law: Distribution) -> list[str]:
    return [name for name, value in vars(law).items() if isinstance(value, Tensor)]


def test_normal_equals_torch() -> None:
    law, x = normal(), torch.randn(SHAPE)
    theirs = distributions.Independent(distributions.Normal(law.loc, law.scale), 3)
    torch.testing.assert_close(law.log_prob(x), theirs.log_prob(x))
    standard = distributions.Normal(torch.zeros(SHAPE), torch.ones(SHAPE))
    expected = distributions.kl_divergence(distributions.Normal(law.loc, law.scale), standard)
    torch.testing.assert_close(law.kl_parts(), expected)


def test_normal_with_a_constant_scale_is_the_mean_squared_error() -> None:
    loc, x, sigma = torch.randn(SHAPE), torch.randn(SHAPE), 0.1
    nll = -Normal(loc, torch.full(SHAPE, sigma)).log_prob(x)
    n = math.prod(SHAPE[1:])
    mse = (x - loc).square().flatten(1).mean(1)
    torch.testing.assert_close(nll, n * mse / (2 * sigma**2) + n * math.log(sigma * math.sqrt(2 * math.pi)))


def test_normal_samples_have_its_moments_and_carry_gradients() -> None:
    loc, scale = torch.tensor([[1.5], [-2.0]], requires_grad=True), torch.tensor([[0.5], [2.0]], requires_grad=True)
    many = Normal(loc.expand(2, 100_000), scale.expand(2, 100_000)).rsample()
    torch.testing.assert_close(many.mean(1), loc.detach()[:, 0], atol=0.03, rtol=0)
    torch.testing.assert_close(many.std(1), scale.detach()[:, 0], atol=0.03, rtol=0)
    many.sum().backward()
    assert loc.grad is not None and scale.grad is not None
    torch.testing.assert_close(loc.grad, torch.full((2, 1), 100_000.0))


def test_bernoulli_equals_torch_and_sums_to_one() -> None:
    law = Bernoulli(2 * torch.randn(4, 5))
    x = law.sample()
    assert set(x.unique().tolist()) <= {-1.0, 1.0}
    theirs = distributions.Independent(distributions.Bernoulli(logits=law.logits), 1)
    torch.testing.assert_close(law.log_prob(x), theirs.log_prob((x + 1) / 2))
    events = torch.tensor(list(product((-1.0, 1.0), repeat=5)))  # (32, 5)
    total = sum(law.log_prob(event.expand(4, 5)).exp() for event in events)
    torch.testing.assert_close(total, torch.ones(4))
    torch.testing.assert_close(law.mean, 2 * torch.sigmoid(law.logits) - 1)


def test_bernoulli_of_grey_values_is_the_cross_entropy() -> None:
    logits, x = torch.randn(3, 6), torch.rand(3, 6) * 2 - 1
    p, t = torch.sigmoid(logits), (x + 1) / 2
    torch.testing.assert_close(-Bernoulli(logits).log_prob(x), -(t * p.log() + (1 - t) * (1 - p).log()).sum(1))


def test_bernoulli_has_no_differentiable_sample() -> None:
    with pytest.raises(TypeError, match="no differentiable sample"):
        Bernoulli(torch.zeros(1, 1)).rsample()


@pytest.mark.parametrize("levels", [2, 16, 256])
@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 2.0])
def test_discretised_logistic_sums_to_one(levels: int, log_scale: float) -> None:
    grid = torch.linspace(-1, 1, levels, dtype=torch.float64).float()
    for loc in (-1.3, -1.0, -0.123, 0.5, 1.0):
        law = DiscretisedLogistic(torch.full((levels, 1), loc), torch.full((levels, 1), log_scale), levels)
        assert float(law.log_prob(grid[:, None]).double().exp().sum()) == pytest.approx(1, abs=2e-4)


def test_discretised_logistic_is_the_mass_of_a_bin() -> None:
    grid = torch.linspace(-1, 1, 256, dtype=torch.float64)
    loc, log_scale, half = 0.21, -2.5, 1 / 255
    scale = math.exp(log_scale)
    high, low = ((torch.sigmoid((grid + side - loc) / scale)) for side in (half, -half))
    high[-1], low[0] = 1.0, 0.0
    law = DiscretisedLogistic(torch.full((256, 1), loc), torch.full((256, 1), log_scale))
    torch.testing.assert_close(law.log_prob(grid[:, None].float()), (high - low).log().float(), atol=2e-3, rtol=1e-4)


def test_discretised_logistic_stays_finite_and_smooth_far_from_the_data() -> None:
    loc = torch.tensor([[-50.0], [50.0], [0.0], [0.0]], requires_grad=True)
    log_scale = torch.tensor([[-7.0], [-7.0], [-7.0], [5.0]], requires_grad=True)
    x = torch.tensor([[1.0], [-1.0], [0.5], [0.5]])
    DiscretisedLogistic(loc, log_scale).log_prob(x).sum().backward()
    assert loc.grad is not None and log_scale.grad is not None
    assert loc.grad.isfinite().all() and log_scale.grad.isfinite().all()
    assert loc.grad[0] > 0 > loc.grad[1]  # pulled back to the data, however far away


def test_discretised_logistic_samples_follow_its_probabilities() -> None:
    levels, n = 8, 200_000
    grid = torch.linspace(-1, 1, levels)
    law = DiscretisedLogistic(torch.full((n, 1), 0.3), torch.full((n, 1), -1.2), levels)
    drawn = law.sample()
    assert (drawn - grid).abs().min(1).values.max() < 1e-6  # every sample is one of the levels
    frequencies = torch.bincount(((drawn[:, 0] + 1) / 2 * (levels - 1)).round().long(), minlength=levels) / n
    few = DiscretisedLogistic(torch.full((levels, 1), 0.3), torch.full((levels, 1), -1.2), levels)
    torch.testing.assert_close(frequencies, few.log_prob(grid[:, None]).exp(), atol=5e-3, rtol=0)


def test_categorical_equals_torch_and_samples_by_its_probabilities() -> None:
    law, n = Categorical(torch.randn(4, 3, 6)), 50_000
    x = torch.randint(0, 6, (4, 3))
    theirs = distributions.Independent(distributions.Categorical(logits=law.logits), 1)
    torch.testing.assert_close(law.log_prob(x), theirs.log_prob(x))
    drawn = Categorical(law.logits[:1, :1].expand(n, 1, 6)).sample()
    assert drawn.dtype == torch.int64
    frequencies = torch.bincount(drawn[:, 0], minlength=6) / n
    torch.testing.assert_close(frequencies, law.logits[0, 0].softmax(-1), atol=0.01, rtol=0)


def test_categorical_relaxes_into_one_hot_rows_with_gradients() -> None:
    logits = torch.randn(4, 3, 6, requires_grad=True)
    soft = Categorical(logits).rsample()
    assert soft.shape == (4, 3, 6)
    torch.testing.assert_close(soft.sum(-1), torch.ones(4, 3))
    soft[..., 0].sum().backward()
    assert logits.grad is not None and logits.grad.abs().sum() > 0


def test_a_point_is_its_only_sample_and_has_no_density() -> None:
    loc = torch.randn(2, 3, requires_grad=True)
    law = Point(loc)
    assert law.rsample() is loc and not law.sample().requires_grad and torch.equal(law.mean, loc)
    with pytest.raises(TypeError, match="family with log_prob"):
        law.log_prob(loc)


@pytest.mark.parametrize("name", ["normal", "logistic"])
def test_half_precision_input_is_summed_in_single(name: str) -> None:
    law = MAKE[name]()
    x = law.sample()
    rough = type(law)(*[getattr(law, field).bfloat16() for field in tensors(law)])
    total = rough.log_prob(x.bfloat16())
    assert total.dtype == torch.float32 and total.isfinite().all()


def test_per_item_sums_all_but_the_batch() -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    assert per_item(x).tolist() == [66.0, 210.0] and per_item(x[0, 0]).shape == (4,)
    assert per_item(torch.full((1, 1000), 1.001, dtype=torch.bfloat16)).dtype == torch.float32


def test_seeded_noise_depends_on_its_own_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = seeded_noise(range(20), (3, 2))
    assert torch.equal(torch.get_rng_state(), before)  # torch's own generator is left alone
    assert torch.equal(seeded_noise([17, 3], (3, 2)), first[[17, 3]])
    assert len({tuple(row.flatten().tolist()) for row in first}) == 20
    assert seeded_noise([], (4,)).shape == (0, 4)
    many = seeded_noise(range(4000), (5,))
    assert abs(float(many.mean())) < 0.03 and abs(float(many.std()) - 1) < 0.03
