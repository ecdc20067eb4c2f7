"""The training core: budgets, schedules, averages, optimizers, the game against hand-written loops, and its errors."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_families import gaussian, squashed
from torch import Tensor, nn

from morelike.core.errors import OptionError, TrainingError
from morelike.core.family import Family, Move, Optim
from morelike.core.spec import Batch, Spec
from morelike.families import gan, vae
from morelike.recipes import configure
from morelike.train.budget import Pace, Plan, Revision, read_plan, record
from morelike.train.config import Config
from morelike.train.folder import Folder
from morelike.train.game import Game, override
from morelike.train.loop import step_seed, stop, train
from morelike.train.optim import OPTIMIZERS, SCHEDULES, Average, build, power, rate
from morelike.train.session import Clock, Session
from morelike.train.stepper import Accumulated

# ---------------------------------------------------------------------------------------------- budgets


def test_fraction_runs_from_nought_to_one() -> None:
    plan = Plan.of(80)
    assert [plan.fraction(step) for step in (0, 20, 80, 90)] == [0.0, 0.25, 1.0, 1.0]
    assert Plan.of(0).steps == 1


def test_revising_keeps_the_fraction_continuous_and_monotone() -> None:
    plan = Plan.of(100)
    for step, steps in ((30, 200), (120, 130), (125, 400), (390, 10)):
        before = plan.fraction(step)
        past = [plan.fraction(earlier) for earlier in range(step)]
        plan.revise(step, steps)
        assert plan.fraction(step) == pytest.approx(before, abs=1e-12)
        assert [plan.fraction(earlier) for earlier in range(step)] == past, "the past does not change"
    assert plan.steps == 391, "the end never lies behind"
    walked = [plan.fraction(step) for step in range(plan.steps + 1)]
    assert walked == sorted(walked) and walked[-1] == 1.0


def test_a_recorded_plan_is_read_back_exactly(tmp_path: Path) -> None:
    path, plan = tmp_path / "plan.jsonl", Plan.of(100)
    assert read_plan(path) is None
    record(path, plan.revisions)
    for step, steps in ((7, 91), (33, 250)):
        record(path, [plan.revise(step, steps)])
    again = read_plan(path)
    assert again == plan
    assert [again.fraction(step) for step in range(260)] == [plan.fraction(step) for step in range(260)]


@pytest.mark.parametrize(
    "torn",
    [
        b'{"step": 50, "frac',
        b'{"step": 50, "fraction": 0.5, "steps": 120}',
        b"\xff\xfe\x00",
        b"[1]\n",
        b'{"step": 5}\n',
    ],
    ids=["cut", "without its end", "not text", "no object", "lacking"],
)
def test_a_torn_last_line_is_ignored_and_does_not_swallow_the_next(tmp_path: Path, torn: bytes) -> None:
    path, plan = tmp_path / "plan.jsonl", Plan.of(100)
    record(path, plan.revisions)
    path.write_bytes(path.read_bytes() + torn)
    assert read_plan(path) == plan
    if not torn.endswith(b"\n"):
        record(path, [plan.revise(60, 140)])
        assert read_plan(path) == plan and len(plan.revisions) == 2


@pytest.mark.parametrize("line", ['{"step": 9, "fraction": 0, "steps": 9}', '{"step": 0, "fraction": 2, "steps": 9}'])
def test_an_impossible_plan_is_no_plan(tmp_path: Path, line: str) -> None:
    path = tmp_path / "plan.jsonl"
    path.write_text(line + "\n")
    assert read_plan(path) is None


def test_pace_lands_on_the_deadline_when_the_machine_changes_speed() -> None:
    """A simulated minute: 50 steps a second, half of that from second 20 on, then a little more."""
    plan, pace, seconds, step = Plan.of(3000), Pace(60.0), 0.0, 0
    while step < plan.steps:
        end = pace.revised_end(seconds, step, plan)
        if end is not None:
            plan.revise(step, end)
        seconds += 1 / (50 if seconds < 20 else 25 if seconds < 45 else 32)
        step += 1
    assert seconds == pytest.approx(60, abs=1.5)
    assert len(plan.revisions) < 15, "and it does not fidget"


def test_pace_leaves_a_good_plan_alone() -> None:
    plan, pace = Plan.of(1000), Pace(100.0)
    assert all(pace.revised_end(step / 10, step, plan) is None for step in range(1000))


# ---------------------------------------------------------------------------------------------- schedules, optimizers


def test_schedules_have_their_shape() -> None:
    constant, cosine, linear = (Optim(lr=2.0, schedule=name, warmup=0.1, cooldown=0.25) for name in SCHEDULES)
    for optim in (constant, cosine, linear):
        assert rate(optim, 0.0) == pytest.approx(0.02) and rate(optim, 0.05) == pytest.approx(2 * (0.01 + 0.99 / 2))
        assert rate(optim, 0.1) == pytest.approx(2.0)
    assert rate(constant, 1.0) == 2.0
    assert rate(cosine, 0.55) == pytest.approx(1.0) and rate(cosine, 1.0) == pytest.approx(0, abs=1e-12)
    assert rate(linear, 0.75) == pytest.approx(2.0) and rate(linear, 0.875) == pytest.approx(1.0)
    assert rate(linear, 1.0) == 0.0
    for optim in (cosine, linear):
        walked = [rate(optim, 0.1 + 0.9 * i / 50) for i in range(51)]
        assert walked == sorted(walked, reverse=True)


def test_schedules_without_a_slope_do_not_divide_by_nothing() -> None:
    assert rate(Optim(lr=1.0, schedule="linear", warmup=0.0, cooldown=0.0), 0.999) == 1.0
    assert 0 <= rate(Optim(lr=1.0, schedule="cosine", warmup=1.0), 1.0) <= 1


def test_a_misspelt_schedule_is_named_at_the_first_step() -> None:
    with pytest.raises(OptionError, match='Did you mean "cosine"'):
        rate(Optim(schedule="cosin"), 0.0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("precision", "bf16", "bfloat16"), ("optimizer", "adan", "adamw"), ("schedule", "cosin", "cosine"),
     ("lr", "-1", "0"), ("lr", "nan", "finite"), ("batch", "0", "1"), ("batch", "many", "integer"),
     ("accumulate", "0", "1"), ("warmup", "1.5", "1"), ("device", "gpu", "cuda"), ("threads", "0", "1")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(name: str, value: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        configure(Config, {name: value})
    assert name in caught.value.found and said in caught.value.expected and "--set" in caught.value.action


def test_average_is_the_power_law_weighted_sum() -> None:
    module, width, steps = nn.Linear(3, 2), 0.1, 40
    average, g = Average(module, width), power(width)
    values = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            module.weight.copy_(torch.randn(2, 3))
        values.append(module.weight.detach().double().clone())
        average.update(step)
    weights = [(i ** (g + 1) - (i - 1) ** (g + 1)) / steps ** (g + 1) for i in range(1, steps + 1)]
    assert sum(weights) == pytest.approx(1)
    expected = sum(weight * value for weight, value in zip(weights, values, strict=True))
    torch.testing.assert_close(average.tensors()["weight"].double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_average_remembers_the_share_of_the_run_that_it_is_named_for(width: float) -> None:
    g, n = power(width), 20_000
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    density = (g + 1) * t**g / n  # of the time that an averaged weight is taken from
    mean = (density * t).sum()
    assert float((density * (t - mean) ** 2).sum().sqrt()) == pytest.approx(width, rel=1e-3)


def test_average_keeps_buffers_as_they_are() -> None:
    module = nn.BatchNorm1d(3)
    average = Average(module, 0.1)
    module(torch.randn(8, 3))
    module.running_mean = module.running_mean + 1  # replaced, not changed in place, as moving to a device does
    found = average.tensors()
    assert torch.equal(found["running_mean"], module.running_mean) and set(found) == set(module.state_dict())


def test_muon_takes_the_matrices_and_adamw_the_rest() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 1))
    muon, adamw = build(Optim("muon", 1e-2), net)
    owned = [{id(p) for group in one.param_groups for p in group["params"]} for one in (muon, adamw)]
    assert type(muon).__name__ == "Muon" and owned[0] == {id(net[2].weight)}
    assert owned[0] | owned[1] == {id(p) for p in net.parameters()} and not owned[0] & owned[1]
    assert [type(one).__name__ for one in build(Optim("muon"), nn.Conv2d(1, 2, 3))] == ["AdamW"]
    with pytest.raises(OptionError, match='Did you mean "muon"'):
        build(Optim("moun"), net)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "em"])  # which counts, and does not descend
def test_every_optimizer_lowers_a_loss_and_its_state_can_be_restored(name: str) -> None:
    def fresh() -> Game:
        torch.manual_seed(0)
        return Game(Regression(), {"model": Optim(name, 0.02, (0.9, 0.99), 0.01, "constant", warmup=0.0)}, average=0.2)

    batch, whole = Batch(torch.randn(32, 4)), fresh()
    losses = [float(whole.turn(batch, step, step / 20)["model"]) for step in range(20)]
    assert losses[-1] < 0.8 * losses[0]
    first = fresh()
    for step in range(9):
        first.turn(batch, step, step / 20)
    kept = {key: value.clone() for key, value in first.state().items()}
    second = fresh()
    for p in second.family.parameters():
        p.data.add_(1.0)  # what is restored must win over what there was
    second.load_state(kept)
    for step in range(9, 20):
        second.turn(batch, step, step / 20)
    assert all(torch.equal(whole.state()[key], value) for key, value in second.state().items())
    assert second.state().keys() == whole.state().keys()


# ---------------------------------------------------------------------------------------------- the game


class Regression(Family):
    """A family of one player with a loss that can be made to fail: x is to be mapped to its own sum.

    poison  step at which the loss becomes infinite
    """

    def __init__(self, poison: int | None = None) -> None:
        super().__init__()
        self.spec, self.poison = Spec((4,)), poison
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))

    def play(self, batch: Batch) -> Iterator[Move]:
        loss = (self.net(batch.x).squeeze(1) - batch.x.sum(1)).square()
        yield Move("model", loss * math.inf if self.step == self.poison else loss, {"size": batch.x.abs().mean()})

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return torch.zeros(len(seeds), 4)


def stream(shape: tuple[int, ...], n: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(4)
    return [Batch(torch.rand(16, *shape, generator=generator) * 2 - 1) for _ in range(n)]


def same(a: nn.Module, b: nn.Module) -> bool:
    theirs = b.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in a.state_dict().items())


def test_game_equals_a_hand_written_vae_loop_exactly() -> None:
    spec = Spec((1, 8, 8), head_shape=(2, 8, 8), head=gaussian)
    ours = vae.Model(spec, vae.Config(width=8, latent=4, warmup=0.2))
    hand, batches, steps = copy.deepcopy(ours), stream((1, 8, 8), 6), 6
    game, average = Game(ours), Average(hand, 0.1)
    for turn in train(game, iter(batches), Plan.of(steps), seed=3):
        assert turn.log["model"].isfinite()
    adamw = torch.optim.AdamW(hand.parameters(), 1e-3, (0.9, 0.99), weight_decay=1e-4, fused=True)
    for step, (x, _) in enumerate(batches):
        torch.manual_seed(step_seed(3, step))
        fraction = step / steps
        mean, log_scale = hand.encoder(x).chunk(2, 1)
        scale = log_scale.clamp(-6, 2).exp()
        z = mean + scale * torch.randn_like(mean)
        loc, raw = hand.decoder(z).chunk(2, 1)
        sigma = raw.clamp(-3, 1).exp()
        log_p = (-0.5 * (((x - loc) / sigma).square() + math.log(2 * math.pi)) - sigma.log()).flatten(1).sum(1)
        kl = (0.5 * (mean.square() + scale.square() - 1) - scale.log()).sum(1)
        loss = min(1.0, fraction / 0.2) * kl - log_p
        adamw.zero_grad()
        (loss.sum() / 16).backward()
        nn.utils.clip_grad_norm_(hand.parameters(), 100.0)
        warm, cosine = 0.01 + 0.99 * fraction / 0.02, (1 + math.cos(math.pi * (fraction - 0.02) / 0.98)) / 2
        adamw.param_groups[0]["lr"] = 1e-3 * (warm if fraction < 0.02 else cosine)
        adamw.step()
        average.update(step + 1)
    assert same(ours, hand)
    assert all(torch.equal(game.weights()[name], value) for name, value in average.tensors().items())


class Toy(Family):
    """The GAN of the design in its plainest form, to be compared with a plain loop."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = Spec((4,))
        self.generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 4))
        self.critic = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def players(self) -> dict[str, nn.Module]:
        return {"critic": self.critic, "generator": self.generator}

    def optimizers(self) -> dict[str, Optim]:
        return dict.fromkeys(self.players(), Optim("adam", 1e-2, (0.5, 0.999), schedule="constant", warmup=0.0))

    def play(self, batch: Batch) -> Iterator[Move]:
        fake = self.generator(torch.randn(len(batch.x), 3))
        real_score, fake_score = self.critic(batch.x).squeeze(1), self.critic(fake.detach()).squeeze(1)
        yield Move("critic", F.softplus(-real_score) + F.softplus(fake_score))
        yield Move("generator", F.softplus(-self.critic(fake).squeeze(1)))

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        return torch.zeros(len(seeds), 4)


