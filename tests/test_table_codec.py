"""The table codec: kinds of columns, exact round trips, rules that hold, files that are safe to open."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from morelike.codecs import table
from morelike.codecs._bins import Resolution, locate, places
from morelike.codecs._columns import Column
from morelike.codecs._dates import say_date
from morelike.codecs._identifiers import counted, pattern_of, spelt
from morelike.codecs._numerals import Style, numbers, style_of
from morelike.codecs.table import Codec, Config
from morelike.core.codec import Codec as Protocol
from morelike.core.codec import Item
from morelike.core.errors import DataError, OptionError
from morelike.recipes import configure, load_codec, save_codec

pl = pytest.importorskip("polars")
RNG = np.random.default_rng(0)


class Rows(list):
    """Items with their table beside them, as a source gives them."""

    def __init__(self, frame) -> None:
        super().__init__(Item(f"row {i}", lambda i=i: frame.row(i, named=True)) for i in range(frame.height))
        self.table = frame


def fitted(cells: dict, **config) -> tuple[Codec, np.ndarray, np.ndarray]:
    """A codec, the cells of the rows, and the rows that come back."""
    items = Rows(pl.DataFrame(cells))
    codec = Codec(Config(**config)).fit(items)
    x = np.concatenate(list(codec.prepare_all(items)))
    return codec, x, codec.decode(torch.from_numpy(x))


def column(cells: list, **config):
    """What one column is taken for, and what comes back of it; another column is there to learn."""
    codec, _, rows = fitted({"it": cells, "other": ["ab"[i % 2] for i in range(len(cells))]}, **config)
    return codec.found[0], rows[:, 0].tolist()


# --- kinds -----------------------------------------------------------------------------------------------------------


def test_very_large_numbers_are_numbers_unless_they_are_whole_and_name_the_rows() -> None:
    """Beyond 2^53 a float counts no more; as whole numbers such are names."""
    values = np.random.default_rng(1).lognormal(0, 2, 300)
    for large in ([f"{one:.6g}" for one in values * 1e300], (values * 1e18).tolist(), (values * 1e300).tolist(),
                  [f"{one:.1f}" for one in values * 1e18]):  # fmt: skip
        found, rows = column(large)
        assert found.kind == "number" and not found.style.decimals
        real = np.array(large, float)
        assert np.corrcoef(np.log(real), np.log(np.array(rows, float)))[0, 1] > 0.95
        assert min(rows) >= real.min() and max(rows) <= real.max()
    assert column([str(10**18 + 7 * i * i) for i in range(300)])[0].kind == "identifier"
    found, rows = column(((values - values.mean()) / values.max() * np.finfo(float).max).tolist())
    assert np.isfinite(np.array(rows)).all()


@pytest.mark.parametrize(
    ("cell", "pattern"),
    [
        ("1949-03", "%Y-%m"), ("3/9/2010 8:26", "%-d/%-m/%Y %-H:%M"), ("30-OCT-21", "%d-%^b-%y"),
        ("18.00.00", "%H.%M.%S"), ("4:23 pm", "%-I:%M %P"), ("October 3, 2020", "%B %-d, %Y"),
        ("2023-02-20T18:44:41+02:00", "%Y-%m-%dT%H:%M:%S+02:00"), ("2023-02-20 18:44:41.250", "%Y-%m-%d %H:%M:%S%.3f"),
    ],
)  # fmt: skip
def test_dates_are_written_as_they_were(cell: str, pattern: str) -> None:
    found, back = column([cell] * 30 + [""])
    assert found.kind == "date" and found.pattern == pattern
    assert found.say(back[0])[:8] == cell[:8]


def test_identifiers_of_rows_that_are_shown_are_as_long_as_real_ones() -> None:
    found, _ = column([f"AB{100_000 + 7 * i}" for i in range(300)])
    shown = found.decode(np.zeros((50, 0), int), np.linspace(0, 0.999, 50))
    assert found.kind == "identifier" and all(re.fullmatch(r"AB10\d{4}", one) for one in shown)


def test_identifiers_keep_the_place_of_signs() -> None:
    found, back = column([f"10.0.{i % 7 * 31}.{i}" for i in range(200)])
    assert found.kind == "identifier" and all(re.fullmatch(r"10\.0\.\d+\.\d+", one) for one in back)


@pytest.mark.parametrize(
    ("cells", "kind", "first"),
    [
        ([str(i % 5) for i in range(90)], "number", 0),
        ([f"{i % 5}.50" for i in range(90)], "number", 0.5),
        ([["yes", "no"][i % 2] for i in range(90)], "boolean", "yes"),
        ([str(i % 2) for i in range(90)], "boolean", 0),
        ([["red", "green", "blue"][i % 3] for i in range(90)], "category", "red"),
        ([f"0{i % 30:03}" for i in range(90)], "category", "0000"),
        ([f"U10{i % 30:02}" for i in range(90)], "category", "U1000"),
        ([f"17{i:02}-01-1{i % 9}" for i in range(90)], "date", datetime.date(1700, 1, 10)),
        ([f"{i % 24:02}:{i % 60:02}" for i in range(90)], "date", datetime.time(0, 0)),
        (["x"] * 90, "constant", "x"),
        ([""] * 90, "constant", None),
        ([f"patient {i} came back again with a cough" for i in range(90)], "text", None),
    ],
)
def test_kinds_are_guessed(cells: list[str], kind: str, first: object) -> None:
    found, back = column(cells)
    assert found.kind == kind
    assert back[0] == first and type(back[0]) is type(first)
    if kind not in ("text", "constant"):
        assert [found.say(one) for one in back] == cells  # written as they were


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("row", [str(i + 5) for i in range(90)]),
        ("patient_id", [str(7 * i * i + 1000) for i in range(90)]),
        ("code", [f"M{i * 37 % 1000:03}-x" for i in range(90)]),
    ],
)
def test_identifiers_are_made_up_afresh(name: str, cells: list[str], tmp_path: Path) -> None:
    codec, x, rows = fitted({name: cells, "other": ["ab"[i % 2] for i in range(90)]})
    assert codec.kinds == ("identifier", "category") and x.shape == (90, 1)
    codec.write(np.concatenate([rows] * 3), tmp_path / "a.csv")
    written = pl.read_csv(tmp_path / "a.csv", infer_schema=False)[name].to_list()
    assert len(set(written)) == 270  # numbered through
    if name == "code":
        assert all(len(one) == 6 and one[0] == "M" and one[-2:] == "-x" for one in written)


def test_the_user_may_say_what_a_column_is() -> None:
    cells = {"a": [str(i % 30) for i in range(90)], "b": [str(i) for i in range(90)], "c": ["x", "y", "z"] * 30}
    codec, _, rows = fitted(cells, columns="a=category,b=drop", rules=False)
    assert codec.columns == ("a", "c") and codec.kinds == ("category", "category")
    assert rows[:, 0].tolist() == cells["a"]
    with pytest.raises(OptionError, match='"c" holds x, y, z'):
        fitted(cells, columns="c=number")
    with pytest.raises(OptionError, match='There is no column "A"'):
        fitted(cells, columns="A=number")
    with pytest.raises(OptionError, match='Did you mean "number"'):
        Config(columns="a=numbr")
    assert table.asked("last, first=category,x=number") == {"last, first": "category", "x": "number"}


@pytest.mark.parametrize(
    ("cells", "style"),
    [
        (["1", "20", "-3"], Style()),
        (["1.50", "20.25"], Style(decimals=2, places=2)),
        (["1.5", "20.25"], Style(decimals=2, places=1)),
        (["3.0", "4.0"], Style(decimals=0, places=1)),
        (["1,5", "2,25"], Style(point=",", decimals=2, places=1)),
        (["$1,234.50", "$99.00"], Style("$", "", ",", ".", 1, 2)),
        (["1.234,5 €", "17,5 €"], Style("", " €", ".", ",", 1, 1)),
        (["1,234", "12,345,678"], Style("", "", ",", ".", 0, 0)),
        (["5 %", "17 %"], Style("", " %")),
        (["1e-7", "2.5e3"], Style(decimals=None)),
        (["007", "012"], None),
        (["U100", "U200"], None),
        (["10-20", "20-30"], None),
    ],
)
def test_how_numbers_are_written(cells: list[str], style: Style | None) -> None:
    found = style_of(cells)
    assert found == style or (style and style.decimals is None and found and found.decimals is None)
    if style and style.decimals is not None:
        from morelike.codecs._numerals import numbers

        assert [style.say(value) for value in numbers(pl.Series(cells), style).to_list()] == cells


def test_dates_of_any_year_are_written_alike() -> None:
    assert say_date(datetime.date(7, 3, 5), "%d.%m.%Y") == "05.03.0007"
    assert (
        say_date(datetime.datetime(1999, 12, 5, 7, 8, 9, 250_000), "%-m/%-d/%Y %H:%M:%S%.f") == "12/5/1999 07:08:09.25"
    )
    assert say_date(datetime.date(1850, 3, 5), "%d %b %Y") == "05 Mar 1850"


def test_days_that_a_month_lacks_are_its_last() -> None:
    found = Column("day", "date", "Date", parts=((2024,), tuple(range(1, 13)), tuple(range(1, 32)), (0,), (0,), (0,)))
    codes = np.array([[1, 30], [3, 30], [11, 30]])  # 31 February, 31 April, 31 December
    days = [datetime.date(2024, 2, 29), datetime.date(2024, 4, 30), datetime.date(2024, 12, 31)]
    assert found.decode(codes, np.zeros(3)).tolist() == days


def test_types_of_parquet_come_back(tmp_path: Path) -> None:
    day, n = datetime.datetime(2020, 3, 1), 300
    hours = pl.Series([day + datetime.timedelta(hours=5 * i) for i in range(n)])
    cells = {
        "zone": hours.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin"),
        "ms": hours.cast(pl.Datetime("ms")), "time": hours.dt.time(), "day": hours.dt.date(),
        "f": pl.Series(RNG.normal(size=n), dtype=pl.Float32), "i": pl.Series(range(n), dtype=pl.Int64) % 7,
        "money": pl.Series([f"{i * 37 % 1000}.25" for i in range(n)]).cast(pl.Decimal(10, 2)),
        "cat": pl.Series(["a", "b", "c"] * 100, dtype=pl.Categorical),
        "enum": pl.Series(["a", "b", "c"] * 100, dtype=pl.Enum(["c", "b", "a", "z"])), "yes": [True, False, True] * 100,
    }  # fmt: skip
    cells["i"] = cells["i"].cast(pl.Int8)
    codec, _, rows = fitted(cells, rules=False)
    codec.write(rows, tmp_path / "new.parquet")
    back, table = pl.read_parquet(tmp_path / "new.parquet"), pl.DataFrame(cells)
    assert back.schema == table.schema
    assert back["zone"].dt.hour().to_list() == table["zone"].dt.hour().to_list()
    assert (back["money"] - table["money"]).abs().max() <= 90 and not back["money"].null_count()


def test_missing_cells_are_modelled_and_written_as_they_were() -> None:
    found, back = column([["3", "?", "5", "NA", "?"][i % 5] for i in range(100)])
    assert back[:5] == [3, None, 5, None, None] and [found.say(one) for one in back[:3]] == ["3", "?", "5"]
    found, back = column([["none", "?", "a"][i % 3] for i in range(99)])
    assert back[:3] == ["none", None, "a"]  # a value like others in a column of words


def test_mixed_cells_infinities_and_words() -> None:
    found, back = column([str(3 * i) if i % 20 else "broken" for i in range(400)])
    assert found.kind == "number" and back[0] == "broken" and back[1] in range(3, 1_200)
    assert "the words broken" in found.said
    found, back = column([["inf", "-inf"][i % 2] if i < 40 else str(i) for i in range(900)])
    assert back[:40] == [None] * 40 and "40 no number" in found.said
    found, back = column([["1", "x", "2.5", "y"][i % 4] for i in range(100)])
    assert found.kind == "category" and back[:4] == ["1", "x", "2.5", "y"]


def test_rare_values_share_a_number_and_come_back() -> None:
    cells = ["a"] * 500 + ["b"] * 300 + [f"r{i}" for i in range(40)] * 1
    found, back = column(cells)
    assert found.sizes == (3,) and "40 of them rare and pooled (40 rows)" in found.said
    assert back[:800] == cells[:800] and set(back[800:]) <= set(cells[800:])


def test_a_column_with_nothing_to_learn_is_refused() -> None:
    with pytest.raises(DataError, match="no column to learn"):
        fitted({"a": ["x"] * 30, "b": [""] * 30})


# --- bins ------------------------------------------------------------------------------------------------------------


def test_ties_stay_together_and_a_mass_is_a_group_of_its_own() -> None:
    values, counts = np.arange(-50.0, 50.0), np.ones(100, np.int64)
    counts[50] = 900  # 0, in the midst of others
    low, high, groups = places(values, counts, Resolution(8, 4, 10))
    zero = locate(np.array([0.0]), low)[0]
    assert low[zero] == high[zero] == 0 and zero in groups
    assert (locate(values, low) == np.searchsorted(high, values)).all()  # each value in one place
    assert len(groups) <= 2 + 8 and (np.diff([*groups, len(low)]) <= 4).all()


@pytest.mark.parametrize("decimals", [0, 2, None])
def test_numbers_come_back_within_their_place(decimals: int | None) -> None:
    values = RNG.lognormal(3, 1.5, 5_000)
    values = values if decimals is None else np.round(values, decimals)
    codec, x, rows = fitted({"v": values.astype(np.int64) if decimals == 0 else values, "k": ["a", "b"] * 2_500})
    back, (low, high) = rows[:, 0].astype(float), (np.array(codec.found[0].low), np.array(codec.found[0].high))
    place = locate(values, low)
    assert ((back >= low[place]) & (back <= high[place])).all()
    assert isinstance(rows[0, 0], int if decimals == 0 else float)
    again = np.concatenate(
        list(codec.prepare_all(Rows(pl.DataFrame({"v": rows[:, 0].tolist(), "k": ["a", "b"] * 2_500}))))
    )
    assert (again == x).all()  # what was drawn has the same cells
    if decimals:
        assert (np.round(back, decimals) == back).all()
    assert abs(np.quantile(back, [0.1, 0.5, 0.9]) / np.quantile(values, [0.1, 0.5, 0.9]) - 1).max() < 0.01


def test_draws_depend_on_the_row_alone() -> None:
    codec, x, rows = fitted({"v": RNG.normal(size=4_000), "k": ["a", "b", "c", "d"] * 1_000})
    cells = torch.from_numpy(x)
    assert (codec.decode(cells[100:101]) == rows[100:101]).all()
    assert (codec.decode(cells.flip(0)) == rows[::-1]).all()


def test_small_tables_have_fewer_bins() -> None:
    sizes = {n: fitted({"v": RNG.normal(size=n), "k": (["a", "b"] * n)[:n]})[0].sizes for n in (200, 1_000, 8_000)}
    assert sizes[200][0] < sizes[1_000][0] < sizes[8_000][0] == 32 and sizes[200][1] < sizes[8_000][1]


# --- rules -----------------------------------------------------------------------------------------------------------


def test_columns_that_follow_are_found_dropped_and_worked_out() -> None:
    town = RNG.integers(0, 40, 2_000)
    a, b = np.round(RNG.uniform(0, 100, (2, 2_000)), 2)
    columns = {
        "town": [f"t{i}" for i in town], "country": [f"c{i % 6}" for i in town], "a": a, "b": b,
        "total": np.round(a + b, 2), "rest": np.round(100 - a, 2), "fahrenheit": np.round(1.8 * b + 32, 1), "same": a,
        "noise": RNG.integers(0, 3, 2_000),
    }  # fmt: skip
    codec, x, rows = fitted(columns)
    said = {rule.said for rule in codec.config.kept if rule.derives}
    assert said == {
        '"town" settles "country"', '"total" = "a" + "b"', '"rest" = 100 - "a"', '"fahrenheit" = 32 + 1.8 "b"',
        '"same" = "a"',
    }  # fmt: skip
    assert x.shape[1] == 1 + 2 + 2 + 1
    assert (rows[:, 0] == columns["town"]).all() and (rows[:, 1] == columns["country"]).all()
    made = rows[:, [2, 3, 4, 5]].astype(float)
    assert np.abs(made[:, 0] + made[:, 1] - made[:, 2]).max() < 1e-9
    assert np.abs(100 - made[:, 0] - made[:, 3]).max() < 1e-9


@pytest.mark.parametrize(("cells", "step"), [
    ((RNG.integers(5, 2_000, 3_000) * 100).tolist(), 100), ([f"{one}.99" for one in RNG.integers(0, 900, 3_000)], 1),
    ((RNG.integers(0, 4_000, 3_000) * 0.25).tolist(), 0.25), (RNG.integers(0, 9_000, 3_000).tolist(), 1),
    ([f"{one:.2f}" for one in RNG.gamma(2, 50, 3_000)], 0.01), (RNG.normal(size=3_000).tolist(), 0),
])  # fmt: skip
def test_numbers_come_out_in_the_steps_in_which_they_were(cells: list, step: float) -> None:
    found, made = column(cells)
    assert found.step == pytest.approx(step)
    if step:
        rest = (np.array(made, float) - float(cells[0])) / step
        assert np.abs(rest - np.rint(rest)).max() < 1e-6 and len(set(made) - set(map(float, cells))) > 0


def test_what_holds_by_chance_is_no_rule() -> None:
    columns = {"many": [f"v{i}" for i in range(300)] * 2, "rare": ["a"] * 596 + ["b"] * 4, "free": RNG.normal(size=600)}
    codec, _, _ = fitted(columns, columns="many=category")
    assert not codec.config.kept


def test_a_total_may_have_a_fixed_fee_and_a_part_that_is_nearly_always_nothing() -> None:
    fare, tip = RNG.gamma(2, 5, 900).round(2), RNG.gamma(1, 2, 900).round(2)
    toll = np.where(np.arange(900) % 60 == 7, 5.54, 0.0)
    columns = {"fare": fare, "tip": tip, "toll": toll, "total": (fare + tip + toll + 0.5).round(2)}
    codec, _, rows = fitted(columns)
    assert [rule.said for rule in codec.config.kept if rule.derives] == ['"total" = 0.5 + "fare" + "tip" + "toll"']
    made = rows.astype(float)
    assert np.abs(made[:, :3].sum(1) + 0.5 - made[:, 3]).max() < 1e-9


def test_names_that_are_sometimes_written_otherwise_come_out_as_they_usually_are() -> None:
    code = RNG.integers(0, 300, 6_000)
    name = [f"item {one}" if i % 250 else "damaged" for i, one in enumerate(code)]
    columns = {"code": [f"C{one}" for one in code], "name": name, "place": [f"P{i % 30}" for i in range(6_000)]}
    codec, _, rows = fitted(columns)
    (rule,) = codec.config.kept
    assert rule.said == '"code" settles "name" in 99.6 % of the rows, as in all that are made'
    assert all(row[1] == row[0].replace("C", "item ") for row in rows)
    few = {"code": [f"C{i}" for i in range(900)], "name": [f"N{i % 30}" for i in range(900)], "v": RNG.normal(size=900)}
    assert not fitted(few, columns="code=category,name=category")[0].config.kept  # one row of each code: by chance


def test_orders_are_kept_by_drawing_again() -> None:
    low = RNG.normal(size=4_000)
    high = low + RNG.exponential(0.3, 4_000)
    codec, _, rows = fitted({"low": low, "high": high, "other": RNG.normal(size=4_000)})
    assert [rule.said for rule in codec.config.kept] == ['"low" ≤ "high"']
    plain = codec._drawn(*(lambda x: (x, table.hashed(x)))(np.stack([codec.prepare(Item("", lambda i=i: {
        "low": low[i], "high": high[i], "other": 0.0})) for i in range(200)]).astype(np.int64)))  # fmt: skip
    assert codec.kept(rows).mean() > codec.kept(plain).mean() > 0.3
    assert not codec.kept(np.array([[2.0, 1.0, 0.0]], object))[0]
    assert codec.kept(np.array([[2.0, None, 0.0]], object))[0]


# --- the codec as the others see it ----------------------------------------------------------------------------------


def test_the_codec_keeps_the_protocol_and_survives_being_stored() -> None:
    columns = {
        "n": [str(i % 9) for i in range(300)], "x": [f"{i / 7:.3f}" for i in range(300)],
        "day": ["2020-01-02", "?"] * 150, "kind": ["a", "b", "c"] * 100, "ok": ["yes", "no"] * 150,
    }  # fmt: skip
    codec, x, rows = fitted(columns)
    assert isinstance(codec, Protocol) and codec.natural == "table"
    stored = json.loads(json.dumps(save_codec(codec, {}), allow_nan=False))
    loaded, _ = load_codec(stored)
    assert loaded.config == codec.config and loaded.preparation == codec.preparation
    assert (loaded.decode(torch.from_numpy(x)) == rows).all()
    assert configure(Config, asdict(codec.config)) == codec.config


def test_any_cells_can_be_decoded() -> None:
    codec, x, _ = fitted(
        {"v": RNG.normal(size=900), "k": ["a", "b", ""] * 300, "d": ["2020-02-03 10:00", "", "1870-12-31 23:59"] * 300}
    )
    cells = torch.stack([torch.randint(0, size, (500,)) for size in codec.sizes], 1)
    rows = codec.decode(cells)
    low, high = codec.found[0].low[0], codec.found[0].high[-1]
    assert rows.shape == (500, 3) and all(low <= value <= high for value in rows[:, 0])
    assert len(codec.html(rows)) == 500 and "<tr><th>v</th>" in codec.html(rows)[0]


def test_the_spec_says_how_many_values_each_cell_takes() -> None:
    pytest.importorskip("morelike.nn.rows")
    codec = table.tiny()
    for needs in ("log_prob", "rsample"):
        spec = codec.spec(needs)
        assert spec.sizes == codec.sizes == (4, 4, 3, 2) and spec.tokens == 4 and spec.end is None
        made = spec.head(torch.randn(5, *spec.head_shape)).sample()
        assert made.shape == (5, 4) and codec.decode(made).shape == (5, 3)


def test_some_cells_can_be_known() -> None:
    columns = {
        "v": RNG.normal(size=900), "k": ["a", "b", ""] * 300, "same": ["A", "B", ""] * 300, "n": [3, 4, 9, 10] * 225,
        "ok": [True, False, True] * 300, "day": [datetime.date(2020, 1, 1 + i % 25) for i in range(900)],
    }  # fmt: skip
    codec, x, rows = fitted(columns)
    assert codec.known({"k": "b"}).tolist() == [-1, -1, int(x[1, 2]), -1, -1]
    assert codec.known({"same": "B"}).tolist() == codec.known({"k": "b"}).tolist()  # which settles it
    kept = [name for name in columns if name not in ("same", "ok")]
    assert codec.known({name: rows[4, codec.columns.index(name)] for name in kept}).tolist() == x[4].tolist()
    wrong = [
        ({"k": "q"}, "value of"), ({"kk": "a"}, 'Did you mean "k"'), ({"same": "C"}, "nothing leads"),
        ({"v": 99}, "seen: -"),
        ({"n": 5}, "3, 4, 9, 10"), ({"day": "soon"}, "date such as 2020-01-01"), ({"v": "many"}, '"v" is many'),
    ]  # fmt: skip
    for given, said in wrong:
        with pytest.raises(OptionError, match=said):
            codec.known(given)


def test_types_of_a_frame_are_kept(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "i": pl.Series([i % 50 for i in range(400)], dtype=pl.Int16),
            "f": pl.Series(RNG.normal(size=400), dtype=pl.Float32),
            "b": [i % 3 == 0 for i in range(400)], "s": ["x", "y", None, "z"] * 100,
            "d": [datetime.date(1890, 1, 1 + i % 28) for i in range(400)],
            "t": [datetime.datetime(2020, 1, 1, i % 24, 30) for i in range(400)],
            "c": pl.Series(["p", "q"] * 200, dtype=pl.Categorical),
        }
    )  # fmt: skip
    items = Rows(frame)
    codec = Codec(Config(rules=False)).fit(items)
    rows = codec.decode(torch.from_numpy(np.concatenate(list(codec.prepare_all(items)))))
    codec.write(rows, tmp_path / "a.parquet")
    back = pl.read_parquet(tmp_path / "a.parquet")
    assert back.columns == frame.columns
    for name in ("b", "s", "d", "t"):
        assert back[name].equals(frame[name]), name
    assert [back[name].dtype for name in "if"] == [pl.Int16, pl.Float32]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"])
def test_files_hold_what_was_written(suffix: str, tmp_path: Path) -> None:
    if suffix == ".xlsx":
        pytest.importorskip("xlsxwriter")
        pytest.importorskip("python_calamine")
    from morelike.data.frame import open_frame

    columns = {"n": [str(i % 9) for i in range(40)], "k": ["a, b", 'say "x"', "two\nlines", "plain"] * 10}
    codec, _, rows = fitted(columns, rules=False)
    with codec.writer(tmp_path / f"a{suffix}") as out:
        out.add(rows[:25])
        out.add(rows[25:])
    if suffix == ".jsonl":
        found = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        assert [one["n"] for one in found] == [i % 9 for i in range(40)]
        return
    found = open_frame(tmp_path / f"a{suffix}").items.table
    assert [int(one) for one in found["n"].to_list()] == [i % 9 for i in range(40)]
    assert found["k"].to_list() == columns["k"]
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_formulas_are_defused_and_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    cells = ["=cmd|'/C calc'!A0", "@sum(a1)", "+1|x", "-5", "< 0 DM", "ok"] * 20
    codec, _, rows = fitted({"k": cells, "o": ["a", "b"] * 60})
    codec.write(rows, tmp_path / "a.csv")
    written = pl.read_csv(tmp_path / "a.csv", infer_schema=False)["k"].to_list()
    assert written[:6] == ["'=cmd|'/C calc'!A0", "'@sum(a1)", "'+1|x", "-5", "< 0 DM", "ok"]
    with pytest.raises(OptionError, match=r"\.csv"):
        codec.write(rows, tmp_path / "a.png")
    with pytest.raises(ZeroDivisionError), codec.writer(tmp_path / "b.csv") as out:
        out.add(rows)
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_made_up_names_are_different() -> None:
    assert sorted(counted(range(90), 10, 99, False)) == list(range(10, 100))
    assert counted(range(3), 10, 99, True) == [10, 11, 12]
    assert pattern_of(["A-01f", "B-2a0"]) == "%u=-%d%x%x" or pattern_of(["A-01f", "B-2a0"]).startswith("%X")
    assert len(set(spelt(range(1_000), "=A%d%d%d"))) == 1_000


# --- what is wrong with a table --------------------------------------------------------------------------------------


def test_a_survey_tells_what_is_wrong() -> None:
    n = 1_000
    amount = RNG.normal(100, 5, n).round(6)
    amount[7] = 1e6
    columns = {
        "id": [str(i) for i in range(n)], "amount": amount, "gap": [str(i % 7) if i % 2 else "" for i in range(n)],
        "mail": [f"person{i % 9}@example.org" for i in range(n)], "town": [f"t{i % 9}" for i in range(n)],
        "one": ["x"] * n,
    }  # fmt: skip
    frame = pl.DataFrame(columns)
    frame = pl.concat([frame, frame[:60].with_columns(pl.Series("id", [str(5_000 + i) for i in range(60)]))])
    items = Rows(frame)
    found = {one.kind: one for one in Codec().fit(items).survey(items)}
    assert found["repeated_rows"].rows[:2] == (1_000, 1_001) and found["repeated_rows"].severity == "warn"
    assert found["outliers"].rows == (7, 1_007)
    assert found["personal_data"].severity == "warn" and "example" not in str(found["personal_data"])
    assert {"identifier_columns", "constant_columns", "missing_cells", "derived_columns"} <= found.keys()


def test_check_and_fit_print_the_columns(tmp_path: Path) -> None:
    from morelike.auditing.full import audit
    from morelike.cli.check import summary
    from morelike.recipes import Request

    text = "age,sex\n" + "".join(f"{20 + i % 40},{'mf'[i % 2]}\n" for i in range(300))
    (tmp_path / "a.csv").write_text(text)
    lines = summary(audit(Request(str(tmp_path / "a.csv"))))
    assert any(line.startswith("  age: number, whole, 20 to 59, 40 values") for line in lines)
    assert any(line.startswith("  sex: category, f, m") for line in lines)


# --- real tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["adult_census/adult.csv", "german_credit/german_credit.csv", "medical_tables/heart_cleveland.csv"]
)
def test_real_tables_come_back(name: str, shared: Path) -> None:
    from morelike.data.frame import open_frame

    if not (shared / "data" / name).is_file():
        pytest.skip(f"{name} is not here")
    items = open_frame(shared / "data" / name).items
    codec = Codec().fit(items)
    rows = codec.decode(torch.from_numpy(np.concatenate(list(codec.prepare_all(items)))))
    assert list(codec.columns) == items.table.columns
    for number, column in enumerate(codec.found):
        real = [one or column.hole for one in items.table[column.name].to_list()]
        made = [column.say(one) for one in rows[:, number]]
        if column.low:
            real, made = column.floats(items.table[column.name]), rows[:, number].astype(float)
            assert (locate(real, np.array(column.low)) == locate(made, np.array(column.low))).all()
        elif not column.rare:
            assert made == real, column.name


def test_dates_stay_between_the_first_and_the_last() -> None:
    days = [datetime.date(2010, 12, 1) + datetime.timedelta(days=i % 60) for i in range(300)]
    found, _ = column([str(day) for day in days])
    codes = np.stack([RNG.integers(0, size, 500) for size in found.sizes], 1)
    made = found.decode(codes, RNG.random(500))
    assert min(made) >= days[0] and max(made) <= datetime.date(2011, 1, 29) and len(set(made)) > 30


def test_codes_that_are_mostly_digits_stay_codes() -> None:
    found, _ = column([f"{'C' if i % 40 == 0 else ''}{536365 + i // 4}" for i in range(2_000)])
    assert found.kind == "category" and sum(str(one).startswith("C") for one in found.rare) == 50


def test_spans_of_time_are_numbers_of_seconds() -> None:
    found, back = column([datetime.timedelta(seconds=i) for i in range(50)])
    assert found.kind == "number" and found.stored.startswith("Duration") and set(back) <= set(range(50))


def test_a_value_that_hardly_a_row_has_is_told() -> None:
    items = Rows(pl.DataFrame({"fraud": [int(i % 200 == 7) for i in range(1000)], "sum": [i % 97 for i in range(1000)],
                               "even": [i % 2 for i in range(1000)]}))  # fmt: skip
    (found,) = [one for one in Codec().fit(items).survey(items) if one.kind == "rare_value"]
    assert found.title == '"fraud" is 1 in 5 of 1,000 rows' and "--balance fraud" in found.action


# --- how people write numbers and dates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "minus"),
    [("({:,.2f})", "round"), ("{:.2f}-", "last"), ("-${:,.2f}", "first"), ("\u2212{:.2f}", "long")],
)
def test_numbers_below_zero_are_told_in_many_ways(way: str, minus: str) -> None:
    plain = "$" * minus.startswith("first") + ("{:,.2f}" if "," in way else "{:.2f}")
    values = np.random.default_rng(3).normal(0, 900, 200).round(2).tolist()
    cells = [way.format(-one) if one < 0 else plain.format(one) for one in values]
    found, back = column(cells)
    assert found.kind == "number" and found.style.minus == minus and min(back) < 0 < max(back)
    assert [found.say(one) for one in values] == cells
    assert np.allclose(found.floats(pl.Series(cells)), values)


def test_a_sign_in_another_way_is_no_number_of_the_column() -> None:
    assert style_of([*map(str, range(-40, 40)), "(5)", "7-"]) == Style()
    assert Style(decimals=1, places=1).say(-0.02) == "0.0"


def test_exponents_come_back() -> None:
    found, back = column([f"{one:.3E}" for one in np.random.default_rng(0).lognormal(0, 4, 300)])
    assert found.style.exponent == "E" and all(re.fullmatch(r"\d\.\d{3}E[-+]\d\d", found.say(one)) for one in back)


def test_bounds_of_what_can_be_measured_stay_words_among_numbers() -> None:
    """However many cells lie below it: a category of hundreds of numbers would know nothing of their order."""
    values = np.random.default_rng(0).lognormal(0, 1.5, 600)
    found, back = column(["<0.5" if one < 0.5 else ">9" if one > 9 else f"{one:.2f}" for one in values])
    assert found.kind == "number" and set(found.values) == {"<0.5", ">9"}
    assert sum(one == "<0.5" for one in back) == (values < 0.5).sum()


def test_the_dot_of_sas_is_written_as_it_was() -> None:
    found, back = column([f"{i % 89}.5" if i % 7 else "." for i in range(300)])
    assert found.hole == "." and {found.say(one) for one in back[::7]} == {"."}


@pytest.mark.parametrize(
    "cells",
    [
        ["3 mars 2020", "14 août 2021", "1 févr. 2020"][:2] * 30,
        ["03. März 2020", "14. Dezember 2021"] * 30,
        ["03-ene-2020", "14-dic-2021"] * 30,
        ["Mär 2020", "Okt 2021", "Mai 2021"] * 20,
        ["1 de enero de 2020", "13 de marzo de 2021"] * 30,
        ["9 aprile 2021", "29 luglio 2021"] * 30,
        ["2020Q1", "2021Q4"] * 30,
        ["Q3 2020", "Q4 2021"] * 30,
        ["2020-W53", "2021-W07"] * 30,
        ["28FEB2020", "01MAR2021"] * 30,
        ["28FEB2020:13:30:00", "01MAR2021:00:15:59"] * 30,
    ],
)
def test_dates_of_other_languages_and_programs(cells: list[str]) -> None:
    found, back = column([*cells, cells[0]])
    assert found.kind == "date" and [found.say(one) for one in back[:60]] == cells[:60]


def test_months_that_were_not_seen_are_named_like_those_that_were() -> None:
    found, _ = column(["3 janv. 2020", "4 sept. 2020", "5 avr. 2020"] * 20)
    assert found.say(datetime.date(2020, 12, 9)) == "9 déc. 2020"


def test_days_are_compared_with_moments() -> None:
    """A date of death beside the hour of discharge."""
    days = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=31 * i) for i in range(400)]
    cells = {"in": [str(one) for one in days], "day": [str(one.date()) for one in days[3:]] + ["2025-01-01"] * 3}
    cells["out"] = [str(one + datetime.timedelta(hours=5 + i % 9)) for i, one in enumerate(days)]
    cells["last"] = [str((one + datetime.timedelta(days=2)).date()) for one in days]
    codec, _, rows = fitted(cells)
    assert any("last" in rule.said for rule in codec.config.kept)
    assert (rows[:, 2] <= [datetime.datetime.combine(one, datetime.time()) for one in rows[:, 3]]).all()


def test_a_town_settles_both_state_and_country() -> None:
    towns = [("US", "CA", "Fresno"), ("US", "NY", "Albany"), ("US", "CA", "San Diego"), ("FR", "ARA", "Lyon")] * 60
    codec, _, _ = fitted(dict(zip(("country", "state", "town"), map(list, zip(*towns, strict=True)), strict=True)))
    assert {rule.said for rule in codec.config.kept} == {'"town" settles "country"', '"town" settles "state"'}


def test_rows_are_written_as_they_were_separated(tmp_path: Path) -> None:
    items = Rows(pl.DataFrame({"wert": ["1,5", "2,25", "3,0"] * 20, "art": ["a", "b", "c"] * 20}))
    items.mark = ";"
    codec = Codec().fit(items)
    rows = codec.decode(torch.from_numpy(next(codec.prepare_all(items))))
    codec.write(rows[:2], tmp_path / "new.csv")
    codec.write(rows[:2], tmp_path / "new.tsv")
    assert (tmp_path / "new.csv").read_text() == "wert;art\n1,5;a\n2,25;b\n"
    assert (tmp_path / "new.tsv").read_text() == "wert\tart\n1,5\ta\n2,25\tb\n"


def test_a_telephone_number_is_no_formula() -> None:
    from morelike.codecs._tables import defused

    assert [defused(one)[0] for one in ("+1 (625) 687-3349", "-5", "+SUM(A1)", "-2+3|cmd", "=1")] == [*"+-'''"]


@pytest.mark.parametrize(
    "cells",
    [[f"{i / 7 - 5:+.1f}%" for i in range(90)], [f"{7919 * i:,}".replace(",", "\u2019") for i in range(1, 90)]],
)
def test_plus_signs_and_swiss_thousands_come_back(cells: list[str]) -> None:
    found = column([one for one in cells if float(one.strip("%").replace("\u2019", ""))])[0]
    assert found.kind == "number" and {found.say(found.floats(pl_series([one]))[0]) for one in cells} == {
        "0.0%" if one in ("+0.0%", "-0.0%") else one for one in cells
    }


def pl_series(cells: list[str]):
    return pytest.importorskip("polars").Series(cells)


def test_two_numbers_with_a_comma_between_are_not_one() -> None:
    assert style_of([f"{50 + i / 97:.4f},{6 + i / 89:.4f}" for i in range(90)]) is None
    thousands = style_of([f"{i * 1234:,}" for i in range(1, 90)])
    assert numbers(pl_series(["1,234", "12,5", "999"]), thousands).to_list() == [1234, None, 999]


def test_versions_are_no_times_of_day_and_addresses_of_pages_no_text() -> None:
    versions = [f"{1 + i % 3}.{i % 13}.{i % 7}" for i in range(200)]
    assert column(versions)[0].kind in ("category", "compound")
    assert column([f"{i % 24}.{i % 60:02}.{i % 50:02}" for i in range(200)])[0].kind == "date"
    pages = [f"https://example.org/shop/{'xyz'[i % 3] * (1 + i % 9)}-fine-thing-{i}" for i in range(200)]
    assert column(pages)[0].kind in ("identifier", "category", "compound")
