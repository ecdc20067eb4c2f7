"""Every kind of source, read with what is known to be in it, and every kind of bad input, named and survived."""

from __future__ import annotations

import gzip
import inspect
import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morelike.codecs import image
from morelike.core.errors import DataError, MorelikeError, OptionError
from morelike.data import hub
from morelike.data.cache import Dataset, build
from morelike.data.sources import Source, open_source


def picture(value: int = 100, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(value)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8))


def save(path: Path, value: int = 100, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(value, **options).save(path)
    return path


def encoded(value: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture(value).save(buffer, kind)
    return buffer.getvalue()


def pixels(source: Source) -> list[np.ndarray]:
    return [np.asarray(item.load()) for item in source.items]


def labels(source: Source) -> list[str]:
    return [item.fields.get("label", "") for item in source.items]


def prepared(where: str | Path, tmp_path: Path, **config) -> Dataset:
    source = open_source(where)
    return build(source, image.Codec(image.Config(**config)).fit(source.items), tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


# --- folders ---------------------------------------------------------------------------------------------------------


def test_the_first_sub_folder_is_the_label_and_hidden_files_are_left_out(folder: Path) -> None:
    for name in ("cat/a.png", "cat/young/b.png", "dog/c.png", "d.png"):
        save(folder / name)
    for name in (".hidden.png", "cat/.DS_Store.png", "__MACOSX/cat/a.png", ".git/e.png", "Thumbs.db"):
        save(folder / "x.png").rename(folder / "x")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "x").rename(folder / name)
    source = open_source(folder)
    assert [item.name for item in source.items] == ["cat/a.png", "cat/young/b.png", "d.png", "dog/c.png"]
    assert labels(source) == ["cat", "cat", "", "dog"]
    assert source.problems == []


def test_a_flat_folder_has_no_labels(folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        save(folder / f"{i}.png", i)
    assert labels(open_source(str(folder))) == ["", "", ""]
    assert prepared(folder, tmp_path).fields == {}


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_every_format_is_read(folder: Path, suffix: str, tmp_path: Path) -> None:
    for i in range(2):
        flat = Image.new("RGB", (16, 16), (200, 40 * i, 0))
        folder.mkdir(exist_ok=True)
        flat.save(folder / f"{i}.{suffix}")
    stored = prepared(folder, tmp_path, size=(16, 16), colour="rgb")
    assert stored.problems == []
    assert np.abs(stored.x[1].reshape(3, -1).mean(1) - (200, 40, 0)).max() < 5


def test_what_is_no_picture_is_named_and_companions_are_not(folder: Path, tmp_path: Path) -> None:
    for i in range(2):
        save(folder / f"{i}.png", i)
    (folder / "readme.txt").write_text("about")
    (folder / "LICENSE").write_text("free")
    (folder / "labels.csv").write_text("a,b\n1,2\n")
    (folder / "sound.wav").write_bytes(b"RIFF0000WAVEfmt ")
    (folder / "garbage.jpg").write_bytes(os.urandom(500))
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(encoded(5)[:300])
    (folder / "cut.jpg").write_bytes(encoded(5, "JPEG")[:-200])
    stored = prepared(folder, tmp_path)
    problems = dict(stored.problems)
    assert problems.keys() == {"sound.wav", "garbage.jpg", "empty.png", "cut.png", "cut.jpg"}
    assert problems["sound.wav"] == "not a picture"
    assert problems["garbage.jpg"] == problems["empty.png"] == "not a picture in a known format"
    assert "truncated" in problems["cut.jpg"].lower()
    assert stored.names == ["0.png", "1.png"]


def test_a_wrong_or_missing_suffix_does_not_hide_a_picture(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encoded(1))
    (folder / "b.dat").write_bytes(encoded(2, "JPEG"))
    (folder / "c").write_bytes(encoded(3, "WEBP"))
    stored = prepared(folder, tmp_path)
    assert stored.names == ["a.jpg", "b.dat", "c"]
    assert stored.problems == []


def test_names_in_any_script_and_in_none(folder: Path, tmp_path: Path) -> None:
    save(folder / "猫" / "小猫.png", 1)
    save(folder / "猫" / "b.png", 2)
    raw = os.path.join(os.fsencode(folder), b"d\xff\xfeg")
    try:
        os.mkdir(raw)
    except OSError:
        pytest.skip("this file system keeps no names outside UTF-8")
    with open(os.path.join(raw, b"\xe9t\xe9.png"), "wb") as file:
        file.write(encoded(3))
    with open(os.path.join(raw, b"\xe9.gif"), "wb") as file:
        file.write(b"broken")
    stored = prepared(folder, tmp_path)
    assert stored.fields["label"] == ["d\\xff\\xfeg", "猫", "猫"]
    assert stored.names[0] == "d\\xff\\xfeg/\\xe9t\\xe9.png"
    assert [name for name, _ in stored.problems] == ["d\\xff\\xfeg/\\xe9.gif"]
    json.dumps([stored.names, stored.problems, stored.fields], ensure_ascii=False).encode("utf-8")


def test_loops_of_links_end_and_broken_ones_are_named(folder: Path, tmp_path: Path) -> None:
    save(folder / "cat" / "a.png", 1)
    save(folder / "cat" / "b.png", 2)
    (folder / "cat" / "round").symlink_to(folder)
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "linked.png").symlink_to(folder / "cat" / "a.png")
    os.mkfifo(folder / "pipe.png")
    stored = prepared(folder, tmp_path)
    assert stored.names == ["cat/a.png", "cat/b.png", "linked.png"]
    assert {name for name, _ in stored.problems} == {"cat/round", "self.png", "gone.png", "pipe.png"}
    with pytest.raises(DataError):
        open_source(folder / "self.png")


def test_the_depth_of_folders_has_no_limit(folder: Path) -> None:
    deep = folder.joinpath(*["d"] * 150)
    for i in range(2):
        save(deep / f"{i}.png", i)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert labels(open_source(folder)) == ["d", "d"]
    finally:
        sys.setrecursionlimit(limit)


def test_an_unreadable_file_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(3):
        save(folder / f"{i}.png", i)
    if os.geteuid():
        os.chmod(folder / "1.png", 0)
    else:  # nothing is unreadable for the superuser
        opened = Image.open

        def refuse(file, *args, **options):
            if str(file).endswith("1.png"):
                raise PermissionError(13, "Permission denied")
            return opened(file, *args, **options)

        monkeypatch.setattr(Image, "open", refuse)
    assert prepared(folder, tmp_path).problems == [("1.png", "permission denied")]


def test_a_file_that_vanishes_or_shrinks_is_named(folder: Path, tmp_path: Path) -> None:
    for i in range(4):
        save(folder / f"{i}.png", i)
    source = open_source(folder)
    (folder / "1.png").unlink()
    (folder / "2.png").write_bytes(encoded(2)[:200])
    stored = build(source, image.Codec(image.Config((8, 8), "rgb")), tmp_path / "cache")
    assert stored.names == ["0.png", "3.png"]
    assert [name for name, _ in stored.problems] == ["1.png", "2.png"]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_are_an_error(folder: Path, count: int) -> None:
    folder.mkdir()
    for i in range(count):
        save(folder / f"{i}.png")
    (folder / "talk.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError) as caught:
        open_source(folder)
    assert ("one picture" if count else "no pictures") in caught.value.found
    assert "talk.wav" in caught.value.found
    assert caught.value.expected
    assert caught.value.action


def test_fewer_than_two_readable_pictures_are_an_error(folder: Path, tmp_path: Path) -> None:
    save(folder / "good.png")
    (folder / "bad.png").write_bytes(b"bad")
    with pytest.raises(DataError, match=r"1 of 2 items .* can be used \(bad.png: not a picture"):
        prepared(folder, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_pictures_that_are_all_alike_are_a_warning(folder: Path, tmp_path: Path) -> None:
    for i in range(3):
        save(folder / f"{i}.png", 7)
    stored = prepared(folder, tmp_path)
    assert len(stored) == 3
    assert stored.warnings == ["all items are identical"]


def test_a_missing_source_offers_its_neighbour(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(DataError, match=r"There is nothing at .*Did you mean .*photos\?"):
        open_source(folder.with_name("fotos"))
    with pytest.raises(DataError, match="single picture"):
        open_source(save(folder / "a.png"))
    (folder / "notes.doc").write_bytes(b"words")
    with pytest.raises(DataError, match="unknown kind"):
        open_source(folder / "notes.doc")


# --- archives --------------------------------------------------------------------------------------------------------


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: str) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


MEMBERS = {f"{kind}/{i}.png": encoded(10 * len(kind) + i) for kind in ("cat", "rabbit") for i in range(3)}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz", "tar.xz"])
def test_archives_are_read_where_they_lie(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"pets.{kind}"
    mode = {"tar": "w", "tar.xz": "w:xz"}.get(kind, "w:gz")
    zipped(path, MEMBERS) if kind == "zip" else tarred(path, MEMBERS, mode)
    source = open_source(path)
    assert labels(source) == ["cat"] * 3 + ["rabbit"] * 3
    assert [item.name for item in source.items] == list(MEMBERS)
    found = [np.asarray(source.items[i].load()) for i in (0, 1, 5, 2, 4, 3)]  # out of order, and back to the beginning
    for one, i in zip(found, (0, 1, 5, 2, 4, 3), strict=True):
        assert (one == np.asarray(Image.open(io.BytesIO(list(MEMBERS.values())[i])))).all()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_large_packed_tar_is_read_in_threads(tmp_path: Path) -> None:
    members = {f"a/{i:03d}.png": encoded(i) for i in range(150)}
    stored = prepared(tarred(tmp_path / "many.tar.gz", members, "w:gz"), tmp_path, size=(16, 16), colour="rgb")
    assert stored.problems == []
    assert (stored.x[149].transpose(1, 2, 0) == np.asarray(picture(149))).all()


def test_a_folder_around_everything_in_an_archive_is_no_label(tmp_path: Path) -> None:
    members = {f"pets-main/./data/{name}": data for name, data in MEMBERS.items()}
    assert set(labels(open_source(zipped(tmp_path / "a.zip", members)))) == {"cat", "rabbit"}


def test_archive_members_outside_hidden_or_no_pictures(tmp_path: Path) -> None:
    more = {
        "../../evil.png": encoded(1),
        "/etc/evil.png": encoded(2),
        "__MACOSX/cat/0.png": b"",
        "a.txt": b"",
        "b.wav": b"",
    }
    source = open_source(zipped(tmp_path / "a.zip", {**MEMBERS, **more}))
    assert len(source.items) == len(MEMBERS)
    assert dict(source.problems) == {
        "../../evil.png": "its name leads out of the archive",
        "/etc/evil.png": "its name leads out of the archive",
        "b.wav": "not a picture",
    }


def test_damaged_archives(tmp_path: Path) -> None:
    whole = tarred(tmp_path / "a.tar.gz", MEMBERS, "w:gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[:-1000])
    (tmp_path / "none.zip").write_bytes(b"no archive at all")
    for name in ("cut.tar.gz", "none.zip"):
        with pytest.raises(DataError, match="cannot be read"):
            open_source(tmp_path / name)
    data = bytearray(zipped(tmp_path / "b.zip", MEMBERS).read_bytes())
    data[80:120] = b"\0" * 40  # inside the first member
    (tmp_path / "b.zip").write_bytes(data)
    assert [name for name, _ in prepared(tmp_path / "b.zip", tmp_path).problems] == ["cat/0.png"]


def test_zip_names_in_a_foreign_code_page(tmp_path: Path) -> None:
    data = zipped(tmp_path / "a.zip", {"ABCD/a.png": encoded(1), "ABCD/b.png": encoded(2)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"ABCD/", "兔子".encode("gb18030") + b"/"))
    assert labels(open_source(tmp_path / "a.zip")) == ["兔子", "兔子"]
    (tmp_path / "a.zip").write_bytes(data.replace(b"ABCD/", "ñandú"[:3].encode() + b"/"))
    assert labels(open_source(tmp_path / "a.zip")) == ["ñan", "ñan"]


# --- arrays ----------------------------------------------------------------------------------------------------------

GREY = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
GREY[0, 0, :2] = 0, 255
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GREY, GREY),
        (GREY.reshape(6, 64), GREY),
        (GREY[..., None], GREY[..., None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
        ((GREY / 255).astype(np.float32), GREY),
        (GREY / 127.5 - 1, GREY),
        (GREY.astype(np.float64), GREY),
        (GREY.astype(np.int64), GREY),
        (GREY.astype(np.uint16) * 257, GREY),
        (GREY > 100, (GREY > 100) * np.uint8(255)),
        ((GREY > 100).astype(np.uint8), (GREY > 100) * np.uint8(255)),
    ],
    ids=[
        "grey",
        "vectors",
        "one channel",
        "rgb",
        "channels first",
        "0..1",
        "-1..1",
        "0..255",
        "int",
        "16 bit",
        "bool",
        "0/1",
    ],
)
def test_arrays_of_every_shape_and_range(tmp_path: Path, array: np.ndarray, expected: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    source = open_source(tmp_path / "a.npy")
    assert (np.stack(pixels(source)) == expected).all()
    assert [item.name for item in source.items][:2] == ["a.npy[0]", "a.npy[1]"]
    assert source.items[-1].name == "a.npy[5]"
    assert len(source.items[2:4]) == 2


def test_a_folder_of_arrays_has_one_class_in_each(tmp_path: Path) -> None:
    for i, name in enumerate(("dog", "cat")):
        np.save(tmp_path / f"{name}.npy", GREY[3 * i : 3 * i + 3].reshape(3, 64))
    np.save(tmp_path / "table.npy", np.ones((4, 5)))
    source = open_source(tmp_path)
    assert labels(source) == ["cat"] * 3 + ["dog"] * 3
    assert (np.stack(pixels(source)) == GREY[[3, 4, 5, 0, 1, 2]]).all()
    assert [name for name, _ in source.problems] == ["table.npy"]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": GREY, "y": np.arange(6) % 2}, ["0", "1"] * 3),
        ({"pictures": GREY, "kinds": np.array(["a", "b"] * 3)}, ["a", "b"] * 3),
        ({"images": GREY, "labels": np.arange(6)[:, None]}, list("012345")),
        ({"arr_0": GREY}, [""] * 6),
    ],
)
def test_npz_with_and_without_labels(tmp_path: Path, arrays: dict, expected: list[str]) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    source = open_source(tmp_path / "a.npz")
    assert labels(source) == expected
    assert (np.stack(pixels(source)) == GREY).all()


def test_arrays_that_cannot_be_pictures(tmp_path: Path) -> None:
    bad = {
        "shape": np.zeros((5, 7)),
        "range": np.linspace(-500, 500, 128).reshape(2, 8, 8),
        "type": np.array([["a"] * 4] * 2),
        "fortran": np.asfortranarray(GREY),
        "row": np.zeros((1, 8, 8)),
    }
    for name, array in bad.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(DataError):
            open_source(tmp_path / f"{name}.npy")
    np.savez(tmp_path / "uneven.npz", x=GREY, y=np.arange(4))
    with pytest.raises(DataError, match="One label for each picture"):
        open_source(tmp_path / "uneven.npz")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "executed"

    class Bad:
        def __reduce__(self):
            return (Path.touch, (mark,))

    objects = np.array([Bad(), Bad()], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "b.npz", x=objects)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(DataError):
            open_source(tmp_path / name)
    assert not mark.exists()


def test_damaged_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-10])
    (tmp_path / "head.npy").write_bytes(whole[:30])
    (tmp_path / "lies.npy").write_bytes(whole.replace(b"(6, 8, 8)", b"(6, 8, 8"))
    (tmp_path / "text.npz").write_bytes(b"text")
    for name in ("cut.npy", "head.npy", "lies.npy", "text.npz"):
        with pytest.raises(DataError) as caught:
            open_source(tmp_path / name)
        assert name in caught.value.found
    source = open_source(tmp_path / "a.npy")
    os.truncate(tmp_path / "a.npy", len(whole) - 10)
    stored = build(source, image.Codec(image.Config((8, 8), "grey")), tmp_path / "cache")
    assert [name for name, _ in stored.problems] == ["a.npy[5]"]


def test_a_row_that_is_not_finite_is_named(tmp_path: Path) -> None:
    array = GREY / 255
    array[2, 1, 1] = np.nan
    np.save(tmp_path / "a.npy", array)
    assert [name for name, _ in prepared(tmp_path / "a.npy", tmp_path).problems] == ["a.npy[2]"]


# --- IDX -------------------------------------------------------------------------------------------------------------


def idx(path: Path, array: np.ndarray, pack: bool = True) -> Path:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()) if pack else head + array.tobytes())
    return path


