"""From a user's log density of named parameters to one of flat vectors, as the kernels need it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor

from morelike.core.errors import OptionError, unknown
from morelike.samplers.mcmc.graph import Quick, call
from morelike.samplers.mcmc.kernel import differentiated
from morelike.samplers.mcmc.support import Real, Support

ALONE = "x"  # the name of a parameter that has none


@dataclass(frozen=True)
class Layout:
    """How named parameters lie in one vector of D unconstrained numbers.

    shapes    of the parameters, by name
    supports  of those that are not simply real
    named     whether log_prob takes them by name; else it takes one tensor
    """

    shapes: Mapping[str, tuple[int, ...]]
    supports: Mapping[str, Support] = field(default_factory=dict)
    named: bool = True

    def __post_init__(self) -> None:
        for name in self.supports:
            if name not in self.shapes:
                raise unknown("parameter", name, self.shapes)

    def support(self, name: str) -> Support:
        return self.supports.get(name, Real())

    @property
    def dim(self) -> int:
        return sum(self.support(name).size(shape) for name, shape in self.shapes.items())

    @property
    def names(self) -> list[str]:
        """What each of the D numbers belongs to: "tau", "theta[3]"."""
        found = []
        for name, shape in self.shapes.items():
            free = self.support(name).unconstrained(shape)
            found += [name] if not free else [f"{name}[{','.join(map(str, i))}]" for i in _indices(free)]
        return found

    def join(self, values: Mapping[str, Tensor]) -> Tensor:
        """Constrained parameters, each (C, *shape) -> unconstrained (C, D)."""
        return torch.cat([self.support(n).inverse(values[n]).reshape(len(values[n]), -1) for n in self.shapes], 1)

    def parts(self, q: Tensor) -> dict[str, Tensor]:
        """Unconstrained (C, D) -> (C, *free) by name."""
        free = [self.support(n).unconstrained(s) for n, s in self.shapes.items()]
        pieces = q.split([prod(f) for f in free], 1)
        return {n: p.reshape(len(q), *f) for n, p, f in zip(self.shapes, pieces, free, strict=True)}

    def values(self, q: Tensor) -> dict[str, Tensor]:
        """Unconstrained (C, D) -> constrained parameters (C, *shape) by name."""
        return {name: self.support(name).forward(u) for name, u in self.parts(q).items()}

    def log_det(self, q: Tensor) -> Tensor | None:
        """log |dx/dq|, (C,); None where all parameters are real."""
        parts = self.parts(q)
        found = [s.log_det(parts[n]).reshape(len(q), -1).sum(1) for n, s in self.supports.items() if s != Real()]
        return sum(found[1:], found[0]) if found else None


def _indices(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(int(i) for i in row) for row in torch.ones(shape).nonzero()]


@dataclass(frozen=True)
class Posterior:
    """log p(x(q)) + log |dx/dq| of a user's log_prob.

    log_prob  of the parameters of one chain; of all chains at once, (C, *shape) each -> (C,), if `batched`
    """

    log_prob: Callable[..., Tensor]
    layout: Layout
    batched: bool = False

    def __call__(self, q: Tensor) -> Tensor:
        values = self.layout.values(q)
        value = self.all(values if self.layout.named else values[ALONE])
        jacobian = self.layout.log_det(q)
        return value if jacobian is None else value + jacobian

    def all(self, values: Any) -> Tensor:
        """log_prob of the parameters of every chain: (C, *shape) each -> (C,)."""
        one = (lambda v: self.log_prob(**v)) if self.layout.named else self.log_prob
        with trusting():
            return one(values) if self.batched else torch.func.vmap(one)(values)

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        return differentiated(self, q)


@contextmanager
def trusting() -> Iterator[None]:
    """torch.distributions without checks of their arguments: where these are invalid, a density is simply not a number.

    The checks look at values, which can be neither traced nor done for all chains at once.
    """
    module = sys.modules.get("torch.distributions")
    if module is None:
        yield
        return
    law = module.Distribution
    before = law._validate_args
    law.set_default_validate_args(False)
    try:
        yield
    finally:
        law.set_default_validate_args(before)


class Fast:
    """The same density, its functions traced, or compiled to machine code."""

    def __init__(self, plain: Posterior, compile: bool = False) -> None:
        self.plain = plain
        self.quick = Quick(plain, compile)

    def __call__(self, q: Tensor) -> Tensor:
        return call(_value, self, q)[0]

    def grad(self, q: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = call(_slope, self, q)
        return value, slope


def _value(density: Any, q: Tensor) -> tuple[Tensor, ...]:
    return (density(q),)


def _slope(density: Any, q: Tensor) -> tuple[Tensor, ...]:
    return density.grad(q)


def check(density: Posterior, q: Tensor, gradient: bool) -> None:
    """Raise an error that names what is wrong with a log density, by way of one evaluation at q: (C, D)."""
    try:
        with torch.set_grad_enabled(gradient):
            value = density(q.clone().requires_grad_(gradient))
    except OptionError:
        raise
    except Exception as error:  # whatever the user's function raises
        raise OptionError(*_failure(error, density)) from error
    if not isinstance(value, Tensor) or value.shape != (len(q),):
        shape = tuple(value.shape[0 if density.batched else 1 :]) if isinstance(value, Tensor) else type(value).__name__
        raise OptionError(
            f"log_prob gives {shape} for {len(q)} chains" if density.batched else f"log_prob gives shape {shape}",
            "One number for each chain, (chains,)" if density.batched else "One number, of shape ()",
            "Sum it over all that is observed: .sum()",
        )
    if gradient and not value.requires_grad:
        raise OptionError(
            "log_prob has no gradient: its value does not depend on the parameters by operations of torch",
            "Operations that torch can differentiate, without .detach(), .item() or numpy",
            'Rewrite it so, or use a kernel without gradients: kernel="slice" or kernel="metropolis"',
        )


def _failure(error: Exception, density: Posterior) -> tuple[str, str, str]:
    text = str(error).strip().split("\n")[0][:300]
    shapes = ", ".join(f"{name} {shape}" for name, shape in density.layout.shapes.items())
    if "in-place" in text or "inplace" in text or "in place" in text:
        return (
            f"log_prob writes into a tensor: {text}",
            "Operations that make new tensors",
            "Use x + y, not x += y or x[i] = y",
        )
    if "data-dependent" in text or ".item()" in text or "vmap" in text:
        return (
            f"log_prob cannot be evaluated for all chains at once: {text}",
            "A function without `if` on values, .item() or numpy",
            "Use torch.where, or write it for a batch of chains and say batched=True",
        )
    given = "(chains, *shape) each" if density.batched else "the parameters of one chain"
    return (
        f"log_prob failed: {type(error).__name__}: {text}",
        f"A function of {given}: {shapes}",
        "Call it by hand with such tensors and correct it",
    )
