"""Tempered sequential Monte Carlo: evidences that are known, and draws of their densities."""

from __future__ import annotations

import math

import pytest
import torch
from mcmc_law import Law
from torch import Tensor
from torch.distributions import MultivariateNormal

from morelike.core.errors import OptionError, TrainingError
from morelike.samplers.mcmc import discrete, hmc, metropolis, slice, smc


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(8)


def base(dims: int, sd: float, dtype: torch.dtype = torch.float64) -> smc.Gaussian:
    return smc.Gaussian(torch.zeros(dims, dtype=dtype), torch.full((dims,), sd, dtype=dtype))


def regression() -> tuple[Law, float, Tensor, Tensor]:
    """Bayesian linear regression: log joint, log evidence, and the mean and covariance of the posterior."""
    torch.manual_seed(2)
    X, y = torch.randn(30, 4, dtype=torch.float64), torch.randn(30, dtype=torch.float64)
    y = y + X @ torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    prior = base(4, 3.0)
    evidence = MultivariateNormal(torch.zeros(30, dtype=torch.float64), 9 * X @ X.T + torch.eye(30)).log_prob(y)
    covariance = torch.linalg.inv(X.T @ X + torch.eye(4) / 9)

    def joint(q: Tensor) -> Tensor:
        return prior(q) - 0.5 * (y - q @ X.T).square().sum(1) - 15 * math.log(2 * math.pi)

    return Law(joint), float(evidence), covariance @ X.T @ y, covariance


@pytest.mark.parametrize("kernel", [metropolis.Kernel(), hmc.Kernel(), slice.Kernel()], ids=lambda k: k.__module__)
def test_the_evidence_of_a_regression(kernel) -> None:
    law, evidence, mean, covariance = regression()
    moves = 2 if isinstance(kernel, slice.Kernel | hmc.Kernel) else 10
    found = smc.smc(law, base(4, 3.0), rng(), smc.Plan(256, 8, kernel, moves))
    assert 0 < found.error < 0.15 and abs(found.log_evidence - evidence) < 4.5 * found.error
    assert found.q.shape == (2048, 4) and found.log_weights.logsumexp(0).abs() < 1e-9
    sd = covariance.diagonal().sqrt()
    assert ((found.mean(found.q) - mean).abs() < 0.15 * sd).all()
    away = found.q - mean
    spread = found.mean(away[:, :, None] * away[:, None]) / (sd[:, None] * sd)
    torch.testing.assert_close(spread, covariance / (sd[:, None] * sd), atol=0.15, rtol=0)
    if kernel.target is not None:
        assert (found.accept > 0.1).all()


def test_both_hills_are_kept_with_their_shares() -> None:
    """Z = 5 of 0.25 N(-6, 0.5^2) + 0.75 N(6, 1)."""

    def log_prob(q: Tensor) -> Tensor:
        left = math.log(0.25 / 0.5) - 0.5 * ((q[:, 0] + 6) / 0.5) ** 2
        return (
            math.log(5) - 0.5 * math.log(2 * math.pi) + torch.logaddexp(left, math.log(0.75) - 0.5 * (q[:, 0] - 6) ** 2)
        )

    found = smc.smc(Law(log_prob), base(1, 10.0), rng(), smc.Plan(particles=1000))
    assert 0 < found.error < 0.1 and abs(found.log_evidence - math.log(5)) < 4.5 * found.error
    share = (found.q[:, 0] < 0).double().unflatten(0, (8, -1)).mean(1)
    assert abs(found.mean(found.q[:, :1] < 0).squeeze() - 0.25) < 4.5 * share.std() / 8**0.5 + 0.01


def test_errors_are_as_large_as_they_say() -> None:
    """Of 40 runs, the squares of (found - true) / error have a mean of about one."""
    law, evidence, *_ = regression()
    runs = [smc.smc(law, base(4, 3.0), torch.Generator().manual_seed(s), smc.Plan(64, 8, moves=5)) for s in range(40)]
    z = torch.stack([(r.log_evidence - evidence) / r.error for r in runs])
    assert 0.4 < z.square().mean() < 2.5, z  # of a t distribution with seven degrees of freedom 1.4


