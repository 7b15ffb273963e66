"""THE TABLE: every primitive, one row each. Everything else (softmax, GELU) is composed of them.

Elementwise inputs have one shape and one dtype already: floor 4 broadcasts and promotes, nothing is
implicit here. In compiled programs results below 1.2e-38 in float32, 2.2e-308 in float64 (subnormal
numbers) become zero; the reference keeps them. As inputs they are best avoided: x86 computes with
them, AArch64 takes them for zero.

The other tables of a primitive: infer.RULES (shape and dtype), reference.REFERENCE (meaning in
NumPy), transform.vjp.VJP (gradient), and the compiler's code; tests/test_every_op.py names a
missing row."""

from dataclasses import dataclass

ANY, NUMBER, FLOAT, BOOL = "bif", "if", "f", "b"  # kinds of dtype (dtypes.DType.kind) an op takes
VARIADIC = -1


@dataclass(frozen=True)
class Op:
    """One primitive.

    arity    number of input nodes, or VARIADIC
    params   names of Node.params, in order
    kind     unary | binary | ternary | reduce | movement | index | contract | loop | source
    takes    kinds of dtype of the inputs that carry values, not of an index, condition or key
    gives    dtype of the result: "same" as those inputs, a dtype's name, or "named" by a parameter
    meaning  what it computes, exactly; cases that hardware answers differently are settled here
    source   where a formula or algorithm is from"""

    name: str
    arity: int
    params: tuple[str, ...]
    kind: str
    takes: str
    gives: str
    meaning: str
    source: str = ""

    @property
    def is_elementwise(self) -> bool:
        """Each output element reads the input elements at its own place, and nothing else."""
        return self.kind in ("unary", "binary", "ternary")


def _unary(name: str, takes: str, meaning: str, source: str = "") -> Op:
    return Op(name, 1, (), "unary", takes, "same", meaning, source)


def _binary(name: str, takes: str, gives: str, meaning: str, source: str = "") -> Op:
    return Op(name, 2, (), "binary", takes, gives, meaning, source)


def _movement(name: str, params: tuple[str, ...], meaning: str, arity: int = 1) -> Op:
    return Op(name, arity, params, "movement", ANY, "same", meaning)


def _reduce(name: str, param: str, takes: str, gives: str, meaning: str) -> Op:
    return Op(name, 1, (param,), "reduce", takes, gives, meaning)


