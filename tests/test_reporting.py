"""From a run to its report: numbers that can be repeated, real items or a reason, and no input that breaks it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morelike import cli
from morelike.core.errors import DataError, OptionError
from morelike.measure.features import learn
from morelike.measure.figure import Figure, Measured, Verdict
from morelike.measure.record import Report, as_dict
from morelike.recipes import Request, fit
from morelike.reporting import Asked, looks, report
from morelike.reporting.evidence import duplicates, number
from morelike.reporting.items import Items, other, prepared, trained_on
from morelike.reporting.samples import draw, in_proportion, read_back
from morelike.run import Run

verb = import_module("morelike.cli.report")  # `cli.report` itself is what tells errors
QUICK = Asked(samples=150, features="random", selftest=False)
WORDS = {"indistinguishable", "close", "usable with care", "poor", "collapsed", "copies", "unmeasured"}


def trained(source: str | Path, out: Path, family: str = "gan", **more: Any) -> Run:
    """A tiny run, trained for a few steps."""
    *_, last = fit(Request(str(source), family, steps=3, size="8", out=out, settings={"batch": "16"}, **more))
    assert last.stage == "done"
    return Run.load(out)


def photos(folder: Path, counts: dict[str, int], side: int = 12, seed: int = 0) -> Path:
    """A folder of noisy pictures, one sub-folder for each kind."""
    random = np.random.default_rng(seed)
    for shade, (kind, count) in enumerate(counts.items()):
        (folder / kind).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(40 * shade, 40 * shade + 100, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Tiny runs on the built-in world, by family and condition."""
    made: dict[tuple[str, str], Run] = {}

    def get(family: str = "gan", given: str = "label") -> Run:
        if (family, given) not in made:
            out = tmp_path_factory.mktemp("runs") / family
            made[family, given] = trained("menagerie:600:12", out, family, given=given, held_out=0.25)
        return made[family, given]

    return get


def silent(stage: str, fraction: float) -> None:
    """Nobody looks at the stages."""


