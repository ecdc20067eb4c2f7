"""Examples in the prompt: a small model of documents that keep to a hidden rule each does what the examples do."""

from __future__ import annotations

import torch
from torch import Tensor

from morelike.core.spec import Batch, Spec
from morelike.core.tokens import Manner
from morelike.families.autoregressive import Config, Model
from morelike.train.game import Game

LETTERS, ALPHABETS, WORD, LINES = 6, 4, 3, 4
SPEC = Spec((2 * WORD * LINES + 2,), tokens=1 + LETTERS * (1 + ALPHABETS), end=0)


def documents(n: int, seed: int) -> Tensor:
    """Lines of a word and the same word in another alphabet, which is one for all lines of a document: (n, T)."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(1, 1 + LETTERS, (n, LINES, WORD), generator=generator)
    rule = torch.randint(1, 1 + ALPHABETS, (n, 1, 1), generator=generator)
    lines = torch.cat([words, words + LETTERS * rule], 2).flatten(1)
    return torch.nn.functional.pad(lines, (1, 1))


def share_right(model: Model, rows: Tensor, examples: int) -> float:
    """How many of the words that follow so many examples are answered as the rule of their document says."""
    begin = 1 + 2 * WORD * examples + WORD
    manner = Manner(temperature=0, length=WORD)
    made = torch.stack(list(model.write(range(len(rows)), {}, rows[:, 1:begin], manner)), 1)
    return float((made == rows[:, begin : begin + WORD]).all(1).float().mean())


def test_examples_in_the_prompt_steer_what_is_written() -> None:
    torch.manual_seed(0)
    model = Model(SPEC, Config(width=16, depth=2))
    game, steps = Game(model), 120
    for step in range(steps):
        game.turn(Batch(documents(64, step)), step, step / steps)
    test = documents(200, 10_000)
    with game.averaged():
        right = [share_right(model, test, examples) for examples in range(LINES)]
    assert right[0] < 2 / ALPHABETS, "without an example nobody knows the rule"
    assert min(right[1:]) > 0.9, right
