"""The first screen, for readers who know no statistics: a word, what to use the model for, four bars, two strips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from morelike.measure.figure import Figure, Finding, Verdict
from morelike.measure.page.html import percent
from morelike.measure.page.scale import bar, place

LADDER = ("poor", "usable with care", "close", "indistinguishable")
LOOKS = {  # of each word: the tone of its colours, and a symbol, since colour alone tells some readers nothing
    "indistinguishable": ("good", "✓"), "close": ("good", "✓"), "usable with care": ("fair", "!"), "poor": ("bad", "✗"),
    "collapsed": ("bad", "✗"), "copies": ("bad", "✗"), "unmeasured": ("none", "?"),
}  # fmt: skip
GRADES = ((0.95, "good"), (0.7, "good"), (0.4, "fair"), (-1e9, "bad"))  # least place on the bar, and tone


@dataclass(frozen=True)
class Dial:
    """One of the four questions.

    names   figures that answer it, through any features; the one that does worst is shown
    words   one for each grade, from the best to the worst
    """

    title: str
    names: tuple[str, ...]
    worst: str = "noise"
    best: str = "real items"
    words: tuple[str, str, str, str] = ("like real ones", "nearly", "partly", "hardly")


DIALS = (
    Dial("How real", ("density", "two_sample", "two_sample_score")),
    Dial("How varied", ("coverage", "missing")),
    Dial("How new", ("copy_rate", "verbatim"), "all copied", "all new", ("new", "mostly new", "many copies", "copies")),
    Dial("How useful", ("efficacy",), "none", words=("as real rows", "nearly", "partly", "hardly")),
    Dial("As asked", ("class_accuracy",), "none"),
    Dial("Right answers", ("chrf",), "any answer", "the right one", ("right", "mostly right", "partly", "hardly")),
)
UNITS = {
    "two_sample_score": "of samples, at most, could pass for real", "efficacy": "of what real rows teach to predict",
    "density": "of samples look real", "two_sample": "of samples, at most, could pass for real",
    "coverage": "of the variety is there", "missing": "of the kinds are there",
    "chrf": "likeness (chrF) to what belongs to each text",
    "copy_rate": "of samples are no copies", "verbatim": "of the text is not word for word in training documents",
    "class_accuracy": "are what was asked for",
}  # fmt: skip
SHARES: Mapping[str, Callable[[float], float]] = {  # figures that count something else, as shares of what is wanted
    # Of a share t of samples that no classifier can tell from real items, half are guessed: accuracy <= 1 - t / 2.
    "two_sample": lambda accuracy: 2 * (1 - accuracy),
    "missing": lambda share: 1 - share,
    "copy_rate": lambda share: 1 - share,
    "verbatim": lambda share: 1 - share,
    "chrf": lambda score: score / 100,
}


def banner(verdict: Verdict, kicker: str, title: str) -> str:
    """The verdict in large words, what it means for use, and where it stands among the words that there are."""
    tone, symbol = LOOKS.get(verdict.word, ("none", "?"))
    word = verdict.word[:1].upper() + verdict.word[1:]
    steps = "".join(f"<li{' class=here' if step == verdict.word else ''}>{escape(step)}</li>" for step in LADDER)
    ladder = f'<ol class="ladder" aria-hidden="true">{steps}</ol>' if verdict.word in LADDER else ""
    return (
        f'<header class="verdict {tone}"><p class="kicker"><strong>{escape(title)}</strong> {escape(kicker)}</p>\n'
        f'<h1><span class="symbol" aria-hidden="true">{symbol}</span> {escape(word)}</h1>\n'
        f'<p class="use">{escape(verdict.sentence)}</p>{ladder}</header>'
    )


def dials(figures: Sequence[Figure]) -> str:
    """A bar and a sentence for each question that the figures answer, or why they do not."""
    found = ((each, answer(each, figures)) for each in DIALS)
    shown = [dial(each, figure) for each, figure in found if figure is not None]
    return f'<ul class="dials">{"".join(shown)}</ul>' if shown else ""


def answer(about: Dial, figures: Sequence[Figure]) -> Figure | None:
    """The figure that answers a question: of those that do, the one that stands nearest to the worst."""
    mine = [one for one in figures if one.label is None and base(one.name) in about.names]
    known = [one for one in mine if one.value is not None]

    def stands(figure: Figure) -> float:
        share = as_share(figure)
        at = place(share, share.value)
        return 1.0 if at is None else at

    return min(known, key=stands) if known else next(iter(mine), None)


def base(name: str) -> str:
    """The name of a figure without the features that it was measured through: "density" for "density_random"."""
    return next((one for one in UNITS if name == one or name.startswith(f"{one}_")), name)


def as_share(figure: Figure) -> Figure:
    """The same figure as a share of what is wanted, the more the better, where it counts something else."""
    turn = SHARES.get(base(figure.name))
    if turn is None:
        return figure

    def share(value: float | None) -> float | None:
        return None if value is None else min(max(turn(value), 0.0), 1.0)

    if figure.better == "higher":  # a score, of which the ideal is the most
        return replace(
            figure, value=share(figure.value), low=share(figure.low), high=share(figure.high),
            floor=share(figure.ideal), copies=share(figure.copies), baseline=share(figure.baseline),
        )  # fmt: skip
    return replace(
        figure, better="higher", value=share(figure.value), low=share(figure.high), high=share(figure.low),
        floor=share(figure.floor), copies=share(figure.copies), baseline=share(figure.baseline),
    )  # fmt: skip


def dial(about: Dial, figure: Figure) -> str:
    """One question: the share in large print, its bar between worst and best, and the figure's own sentence."""
    head, share = f"<h2>{about.title}</h2>", as_share(figure)
    if share.value is None:
        reason = escape(figure.reason or "not measured")
        return f'<li class="none">{head}<p class="big">?</p>{bar(None, title=reason)}<p>Not measured: {reason}</p></li>'
    at, low, high = (place(share, value) for value in (share.value, share.low, share.high))
    sure = 1.0 if at is None else at
    tone, grade = next((tone, word) for (least, tone), word in zip(GRADES, about.words, strict=True) if sure >= least)
    if figure.doubtful:
        tone, grade = "none", "hard to tell"
    chip = f' <span class="grade">{grade}</span>' if at is not None else ""
    big = f'<p class="big">{percent(share.value)}{chip}</p><p class="unit">{UNITS[base(figure.name)]}</p>'
    ends = f'<p class="ends"><span>{escape(about.worst)}</span><span>{escape(about.best)}</span></p>'
    says = f"<p>{escape(figure.says)}</p>" if figure.says else ""
    return f'<li class="{tone}">{head}{big}{bar(at, low, high, f"{about.title}: {grade}")}{ends}{says}</li>'


