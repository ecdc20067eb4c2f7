"""Two tables of which one refers to the other: links found, learnt, drawn with every reference whole, and measured."""

from __future__ import annotations

import csv
import json
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from morelike import cli
from morelike.core.errors import DataError, MorelikeError, OptionError, RunError
from morelike.recipes import Request, fit, resume
from morelike.run import Run

polars = pytest.importorskip("polars")

from morelike.codecs import keys  # noqa: E402
from morelike.codecs.table import Codec, Config  # noqa: E402
from morelike.data.frame import Frame  # noqa: E402
from morelike.linked.drawing import Linked  # noqa: E402
from morelike.linked.judging import together  # noqa: E402
from morelike.linked.tables import open_pair  # noqa: E402
from morelike.measure.table.ties import Kin, integrity, ties  # noqa: E402

LAW = {"gold": (6, "shop"), "basic": (1, "web")}  # children on average, and where they nearly always come from


def written(path: Path, names: str, rows: list) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names.split(","), *rows])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """300 customers and about 1,000 orders, 3 orphans and 40 without a customer among them; manager is a customer."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp("tables")
    people, orders = [], []
    for number in range(300):
        level = "gold" if rng.random() < 0.4 else "basic"
        people.append([f"C{number:04d}", level, round(rng.normal(50 if level == "gold" else 30, 3), 1),
                       f"C{rng.integers(300):04d}"])  # fmt: skip
        many, where = LAW[level]
        orders += [[f"C{number:04d}", where if rng.random() < 0.95 else "phone", int(rng.integers(1, 9))]
                   for _ in range(rng.poisson(many))]  # fmt: skip
    orders += [["C9999", "web", 1]] * 3 + [["", "phone", 2]] * 40
    rng.shuffle(orders)
    orders = [[7000 + place, *row] for place, row in enumerate(orders)]
    return (written(folder / "customers.csv", "id,level,age,manager_id", people),
            written(folder / "orders.csv", "order_no,customer_id,channel,quantity", orders))  # fmt: skip


@pytest.fixture(scope="module")
def run(tables: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Linked:
    """Made from the command line, which names the child first, with new rows beside it in the folder `new`."""
    out, said = tmp_path_factory.mktemp("run") / "both", StringIO()
    words = ["fit", tables[1], tables[0], "--family", "copula", "--steps", 20, "--out", out]
    with redirect_stdout(said), pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in (*words, "--link", "customer_id=id", "--samples", out.with_name("new"))])
    notes = said.getvalue()
    assert end.value.code == 0 and f"morelike sample {out}" in notes
    assert 'Link: "customer_id" of orders refers to "id" of customers' in notes
    assert '3 orphans: rows of orders whose "customer_id" is no "id" of customers (C9999)' in notes
    assert '40 rows of orders have no "customer_id"' in notes
    assert '"manager_id" of customers refers to "id" of the same table' in notes
    return Linked.load(out)


def test_every_child_refers_to_a_parent_that_was_made(run: Linked, tmp_path: Path) -> None:
    parents, children = (read(path) for path in run.save(tmp_path / "new", 500, seed=3))
    own = [one["id"] for one in parents]
    refer = [one["customer_id"] for one in children if one["customer_id"]]
    assert len(parents) == len(set(own)) == 500 and all(len(one) == 5 and one[0] == "C" for one in own)
    assert set(refer) <= set(own) and len({one["order_no"] for one in children}) == len(children)
    assert sum(not one["customer_id"] for one in children) == round(500 * 40 / 300)
    assert list(parents[0]) == ["id", "level", "age", "manager_id"]
    assert list(children[0]) == ["order_no", "customer_id", "channel", "quantity"]


def test_children_follow_their_parents(run: Linked, tmp_path: Path) -> None:
    parents, children = (read(path) for path in run.save(tmp_path / "new", 600))
    level, times = {one["id"]: one["level"] for one in parents}, Counter(one["customer_id"] for one in children)
    for name, (many, where) in LAW.items():
        each = [times[key] for key, found in level.items() if found == name]
        assert abs(np.mean(each) - many) < 0.15 * many + 0.2
        channels = Counter(one["channel"] for one in children if level.get(one["customer_id"]) == name)
        assert channels[where] / channels.total() > 0.6
    none = np.mean([times[key] == 0 for key, found in level.items() if found == "basic"])
    assert abs(none - np.exp(-1)) < 0.12


def test_parents_do_not_depend_on_how_many_are_asked_for(run: Linked) -> None:
    few, many = (next(iter(run.rows(n, seed=5))) for n in (20, 60))
    assert np.array_equal(few.parents, many.parents[:20])
    assert np.array_equal(few.children, many.children[: len(few.children)])


def test_parents_can_be_given(run: Linked) -> None:
    rows = list(run.rows(200, given={"level": "gold"}))
    assert len(rows) == 1 and set(rows[0].parents[:, 1]) == {"gold"} and 5 < len(rows[0].children) / 200 < 7


def test_the_figures_tell_a_good_model_from_chance(run: Linked) -> None:
    found = {one.name: one for one in together(run, run.manifest.pair(), 0)}
    assert found["integrity"].value == 1.0
    assert found["children"].value > 0.85 > found["children"].baseline
    error = found["tie_information"]
    assert error.value < 0.6 * error.baseline and error.floor < 0.1 * error.baseline
    assert found["tie_trend"].value > 0.5 * (found["tie_trend"].baseline + found["tie_trend"].floor)


def test_figures_of_known_tables() -> None:
    rng = np.random.default_rng(0)

    def kin(tied: bool) -> Kin:
        times = rng.poisson(3, 2000)
        owner, kind = np.repeat(np.arange(2000), times), rng.integers(2, size=2000)
        own = kind[owner] if tied else rng.integers(2, size=len(owner))
        return Kin(times, owner, np.stack([kind[owner], own], 1).astype(object))

    real, same, free = kin(True), kin(True), kin(False)
    names, kinds = ("parent.kind", "kind"), ("category", "category")
    good, bad = ({one.name: one.value for one in ties(made, real, names, kinds, 1, 0)} for made in (same, free))
    assert good["children"] > 0.95 and good["tie_trend"] > 0.95 and good["tie_information"] < 0.01
    assert abs(bad["tie_trend"] - 0.5) < 0.05 and bad["tie_information"] > 0.99
    assert integrity(["a", "b"], ["a", None, "b", "b"]).value == 1.0
    assert integrity(["a", "b", "b"], ["a", "b", "c", None]).value == pytest.approx(1 / 3)


def test_reports_and_info_of_both(run: Linked, call) -> None:
    told = call("report", run.path, "-n", 300, "--no-selftest")
    assert told.code == 0 and "References that hold: Of 100 made references 100 name a row" in told.out
    assert all((run.path / place / "report.json").exists() for place in (".", "customers", "orders"))
    assert json.loads((run.path / "report.json").read_text())["verdicts"].keys() == {"customers", "orders"}
    assert "orders.customer_id = customers.id" in call("info", run.path).out


def test_from_the_command_line(run: Linked, tmp_path: Path, call) -> None:
    new = run.path.with_name("new")
    assert sorted(one.name for one in new.iterdir()) == ["customers.csv", "orders.csv"]
    assert len(read(new / "customers.csv")) == 300
    told = call("sample", run.path, "-n", 30, "--out", tmp_path / "more", "--json")
    assert len(json.loads(told.out)["files"]) == 2
    assert call("resume", run.path).code == 0  # of a complete run nothing is left to do
    for wrong in (["-n", 3, "--out", tmp_path / "new.csv"], ["--balance", "level"], ["--prompt", "a"]):
        assert call("sample", run.path, *wrong).code == 2
    with pytest.raises(RunError, match="runs of two tables"):
        Run.load(run.path)


def test_an_interrupted_run_goes_on(tables: tuple[Path, Path], tmp_path: Path) -> None:
    asked = Request(str(tables[0]), "independent", children=(str(tables[1]),), steps=2, out=tmp_path / "run")
    for event in fit(asked):
        if event.stage == "finish" and (event.note or "").startswith("customers:"):
            break
    with pytest.raises(RunError, match="not both tables"):
        Linked.load(tmp_path / "run")
    *_, last = resume(tmp_path / "run")
    assert last.stage == "done" and Linked.load(tmp_path / "run").parent.recipe["data"]["items"] == 300


@pytest.mark.parametrize(
    ("link", "kind", "said"),
    [
        ("customer_id=level", DataError, "different values in 300 rows"),
        ("customer=id", OptionError, 'no column of .* "customer"'),
        ("order_no=id", DataError, "no value of \"order_no\""),
        ("=id", OptionError, "COLUMN=KEY"),
    ],
)  # fmt: skip
def test_bad_links_are_refused(tables: tuple[Path, Path], link: str, kind: type[MorelikeError], said: str) -> None:
    with pytest.raises(kind, match=said) as fault:
        open_pair([str(one) for one in tables], link)
    assert fault.value.found and fault.value.expected and fault.value.action


def test_what_cannot_be_linked_is_refused(tables: tuple[Path, Path], tmp_path: Path, call) -> None:
    other = written(tmp_path / "other.csv", "a,b", [[f"x{i}", i % 3] for i in range(50)])
    for words, said in (
        ([tables[0], other], "No column of"),
        ([*tables, other], "3 tables"),
        ([tables[0], "--link", "customer_id"], "column of"),
        ([tables[0], "--link", "id"], 'each "id" is there once'),
        ([*tables, "--family", "vae"], "cannot hold some columns"),
        ([*tables, "--codec", "text"], "Two tables"),
        ([*tables, "--given", "level"], "Leave out --given"),
        ([tables[0], "nowhere.csv"], "nowhere.csv is no file"),
        ([*tables, "--samples", "new.csv"], "A folder"),
    ):
        told = call("fit", *words, "--out", tmp_path / "run")
        assert told.code == 2 and said in told.err and "Traceback" not in told.err, words
    assert not (tmp_path / "run").exists()


def test_links_are_found_by_values_and_names() -> None:
    rng = np.random.default_rng(0)
    people = polars.DataFrame({"id": range(1, 501), "age": rng.integers(18, 90, 500)})
    visits = polars.DataFrame({"id": range(1, 3001), "age_then": rng.integers(18, 90, 3000)})
    visits = visits.with_columns(person_id=rng.integers(1, 501, 3000) + 0.0, quantity=rng.integers(1, 5, 3000))
    (found,) = keys.links(visits, people, "people")
    assert (found.column, found.key, found.share) == ("person_id", "id", 1.0) and found.reach > 0.9
    assert keys.links(people, visits, "visits") == [] and keys.own(people) == []
    codes = polars.DataFrame({"code": ["DE", "FR", "IT"], "size": [3, 2, 1]})
    towns = polars.DataFrame({"town": ["a", "b", "c", "d"], "land": ["DE", "DE", None, "IT"]})
    assert [(one.column, one.key) for one in keys.links(towns, codes, "countries")] == [("land", "code")]


def test_rows_that_belong_together_are_held_out_together(tables: tuple[Path, Path], tmp_path: Path) -> None:
    from morelike.reporting.items import prepared

    asked = Request(str(tables[1]), "mixture", steps=2, out=tmp_path / "run", settings={"together": "customer_id"})
    list(fit(asked))
    found = prepared(Run.load(tmp_path / "run"), lambda stage, share: None)
    owner = np.array([one["customer_id"] for one in read(tables[1])])
    assert len(found.held) > 50 and not (set(owner[found.kept]) & set(owner[found.held])) - {""}
    with pytest.raises(OptionError, match='Did you mean "customer_id"'):
        list(fit(Request(str(tables[1]), "mixture", steps=2, out=tmp_path / "no", settings={"together": "custmer_id"})))


def test_no_rule_is_sought_among_the_columns_of_a_parent(tables: tuple[Path, Path]) -> None:
    from morelike.codecs._rules import Rule
    from morelike.codecs.table import Codec, Config
    from morelike.data.frame import Frame

    rng = np.random.default_rng(0)
    kind = rng.integers(4, size=400)
    table = polars.DataFrame({"p.kind": kind, "p.code": kind * 3 % 7, "own": kind % 2, "other": rng.permutation(400)})
    plain = Codec().fit(Frame(table, "t")).config.kept
    owned: tuple[Rule, ...] = Codec(Config(owner="p.")).fit(Frame(table, "t")).config.kept
    assert 1 in {rule.to for rule in plain} and {rule.to for rule in owned} == {2}


# --- one table, several rows of which belong together ----------------------------------------------------------------


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 patients with 1 to 5 visits each; women weigh less, and two rows have no patient."""
    rng, rows = np.random.default_rng(5), []
    for number in range(200):
        sex, born = ("F", "M")[number % 2], f"19{40 + number % 50}-0{1 + number % 7}-11"
        rows += [[f"P{1000 + 7 * number}", sex, f"{rng.normal(60 if sex == 'F' else 85, 3):.1f}", born]
                 for _ in range(rng.integers(1, 6))]  # fmt: skip
    rows = [[i + 1, *row] for i, row in enumerate([*rows, ["", "F", "61.0", "1950-01-01"], ["", "M", "80.0", ""]])]
    return written(tmp_path_factory.mktemp("visits") / "visits.csv", "visit,patient_id,sex,weight,born", rows)


