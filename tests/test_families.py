"""The contract that every family keeps with every kind of data. A new file in families/ joins by existing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import morelike
from morelike.core.distribution import Categorical, Distribution, Normal, Point
from morelike.core.errors import OptionError
from morelike.core.family import Family, HasInterpolation, HasLatent, HasLogProb
from morelike.core.spec import Batch, Spec
from morelike.nn.rows import Row
from morelike.train.folder import load_tensors, save_tensors
from morelike.train.game import Game, override
from morelike.train.stepper import Accumulated

FOLDER = Path(morelike.__file__).parent / "families"
FAMILIES = sorted(path.stem for path in FOLDER.glob("*.py") if "\nclass Model(" in path.read_text(encoding="utf-8"))
KINDS = {
    "sound": Spec((2, 16)), "picture": Spec((3, 9, 8)), "video": Spec((1, 4, 6, 6)), "vector": Spec((5,)),
    "text": Spec((13,), tokens=7, end=0), "codes": Spec((6,), tokens=5),
    "row": Spec((6,), tokens=5, sizes=(2, 3, 5, 4, 2, 3)),
    "answer": Spec((9,), tokens=7, end=0, given={"source": Spec((8,), tokens=6, end=0)}),
}  # fmt: skip
LABELS, TOKENS, B = 3, 4, 8


def gaussian(out: Tensor) -> Distribution:
    loc, log_scale = out.chunk(2, 1)
    return Normal(loc, log_scale.clamp(-3, 1).exp())


def squashed(out: Tensor) -> Distribution:
    return Point(torch.tanh(out))


def spec_for(module: Any, kind: Spec | tuple[int, ...], labelled: bool) -> Spec:
    given = {"label": Spec((), tokens=LABELS)} if labelled else {}
    given = {**(kind.given if isinstance(kind, Spec) else {}), **given}
    shape = kind.shape if isinstance(kind, Spec) else kind
    if isinstance(kind, Spec) and kind.sizes is not None:
        return replace(kind, head_shape=(sum(kind.sizes),), head=partial(Row, sizes=kind.sizes), given=given)
    if isinstance(kind, Spec) and kind.tokens is not None:
        return replace(kind, head_shape=(*shape, kind.tokens), head=Categorical, given=given)
    if module.Model.needs == "rsample":
        return Spec(shape, head_shape=shape, head=squashed, given=given)
    return Spec(shape, head_shape=(2 * shape[0], *shape[1:]), head=gaussian, given=given)


def batch_for(spec: Spec, n: int = B, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    if spec.tokens is None:
        x = torch.rand(n, *spec.shape, generator=generator) * 2 - 1
    elif spec.sizes is not None:
        x = (torch.rand(n, *spec.shape, generator=generator) * torch.tensor(spec.sizes)).long()
    elif spec.end is not None:
        x = torch.stack([text_row(spec, generator, single=bool(spec.given)) for _ in range(n)])
    else:
        x = torch.randint(0, spec.tokens, (n, *spec.shape), generator=generator)
    return Batch(x, {name: condition(one, range(n)) for name, one in spec.given.items()})


def condition(spec: Spec, values: Sequence[int]) -> Tensor:
    """Conditions of a kind, one for each number: labels (n,), or texts (n, *shape)."""
    if not spec.shape:
        return torch.tensor(values) % (spec.tokens or 1)
    return torch.stack([text_row(spec, torch.Generator().manual_seed(value), single=True) for value in values])


def text_row(spec: Spec, generator: torch.Generator, single: bool) -> Tensor:
    """One document and room that is left, or several, or a piece of a long one, as in core/tokens.py: (T,)."""
    row, size, end = [0], spec.shape[0], spec.end or 0
    while len(row) < size and not (single and len(row) > 1):
        length = int(torch.randint(1, size - 1, (), generator=generator))
        row += [*torch.randint(1, spec.tokens or 2, (length,), generator=generator).tolist(), end]
    begin = 0 if single else int(torch.randint(0, 3, (), generator=generator))
    row = row[begin : begin + size]
    return torch.tensor(row + [end] * (size - len(row)))


def other(spec: Spec, x: Tensor) -> Tensor:
    """Another item than x (*shape)."""
    if spec.tokens is None:
        return -x
    if spec.end is None:
        return (x + 1) % (spec.tokens if spec.sizes is None else torch.tensor(spec.sizes))
    return torch.where(x == spec.end, x, x % (spec.tokens - 1) + 1)  # the end is token 0


def labels(value: int, spec: Spec, n: int = B) -> dict[str, Tensor]:
    return {name: condition(one, [value] * n) for name, one in spec.given.items()}


def play(family: Family, batch: Batch, seed: int = 0, step: int = 0) -> dict[str, Tensor]:
    """The losses of one game in which nobody moves, by player."""
    family.step, family.fraction = step, 0.5
    torch.manual_seed(seed)
    return {move.player: move.loss for move in family.play(batch)}


def turns(game: Game, batch: Batch, n: int, seed: int | None = None) -> None:
    for step in range(n):
        torch.manual_seed(step if seed is None else seed)
        game.turn(batch, step, 0.5)


def takes(name: str, kind: Spec) -> OptionError | None:
    """None if a family takes this kind of data, else the words in which it refuses."""
    module = import_module(f"morelike.families.{name}")
    try:
        module.tiny(spec_for(module, kind, False))
    except OptionError as error:
        return error
    return None


def own_kind(name: str) -> Spec:
    """A kind of data that a family takes: pictures if it can."""
    return next(KINDS[kind] for kind in ("picture", "text", "answer", "row") if (name, kind) not in REFUSALS)


def has_nets(name: str) -> bool:
    """Whether a family lets the user choose a kind of network."""
    return any(one.name == "net" for one in fields(import_module(f"morelike.families.{name}").Config))


REFUSALS = {(name, kind): error for name in FAMILIES for kind, one in KINDS.items() if (error := takes(name, one))}
CASES = [
    pytest.param(name, spec, labelled, id=f"{name}-{kind}{'-labelled' if labelled else ''}")
    for name in FAMILIES
    for kind, spec in KINDS.items()
    if (name, kind) not in REFUSALS
    for labelled in (False, True)
]


@pytest.fixture
def case(request: pytest.FixtureRequest) -> tuple[Any, Spec, Family, Batch]:
    name, kind, labelled = request.param
    module = import_module(f"morelike.families.{name}")
    spec = spec_for(module, kind, labelled)
    return module, spec, module.tiny(spec), batch_for(spec)


contract = pytest.mark.parametrize("case", [pytest.param(c.values, id=c.id) for c in CASES], indirect=True)
each_family = pytest.mark.parametrize("name", FAMILIES)


def test_the_families_of_the_house_are_found() -> None:
    assert {"autoregressive", "gan", "vae"} <= set(FAMILIES)


@pytest.mark.parametrize(("name", "kind"), list(REFUSALS), ids="-".join)
def test_what_it_does_not_take_is_refused_with_an_alternative(name: str, kind: str) -> None:
    error = REFUSALS[name, kind]
    assert all(len(part) > 5 for part in (error.found, error.expected, error.action))
    assert any(word in error.action for word in (*(set(FAMILIES) - {name}), "--net")), "an alternative is named"
    assert "real numbers" in error.found if KINDS[kind].tokens is None else "token" in error.found


@each_family
def test_it_takes_some_kind_of_data(name: str) -> None:
    assert [kind for kind in KINDS if (name, kind) not in REFUSALS]


@contract
def test_names_its_players_and_how_they_are_optimised(case) -> None:
    _, spec, family, _ = case
    assert family.spec is spec and family.needs in ("log_prob", "rsample") and family.examples > 0
    assert set(family.players()) == set(family.optimizers())
    owned = [id(p) for player in family.players().values() for p in player.parameters()]
    assert len(owned) == len(set(owned)), "no two players share a parameter"
    assert set(owned) == {id(p) for p in family.parameters()}, "every parameter belongs to a player"


@contract
def test_every_parameter_gets_a_finite_gradient(case) -> None:
    _, _, family, batch = case
    game, felt = Game(family, average=0.0), dict.fromkeys((n for n, _ in family.named_parameters()), 0.0)
    for step in range(3):  # some parts start at zero and open in the first step
        torch.manual_seed(step)
        game.turn(batch, step, 0.5)
        for name, p in family.named_parameters():
            assert p.grad is not None and p.grad.isfinite().all(), name
            felt[name] += float(p.grad.abs().sum())
    matrices = {name for name, p in family.named_parameters() if p.ndim > 1}  # a bias may cancel in a difference
    assert not [name for name in matrices if not felt[name]], "no weight is idle"


@contract
def test_losses_have_one_value_for_each_example_and_do_not_mix_them(case) -> None:
    _, _, family, batch = case
    losses = play(family, batch)
    assert set(losses) == set(family.players())
    assert all(loss.shape == (B,) and loss.isfinite().all() for loss in losses.values())
    if family.mixes:
        return
    x = batch.x.clone()
    x[3] = other(family.spec, x[3])
    changed = play(family, batch._replace(x=x))
    others = [i for i in range(B) if i != 3]
    for player, loss in losses.items():
        torch.testing.assert_close(changed[player][others], loss[others], rtol=1e-4, atol=1e-5)
    assert any(abs(changed[player][3] - loss[3]) > 1e-6 for player, loss in losses.items())


@contract
def test_ten_steps_lower_the_loss_of_each_player_while_the_others_rest(case) -> None:
    _, _, family, batch = case
    for player in family.players():
        mover = copy.deepcopy(family)
        optims = {name: replace(one, lr=one.lr if name == player else 0.0) for name, one in mover.optimizers().items()}
        before = play(mover, batch)[player].mean()
        turns(Game(mover, optims, average=0.0), batch, 10, seed=0)
        assert play(mover, batch)[player].mean() < before, player


@contract
def test_samples_have_the_shape_and_belong_to_their_seeds(case) -> None:
    _, spec, family, batch = case
    turns(Game(family), batch, 2)
    family.eval()
    all_labels = labels(1, spec, 40)
    many = family.sample(range(40), all_labels)
    assert many.shape == (40, *spec.shape) and many.isfinite().all() and not many.requires_grad
    assert torch.equal(family.sample(range(40), all_labels), many)
    few = family.sample([17, 3, 39], labels(1, spec, 3))
    torch.testing.assert_close(few, many[[17, 3, 39]], rtol=1e-4, atol=1e-5)
    assert (many[0] - many[1:]).abs().max() > 1e-6, "another seed, another item"
    assert many.dtype == batch.x.dtype
    assert many.abs().max() < 100
    if family.needs == "rsample" and spec.tokens is None:
        assert many.abs().max() <= 1
    if spec.sizes is not None:
        assert bool((many >= 0).all()) and bool((many < torch.tensor(spec.sizes)).all())


@contract
def test_what_it_is_given_matters_to_samples_and_to_every_player(case) -> None:
    _, spec, family, batch = case
    if not spec.given:
        return
    turns(Game(family), batch, 3 if spec.tokens is None else 30)
    first, second = (play(family, batch._replace(given=labels(value, spec))) for value in (0, 2))
    for player in family.players():
        assert (first[player] - second[player]).abs().min() > 1e-7, player
    family.eval()
    assert (family.sample(range(B), labels(0, spec)) - family.sample(range(B), labels(2, spec))).abs().max() > 1e-5
    with pytest.raises(OptionError, match="|".join(spec.given)):
        family.sample(range(B))


@contract
def test_one_condition_serves_a_whole_batch(case) -> None:
    _, spec, family, _ = case
    if spec.given:
        family.eval()
        one = family.sample(range(B), labels(2, spec, 1))
        torch.testing.assert_close(one, family.sample(range(B), labels(2, spec)))


@contract
def test_saved_and_loaded_it_draws_identical_samples(case, tmp_path: Path) -> None:
    module, spec, family, batch = case
    game = Game(family)
    turns(game, batch, 3)
    with game.averaged() as averaged:
        expected = averaged.sample(range(5), labels(1, spec, 5))
    save_tensors(tmp_path / "weights.safetensors", game.weights(), {"step": 3})
    torch.manual_seed(99)
    loaded = module.tiny(spec)
    loaded.load_state_dict(load_tensors(tmp_path / "weights.safetensors")[0])
    assert torch.equal(loaded.eval().sample(range(5), labels(1, spec, 5)), expected)


def stream(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Random numbers that depend on how many rows of this shape were drawn before, not on how many at a time."""
    rows: dict[tuple[int, ...], int] = {}

    def drawn(*size: Any, **options: Any) -> Tensor:
        shape = tuple(size[0].shape) if isinstance(size[0], Tensor) else tuple(size)
        begin = rows.get(shape[1:], 0)
        rows[shape[1:]] = begin + shape[0]
        seeds = (torch.Generator().manual_seed(row) for row in range(begin, begin + shape[0]))
        return torch.stack([draw(*shape[1:], generator=seed) for seed in seeds])

    return drawn


