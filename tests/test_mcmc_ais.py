"""Annealed importance sampling and Gibbs sampling against laws that are known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import gibbs, hmc
from morelike.samplers.mcmc.ais import Annealed, Blend, Geometric, anneal, bracket
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.metric import Metric


@dataclass(frozen=True)
class Gauss:
    """exp(height) N(q; centre, scale^2) up to the constant of the Gaussian, which is left out."""

    centre: float
    scale: float
    height: float = 0.0

    def __call__(self, q: Tensor) -> Tensor:
        return self.height - 0.5 * ((q - self.centre) / self.scale).square().sum(1)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return self(q), -(q - self.centre) / self.scale**2


@pytest.fixture(scope="module")
def annealed() -> tuple[Annealed, Annealed, float]:
    """Both directions between two Gaussians in three dimensions, and the true log ratio."""
    base, target, n = Gauss(0, 2), Gauss(1.5, 0.5, 7.0), 400
    rng = torch.Generator().manual_seed(0)
    q = torch.randn(n, 3, generator=rng, dtype=torch.float64)
    tuning = Tuning(Metric.unit(q), torch.tensor(0.3, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
    path = Geometric(base, target, hmc.Kernel(), tuning)
    betas = torch.linspace(0, 1, 41).tolist()
    up = anneal(path, path.place(2 * q), betas, rng)
    down = anneal(path, path.place(1.5 + 0.5 * q), betas[::-1], rng)
    return up, down, 7 + 3 * math.log(0.5 / 2)


def test_annealing_finds_the_ratio_of_two_constants_from_either_side(annealed) -> None:
    up, down, truth = annealed
    assert float(up.log_ratio) == pytest.approx(truth, abs=4 * float(up.error))
    assert float(-down.log_ratio) == pytest.approx(truth, abs=4 * float(down.error))
    assert float(up.error) < 0.1 and float(down.error) < 0.1
    assert float(up.log_weights.mean()) < truth < float(-down.log_weights.mean()), "a bound from each side (Jensen)"
    found = bracket(up, [down], torch.tensor(2.0, dtype=torch.float64))
    assert found.low < truth + 2 < found.high


def test_its_error_is_that_of_repeated_estimates() -> None:
    rng = torch.Generator().manual_seed(1)
    runs = [Annealed(0.8 * torch.randn(300, generator=rng, dtype=torch.float64), None) for _ in range(400)]
    spread = float(torch.stack([one.log_ratio for one in runs]).std())
    said = float(torch.stack([one.error for one in runs]).mean())
    assert said == pytest.approx(spread, rel=0.15)
    equal = Annealed(torch.zeros(5, dtype=torch.float64), None)
    assert float(equal.error) == pytest.approx(0, abs=1e-7) and float(equal.ess) == pytest.approx(5)


def test_a_blend_does_not_look_where_it_has_no_weight() -> None:
    nowhere = Gauss(0, 1, -math.inf)
    q = torch.zeros(2, 1)
    assert Blend(Gauss(0, 1), nowhere, 0.0)(q).isfinite().all()
    assert Blend(nowhere, Gauss(0, 1), 1.0).grad(q)[0].isfinite().all()
    half = Blend(Gauss(0, 1), Gauss(2, 1), 0.5)
    assert float(half.grad(q)[1][0]) == pytest.approx(1.0), "half way between the pulls of both"


def ising(q: Tensor) -> Tensor:
    """log f of a 3 x 3 ring of spins 0 and 1 with coupling 0.3: (C, 9) -> (C,)."""
    s = (2 * q - 1).view(-1, 3, 3)
    return 0.3 * ((s * s.roll(1, 1)).sum((1, 2)) + (s * s.roll(1, 2)).sum((1, 2)))


def run(kernel: gibbs.Kernel, density, q: Tensor, steps: int) -> Tensor:
    rng, tuning = torch.Generator().manual_seed(0), Tuning(Metric.unit(q))
    state = kernel.init(density, q)
    for _ in range(steps):
        state, info = kernel.step(density, state, tuning, rng)
        torch.testing.assert_close(state.logp, density(state.q))
        assert torch.equal(info.accept, torch.ones(len(q)))
    return state.q


def test_gibbs_draws_bits_from_any_density() -> None:
    grid = torch.tensor(list(product((0.0, 1.0), repeat=9)))
    exact = torch.softmax(ising(grid), 0)
    q = run(gibbs.Kernel(), ising, torch.zeros(20_000, 9), 30)
    codes = (q.long() * 2 ** torch.arange(8, -1, -1)).sum(1)
    found = torch.bincount(codes, minlength=512) / len(q)
    direct = torch.multinomial(exact, len(q), replacement=True, generator=torch.Generator().manual_seed(1))
    floor = 0.5 * (torch.bincount(direct, minlength=512) / len(q) - exact).abs().sum()
    assert 0.5 * (found - exact).abs().sum() < 1.2 * floor


def test_gibbs_draws_blocks_as_it_is_told() -> None:
    rho = 0.8

    def draw(i: int):
        def given_the_other(q: Tensor, rng: torch.Generator) -> Tensor:
            q = q.clone()
            q[:, i] = rho * q[:, 1 - i] + math.sqrt(1 - rho**2) * torch.randn(len(q), generator=rng)
            return q

        return given_the_other

    kernel = gibbs.Kernel(draws=(draw(0), draw(1)))
    density = lambda q: -0.5 * (q[:, 0] ** 2 - 2 * rho * q[:, 0] * q[:, 1] + q[:, 1] ** 2) / (1 - rho**2)  # noqa: E731
    q = run(kernel, density, torch.full((20_000, 2), 5.0), 40)
    torch.testing.assert_close(q.T.cov(), torch.tensor([[1, rho], [rho, 1]]), atol=0.04, rtol=0)
    assert q.mean(0).abs().max() < 0.04


def test_gibbs_without_anything_to_draw_is_refused() -> None:
    with pytest.raises(OptionError, match="two different values"):
        gibbs.Kernel(values=(1.0, 1.0))
