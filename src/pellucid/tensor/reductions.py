"""Reductions of nodes over any axes: sums, means, extremes, any and all, products, places of extremes."""

from math import prod as size_of

from ..base import dtypes
from ..base.dtypes import DType
from ..base.errors import DTypeError, ShapeError
from ..graph.infer import constant, make
from ..graph.node import Node, Shape
from .elementwise import cast
from .shaping import Axes, all_axes, cut_axis, one_axis, reshape


def kept_shape(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """The shape after a reduction that keeps its axes with size 1."""
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


def _finish(y: Node, x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    return reshape(y, kept_shape(x.shape, axes)) if keepdims else y


def _reduce(primitive: str, x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    return _finish(make(primitive, (x,), (axes,)) if axes else x, x, axes, keepdims)


def count(shape: Shape, axes: tuple[int, ...]) -> int:
    """Number of elements that each result is made from."""
    return size_of(shape[a] for a in axes)


def sum(x: Node, axis: Axes, keepdims: bool, dtype: DType | None = None) -> Node:
    """Integers and bool are summed in int64, so that they do not wrap; floats in their own dtype."""
    if dtype is None:
        dtype = x.dtype if x.dtype.kind == "f" else dtypes.int64
    return _reduce("reduce_sum", cast(x, dtype), all_axes("sum", axis, x.shape), keepdims)


def mean(x: Node, axis: Axes, keepdims: bool) -> Node:
    """sum / n; integers become float32. The mean of nothing is NaN."""
    x = x if x.dtype.kind == "f" else cast(x, dtypes.float32)
    axes = all_axes("mean", axis, x.shape)
    total = _reduce("reduce_sum", x, axes, keepdims)
    return make("div", (total, constant(count(x.shape, axes), x.dtype, total.shape)))


def var(x: Node, axis: Axes, correction: float, keepdims: bool) -> Node:
    """sum((x - mean)²) / (n - correction): two passes, so that a large mean does not cancel."""
    x = x if x.dtype.kind == "f" else cast(x, dtypes.float32)
    axes = all_axes("var", axis, x.shape)
    n = count(x.shape, axes) - correction
    centre = mean(x, axes, True)
    if centre.shape != x.shape:
        centre = make("broadcast", (centre,), (x.shape,))
    d = make("sub", (x, centre))
    total = _reduce("reduce_sum", make("mul", (d, d)), axes, keepdims)
    return make("div", (total, constant(max(n, 0), x.dtype, total.shape)))


def extreme(op: str, x: Node, axis: Axes, keepdims: bool) -> Node:
    """max and min; NaN wins. Over an empty axis there is no answer: ShapeError."""
    axes = all_axes(op, axis, x.shape)
    _not_empty(op, x.shape, axes)
    return _reduce(f"reduce_{op}", x, axes, keepdims)


def _not_empty(op: str, shape: Shape, axes: tuple[int, ...]) -> None:
    for a in axes:
        if shape[a] == 0:
            raise ShapeError(
                f"{op} over axis {a} of shape {shape}: the axis is empty, so there is no answer. "
                "Check the size first."
            )


def truth(op: str, x: Node, axis: Axes, keepdims: bool) -> Node:
    """any and all. Of nothing: any is False, all is True."""
    axes = all_axes(op, axis, x.shape)
    if x.dtype.kind != "b":
        x = make("logical_not", (make("eq", (x, constant(0, x.dtype, x.shape))),))
    if count(x.shape, axes) == 0:
        left = tuple(d for i, d in enumerate(x.shape) if i not in axes)
        y = constant(op == "all", dtypes.bool_, left)
        return _finish(y, x, axes, keepdims)
    return _reduce("reduce_max" if op == "any" else "reduce_min", x, axes, keepdims)


def prod(x: Node, axis: Axes, keepdims: bool) -> Node:
    """The product, as a tree of pairs: exact for small integers, and short for gradients."""
    if x.dtype.kind != "f":
        x = cast(x, dtypes.int64)
    axes = all_axes("prod", axis, x.shape)
    y = x
    for a in axes:
        while y.shape[a] > 1:
            n, half = y.shape[a], y.shape[a] // 2
            pairs = make("mul", (cut_axis(y, a, 0, half), cut_axis(y, a, half, 2 * half)))
            y = make("concat", (pairs, cut_axis(y, a, n - 1, n)), (a,)) if n % 2 else pairs
        if y.shape[a] == 0:
            y = constant(1, y.dtype, kept_shape(y.shape, (a,)))
    return y if keepdims else reshape(y, tuple(d for i, d in enumerate(y.shape) if i not in axes))


def place_of_extreme(op: str, x: Node, axis: int | None, keepdims: bool) -> Node:
    """argmax and argmin: the first place wins, NaN counts as the extreme; None: in the flat order."""
    if x.dtype.kind == "b":
        x = cast(x, dtypes.uint8)
    if op == "argmin":
        if x.dtype.kind == "f":
            x = make("neg", (x,))
        else:  # -x would overflow for the smallest integer: top - x and -1 - x do not
            top = 255 if x.dtype is dtypes.uint8 else -1
            x = make("sub", (constant(top, x.dtype, x.shape), x))
    flat = reshape(x, (x.size,)) if axis is None else x
    a = 0 if axis is None else one_axis(op, axis, len(x.shape), x.shape)
    _not_empty(op, flat.shape, (a,))
    y = make("argmax", (flat,), (a,))
    if keepdims:
        axes = tuple(range(len(x.shape))) if axis is None else (a,)
        y = reshape(y, kept_shape(x.shape, axes))
    return y


def cumsum(x: Node, axis: int | None) -> Node:
    """Running sums; integers and bool in int64. None: of the flattened values."""
    if x.dtype.kind != "f":
        x = cast(x, dtypes.int64)
    if axis is None:
        x, axis = reshape(x, (x.size,)), 0
    return make("cumsum", (x,), (one_axis("cumsum", axis, len(x.shape), x.shape),))


def check_real(op: str, x: Node) -> None:
    """DTypeError unless x has numbers."""
    if x.dtype.kind == "b":
        raise DTypeError(f"{op} got bool; it takes numbers. Use astype(int64) to count.")
