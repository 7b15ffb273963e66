"""The language between the graph and LLVM: index arithmetic, values, and the kernel forms.

Grammar (everything is a plain immutable record; a kernel is data that can be printed):

    Kernel  = LoopKernel(outer, inner, stages)        rows in parallel; stages walk a row one after another
            | ColumnKernel(outer, lane, along, ...)   reductions over leading axes, lanes across the kept axis
            | GemmKernel(batch, m, n, k, ...)         C = epilogue(A @ B), every axis several loops
            | SerialKernel(outer, along, ...)         argmax, cumsum: one element after the other
            | ScatterKernel(...)                      scatter_add: one update after the other
    Stage   = Map(stores) | Reduce(accumulators) | Row(stores)
    Store   = (array, Index, Value)
    Value   = Load(array, Index) | Const | Apply(op, Values) | FromIndex(Index) | Random(key, Index)
            | Guard(conditions, inside, outside) | Ref(name)
    Index   = constant + sum of coefficient * atom
    atom    = Var (a loop) | Quot(Index, n) | Rem(Index, n) | Fetched(Value)

An Index is kept in a normal form in which splitting and merging axes cancels, so that a reshaped,
transposed or broadcast view costs nothing: its movement is folded into the addresses."""

from dataclasses import dataclass, field
from math import gcd

from ..base import dtypes
from ..base.dtypes import DType


@dataclass(frozen=True)
class Var:
    """A loop counter, 0 <= value < extent."""

    name: str
    extent: int


@dataclass(frozen=True)
class Quot:
    """index // divisor (index is never negative)."""

    index: "Index"
    divisor: int


@dataclass(frozen=True)
class Rem:
    """index % divisor."""

    index: "Index"
    divisor: int


@dataclass(frozen=True)
class Fetched:
    """An index that was read from an array, clamped to 0 .. limit-1."""

    value: "Value"
    limit: int


Atom = Var | Quot | Rem | Fetched


