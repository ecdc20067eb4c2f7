"""What a finished run has to look at, and what to do next with it."""

from __future__ import annotations

import shlex
from pathlib import Path


def products(out: Path) -> dict[str, Path]:
    """What a finished run has to look at, by kind: the newest sheet of samples, the film, the report."""
    sheets = sorted((out / "samples").glob("*.*"))
    found = {"sheet" if sheets[-1].suffix == ".png" else "samples": sheets[-1]} if sheets else {}
    named = {"film": out / "film.gif", "report": out / "report.html"}
    return found | {kind: path for kind, path in named.items() if path.exists()}


def ending(out: Path, left: dict[str, Path], measured: bool = False) -> list[str]:
    """The last lines of a run: where its products are, and commands to try next."""
    folder = shlex.quote(str(out))
    asked = "".join(f" --given {shlex.quote(f'{name}={values[0]}')}" for name, values in labels(out).items())
    asked += "".join(f' --given {shlex.quote(name)}="…"' for name in texts(out))
    return [
        "",
        *(f"{kind:<8} {path}" for kind, path in left.items()),
        "",
        "Try next:",
        f"  morelike sample {folder} -n 64{asked} --out sheet.png"
        if "sheet" in left
        else f"  morelike sample {folder}{asked}",
        *([] if measured else [f"  morelike report {folder}"]),
    ]


def labels(out: Path) -> dict[str, list[str]]:
    """What a run can be asked for, by field, from its recipe: {"label": ["cat", "dog"]}."""
    from morelike.train.folder import read_json

    return {name: values for name, values in read_json(out / "recipe.json")["data"]["labels"].items() if values}


def texts(out: Path) -> list[str]:
    """The texts that a run makes its items from, by name."""
    from morelike.train.folder import read_json

    recipe = read_json(out / "recipe.json")
    return [name for name in (recipe["given"] or "").split(",") if name and name not in recipe["data"]["labels"]]
