"""Rows of one owner: visits of patients and bookings of accounts, learnt given those before since 2026-11-30.

    python bench/table_siblings.py --keep OUT --minutes 1 [--owners 700]

Two tables of its own making, of which the law is known. Visits: a patient's sex and date of birth, from 1 to 8 visits a
few weeks apart, a weight that stays within a kilogram of the patient's own, a blood pressure by age. Bookings: accounts
with a salary of their own, a kind of shop that they prefer, and a balance that each booking moves. `alone` is the same
with nothing remembered, as all linked tables were learnt before: rows of one owner are independent given its columns.
As many owners are drawn as there are; `real` are others of the same law. Figures: spread of the weight within a
patient; rows whose date is before that of the row before; balances that are not the one before and the amount; the
report's figure of rows of one owner (how alike they are, column by column, 1 for as alike as real ones).

Expected: ours has no date out of order and no wrong balance, the spread of weights is within a half of 0.96 kg (10 kg
alone), and rows of one owner are as alike as real ones to 0.93 or more (alone 0.7 or less).
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

import numpy as np
from machine import Watch, table, tell, verdict
from table_contestants import spent

ALONE = "from morelike.linked import memory; memory.PAIRS = 10**9; from morelike.cli import main; main()"
SHOPS = ("rent", "food", "cash", "card")


def visits(path: Path, owners: int, seed: int) -> Path:
    """A table of visits, in order of the patients."""
    rng, rows = np.random.default_rng(seed), list[dict[str, Any]]()
    for number in range(owners):
        sex, born = rng.choice(["F", "M"]), datetime.date(1940, 1, 1) + datetime.timedelta(int(rng.integers(0, 20_000)))
        own, day = (82 if sex == "M" else 66) + 9 * rng.normal(), datetime.date(2022, 1, 3)
        day += datetime.timedelta(int(rng.integers(0, 600)))
        for _ in range(min(8, 1 + rng.poisson(2.5))):
            rows.append({"visit": len(rows) + 1, "patient_id": f"P{1000 + 7 * number}", "sex": sex, "born": str(born),
                         "date": str(day), "weight": f"{own + rng.normal():.1f}",
                         "systolic": int(120 + 0.3 * (2022 - born.year) + 9 * rng.normal())})  # fmt: skip
            day += datetime.timedelta(int(rng.gamma(2, 20)) + 1)
    return _kept(rows, path)


def bookings(path: Path, owners: int, seed: int) -> Path:
    """A table of bookings, in order of their days."""
    rng, rows = np.random.default_rng(seed), list[dict[str, Any]]()
    for number in range(owners):
        salary, likes = rng.lognormal(7.6, 0.35), rng.dirichlet([0.4] * 4)
        balance, day = float(rng.lognormal(6.5, 1)), datetime.date(2021, 1, 1)
        day += datetime.timedelta(int(rng.integers(0, 500)))
        for turn in range(3 + rng.poisson(9)):
            kind = SHOPS[rng.choice(4, p=likes)] if turn % 6 else "salary"
            low = {"rent": 6.5, "food": 3.5, "cash": 4.3, "card": 4.0}
            amount = -rng.lognormal(low[kind], 0.4) if turn % 6 else salary * rng.normal(1, 0.02)
            balance, day = round(balance + round(amount, 2), 2), day + datetime.timedelta(int(rng.gamma(1.5, 5)) + 1)
            rows.append({"account": f"A{10_000 + 13 * number}", "date": str(day), "kind": kind,
                         "amount": f"{amount:.2f}", "balance": f"{balance:.2f}"})  # fmt: skip
    return _kept(sorted(rows, key=lambda row: row["date"]), path)


def _kept(rows: list[dict[str, Any]], path: Path) -> Path:
    import polars

    polars.DataFrame(rows).write_csv(path)
    return path


def looked_at(path: Path, owner: str) -> dict[str, float]:
    """Dates out of order, spread of weights, wrong balances."""
    import polars

    rows = polars.read_csv(path, try_parse_dates=True)
    both = rows.with_columns(polars.all().shift(1).over(owner).name.suffix(" before"))
    both = both.filter(polars.col("date before").is_not_null())
    found = {"disorder": float((both["date"] < both["date before"]).mean() or 0.0)}  # type: ignore[arg-type]
    if "weight" in rows.columns:
        spread = rows.group_by(owner).agg(polars.col("weight").std()).drop_nulls()["weight"]
        return found | {"spread": float(np.sqrt(np.mean(spread.to_numpy() ** 2)))}
    off = (both["balance before"] + both["amount"] - both["balance"]).abs()
    return found | {"wrong": float((off > 0.006).mean() or 0.0)}  # type: ignore[arg-type]


def ours(source: Path, owner: str, place: Path, given: argparse.Namespace, alone: bool) -> dict[str, float]:
    """What is made of a run, and how alike rows of one owner are in it."""
    from morelike.linked.drawing import Linked
    from morelike.linked.judging import together

    call, made = ("-c", ALONE) if alone else ("-m", "morelike"), place.with_suffix(".csv")
    spent(*call, "fit", source, "--link", owner, "--minutes", f"{given.minutes:g}", "--out", place)
    spent("-m", "morelike", "sample", place, "-n", given.owners, "--out", made)
    run = Linked.load(place)
    (figure,) = [one for one in together(run, run.manifest.pair(), 0) if one.name == "siblings"]
    return {**looked_at(made, owner), "alike": figure.value or 0.0, "floor": figure.floor or 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, required=True, help="folder for tables, runs and samples; a new one")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--owners", type=int, default=700)
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    watch, good = Watch(), True
    for name, make, owner in (("visits", visits, "patient_id"), ("bookings", bookings, "account")):
        source = make(given.keep / f"{name}.csv", given.owners, 0)
        found = {"real": looked_at(make(given.keep / f"{name}-other.csv", given.owners, 1), owner)}
        for who in ("ours", "alone"):
            found[who] = ours(source, owner, given.keep / f"{name}-{who}", given, who == "alone")
        for who, one in found.items():
            tell("table_siblings", table=name, who=who, owners=given.owners, others=watch.others(), **one)
        table(["", *found["ours"]], [[who, *(one.get(key, "") for key in found["ours"])] for who, one in found.items()])
        one = found["ours"]
        good &= not one["disorder"] and not one.get("wrong", 0) and one.get("spread", 1) < 1.5 and one["alike"] >= 0.93
    print(f"rows of one owner go on from each other as real ones do: {verdict(bool(good))}", flush=True)


if __name__ == "__main__":
    main()
