"""x[key] and x[key] = value on nodes, with NumPy's meaning (NumPy manual, "Indexing on ndarrays").

A key is made of integers, slices (any step), None, Ellipsis, integer arrays and boolean masks.
Arrays that are known now are checked now; an index that is itself computed in a compiled function
cannot be, and is clamped into range by gather. A mask must be known: the result's shape depends on it."""

import itertools
import operator
from dataclasses import dataclass
from math import prod

import numpy as np

from ..base import dtypes
from ..base.errors import DTypeError, IndexRangeError, ShapeError
from ..graph.infer import constant, make
from ..graph.node import Node, Shape
from .elementwise import broadcast, broadcast_shape, cast
from .shaping import cut, flip, permute, reshape


@dataclass(frozen=True, eq=False)
class ArrayIndex:
    """An integer array or a mask in a key: its values where they are known now, and its node.

    values  NumPy integers or bool, or None in a trace
    node    the same as a node, integers only, or None: made from the values when needed"""

    values: np.ndarray | None
    node: Node | None


def expanded(key, shape: Shape) -> list:
    """The key with one item for each axis: masks as integer arrays, Ellipsis as full slices."""
    items = list(key) if isinstance(key, tuple) else [key]
    n_used = sum(_axes_of(item) for item in items)
    if n_used > len(shape):
        raise IndexRangeError(
            f"index {_text(items)} names {n_used} axes, shape {shape} has {len(shape)}. "
            "Use fewer indices, or None to add an axis."
        )
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexRangeError(f"index {_text(items)} has '...' twice; once is enough.")
    at = dots[0] if dots else len(items)
    items[at : at + len(dots)] = [slice(None)] * (len(shape) - n_used)
    spread: list = []
    axis = 0
    for item in items:
        if not _is_mask(item):
            spread.append(item)
            axis += _axes_of(item)
            continue
        mask = item.values
        if mask.shape != shape[axis : axis + mask.ndim]:
            raise IndexRangeError(
                f"a mask of shape {mask.shape} cannot index shape {shape} at axis {axis}: "
                f"it must be {shape[axis : axis + mask.ndim]}."
            )
        if mask.ndim == 0:  # x[True] adds an axis of size 1, x[False] one of size 0
            spread += [None, _MaskScalar(bool(mask))]
        else:
            spread.extend(ArrayIndex(places, None) for places in np.nonzero(mask))
        axis += mask.ndim
    return spread


def _is_mask(item) -> bool:
    return isinstance(item, ArrayIndex) and item.values is not None and item.values.dtype == bool


@dataclass(frozen=True)
class _MaskScalar:
    value: bool


def _axes_of(item) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.values.ndim if _is_mask(item) else 1


def _text(items) -> str:
    def one(item) -> str:
        if item is Ellipsis:
            return "..."
        if isinstance(item, slice):
            parts = ["" if v is None else str(v) for v in (item.start, item.stop)]
            return ":".join(parts) + ("" if item.step is None else f":{item.step}")
        if isinstance(item, ArrayIndex):
            return "array"
        return str(item)

    return "[" + ", ".join(map(one, items)) + "]"


def read(x: Node, key, as_leaf) -> Node:
    """x[key]. `as_leaf` makes a node of a NumPy array of int64."""
    return _Plan(x.shape, expanded(key, x.shape)).apply(x, as_leaf)


