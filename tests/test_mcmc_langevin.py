"""Langevin kernels against densities whose moments are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import langevin, sgld, underdamped
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.metric import Metric

MEAN = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
COV = torch.tensor([[1.0, 0.7, 0.2], [0.7, 2.0, -0.3], [0.2, -0.3, 0.5]], dtype=torch.float64)
EXACT = [langevin.Kernel(), underdamped.Kernel(), underdamped.Kernel(friction=0.3)]
INEXACT = [langevin.Kernel(adjusted=False), underdamped.Kernel(adjusted=False), sgld.Kernel()]


class Correlated:
    """log N(q; MEAN, COV) up to a constant."""

    precision = torch.linalg.inv(COV)

    def __call__(self, q: Tensor) -> Tensor:
        return -0.5 * ((q - MEAN) @ self.precision * (q - MEAN)).sum(1)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return self(q), -(q - MEAN) @ self.precision


class Quartic:
    """log p = -q^4 / 4 for each of two numbers; E[q^2] = 2 Gamma(3/4) / Gamma(1/4) = 0.675978, E[q^4] = 1."""

    def __call__(self, q: Tensor) -> Tensor:
        return -(q**4).sum(1) / 4

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return self(q), -(q**3)


def walk(kernel, density, q: Tensor, tuning: Tuning, steps: int, skip: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Draws (steps - skip, C, D) and the mean probability of acceptance."""
    rng = torch.Generator().manual_seed(seed)
    state, places, accept = kernel.init(density, q), [], []
    for i in range(steps):
        state, info = kernel.step(density, state, tuning, rng)
        assert all(x.shape == (len(q),) for x in info)
        torch.testing.assert_close(state.logp, density(state.q))
        if i >= skip:
            places.append(state.q)
            accept.append(info.accept)
    return torch.stack(places), torch.stack(accept).mean()


def tuned(step: float, scale: Tensor) -> Tuning:
    return Tuning(Metric(scale), torch.tensor(step, dtype=torch.float64))


@pytest.mark.parametrize("kernel", EXACT, ids=str)
@pytest.mark.parametrize("dense", [True, False])
def test_moments_of_a_correlated_gaussian(kernel, dense: bool) -> None:
    scale = torch.linalg.cholesky(COV) if dense else COV.diagonal().sqrt()
    q = torch.zeros(400, 3, dtype=torch.float64)
    draws, accept = walk(kernel, Correlated(), q, tuned(0.8 if dense else 0.5, scale), 400, 100)
    flat = draws.flatten(0, 1)
    torch.testing.assert_close(flat.mean(0), MEAN, atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(flat.T), COV, atol=0.06, rtol=0.04)
    assert 0.5 < accept < 1


@pytest.mark.parametrize("kernel", [*EXACT, underdamped.Kernel(friction=5.0)], ids=str)
def test_long_steps_leave_no_error_behind(kernel) -> None:
    """With a step that is refused often, a chain without Metropolis' rule would be far off."""
    q = torch.rand(1000, 2, dtype=torch.float64) - 0.5
    draws, accept = walk(kernel, Quartic(), q, tuned(0.9, torch.ones(2, dtype=torch.float64)), 400, 50)
    assert 0.5 < accept < 0.95
    assert float(draws.square().mean()) == pytest.approx(0.675978, abs=0.008)
    assert float((draws**4).mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("kernel", INEXACT, ids=str)
def test_unadjusted_steps_leave_the_error_that_theory_gives(kernel) -> None:
    """Of N(0, 1): Langevin's steps give variance 1 / (1 - e^2 / 4); the splitting O B A B O the same."""
    step = 0.8
    gaussian, q = Correlated(), torch.randn(2000, 3, dtype=torch.float64)
    draws, _ = walk(kernel, gaussian, q, tuned(step, torch.linalg.cholesky(COV)), 200, 40)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(COV), (draws.flatten(0, 1) - MEAN).T, upper=False)
    torch.testing.assert_close(white.var(1), torch.full((3,), 1 / (1 - step**2 / 4)).double(), atol=0.03, rtol=0)


def test_a_momentum_keeps_its_course_and_a_refusal_turns_it_back() -> None:
    kernel, density = underdamped.Kernel(friction=0.0), Quartic()
    state = kernel.init(density, torch.zeros(1, 2, dtype=torch.float64))._replace(r=torch.ones(1, 2).double())
    small, wild = (tuned(step, torch.ones(2, dtype=torch.float64)) for step in (0.05, 60.0))
    rng = torch.Generator().manual_seed(0)
    for _ in range(10):
        state, _ = kernel.step(density, state, small, rng)
    assert bool((state.q > 0.4).all()) and bool((state.r > 0.9).all())
    refused, info = kernel.step(density, state, wild, rng)
    assert float(info.accept) == 0 and bool(info.diverging)
    torch.testing.assert_close(refused.q, state.q)
    torch.testing.assert_close(refused.r, -state.r)


def test_the_gradient_of_a_minibatch_finds_the_posterior_of_a_mean() -> None:
    """x_i ~ N(theta, 1), theta ~ N(0, 10): the posterior is N(sum x / (n + 1/10), 1 / (n + 1/10))."""
    n, part = 1000, 100
    data = 0.7 + torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    class Part:
        rng = torch.Generator().manual_seed(2)

        def __call__(self, q: Tensor) -> Tensor:
            return -0.05 * q[:, 0] ** 2 - n / part * 0.5 * (self.rows(q) - q).square().sum(1)

        def rows(self, q: Tensor) -> Tensor:
            return data[torch.randint(n, (len(q), part), generator=self.rng)]

        def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
            x = self.rows(q)
            return -0.05 * q[:, 0] ** 2, -0.1 * q + n / part * (x - q).sum(1, keepdim=True)

    scale = torch.tensor([(n + 0.1) ** -0.5], dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    kernel, density = sgld.Kernel(), Part()
    state, draws = kernel.init(density, torch.zeros(200, 1, dtype=torch.float64)), []
    for i in range(1500):
        state, _ = kernel.step(density, state, tuned(0.1, scale), rng)
        if i >= 1000:
            draws.append(state.q)
    found = torch.stack(draws)
    assert float(found.mean()) == pytest.approx(float(data.sum() / (n + 0.1)), abs=0.004)
    # the noise of the gradient, n^2 / part a step, adds e/4 n / part to the variance of one
    assert float(found.var() / scale**2) == pytest.approx(1 + 0.1**2 / 4 * (n / part + 1), abs=0.05)


def test_the_schedule_decays_and_comes_round() -> None:
    assert sgld.Kernel(decay=0.5)._schedule(3000)[0] == pytest.approx(0.5)
    shares = [sgld.Kernel(cycle=10, warm=0.3)._schedule(t) for t in range(11)]
    assert [share for share, _ in shares] == pytest.approx(
        [0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * t / 10)))) for t in range(10)] + [1.0]
    )
    assert [noisy for _, noisy in shares] == [0.0] * 3 + [1.0] * 7 + [0.0]
    with pytest.raises(OptionError, match="decay is 2"):
        sgld.Kernel(decay=2.0)