def test_game_equals_a_hand_written_gan_loop_exactly() -> None:
    ours, batches = Toy(), stream((4,), 8)
    hand = copy.deepcopy(ours)
    for _ in train(Game(ours), iter(batches), Plan.of(8), seed=5):
        pass
    adams = [torch.optim.Adam(p.parameters(), 1e-2, (0.5, 0.999), fused=True) for p in (hand.critic, hand.generator)]
    for step, (x, _) in enumerate(batches):
        torch.manual_seed(step_seed(5, step))
        fake = hand.generator(torch.randn(16, 3))
        adams[0].zero_grad()
        loss = F.softplus(-hand.critic(x)) + F.softplus(hand.critic(fake.detach()))
        (loss.sum() / 16).backward()
        adams[0].step()
        adams[1].zero_grad()
        (F.softplus(-hand.critic(fake)).sum() / 16).backward()
        adams[1].step()
    assert same(ours, hand)


def test_one_game_of_the_real_gan_moves_one_player_at_a_time() -> None:
    spec = Spec((1, 8, 8), head_shape=(1, 8, 8), head=squashed)
    model = gan.Model(spec, gan.Config("dcgan", width=4, latent=4, norm="none"))
    game, seen = Game(model, average=0.0), []
    before = {name: copy.deepcopy(player) for name, player in game.players.items()}
    plain = game._step

    def watched(player: str, moves: Sequence[Move], n: int, fraction: float) -> None:
        plain(player, moves, n, fraction)
        seen.append([name for name, one in game.players.items() if not same(one, before[name])])

    game._step = watched  # type: ignore[method-assign]
    game.turn(stream((1, 8, 8), 1)[0], 0, 0.5)
    assert seen == [["critic"], ["critic", "generator"]]


