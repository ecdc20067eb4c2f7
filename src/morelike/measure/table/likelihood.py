"""How probable a model finds rows that it has not seen, in nats per row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from morelike.core.family import Family, HasLogProb
from morelike.core.spec import Batch
from morelike.measure.figure import Evidence, Figure
from morelike.measure.likelihood import log_probs

ROWS = 2_000  # of each kind
TITLES = {"nats_per_{}": "Nats per {}", "likelihood_gap": "Likelihood gap, new against known {}s"}


def row_likelihood(
    evidence: Evidence, family: Family, seed: int = 0, item: str = "row", most: int = ROWS
) -> list[Figure]:
    """-log p(x) of held-out rows in nats, and by how much they cost more than training rows.

    Empty for a family without a likelihood. p is a probability of cells, so that families on the same codec can be
    compared. Beside it stands what known rows cost (the copy machine's place), and cells that are independent of one
    another: p_j(v) = (count_j(v) + 1 / size_j) / (M + 1).
    """
    if not isinstance(family, HasLogProb):
        return []
    spec, names = family.spec, {name.format(item): title.format(item) for name, title in TITLES.items()}
    why = "the model is conditioned on something else" if spec.given else ""
    why = why or (f"there are only {len(evidence.held)} held-out {item}s" if len(evidence.held) < 2 else "")
    if why:
        return [Figure(name, title, reason=why) for name, title in names.items()]
    draw = torch.Generator().manual_seed(seed)
    held, train = (one[torch.randperm(len(one), generator=draw)[:most]] for one in (evidence.held, evidence.train))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        new, known = (-log_probs(family, Batch(one)) for one in (held, train))
    alone = independent(evidence.train, held, spec.sizes or (spec.tokens or 0,) * held.shape[1])
    if not bool(new.isfinite().all()):
        impossible = int((~new.isfinite()).sum())
        why = f"the model finds {impossible} of {len(new)} new {item}s impossible"
        return [Figure(name, title, reason=why) for name, title in names.items()]
    half, value, gap = _half(new), float(new.mean()), float(new.mean() - known.mean())
    exact = "exactly" if family.exact else "at most, for the model knows a bound only,"
    says = f"New {item}s cost {exact} {value:.4g} nats each; with each cell drawn on its own {alone:.4g}."
    cost = Figure(f"nats_per_{item}", names[f"nats_per_{item}"], "lower", value, value - half, value + half, None,
                  float(known.mean()), alone, says=says)  # fmt: skip
    wide = math.hypot(half, _half(known))
    says = f"New {item}s cost no more than those it was trained on: it has not learned them by heart."
    if gap > wide:
        says = f"New {item}s cost {gap:.3g} nats more than those it was trained on, which it fits closer."
    return [cost, Figure("likelihood_gap", names["likelihood_gap"], "even", gap, gap - wide, gap + wide, 0.0,
                         ideal=0.0, says=says)]  # fmt: skip


def independent(train: Tensor, x: Tensor, sizes: tuple[int, ...]) -> float:
    """-log p of rows of cells (N, T) in nats, on average, under independent cells learned from train (M, T)."""
    total = 0.0
    for at, size in enumerate(sizes):
        known = train[:, at][train[:, at] >= 0]
        p = (torch.bincount(known, minlength=size).double() + 1 / size) / (len(known) + 1)
        own = x[:, at]
        total -= float(p[own[own >= 0]].log().sum()) / len(x)
    return total


def _half(values: Tensor) -> float:
    return 1.96 * float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else 0.0
