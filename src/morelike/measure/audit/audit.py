"""All that was found in a source before training: a verdict, findings, and how to write them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from morelike.core.errors import OptionError
from morelike.measure.audit.page import page
from morelike.measure.audit.wording import some
from morelike.measure.figure import Finding
from morelike.measure.record import plain
from morelike.train.folder import write_bytes, write_json

FORMAT, VERSION = "morelike audit", 1  # of the JSON
GRAVEST = ("stop", "warn", "note")


@dataclass
class Audit:
    """What was found in a source.

    source     what the user calls it
    shape      of an item once it is prepared
    counts     items, left_out, train, held_out
    classes    number of items of each class
    findings   the gravest first
    skipped    (name, reason) of what was left out
    suggested  by row, the label that one that is probably wrong should rather be
    labels     by row, the label that the same one has
    notes      what was not looked at, and why
    seconds    by stage
    pictures   items that findings show, as HTML, by their row
    """

    source: str
    shape: tuple[int, ...]
    counts: Mapping[str, int]
    classes: Mapping[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    suggested: dict[int, str] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.findings = sorted(self.findings, key=lambda one: GRAVEST.index(one.severity))

    @property
    def verdict(self) -> str:
        """The first line: "ready to train", "3 things to mend first" or "not fit to train on".

        Rule: one finding that says stop is enough for the last; each that warns is a thing to mend.
        """
        grave = [one for one in self.findings if one.severity == "stop"]
        mend = sum(one.severity == "warn" for one in self.findings)
        if grave:
            return "not fit to train on"
        return some(mend, "thing to mend first", "things to mend first") if mend else "ready to train"

    @property
    def sentence(self) -> str:
        """How much there is, in one sentence."""
        items, train, held = (self.counts[name] for name in ("items", "train", "held_out"))
        said = f"{some(items, 'item', 'items')}: {train:,} to train on, {held:,} held out"
        if self.classes:
            said += f", of {some(len(self.classes), 'class', 'classes')}"
        return said + (f"; {self.counts['left_out']:,} cannot be used." if self.counts["left_out"] else ".")

    def json(self) -> dict[str, Any]:
        """Everything but the pictures, as plain data; all names are there in full."""
        return plain(
            {
                "format": FORMAT, "version": VERSION, "verdict": self.verdict, "sentence": self.sentence,
                **{name: value for name, value in vars(self).items() if name != "pictures"},
            }
        )  # fmt: skip

    def save(self, target: str | Path) -> Path:
        """Write the page (.html) or the data (.json), whole or not at all, and return the path."""
        path = Path(target)
        if path.suffix.lower() == ".json":
            write_json(path, self.json())
        elif path.suffix.lower() in (".html", ".htm"):
            write_bytes(path, page(self).encode())
        else:
            found, action = f"An audit cannot be written as {path.name}", "Choose one of these"
            raise OptionError(found, "A name that ends in .html or .json", action)
        return path
