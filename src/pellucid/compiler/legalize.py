"""Legalize: rewrites a graph into the shapes that the kernel forms take. Always run, also unoptimised.

contract    the second operand has the result's last axis (the lanes run along it); a contraction without
            such an axis is a sum of products; a long sum with few results -> chunks
fold        with a stride -> one without, phase by phase
add         of arrays that are zero but for pieces side by side -> concat
reduce_*    a long reduction with few results -> two, in a number of chunks that depends on the shape alone"""

from collections.abc import Sequence
from itertools import pairwise

from ..graph.infer import make, with_inputs
from ..graph.node import Node, topological_order
from .kernel import OPERATION, identity

FEW = 64  # results
LONG = 32768  # elements per result of a row reduction; a chunk is half of it
TALL = 2048  # elements per result of a column reduction
ROWS = 512  # of a chunk of a column reduction
TILE = 14 * 32  # results of about one tile of a contraction
FEW_TILES = 160  # fewer do not keep several threads busy on a long sum
DEEP = 2048  # terms of one chunk of it
CHUNKS = 16
NARROW = 4096  # results of a column reduction that are few


def legalize(roots: Sequence[Node]) -> list[Node]:
    """The same values in legal form."""
    new: dict[Node, Node] = {}
    pieces: dict[Node, Pieces] = {}
    for node in topological_order(roots):
        inputs = tuple(new[x] for x in node.inputs)
        if node.op in ("contract", "reduce_sum") and any(x.size == 0 for x in inputs):
            zero = make("const", (), (0, node.dtype.name))  # a sum over nothing
            new[node] = make("broadcast", (zero,), (node.shape,)) if node.shape else zero
        elif node.op == "surrogate":
            new[node] = inputs[0]
        elif node.op == "pad":
            new[node] = padded = make("pad", inputs, node.params)
            axes = [i for i, w in enumerate(node.params[0]) if any(w)]
            if len(axes) == 1 and node.params[1] == 0 and inputs[0].size:
                lo = node.params[0][axes[0]][0]
                pieces[padded] = axes[0], ((lo, lo + inputs[0].shape[axes[0]], inputs[0]),)
        elif node.op == "add" and all(x in pieces for x in inputs):
            new[node] = joined(inputs, pieces)
        elif node.op == "contract":
            new[node] = contract(inputs, *node.params)
        elif node.op in ("reduce_sum", "reduce_max", "reduce_min"):
            new[node] = reduction(node, inputs[0])
        elif node.op == "fold" and node.params[2] != 1:
            new[node] = fold(inputs[0], *node.params)
        else:
            new[node] = with_inputs(node, inputs)
    return [new[r] for r in roots]


Pieces = tuple[int, tuple[tuple[int, int, Node], ...]]  # axis, (start, stop, part) in order; else 0


