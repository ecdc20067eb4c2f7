"""What is looked at to judge draws, and a remark on what was found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from morelike.samplers.mcmc import diagnostics
from morelike.samplers.mcmc.diagnostics import Figures

Level = Literal["good", "careful", "do not use"]
LEVELS: tuple[Level, ...] = ("good", "careful", "do not use")
RHAT, RHAT_BAD, ESS = 1.01, 1.05, 400  # above which R-hat, and below which an effective size, is too bad
NAMED = 3  # parameters that a sentence names


@dataclass(frozen=True)
class Remark:
    """One thing that speaks against the draws, or is worth knowing.

    kind    short key: not_finite | still | copies | disagree | divergences | energy | saturated | refused | rough |
            tails | imprecise | single | short | constant
    level   what it makes of the draws; "good" for what is merely worth knowing
    title   what was found, as a clause: "the chains disagree on tau (R-hat 1.08, should be below 1.01)"
    found   more about it
    why     why it matters
    action  what to try
    of      names of the parameters concerned
    chains  the chains concerned, counted from 0
    """

    kind: str
    level: Level
    title: str
    found: str = ""
    why: str = ""
    action: str = ""
    of: tuple[str, ...] = ()
    chains: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What the checks look at: the parameters and the chains that are worth looking at.

    names    of the numbers, (P,)
    x        their draws in float64, (P, C, N)
    figures  of each number, (P,)
    stats    what each step told, name -> (C, N)
    about    how the draws came about
    chains   which chains these are
    """

    names: Sequence[str]
    x: np.ndarray
    figures: Figures
    stats: Mapping[str, np.ndarray]
    about: Mapping[str, Any]
    chains: Sequence[int]

    @classmethod
    def of(
        cls, names: Sequence[str], x: np.ndarray, stats: Mapping[str, np.ndarray], about: Mapping[str, Any],
        chains: Sequence[int],
    ) -> Evidence:  # fmt: skip
        moved = np.moveaxis(x, 0, 2)
        found = diagnostics.figures(moved)
        if len(chains) == 1:
            found = found._replace(rhat=diagnostics.rhat(moved, least_chains=1))
        return cls(names, x, found, stats, about, chains)

    def without(self, rows: Sequence[int], chains: Sequence[int]) -> Evidence:
        """The same without some numbers and some chains."""
        if not len(rows) and not len(chains):
            return self
        keep = [i for i in range(len(self.names)) if i not in set(rows)]
        names, left = [self.names[i] for i in keep], [c for c in range(len(self.chains)) if c not in set(chains)]
        if not len(chains):
            figures = Figures(*(one[keep] for one in self.figures))
            return replace(self, names=names, x=self.x[keep], figures=figures)
        stats = {name: one[left] for name, one in self.stats.items()}
        return Evidence.of(names, self.x[keep][:, left], stats, self.about, [self.chains[c] for c in left])


def listing(names: Sequence[str], count: int = NAMED) -> str:
    """Names as one writes them: "tau, mu and 5 more"."""
    shown, rest = list(names[:count]), len(names) - count
    if rest > 0:
        return f"{', '.join(shown)} and {rest:,} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1] if shown else ""]))


def chain_names(chains: Sequence[int]) -> str:
    """Chains by number."""
    return ("chain " if len(chains) == 1 else "chains ") + listing([str(c) for c in chains], 6)


def percent(share: float) -> str:
    """A share, with a digit where it is small."""
    return f"{100 * share:.1f} %" if share < 0.02 else f"{100 * share:.0f} %"


def beside(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many decimals as tell them apart."""
    decimals = max(0, 1 - math.floor(math.log10(abs(a - b)))) if a != b and math.isfinite(a - b) else 2
    return (f"{a:.{decimals}f}", f"{b:.{decimals}f}") if decimals < 7 else (f"{a:.3g}", f"{b:.3g}")


def sentence(clause: str) -> str:
    """A clause as a sentence of its own."""
    return clause[:1].upper() + clause[1:] + ("" if clause.endswith(".") else ".")
