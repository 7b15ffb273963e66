"""Random cases of every primitive, for the tests of floors 1 to 3.

A Maker draws small integers from any source (hypothesis, so that failures shrink, or a seeded
generator) and builds a node with leaves and their arrays. CASES has one row per primitive."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from pellucid.base import dtypes
from pellucid.base.dtypes import DType
from pellucid.graph.infer import constant, make
from pellucid.graph.loop import Scan
from pellucid.graph.node import Node, Shape, leaf
from pellucid.graph.ops import OPS

# Around the 16 lanes of a vector, twice as many, and primes.
SIZES = (0, 1, 2, 3, 5, 7, 13, 15, 16, 17, 31, 33, 37, 101)
MAX_SIZE = 4096  # elements of one array
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1.2e-38, 3e38, -88.0, 0.5, 2.0)


class Maker:
    """Draws shapes, dtypes and values, and keeps the arrays of the leaves it made."""

    def __init__(self, integer: Callable[[int, int], int], move: bool = True):
        self.integer = integer
        self.move = move  # whether inputs and outputs pass through movement ops
        self.rng = np.random.default_rng(integer(0, 2**31))
        self.arrays: dict[Node, np.ndarray] = {}
        self.value_range: tuple[float, float] | None = None  # if given: distinct values within it
        self.special: tuple[float, ...] = SPECIAL  # put among the values now and then
        self.kinds = "bif"  # kinds of dtype drawn
        self.room = MAX_SIZE  # elements of a drawn shape
        self.only: DType | None = None  # the one dtype drawn where the op takes it

    # -- draws

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) >= 100 - percent  # shrinks towards False

    def pick(self, choices: Sequence):
        return choices[self.integer(0, len(choices) - 1)]

    def permutation(self, n: int) -> tuple[int, ...]:
        rest = list(range(n))
        return tuple(rest.pop(self.integer(0, len(rest) - 1)) for _ in range(n))

    def subset(self, items: Sequence) -> tuple:
        return tuple(x for x in items if self.integer(0, 1))

    def dtype(self, takes: str) -> DType:
        fits = [d for d in dtypes.ORDER if d.kind in takes and d.kind in self.kinds]
        if self.only in fits:
            return self.only
        return self.pick(fits)

    def shape(self, min_rank: int = 0, max_rank: int = 6, min_size: int = 0) -> Shape:
        rank = self.integer(min_rank, max_rank)
        sizes, room = [1] * rank, self.room
        for axis in self.permutation(rank):
            empty = min_size == 0 and self.chance(8)
            sizes[axis] = 0 if empty else self.pick([s for s in SIZES if 0 < s <= room] or [1])
            room //= max(sizes[axis], 1)
        return tuple(sizes)

    # -- nodes

    def leaf(self, shape: Shape, dtype: DType) -> Node:
        node = leaf(shape, dtype, f"x{len(self.arrays)}")
        self.arrays[node] = self.values(shape, dtype)
        return node

    def values(self, shape: Shape, dtype: DType) -> np.ndarray:
        rng, n = self.rng, math.prod(shape)
        if self.value_range is not None and dtype.kind == "f":
            return self._spread(n).reshape(shape).astype(dtype.numpy)
        if dtype.kind == "b":
            return rng.integers(0, 2, shape).astype(bool)
        if dtype.kind == "i":
            limits = np.iinfo(dtype.numpy)
            low, high = (limits.min, limits.max) if self.chance(25) else (max(-4, limits.min), 5)
            return rng.integers(low, high, shape, dtype=dtype.numpy, endpoint=True)
        x = (rng.standard_normal(shape) * self.pick((1.0, 1.0, 30.0))).astype(dtype.numpy)
        if self.chance(25):
            hit = rng.random(shape) < 0.3
            with np.errstate(over="ignore"):
                x = np.where(hit, rng.choice(np.array(self.special, dtype.numpy), shape), x)
        return x

    def _spread(self, n: int) -> np.ndarray:
        """n distinct values at equal distances, shuffled, never where another leaf has one."""
        assert self.value_range is not None
        low, high = self.value_range
        place = (np.arange(n) + 0.2 + 0.2 * (len(self.arrays) % 4)) / max(n, 1)
        return self.rng.permutation(low + (high - low) * place)

    def index(self, shape: Shape, n: int) -> Node:
        """A leaf of indices, some of them out of range."""
        dtype = self.pick((dtypes.int64, dtypes.int32))
        node = leaf(shape, dtype, f"i{len(self.arrays)}")
        low, high = (-2, n + 2) if self.chance(25) else (0, max(n, 1))
        self.arrays[node] = self.rng.integers(low, high, shape, dtype=dtype.numpy)
        return node

    def input(self, shape: Shape, dtype: DType) -> Node:
        """A node of this shape: a leaf, or a movement of a leaf of another shape."""
        if not self.move or not self.chance(50):
            return self.leaf(shape, dtype)
        axes = range(len(shape))
        match self.integer(0, 6):
            case 0:
                order = self.permutation(len(shape))
                source = [0] * len(shape)
                for a, d in zip(order, shape, strict=True):
                    source[a] = d
                return make("permute", (self.leaf(tuple(source), dtype),), (order,))
            case 1:
                flipped = self.subset(axes)
                return make("flip", (self.leaf(shape, dtype),), (flipped,))
            case 2:
                starts = tuple(self.integer(0, 2) for _ in axes)
                steps = tuple(self.integer(1, 3) for _ in axes)
                grown = tuple(
                    lo + d * s + self.integer(0, 1)
                    for lo, d, s in zip(starts, shape, steps, strict=True)
                )
                if math.prod(grown) > 8 * MAX_SIZE:
                    return self.leaf(shape, dtype)
                stops = tuple(
                    lo + (d - 1) * s + 1 if d else lo
                    for lo, d, s in zip(starts, shape, steps, strict=True)
                )
                return make("slice", (self.leaf(grown, dtype),), (starts, stops, steps))
            case 3:
                kept = [1 if self.chance(50) else d for d in shape]
                return make(
                    "broadcast",
                    (self.leaf(tuple(kept[self.integer(0, len(shape)) :]), dtype),),
                    (shape,),
                )
            case 4:
                return make("reshape", (self.leaf((math.prod(shape),), dtype),), (shape,))
            case 5:
                widths = tuple((self.integer(0, min(d, 2)), 0) for d in shape)
                inner = tuple(d - lo for d, (lo, _) in zip(shape, widths, strict=True))
                return make("pad", (self.leaf(inner, dtype),), (widths, self.pick((0, 1))))
        if not shape:
            return self.leaf(shape, dtype)
        axis = self.pick(axes)
        cut = self.integer(0, shape[axis])
        parts = [
            self.leaf((*shape[:axis], d, *shape[axis + 1 :]), dtype)
            for d in (cut, shape[axis] - cut)
        ]
        return make("concat", parts, (axis,))

    def moved(self, x: Node) -> Node:
        """x, or a movement of it."""
        if not self.move or not self.chance(50):
            return x
        return self.pick((_permute, _flip, _reshape, _slice, _pad, _broadcast))(self, x)


# ---- movements of a given node


def _permute(m: Maker, x: Node) -> Node:
    return make("permute", (x,), (m.permutation(len(x.shape)),))


def _flip(m: Maker, x: Node) -> Node:
    return make("flip", (x,), (m.subset(range(len(x.shape))),))


def _reshape(m: Maker, x: Node) -> Node:
    """Some axes joined, some split, some of size 1 put in."""
    sizes: list[int] = []
    for d in x.shape:
        if sizes and m.chance(40):
            sizes[-1] *= d
        else:
            sizes.append(d)
    split: list[int] = []
    for d in sizes:
        factor = next((f for f in (2, 3, 5, 7, 11) if d % f == 0 and d), 1)
        split.extend((d // factor, factor) if m.chance(30) else (d,))
        if m.chance(20):
            split.append(1)
    if len(split) > 6:
        split = [*split[:5], math.prod(split[5:])]
    return make("reshape", (x,), (tuple(split),))


def _slice(m: Maker, x: Node) -> Node:
    starts = tuple(m.integer(0, min(d, 3)) for d in x.shape)
    stops = tuple(d - m.integer(0, min(d - lo, 2)) for d, lo in zip(x.shape, starts, strict=True))
    return make("slice", (x,), (starts, stops, tuple(m.integer(1, 3) for _ in starts)))


def _pad(m: Maker, x: Node) -> Node:
    widths = tuple((m.integer(0, 2), m.integer(0, 2)) for _ in x.shape)
    value = m.pick((0, 1))
    if x.dtype.kind == "f":  # where slopes are measured, finite
        value = m.pick((0.0, -0.0, 1.5, math.inf if m.value_range is None else 2.5))
    grown = math.prod(d + lo + hi for d, (lo, hi) in zip(x.shape, widths, strict=True))
    return make("pad", (x,), (widths, value)) if grown <= 8 * MAX_SIZE else x


def _broadcast(m: Maker, x: Node) -> Node:
    shape, room = list(x.shape), 8 * MAX_SIZE // max(x.size, 1)
    for i, d in enumerate(shape):
        if d == 1 and m.chance(50):
            shape[i] = m.pick([s for s in SIZES if s <= room])
            room //= max(shape[i], 1)
    while len(shape) < 6 and m.chance(40):
        shape.insert(0, m.pick([s for s in SIZES if s <= room]))
        room //= max(shape[0], 1)
    return make("broadcast", (x,), (tuple(shape),))


# ---- one case of each primitive


def _elementwise(op: str) -> Callable[[Maker], Node]:
    row = OPS[op]

    def case(m: Maker) -> Node:
        shape, dtype = m.shape(), m.dtype(row.takes)
        return make(op, [m.input(shape, dtype) for _ in range(row.arity)])

    return case


def _moving(movement: Callable[[Maker, Node], Node]) -> Callable[[Maker], Node]:
    return lambda m: movement(m, m.input(m.shape(), m.dtype("bif")))


def _cast(m: Maker) -> Node:
    return make("cast", (m.input(m.shape(), m.dtype("bif")),), (m.dtype("bif").name,))


def _where(m: Maker) -> Node:
    shape, dtype = m.shape(), m.dtype("bif")
    condition = m.input(shape, dtypes.bool_)
    return make("where", (condition, m.input(shape, dtype), m.input(shape, dtype)))


def _concat(m: Maker) -> Node:
    shape, dtype = m.shape(min_rank=1), m.dtype("bif")
    axis = m.pick(range(len(shape)))
    room = MAX_SIZE // max(math.prod(shape[:axis] + shape[axis + 1 :]), 1)
    sizes = [m.pick([s for s in SIZES if s <= room]) for _ in range(m.integer(1, 4))]
    parts = [m.input((*shape[:axis], d, *shape[axis + 1 :]), dtype) for d in sizes]
    return make("concat", parts, (axis,))


def _reduce(op: str) -> Callable[[Maker], Node]:
    def case(m: Maker) -> Node:
        shape, dtype = m.shape(), m.dtype(OPS[op].takes)
        axes = [i for i, d in enumerate(shape) if d or op == "reduce_sum"]
        return make(op, (m.input(shape, dtype),), (m.subset(axes),))

    return case


def _argmax(m: Maker) -> Node:
    shape = m.shape(min_rank=1, min_size=1)
    return make("argmax", (m.input(shape, m.dtype("bif")),), (m.pick(range(len(shape))),))


def _cumsum(m: Maker) -> Node:
    shape = m.shape(min_rank=1)
    return make("cumsum", (m.input(shape, m.dtype("if")),), (m.pick(range(len(shape))),))


def _gather(m: Maker) -> Node:
    shape = m.shape(min_rank=1, max_rank=3, min_size=m.integer(0, 1))
    index_shape = m.shape(max_rank=2) if shape[0] else (0,)
    if math.prod(index_shape) * math.prod(shape[1:]) > 8 * MAX_SIZE:
        index_shape = index_shape[:1]
    index = m.index(index_shape, shape[0])
    return make("gather", (m.input(shape, m.dtype("bif")), index))


def _scatter_add(m: Maker) -> Node:
    shape = m.shape(max_rank=4)
    rank = m.integer(0, len(shape))
    n = m.integer(1, 40) if math.prod(shape[:rank]) else m.integer(0, 3)
    index = m.index(shape[:rank], n)
    return make("scatter_add", (index, m.input(shape, m.dtype("if"))), (n,))


def _contract(m: Maker) -> Node:
    dtype, room = m.dtype("f"), 8 * MAX_SIZE
    a: list[int] = []
    b: list[int] = []
    out: list[int] = []
    sizes: list[int] = []
    for label in range(m.integer(0, 6)):
        sizes.append(m.pick([s for s in SIZES if s <= room]))
        room //= max(sizes[-1], 1)
        for labels in m.pick(((a, b), (a, out), (b, out), (a, b, out))):
            labels.insert(m.integer(0, len(labels)), label)
    inputs = [m.input(tuple(sizes[i] for i in labels), dtype) for labels in (a, b)]
    return make("contract", inputs, (a, b, out))


def _iota(m: Maker) -> Node:
    shape = m.shape(min_rank=1)
    return make("iota", (), (shape, m.pick(range(len(shape))), m.dtype("if").name))


def _random(m: Maker) -> Node:
    key = leaf((2,), dtypes.int64, "key")
    m.arrays[key] = m.rng.integers(-(2**63), 2**63 - 1, 2, endpoint=True)
    return make("random", (key,), (m.shape(),))


def _const(m: Maker) -> Node:
    dtype = m.dtype("bif")
    value = {"b": True, "i": m.integer(0, 200), "f": m.pick((1.5, -0.0, math.inf, math.nan))}
    return constant(value[dtype.kind], dtype, m.shape())


def _window(m: Maker) -> Node:
    x, size, stride, dilation, axis = _windowed(m, "bif")
    return make("window", (x,), (axis, size, stride, dilation))


def _fold(m: Maker) -> Node:
    x, size, stride, dilation, axis = _windowed(m, "if")
    shape = make("window", (x,), (axis, size, stride, dilation)).shape
    return make("fold", (m.input(shape, x.dtype),), (axis, x.shape[axis], stride, dilation))


def _windowed(m: Maker, kinds: str):
    size, stride, dilation = m.integer(1, 4), m.integer(1, 3), m.integer(1, 3)
    length = dilation * (size - 1) + 1 + m.integer(0, 9)
    before = m.shape()
    while len(before) > 2:
        before = before[1:]
    axis = m.integer(0, len(before))
    shape = (*before[:axis], length, *before[axis:])
    return m.input(shape, m.dtype(kinds)), size, stride, dilation, axis


def _scan(m: Maker) -> Node:
    """A tap of a loop whose body adds, multiplies and moves its leaves, in ways that are exact."""
    dtype, length = m.dtype("if"), m.integer(1, 4)
    shape = m.shape(max_rank=2)
    while math.prod(shape) > 64:
        shape = shape[1:]
    carries = [leaf(shape, dtype) for _ in range(m.integer(1, 2))]
    xs = [leaf(shape, dtype) for _ in range(m.integer(0, 2))]
    consts = [leaf(shape, dtype) for _ in range(m.integer(0, 1))]
    nodes = [*carries, *xs, *consts]
    leaves = len(nodes)
    for _ in range(m.integer(1, 4)):
        op, x = m.pick(("add", "sub", "mul")), m.pick(nodes)
        if shape and m.chance(30):
            x = make("flip", (x,), (m.subset(range(len(shape))),))
        nodes.append(make(op, (x, nodes[m.integer(0, leaves - 1)])))
    scan = Scan(
        [(c, m.input(shape, dtype), m.pick(nodes)) for c in carries],
        [(x, m.input((length, *shape), dtype)) for x in xs],
        [(x, m.input(shape, dtype)) for x in consts],
        length,
        bool(m.integer(0, 1)),
    )
    return scan.final(0) if m.chance(40) else scan.stack(m.pick(nodes))


CASES: dict[str, Callable[[Maker], Node]] = {
    **{op.name: _elementwise(op.name) for op in OPS.values() if op.is_elementwise},
    "leaf": lambda m: m.input(m.shape(), m.dtype("bif")),
    "const": _const,
    "iota": _iota,
    "random": _random,
    "cast": _cast,
    "where": _where,
    "reshape": _moving(_reshape),
    "permute": _moving(_permute),
    "broadcast": _moving(_broadcast),
    "pad": _moving(_pad),
    "slice": _moving(_slice),
    "flip": _moving(_flip),
    "concat": _concat,
    "window": _window,
    "fold": _fold,
    "reduce_sum": _reduce("reduce_sum"),
    "reduce_max": _reduce("reduce_max"),
    "reduce_min": _reduce("reduce_min"),
    "argmax": _argmax,
    "cumsum": _cumsum,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "contract": _contract,
    "scan": _scan,
}

# ---- gradients: op -> range of its float inputs in which it is smooth

DIFFERENTIABLE: dict[str, tuple[float, float]] = {
    "neg": (-2, 2),
    "sqrt": (0.5, 3),
    "exp": (-2, 2),
    "log": (0.5, 3),
    "sin": (-3, 3),
    "cos": (-3, 3),
    "tanh": (-2, 2),
    "erf": (-2, 2),
    "cast": (-2, 2),
    "add": (-2, 2),
    "sub": (-2, 2),
    "mul": (-2, 2),
    "div": (0.7, 2),
    "mod": (4.3, 4.7),  # the dividend; the test makes divisors near 2, so that no quotient is whole
    "maximum": (-2, 2),
    "minimum": (-2, 2),
    "where": (-2, 2),
    "surrogate": (-2, 2),
    "reshape": (-2, 2),
    "permute": (-2, 2),
    "broadcast": (-2, 2),
    "pad": (-2, 2),
    "slice": (-2, 2),
    "flip": (-2, 2),
    "concat": (-2, 2),
    "window": (-2, 2),
    "fold": (-2, 2),
    "reduce_sum": (-2, 2),
    "reduce_max": (-2, 2),
    "reduce_min": (-2, 2),
    "cumsum": (-2, 2),
    "gather": (-2, 2),
    "scatter_add": (-2, 2),
    "contract": (-2, 2),
    "scan": (-2, 2),
}

NOT_DIFFERENTIABLE: dict[str, str] = {
    "leaf": "has no inputs",
    "const": "has no inputs",
    "iota": "has no inputs",
    "random": "its input is an integer key",
    "floor": "the derivative is 0 wherever it exists",
    "floordiv": "the derivative is 0 wherever it exists",
    "logical_not": "bool has no derivative",
    "eq": "the result is bool",
    "lt": "the result is bool",
    "le": "the result is bool",
    "argmax": "the result is an index",
}
