"""Dates that belong together: stays in a hospital, learnt as they are since 2026-11-30, beside dates learnt one by one.

    python bench/table_dates.py --keep OUT --minutes 1 [--clean] [--rows 1500]

A table of its own making, of which the law is known: a day of admission (none on a Sunday, half as many on Saturdays),
its weekday, a ward, a date of birth, the age, the day of discharge by a gamma law of the ward, nights, and a bill that
hangs on them. `alone` is the same run with `--set rules=false`, which learns each column by itself as other tools do.
As much is drawn as there are rows; `real` are other rows of the same law. Figures: mean nights of each ward; rows that
contradict themselves (discharged before admitted, or weekday, age or nights that do not follow); admissions on a
Sunday; the report's two-sample score by trees and coverage.

Expected: ours contradicts itself nowhere and has no Sunday, the nights of both large wards are within a tenth, those of
the small one within a half, and coverage is above .95; alone contradicts itself in nearly every row.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import Watch, table, tell, verdict
from table_contestants import CLEAN, spent

WARDS = {"surgery": (4.0, 60), "medicine": (6.0, 70), "maternity": (1.5, 30)}  # scale of nights; age


def written(path: Path, rows: int, seed: int) -> Path:
    """A table of stays."""
    import polars

    draw, made = np.random.default_rng(seed), list[dict[str, Any]]()
    while len(made) < rows:
        came = datetime.date(2021, 1, 1) + datetime.timedelta(int(draw.integers(0, 1_200)))
        if draw.random() < {6: 1.0, 5: 0.5}.get(came.weekday(), 0.0):
            continue
        ward = str(draw.choice(list(WARDS), p=[0.4, 0.4, 0.2]))
        scale, age = WARDS[ward]
        nights = int(draw.gamma(2, scale))
        born = came - datetime.timedelta(int(365.25 * (age + 8 * draw.normal())))
        left = came + datetime.timedelta(nights)
        made.append({
            "born": born.isoformat(), "age": _age(born, came), "admitted": came.strftime("%d.%m.%Y"),
            "weekday": came.strftime("%A"), "ward": ward, "discharged": left.strftime("%d.%m.%Y"), "nights": nights,
            "bill": f"{800 * nights + draw.gamma(2, 300):.2f}",
        })  # fmt: skip
    polars.DataFrame(made).write_csv(path)
    return path


def _age(born: datetime.date, day: datetime.date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def looked_at(path: Path) -> dict[str, float]:
    """Nights of each ward, and shares of rows that contradict themselves or begin on a Sunday."""
    import polars

    rows = polars.read_csv(path, infer_schema=False).to_dicts()
    came, left = ([_day(row[name]) for row in rows] for name in ("admitted", "discharged"))
    nights = np.array([(b - a).days for a, b in zip(came, left, strict=True)])
    wrong = [
        b < a or row["weekday"] != a.strftime("%A") or int(row["nights"]) != (b - a).days
        or int(row["age"]) != _age(datetime.date.fromisoformat(row["born"]), a)
        for row, a, b in zip(rows, came, left, strict=True)
    ]  # fmt: skip
    ward = np.array([row["ward"] for row in rows])
    means = {name: round(float(nights[ward == name].mean()), 2) for name in WARDS}
    return {**means, "wrong": float(np.mean(wrong)), "sundays": float(np.mean([day.weekday() == 6 for day in came]))}


def _day(text: str) -> datetime.date:
    return datetime.datetime.strptime(text, "%d.%m.%Y").date()


def ours(source: Path, run: Path, given: argparse.Namespace, *settings: str) -> dict[str, float]:
    """What is made of a run, and what its report says of it."""
    call, made = ("-c", CLEAN) if given.clean else ("-m", "morelike"), run.with_suffix(".csv")
    spent(*call, "fit", source, "--codec", "table", "--minutes", f"{given.minutes:g}", "--out", run, *settings)
    spent("-m", "morelike", "sample", run, "-n", given.rows, "--out", made)
    spent("-m", "morelike", "report", run)
    figures = {one["name"]: one["value"] for one in json.loads((run / "report.json").read_text())["figures"]}
    return {**looked_at(made), "score": figures["two_sample_score"], "coverage": figures["coverage"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, required=True, help="folder for tables, runs and samples; a new one")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--rows", type=int, default=1_500)
    parser.add_argument("--clean", action="store_true", help="count our minutes in CPU seconds, for a busy machine")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    source = written(given.keep / "stays.csv", given.rows, 0)
    watch = Watch()
    found = {
        "real": looked_at(written(given.keep / "other.csv", given.rows, 1)),
        "ours": ours(source, given.keep / "ours", given),
        "alone": ours(source, given.keep / "alone", given, "--set", "rules=false"),
    }
    for who, one in found.items():
        tell("table_dates", who=who, rows=given.rows, others=watch.others(), **one)
    table(["", *found["ours"]], [[who, *(one.get(key, "") for key in found["ours"])] for who, one in found.items()])
    far = {ward: abs(found["ours"][ward] / found["real"][ward] - 1) for ward in WARDS}
    near = all(one <= (0.5 if ward == "maternity" else 0.1) for ward, one in far.items())
    print(f"nights near real ones, no contradiction: {verdict(near and not found['ours']['wrong'])}", flush=True)


if __name__ == "__main__":
    main()
