"""Known damage: what is done to the items, and whether it is noticed."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from morelike.core.spec import Spec
from morelike.data import menagerie
from morelike.measure.damage import blur, mode, noise
from morelike.measure.features import random_features
from morelike.measure.figure import Evidence
from morelike.measure.selftest import SURE, curve, try_damage


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A two-sample test without its nets, which take most of the time."""
    monkeypatch.setattr("morelike.measure.twosample.NETS_FROM", 10**9)


class Plain:
    """The items' own numbers as features."""

    name = "plain"

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()

    def classify(self, x: Tensor) -> None:
        return None

    def described(self) -> dict[str, object]:
        return {"kind": "plain"}


def clusters(n: int, seed: int = 0, width: int = 6) -> Tensor:
    """Ten distant groups of points: (n, width)."""
    centres = 4 * torch.randn(10, width, generator=draw(99))
    return centres[torch.randint(10, (n,), generator=draw(seed))] + 0.5 * torch.randn(
        n, width, generator=draw(seed + 1)
    )


def test_area_under_the_curve() -> None:
    assert curve([3, 4], [1, 2]) == 1 and curve([1, 2], [3, 4]) == 0 and curve([1, 1], [1, 1]) == 0.5
    metrics = pytest.importorskip("sklearn.metrics")
    damaged, whole = torch.randint(0, 6, (9,), generator=draw(1)), torch.randint(0, 6, (11,), generator=draw(2))
    truth, score = [1] * 9 + [0] * 11, [*damaged.tolist(), *whole.tolist()]
    assert curve(damaged.tolist(), whole.tolist()) == pytest.approx(metrics.roc_auc_score(truth, score))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_blur_averages_the_neighbours_that_there_are(dims: int) -> None:
    x = torch.randn(2, 3, *[5] * dims, generator=draw())
    found = blur(x, dims)
    for place in ((0,) * dims, (2,) * dims, (4, *(1,) * (dims - 1))):
        around = [(max(at - 1, 0), min(at + 2, 5)) for at in place]
        own = x[(slice(None), slice(None), *(slice(*ends) for ends in around))]
        torch.testing.assert_close(found[(slice(None), slice(None), *place)], own.flatten(2).mean(2))


def test_noise_has_the_stated_size_and_keeps_tokens_tokens() -> None:
    x = 3 * torch.randn(400, 50, generator=draw()) + 1
    added = noise(x, Spec((50,)), draw(1)) - x
    assert added.std() == pytest.approx(0.2 * float(x.std()), rel=0.03)
    tokens = torch.randint(7, (400, 50), generator=draw())
    found = noise(tokens, Spec((50,), tokens=7), draw(1))
    assert found.dtype == tokens.dtype and found.min() >= 0 and found.max() <= 6
    assert float((found != tokens).float().mean()) == pytest.approx(0.2 * 6 / 7, abs=0.01)


def test_a_mode_is_one_group_of_about_a_tenth() -> None:
    x = clusters(2000)
    left_out = mode(x, draw())
    assert 0.05 < float(left_out.float().mean()) < 0.2
    spread = [float(part.var(0).sum()) for part in (x[left_out], x)]
    assert spread[0] < 0.3 * spread[1]  # what is left out lies together


def test_every_damage_is_noticed_by_the_measure_that_is_meant_to() -> None:
    pictures, _ = menagerie.pictures(2600, size=16, seed=0)
    x = torch.from_numpy(pictures).float().div(127.5).sub(1).unsqueeze(1)
    spec = Spec(x.shape[1:])
    found = try_damage(Evidence(x[:0], x[:1800], x[1800:], spec), random_features(spec, on=x))
    assert [one.kind for one in found] == ["noise", "blur", "dropped modes", "junk", "copies"]
    for one in found:
        assert one.meant in one.noticed, one
        assert all((area >= SURE) == (name in one.noticed) for name, area in one.auc.items())
    copies = found[-1].auc
    assert copies["frechet"] < SURE and copies["two_sample"] < SURE  # copies look real: other measures cannot see them


def test_vectors_and_tokens_have_no_blur_and_few_items_no_test() -> None:
    x = clusters(1200)
    kinds = [one.kind for one in try_damage(Evidence(x[:0], x[:800], x[800:], Spec((6,))), Plain(6))]
    assert kinds == ["noise", "dropped modes", "junk", "copies"]
    assert try_damage(Evidence(x[:0], x[:60], x[60:80], Spec((6,))), Plain(6)) == []
    assert try_damage(Evidence(x[:0], x[:0], x[:0], Spec((6,))), Plain(6)) == []


def test_the_same_seed_says_the_same_and_constant_items_do_no_harm() -> None:
    x = clusters(500)
    evidence = Evidence(x[:0], x[:400], x[400:], Spec((6,)))
    shares: list[float] = []
    first = try_damage(evidence, Plain(6), seed=3, tell=shares.append)
    assert first == try_damage(evidence, Plain(6), seed=3) and shares[-1] == 1 and shares == sorted(shares)
    same = torch.ones(500, 6)
    found = try_damage(Evidence(same[:0], same[:400], same[400:], Spec((6,))), Plain(6))
    for one, (_, area) in itertools.product(found, [pair for each in found for pair in each.auc.items()]):
        assert 0 <= area <= 1 and one.kind
