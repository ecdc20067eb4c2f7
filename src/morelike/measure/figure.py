"""What a report holds: figures that never stand alone, findings, and a verdict; all of it plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from morelike.core.spec import Spec
from morelike.measure.series.portrait import Over
from morelike.measure.series.windows import Series
from morelike.measure.table.portrait import Portrait
from morelike.measure.table.sheet import Rows
from morelike.measure.text.documents import Documents


@dataclass(frozen=True)
class Evidence:
    """Encoded items, real and made: all that a measure may look at.

    made, train, held    (N, *shape), (M, *shape), (H, *shape); `held` may be empty
    *_labels             int64 (N,) class of each item, or None without labels; of `made`, the class that was asked for
    classes              names of the classes, in the order of their numbers
    train_names          where the training items came from, as the user would find them
    train_rows           index of each training item in the source, to tie a figure to what an audit found
    seeds                seed of each made item
    spec                 shape and kind of an item
    against              what `held` is: "held out", or the name of another source
    documents            where items are texts, how to read them, and the whole documents that they were cut from
    rows                 where items are rows of a table, the same rows as a user reads them
    series               where items are series, the same as numbers
    """

    made: Tensor
    train: Tensor
    held: Tensor
    spec: Spec
    made_labels: Tensor | None = None
    train_labels: Tensor | None = None
    held_labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    train_names: tuple[str, ...] = ()
    train_rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    seeds: tuple[int, ...] = ()
    against: str = "held out"
    documents: Documents | None = None
    rows: Rows | None = None
    series: Series | None = None


@dataclass(frozen=True)
class Figure:
    """One measured number, and the four others without which it says nothing.

    name, title  key in the JSON, and words on the page
    better       lower | higher | even (nearest to `ideal`)
    value        of the samples; None where there is none, and then `reason` says why
    low, high    95 % interval of the value
    floor        the same measure on real against real: what a perfect model would get
    copies       on a machine that returns the training set
    baseline     on a trivial model (each pixel or column drawn on its own)
    says         one sentence for readers who know no statistics
    label        the class that it is about; None for all
    doubtful     real items themselves do so badly that the value says little; `says` tells it
    """

    name: str
    title: str
    better: Literal["lower", "higher", "even"] = "lower"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    copies: float | None = None
    baseline: float | None = None
    ideal: float | None = None
    says: str = ""
    reason: str = ""
    label: str | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; `reason` says why where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do: about data before training, or about a model after it.

    kind         short key, such as "near_duplicates" or "critic_too_strong"
    severity     stop (do not train, do not use) | warn | note
    title        what was found, in a few words
    evidence     the numbers behind it
    consequence  what it does to the generator
    action       what to do: an option to change, or what to do to the files
    names        the files or items concerned, as the user would find them
    rows         their indices in the source
    groups       for duplicates: rows that belong together
    count        how many items it concerns in all (`names` may be cut short)
    default      what morelike does about it when nobody says otherwise
    """

    kind: str
    severity: Literal["stop", "warn", "note"]
    title: str
    evidence: str = ""
    consequence: str = ""
    action: str = ""
    names: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()
    count: int = 0
    default: str = ""


@dataclass(frozen=True)
class Neighbours:
    """Of some made items, the nearest training item each.

    made      index of the made item, (n,)
    train     index of its nearest training item, (n,)
    distance  to it, in feature space, (n,)
    ratio     that distance over the one to the nearest held-out item, (n,); None without held-out items
    copy      "exact", "near" or "" each
    """

    made: tuple[int, ...]
    train: tuple[int, ...]
    distance: tuple[float, ...]
    ratio: tuple[float | None, ...]
    copy: tuple[str, ...]


@dataclass(frozen=True)
class Novelty:
    """How much of what was made is copied from the training set, beside what held-out items would get.

    figures     copy_rate, exact_rate, distance_ratio, generalisation_gap … for all, per class and per density decile
    neighbours  the most suspicious items first, then some at random
    rule        how near "near" is, in words
    """

    figures: tuple[Figure, ...]
    neighbours: Neighbours
    rule: str


@dataclass(frozen=True)
class Passage:
    """A run of a made text that stands word for word in a training document, with what stands around it in either.

    made    index of the made item
    name    the training document, as the user would find it
    length  characters of the run
    before, run, after  of the made text; there_before and there_after of the training document
    """

    made: int
    name: str
    length: int
    before: str
    run: str
    after: str
    there_before: str
    there_after: str


@dataclass(frozen=True)
class Damage:
    """Whether the measures noticed a known damage on this user's data.

    kind     noise | blur | dropped modes | junk | copies …, and `amount` of it in words
    meant    name of the measure that is meant to notice it
    auc      by measure: how surely it tells damaged from undamaged sets (area under the ROC curve)
    noticed  names of the measures with auc of at least 0.95
    """

    kind: str
    amount: str
    meant: str
    auc: Mapping[str, float]
    noticed: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The first thing that a reader sees.

    word      indistinguishable | close | usable with care | poor | collapsed | copies | unmeasured
    sentence  what that means for use
    reasons   the figures that led to it, one sentence each
    rule      the documented rule that was applied
    """

    word: str
    sentence: str
    reasons: tuple[str, ...] = ()
    rule: str = ""


@dataclass
class Measured:
    """All that was measured of a run; `measure.evaluate` fills the first part, the rest comes from the run folder."""

    verdict: Verdict
    figures: list[Figure]
    novelty: Novelty | None
    damages: list[Damage] = field(default_factory=list)
    features: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    forecast: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    portrait: Portrait | None = None
    over: tuple[Over, ...] = ()
