"""Convolutions of any size, stride, dilation and padding: compiled programs against NumPy, node by node."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.base import dtypes
from pellucid.compiler.build import Options, build, stages
from pellucid.compiler.kernel import GemmKernel, Guard, walk
from pellucid.graph import reference
from pellucid.graph.infer import make
from pellucid.graph.node import Node, leaf
from pellucid.program.graph import Graph
from pellucid.runtime.executor import Executable
from pellucid.transform.gradient import gradients

X, W = (0, 1, 2, 3, 4, 5), (2, 4, 5, 6)  # n h r w s c, r s c o
Y = (0, 1, 3, 6)


def convolution(x: Node, w: Node, stride: int, padding: int, dilation: int) -> Node:
    if padding:
        x = make("pad", (x,), (((0, 0), (padding, padding), (padding, padding), (0, 0)), 0))
    x = make("window", (x,), (1, w.shape[0], stride, dilation))
    x = make("window", (x,), (3, w.shape[1], stride, dilation))
    return make("contract", (x, w), (X, W, Y))


def convolution_with_gradients(shape, kernel, stride, padding, dilation, relu=False) -> Graph:
    """Outputs: y, dx, dw for the cotangent g; with relu also of a second layer of the same kind."""
    x, w = leaf(shape, dtypes.float64, "x"), leaf(kernel, dtypes.float64, "w")
    y = convolution(x, w, stride, padding, dilation)
    g = leaf(y.shape, dtypes.float64, "g")
    if not relu:
        return Graph((x, w, g), (), (y, *gradients([y], [g], [x, w])))
    zero = make("broadcast", (make("const", (), (0.0, "float64")),), (y.shape,))
    h = make("maximum", (y, zero), ())
    v = leaf((kernel[0], kernel[1], kernel[3], 4), dtypes.float64, "v")
    z = convolution(h, v, 1, padding, 1)
    g2 = leaf(z.shape, dtypes.float64, "g2")
    return Graph((x, w, v, g2), (), (z, h, *gradients([z], [g2], [x, w, v])))


def check(graph: Graph, **options) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(n.shape) for n in graph.inputs]
    want = reference.evaluate(graph, arrays, [])
    for y, z in zip(
        Executable(build(graph, Options(**options))).run(arrays, ()), want, strict=True
    ):
        np.testing.assert_allclose(y, z, rtol=1e-11, atol=1e-11)


sizes = st.tuples(
    st.integers(1, 3),
    st.integers(3, 11),
    st.integers(3, 11),
    st.integers(1, 18),
    st.integers(1, 20),
)


@settings(max_examples=60, deadline=None)
@given(
    sizes,
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
)
def test_convolution_and_its_gradients(shape, r, s, stride, padding, dilation):
    n, h, w, c, o = shape
    if min(h, w) + 2 * padding < dilation * (max(r, s) - 1) + 1:
        return
    check(convolution_with_gradients((n, h, w, c), (r, s, c, o), stride, padding, dilation))


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(0, 1), st.booleans())
def test_two_layers_share_a_padded_array(shape, padding, fuse):
    n, h, w, c, o = shape
    graph = convolution_with_gradients((n, h + 2, w + 2, c), (2, 3, c, o), 1, padding, 1, relu=True)
    check(graph, fuse=fuse)


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2))
def test_transposed_convolution_and_its_gradients(shape, r, stride, padding, dilation):
    n, h, w, c, o = shape
    x, k = leaf((n, h, w, c), dtypes.float64), leaf((r, r, o, c), dtypes.float64)
    y = make("contract", (x, k), ((0, 1, 2, 3), (4, 5, 6, 3), (0, 1, 4, 2, 5, 6)))
    tall, wide = (stride * (d - 1) + dilation * (r - 1) + 1 for d in (h, w))
    y = make("fold", (y,), (3, wide, stride, dilation))
    y = make("fold", (y,), (1, tall, stride, dilation))
    if min(tall, wide) > 2 * padding:
        stops = (n, tall - padding, wide - padding, o)
        y = make("slice", (y,), ((0, padding, padding, 0), stops, (1, 1, 1, 1)))
    g = leaf(y.shape, dtypes.float64)
    check(Graph((x, k, g), (), (y, *gradients([y], [g], [x, k]))))


def test_gradients_of_gradients():
    graph = convolution_with_gradients((2, 6, 7, 3), (3, 2, 3, 4), 2, 1, 1)
    (x, w, _), (_, dx, dw) = graph.inputs, graph.outputs
    u, v = leaf(dx.shape, dtypes.float64), leaf(dw.shape, dtypes.float64)
    second = gradients([dx, dw], [u, v], [x, w, graph.inputs[2]])
    check(Graph((*graph.inputs, u, v), (), tuple(second)))


@pytest.mark.parametrize("padding", (0, 1))
def test_no_array_of_windows_is_made(padding):
    """The largest array is the padded cotangent; the three contractions read views."""
    graph = convolution_with_gradients((4, 16, 16, 32), (3, 3, 32, 32), 1, padding, 1)
    program = build(graph)
    largest = 8 * 4 * 20 * 20 * 32
    assert max(slot.nbytes for slot in program.slots) <= largest
    assert program.arena_bytes <= 4 * largest
    kernels = [k for _, k in stages(graph).kernels]
    assert sum(isinstance(k, GemmKernel) for k in kernels) == 3
    for k in kernels:
        if isinstance(k, GemmKernel):
            assert not any(isinstance(v, Guard) for v in walk([k.a, k.b]))


def test_a_padded_array_is_the_only_one_stored():
    """relu(y) feeds a padded convolution and its own backward pass: it is stored once, with its border."""
    graph = convolution_with_gradients((2, 8, 8, 16), (3, 3, 16, 16), 1, 1, 1, relu=True)
    only = Graph(graph.inputs, (), (graph.outputs[0], *graph.outputs[2:]))
    stored = {n for level in stages(only).groups for g in level for n in g.members}
    border = [n for n in stored if n.op == "pad" and n.shape == (2, 10, 10, 16)]
    assert border and not [n for n in stored if n.op == "maximum"]
    check(only)
