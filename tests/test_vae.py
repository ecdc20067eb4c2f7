"""The VAE against models whose likelihood is known, and the density of its codes against scikit-learn's."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from morelike.core.distribution import Distribution, Normal
from morelike.core.family import History
from morelike.core.spec import Batch, Spec
from morelike.families.vae import Config, Model
from morelike.nn.mixture import GaussianMixture

FEATURES, LATENT, SIGMA = 6, 3, 0.5
N = 64


def fixed_scale(out: Tensor) -> Distribution:
    return Normal(out, torch.full_like(out, SIGMA))


SPEC = Spec((FEATURES,), head_shape=(FEATURES,), head=fixed_scale)
CONFIG = Config(net="mlp", width=8, latent=LATENT, warmup=0.0)


class Known(nn.Module):
    """q(z|x) or the mean of p(x|z) as a linear map with no training."""

    def __init__(self, weight: Tensor, bias: Tensor, log_scale: Tensor | None = None) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.log_scale = log_scale

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        mean = x @ self.weight.T + self.bias
        return mean if self.log_scale is None else torch.cat([mean, self.log_scale.expand_as(mean)], 1)


class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(W z + b, s^2 I) with orthogonal columns W: p(x) and p(z|x) are known, and q can be exact.

    off, wide  how far the encoder's means and log scales lie from the true posterior's
    """

    def __init__(self, config: Config = CONFIG, off: float = 0.0, wide: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(0)
        basis = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=generator))[0][:, :LATENT]
        self.W = basis * torch.tensor([1.5, 0.7, 0.2])  # (FEATURES, LATENT)
        self.b = torch.randn(FEATURES, generator=generator)
        precision = 1 + self.W.square().sum(0) / SIGMA**2
        self.gain = self.W.T / SIGMA**2 / precision[:, None]  # posterior mean = gain (x - b)
        self.scale = precision.rsqrt()
        self.off, self.wide = off, wide
        self.model = Model(SPEC, config)
        self.model.decoder = Known(self.W.clone(), self.b.clone())
        self.model.encoder = Known(self.gain.clone(), off - self.gain @ self.b, self.scale.log() + wide)
        z = torch.randn(N, LATENT, generator=generator)
        self.x = z @ self.W.T + self.b + SIGMA * torch.randn(N, FEATURES, generator=generator)
        self.batch = Batch(self.x)

    def log_p(self) -> Tensor:
        covariance = self.W @ self.W.T + SIGMA**2 * torch.eye(FEATURES)
        return torch.distributions.MultivariateNormal(self.b, covariance).log_prob(self.x)

    def gap(self) -> float:
        """KL(q(z|x) || p(z|x)), which is what the evidence lower bound lacks."""
        ratio = math.exp(2 * self.wide)
        return float((0.5 * (ratio + (self.off / self.scale).square() - 1) - self.wide).sum())

    def loss(self, seed: int = 0, **changes: object) -> Tensor:
        self.model.config = replace(self.model.config, **changes)
        torch.manual_seed(seed)
        (move,) = self.model.play(self.batch)
        return move.loss


def test_with_the_exact_posterior_every_bound_is_the_exact_likelihood() -> None:
    toy = LinearGaussian()
    for k in (1, 4, 64):
        torch.testing.assert_close(toy.model.log_prob(toy.batch, k), toy.log_p(), atol=1e-4, rtol=1e-5)


def test_evidence_lower_bound_lacks_exactly_the_divergence_from_the_posterior() -> None:
    toy = LinearGaussian(off=0.3, wide=0.2)
    toy.model.fraction = 1.0
    bound = -torch.stack([toy.loss(seed) for seed in range(1500)]).mean(0)
    assert toy.gap() > 0.4
    torch.testing.assert_close(bound, toy.log_p() - toy.gap(), atol=0.15, rtol=0)
    assert float((bound.detach() - toy.log_p()).mean()) == pytest.approx(-toy.gap(), abs=0.02)


