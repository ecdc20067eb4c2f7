"""Everything that is measured of samples whose quality is known, and of evidence that is hardly any."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from morelike.core.distribution import Bernoulli, DiscretisedLogistic, Normal
from morelike.core.errors import DataError
from morelike.core.family import Family, Move
from morelike.core.spec import Batch, Spec
from morelike.data import menagerie
from morelike.measure.anchors import Sets, anchored, folds, match, mean, trivial
from morelike.measure.evaluate import evaluate
from morelike.measure.features import random_features
from morelike.measure.figure import Estimate, Evidence, Figure, Measured
from morelike.measure.kinds import missing
from morelike.measure.likelihood import likelihood, trivial_log_probs
from morelike.measure.panel import jackknife, variety

WIDTH, KINDS = 6, 10
SPEC = Spec((WIDTH,))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Plain:
    """The items' own numbers as features; the first of them tells the class."""

    def __init__(self, width: int = WIDTH, classes: int = 0, name: str = "plain") -> None:
        self.width, self.classes, self.name = width, classes, name

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()

    def classify(self, x: Tensor) -> Tensor | None:
        far = (x.flatten(1)[:, :1] - 10 * torch.arange(self.classes)).abs()
        return -far if self.classes else None

    def described(self) -> dict[str, object]:
        return {"kind": self.name}


class Thin(Plain):
    """Every fourth of the items' own numbers as features."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, ::4].float()


def points(n: int, seed: int = 0) -> Tensor:
    """Ten groups that touch one another: (n, 6)."""
    rng, centres = draw(seed), 2 * torch.randn(KINDS, WIDTH, generator=draw(99))
    return centres[torch.randint(KINDS, (n,), generator=rng)] + 0.5 * torch.randn(n, WIDTH, generator=rng)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-test of two repeats, which `test_selftest.py` tries in full, and two-sample tests with few classifiers."""
    monkeypatch.setattr("morelike.measure.selftest.REPEATS", 2)
    monkeypatch.setattr("morelike.measure.twosample.NETS_FROM", 10**9)
    monkeypatch.setattr("morelike.measure.twosample.PENALTIES", (0.01,))


def world(made: Tensor, held: int = 400, train: int = 800) -> Evidence:
    return Evidence(made, points(train, 1), points(held, 2), SPEC)


def measured(evidence: Evidence, **options: object) -> Measured:
    options = {"selftest": False, **options}
    return evaluate(evidence, [Plain(evidence.made[0].numel() if len(evidence.made) else WIDTH)], **options)  # type: ignore[arg-type]


def of(found: Measured, name: str, label: str | None = None) -> Figure:
    return next(one for one in found.figures if one.name == name and one.label == label)


def numbers(found: Measured) -> Iterator[float]:
    """Every number of every figure."""
    figures = [*found.figures, *(found.novelty.figures if found.novelty else ())]
    for one in figures:
        yield from (v for v in (one.value, one.low, one.high, one.floor, one.copies, one.baseline) if v is not None)


def check(found: Measured) -> None:
    """What holds of every report: numbers are finite, and where there is none a reason stands instead."""
    assert all(math.isfinite(number) for number in numbers(found))
    for one in [*found.figures, *(found.novelty.figures if found.novelty else ())]:
        assert (one.value is None) == bool(one.reason), one
        if one.value is not None and one.low is not None and one.high is not None:
            assert one.low - 1e-9 <= one.value <= one.high + 1e-9, one
        assert "nan" not in one.says and "None" not in one.says, one
    assert found.verdict.word and found.verdict.sentence and "nan" not in found.verdict.sentence


# --- known generators -----------------------------------------------------------------------------------------------


def test_more_real_items_are_indistinguishable() -> None:
    found = measured(world(points(1000, 3)))
    check(found)
    assert found.verdict.word == "indistinguishable", found.verdict
    assert abs(of(found, "two_sample").value - 0.5) < 0.05
    assert of(found, "density").value > 0.9 and of(found, "coverage").value > 0.85
    assert of(found, "kernel_distance").low < 0 < of(found, "kernel_distance").high
    assert of(found, "frechet").value < 3 * of(found, "frechet").floor
    assert of(found, "frechet").baseline > 1.5 * of(found, "frechet").floor
    assert found.counts["compared"] == 400 and found.counts["made"] == 1000


