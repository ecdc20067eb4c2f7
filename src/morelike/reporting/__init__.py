"""From a run to its report: real items, samples, features, figures, cost, diagnosis, and the page that tells them."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from morelike.collect import Prepared
from morelike.core.errors import MorelikeError, OptionError, unknown
from morelike.measure.cost import cost
from morelike.measure.diagnosis import diagnose
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Evidence, Measured, Verdict
from morelike.measure.forecast import LIMIT, forecast_of
from morelike.measure.record import Pictures, Report
from morelike.measure.report import write
from morelike.recipes import configure, module
from morelike.reporting.evidence import COLUMNS, Wishes, conditions, duplicates, gathered, number, wishes
from morelike.reporting.items import Items, Tell, held_out, other, prepared, trained_on
from morelike.reporting.looks import KINDS, features_for
from morelike.reporting.pictures import by_class, gallery, pairs, sheets
from morelike.reporting.samples import draw
from morelike.reporting.watch import Watch
from morelike.run import Run
from morelike.train.folder import BEFORE

SEEN = (
    "Samples, figures and copies are those of the model before it was trained on the held-out rows as well, so that "
    f"these are new to it. It is in the folder {BEFORE}, and the run itself has learnt from more rows."
)


@dataclass(frozen=True)
class Asked:
    """What a report is asked for.

    against   a source that takes the place of the held-out items
    samples   how many to draw; as many as there are training items, from 1,000 to 10,000, if None
    seed      of the samples, the features and every random choice
    features  learned | random | inception | dinov2
    selftest  whether to try the measures on known damage
    columns   of a table, that are measured at most: of more, some at random
    """

    against: str | None = None
    samples: int | None = None
    seed: int = 0
    features: str = "learned"
    selftest: bool = True
    columns: int = COLUMNS

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise OptionError(f"{self.samples} samples were asked for", "At least 1, better 1,000", "Use -n 1000, say")
        if not 0 <= self.seed < 2**31:
            raise OptionError(f"The seed is {self.seed}", "A whole number from 0 to 2^31", "Choose another one")
        if self.features not in KINDS:
            raise unknown("kind of features", self.features, KINDS)

    def command(self, run: Path, samples: int) -> str:
        """The command line that asks for the same."""
        words = ["morelike", "report", str(run), "-n", str(samples), "--seed", str(self.seed)]
        words += ["--features", self.features] if self.features != "learned" else []
        words += ["--against", self.against] if self.against is not None else []
        return shlex.join(words + ([] if self.selftest else ["--no-selftest"]))


def report(run: Run, asked: Asked = Asked(), tell: Tell = lambda stage, fraction: None) -> Report:
    """Measure a run and write report.html and report.json into its folder.

    tell  called with the stage and the share of it that is done

    Where the source of the run is gone or has changed, the verdict is "unmeasured", and the report holds what can be
    told without it. Raises a three-part error where `asked.against` cannot be read.
    """
    watch = Watch(tell)
    judged = unseen(run) if asked.against is None else run
    try:
        known = prepared(judged, watch)
    except MorelikeError as error:
        found = without_data(run, asked, error, watch)
    else:
        found = with_data(judged, asked, known, watch)
    if judged is not run:
        found.notes.append(SEEN)
    complete(run, found, watch)
    watch("Writing", 0.0)
    found.about["seconds"] = watch.seconds()
    found.save(run.path / "report.json")
    write(run.path, found)
    watch("Writing", 1.0)
    return found


def unseen(run: Run) -> Run:
    """The run, or what it was before it was trained on its held-out items as well, under the same path."""
    before = run.path / BEFORE
    return replace(Run.load(before), path=run.path) if before.is_dir() else run


def with_data(run: Run, asked: Asked, known: Prepared, tell: Tell) -> Report:
    """Everything that is measured on samples and real items."""
    train = trained_on(known, asked.seed)
    real = held_out(known, asked.seed) if asked.against is None else other(run, asked.against, known, tell, asked.seed)
    wanted = wishes(run, asked.samples, train, real, asked.seed)
    made = draw(run, wanted.n, asked.seed, wanted.given, tell)
    evidence = gathered(run, made, wanted, train, real, asked.seed, asked.columns)
    features = features_for(run, train, known, asked, tell) if evidence.rows is None and evidence.series is None else []
    times = duplicates(known, run.recipe["data"].get("together", ()))
    measured = evaluate(
        evidence, features, metrics=run.codec.metrics, family=run.family, selftest=asked.selftest,
        duplicates=times, seed=asked.seed, tell=tell,
    )  # fmt: skip
    tell("Looking ahead", 0.0)
    held = (real if asked.against is None else held_out(known, asked.seed)).x[:LIMIT]
    if len(held) > 1 and features:
        measured.forecast = forecast_of(run.path, features[0], features[0](held), seed=asked.seed)
    tell("Drawing the page", 0.0)
    notes = [*train.notes, *real.notes, *_of_columns(run, evidence)]
    shown = gallery(run.codec, evidence, asked.seed)
    beside = pairs(run.codec, evidence, measured, times)
    return Report(run.path, measured, about(run, asked, wanted.n, real.about), notes, beside, shown)


def _of_columns(run: Run, evidence: Evidence) -> list[str]:
    """What is to be said where not all columns of a table were measured."""
    if evidence.rows is None or (some := len(evidence.rows.made.columns)) == (total := len(run.codec.columns)):
        return []
    return [f"Of {total:,} columns, {some:,} were measured, chosen at random."]


def without_data(run: Run, asked: Asked, error: MorelikeError, tell: Tell) -> Report:
    """What can be told of a run whose training data are not there: samples, cost, history."""
    n = min(number(run, asked.samples, 0), 400) if len(run.fields) == len(run.labels) else 0  # or what from?
    wanted = Wishes(n, conditions(run, None, n, asked.seed))
    made = draw(run, n, asked.seed, wanted.given, tell)
    empty = Items(made[:0], torch.empty(0, dtype=torch.long).numpy(), None, (), "held out")
    evidence = gathered(run, made, wanted, empty, empty, asked.seed)
    said = "Nobody can say how good this model is without the data that it was trained on."
    said = f"{said} {error.found}. {error.action}."
    measured = Measured(Verdict("unmeasured", said), [], None, counts={"made": n})
    if evidence.rows is not None:
        shown = sheets(None, evidence.rows.made, asked.seed)
    else:
        shown = Pictures(classes=by_class(run.codec, evidence))
    return Report(run.path, measured, about(run, asked, n, "nothing"), [str(error)], pictures=shown)


def about(run: Run, asked: Asked, n: int, against: str) -> dict[str, Any]:
    """How the numbers were made."""
    from morelike import __version__

    return {
        "morelike": __version__, "torch": torch.__version__, "run": str(run.path), "source": run.recipe["source"],
        "family": run.recipe["family"], "step": run.trained.get("step"), "samples": n, "seed": asked.seed,
        "against": against, "selftest": asked.selftest, "command": asked.command(run.path, n),
    }  # fmt: skip


def complete(run: Run, found: Report, tell: Tell) -> None:
    """Add what the run folder tells: cost and diagnosis."""
    tell("Cost and diagnosis", 0.0)
    found.measured.cost = cost(run.path)
    config = configure(module("family", run.recipe["family"]).Config, run.recipe["config"])
    options = {**asdict(config), **run.recipe["train"]}  # everything that --set can change
    found.measured.findings = [*found.measured.findings, *diagnose(run.path, found.measured, options)]
