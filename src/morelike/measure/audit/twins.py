"""The same thing twice: equal items, versions of one item, and items that return in disguise.

Versions are told by the codec, as a difference that is below 1 for pairs that a person would call the same. How far
that can be trusted depends on the set: two hand-written ones are nearly the same without being copies. So a pair also
has to stand out from the neighbourhood of its items, and the bounds are set where few accepted pairs are expected to
be there by chance.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from morelike.core.codec import Inspectable
from morelike.data.ragged import Ragged, take
from morelike.measure.nearest import nearest

CANDIDATES = 6  # neighbours of each item that may be versions of it
CERTAIN = 0.075  # a difference below is that of versions in any set
DIFFERENCES = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12)  # bounds that are tried
RATIOS = (0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03)
BEYOND, BY_CHANCE = 1.5, 0.3  # of pairs beyond a bound by at most this factor, this share is expected within
WRONG = 0.05  # share of the accepted pairs that may be there by chance
NEIGHBOURHOOD = (32, 48, 64)  # ranks of the neighbours that say how like each other unrelated items are
CROWDED = 0.1  # pairs per item below a bound from which the set is too crowded for it
DISGUISED = 0.5  # a disguised pair has to be this much alike
UNDISGUISED = 0.3  # its difference, over that of the two as they are: symmetry is no disguise
_CHUNK, _PAIRS = 1024, 256


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows, i < j: (P,) each, and how unlike they are."""

    i: Tensor
    j: Tensor
    difference: Tensor

    def keep(self, chosen: Tensor) -> Pairs:
        return Pairs(self.i[chosen], self.j[chosen], self.difference[chosen])


@dataclass(frozen=True)
class Twins:
    """What is there more than once, as groups of rows in ascending order.

    equal      the same content after preparation
    alike      versions of one item, together with what equals them
    disguised  pairs by the name of the disguise
    """

    equal: list[tuple[int, ...]]
    alike: list[tuple[int, ...]]
    disguised: dict[str, list[tuple[int, int]]]


def equals(hashes: np.ndarray) -> list[tuple[int, ...]]:
    """Groups of rows with the same hash (N,), largest first."""
    order = np.argsort(hashes, kind="stable")
    begins = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order[:1]]))
    sizes = np.diff(begins, append=len(order))
    several = zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True)
    return _sorted(order[begin : begin + size].tolist() for begin, size in several)


def find(
    codec: Inspectable,
    sketches: Tensor,
    hashes: np.ndarray,
    candidates: int = CANDIDATES,
    tell: Callable[[float], None] = lambda done: None,
) -> Twins:
    """Everything that is there more than once among items with these sketches (N, *sketch) and hashes (N,).

    candidates  neighbours of each item that are looked at
    tell        called with the share that is done
    """
    equal = equals(hashes)
    rows = np.sort(np.unique(hashes, return_index=True)[1])
    if len(rows) < 3:
        return Twins(equal, [], {})
    distinct = sketches if len(rows) == len(sketches) else sketches[torch.from_numpy(rows)]
    disguised = {}
    with alone():
        search = Search(codec, distinct)
        pairs = search.pairs(distinct, min(candidates, len(rows) - 1), lambda done: tell(0.7 * done))
        alike = search.accepted(pairs)
        known = set(zip(alike.i.tolist(), alike.j.tolist(), strict=True))
        for name, disguise in codec.disguises.items():
            found = search.disguised(disguise(distinct), known)
            disguised[name] = [(int(rows[i]), int(rows[j])) for i, j in found]
    tell(1.0)
    return Twins(equal, _merged(equal, rows[alike.i.numpy()], rows[alike.j.numpy()]), disguised)


def sketched(codec: Inspectable, x: np.ndarray | Ragged) -> Tensor:
    """Sketches of prepared items (N, *stored), some at a time: (N, *sketch)."""
    parts = (take(x, slice(begin, begin + _CHUNK)) for begin in range(0, len(x), _CHUNK))
    return torch.cat([codec.sketch(part) for part in parts])