@pytest.mark.parametrize("pack", [True, False])
def test_idx_with_its_labels(tmp_path: Path, pack: bool) -> None:
    end = "-ubyte" + ".gz" * pack
    path = idx(tmp_path / f"train-images-idx3{end}", GREY, pack)
    assert labels(open_source(path)) == [""] * 6
    idx(tmp_path / f"train-labels-idx1{end}", np.arange(6, dtype=np.uint8) % 3, pack)
    for where in (path, tmp_path):
        source = open_source(where)
        assert labels(source) == ["0", "1", "2"] * 2
        assert (np.stack(pixels(source)) == GREY).all()


def test_damaged_idx(tmp_path: Path) -> None:
    path = idx(tmp_path / "a-images-idx3-ubyte.gz", GREY)
    whole, plain = path.read_bytes(), gzip.decompress(path.read_bytes())
    huge = plain[:4] + b"\xff" * 12
    for data in (whole[:-30], gzip.compress(plain[:-30]), b"\x1f\x8b junk", gzip.compress(huge), gzip.compress(b"abc")):
        path.write_bytes(data)
        with pytest.raises(DataError, match="a-images-idx3-ubyte.gz"):
            open_source(path)
    path.write_bytes(whole)
    idx(tmp_path / "a-labels-idx1-ubyte.gz", np.zeros(5, dtype=np.uint8))
    with pytest.raises(DataError, match="6 labels"):
        open_source(path)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["file", "Image", "path", "filename"])
