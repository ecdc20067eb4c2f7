"""The heart of the report: what is measured of a set of samples, given real items. It knows no run and no folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from morelike.core.codec import Metric
from morelike.core.family import Family
from morelike.measure.anchors import FEW, Anchored, anchored
from morelike.measure.classes import by_class, class_accuracy
from morelike.measure.features import Features
from morelike.measure.figure import Evidence, Figure, Finding, Measured, Novelty, Passage
from morelike.measure.likelihood import likelihood
from morelike.measure.novelty import novelty
from morelike.measure.panel import SCALES, Scale, figure, measures, of_metric, variety
from morelike.measure.scene import Kept, Remembered, Scene, arrange, finite
from morelike.measure.selftest import try_damage
from morelike.measure.series.evaluate import evaluate_series
from morelike.measure.table.evaluate import evaluate_rows
from morelike.measure.text.figures import text_figures
from morelike.measure.verdict import judge

Tell = Callable[[str, float], None]  # stage, share of it that is done
CROSS = ("frechet", "kernel_distance", "two_sample")  # measures that are repeated with every other kind of features
FLATTERS = " This is against training items, for want of held-out ones, and flatters."
BIASED = " With fewer items than features it is too large, for real items too."


@dataclass(frozen=True)
class Entry:
    """A measure of the whole set that was taken: how it is told, the features it looked through, what was found."""

    scale: Scale
    suffix: str
    found: Anchored


def evaluate(
    evidence: Evidence, features: Sequence[Features], *, metrics: Sequence[Metric] = (), family: Family | None = None,
    selftest: bool = True, duplicates: Mapping[int, int] | None = None, seed: int = 0, tell: Tell | None = None,
) -> Measured:  # fmt: skip
    """Everything that can be said of samples by numbers, each beside real items, a copy machine and a trivial model.

    evidence    the items; those that are not finite are left out and counted
    features    what the measures look through, at least one: the first for everything, the others as a cross-check;
                none are needed for rows of a table and for series, which have measures of their own
    metrics     the codec's own, on items
    family      the model, for its likelihood if it has one
    selftest    whether to try the measures on known damage
    duplicates  group of each training row that an audit found to have copies, for the novelty
    tell        called with the stage and the share of it that is done

    The same seed gives the same numbers. Raises `DataError` where samples and real items differ in shape; whatever else
    cannot be measured is a figure with a reason.
    """
    say = tell or (lambda stage, fraction: None)
    if evidence.rows is not None:
        return evaluate_rows(evidence, family, seed, say)
    if evidence.series is not None:
        return evaluate_series(evidence, family, seed, say)
    clean, kept = finite(evidence)
    scene = arrange(clean, seed)
    looks = [Remembered(one, plain=scene.flatters) for one in features]
    for done, look in enumerate(looks):
        scene.items.map(look)
        say("features", (done + 1) / len(looks))
    with one_thread():
        found = _standard(scene, looks) + _natural(scene, metrics)
        figures = [_remarked(scene, one, looks[0].width) for one in found]
        say("figures", 1.0)
        figures += _classes(scene, looks, lambda fraction: say("classes", fraction))
    passages: list[Passage] = []
    if clean.documents is not None:
        more, passages = text_figures(clean, scene, family, lambda share: say("texts", share))
        figures += more
    elif family is not None:
        figures += likelihood(clean, family, seed=seed)
        say("likelihood", 1.0)
    news = novelty(clean, looks[0], seed=seed, duplicates=duplicates) if len(clean.made) and len(clean.train) else None
    say("novelty", 1.0)
    with one_thread():
        damages = try_damage(clean, looks[0], seed=seed, tell=lambda share: say("self-test", share)) if selftest else []
    counts = _counts(evidence, clean, scene)
    floors = {one.scale.name: one.found.floor for one in found if not one.suffix}
    return Measured(
        verdict=judge(figures, floors, news, counts, damages), figures=figures, novelty=_renumbered(news, kept),
        damages=damages, features={one.name: one.described() for one in looks}, counts=counts,
        findings=_findings(counts, scene),
        passages=[replace(one, made=int(kept.made[one.made])) for one in passages],
    )  # fmt: skip


@contextmanager
def one_thread() -> Iterator[None]:
    """Run small steps on one thread: two wait for each other at every barrier, for long on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _standard(scene: Scene, looks: Sequence[Remembered]) -> list[Entry]:
    """All measures through the first features, those of `CROSS` through the others."""
    found = []
    for place, look in enumerate(looks):
        seen = scene.items.map(look)
        for name, measure in measures(scene.seed).items():
            if place == 0 or name in CROSS:
                entry = anchored(measure, seen, scene.pair)
                found.append(Entry(SCALES[name], f"_{look.name}" if place else "", entry))
    return found


