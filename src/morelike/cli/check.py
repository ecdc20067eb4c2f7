"""The verb `check`: look at a source before anything is trained on it, and say what to mend first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli.display import Display, Silence, display
from morelike.cli.options import Kind, Make, Unit, pairs, unfold
from morelike.core.errors import OptionError
from morelike.threads import load_ahead

if TYPE_CHECKING:
    from morelike.measure.audit import Audit
    from morelike.measure.figure import Finding

LINES, NAMES, LONG = 16, 3, 48  # findings and names that are printed; letters of a name
OWN = ("file", "out", "set", "json", "against")  # what only the command line knows
SIGNS = {"stop": "✗", "warn": "!", "note": "·"}


@dataclass(frozen=True)
class Options:
    """What `morelike check` can be told; every field is one option."""

    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, archive, array file, table or built-in.")]
    file: Annotated[Path | None, typer.Argument(metavar="[F]", help="File for the JSON, after --json.")] = None
    out: Annotated[Path | None, typer.Option(metavar="PAGE", help="Name of the page; NAME-check.html if not said.")] = (
        None
    )
    against: Annotated[
        str | None, typer.Option(metavar="OLD", help="Tables: an older one; if not said, the file's own first half.")
    ] = None
    make: Make = None
    codec: Kind = "auto"
    unit: Unit = "auto"
    image: Annotated[str | None, typer.Option(metavar="PIXELS", help="28 or 64x48; measured if not said.")] = None
    colour: Annotated[str, typer.Option("--colour", "--color", metavar="KIND", help="auto, grey or rgb.")] = "auto"
    given: Annotated[str, typer.Option(metavar="FIELD", help="Which field holds the labels, or none.")] = "label"
    held_out: Annotated[float, typer.Option(metavar="SHARE", help="Share that would be kept out of training.")] = 0.1
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same findings.")] = 0
    set: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Any other setting of the codec.")] = None
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, or write it to F.")] = False


@unfold
def check(options: Options) -> None:
    """Look at SOURCE before training: what is broken, there twice, dark, blurred, mislabelled, or too little.

    \b
    Examples:
      morelike check photos/                       the page is photos-check.html
      morelike check photos.zip --out page.html    another name for it
      morelike check photos/ --image 64            as for training at 64 by 64 pixels
      morelike check labels.csv --given species    the labels are in another column
      morelike check new.csv --against old.csv     what has moved from one table to the other
      morelike check photos/ --json                for programs: every file by name
      morelike check photos/ --json found.json

    \b
    The first line is the verdict. Files are only read, never changed; what "fit" does about each finding is on the
    page. The exit code is 0, or 2 where nothing can be used.
    """
    verify(options)
    shown = Silence() if options.json and options.file is None else display()
    try:
        found = follow(options, shown)
    except KeyboardInterrupt:
        shown.say("Stopped. Nothing was written.")
        raise typer.Exit(130) from None
    if options.json and options.file is None:
        if options.out is not None:
            found.save(options.out)
        print(json.dumps(found.json(), ensure_ascii=False, allow_nan=False))
        return
    written = [found.save(options.out or default_page(options.source))]
    if options.file is not None:
        written.append(found.save(options.file))
    for line in [*summary(found), "", *(f"more: {path}" for path in written)]:
        shown.say(line)


def verify(options: Options) -> None:
    """Refuse what could only fail after a minute of looking."""
    if options.file is not None and not options.json:
        found = f'"{options.file}" stands after the source'
        raise OptionError(found, "One source", f"For a file of JSON: morelike check SOURCE --json {options.file}")
    for target, option, suffix in ((options.out, "--out", ".html"), (options.file, "--json", ".json")):
        if target is not None and target.suffix.lower() != suffix:
            found, action = f"{option} cannot write {target.name}", f"Name it for example: {option} check{suffix}"
            raise OptionError(found, f"A name that ends in {suffix}", action)
        if target is not None and not target.absolute().parent.is_dir():
            raise OptionError(f"There is no folder {target.parent}", "A folder that exists", "Make it first")


def follow(options: Options, shown: Display) -> Audit:
    """The audit, with its stages told to a display."""
    with shown:
        load_ahead()
        from morelike.data.sources import open_source
        from morelike.recipes import Request, reading

        passed_on = {name: value for name, value in vars(options).items() if name not in OWN}
        request = Request(**passed_on, settings=pairs("--set", options.set, "fit=pad"))
        items = open_source(request.source, reading(request))
        from morelike.auditing.full import audit
        from morelike.train.loop import Progress

        show = lambda stage, fraction: shown.show(Progress(stage, fraction=fraction))  # noqa: E731
        return audit(request, show, options.against, items)


def default_page(source: str) -> Path:
    """The page of a source, in the working directory: photos.zip -> photos-check.html."""
    stem = Path(source.split(":")[0].rstrip("/") if not Path(source).exists() else source).resolve().name
    return Path(f"{Path(stem).stem or 'data'}-check.html")


def summary(found: Audit) -> list[str]:
    """The verdict and the findings, few enough lines for a screen."""
    lines = [found.verdict[:1].upper() + found.verdict[1:], found.sentence]
    for one in found.findings[:LINES]:
        lines += ["", *told(one)] if one.severity != "note" else told(one)
    if len(found.findings) > LINES:
        lines.append(f"  and {len(found.findings) - LINES} more on the page")
    return lines


def told(one: Finding) -> list[str]:
    """A finding: one line for a note, with consequence, names and action for what matters."""
    head = f"{SIGNS[one.severity]} {one.title}"
    more = one.evidence.split("\n") if one.kind in ("columns", "drift") else []
    more = [f"    {line}" for line in more] if one.kind == "drift" else more
    if one.severity == "note":
        return [f"{head}{': ' + named(one) if one.names and not more else ''}", *more]
    lines = [head, *more, f"    {one.consequence}", f"    {one.action}"]
    return [*lines, f"    {named(one)}"] if one.names and not more else lines


def named(one: Finding) -> str:
    """The first few names, long ones cut short at the front."""
    shown = [name if len(name) <= LONG else "…" + name[-LONG + 1 :] for name in dict.fromkeys(one.names)]
    return ", ".join(shown[:NAMES]) + (f" and {len(shown) - NAMES:,} more" if len(shown) > NAMES else "")
