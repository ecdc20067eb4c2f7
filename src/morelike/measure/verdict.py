"""One word on a model, by a fixed rule: whether to use it, and for what.

The first line that holds decides. A figure's interval is its 95 % interval; "real" is the same measure on real items
against real items, so that nothing here depends on what a number happens to be in one data set. Where a classifier
looked through several kinds of features, the two-sample test is that in which it told most.

    word               holds when
    poor               at least half of the samples are not numbers
    copies             copy rate: interval above the upper end of real's, and more than 5 in 100; or, of texts, more
                       than 25 in 100 characters word for word in training documents, and twice what is in real's
    collapsed          the nearest twin of a sample is closer than a tenth of what it is in real items;
                       or coverage below a tenth of real's while density is above a half of real's
    unmeasured         the two-sample test, density or coverage has no value
    poor               density or coverage below a quarter of real's, or fewer than a quarter of the samples could
                       pass for real: two-sample interval above 87.5 in 100; or, of tables, above three quarters of
                       the way from chance to independent columns, where these are surely told in 60 in 100 cases; or
                       predictions kept below a quarter of real's: they show columns, and not what goes together; or,
                       of texts that answer others, chrF below that of a memory of the training pairs
    unmeasured         fewer than 50 held-out items or 50 samples: what is left of the rule would flatter
    indistinguishable  two-sample: interval reaches real's, and its upper end is at most 60 in 100, so that a
                       difference would have been noticed; the intervals of density, coverage and missing kinds
                       reach real's; class accuracy at least 0.8 of real's; chrF above the memory's
    close              two-sample at most 65 in 100 (15 above chance), density, coverage and class accuracy at least
                       0.8 of real's, kinds of at most 10 in 100 real items missing; chrF above the memory's
    usable with care   otherwise
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from morelike.measure.anchors import FEW
from morelike.measure.figure import Damage, Estimate, Figure, Novelty, Verdict
from morelike.measure.interval import wilson

MOST_COPIES = 0.05  # share of copies that is always let pass
MOST_VERBATIM = 0.25  # and share of the characters of texts that stand word for word in training documents
TINY, LITTLE, HALF = 0.1, 0.25, 0.5  # of what real items get
TOLD = 1 - LITTLE / 2  # two-sample accuracy that leaves so few samples unnoticed, half of which are guessed right
NOTICED = 0.60  # two-sample accuracy that a test must be able to exclude before it may say that there is no difference
NEAR = 0.65  # two-sample accuracy up to which samples are close
MOST = 0.8  # share of real's from which samples are close
LACKING = 0.1  # share of the real items whose kinds may be missing from close samples
ALONE = "columns"  # among the floors: of tables, the two-sample test on independent columns
NEEDED = ("two_sample", "density", "coverage")

RULE = (
    "The first that holds. Poor: half of the samples or more are not numbers. Copies: copy rate above that of real "
    "items beyond chance, and above 5 in 100; of texts also more than 25 in 100 characters word for word in training "
    "documents, and twice as many as in real ones. Collapsed: the nearest twin of a sample is ten times closer than in "
    "real items, or coverage is under a tenth of real's at good density. Poor as well: density or coverage under a "
    "quarter of real's, or the two-sample interval above 87.5 in 100, so that fewer than a quarter of the samples "
    "could pass for real; or, of tables, above three quarters of the way from chance to independent columns, where "
    "these are surely told in 60 in 100 cases, or predictions kept under a quarter of real's; or, of texts that answer "
    "others, chrF below that of a memory of the training pairs. "
    "Unmeasured: under 50 held-out items or samples. Indistinguishable: the two-sample interval reaches real's and "
    "stays under 60 in 100; density, coverage and missing kinds reach real's. Close: two-sample up to 65 in 100, "
    "density and coverage at least 0.8 of real's, kinds of up to 10 in 100 items missing. Both ask for a class "
    "accuracy of 0.8 of real's, and for chrF above the memory's. Else: usable with care. Of several two-sample tests, "
    "through different features, the one that told most counts."
)

SENTENCES = {
    "copies": "Do not pass these samples off as new: many of them are copies of training items. "
    "Treat them as you would treat the training data itself.",
    "collapsed": "Do not use this model: it makes the same few things again and again.",
    "poor": "Do not use this model yet: too few of its samples look real, or they show too little of the data.",
    "indistinguishable": "Use it wherever you would use more real items of the same kind: "
    "the measures here found no difference.",
    "close": "Use it for demonstrations, tests and as additional training data; "
    "for conclusions about the real world, check them on real items.",
    "usable with care": "Use it to show and to try things out, and look at every sample that matters; "
    "do not put its samples in the place of real data.",
}


def judge(
    figures: Sequence[Figure], floors: Mapping[str, Estimate], novelty: Novelty | None, counts: Mapping[str, int],
    damages: Sequence[Damage] = (),
) -> Verdict:  # fmt: skip
    """The verdict on figures of a whole set of samples.

    figures  those without a label are read: two_sample, density, coverage, efficacy, missing, variety, class_accuracy
    floors   real against real with its interval, by name of the figure; of tables also `ALONE`, see `poor_above`
    novelty  for its copy_rate; None where it could not be measured
    counts   made, held_out, compared: how many samples and held-out items there are, and how many of each were
             compared; made_not_finite: how many samples were left out because they are not numbers
    damages  the self-test: what was not noticed in it is said beside a good word
    """
    found = _Found(_worst({one.name: one for one in figures if one.label is None and one.value is not None}), floors)
    if counts.get("made_not_finite", 0) >= max(1, counts.get("made", 0)):
        return Verdict("poor", "Do not use this model: most of its samples are not even numbers.", (), RULE)
    copied, held_out = _copy_rate(novelty), counts.get("held_out", 0)
    copying = found.says() if copied is None else (copied.says, *found.says())
    if found.verbatim():
        return Verdict("copies", SENTENCES["copies"], found.says("verbatim", "longest_run"), RULE)
    if copied is not None and _copies(copied, held_out):
        return Verdict("copies", SENTENCES["copies"], copying, RULE)
    if found.collapsed():
        return Verdict("collapsed", SENTENCES["collapsed"], found.says("variety", *NEEDED), RULE)
    if not all(name in found.figures for name in NEEDED):
        return _unmeasured(_why(figures), copying)
    if found.poor():
        said = found.says(*NEEDED, "chrf", "bits_per_byte")
        return Verdict("poor", SENTENCES["poor"], (*said, *found.moved()), RULE)
    for name, what in (("made", "samples"), ("held_out", "held-out items")):
        if counts.get(name, 0) < FEW:
            return _unmeasured(f"there are only {counts.get(name, 0)} {what}, and {FEW} are needed", copying)
    word = "indistinguishable" if found.indistinguishable() else "close" if found.close() else "usable with care"
    reasons = (*found.says(*NEEDED, *found.remarkable()), *copying[: copied is not None], *found.moved(),
               *_beside(counts, damages))  # fmt: skip
    return Verdict(word, SENTENCES[word], tuple(one for one in reasons if one), RULE)


def poor_above(alone: Estimate | None = None) -> float:
    """Two-sample accuracy above which samples are poor: 0.875, or 1/2 + 3/4 (a - 1/2) if that is less.

    alone  accuracy a on independent columns; what is told three quarters as surely knows little of what goes together.
           Where chance may be why these are told, they say nothing

    Few rows, or columns of which one says little of another, bring a below 1, and both rules are one where a is 1.
    """
    if alone is None or alone.value is None or (alone.low or 0.0) <= NOTICED:
        return TOLD
    return min(TOLD, 0.5 + (1 - LITTLE) * (alone.value - 0.5))


def _worst(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """The figures, the two-sample test being the one in which the classifier told most."""
    tests = [one for name, one in figures.items() if name.startswith("two_sample")]
    kept = {name: one for name, one in figures.items() if not name.startswith("two_sample")}
    return {**kept, "two_sample": max(tests, key=lambda one: one.value or 0.0)} if "two_sample" in figures else kept


@dataclass(frozen=True)
class _Found:
    """Figures of all samples that have a value, and real against real, by name."""

    figures: Mapping[str, Figure]
    floors: Mapping[str, Estimate]

    def says(self, *names: str) -> tuple[str, ...]:
        return tuple(self.figures[name].says for name in names or NEEDED if name in self.figures)

    def share(self, name: str, otherwise: float) -> float:
        """A figure as a share of what real items get; `otherwise` where there is none."""
        figure, floor = self.figures.get(name), self.floors.get(name, Estimate()).value
        if figure is None or figure.value is None:
            return otherwise
        floor = figure.floor if floor is None else floor
        return figure.value / floor if floor and floor > 0 else otherwise

    def reaches(self, name: str) -> bool:
        """Whether a figure's interval reaches that of real items, or it was not measured."""
        figure, floor = self.figures.get(name), self.floors.get(name, Estimate())
        if figure is None:
            return True
        if figure.low is None or figure.high is None or floor.low is None or floor.high is None:
            return False
        return figure.high >= floor.low if figure.better == "higher" else figure.low <= floor.high

    def verbatim(self) -> bool:
        """Whether a large part of what was written stands in the training documents."""
        figure = self.figures.get("verbatim")
        return figure is not None and (figure.low or 0.0) > max(MOST_VERBATIM, 2 * (figure.floor or 0.0))

    def collapsed(self) -> bool:
        twins = self.figures.get("variety")
        if twins is not None and (twins.value or 0.0) < TINY:
            return True
        return self.share("coverage", 1.0) < TINY and self.share("density", 0.0) > HALF

    def poor(self) -> bool:
        few = min(self.share(name, 1.0) for name in ("density", "coverage", "efficacy")) < LITTLE
        told = (self.figures["two_sample"].low or 0.0) > poor_above(self.floors.get(ALONE))
        return few or told or self.answers(False)

    def answers(self, well: bool) -> bool:
        """Whether answers are surely better than a memory of the training pairs, or surely worse."""
        figure = self.figures.get("chrf")
        if figure is None or figure.copies is None or figure.low is None or figure.high is None:
            return well
        return figure.low > figure.copies if well else figure.high < figure.copies

    def indistinguishable(self) -> bool:
        noticed = (self.figures["two_sample"].high or 1.0) <= NOTICED
        alike = all(self.reaches(name) for name in (*NEEDED, "missing"))
        return noticed and alike and self.share("class_accuracy", 1.0) >= MOST and self.answers(True)

    def close(self) -> bool:
        lacking = self.figures.get("missing")
        shares = (self.share("density", 0.0), self.share("coverage", 0.0), self.share("class_accuracy", 1.0))
        near = (self.figures["two_sample"].value or 0.0) <= NEAR and min(shares) >= MOST
        return near and (lacking is None or (lacking.value or 0.0) <= LACKING) and self.answers(True)

    def moved(self) -> tuple[str, ...]:
        """Where training items themselves are far from held-out ones, that they are, as no model can know of these."""
        for one in (self.figures[name] for name in ("coverage", "density") if name in self.figures):
            if one.copies is not None and one.floor and one.copies < HALF * one.floor:
                told = f"{100 * one.copies:.0f} of 100 for {100 * one.floor:.0f}"
                return (f"Training items themselves reach a {one.name} of {told}: held-out items are of another kind, "
                        "or of another time, and what is lacking is in part the data's.",)  # fmt: skip
        return ()

    def remarkable(self) -> tuple[str, ...]:
        """Figures that kept the word from being a better one, beside the three that are always told."""
        worse = tuple(name for name in ("bits_per_byte", "verbatim") if name in self.figures)
        worse += () if self.answers(True) else ("chrf",)
        worse += () if self.reaches("missing") else ("missing",)
        return worse if self.share("class_accuracy", 1.0) >= MOST else (*worse, "class_accuracy")