def test_accumulating_costs_nothing_in_exactness() -> None:
    batch, results = Batch(torch.randn(22, 4)), []
    torch.manual_seed(0)
    start = Regression()
    for parts in (1, 3, 22, 50):
        family = copy.deepcopy(start)
        game = Game(family, override(family.optimizers(), name="sgd", lr=0.1), stepper=Accumulated(parts))
        for step in range(3):
            log = game.turn(batch, step, 0.5)
        results.append((family.state_dict(), log["model"]))
    for weights, _ in results[1:]:
        for name, value in results[0][0].items():
            torch.testing.assert_close(weights[name], value, atol=1e-6, rtol=1e-5)


def test_split_covers_the_batch_once() -> None:
    batch = Batch(torch.arange(22.0), {"label": torch.arange(22)})
    for parts in (1, 2, 3, 5, 22, 40):
        pieces = Accumulated(parts).split(batch)
        assert torch.equal(torch.cat([one.x for one in pieces]), batch.x)
        assert torch.equal(torch.cat([one.given["label"] for one in pieces]), batch.given["label"])
        assert len(pieces) <= parts


def test_averaged_swaps_the_weights_in_and_out() -> None:
    game = Game(Regression(), average=0.2)
    for step in range(5):
        game.turn(Batch(torch.randn(8, 4)), step, 0.5)
    live = copy.deepcopy(game.family.state_dict())
    with pytest.raises(KeyError), game.averaged() as family:
        assert not family.training
        assert all(torch.equal(value, game.weights()[name]) for name, value in family.state_dict().items())
        assert any(not torch.equal(value, live[name]) for name, value in family.state_dict().items())
        raise KeyError  # whatever happens inside
    assert game.family.training
    assert all(torch.equal(value, live[name]) for name, value in game.family.state_dict().items())


