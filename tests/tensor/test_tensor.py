"""Tensors from and to Python and NumPy, operators, promotion, and what is said when something does not fit."""

import array
import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid.base import dtypes
from pellucid.base.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.tensor import functions as F

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
# What a promotion gives (tensor, tensor): bool < uint8 < int32 < int64 < float32 < float64.
ORDER = ["bool", "uint8", "int32", "int64", "float32", "float64"]


# ---- in


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"), ([1, 2], "int64"), (True, "bool"), ([[1.0], [2.0]], "float32"),
        (np.float64(2), "float64"), (np.zeros(3, np.int32), "int32"), (range(3), "int64"),
        ([np.float64(1), 2.0], "float64"), ([], "float32"), (array.array("d", [1.0]), "float64"),
        (memoryview(b"ab"), "uint8"),
    ],
)  # fmt: skip
def test_dtype_of_new_tensor(data, dtype):
    t = pl.Tensor(data)
    assert t.dtype.name == dtype
    assert np.array_equal(t.numpy(), np.asarray(data))


def test_data_is_copied():
    data = np.ones(3, np.float32)
    t = pl.Tensor(data)
    data[0] = 5
    t.numpy()[1] = 5
    assert t.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_memory_layout_comes_in(dtype):
    base = (np.arange(24) % 2).reshape(4, 6).astype(dtype)
    layouts = [
        base.T,
        base[::-1, ::2],
        np.broadcast_to(base[:1], (3, 6)),
        base[:0],
        base.astype(base.dtype.newbyteorder()),
    ]
    layouts += [np.asfortranarray(base), np.frombuffer(b"\0" + base.tobytes(), dtype, offset=1)]
    for x in layouts:
        t = pl.Tensor(x)
        assert np.array_equal(t.numpy(), x)
        assert x.size == 0 or t._storage.array.ctypes.data % 64 == 0
        assert t._storage.array.flags.c_contiguous


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        ("abc", DTypeError, "numbers"), ([[1], [2, 3]], ShapeError, "equal lengths"),
        (np.zeros(2, np.float16), DTypeError, "float16"), (1j, DTypeError, "numbers"),
        (None, DTypeError, "numbers"),
        ([2**63], DTypeError, "too large"),
    ],
)  # fmt: skip
def test_what_is_not_numbers_is_refused(data, error, text):
    with pytest.raises(error, match=text):
        pl.Tensor(data)


def test_data_that_does_not_fit_the_dtype_is_refused():
    with pytest.raises(DTypeError, match=r"from 0 to 300 does not fit uint8, which holds 0 to 255"):
        pl.Tensor([0, 300], "uint8")
    with pytest.raises(DTypeError, match="nan"):
        pl.Tensor([np.nan], "int64")
    assert pl.Tensor([0.0, 254.9], "uint8").tolist() == [0, 254]
    with pytest.raises(DTypeError, match="does not fit int64"):
        pl.Tensor([2.0**63], "int64")


# ---- out


def test_values_out():
    t = pl.Tensor([[1, 2], [3, 4]])
    assert t.tolist() == [[1, 2], [3, 4]]
    assert np.asarray(t).tolist() == t.tolist()
    assert np.asarray(t, np.float32).dtype == np.float32
    assert np.array(t, copy=False).flags.writeable is False
    assert (len(t), t.shape, t.ndim, t.size, t.nbytes) == (2, (2, 2), 2, 4, 32)
    assert [row.tolist() for row in t] == [[1, 2], [3, 4]]
    assert pl.Tensor(3.0).item() == 3.0
    assert (float(pl.Tensor([2])), int(pl.Tensor(2.9)), bool(pl.Tensor(0.0))) == (2.0, 2, False)
    assert [10, 20, 30][pl.Tensor(1)] == 20
    assert f"{pl.Tensor(3.14159):.2f}" == "3.14"
    assert 3 in t and 7 not in t


def test_dlpack_both_ways():
    t = F.from_dlpack(np.arange(3.0))
    assert t.dtype is dtypes.float64
    assert np.from_dlpack(t).tolist() == [0, 1, 2]
    assert t.__dlpack_device__() == (1, 0)


def test_torch_both_ways():
    torch = pytest.importorskip("torch")
    t = pl.Tensor(torch.arange(3))
    assert t.tolist() == [0, 1, 2]
    assert torch.from_dlpack(t + 1).tolist() == [1, 2, 3]


@pytest.mark.skipif(
    "sys.version_info < (3, 12)", reason="the buffer protocol in Python is new in 3.12"
)
def test_buffer_protocol():
    view = memoryview(pl.Tensor([1, 2]))
    assert view.tolist() == [1, 2] and view.readonly


