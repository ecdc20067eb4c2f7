"""What `fit` does after training, where it is asked to: new items in a file and the report, within the same minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from morelike.core.errors import OptionError

if TYPE_CHECKING:
    from morelike.measure.record import Report
    from morelike.run import Run

USUAL = 5.0  # minutes where neither minutes nor steps are said
REPORT, SAMPLES = 0.25, 0.08  # share of the minutes that is kept for each
CELLS = 1_200  # made cells that a report measures in a second of one core
FEWEST, MOST = 1_000, 10_000  # samples that a report draws
NARROWEST = 40  # columns that are measured where there is no time for more
SHORT = 120.0  # seconds below which a report does not test its own measures
STARTED = time.perf_counter() - time.process_time()  # of this process, about
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".txt", ".png", ".gif", ".npy", ".npz", "")


@dataclass(frozen=True)
class After:
    """What is wanted beside the run.

    samples  file or folder for new items, and `number`, how many: of a table as many as it has, if None
    report   whether the run is measured
    minutes  for everything; None where a number of steps was asked for
    began    the `time.perf_counter` from which they count
    """

    samples: Path | None
    number: int | None
    report: bool
    minutes: float | None
    began: float

    def verify(self) -> None:
        """Refuse what could only fail when the time is over."""
        if self.samples is None:
            if self.number is not None:
                raise OptionError(f"-n is {self.number}", "A file for so many items", "Give it: --samples new.csv")
            return
        if self.number is not None and self.number < 1:
            raise OptionError(f"-n {self.number} asks for nothing", "A whole number from 1", "Give for example: -n 64")
        if self.samples.suffix.lower() not in SUFFIXES:
            found = f"--samples cannot write {self.samples.name}"
            raise OptionError(found, f"A name that ends in {', '.join(SUFFIXES[:-1])}, or a folder", "Choose another")
        if self.samples.exists():
            found = f"{self.samples} exists already"
            raise OptionError(found, "A new name for --samples", "Choose another one, or move that away")

    @property
    def training(self) -> float | None:
        """Minutes that are left for training."""
        kept = REPORT * self.report + SAMPLES * (self.samples is not None)
        return None if self.minutes is None else self.minutes * (1 - kept)

    def __call__(self, out: Path, machine: bool) -> tuple[dict[str, Path], Report | None]:
        """Draw and measure; what was written, by kind, and the report."""
        if self.samples is None and not self.report:
            return {}, None
        from morelike.run import Run

        run, left = Run.load(out), dict[str, Path]()
        if self.samples is not None:
            drawn(run, self.samples, self.number)
            left["samples"] = self.samples
        return (left | {"report": out / "report.html"}, self._measured(run, machine)) if self.report else (left, None)

    def _measured(self, run: Run, machine: bool) -> Report:
        from morelike.cli.display import display
        from morelike.cli.report import follow
        from morelike.reporting import Asked

        seconds = None if self.minutes is None else 60 * self.minutes - (time.perf_counter() - self.began)
        asked = Asked()
        if seconds is not None:
            n, columns = fitting(run, seconds)
            asked = Asked(samples=n, selftest=seconds >= SHORT, columns=columns)
        return follow(run, asked, display(machine))


def fitting(run: Run, seconds: float) -> tuple[int | None, int]:
    """How many rows and columns of a table can be measured in so many seconds; no number of rows for other items.

    A busy machine gives a process less than a core: the share that it got so far is taken for what it will get.
    """
    from morelike.reporting.evidence import COLUMNS

    if run.codec.natural != "table":
        return None, COLUMNS
    trained, width = run.recipe["data"]["train"], max(1, min(COLUMNS, len(run.codec.columns)))
    got = min(1.0, time.process_time() / max(time.perf_counter() - STARTED, 1e-9))
    cells = int(CELLS * seconds * got)
    n = min(max(FEWEST, cells // width), MOST, max(FEWEST, trained))
    return n, min(width, max(NARROWEST, cells // min(n, trained)))  # as many rows are compared as there are real ones


def drawn(run: Run, target: Path, number: int | None) -> None:
    """Write new items of a run into a file or folder."""
    from morelike.cli import sample, texts

    options = sample.Options(run=run.path, number=number, out=target)
    if run.codec.natural == "text":
        texts.show(run, options, number, {})
        return
    rows = number or (run.recipe["data"]["items"] if run.codec.natural == "table" else None)
    sample.work(run, sample.Options(run=run.path, number=rows, out=target), target, [])


def told(report: Report | None, out: Path) -> tuple[Mapping[str, Any], list[str]]:
    """The verdict, for programs and for people."""
    if report is None:
        return {}, []
    from morelike.cli.report import Options, ending

    return {"verdict": report.verdict.word}, ending(report, Options(run=out))
