"""Dates as cells: weekdays where they say as much as days of the month do, and what belongs to working days alone."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
import torch

from morelike.codecs._calendar import as_day
from morelike.codecs.table import Codec
from morelike.data.frame import Frame

pl = pytest.importorskip("polars")
N, FIRST = 2_000, datetime.date(2021, 1, 4)
RNG = np.random.default_rng(0)
ANY = [FIRST + datetime.timedelta(int(day)) for day in RNG.integers(0, 900, N)]
WORK = [day for day in ANY if day.isoweekday() < 6]


def fitted(**cells: list) -> tuple[Codec, np.ndarray, np.ndarray]:
    frame = Frame(pl.DataFrame(cells), "a frame")
    codec = Codec().fit(frame)
    x = np.concatenate(list(codec.prepare_all(frame))).astype(np.int64)
    return codec, x, codec.decode(torch.from_numpy(x))


def test_every_date_comes_back_by_its_weekday() -> None:
    codec, x, made = fitted(day=ANY)
    assert codec.found[0].weekly and codec.sizes[:4] == (3, 12, 7, 5)
    assert made[:, 0].tolist() == ANY
    assert (x[:, 2] == [day.isoweekday() - 1 for day in ANY]).all()
    moments = [datetime.datetime(day.year, day.month, day.day, i % 24, 7 * i % 60) for i, day in enumerate(ANY)]
    codec, _, made = fitted(at=[*moments, None])
    assert codec.found[0].weekly and made[:, 0].tolist() == [*moments, None]


@pytest.mark.parametrize(
    ("days", "weekly"),
    [
        pytest.param(WORK, True, id="no weekends"),
        pytest.param([day.replace(day=25) if i % 3 else day for i, day in enumerate(ANY)], False, id="paydays"),
        pytest.param([day.replace(day=1) for day in ANY], False, id="months"),
        pytest.param([FIRST + datetime.timedelta(i % 20) for i in range(N)], False, id="three weeks"),
        pytest.param(ANY[:40], False, id="few"),
    ],
)
def test_weekdays_are_cells_where_they_say_as_much_as_days_of_the_month(days: list, weekly: bool) -> None:
    codec, x, made = fitted(day=days, n=RNG.normal(size=len(days)).tolist())
    assert codec.found[0].weekly == weekly
    assert made[:, 0].tolist() == days


def test_nothing_is_made_on_days_on_which_nothing_was() -> None:
    codec, x, _ = fitted(day=WORK)
    mixed = np.stack([RNG.permutation(column) for column in x.T], 1)  # any year, month, weekday and week
    made = codec.decode(torch.from_numpy(mixed))[:, 0]
    assert all(day.isoweekday() < 6 and min(WORK) <= day <= max(WORK) for day in made)


def test_a_fifth_that_a_month_lacks_is_its_fourth() -> None:
    assert as_day((2023, 2, 3, 4, 9)) == (2023, 2, 22, 9)  # February 2023 has four Wednesdays
    assert as_day((2023, 3, 3, 4)) == (2023, 3, 29)


def test_dates_on_working_days_are_so_many_working_days_apart() -> None:
    sent = [np.busday_offset(day, 1 + i % 5).astype(object) for i, day in enumerate(WORK)]
    codec, x, made = fitted(ordered=WORK, sent=sent)
    assert codec.config.apart[0].working and 'how many working days it is from "ordered": 1 to 5' in codec.said
    assert made[:, 1].tolist() == sent
    assert set(x[:, codec.places[1]].ravel().tolist()) == set(range(5))
    known = [[datetime.date(2021, 5, 8), None], [None, datetime.date(2021, 5, 10)]]  # a Saturday, a Monday
    rows, _ = codec.joined_with(made[1:3], np.array(known, object), strict=True)
    assert rows[:, 0].tolist() == [datetime.date(2021, 5, 8), datetime.date(2021, 5, 5)]
    assert rows[:, 1].tolist() == [datetime.date(2021, 5, 12), datetime.date(2021, 5, 10)]
