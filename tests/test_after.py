"""`fit` with --samples and --report: a table in, new rows and their report out, and one deadline for all of it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from morelike.cli import after
from morelike.cli.after import After

pytest.importorskip("polars")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng, path = random.Random(1), tmp_path / "fruit.csv"
    lines = [f"{rng.choice('abc')},{rng.randint(1, 9)}" for _ in range(200)]
    path.write_text("\n".join(["kind,size", *lines]) + "\n")
    return path


def test_one_command_leaves_rows_and_a_report(call, table: Path, tmp_path: Path) -> None:
    new, out = tmp_path / "new.csv", tmp_path / "run"
    words = ["fit", table, "--family", "mixture", "--steps", "5", "--out", out, "--samples", new, "--report"]
    told = call(*words)
    assert told.code == 0, told.err
    assert len(new.read_text().splitlines()) == 201 and new.read_text().startswith("kind,size\n")
    assert json.loads((out / "report.json").read_text())["verdict"]["word"] in told.out.lower()
    assert f"samples  {new}" in told.out and "morelike report" not in told.out.split("Try next")[1]
    again = call(*words[:-1])
    assert again.code == 2 and "exists already" in again.err


def test_programs_are_told_both(call, table: Path, tmp_path: Path) -> None:
    new, out = tmp_path / "new.jsonl", tmp_path / "run"
    told = call("fit", table, "--family", "independent", "--steps", "2", "--out", out, "--samples", new, "-n", "7",
                "--json")  # fmt: skip
    last = json.loads(told.out.splitlines()[-1])
    assert (last["event"], last["samples"]) == ("done", str(new)) and len(new.read_text().splitlines()) == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--samples", "new.docx"], "new.docx"),
        (["-n", "5"], "--samples new.csv"),
        (["--samples", "new.csv", "-n", "0"], "asks for nothing"),
    ],
)
def test_what_could_only_fail_at_the_end_is_refused_at_once(call, table: Path, words: list[str], said: str) -> None:
    told = call("fit", table, *words)
    assert told.code == 2 and said in told.err and not told.out


def test_the_minutes_are_shared_out() -> None:
    assert After(None, None, False, 10, 0).training == 10
    assert After(Path("a.csv"), None, True, 10, 0).training == pytest.approx(6.7)
    assert After(None, None, True, None, 0).training is None


def test_short_of_time_fewer_rows_are_measured() -> None:
    def run(natural: str, columns: int, rows: int) -> SimpleNamespace:
        codec = SimpleNamespace(natural=natural, columns=("c",) * columns)
        return SimpleNamespace(codec=codec, recipe={"data": {"train": rows}})

    assert after.fitting(run("image", 0, 9), 5)[0] is None
    assert after.fitting(run("table", 10, 10**6), 1e9) == (after.MOST, 10)
    assert after.fitting(run("table", 10, 10**6), 1) == (after.FEWEST, 10)
    (few, _), (many, _) = (after.fitting(run("table", 40, 10**6), seconds) for seconds in (100, 300))
    assert after.FEWEST <= few <= many <= after.MOST


def test_short_of_time_fewer_of_very_many_columns_are_measured() -> None:
    def columns(seconds: float) -> int:
        codec = SimpleNamespace(natural="table", columns=("c",) * 2000)
        return after.fitting(SimpleNamespace(codec=codec, recipe={"data": {"train": 500}}), seconds)[1]

    assert columns(1) == after.NARROWEST and columns(1e9) == 200
    assert after.NARROWEST <= columns(20) <= columns(60) <= 200


def test_a_race_may_be_named_and_is_refused_where_there_is_none(call, table: Path, tmp_path: Path) -> None:
    assert call("fit", table, "--family", "race", "--steps", "2", "--out", tmp_path / "run").code == 0
    told = call("fit", "menagerie:60:12", "--family", "race", "--steps", "2", "--out", tmp_path / "other")
    assert told.code == 2 and "Nothing races for items that are image" in told.err
