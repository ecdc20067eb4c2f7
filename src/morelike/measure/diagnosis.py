"""What went wrong in training, as far as its log, its trail and the figures tell, and which option to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from morelike.measure.case import Case, is_number, part, read_case
from morelike.measure.figure import Finding, Measured

FALLEN_APART = 10.0  # times its first value that a loss has to be at, at the end, to have diverged
TWINS, TWIN = 0.5, 0.1  # variety below which a model repeats itself where coverage is lost as well, and on its own
ALIKE = 0.4  # logged diversity below which it does
UNCOVERED = 0.5  # coverage over density, both as shares of real items', below which parts of the data are missing
SOUND = 0.2  # density, as a share of real items', under which samples look like nothing in the data
EMPTY = 1.0  # nats that a code has to carry
OUTPLAYED = (0.4, 2.0)  # critic's loss under, and generator's over, so many times their first values
WORTH = (0.2, 0.35)  # share of the distance that twice the time has to take away for a note, and for a warning
FLAT = 0.12  # share that it takes away at most, by the best guess, for a curve to be flat
HIDES = 0.05  # share of the fall of a run from which an error hides whether it goes on
LOOPING, OFTEN = 0.05, 4  # share of samples in a loop from which it is told, and times that for a warning
FEWEST, STEADY = 4, 0.1  # lines of the log, and share of the fall before, from which a loss is on its plateau
SEEN = 3.0  # passes over the data under which a short run has not seen them
SHORT = 2_000  # steps of a short run
COPIES = 0.05  # copy rate that is let pass
LEANING = 0.25  # of the way to the copy machine, in the distance to training items, that is no chance
GOOD = 0.85  # shares of real's density and coverage from which samples leave little to be desired
TOLD = 0.7  # accuracy of the two-sample test above which they are easily told from real items
BEHIND = 0.05  # of the way from real items to the trivial model that is a long one


def diagnose(run: Path, measured: Measured, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Everything that is known to go wrong in training and can be seen here, the worst first.

    run       a run folder: log.jsonl, recipe.json and cost.json are read, and may be missing
    measured  its figures, with `forecast` filled in if there is one
    options   what can be changed with --set and its present value, such as the fields of the family's Config and of
              training's; only options named here are advised. None: those that recipe.json names

    A check whose evidence is missing says nothing; no finding is no proof that all is well.
    """
    case = read_case(run, measured, options)
    found = [finding for check in CHECKS if (finding := check(case)) is not None]
    kinds = {one.kind for one in found}
    found = [one for one in found if not kinds & MASKED_BY.get(one.kind, set())]
    return sorted(found, key=lambda one: ("stop", "warn", "note").index(one.severity))


def diverged(e: Case) -> Finding | None:
    """Losses that have grown by an order of magnitude and stayed there."""
    losses = {name: both for name in e.optimizers if (both := e.logged(name)) is not None}
    grown = {name: (a, b) for name, (a, b) in losses.items() if b > FALLEN_APART * a}
    if not grown or min(min(both) for both in losses.values()) <= 0:
        return None  # losses without a lower end, as of a critic that is no classifier, may be of any size
    said = ", ".join(f"that of the {name} from {a:.3g} to {b:.3g}" for name, (a, b) in grown.items())
    return Finding(
        "diverged", "stop", "Training fell apart", f"Losses have grown: {said}.",
        "The weights went astray, and nothing was learned after that.", f"Train again with {e.lower_rate(10)}.",
    )  # fmt: skip


