"""Tables of another hand: other names, order, spelling, format and values than those that were learnt."""

from __future__ import annotations

import csv
import datetime
import random
from pathlib import Path

import numpy as np
import pytest

from morelike import rows
from morelike.core.errors import DataError, OptionError
from morelike.recipes import Request, fit
from morelike.run import Run

pl = pytest.importorskip("polars")
NAMES = ["ward", "smoker", "alive", "height", "admitted", "age"]


def patients(count: int) -> list[dict[str, str]]:
    rng, found = random.Random(1), []
    for _ in range(count):
        old = rng.random() < 0.5
        day = datetime.date(2022, 1, 1) + datetime.timedelta(rng.randint(0, 700))
        age = rng.randint(60, 90) if old else rng.randint(20, 40)
        cells = ("heart" if old else "birth", "yes" if old != (rng.random() < 0.03) else "no", str(rng.randint(0, 1)),
                 f"{rng.gauss(1.7, 0.08):.2f}", day.isoformat(), str(age))  # fmt: skip
        found.append(dict(zip(NAMES, cells, strict=True)))
    return found


def save(path: Path, cells: list[dict[str, str]], mark: str = ",") -> Path:
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, list(cells[0]), delimiter=mark)
        out.writeheader()
        out.writerows(cells)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ward")
    table = save(folder / "ward.csv", patients(400))
    *_, last = fit(Request(str(table), "circuit", steps=60, size="8", out=folder / "run", settings={"batch": "100"}))
    assert last.stage == "done"
    return Run.load(folder / "run")


def test_one_row_is_enough(run: Run, tmp_path: Path) -> None:
    one = save(tmp_path / "one.csv", [{"ward": "heart", "smoker": ""}])
    whole, new = rows.filled(run, one)
    assert whole[0, 0] == "heart" and whole[0, 1] in ("yes", "no") and new[0].tolist() == [False] + [True] * 5
    (tmp_path / "none.csv").write_text("ward,smoker\n")
    with pytest.raises(DataError, match=r"holds no rows\. At least one below"):
        rows.filled(run, tmp_path / "none.csv")


def test_numbers_and_dates_in_another_format_are_read_and_none_is_drawn_anew(run: Run, tmp_path: Path) -> None:
    told = [one | {"height": one["height"].replace(".", ","), "admitted": "-".join(one["admitted"].split("-")[::-1]),
                   "age": one["age"] + " years"} for one in patients(30)]  # fmt: skip
    found = rows.read(run, save(tmp_path / "a.csv", told, ";"))
    plain = rows.read(run, save(tmp_path / "b.csv", patients(30)))
    assert np.array_equal(found.rows, plain.rows) and found.cells.equal(plain.cells)
    assert [line.split(":")[0] for line in found.said] == ['"height"', '"admitted"', '"age"']
    assert not plain.said and not rows.filled(run, found)[1].any()


def test_names_and_words_may_differ_in_capitals_and_yes_may_be_true(run: Run, tmp_path: Path) -> None:
    told = [{"Smoker ": {"yes": "TRUE", "no": "False"}[one["smoker"]], "WARD": one["ward"].upper(),
             "Alive": {"1": "yes", "0": "no"}[one["alive"]]} for one in patients(30)]  # fmt: skip
    found, plain = rows.read(run, save(tmp_path / "a.csv", told)), patients(30)
    assert found.rows[:, :3].tolist() == [[one["ward"], one["smoker"], int(one["alive"])] for one in plain]
    assert any('"WARD" for "ward"' in line for line in found.said)


def test_what_was_never_seen_is_told_stays_and_makes_a_row_odd(run: Run, tmp_path: Path, call) -> None:
    told = patients(30)
    told[4] |= {"ward": "eyes"}
    told[7] |= {"age": "150", "height": "tall"}
    table = save(tmp_path / "a.csv", told)
    found = rows.read(run, table)
    assert found.rows[4, 0] == "eyes" and found.cells[4, 0] == -1 and found.rows[7, 5] == 150
    assert sorted(line.split(":")[0] for line in found.said) == ['"age"', '"height"', '"ward"']
    out = call("score", run.path, table, "--out", tmp_path / "s.csv")
    assert out.code == 0 and 'no number, such as "tall"' in out.err
    assert {line.split(",")[0].strip() for line in out.out.splitlines()[1:3]} == {"row 5", "row 8"}
    assert (tmp_path / "s.csv").read_text().splitlines()[5].endswith(",ward")


def test_a_filled_table_keeps_its_own_columns_order_and_decimals(run: Run, tmp_path: Path, call) -> None:
    told = [{"note": f"n{i}", "age": one["age"] + ".5", "Ward": ""} for i, one in enumerate(patients(30))]
    out = call("fill", run.path, save(tmp_path / "a.csv", told), "--out", tmp_path / "w.csv")
    assert out.code == 0 and "note: not learnt" in out.err
    whole = list(csv.reader((tmp_path / "w.csv").open()))
    assert whole[0] == ["note", "age", "Ward", "smoker", "alive", "height", "admitted"]
    assert [row[:2] for row in whole[1:]] == [[one["note"], one["age"]] for one in told]
    assert {row[2] for row in whole[1:]} == {"heart", "birth"}


def test_conditions_are_understood_as_people_write_them(run: Run) -> None:
    for value in ("true", "YES", "1", True):
        assert set(run.sample(20, given={"smoker": value}).array[:, 1]) == {"yes"}
    assert set(run.sample(20, given={"alive": "no"}).array[:, 2]) == {0}
    assert set(run.sample(20, given={"age": 70}).array[:, 5]) == {70}
    day = datetime.date(2022, 5, 1)
    for when in ("01.05.2022", day, "2022-05-01"):
        assert set(run.sample(20, given={"admitted": when, "ward": "Heart"}).array[:, 4]) == {day}
    with pytest.raises(OptionError, match='"admitted" is 2035-01-01. What was seen: 2022'):
        run.sample(2, given={"admitted": "2035-01-01"})
    with pytest.raises(OptionError, match='Did you mean "heart"'):
        run.sample(2, given={"ward": "hearts"})


def test_a_date_is_predicted_with_an_interval_and_numbers_are_rounded(run: Run, tmp_path: Path, call) -> None:
    table = save(tmp_path / "a.csv", patients(20))
    found = rows.predicted(run, table, "admitted")
    assert (found["low"] <= found["value"]).all() and (found["value"] <= found["high"]).all()
    out = call("predict", run.path, table, "--column", "admitted", "--out", tmp_path / "p.csv")
    assert "days in the mean of 20 rows" in out.out
    assert (tmp_path / "p.csv").read_text().splitlines()[1].startswith("1,202")
    call("predict", run.path, table, "--column", "height", "--out", tmp_path / "h.csv")
    assert all(len(line.split(",")[1]) <= 6 for line in (tmp_path / "h.csv").read_text().splitlines()[1:])
