"""Energy models and their parts, against Gaussians, exact transport and uninterrupted runs."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.family import History
from morelike.core.spec import Batch, Spec
from morelike.families.energy import Config, Model
from morelike.nn.potential import Potential
from morelike.nn.scores import denoising, sliced
from morelike.nn.transport import paired, plan
from morelike.nn.unet import UNet
from morelike.samplers.descent import SeededNoise, Step, cooled, downhill, walk
from morelike.samplers.mcmc.compose import HasEnergy, HasInfill, product
from morelike.train.game import Game

COV = torch.tensor([[0.30, 0.18], [0.18, 0.20]])


class Quadratic(Potential):
    """V = T x' S^-1 x / 2, so that exp(-V / T) is the Gaussian N(0, S) without its constant."""

    def __init__(self, heat: float) -> None:
        nn.Module.__init__(self)
        self.precision = nn.Parameter(heat * torch.linalg.inv(COV))

    def forward(self, x: Tensor, given: object) -> Tensor:
        return 0.5 * (x @ self.precision * x).sum(1)


def gaussian(**settings: object) -> Model:
    """A model of N(0, COV)."""
    config = Config(**{"training": "pcd", "temperature": 0.1, "size": 0.1, "steps": 30, "settle": 200, **settings})
    model = Model(Spec((2,)), config)
    model.potential = Quadratic(config.temperature)
    return model.eval()


def covariance(x: Tensor) -> Tensor:
    return torch.cov(x.T)


def test_samples_and_constant_of_a_gaussian() -> None:
    model = gaussian()
    x = model.sample(range(2000))
    torch.testing.assert_close(covariance(x), COV, atol=0.03, rtol=0)
    low, high = (float(bound) for bound in model.bracket(steps=300))
    exact = 0.5 * math.log((2 * math.pi) ** 2 * float(torch.linalg.det(COV)))
    assert low <= exact <= high and high - low < 0.5
    assert isinstance(model, HasEnergy) and isinstance(model, HasInfill)
    torch.testing.assert_close(model.energy(Batch(x)), 0.5 * (x @ torch.linalg.inv(COV) * x).sum(1))


@pytest.mark.parametrize("kernel", ["hmc", "underdamped"])
def test_other_kernels_draw_the_same_and_by_seed(kernel: str) -> None:
    model = gaussian(kernel=kernel, settle=4 if kernel == "hmc" else 30)
    x = model.sample(range(300))
    torch.testing.assert_close(covariance(x), COV, atol=0.09, rtol=0)
    torch.testing.assert_close(model.sample([250, 3]), x[[250, 3]])
    with pytest.raises(OptionError, match="hmc"):
        gaussian(kernel="hmd").sample([0])


def test_what_is_missing_follows_the_conditional_law() -> None:
    model, known = gaussian(), torch.tensor([0.5, 9.0]).expand(3000, 2)
    x = model.infill(known, torch.tensor([True, False]), range(3000))
    assert bool((x[:, 0] == 0.5).all())
    assert float(x[:, 1].mean()) == pytest.approx(0.18 / 0.30 * 0.5, abs=0.02)
    assert float(x[:, 1].var()) == pytest.approx(0.20 - 0.18**2 / 0.30, abs=0.01)
    torch.testing.assert_close(model.infill(known[:2], torch.tensor([True, False]), [7, 2000]), x[[7, 2000]])


def test_two_models_are_put_together_by_their_energies() -> None:
    model = gaussian()
    energies = [lambda x: model.energy(Batch(x)), lambda x: model.energy(Batch(x - 0.5))]
    x = torch.randn(5, 2)
    mid = 0.5 * ((x - 0.25) @ torch.linalg.inv(COV / 2) * (x - 0.25)).sum(1)
    both = product(energies)(x)
    torch.testing.assert_close(both - both[0], mid - mid[0], atol=1e-4, rtol=1e-4)


def test_descent_by_its_schedule() -> None:
    """dx = -x dt shrinks by exp(-1) on a way of length 1; at heat T the variance settles at T."""
    ones = torch.ones(4, 3)
    x = walk(lambda x: x, ones, downhill(1000, 0, 0.1, 0.0), SeededNoise([1, 2, 3, 4], (3,), ones.device))
    torch.testing.assert_close(x, ones * math.exp(-1), atol=1e-3, rtol=0)
    noise = SeededNoise(range(4000), (1,), ones.device)
    x = walk(lambda x: x, noise(), cooled(20, 60, 0.1, 0.05), noise)
    assert float(x.var()) == pytest.approx(0.05 / (1 - 0.1 / 2), rel=0.08)
    heats = [step.heat for step in cooled(4, 1, 0.1, 0.01)]
    assert heats == pytest.approx([1, 0.01**0.25, 0.1, 0.01**0.75, 0.01])


def test_score_matching_is_least_at_the_true_density() -> None:
    """Of N(0, s^2) data the best V = a |x|^2 / 2 has a = T / s^2; of a single point, denoising wants a = 1."""
    torch.manual_seed(0)
    x, heat = 0.5 * torch.randn(20_000, 2), 0.1

    def loss(a: float) -> float:
        torch.manual_seed(1)
        return float(sliced(lambda x: 0.5 * a * x.square().sum(1), x, heat).mean())

    best = heat / (0.25 + 0.1 * heat)
    assert loss(best) < min(loss(0.9 * best), loss(1.1 * best))
    assert loss(best) == pytest.approx(-0.5 * heat * best, rel=0.03)
    torch.testing.assert_close(denoising(lambda x: x, torch.zeros(50, 2), heat), torch.zeros(50))
    assert float(denoising(lambda x: 0.8 * x, torch.zeros(5000, 2), heat).mean()) == pytest.approx(0.04, rel=0.1)