class _Plan:
    """A key in two parts: basic (cut, flip, drop and add axes), then arrays (gather).

    starts, stops, steps  one for each axis of x; flipped: the axes that go backwards
    view      the shape after the basic part
    arrays    (axis of the view, index) of every integer array
    adjoin    whether the arrays stand side by side in the key; front: how many axes stand before"""

    def __init__(self, shape: Shape, items: list):
        self.starts: list[int] = []
        self.stops: list[int] = []
        self.steps: list[int] = []
        self.flipped: list[int] = []
        self.view: list[int] = []
        self.arrays: list[tuple[int, ArrayIndex]] = []
        self.is_empty = False
        axis = 0
        has_arrays = any(isinstance(i, ArrayIndex) for i in items)
        places: list[int] = []  # positions in the key of array-like items, to see if they adjoin
        for position, item in enumerate(items):
            if item is None:
                self.view.append(1)
                continue
            if isinstance(item, _MaskScalar):
                self.is_empty |= not item.value
                continue
            n = shape[axis]
            if isinstance(item, slice):
                self._slice(item, n, axis)
            elif isinstance(item, ArrayIndex):
                self._whole(n)
                self.arrays.append((len(self.view), item))
                self.view.append(n)
                places.append(position)
            else:
                i = self._integer(item, n, axis, shape)
                self.starts.append(i)
                self.stops.append(i + 1)
                self.steps.append(1)
                if has_arrays:  # beside arrays an integer is an array of shape (): it joins them
                    places.append(position)
            axis += 1
        gaps = [b - a for a, b in itertools.pairwise(places)]
        self.adjoin = all(g == 1 for g in gaps)
        # Where the result of the arrays goes when they adjoin: after the axes before the first one.
        self.front = self._view_axes_before(items, places[0]) if places else 0

    @staticmethod
    def _view_axes_before(items: list, position: int) -> int:
        return sum(item is None or isinstance(item, slice) for item in items[:position])

    def _whole(self, n: int) -> None:
        self.starts.append(0)
        self.stops.append(n)
        self.steps.append(1)

    def _slice(self, item: slice, n: int, axis: int) -> None:
        try:
            start, stop, step = item.indices(n)
        except TypeError:
            raise DTypeError(f"index {_text([item])}: a slice is made of whole numbers.") from None
        except ValueError:
            raise IndexRangeError(f"index {_text([item])}: a slice's step cannot be 0.") from None
        count = len(range(start, stop, step))
        if step < 0:  # the same elements, upwards, then flipped
            start, step = start + (count - 1) * step, -step
            self.flipped.append(axis)
        if count == 0:
            start, stop, step = 0, 0, 1
        else:
            stop = start + (count - 1) * step + 1
        self.starts.append(start)
        self.stops.append(stop)
        self.steps.append(step)
        self.view.append(count)

    @staticmethod
    def _integer(item, n: int, axis: int, shape: Shape) -> int:
        try:
            i = operator.index(item)
        except TypeError:
            raise DTypeError(
                f"index {item!r} of type {type(item).__name__}: an index is an integer, a slice, "
                "None, '...', an integer array or a mask."
            ) from None
        if not -n <= i < n:
            raise IndexRangeError(
                f"index {i} is out of range for axis {axis} of shape {shape}: "
                + (f"it must be from {-n} to {n - 1}." if n else "the axis is empty.")
            )
        return i % n

    def apply(self, x: Node, as_leaf) -> Node:
        y = flip(cut(x, self.starts, self.stops, self.steps), tuple(self.flipped))
        y = reshape(y, tuple(self.view))
        if self.is_empty:
            y = cut(y, (0,) * len(self.view), (0, *self.view[1:]))
        if self.arrays:
            y = self._gather(y, as_leaf)
        return y

    def _gather(self, y: Node, as_leaf) -> Node:
        axes = [a for a, _ in self.arrays]
        rest = [a for a in range(len(y.shape)) if a not in axes]
        counts = [y.shape[a] for a in axes]
        index = flat_index([i for _, i in self.arrays], counts, y.shape, axes, as_leaf)
        moved = permute(y, [*axes, *rest])
        moved = reshape(moved, (prod(counts), *(y.shape[a] for a in rest)))
        if index.size == 0:  # also when there is nothing to gather from
            return constant(0, y.dtype, self._placed(index.shape, moved.shape[1:])[0])
        out = make("gather", (moved, index))
        _, order = self._placed(index.shape, moved.shape[1:])
        return permute(out, order)

    def _placed(self, index_shape: Shape, rest: Shape) -> tuple[Shape, list[int]]:
        """NumPy puts the arrays' axes where the first array was if all adjoin, else in front."""
        k = len(index_shape)
        front = self.front if self.adjoin else 0
        order = [*range(k, k + front), *range(k), *range(k + front, k + len(rest))]
        return (*rest[:front], *index_shape, *rest[front:]), order


