"""Discrete kernels against enumeration of all states."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import discrete, discrete_langevin
from morelike.samplers.mcmc.density import Fast, Layout, Posterior
from morelike.samplers.mcmc.kernel import Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric


def ising(q: Tensor, coupling: float = 0.35, field: float = 0.05) -> Tensor:
    """Log density of spins 2 q - 1 on a 4 x 4 torus: (C, 16) -> (C,)."""
    s = (2 * q - 1).unflatten(1, (4, 4))
    pairs = s * (s.roll(1, 1) + s.roll(1, 2))
    return coupling * pairs.sum((1, 2)) + field * s.sum((1, 2))


def fast(log_prob, *shape: int) -> Fast:
    return Fast(Posterior(log_prob, Layout({"x": shape}, named=False), batched=True))


def walk(kernel: Kernel, density, q: Tensor, steps: int, every: int, step: float = 0.1) -> tuple[Tensor, Tensor]:
    """Positions of all chains after every so many steps (the first fifth is dropped), and the mean acceptance."""
    rng, tuning = torch.Generator().manual_seed(3), Tuning(Metric.unit(q), torch.tensor(step).to(q))
    state, places, accept = kernel.init(density, q), [], []
    for i in range(steps):
        state, info = kernel.step(density, state, tuning, rng)
        accept.append(info.accept.mean())
        if i % every == 0 and i >= steps / 5:
            places.append(state.q)
    return torch.cat(places), torch.stack(accept).mean()


def distance(exact: Tensor, draws: Tensor) -> tuple[float, float]:
    """Total variation between draws (numbers of states) and the exact law, and what exact draws would have."""
    rng = torch.Generator().manual_seed(4)
    fair = torch.multinomial(exact, len(draws), replacement=True, generator=rng)
    found = [0.5 * (torch.bincount(d, minlength=len(exact)) / len(d) - exact).abs().sum() for d in (draws, fair)]
    return float(found[0]), float(found[1])


KERNELS = {
    "one": (discrete.Kernel(flips=1), 0.0, 800, 50),
    "path": (discrete.Kernel(), 0.0, 400, 8),
    "langevin": (discrete_langevin.Kernel(), 0.4, 400, 5),
}


@pytest.mark.parametrize(("kernel", "step", "steps", "every"), KERNELS.values(), ids=KERNELS)
def test_ising_against_all_65536_states(kernel: Kernel, step: float, steps: int, every: int) -> None:
    bits = 2 ** torch.arange(16)
    states = (torch.arange(2**16)[:, None] // bits % 2).float()
    exact = torch.softmax(ising(states).double(), 0)
    start = torch.randint(2, (2048, 16)).float()
    draws, _ = walk(kernel, fast(ising, 16), start, steps, every, step)
    found, floor = distance(exact, (draws.long() * bits).sum(1))
    assert found < floor + 0.02, (found, floor)


def test_an_unadjusted_leap_is_biased_and_the_test_sees_it() -> None:
    bits = 2 ** torch.arange(16)
    exact = torch.softmax(ising((torch.arange(2**16)[:, None] // bits % 2).float()).double(), 0)
    kernel = discrete_langevin.Kernel(adjusted=False)
    draws, accept = walk(kernel, fast(ising, 16), torch.randint(2, (2048, 16)).float(), 500, 10, 0.4)
    found, floor = distance(exact, (draws.long() * bits).sum(1))
    assert accept == 1 and found > floor + 0.05


def potts(q: Tensor) -> Tensor:
    """Eight variables in a ring with three levels without an order, as blocks of noughts and a one: (C, 24) -> (C,)."""
    x = q.unflatten(1, (8, 3))
    own = torch.tensor([[0.9, -0.6, 0.0], [0.0, 0.5, -0.5]], dtype=q.dtype).repeat(4, 1)
    return (x * (own + 0.8 * x.roll(1, 1))).sum((1, 2))


def counts(q: Tensor) -> Tensor:
    """Eight numbers 0 .. 3, of which neighbours are alike: (C, 8) -> (C,)."""
    return -0.3 * (q - 1.5).square().sum(1) - 0.4 * (q[:, 1:] - q[:, :-1]).square().sum(1)


@pytest.mark.parametrize("file", [discrete, discrete_langevin])
@pytest.mark.parametrize("onehot", [False, True])
def test_levels_against_all_states(file, onehot: bool) -> None:
    levels, variables, law = (3, 8, potts) if onehot else (4, 8, counts)
    grid, base = discrete.Grid(levels, onehot), levels ** torch.arange(variables)
    index = torch.arange(levels**variables)[:, None] // base % levels  # (states, V)
    exact = torch.softmax(law(grid.place(index, torch.empty(0, dtype=torch.float64))), 0)
    kernel = file.Kernel(levels=levels, onehot=onehot)
    start = grid.place(index[torch.randint(len(index), (2048,))], torch.empty(0))
    draws, accept = walk(kernel, fast(law, start.shape[1]), start, 300, 10, 1.0)
    assert 0.3 < accept < 1
    found, floor = distance(exact, (grid.index(draws) * base).sum(1))
    assert found < floor + 0.02, (found, floor)


@pytest.mark.parametrize(
    ("grid", "q"),
    [
        (discrete.Grid(), torch.tensor([[0.0, 0.5]])),
        (discrete.Grid(), torch.tensor([[0.0, 2.0]])),
        (discrete.Grid(), torch.tensor([[0, 1]])),
        (discrete.Grid(3, True), torch.tensor([[0.0, 1.0]])),
        (discrete.Grid(2, True), torch.tensor([[1.0, 1.0]])),
    ],
)
def test_starts_that_are_no_levels_are_named(grid: discrete.Grid, q: Tensor) -> None:
    with pytest.raises(OptionError):
        grid.checked(q)


def test_options_are_checked() -> None:
    for wrong in ({"levels": 1}, {"flips": 0}):
        with pytest.raises(OptionError):
            discrete.Kernel(**wrong)
