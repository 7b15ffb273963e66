"""Loops get small bodies, and weights get their gradient after the loop, in one contraction."""

import numpy as np
import pytest

from pellucid.base import dtypes
from pellucid.graph.infer import constant, make
from pellucid.graph.loop import Scan, taps_by_loop
from pellucid.graph.node import Node, leaf, topological_order
from pellucid.graph.reference import compute
from pellucid.graph.verify import verify
from pellucid.transform.gradient import gradients
from pellucid.transform.loops import tidy
from pellucid.transform.simplify import simplify

F64 = dtypes.float64
T, B, H = 6, 3, 4  # steps, batch, features
MATMUL = ((0, 1), (1, 2), (0, 2))


def tensors() -> tuple[Node, ...]:
    """xs, first h, w, b."""
    return tuple(
        leaf(s, F64, n) for s, n in (((T, B, H), "xs"), ((B, H), "h"), ((H, H), "w"), ((H,), "b"))
    )


def loops_of(roots):
    """The loop and the taps of each, in order."""
    return [(k[1], taps) for k, taps in taps_by_loop(topological_order(roots)).items()]


def ops_of(roots) -> list[str]:
    return [x.op for x in topological_order(roots)]


def body_ops(loop) -> list[str]:
    return ops_of(loop.nexts)


def tanh_loop(xs, h, w, b) -> Scan:
    """h = tanh(h w + x + b)"""
    s, x, v, c = leaf((B, H), F64), leaf((B, H), F64), leaf((H, H), F64), leaf((H,), F64)
    z = make("add", (make("contract", (s, v), MATMUL), x))
    after = make("tanh", (make("add", (z, make("broadcast", (c,), ((B, H),)))),))
    return Scan([(s, h, after)], [(x, xs)], [(v, w), (c, b)], T)


def values_of(leaves, seed=0):
    rng = np.random.default_rng(seed)
    return {x: rng.standard_normal(x.shape) for x in leaves}


def assert_same(before, after, leaves):
    arrays = values_of(leaves)
    for a, b in zip(compute(before, arrays), compute(after, arrays), strict=True):
        assert np.array_equal(a, b)
    verify(after)


def test_the_gradient_of_a_weight_is_one_contraction_after_the_loop():
    leaves = tensors()
    last = tanh_loop(*leaves).final(0)
    found = gradients([last], [constant(1.0, F64, (B, H))], leaves)
    assert_same(found, tidy(simplify(found), simplify), leaves)
    outside = [x for x in topological_order(found) if x.op == "contract"]
    (of_w,) = outside
    assert of_w is found[2] and {x.shape[0] for x in of_w.inputs} == {T}
    (_, taps), (back, _) = loops_of(found)
    read = {tap.params[1][1].op for tap in taps if tap.params[1][0] == "stack"}
    assert read == {"leaf", "tanh"}  # h before and after a step; not the product
    assert back.reverse and len(back.carries) == 1  # the cotangent of h; no sum is carried
    assert body_ops(back).count("contract") == 1  # g w^T; the forward product is read
    assert found[3].op == "reshape" and "reduce_sum" in ops_of(found[3:])


def test_what_is_larger_than_the_data_is_computed_again_and_not_stacked():
    # Scores of each query with many keys: stacked, they would be the matrix that blocks avoid.
    n = 500
    q, keys = leaf((T, B, H), F64), leaf((n, H), F64)
    x, k = leaf((B, H), F64), leaf((n, H), F64)
    scores = make("exp", (make("contract", (x, k), ((0, 1), (2, 1), (0, 2))),))
    y = make("contract", (scores, k), ((0, 1), (1, 2), (0, 2)))
    scan = Scan([], [(x, q)], [(k, keys)], T)
    found = gradients([scan.stack(y)], [constant(1.0, F64, (T, B, H))], [q, keys])
    forward_and_back = loops_of(found)
    largest = max(tap.size for _, taps in forward_and_back for tap in taps)
    assert largest < T * B * n
    back = forward_and_back[-1][0]
    assert (n, H) in [c.shape for c in back.carries]  # the keys' gradient is added up in the loop
    arrays = values_of([q, keys])
    dense = make("exp", (make("contract", (q, keys), ((0, 1, 2), (3, 2), (0, 1, 3))),))
    dense = make("contract", (dense, keys), ((0, 1, 2), (2, 3), (0, 1, 3)))
    want = compute(gradients([dense], [constant(1.0, F64, (T, B, H))], [q, keys]), arrays)
    for a, b in zip(compute(found, arrays), want, strict=True):
        assert np.allclose(a, b, rtol=1e-12)


