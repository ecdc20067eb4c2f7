"""What of the samples stands word for word in training documents, beside what of new real documents does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from morelike.measure.figure import Figure, Passage
from morelike.measure.text.runs import Texts, covered, found

USUAL, MOSTLY = 0.05, 0.8  # share of its characters that may stand in runs that count, in as many of new documents
LENGTHS = (3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)  # of runs that may count
LOOKED_AT, CHARACTERS = 1_000, 1_000_000  # texts of a kind, and characters of them
DRAWS = 1_000  # of the bootstrap
SHOWN, AROUND = 6, 110  # passages that are shown, and characters around them
KNOWN, SOUGHT = 0, 0x10FFFF  # code points between texts, which stand in none
TITLES = {"verbatim": "Word for word", "longest_run": "Longest run"}


@dataclass(frozen=True)
class Verbatim:
    """What was found.

    figures   verbatim and longest_run
    passages  the longest runs, one for each sample
    """

    figures: list[Figure]
    passages: list[Passage] = field(default_factory=list)


def verbatim(
    sets: Mapping[str, Sequence[str]], train: Sequence[str], names: Sequence[str] = (), seed: int = 0
) -> Verbatim:
    """The share of characters in runs that stand in a training document too, and the longest of these.

    sets   texts by kind: "made", "held", "copies" and "trivial", each in random order; "held" may be empty
    train  whole training documents, and their names

    A run counts from the smallest length on at which four of five new documents have at most 5 in 100 of their
    characters in such runs, so that what everybody writes (names, phrases, forms of verse) does not count, and the
    others may be copies themselves. Intervals are of a bootstrap over texts.
    """
    kinds = {name: Texts(shortened(texts), SOUGHT) for name, texts in sets.items()}
    known = Texts(train, KNOWN)
    if not sum(kinds["made"].sizes) or not len(known):
        why = "the samples are empty" if len(known) else "there are no training documents"
        return Verbatim([Figure(name, title, reason=why) for name, title in TITLES.items()])
    run = length_that_counts(kinds["held"], known)
    inside = {name: _inside(texts, known, run) for name, texts in kinds.items()}
    figures = [_share(kinds, inside, run, seed), _longest(kinds, known)]
    return Verbatim(figures, passages(sets["made"], kinds["made"], train, names, inside["made"]))


def passages(
    made: Sequence[str], texts: Texts, train: Sequence[str], names: Sequence[str], inside: np.ndarray
) -> list[Passage]:
    """The longest run of each of the samples that have most in runs that count, longest first."""
    order = np.argsort(-inside, kind="stable")[:SHOWN]
    joined = chr(KNOWN).join(train)
    begins = np.cumsum([0, *(len(one) + 1 for one in train)])
    found = [one for row in order.tolist() if inside[row] and (one := _passage(row, made[row], joined, begins, names))]
    return sorted(found, key=lambda one: -one.length)


def _passage(row: int, text: str, joined: str, begins: np.ndarray, names: Sequence[str]) -> Passage | None:
    """The longest run of a text that stands in the joined ones."""
    at, length = 0, 0
    for place in range(len(text)):
        while place + length < len(text) and text[place : place + length + 1] in joined:
            at, length = place, length + 1
    if not length:
        return None
    there = joined.find(text[at : at + length])
    document = int(np.searchsorted(begins, there, side="right")) - 1
    first, last = int(begins[document]), int(begins[document + 1]) - 1
    around = max(40, AROUND - length // 2)
    return Passage(
        row, names[document] if document < len(names) else "", length, text[max(0, at - around) : at],
        text[at : at + length], text[at + length : at + length + around],
        joined[max(first, there - around) : there], joined[there + length : min(last, there + length + around)],
    )  # fmt: skip


def shortened(texts: Sequence[str]) -> list[str]:
    """The first of some texts, of which there is room for."""
    kept, room = list[str](), CHARACTERS
    for one in texts[:LOOKED_AT]:
        kept.append(one[:room])
        room -= len(kept[-1])
        if room <= 0:
            break
    return kept


def length_that_counts(held: Texts, known: Texts) -> int:
    """The smallest length at which hardly anything of new documents stands in known ones."""
    if not held.sizes.sum():
        return 50
    for run in LENGTHS:
        shares = _inside(held, known, run) / np.maximum(held.sizes, 1)
        if np.quantile(shares, MOSTLY) <= USUAL:
            return run
    return LENGTHS[-1]


def longest(texts: Texts, known: Texts) -> int:
    """Characters of the longest run that stands in known texts too, by doubling and halving."""
    low, high, most = 0, 1, int(texts.sizes.max(initial=0))
    while high <= most and found(texts, known, high).any():
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if found(texts, known, middle).any() else (low, middle)
    return low


def _inside(texts: Texts, known: Texts, run: int) -> np.ndarray:
    """Characters of each text in runs that stand in known texts too: int64 (n,)."""
    return texts.summed(covered(found(texts, known, run), run))


def _share(kinds: Mapping[str, Texts], inside: Mapping[str, np.ndarray], run: int, seed: int) -> Figure:
    shares = {name: float(one.sum() / kinds[name].sizes.sum()) if kinds[name].sizes.sum() else None
              for name, one in inside.items()}  # fmt: skip
    value, floor = shares["made"] or 0.0, shares.get("held")
    low, high = _interval(inside["made"], kinds["made"].sizes, seed)
    says = (f"{_hundred(value)} characters of the samples stand in runs of {run} or more that are in a training "
            "document too")  # fmt: skip
    says += "." if floor is None else f"; of new real documents, {_hundred(floor)}."
    return Figure("verbatim", f"{TITLES['verbatim']}, {run} characters or more", "lower", value, min(low, value),
                  max(high, value), floor, shares.get("copies"), shares.get("trivial"), says=says)  # fmt: skip


def _longest(kinds: Mapping[str, Texts], known: Texts) -> Figure:
    found = {name: longest(texts, known) if len(texts) else None for name, texts in kinds.items()}
    says = f"The longest run of a sample that stands in a training document too has {found['made']:,} characters"
    says += "." if found.get("held") is None else f"; of {len(kinds['held']):,} new real documents, {found['held']:,}."
    value, floor, copies, alone = (
        None if found.get(name) is None else float(found[name] or 0) for name in ("made", "held", "copies", "trivial")
    )
    return Figure("longest_run", TITLES["longest_run"], "lower", value, None, None, floor, copies, alone, says=says)


def _interval(part: np.ndarray, whole: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of sum(part) / sum(whole) over texts that are drawn again with replacement."""
    rows = np.random.default_rng(seed).integers(len(part), size=(DRAWS, len(part)))
    drawn = part[rows].sum(1) / np.maximum(whole[rows].sum(1), 1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _hundred(share: float) -> str:
    return f"{100 * share:.{3 if share >= 0.1 else 2}g} of 100"
