"""Children drawn given the columns of their parents, and what is remembered of those that came before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.codecs._found import natural
from morelike.codecs._joint import followed
from morelike.core.errors import RunError
from morelike.linked.memory import Recall, texts_of, turns
from morelike.linked.training import Manifest
from morelike.rows import FOUND, obeying
from morelike.run import Run
from morelike.samplers.mcmc.compose import HasInfill

Say = Callable[[Any], str]  # a cell as it is written


@dataclass(frozen=True)
class Children:
    """The runs by which children are drawn.

    parent  that of the parents, which have been drawn
    child   that of the children, or of all but the first ones of their parents
    first   that of the first ones; None where nothing is remembered
    """

    manifest: Manifest
    parent: Run
    child: Run
    first: Run | None

    def draw(self, parents: np.ndarray, owner: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Rows (N, D) as the run of the children has them, of parents (P, C) by owner (N,), those of one in their
        order."""
        made = np.empty((len(owner), len(self.child.codec.columns)), object)
        known = [self._owners(run, parents) for run in (self.first or self.child, self.child)]
        recall = Recall(self.manifest.memories, [self._found[place] for place in self._places], len(parents))
        for turn, at in enumerate(turns(owner) if self.first else [np.arange(len(owner))]):
            run = self.first if self.first and turn == 0 else self.child
            cells, values = known[turn > 0][0][torch.from_numpy(owner[at])], known[turn > 0][1][owner[at]]
            if turn:
                for place, one in enumerate(self.manifest.memories):
                    number, say = self.child.codec.columns.index(one.name), self._found[self._places[place]].say
                    write(self.child, number, (recall.value[owner[at], place], say), cells, values)
            made[at] = self._drawn(run, cells, values, [seeds[row] for row in at.tolist()])
            recall.add(owner[at], made[at][:, self._places])
        return made

    def _drawn(self, run: Run, cells: Tensor, values: np.ndarray, seeds: list[int]) -> np.ndarray:
        if not isinstance(run.family, HasInfill):
            found = f'The family "{run.recipe["family"]}" cannot hold some columns and draw the others'
            raise RunError(found, "circuit, anyorder, copula or mixture", "Train again with one of these")
        made, _ = obeying(run, (cells, values), seeds, {}, strict=False, patience=FOUND)
        return made if run is self.child else self._translated(run, made)

    def _translated(self, run: Run, rows: np.ndarray) -> np.ndarray:
        """Rows of another run as that of the children would have them, which may take 7 for a number, not a word."""
        made = np.full((len(rows), len(self._found)), None, object)
        places = {name: place for place, name in enumerate(self.child.codec.columns)}
        for number, column in enumerate(run.codec.found):
            if column.name in places:
                told = texts_of(column.say, rows[:, number].tolist())
                made[:, places[column.name]] = natural(self._found[places[column.name]], told)
        for rule in self.child.codec.config.kept:
            if rule.kind == "lookup":  # what a code settles, which so few rows did not tell
                known = {*self._found[rule.of[0]].values, *self._found[rule.of[0]].rare}
                at = np.array([row[rule.to] is None and row[rule.of[0]] in known for row in made], bool)
                made[at, rule.to] = followed(rule, self._found, made[at])
        return made

    def _owners(self, run: Run, parents: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """What is known of the children of parents (P, C): cells int64 (P, T), -1 for unknown, and values (P, D)."""
        codec, prefix = run.codec, self.manifest.prefix
        cells = torch.full((len(parents), *codec.shape), -1, dtype=torch.int64)
        values = np.full((len(parents), len(codec.columns)), None, object)
        remembered = {one.name for one in self.manifest.memories}
        for number, column in enumerate(codec.found):
            if column.name.startswith(prefix) and column.name not in remembered:
                place = self.parent.codec.columns.index(column.name.removeprefix(prefix))
                write(run, number, (parents[:, place], self.parent.codec.found[place].say), cells, values)
        return cells, values

    @cached_property
    def _found(self) -> Sequence[Any]:
        return self.child.codec.found

    @cached_property
    def _places(self) -> list[int]:
        """Where the columns are that are remembered."""
        return [self.child.codec.columns.index(one.column) for one in self.manifest.memories]


def write(run: Run, number: int, told: tuple[np.ndarray, Say], cells: Tensor, values: np.ndarray) -> None:
    """Write what a column of a run is known to be into cells int64 (n, T), -1 for unknown, and values (n, D).

    told  objects (n,), and how they are written

    Of a value that the run has never seen there, nothing is known.
    """
    codec, column, (of, say) = run.codec, run.codec.found[number], told
    if number not in codec.places or not len(of):
        return
    texts = texts_of(say, of.tolist())
    strange = (of == None) & (not column.holes)  # noqa: E711  (element by element)
    if column.kind in ("category", "boolean"):
        seen = {column.say(one) for one in (*column.values, *column.rare)}
        strange |= np.array([one is not None and one not in seen for one in texts.to_list()])
    coded = torch.from_numpy(column.encode(texts))
    cells[:, codec.places[number]] = torch.where(torch.from_numpy(strange)[:, None], -1, coded)
    values[~strange, number] = of[~strange]
