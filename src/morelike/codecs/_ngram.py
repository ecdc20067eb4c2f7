"""How well a vocabulary suits some text, by a quick model: an interpolated n-gram model (Witten and Bell 1991)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_PRIME = np.uint64(0x9E3779B97F4A7C15)


def nats(train: Sequence[np.ndarray], held: Sequence[np.ndarray], size: int, order: int) -> float:
    """-log p of the held-out documents, their ends included, by the best model of up to this order of the others.

    train, held  documents, int (T,) each, without 0
    size         of the vocabulary
    order        tokens that a count is of, the predicted one included

    p_n(w | c) = (C(c w) + T(c) p_{n-1}(w | c')) / (C(c) + T(c)), with T(c) the different tokens seen after c, and
    p_0 = 1 / size.
    """
    a, b = _joined(train), _joined(held)
    here, there = np.zeros(len(a), np.uint64), np.zeros(len(b), np.uint64)
    p, best = np.full(len(b), 1 / size), np.inf
    for n in range(order):
        if n:
            here, there = _mixed(here, _shifted(a, n)), _mixed(there, _shifted(b, n))
        pairs, counts = np.unique(_mixed(here, a), return_counts=True)
        contexts, total, kinds = _contexts(here, a, pairs)
        seen = _found(contexts, there)
        c, t = np.where(seen >= 0, total[seen], 0), np.where(seen >= 0, kinds[seen], 0)
        both = _found(pairs, _mixed(there, b))
        p = np.where(seen >= 0, (np.where(both >= 0, counts[both], 0) + t * p) / np.maximum(c + t, 1), p)
        best = min(best, -float(np.log(p[1:]).sum()))  # the first 0 is given
    return best


def _joined(documents: Sequence[np.ndarray]) -> np.ndarray:
    """0 document 0 document 0 as uint64."""
    zero = np.zeros(1, np.int64)
    return np.concatenate([zero, *(part for one in documents for part in (one, zero))]).astype(np.uint64)


def _shifted(tokens: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros(by, np.uint64), tokens[:-by]])


def _mixed(key: np.ndarray, token: np.ndarray) -> np.ndarray:
    """A hash of what has been hashed and one token more."""
    mixed = (key ^ (token + np.uint64(1))) * _PRIME
    return mixed ^ (mixed >> np.uint64(29))


def _contexts(here: np.ndarray, tokens: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different contexts, how often each is there, and how many different tokens follow it."""
    contexts, which, total = np.unique(here, return_inverse=True, return_counts=True)
    first = np.unique(_mixed(here, tokens), return_index=True)[1]
    return contexts, total, np.bincount(which[first], minlength=len(contexts))


def _found(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted one stands among the sorted keys, -1 where it does not."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)
