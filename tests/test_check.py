"""The audit finds planted faults and leaves sound data alone; whatever the source, the answer is clear."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from morelike import collect
from morelike.auditing import quick
from morelike.auditing.full import audit
from morelike.cli import check as verb
from morelike.codecs import _blemishes, _looks, _twins, image
from morelike.core.codec import Inspectable, Item, Look
from morelike.core.errors import DataError, MorelikeError, OptionError
from morelike.data import menagerie
from morelike.data.split import split
from morelike.measure.audit import Audit, seen
from morelike.measure.audit.amount import amount, balance, skipped
from morelike.measure.audit.labels import doubtful
from morelike.measure.audit.page import page
from morelike.measure.audit.repeats import across, repeats
from morelike.measure.audit.seen import Seen
from morelike.measure.audit.strangers import strange
from morelike.measure.audit.twins import Twins, equals, find, trusted
from morelike.measure.figure import Finding
from morelike.recipes import Request, fit

COUNT = 240


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Pictures of the built-in world: uint8 (240, 32, 32, 3)."""
    return menagerie.pictures(COUNT, 32, True)[0]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that learn for a moment only."""
    monkeypatch.setattr(seen, "SECONDS", 0.3)


def written(folder: Path, pixels: np.ndarray, name: str = "{:03d}.png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name.format(i) for i in range(len(pixels))]
    for file, one in zip(files, pixels, strict=True):
        Image.fromarray(one).save(file)
    return files


def kinds(found: Audit) -> set[str]:
    return {one.kind for one in found.findings}


def of(found: Audit, kind: str) -> Finding:
    return next(one for one in found.findings if one.kind == kind)


@pytest.fixture(scope="module")
def faulty(pictures: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one fault of each kind."""
    folder = tmp_path_factory.mktemp("faulty") / "pets"
    files = written(folder / "cat", pictures[:120]) + written(folder / "dog", pictures[120:])
    for i in range(4):
        (folder / "cat" / f"copy{i}.png").write_bytes(files[3].read_bytes())
    (folder / "dog" / "twice.png").write_bytes(files[4].read_bytes())
    again = Image.open(files[5])
    again.save(folder / "cat" / "again.jpg", quality=70)
    Image.fromarray((pictures[6] * 0.1).astype(np.uint8)).save(files[6])
    Image.fromarray(255 - ((255 - pictures[7]) * 0.15).astype(np.uint8)).save(files[7])
    Image.open(files[8]).filter(ImageFilter.GaussianBlur(2.5)).save(files[8])
    Image.new("RGB", (32, 32), (90, 120, 140)).save(files[9])
    Image.fromarray(pictures[10]).resize((9, 9)).save(files[10])
    Image.fromarray(np.tile(pictures[11], (1, 5, 1))).save(files[11])
    files[12].with_suffix(".jpg").write_bytes(files[12].read_bytes())
    files[12].unlink()
    data = files[13].read_bytes()
    files[13].write_bytes(data[: len(data) // 2])
    (folder / "cat" / "notes.png").write_bytes(b"not a picture at all")
    return folder


@pytest.fixture(scope="module")
def found(faulty: Path) -> Audit:
    before = {file: file.read_bytes() for file in faulty.rglob("*") if file.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "SECONDS", 0.3)
        result = audit(Request(str(faulty)))
    assert before == {file: file.read_bytes() for file in faulty.rglob("*") if file.is_file()}
    return result


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("duplicates", {"cat/003.png", *(f"cat/copy{i}.png" for i in range(4)), "cat/004.png", "dog/twice.png"}),
        ("conflicting_labels", {"cat/004.png", "dog/twice.png"}),
        ("near_duplicates", {"cat/005.png", "cat/again.jpg"}),
        ("dark", {"cat/006.png"}),
        ("bright", {"cat/007.png"}),
        ("blurred", {"cat/008.png"}),
        ("low_information", {"cat/009.png"}),
        ("too_small", {"cat/010.png"}),
        ("odd_aspect", {"cat/011.png"}),
        ("misnamed", {"cat/012.jpg"}),
        ("truncated", {"cat/013.png"}),
        ("unreadable", {"cat/notes.png"}),
    ],
)
def test_each_planted_fault_is_found_and_nothing_else(found: Audit, kind: str, names: set[str]) -> None:
    one = of(found, kind)
    assert set(one.names) >= names
    extra = set(one.names) - names
    assert extra <= {"cat/008.png", "cat/009.png", "cat/010.png", "cat/011.png"} if kind == "blurred" else not extra
    assert one.consequence and one.action and one.default and one.title


