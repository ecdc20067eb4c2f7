"""A trained run: what it draws depends on seed and condition alone, what is wrong is said, nothing is executed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from morelike.core.errors import MorelikeError, OptionError, RunError
from morelike.recipes import Request, fit
from morelike.run import Run, slerp

SOURCE = "menagerie:90:12"
SETTINGS = {
    "gan": {"latent": "4"}, "vae": {"latent": "4"}, "rbm": {"hidden": "12"},
    "energy": {"k": "2", "settle": "2", "steps": "10"},
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Tiny trained runs, by family and condition."""
    made: dict[tuple[str, str], Run] = {}

    def get(family: str, given: str = "label") -> Run:
        if (family, given) not in made:
            out = tmp_path_factory.mktemp("runs") / family
            source = SOURCE if given != "caption" else "menagerie:30:12"
            settings = {"batch": "16", **SETTINGS[family]}
            *_, last = fit(Request(source, family, given=given, steps=25, size="8", out=out, settings=settings))
            assert last.stage == "done" and last.run == str(out)
            made[family, given] = Run.load(out)
        return made[family, given]

    return get


both = pytest.mark.parametrize("family", ["gan", "vae"])


@pytest.mark.parametrize("family", SETTINGS)
@pytest.mark.parametrize("given", ["label", "none"])
def test_an_item_depends_on_its_seed_alone(runs, family: str, given: str) -> None:
    run = runs(family, given)
    many = run.sample(100)
    assert many.array.shape == (100, 12, 12, 1) and many.array.dtype == np.uint8 and many.seeds == tuple(range(100))
    assert len(many) == 100 and len({one.tobytes() for one in many.array}) > 50
    for n, seed in ((18, 0), (64, 0), (65, 0), (1, 17), (3, 16), (100, 10)):
        drawn = run.sample(n, seed=seed)
        at = 17 - seed
        assert drawn.seeds[at] == 17
        assert np.array_equal(drawn.array[at], many.array[17]), (n, seed)
    torch.manual_seed(123)
    assert np.array_equal(run.sample(100).array, many.array)
    assert np.array_equal(Run.load(run.path).sample(100).array, many.array)


@both
def test_a_label_is_asked_for_by_name(runs, family: str) -> None:
    run = runs(family)
    assert run.labels["label"].config.vocabulary == ("cat", "dog", "rabbit")
    cats = run.sample(5, label="cat")
    assert np.array_equal(run.sample(5, given={"label": "cat"}).array, cats.array)
    assert not np.array_equal(run.sample(5, label="dog").array, cats.array)
    turns = run.sample(6)
    assert np.array_equal(turns.array[::3], run.sample(6, label="cat").array[::3])


@both
def test_unknown_conditions_name_the_nearest(runs, family: str) -> None:
    with pytest.raises(OptionError, match='Did you mean "cat"'):
        runs(family).sample(2, label="catt")
    with pytest.raises(OptionError, match='Did you mean "label"'):
        runs(family).sample(2, given={"labl": "cat"})
    with pytest.raises(OptionError, match="trained without conditions"):
        runs(family, "none").sample(2, label="cat")


def test_a_bare_label_means_whatever_the_run_is_conditioned_on(runs) -> None:
    run = runs("vae", "caption")
    caption = "a white cat on a meadow"
    assert np.array_equal(run.sample(3, label=caption).array, run.sample(3, given={"caption": caption}).array)
    assert len(run.interpolate(0, 1, 3, label=caption)) == 3
    with pytest.raises(OptionError, match='no "caption"'):
        run.sample(3)


@both
def test_impossible_numbers_are_refused(runs, family: str) -> None:
    run = runs(family, "none")
    for n in (0, -3):
        with pytest.raises(OptionError, match=f"{n} items were asked for"):
            run.sample(n)
    for seed in (-1, 2**63, 2**80):
        with pytest.raises(OptionError, match="seed"):
            run.sample(1, seed=seed)
    assert len(run.sample(1, seed=2**63 - 2)) == 1


@both
def test_a_walk_begins_and_ends_at_its_seeds(runs, family: str) -> None:
    run = runs(family)
    walk = run.interpolate(3, 8, 6, label="dog")
    assert walk.array.shape == (6, 12, 12, 1)
    for at, seed in ((0, 3), (-1, 8)):
        end = run.sample(1, seed=seed, label="dog").array[0]
        assert np.abs(walk.array[at].astype(int) - end).max() <= 1
    steps = np.abs(np.diff(walk.array.astype(float), axis=0)).mean((1, 2, 3))
    assert steps.max() < np.abs(walk.array[0].astype(float) - walk.array[-1]).mean() + 1, "it does not jump"
    assert np.array_equal(run.interpolate(3, 3, 2).array[0], run.interpolate(3, 3, 2).array[1])


def test_the_great_circle_keeps_the_length_of_noise() -> None:
    a, b = torch.randn(2, 400)
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    unit = [slerp(a / a.norm(), b / b.norm(), t).norm() for t in (0.2, 0.5, 0.9)]
    torch.testing.assert_close(torch.stack(unit), torch.ones(3))