def test_importance_weighted_bounds_lie_between_and_tighten() -> None:
    toy = LinearGaussian(off=0.3, wide=0.2)
    means = [float(torch.stack([toy.model.log_prob(toy.batch, k) for _ in range(200)]).mean()) for k in (1, 5, 50)]
    exact = float(toy.log_p().mean())
    assert exact - toy.gap() - 0.03 < means[0] < means[1] < means[2] < exact + 0.01
    assert exact - means[2] < 0.05 * toy.gap()


def test_trained_on_linear_gaussian_data_it_reaches_the_exact_likelihood() -> None:
    from morelike.train.game import Game

    toy = LinearGaussian()
    torch.manual_seed(0)
    toy.model.decoder = Known(0.1 * torch.randn(FEATURES, LATENT), torch.zeros(FEATURES))
    toy.model.encoder = Known(
        0.1 * torch.randn(LATENT, FEATURES), torch.zeros(LATENT), nn.Parameter(torch.zeros(LATENT))
    )
    optims = {"model": replace(toy.model.optimizers()["model"], lr=0.03, weight_decay=0.0)}
    game, steps = Game(toy.model, optims, average=0.0), 600
    for step in range(steps):
        torch.manual_seed(step)
        z, noise = torch.randn(256, LATENT), torch.randn(256, FEATURES)
        game.turn(Batch(z @ toy.W.T + toy.b + SIGMA * noise), step, step / steps)
    shortfall = toy.log_p().mean() - toy.model.log_prob(toy.batch, 64).mean()
    assert abs(float(shortfall)) < 0.15


