"""Values: turns the Values and Indices of kernel.py into LLVM text, one lane or sixteen at a time.

An index becomes (scalar, step, vector): the address of lane 0, how far the next lane lies, and, only
where a division or a fetched index varies across lanes, a vector of further offsets. Step 1 gives a
plain vector load, step 0 a scalar that is spread, anything else a gather."""

from collections.abc import Callable

from ..base import dtypes
from ..base.dtypes import DType
from . import vmath
from .emit import ELEMENT, LANES, Builder, Val, i64, suffix
from .kernel import (
    Apply,
    Atom,
    Const,
    Fetched,
    FromIndex,
    Guard,
    Index,
    Load,
    Quot,
    Random,
    Ref,
    Rem,
    Value,
    Var,
)


def register_type(d: DType) -> str:
    """The LLVM element type of a dtype in a register: bool is i1 there and a byte in memory."""
    return "i1" if d is dtypes.bool_ else ELEMENT[d.name]


class Emitter:
    """Writes values at the current place of a Builder.

    arrays   what names an array -> its pointer
    env      loop -> its counter (a scalar; for the lane loop, that of lane 0)
    refs     name -> value, for Ref
    lane     the loop that the lanes run along, or None"""

    def __init__(self, b: Builder, arrays: dict, sizes: dict):
        self.b = b
        self.arrays = arrays
        self.sizes = sizes
        self.env: dict[Var, Val] = {}
        self.refs: dict[str, Val] = {}
        self.lane: Var | None = None
        self.mask: Val | None = None
        self.guarded = False
        self.stream: dict[
            object, tuple[Val, Val]
        ] = {}  # written past the caches: (where it lies well, not)
        self._memo: list[dict] = [{}]

    # --- scopes: what was written in an enclosing block may be used again, a closed block's may not
    def enter(self) -> None:
        """Starts a block."""
        self._memo.append({})

    def leave(self) -> None:
        """Ends a block."""
        self._memo.pop()

    def _remember(self, key, make: Callable[[], Val]) -> Val:
        for scope in reversed(self._memo):
            if key in scope:
                return scope[key][0]
        v = make()
        self._memo[-1][key] = (v, key)  # the key holds its objects, so that an id is not used twice
        return v

    # --- indices
    def varies(self, x: Index) -> bool:
        """Whether an index differs from lane to lane."""
        if self.b.width == 1 or self.lane is None:
            return False
        return any(self._atom_varies(a) for a, _ in x.terms)

    def _atom_varies(self, a) -> bool:
        if isinstance(a, Var):
            return a == self.lane
        if isinstance(a, Quot | Rem):
            return self.varies(a.index)
        return self.value_varies(a.value)

    def value_varies(self, v: Value) -> bool:
        """Whether a value may differ from lane to lane."""
        if isinstance(v, Load | FromIndex):
            return self.varies(v.index)
        if isinstance(v, Const):
            return False
        if isinstance(v, Apply):
            return any(self.value_varies(x) for x in v.args)
        if isinstance(v, Ref):
            return v.name in self.refs and self.refs[v.name].width > 1
        return True

    def index(self, x: Index) -> tuple[Val, int, Val | None]:
        """(address of lane 0 without the vector, step from lane to lane, further offsets by lane)."""
        b = self.b
        step = 0
        total: Val | None = None
        vector: Val | None = None

        def add(base: Val | None, v: Val, c: int) -> Val:
            v = v if c == 1 else b.bin("mul", v, b.const(c, "i64", v.width))
            return v if base is None else b.bin("add", base, v)

        for a, c in x.terms:
            if isinstance(a, Var):
                if self._atom_varies(a):
                    step += c
                total = add(total, self.env[a], c)
            elif self._atom_varies(a):
                vector = add(vector, self.atom(a), c)
            else:
                total = add(total, self.atom(a), c)
        if total is None:
            return i64(x.const), step, vector
        return (b.bin("add", total, i64(x.const)) if x.const else total), step, vector

    def index_value(self, x: Index) -> Val:
        """The index as an i64: scalar where all lanes agree."""
        b = self.b
        scalar, step, vector = self.index(x)
        if not step and vector is None:
            return scalar
        out = b.splat(scalar)
        if step:
            lanes = b.lanes("i64")
            out = b.bin(
                "add", out, lanes if step == 1 else b.bin("mul", lanes, b.const(step, "i64"))
            )
        return out if vector is None else b.bin("add", out, vector)

    def atom(self, a: Atom) -> Val:
        """A part of an index that is not a loop, as an i64."""
        return self._remember(("atom", a, self.mask), lambda: self._atom(a))

    def _atom(self, a) -> Val:
        b = self.b
        if isinstance(a, Fetched):
            v = self.eval(a.value)
            if not self.value_varies(a.value) and v.width > 1:
                v = b.let(f"extractelement {v}, i64 0", v.type, 1)
            if v.type != "i64":
                v = b.convert("zext" if v.type == "i8" else "sext", v, "i64")
            v = b.select(b.cmp("slt", v, b.like(0, v)), b.like(0, v), v)
            top = b.like(a.limit - 1, v)
            return b.select(b.cmp("sgt", v, top), top, v)
        x = self.index_value(a.index)
        op = "udiv" if isinstance(a, Quot) else "urem"
        if a.index.bounds()[1] < 2**31:  # 32-bit division is many times faster
            short = b.convert("trunc", x, "i32")
            return b.convert(
                "zext", b.bin(op, short, b.const(a.divisor, "i32", short.width)), "i64"
            )
        return b.bin(op, x, b.const(a.divisor, "i64", x.width))

    # --- values
    def eval(self, v: Value) -> Val:
        """The value, in all lanes."""
        key = (v, None if self.mask is None else self.mask.name)
        return self._remember(key, lambda: self._eval(v))

    def _eval(self, v: Value) -> Val:
        b = self.b
        if isinstance(v, Const):
            return b.const(v.value, register_type(v.dtype))
        if isinstance(v, Load):
            return self._load(v)
        if isinstance(v, Apply):
            return apply(b, v, [self.eval(x) for x in v.args])
        if isinstance(v, Ref):
            return b.splat(self.refs[v.name])
        if isinstance(v, FromIndex):
            x = b.splat(self.index_value(v.index))
            return convert(b, x, dtypes.int64, v.dtype)
        if isinstance(v, Random):
            return threefry(
                b, self.eval(v.seed), self.eval(v.counter), b.splat(self.index_value(v.index))
            )
        return self._guard(v)

    def _guard(self, v: Guard) -> Val:
        b = self.b
        test: Val | None = None
        for x, lo, hi in v.conditions:
            low, high = x.bounds()
            at = b.splat(self.index_value(x))
            for needed, op, limit in ((low < lo, "sge", lo), (high >= hi, "slt", hi)):
                if needed:
                    ok = b.cmp(op, at, b.like(limit, at))
                    test = ok if test is None else b.bin("and", test, ok)
        if test is None:
            return self.eval(v.inside)
        outside = self.eval(v.outside)
        before = self.mask, self.guarded
        self.mask = test if self.mask is None else b.bin("and", test, self.mask)
        self.guarded = True
        inside = self.eval(v.inside)
        self.mask, self.guarded = before
        return b.select(test, inside, outside)

    def _load(self, v: Load) -> Val:
        b = self.b
        pointer, type_ = self.arrays[v.array], ELEMENT[v.dtype.name]
        scalar, step, vector = self.index(v.index)
        if not step and vector is None:
            if self.guarded:  # the place may lie outside where no lane wants it
                top = i64(max(0, self.sizes[v.array] - 1))
                scalar = b.select(b.cmp("slt", scalar, i64(0)), i64(0), scalar)
                scalar = b.select(b.cmp("sgt", scalar, top), top, scalar)
            out = b.splat(b.load(b.gep(pointer, scalar, type_), type_))
        elif step == 1 and vector is None:
            at = b.gep(pointer, scalar, type_)
            out = (
                b.load(at, type_, LANES)
                if self.mask is None
                else b.masked_load(at, self.mask, type_)
            )
        else:
            lanes = b.bin("mul", b.lanes("i64"), b.const(step, "i64"))
            offsets = lanes if vector is None else b.bin("add", lanes, vector) if step else vector
            at = b.gep(b.gep(pointer, scalar, type_), offsets, type_)
            mask = self.mask if self.mask is not None else b.const(True, "i1")
            out = b.masked_gather(at, mask, type_)
        return b.cmp("ne", out, b.like(0, out)) if v.dtype is dtypes.bool_ else out

    def store(self, array, index: Index, value: Val, dtype: DType) -> None:
        """array[index] = value, where the mask allows."""
        b = self.b
        if dtype is dtypes.bool_:
            value = b.convert("zext", value, "i8")
        pointer, type_ = self.arrays[array], ELEMENT[dtype.name]
        scalar, step, vector = self.index(index)
        assert vector is None, "a store's place must be affine"
        at = b.gep(pointer, scalar, type_)
        if value.width == 1:
            b.store(value, at)
        elif step == 1:
            if self.mask is not None:
                b.masked_store(value, at, self.mask)
            elif array in self.stream:
                aligned, other = self.stream[array]
                b.when(aligned, lambda: b.raw(f"store {value}, {at}, align 64, !nontemporal !0"))
                b.when(other, lambda: b.store(value, at))
            else:
                b.store(value, at)
        else:
            at = b.gep(at, b.bin("mul", b.lanes("i64"), b.const(step, "i64")), type_)
            b.masked_scatter(value, at, self.mask if self.mask is not None else b.const(True, "i1"))


