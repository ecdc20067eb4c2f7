"""The report of draws as one HTML file that needs nothing else: the verdict, the table, and the plots behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from morelike.measure.chains import plots
from morelike.measure.page.cost import clock
from morelike.measure.page.html import empty, grid, percent, readable, section, table
from morelike.measure.style import STYLE
from morelike.samplers.mcmc import diagnostics
from morelike.samplers.mcmc.draws import Draws, write_whole
from morelike.samplers.mcmc.summary import Row, Summary, digits, rounded
from morelike.samplers.mcmc.verdict import Remark, Verdict, sentence

SHOWN, PAIRED, LINES = 6, 3, 6  # numbers with plots, and in pair plots; chains that are drawn
OPEN, WORST = 30, 10  # rows of a table that is not folded, and of the one that stands before a folded one
LOOKS = {
    "good": ("good", "✓", "Use them"), "careful": ("fair", "!", "Use with care"),
    "do not use": ("bad", "✗", "Do not use"),
}  # fmt: skip
OWN = """
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(14.5rem, 100%), 1fr)); gap: .6rem; }
.plots figure { margin: 0; } .plots.pairs3 { grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); }
.plots.one { max-width: 36rem; } .plots svg { background: var(--panel); } .plots svg text { font-size: 115px; }
.plots svg path { fill: none; } .plots .grid { stroke-width: 8; } .plots .curve { stroke-width: 14; background: none; }
.plots .curve.thin { stroke-width: 7; opacity: .75; } .plots .band { fill: var(--soft); opacity: .16; }
.plots .dot { stroke: var(--c0); stroke-width: 26; stroke-linecap: round; opacity: .4; }
.plots .dot.lost { stroke: var(--bad); stroke-width: 42; opacity: .95; }
.legend .dot { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; background: var(--c0); }
.legend .dot.lost { background: var(--bad); }
.draws td, .draws thead th { text-align: right; white-space: nowrap; min-width: 0; padding: .25rem 0 .25rem 1rem; }
.draws th[scope=row] { position: sticky; left: 0; background: var(--page); padding: .25rem 0; }
.draws { overflow-wrap: normal; } .draws .fair { color: var(--fair); }
.draws .way { display: block; white-space: nowrap; }
.draws td b.bad { font-weight: 650; }
@media (max-width: 46rem) { .plots { grid-template-columns: 1fr 1fr; } .plots svg text { font-size: 170px; }
  .plots.pairs3, .plots.one { grid-template-columns: 1fr; }
  .plots.pairs3 svg text, .plots.one svg text { font-size: 115px; }
  .draws .way { white-space: normal; width: 8.5rem; } }
