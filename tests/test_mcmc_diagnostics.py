"""Diagnostics of Markov chains: equal to ArviZ, right where the truth is known, and quick."""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np
import pytest
import torch

from morelike.samplers.mcmc import diagnostics

random = np.random.default_rng


def ar(rho: float, chains: int = 4, draws: int = 500, size: int = 3, seed: int = 0) -> np.ndarray:
    """Stationary chains x_t = rho x_{t-1} + sqrt(1 - rho^2) e_t: (C, N, P)."""
    e = random(seed).normal(size=(chains, draws, size))
    x = np.empty_like(e)
    x[:, 0] = e[:, 0]
    for t in range(1, draws):
        x[:, t] = rho * x[:, t - 1] + math.sqrt(1 - rho**2) * e[:, t]
    return x


def nan(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[0, 3, 1] = np.nan
    return x


def infinite(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[0, 3, 1] = np.inf
    return x


def stuck(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[1] = x[1, 0]
    return x


CASES = {
    "slow": ar(0.9),
    "independent": ar(0.0),
    "antithetic": ar(-0.8),
    "strongly antithetic": ar(-0.99),
    "almost still": ar(0.999),
    "one chain": ar(0.5, chains=1),
    "two chains": ar(0.5, chains=2, draws=40),
    "many short chains": ar(0.3, chains=64, draws=8),
    "odd": ar(0.5, draws=333),
    "21 draws": ar(0.5, chains=1, draws=21),
    **{f"{n} draws": ar(0.2, draws=n) for n in (1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 100)},
    "one chain elsewhere": ar(0.5) + np.array([0, 0, 0, 4.0])[:, None, None],
    "one chain wider": ar(0.5) * np.array([1, 1, 1, 5.0])[:, None, None],
    "heavy tails": np.tan(1.5 * np.tanh(ar(0.5))),
    "ties": np.round(ar(0.7) * 2),
    "two values": (ar(0.5) > 0).astype(float),
    "constant": np.full((4, 100, 2), 3.0),
    "each chain constant": np.arange(4.0)[:, None, None] + np.zeros((4, 100, 2)),
    "one chain stuck": stuck(ar(0.5)),
    "NaN": nan(ar(0.5)),
    "infinite": infinite(ar(0.5)),
    "far from zero": 1e6 + ar(0.5),
    "tiny": 1e-17 * ar(0.5),
}
MEASURES = {
    "rhat": (diagnostics.rhat, "rhat", {}),
    "ess_bulk": (diagnostics.ess_bulk, "ess", {"method": "bulk"}),
    "ess_tail": (diagnostics.ess_tail, "ess", {"method": "tail", "prob": (0.05, 0.95)}),
    "ess_mean": (diagnostics.ess_mean, "ess", {"method": "mean"}),
    "mcse_mean": (diagnostics.mcse_mean, "mcse", {"method": "mean"}),
    "mcse_sd": (diagnostics.mcse_sd, "mcse", {"method": "sd"}),
    **{
        f"ess_quantile {p}": (lambda x, p=p: diagnostics.ess_quantile(x, p), "ess", {"method": "quantile", "prob": p})
        for p in (0.05, 0.3, 0.5, 0.95)
    },
    **{
        f"mcse_quantile {p}": (
            lambda x, p=p: diagnostics.mcse_quantile(x, p), "mcse", {"method": "quantile", "prob": p}
        )
        for p in (0.05, 0.5, 0.9)
    },
}  # fmt: skip


def arviz_is_old() -> bool:
    """Before its version 1 the error of the sd took the effective size of the draws, not of their squares."""
    return version("arviz-stats").startswith("0.")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MEASURES)
def test_equals_arviz(name: str, case: str) -> None:
    oracle = pytest.importorskip("arviz_stats.base").array_stats
    ours, theirs, options = MEASURES[name]
    x = CASES[case]
    expected = getattr(oracle, theirs)(x, chain_axis=0, draw_axis=1, **options)
    if name == "mcse_sd" and arviz_is_old():
        expected = expected * (oracle.ess(x, 0, 1, method="mean") / oracle.ess(x, 0, 1, method="sd")) ** 0.5
    np.testing.assert_allclose(ours(torch.from_numpy(x)), expected, rtol=1e-6, equal_nan=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
def test_energy_equals_arviz(case: str) -> None:
    oracle = pytest.importorskip("arviz_stats.base").array_stats
    energy = CASES[case][..., 0]
    if energy.shape[1] < 2:
        assert np.isnan(diagnostics.bfmi(energy)).all()
        return
    np.testing.assert_allclose(diagnostics.bfmi(energy), oracle.bfmi(energy), rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("case", CASES)
def test_the_table_holds_the_single_figures(case: str) -> None:
    x = CASES[case]
    found = diagnostics.figures(x)
    for name, one in (
        ("rhat", diagnostics.rhat(x)), ("ess_bulk", diagnostics.ess_bulk(x)), ("ess_tail", diagnostics.ess_tail(x)),
        ("mcse", diagnostics.mcse_mean(x)),
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(found, name), one, err_msg=name)
    if x.shape[1] >= 4 and not np.isnan(x).any() and np.isfinite(x).all():
        np.testing.assert_allclose(found.q5, np.quantile(x, 0.05, axis=(0, 1)), rtol=1e-14)
        np.testing.assert_allclose(found.q50, np.median(x, axis=(0, 1)), rtol=1e-14)
        np.testing.assert_allclose(found.sd, x.std((0, 1), ddof=1), rtol=1e-12)


@pytest.mark.parametrize("rho", [-0.5, 0.0, 0.5, 0.9])
def test_effective_size_of_an_autoregressive_chain(rho: float) -> None:
    """The mean of an AR(1) chain is worth S (1 - rho) / (1 + rho) independent draws."""
    x = ar(rho, chains=4, draws=4000, size=20)
    truth = 16000 * (1 - rho) / (1 + rho)
    assert diagnostics.ess_mean(x).mean() == pytest.approx(truth, rel=0.05)
    assert diagnostics.ess_bulk(x).mean() == pytest.approx(truth, rel=0.05)


def test_standard_errors_are_as_wide_as_the_estimates_scatter() -> None:
    x = ar(0.8, chains=4, draws=500, size=400)
    for error, estimate in (
        (diagnostics.mcse_mean(x), x.mean((0, 1))),
        (diagnostics.mcse_sd(x), x.std((0, 1))),
        (diagnostics.mcse_quantile(x, 0.9), np.quantile(x, 0.9, axis=(0, 1))),
    ):
        assert math.sqrt((error**2).mean()) == pytest.approx(estimate.std(), rel=0.12)


def test_r_hat_tells_chains_that_differ_in_place_or_width() -> None:
    assert diagnostics.rhat(CASES["independent"]).max() < 1.01
    assert diagnostics.rhat(CASES["one chain elsewhere"]).min() > 1.3
    assert diagnostics.rhat(CASES["one chain wider"]).min() > 1.05
    drifting = ar(0.2, chains=1) + np.linspace(0, 4, 500)[None, :, None]
    assert np.isnan(diagnostics.rhat(drifting)).all() and diagnostics.rhat(drifting, least_chains=1).min() > 1.3


def test_parameters_of_any_shape_and_type_one_by_one_or_together(monkeypatch: pytest.MonkeyPatch) -> None:
    x = ar(0.5, size=24).astype(np.float32)
    whole = diagnostics.figures(torch.from_numpy(x).reshape(4, 500, 2, 3, 4))
    monkeypatch.setattr(diagnostics, "BLOCK", 7000)
    for name, one in whole._asdict().items():
        assert one.shape == (2, 3, 4)
        np.testing.assert_allclose(getattr(diagnostics.figures(x), name), one.reshape(-1), rtol=1e-12, err_msg=name)
    assert diagnostics.rhat(x[..., 0]).shape == ()
    assert diagnostics.rhat(np.empty((4, 100, 0))).shape == (0,)
    assert diagnostics.figures(torch.randint(0, 3, (4, 50))).mean.shape == ()


def test_columns_are_named_by_index() -> None:
    names, x = diagnostics.columns({"mu": torch.zeros(2, 5), "L": torch.arange(60.0).reshape(2, 5, 2, 3)})
    assert names == ["mu", "L[0,0]", "L[0,1]", "L[0,2]", "L[1,0]", "L[1,1]", "L[1,2]"]
    assert x.shape == (7, 2, 5) and x[2, 1, 0] == 31.0


def test_running_names_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    x = {"a": ar(0.0, size=2), "b": ar(0.95, seed=1), "c": CASES["one chain elsewhere"]}
    found = diagnostics.running(x)
    assert found.rhat_of.startswith("c") and found.rhat == pytest.approx(diagnostics.rhat(x["c"]).max())
    assert found.ess_of.startswith(("b", "c")) and found.ess < 100
    monkeypatch.setattr(diagnostics, "LIVE", 4000)
    rough = diagnostics.running(x)
    assert rough.rhat == pytest.approx(found.rhat, rel=0.1) and rough.rhat_of.startswith("c")
    assert math.isnan(diagnostics.running({"a": x["a"][:, :3]}).rhat) and math.isnan(diagnostics.running({}).ess)
    assert diagnostics.running({"a": nan(x["a"])}).rhat_of == "a[0]"