# --- one row per elementwise primitive: op -> f(builder, dtype of the inputs, values)
def _arithmetic(float_op: str, int_op: str):
    def emit(b: Builder, d: DType, x: Val, y: Val) -> Val:
        return b.bin(float_op if d.kind == "f" else int_op, x, y)

    return emit


def extreme(op: str):
    """maximum or minimum; NaN wins over every number (one instruction more than x86's own)."""

    def emit(b: Builder, d: DType, x: Val, y: Val) -> Val:
        if d is dtypes.bool_:
            return b.bin("or" if op == "max" else "and", x, y)
        if d.kind == "i":
            sign = "u" if d is dtypes.uint8 else "s"
            return b.select(b.cmp(sign + ("gt" if op == "max" else "lt"), x, y), x, y)
        if _is_constant(y) or _is_constant(x):
            # A constant is never NaN: the unordered compare keeps the other one's NaN.
            v, c = (x, y) if _is_constant(y) else (y, x)
            return b.select(b.cmp("ugt" if op == "max" else "ult", v, c), v, c)
        best = b.select(b.cmp("ogt" if op == "max" else "olt", x, y), x, y)  # y where either is NaN
        return b.select(b.cmp("uno", x, x), x, best)

    return emit


def _is_constant(v: Val) -> bool:
    return not v.name.startswith("%") and "0x7FF" not in v.name and "0xFFF" not in v.name


