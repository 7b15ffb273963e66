"""What a person sees of a graph, and what keeps it honest."""

import pytest

from pellucid.base import dtypes
from pellucid.graph.infer import constant, make
from pellucid.graph.node import intern, leaf
from pellucid.graph.show import show
from pellucid.graph.verify import verify

F32 = dtypes.float32


def test_show_lists_one_line_per_node_inputs_before_users():
    x, w = leaf((2, 3), F32, "x"), leaf((3, 4), F32, "w")
    y = make("contract", (x, w), ("ik", "kj", "ij"))
    relu = make("maximum", (y, constant(0.0, F32, (2, 4))))
    total = make("reduce_sum", (relu,), ((0, 1),))
    lines = show([total, y]).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "%0 = leaf 'x' float32[2, 3]",
        "%1 = leaf 'w' float32[3, 4]",
        "%2 = contract(%0, %1, 'ab,bc->ac') float32[2, 4]",
        "%3 = const 0.0 float32[]",
        "%4 = broadcast(%3) float32[2, 4]",
        "%5 = maximum(%2, %4) float32[2, 4]",
        "%6 = reduce_sum(%5, axes=(0, 1)) float32[]",
        "return %6, %2",
    ]
    assert len({line.index("float32") for line in lines[:-1]}) == 1  # the types are one column


def test_verify_finds_a_node_of_the_wrong_shape():
    x = leaf((2, 3), F32)
    good = make("exp", (x,))
    verify([good])
    bad = intern("exp", (x,), (), (3, 2), F32)
    with pytest.raises(AssertionError, match="infers to"):
        verify([make("neg", (bad,))])
