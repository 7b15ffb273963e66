"""Shapes of nodes: axes counted from either end, reshape with -1, permute, pad, concat and the like."""

import operator
from collections.abc import Iterable, Sequence
from math import prod

from ..base import dtypes
from ..base.errors import DTypeError, IndexRangeError, ShapeError
from ..graph.infer import constant, make
from ..graph.node import Node, Shape
from .elementwise import cast, fits

Axes = int | Iterable[int] | None


def one_axis(op: str, axis, rank: int, shape: Shape) -> int:
    """The axis counted from 0; negative ones count from the end."""
    try:
        axis = operator.index(axis)
    except TypeError:
        raise DTypeError(f"{op} got axis {axis!r}; an axis is a whole number.") from None
    if not -rank <= axis < rank:
        known = f"axes {-rank} to {rank - 1}" if rank else "no axes"
        raise IndexRangeError(f"{op} got axis {axis}, but shape {shape} has {known}.")
    return axis % rank


def all_axes(op: str, axes: Axes, shape: Shape) -> tuple[int, ...]:
    """The axes, sorted, counted from 0; None means all."""
    rank = len(shape)
    if axes is None:
        return tuple(range(rank))
    if isinstance(axes, Iterable):
        found = sorted(one_axis(op, a, rank, shape) for a in axes)
        if len(set(found)) < len(found):
            raise IndexRangeError(f"{op} got axes {tuple(axes)}: name each axis once.")
        return tuple(found)
    return (one_axis(op, axes, rank, shape),)


def plain_shape(op: str, args: Sequence) -> Shape:
    """Sizes given as one tuple or one by one: f(2, 3) or f((2, 3))."""
    if len(args) == 1 and isinstance(args[0], Iterable):
        args = tuple(args[0])
    try:
        return tuple(operator.index(d) for d in args)
    except TypeError:
        raise DTypeError(f"{op} got sizes {tuple(args)}; sizes are whole numbers.") from None


def sizes(op: str, args: Sequence) -> Shape:
    """As plain_shape, and none may be negative."""
    shape = plain_shape(op, args)
    if any(d < 0 for d in shape):
        raise ShapeError(f"{op} got shape {shape}: sizes must be 0 or more.")
    return shape


def reshape(x: Node, shape: Shape) -> Node:
    """The same elements in row-major order; one size may be -1: what is left."""
    if -1 in shape:
        rest = prod(d for d in shape if d != -1)
        if shape.count(-1) > 1 or rest == 0 or x.size % rest:
            raise ShapeError(
                f"reshape got shape {x.shape} with {x.size} elements and the new shape {shape}: "
                "at most one size may be -1, and the others must divide the number of elements."
            )
        shape = tuple(x.size // rest if d == -1 else d for d in shape)
    if shape == x.shape:
        return x
    return make("reshape", (x,), (shape,))


def permute(x: Node, axes: Sequence[int] | None) -> Node:
    """The axes in a new order; None reverses them."""
    rank = len(x.shape)
    if axes is None:
        order = tuple(range(rank))[::-1]
    else:
        order = tuple(one_axis("permute", a, rank, x.shape) for a in axes)
        if sorted(order) != list(range(rank)):
            raise IndexRangeError(
                f"permute got axes {tuple(axes)} for shape {x.shape}: name each of its {rank} axes once."
            )
    return x if order == tuple(range(rank)) else make("permute", (x,), (order,))


def transpose(x: Node, a: int, b: int) -> Node:
    """Two axes exchanged."""
    rank = len(x.shape)
    a, b = (one_axis("transpose", i, rank, x.shape) for i in (a, b))
    order = list(range(rank))
    order[a], order[b] = b, a
    return permute(x, order)


def move_axis(x: Node, source: Axes, target: Axes) -> Node:
    """Axes `source` at the places `target`, the others in order around them."""
    rank = len(x.shape)

    def listed(axes: Axes) -> list[int]:
        axes = axes if isinstance(axes, Iterable) else (axes,)  # type: ignore[assignment]
        return [one_axis("moveaxis", a, rank, x.shape) for a in axes]  # type: ignore[union-attr]

    sources, targets = listed(source), listed(target)
    if (
        len(sources) != len(targets)
        or len(set(sources)) < len(sources)
        or len(set(targets)) < len(targets)
    ):
        raise IndexRangeError(
            f"moveaxis got {source} and {target}: give as many places as axes, each once."
        )
    rest = [i for i in range(rank) if i not in sources]
    order: list[int] = []
    for i in range(rank):
        order.append(sources[targets.index(i)] if i in targets else rest.pop(0))
    return permute(x, order)


def squeeze(x: Node, axes: Axes) -> Node:
    """Without the named axes, which must have size 1; None: without all of size 1."""
    if axes is None:
        found = tuple(i for i, d in enumerate(x.shape) if d == 1)
    else:
        found = all_axes("squeeze", axes, x.shape)
        for i in found:
            if x.shape[i] != 1:
                raise ShapeError(
                    f"squeeze got axis {i} of shape {x.shape}, which has size {x.shape[i]}; "
                    "only axes of size 1 can go. Index it, or reduce over it."
                )
    return reshape(x, tuple(d for i, d in enumerate(x.shape) if i not in found))


def unsqueeze(x: Node, axes: int | Iterable[int]) -> Node:
    """With new axes of size 1 at these places of the result."""
    listed = tuple(axes) if isinstance(axes, Iterable) else (axes,)
    rank = len(x.shape) + len(listed)
    places = {one_axis("unsqueeze", a, rank, x.shape) for a in listed}
    if len(places) < len(listed):
        raise IndexRangeError(f"unsqueeze got axes {listed}: name each axis once.")
    rest = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(rest) for i in range(rank)))


