"""What is measured of molecules: which samples are valid, different and new, and whether their sizes are real ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.chemistry.smiles import Malformed, parse
from morelike.chemistry.valence import fault, wrong
from morelike.measure.anchors import Anchored, Fold, Measure, Sets, anchored
from morelike.measure.figure import Estimate, Figure
from morelike.measure.interval import wilson
from morelike.measure.panel import Scale, figure, jackknife

MOSTLY, LOOKED_AT = 0.95, 2_000  # share of the training texts that have to be molecules, and how many are looked at
JOINED, SIGNS = 0.5, re.compile(r"[\[(=#\d]")  # share that has to have one of these: words such as "BIN" have none
FIRST = 1_000  # valid samples among which different ones are counted
BY = {True: "by RDKit", False: "by our reading of SMILES and valences, as RDKit is not installed"}
SCALES = {
    one.name: one
    for one in (
        Scale("validity", "Valid molecules", "higher",
              "About {value} of 100 samples are molecules that could be, {by}; of real ones {floor}.", 1.0),
        Scale("uniqueness", "Different molecules", "higher",
              "Of the first {first} valid samples about {value} of 100 were not there before; of real ones {floor}.",
              1.0),
        Scale("novelty", "New molecules", "higher",
              "About {value} of 100 different valid samples are not in the training set; of real ones {floor}.", 1.0),
        Scale("atoms_distance", "Atoms", "lower",
              "Sorted by their atoms without hydrogen, samples and real molecules differ by {raw} atoms on average; "
              "real ones among themselves by {raw_floor}.", 0.0),
        Scale("rings_distance", "Rings", "lower",
              "Sorted by their rings, samples and real molecules differ by {raw} rings on average; real ones among "
              "themselves by {raw_floor}.", 0.0),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """The form in which a molecule is always written, None for what is none.

    normal  SMILES -> that form
    rdkit   whether RDKit does it; else the text stands for itself, and one molecule may have several forms
    """

    normal: Callable[[str], str | None]
    rdkit: bool


def reader() -> Reader:
    """RDKit where it is installed, else our own reading."""
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        return Reader(lambda text: text if text and not fault(text) else None, False)

    def normal(text: str) -> str | None:
        with rdBase.BlockLogs():
            found = Chem.MolFromSmiles(text) if text and text.isascii() else None
        return None if found is None or not found.GetNumAtoms() else Chem.MolToSmiles(found)

    return Reader(normal, True)


def are_molecules(texts: Sequence[str]) -> bool:
    """Whether nearly all of some texts are SMILES, and not only short words that happen to be."""
    seen = texts[:: max(1, len(texts) // LOOKED_AT)]
    joined = sum(SIGNS.search(text) is not None for text in seen)
    if not seen or joined < JOINED * len(seen):
        return False
    return sum(not fault(text.strip()) for text in seen) >= MOSTLY * len(seen)


def molecules(sets: Sequence[Sequence[str]], known: Sequence[str], pair: Sequence[Fold]) -> list[Figure]:
    """Validity, uniqueness and novelty (Polykovskiy et al. 2020, section 4.2), and how many atoms and rings there are.

    sets   samples, real texts, training texts, and those of the trivial model, in which the folds count
    known  all training texts
    """
    if not pair:
        return []
    read = reader()
    picks = [[getattr(fold, kind) for fold in pair] for kind in ("made", "fresh", "copies", "trivial")]
    rows = [torch.cat(one).tolist() for one in picks]
    rows[0] = list(range(len(sets[0])))
    forms = [[read.normal(one[row]) for row in own] for one, own in zip(sets, rows, strict=True)]
    there = {form for one in known if (form := read.normal(one.strip()))}
    told = [_told("validity", [_valid(one) for one in forms], by=BY[read.rdkit])]
    first = min(FIRST, sum(form is not None for form in forms[0]))
    told.append(_told("uniqueness", [_different(one, first) for one in forms], first=f"{first:,}"))
    told.append(_told("novelty", [*(_new(one, there) for one in forms[:3]), Estimate()]))
    numbers = Sets(*(sizes(one) for one in sets))
    return told + [figure(SCALES[name], anchored(gap(column), numbers, pair))
                   for column, name in enumerate(("atoms_distance", "rings_distance"))]  # fmt: skip


def sizes(texts: Sequence[str]) -> Tensor:
    """Atoms, hydrogen left out, and rings of each molecule; -1 for what is none: float64 (n, 2)."""
    found = torch.full((len(texts), 2), -1.0, dtype=torch.float64)
    for row, text in enumerate(texts):
        try:
            molecule = parse(text)
        except Malformed:
            continue
        if not wrong(molecule):
            heavy = sum(atom.element != 1 for atom in molecule.atoms)
            found[row] = torch.tensor([heavy, molecule.rings()], dtype=torch.float64)
    return found


def gap(column: int) -> Measure:
    """Wasserstein distance of order 1 between one number of the molecules: mean |sorted a - sorted b| at quantiles."""

    def apart(x: Tensor, y: Tensor) -> float:
        ours, theirs = (one[:, column][one[:, column] >= 0] for one in (x, y))
        if not len(ours) or not len(theirs):
            return math.nan
        at = torch.linspace(0, 1, 201, dtype=torch.float64)
        return float((ours.quantile(at) - theirs.quantile(at)).abs().mean())

    return lambda a, b: jackknife(apart, a, b)


def _valid(forms: Sequence[str | None]) -> Estimate:
    return _share(sum(form is not None for form in forms), len(forms))


def _different(forms: Sequence[str | None], first: int) -> Estimate:
    """Of the first valid ones the share that was not there before, for which there is no simple interval."""
    valid = [form for form in forms if form is not None][:first]
    return Estimate(len(set(valid)) / len(valid)) if valid else Estimate(reason="no sample is valid")


def _new(forms: Sequence[str | None], known: set[str]) -> Estimate:
    different = {form for form in forms if form is not None}
    return _share(len(different - known), len(different))


def _share(hits: int, trials: int) -> Estimate:
    return Estimate(hits / trials, *wilson(hits, trials)) if trials else Estimate(reason="no sample is valid")


def _told(name: str, found: Sequence[Estimate], **words: str) -> Figure:
    """A figure on samples, real, training and trivial texts, in whose sentence some words are filled in."""
    scale, (value, floor, copies, alone) = SCALES[name], found
    said = scale.words
    for key, word in words.items():
        said = said.replace(f"{{{key}}}", word)
    return figure(Scale(**{**vars(scale), "words": said}), Anchored(value, floor, copies, alone))
