"""What is remembered of the rows before of one owner: found, learnt, drawn, and measured against known laws."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.measure.table.sheet import Column
from morelike.measure.table.siblings import alike, pairs_of, scores

pl = pytest.importorskip("polars")

from morelike.linked.drawing import Linked  # noqa: E402
from morelike.linked.judging import together  # noqa: E402
from morelike.linked.memory import Memory, is_first, remembered, turns, with_memory  # noqa: E402
from morelike.linked.order import order_of, placed  # noqa: E402
from morelike.linked.tables import open_pair  # noqa: E402

OWNERS, EACH = 300, 6
OWNER = np.repeat(np.arange(OWNERS), EACH)


def law(seed: int = 0) -> pl.DataFrame:
    """Rows of owners: a level of their own, a walk, a ward that stays, a favourite, a height by sex, and noise."""
    rng = np.random.default_rng(seed)
    level = rng.normal(70, 10, OWNERS)[OWNER] + rng.normal(0, 2, len(OWNER))
    walk = np.cumsum(rng.normal(0, 1, (OWNERS, EACH)), 1).ravel() + rng.normal(0, 5, OWNERS)[OWNER]
    moves = rng.random((OWNERS, EACH)) < 0.1
    moves[:, 0] = True
    drawn = rng.integers(12, size=(OWNERS, EACH))
    ward = np.array([[row[max(j for j in range(i + 1) if move[j])] for i in range(EACH)]
                     for row, move in zip(drawn, moves, strict=True)]).ravel()  # fmt: skip
    likes = np.array([rng.choice(4, EACH, p=one) for one in rng.dirichlet([0.5] * 4, OWNERS)]).ravel()
    sex = rng.integers(2, size=OWNERS)[OWNER]
    return pl.DataFrame({
        "o.sex": [("F", "M")[one] for one in sex], "level": level.round(1), "walk": walk.round(2),
        "ward": [f"ward {one}" for one in ward], "likes": ["abcd"[one] for one in likes],
        "height": (160 + 15 * sex + rng.normal(0, 5, len(OWNER))).round(),
        "noise": rng.normal(size=len(OWNER)).round(3),
    })  # fmt: skip


def test_what_is_alike_beyond_the_columns_of_the_owner_is_remembered() -> None:
    found = {one.column: one for one in remembered(law(), OWNER, "o.")}
    assert found.keys() == {"level", "walk", "ward", "likes"}  # height follows from sex, noise from nothing
    assert {name: one.usual for name, one in found.items()} == {
        "level": True, "walk": False, "ward": False, "likes": True,
    }  # fmt: skip
    assert {name for name, one in found.items() if one.near} == {"level", "walk", "ward"}
    assert found["level"].name == "o.usual level" and not found["ward"].start
    assert remembered(law(), np.arange(len(OWNER)), "o.") == ()  # each row has an owner of its own


def test_what_stood_before_is_given_to_each_row() -> None:
    frame = pl.DataFrame({"o.a": [1, 1, 1, 2, 2, 9], "x": [1.0, None, 4.0, 7.0, 8.0, 3.0], "w": list("uvuwwz")})
    owner = np.array([0, 0, 0, 1, 1, -1])
    memories = (Memory("x", "o.usual x", "number", True), Memory("x", "o.last x", "number", start="5"),
                Memory("w", "o.usual w", "category", True))  # fmt: skip
    found = with_memory(frame, owner, memories, "o.")
    assert found.columns == ["o.a", "o.usual x", "o.last x", "o.usual w", "x", "w"]
    assert found["o.usual x"].to_list() == [None, 1.0, 1.0, None, 7.0, None]
    assert found["o.last x"].to_list() == [5.0, 1.0, 1.0, 5.0, 7.0, 5.0]
    assert found["o.usual w"].to_list() == [None, "u", "u", None, "w", None]
    assert is_first(owner).tolist() == [True, False, False, True, False, True]
    mixed = np.array([3, 0, 3, 0, 3])
    assert [one.tolist() for one in turns(mixed)] == [[0, 1], [2, 3], [4]]


def test_how_alike_rows_are_has_the_known_correlation() -> None:
    rng = np.random.default_rng(1)
    owner = np.repeat(np.arange(3_000), 4)
    level = rng.normal(size=3_000)[owner] + rng.normal(size=len(owner))  # intraclass correlation 1/2, at any lag
    kind = np.where(rng.random(len(owner)) < 0.6, rng.integers(3, size=3_000)[owner], rng.integers(3, size=len(owner)))
    rows = torch.from_numpy(np.stack([level, kind.astype(float)], 1))
    columns = [Column("level", "number", 0, True), Column("kind", "category", 1, False, (0, 1, 2))]
    found = alike(rows, owner, columns, (1, 2, 5))
    rank = 6 / np.pi * np.arcsin(0.5 / 2)  # of ranks of two normal numbers (Pearson 1907)
    assert np.abs(found[0, :2] - rank).max() < 0.03 and np.abs(found[1, :2] - 0.36).max() < 0.03
    assert np.isnan(found[:, 2]).all()  # nobody has six rows
    here, before = pairs_of(np.array([5, -1, 2, 5, 2, 5]))
    assert sorted(zip(here.tolist(), before.tolist(), strict=True)) == [(3, 0), (4, 2), (5, 3)]
    tied = scores(torch.tensor([1.0, 1.0, 3.0, float("nan")]), columns[0])[:, 0]
    assert np.allclose(tied, [-1 / 6, -1 / 6, 1 / 3, 0])


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 accounts with about 8 bookings each, which lie mixed, a balance that runs, and a branch that mostly stays."""
    rng, rows, folder = np.random.default_rng(4), [], tmp_path_factory.mktemp("accounts")
    for number in range(120):
        balance, branch, day = rng.integers(100, 9_000), rng.integers(5), rng.integers(0, 300)
        for _ in range(2 + rng.poisson(6)):
            amount, day = int(rng.integers(-400, 400)), day + 1 + rng.integers(0, 20)
            balance, branch = balance + amount, branch if rng.random() < 0.9 else rng.integers(5)
            date = np.datetime64("2023-01-01") + int(day)
            rows.append([f"A{number:03d}", date, f"branch {branch}", amount, balance])
    rng.shuffle(rows)
    rows = sorted(rows, key=lambda row: row[1])
    with (folder / "book.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["no", "account", "date", "branch", "amount", "balance"],
                                    *([7 + place, *row] for place, row in enumerate(rows))])  # fmt: skip
    return folder / "book.csv"