def expand(x: Node, shape: Shape) -> Node:
    """Stretched to `shape`; -1 keeps a size."""
    n = len(shape) - len(x.shape)
    if n >= 0:
        shape = (
            *shape[:n],
            *(e if d == -1 else d for d, e in zip(shape[n:], x.shape, strict=True)),
        )
    if any(d < 0 for d in shape) or not fits(x.shape, shape):
        raise ShapeError(
            f"broadcast_to got shape {x.shape}, which does not fit {shape}: counted from the last "
            "axis, sizes must be equal or 1. Use reshape to add axes of size 1."
        )
    return x if shape == x.shape else make("broadcast", (x,), (shape,))


def pad(x: Node, widths, value) -> Node:
    """Surrounded by `value`; widths as NumPy has them: one number, (before, after), or one pair per axis."""
    rank = len(x.shape)
    if isinstance(widths, int):
        pairs = [(widths, widths)] * rank
    else:
        listed = list(widths)
        if len(listed) == 2 and all(isinstance(w, int) for w in listed):
            pairs = [(listed[0], listed[1])] * rank
        else:
            pairs = [tuple(w) for w in listed]
            if len(pairs) == 1 and rank != 1:
                pairs = pairs * rank
    if not any(w for pair in pairs for w in pair) and len(pairs) == rank:
        return x
    return make("pad", (x,), (tuple(pairs), value))


def flip(x: Node, axes: Axes) -> Node:
    """Backwards along the axes (all of them for None)."""
    found = all_axes("flip", axes, x.shape)
    found = tuple(a for a in found if x.shape[a] > 1)
    return make("flip", (x,), (found,)) if found else x


def concat(xs: Sequence[Node], axis: int | None) -> Node:
    """One after the other along an axis; None flattens them first."""
    if not xs:
        raise ShapeError("concat got no tensors: give at least one.")
    if axis is None:
        xs, axis = [reshape(x, (x.size,)) for x in xs], 0
    dtype = xs[0].dtype
    for x in xs[1:]:
        dtype = dtypes.promote(dtype, x.dtype)
    if not xs[0].shape:
        raise ShapeError("concat got a number without axes: use stack, or reshape(1) first.")
    axis = one_axis("concat", axis, len(xs[0].shape), xs[0].shape)
    return make("concat", [cast(x, dtype) for x in xs], (axis,))


def stack(xs: Sequence[Node], axis: int) -> Node:
    """Equal shapes, along a new axis."""
    if not xs:
        raise ShapeError("stack got no tensors: give at least one.")
    for x in xs:
        if x.shape != xs[0].shape:
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ShapeError(
                f"stack got shapes {shapes}: they must be equal. Use concat otherwise."
            )
    return concat(
        [unsqueeze(x, axis) for x in xs], one_axis("stack", axis, len(xs[0].shape) + 1, xs[0].shape)
    )


def cut(
    x: Node, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None
) -> Node:
    """x[start:stop:step, ...] for every axis, steps > 0."""
    steps = tuple(steps) if steps is not None else (1,) * len(x.shape)
    starts, stops = tuple(starts), tuple(stops)
    if all(
        s == 0 and e == d and k == 1
        for s, e, k, d in zip(starts, stops, steps, x.shape, strict=True)
    ):
        return x
    return make("slice", (x,), (starts, stops, steps))


def cut_axis(x: Node, axis: int, start: int, stop: int, step: int = 1) -> Node:
    """x[start:stop:step] along one axis."""
    starts, stops, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return cut(x, starts, stops, steps)


def triangle(x: Node, k: int, is_upper: bool) -> Node:
    """The last two axes with zeros below (upper) or above (lower) the k-th diagonal."""
    if len(x.shape) < 2:
        name = "triu" if is_upper else "tril"
        raise ShapeError(f"{name} got shape {x.shape}: it needs two axes or more.")
    shape = x.shape[-2:]
    rows, columns = (make("iota", (), (shape, i, "int64")) for i in (0, 1))
    limit = make("add", (rows, constant(k, dtypes.int64, shape)))
    kept = make("le", (limit, columns) if is_upper else (columns, limit))
    if kept.shape != x.shape:
        kept = make("broadcast", (kept,), (x.shape,))
    return make("where", (kept, x, constant(0, x.dtype, x.shape)))
