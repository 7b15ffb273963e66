"""New tensors: from data, from shapes, from other libraries. Names follow the Python array API standard."""

import math
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, IndexRangeError, ShapeError
from ..graph.infer import constant, make
from . import elementwise, shaping
from .storage import active
from .tensor import DTypeLike, Tensor, as_tensor, from_node


def tensor(data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with the values of `data`: numbers, nested lists, an array, another tensor."""
    return Tensor(data, dtype, requires_grad)


def asarray(data: Any, dtype: DTypeLike | None = None, copy: bool | None = None) -> Tensor:
    """As tensor(); a tensor of that dtype already is returned as it is."""
    if isinstance(data, Tensor) and copy is not True:
        return data if dtype is None else data.astype(dtype)
    return Tensor(data, dtype)


def from_dlpack(data: Any) -> Tensor:
    """A copy of an array of another library, through the DLPack protocol."""
    return Tensor(np.from_dlpack(data))


def _shape_of(shape: Any, name: str) -> tuple[int, ...]:
    return shaping.sizes(name, (shape,))


def full(shape: Any, value: float | Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """`value` everywhere."""
    sizes = _shape_of(shape, "full")
    if isinstance(value, Tensor):
        return (value if dtype is None else value.astype(dtype)).broadcast_to(sizes)
    d = as_tensor(value).dtype if dtype is None else dtypes.of(dtype)
    elementwise.check_number("full", value, d)
    return from_node(constant(value, d, sizes))


def zeros(shape: Any, dtype: DTypeLike = dtypes.float32) -> Tensor:
    """0 everywhere."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: DTypeLike = dtypes.float32) -> Tensor:
    """1 everywhere."""
    return full(shape, 1, dtype)


def empty(shape: Any, dtype: DTypeLike = dtypes.float32) -> Tensor:
    """A tensor whose values do not matter: zeros."""
    return full(shape, 0, dtype)


def full_like(x: Tensor, value: float, dtype: DTypeLike | None = None) -> Tensor:
    """`value` in the shape and dtype of x."""
    return full(x.shape, value, x.dtype if dtype is None else dtype)


def zeros_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """0 in the shape and dtype of x."""
    return full_like(x, 0, dtype)


def ones_like(x: Tensor, dtype: DTypeLike | None = None) -> Tensor:
    """1 in the shape and dtype of x."""
    return full_like(x, 1, dtype)


empty_like = zeros_like


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None
) -> Tensor:
    """start, start + step, ... below stop; arange(n) counts 0 to n - 1. int64, or float32 if a bound is."""
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise IndexRangeError("arange got the step 0; it must not be 0.")
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        is_whole, n = True, len(range(start, stop, step))
    else:
        is_whole, n = False, max(0, math.ceil((stop - start) / step))
    d = (dtypes.int64 if is_whole else dtypes.float32) if dtype is None else dtypes.of(dtype)
    if n == 0:
        return zeros((0,), d)
    if is_whole:
        count = from_node(make("iota", (), ((n,), 0, "int64")))
        return (count * step + start).astype(d)
    count = from_node(make("iota", (), ((n,), 0, "float64")))
    return (count * step + start).astype(d)


def linspace(
    start: float, stop: float, num: int, dtype: DTypeLike | None = None, endpoint: bool = True
) -> Tensor:
    """`num` values in even steps from start to stop, computed in float64."""
    if num < 0:
        raise ShapeError(f"linspace got num = {num}; it must be 0 or more.")
    d = dtypes.float32 if dtype is None else dtypes.of(dtype)
    n_steps = num - 1 if endpoint else num
    if num == 0 or n_steps == 0:
        return full((num,), float(start), dtypes.float64).astype(d)
    count = from_node(make("iota", (), ((num,), 0, "float64")))
    values = count * ((stop - start) / n_steps) + start
    if endpoint:  # the last one exactly
        values = from_node(elementwise.where((count == num - 1).node, float(stop), values.node))
    return values.astype(d)


def eye(n: int, m: int | None = None, k: int = 0, dtype: DTypeLike = dtypes.float32) -> Tensor:
    """1 on the k-th diagonal of an (n, m) matrix, 0 elsewhere."""
    shape = (n, n if m is None else m)
    if 0 in shape:
        return zeros(shape, dtype)
    rows, columns = (from_node(make("iota", (), (shape, i, "int64"))) for i in (0, 1))
    return (rows + k == columns).astype(dtype)


def tril(x: Tensor, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal of the last two axes."""
    return from_node(shaping.triangle(as_tensor(x).node, k, False))


def triu(x: Tensor, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal of the last two axes."""
    return from_node(shaping.triangle(as_tensor(x).node, k, True))


def meshgrid(*xs: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid over vectors; "xy" exchanges the first two axes, "ij" does not."""
    if indexing not in ("xy", "ij"):
        raise DTypeError(f"meshgrid got indexing {indexing!r}; it must be 'xy' or 'ij'.")
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = 1, 0
    shape = [0] * len(xs)
    for axis, x in zip(order, xs, strict=True):
        shape[axis] = x.size
    grids = []
    for axis, x in zip(order, xs, strict=True):
        place = [1] * len(xs)
        place[axis] = x.size
        grids.append(x.reshape(tuple(place)).broadcast_to(tuple(shape)))
    return grids


def is_tracing() -> bool:
    """Whether a compiled function is being traced now."""
    return bool(active)
