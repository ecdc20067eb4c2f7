"""How texts are worded: their length, how much they repeat themselves, how many different words they have."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import chain, islice

import torch
from torch import Tensor

from morelike.measure.anchors import Anchored, Fold, Measure, Sets, anchored, mean
from morelike.measure.figure import Estimate, Figure
from morelike.measure.panel import Scale, figure, jackknife
from morelike.measure.text.loops import loops

UNITS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")
REPEATED = 4  # words of a run that repeats itself
SCALES = (
    Scale("length_distance", "Length of texts", "lower",
          "Sorted by length, samples and real texts differ by {raw} characters on average; real ones among "
          "themselves by {raw_floor}.", 0.0),
    Scale("repetition", "Repetition", "even",
          "About {value} of 100 runs of four words stood in the same sample before; in real texts {floor}."),
    Scale("distinct", "Different words", "even",
          "Of all pairs of words in the samples {value} of 100 are different ones; in as many real texts {floor}."),
    Scale("strange_characters", "Strange characters", "lower",
          "About {value} of 100 characters of the samples are in no training document; of real texts {floor}.", 0.0),
    Scale("loops", "Loops", "lower",
          "About {value} of 100 samples go round in a loop, which says the same again and again for a quarter of "
          "their words or more; of real texts {floor}.", 0.0),
)  # fmt: skip


class Texts:
    """Some texts as numbers (n, 6).

    They are: characters, runs of four words, those that came before, strange characters, whether it loops, and 1.
    """

    def __init__(self, texts: Sequence[str], known: frozenset[str]) -> None:
        self.words = [words(one) for one in texts]
        rows = [(len(one), *repeats(own), sum(c not in known for c in one), loops(own), 1)
                for one, own in zip(texts, self.words, strict=True)]  # fmt: skip
        self.numbers = torch.tensor(rows, dtype=torch.float64).reshape(len(texts), 6)

    def __len__(self) -> int:
        return len(self.words)


def words(text: str) -> list[str]:
    """Words, single Chinese and Japanese characters, and signs, in lower case."""
    return UNITS.findall(text.lower())


def repeats(own: Sequence[str]) -> tuple[int, int]:
    """How many runs of four words there are, and how many of them are there before in the same text.

    Source: seq-rep-4 of Welleck et al. 2020, section 6.
    """
    runs = list(zip(*(own[i:] for i in range(REPEATED)), strict=False))
    return len(runs), len(runs) - len(set(runs))


def wording(sets: Sequence[Texts], pair: Sequence[Fold]) -> list[Figure]:
    """Figures on wording, each beside real texts, the copy machine and the trivial model, over two folds.

    sets  samples, real texts, training texts, and those of the trivial model, in which the folds count
    """
    numbers = Sets(*(one.numbers for one in sets))
    measures: tuple[Measure, ...] = (_length, _ratio(2, 1), _ratio(3, 0), _ratio(4, 5))
    found = [anchored(one, numbers, pair) for one in measures]
    found.insert(2, _distinct(sets, pair))
    return [_told(scale, one) for scale, one in zip(SCALES, found, strict=True) if one.value.value is not None]


def _told(scale: Scale, found: Anchored) -> Figure:
    """A figure; what is neither good nor bad by itself should be as it is in real texts."""
    even = scale.better == "even" and found.floor.value is not None
    return figure(Scale(**{**vars(scale), "ideal": found.floor.value}) if even else scale, found)


def _length(a: Tensor, b: Tensor) -> Estimate:
    """Wasserstein distance of order 1 between lengths: mean |sorted a - sorted b| at equal quantiles."""

    def gap(x: Tensor, y: Tensor) -> float:
        at = torch.linspace(0, 1, 201, dtype=torch.float64)
        return float((x[:, 0].quantile(at) - y[:, 0].quantile(at)).abs().mean())

    return jackknife(gap, a, b)


def _ratio(above: int, below: int) -> Measure:
    """sum_i x_i,above / sum_i x_i,below over the texts of the first set."""

    def share(x: Tensor, y: Tensor) -> float:
        total = float(x[:, below].sum())
        return float(x[:, above].sum()) / total if total else math.nan

    return lambda a, b: jackknife(share, a, b)


def _distinct(sets: Sequence[Texts], pair: Sequence[Fold]) -> Anchored:
    """Different pairs of words over all of them (Li et al. 2016, section 5), among as many pairs of each set."""
    parts: list[list[Estimate]] = [[] for _ in sets]
    for fold in pair:
        picks = (fold.made, fold.fresh, fold.copies, fold.trivial)
        pairs = [[list(zip(one.words[row], one.words[row][1:], strict=False)) for row in rows.tolist()]
                 for one, rows in zip(sets, picks, strict=True)]  # fmt: skip
        most = min(sum(map(len, texts)) for texts in pairs[:3])
        for kept, texts in zip(parts, pairs, strict=True):
            kept.append(_different(texts, most))
    return Anchored(*(mean(one, place != 1) for place, one in enumerate(parts)))


def _different(texts: Sequence[Sequence[tuple[str, str]]], most: int) -> Estimate:
    """Share of different ones among the first `most` pairs of words, with its interval."""

    def share(x: Tensor, y: Tensor) -> float:
        first = list(islice(chain.from_iterable(texts[row] for row in x[:, 0].long().tolist()), most))
        return len(set(first)) / len(first) if first else math.nan

    rows = torch.arange(len(texts), dtype=torch.float64)[:, None]
    return jackknife(share, rows, rows)
