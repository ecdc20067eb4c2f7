"""From a source to its audit: read everything, look at everything, and say what is wrong before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Thread
from typing import Any

from morelike import collect
from morelike.auditing.drift import moved
from morelike.auditing.looking import Surveys, Tell, Watch, blemishes, doubts, surveyed
from morelike.auditing.quick import labels_of, plain_findings, search_fits
from morelike.core.codec import Blemish, Inspectable
from morelike.data.cache import Dataset, build
from morelike.data.listing import Source
from morelike.data.ragged import take
from morelike.data.sources import open_source
from morelike.data.split import split
from morelike.measure.audit import Audit
from morelike.measure.audit.amount import parted
from morelike.measure.audit.page import shown_rows
from morelike.measure.audit.repeats import across
from morelike.measure.audit.twins import Twins, equals, find, sketched
from morelike.measure.figure import Finding
from morelike.measure.table.trees import has_trees
from morelike.recipes import Request, held_share, module, reading, sort_settings


def audit(
    request: Request, tell: Tell = lambda stage, fraction: None, against: str | None = None, items: Source | None = None
) -> Audit:
    """Everything that is wrong with a source, before anything is trained on it; the files are only read.

    request  the source and how it would be read: its codec's settings, labels and share held out; the seed is that of
             the nets that look at the items
    tell     called with the stage and the share of it that is done
    against  of a table, an older one to compare it with; None to compare its first half with its second
    items    what the source holds, if it is open already

    Raises `DataError` where fewer than two items can be used, and `OptionError` for options that do not fit.
    """
    watch = Watch(tell)
    watch("Listing", 0.0)
    items = items or open_source(request.source, reading(request))
    own = sort_settings(request.settings, {"codec": module("codec", items.codec).Config})["codec"]
    codec = collect.new_codec(request, items.codec, own)
    if isinstance(codec, Surveys):  # of a table: what tells of drift takes seconds to load, while columns are settled
        Thread(target=has_trees, daemon=True).start()
    codec = codec.fit(items.items)
    watch("Listing", 1.0)
    with ThreadPoolExecutor(1) as pool:  # of a table, what needs no prepared rows is looked at while these are made
        beside = pool.submit(_beside, codec, items, against, request) if isinstance(codec, Surveys) else None
        data = build(items, codec, progress=lambda done, total: watch("Preparing", done / max(1, total)))
    labels = labels_of(data, request.given)
    classes = dict(Counter(label for label in labels if label))
    lost, _ = parted(data.problems)
    found = Audit(items.name, codec.shape, {}, classes, skipped=lost)
    if beside is not None:
        twins = Twins([], [], {})  # equal rows are told by the codec, which sees what is not learnt, too
        watch("Looking", 0.0)
        faults, drifted = beside.result()
        watch("Looking", 1.0)
        found.findings += [*surveyed(codec, faults, data), *drifted]
    else:
        twins = Twins(equals(data.hashes), [], {})
        found.findings += moved(codec, items, against, request)
    if isinstance(codec, Inspectable):
        found.findings += blemishes(codec, items, data, watch)
        sketches = sketched(codec, data.x)
        twins = find(codec, sketches, data.hashes, tell=watch.of("Comparing"))
        doubts(found, sketches, labels, data.names, request.seed, watch)
    together = search_fits(len(data), None)
    share = held_share(request, len(data))
    kept, held = collect.sides(codec, data, share, twins.alike if together else ())
    found.counts = {"items": len(data), "left_out": len(lost), "train": len(kept), "held_out": len(held)}
    found.findings += plain_findings(data, labels, twins, (kept, held), codec)
    found.findings += across(twins.alike, split(data.hashes, share)[1], data.names, together)
    found.pictures = pictures(codec, data, found.findings)
    watch("Writing", 1.0)
    found.seconds = watch.seconds
    return replace(found)  # with its findings in order


def _beside(
    codec: Any, items: Source, against: str | None, request: Request
) -> tuple[Sequence[Blemish], list[Finding]]:
    """What is wrong with the columns and rows of a table, and what has moved."""
    return codec.survey(items.items), moved(codec, items, against, request)


def pictures(codec: Any, data: Dataset, findings: Sequence[Finding]) -> dict[int, str]:
    """What the page shows, by row: items as the model would see them."""
    rows = sorted({row for one in findings for row in shown_rows(one)})
    if not rows:
        return {}
    x = codec.encode(take(data.x, rows))
    return dict(zip(rows, codec.html(codec.decode(x)), strict=True))