@contract
def test_four_microbatches_in_lockstep_equal_the_whole_batch(case, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, family, batch = case
    if family.mixes:
        return
    after, logs = [], []
    randn, rand = torch.randn, torch.rand
    for parts in (1, 4):
        mover = copy.deepcopy(family)
        game = Game(mover, override(mover.optimizers(), name="sgd", lr=0.05, clip=None), stepper=Accumulated(parts))
        normal, uniform = stream(randn), stream(rand)
        for name, drawn in (("randn", normal), ("randn_like", normal), ("rand", uniform)):
            monkeypatch.setattr(torch, name, drawn)
        logs.append([game.turn(batch, step, 0.5) for step in range(2)])
        monkeypatch.undo()
        after.append(mover.state_dict())
    moved = max(float((after[0][n] - p).abs().max()) for n, p in family.state_dict().items())
    assert moved > 1e-4
    for name, value in after[0].items():
        torch.testing.assert_close(after[1][name], value, rtol=1e-4, atol=1e-5, msg=name)
    for one, four in zip(*logs, strict=True):
        for player in family.players():
            torch.testing.assert_close(four[player], one[player], rtol=1e-4, atol=1e-5)


@contract
def test_what_it_can_do_beyond_sampling_has_the_right_shapes(case) -> None:
    _, spec, family, batch = case
    if isinstance(family, HasLogProb):
        assert family.log_prob(batch).shape == (B,) and isinstance(family.exact, bool)
    if isinstance(family, HasLatent):
        z = family.encode(batch)
        assert z.ndim == 2 and len(z) == B
        assert family.decode(z, batch.given).mean.shape == batch.x.shape
    if isinstance(family, HasInterpolation):
        z = family.noise([4, 5])
        assert z.ndim == 2
        generated = family.eval().generate(z, labels(1, spec, 2))
        torch.testing.assert_close(generated, family.sample([4, 5], labels(1, spec, 2)))


@each_family
def test_bfloat16_trains_to_nearly_the_same_losses(name: str) -> None:
    module = import_module(f"morelike.families.{name}")
    spec = spec_for(module, own_kind(name), True)
    batch, logs = batch_for(spec, 16), []
    torch.manual_seed(0)
    family = module.tiny(spec)
    for precision in ("float32", "bfloat16"):
        game = Game(
            copy.deepcopy(family), precision=precision, stepper=Accumulated(2 if precision == "bfloat16" else 1)
        )
        turns(game, batch, 3)
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in game.family.parameters())
        logs.append({player: float(loss.detach().mean()) for player, loss in play(game.family, batch).items()})
    for player, loss in logs[0].items():
        assert logs[1][player] == pytest.approx(loss, rel=0.1, abs=0.05)