def well_formed(found: Report) -> None:
    """Every figure is a number or has a reason, the JSON has nothing that JSON has not, and the page is there."""
    assert found.verdict.word in WORDS and found.verdict.sentence
    for one in found.figures:
        numbers = (one.value, one.low, one.high, one.floor, one.copies, one.baseline)
        assert all(each is None or math.isfinite(each) for each in numbers), one
        assert one.value is not None or one.reason, one
    data = json.loads((found.run / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert data["verdict"]["word"] == found.verdict.word
    page = (found.run / "report.html").read_text(encoding="utf-8")
    assert found.verdict.word.capitalize() in page and not re.search(r"\bnan\b|>None<", page)


# --- what a report holds


@pytest.fixture(scope="module")
def made(runs) -> tuple[Report, list[tuple[str, float]]]:
    """A report, and what was told while it was made."""
    told: list[tuple[str, float]] = []
    return report(runs(), QUICK, lambda stage, fraction: told.append((stage, fraction))), told


def test_a_report_measures(runs, made) -> None:
    found, told = made
    well_formed(found)
    names = {one.name for one in found.figures if one.label is None and one.value is not None}
    assert {"density", "coverage", "two_sample", "frechet", "kernel_distance", "copy_rate"} <= names
    assert found.measured.counts["made"] == 150 and 100 < found.measured.counts["held_out"] < 200
    assert "cat" in {one.label for one in found.figures}
    assert all(0 <= fraction <= 1 for _, fraction in told) and {"Drawing samples", "Writing"} <= {s for s, _ in told}
    assert found.about["command"].endswith("-n 150 --seed 0 --features random --no-selftest")
    pair = found.pairs[0]
    assert re.fullmatch(r"menagerie\[\d+\]", pair.name) and pair.asked in ("cat", "dog", "rabbit")
    drawn = runs().sample(1, seed=pair.seed, label=pair.asked)
    assert runs().codec.html(drawn.array) == [pair.pictures[0]]
    assert {one.random for one in found.pairs} == {False, True}


def test_a_model_with_a_likelihood_and_without_classes(runs) -> None:
    found = report(runs("vae", "none"), QUICK)
    well_formed(found)
    assert found.figure("bits_per_dimension").value > 0 and found.figure("class_accuracy") is None
    assert list(found.pictures.classes) == [""] and not [one for one in found.measured.figures if one.label]


def test_learned_features_are_kept_in_the_run(runs, monkeypatch) -> None:
    run, asked = runs(), replace(QUICK, features="learned")
    monkeypatch.setattr(looks, "learn", partial(learn, seconds=0.5))
    known = prepared(run, silent)
    train = trained_on(known, 0)
    first, random = looks.features_for(run, train, known, asked, silent)
    path = run.path / "measure" / "learned.safetensors"
    assert path.exists() and (first.name, random.name) == ("learned", "random")
    monkeypatch.setattr(looks, "learn", None)  # from now on they are loaded
    second, _ = looks.features_for(run, train, known, asked, silent)
    assert torch.equal(first(train.x[:20]), second(train.x[:20]))
    assert second.classify(train.x[:2]).shape == (2, 3)


def test_labels_are_learned_from_even_where_the_model_is_not_conditioned(runs, tmp_path: Path) -> None:
    run = runs("vae", "none")
    known = prepared(run, silent)
    train = trained_on(known, 0)
    labels = looks.labels_of(known, train)
    assert train.labels is None and labels.unique().tolist() == [0, 1, 2]
    known.data.fields["label"] = [str(i) for i in range(len(known.data))]  # a name for each item is no class
    assert looks.labels_of(known, train) is None


def test_duplicates_of_a_training_item_are_counted(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", {"a": 60})
    for i in range(4):
        (folder / "a" / f"copy{i}.png").write_bytes((folder / "a" / "007.png").read_bytes())
    known = prepared(trained(folder, tmp_path / "run", held_out=0.0), silent)
    times = duplicates(known, ())
    assert set(times.values()) == {5} and {known.data.names[row] for row in times} >= {"a/007.png", "a/copy3.png"}
    row = next(iter(times))
    assert duplicates(known, [[row, 0], [1, 2, 3]]) == times | {1: 3, 2: 3, 3: 3, 0: max(times.get(0, 0), 2)}


# --- samples


def test_classes_are_asked_for_in_the_proportions_of_the_data() -> None:
    labels = torch.tensor([0] * 700 + [1] * 200 + [2] * 100)
    asked = in_proportion(labels, 4, 55, 0)
    assert torch.bincount(asked, minlength=4).tolist() == [39, 11, 5, 0]
    assert torch.equal(asked, in_proportion(labels, 4, 55, 0))
    assert not torch.equal(asked, in_proportion(labels, 4, 55, 1))
    assert in_proportion(labels[:0], 3, 0, 0).tolist() == []


def test_samples_are_those_that_sample_draws(runs) -> None:
    run = runs()
    asked = torch.arange(70) % 3
    made = draw(run, 70, 5, {"label": asked}, silent)
    for i in (0, 1, 69):
        label = run.labels["label"].config.vocabulary[int(asked[i])]
        assert np.array_equal(run.codec.decode(made[i : i + 1]), run.sample(1, seed=5 + i, label=label).array)
    assert torch.equal(read_back(run, made), made)


def test_broken_samples_stay_broken(runs) -> None:
    run = runs()
    x = torch.zeros(2, *run.family.spec.shape)
    x[1, 0, 0, 0] = float("nan")
    assert read_back(run, x).isnan().sum() == 1


def test_as_many_samples_as_are_worth_it(runs) -> None:
    assert [number(runs(), None, items) for items in (3, 5_000, 90_000)] == [1_000, 5_000, 10_000]
    assert number(runs(), 77, 5_000) == 77
    large = SimpleNamespace(family=SimpleNamespace(spec=SimpleNamespace(shape=(3, 1024, 1024))))
    assert number(large, None, 5_000) * 3 * 1024**2 * 4 <= 1 << 30


# --- other real items


def read_other(run: Run, source: Path | str) -> Items:
    return other(run, str(source), prepared(run, silent), silent, 0)


def test_other_items_take_the_place_of_held_out_ones(runs, tmp_path: Path) -> None:
    source = photos(tmp_path / "other", {"cat": 70, "dog": 70, "unicorn": 9}, side=20)
    found = report(runs(), replace(QUICK, against=str(source)))
    well_formed(found)
    assert found.measured.counts["held_out"] == 140 and found.about["against"] == str(source)
    assert any("9 items" in note and "no class" in note for note in found.notes)
    page = (found.run / "report.html").read_text(encoding="utf-8")
    assert str(source) in page and "140 real items" in page


def test_items_without_known_labels_are_compared_without_classes(runs, tmp_path: Path) -> None:
    for name, counts in (("none", {".": 12}), ("others", {"unicorn": 6, "horse": 6})):
        items = read_other(runs(), photos(tmp_path / name, counts))
        assert len(items) == 12 and items.labels is None and "class by class" in items.notes[0]
    items = read_other(runs("vae", "none"), tmp_path / "others")
    assert len(items) == 12 and items.labels is None and not items.notes


def test_training_items_are_not_compared_with(runs) -> None:
    items = read_other(runs(), "menagerie:600:12")
    held = len(prepared(runs(), silent).held)
    assert len(items) == held and f"{600 - held} items" in items.notes[0] and "training items too" in items.notes[0]


def test_a_source_that_cannot_be_compared_with_is_refused(runs, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is nothing at"):
        report(runs(), replace(QUICK, against=str(tmp_path / "nowhere")))
    folder = photos(tmp_path / "photos", {"a": 9})
    run = trained(folder, tmp_path / "run", held_out=0.0)
    with pytest.raises(DataError, match="nothing to compare with"):
        report(run, replace(QUICK, against=str(folder)))


# --- bad input


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_without_its_data_a_run_is_unmeasured(tmp_path: Path, change: str) -> None:
    folder = photos(tmp_path / "photos", {"a": 20, "b": 20})
    run = trained(folder, tmp_path / "run")
    if change == "gone":
        folder.rename(tmp_path / "elsewhere")
    else:
        Image.new("L", (12, 12)).save(folder / "a" / "new.png")
    found = report(run, QUICK)
    well_formed(found)
    assert found.verdict.word == "unmeasured" and not found.figures
    said = "There is nothing at" if change == "gone" else "has changed since this run began"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert said in found.verdict.sentence and said in page
    assert page.count('class="item') >= 24  # samples can be looked at all the same


@pytest.mark.parametrize(
    ("kind", "n"), [("one class", 150), ("few", 150), ("constant", 150), ("few samples", 3), ("one sample", 1)]
)
def test_poor_data_give_figures_or_reasons(tmp_path: Path, kind: str, n: int) -> None:
    counts = {"one class": {"a": 130}, "constant": {"a": 130}, "few": {"a": 14, "b": 9}}.get(kind, {"a": 80, "b": 80})
    folder = photos(tmp_path / "photos", counts)
    if kind == "constant":
        for i, path in enumerate(sorted(folder.rglob("*.png"))):
            Image.new("L", (12, 12), 100 + (i == 0)).save(path)
    run = trained(folder, tmp_path / "run", held_out=0.3)
    found = report(run, replace(QUICK, samples=n))
    well_formed(found)
    assert found.verdict.word == "unmeasured" or kind in ("one class", "constant")
    assert found.verdict.word not in ("indistinguishable", "close")


def test_samples_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    run = trained(photos(tmp_path / "photos", {"a": 150}), tmp_path / "run", held_out=0.4)
    whole = run.family.sample

    def broken(seeds, given):
        x = whole(seeds, given).clone()
        x[::2] = float("inf")
        return x

    run.family.sample = broken  # type: ignore[method-assign]
    found = report(run, QUICK)
    well_formed(found)
    assert found.measured.counts["made_not_finite"] >= 75
    assert any("not numbers" in one.title for one in found.measured.findings)
    run.family.sample = lambda seeds, given: torch.full_like(whole(seeds, given), float("nan"))  # type: ignore
    found = report(run, QUICK)
    well_formed(found)
    assert found.verdict.word == "poor"


@pytest.mark.parametrize(("asked", "said"), [({"samples": 0}, "At least 1"), ({"seed": -1}, "seed"),
                                             ({"features": "inceptoin"}, "Did you mean")])  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Asked(**asked)


# --- the command


@pytest.fixture
def call(capsys):
    """Run `morelike report` in this process: call("RUN").out, .err, .code."""

    def run(*words: object) -> SimpleNamespace:
        with pytest.raises(SystemExit) as end:
            cli.main(["report", *map(str, words)])
        out, err = capsys.readouterr()
        return SimpleNamespace(out=out, err=err, code=end.value.code)

    return run


def test_the_command_ends_with_verdict_figures_and_page(made, call) -> None:
    """And what it measures is what was measured before."""
    found = made[0]
    before = json.loads(json.dumps(as_dict(found)))
    told = call(*found.about["command"].split()[2:])
    assert told.code == 0, told.err
    lines = told.out.strip().splitlines()
    assert lines[-1] == f"page  {found.run / 'report.html'}"
    assert [line.split("  ")[0] for line in lines[-5:-2]] == ["How real", "How varied", "How new"]
    assert lines[-7].split(".")[0].lower() == found.verdict.word
    after = json.loads((found.run / "report.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in after.items() if k != "about"} == {k: v for k, v in before.items() if k != "about"}


def test_the_command_prints_or_writes_json(made, call, tmp_path: Path, monkeypatch) -> None:
    found = made[0]
    monkeypatch.setattr(verb, "follow", lambda run, asked, shown: found)
    printed = json.loads(call(found.run, "--json").out)
    told = call(found.run, "--json", tmp_path / "f.json", "--out", tmp_path / "p.html")
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8")) == printed
    assert printed["format"] == "morelike report" and str(tmp_path / "f.json") in told.out
    assert "<html" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_mistakes_are_told_before_measuring(runs, call, tmp_path: Path) -> None:
    run = runs().path
    for words, said in (
        ((run, "f.json"), "--json"),
        ((run, "--json", tmp_path / "f.txt"), "ends in .json"),
        ((run, "--out", tmp_path / "p.pdf"), "ends in .html"),
        ((run, "--out", tmp_path / "no" / "p.html"), "no folder"),
        ((tmp_path / "nothing",), "no such folder"),
        ((run, "--features", "x"), "learned"),
    ):
        told = call(*words)
        assert told.code == 2 and said in told.out + told.err, (words, told)


def test_ctrl_c_leaves_no_report(runs, call, monkeypatch, tmp_path: Path) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "follow", interrupted)
    told = call(runs().path, "--out", tmp_path / "p.html")
    assert told.code == 130 and "No report" in told.out and not (tmp_path / "p.html").exists()


def test_a_missing_figure_is_told_with_its_reason() -> None:
    found = Report(Path("r"), Measured(Verdict("unmeasured", "S."), [Figure("density", "D", reason="too few")], None))
    lines = verb.ending(found, verb.Options(Path("r")))
    assert "How real    not measured: too few" in lines and len([one for one in lines if one.startswith("How")]) == 1


# --- texts


def sentences(n: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice("the cat dog sat on a mat and ran far".split(), 9)) for _ in range(n)]  # noqa: SIM905


def text_run(folder: Path, given: str = "none", n: int = 400, **more: Any) -> Run:
    """A tiny run on made-up sentences: alone, with a kind, or with a second text that each belongs to."""
    pairs = zip(sentences(n, 1), sentences(n, 2), strict=True)
    (folder / "data").mkdir(parents=True)
    rows = ["kind,before,text", *(f"{i % 2},{a},{b}" for i, (a, b) in enumerate(pairs))]
    (folder / "data" / "a.csv").write_text("\n".join(rows))
    request = Request(str(folder / "data"), "autoregressive", steps=3, out=folder / "run", given=given, make="text",
                      held_out=0.25, settings={"width": "8", "batch": "8"}, **more)  # fmt: skip
    *_, last = fit(request)
    assert last.stage == "done"
    return Run.load(folder / "run")


def test_a_report_of_texts(tmp_path) -> None:
    found = report(text_run(tmp_path / "texts", "kind"), QUICK)
    well_formed(found)
    names = {one.name for one in found.figures if one.label is None and one.value is not None}
    assert {"bits_per_byte", "perplexity", "verbatim", "longest_run", "length_distance", "distinct"} <= names
    assert "bits_per_dimension" not in names and {one.label for one in found.figures} >= {"0", "1"}
    assert found.figure("copy_rate").copies == pytest.approx(1.0)
    assert all('<pre class="item" dir="auto">' in one for pair in found.pairs for one in pair.pictures)
    assert "passages" in json.loads((found.run / "report.json").read_text())["novelty"]
    rows = [f"{i % 2},{one}" for i, one in enumerate(sentences(60, 9))]
    (tmp_path / "new.csv").write_text("\n".join(["kind,text", *rows]))
    again = report(Run.load(found.run), replace(QUICK, against=str(tmp_path / "new.csv")))
    well_formed(again)
    assert again.figure("bits_per_byte").value > 0 and again.measured.counts["held_out"] == 60


def test_samples_answer_what_new_items_ask(tmp_path) -> None:
    run = text_run(tmp_path / "pairs", "before")
    found = report(run, QUICK)
    well_formed(found)
    score = found.figure("chrf")
    assert score is not None and (score.reason or score.copies is not None)
    asked, made, right = found.pictures.answers[0]
    texts = (tmp_path / "pairs" / "data" / "a.csv").read_text()
    assert re.sub("<[^>]*>", "", f"{asked},{right}") in texts and made.startswith("<pre")
    (tmp_path / "other.csv").write_text("text\n" + "\n".join(sentences(9)))
    with pytest.raises(DataError, match="before"):
        report(run, replace(QUICK, against=str(tmp_path / "other.csv")))


@pytest.mark.parametrize("n", [3, 12])
def test_a_handful_of_texts_is_unmeasured(tmp_path, n) -> None:
    for given in ("none", "before"):
        found = report(text_run(tmp_path / f"few-{given}", given, n), replace(QUICK, samples=5, selftest=True))
        well_formed(found)
        assert found.verdict.word in ("unmeasured", "poor", "collapsed")


def test_long_documents_are_looked_at_in_pieces(tmp_path) -> None:
    text = "\n\n".join(". ".join(sentences(6, seed)) for seed in range(120))
    (tmp_path / "book.txt").write_text(text)
    *_, last = fit(Request(str(tmp_path / "book.txt"), "autoregressive", steps=2, out=tmp_path / "run", held_out=0.25,
                           settings={"width": "8", "batch": "8", "context": "64"}))  # fmt: skip
    assert last.stage == "done"
    found = report(Run.load(tmp_path / "run"), QUICK)
    well_formed(found)
    assert "pieces" in found.notes[0] and found.measured.counts["held_out"] > 50