def test_rows_that_belong_together_are_learnt_as_those_of_one_owner(visits: Path, tmp_path: Path, call) -> None:
    told = call("fit", visits, "--link", "patient_id", "--family", "circuit", "--steps", 40, "--size", 8,
                "--out", tmp_path / "run")  # fmt: skip
    assert told.code == 0, told.err
    assert '"patient_id" names 200 groups of' in told.out and 'the same "sex", "born" in each' in told.out
    assert '2 rows have no "patient_id": left out' in told.out
    assert call("sample", tmp_path / "run", "-n", 150, "--out", tmp_path / "new.csv").code == 0
    rows = read(tmp_path / "new.csv")
    assert list(rows[0]) == ["visit", "patient_id", "sex", "weight", "born"]
    owners = {row["patient_id"]: (row["sex"], row["born"]) for row in rows}
    assert len(owners) == 150 and all(owners[row["patient_id"]] == (row["sex"], row["born"]) for row in rows)
    assert len({row["visit"] for row in rows}) == len(rows) > 300
    weight = {sex: np.mean([float(row["weight"]) for row in rows if row["sex"] == sex]) for sex in "FM"}
    assert weight["F"] + 10 < weight["M"]
    assert call("sample", tmp_path / "run", "-n", 5, "--given", "sex=F", "--out", tmp_path / "new").code == 0
    assert {row["sex"] for row in read(tmp_path / "new" / "visits.csv")} == {"F"}
    joint = json.loads(call("report", tmp_path / "run", "--json").out)
    assert set(joint["verdicts"]) == {"patient_id", "visits"}


def test_what_several_rows_belong_to_is_hinted_at(visits: Path, tables: tuple[Path, Path]) -> None:
    frame = polars.read_csv(visits, infer_schema=False).filter(polars.col("patient_id") != "")
    said = 'several rows belong to one "patient_id", with the same "sex", "born": --link patient_id learns them so'
    assert keys.groups(frame).startswith(said)
    assert not keys.groups(polars.read_csv(tables[1])) and not keys.groups(frame.drop("sex"))


def test_dates_of_owners_do_not_name_them(visits: Path) -> None:
    frame = (
        polars.read_csv(visits, infer_schema=False).filter(polars.col("patient_id") != "").rename({"born": "p.born"})
    )
    config = Config(together="patient_id", owner="p.", columns="patient_id=drop")
    (born,) = [one for one in Codec(config).fit(Frame(frame, "visits")).found if one.name == "p.born"]
    assert born.sizes == (50,)  # the year: 200 owners have too few of each month
