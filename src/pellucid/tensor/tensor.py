"""Tensor: what users write. A thin face over a graph node; nothing runs until a value is asked for.

A tensor is data (a Storage), an expression (a node), or an expression whose value is known (both: the
value for programs, the node for gradients). Operations make nodes through the files beside this
one, and raise here, at the user's line, when shapes or dtypes do not fit."""

import math
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..base import dtypes
from ..base.dtypes import DType
from ..base.errors import DTypeError, PellucidError, ShapeError, TraceError
from ..graph.infer import constant, make
from ..graph.node import Node, Shape, topological_order
from ..runtime.buffers import aligned, aligned_copy
from ..transform.gradient import gradients
from . import contraction, elementwise, indexing, reductions, shaping
from .elementwise import Operand
from .realize import realize_nodes
from .shaping import Axes
from .storage import Storage, active, known, outside, stop_gradient

DTypeLike = DType | str | type | np.dtype
SHOWN = 1000  # repr summarises above this many elements, as NumPy does


class Tensor:
    """An n-dimensional array of one dtype, lazy: `Tensor([1, 2]) + 1` is an expression until you look.

    data   a number, nested lists, a NumPy array or anything with __array__, a buffer or __dlpack__
    dtype  of the result; else that of an array, and for Python data float32, int64 or bool
    requires_grad  makes it a parameter: `loss.backward()` fills its `.grad`"""

    __slots__ = ("__weakref__", "_is_owner", "_node", "_storage", "_trace", "grad")
    _storage: Storage | None
    _node: Node | None
    _trace: int  # serial number of the trace that made it, 0 outside
    _is_owner: bool  # whether the storage is its own; values of equal expressions share one
    grad: "Tensor | None"

    # NumPy leaves `array + tensor` to us, instead of looping over the elements.
    __array_ufunc__ = None
    __array_priority__ = 1000

    def __init__(self, data: Any, dtype: DTypeLike | None = None, requires_grad: bool = False):
        self.grad = None
        wanted = None if dtype is None else dtypes.of(dtype)
        if isinstance(data, Tensor):  # an expression: the same value, whatever becomes of data
            self._storage, self._trace = None, active.stack[-1].serial if active else 0
            self._node = data.node if wanted is None else elementwise.cast(data.node, wanted)
            self._is_owner = False
        else:
            self._storage, self._node, self._trace = Storage(_array_of(data, wanted)), None, 0
            self._is_owner = True
        if requires_grad:
            self.requires_grad = True

    @classmethod
    def parameter(cls, data: Any, dtype: DTypeLike | None = None) -> "Tensor":
        """A tensor that learns: `loss.backward()` fills its `.grad`."""
        return cls(data, dtype, requires_grad=True)

    # ---- what it is

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return self._node.shape if self._node is not None else self._storage.array.shape  # type: ignore[union-attr]

    @property
    def dtype(self) -> DType:
        """Type of every element."""
        if self._node is not None:
            return self._node.dtype
        return dtypes.BY_NAME[self._storage.array.dtype.name]  # type: ignore[union-attr]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def device(self) -> str:
        """Where it is computed: "cpu"."""
        return "cpu"

    @property
    def node(self) -> Node:
        """The graph node that this tensor stands for now."""
        if active:
            return self._node_in_trace()
        node = self._node
        if node is None:
            assert self._storage is not None
            return self._storage.node()
        if self._trace:
            raise TraceError(_LEAKED)
        return node

    def _node_in_trace(self) -> Node:
        trace = active.stack[-1]
        if self._trace == trace.serial:
            assert self._node is not None
            return self._node
        if self._trace:
            raise TraceError(_LEAKED)
        if self._storage is None:  # an expression from outside means its value from outside
            with outside():
                realize(self)
        assert self._storage is not None
        if not self._is_owner:  # so that a later assign reaches the program
            self._storage, self._node, self._is_owner = _own_copy(self._storage), None, True
        updated = trace.updates.get(self._storage)
        return updated if updated is not None else self._storage.node()

    @property
    def requires_grad(self) -> bool:
        """Whether it is a parameter."""
        s = self._storage
        return s is not None and s.owner is not None and s.owner() is self

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not value:
            if self.requires_grad:
                self._storage.owner = None  # type: ignore[union-attr]
            return
        if self.dtype.kind != "f":
            raise DTypeError(f"a parameter got {self.dtype}; gradients need float32 or float64.")
        if self.requires_grad:
            return
        if not self._is_owner or self._storage is None or self._storage.owner is not None:
            self._storage, self._node, self._trace = Storage(self.numpy()), None, 0
            self._is_owner = True
        self._storage.owner = weakref.ref(self)

    @property
    def name(self) -> str:
        """What listings call this tensor where it is state of a compiled function; "" if unnamed."""
        return self._storage.name if self._storage is not None else ""

    @name.setter
    def name(self, name: str) -> None:
        if self._storage is None or not self._is_owner:
            raise PellucidError(
                "only stored tensors have names: an expression has no place in memory."
            )
        self._storage.name = name

    @property
    def storage(self) -> Storage | None:
        """Where the value is, if it is known now: not for expressions, nor inside compiled functions."""
        return None if active else self._storage

    # ---- values

    def realize(self) -> "Tensor":
        """Compute the value now, if it is not known yet."""
        realize(self)
        return self

    def _array(self) -> np.ndarray:
        """The array that holds the value: ours, not to be given away."""
        if self._storage is None or active:
            realize(self)
        return self._storage.array  # type: ignore[union-attr]

    def numpy(self) -> np.ndarray:
        """The value as a new NumPy array, yours to change."""
        return self._array().copy()

    def item(self) -> bool | int | float:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"item() got shape {self.shape} with {self.size} elements; it needs exactly one. "
                "Index one element, or use tolist()."
            )
        return self._array().item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return self._array().tolist()

    def __array__(self, dtype=None, copy: bool | None = None) -> np.ndarray:
        array = self._array()
        if copy is False:
            if dtype is not None and np.dtype(dtype) != array.dtype:
                raise ValueError(
                    f"a view of {array.dtype} cannot be {np.dtype(dtype)}: allow a copy"
                )
            view = array.view()
            view.flags.writeable = False
            return view
        return array.astype(dtype if dtype is not None else array.dtype, copy=True)

    def __buffer__(self, flags: int, /) -> memoryview:
        view = self._array().view()
        view.flags.writeable = False
        return memoryview(view)

    def __dlpack__(self, **options: Any) -> Any:
        options.pop("copy", None)
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the CPU, in DLPack's numbering

    def to_device(self, device: str, /, *, stream: Any = None) -> "Tensor":
        """The same tensor: there is one device, "cpu"."""
        if device != "cpu":
            raise PellucidError(f"there is no device {device!r}; tensors live on 'cpu'.")
        return self

    def _scalar(self, what: str) -> bool | int | float:
        if self.size != 1:
            raise ShapeError(
                f"{what} of a tensor of shape {self.shape} is ambiguous: it needs one element. "
                "Use any(), all(), or index one element."
            )
        return self._array().item()

    def __bool__(self) -> bool:
        return bool(self._scalar("the truth value"))

    def __float__(self) -> float:
        return float(self._scalar("float()"))

    def __int__(self) -> int:
        return int(self._scalar("int()"))

    def __index__(self) -> int:
        if self.dtype.kind != "i" or self.ndim:
            raise DTypeError(
                f"an index got {self.dtype}{list(self.shape)}; it must be one integer."
            )
        return int(self._scalar("an index"))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        if not self.shape:
            raise TypeError("iteration over a tensor without axes")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        if self._trace or active:
            return f"Tensor(<traced>, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(self._array(), separator=", ", prefix="Tensor(", threshold=SHOWN)
        shape = f", shape={self.shape}" if self.size == 0 or self.size > SHOWN else ""
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({text}{shape}, dtype={self.dtype}{grad})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else str(self)

    def __copy__(self) -> "Tensor":
        return Tensor(self)

    def __deepcopy__(self, memo: dict) -> "Tensor":
        new = Tensor(self.numpy(), requires_grad=self.requires_grad)
        memo[id(self)] = new
        return new

    def __reduce__(self) -> tuple:
        return _restored, (self.numpy(), self.requires_grad)

    __hash__ = object.__hash__

    # ---- state

    def assign(self, value: Any) -> "Tensor":
        """Overwrite the value in place: now, or in a compiled function whenever it runs.

        Expressions that were made before keep the value they were made with."""
        assign((self, value))
        return self

    def detach(self) -> "Tensor":
        """The same value; gradients do not flow through it."""
        return from_node(stop_gradient(self.node))

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(self, gradient: "Tensor | None" = None) -> None:
        """Add d self / d parameter to the `.grad` of every parameter that self was computed from.

        Self must be one number, unless the cotangent `gradient`, of its shape, is given."""
        backward(self, gradient)

    # ---- operators

    def __add__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, self, other, "add")

    def __radd__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, other, self, "add")

    def __sub__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, self, other, "subtract")

    def __rsub__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, other, self, "subtract")

    def __mul__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, self, other, "multiply")

    def __rmul__(self, other: Any) -> "Tensor":
        return _binary(elementwise.arithmetic, other, self, "multiply")

    def __truediv__(self, other: Any) -> "Tensor":
        return _binary(elementwise.divide, self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return _binary(elementwise.divide, other, self)

    def __floordiv__(self, other: Any) -> "Tensor":
        return _binary(elementwise.integer_like, self, other, "floor_divide", "floordiv")

    def __rfloordiv__(self, other: Any) -> "Tensor":
        return _binary(elementwise.integer_like, other, self, "floor_divide", "floordiv")

    def __mod__(self, other: Any) -> "Tensor":
        return _binary(elementwise.integer_like, self, other, "remainder", "mod")

    def __rmod__(self, other: Any) -> "Tensor":
        return _binary(elementwise.integer_like, other, self, "remainder", "mod")

    def __pow__(self, other: Any) -> "Tensor":
        return _binary(elementwise.power, self, other)

    def __rpow__(self, other: Any) -> "Tensor":
        return _binary(elementwise.power, other, self)

    def __and__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, self, other, "logical_and")

    def __rand__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, other, self, "logical_and")

    def __or__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, self, other, "logical_or")

    def __ror__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, other, self, "logical_or")

    def __xor__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, self, other, "logical_xor")

    def __rxor__(self, other: Any) -> "Tensor":
        return _binary(elementwise.logical, other, self, "logical_xor")

    def __eq__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return _binary(elementwise.compare, self, other, "equal")

    def __ne__(self, other: Any) -> "Tensor":  # type: ignore[override]
        return _binary(elementwise.compare, self, other, "not_equal")

    def __lt__(self, other: Any) -> "Tensor":
        return _binary(elementwise.compare, self, other, "less")

    def __le__(self, other: Any) -> "Tensor":
        return _binary(elementwise.compare, self, other, "less_equal")

    def __gt__(self, other: Any) -> "Tensor":
        return _binary(elementwise.compare, self, other, "greater")

    def __ge__(self, other: Any) -> "Tensor":
        return _binary(elementwise.compare, self, other, "greater_equal")

    def __matmul__(self, other: Any) -> "Tensor":
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return matmul(other, self)

    def __neg__(self) -> "Tensor":
        reductions.check_real("negative", self.node)
        return from_node(make("neg", (self.node,)))

    def __pos__(self) -> "Tensor":
        return self

    def __abs__(self) -> "Tensor":
        return self.abs()

    def __invert__(self) -> "Tensor":
        if self.dtype.kind != "b":
            raise DTypeError(f"~ got {self.dtype}; it takes bool. Compare first: ~(x > 0).")
        return from_node(make("logical_not", (self.node,)))

    def __getitem__(self, key: Any) -> "Tensor":
        return from_node(indexing.read(self.node, _plain_key(key), leaf_of))

    def __setitem__(self, key: Any, value: Any) -> None:
        value = as_tensor(value, self.dtype)
        _check_assignable(self, value)
        new = indexing.write(self.node, _plain_key(key), value.node, leaf_of)
        assign((self, from_node(new)))

    # ---- shapes

    @property
    def T(self) -> "Tensor":
        """The axes reversed."""
        return from_node(shaping.permute(self.node, None))

    @property
    def mT(self) -> "Tensor":
        """The last two axes exchanged."""
        if self.ndim < 2:
            raise ShapeError(f"mT got shape {self.shape}; it needs two axes or more.")
        return from_node(shaping.transpose(self.node, -1, -2))

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape; one size may be -1."""
        return from_node(shaping.reshape(self.node, shaping.plain_shape("reshape", shape)))

    view = reshape

    def flatten(self, start_axis: int = 0, end_axis: int = -1) -> "Tensor":
        """The axes from start to end as one."""
        if not self.shape:
            return self.reshape(1)
        start, end = (
            shaping.one_axis("flatten", a, self.ndim, self.shape) for a in (start_axis, end_axis)
        )
        merged = math.prod(self.shape[start : end + 1])
        return self.reshape((*self.shape[:start], merged, *self.shape[end + 1 :]))

    def permute(self, *axes: Any) -> "Tensor":
        """The axes in a new order."""
        return from_node(shaping.permute(self.node, shaping.plain_shape("permute", axes)))

    def transpose(self, *axes: int) -> "Tensor":
        """Two axes exchanged; without arguments, all reversed; with more, their new order."""
        if len(axes) == 2 and not isinstance(axes[0], Iterable):
            return from_node(shaping.transpose(self.node, *axes))
        return self.permute(*axes) if axes else self.T

    def squeeze(self, axis: Axes = None) -> "Tensor":
        """Without axes of size 1: the named ones, or all."""
        return from_node(shaping.squeeze(self.node, axis))

    def unsqueeze(self, axis: Any) -> "Tensor":
        """With a new axis of size 1 at this place."""
        return from_node(shaping.unsqueeze(self.node, axis))

    def broadcast_to(self, *shape: Any) -> "Tensor":
        """Stretched to a shape."""
        return from_node(shaping.expand(self.node, shaping.sizes("broadcast_to", shape)))

    def expand(self, *shape: Any) -> "Tensor":
        """Stretched to a shape; -1 keeps a size."""
        return from_node(shaping.expand(self.node, shaping.plain_shape("expand", shape)))

    def pad(self, widths: Any, value: float = 0) -> "Tensor":
        """Surrounded by `value`: one width, (before, after), or a pair for each axis."""
        return from_node(shaping.pad(self.node, widths, value))

    def flip(self, axis: Axes = None) -> "Tensor":
        """Backwards along the axes."""
        return from_node(shaping.flip(self.node, axis))

    def astype(self, dtype: DTypeLike) -> "Tensor":
        """The values in another dtype; floats are cut towards zero for integers."""
        wanted = dtypes.of(dtype)
        return self if wanted is self.dtype else from_node(elementwise.cast(self.node, wanted))

    def float(self) -> "Tensor":
        """As float32."""
        return self.astype(dtypes.float32)

    # ---- reductions

    def sum(self, axis: Axes = None, keepdims: bool = False, dtype: Any = None) -> "Tensor":
        """Sum over the axes (all for None); integers and bool in int64."""
        d = None if dtype is None else dtypes.of(dtype)
        return from_node(reductions.sum(self.node, axis, keepdims, d))

    def mean(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Sum divided by the number of elements."""
        return from_node(reductions.mean(self.node, axis, keepdims))

    def var(self, axis: Axes = None, correction: Any = 0, keepdims: bool = False) -> "Tensor":
        """Mean squared distance from the mean; divided by n - correction."""
        return from_node(reductions.var(self.node, axis, correction, keepdims))

    def std(self, axis: Axes = None, correction: Any = 0, keepdims: bool = False) -> "Tensor":
        """Square root of the variance."""
        return self.var(axis, correction, keepdims).sqrt()

    def max(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Largest element; NaN wins."""
        return from_node(reductions.extreme("max", self.node, axis, keepdims))

    def min(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Smallest element; NaN wins."""
        return from_node(reductions.extreme("min", self.node, axis, keepdims))

    def prod(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Product of the elements."""
        return from_node(reductions.prod(self.node, axis, keepdims))

    def any(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Whether one element is not zero."""
        return from_node(reductions.truth("any", self.node, axis, keepdims))

    def all(self, axis: Axes = None, keepdims: bool = False) -> "Tensor":
        """Whether every element is not zero."""
        return from_node(reductions.truth("all", self.node, axis, keepdims))

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        """Place of the largest element, the first of equals; int64."""
        return from_node(reductions.place_of_extreme("argmax", self.node, axis, keepdims))

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> "Tensor":
        """Place of the smallest element, the first of equals; int64."""
        return from_node(reductions.place_of_extreme("argmin", self.node, axis, keepdims))

    def cumsum(self, axis: int | None = None) -> "Tensor":
        """Running sums along an axis."""
        return from_node(reductions.cumsum(self.node, axis))

    # ---- functions of each element

    def exp(self) -> "Tensor":
        """e to the power of x."""
        return from_node(elementwise.floating("exp", self.node))

    def log(self) -> "Tensor":
        """Natural logarithm."""
        return from_node(elementwise.floating("log", self.node))

    def sqrt(self) -> "Tensor":
        """Square root."""
        return from_node(elementwise.floating("sqrt", self.node))

    def sin(self) -> "Tensor":
        """Sine of x in radians."""
        return from_node(elementwise.floating("sin", self.node))

    def cos(self) -> "Tensor":
        """Cosine of x in radians."""
        return from_node(elementwise.floating("cos", self.node))

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent."""
        return from_node(elementwise.floating("tanh", self.node))

    def erf(self) -> "Tensor":
        """Error function, 2/√π · ∫₀ˣ exp(-t²) dt."""
        return from_node(elementwise.floating("erf", self.node))

    def floor(self) -> "Tensor":
        """Largest whole number that is not above x."""
        reductions.check_real("floor", self.node)
        return self if self.dtype.kind == "i" else from_node(make("floor", (self.node,)))

    def square(self) -> "Tensor":
        """x · x."""
        return self * self

    def rsqrt(self) -> "Tensor":
        """1 / √x."""
        return 1.0 / self.sqrt()

    def pow(self, exponent: Any) -> "Tensor":
        """x ** exponent."""
        return self**exponent

    def abs(self) -> "Tensor":
        """Distance from zero; its gradient at 0 is 0."""
        if self.dtype.kind == "b" or self.dtype is dtypes.uint8:
            return self
        return where(self < 0, -self, where(self == 0, 0, self))

    def clip(self, low: Any = None, high: Any = None) -> "Tensor":
        """x, but at least low and at most high."""
        y = self
        if low is not None:
            y = maximum(y, low)
        return y if high is None else minimum(y, high)

    def relu(self) -> "Tensor":
        """max(x, 0)."""
        return maximum(self, 0)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + exp(-x)), from exp(-|x|), which never overflows: exact on both sides."""
        x = self if self.dtype.kind == "f" else self.astype(dtypes.float32)
        e = where(x < 0, x, -x).exp()
        return where(x < 0, e, 1) / (1 + e)

    def softmax(self, axis: int = -1) -> "Tensor":
        """exp(x) / sum(exp(x)) along an axis. The largest x is subtracted first, so exp never
        overflows; softmax does not change by that, so no gradient flows through the maximum."""
        x = self if self.dtype.kind == "f" else self.astype(dtypes.float32)
        e = (x - x.max(axis, keepdims=True).detach()).exp()
        return e / e.sum(axis, keepdims=True)

    def log_softmax(self, axis: int = -1) -> "Tensor":
        """log(softmax(x)) without the detour through numbers that round to 0."""
        x = self if self.dtype.kind == "f" else self.astype(dtypes.float32)
        z = x - x.max(axis, keepdims=True).detach()
        return z - z.exp().sum(axis, keepdims=True).log()

    def logsumexp(self, axis: Axes = -1, keepdims: bool = False) -> "Tensor":
        """log(sum(exp(x))), with the largest x taken out of the sum."""
        x = self if self.dtype.kind == "f" else self.astype(dtypes.float32)
        m = x.max(axis, keepdims=True)
        m = where(m.isfinite(), m, 0).detach()  # inf - inf would be NaN
        y = (x - m).exp().sum(axis, keepdims=True).log() + m
        if keepdims:
            return y
        return y.squeeze(shaping.all_axes("logsumexp", axis, self.shape))

    def isnan(self) -> "Tensor":
        """Whether x is not a number."""
        return self != self

    def isinf(self) -> "Tensor":
        """Whether x is infinite."""
        if self.dtype.kind != "f":
            return self != self
        return self.abs() == math.inf

    def isfinite(self) -> "Tensor":
        """Whether x is neither NaN nor infinite."""
        if self.dtype.kind != "f":
            return self == self
        return self.abs() < math.inf

    def where(self, condition: Any, other: Any) -> "Tensor":
        """x where the condition holds, `other` elsewhere."""
        return where(condition, self, other)

    def matmul(self, other: Any) -> "Tensor":
        """Matrix product."""
        return matmul(self, other)

    def dot(self, other: Any) -> "Tensor":
        """Matrix product; of two vectors the sum of products."""
        return matmul(self, other)


_LEAKED = (
    "this tensor was made while a compiled function was traced, and that trace is over: it has no "
    "value. Return it from the function, or keep it with state.assign(...) in a tensor made outside."
)

# ---- from and to nodes


def from_node(node: Node) -> Tensor:
    """The tensor of a node."""
    t = Tensor.__new__(Tensor)
    t._storage = None
    t._node = node
    stack = active.stack
    t._trace = stack[-1].serial if stack else 0
    t._is_owner = False
    t.grad = None
    return t


def from_array(array: np.ndarray, origin: int = 0) -> Tensor:
    """The tensor of an array that nobody else holds, contiguous and of one of the six dtypes."""
    t = Tensor.__new__(Tensor)
    t._storage = Storage(array, origin)
    t._node = None
    t._trace = 0
    t._is_owner = True
    t.grad = None
    return t


def _restored(array: np.ndarray, requires_grad: bool) -> Tensor:
    return Tensor(array, requires_grad=requires_grad)


def _array_of(data: Any, wanted: DType | None) -> np.ndarray:
    """An aligned array of our own with the values of `data`."""
    try:
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"the data has no shape: {error}. Give lists of equal lengths.") from None
    if array.dtype.kind not in "biuf":
        kind = type(data).__name__ if array.dtype.kind == "O" else array.dtype.name
        raise DTypeError(
            f"a tensor holds numbers, and got {kind}. Convert the data to numbers first."
        )
    if wanted is None:
        wanted = _default_dtype(data, array)
    if array.dtype == wanted.numpy:
        return aligned_copy(array)
    new = aligned(array.shape, wanted.numpy)
    if wanted.kind == "i":
        _check_whole(array, wanted)
    with np.errstate(over="ignore"):
        np.copyto(new, array, casting="unsafe")
    return new


def _default_dtype(data: Any, array: np.ndarray) -> DType:
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, (list, tuple, bool, int, float, range)) and not isinstance(
        first, np.generic
    ):
        if array.dtype.kind == "u":
            raise DTypeError(f"{array.max()} is too large for int64.")
        return {"b": dtypes.bool_, "i": dtypes.int64, "f": dtypes.float32}[array.dtype.kind]
    return dtypes.of(array.dtype)


