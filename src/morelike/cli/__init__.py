"""The command line: one verb per sub-command, and no traceback for anything a user can cause."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable, Sequence

import typer

from morelike.cli import chat, check, explain, export, fit, forecast, rows, sample, show
from morelike.cli import report as measured
from morelike.cli.failure import report
from morelike.core.errors import unknown
from morelike.threads import keep_memory

app = typer.Typer(
    name="morelike",
    rich_markup_mode=None,  # plain help: quicker, and examples keep their line breaks
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
atexit.register(gc.freeze)  # at the end cycles are not looked for among a million objects: the system frees it all
VERBS: dict[str, Callable[..., None]] = {
    "check": check.check,
    "fit": fit.fit,
    "resume": fit.resume,
    "sample": sample.sample,
    "fill": rows.fill,
    "predict": rows.predict,
    "score": rows.score,
    "forecast": forecast.forecast,
    "chat": chat.chat,
    "report": measured.report,
    "explain": explain.explain,
    "import": export.bring,
    "export": export.export,
    "info": show.info,
    "list": show.catalogue,
}
for name, verb in VERBS.items():
    app.command(name)(verb)


@app.callback(invoke_without_command=True)
def morelike(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """More like your data: train a generative model on your own data, in the time and on the machine you have.

    \b
    Examples:
      morelike check photos/                        what to mend before training
      morelike fit photos/ --minutes 5              a folder of pictures, one sub-folder for each kind
      morelike fit menagerie --family vae           the built-in cats, dogs and rabbits
      morelike sample runs/photos-gan-1 -n 64       64 new pictures
      morelike fit book.txt                         a language model; pairs.tsv --given en --make de: a translator
      morelike chat runs/book-autoregressive-1      talk with it
      morelike fit patients.csv                     a table; fill, predict and score work with its rows
      morelike fit sales.csv --codec series         columns over time; forecast goes on with them
      morelike report runs/photos-gan-1             how real, how varied, how new: whether to use them
      morelike explain runs/photos-gan-1            what the model has learned
      morelike info runs/photos-gan-1               what was asked, and what happened
      morelike list                                 families, nets and codecs

    \b
    "morelike fit --help" and so on show more examples.
    """
    if version:
        from morelike import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command line and end the process: 0 done, 1 failed, 2 user's error, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    keep_memory()
    try:
        code = obey(words)
    except (Exception, KeyboardInterrupt) as error:
        code = report(error, words)
    sys.exit(code)


def obey(words: list[str]) -> int:
    """Do what a command line says; every error is left to the caller, Ctrl-C included, which typer would swallow."""
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        raise unknown("verb", words[0], VERBS)
    command = typer.main.get_command(app)
    try:
        with command.make_context("morelike", words) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return 0
