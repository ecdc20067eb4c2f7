"""The verb `report`: measure a run, say in a few lines how good it is, and leave a page that says more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli.display import Display, Silence, display
from morelike.cli.options import is_linked, unfold
from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.measure.record import Report
    from morelike.reporting import Asked
    from morelike.run import Run


@dataclass(frozen=True)
class Options:
    """What `morelike report` can be told; every field is one option."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
    file: Annotated[Path | None, typer.Argument(metavar="[F]", help="File for the JSON, after --json.")] = None
    against: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Compare with these items, not with the held-out ones.")
    ] = None
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", metavar="N", help="How many samples; 1,000 to 10,000 if not said.",
                     show_default=False),
    ] = None  # fmt: skip
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same numbers.")] = 0
    features: Annotated[
        str, typer.Option(metavar="KIND", help="What to look through: learned, random, inception or dinov2.")
    ] = "learned"
    no_selftest: Annotated[
        bool, typer.Option("--no-selftest", help="Do not try the measures on known damage, which is quicker.")
    ] = False
    out: Annotated[Path | None, typer.Option(metavar="PAGE", help="Write the page (.html) there as well.")] = None
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, or write it to F.")] = False


@unfold
def report(options: Options) -> None:
    """Measure a run: how real, how varied and how new its samples are, and whether to use it.

    \b
    Examples:
      morelike report runs/photos-gan-1                     the page is runs/photos-gan-1/report.html
      morelike report RUN --against other-photos/           beside other pictures than the held-out ones
      morelike report RUN -n 2000 --no-selftest             quicker
      morelike report RUN --features inception              comparable with papers; needs the extra "pretrained"
      morelike report RUN --json                            for programs
      morelike report RUN --json figures.json --out page.html

    \b
    It needs the source that the run was trained on, and nothing from the internet. The same seed gives the same
    numbers.
    """
    check(options)
    from morelike.reporting import Asked
    from morelike.run import Run

    asked = Asked(options.against, options.number, options.seed, options.features, not options.no_selftest)
    if is_linked(options.run):
        from morelike.cli.linked import report as report_both

        report_both(options, asked)
        return
    run = Run.load(options.run)
    shown = Silence() if options.json and options.file is None else display()
    try:
        found = follow(run, asked, shown)
    except KeyboardInterrupt:
        shown.say("Stopped. No report was written.")
        raise typer.Exit(130) from None
    for target in (options.out, options.file):
        if target is not None:
            found.save(target)
    if isinstance(shown, Silence):
        from morelike.measure.record import as_dict

        print(json.dumps(as_dict(found), ensure_ascii=False, allow_nan=False))
        return
    for line in ending(found, options):
        shown.say(line)


def check(options: Options) -> None:
    """Refuse what could only fail after a minute of measuring."""
    if options.file is not None and not options.json:
        json_file = f"morelike report {options.run} --json {options.file}"
        raise OptionError(f'"{options.file}" stands after the run', "One run", f"For a file of JSON: {json_file}")
    for target, option, suffix in ((options.out, "--out", ".html"), (options.file, "--json", ".json")):
        if target is None:
            continue
        if target.suffix.lower() != suffix:
            found, action = f"{option} cannot write {target.name}", f"Name it for example: {option} report{suffix}"
            raise OptionError(found, f"A name that ends in {suffix}", action)
        if not target.absolute().parent.is_dir():
            raise OptionError(f"There is no folder {target.parent}", "A folder that exists", "Make it first")


def follow(run: Run, asked: Asked, shown: Display) -> Report:
    """The report of a run, with its stages told to a display."""
    from morelike.reporting import report as make
    from morelike.train.loop import Progress

    with shown:
        return make(run, asked, lambda stage, fraction: shown.show(Progress(stage, fraction=fraction)))


def ending(found: Report, options: Options) -> list[str]:
    """The last lines: the verdict, the figures behind it, and where the page is."""
    from morelike.measure.page.first import DIALS, answer

    lines = ["", f"{found.verdict.word.capitalize()}. {found.verdict.sentence}", ""]
    for dial in DIALS:
        figure = answer(dial, found.figures)
        if figure is not None:
            lines.append(f"{dial.title:<10}  {figure.says or 'not measured: ' + figure.reason}")
    stop = [one for one in found.measured.findings if one.severity == "stop"]
    lines += [f"{'Beware':<10}  {one.title}. {one.action}" for one in stop]
    pages = [options.run / "report.html", *([options.out] if options.out else [])]
    return [*lines, "", *(f"page  {path}" for path in pages), *([f"data  {options.file}"] if options.file else [])]
