"""The evidence of a model: the integral of its density, by a population that is carried to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from morelike.samplers.mcmc.adaptation import Warmup
from morelike.samplers.mcmc.smc import Gaussian, Plan, smc
from morelike.samplers.mcmc.starts import Init
from morelike.samplers.mcmc.support import Support
from morelike.samplers.mcmc.walk import LogProb, Walk

PILOT = 300  # steps of the chains that tell where the population is to begin
WIDE = 3.0  # standard deviations of the pilot's draws that one of the base is


class Evidence(NamedTuple):
    """log Z, its standard error (out of the differences between independent populations), and draws of p(x).

    values  parameters by name, (particles, *shape), each particle as probable as the others
    """

    log_z: float
    error: float
    values: Mapping[str, Tensor]


def evidence(
    log_prob: Callable[..., Tensor] | LogProb, init: Init, seed: int = 0,
    supports: Mapping[str, Support] | None = None, plan: Plan | None = None,
) -> Evidence:  # fmt: skip
    """log Z = log of the integral of exp(log_prob(x)) dx, by tempered sequential Monte Carlo (see `smc`).

    The difference of log Z between two models of the same data is the log of their Bayes factor, if log_prob counts
    all constants. The population begins at a Gaussian three times as wide as the draws of a short NUTS run.

    log_prob, init, supports  as for `sample`
    plan                      size of the population, kernel and moves
    """
    walk = Walk(log_prob, init, "nuts", PILOT, Warmup(PILOT), 8, seed, supports)
    for _ in walk:
        pass
    pilot = torch.cat(walk.places).clone()  # (PILOT 8, D), unconstrained
    base = Gaussian(pilot.mean(0), WIDE * pilot.std(0).clamp_min(1e-6))
    found = smc(walk.density, base, torch.Generator(pilot.device).manual_seed(seed), plan)
    rows = torch.multinomial(found.log_weights.exp(), len(found.q), replacement=True, generator=walk.rng)
    return Evidence(float(found.log_evidence), float(found.error), walk.layout.values(found.q[rows]))