def test_override_changes_only_what_is_named() -> None:
    optims = {"a": Optim("sgd", 0.1), "b": Optim("adam", 0.2, schedule="linear")}
    changed = override(optims, lr=0.5, schedule=None)
    assert [changed[p].lr for p in "ab"] == [0.5, 0.5] and [changed[p].name for p in "ab"] == ["sgd", "adam"]
    assert changed["b"].schedule == "linear"


def test_step_seeds_differ_and_do_not_depend_on_anything_else() -> None:
    seeds = {step_seed(seed, step) for seed in range(30) for step in range(300)}
    assert len(seeds) == 9000 and all(0 <= one < 2**63 for one in seeds)
    assert step_seed(0, 0) != step_seed(1, 0) and step_seed(12, 34) == step_seed(12, 34)
    bits = torch.tensor([[step_seed(s, t) >> b & 1 for b in range(63)] for s in range(8) for t in range(128)]).float()
    assert (bits.mean(0) - 0.5).abs().max() < 0.08, "every bit is as often on as off"


def test_what_a_step_draws_does_not_depend_on_the_steps_before() -> None:
    spec = Spec((4,), head_shape=(8,), head=gaussian)
    start, batches = vae.Model(spec, vae.Config(net="mlp", width=4, latent=2)), stream((4,), 6)
    whole, halves = copy.deepcopy(start), copy.deepcopy(start)
    for _ in train(Game(whole), iter(batches), Plan.of(6), 1):
        pass
    game = Game(halves)
    for turn in train(game, iter(batches), Plan.of(6), 1):
        if turn.step == 3:
            break
    torch.randn(1000)
    torch.manual_seed(77)
    for _ in train(game, iter(batches[3:]), Plan.of(6), 1, begin=3):
        pass
    assert same(whole, halves)


