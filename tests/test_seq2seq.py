"""The encoder-decoder: the cache, both nets, one table, and a task that it has to learn."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from morelike.codecs._pattern import Pattern
from morelike.core.errors import OptionError
from morelike.core.spec import Batch, Spec
from morelike.core.tokens import Manner
from morelike.families.seq2seq import Config, Model, Reader
from morelike.train.game import Game

SPEC = Spec((9,), tokens=6, end=0, given={"source": Spec((9,), tokens=6, end=0)})


def pairs(n: int, seed: int = 0) -> Batch:
    """Texts of two to six tokens, to be written backwards."""
    generator = torch.Generator().manual_seed(seed)
    source, made = torch.zeros(2, n, 9, dtype=torch.long).unbind(0)
    for row in range(n):
        length = int(torch.randint(2, 7, (), generator=generator))
        tokens = torch.randint(1, 6, (length,), generator=generator)
        source[row, 1 : 1 + length], made[row, 1 : 1 + length] = tokens, tokens.flip(0)
    return Batch(made, {"source": source})


def model(**settings: object) -> Model:
    torch.manual_seed(0)
    made = Model(SPEC, Config(**{"width": 8, "depth": 2, "dropout": 0.0, **settings}))
    for p in made.parameters():  # the last map of a branch starts at zero, which would hide faults
        p.data += 0.05 * torch.randn_like(p)
    return made.eval()


@pytest.mark.parametrize("net", ["transformer", "lstm", "gru"])
def test_it_learns_to_write_backwards(net: str) -> None:
    torch.manual_seed(0)
    family = Model(SPEC, Config(net=net, width=16, depth=2, dropout=0.0))
    game = Game(family)
    for step in range(300):
        torch.manual_seed(step)
        game.turn(pairs(64, step), step, step / 300)
    test = pairs(100, 10_000)
    with game.averaged():
        made = family.sample(range(100), test.given)
    assert (made == test.x).all(1).float().mean() > 0.9


@pytest.mark.parametrize("net", ["transformer", "lstm", "gru"])
def test_reading_with_a_cache_is_the_plain_computation(net: str) -> None:
    family, batch = model(net=net), pairs(5)
    with torch.inference_mode():
        plain = family.logits(batch)
        reader = Reader(family, batch.given, 5)
        steps = [reader.begin(batch.x[:, :1])] + [reader.step(batch.x[:, t]) for t in range(1, 8)]
    told = torch.stack(steps, 1)
    told[:, 0, 0] = plain[:, 0, 0]  # the end is ruled out where a text would be empty
    torch.testing.assert_close(told, plain, rtol=1e-5, atol=1e-5)


def test_what_is_not_there_of_a_source_changes_nothing() -> None:
    family, batch = model(), pairs(4)
    longer = Batch(batch.x, {"source": batch.given["source"]})
    shorter = [Batch(batch.x[row : row + 1], {"source": cut(batch.given["source"][row])}) for row in range(4)]
    alone = torch.cat([family.log_prob(one) for one in shorter])
    torch.testing.assert_close(family.log_prob(longer), alone, rtol=1e-5, atol=1e-5)


def test_in_half_precision_attention_to_the_source_is_what_it_was() -> None:
    family, batch = model(), pairs(6)
    with torch.autocast("cpu", torch.bfloat16):
        half = family.log_prob(batch)
    torch.testing.assert_close(half, family.log_prob(batch), rtol=2e-2, atol=0.1)
    changed = {"source": torch.where(batch.given["source"] > 0, 3, 0)}
    assert (family.log_prob(Batch(batch.x, changed)) - family.log_prob(batch)).abs().max() > 0.2, "and it matters"


def cut(row: Tensor) -> Tensor:
    return row[None, : int((row > 0).sum()) + 2]


def test_a_wide_search_finds_nothing_less_likely_than_the_greedy_text() -> None:
    family, batch = model(), pairs(6)

    def made(manner: Manner) -> Tensor:
        x = torch.stack(list(family.write(range(6), batch.given, None, manner)), 1)
        return torch.nn.functional.pad(x, (1, 8 - x.shape[1]))

    greedy = family.log_prob(Batch(made(Manner(beam=1, temperature=0)), batch.given))
    wide = family.log_prob(Batch(made(Manner(beam=32, penalty=0.0)), batch.given))
    assert (wide >= greedy - 1e-4).all() and (wide > greedy + 1e-3).any()


PIECES = [b"", b"a", b"b", b"c", b"d", b"e"]


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize(("regex", "prompt", "expected"), [
    ("[ab]{3}", "", r"[ab]{3}"), ("[ab]{3}", "cd", r"[ab]{3}"), ("", "c", ""), ("", "", ""), ("é", "", ""),
])  # fmt: skip
def test_what_follows_a_prompt_keeps_to_a_pattern(regex: str, prompt: str, expected: str, beam: int) -> None:
    family, batch = model(), pairs(3)
    begun = torch.tensor([PIECES.index(one.encode()) for one in prompt], dtype=torch.long).expand(3, -1)
    manner = Manner(beam=beam, allowed=Pattern(regex, PIECES, len(prompt)))
    rows = torch.stack(list(family.write(range(3), batch.given, begun, manner)), 1).tolist()
    assert all(re.fullmatch(expected, b"".join(PIECES[one] for one in row).decode()) for row in rows)


def test_every_source_is_searched_by_itself() -> None:
    family, batch = model(beam=4), pairs(7)
    together = family.sample(range(7), batch.given)
    alone = [family.sample([0], {"source": batch.given["source"][row : row + 1]})[0] for row in range(7)]
    assert torch.equal(together, torch.stack(alone))


def test_one_table_serves_both_sides_of_one_vocabulary() -> None:
    family = model()
    assert family.head.weight is family.embed.weight is family.source.parts[0].weight
    other = replace(SPEC, given={"source": Spec((9,), tokens=11, end=0)})
    assert Model(other, Config(width=8)).source.parts[0].weight.shape == (11, 32)
    assert model(tied=False).head.weight is not model(tied=False).embed.weight


def test_smoothing_changes_the_loss_and_not_what_is_told() -> None:
    batch = pairs(8)
    (plain,), (smooth,) = (list(model(smoothing=value).play(batch)) for value in (0.0, 0.2))
    assert plain.loss.sum() != smooth.loss.sum() and torch.equal(plain.log["nats"], smooth.log["nats"])
    torch.testing.assert_close(plain.loss, -model().log_prob(batch), rtol=1e-4, atol=1e-4)


def test_without_a_text_to_look_back_at_it_is_refused() -> None:
    with pytest.raises(OptionError, match="autoregressive"):
        Model(replace(SPEC, given={"label": Spec((), tokens=3)}), Config())
