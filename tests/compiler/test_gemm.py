"""The contraction kernel: right for every layout, edge and block, and one chain of sums per element."""

import itertools

import numpy as np
import pytest

from pellucid.base import dtypes
from pellucid.compiler import build, tiling
from pellucid.compiler.kernel import GemmKernel
from pellucid.graph.infer import make
from pellucid.graph.node import leaf
from pellucid.program.graph import Graph
from pellucid.tensor import engine

SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (16, 16, 16),
    (17, 33, 31),
    (1, 784, 256),  # one row
    (64, 1, 48),  # k of one
    (100, 64, 10),  # fewer columns than lanes
    (130, 300, 65),  # k in blocks, ragged everywhere
    (600, 70, 33),  # rows in blocks
    (96, 1100, 512),  # A and B copied
]


def product(m, k, n, a_turned, b_turned, dtype=dtypes.float32, options=None, seed=0):
    """(C of the engine, C in float64) for random operands."""
    random = np.random.default_rng(seed)
    a = leaf((k, m) if a_turned else (m, k), dtype)
    b = leaf((n, k) if b_turned else (k, n), dtype)
    left = random.standard_normal(a.shape).astype(dtype.numpy)
    right = random.standard_normal(b.shape).astype(dtype.numpy)
    c = make(
        "contract", (a, b), ((1, 0) if a_turned else (0, 1), (2, 1) if b_turned else (1, 2), (0, 2))
    )
    (got,) = engine.load(Graph((a, b), (), (c,)), options).run([left, right], ())
    exact = (left.T if a_turned else left).astype(float) @ (right.T if b_turned else right).astype(
        float
    )
    return got, exact


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
@pytest.mark.parametrize(("a_turned", "b_turned"), list(itertools.product((False, True), repeat=2)))
def test_product_agrees_with_float64_for_every_layout(m, k, n, a_turned, b_turned):
    got, exact = product(m, k, n, a_turned, b_turned)
    # A chain of k roundings of half an ulp of a partial sum, which is at most about 4 sqrt(k).
    assert np.abs(got - exact).max() <= 4 * np.sqrt(k) * k * 2.0**-24 + 1e-6


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_float64_product_agrees(m, k, n):
    got, exact = product(m, k, n, False, True, dtypes.float64)
    assert np.abs(got - exact).max() <= 1e-11


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_every_layout_gives_the_same_bits(m, k, n):
    random = np.random.default_rng(1)
    left = random.standard_normal((m, k)).astype(np.float32)
    right = random.standard_normal((k, n)).astype(np.float32)
    results = []
    for a_turned, b_turned in itertools.product((False, True), repeat=2):
        a = leaf((k, m) if a_turned else (m, k), dtypes.float32)
        b = leaf((n, k) if b_turned else (k, n), dtypes.float32)
        c = make(
            "contract",
            (a, b),
            ((1, 0) if a_turned else (0, 1), (2, 1) if b_turned else (1, 2), (0, 2)),
        )
        arrays = [
            np.ascontiguousarray(left.T) if a_turned else left,
            np.ascontiguousarray(right.T) if b_turned else right,
        ]
        results += engine.load(Graph((a, b), (), (c,))).run(arrays, ())
    assert all(np.array_equal(results[0], r) for r in results[1:])


def test_a_row_alone_has_the_bits_of_the_row_in_a_batch():
    random = np.random.default_rng(2)
    x = random.standard_normal((1000, 64)).astype(np.float32)
    w = random.standard_normal((64, 32)).astype(np.float32)

    def run(rows):
        a, b = leaf(rows.shape, dtypes.float32), leaf(w.shape, dtypes.float32)
        c = make("contract", (a, b), ((0, 1), (1, 2), (0, 2)))
        return engine.load(Graph((a, b), (), (c,))).run([rows, w], ())[0]

    whole = run(x)
    for size in (1, 2, 7, 64):
        for start in range(0, 1000 - size, 97):
            part = np.ascontiguousarray(x[start : start + size])
            assert np.array_equal(run(part), whole[start : start + size])


def test_the_sum_is_one_chain_of_fused_multiply_adds():
    # (1 + e) * (1 - e) = 1 - e*e: only a fused multiply-add sees e*e beside the 1 that is taken away.
    e = np.float32(2.0**-12)
    a, b = leaf((1, 2), dtypes.float32), leaf((2, 1), dtypes.float32)
    c = make("contract", (a, b), ((0, 1), (1, 2), (0, 2)))
    left = np.array([[-1.0, 1 + e]], np.float32)
    right = np.array([[1.0], [1 - e]], np.float32)
    (got,) = engine.load(Graph((a, b), (), (c,))).run([left, right], ())
    assert got[0, 0] == -(2.0**-24)


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_plans_cover_the_whole_matrix_with_an_even_share(m, k, n):
    a, b = leaf((m, k), dtypes.float32), leaf((k, n), dtypes.float32)
    c = make("contract", (a, b), ((0, 1), (1, 2), (0, 2)))
    (kernel,) = [
        x for _, x in build.stages(Graph((a, b), (), (c,))).kernels if isinstance(x, GemmKernel)
    ]
    for bits in (128, 256, 512):
        p = tiling.plan(kernel, bits)
        assert p.column_block % p.width == 0
        assert p.row_block % p.rows == 0 or p.row_block == m
        tasks = tiling.n_tasks(kernel, p)
        assert tasks * p.column_block * p.row_block >= m * n


@pytest.mark.parametrize("n", [2, 3, 10, 15])
@pytest.mark.parametrize("m", [2, 13, 33, 128])
def test_narrow_results_are_written_whole(m, n):
    # The state is overwritten in place from the product's epilogue, the bias differs by column.
    random = np.random.default_rng(m * n)
    a, w = leaf((m, 20), dtypes.float32), leaf((20, n), dtypes.float32)
    state, bias = leaf((m, n), dtypes.float32), leaf((n,), dtypes.float32)
    c = make("contract", (a, w), ((0, 1), (1, 2), (0, 2)))
    new = make("add", (state, c))
    out = make("add", (c, make("broadcast", (bias,), ((m, n),))))
    arrays = [random.standard_normal(x.shape).astype(np.float32) for x in (a, w, bias)]
    held = random.standard_normal((m, n)).astype(np.float32)
    product_ = arrays[0].astype(float) @ arrays[1]
    expected = held + product_
    engine.load(Graph((a, w), (state,), (), ((state, new),))).run(arrays[:2], [held])
    np.testing.assert_allclose(held, expected, atol=1e-5)
    (got,) = engine.load(Graph((a, w, bias), (), (out,))).run(arrays, ())
    np.testing.assert_allclose(got, product_ + arrays[2], atol=1e-5)