def test_beta_free_bits_and_warm_up_weigh_the_divergence() -> None:
    toy = LinearGaussian(off=0.3)
    toy.model.fraction = 1.0
    kl = toy.model.posterior(toy.batch).kl_parts().detach()  # (N, LATENT)
    plain = toy.loss()
    torch.testing.assert_close(toy.loss(beta=4.0) - plain, 3 * kl.sum(1), rtol=1e-4, atol=1e-4)
    free = toy.loss(beta=1.0, free_bits=0.5) - plain
    torch.testing.assert_close(free, (0.5 - kl).clamp_min(0).sum(1), rtol=1e-4, atol=1e-4)
    assert float(free.max()) > 0
    at = {}
    for fraction in (0.0, 0.1, 0.2, 0.7):
        toy.model.fraction = fraction
        at[fraction] = toy.loss(free_bits=0.0, warmup=0.2)
    torch.testing.assert_close(at[0.0], plain - kl.sum(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(at[0.1], plain - kl.sum(1) / 2, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(at[0.2], plain)
    torch.testing.assert_close(at[0.7], plain)


def test_training_on_several_samples_is_the_importance_weighted_bound() -> None:
    toy = LinearGaussian(off=0.3, wide=0.3)
    loss = toy.loss(importance=7)
    torch.manual_seed(0)
    torch.testing.assert_close(-loss, toy.model.bound(toy.batch, toy.model.posterior(toy.batch), 7))
    assert loss.shape == (N,)


def test_codes_get_a_density_of_their_own_for_each_label() -> None:
    spec = replace(SPEC, given={"label": Spec((), tokens=3)})
    model = Model(spec, replace(CONFIG, components=2)).eval()
    assert len(model.density) == 3
    label = torch.tensor([0] * 200 + [1] * 200 + [2] * 3)
    x = torch.randn(403, FEATURES) + label[:, None]
    model.finish(Batch(x[i::4], {"label": label[i::4]}) for i in range(4))
    z = torch.randn(5, LATENT)
    assert not torch.equal(model.density[0].means, model.density[1].means)
    torch.testing.assert_close(
        model.density[2].log_prob(z), Normal(torch.zeros(5, LATENT), torch.ones(5, LATENT)).log_prob(z)
    )  # too few to fit anything to
    codes = model.encode(Batch(x[:200], {"label": label[:200]})).detach()
    drawn = model.density[0].transform(torch.randn(4000, 1 + LATENT))
    spread = model.posterior(Batch(x[:200], {"label": label[:200]})).scale.detach().square().mean(0)
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), atol=0.2, rtol=0.1)
    torch.testing.assert_close(drawn.var(0), codes.var(0) + spread, atol=0.3, rtol=0.3)


def test_without_components_the_prior_is_sampled() -> None:
    model = Model(SPEC, replace(CONFIG, components=0)).eval()
    before = model.sample(range(4))
    model.finish([Batch(torch.randn(500, FEATURES))])
    assert torch.equal(model.sample(range(4)), before)
    z = model.noise(range(4))
    torch.testing.assert_close(before, model.decode(z[:, 1:]).mean)


def test_posterior_collapse_is_named_with_what_to_do() -> None:
    model, history = Model(SPEC, CONFIG), History()
    model.fraction = 0.6
    for _ in range(20):
        history.add({"kl": 0.01})
    assert "free_bits" in (model.diagnose(history) or "")
    for _ in range(20):
        history.add({"kl": 12.0})
    assert model.diagnose(history) is None


def test_mixture_of_one_is_the_closed_form() -> None:
    z = torch.randn(3000, 4) @ torch.randn(4, 4) + 1
    fitted = GaussianMixture(4, 1).fit(z)
    covariance = torch.cov(z.T.double(), correction=0)
    covariance += 1e-3 * covariance.diagonal().mean() * torch.eye(4)
    exact = torch.distributions.MultivariateNormal(z.mean(0).double(), covariance).log_prob(z.double())
    torch.testing.assert_close(fitted.log_prob(z).double(), exact, atol=2e-3, rtol=1e-3)


def test_mixture_fits_as_well_as_scikit_learn() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    generator = torch.Generator().manual_seed(3)
    centres = torch.tensor([[-4.0, 0.0, 0.0], [4.0, 1.0, 0.0], [0.0, 5.0, 2.0], [0.0, -4.0, -3.0]])
    shapes = torch.randn(4, 3, 3, generator=generator) * 0.6
    k = torch.randint(0, 4, (4000,), generator=generator)
    z = centres[k] + (shapes[k] @ torch.randn(4000, 3, 1, generator=generator)).squeeze(2)
    train, held = z[:3000], z[3000:]
    ours = GaussianMixture(3, 4).fit(train, generator=generator)
    theirs = mixture.GaussianMixture(4, n_init=3, random_state=0).fit(train.numpy())
    assert float(ours.log_prob(held).mean()) == pytest.approx(theirs.score(held.numpy()), abs=0.03)
    drawn = ours.transform(torch.randn(20_000, 4, generator=generator))
    assert theirs.score(drawn.numpy()) == pytest.approx(theirs.score(train.numpy()), abs=0.05)
    near = torch.cdist(centres, ours.means).min(1).values
    assert float(near.max()) < 0.2


def test_mixture_uses_fewer_components_where_rows_are_few_and_survives_flat_data() -> None:
    fitted = GaussianMixture(2, 10).fit(torch.randn(45, 2), generator=torch.Generator().manual_seed(0))
    assert int((fitted.weights > 0).sum()) == 2
    assert fitted.transform(torch.randn(100, 3)).isfinite().all()
    flat = GaussianMixture(3, 4).fit(torch.ones(200, 3))
    torch.testing.assert_close(flat.transform(torch.randn(50, 4)), torch.ones(50, 3), atol=1e-2, rtol=0)


def test_a_new_mixture_is_the_standard_normal() -> None:
    fresh, noise = GaussianMixture(3, 5), torch.randn(50, 4)
    torch.testing.assert_close(fresh.transform(noise), noise[:, 1:])
    standard = Normal(torch.zeros(50, 3), torch.ones(50, 3))
    torch.testing.assert_close(fresh.log_prob(noise[:, 1:]), standard.log_prob(noise[:, 1:]))
