"""What a model has learned, against models and codes whose answers are known."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import morelike
from morelike.cli.explain import explain as verb
from morelike.core.distribution import Distribution, Point
from morelike.core.errors import MorelikeError, OptionError, RunError
from morelike.core.family import HasCritic, HasInterpolation, HasLatent
from morelike.core.spec import Batch, Spec
from morelike.explaining import explain
from morelike.explanation.attention import looked_at, rollout
from morelike.explanation.directions import coordinates, principal, slopes, walk
from morelike.explanation.disentanglement import disentangled, importances, information_of, ridge
from morelike.explanation.drawing import labelled, overlay
from morelike.explanation.part import Unit, unit_of
from morelike.explanation.provenance import resembled
from morelike.explanation.space import Space, great_circle, space_of
from morelike.explanation.truth import components, shuffled, true_factors
from morelike.measure.figure import Estimate
from morelike.nn.transformer import Attention

D, LATENT, N = 12, 4, 400


def orthonormal(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)))[0]


class Walkable(nn.Module):
    """A family that can only walk: items are a function of standard normal noise."""

    spec = Spec((D,))

    def __init__(self, generator, tokens: int | None = None) -> None:
        super().__init__()
        self.made, self.spec = generator, Spec((D,), tokens=tokens)

    def noise(self, seeds: Sequence[int]) -> Tensor:
        return torch.stack([torch.randn(LATENT, generator=torch.Generator().manual_seed(s)) for s in seeds])

    def generate(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Tensor:
        return self.made(z)


class Coded(nn.Module):
    """A family whose code is a linear map of the item, and back."""

    spec = Spec((D,))

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.back = weight, torch.linalg.pinv(weight)

    def encode(self, batch: Batch) -> Tensor:
        return batch.x @ self.back.T

    def decode(self, z: Tensor, given: Mapping[str, Tensor] = {}) -> Distribution:
        return Point(z @ self.weight.T)


def noise_space(generator, tokens: int | None = None) -> Space:
    return space_of(Walkable(generator, tokens), Batch(torch.empty(0, D)), range(N))


# --- directions


def test_principal_directions_of_a_linear_generator_are_its_singular_vectors() -> None:
    sizes = torch.tensor([4.0, 2.0, 1.0, 0.5])
    left, right = orthonormal(D, LATENT), orthonormal(LATENT, LATENT, 1)
    space = noise_space(lambda z: z @ (left * sizes @ right.T).T)
    found = principal(space, slopes(space), 3)
    assert [one.name for one in found] == ["direction 1", "direction 2", "direction 3"]
    for k, one in enumerate(found):
        assert abs(one.vector @ right[:, k]) == pytest.approx(1, abs=1e-4)
        assert one.effect.value == pytest.approx(float(sizes[k]) / D**0.5, rel=1e-3)
        assert one.effect.low == pytest.approx(one.effect.high, rel=1e-3), "the same everywhere: no uncertainty"
        assert one.share == pytest.approx(float(sizes[k] ** 2 / sizes.square().sum()), rel=1e-3)
        assert one.steady == pytest.approx(1, abs=1e-4)


def test_principal_directions_of_codes_are_the_principal_components_of_the_items() -> None:
    """The codes are correlated and of unequal spread, and a number that never varies is among them."""
    generator = torch.Generator().manual_seed(2)
    mix = torch.randn(LATENT, LATENT, generator=generator) * torch.tensor([3.0, 1.0, 0.3, 0.0])[:, None]
    weight = torch.randn(D, LATENT, generator=generator)
    x = torch.randn(N, LATENT, generator=generator) @ mix.T @ weight.T
    space = space_of(Coded(weight), Batch(x), range(N))
    found = principal(space, slopes(space), LATENT)
    variances = torch.linalg.eigvalsh(torch.cov(x.T.double())).flip(0)[:LATENT].clamp_min(0)
    for one, variance in zip(found, variances, strict=True):
        assert one.effect.value == pytest.approx(float(variance / D) ** 0.5, rel=2e-3, abs=2e-3)
        assert one.share == pytest.approx(float(variance / variances.sum()), abs=1e-3)


def test_effects_of_coordinates_count_their_own_spread() -> None:
    weight = torch.diag(torch.tensor([1.0, 10.0, 1.0, 1.0]))
    x = torch.randn(N, LATENT, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 10.0, 5.0, 0.1])
    family = Coded(weight)
    space = space_of(family, Batch(x), range(N))
    found = coordinates(space, slopes(space), 2)
    assert [one.name for one in found] == ["code 1", "code 2"]  # x varies most along them
    for one, j in zip(found, (1, 2), strict=True):
        assert one.effect.value == pytest.approx(float(x[:, j].std()) / LATENT**0.5, rel=1e-3)


def test_a_change_that_differs_everywhere_is_not_steady() -> None:
    space = noise_space(lambda z: torch.cat([z.square(), 5 * z], 1)[:, [0, 5]])  # the slopes of z^2 cancel
    sizes = {one.name: one for one in coordinates(space, slopes(space), 2)}
    assert sizes["code 0"].steady < 0.1 and sizes["code 1"].steady > 0.99
    assert sizes["code 0"].effect.low < sizes["code 0"].effect.value < sizes["code 0"].effect.high


def test_where_nothing_changes_there_is_an_effect_of_zero_and_no_share() -> None:
    space = noise_space(lambda z: torch.ones(len(z), D))
    for one in principal(space, slopes(space), 2):
        assert one.effect.value == 0 and one.share is None and one.steady is None


def test_the_effect_on_tokens_is_the_share_that_changes() -> None:
    space = noise_space(lambda z: (z[:, :1] > 100 * torch.ones(D)).long() + (z[:, :1] > -100).long(), tokens=3)
    assert principal(space, slopes(space), 1)[0].effect.value == 0
    half = torch.arange(D) < D // 2
    space = noise_space(lambda z: torch.where(half, (z[:, :1] / 2).round(), 0.0).long() + 20, tokens=60)
    effect = coordinates(space, slopes(space), 1)[0]  # from z - 1 to z + 1, half of the tokens go to their neighbour
    assert effect.name == "code 0" and (2 * effect.effect.value) ** 2 == pytest.approx(0.5, abs=0.05)


def test_a_walk_stops_where_it_says_and_changes_nothing_else() -> None:
    weight = orthonormal(D, LATENT)
    space = space_of(Coded(weight), Batch(torch.randn(N, D)), range(N))
    for directions in (coordinates(space, slopes(space), 3), principal(space, slopes(space), 3)):
        items = walk(space, 5, directions, (-3.0, 0.0, 3.0)).unflatten(0, (3, 3))
        for row, one in zip(items, directions, strict=True):
            places = row @ weight  # the codes of what was made
            assert (places - space.mean) @ one.read == pytest.approx([-3, 0, 3], abs=1e-3)
            off = places - space.points[5]
            along = one.vector / one.vector.norm()
            assert torch.allclose(off, (off @ along)[:, None] * along, atol=1e-4)


def test_a_great_circle_keeps_its_distance_and_its_ends() -> None:
    space = noise_space(lambda z: z)
    ends = space.points[:2] / space.points[:2].norm(dim=1, keepdim=True)
    path = great_circle(space, ends, 9)
    assert torch.allclose(path[[0, -1]], ends, atol=1e-5) and torch.allclose(path.norm(dim=1), torch.ones(9), atol=1e-5)
    steps = path.diff(dim=0).norm(dim=1)
    assert torch.allclose(steps, steps.mean().expand(8), atol=1e-4)
    codes = space_of(Coded(torch.eye(LATENT)), Batch(torch.randn(N, LATENT) * 5 + 3), range(N))
    assert torch.allclose(great_circle(codes, codes.points[:2], 5)[[0, -1]], codes.points[:2], atol=1e-3)


def test_a_family_without_a_latent_space_is_refused() -> None:
    family = nn.Linear(1, 1)
    family.spec = Spec((D,))
    with pytest.raises(OptionError, match="no latent space"):
        space_of(family, Batch(torch.zeros(2, D)), range(2))


# --- disentanglement


def causes(n: int = 4000) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"kind": generator.integers(0, 4, n), **{name: generator.uniform(-1, 1, n) for name in ("x", "y", "z")}}


def stacked(factors: Mapping[str, np.ndarray]) -> Tensor:
    return torch.tensor(np.stack([one / one.std() for one in factors.values()], 1))


def test_one_number_for_one_cause_scores_one() -> None:
    factors = causes()
    codes = stacked(factors) ** 3  # any monotone map will do
    codes = torch.cat([codes, torch.randn(len(codes), 3, generator=torch.Generator().manual_seed(0))], 1)
    found = disentangled(codes, factors)
    for name, value in found.plain().items():
        assert value == pytest.approx(1, abs=0.05), name
    assert found.factors == ("kind", "x", "y", "z") and found.information.argmax(0).tolist() == [0, 1, 2, 3]


def test_mixed_causes_can_be_told_but_are_not_disentangled() -> None:
    factors = causes()
    mixture = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64) / 2
    found = disentangled(stacked(factors) @ mixture, factors).plain()
    assert found["mig"] < 0.05 and found["disentanglement"] < 0.2 and found["completeness"] < 0.2
    assert found["informativeness"] > 0.7


def test_codes_of_other_items_score_nothing() -> None:
    factors = causes()
    for value in disentangled(shuffled(stacked(factors)), factors).plain().values():
        assert value == pytest.approx(0, abs=0.01)


def test_two_numbers_for_one_cause_leave_no_gap_and_half_the_completeness() -> None:
    factors = {name: one for name, one in causes().items() if name != "kind"}
    codes = stacked(factors)
    found = disentangled(torch.cat([codes, codes], 1), factors)
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert found.completeness == pytest.approx(1 - math.log(2) / math.log(6), abs=0.05)
    assert found.disentanglement == pytest.approx(1, abs=0.05)


def test_information_and_ridge_agree_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mutual_info_score

    assert sklearn
    factors = causes(500)
    z = (stacked(factors) + torch.randn(500, 4, dtype=torch.float64)).numpy()
    bins = [np.searchsorted(np.quantile(column, np.arange(1, 20) / 20), column, side="right") for column in z.T]
    entropy = mutual_info_score(factors["kind"], factors["kind"])
    expected = [mutual_info_score(one, factors["kind"]) / entropy for one in bins]
    assert information_of(z, [factors["kind"]])[:, 0] == pytest.approx(expected, abs=1e-9)
    x, y = z - z.mean(0), z[:, :2] @ np.array([[1.0, 0.0], [0.5, 2.0]]) + 0.1 * z[:, 2:]
    y = y - y.mean(0)
    close = [np.abs(ridge(x, y) - Ridge(a, fit_intercept=False).fit(x, y).coef_.T).max(0) for a in 10.0 ** np.arange(6)]
    assert np.min(close, 0) == pytest.approx(0, abs=1e-9)


def test_what_is_not_known_of_a_cause_counts_as_nothing() -> None:
    factors = causes()
    codes = stacked({"x": factors["x"]})
    importance, told = importances(codes.numpy(), list(factors.values()))
    assert told == pytest.approx([0, 1, 0, 0], abs=0.02) and importance[0] == pytest.approx([0, 1, 0, 0], abs=0.02)
    assert disentangled(codes, {**factors, "same": np.ones(4000)}).factors == tuple(factors), "a constant is no factor"


def test_the_floors_and_factors_of_the_built_in_world() -> None:
    rows = np.array([5, 2, 9])
    grey = true_factors(rows, grey=True, told=["species"])
    assert all(len(one) == 3 for one in grey.values())
    assert "species" not in grey and "fur_lightness" in grey and "fur_red" not in grey and "fur" not in grey
    assert "fur" in true_factors(rows, grey=False)
    assert np.allclose(grey["x"], true_factors(np.arange(10), grey=True)["x"][rows])
    x = torch.randn(50, 3, 4) * torch.arange(1, 5)
    scores = components(x, 3).double()
    exact = torch.linalg.svdvals(x.flatten(1).double() - x.flatten(1).double().mean(0))[:3]
    assert torch.allclose(scores.norm(dim=0), exact, rtol=1e-3)


# --- similar items


class Themselves:
    """Features that are the items."""

    name = "own"

    def __call__(self, x: Tensor) -> Tensor:
        return x


def test_a_copy_lies_at_no_distance_and_nothing_typical_is_as_near() -> None:
    train = torch.arange(20.0)[:, None] * torch.tensor([1.0, 0.0])  # one apart
    found = resembled(Themselves(), torch.tensor([[3.0, 0.0], [19.5, 2.0]]), train, k=2)
    assert found.train[0, 0] == 3 and found.distance[0].tolist() == [0, 1]
    assert found.typical.tolist() == [1, 1, 1] and found.nearer.tolist() == [0, 1]
    assert found.train[1].tolist() == [19, 18] and found.distance[1, 0] == pytest.approx(4.25**0.5)


def test_one_training_item_sets_no_scale() -> None:
    assert "at least 2" in str(resembled(Themselves(), torch.zeros(1, 2), torch.zeros(1, 2)))
    equal = resembled(Themselves(), torch.zeros(1, 2), torch.zeros(5, 2))
    assert not isinstance(equal, str) and equal.distance.shape == (1, 5) and equal.typical.tolist() == [0, 0, 0]


# --- attention


def test_attention_seen_is_the_attention_used() -> None:
    layer = Attention(16, 2)
    nn.init.normal_(layer.out.weight)
    x = torch.randn(3, 5, 16)
    weights = layer.weights(x)
    assert weights.shape == (3, 2, 5, 5) and torch.allclose(weights.sum(-1), torch.ones(3, 2, 5), atol=1e-5)
    values = layer.qkv(x).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)[2]
    assert torch.allclose(layer.out((weights @ values).transpose(1, 2).flatten(2)), layer(x), atol=1e-5)


def test_rollout_follows_attention_through_the_layers() -> None:
    first, second = torch.rand(1, 3, 3).softmax(-1), torch.tensor([[[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]])
    eye = torch.eye(3)
    by_hand = (second + eye) / 2 @ (first + eye) / 2
    assert torch.allclose(rollout(torch.stack([first, second], 1)), by_hand)
    assert torch.allclose(rollout(eye.expand(1, 4, 3, 3)), eye)


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_where_a_transformer_looks(family: str) -> None:
    """A patch whose key matches every query is looked at by all; the map has its maximum there."""
    module = __import__(f"morelike.families.{family}", fromlist=["Model"])
    shape = (1, 8, 8)
    spec = Spec(shape, head_shape=shape, head=Point)
    model = module.Model(spec, module.Config(net="transformer", width=8, latent=3))
    looked = looked_at(model, Batch(torch.randn(2, *shape)))
    assert not isinstance(looked, str)
    assert looked.rollout.shape == (2, 8, 8) and looked.layers.shape == (2, 3, 8, 8)
    assert looked.rollout.mean((1, 2)) == pytest.approx([1, 1], abs=1e-4), "1 is an even share"
    for layer in (one for one in model.modules() if isinstance(one, Attention)):
        nn.init.zeros_(layer.qkv.weight)
    even = looked_at(model, Batch(torch.randn(2, *shape)))
    assert not isinstance(even, str) and even.even == pytest.approx([1, 1, 1])
    assert torch.allclose(even.rollout, torch.ones(2, 8, 8), atol=1e-4)
    assert not any(one._forward_pre_hooks for one in model.modules()), "nothing is left behind in the model"


def test_a_net_without_attention_and_a_family_that_reads_nothing_say_so() -> None:
    from morelike.families import gan

    model = gan.tiny(Spec((1, 8, 8), head_shape=(1, 8, 8), head=Point))
    assert isinstance(model, HasCritic) and isinstance(model, HasInterpolation) and not isinstance(model, HasLatent)
    assert "--net transformer" in str(looked_at(model, Batch(torch.zeros(1, 1, 8, 8))))
    assert "reads no items" in str(looked_at(Walkable(lambda z: z), Batch(torch.zeros(1, D))))


# --- pictures and words


def test_labels_stand_beside_their_rows() -> None:
    sheet = Image.fromarray(np.zeros((60, 90), np.uint8))
    board = labelled(sheet, ["one", "two\nwith a much longer line"], ["a", "b", "c"])
    pixels = np.array(board)
    left = board.width - 90
    assert left > 100 and board.height >= 60
    assert (pixels[:, left:].reshape(-1, 3) == 0).all(1).sum() >= 60 * 90 - 1, "every pixel of the sheet is there"
    assert (pixels[:, :left] < 128).any(), "and the words are"


def test_an_overlay_paints_where_the_map_is_high() -> None:
    pictures = np.full((2, 8, 8, 1), 128, np.uint8)
    maps = np.ones((2, 2, 2), np.float32)
    maps[0, 0, 1] = 4
    painted = overlay(pictures, maps)
    assert painted.shape == (2, 8, 8, 3) and painted[0, 0, 7, 0] > painted[0, 0, 7, 2] + 100
    assert (painted[1] == painted[1, 0, 0]).all(), "an even map paints nothing"


def test_units_are_those_of_the_codec() -> None:
    from morelike.codecs import image

    codec, x = image.tiny(), torch.rand(4, 3, 8, 8) * 2 - 1
    unit = unit_of(codec, x)
    assert unit.name == "grey levels" and unit.scale == pytest.approx(127.5, rel=0.01)
    assert unit.words(Estimate(0.1, 0.05, 0.2)) == "12.8 grey levels per sd (6.38 to 25.5)"
    assert unit_of(codec, torch.zeros(2, 3, 8, 8)) == Unit()
    assert unit_of(codec, torch.zeros(2, 3, dtype=torch.long)).words(Estimate(0.5, 0.5, 0.5)).startswith("25% tokens")


# --- whole runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Tiny runs, on the built-in world and on a folder."""
    folder = tmp_path_factory.mktemp("explained")
    pictures = folder / "pictures"
    for label in ("a", "b"):
        (pictures / label).mkdir(parents=True)
        for i in range(20):
            shade = np.random.default_rng(ord(label) + i).integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(shade).save(pictures / label / f"{i}.png")
    made = {}
    for name, source, options in (
        ("vae", "menagerie:300:8", {"family": "vae"}),
        ("gan", "menagerie:300:8", {"family": "gan", "net": "transformer"}),
        ("own", str(pictures), {"family": "vae", "net": "transformer"}),
    ):
        made[name] = folder / name
        morelike.fit(source, steps=3, size="8", settings={"latent": "6"}, out=made[name], show=False, **options)
    return made


