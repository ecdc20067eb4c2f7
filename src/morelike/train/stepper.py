"""How the losses of a game become one gradient, whole or in microbatches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor
from torch.nn import Parameter

from morelike.core.spec import Batch


class Stepper(Protocol):
    """Turns per-example losses into gradients: plain, accumulated, private or sharded."""

    def split(self, batch: Batch) -> list[Batch]: ...
    def begin(self, params: Sequence[Parameter], n: int) -> None: ...
    def add(self, loss: Tensor) -> None: ...
    def end(self) -> None: ...


class Accumulated:
    """The gradient of the mean loss over the batch, gathered from `parts` microbatches of a game played in lockstep.

    One part is the plain case. Several parts need memory for one part only in games of a single move; a game of
    several moves keeps the shared graph of each part alive until its last move.
    """

    def __init__(self, parts: int = 1) -> None:
        self.parts = parts

    def split(self, batch: Batch) -> list[Batch]:
        n = len(batch.x)
        size = -(-n // self.parts)
        return [batch.slice(begin, min(begin + size, n)) for begin in range(0, n, size)] if self.parts > 1 else [batch]

    def begin(self, params: Sequence[Parameter], n: int) -> None:
        self.params, self.n = params, n
        for param in params:
            param.grad = None

    def add(self, loss: Tensor) -> None:
        (loss.sum() / self.n).backward(inputs=self.params)

    def end(self) -> None:
        """Nothing is left to do: the gradients lie in the parameters."""
