"""Everything as a function: what Tensor has as methods, and what takes several tensors.

Names and meanings follow the Python array API standard where it has them, PyTorch's for the functions of
neural networks. Arguments may be tensors, arrays, or Python numbers where a tensor stands beside them."""

import builtins
import itertools
import math
from collections.abc import Sequence
from typing import Any

from ..base import dtypes
from ..base.dtypes import bool_, float32, float64, int32, int64, uint8
from ..base.errors import DTypeError, IndexRangeError, OptionError, ShapeError
from ..graph.infer import constant, make
from . import contraction, elementwise, indexing, shaping
from .create import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_dlpack,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tensor,
    tril,
    triu,
    zeros,
    zeros_like,
)
from .shaping import Axes
from .tensor import (
    DTypeLike,
    Tensor,
    as_tensor,
    from_node,
    leaf_of,
    matmul,
    maximum,
    minimum,
    plain_item,
    where,
)

__all__ = [
    "Tensor",
    "abs",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "asarray",
    "astype",
    "bool_",
    "broadcast_arrays",
    "broadcast_to",
    "ceil",
    "clip",
    "concat",
    "copysign",
    "cos",
    "cosh",
    "count_nonzero",
    "cumsum",
    "cumulative_sum",
    "detach",
    "diff",
    "divide",
    "dot",
    "e",
    "einsum",
    "elu",
    "empty",
    "empty_like",
    "equal",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "flatten",
    "flip",
    "float32",
    "float64",
    "floor",
    "floor_divide",
    "fold",
    "from_dlpack",
    "full",
    "full_like",
    "gelu",
    "glu",
    "greater",
    "greater_equal",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hypot",
    "inf",
    "int32",
    "int64",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_sigmoid",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "meshgrid",
    "min",
    "minimum",
    "mish",
    "moveaxis",
    "multiply",
    "nan",
    "negative",
    "newaxis",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "permute",
    "permute_dims",
    "pi",
    "positive",
    "pow",
    "prelu",
    "prod",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "repeat",
    "reshape",
    "result_type",
    "roll",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "step",
    "subtract",
    "sum",
    "surrogate",
    "swapaxes",
    "swiglu",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensor",
    "tensordot",
    "tile",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "uint8",
    "unsqueeze",
    "unstack",
    "var",
    "vecdot",
    "where",
    "window",
    "zeros",
    "zeros_like",
]

e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None

# ---- two tensors, element by element


def _two(a: Any, b: Any) -> tuple[Any, Any]:
    """At least one of the two must be a tensor, so that operators reach it."""
    return (a, b) if isinstance(a, Tensor) or isinstance(b, Tensor) else (as_tensor(a), b)


def add(a: Any, b: Any) -> Tensor:
    """a + b."""
    a, b = _two(a, b)
    return a + b


def subtract(a: Any, b: Any) -> Tensor:
    """a - b."""
    a, b = _two(a, b)
    return a - b


def multiply(a: Any, b: Any) -> Tensor:
    """a · b."""
    a, b = _two(a, b)
    return a * b


def divide(a: Any, b: Any) -> Tensor:
    """a / b in floating point."""
    a, b = _two(a, b)
    return a / b


def floor_divide(a: Any, b: Any) -> Tensor:
    """The largest whole number that is not above a / b."""
    a, b = _two(a, b)
    return a // b


def remainder(a: Any, b: Any) -> Tensor:
    """a - b · floor(a / b): it has the sign of b, as Python's %."""
    a, b = _two(a, b)
    return a % b


def pow(a: Any, b: Any) -> Tensor:
    """a to the power b."""
    a, b = _two(a, b)
    return a**b


def equal(a: Any, b: Any) -> Tensor:
    """Whether a = b."""
    a, b = _two(a, b)
    return a == b


def not_equal(a: Any, b: Any) -> Tensor:
    """Whether a ≠ b."""
    a, b = _two(a, b)
    return a != b


