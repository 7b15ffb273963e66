"""Gradients equal finite differences in float64, along random directions, to second order."""

import numpy as np
import pytest
from cases import CASES, DIFFERENTIABLE, NOT_DIFFERENTIABLE, Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid.base import dtypes
from pellucid.base.errors import ShapeError
from pellucid.graph.infer import constant, make
from pellucid.graph.node import Node, leaf
from pellucid.graph.reference import compute
from pellucid.graph.verify import verify
from pellucid.transform.gradient import gradients
from pellucid.transform.vjp import VJP

F64 = dtypes.float64
STEP = 1e-4  # times a direction in [-1, 1]
ROOM = 512  # elements of an array: values of two leaves stay further apart than four steps


def total(x: Node) -> Node:
    return make("reduce_sum", (x,), (tuple(range(len(x.shape))),))


def inner(a: Node, b: Node) -> Node:
    return total(make("mul", (a, b)))


def gradient(y: Node, wrt: list[Node]) -> list[Node]:
    """Of a scalar; zeros where no gradient flows."""
    found = gradients([y], [constant(1.0, y.dtype)], wrt)
    return [
        constant(0.0, x.dtype, x.shape) if g is None else g for g, x in zip(found, wrt, strict=True)
    ]


def value(y: Node, arrays: dict[Node, np.ndarray]) -> float:
    return compute([y], arrays)[0].item()


def slope(y: Node, arrays: dict, direction: dict[Node, np.ndarray]) -> float:
    """dy along direction: central differences of fourth order (Fornberg 1988, table 1)."""

    def at(t: float) -> float:
        moved = {x: arrays[x] + t * STEP * v for x, v in direction.items()}
        return value(y, {**arrays, **moved})

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


def assert_close(y: Node, wrt: list[Node], arrays: dict, rng: np.random.Generator) -> None:
    direction = {x: rng.uniform(-1, 1, x.shape) for x in wrt}
    found = compute(gradient(y, wrt), arrays)
    parts = [(g * direction[x]).ravel() for g, x in zip(found, wrt, strict=True)]
    terms = np.concatenate([np.zeros(1), *parts])
    # Relative to the sum of magnitudes: the terms of a random direction cancel. 1e-9: the
    # difference of two values of size 100, each wrong by 1e-14, over the step.
    bound = 1e-6 * np.abs(terms).sum() + 1e-9 * (1 + abs(value(y, arrays)))
    assert abs(terms.sum() - slope(y, arrays, direction)) <= bound


def scalar_of(m: Maker, out: Node) -> Node:
    """sum w (out + out^2 / 2): not linear, so that second derivatives pass through every op."""
    w = leaf(out.shape, F64, "w")
    m.arrays[w] = m.rng.uniform(-1, 1, out.shape)
    square = make("mul", (make("mul", (out, out)), constant(0.5, F64, out.shape)))
    return inner(w, make("add", (out, square)))


def check(m: Maker, out: Node) -> None:
    wrt = [x for x in m.arrays if x.dtype is F64]
    y = scalar_of(m, out)
    assert_close(y, wrt, m.arrays, m.rng)
    direction = {x: m.rng.uniform(-1, 1, x.shape) for x in wrt}
    along = constant(0.0, F64)
    for x, g in zip(wrt, gradient(y, wrt), strict=True):
        v = leaf(x.shape, F64, "v")
        m.arrays[v] = direction[x]
        along = make("add", (along, inner(g, v)))
    assert_close(along, wrt, m.arrays, m.rng)
    verify([along])


@pytest.mark.parametrize("op", DIFFERENTIABLE)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_gradient_equals_finite_differences_to_second_order(op, data):
    m = Maker(lambda low, high: data.draw(st.integers(low, high)), move=False)
    m.only, m.kinds, m.value_range, m.room = F64, "f", DIFFERENTIABLE[op], ROOM
    if op == "mod":
        shape = m.shape()
        a, b = m.leaf(shape, F64), m.leaf(shape, F64)
        m.arrays[b] = m.arrays[b] * 0.25 + 0.9  # (1.975, 2.075): quotients in (2.07, 2.38)
        out = make("mod", (a, b))
    elif op == "surrogate":
        a = m.leaf(m.shape(), F64)
        square = make("mul", (a, a))  # of the same slope as what stands in for it in the gradient
        out = make("surrogate", (square, make("add", (square, constant(7.0, F64, a.shape)))))
    else:
        out = CASES[op](m)
    check(m, out)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_gradient_of_chains_with_movement(data):
    m = Maker(lambda low, high: data.draw(st.integers(low, high)))
    m.only, m.kinds, m.value_range, m.room = F64, "f", (0.6, 1.4), ROOM
    smooth = ("exp", "mul", "div", "tanh", "contract", "reduce_sum", "cumsum", "concat", "gather")
    out = m.moved(CASES[m.pick(smooth)](m))
    check(m, m.moved(make("tanh", (out,))))