def test_a_balance_runs_on_from_row_to_row(accounts: Path, tmp_path: Path, call) -> None:
    told = call("fit", accounts, "--link", "account", "--family", "circuit", "--steps", 30, "--size", 8,
                "--out", tmp_path / "run")  # fmt: skip
    assert told.code == 0, told.err
    assert 'each other one given the last "date", the last "branch", the last "balance"' in told.out
    assert 'rule: "balance" = "account.last balance" + "amount"' in told.out
    assert 'Rows stand in order of "date": new ones do, too' in told.out
    assert 'near: "branch" is learnt as whether it is the same as "account.last branch"' in told.out
    assert call("sample", tmp_path / "run", "-n", 200, "--out", tmp_path / "new.csv").code == 0
    made, real = pl.read_csv(tmp_path / "new.csv"), pl.read_csv(accounts)
    assert made.columns == real.columns and made["no"].to_list() == list(range(7, 7 + len(made)))
    assert made["date"].is_sorted() and made["account"].rle_id().n_unique() > 0.9 * len(made)
    before = made.with_columns(pl.all().shift(1).over("account").name.suffix(" before")).drop_nulls()
    assert len(before) > 800
    assert (before["balance"] == before["balance before"] + before["amount"]).all()
    assert (before["date"] > before["date before"]).all()
    stays = (before["branch"] == before["branch before"]).mean()
    assert 0.8 < stays < 1
    run = Linked.load(tmp_path / "run")
    (figure,) = [one for one in together(run, run.manifest.pair(), 0) if one.name == "siblings"]
    assert figure.value > 0.8 > figure.baseline and figure.floor > 0.9


def test_the_order_of_days_is_seen_where_rows_lie_mixed(accounts: Path) -> None:
    book = pl.read_csv(accounts, infer_schema=False)
    owner = book["account"].rank("dense").to_numpy().astype(int)
    assert order_of(book, owner) == {"column": "date", "falling": False}
    assert order_of(book.reverse(), owner[::-1]) == {"column": "date", "falling": True}
    together = np.argsort(owner, kind="stable")
    assert order_of(book[together], owner[together]) == {}
    shuffled = np.random.default_rng(0).permutation(len(owner))
    assert order_of(book[shuffled], owner[shuffled]) == {}
    days = np.array(
        [np.datetime64("2024-03-02"), None, np.datetime64("2024-03-01"), np.datetime64("2024-03-02")], object
    )
    assert placed(days, False).tolist() == [2, 0, 3, 1] and placed(days, True).tolist() == [3, 0, 2, 1]


def test_a_file_with_the_last_one_first_is_read_from_its_end(accounts: Path, tmp_path: Path, call) -> None:
    book = pl.read_csv(accounts, infer_schema=False)
    book.reverse().write_csv(tmp_path / "book.csv")
    usual, turned = (open_pair([str(path)], "account") for path in (accounts, tmp_path / "book.csv"))
    assert turned.order == {"column": "date", "falling": True} and turned.child.frame.equals(usual.child.frame)
    out = tmp_path / "run"
    assert (
        call("fit", tmp_path / "book.csv", "--link", "account", "--family", "mixture", "--steps", 3, "--out", out).code
        == 0
    )
    assert call("sample", out, "-n", 60, "--out", tmp_path / "new.csv").code == 0
    made = pl.read_csv(tmp_path / "new.csv").reverse()
    assert made["date"].is_sorted() and made["no"].to_list() == list(range(7, 7 + len(made)))
    before = made.with_columns(pl.all().shift(1).over("account").name.suffix(" before")).drop_nulls()
    assert (before["balance"] == before["balance before"] + before["amount"]).all()


def test_what_was_made_does_not_depend_on_how_much_is_asked_for(accounts: Path, tmp_path: Path, call) -> None:
    words = ["--link", "account", "--family", "mixture", "--steps", 3, "--out", tmp_path / "r"]
    assert call("fit", accounts, *words).code == 0
    run = Linked.load(tmp_path / "r")
    few, many = (next(iter(run.rows(n, seed=5))) for n in (10, 40))
    assert np.array_equal(few.children, many.children[: len(few.children)])
    assert run.runs.keys() == {"parent", "first", "child"} and "book-first" in call("info", tmp_path / "r").out