def test_the_training_set_returned_is_copies() -> None:
    evidence = world(points(1, 1))
    found = measured(replace(evidence, made=evidence.train[torch.randint(800, (800,), generator=draw())]))
    check(found)
    assert found.verdict.word == "copies"
    assert of(found, "two_sample").value < 0.6  # looks perfect: only the novelty tells


@pytest.mark.parametrize("spread", [0.0, 1e-3])
def test_one_item_again_and_again_is_collapsed(spread: float) -> None:
    made = points(1, 4) + spread * torch.randn(1000, WIDTH, generator=draw())
    found = measured(world(made))
    check(found)
    assert found.verdict.word == "collapsed"
    assert of(found, "variety").value < 0.05 and of(found, "coverage").value < 0.1


def test_numbers_drawn_on_their_own_are_poor() -> None:
    evidence = world(points(1, 1))
    alone = trivial(evidence.train, None, torch.zeros(1000, dtype=torch.long), seed=7)
    for made in (alone, 20 * torch.rand(1000, WIDTH, generator=draw())):
        found = measured(replace(evidence, made=made))
        check(found)
        assert found.verdict.word == "poor", found.verdict


def test_blurred_pictures_measure_worse_than_sharp_ones() -> None:
    pictures, _ = menagerie.pictures(1200, size=16, seed=0)
    x = torch.from_numpy(pictures).float().div(127.5).sub(1).unsqueeze(1)
    train, held, sharp = x[:400], x[400:800], x[800:]
    spec = Spec(tuple(x.shape[1:]))
    looks = [random_features(spec, on=train), Thin(64)]
    blurred = nn.functional.avg_pool2d(sharp, 3, 1, 1, count_include_pad=False)
    good, bad = (evaluate(Evidence(made, train, held, spec), looks, selftest=False) for made in (sharp, blurred))
    for found in (good, bad):
        check(found)
    for name in ("frechet", "kernel_distance", "sliced_wasserstein", "two_sample", "frechet_plain"):
        assert of(bad, name).value > of(good, name).value, name
    assert (of(bad, "frechet").low or 0) > (of(good, "frechet").high or 0)
    assert set(good.features) == {"random", "plain"}


# --- classes --------------------------------------------------------------------------------------------------------


def labelled(n: int, seed: int, wrong: float = 0.0) -> tuple[Tensor, Tensor]:
    """Three classes, ten apart along the first axis; in a share of them the item is of another class than its label."""
    rng = draw(seed)
    y = torch.randint(3, (n,), generator=rng)
    shown = torch.where(torch.rand(n, generator=rng) < wrong, (y + 1) % 3, y)
    x = torch.randn(n, WIDTH, generator=rng)
    x[:, 0] += 10 * shown
    return x, y


def by_class(made: Tensor, asked: Tensor, held: int = 450) -> Measured:
    (train, train_y), (real, real_y) = labelled(600, 1), labelled(held, 2)
    evidence = Evidence(made, train, real, SPEC, asked, train_y, real_y, ("cat", "dog", "rabbit"))
    return evaluate(evidence, [Plain(classes=3)], selftest=False)


def test_a_class_that_was_asked_for_is_looked_for() -> None:
    x, y = labelled(600, 3, wrong=0.25)
    good = (x[:, 0] / 10).round().clamp(0, 2) == y
    right, dogs = float(good.float().mean()), float(good[y == 1].float().mean())
    found = by_class(x, y)
    check(found)
    accuracy = of(found, "class_accuracy")
    assert (
        accuracy.value == pytest.approx(right)
        and accuracy.low < right < accuracy.high
        and accuracy.floor == 1
        and accuracy.copies == 1
    )
    assert accuracy.baseline == pytest.approx(1, abs=0.01)  # drawn on their own, but from items of the class
    assert of(found, "density", "dog").value == pytest.approx(dogs, abs=0.12)
    assert f"asked for in {100 * right:.0f} of 100" in accuracy.says


