"""What recipe.json must hold for a run to be loaded or resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # what pydantic asks for on Python 3.11

from morelike.core.errors import RunError
from morelike.train.folder import read_json


class Data(TypedDict):
    """What a recipe says about the items: how many, and a digest of their contents, split and labels."""

    items: int
    digest: str


class Planned(TypedDict):
    """What was settled before the first step."""

    batch: int
    precision: str
    threads: int
    device: str


class Recipe(TypedDict):
    """The part of recipe.json that a run cannot do without."""

    version: int
    source: str
    family: str
    config: dict[str, Any]
    given: str | None
    minutes: float | None
    steps: int | None
    seed: int
    held_out: float
    augment: dict[str, Any]
    train: dict[str, Any]
    data: Data
    plan: Planned | None


def read_recipe(path: Path) -> dict[str, Any]:
    """A run's recipe.json; a `RunError` names the part that is missing or altered."""
    recipe = read_json(path)
    try:
        TypeAdapter(Recipe).validate_python(recipe, strict=True)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "all of it"
        raise RunError(f"{path}: {where}: {fault['msg']}", "What `morelike fit` wrote", "Restore the file") from None
    return recipe
