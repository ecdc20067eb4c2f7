"""The rule of the verdict, line by line and in its order."""

from __future__ import annotations

import pytest

from morelike.measure.figure import Damage, Estimate, Figure, Neighbours, Novelty, Verdict
from morelike.measure.verdict import ALONE, RULE, SENTENCES, judge

GOOD = {"two_sample": (0.51, 0.03), "density": (0.97, 0.03), "coverage": (0.95, 0.03),
        "variety": (1.0, 0.05), "missing": (0.0, 0.02)}  # fmt: skip
FLOORS = {"two_sample": (0.50, 0.03), "density": (0.98, 0.03), "coverage": (0.96, 0.03),
          "variety": (1.0, 0.05), "missing": (0.0, 0.02)}  # fmt: skip
HIGHER = {"density", "coverage", "class_accuracy", "efficacy"}
MANY = {"made": 1000, "held_out": 1000, "compared": 900}


def rate(value: float, half: float = 0.01, floor: float | None = 0.0) -> Novelty:
    """A novelty that holds a copy rate alone, after one of a single class that must not be read."""
    figures = (
        Figure("copy_rate", "Copies", value=1.0, low=1.0, high=1.0, floor=0.0, label="cat"),
        Figure("copy_rate", "Copies", value=value, low=value - half, high=value + half, floor=floor, says="So many."),
    )
    return Novelty(figures, Neighbours((), (), (), (), ()), "")


def verdict(novelty: Novelty | None = None, counts: dict[str, int] | None = None, **changed: object) -> Verdict:
    """The verdict on good figures, some of them changed; None takes a figure away."""
    found = {**GOOD, **changed}
    figures = [Figure(name, name, value=None, reason="too few items") if one is None else
               Figure(name, name, "higher" if name in HIGHER else "lower", one[0], one[0] - one[1], one[0] + one[1],
                      floor=0.95, says=name)
               for name, one in found.items()]  # fmt: skip
    figures.append(Figure("two_sample", "of one class", value=1.0, low=1.0, high=1.0, label="cat"))
    floors = {name: Estimate(value, value - half, value + half) for name, (value, half) in FLOORS.items()}
    return judge(figures, floors, rate(0.0) if novelty is None else novelty, MANY if counts is None else counts)


@pytest.mark.parametrize(
    ("word", "changed"),
    [
        ("indistinguishable", {}),
        ("close", {"two_sample": (0.57, 0.02)}),  # interval 0.55 to 0.59 does not reach 0.53
        ("indistinguishable", {"two_sample": (0.55, 0.03)}),
        ("close", {"two_sample": (0.55, 0.06)}),  # too wide to have noticed anything
        ("close", {"density": (0.85, 0.02)}),
        ("close", {"coverage": (0.80, 0.02)}),
        ("usable with care", {"coverage": (0.70, 0.02)}),
        ("usable with care", {"density": (0.5, 0.02)}),
        ("usable with care", {"two_sample": (0.7, 0.02)}),
        ("usable with care", {"two_sample": (0.88, 0.01), "density": (0.3, 0.01), "coverage": (0.3, 0.01)}),
        ("poor", {"two_sample": (0.9, 0.02)}),  # at most a fifth of the samples could pass for real
        ("usable with care", {"two_sample": (0.9, 0.04)}),  # perhaps more than a quarter could
        ("poor", {"two_sample": (0.99, 0.01), "density": (0.2, 0.01), "coverage": (0.3, 0.01)}),
        ("poor", {"two_sample": (0.7, 0.01), "density": (0.4, 0.01), "coverage": (0.2, 0.01)}),
        ("poor", {"two_sample": (1.0, 0.0), "density": (0.01, 0.01), "coverage": (0.0, 0.01)}),
        ("collapsed", {"two_sample": (1.0, 0.0), "density": (0.9, 0.01), "coverage": (0.05, 0.01)}),
        ("collapsed", {"variety": (0.02, 0.01)}),
        ("poor", {"two_sample": (0.7, 0.1), "efficacy": (0.2, 0.1)}),  # columns alone, told by too few rows
        ("indistinguishable", {"efficacy": (0.25, 0.1)}),
        ("indistinguishable", {"efficacy": None}),
        ("close", {"missing": (0.06, 0.02)}),
        ("indistinguishable", {"missing": (0.03, 0.02)}),
        ("indistinguishable", {"missing": None}),
        ("usable with care", {"missing": (0.15, 0.02)}),
        ("usable with care", {"class_accuracy": (0.6, 0.01)}),
        ("indistinguishable", {"class_accuracy": (0.85, 0.01)}),
        ("unmeasured", {"density": None}),
        ("unmeasured", {"two_sample": None}),
        ("collapsed", {"two_sample": None, "variety": (0.0, 0.0)}),
    ],
)
def test_each_line_of_the_rule(word: str, changed: dict[str, tuple[float, float] | None]) -> None:
    found = verdict(**changed)
    assert found.word == word
    assert found.rule == RULE and found.sentence
    assert all(found.reasons)


