"""One gradient row per primitive: how a cotangent of the output becomes cotangents of the inputs.

VJP[op](g, y, *inputs, params) -> one Node or None per input. None: no gradient flows there.
Rows are made of primitives, so a gradient can be differentiated again.

g cotangent of the output, y the output; a, b, x inputs. For a comparison, floor and the like the
derivative is 0 wherever it exists, so they stop the gradient (None), as every framework does."""

import math
from collections.abc import Callable

from ..graph.infer import constant, is_constant, make
from ..graph.node import Node

Cotangents = tuple[Node | None, ...]

# ---- words for the rows


def _neg(x: Node) -> Node:
    return make("neg", (x,))


def _mul(a: Node, b: Node) -> Node:
    return make("mul", (a, b))


def _div(a: Node, b: Node) -> Node:
    return make("div", (a, b))


def _sub(a: Node, b: Node) -> Node:
    return make("sub", (a, b))


def _like(value: float, x: Node) -> Node:
    return constant(value, x.dtype, x.shape)


def _scale(value: float, x: Node) -> Node:
    return _mul(_like(value, x), x)


def _where(condition: Node, a: Node, b: Node) -> Node:
    return make("where", (condition, a, b))


def _none(g: Node, y: Node, *inputs_params) -> Cotangents:
    return (None,) * (len(inputs_params) - 1)


# ---- rules longer than a line


