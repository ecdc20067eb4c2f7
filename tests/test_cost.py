"""The ledger of a run: FLOPs by hand, meters that start again, parts that add up; and the trail of samples."""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from morelike.codecs.image import Codec, Config
from morelike.core.family import Family, Move
from morelike.core.spec import Batch, Spec
from morelike.families import gan
from morelike.measure.cost import GPU_WATTS, WATTS, cost
from morelike.recipes import Request, fit, resume
from morelike.train import meters, trail
from morelike.train.budget import Plan
from morelike.train.flops import COUNTED, per_step
from morelike.train.folder import load_tensors
from morelike.train.game import Game
from morelike.train.ledger import Ledger
from morelike.train.meters import Meter
from morelike.train.trail import FRACTIONS, MOMENTS, Peeking, Trail, pack, read_trail, unpack

# ---------------------------------------------------------------------------------------------- FLOPs


class Convolutions(Family):
    """Two convolutions and a matrix, whose operations can be counted on paper; every third step is done twice."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = Spec((3, 12, 12))
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(16 * 6 * 6, 10),
        )  # fmt: skip

    def play(self, batch: Batch) -> Iterator[Move]:
        for _ in range(1 if self.step % 3 else 2):
            yield Move("model", self.net(batch.x).square().sum(1))

    def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
        rows = [torch.randn(self.spec.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(rows).tanh() * self.net[5].bias[0]


def test_flops_are_those_counted_on_paper() -> None:
    game, b = Game(Convolutions()), 5
    game.flops = {}
    for step in range(COUNTED + 3):
        game.turn(Batch(torch.randn(b, 3, 12, 12)), step, 0.0)
    first, second, last = 12 * 12 * 9 * 3 * 8, 6 * 6 * 16 * 8 * 16, 16 * 6 * 6 * 10  # products of one item, forward
    once = 2 * b * (2 * first + 3 * second + 3 * last)  # weights and inputs backward, but no gradient of the items
    assert sorted(game.flops) == list(range(COUNTED)), "only the first steps are counted"
    assert game.flops[1] == pytest.approx(once, rel=0.05) and game.flops[0] == pytest.approx(2 * once, rel=0.05)
    assert per_step(game.flops) == pytest.approx(once * 4 / 3, rel=0.05), "a whole number of periods"


def test_the_mean_step_is_taken_over_whole_periods() -> None:
    assert per_step({}) is None
    assert per_step({0: 7}) == 7
    assert per_step({step: 100 if step % 5 == 0 else 10 for step in range(16)}) == 28
    assert per_step({step: 100 if step % 8 == 0 else 10 for step in range(16)}) == 21.25
    assert per_step({3: 10, 9: 20}) == 15, "steps that a killed run did not write down are missing"


def modern() -> gan.Model:
    torch.manual_seed(0)
    spec = Codec(Config(size=(12, 12), colour="grey")).spec("rsample")
    return gan.Model(spec, gan.Config(width=8, latent=4, augment=0.4))


def test_counting_sees_lazy_penalties_and_changes_no_weight() -> None:
    plain, watched = Game(modern()), Game(modern())
    watched.flops = {}
    x = torch.randn(8, 1, 12, 12, generator=torch.Generator().manual_seed(1)).tanh()
    for game in (plain, watched):
        for step in range(10):
            torch.manual_seed(step)
            game.turn(Batch(x), step, step / 10)
    assert all(torch.equal(value, watched.state()[name]) for name, value in plain.state().items())
    assert watched.flops[0] == watched.flops[8] > 1.5 * watched.flops[1], "the penalty of every eighth step is dear"
    assert watched.flops[1] == watched.flops[7] > 0


# ---------------------------------------------------------------------------------------------- meters


def test_a_meter_that_starts_again_from_nought_loses_nothing() -> None:
    readings = iter([90.0, 97.0, 3.0, 3.0, 50.0])
    meter = Meter(lambda: next(readings), 100.0)
    assert [meter.update() for _ in range(4)] == [7.0, 13.0, 13.0, 60.0]


def test_only_whole_processors_are_metered_and_only_where_one_may(tmp_path: Path) -> None:
    for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys"),
                       ("intel-rapl:2", "package-1")):  # fmt: skip
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(name + "\n")
        (tmp_path / zone / "max_energy_range_uj").write_text("1000000000\n")
        (tmp_path / zone / "energy_uj").write_text("5000000\n")
    (tmp_path / "intel-rapl:2" / "energy_uj").unlink()
    found = meters.processor_meters(tmp_path)
    assert len(found) == 1 and found[0].limit == 1000.0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    assert found[0].update() == 2.5
    assert meters.processor_meters(tmp_path / "nowhere") == []


def test_a_gpu_is_asked_for_its_energy_and_its_silence_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    assert meters.gpu_meters(torch.device("cpu")) == []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-ab"))
    joules = iter([1000, 4000])
    library = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda name: {"GPU-12-ab": 3}[name],
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(joules) * handle,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    (meter,) = meters.gpu_meters(torch.device("cuda"))
    assert meter.update() == 9.0, "the library counts in thousandths"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert meters.gpu_meters(torch.device("cuda")) == []


def test_this_process_has_used_time_and_memory() -> None:
    before = meters.processor_seconds()
    held = torch.ones(30_000_000)
    sum(range(3_000_000))
    assert before < meters.processor_seconds() < before + 60
    assert (meters.peak_memory() or 0) > 4 * len(held)
    assert meters.processor_name()


# ---------------------------------------------------------------------------------------------- the ledger


def ledger(path: Path, game: Game) -> Ledger:
    return Ledger(path, game, 4, time.perf_counter() - 10, meters.processor_seconds() - 5)


def test_parts_of_a_run_add_up(tmp_path: Path) -> None:
    path, game = tmp_path / "cost.json", Game(Convolutions())
    first = ledger(path, game)
    game.turn(Batch(torch.randn(2, 3, 12, 12)), 0, 0.0)
    first.write(1)
    counted = dict(game.flops or {})
    again = Game(Convolutions())
    ledger(path, again).write(30)
    assert again.flops == counted, "what the first part counted is known to the second"
    kept = json.loads(path.read_text())
    assert kept["parts"] == 2 and kept["step"] == 30 and kept["batch"] == 4
    assert kept["seconds"] == pytest.approx(20, abs=5) and kept["cpu_seconds"] == pytest.approx(10, abs=5)
    assert kept["optimizers"]["model"]["lr"] == 1e-3


def test_energy_counts_only_where_every_part_was_metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, game = tmp_path / "cost.json", Game(Convolutions())
    readings = iter([0.0, 30.0, 100.0, 140.0])
    monkeypatch.setattr("morelike.train.ledger.processor_meters", lambda: [Meter(lambda: next(readings))])
    for joules in (30.0, 70.0):
        ledger(path, game).write(1)
        assert json.loads(path.read_text())["processor_joules"] == joules
    monkeypatch.setattr("morelike.train.ledger.processor_meters", list)
    ledger(path, game).write(1)
    assert json.loads(path.read_text())["processor_joules"] is None


@pytest.mark.parametrize("content", ["", "[1]", '{"seconds"', '{"flops_of_steps": 3, "seconds": "x", "parts": null}'])
def test_a_damaged_ledger_stops_no_run(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cost.json"
    path.write_text(content)
    ledger(path, Game(Convolutions())).write(3)
    assert json.loads(path.read_text())["parts"] == 1


# ---------------------------------------------------------------------------------------------- what it cost

KEPT: dict[str, Any] = {
    "seconds": 100.0, "cpu_seconds": 150.0, "peak_memory": 5e8, "processor_joules": None, "gpu_joules": None,
    "step": 40, "batch": 8, "flops_per_step": 1e9, "processor": "A", "gpu": None, "cores": 4, "threads": 2,
}  # fmt: skip


def costs(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    (tmp_path / "cost.json").write_text(json.dumps(KEPT | changes))
    return cost(tmp_path)


def test_what_a_run_cost_in_plain_units(tmp_path: Path) -> None:
    found = costs(tmp_path)
    assert found["wall_seconds"] == 100 and found["cpu_seconds"] == 150 and found["peak_memory_mb"] == 500
    assert found["examples"] == 320 and found["flops"] == 4e10 and found["flops_per_second"] == 4e8
    watts = [found[f"energy_kwh{end}"] * 3.6e6 / 150 for end in ("_low", "", "_high")]
    assert watts == pytest.approx(WATTS, rel=1e-3) and "estimated" in found["energy_method"]
    assert found["missing"] == {} and found["gpu"] is None


def test_metered_energy_is_between_this_runs_share_and_all(tmp_path: Path) -> None:
    found = costs(tmp_path, processor_joules=3.6e6)
    assert found["energy_kwh_high"] == 1.0 and found["energy_kwh_low"] == 0.375, "150 of 400 core seconds"
    assert found["energy_kwh_low"] < found["energy_kwh"] < 1.0 and "RAPL" in found["energy_method"]


@pytest.mark.parametrize(
    ("gpu", "watts"),
    [("NVIDIA H100 80GB HBM3", 700), ("NVIDIA GeForce RTX 4090", 450), ("Tesla T4", 70), ("NVIDIA L4", 72), ("X", 250)],
)
def test_a_gpu_is_guessed_from_its_name(tmp_path: Path, gpu: str, watts: float) -> None:
    found, bare = costs(tmp_path, gpu=gpu), costs(tmp_path)
    joules = (found["energy_kwh_high"] - bare["energy_kwh_high"]) * 3.6e6
    assert joules == pytest.approx(100 * watts, rel=0.01) and f"{watts:g} W" in found["energy_method"]
    metered = costs(tmp_path, gpu=gpu, gpu_joules=100.0)
    assert metered["energy_kwh"] - bare["energy_kwh"] == pytest.approx(100 / 3.6e6, rel=0.1)
    assert "NVML" in metered["energy_method"] and all(len(word) <= 4 for word in GPU_WATTS)


def test_what_is_not_known_has_a_reason(tmp_path: Path) -> None:
    for content in (None, "", "[]", '{"seconds": "many", "step": NaN, "batch": -1, "gpu": 3}'):
        if content is not None:
            (tmp_path / "cost.json").write_text(content)
        found = cost(tmp_path)
        gone = {name for name, value in found.items() if value is None}
        assert {"wall_seconds", "flops", "energy_kwh"} <= gone
        assert content == '{"seconds": "many", "step": NaN, "batch": -1, "gpu": 3}' or gone == found["missing"].keys()
    found = costs(tmp_path, flops_per_step=None, peak_memory=None)
    assert found["missing"].keys() == {"peak_memory_mb", "flops_per_step", "flops"}
    json.dumps(found, allow_nan=False)


# ---------------------------------------------------------------------------------------------- the trail


class Draws:
    """Draws with the family itself, and counts how many were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def items(self, family: Family, n: int) -> Tensor:
        self.asked.append(n)
        return family.sample(range(n))


