"""Baskets: sets of things, such as what was bought together <-> one yes or no, or a rating, for each thing."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from morelike.codecs._sheets import _save
from morelike.core.codec import Item, Metric
from morelike.core.errors import DataError, OptionError
from morelike.core.spec import Spec
from morelike.nn.rows import Row

KEYED = 5.0  # pairs of things that are expected in so many real baskets are looked at


@dataclass(frozen=True)
class Config:
    """How baskets become cells.

    most   different things at most; rarer ones are left out

    Found by `fit`: known (the things, the commonest first), ratings (from the lowest), header (the columns of baskets,
    things and ratings, where a table names them row by row), mark (between things).
    """

    most: Annotated[int, Field(ge=1, le=4096)] = 500
    known: tuple[str, ...] = ()
    ratings: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    mark: str = ","

    def __post_init__(self) -> None:
        for name in ("known", "ratings", "header"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


class Codec:
    """Baskets <-> cells, one for each thing: 0 where it is not in the basket, else 1, or the number of its rating.

    Stored as uint8 (T,), encoded as int64 (B, T), decoded to an array (B,) of tuples of names, in the order of `known`,
    or of pairs of a name and its rating. A thing counts once, however often a basket names it.
    """

    natural, suffix, sheets = "baskets", ".csv", ".csv"
    versions = "of the same things"
    usual = "Few things make few different baskets, so that equal ones are as usual as they are."

    def __init__(self, config: Config = Config(), said: str = "") -> None:
        self.config, self.said = config, said
        self._place = {name: place for place, name in enumerate(config.known)}
        self._rated = {rating: place for place, rating in enumerate(config.ratings)}

    @property
    def metrics(self) -> Sequence[Metric]:
        return (frequencies, lift, basket_size, *((ratings,) if self.config.ratings else ()))

    @property
    def shape(self) -> tuple[int]:
        """(T,) of an encoded basket. Raises `OptionError` before `fit`."""
        if not self.config.known:
            raise OptionError("The things are not settled", "A codec that has read baskets", "Call fit first")
        return (len(self.config.known),)

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on."""
        told = repr((self.config.known, self.config.ratings) if self.config.ratings else self.config.known)
        return ("baskets", blake2b(told.encode("utf-8", "replace"), digest_size=16).hexdigest())

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec for the commonest things of all baskets; `said` tells how many there are, and what was left out."""
        count, baskets, rated = Counter[str](), 0, set[str]()
        for item in items:
            things = names(item)
            count.update(things.keys())
            rated.update(things.values())
            baskets += bool(things)
        if not count:
            raise DataError(
                "There is nothing in any basket", "Names of things, with commas between", "Look at the file"
            )
        order = sorted(count, key=lambda name: (-count[name], name))
        known, rest = order[: self.config.most], order[self.config.most :]
        said = f"{len(known):,} things, {sum(count.values()) / max(1, baskets):.1f} in a basket"
        if rest:
            part = sum(count[name] for name in rest) / sum(count.values())
            said += (
                f"; {len(rest):,} rarer ones, {100 * part:.1f} % of all that is in them, are left out (--set most=…)"
            )
        found, header = sorted(rated - {""}, key=float), getattr(items, "header", ())
        said += f"; rated {found[0]} to {found[-1]}" if found else ""
        said += f'; a row for each "{header[1]}" of a "{header[0]}"' if header else ""
        mark = getattr(items, "mark", "") or ","
        config = replace(self.config, known=tuple(known), ratings=tuple(found), header=tuple(header), mark=mark)
        return Codec(config, said)

    def prepare(self, item: Item) -> np.ndarray:
        """One basket: uint8 (T,). Raises `DataError` where nothing that is known is in it."""
        stored = np.zeros(self.shape, np.uint8)
        for name, rating in names(item).items():
            if name in self._place:
                stored[self._place[name]] = 1 + self._rated.get(rating, 0)
        if not stored.any():
            raise DataError("nothing in it that is kept", "at least one thing", "Leave it out")
        return stored

    def encode(self, stored: Tensor) -> Tensor:
        return stored.long()

    def decode(self, x: Tensor) -> np.ndarray:
        """int (B, T) -> (B,) of tuples of names, or of pairs of a name and its rating."""
        found, known, rated = np.empty(len(x), dtype=object), self.config.known, self.config.ratings
        for row, cells in enumerate(x.detach().cpu().numpy()):
            inside = np.flatnonzero(cells)
            if rated:
                found[row] = tuple((known[place], rated[cells[place] - 1]) for place in inside)
            else:
                found[row] = tuple(known[place] for place in inside)
        return found

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of a basket: a row of cells of two values, or one more than there are ratings, so that families of
        sequences and of rows take it."""
        tokens = 1 + max(1, len(self.config.ratings))
        sizes = (tokens,) * self.shape[0]
        return Spec(self.shape, tokens=tokens, head_shape=(sum(sizes),), head=partial(Row, sizes=sizes), sizes=sizes)

    def html(self, items: np.ndarray) -> list[str]:
        """Baskets (N,) as a list each."""
        told = (", ".join(one if isinstance(one, str) else " ".join(one) for one in each) for each in items)
        return [f'<div class="item">{escape(one) or "(empty)"}</div>' for one in told]

    def joined(self, items: np.ndarray) -> str:
        """Baskets (N,) as they are written to a CSV: one on each line, or a line for each thing, as they were read."""
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n", delimiter=self.config.mark)
        if self.config.header:
            out.writerow(self.config.header)
            pairs = ((number, one) for number, each in enumerate(items, 1) for one in each)
            out.writerows((number, one) if isinstance(one, str) else (number, *one) for number, one in pairs)
        else:
            out.writerows(items)
        return text.getvalue().rstrip("\n")

    def write(self, items: np.ndarray, target: Path) -> list[Path]:
        """Write baskets (N,) as lines (.csv), as JSON lines (.jsonl), or as baskets.csv into a folder, whole or not."""
        target = Path(target)
        if not target.suffix or target.is_dir():
            target = target / "baskets.csv"
        if target.suffix.lower() not in (".csv", ".txt", ".jsonl"):
            found = f'Baskets cannot be written as "{target.name}"'
            raise OptionError(found, "A name that ends in .csv or .jsonl", "Choose one of these")
        text = self.joined(items)
        if target.suffix.lower() == ".jsonl":
            text = "\n".join(json.dumps(list(one), ensure_ascii=False) for one in items)
        _save(target, f"{text}\n".encode("utf-8", "replace"))
        return [target]


