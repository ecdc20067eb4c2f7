"""NUTS, HMC and ChEES through the driver; the integrator, warm-up, traces; and what a user is told of a bad density."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from morelike.core.errors import OptionError, TrainingError
from morelike.samplers.mcmc import adaptation, density, doubling, graph, kernel_of, nuts
from morelike.samplers.mcmc.diagnostics import figures
from morelike.samplers.mcmc.kernel import Tuning
from morelike.samplers.mcmc.leapfrog import energy, leapfrog
from morelike.samplers.mcmc.metric import Metric
from morelike.samplers.mcmc.support import positive
from morelike.samplers.mcmc.tape import record
from morelike.samplers.mcmc.walk import LogProb, Walk

DOUBLE = torch.float64
MEAN = torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)
COV = torch.tensor([[1.0, 0.9, 0.2], [0.9, 2.0, -0.3], [0.2, -0.3, 0.5]], dtype=DOUBLE)
PRECISION = torch.linalg.inv(COV)


def gaussian(x: Tensor) -> Tensor:
    return -0.5 * (x - MEAN) @ PRECISION @ (x - MEAN)


def gamma(tau: Tensor) -> Tensor:
    """Gamma(3, 1): skewed, mean and variance 3."""
    return 2 * tau.log() - tau


def run(law, init, kernel="nuts", draws=500, warmup=300, chains=4, seed=0, supports=None) -> Walk:
    walk = Walk(law, init, kernel, draws, warmup, chains, seed, supports)
    for _ in walk:
        pass
    return walk


def posterior(law, dims: int) -> density.Posterior:
    return density.Posterior(law, density.Layout({"x": (dims,)}, named=False))


@pytest.mark.parametrize(("kernel", "chains"), [("nuts", 4), ("hmc", 4), ("chees", 64)])
def test_moments_of_a_correlated_gaussian_and_of_a_skewed_law(kernel: str, chains: int) -> None:
    x = run(gaussian, torch.zeros(3, dtype=DOUBLE), kernel, chains=chains).draws().values["x"]
    one = torch.tensor(1.0, dtype=DOUBLE)
    tau = run(gamma, {"tau": one}, kernel, chains=chains, supports={"tau": positive}).draws().values["tau"]
    products = x[..., :, None] * x[..., None, :]
    for found, known in [(x, MEAN), (products, COV + MEAN[:, None] * MEAN), (tau, 3.0), (tau**2, 12.0)]:
        told = figures(found)
        z = (torch.as_tensor(told.mean) - torch.as_tensor(known)) / torch.as_tensor(told.mcse)
        assert (z.abs() < 4).all(), z
        assert told.rhat.max() < 1.03


def test_the_leapfrog_goes_back_to_where_it_came_from() -> None:
    law, rng = posterior(gaussian, 3), torch.Generator().manual_seed(0)
    q = torch.randn(5, 3, dtype=DOUBLE, generator=rng)
    r, scale = torch.randn(5, 3, dtype=DOUBLE, generator=rng), torch.linalg.cholesky(COV)
    at, momentum, grad = q, r, law.grad(q)[1]
    for sign in (1.0, -1.0):
        step = torch.full((5, 1), 0.2 * sign, dtype=DOUBLE)
        for _ in range(100):
            at, momentum, grad, _ = leapfrog(law, at, momentum, grad, step, scale)
        assert (sign < 0) == bool((at - q).abs().max() < 0.1)
    assert max((at - q).abs().max(), (momentum - r).abs().max()) < 1e-8


def test_the_error_of_the_energy_falls_as_the_square_of_the_step() -> None:
    law = posterior(lambda x: -(x**4).sum() / 4 - x[0] * x[1], 2)
    q, r = torch.tensor([[0.7, -0.4]], dtype=DOUBLE), torch.tensor([[0.9, 1.1]], dtype=DOUBLE)
    errors = []
    for steps in (20, 40, 80, 160):
        at, momentum, (logp, grad) = q, r, law.grad(q)
        before = energy(logp, r)
        for _ in range(steps):
            step = torch.full((1, 1), 2.0 / steps, dtype=DOUBLE)
            at, momentum, grad, logp = leapfrog(law, at, momentum, grad, step, torch.ones(2, dtype=DOUBLE))
        errors.append(abs(float(energy(logp, momentum) - before)))
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert coarse / fine == pytest.approx(4.0, rel=0.1)


def by_hand(r: Tensor) -> bool:
    """Whether one chain goes straight on: every halving of its momenta, (n, D), as Stan looks at it."""
    n = len(r)
    if n == 1:
        return True
    left, right = r[: n // 2], r[n // 2 :]
    fine = by_hand(left) and by_hand(right)
    for part in (r, torch.cat([left, right[:1]]), torch.cat([left[-1:], right])):
        fine = fine and float(part[0] @ part.sum(0)) > 0 and float(part[-1] @ part.sum(0)) > 0
    return fine


@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_turns_are_found_as_by_hand(n: int) -> None:
    rng = torch.Generator().manual_seed(n)
    turn = torch.randn(400, 1, dtype=DOUBLE, generator=rng) * 3 / n * torch.arange(n)
    r = torch.stack([turn.cos(), turn.sin()], -1) + 0.3 * torch.randn(400, n, 2, dtype=DOUBLE, generator=rng)
    straight, lost = doubling.ending(r.transpose(0, 1), torch.zeros(n, 400, dtype=torch.bool))
    known = torch.tensor([by_hand(one) for one in r])
    assert 20 < known.sum() < 380
    assert torch.equal(straight, known) and not lost.any()


def test_a_lost_point_counts_where_nothing_has_turned_before_it() -> None:
    r = torch.ones(4, 3, 1, dtype=DOUBLE)
    r[1, 1], r[3] = -1.0, float("nan")
    lost = torch.tensor([[False] * 3, [False] * 3, [False] * 3, [True, True, False]])
    r[3, 2] = 1.0
    straight, cut = doubling.ending(r, lost)
    assert straight.tolist() == [False, False, True] and cut.tolist() == [True, False, False]


def test_a_wild_step_is_told_as_divergence() -> None:
    law, q = posterior(gaussian, 3), MEAN.expand(6, 3)
    state = nuts.Kernel().init(law, q)
    tuning = kernel_tuning(q, 200.0)
    new, info = nuts.Kernel().step(law, state, tuning, torch.Generator().manual_seed(0))
    assert info.diverging.all() and (info.accept < 1e-3).all() and torch.equal(new.q, q)


def kernel_tuning(q: Tensor, step: float) -> Tuning:
    return Tuning(Metric.unit(q), torch.tensor(step).to(q))


@pytest.mark.parametrize("kernel", ["nuts", "hmc"])
def test_traced_and_plain_chains_are_the_same(kernel: str) -> None:
    def law(x: Tensor) -> Tensor:
        u = (x / 3).pow(2).sum() + torch.stack([x[0] * 2 / 5, -x[1] / 7]).exp().sum()
        return gaussian(x) - 0.1 * u - torch.logsumexp(x[None, :] * 2.0, 1).sum() / 50

    plain, q = posterior(law, 3), MEAN.expand(4, 3) + 0.1
    chains = []
    for which in (plain, density.Fast(plain)):
        rng, moves = torch.Generator().manual_seed(3), kernel_of(kernel)
        with torch.inference_mode():
            state = moves.init(which, q)
            for _ in range(30):
                state, _ = moves.step(which, state, kernel_tuning(q, 0.3), rng)
        chains.append(state)
    for a, b in zip(*chains, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7)


def test_a_trace_is_shorter_and_gives_the_same() -> None:
    c = torch.arange(1.0, 4.0, dtype=DOUBLE)

    def function(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        scaled = -(x * 2.0 / c) * 3
        mean = (y.sum(1, keepdim=True) / 5).sum(1, True)
        return y - scaled * y + (x**2).view(-1).view(2, 3), (x - mean).sum(0)

    x, y = torch.randn(2, 3, dtype=DOUBLE), torch.randn(2, 3, dtype=DOUBLE)
    with torch.no_grad():
        tape = record(function, x, y)
        before = sum(node.op == "call_function" for node in tape.graph.nodes)
        short = graph.simplify(tape)
        assert sum(node.op == "call_function" for node in short.graph.nodes) <= before - 4
        x, y = 2 * x + 1, y - 3
        for run_, told in ((short, "replayed"), (graph.flat(function, x, y), "flat")):
            for a, b in zip(run_(x, y), function(x, y), strict=True):
                torch.testing.assert_close(a, b, msg=told)


def test_what_looks_at_values_is_not_traced() -> None:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        return (x * 2 if float(x.sum()) > 0 else x * 3,)

    run_ = graph.flat(function, torch.ones(3))
    assert run_ is function and torch.equal(run_(-torch.ones(3))[0], -3 * torch.ones(3))


@pytest.mark.parametrize("kernel", ["nuts", "hmc", "chees"])
@pytest.mark.parametrize("target", [0.7, 0.9])
def test_dual_averaging_reaches_its_target(kernel: str, target: float) -> None:
    scales = torch.linspace(0.5, 2, 20, dtype=DOUBLE)
    plan = adaptation.Warmup(500, target=target)
    walk = run(lambda x: -0.5 * (x / scales).square().sum(), torch.zeros(20, dtype=DOUBLE), kernel, 300, plan, 16)
    assert float(walk.draws().stats["accept"].mean()) == pytest.approx(target, abs=0.05)


def test_the_dense_metric_of_a_gaussian_is_found() -> None:
    walk = run(gaussian, torch.zeros(3, dtype=DOUBLE), warmup=adaptation.Warmup(200, metric="dense"), draws=10)
    scale = walk.tuning.metric.scale
    torch.testing.assert_close(scale @ scale.T, COV, rtol=1e-3, atol=1e-3)


def test_few_draws_of_many_dimensions_give_the_metric_of_a_gaussian() -> None:
    dims, rng = 30, torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(dims, dims, dtype=DOUBLE, generator=rng)).Q
    cov = (turn * torch.logspace(0, 3, dims, dtype=DOUBLE)) @ turn.T
    q = torch.randn(45, dims, dtype=DOUBLE, generator=rng) @ torch.linalg.cholesky(cov).T
    scale = adaptation.estimate(q, -q @ torch.linalg.inv(cov), "auto").scale
    found = torch.linalg.eigvals(torch.linalg.solve(cov, scale @ scale.T)).real
    assert float(found.min()) > 0.7 and float(found.max()) < 1.4


def test_chains_that_run_away_have_a_metric_of_scales_only() -> None:
    rng = torch.Generator().manual_seed(0)
    far = torch.randn(40, 2, dtype=DOUBLE, generator=rng) * torch.tensor([1e160, 1.0], dtype=DOUBLE)
    for q, grad in ((far, torch.randn(40, 2, dtype=DOUBLE, generator=rng)), (far * 1e160, far), (far * 0, far * 0)):
        scale = adaptation.estimate(q, grad, "auto").scale
        assert scale.shape[0] == 2 and not scale.isnan().any()


def test_a_start_far_out_is_passed_over() -> None:
    """Of five points around the given one, that with the largest density: none begins 10,000 nats below the others."""
    walk = Walk(lambda x: -1e5 * x[0].square() - x[1] ** 2, torch.tensor([0.0, 0.0], dtype=DOUBLE), chains=200)
    away = walk.start.abs()
    assert float(away[:, 0].mean()) == pytest.approx(1 / 6, abs=0.05)  # the least of five uniform numbers
    assert float(away[:, 1].mean()) == pytest.approx(1 / 2, abs=0.08)


def refused(law, init=None, supports=None, kernel="nuts", draws=100, warmup=100, kind=OptionError) -> str:
    with pytest.raises(kind) as caught:
        run(law, torch.zeros(2, dtype=DOUBLE) if init is None else init, kernel, draws, warmup, supports=supports)
    return str(caught.value)


def in_place(x: Tensor) -> Tensor:
    x += 1
    return -(x**2).sum()


def test_a_start_where_the_density_is_nought_or_no_number_is_named() -> None:
    for law, value in ((lambda x: (x**2).sum() * float("nan"), "nan"), (lambda x: -(x**2).sum() - math.inf, "-inf")):
        told = refused(law)
        assert "Chain 0" in told and f"log_prob is {value}" in told and "x = " in told
    steep = refused(lambda mu, tau: -(mu**2) - tau.sqrt() * 0 - tau.abs().log() * 0, {"mu": 0.0, "tau": 0.0})
    assert "tau" in steep


def test_what_a_log_density_must_not_do_is_named() -> None:
    assert "shape (2,)" in refused(lambda x: -(x**2))
    assert "writes into a tensor" in refused(in_place)
    assert "no gradient" in refused(lambda x: -(x.detach() ** 2).sum())
    assert "if" in refused(lambda x: -(x**2).sum() if x[0] > 0 else -(x**4).sum())
    whole = refused(lambda k: -(k**2).sum(), {"k": torch.tensor([1, 2])})
    assert '"k"' in whole and "whole numbers" in whole
    assert '"tau" of chain 0' in refused(lambda tau: -tau, {"tau": -1.0}, {"tau": positive})


def test_improper_and_unbounded_densities_are_named() -> None:
    assert '"b"' in refused(lambda a, b: -(a**2) + 0 * b, {"a": 0.0, "b": 0.0})
    told = refused(lambda a, b: -(a**2) + b, {"a": 0.0, "b": 0.0}, draws=3000, kind=TrainingError)
    assert "Chain" in told and "b is" in told
    spike = run(lambda a, b: -(a**2) + b**4, {"a": 0.0, "b": 0.0}, warmup=100).draws().verdict()
    assert spike.level == "do not use" and " b " in spike.sentence


def test_a_chain_that_never_moves_is_named() -> None:
    """Chain 2 starts on an island from which no step is accepted."""

    def law(x: Tensor) -> Tensor:
        far = x[0] > 50
        return torch.where(far, -1e12 * (x[0] - 100) ** 2 + 1e6, -0.5 * (x**2).sum())

    starts = [torch.tensor([float(v)], dtype=DOUBLE) for v in (0, 0.5, 100, -0.5)]
    walk = Walk(law, starts, "metropolis", 200, adaptation.Warmup(50, metric="unit", target=None), 4)
    for _ in walk:
        pass
    verdict = walk.draws().verdict()
    assert verdict.level != "good" and "2" in verdict.sentence + str(verdict)


def test_a_density_of_all_chains_and_machine_code_agree_with_one() -> None:
    one = run(gaussian, torch.zeros(3, dtype=DOUBLE), draws=20, warmup=40).draws().values["x"]
    many = LogProb(lambda x: -0.5 * ((x - MEAN) @ PRECISION * (x - MEAN)).sum(1), batched=True)
    torch.testing.assert_close(run(many, torch.zeros(3, dtype=DOUBLE), draws=20, warmup=40).draws().values["x"], one)
