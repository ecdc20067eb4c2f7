"""Copies are found through noise, shifts and mirrors; held-out, blurred and mixed items are not called copies."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from morelike.core.spec import Spec
from morelike.data import menagerie
from morelike.measure.copies import Items, Rule
from morelike.measure.figure import Evidence, Figure, Novelty
from morelike.measure.generalisation import _Mixture, copying_test, distance_ratio, likelihood_gap
from morelike.measure.novelty import novelty
from morelike.measure.sketch import aligned, fit

SPEC = Spec((1, 28, 28))


class Blurry:
    """Features for tests: a fixed random projection of the average over 4 x 4 pixels."""

    name, width = "blurry", 24

    def __call__(self, x: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        flat = F.avg_pool2d(x, 4).flatten(1) if x.ndim == 4 else x.float().flatten(1)
        return flat @ torch.randn(flat.shape[1], self.width, generator=generator)

    def classify(self, x: Tensor) -> None:
        return None

    def described(self) -> dict[str, object]:
        return {}


class Blind(Blurry):
    """Features that see no difference between any two items."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), self.width)


@pytest.fixture(scope="module")
def animals() -> Tensor:
    """1,600 grey drawings (1, 28, 28) from -1 to 1."""
    return torch.from_numpy(menagerie.pictures(1600, 28, False)[0]).unsqueeze(1).float() / 127.5 - 1


@pytest.fixture(scope="module")
def kinds() -> Tensor:
    return torch.from_numpy(menagerie.factors(1600).species).long()


@pytest.fixture(scope="module")
def rule(animals: Tensor) -> Rule:
    """The rule for 1,200 drawings, calibrated by 200 others; the last 200 are for judging."""
    return Rule(items(animals[:1200]), items(animals[1200:1400]), SPEC)


def items(x: Tensor) -> Items:
    return Items(x, Blurry()(x))


def found(novelty: Novelty, name: str) -> Figure:
    return next(one for one in novelty.figures if one.name == name and one.label is None)


def evidence(made: Tensor, train: Tensor, held: Tensor, **more: object) -> Evidence:
    return Evidence(made, train, held, Spec(tuple(train.shape[1:])), **more)  # type: ignore[arg-type]


def moved(x: Tensor, dy: int, dx: int) -> Tensor:
    return F.pad(x, (1, 1, 1, 1), mode="replicate")[..., 1 + dy : 29 + dy, 1 + dx : 29 + dx]


