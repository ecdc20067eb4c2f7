"""Where a transformer looks: its attention, layer by layer and followed through all of them, as maps over the item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from morelike.core.family import Family, HasCritic, HasLatent
from morelike.core.spec import Batch
from morelike.nn.transformer import Attention, Encoder


@dataclass(frozen=True)
class Looked:
    """How much each patch of each item was looked at, where 1 is the share that it would get if all got the same.

    rollout  (N, *grid) followed through all layers
    layers   (N, layers, *grid) in each layer, the mean over heads and over the patches that look
    even     (layers,) entropy of the attention over that of looking everywhere alike, 0 to 1
    """

    rollout: Tensor
    layers: Tensor
    even: tuple[float, ...]


def looked_at(family: Family, batch: Batch) -> Looked | str:
    """Where the net that reads items looks in these (N, *shape), or a sentence that says why that cannot be told.

    It works for an encoder (`HasLatent`) or critic (`HasCritic`) with a transformer in it; training is not slowed, as
    the attention is computed again, from what came in.
    """
    if not isinstance(family, HasLatent | HasCritic):
        return "This family reads no items: it has neither an encoder nor a critic."
    reader = next((one for one in family.modules() if isinstance(one, Encoder)), None)
    if reader is None:
        return "No net of this model has attention; train with --net transformer to see where it looks."
    with torch.no_grad(), _recorded(reader) as seen:
        family.encode(batch) if isinstance(family, HasLatent) else family.judge(batch)
    maps = torch.stack([one.mean(1) for one in seen], 1)  # (N, layers, T, T), mean over heads
    logs = -(maps * maps.clamp_min(1e-30).log()).sum(-1).mean((0, 2))
    count = maps.shape[-1]
    even = (logs / torch.tensor(float(max(2, count))).log()).clamp(0, 1)
    grid = reader.patches.grid
    layers = maps.mean(2).unflatten(-1, grid) * count
    return Looked(rollout(maps).mean(1).unflatten(-1, grid) * count, layers, tuple(even.tolist()))


def rollout(attention: Tensor) -> Tensor:
    """How much of each output patch comes from each input patch: (N, layers, T, T) -> (N, T, T), rows sum to 1.

    The product A_L .. A_1 of A_i = (W_i + I) / 2, where W_i is the attention of layer i, first layer first, and I
    stands for the residual connection (Abnar & Zuidema 2020, section 3).
    """
    mixed = (attention + torch.eye(attention.shape[-1])) / 2
    total = mixed[:, 0]
    for layer in mixed.unbind(1)[1:]:
        total = layer @ total
    return total


@contextmanager
def _recorded(reader: Encoder) -> Iterator[list[Tensor]]:
    """The attention (B, heads, T, T) of each layer as it runs, first layer first."""
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(module, Attention)
        seen.append(module.weights(inputs[0]).float().cpu())

    hooks = [one.register_forward_pre_hook(look) for one in reader.modules() if isinstance(one, Attention)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
