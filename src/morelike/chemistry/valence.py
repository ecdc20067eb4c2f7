"""Whether a molecule could be one: valences, and aromatic rings to which single and double bonds can be given."""

from __future__ import annotations

import numpy as np

from morelike.chemistry.smiles import AROMATIC, NUMBER, Atom, Malformed, Molecule, parse

USUAL = (  # bonds that an atom may have, hydrogens included; others than these elements may have any
    ("H Li Na K Rb Cs F Cl Br", (1,)), ("Be Mg Ca Sr Ba O", (2,)), ("B Al Ga In N", (3,)), ("C Ge", (4,)),
    ("P As Sb Bi", (3, 5, 7)), ("S Se Te", (2, 4, 6)), ("I", (1, 3, 5)), ("Si", (4, 6)), ("Sn Pb", (2, 4)),
    ("He Ne Ar Kr", (0,)), ("Xe", (0, 2, 4, 6)),
)  # fmt: skip
VALENCES = {NUMBER[symbol]: allowed for symbols, allowed in USUAL for symbol in symbols.split()}
NITROGEN, OXYGEN = 7, 8
LEAST = 1e-9  # singular value from which a matrix has full rank


def fault(text: str) -> str:
    """Why a text is no molecule, "" if it is one: SMILES by its grammar, with valences that its atoms may have."""
    try:
        return wrong(parse(text))
    except Malformed as error:
        return str(error)


def wrong(molecule: Molecule) -> str:
    """What is wrong with the valences of a molecule, "" where nothing is."""
    try:
        fits = alternates(molecule, lacking(molecule))
    except Malformed as error:
        return str(error)
    return "" if fits else "its aromatic rings have no double bonds that fit"


def bonds_of(atom: Atom) -> tuple[int, ...] | None:
    """How many bonds an atom may have, hydrogens included; None for any.

    A charged atom may have those of the element that has as many electrons, as N+ those of C.
    """
    return VALENCES.get(atom.element - atom.charge) if atom.element else None


def lacking(molecule: Molecule, whole: bool = True) -> list[int]:
    """The aromatic atoms that need a double bond: their single bonds and hydrogens are fewer than they may have.

    Raises `Malformed` where an atom has more bonds than it may have, or, in a whole molecule, is aromatic outside a
    ring; in a part of one it may come into a ring yet, and is left out.
    """
    bonds, cyclic = [0] * len(molecule.atoms), [False] * len(molecule.atoms)
    for (one, other, order), ringed in zip(molecule.bonds, molecule.ringed(), strict=True):
        for end in (one, other):
            bonds[end] += order or 1
            cyclic[end] |= ringed
    found = []
    for place, atom in enumerate(molecule.atoms):
        if atom.aromatic and not cyclic[place]:
            if not whole:
                continue
            raise Malformed(f"atom {place + 1} is aromatic outside a ring")
        allowed = bonds_of(atom)
        if allowed is None:
            continue
        has = bonds[place] + (atom.hydrogens or 0)
        if has == (4 if atom.aromatic else 5) and _uncharged(molecule, place):
            allowed = (5,)
        most = next((number for number in allowed if number >= has), None)
        if most is None:
            raise Malformed(f"atom {place + 1} has {has} bonds")
        if atom.aromatic and most > has:
            found.append(place)
    return found


def _uncharged(molecule: Molecule, place: int) -> bool:
    """Whether an atom is nitrogen that is written with five bonds in place of charges, as in N(=O)=O and N=N#N."""
    if molecule.atoms[place].element != NITROGEN or molecule.atoms[place].charge:
        return False
    far = [(molecule.atoms[one + other - place].element, order) for one, other, order in molecule.bonds
           if place in (one, other)]  # fmt: skip
    return (OXYGEN, 2) in far or (NITROGEN, 3) in far


def alternates(molecule: Molecule, lacking: list[int]) -> bool:
    """Whether double bonds can be put between atoms of aromatic rings so that each of the lacking ones has just one.

    There is such a matching where a skew-symmetric matrix with a random number for each bond is not singular, but for
    a chance of nought (Tutte 1947; Lovasz 1979).
    """
    if len(lacking) % 2:
        return False
    place = {atom: row for row, atom in enumerate(lacking)}
    ends = [(place[one], place[other]) for one, other, order in molecule.bonds
            if order == AROMATIC and one in place and other in place]  # fmt: skip
    if not lacking or len(ends) < len(lacking) / 2:
        return not lacking
    one, other = np.array(ends).T
    matrix = np.zeros((len(lacking), len(lacking)))
    matrix[one, other] = np.random.default_rng(0).uniform(1, 2, len(ends))
    return bool(np.linalg.svd(matrix - matrix.T, compute_uv=False)[-1] > LEAST)
