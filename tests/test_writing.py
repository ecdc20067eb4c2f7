"""Runs on texts, from the file to what is written: prompts, stops, patterns, seeds, resuming, the command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import morelike
from morelike.conditions import family_of, whole
from morelike.core.codec import Item
from morelike.core.errors import DataError, OptionError
from morelike.core.tokens import Manner
from morelike.data import menagerie
from morelike.data.listing import Source
from morelike.recipes import Request
from morelike.train.folder import load_tensors
from morelike.writing import Wish, stream


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book, messages of three kinds, and two small runs on them."""
    folder = tmp_path_factory.mktemp("texts")
    truth = menagerie.factors(200)
    captions = menagerie.captions(truth, "en")
    (folder / "book.txt").write_text("\n".join(captions))
    kinds = [menagerie.SPECIES[number] for number in truth.species]
    rows = [f'{kind},"{caption}"' for kind, caption in zip(kinds, captions, strict=True)]
    (folder / "messages.csv").write_text("type,text\n" + "\n".join(rows))
    settings = {"vocabulary": "characters"}
    morelike.fit(folder / "book.txt", steps=60, size="tiny", out=folder / "book", show=False, settings=settings)
    morelike.fit(
        folder / "messages.csv", given="type", steps=150, size="tiny", out=folder / "kinds", show=False,
        settings=settings,
    )  # fmt: skip
    return folder


def test_a_text_file_gets_the_family_that_suits_it(world: Path) -> None:
    info = morelike.info(world / "book")
    assert info["family"] == "autoregressive" and info["labels"] == {}
    recipe = json.loads((world / "book" / "recipe.json").read_text())
    assert recipe["reading"] == {"codec": "text", "make": None, "unit": "auto"}
    assert list((world / "book" / "samples").glob("*.txt")) and not (world / "book" / "film.gif").exists()
    assert "held_out" in (world / "book" / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("given", "make", "family"),
    [("en", "zh", "seq2seq"), ("zh", "en", "seq2seq"), ("name,zh", "en", "seq2seq"),
     ("kind", "en", "autoregressive"), ("name", "en", "autoregressive")],
)  # fmt: skip
def test_what_is_given_is_searched_only_if_it_settles_the_text(given: str, make: str, family: str) -> None:
    truth = menagerie.factors(200)
    rows = zip(menagerie.captions(truth, "en"), menagerie.captions(truth, "zh"), truth.species.tolist(), strict=True)
    fields = [{"en": en, "zh": zh, "kind": str(kind), "name": f"no {n:03d}"} for n, (en, zh, kind) in enumerate(rows)]
    items = [Item(str(n), partial(str, one[make]), one) for n, one in enumerate(fields)]
    request = Request("pairs.tsv", given=given, make=make)
    assert family_of(request, Source("pairs.tsv", items, "", codec="text")) == family


def test_a_vocabulary_is_learnt_from_every_turn_once() -> None:
    fields = {"before": ["A: x", "A: x\nB: y", "A: z"], "dialogue": ["1", "1", "2"]}
    assert whole(fields, ["before"], 3) == [1, 2]
    assert whole({"en": ["x", "x y", "z"]}, ["en"], 3) == [0, 1, 2]


def test_one_seed_is_one_text_however_many_are_written(world: Path) -> None:
    run = morelike.load(world / "book")
    many = run.sample(9, seed=3).array.tolist()
    assert many[4:6] == run.sample(2, seed=7).array.tolist()
    assert len(set(many)) > 1
    wish = Wish("a ")
    assert run.sample(3, seed=5, wish=wish).array[2] == run.sample(1, seed=7, wish=wish).array[0]


def test_a_text_comes_token_by_token_and_begins_with_its_prompt(world: Path) -> None:
    run = morelike.load(world / "book")
    wish = Wish("a white ", manner=Manner(length=12))
    steps = [text for (text,) in stream(run, [1], {}, wish)]
    assert all(text.startswith("a white ") for text in steps) and len(steps) <= 12
    assert all(later.startswith(earlier) for earlier, later in zip(steps, steps[1:], strict=False))
    assert steps[-1] == run.sample(1, seed=1, wish=wish).array[0]


def test_a_stop_and_a_pattern_are_kept_to(world: Path) -> None:
    run = morelike.load(world / "book")
    texts = run.sample(8, wish=Wish("a", stop=(" w", "t"))).array
    assert all("t" not in text[1:] and " w" not in text[1:] for text in texts)
    pattern = Wish(pattern="(cat|dog) [a-c]{2,4}")
    assert all(re.fullmatch("(cat|dog) [a-c]{2,4}", text) for text in run.sample(8, wish=pattern).array)


def test_strange_prompts_are_answered(world: Path) -> None:
    run = morelike.load(world / "book")
    for prompt in ("", "日本語 🐈", "مرحبا", "a\0b", "x" * 5_000):
        (text,) = run.sample(1, wish=Wish(prompt, manner=Manner(length=5))).array
        assert isinstance(text, str) and "\0" not in text