def less(a: Any, b: Any) -> Tensor:
    """Whether a < b."""
    a, b = _two(a, b)
    return a < b


def less_equal(a: Any, b: Any) -> Tensor:
    """Whether a ≤ b."""
    a, b = _two(a, b)
    return a <= b


def greater(a: Any, b: Any) -> Tensor:
    """Whether a > b."""
    a, b = _two(a, b)
    return a > b


def greater_equal(a: Any, b: Any) -> Tensor:
    """Whether a ≥ b."""
    a, b = _two(a, b)
    return a >= b


def logical_and(a: Any, b: Any) -> Tensor:
    """Whether both hold."""
    a, b = _two(a, b)
    return a & b


def logical_or(a: Any, b: Any) -> Tensor:
    """Whether one holds."""
    a, b = _two(a, b)
    return a | b


def logical_xor(a: Any, b: Any) -> Tensor:
    """Whether exactly one holds."""
    a, b = _two(a, b)
    return a ^ b


def logical_not(x: Any) -> Tensor:
    """Whether it does not hold."""
    return ~as_tensor(x)


def hypot(a: Any, b: Any) -> Tensor:
    """√(a² + b²), scaled by the larger one so that squares do not overflow."""
    a, b = abs(as_tensor(a)), abs(as_tensor(b))
    high, low = maximum(a, b), minimum(a, b)
    ratio = low / where(high == 0, 1, high)
    y = high * sqrt(1 + ratio * ratio)
    return where(isinf(a) | isinf(b), math.inf, y)  # also beside NaN, as in C


def logaddexp(a: Any, b: Any) -> Tensor:
    """log(exp(a) + exp(b)) without overflow."""
    a, b = _two(a, b)
    m = maximum(a, b)
    difference = minimum(a, b) - where(isfinite(m), m, 0)
    return m + log1p(exp(difference))


def copysign(a: Any, b: Any) -> Tensor:
    """|a| with the sign of b, also of -0."""
    a, b = as_tensor(a), as_tensor(b)
    is_negative = where(b == 0, 1 / b, b) < 0
    return where(is_negative, -abs(a), abs(a))


# ---- one tensor, element by element


def negative(x: Any) -> Tensor:
    """-x."""
    return -as_tensor(x)


def positive(x: Any) -> Tensor:
    """x."""
    return as_tensor(x)