def collapse(e: Case) -> Finding | None:
    """Samples that are too much alike, or lack parts of the data, while each looks well enough."""
    signs, severe = [], e.measured.verdict.word == "collapsed"
    variety, logged = e.figure("variety"), e.logged("diversity")
    density, coverage = e.share("density"), e.share("coverage")
    covers = (
        any(e.figure(one) for one in ("bits_per_dimension", "bits_per_byte")) and not severe
    )  # likelihood leaves nothing out, but may blur
    lost = (coverage is None or coverage < GOOD) and not covers  # or samples are alike for want of detail only
    twins = variety.value if variety is not None and variety.value is not None else 1.0
    if twins < TWIN or (twins < TWINS and lost):
        signs.append(f"a sample's nearest twin is {twins:.0%} as far away as that of a real item")
    thin = density is not None and coverage is not None and density > SOUND and coverage < UNCOVERED * density
    if thin and not covers:
        signs.append(f"density is {density:.0%} of that of real items, but coverage only {coverage:.0%}")
    if logged is not None and logged[1] < ALIKE:
        signs.append(f"at the end of training samples differed {logged[1]:.0%} as much as the data do")
        severe = severe or logged[1] < ALIKE / 4
    if not signs:
        return None
    gamma = e.options.get("gamma")
    stronger = f" or --set gamma={4 * gamma or 1:g}" if is_number(gamma) else ""
    way = e.longer(3) if e.figure("bits_per_byte") else f"{e.lower_rate(2)}{stronger}"
    return Finding(
        "collapse", "stop" if severe else "warn", "The model repeats itself", _sentence(signs),
        "It makes some things again and again, and leaves others out.",
        f"Train again with {way}.",
    )  # fmt: skip


def looping(e: Case) -> Finding | None:
    """Texts that go round in a loop, clearly more often than real ones do."""
    one = e.figure("loops")
    if one is None or (one.value or 0.0) < LOOPING or (one.low or 0.0) <= (one.floor or 0.0):
        return None
    return Finding(
        "loops", "warn" if (one.value or 0.0) >= OFTEN * LOOPING else "note", "Texts go round in loops",
        f"{one.value:.0%} of the samples say the same again and again; {one.floor or 0.0:.0%} of real texts do.",
        "A loop makes itself likelier with each round, so the model does not find out of it.",
        "When sampling, --repetition 1.2 makes what was written less likely, and a --temperature below 1 makes loops "
        f"likelier; the model itself gets better by more data, or by training again with {e.longer(2)}.",
    )  # fmt: skip


def posterior_collapse(e: Case) -> Finding | None:
    """A code that says nothing about the item."""
    logged = e.logged("kl")
    if logged is None or logged[1] >= EMPTY:
        return None
    beta = e.options.get("beta")
    ways = [f"--set beta={min(1.0, beta / 2):g}"] if is_number(beta) and beta > 0 else []
    ways += ["--set free_bits=0.1"] if "free_bits" in e.options else []
    ways += ["--set warmup=0.5"] if is_number(e.options.get("warmup")) else []
    return Finding(
        "posterior_collapse", "warn", "The code is empty",
        f"At the end of training it carried {logged[1]:.2g} nats about an item; a useful one carries 5 and more.",
        "The decoder ignores it and makes much the same for every code (posterior collapse).",
        f"Train again with {' or '.join(ways)}." if ways else "Weigh the divergence of the code from its prior less.",
    )  # fmt: skip


def critic_too_strong(e: Case) -> Finding | None:
    """A critic that is hardly ever wrong, which leaves the generator nothing to learn from."""
    critic, generator = e.logged("critic"), e.logged("generator")
    if critic is None or generator is None or min(*critic, *generator) <= 0:
        return None  # losses that can be negative are no probabilities of being wrong
    fell, rose = critic[1] / critic[0], generator[1] / generator[0]
    if fell > OUTPLAYED[0] or rose < OUTPLAYED[1]:
        return None
    ways = ["--set augment=0.5"] if e.pictures and not e.options.get("augment", 1) else []
    if is_number(gamma := e.options.get("gamma")):
        ways.append(f"--set gamma={4 * gamma or 1:g}")
    steps = e.options.get("critic_steps")
    ways += ["--set critic_steps=1"] if is_number(steps) and steps > 1 else []
    return Finding(
        "critic_too_strong", "warn", "The critic is too strong",
        f"Its loss fell to {fell:.0%} of what it was at first, and the generator's rose to {rose:.1f} times.",
        "It tells samples from data almost without fail, so the generator is not told what to improve.",
        f"Train again with {' or '.join(ways or [e.lower_rate(2)])}; more data help as well.",
    )  # fmt: skip


