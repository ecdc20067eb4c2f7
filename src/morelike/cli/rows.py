"""The verbs for tables: `fill` what is missing, `predict` a column, `score` how usual rows are."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from morelike.core.errors import OptionError

ODDEST = 5  # rows that are shown
WIDE = 300  # letters of a row that are shown
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
    What is there stays as it is, also columns that were not learnt. Columns that the table lacks are drawn for every
    row.
    """
    from morelike.rows import filled, read
    from morelike.run import Run

    target = _target(out, run, Path(table).stem + "-filled.csv", force)
    loaded = Run.load(run)
    told = read(loaded, table)
    _say(told)
    rows, new = filled(loaded, told, seed)
    columns, whole = told.table.whole(rows)
    loaded.codec.write(whole, target, renamed=False, columns=columns)
    print(f"{_counted(int(new.sum()), 'cell')} of {_counted(int(new.any(1).sum()), 'row')} filled\n{target}")


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
    told = read(loaded, table)
    found = predicted(loaded, told, column, seed, _far)
    _say(told)
    place = loaded.codec.columns.index(column)
    cells = [[_written(loaded.codec.found[place], name, one) for one in some] for name, some in found.items()]
    _write(target, ("row", *found), ((i + 1, *row) for i, row in enumerate(zip(*cells, strict=True))))
    print(_compared(found, told.rows[:, place]))
    print(target)


def score(run: RunFolder, table: Source, out: OutCsv = None, force: Force = False) -> None:
    """Say how usual each row of a table is: log p in nats. The least likely rows are shown: errors, fraud, failures.

    \b
    Examples:
      morelike score runs/payments-race-1 today.csv --out scores.csv

    \b
    Missing cells are summed over, and make a row neither odd nor usual. Rows with a value that was never seen come
    first, and the column "unseen" says where.
    """
    from morelike.rows import read, scored
    from morelike.run import Run

    target = _target(out, run, Path(table).stem + "-scores.csv", force)
    loaded = Run.load(run)
    told = read(loaded, table)
    log_p = scored(loaded, told) + 0.0  # no -0.0
    _say(told)
    unseen = told.table.unseen
    new = [", ".join(told.table.columns[place].name for place in unseen if unseen[place][i]) for i in range(len(log_p))]
    _write(target, ("row", "log_p", "unseen"), ((i + 1, f"{log_p[i]:.4f}", new[i]) for i in range(len(log_p))))
    odd = sorted(range(len(log_p)), key=lambda i: (not new[i], log_p[i]))[:ODDEST]
    print(f"{log_p.mean():.2f} nats a row; the {_counted(len(odd), 'least likely row')}:")
    lines = loaded.codec.joined(told.rows[odd], told.table.columns).splitlines()[1:]
    lines = [line if len(line) <= WIDE else line[:WIDE] + "…" for line in lines]
    for i, line in zip(odd, lines, strict=False):
        print(f"  row {i + 1:,}, {log_p[i]:.2f}{f', never seen: {new[i]}' if new[i] else ''}: {line}")
    print(target)


def _say(told: Any) -> None:
    """What was taken for what in a table, and what was left out."""
    for line in told.said:
        print(line, file=sys.stderr)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _written(column: Any, name: str, value: Any) -> Any:
    """What is predicted as it is written in a file: a mean with two decimals more than the column has."""
    if name == "probability" or value is None:
        return value if value is None else round(float(value), 6)
    if isinstance(value, float) and column.kind == "number":
        return round(value, 6 if column.style.decimals is None else column.style.decimals + 2)
    return column.say(value)


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
    error: Any = sum(_apart(a, b) for a, b in known) / len(known)
    dated = " days" if isinstance(known[0][1], date) else " hours" if isinstance(known[0][1], time) else ""
    share = f"{sum(inside) / len(inside):.0%} lie in the interval"
    return f"Off by {error:.4g}{dated} in the mean of {_counted(len(known), 'row')}; {share}"


def _apart(a: Any, b: Any) -> float:
    """How far two numbers are from each other; dates in days, times of day in hours."""
    if isinstance(b, time):
        return abs((a.hour - b.hour) + (a.minute - b.minute) / 60 + (a.second - b.second) / 3600)
    return float(abs((a - b) / timedelta(1)) if isinstance(b, date) else abs(float(a) - float(b)))


def _far(done: int, total: int) -> None:
    """Tell a terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} draws", end="\n" if done == total else "", file=sys.stderr, flush=True)


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
