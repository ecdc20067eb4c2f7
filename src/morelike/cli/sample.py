"""The verb `sample`: new items from a run, paths between seeds, reconstructions and codes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli.fit import Json
from morelike.cli.options import is_linked, pairs, unfold
from morelike.cli.texts import Manners, show, spread
from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.run import Run, Samples


@dataclass(frozen=True, kw_only=True)
class Options(Manners):
    """What `morelike sample` can be told; every field is one option."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
    number: Annotated[
        int | None,
        typer.Option(
            "-n", "--number", metavar="N", help="How many; 64, 3 texts or 1,000 rows, if not said.", show_default=False
        ),
    ] = None
    given: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=VALUE", help='What to draw, such as label=cat or en="Hello".')
    ] = None
    balance: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Tables: each value of a column equally often.")
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", help="The first seed; item i has seed N + i.")] = 0
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="sheet.png, folder/, x.npy, x.npz or x.gif.")] = None
    interpolate: Annotated[
        tuple[int, int] | None, typer.Option(metavar="A B", help="The path from seed A to seed B in -n steps.")
    ] = None
    reconstruct: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Originals beside what the model makes of them.")
    ] = None
    encode: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Latent codes of a source's items, as an .npy array.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace what --out names.")] = False
    json: Json = False


@unfold
def sample(options: Options) -> None:
    """Draw new items from a trained run.

    \b
    Examples:
      morelike sample runs/photos-gan-1 -n 64                               a sheet of 64
      morelike sample RUN -n 64 --given label=cat --seed 7 --out cats.png   64 cats
      morelike sample RUN -n 1000 --out cats/                               one file for each
      morelike sample RUN -n 5000 --out x.npy                               an array (N, H, W, C)
      morelike sample RUN --interpolate 3 8 -n 12 --out path.gif            from seed 3 to seed 8
      morelike sample RUN --reconstruct photos/ --out pairs.png             for families with a latent space
      morelike sample RUN --encode photos/ --out codes.npy                  the same
      morelike sample runs/book-autoregressive-1 --prompt "Once" -n 3       texts that go on from there
      morelike sample RUN --temperature 0.7 --length 500 --out texts.txt    calmer and longer, into a file
      morelike sample runs/adult-race-1 -n 1000000 --out new.parquet        rows of a table; also .csv, .xlsx, .jsonl
      morelike sample RUN --given "income=>50K" --out rich.csv              rows of which a column is given
      morelike sample runs/customers-orders-linked-1 -n 1000 --out new/     1,000 customers and their orders
      morelike sample RUN --balance fraud -n 10000 --out even.csv           as many with fraud as without
      morelike sample runs/pairs-seq2seq-1 --given en="A dog runs."         a translation; en=@FILE for all its lines

    \b
    One seed makes one item: item 17 is the same whatever -n is.
    """
    modes = [f"--{name}" for name in ("interpolate", "reconstruct", "encode") if getattr(options, name) is not None]
    if len(modes) > 1:
        raise OptionError(
            f"{' and '.join(modes)} were given together", "At most one of them", "Give the command once for each"
        )
    if options.number is not None and options.number < 1:
        raise OptionError(f"-n {options.number} asks for nothing", "A whole number from 1", "Give for example: -n 64")
    if options.out is not None:
        check_target(options.out, may_replace=options.force)
    if is_linked(options.run):
        from morelike.cli.linked import sample as sample_both

        sample_both(options)
        return
    from morelike.run import Run

    run = Run.load(options.run)
    if run.codec.natural == "text" and not modes:
        show(run, options, options.number, spread(pairs("--given", options.given, "label=cat")))
        return
    if options.asked():
        raise OptionError(
            f"{options.asked()} is for texts", f"This run makes items that are {run.codec.natural}", "Leave it out"
        )
    target = options.out or default_target(options, getattr(run.codec, "sheets", ".png"))
    check_target(target, may_replace=options.force or options.out is None)
    written = work(run, options, target, modes)
    shown = target if target.exists() else written[0]
    if options.json:
        print(json.dumps({"event": "done", "out": str(shown), "files": [str(path) for path in written]}))
    else:
        print(shown)


def work(run: Run, options: Options, target: Path, modes: list[str]) -> list[Path]:
    """Make what the options ask for, and write it."""
    if options.encode is not None:
        return save_codes(run, options.encode, target)
    if options.balance is not None and (run.codec.natural != "table" or modes):
        raise OptionError(f"--balance is {options.balance}", "New rows of a table", "Leave it out")
    if run.codec.natural != "table" or modes:
        return draw(run, options).save(target)
    from morelike.cli.rows import stream

    given = pairs("--given", options.given, "label=cat")
    stream(run, options.number or 1000, options.seed, given, target, options.balance)
    return [target]


def draw(run: Run, options: Options) -> Samples:
    """The samples that the options ask for."""
    given = pairs("--given", options.given, "label=cat")
    if options.reconstruct is not None:
        return run.reconstruct(options.reconstruct, options.number or 32)
    if options.interpolate is not None:
        first, last = options.interpolate
        return run.interpolate(first, last, options.number or 8, label=given.get("label"))
    return run.sample(options.number or 64, seed=options.seed, given=given or None)


def default_target(options: Options, suffix: str = ".png") -> Path:
    """A name in the run folder that says what was asked, for those who gave none; the suffix is that of many items."""
    if options.encode is not None:
        return options.run / "codes.npy"
    if options.reconstruct is not None:
        return options.run / "reconstructions.png"
    words = [word.replace("=", "-").replace("/", "_") for word in options.given or ()]
    if options.interpolate is not None:
        return options.run / ("-".join(["path", *map(str, options.interpolate), *words]) + ".png")
    return options.run / ("-".join(["sheet", *words, f"seed-{options.seed}"]) + suffix)


def check_target(target: Path, may_replace: bool) -> None:
    """Refuse to write over what is there, unless asked to; an empty folder is no obstacle."""
    taken = any(target.iterdir()) if target.is_dir() else target.exists()
    if taken and not may_replace:
        raise OptionError(
            f"{target} exists already", "A new name for --out", "Choose another name, or replace it with --force"
        )


def save_codes(run: Run, source: str, target: Path) -> list[Path]:
    """Write the latent codes (N, latent) of a source as an .npy file, whole or not at all."""
    import os

    import numpy as np

    if target.suffix != ".npy":
        raise OptionError(
            f"--encode cannot write {target.name}", "An .npy file", "Name it for example: --out codes.npy"
        )
    codes = run.encode(source)
    partial = target.with_name(target.name + ".partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        np.save(file, codes, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    return [target]