_IEEE = "IEEE 754-2019"
_ROWS = (
    # -- sources: no value goes in
    Op(
        "leaf",
        0,
        ("uid", "name"),
        "source",
        ANY,
        "named",
        "a value from outside: an argument or a stored buffer",
    ),
    Op("const", 0, ("value", "dtype"), "source", ANY, "named", "one Python number, shape ()"),
    Op(
        "iota",
        0,
        ("shape", "axis", "dtype"),
        "source",
        NUMBER,
        "named",
        "each element is its index along axis",
    ),
    Op(
        "random",
        1,
        ("shape",),
        "source",
        "i",
        "float32",
        "uniform in [0, 1): key int64 (2,) = [seed, counter]; w, _ = threefry2x32 of 20 rounds, "
        "key words = low and high 32 bits of seed, counter words = low 32 bits of the row-major "
        "index, of counter; value = (w >> 8) * 2**-24",
        "Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3",
    ),
    # -- unary
    _unary("neg", NUMBER, "-x; integers wrap"),
    _unary("floor", NUMBER, "largest whole number <= x; the identity on integers"),
    _unary("logical_not", BOOL, "not x"),
    _unary("sqrt", FLOAT, "square root, correctly rounded; NaN for x < 0", _IEEE),
    _unary("exp", FLOAT, "e to the power x"),
    _unary("log", FLOAT, "natural logarithm; -inf at 0, NaN for x < 0"),
    _unary(
        "sin", FLOAT, "sine of x radians; for |x| > 2**40 an engine may give any value in [-1, 1]"
    ),
    _unary(
        "cos", FLOAT, "cosine of x radians; for |x| > 2**40 an engine may give any value in [-1, 1]"
    ),
    _unary("tanh", FLOAT, "hyperbolic tangent"),
    _unary("erf", FLOAT, "error function, 2/sqrt(pi) * integral of exp(-t*t) from 0 to x"),
    Op(
        "cast",
        1,
        ("dtype",),
        "unary",
        ANY,
        "named",
        "to bool: x != 0, so NaN is True; float to integer: toward zero, saturating, NaN to 0; "
        "integer to integer: wraps",
        "LLVM language reference, llvm.fptosi.sat",
    ),
    # -- binary, ternary
    _binary("add", NUMBER, "same", "a + b; integers wrap"),
    _binary("sub", NUMBER, "same", "a - b; integers wrap"),
    _binary("mul", NUMBER, "same", "a * b; integers wrap"),
    _binary("div", FLOAT, "same", "a / b", _IEEE),
    _binary(
        "floordiv",
        NUMBER,
        "same",
        "floor of the exact a / b; integers: x // 0 = 0, min // -1 = min",
        "Python //",
    ),
    _binary(
        "mod", NUMBER, "same", "a - b * floor(a / b), sign of b; integers: x mod 0 = 0", "Python %"
    ),
    _binary("maximum", ANY, "same", "the larger, NaN if either is; or on bool"),
    _binary("minimum", ANY, "same", "the smaller, NaN if either is; and on bool"),
    _binary("eq", ANY, "bool", "a == b; False with NaN", _IEEE),
    _binary("lt", ANY, "bool", "a < b; False with NaN", _IEEE),
    _binary("le", ANY, "bool", "a <= b; False with NaN", _IEEE),
    Op(
        "where",
        3,
        (),
        "ternary",
        ANY,
        "same",
        "a where the bool condition holds, else b: inputs (condition, a, b)",
    ),
    _binary(
        "surrogate",
        ANY,
        "same",
        "a; only in a gradient it is b that stands there: a value computed one way is differentiated another way",
    ),
    # -- movement: values change place only
    _movement("reshape", ("shape",), "the same elements in row-major order"),
    _movement("permute", ("axes",), "axis i of the result is axis axes[i] of the input"),
    _movement(
        "broadcast", ("shape",), "aligned at the last axis; axes of size 1 and missing axes repeat"
    ),
    _movement(
        "pad", ("widths", "value"), "widths[i] = (before, after) >= 0 more elements, each `value`"
    ),
    _movement(
        "slice",
        ("starts", "stops", "steps"),
        "x[start:stop:step] on every axis; 0 <= start <= stop <= size, step > 0",
    ),
    _movement("flip", ("axes",), "reversed along axes"),
    _movement("concat", ("axis",), "inputs one after another along axis", arity=VARIADIC),
    _movement(
        "window",
        ("axis", "size", "stride", "dilation"),
        "axis of length L becomes two, (n, size) with n = (L - dilation * (size - 1) - 1) // stride + 1; "
        "element [i, j] is x[i * stride + j * dilation]: what a kernel sees at each place",
    ),
    # -- reductions and scans: the axes of a reduction leave the shape
    _reduce(
        "reduce_sum",
        "axes",
        NUMBER,
        "same",
        "sum; integers wrap; 0 over an empty axis; over no axis the input",
    ),
    _reduce(
        "reduce_max", "axes", ANY, "same", "largest, NaN if any is; no empty axis; any on bool"
    ),
    _reduce(
        "reduce_min", "axes", ANY, "same", "smallest, NaN if any is; no empty axis; all on bool"
    ),
    _reduce(
        "argmax",
        "axis",
        ANY,
        "int64",
        "index of the first largest; NaN counts as largest; no empty axis",
    ),
    _reduce(
        "cumsum",
        "axis",
        NUMBER,
        "same",
        "running sum along axis, the element itself included; keeps the shape",
    ),
    Op(
        "fold",
        1,
        ("axis", "length", "stride", "dilation"),
        "reduce",
        NUMBER,
        "same",
        "adjoint of window: axes axis, axis + 1 of sizes (n, size) become one of `length`: zeros, then "
        "out[i * stride + j * dilation] += x[i, j], j after j",
    ),
    # -- index
    Op(
        "gather",
        2,
        (),
        "index",
        ANY,
        "same",
        "x[index] along axis 0: inputs (x, int32/int64 index); shape index.shape + x.shape[1:]; "
        "an index out of range is clamped to [0, n - 1]",
    ),
    Op(
        "scatter_add",
        2,
        ("n",),
        "index",
        NUMBER,
        "same",
        "zeros (n, *rest), then out[index] += updates in row-major order of index: "
        "inputs (index, updates); rest = updates.shape[index.ndim:]; clamped as gather",
    ),
    # -- contract
    Op(
        "contract",
        2,
        ("a_labels", "b_labels", "out_labels"),
        "contract",
        FLOAT,
        "same",
        "sum of a * b over the labels missing from the output; a label is an integer that names an "
        "axis, occurs once in an operand and in at least two of a, b, output; labels are numbered "
        "by first use",
        "Einstein (1916), summation convention; numpy.einsum",
    ),
    # -- loop
    Op(
        "scan",
        VARIADIC,
        ("loop", "tap"),
        "loop",
        ANY,
        "named",
        "one result of a loop over the leading axis of arrays: inputs (*first carries, *xs, *consts); "
        "tap = (final, i): carry i after the last step; (stack, node): a node of the body at every step, "
        "that of step t at place t (graph/loop.py)",
        "jax.lax.scan",
    ),
)

OPS: dict[str, Op] = {row.name: row for row in _ROWS}

# Movements whose every element is one element of their input: they cost nothing but an address.
VIEWS = ("reshape", "permute", "broadcast", "slice", "flip", "window")