def test_a_net_that_cannot_read_real_items_is_no_judge_of_samples() -> None:
    x, y = labelled(600, 3)
    (train, train_y), (real, real_y) = labelled(600, 1), labelled(450, 2)
    mixed = real_y[torch.randperm(len(real_y), generator=draw())]  # right in a third of cases, as guessing is
    evidence = Evidence(x, train, real, SPEC, y, train_y, mixed, ("cat", "dog", "rabbit"))
    accuracy = of(evaluate(evidence, [Plain(classes=3)], selftest=False), "class_accuracy")
    assert accuracy.doubtful and "poor judge: guessing gets" in accuracy.says
    assert not of(by_class(x, y), "class_accuracy").doubtful


def test_a_class_that_is_bad_shows_as_bad_and_the_others_do_not() -> None:
    x, y = labelled(600, 3)
    x[y == 1] += 5 * torch.randn(int((y == 1).sum()), WIDTH, generator=draw())
    found = by_class(x, y)
    check(found)
    assert of(found, "two_sample", "dog").value > 0.7 > 0.6 > of(found, "two_sample", "cat").value
    assert of(found, "density", "dog").value < 0.5 < of(found, "density", "rabbit").value


def test_samples_are_weighed_to_the_classes_of_the_real_items() -> None:
    """Classes asked for in turn, where half of the real items are of one: that is no fault of the model."""
    x, y = labelled(2000, 3)
    chosen = torch.cat([(y == 0).nonzero()[:, 0][:450], (y > 0).nonzero()[:, 0][:150]])
    made, asked = labelled(2000, 4)
    evidence = Evidence(made, x[chosen], x[chosen], SPEC, asked, y[chosen], y[chosen], ("cat", "dog", "rabbit"))
    found = evaluate(evidence, [Plain()], selftest=False)
    assert of(found, "missing").value < 0.05
    weights = match(asked, y[chosen])
    assert float(weights[asked == 0].sum() / weights.sum()) == pytest.approx(0.75)


def test_a_class_with_few_items_has_a_reason() -> None:
    x, y = labelled(600, 3)
    found = by_class(x, y, held=90)
    check(found)
    assert "are needed" in of(found, "density", "cat").reason


# --- hardly any evidence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "held", "train"),
    [(0, 100, 200), (1, 100, 200), (3, 100, 200), (200, 0, 200), (200, 20, 200), (200, 100, 2), (5, 2, 3), (5, 0, 0)],
)
def test_tiny_sets_have_figures_or_reasons(made: int, held: int, train: int) -> None:
    found = measured(world(points(made, 3), held, train), selftest=True)
    check(found)
    assert found.verdict.word == "unmeasured" or (made, held) == (200, 100), found.verdict


def test_without_held_out_items_training_items_take_their_place_and_it_says_so() -> None:
    found = measured(world(points(1000, 3), held=20))
    check(found)
    assert "flatters" in of(found, "density").says and of(found, "density").value > 0.8
    assert found.verdict.word == "unmeasured" and "only 20 held-out items" in found.verdict.sentence
    assert [one.kind for one in found.findings] == ["few_held_out"]


def test_samples_that_are_not_finite_are_left_out_and_counted() -> None:
    made = points(1000, 3)
    evidence = world(made)
    clean = measured(replace(evidence, made=made[::2]))
    broken = made.clone()
    broken[1::2, 0] = torch.tensor([math.nan, math.inf, -math.inf, math.nan]).repeat(125)
    found = measured(replace(evidence, made=broken, seeds=tuple(range(1000))))
    check(found)
    assert found.counts["made_not_finite"] == 500 and found.counts["made"] == 500
    assert [one.value for one in found.figures] == [one.value for one in clean.figures]
    assert found.findings[0].kind == "not_finite" and "500 of 1,000" in found.findings[0].evidence
    assert found.novelty is not None and all(row % 2 == 0 for row in found.novelty.neighbours.made)
    nothing = measured(replace(evidence, made=torch.full_like(made, math.nan)))
    check(nothing)
    assert nothing.verdict.word == "poor" and nothing.findings[0].severity == "stop"