def _compare(float_op: str, signed: str, unsigned: str):
    def emit(b: Builder, d: DType, x: Val, y: Val) -> Val:
        if d.kind == "f":
            return b.cmp(float_op, x, y)
        return b.cmp(signed if d in (dtypes.int32, dtypes.int64) else unsigned, x, y)

    return emit


def _without_subnormals(b: Builder, x: Val) -> Val:
    """Subnormal numbers as zero: what the processor makes of them there depends on its kind."""
    least = b.like(2.0**-126 if x.type == "float" else 2.0**-1022, x)
    zero = b.like(0.0, x)
    return b.select(
        b.cmp("olt", b.intrinsic("fabs", x), least), b.intrinsic("copysign", zero, x), x
    )


def _floor_division(b: Builder, d: DType, x: Val, y: Val) -> tuple[Val, Val]:
    """(x // y, x % y), Python's; integers: 0 where y is 0."""
    if d.kind == "f":
        # frem is the C library's fmod, which is exact; then as Python's float.__divmod__.
        zero, one = b.like(0.0, x), b.like(1.0, x)
        x, y = (_without_subnormals(b, v) for v in (x, y))
        r = _without_subnormals(b, b.bin("frem", x, y))
        q = b.fdiv(b.fsub(x, r), y)
        other_side = b.bin(
            "and", b.cmp("une", r, zero), b.bin("xor", b.cmp("olt", r, zero), b.cmp("olt", y, zero))
        )
        q = b.select(other_side, b.fsub(q, one), q)
        r = b.select(other_side, b.fadd(r, y), r)
        r = b.select(b.cmp("oeq", r, zero), b.intrinsic("copysign", zero, y), r)
        low = vmath.TABLE["floor"](b, q)
        low = b.select(b.cmp("ogt", b.fsub(q, low), b.like(0.5, q)), b.fadd(low, one), low)
        ratio = b.fdiv(x, y)
        low = b.select(b.cmp("oeq", q, zero), b.intrinsic("copysign", zero, ratio), low)
        return b.select(b.cmp("oeq", y, zero), ratio, low), r
    zero, one = b.like(0, x), b.like(1, x)
    by_zero = b.cmp("eq", y, zero)
    if d is dtypes.uint8:
        safe = b.select(by_zero, one, y)
        q, r = b.bin("udiv", x, safe), b.bin("urem", x, safe)
    else:
        minus = b.cmp("eq", y, b.like(-1, x))  # the least integer / -1 would trap
        safe = b.select(b.bin("or", by_zero, minus), one, y)
        q, r = b.bin("sdiv", x, safe), b.bin("srem", x, safe)
        q = b.select(minus, b.bin("sub", zero, x), q)
        wrong = b.bin("and", b.cmp("ne", r, zero), b.cmp("slt", b.bin("xor", r, y), zero))
        q, r = b.select(wrong, b.bin("sub", q, one), q), b.select(wrong, b.bin("add", r, y), r)
    return b.select(by_zero, zero, q), b.select(by_zero, zero, r)


def _neg(b: Builder, d: DType, x: Val) -> Val:
    return b.fneg(x) if d.kind == "f" else b.bin("sub", b.like(0, x), x)


