"""A loop is a graph of its own: equal loops are one object, their taps mean what a Python loop computes."""

import gc

import numpy as np
import pytest

from pellucid.base import dtypes
from pellucid.graph import loop as loops
from pellucid.graph.infer import make
from pellucid.graph.loop import Scan, substitute, taps_by_loop, varying
from pellucid.graph.node import intern, leaf, topological_order
from pellucid.graph.reference import compute
from pellucid.graph.show import show
from pellucid.graph.verify import verify

F64 = dtypes.float64


def decay(first, xs, rate, length=3, reverse=False):
    """s = s * rate + x; also the product alone."""
    s, x, r = leaf((2,), F64, "s"), leaf((2,), F64), leaf((2,), F64)
    kept = make("mul", (s, r))
    return Scan([(s, first, make("add", (kept, x)))], [(x, xs)], [(r, rate)], length, reverse), kept


def outer():
    return leaf((2,), F64, "first"), leaf((3, 2), F64, "xs"), leaf((2,), F64, "rate")


def test_equal_loops_are_one_object_and_go_when_nobody_has_them():
    values = outer()
    (one, a), (two, b) = decay(*values), decay(*values)
    assert one.loop is two.loop and one.stack(a) is two.stack(b) and one.final(0) is two.final(0)
    assert one.stack(a) is not one.final(0)
    assert decay(*values, reverse=True)[0].loop is not one.loop
    assert decay(*outer())[0].loop is one.loop  # the inputs are no part of it
    before = len(loops._interned)
    del one, two, a, b
    gc.collect()
    assert len(loops._interned) == before - 1


@pytest.mark.parametrize("reverse", [False, True])
def test_the_taps_are_those_of_a_loop_by_hand(reverse):
    first, xs, rate = outer()
    scan, kept = decay(first, xs, rate, reverse=reverse)
    carry = scan.loop.carries[0]
    before = make("scan", scan.inputs, (scan.loop, ("stack", carry)))
    taps = [scan.final(0), scan.stack(kept), before]
    verify(taps)
    arrays = {first: np.array([1.0, 2]), xs: np.array([[1.0, 1], [10, 10], [100, 100]])}
    last, products, starts = compute(taps, {**arrays, rate: np.array([2.0, 0])})
    if reverse:  # 1 -> 2 + 100 -> 204 + 10 -> 428 + 1, and 2 -> 100 -> 10 -> 1
        assert last.tolist() == [429, 1]
        assert products.tolist() == [[428, 0], [204, 0], [2, 0]]
        assert starts.tolist() == [[214, 10], [102, 100], [1, 2]]
    else:  # 1 -> 2 + 1 -> 6 + 10 -> 32 + 100, and 2 -> 1 -> 10 -> 100
        assert last.tolist() == [132, 100]
        assert products.tolist() == [[2, 0], [6, 0], [32, 0]]
        assert starts.tolist() == [[1, 2], [3, 1], [16, 10]]


def test_a_loop_is_listed_once_below_its_first_tap():
    scan, kept = decay(*outer())
    lines = show([scan.stack(kept), scan.final(0)]).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "%0 = leaf 'first' float64[2]",
        "%1 = leaf 'xs' float64[3, 2]",
        "%2 = leaf 'rate' float64[2]",
        "%3 = scan(%0, %1, %2, 3 times, stack) float64[3, 2]",
        "%0 = leaf 'carry0' float64[2]",
        "%1 = leaf 'const0' float64[2]",
        "%2 = mul(%0, %1) float64[2]",
        "%3 = leaf 'x0' float64[2]",
        "%4 = add(%2, %3) float64[2]",
        "next carry0 = %4, %3 = %2",
        "%4 = scan(%0, %1, %2, 3 times, final 0) float64[2]",
        "return %3, %4",
    ]
    assert [line.startswith("    ") for line in lines] == [False] * 4 + [True] * 6 + [False] * 2


def test_verify_looks_into_the_body():
    scan, _ = decay(*outer())
    stranger = make("exp", (leaf((2,), F64),))
    bad = make("neg", (intern("exp", scan.loop.carries, (), (5,), F64),))
    for node, text in ((stranger, "reads"), (bad, "infers to")):
        tap = make("scan", scan.inputs, (scan.loop, ("stack", node)))
        with pytest.raises(AssertionError, match=text):
            verify([tap])


def test_taps_are_found_by_loop_and_what_varies_by_what_it_reads():
    values = outer()
    (one, kept), (two, _) = decay(*values), decay(*outer())
    roots = [make("add", (one.final(0), two.final(0))), one.stack(kept)]
    found = taps_by_loop(topological_order(roots))
    assert sorted(map(len, found.values())) == [1, 2]
    fixed = make("exp", one.loop.consts)
    grown = make("mul", (one.loop.carries[0], fixed))
    changing = varying(one.loop, [grown])
    assert grown in changing and fixed not in changing


def test_substitute_does_not_look_into_what_it_puts_in():
    x, y = leaf((2,), F64), leaf((2,), F64)
    (swapped,) = substitute([make("sub", (x, make("exp", (y,))))], {x: y, y: x})
    assert swapped is make("sub", (y, make("exp", (x,))))
    deep = x
    for _ in range(5000):
        deep = make("neg", (deep,))
    (other,) = substitute([deep], {x: y})
    assert len(topological_order([other])) == 5001
