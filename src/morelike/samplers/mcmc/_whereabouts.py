"""What is wrong with where chains are: they stand still, repeat each other, lie apart, or lose their way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from morelike.samplers.mcmc._evidence import (
    NAMED,
    RHAT,
    RHAT_BAD,
    Evidence,
    Level,
    Remark,
    beside,
    chain_names,
    listing,
    percent,
    sentence,
)  # fmt: skip
from morelike.samplers.mcmc._places import Groups, drifting, gatherings, groups, heaps

LOST = 0.01  # share of lost trajectories from which on draws are not to be used


def still(e: Evidence) -> tuple[list[Remark], list[int], list[int]]:
    """Chains that never moved; also the numbers and the chains that the other checks should not look at."""
    fixed = (e.x == e.x[:, :, :1]).all(2)  # (P, C)
    whole = np.flatnonzero(fixed.all(0)).tolist() if len(fixed) else []
    same = fixed.all(1) & (e.x[:, :, 0] == e.x[:, :1, 0]).all(1)  # one value in all chains: a constant
    found = []
    if whole:
        chains, least = [e.chains[c] for c in whole], e.names[0]
        values = listing([f"{e.x[0, c, 0]:.4g}" for c in whole])
        found.append(Remark(
            "still", "do not use", f"{chain_names(chains)} never moved",
            f"Every draw is where it began, {least} at {values}.",
            "It says nothing about the density, and draws the mean towards where it began.",
            "Begin elsewhere, or drop the chain; if all stand still, the step is too large for this density, or its "
            "log_prob is -inf or NaN around the start.", tuple(e.names), tuple(chains),
        ))  # fmt: skip
        return found, [], whole
    constant = np.flatnonzero(same).tolist()
    part = np.flatnonzero(fixed.any(1) & ~same).tolist()
    if part:
        names, chain = [e.names[i] for i in part], int(np.flatnonzero(fixed[part[0]])[0])
        found.append(Remark(
            "still", "do not use", f"in chain {e.chains[chain]}, {listing(names)} never moved",
            f"There, {names[0]} is {e.x[part[0], chain, 0]:.4g} in each draw, while other numbers of the chain move.",
            "The chain has explored only a slice of the density.",
            "Look at whether log_prob depends on it there, and begin elsewhere.", tuple(names), (int(e.chains[chain]),),
        ))  # fmt: skip
    if constant:
        names = [e.names[i] for i in constant]
        found.append(Remark(
            "constant", "good", f"one value in all draws: {listing(names)}",
            "That is right for a constant, and for nothing else.", of=tuple(names)
        ))  # fmt: skip
    return found, [*constant, *part], []


def copies(e: Evidence) -> Iterator[Remark]:
    """Chains that are the same, draw by draw."""
    seen: dict[bytes, list[int]] = {}
    for c, chain in enumerate(e.chains):
        seen.setdefault(e.x[:, c].tobytes(), []).append(int(chain))
    chains = sorted(chain for same in seen.values() if len(same) > 1 for chain in same)
    if chains:
        yield Remark(
            "copies", "do not use", f"{chain_names(chains)} are the same, draw by draw",
            why="Copies agree with each other whatever they have seen, so that R-hat means nothing.",
            action="Give every chain a seed and a start of its own.", chains=tuple(chains),
        )  # fmt: skip


def disagree(e: Evidence) -> Iterator[Remark]:
    """R-hat, and what kind of disagreement it is."""
    r = np.where(np.isnan(e.figures.rhat), 1.0, e.figures.rhat)
    rows = [int(i) for i in np.argsort(-r, kind="stable") if r[i] > RHAT]
    if not rows:
        return
    for level, some in (("do not use", [i for i in rows if r[i] > RHAT_BAD]),
                        ("careful", [i for i in rows if r[i] <= RHAT_BAD])):  # fmt: skip
        if some:
            yield _disagreement(e, some, float(r[some[0]]), "do not use" if level == "do not use" else "careful")


def _disagreement(e: Evidence, rows: Sequence[int], r: float, level: Level) -> Remark:
    names, x = [e.names[i] for i in rows], e.x[rows[0]]
    value = f"{r:.{4 if r < RHAT + 0.0005 else 3 if r < 1.1 else 2}f}" if r < 10 else "over 10"
    figure = f"R-hat {value}, should be below {RHAT}"
    two, wide, hills = groups(x), groups(x, folded=True), heaps(x)
    clause = "the chains disagree on" if level == "do not use" else "the chains do not quite agree on"
    if len(e.chains) == 1:
        clause = "the two halves of the chain disagree on"
    chains: tuple[int, ...] = ()
    if two:
        found, action = _apart(e, names[0], two)
        chains = tuple(e.chains[c] for c in two.few)
    elif drifting(x):
        found = f"All chains are still on their way: their second halves lie elsewhere than the first, for {names[0]}."
        action = "Warm up longer, at least twice as long, or begin nearer to where the second halves are."
    elif hills:
        found = (
            f"The draws of {names[0]} lie in two heaps, around {hills.modes[0]:.3g} ({percent(hills.shares[0])}) and "
            f"{hills.modes[1]:.3g} ({percent(hills.shares[1])}), and all chains together went from one to the other "
            f"{hills.crossings} times, so the shares are guesses."
        )
        action = "Use parallel tempering, which crosses between heaps, or run much longer."
    elif wide:
        found, action = _wide(e, names[0], wide)
        chains = tuple(e.chains[c] for c in wide.few)
    else:
        worth, more = f"{e.figures.ess_bulk[rows[0]]:,.0f} independent draws", 4 if level == "do not use" else 2
        found = f"They wander slowly, and each has seen another part: all {x.size:,} draws are worth {worth}."
        action = f"Run {more} times as long to begin with, or reparametrise so that the density is rounder."
    if np.any(e.stats.get("diverging", 0)) and not (two and two.separate):
        action = f"Mend the lost trajectories first, as told below. Otherwise: {action[:1].lower()}{action[1:]}"
    why = "Chains that have found the density agree. What these say depends on where they began."
    return Remark("disagree", level, f"{clause} {listing(names)} ({figure})", found, why, action, tuple(names), chains)


def _apart(e: Evidence, name: str, two: Groups) -> tuple[str, str]:
    few, rest = (chain_names([e.chains[c] for c in side]) for side in (two.few, two.rest))
    here, there = beside(*two.centres)
    if len(two.few) == len(two.rest):
        found = f"In {few}, {name} is around {here}, and in {rest} around {there}."
    else:
        lies = "lies" if len(two.few) == 1 else "lie"
        found = f"{sentence(few)[:-1]} {lies} elsewhere: {name} is around {here} there, and around {there} in {rest}."
    if two.separate:
        found += " Hardly a draw lies between, so the density may have several modes, or a chain got stuck."
        return found, "Begin the chains elsewhere and see where they go; if both places return, use parallel tempering."
    return found, "Run longer, with a longer warm-up; if a chain stays apart, begin it elsewhere."


def _wide(e: Evidence, name: str, two: Groups) -> tuple[str, str]:
    few, rest = (chain_names([e.chains[c] for c in side]) for side in (two.few, two.rest))
    here, there = beside(*two.centres)
    found = f"The chains agree on the middle of {name}, not on its width: its sd is {here} in {few}, {there} in {rest}."
    return found, "Run longer, with a longer warm-up; where tails are heavy, reparametrise so that they are not."


def divergences(e: Evidence) -> Iterator[Remark]:
    """Trajectories that the integrator lost, and where."""
    flags = e.stats.get("diverging")
    count = int(np.count_nonzero(flags)) if flags is not None else 0
    if flags is None or not count:
        return
    share, where = count / flags.size, gatherings(e.x, flags.astype(bool))
    place, found = "", "They lie all over the density, as far as can be seen."
    action = f"Raise the target acceptance to {_higher(e)}, which makes steps smaller."
    if where:
        i, one = next(iter(where.items()))
        name = e.names[i]
        place = f" where {name} is {'small' if one.low else 'large'}"
        found = (
            f"80 % of them have {name} {'below' if one.low else 'above'} {one.edge:.3g}, but only "
            f"{percent(one.others)} of the other draws."
        )
        also = [e.names[j] for j in where][1 : 1 + NAMED]
        found += f" {'Small' if where[list(where)[1]].low else 'Large'} values of {also[0]} too." if also else ""
        if one.low and (e.x[i] > 0).all():
            found += " The density narrows there, like a funnel."
            action = f"{non_centred(name)}; or raise the target acceptance to {_higher(e)}."
    told = f"{count:,} of {flags.size:,}" if count < 20 else f"{percent(share)} of the"
    level: Level = "do not use" if share >= LOST else "careful"
    yield Remark(
        "divergences", level, f"{told} trajectories were lost (divergences){place}",
        found, "The chains cannot enter that part of the density, so means and tails may be biased.", action,
        tuple(e.names[i] for i in where), tuple(e.chains[c] for c in np.flatnonzero(flags.any(1)).tolist()),
    )  # fmt: skip


def non_centred(scale: str) -> str:
    """The advice for a parameter that may be the scale of others."""
    return f"If {scale} is the scale of others, write them non-centred (x = mean + {scale} * z, with z standard normal)"


def _higher(e: Evidence) -> str:
    """A target of acceptance above the one that was used."""
    warmup = e.about.get("warmup")
    target = warmup.get("target") if isinstance(warmup, dict) else e.about.get("target")
    return "0.99" if isinstance(target, float) and target >= 0.94 else "0.95"