def test_moments_are_spaced_evenly_on_a_logarithmic_scale() -> None:
    steps = [b / a for a, b in zip(FRACTIONS, FRACTIONS[1:], strict=False)]
    assert FRACTIONS[0] == pytest.approx(1 / 16) and FRACTIONS[-1] == 1.0
    assert max(steps) == pytest.approx(min(steps))


def walk(folder: Path, steps: int, begin: int = 0, end: int | None = None) -> Draws:
    draws, game, plan = Draws(), Game(Convolutions(), average=0.1), Plan.of(steps)
    left = Trail(folder / "trail", draws, game, plan, 8, begin)
    ahead = Peeking(itertools.repeat(Batch(torch.zeros(8, 3, 12, 12))))
    for step in range(begin + 1, (end or steps) + 1):
        left.look(step, lambda step=step: float(step), ahead)
    return draws


def test_a_trail_has_its_moments_and_its_last_one_also_live_weights(tmp_path: Path) -> None:
    draws = walk(tmp_path, 1000)
    moments = read_trail(tmp_path)
    assert [one.step for one in moments] == [math.ceil(1000 * fraction - 1e-9) for fraction in FRACTIONS]
    assert moments[-1].fraction == 1.0 and moments[3].seconds == moments[3].step
    assert [one.live is not None for one in moments] == [False] * (MOMENTS - 1) + [True]
    assert set(draws.asked) == {64} and moments[0].x.shape == (64, 3, 12, 12)


