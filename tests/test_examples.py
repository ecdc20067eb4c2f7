"""The examples run as they stand, and leave what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
ANIMALS = ROOT / "examples" / "animals.py"


def run_example(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MORELIKE_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ANIMALS), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=170)


def test_the_example_is_shorter_than_forty_lines() -> None:
    assert len(ANIMALS.read_text(encoding="utf-8").splitlines()) < 40


def test_the_example_trains_and_draws_each_kind_and_a_walk(tmp_path: Path) -> None:
    import morelike

    done = run_example("menagerie:240", "--steps", "4", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sheets = {}
    for kind in ("cat", "dog", "rabbit"):
        assert f"{kind}.png" in done.stdout
        assert f"{kind}-walk.png" in done.stdout
        sheets[kind] = np.asarray(Image.open(tmp_path / "run" / f"{kind}.png").convert("L"), float)
        assert sheets[kind].std() > 5
        wide, high = Image.open(tmp_path / "run" / f"{kind}-walk.png").size
        assert wide > 10 * high  # twelve steps in one row
    assert np.abs(sheets["cat"] - sheets["dog"]).max() > 0
    assert np.abs(sheets["dog"] - sheets["rabbit"]).max() > 0
    run = morelike.load(tmp_path / "run")
    assert run.info()["labels"]["label"] == ["cat", "dog", "rabbit"]
    assert run.info()["shape"] == [1, 28, 28]  # the shape of the article's case
    assert run.sample(2, label="rabbit").array.shape == (2, 28, 28, 1)


def test_the_example_refuses_two_budgets(tmp_path: Path) -> None:
    done = run_example("--steps", "3", "--minutes", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
