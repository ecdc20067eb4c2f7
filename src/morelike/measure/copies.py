"""Which items are copies of training items, by a rule that held-out items calibrate.

An item is compared with the training items that are nearest to it in features, in place, and in spectrum (see
`morelike.measure.sketch`). Each distance is divided by how far apart items lie around there, and by the median of that
for held-out items, which never saw the training set:

    r = (d(x, t) / min(a(x), a(t))) / median over held-out items of the same,      a: distance to the surroundings

    exact copy   no number differs by more than half a grey level
    near copy    r_items * min(max(r_features, 1/4), 1) < limit

r_items is measured on the items themselves, after shifting and mirroring x to fit over t. So an item must be four times
as near as held-out items usually are; features can make up for some of that when they agree, never for all of it,
because features may see no difference where there is one. The limit is 1/4, or less where one held-out item in a
hundred is below it, so that natural likeness in the data does not count against a model.

A local scale as in Carlini et al. 2023 ("Extracting training data from diffusion models", section 5), taken on both
sides: of x, because blurred items are near everything, and of t, because items are dense in some places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure import sketch
from morelike.measure.nearest import nearest

FEW = 50  # items below which nothing can be calibrated
HALF_GREY = 1 / 255  # half a step of 8 bits on the scale from -1 to 1
LIMIT, NATURAL = 0.25, 0.01  # of what is usual for held-out items; share of them that may be called near copies
_AGREE, _LEAST = 0.25, 0.25  # how much features can make up for; smallest surroundings, of their median
_ORDER, _THIN, _FEWEST, _MOST = 5, 10, 200, 2_000


@dataclass(frozen=True)
class Items:
    """Items (n, *shape), and their features (n, d)."""

    x: Tensor
    seen: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor | slice) -> Items:
        return Items(self.x[rows], self.seen[rows])


@dataclass(frozen=True)
class Judged:
    """What is known of each item of a set, (n,) each.

    train     its training item: the one that it is a copy of, else the nearest in features
    distance  to that one in features
    closest   to the nearest in features
    score     how near it is to a training item; 1 is usual for held-out items, 0 is the same
    exact     an exact copy
    near      a near copy, and not an exact one
    """

    train: Tensor
    distance: Tensor
    closest: Tensor
    score: Tensor
    exact: Tensor
    near: Tensor

    @property
    def copy(self) -> Tensor:
        """An exact or a near copy."""
        return self.exact | self.near


class _Space:
    """Training items in one space, and how far each is from its surroundings: the fifth nearest of every tenth item.

    Near twins of an item hardly ever are among so few, so that they do not make its surroundings look dense.
    """

    def __init__(self, rows: Tensor, thin: Tensor) -> None:
        self.rows, self.thin = rows, rows[thin]
        self.around = self.surroundings(rows)
        self.least = _LEAST * float(self.around.median())

    def surroundings(self, x: Tensor) -> Tensor:
        return nearest(x, self.thin, min(_ORDER, len(self.thin)))[0][:, -1]

    def ratio(self, x: Tensor, train: Tensor, distance: Tensor) -> Tensor:
        """Distances (n, c) of x (n, d) to training items (n, c), over the surroundings of both."""
        around = torch.minimum(self.surroundings(x)[:, None], self.around[train]).clamp_min(max(self.least, 1e-30))
        return distance / around


@dataclass(frozen=True)
class _Pairs:
    """Items beside the training items that may be their originals, (n, c) each; c is 2 or 3, nearest in features first.

    seen         distance in features
    by_features  the same over the surroundings
    by_items     the same of the items themselves
    same         an exact copy
    """

    train: Tensor
    seen: Tensor
    by_features: Tensor
    by_items: Tensor
    same: Tensor


class Rule:
    """The rule for one training set; `judge` applies it.

    train  M >= 1 items that a model was trained on
    fresh  items that it was not trained on, from the same source
    spec   shape and kind of an item

    With fewer than 50 fresh items, training items stand in for them, each against all the others; with fewer than 50
    of those too, exact copies alone are told, and `why` says so.

    fresh       the items that calibrated it, judged by it
    own         their rows where they are training items, else None
    limit       score below which an item is a near copy; None where nothing could be calibrated
    """

    def __init__(self, train: Items, fresh: Items, spec: Spec, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.train, self.sketch = train, sketch.fit(train.x, spec, seed)
        thin = torch.randperm(len(train), generator=generator)[: max(_FEWEST, len(train) // _THIN)]
        self.features, self.place = _Space(train.seen, thin), _Space(self.sketch(train.x, self.sketch.place), thin)
        self.spectrum = self.sketch(train.x, self.sketch.spectrum) if self.sketch.spectrum else None
        self.range = (train.x.min(), train.x.max())
        self.usual, self.why = (0.0, 1.0), ""
        self.limit: float | None = None
        self.own = None if len(fresh) >= FEW else torch.randperm(len(train), generator=generator)[:_MOST]
        pairs = self._pairs(fresh if self.own is None else train[self.own], self.own)
        self._calibrate(pairs)
        self.fresh = self._judged(pairs)

    def judge(self, items: Items, own: Tensor | None = None) -> Judged:
        """Judge n items; `own` (n,) are their rows in the training set when they are training items themselves."""
        if not len(items):
            none = torch.empty(0)
            return Judged(none.long(), none, none, none, none.bool(), none.bool())
        return self._judged(self._pairs(items, own))

    def _judged(self, pairs: _Pairs) -> Judged:
        score, best = torch.where(pairs.same, -1.0, self._score(pairs)).min(1)
        exact = score < 0
        near = ~exact & (score < self.limit) if self.limit is not None else torch.zeros_like(exact)
        shown = torch.where(exact | near, best, 0)[:, None]
        train, seen = (one.gather(1, shown)[:, 0] for one in (pairs.train, pairs.seen))
        return Judged(train, seen, pairs.seen[:, 0], score.clamp_min(0), exact, near)

    def _calibrate(self, pairs: _Pairs) -> None:
        """What is usual for items that are no copies, and the limit."""
        new = ~pairs.same.any(1)
        if (count := int(new.sum())) < FEW:
            self.why = f"there are {count} real items that occur once, and {FEW} are needed to tell what is near"
            return
        usual = float(pairs.by_features[new, 0].median()), float(pairs.by_items[new].amin(1).median())
        if usual[1] <= 0:
            self.why = "most real items are as good as equal to others"
            return
        self.usual = usual
        score = self._score(pairs)[new].amin(1).sort().values
        self.limit = min(LIMIT, float(score[int(NATURAL * len(score))]))

    def _score(self, pairs: _Pairs) -> Tensor:
        agree = (pairs.by_features / self.usual[0]).clamp(_AGREE, 1) if self.usual[0] > 0 else 1.0
        return pairs.by_items / self.usual[1] * agree

    def _pairs(self, items: Items, own: Tensor | None) -> _Pairs:
        place = self.sketch(items.x, self.sketch.place)
        spaces = [(items.seen, self.train.seen), (place, self.place.rows)]
        if self.spectrum is not None and self.sketch.spectrum is not None:
            spaces.append((self.sketch(items.x, self.sketch.spectrum), self.spectrum))
        train = torch.stack([_first(x, rows, own) for x, rows in spaces], 1)  # (n, c)
        seen, near = (_apart(one, rows, train) for one, rows in spaces[:2])
        if self.spectrum is not None:
            near[:, 2] = torch.minimum(near[:, 2], self._aligned(items.x, train[:, 2]))
        return _Pairs(train, seen, self.features.ratio(items.seen, train, seen), self.place.ratio(place, train, near),
                      self._same(items.x, train))  # fmt: skip

    def _aligned(self, x: Tensor, train: Tensor) -> Tensor:
        """Distances in place (n,) to one training item each, after x has been moved to fit over it."""
        found = []
        for rows in self._parts(x):
            moved = sketch.aligned(self.sketch.coarse(x[rows]), self.sketch.coarse(self.train.x[train[rows]]))
            found.append((self.sketch.place(moved) - self.place.rows[train[rows]]).square().sum(1).sqrt())
        return torch.cat(found)

    def _same(self, x: Tensor, train: Tensor) -> Tensor:
        """Whether no number differs by more than half a grey level, within the range of the training items: (n, c)."""
        tolerance = HALF_GREY if x.is_floating_point() else 0
        found = torch.empty(train.shape, dtype=torch.bool)
        for rows in self._parts(x):
            some = x[rows].clamp(*self.range)
            for column, one in enumerate(train[rows].T):
                found[rows, column] = ((some - self.train.x[one]).abs().flatten(1) <= tolerance).all(1)
        return found

    def _parts(self, x: Tensor) -> Iterator[slice]:
        """Runs of rows of at most 16 MiB."""
        size = max(1, sketch.NUMBERS // max(1, x[:1].numel()))
        yield from (slice(start, start + size) for start in range(0, len(x), size))


def _first(x: Tensor, rows: Tensor, own: Tensor | None) -> Tensor:
    """The nearest of the rows to each x, other than its own: (n,)."""
    if own is None or len(rows) == 1:
        return nearest(x, rows)[1][:, 0]
    found = nearest(x, rows, 2)[1]
    return torch.where(found[:, 0] == own, found[:, 1], found[:, 0])


def _apart(x: Tensor, rows: Tensor, which: Tensor) -> Tensor:
    """Distances of x (n, d) to the given rows (n, c)."""
    columns = [(x.double() - rows[one].double()).square().sum(1).sqrt().float() for one in which.T]
    return torch.stack(columns, 1)