def strips(real: Sequence[str], made: Sequence[str], against: str) -> str:
    """Real items above samples, the same classes one below the other."""
    if not made:
        return ""
    rows = [("Real", against, real)] if real else []
    rows.append(("Made", "by the model", made))
    return "".join(
        f'<div class="strip"><p><strong>{title}</strong> {escape(says)}</p>'
        f'<div class="items row">{"".join(items)}</div></div>'
        for title, says, items in rows
    )


def urgent(findings: Sequence[Finding], word: str = "") -> str:
    """What to do first: findings that say stop, or else the first that says how to do better than this word."""
    found = [one for one in findings if one.severity == "stop"] or [one for one in findings if one.action][:1]
    if not found and word in ("poor", "usable with care"):
        found = [Finding("", "note", "Nothing else seems to be wrong", action="Train it for longer, or on more data.")]
    lines = (f"<p><strong>{escape(one.title)}.</strong> {escape(one.action)}</p>" for one in found)
    return f'<div class="urgent"><h2>What to do first</h2>{"".join(lines)}</div>' if found else ""


def reasons(verdict: Verdict, figures: Sequence[Figure]) -> str:
    """What led to the word, as far as the bars do not say it already, and the rule itself to unfold."""
    titles = {one.says: one.title for one in figures if one.says and one.label is None}
    shown = {figure.says for each in DIALS if (figure := answer(each, figures)) is not None}
    told = [(titles.get(said, ""), said) for said in verdict.reasons if said not in shown]
    lines = "".join(f"<li>{f'<b>{escape(title)}:</b> ' if title else ''}{escape(said)}</li>" for title, said in told)
    why = f"<p>What else was looked at for this word:</p><ul>{lines}</ul>" if lines else ""
    rule = f"<details><summary>The rule behind the word</summary><p>{escape(verdict.rule)}</p></details>"
    return why + (rule if verdict.rule else "")


def head(parts: Mapping[str, str]) -> str:
    """Links to the parts of the page, by title and id."""
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in parts.items())
    return f"<nav>{links}</nav>" if len(parts) > 2 else ""