@dataclass(frozen=True)
class Index:
    """const + sum(coefficient * atom). Make with `var`, `+`, `scaled`, `quotient`, `remainder`."""

    const: int = 0
    terms: tuple[tuple[Atom, int], ...] = ()

    def __add__(self, other: "Index | int") -> "Index":
        if isinstance(other, int):
            return Index(self.const + other, self.terms)
        if not other.terms:
            return Index(self.const + other.const, self.terms)
        return combine(self.const + other.const, self.terms + other.terms)

    def scaled(self, k: int) -> "Index":
        """k * self."""
        if k == 1:
            return self
        if k == 0:
            return Index()
        return Index(self.const * k, tuple((a, c * k) for a, c in self.terms))

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value that it can take."""
        low = high = self.const
        for a, c in self.terms:
            top = extent(a) - 1
            low, high = low + min(0, c * top), high + max(0, c * top)
        return low, high

    def coefficient(self, v: Var) -> int:
        """How far one step of loop v moves it, not counting what hides inside Quot, Rem, Fetched."""
        return next((c for a, c in self.terms if a == v), 0)

    def is_affine(self) -> bool:
        """Whether only loop counters occur."""
        return all(isinstance(a, Var) for a, _ in self.terms)

    def __str__(self) -> str:
        parts = [str(self.const)] if self.const or not self.terms else []
        for a, c in self.terms:
            parts.append(atom_text(a) if c == 1 else f"{c}*{atom_text(a)}")
        return " + ".join(parts)


def atom_text(a: Atom) -> str:
    """An atom as it is printed."""
    if isinstance(a, Var):
        return a.name
    if isinstance(a, Fetched):
        return f"[{value_text(a.value)}]"
    sign = "//" if isinstance(a, Quot) else "%"
    return f"({a.index}){sign}{a.divisor}"


def extent(a: Atom) -> int:
    """One more than the greatest value of an atom."""
    if isinstance(a, Var):
        return a.extent
    if isinstance(a, Rem):
        return a.divisor
    if isinstance(a, Fetched):
        return a.limit
    return max(0, a.index.bounds()[1]) // a.divisor + 1


def var(v: Var) -> Index:
    """The index that is loop v; a loop of one iteration is 0."""
    return Index(0, ((v, 1),)) if v.extent > 1 else Index()


def combine(const: int, terms) -> Index:
    """Sums equal atoms, and joins (x // n) * n*k + (x % n) * k into x * k."""
    total: dict[Atom, int] = {}
    for a, c in terms:
        total[a] = total.get(a, 0) + c
    joined = True
    while joined:
        joined = False
        for a, c in list(total.items()):
            if not isinstance(a, Rem) or not c:
                continue
            q = Quot(a.index, a.divisor)
            if total.get(q) == c * a.divisor:
                del total[q], total[a]
                const += a.index.const * c
                for b, k in a.index.terms:
                    total[b] = total.get(b, 0) + k * c
                joined = True
                break
    return Index(
        const, tuple(sorted(((a, c) for a, c in total.items() if c), key=lambda t: repr(t[0])))
    )


def _split(x: Index, n: int) -> tuple[Index, Index]:
    """x = n * whole + rest, as far as the coefficients are multiples of n; rest is never negative."""
    whole = tuple((a, c // n) for a, c in x.terms if c % n == 0)
    rest = Index(x.const % n, tuple((a, c) for a, c in x.terms if c % n))
    if rest.bounds()[0] < 0:
        return Index(), x
    return combine(x.const // n, whole), rest


def quotient(x: Index, n: int) -> Index:
    """x // n."""
    if n == 1:
        return x
    whole, rest = _split(x, n)
    low, high = rest.bounds()
    if low >= 0 and high < n:
        return whole
    return whole + Index(0, ((Quot(_coarse_and_fine(rest, n)[0], n), 1),))


def remainder(x: Index, n: int) -> Index:
    """x % n."""
    if n == 1:
        return Index()
    _, rest = _split(x, n)
    low, high = rest.bounds()
    if low >= 0 and high < n:
        return rest
    coarse, fine = _coarse_and_fine(rest, n)
    return Index(0, ((Rem(coarse, n), 1),)) + fine


def _coarse_and_fine(x: Index, n: int) -> tuple[Index, Index]:
    """x = coarse + fine, coarse in steps of a divisor of n that fine stays below: fine changes no
    quotient by n, and is all of the remainder that the coarse part leaves."""
    if any(c < 0 for _, c in x.terms) or x.const < 0:
        return x, Index()
    terms = sorted(x.terms, key=lambda t: t[1])
    for at in range(len(terms), 0, -1):
        step = gcd(n, *(c for _, c in terms[at:]))
        const = x.const % step
        fine = Index(const, tuple(terms[:at]))
        if fine.bounds()[1] < step:
            return combine(x.const - const, tuple(terms[at:])), combine(const, fine.terms)
    return x, Index()


def count(loops) -> int:
    """The number of iterations of nested loops."""
    n = 1
    for v in loops:
        n *= v.extent
    return n


def strides(shape) -> tuple[int, ...]:
    """Row-major strides, in elements."""
    out, step = [], 1
    for d in reversed(shape):
        out.append(step)
        step *= d
    return tuple(reversed(out))


def flatten(indices, shape) -> Index:
    """The row-major position of an index tuple."""
    total = Index()
    for x, s in zip(indices, strides(shape), strict=True):
        total = total + x.scaled(s)
    return total


def unflatten(x: Index, shape) -> tuple[Index, ...]:
    """The index tuple at a row-major position."""
    out: list[Index] = []
    for axis in range(len(shape) - 1, 0, -1):
        out.append(remainder(x, shape[axis]) if shape[axis] > 1 else Index())
        x = quotient(x, shape[axis]) if shape[axis] > 1 else x
    if shape:
        out.append(x if shape[0] > 1 else Index())
    return tuple(reversed(out))


# --- values. Compared by identity: the lowering makes each of them once.
@dataclass(frozen=True, eq=False)
class Load:
    """array[index]; `array` is whatever names the array (a node)."""

    array: object
    index: Index
    dtype: DType


@dataclass(frozen=True, eq=False)
class Const:
    value: bool | int | float
    dtype: DType


@dataclass(frozen=True, eq=False)
class Apply:
    """An elementwise primitive of the table; dtype is the result's."""

    op: str
    args: tuple["Value", ...]
    dtype: DType


@dataclass(frozen=True, eq=False)
class FromIndex:
    """The index itself as a number (iota)."""

    index: Index
    dtype: DType


@dataclass(frozen=True, eq=False)
class Random:
    """Element `index` of the stream that the key (seed, counter) names; float32 in [0, 1)."""

    seed: "Value"
    counter: "Value"
    index: Index
    dtype: DType


@dataclass(frozen=True, eq=False)
class Guard:
    """inside where every lo <= index < hi, else outside; inside reads nothing where it is not wanted."""

    conditions: tuple[tuple[Index, int, int], ...]
    inside: "Value"
    outside: "Value"
    dtype: DType


@dataclass(frozen=True, eq=False)
class Ref:
    """A value that the kernel holds already: an accumulator, a finished row value."""

    name: str
    dtype: DType


Value = Load | Const | Apply | FromIndex | Random | Guard | Ref


def children(v: Value) -> tuple[Value, ...]:
    """The values that v is made of, those inside its indices included."""
    inner: tuple[Value, ...] = ()
    indices: tuple[Index, ...] = ()
    if isinstance(v, Apply):
        inner = v.args
    elif isinstance(v, Guard):
        inner, indices = (v.inside, v.outside), tuple(c[0] for c in v.conditions)
    elif isinstance(v, Random):
        inner, indices = (v.seed, v.counter), (v.index,)
    elif isinstance(v, Load | FromIndex):
        indices = (v.index,)
    return inner + tuple(x for i in indices for x in fetched(i))


def fetched(index: Index) -> tuple[Value, ...]:
    """The values read to form an index."""
    out: list[Value] = []
    for a, _ in index.terms:
        if isinstance(a, Fetched):
            out.append(a.value)
        elif isinstance(a, Quot | Rem):
            out.extend(fetched(a.index))
    return tuple(out)


def walk(values) -> list[Value]:
    """Every value below these, each once."""
    seen: dict[int, Value] = {}
    stack = list(values)
    while stack:
        v = stack.pop()
        if id(v) not in seen:
            seen[id(v)] = v
            stack.extend(children(v))
    return list(seen.values())


def own_indices(v: Value) -> tuple[Index, ...]:
    """The indices that v itself holds."""
    if isinstance(v, Guard):
        return tuple(c[0] for c in v.conditions)
    return (v.index,) if isinstance(v, Load | FromIndex | Random) else ()


def value_text(v: Value, names=lambda a: getattr(a, "op", str(a))) -> str:
    """A value as one line of text (for `show`)."""
    if isinstance(v, Load):
        return f"{names(v.array)}[{v.index}]"
    if isinstance(v, Const):
        return repr(v.value)
    if isinstance(v, Apply):
        return f"{v.op}({', '.join(value_text(x, names) for x in v.args)})"
    if isinstance(v, FromIndex):
        return f"({v.index})"
    if isinstance(v, Random):
        return f"random({v.index})"
    if isinstance(v, Guard):
        test = " and ".join(f"{lo} <= {i} < {hi}" for i, lo, hi in v.conditions)
        return f"({value_text(v.inside, names)} if {test} else {value_text(v.outside, names)})"
    return v.name


# --- accumulations
OPERATION = {"reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min"}


def identity(op: str, d: DType):
    """What an accumulator starts from."""
    if op == "sum":
        return 0.0 if d.kind == "f" else 0
    if d.kind == "f":
        return float("-inf") if op == "max" else float("inf")
    if d is dtypes.bool_:
        return op == "min"
    low, high = (
        (0, 255)
        if d is dtypes.uint8
        else (-(2 ** (8 * d.itemsize - 1)), 2 ** (8 * d.itemsize - 1) - 1)
    )
    return low if op == "max" else high


# --- kernels
@dataclass(frozen=True, eq=False)
class Store:
    """array[index] = value."""

    array: object
    index: Index
    value: Value


@dataclass(frozen=True, eq=False)
class Accumulate:
    """name = op over the stage's loop of value; op: sum, max, min."""

    name: str
    op: str
    value: Value


@dataclass(frozen=True)
class Stage:
    """One walk along the row ('map' stores, 'reduce' accumulates), or, 'row', once per row."""

    kind: str
    stores: tuple[Store, ...] = ()
    accumulates: tuple[Accumulate, ...] = ()
    rows: tuple[tuple[str, Value], ...] = ()  # values named for later stages


@dataclass(frozen=True)
class LoopKernel:
    """For each row (outer), stage after stage along `inner`, sixteen lanes wide."""

    outer: tuple[Var, ...]
    inner: Var
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class ColumnKernel:
    """For each block of `lane` (and each outer): accumulate over `along` in order, then store."""

    outer: tuple[Var, ...]
    lane: Var
    along: tuple[Var, ...]
    accumulates: tuple[Accumulate, ...]
    stores: tuple[Store, ...]


@dataclass(frozen=True)
class GemmKernel:
    """For each batch: acc[m, n] = sum over k, in order, of A[m, k] * B[k, n]; then the stores.

    batch, m, k  loops, the last one innermost; n is one loop, along the lanes. A convolution has
                 m = (image, row, column) and k = (kernel row, kernel column and channel)
    a, b         Loads whose indices are affine in (batch, m, k) and (batch, k, n)"""

    batch: tuple[Var, ...]
    m: tuple[Var, ...]
    n: Var
    k: tuple[Var, ...]
    a: Load
    b: Load
    dtype: DType
    stores: tuple[Store, ...] = field(default=())


@dataclass(frozen=True)
class SerialKernel:
    """argmax or cumsum along one axis, one element after the other; rows in parallel."""

    op: str
    outer: tuple[Var, ...]
    along: Var
    value: Value
    stores: tuple[Store, ...]  # value Ref('acc'); for cumsum inside the loop, for argmax after it


@dataclass(frozen=True)
class ScatterKernel:
    """out[...] = 0, then out[idx(u), j] += value(u, j) for u in order; columns j in parallel."""

    updates: Var
    column: Var
    rows: int
    index: Value
    value: Value
    array: object
    dtype: DType


Kernel = LoopKernel | ColumnKernel | GemmKernel | SerialKernel | ScatterKernel
