"""Baskets: sets of things, such as what was bought together <-> one yes or no for each thing."""

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
    known  the things, the commonest first, found by `fit`
    """

    most: Annotated[int, Field(ge=1, le=4096)] = 500
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", tuple(self.known))


class Codec:
    """Baskets <-> cells, one for each thing: 1 where it is in the basket.

    Stored as uint8 (T,), encoded as int64 (B, T), decoded to an array (B,) of tuples of names, in the order of `known`.
    A thing counts once, however often a basket names it.
    """

    natural, suffix, sheets = "baskets", ".csv", ".csv"
    versions = "of the same things"

    def __init__(self, config: Config = Config(), said: str = "") -> None:
        self.config, self.said = config, said
        self._place = {name: place for place, name in enumerate(config.known)}

    @property
    def metrics(self) -> Sequence[Metric]:
        return (frequencies, lift, basket_size)

    @property
    def shape(self) -> tuple[int]:
        """(T,) of an encoded basket. Raises `OptionError` before `fit`."""
        if not self.config.known:
            raise OptionError("The things are not settled", "A codec that has read baskets", "Call fit first")
        return (len(self.config.known),)

    @property
    def preparation(self) -> tuple:
        """What the stored arrays depend on."""
        return ("baskets", blake2b(repr(self.config.known).encode("utf-8", "replace"), digest_size=16).hexdigest())

    def fit(self, items: Sequence[Item]) -> Codec:
        """A codec for the commonest things of all baskets; `said` tells how many there are, and what was left out."""
        count, baskets = Counter[str](), 0
        for item in items:
            things = names(item)
            count.update(things)
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
        return Codec(replace(self.config, known=tuple(known)), said)

    def prepare(self, item: Item) -> np.ndarray:
        """One basket: uint8 (T,). Raises `DataError` where nothing that is known is in it."""
        stored = np.zeros(self.shape, np.uint8)
        for name in names(item):
            if name in self._place:
                stored[self._place[name]] = 1
        if not stored.any():
            raise DataError("nothing in it that is kept", "at least one thing", "Leave it out")
        return stored

    def encode(self, stored: Tensor) -> Tensor:
        return stored.long()

    def decode(self, x: Tensor) -> np.ndarray:
        """int (B, T) -> (B,) of tuples of names."""
        found = np.empty(len(x), dtype=object)
        for row, inside in enumerate(x.detach().cpu().numpy() > 0):
            found[row] = tuple(self.config.known[place] for place in np.flatnonzero(inside))
        return found

    def spec(self, needs: Literal["log_prob", "rsample"]) -> Spec:
        """The `Spec` of a basket: a row of cells of two values, so that families of sequences and of rows take it."""
        sizes = (2,) * self.shape[0]
        return Spec(self.shape, tokens=2, head_shape=(sum(sizes),), head=partial(Row, sizes=sizes), sizes=sizes)

    def html(self, items: np.ndarray) -> list[str]:
        """Baskets (N,) as a list each."""
        return [f'<div class="item">{escape(", ".join(one)) or "(empty)"}</div>' for one in items]

    def joined(self, items: np.ndarray) -> str:
        """Baskets (N,), one on each line, as they are written to a CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(items)
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


def names(item: Item) -> list[str]:
    """The different things of one basket, in their order, without white space around them."""
    return list(dict.fromkeys(name for one in item.load() if (name := str(one).strip())))


def frequencies(samples: Tensor, real: Tensor) -> Mapping[str, float]:
    """How far off things are in their number, as a share of all: sum_i |p_i - q_i| / sum_i q_i for p_i in samples."""
    p, q = (one.double().mean(0) for one in (samples, real))
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
    sizes = [one.sum(1).long() for one in (samples, real)]
    longest = int(max(one.max() for one in sizes)) + 1
    below = [torch.bincount(one, minlength=longest).double().cumsum(0) / len(one) for one in sizes]
    return {"basket size": float((below[0] - below[1]).abs().sum())}


def _expected(x: Tensor) -> Tensor:
    """How many baskets would hold each pair if things were chosen one by one: n p_i p_j, (T, T)."""
    count = x.double().sum(0)
    return count[:, None] * count / max(1, len(x))


def _lifts(x: Tensor) -> Tensor:
    return ((x.double().T @ x.double() + 0.5) / (_expected(x) + 0.5)).log()


def tiny() -> Codec:
    """A small codec that is ready to use, for tests."""
    return Codec(Config(known=("milk", "bread", "eggs", "tea", "rice", "salt")))