"""


def write(draws: Draws, path: str | Path, title: str = "") -> Path:
    """Write the page, whole or not at all, and return its path."""
    target = Path(path)
    write_whole(target, page(draws, title).encode())
    return target


def page(draws: Draws, title: str = "") -> str:
    """The whole page.

    title  what was sampled from, in the user's words
    """
    summary, verdict = draws.summary(), draws.verdict()
    title = title or str(draws.about.get("kernel", "Draws"))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{escape(title)}: {escape(verdict.level)}</title><style>{STYLE}{OWN}</style>"
    body = "\n".join([banner(draws, verdict, title), *sections(draws, summary, verdict)])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def banner(draws: Draws, verdict: Verdict, title: str) -> str:
    """The verdict in large words, and in one sentence."""
    tone, sign, words = LOOKS[verdict.level]
    says = verdict.sentence.split(": ", 1)[1] if verdict.level != "good" else verdict.sentence
    return (
        f'<header class="verdict {tone}"><p class="kicker"><strong>{escape(title)}</strong>: {draws.chains:,} '
        f"chains, {draws.draws:,} draws of each</p>\n"
        f'<h1><span class="symbol" aria-hidden="true">{sign}</span> {words}</h1>\n'
        f'<p class="use">{escape(says[:1].upper() + says[1:])}</p></header>'
    )


def sections(draws: Draws, summary: Summary, verdict: Verdict) -> Iterator[str]:
    """The parts of the page that have something to show."""
    found = "".join(map(remark, verdict.remarks))
    yield section("What was found", found and f'<ul class="findings">{found}</ul>')
    yield section("The numbers", numbers(summary, verdict), NUMBERS)
    names, x = diagnostics.columns(draws.values)
    rows = dict(zip(names, x, strict=True))
    drawable = [row.name for row in summary.worst() if np.isfinite(rows[row.name]).all() and np.ptp(rows[row.name]) > 0]
    worst = sorted(drawable, key=lambda name: -_graveness(verdict, name))[:SHOWN]
    chains = _chains(draws, verdict)
    more = f" The {len(worst)} that need it most, of {len(names):,}." if len(worst) < len(names) else ""
    content = "".join(number_by_number(name, rows[name][chains], summary[name], verdict) for name in worst)
    legend = plots.legend(chains) if content else ""
    if len(chains) < draws.chains:
        legend += f"<p><small>{len(chains)} of {draws.chains} chains are drawn.</small></p>"
    yield section("One by one", legend + content, ONE_BY_ONE + more)
    yield section("Two by two", pairs(draws, verdict, rows, worst), PAIRS)
    yield section("Energy", energy(draws), ENERGY)
    yield section("How they were made", made(draws), "")


def remark(one: Remark) -> str:
    """What was found, why it matters and what to try."""
    tone, sign, _ = LOOKS[one.level] if one.level != "good" else ("none", "·", "")
    head = f'<h3><span class="symbol" aria-hidden="true">{sign}</span> {escape(sentence(one.title)[:-1])}</h3>'
    lines = (("", one.found), ("Why it matters", one.why), ("What to try", one.action))
    told = "".join(f"<p>{f'<b>{name}:</b> ' if name else ''}{escape(text)}</p>" for name, text in lines if text)
    return f'<li class="{tone}">{head}{told}</li>'


def _graveness(verdict: Verdict, name: str) -> int:
    return ("good", "careful", "do not use").index(verdict.parameters[name].level)


def _chains(draws: Draws, verdict: Verdict) -> list[int]:
    """The chains that are drawn: those that a remark names, and the first ones."""
    named = [c for one in verdict.remarks if len(one.chains) < draws.chains for c in one.chains]
    return sorted(list(dict.fromkeys([*named, *range(draws.chains)]))[:LINES])


def numbers(summary: Summary, verdict: Verdict) -> str:
    """The table, with figures that are too bad marked; of a long one, the worst rows first."""
    head = ("", "mean", "sd", "error of the mean", "5 %", "50 %", "95 %", "R-hat", "bulk ESS", "tail ESS")
    content = grid(head, (cells(row, verdict) for row in summary), "draws")
    if len(summary) <= OPEN:
        return f'<div class="wide">{content}</div>'
    worst = grid(head, (cells(row, verdict) for row in summary.worst()[:WORST]), "draws")
    every = f"<details><summary>All {len(summary):,} rows</summary><div class='wide'>{content}</div></details>"
    return f'<p>The {WORST} that R-hat and ESS doubt most:</p><div class="wide">{worst}</div>{every}'


def cells(row: Row, verdict: Verdict) -> list[str]:
    """A row of the table."""
    d, judged = digits(row), verdict.parameters[row.name]
    tone, sign, _ = LOOKS[judged.level]
    words = f'<span class="way"><span class="{tone}">{sign}</span> {escape(judged.words)}</span>'
    plain = [rounded(value, d) for value in (row.mean, row.sd)] + [rounded(row.mcse, d + 1)]
    plain += [rounded(value, d) for value in (row.q5, row.q50, row.q95)]
    told = {"rhat": rounded(row.rhat, 3), "ess_bulk": rounded(row.ess_bulk, 0), "ess_tail": rounded(row.ess_tail, 0)}
    marked = [f'<b class="bad">{text} ✗</b>' if name in row.doubts else text for name, text in told.items()]
    return [f"{escape(row.name)}{words}", *plain, *marked]


def number_by_number(name: str, x: np.ndarray, row: Row, verdict: Verdict) -> str:
    """The four plots of one number: (C, N)."""
    judged = verdict.parameters[name]
    tone, sign, _ = LOOKS[judged.level]
    figures = f"R-hat {rounded(row.rhat, 3)}, bulk ESS {rounded(row.ess_bulk, 0)}, tail ESS {rounded(row.ess_tail, 0)}"
    head = f'<h3 class="{tone}"><span class="symbol" aria-hidden="true">{sign}</span> {escape(name)} '
    head += f"<small>{escape(judged.words)}; {figures}</small></h3>"
    drawn = "".join(plot(x) for plot in (plots.trace, plots.ranks, plots.densities, plots.autocorrelations))
    return f'<div class="one-number">{head}<div class="plots">{drawn}</div></div>'


def pairs(draws: Draws, verdict: Verdict, rows: Mapping[str, np.ndarray], worst: Sequence[str]) -> str:
    """The numbers at which divergences gather, and the most doubtful ones, against each other."""
    gather = [name for one in verdict.remarks if one.kind == "divergences" for name in one.of if name in rows]
    names = list(dict.fromkeys([*gather[:2], *worst, *gather]))[:PAIRED]
    flags = draws.stats.get("diverging")
    lost = np.zeros((draws.chains, draws.draws), bool) if flags is None else diagnostics.plain(flags).astype(bool)
    drawn = "".join(plots.pair(rows[a], rows[b], lost, (a, b)) for a, b in combinations(names, 2))
    if not drawn:
        return ""
    count = int(lost.sum())
    key = f'<span class="key"><i class="dot lost"></i> after a lost trajectory ({count:,})</span>' if count else ""
    legend = f'<p class="legend"><span class="key"><i class="dot"></i> draws</span> {key}</p>'
    return f'{legend}{f"<p><small>{LOST}</small></p>" if count else ""}<div class="plots pairs3">{drawn}</div>'


def energy(draws: Draws) -> str:
    """How the energy changes, of kernels that draw new momenta."""
    e = draws.stats.get("energy")
    if (
        e is None
        or draws.about.get("kernel") not in diagnostics.MOMENTUM
        or not np.isfinite(diagnostics.plain(e)).all()
    ):
        return ""
    found, bad = diagnostics.bfmi(e), diagnostics.BFMI
    least = f"BFMI {', '.join(f'{one:.2f}' for one in found[:LINES])}{' …' if len(found) > LINES else ''}"
    tone = "bad" if np.nanmin(found) < bad else "good"
    keys = '<span class="key"><i class="c0"></i>energy</span> <span class="key"><i class="c1"></i>its change</span>'
    drawn = plots.energies(diagnostics.plain(e), "Energy about its mean, and its change from step to step")
    says = f'<span class="{tone}">{least}</span>, chain by chain; below {bad} is bad'
    return f'<p class="legend">{keys} {says}</p><div class="plots one">{drawn}</div>'


def made(draws: Draws) -> str:
    """Kernel, seed, warm-up, time and evaluations."""
    values: dict[str, Any] = {
        name: ", ".join(f"{readable(k)} {v}" for k, v in one.items() if not empty(v))
        if isinstance(one, Mapping)
        else one
        for name, one in draws.about.items()
    }
    if isinstance(values.get("seconds"), float | int):
        values["seconds"] = clock(float(values["seconds"]))
    values |= {"chains": draws.chains, "draws of each": draws.draws}
    told = {name: diagnostics.plain(one) for name, one in draws.stats.items()}
    if "accept" in told:
        values["mean acceptance"] = round(float(np.nanmean(told["accept"])), 3)
    if "evals" in told:
        values["evaluations of the density"] = int(told["evals"].sum())
    for name, words in (("diverging", "trajectories lost"), ("saturated", "trajectories at their greatest length")):
        if name in told:
            values[words] = f"{int(told[name].sum()):,} ({percent(float(told[name].mean()))})"
    return table(values)


def _flat(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return ", ".join(f"{readable(name)} {one}" for name, one in value.items() if not empty(one))


NUMBERS = (
    "What the draws say of each number. R-hat compares chains, and should be below 1.01. The effective sizes (ESS) "
    "say how many independent draws they are worth, for the middle and for the tails; both should be above 400."
)
ONE_BY_ONE = (
    "Trace: draws in the order in which they came; all chains should look like one band, without trends and without"
    " stretches in which they stand still. Ranks: how often each chain holds the lowest, …, the highest draws; even"
    " lines within the band are right. Density: the lines should lie on each other. Autocorrelation: how much a "
    "draw resembles the one so many draws earlier; the sooner it falls to the band, the better. Chains are counted "
    "from 0."
)
PAIRS = "Axes are logarithmic where a positive number spans several sizes."
LOST = "Where the draws of lost trajectories gather, the density is too narrow for the steps."
ENERGY = (
    "The change from step to step should be about as wide as the energy itself; where it is much narrower, chains "
    "reach the tails too slowly."
)
