"""SMILES, which write a molecule in a line: read into atoms and bonds by the grammar of OpenSMILES (2016)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

TOKEN = re.compile(
    r"(?P<bracket>\[[^][]*\])|(?P<atom>Cl|Br|[BCNOPSFI*bcnops])|(?P<bond>[-=#$:/\\])|(?P<ring>%\d\d|\d)|(?P<sign>[().])"
)
BRACKET = re.compile(
    r"\[(?P<isotope>\d+)?(?P<symbol>[A-Z][a-z]?|b|c|n|o|p|s|se|as|te|\*)"
    r"(?P<turn>@(?:@|TH[12]|AL[12]|SP[1-3]|TB(?:1\d?|20|[2-9])|OH(?:[12]\d?|30|[3-9]))?)?"
    r"(?P<hydrogens>H\d?)?(?P<charge>\+\+|--|[+-]\d{0,2})?(?::\d+)?\]"
)
ELEMENTS = (
    "* H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts"
)  # by atomic number; * is any
NUMBER = {symbol: number for number, symbol in enumerate(ELEMENTS.split())}
AROMATIC = 0  # order of an aromatic bond
GUESSED = -1  # order of a bond that does not say it: aromatic between aromatic atoms of one ring, else single
ORDERS = {"": GUESSED, "/": GUESSED, "\\": GUESSED, "-": 1, "=": 2, "#": 3, "$": 4, ":": AROMATIC}


class Malformed(ValueError):
    """A text that is no SMILES; its words say why."""


class Atom(NamedTuple):
    """number of the element (0: any), whether it is written as aromatic, charge, and hydrogens (None: as they fit)."""

    element: int
    aromatic: bool = False
    charge: int = 0
    hydrogens: int | None = None


class Bond(NamedTuple):
    """The atoms at its ends, and its order: 1 to 4, or `AROMATIC`."""

    first: int
    second: int
    order: int


@dataclass
class Molecule:
    """Atoms and bonds of a SMILES, in the order in which they are written."""

    atoms: list[Atom] = field(default_factory=list)
    bonds: list[Bond] = field(default_factory=list)

    def ringed(self) -> list[bool]:
        """Whether each bond is part of a ring.

        Every bond outside a spanning tree closes one ring; a bond of the tree is in a ring if it is in one of these.
        """
        tree, order = self._tree()
        closing = [place for place in range(len(self.bonds)) if place not in tree]
        passed = [0] * len(self.atoms)  # by atom, as bits: the closing bonds that join what hangs on it with the rest
        for bit, place in enumerate(closing):
            for atom in self.bonds[place][:2]:
                passed[atom] ^= 1 << bit
        found = [True] * len(self.bonds)
        for atom, place in reversed(order):
            found[place] = passed[atom] != 0
            one, other = self.bonds[place][:2]
            passed[other if one == atom else one] ^= passed[atom]
        return found

    def settled(self) -> Molecule:
        """The same with bonds that do not say their order: aromatic within a ring, single outside."""
        ringed = self.ringed() if any(bond.order == GUESSED for bond in self.bonds) else []
        orders = (AROMATIC if ringed[place] else 1 for place, bond in enumerate(self.bonds) if bond.order == GUESSED)
        bonds = [bond._replace(order=next(orders)) if bond.order == GUESSED else bond for bond in self.bonds]
        return Molecule(self.atoms, bonds)

    def rings(self) -> int:
        """How many rings: bonds - atoms + parts (Euler)."""
        return len(self.bonds) - len(self._tree()[0])

    def _tree(self) -> tuple[set[int], list[tuple[int, int]]]:
        """The bonds of a spanning forest, and (atom, bond by which it was reached) in the order of a walk."""
        near: list[list[tuple[int, int]]] = [[] for _ in self.atoms]
        for place, (one, other, _) in enumerate(self.bonds):
            near[one].append((other, place))
            near[other].append((one, place))
        seen, order = [False] * len(self.atoms), list[tuple[int, int]]()
        for root in range(len(self.atoms)):
            waiting = [] if seen[root] else [root]
            seen[root] = True
            while waiting:
                for atom, place in near[waiting.pop()]:
                    if not seen[atom]:
                        seen[atom] = True
                        waiting.append(atom)
                        order.append((atom, place))
        return {place for _, place in order}, order


class Reader:
    """Reads token after token: where the chain stands, what bond was written, which branches and rings are open."""

    def __init__(self) -> None:
        self.molecule = Molecule()
        self.at: int | None = None
        self.bond: str | None = None
        self.branches: list[int] = []
        self.rings: dict[int, tuple[int, str | None]] = {}
        self.pairs: set[tuple[int, int]] = set()
        self.before = "begin"

    def copy(self) -> Reader:
        """One that reads on by itself."""
        new = Reader()
        new.molecule = Molecule(self.molecule.atoms[:], self.molecule.bonds[:])
        new.at, new.bond, new.before = self.at, self.bond, self.before
        new.branches, new.rings, new.pairs = self.branches[:], dict(self.rings), set(self.pairs)
        return new

    def read(self, found: re.Match[str]) -> None:
        """Go on by one match of `TOKEN`. Raises `Malformed` where it may not follow."""
        if (new := atom(found)) is not None:
            self.add(new)
        elif found["bond"]:
            self.link(found[0])
        elif found["ring"]:
            self.ring(int(found[0].lstrip("%")))
        else:
            self.sign(found[0])

    def add(self, atom: Atom) -> None:
        here = len(self.molecule.atoms)
        self.molecule.atoms.append(atom)
        if self.at is not None:
            self.join(self.at, here, self.bond)
        elif self.bond:
            raise Malformed(f"the bond {self.bond} has no atom before it")
        self.at, self.bond, self.before = here, None, "atom"

    def join(self, one: int, other: int, bond: str | None) -> None:
        if one == other or (pair := (min(one, other), max(one, other))) in self.pairs:
            raise Malformed("a ring of fewer than three atoms")
        self.pairs.add(pair)
        order, atoms = ORDERS[bond or ""], self.molecule.atoms
        if order == GUESSED and not (atoms[one].aromatic and atoms[other].aromatic):
            order = 1
        self.molecule.bonds.append(Bond(one, other, order))

    def ring(self, number: int) -> None:
        if self.at is None or self.before not in ("atom", "ring", "bond", ")"):
            raise Malformed("a ring closure without an atom")
        if number in self.rings:
            other, bond = self.rings.pop(number)
            if bond and self.bond and ORDERS[bond] != ORDERS[self.bond]:
                raise Malformed(f"ring {number} is closed by two different bonds")
            self.join(other, self.at, bond or self.bond)
        else:
            self.rings[number] = (self.at, self.bond)
        self.bond, self.before = None, "ring"

    def sign(self, sign: str) -> None:
        if self.before not in ("atom", "ring", ")"):
            raise Malformed(f"{sign} after {self.before}")
        if sign == "(":
            assert self.at is not None
            self.branches.append(self.at)
        elif sign == ")":
            if not self.branches:
                raise Malformed("a ) without a (")
            self.at = self.branches.pop()
        else:
            self.at = None
        self.before = sign

    def link(self, bond: str) -> None:
        if self.at is None or self.bond or self.before not in ("atom", "ring", ")", "("):
            raise Malformed(f"the bond {bond} after {self.before}")
        self.bond, self.before = bond, "(" if self.before == "(" else "bond"  # a branch begins with an atom

    def end(self) -> Molecule:
        if self.before not in ("atom", "ring", ")"):
            raise Malformed(f"it ends after {self.before}")
        if self.rings or self.branches:
            raise Malformed("a ( without a )" if self.branches else f"ring {min(self.rings)} is open")
        return self.molecule.settled()


def parse(text: str) -> Molecule:
    """The molecule that a SMILES writes. Raises `Malformed` where it is none; valences are not looked at."""
    reader, place = Reader(), 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise Malformed(f"{text[place]!r} at place {place + 1}")
        place = found.end()
        reader.read(found)
    return reader.end()


def atom(found: re.Match[str]) -> Atom | None:
    """The atom of a match of `TOKEN`, None where it is another sign."""
    if found["bracket"]:
        return bracket(found[0])
    return Atom(NUMBER[found[0].capitalize()], found[0].islower()) if found["atom"] else None


def bracket(token: str) -> Atom:
    """The atom of a bracket such as [13C@@H2-2]. Raises `Malformed`."""
    found = BRACKET.fullmatch(token)
    if found is None or (element := NUMBER.get(found["symbol"].capitalize())) is None:
        raise Malformed(f"{token} is no atom")
    sign = found["charge"] or ""
    size = len(sign) if sign in ("", "++", "--", "+", "-") else int(sign[1:])
    hydrogens = int(found["hydrogens"][1:] or 1) if found["hydrogens"] else 0
    return Atom(element, found["symbol"].islower(), -size if sign[:1] == "-" else size, hydrogens)
