"""An explanation as files: a picture for each part, the figures as JSON, and all of it on one page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from morelike.explanation.part import Part
from morelike.measure.page.html import figure, png, section
from morelike.measure.style import STYLE
from morelike.train.folder import write_bytes

OWN = """
body { max-width: 74rem; } figure img { image-rendering: auto; border: 0; } td img { image-rendering: pixelated; }
table { margin-bottom: 1rem; } .grid td { min-width: 7rem; }
"""


@dataclass(frozen=True)
class Explanation:
    """What a run has learned.

    run    its folder
    about  what was asked: source, family, conditions, seeds
    parts  what was found, part by part; a part with nothing to show has a reason
    """

    run: Path
    about: Mapping[str, Any]
    parts: Sequence[Part]

    def plain(self) -> dict[str, Any]:
        """All figures, by part, and `skipped`: the parts without any, with the reason; every number is finite."""
        found = {one.name: _finite(one.figures) for one in self.parts if not one.reason}
        return {**self.about, **found, "skipped": {one.name: one.reason for one in self.parts if one.reason}}

    def html(self) -> str:
        """The whole page; it needs nothing else."""
        return self._page(self._pictures())

    def _pictures(self) -> dict[str, bytes]:
        return {one.name: png(one.picture) for one in self.parts if one.picture is not None}

    def _page(self, pictures: Mapping[str, bytes]) -> str:
        title = f"What {self.run.name} has learned"
        parts = "\n".join(_section(one, pictures.get(one.name)) for one in self.parts)
        missing = "".join(f"<li>{escape(one.title)}: {escape(one.reason)}</li>" for one in self.parts if one.reason)
        rest = section("Not shown", f"<ul>{missing}</ul>") if missing else ""
        asked = ", ".join(f"{name} {value}" for name, value in self.about.items() if isinstance(value, str) and value)
        head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}'
        head = f"<head>{head}</title><style>{STYLE}{OWN}</style></head>"
        body = f"<h1>{escape(title)}</h1><p>{escape(asked)}</p>\n{parts}\n{rest}"
        return f'<!doctype html>\n<html lang="en">{head}\n<body>{body}</body></html>\n'

    def save(self, folder: str | Path | None = None) -> list[Path]:
        """Write explain.html, explain.json and a picture for each part; RUN/explain if no folder is given.

        Every file appears whole or not at all; a `RunError` says where that could not be.
        """
        target = self.run / "explain" if folder is None else Path(folder)
        pictures = self._pictures()
        files = {"explain.html": self._page(pictures).encode()}
        files["explain.json"] = (
            json.dumps(self.plain(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        ).encode()
        files |= {f"{name}.png": data for name, data in pictures.items()}
        for name, data in files.items():
            write_bytes(target / name, data)
        return [target / name for name in files]


def _section(part: Part, picture: bytes | None) -> str:
    drawn = figure(picture, "image/png", f"{part.name}.png") if picture else ""
    return section(part.title, drawn + part.html, part.says)


def _finite(value: Any) -> Any:
    """The same plain data with None in place of numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
