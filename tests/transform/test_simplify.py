"""Simplified graphs are smaller and give the same bits."""

import math

import numpy as np
import pytest
from cases import CASES, Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import random_graph

from pellucid.base import dtypes
from pellucid.graph.infer import constant, make
from pellucid.graph.node import Node, leaf, topological_order
from pellucid.graph.reference import compute
from pellucid.graph.verify import verify
from pellucid.transform.simplify import simplify

F32, F64, I32, U8, BOOL = (
    dtypes.float32,
    dtypes.float64,
    dtypes.int32,
    dtypes.uint8,
    dtypes.bool_,
)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal bits, where one NaN is as good as another."""
    if a.dtype.kind != "f":
        return a.tobytes() == b.tobytes()
    nan = np.isnan(a)
    bits = f"u{a.itemsize}"
    equal = np.ascontiguousarray(a).view(bits) == np.ascontiguousarray(b).view(bits)
    return bool(np.all(np.where(nan, np.isnan(b), equal)))


def assert_simplifies_exactly(nodes: list[Node], arrays: dict[Node, np.ndarray]) -> None:
    simple = simplify(nodes)
    verify(simple)
    assert simplify(simple) == simple, "a second pass finds more"
    for a, b in zip(compute(nodes, arrays), compute(simple, arrays), strict=True):
        assert same_bits(a, b)


# contract is left out: NumPy's matrix product may round otherwise for another memory order.
@pytest.mark.parametrize("op", [op for op in CASES if op != "contract"])
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_op_simplifies_to_the_same_bits(op, data):
    m = Maker(lambda low, high: data.draw(st.integers(low, high)))
    assert_simplifies_exactly([m.moved(m.moved(CASES[op](m)))], m.arrays)


@pytest.mark.parametrize("seed", range(300))
def test_random_graphs_simplify_to_the_same_bits(seed):
    nodes, arrays = random_graph(seed, without=("contract",))
    assert_simplifies_exactly(nodes, arrays)


def x(*shape, dtype=F32):
    return leaf(shape, dtype, "x")


def c(value, shape=(), dtype=F32):
    return constant(value, dtype, shape)


def move(op, node, *params):
    return make(op, (node,), params)


def cast(node, to):
    return make("cast", (node,), (to.name,))


X, Y, B, WHOLE = x(2, 3), x(2, 3), x(2, 3, dtype=BOOL), x(2, 3, dtype=I32)
ROW = x(1, 3)

SIMPLER = {
    "reshape of reshape": (
        move("reshape", move("reshape", X, (6,)), (3, 2)),
        move("reshape", X, (3, 2)),
    ),
    "reshape there and back": (move("reshape", move("reshape", X, (6,)), (2, 3)), X),
    "permute there and back": (move("permute", move("permute", X, (1, 0)), (1, 0)), X),
    "permute of an axis of size 1": (move("permute", ROW, (1, 0)), move("reshape", ROW, (3, 1))),
    "broadcast of broadcast": (
        move("broadcast", move("broadcast", ROW, (2, 3)), (5, 2, 3)),
        move("broadcast", ROW, (5, 2, 3)),
    ),
    "flip twice": (move("flip", move("flip", X, (0, 1)), (1,)), move("flip", X, (0,))),
    "pad by nothing": (move("pad", X, ((0, 0), (0, 0)), 0), X),
    "pad twice": (
        move("pad", move("pad", X, ((1, 0), (0, 2)), 0), ((0, 1), (3, 0)), 0),
        move("pad", X, ((1, 1), (3, 2)), 0),
    ),
    "slice of slice": (
        move("slice", move("slice", x_ := x(20), (2,), (20,), (3,)), (1,), (6,), (2,)),
        move("slice", x_, (5,), (18,), (6,)),
    ),
    "slice inside a pad": (
        move("slice", move("pad", X, ((1, 1), (2, 0)), 7), (1, 2), (3, 5), (1, 1)),
        X,
    ),
    "slice of one part": (
        move("slice", make("concat", (X, Y), (0,)), (2, 0), (4, 3), (1, 1)),
        Y,
    ),
    "concat of one": (make("concat", (X,), (1,)), X),
    "concat with an empty part": (make("concat", (x(2, 0), X, x(2, 0)), (1,)), X),
    "concat of concat": (
        make("concat", (make("concat", (X, Y), (0,)), X), (0,)),
        make("concat", (X, Y, X), (0,)),
    ),
    "moved constant": (
        move("reshape", move("pad", c(1.5, (2, 2)), ((1, 0), (0, 0)), 1.5), (6,)),
        c(1.5, (6,)),
    ),
    "cast to itself": (cast(X, F32), X),
    "cast there and back": (cast(cast(X, F64), F32), X),
    "cast through a wider dtype": (cast(cast(B, I32), F32), cast(B, F32)),
    "cast of constant": (cast(c(2.7, (3,)), I32), c(2, (3,), I32)),
    "cast after broadcast": (
        cast(move("broadcast", ROW, (2, 3)), F64),
        move("broadcast", cast(ROW, F64), (2, 3)),
    ),
    "constants": (make("mul", (c(2.0, (3,)), c(0.1, (3,)))), c(np.float32(0.1) * 2, (3,))),
    "times one": (make("mul", (X, c(1.0, (2, 3)))), X),
    "divided by one": (make("div", (X, c(1.0, (2, 3)))), X),
    "minus zero": (make("sub", (X, c(0.0, (2, 3)))), X),
    "plus negative zero": (make("add", (X, c(-0.0, (2, 3)))), X),
    "whole plus zero": (make("add", (WHOLE, c(0, (2, 3), I32))), WHOLE),
    "divided by a power of two": (
        make("div", (X, c(8.0, (2, 3)))),
        make("mul", (X, c(0.125, (2, 3)))),
    ),
    "plus a negative": (make("add", (X, make("neg", (Y,)))), make("sub", (X, Y))),
    "negated twice": (make("neg", (make("neg", (X,)),)), X),
    "whole by one": (make("floordiv", (WHOLE, c(1, (2, 3), I32))), WHOLE),
    "where always": (make("where", (c(True, (2, 3), BOOL), X, Y)), X),
    "where never": (make("where", (c(False, (2, 3), BOOL), X, Y)), Y),
    "where the same": (make("where", (B, X, X)), X),
    "where not": (make("where", (make("logical_not", (B,)), X, Y)), make("where", (B, Y, X))),
    "largest of itself": (make("maximum", (X, X)), X),
    "sum over nothing": (move("reduce_sum", X, ()), X),
    "largest of one": (move("reduce_max", ROW, (0,)), move("reshape", ROW, (3,))),
    "floor of a whole number": (make("floor", (WHOLE,)), WHOLE),
    "transposed operand": (
        make("contract", (move("permute", X, (1, 0)), Y), ("ik", "kj", "ij")),
        make("contract", (X, Y), ("ki", "kj", "ij")),
    ),
}


@pytest.mark.parametrize("name", SIMPLER)
def test_simpler_form(name):
    node, want = SIMPLER[name]
    assert simplify([node]) == [want]


KEPT = {
    "x + 0.0 turns -0.0 into 0.0": make("add", (X, c(0.0, (2, 3)))),
    "x - -0.0 turns -0.0 into 0.0": make("sub", (X, c(-0.0, (2, 3)))),
    "x * 0.0 is NaN or -0.0 for some x": make("mul", (X, c(0.0, (2, 3)))),
    "x - x is NaN for infinity": make("sub", (X, X)),
    "x / 3 is not x * (1 / 3)": make("div", (X, c(3.0, (2, 3)))),
    "exp of a constant is the engine's": make("exp", (c(1.0),)),
    "a sum of one -0.0 may be 0.0": move("reduce_sum", ROW, (0,)),
    "int32 to float32 rounds": cast(cast(WHOLE, F32), F64),
    "uint8 holds less": cast(cast(WHOLE, U8), I32),
    "a float saturates where an integer wraps": cast(cast(WHOLE, F64), U8),
    "zeros of both signs": make("maximum", (c(0.0), c(-0.0))),
    "x // 1 of a float is its floor": make("floordiv", (X, c(1.0, (2, 3)))),
    "another padding": move("pad", move("pad", X, ((1, 0), (0, 0)), 0), ((1, 0), (0, 0)), 1),
    "the order of summed axes": make(
        "contract", (move("permute", X, (1, 0)), move("permute", Y, (1, 0))), ("ij", "ij", "")
    ),
}


@pytest.mark.parametrize("why", KEPT)
def test_kept_where_bits_would_change(why):
    assert simplify([KEPT[why]]) == [KEPT[why]]


def test_exactness_reaches_signed_zeros_and_infinity():
    special = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, 3.4e38], np.float32)
    v = x(7)
    for name in ("mul", "div"):
        for factor in (1.0, 2.0, 0.25, 2.0**90):
            assert_simplifies_exactly([make(name, (v, c(factor, (7,))))], {v: special})
    for zero in (0.0, -0.0):
        for name in ("add", "sub"):
            assert_simplifies_exactly([make(name, (v, c(zero, (7,))))], {v: special})


def test_chain_of_100_000_nodes_is_simplified():
    v = x()
    y = v
    for _ in range(50_000):
        y = make("neg", (make("sin", (y,)),))
    (simple,) = simplify([make("neg", (make("neg", (y,)),))])
    assert simple is y
    assert len(topological_order([simple])) == 100_001
