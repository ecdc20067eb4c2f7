"""Baskets: which files are some, the way there and back, and their measures against answers that are known."""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import morelike
from morelike.codecs import baskets
from morelike.core.codec import Codec, Item
from morelike.core.errors import DataError, MorelikeError, OptionError
from morelike.data.baskets import cells, is_baskets, open_baskets
from morelike.data.listing import Reading
from morelike.data.pairs import is_pairs
from morelike.data.sources import open_source

THINGS = ["milk", "bread", "tea", "rolls, white", 'the "best" salt', "café", "rice", "eggs", "soda", "jam"]


def shopping(n: int, seed: int = 0) -> list[list[str]]:
    draw = random.Random(seed)
    return [draw.sample(THINGS, draw.randrange(1, 7)) for _ in range(n)]


def written(path: Path, lines: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return path


def items(lines: list[list[str]]) -> list[Item]:
    return [Item(f"line {n}", lambda one=one: one) for n, one in enumerate(lines)]


# --- files


def test_a_ragged_file_of_sets_is_read(tmp_path: Path) -> None:
    lines = [*shopping(200), [], [" milk ", "", "tea"]]
    source = open_source(written(tmp_path / "shop.csv", lines))
    assert source.codec == "baskets" and len(source.items) == 201
    assert list(source.items[0].load()) == lines[0] and list(source.items[200].load()) == ["milk", "tea"]
    assert source.items[200].name == "line 202"


@pytest.mark.parametrize("separator", [";", "\t", " "])
def test_other_signs_between_things(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "shop.dat"
    path.write_text("\n".join(separator.join(one.split()[0].strip(',"') for one in line) for line in shopping(100)))
    found = open_baskets(path).items
    assert is_baskets(path) and len(list(found[0].load())) == len(shopping(1)[0])
    codec = baskets.Codec().fit(found)
    assert codec.joined(np.array([("a", "b"), ("c",)], object)) == f"a{separator}b\nc"


TABLE = ["age,kind,pay"] + [f"{n % 50},{'ab'[n % 2]},{n}" for n in range(200)]
OTHERS = {
    "table": TABLE,
    "faulty table": [line + ",x" if n % 9 == 0 else line for n, line in enumerate(TABLE)],
    "sentences": [", ".join(f"word{n * k} and so on" for k in range(1, 2 + n % 5)) for n in range(200)],
    "words": ["the cat sat on the mat and the dog", "a dog and a cat and a dog", "on and on"] * 60,
    "few": [",".join(line) for line in (("a", "b"), ("b",), ("b", "a", "c"))] * 4,
    "molecules": ["CCO", "c1ccccc1", "CC(C)=O"] * 60,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_made_of_sets_is_not_taken_for_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text("\n".join(OTHERS[kind]))
    assert not is_baskets(path)


def test_bad_files_say_what_is_wrong(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)  # as Python has it; what reads tables lifts it for the whole process
    for name, content in {"empty.csv": "", "one.csv": "milk,tea\n\n", "long.csv": "x" * 200_000 + ",y\na,b"}.items():
        (tmp_path / name).write_text(content)
        assert not is_baskets(tmp_path / name)
        with pytest.raises(MorelikeError) as error:
            open_baskets(tmp_path / name)
        assert error.value.found and error.value.expected and error.value.action
    with pytest.raises(MorelikeError):
        open_baskets(tmp_path / "nothing.csv")


# --- codec


def test_there_and_back(tmp_path: Path) -> None:
    lines = shopping(300)
    codec = baskets.Codec().fit(items(lines))
    assert isinstance(codec, Codec) and "10 things" in codec.said
    x = codec.encode(torch.stack([torch.from_numpy(codec.prepare(item)) for item in items(lines)]))
    back = codec.decode(x)
    assert x.shape == (300, 10) and [set(one) for one in back] == [set(one) for one in lines]
    assert x.sum(0).tolist() == sorted(x.sum(0).tolist(), reverse=True)  # the commonest first
    (path,) = codec.write(back, tmp_path / "new.csv")
    again = open_source(path)
    assert again.codec == "baskets" and [tuple(item.load()) for item in again.items] == list(back)
    (path,) = codec.write(back[:2], tmp_path / "new.jsonl")
    assert path.read_text().count("[") == 2
    assert codec.write(back, tmp_path / "folder") == [tmp_path / "folder" / "baskets.csv"]
    assert "&quot;best&quot;" in "".join(codec.html(back)) and len(codec.html(back)) == 300
    with pytest.raises(OptionError):
        codec.write(back, tmp_path / "new.png")


def test_rare_things_are_left_out_and_counted() -> None:
    lines = [["a", "b", "b"], ["a", "c"], ["b", "a"], ["d"]]
    codec = baskets.Codec(baskets.Config(most=2)).fit(items(lines))
    assert codec.config.known == ("a", "b") and "2 rarer ones, 28.6 %" in codec.said
    assert codec.prepare(items(lines)[1]).tolist() == [1, 0]
    with pytest.raises(DataError):
        codec.prepare(items(lines)[3])
    with pytest.raises(DataError):
        baskets.Codec().fit(items([[], [" "]]))
    with pytest.raises(OptionError):
        _ = baskets.Codec().shape


def test_whatever_comes_out_of_a_net_is_a_basket() -> None:
    codec = baskets.tiny()
    for needs in ("log_prob", "rsample"):
        spec = codec.spec(needs)
        law = spec.head(torch.randn(50, *spec.head_shape))
        made = law.sample()
        assert made.shape == (50, *spec.shape) and all(
            set(one) <= set(codec.config.known) for one in codec.decode(made)
        )
        assert law.log_prob(made).shape == (50,)
    assert codec.decode(torch.zeros(1, 6, dtype=torch.long))[0] == () and codec.html(codec.decode(torch.zeros(1, 6)))


# --- measures


def test_frequencies_and_sizes_by_hand() -> None:
    real = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 0]])
    made = torch.tensor([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]])
    assert baskets.frequencies(made, real)["item frequencies"] == pytest.approx((0.25 + 0.25) / 1.75)
    assert baskets.basket_size(made, real)["basket size"] == pytest.approx(
        (0 + 0 + 0 + 2) / 4
    )  # sizes 1 1 1 2, 1 1 2 3
    for one in (baskets.frequencies, baskets.basket_size, baskets.lift):
        assert all(value == 0 or math.isnan(value) for value in one(real, real).values())