def test_copies_are_counted_and_said_to_be_memorised(found: Audit) -> None:
    one = of(found, "duplicates")
    assert one.count == 5 and [len(group) for group in one.groups] == [5, 2] and one.severity == "warn"
    assert "5 times" in one.consequence


def test_an_audit_is_told_in_three_ways(found: Audit, tmp_path: Path) -> None:
    told = json.loads(json.dumps(found.json(), allow_nan=False))
    assert told["verdict"] == found.verdict and told["verdict"].endswith("things to mend first")
    assert {one["kind"] for one in told["findings"]} == kinds(found)
    assert json.loads(found.save(tmp_path / "x.json").read_text()) == told
    text = found.save(tmp_path / "x.html").read_text()
    assert "http" not in text.replace("http-equiv", "") and text.count("data:image/png") >= len(found.pictures) > 10
    assert all(one.title in text for one in found.findings)
    assert 5 < len(verb.summary(found)) <= 60
    with pytest.raises(OptionError, match="x.doc"):
        found.save(tmp_path / "x.doc")


def test_sound_data_are_ready_to_train() -> None:
    result = audit(Request("menagerie:800:28"))
    assert result.verdict == "ready to train" and not result.skipped
    assert kinds(result) <= {"few", "outliers"}, [one.title for one in result.findings]
    assert result.counts["train"] + result.counts["held_out"] == 800


def test_white_sketches_on_black_are_not_dark_nor_empty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = np.zeros((150, 28, 28), np.uint8)
    for one in pixels:
        for _ in range(3):
            y, x, long = rng.integers(2, 20, 3)
            one[y : y + 2, x : x + long] = 255
    np.save(tmp_path / "x.npy", pixels)
    assert not kinds(audit(Request(str(tmp_path / "x.npy")))) & {"dark", "bright", "blurred", "low_information"}


def test_the_same_seed_finds_the_same(faulty: Path, found: Audit) -> None:
    again = audit(Request(str(faulty)))
    assert again.findings == found.findings and again.counts == found.counts


@pytest.mark.parametrize("kind", ["jpeg", "smaller", "crop", "dark", "contrast", "noise"])
def test_versions_of_a_picture_are_the_same_and_others_are_not(pictures: np.ndarray, kind: str) -> None:
    rng, codec = np.random.default_rng(1), image.Codec(image.Config(size=(32, 32), colour="rgb"))
    rows = np.arange(60)

    def version(pixels: np.ndarray) -> np.ndarray:
        picture, buffer = Image.fromarray(pixels), io.BytesIO()
        if kind == "jpeg":
            picture.save(buffer, "JPEG", quality=80, subsampling=0)
            picture = Image.open(buffer)
        elif kind == "smaller":
            picture = picture.resize((25, 25)).resize((32, 32))
        elif kind == "crop":
            picture = picture.resize((32, 32), box=(1, 1, 31.5, 31.5))
        elif kind == "dark":
            return (pixels * 0.8).astype(np.uint8)
        elif kind == "contrast":
            return np.clip((pixels.astype(float) - 128) * 0.8 + 128, 0, 255).astype(np.uint8)
        else:
            return np.clip(pixels + rng.normal(0, 5, pixels.shape), 0, 255).astype(np.uint8)
        return np.asarray(picture)

    a = torch.from_numpy(pictures[rows]).permute(0, 3, 1, 2)
    b = torch.from_numpy(np.stack([version(pictures[row]) for row in rows])).permute(0, 3, 1, 2)
    assert float((codec.difference(a, b) < 1).float().mean()) >= 0.93
    assert float((codec.signature(a) - codec.signature(b)).norm(dim=1).max()) < 1
    assert float((codec.difference(a, a.roll(1, 0)) < 1).float().mean()) == 0


