"""Markov chain Monte Carlo for any log density written in torch, and a plain word on whether to trust the draws.

from morelike import mcmc

def log_prob(mu, tau, z):  # of one chain; all chains are computed at once
    ...

draws = mcmc.sample(log_prob, {"mu": 0.0, "tau": 1.0, "z": torch.zeros(8)}, supports={"tau": mcmc.positive})
print(draws.summary())
print(draws.verdict())
mcmc.page(draws, "draws.html")
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from torch import Tensor

from morelike.mcmc.display import show
from morelike.mcmc.evidence import Evidence, evidence
from morelike.measure.chains.page import write as page
from morelike.samplers.mcmc import kernel_of, kernels, support
from morelike.samplers.mcmc.adaptation import Warmup
from morelike.samplers.mcmc.draws import Draws, as_draws
from morelike.samplers.mcmc.kernel import Kernel
from morelike.samplers.mcmc.starts import Init
from morelike.samplers.mcmc.support import (
    Support,
    correlation_cholesky,
    covariance_cholesky,
    interval,
    lower,
    ordered,
    positive,
    real,
    simplex,
    upper,
)
from morelike.samplers.mcmc.walk import LogProb, Walk

__all__ = [
    "Draws", "Evidence", "LogProb", "Walk", "Warmup", "as_draws", "correlation_cholesky", "covariance_cholesky",
    "evidence", "interval", "kernel", "kernels", "lower", "ordered", "page", "positive", "real", "sample", "simplex",
    "support", "upper",
]  # fmt: skip

kernel = kernel_of


def sample(
    log_prob: Callable[..., Tensor] | LogProb,
    init: Init,
    kernel: str | Kernel = "nuts",
    draws: int = 1000,
    warmup: int | Warmup = 1000,
    chains: int = 4,
    seed: int = 0,
    supports: Mapping[str, Support] | None = None,
) -> Draws:
    """Draw from p(x) = exp(log_prob(x)) / Z by Markov chains.

    log_prob  log density, up to a constant, of the parameters of one chain: by name if `init` is a mapping, else of one
              tensor; `LogProb(f, batched=True)` for one that takes all chains at once, `compile=True` for machine code
    init      a point around which chains are scattered: a tensor, or a mapping from names to numbers and tensors; or a
              list of points, one for each chain. Its type (float32, float64) and device are those of the run
    kernel    nuts, hmc, chees (for many chains), metropolis, slice, langevin, .. or one with options of its own
    draws     of every chain, after `warmup` steps (a number, or a `Warmup` with metric and target)
    supports  of parameters that are not simply real: {"tau": positive, "p": simplex}
    gives     `Draws`; on a terminal R-hat, effective size, acceptance and time are shown while it runs. Ctrl-C stops
              the run and gives what there is
    """
    walk = Walk(log_prob, init, kernel, draws, warmup, chains, seed, supports)
    try:
        if sys.stderr.isatty():
            show(walk)
        else:
            for _ in walk:
                pass
    except KeyboardInterrupt:
        if not walk.places:
            raise
        print(f"Stopped after {len(walk.places):,} of {draws:,} draws; they are kept.", file=sys.stderr)
    return walk.draws()