def read(folder: Path) -> dict:
    def strict(word: str) -> float:
        raise AssertionError(f"{word} in the JSON")

    return json.loads((folder / "explain.json").read_text(), parse_constant=strict)


def test_everything_there_is_to_explain_of_an_encoder(runs, tmp_path) -> None:
    found = explain(runs["vae"], seeds=[7], directions=3)
    files = {path.name for path in found.save(tmp_path)}
    sheets = {"traversal.png", "directions.png", "interpolation.png", "provenance.png"}
    assert files == {"explain.html", "explain.json"} | sheets
    figures = read(tmp_path)
    assert figures["skipped"].keys() == {"attention"} and "--net transformer" in figures["skipped"]["attention"]
    assert [row["name"][:4] for row in figures["traversal"]["rows"]] == ["code"] * 3
    assert figures["traversal"]["unit"] == "grey levels" and figures["traversal"]["seed"] == 7
    sizes = [row["effect"] for row in figures["directions"]["rows"]]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
    assert figures["disentanglement"]["shuffled codes"]["disentanglement"] == pytest.approx(0, abs=0.02)
    near = figures["provenance"]["samples"]["7"]
    assert len(near["names"]) == len(near["distances"]) == 5 and near["names"][0].startswith("menagerie[")
    page = (tmp_path / "explain.html").read_text()
    assert "Similar, not causal" in page and 'src="http' not in page and near["names"][0] in page


