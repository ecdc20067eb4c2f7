"""Drawing from two linked runs: parents with their counts, then for each of them so many children."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import RunError
from morelike.linked.memory import FIRST, MARKS, Recall, turns
from morelike.linked.training import Manifest, complete
from morelike.rows import FOUND, obeying
from morelike.run import Run, other
from morelike.samplers.mcmc.compose import HasInfill

Say = Callable[[Any], str]  # a cell as it is written
PART = 5_000  # parents that are drawn at once
APART = 1_000_003  # so far from the attempts at one row are the seeds of the children of one parent


@dataclass(frozen=True)
class Rows:
    """Some rows of two tables as they are decoded.

    parents   (P, C) as the run of the parents has them, the number of children among them
    children  (N, D) as the run of the children has them, the columns of their parents first
    owner     (N,) the parent of each child, -1 for one that refers to nothing
    """

    parents: np.ndarray
    children: np.ndarray
    owner: np.ndarray


@dataclass(frozen=True)
class Linked:
    """Two trained runs in one folder, of tables of which one refers to the other."""

    path: Path
    manifest: Manifest
    parent: Run
    child: Run

    @classmethod
    def load(cls, path: str | Path) -> Linked:
        """Read a folder that `fit` made of two tables; a `RunError` says what is missing."""
        path = Path(path)
        manifest = Manifest.read(path)
        places = [path / one["name"] for one in (manifest.parent, manifest.child)]
        if not all(map(complete, places)):
            raise RunError(f"{path}: not both tables are learnt", "A run that has come to its end",
                           f"Go on with it: morelike resume {path}")  # fmt: skip
        return cls(path, manifest, *map(Run.load, places))

    def rows(self, n: int, seed: int = 0, given: Mapping[str, str] | None = None) -> Iterator[Rows]:
        """n parents with their children, some parents at a time; at last the children that refer to nothing.

        given  columns of the parents, such as {"country": "DE"}
        """
        for begin in range(0, n, PART):
            parents = self.parent.sample(min(PART, n - begin), seed=seed + begin, given=given).array
            parents = self.parent.codec.renamed(parents, begin)
            times = parents[:, self._count].astype(np.int64)
            owner = np.repeat(np.arange(len(parents)), times)
            turn = np.arange(len(owner)) - np.repeat(np.cumsum(times) - times, times)
            seeds = [other(seed + begin + i, APART + j) for i, j in zip(owner.tolist(), turn.tolist(), strict=True)]
            yield Rows(parents, self.children(parents, owner, seeds), owner)
        alone = round(n * self.manifest.counts["nulls"] / max(1, self.manifest.counts["parents"]))
        if alone and not given:
            seeds = [other(seed + i, APART - 1) for i in range(alone)]
            none = np.full((alone, len(self.parent.codec.columns)), None, object)
            yield Rows(none[:0], self.children(none, np.arange(alone), seeds), np.full(alone, -1))

    def children(self, parents: np.ndarray, owner: np.ndarray, seeds: list[int]) -> np.ndarray:
        """Children (N, D), each drawn given the columns of its parent, and what is remembered of those before: parents
        (P, C), owner (N,)."""
        if not len(owner):
            return np.empty((0, len(self.child.codec.columns)), object)
        if not isinstance(self.child.family, HasInfill):
            found = f'The family "{self.child.recipe["family"]}" cannot hold some columns and draw the others'
            raise RunError(found, "circuit, anyorder, copula or mixture", "Train again with one of these")
        known, memories, codec = self._owners(parents), self.manifest.memories, self.child.codec
        places = [codec.columns.index(one.column) for one in memories]
        recall = Recall(memories, [codec.found[place] for place in places], len(parents))
        made = np.empty((len(owner), len(codec.columns)), object)
        for turn, at in enumerate(turns(owner) if memories else [np.arange(len(owner))]):
            cells, values = known[0][torch.from_numpy(owner[at])], known[1][owner[at]]
            self._recalled(cells, values, recall.value[owner[at]], turn == 0)
            own = [seeds[row] for row in at.tolist()]
            made[at], _ = obeying(self.child, (cells, values), own, {}, strict=False, patience=FOUND)
            recall.add(owner[at], made[at][:, places])
        return made

    def _recalled(self, cells: Tensor, values: np.ndarray, before: np.ndarray, first: bool) -> None:
        """Write what is remembered (n, M) of the rows before into cells int64 (n, T) and values (n, D)."""
        codec, memories = self.child.codec, self.manifest.memories
        told = {one.name: (before[:, at], codec.found[codec.columns.index(one.column)].say)
                for at, one in enumerate(memories)}  # fmt: skip
        if memories:
            told[f"{self.manifest.prefix}{FIRST}"] = np.full(len(values), MARKS[not first], object), str
        for name, (of, say) in told.items():
            self._given(codec.columns.index(name), of, say, cells, values)

    def _owners(self, parents: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """What is known of the children of some parents (P, C): cells int64 (P, T), -1 for unknown, and values (P, D).

        A value that no child's parent had is one that nothing is known of.
        """
        codec, prefix = self.child.codec, self.manifest.prefix
        cells = torch.full((len(parents), *codec.shape), -1, dtype=torch.int64)
        values = np.full((len(parents), len(codec.columns)), None, object)
        recalled = {f"{prefix}{FIRST}", *(one.name for one in self.manifest.memories)}
        for number, column in enumerate(codec.found):
            if column.name.startswith(prefix) and not (self.manifest.memories and column.name in recalled):
                place = self.parent.codec.columns.index(column.name.removeprefix(prefix))
                self._given(number, parents[:, place], self.parent.codec.found[place].say, cells, values)
        return cells, values

    def _given(self, number: int, of: np.ndarray, say: Say, cells: Tensor, values: np.ndarray) -> None:
        """Write what a column is known to be, objects (n,), into cells int64 (n, T) and values (n, D)."""
        codec, column = self.child.codec, self.child.codec.found[number]
        if number not in codec.places or not len(of):
            return
        told = _texts(say, of.tolist())
        strange = (of == None) & (not column.holes)  # noqa: E711  (element by element)
        if column.kind in ("category", "boolean"):
            seen = {column.say(one) for one in (*column.values, *column.rare)}
            strange |= np.array([one is not None and one not in seen for one in told.to_list()])
        coded = torch.from_numpy(column.encode(told))
        cells[:, codec.places[number]] = torch.where(torch.from_numpy(strange)[:, None], -1, coded)
        values[~strange, number] = of[~strange]

    def info(self) -> dict[str, Any]:
        """What both tables are, how they are linked, and both runs."""
        link = f"{self.manifest.child['name']}.{self.manifest.link['column']} = "
        link += f"{self.manifest.parent['name']}.{self.manifest.link['key']}"
        runs = {run.path.name: run.info() for run in (self.parent, self.child)}
        return {"run": str(self.path), "link": link, "counts": dict(self.manifest.counts), **runs}

    def cells(self, n: int, seed: int = 0) -> Tensor:
        """n children with their parents' columns, as the run of the children sees them: int64 (n, T), shuffled."""
        import polars

        each = self.manifest.counts["children"] / max(1, self.manifest.counts["parents"])
        made, parents = np.empty((0, len(self.child.codec.columns)), object), 1 + round(1.2 * n / each)
        while len(made) < n:
            made = np.concatenate([rows.children for rows in self.rows(parents, seed)])
            parents *= 2
        made = made[np.random.default_rng(seed).permutation(len(made))[:n]]
        frame = polars.DataFrame(
            [_texts(one.say, made[:, at].tolist()).alias(one.name) for at, one in enumerate(self.child.codec.found)]
        )
        return torch.from_numpy(self.child.codec.codes(frame))

    @cached_property
    def _count(self) -> int:
        """Place of the number of children among the columns of a parent."""
        return self.parent.codec.columns.index(self.manifest.count)

    def save(self, folder: Path, n: int, seed: int = 0, given: Mapping[str, str] | None = None) -> list[Path]:
        """Write n new parents and their children into two files of a folder, both or none; every child refers to one of
        these parents, or to nothing where the data have such children, and no two parents have the same key. Where both
        are of one table, that is written: into the folder, or the file that is named."""
        if self.manifest.whole:
            return self._save_whole(folder if folder.suffix else folder / self.manifest.child["file"], n, seed, given)
        parent, child = self.manifest.parent, self.manifest.child
        own = [name for name in self.parent.codec.columns if name != self.manifest.count]
        made = {*self.child.codec.columns, self.manifest.link["column"]}
        theirs = [name for name in child["columns"] if name in made]
        places = [self.parent.codec.columns.index(name) for name in own]
        targets = [folder / parent["file"], folder / child["file"]]
        with ExitStack() as stack:
            first = stack.enter_context(_only(self.parent, own, None).writer(targets[0], renamed=False))
            second = stack.enter_context(_only(self.child, theirs, self._reference).writer(targets[1], renamed=False))
            done = 0
            for rows in self.rows(n, seed, given):
                first.add(rows.parents[:, places])
                second.add(self._written(rows, theirs, done))
                done += len(rows.children)
        return targets

    def _written(self, rows: Rows, names: list[str], done: int) -> np.ndarray:
        """The children as their table has them: new identifiers, and the keys of their parents."""
        made, codec = self.child.codec.renamed(rows.children, done), self.child.codec
        key = self.parent.codec.columns.index(self.manifest.link["key"])
        refer = np.full(len(made), None, object)
        owned = rows.owner >= 0
        refer[owned] = rows.parents[rows.owner[owned], key]
        column = self.manifest.link["column"]
        found = [refer if name == column else made[:, codec.columns.index(name)] for name in names]
        return np.stack(found, 1) if len(made) else np.empty((0, len(names)), object)

    def _save_whole(self, target: Path, n: int, seed: int, given: Mapping[str, str] | None) -> list[Path]:
        """Write the children with all that their parents are, as the one table had it."""
        key, codec, whole = self.manifest.link["column"], self.child.codec, self.manifest.whole
        theirs = [name for name in whole if name in codec.columns]
        owned = [name for name in self.parent.codec.columns if name not in (key, self.manifest.count)]
        known = {one.name: one for one in (*self.parent.codec.found, *codec.found, self._reference)}
        names = [name for name in whole if name in (key, *theirs, *owned)]
        config = replace(codec.config, found=tuple(known[name] for name in names), kept=(), apart=(), near="", owner="")
        places, done = [self.parent.codec.columns.index(name) for name in owned], 0
        with type(codec)(config).writer(target, renamed=False) as out:
            for rows in self.rows(n, seed, given):
                made = self._written(rows, [key, *theirs], done)
                cells = dict(
                    zip([key, *theirs, *owned], [*made.T, *rows.parents[rows.owner][:, places].T], strict=True)
                )
                out.add(np.stack([cells[name] for name in names], 1))
                done += len(made)
        return [target]

    @cached_property
    def _reference(self) -> Any:
        """The column of the children that refers, as it is written: like the key of the parents."""
        link = self.manifest.link
        key = self.parent.codec.found[self.parent.codec.columns.index(link["key"])]
        return replace(key, name=link["column"], kind="category", holes=True, hole=link["hole"])


def _texts(say: Say, cells: list[Any]) -> Any:
    """Cells as a polars column of texts, null for missing ones; each different one is worked out once."""
    import polars

    known = {one: None if one is None else say(one) for one in set(cells)}
    return polars.Series([known[one] for one in cells], dtype=polars.String)


def _only(run: Run, names: list[str], column: Any) -> Any:
    """The codec of a run with these columns alone, and one that it lacks, for writing."""
    known = {one.name: one for one in run.codec.found} | ({column.name: column} if column else {})
    config = replace(
        run.codec.config, found=tuple(known[name] for name in names), kept=(), apart=(), together="", owner=""
    )
    return type(run.codec)(config)
