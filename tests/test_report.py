"""The report page: needs nothing but itself, says first whether to use the model, and tells all that was measured."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.codecs.image import tiny
from morelike.core.errors import OptionError
from morelike.measure import curves, report, verdict
from morelike.measure.figure import Damage, Figure, Finding, Measured, Neighbours, Novelty, Verdict
from morelike.measure.page import first, folder, html, scale
from morelike.measure.record import Pair, Pictures, Report, as_dict
from morelike.measure.style import STYLE

VOID = {"meta", "img", "br", "line", "polyline"}
ODD = '<b>"dog" & 猫'  # what has a meaning in HTML, and what is not ASCII


class Checked(HTMLParser):
    """Collects tags, texts and attributes, and asserts that every tag is closed in order and every link leads here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert not self.open
        assert {link.removeprefix("#") for link in self.links} <= set(self.ids)
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


AUDITED = {"kind": "copies", "severity": "warn", "title": "40 copies of one picture", "names": ["c.png"],
           "action": "Remove them", "since": "a later version"}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder as `fit` leaves it, with a name and a label that need quoting."""
    folder = tmp_path / "a <run>"
    (folder / "samples").mkdir(parents=True)
    steps = range(1, 900)
    lines = [{"step": s, "seconds": s / 10, "critic": 0.7 - s / 9000, "generator": 0.8, "score": 40.0} for s in steps]
    lines[40]["critic"] = float("nan")
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "log.jsonl").write_text(text + '\n{"step": 900, "cri')
    (folder / "plan.jsonl").write_text(
        '{"step": 0, "fraction": 0.0, "steps": 800}\n{"step": 9, "fraction": 0.1, "steps": 900}\n'
    )
    recipe = {
        "version": 1, "source": "photos", "family": "gan", "config": {"width": 16}, "minutes": 3.0, "steps": None,
        "plan": {"batch": 64, "said": "Plan: width 16"},
        "findings": [AUDITED, {"odd": 1}, {**AUDITED, "severity": "x"}, 3],
        "data": {
            "items": 1234, "digest": "abc", "labels": {"label": ["cat", ODD]}, "skipped": 70, "warnings": ["odd"],
            "problems": [[f"broken{i}.png", "cut <short>"] for i in range(60)],
        },
    }  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(recipe))
    picture = Image.fromarray(np.zeros((8, 8), np.uint8))
    picture.save(folder / "samples" / "000000900.png")
    picture.save(folder / "film.gif")
    return folder


def figure(name: str, title: str, value: float | None, **more) -> Figure:
    """A figure of the sort that the more the better, with all that stands beside it."""
    beside = {"better": "higher", "low": 0.4, "high": 0.9, "floor": 0.95, "copies": 1.0, "baseline": 0.05, "ideal": 1.0}
    return Figure(name, title, value=value, **{**(beside if value is not None else {}), **more})


CLASSIFIER = "A classifier is right in 70 of 100 cases."


def measured() -> Measured:
    """What might be measured of a model: some figures have no value, some no interval, some labels are odd."""
    figures = [
        figure("density", "Clipped density", 0.83, says="About 83 of 100 samples look like real items."),
        figure("coverage", "Clipped coverage", 0.62, says="About 62 of 100 parts of the variety are there."),
        figure("class_accuracy", "Class accuracy", 0.91, baseline=0.93),
        Figure("two_sample", "Two-sample test", "lower", 0.7, 0.68, 0.72, 0.5, 0.5, 1.0, 0.5, CLASSIFIER),
        Figure("frechet", "Fréchet distance", "lower", 4.2, 3.9, 4.6, 0.4, 0.45, 310.0, 0.0),
        Figure("kernel_distance", "Kernel distance", "lower", -0.0002, floor=0.0, ideal=0.0),
        Figure("bits_per_dimension", "Bits per number", reason=f"the family has no likelihood {ODD}"),
        Figure("frechet_random", "Fréchet distance (random features)", "lower", 1.2, floor=0.2),
        figure("density", "Clipped density", 0.5, label=ODD),
        figure("density", "Clipped density", None, label="cat", reason="3 samples of this class"),
    ]
    copies = (
        Figure("copy_rate", "Copies", "lower", 0.004, 0.001, 0.01, 0.006, 1.0, says="4 of 1,000 samples are copies."),
        Figure("copy_rate", "Copies", "lower", 0.02, floor=0.01, label="sparsest tenth"),
    )
    near = Neighbours((0,), (5,), (0.1,), (None,), ("near",))
    found = [
        Finding("short", "warn", f"Trained too short {ODD}", "The loss fell", "Blur", "Use --minutes 20"),
        Finding("few", "note", "Few items", names=(ODD, "b.png"), count=30),
    ]
    return Measured(
        Verdict("usable with care", "Look at every sample.", (CLASSIFIER, figures[0].says), "The rule."),
        figures, Novelty(copies, near, "Nearer than a third."),
        [Damage("noise", "20 %", "density", {"density": 1.0, "frechet": 0.7}, ("density",)),
         Damage("blur", "a little", "frechet", {"density": 0.6, "frechet": 0.8}, ())],
        {"learned": {"seed": 0, "width": 64}}, {"made": 1000, "held_out": 123, "train": 1111}, {"seconds": 12.5},
        {}, found,
    )  # fmt: skip


@pytest.fixture
def full(run: Path) -> Report:
    """A report in which everything is there."""
    pictures = tuple(tiny().html(np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)))
    pairs = (
        Pair(3, ODD, f"dogs/{ODD}.png", 5, 0.1, None, "near", 7, False, (pictures[0], pictures[1])),
        Pair(4, None, "b.png", 6, 0.2, 1.5, "", 1, True, (pictures[2], pictures[3])),
    )
    about = {"samples": 1000, "seed": 0, "against": "held out", "command": "morelike report 'a <run>'"}
    shown = Pictures(pictures[:12], pictures[12:24], {ODD: pictures[24:32], "cat": pictures[32:]})
    return Report(run, measured(), about, [f"A note {ODD}"], pairs, shown)


def test_the_page_is_whole_and_needs_nothing_else(run: Path, full: Report) -> None:
    path = report.write(run, full)
    page = Checked(path.read_text(encoding="utf-8"))
    assert len(page.sources) == 45 and all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"https?://|<script|@import|url\(", path.read_text(encoding="utf-8"))
    kinds = [Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).format for source in page.sources]
    assert kinds.count("GIF") == 1 and kinds.count("PNG") == 44


def test_the_first_screen_says_whether_to_use_the_model(run: Path, full: Report) -> None:
    """Verdict, use, bars, what to do, real items beside samples come before every number that needs explaining."""
    page = report.page(run, full)
    order = ["photos → gan", "Usable with care", "Look at every sample.", "How real", "60 %", "could pass for real",
             "How varied", "62 %", "How new", "over 99 %", "As asked", "91 %", "What to do first", "--minutes 20",
             "Real", "Made", "<nav>", "Fréchet distance"]  # fmt: skip
    places = [page.index(html.escape(words) if words[0] != "<" else words) for words in order]
    assert places == sorted(places)
    assert page.count('<li class="here">usable with care') + page.count("<li class=here>usable with care") == 1


def test_every_word_of_a_verdict_has_a_tone_and_a_symbol() -> None:
    words = ["indistinguishable", "close", "usable with care", "poor", "collapsed", "copies", "unmeasured"]
    assert set(first.LOOKS) == set(words)
    for word in words:
        banner = first.banner(Verdict(word, "Use it so."), "", "a model")
        assert word.capitalize() in banner and f">{first.LOOKS[word][1]}<" in banner


def test_everything_that_was_measured_is_on_the_page_and_in_the_json(run: Path, full: Report) -> None:
    text, data = Checked(report.page(run, full)).text, as_dict(full)
    stored = json.dumps(data, ensure_ascii=False, allow_nan=False)
    told = """About 83 of 100|A classifier is right in 70|The rule.|Clipped coverage|Fréchet distance (random features)
        |Nearer than a third|4 of 1,000 samples|sparsest tenth|noise|a little|Trained too short|Few items|A note
        |40 copies of one picture|Remove them|3 samples of this class|the family has no likelihood|b.png
        |morelike report 'a <run>'|photos"""
    for part in map(str.strip, told.split("|")):
        assert part in text, part
        assert part in stored, part
    for part in ("✓ noticed", "✗ missed", "✗ near copy", "(7 times in the training set)"):
        assert part in text, part
    assert text.count(ODD) >= 6 and ODD.replace('"', '\\"') in stored


def test_the_json_is_versioned_and_its_numbers_are_finite_or_null(full: Report, tmp_path: Path) -> None:
    full.measured.cost = {"seconds": float("nan"), "folder": tmp_path, "count": np.int64(3), "list": [np.float32(0.5)]}
    path = full.save(tmp_path / "report.json")
    data = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert (data["format"], data["version"]) == ("morelike report", 1)
    assert data["cost"] == {"seconds": None, "folder": str(tmp_path), "count": 3, "list": [0.5]}
    density = data["figures"][0]
    assert (density["name"], density["value"], density["floor"], density["label"]) == ("density", 0.83, 0.95, None)
    assert data["novelty"]["neighbours"][0]["name"].startswith("dogs/") and "img" not in json.dumps(data)
    assert data["run"]["recipe"]["source"] == "photos" and len(data["run"]["log"]["critic"]["step"]) == curves.POINTS


def test_a_report_is_written_as_a_page_or_as_data(full: Report, tmp_path: Path) -> None:
    assert "<html" in full.save(tmp_path / "page.HTML").read_text(encoding="utf-8")
    with pytest.raises(OptionError, match="html or .json"):
        full.save(tmp_path / "page.pdf")
    assert full.figure("density").value == 0.83 and full.figure("density", ODD).value == 0.5
    assert full.figure("copy_rate").value == 0.004 and full.figure("nothing") is None


def test_a_page_can_have_forty_classes_and_no_picture(run: Path) -> None:
    names = [f"第{i}种 & <kind>" for i in range(40)]
    figures = [figure("density", "Clipped density", 0.5 + i / 100, label=name) for i, name in enumerate(names)]
    found = Measured(Verdict("close", "Use it."), figures, None)
    page = report.page(run, Report(run, found))
    assert Checked(page).text.count("第39种 & <kind>") == 1 and "40 rows" in page


@pytest.mark.parametrize("word", ["unmeasured", "collapsed"])
def test_what_could_not_be_measured_says_why(run: Path, word: str) -> None:
    why = "there are only 7 held-out items"
    figures = [Figure(name, name, "higher", reason=why) for name in ("density", "coverage", "class_accuracy")]
    found = Measured(Verdict(word, "Nobody can say."), figures, None, counts={"made": 100, "held_out": 7})
    text = Checked(report.page(run, Report(run, found))).text
    assert text.count(f"Not measured: {why}") == 3 and "nan" not in text.replace("nan ", "") and "None" not in text


def test_numbers_that_are_not_finite_never_reach_the_page(run: Path, full: Report) -> None:
    bad = [replace(one, floor=float("nan"), baseline=float("inf"), low=float("nan")) for one in full.measured.figures]
    bad.append(Figure("odd", "Odd", value=float("nan")))
    page = report.page(run, replace(full, measured=replace(full.measured, figures=bad)))
    Checked(page)
    assert not re.search(r"\b(nan|inf)\b", page) and "it is not a finite number" in page


def test_fit_leaves_a_page_that_says_how_to_measure(run: Path) -> None:
    began = time.perf_counter()
    page = Checked(report.write(run).read_text(encoding="utf-8"))
    assert time.perf_counter() - began < 1
    told = f"""photos → gan|Unmeasured|morelike report '{run}'|cat|{ODD}|Plan: width 16
        |changed once, from 800 to 900|odd|1,234|70 skipped|broken0.png|cut <short>|and 20 more|examples seen
        |57,536|--given label=cat|critic|generator|samples/000000900.png"""
    for part in map(str.strip, told.split("|")):
        assert part in page.text, part
    assert "digest" not in page.text and "broken55.png" not in page.text


def test_an_empty_folder_gives_a_page_too(tmp_path: Path) -> None:
    page = Checked(report.page(tmp_path))
    assert "morelike info" in page.text and "svg" not in page.tags


# --- scales


@pytest.mark.parametrize(("value", "at"), [(0.05, 0.0), (0.95, 1.0), (0.5, 0.5), (-0.4, -0.5)])
def test_a_place_is_between_trivial_and_real(value: float, at: float) -> None:
    assert scale.place(figure("density", "", 0.5), value) == pytest.approx(at)
    assert scale.place(Figure("f", "", "lower", 1.0), value) is None
    assert scale.place(figure("density", "", 0.5, floor=0.05), value) is None


def test_the_worst_answer_to_a_question_is_shown() -> None:
    """So that no measure that happens to be blind can make a model look better than it is."""
    real, varied = first.DIALS[:2]
    blind = figure("density", "Density", 0.95)
    classifier = Figure("two_sample", "Two-sample test", "lower", 0.9, 0.88, 0.92, 0.5, 0.5, 1.0)
    assert first.answer(real, [blind, classifier]) is classifier
    share = first.as_share(classifier)
    assert (share.value, share.low, share.high, share.floor) == pytest.approx((0.2, 0.16, 0.24, 1.0))
    other = replace(classifier, name="two_sample_random", value=0.97)
    assert first.answer(real, [blind, classifier, other]) is other
    lacking = Figure("missing", "Missing kinds", "lower", 0.25, floor=-0.1, baseline=0.95)
    assert first.answer(varied, [figure("coverage", "", 0.9), lacking]) is lacking
    assert first.as_share(lacking).value == 0.75 and first.as_share(lacking).floor == 1.0
    none = Figure("density", "Density", reason="too few")
    assert first.answer(real, [none, classifier]) is classifier and first.answer(real, [none]) is none
    assert first.answer(real, [replace(blind, label="cat")]) is None


def test_a_poor_model_without_a_known_fault_is_told_what_to_do_as_well() -> None:
    assert "Train it for longer" in first.urgent([], "poor") and first.urgent([], "close") == ""
    known = Finding("too_small", "note", "Too small", action="Try --size 32.")
    assert "--size 32" in first.urgent([known], "poor") and "longer" not in first.urgent([known], "poor")


def test_what_is_best_differs_from_bar_to_bar() -> None:
    copies = Figure("copy_rate", "", "lower", 0.5, floor=0.0, copies=1.0, baseline=0.0)
    assert scale.place(copies, 0.25) == 0.75 and scale.place(copies, 1.0) == 0.0
    new = first.as_share(copies)  # the same as a share of samples that are no copies
    assert new.value == 0.5 and scale.place(new, 0.75) == 0.75 and scale.place(new, 0.0) == 0.0
    asked = figure("class_accuracy", "", 0.9, floor=0.95, baseline=0.93)
    assert scale.place(asked, 0.9) == pytest.approx(0.9 / 0.95)
    assert scale.place(figure("density", "", 0.5, baseline=0.99), 0.5) is None  # trivial is better than real


def test_marks_keep_their_order_on_a_scale() -> None:
    for marks in ([0.1, 0.2, 0.9], [0.1, 4.2, 310.0], [-0.001, 0.0, 0.002, 9.0], [3.0, 3.0], [0.0]):
        across, logarithmic = scale.axis(marks)
        places = [across(mark) for mark in sorted(set(marks))]
        assert places == sorted(places) and len(set(places)) == len(places)
        assert all(scale.EDGE - 1e-6 <= at <= scale.WIDTH - scale.EDGE + 1e-6 for at in places)
        assert logarithmic == (9.0 in marks or 310.0 in marks)


def test_numbers_are_short_and_exact_enough() -> None:
    shown = {0.0: "0", 0.123456: "0.123", 0.1: "0.1", 4.2: "4.2", 98.76: "98.8", 1234.5: "1,234", 0.99951: "1",
             -0.00012345: "-0.000123", 1e-7: "1e-07"}  # fmt: skip
    assert {value: html.number(value) for value in shown} == shown
    shares = {
        0: "0 %",
        1e-4: "under 0.1 %",
        0.004: "0.4 %",
        0.083: "8 %",
        0.993: "99 %",
        0.996: "over 99 %",
        1: "100 %",
    }
    assert {share: html.percent(share) for share in shares} == shares
    assert html.number(None) == html.number(float("nan")) == "–"


# --- pictures and curves


def test_pictures_are_shown_as_they_are() -> None:
    items = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    fragments = tiny().html(items)
    for fragment, item in zip(fragments, items, strict=True):
        (source,) = Checked(fragment).sources
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))), item)
    assert 'width="80"' in fragments[0] and tiny().html(items[:0]) == []
    (large,) = tiny().html(np.zeros((1, 300, 600, 1), np.uint8))
    assert 'width="160" height="80"' in large and len(large) < 1000


def test_curves_of_one_scale_share_a_chart_and_have_a_legend(run: Path) -> None:
    drawn = curves.charts(folder.curves(list(folder.records(run / "log.jsonl"))))
    assert drawn.count("<svg") == 2
    first, second = drawn.split("</figure>")[:2]
    assert "score" in first and "critic" in second and "generator" in second
    assert drawn.count("<polyline") == 3 and "nan" not in drawn.lower().replace("nan ", "")


def test_a_curve_is_drawn_where_it_belongs() -> None:
    x, y = np.array([0.0, 50, 100]), np.array([0.0, 1.0, 0.0])
    points = re.search(r'points="([^"]+)"', curves.charts({"a": (x, y)})).group(1)  # type: ignore[union-attr]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert x0 == curves.LEFT and x2 == curves.WIDTH - curves.RIGHT and x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y0 == y2 > y1  # up is up


def test_long_curves_are_averaged_not_thinned() -> None:
    y = np.tile([0.0, 1.0], 5000)
    x, shown = curves.finite((np.arange(10_000.0), y))
    assert len(x) == curves.POINTS and np.abs(shown - 0.5).max() < 0.02


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0.61, 0.79, [0.65, 0.7, 0.75]), (0, 1276, [0, 500, 1000]), (-3, 3, [-2, 0, 2])],
)
def test_ticks_are_round(low, high, expected) -> None:
    assert curves.ticks(low, high) == pytest.approx(expected)


TONES = ("good", "fair", "bad", "none")


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.1)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_text_and_curves_stand_out_in_light_and_dark() -> None:
    """WCAG 2.1: 4.5 to 1 for text, 3 to 1 for lines."""
    schemes = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        assert len(colours) == 5 + curves.COLOURS + len(TONES)
        needed = {"ink": 4.5, "soft": 4.5, **dict.fromkeys(TONES, 4.5), **{f"c{i}": 3.0 for i in range(curves.COLOURS)}}
        for name, least in needed.items():
            for ground in ("page", "panel"):
                bright, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
                assert (bright + 0.05) / (dark + 0.05) >= least, (name, ground)


def test_the_documented_rule_is_the_one_that_is_applied() -> None:
    docs = Path(__file__).resolve().parents[1] / "docs" / "report.md"
    rule = re.search(r"\n\n((?:    .*\n)+)$", verdict.__doc__ or "")
    assert rule is not None
    lines = [line.removeprefix("    ") for line in rule.group(1).rstrip("\n").split("\n")]
    assert "\n".join(lines) in docs.read_text(encoding="utf-8")
