"""The page of draws: complete in itself, true to the verdict, and not upset by odd draws."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from test_mcmc_diagnostics import ar
from test_mcmc_verdict import CHAINS, good

from morelike.measure.chains import plots
from morelike.measure.chains.page import page, write
from morelike.samplers.mcmc.draws import as_draws

VOID = {"meta", "path", "rect", "br", "img"}


class Balance(HTMLParser):
    """Fails on a tag that is closed without having been opened, or the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in VOID or self.open.pop() == tag


def checked(text: str) -> str:
    parser = Balance()
    parser.feed(text)
    assert parser.open == [] and "<script" not in text
    assert not re.search(r"(href|src)=|url\(|http", text), "the page needs nothing else"
    shown = "".join(re.findall(r"<svg.*?</svg>|<td.*?</td>", text, re.S))
    assert "nan" not in shown.lower() and "inf" not in shown.lower()
    return text


def test_the_page_of_good_draws() -> None:
    stats = {"energy": good(3, 0.0), "accept": np.full((4, 1000), 0.9), "evals": np.full((4, 1000), 7)}
    text = checked(page(as_draws({"mu": good(), "theta": ar(0.2, draws=1000)}, stats, kernel="nuts", seconds=65)))
    assert "Use them" in text and "What was found" not in text and text.count('class="one-number"') == 4
    assert "1 min 05 s" in text and "28,000" in text and "BFMI" in text and "0.9" in text
    assert len(text) < 130_000


def test_the_page_of_bad_draws_shows_why() -> None:
    flags = np.random.default_rng(0).random((4, 1000)) < 0.004
    draws = as_draws({"ok": good(), "tau<b>": good(1) + 4 * (CHAINS == 2)}, {"diverging": flags}, kernel="hmc")
    text = checked(page(draws, "A & B"))
    assert "Do not use" in text and "A &amp; B" in text and "tau&lt;b&gt;" in text and "tau<b>" not in text
    assert text.index("Chain 2 lies elsewhere") < text.index("lost (divergences)") < text.index("The numbers")
    tones = re.findall(r'class="one-number"><h3 class="(\w+)"', text)
    assert tones == ["bad", "fair"], "the worst comes first"
    assert f"after a lost trajectory ({int(flags.sum())})" in text and 'class="dot lost"' in text


@pytest.mark.parametrize("case", ["one chain", "many chains", "nan", "still", "constant", "few", "many numbers"])
def test_odd_draws_do_not_upset_the_page(case: str) -> None:
    x = np.stack([good(), good(1)], 2)
    if case == "one chain":
        x = x[:1]
    elif case == "many chains":
        x = ar(0.2, chains=50, draws=60, size=2)
        x[31] += 5
    elif case == "nan":
        x[1, 5, 0] = np.nan
    elif case == "still":
        x[:] = x[:, :1]
    elif case == "constant":
        x[..., 1] = 3
    elif case == "few":
        x = x[:, :3]
    else:
        x = ar(0.2, draws=100, size=300)
    text = checked(page(as_draws({"x": x}, {"energy": x[..., 0] * np.nan}, kernel="nuts")))
    if case == "many chains":
        assert "chain 31" in text and "6 of 50 chains are drawn" in text
    if case == "many numbers":
        assert "All 300 rows" in text and text.count('class="one-number"') == 6


def test_the_page_is_written_whole(tmp_path: Path) -> None:
    draws = as_draws({"x": good()})
    path = write(draws, tmp_path / "new" / "report.html", "Mine")
    assert path.read_text(encoding="utf-8") == page(draws, "Mine") and len(list(path.parent.iterdir())) == 1


def test_ranks_are_counted_per_chain() -> None:
    """Chain 1 holds the whole upper half: its line is at nothing in the first ten bins."""
    x = np.stack([np.arange(200.0), 1000 + np.arange(200.0)])
    low, high = re.findall(r'<path class="curve c\d" d="M\d+ (\d+)l([^"]*)"', plots.ranks(x))
    steps = [int(pair[1]) for pair in re.findall(r"(\d+)\s?(-?\d+)", high[1])]
    assert int(low[0]) < int(high[0]) and sum(steps[:18]) == 0 and steps[19] == int(low[0]) - int(high[0])


def test_a_density_integrates_to_one_and_follows_the_draws() -> None:
    x = np.random.default_rng(0).normal(2, 3, 4000)
    grid = np.linspace(-12, 16, 200)
    found = plots.smooth(x, grid)
    assert found.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.01)
    truth = np.exp(-(((grid - 2) / 3) ** 2) / 2) / (3 * np.sqrt(2 * np.pi))
    assert np.abs(found - truth).max() < 0.1 * truth.max()


def test_wide_positive_numbers_get_logarithmic_axes() -> None:
    x = np.exp(2 * good())
    assert plots.spread(x)[1] and not plots.spread(good())[1] and not plots.spread(5 + 0.1 * good())[1]
    labels = [text for _, text in plots.marks((np.log(0.02), np.log(30)), True)]
    assert labels == ["0.1", "1", "10"]
