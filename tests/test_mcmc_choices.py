"""Kernels without a gradient, and those of whole numbers, as a user calls them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc import diagnostics, independence, slice
from morelike.samplers.mcmc.density import Layout, Posterior
from morelike.samplers.mcmc.draws import Draws
from morelike.samplers.mcmc.kernel import Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric
from morelike.samplers.mcmc.walk import Walk

SD = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def away(x: Tensor) -> Tensor:
    return -0.5 * ((x - 5) / SD.to(x)).square().sum()


def run(log_prob, init: Tensor, kernel: str | Kernel, draws: int, warmup: int) -> Draws:
    walk = Walk(log_prob, init, kernel, draws=draws, warmup=warmup, seed=3)
    for _ in walk:
        pass
    return walk.draws()


@pytest.mark.parametrize(
    ("kernel", "worth"), [("metropolis", 25), ("slice", 600), ("independence", 250), ("tempering", 150)]
)
def test_warm_up_finds_a_density_away_from_the_start(kernel: str, worth: float) -> None:
    x = run(away, torch.zeros(3, dtype=torch.float64), kernel, 300, 600)["x"]
    ess = torch.as_tensor(diagnostics.ess_bulk(x.numpy()))
    assert (ess > worth).all(), ess
    assert ((x.mean((0, 1)) - 5).abs() < 4.5 * SD / ess.sqrt()).all()


@pytest.mark.parametrize("kernel", ["discrete", "discrete_langevin"])
def test_whole_numbers_begin_where_the_slope_is_nought(kernel: str) -> None:
    coupling = torch.tensor([[0.0, 1.0, -1.0], [1.0, 0.0, 0.5], [-1.0, 0.5, 0.0]])
    states = (torch.arange(8)[:, None] // 2 ** torch.arange(3) % 2).float()
    p = torch.softmax(0.5 * ((states @ coupling) * states).sum(1), 0)
    x = run(lambda x: 0.5 * x @ coupling @ x, torch.zeros(3, dtype=torch.int64), kernel, 1500, 200)["x"]
    assert set(x.unique().tolist()) == {0, 1}
    ess = torch.as_tensor(diagnostics.ess_mean(x.double().numpy()))
    mean = p @ states
    assert (ess > 300).all() and ((x.double().mean((0, 1)) - mean).abs() < 4.5 * (mean * (1 - mean) / ess).sqrt()).all()


def walked(kernel: Kernel, log_prob, q: Tensor, steps: int, tuning: Tuning) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (steps, C, D), mean acceptance and mean evaluations of a step."""
    density, rng = (
        Posterior(log_prob, Layout({"x": (q.shape[1],)}, named=False), True),
        torch.Generator().manual_seed(1),
    )
    state, places, told = kernel.init(density, q), [], []
    for _ in range(steps):
        state, info = kernel.step(density, state, tuning, rng)
        places.append(state.q)
        told.append(torch.stack([info.accept.mean(), info.evals.mean()]))
    accept, evals = torch.stack(told).mean(0)
    return torch.stack(places), accept, evals


def test_slices_along_the_axes_of_the_metric_forget_at_once() -> None:
    """With L L' the covariance each sweep is nearly independent of the last, at about five evaluations an axis."""
    L = torch.tensor([[1.0, 0.0], [9.9, 1.4]], dtype=torch.float64)  # correlation 0.99

    def log_prob(q: Tensor) -> Tensor:
        return -0.5 * torch.linalg.solve_triangular(L, q.T, upper=False).square().sum(0)

    q = torch.randn(256, 2, dtype=torch.float64) @ L.T
    places, _, evals = walked(slice.Kernel(), log_prob, q, 60, Tuning(Metric(L)))
    a, b = places[:-1].flatten(0, 1), places[1:].flatten(0, 1)
    assert ((a * b).mean(0) / (L @ L.T).diagonal()).abs().max() < 0.06
    assert 4 < evals / 2 < 6


def test_slices_bridge_a_gap_that_their_interval_spans() -> None:
    """Uniform on (0, 1) and (2, 4): two thirds lie on the right."""

    def log_prob(q: Tensor) -> Tensor:
        x = q[:, 0]
        return torch.where(((x > 0) & (x < 1)) | ((x > 2) & (x < 4)), 0.0, -torch.inf)

    places, *_ = walked(slice.Kernel(), log_prob, torch.full((256, 1), 0.5), 200, Tuning(Metric(torch.ones(1))))
    share = (places[20:] > 1.5).float().mean((0, 2))
    assert abs(share.mean() - 2 / 3) < 4.5 * share.std() / 16
    assert ((places > 0) & ((places < 1) | (places > 2)) & (places < 4)).all()


def test_proposals_of_the_law_itself_are_always_accepted() -> None:
    kernel = independence.Kernel(df=None, width=1.0, location=torch.full((3,), 5.0))
    q = 5 + SD * torch.randn(64, 3, dtype=torch.float64)
    places, accept, _ = walked(kernel, lambda q: -0.5 * ((q - 5) / SD).square().sum(1), q, 20, Tuning(Metric(SD)))
    lag = ((places[1:] - 5) * (places[:-1] - 5)).mean((0, 1)) / SD**2
    assert accept > 1 - 1e-9 and (lag.abs() < 0.15).all()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: independence.Kernel(df=0),
        lambda: independence.Kernel(width=0.0),
        lambda: slice.Kernel(width=-1.0),
        lambda: slice.Kernel(out=-1),
    ],
)
def test_options_that_cannot_be_are_named(wrong) -> None:
    with pytest.raises(OptionError):
        wrong()
