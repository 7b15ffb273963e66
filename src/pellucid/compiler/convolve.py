"""Convolve: contractions whose results would be summed over overlapping windows become convolutions.

    fold(contract(g, w))  ->  contract(window(pad(g)), flip(w))     stride 1
    with a stride s       ->  one such contraction with s phases as an axis of its result (the sub-pixel
                              form: Shi et al. 2016, "Real-time single image and video super-resolution")
    slice(...) of these   ->  a smaller pad
    x beside pad(x)       ->  slice(pad(x)): the padded array alone is stored, every other reader looks inside

So the gradient of a convolution by its input, and a transposed convolution, are convolutions, and no
array of windows exists. Values are equal up to the order of summation, which is fixed by the shapes."""

from collections.abc import Sequence

from ..graph.infer import make, with_inputs
from ..graph.node import Node, topological_order
from ..graph.ops import VIEWS
from .emit import LANES
from .legalize import crop, pad_axis, permute, reshape, size, spread
from .lower import ELEMENTWISE


def convolve(roots: Sequence[Node]) -> list[Node]:
    """The same values without folds of contractions."""
    order = topological_order(roots)
    users: dict[Node, int] = dict.fromkeys(roots, 2)
    for node in order:
        for x in node.inputs:
            users[x] = users.get(x, 0) + 1
    new: dict[Node, Node] = {}
    made: set[Node] = set()  # results of folds that nobody else reads
    for node in order:
        inputs = tuple(new[x] for x in node.inputs)
        better = None
        if node.op == "fold":
            axis, *rest = node.params
            better = folded(inputs[0], axis, axis + 1, *rest)
            if better is not None and users[node] == 1:
                made.add(node)
        elif node.op == "slice" and node.inputs[0] in made and set(node.params[2]) == {1}:
            better = inputs[0]
            for axis, (lo, hi) in enumerate(zip(*node.params[:2], strict=True)):
                if better is not None and (lo, hi) != (0, better.shape[axis]):
                    better = cropped(better, axis, lo, hi)
        elif node.op in ("reshape", "permute") and node.inputs[0] in made and users[node] == 1:
            made.add(node)
        if better is None:
            better = with_inputs(node, inputs)
        new[node] = better
    return inside_of_padded([new[r] for r in roots])


def _kept_axis(x: Node, axis: int, n_axes: int = 1) -> int | None:
    """Where axes axis .. axis + n_axes - 1 of a reshape are among the axes of its input."""
    before, sizes, old = size(x.shape[:axis]), x.shape[axis : axis + n_axes], x.inputs[0].shape
    for i in range(len(old) - n_axes + 1):
        if size(old[:i]) == before and old[i : i + n_axes] == sizes:
            return i
    return None


