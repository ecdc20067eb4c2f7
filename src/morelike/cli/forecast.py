"""The verb `forecast`: how series go on, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morelike.cli.rows import Force, Seed
from morelike.core.errors import OptionError

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a series.")]
History = Annotated[str, typer.Argument(metavar="HISTORY", help="A table with the same columns, up to now.")]
Steps = Annotated[int, typer.Option(metavar="N", help="Rows to go on for.")]
Draws = Annotated[int, typer.Option(metavar="N", help="Continuations that are drawn of each series.")]
Level = Annotated[float, typer.Option(metavar="SHARE", help="Of the continuations that lie in the interval.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help=".csv, .tsv, .parquet, .xlsx or .jsonl.")]


def forecast(
    run: RunFolder, history: History, steps: Steps = 24, out: Out = None,
    paths: Annotated[Path | None, typer.Option(metavar="FILE", help="All continuations, too.")] = None,
    draws: Draws = 200, level: Level = 0.9, seed: Seed = 0, force: Force = False,
) -> None:  # fmt: skip
    """Go on with series: the median of many continuations, and the interval in which nine of ten of them lie.

    \b
    Examples:
      morelike forecast runs/stock-autoregressive-1 stock.csv --steps 24 --out next.csv
      morelike forecast RUN engines.csv --steps 10 --paths paths.csv    all continuations, too
      morelike forecast RUN stock.csv --level 0.5                       narrower intervals

    \b
    There is a row for each series and step. A column's own name holds the median.
    """
    for target in (out, paths):
        if target is not None and target.exists() and not force:
            raise OptionError(f"{target} exists already", "A new name", "Choose another one, or give --force")
    if not 0 < level < 1:
        raise OptionError(f"--level is {level}", "A share between 0 and 1", "Give for example: --level 0.9")
    from morelike.forecasting import forecast as work
    from morelike.run import Run

    found = work(Run.load(run), history, steps, paths=draws, seed=seed)
    for name, why in found.skipped[:5]:
        print(f"Left out: {name} {why}")
    print(f"{found.times.shape[1]:,} steps of {found.times.shape[0]:,} series, from {draws:,} continuations each")
    print(found.write(out or run / f"{Path(history).stem}-forecast.csv", level))
    if paths is not None:
        print(found.write_paths(paths))