def _check_whole(array: np.ndarray, wanted: DType) -> None:
    """Data that an integer dtype cannot hold is refused: casting would give other numbers."""
    if array.dtype.kind == "b" or array.size == 0:
        return
    limits = np.iinfo(wanted.numpy)
    low, high = array.min(), array.max()
    # As Python integers: float64 has no 2**63 - 1, and would round it up.
    is_finite = -math.inf < low and high < math.inf  # False for NaN
    if not (is_finite and int(low) >= limits.min and int(high) <= limits.max):
        raise DTypeError(
            f"data from {low} to {high} does not fit {wanted}, which holds {limits.min} to "
            f"{limits.max}. Choose another dtype, or clip the data first."
        )


def as_tensor(value: Any, dtype: DType | None = None) -> Tensor:
    """The value as a tensor: itself if it is one. `dtype` is what Python numbers and lists become."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float)):
        weak = (
            elementwise.common_dtype((value,))
            if dtype is None
            else elementwise.weak_dtype(dtype, value)
        )
        elementwise.check_number("a tensor", value, weak)
        return from_node(constant(value, weak))
    return Tensor(value)


def operand(value: Any) -> Operand:
    """A node, or a Python number, whose dtype is weak. NumPy's scalars count as Python's."""
    if isinstance(value, Tensor):
        return value.node
    if isinstance(value, (bool, int, float)) and not isinstance(value, np.generic):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if (
        isinstance(value, (np.ndarray, list, tuple))
        or hasattr(value, "__array__")
        or hasattr(value, "__dlpack__")
    ):
        return Tensor(value).node
    raise TypeError


def _binary(f: Any, a: Any, b: Any, *names: str) -> Tensor:
    try:
        x, y = operand(a), operand(b)
    except TypeError as error:
        if isinstance(error, PellucidError):
            raise
        return NotImplemented
    return from_node(f(*names, x, y))


def leaf_of(array: np.ndarray) -> Node:
    """A node for integers or a mask that were worked out from a key."""
    return Storage(aligned_copy(array)).node()


def _plain_key(key: Any) -> Any:
    """Tensors, lists, arrays and bools in a key as ArrayIndex; the rest as it is."""
    if isinstance(key, tuple):
        return tuple(plain_item(item) for item in key)
    return plain_item(key)


def plain_item(item: Any) -> Any:
    if isinstance(item, (bool, np.bool_)):
        return indexing.ArrayIndex(np.asarray(item), None)
    if isinstance(item, Tensor):
        if active.is_recording:  # state, whose values may be others at the next call
            return indexing.ArrayIndex(None, item.node)
        return indexing.ArrayIndex(item._array(), None)
    if isinstance(item, (list, np.ndarray)):
        values = np.asarray(item)
        if values.size == 0 and isinstance(item, list):  # NumPy makes float64 of []: no places
            values = values.astype(np.int64)
        return indexing.ArrayIndex(values, None)
    return item


# ---- several at once


def realize(*tensors: Tensor) -> None:
    """Compute the values of several tensors in one program."""
    if active:
        raise TraceError(_NO_VALUE)
    pending = [t for t in tensors if t._storage is None]
    if not pending:
        return
    for t, (storage, is_kept) in zip(
        pending, realize_nodes([t.node for t in pending]), strict=True
    ):
        t._storage = storage
        if not is_kept:
            t._node = None


_NO_VALUE = (
    "the value of this tensor was asked for inside a compiled function (by if, while, int(), float(), "
    "item(), print or NumPy), but it is only known when the function runs. Use where(condition, a, b) "
    "instead of if, return the tensor and look at it outside, or leave this function uncompiled."
)


def _check_assignable(target: Tensor, value: Tensor) -> None:
    kinds = "bif"
    if kinds.index(value.dtype.kind) > kinds.index(target.dtype.kind):
        raise DTypeError(
            f"a tensor of {target.dtype} cannot hold {value.dtype}: values would change. "
            f"Use value.astype({target.dtype}) if that is meant."
        )


def assign(*pairs: tuple[Tensor, Any]) -> None:
    """Overwrite several tensors: all new values are computed first, in one program."""
    if active.n_loops:
        raise TraceError(
            "assign inside the step of a scan: the step runs once, to be recorded. Make the value a part of "
            "the carry, and assign it after the loop."
        )
    values: list[Tensor] = []
    for target, value in pairs:
        new = as_tensor(value, target.dtype)
        _check_assignable(target, new)
        if not elementwise.fits(new.shape, target.shape):
            raise ShapeError(
                f"assign got shape {new.shape} for a tensor of shape {target.shape}: they must be "
                "equal, or the value must stretch to it. Reshape the value."
            )
        if new.dtype is not target.dtype or new.shape != target.shape:
            new = new.astype(target.dtype).broadcast_to(target.shape)
        values.append(new)
    if active:
        nodes = [v.node for v in values]
        for (target, _), node in zip(pairs, nodes, strict=True):
            _record_update(target, node)
        return
    realize(*values)
    arrays = [v._array() for v in values]
    targets = [t for t, _ in pairs]
    if len(pairs) > 1:  # a value may be another target's own array
        own = {id(t._storage) for t in targets}
        arrays = [
            a.copy() if id(v._storage) in own else a for a, v in zip(arrays, values, strict=True)
        ]
    for target, array in zip(targets, arrays, strict=True):
        if target._storage is None or not target._is_owner:
            target._storage, target._trace = Storage(aligned_copy(array)), 0
            target._is_owner = True
        else:
            target._storage.release()
            np.copyto(target._storage.array, array)
        target._node = None


def _own_copy(storage: Storage) -> Storage:
    return Storage(aligned_copy(storage.array), storage.origin)


def _record_update(target: Tensor, node: Node) -> None:
    trace = active.stack[-1]
    alias = stop_gradient(node)
    if target._trace == trace.serial:
        if target._node in trace.arguments:
            raise TraceError(
                "a compiled function cannot overwrite its argument. Return the new value, or keep "
                "state in a tensor made outside of the function."
            )
        target._node = alias
        return
    _ = target.node  # says what is wrong with it, and makes the storage its own
    assert target._storage is not None
    trace.updates[target._storage] = alias
    trace.parameters[alias] = target._storage


# ---- gradients


def owner_of(leaf: Node) -> Tensor | None:
    """The parameter that a leaf stands for, if any."""
    storage = active.stack[-1].parameters.get(leaf) if active else None
    if storage is None:
        row = known(leaf)
        storage = row.source if row is not None and isinstance(row.source, Storage) else None
    return storage.owner() if storage is not None and storage.owner is not None else None  # type: ignore[return-value]


def cotangent_of(output: Tensor, gradient: Tensor | None, name: str) -> Node:
    if output.dtype.kind != "f":
        raise DTypeError(f"{name} of {output.dtype}: only float32 and float64 have gradients.")
    if gradient is None:
        if output.size != 1:
            raise ShapeError(
                f"{name} of a tensor of shape {output.shape}: a gradient starts from one number. "
                "Use .sum() or .mean() first, or give the cotangent, of the same shape."
            )
        return constant(1.0, output.dtype, output.shape)
    gradient = as_tensor(gradient, output.dtype)
    if not elementwise.fits(gradient.shape, output.shape):
        raise ShapeError(
            f"{name}: the cotangent has shape {gradient.shape}, the output {output.shape}; "
            "they must be equal."
        )
    return gradient.astype(output.dtype).broadcast_to(output.shape).node


def backward(output: Tensor, gradient: Tensor | None = None) -> None:
    """As Tensor.backward: add to the `.grad` of every parameter that output was computed from.

    The gradients carry no history of their own; for gradients of gradients use `pellucid.grad`."""
    start = cotangent_of(output, gradient, "backward()")
    leaves = [x for x in topological_order([output.node]) if x.op == "leaf"]
    owners = [(x, owner) for x in leaves if (owner := owner_of(x)) is not None]
    if not owners:
        raise PellucidError(
            "backward() found no parameter: nothing that this tensor was computed from has "
            "requires_grad=True (results of compiled functions come without their expression). "
            "Make the parameters with Tensor(data, requires_grad=True)."
        )
    found = gradients([output.node], [start], [x for x, _ in owners])
    for (_, owner), node in zip(owners, found, strict=True):
        if node is None:
            continue
        new = from_node(stop_gradient(node))
        old = owner.grad
        if active:
            trace = active.stack[-1]
            trace.grads.setdefault(id(owner), (owner, old))
            if old is not None and old._trace != trace.serial:
                old = None  # a compiled function starts with empty gradients, on every call
        owner.grad = new if old is None else old + new


# ---- functions of two tensors that methods need


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere; all three stretch to one shape."""
    return from_node(elementwise.where(operand(condition), operand(a), operand(b)))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of each pair; NaN wins."""
    return from_node(make("maximum", elementwise.matched("maximum", (operand(a), operand(b)))))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of each pair; NaN wins."""
    return from_node(make("minimum", elementwise.matched("minimum", (operand(a), operand(b)))))


def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product: the last axis of a with the last but one of b; leading axes are batches."""
    return from_node(contraction.matmul(as_tensor(a).node, as_tensor(b).node))