@contextmanager
def alone() -> Iterator[None]:
    """With one torch thread for each Python thread, since the work here comes in many small pieces."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Search:
    """Looks for pairs of versions among sketches (U, *sketch), no two of which are equal."""

    def __init__(self, codec: Inspectable, sketches: Tensor) -> None:
        self.codec, self.sketches = codec, sketches
        self.signatures = self._signed(sketches)

    def pairs(self, others: Tensor, k: int, tell: Callable[[float], None] = lambda done: None) -> Pairs:
        """Each item beside its k nearest by signature, less than 1 apart; `others` are the sketches in their order."""
        signatures = self.signatures if others is self.sketches else self._signed(others)
        distances, found = nearest(signatures, self.signatures, k, skip_self=True)
        i = torch.arange(len(found)).repeat_interleave(k)[distances.flatten() < 1]
        j = found.flatten()[distances.flatten() < 1]
        both = torch.unique(torch.stack([torch.minimum(i, j), torch.maximum(i, j)]), dim=1)
        return Pairs(both[0], both[1], self.differences(both[0], both[1], others, tell))

    def differences(
        self, i: Tensor, j: Tensor, others: Tensor | None = None, tell: Callable[[float], None] = lambda done: None
    ) -> Tensor:
        """How unlike item i and the other j are, (P,), some pairs at a time."""
        others, parts = self.sketches if others is None else others, []
        if not len(i):
            return torch.empty(0)

        def compare(pair: tuple[Tensor, Tensor]) -> Tensor:
            return self.codec.difference(self.sketches[pair[0]], others[pair[1]])

        pieces = list(zip(i.split(_PAIRS), j.split(_PAIRS), strict=True))
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for done, part in enumerate(pool.map(compare, pieces), start=1):
                parts.append(part)
                tell(done / len(pieces))
        return torch.cat(parts)

    def accepted(self, pairs: Pairs) -> Pairs:
        """The pairs that are versions: certain ones, and those within the widest bounds that can be trusted."""
        chosen = pairs.difference < CERTAIN
        most = next((one for one in DIFFERENCES if int((pairs.difference < BEYOND * one).sum()) <= self._crowd), 0.0)
        near = torch.nonzero(pairs.difference < BEYOND * most).flatten()
        if len(near):
            some = pairs.keep(near)
            chosen[near[trusted(some.difference, some.difference / self.background(some), most)]] = True
        return pairs.keep(chosen)

    def background(self, pairs: Pairs) -> Tensor:
        """How unlike items of the neighbourhood of a pair are that are not versions of it, (P,).

        The largest of the differences to three far neighbours, so that a few dozen versions do not hide one another;
        the smaller one of the pair's two items.
        """
        rows, place = torch.unique(torch.cat([pairs.i, pairs.j]), return_inverse=True)
        most = len(self.sketches) - 1
        ranks = sorted({min(rank, most) for rank in NEIGHBOURHOOD})
        far = nearest(self.signatures[rows], self.signatures, min(ranks[-1] + 1, most + 1))[1]  # the first is itself
        unlike = [self.differences(rows, far[:, min(rank, far.shape[1] - 1)]) for rank in ranks]
        both = torch.stack(unlike).amax(0)[place].view(2, -1)
        return both.amin(0)

    def disguised(self, others: Tensor, known: set[tuple[int, int]]) -> list[tuple[int, int]]:
        """Pairs of which one is a version of the other in disguise, and which are much less alike without it."""
        found = self.accepted(self.pairs(others, 1))
        found = found.keep(found.difference < DISGUISED)
        found = found.keep(found.difference < UNDISGUISED * self.differences(found.i, found.j))
        return [pair for pair in zip(found.i.tolist(), found.j.tolist(), strict=True) if pair not in known]

    @property
    def _crowd(self) -> float:
        return max(20.0, CROWDED * len(self.sketches))

    def _signed(self, sketches: Tensor) -> Tensor:
        return torch.cat([self.codec.signature(part) for part in sketches.split(_CHUNK)])


def trusted(difference: Tensor, ratio: Tensor, most: float) -> Tensor:
    """The most pairs below a bound on both, bool (P,), of which no more than `WRONG` are expected there by chance.

    most  the widest bound on the difference

    Pairs of different items become rarer towards equality, about as the fourth power of their difference. So of those
    beyond a bound by a factor of 1.5, 1 / (1.5^4 - 1) as many are expected within; `BY_CHANCE` is a little more.
    """
    best = torch.zeros_like(difference, dtype=torch.bool)
    for bound in (one for one in DIFFERENCES if one <= most):
        for share in RATIOS:
            inside = (difference < bound) & (ratio < share)
            beyond = (difference < BEYOND * bound) & (ratio < BEYOND * share) & ~inside
            if inside.sum() > best.sum() and BY_CHANCE * int(beyond.sum()) <= WRONG * int(inside.sum()):
                best = inside
    return best


def _merged(equal: Sequence[Sequence[int]], i: np.ndarray, j: np.ndarray) -> list[tuple[int, ...]]:
    """Groups of rows that pairs connect, each with all that equals its members; largest first."""
    parent: dict[int, int] = {}

    def root(row: int) -> int:
        while parent.setdefault(row, row) != row:
            parent[row] = row = parent[parent[row]]
        return row

    for one, other in zip(i.tolist(), j.tolist(), strict=True):
        parent[root(other)] = root(one)
    for group in equal:
        if any(row in parent for row in group):
            for row in group:
                parent[root(row)] = root(group[0])
    members = defaultdict(list)
    for row in parent:
        members[root(row)].append(row)
    return _sorted(members.values())


def _sorted(groups: Iterable[Sequence[int]]) -> list[tuple[int, ...]]:
    """Rows ascending, groups by size and then by their first row."""
    return sorted((tuple(sorted(int(row) for row in group)) for group in groups), key=lambda one: (-len(one), one))
