"""The verdict on draws: each fault is found, named with its chain and parameter, and nothing is found in good draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_mcmc_diagnostics import ar

from morelike.samplers.mcmc.draws import Draws, as_draws
from morelike.samplers.mcmc.verdict import LEVELS, Remark, Verdict, judge

CHAINS = np.arange(4)[:, None]


def good(seed: int = 0, rho: float = 0.3, draws: int = 1000) -> np.ndarray:
    return ar(rho, draws=draws, size=1, seed=seed)[..., 0]  # (4, N)


def only(verdict: Verdict, kind: str) -> Remark:
    """The one remark of a kind, which has to come first among those of its level."""
    assert [one.kind for one in verdict.remarks].count(kind) == 1, str(verdict)
    return next(one for one in verdict.remarks if one.kind == kind)


def test_good_draws_can_be_used() -> None:
    verdict = judge({"mu": good(), "theta": ar(0.2, draws=1000, size=20, seed=1)})
    assert verdict.level == "good" and not verdict.remarks
    assert verdict.sentence.startswith("The draws can be used: the 4 chains agree (R-hat at most 1.0")
    assert set(verdict.parameters) == {"mu", *(f"theta[{i}]" for i in range(20))}
    assert {one.words for one in verdict.parameters.values()} == {"usable"}


def test_false_alarms_are_rare() -> None:
    """Of 40 sets of good draws, with 10 parameters each, hardly one is called anything but good."""
    verdicts = [judge({"x": ar(0.4, draws=1000, size=10, seed=seed)}) for seed in range(40)]
    assert sum(one.level != "good" for one in verdicts) <= 1


def test_a_chain_that_lies_elsewhere_is_named() -> None:
    verdict = judge({"mu": good(), "tau": good(1) + 4 * (CHAINS == 2)})
    one = only(verdict, "disagree")
    assert verdict.level == "do not use" and one.of == ("tau",) and one.chains == (2,)
    assert verdict.sentence.startswith("Do not use: the chains disagree on tau (R-hat 1.")
    assert "Chain 2 lies elsewhere: tau is around 4.0 there, and around -0.0 in chains 0, 1 and 3" in one.found
    assert "several modes" in one.found and "parallel tempering" in one.action
    assert verdict.parameters["tau"].words == "not usable: the chains disagree"
    assert verdict.parameters["mu"].words == "usable"


def test_chains_in_two_modes_are_told_apart() -> None:
    one = only(judge({"x": good() + 8 * (CHAINS >= 2)}), "disagree")
    assert one.found.startswith("In chains 0 and 1, x is around -0.1, and in chains 2 and 3 around 8.0.")


def test_chains_that_seldom_cross_between_heaps() -> None:
    jumps = np.random.default_rng(3).random((4, 1000)) < 0.005
    side = np.cumsum(jumps, 1) % 2
    one = only(judge({"x": 0.5 * good() + 6 * side}), "disagree")
    crossings = int(jumps[:, 1:].sum())
    assert "two heaps, around -0" in one.found and f"{crossings} times" in one.found and "tempering" in one.action


def test_chains_that_are_still_on_their_way() -> None:
    one = only(judge({"x": good() + np.linspace(0, 4, 1000)}), "disagree")
    assert "still on their way" in one.found and "Warm up longer" in one.action


def test_chains_of_different_width() -> None:
    one = only(judge({"x": good() * (1 + 2 * (CHAINS == 1))}), "disagree")
    assert one.chains == (1,) and "its sd is 3.0 in chain 1, 1.0 in chains 0, 2 and 3" in one.found


def test_slow_chains_are_told_to_run_longer() -> None:
    one = only(judge({"x": ar(0.995, draws=1000, size=1, seed=2)[..., 0]}), "disagree")
    assert "Run 4 times as long" in one.action and "wander slowly" in one.found


def test_chains_that_do_not_quite_agree() -> None:
    verdict = judge({"x": good() + 0.35 * (CHAINS == 3)})
    one = only(verdict, "disagree")
    assert one.level == verdict.level == "careful" and "do not quite agree on x" in verdict.sentence
    assert verdict.parameters["x"].words == "doubtful: the chains do not quite agree"


def test_a_chain_that_never_moved_is_named_and_the_others_are_judged_without_it() -> None:
    x = np.stack([good(), good(1)], 2)
    x[1] = x[1, 0]
    verdict = judge({"theta": x})
    one = only(verdict, "still")
    assert verdict.level == "do not use" and one.chains == (1,) and [each.kind for each in verdict.remarks] == ["still"]
    assert verdict.sentence.startswith("Do not use: chain 1 never moved.")
    assert f"theta[0] at {x[1, 0, 0]:.4g}" in one.found
    x[:] = x[:, :1]
    assert only(judge({"theta": x}), "still").title == "chains 0, 1, 2 and 3 never moved"


def test_a_parameter_that_stands_still_in_one_chain_or_in_all() -> None:
    x, y = good(), good(1)
    x[3] = 2.5
    one = only(judge({"x": x, "y": y}), "still")
    assert one.title == "in chain 3, x never moved" and "x is 2.5" in one.found
    verdict = judge({"y": y, "k": np.full((4, 1000), 7.0)})
    assert verdict.level == "good" and only(verdict, "constant").of == ("k",)
    assert verdict.parameters["k"].words == "never changes"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_draws_that_are_not_numbers(value: float) -> None:
    x = np.stack([good(), good(1)], 2)
    x[2, 17, 1] = value
    verdict = judge({"theta": x})
    one = only(verdict, "not_finite")
    assert one.of == ("theta[1]",) and f"{value} in chain 2 at draw 17" in one.found
    assert verdict.level == "do not use" and verdict.parameters["theta[0]"].level == "good"


def test_copies_of_a_chain() -> None:
    x = good()
    x[3] = x[0]
    assert only(judge({"x": x}), "copies").chains == (0, 3)


def test_slowly_mixing_parameters_are_usable_for_less() -> None:
    verdict = judge({"x": good(), "slow": good(4, rho=0.85)})
    one = only(verdict, "rough")
    assert verdict.level == "careful" and one.of == ("slow",) and "bulk ESS, should be above 400" in one.title
    assert verdict.parameters["slow"].words == "usable for a rough mean, not for more"


def test_usable_for_means_but_not_for_tails() -> None:
    """The chains go to the upper tail seldom, and stay there for twelve steps each time."""
    rng = np.random.default_rng(0)
    begins = rng.random((4, 600)) < 0.005
    there = sum(np.roll(begins, k, 1) for k in range(12))
    verdict = judge({"x": rng.normal(size=(4, 600)) + 3 * (there > 0)})
    assert [one.kind for one in verdict.remarks] == ["tails"] and verdict.level == "careful"
    assert "the tails of x rest on the worth of only" in verdict.sentence
    assert verdict.parameters["x"].words == "usable for means, not for tails"


def test_the_precision_that_was_asked_for() -> None:
    x = 10 * np.stack([good(), good(3, rho=0.8)], 2)
    assert judge({"x": x}, precision=0.1).level == "good"
    one = only(judge({"x": x}, precision=0.03), "imprecise")
    assert one.of == ("x[1]",)
    by_name = only(judge({"x": x}, precision={"x": 0.15}), "imprecise")
    assert by_name.of == ("x[1]", "x[0]") and "asked 0.15)" in by_name.title
    needed = int(by_name.action.split("about ")[1].split()[0].replace(",", ""))
    error = 10 * math.sqrt(9 / 4000)  # an AR(1) chain with 0.8 is worth a ninth of its draws
    assert needed == pytest.approx(1000 * (error / 0.15) ** 2, rel=0.3)
    assert judge({"x": x}, precision={"y": 1e-9}).level == "good"


def test_one_chain_is_never_good_and_compared_with_itself() -> None:
    verdict = judge({"x": good()[:1]})
    assert verdict.level == "careful" and [one.kind for one in verdict.remarks] == ["single"]
    drifting = judge({"x": good()[:1] + np.linspace(0, 4, 1000)})
    assert drifting.level == "do not use" and "two halves of the chain disagree on x" in drifting.sentence


def test_too_few_draws_say_nothing() -> None:
    assert judge({"x": good()[:, :5]}).sentence.startswith("Do not use: there are only 5 draws of each chain")


def test_energy_refusals_and_saturated_trees() -> None:
    x = {"x": good()}
    energy = np.where(
        CHAINS == 2, ar(0.95, draws=1000, size=1)[..., 0], np.random.default_rng(1).normal(size=(4, 1000))
    )
    one = only(judge(x, {"energy": energy}, {"kernel": "nuts"}), "energy")
    assert one.chains == (2,) and one.level == "careful" and "BFMI 0." in one.title
    assert judge(x, {"energy": energy}, {"kernel": "metropolis"}).level == "good"
    scale = np.exp(0.5 * energy + 0.1 * good(5, rho=0.0))
    one = only(judge({"x": x["x"], "tau": scale}, {"energy": energy}), "energy")
    assert "The energy goes with tau (rank correlation 0.9" in one.found and "non-centred (x = mean + tau" in one.action
    accept = np.where(CHAINS == 1, 0.01, 0.8) + np.zeros((4, 1000))
    assert only(judge(x, {"accept": accept}), "refused").chains == (1,)
    few, many = (np.random.default_rng(0).random((4, 1000)) < share for share in (0.1, 0.5))
    assert judge(x, {"saturated": few}).level == "good" and only(judge(x, {"saturated": few}), "saturated")
    assert judge(x, {"saturated": many}).level == "careful"


def test_divergences_anywhere() -> None:
    flags = np.random.default_rng(0).random((4, 1000)) < 0.005
    one = only(judge({"x": good(), "y": good(1)}, {"diverging": flags}), "divergences")
    assert one.level == "careful" and "all over" in one.found and "0.95" in one.action and not one.of
    many = np.random.default_rng(0).random((4, 1000)) < 0.03
    verdict = judge({"x": good()}, {"diverging": many}, {"warmup": {"steps": 9, "target": 0.95}})
    assert verdict.level == "do not use" and "0.99" in verdict.sentence
    assert judge({"x": good()}, {"diverging": np.zeros((4, 1000), bool)}).level == "good"


def funnel(chains: int = 4, draws: int = 1000, step: float = 0.25, seed: int = 3) -> Draws:
    """Hamiltonian Monte Carlo in Neal's funnel: log tau ~ N(0, 1.5), x_i ~ N(0, tau), with too large a step."""
    rng = torch.Generator().manual_seed(seed)

    def gradient(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        v, x = q[:, :1], q[:, 1:]
        square = x**2 * (-2 * v).exp()
        energy = v[:, 0] ** 2 / 4.5 + (square / 2 + v).sum(1)
        return energy, torch.cat([v / 2.25 + (1 - square).sum(1, keepdim=True), x * (-2 * v).exp()], 1)

    q = torch.randn(chains, 5, dtype=torch.double, generator=rng)
    kept, lost = [], []
    for _ in range(draws):
        p = torch.randn(q.shape, dtype=torch.double, generator=rng)
        u, g = gradient(q)
        start, new, r = u + p.square().sum(1) / 2, q, p
        for _ in range(12):
            r = r - step / 2 * g
            new = new + step * r
            u, g = gradient(new)
            r = r - step / 2 * g
        error = (u + r.square().sum(1) / 2 - start).nan_to_num(nan=torch.inf, posinf=torch.inf)
        lost.append(error > 1000)
        accepted = torch.rand(chains, dtype=torch.double, generator=rng) < (-error).exp()
        q = torch.where(accepted[:, None], new, q)
        kept.append(q)
    q = torch.stack(kept, 1)  # (C, N, 5)
    return Draws({"tau": q[..., 0].exp(), "x": q[..., 1:]}, {"diverging": torch.stack(lost, 1)}, {"kernel": "hmc"})


def test_divergences_in_a_funnel_are_located_at_its_neck() -> None:
    draws = funnel()
    assert draws.stats["diverging"].sum() >= 10
    one = only(draws.verdict(), "divergences")
    assert one.of[0] == "tau" and "lost (divergences) where tau is small" in one.title
    assert "narrows" in one.found and "non-centred" in one.action


def test_remarks_come_by_severity_and_the_verdict_reads_well() -> None:
    flags = np.random.default_rng(0).random((4, 1000)) < 0.002
    verdict = judge({"a": good(), "b": good(1) + 4 * (CHAINS == 0), "k": np.ones((4, 1000))}, {"diverging": flags})
    levels = [LEVELS.index(one.level) for one in verdict.remarks]
    assert levels == sorted(levels, reverse=True) and {one.kind for one in verdict.remarks} == {
        "disagree", "divergences", "constant",
    }  # fmt: skip
    text = str(verdict)
    assert text.startswith("Do not use: ") and "What to try: " in text and "Why it matters: " in text
    assert max(map(len, text.splitlines())) <= 100


def test_many_parameters_are_counted_not_listed() -> None:
    verdict = judge({"theta": ar(0.2, draws=500, size=60) + 4 * (CHAINS == 0)[..., None]})
    one = only(verdict, "disagree")
    assert len(one.of) == 60 and "and 57 more" in one.title and len(verdict.sentence) < 400


def test_draws_and_arrays_get_the_same_verdict() -> None:
    x = good()
    assert as_draws({"x": x}).verdict() == judge({"x": torch.from_numpy(x)})
