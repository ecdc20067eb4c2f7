"""A run of Markov chains, from the starts to the draws."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from morelike.core.errors import OptionError, TrainingError
from morelike.samplers.mcmc import kernel_of
from morelike.samplers.mcmc.adaptation import Warmup, warm
from morelike.samplers.mcmc.density import Fast, Posterior, check
from morelike.samplers.mcmc.draws import Draws
from morelike.samplers.mcmc.kernel import Kernel, Tuning
from morelike.samplers.mcmc.metric import Metric
from morelike.samplers.mcmc.starts import Init, layout_of, scattered, spread
from morelike.samplers.mcmc.support import Support

ALONE = 2e-3  # seconds of an evaluation up to which one thread is the fastest
FAR = 1e12  # how many times its start a number may become before the density is taken to be improper


class Progress(NamedTuple):
    """Where a run stands, after each step of all chains.

    phase   "warmup" or "draws", and the `done` of `steps` steps of it
    info    what the kernel told of the step
    tuning  what has been learnt
    """

    phase: str
    done: int
    steps: int
    info: Any
    tuning: Tuning


@dataclass(frozen=True)
class LogProb:
    """A log density and how it is to be called.

    function  parameters by name (or one tensor) -> log density
    batched   whether it takes all chains at once, (chains, *shape) each, and gives (chains,); else those of one chain
    compile   turn it into machine code: some seconds and a C++ compiler, for runs of minutes
    """

    function: Callable[..., Tensor]
    batched: bool = False
    compile: bool = False


class Walk:
    """A run; iterate over it to make it, and ask for its `draws` whenever you like.

    log_prob  log density of parameters, up to a constant
    init      one point, around which chains are scattered, or a list of one for each chain: a tensor, or a mapping
              from names to tensors and numbers; their type is the type of all computation
    supports  of parameters that are not simply real
    """

    def __init__(
        self,
        log_prob: Callable[..., Tensor] | LogProb,
        init: Init,
        kernel: str | Kernel = "nuts",
        draws: int = 1000,
        warmup: int | Warmup = 1000,
        chains: int = 4,
        seed: int = 0,
        supports: Mapping[str, Support] | None = None,
    ) -> None:
        law = log_prob if isinstance(log_prob, LogProb) else LogProb(log_prob)
        self.kernel, self.name = kernel_of(kernel), kernel if isinstance(kernel, str) else type(kernel).__module__
        self.warmup = warmup if isinstance(warmup, Warmup) else Warmup(warmup)
        for what, number in (("draws", draws), ("chains", chains), ("warmup", self.warmup.steps + 1)):
            if number < 1:
                raise OptionError(f"{what} is {number}", "A positive number", "Correct it and run again")
        self.steps, self.seed, self.started = draws, seed, time.perf_counter()
        self.layout = layout_of(init, supports or {}, self.kernel)
        q, given = spread(init, self.layout, chains)
        self.rng = torch.Generator(q.device).manual_seed(seed)
        plain = Posterior(law.function, self.layout, law.batched)
        with torch.no_grad():
            check(plain, q, self.kernel.gradient)
            self.start = scattered(plain, q, given or self.kernel.discrete, self.kernel.gradient, self.rng)
        self.density = Fast(plain, law.compile)
        self.places: list[Tensor] = []
        self.infos: list[Any] = []
        self.tuning = Tuning(Metric.unit(self.start), torch.tensor(self.warmup.step).to(self.start))

    def __iter__(self) -> Iterator[Progress]:
        threads = torch.get_num_threads()
        try:
            torch.set_num_threads(self._threads(threads))
            yield from self._steps()
        finally:
            torch.set_num_threads(threads)

    @torch.inference_mode()
    def _threads(self, most: int) -> int:
        """One, where an evaluation takes so little time that threads would only wait for each other."""
        evaluate = self.density.grad if self.kernel.gradient else self.density
        torch.set_num_threads(1)
        evaluate(self.start)
        began = time.perf_counter()
        evaluate(self.start)
        return 1 if time.perf_counter() - began < ALONE else most

    @torch.inference_mode()
    def _steps(self) -> Iterator[Progress]:
        state = self.kernel.init(self.density, self.start)
        steps = warm(self.kernel, self.density, state, self.rng, self.warmup)
        for i, (state, self.tuning, info) in enumerate(steps, start=1):
            self._sound(state, i)
            yield Progress("warmup", i, self.warmup.steps, info, self.tuning)
        for i in range(1, self.steps + 1):
            state, info = self.kernel.step(self.density, state, self.tuning, self.rng)
            self.places.append(state.q)
            self.infos.append(info)
            self._sound(state, i)
            yield Progress("draws", i, self.steps, info, self.tuning)

    def _sound(self, state: Any, i: int) -> None:
        """Stop a run that leaves all bounds; looked at now and then."""
        if i % 10:
            return
        far = state.q.abs() > FAR * (1 + self.start.abs())
        lost = ~state.logp.isfinite()
        if not bool(far.any() | lost.any()):
            return
        chain = int((far.any(1) | lost).nonzero()[0])
        worst = int(state.q[chain].abs().argmax())
        raise TrainingError(
            f"Chain {chain} runs away: {self.layout.names[worst]} is {float(state.q[chain, worst]):.3g} "
            f"(unconstrained), log_prob {float(state.logp[chain]):.3g}",
            "A density that is bounded and can be normalised",
            "Give every parameter a proper prior, and keep scales away from 0",
        )

    def draws(self) -> Draws:
        """What has been drawn so far."""
        if not self.places:
            raise TrainingError("The run was stopped before its first draw", "At least one", "Let it go on for longer")
        with torch.no_grad():
            q = torch.stack(self.places, 1)  # (C, N, D)
            values = self.layout.values(q.flatten(0, 1))
            values = {name: x.unflatten(0, q.shape[:2]) for name, x in values.items()}
        told = zip(self.infos[0]._fields, zip(*self.infos, strict=True), strict=True)
        stats = {name: torch.stack(list(x), 1) for name, x in told}
        return Draws(values, stats, self.about())

    def about(self) -> dict[str, Any]:
        """How the draws came about, as plain data."""
        options = {f.name: getattr(self.kernel, f.name) for f in fields(self.kernel)}  # type: ignore[arg-type]
        return {
            "kernel": self.name,
            "options": {k: v for k, v in options.items() if isinstance(v, int | float | str | bool)},
            "seed": self.seed,
            "warmup": asdict(self.warmup),
            "metric": "dense" if self.tuning.metric.dense else "diag",
            "step": float(self.tuning.step),
            "tracing": round(self.density.quick.seconds, 3),
            "seconds": round(time.perf_counter() - self.started, 3),
        }