def abs(x: Any) -> Tensor:
    """Distance from zero."""
    return as_tensor(x).abs()


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; its gradient is 0."""
    x = as_tensor(x).detach()
    if x.dtype.kind == "b":
        raise DTypeError("sign got bool; it takes numbers. Use astype(int64).")
    return where(x > 0, 1, where(x < 0, -1, x) if x.dtype is not uint8 else x)


def square(x: Any) -> Tensor:
    """x · x."""
    return as_tensor(x).square()


def reciprocal(x: Any) -> Tensor:
    """1 / x."""
    return 1.0 / as_tensor(x)


def exp(x: Any) -> Tensor:
    """e to the power of x."""
    return as_tensor(x).exp()


def log(x: Any) -> Tensor:
    """Natural logarithm."""
    return as_tensor(x).log()


def sqrt(x: Any) -> Tensor:
    """Square root."""
    return as_tensor(x).sqrt()


def rsqrt(x: Any) -> Tensor:
    """1 / √x."""
    return as_tensor(x).rsqrt()


def sin(x: Any) -> Tensor:
    """Sine of x in radians."""
    return as_tensor(x).sin()


def cos(x: Any) -> Tensor:
    """Cosine of x in radians."""
    return as_tensor(x).cos()


def tan(x: Any) -> Tensor:
    """sin(x) / cos(x)."""
    return as_tensor(x).sin() / as_tensor(x).cos()


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return as_tensor(x).tanh()


def sinh(x: Any) -> Tensor:
    """(exp(x) - exp(-x)) / 2, from expm1, which is exact near 0."""
    x = as_tensor(x)
    size = where(x < 0, -x, x)  # |x|, but with the gradient 1 at 0
    half = expm1(size * 0.5)
    t = half * (half + 2)  # exp(|x|) - 1
    y = 0.5 * (t + t / (t + 1))
    y = where(size > (700 if x.dtype is float64 else 80), exp(size - math.log(2)), y)
    return where(x < 0, -y, y)


def cosh(x: Any) -> Tensor:
    """(exp(x) + exp(-x)) / 2."""
    a = abs(as_tensor(x)) - math.log(2)
    return exp(a) + exp(-a - 2 * math.log(2))


def erf(x: Any) -> Tensor:
    """Error function."""
    return as_tensor(x).erf()


def log1p(x: Any) -> Tensor:
    """log(1 + x), exact near 0: the logarithm of the rounded sum u, plus what rounding lost, over u."""
    x = as_tensor(x)
    u = 1.0 + x
    y = log(u) + where(u == 0, 0.0, (x - (u - 1.0)) / u)
    return where(u == math.inf, math.inf, y)


def expm1(x: Any) -> Tensor:
    """exp(x) - 1, exact near 0: tanh(x/2) · (exp(x) + 1)."""
    x = as_tensor(x)
    u = exp(x)
    return where(abs(x) < 1, tanh(x * 0.5) * (u + 1.0), u - 1.0)


def log2(x: Any) -> Tensor:
    """Logarithm to the base 2."""
    return log(x) * (1 / math.log(2))


def log10(x: Any) -> Tensor:
    """Logarithm to the base 10."""
    return log(x) * (1 / math.log(10))


def floor(x: Any) -> Tensor:
    """Largest whole number that is not above x."""
    return as_tensor(x).floor()


def ceil(x: Any) -> Tensor:
    """Smallest whole number that is not below x."""
    x = as_tensor(x)
    return x if x.dtype.kind == "i" else -(-x).floor()


def trunc(x: Any) -> Tensor:
    """Towards zero."""
    x = as_tensor(x)
    return x if x.dtype.kind == "i" else where(x < 0, ceil(x), floor(x))


def round(x: Any) -> Tensor:
    """To the nearest whole number; halves to the even one."""
    x = as_tensor(x)
    if x.dtype.kind == "i":
        return x
    low = x.floor()
    rest = x - low  # exact: both are near each other, or the rest is 0
    up = where(rest == 0.5, low % 2 == 1, rest > 0.5)
    return where(x == low, x, where(up, low + 1, low))


def isnan(x: Any) -> Tensor:
    """Whether x is not a number."""
    return as_tensor(x).isnan()


def isinf(x: Any) -> Tensor:
    """Whether x is infinite."""
    return as_tensor(x).isinf()


def isfinite(x: Any) -> Tensor:
    """Whether x is neither NaN nor infinite."""
    return as_tensor(x).isfinite()


def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """x, but at least low and at most high."""
    return as_tensor(x).clip(low, high)


# ---- activations


def step(x: Any, threshold: float = 0.0) -> Tensor:
    """1 where x > threshold, else 0: the first artificial neuron's. Its gradient is 0."""
    x = as_tensor(x)
    return where(x > threshold, 1, 0).astype(x.dtype if x.dtype.kind == "f" else float32)


def relu(x: Any) -> Tensor:
    """max(x, 0); the gradient at 0 is 0."""
    return as_tensor(x).relu()


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope · x."""
    x = as_tensor(x)
    return where(x > 0, x, x * negative_slope)


def prelu(x: Any, weight: Any) -> Tensor:
    """x where x > 0, else weight · x, with a learned weight () or (1,) or (C,) for the last axis.
    He et al. (2015)."""
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim > 1 or (weight.size != 1 and x.shape[-1:] != weight.shape):
        raise ShapeError(
            f"prelu got {weight.size} weights for shape {x.shape}: it needs one, or one for each of the "
            f"{x.shape[-1] if x.ndim else 1} features of the last axis."
        )
    return where(x > 0, x, x * weight.reshape(-1) if x.ndim else x * weight.reshape(()))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha · (exp(x) - 1). Clevert et al. (2015)."""
    x = as_tensor(x)
    return where(x > 0, x, alpha * expm1(where(x > 0, 0, x)))