# ---------------------------------------------------------------------------------------------- the session


def session(tmp_path: Path, family: Family, steps: int = 12, lr: float | None = None) -> Session:
    folder, plan = Folder(tmp_path / "run"), Plan.of(steps)
    folder.create()
    record(folder.plan, plan.revisions)
    optims = override(family.optimizers(), lr=lr)
    made = Session(Game(family, optims), folder, plan, 0, Clock(), lambda family, path: path.write_bytes(b""))
    made.save_every = 0.0
    return made


def endless() -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(0)
    while True:
        yield Batch(torch.randn(8, 4, generator=generator))


def test_a_session_logs_saves_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morelike.train.session.FLUSH", 0.0)
    run = session(tmp_path, Regression())
    events = list(run.run(endless()))
    assert [event.step for event in events] == list(range(1, 13))
    assert events[-1].fraction == 1.0 and all(event.stage == "train" and event.rate > 0 for event in events)
    lines = [json.loads(line) for line in run.folder.log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert all({"model", "size", "seconds"} <= line.keys() for line in lines)
    assert len(list(run.folder.states.glob("*"))) == 2, "the newest two"
    tensors, note = run.folder.newest_state() or ({}, {})
    assert note["step"] == 12 and torch.equal(tensors["live.net.0.weight"], run.game.family.net[0].weight)


def test_a_loss_that_is_not_finite_stops_with_player_step_rate_and_last_good_state(tmp_path: Path) -> None:
    run = session(tmp_path, Regression(poison=7), lr=0.01)
    run.save()
    with pytest.raises(TrainingError) as caught:
        list(run.run(endless()))
    said = caught.value
    assert "step 8" in said.found and '"model"' in said.found and "learning rate 0.0" in said.found
    note = (run.folder.newest_state() or ({}, {}))[1]
    assert note["step"] < 8, "what was saved before is kept, and nothing bad is saved"
    assert str(run.folder.states / f"{note['step']:09d}.safetensors") in said.found and "--set lr=" in said.action


def test_the_player_that_failed_first_is_named(tmp_path: Path) -> None:
    class Two(Toy):
        def play(self, batch: Batch) -> Iterator[Move]:
            for move in super().play(batch):
                bad = self.step == (4 if move.player == "generator" else 6)
                yield move._replace(loss=move.loss * math.nan) if bad else move

    with pytest.raises(TrainingError, match='step 5 the loss of player "generator"'):
        list(session(tmp_path, Two()).run(endless()))


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    class Root(Regression):
        def play(self, batch: Batch) -> Iterator[Move]:
            for move in super().play(batch):  # the root of nought is finite, its slope is not
                yield move._replace(loss=move.loss + (0 * move.loss).sqrt())

    run = session(tmp_path, Root(), steps=1)
    with pytest.raises(TrainingError, match="At step 1 the weight"):
        list(run.run(endless()))
    assert run.folder.newest_state() is None and not run.folder.weights.exists()


def test_a_request_to_stop_ends_after_the_step_and_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("morelike.train.session.FLUSH", 0.0)
    run = session(tmp_path, Regression(), steps=1000)
    try:
        for event in run.run(endless()):
            if event.step == 5:
                stop.set()
        assert run.step == 5
        assert (run.folder.newest_state() or ({}, {}))[1]["step"] == 5 and run.folder.weights.exists()
    finally:
        stop.clear()


def test_a_deadline_is_kept_by_recording_revisions(tmp_path: Path) -> None:
    run = session(tmp_path, Regression(), steps=100_000_000)
    run.deadline, run.save_every = 4.0, 1e9
    begin = time.perf_counter()
    for _ in run.run(endless()):
        pass
    took = time.perf_counter() - begin
    assert took == pytest.approx(4.0, abs=0.6)
    plan = read_plan(run.folder.plan)
    assert plan is not None and plan.steps == run.step and len(plan.revisions) > 1
    assert plan.revisions[-1] == Revision(*vars(run.plan.revisions[-1]).values())