def test_what_a_family_fits_after_training_is_fitted_for_the_trail_to_a_copy(tmp_path: Path) -> None:
    class Finished(Convolutions):
        seen = 0

        def finish(self, batches: Iterable[Batch]) -> None:
            self.seen = sum(len(one.x) for one in batches)

        def sample(self, seeds: Sequence[int], given: Mapping[str, Tensor] = {}) -> Tensor:
            return torch.full((len(seeds), 3, 12, 12), self.seen / 1000)

    game, plan = Game(Finished(), average=0.1), Plan.of(100)
    left, ahead = Trail(tmp_path / "trail", Draws(), game, plan, 8, 0), Peeking(itertools.repeat(Batch(torch.zeros(8))))
    for step in range(1, 101):
        left.look(step, lambda: 0.0, ahead)
    moments = read_trail(tmp_path)
    assert len(moments) == MOMENTS // 2 and moments[-1].step == 100, "dearer, so only every second one"
    assert float(moments[0].x.mean()) == pytest.approx(trail.FIT / 1000, abs=0.01)
    assert game.family.seen == 0, "the model that is trained stays as it is"  # type: ignore[attr-defined]


def test_a_resumed_trail_is_the_uninterrupted_one(tmp_path: Path) -> None:
    walk(tmp_path / "whole", 300)
    walk(tmp_path / "half", 300, end=170)
    assert len(read_trail(tmp_path / "half")) < MOMENTS
    walk(tmp_path / "half", 300, begin=100)
    steps = [[one.step for one in read_trail(tmp_path / name)] for name in ("whole", "half")]
    assert steps[0] == steps[1]
    walk(tmp_path / "short", 3)
    assert [one.step for one in read_trail(tmp_path / "short")] == [1, 2, 3]


