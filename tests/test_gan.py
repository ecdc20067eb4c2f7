"""The GAN's losses and penalties against values computed by hand, and every variant with every net."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from morelike.core.distribution import Distribution, Point
from morelike.core.errors import OptionError
from morelike.core.family import History
from morelike.core.spec import Batch, Spec
from morelike.families.gan import VARIANTS, Config, Model
from morelike.nn import names
from morelike.train.game import Game

F, B = 4, 6


def squashed(out: Tensor) -> Distribution:
    return Point(torch.tanh(out))


SPEC = Spec((F,), head_shape=(F,), head=squashed)
W = torch.tensor([0.5, -1.0, 2.0, 0.25])


class LinearCritic(nn.Module):
    """s(x) = w x + b: its slope is w everywhere; it reads no label."""

    def __init__(self, w: Tensor = W, bias: float = 0.3) -> None:
        super().__init__()
        self.w, self.bias = nn.Parameter(w.clone()), nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor, given: Mapping[str, Tensor] = {}) -> tuple[Tensor, Tensor]:
        return x.flatten(1) @ self.w + self.bias, torch.zeros(len(x))


class FixedGenerator(nn.Module):
    """Raw output a for every z, so that every fake is tanh(a)."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Parameter(torch.tensor([0.1, 0.4, -0.3, 0.2]))

    def forward(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
        return self.out.expand(len(z), F)


def known(**settings: object) -> tuple[Model, Batch, Tensor, Tensor]:
    """A GAN with these two players, a batch, and the scores of real and fake."""
    model = Model(SPEC, Config(net="mlp", width=4, latent=3, **settings))
    model.critic, model.generator = LinearCritic(), FixedGenerator()
    x = torch.rand(B, F, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fake = torch.tanh(model.generator.out.detach()).expand(B, F)
    return model, Batch(x), x @ W + 0.3, fake @ W + 0.3


def losses(model: Model, batch: Batch, step: int = 1) -> dict[str, Tensor]:
    model.step = step
    return {move.player: move.loss.detach() for move in model.play(batch)}


def log_sigmoid(x: Tensor) -> Tensor:
    return (1 / (1 + (-x).exp())).log()


def test_nonsaturating_loss_by_hand() -> None:
    model, batch, r, f = known(loss="nonsaturating", gamma=0.0)
    found = losses(model, batch)
    torch.testing.assert_close(found["critic"], -log_sigmoid(r) - log_sigmoid(-f))
    torch.testing.assert_close(found["generator"], -log_sigmoid(f))


def test_wasserstein_loss_by_hand() -> None:
    model, batch, r, f = known(loss="wasserstein", gamma=0.0)
    found = losses(model, batch)
    torch.testing.assert_close(found["critic"], f - r)
    torch.testing.assert_close(found["generator"], -f)


def test_relativistic_loss_by_hand() -> None:
    model, batch, r, f = known(loss="relativistic", gamma=0.0)
    found = losses(model, batch)
    torch.testing.assert_close(found["critic"], -log_sigmoid(r - f))
    torch.testing.assert_close(found["generator"], -log_sigmoid(f - r))


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
def test_r1_and_r2_of_a_linear_critic_are_its_squared_slope(loss: str) -> None:
    gamma, square = 0.7, float(W.square().sum())
    without, batch, *_ = known(loss=loss, gamma=0.0)
    with_penalty, *_ = known(loss=loss, gamma=gamma, penalty_every=1)
    extra = losses(with_penalty, batch)["critic"] - losses(without, batch)["critic"]
    torch.testing.assert_close(extra, torch.full((B,), gamma / 2 * 2 * square))  # gamma/2 |w|^2 for real and for fake


def test_gradient_penalty_of_a_linear_critic() -> None:
    without, batch, *_ = known(loss="wasserstein", gamma=0.0)
    with_penalty, *_ = known(loss="wasserstein", gamma=10.0, penalty_every=1)
    extra = losses(with_penalty, batch)["critic"] - losses(without, batch)["critic"]
    torch.testing.assert_close(extra, torch.full((B,), 10 * (float(W.norm()) - 1) ** 2))


def test_penalty_reaches_the_critic_by_second_derivatives() -> None:
    model, batch, *_ = known(loss="wasserstein", gamma=10.0, penalty_every=1)
    model.step = 0
    penalty = model.penalty(batch.x, -batch.x, {})
    assert isinstance(penalty, Tensor)
    (slope,) = torch.autograd.grad(penalty.mean(), model.critic.w)
    torch.testing.assert_close(slope, 20 * (W.norm() - 1) * W / W.norm())


def test_lazy_penalty_is_rarer_and_as_much_stronger() -> None:
    lazy, batch, *_ = known(loss="relativistic", gamma=0.7, penalty_every=4)
    always, *_ = known(loss="relativistic", gamma=0.7, penalty_every=1)
    without, *_ = known(loss="relativistic", gamma=0.0)
    bare = losses(without, batch)["critic"].mean()
    rare = [float(losses(lazy, batch, step)["critic"].mean() - bare) for step in range(8)]
    each = [float(losses(always, batch, step)["critic"].mean() - bare) for step in range(8)]
    assert sum(rare) == pytest.approx(sum(each), rel=1e-4)
    assert sum(value > 1e-6 for value in rare) == 2


def test_the_critic_takes_as_many_steps_as_asked_and_never_moves_the_generator() -> None:
    model, batch, *_ = known(loss="wasserstein", gamma=10.0, critic_steps=5)
    seen = []
    for move in model.play(batch):
        seen.append(move.player)
        if move.player == "critic":
            assert (
                torch.autograd.grad(move.loss.sum(), model.generator.out, allow_unused=True, retain_graph=True)[0]
                is None
            )
    assert seen == ["critic"] * 5 + ["generator"]


@pytest.mark.parametrize("net", [None, *names()])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_with_every_net(variant: str, net: str | None) -> None:
    spec = Spec((1, 12, 12), head_shape=(1, 12, 12), head=squashed, given={"label": Spec((), tokens=2)})
    family = Model(spec, Config(variant=variant, net=net, width=4, latent=4))
    batch = Batch(torch.rand(B, 1, 12, 12) * 2 - 1, {"label": torch.arange(B) % 2})
    game = Game(family, average=0.1)
    before = {name: p.detach().clone() for name, p in family.named_parameters()}
    for step in range(3):
        log = game.turn(batch, step, 0.5)
        assert all(value.isfinite() for value in log.values())
    matrices = {name for name, p in before.items() if p.ndim > 1}
    assert not [name for name in matrices if torch.equal(before[name], family.state_dict()[name])]
    with game.averaged() as averaged:
        x = averaged.sample([0, 1, 2], {"label": torch.tensor([0, 1, 1])})
        torch.testing.assert_close(averaged.sample([2], {"label": torch.tensor([1])}), x[2:], atol=1e-5, rtol=1e-4)
    assert x.shape == (3, 1, 12, 12) and float(x.abs().max()) <= 1


def test_only_batch_normalisation_mixes_examples() -> None:
    spec = Spec((1, 8, 8), head_shape=(1, 8, 8), head=squashed)
    assert {variant for variant in VARIANTS if Model(spec, Config(variant, width=4)).mixes} == {"dcgan"}
    modern = Model(spec, Config("modern", width=4))
    assert not [m for m in modern.modules() if "Norm" in type(m).__name__], "no normalisation layers"


def test_augmentation_before_the_critic_is_for_real_and_fake_alike() -> None:
    spec = Spec((1, 8, 8), head_shape=(1, 8, 8), head=squashed)
    model = Model(spec, Config("modern", width=4, augment=0.8, gamma=0.0))
    seen: list[Tensor] = []
    critic = model.critic.forward
    model.critic.forward = lambda x, given: (seen.append(x.detach()), critic(x, given))[1]
    x = torch.full((32, 1, 8, 8), 0.5)
    list(model.play(Batch(x)))
    assert len(seen) >= 3
    assert all(float((one - one.flatten(1).mean(1).reshape(-1, 1, 1, 1)).abs().max()) > 0.1 for one in seen)
    assert not torch.equal(seen[0], x)


def test_collapse_is_diagnosed_with_what_to_do() -> None:
    model, history = Model(SPEC, Config(net="mlp", width=4)), History()
    model.fraction = 0.6
    for _ in range(20):
        history.add({"diversity": 0.9})
    assert model.diagnose(history) is None
    for _ in range(20):
        history.add({"diversity": 0.01})
    assert "collapsing" in (said := model.diagnose(history) or "") and "--set gamma=" in said
    model.fraction = 0.0
    assert model.diagnose(history) is None, "every generator begins like this"


def test_a_collapsed_generator_logs_no_diversity() -> None:
    model, batch, *_ = known(loss="nonsaturating")
    (diversity,) = [float(move.log["diversity"]) for move in model.play(batch) if "diversity" in move.log]
    assert diversity < 1e-3
    varied = Model(SPEC, Config(net="mlp", width=4))
    varied.made = lambda z, given={}: batch.x + 0 * next(varied.parameters()).sum()  # type: ignore[method-assign]
    (diversity,) = [float(move.log["diversity"]) for move in varied.play(batch) if "diversity" in move.log]
    assert math.isclose(diversity, 1, abs_tol=1e-3)


@pytest.mark.parametrize(
    ("settings", "near"),
    [({"loss": "wassertein"}, "wasserstein"), ({"variant": "modren"}, "modern"), ({"norm": "bach"}, "batch")],
)
def test_a_misspelt_setting_names_the_nearest(settings: dict[str, str], near: str) -> None:
    with pytest.raises(OptionError, match=f'"{near}"'):
        Model(Spec((1, 8, 8), head_shape=(1, 8, 8), head=squashed), Config(width=4, **settings))


def test_a_critic_that_reads_labels_is_as_surprised_as_its_guess_says() -> None:
    given = {"label": Spec((), tokens=3)}
    model = Model(Spec((F,), head_shape=(F,), head=squashed, given=given), Config(net="mlp", width=4, latent=3))
    assert model.critic.guess is not None
    with torch.no_grad():
        model.critic.guess.weight.zero_()
        model.critic.guess.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    label = torch.tensor([0, 1, 2, 2])
    _, misread = model.critic(torch.randn(4, F), {"label": label})
    torch.testing.assert_close(misread, -torch.log_softmax(torch.tensor([0.0, 1.0, 2.0]), 0)[label])
    plain = Model(Spec((F,), head_shape=(F,), head=squashed, given=given), Config("dcgan", net="mlp", norm="none"))
    assert plain.critic.guess is None and not plain.critic(torch.randn(4, F), {"label": label})[1].any()
