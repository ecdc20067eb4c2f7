"""Posteriors made better by annealed HMC, against models whose evidence is known."""

from __future__ import annotations

import math

import torch

from morelike.core.distribution import Normal
from morelike.core.spec import Batch, Spec
from morelike.families import vae
from morelike.samplers.mcmc.refine import refine

SPEC = Spec((6,), head_shape=(6,), head=lambda raw: Normal(raw, torch.full_like(raw, 0.5)))


def test_the_bound_and_the_latents_of_a_linear_gaussian_model() -> None:
    """x = w z + noise: p(x) and p(z|x) are Gaussians that can be written down; the guess is a poor one."""
    torch.manual_seed(0)
    w, sigma, x = torch.randn(6, 3, dtype=torch.float64), 0.5, torch.randn(5, 6, dtype=torch.float64)
    k = 64

    def joint(z: torch.Tensor) -> torch.Tensor:
        fit = torch.distributions.Normal(z @ w.T, sigma).log_prob(x.repeat(k, 1)).sum(1)
        return fit + torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)

    mean, scale, rng = torch.ones(5, 3).double(), torch.full((5, 3), 0.7).double(), torch.Generator().manual_seed(1)
    found = refine(joint, mean, scale, rng, k, levels=300)
    evidence = torch.distributions.MultivariateNormal(
        torch.zeros(6).double(), w @ w.T + sigma**2 * torch.eye(6).double()
    ).log_prob(x)
    assert (found.bound - evidence).abs().max() < 0.3, (found.bound, evidence)
    precision = torch.eye(3).double() + w.T @ w / sigma**2
    mean = torch.linalg.solve(precision, w.T @ x.T / sigma**2).T
    error = (found.z.mean(0) - mean) / (precision.inverse().diagonal() / k).sqrt()
    assert error.abs().max() < 5


def test_more_levels_make_the_bound_of_a_vae_better() -> None:
    torch.manual_seed(0)
    model, x = vae.tiny(SPEC), torch.rand(8, *SPEC.shape) * 2 - 1
    batch = Batch(x)
    q = model.posterior(batch)
    with torch.no_grad():
        elbo = model.bound(batch, q, 1).mean()
    bounds = [float(model.refine(batch, k=2, levels=n).bound.mean()) for n in (2, 100)]
    assert bounds[1] > bounds[0] and bounds[1] > float(elbo), (elbo, bounds)
    assert math.isfinite(bounds[0])


def test_refining_is_reproducible_and_follows_the_item() -> None:
    model = vae.tiny(SPEC)
    batch = Batch(torch.zeros(2, *SPEC.shape))
    first, again = model.refine(batch, levels=5, seed=3), model.refine(batch, levels=5, seed=3)
    assert torch.equal(first.z, again.z) and first.z.shape == (4, 2, 4)
