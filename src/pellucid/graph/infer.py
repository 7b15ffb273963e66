"""Shape and dtype rules, one row per primitive, and `make`: the only way to a new node.

A rule takes (op row, inputs, params) and gives (params in plain form, shape, dtype), or raises
what the user reads: ShapeError, DTypeError or IndexRangeError with what was given, what was needed
and what to do."""

import operator
from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from ..base import dtypes
from ..base.dtypes import DType
from ..base.errors import DTypeError, IndexRangeError, ShapeError
from .node import Node, Shape, intern
from .ops import BOOL, FLOAT, NUMBER, OPS, VARIADIC, Op

Inferred = tuple[tuple, Shape, DType]
MAX_SIZE = 2**48  # elements; above it byte offsets would not be safe in 64-bit arithmetic

_KINDS = {BOOL: "bool", "i": "integers", NUMBER: "integers or floats", FLOAT: "float32 or float64"}
_INDEX = (dtypes.int32, dtypes.int64)


def make(op: str, inputs: Sequence[Node] = (), params: Sequence = ()) -> Node:
    """The interned node `op(inputs, params)`, its shape and dtype inferred and checked."""
    row = OPS[op]
    inputs = tuple(inputs)
    assert row.arity in (VARIADIC, len(inputs)), f"{op} takes {row.arity} inputs, got {len(inputs)}"
    assert len(row.params) == len(params), f"{op} takes params {row.params}, got {params}"
    plain, shape, dtype = RULES[op](row, inputs, tuple(params))
    if prod(shape) > MAX_SIZE:
        raise ShapeError(
            f"{op} would give shape {shape}: more than 2**48 elements. Use smaller shapes."
        )
    return intern(op, inputs, plain, shape, dtype)


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """`node` on other inputs; itself where they are its own."""
    same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
    return node if same else make(node.op, inputs, node.params)


def constant(value: bool | int | float, dtype: DType, shape: Shape = ()) -> Node:
    """`value` everywhere: a const node, broadcast to `shape`."""
    node = make("const", (), (value, dtype.name))
    return make("broadcast", (node,), (shape,)) if shape else node


def is_constant(node: Node) -> bool:
    """Whether `node` is a const that only changed its shape."""
    while node.op in ("broadcast", "reshape"):
        node = node.inputs[0]
    return node.op == "const"


# ---- helpers


def _ints(values) -> tuple[int, ...]:
    return tuple(operator.index(v) for v in values)


def _shape(op: str, values) -> Shape:
    shape = _ints(values)
    if any(d < 0 for d in shape):
        raise ShapeError(f"{op} got shape {shape}: sizes must be 0 or more.")
    return shape


def _take(row: Op, *values: Node) -> DType:
    """The one dtype of `values`, which must be of a kind that the op takes."""
    dtype = values[0].dtype
    for v in values:
        if v.dtype is not dtype:
            names = ", ".join(v.dtype.name for v in values)
            raise DTypeError(
                f"{row.name} got dtypes {names}: they must be equal. Use astype on one of them."
            )
    if dtype.kind not in row.takes:
        fix = "Use astype(float32) first." if row.takes in (FLOAT, NUMBER) else "Convert it first."
        raise DTypeError(f"{row.name} got {dtype}, it takes {_KINDS[row.takes]}. {fix}")
    return dtype


def _same_shape(op: str, *values: Node) -> Shape:
    shape = values[0].shape
    for v in values:
        if v.shape != shape:
            shapes = " and ".join(str(v.shape) for v in values)
            raise ShapeError(
                f"{op} got shapes {shapes}: they must be equal. Broadcast or reshape one of them."
            )
    return shape


def _axis(op: str, axis, shape: Shape) -> int:
    axis = operator.index(axis)
    if not 0 <= axis < len(shape):
        known = f"axes 0 to {len(shape) - 1}" if shape else "no axes"
        raise IndexRangeError(f"{op} got axis {axis}, but shape {shape} has {known}.")
    return axis


def _axes(op: str, axes, shape: Shape) -> tuple[int, ...]:
    checked = tuple(sorted(_axis(op, a, shape) for a in axes))
    if len(set(checked)) != len(checked):
        raise IndexRangeError(f"{op} got axes {checked}: each axis may occur once.")
    return checked


