"""Elementwise operations on nodes of unlike shapes and dtypes: promotion, broadcasting, powers.

Python numbers are weak: they take the dtype of the node they meet, and float32 against integers.
Shapes are matched from the last axis; sizes must be equal or 1 (Python array API, "Broadcasting")."""

from collections.abc import Sequence

import numpy as np

from ..base import dtypes
from ..base.dtypes import DType
from ..base.errors import DTypeError, ShapeError
from ..graph.infer import constant, make
from ..graph.node import Node, Shape

Number = bool | int | float
Operand = Node | bool | int | float


def cast(x: Node, dtype: DType) -> Node:
    """x in another dtype; x itself when it has it already."""
    return x if x.dtype is dtype else make("cast", (x,), (dtype.name,))


def broadcast(x: Node, shape: Shape) -> Node:
    """x stretched to `shape`, which must fit."""
    return x if x.shape == shape else make("broadcast", (x,), (shape,))


def fits(shape: Shape, target: Shape) -> bool:
    """Whether `shape` can be stretched to `target`."""
    n = len(target) - len(shape)
    return n >= 0 and all(d in (1, t) for d, t in zip(shape, target[n:], strict=True))


def broadcast_shape(op: str, shapes: Sequence[Shape]) -> Shape:
    """The shape that all stretch to; ShapeError names the operation, the shapes and a fix."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    rank = max(map(len, shapes))
    out = [1] * rank
    for s in shapes:
        for i, d in enumerate(s, rank - len(s)):
            if d != 1:
                if out[i] not in (1, d):
                    raise ShapeError(_mismatch(op, shapes, i - rank, out[i], d))
                out[i] = d
    return tuple(out)


def _mismatch(op: str, shapes: Sequence[Shape], axis: int, one: int, other: int) -> str:
    where = "the last axes" if axis == -1 else f"the axes {axis} (counted from the end)"
    text = (
        f"{op} got shapes {' and '.join(map(str, shapes))}: {where} are {one} and {other}; "
        "they must be equal, or one of them 1."
    )
    if len(shapes) == 2:
        long, short = sorted(shapes, key=len, reverse=True)
        if len(short) < len(long):
            n = len(long) - len(short)
            raised = (*short, *(1,) * n)
            if fits(raised, long):
                return f"{text} To match the first axes, give the second as .reshape{raised}."
        if len(long) == len(short) == 2 and long == short[::-1]:
            return f"{text} To match them, transpose one: .T"
    return f"{text} Reshape, slice or broadcast one of them."


def check_number(op: str, value: Number, dtype: DType) -> None:
    """OverflowError when an integer dtype cannot hold a Python integer, as NumPy says it."""
    if dtype.kind == "i" and isinstance(value, int):
        limits = np.iinfo(dtype.numpy)
        if not limits.min <= value <= limits.max:
            raise OverflowError(
                f"{op} got the number {value} and {dtype}, which holds {limits.min} to {limits.max}. "
                "Use astype(int64) on the tensor first."
            )


def weak_dtype(dtype: DType, value: Number) -> DType:
    """The dtype of an operation between a tensor of `dtype` and a Python number."""
    if isinstance(value, bool):
        return dtype
    if isinstance(value, int):
        return dtypes.int64 if dtype.kind == "b" else dtype
    return dtype if dtype.kind == "f" else dtypes.float32


def common_dtype(operands: Sequence[Operand]) -> DType:
    """The dtype that holds all of them; Python numbers only change the kind."""
    dtype: DType | None = None
    for x in operands:
        if isinstance(x, Node):
            dtype = x.dtype if dtype is None else dtypes.promote(dtype, x.dtype)
    if dtype is None:  # numbers only
        kinds = {type(x) for x in operands}
        return dtypes.float32 if float in kinds else dtypes.int64 if int in kinds else dtypes.bool_
    for x in operands:
        if not isinstance(x, Node):
            dtype = weak_dtype(dtype, x)
    return dtype


def matched(op: str, operands: Sequence[Operand], dtype: DType | None = None) -> tuple[Node, ...]:
    """The operands as nodes of one shape and one dtype (the promoted one unless given)."""
    dtype = common_dtype(operands) if dtype is None else dtype
    shape = broadcast_shape(op, [x.shape for x in operands if isinstance(x, Node)] or [()])
    nodes = []
    for x in operands:
        if isinstance(x, Node):
            nodes.append(broadcast(cast(x, dtype), shape))
        else:
            check_number(op, x, dtype)
            nodes.append(constant(x, dtype, shape))
    return tuple(nodes)


# ---- operations, by family

_NO_BOOL = {
    "add": "| or logical_or",
    "subtract": "^ or logical_xor",
    "multiply": "& or logical_and",
}
_PRIMITIVE = {"add": "add", "subtract": "sub", "multiply": "mul"}


def arithmetic(op: str, a: Operand, b: Operand) -> Node:
    """add, subtract, multiply."""
    a, b = matched(op, (a, b))
    if a.dtype.kind == "b":
        raise DTypeError(
            f"{op} got two bool tensors, and numbers are needed. "
            f"Use {_NO_BOOL[op]}, or astype(int64) to count."
        )
    return make(_PRIMITIVE[op], (a, b))


def divide(a: Operand, b: Operand) -> Node:
    """a / b in floating point; integers become float32."""
    dtype = common_dtype((a, b))
    return make("div", matched("divide", (a, b), dtype if dtype.kind == "f" else dtypes.float32))


def integer_like(op: str, primitive: str, a: Operand, b: Operand) -> Node:
    """floor_divide and remainder, with Python's meaning; division of integers by 0 gives 0."""
    dtype = common_dtype((a, b))
    return make(primitive, matched(op, (a, b), dtypes.int64 if dtype.kind == "b" else dtype))


