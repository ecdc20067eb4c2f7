"""How near what was made for a text is to what belongs to it: BLEU, chrF, ROUGE-L beside a translation memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from morelike.core.errors import OptionError, missing_extra
from morelike.measure.figure import Estimate, Figure
from morelike.measure.text.documents import Answers
from morelike.measure.text.runs import Texts, keys
from morelike.measure.text.wording import words

DRAWS, RESAMPLED = 1_000, 300  # of the bootstrap: of ROUGE-L, and of sacrebleu's figures
WIDTH, RUN, HAN_RUN = 4_096, 4, 2  # places of a sketch of runs of characters, and characters of a run
LOOKED_AT = 2_000  # answers that are compared
CHINESE = 0.3  # share of Chinese characters from which BLEU counts these and not words
TITLES = {"bleu": "BLEU", "chrf": "chrF", "rouge_l": "ROUGE-L"}


def answers(found: Answers, seed: int = 0) -> list[Figure]:
    """BLEU and chrF of sacrebleu (Post 2018; Popović 2015) and ROUGE-L (Lin 2004), 0 to 100, with bootstrap intervals.

    The copy machine is a translation memory: the training target of the training source that shares most runs of four
    characters, or two of Chinese, with what was asked. The trivial model returns any training target.
    """
    if not found.made or not found.targets:
        why = "there are no pairs of texts to compare"
        return [Figure(name, title, "higher", reason=why) for name, title in TITLES.items()]
    n = min(LOOKED_AT, len(found.made))
    any_row = np.random.default_rng(seed).integers(len(found.targets), size=n)
    memory = [found.targets[row] for row in nearest_source(found.asked[:n], found.sources)]
    sets = (list(found.made[:n]), memory, [found.targets[row] for row in any_row.tolist()])
    right = list(found.right[:n])
    return [_figure(name, measure, sets, right, seed) for name, measure in measures(right).items()]


Measure = Callable[[Sequence[str], Sequence[str], int], Estimate]  # (answers, right ones, seed)


def measures(right: Sequence[str]) -> dict[str, Measure]:
    """The three measures; those of sacrebleu say what is missing where it is not installed."""
    return {"bleu": lambda made, real, seed: _sacre("BLEU", made, real, tokenizer(right)),
            "chrf": lambda made, real, seed: _sacre("CHRF", made, real, ""),
            "rouge_l": rouge_l}  # fmt: skip


def tokenizer(texts: Sequence[str]) -> str:
    """The tokenizer of sacrebleu that suits the script: "zh", "ja-mecab" being no part of it, "char", or "13a"."""
    letters = [c for text in texts[:200] for c in text if not c.isspace()]
    chinese = sum("\u3400" <= c <= "\u9fff" for c in letters)
    kana = sum("\u3040" <= c <= "\u30ff" for c in letters)
    if chinese + kana <= CHINESE * max(1, len(letters)):
        return "13a"
    return "char" if kana > 0.1 * len(letters) else "zh"


def _sacre(kind: str, made: Sequence[str], real: Sequence[str], tokenize: str) -> Estimate:
    """A figure of sacrebleu with its own bootstrap over texts."""
    try:
        from sacrebleu import metrics
    except ImportError:
        error: OptionError = missing_extra("sacrebleu", "text", "This figure")
        return Estimate(reason=f"{error.found}: {error.action}")
    options: dict[str, Any] = {"tokenize": tokenize, "force": True} if tokenize else {}
    metric = getattr(metrics, kind)(**options)
    score = metric.corpus_score(list(made), [list(real)], n_bootstrap=RESAMPLED if len(made) > 1 else 1)
    half = getattr(score, "_ci", -1.0)
    value = float(score.score)
    return Estimate(value, max(0.0, value - half), value + half) if half >= 0 and len(made) > 1 else Estimate(value)


def rouge_l(made: Sequence[str], real: Sequence[str], seed: int = 0) -> Estimate:
    """100 times the mean of F = 2 l / (a + b), l the words of the longest common subsequence of a and b words."""
    scores = np.array([_common(words(one), words(other)) for one, other in zip(made, real, strict=True)])
    value = 100 * float(scores.mean())
    if len(scores) < 2:
        return Estimate(value)
    drawn = scores[np.random.default_rng(seed).integers(len(scores), size=(DRAWS, len(scores)))].mean(1)
    low, high = 100 * np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _common(a: Sequence[str], b: Sequence[str]) -> float:
    """F of the longest common subsequence, by dynamic programming on bits (Crochemore et al. 2001)."""
    if not a or not b:
        return float(not a and not b)
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(a)) - 1
    row = every
    for word in b:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & every
    return 2 * (len(a) - row.bit_count()) / (len(a) + len(b))


def nearest_source(asked: Sequence[str], sources: Sequence[str]) -> list[int]:
    """For each text the row of the source that shares most runs of characters with it, rare ones counting more.

    Cosine of counts weighted by log(M / sources that hold the run), runs hashed to 4,096 places.
    """
    run = RUN if tokenizer(sources) == "13a" else HAN_RUN
    known = _sketched(sources, run)
    weight = (len(sources) / (known > 0).sum(0).clamp_min(1)).log().clamp_min(0) + 1e-6
    known = torch.nn.functional.normalize(known * weight, dim=1)
    wanted = torch.nn.functional.normalize(_sketched(asked, run) * weight, dim=1)
    return [row for part in wanted.split(256) for row in (part @ known.T).argmax(1).tolist()]


def _sketched(texts: Sequence[str], run: int) -> Tensor:
    """Counts of hashed runs of characters in each text, the beginning and the end being characters too: (n, 4096)."""
    found = torch.zeros(len(texts), WIDTH)
    for row, text in enumerate(texts):
        points = Texts([f"  {text.lower()}  "], 0).points
        hashed = keys(points, min(run, len(points))) >> np.uint64(64 - 12)
        found[row] = torch.from_numpy(np.bincount(hashed.astype(np.int64), minlength=WIDTH)).float()
    return found


def _figure(
    name: str, measure: Measure, sets: tuple[list[str], list[str], list[str]], right: Sequence[str], seed: int
) -> Figure:
    blank = Figure(name, TITLES[name], "higher", ideal=100.0)
    value, memory, random = (measure(one, right, seed) for one in sets)
    if value.value is None:
        return replace(blank, reason=value.reason)
    says = (f"What was made for {len(right):,} new texts scores {value.value:.1f} of 100 against what belongs to them; "
            f"a memory that returns what belongs to the most similar known text {memory.value or 0:.1f}, any known "
            f"one {random.value or 0:.1f}.")  # fmt: skip
    return replace(blank, value=value.value, low=value.low, high=value.high, copies=memory.value,
                   baseline=random.value, says=says)  # fmt: skip
