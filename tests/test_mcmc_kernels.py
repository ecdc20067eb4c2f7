"""What every kernel keeps to: shapes, purity, moments that are known. A new file is tested because it is there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from morelike.samplers.mcmc import kernel_of, kernels
from morelike.samplers.mcmc.adaptation import Warmup, warm
from morelike.samplers.mcmc.density import Fast, Layout, Posterior
from morelike.samplers.mcmc.kernel import Info, Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric

REAL = [name for name in kernels() if not kernel_of(name).discrete]
DISCRETE = [name for name in kernels() if kernel_of(name).discrete]
DOUBLE = torch.float64
CHAINS, STEPS = 256, 300
FIRST = {"sgld": 0.3}  # first step sizes, of kernels that keep theirs; else 0.1
BIAS = {"sgld": 0.12}  # what a kernel that refuses nothing may be off, in standard deviations, at that step

MEAN = torch.tensor([1.0, -2.0], dtype=DOUBLE)
FACTOR = torch.tensor([[0.8, 0.0], [1.2, 0.9]], dtype=DOUBLE)  # sd 0.8 and 1.5, correlation 0.8
PAIRS = torch.tensor([[0, 1.2, 0, -0.7], [0, 0, 0.8, 0], [0, 0, 0, 1.0], [0, 0, 0, 0]], dtype=DOUBLE)


def gaussian(q: Tensor) -> Tensor:
    return -0.5 * torch.linalg.solve_triangular(FACTOR.to(q), (q - MEAN.to(q)).T, upper=False).square().sum(0)


def log_gamma(q: Tensor) -> Tensor:
    """The logarithm of a Gamma(3) number: skewed, mean digamma(3), variance trigamma(3)."""
    return 3 * q[:, 0] - q[:, 0].exp()


def boltzmann(q: Tensor) -> Tensor:
    """Four bits that depend on each other."""
    return ((q @ PAIRS.to(q)) * q).sum(1) + q[:, 0] - 0.6 * q[:, 3]


LAWS = {"gaussian": (gaussian, 2), "log_gamma": (log_gamma, 1), "boltzmann": (boltzmann, 4)}


def density_of(name: str) -> Fast:
    law, dims = LAWS[name]
    return Fast(Posterior(law, Layout({"x": (dims,)}, named=False), batched=True))


def exact(name: str, n: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    """Independent draws of a law."""
    if name == "gaussian":
        return (MEAN + torch.randn(n, 2, dtype=DOUBLE) @ FACTOR.T).to(dtype)
    if name == "log_gamma":
        return torch.distributions.Gamma(3.0, 1.0).sample((n, 1)).log().to(dtype)
    states = bits()
    return states[torch.multinomial(torch.softmax(boltzmann(states), 0), n, replacement=True)].to(dtype)


def bits() -> Tensor:
    return (torch.arange(16)[:, None] // 2 ** torch.arange(4) % 2).to(DOUBLE)


def features(q: Tensor) -> Tensor:
    """First and second moments, (.., D) -> (.., F)."""
    return torch.cat([q, (q[..., :, None] * q[..., None, :]).flatten(-2)], -1)


def expected(name: str) -> tuple[Tensor, Tensor]:
    """Means of the features, and their standard deviations."""
    if name == "boltzmann":
        p, f = torch.softmax(boltzmann(bits()), 0), features(bits())
        mean = p @ f
        return mean, (p @ (f - mean).square()).sqrt()
    if name == "log_gamma":
        one = torch.polygamma(1, torch.tensor(3.0, dtype=DOUBLE)), torch.digamma(torch.tensor(3.0, dtype=DOUBLE))
        mean = torch.stack([one[1], one[0] + one[1] ** 2])
    else:
        mean = torch.cat([MEAN, (FACTOR @ FACTOR.T + MEAN[:, None] * MEAN).flatten()])
    return mean, features(exact(name, 100_000)).std(0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tuning_of(q: Tensor, step: float = 0.3) -> Tuning:
    return Tuning(Metric.unit(q), torch.tensor(step).to(q), torch.tensor(1.0).to(q))


def tensors(state: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor)]


def law_of(kernel: Kernel) -> str:
    return "boltzmann" if kernel.discrete else "gaussian"


every = pytest.mark.parametrize("name", kernels())


def test_there_are_kernels_of_both_kinds() -> None:
    assert {"nuts", "hmc", "metropolis", "slice", "independence", "tempering"} <= set(REAL)
    assert {"discrete", "discrete_langevin"} <= set(DISCRETE)


@every
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("chains", [1, 5])
def test_shapes_and_types_stay(name: str, chains: int, dtype: torch.dtype) -> None:
    kernel = kernel_of(name)
    for law in ["boltzmann"] if kernel.discrete else ["gaussian", "log_gamma"]:
        density, q = density_of(law), exact(law, chains, dtype)
        with torch.no_grad():
            state = kernel.init(density, q)
            assert torch.equal(state.q, q) and state.logp.shape == (chains,)
            assert state.grad.shape == q.shape or not kernel.gradient
            for _ in range(4):
                new, info = kernel.step(density, state, tuning_of(q), rng())
                assert type(new) is type(state)
                assert [(x.shape, x.dtype) for x in tensors(new)] == [(x.shape, x.dtype) for x in tensors(state)]
                for field in Info._fields:
                    assert getattr(info, field).shape == (chains,), field
                assert info.diverging.dtype == torch.bool and (info.evals > 0).all()
                assert ((info.accept >= 0) & (info.accept <= 1)).all()
                torch.testing.assert_close(new.logp, density(new.q), rtol=1e-4, atol=1e-4)
                state = new


@every
def test_a_step_is_a_pure_function(name: str) -> None:
    kernel = kernel_of(name)
    density, q = density_of(law_of(kernel)), exact(law_of(kernel), 6)
    tuning, start = tuning_of(q), q.clone()
    with torch.no_grad():
        state = kernel.init(density, q)
        state, _ = kernel.step(density, state, tuning, rng(1))
        before = [x.clone() for x in tensors(state)]
        one, one_info = kernel.step(density, state, tuning, rng(2))
        two, two_info = kernel.step(density, state, tuning, rng(2))
        other, _ = kernel.step(density, state, tuning, rng(3))
    assert torch.equal(q, start)
    assert all(map(torch.equal, before, tensors(state)))
    assert all(map(torch.equal, tensors(one), tensors(two))) and all(map(torch.equal, one_info, two_info))
    assert not torch.equal(one.q, other.q)


@torch.no_grad()
def walk(kernel: Kernel, law: str, first: float) -> Tensor:
    """Positions (STEPS, C, D) of chains that begin as exact draws, after a warm-up."""
    density, state, tuning = density_of(law), None, None
    generator = rng(4)
    begun = kernel.init(density, exact(law, CHAINS))
    for state, tuning, _ in warm(kernel, density, begun, generator, Warmup(60, step=first)):  # noqa: B007
        pass
    assert state is not None and tuning is not None
    state, places = kernel.init(density, state.q), []
    for _ in range(STEPS):
        state, _ = kernel.step(density, state, tuning, generator)
        places.append(state.q)
    return torch.stack(places)


@pytest.mark.parametrize(
    ("name", "law"),
    [(name, law) for name in REAL for law in ("gaussian", "log_gamma")] + [(name, "boltzmann") for name in DISCRETE],
)
def test_moments_stay_what_they_are(name: str, law: str) -> None:
    """Means over the draws of a chain; chains are independent, so that the spread of these gives the standard error."""
    kernel = kernel_of(name)
    places = walk(kernel, law, FIRST.get(name, 0.1))
    mean, sd = expected(law)
    found = features(places).mean(0)  # (C, F)
    error = found.std(0) / CHAINS**0.5
    off = (found.mean(0) - mean).abs() - BIAS.get(name, 0.0) * sd
    assert (off < 4.5 * error).all(), (off / error, found.mean(0), mean)
    # A kernel that stands still would keep the law as well: the last draws must have forgotten the first ones.
    a, b = (x - x.mean(0) for x in (places[0], places[-1]))
    assert ((a * b).mean(0) / (a.square().mean(0) * b.square().mean(0)).sqrt() < 0.3).all()
    assert (error < 0.05 * sd).all()