@pytest.mark.parametrize("label", ["label", "Class", "category"])
def test_a_table_names_files_and_labels(tmp_path: Path, file: str, label: str) -> None:
    for i in range(2):
        save(tmp_path / "images" / f"{i}.png", i)
    (tmp_path / "t.csv").write_text(
        f"{file},{label},caption\nimages/0.png,cat,a cat\nimages/1.png,狗,\n", encoding="utf-8-sig"
    )
    source = open_source(tmp_path / "t.csv")
    assert labels(source) == ["cat", "狗"]
    assert source.items[0].fields["caption"] == "a cat"
    assert (pixels(source)[1] == np.asarray(picture(1))).all()
    assert labels(open_source(tmp_path)) == ["cat", "狗"]  # the table beside its only folder


def test_rows_of_a_table_that_lead_nowhere(tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / f"{i}.png", i)
    rows = ["file;label", "0.png;a", "1.png;b", "gone.png;c", ";d", "https://host/x.png;e", "", "0.png;f;more"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    source = open_source(tmp_path / "t.csv")
    assert labels(source) == ["a", "b", "f"]
    assert [name.split(":")[0] for name, _ in source.problems] == ["t.csv row 4", "t.csv row 5", "t.csv row 6"]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "file,label\n", '"file\n'])