def _beside(counts: Mapping[str, int], damages: Sequence[Damage]) -> tuple[str, ...]:
    """How much was compared, and which damage nobody would have noticed."""
    n, missed = counts.get("compared", 0), [one.kind for one in damages if one.meant not in one.noticed]
    said: tuple[str, ...] = ()
    if n:
        said = (f"This rests on {n:,} samples and as many real items that the model never saw.",)
    if missed:
        said += (f"On these data the measures hardly notice {' or '.join(missed)}, so such a fault may be there.",)
    return said


def _copy_rate(novelty: Novelty | None) -> Figure | None:
    rates = (one for one in novelty.figures if one.name == "copy_rate" and one.label is None) if novelty else iter(())
    return next(rates, None)


def _unmeasured(why: str, reasons: Sequence[str]) -> Verdict:
    sentence = f"Nobody can say yet whether to use this model: {why}."
    return Verdict("unmeasured", sentence, tuple(one for one in reasons if one), RULE)


def _why(figures: Sequence[Figure]) -> str:
    reasons = (one.reason for one in figures if one.name in NEEDED and one.label is None and one.reason)
    return next(reasons, "there is too little to compare").rstrip(".")


def _copies(rate: Figure, held_out: int) -> bool:
    if rate.value is None or rate.low is None or rate.value <= MOST_COPIES:
        return False
    return rate.floor is None or not held_out or rate.low > wilson(round(rate.floor * held_out), held_out)[1]
