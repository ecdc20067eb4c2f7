"""The examples run as they stand, and leave what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
ANIMALS = ROOT / "examples" / "animals.py"


def run_example(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MORELIKE_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ANIMALS), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=150)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A short run of the example: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("animals")
    done = run_example("menagerie:240", "--steps", "4", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def test_the_example_is_shorter_than_forty_lines() -> None:
    assert len(ANIMALS.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("kind", ["cat", "dog", "rabbit"])
def test_the_example_draws_each_kind_and_a_walk(run: tuple[Path, str], kind: str) -> None:
    folder, told = run
    for name in (f"{kind}.png", f"{kind}-walk.png"):
        assert name in told
        picture = Image.open(folder / name)
        assert np.asarray(picture.convert("L")).std() > 5
    wide, high = Image.open(folder / f"{kind}-walk.png").size
    assert wide > 10 * high  # twelve steps in one row


def test_the_sheets_of_the_example_differ_by_kind(run: tuple[Path, str]) -> None:
    folder, _ = run
    sheets = [np.asarray(Image.open(folder / f"{kind}.png").convert("L"), float) for kind in ("cat", "dog", "rabbit")]
    assert np.abs(sheets[0] - sheets[1]).max() > 0
    assert np.abs(sheets[1] - sheets[2]).max() > 0


def test_the_run_of_the_example_can_be_used_again(run: tuple[Path, str]) -> None:
    import morelike

    folder, _ = run
    again = morelike.load(folder)
    assert again.info()["labels"]["label"] == ["cat", "dog", "rabbit"]
    assert again.info()["shape"] == [1, 28, 28]  # the shape of the article's case
    assert again.sample(2, label="rabbit").array.shape == (2, 28, 28, 1)


def test_the_example_refuses_two_budgets(tmp_path: Path) -> None:
    done = run_example("--steps", "3", "--minutes", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