def _math(name: str):
    return lambda b, d, x: vmath.TABLE[name](b, x)


APPLY = {
    "neg": _neg,
    "sqrt": _math("sqrt"),
    "floor": lambda b, d, x: x if d.kind != "f" else vmath.TABLE["floor"](b, x),
    "exp": _math("exp"),
    "log": _math("log"),
    "sin": _math("sin"),
    "cos": _math("cos"),
    "tanh": _math("tanh"),
    "erf": _math("erf"),
    "logical_not": lambda b, d, x: b.bin("xor", x, b.like(True, x)),
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": _arithmetic("fdiv", "sdiv"),
    "floordiv": lambda b, d, x, y: _floor_division(b, d, x, y)[0],
    "mod": lambda b, d, x, y: _floor_division(b, d, x, y)[1],
    "maximum": extreme("max"),
    "minimum": extreme("min"),
    "eq": _compare("oeq", "eq", "eq"),
    "lt": _compare("olt", "slt", "ult"),
    "le": _compare("ole", "sle", "ule"),
    "where": lambda b, d, c, x, y: b.select(c, x, y),
    "surrogate": lambda b, d, x, y: x,
}

# Rough cost of one element, in operations: when to store a value rather than to compute it twice.
COST = {
    "exp": 12,
    "log": 14,
    "sin": 24,
    "cos": 24,
    "tanh": 18,
    "erf": 18,
    "sqrt": 6,
    "div": 6,
    "floordiv": 10,
    "mod": 10,
    "random": 70,
}


def apply(b: Builder, v: Apply, args: list[Val]) -> Val:
    """An elementwise primitive."""
    if v.op == "cast":
        return convert(b, args[0], _dtype(v.args[0]), v.dtype)
    return APPLY[v.op](b, _dtype(v.args[0]), *args)


def _dtype(v: Value) -> DType:
    return v.dtype


def convert(b: Builder, x: Val, old: DType, new: DType) -> Val:
    """Casts: to bool by `!= 0`; floats to integers toward zero, saturating, NaN to 0."""
    if old is new:
        return x
    to = register_type(new)
    if new is dtypes.bool_:
        return b.cmp("une" if old.kind == "f" else "ne", x, b.like(0, x))
    if old.kind == "f" and new.kind == "f":
        return b.convert("fpext" if new.itemsize > old.itemsize else "fptrunc", x, to)
    if old.kind == "f":
        call = "fptoui.sat" if to == "i8" else "fptosi.sat"  # uint8 is the unsigned one
        name = f"@llvm.{call}.{suffix(Val('', to, x.width))}.{suffix(x)}"
        result = Val("", to, x.width).full
        b.declares.add(f"declare {result} {name}({x.full})")
        return b.let(f"call {result} {name}({x})", to, x.width)
    unsigned = old in (dtypes.bool_, dtypes.uint8)
    if new.kind == "f":
        return b.convert("uitofp" if unsigned else "sitofp", x, to)
    if new.itemsize < old.itemsize:
        return b.convert("trunc", x, to)
    return b.convert("zext" if unsigned else "sext", x, to)


ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def threefry(b: Builder, seed: Val, counter: Val, index: Val) -> Val:
    """Uniform float32 in [0, 1): Threefry-2x32, 20 rounds (Salmon et al. 2011, section 4.2, table 2)."""

    def low(v: Val) -> Val:
        return b.convert("trunc", v, "i32")

    def rotate(v: Val, n: int) -> Val:
        b.declares.add(
            f"declare {v.full} @llvm.fshl.{'v16' if v.width > 1 else ''}i32({v.full}, {v.full}, {v.full})"
        )
        n_ = b.like(n, v)
        return b.let(
            f"call {v.full} @llvm.fshl.{'v16' if v.width > 1 else ''}i32({v}, {v}, {n_})",
            "i32",
            v.width,
        )

    k0, k1 = low(seed), low(b.bin("lshr", seed, b.like(32, seed)))
    k2 = b.bin("xor", b.bin("xor", k0, k1), b.like(0x1BD11BDA, k0))
    keys = (k0, k1, k2)
    x0, x1 = b.bin("add", low(index), k0), b.bin("add", low(counter), k1)
    for r in range(20):
        x0 = b.bin("add", x0, x1)
        x1 = b.bin("xor", rotate(x1, ROTATIONS[r % 8]), x0)
        if r % 4 == 3:
            i = r // 4 + 1
            x0 = b.bin("add", x0, keys[i % 3])
            x1 = b.bin("add", b.bin("add", x1, keys[(i + 1) % 3]), b.like(i, x1))
    mantissa = b.convert("uitofp", b.bin("lshr", x0, b.like(8, x0)), "float")
    return b.fmul(mantissa, b.like(2.0**-24, mantissa))
