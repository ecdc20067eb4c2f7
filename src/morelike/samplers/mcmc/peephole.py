"""Fewer operations for the same result: rules that each look at an operation of a graph and its inputs.

On numbers as few as a chain has, an operation costs what its call costs, whatever it computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from morelike.samplers.mcmc.tape import Recording

aten = torch.ops.aten
SAME = {aten.detach.default, aten.alias.default, aten.lift_fresh.default, aten.clone.default}
VIEWS = {aten.view.default, aten.reshape.default}
SHAPES = VIEWS | {aten._unsafe_view.default, aten.expand.default, aten.unsqueeze.default}
SIGN: dict[Any, int] = {aten.add.Tensor: 1, aten.sub.Tensor: -1}
TIMES = {aten.mul.Tensor, aten.mul.Scalar}
OVER = {aten.div.Tensor, aten.div.Scalar}


def shorten(module: Recording, known: dict[fx.Node, Tensor]) -> None:
    """Apply all rules, from the first operation to the last; `known` has the constants of the graph."""
    for node in list(module.graph.nodes):
        at: fx.Node | None = node
        while at is not None and at.op == "call_function" and isinstance(at.meta.get("val"), Tensor):
            at = _shorter(at, module, known)


def _shorter(node: fx.Node, module: Recording, known: dict[fx.Node, Tensor]) -> fx.Node | None:
    """What now stands in the place of a node, if a rule was found that has made it."""
    with module.graph.inserting_before(node):
        new = next((found for rule in RULES if (found := rule(node, module, known)) is not None), None)
    if new is None:
        return None
    made = "val" not in new.meta
    if made:
        new.meta["val"] = node.meta["val"]
    node.replace_all_uses_with(new)
    module.graph.erase_node(node)
    return new if made else None


def identity(node: fx.Node, module: Recording, known: dict) -> fx.Node | None:
    """x as it is, for x^1, and for a view or sum that leaves x as it is."""
    x = node.args[0] if node.args else None
    if not isinstance(x, fx.Node):
        return None
    if node.target in SAME and not node.kwargs:  # a clone in another layout is one that a view needs
        return x
    if node.target is aten.pow.Tensor_Scalar and node.args[1] == 1:
        return x
    return x if node.target in SHAPES and _shape(x) == _shape(node) else None


def view(node: fx.Node, module: Recording, known: dict) -> fx.Node | None:
    """One view instead of two, or of a sum over dimensions of length one."""
    x = node.args[0] if node.args else None
    if not isinstance(x, fx.Node):
        return None
    if node.target in VIEWS and x.target in VIEWS:
        return _call(module, aten.reshape.default, x.args[0], list(_shape(node)))
    summed = node.target is aten.sum.dim_IntList and not node.kwargs and _shape(node).numel() == _shape(x).numel()
    return _call(module, aten.reshape.default, x, list(_shape(node))) if summed and node.args[1] else None


def square(node: fx.Node, module: Recording, known: dict) -> fx.Node | None:
    """x x for x^2."""
    if node.target is aten.pow.Tensor_Scalar and node.args[1] == 2:
        return _call(module, aten.mul.Tensor, node.args[0], node.args[0])
    return None


def scaled(node: fx.Node, module: Recording, known: dict) -> fx.Node | None:
    """x c for (x a) b, where a and b are constants and nothing else needs x a."""
    outer = _factor(node, known)
    inner = _factor(outer[0], known) if outer is not None else None
    if outer is None or inner is None or len(outer[0].users) > 1:
        return None
    x, c = inner[0], inner[1] * outer[1]
    if not isinstance(c, Tensor):
        return _call(module, aten.mul.Tensor, x, c)
    fits = np.broadcast_shapes(_shape(x), c.shape) == _shape(node)  # torch's own would import sympy, for 0.2 s
    kind = c.is_floating_point() and torch.result_type(x.meta["val"], c) == node.meta["val"].dtype
    return _call(module, aten.mul.Tensor, x, constant(module, known, c)) if fits and kind else None


def added(node: fx.Node, module: Recording, known: dict) -> fx.Node | None:
    """x + a b, or x - a b, in one."""
    sign = SIGN.get(node.target)
    if sign is None or node.kwargs:
        return None
    x, product = node.args[0], _product(node.args[1], node, known)
    if sign == 1 and product is None:
        x, product = node.args[1], _product(node.args[0], node, known)
    if product is None or not isinstance(x, fx.Node) or not _like(x, node):
        return None
    a, b = product
    if isinstance(b, Tensor):
        b = constant(module, known, b)
    if isinstance(b, fx.Node):
        return _call(module, aten.addcmul.default, x, a, b, value=sign)
    return _call(module, aten.add.Tensor, x, a, alpha=sign * b)


def _product(x: Any, like: fx.Node, known: dict) -> tuple[fx.Node, Any] | None:
    """a and b where x is a b of two tensors of the same type, or of one and a constant, for one use."""
    if not isinstance(x, fx.Node) or x.op != "call_function" or len(x.users) > 1 or not _like(x, like):
        return None
    pair: Any = _factor(x, known) or (x.args if x.target is aten.mul.Tensor else None)
    if pair is None or not _like(pair[0], like):
        return None
    a, b = pair
    if isinstance(b, fx.Node):
        return (a, b) if _like(b, like) else None
    return (a, b) if not isinstance(b, Tensor) or b.dtype == like.meta["val"].dtype else None


def _like(x: fx.Node, like: fx.Node) -> bool:
    a, b = x.meta.get("val"), like.meta["val"]
    return isinstance(a, Tensor) and a.is_floating_point() and (a.dtype, a.device) == (b.dtype, b.device)


def _factor(node: Any, known: dict[fx.Node, Tensor]) -> tuple[fx.Node, Any] | None:
    """x and c where a node is x c of floating-point numbers."""
    if not isinstance(node, fx.Node) or node.op != "call_function" or node.kwargs:
        return None
    if not isinstance(node.meta.get("val"), Tensor) or not node.meta["val"].is_floating_point():
        return None
    args: Any = node.args
    if node.target is aten.neg.default:
        return args[0], -1.0
    if node.target not in TIMES | OVER:
        return None
    x, c = (known.get(a, a) for a in args)  # a tensor or number where it is a constant
    if isinstance(x, fx.Node) and not isinstance(c, fx.Node):
        return x, 1 / c if node.target in OVER else c
    return (c, x) if node.target in TIMES and isinstance(c, fx.Node) and not isinstance(x, fx.Node) else None


def _shape(node: fx.Node) -> torch.Size:
    return node.meta["val"].shape


def _call(module: Recording, op: Any, *args: Any, **kwargs: Any) -> fx.Node:
    return module.graph.call_function(op, args, kwargs)


def constant(module: Recording, known: dict[fx.Node, Tensor], value: Tensor) -> fx.Node:
    """A new constant of a graph, where its next node will be."""
    name = f"known_{len(known)}"
    module.register_buffer(name, value.detach(), persistent=False)
    node = module.graph.get_attr(name)
    node.meta["val"] = value
    known[node] = value
    return node


RULES: list[Callable[..., fx.Node | None]] = [identity, view, square, scaled, added]
