"""Words that mostly are those of another column: found, learnt as whether they are, given, and filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs.table import Codec, Config
from morelike.core.errors import OptionError
from morelike.data.frame import Frame
from morelike.recipes import Request, fit
from morelike.rows import filled
from morelike.run import Run

pl = pytest.importorskip("polars")

from morelike.codecs._same import agreement  # noqa: E402

N = 1_200


def orders(share: float = 0.8) -> pl.DataFrame:
    """Towns of a bill and of a delivery, which are the same in so many rows; of others the fee is higher."""
    rng = np.random.default_rng(0)
    bill, other = (np.minimum(rng.exponential(6, N).astype(int), 29) for _ in range(2))
    ship = np.where(rng.random(N) < share, bill, other)
    say = [f"town {one}" for one in range(30)]
    yes = [rng.choice(["yes", "no", "maybe"], N, p=[0.9, 0.07, 0.03]).tolist() for _ in range(2)]
    ship_to = [None if place % 50 == 0 else say[one] for place, one in enumerate(ship)]
    return pl.DataFrame({"bill": [say[one] for one in bill], "ship": ship_to, "gift": yes[0], "insured": yes[1],
                         "fee": (5 + 20 * (ship != bill) + rng.random(N)).round(2)})  # fmt: skip


def test_agreement_is_that_beyond_chance() -> None:
    same = pl.Series(["a", "b", "a", "b"])
    assert agreement(same, same) == pytest.approx(1) and agreement(same, pl.Series(["b", "a", "b", "a"])) == -1
    assert (
        agreement(same, pl.Series(["a", "b", "b", "a"])) == 0
        and agreement(same, pl.Series([None] * 4, dtype=pl.String)) == 0
    )


def test_what_mostly_is_the_same_is_learnt_so_and_comes_back() -> None:
    frame = orders()
    codec = Codec().fit(Frame(frame, "orders"))
    assert [(one.of, one.to, one.same) for one in codec.config.apart] == [(0, 1, True)]  # not gift and insured
    assert 'near: "ship" is learnt as whether it is the same as "bill"' in codec.said
    cells = torch.from_numpy(np.concatenate(list(codec.prepare_all(Frame(frame, "orders")))).astype(np.int64))
    made, rare = codec.decode(cells)[:, 1], {*codec.config.apart[0].column.rare, *codec.found[0].rare}
    kept = [place for place, town in enumerate(frame["ship"].to_list()) if town not in rare]
    assert len(kept) > 0.9 * N and made[kept].tolist() == frame["ship"][kept].to_list()
    assert Codec().fit(Frame(orders(0.2), "orders")).config.apart == ()


def test_columns_are_told_to_be_near() -> None:
    frame = orders(0.55).rename({"bill": "a=b", "ship": "c,d"})
    assert Codec(Config(near="c,d=a=b")).fit(Frame(frame, "orders")).config.apart[0].same
    with pytest.raises(OptionError, match='near is "c,d=fe"') as fault:
        Codec(Config(near="c,d=fe")).fit(Frame(frame, "orders"))
    assert "COLUMN=COLUMN" in fault.value.expected


def test_what_is_the_same_follows_what_is_given(tmp_path: Path) -> None:
    source = tmp_path / "orders.csv"
    orders().write_csv(source)
    list(fit(Request(str(source), "circuit", steps=30, out=tmp_path / "run", settings={"width": "8"})))
    run = Run.load(tmp_path / "run")
    made = run.sample(300, given={"bill": "town 2"}).array
    assert set(made[:, 0]) == {"town 2"} and 0.7 < np.mean(made[:, 1] == "town 2") < 0.95
    back = run.sample(100, given={"ship": "town 2"}).array
    assert set(back[:, 1]) == {"town 2"} and np.mean(back[:, 0] == "town 2") > 0.6
    both = run.sample(50, given={"bill": "town 1", "ship": "town 1"}).array
    assert np.median(both[:, 4].astype(float)) < 10
    holes = pl.read_csv(source).head(40).with_columns(pl.lit(None, pl.String).alias("ship"))
    holes.write_csv(tmp_path / "holes.csv")
    rows, where = filled(run, str(tmp_path / "holes.csv"))
    assert where[:, 1].all() and np.mean(rows[:, 1] == rows[:, 0]) > 0.5