def test_everything_there_is_to_explain_of_a_critic(runs, tmp_path) -> None:
    explain(runs["gan"], directions=2, given={"label": "cat"}).save(tmp_path)
    figures = read(tmp_path)
    assert figures["given"] == {"label": "cat"} and figures["skipped"].keys() == {"disentanglement"}
    assert [row["name"] for row in figures["traversal"]["rows"]] == ["direction 1", "direction 2"]
    assert len(figures["attention"]["evenness"]) == 3 and (tmp_path / "attention.png").exists()
    assert set(figures["interpolation"]["paths"]) == {"seed 0 to 1, cat", "seed 2 to 3, cat", "seed 4 to 5, cat"}


def test_the_same_question_has_the_same_answer(runs) -> None:
    one, two = (explain(runs["own"], seeds=[3, 1], directions=2) for _ in range(2))
    assert one.plain() == two.plain() and one.html() == two.html()
    assert set(one.plain()["provenance"]["samples"]) == {"3", "1"}


def test_items_that_are_no_pictures_are_described(runs) -> None:
    class Words:
        """A codec that has no sheet, and tells of an item in a word."""

        def __init__(self, codec) -> None:
            self.inner = codec

        def decode(self, x: Tensor) -> list[str]:
            return [f"<{float(one.mean()):.2f}>" for one in x]

        def html(self, items: Sequence[str]) -> list[str]:
            return [f"<q>{item.strip('<>')}</q>" for item in items]

        def __getattr__(self, name: str):
            if name == "sheet":
                raise AttributeError(name)
            return getattr(self.inner, name)

    run = morelike.load(runs["own"])
    run.codec = Words(run.codec)
    found = explain(run, directions=2)
    assert all(part.picture is None for part in found.parts) and found.html().count("<q>") > 50
    assert found.plain()["traversal"]["unit"] == "units" and "pictures only" in found.plain()["skipped"]["attention"]


