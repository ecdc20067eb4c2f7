"""Ten posteriors of posteriordb as log densities in torch; their data stay where they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Beta, Gamma, HalfCauchy, HalfNormal, LogNormal, MultivariateNormal, Normal

from morelike import mcmc

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Problem:
    """A posterior: its log density, where to start, and how the names of the reference follow from the draws.

    report  draws by parameter, (chains, draws, *shape) -> the same under the reference's names
    """

    log_prob: Callable[..., Tensor]
    init: dict[str, Any]
    supports: dict[str, Any] = field(default_factory=dict)
    report: Callable[[Values], Values] = dict


def numbers(folder: Path) -> dict[str, Any]:
    """The data of a posterior as float64 tensors and plain numbers."""
    found = json.loads((folder / "data.json").read_text())
    return {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, list) else v for k, v in found.items()}


def regression(x: Tensor, y: Tensor, beta: Tensor, sigma: Tensor) -> Tensor:
    return Normal(beta[0] + beta[1] * x, sigma).log_prob(y).sum()


def ark(d: dict[str, Any]) -> Problem:
    k, y = d["K"], d["y"]
    past = torch.stack([y[k - i : len(y) - i] for i in range(1, k + 1)], 1)  # (T - K, K), the latest first

    def log_prob(alpha: Tensor, beta: Tensor, sigma: Tensor) -> Tensor:
        prior = Normal(0.0, 10.0).log_prob(alpha) + Normal(0.0, 10.0).log_prob(beta).sum()
        return prior + HalfCauchy(2.5).log_prob(sigma) + Normal(alpha + past @ beta, sigma).log_prob(y[k:]).sum()

    return Problem(log_prob, {"alpha": 0.0, "beta": torch.zeros(k), "sigma": 1.0}, {"sigma": mcmc.positive})


def earnings(d: dict[str, Any]) -> Problem:
    x, y = d["height"], d["earn"].log()
    return Problem(
        lambda beta, sigma: regression(x, y, beta, sigma),
        {"beta": torch.zeros(2), "sigma": 1.0}, {"sigma": mcmc.positive},
    )  # fmt: skip


def schools(d: dict[str, Any]) -> Problem:
    y, error = d["y"], d["sigma"]

    def log_prob(mu: Tensor, tau: Tensor, z: Tensor) -> Tensor:
        prior = Normal(0.0, 5.0).log_prob(mu) + HalfCauchy(5.0).log_prob(tau) + Normal(0.0, 1.0).log_prob(z).sum()
        return prior + Normal(mu + tau * z, error).log_prob(y).sum()

    return Problem(
        log_prob, {"mu": 0.0, "tau": 1.0, "z": torch.zeros(len(y))}, {"tau": mcmc.positive},
        lambda v: {"mu": v["mu"], "tau": v["tau"], "theta": v["mu"][..., None] + v["tau"][..., None] * v["z"]},
    )  # fmt: skip


def schools_centred(d: dict[str, Any]) -> Problem:
    y, error = d["y"], d["sigma"]

    def log_prob(mu: Tensor, tau: Tensor, theta: Tensor) -> Tensor:
        prior = Normal(0.0, 5.0).log_prob(mu) + HalfCauchy(5.0).log_prob(tau) + Normal(mu, tau).log_prob(theta).sum()
        return prior + Normal(theta, error).log_prob(y).sum()

    return Problem(log_prob, {"mu": 0.0, "tau": 1.0, "theta": torch.zeros(len(y))}, {"tau": mcmc.positive})


def garch(d: dict[str, Any]) -> Problem:
    """beta1 = share (1 - alpha1); the variances s^2, linear in their own past, are one product with powers of beta1."""
    y, first = d["y"], d["sigma1"] ** 2
    n = len(y)
    lag = (torch.arange(n)[:, None] - torch.arange(n)).double()
    before = torch.tril(torch.ones(n, n)) > 0

    def log_prob(mu: Tensor, alpha0: Tensor, alpha1: Tensor, share: Tensor) -> Tensor:
        beta = share * (1 - alpha1)
        fresh = torch.cat([torch.full_like(mu, first)[None], alpha0 + alpha1 * (y[:-1] - mu) ** 2])
        powers = torch.where(before, (lag.clamp(min=0) * beta.log()).exp(), 0.0)
        return Normal(mu, (powers @ fresh).sqrt()).log_prob(y).sum() + (1 - alpha1).log()  # d beta1 / d share

    unit = mcmc.interval(0.0, 1.0)
    return Problem(
        log_prob, {"mu": float(y.mean()), "alpha0": 1.0, "alpha1": 0.5, "share": 0.5},
        {"alpha0": mcmc.positive, "alpha1": unit, "share": unit},
        lambda v: {k: v[k] for k in ("mu", "alpha0", "alpha1")} | {"beta1": v["share"] * (1 - v["alpha1"])},
    )  # fmt: skip


def gaussian_process(d: dict[str, Any]) -> Problem:
    apart, y = (d["x"][:, None] - d["x"]) ** 2, d["y"]
    eye = torch.eye(len(y))

    def log_prob(rho: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        prior = Gamma(25.0, 4.0).log_prob(rho) + HalfNormal(2.0).log_prob(alpha) + HalfNormal(1.0).log_prob(sigma)
        root, _ = torch.linalg.cholesky_ex(alpha**2 * torch.exp(-apart / (2 * rho**2)) + sigma * eye)
        return prior + MultivariateNormal(torch.zeros_like(y), scale_tril=root).log_prob(y)

    start = {"rho": 5.0, "alpha": 1.0, "sigma": 0.5}
    return Problem(log_prob, start, dict.fromkeys(start, mcmc.positive))


def lotka_volterra(d: dict[str, Any]) -> Problem:
    """Runge and Kutta's method of fourth order with 5 steps a year; 80 change no log density by 0.001.

    d log z / dt = a + b z', where z' has the other species first: written so, a slope is three operations.
    """
    y, y0, steps = d["y"], d["y_init"], 5
    h = 1 / steps

    def slope(z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return z * torch.addcmul(a, b, z.flip(0))

    def log_prob(theta: Tensor, z_init: Tensor, sigma: Tensor) -> Tensor:
        prior = Normal(1.0, 0.5).log_prob(theta[::2]).sum() + Normal(0.05, 0.05).log_prob(theta[1::2]).sum()
        prior = prior + LogNormal(-1.0, 1.0).log_prob(sigma).sum()
        prior = prior + LogNormal(torch.log(torch.tensor(10.0)), 1.0).log_prob(z_init).sum()
        rates = torch.stack([theta[0], -theta[2]]), torch.stack([-theta[1], theta[3]])
        z, years = z_init, []
        for _ in range(len(y)):
            for _ in range(steps):
                k1 = slope(z, *rates)
                k2 = slope(z + h / 2 * k1, *rates)
                k3 = slope(z + h / 2 * k2, *rates)
                z = z + h / 6 * (k1 + 2 * (k2 + k3) + slope(z + h * k3, *rates))
            years.append(z)
        seen = LogNormal(z_init.log(), sigma).log_prob(y0).sum()
        return prior + seen + LogNormal(torch.stack(years).log(), sigma).log_prob(y).sum()

    start = {"theta": torch.tensor([0.6, 0.03, 0.8, 0.03]), "z_init": y0, "sigma": torch.full((2,), 0.3)}
    return Problem(log_prob, start, dict.fromkeys(start, mcmc.positive))


def kidiq(d: dict[str, Any]) -> Problem:
    x, y = d["mom_iq"], d["kid_score"]
    return Problem(
        lambda beta, sigma: HalfCauchy(2.5).log_prob(sigma) + regression(x, y, beta, sigma),
        {"beta": torch.zeros(2), "sigma": 10.0}, {"sigma": mcmc.positive},
    )  # fmt: skip


def kilpisjarvi(d: dict[str, Any]) -> Problem:
    x, y = d["x"], d["y"]

    def log_prob(alpha: Tensor, beta: Tensor, sigma: Tensor) -> Tensor:
        prior = Normal(d["pmualpha"], d["psalpha"]).log_prob(alpha) + Normal(d["pmubeta"], d["psbeta"]).log_prob(beta)
        return prior + Normal(alpha + beta * x, sigma).log_prob(y).sum()

    return Problem(log_prob, {"alpha": 0.0, "beta": 0.0, "sigma": 1.0}, {"sigma": mcmc.positive})


def mixture(d: dict[str, Any]) -> Problem:
    y = d["y"]

    def log_prob(mu: Tensor, sigma: Tensor, theta: Tensor) -> Tensor:
        prior = Normal(0.0, 2.0).log_prob(mu).sum() + HalfNormal(2.0).log_prob(sigma).sum()
        parts = Normal(mu, sigma).log_prob(y[:, None]) + torch.stack([theta, 1 - theta]).log()
        return prior + Beta(5.0, 5.0).log_prob(theta) + parts.logsumexp(1).sum()

    return Problem(
        log_prob, {"mu": torch.tensor([-1.0, 1.0]), "sigma": torch.ones(2), "theta": 0.5},
        {"mu": mcmc.ordered, "sigma": mcmc.positive, "theta": mcmc.interval(0.0, 1.0)},
    )  # fmt: skip


def mesquite(d: dict[str, Any]) -> Problem:
    x, y = (d["diam1"] * d["diam2"] * d["canopy_height"]).log(), d["weight"].log()
    return Problem(
        lambda beta, sigma: regression(x, y, beta, sigma),
        {"beta": torch.zeros(2), "sigma": 1.0}, {"sigma": mcmc.positive},
    )  # fmt: skip


PROBLEMS = {
    "arK-arK": ark, "earnings-logearn_height": earnings, "eight_schools-eight_schools_noncentered": schools,
    "garch-garch11": garch, "gp_pois_regr-gp_regr": gaussian_process, "hudson_lynx_hare-lotka_volterra": lotka_volterra,
    "kidiq-kidscore_momiq": kidiq, "kilpisjarvi_mod-kilpisjarvi": kilpisjarvi,
    "low_dim_gauss_mix-low_dim_gauss_mix": mixture, "mesquite-logmesquite_logvolume": mesquite,
}  # fmt: skip
