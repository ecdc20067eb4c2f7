"""Features: for every kind of item, with labels and without, repeatable, blind to the split and awake to damage."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch import Tensor

from morelike.codecs import image
from morelike.core.errors import DataError, MorelikeError, OptionError, RunError
from morelike.core.spec import Spec
from morelike.data.cache import build
from morelike.data.sources import open_source
from morelike.measure.distances import frechet
from morelike.measure.featurenet import FeatureNet, shrinking
from morelike.measure.features import learn, load, random_features, save
from morelike.measure.fixed import Energies, Grams, Projections
from morelike.measure.learned import Learned, lesson
from morelike.measure.pretrained import as_bytes, pretrained
from morelike.measure.views import KINDS, WEAKEST, changes, damaged, smooth
from morelike.train.folder import save_tensors

SPECS = {
    "picture": Spec((3, 17, 12)), "large picture": Spec((1, 64, 64)), "sound": Spec((1, 500)),
    "video": Spec((2, 4, 9, 9)), "vector": Spec((9,)), "one number": Spec((1,)), "one pixel": Spec((1, 1, 1)),
    "sequence": Spec((20,), tokens=11), "grid": Spec((4, 5), tokens=7), "label": Spec((), tokens=3),
}  # fmt: skip
every_kind = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
SHORT = 0.05  # seconds of training where only the form of the result is at stake


def items(spec: Spec, n: int = 40, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if spec.tokens is not None:
        return torch.randint(0, spec.tokens, (n, *spec.shape), generator=generator)
    return torch.randn(n, *spec.shape, generator=generator).mul(0.4)


def three_parts(error: pytest.ExceptionInfo) -> None:
    fault = error.value
    assert isinstance(fault, MorelikeError)
    assert fault.found and fault.expected and fault.action


@every_kind
@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "none"])
def test_every_kind_of_item_has_standardised_features(spec: Spec, labelled: bool, tmp_path: Path) -> None:
    x = items(spec)
    found = learn(x, torch.arange(len(x)) % 3 if labelled else None, spec, seconds=SHORT)
    z = found(x)
    assert z.shape == (len(x), found.width) and z.dtype == torch.float32 and bool(z.isfinite().all())
    assert found.classify(x) is None if not labelled else found.classify(x).shape == (len(x), 3)
    taught = len(x) - found.described()["accuracy_items"]
    assert taught == (36 if labelled else 40)
    if not labelled:  # all of them were standardised on
        assert z.mean(0).abs().max() < 1e-3
        assert 0.5 < z.var(0, correction=0).mean() < 1.01  # 1, but for what does not vary at all
    save(found, tmp_path / "learned.safetensors")
    again = load(tmp_path / "learned.safetensors", spec)
    assert torch.equal(again(x), z) and again.described() == found.described()
    assert found(x[:0]).shape == (0, found.width)


@every_kind
def test_random_features_are_instant_seeded_and_kept(spec: Spec, tmp_path: Path) -> None:
    x = items(spec)
    found = random_features(spec, seed=3)
    z = found(x)
    assert z.shape == (len(x), 64) and bool(z.isfinite().all()) and found.classify(x) is None
    assert torch.equal(random_features(spec, seed=3)(x), z)
    assert not torch.equal(random_features(spec, seed=4)(x), z)
    assert random_features(spec, width=31)(x).shape == (len(x), 31)
    standard = random_features(spec, seed=3, on=x)
    assert standard(x).mean(0).abs().max() < 1e-4 and standard(x).var(0, correction=0).max() < 1.01
    save(standard, tmp_path / "random.safetensors")
    again = load(tmp_path / "random.safetensors", spec)
    assert torch.equal(again(x), standard(x)) and again.described() == standard.described()


def test_a_seed_gives_the_same_features_and_leaves_the_global_state_alone() -> None:
    x, spec = items(SPECS["picture"]), SPECS["picture"]
    labels = torch.arange(len(x)) % 2
    before = torch.random.get_rng_state()
    first = learn(x, labels, spec, seconds=SHORT, seed=5)(x)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(learn(x, labels, spec, seconds=SHORT, seed=5)(x), first)
    assert not torch.equal(learn(x, labels, spec, seconds=SHORT, seed=6)(x), first)


@every_kind
def test_an_item_has_the_same_features_in_any_company(spec: Spec) -> None:
    x = items(spec, 270)
    for found in (learn(x, None, spec, seconds=SHORT), random_features(spec)):
        together = found(x)
        assert torch.equal(found(x[260:]), together[260:])
        assert torch.equal(found(x.flip(0)).flip(0), together)


def test_the_number_of_steps_follows_a_rule_and_not_a_clock() -> None:
    def plan(shape: tuple[int, ...], n: int, seconds: float = 20.0) -> tuple[int, int]:
        spec = Spec(shape)
        found = lesson(FeatureNet(spec), spec, n, seconds)
        return found.steps, found.batch

    small, batch = plan((1, 28, 28), 60_000)
    assert plan((1, 28, 28), 60_000) == (small, batch)
    assert 300 < small < 600 and batch == 96
    assert plan((1, 28, 28), 60_000, 40.0)[0] == pytest.approx(2 * small, abs=2)
    assert 80 < plan((3, 64, 64), 60_000)[0] < small / 2
    assert plan((3, 256, 256), 60_000)[1] < 96
    assert plan((1, 28, 28), 500)[0] == 62  # each item is shown about twelve times, not learnt by heart
    assert plan((1, 28, 28), 20)[0] == 60
    few = lesson(FeatureNet(Spec((1, 28, 28))), Spec((1, 28, 28)), 500, 20.0)
    assert few.label_weight == pytest.approx(3 * 500 / (62 * 96))


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    learn(items(SPECS["vector"]), None, SPECS["vector"], seconds=SHORT, tell=lambda *said: told.append(said))
    shares = [share for _, share in told]
    assert {stage for stage, _ in told} == {"features"} and shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.parametrize("value", [0.0, 3.0, math.nan, math.inf, -math.inf])
def test_constant_and_infinite_items_have_finite_features(value: float) -> None:
    spec = SPECS["picture"]
    x = torch.full((10, *spec.shape), value)
    for found in (learn(x, None, spec, seconds=SHORT), random_features(spec, on=x), random_features(spec)):
        assert bool(found(x).isfinite().all()) and bool(found(items(spec)).isfinite().all())


def test_two_items_one_class_and_missing_labels_are_enough() -> None:
    spec = SPECS["picture"]
    assert learn(items(spec, 2), None, spec, seconds=SHORT)(items(spec)).isfinite().all()
    assert learn(items(spec), torch.zeros(40), spec, classes=4, seconds=SHORT).classify(items(spec)) is None
    some = torch.arange(40) % 2
    some[10:] = -1  # most items have no label
    found = learn(items(spec), some, spec, seconds=SHORT)
    assert found.classify(items(spec)).shape == (40, 2) and found.described()["accuracy_items"] == 1
    assert learn(items(spec), torch.full((40,), -1), spec, seconds=SHORT).described()["accuracy"] is None


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (DataError, lambda x, spec: learn(x[:1], None, spec)),
        (DataError, lambda x, spec: learn(x, torch.zeros(3), spec)),
        (DataError, lambda x, spec: learn(x[..., :5], None, spec)),
        (OptionError, lambda x, spec: learn(x, None, spec, seconds=0)),
        (OptionError, lambda x, spec: learn(x, None, spec, seconds=math.nan)),
        (OptionError, lambda x, spec: random_features(spec, width=3)),
        (DataError, lambda x, spec: random_features(spec)(x[..., :5])),
    ],
)
def test_what_cannot_be_done_is_said_in_three_parts(kind: type, call: Callable) -> None:
    with pytest.raises(kind) as error:
        call(items(SPECS["picture"]), SPECS["picture"])
    three_parts(error)


def test_a_file_that_cannot_be_used_is_said_in_three_parts(tmp_path: Path) -> None:
    spec, path = SPECS["picture"], tmp_path / "learned.safetensors"

    def refused(other: Spec = spec) -> str:
        with pytest.raises(RunError) as error:
            load(path, other)
        three_parts(error)
        return str(error.value)

    assert "no such file" in refused()
    save(random_features(spec), path)
    assert "(1, 28, 28)" in refused(Spec((1, 28, 28)))
    assert "tokens None" in refused(Spec(spec.shape, tokens=4))
    whole = path.read_bytes()
    for broken in (whole[:-10], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"not a tensor in sight"):
        path.write_bytes(broken)
        assert "damaged" in refused()
    save_tensors(path, {"weight": torch.ones(3)}, {"step": 4})  # whole, but something else
    assert "no features" in refused()
    about = {"format": 1, "shape": list(spec.shape), "tokens": None, "about": {"kind": "learned"}}
    save_tensors(path, {"weight": torch.ones(3)}, about)
    assert "no features" in refused()
    save_tensors(path, {}, {**about, "format": 99})
    assert "Format 1" in refused()


def test_large_items_are_averaged_down() -> None:
    assert shrinking((28, 28)) == (1, 1) and shrinking((16_000,)) == (1,)
    assert shrinking((256, 256)) == (2, 2) and shrinking((8, 256, 256)) == (1, 4, 4)
    spec = Spec((1, 300, 300))
    assert random_features(spec)(items(spec, 2)).isfinite().all()
    assert FeatureNet(spec).eval()(items(spec, 2)).shape == (2, 64)


# Views and damages


@every_kind
def test_views_and_damages_keep_the_form_of_items(spec: Spec) -> None:
    x, generator, how = items(spec), torch.Generator().manual_seed(0), changes(spec)
    kept = x.clone()
    view = how.view(x, generator)
    assert view.shape == x.shape and view.dtype == x.dtype
    bad, strength = damaged(x, how, generator)
    assert bad.shape == x.shape and bad.dtype == x.dtype and torch.equal(x, kept)
    assert strength.shape == (40, len(KINDS)) and bool(((strength == 0) | (strength >= WEAKEST)).all())
    whole = strength.sum(1) == 0
    assert int(whole.sum()) == 10 and torch.equal(bad[whole], x[whole])
    if spec.tokens is not None:
        assert bad.min() >= 0 and bad.max() < spec.tokens and view.max() <= spec.tokens


def test_a_stronger_damage_does_more() -> None:
    for spec in (SPECS["large picture"], SPECS["vector"], SPECS["sequence"]):
        x, how = items(spec, 400), changes(spec)
        for kind in KINDS:
            weak, strong = (
                (how.damage(x, kind, torch.full((400,), share), torch.Generator().manual_seed(0)) - x).float().abs()
                for share in (0.0, 1.0)
            )
            assert 0 < weak.mean() < strong.mean(), (spec.shape, kind)


def test_smoothing_is_a_gaussian_convolution() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = smooth(point, 2.0)[0, 0]
    place = torch.arange(-5, 6.0)
    row = torch.exp(-place.square() / 8)
    assert torch.allclose(spread[15:26, 15:26], torch.outer(row, row) / row.sum() ** 2, atol=1e-6)
    assert torch.allclose(smooth(torch.full((1, 2, 9), 3.0), 1.5), torch.full((1, 2, 9), 3.0))


# Random features, against what is known of them


def test_fourier_features_approximate_a_gaussian_kernel() -> None:
    """E[2 cos(w x + b) cos(w y + b)] = exp(-|x - y|^2 / (2 F)) for w ~ N(0, 1 / F) (Rahimi & Recht 2007)."""
    x = torch.randn(20, 5)
    net = Projections((5,), 40_000, torch.Generator().manual_seed(0))
    exact = torch.exp(-torch.cdist(x, x).square() / 10)
    assert torch.allclose(2 * net(x) @ net(x).T / 40_000, exact, atol=0.03)


def test_energies_see_structure_and_not_brightness() -> None:
    net = Energies((1, 32, 32), 64, torch.Generator().manual_seed(0))
    layout = len(net.layout)
    flat = net(torch.full((1, 1, 32, 32), 0.7))[:, layout:]
    assert flat.abs().max() < 1e-5
    x = torch.randn(8, 1, 32, 32)
    rough, soft = net(x)[:, layout:].mean(), net(smooth(x, 1.0))[:, layout:].mean()
    assert soft < 0.8 * rough
    assert net(2 * x)[:, layout:].mean() == pytest.approx(2 * float(rough), rel=1e-5)


def test_grams_count_tokens_and_their_order() -> None:
    net = Grams(9, 60, torch.Generator().manual_seed(0))
    x = torch.randint(0, 9, (1, 50))
    mixed = x[:, torch.randperm(50)]
    counts, after = net(x), net(mixed)
    assert torch.equal(counts[:, :20], after[:, :20])  # single tokens: the same ones
    assert not torch.allclose(counts[:, 20:], after[:, 20:])  # pairs and triples: others
    one = net(torch.full((1, 50), 4))
    assert one[0].count_nonzero() == 3 and one[0, :20].abs().max() == pytest.approx(math.sqrt(50), rel=1e-5)


# What they see, on pictures


@pytest.fixture(scope="module")
def world() -> tuple[Tensor, Tensor]:
    """Pictures and classes of the built-in world: train first, then 300 held out."""
    source = open_source("menagerie:1200:28:grey")
    codec = image.Codec(image.Config(size=(28, 28), colour="grey")).fit(source.items)
    data = build(source, codec)
    names = sorted(set(data.fields["label"]))
    labels = torch.tensor([names.index(label) for label in data.fields["label"]])
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return codec.encode(torch.from_numpy(np.array(data.x)))[order], labels[order]


@pytest.fixture(scope="module")
def trained(world: tuple[Tensor, Tensor]) -> Learned:
    x, labels = world
    return learn(x[:-300], labels[:-300], Spec((1, 28, 28)), seconds=2)


@pytest.fixture(scope="module")
def unlabelled(world: tuple[Tensor, Tensor]) -> Learned:
    return learn(world[0][:-300], None, Spec((1, 28, 28)), seconds=2)


@pytest.fixture(params=["trained", "unlabelled", "random"])
def seeing(request: pytest.FixtureRequest, world: tuple[Tensor, Tensor]):
    if request.param == "random":
        return random_features(Spec((1, 28, 28)), on=world[0][:-300])
    return request.getfixturevalue(request.param)


def distances(features, real: Tensor, sets: list[Tensor]) -> list[float]:
    """Frechet distance of each set from the real items."""
    seen = features(real)
    return [frechet(seen, features(one)) for one in sets]


def test_frechet_grows_with_every_damage(seeing, world: tuple[Tensor, Tensor]) -> None:
    (x, labels), noise = world, torch.Generator().manual_seed(1)
    real, held = x[:-300], x[-300:]
    grain = torch.randn(held.shape, generator=noise)
    floor, *noisy = distances(seeing, real, [(held + s * grain).clamp(-1, 1) for s in (0, 0.1, 0.2, 0.4)])
    assert 1.2 * floor < noisy[0] and noisy == sorted(noisy) and noisy[-1] > 5 * floor
    blurred = distances(seeing, real, [smooth(held, s) for s in (0.5, 1.0, 2.0)])
    assert 1.2 * floor < blurred[0] and blurred == sorted(blurred)
    scrambled = held.flatten(1)[:, torch.randperm(784, generator=noise)].reshape(held.shape)
    junk = distances(seeing, real, [torch.cat([scrambled[:n], held[n:]]) for n in (15, 60, 150)])
    assert 1.2 * floor < junk[0] and junk == sorted(junk)
    (dropped,) = distances(seeing, real, [held[labels[-300:] != 0]])
    assert dropped > 1.2 * floor


def test_features_cannot_tell_training_items_from_held_out_ones(seeing, world: tuple[Tensor, Tensor]) -> None:
    x, _ = world
    z = seeing(torch.cat([x[:300], x[-300:]])).numpy()
    side = np.repeat([0, 1], 300)
    order = np.random.default_rng(0).permutation(600)
    right = cross_val_score(LogisticRegression(max_iter=1000), z[order], side[order], cv=5).mean()
    assert abs(right - 0.5) < 4 * 0.5 / math.sqrt(600), right
    parts = seeing(x[:300]), seeing(x[300:600]), seeing(x[-300:])
    assert frechet(parts[0], parts[2]) < 1.35 * frechet(parts[0], parts[1])


def test_the_accuracy_told_is_that_of_items_not_learnt_from(trained: Learned, world: tuple[Tensor, Tensor]) -> None:
    x, labels = world
    told = trained.described()
    right = float((trained.classify(x[-300:]).argmax(1) == labels[-300:]).float().mean())
    assert told["accuracy_items"] == 90 and right > 0.85
    assert abs(told["accuracy"] - right) < 0.12


def test_on_real_pictures_nothing_separates_the_split(shared: Path) -> None:
    source = open_source(shared / "data" / "quickdraw_animals")
    data = build(source, image.Codec(image.Config(size=(28, 28), colour="grey", likelihood="logistic")))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:2400]
    x = torch.from_numpy(data.x[order.numpy()]).float() / 127.5 - 1
    names = sorted(set(data.fields["label"]))
    labels = torch.tensor([names.index(data.fields["label"][i]) for i in order.tolist()])
    seen = learn(x[:1600], labels[:1600], Spec((1, 28, 28)), seconds=1.5)
    train, other, held = seen(x[:800]), seen(x[800:1600]), seen(x[1600:])
    floor = frechet(train, other)
    assert frechet(train, held) < 1.2 * floor
    assert frechet(train, seen(smooth(x[1600:], 0.7))) > 2 * floor
    assert float((seen.classify(x[1600:]).argmax(1) == labels[1600:]).float().mean()) > 0.35  # 1 in 7 by chance


# Nets of others, through a library that is not installed here


class FakeNet:
    """Stands for a feature extractor: it keeps what it was given and returns as many numbers as the real one."""

    def __init__(self, width: int) -> None:
        self.width, self.seen = width, []

    def __call__(self, x: Tensor) -> tuple[Tensor]:
        assert x.dtype == torch.uint8 and x.shape[1] == 3
        self.seen.append(x)
        return (x.float().flatten(1).mean(1, keepdim=True).expand(-1, self.width),)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> dict:
    """A stand-in for torch-fidelity; what its factory does and was asked for."""
    told: dict = {"fault": None, "width": 2048}

    def create_feature_extractor(name: str, list_features: list[str], cuda: bool = True, **options):
        told.update(name=name, features=list_features, cuda=cuda, options=options)
        if told["fault"]:
            raise told["fault"]
        return FakeNet(told["width"])

    package, part = types.ModuleType("torch_fidelity"), types.ModuleType("torch_fidelity.utils")
    part.create_feature_extractor = create_feature_extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    monkeypatch.setitem(sys.modules, "torch_fidelity.utils", part)
    return told


@pytest.mark.parametrize(
    ("name", "net", "layer", "width"),
    [("inception", "inception-v3-compat", "2048", 2048), ("dinov2", "dinov2-vit-l-14", "dinov2", 1024)],
)
def test_pretrained_features_come_from_the_library(library: dict, name: str, net: str, layer: str, width: int) -> None:
    library["width"] = width
    found = pretrained(name, Spec((1, 5, 6)))
    assert (library["name"], library["features"], library["cuda"]) == (net, [layer], False)
    x = torch.linspace(-1, 1, 256)[:100].reshape(100, 1, 1, 1).expand(-1, 1, 5, 6)
    z = found(x)
    assert found.width == width and z.shape == (100, width) and found.name == name
    assert torch.equal(z[:, 0], torch.arange(100.0))  # -1 is byte 0, then one byte for each 1 / 127.5
    assert len(found.net.seen) == 2 and found.classify(x) is None
    assert found.described()["net"] == net and found(x[:0]).shape == (0, width)


def test_bytes_are_rounded_and_finite() -> None:
    x = torch.tensor([-1.0, 0.0, 1.0, 7.0, math.nan]).reshape(5, 1, 1, 1)
    assert as_bytes(x)[:, :, 0, 0].tolist() == [[v] * 3 for v in (0, 128, 255, 255, 128)]


def test_pretrained_features_that_cannot_be_had_say_so(library: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    library["fault"] = OSError("<urlopen error [Errno -2] Name or service not known>")
    with pytest.raises(DataError, match="Name or service not known") as error:
        pretrained("inception")
    three_parts(error)
    for name, spec in (("inceptoin", None), ("inception", Spec((1, 500))), ("dinov2", Spec((4, 4, 3), tokens=5)),
                       ("dinov2", Spec((2, 8, 8)))):  # fmt: skip
        with pytest.raises(OptionError) as error:
            pretrained(name, spec)
        three_parts(error)
    library["fault"] = None
    with pytest.raises(OptionError):
        pretrained("inception")(torch.zeros(2, 9))
    monkeypatch.setitem(sys.modules, "torch_fidelity.utils", None)  # as if it were not installed
    with pytest.raises(OptionError, match=r"morelike\[pretrained\]") as error:
        pretrained("inception")
    three_parts(error)
