"""Cells as people write them: what goes in comes out written in the same way, and what is made looks like it."""

from __future__ import annotations

import datetime
import random

import numpy as np
import pytest

pl = pytest.importorskip("polars")

from morelike.codecs._numerals import style_of  # noqa: E402
from morelike.codecs.table import Codec  # noqa: E402
from morelike.data.frame import Frame  # noqa: E402

DRAW = random.Random(0)
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(DRAW.randrange(900)) for _ in range(300)]


def codec_of(cells: list[str], kind: str) -> Codec:
    """A codec of a table with one column, which gives its cells back as they were, and makes none that is not so."""
    table = pl.DataFrame({"a": cells, "b": [str(i % 7) for i in range(len(cells))]})
    codec = Codec().fit(Frame(table, "a.csv"))
    assert codec.kinds[0] == kind, codec.said
    column = codec.found[0]
    rows = codec.natural_rows(Frame(table, "a.csv"), np.arange(len(cells)))
    assert [column.say(one) for one in rows[:, 0]] == cells
    return codec


def lakhs(number: int) -> str:
    head, last = f"{number}"[:-3], f"{number}"[-3:]
    while len(head) > 2:
        head, last = head[:-2], f"{head[-2:]},{last}"
    return f"{head},{last}" if head else last


@pytest.mark.parametrize(
    "write",
    [
        lambda x: f"₹{lakhs(int(x))}",
        lambda x: f"{lakhs(int(x))}.{int(x) % 100:02}",
        lambda x: f"$ ({x:,.2f})" if int(x) % 3 else f"$ {x:,.2f}",
        lambda x: repr(x) if int(x) % 3 else f"{x:.0f}",
    ],
)
def test_numbers_are_written_as_they_were(write) -> None:
    draw = random.Random(1)
    codec_of([write(10 ** draw.uniform(1, 8)) for _ in range(300)], "number")


def test_an_exponent_among_whole_numbers_is_a_whole_number() -> None:
    style = style_of(["100", "1e+05", "200000", "35"])
    assert (style.decimals, style.say(100000.0)) == (0, "100000")
    assert style_of(["1e-05", "0.5", "0.25"]).say(1e-05) == "1e-05"


def test_versions_are_no_numbers() -> None:
    codec = codec_of([f"1.{i % 13}" for i in range(300)], "category")
    assert "1.10" in codec.found[0].values and "1.1" in codec.found[0].values


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [(4 * 10**15, 5 * 10**15, "identifier"), (1_600_000_000_000, 1_700_000_000_000, "number")],
)
def test_long_whole_numbers_that_differ_name_things_unless_they_are_moments(first: int, last: int, kind: str) -> None:
    draw = random.Random(2)
    codec_of([str(draw.randrange(first, last)) for _ in range(300)], kind)


def test_made_identifiers_fit_into_64_bits() -> None:
    draw = random.Random(3)
    table = pl.DataFrame({"id": [draw.randrange(2**62, 2**63) for _ in range(300)], "b": [i % 7 for i in range(300)]})
    codec = Codec().fit(Frame(table, "a"))
    made = codec.renamed(codec.natural_rows(Frame(table, "a"), np.arange(300)))
    assert codec.framed(made)["id"].null_count() == 0 and len(set(made[:, 0])) == 300


@pytest.mark.parametrize(
    ("one", "other"),
    [("%Y-%m-%d", "%d/%m/%Y"), ("%m/%d/%Y", "%d.%m.%Y"), ("%d %b %Y", "%Y-%m-%d")],
)
def test_dates_in_two_formats_are_dates(one: str, other: str) -> None:
    cells = [day.strftime(one if i % 3 else other) for i, day in enumerate(DAYS)]
    codec = Codec().fit(Frame(pl.DataFrame({"a": cells, "b": [str(i % 7) for i in range(300)]}), "a.csv"))
    assert codec.kinds[0] == "date" and "two ways" in codec.said
    rows = codec.natural_rows(Frame(pl.DataFrame({"a": cells, "b": cells}), "a.csv"), np.arange(300))
    assert rows[:, 0].tolist() == DAYS
    told = [codec.found[0].say(day) for day in DAYS]
    same = sum(text == day.strftime(one) for text, day in zip(told, DAYS, strict=True))
    assert 0.5 < same / 300 < 0.8 and all(
        text in (d.strftime(one), d.strftime(other)) for text, d in zip(told, DAYS, strict=True)
    )


def test_midnights_without_a_clock_are_moments() -> None:
    moments = [datetime.datetime.combine(day, datetime.time(6 * (i % 4))) for i, day in enumerate(DAYS)]
    codec_of([str(one if one.hour else one.date()) for one in moments], "date")


def test_days_that_are_none_come_back_as_they_were() -> None:
    codec_of([str(day) if i % 9 else "0000-00-00" for i, day in enumerate(DAYS)], "date")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_moments_keep_summer_and_winter_of_their_zone(zone: str) -> None:
    zoneinfo = pytest.importorskip("zoneinfo")
    start, there = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), zoneinfo.ZoneInfo(zone)
    codec_of([(start + datetime.timedelta(hours=29 * i)).astimezone(there).isoformat() for i in range(300)], "date")
