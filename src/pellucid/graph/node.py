"""Node: one operation of the graph, frozen and interned, so that equal expressions are one object.

A node knows its op (a row of ops.OPS), inputs (nodes), params (hashable values, in the order that
the row of the table names), shape and dtype. Children are interned first, so comparing a node costs
its own fields only and nothing here recurses: recursion over graphs breaks at 1,000 nodes."""

import itertools
import weakref
from collections.abc import Iterable

from ..base.dtypes import DType

Shape = tuple[int, ...]


class Node:
    """`op(inputs, params)`, of `shape` and `dtype`. Make one with `make`, never directly."""

    __slots__ = ("__weakref__", "dtype", "inputs", "op", "params", "shape")
    op: str
    inputs: tuple["Node", ...]
    params: tuple
    shape: Shape
    dtype: DType

    def __setattr__(self, name, value):
        raise AttributeError(f"a Node is frozen; tried to set {name!r}")

    def __repr__(self) -> str:
        params = "".join(f", {p}" for p in self.params)
        args = ", ".join(f"{x.op}{list(x.shape)}" for x in self.inputs)
        return f"{self.op}({args}{params}) -> {self.dtype}{list(self.shape)}"

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for d in self.shape:
            n *= d
        return n


_interned: "weakref.WeakValueDictionary[tuple, Node]" = weakref.WeakValueDictionary()
_leaf_ids = itertools.count()


def _build(op: str, inputs: tuple[Node, ...], params: tuple, shape: Shape, dtype: DType) -> Node:
    node = object.__new__(Node)
    for name, value in zip(
        ("op", "inputs", "params", "shape", "dtype"),
        (op, inputs, params, shape, dtype),
        strict=True,
    ):
        object.__setattr__(node, name, value)
    return node


def intern(op: str, inputs: tuple[Node, ...], params: tuple, shape: Shape, dtype: DType) -> Node:
    """The one node with these fields; shape and dtype are inferred already (infer.make does)."""
    # repr of params tells 1 from True from 1.0 and 0.0 from -0.0, which hash alike; a loop and the nodes
    # of its body are one object where they are equal.
    told = params if op == "scan" else repr(params)
    key = (op, tuple(map(id, inputs)), told, shape, dtype.name)
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = _build(op, inputs, params, shape, dtype)
    return found


def leaf(shape: Iterable[int], dtype: DType, name: str = "") -> Node:
    """A new leaf, equal to no other: a value from outside, an argument or a stored buffer."""
    return intern("leaf", (), (next(_leaf_ids), name), tuple(shape), dtype)


def topological_order(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots need, inputs before users, each once, without recursion.

    The order depends on the graph alone: depth first, inputs left to right."""
    order: list[Node] = []
    done: set[int] = set()
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        node, expanded = stack.pop()
        if id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
            continue
        stack.append((node, True))
        stack.extend((x, False) for x in reversed(node.inputs) if id(x) not in done)
    return order
