"""Random graphs: whatever the compiler does to them, the bits stay."""

import numpy as np
import pytest
from random_graphs import random_graph

pytest.importorskip("llvmlite")
from pellucid.compiler.build import Options, build
from pellucid.graph.node import Node, leaf, topological_order
from pellucid.graph.show import show
from pellucid.program.graph import Graph
from pellucid.runtime.executor import Executable
from pellucid.transform.simplify import simplify

N_GRAPHS = 1000
PLAIN, FULL = Options(simplify=False, fuse=False), Options()


def run(outputs, arrays, options: Options) -> list[np.ndarray]:
    graph = Graph(tuple(arrays), (), tuple(outputs))
    program = build(graph, options)
    given = [np.ascontiguousarray(a).reshape(x.shape) for x, a in arrays.items()]
    return Executable(program).run(given, ())


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bits, where one NaN is as good as another."""
    if a.dtype.kind != "f":
        return a.tobytes() == b.tobytes()
    bits = f"u{a.itemsize}"
    return bool(np.all((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))))


def smallest_difference(outputs, arrays) -> str:
    """The first node that differs alone, with its inputs cut off where that keeps the difference."""
    for node in topological_order(outputs):
        if node.op == "leaf" or same_bits(*(run([node], arrays, o)[0] for o in (PLAIN, FULL))):
            continue
        for cut in topological_order([node])[::-1]:
            if cut.op in ("leaf", "const") or cut is node:
                continue
            value = run([cut], arrays, PLAIN)[0]
            stand_in = leaf(cut.shape, cut.dtype, "cut")
            smaller = _replaced(node, cut, stand_in)
            values = {**arrays, stand_in: value}
            if not same_bits(*(run([smaller], values, o)[0] for o in (PLAIN, FULL))):
                node, arrays = smaller, values
        plain, full = (run([node], arrays, o)[0] for o in (PLAIN, FULL))
        at = np.flatnonzero(~((plain == full) | (np.isnan(plain) & np.isnan(full))))[:3]
        return (
            f"unoptimised {plain.ravel()[at]} optimised {full.ravel()[at]} at {at}\n{show([node])}"
            f"\nsimplified:\n{show(simplify([node]))}"
        )
    return "every node alone agrees; together they do not:\n" + show(outputs)


def _replaced(root: Node, old: Node, new: Node) -> Node:
    from pellucid.graph.infer import make

    made = {old: new}
    for node in topological_order([root]):
        if node not in made:
            inputs = tuple(made[x] for x in node.inputs)
            made[node] = node if inputs == node.inputs else make(node.op, inputs, node.params)
    return made[root]


@pytest.mark.parametrize("seed", range(0, N_GRAPHS, 50))
def test_optimised_equals_unoptimised_bit_for_bit(seed):
    for s in range(seed, min(seed + 50, N_GRAPHS)):
        outputs, arrays = random_graph(s)
        pairs = zip(run(outputs, arrays, PLAIN), run(outputs, arrays, FULL), strict=True)
        if not all(same_bits(a, b) for a, b in pairs):
            pytest.fail(f"random_graph({s}): {smallest_difference(outputs, arrays)}")