def names(item: Item) -> dict[str, str]:
    """The different things of one basket, in their order, without white space around them, and their ratings or ""."""
    found = item.load()
    rated = found if isinstance(found, Mapping) else dict.fromkeys(found, "")
    return {name: rating for one, rating in rated.items() if (name := str(one).strip())}


def frequencies(samples: Tensor, real: Tensor) -> Mapping[str, float]:
    """How far off things are in their number, as a share of all: sum_i |p_i - q_i| / sum_i q_i for p_i in samples."""
    p, q = (_there(one).mean(0) for one in (samples, real))
    return {"item frequencies": float((p - q).abs().sum() / q.sum().clamp_min(1e-12))}


def lift(samples: Tensor, real: Tensor) -> Mapping[str, float]:
    """How far off pairs are in their lift p_ij / (p_i p_j) (Brin et al. 1997): mean |log lift - log real lift|.

    Pairs that are expected in at least 5 real baskets count, each count being one half more, so that none is zero.
    """
    expected = _expected(real)
    wanted = (expected >= KEYED).triu(1)
    ours, theirs = _lifts(samples)[wanted], _lifts(real)[wanted]
    return {"pair lift": float((ours - theirs).abs().mean()) if len(ours) else float("nan")}


def basket_size(samples: Tensor, real: Tensor) -> Mapping[str, float]:
    """Wasserstein distance of order 1 between numbers of things in a basket: sum over k of |F(k) - G(k)|."""
    sizes = [_there(one).sum(1).long() for one in (samples, real)]
    longest = int(max(one.max() for one in sizes)) + 1
    below = [torch.bincount(one, minlength=longest).double().cumsum(0) / len(one) for one in sizes]
    return {"basket size": float((below[0] - below[1]).abs().sum())}


def ratings(samples: Tensor, real: Tensor) -> Mapping[str, float]:
    """Total variation between the shares of ratings of all things together: sum over ratings of |p - q| / 2."""
    most = 1 + int(max(samples.max(), real.max()))
    p, q = (torch.bincount(one[one > 0].flatten(), minlength=most).double() for one in (samples, real))
    return {"ratings": float((p / p.sum().clamp_min(1) - q / q.sum().clamp_min(1)).abs().sum() / 2)}


def _there(x: Tensor) -> Tensor:
    """1 where a thing is in a basket, whatever its rating: (B, T)."""
    return (x > 0).double()


def _expected(x: Tensor) -> Tensor:
    """How many baskets would hold each pair if things were chosen one by one: n p_i p_j, (T, T)."""
    count = _there(x).sum(0)
    return count[:, None] * count / max(1, len(x))


def _lifts(x: Tensor) -> Tensor:
    return ((_there(x).T @ _there(x) + 0.5) / (_expected(x) + 0.5)).log()


def tiny() -> Codec:
    """A small codec that is ready to use, for tests."""
    return Codec(Config(known=("milk", "bread", "eggs", "tea", "rice", "salt")))