def test_labels_are_conditions_of_texts_too(world: Path) -> None:
    run = morelike.load(world / "kinds")
    assert run.fields["type"].config.vocabulary == ("cat", "dog", "rabbit")
    said = {kind: " ".join(run.sample(24, given={"type": kind}).array) for kind in ("cat", "rabbit")}
    assert said["cat"].count("cat") > said["rabbit"].count("cat")
    with pytest.raises(OptionError, match='Did you mean "cat"'):
        run.sample(1, given={"type": "cta"})


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(world: Path, tmp_path: Path) -> None:
    from morelike.recipes import Request, fit, resume
    from morelike.train.loop import stop

    request = {"source": str(world / "book.txt"), "steps": 30, "size": "tiny", "settings": {"save": "0.01"}}
    for event in fit(Request(**request, out=tmp_path / "cut")):
        if event.stage == "train" and event.step >= 1:
            stop.set()
    assert event.stage == "stopped"
    list(resume(tmp_path / "cut"))
    list(fit(Request(**request, out=tmp_path / "whole")))
    cut, whole = (load_tensors(tmp_path / name / "weights.safetensors")[0] for name in ("cut", "whole"))
    assert all(torch.equal(cut[name], whole[name]) for name in whole)


def test_the_best_weights_are_kept_when_a_model_learns_by_heart(world: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n".join((world / "book.txt").read_text().splitlines()[:16]))
    from morelike.recipes import Request, fit

    settings = {"lr": "0.03", "schedule": "constant", "dropout": "0", "average": "0"}
    notes = [
        event.note or ""
        for event in fit(
            Request(str(tmp_path / "few.txt"), steps=80, size="tiny", out=tmp_path / "run", held_out=0.3,
                    settings=settings)
        )
    ]  # fmt: skip
    kept = next(note for note in notes if note.startswith("Kept the weights of step"))
    step = int(kept.split("step ")[1].split(":")[0].replace(",", ""))
    assert step < 80
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["held_out"] for line in lines if "held_out" in line]
    assert min(losses) < losses[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no text"), (b"\x00\x01\x02\xff" * 500, "unknown kind"), (b"just one line", "At least two")],
)
def test_files_without_text_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        morelike.fit(tmp_path / "x.txt", steps=2, out=tmp_path / "run", show=False)


def test_three_lines_are_enough(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("one\ntwo\nthree\n")
    run = morelike.fit(tmp_path / "x.txt", steps=3, size="tiny", out=tmp_path / "run", show=False)
    assert len(run.sample(2)) == 2


def test_options_of_pictures_are_refused_for_texts(world: Path) -> None:
    with pytest.raises(OptionError, match="--image"):
        morelike.fit(world / "book.txt", image="28", steps=2, show=False)
    with pytest.raises(OptionError, match="separate tokens"):
        morelike.fit(world / "book.txt", family="gan", steps=2, show=False)


def test_texts_are_printed_or_written(call, world: Path) -> None:
    book, new = world / "book", world / "new.jsonl"
    shown = call("sample", book, "-n", 2)
    assert shown.code == 0 and len(shown.out.strip().splitlines()) >= 2
    one = call("sample", book, "-n", 1, "--prompt", "a ", "--length", 9, "--temperature", 0)
    assert one.code == 0 and one.out.startswith("a ")
    found = json.loads(call("sample", book, "-n", 3, "--json").out)
    assert [text["seed"] for text in found["texts"]] == [0, 1, 2]
    assert call("sample", book, "-n", 4, "--out", new).code == 0
    assert [set(json.loads(line)) for line in new.read_text().splitlines()] == [{"text"}] * 4
    assert call("sample", book, "--out", new).code == 2  # it is there already


def test_wrong_manners_are_refused(call, world: Path) -> None:
    for words in (("--top-p", "2"), ("--length", "0"), ("--temperature", "-1"), ("--prompt", "@nowhere.txt")):
        wrong = call("sample", world / "book", *words)
        assert wrong.code == 2 and "Traceback" not in wrong.err, words


def test_chat_answers_line_by_line(world: Path) -> None:
    command = [sys.executable, "-m", "morelike", "chat", str(world / "book"), "--length", "30"]
    typed, environment = "a cat\n\nwho\n/new\n/bye\nnever read\n", os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, input=typed, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.count("> ") == 5


def test_what_was_mended_is_not_counted_as_skipped(tmp_path: Path) -> None:
    """The recipe and the page say the same as what `fit` prints."""
    from morelike.recipes import Request, fit

    folder = tmp_path / "letters"
    folder.mkdir()
    for place in range(6):
        (folder / f"{place}.txt").write_text(f"Letter {place}: it was a day as blue as a jay, and the train was late.")
    (folder / "mended.txt").write_bytes(b"A bell \7 rang in the night, and nobody at all woke up from it.")
    (folder / "broken.wav").write_bytes(b"RIFF" + bytes(40))
    request = Request(source=folder, steps=2, size="tiny", out=tmp_path / "run")
    said = [event.note or "" for event in fit(request)]
    data = json.loads((tmp_path / "run" / "recipe.json").read_text())["data"]
    assert (data["skipped"], data["mended"], data["items"]) == (1, 1, 7)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "1 skipped" in page and "1 mended" in page
    assert any("Skipped 1: broken.wav" in one and "Mended 1: mended.txt" in one for one in said)
