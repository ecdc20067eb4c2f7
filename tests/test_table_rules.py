"""Rules that a user tells a table: what can be said, what the data say to it, and that all that is made keeps them."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike import rows
from morelike.codecs._joint import joined
from morelike.codecs._told_rules import Told, told
from morelike.codecs.table import Codec, Config
from morelike.core.errors import OptionError
from morelike.data.frame import Frame
from morelike.recipes import Request, fit
from morelike.run import Run

pl = pytest.importorskip("polars")
NAMES = ("start", "end", "net", "tax", "total price", "zip", "city", "age", "a-b", "a")
RULES = "start<=end, total price=net+tax, zip->city, age in 0..90, age<91, tax>1.5, unique(email)"
CITIES = {"10115": "Berlin", "20095": "Hamburg", "80331": "Munich"}


# --- what can be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("start<=end", Told("order", ("start",), "end")),
        ("end > start", Told("below", ("start",), "end")),
        ("start ≤ 'end'", Told("order", ("start",), "end")),
        ("age >= 18", Told("range", (), "age", low="18")),
        ("18 <= age", Told("range", (), "age", low="18")),
        ("age < 18", Told("range", (), "age", high="18", strict=True)),
        ("0.5 < net", Told("range", (), "net", low="0.5", strict=True)),
        ("age in 0..120", Told("range", (), "age", low="0", high="120")),
        ("age in ..120", Told("range", (), "age", high="120")),
        ("zip->city", Told("lookup", ("zip",), "city")),
        ("unique(zip)", Told("unique", ("zip",), "zip")),
        ("total price = net + tax", Told("sum", ("net", "tax"), "total price", (1.0, 1.0))),
        ('"total price"=1.5*net - tax + 3', Told("sum", ("net", "tax"), "total price", (1.5, -1.0), 3.0)),
        ("net = age * 'total price'", Told("product", ("age", "total price"), "net")),
        ("net = a-b - a", Told("sum", ("a-b", "a"), "net", (1.0, -1.0))),
    ],
)
def test_rules_are_read(words: str, rule: Told) -> None:
    assert told(words, NAMES) == [rule]


def test_several_rules_and_chains() -> None:
    assert [one.kind for one in told("0<=start<=end; zip->city, auto", NAMES)] == ["range", "order", "lookup"]
    assert told(True, NAMES) == told("false", NAMES) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("start<=ende", 'Did you mean "end"'),
        ("total=net+tax", 'no column "total"'),
        ("start", "is no rule"),
        ("net = net + tax", "is no sum of other columns"),
        ("net = tax tax", "is no sum"),
    ],
)
def test_what_is_no_rule_is_refused(words: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        told(words, NAMES)


# --- what the data say to it -----------------------------------------------------------------------------------------


def orders() -> list[list[str]]:
    """Rows of which one has another city, one a wrong sum, and two an end before the start."""
    rng, found = random.Random(0), []
    for row in range(800):
        start, net, tax, code = rng.randint(1, 50), rng.uniform(5, 500), rng.uniform(1, 50), rng.choice(list(CITIES))
        end = start - 1 if row in (5, 9) else start + rng.randint(0, 30)
        total = round(net, 2) + round(tax, 2) + (row == 11)
        city = "Bonn" if row == 77 else CITIES[code]
        found.append([f"u{rng.randint(0, 500)}@x.org", str(start), str(end), f"{net:.2f}", f"{tax:.2f}", f"{total:.2f}",
                      code, city, str(rng.randint(0, 95))])  # fmt: skip
    return found


HEADER = ["email", "start", "end", "net", "tax", "total price", "zip", "city", "age"]


def frame(cells: list[list[str]]) -> Frame:
    columns = dict(zip(HEADER, zip(*cells, strict=True), strict=True))
    return Frame(pl.DataFrame(columns), "orders.csv", np.arange(2, len(cells) + 2))


def test_rows_that_break_a_rule_are_counted_and_named() -> None:
    codec = Codec(Config(rules=RULES)).fit(frame(orders()))
    assert 'told: "start" ≤ "end": 2 rows break it (orders.csv, line 7, line 11)' in codec.said
    assert '"total price" = "net" + "tax": 1 row breaks it (orders.csv, line 13)' in codec.said
    assert '"zip" settles "city": 1 row breaks it (orders.csv, line 79)' in codec.said
    assert codec.kinds[0] == "identifier" and codec.columns.index("city") not in codec.places
    faults = [one for one in codec.survey(frame(orders())) if one.kind == "broken_rule"]
    assert [one.rows for one in faults[:3]] == [(11,), (77,), (5, 9)]


def test_an_end_that_is_left_out_is_left_out() -> None:
    """Of whole numbers and others, between columns and beside a number."""
    cells = {"a": [str(i % 19) for i in range(950)], "w": [f"{i % 50 / 10:.1f}" for i in range(950)]}
    cells["b"] = [str(int(one) + 1 + i % 7) for i, one in enumerate(cells["a"])]
    codec = Codec(Config(rules="a<18, w>0.5, a<b, false")).fit(Frame(pl.DataFrame(cells), "t", np.arange(2, 952)))
    assert 'told: "a" is below 18: 50 rows break it' in codec.said and '"w" is above 0.5: 114 rows' in codec.said
    assert '"a" < "b"' in codec.said
    rows = np.array([[17, 0.6, 18], [18, 0.6, 19], [17, 0.5, 18], [17, 0.6, 17]], object)
    assert codec.kept(rows).tolist() == [True, False, False, False]


def test_found_rules_stay_beside_unless_they_are_not_wanted() -> None:
    cells = {"a": [str(i % 60) for i in range(900)], "b": [str(i % 60 + i % 40) for i in range(900)]}
    cells["c"] = [str(int(a) + int(b)) for a, b in zip(cells["a"], cells["b"], strict=True)]

    def kinds(words):
        return [rule.kind for rule in Codec(Config(rules=words)).fit(Frame(pl.DataFrame(cells), "t")).config.kept]

    assert kinds(True) == ["sum", "order"] == kinds("auto") and not kinds(False)
    assert kinds("a in 0..50") == ["range", "sum", "order"] and kinds("a in 0..50, false") == ["range"]
    assert kinds("c = a + b, false") == ["sum"] and kinds("c=a+b").count("sum") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("age in 200..300", "Every row breaks"),
        ("total price=net+tax, net=total price-tax", "follow from itself"),
        ("total price=net+tax, zip->total price", "follows from two rules"),
        ("city<=5", 'for the rule "city" is up to 5'),
        ("age in x..90", "is no number"),
    ],
)
def test_rules_that_cannot_be_are_refused(words: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Codec(Config(rules=words)).fit(frame(orders()))


# --- what is made ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("rules")
    with (folder / "orders.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *orders()])
    settings = {"rules": RULES, "batch": "100"}
    source, out = str(folder / "orders.csv"), folder / "run"
    *_, _ = fit(Request(source, "mixture", steps=5, size="8", out=out, settings=settings))
    return Run.load(folder / "run")


def keeps(found: np.ndarray) -> bool:
    """Whether rows keep all the rules but that of the identifier."""
    start, end, net, tax, total = (found[:, at].astype(float) for at in range(1, 6))
    pairs = all(CITIES[code] == city for code, city in found[:, 6:8].tolist())
    ages = found[:, 8].astype(float)
    sums = (abs(net + tax - total) < 0.0051).all() and (tax > 1.5).all()
    return bool((start <= end).all() and sums and pairs and (ages <= 90).all())


def test_what_is_drawn_keeps_them(run: Run, tmp_path: Path) -> None:
    many = run.sample(1200)
    assert keeps(many.array)
    assert np.array_equal(run.sample(3, seed=1100).array, many.array[1100:1103])  # each by its own seed
    many.save(tmp_path / "new.csv")
    emails = [row[0] for row in csv.reader((tmp_path / "new.csv").open())]
    assert len(set(emails)) == 1201  # more than the pattern has


@pytest.mark.parametrize(
    "given", [{"start": "49"}, {"city": "Berlin"}, {"total price": "300"}, {"age": "90", "zip": "80331"}]
)
def test_what_is_given_is_kept_with_them(run: Run, given: dict[str, str]) -> None:
    found = run.sample(60, given=given).array
    assert keeps(found)
    for name, value in given.items():
        assert set(map(str, found[:, HEADER.index(name)].tolist())) <= {value, value + ".0"}


@pytest.mark.parametrize("given", [{"age": "95"}, {"start": "40", "end": "30"}, {"zip": "80331", "city": "Berlin"}])
def test_what_cannot_be_ends_in_an_error(run: Run, given: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="break a rule") as error:
        run.sample(20, given=given)
    assert ("≤" if "start" in given else "is from" if "age" in given else "settles") in error.value.expected


def test_what_is_missing_follows_and_names_stay(run: Run, tmp_path: Path) -> None:
    holes = tmp_path / "holes.csv"
    holes.write_text(",".join(HEADER) + "\nme@x.org,30,,100,,119.00,,Hamburg,\n,,7,10.5,2.5,,10115,,3\n,9,3,,,50,,,\n")
    whole, _ = rows.filled(run, holes)
    assert whole[0, 0] == "me@x.org" and whole[0, 2] >= 30 and whole[0, 4] == 19 and whole[0, 6] == "20095"
    assert whole[1, 5] == 13 and whole[1, 7] == "Berlin" and whole[1, 1] <= 7
    assert whole[2, 1:3].tolist() == [9, 3] and abs(whole[2, 3] + whole[2, 4] - 50) < 0.0051
    assert len(set(whole[:, 0])) == 3
    city, total = (rows.predicted(run, holes, name) for name in ("city", "total price"))
    assert city["value"][1] == "Berlin" and city["probability"][1] == 1 and total["value"][1] == 13


def test_what_leads_to_a_rare_value_is_drawn_and_not_waited_for(tmp_path: Path) -> None:
    """One row in a hundred has the value, which two of many sources lead to: three times one of them."""
    cells = 15 * ["x,yes", "x,yes", "x,yes", "y,yes"] + [f"{'abcdef'[i % 6]},no" for i in range(5940)]
    (tmp_path / "t.csv").write_text("source,flag,n\n" + "".join(f"{one},{i % 9}\n" for i, one in enumerate(cells)))
    settings = {"rules": "source->flag", "rare": "1"}
    *_, _ = fit(Request(str(tmp_path / "t.csv"), "mixture", steps=10, out=tmp_path / "run", settings=settings,
                        held_out=0))  # fmt: skip
    run = Run.load(tmp_path / "run")
    found = run.sample(900, given={"flag": "yes"})
    assert set(found.array[:, 1]) == {"yes"} and 0.65 < (found.array[:, 0] == "x").mean() < 0.85
    assert np.array_equal(run.sample(5, seed=40, given={"flag": "yes"}).array, found.array[40:45])


def test_a_tax_that_was_rounded_is_a_rule() -> None:
    """Half a cent is rounded up by one program, and to the even cent by another."""
    net = np.random.default_rng(0).integers(100, 99_999, 500) / 100
    gross = [f"{np.floor(100 * one * 1.25 + 0.5 + 1e-9) / 100:.2f}" for one in net]
    codec = Codec().fit(Frame(pl.DataFrame({"net": [f"{one:.2f}" for one in net], "gross": gross}), "tax.csv"))
    assert [rule.said for rule in codec.config.kept] == ['"gross" = 1.25 "net"']


def sold(n: int = 400) -> Frame:
    draw = np.random.default_rng(0)
    pieces, price = draw.integers(1, 12, n), np.round(draw.lognormal(2, 1, n), 2)
    cells = {"pieces": pieces, "price": price, "other": np.round(draw.lognormal(2, 1, n), 2)}
    return Frame(pl.DataFrame({**cells, "total": np.round(pieces * price, 2)}).cast(pl.String), "sold.csv")


def test_a_product_is_found_and_worked_out() -> None:
    codec = Codec().fit(sold())
    (rule,) = codec.config.kept
    assert (rule.kind, rule.of, rule.to) == (
        "product",
        (0, 1),
        3,
    ) and 'rule: "total" = "pieces" × "price"' in codec.said
    assert len(codec.places) == 3
    x = codec.encode(torch.from_numpy(np.concatenate(list(codec.prepare_all(sold())))))
    made = codec.decode(x)
    assert (np.abs(made[:, 3] - made[:, 0] * made[:, 1]) < 0.0051).all()
    far = sold()
    far.table = far.table.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("1.00")).otherwise(pl.col("total")).alias("total")
    )
    assert not Codec().fit(far).config.kept
    assert "1 row breaks it" in Codec(Config(rules="total=pieces*price")).fit(far).said
    with pytest.raises(OptionError, match="two rules"):
        Codec(Config(rules="total=pieces*price,total=price+other")).fit(far)


def test_of_a_product_what_is_missing_is_solved_for() -> None:
    codec = Codec().fit(sold())
    there = np.array([[4, None, 2.0, 50.0], [None, 12.5, 2.0, 50.0], [None, None, 2.0, 50.0]], object)
    drawn = np.array([[1, 3.0, 2.0, 3.0], [1, 3.0, 2.0, 3.0], [5, 3.0, 2.0, 15.0]], object)
    rows_, good = joined(drawn, there, codec.config.kept, codec.found, True)
    assert good.all() and rows_[:, :2].tolist() == [[4, 12.5], [4, 12.5], [5, 10.0]]


def test_rules_form_chains() -> None:
    table = sold().table.with_columns(fee=pl.Series(np.round(np.random.default_rng(1).lognormal(0, 1, 400), 2)))
    both = (pl.col("total").cast(float) + pl.col("fee")).round(2)
    codec = Codec().fit(Frame(table.with_columns(to_pay=both).cast(pl.String), "sold.csv"))
    assert [(rule.kind, rule.to) for rule in codec.config.kept] == [("product", 3), ("sum", 5)]
    made = codec.decode(torch.stack([torch.randint(size, (50,)) for size in codec.sizes], 1))
    assert (np.abs(made[:, 3] - made[:, 0] * made[:, 1]) < 0.0051).all()
    assert (np.abs(made[:, 5] - made[:, 3] - made[:, 4]) < 0.0051).all()


def test_a_percentage_of_what_follows_is_found_and_nothing_comes_out_beyond_what_was_seen() -> None:
    percent = pl.Series(np.random.default_rng(2).choice([0, 5, 10, 25], 400))
    table = sold().table.with_columns(percent=percent)
    off = (-pl.col("total").cast(float) * pl.col("percent") / 100).round(2)
    table = table.with_columns(off=off).with_columns(to_pay=(pl.col("total").cast(float) + pl.col("off")).round(2))
    codec = Codec().fit(Frame(table.cast(pl.String), "sold.csv"))
    assert [(rule.kind, rule.to, rule.scales) for rule in codec.config.kept] == [
        ("product", 3, (1.0,)), ("product", 5, (-0.01,)), ("sum", 6, (1.0, 1.0)),
    ]  # fmt: skip
    assert 'rule: "off" = -0.01 × "total" × "percent"' in codec.said
    made = codec.decode(torch.stack([torch.randint(size, (500,)) for size in codec.sizes], 1))
    assert (np.abs(made[:, 5] + made[:, 3] * made[:, 4] / 100) < 0.0051).all()
    most = sold().table["total"].cast(float).max()
    beyond = made[:2].copy()
    beyond[:, 3] = most, most + 1
    assert codec.kept(beyond).tolist() == [True, False]


def test_what_follows_from_known_cells_alone_may_be_beyond_what_was_seen() -> None:
    codec = Codec().fit(sold())
    known = np.array([[11, 146.0, 2.0, None], [11, None, 2.0, None]], object)
    drawn = np.array([[1, 3.0, 2.0, 3.0], [1, 146.0, 2.0, 3.0]], object)
    assert sold().table["total"].cast(float).max() < 1500
    for strict in (True, False):
        made, good = codec.joined_with(drawn, known, strict)
        assert made[:, 3].tolist() == [1606.0, 1606.0] and good.tolist() == [True, False]
