"""x[key] and x[key] = value give what NumPy gives."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid.base.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.tensor import functions as F

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def numbered(shape) -> np.ndarray:
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


def both(x: np.ndarray, key) -> None:
    expected = x[key]
    y = pl.Tensor(x)[key]
    assert y.shape == expected.shape
    assert np.array_equal(y.numpy(), expected)


@given(st.data())
def test_basic_indexing(data):
    shape = data.draw(shapes)
    key = data.draw(hnp.basic_indices(shape, max_dims=6, allow_newaxis=True, allow_ellipsis=True))
    both(numbered(shape), key)


@given(st.data())
def test_integer_array_indexing(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5))
    key = data.draw(
        hnp.integer_array_indices(
            shape, result_shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
        )
    )
    both(numbered(shape), key)


@given(st.data())
def test_arrays_beside_slices_integers_and_new_axes(data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
    result = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    items = []
    for n in shape:
        kind = data.draw(st.sampled_from("siamn"))
        if kind == "n":
            items.append(None)
        if kind in "sn":
            items.append(data.draw(st.slices(n)))
        elif kind == "i":
            items.append(data.draw(st.integers(-n, n - 1)))
        elif kind == "a":
            items.append(data.draw(hnp.arrays(np.int64, result, elements=st.integers(-n, n - 1))))
        else:
            items.append(data.draw(hnp.arrays(np.bool_, (n,))))
    key = tuple(items)
    x = numbered(shape)
    try:
        x[key]
    except IndexError:  # arrays and masks that do not stretch to one shape
        with pytest.raises((IndexError, ShapeError)):
            pl.Tensor(x)[key]
        return
    both(x, key)


@given(hnp.arrays(np.bool_, shapes))
def test_mask(mask):
    both(numbered(mask.shape), mask)
    both(numbered((*mask.shape, 2)), mask)


@given(st.data())
def test_assignment(data):
    shape = data.draw(shapes)
    key = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True),
            hnp.arrays(np.bool_, shape),
        )
    )
    x = numbered(shape)
    place = x[key].shape
    value = data.draw(st.sampled_from([(), place, tuple(1 for _ in place)]))
    v = -1 - numbered(value)
    t = pl.Tensor(x)
    t[key] = pl.Tensor(v)
    x[key] = v
    assert np.array_equal(t.numpy(), x)


def test_of_equal_places_the_last_assignment_wins():
    t = pl.Tensor([0.0, 0.0, 0.0])
    t[[1, 1, 2]] = pl.Tensor([5.0, 6.0, 7.0])
    assert t.tolist() == [0, 6, 7]


def test_assignment_of_numbers_and_lists():
    t = F.zeros((2, 2))
    t[0] = 5
    t[1, :] = [1.5, 2]
    assert t.tolist() == [[5, 5], [1.5, 2]]
    with pytest.raises(DTypeError, match="cannot hold float32"):
        F.zeros(2, "int64")[0] = pl.Tensor(1.5)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (3, r"index 3 is out of range for axis 0 of shape \(3, 4\): it must be from -3 to 2"),
        ((0, -5), r"index -5 is out of range for axis 1"),
        ([0, 3], r"index 3 is out of range for axis 0"),
        ((slice(None), [4]), r"index 4 is out of range for axis 1"),
        ((0, 0, 0), r"names 3 axes, shape \(3, 4\) has 2"),
        ((..., ...), r"twice"),
        (np.ones(4, bool), r"a mask of shape \(4,\)"),
        (slice(0, 1, 0), "cannot be 0"),
    ],
)
def test_index_out_of_range_is_named(key, text):
    with pytest.raises(IndexRangeError, match=text):
        F.zeros((3, 4))[key]


@pytest.mark.parametrize("key", [1.5, "a", [1.5]])
def test_index_that_is_none(key):
    with pytest.raises(DTypeError, match="index"):
        F.zeros((3, 4))[key]


def test_tensors_index_tensors():
    x = pl.Tensor(numbered((4, 3)))
    rows = pl.Tensor([3, -1, 0])
    assert np.array_equal(x[rows].numpy(), numbered((4, 3))[[3, -1, 0]])
    assert np.array_equal(x[x > 5].numpy(), np.arange(6, 12))
    assert x[rows[0], rows[2]].item() == 9


@given(st.data())
def test_take_and_take_along_axis(data):
    x = numbered(data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = x.shape[axis]
    index = data.draw(
        hnp.arrays(
            np.int64,
            hnp.array_shapes(min_dims=0, max_dims=2, min_side=0),
            elements=st.integers(-n, n - 1),
        )
    )
    assert np.array_equal(F.take(pl.Tensor(x), index, axis).numpy(), np.take(x, index, axis))
    along = data.draw(hnp.arrays(np.int64, x.shape, elements=st.integers(-n, n - 1)))
    assert np.array_equal(
        F.take_along_axis(pl.Tensor(x), along, axis).numpy(), np.take_along_axis(x, along, axis)
    )


@given(st.data())
def test_gradient_of_indexing_counts_how_often_an_element_was_read(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    key = data.draw(
        st.one_of(
            hnp.basic_indices(shape), hnp.integer_array_indices(shape), hnp.arrays(np.bool_, shape)
        )
    )
    x = numbered(shape)
    assume(x[key].size)
    expected = np.zeros(shape)
    np.add.at(expected, key, 1)
    t = pl.Tensor(x)
    assert np.array_equal(pl.grad(t[key].sum(), t).numpy(), expected)


def test_index_that_is_an_argument_of_a_compiled_function():
    table = numbered((5, 2))

    @pl.compile
    def rows(index):
        return pl.Tensor(table)[index], F.take(pl.Tensor(table), index, 0)

    index = np.array([4, 0, 2], np.int32)
    for y in rows(index):
        assert np.array_equal(y.numpy(), table[index])
    assert np.array_equal(rows(np.array([-1, -5, 1], np.int32))[0].numpy(), table[[-1, -5, 1]])
    with pytest.raises(DTypeError, match="shape must be known"):
        pl.compile(lambda m: pl.Tensor(table)[m])(np.ones(5, bool))
