"""Drawing from two linked runs: parents with their counts, then for each of them so many children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import RunError
from morelike.linked.children import Children
from morelike.linked.memory import is_first, texts_of
from morelike.linked.order import placed
from morelike.linked.training import Manifest, complete
from morelike.run import Run, other

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
    """Trained runs in one folder, of tables of which one refers to the other; `first` is that of the first child of
    each parent, where the others are learnt given what is remembered."""

    path: Path
    manifest: Manifest
    parent: Run
    child: Run
    first: Run | None = None

    @classmethod
    def load(cls, path: str | Path) -> Linked:
        """Read a folder that `fit` made of two tables; a `RunError` says what is missing."""
        path = Path(path)
        manifest = Manifest.read(path)
        places = {which: path / name for which, name in manifest.runs.items()}
        if not all(map(complete, places.values())):
            raise RunError(f"{path}: not both tables are learnt", "A run that has come to its end",
                           f"Go on with it: morelike resume {path}")  # fmt: skip
        return cls(path, manifest, **{which: Run.load(place) for which, place in places.items()})

    @property
    def runs(self) -> dict[str, Run]:
        """The runs by what they are, as `Manifest.runs` has them."""
        first = {"first": self.first} if self.first else {}
        return {"parent": self.parent, **first, "child": self.child}

    def rows(self, n: int, seed: int = 0, given: Mapping[str, str] | None = None) -> Iterator[Rows]:
        """n parents with their children, some parents at a time; at last the children that refer to nothing.

        given  columns of the parents, such as {"country": "DE"}
        """
        children = Children(self.manifest, self.parent, self.child, self.first)
        for begin in range(0, n, PART):
            parents = self.parent.sample(min(PART, n - begin), seed=seed + begin, given=given).array
            parents = self.parent.codec.renamed(parents, begin)
            times = parents[:, self._count].astype(np.int64)
            owner = np.repeat(np.arange(len(parents)), times)
            turn = np.arange(len(owner)) - np.repeat(np.cumsum(times) - times, times)
            seeds = [other(seed + begin + i, APART + j) for i, j in zip(owner.tolist(), turn.tolist(), strict=True)]
            yield Rows(parents, children.draw(parents, owner, seeds), owner)
        alone = round(n * self.manifest.counts["nulls"] / max(1, self.manifest.counts["parents"]))
        if alone and not given:
            seeds = [other(seed + i, APART - 1) for i in range(alone)]
            none = np.full((alone, len(self.parent.codec.columns)), None, object)
            yield Rows(none[:0], children.draw(none, np.arange(alone), seeds), np.full(alone, -1))

    def info(self) -> dict[str, Any]:
        """What both tables are, how they are linked, and both runs."""
        link = f"{self.manifest.child['name']}.{self.manifest.link['column']} = "
        link += f"{self.manifest.parent['name']}.{self.manifest.link['key']}"
        runs = {run.path.name: run.info() for run in self.runs.values()}
        return {"run": str(self.path), "link": link, "counts": dict(self.manifest.counts), **runs}

    def cells(self, run: Run, n: int, seed: int = 0) -> Tensor:
        """n rows of a run of children, with their parents' columns, as it sees them: int64 (n, T), shuffled."""
        import polars

        each = self.manifest.counts["children"] / max(1, self.manifest.counts["parents"])
        made, parents = np.empty((0, len(self.child.codec.columns)), object), 1 + round(1.2 * n / each)
        while len(made) < n:
            made = np.concatenate([self._of(run, rows) for rows in self.rows(parents, seed)])
            parents *= 2
        made = made[np.random.default_rng(seed).permutation(len(made))[:n]]
        columns = zip(self.child.codec.found, made.T.tolist(), strict=True)
        frame = polars.DataFrame([texts_of(one.say, cells).alias(one.name) for one, cells in columns])
        return torch.from_numpy(run.codec.codes(frame))

    def _of(self, run: Run, rows: Rows) -> np.ndarray:
        """The children that are of a run: the first of each parent, or the others."""
        if self.first is None:
            return rows.children
        first = is_first(rows.owner)
        return rows.children[first if run is self.first else ~first]

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
            for rows in self._in_order(self.rows(n, seed, given)):
                first.add(rows.parents[:, places])
                second.add(self._written(rows, theirs, done))
                done += len(rows.children)
        return targets

    def _in_order(self, parts: Iterator[Rows]) -> Iterator[Rows]:
        """The same; all at once, with the children in order of their days, where the file that was learnt is so."""
        if self.manifest.order.get("column") not in self.child.codec.columns:
            yield from parts
            return
        found = list(parts)
        begins = np.cumsum([0, *(len(part.parents) for part in found)])
        owner = [np.where(part.owner < 0, -1, part.owner + begin) for part, begin in zip(found, begins, strict=False)]
        parents, children = (
            np.concatenate([getattr(part, name) for part in found]) for name in ("parents", "children")
        )
        place = self.child.codec.columns.index(self.manifest.order["column"])
        at = placed(children[:, place], self.manifest.order["falling"])
        yield Rows(parents, children[at], np.concatenate(owner)[at])

    def _written(self, rows: Rows, names: list[str], done: int) -> np.ndarray:
        """The children as their table has them: new identifiers, and the keys of their parents."""
        way, codec = slice(None, None, -1 if self.manifest.order.get("falling") else 1), self.child.codec
        made = self._named.renamed(rows.children[way], done)[way]  # names in order of time
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
            for rows in self._in_order(self.rows(n, seed, given)):
                made = self._written(rows, [key, *theirs], done)
                cells = dict(
                    zip([key, *theirs, *owned], [*made.T, *rows.parents[rows.owner][:, places].T], strict=True)
                )
                out.add(np.stack([cells[name] for name in names], 1))
                done += len(made)
        return [target]

    @cached_property
    def _named(self) -> Any:
        """The codec of the children with the names of rows as they begin, which are those of the first ones."""
        run = self.first or self.child
        named = {one.name: one for one in run.codec.found if one.kind == "identifier"}
        found = tuple(named.get(one.name, one) if one.kind == "identifier" else one for one in self.child.codec.found)
        return type(run.codec)(replace(self.child.codec.config, found=found))

    @cached_property
    def _reference(self) -> Any:
        """The column of the children that refers, as it is written: like the key of the parents."""
        link = self.manifest.link
        key = self.parent.codec.found[self.parent.codec.columns.index(link["key"])]
        return replace(key, name=link["column"], kind="category", holes=True, hole=link["hole"])


def _only(run: Run, names: list[str], column: Any) -> Any:
    """The codec of a run with these columns alone, and one that it lacks, for writing."""
    known = {one.name: one for one in run.codec.found} | ({column.name: column} if column else {})
    config = replace(
        run.codec.config, found=tuple(known[name] for name in names), kept=(), apart=(), together="", owner=""
    )
    return type(run.codec)(config)
