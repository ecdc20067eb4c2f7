"""The diagnosis: each fault is named from its evidence, healthy runs are left alone, and advice can be followed."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from morelike.core.tokens import Manner
from morelike.families import autoregressive, gan, vae
from morelike.measure.diagnosis import diagnose
from morelike.measure.figure import Figure, Finding, Measured, Neighbours, Novelty, Verdict
from morelike.recipes import Request, fit
from morelike.train.config import Config as TrainConfig

STEPS = 40


def figure(name: str, value: float, floor: float = 1.0, low: float | None = None, baseline: float = 50.0) -> Figure:
    return Figure(
        name, name, value=value, low=value if low is None else low, high=value, floor=floor, baseline=baseline
    )


def measured(
    *figures: Figure, word: str = "usable with care", forecast: Any = None, copies: Sequence[Figure] = ()
) -> Measured:
    novelty = Novelty(tuple(copies), Neighbours((), (), (), (), ()), "")
    return Measured(Verdict(word, ""), list(figures), novelty, forecast=forecast or {})


HEALTHY = (
    figure("density", 0.95), figure("coverage", 0.93), figure("variety", 1.02), figure("kernel_distance", 0.05, 0.01),
    figure("likelihood_gap", 0.01, 0.0, low=-0.01), figure("bits_per_dimension", 3.0),
)  # fmt: skip
SETTLED = {
    "reason": "", "twice": {"gain": 0.1, "gain_low": -0.2, "gain_high": 0.4},
    "average": {"value": 0.05, "low": 0.04, "high": 0.06}, "live": {"value": 0.06, "low": 0.05, "high": 0.07},
}  # fmt: skip


def run_folder(
    path: Path, curves: dict[str, Sequence[float]], config: dict[str, Any] | None = None, batch: int = 32
) -> Path:
    """A run folder with a log of these curves, each from its first value to its last."""
    path.mkdir(exist_ok=True)
    lines = [
        {"step": 50 * (i + 1), **{n: a + (b - a) * i / (STEPS - 1) for n, (a, b) in curves.items()}}
        for i in range(STEPS)
    ]
    (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = {"config": config or {}, "train": asdict(TrainConfig()), "minutes": None, "steps": 50 * STEPS,
              "data": {"train": 1000}, "plan": {"batch": batch}}  # fmt: skip
    (path / "recipe.json").write_text(json.dumps(recipe))
    players = [name for name in curves if name in ("model", "critic", "generator")]
    (path / "cost.json").write_text(json.dumps({"optimizers": {name: {"lr": 0.002} for name in players}}))
    return path


GAN = {"critic": (1.2, 0.8), "generator": (1.1, 1.5), "diversity": (0.6, 0.95)}
VAE = {"model": (1100.0, 600.0), "kl": (0.5, 18.0), "nll": (1100.0, 582.0)}


def options(module: Any, **changes: Any) -> dict[str, Any]:
    return {**asdict(TrainConfig()), **asdict(module.Config(**changes))}


def kinds(found: Sequence[Finding]) -> list[str]:
    return [one.kind for one in found]


@pytest.mark.parametrize(("curves", "module"), [(GAN, gan), (VAE, vae)])
def test_a_healthy_run_is_left_alone(tmp_path: Path, curves: Any, module: Any) -> None:
    run = run_folder(tmp_path / "run", curves)
    assert diagnose(run, measured(*HEALTHY, forecast=SETTLED), options(module)) == []


FAULTS: dict[str, tuple[Any, Any, dict[str, Any], str, str]] = {
    # log, measured, options, number in the evidence, advice
    "diverged": (
        {**GAN, "critic": (1.2, 900.0)}, measured(), options(gan), "from 1.2 to", "--set lr=0.0002",
    ),
    "collapse": (
        GAN, measured(figure("density", 0.9), figure("coverage", 0.2), word="collapsed"), options(gan, gamma=0.5),
        "coverage only 20%", "--set gamma=2",
    ),
    "posterior_collapse": (
        {**VAE, "kl": (0.5, 0.02)}, measured(*HEALTHY), options(vae, beta=50.0), "nats",
        "--set beta=1 or --set free_bits=0.1",
    ),
    "critic_too_strong": (
        {**GAN, "critic": (1.4, 0.1), "generator": (0.7, 4.0)}, measured(), options(gan, critic_steps=5), "times",
        "--set augment=0.5 or --set critic_steps=1",
    ),
    "average_too_long": (
        GAN, measured(forecast={**SETTLED, "average": {"value": 0.5, "low": 0.4, "high": 0.6}}), options(gan), "0.5",
        "--set average=0.05",
    ),
    "memorised": (
        GAN, measured(*HEALTHY, copies=(figure("copy_rate", 0.4, 0.01, low=0.35),)), options(gan, width=32), "40%",
        "--size 16",
    ),
    "under_trained": (
        GAN, measured(*HEALTHY, forecast={"twice": {"gain": 0.4, "gain_low": 0.1, "gain_high": 0.6}}), options(gan),
        "60%", "--steps 4000",
    ),
    "loops": (
        VAE, measured(figure("loops", 0.3, 0.01, low=0.2)), options(autoregressive), "30%", "--repetition 1.2",
    ),
    "too_small": (
        {"model": (600.0, 600.0), "kl": (18.0, 18.0), "nll": (582.0, 582.0)},
        measured(figure("density", 0.5), figure("coverage", 0.4), figure("kernel_distance", 9.0, 0.0)),
        options(vae, width=8), "50%", "--size 16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_named_with_its_evidence_and_an_option(tmp_path: Path, kind: str) -> None:
    curves, figures, known, number, advice = FAULTS[kind]
    (finding,) = diagnose(run_folder(tmp_path / "run", curves), figures, known)
    assert finding.kind == kind and finding.title and finding.consequence
    assert number in finding.evidence and advice in finding.action


def learning(path: Path, loss: Callable[[float], float], warmup: float = 0.0) -> Path:
    """The folder of a VAE whose loss at a fraction of the run is this, and noise; its code is given weight slowly."""
    run = run_folder(path, VAE)
    noise, kl, lines = random.Random(0), 20.0, []
    for place in range(1, 201):
        at, off = place / 200, noise.gauss(0.0, 4.0)
        weight = min(1.0, at / warmup) if warmup else 1.0
        nll = loss(at) - kl + off
        lines.append({"step": 9 * place, "model": nll + weight * kl, "nll": nll, "kl": kl})
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


CURVES: dict[str, tuple[Callable[[float], float], float, bool]] = {
    # loss at a fraction of the run, warm-up of the weight of the code, whether the run has stopped improving
    "falls and falls": (lambda t: 1900 + 40 / (t + 0.005), 0.0, False),
    "steep at first, so that the end looks flat": (
        lambda t: 1900 - 60 * math.log(t) + 5000 * math.exp(-90 * t),
        0.0,
        False,
    ),
    "while the code gains weight": (lambda t: 1900 - 15 * math.log(t), 1.0, False),
    "flat since an eighth": (lambda t: 1900 + 5000 * math.exp(-60 * t), 0.0, True),
    "flat since a half": (lambda t: 1900 + 400 * math.exp(-12 * t), 0.0, True),
    "rises again": (lambda t: 1900 + 300 * (t - 0.4) ** 2, 0.2, True),
}


@pytest.mark.parametrize("kind", CURVES)
def test_only_a_loss_on_its_plateau_has_stopped_improving(tmp_path: Path, kind: str) -> None:
    """Whatever an unsure forecast says: the loss itself tells how far a model with a single player is."""
    loss, warmup, stopped = CURVES[kind]
    poor = (figure("density", 0.5), figure("coverage", 0.4), figure("kernel_distance", 9.0, 0.0))
    for ahead in ({"twice": {"gain": 0.09, "gain_low": -1.7, "gain_high": 0.7}}, {"reason": "it has not fallen"}):
        found = diagnose(learning(tmp_path / "run", loss, warmup), measured(*poor, forecast=ahead), options(vae))
        assert kinds(found) == ["too_small"] * stopped


@pytest.mark.parametrize(("fall", "stopped"), [(0.15, False), (0.0, True)])
def test_texts_are_judged_by_the_held_out_loss(tmp_path: Path, fall: float, stopped: bool) -> None:
    """The loss of a batch depends on how long its texts are, far more than on what was learned."""
    run, noise, lines = run_folder(tmp_path / "run", {"model": (0.0, 0.0)}), random.Random(1), []
    for place in range(1, 61):
        line = {"step": place, "model": 250.0 + 60 * noise.random(), "nats": 5.0 + noise.random()}
        nats = 6.0 - fall * math.log(place / 60) + 2.0 * math.exp(-place / 5) + 0.002 * noise.random()
        lines.append(line | ({"held_out": nats} if place % 3 == 0 else {}))
    poor = (figure("density", 0.5), figure("coverage", 0.4), figure("kernel_distance", 9.0, 0.0))

    def told(kept: Sequence[dict[str, float]]) -> list[str]:
        (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
        return kinds(diagnose(run, measured(*poor), options(autoregressive)))

    assert told(lines) == ["too_small"] * stopped
    assert told([{"step": line["step"], "model": line["model"]} for line in lines]) == []  # noise alone tells nothing


@pytest.mark.parametrize(
    ("value", "low", "floor", "severity"),
    [(0.3, 0.2, 0.0, "warn"), (0.1, 0.06, 0.01, "note"), (0.04, 0.02, 0.0, ""), (0.3, 0.2, 0.25, "")],
)
def test_loops_are_told_where_real_texts_have_fewer(
    tmp_path: Path, value: float, low: float, floor: float, severity: str
) -> None:
    found = diagnose(run_folder(tmp_path / "run", VAE), measured(figure("loops", value, floor, low=low)), options(vae))
    assert [one.severity for one in found] == [severity] * bool(severity)


@pytest.mark.parametrize(("ratio", "named"), [(0.87, True), (0.97, False)])
def test_samples_nearer_to_training_items_are_learned_by_heart(tmp_path: Path, ratio: float, named: bool) -> None:
    """A copy machine is at 0.8 here, so that a quarter of the way to it is 0.95."""
    near = Figure("distance_ratio", "", "even", ratio, ratio - 0.02, ratio + 0.02, 1.0, copies=0.8, ideal=1.0)
    found = diagnose(run_folder(tmp_path / "run", GAN), measured(*HEALTHY, copies=(near,)), options(gan))
    assert kinds(found) == ["memorised"] * named


@pytest.mark.parametrize("codec", ["image", "table", "series"])
def test_what_is_learned_by_heart_is_augmented_only_where_it_is_a_picture(tmp_path: Path, codec: str) -> None:
    run, figures, known, *_ = FAULTS["memorised"]
    folder = run_folder(tmp_path / "run", run)
    recipe = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**recipe, "reading": {"codec": codec}}))
    (finding,) = diagnose(folder, figures, {**known, "dropout": 0.1})
    assert ("augment" in finding.action) == (codec == "image") and "--set dropout=0.2" in finding.action


def test_blur_is_not_taken_for_collapse(tmp_path: Path) -> None:
    """Samples of a likelihood model that lack detail lie close to each other and cover little."""
    blurred = (figure("density", 0.5), figure("coverage", 0.2), figure("variety", 0.4))
    run = run_folder(tmp_path / "run", VAE)
    assert kinds(diagnose(run, measured(*blurred, figure("bits_per_dimension", 3.0)), options(vae))) == []
    assert kinds(diagnose(run, measured(*blurred), options(vae))) == ["collapse"]


@pytest.mark.parametrize(("low", "word"), [(0.1, "has not"), (-0.4, "may not have")])
def test_a_forecast_that_may_be_nothing_is_told_as_such(tmp_path: Path, low: float, word: str) -> None:
    ahead = {"twice": {"gain": 0.4, "gain_low": low, "gain_high": 0.6}}
    (found,) = diagnose(run_folder(tmp_path / "run", GAN), measured(*HEALTHY, forecast=ahead), options(gan))
    assert word in found.title and found.severity == ("warn" if low > 0 else "note")


def test_only_options_that_exist_are_advised(tmp_path: Path) -> None:
    for kind, (curves, figures, known, *_) in FAULTS.items():
        for given in (known, {}, None):
            for finding in diagnose(run_folder(tmp_path / kind, curves), figures, given):
                for name in re.findall(r"--set (\w+)=", finding.action):
                    assert name in known, f"{kind}: {finding.action}"
                    assert given != {} or name in ("lr", "average"), f"{kind} was not told of {name}"
                flags = set(re.findall(r"--(\w+)", finding.action)) - {"set"}
                assert flags <= {one.name for one in (*fields(Request), *fields(Manner))}, finding.action


def test_a_critic_whose_loss_is_no_probability_is_not_judged(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", {"critic": (-0.1, -8.0), "generator": (0.1, 6.0)})
    assert kinds(diagnose(run, measured(), options(gan))) == []


def test_consequences_of_a_fault_are_not_faults_of_their_own(tmp_path: Path) -> None:
    curves = {"critic": (1.2, 900.0), "generator": (1.1, 800.0), "diversity": (0.6, 0.01)}
    forecast = {"twice": {"gain": 0.5, "gain_low": 0.1, "gain_high": 0.8}}
    figures = measured(figure("variety", 0.01), word="collapsed", forecast=forecast)
    assert kinds(diagnose(run_folder(tmp_path / "run", curves), figures, options(gan))) == ["diverged"]


def test_the_worst_comes_first(tmp_path: Path) -> None:
    curves = {**GAN, "diversity": (0.6, 0.05)}
    found = diagnose(run_folder(tmp_path / "run", curves),
                     measured(copies=(figure("copy_rate", 0.4, 0.0, low=0.3),)), options(gan))  # fmt: skip
    assert kinds(found) == ["collapse", "memorised"]
    assert [one.severity for one in found] == ["stop", "warn"]


def test_a_run_that_has_hardly_begun_is_told_to_go_on_for_much_longer(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", GAN, batch=1)
    recipe = json.loads((run / "recipe.json").read_text())
    recipe["data"]["train"] = 4000
    (run / "recipe.json").write_text(json.dumps({**recipe, "steps": 20}))
    (run / "log.jsonl").write_text("".join(json.dumps({"step": i + 1, "critic": 1.0}) + "\n" for i in range(20)))
    (finding,) = diagnose(run, measured(word="poor"), options(gan))
    assert finding.kind == "under_trained" and "0.0 times" in finding.evidence and "--steps 6000" in finding.action


@pytest.mark.parametrize("content", [None, "", "[1]", "{", '{"step": NaN}', '{"optimizers": 3, "data": [], "plan": 2}'])
def test_files_that_are_missing_or_damaged_are_no_fault_of_the_model(tmp_path: Path, content: str | None) -> None:
    for name in ("log.jsonl", "recipe.json", "cost.json"):
        if content is not None:
            (tmp_path / name).write_text(content)
    assert diagnose(tmp_path, measured(*HEALTHY, forecast=SETTLED)) == []
    assert diagnose(tmp_path, measured()) == []
    assert kinds(diagnose(tmp_path, measured(figure("variety", 0.1)))) == ["collapse"]


# ---------------------------------------------------------------------------------------------- real runs

PROVOKED = {
    "posterior_collapse": ("vae", 120, {"beta": "50"}),
    "diverged": ("gan", 60, {"lr": "1.0"}),
    "under_trained": ("gan", 20, {}),
}


@pytest.mark.parametrize("kind", PROVOKED)
def test_a_fault_that_was_provoked_in_a_real_run_is_named(tmp_path: Path, kind: str, monkeypatch) -> None:
    monkeypatch.setattr("morelike.train.session.FLUSH", 0.0)
    family, steps, settings = PROVOKED[kind]
    given = {"batch": "16", "latent": "4", "picture": "1000", **settings}
    list(fit(Request("menagerie:150:8", family=family, steps=steps, size="8", out=tmp_path / "run", settings=given)))
    config = {"vae": vae.Config(beta=50.0), "gan": gan.Config()}[family]
    found = diagnose(tmp_path / "run", measured(word="poor"), {**asdict(TrainConfig()), **asdict(config)})
    assert kind in kinds(found), [one.evidence for one in found]