def test_a_source_that_is_gone_or_changed_leaves_out_what_needs_it(runs, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["own"], run)
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps({**recipe, "source": str(tmp_path / "nowhere")}))
    found = explain(run, directions=2).plain()
    assert found["skipped"].keys() == {"provenance"} and "cannot be read" in found["skipped"]["provenance"]
    assert found["traversal"]["rows"] and found["attention"]["evenness"], "what was made serves instead"
    (run / "recipe.json").write_text(json.dumps(recipe))
    (run / "measure").mkdir(exist_ok=True)
    (run / "measure" / "learned.safetensors").write_bytes(b"no features")
    assert "Delete the file" in explain(run, directions=2).plain()["skipped"]["provenance"]
    changed = {**recipe, "data": {**recipe["data"], "digest": "0"}}
    (run / "recipe.json").write_text(json.dumps(changed))
    assert "has changed" in explain(run, directions=2).plain()["skipped"]["provenance"]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"given": {"label": "cot"}}, OptionError, "cot"),
        ({"given": {"colour": "red"}}, OptionError, "colour"),
        ({"seeds": [-1]}, OptionError, "-1"),
        ({"directions": 0}, OptionError, "directions"),
    ],
)
def test_what_cannot_be_asked_for_is_named(runs, options, kind, words) -> None:
    with pytest.raises(kind, match=words):
        explain(runs["vae"], **options)


