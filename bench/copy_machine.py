"""Two generators whose verdict is known: the copy machine, and held-out items.

    python bench/copy_machine.py --cache FOLDER [SOURCE ...]

A generator that returns training items, drawn with replacement, and one that returns half of the held-out items, of
which the other half is what it is compared with. Also one item again and again, and independent pixels.

Expected: copy machine: copy rate at least 99 % and "copies"; held-out items: "indistinguishable", and a copy rate not
above that of the other held-out half beyond chance (their intervals meet), which has near twins among the training
items too; one item: "collapsed" or "copies"; pixels: "poor".
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import morelike  # noqa: F401, isort: skip - its thread settings must come before torch

import torch
from machine import table, tell, verdict
from real import Real, features, real
from torch import Tensor

from morelike.measure.anchors import trivial
from morelike.measure.evaluate import evaluate
from morelike.measure.figure import Figure, Measured
from morelike.measure.interval import wilson

SOURCES = ("menagerie", "fashion_mnist", "mnist", "animal_photos")


def generators(found: Real) -> Iterator[tuple[str, tuple[str, ...], Tensor, Tensor | None]]:
    """Name, verdicts that are right, samples, and the class of each."""
    rng = torch.Generator().manual_seed(1)
    count, half = min(4_000, 2 * len(found.held)), len(found.held) // 2
    rows = torch.randint(len(found.train), (count,), generator=rng)

    def of(labels: Tensor | None, rows: Tensor) -> Tensor | None:
        return None if labels is None else labels[rows]

    yield "training items", ("copies",), found.train[rows], of(found.train_labels, rows)
    yield "held-out items", ("indistinguishable",), found.held[:half], of(found.held_labels, torch.arange(half))
    asked = of(found.train_labels, rows)
    alone = trivial(found.train, found.train_labels, asked if asked is not None else rows, 1)
    yield "independent pixels", ("poor",), alone, asked
    yield "one held-out item", ("collapsed", "copies"), found.held[:1].expand(count, *found.held.shape[1:]), None


def rate(measured: Measured) -> Figure | None:
    """The copy rate of all samples."""
    news = measured.novelty.figures if measured.novelty else ()
    return next((one for one in news if one.name == "copy_rate" and one.label is None), None)


def right(name: str, words: tuple[str, ...], measured: Measured) -> bool:
    """Whether verdict and copy rate are what they should be."""
    copies = rate(measured)
    if measured.verdict.word not in words or copies is None or copies.value is None:
        return False
    if name == "training items":
        return copies.value >= 0.99
    compared = measured.counts["held_out"]
    return (
        name != "held-out items" or (copies.low or 0.0) <= wilson(round((copies.floor or 0.0) * compared), compared)[1]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the learned features")
    parser.add_argument("sources", nargs="*", default=SOURCES)
    given = parser.parse_args()
    wrong = 0
    for source in given.sources:
        found, rows = real(source, 0.2), []
        looks = features(found, given.cache)
        for name, words, made, labels in generators(found):
            held = slice(len(found.held) // 2, None)
            measured = evaluate(found.evidence(made, labels, held), looks, selftest=False)
            copies, good = rate(measured), right(name, words, measured)
            by_name = {one.name: one.value for one in measured.figures if one.label is None}
            shown = [f"{by_name[key]:.3g}" if by_name.get(key) is not None else "-"
                     for key in ("frechet", "density", "coverage", "two_sample")]  # fmt: skip
            copied = ["-", "-"] if copies is None else [f"{one:.4f}" for one in (copies.value or 0, copies.floor or 0)]
            rows.append([name, measured.verdict.word, *copied, *shown, verdict(good)])
            wrong += not good
            tell("copy_machine", source=source, generator=name, verdict=measured.verdict.word, copy_rate=copied[0])
        print(f"\n{source}: {len(found.train):,} training items, {len(found.held) // 2:,} compared with")
        table(["generator", "verdict", "copies", "real", "frechet", "density", "coverage", "two-sample", ""], rows)
    print(f"\nverdicts and copy rates of generators that are known: {verdict(not wrong)}")


if __name__ == "__main__":
    main()
