"""Rewrites a graph to a smaller one of the same bits (a NaN stays a NaN; its payload is free).

One walk, inputs before users. A rule looks at one node whose inputs are simple already and gives a
better node, or None. Only what is exact in floating point is a rule: x * 1 is x, but x + 0 is not
(-0.0 + 0.0 is 0.0), (a + b) + c is not a + (b + c), and exp of a constant is left to the engine,
whose exp is its own."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..base import dtypes
from ..graph.infer import constant, is_constant, make, with_inputs
from ..graph.node import Node, Shape, topological_order
from ..graph.ops import OPS
from ..graph.reference import REFERENCE

Rule = Callable[[Node], Node | None]


def simplify(nodes: Sequence[Node]) -> list[Node]:
    """`nodes` rewritten; each has the shape, dtype and bits of the one it replaces."""
    new: dict[Node, Node] = {}
    for node in topological_order(nodes):
        inputs = tuple(new[x] for x in node.inputs)
        new[node] = _settle(with_inputs(node, inputs))
        assert (new[node].shape, new[node].dtype) == (node.shape, node.dtype), (node, new[node])
    return [new[n] for n in nodes]


def _settle(node: Node) -> Node:
    """`node`, whose inputs are simple, after every rule that applies."""
    again = True
    while again:
        again = False
        for rule in RULES.get(node.op, ()):
            better = rule(node)
            if better is not None:
                assert better is not node, f"{rule.__name__} does not change {node}"
                node, again = better, True
                break
    return node


def _make(op: str, inputs: tuple[Node, ...], *params) -> Node:
    """A simple node: what a rule builds below its answer."""
    return _settle(make(op, inputs, params))


# ---- constants


def _number(x: Node) -> bool | int | float | None:
    """The one value of a constant of any shape, else None."""
    if not is_constant(x):
        return None
    while x.op != "const":
        x = x.inputs[0]
    return x.params[0]


def _is(x: Node, value: float) -> bool:
    """Whether x is the constant `value`, told apart from its negative zero."""
    n = _number(x)
    return n is not None and n == value and math.copysign(1, n) == math.copysign(1, value)


# exp and its like are the engine's own; for the rest one answer exists, so NumPy's is the engine's.
_OWN = {"exp", "log", "sin", "cos", "tanh", "erf", "floordiv", "mod"}
_EXACT = {op.name for op in OPS.values() if op.is_elementwise} - _OWN


def _fold(node: Node) -> Node | None:
    """An exact operation on constants is a constant."""
    numbers = [_number(x) for x in node.inputs]
    values = [n for n in numbers if n is not None]
    if node.op not in _EXACT or len(values) < len(numbers):
        return None
    if node.op in ("maximum", "minimum") and values[0] == values[1] == 0:
        return None  # which of 0.0 and -0.0 is the larger one is not said
    arrays = (np.asarray(v, x.dtype.numpy) for v, x in zip(values, node.inputs, strict=True))
    with np.errstate(all="ignore"):
        value = np.asarray(REFERENCE[node.op](*arrays, *node.params)).item()
    return constant(value, node.dtype, node.shape)


def _move_constant(node: Node) -> Node | None:
    """A constant that only moves is the same constant in the new shape."""
    (x,) = node.inputs
    if not is_constant(x) or (node.op == "broadcast" and x.op == "const"):
        return None
    if node.op == "pad" and repr(_number(x)) != repr(node.params[1]):
        return None
    value = _number(x)
    assert value is not None
    return constant(value, node.dtype, node.shape)


# ---- movement


def _no_move(node: Node) -> Node | None:
    """A movement that moves nothing."""
    (x,) = node.inputs
    if x.shape != node.shape:
        return None
    moves = False  # the equal shape says it all for reshape, broadcast, pad and slice
    if node.op == "permute":
        moves = node.params[0] != tuple(range(len(x.shape)))
    elif node.op == "flip":
        moves = any(x.shape[a] > 1 for a in node.params[0])
    return None if moves else x


def _reshape_reshape(node: Node) -> Node | None:
    (x,) = node.inputs
    return make("reshape", x.inputs, node.params) if x.op == "reshape" else None


def _permute_permute(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op != "permute":
        return None
    return make("permute", x.inputs, (tuple(x.params[0][a] for a in node.params[0]),))


def _permute_ones(node: Node) -> Node | None:
    """When only axes of size 1 change places, no element does."""
    (x,) = node.inputs
    long_axes = [a for a in node.params[0] if x.shape[a] != 1]
    return make("reshape", (x,), (node.shape,)) if long_axes == sorted(long_axes) else None


def _broadcast_broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    return make("broadcast", x.inputs, node.params) if x.op == "broadcast" else None


def _pad_pad(node: Node) -> Node | None:
    """Two paddings of one value."""
    (x,), (widths, value) = node.inputs, node.params
    if x.op != "pad" or repr(x.params[1]) != repr(value):
        return None
    pairs = zip(widths, x.params[0], strict=True)
    return make("pad", x.inputs, (tuple((a + c, b + d) for (a, b), (c, d) in pairs), value))


def _slice_slice(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op != "slice":
        return None
    bounds = []
    for lo, step, inner, inner_step, n in zip(
        node.params[0], node.params[2], x.params[0], x.params[2], node.shape, strict=True
    ):
        start = inner + lo * inner_step if n else 0
        stride = step * inner_step
        bounds.append((start, start + (n - 1) * stride + 1 if n else 0, stride))
    return make("slice", x.inputs, tuple(zip(*bounds, strict=True)))


def _slice_pad(node: Node) -> Node | None:
    """A slice that keeps none of the padding."""
    (x,), (starts, stops, steps) = node.inputs, node.params
    if x.op != "pad":
        return None
    inner = x.inputs[0]
    shifted = []
    for lo, hi, (before, _), d in zip(starts, stops, x.params[0], inner.shape, strict=True):
        if lo < before or hi > before + d:
            return None
        shifted.append((lo - before, hi - before))
    lows, highs = zip(*shifted, strict=True)
    return make("slice", (inner,), (lows, highs, steps))


def _slice_concat(node: Node) -> Node | None:
    """A slice out of one of the parts."""
    (x,), (starts, stops, steps) = node.inputs, node.params
    if x.op != "concat":
        return None
    (axis,) = x.params
    begin = 0
    for part in x.inputs:
        end = begin + part.shape[axis]
        if begin <= starts[axis] and stops[axis] <= end:
            lows = (*starts[:axis], starts[axis] - begin, *starts[axis + 1 :])
            highs = (*stops[:axis], stops[axis] - begin, *stops[axis + 1 :])
            return make("slice", (part,), (lows, highs, steps))
        begin = end
    return None


def _flip_flip(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op != "flip":
        return None
    return make("flip", x.inputs, (tuple(set(node.params[0]) ^ set(x.params[0])),))


def _concat_parts(node: Node) -> Node | None:
    """Without empty parts, and without a concat inside a concat."""
    (axis,) = node.params
    parts: list[Node] = []
    for x in node.inputs:
        inner = x.inputs if x.op == "concat" and x.params == node.params else (x,)
        parts.extend(part for part in inner if part.shape[axis])
    parts = parts or [node.inputs[0]]
    if len(parts) == 1:
        return parts[0]
    return make("concat", parts, node.params) if tuple(parts) != node.inputs else None


# ---- casts

# Each dtype -> those that hold all of its values.
_HOLDS = {
    dtypes.bool_: (dtypes.uint8, dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64),
    dtypes.uint8: (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64),
    dtypes.int32: (dtypes.int64, dtypes.float64),
    dtypes.int64: (),
    dtypes.float32: (dtypes.float64,),
    dtypes.float64: (),
}


def _no_cast(node: Node) -> Node | None:
    (x,) = node.inputs
    return x if x.dtype is node.dtype else None


def _cast_cast(node: Node) -> Node | None:
    """Through a wider dtype and on: the way through changes nothing."""
    (x,) = node.inputs
    if x.op != "cast":
        return None
    source, middle, to = x.inputs[0].dtype, x.dtype, node.dtype
    if middle not in _HOLDS[source]:
        return None
    # Integer to integer wraps, but through a float it saturates.
    saturates = (source.kind, middle.kind, to.kind) == ("i", "f", "i")
    if saturates and to is not source and to not in _HOLDS[source]:
        return None
    return make("cast", x.inputs, (to.name,))


# ---- elementwise


def _before_broadcast(node: Node) -> Node | None:
    """f(broadcast x) = broadcast f(x): computed once for each element of x.

    Also f(broadcast x, constant), f(constant), and f of broadcasts that began with one shape."""
    source: Shape | None = None
    for x in node.inputs:
        if is_constant(x):
            continue
        if x.op != "broadcast" or source not in (None, x.inputs[0].shape):
            return None
        source = x.inputs[0].shape
    if source is None:
        source = ()  # of constants only
    if math.prod(source) >= node.size:
        return None

    def small(x: Node) -> Node:
        if not is_constant(x):
            return x.inputs[0]
        value = _number(x)
        assert value is not None
        return constant(value, x.dtype, source)

    inner = _make(node.op, tuple(small(x) for x in node.inputs), *node.params)
    return make("broadcast", (inner,), (node.shape,))


def _twice(node: Node) -> Node | None:
    """neg neg x, logical_not logical_not x."""
    (x,) = node.inputs
    return x.inputs[0] if x.op == node.op else None


def _whole_floor(node: Node) -> Node | None:
    (x,) = node.inputs
    return x if x.dtype.kind != "f" or x.op == "floor" else None


def _neutral(node: Node) -> Node | None:
    """x * 1, x / 1, x - 0, and x + 0 where no -0.0 exists."""
    a, b = node.inputs
    whole = node.dtype.kind == "i"
    match node.op:
        case "mul":
            return a if _is(b, 1) else b if _is(a, 1) else None
        case "div":
            return a if _is(b, 1) else None
        case "floordiv":
            return a if whole and _is(b, 1) else None
        case "sub":
            return a if _is(b, 0) else None
        case "add":
            zero = 0 if whole else -0.0
            return a if _is(b, zero) else b if _is(a, zero) else None
    return None


def _sum_of_negative(node: Node) -> Node | None:
    """a + -b = a - b; a - -b = a + b."""
    a, b = node.inputs
    if b.op == "neg":
        return make("sub" if node.op == "add" else "add", (a, b.inputs[0]))
    if node.op == "add" and a.op == "neg":
        return make("sub", (b, a.inputs[0]))
    return None


def _divide_by_power_of_two(node: Node) -> Node | None:
    """x / 2**k = x * 2**-k: both are the nearest float to the same number."""
    a, b = node.inputs
    n = _number(b)
    if not n or not math.isfinite(n) or abs(math.frexp(n)[0]) != 0.5:
        return None
    if abs(math.frexp(n)[1]) > 100:  # the reciprocal must be a normal float32 as well
        return None
    return make("mul", (a, constant(1 / n, b.dtype, b.shape)))


def _same_twice(node: Node) -> Node | None:
    """maximum(x, x), minimum(x, x)."""
    a, b = node.inputs
    return a if a is b else None


def _known_where(node: Node) -> Node | None:
    condition, a, b = node.inputs
    known = _number(condition)
    if known is not None:
        return a if known else b
    return a if a is b else None


def _where_not(node: Node) -> Node | None:
    condition, a, b = node.inputs
    return make("where", (condition.inputs[0], b, a)) if condition.op == "logical_not" else None


# ---- reductions, contraction


def _reduce_nothing(node: Node) -> Node | None:
    """Over no axis, or over axes of size 1, where a float sum may make 0.0 of -0.0, so not there."""
    (x,), (axes,) = node.inputs, node.params
    if not axes:
        return x
    if any(x.shape[a] != 1 for a in axes) or (node.op == "reduce_sum" and x.dtype.kind == "f"):
        return None
    return make("reshape", (x,), (node.shape,))


def _argmax_of_one(node: Node) -> Node | None:
    (x,), (axis,) = node.inputs, node.params
    return constant(0, node.dtype, node.shape) if x.shape[axis] == 1 else None


def _contract_permute(node: Node) -> Node | None:
    """Reads through a permutation, if the summed axes keep their order and so the sum its bits."""
    operands, labels = list(node.inputs), list(node.params)
    summed = [i for i in labels[0] if i not in labels[2]]
    for side, x in enumerate(node.inputs):
        if x.op != "permute":
            continue
        straight = [0] * len(x.shape)
        for axis, label in zip(x.params[0], labels[side], strict=True):
            straight[axis] = label
        if [i for i in straight if i in summed] == [i for i in labels[side] if i in summed]:
            operands[side], labels[side] = x.inputs[0], tuple(straight)
    return make("contract", operands, labels) if tuple(operands) != node.inputs else None


# ---- the rules of each op, in the order they are tried


def _window_plain(node: Node) -> Node | None:
    """Windows that do not overlap are a reshape."""
    (x,), (axis, size, stride, dilation) = node.inputs, node.params
    if size == 1:
        dilation = 1
    if dilation != 1 or (stride != size and node.shape[axis] > 1):
        return None
    n = node.shape[axis]
    stops = tuple(n * size if a == axis else d for a, d in enumerate(x.shape))
    if stops != x.shape:
        x = _make("slice", (x,), (0,) * len(stops), stops, (1,) * len(stops))
    return make("reshape", (x,), (node.shape,))


def _surrogate(node: Node) -> Node | None:
    """When gradients have been taken, the value alone is left."""
    return node.inputs[0]


_MOVES: tuple[Rule, ...] = (_no_move, _move_constant)
RULES: dict[str, tuple[Rule, ...]] = {
    **{op.name: (_fold, _before_broadcast) for op in OPS.values() if op.is_elementwise},
    "neg": (_fold, _twice, _before_broadcast),
    "logical_not": (_fold, _twice, _before_broadcast),
    "floor": (_fold, _whole_floor, _before_broadcast),
    "cast": (_fold, _no_cast, _cast_cast, _before_broadcast),
    "add": (_fold, _neutral, _sum_of_negative, _before_broadcast),
    "sub": (_fold, _neutral, _sum_of_negative, _before_broadcast),
    "mul": (_fold, _neutral, _before_broadcast),
    "div": (_fold, _neutral, _divide_by_power_of_two, _before_broadcast),
    "floordiv": (_neutral, _before_broadcast),
    "maximum": (_fold, _same_twice, _before_broadcast),
    "minimum": (_fold, _same_twice, _before_broadcast),
    "where": (_fold, _known_where, _where_not, _before_broadcast),
    "reshape": (*_MOVES, _reshape_reshape),
    "permute": (*_MOVES, _permute_permute, _permute_ones),
    "broadcast": (*_MOVES, _broadcast_broadcast),
    "pad": (*_MOVES, _pad_pad),
    "slice": (*_MOVES, _slice_slice, _slice_pad, _slice_concat),
    "flip": (*_MOVES, _flip_flip),
    "window": (_window_plain,),
    "surrogate": (_surrogate,),
    "concat": (_concat_parts,),
    "reduce_sum": (_reduce_nothing,),
    "reduce_max": (_reduce_nothing,),
    "reduce_min": (_reduce_nothing,),
    "argmax": (_argmax_of_one,),
    "contract": (_contract_permute,),
}
