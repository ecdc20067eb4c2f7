"""Training on two linked tables: parents with the number of their children, then children given their parents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from morelike import fitting
from morelike.core.errors import OptionError, RunError
from morelike.data.frame_base import keep_frame
from morelike.linked.tables import Pair, Table, open_pair
from morelike.recipes import LINKED, RACE, Request, module
from morelike.run import Run
from morelike.train.folder import read_json, write_json
from morelike.train.loop import Progress, stop
from morelike.train.session import Clock

VERSION = 1  # of linked.json
SHARE = 0.25, 0.5  # of the time that the parents get: by their part of all cells, between these
LEARNT = ("number", "category", "boolean", "date")


@dataclass(frozen=True)
class Manifest:
    """What linked.json holds: two tables, how they are linked, and what was asked for.

    parent, child  {"name": of the run in this folder, "source", "file": name of what is made, "columns"}
    link           {"column", "key", "hole": how a missing reference is written}
    count, prefix  the column that says how many children there are, and how the columns of a parent are called
    counts         parents, children, childless, orphans, nulls, without_key
    whole          columns of the one table in which both are, () for two tables
    """

    parent: Mapping[str, Any]
    child: Mapping[str, Any]
    link: Mapping[str, str]
    count: str
    prefix: str
    counts: Mapping[str, int]
    notes: tuple[str, ...]
    request: Mapping[str, Any]
    version: int = VERSION
    whole: tuple[str, ...] = ()

    @classmethod
    def of(cls, pair: Pair, request: Request) -> Manifest:
        """That of two tables that are to be learnt."""
        parent, child = ({"name": one.name, "source": one.source, "file": one.file, "columns": one.frame.columns}
                         for one in (pair.parent, pair.child))  # fmt: skip
        link = {"column": pair.link.column, "key": pair.link.key, "hole": pair.hole}
        out = {**asdict(request), "out": None, "weights": None}
        return cls(parent, child, link, pair.count, pair.prefix, pair.counts, pair.notes, out, whole=pair.whole)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """That of a folder; a `RunError` where it is none."""
        try:
            told = read_json(path / LINKED)
            return cls(**{**told, "notes": tuple(told["notes"]), "whole": tuple(told.get("whole", ()))})
        except (KeyError, TypeError):
            raise RunError(f"{path / LINKED} does not describe two tables", "What `morelike fit` wrote",
                           "Restore it, or train again") from None  # fmt: skip

    def pair(self) -> Pair:
        """The two tables as they are now; a three-part error where they cannot be read."""
        sources = (self.parent["source"], self.child["source"])[len(self.whole) > 0 :]
        return open_pair(sources, f"{self.link['column']}={self.link['key']}")


def fit(request: Request, began: float) -> Iterator[Progress]:
    """Train on two tables in a new folder, which holds a run of each; the last event has stage "done".

    began  the `time.perf_counter` from which the minutes count
    """
    clock = Clock(began=began)
    _verify(request)
    stop.clear()
    yield Progress("collect", note=f"Collecting from {', '.join((request.source, *request.children))}")
    pair = open_pair((request.source, *request.children), request.link)
    manifest = Manifest.of(pair, request)
    name = pair.child.name if pair.whole else f"{pair.parent.name}-{pair.child.name}"
    named = replace(request, source=name, family="linked")
    out = fitting.new_folder(named) if request.out is None else Path(request.out)
    write_json(out / LINKED, asdict(manifest))
    for note in pair.notes:
        yield Progress("prepare", seconds=clock(), note=note, run=str(out))
    yield from _both(out, pair, manifest, request, clock)


def resume(path: Path, began: float) -> Iterator[Progress]:
    """Go on with what is not finished of the two runs in a folder."""
    clock, path = Clock(began=began), Path(path)
    manifest = Manifest.read(path)
    told = manifest.request
    request = Request(**{**told, "children": tuple(told["children"])})
    stop.clear()
    yield from _both(path, manifest.pair(), manifest, request, clock)


def _verify(request: Request) -> None:
    """Refuse what can only fail."""
    if request.out is not None:
        fitting.refuse_folder(Path(request.out))
    if request.codec not in ("auto", "table"):
        raise OptionError(f"--codec is {request.codec}, of {1 + len(request.children)} sources", "Two tables",
                          "Leave it out, or name one source")  # fmt: skip
    for option, value in (("--weights", request.weights), ("--given", request.given.replace("auto", ""))):
        if value and value != "none":
            raise OptionError(f"{option} is {value}, for two tables", "Runs of rows as they are", f"Leave out {option}")
    if request.family not in ("auto", RACE) and not hasattr(module("family", request.family).Model, "infill"):
        found = f'The family "{request.family}" cannot hold some columns and draw the others'
        raise OptionError(found, "circuit, anyorder, copula or mixture: children are drawn given their parents",
                          "Name one of these, or leave --family out")  # fmt: skip


def _both(out: Path, pair: Pair, manifest: Manifest, request: Request, clock: Clock) -> Iterator[Progress]:
    """The run of the parents, then that of the children, in the time that is left."""
    minutes = fitting.minutes_of(request)
    first = None if minutes is None else minutes * _share(pair)
    for which in ("parent", "child"):
        table: Table = getattr(pair, which)
        place = out / getattr(manifest, which)["name"]
        if complete(place):
            continue
        left = first if which == "parent" or minutes is None else max(minutes - clock() / 60, 0.1 * minutes)
        if (place / "recipe.json").exists() or (place / RACE).exists():
            _keep(pair, out, manifest, which)
            events = fitting.resume(place, time.perf_counter())
        else:
            told = replace(_request(pair, out, manifest, which, request), minutes=left, out=place)
            events = fitting.fit(told, time.perf_counter())
        for event in events:
            note = None if event.stage == "collect" or not event.note else f"{table.name}: {event.note}"
            stage = "finish" if event.stage == "done" else event.stage
            yield replace(event, stage=stage, note=note, seconds=clock(), run=str(out), picture=None)
        if stop.is_set():
            return
    yield Progress("done", seconds=clock(), fraction=1.0, run=str(out))


def complete(place: Path) -> bool:
    """Whether a run has come to its end."""
    return all((place / name).exists() for name in ("recipe.json", "weights.safetensors", "report.html"))


def frame_of(pair: Pair, out: Path, manifest: Manifest, which: str) -> Any:
    """What is learnt of a table, as a polars frame: parents with counts, or children joined with their parents."""
    if which == "parent":
        return pair.parents()
    return pair.children([one.name for one in _context(out, manifest)])


def _keep(pair: Pair, out: Path, manifest: Manifest, which: str) -> Path:
    return keep_frame(frame_of(pair, out, manifest, which), getattr(manifest, which)["name"], getattr(pair, which).mark)


def _context(out: Path, manifest: Manifest) -> list[Any]:
    """The columns of parents that children are drawn given: all that were learnt."""
    return [one for one in Run.load(out / manifest.parent["name"]).codec.found if one.kind in LEARNT and one.sizes]


def _request(pair: Pair, out: Path, manifest: Manifest, which: str, request: Request) -> Request:
    """What is asked for one of the two tables."""
    settings = _own(request.settings, getattr(pair, which).name, getattr(pair, "child" if which == "parent" else
                                                                        "parent").name)  # fmt: skip
    if which == "parent":
        varies = pair.parents()[manifest.count].n_unique() > 1
        columns = {pair.link.key: "identifier"} | ({manifest.count: "number"} if varies else {})
    else:
        kinds = {one.name: "category" if one.kind == "boolean" else one.kind for one in _context(out, manifest)}
        columns = {f"{manifest.prefix}{name}": kind for name, kind in kinds.items()} | {pair.link.column: "drop"}
        settings |= {"together": pair.link.column, "owner": manifest.prefix}
    told = ",".join(f"{name}={kind}" for name, kind in columns.items())
    settings["columns"] = ",".join(part for part in (settings.get("columns", ""), told) if part)
    return replace(request, source=str(_keep(pair, out, manifest, which)), children=(), link=None, codec="table",
                   settings=settings)  # fmt: skip


def _own(settings: Mapping[str, str], name: str, other: str) -> dict[str, str]:
    """The settings of one table: those of both, and "name.key" for it alone."""
    both = {key: value for key, value in settings.items() if not key.startswith((f"{name}.", f"{other}."))}
    return both | {key.removeprefix(f"{name}."): value for key, value in settings.items() if key.startswith(f"{name}.")}


def _share(pair: Pair) -> float:
    """The share of the time that the parents get."""
    cells = [one.frame.height * one.frame.width for one in (pair.parent, pair.child)]
    return min(max(cells[0] / sum(cells), SHARE[0]), SHARE[1])
