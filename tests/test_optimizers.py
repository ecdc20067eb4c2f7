"""Optimizers step as torch's own do, bit for bit, and a run that uses them does not wait for torch's compiler."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from morelike.nn import optimizers

SETTINGS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.1, "fused": True},
    "AdamW": {"lr": 0.1, "weight_decay": 0.1},
    "LBFGS": {"lr": 0.1},
}

TRAIN = """
import sys, torch
from morelike.codecs.image import Codec
from morelike.codecs.image import Config as Pictures
from morelike.core.spec import Batch
from morelike.families.vae import Config, Model
from morelike.train.budget import Plan
from morelike.train.game import Game
from morelike.train.loop import train

spec = Codec(Pictures(size=(8, 8), colour="grey")).spec("log_prob")
game = Game(Model(spec, Config(width=8)))
game.flops = {}
for _ in train(game, iter(lambda: Batch(torch.randn(8, *spec.shape)), None), Plan.of(3), seed=0):
    pass
game.load_state(game.state())
assert game.flops[0] > 0
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", SETTINGS)
def test_steps_are_those_of_torch(name: str) -> None:
    def after(kind: type[torch.optim.Optimizer]) -> Tensor:
        torch.manual_seed(0)
        a, b = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3))
        optimizer = kind([a, b], **SETTINGS[name])

        def loss() -> Tensor:
            optimizer.zero_grad()
            found = ((a @ b).sum() - 1) ** 2 + b.square().sum()
            found.backward()
            return found

        for _ in range(5):
            loss()
            optimizer.step(loss)
            optimizer.load_state_dict(optimizer.state_dict())
        return torch.cat([a.detach().flatten(), b.detach()])

    assert torch.equal(after(getattr(optimizers, name)), after(getattr(torch.optim, name)))


def test_training_does_not_wait_for_torchs_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
