"""The verb `chat`: talk with a run that was trained on dialogues, or on any text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.cli.options import unfold
from morelike.cli.texts import Manners
from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.run import Run

LEAVE = ("/bye", "/quit", "/exit")


@dataclass(frozen=True, kw_only=True)
class Options(Manners):
    """What `morelike chat` can be told; every field is one option."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
    you: Annotated[str | None, typer.Option(metavar="NAME", help="Your name in the dialogues it has learnt.")] = None
    it: Annotated[str | None, typer.Option(metavar="NAME", help="Its own name there.")] = None
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed and words give the same answers.")] = 0


@unfold
def chat(options: Options) -> None:
    """Talk with a trained run, line by line; what was said before is its context.

    \b
    Examples:
      morelike fit dialogues.jsonl --make reply --given before     a model of replies
      morelike chat runs/dialogues-seq2seq-1
      morelike chat runs/book-autoregressive-1 --temperature 0.8   any text model answers in its own way

    \b
    /bye or Ctrl-D ends it, /new begins anew.
    """
    from morelike.run import Run

    run = Run.load(options.run)
    if run.codec.natural != "text":
        raise OptionError(
            f"This run makes items that are {run.codec.natural}", "A run that writes texts", "Train one on dialogues"
        )
    names = [*run.recipe["data"].get("speakers", ()), "You", "It"][:2]
    you, it = options.you or names[0], options.it or names[1]
    said: list[str] = []
    print("Talk; /new begins anew, /bye ends.")
    while (line := asked()) is not None:
        if line == "/new":
            said = []
            continue
        said.append(f"{you}: {line}")
        answer = reply(run, options, said, it)
        said.append(f"{it}: {answer}")
        print(answer or "…")


def asked() -> str | None:
    """The next line that is not empty, or None at the end."""
    try:
        while not (line := input("> ").strip()):
            pass
    except EOFError:
        print()
        return None
    return None if line in LEAVE else line


def reply(run: Run, options: Options, said: list[str], it: str) -> str:
    """What the run says next: from the dialogue as a condition, or as the text goes on after it."""
    from dataclasses import replace

    wish, seed = options.wish(), options.seed + len(said)
    texts = [name for name in run.fields if name not in run.labels]
    if texts:
        fits = "\n".join(newest(run, texts[0], said))
        given = {texts[0]: fits, **{name: it for name in run.labels if it in run.labels[name].config.vocabulary}}
        return str(run.sample(1, seed=seed, given=given, wish=wish).array[0]).strip()
    from morelike.writing import stream

    text, begun = "", "\n".join([*said, f"{it}:"])
    for (text,) in stream(run, [seed], run.conditions([seed], {}), replace(wish, prompt=begun)):
        if "\n" in text[len(begun) :].lstrip():  # the first line that says something is the answer
            break
    return text[len(begun) :].strip().split("\n")[0]


def newest(run: Run, name: str, said: list[str]) -> list[str]:
    """As many of the last lines as the model reads, the newest always among them."""
    codec, kept = run.fields[name], said[-1:]
    for line in reversed(said[:-1]):
        if len(codec.tokens("\n".join([line, *kept]))) > codec.context:
            break
        kept = [line, *kept]
    return kept
