"""The cache, the split and the loader: exact, atomic, pure functions of what they are given."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.codecs import image
from morelike.core.codec import Item
from morelike.core.errors import DataError, OptionError
from morelike.data import cache, store
from morelike.data.augment import Augment
from morelike.data.cache import build
from morelike.data.loader import Loader
from morelike.data.sources import Source, open_source
from morelike.data.split import split

RNG = np.random.default_rng(0)
CODEC = image.Codec(image.Config(size=(8, 8), colour="rgb", likelihood="logistic"))


def memory(count: int, spoilt: tuple[int, ...] = (), name: str = "memory") -> Source:
    """A source in memory, some of whose items cannot be read."""
    arrays = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)

    def load(i: int) -> np.ndarray:
        if i in spoilt:
            raise OSError("bad block")
        return arrays[i]

    items = [Item(f"item {i}", lambda i=i: load(i), {"label": "ab"[i % 2]} if i % 3 else {}) for i in range(count)]
    return Source(name, items, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(4):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


# --- cache -----------------------------------------------------------------------------------------------------------


def test_the_cache_holds_what_the_codec_prepared_in_order(tmp_path: Path) -> None:
    source, seen = memory(300, spoilt=(0, 150, 299)), []
    stored = build(source, CODEC, tmp_path, lambda done, total: seen.append((done, total)))
    kept = [i for i in range(300) if i not in (0, 150, 299)]
    assert isinstance(stored.x, np.memmap)
    assert stored.x.dtype == np.uint8
    assert (stored.x == np.stack([CODEC.prepare(source.items[i]) for i in kept])).all()
    assert stored.names == [f"item {i}" for i in kept]
    assert stored.fields["label"] == ["ab"[i % 2] if i % 3 else "" for i in kept]
    assert stored.problems == [(f"item {i}", "bad block") for i in (0, 150, 299)]
    assert seen[-1] == (300, 300)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(np.unique(stored.hashes)) == 297


def test_the_cache_is_used_until_the_source_changes(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    first = build(open_source(folder), CODEC, root)
    again = build(open_source(folder), CODEC, root, lambda done, total: pytest.fail("prepared again"))
    assert again.path == first.path
    assert (again.x == first.x).all()
    assert (again.names, again.fields, again.problems) == (first.names, first.fields, first.problems)
    Image.new("RGB", (8, 8), "red").save(folder / "4.png")
    assert len(build(open_source(folder), CODEC, root)) == 5
    time.sleep(0.01)
    Image.new("RGB", (8, 8), "blue").save(folder / "4.png")
    assert (build(open_source(folder), CODEC, root).x[4, 2] == 255).all()
    (folder / "4.png").unlink()
    assert build(open_source(folder), CODEC, root).path == first.path


def test_only_settings_that_change_the_pictures_prepare_them_again(folder: Path, tmp_path: Path) -> None:
    def path(**settings) -> Path:
        config = {"size": (8, 8), "colour": "rgb", "likelihood": "mse"} | settings
        return build(open_source(folder), image.Codec(image.Config(**config)), tmp_path / "cache").path

    assert path() == path(likelihood="gaussian")
    assert len({path(), path(size=(4, 4)), path(colour="grey"), path(fit="random_crop")}) == 4


@pytest.mark.parametrize("harm", ["cut array", "cut table", "no hashes", "other table"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, harm: str) -> None:
    stored = build(memory(20), CODEC, tmp_path)
    expected = np.array(stored.x)
    path = stored.path
    if harm == "cut array":
        os.truncate(path / store.ARRAY, 1000)
    elif harm == "cut table":
        os.truncate(path / store.TABLE, 30)
    elif harm == "no hashes":
        (path / store.HASHES).unlink()
    else:
        (path / store.TABLE).write_text('{"fingerprint": "", "names": 7, "problems": [], "fields": {}}')
    again = build(memory(20), CODEC, tmp_path)
    assert (again.x == expected).all()
    assert again.path == path
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "_settle", full)
    with pytest.raises(DataError, match=r"is full.*MORELIKE_CACHE"):
        build(memory(20), CODEC, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert len(build(memory(20), CODEC, tmp_path / "cache")) == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_really_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cache.tempfile.mkdtemp

    def on_a_full_disk(**options) -> str:
        folder = made(**options)
        os.symlink("/dev/full", Path(folder) / store.ARRAY)
        return folder

    monkeypatch.setattr(cache.tempfile, "mkdtemp", on_a_full_disk)
    with pytest.raises(DataError, match="is full"):
        build(memory(20), CODEC, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        build(memory(20), CODEC, tmp_path / "file" / "cache")


def test_an_interrupted_build_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(memory(200), CODEC, tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / ".building-killed"  # what a killed process leaves is removed a day later
    old.mkdir()
    os.utime(old, (0, 0))
    (tmp_path / ".building-now").mkdir()
    build(memory(20), CODEC, tmp_path)
    assert {one.name for one in tmp_path.iterdir() if one.name.startswith(".")} == {".building-now"}


def test_two_builders_at_once_agree(tmp_path: Path) -> None:
    found: list[cache.Dataset] = []
    threads = [threading.Thread(target=lambda: found.append(build(memory(200), CODEC, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all((one.x == found[0].x).all() for one in found)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_root_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path / "here"))
    assert build(memory(5), CODEC).path.parent == tmp_path / "here"
    monkeypatch.delenv("MORELIKE_CACHE")
    assert cache.default_root() == Path.home() / ".cache" / "morelike"


def test_the_whole_is_never_in_memory(tmp_path: Path) -> None:
    """Items are taken from the source no further ahead than a few, whatever their number."""
    taken, ahead = [], []

    class Watched(list):
        def __iter__(self):
            for i, item in enumerate(super().__iter__()):
                taken.append(i)
                yield item

    source = memory(500)
    source.items = Watched(source.items)
    for done, _ in enumerate(store.prepared(source, CODEC), start=1):
        ahead.append(len(taken) - done)
    assert max(ahead) <= 64


# --- split -----------------------------------------------------------------------------------------------------------


def test_the_split_follows_content_alone() -> None:
    hashes = RNG.integers(0, 2**64, 20_000, dtype=np.uint64)
    train, held = split(hashes)
    assert sorted([*train, *held]) == list(range(20_000))
    assert len(held) / 20_000 == pytest.approx(0.1, abs=4 * (0.09 / 20_000) ** 0.5)  # four standard deviations
    fewer_train, fewer_held = split(hashes[:5_000])  # adding the others has moved none of these
    assert (fewer_train == train[train < 5_000]).all()
    assert (fewer_held == held[held < 5_000]).all()
    twice_train, twice_held = split(np.concatenate([hashes, hashes]))
    assert set(twice_held % 20_000) == set(held)  # copies are on the side of their originals
    assert not set(twice_train % 20_000) & set(twice_held % 20_000)


def test_there_is_always_something_to_train_on() -> None:
    train, held = split(np.zeros(5, dtype=np.uint64))
    assert len(train) == 5
    assert len(held) == 0
    assert len(split(np.zeros(3, dtype=np.uint64), 0)[1]) == 0
    for share in (-0.1, 1.0):
        with pytest.raises(OptionError):
            split(np.zeros(3, dtype=np.uint64), share)


# --- loader ----------------------------------------------------------------------------------------------------------

X = RNG.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
LABELS = np.arange(50)


def loader(batch: int = 8, indices: np.ndarray | None = None, augment: Augment | None = None, **options) -> Loader:
    chosen = np.arange(50) if indices is None else indices
    return Loader(X, {"label": LABELS}, chosen, batch, options.get("seed", 0), options.get("codec", CODEC), augment)


def test_a_batch_is_a_pure_function_of_seed_and_step() -> None:
    augment = Augment(crop=0.2, rotate=10, flip=True, colour=0.1)
    one, other = loader(augment=augment), loader(augment=augment)
    forward = [one.batch(step) for step in range(12)]
    backward = [other.batch(step) for step in reversed(range(12))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.given["label"], b.given["label"])
    assert not torch.equal(forward[0].x, loader(augment=augment, seed=1).batch(0).x)


def test_pictures_keep_their_conditions() -> None:
    batch = loader().batch(3)
    assert batch.given["label"].dtype == torch.int64
    assert torch.equal(batch.x, CODEC.encode(torch.from_numpy(X[batch.given["label"].numpy()])))


@pytest.mark.parametrize("batch", [7, 8, 50, 120])
def test_every_epoch_is_a_permutation_and_the_rest_of_a_batch_comes_from_the_next(batch: int) -> None:
    chosen = np.arange(0, 50, 2)
    many = loader(batch, chosen)
    rows = np.concatenate([many.rows(step) for step in range(25)])  # 25 * batch items
    epochs = rows[: len(rows) // 25 * 25].reshape(-1, 25)
    assert all(len(many.rows(step)) == batch for step in range(25))
    for epoch in epochs:
        assert sorted(epoch) == chosen.tolist()
    assert not (epochs[0] == epochs[1]).all()


def test_random_crops_differ_from_step_to_step_and_stay_inside() -> None:
    codec = image.Codec(image.Config((8, 8), "rgb", "random_crop"))
    place = np.arange(100, dtype=np.uint8).reshape(10, 10)
    x = np.broadcast_to(place, (4, 3, 10, 10)).copy()
    batches = Loader(x, {}, np.arange(4), 4, 0, codec)
    corners = {int(one) for step in range(40) for one in codec.decode(batches.batch(step).x)[:, 0, 0, 0]}
    assert corners == {10 * y + x for y in range(3) for x in range(3)}
    assert codec.decode(codec.encode(torch.from_numpy(x)))[0, 0, 0, 0] == 11  # the centre, where nothing is random


def test_batches_prepared_ahead_are_the_same() -> None:
    batches = loader().iterate(5)
    for step in range(5, 15):
        assert torch.equal(next(batches).x, loader().batch(step).x)
    assert batches.stall >= 0
    thread = batches._thread
    batches.close()
    assert not thread.is_alive()
    with pytest.raises(StopIteration):
        next(batches)


def test_preparing_ahead_uses_one_thread_and_leaves_training_its_own() -> None:
    counts: list[int] = []

    class Counting(image.Codec):
        def encode(self, stored: torch.Tensor) -> torch.Tensor:
            counts.append(torch.get_num_threads())
            return super().encode(stored)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with loader(codec=Counting(CODEC.config)).iterate() as batches:
            for _ in range(5):
                next(batches)
            assert torch.get_num_threads() == 2
            later: list[int] = []
            thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
            thread.start()
            thread.join()
    finally:
        torch.set_num_threads(before)
    assert set(counts) == {1}
    assert later == [2]


def test_the_stall_is_the_time_waited() -> None:
    class Slow(image.Codec):
        def encode(self, stored: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return super().encode(stored)

    with loader(codec=Slow(CODEC.config)).iterate() as batches:
        begin = time.perf_counter()
        for _ in range(5):
            next(batches)
        waited = time.perf_counter() - begin
    assert 0.05 < batches.stall <= waited


def test_an_error_while_preparing_reaches_whoever_waits() -> None:
    class Broken(image.Codec):
        def encode(self, stored: torch.Tensor) -> torch.Tensor:
            raise DataError("a hole", "none", "mend it")

    batches = loader(codec=Broken(CODEC.config)).iterate()
    with pytest.raises(DataError, match="a hole"):
        next(batches)
    assert not batches._thread.is_alive()


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError):
        loader(indices=np.array([], dtype=int))
