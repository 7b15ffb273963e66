"""Reverse-mode differentiation, graph to graph: Linnainmaa (1970); Baydin et al. (2018), 3.2.

Walks the graph once, from the outputs to the inputs, with a loop: depth does not matter."""

from collections.abc import Sequence

from ..base.errors import ShapeError
from ..graph.infer import make
from ..graph.loop import taps_by_loop
from ..graph.node import Node, topological_order
from .reverse import loop_gradients
from .vjp import VJP


def gradients(
    outputs: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> list[Node | None]:
    """The cotangent of each node of `wrt`: sum over outputs of cotangent · d output / d node.

    cotangents  one for each output, of its shape and dtype
    returns     a node of the shape and dtype of each wrt; None where no gradient flows to it

    Only paths between wrt and outputs are walked. The result is again a graph of primitives."""
    for output, cotangent in zip(outputs, cotangents, strict=True):
        if (cotangent.shape, cotangent.dtype) != (output.shape, output.dtype):
            raise ShapeError(
                f"the cotangent is {cotangent.dtype}{list(cotangent.shape)}, its output is "
                f"{output.dtype}{list(output.shape)}: they must be equal."
            )
    order = topological_order(outputs)
    active = set(wrt)  # nodes through which a gradient reaches wrt
    for node in order:
        if node.dtype.kind == "f" and any(x in active for x in node.inputs):
            active.add(node)

    total: dict[Node, Node] = {}  # node -> the sum of the cotangents that have arrived

    def arrive(node: Node, cotangent: Node) -> None:
        total[node] = make("add", (total[node], cotangent)) if node in total else cotangent

    for output, cotangent in zip(outputs, cotangents, strict=True):
        if output in active and output.dtype.kind == "f":
            arrive(output, cotangent)
    kept = set(wrt)
    loops = {taps[0]: taps for taps in taps_by_loop(order).values()}
    for node in reversed(order):
        if node in loops:  # the first tap: everything that reads any of them has been walked
            taps = loops[node]
            given = {tap: total[tap] for tap in taps if tap in total}
            if any(x in active for x in node.inputs) and given:
                parts = loop_gradients(taps, given, active, gradients)
                for x, part in zip(node.inputs, parts, strict=True):
                    if part is not None and x in active:
                        arrive(x, part)
            continue
        if node not in total or node.op == "scan":
            continue
        # Dropped once passed on, except where it is an answer: a long chain would keep all of them.
        cotangent = total[node] if node in kept else total.pop(node)
        if not any(x in active for x in node.inputs):
            continue
        for x, part in zip(
            node.inputs, VJP[node.op](cotangent, node, *node.inputs, node.params), strict=True
        ):
            if part is not None and x in active:
                arrive(x, part)
    return [total.get(node) for node in wrt]
