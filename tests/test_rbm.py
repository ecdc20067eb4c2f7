"""The restricted Boltzmann machine against enumeration of all its states."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.distribution import Bernoulli, Categorical, DiscretisedLogistic
from morelike.core.errors import OptionError
from morelike.core.family import History
from morelike.core.spec import Batch, Spec
from morelike.families.rbm import Config, Model
from morelike.measure.figure import Evidence
from morelike.measure.likelihood import HasLogZ, likelihood
from morelike.nn.boltzmann import Machine, Offsets, Tempered, centred_energy, states, swap
from morelike.nn.noise import Stream, Streams
from morelike.samplers.mcmc.ais import anneal, bracket, resampled
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import train

BITS = Spec((8,), head_shape=(8,), head=Bernoulli)


def machine(visible: int, hidden: int, seed: int = 0, scale: float = 1.0, real: bool = False) -> Machine:
    rng = torch.Generator().manual_seed(seed)
    w, eta, c = (
        scale * torch.randn(*shape, generator=rng).double() for shape in ((visible, hidden), (visible,), (hidden,))
    )
    return Machine(w, eta, c, 1 + torch.rand(visible, generator=rng).double() if real else None)


def table(one: Machine) -> tuple[Tensor, Tensor]:
    """All visible states and their probabilities."""
    v = torch.cat(states(one.w.shape[0], one.w))
    return v, (one.log_prob(v) - one.log_z()).exp()


def variation(v: Tensor, exact: Tensor) -> float:
    """Total variation between the states of v (n, V) and their exact probabilities, in the order of `states`."""
    codes = (v.long() << torch.arange(v.shape[1])).sum(1)
    return float(0.5 * (torch.bincount(codes, minlength=len(exact)) / len(v) - exact.detach()).abs().sum())


def test_free_energy_sums_the_hidden_units_out() -> None:
    one = machine(4, 3)
    v, h = torch.cat(states(4, one.w)), torch.cat(states(3, one.w))
    joint = v @ one.w @ h.T + (v @ one.eta)[:, None] + h @ one.c
    torch.testing.assert_close(one.log_prob(v), joint.logsumexp(1))
    torch.testing.assert_close(one.log_z(), joint.flatten().logsumexp(0))
    turned = Machine(one.w.T, one.c, one.eta)  # the other side is enumerated
    torch.testing.assert_close(turned.log_z(), one.log_z())


def test_log_z_of_real_numbers_is_the_integral() -> None:
    one = machine(1, 3, real=True)
    grid = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    torch.testing.assert_close(one.log_z(), torch.trapezoid(one.log_prob(grid[:, None]).exp(), grid).log())


def test_the_centred_gradient_is_that_of_the_centred_machine() -> None:
    one, x = machine(5, 4), torch.rand(6, 5).round().double()
    mu, lam, g = torch.rand(5).double(), torch.rand(4).double(), torch.randn(6).double()
    g -= g.mean()  # data weigh as much as samples of the model
    w, b, c = (t.clone().requires_grad_() for t in (one.w, one.eta + one.w @ lam, one.c + mu @ one.w))
    centred = -(x @ (b - w @ lam)) - F.softplus(x @ w + c - mu @ w).sum(1)
    (centred * g).sum().backward()
    plain = [t.float().requires_grad_() for t in (one.w, one.eta, one.c)]
    energy = centred_energy(Machine(*plain), x.float(), Offsets(mu.float(), lam.float()), torch.float32)
    torch.testing.assert_close(energy, -one.log_prob(x).float(), rtol=1e-5, atol=1e-5)
    (energy * g.float()).sum().backward()
    # a step of the centred parameters moves the plain ones by d eta = d b - d w lam, d c = d c' - mu d w
    expected = (w.grad, b.grad - w.grad @ lam, c.grad - mu @ w.grad)
    for found, wanted in zip(plain, expected, strict=True):
        torch.testing.assert_close(found.grad, wanted.float(), rtol=1e-4, atol=1e-4)


def test_without_offsets_it_is_the_gradient_of_the_free_energy() -> None:
    one, x, y = machine(5, 4), torch.rand(6, 5).round(), torch.arange(6) % 2
    leaves = [t.float().requires_grad_() for t in (one.w, one.eta, one.c, torch.randn(2, 5), torch.randn(2, 4))]
    zero = Offsets(torch.zeros(5), torch.zeros(4))
    w, eta, c, d, e = leaves
    found = torch.autograd.grad(
        centred_energy(Machine(w, eta, c), x, zero, torch.float32, (d[y], e[y])).square().sum(), leaves
    )
    wanted = torch.autograd.grad(Machine(w, eta + d[y], c + e[y]).log_prob(x).square().sum(), leaves)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("real", [False, True])
def test_annealing_brackets_log_z(real: bool) -> None:
    one, noise, n = machine(10, 8, scale=0.7, real=real), Stream(0), 300
    base = Machine(one.w, torch.zeros(10).double(), one.c, None if one.precision is None else torch.ones(10).double())
    path, betas = Tempered(one, base), torch.linspace(0, 1, 501).tolist()
    up = anneal(path, path.start(n, noise), betas, noise)
    samples, _ = one.gibbs(up.state.v[resampled(up, n)], noise, 300)
    down = anneal(path, path.stand(samples), betas[::-1], noise)
    found, truth = bracket(up, [down], path.log_z0), float(one.log_z())
    assert found.low < truth < found.high and found.high - found.low < 0.4
    assert float(path.log_z0 + up.log_ratio) == pytest.approx(truth, abs=0.1)


def test_chains_at_several_temperatures_keep_their_laws() -> None:
    one, noise, n = machine(4, 3, scale=2.0), Stream(0), 20_000
    path = Tempered(one, Machine(one.w, torch.zeros(4).double(), one.c))
    betas = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    rows = betas.repeat_interleave(n)[:, None]
    state = path.start(3 * n, noise)
    for i in range(60):
        state = swap(path, betas, path.move(rows, state, noise), i % 2 == 1, noise)
    v, exact = table(one)
    assert variation(state.v[-n:], exact) < 0.02
    warm = torch.softmax(path.log_prob(0.4, path.stand(v)), 0)
    assert variation(state.v[n : 2 * n], warm) < 0.02
    torch.testing.assert_close(state.own, one.visible(state.v)), "what is known of a chain moves with it"


def grown(config: Config, spec: Spec = BITS, seed: int = 0) -> Model:
    """A model with weights that matter."""
    torch.manual_seed(seed)
    model = Model(spec, config)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    return model.eval()


def test_samples_have_the_law_of_the_model() -> None:
    model = grown(Config(hidden=5, walk=30))
    _, exact = table(model.machine().cast(torch.float64))
    made = model.sample(range(6_000))
    assert set(made.unique().tolist()) == {-1.0, 1.0}
    exact = exact.detach()
    direct = torch.multinomial(exact, len(made), replacement=True)
    floor = float(0.5 * (torch.bincount(direct, minlength=256) / len(made) - exact).abs().sum())
    assert variation((made + 1) / 2, exact) < max(0.02, 1.4 * floor)
    v = torch.cat(states(8, made))
    torch.testing.assert_close(model.log_prob(Batch(2 * v - 1)).exp(), exact.float(), rtol=1e-4, atol=1e-7)


def test_what_is_held_stays_and_the_rest_is_drawn_given_it() -> None:
    model = grown(Config(hidden=5, walk=30))
    v, exact = table(model.machine().cast(torch.float64))
    mask = torch.arange(8) < 4
    x = torch.tensor([1.0, -1, -1, 1, 0, 0, 0, 0]).expand(4_000, 8)
    made = model.infill(x, mask, range(4_000))
    assert torch.equal(made[:, :4], x[:, :4])
    fits = (v[:, :4] == (x[0, :4] + 1) / 2).all(1)
    assert variation((made[:, 4:] + 1) / 2, exact[fits] / exact[fits].sum()) < 0.03


def patterns() -> Iterator[Batch]:
    """Eight bits: either half is on or off as a whole, but for a few that are flipped."""
    rng = torch.Generator().manual_seed(3)
    while True:
        halves = torch.randint(0, 2, (100, 2), generator=rng).repeat_interleave(4, 1).float()
        flips = (torch.rand(100, 8, generator=rng) < 0.05).float()
        yield Batch(2 * (halves - flips).abs() - 1)


@pytest.mark.parametrize(
    "config",
    [Config(training="pcd"), Config(training="cd", k=5), Config(training="pt", temperatures=4), Config(centre=False)],
    ids=lambda one: f"{one.training}{'' if one.centre else '-plain'}",
)
def test_each_way_of_training_finds_the_structure(config: Config) -> None:
    torch.manual_seed(0)
    model = Model(BITS, replace(config, hidden=6, chains=100))
    for _ in train(Game(model), patterns(), Plan.of(600), seed=0):
        pass
    held = torch.cat([batch.x for batch in islice(patterns(), 600, 620)])
    truth = 2 * math.log(2) + 8 * -(0.05 * math.log(0.05) + 0.95 * math.log(0.95))
    assert model.exact and model.log_z[0] == model.log_z[1]
    short = 0.6 if config.centre else 1.3  # it is slower without; independent bits would cost 5.5 nats, 2.6 more
    assert float(model.log_prob(Batch(held)).mean()) > -truth - short


@pytest.mark.parametrize("training", ["pcd", "pt", "cd"])
def test_training_goes_on_from_its_state_bit_for_bit(training: str) -> None:
    def game() -> Game:
        torch.manual_seed(0)
        return Game(Model(BITS, Config(hidden=6, chains=20, training=training)))

    batches = list(islice(patterns(), 8))
    whole, part, rest = game(), game(), game()
    list(train(whole, iter(batches), Plan.of(8), seed=1))
    list(zip(range(5), train(part, iter(batches), Plan.of(8), seed=1), strict=False))
    torch.rand(7)
    rest.load_state({name: value.clone() for name, value in part.state().items()})
    list(train(rest, iter(batches[5:]), Plan.of(8), seed=1, begin=5))
    for name, value in whole.state().items():
        assert torch.equal(rest.state()[name], value), name


def test_large_machines_are_bracketed_and_the_report_says_so() -> None:
    model = grown(
        Config(hidden=24, chains=50),
        Spec((24,), head_shape=(48,), head=lambda out: DiscretisedLogistic(*out.chunk(2, 1))),
    )
    with torch.no_grad():
        model.weight.mul_(0.3)
    x = torch.rand(80, 24) * 2 - 1
    assert not model.exact and isinstance(model, HasLogZ)
    model.finish([Batch(x)])
    low, high = model.log_z
    assert 0 < high - low < 2
    figure = likelihood(Evidence(x, x, x, model.spec), model)[0]
    assert figure.name == "cross_entropy" and "no likelihood" in figure.says, "grey values are no bits"
    assert "from the other side" in figure.says and figure.value - figure.low > (high - low) / 24 / math.log(2)


def test_tokens_of_two_kinds_are_bits() -> None:
    spec = Spec((6,), tokens=2, head_shape=(6, 2), head=Categorical)
    model = grown(Config(hidden=4), spec)
    made = model.sample(range(50))
    assert made.dtype == torch.int64 and set(made.unique().tolist()) == {0, 1}
    everything = torch.cat(states(6, torch.ones(1))).long()
    assert float(model.log_prob(Batch(everything)).exp().sum()) == pytest.approx(1, abs=1e-4)


def test_other_conditions_than_labels_are_refused() -> None:
    with pytest.raises(OptionError, match="--family vae"):
        Model(replace(BITS, given={"text": Spec((5,), tokens=9, end=0)}), Config())
    with pytest.raises(OptionError, match="at most 100"):
        Model(replace(BITS, given={"label": Spec((), tokens=101)}), Config())


def test_chains_that_are_lost_or_stuck_are_named() -> None:
    model = Model(BITS, Config(hidden=4))
    model.fraction = 0.5
    for values, word in (((-0.1, 0.3), None), ((-9.0, 0.3), "do not follow"), ((-0.1, 0.001), "hardly mix")):
        history = History()
        for _ in range(10):
            history.add(dict(zip(("model", "moved"), values, strict=True)))
        said = model.diagnose(history)
        assert said is None if word is None else said is not None and word in said and "--set" in said


def test_numbers_of_a_row_depend_on_its_seed_alone() -> None:
    many, one = Streams([4, 5, 6]), Streams([5])
    for width in (3, 40_000, 7, 900_000, 2_000_000, 5):  # less and more than what is fetched at once
        like = torch.empty(3, width)
        assert torch.equal(many.uniform(like)[1:2], one.uniform(like[:1]))
    z = Streams(range(2000)).normal(torch.empty(2000, 50, dtype=torch.float64))
    assert abs(float(z.mean())) < 0.01 and float(z.std()) == pytest.approx(1, abs=0.01)
    u = Stream(3).uniform(torch.empty(1000, 100))
    assert float(u.min()) >= 0 and float(u.max()) < 1 and float(u.mean()) == pytest.approx(0.5, abs=0.005)