def _cast(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    return (make("cast", (g,), (x.dtype.name,)) if x.dtype.kind == "f" else None,)


def _extreme(beyond: Callable[[Node, Node], Node]) -> Callable[..., Cotangents]:
    """maximum and minimum. Against a constant (ReLU, clip) the tie gets 0 and only the output is
    read, so that the pre-activation need not be kept; otherwise a tie is split evenly."""

    def rule(g: Node, y: Node, a: Node, b: Node, params: tuple) -> Cotangents:
        zero = _like(0.0, g)
        if is_constant(b):
            return (None if is_constant(a) else _where(beyond(b, y), g, zero)), None
        if is_constant(a):
            return None, _where(beyond(a, y), g, zero)
        half = _scale(0.5, g)
        tie = make("eq", (a, b))
        return (
            _where(tie, half, _where(beyond(b, a), g, zero)),
            _where(tie, half, _where(beyond(a, b), g, zero)),
        )

    return rule


def _kept(x: Node, axes: tuple[int, ...], y: Node) -> Node:
    """`y`, the reduction of `x` over `axes`, spread over the shape of x again."""
    kept = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return make("broadcast", (make("reshape", (y,), (kept,)),), (x.shape,))


def _reduce_extreme(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    """Ties share the cotangent evenly."""
    (axes,) = params
    hit = make("cast", (make("eq", (x, _kept(x, axes, y))),), (g.dtype.name,))
    share = _div(g, make("reduce_sum", (hit,), (axes,)))
    return (_mul(hit, _kept(x, axes, share)),)


def _cumsum(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    backwards = make("cumsum", (make("flip", (g,), (params,)),), params)
    return (make("flip", (backwards,), (params,)),)


def _permute(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    (axes,) = params
    return (make("permute", (g,), (tuple(axes.index(i) for i in range(len(axes))),)),)


def _broadcast(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    new = len(y.shape) - len(x.shape)
    stretched = tuple(i for i, d in enumerate(y.shape) if i < new or x.shape[i - new] != d)
    total = make("reduce_sum", (g,), (stretched,)) if stretched else g
    return (make("reshape", (total,), (x.shape,)),)


def _pad(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    widths, _ = params
    starts = tuple(lo for lo, _ in widths)
    stops = tuple(lo + d for lo, d in zip(starts, x.shape, strict=True))
    return (make("slice", (g,), (starts, stops, (1,) * len(widths))),)


def _slice(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    """Zeros between the elements (for steps > 1), then zeros around them."""
    starts, _, steps = params
    if any(step > 1 for step in steps):
        # (n, ...) -> (n, 1, ...) -> padded to (n, step, ...) -> (n * step, ...)
        split = tuple(k for d in g.shape for k in (d, 1))
        widths = tuple(w for step in steps for w in ((0, 0), (0, step - 1)))
        g = make("pad", (make("reshape", (g,), (split,)),), (widths, 0))
        g = make("reshape", (g,), (tuple(d * s for d, s in zip(y.shape, steps, strict=True)),))
        room = tuple(d - lo for d, lo in zip(x.shape, starts, strict=True))
        kept = tuple(min(d, r) for d, r in zip(g.shape, room, strict=True))
        g = make("slice", (g,), ((0,) * len(kept), kept, (1,) * len(kept)))
    widths = tuple((lo, d - lo - n) for lo, d, n in zip(starts, x.shape, g.shape, strict=True))
    return (make("pad", (g,), (widths, 0)),)


def _concat(g: Node, y: Node, *inputs_params) -> Cotangents:
    *inputs, (axis,) = inputs_params
    parts, start = [], 0
    for x in inputs:
        starts = tuple(start if i == axis else 0 for i in range(len(x.shape)))
        stops = tuple(lo + d for lo, d in zip(starts, x.shape, strict=True))
        parts.append(make("slice", (g,), (starts, stops, (1,) * len(starts))))
        start += x.shape[axis]
    return tuple(parts)


def _window(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    axis, _, stride, dilation = params
    return (make("fold", (g,), (axis, x.shape[axis], stride, dilation)),)


def _fold(g: Node, y: Node, x: Node, params: tuple) -> Cotangents:
    axis, _, stride, dilation = params
    return (make("window", (g,), (axis, x.shape[axis + 1], stride, dilation)),)


def _contract(g: Node, y: Node, a: Node, b: Node, params: tuple) -> Cotangents:
    """A contraction again. matmul: Y = A B gives dA = G B^T, dB = A^T G."""
    a_labels, b_labels, out_labels = params
    return (
        make("contract", (g, b), (out_labels, b_labels, a_labels)),
        make("contract", (a, g), (a_labels, out_labels, b_labels)),
    )


# Rows in the order of ops.OPS. A lambda's last argument, _, is the params.
VJP: dict[str, Callable[..., Cotangents]] = {
    "leaf": _none,
    "const": _none,
    "iota": _none,
    "random": _none,
    "neg": lambda g, y, x, _: (_neg(g),),
    "floor": _none,
    "logical_not": _none,
    "sqrt": lambda g, y, x, _: (_div(_scale(0.5, g), y),),
    "exp": lambda g, y, x, _: (_mul(g, y),),
    "log": lambda g, y, x, _: (_div(g, x),),
    "sin": lambda g, y, x, _: (_mul(g, make("cos", (x,))),),
    "cos": lambda g, y, x, _: (_neg(_mul(g, make("sin", (x,)))),),
    "tanh": lambda g, y, x, _: (_mul(g, _sub(_like(1.0, y), _mul(y, y))),),
    "erf": lambda g, y, x, _: (
        _mul(_scale(2 / math.sqrt(math.pi), g), make("exp", (_neg(_mul(x, x)),))),
    ),
    "cast": _cast,
    "add": lambda g, y, a, b, _: (g, g),
    "sub": lambda g, y, a, b, _: (g, _neg(g)),
    "mul": lambda g, y, a, b, _: (_mul(g, b), _mul(g, a)),
    "div": lambda g, y, a, b, _: (_div(g, b), _neg(_div(_mul(g, y), b))),
    "floordiv": _none,
    "mod": lambda g, y, a, b, _: (g, _neg(_mul(g, make("floordiv", (a, b))))),
    "maximum": _extreme(lambda low, high: make("lt", (low, high))),
    "minimum": _extreme(lambda high, low: make("lt", (low, high))),
    "eq": _none,
    "lt": _none,
    "le": _none,
    "where": lambda g, y, c, a, b, _: (
        None,
        _where(c, g, _like(0.0, g)),
        _where(c, _like(0.0, g), g),
    ),
    "surrogate": lambda g, y, a, b, _: (None, g),
    "reshape": lambda g, y, x, _: (make("reshape", (g,), (x.shape,)),),
    "permute": _permute,
    "broadcast": _broadcast,
    "pad": _pad,
    "slice": _slice,
    "flip": lambda g, y, x, params: (make("flip", (g,), params),),
    "concat": _concat,
    "window": _window,
    "fold": _fold,
    "reduce_sum": lambda g, y, x, params: (_kept(x, params[0], g),),
    "reduce_max": _reduce_extreme,
    "reduce_min": _reduce_extreme,
    "argmax": _none,
    "cumsum": _cumsum,
    "gather": lambda g, y, x, index, _: (make("scatter_add", (index, g), (x.shape[0],)), None),
    "scatter_add": lambda g, y, index, updates, _: (None, make("gather", (g, index))),
    "contract": _contract,
    "scan": _none,  # gradient.py walks all taps of a loop at once
}
