"""Floating-point operations of training steps, counted while the first few of them are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import unwrap
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

COUNTED = 9  # first steps of a run that are counted: enough to see what is done only every n-th step, for n up to 8


class FlopCounter(TorchDispatchMode):
    """Counts convolutions, matrix products and attention, a product and a sum being two operations.

    The formulas are those of `torch.utils.flop_counter.FlopCounterMode`, which cannot itself be used: it does not bear
    a gradient that is taken inside a loss, as gradient penalties are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out


# as it stands, not as torch wraps it, which imports torch's compiler (see `nn.optimizers`)
FlopCounter.__torch_dispatch__ = unwrap(FlopCounter.__torch_dispatch__)  # type: ignore[method-assign]


@contextmanager
def counted(into: dict[int, int] | None, step: int) -> Iterator[None]:
    """Count what is done inside as the FLOPs of a step, if it is one of the first `COUNTED` and anybody asks.

    Which steps are counted depends on their number alone: counting may change the order of a sum in the last bit, and
    a resumed run has to repeat the uninterrupted one.
    """
    if into is None or step >= COUNTED:
        yield
        return
    with FlopCounter() as counter:
        yield
    into[step] = counter.flops


def per_step(counts: Mapping[int, int]) -> float | None:
    """Mean FLOPs of a step, over whole periods where what is done repeats every n-th step; None if none was counted."""
    steps = sorted(counts)
    values = [counts[step] for step in steps]
    if not values:
        return None
    if steps[-1] - steps[0] + 1 == len(steps):  # none missing
        for period in range(1, len(values)):
            if values[period:] == values[:-period]:
                values = values[: len(values) // period * period]
                break
    return sum(values) / len(values)
