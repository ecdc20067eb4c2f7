"""Options as dataclasses: a verb takes one frozen dataclass, and typer sees one option for each of its fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from morelike.core.errors import OptionError

T = TypeVar("T")
Make = Annotated[str | None, typer.Option(metavar="FIELD", help="Which column is learnt, of a table of texts.")]
Kind = Annotated[
    str, typer.Option("--codec", metavar="KIND", help="What items are: auto, image, text, table, series, baskets.")
]
Unit = Annotated[str, typer.Option(metavar="UNIT", help="One item of a text: auto, file, paragraph or line.")]


def is_linked(run: Path) -> bool:
    """Whether a folder holds the runs of two linked tables."""
    return (run / "linked.json").exists()


def unfold(verb: Callable[[T], None]) -> Callable[..., None]:
    """Turn `verb(options: Dataclass)` into a function with one keyword for each field, for typer to read.

    The fields carry `typing.Annotated[type, typer.Option(...)]`. A verb with sixteen options would otherwise be a
    function with sixteen parameters.
    """
    (kind,) = (hint for name, hint in get_type_hints(verb).items() if name != "return")
    hints = get_type_hints(kind, include_extras=True)

    @wraps(verb)
    def command(**values: Any) -> None:
        verb(kind(**values))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = hints
    del command.__wrapped__  # typer would look through it
    return command


def pairs(option: str, words: Iterable[str] | None, example: str) -> dict[str, str]:
    """Read "key=value" words: pairs("--given", ["label=cat"], "label=cat") -> {"label": "cat"}."""
    read: dict[str, str] = {}
    for word in words or ():
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise OptionError(
                f'{option} got "{word}"',
                "A name and a value with = between them",
                f"Write for example: {option} {example}",
            )
        if key in read:
            raise OptionError(
                f'{option} gives "{key}" twice: "{read[key]}" and "{value}"', "One value for each name", "Leave one out"
            )
        read[key] = value
    return read