def test_the_lift_of_a_pair_that_only_comes_together_is_missed_where_things_are_drawn_alone() -> None:
    """Two things in half of the baskets, always together: lift 2, whose log an independent model misses."""
    draw = torch.Generator().manual_seed(0)
    both = (torch.rand(4000, 1, generator=draw) < 0.5).long()
    real, alone = torch.cat([both, both], 1), (torch.rand(4000, 2, generator=draw) < 0.5).long()
    assert baskets.lift(alone, real)["pair lift"] == pytest.approx(math.log(2), abs=0.06)


def test_a_run_on_baskets(tmp_path: Path) -> None:
    path, out = written(tmp_path / "shop.csv", shopping(120)), tmp_path / "run"
    run = morelike.fit(path, steps=2, size="tiny", out=out, show=False)
    made = run.sample(20).array
    assert run.recipe["reading"]["codec"] == "baskets" and {name for one in made for name in one} <= set(THINGS)
    assert list(morelike.load(out).sample(20).array) == list(made)
    assert list((out / "samples").glob("*.csv")) and str(run.sample(2)).count("\n") == 1


def test_cells_are_without_white_space() -> None:
    assert cells('a, b ,\n"x, y",,z\n', ",") == [["a", "b"], ["x, y", "z"]]


def test_a_header_and_the_number_of_things_are_no_things(tmp_path: Path) -> None:
    some = shopping(200)
    lines = [[str(len(one)), *one, *[""] * (6 - len(one))] for one in some]
    source = open_source(written(tmp_path / "shop.csv", [["Item(s)", *(f"Item {n}" for n in range(1, 7))], *lines]))
    assert source.codec == "baskets" and [one.load() for one in source.items[:2]] == some[:2]
    assert source.items[0].name == "line 2"


# --- tables of pairs and ratings


