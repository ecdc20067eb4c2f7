"""The verb `explain`: what a run has learned, on one page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from morelike.cli.fit import Json
from morelike.cli.options import pairs, unfold


@dataclass(frozen=True)
class Options:
    """What `morelike explain` can be told; every field is one option."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
    seed: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N", help="A sample to look up in the training data; can be repeated. 0 to 5 if not said."
        ),
    ] = None
    directions: Annotated[int, typer.Option(metavar="N", help="How many directions to show.")] = 8
    given: Annotated[list[str] | None, typer.Option(metavar="FIELD=VALUE", help="What to show, such as label=cat.")] = (
        None
    )
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to write; RUN/explain if not said.", show_default=False)
    ] = None
    json: Json = False


@unfold
def explain(options: Options) -> None:
    """Show what a run has learned: what its latent space changes, and what its samples resemble.

    \b
    Examples:
      morelike explain runs/photos-vae-1                       a page, RUN/explain/explain.html, and its pictures
      morelike explain RUN --seed 7 --seed 12                  which training items are samples 7 and 12 like?
      morelike explain RUN --given label=cat --directions 16   more directions, cats only
      morelike explain RUN --out explained/ --json             elsewhere, and the figures for programs

    \b
    The page shows what can be had of the model: walks along its latent space with their effect sizes, walks from
    seed to seed, the training items that samples are similar to (which does not make them their cause), where a
    transformer looks, and, for the built-in animals, how far its code names their true causes.
    """
    from morelike.explaining import explain as work

    given = pairs("--given", options.given, "label=cat")
    tell = (lambda title: None) if options.json else (lambda title: typer.echo(f"{title} …", err=True))
    found = work(options.run, seeds=options.seed or (), directions=options.directions, given=given, tell=tell)
    files = [str(path) for path in found.save(options.out)]
    if options.json:
        print(json.dumps({"event": "done", "out": files[0], "files": files, **found.plain()}, ensure_ascii=False))
        return
    for part in found.parts:
        if part.reason:
            typer.echo(f'Left out "{part.title}": {part.reason}', err=True)
    print(files[0])
