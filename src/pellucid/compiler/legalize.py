"""Legalize: rewrites a graph into the shapes that the kernel forms take. Always run, also unoptimised.

contract    any labels -> (batch, m, k) x (batch, k, n), the operands as views (reshape of permute)
fold        with a stride -> one without, phase by phase
reduce_*    a long reduction with few results -> two, in a number of chunks that depends on the shape alone"""

from collections.abc import Sequence

from ..graph.infer import make
from ..graph.node import Node, topological_order
from .kernel import OPERATION, identity

CANONICAL = ((0, 1, 2), (0, 2, 3), (0, 1, 3))
FEW = 64  # results
LONG = 32768  # elements per result of a row reduction; a chunk is half of it
TALL = 2048  # elements per result of a column reduction
ROWS = 512  # of a chunk of a column reduction
NARROW = 4096  # results of a column reduction that are few


def legalize(roots: Sequence[Node]) -> list[Node]:
    """The same values in legal form."""
    new: dict[Node, Node] = {}
    for node in topological_order(roots):
        inputs = tuple(new[x] for x in node.inputs)
        if node.op in ("contract", "reduce_sum") and any(x.size == 0 for x in inputs):
            zero = make("const", (), (0, node.dtype.name))  # a sum over nothing
            new[node] = make("broadcast", (zero,), (node.shape,)) if node.shape else zero
        elif node.op == "contract" and node.params != CANONICAL:
            new[node] = contract(inputs, *node.params)
        elif node.op in ("reduce_sum", "reduce_max", "reduce_min"):
            new[node] = reduction(node, inputs[0])
        elif node.op == "fold" and node.params[2] != 1:
            new[node] = fold(inputs[0], *node.params)
        elif inputs == node.inputs:
            new[node] = node
        else:
            new[node] = make(node.op, inputs, node.params)
    return [new[r] for r in roots]


def reshape(x: Node, shape: tuple[int, ...]) -> Node:
    """x.reshape(shape), or x where that is its shape."""
    return x if x.shape == shape else make("reshape", (x,), (shape,))


def permute(x: Node, axes: tuple[int, ...]) -> Node:
    """x.permute(axes), or x where nothing moves."""
    return x if axes == tuple(range(len(axes))) else make("permute", (x,), (axes,))


def size(shape: Sequence[int]) -> int:
    """Product of a shape."""
    n = 1
    for d in shape:
        n *= d
    return n


def contract(inputs: tuple[Node, ...], a_labels, b_labels, out_labels) -> Node:
    """The contraction in canonical form."""
    a, b = inputs
    if out_labels and out_labels[-1] in a_labels and out_labels[-1] not in b_labels:
        a, b, a_labels, b_labels = (
            b,
            a,
            b_labels,
            a_labels,
        )  # lanes run along the last axis of the result
    extent = dict(zip(a_labels, a.shape, strict=True)) | dict(zip(b_labels, b.shape, strict=True))
    batch = [x for x in out_labels if x in a_labels and x in b_labels]
    m = [x for x in out_labels if x not in b_labels]
    n = [x for x in out_labels if x not in a_labels]
    k = [x for x in a_labels if x in b_labels and x not in out_labels]

    def operand(x: Node, labels, *groups) -> Node:
        order = [label for group in groups for label in group]
        x = permute(x, tuple(labels.index(label) for label in order))
        return reshape(x, tuple(size([extent[label] for label in group]) for group in groups))

    out = make(
        "contract",
        (operand(a, a_labels, batch, m, k), operand(b, b_labels, batch, k, n)),
        CANONICAL,
    )
    order = batch + m + n
    out = reshape(out, tuple(extent[label] for label in order))
    return permute(out, tuple(order.index(label) for label in out_labels))


def fold(x: Node, axis: int, length: int, stride: int, dilation: int) -> Node:
    """A fold with a stride as one without: element j = t * stride + phase of a window goes to `phase`."""
    x = spread(x, axis + 1, dilation)
    shape = x.shape
    steps = -(-shape[axis + 1] // stride)
    x = pad_axis(x, axis + 1, 0, steps * stride - shape[axis + 1])
    x = reshape(x, (*shape[: axis + 1], steps, stride, *shape[axis + 2 :]))
    places = shape[axis] + steps - 1
    x = make("fold", (x,), (axis, places, 1, 1))  # (..., places, stride, ...)
    x = reshape(x, (*shape[:axis], places * stride, *shape[axis + 2 :]))
    return crop(x, axis, length)


def pad_axis(x: Node, axis: int, low: int, high: int) -> Node:
    """Zeros before and after along one axis."""
    if not low and not high:
        return x
    widths = tuple((low, high) if a == axis else (0, 0) for a in range(len(x.shape)))
    return make("pad", (x,), (widths, 0))


def spread(x: Node, axis: int, step: int) -> Node:
    """step - 1 zeros between the elements of an axis."""
    if step == 1 or x.shape[axis] == 1:
        return x
    n = x.shape[axis]
    x = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
    x = pad_axis(x, axis + 1, 0, step - 1)
    x = reshape(x, (*x.shape[:axis], n * step, *x.shape[axis + 2 :]))
    return crop(x, axis, (n - 1) * step + 1)


def crop(x: Node, axis: int, length: int) -> Node:
    """The first `length` elements of an axis; zeros follow where there are fewer."""
    x = pad_axis(x, axis, 0, max(0, length - x.shape[axis]))
    if x.shape[axis] == length:
        return x
    stops = tuple(length if a == axis else d for a, d in enumerate(x.shape))
    return make("slice", (x,), ((0,) * len(stops), stops, (1,) * len(stops)))


def is_row_reduction(shape: Sequence[int], axes: Sequence[int]) -> bool:
    """Whether the lanes run along the reduced elements: the last axis longer than 1 is reduced."""
    for axis in range(len(shape) - 1, -1, -1):
        if shape[axis] != 1:
            return axis in axes
    return True


def reduction(node: Node, x: Node) -> Node:
    """The reduction, in chunks where it is long."""
    (axes,) = node.params
    if not axes:
        return x
    plain = make(node.op, (x,), (axes,))
    length, results = size([x.shape[a] for a in axes]), plain.size
    kept = tuple(a for a in range(len(x.shape)) if a not in axes)
    if is_row_reduction(x.shape, axes):
        if results > FEW or results == 0 or length < LONG:
            return plain
        chunks = -(-length // (LONG // 2))
        rows = reshape(permute(x, kept + tuple(axes)), (results, length))
        parts = make(node.op, (_chunked(rows, 1, chunks, node.op),), ((2,),))
        return reshape(make(node.op, (parts,), ((1,),)), plain.shape)
    if results > NARROW or results == 0 or length < TALL:
        return plain
    chunks = min(64, -(-length // ROWS))
    columns = reshape(permute(x, tuple(axes) + kept), (length, results))
    parts = make(node.op, (_chunked(columns, 0, chunks, node.op),), ((1,),))
    return reshape(make(node.op, (parts,), ((0,),)), plain.shape)


def _chunked(x: Node, axis: int, chunks: int, op: str) -> Node:
    """Splits an axis of a rank-2 node in (chunks, length), padded with what changes no result."""
    n = x.shape[axis]
    length = -(-n // chunks)
    if chunks * length != n:
        widths = tuple((0, chunks * length - n) if a == axis else (0, 0) for a in (0, 1))
        x = make("pad", (x,), (widths, identity(OPERATION[op], x.dtype)))
    return reshape(x, x.shape[:axis] + (chunks, length) + x.shape[axis + 1 :])