def test_a_trail_stays_small_and_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(walk(tmp_path / "long", 40_000).asked) == {512}, "as many as a long run bears"
    monkeypatch.setattr(trail, "BYTES", 432 * 100)
    assert set(walk(tmp_path / "large", 40_000).asked) == {96}, "fewer where items are large"
    monkeypatch.setattr(trail, "PATIENCE", (-1.0, 0.0))
    assert [one.step for one in read_trail_of(walk, tmp_path / "slow")] == [400], "given up but for the last"


def read_trail_of(make: Any, folder: Path) -> list[trail.Moment]:
    make(folder, 400)
    return read_trail(folder)


def test_a_trail_that_cannot_be_drawn_or_kept_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Tensor:
        raise torch.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(Draws, "items", broken)
    walk(tmp_path, 100)
    assert read_trail(tmp_path) == []


def test_batches_that_were_looked_at_come_in_their_turn() -> None:
    ahead = Peeking(Batch(torch.tensor([float(i)])) for i in range(6))
    assert float(next(ahead).x) == 0
    assert [float(one.x) for one in ahead.peek(3)] == [1, 2, 3] and [float(one.x) for one in ahead.peek(2)] == [1, 2]
    assert [float(one.x) for one in ahead.peek(99)] == [1, 2, 3, 4, 5]
    assert [float(one.x) for one in ahead] == [1, 2, 3, 4, 5]


def test_items_are_kept_with_8_bits() -> None:
    levels = torch.arange(256) / 127.5 - 1
    packed, scale = pack(levels)
    assert packed.dtype == torch.uint8 and scale == 1.0
    torch.testing.assert_close(unpack(packed, scale), levels)
    wide = torch.tensor([-8.0, 0.3, 4.0, math.nan])
    packed, scale = pack(wide)
    assert scale == 8.0
    torch.testing.assert_close(unpack(packed, scale), torch.tensor([-8.0, 0.3, 4.0, 0.0]), atol=0.04, rtol=0)
    tokens = torch.tensor([[0, 70_000]])
    assert torch.equal(unpack(*pack(tokens)), tokens)


def test_a_damaged_moment_is_left_out(tmp_path: Path) -> None:
    walk(tmp_path, 100)
    paths = sorted((tmp_path / "trail").glob("*"))
    paths[2].write_bytes(paths[2].read_bytes()[:-7])
    assert len(read_trail(tmp_path)) == MOMENTS - 1
    assert read_trail(tmp_path / "nowhere") == []


# ---------------------------------------------------------------------------------------------- whole runs

SETTINGS = {"batch": "8", "latent": "4", "picture": "1000", "save": "0.001"}


def request(out: Path) -> Request:
    return Request("menagerie:60:8", family="gan", steps=30, size="8", out=out, settings=SETTINGS)


def test_a_run_leaves_its_cost_and_its_trail_also_when_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("morelike.train.session.FLUSH", 0.0)
    monkeypatch.setattr("morelike.train.session.PATIENCE", 0)
    began = time.perf_counter()
    assert list(fit(request(tmp_path / "whole")))[-1].stage == "done"
    took = time.perf_counter() - began
    whole = cost(tmp_path / "whole")
    assert whole["steps"] == 30 and whole["examples"] == 240 and whole["missing"] == {}
    assert 0.5 * took < whole["wall_seconds"] <= took and 0 < whole["cpu_seconds"] < 4 * took
    events = fit(request(tmp_path / "half"))
    for event in events:
        if event.stage == "train" and event.step >= 11:
            break
    events.close()  # type: ignore[attr-defined]
    half = cost(tmp_path / "half")
    assert half["steps"] in (10, 11) and half["flops_per_step"] > 0
    list(resume(tmp_path / "half"))
    done = cost(tmp_path / "half")
    assert done["steps"] == 30 and done["wall_seconds"] > half["wall_seconds"]
    assert done["flops_per_step"] == whole["flops_per_step"]
    ours, theirs = (read_trail(tmp_path / name) for name in ("half", "whole"))
    assert [one.step for one in ours] == [one.step for one in theirs] and len(ours) > 8
    assert all(torch.equal(a.x, b.x) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0].x, ours[-1].x), "the model has changed"
    assert ours[-1].live is not None and not torch.equal(ours[-1].x, ours[-1].live)


def test_the_trail_does_not_disturb_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(fit(request(tmp_path / "with")))
    monkeypatch.setattr("morelike.preview.Preview.items", lambda self, family, n: torch.rand(n, 1, 8, 8))
    list(fit(request(tmp_path / "other")))
    ours, theirs = (load_tensors(tmp_path / name / "weights.safetensors")[0] for name in ("with", "other"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