def compare(op: str, a: Operand, b: Operand) -> Node:
    """equal, not_equal, less, less_equal, greater, greater_equal."""
    if op in ("greater", "greater_equal"):
        op, a, b = op.replace("greater", "less"), b, a
    a, b = matched(op, (a, b))
    if op == "not_equal":
        return make("logical_not", (make("eq", (a, b)),))
    return make({"equal": "eq", "less": "lt", "less_equal": "le"}[op], (a, b))


def logical(op: str, a: Operand, b: Operand) -> Node:
    """and, or, xor of bool tensors."""
    a, b = matched(op, (a, b))
    if a.dtype.kind != "b":
        raise DTypeError(
            f"{op} got {a.dtype}; it takes bool. Compare first, with brackets: (a > 0) & (b > 0)."
        )
    if op.endswith("xor"):
        return make("logical_not", (make("eq", (a, b)),))
    return make("minimum" if op.endswith("and") else "maximum", (a, b))


def where(condition: Operand, a: Operand, b: Operand) -> Node:
    """a where the condition holds, b elsewhere."""
    if not isinstance(condition, Node):
        condition = constant(bool(condition), dtypes.bool_)
    if condition.dtype.kind != "b":
        raise DTypeError(
            f"where got a condition of {condition.dtype}; it must be bool. Compare it: x != 0."
        )
    dtype = common_dtype((a, b))
    shapes = [x.shape for x in (condition, a, b) if isinstance(x, Node)]
    shape = broadcast_shape("where", shapes)
    values = []
    for x in (a, b):
        if not isinstance(x, Node):
            check_number("where", x, dtype)
            x = constant(x, dtype)
        values.append(broadcast(cast(x, dtype), shape))
    return make("where", (broadcast(condition, shape), *values))


def floating(op: str, x: Node) -> Node:
    """A function of real numbers (exp, log, ...); integers and bool become float32 first."""
    return make(op, (x if x.dtype.kind == "f" else cast(x, dtypes.float32),))


# ---- powers