def test_half_of_the_particles_stay_effective() -> None:
    beta, height = torch.tensor([0.0, 0.9], dtype=torch.float64), 9 * torch.randn(2, 1000, dtype=torch.float64)
    height[1] *= 0.01
    after, log_w = smc._next(beta, height, 500)
    ess = 1 / torch.softmax(log_w, 1).square().sum(1)
    assert abs(ess[0] - 500) < 1 and 0 < after[0] < 1 and after[1] == 1 and ess[1] > 500


def test_systematic_resampling_takes_each_as_often_as_it_weighs() -> None:
    log_w = torch.randn(3, 200, dtype=torch.float64)
    rows = smc._systematic(log_w, rng()).unflatten(0, (3, 200))
    for i in range(3):
        times = torch.bincount(rows[i] - 200 * i, minlength=200)
        assert ((times - 200 * torch.softmax(log_w[i], 0)).abs() < 1 + 1e-9).all()
    none = torch.full((1, 5), -torch.inf, dtype=torch.float64)
    none[0, 2] = 0.0
    assert (smc._systematic(none, rng()) == 2).all()


def test_single_precision_and_one_island() -> None:
    found = smc.smc(Law(lambda q: -0.5 * q.square().sum(1)), base(3, 2.0, torch.float32), rng(), smc.Plan(2000, 1))
    assert found.q.dtype == torch.float32 and found.error.isnan()
    assert abs(found.log_evidence - 1.5 * math.log(2 * math.pi)) < 0.2


def test_part_of_the_base_may_be_impossible() -> None:
    """A half normal: Z = sqrt(pi / 2)."""
    law = Law(lambda q: torch.where(q[:, 0] > 0, -0.5 * q[:, 0] ** 2, -torch.inf))
    found = smc.smc(law, base(1, 2.0), rng(), smc.Plan(1000))
    assert abs(found.log_evidence - 0.5 * math.log(math.pi / 2)) < 4.5 * found.error and (found.q > 0).all()


def test_what_cannot_be_is_named() -> None:
    for wrong in ({"particles": 1}, {"ess": 1.0}, {"moves": 0}, {"kernel": discrete.Kernel()}):
        with pytest.raises(OptionError):
            smc.Plan(**wrong)
    with pytest.raises(TrainingError, match="every particle"):
        smc.smc(Law(lambda q: q[:, 0] * torch.nan), base(2, 1.0), rng(), smc.Plan(50))


def test_the_evidence_of_a_model_is_that_of_the_closed_form() -> None:
    from torch.distributions import Gamma, Normal

    from morelike import mcmc

    y = torch.tensor([1.2, 0.3, 2.2, 1.9], dtype=torch.float64)
    joint = MultivariateNormal(torch.zeros(4).double(), torch.eye(4).double() + 4)  # mu ~ N(0, 2), y_i ~ N(mu, 1)

    def model(mu: Tensor) -> Tensor:
        return Normal(0.0, 2.0).log_prob(mu) + Normal(mu, 1.0).log_prob(y).sum()

    found = mcmc.evidence(model, {"mu": torch.tensor(0.0).double()}, seed=1)
    assert abs(found.log_z - float(joint.log_prob(y))) < max(4 * found.error, 0.02) and found.error < 0.1
    bounded = mcmc.evidence(lambda t: Gamma(3.0, 2.0).log_prob(t) + 1.5, {"t": 1.0}, supports={"t": mcmc.positive})
    assert abs(bounded.log_z - 1.5) < max(4 * bounded.error, 0.02)
    assert bool((bounded.values["t"] > 0).all()) and abs(float(bounded.values["t"].mean()) - 1.5) < 0.1