def test_tables_without_pictures(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError):
        open_source(tmp_path / "t.csv")


# --- built in, Hugging Face ------------------------------------------------------------------------------------------


def test_the_built_in_world(tmp_path: Path) -> None:
    stored = prepared("menagerie:300:16:colour", tmp_path)
    assert stored.x.shape == (300, 3, 16, 16)
    assert set(stored.fields["label"]) == {"cat", "dog", "rabbit"}
    assert all(
        label in caption for label, caption in zip(*(stored.fields[k] for k in ("label", "caption")), strict=True)
    )
    longer = prepared("menagerie:310:16:colour", tmp_path)
    assert (longer.x[:300] == stored.x).all()
    for wrong in ("menagerie:one", "menagerie:1", "menagerie:10:4", "menagerie:10:28:blue", "menagerie:10:28:grey:x"):
        with pytest.raises(OptionError, match="menagerie"):
            open_source(wrong)


def test_hugging_face_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(OptionError, match=r"morelike\[hf\]"):
        open_source("hf:some/name")


def test_hugging_face_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra hf")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"img": [picture(i) for i in range(4)], "label": [0, 1, 1, 0]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    source = open_source(tmp_path / "saved")
    assert labels(source) == ["cat", "dog", "dog", "cat"]
    assert (pixels(source)[2] == np.asarray(picture(2))).all()