def refusal(build: Callable[[], Family], batch: Batch) -> OptionError | None:
    try:
        family = build()
    except OptionError as error:
        return error
    turns(Game(family), batch, 2)
    family.eval()
    x = family.sample(range(5), labels(0, family.spec, 5))
    assert (
        x.shape == (5, *family.spec.shape)
        and x.dtype == torch.int64
        and set(x.flatten().tolist()) <= set(range(TOKENS))
    )
    return None


@each_family
def test_tokens_are_accepted_or_refused_before_the_first_step(name: str) -> None:
    module = import_module(f"morelike.families.{name}")
    spec = Spec((6,), tokens=TOKENS, head_shape=(6, TOKENS), head=Categorical)
    error = refusal(lambda: module.tiny(spec), batch_for(spec))
    if error is not None:
        assert all(len(part) > 5 for part in (error.found, error.expected, error.action))
        assert "token" in str(error), "what was found is named"
        assert any(word in str(error) for word in (*(set(FAMILIES) - {name}), "--net")), "an alternative is named"


@pytest.mark.parametrize("name", [name for name in FAMILIES if has_nets(name)])
def test_a_net_that_cannot_read_the_data_is_refused_with_an_alternative(name: str) -> None:
    module = import_module(f"morelike.families.{name}")
    if (name, "vector") not in REFUSALS:
        with pytest.raises(OptionError, match="--net mlp"):
            module.Model(spec_for(module, (5,), False), module.Config(net="cnn", width=8))
    kind = own_kind(name)
    with pytest.raises(OptionError, match='Did you mean "transformer"'):
        module.Model(spec_for(module, kind, False), module.Config(net="transfomer", width=8))


