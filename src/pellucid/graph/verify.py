"""Checks that a graph keeps its own rules; tests run it after every pass that makes nodes.

A failure here is a mistake of ours, never of a user: it asserts."""

from collections.abc import Iterable

from .infer import make
from .node import Node, topological_order


def verify(nodes: Iterable[Node]) -> None:
    """Infers every node again: same params, shape and dtype, and interned, so the same object."""
    for node in topological_order(nodes):
        if node.op == "leaf":
            assert not node.inputs and len(node.params) == 2, f"a leaf with inputs: {node}"
            assert all(isinstance(d, int) and d >= 0 for d in node.shape), f"sizes of {node}"
            continue
        if node.op == "scan":
            loop, (kind, what) = node.params
            body = [*loop.nexts, *([what] if kind == "stack" else [])]
            outside = [
                x for x in topological_order(body) if x.op == "leaf" and x not in loop.leaves
            ]
            assert not outside, f"{loop} reads {outside}"
            verify(body)
        again = make(node.op, node.inputs, node.params)
        assert again is node, f"{node} infers to {again}"
