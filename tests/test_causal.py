"""Causal stacks: the cache is the full computation, packed documents are separate ones, nothing sees the future."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from morelike.core.errors import OptionError
from morelike.nn.causal import Design, Memory, stack

B, T, WIDTH = 3, 10, 16
DESIGNS = {
    "relu2": Design(WIDTH, 2, 2, 32),
    "swiglu-memory": Design(WIDTH, 2, 2, 32, mlp="swiglu", norm="rms", memory=True),
    "gpt2": Design(WIDTH, 2, 2, 32).like_gpt2(),
    "lstm": Design(WIDTH, 2, 2, 32, "lstm"),
    "gru-memory": Design(WIDTH, 2, 2, 32, "gru", memory=True),
}
SEGMENTS = torch.tensor([[1] * 4 + [2] * 3 + [3] * 3, [0] * 10, [1] * 9 + [2]])
CLOSE = {"rtol": 0.0, "atol": 1e-5}


def scrambled(design: Design) -> nn.Module:
    """A stack whose branches all matter, as they do once trained."""
    made = stack(design).eval()
    for p in made.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, std=p.shape[-1] ** -0.5)
    return made


def memory_for(design: Design) -> Memory | None:
    there = torch.arange(5) < torch.tensor([[5], [3], [2]])
    return Memory(torch.randn(B, 5, WIDTH), there) if design.memory else None


def row(memory: Memory | None, i: int) -> Memory | None:
    return None if memory is None else Memory(memory.x[i : i + 1], memory.mask[i : i + 1])  # type: ignore[index]


def runs(segments: Tensor) -> Iterator[tuple[int, int, int]]:
    """(row, begin, end) of every document."""
    for i, one in enumerate(segments.tolist()):
        cuts = [0] + [t for t in range(1, len(one)) if one[t] != one[t - 1]] + [len(one)]
        yield from ((i, begin, end) for begin, end in zip(cuts[:-1], cuts[1:], strict=True))


designs = pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS.keys())


@designs
def test_reading_piece_by_piece_is_reading_at_once(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    cache = made.cache(B, T, memory)
    pieces = [made.read(x[:, begin:end], cache) for begin, end in ((0, 4), (4, 5), (5, 8), (8, 9), (9, 10))]
    torch.testing.assert_close(torch.cat(pieces, 1), made(x, None, memory), **CLOSE)
    assert cache.length == T


@designs
def test_writing_without_gradients_is_the_same_computation(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    pad = torch.tensor([[-1] * 2 + [0] * 8, [0] * 10, [-1] * 5 + [0] * 5])
    for segments in (None, pad):
        with torch.inference_mode():
            cache = made.cache(B, T, memory)
            begin = made.read(x[:, :6], cache, None if segments is None else segments[:, :6])
            found = torch.cat([begin, *(made.read(x[:, t : t + 1], cache) for t in range(6, T))], 1)
        there = (pad if segments is not None else torch.zeros_like(pad)) >= 0
        torch.testing.assert_close(found[there], made(x, segments, memory)[there], **CLOSE)


@designs
def test_one_by_one_and_many_at_once_take_turns(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, 80, WIDTH), memory_for(design)
    x = x[:, : 32 if design.positions == "learned" else 80]  # rotations go on beyond the context
    with torch.inference_mode():
        cache, places = made.cache(B, x.shape[1], memory), [0, 1, 2, 5, 6, 7, 10]
        found = [made.read(x[:, begin:end], cache) for begin, end in pairwise(places)]
        found += [made.read(x[:, t], cache)[:, None] for t in range(10, x.shape[1])]
        torch.testing.assert_close(torch.cat(found, 1), made(x, None, memory), **CLOSE)


@designs
def test_writing_sees_that_the_weights_have_changed(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, 4, WIDTH), memory_for(design)
    with torch.no_grad():
        for _ in range(2):
            cache = made.cache(B, T, memory)
            found = torch.stack([made.read(x[:, t], cache) for t in range(4)], 1)
            torch.testing.assert_close(found, made(x, None, memory), **CLOSE)
            for p in made.parameters():
                p.mul_(1.5)


@designs
def test_packed_documents_are_computed_as_if_they_stood_alone(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    packed = made(x, SEGMENTS, memory)
    for i, begin, end in runs(SEGMENTS):
        alone = made(x[i : i + 1, begin:end], None, row(memory, i))
        torch.testing.assert_close(packed[i : i + 1, begin:end], alone, **CLOSE)


@designs
def test_padding_before_the_first_position_changes_nothing(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    pad = torch.tensor([[-1] * 2 + [0] * 8, [0] * 10, [-1] * 5 + [0] * 5])
    cache = made.cache(B, T, memory)
    read = torch.cat([made.read(x[:, :6], cache, pad[:, :6]), made.read(x[:, 6:], cache)], 1)
    torch.testing.assert_close(read[pad >= 0], made(x, pad, memory)[pad >= 0], **CLOSE)
    torch.testing.assert_close(read[2:, 5:], made(x[2:, 5:], None, row(memory, 2)), **CLOSE)


@designs
def test_nothing_is_seen_of_what_comes_after(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    changed = x.clone()
    changed[:, 6] += torch.randn(WIDTH)
    before, after = made(x, None, memory), made(changed, None, memory)
    torch.testing.assert_close(after[:, :6], before[:, :6], **CLOSE)
    assert all((after[:, t] - before[:, t]).abs().max() > 1e-4 for t in range(6, T)), "and all that came before is"


@designs
def test_some_rows_of_a_cache_go_on_alone(design: Design) -> None:
    made, x, memory = scrambled(design), torch.randn(B, T, WIDTH), memory_for(design)
    cache, kept = made.cache(B, T, memory), torch.tensor([2, 2, 0])
    made.read(x[:, :7], cache)
    cache.select(kept)
    torch.testing.assert_close(made.read(x[kept, 7:], cache), made(x, None, memory)[kept, 7:], **CLOSE)


@pytest.mark.parametrize("net", ["transformer", "lstm", "gru"])
def test_an_encoder_sees_both_ways_but_not_across(net) -> None:
    made, x = scrambled(Design(WIDTH, 2, 2, 32, net, causal=False)), torch.randn(B, T, WIDTH)
    packed = made(x, SEGMENTS)
    for i, begin, end in runs(SEGMENTS):
        torch.testing.assert_close(packed[i : i + 1, begin:end], made(x[i : i + 1, begin:end]), **CLOSE)
    changed = x.clone()
    changed[0, 3] += torch.randn(WIDTH)
    moved = (made(changed, SEGMENTS) - packed).abs().amax(-1)[0] > 1e-6
    assert moved.tolist() == [True] * 4 + [False] * 6


def test_rotations_go_on_beyond_the_context() -> None:
    made, x = scrambled(DESIGNS["relu2"]), torch.randn(1, 80, WIDTH)
    shifted = made(torch.cat([x[:, :0], x], 1))
    assert shifted.shape == x.shape and shifted.isfinite().all()


def test_every_weight_learns_in_bfloat16() -> None:
    for design in DESIGNS.values():
        made, memory = scrambled(replace(design, dropout=0.1)).train(), memory_for(design)
        with torch.autocast("cpu", torch.bfloat16):
            made(torch.randn(B, T, WIDTH), SEGMENTS, memory).square().mean().backward()
        idle = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
        assert not idle


def test_an_unknown_net_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="transformer"):
        stack(Design(net="transfomer"))  # type: ignore[arg-type]
