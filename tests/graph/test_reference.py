"""The reference: known answers, the corner cases that the table settles, and whole graphs.

NumPy is the meaning of most rows; here are those where the row does more than call it."""

import itertools
import math

import numpy as np
import pytest
from cases import CASES, Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pellucid.base import dtypes
from pellucid.graph.infer import make
from pellucid.graph.node import leaf
from pellucid.graph.reference import REFERENCE, compute, evaluate, threefry2x32
from pellucid.graph.verify import verify
from pellucid.program.graph import Graph

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("op", CASES)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_value_has_the_inferred_shape_and_dtype(op, data):
    m = Maker(lambda low, high: data.draw(st.integers(low, high)))
    out = m.moved(CASES[op](m))
    verify([out])
    (got,) = compute([out], m.arrays)  # asserts shape and dtype of every node
    assert got.shape == out.shape


# Random123 1.14, tests/kat_vectors, lines "threefry2x32 20": counter, key, result.
KNOWN_ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_threefry_gives_the_published_answers(counter, key, words):
    one = threefry2x32([[k] for k in key], [[c] for c in counter])
    assert tuple(int(w[0]) for w in one) == words


def test_random_is_a_function_of_seed_counter_and_index_alone():
    seed = -(2**62) + 5  # both words in use, and negative
    key = np.array([seed, 2**32 + 7])  # the counter's high word is not used
    small, large = (REFERENCE["random"](key, shape) for shape in ((5,), (20, 50)))
    np.testing.assert_array_equal(small, large.ravel()[:5])
    word, _ = threefry2x32([[seed & 0xFFFFFFFF], [seed >> 32 & 0xFFFFFFFF]], [[3], [7]])
    assert small[3] == (int(word[0]) >> 8) * 2.0**-24
    assert large.dtype == np.float32 and large.min() >= 0 and large.max() < 1
    assert large.mean() == pytest.approx(0.5, abs=0.03)  # 3 standard errors: 3 sqrt(1/12/1000)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_cast_of_float_to_integer_saturates_and_takes_nan_to_zero(source, dtype):
    limits = np.iinfo(dtype)
    x = np.array([NAN, INF, -INF, 1e30, -1e30, -0.9, 2.9, -2.9], source)
    low = max(-2, limits.min)
    want = [0, limits.max, limits.min, limits.max, limits.min, 0, 2, low]
    assert REFERENCE["cast"](x, dtype).tolist() == want


def test_cast_at_the_edge_of_int32():
    x = np.array([2147483647.0, 2147483648.0, -2147483648.0, -2147483649.0])
    assert REFERENCE["cast"](x, "int32").tolist() == [2**31 - 1, 2**31 - 1, -(2**31), -(2**31)]


def test_cast_between_integers_wraps_and_to_bool_is_not_zero():
    assert REFERENCE["cast"](np.array([-1, 256, 300]), "uint8").tolist() == [255, 0, 44]
    assert REFERENCE["cast"](np.array([0.0, -0.0, NAN, 0.1]), "bool").tolist() == [0, 0, 1, 1]


def test_integer_division_floors_and_by_zero_gives_zero():
    a, b = (
        np.array([7, -7, 7, -7, 5, -(2**31)], np.int32),
        np.array([2, 2, -2, -2, 0, -1], np.int32),
    )
    with np.errstate(all="ignore"):
        assert REFERENCE["floordiv"](a, b).tolist() == [3, -4, -4, 3, 0, -(2**31)]
        assert REFERENCE["mod"](a, b).tolist() == [1, 1, -1, -1, 0, 0]


def test_erf_known_values():
    # Abramowitz and Stegun (1964), table 7.1
    x = np.array([0, 0.5, 1, 2, -1, INF, NAN])
    want = [0, 0.5204998778130465, 0.8427007929497149, 0.9953222650189527, -0.8427007929497149, 1]
    np.testing.assert_allclose(REFERENCE["erf"](x)[:-1], want, rtol=1e-15)
    assert np.isnan(REFERENCE["erf"](x)[-1])


def test_argmax_takes_the_first_and_nan_is_largest():
    x = np.array([[1, 3, 3], [NAN, 5, NAN]])
    assert REFERENCE["argmax"](x, 1).tolist() == [1, 0]


def test_gather_and_scatter_add_clamp_and_scatter_sums_repeats():
    x = np.array([10.0, 20, 30])
    index = np.array([[-5, 0], [2, 9]])
    assert REFERENCE["gather"](x, index).tolist() == [[10, 10], [30, 30]]
    updates = np.array([[1.0, 2], [3, 4]])
    assert REFERENCE["scatter_add"](index, updates, 3).tolist() == [3, 0, 7]


def test_scatter_add_sums_in_row_major_order():
    index, updates = np.zeros(3, np.int64), np.array([1, 1e8, -1e8], np.float32)
    assert REFERENCE["scatter_add"](index, updates, 1).tolist() == [0]  # (1 + 1e8) - 1e8


def test_contract_equals_einsum_for_every_labelling_of_three_axes():
    rng = np.random.default_rng(0)
    size = {0: 2, 1: 3, 2: 5}
    places = ([0, 1], [0, 2], [1, 2], [0, 1, 2])  # operands (0: a, 1: b, 2: out) that hold a label
    for chosen in itertools.product(places, repeat=3):
        a, b, out = ([i for i in size if side in chosen[i]][::-1] for side in range(3))
        x, y = (rng.standard_normal([size[i] for i in labels]) for labels in (a, b))
        got = REFERENCE["contract"](x, y, tuple(a), tuple(b), tuple(out))
        np.testing.assert_allclose(got, np.einsum(x, a, y, b, out), rtol=1e-13, atol=1e-13)


def test_contract_over_an_empty_axis_is_zero():
    got = REFERENCE["contract"](np.ones((2, 0)), np.ones((0, 3)), (0, 1), (1, 2), (0, 2))
    assert got.tolist() == [[0] * 3] * 2


def test_updates_read_the_state_as_it_was_before_the_step():
    a, b = (leaf((2,), dtypes.float64, name) for name in "ab")
    swap = Graph(inputs=(), state=(a, b), outputs=(a,), updates=((a, b), (b, a)))
    state = [np.array([1.0, 2]), np.array([3.0, 4])]
    (before,) = evaluate(swap, [], state)
    assert [s.tolist() for s in state] == [[3, 4], [1, 2]]
    assert before.tolist() == [1, 2]


def test_update_with_a_view_of_another_state():
    a, b = leaf((3,), dtypes.float64, "a"), leaf((3,), dtypes.float64, "b")
    flipped = make("flip", (a,), ((0,),))
    graph = Graph((), (a, b), (), ((a, flipped), (b, flipped)))
    state = [np.array([1.0, 2, 3]), np.zeros(3)]
    evaluate(graph, [], state)
    assert [s.tolist() for s in state] == [[3, 2, 1], [3, 2, 1]]
