"""A run that ends at any moment goes on to exactly the weights that it would have had; a damaged one says so."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from morelike.core.errors import MorelikeError, OptionError, RunError
from morelike.recipes import Request, fit, resume
from morelike.run import Run
from morelike.train.folder import Folder, load_tensors, save_tensors
from morelike.train.loop import Progress

SOURCE, STEPS = "menagerie:100:8", 24
SETTINGS = {"batch": "8", "save": "0.001", "latent": "4", "picture": "1000"}
KINDS = {
    "vae": {"family": "vae", "settings": {**SETTINGS, "components": "2"}},
    "gan": {"family": "gan", "settings": SETTINGS},
    "dcgan": {"family": "gan", "settings": {**SETTINGS, "variant": "dcgan", "optimizer": "muon"}},
}


def request(out: Path, kind: str, source: str | Path = SOURCE, steps: int = STEPS) -> Request:
    return Request(str(source), steps=steps, size="8", out=out, **KINDS[kind])  # type: ignore[arg-type]


def weights(run: Path) -> dict[str, Tensor]:
    return load_tensors(Folder(run).weights)[0]


def identical(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def finish(run: Path) -> list[Progress]:
    events = list(resume(run))
    assert events[-1].stage == "done" and events[-1].step == STEPS
    return events


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is an event, and is saved."""
    monkeypatch.setattr("morelike.train.session.FLUSH", 0.0)
    monkeypatch.setattr("morelike.train.session.PATIENCE", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an uninterrupted run of each kind."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("whole") / kind
            assert list(fit(request(made[kind], kind)))[-1].stage == "done"
        return made[kind]

    return get


def abandon(out: Path, kind: str, when: Callable[[Progress], bool]) -> None:
    """Begin a run and leave it, saving nothing, at an event."""
    events = fit(request(out, kind))
    for event in events:
        if when(event):
            break
    events.close()  # type: ignore[attr-defined]


MOMENTS: dict[str, Callable[[Progress], bool]] = {
    "planned": lambda event: event.stage == "plan",
    "first step": lambda event: event.step >= 1 and event.stage == "train",
    "middle": lambda event: event.step >= STEPS // 2 and event.stage == "train",
    "last step": lambda event: event.step == STEPS and event.stage == "train",
    "finishing": lambda event: event.stage == "finish",
}


@pytest.mark.parametrize(
    ("kind", "moment"),
    [*(("vae", moment) for moment in MOMENTS), ("gan", "middle"), ("dcgan", "middle"), ("dcgan", "finishing")],
)
def test_a_run_left_at_any_stage_ends_with_the_same_weights(tmp_path: Path, whole, kind: str, moment: str) -> None:
    abandon(tmp_path / "run", kind, MOMENTS[moment])
    torch.manual_seed(random.getrandbits(32))  # a new process draws its own numbers before it begins
    finish(tmp_path / "run")
    assert identical(tmp_path / "run", whole(kind))


def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_weights() -> None:
    """The measurement itself, on fewer runs: each is killed twice with SIGKILL, in a process of its own."""
    bench = Path(__file__).parents[1] / "bench" / "resume_kills.py"
    command = [sys.executable, str(bench), "--kills", "2", "--steps", "30"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0 and "2 of 2 identical" in done.stdout, done.stdout + done.stderr


def test_the_log_of_a_resumed_run_has_no_step_twice(tmp_path: Path, whole) -> None:
    abandon(tmp_path / "run", "vae", MOMENTS["middle"])
    finish(tmp_path / "run")
    steps = [json.loads(line)["step"] for line in Folder(tmp_path / "run").log.read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == STEPS


@pytest.fixture
def half(tmp_path: Path) -> Folder:
    """A run that was left in the middle, with two states."""
    abandon(tmp_path / "half", "vae", MOMENTS["middle"])
    folder = Folder(tmp_path / "half")
    assert len(list(folder.states.glob("*.safetensors"))) == 2
    return folder


def flip(path: Path, at: float = 0.7) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_newest_state_falls_back_on_the_one_before(half: Folder, whole) -> None:
    older, newest = sorted(half.states.glob("*.safetensors"))
    flip(newest)
    assert (half.newest_state() or ({}, {}))[1]["step"] == int(older.stem)
    said = [event.note for event in finish(half.path) if event.note]
    assert any(f"Going on from step {int(older.stem):,}" in note for note in said)
    assert identical(half.path, whole("vae"))


def test_without_any_whole_state_it_says_what_to_do_and_that_works(half: Folder, whole) -> None:
    for path in half.states.glob("*.safetensors"):
        cut(path)
    with pytest.raises(RunError) as caught:
        finish(half.path)
    assert "damaged" in caught.value.found and str(half.states) in caught.value.action
    shutil.rmtree(half.states)
    finish(half.path)
    assert identical(half.path, whole("vae"))


def test_a_plan_whose_last_line_was_cut_off_is_followed_without_it(half: Folder, whole) -> None:
    with half.plan.open("ab") as file:
        file.write(b'{"step": 20, "fraction": 0.5')
    finish(half.path)
    assert identical(half.path, whole("vae"))


def test_a_run_killed_before_its_plan_was_written_down_is_planned_again(tmp_path: Path, whole) -> None:
    abandon(tmp_path / "run", "vae", MOMENTS["planned"])
    recipe = Folder(tmp_path / "run").recipe
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "plan": None}))
    finish(tmp_path / "run")
    assert identical(tmp_path / "run", whole("vae"))


