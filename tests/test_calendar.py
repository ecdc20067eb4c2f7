"""Dates as cells: weekdays where they say as much as days of the month do, and what belongs to working days alone."""

from __future__ import annotations

import calendar
import datetime
import warnings
from collections.abc import Callable

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


def test_parts_of_a_second_are_made_only_where_some_were() -> None:
    for fraction, whole in (("000000", True), ("250000", False)):
        at = [f"{day}T{i % 24:02}:07:08.{fraction if i % 2 else '000000'}" for i, day in enumerate(ANY)]
        codec, x, made = fitted(at=at)
        assert all(one.microsecond == 0 for one in made[:, 0]) == whole
        assert codec.found[0].say(made[0, 0])[:20] == at[0][:20]


# --- what follows from dates -----------------------------------------------------------------------------------------

CAME = [datetime.datetime(day.year, day.month, day.day, i % 24, 7 * i % 60) for i, day in enumerate(ANY)]
LEFT = [one + datetime.timedelta(minutes=int(n)) for one, n in zip(CAME, RNG.gamma(2, 3_000, N), strict=True)]
BORN = [datetime.date(1940, 1, 1) + datetime.timedelta(int(day)) for day in RNG.integers(0, 25_000, N)]
TODAY = datetime.date(2025, 6, 30)


def years(a: datetime.date, b: datetime.date) -> int:
    return b.year - a.year - ((b.month, b.day) < (a.month, a.day))


def months(a: datetime.date, b: datetime.date) -> int:
    return 12 * (b.year - a.year) + b.month - a.month - (b.day < a.day)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        pytest.param(lambda born, a, b: a.date(), 'is the day of "came"', id="day"),
        pytest.param(lambda born, a, b: a.date().replace(day=1), 'is the month of "came"', id="first of the month"),
        pytest.param(lambda born, a, b: a.year, 'follows from the year of "came"', id="year"),
        pytest.param(lambda born, a, b: a.strftime("%B"), 'follows from the month of "came"', id="month"),
        pytest.param(lambda born, a, b: f"Q{(a.month + 2) // 3}", 'follows from the month of "came"', id="quarter"),
        pytest.param(lambda born, a, b: a.strftime("%A"), 'follows from the weekday of "came"', id="weekday"),
        pytest.param(lambda born, a, b: a.isoweekday() % 7, 'follows from the weekday of "came"', id="Sunday is 0"),
        pytest.param(lambda born, a, b: a.weekday() > 4, 'follows from the weekday of "came"', id="weekend"),
        pytest.param(lambda born, a, b: "day" if 7 < a.hour < 20 else "night", 'follows from the hour of "came"',
                     id="shift"),
        pytest.param(lambda born, a, b: (b.date() - a.date()).days, '= days from "came" to "left"', id="nights"),
        pytest.param(lambda born, a, b: (b.date() - a.date()).days + 1, '= days from "came" to "left" + 1', id="days"),
        pytest.param(lambda born, a, b: round((b - a).total_seconds() / 86_400, 2),
                     '= exact days from "came" to "left"', id="stay"),
        pytest.param(lambda born, a, b: int((b - a).total_seconds() // 3_600),
                     '= full hours from "came" to "left"', id="hours"),
        pytest.param(lambda born, a, b: years(born, a.date()), '= years from "born" to "came"', id="age"),
        pytest.param(lambda born, a, b: months(born, a.date()), '= months from "born" to "came"', id="age in months"),
        pytest.param(lambda born, a, b: years(born, TODAY), '= years from "born" to 2025', id="age today"),
        pytest.param(lambda born, a, b: (TODAY - a.date()).days, '= days from "came" to 2025-06-30', id="days since"),
    ],
)  # fmt: skip
def test_what_follows_from_dates_is_worked_out(made: Callable, said: str) -> None:
    cells = [made(*row) for row in zip(BORN, CAME, LEFT, strict=True)]
    codec, x, _ = fitted(born=BORN, came=CAME, left=LEFT, it=cells)
    rule = next(rule for rule in codec.config.kept if rule.to == 3 and rule.derives)
    assert rule.said.startswith(f'"it" {said}') and 3 not in codec.places
    rows = codec.decode(torch.from_numpy(np.stack([RNG.permutation(column) for column in x.T], 1)))
    rows = rows[codec.kept(rows)]
    assert len(rows) > N / 3
    if "exact" in said:  # where the third decimal is a five, one of both may be rounded up
        assert np.abs([made(*row[:3]) - row[3] for row in rows]).max() < 0.011
    else:
        assert [made(*row[:3]) for row in rows] == rows[:, 3].tolist()


def test_what_is_known_of_a_part_settles_cells_of_its_date() -> None:
    codec, _, made = fitted(
        came=CAME, day=[one.date() for one in CAME], year=[one.year for one in CAME],
        month=[one.strftime("%b") for one in CAME], weekday=[one.strftime("%a") for one in CAME],
        shift=["day" if 7 < one.hour < 20 else "night" for one in CAME],
    )  # fmt: skip
    assert set(codec.places) == {0}
    assert codec.known({"year": "2022"}).tolist()[:5] == [1, -1, -1, -1, -1]
    assert codec.known({"month": "Mar", "weekday": "Sun"}).tolist()[:5] == [-1, 2, 6, -1, -1]
    assert codec.known({"day": "2022-05-09"}).tolist()[:5] == [1, 4, 0, 1, -1]  # the second Monday of May
    assert (codec.known({"shift": "night"}) == -1).all()  # several hours
    rows = np.full((2, 6), None, object)
    rows[0, 2], rows[1, 4] = 2022, "Tue"
    cells = codec.led_back(torch.full((2, *codec.shape), -1), rows)
    assert cells[:, :3].tolist() == [[1, -1, -1], [-1, -1, 1]]
    known = np.full((1, 6), None, object)
    known[0, 1] = datetime.date(2022, 5, 9)
    joined, good = codec.joined_with(made[:1], known, strict=True)
    assert joined[0, :3].tolist() == [CAME[0].replace(year=2022, month=5, day=9), known[0, 1], 2022] and good[0]