@pytest.mark.parametrize("constant", ["made", "real", "all"])
def test_items_that_are_all_the_same_do_no_harm(constant: str) -> None:
    same, evidence = torch.ones(600, WIDTH), world(points(600, 3))
    made = evidence.made if constant == "real" else same
    real = (evidence.train, evidence.held) if constant == "made" else (same, same[:200])
    found = measured(replace(evidence, made=made, train=real[0], held=real[1]), selftest=True)
    check(found)
    words = {"indistinguishable"} if constant == "all" else {"collapsed", "copies", "poor"}
    assert found.verdict.word in words


def test_fewer_items_than_features_say_that_frechet_is_biased() -> None:
    x = torch.randn(800, 120, generator=draw())
    found = measured(Evidence(x[:200], x[200:600], x[600:], Spec((120,))))
    check(found)
    assert "fewer items than features" in of(found, "frechet").says
    assert of(found, "frechet").value == pytest.approx(of(found, "frechet").floor, rel=0.2)


def test_items_of_another_shape_are_refused_in_three_parts() -> None:
    with pytest.raises(DataError, match=r"\(3,\).*\(6,\).*one shape"):
        measured(world(torch.randn(100, 3)))


@pytest.mark.parametrize(
    "spec",
    [Spec((12,), tokens=5), Spec((1, 48)), Spec((1, 6, 6, 6)), Spec((3,))],
    ids=["tokens", "sound", "film", "row"],
)
def test_any_kind_of_item_is_measured(spec: Spec) -> None:
    """Tokens, sound, film and rows of a table."""
    x = torch.rand(460, *spec.shape, generator=draw())
    x = (x.square() * 5).long() if spec.tokens else 2 * x - 1
    found = evaluate(Evidence(x[:120], x[120:300], x[300:], spec), [random_features(spec, on=x[120:300])])
    check(found)
    assert found.verdict.word in {"indistinguishable", "close"}, found.verdict
    assert ("blur" in {one.kind for one in found.damages}) == (spec.dims > 0)


def test_the_same_seed_gives_the_same_numbers_and_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    evidence = world(points(300, 3), held=200, train=300)
    first = measured(evidence, seed=5, selftest=True, tell=lambda stage, share: told.append((stage, share)))
    assert [*numbers(first)] == [*numbers(measured(evidence, seed=5, selftest=True))]
    assert first.figures != measured(evidence, seed=6).figures
    assert {stage for stage, _ in told} >= {"features", "figures", "novelty", "self-test"}
    assert all(0 <= share <= 1 for _, share in told)


def test_a_codecs_metric_stands_beside_the_others() -> None:
    def brightness(samples: Tensor, real: Tensor) -> dict[str, float]:
        return {"brightness distance": float((samples.mean() - real.mean()).abs()), "broken": math.nan}

    found = measured(world(points(600, 3) + 1), metrics=[brightness])
    check(found)
    figure = of(found, "brightness_distance")
    assert figure.value == pytest.approx(1, abs=0.3) and figure.floor < 0.5 and figure.low is not None
    assert of(found, "broken").reason


# --- the anchors ----------------------------------------------------------------------------------------------------


def test_the_trivial_model_keeps_each_column_and_loses_what_ties_them() -> None:
    a = torch.randn(4000, 1, generator=draw())
    x, y = torch.cat([a, -a, a.exp()], 1), (a[:, 0] > 0).long()
    found = trivial(x, None, torch.zeros(5000, dtype=torch.long))
    assert set(found[:, 2].tolist()) <= set(x[:, 2].tolist())
    torch.testing.assert_close(found.quantile(0.5, 0), x.quantile(0.5, 0), atol=0.08, rtol=0)
    assert found.T.corrcoef()[0, 1].abs() < 0.05
    asked = torch.arange(5000) % 2
    within = trivial(x, y, asked)
    assert (within[asked == 1][:, 0] > 0).all() and (within[asked == 0][:, 0] <= 0).all()
    tokens = torch.randint(5, (50, 7), generator=draw())
    assert trivial(tokens, None, torch.zeros(9, dtype=torch.long)).dtype == torch.int64


