"""Markov chains that persist through training."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from morelike.core.spec import Spec


class Chains(nn.Module):
    """Markov chains that persist from turn to turn, each with its conditions; part of the state of training.

    age  steps that each has taken since it began, -1 where it has not
    """

    def __init__(self, spec: Spec, n: int) -> None:
        super().__init__()
        self.names = list(spec.given)
        self.x: Tensor
        self.age: Tensor
        self.register_buffer("x", torch.zeros(n, *spec.shape))
        self.register_buffer("age", torch.full((n,), -1))
        for i, one in enumerate(spec.given.values()):
            kind = torch.long if one.tokens is not None else torch.float32
            self.register_buffer(f"given{i}", torch.zeros(n, *one.shape, dtype=kind))

    def read(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Positions, conditions, and ages: (n, *shape), (n, *shape) each, (n,)."""
        given = {name: self.get_buffer(f"given{i}")[rows] for i, name in enumerate(self.names)}
        return self.x[rows], given, self.age[rows]

    def write(self, rows: Tensor, x: Tensor, given: Mapping[str, Tensor], age: Tensor) -> None:
        self.x[rows], self.age[rows] = x.to(self.x.dtype), age
        for i, name in enumerate(self.names):
            self.get_buffer(f"given{i}")[rows] = given[name]