def test_registration_finds_a_known_shift() -> None:
    x = torch.linspace(-3, 3, 24)
    hill = torch.exp(-(x[:, None] ** 2) - (x[None] - 0.3) ** 2)[None, None]
    moved = hill.roll(1, 3)  # by one pixel: 2 / 23 of half the side
    sx, sy, tx, ty = _twins.register(hill, moved)[0].tolist()
    assert tx == pytest.approx(2 / 23, abs=0.02) and abs(ty) < 0.02 and abs(sx) < 0.05 and abs(sy) < 0.05


def test_blank_pictures_are_versions_of_nothing() -> None:
    blank = torch.full((2, 1, 16, 16), 7, dtype=torch.uint8)
    assert torch.isinf(_twins.difference(blank, blank)).all() and len(_twins.difference(blank[:0], blank[:0])) == 0


def test_mirror_images_are_named_as_such(pictures: np.ndarray) -> None:
    codec = image.Codec(image.Config(size=(32, 32), colour="rgb"))
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    chosen = [row for row in range(60) if float(codec.difference(x[row : row + 1], x[row : row + 1].flip(3))) > 8][:5]
    both = torch.cat([x, x[chosen].flip(3)])
    twins = find(codec, both, np.arange(len(both), dtype=np.uint64))
    assert {(row, COUNT + i) for i, row in enumerate(chosen)} <= set(twins.disguised["mirrored"])
    assert not any(set(chosen) & set(group) for group in twins.alike)


def test_groups_of_equal_hashes() -> None:
    assert equals(np.array([5, 1, 5, 2, 1, 5], dtype=np.uint64)) == [(0, 2, 5), (1, 4)]
    assert equals(np.arange(3, dtype=np.uint64)) == []


def test_bounds_are_not_trusted_where_pairs_crowd_behind_them() -> None:
    close, spread = torch.full((20,), 0.05), torch.linspace(0.06, 3, 3000)
    alone = trusted(close, close, 2.0)
    assert int(alone.sum()) == 20
    crowded = trusted(torch.cat([close, spread]), torch.cat([close, spread]), 2.0)
    assert int(crowded.sum()) <= 80
    assert int(trusted(spread, spread, 2.0).sum()) == 0


