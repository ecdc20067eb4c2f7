"""Beam search against enumeration, the greedy text, and searches of one source at a time."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from morelike.samplers.beam import Search, beam_search


def law(written: Tensor) -> Tensor:
    """Some law of the next token given all before it: (B, t) -> logits (B, 4), the same for the same beginning."""
    rows = []
    for one in written.tolist():
        generator = torch.Generator().manual_seed(hash(tuple(one)) % 2**31)
        rows.append(2 * torch.randn(4, generator=generator))
    return torch.stack(rows)


class Told:
    """A callable law as a search asks for it."""

    def __init__(self, rows: int, seeds: int | Tensor = 0) -> None:
        self.written = torch.as_tensor(seeds).expand(rows)[:, None]

    def begin(self) -> Tensor:
        return law(self.written)

    def step(self, token: Tensor) -> Tensor:
        self.written = torch.cat([self.written, token[:, None]], 1)
        return law(self.written)

    def select(self, rows: Tensor) -> None:
        self.written = self.written[rows]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
def test_a_wide_search_finds_what_enumeration_finds(penalty: float) -> None:
    search, told = Search(beam=64, length=4, end=0, penalty=penalty), Told(64)
    found = searched(told, search, 1)[0].tolist()
    best: tuple[float, list[int]] = (-torch.inf, [])
    for words in itertools.product(range(1, 4), repeat=4):
        for length in range(1, 5):
            one = [*words[: length - 1], 0] if length < 4 else None
            for tokens in [one] if one else [list(words), [*words[:3], 0]]:
                sums = sum(
                    float(law(torch.tensor([[0, *tokens[:t]]])).log_softmax(-1)[0, tokens[t]])
                    for t in range(len(tokens))
                )
                best = max(best, (sums / search.norm(len(tokens)), tokens + [0] * (4 - len(tokens))))
    assert found == best[1]


def searched(told: Told, search: Search, rows: int) -> Tensor:
    return beam_search(told.begin, told.step, told.select, search, torch.empty(rows, 0, dtype=torch.long))


def test_a_beam_of_one_is_the_greedy_text() -> None:
    for seed in range(1, 20):
        search, told = Search(beam=1, length=8, end=0, penalty=0.6), Told(1, seed)
        row: list[int] = []
        while len(row) < 8 and 0 not in row:
            row.append(int(law(torch.tensor([[seed, *row]])).argmax()))
        assert searched(told, search, 1)[0].tolist() == row + [0] * (8 - len(row))


@pytest.mark.parametrize("beam", [2, 5])
def test_sources_that_are_done_leave_the_others_as_they_are(beam: int) -> None:
    search, seeds = Search(beam=beam, length=8, end=0), torch.arange(6)
    together = searched(Told(6 * beam, seeds.repeat_interleave(beam)), search, 6)
    alone = [searched(Told(beam, seed), search, 1)[0] for seed in range(6)]
    assert torch.equal(together, torch.stack(alone))
    assert len({int((row > 0).sum()) for row in together}) > 2, "they end at different times"


def test_what_is_allowed_sees_the_prompt_and_holds() -> None:
    seen: list[Tensor] = []

    def odd(tokens: Tensor) -> Tensor:
        seen.append(tokens)
        return torch.tensor([True, True, False, True]).expand(len(tokens), -1)

    prompt = torch.tensor([[2, 2], [1, 2]])
    told = Told(6, 3)
    found = beam_search(told.begin, told.step, told.select, Search(3, 5, 0, allowed=odd), prompt)
    assert not (found == 2).any() and (seen[0] == prompt.repeat_interleave(3, 0)).all()


def test_where_nothing_may_follow_a_sequence_ends() -> None:
    told, none = Told(2), torch.zeros(4, dtype=torch.bool)
    search = Search(2, 4, 0, allowed=lambda tokens: none.expand(len(tokens), -1))
    assert searched(told, search, 1).tolist() == [[0, 0, 0, 0]]
