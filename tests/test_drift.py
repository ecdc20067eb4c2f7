"""What has moved between two tables: known shifts are found, shuffled rows are quiet, and `check` says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from morelike.core.errors import OptionError
from morelike.measure.table import drift as module
from morelike.measure.table.drift import Drift, Moved, drift, homogeneous, kolmogorov, together, told
from morelike.measure.table.sheet import Column, Rows, Sheet, coded, columns_of

pytest.importorskip("polars")

NAMES, KINDS = ("age", "kind", "size", "label"), ("number", "category", "number", "boolean")


def cells(rng: np.random.Generator, n: int) -> np.ndarray:
    """Rows of an age, a kind, a size that goes with it and is missing in a tenth, and a label."""
    kind = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    size = np.where(kind == "a", rng.normal(0, 1, n), rng.normal(2, 1, n)).astype(object)
    size[rng.random(n) < 0.1] = None
    return np.stack([rng.integers(18, 90, n).astype(object), kind.astype(object), size, rng.random(n) < 0.2], 1)


def sheet(rows: np.ndarray) -> Sheet:
    return Sheet(NAMES, KINDS, rows)


def written(path: Path, rows: np.ndarray) -> Path:
    lines = [",".join("" if one is None else str(one) for one in row) for row in rows.tolist()]
    path.write_text("\n".join([",".join(NAMES), *lines]) + "\n")
    return path


def test_known_shifts_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    new, old = cells(rng, 3000), cells(rng, 3000)
    new[:, 0] += 9  # an eighth of the range
    new[rng.random(3000) < 0.1, 2] = None
    new[rng.random(3000) < 0.02, 1] = "d"
    found = drift(sheet(new), sheet(old))
    kinds = {(one.column, one.kind): one for one in found.moved}
    assert kinds.keys() == {("age", "values"), ("size", "missing"), ("kind", "new")}
    assert abs(kinds["age", "values"].distance - 9 / 72) < 0.03 and "median" in kinds["age", "values"].change
    assert '"d" ' in kinds["kind", "new"].change and abs(kinds["size", "missing"].distance - 0.09) < 0.03
    assert found.whole is not None and found.whole.sure and found.whole.by[0][0] == "age"


def test_what_only_moves_together_is_found_by_trees() -> None:
    """Each column by itself is the same; only which size goes with which kind has changed."""
    rng = np.random.default_rng(1)
    new, old = cells(rng, 4000), cells(rng, 4000)
    new[:, 2] = rng.permutation(new[:, 2])
    found = drift(sheet(new), sheet(old))
    assert not found.moved and found.whole is not None and found.whole.sure
    assert {name for name, _ in found.whole.by} >= {"size", "kind"}


def test_shuffled_rows_are_quiet() -> None:
    """At most one alarm in 50 shuffles of one table of columns, and none in 10 of trees."""
    rows = cells(np.random.default_rng(2), 1200)
    columns = columns_in(rows)
    moved = sure = 0
    for seed in range(50):
        order = np.random.default_rng(seed).permutation(len(rows))
        halves = [rows[part] for part in np.array_split(order, 2)]
        moved += bool(_without_trees(*map(sheet, halves)).moved)
        if seed < 10:  # these take longer
            found = together(*(coded(sheet(one), columns) for one in halves), columns, seed)
            sure += found is not None and found.sure
    assert moved <= 1 and sure == 0


def columns_in(rows: np.ndarray) -> list[Column]:
    return columns_of(Rows(sheet(rows), sheet(rows), sheet(rows[:0])))


def _without_trees(new: Sheet, old: Sheet) -> Drift:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "has_trees", lambda: False)
        return module.drift(new, old)


def test_what_the_file_is_in_order_of_is_no_drift() -> None:
    rows = cells(np.random.default_rng(3), 2000)
    rows[:, 0] = np.arange(2000) // 2
    found = drift(sheet(rows[1000:]), sheet(rows[:1000]), ordered=True)
    assert found.apart == ("age",) and not found.moved


def test_too_few_rows_are_not_compared() -> None:
    rows = cells(np.random.default_rng(0), 150)
    found = drift(sheet(rows[:75]), sheet(rows[75:]))
    assert found.tested == 0 and found.moved == () and found.whole is None


def test_p_values_are_those_of_the_books() -> None:
    assert kolmogorov(1.36) == pytest.approx(0.049, abs=1e-3) and kolmogorov(1.63) == pytest.approx(0.0098, abs=2e-4)
    assert kolmogorov(0.1) == 1.0
    assert homogeneous(np.array([[30, 70], [50, 50]])) == pytest.approx(0.003892, rel=1e-3)  # chi-square 8.333, 1 df
    assert homogeneous(np.array([[10, 0], [10, 0]])) == 1.0
    uniform = [homogeneous(np.random.default_rng(i).multinomial(500, [0.2, 0.3, 0.5], 2)) for i in range(400)]
    assert abs(np.mean(np.array(uniform) < 0.1) - 0.1) < 0.05


def test_many_columns_count() -> None:
    """Benjamini and Hochberg: of 100 tests the smallest has to be below 0.1 % of 1 %, the k-th below k times that."""
    tests = [Moved(str(i), "values", 0.5, p) for i, p in enumerate([2e-5, *np.linspace(0.02, 1, 99)])]
    assert told(tests) == []
    two = [Moved("a", "values", 0.5, 1.5e-5), Moved("b", "values", 0.5, 1.9e-5), *tests[1:99]]
    assert [one.column for one in told(two)] == ["a", "b"]
    assert told([]) == []


def test_check_tells_what_has_moved(tmp_path: Path, call) -> None:
    rng = np.random.default_rng(5)
    old, new = cells(rng, 1000), cells(rng, 1000)
    new[:, 3] = rng.random(1000) < 0.35
    paths = [written(tmp_path / name, rows) for name, rows in (("new.csv", new), ("old.csv", old))]
    page = ["--out", tmp_path / "page.html"]
    told = call("check", paths[0], "--against", paths[1], "--given", "label", *page, "--json", tmp_path / "found.json")
    (found,) = [one for one in json.loads((tmp_path / "found.json").read_text())["findings"] if one["kind"] == "drift"]
    assert told.code == 0 and found["severity"] == "warn" and found["names"] == ["label"]
    assert found["evidence"].startswith("label (the label): moved by 1") and "1 thing to mend first" in told.out
    assert "label (the label): moved by" in told.out
    quiet = call("check", paths[1], *page).out
    assert "moved" not in quiet
    same = call("check", paths[1], "--against", written(tmp_path / "again.csv", cells(rng, 1000)), *page).out
    assert "Nothing has moved since" in same
    both = written(tmp_path / "both.csv", np.concatenate([old, new]))
    assert "1 column has moved from the first half of the file to the second" in call("check", both, *page).out


def test_columns_that_lack_are_named_and_other_items_refused(tmp_path: Path, call) -> None:
    rows = cells(np.random.default_rng(6), 400)
    new, old = written(tmp_path / "new.csv", rows), tmp_path / "old.csv"
    old.write_text("\n".join(line.partition(",")[2] for line in new.read_text().splitlines()))
    told = call("check", new, "--against", old, "--out", tmp_path / "page.html")
    assert told.code == 0 and "1 column is not in" in told.out and "Nothing has moved" in told.out
    told = call("check", "menagerie:60", "--against", old, "--out", tmp_path / "page.html")
    assert told.code == 2 and "these items are image" in told.err
    from morelike import check

    with pytest.raises(OptionError, match="image"):
        check("menagerie:60", against=old)
