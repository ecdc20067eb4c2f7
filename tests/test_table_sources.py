"""Tables of every kind, read with what is known to be in them, and every kind of bad table, named and survived."""

from __future__ import annotations

import datetime
import gzip
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from morelike.core.errors import DataError, OptionError
from morelike.data.frame_base import keep_frame
from morelike.data.frame_csv import has_header, scan
from morelike.data.listing import Reading
from morelike.data.sources import open_source

pl = pytest.importorskip("polars")
TABLE = Reading("table")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(count: int, line) -> str:
    return "".join(line(i) + "\n" for i in range(count))


def read(path: Path):
    return open_source(path, TABLE).items.table


PLAIN = rows(60, lambda i: f"{i % 7},{i * 1.5},x{i % 3}")


# --- how a table is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "   "])
@pytest.mark.parametrize("header", [True, False])
def test_separators_and_headers_are_told(separator: str, header: bool, tmp_path: Path) -> None:
    text = ("size,weight,kind\n" if header else "") + PLAIN
    table = read(write(tmp_path / "a.csv", text.replace(",", separator)))
    assert table.columns == (["size", "weight", "kind"] if header else ["column 1", "column 2", "column 3"])
    assert table.rows()[8] == ("1", "12.0", "x2") and table.height == 60


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str, tmp_path: Path) -> None:
    text = "Größe,Art\n" + rows(40, lambda i: f"{i % 4},{['Käfer', 'Bär', 'Löwe'][i % 3]}")
    table = read(write(tmp_path / "a.csv", text.replace("\n", end).encode(encoding)))
    assert table.columns == ["Größe", "Art"] and table["Art"].to_list()[:3] == ["Käfer", "Bär", "Löwe"]


def test_gzip_quotes_and_line_feeds_in_cells(tmp_path: Path) -> None:
    text = 'a,b\n1,"x, ""y""\nz"\n2,"plain"\n3,last'
    table = read(write(tmp_path / "a.csv.gz", gzip.compress(text.encode())))
    assert table.rows() == [("1", 'x, "y"\nz'), ("2", "plain"), ("3", "last")]


def test_a_quotation_mark_that_quotes_nothing(tmp_path: Path) -> None:
    """A length in inches at the head of every line would join two lines each, were it taken for a quote."""
    table = read(write(tmp_path / "a.csv", "size,n\n" + rows(50, lambda i: f'{i}",{i % 3}')))
    assert table.height == 50 and table["size"][7] == '7"'


