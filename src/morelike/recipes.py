"""From words to parts: the only place where names of families, codecs and sizes are mapped to modules."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from morelike.core.errors import OptionError, RunError, unknown

if TYPE_CHECKING:
    from morelike.core.family import Family
    from morelike.core.spec import Spec
    from morelike.data.listing import Reading
    from morelike.train.loop import Progress

SHORT = 50_000  # cells of series, windows not counted twice, from which a Transformer learns more
SIZES = {"tiny": 16, "small": 24, "medium": 32, "large": 64, "huge": 128}  # width of the nets
WIDTHS = (16, 24, 32, 48, 64, 96, 128)  # what the planner may choose from
HERE = Path(__file__).parent
LINKED = "linked.json"  # in a folder that holds the runs of two tables: what they are and how they are linked
RACE = "race"  # instead of a family: several are tried, and the best one is trained
# Family by codec, where nobody says.
USUAL = {"image": "gan", "text": "autoregressive", "table": RACE, "baskets": RACE, "series": "autoregressive"}
HELD, NEEDED, MOST = 0.1, 65, 0.25  # share of the items held out; of few rows: how many, and the largest share
FEW = 2_000  # rows from which the winner of a race is not trained anew on all of them
UNITS = ("auto", "file", "paragraph", "line")  # what an item of a text may be
LABELS = 100  # different values of a column up to which they are labels, if they come back often enough


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    source    folder, archive, array, table, text, data set or "menagerie"
    family    kind of model, "auto" for what suits the items, and `net` kind of network; see `catalogue`
    given     "auto" (labels, if there are two or more), "none", or the names of fields, with commas between them
    make      the field that is learnt, of several; None: as the source suggests
    codec     auto | image | text | table: what the items are
    unit      auto | file | paragraph | line: how much of a text is one item
    minutes   time for everything; steps: number of training steps instead; 5 minutes if neither is given
    size      auto | tiny | small | medium | large | huge | a width
    out       new run folder; runs/<source>-<family>-<n> if None
    augment   auto | none | words such as "flip,crop=0.1"
    held_out  share of the data kept out of training; None: see `held_share`
    image     size in pixels, "28", or width and height "64x48"; None: measured
    weights   folder of a run or of a GPT-2 checkpoint to begin from
    children  more tables: one, whose rows refer to those of the source
    link      "column=key" of these two tables; None: found
    settings  any field of the family's, the codec's or training's Config, as text
    """

    source: str
    family: str = "auto"
    net: str | None = None
    given: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    size: str = "auto"
    seed: int = 0
    out: Path | None = None
    augment: str = "auto"
    held_out: float | None = None
    image: str | None = None
    colour: str = "auto"
    make: str | None = None
    codec: str = "auto"
    unit: str = "auto"
    weights: str | PathLike[str] | None = None
    children: tuple[str, ...] = ()
    link: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = [
            (self.minutes is not None and self.steps is not None, "Both minutes and steps are given", "One of them"),
            (
                self.minutes is not None and not 0 < self.minutes <= 1e5,
                f"minutes is {self.minutes}",
                "A positive number",
            ),
            (self.steps is not None and self.steps < 1, f"steps is {self.steps}", "At least 1"),
            (
                not 0 <= (self.held_out or 0) < 1,
                f"held_out is {self.held_out}",
                "A share from 0 up to, not including, 1",
            ),
            (not 0 <= self.seed < 2**63, f"seed is {self.seed}", "A whole number from 0 up to 2^63"),
            (
                self.size != "auto"
                and self.size not in SIZES
                and not (str(self.size).isdigit() and int(self.size) > 0),
                f'size is "{self.size}"',
                f"auto, {', '.join(SIZES)}, or a width such as 40",
            ),
        ]
        for wrong, found, expected in checks:
            if wrong:
                raise OptionError(found, expected, "Correct it and run again")


