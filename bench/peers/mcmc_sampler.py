"""One MCMC library on one problem, in a process of its own: `mcmc_speed.py` starts it.

    python mcmc_sampler.py LIBRARY gaussian|schools CHAINS WARMUP DRAWS SEED out.npz

Writes the draws, (chains, draws, D), and prints one line of JSON: seconds from the model to the draws in a process that
has imported the library, and those of them that went into compiling or tracing. All libraries see the same density;
each keeps its own settings and precision, and JAX runs each of few chains on a device of its own.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

warnings.filterwarnings("ignore")
Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERROR = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


class Job(NamedTuple):
    problem: str
    chains: int
    warmup: int
    draws: int
    seed: int

    @property
    def many(self) -> bool:
        return self.chains > 8


class Outcome(NamedTuple):
    """Draws (chains, draws, D), seconds in all, and seconds of compiling or tracing among them."""

    draws: np.ndarray
    seconds: float
    compiling: float


def precision(dims: int = 100) -> np.ndarray:
    """Of a Gaussian whose covariance has eigenvalues from 1 to 1,000, turned at random."""
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(dims, dims)))
    return (turn / np.geomspace(1, 1000, dims)) @ turn.T


def named(found: Any) -> np.ndarray:
    """mu, log tau, z side by side: (chains, draws, 10), or the Gaussian's numbers."""
    one = {k: np.asarray(v) for k, v in found.items()}
    if "x" in one:
        return one["x"]
    return np.concatenate([one["mu"][..., None], np.log(one["tau"])[..., None], one["z"]], -1)


def morelike(job: Job) -> Outcome:
    import torch

    from morelike import mcmc

    torch.set_num_threads(2)
    p, y, error = (torch.tensor(v, dtype=torch.float32) for v in (precision(), Y, ERROR))

    def gaussian(x):
        return -0.5 * x @ p @ x

    def schools(mu, tau, z):
        prior = -(mu**2) / 50 - (tau / 5).square().log1p() - z.square().sum() / 2
        return prior - ((y - mu - tau * z) / error).square().sum() / 2

    law, init, supports = gaussian, {"x": torch.zeros(100)}, {}
    if job.problem == "schools":
        law, init = schools, {"mu": 0.0, "tau": 1.0, "z": torch.zeros(8)}
        supports = {"tau": mcmc.positive}
    kernel = os.environ.get("KERNEL") or ("chees" if job.many else "nuts")
    began = time.perf_counter()
    found = mcmc.sample(law, init, kernel, job.draws, job.warmup, job.chains, job.seed, supports)
    seconds = time.perf_counter() - began
    return Outcome(named(found.values), seconds, found.about.get("tracing", 0.0))


def pyro(job: Job, jit: bool = False) -> Outcome:
    import pyro as library
    import torch
    from pyro import distributions as dist
    from pyro.infer import MCMC, NUTS

    torch.set_num_threads(2)
    library.set_rng_seed(job.seed)
    p, y, error = (torch.tensor(v, dtype=torch.float32) for v in (precision(), Y, ERROR))

    def gaussian():
        library.sample("x", dist.MultivariateNormal(torch.zeros(100), precision_matrix=p))

    def schools():
        mu, tau = library.sample("mu", dist.Normal(0.0, 5.0)), library.sample("tau", dist.HalfCauchy(5.0))
        z = library.sample("z", dist.Normal(torch.zeros(8), 1.0).to_event(1))
        library.sample("y", dist.Normal(mu + tau * z, error).to_event(1), obs=y)

    began = time.perf_counter()
    kernel = NUTS(gaussian if job.problem == "gaussian" else schools, jit_compile=jit, ignore_jit_warnings=True)
    run = MCMC(kernel, num_samples=job.draws, warmup_steps=job.warmup, num_chains=job.chains, disable_progbar=True)
    run.run()
    return Outcome(named(run.get_samples(group_by_chain=True)), time.perf_counter() - began, 0.0)


def pyro_jit(job: Job) -> Outcome:
    """With an option that is off by default."""
    return pyro(job, jit=True)


def numpyro(job: Job) -> Outcome:
    import numpyro as library
    from jax import numpy as jnp
    from jax import random
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS

    p = jnp.array(precision())

    def gaussian():
        library.sample("x", dist.MultivariateNormal(jnp.zeros(100), precision_matrix=p))

    def schools():
        mu, tau = library.sample("mu", dist.Normal(0, 5)), library.sample("tau", dist.HalfCauchy(5))
        z = library.sample("z", dist.Normal(jnp.zeros(8), 1).to_event(1))
        library.sample("y", dist.Normal(mu + tau * z, ERROR).to_event(1), obs=Y)

    kernel = NUTS(gaussian if job.problem == "gaussian" else schools)
    method = "vectorized" if job.many else "parallel"
    run = MCMC(
        kernel, num_warmup=job.warmup, num_samples=job.draws, num_chains=job.chains, chain_method=method,
        progress_bar=False, jit_model_args=True,
    )  # fmt: skip

    def once(seed: int) -> Any:
        run.run(random.PRNGKey(seed))
        return {k: np.asarray(v) for k, v in run.get_samples(group_by_chain=True).items()}

    return twice(once, job)


