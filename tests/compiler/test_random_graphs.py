"""Random graphs: whatever the compiler does to them, the bits stay."""

import numpy as np
import pytest
from random_graphs import random_graph

pytest.importorskip("llvmlite")
from pellucid.compiler.build import Options, build
from pellucid.graph.infer import constant, make
from pellucid.graph.node import Node, leaf, topological_order
from pellucid.graph.show import show
from pellucid.program.graph import Graph
from pellucid.runtime import team
from pellucid.runtime.executor import Executable
from pellucid.transform.gradient import gradients
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
    """The first node that differs alone, else the fewest outputs that differ together; then inputs
    become leaves where that keeps the difference."""
    nodes = [node for node in topological_order(outputs) if node.op != "leaf"]
    found = next(([node] for node in nodes if differ([node], arrays)), None)
    if found is None:
        found = list(outputs)
        for node in outputs:
            fewer = [x for x in found if x is not node]
            if fewer and differ(fewer, arrays):
                found = fewer
    for cut in topological_order(found)[::-1]:
        if cut.op in ("leaf", "const") or cut in found:
            continue
        stand_in = leaf(cut.shape, cut.dtype, "cut")
        smaller, values = replaced(found, cut, stand_in), {**arrays}
        values[stand_in] = run([cut], arrays, PLAIN)[0]
        if differ(smaller, values):
            found, arrays = smaller, values
    again = differ(found, arrays)
    if again is None:
        return "it differed once and then not again: memory that was not written, or a race"
    number, plain, full = again
    at = np.flatnonzero(~((plain == full) | (np.isnan(plain) & np.isnan(full))))[:3]
    return (
        f"output {number}: unoptimised {plain.ravel()[at]} optimised {full.ravel()[at]} at {at}\n"
        f"{show(found)}\nsimplified:\n{show(simplify(found))}"
    )


def differ(outputs, arrays) -> tuple[int, np.ndarray, np.ndarray] | None:
    """The first output whose bits depend on the options: its number and both values."""
    pairs = zip(run(outputs, arrays, PLAIN), run(outputs, arrays, FULL), strict=True)
    for number, (plain, full) in enumerate(pairs):
        if not same_bits(plain, full):
            return number, plain, full
    return None


def replaced(roots: list[Node], old: Node, new: Node) -> list[Node]:
    """The graph with `new` in the place of `old`."""
    made = {old: new}
    for node in topological_order(roots):
        if node not in made:
            inputs = tuple(made[x] for x in node.inputs)
            made[node] = node if inputs == node.inputs else make(node.op, inputs, node.params)
    return [made[root] for root in roots]


@pytest.mark.parametrize("seed", range(N_GRAPHS + 100, N_GRAPHS + 300, 50))
def test_optimised_gradients_equal_unoptimised_bit_for_bit(seed):
    for s in range(seed, seed + 50):
        outputs, arrays = random_graph(s)
        floats = [y for y in outputs if y.dtype.kind == "f"]
        ones = [constant(1.0, y.dtype, y.shape) for y in floats]
        found = gradients(floats, ones, [x for x in arrays if x.dtype.kind == "f"])
        outputs = [*outputs, *(g for g in found if g is not None)]
        if once := differ(outputs, arrays):
            pytest.fail(
                f"gradients of random_graph({s}), output {once}: "
                f"{smallest_difference(outputs, arrays)}"
            )


@pytest.mark.parametrize("bits", [128, 256, 512])
def test_vector_width_changes_no_bit(bits):
    for s in range(N_GRAPHS, N_GRAPHS + 40):
        outputs, arrays = random_graph(s)
        want, got = (run(outputs, arrays, o) for o in (FULL, Options(vector_bits=bits)))
        assert all(map(same_bits, want, got)), f"random_graph({s}) with {bits} bits"


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4])
def test_number_of_threads_changes_no_bit(n_threads):
    before = team.get_threads()
    for s in range(N_GRAPHS + 40, N_GRAPHS + 80):
        outputs, arrays = random_graph(s)
        try:
            team.set_threads(1)
            want = run(outputs, arrays, FULL)
            team.set_threads(n_threads)
            got = run(outputs, arrays, FULL)
        finally:
            team.set_threads(before)
        assert all(map(same_bits, want, got)), f"random_graph({s}) on {n_threads} threads"


@pytest.mark.parametrize("seed", range(0, N_GRAPHS, 50))
def test_optimised_equals_unoptimised_bit_for_bit(seed):
    for s in range(seed, min(seed + 50, N_GRAPHS)):
        outputs, arrays = random_graph(s)
        if once := differ(outputs, arrays):
            pytest.fail(f"random_graph({s}), output {once}: {smallest_difference(outputs, arrays)}")
