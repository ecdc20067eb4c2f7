"""The heart of a report on tables: what is measured of made rows, given real ones, and the word that follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from morelike.core.family import Family
from morelike.measure.anchors import FEW, Anchored
from morelike.measure.figure import Estimate, Evidence, Figure, Finding, Measured, Novelty, Verdict
from morelike.measure.panel import SCALES, figure
from morelike.measure.table.arrange import Tables, arrange
from morelike.measure.table.copies import row_novelty
from morelike.measure.table.figures import HEADLINE, columns_and_pairs, headline, nearness, predictions, support
from morelike.measure.table.likelihood import row_likelihood
from morelike.measure.table.portrait import portrait
from morelike.measure.table.sheet import Rows, coded
from morelike.measure.verdict import ALONE, NOTICED, judge

Tell = Callable[[str, float], None]
FLATTERS = " This is against training rows too, for want of held-out ones, and flatters."


def evaluate_rows(evidence: Evidence, family: Family | None, seed: int, tell: Tell) -> Measured:
    """Everything that can be said of made rows, each figure beside real rows, a copy machine and independent columns.

    evidence  with `rows`; those and the encoded items are in the same order
    family    the model, for its likelihood if it has one
    """
    assert evidence.rows is not None
    tables = arrange(evidence.rows, seed)
    counts = {"made": len(evidence.rows.made), "train": len(evidence.rows.train), "held_out": len(evidence.rows.held),
              "columns": len(tables.columns), "compared": tables.new}  # fmt: skip
    if not tables.fold or not tables.columns:
        why = "there are too few rows to compare" if tables.columns else "no column holds numbers or categories"
        return Measured(Verdict("unmeasured", f"Nobody can say yet whether to use this model: {why}."), [], None,
                        counts=counts)  # fmt: skip
    score, near = headline(tables), nearness(tables, seed)
    tell("figures", 0.3)
    figures = [figure(HEADLINE, score), *columns_and_pairs(tables)]
    tell("figures", 0.7)
    figures += [figure(SCALES[name], one) for name, one in near.items()] + support(tables)
    tell("figures", 1.0)
    figures += predictions(tables, lambda share: tell("predictions", share))
    figures = [_remarked(one, tables.flatters) for one in figures]
    figures += row_likelihood(evidence, family, seed) if family is not None else []
    tell("likelihood", 1.0)
    news = _novelty(evidence.rows, tables, seed)
    tell("novelty", 1.0)
    test = as_test(score)
    floors = {"two_sample": test.floor, ALONE: test.trivial, **{name: one.floor for name, one in near.items()}}
    word = judge([*figures[1:], _test_figure(test, figures[0])], floors, news, counts)
    shown = portrait(tables.rows("made"), tables.rows("real"), tables.columns)
    return Measured(word, figures, news, counts=counts, findings=_findings(tables, counts, test), portrait=shown)


def as_test(score: Anchored) -> Anchored:
    """The score s as the share of pairs that the classifier ranks rightly, AUC = 1 - s / 2, by which verdicts go.

    Were a share s of the samples beyond recognition and all others recognised, accuracy and AUC would be 1 - s / 2.
    """

    def turned(one: Estimate) -> Estimate:
        value, high, low = (None if each is None else 1 - each / 2 for each in (one.value, one.low, one.high))
        return Estimate(value, low, high, one.reason)

    return Anchored(*(turned(getattr(score, name)) for name in ("value", "floor", "copies", "trivial")))


def _test_figure(test: Anchored, score: Figure) -> Figure:
    """The test as verdicts read it, with the sentence of the score."""
    return replace(figure(SCALES["two_sample"], test), says=score.says)


def _novelty(rows: Rows, tables: Tables, seed: int) -> Novelty:
    """Copies and nearest rows, by the rows of the sheets as they were given."""
    sets = {name: coded(getattr(rows, name), tables.columns) for name in ("made", "train", "held")}
    return row_novelty({**sets, "trivial": tables.pool.trivial}, tables.columns, seed)


def _remarked(one: Figure, flatters: bool) -> Figure:
    return replace(one, says=one.says + FLATTERS) if flatters and one.value is not None else one


def _findings(tables: Tables, counts: Mapping[str, int], test: Anchored) -> list[Finding]:
    """What is wrong with the evidence itself."""
    found = []
    if tables.flatters:
        found.append(Finding(
            "few_held_out", "warn", "Too few rows were held out",
            f"{counts['held_out']:,} rows were held out, and {FEW} are needed.",
            "The samples are compared with rows that the model was trained on, so copying looks like quality.",
            "Hold more out, or name other real rows with --against.", count=counts["held_out"],
        ))  # fmt: skip
    if len(tables.columns) > 1 and test.trivial.low is not None and test.trivial.low <= NOTICED:
        found.append(Finding(
            "weak_test", "note", "The two-sample test tells little here",
            f"It tells independent columns from real rows in {100 * (test.trivial.value or 0.0):.0f} of 100 cases, "
            "where 50 is chance.",
            "A good score does not show that columns go together as they should: one says little of another, or there "
            "are too few rows to see it.",
            "Look at predictions and pairs, or name more real rows with --against.",
        ))  # fmt: skip
    return found