def flat_index(
    indices: list[ArrayIndex], counts: list[int], shape: Shape, axes: list[int], as_leaf
) -> Node:
    """One integer array for several axes at once: i0 · n1 + i1 ..., negative ones from the end."""
    shapes = [tuple(i.values.shape if i.values is not None else i.node.shape) for i in indices]  # type: ignore[union-attr]
    out_shape = broadcast_shape("indexing with arrays", shapes)
    if all(i.values is not None for i in indices):
        total: np.ndarray = np.zeros(out_shape, np.int64)
        for i, n, axis in zip(indices, counts, axes, strict=True):
            assert i.values is not None
            total = total * n + checked(i.values, n, axis, shape)
        return as_leaf(total)
    flat: Node | None = None
    for i, n, axis in zip(indices, counts, axes, strict=True):
        if i.values is not None:
            node = as_leaf(checked(i.values, n, axis, shape))
        else:
            assert i.node is not None
            node = wrapped(i.node, n)
        node = broadcast(node, out_shape)
        if flat is not None:
            flat = make("mul", (flat, constant(n, dtypes.int64, out_shape)))
            node = make("add", (flat, node))
        flat = node
    assert flat is not None
    return flat


def wrapped(index: Node, n: int) -> Node:
    """Negative indices count from the end; int64."""
    if index.dtype.kind != "i":
        raise DTypeError(
            f"an index of {index.dtype} inside a compiled function: only integers can index there, "
            "since the shape must be known. For a mask use where(mask, x, other)."
        )
    index = cast(index, dtypes.int64)
    is_negative = make("lt", (index, constant(0, dtypes.int64, index.shape)))
    shifted = make("add", (index, constant(n, dtypes.int64, index.shape)))
    return make("where", (is_negative, shifted, index))


def checked(values: np.ndarray, n: int, axis: int, shape: Shape) -> np.ndarray:
    """int64 indices from 0 to n - 1, or IndexRangeError with the first that is not."""
    if values.dtype.kind not in "iu":
        if values.size:
            raise DTypeError(
                f"an index array of {values.dtype}: it must hold integers or bool. Use astype(int64)."
            )
        values = values.astype(np.int64)
    outside = (values < -n) | (values >= n)
    if outside.any():
        first = int(values[outside][0])
        raise IndexRangeError(
            f"index {first} is out of range for axis {axis} of shape {shape}: "
            + (f"it must be from {-n} to {n - 1}." if n else "the axis is empty.")
        )
    values = values.astype(np.int64)
    return np.where(values < 0, values + n, values)


def write(x: Node, key, value: Node, as_leaf) -> Node:
    """x with value at x[key]; of equal places the last one wins, as in NumPy. The key must be known."""
    items = expanded(key, x.shape)
    places = np.arange(prod(x.shape), dtype=np.int64).reshape(x.shape)
    numpy_key: list = []
    for item in items:
        if isinstance(item, ArrayIndex):
            if item.values is None:
                raise DTypeError(
                    "x[index] = value inside a compiled function needs an index that is known "
                    "before it runs. Use where(mask, value, x) with a mask instead."
                )
            checked_axis = len([i for i in numpy_key if i is not None])
            numpy_key.append(checked(item.values, x.shape[checked_axis], checked_axis, x.shape))
        elif isinstance(item, _MaskScalar):
            numpy_key.append(item.value)
        else:
            numpy_key.append(item)
    _Plan(x.shape, items)  # raises with our words
    places = places[tuple(numpy_key)]
    if not _stretches(value.shape, places.shape):
        raise ShapeError(
            f"x[{_text(items)[1:-1]}] = value: the place has shape {places.shape}, the value {value.shape}. "
            "Counted from the last axis, sizes must be equal or 1."
        )
    while len(value.shape) > places.ndim:
        value = reshape(value, value.shape[1:])
    value = cast(value, x.dtype)
    if places.size == 0 or x.size == 0:
        return x
    if value.shape != places.shape:
        value = make("broadcast", (value,), (places.shape,))
    source = np.zeros(x.size, np.int64)
    source[places.ravel()] = np.arange(places.size)
    is_written = np.zeros(x.size, np.bool_)
    is_written[places.ravel()] = True
    new = make("gather", (reshape(value, (value.size,)), as_leaf(source.reshape(x.shape))))
    return make("where", (as_leaf(is_written.reshape(x.shape)), new, x))


def _stretches(shape: Shape, target: Shape) -> bool:
    while len(shape) > len(target) and shape[0] == 1:
        shape = shape[1:]
    n = len(target) - len(shape)
    return n >= 0 and all(d in (1, t) for d, t in zip(shape, target[n:], strict=True))
