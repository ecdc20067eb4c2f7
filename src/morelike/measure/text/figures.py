"""Everything that is measured of texts alone, from the items of a report and the documents behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from morelike.core.family import Family
from morelike.measure.figure import Evidence, Figure, Passage
from morelike.measure.scene import Scene
from morelike.measure.text.answers import answers
from morelike.measure.text.bits import bits_per_byte
from morelike.measure.text.documents import MOST, Documents, Whole, some
from morelike.measure.text.molecules import are_molecules, molecules
from morelike.measure.text.verbatim import verbatim
from morelike.measure.text.wording import Texts, wording

HELD_OUT = "held out"  # in `Evidence.against`


def text_figures(
    evidence: Evidence, scene: Scene, family: Family | None, tell: Callable[[float], None] = lambda share: None
) -> tuple[list[Figure], list[Passage]]:
    """Bits per byte, what stands word for word in training documents, wording, and the longest of these passages; of
    molecules also which are valid, different and new.

    The samples are compared with the beginnings of real documents, as far as a model reads at once.
    """
    documents, items = evidence.documents, scene.items
    if documents is None:
        return [], []
    figures = []
    if family is not None:
        against = "held out of training" if evidence.against == HELD_OUT else f"of {evidence.against}"
        figures += bits_per_byte(documents, family, against, scene.seed, lambda share: tell(share / 2))
    sets = (items.made, items.real, items.train, items.trivial)
    made, real, train, alone = (list(documents.read(one)) for one in sets)
    whole, names = readable(documents, documents.train, scene.seed)
    n = min(len(made), len(evidence.held)) if len(evidence.held) else len(made)
    new = [] if scene.flatters else _drawn(real, n, scene.seed)
    kinds = {"made": made[:n], "held": new, "copies": _drawn(train, n, scene.seed), "trivial": alone[:n]}
    word_for_word = verbatim(kinds, whole, names, scene.seed)
    figures += word_for_word.figures
    tell(0.9)
    known = frozenset("".join(whole))
    figures += wording([Texts(one, known) for one in (made, real, train, alone)], scene.pair)
    if are_molecules(whole):
        figures += molecules((made, real, train, alone), whole, scene.pair)
    if documents.answers is not None:
        figures += answers(documents.answers, scene.seed)
    tell(1.0)
    return figures, word_for_word.passages


def readable(documents: Documents, whole: Whole, seed: int) -> tuple[list[str], list[str]]:
    """Whole documents as texts, a random part of them where there are too many to be searched, and their names."""
    rows = range(len(whole)) if sum(map(len, whole.tokens)) <= MOST else some(whole, MOST, seed)
    return [_text(documents, whole.tokens[row]) for row in rows], [whole.names[row] for row in rows]


def _text(documents: Documents, tokens: np.ndarray) -> str:
    return documents.read(torch.from_numpy(np.asarray(tokens).astype(np.int64))[None])[0]


def _drawn(texts: Sequence[str], n: int, seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(texts))[:n]
    return [texts[row] for row in order.tolist()]
