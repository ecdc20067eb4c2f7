"""The command line as a user meets it: every verb, every kind of mistake, Ctrl-C, and what machines read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from morelike import cli
from morelike.cli import display, failure
from morelike.cli.options import pairs
from morelike.core.errors import DataError, MorelikeError, OptionError, TrainingError
from morelike.train.loop import Progress

SMALL = ["menagerie:90", "--steps", "4", "--size", "8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A tiny trained run of each family."""
    folder = tmp_path_factory.mktemp("runs")
    for family in ("gan", "vae"):
        with pytest.raises(SystemExit) as end:
            cli.main(["fit", *SMALL, "--family", family, "--out", str(folder / family)])
        assert end.value.code == 0
    return {family: folder / family for family in ("gan", "vae")}


def parts(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


# --- help


def test_no_words_teach_by_example(call) -> None:
    told = call()
    assert told.code == 0
    assert "Examples:" in told.out and "morelike fit photos/ --minutes 5" in told.out


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_teaches_by_example(call, verb) -> None:
    told = call(verb, "--help")
    assert told.code == 0
    assert told.out.count(f"morelike {verb}") >= 2, "at least one example besides the usage line"
    assert all(len(line) <= 120 for line in told.out.splitlines())


def test_the_examples_in_the_help_are_understood(call, tmp_path, monkeypatch) -> None:
    """Each line under Examples is parsed; what it names is not there, which is the only thing it may stumble over."""
    monkeypatch.chdir(tmp_path)
    for verb in cli.VERBS:
        for line in call(verb, "--help").out.splitlines():
            words = line.split("   ")[0].split()
            if words[:2] == ["morelike", verb] and "menagerie" not in words and verb != "list":
                told = call(*words[1:])
                assert told.code == 2, line
                assert "option" not in told.err and "argument" not in told.err, f"{line}: {told.err}"


# --- mistakes: three parts, the nearest right word, exit code 2


@pytest.mark.parametrize(
    ("words", "fault", "nearest"),
    [
        (["fti"], 'no verb "fti"', '"fit"'),
        (["fit", "menagerie", "--famly", "gan"], 'no option "--famly"', '"--family"'),
        (["fit", "menagerie", "--family", "gna"], 'no family "gna"', '"gan"'),
        (["fit", "menagerie", "--net", "cn"], 'no net "cn"', '"cnn"'),
        (["fit", "menagerie", "--set", "btch=3"], 'no setting "btch"', '"batch"'),
        (["sample", "RUN", "--gven", "label=cat"], 'no option "--gven"', '"--given"'),
    ],
)
def test_a_misspelt_word_names_the_nearest(call, words, fault, nearest, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = call(*words)
    assert told.code == 2
    assert len(parts(told.err)) == 3
    assert fault in told.err and f"Did you mean {nearest}?" in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["fit"], "SOURCE is missing"),
        (["fit", "--resume"], "--resume got no run"),
        (["fit", "nowhere/"], "nowhere"),
        (["fit", "menagerie", "--minutes", "abc"], '--minutes got "abc"'),
        (["fit", "menagerie", "--minutes=x"], '--minutes got "x"'),
        (["fit", "menagerie", "--minutes", "-1"], "minutes is -1"),
        (["fit", "menagerie", "--minutes", "nan"], "minutes is nan"),
        (["fit", "menagerie", "--steps", "0"], "steps is 0"),
        (["fit", "menagerie", "--minutes", "1", "--steps", "5"], "Both minutes and steps"),
        (["fit", "menagerie", "--size", "enormous"], '"enormous"'),
        (["fit", "menagerie", "--set", "beta"], '--set got "beta"'),
        (["fit", "menagerie", "--set", "batch=1", "--set", "batch=2"], '"batch" twice'),
        (["fit", "menagerie", "--augment", "flop"], "flop"),
        (["fit", "menagerie", "extra"], "extra"),
        (["fit", "menagerie", "--net"], "--net"),
        (["sample"], "RUN is missing"),
        (["sample", "nowhere"], "nowhere"),
        (["sample", "nowhere", "-n", "0"], "-n 0"),
        (["sample", "nowhere", "--interpolate", "1", "--encode", "x"], "--interpolate"),
        (["sample", "nowhere", "--encode", "x", "--reconstruct", "x"], "--reconstruct and --encode"),
        (["info", "nowhere"], "nowhere"),
        (["resume", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_has_three_parts_and_leaves_nothing(call, words, fault, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = call(*words)
    assert told.code == 2, told.err
    assert fault in told.err
    assert len(parts(told.err)) == 3 and "Traceback" not in told.err
    assert not list(tmp_path.rglob("*")), "nothing may be left behind"


def test_a_mistake_is_one_json_object_for_machines(call) -> None:
    told = call("fit", "menagerie", "--family", "gna", "--json")
    error = json.loads(told.out)
    assert error["event"] == "error" and error["kind"] == "OptionError" and error["exit"] == told.code == 2
    assert error["action"] == 'Did you mean "gan"?' and not told.err


# --- fit, sample, info, list


def test_fit_says_where_things_are_and_what_to_try(call, tmp_path) -> None:
    out = tmp_path / "a run"
    told = call("fit", *SMALL, "--out", out)
    assert told.code == 0, told.err
    for name in ("film.gif", "report.html"):
        assert str(out / name) in told.out and (out / name).stat().st_size > 0
    assert f"morelike sample '{out}' -n 64 --given label=cat" in told.out
    again = call("fit", *SMALL, "--out", out)
    assert again.code == 2 and "already exists" in again.err and "morelike resume" in again.err


def test_fit_tells_machines_one_json_object_per_line(call, tmp_path) -> None:
    told = call("fit", *SMALL, "--out", tmp_path / "run", "--json")
    events = [json.loads(line) for line in told.out.splitlines()]
    assert {event["event"] for event in events} == {"progress", "done"}
    trained = [event for event in events if event.get("stage") == "train"]
    assert trained[-1]["step"] == 4 and trained[-1]["log"]
    done = events[-1]
    assert Path(done["report"]).exists() and Path(done["sheet"]).exists() and Path(done["film"]).exists()


def test_a_finished_run_can_be_resumed_without_change(call, runs) -> None:
    before = load_file(runs["gan"] / "weights.safetensors")
    for words in (["fit", "--resume", "--out", runs["gan"]], ["fit", "--resume", runs["gan"]], ["resume", runs["gan"]]):
        told = call(*words)
        assert told.code == 0, told.err
    after = load_file(runs["gan"] / "weights.safetensors")
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_sample_writes_what_the_name_says(call, runs, tmp_path) -> None:
    asked = ["sample", runs["gan"], "-n", 5, "--given", "label=dog", "--seed", 7, "--out"]
    assert call(*asked, tmp_path / "x.npy").code == 0
    assert call(*asked, tmp_path / "x.png").code == 0
    assert call(*asked, tmp_path / "folder").code == 0
    array = np.load(tmp_path / "x.npy")
    assert array.shape == (5, 28, 28, 1) and array.dtype == np.uint8
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 5
    assert np.array_equal(np.asarray(Image.open(files[3])).squeeze(), array[3].squeeze())
    assert Image.open(tmp_path / "x.png").size >= (28, 28)


def test_one_seed_makes_one_item(call, runs, tmp_path) -> None:
    for n, seed, name in ((3, 7, "few.npy"), (70, 0, "many.npy")):
        told = call("sample", runs["gan"], "-n", n, "--given", "label=cat", "--seed", seed, "--out", tmp_path / name)
        assert told.code == 0, told.err
    assert np.array_equal(np.load(tmp_path / "few.npy"), np.load(tmp_path / "many.npy")[7:10])


def test_an_out_that_exists_is_kept_unless_forced(call, runs, tmp_path) -> None:
    sheet, folder = tmp_path / "sheet.png", tmp_path / "folder"
    sheet.write_text("mine")
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    for out in (sheet, folder):
        told = call("sample", runs["gan"], "-n", 2, "--out", out)
        assert told.code == 2 and "exists already" in told.err and "--force" in told.err
    assert sheet.read_text() == (folder / "mine.txt").read_text() == "mine"
    assert call("sample", runs["gan"], "-n", 2, "--out", sheet, "--force").code == 0
    assert Image.open(sheet).format == "PNG"


def test_without_out_the_name_tells_what_was_asked(call, runs) -> None:
    told = call("sample", runs["gan"], "-n", 4, "--given", "label=cat", "--seed", 3)
    assert told.out.strip() == str(runs["gan"] / "sheet-label-cat-seed-3.png")
    assert Path(told.out.strip()).exists()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--given", "label=cta"], 'Did you mean "cat"?'),
        (["--given", "lable=cat"], 'Did you mean "label"?'),
        (["--given", "cat"], '--given got "cat"'),
        (["--out", "x.jpgg"], ".jpgg"),
        (["--encode", "menagerie:20"], "vae"),
    ],
)
def test_sample_explains_what_it_cannot_do(call, runs, words, fault, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = call("sample", runs["gan"], "-n", 2, *words)
    assert told.code == 2 and fault in told.err and len(parts(told.err)) == 3


def test_interpolate_reconstruct_and_encode(call, runs, tmp_path) -> None:
    run = runs["vae"]
    assert call("sample", run, "--interpolate", 3, 8, "-n", 6, "--out", tmp_path / "path.gif").code == 0
    assert getattr(Image.open(tmp_path / "path.gif"), "n_frames", 1) == 6
    assert call("sample", run, "--reconstruct", "menagerie:20", "-n", 4, "--out", tmp_path / "pairs.npy").code == 0
    assert len(np.load(tmp_path / "pairs.npy")) == 8
    told = call("sample", run, "--encode", "menagerie:20", "--out", tmp_path / "codes.npy", "--json")
    assert json.loads(told.out)["files"] == [str(tmp_path / "codes.npy")]
    codes = np.load(tmp_path / "codes.npy")
    assert len(codes) == 20 and np.isfinite(codes).all()
    told = call("sample", run, "--encode", "menagerie:20", "--out", tmp_path / "codes.txt")
    assert told.code == 2 and ".npy" in told.err


def test_info_tells_people_and_machines_the_same(call, runs) -> None:
    told = json.loads(call("info", runs["gan"], "--json").out)
    assert told["family"] == "gan" and told["step"] == 4
    shown = call("info", runs["gan"]).out
    assert "menagerie:90" in shown and "gan" in shown


def test_list_names_what_there_is_with_a_line_each(call) -> None:
    told = json.loads(call("list", "--json").out)
    assert {"gan", "vae"} <= told["families"].keys() and {"mlp", "cnn", "rnn", "transformer"} <= told["nets"].keys()
    assert all(line for kind in told.values() for line in kind.values())
    shown = call("list").out
    assert all(name in shown for kind in told.values() for name in kind)


def test_a_changed_or_broken_run_is_refused(call, runs, tmp_path) -> None:
    import shutil

    for name, spoil in (
        ("weights.safetensors", lambda data: data[:-7]),
        ("weights.safetensors", lambda data: data[:-7] + b"changed"),
        ("recipe.json", lambda data: data[: len(data) // 2]),
        ("codec.json", lambda data: b"{}"),
        ("recipe.json", None),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(runs["gan"], copy)
        if spoil is None:
            (copy / name).unlink()
        else:
            (copy / name).write_bytes(spoil((copy / name).read_bytes()))
        for words in (["sample", copy, "--out", tmp_path / "x.png"], ["info", copy]):
            told = call(*words)
            assert told.code == 2 and name.split(".")[0] in told.err and len(parts(told.err)) == 3, told.err
        shutil.rmtree(copy)


# --- Ctrl-C, and faults of our own


def started(*words: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "morelike", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if word in line:
            return
    raise AssertionError(f"ended before {word}: {process.stderr.read() if process.stderr else ''}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_saves_and_says_how_to_resume(tmp_path, call, number) -> None:
    process = started("fit", "menagerie:90", "--steps", 100_000, "--size", 8, "--out", "run", cwd=tmp_path)
    wait_for(process, "step ")
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "morelike resume run" in out and not err
    saved = json.loads(call("info", tmp_path / "run", "--json").out)
    assert 0 < saved["step"] < 100_000


def test_ctrl_c_before_training_stops_at_once(tmp_path) -> None:
    process = started("fit", "menagerie:200000:64:colour", "--steps", 10, "--out", "run", cwd=tmp_path)
    wait_for(process, "Collecting")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and "Stopped" in err


def test_a_fault_of_ours_is_two_lines_and_a_file(call, tmp_path, monkeypatch) -> None:
    def broken(request: object) -> None:
        raise ZeroDivisionError("one over none")

    monkeypatch.setattr("morelike.recipes.fit", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = call("fit", "menagerie")
    assert told.code == 1 and "ZeroDivisionError: one over none" in told.err and "Traceback (most" not in told.err
    (file,) = tmp_path.glob("morelike-error-*.txt")
    assert str(file) in told.err and "Traceback (most recent call last)" in file.read_text()
    monkeypatch.setenv("MORELIKE_DEBUG", "1")
    assert "Traceback (most recent call last)" in call("fit", "menagerie").err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TrainingError("a", "b", "c"), 1, "a"),
        (DataError("a", "b", "c"), 2, "a"),
        (MemoryError(), 1, "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9"), 1, "memory"),
        (OSError(28, "No space left on device", "x"), 1, "No space left on device: x"),
        (PermissionError(13, "Permission denied", "x"), 2, "Permission denied: x"),
        (KeyboardInterrupt(), 130, "Stopped"),
    ],
)
def test_exit_codes(error, code, words) -> None:
    told, given = failure.explain(error, ["fit", "x"])
    assert isinstance(told, MorelikeError) and given == code and words in told.found


# --- small parts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (100, "1:40"), (7500, "2:05:00"), (-3, "0 s"), (float("inf"), "?")],
)
def test_clock(seconds, text) -> None:
    assert display.clock(seconds) == text


def test_pairs() -> None:
    assert pairs("--given", ["label=a=b", "x="], "label=cat") == {"label": "a=b", "x": ""}
    with pytest.raises(OptionError):
        pairs("--given", ["=cat"], "label=cat")


def test_json_lines_hold_no_nan(capsys) -> None:
    with display.JsonLines() as shown:
        shown.show(Progress("train", 3, 9, log={"critic": float("nan"), "generator": float("inf"), "real": 0.5}))
    log = json.loads(capsys.readouterr().out)["log"]
    assert log == {"critic": None, "generator": None, "real": 0.5}


def test_plain_lines_come_every_ten_seconds_and_for_every_note(capsys, monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with display.Lines() as shown:
        for step in range(1, 41):
            now += 0.5
            shown.show(
                Progress("train", step, 40, step / 40, rate=10, log={"model": 1.0}, note="hm" if step == 7 else None)
            )
    lines = capsys.readouterr().out.splitlines()
    assert sum("step" in line for line in lines) == 2 and lines.count("hm") == 1


def test_the_live_display_shows_everything(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with display.Live() as shown:
        shown.show(Progress("plan", note="Plan: width 16"))
        shown.show(Progress("train", 30, 60, 0.5, 9, 100, 512, {"critic": 0.693}, None, "run/samples/3.png"))
    text = capsys.readouterr().out
    for part in ("Plan: width 16", "Training", "50 %", "step 30 of 60", "512 examples/s", "1:40 left", "3.png"):
        assert part in text, part


def test_a_reader_that_goes_away_is_no_error(tmp_path) -> None:
    command = f"{sys.executable} -m morelike list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=os.environ)
    assert "Traceback" not in done.stderr and "Error" not in done.stderr