def test_a_model_that_has_diverged_is_refused(runs) -> None:
    run = morelike.load(runs["gan"])
    for weight in run.family.parameters():
        weight.data.fill_(torch.nan)
    with pytest.raises(RunError, match="no finite numbers"):
        explain(run)


def test_a_family_that_only_samples_has_nothing_to_walk_in(runs) -> None:
    class Sampler(nn.Module):
        def __init__(self, family) -> None:
            super().__init__()
            self.sample, self.spec = family.sample, family.spec

    run = morelike.load(runs["gan"])
    run.family = Sampler(run.family)
    skipped = explain(run).plain()["skipped"]
    assert skipped.keys() == {"traversal", "directions", "interpolation", "disentanglement", "attention"}


def test_the_verb_writes_the_page_and_tells_where(runs, tmp_path, capsys) -> None:
    verb(run=runs["own"], seed=[2], directions=1, given=["label=a"], out=tmp_path / "out")
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "out" / "explain.html") and (tmp_path / "out" / "explain.html").exists()
    verb(run=runs["own"], directions=1, out=tmp_path / "out", json=True)
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "done" and line["out"].endswith("explain.html") and line["directions"]["rows"]
    for options, kind in (({"run": tmp_path}, RunError), ({"run": runs["own"], "given": ["label"]}, OptionError)):
        with pytest.raises(kind) as error:
            verb(**options)
        assert isinstance(error.value, MorelikeError) and error.value.action
