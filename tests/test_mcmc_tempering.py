"""Parallel tempering: the right law, on densities that other kernels cannot cross."""

from __future__ import annotations

import pytest
import torch
from mcmc_law import Law
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import discrete, hmc, metropolis, tempering
from morelike.samplers.mcmc.kernel import Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric


def two_hills(q: Tensor) -> Tensor:
    """0.3 N(-8, 1) + 0.7 N(8, 1) in the first of two dimensions, N(0, 1) in the other."""
    logs = torch.stack(
        [-0.5 * (q[:, 0] + 8) ** 2 + torch.tensor(0.3).log(), -0.5 * (q[:, 0] - 8) ** 2 + torch.tensor(0.7).log()]
    )
    return logs.logsumexp(0) - 0.5 * q[:, 1] ** 2


def walk(kernel: Kernel, density: Law, q: Tensor, steps: int, step: float) -> tuple[Tensor, object]:
    """Positions (steps, C, D) and the last state."""
    rng, tuning = torch.Generator().manual_seed(5), Tuning(Metric.unit(q), torch.tensor(step).to(q))
    state, places = kernel.init(density, q), []
    for _ in range(steps):
        state, _ = kernel.step(density, state, tuning, rng)
        places.append(state.q)
    return torch.stack(places), state


def crossings(places: Tensor) -> float:
    """Changes of the hill for each chain and 1,000 steps."""
    side = places[:, :, 0] > 0
    return float((side[1:] != side[:-1]).double().sum(0).mean() / len(places) * 1000)


INNER = {"metropolis": (metropolis.Kernel(), 1.7), "hmc": (hmc.Kernel(), 0.8)}


@pytest.mark.parametrize("name", INNER)
def test_it_crosses_what_its_inner_kernel_cannot(name: str) -> None:
    inner, step = INNER[name]
    start = torch.tensor([[-8.0, 0.0]], dtype=torch.float64).repeat(32, 1)
    alone, _ = walk(inner, Law(two_hills), start, 300, step)
    assert crossings(alone) == 0
    places, state = walk(tempering.Kernel(inner), Law(two_hills), start, 1000, step)
    assert crossings(places) > 20
    right = (places[200:, :, 0] > 0).double().mean(0)  # one share for each chain, and they are independent
    assert abs(right.mean() - 0.7) < 4.5 * right.std() / 32**0.5
    assert abs(places[200:, :, 1].var() - 1) < 0.1
    torch.testing.assert_close(state.logp, two_hills(state.q))


@pytest.mark.parametrize("name", INNER)
def test_what_is_carried_from_step_to_step_is_what_would_be_computed(name: str) -> None:
    inner, step = INNER[name]
    kernel, density = tempering.Kernel(inner, rungs=5, hottest=0.05), Law(two_hills)
    _, state = walk(kernel, density, 8 * torch.randn(6, 2, dtype=torch.float64), 40, step)
    fresh = kernel.inner.init(kernel._bridge(density, state.q), state.inner.q)
    torch.testing.assert_close(state.inner.logp, fresh.logp)
    if kernel.gradient:
        torch.testing.assert_close(state.inner.grad, fresh.grad)


def test_a_prior_is_the_hot_end_where_there_is_one() -> None:
    prior = Law(lambda q: -0.5 * (q / 9).square().sum(1))
    density = Law(two_hills, base=prior)
    kernel = tempering.Kernel(betas=(1.0, 0.3, 0.1, 0.03, 0.01, 0.0))
    places, state = walk(kernel, density, torch.full((64, 2), -8.0, dtype=torch.float64), 1500, 2.5)
    right = (places[300:, :, 0] > 0).double().mean(0)
    assert crossings(places) > 5 and abs(right.mean() - 0.7) < 4.5 * right.std() / 8
    hottest = state.inner.q[-64:]
    assert 4 < hottest.std() < 14
    torch.testing.assert_close(state.logp, two_hills(state.q))


def test_temperatures_are_spaced_for_equal_swaps() -> None:
    start = 5 * torch.randn(64, 2, dtype=torch.float64)
    tuning, rng = Tuning(Metric.unit(start), torch.tensor(1.7)), torch.Generator().manual_seed(6)
    uneven = tempering.Kernel(betas=(1.0, 0.95, 0.9, 0.3, 0.02))
    density = Law(two_hills)
    even = tempering.fitted(uneven, density, start, tuning, rng)
    before, after = (walk(k, density, start, 300, 1.7)[1].rejection for k in (uneven, even))
    assert after.max() - after.min() < 0.15 < 0.4 < before.max() - before.min()


def test_bits_are_tempered_too() -> None:
    """Two patterns of 12 bits, far apart; their shares by enumeration."""
    pattern = torch.tensor([1.0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1])

    def law(q: Tensor) -> Tensor:
        near = (q - pattern.to(q)).square().sum(1)
        return torch.logaddexp(-4.0 * near, -4.0 * (12 - near) + 0.8)

    start = pattern.repeat(64, 1)
    density, kernel = Law(law), tempering.Kernel(discrete.Kernel(), rungs=6, hottest=0.1)
    alone, _ = walk(discrete.Kernel(), density, start, 200, 1.0)
    places, _ = walk(kernel, density, start, 800, 1.0)
    far = ((places - pattern).square().sum(2) > 6).double()
    assert ((alone - pattern).square().sum(2) < 6).all()
    share = far[200:].mean(0)
    expected = float(torch.sigmoid(torch.tensor(0.8)))
    assert abs(share.mean() - expected) < 4.5 * share.std() / 8


@pytest.mark.parametrize("wrong", [{"rungs": 1}, {"hottest": 1.5}, {"betas": (0.5, 0.1)}, {"betas": (1.0, 0.1, 0.2)}])
def test_temperatures_that_cannot_be_are_named(wrong: dict) -> None:
    with pytest.raises(OptionError):
        tempering.Kernel(**wrong)


def test_no_temperature_is_infinite_without_a_prior() -> None:
    with pytest.raises(OptionError, match="base"):
        tempering.Kernel(betas=(1.0, 0.5, 0.0)).init(Law(two_hills), torch.zeros(2, 2))
