"""How many bits a model needs for each byte of documents, whole ones, beside a compressor that has read the same."""

from __future__ import annotations

import lzma
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from morelike.core.family import Family, HasLogProb
from morelike.core.spec import Batch
from morelike.core.tokens import Writes, counted
from morelike.measure.figure import Estimate, Figure
from morelike.measure.text.documents import Documents, Whole, some

WORK, LEAST, MOST = 4e11, 8_192, 200_000  # FLOP that may be spent on a kind, and tokens of it at least and at most
PACKED = 1 << 21  # bytes of training documents that the compressor reads first
DRAWS = 1_000  # of the bootstrap
_CHUNK, _LOGITS = 8_192, 1 << 22  # tokens read at a time, and numbers that are predicted for them
TITLES = {
    "bits_per_byte": "Bits per byte",
    "perplexity": "Perplexity per token",
    "likelihood_gap": "Likelihood gap, new against known documents",
}


@dataclass(frozen=True)
class Cost:
    """What documents cost under a model, (n,) each: nats in double precision, tokens that were predicted, bytes."""

    nats: Tensor
    tokens: Tensor
    bytes: Tensor

    def __len__(self) -> int:
        return len(self.nats)

    def __getitem__(self, rows: Tensor) -> Cost:
        return Cost(self.nats[rows], self.tokens[rows], self.bytes[rows])

    def bits(self) -> float:
        """Bits for each byte of all of them."""
        return float(self.nats.sum() / self.bytes.sum()) / math.log(2)

    def perplexity(self) -> float:
        """exp of the nats for each token."""
        return math.exp(min(float(self.nats.sum() / self.tokens.sum()), 700.0))


