"""Columns learnt as what they are apart from others: round trips, what is known of either, what is left as it is."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike import rows
from morelike.codecs.table import Codec, Config
from morelike.core.errors import OptionError
from morelike.data.frame import Frame
from morelike.recipes import Request, fit
from morelike.run import Run

pl = pytest.importorskip("polars")
N, FIRST = 1_500, datetime.date(2021, 1, 4)
RNG = np.random.default_rng(0)
CAME = [FIRST + datetime.timedelta(int(day)) for day in RNG.integers(0, 900, N)]
STAYED = RNG.geometric(0.15, N) - 1
LEFT = [day + datetime.timedelta(int(n)) for day, n in zip(CAME, STAYED, strict=True)]


def fitted(**cells: object) -> tuple[Codec, np.ndarray]:
    frame = Frame(pl.DataFrame(cells, strict=False), "a frame")
    codec = Codec().fit(frame)
    return codec, codec.decode(torch.from_numpy(np.concatenate(list(codec.prepare_all(frame))).astype(np.int64)))


def stays() -> Codec:
    return fitted(
        came=[str(day) for day in CAME], left=[day.strftime("%d.%m.%Y") for day in LEFT], n=RNG.normal(size=N)
    )[0]


def test_dates_come_back_exactly_and_missing_ones_too() -> None:
    left = [None if i % 9 == 0 else day.strftime("%d.%m.%Y") for i, day in enumerate(LEFT)]
    codec, made = fitted(came=[str(day) for day in CAME], left=left, n=RNG.normal(size=N))
    assert [(one.of, one.to, one.unit) for one in codec.config.apart] == [(0, 1, 86_400)]
    assert codec.found[1].say(made[1, 1]) == left[1]
    assert made[:, 0].tolist() == CAME
    assert made[:, 1].tolist() == [None if i % 9 == 0 else day for i, day in enumerate(LEFT)]
    assert 'near: "left" is learnt as how many days it is from "came": 0 to' in codec.said


def test_moments_are_apart_by_what_all_differences_are_whole_multiples_of() -> None:
    came = [datetime.datetime(2022, 3, 1) + datetime.timedelta(minutes=int(m)) for m in RNG.integers(0, 400_000, N)]
    left = [one + datetime.timedelta(minutes=int(m)) for one, m in zip(came, RNG.integers(5, 45, N), strict=True)]
    paid = [one.date() + datetime.timedelta(int(days)) for one, days in zip(left, RNG.integers(1, 15, N), strict=True)]
    codec, made = fitted(came=came, left=left, paid=paid)
    assert [(one.of, one.to, one.unit) for one in codec.config.apart] == [(0, 1, 60), (1, 2, 86_400)]
    assert made[:, 0].tolist() == came and made[:, 1].tolist() == left
    assert [one.days for one in made[:, 2] - [one.date() for one in made[:, 1]]] == [
        (b - a.date()).days for a, b in zip(left, paid, strict=True)
    ]


def test_numbers_that_are_near_keep_their_difference() -> None:
    low = RNG.normal(100, 20, 3_000).round(2)
    gap = RNG.exponential(0.2, 3_000).round(2)
    codec, made = fitted(low=low, other=RNG.normal(size=3_000), high=(low + gap).round(2))
    assert [(one.of, one.to) for one in codec.config.apart] == [(0, 2)]
    apart = (made[:, 2] - made[:, 0]).astype(float).round(2)
    assert np.abs(np.sort(apart) - np.sort(gap)).max() < 0.1 * gap.max() and (apart >= 0).all()
    assert np.corrcoef(apart, gap)[0, 1] > 0.98  # groups of the numbers themselves are ten times as wide


def test_what_is_not_near_or_has_days_of_its_own_is_learnt_as_it_is() -> None:
    other = [FIRST + datetime.timedelta(int(n)) for n in RNG.integers(0, 900, N)]
    billed = [(day.replace(day=1) + datetime.timedelta(31)).replace(day=1) for day in CAME]
    codec, _ = fitted(came=CAME, other=other, billed=billed, n=RNG.normal(size=N))
    assert not codec.config.apart


def test_a_date_that_is_there_without_the_other_is_learnt_as_it_is() -> None:
    came = [None if i == 7 else day for i, day in enumerate(CAME)]
    assert not fitted(came=came, left=LEFT, n=RNG.normal(size=N))[0].config.apart


def test_what_is_given_settles_the_difference_or_leaves_it_open() -> None:
    codec = stays()
    place = codec.places[1]
    both = codec.known({"came": "2021-05-01", "left": "04.05.2021"})
    assert codec.aparts[1].column.decode(both[place][None].numpy(), np.zeros(1))[0] == 3
    assert (codec.known({"left": "04.05.2021"}) == -1).all()
    assert (codec.known({"came": "2021-05-01"})[place] == -1).all()
    with pytest.raises(OptionError, match='"left" is -30 days from "came"'):
        codec.known({"came": "2021-05-01", "left": "01.04.2021"})


def test_what_is_near_moves_along() -> None:
    codec = stays()
    day = datetime.date
    drawn = np.array([[day(2021, 6, 1), day(2021, 6, 8), 0.5]] * 3, object)
    known = np.full((3, 3), None, object)
    known[0, 0], known[1, 1], known[2, :2] = day(2022, 1, 1), day(2022, 1, 1), [day(2022, 1, 1), day(2022, 1, 3)]
    made, good = codec.joined_with(drawn, known, strict=True)
    assert made[0, :2].tolist() == [day(2022, 1, 1), day(2022, 1, 8)]
    assert made[1, :2].tolist() == [day(2021, 12, 25), day(2022, 1, 1)]
    assert made[2, :2].tolist() == [day(2022, 1, 1), day(2022, 1, 3)]
    assert good.all()
    known[2, 1] = day(2021, 1, 5)
    assert codec.joined_with(drawn, known, strict=True)[1].tolist() == [True, True, False]
    assert codec.joined_with(drawn, known, strict=False)[1].tolist() == [True, True, True]  # of rows as they are there


def test_nothing_is_drawn_beyond_what_was_seen_unless_it_is_near_what_is_given() -> None:
    codec = stays()
    last = max(LEFT)
    made = np.array([[last, last + datetime.timedelta(3), 0.0]], object)
    assert not codec.kept(made)[0]
    assert codec.kept(made, known=np.array([[True, False, False]]))[0]


def test_of_three_dates_each_is_near_the_one_before() -> None:
    asked = [day - datetime.timedelta(int(n)) for day, n in zip(CAME, RNG.integers(5, 40, N), strict=True)]
    codec, made = fitted(asked=asked, came=CAME, left=LEFT, n=RNG.normal(size=N))
    assert [(one.of, one.to) for one in codec.config.apart] == [(0, 1), (1, 2)]
    assert made[:, 2].tolist() == LEFT
    known = np.full((1, 4), None, object)
    known[0, 2] = datetime.date(2022, 5, 5)
    moved, _ = codec.joined_with(made[:1], known, strict=True)
    assert [b - a for a, b in zip(moved[0, :2], moved[0, 1:3], strict=True)] == [CAME[0] - asked[0], LEFT[0] - CAME[0]]


def test_a_run_fills_in_either_date_near_the_other(tmp_path: Path) -> None:
    ward = ["long" if n > 5 else "short" for n in STAYED]
    frame = pl.DataFrame({"came": CAME, "left": LEFT, "ward": ward})
    frame.write_csv(tmp_path / "stays.csv")
    *_, last = fit(Request(str(tmp_path / "stays.csv"), "circuit", steps=40, size="8", out=tmp_path / "run"))
    assert last.stage == "done"
    run = Run.load(tmp_path / "run")
    frame.drop("came").write_csv(tmp_path / "left.csv")
    made, filled = rows.filled(run, tmp_path / "left.csv")
    assert filled[:, 0].all() and not filled[:, 1:].any()
    days = np.array([(b - a).days for a, b in made[:, :2]])
    assert days.min() >= 0 and days.max() <= STAYED.max()
    short = made[:, 2] == "short"
    assert days[short].mean() + 3 < days[~short].mean()


def test_what_is_near_a_date_of_its_owner_is_learnt_so_wherever_that_stands() -> None:
    frame = Frame(pl.DataFrame({"left": LEFT, "other": ["a", "b"] * (N // 2), "p.came": CAME}), "a frame")
    codec = Codec(Config(owner="p.")).fit(frame)
    assert [(one.of, one.to) for one in codec.config.apart] == [(2, 0)]
    assert [(one.of, one.to) for one in Codec().fit(frame).config.apart] == [(0, 2)]  # nobody's: the later one