CENTRES = torch.tensor([[-0.6, -0.5], [0.6, -0.5], [0.0, 0.6]])
NOISE = 0.08


def clusters(n: int, seed: int) -> Batch:
    """Three labelled clouds in the plane: (n, 2)."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, LABELS, (n,), generator=generator)
    return Batch(CENTRES[label] + NOISE * torch.randn(n, 2, generator=generator), {"label": label})


def energy(x: Tensor, y: Tensor) -> float:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2013), zero only for equal laws."""

    def own(a: Tensor) -> Tensor:
        return torch.cdist(a, a).sum() / (len(a) * (len(a) - 1))

    return float(2 * torch.cdist(x, y).mean() - own(x) - own(y))


of_real_numbers = pytest.mark.parametrize("name", [name for name in FAMILIES if (name, "vector") not in REFUSALS])
TEXT = [name for name in FAMILIES if (name, "vector") in REFUSALS and (name, "text") not in REFUSALS]
of_text = pytest.mark.parametrize("name", TEXT)


@pytest.fixture(scope="module")
def trained() -> Iterator[Callable[[str], Family]]:
    """Tiny models trained on the clouds, each once."""
    made: dict[str, Family] = {}

    def get(name: str) -> Family:
        if name not in made:
            module = import_module(f"morelike.families.{name}")
            torch.manual_seed(1)
            family = module.tiny(spec_for(module, (2,), True))
            game, steps = Game(family), 600
            for step in range(steps):
                torch.manual_seed(step)
                game.turn(clusters(128, 1000 + step), step, step / steps)
            made[name] = family
            with game.averaged():
                if hasattr(family, "finish"):
                    family.finish([clusters(1000, 7)])
            family.load_state_dict(game.weights())
            family.eval()
        return made[name]

    yield get