def average_too_long(e: Case) -> Finding | None:
    """Weights as they were at the end that are better than their average over the run."""
    average, live = (e.measured.forecast.get(name) or {} for name in ("average", "live"))
    low, high, width = average.get("low"), live.get("high"), e.options.get("average")
    if low is None or high is None or high >= low:
        return None
    now = width if is_number(width) and width > 0 else 0.1
    return Finding(
        "average_too_long", "warn", "The average of the weights is too long",
        f"The kernel distance is {average['value']:.3g} with averaged weights, {live['value']:.3g} with the last ones.",
        "What is sampled from lags behind what has been learned.", f"Train again with --set average={now / 2:g}.",
    )  # fmt: skip


def memorised(e: Case) -> Finding | None:
    """Copies of training items, or training items that fit clearly better than new ones."""
    text = e.figure("bits_per_byte")
    rate, gap, bits = e.figure("copy_rate"), e.figure("likelihood_gap"), text or e.figure("bits_per_dimension")
    signs = []
    if rate is not None and (rate.value or 0.0) > COPIES and (rate.low or 0.0) > (rate.floor or 0.0):
        signs.append(
            f"{rate.value:.0%} of the samples copy a training item, {rate.floor or 0.0:.0%} of new real ones do"
        )
    if (
        gap is not None
        and bits is not None
        and (gap.low or 0.0) > 0
        and (gap.value or 0.0) > (0.02 if text is None else 0.1) * (bits.value or 0.0)
    ):
        unit = "number" if text is None else "byte"
        signs.append(f"new items cost {gap.value:.3g} per {unit} more than those it was trained on ({bits.value:.3g})")
    ratio = e.figure("distance_ratio")
    if ratio is not None and ratio.copies is not None and (ratio.high or 0.0) < 1 - LEANING * (1 - ratio.copies):
        signs.append(
            f"samples are {ratio.value:.2f} times as far from training items as from others (a copy machine's "
            f"{ratio.copies:.2f})"
        )
    if not signs:
        return None
    ways = [e.longer(0.5), e.wider(0.5)]
    if is_number(dropout := e.options.get("dropout")):
        ways += [f"--set dropout={min(0.5, 0.1 + dropout):g}"]
    if e.pictures and text is None:
        ways += ["--set augment=0.6"] if not e.options.get("augment", 1) else ["--augment flip,crop=0.1"]
    return Finding(
        "memorised", "warn", "It has learned items by heart", _sentence(signs),
        "Samples are less new than they look, and may give training items away.",
        f"More data help most; else train again with {', '.join(ways[:-1])} or {ways[-1]}.",
    )  # fmt: skip


def under_trained(e: Case) -> Finding | None:
    """A curve that was still falling, or a run that has hardly begun."""
    twice, seen = e.measured.forecast.get("twice") or {}, _passes(e)
    steps = e.log[-1].get("step") if e.log else None
    if (
        seen is not None
        and seen < SEEN
        and is_number(steps)
        and steps < SHORT
        and e.measured.verdict.word in ("poor", "collapsed")
    ):
        evidence = f"In {steps:,} steps each training item was seen {seen:.1f} times."
        return _unfinished("warn", evidence, e.longer(max(2, round(10 * SEEN / max(seen, 0.1)))))
    if (gain := twice.get("gain", 0.0)) >= WORTH[0]:
        evidence = (
            f"Twice the time would probably leave {1 - gain:.0%} of the distance to the data (90 % interval: "
            f"{1 - twice['gain_high']:.0%} to {1 - twice['gain_low']:.0%})."
        )
        sure = twice["gain_low"] > 0  # else the interval holds that twice the time changes nothing
        return _unfinished("warn" if sure and gain >= WORTH[1] else "note", evidence, e.longer(2), sure)
    return None


