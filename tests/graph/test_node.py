"""Nodes are frozen, interned, and walked without recursion."""

import gc

import pytest

from pellucid.base import dtypes
from pellucid.graph import node as node_module
from pellucid.graph.infer import make
from pellucid.graph.node import leaf, topological_order

F32 = dtypes.float32


def test_equal_expressions_are_one_node():
    x = leaf((2, 3), F32)
    assert make("exp", (x,)) is make("exp", (x,))
    assert make("reduce_sum", (x,), ((1, 0),)) is make("reduce_sum", (x,), ((0, 1),))


def test_constants_that_compare_equal_but_differ_stay_apart():
    zeros = [make("const", (), (v, "float64")) for v in (0.0, -0.0)]
    ones = [make("const", (), (1, name)) for name in ("bool", "int32", "int64", "float32")]
    assert len({*zeros, *ones}) == 6


def test_constants_are_stored_as_their_dtype_holds_them():
    assert make("const", (), (0.1, "float32")).params[0] == 0.10000000149011612
    assert make("const", (), (1, "float64")) is make("const", (), (1.0, "float64"))


def test_two_leaves_are_never_equal():
    assert leaf((2,), F32, "x") is not leaf((2,), F32, "x")


def test_contractions_that_differ_in_label_names_are_one_node():
    a, b = leaf((2, 3), F32), leaf((3, 4), F32)
    one = make("contract", (a, b), ((0, 1), (1, 2), (0, 2)))
    assert one is make("contract", (a, b), ((7, 5), (5, 9), (7, 9)))


def test_a_node_is_frozen():
    x = leaf((2,), F32)
    with pytest.raises(AttributeError, match="frozen"):
        x.shape = (3,)


def test_topological_order_puts_inputs_before_users_and_each_node_once():
    x = leaf((), F32)
    a, b = make("exp", (x,)), make("sin", (x,))
    c = make("add", (a, b))
    d = make("mul", (c, a))
    assert topological_order([d, a]) == [x, a, b, c, d]


def test_chain_of_100_000_nodes_is_ordered_and_deleted():
    gc.collect()
    before = len(node_module._interned)
    x = leaf((), F32)
    y = x
    for _ in range(100_000):
        y = make("sin", (y,))
    assert len(topological_order([y])) == 100_001
    del x, y
    gc.collect()
    assert len(node_module._interned) == before
