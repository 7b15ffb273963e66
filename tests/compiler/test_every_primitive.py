"""Compiled equals the NumPy reference for every primitive: shapes, dtypes, special values, movement.

Movement ops are composed before and after each primitive, so every layout is read and written."""

import math

import numpy as np
import pytest
from cases import CASES, SPECIAL, Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")
from pellucid.base import dtypes
from pellucid.compiler.build import Options, build
from pellucid.graph.infer import make
from pellucid.graph.node import Node
from pellucid.graph.reference import REFERENCE, compute
from pellucid.graph.show import show
from pellucid.program.graph import Graph
from pellucid.runtime.executor import Executable

# Functions that are ours and NumPy's: units in the last place of the result, both errors together.
ULPS = {"exp": 4, "log": 4, "sin": 4, "cos": 4, "tanh": 4, "erf": 4}
# Sums: the order is the engine's. Each of 16 lanes adds n / 16 terms, then a tree adds the lanes.
SUMS = {"reduce_sum", "cumsum", "scatter_add", "contract", "fold"}
# Which of 0.0 and -0.0 is the larger is not said.
NOT_HUGE = tuple(v for v in SPECIAL if not 2**40 < abs(v) < math.inf)
ZERO_OF_EITHER_SIGN = {"maximum", "minimum", "reduce_max", "reduce_min"}


def run(graph: Graph, arrays: dict[Node, np.ndarray], options: Options) -> list[np.ndarray]:
    leaves = (*graph.inputs, *graph.state)
    given_ = [np.ascontiguousarray(arrays[x]).reshape(x.shape) for x in leaves]
    n = len(graph.inputs)
    return Executable(build(graph, options)).run(given_[:n], tuple(given_[n:]))


def moved(out: Node, node: Node, value: np.ndarray) -> np.ndarray:
    return value if out is node else np.asarray(REFERENCE[out.op](value, *out.params))


def expected(node: Node, out: Node, arrays: dict) -> tuple[np.ndarray, np.ndarray]:
    """What `out`, a movement of `node`, must be, and how far off it may be."""
    inputs = compute(node.inputs, arrays)
    meaning = REFERENCE.get(node.op)
    floats = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
    with np.errstate(all="ignore"):
        if node.dtype.kind == "f" and node.op in ULPS:
            want = np.asarray(meaning(*floats))
            off = ULPS[node.op] * np.abs(want) * np.finfo(node.dtype.numpy).eps
            off = off + np.finfo(node.dtype.numpy).smallest_subnormal
        elif node.dtype.kind == "f" and node.op in SUMS:
            want = np.asarray(meaning(*floats, *node.params))
            magnitudes = [np.abs(x) if x.dtype.kind == "f" else x for x in floats]
            n_terms = max((x.size for x in floats), default=1)
            off = np.asarray(meaning(*magnitudes, *node.params)) * np.finfo(node.dtype.numpy).eps
            off = off * (n_terms / 16 + 20)
        else:
            want = compute([node], arrays)[0]
            off = np.zeros(want.shape)
        return moved(out, node, want).astype(node.dtype.numpy), moved(out, node, off)


def without_subnormals(x: np.ndarray) -> np.ndarray:
    """Compiled programs give zero for subnormal results (runtime/team.py), the reference keeps them."""
    if x.dtype.kind != "f":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def agree(got: np.ndarray, want: np.ndarray, off: np.ndarray, signs: bool) -> np.ndarray:
    with np.errstate(all="ignore"):
        equal = got == want
        if want.dtype.kind != "f":
            return equal
        if signs:
            equal &= np.signbit(got) == np.signbit(want)
        return equal | (np.isnan(got) & np.isnan(want)) | ((off > 0) & (np.abs(got - want) <= off))


def check(op: str, m: Maker) -> None:
    if op in SUMS:  # an overflow on the way depends on the order
        m.special = NOT_HUGE
    if op in ("sin", "cos"):  # the table leaves them free beyond 2**40
        m.special = NOT_HUGE
    node = CASES[op](m)
    assert_equals_reference(op, node, m.moved(node), m)


def assert_equals_reference(op: str, node: Node, out: Node, m: Maker) -> None:
    got = run(Graph(tuple(m.arrays), (), (out,)), m.arrays, Options())[0]
    assert (got.shape, got.dtype) == (out.shape, out.dtype.numpy)
    want, off = expected(node, out, m.arrays)
    got, want = without_subnormals(got), without_subnormals(want)
    exact = op not in ULPS and op not in SUMS and op not in ZERO_OF_EITHER_SIGN
    wrong = np.flatnonzero(~agree(got, want, off, exact))
    assert not wrong.size, (
        f"{show([out])}\n{wrong.size} of {got.size} differ, first at {wrong[0]}: "
        f"compiled {got.ravel()[wrong[:3]]}, reference {want.ravel()[wrong[:3]]}\n"
        f"inputs {[x.ravel()[:40] for x in compute(node.inputs, m.arrays)]}"
    )


@pytest.mark.parametrize("op", CASES)
@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_compiled_equals_reference(op, data):
    check(op, Maker(lambda low, high: data.draw(st.integers(low, high))))


# Long enough that a reduction is cut in chunks and a contraction in blocks and tasks.
LONG = [
    ("reduce_sum", (100_003,), (0,)),
    ("reduce_sum", (3, 70_001), (1,)),
    ("reduce_sum", (70_001, 3), (0,)),
    ("reduce_sum", (5_000, 7, 2), (0, 2)),
    ("reduce_max", (40_961, 5), (0,)),
    ("reduce_min", (2, 50_021), (0, 1)),
    ("argmax", (33, 4_099), 1),
    ("argmax", (4_099, 33), 0),
    ("cumsum", (70_001,), 0),
    ("cumsum", (7, 4_099), 1),
    ("cumsum", (4_099, 7), 0),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize(("op", "shape", "axes"), LONG)
def test_long_reductions_equal_the_reference(op, shape, axes, dtype):
    m = Maker(lambda low, high: low)
    m.special = NOT_HUGE
    node = make(op, (m.leaf(shape, dtypes.of(dtype)),), (axes,))
    assert_equals_reference(op, node, node, m)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        ({"m": 131, "k": 1031, "n": 67}, "mk,kn->mn"),
        ({"m": 131, "k": 517, "n": 67}, "km,nk->nm"),
        ({"m": 1, "k": 4099, "n": 1}, "mk,kn->mn"),
        ({"m": 2053, "k": 3, "n": 17}, "mk,kn->mn"),
        ({"m": 3, "k": 17, "n": 2053}, "mk,nk->mn"),
        ({"b": 5, "m": 37, "k": 65, "n": 31}, "bmk,bkn->bmn"),
        ({"b": 5, "m": 37, "k": 65, "n": 31}, "mbk,nkb->nbm"),
        ({"b": 3, "m": 37, "k": 35, "l": 9, "n": 31}, "kmbl,lnkb->bmn"),
    ],
)
def test_large_contractions_equal_the_reference(sizes, labels, dtype):
    m = Maker(lambda low, high: low)
    operands, out = labels.split("->")
    inputs = [
        m.leaf(tuple(sizes[i] for i in side), dtypes.of(dtype)) for side in operands.split(",")
    ]
    node = make("contract", inputs, (*operands.split(","), out))
    assert_equals_reference("contract", node, node, m)