def held_share(request: Request, items: int) -> float:
    """The share that is held out where nobody says: a tenth.

    Of few rows that race it is as many as a report needs, up to a quarter: in the end the winner learns from all rows.
    """
    if request.held_out is not None:
        return request.held_out
    return max(HELD, min(MOST, NEEDED / items)) if request.family == RACE and items < FEW else HELD


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Families, nets and codecs by name, each with the first line of its file; read without importing them, once."""
    found: dict[str, dict[str, str]] = {}
    for kind, folder in (("families", "families"), ("nets", "nn"), ("codecs", "codecs")):
        found[kind] = {}
        for path in sorted((HERE / folder).glob("[a-z]*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
            if {"families": "Model", "nn": "Encoder", "codecs": "Codec"}[folder] in defined:
                found[kind][path.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


FOLDERS = {"family": "families", "codec": "codecs"}


def module(kind: str, name: str) -> Any:
    """The module of a family or codec; an `OptionError` with the nearest name for a misspelt one."""
    return import_module(f"morelike.{FOLDERS[kind]}.{_known(kind, name)}")


def _known(kind: str, name: str) -> str:
    known = catalogue()[FOLDERS[kind]]
    if name not in known:
        raise unknown(kind, name, known)
    return name


def reading(request: Request) -> Reading:
    """How the source of a request is to be read; an `OptionError` for a misspelt codec or unit."""
    from morelike.data.listing import Reading

    if request.unit not in UNITS:
        raise unknown("unit", request.unit, UNITS)
    if request.codec != "auto":
        _known("codec", request.codec)
    return Reading(request.codec, request.make, request.unit)


def configure(config: type, values: Mapping[str, Any]) -> Any:
    """A Config from plain values or text; a three-part error names the field that does not fit."""
    assert is_dataclass(config)
    plain = {
        name: None if value in ("none", "null") and _optional(config, name) else value for name, value in values.items()
    }
    known = [one.name for one in fields(config)]
    for name in plain:
        if name not in known:
            raise unknown("setting", name, known)
    try:
        return TypeAdapter(config).validate_python(plain)
    except ValidationError as error:
        fault = error.errors()[0]
        if isinstance(cause := fault.get("ctx", {}).get("error"), OptionError):  # a Config's own check has said it all
            raise cause from None
        name = ".".join(str(part) for part in fault["loc"])
        raise OptionError(
            f"The setting {name} is {fault['input']!r}", fault["msg"], f"Correct --set {name}=..."
        ) from None


def _optional(config: type, name: str) -> bool:
    return any(one.name == name and "None" in str(one.type) for one in fields(config))


def sort_settings(settings: Mapping[str, str], configs: Mapping[str, type]) -> dict[str, dict[str, str]]:
    """Give each setting to the first Config that has a field of that name."""
    sorted_: dict[str, dict[str, str]] = {kind: {} for kind in configs}
    known = {one.name: kind for kind, config in reversed(list(configs.items())) for one in fields(config)}
    for name, value in settings.items():
        if name not in known:
            raise unknown("setting", name, known)
        sorted_[known[name]][name] = value
    return sorted_


def suited(family: str, settings: Mapping[str, Any], items: int, codec: Any = None) -> dict[str, Any]:
    """The settings, with what depends on the number and kind of training items and was left open.

    codec  None for a net whose weights were brought

    A GAN's critic learns a small set by heart; augmentation that does not leak keeps it from that (Karras et al. 2020).
    On molecules a recurrent net comes in half the time to where a Transformer does, and closes more of their rings; on
    short series it learns what a Transformer learns by heart.
    """
    if family == "autoregressive" and not {"net", "layout"} & settings.keys():
        if getattr(getattr(codec, "vocabulary", None), "kind", "") == "smiles":
            return {**settings, "net": "lstm"}
        if (overlap := getattr(codec, "overlap", 0)) and items * codec.learnt < SHORT * overlap:
            return {"width": SIZES["tiny"] // 2, "dropout": 0.5, **settings, "net": "gru"}
    if family == "gan" and settings.get("variant", "modern") == "modern" and "augment" not in settings:
        return {**settings, "augment": round(max(0.0, 0.6 * (1 - items / 10_000)), 2)}
    chosen = module("family", family)
    return chosen.limited(settings, items) if hasattr(chosen, "limited") else dict(settings)


def save_codec(codec: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What codec.json holds."""
    conditions = {name: {"codec": one.natural, "config": _plain(one.config)} for name, one in given.items()}
    return {"codec": codec.natural, "config": _plain(codec.config), "given": conditions}


def _plain(value: Any) -> Any:
    """A Config as dicts, and what is in it shared: `asdict` copies every number of a table's columns."""
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    nested = isinstance(value, tuple) and any(is_dataclass(one) for one in value[:1])
    return tuple(map(_plain, value)) if nested else value


def labels_among(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those conditions that are labels."""
    return {name: one for name, one in given.items() if one.natural == "label"}


def load_codec(stored: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The codec and the codecs of its conditions, from what codec.json holds."""
    try:
        parts = [(stored["codec"], stored["config"])] + [(v["codec"], v["config"]) for v in stored["given"].values()]
        made = [(one := module("codec", name)).Codec(configure(one.Config, config)) for name, config in parts]
        return made[0], dict(zip(stored["given"], made[1:], strict=True))
    except (KeyError, TypeError, AttributeError, OptionError) as error:
        raise RunError(
            f"codec.json does not describe a codec ({error})", "What `morelike fit` wrote", "Restore it"
        ) from None


def spec_of(codec: Any, given: Mapping[str, Any], needs: str) -> Spec:
    """The codec's spec with its conditions."""
    return replace(codec.spec(needs), given={name: one.spec(needs) for name, one in given.items()})


def build_family(name: str, config: Mapping[str, Any], codec: Any, given: Mapping[str, Any], seed: int) -> Family:
    """A fresh model; its first weights are a function of the seed."""
    import torch

    chosen = module("family", name)
    torch.manual_seed(seed)
    return chosen.Model(spec_of(codec, given, chosen.Model.needs), configure(chosen.Config, config))


def fit(request: Request) -> Iterator[Progress]:
    """Collect, prepare, plan, train and finish, one `Progress` event at a time."""
    began = time.perf_counter()  # importing torch counts: the minutes are the user's

    if request.children or request.link is not None:
        from morelike.linked.training import fit as run
    else:
        from morelike.fitting import fit as run

    return run(request, began)


def resume(out: Path) -> Iterator[Progress]:
    """Go on with an interrupted run as it was planned."""
    began = time.perf_counter()

    if (Path(out) / LINKED).exists():
        from morelike.linked.training import resume as run
    else:
        from morelike.fitting import resume as run

    return run(out, began)