def _natural(scene: Scene, metrics: Sequence[Metric]) -> list[Entry]:
    """What is measured on the items themselves: variety, and the codec's metrics."""
    found = [Entry(SCALES["variety"], "", anchored(variety, scene.items, scene.pair))]
    if not scene.pair:
        return found
    few = scene.pair[0]
    for metric in metrics:
        for name in metric(scene.items.made[few.made[:2]], scene.items.real[few.real[:2]]):
            scale = Scale(name.replace(" ", "_"), name[:1].upper() + name[1:].replace("_", " "))
            found.append(Entry(scale, "", anchored(of_metric(metric, name), scene.items, scene.pair)))
    return found


def _classes(scene: Scene, looks: Sequence[Remembered], tell: Callable[[float], None]) -> list[Figure]:
    """Figures by class, where the samples were asked for by class."""
    if scene.labels is None:
        return []
    reader = next((one for one in looks if one.classify(scene.items.real[:1]) is not None), None)
    read = class_accuracy(scene.labels, scene.items, reader) if reader is not None else []
    return read + by_class(scene.labels, scene.items.map(looks[0]), seed=scene.seed, tell=tell)


def _remarked(scene: Scene, entry: Entry, width: int) -> Figure:
    """A figure whose sentence also says what weakens it."""
    made = figure(entry.scale, entry.found, suffix=entry.suffix)
    remark = FLATTERS if scene.flatters else ""
    if entry.scale.name == "frechet" and scene.pair and len(scene.pair[0].real) <= width:
        remark += BIASED
    return replace(made, says=made.says + remark) if made.value is not None else made


def _renumbered(news: Novelty | None, kept: Kept) -> Novelty | None:
    """Neighbours by the rows of the evidence as it was given."""
    if news is None:
        return None
    near = news.neighbours
    rows = {"made": kept.made, "train": kept.train}
    moved = {name: tuple(of[list(getattr(near, name))].tolist()) for name, of in rows.items()}
    return replace(news, neighbours=replace(near, **moved))


def _counts(evidence: Evidence, clean: Evidence, scene: Scene) -> dict[str, int]:
    """How many items there were of each kind, and how many of each were compared."""
    compared = sum(len(fold.made) for fold in scene.pair)
    return {
        "made": len(clean.made), "train": len(clean.train), "held_out": len(clean.held), "compared": compared,
        "classes": len(clean.classes), "made_not_finite": len(evidence.made) - len(clean.made),
        "real_not_finite": len(evidence.train) + len(evidence.held) - len(clean.train) - len(clean.held),
    }  # fmt: skip


def _findings(counts: Mapping[str, int], scene: Scene) -> list[Finding]:
    """What is wrong with the evidence itself."""
    found = []
    broken, made = counts["made_not_finite"], counts["made"]
    if broken:
        found.append(Finding(
            "not_finite", "warn" if made > broken else "stop", "Some samples are not numbers",
            f"{broken:,} of {made + broken:,} samples hold a NaN or an infinity.",
            "They were left out, so all figures are of the others.",
            "Train again with a smaller learning rate (--set lr=…), or in full precision.", count=broken,
        ))  # fmt: skip
    if scene.flatters:
        found.append(Finding(
            "few_held_out", "warn", "Too few items were held out",
            f"{counts['held_out']:,} items were held out, and {FEW} are needed.",
            "The samples are compared with what the model was trained on, so copying looks like quality.",
            "Hold more out, or name other real items with --against.", count=counts["held_out"],
        ))  # fmt: skip
    return found