@of_real_numbers
def test_trained_its_samples_are_like_the_data(name: str, trained) -> None:
    family, held = trained(name), clusters(600, 2)
    made = family.sample(range(600), held.given)
    start = import_module(f"morelike.families.{name}").tiny(family.spec).eval().sample(range(600), held.given)
    far, near, real = (energy(x, held.x) for x in (start, made, clusters(600, 3).x))
    assert near < 0.1 * far, f"untrained {far:.4f}, trained {near:.4f}, real {real:.4f}"
    for label in range(LABELS):
        cloud = made[held.given["label"] == label]
        torch.testing.assert_close(cloud.mean(0), CENTRES[label], atol=0.15, rtol=0)


@of_real_numbers
def test_trained_it_likes_its_own_samples_about_as_much_as_the_data(name: str, trained) -> None:
    family, held = trained(name), clusters(400, 4)
    if not isinstance(family, HasLogProb):
        return
    own = Batch(family.sample(range(400), held.given), held.given)
    torch.manual_seed(0)
    data, samples = (float(family.log_prob(one).mean()) for one in (held, own))
    # it shows the mean of p(x|z), which is likelier than a draw from it by half a nat per number
    assert abs(samples - data) < 0.5 * 2 + 0.5, (samples, data)
    exact = -2 * (0.5 + torch.tensor(NOISE).log() + 0.5 * torch.log(torch.tensor(2 * torch.pi)))
    assert data == pytest.approx(float(exact), abs=0.4)
    wrong = held._replace(given={"label": (held.given["label"] + 1) % LABELS})
    assert float(family.log_prob(wrong).mean()) < data - 5