def bought(n: int = 80) -> list[list[str]]:
    return [[f"{1000 + order}", thing] for order, one in enumerate(shopping(n)) for thing in one]


def test_a_table_of_orders_and_products_is_one_of_baskets(tmp_path: Path) -> None:
    path = written(tmp_path / "sales.csv", [["order_id", "product"], *bought(), ["1000", "tea"], ["", "jam"]])
    source = open_source(path)
    assert source.codec == "baskets" and len(source.items) == 80 and source.items[3].name == "order_id 1003"
    assert [set(one.load()) for one in source.items[1:]] == [set(one) for one in shopping(80)[1:]]
    assert "1 rows lack" in source.problems[0][1]
    codec = baskets.Codec().fit(source.items)
    made = codec.decode(codec.encode(torch.stack([torch.from_numpy(codec.prepare(one)) for one in source.items])))
    codec.write(made, tmp_path / "new.csv")
    again = open_source(tmp_path / "new.csv")
    assert [set(one.load()) for one in again.items] == [set(one.load()) for one in source.items]


def test_ratings_become_cells_of_their_own_values(tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [[f"{u}", f"{m + 5}", f"{draw.choice([0.5, 3, 10])}", "99"] for u in range(40) for m in range(u % 7 + 1)]
    path = written(tmp_path / "r.csv", [["userId", "movieId", "rating", "timestamp"], *rows])
    assert open_source(path).codec == "table"
    source = open_source(path, Reading(codec="baskets"))
    codec = baskets.Codec().fit(source.items)
    assert codec.config.ratings == ("0.5", "3", "10") and codec.spec("log_prob").tokens == 4
    x = codec.encode(torch.stack([torch.from_numpy(codec.prepare(one)) for one in source.items]))
    assert int(x.max()) == 3 and [dict(one) for one in codec.decode(x)] == [dict(one.load()) for one in source.items]
    (path,) = codec.write(codec.decode(x), tmp_path / "new.csv")
    assert path.read_text().splitlines()[:2] == ["userId,movieId,rating", f"1,5,{rows[0][2]}"]
    assert "5 " in codec.html(codec.decode(x))[0]
    one, two = torch.tensor([[1, 2, 0], [0, 2, 2]]), torch.tensor([[1, 1, 0], [0, 1, 2]])
    assert baskets.ratings(one, two)["ratings"] == pytest.approx(0.5)
    assert baskets.basket_size(one, two)["basket size"] == 0 == baskets.frequencies(one, two)["item frequencies"]


def test_columns_of_pairs_can_be_named_and_others_are_no_pairs(tmp_path: Path) -> None:
    rows = [[f"{n % 9}", f"t{n}", f"p{n % 20}"] for n in range(99)]
    path = written(tmp_path / "x.csv", [["when", "what", "who"], *rows])
    source = open_source(f"{path}::who,when", Reading(codec="baskets"))
    assert len(source.items) == 20 and source.items.header == ("who", "when")  # type: ignore[attr-defined]
    for words in ("who,what,when,who", "who,whom", "who,when,what"):
        with pytest.raises(MorelikeError):
            open_source(f"{path}::{words}", Reading(codec="baskets"))
    for name, header in {"a": ["customer_id", "order_id"], "b": ["order_date", "product"], "c": ["x", "y"]}.items():
        assert not is_pairs(str(written(tmp_path / f"{name}.csv", [header, *bought()]))), header
    assert not is_pairs(str(written(tmp_path / "d.csv", [["user", "item"], *([f"{n}", "t"] for n in range(99))])))
    lines = written(tmp_path / "fixed.csv", [draw[:3] for draw in shopping(400) if len(draw) > 2])
    assert len(open_source(lines, Reading(codec="baskets")).items[0].load()) == 3  # things stand in any column


def test_equal_baskets_are_no_fault(tmp_path: Path) -> None:
    source = written(tmp_path / "s.csv", [["tea"], ["milk", "tea"], ["jam", "milk", "tea"]] * 100)
    (found,) = [one for one in morelike.check(source, codec="baskets").findings if one.kind == "duplicates"]
    assert found.severity == "note" and found.count == 300