def selu(x: Any) -> Tensor:
    """1.0507 · elu(x, 1.6733): keeps mean 0 and variance 1. Klambauer et al. (2017), eq. 2 and 14."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return as_tensor(x).sigmoid()


def hardsigmoid(x: Any) -> Tensor:
    """x / 6 + 1 / 2, but at least 0 and at most 1: straight lines in the place of sigmoid's curve."""
    x = as_tensor(x)
    return where(x <= -3, 0, where(x >= 3, 1, x * (1 / 6) + 0.5))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x, but at least min_val and at most max_val; the gradient is 0 there."""
    if not min_val < max_val:
        raise OptionError(f"hardtanh: min_val {min_val!r} must be below max_val {max_val!r}.")
    x = as_tensor(x)
    return where(x <= min_val, min_val, where(x >= max_val, max_val, x))


def relu6(x: Any) -> Tensor:
    """x, but at least 0 and at most 6. Howard et al. (2017)."""
    return hardtanh(x, 0.0, 6.0)


def _softplus(x: Tensor) -> Tensor:
    return where(x < 0, 0, x) + log1p(exp(where(x < 0, x, -x)))


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta · x)) / beta, a smooth ReLU that never overflows: from max(z, 0) + log(1 + exp(-|z|))
    with z = beta · x. As in PyTorch it is x itself where z > threshold; inf: nowhere."""
    x = as_tensor(x)
    z = x if beta == 1.0 else x * beta
    y = _softplus(z) if beta == 1.0 else _softplus(z) * (1.0 / beta)
    return y if threshold == math.inf else where(z > threshold, x, y)


