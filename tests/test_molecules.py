"""Molecules: SMILES by their grammar and valences against enumeration and RDKit, their tokens, and what is measured."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import morelike
from morelike import recipes, run
from morelike.chemistry.lines import are_smiles
from morelike.chemistry.smiles import AROMATIC, Bond, Malformed, Molecule, parse
from morelike.chemistry.valence import alternates, fault
from morelike.codecs import _smiles, text
from morelike.codecs._vocabulary import Characters
from morelike.core.codec import Item
from morelike.data.sources import open_source
from morelike.measure.anchors import Fold
from morelike.measure.text import molecules as measured

SHARED = Path(os.environ.get("MORELIKE_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
ZINC = SHARED / "zinc_smiles" / "zinc_smiles.txt"
SIZES = {  # atoms and rings
    "CCO": (3, 0), "c1ccccc1": (6, 1), "C1CC2CCC1C2": (7, 2), "[Na+].[Cl-]": (2, 0), "C%12CC%12": (3, 1),
    "O=C(Oc1ccccc1)C(F)(F)Cl": (13, 1), "C[C@@H](N)C(=O)[O-]": (6, 0), "F/C=C\\F": (4, 0), "[13CH4]": (1, 0),
    "c1ccc2ccccc2c1": (10, 2), "c1ccccc1c1ccccc1": (12, 2), "C1.C1": (2, 0), "*C#N": (3, 0), "[Fe+2]": (1, 0),
}  # fmt: skip
VALID = [
    *SIZES, "[nH]1cccc1", "c1cc[se]c1", "c1cc[o+]cc1", "c1ccsc1", "O=c1cccc[nH]1", "CN(=O)=O", "O=n1ccccc1", "[NH4+]",
    "F[P-](F)(F)(F)(F)F", "OS(=O)(=O)O", "C[N+](C)(C)C", "[cH-]1cccc1", "[cH+]1cccccc1", "c1[n-]ccc1", "CN=N#N",
    "Cl[Pt](Cl)(N)N", "c1cc2cccc3ccc(c1)c23", "c1ccc2cccc2cc1", "C=[N+]=[N-]", "S1(=O)(=O)C=CC=C1", "C=1CCCC1",
    "C/C=C/C", "C[C@TH1](N)(O)F", "FI(F)F", "[2H]C", "Cn1c(=N/C)\\sc2ccccc21",
]  # fmt: skip
BROKEN = [  # by grammar, by valence, by aromatic rings
    "", "C(", "C)", "C()C", "(C)C", "C((C))C", "C1CC", "C11", "C12CC12", "C1C1", "=C", "C=", "C==C", "C(=)C", "C..C",
    ".C", "C.", "C-.C", "Xx", "[Xx]", "[C", "C]", "[C@@@H](N)O", "[]", "C[H3]C", "C=1CCCC#1", "C(1)CC1", "C 1",
    "%1CC%1", "()", "1CC1", "hello", "CC(C)(C)(C)C", "O(C)(C)C", "F=C", "[CH5]", "N(C)(C)(C)C", "C[N+](C)(C)(C)C",
    "[Na+]C", "B(C)(C)(C)C", "c", "cc", "c1cccc1", "n1cccc1", "c1cccccc1", "[nH]1ccccc1", "c1cccn1", "C1=C=c1",
    "c1ccccc1=C", "o1ccccc1",
]  # fmt: skip


def lines(n: int) -> list[str]:
    if not ZINC.exists():
        pytest.skip("the molecules of ZINC are not beside the repository")
    return ZINC.read_text().split()[:n]


# --- grammar and valences


@pytest.mark.parametrize("smiles", SIZES)
def test_atoms_and_rings_are_counted(smiles: str) -> None:
    found = parse(smiles)
    assert (len(found.atoms), found.rings()) == SIZES[smiles]


@pytest.mark.parametrize("smiles", VALID)
def test_what_could_be_a_molecule_is_valid(smiles: str) -> None:
    assert fault(smiles) == ""


@pytest.mark.parametrize("smiles", BROKEN)
def test_what_could_not_be_has_a_reason(smiles: str) -> None:
    assert fault(smiles)


def test_atoms_are_read_as_they_are_written() -> None:
    found = parse("[13C@@H2-2]Cl")
    assert found.atoms == [(6, False, -2, 2), (17, False, 0, None)] and found.bonds == [(0, 1, 1)]
    assert [parse(f"[Fe{sign}]").atoms[0].charge for sign in ("", "+", "++", "+3", "-", "--")] == [0, 1, 2, 3, -1, -2]
    assert [bond.order for bond in parse("c1ccccc1c1ccccc1").bonds].count(AROMATIC) == 12
    with pytest.raises(Malformed, match="place 2"):
        parse("C?C")


def graph(atoms: int, bonds: int, draw: random.Random) -> list[tuple[int, int]]:
    every = list(itertools.combinations(range(atoms), 2))
    return draw.sample(every, min(bonds, len(every)))


def joined(pairs: list[tuple[int, int]], one: int, other: int) -> bool:
    seen = {one}
    while grown := {b for pair in pairs for a, b in (pair, pair[::-1]) if a in seen and b not in seen}:
        seen |= grown
    return other in seen


def test_bonds_in_rings_are_those_without_which_their_atoms_stay_together() -> None:
    draw = random.Random(0)
    for _ in range(100):
        pairs = graph(8, draw.randrange(1, 14), draw)
        found = Molecule([parse("C").atoms[0]] * 8, [Bond(*pair, 1) for pair in pairs])
        assert found.ringed() == [joined([p for p in pairs if p != pair], *pair) for pair in pairs]


def test_double_bonds_fit_where_a_matching_is_found_by_trying_all() -> None:
    draw, seen = random.Random(0), set()
    for _ in range(200):
        atoms = draw.choice([2, 4, 5, 6])
        pairs = graph(atoms, draw.randrange(1, 9), draw)
        found = Molecule(parse(".".join("C" * atoms)).atoms, [Bond(*pair, AROMATIC) for pair in pairs])
        tried = itertools.combinations(pairs, atoms // 2)
        there = atoms % 2 == 0 and any(len({end for pair in some for end in pair}) == atoms for some in tried)
        assert alternates(found, list(range(atoms))) == there
        seen.add(there)
    assert seen == {True, False}


def broken(smiles: str, others: list[str], draw: random.Random) -> str:
    """One character more, fewer or other, or the rest of another molecule."""
    at, other = draw.randrange(len(smiles)), draw.choice(others)
    new = draw.choice(other)
    ways = (smiles[:at] + smiles[at + 1 :], smiles[:at] + new + smiles[at:], smiles[:at] + new + smiles[at + 1 :])
    return draw.choice([*ways, smiles[:at] + other[draw.randrange(len(other)) :]])


def test_real_molecules_are_valid() -> None:
    assert not [one for one in lines(2000) if fault(one)]


def test_we_agree_with_rdkit() -> None:
    pytest.importorskip("rdkit")
    read, draw = measured.reader(), random.Random(0)
    real = lines(3000)
    seen = [*real[:1000], *(broken(one, real, draw) for one in real)]
    same = [(read.normal(one) is not None) == (fault(one) == "") for one in seen if one]
    assert read.rdkit and sum(same) >= 0.99 * len(same)
    assert read.normal("OCC") == read.normal("C(C)O") and read.normal("C(") is None


# --- tokens


def codec(texts: list[str]) -> text.Codec:
    return text.Codec().fit([Item(f"line {n}", lambda one=one: one) for n, one in enumerate(texts)])


def test_pieces_are_tokens_and_nothing_is_lost() -> None:
    found = codec([*VALID, "C[C@@H](N)Cl"])
    assert found.config.vocabulary == "smiles" and {"Cl", "[C@@H]", "%12", "[nH]"} <= set(found.config.pieces)
    assert len(found.tokens("C[C@@H](N)Cl%12")) == 7
    for one in (*VALID, "C[CH7]C", "[Cl]Cl[", "[n"):
        assert found.decode(found.encode([found.tokens(one)]))[0] == "".join(
            c for c in one if c in found.config.known or c in "7"
        ).replace("7", "" if "7" not in found.config.known else "7")
    assert found.byte_counts(found.encode([found.tokens("C[C@@H]Cl")])).tolist() == [9]
    assert max(map(len, map(found.tokens, VALID))) < found.context


@pytest.mark.parametrize(
    "texts", [["BIN", "COP", "NO", "SON"] * 20, ["Ann (Smith)", "Bo [x]"] * 20, ["123", "4=5"] * 20]
)
def test_other_lines_are_no_molecules(texts: list[str]) -> None:
    assert not measured.are_molecules(texts)
    assert codec(texts).config.vocabulary == "characters"


def test_molecules_are_told_though_some_are_broken() -> None:
    texts = [one for one in VALID if len(one) > 3] * 4
    assert are_smiles(texts) and measured.are_molecules(texts)
    assert measured.are_molecules([*texts * 3, "C1CC", "c1cccc1", "C(C"])
    assert not measured.are_molecules(["C(C" if n % 10 == 0 else "C(C)C" for n in range(100)])
    assert not measured.are_molecules([])


def test_a_run_on_molecules(tmp_path: Path) -> None:
    path = tmp_path / "molecules.txt"
    path.write_text("\n".join(f"{one}.{'C' * n}" for n in range(1, 4) for one in VALID))
    run = morelike.fit(path, steps=1, size="tiny", out=tmp_path / "run", show=False)
    assert run.codec.config.vocabulary == "smiles" and run.recipe["config"]["net"] == "lstm"
    assert list(morelike.load(tmp_path / "run").sample(3).array) == list(run.sample(3).array)
    assert recipes.suited("autoregressive", {"net": "gru"}, 100, run.codec) == {"net": "gru"}
    words = text.Codec().fit([Item(str(n), lambda n=n: f"A line of words, {n} of them.") for n in range(40)])
    assert "net" not in recipes.suited("autoregressive", {}, 100, words)


# --- figures


def test_what_is_no_molecule_is_drawn_again() -> None:
    codec, asked = text.Codec().fit([Item("one", lambda: "C1CC1")]), []
    codec = text.Codec(text.Config("smiles", known=codec.config.known, context=8))

    def make(seeds, rows):  # valid at seed 7, and at the second attempt
        asked.append((list(seeds), rows.tolist()))
        return np.array(["C1CC1" if seed == 7 or seed > 2**40 else "C1CC" for seed in seeds], object)

    assert run.until_kept(codec, [6, 7, 8], make).tolist() == ["C1CC1"] * 3
    assert asked[0] == ([6, 7, 8], [0, 1, 2]) and asked[1][1] == [0, 2] and len(asked) == 2
    never = run.until_kept(codec, [1], lambda seeds, rows: np.array(["C1"], object))
    assert never.tolist() == ["C1"]  # after so many attempts it is given as it is
    assert len({run.other(seed, attempt) % 2**32 for seed in range(50) for attempt in range(8)}) == 400


def test_figures_of_molecules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the samples is broken, half is one known molecule again and again, a quarter new; rings are lost."""
    monkeypatch.setitem(__import__("sys").modules, "rdkit", None)
    real = [f"C1CCCCC1{'C' * n}" for n in range(200)]
    train = [f"C1CCCCC1{'N' * n}" for n in range(1, 200)]
    made = [("C(", train[7], train[7], f"CCO{'C' * n}")[n % 4] for n in range(200)]
    half = torch.arange(100), torch.arange(100, 200)
    pair = [Fold(made=a, real=b, fresh=a, copies=a.clamp_max(198), trivial=a) for a, b in (half, half[::-1])]
    found = {one.name: one for one in measured.molecules((made, real, train, ["C)"] * 200), train, pair)}
    valid, different, new = (found[name] for name in ("validity", "uniqueness", "novelty"))
    assert (valid.value, valid.floor, valid.baseline) == (0.75, 1.0, 0.0) and valid.low < 0.75 < valid.high
    assert different.value == pytest.approx(51 / 150) and different.floor == 1.0
    assert new.value == pytest.approx(50 / 51) and new.floor == 1.0 and new.copies == 0.0
    assert "75 of 100" in valid.says and "not installed" in valid.says and "first 150" in different.says
    assert found["rings_distance"].value == pytest.approx(1 / 3, abs=0.02) and found["rings_distance"].floor == 0.0
    assert found["rings_distance"].copies == 0.0 and found["atoms_distance"].baseline is None


def test_sizes_of_what_is_no_molecule_are_unknown() -> None:
    found = measured.sizes(["C1CC1", "C(", "[H]O[H]"])
    assert found[0].tolist() == [3, 1] and found[1].tolist() == [-1, -1] and found[2].tolist() == [1, 0]


def test_unknown_pieces_are_spelt_in_bytes() -> None:
    found = _smiles.Smiles("CN", ("Cl",), True)
    assert found.decode(found.encode("CClN[é]")) == "CClN[é]" and isinstance(found, Characters)


def test_molecules_are_told_in_tables_and_smi_files(tmp_path: Path) -> None:
    some = [f"C{'C' * (i % 9)}(=O)Nc1ccc(O)cc1{'C' * (i % 11)}" for i in range(99)]
    (tmp_path / "a.csv").write_text(
        "\n".join(["name,SMILES,mass,charge", *(f"x{i},{s},{i},0" for i, s in enumerate(some))])
    )
    (tmp_path / "a.smi").write_text("\n".join(["smiles id", *(f"{s}\tZINC{i}" for i, s in enumerate(some))]))
    for name in ("a.csv", "a.smi"):
        source = open_source(tmp_path / name)
        assert source.codec == "text" and source.items[0].load() == some[0]