def test_a_blur_lowers_sharpness_and_brightness_does_not() -> None:
    rng = np.random.default_rng(0)
    sharp = Image.fromarray((rng.random((64, 64)) > 0.5).repeat(1, 0).astype(np.uint8) * 200)
    soft = sharp.filter(ImageFilter.GaussianBlur(2))
    dim = Image.fromarray((np.asarray(sharp) // 4).astype(np.uint8))
    a, b, c = (_looks.sharpness(np.asarray(one)) for one in (sharp, soft, dim))
    assert b < 0.7 * a and c == pytest.approx(a, rel=0.02)
    assert np.isnan(_looks.sharpness(np.zeros((64, 64), np.uint8))) and np.isnan(_looks.sharpness(np.eye(4)))


def test_strays_are_few_and_far() -> None:
    values = np.exp(np.random.default_rng(0).normal(0, 0.1, 5000))
    assert not _blemishes.strays(values).any()
    values[:100] = 0.3
    assert _blemishes.strays(values).sum() == 100
    assert not _blemishes.strays(np.full(10, np.nan)).any() and not _blemishes.strays(np.array([])).any()


def test_a_jpeg_with_its_end_missing_is_noticed(pictures: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(pictures[1].repeat(8, 0).repeat(8, 1)).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    cut = data[: len(data) // 2] + b"\xff\xd9"
    look = image.tiny().look(Item("a.jpg", lambda: Image.open(io.BytesIO(cut))))
    assert "flat grey" in look.notes["cut_short"]
    whole = image.tiny().look(Item("a.jpg", lambda: Image.open(io.BytesIO(data))))
    assert not whole.notes and whole.measures["width"] == 256


def test_judging_nothing_finds_nothing() -> None:
    assert isinstance(image.tiny(), Inspectable)
    assert image.tiny().judge([]) == []
    even = [Look({"width": 8.0, "height": 8.0, "brightness": 0.5, "darkest": 0.1, "lightest": 0.9, "contrast": 0.2,
                  "burnt": 0.0, "sharpness": float("nan")})] * 3  # fmt: skip
    assert image.tiny().judge(even) == []


def test_wrong_labels_are_found_with_what_they_look_like() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (600,), generator=generator)
    sure = torch.full((600, 3), 0.01).scatter(1, truth[:, None], 0.98)
    labels = truth.clone()
    labels[:12] = (truth[:12] + 1) % 3
    places, other = doubtful(Seen(torch.arange(600), sure, sure, torch.ones(600)), labels)
    assert set(places.tolist()) == set(range(12)) and torch.equal(other, truth[places])
    unsure = torch.full((600, 3), 1 / 3)
    assert len(doubtful(Seen(torch.arange(600), unsure, unsure, torch.ones(600)), labels)[0]) == 0


def test_strangers_are_far_beyond_the_spread() -> None:
    distance = torch.exp(0.15 * torch.randn(2000, generator=torch.Generator().manual_seed(0)))
    assert len(strange(distance)) == 0
    distance[[3, 7]] = torch.tensor([9.0, 20.0])
    assert strange(distance).tolist() == [7, 3]


def test_too_little_is_said() -> None:
    assert {one.kind for one in amount(40, 4, 44)} == {"too_few", "few_held_out"}
    assert all(("--augment" in one.action) == pictures for pictures in (True, False) for n in (40, 400)
               for one in amount(n, 1000, n, pictures))  # fmt: skip
    assert [one.kind for one in amount(9000, 1000, 10_000)] == []
    assert [(one.kind, one.severity) for one in amount(90, 10, 1)] == [("identical", "stop")]
    labels = ["cat"] * 900 + ["Cat "] * 60 + ["dog"] * 10 + [""] * 5
    found = {one.kind: one for one in balance(labels, [str(i) for i in range(len(labels))])}
    assert set(found) == {"missing_labels", "imbalance", "few_each", "label_spelling"}
    assert found["missing_labels"].rows == tuple(range(970, 975)) and "dog" in found["imbalance"].title
    assert balance(["", ""], ["a", "b"]) == []
    broken = [
        ("a.jpg", "image file is truncated (3 bytes not processed)"),
        ("b", "not a picture"),
        ("c", "not a picture"),
    ]
    assert {one.kind: one.count for one in skipped(broken, 1000)} == {"truncated": 1, "unreadable": 2}


def test_rows_of_one_file_are_no_copies() -> None:
    twins = Twins([(0, 1), (2, 3)], [], {})
    found = {one.kind: one for one in repeats(twins, ["a.jpg", "a.jpg", "b.jpg", "c.jpg"], [""] * 4)}
    assert set(found) == {"repeated_rows", "duplicates"} and found["duplicates"].names == ("b.jpg", "c.jpg")


def test_a_group_is_never_divided_by_the_split() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    groups = [tuple(range(i, i + 4)) for i in range(0, 1000, 4)]
    kept, held = split(collect.tied(hashes, groups), 0.2)
    assert not across(groups, held, ["x"] * 1000, True) and 100 < len(held) < 300 and len(kept) + len(held) == 1000
    divided = across(groups, split(hashes, 0.2)[1], ["x"] * 1000, False)[0]
    assert divided.severity == "warn" and divided.count > 50
    assert np.array_equal(collect.tied(hashes, []), hashes)


def test_fit_says_what_it_finds_and_keeps_versions_together(faulty: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    events = list(fit(Request(str(faulty), "vae", steps=2, size="8", out=out, settings={"batch": "8", "latent": "2"})))
    recipe = json.loads((out / "recipe.json").read_text())
    assert {"duplicates", "near_duplicates", "truncated"} <= {one["kind"] for one in recipe["findings"]}
    assert any(event.note and "morelike check" in event.note for event in events)
    assert len(recipe["data"]["together"]) == 1 and len(recipe["data"]["together"][0]) == 2


def test_what_fit_looks_for_depends_on_numbers_alone() -> None:
    assert quick.search_fits(1_000, 1) and not quick.search_fits(1_001, 1)
    assert quick.search_fits(5_000, None) and not quick.search_fits(5_001, 60)
    assert quick.told([]) == "" and quick.told([Finding("x", "note", "odd")]) == ""


def constant(folder: Path) -> None:
    written(folder, np.full((60, 16, 16), 200, np.uint8))


def two(folder: Path) -> None:
    written(folder, np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3)).astype(np.uint8))


def odd_names(folder: Path) -> None:
    written(folder, np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3)).astype(np.uint8))
    os.rename(os.fsencode(folder / "000.png"), os.fsencode(folder) + b"/\xff\xfe.png")