def test_a_run_killed_before_its_recipe_was_written_can_be_begun_again(tmp_path: Path, whole) -> None:
    abandon(tmp_path / "run", "vae", MOMENTS["planned"])
    for name in ("recipe.json", "plan.jsonl"):
        (tmp_path / "run" / name).unlink()
    assert list(fit(request(tmp_path / "run", "vae")))[-1].stage == "done"
    assert identical(tmp_path / "run", whole("vae"))


def test_a_folder_that_holds_anything_is_not_written_to(half: Folder, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("dear")
    for out in (half.path, mine, mine / "thesis.txt"):
        before = sorted(out.rglob("*"))
        with pytest.raises(OptionError, match="already exists"):
            list(fit(request(out, "vae")))
        assert sorted(out.rglob("*")) == before
    with pytest.raises(RunError, match="could not be made"):
        list(fit(request(mine / "thesis.txt" / "run", "vae")))


def test_a_changed_source_is_refused(tmp_path: Path) -> None:
    source, run = tmp_path / "x.npy", tmp_path / "run"
    x = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.save(source, x)
    assert list(fit(request(run, "gan", source, 3)))[-1].stage == "done"
    kept = weights(run)
    x[5] += 1
    np.save(source, x)
    with pytest.raises(RunError, match="has changed since this run began"):
        list(resume(run))
    source.unlink()
    with pytest.raises(MorelikeError, match=r"x\.npy"):
        list(resume(run))
    assert all(torch.equal(value, kept[name]) for name, value in weights(run).items())


def altered(**changes: object) -> Callable[[Path], None]:
    def alter(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return alter


def without(name: str) -> Callable[[Path], None]:
    def drop(path: Path) -> None:
        path.write_text(json.dumps({key: v for key, v in json.loads(path.read_text()).items() if key != name}))

    return drop


def another_model(path: Path) -> None:
    tensors, note = load_tensors(path)
    save_tensors(path, {name: value.repeat_interleave(2, 0) for name, value in tensors.items() if value.ndim}, note)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "cut": cut,
    "emptied": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256))),
    "a list": lambda path: path.write_text("[1, 2]"),
    "a folder": lambda path: (path.unlink(), path.mkdir())[1],
}
TAMPERED = [
    *[(name, what, DAMAGE[what]) for name in ("recipe.json", "codec.json", "weights.safetensors") for what in DAMAGE],
    ("weights.safetensors", "a byte flipped", flip),
    ("weights.safetensors", "its header altered", lambda path: flip(path, 0.001)),
    ("weights.safetensors", "another model's", another_model),
    *[("recipe.json", f"without {name}", without(name)) for name in ("family", "config", "data", "train", "plan")],
    ("recipe.json", "another family", altered(family="gan")),
    ("recipe.json", "a family that is a path", altered(family="../../evil")),
    ("recipe.json", "another width", altered(config={"width": 16, "latent": "4"})),
    ("recipe.json", "no steps", altered(steps="many")),
    (
        "recipe.json",
        "a plan of words",
        altered(plan={"batch": "x", "threads": 1, "device": "cpu"}),
    ),
    ("codec.json", "another codec", altered(codec="sound")),
    ("codec.json", "another size", altered(config={"size": [16, 16], "colour": "grey", "likelihood": "logistic"})),
]


@pytest.mark.parametrize(("name", "what", "damage"), TAMPERED, ids=[f"{name}-{what}" for name, what, _ in TAMPERED])
def test_a_damaged_run_is_refused_in_three_parts(whole, tmp_path: Path, name: str, what: str, damage) -> None:
    run = tmp_path / "copy"
    shutil.copytree(whole("vae"), run)
    damage(run / name)
    with pytest.raises(RunError) as caught:
        Run.load(run)
    assert name.split(".")[0] in str(caught.value), "the file is named"
    assert all(len(part) > 5 for part in (caught.value.found, caught.value.expected, caught.value.action))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *[("plan.jsonl", one) for one in DAMAGE],
        ("recipe.json", "missing"),
        ("recipe.json", "a list"),
        ("codec.json", "cut"),
    ],
)
def test_a_damaged_run_is_not_resumed(whole, tmp_path: Path, name: str, damage: str) -> None:
    run = tmp_path / "copy"
    shutil.copytree(whole("vae"), run)
    DAMAGE[damage](run / name)
    with pytest.raises(RunError) as caught:
        list(resume(run))
    assert name.split(".")[0] in str(caught.value)


def test_a_state_of_another_model_is_not_resumed(whole, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(whole("vae"), run)
    for path in Folder(run).states.glob("*"):
        another_model(path)
    with pytest.raises(RunError, match="do not belong together"):
        list(resume(run))


def test_damaged_weights_come_back_by_resuming(whole, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(whole("vae"), run)
    cut(run / "weights.safetensors")
    with pytest.raises(RunError, match="resume"):
        Run.load(run)
    finish(run)
    assert identical(run, whole("vae"))


def test_resuming_what_is_no_run_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RunError, match="recipe"):
            list(resume(path))
