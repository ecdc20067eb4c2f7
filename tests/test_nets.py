"""The contract of every net: a new file in nn/ with an Encoder and a Decoder is tested by existing."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.core.spec import Spec
from morelike.nn import names, net
from morelike.nn.condition import Condition, FiLM
from morelike.nn.layers import BatchNorm, Patches, even_patches, normalisation
from morelike.nn.transformer import attend

SHAPES = [(7,), (1, 28, 28), (2, 17, 23), (3, 1, 5), (2, 1000), (1, 3), (3, 4, 16, 16)]
ANYTHING = ["mlp", "rnn", "transformer"]  # these refuse nothing
PICTURE = (2, 9, 4)
each_net = pytest.mark.parametrize("name", names())
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both = pytest.mark.parametrize("side", ["encoder", "decoder"])


def build(make: Callable[[], nn.Module]) -> nn.Module:
    """The net, or a skipped test where it refuses with an error that names another net."""
    try:
        return make()
    except OptionError as refusal:
        assert any(other in refusal.action for other in names())
        pytest.skip(str(refusal))


def encoder(name: str, shape: tuple[int, ...], out: int = 5, **options: object) -> nn.Module:
    return build(lambda: net(name).Encoder(shape, out, **{"width": 8, **options}))


def decoder(name: str, shape: tuple[int, ...], features: int = 6, **options: object) -> nn.Module:
    return build(lambda: net(name).Decoder(features, shape, **{"width": 8, **options}))


def one(side: str, name: str, batch: int = 4, **options: object) -> tuple[nn.Module, Tensor]:
    """An encoder or decoder for a small picture, and a batch of inputs for it."""
    if side == "encoder":
        return encoder(name, PICTURE, **options), torch.randn(batch, *PICTURE)
    return decoder(name, PICTURE, **options), torch.randn(batch, 6)


def train(module: nn.Module, inputs: tuple[Tensor, ...], target: Tensor, steps: int = 3, lr: float = 3e-3) -> float:
    """The loss after some steps towards the target, and its gradients; at the start zero weights block some of them."""
    optimizer = torch.optim.Adam(module.parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(module(*inputs), target).backward()
        optimizer.step()
    optimizer.zero_grad()
    loss = F.mse_loss(module(*inputs), target)
    loss.backward()
    return loss.item()


def assert_gradients(module: nn.Module) -> None:
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"{name} has a gradient that is not finite"
        assert parameter.grad.any(), f"{name} has a gradient of zero"


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_nets_are_found_without_torch() -> None:
    assert {"cnn", "mlp", "rnn", "transformer"} <= set(names())
    assert {"condition", "augment", "layers"}.isdisjoint(names())
    code = "import sys, morelike.nn; assert morelike.nn.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_misspelt_net_names_the_nearest() -> None:
    with pytest.raises(OptionError, match='"transformer"'):
        net("transfomer")
    with pytest.raises(OptionError, match='"mlp"'):
        net("layers.mlp")  # no other module can be had by a name


@each_net
@each_shape
def test_encoder_maps_items_to_features(name: str, shape: tuple[int, ...]) -> None:
    module = encoder(name, shape, given=3)
    x, c = torch.randn(4, *shape), torch.randn(4, 3)
    assert module(x, c).shape == (4, 5)
    train(module, (x, c), torch.randn(4, 5))
    assert_gradients(module)


@each_net
@each_shape
def test_decoder_maps_features_to_items(name: str, shape: tuple[int, ...]) -> None:
    module = decoder(name, shape, given=3)
    h, c = torch.randn(4, 6), torch.randn(4, 3)
    assert module(h, c).shape == (4, *shape)
    train(module, (h, c), torch.randn(4, *shape))
    assert_gradients(module)


@each_net
@pytest.mark.parametrize("shape", [(), (9,), (200,), (5, 6)], ids=str)
def test_encoder_reads_tokens(name: str, shape: tuple[int, ...]) -> None:
    module = encoder(name, shape, tokens=11)
    x = torch.randint(0, 11, (4, *shape))
    assert module(x).shape == (4, 5)
    train(module, (x,), torch.randn(4, 5))
    assert_gradients(module)


@pytest.mark.parametrize("name", ANYTHING)
def test_some_nets_refuse_nothing(name: str) -> None:
    for shape in SHAPES:
        net(name).Encoder(shape, 5, 8)
        net(name).Decoder(5, shape, 8)
    net(name).Encoder((), 5, 8, tokens=11)


@each_net
@both
@pytest.mark.parametrize("norm", ["none", "group"])
def test_examples_do_not_mix(name: str, side: str, norm: str) -> None:
    module, x = one(side, name, norm=norm)
    with torch.no_grad():
        for parameter in module.parameters():  # wake up what starts at zero
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    other = x.clone()
    other[0] += torch.randn_like(x[0])
    before, after = module(x), module(other)
    torch.testing.assert_close(before[1:], after[1:], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(before[0], after[0], atol=1e-4)


@each_net
@both
def test_batch_statistics_mix_examples(name: str, side: str) -> None:
    module, x = one(side, name, norm="batch")
    other = x.clone()
    other[0] += 5 * torch.randn_like(x[0])
    train(module, (x,), torch.randn_like(module(x)))
    assert not torch.allclose(module(x)[1:], module(other)[1:], atol=1e-5)
    module.eval()
    torch.testing.assert_close(module(x)[1:], module(other)[1:], rtol=1e-5, atol=1e-6)


@each_net
@both
@pytest.mark.parametrize("style", ["residual", "plain"])
def test_a_net_can_answer_by_its_condition_alone(name: str, side: str, style: str) -> None:
    module, x = one(side, name, batch=8, given=2, style=style)
    c = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 1)
    target = torch.randn_like(module(x, c)[:2]).repeat(4, *[1] * (module(x, c).ndim - 1))
    x = x[:1].expand_as(x)  # nothing else tells the examples apart
    assert train(module, (x, c), target, steps=100, lr=1e-2) < 0.25 * target.var()


@each_net
@both
def test_an_item_is_learnt(name: str, side: str) -> None:
    module, x = one(side, name, batch=6)
    target = torch.randn_like(module(x))
    assert train(module, (x,), target, steps=100, lr=1e-2) < 0.25


@each_net
@both
def test_the_seed_settles_the_weights(name: str, side: str) -> None:
    answers = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        module, x = one(side, name)
        answers.append(module(torch.ones_like(x)))
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


@each_net
def test_width_is_the_one_dial(name: str) -> None:
    shape = (1, 28, 28)
    for make in (lambda w: net(name).Encoder(shape, 64, w), lambda w: net(name).Decoder(64, shape, w)):
        small, middle, large = (parameters(make(width)) for width in (16, 32, 64))
        assert 0.25e6 < middle < 1.6e6
        assert 1.8 < middle / small < 4.5
        assert 1.8 < large / middle < 4.5
    for width in (1, 10, 20, 33):  # any number will do
        assert net(name).Decoder(6, shape, width)(net(name).Encoder(shape, 6, width)(torch.randn(2, *shape))).shape


@each_net
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64)], ids=str)
def test_new_nets_answer_on_a_moderate_scale(name: str, shape: tuple[int, ...]) -> None:
    features = net(name).Encoder(shape, 64)(torch.randn(8, *shape))
    item = net(name).Decoder(64, shape)(torch.randn(8, 64))
    assert 0.02 < features.std() < 2
    assert 0.02 < item.std() < 2


@each_net
def test_gradient_penalties_reach_the_parameters(name: str) -> None:
    module, x = one("encoder", name)
    train(module, (x,), torch.randn(4, 5))
    module.zero_grad()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    slope.square().sum().backward()  # R1, or the penalty of a Wasserstein critic
    gradients = [parameter.grad for parameter in module.parameters() if parameter.ndim > 1]
    reached = [gradient for gradient in gradients if gradient is not None]
    assert len(reached) > len(gradients) / 2
    assert all(gradient.isfinite().all() and gradient.any() for gradient in reached)


@each_net
@both
def test_mixed_precision_is_quiet_and_near(name: str, side: str) -> None:
    module, x = one(side, name, given=3)
    c = torch.randn(4, 3)
    exact = module(x, c).detach()
    with warnings.catch_warnings(), torch.autocast("cpu", torch.bfloat16):
        warnings.simplefilter("error")
        rough = module(x, c)
        rough.float().sum().backward()
    torch.testing.assert_close(rough.float(), exact, rtol=0.1, atol=0.1 * exact.abs().max().item())


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@each_net
@both
def test_an_exported_graph_leaves_the_batch_size_free(name: str, side: str) -> None:
    module, x = one(side, name)  # what len(x) instead of x.shape[0], or a layer called "code", would prevent
    free = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(module.eval(), (x,), dynamic_shapes=({0: free},)).module()
    other = torch.randn(7, *x.shape[1:])
    torch.testing.assert_close(exported(other), module(other))


@each_net
def test_place_matters(name: str) -> None:
    module, x = one("encoder", name)
    assert not torch.allclose(module(x), module(x.roll(2, -1)), atol=1e-3)


@each_net
def test_an_unknown_normalisation_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match='"group"'):
        net(name).Encoder(PICTURE, 5, 8, norm="groups")


# --- parts


def test_attention_is_that_of_the_paper() -> None:
    q, k, v = torch.randn(3, 2, 4, 7, 16).unbind()
    torch.testing.assert_close(attend(q, k, v), F.scaled_dot_product_attention(q, k, v))
    uniform = attend(torch.zeros_like(q), k, v)  # all logits equal: every query gets the mean
    torch.testing.assert_close(uniform, v.mean(-2, keepdim=True).expand_as(v))


@pytest.mark.parametrize(
    ("space", "count"), [((28, 28), 49), ((64, 64), 64), ((1000,), 63), ((17, 23), 48), ((4, 16, 16), 64), ((1, 5), 5)]
)
def test_patches_are_about_as_many_whatever_the_size(space: tuple[int, ...], count: int) -> None:
    patches = Patches((3, *space), even_patches(space))
    assert patches.count == count
    x = torch.randn(2, 3, *space)
    parts = patches.split(x)
    assert parts.shape == (2, patches.count, patches.size)
    assert torch.equal(patches.join(parts), x)


def test_a_patch_holds_neighbours() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    first = Patches((1, 4, 4), (2, 2)).split(x)[0]
    assert first.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize("space", [(), (9,), (4, 5), (2, 3, 4)], ids=str)
def test_batch_normalisation_of_any_rank(space: tuple[int, ...]) -> None:
    y = BatchNorm(3)(5 + 2 * torch.randn(50, 3, *space)).movedim(1, 0).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)


def test_normalisation_by_name() -> None:
    x = torch.randn(2, 12, 5)
    assert normalisation("none", 12)(x) is x
    torch.testing.assert_close(normalisation("group", 12)(x), F.group_norm(x, 4))
    with pytest.raises(OptionError):
        normalisation("layer", 12)


def test_film_is_its_equation() -> None:
    film, h, c = FiLM(3, 4), torch.randn(2, 4, 5), torch.randn(2, 3)
    gamma, beta = film.affine(c).chunk(2, 1)
    torch.testing.assert_close(film(h, c), h * (1 + gamma[:, :, None]) + beta[:, :, None])
    torch.testing.assert_close(film(h.transpose(1, 2), c, -1), film(h, c).transpose(1, 2))
    assert FiLM(0, 4)(h, None) is h


GIVEN = {
    "label": Spec((), tokens=3), "type": Spec((5,)), "a.b": Spec((1, 4, 4)), "caption": Spec((6,), tokens=20),
}  # fmt: skip


def values(batch: int) -> dict[str, Tensor]:
    integers = {"label": torch.randint(0, 3, (batch,)), "caption": torch.randint(0, 20, (batch, 6))}
    return {**integers, "type": torch.randn(batch, 5), "a.b": torch.randn(batch, 1, 4, 4)}


def test_conditions_of_every_kind_become_one_vector() -> None:
    condition = Condition(GIVEN, 8)
    assert condition.width == 32
    given = values(4)
    c = condition(given, 4)
    assert c.shape == (4, 32)
    c.square().sum().backward()
    assert_gradients(condition)
    for name in GIVEN:  # each of them shows, in its own place, for its own example
        other = {key: value.clone() for key, value in given.items()}
        other[name][1] = (other[name][1] + 1) % 3
        changed = (condition(other, 4) != c).any(1)
        assert changed.tolist() == [False, True, False, False], name


def test_one_value_serves_all_items() -> None:
    condition = Condition({"label": Spec((), tokens=3)}, 8)
    one = condition({"label": torch.tensor([2])}, 4)
    assert torch.equal(one, condition({"label": torch.full((4,), 2)}, 4))


def test_without_conditions_there_is_no_vector() -> None:
    condition = Condition({}, 8)
    assert condition.width == 0
    assert condition({}, 4) is None


def test_missing_or_misshapen_conditions_are_named() -> None:
    condition = Condition(GIVEN, 8)
    with pytest.raises(OptionError, match="--given caption="):
        condition({name: value for name, value in values(4).items() if name != "caption"}, 4)
    with pytest.raises(OptionError, match=r'"type" has shape \(4, 6\).*\(4, 5\)'):
        condition({**values(4), "type": torch.randn(4, 6)}, 4)
    with pytest.raises(OptionError, match=r'"label" has shape \(3,\)'):
        condition({**values(4), "label": torch.zeros(3, dtype=torch.long)}, 4)
