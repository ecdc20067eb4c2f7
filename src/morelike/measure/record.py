"""A report as data: what was measured, about what, with which pictures; and the same as JSON, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from morelike.core.errors import OptionError
from morelike.measure.figure import Figure, Measured, Novelty, Verdict

FORMAT, VERSION = "morelike report", 1


@dataclass(frozen=True)
class Pictures:
    """Items as HTML, one fragment each.

    real, made  the same classes in the same order, for a first look
    classes     some samples of each class; of all under "" without classes
    answers     where items are made for texts: the text, what was made for it, and what belongs to it
    columns     where items are rows of a table, and pictures of them its cells: the names of the columns
    """

    real: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answers: tuple[tuple[str, str, str], ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A sample and the training item nearest to it.

    seed, asked      what draws the sample again
    name, row        the training item, as the user would find it, and its index in the source
    distance, ratio  see `Neighbours`
    copy             "exact", "near" or ""
    times            how often that training item is in the training set, as far as is known
    random           chosen at random, and not because it is suspicious
    pictures         HTML of both
    """

    seed: int
    asked: str | None
    name: str
    row: int
    distance: float
    ratio: float | None
    copy: str
    times: int = 1
    random: bool = False
    pictures: tuple[str, str] = ("", "")


@dataclass
class Report:
    """Everything that a report tells of a run.

    run    the run folder
    about  how the numbers were made: samples, seed, features, what they were compared with, seconds, command
    notes  sentences on what is missing or unusual
    """

    run: Path
    measured: Measured
    about: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pairs: tuple[Pair, ...] = ()
    pictures: Pictures = Pictures()

    def __post_init__(self) -> None:
        news = self.measured.novelty
        news = news and replace(news, figures=tuple(map(tidy, news.figures)))
        self.measured = replace(self.measured, figures=[tidy(one) for one in self.measured.figures], novelty=news)

    @property
    def verdict(self) -> Verdict:
        """The word, and the sentence that goes with it."""
        return self.measured.verdict

    @property
    def figures(self) -> list[Figure]:
        """All figures, those on novelty last."""
        return [*self.measured.figures, *(self.measured.novelty.figures if self.measured.novelty else ())]

    @property
    def novelty(self) -> Novelty | None:
        """What was found about copies."""
        return self.measured.novelty

    def figure(self, name: str, label: str | None = None) -> Figure | None:
        """A figure by its name, of all samples or of one class."""
        return next((one for one in self.figures if (one.name, one.label) == (name, label)), None)

    def save(self, target: str | Path) -> Path:
        """Write the page (.html) or the data (.json), whole or not at all."""
        from morelike.measure.report import page
        from morelike.train.folder import write_bytes, write_json

        path = Path(target)
        if path.suffix.lower() not in (".html", ".htm", ".json"):
            raise OptionError(f"A report cannot be written as {path.name}", "A name that ends in .html or .json",
                              "Choose one of these")  # fmt: skip
        if path.suffix.lower() == ".json":
            write_json(path, as_dict(self))
        else:
            write_bytes(path, page(self.run, self).encode())
        return path


def tidy(figure: Figure) -> Figure:
    """The same figure without numbers that are not finite; where the value was one, with a reason in its place."""
    odd = (name for name, value in vars(figure).items() if isinstance(value, float) and not math.isfinite(value))
    bad: dict[str, Any] = dict.fromkeys(odd)
    if "value" in bad:
        return Figure(figure.name, figure.title, figure.better, reason="it is not a finite number", label=figure.label)
    return replace(figure, **bad)


def as_dict(report: Report) -> dict[str, Any]:
    """What report.json holds: everything on the page but its pictures, numbers finite or null."""
    from morelike.measure.page.folder import audited, history

    measured = report.measured
    novelty = measured.novelty and {
        "rule": measured.novelty.rule, "figures": measured.novelty.figures,
        "neighbours": [without_pictures(one) for one in report.pairs], "passages": measured.passages,
    }  # fmt: skip
    return plain(
        {
            "format": FORMAT, "version": VERSION, "about": report.about, "notes": report.notes,
            "verdict": measured.verdict, "figures": measured.figures, "novelty": novelty,
            "selftest": measured.damages, "features": measured.features, "counts": measured.counts,
            "columns": measured.over or measured.portrait, "cost": measured.cost, "forecast": measured.forecast,
            "diagnosis": measured.findings, "audit": audited(report.run), "run": history(report.run),
        }
    )  # fmt: skip


def without_pictures(pair: Pair) -> dict[str, Any]:
    """A pair as data."""
    return {name: value for name, value in vars(pair).items() if name != "pictures"}


def plain(value: Any) -> Any:
    """A value in JSON's own kinds: dataclasses as objects, numbers that JSON cannot hold as null, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None
