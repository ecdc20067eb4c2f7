"""The report page: needs nothing but itself, tells what the run folder holds, and is legible in both colour schemes."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.measure import curves, report
from morelike.measure.style import STYLE

VOID = {"meta", "img", "br", "line", "polyline"}


class Checked(HTMLParser):
    """Collects tags, texts and attributes, and asserts that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


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
        "data": {
            "items": 1234, "digest": "abc", "labels": {"label": ["cat", "<b>dog"]}, "skipped": 70, "warnings": ["odd"],
            "problems": [[f"broken{i}.png", "cut <short>"] for i in range(60)],
        },
    }  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(recipe))
    picture = Image.fromarray(np.zeros((8, 8), np.uint8))
    picture.save(folder / "samples" / "000000900.png")
    picture.save(folder / "film.gif")
    return folder


class Drawn:
    """Stands for a loaded run: its sheets are one grey picture for each label."""

    shades = {"cat": 50, "<b>dog": 200}

    def sample(self, n: int, *, seed: int, given: dict[str, str]) -> Drawn:
        self.shade = self.shades[given["label"]]
        return self

    def sheet(self) -> Image.Image:
        return Image.fromarray(np.full((4, 4), self.shade, np.uint8))


def test_the_page_is_whole_and_needs_nothing_else(run: Path) -> None:
    path = report.write(run, Drawn())
    page = Checked(path.read_text(encoding="utf-8"))
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"https?://|<script|@import|url\(", path.read_text(encoding="utf-8"))
    pictures = [Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) for source in page.sources]
    assert [np.asarray(picture).ravel()[0] for picture in pictures[:2]] == [50, 200]
    assert pictures[2].format == "GIF"


def test_the_page_tells_what_was_asked_and_what_happened(run: Path) -> None:
    text = " ".join(Checked(report.page(run, Drawn())).texts)
    told = """photos → gan|cat|<b>dog|Plan: width 16|changed once, from 800 to 900|odd|1,234|70 skipped|broken0.png
        |cut <short>|and 20 more|examples seen|57,536|--given label=cat|critic|generator"""
    for part in told.split("|"):
        part = part.strip()
        assert part in text, part
    assert "digest" not in text and "broken55.png" not in text


def test_without_a_loaded_run_the_newest_sheet_is_shown(run: Path) -> None:
    assert "samples/000000900.png" in report.page(run)


def test_an_empty_folder_gives_a_page_too(tmp_path: Path) -> None:
    page = Checked(report.page(tmp_path))
    assert "morelike info" in " ".join(page.texts)
    assert "svg" not in page.tags


def test_curves_of_one_scale_share_a_chart_and_have_a_legend(run: Path) -> None:
    drawn = curves.charts(report.curves(list(report.records(run / "log.jsonl"))))
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
        assert len(colours) == 5 + curves.COLOURS
        for name, least in {"ink": 4.5, "soft": 4.5, **{f"c{i}": 3.0 for i in range(curves.COLOURS)}}.items():
            for ground in ("page", "panel"):
                bright, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
                assert (bright + 0.05) / (dark + 0.05) >= least, (name, ground)
