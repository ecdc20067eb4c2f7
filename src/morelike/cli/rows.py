"""The verbs for tables: `fill` what is missing, `predict` a column, `score` how usual rows are."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from morelike.core.errors import OptionError

ODDEST = 5  # rows that are shown
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a table.")]
Source = Annotated[str, typer.Argument(metavar="TABLE", help="A table with the same columns; some may lack.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help=".csv, .tsv, .parquet, .xlsx or .jsonl.")]
OutCsv = Annotated[Path | None, typer.Option(metavar="FILE", help="A .csv file.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what --out names.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Of what is drawn.")]


def fill(run: RunFolder, table: Source, out: Out = None, seed: Seed = 0, force: Force = False) -> None:
    """Draw what is missing in the rows of a table, given what is there.

    \b
    Examples:
      morelike fill runs/patients-race-1 new.csv --out whole.csv
      morelike fill RUN new.csv --seed 1 --out second.csv                another draw: the two differ where it is unsure

    \b
    What is there stays as it is. Columns that the table lacks are drawn for every row.
    """
    from morelike.rows import filled
    from morelike.run import Run

    target = _target(out, run, Path(table).stem + "-filled.csv", force)
    loaded = Run.load(run)
    rows, new = filled(loaded, table, seed)
    loaded.codec.write(rows, target, renamed=False)
    print(f"{int(new.sum()):,} cells of {int(new.any(1).sum()):,} rows were filled\n{target}")


def predict(
    run: RunFolder, table: Source,
    column: Annotated[str, typer.Option(metavar="COLUMN", help="What is predicted from the other columns.")],
    out: OutCsv = None, seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Predict a column of a table from the others: the likeliest value and its probability, or a mean and an interval.

    \b
    Examples:
      morelike predict runs/adult-race-1 new.csv --column income --out income.csv

    \b
    Nine of ten draws lie between "low" and "high". Where the column is there, it is compared with what is predicted.
    """
    from morelike.rows import predicted, read
    from morelike.run import Run

    target = _target(out, run, f"{Path(table).stem}-{column}.csv".replace("/", "_"), force)
    loaded = Run.load(run)
    found = predicted(loaded, table, column, seed)
    _write(target, ("row", *found), ((i + 1, *row) for i, row in enumerate(zip(*found.values(), strict=True))))
    rows, _ = read(loaded, table)
    print(_compared(found, rows[:, loaded.codec.columns.index(column)]))
    print(target)


def score(run: RunFolder, table: Source, out: OutCsv = None, force: Force = False) -> None:
    """Say how usual each row of a table is: log p in nats. The least likely rows are shown: errors, fraud, failures.

    \b
    Examples:
      morelike score runs/payments-race-1 today.csv --out scores.csv

    \b
    Missing cells are summed over, and make a row neither odd nor usual.
    """
    from morelike.rows import read, scored
    from morelike.run import Run

    target = _target(out, run, Path(table).stem + "-scores.csv", force)
    loaded = Run.load(run)
    log_p = scored(loaded, table)
    _write(target, ("row", "log_p"), ((i + 1, f"{one:.4f}") for i, one in enumerate(log_p)))
    rows, _ = read(loaded, table)
    odd = log_p.argsort()[:ODDEST]
    print(f"{log_p.mean():.2f} nats a row; the {len(odd)} least likely rows:")
    for i, line in zip(odd, loaded.codec.joined(rows[odd]).splitlines()[1:], strict=False):
        print(f"  row {i + 1:,}, {log_p[i]:.2f}: {line}")
    print(target)


def _target(out: Path | None, run: Path, name: str, force: bool) -> Path:
    target = out or run / name
    if out is not None and target.exists() and not force:
        raise OptionError(f"{target} exists already", "A new name for --out", "Choose another one, or give --force")
    return target


def _write(target: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from morelike.train.folder import write_bytes

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_bytes(target, text.getvalue().encode("utf-8", "surrogatepass"))


def _compared(found: Any, truth: Any) -> str:
    """How well predictions agree with what is known."""
    known = [(a, b) for a, b in zip(found["value"], truth, strict=True) if b is not None]
    if not known:
        return f"{len(truth):,} rows predicted"
    if "probability" in found:
        return f"Right in {sum(a == b for a, b in known) / len(known):.1%} of the {len(known):,} rows where it is known"
    inside = [
        low <= b <= high for low, high, b in zip(found["low"], found["high"], truth, strict=True) if b is not None
    ]
    error = sum(abs(float(a) - float(b)) for a, b in known) / len(known)
    return f"Off by {error:.4g} in the mean of {len(known):,} rows; {sum(inside) / len(inside):.0%} lie in the interval"


def stream(run: Any, n: int, seed: int, given: Any, target: Path, balance: str | None = None) -> None:
    """Write n made rows piece by piece, so that any number of them fits into memory; a terminal sees how far it is."""
    each, shown = 20_480, sys.stderr.isatty()
    with run.codec.writer(target) as out:
        for begin in range(0, n, each):
            out.add(run.sample(min(each, n - begin), seed=seed + begin, given=given, balance=balance).array)
            if shown and n > each:
                print(f"\r{min(begin + each, n):,} of {n:,} rows", end="", file=sys.stderr, flush=True)
    if shown and n > each:
        print(file=sys.stderr)
