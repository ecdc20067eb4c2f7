"""Cells that hold several numbers, or numbers of several units: what they are taken for, and what is made of them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from morelike.codecs.table import Codec, Config
from morelike.core.codec import Item
from morelike.core.errors import OptionError

pl = pytest.importorskip("polars")
RNG = random.Random(3)


def pressure() -> str:
    high = round(RNG.gauss(125, 15))
    return f"{high}/{min(high - 5, round(0.6 * high + RNG.gauss(5, 6)))}"


CELLS = {  # how a cell is written, and the numbers that stand in it
    "pressure": (pressure, 2),
    "span": (lambda: f"{RNG.randint(0, 59)}m {RNG.randint(0, 59):02}s", 2),
    "spans": (lambda: RNG.choice([f"{RNG.randint(1, 9)}h {RNG.randint(0, 59)}m", f"{RNG.randint(1, 59)}m"]), 2),
    "iso": (lambda: f"PT{RNG.randint(0, 40)}H{RNG.randint(0, 59)}M", 2),
    "clock": (lambda: f"{RNG.randint(0, 99)}:{RNG.randint(0, 59):02}", 2),
    "place": (lambda: f"{RNG.uniform(-5, 5):.4f}, {RNG.uniform(-60, 60):.4f}", 2),
    "angle": (lambda: f"{RNG.randint(40, 50)}°{RNG.randint(0, 59)}'{RNG.randint(0, 59)}\"N", 3),
    "size": (lambda: f"{RNG.uniform(1, 9):.1f} x {RNG.uniform(1, 9):.1f} cm".replace(".", ","), 2),
    "money": (lambda: RNG.choice("$€£") + f"{RNG.uniform(5, 2500):,.2f}", 1),
    "dose": (lambda: f"{RNG.randint(1, 999)} {RNG.choice(['mg', 'ml', 'g'])}", 1),
    "within": (lambda: f"{RNG.uniform(10, 20):.1f} ± {RNG.uniform(0.1, 2):.1f}", 2),
    "address": (lambda: f"10.{RNG.randint(0, 9)}.{RNG.randint(0, 255)}.{RNG.randint(1, 254)}", 4),
    "list": (lambda: "[" + ", ".join(str(RNG.randint(1, 30)) for _ in range(RNG.randint(1, 3))) + "]", 3),
}
NAMES = {  # cells that only look so: what names things, and codes
    "phone": lambda: f"+49 15{RNG.randint(0, 9)} {RNG.randint(1_000_000, 9_999_999)}",
    "invoice": lambda: f"2024/{RNG.randint(0, 99_999):05}",
    "card": lambda: " ".join(str(RNG.randint(1000, 9999)) for _ in range(3)),
    "disease": lambda: f"{RNG.choice('ABCE')}{RNG.randint(10, 99)}.{RNG.randint(0, 9)}",
    "kind": lambda: f"{RNG.randint(1, 3)}/{RNG.randint(1, 3)}",
}


def fitted(cells: list[str], **config: str) -> tuple[Codec, list[Item]]:
    items = rows_of(cells)
    return Codec(Config(**config)).fit(items), items


def rows_of(cells: list[str]) -> list[Item]:
    return [Item(f"row {i}", lambda one=one, i=i: {"cell": one, "n": str(i % 5)}) for i, one in enumerate(cells)]


def shape(text: str) -> str:
    return "".join("0" if char.isdigit() else char for char in text).replace("00", "0").replace("00", "0")


@pytest.mark.parametrize("name", CELLS)
def test_numbers_in_a_cell_are_learnt_one_by_one_and_joined_as_they_were(name: str) -> None:
    make, width = CELLS[name]
    cells = [make() for _ in range(300)]
    codec, items = fitted(cells)
    column = codec.found[0]
    assert column.kind == "compound" and len(column.fields) == 1 + width, column.said
    stored = np.concatenate(list(codec.prepare_all(items)))
    back = [row[0] for row in codec.decode(torch.from_numpy(stored).long())]
    assert {shape(one) for one in back} <= {shape(one) for one in cells}
    assert (np.concatenate(list(codec.prepare_all(rows_of(back)))) == stored).mean() > 0.98


@pytest.mark.parametrize("name", NAMES)
def test_names_codes_and_few_values_are_no_numbers(name: str) -> None:
    codec, _ = fitted([NAMES[name]() for _ in range(300)])
    assert codec.found[0].kind in ("identifier", "category"), codec.found[0].said


def test_the_larger_of_two_numbers_stays_the_larger_and_missing_cells_stay_missing() -> None:
    cells = [pressure() if i % 10 else "" for i in range(300)]
    codec, _ = fitted(cells)
    sizes = codec.sizes
    drawn = torch.stack([torch.tensor([RNG.randrange(size) for size in sizes]) for _ in range(300)])
    made = codec.decode(drawn)[:, 0].tolist()
    pairs = [tuple(map(int, one.split("/"))) for one in made if one is not None]
    assert len(pairs) < 300 and all(high >= low for high, low in pairs)
    assert min(min(one) for one in pairs) > 20 and max(max(one) for one in pairs) < 200


def test_compounds_are_conditions_and_kinds_that_can_be_told() -> None:
    cells = [pressure() for _ in range(300)]
    codec, _ = fitted(cells)
    assert (codec.known({"cell": cells[0]})[:-1] >= 0).all()
    with pytest.raises(OptionError, match='"cell" is high. A cell such as [0-9]+/[0-9]+'):
        codec.known({"cell": "high"})
    assert fitted(cells, columns="cell=category")[0].found[0].kind == "category"
    assert fitted([NAMES["kind"]() for _ in range(99)], columns="cell=compound")[0].found[0].kind == "compound"
    names, kinds, (rows,) = codec.spread([np.array([[cells[0], 1]], object)], [0, 1])
    assert names == ["cell", "cell 1", "cell 2", "n"] and kinds == ["category", "number", "number", "number"]
    assert rows[0, 1:3].tolist() == [int(one) for one in cells[0].split("/")]