def test_folds_share_no_item_and_have_equal_sizes() -> None:
    sizes = Sets(*(torch.arange(n) for n in (101, 64, 30, 40)))
    one, two = folds(sizes)
    assert {len(rows) for rows in vars(one).values()} == {32}
    assert not set(one.real.tolist()) & set(one.fresh.tolist())
    assert not set(one.made.tolist()) & set(two.made.tolist())
    assert torch.equal(one.real, two.fresh) and torch.equal(one.fresh, two.real)
    assert folds(replace(sizes, made=torch.arange(1))) == ()


def test_the_interval_of_a_mean_of_folds() -> None:
    parts = [Estimate(1.0, 0.7, 1.3), Estimate(2.0, 1.6, 2.4)]
    assert mean(parts, True) == Estimate(1.5, 1.25, 1.75)  # sqrt(0.3^2 + 0.4^2) / 2
    assert mean(parts, False).low == pytest.approx(1.15)
    assert mean([Estimate(reason="no"), Estimate(1.0, 0.5, 1.5)], True) == Estimate(1.0, 0.5, 1.5)
    assert mean([Estimate(reason="no"), Estimate(reason="never")], True).reason == "no"


def test_the_jackknife_of_a_difference_of_means_covers_the_truth() -> None:
    """The interval of mean(a) - mean(b), both N(0, 1) with n = 200, is 2.36 sqrt(2 / 200) wide, and holds 0."""
    inside, halves = 0, []
    for seed in range(200):
        a, b = torch.randn(2, 200, 1, generator=draw(seed)).unbind(0)
        found = jackknife(lambda x, y: float(x.mean() - y.mean()), a, b, least=-math.inf)
        inside += found.low <= 0 <= found.high
        halves.append((found.high - found.value) ** 2)
    assert 180 <= inside <= 199
    assert math.sqrt(sum(halves) / 200) == pytest.approx(2.365 * math.sqrt(2 / 200), rel=0.08)


def test_measures_that_a_set_cannot_have_get_a_reason() -> None:
    pair = folds(Sets(*(torch.arange(40),) * 4))
    sets = Sets(*(torch.randn(40, 3, generator=draw(i)) for i in range(4)))
    found = anchored(lambda a, b: Estimate(math.nan), sets, pair)
    assert found.value.value is None and found.value.reason
    assert anchored(lambda a, b: Estimate(1.0), sets, ()).floor.reason


def test_missing_kinds_are_calibrated_to_the_share_that_is_missing() -> None:
    """Ten equal kinds far apart; x of them gone."""
    centres = 30 * torch.randn(KINDS, WIDTH, generator=draw(5))

    def some(kinds: int, n: int, seed: int) -> Tensor:
        rng = draw(seed)
        return centres[torch.randint(kinds, (n,), generator=rng)] + torch.randn(n, WIDTH, generator=rng)

    for gone in (0, 1, 3, 5):
        found = missing(some(KINDS - gone, 2000, 1), some(KINDS, 2000, 2))
        assert found.value == pytest.approx(gone / KINDS, abs=0.03)
        assert found.low - 0.02 <= gone / KINDS <= found.high + 0.02


def test_variety_is_the_ratio_of_distances_to_the_nearest_twin() -> None:
    x = torch.randn(300, 4, generator=draw())
    found = variety(3 * x, x)
    assert found.value == pytest.approx(3)
    assert variety(x, torch.ones(300, 4)).reason and variety(x[:2], x).reason


# --- likelihood -----------------------------------------------------------------------------------------------------