def folded(
    x: Node, place: int, offset: int, length: int, stride: int, dilation: int
) -> Node | None:
    """x folded over axes (place, offset), the result at `place`; None where x is no contraction."""
    if x.op == "reshape":
        if offset != place + 1 or (at := _kept_axis(x, place, 2)) is None:
            return None
        inner = folded(x.inputs[0], at, at + 1, length, stride, dilation)
        shape = (*x.shape[:place], length, *x.shape[place + 2 :])
        return None if inner is None else reshape(inner, shape)
    if x.op == "permute":
        (axes,) = x.params
        inner = folded(x.inputs[0], axes[place], axes[offset], length, stride, dilation)
        if inner is None:
            return None
        gone = axes[offset]
        kept = [a - (a > gone) for i, a in enumerate(axes) if i != offset]
        return permute(inner, tuple(kept))
    if x.op != "contract":
        return None
    (a, b), (a_labels, b_labels, out) = x.inputs, x.params
    h, r = out[place], out[offset]
    if h in b_labels:
        a, b, a_labels, b_labels = b, a, b_labels, a_labels
    if h in b_labels or r in a_labels:
        return None
    new = max((*a_labels, *b_labels)) + 1
    if stride == 1:
        return _convolution(a, b, a_labels, b_labels, out, h, r, new, length, dilation)
    at = b_labels.index(r)
    b = spread(b, at, dilation)
    taps = b.shape[at]
    steps = -(-taps // stride)
    b = pad_axis(b, at, 0, steps * stride - taps)
    b = reshape(b, (*b.shape[:at], steps, stride, *b.shape[at + 1 :]))
    phase = new
    b_labels = (*b_labels[: at + 1], phase, *b_labels[at + 1 :])
    # The phases stand beside the places, where they belong, or next to short lanes, to fill them.
    narrow = x.shape[-1] < LANES and out[-1] not in (h, r)
    order = list(out)
    order.insert(len(order) - 1 if narrow else order.index(h) + 1, phase)
    places = x.shape[place] + steps - 1
    y = _convolution(a, b, a_labels, b_labels, tuple(order), h, r, new + 1, places, 1)
    left = [label for label in order if label != r]
    wanted = [label for label in left if label != phase]
    wanted.insert(wanted.index(h) + 1, phase)
    y = permute(y, tuple(left.index(label) for label in wanted))
    at = wanted.index(h)
    y = reshape(y, (*y.shape[:at], places * stride, *y.shape[at + 2 :]))
    return crop(y, at, length)


def _convolution(a, b, a_labels, b_labels, out, h, r, new, length: int, dilation: int) -> Node:
    """The fold over (h of a, r of b) with stride 1, its places labelled h."""
    at_a, at_b = a_labels.index(h), b_labels.index(r)
    n, taps = a.shape[at_a], b.shape[at_b]
    a = pad_through(a, at_a, (taps - 1) * dilation, length - n)
    a = make("window", (a,), (at_a, taps, 1, dilation))
    a_labels = (*a_labels[: at_a + 1], new, *a_labels[at_a + 1 :])
    b = make("flip", (b,), ((at_b,),))
    b_labels = tuple(new if label == r else label for label in b_labels)
    return make("contract", (a, b), (a_labels, b_labels, tuple(x for x in out if x != r)))


def pad_through(x: Node, axis: int, low: int, high: int) -> Node:
    """Zeros along an axis, put below the views, where pads join."""
    if not low and not high:
        return x
    if x.op == "window" and axis not in (x.params[0], x.params[0] + 1):
        at = axis if axis < x.params[0] else axis - 1
        return make("window", (pad_through(x.inputs[0], at, low, high),), x.params)
    if x.op == "permute":
        inner = pad_through(x.inputs[0], x.params[0][axis], low, high)
        return make("permute", (inner,), x.params)
    if x.op == "pad" and x.params[1] == 0:
        widths = tuple(
            (lo + low, hi + high) if i == axis else (lo, hi)
            for i, (lo, hi) in enumerate(x.params[0])
        )
        return make("pad", x.inputs, (widths, 0))
    return pad_axis(x, axis, low, high)


def cropped(x: Node, axis: int, lo: int, hi: int) -> Node | None:
    """x[lo:hi] along an axis, by computing less; None where that is not possible."""
    if x.op == "reshape":
        at = _kept_axis(x, axis)
        inner = None if at is None else cropped(x.inputs[0], at, lo, hi)
        shape = (*x.shape[:axis], hi - lo, *x.shape[axis + 1 :])
        return None if inner is None else reshape(inner, shape)
    if x.op == "permute":
        inner = cropped(x.inputs[0], x.params[0][axis], lo, hi)
        return None if inner is None else make("permute", (inner,), x.params)
    if x.op != "contract":
        return None
    label = x.params[2][axis]
    inputs = list(x.inputs)
    for i, labels in enumerate(x.params[:2]):
        if label in labels:
            part = sliced(inputs[i], labels.index(label), lo, hi)
            if part is None:
                return None
            inputs[i] = part
    return make("contract", inputs, x.params)


def sliced(x: Node, axis: int, lo: int, hi: int) -> Node | None:
    """x[lo:hi] along an axis of a view, put below windows, where it makes a pad smaller."""
    if x.op == "window":
        at, taps, stride, dilation = x.params
        if axis == at + 1:
            return None
        if axis == at:
            lo, hi = lo * stride, (hi - 1) * stride + dilation * (taps - 1) + 1
        inner = sliced(x.inputs[0], axis if axis <= at else axis - 1, lo, hi)
        return None if inner is None else make("window", (inner,), x.params)
    if x.op == "permute":
        inner = sliced(x.inputs[0], x.params[0][axis], lo, hi)
        return None if inner is None else make("permute", (inner,), x.params)
    if x.op == "pad":
        before, n = x.params[0][axis][0], x.inputs[0].shape[axis]
        first, last = max(lo - before, 0), min(hi - before, n)
        if first >= last:
            return None
        inner = sliced(x.inputs[0], axis, first, last)
        assert inner is not None or (first, last) != (0, n)
        if inner is None:
            return None
        low = max(before - lo, 0)
        widths = list(x.params[0])
        widths[axis] = (low, hi - lo - low - (last - first))
        return (
            make("pad", (inner,), (tuple(widths), x.params[1])) if any(map(any, widths)) else inner
        )
    if (lo, hi) == (0, x.shape[axis]):
        return x
    starts = tuple(lo if i == axis else 0 for i in range(len(x.shape)))
    stops = tuple(hi if i == axis else d for i, d in enumerate(x.shape))
    return make("slice", (x,), (starts, stops, (1,) * len(starts)))


# --- padded arrays


def inside_of_padded(roots: Sequence[Node]) -> list[Node]:
    """Where a contraction reads pad(x) and x is elementwise work, x itself is read inside of pad(x)."""
    order = topological_order(roots)
    home: dict[Node, Node] = {}  # x -> the pad of x that a contraction reads
    for node in order:
        if node.op != "contract":
            continue
        for x in node.inputs:
            while x.op in VIEWS:
                (x,) = x.inputs
            if x.op == "pad" and x.params[1] == 0 and x.inputs[0].op in ELEMENTWISE:
                known = home.setdefault(x.inputs[0], x)
                if x.size > known.size:
                    home[x.inputs[0]] = x
    home = {x: p for x, p in home.items() if x not in roots}
    if not home:
        return list(roots)
    new: dict[Node, Node] = {}
    padded: dict[Node, Node] = {}
    for node in order:
        if node.op == "pad" and home.get(node.inputs[0]) is node:
            new[node] = padded[node]
            continue
        inputs = tuple(new[x] for x in node.inputs)
        made = with_inputs(node, inputs)
        new[node] = made
        if node in home:
            padded[home[node]] = made = make("pad", (made,), home[node].params)
            starts = tuple(lo for lo, _ in home[node].params[0])
            stops = tuple(lo + d for lo, d in zip(starts, node.shape, strict=True))
            new[node] = make("slice", (made,), (starts, stops, (1,) * len(starts)))
    return [new[r] for r in roots]