def _value(op: str, value, dtype: DType) -> bool | int | float:
    """`value` as the dtype holds it, in plain Python, so that equal constants are one node."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.numpy.type(value))
    if dtype.kind == "b":
        return bool(value)
    whole = int(value)
    limits = np.iinfo(dtype.numpy)
    if whole != value or not limits.min <= whole <= limits.max:
        raise DTypeError(
            f"{op} got {value!r} for {dtype}, "
            f"which holds whole numbers {limits.min} to {limits.max}."
        )
    return whole


# ---- rules


def _leaf(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    raise AssertionError("leaves are made by node.leaf, which alone knows their shape")


def _const(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    value, name = params
    dtype = dtypes.of(name)
    return (_value("const", value, dtype), dtype.name), (), dtype


def _iota(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    shape, axis, name = params
    shape, dtype = _shape("iota", shape), dtypes.of(name)
    if dtype.kind not in row.takes:
        raise DTypeError(f"iota got {dtype}, it takes {_KINDS[row.takes]}.")
    return (shape, _axis("iota", axis, shape), dtype.name), shape, dtype


def _random(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (key,) = inputs
    if key.shape != (2,) or key.dtype is not dtypes.int64:
        raise ShapeError(
            f"random got a key {key.dtype}{list(key.shape)}; it must be int64[2]: seed and counter."
        )
    shape = _shape("random", params[0])
    return (shape,), shape, dtypes.float32


def _elementwise(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    dtype = _take(row, *inputs)
    return (
        (),
        _same_shape(row.name, *inputs),
        dtype if row.gives == "same" else dtypes.BY_NAME[row.gives],
    )


def _cast(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    dtype = dtypes.of(params[0])
    return (dtype.name,), inputs[0].shape, dtype


def _where(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    condition, a, b = inputs
    if condition.dtype is not dtypes.bool_:
        raise DTypeError(
            f"where got a condition of {condition.dtype}; it must be bool. Compare it: x != 0."
        )
    dtype = _take(row, a, b)
    return (), _same_shape("where", condition, a, b), dtype


def _reshape(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), shape = inputs, _shape("reshape", params[0])
    if prod(shape) != x.size:
        raise ShapeError(
            f"reshape got shape {x.shape} with {x.size} elements; {shape} needs {prod(shape)}. "
            f"Choose sizes whose product is {x.size}."
        )
    return (shape,), shape, x.dtype


def _permute(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), axes = inputs, _ints(params[0])
    if sorted(axes) != list(range(len(x.shape))):
        raise IndexRangeError(
            f"permute got axes {axes} for shape {x.shape}: "
            f"name each of its {len(x.shape)} axes once."
        )
    return (axes,), tuple(x.shape[a] for a in axes), x.dtype


def _broadcast(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), shape = inputs, _shape("broadcast", params[0])
    tail = shape[len(shape) - len(x.shape) :] if len(x.shape) <= len(shape) else None
    if tail is None or any(d not in (1, s) for d, s in zip(x.shape, tail, strict=True)):
        raise ShapeError(
            f"broadcast got shape {x.shape}, which does not fit {shape}: "
            "counted from the last axis, sizes must be equal or 1. "
            "Use reshape to add axes of size 1."
        )
    return (shape,), shape, x.dtype


def _pad(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,) = inputs
    widths = tuple(_ints(w) for w in params[0])
    if len(widths) != len(x.shape) or any(len(w) != 2 or min(w) < 0 for w in widths):
        raise ShapeError(
            f"pad got widths {widths} for shape {x.shape}: give (before, after) >= 0 for each axis."
        )
    shape = tuple(d + lo + hi for d, (lo, hi) in zip(x.shape, widths, strict=True))
    return (widths, _value("pad", params[1], x.dtype)), shape, x.dtype


def _slice(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,) = inputs
    starts, stops, steps = map(_ints, params)
    if not len(starts) == len(stops) == len(steps) == len(x.shape):
        raise ShapeError(
            f"slice got {starts}, {stops}, {steps} for shape {x.shape}: one number for each axis."
        )
    for axis, (d, lo, hi, step) in enumerate(zip(x.shape, starts, stops, steps, strict=True)):
        if not (0 <= lo <= hi <= d and step > 0):
            raise IndexRangeError(
                f"slice got {lo}:{hi}:{step} on axis {axis} of shape {x.shape}; "
                f"it must be 0 <= start <= stop <= {d} and step > 0."
            )
    shape = tuple(-((lo - hi) // step) for lo, hi, step in zip(starts, stops, steps, strict=True))
    return (starts, stops, steps), shape, x.dtype


def _flip(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,) = inputs
    return (_axes("flip", params[0], x.shape),), x.shape, x.dtype


def _concat(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    if not inputs:
        raise ShapeError("concat got no inputs: give at least one.")
    dtype, first = _take(row, *inputs), inputs[0].shape
    axis = _axis("concat", params[0], first)
    for x in inputs:
        if len(x.shape) != len(first) or any(
            d != e and i != axis for i, (d, e) in enumerate(zip(x.shape, first, strict=True))
        ):
            shapes = ", ".join(str(x.shape) for x in inputs)
            raise ShapeError(
                f"concat along axis {axis} got shapes {shapes}: the other axes must be equal."
            )
    total = sum(x.shape[axis] for x in inputs)
    return (axis,), (*first[:axis], total, *first[axis + 1 :]), dtype


def _reduce(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), dtype = inputs, _take(row, *inputs)
    axes = _axes(row.name, params[0], x.shape)
    if row.name != "reduce_sum":
        _no_empty_axis(row.name, axes, x.shape)
    return (axes,), tuple(d for i, d in enumerate(x.shape) if i not in axes), dtype


def _no_empty_axis(op: str, axes: tuple[int, ...], shape: Shape) -> None:
    for a in axes:
        if shape[a] == 0:
            raise ShapeError(
                f"{op} over axis {a} of shape {shape}: the axis is empty, so there is no answer."
            )


def _argmax(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,) = inputs
    axis = _axis("argmax", params[0], x.shape)
    _no_empty_axis("argmax", (axis,), x.shape)
    return (axis,), x.shape[:axis] + x.shape[axis + 1 :], dtypes.int64


def _cumsum(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), dtype = inputs, _take(row, *inputs)
    return (_axis("cumsum", params[0], x.shape),), x.shape, dtype


def _check_index(op: str, index: Node, n: int) -> None:
    if index.dtype not in _INDEX:
        raise DTypeError(
            f"{op} got an index of {index.dtype}; it must be int32 or int64. Use astype(int64)."
        )
    if n == 0 and index.size:
        raise IndexRangeError(
            f"{op} got {index.size} indices into an axis of size 0: every one is out of range."
        )


def _gather(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    x, index = inputs
    if not x.shape:
        raise ShapeError("gather got a number without axes to index; reshape it to (1,) first.")
    _check_index("gather", index, x.shape[0])
    return (), index.shape + x.shape[1:], x.dtype


def _scatter_add(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    index, updates = inputs
    n, dtype = operator.index(params[0]), _take(row, updates)
    if n < 0:
        raise ShapeError(f"scatter_add got n = {n}: it must be 0 or more.")
    _check_index("scatter_add", index, n)
    rank = len(index.shape)
    if updates.shape[:rank] != index.shape:
        raise ShapeError(
            f"scatter_add got index shape {index.shape} and updates shape {updates.shape}: "
            "updates must begin with the axes of the index."
        )
    return (n,), (n, *updates.shape[rank:]), dtype


def _contract(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    a, b = inputs
    dtype = _take(row, a, b)
    number: dict = {}  # label -> its number, by first use: equal contractions are one node
    a_labels, b_labels, out_labels = (
        tuple(number.setdefault(label, len(number)) for label in p) for p in params
    )
    text = f"contract {a.shape} {a_labels} with {b.shape} {b_labels} to {out_labels}"
    if len(a_labels) != len(a.shape) or len(b_labels) != len(b.shape):
        raise ShapeError(f"{text}: each axis needs one label.")
    sizes: dict[int, int] = {}
    for labels, shape in ((a_labels, a.shape), (b_labels, b.shape)):
        if len(set(labels)) != len(labels):
            raise ShapeError(f"{text}: a label may occur once in an operand.")
        for label, d in zip(labels, shape, strict=True):
            if sizes.setdefault(label, d) != d:
                raise ShapeError(
                    f"{text}: label {label} has sizes {sizes[label]} and {d}; they must be equal."
                )
    if len(set(out_labels)) != len(out_labels):
        raise ShapeError(f"{text}: a label may occur once in the output.")
    for label in number.values():
        if (label in a_labels) + (label in b_labels) + (label in out_labels) < 2:
            raise ShapeError(
                f"{text}: label {label} occurs once only; sum or broadcast that axis instead."
            )
    return (a_labels, b_labels, out_labels), tuple(sizes[label] for label in out_labels), dtype


def _positive(op: str, **values) -> tuple[int, ...]:
    for name, value in values.items():
        if operator.index(value) < 1:
            raise ShapeError(f"{op} got {name} {value}: it must be 1 or more.")
    return _ints(values.values())


def n_windows(length: int, size: int, stride: int, dilation: int) -> int:
    """How many places a window of `size` has along an axis; 0 or less where it does not fit."""
    return (length - dilation * (size - 1) - 1) // stride + 1


def _window(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,) = inputs
    axis = _axis("window", params[0], x.shape)
    size, stride, dilation = _positive(
        "window", size=params[1], stride=params[2], dilation=params[3]
    )
    n, reach = n_windows(x.shape[axis], size, stride, dilation), dilation * (size - 1) + 1
    if n < 1:
        raise ShapeError(
            f"window of size {size} and dilation {dilation} reaches over {reach} elements, but axis "
            f"{axis} of shape {x.shape} has {x.shape[axis]}. Use a smaller window, or pad the axis."
        )
    shape = (*x.shape[:axis], n, size, *x.shape[axis + 1 :])
    return (axis, size, stride, dilation), shape, x.dtype


def _fold(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    (x,), dtype = inputs, _take(row, *inputs)
    axis = _axis("fold", params[0], x.shape)
    _axis("fold", axis + 1, x.shape)
    length, stride, dilation = _positive(
        "fold", length=params[1], stride=params[2], dilation=params[3]
    )
    n, size = x.shape[axis : axis + 2]
    if size < 1 or n < 1 or n_windows(length, size, stride, dilation) != n:
        raise ShapeError(
            f"fold got {n} windows of size {size} at axes {axis}, {axis + 1} of shape {x.shape}; a length of "
            f"{length} with stride {stride} and dilation {dilation} has "
            f"{max(0, n_windows(length, size, stride, dilation))}. Give the length that was windowed."
        )
    shape = (*x.shape[:axis], length, *x.shape[axis + 2 :])
    return (axis, length, stride, dilation), shape, dtype


def _scan(row: Op, inputs: tuple[Node, ...], params: tuple) -> Inferred:
    """Loops are made by loop.Scan, whose callers have told the user what does not fit."""
    loop, (kind, what) = params
    assert len(inputs) == len(loop.leaves), f"{loop} takes {len(loop.leaves)} inputs"
    assert loop.length >= 1, f"{loop} of {loop.length} steps"
    for x, leaf in zip(inputs, loop.leaves, strict=True):
        shape = (loop.length, *leaf.shape) if leaf in loop.xs else leaf.shape
        assert (x.shape, x.dtype) == (shape, leaf.dtype), f"{loop}: {leaf} stands for {x}"
    for leaf, after in zip(loop.carries, loop.nexts, strict=True):
        assert (after.shape, after.dtype) == (leaf.shape, leaf.dtype), f"{loop}: {leaf} to {after}"
    if kind == "final":
        return params, loop.carries[what].shape, loop.carries[what].dtype
    assert kind == "stack", kind
    return params, (loop.length, *what.shape), what.dtype


RULES: dict[str, Callable[[Op, tuple[Node, ...], tuple], Inferred]] = {
    "leaf": _leaf,
    "const": _const,
    "iota": _iota,
    "random": _random,
    **{op.name: _elementwise for op in OPS.values() if op.kind in ("unary", "binary")},
    "cast": _cast,
    "where": _where,
    "reshape": _reshape,
    "permute": _permute,
    "broadcast": _broadcast,
    "pad": _pad,
    "slice": _slice,
    "flip": _flip,
    "concat": _concat,
    "window": _window,
    "fold": _fold,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "reduce_min": _reduce,
    "argmax": _argmax,
    "cumsum": _cumsum,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "contract": _contract,
    "scan": _scan,
}