def too_small(e: Case) -> Finding | None:
    """A curve that is flat although the samples are not good yet, and nothing was learned by heart."""
    kernel, gap = e.figure("kernel_distance"), e.figure("likelihood_gap")
    shares, test = (e.share("density"), e.share("coverage")), e.figure("two_sample")
    if not _flat(e) or kernel is None or kernel.low is None or kernel.baseline is None:
        return None
    way = (kernel.low - (kernel.floor or 0.0)) / max(kernel.baseline - (kernel.floor or 0.0), 1e-12)
    told = test is not None and (test.low or 0.0) > TOLD
    if way < BEHIND or not (told or any(one is not None and one < GOOD for one in shares)):
        return None
    if gap is not None and (gap.low or 0.0) > 0 and (gap.value or 0.0) > 0.02:
        return None  # it has room enough to learn items by heart
    signs = [f"it stands at least {way:.0%} of the way from real items to a trivial model"]
    if any(one is not None and one < GOOD for one in shares) and None not in shares:
        signs.append(f"density and coverage are {shares[0]:.0%} and {shares[1]:.0%} of those of real items")
    if told and test is not None:
        signs.append(f"a classifier tells samples from real items in {test.value:.0%} of cases")
    return Finding(
        "too_small", "note", "It has stopped improving short of the data", _sentence(signs),
        "More time would change little: the nets are too small, or this kind of model can do no better.",
        f"Try {e.wider(2)} and more time in proportion; if that changes little, another kind of model.",
    )  # fmt: skip


CHECKS: tuple[Callable[[Case], Finding | None], ...] = (
    diverged, collapse, looping, posterior_collapse, critic_too_strong, average_too_long, memorised, under_trained,
    too_small,
)  # fmt: skip
MASKED_BY = {  # a finding that is only a consequence of another one is left out
    "collapse": {"diverged", "posterior_collapse"}, "loops": {"diverged"},
    "critic_too_strong": {"diverged"}, "average_too_long": {"diverged"},
    "under_trained": {"diverged", "memorised", "posterior_collapse"},
    "too_small": {"diverged", "memorised", "posterior_collapse", "collapse", "under_trained"},
}  # fmt: skip


def _unfinished(severity: Any, evidence: str, longer: str, sure: bool = True) -> Finding:
    return Finding(
        "under_trained", severity, "It has not finished learning" if sure else "It may not have finished learning",
        evidence, f"The samples {'are' if sure else 'may be'} worse than this model could make them.",
        f"Train again with {longer}.",
    )  # fmt: skip


def _passes(e: Case) -> float | None:
    """How often each training item was seen."""
    items, batch = part(e.recipe, "data").get("train"), part(e.recipe, "plan").get("batch")
    steps = e.log[-1].get("step") if e.log else None
    return steps * batch / items if is_number(items) and items and is_number(batch) and is_number(steps) else None


def _flat(e: Case) -> bool:
    """Whether more time would change little: by the loss, where that tells how far a model is, else by the forecast."""
    if len(e.optimizers) == 1:
        return _settled(e)
    twice, reason = e.measured.forecast.get("twice") or {}, str(e.measured.forecast.get("reason") or "")
    return twice.get("gain", 1.0) < FLAT or "not fallen" in reason


def _settled(e: Case) -> bool:
    """Whether the loss of a model with a single player has reached its plateau, as far as can be told.

    Every loss falls steeply first and then more slowly: one that is inversely proportional to the time falls by 0.4
    times as much from the third quarter to the last as from the second to the third. It is on its plateau where that
    is no more than a tenth, or than twice its standard error; but not where that is so large that it hides a fall.
    """
    curve = e.objective()
    end = curve[-1][0] if curve else 0.0
    quarters = [[loss for step, loss in curve if q * end < 4 * step <= (q + 1) * end] for q in range(4)]
    if min(map(len, quarters)) < FEWEST:
        return False
    first, second, third, last = map(fmean, quarters)
    error = 2 * sum(_variance(one) / len(one) for one in quarters[2:]) ** 0.5
    told = error <= max(last - third, HIDES * (first - last))
    return told and third - last <= max(error, STEADY * (second - third))


def _variance(values: Sequence[float]) -> float:
    """Of the noise of a curve, from the differences of neighbours, so that its slope does not count (von Neumann)."""
    return fmean((b - a) ** 2 for a, b in pairwise(values)) / 2


def _sentence(signs: list[str]) -> str:
    said = "; ".join(signs)
    return f"{said[:1].upper()}{said[1:]}."
