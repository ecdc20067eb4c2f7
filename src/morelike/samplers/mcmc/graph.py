"""Small functions of tensors, freed from Python: traced once into a flat graph, which runs without the interpreter.

A step of a chain on a small density is a hundred operations on a few numbers each. Called one by one from Python, and
differentiated anew each time, they take longer than the arithmetic by two orders of magnitude.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx

from morelike.samplers.mcmc.peephole import constant, shorten
from morelike.samplers.mcmc.tape import Recording, record

aten = torch.ops.aten
FILLED = {aten.ones_like.default: torch.ones, aten.zeros_like.default: torch.zeros}
LARGE = 1000  # operations from which on the static runtime loses to the interpreter
SHAPE = attrgetter("shape")
Function = Callable[..., tuple[Tensor, ...]]


def flat(function: Function, *example: Tensor) -> Function:
    """The same function of tensors of the same shapes, traced and simplified; itself where it cannot be traced."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # TorchScript is said to be old; nothing else runs a graph without Python
            graph = simplify(record(function, *example))
            return _without_python(graph, function, example)
    except Exception as error:  # control flow that depends on values, operations without a trace: any kind of error
        logging.getLogger(__name__).debug("not traced, so run as it is: %s", error)
        return function


def compiled(function: Function, *example: Tensor) -> Function:
    """The same function as machine code; takes some seconds and a C++ compiler."""
    from torch._inductor import compile as inductor
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        run = inductor(make_fx(function)(*example), list(example))
    return lambda *args: tuple(run(*args))


def simplify(module: Recording) -> Recording:
    """Take out of a graph what does nothing, what is constant and what is computed twice."""
    nodes = module.graph.nodes
    if any(n.op == "call_function" and _schema(n) is not None and _schema(n).is_mutable for n in nodes):
        return module  # what is overwritten later may be neither shared nor folded
    known: dict[fx.Node, Tensor] = {}
    _fold(module, known)
    _share(module)
    module.graph.eliminate_dead_code()  # what nobody needs would count as a use
    shorten(module, known)
    _share(module)
    module.graph.eliminate_dead_code()
    return module


def _schema(node: fx.Node) -> Any:
    return getattr(node.target, "_schema", None)


def _fold(module: Recording, known: dict[fx.Node, Tensor]) -> None:
    """Compute once what depends on no input."""
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(module, str(node.target))
        value = _constant(node, known)
        if value is not None:
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(constant(module, known, value))
            module.graph.erase_node(node)


def _constant(node: fx.Node, known: dict[fx.Node, Tensor]) -> Tensor | None:
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return None
    if node.target in FILLED and "val" in node.meta:
        like = node.meta["val"]
        return FILLED[node.target](like.shape, dtype=like.dtype, device=like.device)
    if torch.Tag.nondeterministic_seeded in node.target.tags or not all(n in known for n in node.all_input_nodes):
        return None
    args = fx.node.map_arg(node.args, lambda n: known[n])
    value = node.target(*args, **fx.node.map_arg(node.kwargs, lambda n: known[n]))
    return value if isinstance(value, Tensor) else None


def _share(module: Recording) -> None:
    """One node for equal operations on equal inputs."""
    seen: dict[tuple, fx.Node] = {}
    for node in list(module.graph.nodes):
        if node.op == "get_attr":
            key: tuple = ("attribute", id(getattr(module, str(node.target))))
        elif node.op == "call_function" and torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
            key = (node.target, str(node.args), str(node.kwargs))
        else:
            continue
        if key in seen:
            node.replace_all_uses_with(seen[key])
            module.graph.erase_node(node)
        else:
            seen[key] = node


def _without_python(graph: Recording, function: Function, example: tuple[Tensor, ...]) -> Function:
    """A graph run without Python: three times as fast as with it, and no compiler is needed.

    TorchScript's static runtime is a quarter faster than its interpreter on small graphs, but may be missing. What is
    taken gives the values of the function elsewhere than it was traced, and leaves what it has given alone.
    """
    script = torch.jit.trace(lambda *args: graph.forward(*args), example, check_trace=False)  # constants and all
    fresh = [x * 1.01 + 0.1 if x.is_floating_point() else x.clone() for x in example]
    right = function(*fresh)
    static = getattr(torch._C, "_jit_to_static_module", None)
    if static is not None and len(graph.graph.nodes) < LARGE and all(x.device.type == "cpu" for x in example):
        run = static(script.graph)
        found = run(*fresh)
        run(*example)
        if isinstance(found, tuple) and all(map(_alike, found, right)):
            return run
    if not all(map(_alike, script(*fresh), right)):
        raise ValueError("the trace gives other values than the function")
    script(*example)  # its first two calls are slow: it optimises what it has seen
    return script


def _alike(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding, which is measured by the largest entry: a sum may cancel to almost nought."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    near = torch.finfo(a.dtype).eps ** 0.5 * float(b.nan_to_num(0.0, 0.0, 0.0).abs().max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=0.0, atol=near + torch.finfo(a.dtype).tiny, equal_nan=True)


class Quick:
    """Functions of (density, *tensors) made quick for one density; a version for each set of shapes.

    compile  machine code instead of a flat graph
    """

    def __init__(self, density: Any, compile: bool = False) -> None:
        self.density = density
        self.make = compiled if compile else flat
        self.made: dict[tuple, Function] = {}
        self.seconds = 0.0  # spent on making them

    def __call__(self, function: Function, *args: Tensor) -> tuple[Tensor, ...]:
        key = (function, args[0].dtype, *map(SHAPE, args))
        run = self.made.get(key)
        if run is None:
            began = time.perf_counter()
            with torch.inference_mode(False):
                example = [x.clone() for x in args]  # one tensor in two places would be traced as one argument
                run = self.made[key] = self.make(lambda *tensors: function(self.density, *tensors), *example)
            self.seconds += time.perf_counter() - began
        return run(*args)


def call(function: Function, density: Any, *args: Tensor) -> tuple[Tensor, ...]:
    """function(density, *args), by the quick way where the density offers one."""
    quick = getattr(density, "quick", None)
    return function(density, *args) if quick is None else quick(function, *args)