def test_transport_is_nearly_the_best_assignment() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    x, noise = 0.3 * torch.randn(64, 2) + torch.tensor([1.0, 0]), torch.randn(64, 2)
    cost = torch.cdist(x, noise).square()
    p = plan(cost)
    torch.testing.assert_close(p.sum(0), torch.ones(64).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(p.sum(1), torch.ones(64).double(), atol=1e-2, rtol=0)
    best = float(cost[optimize.linear_sum_assignment(cost)].sum())
    assert best <= float((p * cost).sum()) + 1e-2 < best + 0.15 * (float(cost.mean()) * 64 - best)


def test_noise_is_paired_within_a_condition_only() -> None:
    label = torch.arange(150) % 3
    noise = torch.arange(150.0)[:, None].repeat(1, 2)  # noise i came with label i % 3
    chosen = paired(noise, torch.randn(150, 2), {"label": label})
    assert bool((chosen[:, 0] % 3 == label).all())
    assert bool((chosen[:64, 0] < 64).all()) and bool((chosen[128:, 0] >= 128).all())


@pytest.mark.parametrize("shape", [(2, 16), (1, 28, 28), (3, 9, 8), (1, 4, 6, 6), (1, 5, 5)], ids=str)
def test_a_u_net_gives_back_the_shape_and_sees_all_of_an_item(shape: tuple[int, ...]) -> None:
    net = UNet(shape, 8, 3)
    x, c = torch.randn(2, *shape, requires_grad=True), torch.randn(2, 3)
    made, code = net(x, c)
    assert made.shape == x.shape and code.shape == (2, net.code)
    (felt,) = torch.autograd.grad(made[0].flatten()[0], x)
    assert bool((felt[0].abs() > 0).float().mean() > 0.9) and not felt[1].any()


def turns(game: Game, begin: int, end: int) -> None:
    label = torch.arange(12) % 3
    for step in range(begin, end):
        torch.manual_seed(1000 + step)
        x = 0.1 * torch.randn(12, 2) + torch.stack([label - 1.0, 0.0 * label], 1)
        game.turn(Batch(x, {"label": label}), step, 0.9)


@pytest.mark.parametrize("training", ["matching", "pcd", "denoising", "sliced"])
def test_training_resumes_with_its_chains(training: str) -> None:
    spec = Spec((2,), given={"label": Spec((), tokens=3)})
    torch.manual_seed(0)
    model = Model(spec, Config(training=training, width=4, k=3, steps=6))  # type: ignore[arg-type]
    whole, broken = Game(copy.deepcopy(model)), Game(model)
    turns(whole, 0, 6)
    turns(broken, 0, 3)
    torch.manual_seed(99)
    resumed = Game(Model(spec, model.config))
    resumed.load_state(copy.deepcopy(broken.state()))
    turns(resumed, 3, 6)
    for name, value in whole.state().items():
        assert torch.equal(resumed.state()[name], value), name
    chains = resumed.family.chains
    used = chains.age >= 0
    assert int(used.sum()) > 12 if training in ("matching", "pcd") else len(used) == 0


def test_chains_come_down_the_flow_and_keep_their_conditions() -> None:
    torch.manual_seed(0)
    model = Model(Spec((2,), given={"label": Spec((), tokens=3)}), Config(training="matching", width=4, k=3, steps=7))
    batch = Batch(torch.randn(40, 2), {"label": torch.full((40,), 2)})
    made, arrived = model.negatives(batch, batch.x)
    assert made.x.shape == (40, 2) and bool((made.given["label"] == 2).all())
    young = (model.chains.age >= 0) & (model.chains.age <= 7)
    assert int((~arrived).sum()) == int(young.sum()) and set(model.chains.age[young].tolist()) <= {3}
    for _ in range(60):
        made, arrived = model.negatives(batch, batch.x)
    assert 0.5 < float(arrived.float().mean()) <= 1 and made.x.isfinite().all()


def history(**values: float) -> History:
    found = History()
    for _ in range(10):
        found.add(values)
    return found


def test_usual_failures_are_named() -> None:
    model = gaussian()
    assert model.diagnose(history(gap=1.0, energy=3.0, diversity=1.0)) is None
    assert "explode" in (model.diagnose(history(gap=1.0, energy=1e6, diversity=1.0)) or "")
    assert "explode" in (model.diagnose(history(gap=math.nan, energy=3.0, diversity=1.0)) or "")
    assert "collapse" in (model.diagnose(history(gap=1.0, energy=3.0, diversity=0.1)) or "")
    with pytest.raises(OptionError, match="temperature is 2"):
        Model(Spec((2,)), Config(temperature=2.0))


def test_steps_say_what_they_are() -> None:
    assert Step(0.1, 0.0).along == 1.0
    assert [step.along for step in downhill(4, 1, 0.1, 0.01)] == [0, 0.25, 0.5, 0.75, 1]