COPIES = {
    "a grey level": lambda x: x + torch.randint(-1, 2, x.shape) / 127.5,
    "noise": lambda x: x + 0.05 * torch.randn(x.shape),
    "shifted": lambda x: moved(x, 1, -1),
    "mirrored": lambda x: x.flip(-1),
    "mirrored and shifted": lambda x: moved(x.flip(-1), 0, 1),
}
NEW = {
    "blurred": lambda x: F.avg_pool2d(x, 5, 1, 2, count_include_pad=False),
    "noisy": lambda x: x + 0.1 * torch.randn(x.shape),
    "mixed": lambda x: (x + x.roll(1, 0)) / 2,
    "mean": lambda x: x.mean(0, keepdim=True).expand_as(x),
    "as they are": lambda x: x,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_changed_copy_is_a_near_copy(animals: Tensor, rule: Rule, how: str) -> None:
    source = torch.arange(0, 1200, 6)
    judged = rule.judge(items(COPIES[how](animals[source])))
    assert not judged.exact.any()
    assert judged.near.double().mean() >= 0.9
    assert (judged.train[judged.near] == source[judged.near]).double().mean() >= 0.99


@pytest.mark.parametrize("how", NEW)
def test_what_was_not_copied_is_not_called_a_copy(animals: Tensor, rule: Rule, how: str) -> None:
    judged = rule.judge(items(NEW[how](animals[1400:])))
    assert int(judged.copy.sum()) <= 200 * 0.01 + 2 * math.sqrt(200 * 0.01)


def test_mixtures_of_training_items_are_no_copies(animals: Tensor, rule: Rule) -> None:
    mixed = (animals[:200] + animals[200:400]) / 2
    assert int(rule.judge(items(mixed)).copy.sum()) == 0


def test_training_items_are_exact_copies_even_off_the_range_of_pictures(animals: Tensor, rule: Rule) -> None:
    returned = animals[:300] + 0.9 / 255 * torch.sign(torch.randn(300, 1, 28, 28))
    white = torch.where(returned >= 1, 1.5, returned)  # what a codec would cut off
    judged = rule.judge(items(white))
    assert judged.exact.all() and torch.equal(judged.train, torch.arange(300))
    assert not rule.judge(items(animals[:300] + 1.5 / 127.5)).exact.any()


def test_blind_features_make_no_copies(animals: Tensor) -> None:
    def blind(x: Tensor) -> Items:
        return Items(x, Blind()(x))

    rule = Rule(blind(animals[:1200]), blind(animals[1200:1400]), SPEC)
    assert not rule.judge(blind(animals[1400:])).copy.any()
    assert rule.judge(blind(moved(animals[:200], 0, 1))).near.double().mean() >= 0.9


def test_a_shift_and_a_mirror_are_undone() -> None:
    x = torch.randn(6, 2, 16, 12)
    y = x.flip(-1).roll((1, -1), (2, 3))
    assert torch.allclose(aligned(y, x), x, atol=1e-5)
    sound = torch.randn(4, 1, 40)
    assert torch.allclose(aligned(sound.roll(3, 2), sound), sound, atol=1e-5)
    video = torch.randn(3, 1, 4, 8, 8)
    assert torch.allclose(aligned(video.roll(1, 3), video), video, atol=1e-5)


def test_sketches_of_tokens_count_the_places_that_differ() -> None:
    train = torch.randint(0, 50, (400, 60))
    sketch = fit(train, Spec((60,), tokens=50))
    other = train[:200].clone()
    other[:, :30] = torch.randint(0, 50, (200, 30))
    apart = (sketch.coarse(train[:200]) - sketch.coarse(other)).square().sum(1)
    differ = (train[:200] != other).sum(1)
    assert abs(float((apart / differ).mean()) - 1) < 0.05


def test_the_copy_machine(animals: Tensor, kinds: Tensor) -> None:
    drawn = torch.randint(1200, (400,))
    labels = {"made_labels": kinds[drawn], "train_labels": kinds[:1200], "held_labels": kinds[1200:]}
    said = novelty(
        evidence(animals[drawn], animals[:1200], animals[1200:], classes=menagerie.SPECIES, **labels), Blurry()
    )
    rate = found(said, "copy_rate")
    assert rate.value == 1 and rate.low > 0.99 and rate.copies == 1 and rate.floor <= 0.011 and rate.baseline == 0
    assert found(said, "exact_rate").value == 1
    assert found(said, "distance_ratio").high < 0.8
    assert found(said, "generalisation_gap").low > 0.01
    assert found(said, "copying_test").value == 0
    assert {one.label for one in said.figures} >= set(menagerie.SPECIES) | {"1 of 10 by density (densest)"}
    assert all(one.value == 1 for one in said.figures if one.label and one.value is not None)
    near = said.neighbours
    assert len(near.made) == 48 and set(near.copy) == {"exact"} and set(near.ratio) == {0.0}
    assert [int(drawn[made]) for made in near.made] == list(near.train)


def test_held_out_items_as_samples(animals: Tensor) -> None:
    said = novelty(evidence(animals[1200:1400], animals[:1200], animals[1400:]), Blurry())
    assert found(said, "exact_rate").value == 0
    rate = found(said, "copy_rate")
    assert rate.low <= rate.floor + 1e-9 <= 0.011
    for name, ideal in (("distance_ratio", 1), ("generalisation_gap", 0), ("copying_test", 0.5)):
        figure = found(said, name)
        width = figure.high - figure.low
        assert figure.low - width / 2 < ideal < figure.high + width / 2, name
    assert said.neighbours.copy[0] == "" and all(ratio > 0 for ratio in said.neighbours.ratio)


def test_the_same_seed_gives_the_same_figures(animals: Tensor) -> None:
    given = evidence(animals[:200], animals[100:800], animals[1400:])
    assert novelty(given, Blurry(), seed=3) == novelty(given, Blurry(), seed=3)


def test_items_that_occur_several_times_count_for_the_model(animals: Tensor) -> None:
    train = torch.cat([animals[:1000], animals[:1].expand(250, -1, -1, -1)])
    made = torch.cat([animals[1400:], animals[:1].expand(50, -1, -1, -1)])
    rate = found(novelty(evidence(made, train, animals[1200:1400]), Blurry()), "copy_rate")
    assert 0.2 <= rate.value < 0.22 and rate.floor > 0.2
    assert "50 of these" in rate.says and "occur several times" in rate.says


def test_duplicates_that_an_audit_found_are_told(animals: Tensor) -> None:
    given = evidence(animals[:60], animals[:1000], animals[1200:1400], train_rows=torch.arange(1000) + 7)
    said = found(novelty(given, Blurry(), duplicates={7: 4, 8: 4, 6: 9}), "copy_rate").says
    assert "2 of these 60 are copies of items that occur several times" in said


def test_natural_likeness_does_not_count_against_a_model(animals: Tensor) -> None:
    """A third of the held-out items are training items with some noise: so may a third of the samples be."""
    twins = animals[:120] + 0.03 * torch.randn(120, 1, 28, 28)
    held = torch.cat([twins[:60], animals[1200:1320]])
    made = torch.cat([twins[60:], animals[1400:1520]])
    rate = found(novelty(evidence(made, animals[:1200], held), Blurry()), "copy_rate")
    assert rate.low <= 0.011 and rate.floor <= 0.011


def test_with_few_held_out_items_training_items_calibrate(animals: Tensor) -> None:
    drawn = moved(animals[:150], 1, 0)
    said = novelty(evidence(drawn, animals[:1200], animals[1200:1230]), Blurry())
    rate = found(said, "copy_rate")
    assert rate.value > 0.9 and rate.floor <= 0.011 and "for want of held-out ones" in said.rule
    for name in ("distance_ratio", "generalisation_gap", "copying_test"):
        assert found(said, name).value is None and "50" in found(said, name).reason
    none = novelty(evidence(drawn, animals[:1200], animals[:0]), Blurry())
    assert found(none, "copy_rate").value == rate.value and set(none.neighbours.ratio) == {None}


def test_items_of_another_source_calibrate_nothing(animals: Tensor) -> None:
    other = torch.randn(300, 1, 28, 28)
    said = novelty(evidence(animals[1200:1400], animals[:1200], other, against="noise"), Blurry())
    assert "training items, each against all the others" in said.rule and found(said, "copy_rate").value <= 0.02
    assert found(said, "distance_ratio").high < 1  # nearer to the training items than to noise


def test_with_few_items_at_all_exact_copies_are_still_counted(animals: Tensor) -> None:
    said = novelty(evidence(animals[:10], animals[:30], animals[:0]), Blurry())
    assert found(said, "copy_rate").value is None and "50 are needed" in found(said, "copy_rate").reason
    assert found(said, "exact_rate").value == 1 and set(said.neighbours.copy) == {"exact"}
    assert "cannot be told" in said.rule
    single = novelty(evidence(animals[:3], animals[:1], animals[:0]), Blurry())
    assert found(single, "exact_rate").value == pytest.approx(1 / 3)


def test_items_that_are_not_finite_are_left_out_and_counted(animals: Tensor) -> None:
    made, train = animals[1200:1400].clone(), animals[:1000].clone()
    made[3, 0, 5, 5], made[4], train[0, 0, 0, 0] = torch.nan, torch.inf, -torch.inf
    said = novelty(evidence(made, train, animals[1400:]), Blurry())
    assert "2 samples that are not finite were left out" in found(said, "copy_rate").says
    assert not {3, 4} & set(said.neighbours.made) and 0 not in said.neighbours.train
    assert all(math.isfinite(v) for one in said.figures for v in (one.value, one.low, one.floor) if v is not None)
    lost = novelty(evidence(made[3:5], train, animals[1400:]), Blurry())
    assert all(one.value is None and one.reason for one in lost.figures) and lost.neighbours.made == ()


@pytest.mark.parametrize("what", ["constant", "vectors", "tokens", "wide"])
def test_odd_data_give_figures_or_reasons(what: str) -> None:
    train, spec = {
        "constant": (torch.full((120, 1, 8, 8), 0.5), Spec((1, 8, 8))),
        "vectors": (torch.randn(300, 3), Spec((3,))),
        "tokens": (torch.randint(0, 9, (300, 20)), Spec((20,), tokens=9)),
        "wide": (torch.randn(60, 3, 40, 40), Spec((3, 40, 40))),
    }[what]
    half = len(train) // 2
    given = Evidence(
        train[: min(40, half)], train[:half], train[half:], spec, train_labels=torch.zeros(half, dtype=torch.long)
    )
    said = novelty(given, Blurry())
    assert found(said, "exact_rate").value == 1
    for one in said.figures:
        assert (one.value is None) == bool(one.reason)
        assert all(
            math.isfinite(v)
            for v in (one.value, one.low, one.high, one.floor, one.copies, one.baseline)
            if v is not None
        )
        assert one.label is None or "density" in one.label  # one class: none by class


def test_the_mixture_is_the_one_written_out() -> None:
    """With all components near, expectation maximisation raises the likelihood, and nats equal torch's own."""
    centres, x = torch.randn(12, 3), torch.randn(200, 3)
    mixture = _Mixture(centres)
    squares, index = mixture.near(x)
    assert squares.shape == (200, 12)
    variance = mixture.fit(squares, index)
    law = torch.distributions.Normal(centres.double(), variance.sqrt()[:, None])
    terms = law.log_prob(x.double()[:, None]).sum(2) - math.log(12)
    assert torch.allclose(mixture.nats(squares, index, variance), -terms.logsumexp(1) / 3)
    even = torch.full((12,), float(squares.mean()) / 3, dtype=torch.float64)
    assert mixture.nats(squares, index, variance).mean() < mixture.nats(squares, index, even).mean()


def test_leanings_are_even_for_samples_that_depend_on_nothing() -> None:
    """Over 20 draws, 95 % intervals hold what is expected of bad samples, and hardly ever miss it."""
    hits = {"ratio": 0, "gap": 0}
    for seed in range(20):
        torch.manual_seed(seed)
        train, held, made = torch.randn(600, 8), torch.randn(200, 8), 1.5 * torch.randn(300, 8) + 0.3
        ratio, gap = distance_ratio(made, train, held, seed=seed), likelihood_gap(made, train, held, seed=seed)
        hits["ratio"] += ratio.low <= 1 <= ratio.high
        hits["gap"] += gap.low <= 0 <= gap.high
    assert min(hits.values()) >= 16


def test_the_copying_test_is_a_share_of_pairs() -> None:
    made, fresh = torch.rand(60), torch.rand(70) + 0.2
    share = copying_test(made, fresh)
    pairs = (made[:, None] > fresh).double().mean()
    assert share.value == pytest.approx(float(pairs)) and share.low < share.value < share.high
    assert copying_test(torch.zeros(60), torch.zeros(60)).value == 0.5