def test_no_gradient_flows_to_what_does_not_count():
    xs, h, w, b = tensors()
    unused = leaf((H,), F64)
    scan = tanh_loop(xs, h, w, b)
    assert gradients([scan.final(0)], [constant(1.0, F64, (B, H))], [unused]) == [None]
    s, n = leaf((), F64), leaf((), dtypes.int64)
    one = constant(1, dtypes.int64)
    counted = Scan(
        [(s, leaf((), F64), make("cast", (n,), ("float64",))), (n, constant(0, dtypes.int64), make("add", (n, one)))],
        [], [], T,
    )  # fmt: skip
    first = counted.inputs[0]
    assert gradients([counted.final(0)], [constant(1.0, F64)], [first]) == [None]


def test_invariant_work_leaves_the_loop_and_what_nobody_taps_is_dropped():
    xs, h, w, b = tensors()
    s, x, v, c, n = (leaf(t, F64) for t in ((B, H), (B, H), (H, H), (H,), (B, H)))
    squared = make("contract", (v, v), MATMUL)
    after = make(
        "add", (make("contract", (s, squared), MATMUL), make("broadcast", (c,), ((B, H),)))
    )
    scan = Scan([(s, h, after), (n, h, make("mul", (n, x)))], [(x, xs)], [(v, w), (c, b)], T)
    (new,) = tidy([scan.final(0)], simplify)
    loop = new.params[0]
    assert body_ops(loop).count("contract") == 1 and "contract" in ops_of(new.inputs)
    assert (len(loop.carries), len(loop.xs), len(loop.consts)) == (1, 0, 2)
    assert_same([scan.final(0)], [new], (xs, h, w, b))


def test_a_transposed_weight_is_laid_out_before_the_loop():
    _, h, w, _ = tensors()
    s, v = leaf((B, H), F64), leaf((H, H), F64)
    scan = Scan([(s, h, make("contract", (s, v), ((0, 1), (2, 1), (0, 2))))], [], [(v, w)], T)
    (new,) = tidy([scan.final(0)], simplify)
    assert new.inputs[1].op == "permute"
    (product,) = [x for x in topological_order(new.params[0].nexts) if x.op == "contract"]
    assert product.params == MATMUL
    assert_same([scan.final(0)], [new], (h, w))


@pytest.mark.parametrize("kind", ["number", "entry", "view", "twice"])
def test_inputs_that_are_constant_or_equal_go_into_the_body(kind):
    _, h, _, b = tensors()
    stacks = {
        "number": [constant(2.0, F64, (T, B, H))],
        "entry": [make("broadcast", (b,), ((T, B, H),))],
        "view": [make("broadcast", (make("reshape", (h,), ((1, B, H),)),), ((T, B, H),))],
        "twice": [leaf((T, B, H), F64, "xs")] * 2,
    }[kind]
    s, x = leaf((B, H), F64), [leaf((B, H), F64) for _ in stacks]
    after = s
    for one in x:
        after = make("mul", (after, one))
    scan = Scan([(s, h, after)], zip(x, stacks, strict=True), [], T)
    (new,) = tidy([scan.final(0)], simplify)
    loop = new.params[0]
    wanted = {"number": (0, 0), "entry": (0, 1), "view": (0, 1), "twice": (1, 0)}
    assert (len(loop.xs), len(loop.consts)) == wanted[kind]
    assert_same([scan.final(0)], [new], {h, b, stacks[0]} if kind == "twice" else {h, b})


def test_one_step_is_no_loop():
    h, w = leaf((B, H), F64), leaf((H, H), F64)
    xs = leaf((1, B, H), F64)
    s, x, v = leaf((B, H), F64), leaf((B, H), F64), leaf((H, H), F64)
    after = make("add", (make("contract", (s, v), MATMUL), x))
    after = make("surrogate", (after, make("exp", (s,))))
    scan = Scan([(s, h, after)], [(x, xs)], [(v, w)], 1)
    before = [scan.final(0), scan.stack(after), scan.stack(s)]
    after = tidy(before, simplify)
    assert not {"scan", "exp"} & set(ops_of(after))  # the body is simplified on the way
    assert_same(before, after, (h, w, xs))


def test_loops_in_loops_are_tidied_too():
    xs, h, w, _ = tensors()
    s, x, v = leaf((B, H), F64), leaf((B, H), F64), leaf((H, H), F64)
    c, u = leaf((B, H), F64), leaf((H, H), F64)
    grown = make("exp", (make("exp", (u,)),))
    inner = Scan([(c, s, make("contract", (c, grown), MATMUL))], [], [(u, v)], 2)
    outer = Scan([(s, h, make("add", (inner.final(0), x)))], [(x, xs)], [(v, w)], T)
    (new,) = tidy([outer.final(0)], simplify)
    assert ops_of(new.inputs).count("exp") == 2 and "exp" not in body_ops(new.params[0])
    (nested,) = [x for x in topological_order(new.params[0].nexts) if x.op == "scan"]
    assert "exp" not in body_ops(nested.params[0])
    assert_same([outer.final(0)], [new], (xs, h, w))
