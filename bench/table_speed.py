"""Tables: rows drawn per second, and a million rows: time and memory of `check` and `fit`.

    python bench/table_speed.py --run RUN --given "sex=Female" [--seconds 10]
    python bench/table_speed.py --million [--rows 1000000] [--minutes 2] [--keep FOLDER]

Rows per second of the run that is handed in, decoded to cells of the table, not written: without conditions, and with
one column given. The million made-up rows have twenty columns: numbers with many and with few values, a heavy tail, a
mass at 0, dates, categories of which one is rare, missing values, and a column that follows from another. Memory is the
peak of the resident set of the process (`getrusage` of children), libraries and all.

Expected (two idle cores): at least 20,000 rows/s, and 2,000 with one column given; `check` at most 20 s, `fit` within
10 % of its minutes, at most 3 GiB each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import numpy as np
from machine import Watch, table, tell, verdict
from table_contestants import CLEAN, spent

PART = 16_384  # rows that are drawn in one call
RATES = {"unconditional": 20_000, "one column given": 2_000}
CHECK_S, MIB = 20.0, 3 * 1024


def rates(path: Path, given: str, seconds: float) -> None:
    """Rows drawn per second of CPU and of wall time, until so many seconds are over."""
    from morelike import load

    run, column = load(path), dict([given.split("=", 1)])
    found = []
    for (name, least), known in zip(RATES.items(), ({}, column), strict=True):
        run.sample(PART, given=known)  # the first call prepares
        watch, wall, cpu, rows = Watch(), time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - wall < seconds:
            run.sample(PART, seed=rows, given=known)
            rows += PART
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found.append([name, least, round(rows / wall), round(rows / cpu), verdict(rows / wall >= least)])
        tell("table_speed", what=name, rows=rows, per_s=round(rows / wall), per_cpu_s=round(rows / cpu),
             others=watch.others())  # fmt: skip
    table(["", "target", "rows/s", "rows/CPU s", ""], found)


def million(target: Path, rows: int, seed: int = 0) -> Path:
    """A CSV file of made-up rows of twenty columns, many of which hang together through a hidden kind of row."""
    import polars

    random = np.random.default_rng(seed)
    kind = random.integers(6, size=rows)
    bulk = {f"size {i}": np.round(random.normal(kind * (i % 3), 1 + i), 3) for i in range(5)}
    few = {f"count {i}": random.poisson(1 + kind * (i + 1) / 4) for i in range(4)}
    words = {f"word {i}": np.char.mod("w%d", (random.geometric(0.2, rows) + kind) % (5 + 20 * i)) for i in range(4)}
    frame = polars.DataFrame({
        "number": np.arange(rows), **bulk, **few, **words,
        "income": np.round(random.lognormal(8 + kind / 4, 1), 2),
        "gain": np.where(random.random(rows) < 0.9, 0, random.integers(1, 50_000, rows)),
        "rare": np.where(random.random(rows) < 0.002, "yes", "no"),
        "kind": np.array(list("abcdef"))[kind], "code": kind + 10,
    })  # fmt: skip
    date = polars.lit("2020-01-01").str.to_date() + polars.duration(
        days=polars.Series(random.integers(1500, size=rows))
    )
    gone = polars.Series(random.random(rows) < 0.05)
    frame = frame.with_columns(day=date, **{"size 0": polars.when(gone).then(None).otherwise(polars.col("size 0"))})
    frame.write_csv(target)
    return target


def whole(folder: Path, rows: int, minutes: float, clean: bool) -> None:
    """`check` and `fit` of the million rows, in processes of their own; `clean` judges and counts CPU seconds."""
    source, watch = million(folder / "million.csv", rows), Watch()
    check = spent("-m", "morelike", "check", source)
    begin = ("-c", CLEAN) if clean else ("-m", "morelike")
    fit = spent(*begin, "fit", source, "--minutes", f"{minutes:g}", "--out", folder / "run")
    checked, fitted = (one.cpu if clean else one.seconds for one in (check, fit))
    table(["", "s", "CPU s", "MiB", ""], [
        ["check", check.seconds, check.cpu, round(check.mib), verdict(checked <= CHECK_S and check.mib <= MIB)],
        ["fit", fit.seconds, fit.cpu, round(fit.mib), verdict(fitted <= 66 * minutes and fit.mib <= MIB)],
    ])  # fmt: skip
    tell("table_speed", what="million", rows=rows, check_s=round(check.seconds, 1), check_cpu_s=round(check.cpu, 1),
         check_mib=round(check.mib), minutes=minutes, fit_s=round(fit.seconds, 1), fit_cpu_s=round(fit.cpu, 1),
         fit_mib=round(fit.mib), others=watch.others())  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, help="a trained run of a table")
    parser.add_argument("--given", default="sex=Female", help="column=value that one half of the rates is for")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--million", action="store_true", help="measure check and fit on made-up rows")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--clean", action="store_true", help="count CPU seconds, for a busy machine")
    parser.add_argument("--keep", type=Path, help="folder for the made-up table and its run; otherwise deleted")
    given = parser.parse_args()
    if given.run:
        rates(given.run, given.given, given.seconds)
    if given.million:
        with tempfile.TemporaryDirectory() as folder:
            whole(given.keep or Path(folder), given.rows, given.minutes, given.clean)


if __name__ == "__main__":
    main()