def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)) = -log(1 + exp(-x)), without overflow."""
    return -_softplus(-as_tensor(x))


def silu(x: Any) -> Tensor:
    """x · sigmoid(x), also called swish. Elfwing et al. (2017)."""
    x = as_tensor(x)
    return x * x.sigmoid()


def hardswish(x: Any) -> Tensor:
    """x · hardsigmoid(x): silu of straight lines. Howard et al. (2019), MobileNetV3."""
    x = as_tensor(x)
    return where(x <= -3, 0, where(x >= 3, x, x * (x + 3) * (1 / 6)))


def mish(x: Any) -> Tensor:
    """x · tanh(log(1 + exp(x))). Misra (2019).

    With n = exp(x) · (exp(x) + 2) the tangent is n / (n + 2): one exp. Above 20 it rounds to 1."""
    x = as_tensor(x)
    u = exp(where(x > 20, 20, x))
    n = u * (u + 2)
    return x * (n / (n + 2))


def _halves(x: Any, axis: int, name: str) -> tuple[Tensor, Tensor]:
    x = as_tensor(x)
    a = shaping.one_axis(name, axis, x.ndim, x.shape)
    if x.shape[a] % 2:
        raise ShapeError(
            f"{name} halves axis {a} of shape {x.shape}: its size {x.shape[a]} must be even."
        )
    first, second = split(x, builtins.max(1, x.shape[a] // 2), a) if x.shape[a] else (x, x)
    return first, second


def glu(x: Any, axis: int = -1) -> Tensor:
    """a · sigmoid(b), where a and b are the halves of x along an axis. Dauphin et al. (2017)."""
    a, b = _halves(x, axis, "glu")
    return a * b.sigmoid()


def swiglu(x: Any, axis: int = -1) -> Tensor:
    """silu(a) · b, where a and b are the halves of x along an axis. Shazeer (2020), eq. 5 without weights."""
    a, b = _halves(x, axis, "swiglu")
    return silu(a) * b


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x · Φ(x), Φ the normal distribution; "tanh": its approximation. Hendrycks and Gimpel (2016)."""
    x = as_tensor(x)
    if approximate == "none":
        return 0.5 * x * (1.0 + erf(x * math.sqrt(0.5)))
    if approximate == "tanh":
        return 0.5 * x * (1.0 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
    raise DTypeError(f"gelu got approximate={approximate!r}; it must be 'none' or 'tanh'.")


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis."""
    return as_tensor(x).softmax(axis)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """log(softmax(x))."""
    return as_tensor(x).log_softmax(axis)


def logsumexp(x: Any, axis: Axes = -1, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) without overflow."""
    return as_tensor(x).logsumexp(axis, keepdims)


# ---- reductions


def sum(x: Any, axis: Axes = None, keepdims: bool = False, dtype: Any = None) -> Tensor:
    """Sum over the axes."""
    return as_tensor(x).sum(axis, keepdims, dtype)


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum divided by the number of elements."""
    return as_tensor(x).mean(axis, keepdims)


def var(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Mean squared distance from the mean."""
    return as_tensor(x).var(axis, correction, keepdims)


def std(x: Any, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Square root of the variance."""
    return as_tensor(x).std(axis, correction, keepdims)


def prod(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Product of the elements."""
    return as_tensor(x).prod(axis, keepdims)


def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Largest element; NaN wins."""
    return as_tensor(x).max(axis, keepdims)


def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Smallest element; NaN wins."""
    return as_tensor(x).min(axis, keepdims)


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether one element is not zero."""
    return as_tensor(x).any(axis, keepdims)


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether every element is not zero."""
    return as_tensor(x).all(axis, keepdims)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Place of the largest element, the first of equals."""
    return as_tensor(x).argmax(axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Place of the smallest element, the first of equals."""
    return as_tensor(x).argmin(axis, keepdims)


def count_nonzero(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """How many elements are not zero; int64."""
    return (as_tensor(x) != 0).sum(axis, keepdims)


def cumsum(x: Any, axis: int | None = None) -> Tensor:
    """Running sums along an axis."""
    return as_tensor(x).cumsum(axis)


def cumulative_sum(
    x: Any, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running sums, as the array API has them; include_initial puts a 0 in front."""
    x = as_tensor(x)
    if axis is None:
        if x.ndim != 1:
            raise ShapeError(f"cumulative_sum got shape {x.shape}: name the axis.")
        axis = 0
    y = (x if dtype is None else x.astype(dtype)).cumsum(axis)
    if not include_initial:
        return y
    first = list(y.shape)
    first[axis] = 1
    return concat([zeros(first, y.dtype), y], axis)


def diff(x: Any, axis: int = -1, n: int = 1) -> Tensor:
    """Differences of neighbours along an axis, n times."""
    node = as_tensor(x).node
    axis = shaping.one_axis("diff", axis, len(node.shape), node.shape)
    for _ in range(n):
        size = node.shape[axis]
        later = shaping.cut_axis(node, axis, builtins.min(1, size), size)
        earlier = shaping.cut_axis(node, axis, 0, builtins.max(0, size - 1))
        node = elementwise.arithmetic("subtract", later, earlier)
    return from_node(node)


# ---- products


def einsum(equation: str, *operands: Any) -> Tensor:
    """Einstein's summation, as in "bij,bjk->bik": letters that are not in the result are summed."""
    return from_node(contraction.einsum(equation, [as_tensor(x).node for x in operands]))


def matrix_transpose(x: Any) -> Tensor:
    """The last two axes exchanged."""
    return as_tensor(x).mT


def dot(a: Any, b: Any) -> Tensor:
    """Matrix product; of two vectors the sum of products."""
    return matmul(a, b)


def outer(a: Any, b: Any) -> Tensor:
    """Every product of an element of a vector with one of another: (n, m)."""
    a, b = as_tensor(a), as_tensor(b)
    return a.reshape(-1, 1) * b.reshape(1, -1)


def vecdot(a: Any, b: Any, axis: int = -1) -> Tensor:
    """Sum of products along an axis."""
    return multiply(a, b).sum(axis)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """Sum of products over pairs of axes; a number n means the last n of a with the first n of b."""
    x, y = as_tensor(a).node, as_tensor(b).node
    if isinstance(axes, int):
        axes = (range(len(x.shape) - axes, len(x.shape)), range(axes))
    pairs = [
        tuple(shaping.one_axis("tensordot", i, len(n.shape), n.shape) for i in listed)
        for n, listed in zip((x, y), axes, strict=True)
    ]
    for i, j in zip(*pairs, strict=True):
        if x.shape[i] != y.shape[j]:
            raise ShapeError(
                f"tensordot got shapes {x.shape} and {y.shape}: axis {i} of the first ({x.shape[i]}) "
                f"must equal axis {j} of the second ({y.shape[j]}). Name other axes."
            )
    x_labels = tuple(range(len(x.shape)))
    match = dict(zip(pairs[1], pairs[0], strict=True))
    y_labels = tuple(match.get(j, len(x.shape) + j) for j in range(len(y.shape)))
    out = tuple(n for n in x_labels if n not in pairs[0])
    out += tuple(n for j, n in enumerate(y_labels) if j not in match)
    return from_node(contraction.contraction("tensordot", x, x_labels, y, y_labels, out))


# ---- shapes


def reshape(x: Any, shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1."""
    return as_tensor(x).reshape(shape)


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from start to end as one."""
    return as_tensor(x).flatten(start_axis, end_axis)


def permute_dims(x: Any, axes: Sequence[int]) -> Tensor:
    """The axes in a new order."""
    return as_tensor(x).permute(tuple(axes))


def permute(x: Any, axes: Sequence[int]) -> Tensor:
    """The axes in a new order."""
    return as_tensor(x).permute(tuple(axes))


def transpose(x: Any, *axes: int) -> Tensor:
    """Two axes exchanged, or all reversed."""
    return as_tensor(x).transpose(*axes)


def swapaxes(x: Any, a: int, b: int) -> Tensor:
    """Two axes exchanged."""
    return as_tensor(x).transpose(a, b)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes `source` at the places `destination`."""
    return from_node(shaping.move_axis(as_tensor(x).node, source, destination))


def squeeze(x: Any, axis: Axes = None) -> Tensor:
    """Without axes of size 1."""
    return as_tensor(x).squeeze(axis)


def unsqueeze(x: Any, axis: Any) -> Tensor:
    """With a new axis of size 1."""
    return as_tensor(x).unsqueeze(axis)


def expand_dims(x: Any, axis: Any = 0) -> Tensor:
    """With a new axis of size 1."""
    return as_tensor(x).unsqueeze(axis)


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """Stretched to a shape."""
    return as_tensor(x).broadcast_to(shape)


def broadcast_arrays(*xs: Any) -> list[Tensor]:
    """All stretched to one shape."""
    tensors = [as_tensor(x) for x in xs]
    shape = elementwise.broadcast_shape("broadcast_arrays", [t.shape for t in tensors])
    return [t.broadcast_to(shape) for t in tensors]


def pad(x: Any, widths: Any, value: float = 0) -> Tensor:
    """Surrounded by `value`."""
    return as_tensor(x).pad(widths, value)


def window(x: Any, axis: int, size: int, stride: int = 1, dilation: int = 1) -> Tensor:
    """What a kernel sees at each place: an axis of length L becomes two, (n, size), with
    n = (L - dilation * (size - 1) - 1) // stride + 1; element [i, j] is x[i * stride + j * dilation].

    A view: nothing is copied. Raises ShapeError where the window reaches over more than the axis has."""
    x = as_tensor(x)
    axis = shaping.one_axis("window", axis, x.ndim, x.shape)
    return from_node(make("window", (x.node,), (axis, size, stride, dilation)))


def fold(x: Any, axis: int, length: int, stride: int = 1, dilation: int = 1) -> Tensor:
    """The adjoint of `window`: axes axis, axis + 1 of sizes (n, size) are summed back into one of
    `length` elements: out[i * stride + j * dilation] += x[i, j]."""
    x = as_tensor(x)
    axis = shaping.one_axis("fold", axis, x.ndim, x.shape)
    return from_node(make("fold", (x.node,), (axis, length, stride, dilation)))


def flip(x: Any, axis: Axes = None) -> Tensor:
    """Backwards along the axes."""
    return as_tensor(x).flip(axis)


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Moved along the axes; what leaves at one end enters at the other."""
    x = as_tensor(x)
    if axis is None:
        return roll(x.reshape(-1), shift, 0).reshape(x.shape)
    shifts, axes = (tuple(v) if isinstance(v, (tuple, list)) else (v,) for v in (shift, axis))
    if len(shifts) == 1:
        shifts *= len(axes)
    node = x.node
    for s, a in zip(shifts, axes, strict=True):
        a = shaping.one_axis("roll", a, x.ndim, x.shape)
        n = x.shape[a]
        if n and s % n:
            k = n - s % n
            parts = [shaping.cut_axis(node, a, k, n), shaping.cut_axis(node, a, 0, k)]
            node = make("concat", parts, (a,))
    return from_node(node)


def repeat(x: Any, repeats: int, axis: int | None = None) -> Tensor:
    """Every element `repeats` times, one after the other."""
    x = as_tensor(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    a = shaping.one_axis("repeat", axis, x.ndim, x.shape)
    long = (*x.shape[: a + 1], repeats, *x.shape[a + 1 :])
    merged = (*x.shape[:a], x.shape[a] * repeats, *x.shape[a + 1 :])
    return x.unsqueeze(a + 1).broadcast_to(long).reshape(merged)


def tile(x: Any, repetitions: Any) -> Tensor:
    """The whole tensor, repeated along each axis."""
    x = as_tensor(x)
    times = (repetitions,) if isinstance(repetitions, int) else tuple(repetitions)
    rank = builtins.max(len(times), x.ndim)
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    spread = tuple(v for d in shape for v in (1, d))
    long = tuple(v for t, d in zip(times, shape, strict=True) for v in (t, d))
    return (
        x.reshape(spread)
        .broadcast_to(long)
        .reshape(tuple(t * d for t, d in zip(times, shape, strict=True)))
    )


def concat(xs: Sequence[Any], axis: int | None = 0) -> Tensor:
    """One after the other along an axis."""
    return from_node(shaping.concat([as_tensor(x).node for x in xs], axis))


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Equal shapes, along a new axis."""
    nodes = [as_tensor(x).node for x in xs]
    dtype = elementwise.common_dtype(nodes)
    return from_node(shaping.stack([elementwise.cast(n, dtype) for n in nodes], axis))


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it."""
    x = moveaxis(x, axis, 0)
    return tuple(x[i] for i in range(len(x)))


def split(x: Any, sizes: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts along an axis: of one size (the last may be smaller), or of the sizes given."""
    x = as_tensor(x)
    a = shaping.one_axis("split", axis, x.ndim, x.shape)
    n = x.shape[a]
    if isinstance(sizes, int):
        if sizes < 1:
            raise ShapeError(f"split got the size {sizes}; it must be 1 or more.")
        bounds = [*range(0, n, sizes), n]
    else:
        bounds = [0]
        for size in sizes:
            bounds.append(bounds[-1] + size)
        if bounds[-1] != n:
            raise ShapeError(
                f"split got sizes {tuple(sizes)}, together {bounds[-1]}; axis {a} has {n}."
            )
    pairs = itertools.pairwise(bounds)
    return [from_node(shaping.cut_axis(x.node, a, lo, hi)) for lo, hi in pairs]


# ---- by index


def take(x: Any, index: Any, axis: int | None = None) -> Tensor:
    """x[index] along an axis. An index that is known now is checked, and may count from the end; inside
    a compiled function it must lie in [0, n): what lies outside is clamped into it."""
    node = as_tensor(x).node
    if axis is None:
        node, axis = shaping.reshape(node, (node.size,)), 0
    a = shaping.one_axis("take", axis, len(node.shape), node.shape)
    item = plain_item(index if isinstance(index, Tensor) else Tensor(index))
    if item.values is not None:
        at = leaf_of(indexing.checked(item.values, node.shape[a], a, node.shape))
    else:
        at = item.node
        if at.dtype.kind != "i":
            raise DTypeError(
                f"take got an index of {at.dtype}; it must be integers: astype(int64)."
            )
        if at.dtype is uint8:
            at = elementwise.cast(at, int64)
    moved = shaping.move_axis(node, a, 0)
    if at.size == 0:
        return from_node(
            constant(0, node.dtype, (*node.shape[:a], *at.shape, *node.shape[a + 1 :]))
        )
    y = make("gather", (moved, at))
    k = len(at.shape)
    rest = len(node.shape) - 1
    order = [*range(k, k + a), *range(k), *range(k + a, k + rest)]
    return from_node(shaping.permute(y, order))


def take_along_axis(x: Any, index: Any, axis: int = -1) -> Tensor:
    """x[..., index, ...] with an index for every element: index has the rank of x."""
    x, index = as_tensor(x), as_tensor(index)
    if x.ndim != index.ndim:
        raise ShapeError(
            f"take_along_axis got shapes {x.shape} and {index.shape}: ranks must be equal."
        )
    a = shaping.one_axis("take_along_axis", axis, x.ndim, x.shape)
    key: list[Any] = []
    for i, d in enumerate(x.shape):
        place = tuple(d if j == i else 1 for j in range(x.ndim))
        key.append(index if i == a else arange(d).reshape(place))
    return x[tuple(key)]


def one_hot(index: Any, n_classes: int, dtype: DTypeLike = float32) -> Tensor:
    """A new last axis with 1 at the index and 0 elsewhere: (..., ) -> (..., n_classes)."""
    index = as_tensor(index)
    if index.dtype.kind != "i":
        raise DTypeError(f"one_hot got {index.dtype}; it takes integers. Use astype(int64).")
    if index.storage is not None and index.size and not index.requires_grad:
        values = index.storage.array
        outside = (values < 0) | (values >= n_classes)
        if outside.any():
            raise IndexRangeError(
                f"one_hot got the index {values[outside][0]} and {n_classes} classes: "
                f"it must be from 0 to {n_classes - 1}."
            )
    shape = (*index.shape, n_classes)
    classes = from_node(make("iota", (), (shape, len(shape) - 1, index.dtype.name)))
    return (index.unsqueeze(-1) == classes).astype(dtype)


# ---- dtypes


def astype(x: Any, dtype: DTypeLike, copy: bool = True) -> Tensor:
    """The values in another dtype."""
    return as_tensor(x).astype(dtype)


def result_type(*xs: Any) -> dtypes.DType:
    """The dtype of an operation between these tensors, dtypes and Python numbers."""
    operands: list[Any] = []
    for x in xs:
        if isinstance(x, dtypes.DType):
            operands.append(constant(0, x))
        else:
            operands.append(x.node if isinstance(x, Tensor) else x)
    return elementwise.common_dtype(operands)


def surrogate(value: Any, stand_in: Any) -> Tensor:
    """`value`, whose gradient is that of `stand_in`: of one shape and dtype. What only the gradient needs
    is not computed where no gradient is asked for.

    A straight-through estimator is surrogate(x.sign(), x) (Bengio et al. 2013, section 4)."""
    value, stand_in = as_tensor(value), as_tensor(stand_in)
    return from_node(make("surrogate", (value.detach().node, stand_in.node)))


def detach(x: Any) -> Tensor:
    """The same value; gradients do not flow through it."""
    return as_tensor(x).detach()