def bits_per_byte(
    documents: Documents,
    family: Family,
    against: str,
    seed: int = 0,
    tell: Callable[[float], None] = lambda share: None,
) -> list[Figure]:
    """bits_per_byte = -log2 p(documents) / bytes of UTF-8, on held-out ones, exactly; perplexity; gap to training ones.

    against  what the held-out documents are, in words

    Every token of a document is predicted once, its end included, with at least half a context before it where there
    are as many. Intervals are of a bootstrap over documents (Efron & Tibshirani 1993). What stands beside is lzma of
    the standard library: bytes by which the same documents lengthen the training documents when both are compressed,
    times 8. Of large sets a random part is read, so that it takes some tens of seconds at most.
    """
    if not isinstance(family, HasLogProb):
        return []
    if reason := _missing(documents, family):
        return [Figure(name, title, "even" if name == "likelihood_gap" else "lower", reason=reason)
                for name, title in TITLES.items()]  # fmt: skip
    size = sum(one.numel() for one in family.parameters())
    most = min(MOST, max(LEAST, int(WORK / (4 * max(size, 1)))))
    held, train = some(documents.held, most, seed), some(documents.train, most // 2, seed)
    cost = costs(documents.held, held, documents.count, family, most)
    tell(0.6)
    known = costs(documents.train, train, documents.count, family, most // 2) if train else cost[torch.arange(0)]
    beside = packed([_bytes(documents, documents.train, row) for row in some(documents.train, PACKED, seed)],
                    [_bytes(documents, documents.held, row) for row in held])  # fmt: skip
    tell(1.0)
    part = "" if len(held) == len(documents.held) else f", {len(held):,} of {len(documents.held):,} at random"
    said = f"({against}{part})"
    return [_bits(cost, known, beside, said, seed), _perplexity(cost, known, seed), _gap(cost, known, seed)]


def costs(whole: Whole, rows: Sequence[int], count: Callable[[Tensor], Tensor], family: Family, most: int) -> Cost:
    """What whole documents cost, each up to `most` tokens."""
    given = dict(whole.given(np.asarray(rows))) if whole.given is not None else {}
    windows, owners, places = [], [], []
    end = family.spec.end or 0
    length = family.spec.shape[0]
    laid = [np.concatenate([[end], np.asarray(whole.tokens[row])[:most], [end]]).astype(np.int64) for row in rows]
    for owner, one in enumerate(laid):
        for begin, first in cuts(len(one), length, isinstance(family, Writes)):
            windows.append(one[begin : begin + length])
            owners.append(owner)
            places.append(first)
    found = torch.zeros(2, len(rows), dtype=torch.float64)
    order = sorted(range(len(windows)), key=lambda at: len(windows[at]))
    each = max(1, min(_CHUNK, _LOGITS // max(1, family.spec.tokens or 1)) // length)
    for at in range(0, len(order), each):
        part = order[at : at + each]
        x = torch.full((len(part), max(len(windows[i]) for i in part)), end, dtype=torch.int64)
        for line, i in zip(x, part, strict=True):
            line[: len(windows[i])] = torch.from_numpy(windows[i])
        mine = torch.tensor([owners[i] for i in part])
        batch = Batch(x, {name: value[mine] for name, value in given.items()})
        found.index_add_(1, mine, _surprise(family, batch, torch.tensor([places[i] for i in part])))
    sizes = torch.cat([count(torch.from_numpy(one)[None]) for one in laid]).double()
    return Cost(found[0], found[1], sizes.clamp_min(1))


def cuts(size: int, length: int, overlap: bool) -> list[tuple[int, int]]:
    """Where rows of `length` tokens begin in a document of `size`, and which place of each is the first that counts.

    With overlap a row goes on half a row behind the one before, of which it sees the newer half. Together they predict
    every token after the first once.
    """
    step = max(1, (length - 1) // 2) if overlap else length - 1
    found, at, predicted = [(0, 1)], 0, min(size, length)
    while predicted < size:
        at += step
        found.append((at, predicted - at))
        predicted = min(size, at + length)
    return found


def _surprise(family: Family, batch: Batch, first: Tensor) -> Tensor:
    """Nats and number of the tokens from place `first` (B,) of each row on: (2, B)."""
    device = next((one.device for one in family.parameters()), torch.device("cpu"))
    there = Batch(batch.x.to(device), {name: value.to(device) for name, value in batch.given.items()})
    x = batch.x
    counts = torch.zeros(x.shape, dtype=torch.bool)
    counts[:, 1:] = counted(family.spec, x[:, :-1], x[:, 1:])
    counts &= torch.arange(x.shape[1]) >= first[:, None]
    with torch.no_grad():
        if isinstance(family, Writes):
            nats = -(family.token_log_probs(there).double().cpu() * counts).sum(1)
        else:
            nats = -cast(HasLogProb, family).log_prob(there).double().cpu()
    return torch.stack([nats, counts.sum(1).double()])


def packed(train: Sequence[bytes], held: Sequence[bytes]) -> float | None:
    """Bits per byte of held-out documents, (C(train + held) - C(train)) * 8 / bytes, with C the size after lzma."""
    before, new = b"\n".join(train), b"\n".join(held)
    if not new:
        return None
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 24}]
    alone, both = (len(lzma.compress(one, lzma.FORMAT_RAW, filters=filters)) for one in (before, before + b"\n" + new))
    return 8 * (both - alone) / len(new)


def bootstrap(cost: Cost, of: Callable[[Cost], float], seed: int) -> Estimate:
    """A ratio of sums with its 95 % interval: quantiles over documents that are drawn again with replacement."""
    value = of(cost)
    if len(cost) < 2:
        return Estimate(value)
    generator = torch.Generator().manual_seed(seed)
    drawn = [of(cost[torch.randint(len(cost), (len(cost),), generator=generator)]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, min(float(low), value), max(float(high), value))


def _bytes(documents: Documents, whole: Whole, row: int) -> bytes:
    return documents.read(torch.from_numpy(np.asarray(whole.tokens[row]).astype(np.int64))[None])[0].encode()


def _missing(documents: Documents, family: Family) -> str:
    if not len(documents.held):
        return "there are no held-out documents"
    if family.spec.given and documents.held.given is None:
        return "what the held-out documents are conditioned on is not known"
    return ""


def _bits(cost: Cost, known: Cost, beside: float | None, said: str, seed: int) -> Figure:
    found = bootstrap(cost, Cost.bits, seed)
    pages = f"{int(cost.bytes.sum()):,} bytes of {len(cost):,} documents {said}"
    says = f"New text costs {found.value:.3f} bits for each byte: {pages}, every token once."
    if beside is not None:
        says += f" lzma, which has read the training documents too, needs {beside:.2f}."
    if len(known):
        says += f" Known text costs {known.bits():.3f}."
    if found.low is None:
        says += " There is no interval for a single document."
    return Figure("bits_per_byte", TITLES["bits_per_byte"], "lower", found.value, found.low, found.high,
                  copies=known.bits() if len(known) else None, baseline=beside, says=says)  # fmt: skip


def _perplexity(cost: Cost, known: Cost, seed: int) -> Figure:
    found = bootstrap(cost, Cost.perplexity, seed)
    says = (f"To the model each token of new text is as uncertain as a choice among {found.value:.3g} equal ones; "
            "it depends on the vocabulary, bits per byte do not.")  # fmt: skip
    return Figure("perplexity", TITLES["perplexity"], "lower", found.value, found.low, found.high,
                  copies=known.perplexity() if len(known) else None, says=says)  # fmt: skip


def _gap(cost: Cost, known: Cost, seed: int) -> Figure:
    blank = Figure("likelihood_gap", TITLES["likelihood_gap"], "even", ideal=0.0)
    if not len(known):
        return replace(blank, reason="there are no training documents")
    new, old = bootstrap(cost, Cost.bits, seed), bootstrap(known, Cost.bits, seed + 1)
    gap = (new.value or 0.0) - (old.value or 0.0)
    if new.low is None or old.low is None:
        return replace(blank, value=gap, floor=0.0, says=f"New documents cost {gap:+.3g} bits per byte more.")
    half = math.hypot((new.high or 0.0) - new.low, (old.high or 0.0) - old.low) / 2
    says = (f"New documents cost {gap:.3g} bits per byte more than those it was trained on, which it fits closer."
            if gap > half else
            "New documents cost no more than those it was trained on: it has not learned them by heart.")  # fmt: skip
    return replace(blank, value=gap, low=gap - half, high=gap + half, floor=0.0, says=says)
