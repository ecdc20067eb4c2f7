"""Where chains start: from what a user gives to one row of unconstrained numbers for each chain, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from morelike.core.errors import OptionError
from morelike.samplers.mcmc.density import ALONE, Layout, Posterior
from morelike.samplers.mcmc.kernel import Kernel
from morelike.samplers.mcmc.support import Support

TRIES = 40  # starts that are tried for each chain; the later, the nearer to the point given
POINTS = 5  # starts that each chain has to choose from
Point = Tensor | float | Mapping[str, Any]
Init = Point | Sequence[Point]


def layout_of(init: Init, supports: Mapping[str, Support], kernel: Kernel) -> Layout:
    """Names and shapes of the parameters, as the point (or the first of several) has them."""
    point = init[0] if isinstance(init, list | tuple) and init else init
    if isinstance(point, list | tuple):
        raise OptionError("init is empty", "A tensor, a number, or a mapping from names to them", 'Try {"mu": 0.0}')
    values: Mapping[str, Any] = point if isinstance(point, Mapping) else {ALONE: point}
    for name, value in values.items():
        whole = isinstance(value, Tensor) and not value.is_floating_point()
        if whole and not kernel.discrete:
            raise OptionError(
                f'Parameter "{name}" starts as whole numbers ({value.dtype}), and this kernel moves real ones',
                "Floating-point numbers, or a kernel for whole ones",
                'Start it as value.double(), or choose kernel="discrete"',
            )
    shapes = {name: tuple(torch.as_tensor(value).shape) for name, value in values.items()}
    return Layout(shapes, dict(supports), named=isinstance(point, Mapping))


def spread(init: Init, layout: Layout, chains: int) -> tuple[Tensor, bool]:
    """Unconstrained starts, (C, D), and whether they are points that were given for each chain."""
    points: list[Any] = list(init) if isinstance(init, list | tuple) else [init] * chains
    if len(points) != chains:
        raise OptionError(
            f"{len(points)} starts are given for {chains} chains", "One for each chain, or one for all",
            f"Say chains={len(points)}, or give one point",
        )  # fmt: skip
    rows = [_row(point, layout) for point in points]
    q = torch.cat(rows)
    bad = (~q.isfinite()).nonzero()
    if len(bad):
        chain, i = bad[0].tolist()
        raise OptionError(
            f'Parameter "{layout.names[i]}" of chain {chain} starts outside its support',
            f"A value inside {layout.support(layout.names[i].split('[')[0])}",
            "Start it inside, not on the edge",
        )
    return q, isinstance(init, list | tuple)


def _row(point: Point, layout: Layout) -> Tensor:
    values = point if isinstance(point, Mapping) else {ALONE: point}
    if set(values) != set(layout.shapes):
        raise OptionError(
            f"A start has the parameters {sorted(values)}", f"All starts have {sorted(layout.shapes)}", "Name the same"
        )
    found = {name: _number(value)[None] for name, value in values.items()}
    for name, value in found.items():
        if tuple(value.shape[1:]) != layout.shapes[name]:
            raise OptionError(
                f'Parameter "{name}" starts with shape {tuple(value.shape[1:])}',
                f"{layout.shapes[name]}, as in the first start", "Give all starts the same shapes",
            )  # fmt: skip
    return layout.join(found)


def _number(value: Any) -> Tensor:
    tensor = torch.as_tensor(value)  # kernels of whole numbers hold these as floating-point ones, for their gradients
    return tensor if tensor.is_floating_point() else tensor.to(torch.get_default_dtype())


def scattered(density: Posterior, q: Tensor, given: bool, gradient: bool, rng: Generator) -> Tensor:
    """Starts around the given ones, up to 1 away in each unconstrained number, at which the density is positive.

    Points that were given for each chain stay. An error names the chain, the parameters and the value.
    """
    radius = 0.0 if given else 1.0
    at, missing = q if given else _best(density, q, radius, rng), torch.zeros(len(q), dtype=torch.bool, device=q.device)
    for attempt in range(TRIES):
        noise = torch.rand(q.shape, dtype=q.dtype, device=q.device, generator=rng)
        at = torch.where(missing[:, None], q + radius * (2 * noise - 1), at)
        value, slope = density.grad(at) if gradient else (density(at), torch.zeros_like(at))
        missing = ~(value.isfinite() & slope.isfinite().all(1))
        if not bool(missing.any()):
            return at if given else _leaning(density, at, slope, gradient)  # at a given point a slope may be 0
        radius = 0.0 if given or attempt > TRIES - 3 else radius * 0.8
    chain = int(missing.nonzero()[0])
    raise _impossible(density, at[chain : chain + 1], float(value[chain]), slope[chain], chain)


def _best(density: Posterior, q: Tensor, radius: float, rng: Generator) -> Tensor:
    """For each chain that one of a few points around q where the density is largest.

    A point far out may lie in the reach of a hill of no weight, which its chain would then not leave.
    """
    near = q.repeat(POINTS, 1)
    noise = torch.rand(near.shape, dtype=q.dtype, device=q.device, generator=rng)
    near = near + radius * (2 * noise - 1)
    best = density(near).nan_to_num(-torch.inf, -torch.inf, -torch.inf).view(POINTS, -1).argmax(0)
    return near.view(POINTS, *q.shape)[best, torch.arange(len(q), device=q.device)]


def _leaning(density: Posterior, at: Tensor, slope: Tensor, gradient: bool) -> Tensor:
    flat = (slope == 0).all(0) if gradient else torch.zeros(at.shape[1], dtype=torch.bool)
    if bool(flat.any()):
        name = density.layout.names[int(flat.nonzero()[0])]
        raise OptionError(
            f'log_prob does not depend on "{name}": its gradient is 0 in all {len(at)} chains',
            "A proper density, one that can be normalised", f"Give {name} a prior, or take it out",
        )  # fmt: skip
    return at


def _impossible(density: Posterior, at: Tensor, value: float, slope: Tensor, chain: int) -> OptionError:
    place = ", ".join(f"{name} = {_short(one[0])}" for name, one in list(density.layout.values(at).items())[:4])
    bad = (~slope.isfinite()).nonzero()
    if torch.isfinite(torch.tensor(value)) and len(bad):
        what = f"the gradient of log_prob in {density.layout.names[int(bad[0])]} is {float(slope[bad[0]])}"
    else:
        what = f"log_prob is {value}"
    return OptionError(
        f"Chain {chain} cannot start: {what} at {place}",
        "A finite log density and gradient where a chain starts",
        "Start where all data are possible, and look for log(0), 0/0, or a parameter that needs a support",
    )


def _short(value: Tensor) -> str:
    numbers = value.flatten()[:3].tolist()
    text = ", ".join(f"{x:.4g}" for x in numbers)
    return text if value.dim() == 0 else f"[{text}{', ..' if value.numel() > 3 else ''}]"
