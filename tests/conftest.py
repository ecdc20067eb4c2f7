"""One torch thread in every test: two OpenMP threads on a busy machine wait for each other at each barrier."""

import os
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from morelike import cli

torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are given more time than others begin first, so that no process is left alone with them."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture
def shared() -> Path:
    """The folder of shared data sets beside the repository; the test is skipped where there is none."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the shared data sets in {SHARED / 'data'}")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Prepared data goes into a temporary folder, not into the home of whoever runs the tests."""
    os.environ["MORELIKE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def call(capsys):
    """Run a command line in this process: call("list").out, .err, .code."""

    def run(*words: object) -> SimpleNamespace:
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return SimpleNamespace(out=out, err=err, code=end.value.code)

    return run