def blackjax(job: Job) -> Outcome:
    import jax
    from blackjax import nuts, window_adaptation
    from jax import numpy as jnp

    p, y, error = jnp.array(precision()), jnp.array(Y), jnp.array(ERROR)

    def gaussian(x):
        return -0.5 * x["x"] @ p @ x["x"]

    def schools(x):
        tau = jnp.exp(x["log_tau"])
        prior = -(x["mu"] ** 2) / 50 - jnp.log1p((tau / 5) ** 2) + x["log_tau"] - (x["z"] ** 2).sum() / 2
        return prior - (((y - x["mu"] - tau * x["z"]) / error) ** 2).sum() / 2

    law = gaussian if job.problem == "gaussian" else schools
    start = {"x": jnp.zeros(100)} if law is gaussian else {"mu": 0.0, "log_tau": 0.0, "z": jnp.zeros(8)}

    def one(key):
        scatter, adapt, walk = jax.random.split(key, 3)
        leaves, tree = jax.tree.flatten(start)
        keys = jax.random.split(scatter, len(leaves))
        at = tree.unflatten(
            [v + jax.random.uniform(k, jnp.shape(v), minval=-1, maxval=1) for k, v in zip(keys, leaves, strict=True)]
        )
        (state, tuning), _ = window_adaptation(nuts, law).run(adapt, at, num_steps=job.warmup)
        step = nuts(law, **tuning).step

        def move(state, key):
            state, _ = step(key, state)
            return state, state.position

        return jax.lax.scan(move, state, jax.random.split(walk, job.draws))[1]

    chains = jax.jit(jax.vmap(one)) if job.many else jax.pmap(one) if job.chains <= jax.device_count() else None
    assert chains is not None

    def once(seed: int) -> Any:
        found = {k: np.asarray(v) for k, v in chains(jax.random.split(jax.random.PRNGKey(seed), job.chains)).items()}
        return found if "x" in found else {"mu": found["mu"], "tau": np.exp(found["log_tau"]), "z": found["z"]}

    return twice(once, job)


def twice(once: Callable[[int], Any], job: Job) -> Outcome:
    """The first run compiles; what it takes longer than the second one is compiling."""
    began = time.perf_counter()
    found = once(job.seed)
    first = time.perf_counter() - began
    once(job.seed + 1000)
    return Outcome(named(found), first, max(0.0, 2 * first - (time.perf_counter() - began)))


def pymc_model(job: Job) -> Any:
    import pymc as pm

    with pm.Model() as model:
        if job.problem == "gaussian":
            pm.MvNormal("x", np.zeros(100), tau=precision())
        else:
            mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
            z = pm.Normal("z", 0, 1, shape=8)
            pm.Normal("y", mu + tau * z, ERROR, observed=Y)
    return model


def pymc(job: Job) -> Outcome:
    import pymc as pm

    began = time.perf_counter()
    with pymc_model(job):
        found = pm.sample(
            job.draws, tune=job.warmup, chains=job.chains, cores=2, random_seed=job.seed, progressbar=False,
            compute_convergence_checks=False,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    return Outcome(named(found.posterior), seconds, max(0.0, seconds - float(found.posterior.attrs["sampling_time"])))


def nutpie(job: Job) -> Outcome:
    import nutpie as library
    import pymc  # noqa: F401, imported before the clock starts

    began = time.perf_counter()
    ready = library.compile_pymc_model(pymc_model(job))
    compiled = time.perf_counter() - began
    found = library.sample(
        ready, draws=job.draws, tune=job.warmup, chains=job.chains, cores=2, seed=job.seed, progress_bar=False
    )
    return Outcome(named(found.posterior), time.perf_counter() - began, compiled)


RUN = {f.__name__: f for f in (morelike, pyro, pyro_jit, numpyro, blackjax, pymc, nutpie)}


def main() -> None:
    library, problem, *numbers, out = sys.argv[1:]
    job = Job(problem, *map(int, numbers))
    if library in ("numpyro", "blackjax") and not job.many:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={job.chains}"
    found = RUN[library](job)
    np.savez(out, draws=found.draws)
    print(json.dumps({"seconds": found.seconds, "compiling": found.compiling}))


if __name__ == "__main__":
    main()
