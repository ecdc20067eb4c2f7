"""The heart of a report on series: what is measured of made windows, given real ones, and the word that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from morelike.core.family import Family
from morelike.measure.anchors import FEW
from morelike.measure.figure import Estimate, Evidence, Figure, Finding, Measured, Novelty, Verdict
from morelike.measure.panel import Scale, figure
from morelike.measure.series.arrange import Scene, arrange
from morelike.measure.series.copies import window_novelty
from morelike.measure.series.figures import (
    NEAR,
    Judged,
    headline,
    judged,
    judges,
    nearness,
    over_time,
    prediction,
    trees_score,
)
from morelike.measure.series.portrait import drawn
from morelike.measure.series.windows import blocks
from morelike.measure.table.evaluate import as_test
from morelike.measure.table.likelihood import row_likelihood
from morelike.measure.verdict import judge

Tell = Callable[[str, float], None]
WINDOWS = 500  # of a kind that the likelihood is taken of: they have many cells
DRIFT = 0.75  # two-sample score of training windows against held-out ones that is surely missed if these have changed
FLATTERS = " This is against training windows, and flatters."
LATER = Scale("held_out_score", "Two-sample score against held-out windows", "higher",
              "Among held-out windows, which are of another time or kind, about {value} of 100 samples could pass; of "
              "training windows {floor}.", 1.0)  # fmt: skip


def evaluate_series(
    evidence: Evidence, family: Family | None = None, seed: int = 0, tell: Tell = lambda stage, share: None
) -> Measured:
    """Everything that can be said of made windows, each figure beside real ones, copies and independent numbers.

    evidence  with `series`; those and the encoded items are in the same order
    family    the model, for its likelihood if it has one

    Where held-out windows can be told from training windows, as those of a price that has risen since, no model could
    make them: samples are judged beside other training windows then, a finding says so, and what held-out windows say
    stands beside it.
    """
    assert evidence.series is not None
    series = evidence.series
    scene = arrange(series, seed)
    counts = {"made": len(series.made), "train": len(series.train), "held_out": len(series.held),
              "columns": len(series.columns), "compared": len(scene.fold[0].real) if scene.fold else 0}  # fmt: skip
    if not scene.fold:
        return Measured(Verdict("unmeasured", "Nobody can say yet whether to use this model: there are too few windows "
                                "to compare."), [], None, counts=counts)  # fmt: skip
    findings, later = list[Finding](), list[Figure]()
    if not scene.flatters and (moved := drift(scene)):
        later = [_later(scene, moved)]
        findings = [_drifted(scene, moved)]
        scene = arrange(series, seed, known=True)
    elif scene.flatters:
        findings = [_few(counts["held_out"], len(scene.held))]
    tell("figures", 0.2)
    found, near = judged(scene), nearness(scene)
    tell("figures", 0.7)
    others = [*judges(found), *over_time(scene), prediction(scene)]
    tell("figures", 1.0)
    figures = [headline(found), *(figure(NEAR[name], one) for name, one in near.items()), *others]
    figures = [*(_remarked(one, scene.flatters) for one in figures), *later]
    figures += row_likelihood(evidence, family, seed, "window", WINDOWS) if family is not None else []
    tell("likelihood", 1.0)
    news = window_novelty(series, scene.sets.trivial, seed)
    tell("novelty", 1.0)
    word = _verdict(scene, found, figures, news, counts)
    shown = drawn(scene.side("made"), scene.side("real"), scene.columns)
    return Measured(word, figures, _fair(news, bool(later)), counts=counts, findings=findings, over=shown)


def drift(scene: Scene) -> Estimate | None:
    """The two-sample score of training windows against held-out ones, where it surely is under `DRIFT`; else None.

    By boosted trees, on blocks of windows that share no step.
    """
    kept = blocks(len(scene.held), scene.run) >= 0
    held = scene.held[kept]
    known = scene.train[blocks(len(scene.train), scene.run) >= 0]
    known = known[torch.linspace(0, len(known) - 1, min(len(known), max(len(held), FEW))).round().long()]
    score = trees_score(known, held, replace(scene, new=None))
    told = score.value is not None and score.high is not None and score.high < DRIFT
    return score if told else None


def _later(scene: Scene, moved: Estimate) -> Figure:
    """What samples and training windows get beside held-out ones."""
    made = scene.sets.made[: max(len(scene.held), FEW)]
    score = trees_score(made, scene.held, replace(scene, new=None))
    if score.value is None:
        return Figure(LATER.name, LATER.title, "higher", reason=score.reason)
    says = LATER.words.format(value=f"{100 * score.value:.0f}", floor=f"{100 * (moved.value or 0.0):.0f}")
    return Figure(LATER.name, LATER.title, "higher", score.value, score.low, score.high, moved.value, ideal=1.0,
                  says=says)  # fmt: skip


def _verdict(scene: Scene, found: Judged, figures: list[Figure], news: Novelty, counts: dict[str, int]) -> Verdict:
    """The word, by the same rule as of everything else: the score s as AUC = 1 - s / 2."""
    test = as_test(found.scores[found.harder()])
    scale = Scale("two_sample", "Two-sample test", ideal=0.5)
    floors = {"two_sample": test.floor}
    shown = [one for one in figures if not one.name.startswith("two_sample")]
    read = replace(figure(scale, test), says=figures[0].says)
    known = counts if not scene.flatters else {**counts, "held_out": len(scene.train)}
    return judge([*shown, read], floors, news, known)


def _fair(news: Novelty, moved: bool) -> Novelty:
    """Without the distances to held-out windows, where these are of another kind than training windows."""
    if not moved:
        return news
    why = "held-out windows are of another time or kind, and far from all samples for that alone"
    return replace(news, figures=tuple(replace(Figure(one.name, one.title, one.better, reason=why))
                                       if one.name == "distance_ratio" else one for one in news.figures))  # fmt: skip


def _remarked(one: Figure, flatters: bool) -> Figure:
    return replace(one, says=one.says + FLATTERS) if flatters and one.value is not None else one


def _drifted(scene: Scene, moved: Estimate) -> Finding:
    """Held-out windows that are of another law than the training windows."""
    train, held = (one.reshape(-1, one.shape[2]) for one in (scene.train, scene.held))
    low, high = (torch.nan_to_num(train, end).amin(0) if end > 0 else torch.nan_to_num(train, end).amax(0)
                 for end in (torch.inf, -torch.inf))  # fmt: skip
    beyond = float(((held < low) | (held > high)).double().sum() / (~held.isnan()).sum().clamp_min(1))
    return Finding(
        "drift", "warn", "The data have changed between training and held-out windows",
        f"Trees tell training windows from held-out ones: about {100 * (moved.value or 0.0):.0f} of 100 could pass for "
        f"them, and {100 * beyond:.0f} of 100 held-out values lie outside of the range of the training windows.",
        "No model could make the held-out windows from what it saw, so samples are judged beside other training "
        "windows. Copying looks like quality there, but copies are looked for.",
        "To judge by new windows, learn changes or ratios in the place of levels, or hold out windows of that time.",
        count=len(scene.held),
    )  # fmt: skip


def _few(held: int, apart: int) -> Finding:
    return Finding(
        "few_held_out", "warn", "Too few windows were held out",
        f"{held:,} windows were held out, {apart:,} of which share little with one another, and {FEW} are needed.",
        "The samples are compared with windows that the model was trained on, so copying looks like quality; copies "
        "are looked for.", "Hold more out, or name another series with --against.", count=held,
    )  # fmt: skip
