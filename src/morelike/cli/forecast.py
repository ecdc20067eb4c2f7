"""The verb `forecast`: how series go on, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from morelike.cli.options import unfold
from morelike.core.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `morelike forecast` can be told; every field is one option."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a series.")]
    history: Annotated[str, typer.Argument(metavar="HISTORY", help="A table with the same columns, up to now.")]
    steps: Annotated[int, typer.Option(metavar="N", help="Rows to go on for.")] = 24
    out: Annotated[Path | None, typer.Option(metavar="FILE", help=".csv, .tsv, .parquet, .xlsx or .jsonl.")] = None
    paths: Annotated[Path | None, typer.Option(metavar="FILE", help="All continuations, too.")] = None
    draws: Annotated[int, typer.Option(metavar="N", help="Continuations that are drawn of each series.")] = 200
    level: Annotated[float, typer.Option(metavar="SHARE", help="Of the continuations, that the interval holds.")] = 0.9
    seed: Annotated[int, typer.Option(metavar="N", help="Of what is drawn.")] = 0
    force: Annotated[bool, typer.Option("--force", help="Replace what --out and --paths name.")] = False


@unfold
def forecast(options: Options) -> None:
    """Go on with series: the median of many continuations, and the interval in which nine of ten of them lie.

    \b
    Examples:
      morelike forecast runs/stock-autoregressive-1 stock.csv --steps 24 --out next.csv
      morelike forecast RUN engines.csv --steps 10 --paths paths.csv    all continuations, too
      morelike forecast RUN stock.csv --level 0.5                       narrower intervals

    \b
    There is a row for each series and step. A column's own name holds the median.
    """
    for target in (options.out, options.paths):
        if target is not None and target.exists() and not options.force:
            raise OptionError(f"{target} exists already", "A new name", "Choose another one, or give --force")
    if not 0 < options.level < 1:
        raise OptionError(f"--level is {options.level}", "A share between 0 and 1", "Give for example: --level 0.9")
    from morelike.forecasting import forecast as work
    from morelike.run import Run

    found = work(Run.load(options.run), options.history, options.steps, paths=options.draws, seed=options.seed)
    for name, why in found.skipped[:5]:
        print(f"Left out: {name} {why}")
    print(f"{options.steps:,} steps of {len(found.names):,} series, from {options.draws:,} continuations each")
    print(found.write(options.out or options.run / f"{Path(options.history).stem}-forecast.csv", options.level))
    if options.paths is not None:
        print(found.write_paths(options.paths))