@pytest.mark.parametrize("op", NOT_DIFFERENTIABLE)
def test_no_gradient_flows_through(op):
    case = CASES[op](Maker(lambda low, high: low, move=False))
    if case.op == op and case.inputs:
        g = constant(1.0, dtypes.float32, case.shape)
        assert VJP[op](g, case, *case.inputs, case.params) == (None,) * len(case.inputs)


def scalar(name: str = "x") -> Node:
    return leaf((), F64, name)


def test_gradient_of_max_splits_ties_evenly():
    a, b = scalar("a"), scalar("b")
    for op in ("maximum", "minimum"):
        got = compute(gradient(make(op, (a, b)), [a, b]), {a: np.array(2.0), b: np.array(2.0)})
        assert [g.item() for g in got] == [0.5, 0.5]
    x = leaf((4,), F64)
    for op, values in (("reduce_max", [3, 1, 3, 2]), ("reduce_min", [-3, 1, -3, 2])):
        (g,) = compute(gradient(make(op, (x,), ((0,),)), [x]), {x: np.array(values, float)})
        assert g.tolist() == [0.5, 0, 0.5, 0]


def test_a_surrogate_gives_its_gradient_and_not_its_value():
    x = scalar()
    step = make("cast", (make("lt", (constant(0.0, F64), x)),), ("float64",))
    y = make("surrogate", (step, make("tanh", (x,))))
    got = compute([y, gradient(y, [x])[0]], {x: np.array(0.5)})
    assert got[0].item() == 1.0
    assert got[1].item() == pytest.approx(1 - np.tanh(0.5) ** 2, rel=1e-15)


def test_gradient_of_relu_is_zero_at_zero_and_reads_only_the_output():
    x = leaf((3,), F64)
    relu = make("maximum", (x, constant(0.0, F64, (3,))))
    g = leaf((3,), F64)
    (gx,) = gradients([relu], [g], [x])
    values = compute([gx], {x: np.array([-1.0, 0.0, 2.0]), g: np.ones(3)})
    assert values[0].tolist() == [0, 0, 1]
    readers, stack = [], [gx]
    while stack:
        node = stack.pop()
        readers += [node.op] if x in node.inputs else []
        stack += node.inputs
    assert readers == ["maximum"]


def test_gradient_sums_over_paths_and_outputs():
    x = scalar()
    cube, sine = make("mul", (make("mul", (x, x)), x)), make("sin", (x,))
    one, two = constant(1.0, F64), constant(2.0, F64)
    (g,) = gradients([cube, sine], [one, two], [x])
    (got,) = compute([g], {x: np.array(0.7)})
    assert got.item() == pytest.approx(3 * 0.7**2 + 2 * np.cos(0.7), rel=1e-15)


def test_gradient_with_respect_to_an_inner_node_and_what_is_below_it():
    x = scalar()
    y = make("exp", (x,))
    z = make("mul", (y, y))
    gy, gx, gz = gradients([z], [constant(1.0, F64)], [y, x, z])
    got = compute([gy, gx, gz], {x: np.array(0.5)})
    np.testing.assert_allclose([g.item() for g in got], [2 * np.exp(0.5), 2 * np.exp(1), 1])


def test_none_where_no_gradient_flows():
    x, other, whole = scalar(), scalar(), leaf((), dtypes.int64)
    y = make("add", (make("floor", (x,)), make("cast", (whole,), ("float64",))))
    assert gradients([y], [constant(1.0, F64)], [x, other, whole]) == [None, None, None]


def test_a_cotangent_of_another_shape_is_refused():
    x = leaf((3,), F64)
    with pytest.raises(ShapeError, match=r"float64\[\].*float64\[3\]"):
        gradients([x], [constant(1.0, F64)], [x])


def test_chain_of_100_000_nodes_is_differentiated_computed_and_deleted():
    x = scalar()
    y = x
    for _ in range(100_000):
        y = make("sin", (y,))
    (g,) = gradients([y], [constant(1.0, F64)], [x])
    value, slope = compute([y, g], {x: np.array(0.3)})
    want, product = 0.3, 1.0
    for _ in range(100_000):
        product *= np.cos(want)
        want = np.sin(want)
    assert value.item() == pytest.approx(want, rel=1e-12)
    assert slope.item() == pytest.approx(product, rel=1e-9)
    del y, g
