"""Whether draws can be used, in plain language: what was found, why it matters, and what to try.

The rule, from the worst to the least:

    do not use  draws that are not numbers; chains that never moved, or are copies of each other; R-hat above 1.05;
                at least 1 in 100 trajectories lost; fewer than 20 draws of a chain
    careful     R-hat above 1.01; any trajectory lost; a bulk or tail effective size below 400; BFMI below 0.3; a single
                chain; nearly every proposal refused; a standard error above the one asked for
    good        otherwise

Sources: Vehtari et al. 2021 (R-hat, effective sizes), Betancourt 2016 (BFMI), Betancourt & Girolami 2015 (divergences).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from morelike.samplers.mcmc import _remarks, diagnostics
from morelike.samplers.mcmc._evidence import LEVELS, Evidence, Level, Remark, sentence


@dataclass(frozen=True)
class Judged:
    """What one number may be used for: "usable for means, not for tails"."""

    level: Level
    words: str


@dataclass(frozen=True)
class Verdict:
    """Whether draws can be used; `print` it.

    level       good | careful | do not use
    sentence    that in one sentence
    remarks     all that was found, the gravest first
    parameters  the same for each number by name
    """

    level: Level
    sentence: str
    remarks: tuple[Remark, ...] = ()
    parameters: Mapping[str, Judged] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [textwrap.fill(self.sentence, 100)]
        for one in self.remarks:
            lines += ["", textwrap.fill(f"- {sentence(one.title)}", 100, subsequent_indent="  ")]
            for head, text in (("", one.found), ("Why it matters: ", one.why), ("What to try: ", one.action)):
                if text:
                    indent = "  "
                    lines.append(textwrap.fill(head + text, 100, initial_indent=indent, subsequent_indent=indent))
        return "\n".join(lines)


def judge(
    values: Mapping[str, diagnostics.Values], stats: Mapping[str, diagnostics.Values] | None = None,
    about: Mapping[str, Any] | None = None, precision: float | Mapping[str, float] | None = None,
) -> Verdict:  # fmt: skip
    """The verdict on draws.

    values     name -> (chains, draws, *shape)
    stats      what each step told, name -> (chains, draws)
    about      how they came about; its `kernel` and `target` are read
    precision  the largest standard error of a mean that will do: as a share of the sd, or by name of the parameter
    """
    names, x = diagnostics.columns(values)
    told = {name: diagnostics.plain(one) for name, one in (stats or {}).items()}
    evidence = Evidence.of(names, x, told, about or {}, range(x.shape[1]))
    remarks = _remarks.remarks(evidence, precision)
    remarks.sort(key=lambda one: -LEVELS.index(one.level))  # stable: within a level as the checks came
    level = max((one.level for one in remarks), key=LEVELS.index, default=LEVELS[0])
    return Verdict(level, _sentence(level, remarks, evidence), tuple(remarks), _each(evidence, remarks))


def _sentence(level: Level, remarks: Sequence[Remark], evidence: Evidence) -> str:
    if level == "good":
        worth = np.nanmin([evidence.figures.ess_bulk, evidence.figures.ess_tail])
        return (
            f"The draws can be used: the {len(evidence.chains)} chains agree (R-hat at most "
            f"{np.nanmax(evidence.figures.rhat):.3f}), and every number rests on the worth of at least {worth:,.0f} "
            "independent draws."
        )
    others = sum(one.level == level for one in remarks) - 1
    more = f" {others} more {'reason follows' if others == 1 else 'reasons follow'} below." if others else ""
    first = remarks[0]
    return f"{'Do not use' if level == 'do not use' else 'Use with care'}: {first.title}. {first.action}{more}"


WORDS = {  # of the remarks that concern single numbers, for the gravest of each
    "not_finite": "not usable: draws that are not numbers", "still": "not usable: a chain never moved",
    "disagree": "not usable: the chains disagree", "rough": "usable for a rough mean, not for more",
    "tails": "usable for means, not for tails", "imprecise": "usable, but not as precise as asked",
    "constant": "never changes",
}  # fmt: skip
WHOLE = {  # of those that concern all of them
    "copies": "not usable: chains are copies", "short": "not usable: too few draws",
    "divergences": "doubtful: trajectories were lost", "energy": "doubtful: tails may be missing",
    "refused": "doubtful: the chains hardly moved", "single": "doubtful: only one chain",
}  # fmt: skip


def _each(evidence: Evidence, remarks: Sequence[Remark]) -> dict[str, Judged]:
    found: dict[str, Judged] = {}
    for name in evidence.names:
        mine = [one for one in remarks if name in one.of and one.kind in WORDS]
        mine += [one for one in remarks if one.kind in WHOLE and one.level != "good"]
        first = max(mine, key=lambda one: LEVELS.index(one.level), default=None)
        if first is None:
            found[name] = Judged("good", "usable")
        elif first.kind == "disagree" and first.level == "careful":
            found[name] = Judged("careful", "doubtful: the chains do not quite agree")
        else:
            words = {**WORDS, **WHOLE}[first.kind]
            lost = first.kind == "divergences" and first.level == "do not use"
            found[name] = Judged(first.level, "not usable: trajectories were lost" if lost else words)
    return found
