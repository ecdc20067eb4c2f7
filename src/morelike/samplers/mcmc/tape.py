"""What a function of tensors does, written down operation by operation while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
LOOKS = {aten._local_scalar_dense.default, aten.equal.default, aten.is_nonzero.default, aten.nonzero.default}


class Recording(nn.Module):
    """A graph of operations and its constants, and how it is run; an `fx.GraphModule` would write Python code of it."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = fx.Graph()

    def forward(self, *args: Tensor) -> tuple[Tensor, ...]:
        known: dict[fx.Node, Any] = {}
        given = iter(args)
        for node in self.graph.nodes:
            if node.op == "placeholder":
                known[node] = next(given)
            elif node.op == "get_attr":
                known[node] = getattr(self, node.target)
            else:
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
                if node.op == "output":
                    return args[0]  # type: ignore[return-value]
                known[node] = node.target(*args, **kwargs)
        raise AssertionError("a graph ends with its output")


def record(function: Callable[..., tuple[Tensor, ...]], *example: Tensor) -> Recording:
    """The operations below autograd and vmap as a flat graph; an error where the function looks at values."""
    tape = Tape(example)
    with tape:
        out = function(*example)
    tape.graph.output(tuple(tape.node(x) for x in out))
    return tape.root


class Tape(TorchDispatchMode):
    """A graph that grows with every operation; tensors that come from elsewhere are constants of it."""

    def __init__(self, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.root = Recording()
        self.graph = self.root.graph
        self.known: dict[int, tuple[fx.Node, Tensor]] = {}  # tensors are kept, so that no id is given twice
        for i, x in enumerate(inputs):
            self._know(x, self.graph.placeholder(f"x{i}"))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled under it; torch would import its whole compiler, for a second, to make sure of that."""
        return False

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if op in LOOKS:
            raise RuntimeError(f"{op} makes what follows depend on values")
        kwargs = kwargs or {}
        found = op(*args, **kwargs)
        node = self.graph.call_function(op, tree_map(self.node, args), tree_map(self.node, kwargs))
        if isinstance(found, Tensor):
            self._know(found, node)
        else:
            for i, x in enumerate(found):
                if isinstance(x, Tensor):
                    self._know(x, self.graph.call_function(_item, (node, i)))
        return found

    def node(self, x: Any) -> Any:
        """What stands for a tensor in the graph; anything else stands for itself."""
        if not isinstance(x, Tensor):
            return x
        if id(x) not in self.known:
            name = f"constant_{len(self.known)}"
            self.root.register_buffer(name, x.detach(), persistent=False)
            self._know(x, self.graph.get_attr(name))
        return self.known[id(x)][0]

    def _know(self, x: Tensor, node: fx.Node) -> None:
        node.meta["val"] = x
        self.known[id(x)] = (node, x)


def _item(found: Any, i: int) -> Any:
    return found[i]
