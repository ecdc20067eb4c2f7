"""The image and label codecs: exact round trips, known pictures of every mode, likelihoods that are normalised."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, features

from morelike.codecs import _pixels, image, label
from morelike.core.codec import Codec, Item
from morelike.core.distribution import Point
from morelike.core.errors import DataError, OptionError

RNG = np.random.default_rng(0)


def item(raw: np.ndarray | Image.Image, kind: str | None = None, **options) -> Item:
    """A picture as an item, through a file of the given format if there is one."""
    if kind is None:
        return Item("picture", lambda: raw)
    buffer = io.BytesIO()
    raw.save(buffer, kind, **options)
    return Item("picture", lambda: Image.open(io.BytesIO(buffer.getvalue())))


def prepare(one: Item, size: tuple[int, int] = (16, 16), colour: str = "rgb", fit: str = "crop") -> np.ndarray:
    return image.Codec(image.Config(size, colour, fit)).prepare(one)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "kind", "expected"),
    [
        (Image.new("L", (20, 20), 77), "PNG", (77, 77, 77)),
        (Image.new("RGB", (20, 20), (10, 120, 200)), "PNG", (10, 120, 200)),
        (Image.new("RGBA", (20, 20), (10, 120, 200, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (20, 20), (0, 0, 0, 128)), "PNG", (127, 127, 127)),
        (Image.new("LA", (20, 20), (0, 0)), "PNG", (255, 255, 255)),
        (Image.new("1", (20, 20), 1), "PNG", (255, 255, 255)),
        (Image.new("RGB", (20, 20), (200, 0, 0)).quantize(), "PNG", (200, 0, 0)),
        (Image.new("RGB", (20, 20), (200, 0, 0)).quantize(), "GIF", (200, 0, 0)),
        (Image.fromarray(np.full((20, 20), 40000, np.uint16)), "PNG", (156, 156, 156)),
        (Image.fromarray(np.full((20, 20), 40000, np.uint16)), "TIFF", (156, 156, 156)),
        (Image.fromarray(np.full((20, 20), 0.5, np.float32)), "TIFF", (128, 128, 128)),
        (Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG", (254, 0, 0)),
        (Image.new("YCbCr", (20, 20), (128, 128, 128)), "JPEG", (128, 128, 128)),
    ],
)
def test_every_mode_becomes_rgb(picture: Image.Image, kind: str, expected: tuple[int, int, int]) -> None:
    stored = prepare(item(picture, kind))
    assert np.abs(stored.reshape(3, -1).T - np.array(expected)).max() <= 3


def test_a_palette_with_a_transparent_colour_is_shown_on_white() -> None:
    picture = Image.new("P", (20, 20), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    assert (prepare(item(picture, "PNG", transparency=0)) == 255).all()
    assert (prepare(item(picture, "GIF", transparency=0)) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(kind: str, orientation: int) -> None:
    """Each of the eight ways to hold a camera gives the same wide picture: red at the top, blue at the left."""
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    upright = Image.new("RGB", (96, 48), "white")
    draw = ImageDraw.Draw(upright)
    draw.rectangle((0, 0, 96, 12), fill="red")
    draw.rectangle((0, 0, 16, 48), fill="blue")
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what the camera did, for Image.transpose
    held = upright if orientation == 1 else upright.transpose(Image.Transpose(turn[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    one = item(held, kind, exif=exif)
    stored = prepare(one, (24, 48)).astype(int)
    assert np.abs(stored[:, 2, 40] - (255, 0, 0)).max() < 40
    assert np.abs(stored[:, 18, 2] - (0, 0, 255)).max() < 40
    assert np.abs(stored[:, 18, 40] - 255).max() < 40
    assert _pixels.measure(one.load()) == ((48, 96), False)


def test_resizing_is_antialiased() -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (256, 128)))
    for kind in ("PNG", "TIFF"):
        assert np.abs(prepare(item(stripes, kind), (32, 32), "grey").astype(int) - 127).max() <= 6


def test_photos_decoded_at_a_reduced_scale_look_the_same() -> None:
    smooth = Image.fromarray(noise(9, 9, 3)).resize((600, 500), Image.Resampling.BICUBIC)
    reduced = prepare(item(smooth, "JPEG", quality=95, subsampling=0), (48, 48)).astype(int)
    exact = prepare(item(smooth, "PNG"), (48, 48)).astype(int)
    assert np.abs(reduced - exact).mean() < 1.5


@pytest.mark.parametrize(
    ("fit", "left", "right"),
    [("crop", 255, 255), ("stretch", 0, 0), ("pad", 0, 0)],
)
def test_what_each_fit_does_with_a_wide_picture(fit: str, left: int, right: int) -> None:
    wide = np.full((20, 60, 3), 255, np.uint8)
    wide[:, :20] = wide[:, 40:] = 0  # only the middle third is white
    stored = prepare(item(wide), (20, 20), fit=fit)
    assert stored[0, 10, 1] == left
    assert stored[0, 10, 18] == right
    assert stored[0, 10, 10] == 255


def test_padding_takes_the_colour_of_the_border() -> None:
    sketch = np.zeros((10, 30), np.uint8)
    sketch[4:6, 10:20] = 255
    stored = prepare(item(sketch), (30, 30), "grey", "pad")
    assert (stored[0, :9] == 0).all()
    assert stored[0, 14:16, 15].min() == 255


def test_small_and_odd_pictures() -> None:
    assert (prepare(item(np.full((1, 1, 3), 9, np.uint8))) == 9).all()
    assert prepare(item(noise(1, 3000)), (8, 8), "grey").shape == (1, 8, 8)
    assert prepare(item(Image.fromarray(noise(3000, 1)), "PNG"), (8, 8), "grey", "pad").shape == (1, 8, 8)
    assert (prepare(item(noise(16, 16, 4))).shape) == (3, 16, 16)


def test_bombs_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pixels, "flatten", lambda picture: pytest.fail("decoded"))
    bomb = item(Image.new("1", (20_000, 5_000)), "PNG")  # 100 megapixels in 12 kB
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(DataError, match="20,000 x 5,000.*64 megapixels"):
        prepare(bomb)


def test_a_huge_picture_among_others_is_a_counted_skip(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    from morelike.data.cache import build
    from morelike.data.sources import open_source

    (tmp_path / "photos").mkdir()
    Image.new("1", (20_000, 20_000)).save(tmp_path / "photos" / "huge.png")
    Image.new("1", (10_000, 9_500)).save(tmp_path / "photos" / "large.png")
    for i in range(2):
        Image.fromarray(noise(8, 8)).save(tmp_path / "photos" / f"{i}.png")
    source = open_source(tmp_path / "photos")
    stored = build(source, image.Codec().fit(source.items), tmp_path / "cache")
    assert len(stored) == 2
    problems = dict(stored.problems)
    assert problems.keys() == {"huge.png", "large.png"}
    assert "pixels" in problems["huge.png"]
    assert "64 megapixels" in problems["large.png"]
    assert not [one for one in recwarn if "PIL" in one.filename]


# --- settling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(40, 60)] * 3, (40, 60)),
        ([(128, 128)] * 3, (64, 64)),
        ([(50, 70), (60, 40), (49, 90)], (48, 48)),
        ([(1, 1), (300, 200), (250, 200)], (64, 64)),
        ([(1, 1)] * 2, (8, 8)),
    ],
)
def test_the_size_is_measured(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    codec = image.Codec().fit([item(noise(*size)) for size in sizes])
    assert codec.config.size == expected


def test_colour_and_likelihood_are_measured() -> None:
    grey = Image.fromarray(noise(16, 16))
    binary = [item((noise(16, 16) > 99) * np.uint8(255)) for _ in range(3)]
    assert image.Codec().fit([item(grey), item(grey.convert("RGB"), "PNG")]).config.colour == "grey"
    assert image.Codec().fit([item(grey), item(noise(16, 16, 3))]).config.colour == "rgb"
    assert image.Codec().fit([item(grey), item(grey)]).config.likelihood == "logistic"
    assert image.Codec().fit(binary).config.likelihood == "bernoulli"
    assert image.Codec(image.Config(likelihood="mse", colour="rgb")).fit(binary).config == image.Config(
        (16, 16), "rgb", likelihood="mse"
    )


def test_unreadable_items_do_not_disturb_the_measuring() -> None:
    def fail() -> None:
        raise SyntaxError("broken PNG file")

    bad = Item("bad", fail)
    assert image.Codec().fit([bad, item(noise(20, 20)), bad]).config.size == (20, 20)
    for items in ([bad, bad], []):
        with pytest.raises(DataError):
            image.Codec().fit(items)


def test_misspelt_and_impossible_settings() -> None:
    with pytest.raises(OptionError, match='Did you mean "bernoulli"'):
        image.Config(likelihood="bernouli")
    with pytest.raises(OptionError, match='Did you mean "random_crop"'):
        image.Config(fit="randomcrop")
    for size in ((0, 5), (5,), "64", (5.0, 5)):
        with pytest.raises(OptionError, match="size"):
            image.Config(size=size)
    assert image.Config(size=[8, 16]) == image.Config(size=(8, 16))  # as JSON gives it back
    assert image.Config(size=8).size == (8, 8)
    with pytest.raises(OptionError, match="fit"):
        image.Codec().prepare(item(noise(8, 8)))


# --- encoding --------------------------------------------------------------------------------------------------------


def test_decoding_the_encoded_is_exact_for_every_value() -> None:
    codec = image.Codec(image.Config((16, 16), "grey"))
    stored = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = codec.encode(stored)
    assert x.dtype == torch.float32
    assert x.min() == -1
    assert x.max() == pytest.approx(1, abs=1e-6)
    assert (codec.decode(x)[..., 0] == stored[:, 0].numpy()).all()
    assert codec.decode(torch.tensor([[[[-9.0, 9.0, float("nan")]]]])).ravel().tolist() == [0, 255, 128]


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "logistic", "mse"])
@pytest.mark.parametrize("needs", ["log_prob", "rsample"])
def test_heads_have_the_shape_that_they_announce(likelihood: str, needs: str) -> None:
    codec = image.Codec(image.Config((4, 4), "rgb", likelihood=likelihood))
    spec = codec.spec(needs)
    assert spec.shape == (3, 4, 4)
    out = torch.randn(5, *spec.head_shape, requires_grad=True)
    law = spec.head(out)
    assert law.mean.shape == law.sample().shape == (5, 3, 4, 4)
    assert codec.decode(law.sample()).shape == (5, 4, 4, 3)
    if needs == "rsample":
        assert isinstance(law, Point)
        assert law.rsample().abs().max() < 1
        law.rsample().sum().backward()
    else:
        x = codec.encode(torch.from_numpy(noise(5, 3, 4, 4)))
        law.log_prob(x).sum().backward()
    assert out.grad is not None
    assert out.grad.isfinite().all()


def test_the_logistic_law_is_a_probability_of_the_256_values() -> None:
    codec = image.Codec(image.Config((1, 1), "grey", likelihood="logistic"))
    x = codec.encode(torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1))
    for out in (torch.zeros(2), torch.tensor([0.9, -40.0]), torch.tensor([-3.0, 40.0])):
        law = codec.spec("log_prob").head(out.reshape(1, 2, 1, 1).expand(256, -1, -1, -1))
        assert law.log_prob(x).double().exp().sum() == pytest.approx(1, abs=1e-4)


def test_scales_stay_within_their_limits_and_keep_a_gradient() -> None:
    raw = torch.tensor([-50.0, 0.0, 50.0], requires_grad=True)
    limited = image._limited(raw, -6, 2)
    assert limited.detach().tolist() == pytest.approx([-6, -2, 2], abs=1e-3)
    (slope,) = torch.autograd.grad(limited[1], raw)
    assert slope[1] == pytest.approx(1)


def test_the_squared_error_is_a_gaussian_of_constant_scale() -> None:
    head = image.Codec(image.Config((2, 2), "grey", likelihood="mse")).spec("log_prob").head
    x, a, b = torch.randn(3, 4, 1, 2, 2).unbind()
    difference = head(a).log_prob(x) - head(b).log_prob(x)
    errors = ((x - b) ** 2 - (x - a) ** 2).flatten(1).sum(1) / (2 * image.MSE_SCALE**2)
    assert torch.allclose(difference, errors, rtol=1e-3, atol=1e-2)


def test_a_point_has_no_density() -> None:
    with pytest.raises(OptionError, match="no density"):
        image.Codec(image.Config((2, 2), "grey", likelihood="point")).spec("log_prob")


@pytest.mark.parametrize("module", [image, label])
def test_tiny_codecs_are_ready(module) -> None:
    assert module.tiny().spec("log_prob").shape is not None


def test_the_image_codec_keeps_the_protocol() -> None:
    assert isinstance(image.tiny(), Codec)
    assert image.tiny().natural == "image"


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_sheet_shows_every_picture_in_its_place() -> None:
    items = np.stack([np.full((8, 8, 3), 10 * i, np.uint8) for i in range(7)])
    sheet = np.asarray(image.tiny().sheet(items, columns=3, scale=2))
    assert sheet.shape == (3 * 18 + 2, 3 * 18 + 2, 3)
    for i in range(7):
        top, left = 2 + 18 * (i // 3), 2 + 18 * (i % 3)
        assert (sheet[top : top + 16, left : left + 16] == 10 * i).all()
    assert (sheet[:2] == 255).all()
    assert (np.asarray(image.tiny().sheet(items[3:4])) == items[3]).all()
    assert image.tiny().sheet(items[..., :1]).mode == "L"
    assert max(image.tiny().sheet(items).size) > 3 * 64


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_can_be_read(tmp_path: Path, channels: int) -> None:
    codec, items = image.tiny(), noise(5, 8, 8, channels)
    assert codec.write(items, tmp_path / "a" / "x.npy") == [tmp_path / "a" / "x.npy"]
    assert (np.load(tmp_path / "a" / "x.npy") == items).all()
    codec.write(items, tmp_path / "x.npz")
    assert (np.load(tmp_path / "x.npz")["x"] == items).all()
    files = codec.write(items, tmp_path / "folder")
    assert [file.name for file in files] == [f"{i:05d}.png" for i in range(5)]
    assert (np.asarray(Image.open(files[4])).reshape(8, 8, channels) == items[4]).all()
    codec.write(items, tmp_path / "x.png")
    assert Image.open(tmp_path / "x.png").size == codec.sheet(items).size
    codec.write(items, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as film:
        assert film.n_frames == 5
        assert film.info["loop"] == 0
    assert not list(tmp_path.rglob(".*"))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    items = noise(2, 8, 8, 3)
    with pytest.raises(OptionError, match=r'"x.mp3".*\.png'):
        image.tiny().write(items, tmp_path / "x.mp3")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OptionError, match="cannot be written"):
        image.tiny().write(items, tmp_path / "file" / "x.png")
    for wrong in (items[:0], items.astype(float), items[0, 0]):
        with pytest.raises(OptionError, match="shape"):
            image.tiny().write(wrong, tmp_path / "x.png")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.npy"
    target.write_bytes(b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OptionError, match="No space left"):
        image.tiny().write(noise(2, 8, 8, 3), target)
    assert target.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["x.npy"]


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_numbered_in_order() -> None:
    codec = label.Codec().fit(["dog", "cat", "", "dog"])
    assert codec.config.vocabulary == ("cat", "dog")
    numbers = codec.encode(["dog", "cat", "dog"])
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [1, 0, 1]
    assert codec.decode(torch.from_numpy(numbers)) == ["dog", "cat", "dog"]
    assert codec.spec().tokens == 2
    assert codec.spec().shape == ()
    assert label.Codec().fit(["10", "9", "x", "1"]).config.vocabulary == ("1", "9", "10", "x")


def test_unknown_and_missing_labels() -> None:
    codec = label.tiny()
    with pytest.raises(OptionError, match='Did you mean "rabbit"'):
        codec.encode(["cat", "rabit"])
    with pytest.raises(DataError, match="2 of 3 items have no label"):
        codec.encode(["cat", "", ""])
    with pytest.raises(DataError, match="No item has a label"):
        codec.fit(["", ""])
    with pytest.raises(OptionError):
        label.Config(("a", "a"))
    assert label.Config(["a", "b"]) == label.Config(("a", "b"))