class Known(Family):
    """A family whose log p(x) is known: the head's law with fixed output."""

    exact = True

    def __init__(self, spec: Spec, out: Tensor) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("out", out)

    def play(self, batch: Batch) -> Iterator[Move]:
        raise NotImplementedError

    def sample(self, seeds: object, given: object = None) -> Tensor:
        raise NotImplementedError

    def log_prob(self, batch: Batch) -> Tensor:
        return self.spec.head(self.out.expand(len(batch.x), *self.spec.head_shape)).log_prob(batch.x)


def normal(out: Tensor) -> Normal:
    return Normal(out[:, :WIDTH], torch.ones(len(out), WIDTH))


def test_nats_of_a_density_and_their_floor() -> None:
    """N(0, 1) data under N(0, 1): 1/2 log 2 pi e nats per number, and no gap."""
    x = torch.randn(3000, WIDTH, generator=draw())
    spec = Spec((WIDTH,), head_shape=(WIDTH,), head=normal)
    found = likelihood(Evidence(x[:0], x[:2000], x[2000:], spec), Known(spec, torch.zeros(1, WIDTH)), items=1000)
    nats, gap = found
    assert nats.name == "nats_per_dimension" and "cannot be compared with bits" in nats.says
    assert nats.value == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.04)
    assert nats.baseline == pytest.approx(nats.value, abs=0.01) and nats.low < nats.value < nats.high
    assert gap.low < 0 < gap.high and "by heart" in gap.says


def test_bits_of_discrete_values() -> None:
    """Uniform grey values cost 8 bits each under independent histograms; the model's law is told exactly."""
    grey = torch.randint(256, (3000, 1, 2, 2), generator=draw())
    x = grey / 127.5 - 1
    assert float(-trivial_log_probs(x[:2000], x[2000:], 256).mean()) / (4 * math.log(2)) == pytest.approx(8, abs=0.15)

    def logistic(out: Tensor) -> DiscretisedLogistic:
        return DiscretisedLogistic(*out.chunk(2, 1))

    spec = Spec((1, 2, 2), head_shape=(2, 2, 2), head=logistic)
    family = Known(spec, torch.zeros(1, 2, 2, 2))
    bits = likelihood(Evidence(x[:0], x[:2000], x[2000:], spec), family, items=500)[0]
    levels = torch.arange(256).reshape(256, 1, 1, 1) / 127.5 - 1
    law = DiscretisedLogistic(torch.zeros(256, 1, 1, 1), torch.zeros(256, 1, 1, 1))
    assert bits.name == "bits_per_dimension" and "exactly" in bits.says
    assert bits.value == pytest.approx(float(-law.log_prob(levels).mean()) / math.log(2), abs=0.02)


def test_grey_values_under_a_bernoulli_are_no_likelihood() -> None:
    spec = Spec((4,), head_shape=(4,), head=Bernoulli)
    grey = torch.rand(300, 4, generator=draw()) * 2 - 1
    one = likelihood(Evidence(grey[:0], grey[:200], grey[200:], spec), Known(spec, torch.zeros(1, 4)))[0]
    assert one.name == "cross_entropy" and "no likelihood" in one.says and one.value == pytest.approx(1, abs=1e-4)
    black = grey.sign()
    one = likelihood(Evidence(black[:0], black[:200], black[200:], spec), Known(spec, torch.zeros(1, 4)))[0]
    assert one.name == "bits_per_dimension" and one.value == pytest.approx(1, abs=1e-4)


def test_a_likelihood_needs_held_out_items_and_a_family_that_has_one() -> None:
    x = torch.randn(300, WIDTH, generator=draw())
    spec = Spec((WIDTH,), head_shape=(WIDTH,), head=normal)
    family = Known(spec, torch.zeros(1, WIDTH))
    assert all("held-out" in one.reason for one in likelihood(Evidence(x[:0], x, x[:10], spec), family))
    found = evaluate(Evidence(x[:100], x[100:200], x[200:], spec), [Plain()], family=family, selftest=False)
    check(found)
    assert of(found, "nats_per_dimension").value is not None
