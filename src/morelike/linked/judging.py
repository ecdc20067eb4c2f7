"""The report of two linked tables: that of each, and how well they belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from morelike.core.errors import RunError
from morelike.data.frame import Frame
from morelike.linked.drawing import Linked, Rows
from morelike.linked.tables import Pair
from morelike.linked.training import frame_of, keep
from morelike.measure.figure import Figure
from morelike.measure.page import tables as figures_of
from morelike.measure.page.html import listed, section
from morelike.measure.record import Report, plain
from morelike.measure.style import STYLE
from morelike.measure.table.ties import Kin, integrity, ties
from morelike.reporting import Asked, unseen
from morelike.reporting import report as report_one
from morelike.train.folder import write_bytes, write_json

FORMAT, VERSION = "morelike linked report", 1
LIMIT = (
    "Children of one parent are drawn given its columns, their number, and what is remembered of the rows before, if "
    "anything is: what else they have in common is lost."
)


@dataclass(frozen=True)
class Joint:
    """What was found: the reports of both tables by name, and the figures of the two together."""

    path: Path
    reports: dict[str, Report]
    figures: list[Figure]
    notes: list[str]

    def json(self) -> dict[str, Any]:
        """Everything that concerns both tables, as plain data."""
        words = {name: one.verdict.word for name, one in self.reports.items()}
        return plain({"format": FORMAT, "version": VERSION, "verdicts": words, "figures": self.figures,
                      "notes": self.notes})  # fmt: skip

    def save(self, target: Path) -> None:
        """Write the page (.html) or the data (.json), whole or not at all."""
        if target.suffix.lower() == ".json":
            write_json(target, self.json())
        else:
            write_bytes(target, self.page().encode())

    def page(self) -> str:
        """The page, which names those of both tables."""
        lines = [f'<li><a href="{escape(name)}/report.html">{escape(name)}</a>: {escape(one.verdict.word)}. '
                 f"{escape(one.verdict.sentence)}</li>" for name, one in self.reports.items()]  # fmt: skip
        first, *_, last = self.reports
        body = [f"<h1>{escape(first)} and {escape(last)}</h1>",
                section("Each table", f"<ul>{''.join(lines)}</ul>"),
                section("Both together", figures_of.figures(self.figures)),
                section("What was found", listed(self.notes))]  # fmt: skip
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        title = f"<title>{escape(self.path.name)}</title>"
        return (f'<!doctype html>\n<html lang="en"><head>{head}{title}<style>{STYLE}</style></head>\n'
                f"<body>{''.join(body)}</body></html>\n")  # fmt: skip


def report(found: Linked, asked: Asked, tell: Callable[[str, float], None] = lambda *_: None) -> Joint:
    """Measure both runs, and the two tables together; the page and the JSON are left in the folder, and in both runs.

    Children are those of parents that were made, as `sample` makes them, and compared by their own columns. Where
    held-out rows were learnt in the end, the runs of before that are measured, as reports of one table do.

    Raises a three-part error where a table has changed, or cannot be read.
    """
    manifest = found.manifest
    pair = manifest.pair()
    for which, run in found.runs.items():
        kept = keep(pair, found.path, manifest, which)
        if kept.name.rpartition("-")[2] != str(run.recipe["source"]).rpartition("-")[2]:
            source = (manifest.parent if which == "parent" else manifest.child)["source"]
            raise RunError(f"{source} has changed since this run began", "The rows of then",
                           "Restore them, or train a new run on what is there now")  # fmt: skip
    judged = Linked(found.path, manifest, **{which: unseen(run) for which, run in found.runs.items()})
    reports = {manifest.runs[which]: report_one(run, asked, tell, None if which == "parent" else
                                                partial(judged.cells, judged.runs[which]))
               for which, run in found.runs.items()}  # fmt: skip
    tell("Both tables together", 0.0)
    result = Joint(found.path, reports, together(judged, pair, asked.seed), [*manifest.notes, LIMIT])
    for name in ("report.json", "report.html"):
        result.save(found.path / name)
    tell("Both tables together", 1.0)
    return result


def together(found: Linked, pair: Pair, seed: int) -> list[Figure]:
    """Integrity, numbers of children, and what columns of one table tell of the other, of as many parents as there are
    in a half of the data."""
    made = list(found.rows(max(2, pair.parent.frame.height // 2), seed))
    first = sum(name.startswith(found.manifest.prefix) for name in found.child.codec.columns)
    key = found.parent.codec.columns.index(found.manifest.link["key"])
    keys = [one for rows in made for one in rows.parents[:, key].tolist()]
    references = [rows.parents[place, key] for rows in made for place in rows.owner.tolist() if place >= 0]
    names, kinds = zip(*((one.name, one.kind) for one in found.child.codec.found), strict=True)
    return [integrity(keys, references), *ties(_made(made, found), _real(found, pair), names, kinds, first, seed)]


def _made(parts: list[Rows], found: Linked) -> Kin:
    count = found.parent.codec.columns.index(found.manifest.count)
    begins = np.cumsum([0, *(len(rows.parents) for rows in parts)])
    owner = [np.where(rows.owner >= 0, rows.owner + begin, -1) for rows, begin in zip(parts, begins, strict=False)]
    times = np.concatenate([rows.parents[:, count].astype(np.int64) for rows in parts])
    return Kin(times, np.concatenate(owner), np.concatenate([rows.children for rows in parts]))


def _real(found: Linked, pair: Pair) -> Kin:
    parents = frame_of(pair, found.path, found.manifest, "parent")
    names = (name.removeprefix(found.manifest.prefix) for name in found.child.codec.columns)
    children = pair.children([name for name in names if name in parents.columns])
    rows = found.child.codec.natural_rows(Frame(children, "children"), np.arange(children.height))
    return Kin(parents[found.manifest.count].to_numpy(), pair.owner(), rows)