def test_the_hugging_face_reader_asks_only_for_what_the_library_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str):
        raise RuntimeError(f"no set called {name}")

    monkeypatch.setattr(hub, "_library", lambda: type("Library", (), {"load_dataset": staticmethod(fail)}))
    with pytest.raises(DataError, match="hf:nobody/nothing cannot be opened: no set called"):
        open_source("hf:nobody/nothing")


# --- the shared sets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count", "classes"),
    [
        ("animal_photos", 1650, 3),
        ("quickdraw_animals", 5950, 7),
        ("fashion_mnist", 20000, 10),
        ("cifar10_subset", 3000, 10),
        ("noto_emoji", 1367, 9),
    ],
)
def test_the_shared_sets_are_listed_whole(shared: Path, name: str, count: int, classes: int) -> None:
    source = open_source(shared / "data" / name)
    found = labels(source)
    assert len(found) == count
    assert len(set(found)) == classes
    assert source.problems == []


def test_a_broken_set_never_ends_in_a_traceback(folder: Path, tmp_path: Path) -> None:
    """Whatever bytes a file holds, it is a picture, a counted problem or an error with three parts."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i, kind in enumerate(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"] * 10):
        data = bytearray(encoded(i, kind))
        for place in rng.integers(0, min(len(data), 200), 6):
            data[place] = rng.integers(0, 256)
        (folder / f"{i}.{kind.lower()}").write_bytes(data[: rng.integers(20, len(data) + 1)])
    try:
        stored = prepared(folder, tmp_path, size=(8, 8), colour="rgb")
    except MorelikeError as error:
        assert error.found and error.expected and error.action
    else:
        assert len(stored) + len(stored.problems) == 60
        assert all(reason for _, reason in stored.problems)
