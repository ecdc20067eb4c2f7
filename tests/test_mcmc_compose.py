"""Energies put together, against Gaussians whose product and mixture are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.samplers.mcmc import hmc, langevin
from morelike.samplers.mcmc.compose import Boltzmann, Energy, mixture, negation, product
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.metric import Metric


def gaussian(mean: float, variance: float) -> Energy:
    """-log N(x; mean, variance I) of items (C, 1, 2)."""
    log_z = torch.log(torch.tensor(2 * torch.pi * variance, dtype=torch.float64))
    return lambda x: ((x - mean).square() / (2 * variance) + log_z / 2).flatten(1).sum(1)


def drawn(density: Boltzmann, step: float, n: int = 600, kernel=None) -> Tensor:
    """Items (C * steps, 1, 2) by Langevin steps with Metropolis' rule."""
    kernel = kernel or langevin.Kernel()
    rng = torch.Generator().manual_seed(0)
    q = torch.randn(300, 2, dtype=torch.float64, generator=rng)
    state, seen = kernel.init(density, q), []
    for i in range(n):
        state, _ = kernel.step(density, state, Tuning(Metric.unit(q), torch.tensor(step).double()), rng)
        if i >= n // 3:
            seen.append(density.join(state.q))
    return torch.cat(seen)


def test_a_product_of_gaussians_is_the_gaussian_that_it_should_be() -> None:
    both = product([gaussian(-1.0, 1.0), gaussian(2.0, 0.5)])  # precisions 1 and 2 add up to 3, the mean is 3/3
    x = drawn(Boltzmann(both, (1, 2)), 0.8)
    assert float(x.mean()) == pytest.approx(1.0, abs=0.02) and float(x.var()) == pytest.approx(1 / 3, abs=0.01)
    heavy = product([gaussian(-1.0, 1.0), gaussian(2.0, 0.5)], [2.0, 0.5])  # precisions 2 and 1, mean (-2 + 2) / 3
    x = drawn(Boltzmann(heavy, (1, 2)), 0.8, kernel=hmc.Kernel())
    assert float(x.mean()) == pytest.approx(0.0, abs=0.02) and float(x.var()) == pytest.approx(1 / 3, abs=0.01)


def test_a_negation_moves_away() -> None:
    # precision 1 - 0.5 / 2 = 0.75, mean (1 * 1 - 0.25 * 3) / 0.75 = 1/3: away from the 3 that is unwanted
    x = drawn(Boltzmann(negation(gaussian(1.0, 1.0), gaussian(3.0, 2.0), 0.5), (1, 2)), 1.0)
    assert float(x.mean()) == pytest.approx(1 / 3, abs=0.03) and float(x.var()) == pytest.approx(4 / 3, abs=0.05)


def test_a_mixture_has_the_density_of_the_mixture() -> None:
    x = torch.randn(50, 1, 2, dtype=torch.float64)
    a, b = gaussian(0.0, 1.0), gaussian(1.0, 0.3)
    expected = 0.25 * torch.exp(-a(x)) + 0.75 * torch.exp(-b(x))
    torch.testing.assert_close(mixture([a, b], [0.25, 0.75])(x), -expected.log())
    x = drawn(Boltzmann(mixture([gaussian(-0.7, 0.5), gaussian(0.7, 0.5)], [0.3, 0.7]), (1, 2)), 0.7, 900)
    assert float(x.mean()) == pytest.approx(0.4 * 0.7, abs=0.04)


def test_temperature_widens() -> None:
    x = drawn(Boltzmann(gaussian(0.0, 1.0), (1, 2), temperature=2.0), 1.2)
    assert float(x.var()) == pytest.approx(2.0, abs=0.06)


def test_what_is_held_stays_and_the_rest_follows_the_conditional_law() -> None:
    """A pair with correlation 0.8 and x_0 = 1.5: x_1 ~ N(1.2, 0.36)."""
    precision = torch.linalg.inv(torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64))

    def energy(x: Tensor) -> Tensor:
        return 0.5 * (x.flatten(1) @ precision * x.flatten(1)).sum(1)

    mask, known = torch.tensor([[1, 0]]), torch.tensor([[1.5, 99.0]], dtype=torch.float64)
    x = drawn(Boltzmann(energy, (1, 2), held=(mask, known)), 0.7)
    assert bool((x[..., 0] == 1.5).all())
    assert float(x[..., 1].mean()) == pytest.approx(1.2, abs=0.02)
    assert float(x[..., 1].var()) == pytest.approx(0.36, abs=0.015)