def test_copies_come_first_and_only_beyond_chance() -> None:
    assert verdict(rate(0.5), variety=(0.0, 0.0)).word == "copies"
    assert verdict(rate(1.0), two_sample=None, density=None, coverage=None).word == "copies"
    assert verdict(rate(0.04)).word == "indistinguishable"  # fewer than 5 in 100 are let pass
    assert verdict(rate(0.3, floor=0.29)).word == "indistinguishable"  # the data repeat themselves
    assert verdict(rate(0.3, floor=0.2)).word == "copies"
    assert verdict(rate(0.3, floor=None)).word == "copies"  # nothing held out that would excuse it
    assert verdict(rate(0.08, half=0.05, floor=0.03)).word == "indistinguishable"  # may be chance
    assert "So many." in verdict(rate(0.5)).reasons


@pytest.mark.parametrize(("name", "what"), [("held_out", "held-out items"), ("made", "samples")])
def test_too_few_items_praise_nothing_but_may_blame(name: str, what: str) -> None:
    few = MANY | {name: 20}
    found = verdict(counts=few)
    assert found.word == "unmeasured" and f"only 20 {what}" in found.sentence
    assert verdict(counts=few, two_sample=(1.0, 0.0), density=(0.0, 0.0), coverage=(0.0, 0.0)).word == "poor"
    assert verdict(rate(0.9), counts=few).word == "copies"


def test_items_of_another_time_are_told_of() -> None:
    figures = [Figure(name, name, "higher", value, value - 0.01, value + 0.01, floor=0.9, copies=copies, says=name)
               for name, value, copies in (("density", 0.1, 0.3), ("coverage", 0.1, 0.2))]  # fmt: skip
    figures.append(Figure("two_sample", "two_sample", "lower", 0.8, 0.75, 0.85, floor=0.5, says="two_sample"))
    found = judge(figures, {}, rate(0.0), MANY)
    assert found.word == "poor" and "reach a coverage of 20 of 100 for 90" in found.reasons[-1]
    assert not any("Training items themselves" in one for one in verdict().reasons)


def test_a_model_that_makes_no_numbers_is_poor() -> None:
    found = judge([], {}, None, {"made": 0, "held_out": 100, "made_not_finite": 100})
    assert found.word == "poor" and "not even numbers" in found.sentence
    assert verdict(counts=MANY | {"made_not_finite": 3}).word == "indistinguishable"


def test_of_several_two_sample_tests_the_one_that_told_most_counts() -> None:
    found = verdict(two_sample_random=(0.85, 0.02))
    assert found.word == "usable with care" and "two_sample_random" in found.reasons
    assert verdict(two_sample_random=(0.5, 0.02), two_sample=(0.85, 0.02)).word == "usable with care"
    assert verdict(two_sample_random=(0.5, 0.02)).word == "indistinguishable"
    assert verdict(two_sample_random=None).word == "indistinguishable"


def test_what_is_missing_is_named() -> None:
    assert "too few items" in verdict(density=None).sentence
    empty = judge([], {}, None, {})
    assert empty.word == "unmeasured" and empty.reasons == ()


def test_what_kept_a_word_from_being_better_is_among_the_reasons() -> None:
    assert "missing" not in verdict().reasons and "missing" in verdict(missing=(0.15, 0.02)).reasons
    assert "class_accuracy" in verdict(class_accuracy=(0.6, 0.01)).reasons
    assert any("900 samples" in one for one in verdict().reasons)


def test_damage_that_was_not_noticed_is_said_beside_a_good_word() -> None:
    figures = [Figure(name, name, "lower", v, v - h, v + h, says=name) for name, (v, h) in GOOD.items()]
    floors = {name: Estimate(value, value - half, value + half) for name, (value, half) in FLOORS.items()}
    damages = [Damage("blur", "", "frechet", {"frechet": 1.0}, ("frechet",)), Damage("noise", "", "density", {}, ())]
    told = judge(figures, floors, None, MANY, damages).reasons[-1]
    assert "noise" in told and "blur" not in told


def test_every_word_has_its_sentence() -> None:
    assert set(SENTENCES) | {"unmeasured"} == {
        "copies", "collapsed", "poor", "unmeasured", "indistinguishable", "close", "usable with care"
    }  # fmt: skip
    assert all(word in RULE.lower() for word in SENTENCES)


@pytest.mark.parametrize(("word", "alone"), [("poor", 0.8), ("usable with care", 0.9), ("usable with care", 0.62)])
def test_tables_that_are_told_nearly_as_surely_as_independent_columns_are_poor(word: str, alone: float) -> None:
    found = {"two_sample": 0.76, "density": 0.9, "coverage": 0.9}
    figures = [Figure(name, name, "higher" if name in HIGHER else "lower", one, one - 0.02, one + 0.02, floor=0.95)
               for name, one in found.items()]  # fmt: skip
    floors = {"two_sample": Estimate(0.5, 0.47, 0.53), ALONE: Estimate(alone, alone - 0.03, alone + 0.03)}
    assert judge(figures, floors, rate(0.0), MANY).word == word