def test_a_decimal_comma_is_no_separator(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", "a;b\n" + rows(50, lambda i: f"{i},25;{i % 3}")))
    assert table.columns == ["a", "b"] and table["a"][3] == "3,25"


def test_rows_are_found_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text scanned in pieces of 7 bytes gives the rows that Python's own reader gives."""
    import csv
    import io

    from morelike.data import frame_csv

    text = 'a,"b\nc",d\n1,,"x,y"\n"q""",2,3\n\nlast,"",0'
    whole = scan(text.encode(), ",", True)
    monkeypatch.setattr(frame_csv, "_PIECE", 7)
    found = scan(text.encode(), ",", True)
    assert all((one == two).all() for one, two in zip(whole, found, strict=True))
    expected = [len(row) for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert found.cells[found.ends > found.begins].tolist() == expected
    assert found.lines[found.ends > found.begins].tolist() == [1, 3, 4, 6]


@pytest.mark.parametrize(
    ("first", "below", "expected"),
    [
        (["a", "b"], ["1", "2"], True),
        (["1", "2"], ["3", "4"], False),
        (["x", "y"], ["x", "z"], False),
        (["name", "2019", "2020"], ["Ann", "5", "6"], False),
        (["id", "name"], ["1", "Ann"], True),
    ],
)
def test_headers(first: list[str], below: list[str], expected: bool) -> None:
    assert has_header([first, below, below]) is expected


# --- other files -----------------------------------------------------------------------------------------------------


def frame():
    return pl.DataFrame(
        {
            "n": list(range(30)), "x": [i / 4 for i in range(30)], "yes": [i % 2 == 0 for i in range(30)],
            "kind": ["ab"[i % 2] for i in range(30)], "day": [datetime.date(1850, 1, 1 + i) for i in range(30)],
        }
    )  # fmt: skip


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.codec == "table" and source.items.table.equals(frame())
    assert source.items[3].name == "a.parquet, row 4" and source.items[3].load()["x"] == 0.75


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for name, data in (("a.parquet", b"PAR1" + b"x" * 50), ("a.xlsx", b"PK\3\4nothing"), ("a.db", b"no database" * 9)):
        with pytest.raises(DataError, match=name):
            open_source(write(tmp_path / name, data), TABLE)


def test_workbooks(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        book.add_worksheet("empty")
        sheet = book.add_worksheet("data")
        for row, cells in enumerate([["title"], ["n", "kind"], *[[i, "ab"[i % 2]] for i in range(20)]]):
            sheet.write_row(row, 0, cells)
    table = read(tmp_path / "a.xlsx")
    assert table.columns == ["n", "kind"] and table["n"].to_list() == list(range(20))
    with pytest.raises(OptionError, match='Did you mean "data"'):
        open_source(f"{tmp_path / 'a.xlsx'}::dat", TABLE)


def test_databases(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "clinic.db")
    base.execute("create table visits (id integer, age real, sex text)")
    base.executemany("insert into visits values (?, ?, ?)", [(i, 20.0 + i, "mf"[i % 2]) for i in range(40)])
    base.commit()
    assert read(tmp_path / "clinic.db").shape == (40, 3)
    base.execute("create table other (a integer)")
    base.commit()
    with pytest.raises(DataError, match="2 tables: visits, other"):
        open_source(tmp_path / "clinic.db")
    query = open_source(f"{tmp_path / 'clinic.db'}::select age, sex from visits where id < 10")
    assert query.items.table.shape == (10, 2) and query.items.table["age"].dtype == pl.Float64
    with pytest.raises(DataError, match="readonly|read"):
        open_source(f"{tmp_path / 'clinic.db'}::delete from visits where 1")
    assert base.execute("select count(*) from visits").fetchone() == (40,)


def test_frames_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path))
    assert read(keep_frame(frame())).equals(frame())
    assert keep_frame(frame()) == keep_frame(frame().lazy())
    odd = pl.DataFrame({"a": pl.Series([1, "x", complex(1, 2)], dtype=pl.Object)})
    assert read(keep_frame(odd))["a"].to_list() == ["1", "x", "(1+2j)"]


class Cells(list):
    """What is used of a column, or a level of the index, of pandas."""

    def __init__(self, cells: list, dtype: object = "object") -> None:
        super().__init__(cells)
        self.dtype = dtype

    def tolist(self) -> list:
        return list(self)

    def __getitem__(self, place):
        return Cells(list.__getitem__(self, place)) if isinstance(place, slice) else list.__getitem__(self, place)


class Pandas:
    """What is used of a pandas frame."""

    def __init__(self, columns: list[tuple], index: Cells, name: str | None = None) -> None:
        self.columns, cells = [one[0] for one in columns], [Cells(*one[1:]) for one in columns]
        self.iloc = type("At", (), {"__getitem__": lambda _, at: cells[at[1]]})()
        self.index = type("Index", (), {"names": [name], "get_level_values": lambda _, level: index})()


class Category:
    """A type of pandas of few words."""

    categories = Cells(["low", "high", "never"])

    def __str__(self) -> str:
        return "category"


class Interval:
    """A type that polars has not."""

    def __init__(self, low: int) -> None:
        self.low = low

    def __str__(self) -> str:
        return f"({self.low}, {self.low + 1}]"


def test_frames_of_pandas_keep_names_index_and_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORELIKE_CACHE", str(tmp_path))
    count = range(3)
    found = read(keep_frame(Pandas([
        ("a", [1.0, float("nan"), 3.0], "float64"), ("a", ["x", "y", None]), (("b", "net"), [1, 2, 3], "int8"),
        ("c", [1, None, 3], "Int64"), ("level", ["low", None, "high"], Category()), ("mixed", [1, "x", 2.5]),
        ("span", [Interval(i) for i in count]), ("f", [0.5, 1.5, 2.5], "float32"), ("big", [2**70, 1, 2]),
        ("when", [datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 2, 3), None]), ("yes", [True, None, False]),
    ], Cells([f"r{i}" for i in count]), "key")))  # fmt: skip
    expected = {
        "key": (pl.String, ["r0", "r1", "r2"]), "a": (pl.Float64, [1.0, None, 3.0]),
        "a 2": (pl.String, ["x", "y", None]),
        "b net": (pl.Int8, [1, 2, 3]), "c": (pl.Int64, [1, None, 3]),
        "level": (pl.Enum(["low", "high", "never"]), ["low", None, "high"]), "mixed": (pl.String, ["1", "x", "2.5"]),
        "span": (pl.String, ["(0, 1]", "(1, 2]", "(2, 3]"]), "f": (pl.Float32, [0.5, 1.5, 2.5]),
    }  # fmt: skip
    for name, (kind, cells) in expected.items():
        assert (found[name].dtype, found[name].to_list()) == (kind, cells), name
    assert found["when"].to_list()[0] == datetime.datetime(2024, 1, 1) and found["yes"].dtype == pl.Boolean
    assert found["big"].to_list()[0] in (2**70, str(2**70))
    plain = Pandas([("a", [1, 2, 3], "int64")], Cells([0, 1, 2], "int64"))
    assert read(keep_frame(plain)).columns == ["a"]