def joined(terms: tuple[Node, ...], pieces: dict[Node, Pieces]) -> Node:
    """The sum of arrays that are zero but for pieces along one axis: side by side where they fill it.

    The gradient of what was split: nothing is added but zeros. A -0.0 stays one."""
    total = make("add", terms)
    (axis, some), (other, more) = (pieces[x] for x in terms)
    parts = sorted((*some, *more), key=lambda part: part[:2])
    if axis != other or any(a[1] > b[0] for a, b in pairwise(parts)):
        return total
    if sum(stop - start for start, stop, _ in parts) == total.shape[axis]:
        return make("concat", tuple(x for _, _, x in parts), (axis,))
    pieces[total] = axis, tuple(parts)
    return total


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
    """The contraction in legal form."""
    a, b = inputs
    only_a = [x for x in out_labels if x not in b_labels]
    only_b = [x for x in out_labels if x not in a_labels]
    if not only_a and not only_b:
        return sum_of_products(a, b, a_labels, b_labels, out_labels)
    last = out_labels[-1]
    if last in a_labels and last in b_labels:  # the lanes run along an axis of one operand
        last = (only_b or only_a)[-1]
        order = tuple(x for x in out_labels if x != last) + (last,)
        out = contract(inputs, a_labels, b_labels, order)
        return permute(out, tuple(order.index(x) for x in out_labels))
    if last in a_labels:
        a, b, a_labels, b_labels = b, a, b_labels, a_labels
        only_a, only_b = only_b, only_a
    extent = dict(zip(a_labels, a.shape, strict=True)) | dict(zip(b_labels, b.shape, strict=True))
    results = size([extent[x] for x in out_labels])
    # Rows, and terms of the sum, in one order wherever they lie: else they are several loops. The smaller
    # array is turned.
    rows = [x for x in a_labels if x in only_a]
    if rows != only_a:
        if a.size > results:
            order = in_order(out_labels, rows)
            out = contract((a, b), a_labels, b_labels, order)
            return permute(out, tuple(order.index(x) for x in out_labels))
        a, a_labels = turned(a, a_labels, only_a)
    k = [x for x in b_labels if x not in out_labels]
    if k != [x for x in a_labels if x not in out_labels] and a.size < b.size:
        a, a_labels = turned(a, a_labels, k)
    depth = size([extent[x] for x in k])
    if results <= FEW_TILES * TILE and depth >= 2 * DEEP and k:
        wanted = min(CHUNKS, depth // DEEP)
        n = extent[k[0]]
        chunks = next((c for c in range(wanted, n + 1) if n % c == 0 and c <= 4 * wanted), 0)
        chunks = chunks or next(c for c in range(min(wanted, n), 0, -1) if n % c == 0)
        if chunks > 1:
            new = max(extent) + 1
            a, a_labels = _split(a, a_labels, k[0], new, chunks)
            b, b_labels = _split(b, b_labels, k[0], new, chunks)
            parts = lanes_last(a, b, a_labels, b_labels, (new, *out_labels))
            return make("reduce_sum", (parts,), ((0,),))
    return lanes_last(a, b, a_labels, b_labels, out_labels)


def in_order(labels, some: list[int]) -> tuple[int, ...]:
    """The labels with those of `some` in that order, at the places that they have together."""
    following = iter(some)
    return tuple(next(following) if x in some else x for x in labels)


def turned(x: Node, labels, some: list[int]) -> tuple[Node, tuple[int, ...]]:
    """An operand with these labels in another order; the schedule stores it that way."""
    order = in_order(labels, some)
    return permute(x, tuple(labels.index(label) for label in order)), order


def lanes_last(a: Node, b: Node, a_labels, b_labels, out_labels) -> Node:
    """The contraction with the lanes' axis of b its last one; a view, unless b is worth a copy."""
    axis = b_labels.index(out_labels[-1])
    order = (*(i for i in range(len(b_labels)) if i != axis), axis)
    return make(
        "contract",
        (a, permute(b, order)),
        (a_labels, tuple(b_labels[i] for i in order), out_labels),
    )


def _split(x: Node, labels, label: int, new: int, chunks: int) -> tuple[Node, tuple[int, ...]]:
    """One axis as two: (chunk, element)."""
    at = labels.index(label)
    shape = (*x.shape[:at], chunks, x.shape[at] // chunks, *x.shape[at + 1 :])
    return reshape(x, shape), (*labels[:at], new, *labels[at:])


def sum_of_products(a: Node, b: Node, a_labels, b_labels, out_labels) -> Node:
    """A contraction whose result has no axis of one operand alone (a row by row dot product, a depthwise
    convolution): nothing would be read twice, so it is a loop."""
    order = (*out_labels, *(x for x in a_labels if x not in out_labels))
    extent = dict(zip(a_labels, a.shape, strict=True)) | dict(zip(b_labels, b.shape, strict=True))
    shape = tuple(extent[x] for x in order)

    def spread_over(x: Node, labels) -> Node:
        x = permute(x, tuple(sorted(range(len(labels)), key=lambda i: order.index(labels[i]))))
        x = reshape(x, tuple(extent[o] if o in labels else 1 for o in order))
        return x if x.shape == shape else make("broadcast", (x,), (shape,))

    product = make("mul", (spread_over(a, a_labels), spread_over(b, b_labels)))
    axes = tuple(range(len(out_labels), len(order)))
    if not axes:
        return product
    node = make("reduce_sum", (product,), (axes,))
    return reduction(node, product)


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
