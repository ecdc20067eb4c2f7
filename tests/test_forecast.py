"""The forecast: curves whose future is known, the damage that would make it lie, and what it refuses to answer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from morelike.core.family import Optim
from morelike.measure import forecast as subject
from morelike.measure.forecast import FACTORS, Point, extrapolate, forecast, forecast_of, refused, spread, told
from morelike.train.folder import save_tensors
from morelike.train.optim import rate
from morelike.train.trail import FRACTIONS, pack


def points(fall: float, floor: float = 0.0, *, noise: float = 0.0, seed: int = 0, cooling: float = 0.0) -> list[Point]:
    """A run that follows its curve, with noise, and is better by `cooling` at its end than its curve."""
    generator, optim = torch.Generator().manual_seed(seed), Optim(schedule="linear", warmup=0.0)
    made = []
    for t in FRACTIONS:
        cooled = 1 - rate(optim, t) / optim.lr
        off = math.exp(noise * float(torch.randn((), generator=generator)))
        value = (floor + (1 - floor) * t**-fall) * (1 - cooling * cooled) * off
        made.append(Point(t, value, 0.03 * value, cooled))
    return made


@pytest.mark.parametrize("fall", [0.3, 0.7, 1.2])
def test_a_clean_power_law_is_continued(fall: float) -> None:
    found = extrapolate(points(fall))
    assert found["fall"] == pytest.approx(fall, abs=0.15)
    for name, factor in FACTORS.items():
        assert found[name]["gain"] == pytest.approx(1 - factor**-fall, abs=0.12)
        assert found[name]["gain_low"] < found[name]["gain"] < found[name]["gain_high"] < 1
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert found["now"]["low"] < 1.0 < found["now"]["high"]
    assert found["ten_times"]["gain"] > found["twice"]["gain"]


def test_the_interval_holds_what_comes_nine_times_in_ten() -> None:
    inside = total = 0
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        fall, floor = 0.3 + 0.9 * float(torch.rand((), generator=generator)), 0.3 * (seed % 2)
        found = extrapolate(points(fall, floor, noise=0.25, seed=seed))
        later = (floor + (1 - floor) * 2.0**-fall) * math.exp(0.25 * float(torch.randn((), generator=generator)))
        inside += found["twice"]["low"] <= later <= found["twice"]["high"]
        total += 1
    assert inside / total >= 0.85


def test_cooling_down_is_not_taken_for_progress() -> None:
    cooled = extrapolate(points(0.4, cooling=0.5))
    blind = extrapolate([Point(one.time, one.value, one.error) for one in points(0.4, cooling=0.5)])
    true = 1 - 2.0**-0.4
    assert abs(cooled["twice"]["gain"] - true) < abs(blind["twice"]["gain"] - true)
    assert cooled["twice"]["gain"] < blind["twice"]["gain"]


def test_a_floor_that_is_reached_leaves_little_to_gain() -> None:
    steep, flat = extrapolate(points(1.0)), extrapolate(points(1.0, 0.9))
    assert flat["ten_times"]["gain"] < 0.6 * steep["ten_times"]["gain"]
    assert flat["ten_times"]["gain_low"] < 0.09 < flat["ten_times"]["gain_high"], "a tenth of what is left is to be had"


def test_noise_widens_the_interval() -> None:
    quiet, loud = (extrapolate(points(0.7, noise=noise, seed=3))["twice"] for noise in (0.0, 0.5))
    assert loud["gain_high"] - loud["gain_low"] > quiet["gain_high"] - quiet["gain_low"]


def test_ends_of_a_mixture_are_those_of_a_normal_law() -> None:
    low, middle, high = spread(torch.tensor([2.0, 2.0]).double(), torch.tensor([0.5, 0.5]).double(), torch.ones(2) / 2)
    assert (low, middle, high) == pytest.approx((2 - 1.645 * 0.5, 2, 2 + 1.645 * 0.5), abs=1e-3)


def test_what_cannot_be_foretold_has_a_reason() -> None:
    assert "moments" in refused(points(0.7)[:4])
    rising = [Point(t, t, 0.01) for t in FRACTIONS]
    assert "not fallen" in refused(rising)
    assert "as near" in refused([*points(0.7)[:-1], Point(1.0, 0.01, 0.1)])
    assert refused(points(0.7)) == ""
    for reason in ("the run was too short",):
        assert told({"reason": reason}) == ["There is no forecast: the run was too short."]


def gains(low: float, high: float) -> dict[str, float]:
    return {"gain": (low + high) / 2, "gain_low": low, "gain_high": high}


def test_sentences_are_plain() -> None:
    said = told({"reason": "", "twice": gains(0.1, 0.3), "ten_times": gains(-0.2, 0.5)})
    assert said[0] == "Twice the time would probably lower the distance to the data by 10 to 30 %."
    assert "up to 50 %, or not at all" in said[1]
    assert "no nearer" in told({"reason": "", "twice": gains(-0.4, -0.1), "ten_times": gains(0.1, 0.2)})[0]


# ---------------------------------------------------------------------------------------------- from features


def features(off: float, n: int = 150, seed: int = 0) -> Tensor:
    """Features (n, 6) that are off the data's by so much."""
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + off


