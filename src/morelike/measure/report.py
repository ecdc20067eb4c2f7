"""The report of a run as one HTML file that needs nothing else: a verdict, the figures behind it, its history.

`fit` leaves it unmeasured, within a second; `morelike report RUN` fills it in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from morelike.measure.cost import cost as cost_of
from morelike.measure.figure import Measured, Verdict
from morelike.measure.page import cost, findings, first, folder, forecast, method, neighbours, over, rows, tables, texts
from morelike.measure.page.html import anchor, section
from morelike.measure.record import Pictures, Report
from morelike.measure.style import STYLE
from morelike.train.folder import write_bytes

FIRST = 6  # texts on the first screen that something was made for
UNMEASURED = Verdict("unmeasured", "Nothing has been measured yet, so nobody can say how good this model is.")


def write(run: Path, report: Report | None = None) -> Path:
    """Write `report.html` into a run folder, whole or not at all, and return its path.

    report  what was measured; without it the page shows what the folder holds, and how to measure
    """
    target = run / "report.html"
    write_bytes(target, page(run, report).encode())
    return target


def page(run: Path, report: Report | None = None) -> str:
    """The whole page; parts of the run folder that are missing are left out."""
    recipe = folder.read_recipe(run)
    source = str(recipe.get("source", run.name)).rstrip("/").split("/")[-1]
    title = f"{source} → {recipe.get('family', 'model')}"
    shown = report or Report(run, Measured(UNMEASURED, [], None))
    parts = {name: section(name, content, says) for name, content, says in sections(run, shown, measured=bool(report))}
    parts = {name: content for name, content in parts.items() if content}
    links = first.head({anchor(name): name for name in parts})
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join([*opening(run, shown, title), links, *parts.values()])
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<title>{escape(title)}</title><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def opening(run: Path, report: Report, title: str) -> Iterator[str]:
    """The first screen: verdict, bars, what to do first, real items beside samples."""
    counts, against = report.measured.counts, str(report.about.get("against", "held out"))
    against = "held out of training" if against == "held out" else against
    sizes = [f"{counts['made']:,} samples"] if counts.get("made") else []
    sizes += [f"{counts['held_out']:,} real items, {against}"] if counts.get("held_out") else []
    yield first.banner(report.verdict, " beside ".join(sizes), title)
    if report.measured.figures or report.novelty:
        yield first.dials(report.figures)
    else:
        yield f"<p>To measure it{', once the data are back' if report.about else ''}:</p>{folder.measuring(run)}"
    yield first.urgent(report.measured.findings, report.verdict.word)
    if report.pictures.answers:
        yield texts.answers(report.pictures.answers[:FIRST], against)
    elif report.pictures.columns:
        yield rows.strips(report.pictures.columns, report.pictures.real, report.pictures.made, against)
    else:
        yield first.strips(report.pictures.real, report.pictures.made, against)
    yield first.reasons(report.verdict, report.figures)


def sections(run: Path, report: Report, *, measured: bool) -> Iterator[tuple[str, str, str]]:
    """Title, content and a sentence for each part of the page; parts without content are dropped."""
    found = report.measured
    titles = {one.name: one.title for one in report.figures if one.label is None}
    classes = {one.label for one in found.figures if one.label} | set(report.pictures.classes)
    answers = report.pictures.answers
    shown = texts.answers(answers[FIRST:], "") if answers else samples(report.pictures)
    if report.pictures.columns:
        yield "Columns", rows.columns(found.portrait), COLUMNS
        yield "Pairs of columns", rows.pairs(found.portrait), PAIRS
        yield "Nearest rows", rows.nearest(report.pairs, report.pictures.columns), NEAREST
    else:
        yield "Samples", shown or folder.sheet(run), ""
        yield "Nearest neighbours", neighbours.neighbours(report.pairs), NEIGHBOURS
    yield "Over time", over.over(found.over), OVER
    yield "Word for word", texts.passages(found.passages, str(report.about.get("seed", 0))), PASSAGES
    yield "All figures", tables.figures(found.figures), FIGURES
    yield "Class by class", tables.by_label(found.figures, "Class"), CLASSES
    yield "Novelty", neighbours.novelty(found.novelty, classes), NOVELTY
    yield "Do the measures work on these data?", tables.selftest(found.damages, titles), SELFTEST
    yield "What is wrong, and what to change", findings.findings(found.findings), ""
    yield "Cost", cost.cost(found.cost or cost_of(run)) or folder.quick_cost(run), ""
    yield "What more time would buy", forecast.forecast(found.forecast), ""
    yield "Training", folder.film(run) + folder.training(run), ""
    yield "Data", folder.data(run) + findings.findings(folder.audited(run)), ""
    if measured:
        yield "How the numbers were made", method.method(report.about, found.features, found.counts, report.notes), ""
    yield "What was asked", folder.asked(run), ""
    yield "How to go on", folder.commands(run, measured), ""


def samples(pictures: Pictures) -> str:
    """Some samples of each class."""
    shown: Mapping[str, tuple[str, ...]] = pictures.classes
    return "".join(
        (f"<h3>{escape(name)}</h3>" if name else "") + f'<div class="items row">{"".join(items)}</div>'
        for name, items in shown.items()
    )


NEIGHBOURS = (
    "Each sample beside the training item that it is most like, the most suspicious first. A pair that shows the same "
    "thing is a copy; a pair that is only of a kind is what is wanted."
)
COLUMNS = (
    "Each column in real rows and in made ones. A percentage is what both have in common: all, if they are the same. "
    "Values beyond the ends of a histogram count in its outermost bars."
)
PAIRS = (
    "The darker a square, the more one column tells of the other: normalised mutual information, from 0, nothing, to "
    "1, everything. Made rows should have the same pattern as real ones, and the last picture should be empty."
)
NEAREST = (
    "Made rows above the training rows that they are nearest to; what differs is marked. Rows that are near each other "
    "point at copies; rows that are far do not make a table safe to publish."
)
OVER = (
    "Each column in real windows and in made ones: its values, how values and changes go with earlier ones, and how "
    "much of it moves slowly or fast. Lines of made windows should lie on those of real ones."
)
PASSAGES = (
    "The longest passages of samples that stand in a training document too. Common phrases are there in every text; "
    "a passage that nobody would write twice was learnt by heart."
)
FIGURES = (
    "A number alone says nothing. Each stands beside four others: its own 95 % interval, and the same measure on real "
    "items against other real items (what a perfect model would get), on a machine that returns training items, and on "
    "a trivial model that draws each number on its own."
)
CLASSES = "The same measures on the samples of one class, beside real items of that class."
NOVELTY = (
    "A copy machine passes every test of quality, so copies are looked for on their own. Held-out items show how often "
    "something new happens to be near a training item."
)
SELFTEST = (
    "Real items were damaged on purpose. A measure that does not notice a damage here says nothing by being silent "
    "about the model. The numbers say how surely it tells damaged sets from others: 0.5 is guessing, 1 is always."
)
