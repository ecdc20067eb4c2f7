"""Texts at the command line: how they are to be written, and showing them as they come."""

from __future__ import annotations

import json as js
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.run import Run
    from morelike.writing import Wish

FEW = 3  # texts where nobody says how many


@dataclass(frozen=True, kw_only=True)
class Manners:
    """The options of everything that writes texts."""

    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="Texts: what they begin with; @FILE reads it.")] = (
        None
    )
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="Texts: below 1 calmer, above 1 wilder, 0 the likeliest.")
    ] = None
    top_k: Annotated[int | None, typer.Option(metavar="K", help="Texts: choose among the K likeliest tokens.")] = None
    top_p: Annotated[
        float | None, typer.Option(metavar="P", help="Texts: among the likeliest that together have probability P.")
    ] = None
    repetition: Annotated[
        float | None, typer.Option(metavar="R", help="Texts: above 1 makes what was written less likely.")
    ] = None
    length: Annotated[int | None, typer.Option(metavar="N", help="Texts: most tokens.")] = None
    beam: Annotated[int | None, typer.Option(metavar="B", help="Texts: search for the likeliest among B at once.")] = (
        None
    )
    stop: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Texts: end before it; can be repeated.")] = (
        None
    )
    pattern: Annotated[str | None, typer.Option(metavar="REGEX", help="Texts: what they must match as a whole.")] = None

    def asked(self) -> str:
        """The first of these options that was given, or ""."""
        given = (one.name for one in fields(Manners) if getattr(self, one.name) is not None)
        return next((f"--{name.replace('_', '-')}" for name in given), "")

    def wish(self) -> Wish:
        """The same for whoever writes; raises `OptionError` for a number out of its range."""
        from morelike.core.tokens import Manner
        from morelike.writing import Wish

        checks = {
            "temperature": (0, 100), "top_k": (0, 10**9), "top_p": (1e-9, 1), "repetition": (1e-3, 100),
            "length": (1, 10**9), "beam": (1, 1000),
        }  # fmt: skip
        numbers = {name: getattr(self, name) for name in checks if getattr(self, name) is not None}
        for name, value in numbers.items():
            low, high = checks[name]
            if not low <= value <= high:
                raise OptionError(
                    f"--{name.replace('_', '-')} is {value}", f"A number from {low:g} to {high:g}", "Correct it"
                )
        return Wish(read(self.prompt or ""), tuple(self.stop or ()), self.pattern, Manner(**numbers))


def read(value: str) -> str:
    """A value of the command line, or what is in the file that it names with @."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8-sig").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{value[1:]} cannot be read ({error})", "A text file in UTF-8", "Check its name") from None


def spread(given: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Conditions, those in a file being one for each of its lines."""
    return {name: read(value).split("\n") if value.startswith("@") else value for name, value in given.items()}


def show(run: Run, options: Manners, number: int | None, given: Mapping[str, str | list[str]]) -> None:
    """Write texts: to the terminal as they come, or into the file of --out."""
    out, machine, seed = (getattr(options, name) for name in ("out", "json", "seed"))
    lists = [value for value in given.values() if isinstance(value, list)]
    alone = bool(run.fields) and not run.labels  # made from texts: one of each
    n = number or (max(map(len, lists)) if lists else 1 if alone else FEW)
    wish = told(run, options.wish(), given)
    if n == 1 and out is None and not machine:
        flow(run, seed, given, wish)
        return
    samples = run.sample(n, seed=seed, given=given, wish=wish)
    if out is not None:
        written = samples.save(out)
        print(js.dumps({"event": "done", "out": str(out), "files": list(map(str, written))}) if machine else out)
    elif machine:
        texts = [{"seed": one, "text": text} for one, text in zip(samples.seeds, samples.array.tolist(), strict=True)]
        print(js.dumps({"event": "done", "texts": texts}, ensure_ascii=False))
    else:
        print(str(samples))


def told(run: Run, wish: Wish, given: Mapping[str, str | Sequence[str]]) -> Wish:
    """The wish, after a word to the user about characters that the model has never seen."""
    texts = [(run.codec, wish.prompt)]
    for name, value in given.items():
        if name in run.fields and name not in run.labels:
            texts += [(run.fields[name], one) for one in ([value] if isinstance(value, str) else value)]
    unknown = {old: new for codec, text in texts for old, new in codec.instead(text).items()}
    if unknown:
        shown = ", ".join(f"{old!r} as {new!r}" for old, new in list(unknown.items())[:8])
        print(f"Not in the vocabulary, and read as something else: {shown}", file=sys.stderr)
    return wish


def flow(run: Run, seed: int, given: Mapping[str, str | list[str]], wish: Wish) -> None:
    """One text, printed as it is written; a character that is not yet whole waits for its other bytes."""
    from morelike.writing import stream

    shown = ""
    for (text,) in stream(run, [seed], run.conditions([seed], given), wish):
        ready = text.rstrip("\ufffd")
        if ready.startswith(shown):
            print(ready[len(shown) :], end="", flush=True)
            shown = ready
    print()