def test_encoding_and_reconstructing(runs) -> None:
    run = runs("vae")
    codes = run.encode(SOURCE)
    assert codes.shape == (90, 4) and codes.dtype == np.float32 and np.isfinite(codes).all()
    np.testing.assert_allclose(run.encode(SOURCE, 7), codes[:7], atol=1e-5)
    pairs = run.reconstruct(SOURCE, 5)
    assert pairs.array.shape == (10, 12, 12, 1)
    from morelike.data.menagerie import pictures

    assert np.array_equal(pairs.array[::2, ..., 0], np.squeeze(pictures(90, 12)[0][:5])), "the originals, untouched"
    pixels = pairs.array.astype(float)
    own = np.abs(pixels[::2] - pixels[1::2]).mean()
    assert own < np.abs(pixels[::2] - pixels[1::2][::-1]).mean() + 5
    for n in (0, -1):
        with pytest.raises(OptionError, match="items were asked for"):
            run.reconstruct(SOURCE, n)
        with pytest.raises(OptionError, match="items were asked for"):
            run.encode(SOURCE, n)


def test_a_family_without_an_encoder_says_so_before_reading_anything(runs, tmp_path: Path) -> None:
    for call in (runs("gan").encode, runs("gan").reconstruct):
        with pytest.raises(OptionError, match="no encoder.*--family vae"):
            call(tmp_path / "nothing here")


def test_samples_are_saved_as_sheet_film_array_and_folder(runs, tmp_path: Path) -> None:
    drawn = runs("vae").sample(7)
    (sheet,) = drawn.save(tmp_path / "deep" / "sheet.png")
    with Image.open(sheet) as picture:
        assert picture.size[0] > 2 * 12 and picture.format == "PNG"
    (film,) = drawn.save(tmp_path / "film.gif")
    with Image.open(film) as picture:
        assert picture.n_frames == 7
    (array,) = drawn.save(str(tmp_path / "x.npy"))
    assert np.array_equal(np.load(array, allow_pickle=False), drawn.array)
    files = drawn.save(tmp_path / "folder")
    assert [file.name for file in files] == [f"{i:05d}.png" for i in range(7)]
    with Image.open(files[2]) as picture:
        assert np.array_equal(np.asarray(picture), drawn.array[2, ..., 0])
    with pytest.raises(OptionError, match=r"\.tiff"):
        drawn.save(tmp_path / "x.tiff")
    (tmp_path / "file").write_text("")
    with pytest.raises(MorelikeError, match="file"):
        drawn.save(tmp_path / "file" / "sheet.png")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")], "no leftovers"


@both
def test_info_tells_what_was_asked_and_reached(runs, family: str) -> None:
    told = runs(family).info()
    assert (told["family"], told["source"], told["step"], told["steps"]) == (family, SOURCE, 25, 25)
    assert told["labels"] == {"label": ["cat", "dog", "rabbit"]} and told["data"]["items"] == 90
    assert told["data"]["train"] + told["data"]["held_out"] == 90 and told["shape"] == [1, 12, 12]
    assert sum(told["parameters"].values()) == sum(p.numel() for p in runs(family).family.parameters())


@both
def test_the_folder_holds_what_was_promised(runs, family: str) -> None:
    path = runs(family).path
    for name in (
        "recipe.json",
        "codec.json",
        "plan.jsonl",
        "log.jsonl",
        "weights.safetensors",
        "film.gif",
        "report.html",
    ):
        assert (path / name).stat().st_size > 0, name
    assert list((path / "samples").glob("*.png")) and list((path / "state").glob("*.safetensors"))
    assert not [one for one in path.rglob("*") if one.suffix in (".pt", ".pth", ".pkl", ".pickle", ".py")]


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        Run.load(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"recipe\.json"):
        Run.load(tmp_path)


TRAIN = "import morelike, sys; morelike.fit({!r}, family='vae', steps=3, size='8', out=sys.argv[1], show=False)"
LOAD = """
import os, sys
import numpy, torch, PIL.Image, morelike.run, morelike.families.vae, morelike.nn.cnn, morelike.codecs.image
run = os.path.abspath(sys.argv[1])
sys.path.insert(0, run)  # even so, nothing of it may be imported

def watch(event, args):
    if event in ("pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn"):
        raise SystemExit(f"{event} {args}")
    if event == "exec" and run in str(getattr(args[0], "co_filename", "")):
        raise SystemExit(f"executed {args[0]}")

sys.addaudithook(watch)
torch.load = None
print(morelike.load(run).sample(4, label="cat").array.sum())
"""


def test_loading_a_run_executes_no_code(tmp_path: Path) -> None:
    run, trap = tmp_path / "run", tmp_path / "sprung"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", TRAIN.format(SOURCE), str(run)], check=True, env=environment)
    for name in ("__init__.py", "recipe.py", "codec.py", "vae.py", "image.py", "conftest.py", "weights.pt"):
        (run / name).write_text(f"open({str(trap)!r}, 'w')")
    done = subprocess.run([sys.executable, "-c", LOAD, str(run)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr
    assert not trap.exists()