def power(x: Operand, y: Operand) -> Node:
    """x ** y. A number y that is whole or a half: by multiplication and square root, so that
    x ** 2 is x * x to the last bit; otherwise exp(y · log x), with the signs and zeros of IEEE pow."""
    if isinstance(x, Node) and not isinstance(y, Node):
        dtype = weak_dtype(x.dtype, y)
        base = cast(x, dtypes.int64 if dtype.kind == "b" else dtype)
        if base.dtype.kind == "i":
            if y < 0:
                raise DTypeError(
                    f"power got {x.dtype} and the exponent {y}: integers have no negative powers. "
                    "Use astype(float32) first."
                )
            return _whole_power(base, int(y))
        if float(2 * y).is_integer() and abs(y) <= 64:
            return _half_power(base, y)
    a, b = matched("power", (x, y))
    if a.dtype.kind == "f":
        return _real_power(a, b)
    return _integer_power(*(cast(v, dtypes.int64) if v.dtype.kind == "b" else v for v in (a, b)))


def _whole_power(x: Node, n: int) -> Node:
    """Squares and products, from the lowest bit of n up (Knuth, vol. 2, 4.6.3)."""
    result = None
    square = x
    while n:
        if n & 1:
            result = square if result is None else make("mul", (result, square))
        n >>= 1
        if n:
            square = make("mul", (square, square))
    return constant(1, x.dtype, x.shape) if result is None else result


def _half_power(x: Node, y: Number) -> Node:
    n, half = divmod(abs(y), 1)
    result = _whole_power(x, int(n)) if n or not half else None
    if half:
        root = make("sqrt", (x,))
        result = root if result is None else make("mul", (result, root))
    assert result is not None
    if y < 0:
        result = make("div", (constant(1, x.dtype, x.shape), result))
    return result


def _real_power(x: Node, y: Node) -> Node:
    """|x| ** y = exp(y · log |x|); a negative x needs a whole y, whose oddness gives the sign."""
    zero, one = (constant(v, x.dtype, x.shape) for v in (0, 1))
    is_negative = make("lt", (x, zero))
    size = make("where", (is_negative, make("neg", (x,)), x))
    result = make("exp", (make("mul", (y, make("log", (size,)))),))
    if not _is_constant_number(y):
        # 0 · log 0 is NaN, and 1 ** inf would be: both are 1.
        is_one = make("maximum", (make("eq", (y, zero)), make("eq", (x, one))))
        result = make("where", (is_one, one, result))
    is_whole = make("eq", (make("floor", (y,)), y))
    is_odd = make("eq", (make("mod", (y, constant(2, x.dtype, x.shape))), one))
    signed = make("where", (is_odd, make("neg", (result,)), result))
    nan = constant(float("nan"), x.dtype, x.shape)
    return make("where", (is_negative, make("where", (is_whole, signed, nan)), result))


def _is_constant_number(y: Node) -> bool:
    while y.op in ("broadcast", "reshape"):
        y = y.inputs[0]
    return y.op == "const" and y.params[0] != 0


def _integer_power(x: Node, n: Node) -> Node:
    """Squares and products over the bits of n, all of them: an odd base never becomes 0.
    Negative exponents give 0, as an integer division would, except for the bases 1 and -1."""
    zero, one, two = (constant(v, x.dtype, x.shape) for v in (0, 1, 2))
    result, square, rest = one, x, n
    for _ in range(8 * x.dtype.itemsize - (x.dtype is not dtypes.uint8)):
        is_odd = make("eq", (make("mod", (rest, two)), one))
        result = make("where", (is_odd, make("mul", (result, square)), result))
        square = make("mul", (square, square))
        rest = make("floordiv", (rest, two))
    unit = make("maximum", (make("eq", (x, one)), make("eq", (make("mul", (x, x)), one))))
    gone = make("minimum", (make("lt", (n, zero)), make("logical_not", (unit,))))
    return make("where", (gone, zero, result))