def test_repr_shows_values_dtype_and_parameter():
    assert repr(pl.Tensor([1.0, 2.0])) == "Tensor([1., 2.], dtype=float32)"
    assert repr(pl.Tensor.parameter([1.0])) == "Tensor([1.], dtype=float32, requires_grad=True)"
    assert repr(F.zeros((0, 2))) == "Tensor([], shape=(0, 2), dtype=float32)"


def test_copies_are_their_own():
    w = pl.Tensor.parameter([1.0, 2.0])
    for twin in (copy.deepcopy(w), pickle.loads(pickle.dumps(w)), copy.copy(w)):
        twin.assign([5.0, 5.0])
        assert w.tolist() == [1, 2]
    assert copy.deepcopy(w).requires_grad


@pytest.mark.parametrize("f", [bool, float, int, pl.Tensor.item])
def test_one_number_of_many_elements_is_refused(f):
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        f(pl.Tensor([1, 2]))


# ---- operators

NUMPY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "floor_divide": np.floor_divide, "remainder": np.remainder, "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": np.equal, "not_equal": np.not_equal, "less": np.less, "less_equal": np.less_equal,
    "greater": np.greater, "greater_equal": np.greater_equal,
}  # fmt: skip


@st.composite
def two_shapes(draw):
    found = draw(
        hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0)
    )
    return found.input_shapes


@given(
    two_shapes(),
    st.sampled_from(sorted(NUMPY)),
    st.sampled_from(["float32", "int64", "uint8"]),
    st.integers(0, 99),
)
def test_operators_broadcast_as_numpy(shapes, name, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(1, 9, s).astype(dtype) for s in shapes)
    y = getattr(F, name)(pl.Tensor(a), pl.Tensor(b))
    expected = NUMPY[name](a, b)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_promotion_of_two_tensors(a, b):
    expected = max(a, b, key=ORDER.index)
    x, y = F.ones((2,), a), F.ones((3, 1), b)
    assert F.maximum(x, y).dtype.name == expected
    assert F.where(x == x, x, y).dtype.name == expected
    assert F.concat([x, y.reshape(3)]).dtype.name == expected
    assert F.result_type(x, y).name == expected
    if expected != "bool":
        assert (x + y).dtype.name == (x * y).dtype.name == expected
        assert (x / y).dtype.name == (expected if "float" in expected else "float32")
    assert (x == y).dtype.name == "bool"


@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [
        ("float64", 1, "float64"), ("float64", 1.5, "float64"), ("float32", 1.5, "float32"),
        ("float32", True, "float32"),
        ("uint8", 1, "uint8"), ("int32", 1, "int32"), ("int32", 1.5, "float32"),
        ("bool", 1, "int64"),
        ("bool", 1.5, "float32"), ("int64", True, "int64"), ("float32", np.float64(1.5), "float32"),
        ("uint8", np.int64(3), "uint8"),
    ],
)  # fmt: skip
def test_python_numbers_are_weak(dtype, number, expected):
    x = F.ones((2,), dtype)
    assert (x * number).dtype.name == expected
    assert (number * x).dtype.name == expected
    assert F.maximum(x, number).dtype.name == expected


def test_numpy_arrays_meet_tensors_on_both_sides():
    a = np.arange(3.0)
    for y in (a + pl.Tensor([1.0, 2.0, 3.0]), pl.Tensor([1.0, 2.0, 3.0]) + a):
        assert isinstance(y, pl.Tensor) and y.dtype is dtypes.float64
        assert y.tolist() == [1, 3, 5]
    assert (np.eye(2) @ pl.Tensor([1.0, 2.0])).tolist() == [1, 2]


@pytest.mark.parametrize("number", [256, -1])
def test_number_that_an_integer_dtype_cannot_hold(number):
    with pytest.raises(OverflowError, match="uint8, which holds 0 to 255"):
        F.ones((2,), "uint8") + number


def test_unknown_operands_are_left_to_python():
    with pytest.raises(TypeError, match="unsupported operand"):
        pl.Tensor([1]) + "a"
    assert (pl.Tensor([1]) == None) is False  # noqa: E711


def test_bool_logic():
    a, b = pl.Tensor([True, True, False, False]), pl.Tensor([True, False, True, False])
    assert (a & b).tolist() == [True, False, False, False]
    assert (a | b).tolist() == [True, True, True, False]
    assert (a ^ b).tolist() == [False, True, True, False]
    assert (~a).tolist() == [False, False, True, True]
    assert (a & True).tolist() == a.tolist()


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda: pl.Tensor([True]) + pl.Tensor([True]), "add got two bool tensors"),
        (lambda: pl.Tensor([1]) & pl.Tensor([1]), "logical_and got int64; it takes bool"),
        (lambda: ~pl.Tensor([1.0]), "takes bool"),
        (lambda: -pl.Tensor([True]), "negative got bool"),
        (lambda: F.where(pl.Tensor([1.0]), 1, 2), "condition of float32"),
        (lambda: pl.Tensor([1, 2]) ** -1, "negative powers"),
    ],
)
def test_dtype_errors_say_what_to_do(f, text):
    with pytest.raises(DTypeError, match=text):
        f()


