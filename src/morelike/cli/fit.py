"""The verbs `fit` and `resume`: train on a source, watch it, and say what to do next."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morelike.cli.after import USUAL, After, told
from morelike.cli.display import Display, JsonLines, display
from morelike.cli.ending import ending, products
from morelike.cli.options import Kind, Make, Unit, is_linked, pairs, unfold
from morelike.cli.session import watch
from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.recipes import Request
    from morelike.train.loop import Progress

Source = Annotated[str | None, typer.Argument(metavar="SOURCE", help="Folder, archive, array file, table or built-in.")]
Children = Annotated[
    list[str] | None, typer.Argument(metavar="[CHILD]", help="A table whose rows refer to those of the table SOURCE.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, for programs.")]


@dataclass(frozen=True)
class Options:
    """What `morelike fit` can be told; every field is one option."""

    source: Source = None
    children: Children = None
    family: Annotated[str, typer.Option(metavar="NAME", help="Kind of model, or auto; see morelike list.")] = "auto"
    net: Annotated[str | None, typer.Option(metavar="NAME", help="Kind of network: mlp, cnn, rnn, transformer.")] = None
    given: Annotated[
        str, typer.Option(metavar="FIELD", help="What to make it from: a field, several with commas, none or auto.")
    ] = "auto"
    make: Make = None
    codec: Kind = "auto"
    unit: Unit = "auto"
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Time for training, kept to 10 %; 5 if not said.")
    ] = None
    steps: Annotated[int | None, typer.Option(metavar="N", help="Number of steps, instead of a time.")] = None
    size: Annotated[str, typer.Option(metavar="SIZE", help="auto, tiny, small, medium, large, huge, or a width.")] = (
        "auto"
    )
    image: Annotated[str | None, typer.Option(metavar="PIXELS", help="28 or 64x48; measured if not said.")] = None
    colour: Annotated[str, typer.Option("--colour", "--color", metavar="KIND", help="auto, grey or rgb.")] = "auto"
    augment: Annotated[str, typer.Option(metavar="WORDS", help='auto, none, or "flip,crop=0.1,rotate=10".')] = "auto"
    held_out: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Share kept out of training, for measuring: usually 0.1.")
    ] = None
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same run.")] = 0
    out: Annotated[Path | None, typer.Option(metavar="RUN", help="New folder for the run; runs/... if not said.")] = (
        None
    )
    link: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN=KEY",
            help="The column of CHILD that refers to this key of SOURCE; "
            "of one table, COLUMN that names what several rows belong to.",
        ),
    ] = None
    weights: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Begin with the weights of a run, or of a GPT-2 checkpoint.")
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out as it was planned.")] = False
    set: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Any other setting; can be repeated.")] = (
        None
    )
    samples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="New items as well: new.csv, sheet.png, folder/ …")
    ] = None
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", metavar="N", help="How many for --samples; of a table as many as it has."),
    ] = None
    report: Annotated[bool, typer.Option("--report", help="Measure the run as well, within the minutes.")] = False
    json: Json = False

    def after(self) -> After:
        """What is wanted beside the run."""
        minutes = self.minutes if self.minutes or self.steps else USUAL
        return After(self.samples, self.number, self.report, minutes, time.perf_counter())

    def request(self) -> Request:
        """The same in the words of the recipes."""
        from morelike.recipes import Request

        if self.source is None:
            raise OptionError(
                "SOURCE is missing", "Something to learn from", "Give for example: morelike fit photos/ --minutes 5"
            )
        own = ("resume", "set", "json", "samples", "number", "report")
        passed_on = {name: value for name, value in vars(self).items() if name not in own}
        passed_on["children"] = tuple(self.children or ())
        request = Request(**passed_on, settings=pairs("--set", self.set, "beta=0.5"))
        return replace(request, minutes=self.after().training) if self.samples or self.report else request


@unfold
def fit(options: Options) -> None:
    """Train a model on SOURCE and leave it in a run folder.

    \b
    Examples:
      morelike fit photos/ --minutes 5                    one sub-folder for each kind of picture
      morelike fit photos.zip --family vae --image 64     any archive, 64 by 64 pixels
      morelike fit menagerie --given label --minutes 3    the built-in cats, dogs and rabbits
      morelike fit labels.csv --augment flip,rotate=10    a table of file,label
      morelike fit menagerie --family vae --set beta=4    any setting of the family or of training
      morelike fit patients.csv --minutes 10 --samples new.csv --report    new rows and how good they are, in one go
      morelike fit book.txt --minutes 5                   a language model of any text
      morelike fit customers.csv orders.csv --link customer_id=id    two tables: every order has a customer
      morelike fit visits.csv --link patient_id           one table, several rows of which belong to each patient
      morelike fit pairs.tsv --given en --make de         a translator from one column to another
      morelike fit book.txt --weights gpt2/               go on from a checkpoint of GPT-2, or from a run
      morelike fit --resume --out runs/photos-gan-1       go on after Ctrl-C or a power cut

    \b
    SOURCE is a folder of pictures (sub-folders are labels), a zip or tar of one, an .npy or .npz array, IDX .gz files,
    a CSV of file,label, text (.txt, .md, .html, .jsonl, .csv, .tsv, .gz, aligned files, or a folder of them), a Hugging
    Face data set (hf:name), or "menagerie".
    Ctrl-C ends the step, saves, and says how to go on.
    """
    if options.resume:
        out = options.out or (Path(options.source) if options.source else None)
        if out is None:
            raise OptionError(
                "--resume got no run",
                "The folder of a run",
                "Give for example: morelike fit --resume --out runs/photos-gan-1",
            )
        follow_resumed(out, options.json)
        return
    from morelike.recipes import fit as begin

    after = options.after()
    after.verify()
    if options.children:
        from morelike.cli.linked import refuse

        refuse("--samples", options.samples)
    follow(begin(options.request()), options.json, after)


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    json: Json = False,
) -> None:
    """Continue an interrupted run as it was planned.

    \b
    Examples:
      morelike resume runs/photos-gan-1
      morelike resume runs/photos-gan-1 --json

    \b
    The same as "morelike fit --resume --out RUN".
    """
    follow_resumed(run, json)


def follow_resumed(out: Path, machine: bool) -> None:
    """Resume a run and show it."""
    from morelike.recipes import resume as begin

    follow(begin(out), machine)


def follow(events: Iterable[Progress], machine: bool, after: After | None = None) -> None:
    """Show a run until it ends, do what is to come after, then say what it left and what to do next."""
    shown = display(machine)
    out, stopped_by = watch(events, shown)
    if stopped_by is not None:
        again = f"morelike resume {shlex.quote(str(out))}"
        tell(shown, "interrupted", {"run": out, "resume": again}, [f"Continue with: {again}"])
        raise typer.Exit(128 + stopped_by)
    if is_linked(out):
        from morelike.cli.linked import finish

        tell(shown, "done", *finish(out, machine, after))
        return
    made, report = after(out, machine) if after else ({}, None)
    words, lines = told(report, out)
    left = products(out) | made
    tell(shown, "done", {"run": out, **left, **words}, [*lines, *ending(out, left, measured=report is not None)])


def tell(shown: Display, event: str, values: dict[str, Any], lines: list[str]) -> None:
    """The last words of a run, in the display's own manner."""
    if isinstance(shown, JsonLines):
        shown.emit(event, values)
        return
    for line in lines:
        shown.say(line)
