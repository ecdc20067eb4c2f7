"""What may be wrong with draws, check by check; `verdict` puts what they find in order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from morelike.samplers.mcmc import diagnostics
from morelike.samplers.mcmc._evidence import ESS, Evidence, Remark, chain_names, listing, percent
from morelike.samplers.mcmc._places import companion
from morelike.samplers.mcmc._whereabouts import copies, disagree, divergences, non_centred, still
from morelike.samplers.mcmc.diagnostics import BFMI, has_momentum

SHORT = 20  # draws of a chain, from which on the figures mean something
SATURATED, MOSTLY = 0.01, 0.2  # share of trees at their limit: worth a note, and worth care
GOES = 0.5  # correlation from which on a parameter is said to go with the energy
REFUSED = 0.05  # mean probability of acceptance


def remarks(evidence: Evidence, precision: float | Mapping[str, float] | None = None) -> list[Remark]:
    """All that is found; what would only repeat a graver remark is left out."""
    if evidence.x.shape[2] < SHORT:
        return list(short(evidence))
    found, broken = list(not_finite(evidence)), np.flatnonzero(~np.isfinite(evidence.x).all((1, 2))).tolist()
    left = evidence.without(broken, ())
    motions, rows, chains = still(left)
    left = left.without(rows, chains)
    found += motions
    if not len(left.names) or not len(left.chains):
        return found
    found += [*copies(left), *disagree(left), *divergences(left), *refused(left), *energy(left)]
    found += few(left, found)
    return found + [*imprecise(left, precision), *saturated(left), *single(evidence)]


def short(e: Evidence) -> Iterator[Remark]:
    """Hardly any draws."""
    yield Remark(
        "short", "do not use", f"there are only {e.x.shape[2]} draws of each chain",
        why="So few draws say nothing about whether the chains have settled.",
        action="Draw at least 1,000 of each of four chains.", of=tuple(e.names),
    )  # fmt: skip


def not_finite(e: Evidence) -> Iterator[Remark]:
    """Draws that are NaN or infinite."""
    bad = ~np.isfinite(e.x)
    rows = np.flatnonzero(bad.any((1, 2))).tolist()
    if rows:
        chain, draw = np.argwhere(bad[rows[0]])[0]
        names = [e.names[i] for i in rows]
        yield Remark(
            "not_finite", "do not use", f"draws of {listing(names)} are not numbers",
            f"The first is {e.x[rows[0], chain, draw]} in chain {e.chains[chain]} at draw {draw}; in all there are "
            f"{int(bad.sum()):,}.",
            "No mean or quantile can be taken over them.",
            "Look at what log_prob returns near there; where a parameter has bounds, declare them.",
            tuple(names), (e.chains[chain],),
        )  # fmt: skip


def refused(e: Evidence) -> Iterator[Remark]:
    """Chains that refused nearly every proposal."""
    accept = e.stats.get("accept")
    if accept is None:
        return
    means = np.nan_to_num(accept).mean(1)
    chains = [e.chains[c] for c in np.flatnonzero(means < REFUSED).tolist()]
    if chains:
        yield Remark(
            "refused", "careful", f"{chain_names(chains)} refused nearly every proposal",
            f"The mean probability of acceptance is {percent(float(means.min()))} in the worst.",
            "Such a chain stands still most of the time.", "Warm up longer, or take a smaller step or proposal.",
            chains=tuple(chains),
        )  # fmt: skip


def energy(e: Evidence) -> Iterator[Remark]:
    """BFMI, of kernels that have a momentum."""
    if "energy" not in e.stats or not has_momentum(e.about):
        return
    found = diagnostics.bfmi(e.stats["energy"])
    chains = [e.chains[c] for c in np.flatnonzero(found < BFMI).tolist()]
    if chains:
        i, correlation = companion(e.x, e.stats["energy"])
        told, action = "", "Reparametrise: a heavy tail or a scale is often behind it."
        if abs(correlation) > GOES:
            told = f"The energy goes with {e.names[i]} (rank correlation {correlation:.2f})."
            action = (
                f"{non_centred(e.names[i])}." if (e.x[i] > 0).all() else f"Reparametrise what {e.names[i]} governs."
            )
        yield Remark(
            "energy", "careful",
            f"the energy changes too little from step to step in {chain_names(chains)} (BFMI {np.nanmin(found):.2f}, "
            f"should be above {BFMI})",
            told, "A chain climbs to the tails only as fast as its energy may change, so they are seen too seldom.",
            f"{action} A longer warm-up helps if the metric was off.", chains=tuple(chains),
        )  # fmt: skip


def few(e: Evidence, found: Sequence[Remark]) -> Iterator[Remark]:
    """Effective sizes that are too small, in the middle or only in the tails, of numbers on which chains agree."""
    named = {name for one in found if one.kind == "disagree" for name in one.of}
    agreed = np.array([name not in named for name in e.names])
    bulk, tail = (np.where(agreed, np.nan_to_num(ess, nan=np.inf), np.inf)
                  for ess in (e.figures.ess_bulk, e.figures.ess_tail))  # fmt: skip
    yield from _few(e, bulk, "rough", "the mean of", "Means and medians are rough.")
    yield from _few(e, np.where(bulk < ESS, np.inf, tail), "tails", "the tails of",
                    "Means can be used; intervals and quantiles are rough.")  # fmt: skip


def _few(e: Evidence, ess: np.ndarray, kind: str, what: str, why: str) -> Iterator[Remark]:
    rows = [int(i) for i in np.argsort(ess, kind="stable") if ess[i] < ESS]
    if rows:
        least, names = float(ess[rows[0]]), tuple(e.names[i] for i in rows)
        rest, which = (
            ("rests", "bulk") if kind == "rough" and len(rows) == 1 else ("rest", kind.replace("rough", "bulk"))
        )
        yield Remark(
            kind, "careful",
            f"{what} {listing(names)} {rest} on the worth of only {least:,.0f} independent draws "
            f"({which} ESS, should be above {ESS})",
            f"Successive draws resemble each other: {e.x[0].size:,} of them are worth no more than that.", why,
            f"Run {max(2, math.ceil(ESS / least))} times as long, or reparametrise so that chains move faster.", names,
        )  # fmt: skip


def imprecise(e: Evidence, precision: float | Mapping[str, float] | None) -> Iterator[Remark]:
    """Standard errors above those that were asked for."""
    if precision is None:
        return
    if isinstance(precision, Mapping):
        asked = np.array([precision.get(name, precision.get(name.split("[")[0], math.inf)) for name in e.names])
    else:
        asked = precision * e.figures.sd
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.nan_to_num(e.figures.mcse / asked, nan=0.0)
    rows = [int(i) for i in np.argsort(-excess, kind="stable") if excess[i] > 1]
    if rows:
        worst, names = rows[0], tuple(e.names[i] for i in rows)
        yield Remark(
            "imprecise", "careful",
            f"the mean of {listing(names)} is less precise than asked (standard error {e.figures.mcse[worst]:.2g}, "
            f"asked {asked[worst]:.2g})",
            action=f"Draw about {math.ceil(excess[worst] ** 2 * e.x.shape[2]):,} draws of each chain instead of "
            f"{e.x.shape[2]:,}: the error falls with the root of their number.", of=names,
        )  # fmt: skip


def saturated(e: Evidence) -> Iterator[Remark]:
    """Trees that were cut off at their greatest depth."""
    flags = e.stats.get("saturated")
    share = float(np.mean(flags)) if flags is not None else 0.0
    if share > SATURATED:
        yield Remark(
            "saturated", "careful" if share > MOSTLY else "good",
            f"{percent(share)} of the trajectories ended at their greatest length (tree depth)",
            why="The draws are right, but each costs a lot and they resemble each other more than they need.",
            action="Warm up longer, use a dense metric, rescale the parameters, or allow one more doubling.",
        )  # fmt: skip


def single(e: Evidence) -> Iterator[Remark]:
    """One chain alone."""
    if len(e.chains) == 1:
        yield Remark(
            "single", "careful", "there is only one chain",
            why="A chain that has missed a part of the density does not know it; only others can tell.",
            action="Run four chains from different starts.",
        )  # fmt: skip
