"""The verbs `info` and `list`: what a run is, and what there is to choose from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from morelike.cli.display import plain
from morelike.cli.fit import Json
from morelike.cli.options import is_linked


def info(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    json: Json = False,
) -> None:
    """Say what was asked of a run, how it was planned and how far it is.

    \b
    Examples:
      morelike info runs/photos-gan-1
      morelike info runs/photos-gan-1 --json
    """
    from morelike.run import Run

    if not is_linked(run):
        tell(Run.load(run).info(), json)
        return
    from morelike.linked.drawing import Linked

    tell(Linked.load(run).info(), json)


def catalogue(json: Json = False) -> None:
    """List the families, nets and codecs there are, with one line each.

    \b
    Examples:
      morelike list
      morelike list --json
    """
    from morelike.recipes import catalogue as known

    tell(known(), json)


def tell(values: Mapping[str, Any], machine: bool) -> None:
    """Print nested values as indented lines, or as one JSON object."""
    if machine:
        print(json.dumps(plain(values), ensure_ascii=False, allow_nan=False))
    else:
        print("\n".join(lines(values)))


def lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """One line for each value, names in a column, nested ones below their name."""
    width = max((len(str(name)) for name in values), default=0)
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}"
            yield from lines(value, indent + "  ")
            if not indent:
                yield ""
        else:
            yield f"{indent}{name:<{width}}  {short(value)}"


def short(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(short, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, {}, "") else str(value)