# ---- shape errors, in plain words


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (
            lambda: F.zeros((32, 20)) + F.zeros((16,)),
            r"add got shapes \(32, 20\) and \(16,\): the last axes are 20 and 16; they must be equal",
        ),
        (lambda: F.zeros((32, 20)) * F.zeros((32,)), r"\.reshape\(32, 1\)"),
        (lambda: F.zeros((3, 2)) - F.zeros((2, 3)), r"subtract got .* transpose one: \.T"),
        (lambda: F.zeros((2, 3)) @ F.zeros((2, 3)), r"matmul got shapes .* Transposing the second fits"),
        (lambda: F.zeros((2, 3)) @ F.zeros((4,)), r"the first \(3\) must equal the only axis of the second \(4\)"),
        (lambda: F.zeros((2, 3)) @ 2.0, r"both need an axis"),
        (lambda: F.zeros((6,)).reshape(4, 2), r"6 elements; \(4, 2\) needs 8"),
        (lambda: F.zeros((6,)).reshape(4, -1), r"must divide"),
        (lambda: F.zeros((2, 3)).squeeze(1), r"axis 1 of shape \(2, 3\), which has size 3"),
        (lambda: F.zeros((2, 3)).broadcast_to(3, 2), r"broadcast_to got shape \(2, 3\), which does not fit \(3, 2\)"),
        (lambda: F.stack([F.zeros((2,)), F.zeros((3,))]), r"\(2,\), \(3,\).*Use concat"),
        (lambda: F.concat([F.zeros((2, 1)), F.zeros((2, 2))], 0), r"concat along axis 0"),
        (lambda: F.zeros((0, 3)).max(0), r"axis 0 of shape \(0, 3\): the axis is empty"),
        (lambda: F.einsum("ij,jk->ik", F.zeros((2, 3)), F.zeros((4, 2))), r"'j' is 3 in one and 4 in another"),
        (lambda: F.einsum("ij->ik", F.zeros((2, 3))), r"'k' must occur in an operand"),
        (lambda: F.zeros((2,)).assign(F.zeros((3,))), r"assign got shape \(3,\) for a tensor of shape \(2,\)"),
        (lambda: F.zeros(2, "float32").backward(), r"starts from one number"),
    ],
)  # fmt: skip
def test_shape_errors_name_operation_shapes_and_fix(f, text):
    with pytest.raises(ShapeError, match=text):
        f()


def test_error_is_raised_where_the_mistake_is_not_when_the_value_is_read():
    with pytest.raises(ShapeError) as info:
        pl.Tensor([1.0, 2.0]) + pl.Tensor([1.0, 2.0, 3.0])
    assert any(entry.path.name == "test_tensor.py" for entry in info.traceback)


def test_axis_out_of_range():
    with pytest.raises(
        IndexRangeError, match=r"sum got axis 2, but shape \(2, 3\) has axes -2 to 1"
    ):
        F.zeros((2, 3)).sum(2)


# ---- powers


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, -1, -2, 0.5, -0.5, 1.5, 2.5, 64, 65, 0.3, -1.7, 0.0])
def test_power_by_a_number(n):
    x = np.array([0.25, 1.0, 3.0, 7.5], np.float64)
    np.testing.assert_allclose((pl.Tensor(x) ** n).numpy(), x**n, rtol=1e-13)


def test_square_is_a_product_to_the_last_bit():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert np.array_equal((pl.Tensor(x) ** 2).numpy(), x * x)
    assert np.array_equal((pl.Tensor(x) ** 3).numpy(), x * (x * x))


def test_power_of_two_tensors_has_the_signs_and_zeros_of_ieee():
    x, y = (
        v.ravel()
        for v in np.meshgrid(
            [-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, np.inf, np.nan], [-3, -0.5, 0, 0.5, 1, 2, 3, np.nan]
        )
    )
    with np.errstate(all="ignore"):
        expected = x**y
    np.testing.assert_allclose((pl.Tensor(x) ** pl.Tensor(y)).numpy(), expected, rtol=1e-14)
    assert (2 ** pl.Tensor([1.0, 3.0])).tolist() == [2, 8]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integer_powers_wrap_as_numpy(dtype):
    x, n = np.array([0, 1, 2, 3, 5, 200], dtype), np.array([0, 9, 3, 31, 63, 2], dtype)
    assert np.array_equal((pl.Tensor(x) ** pl.Tensor(n)).numpy(), x**n)
    assert np.array_equal((pl.Tensor(x) ** 5).numpy(), x**5)
