"""Muon: matrices become orthogonal, together as alone, and step as torch's own does."""

from __future__ import annotations

import torch
from torch import nn

from morelike.core.family import Optim
from morelike.train.muon import Muon, orthogonal
from morelike.train.optim import build, hidden_matrices, set_rate


def test_singular_values_come_near_to_one() -> None:
    for shape in ((3, 16, 16), (2, 8, 32), (2, 32, 8)):
        found = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert found.min() > 0.3 and found.max() < 1.3


def test_it_steps_as_torchs_own() -> None:
    torch.manual_seed(0)
    ours, theirs = ([nn.Parameter(p.clone()) for p in torch.randn(3, 12, 20)] for _ in range(2))
    for mine, other in zip(ours, theirs, strict=True):
        other.data.copy_(mine.data)
    own = Muon(ours, 0.1, 0.9, 0.01)
    reference = torch.optim.Muon(theirs, 0.1, 0.01, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            torch.manual_seed(step)
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        own.step()
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0.01)


def test_embeddings_and_heads_are_no_hidden_matrices() -> None:
    net = nn.ModuleDict({"embed": nn.Embedding(5, 4), "hidden": nn.Linear(4, 4), "head": nn.Linear(4, 5)})
    net["head"].edge = True  # type: ignore[assignment]
    assert hidden_matrices(net) == {id(net["hidden"].weight)}
    muon, adamw = built = build(Optim("muon", 0.02, rest=0.5), net)
    set_rate(built, 0.01)
    assert [one.param_groups[0]["lr"] for one in (muon, adamw)] == [0.01, 0.005]