# --- bad tables ------------------------------------------------------------------------------------------------------


def test_ragged_rows_are_named_counted_and_skipped(tmp_path: Path) -> None:
    text = 'a,b,c\n1,2,"x\ny"\n1,2\n3,4,z\n1,2,3,4\n\n5,6,w\n' + rows(20, lambda i: f"{i},{i},v")
    source = open_source(write(tmp_path / "a.csv", text), TABLE)
    assert source.items.table.height == 23
    assert source.problems == [
        ("a.csv, line 4", "2 cells where 3 are expected"),
        ("a.csv, line 6", "4 cells where 3 are expected"),
    ]
    assert [source.items[place].name for place in (0, 1, 2)] == ["a.csv, line 2", "a.csv, line 5", "a.csv, line 8"]


def test_names_of_columns_are_made_unique_and_told(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.csv", "a,a,,b,a 2\n" + rows(9, lambda i: f"{i},{i},{i},q,{i}")), TABLE)
    names = source.items.table.columns
    assert len(set(names)) == 5 and names[0] == "a" and names[2:4] == ["column 3", "b"]
    assert any("no name" in reason for _, reason in source.problems)
    assert any("another" in reason for _, reason in source.problems)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n", "one row"),
        (bytes(range(256)) * 20, "not text"),
        ("a,b\n" + rows(40, lambda i: ",".join("x" * (1 + i % 9))), "no table"),
    ],
)
def test_what_is_no_table_is_said(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        open_source(write(tmp_path / "a.csv", content), TABLE)


def test_what_is_opened_as_a_table_and_what_is_not(tmp_path: Path) -> None:
    prose = rows(50, lambda i: f"{i % 4},the patient came back {i} times and was very ill")
    assert open_source(write(tmp_path / "n.csv", "a,b,c\n" + PLAIN)).codec == "table"
    assert open_source(write(tmp_path / "t.csv", "a,note\n" + prose)).codec == "text"
    assert open_source(write(tmp_path / "t.csv", "a,note\n" + prose), TABLE).codec == "table"
    assert open_source(write(tmp_path / "space.txt", PLAIN.replace(",x", ",").replace(",", " "))).codec == "table"
    with pytest.raises(DataError, match="nothing at|no file"):
        open_source(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("name", "codec", "shape"),
    [
        ("adult_census/adult.csv", "table", (32_561, 15)),
        ("credit_default/credit_default.csv", "table", (24_000, 25)),
        ("german_credit/german_credit.csv", "table", (850, 21)),
        ("medical_tables/heart_cleveland.csv", "table", (258, 14)),
        ("industrial_tables/ai4i2020.csv", "table", (8_500, 14)),
        ("restaurant_ratings/ratings.csv", "table", (987, 5)),
        ("cmapss_turbofan/train_FD001.txt", "table", (20_631, 26)),
        ("sms_spam/sms_spam.csv", "text", None),
        ("tang_poems/poems.jsonl", "text", None),
        ("tatoeba_en_zh/en-zh.tsv", "text", None),
        ("flickr8k_dogs/captions.csv", "image", None),
    ],
)
def test_real_files(name: str, codec: str, shape: tuple[int, int] | None, shared: Path) -> None:
    if not (shared / "data" / name).is_file():
        pytest.skip(f"{name} is not here")
    source = open_source(shared / "data" / name)
    assert source.codec == codec
    if shape is not None:
        assert source.items.table.shape == shape and not source.problems


def test_many_rows_are_prepared_at_once(tmp_path: Path) -> None:
    from morelike.codecs.table import Codec
    from morelike.data.cache import build

    text = "a,b,c\n" + rows(3_000, lambda i: f"{i % 7},{i % 11},x{i % 3}")
    source = open_source(write(tmp_path / "a.csv", text))
    codec = Codec().fit(source.items)
    data = build(source, codec, tmp_path / "cache")
    assert isinstance(data.x, np.memmap) and data.x.shape == (3_000, 3) and data.x.dtype == np.uint8
    assert data.names[5] == "a.csv, line 7" and len(np.unique(data.hashes)) == 231
    assert (data.x[17] == codec.prepare(source.items[17])).all()


def test_names_in_a_table_are_no_text(tmp_path: Path) -> None:
    rows = [f'{i},{i % 2},"Doe{i}, Mr. John Henry",{20 + i % 50},{i * 7.25}' for i in range(60)]
    (tmp_path / "ship.csv").write_text("\n".join(["no,lived,Name,age,fare", *rows]))
    flowers = [f"M,0.{i},0.{i + 1},{i}" for i in range(60)]
    (tmp_path / "shells.data").write_text("\n".join(flowers))
    films = [f"{i}::A film of the year {i}::Drama" for i in range(60)]
    (tmp_path / "films.dat").write_text("\n".join(films))
    said = [f'{i},{i % 5},"I came here twice with my mother and would not come again",{i}' for i in range(60)]
    (tmp_path / "said.csv").write_text(
        "\n".join(["no,stars,note,seen", *(f"{row[:-1]}{i}" for i, row in enumerate(said))])
    )
    assert [open_source(tmp_path / name).codec for name in ("ship.csv", "shells.data", "films.dat")] == ["table"] * 3
    (first, *_) = open_source(tmp_path / "films.dat").items
    assert list(first.load().values()) == ["0", "A film of the year 0", "Drama"]


def test_chinese_characters_that_stand_alone_are_read(tmp_path: Path) -> None:
    rows = [f"{i},{'男女'[i % 2]},2020年0{1 + i % 9}月11日" for i in range(40)]
    (tmp_path / "a.csv").write_bytes("\n".join(["编号,性别,日期", *rows]).encode("gbk"))
    assert open_source(tmp_path / "a.csv").items[0].load()["性别"] == "男"
    (tmp_path / "b.csv").write_bytes("\n".join(["nimi,ikä", *(f"Määttä{i},{i}" for i in range(40))]).encode("cp1252"))
    assert open_source(tmp_path / "b.csv").items[0].load()["nimi"] == "Määttä0"


def test_lists_and_text_of_numbers_come_back_in_their_types(tmp_path: Path) -> None:
    from morelike.codecs.table import Codec

    frame = pl.DataFrame({
        "a": [i * 1.5 for i in range(60)], "tags": [["x", "y"], ["z"], None] * 20, "pair": [[1, 2], [3, 4]] * 30,
        "more": [{"k": 1}, {"k": 2}] * 30, "code": ["1", "2", "3"] * 20, "day": ["2024-01-07", "2024-02-09"] * 30,
    })  # fmt: skip
    frame.write_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.codec == "table"
    codec = Codec().fit(source.items)
    rows = codec.natural_rows(source.items, np.arange(60))
    codec.write(rows, tmp_path / "b.parquet")
    made = pl.read_parquet(tmp_path / "b.parquet")
    assert made.schema == source.items.table.schema and made.equals(source.items.table)


def test_rows_of_separators_alone_are_counted_and_left_out(tmp_path: Path) -> None:
    body = rows(20, lambda i: f"{i};{i % 3},5;") + ";;\n" * 5
    source = open_source(write(tmp_path / "a.csv", ("a;b;c\n" + body).replace("\n", "\r\n")), TABLE)
    assert len(source.items) == 20 and any("4 more" in where for where, _ in source.problems)


def test_records_of_json_are_a_table(tmp_path: Path) -> None:
    records = [
        {"id": i, "user": {"age": 20 + i % 9}, "ok": i % 2 == 0, "at": f"2024-01-0{1 + i % 9}"} for i in range(60)
    ]
    more = [{"paid": i + 0.5, "tags": ["a"]} if i % 4 else {"tags": ["a"]} for i in range(60)]
    lines = [json.dumps(one | two) for one, two in zip(records, more, strict=True)]
    write(tmp_path / "a.jsonl", "\n".join([*lines[:3], "{broken", *lines[3:]]))
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    write(tmp_path / "a.json", f"[{', '.join(lines)}]")
    sources = [open_source(tmp_path / name) for name in ("a.jsonl", "a.ndjson.gz", "a.json")]
    for source in sources:
        assert source.codec == "table" and source.items.table.columns == ["id", "user.age", "ok", "at", "tags", "paid"]
        assert [str(one) for one in source.items.table.dtypes] == [
            "Int64",
            "Int64",
            "Boolean",
            "String",
            "String",
            "Float64",
        ]
        assert source.items.table["paid"].null_count() == 15 and source.items.table["tags"][0] == '["a"]'
    assert sources[0].problems[0][0] == "a.jsonl, line 4" and sources[0].items.where(3) == "a.jsonl, line 5"
    with pytest.raises(DataError, match="holds no records"):
        open_source(write(tmp_path / "b.jsonl", "nothing\n"), TABLE)


def test_notes_beside_many_columns_of_numbers_are_no_text_to_learn(tmp_path: Path) -> None:
    rows = [f'{i},{i % 9},{i * 1.5},2020-01-0{1 + i % 9},{i % 4},x{i % 3},"She came back {i} times and was very ill"'
            for i in range(60)]  # fmt: skip
    assert open_source(write(tmp_path / "a.csv", "\n".join(["no,a,b,c,d,e,notes", *rows]))).codec == "table"
    assert open_source(write(tmp_path / "b.csv", "\n".join(["no,a,b,c,d,e,text", *rows]))).codec == "text"


def test_the_separator_is_kept_for_what_is_written(tmp_path: Path) -> None:
    for mark in ",;\t|":
        source = open_source(write(tmp_path / "a.csv", PLAIN.replace(",", mark)))
        assert source.items.mark == mark


def test_records_and_spans_of_time_in_parquet_are_learnt(tmp_path: Path) -> None:
    from morelike.codecs.table import Codec

    took = [datetime.timedelta(seconds=7 * i) for i in range(80)]
    frame = pl.DataFrame({"took": took, "user": [{"age": i % 7, "at": {"town": "ab"[i % 2]}} for i in range(80)]})
    frame.write_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.items.table.columns == ["took", "user.age", "user.at.town"]
    codec = Codec().fit(source.items)
    codec.write(np.array([[63.0, 3, "a"]], dtype=object), tmp_path / "b.parquet")
    back = pl.read_parquet(tmp_path / "b.parquet")
    assert back.dtypes == source.items.table.dtypes and back["took"][0] == took[9]


def test_sheets_as_people_make_them(tmp_path: Path) -> None:
    """A first sheet of words, a title, names below merged cells, and a total at the end."""
    writer = pytest.importorskip("xlsxwriter")
    with writer.Workbook(str(tmp_path / "book.xlsx")) as book:
        book.add_worksheet("Read me").write(0, 0, "Confidential")
        sheet = book.add_worksheet("Data")
        sheet.merge_range(0, 0, 0, 4, "Sales and cost")
        sheet.merge_range(1, 1, 1, 2, "Sales")
        sheet.merge_range(1, 3, 1, 4, "Cost")
        for place, row in enumerate(
            [["Region", "Net", "Gross", "Net", "Gross"], *(["N", i, i, i, i] for i in range(9))]
        ):
            sheet.write_row(2 + place, 0, row)
        sheet.write_row(12, 0, ["Total", 36, 36, 36, 36])
    source = open_source(tmp_path / "book.xlsx")
    assert source.items.table.columns == ["Region", "Sales Net", "Sales Gross", "Cost Net", "Cost Gross"]
    assert source.items.table.height == 9 and source.problems == [("book.xlsx (last row)", "a row of totals")]
    lines = ["region,count", *(f"r{i % 5},{i}" for i in range(40)), "Total,780"]
    source = open_source(write(tmp_path / "a.csv", "\n".join(lines)))
    assert len(source.items) == 40 and source.problems == [("a.csv, line 42", "a row of totals")]
    source = open_source(write(tmp_path / "b.csv", "\n".join([*lines[:-1], "Total,words"])))
    assert len(source.items) == 41


@pytest.mark.parametrize("code", ["P{}", "C-{}", "N{}F", "S1-{}", "CO{}", "B{}C"])
def test_codes_that_begin_like_atoms_are_no_molecules(code: str, tmp_path: Path) -> None:
    text = "patient,age,weight\n" + rows(80, lambda i: f"{code.format(10_000 + i)},{20 + i % 50},{50 + i % 40}.5")
    found = open_source(write(tmp_path / "a.csv", text))
    assert found.codec == "table" and found.items.table.shape == (80, 3)


BODY = rows(60, lambda i: f"n{i % 7},{i * 1.5},{i % 3}")


@pytest.mark.parametrize(
    ("above", "columns", "said"),
    [
        ("# lab 4\n# 2024-01-02, version 3\n\nname,size,n\n", ["name", "size", "n"], "line 1 to 3"),
        ("Sales of March\n\nname,size,n\n", ["name", "size", "n"], "line 1 to 2"),
        ("Sales of March,,\nmade,2024-01-01,\n,,\nname,size,n\n", ["name", "size", "n"], "line 1 to 3"),
        ("sep=,\nname,size,n\n", ["name", "size", "n"], "line 1"),
        ("# lab 4\n# name,size,n\n", ["name", "size", "n"], "line 1"),
        ("name,size,n\n,mm,kg\n", ["name", "size", "n"], "line 2"),
    ],
)
def test_what_stands_above_and_below_the_names_is_left_out(above: str, columns: list[str], said: str,
                                                           tmp_path: Path) -> None:  # fmt: skip
    source = open_source(write(tmp_path / "a.csv", above + BODY), TABLE)
    assert source.items.table.columns == columns and source.items.table.height == 60
    assert source.items.table.row(1) == ("n1", "1.5", "1")
    assert source.problems[0][0] == f"a.csv, {said}"
    assert source.items.where(0) == f"a.csv, line {1 + above.count(chr(10))}"


def test_several_rows_of_names_are_no_data(tmp_path: Path) -> None:
    head = "Price,Close,Volume\nTicker,AAPL,AAPL\nDate,,\n"
    source = open_source(
        write(tmp_path / "a.csv", head + rows(60, lambda i: f"2020-{i % 9 + 1:02d}-07,{i}.5,{i}")), TABLE
    )
    assert source.items.table.height == 60 and source.items.table.row(0) == ("2020-01-07", "0.5", "0")
    assert len(source.problems) == 2


@pytest.mark.parametrize(
    ("head", "row"),
    [("#,size,n\n", ("n0", "0.0", "0")), ("a,b,c\nn9,NA,NA\n", ("n9", "NA", "NA")), (",size,n\n", ("n0", "0.0", "0")),
     ("a,b,c\nn9,<1,ND\nn9,<1,ND\n", ("n9", "<1", "ND"))],
)  # fmt: skip
def test_names_and_first_rows_that_look_like_comments_or_units_stay(head: str, row: tuple, tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.csv", head + BODY), TABLE)
    assert source.items.table.row(0) == row and source.items.table.height == 59 + head.count("\n")


def test_totals_and_remarks_below_a_table_are_left_out_and_a_half_empty_row_is_not(tmp_path: Path) -> None:
    end = "Total,90,30\n,,\nSource: the shop,,\n"
    source = open_source(write(tmp_path / "a.csv", "name,size,n\n" + BODY + end), TABLE)
    assert source.items.table.height == 60
    reasons = [reason for _, reason in source.problems]
    assert reasons == ["all cells are empty", "a remark below the table", "a row of totals"]
    assert open_source(write(tmp_path / "b.csv", "name,size,n\n" + BODY + "n9,,\n"), TABLE).items.table.height == 61


def test_years_are_names(tmp_path: Path) -> None:
    body = rows(40, lambda i: f"C{i},{i / 4},{i / 3:.2f},{i}")
    table = read(write(tmp_path / "a.csv", "Country,2000,2001,2002\n" + body))
    assert table.columns == ["Country", "2000", "2001", "2002"] and table.height == 40


def test_cells_of_a_sheet_that_excel_tells_in_several_ways(tmp_path: Path) -> None:
    """Midnights among moments, faults of formulas among numbers, words among whole numbers, years as names."""
    writer = pytest.importorskip("xlsxwriter")
    start = datetime.datetime(2024, 1, 1)
    with writer.Workbook(str(tmp_path / "book.xlsx")) as book:
        sheet, clock = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.merge_range(0, 1, 0, 2, "Sales")
        sheet.write_row(1, 0, ["at", "net", 2023, "rest"])
        sheet.write_row(2, 0, ["", "EUR", "pieces", ""])
        for i in range(40):
            sheet.write_datetime(3 + i, 0, start + datetime.timedelta(hours=6 * i), clock)
            sheet.write_row(3 + i, 1, [i * 1.5, "#N/A" if i % 9 == 0 else i, "few" if i % 5 == 0 else i])
    source = open_source(tmp_path / "book.xlsx", TABLE)
    table = source.items.table
    assert table.columns == ["at", "net", "2023", "rest"] and table.height == 40
    assert table["at"].to_list()[:2] == [start, start + datetime.timedelta(hours=6)]
    assert table["2023"].to_list()[:3] == [None, 1, 2] and table["rest"].to_list()[:2] == ["few", "1"]


def test_bytes_in_a_database_are_not_learnt(tmp_path: Path) -> None:
    from morelike.codecs.table import Codec

    base = sqlite3.connect(tmp_path / "a.db")
    base.execute("create table visits (id integer, photo blob, age real)")
    base.executemany("insert into visits values (?, ?, ?)", [(i, bytes([i, 200]), i * 1.5) for i in range(40)])
    base.commit()
    codec = Codec().fit(open_source(tmp_path / "a.db", TABLE).items)
    assert codec.kinds == ("identifier", "constant", "number") and "Binary, not learnt" in codec.said
