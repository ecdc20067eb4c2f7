"""What the verbs do with the runs of two linked tables: draw both, measure both, say what there is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from morelike.cli.display import Silence, display, plain
from morelike.cli.options import pairs
from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.cli.after import After
    from morelike.cli.report import Options as Measuring
    from morelike.cli.sample import Options as Drawing
    from morelike.linked.judging import Joint
    from morelike.reporting import Asked

USUAL = 1000  # parents that are drawn where nobody says how many


def refuse(option: str, folder: Path | None) -> None:
    """Raise an `OptionError` for a place where two files cannot go."""
    if folder is not None and (folder.suffix or folder.is_file()):
        raise OptionError(f"{option} is {folder}, and there are two tables", "A folder", f"Name one: {option} new/")


def finish(out: Path, machine: bool, after: After | None) -> tuple[dict[str, Any], list[str]]:
    """What `fit` does after training: new rows and the report, where they are asked for; values and the last lines."""
    from morelike.linked.drawing import Linked

    found, values, lines = Linked.load(out), dict[str, Any]({"run": out}), list[str]()
    if after is not None and after.samples is not None:
        rows = after.number or found.manifest.counts["parents"]
        values["samples"] = found.save(after.samples, rows)
        lines += [f"samples  {path}" for path in values["samples"]]
    if after is not None and after.report:
        joint = _measured(found, after.asked(found.child), machine)
        values |= {"report": out / "report.html", "verdicts": joint.json()["verdicts"]}
        lines = [*_told(joint), *lines]
    folder = shlex.quote(str(out))
    new = f"new{Path(found.manifest.child['file']).suffix}" if found.manifest.whole else "new/"
    next_ = [f"  morelike sample {folder} -n 1000 --out {new}", f"  morelike report {folder}"]
    return values, [*lines, "", "Try next:", *(next_[:1] if "report" in values else next_)]


def sample(options: Drawing) -> None:
    """Draw parents and their children into two files of a folder."""
    from morelike.cli.sample import check_target
    from morelike.linked.drawing import Linked

    for name in ("balance", "interpolate", "reconstruct", "encode"):
        if getattr(options, name) is not None:
            raise OptionError(f"--{name}, for two tables", "New rows of both", "Leave it out, or name the run of one")
    if options.asked():
        raise OptionError(f"{options.asked()} is for texts", "This run makes two tables", "Leave it out")
    found, given = Linked.load(options.run), pairs("--given", options.given, "country=DE")
    target = options.out or options.run / f"sample-seed-{options.seed}"
    if not found.manifest.whole:
        refuse("--out", target)
    check_target(target, may_replace=options.force or options.out is None)
    written = found.save(target, options.number or USUAL, options.seed, given or None)
    if options.json:
        print(json.dumps({"event": "done", "out": str(target), "files": [str(path) for path in written]}))
    else:
        print("\n".join(map(str, written)))


def report(options: Measuring, asked: Asked) -> None:
    """Measure both tables, and both together."""
    from morelike.linked.drawing import Linked

    if options.against is not None:
        found = f"--against is {options.against}, for two tables"
        raise OptionError(found, "A run of one table", f"Name it: morelike report {options.run}/TABLE --against …")
    found_runs = Linked.load(options.run)
    quiet = options.json and options.file is None
    try:
        joint = _measured(found_runs, asked, False, quiet)
    except KeyboardInterrupt:
        print("Stopped. No report was written.")
        raise typer.Exit(130) from None
    for target in (options.out, options.file):
        if target is not None:
            joint.save(target)
    lines = [json.dumps(plain(joint.json()), ensure_ascii=False)] if quiet else [*_told(joint), "", *_pages(joint)]
    print("\n".join(lines))


def _measured(found: Any, asked: Asked, machine: bool, quiet: bool = False) -> Joint:
    from morelike.linked.judging import report as make
    from morelike.train.loop import Progress

    shown = Silence() if quiet else display(machine)
    with shown:
        return make(found, asked, lambda stage, fraction: shown.show(Progress(stage, fraction=fraction)))


def _told(joint: Joint) -> list[str]:
    """The verdicts of both, and the figures of the two together."""
    words = [f"{name}: {one.verdict.word}. {one.verdict.sentence}" for name, one in joint.reports.items()]
    figures = [f"{one.title}: {one.says or 'not measured: ' + one.reason}" for one in joint.figures]
    return ["", *words, "", *figures]


def _pages(joint: Joint) -> list[str]:
    return [f"page  {path / 'report.html'}" for path in (joint.path, *(joint.path / name for name in joint.reports))]