def test_what_only_looks_like_a_part_of_a_date_is_none() -> None:
    codec, _, _ = fitted(day=ANY, n=RNG.integers(1, 8, N).tolist(), kind=["a", "b"] * (N // 2))
    assert not codec.config.kept
    codec, _, _ = fitted(day=[None if i % 3 == 0 else day for i, day in enumerate(ANY)], year=[day.year for day in ANY])
    assert not codec.config.kept  # the year is there where the date is not
    day = [None if i % 3 == 0 else day for i, day in enumerate(ANY)]
    codec, _, made = fitted(day=day, year=[day and day.year for day in day])
    assert [rule.kind for rule in codec.config.kept] == ["part"]
    assert made[:, 1].tolist() == [day and day.year for day in day]


def test_times_of_day_are_so_many_minutes_apart_and_end_where_they_did() -> None:
    start = [datetime.time(8 + i % 7, 15 * (i // 7 % 4)) for i in range(N)]
    minutes = RNG.choice([30, 45, 60, 90], N)
    end = [(datetime.datetime.combine(FIRST, one) + datetime.timedelta(minutes=int(m))).time()
           for one, m in zip(start, minutes, strict=True)]  # fmt: skip
    cells = {"start": [f"{one:%H:%M}" for one in start], "end": [f"{one:%H:%M}" for one in end], "m": minutes.tolist()}
    codec, x, made = fitted(**cells)
    assert [rule.said for rule in codec.config.kept][:1] == ['"end" is "m" minutes after "start"']
    alone, _, again = fitted(start=cells["start"], end=cells["end"])
    assert [(one.of, one.to, one.unit) for one in alone.config.apart] == [(0, 1, 60)]
    assert again.tolist() == made[:, :2].tolist()
    assert made[:, 0].tolist() == start and made[:, 1].tolist() == end and made[:, 2].tolist() == minutes.tolist()
    mixed = np.stack([RNG.permutation(column) for column in x.T], 1)
    made = codec.decode(torch.from_numpy(mixed))
    made = made[codec.kept(made)]
    assert len(made) > N / 2 and max(made[:, 1]) == max(end) and max(made[:, 0]) <= max(start)


def _months_later(a: datetime.date, n: int, day: int) -> datetime.date:
    year, month = divmod(12 * a.year + a.month - 1 + n, 12)
    return datetime.date(year, month + 1, min(day, calendar.monthrange(year, month + 1)[1]))


@pytest.mark.parametrize(
    ("later", "said", "back"),
    [
        pytest.param(lambda a, n: a + datetime.timedelta(n), '"n" days after', 0, id="days"),
        pytest.param(lambda a, n: a + datetime.timedelta(n - 1), '"n" - 1 days after', 0, id="both days count"),
        pytest.param(lambda a, n: a + datetime.timedelta(7 * n), '"n" weeks after', 0, id="weeks"),
        pytest.param(lambda a, n: _months_later(a, n, a.day), '"n" months after', 3, id="months"),
        pytest.param(lambda a, n: _months_later(a, n, 1), "on the first", 0, id="on the first"),
        pytest.param(lambda a, n: _months_later(a, n, 31), "on the last", 0, id="on the last"),
        pytest.param(lambda a, n: np.busday_offset(a, n).astype(object), "working days", 0, id="working days"),
    ],
)
def test_a_date_that_is_so_much_later_is_worked_out_and_what_leads_to_it(later: Callable, said: str, back: int) -> None:
    number = RNG.choice([6, 12, 24, 36], len(WORK))
    due = [later(day, int(n)) for day, n in zip(WORK, number, strict=True)]
    codec, x, _ = fitted(paid=WORK, n=number.tolist(), due=due, v=RNG.normal(size=len(WORK)).tolist())
    rule = next(rule for rule in codec.config.kept if rule.derives)
    assert (
        (rule.kind, rule.to) == ("later", 2)
        and said.replace("months ", '"months" ', 1) in rule.said
        or said in rule.said
    )
    assert not codec.config.apart and set(codec.places) == {0, 1, 3}
    rows = codec.decode(torch.from_numpy(np.stack([RNG.permutation(column) for column in x.T], 1)))
    assert all(later(paid, n) == one for paid, n, one in rows[:, :3])
    known = np.full((3, 4), None, object)
    known[0, :3:2], known[1, 1:3], known[2, 2] = [WORK[0], due[0]], [int(number[1]), due[1]], due[2]
    joined, good = codec.joined_with(rows[:3], known, strict=True)
    assert joined[0, 1] == number[0] and all(later(*row[:2]) == row[2] for row in joined[good])
    assert abs((joined[1, 0] - WORK[1]).days) <= (31 if "on the" in said else back)  # its day is open


def test_numbers_that_are_no_times_are_no_matter() -> None:
    large = {"id": [10**12 + 7 * i for i in range(N)], "x": [1e300 * one for one in RNG.normal(size=N)],
             "y": [1e300 * one for one in RNG.normal(size=N)], "none": [None] * N}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codec, _, made = fitted(came=CAME, left=LEFT, **large)
    assert not any(rule.derives for rule in codec.config.kept) and made.shape == (N, 6)