STEPS = torch.tensor([[0.0, 0.6, 0.4, 0.0], [0.1, 0.1, 0.7, 0.1], [0.3, 0.3, 0.1, 0.3], [0.5, 0.2, 0.2, 0.1]])
LONGEST = 24


def walks(n: int, seed: int) -> Batch:
    """Documents of a Markov chain over the tokens 1 to 3 that a 0 ends; label 1 turns 1 into 3 and 3 into 1."""
    generator, rows = torch.Generator().manual_seed(seed), torch.zeros(n, LONGEST, dtype=torch.long)
    for t in range(1, LONGEST):
        drawn = torch.multinomial(STEPS[rows[:, t - 1]], 1, generator=generator).squeeze(1)
        rows[:, t] = torch.where((rows[:, t - 1] > 0) | torch.tensor(t == 1), drawn, 0)
    label = torch.randint(0, 2, (n,), generator=generator)
    return Batch(torch.where((label == 1)[:, None] & (rows > 0), 4 - rows, rows), {"label": label})


def walk_log_prob(batch: Batch) -> Tensor:
    """Exact log p(x | label) of such documents: (n,)."""
    x = torch.where((batch.given["label"] == 1)[:, None] & (batch.x > 0), 4 - batch.x, batch.x)
    counts = (x[:, 1:] > 0) | (x[:, :-1] > 0)
    return (STEPS[x[:, :-1], x[:, 1:]].log().nan_to_num(neginf=-20.0) * counts).sum(1)


@of_text
def test_trained_on_text_it_knows_the_law_and_writes_by_it(name: str) -> None:
    module = import_module(f"morelike.families.{name}")
    spec = replace(KINDS["text"], shape=(LONGEST,), tokens=4, given={"label": Spec((), tokens=2)})
    family, steps = module.tiny(spec), 250
    game = Game(family)
    for step in range(steps):
        game.turn(walks(64, 1000 + step), step, step / steps)
    family.load_state_dict(game.weights())
    family.eval()
    held = walks(400, 2)
    own = Batch(family.sample(range(400), held.given), held.given)
    data, samples, law = float(family.log_prob(held).mean()), float(family.log_prob(own).mean()), walk_log_prob(held)
    assert data == pytest.approx(float(law.mean()), abs=0.1), "as likely as under the true law"
    assert samples == pytest.approx(data, abs=0.6), "its own samples are about as likely as the data"
    assert float(walk_log_prob(own).mean()) == pytest.approx(float(law.mean()), abs=0.6), "and lawful"
    wrong = held._replace(given={"label": 1 - held.given["label"]})
    assert float(family.log_prob(wrong).mean()) < data - 0.5