def moments() -> list[tuple[float, Tensor]]:
    return [(100 * t, features(0.4 * t**-0.35, seed=round(1000 * t))) for t in FRACTIONS]


def test_a_forecast_from_features_is_finite_plain_and_repeatable() -> None:
    held = features(0.0, 600, seed=9)
    found = forecast(moments(), held, live=features(1.0))
    assert found["reason"] == "" and len(found["sentences"]) == 2 and len(found["curve"]) == len(FRACTIONS)
    assert 0 < found["twice"]["gain"] < found["ten_times"]["gain"] < 1
    assert found["live"]["low"] > found["average"]["high"], "what was damaged is further away"
    assert found == forecast(moments(), held, live=features(1.0))
    json.dumps(found, allow_nan=False)
    assert "learning rate" in found["method"]


def test_bad_input_gives_a_reason() -> None:
    held = features(0.0, 600)
    spoiled = [(time, x * math.nan) for time, x in moments()]
    for given, real in (([], held), (moments()[:3], held), (moments(), held[:0]), (spoiled, held)):
        found = forecast(given, real)
        assert found["reason"] and found["sentences"] and "twice" not in found
        json.dumps(found, allow_nan=False)
    same = forecast([(t, torch.zeros(100, 6)) for t in FRACTIONS], torch.zeros(100, 6))
    json.dumps(same, allow_nan=False)
    assert same["reason"]


def leave(run: Path, live: bool = True) -> None:
    """A trail of items (1, 6) that come nearer to the data."""
    for t in FRACTIONS:
        step = round(1000 * t)
        items = {"x": pack((features(0.4 * t**-0.35, seed=step) / 8)[:, None])}
        if t == 1.0 and live:
            items["live"] = items["x"]
        note = {"step": step, "seconds": t, "fraction": t, "scales": {name: s for name, (_, s) in items.items()}}
        save_tensors(run / "trail" / f"{step:09d}.safetensors", {name: x for name, (x, _) in items.items()}, note)


def test_a_run_folder_is_read(tmp_path: Path) -> None:
    leave(tmp_path)
    optim = {"name": "adam", "lr": 1e-3, "schedule": "linear", "cooldown": 0.5, "betas": [0.9, 0.99]}
    (tmp_path / "cost.json").write_text(json.dumps({"optimizers": {"a": optim, "b": optim}}))
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append(len(x))
        return 8 * x.flatten(1)

    found = forecast_of(tmp_path, look, features(0.0, 500, seed=9))
    assert found["reason"] == "" and found["average"] == found["live"]
    assert found["curve"][-1]["time"] == 1000 and len(seen) == len(FRACTIONS) + 1
    for content in ("", "[]", '{"optimizers": {"a": {"lr": "x"}}}', '{"optimizers": 3}'):
        (tmp_path / "cost.json").write_text(content)
        assert forecast_of(tmp_path, look, features(0.0, 500))["reason"] == ""
    nothing = forecast_of(tmp_path / "nowhere", look, features(0.0, 500))
    assert "0 moments" in nothing["reason"] and nothing["curve"] == []


def test_only_a_rate_that_is_lowered_counts_as_cooling() -> None:
    optim = Optim(schedule="linear", warmup=0.1, cooldown=0.5)
    assert [subject._cooled(optim, f) for f in (0.05, 0.3, 0.5)] == pytest.approx([0, 0, 0])
    assert subject._cooled(optim, 0.75) == pytest.approx(0.5) and subject._cooled(optim, 1.0) == pytest.approx(1.0)
    assert subject._cooled(Optim(schedule="constant"), 1.0) == 0.0