def mixed_sizes(folder: Path) -> None:
    for i in range(2, 40):
        Image.effect_noise((3 * i, 7 * i), 80).save(folder / f"{i}.png")


def some_labels(folder: Path) -> None:
    files = written(folder / "img", np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3)).astype(np.uint8))
    lines = [f"img/{file.name},{'cat' if i % 2 else ''}" for i, file in enumerate(files)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *lines]))


@pytest.mark.parametrize(
    ("make", "kind"),
    [(constant, "identical"), (two, "too_few"), (odd_names, "too_few"), (mixed_sizes, "too_few"),
     (some_labels, "missing_labels")],
)  # fmt: skip
def test_odd_sources_get_a_clear_answer(make: Callable[[Path], None], kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    make(folder)
    result = audit(Request(str(folder)))
    assert kind in kinds(result)
    assert "nan" not in json.dumps(result.json(), allow_nan=False).lower()
    assert page(result).encode("utf-8") and "\n".join(verb.summary(result)).encode("utf-8")


@pytest.mark.parametrize("broken", ["empty", "one", "unreadable"])
def test_where_nothing_can_be_used_that_is_said(broken: str, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    if broken == "one":
        Image.new("L", (9, 9)).save(folder / "a.png")
    if broken == "unreadable":
        for i in range(3):
            (folder / f"{i}.png").write_bytes(b"\x89PNG rubbish")
    with pytest.raises(DataError):
        audit(Request(str(folder)))


def test_options_are_checked() -> None:
    with pytest.raises(MorelikeError, match="specis"):
        audit(Request("menagerie:30:8", given="specis"))
    with pytest.raises(OptionError):
        audit(Request("menagerie:30:8", held_out=1.5))
    with pytest.raises(OptionError, match="setting"):
        audit(Request("menagerie:30:8", settings={"fitt": "pad"}))
    with pytest.raises(OptionError, match="ends in .html"):
        verb.verify(verb.Options("x", out=Path("page.pdf")))
    with pytest.raises(OptionError, match="stands after"):
        verb.verify(verb.Options("x", file=Path("page.json")))


def test_a_long_list_of_findings_fits_a_screen() -> None:
    many = [Finding(f"k{i}", "note", f"note {i}", names=("x" * 90,) * 9, rows=(1,)) for i in range(40)]
    lines = verb.summary(Audit("s", (1, 8, 8), {"items": 9, "left_out": 1, "train": 8, "held_out": 1}, findings=many))
    assert lines[0] == "Ready to train" and len(lines) < 24 and max(map(len, lines)) < 120
    assert "24 more" in lines[-1]


def test_the_page_is_named_after_the_source() -> None:
    assert verb.default_page("photos/") == Path("photos-check.html")
    assert verb.default_page("sets/photos.zip") == Path("photos-check.html")
    assert verb.default_page("menagerie:100:16") == Path("menagerie-check.html")


def test_importing_the_short_audit_is_cheap() -> None:
    code = "import sys, morelike.auditing.quick; print('morelike.measure.features' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
