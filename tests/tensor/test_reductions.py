"""Reductions over any axes give what NumPy gives."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid.base.errors import IndexRangeError
from pellucid.tensor import functions as F

NUMPY = {
    "sum": np.sum, "mean": np.mean, "var": np.var, "std": np.std, "max": np.max, "min": np.min,
    "prod": np.prod,
    "any": np.any, "all": np.all,
}  # fmt: skip
NEEDS_ELEMENTS = {"max", "min", "mean", "var", "std"}


@given(
    st.data(),
    st.sampled_from(sorted(NUMPY)),
    st.sampled_from(["float64", "int32", "uint8", "bool"]),
    st.booleans(),
)
def test_reductions(data, name, dtype, keepdims):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    axes = (
        data.draw(st.one_of(st.none(), hnp.valid_tuple_axes(len(shape), min_size=1)))
        if shape
        else None
    )
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    reduced = [shape[a] for a in (range(len(shape)) if axes is None else axes)]
    assume(name not in NEEDS_ELEMENTS or 0 not in reduced)
    y = getattr(pl.Tensor(x), name)(axes, keepdims=keepdims)
    wide = x.astype(np.int64) if dtype != "float64" and name in ("sum", "prod") else x
    expected = NUMPY[name](wide, axis=axes, keepdims=keepdims)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(
        y.numpy(), expected, rtol=1e-6, atol=1e-6
    )  # float32 for the means of integers


@given(
    st.data(),
    st.sampled_from(["argmax", "argmin", "cumsum"]),
    st.sampled_from(["float32", "int64", "uint8", "bool"]),
)
def test_places_and_running_sums(data, name, dtype):
    x = data.draw(
        hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=4), elements=st.integers(0, 1))
    )
    axis = data.draw(st.one_of(st.none(), st.integers(-x.ndim, x.ndim - 1)))
    expected = getattr(np, name)(x, axis=axis)
    assert np.array_equal(getattr(pl.Tensor(x), name)(axis).numpy(), expected)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_argmin_at_the_ends_of_integers(dtype):
    limits = np.iinfo(dtype)
    x = np.array([0, limits.max, limits.min, limits.max], dtype)
    assert pl.Tensor(x).argmin().item() == np.argmin(x)
    assert pl.Tensor(x).argmax().item() == 1


def test_nan_wins():
    x = np.array([1.0, np.nan, 3.0])
    t = pl.Tensor(x)
    assert np.isnan(t.max().item()) and np.isnan(t.min().item())
    assert t.argmax().item() == t.argmin().item() == 1


def test_integers_do_not_wrap_in_sums():
    assert F.full((1000,), 255, "uint8").sum().item() == 255_000
    assert F.full((3,), True, "bool").sum().dtype.name == "int64"
    assert F.full((2,), 2**31 - 1, "int32").sum().item() == 2**32 - 2


def test_variance_of_a_large_mean_does_not_cancel():
    x = np.array([1e8, 1e8 + 1, 1e8 + 2])
    assert pl.Tensor(x).var().item() == pytest.approx(2 / 3, rel=1e-12)
    assert pl.Tensor(x).var(correction=1).item() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("axes", [(0, 0), (0, -2), 5])
def test_axes_that_cannot_be(axes):
    with pytest.raises(IndexRangeError, match="sum got ax"):
        F.zeros((2, 3)).sum(axes)


def test_gradient_of_product_with_a_zero():
    x = pl.Tensor(np.array([2.0, 0.0, 5.0]))
    assert pl.grad(x.prod(), x).tolist() == [0, 10, 0]
