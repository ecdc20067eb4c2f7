"""Training on two linked tables: parents with the number of their children, then children given their parents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from morelike import fitting
from morelike.core.errors import OptionError, RunError
from morelike.data.frame_base import keep_frame
from morelike.linked.memory import Memory, said
from morelike.linked.order import said as in_order
from morelike.linked.tables import Pair, open_pair
from morelike.recipes import LINKED, RACE, Request, module
from morelike.run import Run
from morelike.train.folder import read_json, write_json
from morelike.train.loop import Progress, stop
from morelike.train.session import Clock

VERSION = 1  # of linked.json
SHARE = 0.25, 0.5  # of the time that the parents get, and the first children: by their part, between these
LEARNT = ("number", "category", "boolean", "date")


@dataclass(frozen=True)
class Manifest:
    """What linked.json holds: two tables, how they are linked, and what was asked for.

    parent, child  {"name": of the run in this folder, "source", "file": name of what is made, "columns"}
    link           {"column", "key", "hole": how a missing reference is written}
    count, prefix  the column that says how many children there are, and how the columns of a parent are called
    counts         parents, children, childless, orphans, nulls, without_key
    whole          columns of the one table in which both are, () for two tables
    first          {"name"} of the run of first children, where others are learnt given what is remembered; else {}
    memories       what is remembered of the children before of one parent
    order          {"column", "falling"}: the date by which the children stand in their file; else {}
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
    first: Mapping[str, str] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    order: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, pair: Pair, request: Request) -> Manifest:
        """That of two tables that are to be learnt."""
        parent, child = ({"name": one.name, "source": one.source, "file": one.file, "columns": one.frame.columns}
                         for one in (pair.parent, pair.child))  # fmt: skip
        link = {"column": pair.link.column, "key": pair.link.key, "hole": pair.hole}
        out = {**asdict(request), "out": None, "weights": None}
        memories = pair.memories()
        notes = (*pair.notes, *said(memories), *in_order(pair.order))
        first = {"name": f"{child['name']}-first"} if memories else {}
        return cls(parent, child, link, pair.count, pair.prefix, pair.counts, notes, out, VERSION, pair.whole, first,
                   memories, pair.order)  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """That of a folder; a `RunError` where it is none."""
        try:
            told = read_json(path / LINKED)
            memories = tuple(Memory(**one) for one in told.get("memories", ()))
            whole = tuple(told.get("whole", ()))
            return cls(**{**told, "notes": tuple(told["notes"]), "whole": whole, "memories": memories})
        except (KeyError, TypeError):
            raise RunError(f"{path / LINKED} does not describe two tables", "What `morelike fit` wrote",
                           "Restore it, or train again") from None  # fmt: skip

    @property
    def runs(self) -> dict[str, str]:
        """The names of the runs in this folder, in the order in which they are made: parent, first if any, child."""
        first = {"first": self.first["name"]} if self.first else {}
        return {"parent": self.parent["name"], **first, "child": self.child["name"]}

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
    for note in manifest.notes:
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
    """The run of the parents, then those of the children, in the time that is left."""
    minutes = fitting.minutes_of(request)
    shares = _shares(pair, manifest)
    for which, name in manifest.runs.items():
        place = out / name
        if complete(place):
            continue
        left = None if minutes is None else max(minutes - clock() / 60, 0.1 * minutes) * shares[which]
        if (place / "recipe.json").exists() or (place / RACE).exists():
            keep(pair, out, manifest, which)
            events = fitting.resume(place, time.perf_counter())
        else:
            told = replace(_request(pair, out, manifest, which, request), minutes=left, out=place)
            events = fitting.fit(told, time.perf_counter())
        for event in events:
            note = None if event.stage == "collect" or not event.note else f"{name}: {event.note}"
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
    columns = [one.name for one in _context(out, manifest)]
    if which == "first":
        return pair.first(columns)
    return pair.later(columns, manifest.memories) if manifest.memories else pair.children(columns)


def keep(pair: Pair, out: Path, manifest: Manifest, which: str) -> Path:
    """The file in which what is learnt of a table is kept."""
    table = pair.parent if which == "parent" else pair.child
    return keep_frame(frame_of(pair, out, manifest, which), manifest.runs[which], table.mark)


def _context(out: Path, manifest: Manifest) -> list[Any]:
    """The columns of parents that children are drawn given: all that were learnt."""
    return [one for one in Run.load(out / manifest.parent["name"]).codec.found if one.kind in LEARNT and one.sizes]


def _request(pair: Pair, out: Path, manifest: Manifest, which: str, request: Request) -> Request:
    """What is asked for one of the two tables."""
    table, other = (pair.parent, pair.child) if which == "parent" else (pair.child, pair.parent)
    settings, own = _own(request.settings, table.name, other.name), dict[str, str]()
    if which == "parent":
        varies = pair.parents()[manifest.count].n_unique() > 1
        columns = {pair.link.key: "identifier"} | ({manifest.count: "number"} if varies else {})
    else:
        kinds = {one.name: "category" if one.kind == "boolean" else one.kind for one in _context(out, manifest)}
        columns = {f"{manifest.prefix}{name}": kind for name, kind in kinds.items()} | {pair.link.column: "drop"}
        memories = manifest.memories if which == "child" else ()
        columns |= {one.name: "category" if one.kind == "boolean" else one.kind for one in memories}
        own |= dict.fromkeys(pair.identifiers() if manifest.first else [], "identifier")
        own |= {one.column: one.kind for one in manifest.memories if one.kind != "boolean"}
        near = [settings.get("near", ""), *(f"{one.column}={one.name}" for one in memories if one.near)]
        settings |= {"together": pair.link.column, "owner": manifest.prefix, "near": ",".join(filter(None, near))}
    told = [",".join(f"{name}={kind}" for name, kind in kinds.items()) for kinds in (own, columns)]
    settings["columns"] = ",".join(filter(None, (told[0], settings.get("columns", ""), told[1])))  # the last one counts
    return replace(request, source=str(keep(pair, out, manifest, which)), children=(), link=None, codec="table",
                   settings=settings)  # fmt: skip


def _own(settings: Mapping[str, str], name: str, other: str) -> dict[str, str]:
    """The settings of one table: those of both, and "name.key" for it alone."""
    both = {key: value for key, value in settings.items() if not key.startswith((f"{name}.", f"{other}."))}
    return both | {key.removeprefix(f"{name}."): value for key, value in settings.items() if key.startswith(f"{name}.")}


def _shares(pair: Pair, manifest: Manifest) -> dict[str, float]:
    """The share that each run gets of the time that is left when it begins."""
    cells = [one.frame.height * one.frame.width for one in (pair.parent, pair.child)]
    first = (pair.counts["parents"] - pair.counts["childless"] + pair.counts["nulls"]) / max(1, pair.counts["children"])
    shares = {"parent": cells[0] / sum(cells), "first": first if manifest.first else 0.0}
    return {name: min(max(share, SHARE[0]), SHARE[1]) for name, share in shares.items()} | {"child": 1.0}
