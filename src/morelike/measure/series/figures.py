"""Everything that is measured of series, each figure beside real windows, a copy machine and independent numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from morelike.measure.anchors import Anchored, Sets, anchored, checked
from morelike.measure.coverage import clipped_coverage, clipped_density
from morelike.measure.figure import Estimate, Figure
from morelike.measure.panel import Scale, figure
from morelike.measure.series import statistics
from morelike.measure.series.arrange import Scene
from morelike.measure.series.features import columns, features
from morelike.measure.series.recurrent import (
    FEWEST,
    Net,
    Told,
    as_score,
    discriminative,
    predictive,
    scale,
    straight,
    tell_apart,
)
from morelike.measure.series.windows import lengths
from morelike.measure.table.figures import beside
from morelike.measure.table.support import spread
from morelike.measure.table.trees import two_sample_score

SIDES = {"value": "made", "floor": "fresh", "copies": "copies", "trivial": "trivial"}
JUDGES = {"trees": "Boosted trees on values, changes and their moments leave",
          "recurrent": "A recurrent net leaves"}  # fmt: skip
PASS = "about {value} of 100 samples that could pass for real windows; of real windows themselves {floor}."
OVER_TIME: Mapping[str, tuple[Scale, Callable[[Tensor, Tensor], float], float | None]] = {
    "shape": (Scale("shape", "Shape of columns", "higher",
                    "Column by column, the values of samples and of real windows have {value} of 100 parts in common; "
                    "real windows among themselves {floor}.", 1.0), statistics.marginals, 1.0),
    "shape_of_changes": (Scale("shape_of_changes", "Shape of changes", "higher",
                               "Changes from one step to the next have {value} of 100 parts in common; in real windows "
                               "{floor}.", 1.0),
                         lambda a, b: statistics.marginals(statistics.changes(a), statistics.changes(b)), 1.0),
    "autocorrelation": (Scale("autocorrelation", "Autocorrelation", "lower",
                              "How values and changes go with earlier ones is off by {value} of 100; between real "
                              "windows by {floor}.", 0.0), statistics.memory, 1.0),
    "cross_correlation": (Scale("cross_correlation", "Cross-correlation", "lower",
                                "How columns go with one another, at once and a step later, is off by {value} of 100; "
                                "between real windows by {floor}.", 0.0), statistics.ties, 1.0),
    "spectrum": (Scale("spectrum", "Spectrum", "lower",
                       "The power of slow and fast movements is off by {raw} decibels; between real windows by "
                       "{raw_floor}.", 0.0), statistics.waves, None),
    "lengths": (Scale("lengths", "Lengths", "higher",
                      "Lengths have {value} of 100 parts in common; those of real windows {floor}.", 1.0),
                lambda a, b: statistics.marginals(_lengths(a), _lengths(b)), 1.0),
}  # fmt: skip
DISCRIMINATIVE = Scale("discriminative_score", "Discriminative score", "lower",
                       "A recurrent net is right by {raw} more than a guess, of 0.5 at most; on real windows by "
                       "{raw_floor}.", 0.0)  # fmt: skip
PREDICTIVE = Scale("predictive_score", "Predictive score", "lower",
                   "A net that learned from samples predicts the last column of real windows one step ahead with a "
                   "mean error of {raw}, where 1 is its range; from real windows with {raw_floor}.")  # fmt: skip
WEAK = " This is weak evidence: a straight line, learned from real windows, gets {:.3g}."
NEAR = {
    "density": Scale("density", "Clipped density", "higher",
                     "About {value} of 100 samples look like real windows; of real ones about {floor} do.", 1.0),
    "coverage": Scale("coverage", "Clipped coverage", "higher",
                      "Of what real windows show, the samples show about {value} of 100 parts; other real windows "
                      "{floor}.", 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """What two judges say: the two-sample score of either, by name, and the discriminative score of the net."""

    scores: Mapping[str, Anchored]
    discriminative: Anchored

    def harder(self) -> str:
        """The judge that surely tells more: whose interval ends at the lowest score."""
        known = {name: one.value.high for name, one in self.scores.items() if one.value.high is not None}
        return min(known, key=lambda name: known[name] or 0.0) if known else "trees"


def judged(scene: Scene) -> Judged:
    """Both judges on every side of the fold."""
    trees = anchored(lambda a, b: trees_score(a, b, scene), scene.sets, scene.fold)
    net = _told(scene)
    if isinstance(net, str):
        none = Estimate(reason=net)
        empty = Anchored(none, none, none, none)
        return Judged({"trees": trees, "recurrent": empty}, empty)
    count = round(2 * Net().judged * len(scene.fold[0].real))
    score = Anchored(**{name: as_score(one, scene.run) for name, one in net.items()})
    plain = Anchored(**{name: discriminative(one, count, scene.run) for name, one in net.items()})
    return Judged({"trees": trees, "recurrent": score}, plain)


def trees_score(made: Tensor, real: Tensor, scene: Scene) -> Estimate:
    """The two-sample score of boosted trees on features of windows."""
    a, b = features(made), features(real)
    return two_sample_score(a, b, columns(b), new=scene.new, run=scene.run, seed=scene.seed)


def _told(scene: Scene) -> Mapping[str, Told] | str:
    """What a recurrent net says of every side against real windows, or why it says nothing.

    It is judged on the windows that the model never saw, where there are enough: on blocks of these and no others.
    """
    real = scene.side("real")[: scene.new]
    few = min(len(real), len(scene.side("made")))
    if few < FEWEST * 2:
        return f"there are {few} windows of a kind, and {2 * FEWEST} are needed"
    to = scale(scene.train)
    return {name: tell_apart(to(scene.side(side)), to(real), run=scene.run, seed=scene.seed)
            for name, side in SIDES.items()}  # fmt: skip


def headline(found: Judged) -> Figure:
    """The two-sample score of the judge that tells more, 1 - 2 |AUC - 1/2|."""
    name = found.harder()
    words = f"{JUDGES[name]} {PASS}"
    return figure(Scale("two_sample_score", "Two-sample score", "higher", words, 1.0), found.scores[name])


def judges(found: Judged) -> list[Figure]:
    """What either judge says, and the discriminative score."""
    titles = {"trees": "Score of boosted trees", "recurrent": "Score of a recurrent net"}
    shown = [figure(Scale(f"score_{name}", titles[name], "higher", f"{JUDGES[name]} {PASS}", 1.0), one)
             for name, one in found.scores.items()]  # fmt: skip
    return [*shown, figure(DISCRIMINATIVE, found.discriminative)]


def over_time(scene: Scene) -> list[Figure]:
    """Values, changes, memory, ties and spectra; lengths where they vary, ties where there are several columns."""
    found = []
    for name, (kind, of, most) in OVER_TIME.items():
        if name == "lengths" and len(lengths(torch.cat([scene.side("real"), scene.side("made")])).unique()) < 2:
            continue
        if name == "cross_correlation" and len(scene.columns) < 2:
            continue
        found.append(figure(kind, beside(of, scene.sets, scene.fold, most)))
    return found


def prediction(scene: Scene) -> Figure:
    """The predictive score, with what a straight line gets said beside it."""
    to = scale(scene.train)
    real = to(scene.side("real"))
    one = Anchored(**{name: checked(predictive(to(scene.side(side)), real, seed=scene.seed))
                      for name, side in SIDES.items()})  # fmt: skip
    shown = figure(PREDICTIVE, one)
    if shown.value is None:
        return shown
    line = straight(to(scene.side("fresh")), real)
    return replace(shown, says=shown.says + WEAK.format(line)) if math.isfinite(line) else shown


def nearness(scene: Scene) -> dict[str, Anchored]:
    """Clipped density and coverage, by ranks of the features among those of training windows."""
    points = spread(features(scene.train), columns(features(scene.train[:1])))

    def seen(x: Tensor) -> Tensor:
        return points(features(x)) if len(x) else torch.zeros(0, 1)

    sets: Sets = scene.sets.map(seen)
    measures = {"density": clipped_density, "coverage": clipped_coverage}
    return {name: anchored(measure, sets, scene.pair) for name, measure in measures.items()}


def _lengths(x: Tensor) -> Tensor:
    return lengths(x).double()[:, None, None]
